"""Reading and writing files so that neither a crash, a planted link nor another process does harm.

What it is: the only place that opens files of the trust directory. What it is not: it knows nothing of keys,
metadata or configuration.

Rules:

1. Only regular files are read, never more than the caller's limit; a FIFO or a device in place of a file
   does not block.
2. A file is replaced as a whole or not at all: temporary file in the same directory, fsync, rename, fsync of
   the directory. A failure leaves no temporary file.
3. New files are 0600 and new directories 0700 whatever the umask; what exists keeps its mode.
4. Below a base directory that the caller names, symbolic links in place of directories are refused. The base
   itself, and what is above it, may be links.
5. Locks are advisory, on files of their own that are never removed: removing one would let two owners lock
   two different files of the same name.
6. Nothing is made in the home of a user who has none: that is said once somebody needs one, and not before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from notarypy import system
from notarypy.errors import Advice, ConfigurationError, StorageError

NO_HOME = Path("/nonexistent/no-home").absolute()
AT_WORK = "another notarypy is at work"
_POLL_SECONDS = 0.02
_USUAL, _ON_DISK = "/tmp", "/var/tmp"  # noqa: S108 - only names of folders, for files without a name
_SAMPLE_BYTES = 4096

_ADVICE = {
    errno.EACCES: Advice("check-owner"),
    errno.EPERM: Advice("check-owner"),
    errno.ENOSPC: Advice("free-disk"),
    errno.EDQUOT: Advice("free-quota"),
    errno.EROFS: Advice("choose-writable"),
}


def failure(action: str, path: Path, error: Exception) -> StorageError:
    """Turn an error of the operating system into ours."""
    code = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error)
    if code == errno.ELOOP:
        reason = "it is a symbolic link, which is not followed here"
    return StorageError(f"cannot {action} {path}", why=reason, advice=_ADVICE.get(code or 0), path=str(path))


def home(environ: Mapping[str, str]) -> Path:
    """Return this user's home; `NO_HOME` if there is none, which matters only to who needs it (rule 6)."""
    return Path(environ.get("HOME") or os.environ.get("HOME") or system.known_home() or NO_HOME)


def lacks_home(path: Path) -> bool:
    """Tell whether a path is in the home of somebody who has none, and so is not to be shown (rule 6)."""
    return path.is_relative_to(NO_HOME)


def require_home(path: Path) -> Path:
    """Return a path; raise ConfigurationError if it is in the home of somebody who has none (rule 6)."""
    if not lacks_home(path):
        return path
    why = "HOME is not set, and the system knows none of this user"
    raise ConfigurationError("there is no home directory", why=why, advice=Advice("set-home"))


def read_regular(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Read a regular file of at most `limit` bytes (rule 1); it raises what `regular` raises.

    Links are followed for files that the user names himself: mounted secrets are links.
    """
    with regular(path, limit, follow=follow) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise _too_big(path, len(data), limit)
    return data


@contextlib.contextmanager
def regular(path: Path, limit: int | None = None, *, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file, for example one that the user named, to read any part of it (rule 1).

    FileNotFoundError where there is none, StorageError for what is too big, not regular or not readable.
    """
    flags = os.O_RDONLY | system.NOCTTY | (0 if follow else system.NOFOLLOW)
    try:
        with _opened(path, flags) as descriptor:
            _require_regular(path, descriptor, limit)
            with open(descriptor, "rb", closefd=False) as stream:
                yield stream
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise failure("read", path, error) from error


def require_name(path: Path) -> None:
    """Raise StorageError for a path that no file can have on this system."""
    if problem := system.name_problem(str(path)):
        raise StorageError(f"cannot use {path}", why=problem, advice=Advice("name-new-file"), path=str(path))


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    require_name(path)
    descriptor = system.patiently(lambda: os.open(path, flags | system.SAFE, 0o600))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_regular(path: Path, descriptor: int, limit: int | None) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"cannot use {path}", why="it is not a regular file", path=str(path))
    if limit is not None and status.st_size > limit:
        raise _too_big(path, status.st_size, limit)


def _too_big(path: Path, size: int, limit: int) -> StorageError:
    why = f"it has {size} bytes or more, at most {limit} are allowed"
    return StorageError(f"cannot read {path}", why=why, path=str(path), limit=limit)


UNFINISHED = ".notarypy-*.tmp"
"""What a file is called that `write_atomic` has begun; it stays if the process is killed."""


def write_atomic(
    path: Path, data: bytes, mode: int = 0o600, *, new: bool = False, by: Path | None = None
) -> None:
    """Replace the content of a file as a whole, and return when it is on the disk (rules 2 and 3).

    A symbolic link in place of the file is replaced, not followed. StorageError leaves the old content; a
    `new` file replaces nothing, and what is there is one. It is written in the folder `by` of the same file
    system, where another program takes every file beside it for its own.
    """
    with replacing(path, mode, new=new, by=by) as stream:
        stream.write(data)


