"""`scripts/demo` and `scripts/test`, with programs in the place of others that only note what is wanted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
PYTHON = """#!/bin/sh
case "$*" in
"-m venv .venv")
  echo venv >>log
  mkdir -p .venv/bin
  cp inner .venv/bin/python
  [ ! -e interrupt ] || { rm interrupt; exit 1; }
  touch .venv/pip
  ;;
esac
"""
INNER = """#!/bin/sh
case "$*" in
"-m pip --version") [ -e .venv/pip ] ;;
"-m pip install"*) [ -e .venv/pip ] && touch .venv/installed ;;
"-c import notarypy, werkzeug") [ -e .venv/installed ] ;;
"-m notarypy demo"*) echo "$*" >>log ;;
esac
"""


class Checkout:
    """A folder with the script, where `python3` notes what it does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.venv = path / ".venv"
        for name in ("scripts", "bin"):
            (path / name).mkdir()
        shutil.copy(SCRIPTS / "demo", path / "scripts" / "demo")
        for name, text in (("bin/python3", PYTHON), ("inner", INNER)):
            (path / name).write_text(text)
            (path / name).chmod(0o755)

    def demo(self) -> int:
        """Run the script and return its exit code."""
        environment = {"PATH": f"{self.path / 'bin'}:/usr/bin:/bin"}
        done = subprocess.run([self.path / "scripts/demo"], env=environment, check=False, timeout=30)
        return done.returncode

    def log(self) -> list[str]:
        """Return what was done since the last time."""
        lines = (self.path / "log").read_text().splitlines()
        (self.path / "log").unlink()
        return lines


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["-h"], 0), (["--version"], 1), ([], 1)])
def test_options_are_no_folder_for_packages(words: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [SCRIPTS / "packages", *words], cwd=tmp_path, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == code
    assert b"usage: scripts/packages DIR [COMMIT]" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["demo", "setup", "test"])
def test_what_installs_says_first_what_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / name, tmp_path / "scripts" / name)
    done = subprocess.run(
        [tmp_path / "scripts" / name, "--help"], capture_output=True, check=True, timeout=30
    )
    assert len(done.stdout.splitlines()) > 1
    assert b"#" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["scripts"]


@pytest.mark.parametrize("name", ["check", "site"])
def test_what_needs_tools_says_how_to_have_them(name: str, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / name, tmp_path / "scripts" / name)
    done = subprocess.run([tmp_path / "scripts" / name], capture_output=True, check=False, timeout=30)
    assert (done.returncode, b"scripts/setup" in done.stderr) == (1, True)


def test_what_cannot_be_written_or_built_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (
        ["manpages", str(tmp_path / "file")],
        ["packages", str(tmp_path / "new"), "v0.0.0-none"],
        ["single-file", "--wheel", "none.whl"],
    ):
        done = subprocess.run([SCRIPTS / words[0], *words[1:]], capture_output=True, check=False, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith(f"{words[0]}: ".encode())
        assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_demonstration_installs_once(checkout: Checkout) -> None:
    assert checkout.demo() == 0
    assert checkout.log() == ["venv", "-m notarypy demo"]
    assert checkout.demo() == 0
    assert checkout.log() == ["-m notarypy demo"]


def test_an_interrupted_installation_is_made_anew(checkout: Checkout) -> None:
    (checkout.path / "interrupt").touch()
    assert checkout.demo() != 0
    (checkout.venv / "half of pip").touch()
    assert checkout.demo() == 0
    assert checkout.log() == ["venv", "venv", "-m notarypy demo"]
    assert not (checkout.venv / "half of pip").exists()


def test_an_environment_without_pip_gets_it_and_loses_nothing(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    shutil.copy(checkout.path / "inner", checkout.venv / "bin" / "python")
    (checkout.venv / "mine").touch()
    assert checkout.demo() == 0
    assert checkout.log() == ["venv", "-m notarypy demo"]
    assert (checkout.venv / "mine").exists()


def test_both_scripts_make_it_the_same_way() -> None:
    def function(name: str) -> str:
        return (SCRIPTS / name).read_text().partition("\nvenv() {")[2].partition("\n}\n")[0]

    assert function("demo") == function("setup") != ""


# The check holds the output open while it lives: whoever reads that to its end has seen both end.
SETUP = """#!/bin/sh
[ "${1-}" != --no-servers ] || exit 0
until [ -e checking ]; do sleep 0.05; done
echo ready
exec %s
"""
CHECK = """#!/bin/sh
: >checking
sleep 100
"""


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_is_checked_meanwhile_ends_with_the_tests(tmp_path: Path, interrupted: bool) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "test", tmp_path / "scripts" / "test")
    for name, text in (("setup", SETUP % ("sleep 100" if interrupted else "false")), ("check", CHECK)):
        (tmp_path / "scripts" / name).write_text(text)
        (tmp_path / "scripts" / name).chmod(0o755)
    with subprocess.Popen(
        [tmp_path / "scripts" / "test"], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if interrupted:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == (-signal.SIGINT if interrupted else 1)
