"""JSON between programs: documents, points in time, fields of results, errors, and what is read strictly.

What it is: one form for what `--json` prints and what the verification service answers, and one reader for
what services are sent. What it is not: the members that a command or an answer has (`cli`,
`client.verdicts`), what people read, or the reader of what is signed (`tuf.canonical`).

Rules:

1. A document is ASCII, so that no character can do harm; what JSON lacks becomes text.
2. An error has its code, exit code, message, reasons and facts. What to do next is a text where commands are
   typed; between programs it goes as the name of an advice and its values, and comes back as such.
3. What is read is one object in UTF-8, bounded in brackets, commas and levels before it is decoded, without
   duplicate members, NaN and infinities (`1e999` is one): programs that disagree about a document are an
   attack. Words on what is wrong quote nothing of it. A text in it may be none (half a surrogate pair).
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from notarypy.errors import Advice

if TYPE_CHECKING:
    from notarypy.errors import NotarypyError

_PLAIN = (str, int, float, bool, type(None))
# Without escapes a string ends at the next quote; one that is open takes all that follows.
_STRING = re.compile(rb'"[^"]*"?')
_NEITHER_BRACKETS_NOR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_BRACES_FOR_BRACKETS = bytes.maketrans(b"[]", b"{}")
_BRACKETS_AND_COMMAS = b"[]{},"
_PIECE = 1 << 16  # what is looked at in one go, without a copy of the whole


def document(value: object, indent: int | None = None) -> str:
    """Return a document (rule 1)."""

    def plain(value: object) -> object:
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    return json.dumps(value, indent=indent, default=plain).translate({0x7F: "\\u007f"})


def read(data: bytes, levels: int, most: int) -> dict[str, Any]:
    """Read an object of so many levels, brackets and commas at most strictly (rule 3); raise ValueError."""
    if parts(data) > most or is_deeper(data, levels):
        raise ValueError("it has too many parts or levels")
    try:
        found = _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - of a document, as all others
    return found


def parts(data: bytes) -> int:
    """Count the brackets and commas of a text (rule 3)."""
    pieces = (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
    return sum(len(piece) - len(piece.translate(None, _BRACKETS_AND_COMMAS)) for piece in pieces)


def without_escapes(text: bytes) -> bytes:
    """Leave out escaped backslashes, then escaped quotes: a backslash that is left escapes something else."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def is_deeper(data: bytes, levels: int) -> bool:
    """Tell whether a text is nested deeper; of one that leaves brackets open, whether it may be."""
    outlined = without_escapes(data).translate(_BRACES_FOR_BRACKETS, _NEITHER_BRACKETS_NOR_QUOTES)
    # Two quotes side by side stand for a string without brackets, or between two with: nothing is lost.
    left = _STRING.sub(b"", outlined.replace(b'""', b""))
    while levels >= 0 and b"{}" in left:
        left, levels = left.replace(b"{}", b""), levels - 1  # the innermost level
    return left.count(b"{") > levels


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)


def fields(value: object, names: str) -> dict[str, Any]:
    """Return some attributes of a result, points in time as metadata writes them."""
    found = {name: getattr(value, name) for name in names.split()}
    return {name: moment(each) if isinstance(each, datetime) else each for name, each in found.items()}


def moment(when: datetime | None) -> str | None:
    """Return a point in time as metadata writes it, to the second."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def error(error: NotarypyError, **to_do: object) -> dict[str, Any]:
    """Return an error, with what there is to do (rule 2)."""
    return {
        "code": error.code,
        "exit": error.exit_code,
        "message": error.message,
        "why": list(error.why),
        "facts": error.facts,
        **to_do,
        "retryable": error.retryable,
    }


def advice(given: Advice | None) -> dict[str, Any] | None:
    """Return an advice; its values are put into a text, so those that JSON lacks go as their texts."""
    if given is None:
        return None

    def plain(value: object) -> object:
        if isinstance(value, Advice):
            return advice(value)
        return value if isinstance(value, _PLAIN) else str(value)

    return {"name": given.name, "values": {name: plain(value) for name, value in given.values.items()}}


def advised(value: object) -> Advice | None:
    """Return the advice that `advice` made this of; raise ValueError for anything else."""
    if value is None:
        return None
    match value:
        case {"name": str(name), "values": dict(values), **rest} if not rest:
            given = {key: advised(each) if isinstance(each, dict) else each for key, each in values.items()}
            if all(isinstance(each, Advice | str | int | float | None) for each in given.values()):
                made = Advice.__new__(Advice)
                vars(made).update(name=name, values=given)
                return made
    raise ValueError("an advice is a name and values")
