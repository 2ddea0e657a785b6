"""The four kinds of metadata as values: reading them strictly, writing them as Go does.

What it is: structure. What it is not: trust; a value here says nothing about who signed it (`trusted` does).

Rules:

1. `_type` must be exactly the role's: Root, Targets, Snapshot or Timestamp.
2. Versions are integers from 1 to 2**31 - 1, dates RFC 3339 with seconds in range.
3. Lengths are integers of 0 and more; hashes are base64 of the right size; an entry of snapshot or timestamp
   names sha256, and every hash of a known kind must fit.
4. Every key id that a role lists is in the key table.
5. A delegation is a direct child of the file's role. Of several with one name the first counts, as for Go.
6. Null and absent lists and maps read as empty; unknown members are read past and not written back: a Go
   server drops them when it rewrites a file, and its hashes would no longer fit.
7. Member names are case sensitive.
8. One entry does not spoil a file that Go reads: a target, a delegation's file in the snapshot or a key that
   cannot be used is kept and written back, and so is what the root says of roles that Notary does not have;
   keys and such roles in the form that Go writes (6). Whoever asks for such a tag, or relies on such a key or
   file, gets an error: a signer could otherwise lock out everybody else, the owner who would remove the entry
   included. What a tag's entry says wrong is never a reason to look for the tag in another role.
9. A delegation beyond a limit is read, and never trusted: `excess` says why.

`fields` has the readers that keep rules 1 to 4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles as names
from notarypy.tuf.canonical import too_many
from notarypy.tuf.fields import (
    MetaFile,
    RoleKeys,
    TargetFile,
    TargetFiles,
    UnusableEntry,
    format_time,
    header,
    is_integer,
    key_table,
    listed_file,
    mapping,
    part_of,
    role_keys,
    strings,
)
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.keys import KeyTable, PublicKey

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Root:
    """The root: every role's keys. `keys` also holds earlier root certificates.

    `others` and `consistent` are what it says besides, of no use here and written back (rule 8).
    """

    version: int
    expires: datetime
    keys: KeyTable
    roles: Mapping[str, RoleKeys]
    others: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    consistent: bool = False

    @classmethod
    @part_of(names.ROOT)
    def from_signed(cls, signed: JsonObject, limits: Limits = DEFAULT) -> Root:
        """Read the signed part of root.json."""
        version, expires = header(signed, "Root", names.ROOT)
        keys = key_table(signed.get("keys"), names.ROOT, limits)
        listed = mapping(signed.get("roles"), "roles of root")
        found = {name: role_keys(listed.get(name), keys, name) for name in names.BASE_ROLES}
        for name, assigned in found.items():
            if len(assigned.keyids) > limits.keys_of_role:
                raise too_many(names.ROOT, f"keys of {name}", len(assigned.keyids), limits.keys_of_role)
        others = {name: entry for name, entry in listed.items() if name not in names.BASE_ROLES}
        return cls(version, expires, keys, found, others, signed.get("consistent_snapshot") is True)

    def to_signed(self) -> JsonObject:
        """Return the signed part, as Go writes it."""
        return {
            "_type": "Root",
            "consistent_snapshot": self.consistent,
            "expires": format_time(self.expires),
            "keys": {keyid: key.to_json() for keyid, key in self.keys.items()},
            "roles": {
                **{name: _other_role(entry) for name, entry in self.others.items()},
                **{
                    name: {"keyids": list(role.keyids), "threshold": role.threshold}
                    for name, role in self.roles.items()
                },
            },
            "version": self.version,
        }

    @property
    def pins(self) -> tuple[str, ...]:
        """What people pin: the canonical ids of the root keys, which fit all repositories that have them."""
        return tuple(dict.fromkeys(key.canonical_id for key in self.signers(names.ROOT)))

    def signers(self, role: str) -> tuple[PublicKey, ...]:
        """Return the keys of a base role, in order."""
        return tuple(self.keys[keyid] for keyid in self.roles[role].keyids)


@dataclass(frozen=True)
class Delegation:
    """A role that a targets file delegates to; `paths` are plain prefixes of target names.

    `excess` says which limit it exceeds, so that nobody can trust it (rule 9).
    """

    name: str
    keyids: tuple[str, ...]
    threshold: int
    paths: tuple[str, ...]
    excess: str = field(default="", compare=False)

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
            targets = TargetFiles(entries, f"a target of {role}")
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
            "targets": self.listed.to_json(),
            "version": self.version,
        }

    @property
    def listed(self) -> TargetFiles:
        """What is in `targets`, to be edited or written."""
        return self.targets if isinstance(self.targets, TargetFiles) else TargetFiles(self.targets)

    def signers(self, role: str) -> tuple[tuple[PublicKey, ...], int]:
        """Return the keys of a delegation, and how many of them are needed; none where there is none."""
        found = self.delegation(role)
        return ((), 1) if found is None else (tuple(self.keys[one] for one in found.keyids), found.threshold)

    def delegation(self, name: str) -> Delegation | None:
        """Return the delegation of this name, or None."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Delegation]:
        return {entry.name: entry for entry in self.roles}


