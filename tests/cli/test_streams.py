"""Standard streams that do not wait, as node and ssh leave them: all is written, and all is read."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from notarypy import system

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

STARTS = {
    "notarypy": "from notarypy.cli.main import main; main()",
    "notary": "from notarypy.cli.main import notary; notary()",
    "docker-trust": "from notarypy.cli.main import docker_trust; docker_trust()",
}
LINES = [
    ("notarypy", "--version"),
    ("notarypy", "--help"),
    ("notarypy", "completion", "bash"),
    ("notarypy", "--json", "key", "list"),
    ("notarypy", "notary", "completion", "bash"),
    ("notary", "help"),
    ("notary", "version"),
    ("docker-trust", "--help"),
    ("docker-trust", "docker-cli-plugin-metadata"),
    ("docker-trust", "__complete", "trust", ""),
]


def command(program: str, *words: str) -> list[str]:
    """Return what starts a program with Python."""
    return [sys.executable, "-c", f"import sys; sys.argv[0] = {program!r}; {STARTS[program]}", *words]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return what a program gets of the environment."""
    return {"HOME": str(home), "PATH": os.defpath, **more}


def late(line: tuple[str, ...], stream: str, env: dict[str, str]) -> tuple[int, bytes]:
    """Run a program one of whose streams is full and does not wait; return what arrives in the end."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    full = 0
    with suppress(BlockingIOError):
        while True:
            full += os.write(into, bytes(4096))
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: into}
    with subprocess.Popen(command(*line), env=env, stdin=subprocess.DEVNULL, **streams) as started:  # type: ignore[call-overload]
        os.close(into)
        with suppress(subprocess.TimeoutExpired):
            started.wait(0.7)  # nobody reads until it has had the time to give up
        with os.fdopen(out, "rb") as reader:
            found = reader.read()[full:]
        return started.wait(), found


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_results_wait_for_their_reader(line: tuple[str, ...], unbuffered: str, tmp_path: Path) -> None:
    env = environment(tmp_path, PYTHONUNBUFFERED=unbuffered)
    expected = subprocess.run(command(*line), env=env, capture_output=True, check=True).stdout
    assert expected
    assert late(line, "stdout", env) == (0, expected)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", LINES[1:], ids=" ".join)
def test_results_that_have_room_in_part_are_no_success(
    line: tuple[str, ...], unbuffered: str, tmp_path: Path
) -> None:
    """Unbuffered, Python leaves out what the system did not take."""
    started = command(*line)
    started[2] = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5)); {started[2]}"
    env = environment(tmp_path, PYTHONUNBUFFERED=unbuffered, PYTHONDONTWRITEBYTECODE="1")
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(started, env=env, stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, (tmp_path / "out").stat().st_size) == (1, 5)
    assert b"Traceback" not in done.stderr
    assert b"unexpected" not in done.stderr


def test_errors_wait_for_their_reader(tmp_path: Path) -> None:
    line, env = ("notarypy", "verify", "x"), environment(tmp_path)
    expected = subprocess.run(command(*line), env=env, capture_output=True, check=False)
    assert late(line, "stderr", env) == (expected.returncode, expected.stderr)


@pytest.mark.parametrize("line", LINES[-2:], ids=" ".join)
def test_what_docker_asks_is_no_success_where_nothing_can_be_written(
    line: tuple[str, ...], tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(command(*line), env=environment(tmp_path), stdout=full, check=False)
    assert done.returncode == 1


def test_standard_input_waits_for_its_writer(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)
    line = command("notarypy", "--json", "pin", "-")
    with subprocess.Popen(
        line, env=environment(tmp_path), stdin=out, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as started:
        os.close(out)
        with suppress(subprocess.TimeoutExpired):
            started.wait(0.7)
        for _ in range(2):
            with suppress(BrokenPipeError):
                os.write(into, b"FROM scratch\n" * 5000)
        os.close(into)
        shown = started.communicate()[0]
    alike = subprocess.run(
        line, env=environment(tmp_path), input=b"FROM scratch\n" * 10000, capture_output=True, check=False
    )
    assert (started.returncode, shown) == (alike.returncode, alike.stdout + alike.stderr)


def test_a_stream_that_somebody_has_replaced_stays(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    system.wait_for_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == ""


def test_a_big_number_is_waited_for_too() -> None:
    out, into = os.pipe()
    os.dup2(out, 2000)
    os.write(into, b"x")
    system.wait_for(2000)
    assert os.read(2000, 1) == b"x"
    for each in (out, into, 2000):
        os.close(each)
