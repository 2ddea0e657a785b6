"""What passes between us and servers, noted; and nothing that changes anything passes.

What it is: a transport around another one. What it is not: a judge of what it sees.

Rule:

1. Requests are GET and HEAD. An identity token is traded by a form, as the protocol has it, at the token
   service alone; nothing else is sent.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from notarypy.errors import OperationError
from notarypy.remote.auth import challenges
from notarypy.remote.http.urls import host_port

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.remote.http.messages import Request, Response
    from notarypy.remote.http.transport import Transport

_READING = frozenset({"GET", "HEAD"})
_FORM = "application/x-www-form-urlencoded"
_HITS = ("x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache")


class Passed(NamedTuple):
    """One request and its answer."""

    request: Request
    response: Response


class Watcher:
    """Everything that passed, in its order."""

    def __init__(self) -> None:
        self.passed: list[Passed] = []

    def around(self, inner: Transport) -> Transport:
        """Return a transport that is watched."""
        return _WatchedTransport(inner, self)

    def challenge(self, url: str) -> str:
        """Return what a server asked for when it wanted to know who we are, "" if it never did."""
        for request, response in self.passed:
            header = response.headers.get("www-authenticate", "")
            if _same_server(request.url, url) and header:
                for offered in challenges.parse(header):
                    realm = f" of {host_port(offered.get('realm'))}" if offered.scheme == "bearer" else ""
                    return f"{offered.scheme.capitalize()} authentication{realm}"
        return ""

    def granted(self, url: str, scope: str) -> str | None:
        """Return the actions that the last token says it grants on a scope's repository; None for no word."""
        for request, _ in reversed(self.passed):
            header = request.headers.get("Authorization", "")
            if _same_server(request.url, url) and header.startswith("Bearer "):
                said = challenges.granted(header, scope)
                if said is not None:
                    return said
        return None

    def date(self, url: str) -> datetime | None:
        """Return the time of a server by its last answer that no cache gave."""
        for request, response in reversed(self.passed):
            said = response.headers.get("date")
            if said and _same_server(request.url, url) and not cached(response):
                try:
                    return parsedate_to_datetime(said)
                except ValueError:
                    continue
        return None


class _WatchedTransport:
    def __init__(self, inner: Transport, watcher: Watcher) -> None:
        self._inner, self._watcher = inner, watcher

    def send(self, request: Request, deadline: float) -> Response:
        """Send what only asks (rule 1); see `Transport.send`."""
        form = request.headers.get("Content-Type") == _FORM and "_trust" not in urlsplit(request.url).path
        if request.method not in _READING and not form:
            raise OperationError("a look at servers changes nothing, and this request would")
        response = self._inner.send(request, deadline)
        self._watcher.passed.append(Passed(request, response))
        return response

    def close(self) -> None:
        """See `Transport.close`."""
        self._inner.close()


def cached(response: Response) -> str:
    """Return by which header an answer says that a cache gave it, "" if it does not."""
    age = response.headers.get("age", "").strip()
    if age.isdigit() and int(age) > 0:
        return f"Age: {age}"
    for name in _HITS:
        if "hit" in response.headers.get(name, "").lower():
            return f"{name}: {response.headers[name]}"
    numbers = response.headers.get("x-varnish", "").split()
    return f"x-varnish: {' '.join(numbers)}" if len(numbers) > 1 else ""


def _same_server(one: str, other: str) -> bool:
    return host_port(one) == host_port(other)
