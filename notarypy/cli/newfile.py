"""A file for a public key: new, or not at all.

What it is: how `key generate` makes `NAME.pub`. What it is not: for secrets; `files` writes those.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from notarypy.errors import Advice, AlreadyExistsError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PUBLIC_MODE = 0o644


def _exists(path: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{path} exists",
        why="it may be the public half of another key",
        advice=Advice("move-away-or", option="--dir"),
    )


def require_directory(path: Path) -> None:
    """Raise StorageError unless the directory that a file is to be in exists; it is never made."""
    if not path.parent.is_dir():
        raise StorageError(
            f"cannot write {path}",
            why=f"the directory {path.parent} does not exist",
            advice=Advice("make-directory"),
            path=str(path),
        )


@contextmanager
def new_file(path: Path, mode: int = _PUBLIC_MODE) -> Iterator[BinaryIO]:
    """Make a file that must not exist, before anything else is made; what fails takes it away again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StorageError(
            f"cannot write the public key to {path}",
            why=error.strerror or "",
            advice=Advice("make-directory-or-dir"),
        ) from None
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, no path
            yield stream
    except BaseException:
        path.unlink(missing_ok=True)
        raise
