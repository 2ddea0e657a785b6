"""YAML as nodes that know where in the text they stand.

What it is: the one place that uses PyYAML, which is an extra. What it is not: values; nothing is converted,
and nothing is ever written by a YAML library.

Rules:

1. Text is read as libyaml reads it, from which compose and kubectl have their reader too: what they take for
   a tab, a comment or an end is taken for one here. Where PyYAML was built without it, its slower Python
   twin reads, which takes fewer tabs.
2. Every document that is not empty is read to nodes; tags build nothing. An alias is the node that it names.
3. A mapping with the same key twice is refused: programs disagree on which one counts. So is a key that only
   some of them read so: in base64, or a merge that is quoted or has a tag.
4. A scalar can be replaced if it stands in one piece: plain, or in quotes without escapes.
5. Nesting, the number of nodes, and what aliases and merged keys repeat are limited: a small file cannot make
   for endless work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from notarypy.errors import Advice, BuildFileError
from notarypy.images import occurrences
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")
_MERGE = "<<"
_OF_MERGE = "tag:yaml.org,2002:merge"
_OF_NULL = "tag:yaml.org,2002:null"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BYTE_ORDER_MARK = "\ufeff"


def documents(text: str, source: str) -> list[YamlNode]:
    """Return the root of every document that is not empty; raise BuildFileError for what is no YAML."""
    try:
        import yaml
    except ImportError:
        message, why = f"{source}: YAML cannot be read", "PyYAML is not installed"
        advice = Advice("install-extra", extra="yaml")
        raise BuildFileError(message, why=why, advice=advice, file=source) from None
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # rule 1
    shared = _Shared(text, source, skipped=text.startswith(_BYTE_ORDER_MARK))
    try:
        roots = list(_compose(yaml.parse(text[shared.skipped :], Loader=loader), shared))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise occurrences.failure(source, line, "this is no YAML", why=str(error.problem or "")) from None
    except (yaml.YAMLError, ValueError) as error:
        raise occurrences.failure(source, 1, "this is no YAML", why=str(error).partition("\n")[0]) from None
    return [root for root in roots if not root.is_nothing or root.is_reset]


def _compose(events: Iterable[Any], shared: _Shared) -> Iterator[YamlNode]:
    """Yield the root of each document (rules 2 and 5)."""
    open_nodes: list[YamlNode] = []
    anchors: dict[str, YamlNode] = {}
    for event in events:
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            anchors = {}
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            open_nodes.pop()
        if kind not in _BEGINNING:
            continue
        node = anchors.get(event.anchor) if kind == "AliasEvent" else YamlNode(event, shared)
        if node is None:
            line = event.start_mark.line + 1
            raise occurrences.failure(shared.source, line, f'nothing is called "{event.anchor[:80]}"')
        if kind != "AliasEvent" and event.anchor is not None:
            anchors[event.anchor] = node
        if open_nodes:
            open_nodes[-1].children.append(node)
        else:
            yield node
        if kind in {"SequenceStartEvent", "MappingStartEvent"}:
            open_nodes.append(node)
            if len(open_nodes) > DEFAULT.yaml_levels:
                raise node.failure("this is nested too deeply", why=f"more than {DEFAULT.yaml_levels} levels")


_BEGINNING = {"AliasEvent", "ScalarEvent", "SequenceStartEvent", "MappingStartEvent"}


@dataclass
class _Shared:
    """What all nodes of a file share; mappings that were read are kept, for aliases repeat them."""

    text: str
    source: str
    skipped: int
    mappings: dict[int, dict[str, YamlNode] | None] = field(default_factory=dict)
    nodes: int = 0
    merged: int = 0
    depth: int = 0


class YamlNode:
    """A node of a document; asking it for what it is not gives nothing."""

    __slots__ = ("_end", "_is_plain", "_shared", "_start", "_tag", "_value", "children", "is_mapping", "line")

    def __init__(self, event: Any, shared: _Shared) -> None:  # noqa: ANN401 - an event of PyYAML
        self._shared = shared
        self._start, self._end = event.start_mark.index, event.end_mark.index
        self.line = event.start_mark.line + 1
        """The line where it begins, counted from 1."""
        self._tag: str | None = event.tag
        self._value: str | None = getattr(event, "value", None)
        self._is_plain = not getattr(event, "style", None)
        self.is_mapping = type(event).__name__ == "MappingStartEvent"
        self.children: list[YamlNode] = []
        """Elements of a sequence; keys and values of a mapping in turn."""
        shared.nodes += 1
        if shared.nodes > DEFAULT.yaml_nodes:
            raise self.failure("the file has too many parts", why=f"more than {DEFAULT.yaml_nodes}")

    @property
    def source(self) -> str:
        """What messages call the file."""
        return self._shared.source

    @property
    def scalar(self) -> str | None:
        """The text of a scalar; None for anything else, and for null."""
        return None if self._is_null else self._value

    @property
    def is_sequence(self) -> bool:
        """Whether it is a list."""
        return self._value is None and not self.is_mapping

    @property
    def is_reset(self) -> bool:
        """Whether compose takes away what other files say here, and this too."""
        return self._tag == "!reset"

    @property
    def is_nothing(self) -> bool:
        """Whether it is null, or what `!reset` of compose makes the same of."""
        return self._is_null or self.is_reset

    @property
    def _is_null(self) -> bool:
        untagged = self._tag is None and self._is_plain and self._value in _NULLS
        return self._value is not None and (untagged or self._tag == _OF_NULL)

    def failure(self, what: str, why: str = "", advice: Advice | None = None) -> BuildFileError:
        """Return the error for what stands here."""
        return occurrences.failure(self.source, self.line, what, why, advice)

    def mapping(self) -> dict[str, YamlNode]:
        """Return keys and values of a mapping, merged keys included (rule 3)."""
        if not self.is_mapping:
            return {}
        known, key = self._shared.mappings, id(self)
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

    def as_key(self) -> str | None:
        """Return the text of a key, None if it is no scalar; raise BuildFileError for an odd one (rule 3)."""
        is_odd = self._value == _MERGE and not (self._is_plain and self._tag in {None, _OF_MERGE})
        if is_odd or (self._tag or "").endswith(":binary"):
            raise self.failure(f'the key "{(self._value or "")[:80]}" is not a plain one')
        return self._value

    def list(self, seen: set[int] | None = None) -> list[YamlNode]:
        """Return the elements of a sequence; none for one that was `seen`, which notes it."""
        if not self.is_sequence or id(self) in (seen or ()):
            return []
        if seen is not None:
            seen.add(id(self))
        return self.children

    def place(self) -> tuple[int, int]:
        """Return where a scalar begins and ends; raise BuildFileError if it cannot be replaced (rule 4)."""
        if (self._tag or "").endswith(":binary"):
            raise self.failure("an image in base64 is not taken", advice=Advice("write-one-piece"))
        text, start, end = self._shared.text, *(at + self._shared.skipped for at in (self._start, self._end))
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
        for key, value in zip(self.children[::2], self.children[1::2], strict=True):
            name = key.as_key()
            if name is None:
                continue
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
        """Refuse merged keys that make for endless work (rule 5)."""
        if self._shared.merged > DEFAULT.yaml_merged or self._shared.depth > DEFAULT.yaml_levels:
            raise self.failure("there are too many merged keys")
