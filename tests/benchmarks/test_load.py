"""The load: when requests are sent, and what counts as an answer."""

from __future__ import annotations

import array
import contextlib
import marshal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import load, serving
from benchmarks.load import Arrivals, Plan, Reader, Request, UnexpectedAnswerError
from benchmarks.processes import ProgramFailedError
from support import loopback

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nyes yes"
GET = b"GET / HTTP/1.1\r\n\r\n"


def plan(port: int = 0, *requests: Request, connections: int = 2, rate: float = 0.0, most: int = 10) -> Plan:
    """Return a plan for a server on loopback."""
    return Plan(f"localhost:{port}", "", requests, connections, rate, load.PATIENCE, most)


@contextlib.contextmanager
def serving_answers(answer: bytes = ANSWER) -> Iterator[loopback.Server]:
    """Run a server that says the same to everybody."""

    def say(_: bytes, sock: socket.socket) -> None:
        sock.sendall(answer)

    server = loopback.Server(say, None)
    try:
        yield server
    finally:
        server.close()


def test_an_answer_is_whole_with_its_last_byte() -> None:
    reader = Reader()
    for _ in range(2):
        parts = [reader.take(bytes([byte])) for byte in ANSWER]
        assert parts == [*[None] * (len(ANSWER) - 1), b"yes yes"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ANSWER + b"H",
    ],
)
def test_what_is_no_good_answer_ends_everything(answer: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        Reader().take(answer)


def test_requests_arrive_at_their_rate_however_late_it_is() -> None:
    arrivals = Arrivals(plan(rate=10.0, most=3), 100.0)
    due = []
    while (when := arrivals.due(now=500.0)) is not None:
        due.append(when)
        arrivals.begun()
    assert due == [100.0, 100.1, 100.2]


def test_without_a_rate_the_next_request_is_due_now_until_the_time_is_over() -> None:
    arrivals = Arrivals(plan(most=0), 100.0)
    assert arrivals.due(101.0) == 101.0
    arrivals.begun()
    assert arrivals.due(100.0 + load.PATIENCE) is None


@pytest.mark.parametrize("rate", [0.0, 2000.0])
def test_every_request_is_answered_on_kept_connections(rate: float) -> None:
    with serving_answers() as server:
        answers = serving.asked(plan(server.port, Request(GET, b"yes", 2), rate=rate, most=20))
        assert len(answers.times) == len(server.heads) == 20
        assert server.connections == 2
    assert list(answers.times) == sorted(answers.times)
    assert answers.quantile(0.0) == answers.times[0]
    assert answers.quantile(1.0) == answers.times[-1]


def test_requests_are_sent_in_turn() -> None:
    with serving_answers() as server:
        both = [Request(GET.replace(b"/ ", path), b"yes", 2) for path in (b"/a ", b"/b ")]
        serving.asked(plan(server.port, *both, connections=1, most=3))
        assert [head.split()[1] for head in server.heads] == [b"/a", b"/b", b"/a"]


def test_a_request_that_waits_for_a_connection_counts_from_its_arrival() -> None:
    with serving_answers() as server:
        given = plan(server.port, Request(GET, b"yes", 2), connections=1, rate=1e6, most=50)
        times = array.array("d", load.run(given).times)
    # All are due at once, and the only connection takes one after the other.
    assert list(times) == sorted(times)


def test_an_answer_that_does_not_say_what_it_must_fails_the_load() -> None:
    with serving_answers() as server, pytest.raises(ProgramFailedError, match="not 3 times b'yes'"):
        serving.asked(plan(server.port, Request(GET, b"yes", 3)))


def test_the_load_needs_nothing_but_a_bare_interpreter() -> None:
    with serving_answers() as server:
        given = load.packed(plan(server.port, Request(GET, b"yes", 2), most=1))
        argv = [sys.executable, "-I", "-S", str(serving.LOAD)]
        run = subprocess.run(argv, input=given, capture_output=True, check=True, timeout=60)
    assert len(load.Answered(*marshal.loads(run.stdout)).times) == array.array("d").itemsize
