"""YAML as nodes that know where in the text they stand.

What it is: the one place that uses ruamel.yaml, which is an extra. What it is not: values; nothing is
converted, and nothing is ever written by a YAML library.

Rules:

1. Every document is read to nodes; tags build nothing. An alias is the node that it names.
2. A mapping with the same key twice is refused: programs disagree on which one counts. So is a key that only
   some of them read so: in base64, or a merge that is quoted or has a tag.
3. A scalar can be replaced if it stands in one piece: plain, or in quotes without escapes.
4. What aliases and merged keys repeat is limited: a small file cannot make for endless work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from notarypy.errors import Advice, BuildFileError
from notarypy.images import occurrences
from notarypy.limits import DEFAULT

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")
_MERGE = "<<"


def documents(text: str, source: str) -> list[YamlNode]:
    """Return the root of every document that is not empty; raise BuildFileError for what is no YAML."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ImportError:
        message, why = f"{source}: YAML cannot be read", "ruamel.yaml is not installed"
        advice = Advice("install-extra", extra="yaml")
        raise BuildFileError(message, why=why, advice=advice, file=source) from None
    try:
        reader = YAML(typ="rt", pure=True)
        reader.composer.warn_double_anchors = False
        roots = list(reader.compose_all(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise occurrences.failure(source, line, "this is no YAML", why=str(error.problem or "")) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise occurrences.failure(source, 1, "this is no YAML", why=str(error).partition("\n")[0]) from None
    return [YamlNode(root, _Shared(text, source)) for root in roots if root is not None]


@dataclass
class _Shared:
    """What all nodes of a document share; mappings that were read are kept, for aliases repeat them."""

    text: str
    source: str
    mappings: dict[int, dict[str, YamlNode] | None] = field(default_factory=dict)
    merged: int = 0
    depth: int = 0


class YamlNode:
    """A node of a document; asking it for what it is not gives nothing."""

    def __init__(self, raw: Any, shared: _Shared) -> None:  # noqa: ANN401 - ruamel's own types
        self._raw, self.source, self._shared = raw, shared.source, shared

    @property
    def line(self) -> int:
        """The line where it begins, counted from 1."""
        return int(self._raw.start_mark.line) + 1

    @property
    def scalar(self) -> str | None:
        """The text of a scalar; None for anything else, and for null."""
        value = self._raw.value
        return value if isinstance(value, str) and not self._tag.endswith(":null") else None

    @property
    def is_nothing(self) -> bool:
        """Whether it is null, or what `!reset` of compose makes the same of."""
        return (self._raw.id == "scalar" and self.scalar is None) or self._tag == "!reset"

    @property
    def _tag(self) -> str:
        return str(self._raw.tag or "")

    def failure(self, what: str, why: str = "", advice: Advice | None = None) -> BuildFileError:
        """Return the error for what stands here."""
        return occurrences.failure(self.source, self.line, what, why, advice)

    def mapping(self) -> dict[str, YamlNode]:
        """Return keys and values of a mapping, merged keys included (rule 2)."""
        if self._raw.id != "mapping":
            return {}
        known, key = self._shared.mappings, id(self._raw)
        if key not in known:
            known[key] = None
            self._shared.depth += 1
            self._limit()
            known[key] = self._read()
            self._shared.depth -= 1
        found = known[key]
        if found is None:
            raise self.failure("merged keys lead in a circle")
        return found

    def get(self, *keys: str) -> YamlNode | None:
        """Return what a path of keys leads to."""
        found: YamlNode | None = self
        for key in keys:
            found = None if found is None else found.mapping().get(key)
        return found

    def list(self, seen: set[int] | None = None) -> list[YamlNode]:
        """Return the elements of a sequence; none for one that was `seen`, which notes it."""
        if self._raw.id != "sequence" or id(self._raw) in (seen or ()):
            return []
        if seen is not None:
            seen.add(id(self._raw))
        return [YamlNode(each, self._shared) for each in self._raw.value]

    def place(self) -> tuple[int, int]:
        """Return where a scalar begins and ends; raise BuildFileError if it cannot be replaced (rule 3)."""
        text, start, end = self._shared.text, self._raw.start_mark.index, self._raw.end_mark.index
        properties = _PROPERTIES.match(text[start:end])
        start += properties.end() if properties else 0
        if text[start:end] == self.scalar:
            return start, end
        if text[start : start + 1] in ("'", '"') and text[start + 1 : end - 1] == self.scalar:
            return start + 1, end - 1
        raise self.failure("the name of this image cannot be replaced", advice=Advice("write-one-piece"))

    def _read(self) -> dict[str, YamlNode]:
        own: dict[str, YamlNode] = {}
        merged: list[YamlNode] = []
        for raw_key, raw_value in self._raw.value:
            name = raw_key.value
            if not isinstance(name, str):
                continue
            key, value = YamlNode(raw_key, self._shared), YamlNode(raw_value, self._shared)
            is_odd = name == _MERGE and (raw_key.style is not None or not key._tag.endswith(":merge"))
            if is_odd or key._tag.endswith(":binary"):
                raise key.failure(f'the key "{name[:80]}" is not a plain one')
            if name in own or (name == _MERGE and merged):
                raise key.failure(f'the key "{name[:80]}" is there twice')
            if name == _MERGE:
                merged += value.list() or [value]
            else:
                own[name] = value
        for node in merged:
            found = node.mapping()
            self._shared.merged += len(found)
            self._limit()
            for name, value in found.items():
                own.setdefault(name, value)
        return own

    def _limit(self) -> None:
        """Refuse merged keys that make for endless work (rule 4)."""
        if self._shared.merged > DEFAULT.yaml_merged or self._shared.depth > DEFAULT.yaml_levels:
            raise self.failure("there are too many merged keys")
