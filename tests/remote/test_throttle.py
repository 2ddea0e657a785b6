"""How many requests one server gets at a time: one with little room gets fewer, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from notarypy.client.workers import outcomes
from notarypy.errors import NetworkError, ServerError, UnreachableError
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.throttle import AT_FIRST, MOST, Throttle
from notarypy.remote.http.transport import Exchange, RequestPolicy

if TYPE_CHECKING:
    from notarypy.remote.http.throttle import Passage

URL = "https://server.test/v2/"
OK = Response(200, {}, b"done")
Refusal = Callable[[], Response]


def with_status(status: int, **headers: str) -> Refusal:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: Response(status, named)


def refused() -> Response:
    raise UnreachableError("cannot connect", reason="refused")


def reset() -> Response:
    raise failures.lost("server.test", ConnectionResetError(104, "reset"))


class Narrow:
    """A server that answers so many requests at a time, and refuses the others.

    Attributes:
        most: The most that were under way at once, the refused ones included.
        refusals: How many were refused.
        answered: The URLs that were answered.
    """

    def __init__(self, room: int, refusal: Refusal, seconds: float = 0.004) -> None:
        self.room, self.refusal, self.seconds = room, refusal, seconds
        self.inside = self.under_way = self.most = self.refusals = 0
        self.answered: list[str] = []
        self.sent: list[str] = []
        self.lock = threading.Lock()

    def send(self, request: Request, deadline: float) -> Response:
        assert deadline > time.monotonic()
        with self.lock:
            self.sent.append(request.method)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            full = self.inside >= self.room
            self.inside += not full
            self.refusals += full
        try:
            time.sleep(0.001 if full else self.seconds)
            if full:
                return self.refusal()
            self.answered.append(request.url)
            return OK
        finally:
            with self.lock:
                self.under_way -= 1
                self.inside -= not full

    def close(self) -> None:
        """Nothing is open."""


class Bucket(Narrow):
    """A server that answers so many requests a second."""

    def __init__(self, rate: float, refusal: Refusal) -> None:
        super().__init__(99, refusal)
        self.rate, self.tokens, self.filled = rate, 2.0, time.monotonic()

    def send(self, request: Request, deadline: float) -> Response:
        with self.lock:
            now = time.monotonic()
            self.tokens = min(2.0, self.tokens + (now - self.filled) * self.rate)
            self.filled = now
            self.room = 99 if self.tokens >= 1 else 0
            self.tokens -= self.tokens >= 1
        return super().send(request, deadline)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notarypy.remote.http.attempts.backoff", lambda attempt: 0.002 * 2.0**attempt)


def all_of(exchange: Exchange, count: int, method: str = "GET") -> list[NetworkError | None]:
    """Send so many requests from many threads, and return what each failed with."""
    calls = [partial(exchange.send, Request(method, f"{URL}{n}", {}, None)) for n in range(count)]
    found = [one.error for one in outcomes(calls, 16)]
    assert all(error is None or isinstance(error, NetworkError) for error in found), found
    return found  # type: ignore[return-value]  # as was just asserted


REFUSALS: dict[str, Refusal] = {
    "429": with_status(429),
    "429 with Retry-After": with_status(429, retry_after="0"),
    "503": with_status(503),
    "refused": refused,
    "reset": reset,
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("room", [1, 2, 4])
def test_a_server_with_little_room_gets_fewer_and_answers_all(room: int, refusal: Refusal) -> None:
    server = Narrow(room, refusal)
    assert all_of(Exchange(server, timeout=30), 120) == [None] * 120
    assert sorted(server.answered) == sorted(f"{URL}{n}" for n in range(120))
    assert server.most <= MOST
    assert server.refusals < 120  # of some are the tries whether there is more room by now


@pytest.mark.parametrize("refusal", [REFUSALS["429"], REFUSALS["503"]])
def test_a_server_that_counts_seconds_answers_all(refusal: Refusal) -> None:
    server = Bucket(100, refusal)
    assert all_of(Exchange(server, timeout=30), 60) == [None] * 60


def test_a_server_with_room_gets_so_many_and_after_its_first_answer_only() -> None:
    server = Narrow(99, refused)
    seen: list[int] = []
    first = threading.Event()
    send = server.send

    def until_all_are_there(request: Request, deadline: float) -> Response:
        if not first.is_set():
            with server.lock:
                seen.append(1)
            time.sleep(0.05)
            first.set()
        return send(request, deadline)

    server.send = until_all_are_there  # type: ignore[method-assign]  # to look at the beginning
    assert all_of(Exchange(server, timeout=30), 60) == [None] * 60
    assert len(seen) <= AT_FIRST
    assert server.most <= MOST


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_who_refuses_everything_is_asked_hardly_more_often_than_by_one_thread(refusal: Refusal) -> None:
    server = Narrow(0, refusal)
    found = all_of(Exchange(server, timeout=30), 12)
    assert all(found)
    # Some are taken for a crowd, where another one that will be refused too is under way just then.
    assert 12 * 4 <= len(server.sent) <= 12 * 6


def test_what_may_not_be_repeated_is_sent_once_unless_it_certainly_was_not() -> None:
    server = Narrow(1, refused)
    assert all_of(Exchange(server, timeout=30), 40, "POST") == [None] * 40
    for refusal in (reset, with_status(429), with_status(503)):
        server = Narrow(1, refusal)
        found = all_of(Exchange(server, timeout=30), 40, "POST")
        assert any(found)
        assert len(server.sent) == 40
    gone = Narrow(0, refused)
    assert all(all_of(Exchange(gone, timeout=30), 1, "POST"))
    assert len(gone.sent) == 1


def test_waiting_for_others_takes_nothing_of_the_time_that_a_request_has() -> None:
    server = Narrow(1, with_status(429), seconds=0.05)
    assert all_of(Exchange(server, timeout=0.5), 30) == [None] * 30  # 1.5 seconds in all


def test_who_is_refused_because_of_others_waits_as_long_as_asked() -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(0.01)

    server = Narrow(2, with_status(429, retry_after="9"))
    assert all_of(Exchange(server, timeout=30, sleep=sleep), 30) == [None] * 30
    assert set(slept) == {9.0}
    alone = Narrow(0, with_status(429, retry_after="9"))
    with pytest.raises(ServerError, match="429"):
        Exchange(alone, timeout=30, sleep=sleep).send(Request("GET", URL))
    assert len(alone.sent) == 1


def test_while_one_waits_nobody_is_let_through() -> None:
    resting, sent_meanwhile = threading.Event(), list[str]()

    def sleep(_: float) -> None:
        resting.set()
        time.sleep(0.05)
        resting.clear()

    class Watched(Narrow):
        def send(self, request: Request, deadline: float) -> Response:
            if resting.is_set():
                sent_meanwhile.append(request.url)
            return super().send(request, deadline)

    server = Watched(4, with_status(429, retry_after="1"))
    assert all_of(Exchange(server, timeout=30, sleep=sleep), 20) == [None] * 20
    assert sent_meanwhile == []


def test_bodies_that_flow_wait_for_no_others() -> None:
    # An upload that is fed by a download from the same server would wait for ever.
    server = Narrow(99, refused)
    exchange = Exchange(server, timeout=30)

    class Feeding:
        def __len__(self) -> int:
            return 1

        def __iter__(self) -> object:
            yield exchange.send(Request("GET", f"{URL}inner", {}, None)).body

    def send(request: Request, deadline: float) -> Response:
        if request.method == "PUT":
            list(request.body or ())
        return Narrow.send(server, request, deadline)

    server.send = send  # type: ignore[method-assign]  # which reads the body, as a real one does
    calls = [partial(exchange.send, Request("PUT", URL, {}, Feeding())) for _ in range(30)]  # type: ignore[arg-type]  # yields what send returns
    assert [one.error for one in outcomes(calls, 30)] == [None] * 30


def test_whoever_is_no_longer_wanted_leaves() -> None:
    class GoneError(Exception):
        pass

    def check() -> None:
        raise GoneError

    server = Narrow(99, refused)
    with pytest.raises(GoneError):
        Exchange(server, timeout=30, check=check).send(Request("GET", URL))
    assert server.sent == []


def passing(throttle: Throttle) -> Passage:
    found = throttle.passage(flows=False)
    throttle.enter(found, lambda: None)
    return found


class Turn(threading.Condition):
    """A condition whose first waiter lets another one go by, and must have heard of it."""

    def __init__(self, others: Callable[[], None]) -> None:
        super().__init__()
        self.others, self.heard = others, False

    def notify_all(self) -> None:
        """Note that who waits would look again."""
        self.heard = True
        super().notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Let the others go by, instead of waiting."""
        assert timeout
        self.heard = False
        self.others()
        assert self.heard, "it sleeps on, though it is the next"
        return True


