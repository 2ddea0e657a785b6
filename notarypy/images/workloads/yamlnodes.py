"""YAML as nodes that know where in the text they stand.

What it is: the one place that uses ruamel.yaml, which is an extra. What it is not: values;
nothing is converted, and nothing is ever written by a YAML library.

Rules:

1. Every document is read to nodes; tags build nothing. An alias is the node that it names.
2. A mapping with the same key twice is refused: programs disagree on which one counts. So is
   a key that only some of them read so: in base64, or a merge that is quoted or has a tag.
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
    """Return the root of every document that is not empty.

    Raises:
        BuildFileError: It is no YAML, or ruamel.yaml is not here.
    """
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ImportError:
        raise BuildFileError(
            f"{source}: YAML cannot be read",
            why="ruamel.yaml is not installed",
            advice=Advice("install-extra", extra="yaml"),
            file=source,
        ) from None
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
    """A node of a document; asking it for what it is not gives nothing.

    Attributes:
        raw: The node as ruamel.yaml has it.
        source: The name of the file.
    """

    def __init__(self, raw: Any, shared: _Shared) -> None:  # noqa: ANN401 - ruamel's own types
        self.raw, self.source, self._shared = raw, shared.source, shared

    @property
    def line(self) -> int:
        """The line where it begins, counted from 1."""
        return int(self.raw.start_mark.line) + 1

    @property
    def scalar(self) -> str | None:
        """The text of a scalar; None for anything else, and for null."""
        value = self.raw.value
        is_null = str(self.raw.tag or "").endswith(":null")
        return value if isinstance(value, str) and not is_null else None

    @property
    def is_nothing(self) -> bool:
        """Whether it is null, or what `!reset` of compose makes the same of."""
        return (self.raw.id == "scalar" and self.scalar is None) or str(self.raw.tag or "") == "!reset"

    def items(self) -> list[tuple[str, YamlNode]]:
        """Return keys and values of a mapping, merged keys included (rule 2)."""
        return list(self.mapping().items())

    def mapping(self) -> dict[str, YamlNode]:
        """Return the same as a dictionary."""
        if self.raw.id != "mapping":
            return {}
        known, key = self._shared.mappings, id(self.raw)
        if key not in known:
            known[key] = None
            self._shared.depth += 1
            self._limit()
            known[key] = self._read()
            self._shared.depth -= 1
        found = known[key]
        if found is None:
            raise occurrences.failure(self.source, self.line, "merged keys lead in a circle")
        return found

    def get(self, *keys: str) -> YamlNode | None:
        """Return what a path of keys leads to."""
        found: YamlNode | None = self
        for key in keys:
            found = None if found is None else found.mapping().get(key)
        return found

    def list(self, seen: set[int] | None = None) -> list[YamlNode]:
        """Return the elements of a sequence; none for one that was `seen`, which notes it."""
        if self.raw.id != "sequence" or id(self.raw) in (seen or ()):
            return []
        if seen is not None:
            seen.add(id(self.raw))
        return [YamlNode(each, self._shared) for each in self.raw.value]

    def place(self) -> tuple[int, int]:
        """Return where the characters of a scalar begin and end (rule 3).

        Raises:
            BuildFileError: It cannot be replaced.
        """
        text, start, end = self._shared.text, self.raw.start_mark.index, self.raw.end_mark.index
        properties = _PROPERTIES.match(text[start:end])
        start += properties.end() if properties else 0
        if text[start:end] == self.scalar:
            return start, end
        if text[start : start + 1] in ("'", '"') and text[start + 1 : end - 1] == self.scalar:
            return start + 1, end - 1
        raise occurrences.failure(
            self.source,
            self.line,
            "the name of this image cannot be replaced",
            advice=Advice("write-one-piece"),
        )

    def _read(self) -> dict[str, YamlNode]:
        """Return keys and values, with what is merged below what is written here."""
        own: dict[str, YamlNode] = {}
        merged: list[YamlNode] = []
        for key, value in self.raw.value:
            if not isinstance(key.value, str):
                continue
            self._check_key(key)
            if key.value in own or (key.value == _MERGE and merged):
                raise occurrences.failure(
                    self.source, key.start_mark.line + 1, f'the key "{key.value[:80]}" is there twice'
                )
            if key.value == _MERGE:
                node = YamlNode(value, self._shared)
                merged += node.list() or [node]
            else:
                own[key.value] = YamlNode(value, self._shared)
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
            raise occurrences.failure(self.source, self.line, "there are too many merged keys")

    def _check_key(self, key: Any) -> None:  # noqa: ANN401 - ruamel's own types
        """Refuse a key that programs do not agree on (rule 2)."""
        tag = str(key.tag or "")
        merge = key.value == _MERGE and (key.style is not None or not tag.endswith(":merge"))
        if merge or tag.endswith(":binary"):
            raise occurrences.failure(
                self.source, key.start_mark.line + 1, f'the key "{key.value[:80]}" is not a plain one'
            )
