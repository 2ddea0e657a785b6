"""A transport that answers by a script, for tests of what is built on transports."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from notarypy.remote.http.transport import Authenticator, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.remote.http.messages import Request, Response


def body_of(request: Request) -> bytes:
    """Return the body of a request, which may be made while it is sent."""
    return request.body if isinstance(request.body, bytes) else b"".join(request.body or ())


class ScriptedTransport:
    """Answers from a list or a function, remembers what was sent, and is its own clock."""

    def __init__(self) -> None:
        self.replies: deque[Response | Exception] = deque()
        self.handler: Callable[[Request], Response] | None = None
        self.sent: list[Request] = []
        self.deadlines: list[float] = []
        self.slept: list[float] = []
        self.now = 1000.0

    def send(self, request: Request, deadline: float) -> Response:
        self.sent.append(request)
        self.deadlines.append(deadline)
        reply = self.handler(request) if self.handler else self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        """Nothing is open."""

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def exchange(self, authenticator: Authenticator | None = None, timeout: float = 60) -> Exchange:
        make = (lambda: authenticator) if authenticator else None
        return Exchange(
            self, timeout=timeout, authenticator=make, sleep=self.sleep, monotonic=lambda: self.now
        )
