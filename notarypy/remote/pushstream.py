"""What a docker daemon says while it pushes: progress records, one JSON object a line.

What it is: from the lines to the digest that was pushed, or to what went wrong. What it is not: it trusts
nothing but the form; the digest is looked up in the registry by whoever wants to sign it.

Rules:

1. A push is over when its stream is. It succeeded if no record is an error, and if all that name a digest and
   a size for the tag name the same.
2. Daemons name them in an `aux` record, or (with the containerd image store) in the last line for people,
   or in both.
3. A line and the whole stream have a limit. A line that is no JSON object is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass

if TYPE_CHECKING:
    from io import BufferedIOBase

_CHUNK = 16 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SAID = re.compile(r"(?P<tag>\S{1,128}): digest: (?P<digest>\S{71}) size: (?P<size>[0-9]{1,9})")


@dataclass(frozen=True)
class PushOutcome:
    """What a daemon says it pushed: digest and bytes of the manifest or index.

    It is `partial` if it is one platform's manifest in place of an index that the daemon has in part.
    """

    digest: str
    size: int
    partial: bool = False


class TooMuchError(Exception):
    """The stream or one of its lines is too long."""


class NonsenseError(Exception):
    """A line of the stream is no record, or says what cannot be."""


class PushError(Exception):
    """The daemon could not push; the text is its own."""


class SilentError(Exception):
    """The stream ended well and named no digest, or several."""


def outcome(source: BufferedIOBase, tag: str, limits: Limits = DEFAULT) -> PushOutcome:
    """Read the stream of a push to its end; raises the errors above."""
    found: set[tuple[str, int]] = set()
    partial = False
    for record in _records(source, limits):
        if problem := _problem(record):
            raise PushError(problem)
        aux = record.get("aux")
        partial |= isinstance(aux, dict) and aux.get("manifestPushedInsteadOfIndex") is True
        found |= _named(record, tag, limits.manifest_bytes)
    if len(found) != 1:
        raise SilentError
    [(digest, size)] = found
    return PushOutcome(digest, size, partial)


def _records(source: BufferedIOBase, limits: Limits) -> Iterator[dict[str, Any]]:
    for line in _lines(source, limits):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
        except (ValueError, RecursionError):
            raise NonsenseError("a line is not JSON") from None
        if not isinstance(record, dict):
            raise NonsenseError("a line is not a JSON object")
        yield record


def _lines(source: BufferedIOBase, limits: Limits) -> Iterator[bytes]:
    pending, total = b"", 0
    most, longest = limits.daemon_stream_bytes, limits.daemon_line_bytes
    while part := source.read1(_CHUNK):
        total += len(part)
        *lines, pending = (pending + part).split(b"\n")
        if total > most or max(map(len, (*lines, pending))) > longest:
            raise TooMuchError
        yield from lines
    yield pending


def _named(record: Mapping[str, Any], tag: str, most: int) -> set[tuple[str, int]]:
    """Return digest and size if a record has those of the tag; raise NonsenseError if those cannot be."""
    aux, status = record.get("aux"), record.get("status")
    if isinstance(aux, dict) and aux.get("Tag") == tag:
        return {_checked(aux.get("Digest"), aux.get("Size"), most)}
    said = _SAID.fullmatch(status) if isinstance(status, str) and not record.get("id") else None
    if said is not None and said["tag"] == tag:
        return {_checked(said["digest"], int(said["size"]), most)}
    return set()


def _checked(digest: object, size: object, most: int) -> tuple[str, int]:
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise NonsenseError("what it calls a digest is none")
    if type(size) is not int or not 0 < size <= most:
        raise NonsenseError("what it calls the size of a manifest is none")
    return digest, size


def _problem(record: Mapping[str, Any]) -> str:
    detail = record.get("errorDetail")
    text = detail.get("message") if isinstance(detail, dict) else None
    text = text or record.get("error")
    if text or detail or "error" in record:
        return text if text and isinstance(text, str) else "an error without words"
    return ""
