"""Staged changes, as Go notary writes them for its next publish.

What it is: one change file's text and value, the entry that it lists, and what it contains as values that can
be shown, faults included. What it is not: what changes make of a repository (`applystaged`), the folder that
they are in (`storage.changelist`), or how they are published (`client.publish.staged`).

Rules:

1. A change file is one JSON object: action, role, type, path, and as base64 what belongs to it, or null. It
   is written byte for byte as Go does, for Go reads it too.
2. Members of a change file are read in any case, as Go reads them; one that is there twice makes it no
   change.
3. An entry is listed as it was staged, with these hashes and this custom data and no others, by any name
   that a file can have (`roles`, rule 5).
4. Its size is one that content can have, and one hash is one that anybody can check.
5. Go notary signs custom data as it is stored. What is stored in another form than the one that is signed,
   such as `<`, would be right now, and keep whoever uses Go from ever publishing that file again.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Self

from notarypy.errors import MetadataError, NotarypyError, UsageError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import AddTarget
from notarypy.tuf.fields import TargetFile, is_integer, strings
from notarypy.tuf.keys import PublicKey, decode_base64
from notarypy.values import dataclass

CREATE, UPDATE, DELETE = "create", "update", "delete"
TARGET, DELEGATION, WITNESS = "target", "delegation", "witness"
ALL_DELEGATIONS = "targets/*"
_ESCAPES = {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Staged:
    """One staged change: `action` on what `path` or `role` names, of a `type`; `data` is JSON, or None."""

    action: str
    role: str
    type: str
    path: str = ""
    data: bytes | None = None

    @classmethod
    def parse(cls, text: bytes, limits: Limits = DEFAULT) -> Self:
        """Read a change file (rule 1); raise MetadataError. What it asks for may still be impossible."""
        found = canonical.decode(text, "a change file", limits)
        given = {name.lower(): value for name, value in found.items() if value is not None}
        fields = [given.get(name, "") for name in ("action", "role", "type", "path")]
        if not all(isinstance(one, str) for one in fields):
            raise MetadataError("a change file has something in the place of a text")
        data = given.get("data")
        action, role, kind, path = fields
        return cls(action, role, kind, path, None if data is None else decode_base64(data, "a change's data"))

    def document(self) -> bytes:
        """Return the text of the change file (rule 1)."""
        data = None if self.data is None else b64encode(self.data).decode()
        fields = {"action": self.action, "role": self.role, "type": self.type, "path": self.path}
        return written({**fields, "data": data})

    @property
    def words(self) -> str:
        """What the change is, for people."""
        action, role, kind, path = (one or '""' for one in (self.action, self.role, self.type, self.path))
        return f"{action} target {path} in {role}" if kind == TARGET else f"{action} {kind} {role}"


def written(value: object) -> bytes:
    """Return JSON as Go writes it: members in the order given, five characters escaped; or UsageError."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for raw, escaped in _ESCAPES.items():
        text = text.replace(raw, escaped)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("what is to be staged is not written in UTF-8") from None


def in_order(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with its members in the order that is signed: Go signs them as they stand."""
    return json.loads(canonical.encode(value))


@dataclass(frozen=True)
class ListTarget(AddTarget):
    """List `name` with exactly this entry (rule 3)."""

    def changes(self, present: TargetFile | None, paths: tuple[str, ...]) -> bool:
        """Tell whether there is another entry, or none."""
        super().changes(present, paths)
        return present != self.content

    def check_name(self) -> None:
        """Raise InvalidNameError for a name that no file can have (rule 3)."""
        roles.check_listed_name(self.name)


def content_of(data: canonical.JsonObject) -> TargetFile:
    """Return the entry that a change has as its data; raise MetadataError (rules 4 and 5)."""
    content = TargetFile.from_json(data, "the entry")
    if not content.hashes.keys() & {"sha256", "sha512"}:
        raise MetadataError("the entry has no hash that anybody could check")
    if not canonical.is_kept_by_go(canonical.encode(content.custom)):
        why = "it holds < > & or a control or line separator character, which Go signs in another form"
        raise MetadataError("the custom data of the entry cannot be attached", why=why)
    return content


@dataclass(frozen=True)
class StagedDetails:
    """What a staged change contains; what it has nothing of is empty or None.

    Attributes:
        length: The size of a target.
        sha256: Its SHA-256 as hex digits.
        sha512: Its SHA-512 as hex digits.
        custom: Its custom data.
        threshold: How many signatures a new delegation takes.
        add_keys: Ids of keys that a delegation gets.
        remove_keys: Ids of keys that go.
        add_paths: Paths that it gets.
        remove_paths: Paths that go.
        clear_paths: Whether all paths go.
        problem: Why the change cannot be read.
    """

    length: int | None = None
    sha256: str = ""
    sha512: str = ""
    custom: object = None
    threshold: int | None = None
    add_keys: tuple[str, ...] = ()
    remove_keys: tuple[str, ...] = ()
    add_paths: tuple[str, ...] = ()
    remove_paths: tuple[str, ...] = ()
    clear_paths: bool = False
    problem: str = ""


def details(staged: Staged) -> StagedDetails:
    """Return what a change contains."""
    if staged.data is None:
        return StagedDetails()
    try:
        data = canonical.decode(staged.data, "the data of the change")
        if staged.type == TARGET:
            return _target(data) if staged.action == CREATE else StagedDetails()
        return _delegation(data)
    except NotarypyError as error:
        return StagedDetails(problem="; ".join((error.message, *error.why)))


def _target(data: canonical.JsonObject) -> StagedDetails:
    found = TargetFile.from_json(data, "the entry")
    hashes = {name: raw.hex() for name, raw in found.hashes.items()}
    return StagedDetails(
        length=found.length,
        sha256=hashes.get("sha256", ""),
        sha512=hashes.get("sha512", ""),
        custom=found.custom,
    )


def _delegation(data: canonical.JsonObject) -> StagedDetails:
    keys, threshold = data.get("add_keys") or [], data.get("threshold")
    lists = {name: strings(data.get(name), name) for name in ("remove_keys", "add_paths", "remove_paths")}
    return StagedDetails(
        threshold=threshold if is_integer(threshold) and threshold else None,
        add_keys=tuple(PublicKey.from_json(key).canonical_id for key in keys)
        if isinstance(keys, list)
        else (),
        remove_keys=tuple(lists["remove_keys"]),
        add_paths=tuple(lists["add_paths"]),
        remove_paths=tuple(lists["remove_paths"]),
        clear_paths=data.get("clear_paths") is True,
    )
