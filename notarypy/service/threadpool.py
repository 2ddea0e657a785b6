"""Threads that wait for servers, and bulkheads between those servers.

What it is: who waits for what, and when it may begin. What it is not: what is done in a thread
(`inquiries`), or calls whose outcomes somebody takes in their order (`client.workers`).

Rules:

1. So many threads work at a time, of those so many for one repository, so many that ask one host before any
   other, and for one host twice as many in all: neither a repository nor a host that hangs holds them all,
   nor all those of a host that would be asked afterwards.
2. A repository hangs if a host did not answer when it was last asked for it. Of each host those get two
   threads, beside the others: they hold up no neighbour. A host that was never asked, or last did not answer
   for another repository than these, gets two for the others as well. All of them together get half of the
   threads: whoever can name hosts cannot hold up those that answer. Where nobody was asked nothing is learnt.
3. An errand that may not begin yet holds no thread. It is looked at again when another one has ended, or when
   somebody says that something changed (`wake`).
4. Lanes, which are the errands that ask the same hosts, take turns, and so do the repositories of a lane.
   Within a repository the oldest errand is the first. Those that come last have no turn before the others.
5. At most so many errands wait, of those half for one host, and a quarter for one repository; those that come
   last get half of each. Who comes then is told at once.
6. Threads are begun as they are wanted, have a name, and end when the pool is closed; nobody waits long for
   one that waits for a server. Where none can be begun those that there are go on, and without any who comes
   is told at once. A mistake of ours ends an errand, and no thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

THREADS, OF_HOST, OF_REPOSITORY, OF_STRANGER = 32, 8, 4, 2
_KNOWN = 1024
_LOG = logging.getLogger(__name__)
_GRACE_SECONDS = 0.5

Hosts = tuple[str, ...]
T = TypeVar("T")


class Errand(Protocol):
    """What a thread is sent for."""

    repository: str
    hosts: Hosts
    last: bool

    @property
    def heard(self) -> Mapping[str, bool]:
        """Once it is done: of which hosts whether they answered."""
        ...

    def may_begin(self) -> bool:
        """Tell whether a thread may be sent now; True is an obligation to send it."""
        ...

    def run(self) -> None:
        """Do it."""
        ...

    def fail(self) -> None:
        """Tell who waits for it that it was not done, by a mistake of ours."""
        ...


class ThreadPool:
    """Some threads, and the errands that wait for them."""

    def __init__(self, most_waiting: int, threads: int = THREADS) -> None:
        """Begin no thread yet."""
        self._changed = threading.Condition()
        self._most_waiting, self._most = most_waiting, threads
        self._lanes: dict[bool, dict[Hosts, dict[str, deque[Errand]]]] = {False: {}, True: {}}
        self._of_host, self._of_repository = Counter[str](), Counter[str]()
        self._for_host, self._for_repository = Counter[str](), Counter[str]()
        self._answering: OrderedDict[str, None] = OrderedDict()
        self._silent: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._of_silent, self._of_first = Counter[str](), Counter[str]()
        self._strange, self._held = dict[int, Errand](), dict[int, Errand]()
        self._threads: list[threading.Thread] = []
        self._idle = self._beginning = 0
        self._closed = self._short = False
        self.waiting = self.busy = 0

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def ready(self) -> str:
        """Return why nothing is done; "" if there is a thread, or can be."""
        with self._changed:
            return "" if self._threads or self._begin_thread() else "no thread can be begun"

    def send(self, errand: Errand) -> bool:
        """Have an errand done once it may begin; tell whether it is taken on (rules 5 and 6)."""
        with self._changed:
            if self._closed or self._is_too_much(errand) or not (self._begin_thread() or self._threads):
                return False
            self._add(errand)
            self._changed.notify()
        return True

    def take_back(self, errand: Errand) -> bool:
        """Leave an errand undone; tell whether it was still waiting."""
        with self._changed:
            if errand not in self._lanes[errand.last].get(errand.hosts, {}).get(errand.repository, ()):
                return False
            self._remove(errand)
            return True

    def hasten(self, errand: Errand) -> None:
        """Have an errand no longer come last."""
        with self._changed:
            if self.take_back(errand):
                errand.last = False
                self._add(errand)
                self._changed.notify()

    def wake(self) -> None:
        """Look again at errands that could not begin (rule 3)."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> list[Errand]:
        """End the threads; return the errands that were never begun."""
        with self._changed:
            self._closed = True
            lanes = [lane for lanes in self._lanes.values() for lane in lanes.values()]
            left = [errand for lane in lanes for queue in lane.values() for errand in queue]
            self._lanes = {False: {}, True: {}}
            self._for_host.clear()
            self._for_repository.clear()
            self.waiting = 0
            self._changed.notify_all()
        ends = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return left

    def _begin_thread(self) -> bool:
        """Begin one more thread, unless one is about to look for an errand; False if that cannot be done."""
        if self._idle or self._beginning or len(self._threads) >= self._most:
            return True
        name = f"notarypy-verifier-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._short:
                _LOG.error("there are %s threads, and no more can be begun: %s", len(self._threads), error)
            self._short = True
            return False
        self._short = False
        self._beginning += 1  # it waits for us to let it in
        self._threads.append(thread)
        return True

    def _work(self) -> None:
        with self._changed:
            self._beginning -= 1
        while (errand := self._next()) is not None:
            _attempt(errand.run, errand.fail)
            self._ended(errand)

    def _next(self) -> Errand | None:
        """Wait for an errand that may begin; None at the end."""
        with self._changed:
            while not self._closed:
                if (errand := next(self._ready(), None)) is not None:
                    self._taken(errand)
                    if next(self._open(), None):
                        self._begin_thread()
                    return errand
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

    def _is_too_much(self, errand: Errand) -> bool:
        most = self._most_waiting // 2 if errand.last else self._most_waiting
        of_host = max((self._for_host[host] for host in errand.hosts), default=0)
        of_repository = self._for_repository[errand.repository]
        return self.waiting >= most or of_host >= max(1, most // 2) or of_repository >= max(1, most // 4)

    def _ready(self) -> Iterator[Errand]:
        """Yield errands that may begin, by rules 1 to 4."""
        for queue in self._open():
            errand = queue[0]
            if _attempt(errand.may_begin, lambda: True):  # what cannot be asked fails in a thread of its own
                yield errand

    def _open(self) -> Iterator[deque[Errand]]:
        """Yield the errands of repositories that rules 1 and 2 let through."""
        full = len(self._strange) >= (self._most + 1) // 2
        for hosts, lane in chain.from_iterable(lanes.items() for lanes in self._lanes.values()):
            if self._is_busy(hosts) or (full and self._is_strange(hosts)):
                continue
            others = all(self._of_host[host] - self._of_silent[host] < self._most_of(host) for host in hosts)
            silent = not full and all(self._of_silent[host] < OF_STRANGER for host in hosts)
            for repository in lane if others or silent else ():
                fits = silent if self._is_silent(hosts, repository) else others
                if fits and self._of_repository[repository] < OF_REPOSITORY:
                    yield lane[repository]

    def _is_busy(self, hosts: Hosts) -> bool:
        first = any(self._of_first[host] >= OF_HOST for host in hosts[:1])
        return first or any(self._of_host[host] >= 2 * OF_HOST for host in hosts)

    def _add(self, errand: Errand) -> None:
        lane = self._lanes[errand.last].setdefault(errand.hosts, {})
        lane.setdefault(errand.repository, deque()).append(errand)
        self.waiting += 1
        self._for_host.update(errand.hosts)
        self._for_repository[errand.repository] += 1

    def _remove(self, errand: Errand) -> None:
        """Take an errand out of its queue; its lane and its repository go to the end of their rows."""
        lanes = self._lanes[errand.last]
        lane = lanes.pop(errand.hosts)
        queue = lane.pop(errand.repository)
        queue.remove(errand)
        if queue:
            lane[errand.repository] = queue
        if lane:
            lanes[errand.hosts] = lane
        self.waiting -= 1
        _less(self._for_host, errand.hosts)
        _less(self._for_repository, (errand.repository,))

    def _most_of(self, host: str) -> int:
        return 2 * OF_HOST if host in self._answering else OF_STRANGER

    def _is_strange(self, hosts: Hosts) -> bool:
        return not all(host in self._answering for host in hosts)

    def _is_silent(self, hosts: Hosts, repository: str) -> bool:
        return any((host, repository) in self._silent for host in hosts)

    def _taken(self, errand: Errand) -> None:
        """Count an errand that is begun."""
        self._remove(errand)
        self.busy += 1
        silent = self._is_silent(errand.hosts, errand.repository)
        if silent or self._is_strange(errand.hosts):
            self._strange[id(errand)] = errand
        if silent:
            self._held[id(errand)] = errand
            self._of_silent.update(errand.hosts)
        self._of_host.update(errand.hosts)
        self._of_first.update(errand.hosts[:1])
        self._of_repository[errand.repository] += 1

    def _ended(self, errand: Errand) -> None:
        with self._changed:
            self.busy -= 1
            self._strange.pop(id(errand), None)
            if self._held.pop(id(errand), None):
                _less(self._of_silent, errand.hosts)
            _less(self._of_host, errand.hosts)
            _less(self._of_first, errand.hosts[:1])
            _less(self._of_repository, (errand.repository,))
            for host, answered in errand.heard.items():
                self._learn(host, errand.repository, silent=not answered)
            self._changed.notify_all()

    def _learn(self, host: str, repository: str, *, silent: bool) -> None:
        """Note whether a host answered for a repository (rule 2)."""
        hung = self._silent.pop((host, repository), self) is None
        if silent:
            self._silent[host, repository] = None
        if not (silent and hung):
            self._answering.pop(host, None)
        if not silent:
            self._answering[host] = None
        for known in (self._answering, self._silent):
            while len(known) > _KNOWN:
                known.popitem(last=False)


def _attempt(step: Callable[[], T], otherwise: Callable[[], T]) -> T | None:
    """Return what a step returns, or what is done instead if it raises, whatever that is."""
    for each in (step, otherwise):
        try:
            return each()
        except Exception:  # noqa: BLE001 - no thread ends by it (rule 6)
            _LOG.exception("an error of notarypy's own")
    return None


def _less(counter: Counter[str], names: Collection[str]) -> None:
    """Count names down, and forget those that are at zero."""
    counter.subtract(names)
    for name in names:
        if not counter[name]:
            del counter[name]
