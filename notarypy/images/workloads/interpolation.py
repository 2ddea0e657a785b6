"""Variables in a compose file.

What it is: the grammar of `$NAME` and `${NAME...}` in one text. What it is not: where the values come from.

Rules:

1. `$$` is a dollar. `$NAME` and `${NAME}` are the value of a variable.
2. `-` gives a word in its place if there is none, `?` an error, and `+` a word if there is one; with a colon
   before it an empty value counts as none. A word has variables itself, which count if the word does.
3. A variable that counts and has no value is an error, never an empty text.
4. What compose's releases do not agree on is an error: a brace alone within braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from notarypy.limits import DEFAULT

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BRACED = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+?])(?P<word>.*))?", re.ASCII | re.DOTALL)

Missing = Callable[[str], str]


class InterpolationError(ValueError):
    """A text is outside of the grammar."""


def interpolate(text: str, values: Mapping[str, str], missing: Missing, level: int = 0) -> str:
    """Return a text with its variables; `missing` raises for a name without a value (rule 3)."""
    if level > DEFAULT.word_levels:
        raise InterpolationError(f"it is nested more than {DEFAULT.word_levels} deep")
    found, position = [], 0
    while (dollar := text.find("$", position)) >= 0:
        found.append(text[position:dollar])
        after = text[dollar + 1 : dollar + 2]
        if after == "$":
            found.append("$")
            position = dollar + 2
        elif after == "{":
            end = _closing(text, dollar + 2)
            found.append(_braced(text[dollar + 2 : end], values, missing, level))
            position = end + 1
        else:
            name = _NAME.match(text, dollar + 1)
            if name is None:
                raise InterpolationError("a dollar stands before no name; a dollar itself is $$")
            found.append(values[name[0]] if name[0] in values else missing(name[0]))
            position = name.end()
    return "".join([*found, text[position:]])


def _closing(text: str, start: int) -> int:
    """Return where the braces end that were opened before `start` (rule 4)."""
    level, position = 1, start
    while position < len(text):
        pair = text[position : position + 2]
        if pair in {"$$", "${"}:
            level += pair == "${"
            position += 2
            continue
        if pair[0] == "{":
            raise InterpolationError("a brace stands alone within braces")
        level -= pair[0] == "}"
        if level == 0:
            return position
        position += 1
    raise InterpolationError("a brace is not closed")


def _braced(text: str, values: Mapping[str, str], missing: Missing, level: int) -> str:
    """Return what stands for the text between braces (rule 2)."""
    match = _BRACED.fullmatch(text)
    if match is None:
        raise InterpolationError(f"${{{text}}} is no variable")
    name, operator, word = match["name"], match["operator"] or "", match["word"] or ""
    value = values.get(name)
    there = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("-" if not there else "+"):
        return interpolate(word, values, missing, level + 1)
    if operator.endswith("+"):
        return ""
    return (value or "") if there else missing(name)