@dataclass(frozen=True)
class Snapshot:
    """The list of all current files of a repository by role name."""

    version: int
    expires: datetime
    meta: Mapping[str, MetaFile]

    def unusable(self, role: str) -> str:
        """Say why what is listed of a role cannot be used; empty when it can."""
        entry = self.meta[role]
        return entry.why if isinstance(entry, UnusableEntry) else ""

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


def _other_role(value: object) -> JsonObject:
    """Return what a root says of a role that Notary does not have, as Go writes it (rules 6 and 8)."""
    entry = value if isinstance(value, dict) else {}
    keyids, threshold = entry.get("keyids"), entry.get("threshold")
    listed = isinstance(keyids, list) and all(isinstance(one, str) for one in keyids)
    return {"keyids": keyids if listed else None, "threshold": threshold if is_integer(threshold) else 0}


def _meta(signed: JsonObject, role: str, needed: tuple[str, ...]) -> Mapping[str, MetaFile]:
    listed = mapping(signed.get("meta"), f"meta of {role}")
    for name in needed:
        if name not in listed:
            raise MetadataError(f"{role} does not list {name}", role=role)
    found: dict[str, MetaFile] = {}
    for name, entry in listed.items():
        what = f"{name} in {role}"
        found[name] = (
            MetaFile.from_json(entry, what) if name in needed else listed_file(MetaFile, entry, what)
        )
    return found


def _delegations(value: object, keys: KeyTable, role: str, limits: Limits) -> tuple[Delegation, ...]:
    """Read a list of delegations (rule 5)."""
    listed = [] if value is None else value
    if not isinstance(listed, list):
        raise MetadataError(f"{role} has no usable list of delegations", role=role)
    if len(listed) > limits.delegations_in_file:
        raise too_many(role, "delegations", len(listed), limits.delegations_in_file)
    found: dict[str, Delegation] = {}
    for entry in listed:
        name: Any = entry.get("name") if isinstance(entry, dict) else None
        below = isinstance(name, str) and names.is_delegation(name) and names.parent(name) == role
        if not below:
            raise MetadataError(f"{role} delegates to something that is no role below it", role=role)
        if name not in found:
            found[name] = _delegation(name, entry, keys, limits)
    return tuple(found.values())


def _delegation(name: str, entry: JsonObject, keys: KeyTable, limits: Limits) -> Delegation:
    assigned = role_keys(entry, keys, name)
    paths = strings(entry.get("paths"), f"paths of {name}")
    counts = (
        ("keys", len(assigned.keyids), limits.keys_of_role),
        ("paths", len(paths), limits.delegation_paths),
    )
    excess = [
        f"{name} has {count} {what}; the limit is {most}" for what, count, most in counts if count > most
    ]
    return Delegation(name, assigned.keyids, assigned.threshold, paths, "; ".join(excess))
