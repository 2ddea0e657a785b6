"""What several people are to sign, in words and as JSON: what it changes, and whose signatures are there.

What it is: a part as it is shown before it is signed. What it is not: printing, or asking (`cli.partfiles`).

Rules:

1. All that a signature would be for is shown, one line for each thing; what is too long for a line goes on in
   the next one, and nothing is left out.
2. `+` is what comes, `-` what goes, `~` what becomes something else, `=` what stays.
3. A name or path that could be taken for more than a name is quoted, as in JSON.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from notarypy.cli.text import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.publish.joining import PartReview
    from notarypy.tuf.draftchanges import DraftChange
    from notarypy.tuf.parts import NeededSignatures

_CHANGE, _REQUIRED = "role kind name before after", "role threshold signed could missing former"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+(?<!:)")
_WIDEST = 4000  # well below what is cut (`render.safe`)


def as_json(review: PartReview, file: str | None, *, published: bool) -> dict[str, Any]:
    """Return a part as documents have it, in a file or published."""
    return {
        "repository": review.repository,
        "file": file,
        "published": published,
        "compared_with_server": review.fresh,
        "changes": [render.fields(one, _CHANGE) for one in review.changes],
        "required": [render.fields(one, _REQUIRED) for one in review.required],
        "here": list(review.here),
    }


def lines(review: PartReview) -> list[str]:
    """Return a part in words (rule 1)."""
    base = "what is published now"
    if not review.part.base:
        base = "nothing: it is the first root of this repository"
    elif not review.fresh:
        base = "what the file says is published; nobody was asked whether it still is"
    return [
        f"to be signed for {review.repository}, built on {base}:",
        *_changes(review),
        *signatures(review),
    ]


def _changes(review: PartReview) -> Iterator[str]:
    role = None
    for change in review.changes:
        if change.role != role:
            role = change.role
            yield f"  {role}"
        words = _words(change)
        yield from (f"    {words[at : at + _WIDEST]}" for at in range(0, len(words), _WIDEST))


def _words(change: DraftChange) -> str:
    what, before, after = change.kind, change.before, change.after
    name = change.name if what in {"certificate", "other"} else _quoted(change.name)  # those are words
    sign = "+" if before is None else "-" if after is None else "=" if before == after else "~"
    value = f"{before} -> {after}" if sign == "~" else (after if before is None else before)
    if what in {"version", "expires"}:
        return f"{sign} {what} {value}"
    if what == "delegation":
        return f"{sign} delegation {name}"
    if what in {"key", "certificate", "threshold", "path"}:
        if what == "path":
            value = _quoted(value) if value else "all tags"
        return f"{sign} {what} of {name}: {value}{_lowered(change)}"
    if what == "entry":
        return f"{sign} said of tag {name}: {value}"
    return f"{sign} {what} {name}: {value}"


def _quoted(name: str) -> str:
    """Return a name that is nothing but one (rule 3)."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _lowered(change: DraftChange) -> str:
    """Say that fewer keys than before will be enough: nobody is to overlook that."""
    if change.kind != "threshold" or change.before is None or change.after is None:
        return ""
    return " (LOWER: fewer keys will be enough)" if int(change.after) < int(change.before) else ""


def signatures(review: PartReview) -> list[str]:
    """Return one line for each threshold: who has signed, and who could."""
    return [_signatures(one, review.here) for one in review.required]


def _signatures(one: NeededSignatures, here: tuple[str, ...]) -> str:
    whose = f"{one.role}, by the keys before" if one.former else one.role
    line = (
        f"  {len(one.signed)} of {one.threshold} signatures of {whose}: {_keys(one.signed, here) or 'nobody'}"
    )
    return f"{line}; could sign: {_keys(one.could, here) or 'nobody else'}" if one.missing else line


def _keys(keyids: tuple[str, ...], here: tuple[str, ...]) -> str:
    return ", ".join(
        f"{keyid[: render.SHORT_ID]} (here)" if keyid in here else keyid[: render.SHORT_ID]
        for keyid in keyids
    )
