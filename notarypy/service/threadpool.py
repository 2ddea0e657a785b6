"""Threads that wait for servers, and bulkheads between those servers.

What it is: who waits for what, and when it may begin. What it is not: what is done in a thread
(`verifier`), or calls whose outcomes somebody takes in their order (`client.workers`).

Rules:

1. So many threads work at a time, of those so many for one host, and of these so many for one repository:
   neither a repository nor a host that hangs holds them all.
2. An errand that may not begin yet holds no thread. It is looked at again when another one has ended, or when
   somebody says that something changed (`wake`).
3. Lanes, which are the errands that ask the same hosts, take turns, and so do the repositories of a lane.
   Within a repository the oldest errand is the first.
4. At most so many errands wait. Who comes then is told at once.
5. Threads are begun as they are wanted, have a name, and end when the pool is closed; nobody waits long for
   one that waits for a server.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS, OF_HOST, OF_REPOSITORY = 32, 8, 4
_GRACE_SECONDS = 0.5

Hosts = tuple[str, ...]


class Errand(Protocol):
    """What a thread is sent for; `run` raises nothing."""

    repository: str
    hosts: Hosts

    def may_begin(self) -> bool:
        """Tell whether a thread may be sent now; True is an obligation to send it."""
        ...

    def run(self) -> None:
        """Do it."""
        ...


class ThreadPool:
    """Some threads, and the errands that wait for them."""

    def __init__(self, most_waiting: int, threads: int = THREADS) -> None:
        """Begin no thread yet."""
        self._changed = threading.Condition()
        self._most_waiting, self._most = most_waiting, threads
        self._lanes: dict[Hosts, dict[str, deque[Errand]]] = {}
        self._of_host, self._of_repository = Counter[str](), Counter[str]()
        self._threads: list[threading.Thread] = []
        self._idle = self._beginning = 0
        self._closed = False
        self.waiting = self.busy = 0

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def send(self, errand: Errand) -> bool:
        """Have an errand done once it may begin; tell whether there is room for it (rule 4)."""
        with self._changed:
            if self._closed or self.waiting >= self._most_waiting:
                return False
            lane = self._lanes.setdefault(errand.hosts, {})
            lane.setdefault(errand.repository, deque()).append(errand)
            self.waiting += 1
            self._begin_thread()
            self._changed.notify()
        return True

    def wake(self) -> None:
        """Look again at errands that could not begin (rule 2)."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> list[Errand]:
        """End the threads; return the errands that were never begun."""
        with self._changed:
            self._closed = True
            left = [errand for lane in self._lanes.values() for queue in lane.values() for errand in queue]
            self._lanes.clear()
            self.waiting = 0
            self._changed.notify_all()
        ends = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return left

    def _begin_thread(self) -> None:
        """Begin one more thread, unless one is about to look for an errand."""
        if self._idle or self._beginning or len(self._threads) >= self._most:
            return
        self._beginning += 1
        name = f"notarypy-verifier-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        with self._changed:
            self._beginning -= 1
        while (errand := self._next()) is not None:
            try:
                errand.run()
            finally:
                self._ended(errand)

    def _next(self) -> Errand | None:
        """Wait for an errand that may begin; None at the end."""
        with self._changed:
            while not self._closed:
                if (errand := next(self._ready(), None)) is not None:
                    self._taken(errand)
                    if self._has_room():
                        self._begin_thread()
                    return errand
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

    def _ready(self) -> Iterator[Errand]:
        """Yield errands that may begin, by rules 1 and 3."""
        for hosts, lane in self._lanes.items():
            if any(self._of_host[host] >= OF_HOST for host in hosts):
                continue
            for repository, queue in lane.items():
                if self._of_repository[repository] < OF_REPOSITORY and queue[0].may_begin():
                    yield queue[0]

    def _has_room(self) -> bool:
        """Tell whether the numbers of rule 1 let another errand begin."""
        return any(
            self._of_repository[repository] < OF_REPOSITORY
            for hosts, lane in self._lanes.items()
            if all(self._of_host[host] < OF_HOST for host in hosts)
            for repository in lane
        )

    def _taken(self, errand: Errand) -> None:
        """Take an errand out of its queue; its lane and its repository go to the end of their rows."""
        lane = self._lanes.pop(errand.hosts)
        queue = lane.pop(errand.repository)
        queue.popleft()
        if queue:
            lane[errand.repository] = queue
        if lane:
            self._lanes[errand.hosts] = lane
        self.waiting, self.busy = self.waiting - 1, self.busy + 1
        self._of_host.update(errand.hosts)
        self._of_repository[errand.repository] += 1

    def _ended(self, errand: Errand) -> None:
        with self._changed:
            self.busy -= 1
            for counter, names in (
                (self._of_host, errand.hosts),
                (self._of_repository, (errand.repository,)),
            ):
                counter.subtract(names)
                for name in names:
                    if not counter[name]:
                        del counter[name]
            self._changed.notify_all()
