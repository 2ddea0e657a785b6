"""Capacity: how many connections, requests and bytes of them there are at a time, and who gives way.

What it is: counts, and the order in which those give way that others wait for. What it is not: a connection
(`httpserver`), or a request (`asgi`).

Rules:

1. There are so many connections, or fewer where the system has no room for them. One more takes the place of
   that which has been silent for longest, or for longest has not sent the whole of its body. Those whose
   request is there keep their place; where all have one, the new one is closed.
2. A request is under way from the moment when its body is there until its answer was sent. Whoever only
   promises a body keeps nobody out.
3. The bytes of a body count as long, for what was read of it stands in their place; so do those of a long
   answer. Where they are too many, bodies that are not there yet give way, the oldest first.
4. Some paths, and bodies longer than usual, never take more than three quarters, so that the others, which
   are those of a cluster, always find room.
5. What takes long has its turn, one at a time, in a thread.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from notarypy.service.inquiries import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from notarypy.limits import Limits
    from notarypy.service.metrics import Metrics

USUAL_BYTES = 64 * 1024
T = TypeVar("T")


class Connected(Protocol):
    """A connection that can be ended."""

    def cut_off(self) -> None:
        """End it, whatever it is at."""

    def leave(self) -> None:
        """End it if it is silent, and what its client showed counts no more."""


class ConnectionCapacity:
    """The connections, and of those that may give way which is the first (rule 1)."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self.metrics, self._most = metrics, most
        self.silent: dict[Connected, None] = {}
        self.open = 0

    def room(self) -> bool:
        """Tell whether there is room for one more; make it if that can be done."""
        return self.open < self._most or self.make_room()

    def make_room(self, places: int = 1) -> bool:
        """End those that are the first to give way; tell whether there are any."""
        found = list(islice(self.silent, places))
        for longest in found:
            self.metrics.closed("room")
            self.keep(longest)
            longest.cut_off()
        return bool(found)

    def opened(self, connection: Connected) -> None:
        """Count a connection."""
        self.open += 1
        self.metrics.connections.set(self.open)
        self.may_go(connection)

    def may_go(self, connection: Connected) -> None:
        """Note that a connection is waited for, since now."""
        self.silent.pop(connection, None)
        self.silent[connection] = None

    def keep(self, connection: Connected) -> None:
        """Note that a connection has a request."""
        self.silent.pop(connection, None)

    def gone(self, connection: Connected) -> None:
        """Count a connection no more."""
        self.keep(connection)
        self.open -= 1
        self.metrics.connections.set(self.open)


class Share:
    """What one request takes: so many bytes, and a place once it is under way."""

    def __init__(self, *, lesser: bool) -> None:
        """`lesser` is one of those that leave room for others (rule 4)."""
        self.lesser = self.long = lesser
        self.bytes = 0
        self.under_way = False


class RequestCapacity:
    """The requests that are under way, and the bytes of all of them (rules 2 to 4)."""

    def __init__(self, metrics: Metrics, most: int, limits: Limits) -> None:
        self._metrics = metrics
        self._most = {False: most, True: most - most // 4}
        self._most_bytes = {False: limits.requests_bytes, True: limits.requests_bytes * 3 // 4}
        self._places, self._bytes = {False: 0, True: 0}, {False: 0, True: 0}
        self._coming: dict[Share, asyncio.Timeout] = {}

    def is_free(self, share: Share) -> bool:
        """Tell whether one more may be under way."""
        return sum(self._places.values()) < self._most[False] and (
            not share.lesser or self._places[True] < self._most[True]
        )

    def begin(self, share: Share) -> bool:
        """Have a request under way whose body is there; tell whether there is room for it."""
        if not self.is_free(share):
            return False
        share.under_way = True
        self._place(share, 1)
        return True

    def coming(self, share: Share, time: asyncio.Timeout) -> None:
        """Note that a body is about to come; its `time` is over when it gives way."""
        self._coming[share] = time

    def here(self, share: Share) -> None:
        """Note that nothing more of a body is waited for."""
        self._coming.pop(share, None)

    def hold(self, share: Share, size: int) -> bool:
        """Count bytes; tell whether there is room for them, once others have given way (rule 3)."""
        share.bytes += size
        self._bytes[share.long] += size
        if not share.long and share.bytes > USUAL_BYTES:
            self._bytes[False] -= share.bytes
            self._bytes[True] += share.bytes
            share.long = True
        while (long := self._is_too_much()) is not None:
            oldest = next((each for each in self._coming if each.long or not long), None)
            if oldest is None or oldest is share:
                return False
            self._give_way(oldest)
        return True

    def end(self, share: Share) -> None:
        """Count a request no more, whose answer was sent."""
        self.here(share)
        self._bytes[share.long] -= share.bytes
        share.bytes = 0
        if share.under_way:
            share.under_way = False
            self._place(share, -1)

    def _is_too_much(self) -> bool | None:
        """Return of what there is too much: True for long bodies, False for all, None for neither."""
        if self._bytes[True] > self._most_bytes[True]:
            return True
        return False if sum(self._bytes.values()) > self._most_bytes[False] else None

    def _give_way(self, share: Share) -> None:
        time = self._coming.pop(share)
        self._bytes[share.long] -= share.bytes
        share.bytes = 0
        if not time.expired():
            time.reschedule(asyncio.get_running_loop().time())

    def _place(self, share: Share, more: int) -> None:
        self._places[share.lesser] += more
        self._metrics.under_way.set(sum(self._places.values()))


class Turns:
    """One thing at a time in a thread (rule 5)."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def take(self, call: Callable[[], T], seconds: float) -> T:
        """Return what `call` does; TimeoutError: its turn did not come, and it was not begun."""
        async with asyncio.timeout(max(0.0, seconds)):
            await self._turn.acquire()
        try:
            return await asyncio.to_thread(call)
        finally:
            self._turn.release()


async def all_done(futures: Collection[Future[Any]], seconds: float) -> None:
    """Wait for work of other threads; what is not done by then goes on, and is not cancelled."""
    left = {future for future in futures if not future.done()}
    if not left:
        return
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def done(future: Future[Any]) -> None:
        left.discard(future)
        if not left:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ready.set)

    waited = tuple(left)
    for future in waited:
        future.add_done_callback(done)
    with suppress(TimeoutError):
        await asyncio.wait_for(ready.wait(), max(seconds, 0.0))
    for future in waited:
        if isinstance(future, Asked) and not future.done():
            future.leave(done)