@contextlib.contextmanager
def replacing(
    path: Path, mode: int = 0o600, *, new: bool = False, by: Path | None = None
) -> Iterator[BinaryIO]:
    """Take the content of a file piece by piece, and replace it as `write_atomic` does; never by a part.

    Whatever is raised inside leaves the old content; an error of the operating system is one of this file.
    """
    require_name(path)
    make_private_directory(path.parent)
    # Not made from the file's name: that may already be as long as a name can be.
    temporary = (by or path.parent) / f".notarypy-{os.urandom(8).hex()}.tmp"
    try:
        with _new(temporary, mode) as stream:
            yield stream
        if new:
            take_name(temporary, path)
        else:
            system.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - one style for all system calls of this module
        if isinstance(error, OSError | ValueError):
            raise failure("write", path, error) from error
        raise
    _sync_directory(path.parent)


def unnamed() -> BinaryIO:
    """Return a temporary file without a name, where there is room: /tmp may be memory, and too little."""
    import tempfile  # most commands need none

    usual = tempfile.gettempdir() == _USUAL and os.access(_ON_DISK, os.W_OK)
    return tempfile.TemporaryFile(prefix="notarypy-", dir=_ON_DISK if usual else None)


def take_name(temporary: Path, path: Path) -> None:
    """Give a finished file its name; FileExistsError if it is taken, be it in this moment."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no second names for a file: the name is taken first
        with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.NOFOLLOW):
            pass
        system.replace(temporary, path)
    else:
        os.unlink(temporary)  # noqa: PTH108 - one style for all system calls of this module


def move(source: Path, target: Path) -> None:
    """Move a file or directory to a name that nothing has, on one file system, and to the disk (rule 2)."""
    try:
        system.replace(source, target)
    except OSError as error:
        raise failure("move", source, error) from error
    for directory in (target.parent, source.parent):
        _sync_directory(directory)


def remove(path: Path) -> None:
    """Remove a file; one that is gone is removed. Raises StorageError."""
    try:
        system.remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise failure("delete", path, error) from error


def require_writable(directory: Path) -> None:
    """Make a directory, and raise StorageError unless a file can be written there: one is, and goes again."""
    make_private_directory(directory)
    temporary = directory / f".notarypy-{os.urandom(8).hex()}.tmp"
    try:
        with _new(temporary, 0o600) as stream:
            stream.write(bytes(_SAMPLE_BYTES))
    except (OSError, ValueError) as error:
        raise failure("write to", directory, error) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - one style for all system calls of this module


@contextlib.contextmanager
def _new(path: Path, mode: int) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.NOFOLLOW
    with _opened(path, flags) as descriptor:
        system.set_mode(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as stream:
            yield stream
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    try:
        system.sync_directory(path)
    except OSError as error:
        raise failure("write", path, error) from error


def make_private_directory(path: Path, *, below: Path | None = None) -> None:
    """Make a directory and its missing parents with mode 0700 (rules 3, and 4 where there is a base)."""
    require_name(require_home(path))
    if below is not None:
        refuse_links(path, below)
    try:
        if path.is_dir():
            return
        for directory in (*reversed(path.parents), path):
            _make_one(directory)
    except (OSError, ValueError) as error:
        raise failure("make directory", path, error) from error


def _make_one(path: Path) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return  # another process was faster
    path.chmod(0o700)


def refuse_links(path: Path, below: Path) -> None:
    """Raise StorageError unless all that exists from under `below` to `path` is real directories (rule 4)."""
    if ".." in path.parts[len(below.parts) :] or not path.is_relative_to(below):
        raise StorageError(f"cannot use {path}", why=f"it is not below {below}", path=str(path))
    current = below
    for part in path.relative_to(below).parts:
        current /= part
        try:
            mode = current.lstat().st_mode
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise failure("use", current, error) from error
        if not stat.S_ISDIR(mode):
            why = "it is a symbolic link" if stat.S_ISLNK(mode) else "it is not a directory"
            advice = Advice("put-directory")
            raise StorageError(f"cannot use {current}", why=why, advice=advice, path=str(current))


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on a lock file, against other processes and other threads (rule 5).

    Not re-entrant. Waits `timeout` seconds for another owner, and tries once for 0; then StorageError.
    """
    require_name(path)
    make_private_directory(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | system.NOFOLLOW | system.SAFE, 0o600)
    except (OSError, ValueError) as error:
        raise failure("lock", path, error) from error
    try:
        _require_regular(path, descriptor, None)
        if not os.fstat(descriptor).st_mode & stat.S_IRWXU:
            system.set_mode(descriptor, 0o600)  # a strict umask made it unusable for the next owner
        _wait_for_lock(path, descriptor, timeout)
        yield
    finally:
        os.close(descriptor)  # closing gives the lock back


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds a lock now; where nobody can tell, nobody does. Nothing is written."""
    try:
        with _opened(path, os.O_RDONLY | system.NOFOLLOW) as descriptor:
            system.look_at_lock(descriptor)
    except OSError as error:
        return error.errno in {errno.EWOULDBLOCK, errno.EACCES} and os.access(path, os.R_OK)
    return False


def _wait_for_lock(path: Path, descriptor: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not _try_lock(path, descriptor):
        if time.monotonic() >= deadline:
            why = f"it holds the lock {path}" + (f", and did for {timeout:g} seconds" if timeout else "")
            raise StorageError(AT_WORK, why=why, advice=Advice("wait-for-other"), path=str(path))
        time.sleep(_POLL_SECONDS)


def _try_lock(path: Path, descriptor: int) -> bool:
    try:
        system.lock(descriptor)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}:
            return False
        raise failure("lock", path, error) from error
    return True
