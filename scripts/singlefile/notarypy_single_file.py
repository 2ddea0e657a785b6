"""Start notarypy out of the single file that this module is in.

What it is: what unpacks the packages of the file, once for each Python that starts it, and puts them
first on the path of modules. What it is not: an installer; nothing is asked of a network, and deleting
the folder is all it takes to undo it.

Rules:

1. The folder is `notarypy/` below `XDG_CACHE_HOME`, which is `~/.cache` if it is not set. Nobody else can
   write to it, and nobody else can put another folder in its place: the same is demanded of each folder
   above it. Where that cannot be had, or no program may run from there (noexec), it is a temporary folder,
   which goes when the program ends, by a signal too: one that comes in the middle of a call of C, such as a
   token's that waits for a finger, ends the program after it.
2. A folder has the name of what is in it, a digest of the file's contents, and of what it is for. It gets
   that name when it is whole: what was interrupted never runs, and two that begin at once do no harm. What
   somebody deleted in it, such as what cleans up old files, is put there again. What a signal interrupts
   goes, and what nothing could remove (SIGKILL) when something is unpacked a day later.
3. The packages are wheels as their makers published them, by the digests that this project has pinned; but
   notarypy's own, which is built with the file. Those are taken that were made for this Python, C library and
   processor; where there are none it says so.
4. What starts each time imports next to nothing.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LIST = "unpacked.txt"
_UNFINISHED = ".unfinished-"
_DAY = 86400
_FIX = "name a folder of your own where programs may run: export XDG_CACHE_HOME=DIR"


def start() -> None:
    """Run the program whose name this process was started by."""
    loader = __loader__  # type: ignore[name-defined]
    folder = _folder(loader.archive, loader.get_data(f"{loader.archive}{os.sep}id").decode("ascii"))
    if sys.path and sys.path[0] == loader.archive:
        del sys.path[0]
    sys.path.insert(0, folder)
    called = os.path.basename(sys.argv[0])
    if called != "notary" and not called.startswith("docker-"):
        called = "notarypy"
    # By this name notarypy knows that nothing but itself is in the process.
    sys.modules["__main__"].__file__ = os.path.join(folder, called)
    if called == "notarypy":
        from notarypy.cli.main import main
    elif called == "notary":
        from notarypy.cli.main import notary as main
    else:
        from notarypy.cli.main import docker_trust as main
    main()


def _folder(archive: str, identity: str) -> str:
    """Return the folder with the packages, unpacked if it was not there (rules 1 and 2)."""
    kind = target()
    name = f"{identity}-{kind}"
    kept = cache()
    if kept is not None:
        folder = os.path.join(kept, name)
        if is_private(folder) and not _missing(folder):
            return folder
        with suppress(OSError):
            return unpacked(archive, kept, name)
    try:
        return unpacked(archive, None, name)
    except OSError as error:
        _stop(f"the packages in {archive} cannot be unpacked: {error}", 1)


def target() -> str:
    """Return what a wheel has to be made for: `cp311-linux-x86_64`; there are `musl` and `macos`."""
    if os.name != "posix":
        system, machine = sys.platform, "unknown"
    else:
        machine = os.uname().machine
        system = {"darwin": "macos"}.get(sys.platform, sys.platform)
    if system == "linux" and not _is_glibc():
        system = "musl"
    if sys.maxsize < 2**32:
        machine += "-32bit"
    implementation = {"cpython": "cp"}.get(sys.implementation.name, sys.implementation.name)
    threads = "t" if "t" in getattr(sys, "abiflags", "") else ""
    return f"{implementation}{sys.version_info[0]}{sys.version_info[1]}{threads}-{system}-{machine}"


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


def cache() -> str | None:
    """Return the folder that keeps what is unpacked, if there is one of this user's alone (rule 1)."""
    if os.name != "posix":
        return None
    above = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(above):
        above = os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(above):
        return None
    folder = os.path.join(os.path.realpath(above), "notarypy")
    if not is_private(folder):
        with suppress(OSError):  # such as that another process was quicker
            os.makedirs(os.path.dirname(folder), 0o700, exist_ok=True)
            os.mkdir(folder, 0o700)
    usable = is_private(folder) and _is_out_of_reach(os.path.dirname(folder)) and not _runs_nothing(folder)
    return folder if usable else None


def _runs_nothing(folder: str) -> bool:
    """Tell whether a folder is on what was mounted so that no program runs from there (rule 1)."""
    with suppress(OSError, AttributeError):  # Windows cannot say
        return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))
    return False


