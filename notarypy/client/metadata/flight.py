"""Files that are asked for before they are needed, so that round trips do not add up.

What it is: the requests of one refresh that are under way at the same time. What it is not: a judge, or a
step of the refresh; without a flight the same would come out, later.

Rules:

1. What was asked for ahead is a file at hand and no more: it is taken where verified files name its very
   hash and length. If it does not fit, or there is an error in its place, the file is asked for by its hash
   as ever; also if it is longer than what is asked for ahead may be, or still not there after a tenth of the
   time of a request, for both of them: a server may give files by their hashes alone quickly.
2. What a server would be asked for anyway is asked for ahead, and nothing else. So one request leads: where
   no root is known the root's, else the timestamp's. The others are sent once the root is trusted, or the
   timestamp is there; until then only their connections are opened. A server without trust data, or one that
   wants to know who we are, gets as many requests as if they came one after the other.
3. A connection costs two round trips before its first request, and a TLS handshake on both sides. So three
   are opened for root, timestamp, snapshot and targets, and all else uses those that are open, unless more
   than three requests would follow one another there.
4. Each file has its own limit, a small one where nobody has signed its length yet, and all requests have the
   one deadline of the refresh.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from notarypy.client import workers
from notarypy.errors import NotarypyError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from notarypy.client.metadata.repository import KnownFiles, Repository
    from notarypy.client.weight import Weight
    from notarypy.tuf.trusted import TrustedMetadata

    Fetch = Callable[[str], bytes]

_OPENED = 3
_FOLLOWING = 3
_POLL_SECONDS = 0.2
_PATIENCES = 50


class Flight:
    """What was asked ahead in one refresh; ends all that is under way when it is left."""

    def __init__(self, current: Callable[[], Repository]) -> None:
        """Ask nothing yet; `current` returns the repository with the deadline of this moment."""
        self._current = current
        repository = current()
        self._looked_at = set[str]()
        self._connections = repository.connections
        self._there: dict[str, threading.Event] = {}
        self._patience = math.inf if repository.patience is None else repository.patience / _PATIENCES
        self._under_way = ExitStack()
        self._answers: dict[str, Callable[[], workers.Outcome[bytes]]] = {}
        self._released, self._ended = threading.Event(), False

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what nobody waits for any more."""
        self._ended = True
        self._released.set()
        self._under_way.close()

    def set_out(self, fetch: Fetch, here: Collection[str]) -> None:
        """Ask for what the refresh begins with: `here` are the roles at hand (rules 2 and 3).

        A server that is known to have renewed files gave something to us just before: nothing leads.
        """
        repository = self._current()
        if repository.source is None:
            return
        if renewed := repository.renewed:
            self._ask({role: self._call(fetch, role) for role in (roles.TIMESTAMP, *renewed)})
            return
        missing = [role for role in (roles.SNAPSHOT, roles.TARGETS) if role not in here]
        asked = [*([] if roles.ROOT in here else [roles.ROOT]), roles.TIMESTAMP, *missing]
        self._connections = max(self._connections, min(_OPENED, len(asked) - 1))
        calls: list[Callable[[], bytes]] = [self._call(fetch, asked[0])]
        for number, role in enumerate(asked[1:], 1):
            connects = number < self._connections
            calls.append(self._call(partial(self._follow, fetch, connects=connects), role))
        calls += [self._connect] * (self._connections - len(calls))
        self._begin(asked, calls, self._connections)

    def ask_delegations(self, trusted: TrustedMetadata, known: KnownFiles, left: int, weight: Weight) -> None:
        """Ask for delegations of a level that are not at hand, when the first of them is to be loaded.

        All delegations to come may have `left` bytes; what is asked for adds to the `weight` of memory.
        """
        meta, repository = trusted.snapshot.meta, self._current()
        if repository.source is None or trusted.pending() in self._looked_at:
            return
        level = [role for role in _delegations_to_come(trusted, left) if role not in self._looked_at]
        sums = accumulate(meta[role].length for role in level)
        fits = [role for role, total in zip(level, sums, strict=True) if total <= trusted.limits.ahead_bytes]
        fits = fits or level[:1]
        # Those that a limit leaves out now are left out later too; those that are too much at once come next.
        named = {entry.name for file in trusted.targets.values() for entry in file.roles}
        self._looked_at.update(named.difference(level[len(fits) :]))
        absent = [role for role in fits if not any(map(meta[role].matches, known.candidates(role)))]
        weight.expect(sum(meta[role].length for role in absent))
        self._ask({role: partial(repository.fetch_announced, role, meta[role]) for role in absent})

    def release(self) -> None:
        """Let the others follow."""
        self._released.set()

    def get(self, role: str, fetch: Fetch) -> bytes:
        """Return the answer that was asked for ahead, or raise its error; fetch now if it was not."""
        answer = self._answers.pop(role, None)
        return fetch(role) if answer is None else answer().get()

    def candidates(self, role: str, length: int) -> Iterator[bytes]:
        """Yield what was asked for ahead, if it came (rule 1); verified files say how long it is."""
        if (answer := self._answers.pop(role, None)) is not None and self._comes(role, length):
            outcome = answer()
            if not isinstance(outcome.error, NotarypyError):
                yield outcome.get()

    def _begin(self, asked: Iterable[str], calls: Sequence[Callable[[], bytes]], most: int) -> None:
        if (outcome := self._under_way.enter_context(workers.ahead(calls, most))) is not None:
            self._answers.update({role: partial(outcome, number) for number, role in enumerate(asked)})

    def _ask(self, asked: Mapping[str, Callable[[], bytes]]) -> None:
        """Ask for all of these at once, on as many connections as are worth it (rule 3)."""
        more = len(asked) > self._connections * _FOLLOWING
        most = min(len(asked), workers.WORKERS if more else self._connections)
        if most > 1:
            self._begin(asked, list(asked.values()), most)

    def _call(self, fetch: Fetch, role: str) -> Callable[[], bytes]:
        """Return a call for a file under its plain name."""
        if role in {roles.ROOT, roles.TIMESTAMP}:
            return partial(fetch, role)
        there = self._there[role] = threading.Event()

        def call() -> bytes:
            try:
                return fetch(role)
            except NotarypyError as error:
                raise error.with_traceback(None) from None  # its frames would keep what came
            finally:
                there.set()

        return call

    def _comes(self, role: str, length: int) -> bool:
        """Wait for what was asked for by its plain name, but not for long (rule 1)."""
        there = self._there.get(role)
        if there is None:  # it was asked for by its hash
            return True
        if length > self._current().limits.ahead_bytes:
            return False
        began = time.monotonic()
        while not there.wait(min(_POLL_SECONDS, max(0.0, self._patience))):
            workers.check_stop()
            now = time.monotonic()
            began, self._patience = now, self._patience - (now - began)
            if self._patience <= 0:
                return False
        self._patience -= time.monotonic() - began
        return True

    def _follow(self, fetch: Fetch, role: str, *, connects: bool) -> bytes:
        if connects:
            self._connect()
        while not self._released.wait(_POLL_SECONDS):
            workers.check_stop()
        if self._ended:
            raise workers.StoppedError
        return fetch(role)

    def _connect(self) -> bytes:
        with suppress(NotarypyError):  # who needs the connection opens it, and says why that fails
            self._current().online().connect()
        return b""


def _delegations_to_come(trusted: TrustedMetadata, left: int) -> Iterator[str]:
    """Yield the delegations to load after what is loaded now, in their order, as far as limits allow."""
    meta, limits = trusted.snapshot.meta, trusted.limits
    named = [delegation for file in trusted.targets.values() for delegation in file.roles]
    for delegation in named[: limits.delegations]:
        role = delegation.name
        if role not in meta or role in trusted.targets or role in trusted.failures:
            continue
        if delegation.excess or trusted.snapshot.unusable(role) or role.count("/") > limits.delegation_levels:
            continue
        if meta[role].length <= min(limits.delegation_bytes, left):
            left -= meta[role].length
            yield role
