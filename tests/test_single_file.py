"""`scripts/single-file` and how the file starts, with packages of two lines in the place of real ones."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.scriptmodules import SCRIPTS, loaded

pytestmark = pytest.mark.slow

SHOWN = 'def {}():\n    print("{}", os.path.dirname(__file__), *sys.argv[1:])\n'
STARTS = (("main", "notarypy"), ("notary", "notary"), ("docker_trust", "docker-trust"))
MODULES = {
    "notarypy/__init__.py": "",
    "notarypy/cli/__init__.py": "",
    "notarypy/cli/main.py": "import os, sys\n" + "".join(SHOWN.format(*each) for each in STARTS),
}


maker = loaded("single-file")
starter = loaded("singlefile/notarypy_single_file.py")


class Home:
    """A person's home, and a single file in it."""

    def __init__(self, path: Path, *, kind: str = "") -> None:
        self.path, self.cache = path, path / ".cache" / "notarypy"
        self.file = path / "notarypy.pyz"
        path.mkdir(mode=0o755)
        wheel = path / "notarypy-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as written:
            for name, text in MODULES.items():
                written.writestr(name, text)
        maker.write(self.file, [(kind or starter.target(), wheel)])
        wheel.unlink()

    def start(self, *words: str, file: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        given = {"HOME": str(self.path), "TMPDIR": str(self.path), **environment}
        command = [sys.executable, "-I", "-S", str(file or self.file), *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=given, stdout=pipe, stderr=pipe, encoding="utf-8")

    def run(self, *words: str, code: int = 0, file: Path | None = None, **environment: str) -> str:
        with self.start(*words, file=file, **environment) as process:
            out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        return out + err

    def folder(self) -> Path:
        """Run it, and return where its packages were."""
        return Path(self.run().split()[1]).parents[1]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_the_same_wheels_make_the_same_bytes(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one").file, tmp_path / "other" / "notarypy.pyz"
    other.parent.mkdir()
    wheel = tmp_path / "notarypy-1-py3-none-any.whl"
    with zipfile.ZipFile(one) as whole:
        wheel.write_bytes(whole.read(f"wheels/{wheel.name}"))
    os.utime(wheel, (0, 0))
    before = os.umask(0o077)
    try:
        maker.write(other, [(starter.target(), wheel)])
    finally:
        os.umask(before)
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_mode == other.stat().st_mode


def test_without_pip_nothing_is_made_and_that_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(SCRIPTS / "single-file"), "--output", "x.pyz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert done.stderr.startswith(b"single-file: ")
    assert b" has no pip" in done.stderr


def test_it_unpacks_once_where_nobody_else_writes(home: Home) -> None:
    assert home.run("sign", "a b").startswith("notarypy ")
    (folder,) = home.cache.iterdir()
    made = folder.stat()
    assert (made.st_mode & 0o777, home.cache.stat().st_mode & 0o777) == (0o700, 0o700)
    assert home.run("sign", "a b") == f"notarypy {folder}/notarypy/cli sign a b\n"
    assert [path.name for path in home.cache.iterdir()] == [folder.name]
    assert folder.stat().st_ino == made.st_ino
    home.run(XDG_CACHE_HOME=str(home.path / "else"))
    assert [path.name for path in (home.path / "else" / "notarypy").iterdir()] == [folder.name]


def test_the_name_that_it_is_started_by_says_which_program_it_is(home: Home) -> None:
    plugin = home.path / "docker-trust"
    plugin.symlink_to(home.file)
    assert home.run("trust", "sign", file=plugin).startswith("docker-trust ")
    other = home.path / "notary"
    other.symlink_to(home.file)
    assert home.run("list", file=other).startswith("notary ")


def test_a_folder_that_others_write_to_is_not_used(home: Home) -> None:
    folder = home.folder()
    for shared in (folder, home.cache, home.cache.parent, home.path):
        before = shared.stat().st_mode
        shared.chmod(0o777)
        assert home.folder().parent == home.path
        shared.chmod(before)
    assert home.folder() == folder


def test_a_link_in_the_place_of_the_folder_is_not_followed(home: Home) -> None:
    elsewhere = home.path / "elsewhere"
    elsewhere.mkdir()
    home.cache.parent.mkdir()
    home.cache.symlink_to(elsewhere)
    assert home.folder().parent == home.path
    assert not list(elsewhere.iterdir())


def test_what_cannot_be_kept_is_gone_at_the_end(home: Home) -> None:
    home.cache.parent.write_text("a file")
    used = home.folder()
    assert used.parent == home.path
    assert not used.exists()


def test_an_interrupted_start_leaves_nothing_that_is_used(home: Home) -> None:
    half = home.cache / ".unfinished-half"
    half.mkdir(parents=True, mode=0o700)
    home.cache.chmod(0o700)
    assert home.folder() not in {half, None}
    assert not list(half.iterdir())


def test_what_killed_starts_left_goes_a_day_later(home: Home) -> None:
    old, new = home.cache / ".unfinished-old", home.cache / ".unfinished-new"
    for folder in (old, new):
        (folder / "notarypy").mkdir(parents=True, mode=0o700)
    home.cache.chmod(0o700)
    yesterday = time.time() - 90_000
    os.utime(old, (yesterday, yesterday))
    whole = home.folder()
    assert {*home.cache.iterdir()} == {whole, new}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("waits", "cache"),
    [
        ("zipfile.ZipFile.extractall", ""),
        ("zipfile.ZipFile.extractall", "/dev/null"),
        ("builtins.print", "/dev/null"),
    ],
)
def test_a_start_that_a_signal_ends_leaves_nothing(
    number: signal.Signals, waits: str, cache: str, home: Home
) -> None:
    wait = "(sys.stdout.write('now\\n'), sys.stdout.flush(), time.sleep(30))"
    begin = f"import builtins, runpy, signal, sys, time, zipfile; {waits} = lambda *_: {wait}"
    default = "signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # which whoever runs the tests may ignore
    script = f"{begin}; {default}; runpy.run_path({str(home.file)!r}, run_name='__main__')"
    given = {"HOME": str(home.path), "TMPDIR": str(home.path), "XDG_CACHE_HOME": cache}
    command = [sys.executable, "-I", "-S", "-c", script]
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        unpacked = [*home.path.glob("notarypy-*"), *home.cache.glob("*")]
        assert len(unpacked) == 1
        process.send_signal(number)
        assert process.wait(20) == -number
    assert not unpacked[0].exists()


@pytest.mark.parametrize("lost", ["unpacked.txt", "notarypy/cli", "notarypy/cli/main.py", "", "notarypy"])
def test_what_was_deleted_is_put_there_again(home: Home, lost: str) -> None:
    folder = home.folder()
    there = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    gone = folder / lost
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    assert home.folder() == folder
    assert there <= set(folder.rglob("*"))
    assert [path.name for path in home.cache.iterdir()] == [folder.name]


def test_a_folder_where_no_program_may_run_is_not_used(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home.path))
    monkeypatch.setattr(tempfile, "tempdir", str(home.path))
    assert starter.cache() == str(home.path / "notarypy")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_NOEXEC))
    assert starter.cache() is None
    with pytest.raises(SystemExit, match="1"):
        starter.unpacked(str(home.file), None, "x")
    assert "export XDG_CACHE_HOME=" in capsys.readouterr().err
    assert not list(home.path.glob("notarypy-*"))


