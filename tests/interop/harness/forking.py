"""Programs of this package, each in a process of its own, which is forked from one that has loaded it.

What it is: a real process for each command line, with its own environment, streams and end, at a tenth of
what it costs to start Python. What it is not: a call in the process of the tests; nothing is shared but what
was loaded.

Rules:

1. The process that forks has one thread and runs nothing itself: it loads the package, and waits.
2. A program may be sentenced to die just before a step that changes a disk or opens a connection: the first
   is number 1. It dies as by SIGKILL, with nothing flushed and nothing cleaned up.
3. Lines that tests run by `programs.run` are run so, too (`Shortcut`), but for those that show something
   else: what depends on variables that a process reads when it starts; what runs while another one does; and
   one in some, which is to load all that it needs by itself, and to end by itself. Which ones these are
   depends on the test's name, the command and its options alone: they are the same in each run, and where a
   test is run alone. Of what is made for several tests the command and its options decide.
4. A program ends as it ends otherwise: threads that are waited for end, what was registered with `atexit` is
   run, output is flushed. What takes longer than two minutes is killed by its parent, which knows that its
   number is nobody else's yet, and raises. Who waits here kills nobody.
5. Key files are written with few rounds, as in unit tests. Those of lines that are programs of their own
   have the usual ones; and so has what is written for cosign, which reads no other.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANGING = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod", "os.truncate"}
CHANGING |= {"socket.connect", "os.symlink"}
# What is not worth loading before anybody wants it, or wants packages that may not be here.
LEFT_OUT = ("notarypy.devserver", "notarypy.keys.signers", "notarypy.cosign", "notarypy.kubernetes")
PROGRAMS = {
    "docker-trust": "notarypy.cli.main:docker_trust",
    "notary": "notarypy.cli.main:notary",
    "notarypy": "notarypy.cli.main:main",
}
_STREAMS = ("stdin", "stdout", "stderr")
_PATIENCE = 120
_LATE = "late"  # a process that was killed for it
_QUICK_ROUNDS = 1000
# What by these names is Go's to `programs.run` (`notary`) stays Go's.
_SHORTER = ("docker-trust", "notarypy")
# How variables begin that a process, or a library that it loads, reads when it starts (rule 3).
_AT_START = re.compile(
    "PYTHON|LD_|LC_|LANG|TZ|MALLOC_|OPENSSL_|SSL|TERM|NO_COLOR|FORCE_COLOR|COLUMNS|GITHUB_|_"
)
_WORD = re.compile("[a-z][a-z-]*")
_ONE_IN = 12


class Forker:
    """The process that has loaded the package. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: folder / name for name in _STREAMS}
        self._argv: list[str] = []
        self._turn = threading.Lock()
        self.patience = _PATIENCE
        tests = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "interop.harness.forking"],
            env={
                "PATH": programs.SEARCH_PATH,
                "PYTHONPATH": os.pathsep.join((str(tests.parent), str(tests))),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        folder: Path,
        data: bytes | None = None,
        dies: int = 0,
    ) -> int:
        """Start a program in a folder, and return its process id; another one starts after `wait`."""
        self._turn.acquire()
        return self._begin(argv, env, folder, data or b"", dies)

    def _begin(
        self, argv: Sequence[str], env: Mapping[str, str], folder: Path, data: bytes | None, dies: int = 0
    ) -> int:
        try:
            return self._start(argv, env, folder, data, dies)
        except BaseException:
            self._turn.release()  # nobody will wait for it
            raise

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str], folder: Path, data: bytes | None, dies: int
    ) -> int:
        self._argv = list(argv)
        paths = {name: str(path) for name, path in self._files.items()}
        if data is None:
            paths["stdin"] = os.devnull
        else:
            self._files["stdin"].write_bytes(data)
        known = {"PATH": programs.SEARCH_PATH, **env}
        asked = {"argv": self._argv, "env": known, "folder": str(folder), "dies": dies}
        self._send({**asked, **paths, "patience": self.patience})
        return int(self._answer())

    def wait(self) -> tuple[int, bytes, bytes]:
        """Return the exit code of the program (-9: killed) and what it wrote (rule 4)."""
        try:
            code = self._answer()
            if code == _LATE:
                raise subprocess.TimeoutExpired(self._argv, self.patience)
            return int(code), self._files["stdout"].read_bytes(), self._files["stderr"].read_bytes()
        finally:
            self._turn.release()

    def run_now(
        self, argv: Sequence[str], env: Mapping[str, str], data: bytes | None
    ) -> tuple[int, bytes, bytes] | None:
        """Run a program to its end in the folder of this process; None: another one runs."""
        try:
            folder = Path.cwd()
        except FileNotFoundError:  # it is gone: a program of its own starts there all the same
            return None
        if not self._turn.acquire(blocking=False):
            return None
        self._begin(argv, env, folder, data)
        return self.wait()

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], *, folder: Path, data: bytes | None = None
    ) -> programs.Run:
        """Run a program to its end."""
        self.start(argv, env, folder=folder, data=data)
        code, out, err = self.wait()
        return programs.Run(
            tuple(argv), code, *(text.decode(errors="surrogateescape") for text in (out, err))
        )

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that forks has ended")
        return answer.rstrip()


