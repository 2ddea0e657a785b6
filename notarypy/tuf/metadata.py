"""The four kinds of metadata as values: reading them strictly, writing them as Go does.

What it is: structure. What it is not: trust; a value here says nothing about who signed it (`trusted` does).

Rules:

1. `_type` must be exactly the role's: Root, Targets, Snapshot or Timestamp.
2. Versions are integers from 1 to 2**31 - 1, dates RFC 3339 with seconds in range.
3. Lengths are integers of 0 and more; hashes are base64 of the right size; an entry of snapshot or timestamp
   names sha256, and every hash of a known kind must fit.
4. Every key id that a role lists is in the key table, under its own id.
5. A delegation is a direct child of the file's role; its name appears once. It has at most 16384 paths.
6. Null and absent lists and maps read as empty; unknown members are read past and not written back: a Go
   server drops them when it rewrites a file, and its hashes would no longer fit.
7. Member names are case sensitive.

`fields` has the readers that keep rules 1 to 4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles as names
from notarypy.tuf.fields import (
    MetaFile,
    RoleKeys,
    TargetFile,
    format_time,
    header,
    key_table,
    mapping,
    part_of,
    role_keys,
    strings,
)

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.keys import KeyTable, PublicKey

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Root:
    """The root: every role's keys. `keys` also holds earlier root certificates."""

    version: int
    expires: datetime
    keys: KeyTable
    roles: Mapping[str, RoleKeys]

    @classmethod
    @part_of(names.ROOT)
    def from_signed(cls, signed: JsonObject, limits: Limits = DEFAULT) -> Root:
        """Read the signed part of root.json."""
        version, expires = header(signed, "Root", names.ROOT)
        keys = key_table(signed.get("keys"), names.ROOT, limits)
        listed = mapping(signed.get("roles"), "roles of root")
        found = {name: role_keys(listed.get(name), keys, name, limits) for name in names.BASE_ROLES}
        return cls(version, expires, keys, found)

    def to_signed(self) -> JsonObject:
        """Return the signed part, as Go writes it."""
        return {
            "_type": "Root",
            "consistent_snapshot": False,
            "expires": format_time(self.expires),
            "keys": {keyid: key.to_json() for keyid, key in self.keys.items()},
            "roles": {
                name: {"keyids": list(role.keyids), "threshold": role.threshold}
                for name, role in self.roles.items()
            },
            "version": self.version,
        }

    def signers(self, role: str) -> tuple[PublicKey, ...]:
        """Return the keys of a base role, in order."""
        return tuple(self.keys[keyid] for keyid in self.roles[role].keyids)


@dataclass(frozen=True)
class Delegation:
    """A role that a targets file delegates to; `paths` are plain prefixes of target names."""

    name: str
    keyids: tuple[str, ...]
    threshold: int
    paths: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Return the delegation as metadata stores it: no keys is null, no paths is absent."""
        value: JsonObject = {"keyids": list(self.keyids) or None, "name": self.name}
        if self.paths:
            value["paths"] = list(self.paths)
        return {**value, "threshold": self.threshold}


@dataclass(frozen=True)
class Targets:
    """A targets file or a delegation's file: signed names, and further delegations."""

    version: int
    expires: datetime
    targets: Mapping[str, TargetFile] = field(default_factory=lambda: _EMPTY)
    keys: KeyTable = field(default_factory=lambda: _EMPTY)
    roles: tuple[Delegation, ...] = ()

    @classmethod
    def from_signed(cls, signed: JsonObject, role: str = names.TARGETS, limits: Limits = DEFAULT) -> Targets:
        """Read the signed part of `role`'s file."""
        with part_of(role):
            version, expires = header(signed, "Targets", role)
            delegations = mapping(signed.get("delegations"), f"delegations of {role}")
            keys = key_table(delegations.get("keys"), role, limits)
            entries = mapping(signed.get("targets"), f"targets of {role}")
            what = f"a target of {role}"
            targets = {name: TargetFile.from_json(entry, what) for name, entry in entries.items()}
            below = _delegations(delegations.get("roles"), keys, role, limits)
            return cls(version, expires, targets, keys, below)

    def to_signed(self) -> JsonObject:
        """Return the signed part, as Go writes it."""
        return {
            "_type": "Targets",
            "delegations": {
                "keys": {keyid: key.to_json() for keyid, key in self.keys.items()},
                "roles": [delegation.to_json() for delegation in self.roles],
            },
            "expires": format_time(self.expires),
            "targets": {name: entry.to_json() for name, entry in self.targets.items()},
            "version": self.version,
        }

    def delegation(self, name: str) -> Delegation | None:
        """Return the delegation of this name, or None."""
        return next((entry for entry in self.roles if entry.name == name), None)


