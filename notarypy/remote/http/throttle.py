"""How many requests are under way to one server, and what is done when that is too many for it.

What it is: a throttle for each origin, which all that is sent there passes. What it is not: which answers are
errors, or which requests may be repeated (`transport`).

Rules:

1. At most `MOST` requests are under way; until the first answer fewer, for it may ask for a login that all of
   them would have to be sent again with.
2. A server has too many at once when it refuses one, with 429 or 503 or by breaking the connection, and
   answers another that was under way. Who is refused where nobody is answered meets no crowd of ours.
3. Then half as many are let through, down to one, once for all that were under way together. After good
   answers it is one more, and the later the more often that turned out to be too many. Who was refused alone
   has had one of its attempts.
4. While somebody waits because of a 429 or 503 nobody is let through: all wait together. Who has waited
   longest is the first to go.
5. Bodies that flow do not count, and wait for nothing else: one may be fed by another. Transfers say
   themselves how many there are at a time.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Origin = tuple[str, str, int]

MOST, AT_FIRST = 16, 4
_GOOD_ANSWERS, _MOST_ANSWERS = 16, 4096
_POLL_SECONDS = 0.2
_LOG = logging.getLogger(__name__)


class Passage:
    """One request on its way through a throttle, and what was there when it was let through and came back."""

    __slots__ = ("answered", "flows", "most", "number", "others", "reductions")

    def __init__(self, number: int, *, flows: bool) -> None:
        self.number, self.flows = number, flows
        self.most = self.answered = self.reductions = 0
        self.others: frozenset[Passage] = frozenset()


class Throttle:
    """The throttle of one origin; for several threads."""

    def __init__(self, host: str) -> None:
        """Let requests to a host through."""
        self._host, self._changed, self._count = host, threading.Condition(), 0
        self._waiting, self._under_way = set[int](), set[Passage]()
        self._most, self._pauses = AT_FIRST, 0
        self._answered = self._reductions = self._good = 0
        self._needed, self._grown = _GOOD_ANSWERS, False

    def passage(self, *, flows: bool) -> Passage:
        """Return what stands for a request, which may be let through more than once; the oldest is first."""
        with self._changed:
            self._count += 1
            return Passage(self._count, flows=flows)

    def has_room(self) -> bool:
        """Tell whether one more request would be let through at once."""
        with self._changed:
            return not (self._pauses or self._waiting) and len(self._under_way) < self._most

    def enter(self, passage: Passage, check: Callable[[], None]) -> None:
        """Wait until a request may be sent; `check` raises where nobody wants it any more."""
        with self._changed:
            self._waiting.add(passage.number)
            try:
                while not self._lets_through(passage):
                    self._changed.wait(_POLL_SECONDS)
                    check()
            finally:
                self._waiting.discard(passage.number)
                self._changed.notify_all()  # the next in turn may have looked while this one was before it
            passage.most, passage.answered = self._most, self._answered
            passage.reductions = self._reductions
            if not passage.flows:
                self._under_way.add(passage)

    def _lets_through(self, passage: Passage) -> bool:
        if self._pauses or passage.flows:
            return not self._pauses
        return len(self._under_way) < self._most and passage.number == min(self._waiting)

    def leave(self, passage: Passage, *, good: bool) -> None:
        """Note that a request is over, and whether it was answered by something else than a refusal."""
        with self._changed:
            self._under_way.discard(passage)
            passage.others = frozenset(self._under_way)
            if good:
                self._answered += 1
                self._grow()
            self._changed.notify_all()

    def may_be_crowded(self, passage: Passage) -> bool:
        """Tell whether others were under way, or answered, when this request was refused (rule 2)."""
        return passage.most > 1 and (bool(passage.others) or self._was_passed(passage))

    def is_crowded(self, passage: Passage) -> bool:
        """Tell whether this request, refused a while ago, was one too many; fewer are let through then."""
        with self._changed:
            if not (self._was_passed(passage) or passage.others & self._under_way):
                return False
            if passage.reductions == self._reductions:
                self._reduce()
            return True

    @contextmanager
    def closed(self, closing: bool) -> Iterator[None]:  # noqa: FBT001 - the one thing that it does
        """Let nobody through meanwhile, if it is to be closed (rule 4)."""
        with self._changed:
            self._pauses += closing
        try:
            yield
        finally:
            with self._changed:
                self._pauses -= closing
                self._changed.notify_all()

    def _was_passed(self, passage: Passage) -> bool:
        """Tell whether another request was answered since this one was let through."""
        return self._answered > passage.answered

    def _grow(self) -> None:
        self._good += 1
        if self._answered == 1:
            self._most = max(self._most, MOST)
        elif self._good >= self._needed and self._most < MOST:
            self._most, self._good, self._grown = self._most + 1, 0, True

    def _reduce(self) -> None:
        if self._grown:
            self._most, self._needed = self._most - 1, min(_MOST_ANSWERS, 2 * self._needed)
        else:
            self._most = max(1, self._most // 2)
        self._good, self._grown = 0, False
        self._reductions += 1
        _LOG.debug("%s has too many requests at once; from now on %s at a time", self._host, self._most)


class Throttles:
    """The throttles by origin, made when first wanted; for several threads."""

    def __init__(self) -> None:
        self._throttles: dict[Origin, Throttle] = {}

    def to(self, place: Origin) -> Throttle:
        """Return the throttle to an origin."""
        found = self._throttles.get(place)
        return found or self._throttles.setdefault(place, Throttle(place[1]))