def _missing(folder: str, like: str | None = None) -> list[str]:
    """Return what is no longer in a folder that was whole, or was like another one (rule 2)."""
    try:
        with open(os.path.join(like or folder, _LIST), encoding="utf-8") as stream:
            names = stream.read().splitlines()
    except OSError:
        return [_LIST]
    return [name for name in names if not os.access(os.path.join(folder, name), os.R_OK)]


def is_private(folder: str) -> bool:
    """Tell whether this is a folder of this user's that nobody else can write to."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS


def _is_out_of_reach(folder: str) -> bool:
    """Tell whether nobody else can rename what is in the folder: of each one above it, too."""
    while True:
        found = os.lstat(folder)
        if found.st_uid not in {0, os.geteuid()} or (
            found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX
        ):
            return False
        if folder == os.path.dirname(folder):
            return True
        folder = os.path.dirname(folder)


def unpacked(archive: str, kept: str | None, name: str) -> str:
    """Unpack the wheels that this Python can use, into what is kept or else for this once (rules 2 and 3)."""
    import atexit
    import tempfile
    import zipfile

    if kept is not None:
        _remove_unfinished(kept)
    with zipfile.ZipFile(archive) as whole:
        chosen = _chosen(whole.read("wheels.txt").decode("ascii"))
        folder = tempfile.mkdtemp(prefix=_UNFINISHED if kept else "notarypy-", dir=kept)
        remove = _remover(folder)
        _at_signals(remove)
        try:
            if _runs_nothing(folder):
                _stop(f"no program may run from {os.path.dirname(folder)} (noexec)\n  fix: {_FIX}", 1)
            names = [_LIST]
            for wheel in chosen:
                with whole.open(f"wheels/{wheel}") as stream, zipfile.ZipFile(stream) as packed:
                    packed.extractall(folder)
                    names += packed.namelist()
            with open(os.path.join(folder, _LIST), "w", encoding="utf-8") as stream:
                stream.write("\n".join(sorted({name for name in names if not name.endswith("/")})))
            if kept is None:
                atexit.register(remove)
                return folder
            folder = _renamed(folder, os.path.join(kept, name))
        except BaseException:
            remove()
            _at_signals(None)
            raise
    _at_signals(None)
    return folder


def _renamed(folder: str, final: str) -> str:
    """Give a whole folder its name, or what it has to one that lacks it; another process may be quicker."""
    import shutil

    try:
        os.rename(folder, final)
    except OSError:
        if not is_private(final):
            raise
        for name in _missing(final, folder):
            os.makedirs(os.path.dirname(os.path.join(final, name)), exist_ok=True)
            os.replace(os.path.join(folder, name), os.path.join(final, name))
        shutil.rmtree(folder, ignore_errors=True)
    return final


def _remover(folder: str) -> Callable[..., None]:
    """Return what removes a folder of this process, and then ends it if a signal is what calls it."""
    import shutil

    process = os.getpid()

    def remove(number: int = 0, _frame: object = None) -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)
        if number:
            _at_signals(None)
            os.kill(os.getpid(), number)

    return remove


def _at_signals(handler: Callable[..., None] | None) -> None:
    """Have this done by what ends a process, or nothing any more; what is ignored stays so."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler or signal.SIG_DFL)


def _remove_unfinished(kept: str) -> None:
    """Remove what starts left behind that were killed long ago (rule 2)."""
    import shutil
    import time

    for name in os.listdir(kept):
        path = os.path.join(kept, name)
        with suppress(OSError):  # such as that another process was quicker
            if name.startswith(_UNFINISHED) and os.lstat(path).st_mtime < time.time() - _DAY:
                shutil.rmtree(path, ignore_errors=True)


def _chosen(listed: str) -> list[str]:
    """Return the wheels for this kind of Python; a line has a kind and a wheel."""
    kind, lines = target(), [line.split() for line in listed.splitlines()]
    chosen = [wheel for made_for, wheel in lines if made_for == kind]
    if not chosen:
        kinds = ", ".join(sorted({made_for for made_for, _ in lines}))
        fix = "start it with one of those, or install notarypy with pip"
        _stop(f"this file has nothing for {kind}\n  why: it is for {kinds}\n  fix: {fix}", 2)
    return chosen


def _stop(text: str, code: int) -> NoReturn:
    """End with an error."""
    sys.stderr.write(f"notarypy: error: {text}\n")
    sys.exit(code)