@dataclass(frozen=True)
class Snapshot:
    """The list of all current files of a repository by role name."""

    version: int
    expires: datetime
    meta: Mapping[str, MetaFile]

    @classmethod
    @part_of(names.SNAPSHOT)
    def from_signed(cls, signed: JsonObject) -> Snapshot:
        """Read the signed part of snapshot.json; root and targets must be listed."""
        version, expires = header(signed, "Snapshot", names.SNAPSHOT)
        return cls(version, expires, _meta(signed, names.SNAPSHOT, (names.ROOT, names.TARGETS)))

    def to_signed(self) -> JsonObject:
        """Return the signed part, as Go writes it."""
        return _signed("Snapshot", self.version, self.expires, self.meta)


@dataclass(frozen=True)
class Timestamp:
    """The freshest statement: which snapshot is current."""

    version: int
    expires: datetime
    snapshot: MetaFile

    @classmethod
    @part_of(names.TIMESTAMP)
    def from_signed(cls, signed: JsonObject) -> Timestamp:
        """Read the signed part of timestamp.json."""
        version, expires = header(signed, "Timestamp", names.TIMESTAMP)
        return cls(version, expires, _meta(signed, names.TIMESTAMP, (names.SNAPSHOT,))[names.SNAPSHOT])

    def to_signed(self) -> JsonObject:
        """Return the signed part, as Go writes it."""
        return _signed("Timestamp", self.version, self.expires, {names.SNAPSHOT: self.snapshot})


def _signed(kind: str, version: int, expires: datetime, meta: Mapping[str, MetaFile]) -> JsonObject:
    listed = {name: entry.to_json() for name, entry in meta.items()}
    return {"_type": kind, "expires": format_time(expires), "meta": listed, "version": version}


def _meta(signed: JsonObject, role: str, needed: tuple[str, ...]) -> Mapping[str, MetaFile]:
    listed = mapping(signed.get("meta"), f"meta of {role}")
    for name in needed:
        if name not in listed:
            raise MetadataError(f"{role} does not list {name}", role=role)
    return {name: MetaFile.from_json(entry, f"{name} in {role}") for name, entry in listed.items()}


def _delegations(value: object, keys: KeyTable, role: str, limits: Limits) -> tuple[Delegation, ...]:
    """Read a list of delegations (rule 5)."""
    listed = [] if value is None else value
    if not isinstance(listed, list) or len(listed) > limits.delegations_in_file:
        raise MetadataError(f"{role} has no usable list of delegations", role=role)
    found: dict[str, Delegation] = {}
    for entry in listed:
        name: Any = entry.get("name") if isinstance(entry, dict) else None
        below = isinstance(name, str) and names.is_delegation(name) and names.parent(name) == role
        if not below or name in found:
            text = f"{role} delegates to something that is no role below it, or twice"
            raise MetadataError(text, role=role)
        assigned = role_keys(entry, keys, name, limits)
        paths = strings(entry.get("paths"), f"paths of {name}")
        if len(paths) > limits.delegation_paths:
            raise MetadataError(f"{role} gives {name} more than {limits.delegation_paths} paths", role=role)
        found[name] = Delegation(name, assigned.keyids, assigned.threshold, paths)
    return tuple(found.values())
