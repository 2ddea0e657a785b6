"""Who hangs holds up nobody else: threads, hosts, repositories, and how much may wait."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import BusyError
from notarypy.limits import Limits
from notarypy.service.capacity import all_done
from notarypy.service.threadpool import OF_HOST, OF_REPOSITORY, OF_STRANGER, THREADS, ThreadPool
from support.author import GUN
from support.people import owned, prepared
from support.verifiers import SECONDS, Ticks, pin_of, pinned, until, verifier, write_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from notarypy.remote.http.messages import Request, Response
    from support.people import World

HOST = GUN.partition("/")[0]
OTHER = f"{HOST}/other"


class Errand:
    """Something to do, in a thread, that is waited for."""

    def __init__(self, repository: str, *hosts: str, run: Callable[[], object] = lambda: None) -> None:
        self.repository, self.hosts, self._run = repository, hosts, run
        self.heard = dict.fromkeys(hosts, True)
        self.failed, self.last = threading.Event(), False
        self.may, self.begun, self.done = True, threading.Event(), threading.Event()

    def may_begin(self) -> bool:
        return self.may

    def run(self) -> None:
        self.begun.set()
        self._run()
        self.done.set()

    def fail(self) -> None:
        self.failed.set()


@pytest.fixture
def go_on() -> threading.Event:
    return threading.Event()


def met(pool: ThreadPool, *hosts: str) -> None:
    """Have hosts answer once."""
    errand = Errand("any", *hosts)
    assert pool.send(errand)
    assert errand.done.wait(SECONDS)
    until(lambda: pool.busy == 0)


def begun(errands: list[Errand]) -> int:
    """Return how many were begun."""
    return sum(errand.begun.is_set() for errand in errands)


def test_a_host_that_hangs_leaves_threads_for_others(go_on: threading.Event) -> None:
    pool = ThreadPool(1000, threads=OF_HOST + 1)
    met(pool, "slow", "quick", "notary")
    hung = [Errand(f"r{number}", "slow", run=go_on.wait) for number in range(100)]
    assert all(map(pool.send, hung))
    for number in range(50):
        other = Errand(f"o{number}", "quick", "notary")
        assert pool.send(other)
        assert other.done.wait(SECONDS)
    until(lambda: begun(hung) >= OF_HOST)
    assert begun(hung) == OF_HOST
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in hung)
    assert pool.close() == []


def test_a_host_that_hangs_leaves_threads_of_one_that_is_asked_afterwards(go_on: threading.Event) -> None:
    pool = ThreadPool(1000)
    met(pool, "slow", "quick", "registry")
    hung = [Errand(f"r{number}", "slow", "registry", run=go_on.wait) for number in range(100)]
    assert all(map(pool.send, hung))
    for number in range(50):
        other = Errand(f"o{number}", "quick", "registry")
        assert pool.send(other)
        assert other.done.wait(SECONDS)
    until(lambda: begun(hung) >= OF_HOST)
    assert begun(hung) == OF_HOST
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in hung)
    pool.close()


def test_those_that_come_last_have_no_turn_before_the_others() -> None:
    pool, order, begin = ThreadPool(100, threads=1), list[str](), threading.Event()
    assert pool.send(Errand("first", "host", run=lambda: begin.wait(SECONDS)))
    errands = [Errand(name, "host", run=partial(order.append, name)) for name in "abcde"]
    for errand in errands[:4]:
        errand.last = True
    assert all(map(pool.send, errands))
    pool.hasten(errands[3])
    assert pool.take_back(errands[1])
    assert not pool.take_back(errands[1])
    begin.set()
    assert all(errands[number].done.wait(SECONDS) for number in (0, 2, 3, 4))
    assert (order, pool.waiting) == (["e", "d", "a", "c"], 0)
    pool.close()


def test_those_that_come_last_leave_room_for_others(go_on: threading.Event) -> None:
    pool = ThreadPool(16, threads=1)
    assert pool.send(first := Errand("a", "host", run=go_on.wait))
    assert first.begun.wait(SECONDS)
    late, others = ([Errand(f"{name}{number}", "host") for number in range(5)] for name in "lo")
    for errand in late:
        errand.last = True
    assert [pool.send(errand) for errand in (*late, *others)] == [*[True] * 4, False] * 2
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in (*late[:4], *others[:4]))
    pool.close()


def test_hosts_that_did_not_answer_leave_half_of_the_threads(go_on: threading.Event) -> None:
    pool = ThreadPool(10_000)
    met(pool, "quick")
    hung = [Errand(f"r{number}", f"strange{number % 100}", run=go_on.wait) for number in range(1000)]
    assert all(map(pool.send, hung))
    for number in range(50):
        other = Errand(f"o{number}", "quick")
        assert pool.send(other)
        assert other.done.wait(SECONDS)
    until(lambda: begun(hung) >= THREADS // 2)
    assert begun(hung) == THREADS // 2
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in hung)
    pool.close()


def test_a_host_that_was_silent_gets_few_threads_until_it_answers(go_on: threading.Event) -> None:
    pool = ThreadPool(1000)
    met(pool, "host", "other")
    silent = Errand("r", "host", "other")
    silent.heard["host"] = False
    assert pool.send(silent)
    assert silent.done.wait(SECONDS)
    until(lambda: pool.busy == 0)
    hung = [Errand(f"r{number}", "host", run=go_on.wait) for number in range(20)]
    others = [Errand(f"o{number}", "other", run=go_on.wait) for number in range(20)]
    assert all(map(pool.send, (*hung, *others)))
    until(lambda: pool.busy == OF_STRANGER + OF_HOST)
    until(lambda: begun(hung) >= OF_STRANGER)
    assert begun(hung) == OF_STRANGER
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in (*hung, *others))
    pool.close()


def test_repositories_that_hang_again_leave_the_threads_of_their_host(
    go_on: threading.Event,
) -> None:
    pool = ThreadPool(1000)
    for number in range(10):
        silent = Errand(f"r{number}", "host")
        silent.heard["host"] = False
        assert pool.send(silent)
        assert silent.done.wait(SECONDS)
        until(lambda: pool.busy == 0)
    met(pool, "host")
    hung = [Errand(f"r{number}", "host", run=go_on.wait) for number in range(10)]
    assert all(map(pool.send, hung))
    until(lambda: pool.busy == OF_STRANGER)
    hung[0].heard["host"] = hung[1].heard["host"] = False
    others = [Errand(f"o{number}", "host", run=go_on.wait) for number in range(20)]
    assert all(map(pool.send, others))
    until(lambda: pool.busy == OF_HOST)
    until(lambda: begun(hung) >= OF_STRANGER)
    assert begun(hung) == OF_STRANGER
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in (*hung, *others))
    pool.close()


def test_where_no_thread_can_be_begun_nobody_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError

    pool, go_on = ThreadPool(10), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert not pool.send(Errand("a", "host"))
        assert (pool.ready(), pool.threads) == ("no thread can be begun", 0)
    assert pool.ready() == ""
    assert pool.send(first := Errand("a", "host", run=go_on.wait))
    assert first.begun.wait(SECONDS)
    threads = pool.threads  # a second one, where the first was between its beginning and its first wait
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert pool.send(second := Errand("b", "host"))
        go_on.set()
        assert second.done.wait(SECONDS)
    assert (pool.threads, pool.close()) == (threads, [])


def test_a_mistake_ends_an_errand_and_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    def mistake() -> bool:
        raise ValueError

    pool = ThreadPool(10, threads=1)
    in_thread, beforehand, good = Errand("a", "host", run=mistake), Errand("b", "host"), Errand("c", "host")
    beforehand.may_begin = mistake  # type: ignore[method-assign]
    assert all(map(pool.send, (in_thread, beforehand, good)))
    assert all(event.wait(SECONDS) for event in (in_thread.failed, beforehand.done, good.done))
    assert (pool.threads, len(caplog.records)) == (1, 2)
    pool.close()


def test_a_repository_that_hangs_leaves_threads_of_its_host(go_on: threading.Event) -> None:
    pool = ThreadPool(1000)
    met(pool, "host")
    hung = [Errand("slow", "host", run=go_on.wait) for _ in range(100)]
    assert all(map(pool.send, hung))
    other = Errand("quick", "host")
    assert pool.send(other)
    assert other.done.wait(SECONDS)
    assert begun(hung) <= OF_REPOSITORY
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in hung)
    pool.close()


def test_what_may_not_begin_holds_no_thread_and_no_other_repository() -> None:
    pool = ThreadPool(10, threads=1)
    waits, other = Errand("a", "host"), Errand("b", "host")
    waits.may = False
    assert pool.send(waits)
    assert pool.send(other)
    assert other.done.wait(SECONDS)
    assert not waits.begun.is_set()
    waits.may = True
    pool.wake()
    assert waits.done.wait(SECONDS)
    pool.close()


def test_repositories_take_turns() -> None:
    pool, order, begin = ThreadPool(100, threads=1), list[str](), threading.Event()
    assert pool.send(Errand("first", "host", run=lambda: begin.wait(SECONDS)))
    errands = [Errand("many", "host", run=lambda: order.append("many")) for _ in range(5)]
    errands.append(Errand("one", "host", run=lambda: order.append("one")))
    assert all(map(pool.send, errands))
    begin.set()
    assert all(errand.done.wait(SECONDS) for errand in errands)
    assert order.index("one") == 1
    pool.close()


def test_so_many_wait_and_who_comes_then_is_told(go_on: threading.Event) -> None:
    pool = ThreadPool(8, threads=1)
    first = Errand("a", "host", run=go_on.wait)
    assert pool.send(first)
    assert first.begun.wait(SECONDS)
    waiting = [Errand(name, "host") for name in "aabb"]
    assert [pool.send(errand) for errand in waiting] == [True] * 4
    assert not pool.send(Errand("c", "host"))
    assert pool.send(more := Errand("c", "other"))
    assert pool.waiting == 5
    go_on.set()
    assert all(errand.done.wait(SECONDS) for errand in (*waiting, more))
    pool.close()
    assert not pool.send(Errand("d", "host"))


@pytest.fixture
def policy(world: World) -> Path:
    prepared(world.fake, world.base, __name__, lambda: _publish(world))
    return world.base / "policy.toml"


def _publish(world: World) -> None:
    owner = owned(world)
    for gun in (GUN, OTHER):
        for number in range(20):
            world.push(str(number), path=gun.partition("/")[2])
        owner.client().sign([f"{gun}:{number}" for number in range(20)], init=True)
    write_policy(world.base / "policy.toml", *(pinned(pin_of(owner, gun), gun) for gun in (GUN, OTHER)))


def hang(world: World, fits: Callable[[str], bool]) -> threading.Event:
    """Have requests that fit wait until what is returned is set."""
    go_on = threading.Event()

    def wait(request: Request) -> Response | None:
        if fits(request.url):
            go_on.wait(SECONDS)
        return None

    world.fake.before.append(wait)
    return go_on


def test_tags_wait_for_the_one_refresh_and_hold_no_threads(world: World, policy: Path) -> None:
    go_on = hang(world, lambda url: f"{GUN}/_trust" in url)
    with closing(verifier(world, policy)) as service:
        hung = [service.ask(f"{GUN}:{number}") for number in range(20)]
        assert all(service.ask(f"{OTHER}:{number}").result(SECONDS).ok for number in range(20))
        until(lambda: service.inquiries.pool.busy == 1)
        assert not any(future.done() for future in hung)
        go_on.set()
        assert all(future.result(SECONDS).ok for future in hung)
        assert service.looks == 2


def test_a_registry_that_hangs_for_one_repository_leaves_the_others(world: World, policy: Path) -> None:
    go_on = hang(world, lambda url: f"/v2/{GUN.partition('/')[2]}/" in url)
    with closing(verifier(world, policy)) as service:
        hung = [service.ask(f"{GUN}:{number}") for number in range(20)]
        assert all(service.ask(f"{OTHER}:{number}").result(SECONDS).ok for number in range(20))
        until(lambda: service.inquiries.pool.busy <= OF_REPOSITORY)
        go_on.set()
        assert all(future.result(SECONDS).ok for future in hung)


def test_what_is_too_much_is_refused_and_not_kept(world: World, policy: Path) -> None:
    go_on = hang(world, lambda url: f"{GUN}/_trust" in url)
    with closing(verifier(world, policy, limits=Limits(waiting_questions=8))) as service:
        futures = [service.ask(f"{GUN}:{number}") for number in range(20)]
        refused = [future.result(0).image for future in futures if future.done()]
        assert len(refused) in {17, 18}
        assert all(isinstance(error, BusyError) for error in refused)
        go_on.set()
        assert all(future.result(SECONDS) for future in futures)
        assert all(service.ask(f"{GUN}:{number}").result(SECONDS).ok for number in range(20))


def test_what_waited_too_long_is_refused_when_its_turn_comes(world: World, policy: Path) -> None:
    go_on, ticks = hang(world, lambda url: f"{GUN}/_trust" in url), Ticks()
    with closing(verifier(world, policy, ticks=ticks)) as service:
        hung = [service.ask(f"{GUN}:{number}") for number in range(20)]
        until(lambda: service.inquiries.pool.busy == 1)
        ticks.now += 31
        go_on.set()
        late = [future.result(SECONDS).image for future in hung]
        assert sum(isinstance(error, BusyError) for error in late) >= 19
        assert service.ask(f"{GUN}:7").result(SECONDS).ok  # nothing of that is kept


def test_however_many_wait_for_one_image_wait_together(world: World, policy: Path) -> None:
    go_on = hang(world, lambda url: f"{GUN}/_trust" in url)
    with closing(verifier(world, policy, max_age=0)) as service:
        futures = [service.ask(f"{GUN}:1") for _ in range(1000)]
        until(lambda: service.inquiries.pool.busy == 1)
        futures += [service.ask(f"{GUN}:1") for _ in range(1000)]
        assert len(set(futures)) <= 2
        go_on.set()
        assert all(future.result(SECONDS).ok for future in futures)


def test_what_nobody_waits_for_any_more_is_not_begun(world: World, policy: Path) -> None:
    go_on = hang(world, lambda url: f"{GUN}/_trust" in url)
    with closing(verifier(world, policy)) as service:
        futures = {service.ask(f"{GUN}:{number}", number=number) for number in range(20)}
        until(lambda: service.inquiries.pool.busy == 1)
        again = service.ask(f"{GUN}:7")
        for _ in range(2):
            asyncio.run(all_done(futures - {again}, 0))
        asyncio.run(all_done({again}, 0))
        assert service.inquiries.pool.waiting == 1
        go_on.set()
        assert again.result(SECONDS).ok
        assert service.ask(f"{GUN}:8").result(SECONDS).ok


def test_a_mistake_of_ours_is_a_refusal(world: World, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(verifier(world, policy)) as service:
        with monkeypatch.context() as patch:
            patch.setattr(service.inquiries, "too_late", lambda _: 1 / 0)
            found = [service.ask(f"{GUN}:{number}") for number in range(20)]
            assert not any(future.result(SECONDS).ok for future in found)
        assert service.ask(f"{GUN}:1").result(SECONDS).ok


@pytest.mark.slow
def test_nothing_adds_up_over_thousands_of_questions(world: World, policy: Path) -> None:
    threads = threading.active_count()
    with closing(verifier(world, policy, limits=Limits(kept_verdicts=8, kept_repositories=1))) as service:
        for _ in range(100):
            futures = [service.ask(f"{gun}:{number}") for gun in (GUN, OTHER) for number in range(20)]
            assert all(future.result(SECONDS).ok for future in futures)
        numbers = service.numbers()
        assert (numbers["kept_verdicts"], numbers["kept_repositories"]) == (8, 1)
        # One more may be begun while another is about to be free: it has answered, and has not said so yet.
        assert service.inquiries.pool.threads <= 2 * OF_HOST
        assert threading.active_count() <= threads + 2 * OF_HOST
        assert numbers["kept_metadata_bytes"] < 1 << 20
    assert threading.active_count() <= threads
