"""A session of the service's own: what it has to say goes to the question that it concerns.

What it is: where warnings of a verification go. What it is not: what is verified (`client.session`).

Rules:

1. A warning goes to the list of the thread that it comes from (`hear`); without one it is said in the log.
2. What is to be said once in a session concerns who runs the service, not who asks: the log has it.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

from notarypy.client.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.limits import Limits
    from notarypy.remote.http.transport import Transport
    from notarypy.storage.settings.settings import Settings

_LOG = logging.getLogger(__name__)
_HEARD: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class OwnSession(Session):
    """A session of which nobody reads along."""

    def __init__(
        self, settings: Settings, transport: Transport | None, now: Callable[[], datetime], limits: Limits
    ) -> None:
        """Ask nobody for anything."""
        super().__init__(settings, transport, None, now, _heard, limits=limits)

    def _hear_once(self, warning: str) -> None:
        with self._lock:
            known = warning in self._given
            self._given.add(warning)
        if not known:
            _LOG.warning("%s", warning)


def hear(instead: list[str] | None) -> list[str] | None:
    """Have warnings of this thread go to another list; return the one before."""
    before = _HEARD.get()
    _HEARD.set(instead)
    return before


def _heard(warning: str) -> None:
    if (said := _HEARD.get()) is None:
        _LOG.warning("%s", warning)
    else:
        said.append(warning)
