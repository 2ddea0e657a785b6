"""YAML that any parser reads as it was meant, written without a library.

What it is: JSON's values as block YAML, with keys no longer than a repository's name. What it is not: a
reader.

Rules:

1. Every text is quoted as JSON quotes it, in ASCII, which is a double-quoted scalar of YAML but for pairs of
   surrogates; so are keys that are not plain words. Nothing in a text can end it, and no text turns into a
   number or a truth value.
2. Texts of whole lines of printable ASCII, of which neither the first begins with a blank nor the last is one
   (keys in PEM, a policy), are literal blocks, which keep them as they are.
3. Comments consist of printable ASCII, a `#` before each line.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | int | bool"

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._/-][A-Za-z0-9]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BLOCK = re.compile(r"(?! )(?!\n)[ -~\n]*[!-~] *\n")
_WIDTH = 110


def document(value: Mapping[str, Value]) -> str:
    """Return a mapping as a document."""
    return "".join(f"{line}\n" for line in _lines(value))


def documents(values: Sequence[Mapping[str, Value]]) -> str:
    """Return several documents in one file."""
    return "---\n".join(map(document, values))


def comment(*paragraphs: str) -> str:
    """Return paragraphs as comments (rule 3)."""
    shown = [json.dumps(each)[1:-1].replace('\\"', '"') for each in paragraphs]
    lines = [line for each in shown for line in _wrapped(each)]
    return "".join(f"# {line}\n" for line in lines)


def _wrapped(text: str) -> list[str]:
    """Return the lines of a paragraph; options of commands, which begin with hyphens, stay whole."""
    return textwrap.wrap(text, _WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)


def _lines(value: Value) -> Iterator[str]:
    """Yield the lines of what is not a scalar."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _entry(f"{_key(key)}:", each)
    elif not isinstance(value, str | int):
        for each in value:
            yield from _item(each)


def _entry(head: str, value: Value) -> Iterator[str]:
    if isinstance(value, str) and _BLOCK.fullmatch(value):
        yield f"{head} |"
        yield from map(_indented, value.split("\n")[:-1])
    elif isinstance(value, str | int):
        yield f"{head} {_quoted(value)}"
    elif not value:
        yield f"{head} {'{}' if isinstance(value, Mapping) else '[]'}"
    else:
        yield head
        yield from map(_indented, _lines(value))


def _indented(line: str) -> str:
    return f"  {line}" if line else ""


def _item(value: Value) -> Iterator[str]:
    if isinstance(value, str | int) or not value:
        yield from _entry("-", value)
        return
    for number, line in enumerate(_lines(value)):
        yield _indented(line) if number else f"- {line}"


def _key(text: str) -> str:
    plain = _PLAIN_KEY.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else _quoted(text)


def _quoted(value: str | int) -> str:
    """Return a scalar (rule 1); what JSON writes as two surrogates YAML has as one character."""
    if not isinstance(value, str):
        return json.dumps(value)
    return '"' + "".join(f"\\U{ord(c):08x}" if c > "\uffff" else json.dumps(c)[1:-1] for c in value) + '"'
