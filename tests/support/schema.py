"""Checking a value against a JSON Schema: as much of the standard as the schemas of this project use.

What it is: a validator that refuses keywords it does not know. What it is not: the
whole standard.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Rules = dict[str, Any]

_TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_SILENT = {"$schema", "$defs", "title", "description", "then"}


def problems(value: object, rules: Rules, whole: Rules | None = None, at: str = "$") -> list[str]:
    """Return what is wrong with a value; empty if nothing is.

    Args:
        value: The JSON value.
        rules: The schema, or a part of it.
        whole: The schema that references point into; None for `rules`.
        at: Where the value is, for people.
    """
    found: list[str] = []
    for keyword in rules.keys() - _SILENT:
        simple = _SIMPLE.get(keyword)
        if simple is None:
            found += _deeper(keyword, value, rules, whole or rules, at)
        elif not simple(value, rules[keyword], rules):
            found.append(f"{at}: {value!r} breaks {keyword} {rules[keyword]}")
    return found


def _is_of_type(value: object, wanted: str | list[str], _: Rules) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return type(value) in {_TYPES[name] for name in names}


def _has_all(value: object, wanted: list[str], _: Rules) -> bool:
    return not isinstance(value, dict) or value.keys() >= set(wanted)


def _has_no_more(value: object, wanted: object, rules: Rules) -> bool:
    return wanted is False and (not isinstance(value, dict) or value.keys() <= rules["properties"].keys())


_SIMPLE: dict[str, Any] = {
    "type": _is_of_type,
    "const": lambda value, wanted, _: type(value) is type(wanted) and value == wanted,
    "pattern": lambda value, wanted, _: not isinstance(value, str) or bool(re.search(wanted, value)),
    "minItems": lambda value, wanted, _: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda value, wanted, _: not isinstance(value, list) or len(value) <= wanted,
    "required": _has_all,
    "additionalProperties": _has_no_more,
}


def _deeper(keyword: str, value: object, rules: Rules, whole: Rules, at: str) -> list[str]:
    """Return the problems with a keyword that holds schemas."""
    wanted = rules[keyword]
    match keyword:
        case "$ref":
            return problems(value, whole["$defs"][wanted.removeprefix("#/$defs/")], whole, at)
        case "anyOf":
            return min((problems(value, each, whole, at) for each in wanted), key=len)
        case "allOf":
            return [line for each in wanted for line in problems(value, each, whole, at)]
        case "if":
            return [] if problems(value, wanted, whole, at) else problems(value, rules["then"], whole, at)
        case "properties" | "items":
            parts = _members(value, wanted) if keyword == "properties" else _items(value, wanted)
            return [
                line for name, part, each in parts for line in problems(part, each, whole, f"{at}.{name}")
            ]
    raise AssertionError(f"this validator does not know {keyword}")


def _members(value: object, wanted: Rules) -> Iterator[tuple[str, object, Rules]]:
    if isinstance(value, dict):
        yield from ((name, value[name], wanted[name]) for name in wanted if name in value)


def _items(value: object, wanted: Rules) -> Iterator[tuple[str, object, Rules]]:
    if isinstance(value, list):
        yield from ((str(index), item, wanted) for index, item in enumerate(value))
