"""JSON for other programs: documents, points in time, fields of results, and errors.

What it is: one form for what `--json` prints and what the verification service answers. What it is not: the
members that a command or an answer has (`cli`, `client.verdictjson`), or what people read.

Rules:

1. A document is ASCII, so that no character can do harm; what JSON lacks becomes text.
2. An error has its code, exit code, message, reasons and facts. What to do next is a text where commands are
   typed; between programs it goes as the name of an advice and its values, and comes back as such.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice

if TYPE_CHECKING:
    from notarypy.errors import NotarypyError

_PLAIN = (str, int, float, bool, type(None))


def document(value: object, indent: int | None = None) -> str:
    """Return a document (rule 1)."""

    def plain(value: object) -> object:
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    return json.dumps(value, indent=indent, default=plain).translate({0x7F: "\\u007f"})


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
