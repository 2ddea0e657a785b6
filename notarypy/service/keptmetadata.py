"""Metadata that many questions share: one look at a repository for all, and none that is too old.

What it is: which look at a repository counts for a question. What it is not: the refresh (`client.metadata`),
or a verdict (`verifier`).

Rules:

1. A look counts for a question that was asked at most `max_age` after the look began. Where that is 0 it has
   to begin after the question was asked: one that was under way by then does not count.
2. Of a repository, as one scope and one pin read it, one look is under way at a time. Who cannot use what is
   known waits for it, and holds no thread meanwhile.
3. A failure counts briefly, and never longer than a success would: what is wrong with the metadata from the
   beginning of the look on; a server that could not be asked from the end of it on, for all who waited.
4. What has ended by the clock on the wall counts no longer, however fresh the look is.
5. So many repositories are kept, and so many bytes, as estimated; those that nobody asked for go first. The
   last one is kept whatever it takes: a question may be about any tag of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import ended, role_ends
from notarypy.client.verify.sharing import Look, MetadataCache
from notarypy.errors import NotarypyError, OperationError
from notarypy.service.ownsession import hear
from notarypy.tuf import canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.limits import Limits
    from notarypy.tuf.trusted import TrustedMetadata

    Key = tuple[str, str, str | None]

BRIEFLY = 5.0


def counting(began: float, done: float, error: BaseException | None, max_age: float) -> tuple[float, float]:
    """Return which questions an answer counts for: up to a first moment, and before another (rules 1, 3)."""
    if error is None:
        return began, began + max_age
    settled = done if isinstance(error, OperationError) else began
    return settled, settled + min(BRIEFLY, max_age)


class TimedLook(Look):
    """A look, when it began, and until when it counts."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self.began, self._counting = began, (began, began)
        self.ends: datetime | None = None
        self.warnings: list[str] = []
        self.weight = 0

    def counts(self, asked: float, since: float, now: datetime) -> bool:
        """Tell whether it counts for a question that wants nothing from before a moment (rules 1, 3, 4)."""
        settled, until = self._counting
        timely = asked <= settled or asked < until
        if isinstance(self.found, NotarypyError):
            return timely
        return timely and self.began >= since and (self.ends is None or not ended(self.ends, now))

    def finish(self, done: float, max_age: float) -> None:
        """Note until when it counts."""
        found = self.found
        error = found if isinstance(found, NotarypyError) else None
        self._counting = counting(self.began, done, error, max_age)
        if found is not None and not isinstance(found, NotarypyError):
            self.ends = min(role_ends(found).values())
            self.weight = sum(map(canonical.memory, found.files.values()))


class KeptMetadata:
    """The looks at all repositories; safe to use from several threads."""

    def __init__(
        self, limits: Limits, max_age: float, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        """Know nothing yet."""
        self._limits, self.max_age, self.clock, self.now = limits, max_age, clock, now
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, TimedLook] = OrderedDict()
        self._failed: OrderedDict[Key, TimedLook] = OrderedDict()
        self._under_way: dict[Key, TimedLook] = {}
        self.weight = self.looks = 0

    @property
    def repositories(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def claim(self, key: Key, asked: float, since: float) -> TimedLook | None:
        """Return the look that counts for a question, or one that whoever asks has to take; None: wait."""
        with self._lock:
            if (look := self._known(key, asked, since)) is not None:
                return look
            if key in self._under_way:
                return None
            self._under_way[key] = look = TimedLook(self.clock())
            self.looks += 1
            return look

    def settle(self, key: Key, look: TimedLook) -> None:
        """Keep what a look found, or let another one be taken if it found nothing; twice is once."""
        with self._lock:
            if self._under_way.get(key) is not look:
                return
            del self._under_way[key]
            if look.found is None:
                return
            look.finish(self.clock(), self.max_age)
            if isinstance(look.found, OperationError):  # what is known counts on, while it does
                self._failed[key] = look
                if len(self._failed) > self._limits.kept_repositories:
                    self._failed.popitem(last=False)
                return
            self._failed.pop(key, None)
            self._keep(key, look)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._failed.clear()
            self.weight = 0

    def _known(self, key: Key, asked: float, since: float) -> TimedLook | None:
        for looks in (self._kept, self._failed):
            look = looks.get(key)
            if look is not None and look.counts(asked, since, self.now()):
                looks.move_to_end(key)
                return look
        return None

    def _keep(self, key: Key, look: TimedLook) -> None:
        """Keep a look in place of an earlier one (rule 5)."""
        before = self._kept.pop(key, None)
        self._kept[key] = look
        self.weight += look.weight - (before.weight if before else 0)
        while len(self._kept) > 1 and (
            len(self._kept) > self._limits.kept_repositories or self.weight > self._limits.kept_bytes
        ):
            self.weight -= self._kept.popitem(last=False)[1].weight


class SharedMetadata(MetadataCache):
    """What one question sees of the kept metadata: the look that was claimed for it."""

    def __init__(self, look: TimedLook, taken: Callable[[], None]) -> None:
        """Take a look; `taken` is called once it is."""
        super().__init__()
        self._look, self._taken = look, taken
        self.used = False

    def look(self, gun: str, scope: str) -> Look:  # noqa: ARG002 - a question is about one repository
        """Return the look that was claimed."""
        return self._look

    def get(self, gun: str, scope: str, fetch: Callable[[], TrustedMetadata]) -> TrustedMetadata:
        """Return the metadata; what there is to say of it is kept with it, for each image."""
        look, self.used = self._look, True

        def watched() -> TrustedMetadata:
            before = hear(look.warnings)
            try:
                return fetch()
            finally:
                hear(before)

        try:
            return super().get(gun, scope, watched)
        finally:
            self._taken()
