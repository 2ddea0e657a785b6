"""What holds for every test: none is skipped, for a skipped test is a check that did not happen."""

from __future__ import annotations

import gc
import re
import signal
from itertools import count
from typing import TYPE_CHECKING

import pytest

from notarypy.keys.formats import cosignkey, pkcs8

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_NUMBERS = count()


def pytest_configure() -> None:
    """Let programs that tests start hear signals that a background job ignores, and one under nohup."""
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage as seldom as the programs do, and never among the tests that were collected."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(100_000)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.passed:
        report.keywords = {}  # they go from process to process, and nobody reads them
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, which counts as failed: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped":
        report.outcome, report.longrepr = "failed", f"skipped, which counts as failed: {report.longrepr}"
    return report


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty directory, named by a counter; pytest reads the names of all others to find one."""
    name = re.sub(r"\W", "_", request.node.name)[:26]
    path = tmp_path_factory.getbasetemp() / f"{name}{next(_NUMBERS)}"
    path.mkdir(0o700)
    return path


@pytest.fixture(scope="session")
def rounds_of_key_files() -> tuple[int, tuple[int, ...]]:
    """Return how many rounds key files take outside of tests: ours, and those of cosign."""
    return pkcs8.ROUNDS, vars(cosignkey)["_ROUNDS"]


@pytest.fixture(scope="session", autouse=True)
def _quick_key_files(rounds_of_key_files: tuple[int, tuple[int, ...]]) -> Iterator[None]:
    """Write key files of few rounds, which are read as quickly; others are read as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pkcs8, "ROUNDS", 1000)
        patch.setattr(cosignkey, "_ROUNDS", (1024, *rounds_of_key_files[1]))
        yield


@pytest.fixture
def usual_rounds(rounds_of_key_files: tuple[int, tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write key files of as many rounds as outside of tests."""
    monkeypatch.setattr(pkcs8, "ROUNDS", rounds_of_key_files[0])
    monkeypatch.setattr(cosignkey, "_ROUNDS", rounds_of_key_files[1])