class Shortcut:
    """Runs lines of this package's programs for `programs.run`, those that may be run so (rule 3).

    Where tests are run once more, with other servers, no line is chosen to be a program of its own.
    """

    def __init__(self, forker: Forker, *, once_more: bool = False) -> None:
        self._forker, self._once_more = forker, once_more

    def __call__(self, argv: Sequence[str], env: Mapping[str, str], text: str | None) -> programs.Run | None:
        """Run a line to its end; None: it is to be run as a program of its own."""
        if argv[0] not in _SHORTER or any(map(_AT_START.match, env)):
            return None
        if not self._once_more and is_own_program(os.environ.get("PYTEST_CURRENT_TEST", ""), argv):
            return None
        path = [programs.find(argv[0]), *argv[1:]]
        done = self._forker.run_now(path, env, None if text is None else text.encode())
        if done is None:
            return None
        code, *outputs = done
        out, err = (output.decode().replace("\r\n", "\n").replace("\r", "\n") for output in outputs)
        return programs.Run(tuple(path), code, out, err)


def is_own_program(current: str, argv: Sequence[str]) -> bool:
    """Tell whether a line in what pytest says is done now is to be a program of its own (rule 3)."""
    test, _, stage = current.rpartition(" ")
    command = list(filter(_WORD.fullmatch, argv[1:]))[:2]
    options = sorted({word.partition("=")[0] for word in argv if word.startswith("--")})
    about = (test if stage == "(call)" else "", argv[0], *command, *options)
    return zlib.crc32(" ".join(about).encode()) % _ONE_IN == 0


def _serve() -> None:
    """Fork for each line of stdin (rule 1)."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    _load()
    gc.freeze()  # nothing of this is garbage
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if not child:
            _become(request)
        answers.write(f"{child}\n")
        answers.flush()
        answers.write(f"{_end(child, request['patience'])}\n")
        answers.flush()


def _end(child: int, patience: int) -> int | str:
    """Return the exit code of a process when it ends (rule 4)."""
    late = False

    def kill(*_: object) -> None:
        nonlocal late
        late = True
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(patience)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # the number stays its own
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return _LATE if late else code


def _load() -> None:
    import notarypy

    for found in pkgutil.walk_packages(notarypy.__path__, "notarypy."):
        if not found.name.startswith(LEFT_OUT) and not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    from notarypy.keys.formats import pkcs8

    pkcs8.ROUNDS = _QUICK_ROUNDS


def _become(request: dict[str, Any]) -> None:
    """Be the program, and end as it ends."""
    modes = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC] * 2)
    for number, (name, mode) in enumerate(zip(_STREAMS, modes, strict=True)):
        opened = os.open(request[name], mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.setsid()
    os.umask(0o022)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    sys.argv = request["argv"]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the old one has read ahead
    module, _, function = PROGRAMS[Path(sys.argv[0]).name].partition(":")
    code = 0
    if request["dies"]:
        _sentence(request["dies"])
    try:
        getattr(importlib.import_module(module), function)()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the last frame of a process
        sys.excepthook(*sys.exc_info())
        code = 70
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _sentence(steps: int) -> None:
    """Die before the so many-th step (rule 2)."""
    left = steps

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        flags = arguments[2] if event == "open" else 0
        if event in CHANGING or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    _serve()
