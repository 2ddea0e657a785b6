"""Files that the user names: key files, lists, and public keys to write.

What it is: links and pipes are fine to read, and `-` is standard input. What is written is new, or replaces a
regular file as a whole, and never a link or a file of the trust directory; devices and pipes where
`write_stream` is called alone.
"""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from notarypy import files, system
from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    PassphraseNeededError,
    PassphraseWrongError,
    StorageError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from notarypy.cli.run import Run

_STDIN = "-"
PUBLIC_MODE = 0o644


def read(path: str) -> bytes:
    """Return what a file, or standard input for `-`, holds; raise UsageError where that fails."""
    most = DEFAULT.input_bytes
    try:
        if path == _STDIN:
            data = b"" if sys.stdin is None else sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is not usable"
        raise UsageError(f"cannot read {path}", why=why, advice=Advice("check-file"), path=path) from None
    if len(data) > most:
        raise UsageError(f"{path} is too big", why=f"more than {most} bytes", path=path)
    return data


def read_text(path: str) -> str:
    """Return what a UTF-8 file holds; see `read`."""
    data = read(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Windows' editors and PowerShell write UTF-16, which begins with a mark; of others nothing is known.
        encoding = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "ENCODING"
        line = data.count(b"\n", 0, error.start) + 1
        why = "it is UTF-16" if encoding == "UTF-16" else f"line {line} has other bytes"
        advice = Advice("convert-text", encoding=encoding, file=path)
        raise UsageError(f"{name(path)} is not UTF-8 text", why=why, advice=advice, path=path) from None


def name(path: str) -> str:
    """Return what messages call a file."""
    return "standard input" if path == _STDIN else path


@contextmanager
def named(path: str) -> Iterator[None]:
    """Name a file of keys in whatever is raised about it inside."""
    try:
        yield
    except (UnsupportedKeyError, PassphraseNeededError, PassphraseWrongError) as error:
        why, facts = (*error.why, f"the file is {name(path)}"), {**error.facts, "file": path}
        raise type(error)(error.message, why=why, advice=error.advice, **facts) from None


def destination(run: Run, output: str, *, ask: bool = True) -> Path:
    """Return the file that an option names, to be written; raise before anything is done if it cannot.

    If it is there, whoever is at the terminal says whether it may be replaced.
    """
    if output == _STDIN:
        raise UsageError('"-" names no file here', advice=Advice("name-new-file"))
    require_directory(path := Path(output))
    if output.endswith("/"):
        why, advice = "it names a directory", Advice("name-new-file")
        raise StorageError(f"cannot write {output}", why=why, advice=advice, path=output)
    if ask and path.exists():
        run.confirm("Overwrite it?", f"{path} is there")
    return path


def write(path: Path, text: str, mode: int = PUBLIC_MODE) -> None:
    """Write a text as a whole to what `destination` has returned."""
    files.write_atomic(path.absolute(), text.encode(errors="backslashreplace"), mode)


def require_outside(path: Path, trust_dir: Path) -> None:
    """Raise UsageError for a file of the trust directory: it would replace a key, or be lost with it."""
    if path.resolve().is_relative_to(trust_dir.resolve()):
        raise UsageError(f"{path} is inside of the trust directory", advice=Advice("name-new-file"))


def require_directory(path: Path) -> None:
    """Raise StorageError unless a file can be in its directory, and would replace nothing but a file."""
    files.require_name(path)
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        why, advice = "it is there, and is no regular file", Advice("name-new-file")
        raise StorageError(f"cannot write {path}", why=why, advice=advice, path=str(path))
    if not path.parent.is_dir():
        why, advice = f"the directory {path.parent} does not exist", Advice("make-directory")
        raise StorageError(f"cannot write {path}", why=why, advice=advice, path=str(path))


def is_stream(path: Path) -> bool:
    """Tell whether what is there can be written to and is no file: a pipe, a device, what is open."""
    if system.descriptor(path) is not None:
        return True
    return path.exists() and (path.is_fifo() or path.is_char_device())


def write_stream(path: Path, data: bytes) -> None:
    """Write to what `is_stream`; raise StorageError."""
    try:
        with system.writing(path) as stream:
            stream.write(data)
    except OSError as error:
        raise StorageError(f"cannot write {path}", why=error.strerror or "", path=str(path)) from None


def write_new(stream: BinaryIO, path: Path, data: bytes, *known: str) -> None:
    """Write all of a new file; raise StorageError, with what is known of what was made for it."""
    try:
        while data:
            data = data[stream.write(data) :]
    except OSError as error:
        why = tuple(filter(None, (error.strerror, *known)))
        raise StorageError(f"cannot write {path}", why=why, path=str(path)) from None


@contextmanager
def new_file(
    path: Path, mode: int = PUBLIC_MODE, option: str = "--dir", half: str = "public"
) -> Iterator[BinaryIO]:
    """Make a file that must not exist, before anything else is made; what fails takes it away again.

    For errors, `option` is what may name another place, and `half` which half of a key it is for.
    """
    files.require_name(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        why, advice = f"it may be the {half} half of another key", Advice("move-away-or", option=option)
        raise AlreadyExistsError(f"{path} exists", why=why, advice=advice) from None
    except OSError as error:
        message = f"cannot write the {half} key to {path}"
        advice = Advice("make-directory-or-dir" if option == "--dir" else "make-directory")
        raise StorageError(message, why=error.strerror or "", advice=advice) from None
    try:
        with open(descriptor, "wb", buffering=0) as stream:  # noqa: PTH123 - a descriptor, no path
            yield stream
    except BaseException:
        path.unlink(missing_ok=True)
        raise