def test_who_has_been_let_through_wakes_the_next_in_line() -> None:
    throttle = Throttle("server.test")
    first, second = throttle.passage(flows=False), throttle.passage(flows=False)
    throttle._waiting.add(first.number)  # noqa: SLF001 - it has been waiting, and has yet to see that there is room
    throttle._changed = Turn(lambda: throttle.enter(first, lambda: None))  # noqa: SLF001 - without threads and a clock
    throttle.enter(second, lambda: None)
    assert throttle._under_way == {first, second}  # noqa: SLF001 - there is room for both


def test_fewer_go_through_after_a_refusal_and_more_again_after_good_answers() -> None:
    throttle = Throttle("server.test")
    throttle.leave(passing(throttle), good=True)

    def room() -> int:
        found: list[Passage] = []
        while len(found) < throttle._most:  # noqa: SLF001 - it would wait for ever
            found.append(passing(throttle))
        for one in found:
            throttle.leave(one, good=False)
        return len(found)

    def crowd() -> None:
        first, second, third = (passing(throttle) for _ in range(3))
        for refused_one in (second, third):
            throttle.leave(refused_one, good=False)
        assert throttle.may_be_crowded(second)
        assert throttle.is_crowded(second)  # the first is still being answered
        throttle.leave(first, good=True)
        assert throttle.is_crowded(third)  # it was answered; for the same crowd room is made once

    assert room() == MOST
    crowd()
    assert room() == MOST // 2
    for _ in range(15):
        throttle.leave(passing(throttle), good=True)
    assert room() == MOST // 2 + 1
    crowd()
    assert room() == MOST // 2
    for _ in range(31):
        throttle.leave(passing(throttle), good=True)
    assert room() == MOST // 2 + 1
    crowd()
    assert room() == MOST // 2


