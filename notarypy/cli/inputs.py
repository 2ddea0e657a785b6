"""Files that the user names: key files, lists, JSON. Links and pipes are fine, `-` is standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import Advice, ConfigurationError, UsageError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDIN = "-"
_BUILDX_DIGEST = "containerimage.digest"


def read(path: str) -> bytes:
    """Return what a file, or standard input for `-`, holds.

    Raises:
        UsageError: It cannot be read, or is too big.
    """
    most = DEFAULT.input_bytes
    try:
        if path == _STDIN:
            data = b"" if sys.stdin is None else sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {path}",
            why=getattr(error, "strerror", None) or "its name is not usable",
            advice=Advice("check-file"),
            path=path,
        ) from None
    if len(data) > most:
        raise UsageError(f"{path} is too big", why=f"more than {most} bytes", path=path)
    return data


def read_all(paths: Sequence[str] | None) -> list[bytes]:
    """Return what several files hold; see `read`."""
    return [read(path) for path in paths or ()]


def read_text(path: str) -> str:
    """Return what a UTF-8 file holds; see `read`."""
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{name(path)} is not UTF-8 text", path=path) from None


def name(path: str) -> str:
    """Return what messages call a file."""
    return "standard input" if path == _STDIN else path


def buildx_digest(path: str) -> str:
    """Return the digest in a metadata file of buildx.

    Raises:
        ConfigurationError: It has none.
    """
    try:
        found = json.loads(read_text(path))
        digest = found[_BUILDX_DIGEST]
    except (ValueError, KeyError, TypeError, RecursionError):
        digest = None
    if not isinstance(digest, str):
        raise ConfigurationError(
            f"{name(path)} has no {_BUILDX_DIGEST}",
            why="--digest-file takes what docker buildx build --metadata-file wrote",
            path=path,
        )
    return digest