def test_many_that_begin_at_once_do_no_harm(home: Home) -> None:
    running = [home.start("x") for _ in range(6)]
    said = {process.communicate(timeout=30) for process in running}
    (folder,) = home.cache.iterdir()
    assert said == {(f"notarypy {folder}/notarypy/cli x\n", "")}


def test_a_folder_that_another_one_made_meanwhile_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def made_before(path: str, mode: int) -> None:
        made(path, mode)
        raise FileExistsError(path)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "mkdir", made_before)
    assert starter.cache() == str(tmp_path / "notarypy")


def test_a_python_that_it_was_not_made_for_is_told(tmp_path: Path) -> None:
    said = Home(tmp_path / "home", kind="cp311-plan9-vax").run(code=2)
    assert f"this file has nothing for {starter.target()}" in said
    assert "it is for cp311-plan9-vax" in said


def test_a_system_without_owners_of_files_is_told(home: Home) -> None:
    windows = (
        "import os, sys, runpy, tempfile, zipfile; os.name, sys.platform = 'nt', 'win32'; del os.geteuid"
    )
    script = f"{windows}; runpy.run_path({str(home.file)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "this file has nothing for cp3" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_python_is_told() -> None:
    """Its syntax has to be that of old ones; what they answer is tried by the version alone."""
    text = (SCRIPTS / "singlefile" / "__main__.py").read_text()
    script = f"import sys; sys.version_info = (3, 6, 8, 'final', 0); exec({text!r})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False, timeout=30
    )
    assert done.returncode == 2
    assert "needs Python 3.11 or later" in done.stderr


def test_its_packages_are_those_of_the_image() -> None:
    def blocks(name: str) -> set[str]:
        text = re.sub(r"^#.*\n", "", (SCRIPTS / name).read_text(), flags=re.MULTILINE)
        return set(re.split(r"\n(?=\S)", text.strip()))

    assert blocks("cli-packages.txt") < blocks("image-packages.txt")
