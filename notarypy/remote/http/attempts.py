"""Whether a request is worth another attempt, after how long, and until when.

What it is: what an outcome says of that, and a deadline that moves. What it is not: sending (`transport`), or
how many requests are under way (`throttle`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from notarypy.errors import NetworkError, UnreachableError
from notarypy.remote.http import failures
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.remote.http.messages import Request, Response, Sink

    Got = Response | NetworkError

ATTEMPTS = 4
RETRY_AFTER_LIMIT = 5.0
_PASSING = frozenset({429, 502, 503, 504})
_TOO_MANY = frozenset({429, 503})


def passes(response: Response) -> bool:
    """Tell whether an answer says that the server has trouble which may pass."""
    return response.status in _PASSING


def is_too_many(outcome: Got) -> bool:
    """Tell whether a server says that it takes no more requests now."""
    return not isinstance(outcome, NetworkError) and outcome.status in _TOO_MANY


def reason(outcome: Got) -> str:
    """Return what an outcome is, for the log."""
    return outcome.message if isinstance(outcome, NetworkError) else f"status {outcome.status}"


class NotedSink:
    """A sink that notes whether an answer's body began to flow into it."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.began = sink, False

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        """See `Sink`."""
        self.began = True
        return self._sink.begin(status, headers)


def noted(request: Request) -> Request:
    """Return a request for one attempt, whose sink, if it has one, notes whether it was used."""
    return request if request.sink is None else replace(request, sink=NotedSink(request.sink))


def may_be_refusal(outcome: Got, request: Request, repeatable: bool) -> bool:  # noqa: FBT001 - may it be sent again?
    """Tell whether a server may have refused a request because of others, and it can be sent again.

    A server whose answer began to flow took the request; whoever takes the body knows how to go on.
    """
    if isinstance(request.sink, NotedSink) and request.sink.began:
        return False
    if not isinstance(outcome, NetworkError):
        return repeatable and is_too_many(outcome)
    unsent = isinstance(outcome, UnreachableError)
    return (repeatable or unsent) and not isinstance(outcome, failures.NameServiceError)


def pause(outcome: Got, attempt: int, left: float, *, patient: bool) -> float | None:
    """Return the seconds to wait before another attempt; None if there is no point in one.

    `left` are the seconds until the deadline; who is patient waits as long as the server asks.
    """
    found: float | None = None
    if isinstance(outcome, NetworkError):
        found = None if isinstance(outcome, failures.UnknownHostError) else backoff(attempt)
    elif passes(outcome):
        asked = failures.retry_after(outcome)
        found = backoff(attempt) if asked is None else asked
        if found > RETRY_AFTER_LIMIT and not patient:
            return None
    return None if found is None or found >= left else found


def backoff(attempt: int) -> float:
    """Return 0.2, 0.4, 0.8 seconds, each spread by half so that clients do not march in step."""
    return 0.1 * 2.0**attempt * (0.75 + os.urandom(1)[0] / 510)


class Deadline:
    """It moves while the request waits for others (`transport`, rule 1)."""

    __slots__ = ("asking", "at")

    def __init__(self, at: float) -> None:
        self.at = at
        self.asking: float | None = None  # since when it waits for a login, which a person may be asked for

    def extend(self, now: float) -> None:
        """Leave out the time that a login took to come."""
        self.at += 0.0 if self.asking is None else now - self.asking
        self.asking = None