def test_a_refusal_where_nobody_else_is_answered_makes_no_room() -> None:
    throttle = Throttle("server.test")
    first, second = passing(throttle), passing(throttle)
    for one in (first, second):
        throttle.leave(one, good=False)
    assert throttle.may_be_crowded(first)
    assert not throttle.is_crowded(first)
    alone = passing(throttle)
    throttle.leave(alone, good=False)
    assert not throttle.may_be_crowded(alone)


class Breaking:
    """A server that breaks its first answer off, after some of it, when another request has been answered."""

    def __init__(self) -> None:
        self.exchange = Exchange(self, timeout=30)
        self.sent: list[str] = []

    def send(self, request: Request, deadline: float) -> Response:
        assert deadline > time.monotonic()
        self.sent.append(request.url)
        if request.sink is not None:
            request.sink.begin(200, {})(b"begun")
            self.exchange.send(Request("GET", f"{URL}other", {}, None))
            raise failures.lost("server.test", ConnectionResetError(104, "reset"))
        return OK

    def close(self) -> None:
        """Nothing is open."""


class Taken(list[bytes]):
    def begin(self, status: int, headers: object) -> Callable[[bytes], object]:
        assert (status, headers) == (200, {})
        return self.append


def test_an_answer_that_began_is_no_refusal_whatever_others_get() -> None:
    server, taken = Breaking(), Taken()
    request = Request("GET", f"{URL}blob", sink=taken)
    with pytest.raises(NetworkError):
        server.exchange.send(request, policy=RequestPolicy(attempts=1))
    assert taken == [b"begun"]
    assert server.sent == [f"{URL}blob", f"{URL}other"]
