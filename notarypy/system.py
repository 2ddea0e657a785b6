"""What differs between operating systems: names of folders, locks, modes, users, sockets.

What it is: the one place that asks which system this is, and who runs this. What it is not: it decides
nothing; who needs an answer that this system does not give gets None or an OSError, never an AttributeError.

Rules:

1. Windows allows no colon in names. A folder that is named after a host and its port has `_` in its place;
   docker leaves the colon out there, so that such a folder is looked for, too.
2. Windows replaces, removes and opens no file that somebody else has open in such a way, be it a virus
   scanner: that is tried again for a while.
3. Windows has no modes and owners as POSIX has them: the lists of access of a user's own folder are relied
   on, and what others may read or write is not checked. So no folder counts that is for all users: anybody
   may make one in `%ProgramData%` that nobody has made yet.
4. Windows takes some names for devices, and a name with a dot or blank at its end for one without: such
   names are refused, before anything is opened that is not what it is called.
5. Whoever started this process may have opened its standard streams so that they do not wait (O_NONBLOCK),
   as node and ssh do, or another process that has them, too, does so later. They are waited for all the
   same, and stay as they are opened: that belongs to the others as well.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

if TYPE_CHECKING:
    import socket
    from typing import TextIO

    from _typeshed import ReadableBuffer, WriteableBuffer

WINDOWS = sys.platform == "win32"
LINUX = sys.platform == "linux"

# Absent on Windows, where they mean nothing; O_BINARY exists only there.
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
SAFE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NOCTTY = getattr(os, "O_NOCTTY", 0)

# Where whoever sits at the terminal of this process types and reads, whatever its streams are.
KEYBOARD, SCREEN = ("CONIN$", "CONOUT$") if WINDOWS else ("/dev/tty", "/dev/tty")

_COLON = "_"
_LINKS = 40  # as many as systems follow
_PR_SET_DUMPABLE = 4
_Answer = TypeVar("_Answer")
_DEVICES = {"con", "conin$", "conout$", "prn", "aux", "nul"}
_DEVICES |= {kind + digit for kind in ("com", "lpt") for digit in "0123456789\xb9\xb2\xb3"}
_IN_USE = frozenset({5, 32, 33})  # access denied, and two of sharing
_PATIENCE_SECONDS = 2.0
_AGAIN_SECONDS = 0.02


def folder_name(name: str) -> str:
    """Return what a folder is called that is named after a host, or after a repository (rule 1)."""
    return name.replace(":", _COLON) if WINDOWS else name


def named_by(folder: str) -> str:
    """Return the repository that a folder, with slashes, is named after (rule 1)."""
    host, slash, path = folder.partition("/")
    name, _, port = host.rpartition(_COLON)
    return f"{name}:{port}{slash}{path}" if WINDOWS and name and port.isascii() and port.isdigit() else folder


def host_folders(name: str) -> list[str]:
    """Return what a folder of a host's certificates may be called (rule 1)."""
    return [folder_name(name), name.replace(":", "")] if WINDOWS else [name]


def machine_folders(*programs: str) -> tuple[Path, ...]:
    """Return where the settings of all users of this machine are, as far as any count (rule 3)."""
    return () if WINDOWS else tuple(Path("/etc", program) for program in programs)


def name_problem(path: str) -> str:
    """Say why no file can have this path or name, where a part of it means something else (rule 4)."""
    for name in path.replace("\\", "/").split("/") if WINDOWS else ():
        if name.partition(".")[0].rstrip(" ").lower() in _DEVICES:
            return f'"{name}" is the name of a device in Windows'
        if name not in {"", ".", ".."} and name[-1] in ". ":
            return f'Windows takes "{name}" for a name without the {"dot" if name[-1] == "." else "blank"}'
    return ""


def split_path(text: str) -> tuple[str, str, str]:
    """Split a path from what stands behind its first colon; that of a drive belongs to the path."""
    drive = text[:2] if WINDOWS and text[1:3] in {":\\", ":/"} and text[0].isalpha() else ""
    path, colon, rest = text[len(drive) :].partition(":")
    return drive + path, colon, rest


def user() -> int | None:
    """Return the user's number; None where users have none (rule 3)."""
    return os.getuid() if hasattr(os, "getuid") else None


def known_home() -> str:
    """Return the home that the system knows of this user, whatever HOME says; empty if it knows none."""
    if WINDOWS:
        return os.path.expanduser("~").removeprefix("~")  # noqa: PTH111 - Path.home() raises where none is
    with suppress(ImportError, KeyError):
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    return ""


def effective_user() -> tuple[int, int] | None:
    """Return the numbers of the user and the group with whose rights this process works, as above."""
    return (os.geteuid(), os.getegid()) if hasattr(os, "geteuid") else None


def set_mode(descriptor: int, mode: int) -> None:
    """Give an open file a mode whatever the umask, where there are modes (rule 3)."""
    if sys.platform != "win32":
        os.fchmod(descriptor, mode)


def set_date(path: Path, seconds: float) -> None:
    """Give a file a date; one behind a link keeps its own, where a system can tell them apart."""
    follow = os.utime not in os.supports_follow_symlinks
    os.utime(path, (seconds, seconds), follow_symlinks=follow)


def patiently(call: Callable[[], _Answer]) -> _Answer:
    """Return what a call returns, once nobody is in its way (rule 2); else raise what it raises."""
    end = time.monotonic() + _PATIENCE_SECONDS if WINDOWS else 0.0
    while True:
        try:
            return call()
        except OSError as error:
            if not end or not _in_use(error) or time.monotonic() >= end:
                raise
        time.sleep(_AGAIN_SECONDS)


