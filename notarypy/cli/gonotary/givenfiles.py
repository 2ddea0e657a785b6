"""Files that a line of `notary` names, and their errors in the words of Go's programs.

What it is: content and keys, to be read, and whether a file can be written. What it is not: writing it
(`cli.userfiles`), or what a file has to hold.

Rules:

1. `-` is a file of that name, as there, and a name is taken as it stands: an empty one is no file.
2. Where a key is named, what is there as a file is a file, whatever its name looks like. What is none may be
   digits of the id of a key that is here; a URI never is a file.
3. A file that cannot be read is said before anything is asked or made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from notarypy.errors import Advice, StorageError, UsageError
from notarypy.keys.signers import is_uri
from notarypy.limits import DEFAULT

_ID = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_ROOT_KEY = "Error reading input root key file: "  # said of keys of any role, by Go too


@contextmanager
def opened(path: str, before: str = "") -> Iterator[BinaryIO]:
    """Open a file (rule 1); raise UsageError, whose text begins with what Go's programs say `before`."""
    try:
        stream = open(path, "rb")  # noqa: PTH123, SIM115 - a Path is no name as it stands; see `unreadable`
    except (OSError, ValueError) as error:
        raise unreadable(path, error, before) from None
    with stream:  # errors in the block that uses it are others
        yield stream


def unreadable(path: str, error: OSError | ValueError, before: str = "") -> UsageError:
    """Return the refusal of a file that cannot be read."""
    reason = getattr(error, "strerror", None) or "invalid argument"
    what = "read" if isinstance(error, IsADirectoryError) else "open"
    text = f"{before}{what} {path}: {reason[:1].lower()}{reason[1:]}"
    return UsageError(text, advice=Advice("check-file"), path=path)


def require_place(path: str) -> None:
    """Raise StorageError for a path where no file can be written (rule 3)."""
    if Path(path).is_dir():
        raise StorageError(f"open {path}: is a directory", advice=Advice("name-new-file"), path=path)
    if not Path(path).parent.is_dir():
        text, advice = f"open {path}: no such file or directory", Advice("make-directory")
        why = f"the directory {Path(path).parent} does not exist"
        raise StorageError(text, why=why, advice=advice, path=path)


def content(path: str, before: str = "") -> bytes:
    """Return what a file holds; raise UsageError where that fails, or is too much."""
    most = DEFAULT.input_bytes
    with opened(path, before) as stream:
        try:
            data = stream.read(most + 1)
        except OSError as error:
            raise unreadable(path, error, before) from None
    if len(data) > most:
        raise UsageError(f"{path} is too big", why=f"more than {most} bytes", path=path)
    return data


def key(word: str) -> str:
    """Return what means a key to notarypy's library: a URI, a path, or digits of an id (rules 2 and 3)."""
    if is_uri(word) or (_ID.fullmatch(word) and not Path(word).exists()):
        return word
    if not Path(word).is_fifo():  # a pipe is opened once, by who reads it
        with opened(word, _ROOT_KEY):
            pass
    return str(Path(word).absolute())
