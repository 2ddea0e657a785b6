"""Whether a request is worth another attempt, and after how long.

What it is: what an outcome says of that. What it is not: sending (`transport`), or how many requests are
under way (`throttle`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from notarypy.errors import NetworkError, UnreachableError
from notarypy.remote.http import failures

if TYPE_CHECKING:
    from notarypy.remote.http.messages import Response

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


def may_be_refusal(outcome: Got, repeatable: bool) -> bool:  # noqa: FBT001 - whether the request may be repeated
    """Tell whether a server may have refused a request because of others, and it can be sent again."""
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