def _in_use(error: OSError) -> bool:
    return getattr(error, "winerror", None) in _IN_USE or (
        getattr(error, "winerror", None) is None and error.errno == errno.EACCES
    )


def replace(source: Path, target: Path) -> None:
    """Give a finished file the name of another one, in whose place it comes (rule 2)."""
    patiently(lambda: os.replace(source, target))  # noqa: PTH105 - one style for all system calls


def remove(path: Path) -> None:
    """Remove a file (rule 2)."""
    patiently(path.unlink)


def permissions(found: os.stat_result) -> int:
    """Return who may use a file, as a mode; where there are none, it is its owner (rule 3)."""
    return 0o700 if WINDOWS else found.st_mode & 0o7777


def sync_directory(path: Path) -> None:
    """Return when the names in a directory are on the disk, where a system can tell; or raise OSError."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | SAFE)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems cannot sync directories; a directory may be writable but not readable.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EACCES}:
            raise


def is_read_only(path: Path) -> bool:
    """Tell whether a path is on a file system that nobody writes to, where no lock can and need be held."""
    with suppress(OSError, AttributeError):  # Windows cannot say
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False


def lock(descriptor: int) -> None:
    """Hold an open file against other processes and threads until it is closed; OSError if they have it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:  # its number is not the same everywhere
            raise BlockingIOError(errno.EACCES, "somebody else has it") from error
    else:
        _flock(descriptor, shared=False)


def look_at_lock(descriptor: int) -> None:
    """Raise the OSError of a lock that somebody holds; on Windows nobody can look without holding it."""
    if sys.platform != "win32":
        _flock(descriptor, shared=True)


def _flock(descriptor: int, *, shared: bool) -> None:
    import fcntl

    fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def keep_memory_private() -> None:
    """Let the system show no memory of this process to others or a disk, as far as it can be told."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Some builds of Python lack ctypes, and some C libraries lack the function.
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_of(number: int) -> None:
    """End this process as this signal does it, without anything more, where signals do that; else return."""
    if not WINDOWS:
        import signal  # which is needed seldom

        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def at_fork(before: Callable[[], object], parent: Callable[[], object], child: Callable[[], object]) -> None:
    """Call these around each fork of this process, where processes fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=parent, after_in_child=child)


def machine_clock() -> float:
    """Return the seconds since the machine was started, those that it slept too, where a system can tell."""
    if hasattr(time, "clock_gettime"):
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    return time.monotonic()


def unix_socket() -> socket.socket:
    """Return a new unix socket; OSError where there are none."""
    import socket  # which those have loaded who need it

    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no unix sockets")
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def listening_user(sock: socket.socket) -> int | None:
    """Return as which user the process runs that listens on a unix socket; None where nobody can tell."""
    if not LINUX:
        return None
    import socket

    return memoryview(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)).cast("I")[1]


def variable(name: str) -> str:
    """Return what a variable is called in a copy of the environment: Windows has capitals alone."""
    return name.upper() if WINDOWS else name


def descriptor(path: Path) -> Path | None:
    """Return what somebody has opened already, if a path such as `/dev/stdout` stands for it: `/dev/fd/1`.

    There is a file behind it, maybe, which others write to: it is written to, too, and not replaced.
    """
    for _ in range(_LINKS):
        folder = os.path.realpath(path.parent)
        if folder == "/dev/fd" or (folder.startswith("/proc/") and folder.endswith("/fd")):
            own = {os.path.realpath(f"/{one}/fd") for one in ("dev", "proc/self", "proc/thread-self")}
            return Path("/dev/fd" if folder in own else folder, path.name)
        try:
            path = path.parent / path.readlink()
        except OSError:
            return None
    return None


def writing(path: Path) -> BinaryIO:
    """Open what is no file, to be written to; of our own descriptors the same: anew it would begin anew."""
    opened = descriptor(path)
    if opened is None or opened.parent != Path("/dev/fd"):
        return path.open("wb")
    return io.BufferedWriter(WaitingFile(os.dup(int(opened.name)), "w"))


class WaitingFile(io.FileIO):
    """What somebody else has opened, and what may have nothing, or no room, for now (rule 5)."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            count = super().write(left)
            if count is None:
                wait_for(self.fileno(), writing=True)
            left = left[count or 0 :]
        return size

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there; nothing is there only at the end."""
        while (count := super().readinto(buffer)) is None:
            wait_for(self.fileno())
        return count


def wait_for(descriptor: int, *, writing: bool = False) -> None:
    """Wait until a descriptor that has nothing, or no room, for now may be tried again."""
    import select  # which is needed seldom

    each = [descriptor]
    try:
        select.select([] if writing else each, each if writing else [], [])
    except ValueError:  # too big a number for it
        waiting = select.poll()
        waiting.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        waiting.poll()


def wait_for_streams() -> None:
    """Let the standard streams of this process wait (rule 5), but for those that somebody has replaced."""
    if not WINDOWS:
        sys.stdin = _waiting(sys.stdin, 0)
        sys.stdout, sys.stderr = _waiting(sys.stdout, 1), _waiting(sys.stderr, 2)


def _waiting(stream: TextIO, number: int) -> TextIO:
    if type(stream) is not io.TextIOWrapper or stream.fileno() != number:
        return stream
    raw = WaitingFile(number, "w" if number else "r", closefd=False)
    if number == 0:
        return io.TextIOWrapper(io.BufferedReader(raw), stream.encoding, stream.errors)
    to = raw if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(raw)
    lines, through = stream.line_buffering, stream.write_through
    return io.TextIOWrapper(to, stream.encoding, stream.errors, "\n", lines, through)
