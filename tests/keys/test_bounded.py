"""A bound on a question that somebody else asks: time, threads, errors, processes."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar

import pytest

from notarypy.errors import DeadlineError, ServerError
from notarypy.keys.signers import bounded as module
from notarypy.keys.signers.bounded import bounded
from notarypy.keys.signers.services import PerProcess

_SAID: ContextVar[str] = ContextVar("said", default="")
SECONDS = 60.0  # for what comes at once, however busy the machine is


@pytest.fixture(autouse=True)
def _nobody_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without threads: one that an earlier test left behind may become idle at any time."""
    monkeypatch.setattr(module, "_IDLE", PerProcess[list[object]](list))


def test_rule_1_who_does_not_end_is_left_behind() -> None:
    ends = threading.Event()
    try:
        with pytest.raises(DeadlineError, match="the service did not answer in time") as caught:
            bounded("the service", lambda _: ends.wait(30))(0.01)
        assert caught.value.why == ("it was waited for, 0.01 seconds at most",)
        assert bounded("the service", lambda seconds: seconds)(SECONDS) == SECONDS  # another one asks
    finally:
        ends.set()


def test_rule_2_the_same_thread_asks_again() -> None:
    asked = bounded("the service", lambda _: threading.get_ident())
    assert asked(SECONDS) == asked(SECONDS) != threading.get_ident()


@pytest.mark.parametrize("error", [ServerError("no"), TimeoutError("slow"), SystemExit(0)])
def test_what_the_library_raises_is_raised_here(error: BaseException) -> None:
    def ask(_: float) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        bounded("the service", ask)(SECONDS)
    assert caught.value is error


def test_who_asks_is_in_the_same_context() -> None:
    _SAID.set("this")
    assert bounded("the service", lambda _: _SAID.get())(SECONDS) == "this"


def test_rule_3_a_fork_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = bounded("the service", lambda _: threading.get_ident())
    mine = asked(SECONDS)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert asked(SECONDS) != mine
