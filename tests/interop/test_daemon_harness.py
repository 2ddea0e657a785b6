"""The docker daemon of the tests: it comes up, and nothing of it stays."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.people import Person


def processes_in(folder: str) -> list[bytes]:
    """Return the command lines of all processes that were told of this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if folder.encode() in line:
            found.append(line)
    return found


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let daemons keep their things in a folder of this test's own, with a short path as sockets want it."""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_it_runs_and_ends(alice: Person, temporary: Path) -> None:
    with daemon.running(temporary / "log") as host:
        version = alice.docker("version", "--format", "{{.Server.Version}}", DOCKER_HOST=host).expect(0)
        assert version.stdout.strip()
        assert processes_in(str(temporary))
    assert processes_in(str(temporary)) == []
    assert [path.name for path in temporary.iterdir()] == ["log"]


def test_it_leaves_nothing_when_a_test_fails(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), daemon.running(temporary / "log"):
        raise ZeroDivisionError
    assert processes_in(str(temporary)) == []


def test_it_leaves_no_containerd_when_killed(temporary: Path) -> None:
    with daemon.running(temporary / "log") as host:
        folder = Path(host.removeprefix("unix://")).parent
        os.kill(int((folder / "docker.pid").read_text()), signal.SIGKILL)
    end = time.monotonic() + 5
    while processes_in(str(temporary)) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes_in(str(temporary)) == []


def test_it_says_why_it_does_not_start(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_FLAGS", ("--no-such-flag",))
    with pytest.raises(RuntimeError, match="no-such-flag"), daemon.running(temporary / "log"):
        raise AssertionError
    assert processes_in(str(temporary)) == []


def test_it_says_what_is_missing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interop.harness.programs.SEARCH_PATH", "/nonexistent")
    with (
        pytest.raises(LookupError, match="dockerd is not installed: run scripts/test"),
        daemon.running(temporary / "log"),
    ):
        raise AssertionError
