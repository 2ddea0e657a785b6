"""The program's entry: from the words on the command line to an exit code.

What it is: the outermost frame, which no exception leaves. What it is not: the commands (`app` has them), or
reading their line (`wellformed`; `bridge` for all that is not).

Rules:

1. Every failure ends here as text or JSON with an exit code; never as a traceback, unless `-vv` asks for it.
   Local variables, which may be secrets, are never shown.
2. `--version` or `version` alone is answered before anything is imported.
3. Ctrl-C is 130, while modules are loaded, too: so this one, which all programs begin with, loads next to
   nothing before that is taken care of. A reader of standard output that went away is 1, without a word.
   Another signal that is cleaned up after is 128 and its number. After all else a process of our own dies
   of that very signal (rule 5), where a system can: bash, which shows the same code for that, goes on with a
   script after a program that took Ctrl-C and ended by itself, whatever the code is. systemd takes death by
   SIGINT for a clean end. docker makes 255 of a plugin that dies: it gets the code.
4. The program's memory may hold an unlocked key. Before anything is read, core dumps are switched off, of
   this process and of what it starts, and on Linux no other process of the same user may look into this one.
   Where the system refuses, the program goes on: it is no worse off than before. A program that embeds the
   library decides that for itself.
5. The modules of a process that ends are not taken down one by one: the system takes its memory back anyway.
   First come all promises: output is flushed, threads that are waited for have ended, and whatever was
   registered with `atexit` has run. So ends a process that was started as one of the project's programs. One
   where somebody else's program called `main`, or where something was registered with `atexit` before, as
   coverage does, is not ours alone: it ends as Python ends it, with the exit code that it has by then.
6. Cyclic garbage is looked for seldom: a usual command ends before there is any to speak of, and one that
   goes on for days, or reads large files, still gets rid of it.
7. Standard streams that do not wait are waited for (`system`: 5). Results reach their reader as a whole, or
   the exit code is not 0.
"""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys

import notarypy
from notarypy import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn, TextIO

    from notarypy.cli.run import Run

_INTERRUPTED = 130
_ENDED = {129: 1, 130: 2, 143: 15}  # SIGHUP, SIGINT and SIGTERM, by what shells show of them
_OF_DOCKER = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"  # which docker sets for its plugins
_VERSION = (["--version"], ["version"])
_OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EFBIG)
# New containers between two looks for garbage; a usual command makes some 60 000, all of it counted.
_BETWEEN_COLLECTIONS = 100_000


def main() -> NoReturn:
    """Run the command line of this process."""
    finish(run, sys.argv[1:])


def notary() -> NoReturn:
    """Run this process as `notary`."""
    finish(_in("notarypy.cli.gonotary.entry"), sys.argv[1:])


def docker_trust() -> NoReturn:
    """Run this process as `docker-trust`, or as the plugin of another name that its file has."""
    finish(_in("notarypy.cli.dockertrust.program"), sys.argv)


def _in(module: str) -> Callable[[Sequence[str]], int]:
    """Return a program that is loaded when it is run (rule 3)."""

    def start(argv: Sequence[str]) -> int:
        __import__(module)
        code: int = sys.modules[module].start(argv)
        return code

    return start


def finish(program: Callable[[Sequence[str]], int], argv: Sequence[str]) -> NoReturn:
    """End this process with the exit code of a program (rules 3 to 6)."""
    codes: list[int] = []
    gc.set_threshold(_BETWEEN_COLLECTIONS)
    if _is_ours_alone():
        atexit.register(_leave, codes)  # the first that is registered is the last that runs
    try:
        if program is not run or list(argv) not in _VERSION or _hurries():
            from notarypy import system  # which our version needs not

            system.keep_memory_private()
            system.wait_for_streams()
        codes.append(program(argv))
        if not _flush():
            codes[0] = codes[0] or 1
    except KeyboardInterrupt as error:  # while modules were being imported, or output waited for its reader
        codes[:] = [code_of(error)]
        _discard(sys.stdout)
    sys.exit(codes[0])


