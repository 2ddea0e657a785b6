"""Where a redirect may lead, and what goes along.

Pure: an answer in, a URL out. `transport` decides whether redirects are followed at all, and counts them.

Rules:

1. A redirect leads to the same origin, or, where the caller allows that, from https to https elsewhere:
   registries keep blobs with others.
2. Elsewhere go only headers that are no secret to anybody, and never another one that will be added later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from notarypy.errors import ConfigurationError, ServerError
from notarypy.remote.urls import host_port, origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.remote.transport import Response

_FOR_EVERYBODY = frozenset({"accept", "accept-encoding", "range", "user-agent"})


def plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are no secret to anybody (rule 2)."""
    return {name: value for name, value in headers.items() if name.lower() in _FOR_EVERYBODY}


def next_hop(url: str, response: Response, *, elsewhere: bool) -> str:
    """Return where a redirect leads, if that is the same origin, or https elsewhere where that is allowed."""
    target = ""
    try:
        target = urljoin(url, response.headers.get("location", ""))
        old, new = origin(url), origin(target)
        followed = old == new or (elsewhere and old[0] == new[0] == "https")
    except (ValueError, ConfigurationError):
        followed = False
    if not followed:
        raise ServerError(
            f"{host_port(url)} redirects to another place",
            why="a redirect is followed only to the same scheme, host and port"
            + (", or from https to https" if elsewhere else ""),
            host=host_port(url),
            status=response.status,
        )
    return target
