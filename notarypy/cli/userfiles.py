"""Files that the user names: key files, lists, and public keys to write.

What it is: links and pipes are fine, and `-` is standard input; what is written is new, or not at all.
What it is not: for secrets that are written; `files` does that.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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

_STDIN = "-"
_PUBLIC_MODE = 0o644


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


def require_directory(path: Path) -> None:
    """Raise StorageError unless the directory that a file is to be in exists; it is never made."""
    if not path.parent.is_dir():
        why, advice = f"the directory {path.parent} does not exist", Advice("make-directory")
        raise StorageError(f"cannot write {path}", why=why, advice=advice, path=str(path))


def fill(stream: BinaryIO, path: Path, data: bytes, *known: str) -> None:
    """Write all of a new file; raise StorageError, with what is known of what was made for it."""
    try:
        while data:
            data = data[stream.write(data) :]
    except OSError as error:
        why = tuple(filter(None, (error.strerror, *known)))
        raise StorageError(f"cannot write {path}", why=why, path=str(path)) from None


@contextmanager
def new_file(path: Path, mode: int = _PUBLIC_MODE, option: str = "--dir") -> Iterator[BinaryIO]:
    """Make a file that must not exist, before anything else is made; what fails takes it away again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        why, advice = "it may be the public half of another key", Advice("move-away-or", option=option)
        raise AlreadyExistsError(f"{path} exists", why=why, advice=advice) from None
    except OSError as error:
        message, advice = f"cannot write the public key to {path}", Advice("make-directory-or-dir")
        raise StorageError(message, why=error.strerror or "", advice=advice) from None
    try:
        with open(descriptor, "wb", buffering=0) as stream:  # noqa: PTH123 - a descriptor, no path
            yield stream
    except BaseException:
        path.unlink(missing_ok=True)
        raise