def code_of(error: KeyboardInterrupt) -> int:
    """Return the exit code of Ctrl-C, or of another signal that is taken for it (rule 3)."""
    return int(getattr(error, "exit_code", _INTERRUPTED))


def _hurries() -> bool:
    """Tell whether standard output does not wait for its reader, where a system tells that (rule 7)."""
    return sys.stdout is not None and hasattr(os, "get_blocking") and not os.get_blocking(1)


def _is_ours_alone() -> bool:
    """Tell whether this process is one of the project's programs and nothing else (rule 5)."""
    started = sys.modules["__main__"]
    folder, name = os.path.split(getattr(started, "__file__", None) or "")
    ours = name in {"notarypy", "notary"} or name.startswith("docker-") or folder == notarypy.__path__[0]
    return ours and not atexit._ncallbacks()  # noqa: SLF001 - nothing public tells it


def _leave(codes: Sequence[int]) -> None:
    """Leave the process as soon as everything else is done (rule 5)."""
    try:
        _flush()  # what was registered later, and has run by now, may have written something
    except KeyboardInterrupt:
        _discard(sys.stdout)
    if codes and codes[0] in _ENDED and _OF_DOCKER not in os.environ:
        from notarypy import system

        system.die_of(_ENDED[codes[0]])
    if codes:
        os._exit(codes[0])


def run(argv: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    if list(argv) in _VERSION:
        return _show_version()
    from notarypy.cli.run import Run

    show_everything()
    begun = Run()
    _guarded(begun, argv)
    return begun.report.finish()


def _show_version() -> int:
    if sys.stdout is None:
        return 1
    try:
        sys.stdout.write(f"notarypy {__version__}\n")
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if error.errno != errno.EPIPE and sys.stderr is not None:
            sys.stderr.write(f"notarypy: error: cannot write to standard output: {error.strerror}\n")
        return 1
    return 0


def _guarded(begun: Run, argv: Sequence[str]) -> None:
    """Run the command; what it raises becomes part of the report (rule 1)."""
    from notarypy.errors import NotarypyError

    try:
        _dispatch(argv, begun)
    except NotarypyError as error:
        begun.report.fail(error)
    except KeyboardInterrupt as error:
        begun.report.interrupt(code_of(error))
    except OSError as error:
        if error.filename is None and error.errno in _OUTPUT_ERRORS:
            begun.report.unwritable = error  # typer prints help by itself
        else:
            begun.report.crash(error)
    except Exception as error:  # noqa: BLE001 - the last frame: whatever it is, the user gets one line
        begun.report.crash(error)


def _dispatch(argv: Sequence[str], begun: Run) -> None:
    """Run the command on a line: read as it is if it is well-formed, and else by typer."""
    from notarypy.cli import app, declared, wellformed
    from notarypy.cli.run import Context
    from notarypy.errors import UsageError

    try:
        call = wellformed.read(argv, app.find, declared.GLOBAL_OPTIONS, app.RAW)
        if call is None:
            from notarypy.cli import bridge

            call = bridge.read(argv, begun)
        if call is not None:
            call.share(begun.options)
            call.function(Context(begun, call.path, call.given, call.raw), **call.values)
    except UsageError:
        if "--json" in (argv[: argv.index("--")] if "--" in argv else argv):  # it may not have been reached
            begun.options.take("json", value=True)
        raise


def show_everything() -> None:
    """Let no character that the terminal's encoding lacks stop an error message, and lines end in one way."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", newline="\n")


def _flush() -> bool:
    """Bring all output to its readers, and tell whether the results reached theirs (rules 3 and 7)."""
    arrived = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _discard(stream)
            arrived = arrived and stream is not sys.stdout
    return arrived


def _discard(stream: TextIO | None) -> None:
    """Let what was written to a stream, and could not be brought to its reader, go nowhere."""
    if stream is not None:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except OSError:
            return  # nothing is behind it
