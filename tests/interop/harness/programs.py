"""Where the programs under test are, and one way to run any of them."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interop.harness import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# scripts/setup unpacks here what the machine does not have.
UNPACKED = Path(sys.prefix, "servers", "usr")
# And here what the machine's release is too old for.
NEWER = UNPACKED.parent / "newer" / "usr"
# Daemons are in sbin folders, which the PATH of a user does not always have.
_OWN = Path(sys.executable).parent
_OTHERS = (
    str(UNPACKED / "bin"),
    str(UNPACKED / "sbin"),
    os.environ.get("PATH", os.defpath),
    "/usr/sbin",
    "/sbin",
)
SEARCH_PATH = os.pathsep.join((str(_OWN), *_OTHERS))
# Go's is meant by this name; the project's own is `notarypy notary`.
_GOS = "notary"


def no_shortcut(_argv: Sequence[str], _env: Mapping[str, str], _text: str | None) -> Run | None:
    """Run nothing."""


# What may `run` a line in the place of a program: the tests put one here (`forking`: 3).
shortcut = no_shortcut


def find(program: str) -> str:
    """Return the path of a program.

    Raises:
        LookupError: it is not here; the text says how to get it.
    """
    others = [folder for folder in os.pathsep.join(_OTHERS).split(os.pathsep) if Path(folder) != _OWN]
    found = shutil.which(program, path=os.pathsep.join(others) if program == _GOS else SEARCH_PATH)
    if found is None:
        raise LookupError(f"{program} is not installed: run scripts/test, it brings what the tests need")
    return found


def newer_path() -> str:
    """Return the PATH on which newer programs come first, if there are any."""
    return os.pathsep.join((str(NEWER / "sbin"), str(NEWER / "bin"), SEARCH_PATH))


def docker_clients() -> dict[str, str]:
    """Return the docker clients to compare with: the usual one, and others that scripts/setup has brought."""
    found = {"docker": "docker"}
    for name in ("older", "newer"):
        path = UNPACKED.parent / name / "usr" / "bin" / "docker"
        if path.exists():
            found[name] = str(path)
    return found


@functools.cache
def docker_release(program: str) -> int:
    """Return the release of a docker client, as 28."""
    said = subprocess.run([find(program), "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("Docker version ").partition(".")[0])


def buildx() -> Path:
    """Return docker's plugin of that name."""
    for root in (NEWER, UNPACKED, Path("/usr"), Path("/usr/local")):
        for plugin in root.glob("lib*/docker/cli-plugins/docker-buildx"):
            return plugin
    raise LookupError("docker's buildx is not installed: run scripts/test, it brings what the tests need")


def faketime_library() -> str:
    """Return the path of the library that moves a process's clock."""
    for root in (Path("/usr/lib"), UNPACKED / "lib"):
        for library in root.glob("*/faketime/libfaketime.so.1"):
            return str(library)
    raise LookupError("libfaketime is not installed: run scripts/test, it brings what the tests need")


def pkcs11_module(name: str) -> Path:
    """Return the module of this name that leads to tokens."""
    for root in (Path("/usr/lib"), UNPACKED / "lib"):
        for folder in ("*-linux-gnu*", "*-linux-gnu*/softhsm", "*-linux-gnu*/pkcs11"):
            for module in sorted(root.glob(f"{folder}/{name}.so*")):
                return module.resolve()
    raise LookupError(f"{name} is not installed: run scripts/test, it brings what the tests need")


def valgrind() -> tuple[list[str], dict[str, str]]:
    """Return how valgrind is started, and the environment that it needs.

    The script of that name only adds to the environment, which the program that is measured would see.
    """
    program = find("valgrind.bin" if shutil.which("valgrind.bin", path=SEARCH_PATH) else "valgrind")
    tools = UNPACKED / "libexec" / "valgrind"
    return [program], ({"VALGRIND_LIB": str(tools)} if program.startswith(str(UNPACKED)) else {})


def library_path() -> str:
    """Return the folders of unpacked libraries, as LD_LIBRARY_PATH has them."""
    folders = (*UNPACKED.glob("lib/*-linux-gnu*"), *UNPACKED.parent.glob("lib/*-linux-gnu*"))
    return os.pathsep.join(map(str, folders))


@dataclass(frozen=True)
class Run:
    """What a program did."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"$ {shlex.join(self.argv)}\n[exit {self.code}]\n{self.stdout}\n{self.stderr}"

    @property
    def text(self) -> str:
        """Both outputs, for programs that do not keep them apart."""
        return self.stdout + self.stderr

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON of any shape; the assertions check it
        """The JSON document on stdout."""
        return json.loads(self.stdout)

    def expect(self, code: int) -> Run:
        """Return this run if it ended with the code, else fail with everything it said."""
        assert self.code == code, f"expected exit {code}\n{self}"
        return self


def run(argv: Sequence[str], env: Mapping[str, str], *, text: str | None = None, ahead: int = 0) -> Run:
    """Run a program to its end, with nothing but this environment, and this text (or nothing) as input.

    Its clock is so many seconds `ahead`.
    """
    done = None if ahead else shortcut(argv, env, text)
    return done or collect(start(argv, env, text=text is not None, ahead=ahead), text=text)


def start(
    argv: Sequence[str], env: Mapping[str, str], *, text: bool = False, ahead: int = 0
) -> subprocess.Popen[str]:
    """Start a program whose output is collected later, so that several can run side by side."""
    process = subprocess.Popen(
        [find(argv[0]), *argv[1:]],
        env={"PATH": SEARCH_PATH, **env},
        stdin=subprocess.PIPE if text else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # no terminal: nothing can prompt
        preexec_fn=clock.traced if ahead else None,  # noqa: PLW1509 - it makes one system call
    )
    if ahead:
        clock.released(process.pid, ahead)
    return process


def collect(process: subprocess.Popen[str], *, text: str | None = None, timeout: float = 60) -> Run:
    """Wait for a started program and return what it did."""
    with process:
        try:
            stdout, stderr = process.communicate(text, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    arguments = process.args
    assert isinstance(arguments, list)
    return Run(tuple(map(str, arguments)), process.returncode, stdout, stderr)


def openssl(*arguments: str | Path) -> Run:
    """Run openssl and insist on success."""
    return run(["openssl", *map(str, arguments)], {}).expect(0)
