"""What is different between two verified states of a repository, role by role.

What it is: two TrustedMetadata compared, as facts about tags, delegations, keys, paths and thresholds, and
who signed each file. What it is not: verification, or when something happened.

Rules:

1. Each file that is another one than before says at least one thing: what it changed, or that it was signed
   again (`renewed`), or, where there was none, that it is there (`published`).
2. Keys go by canonical id. A root key that stays and has another certificate is a `certificate-renewed`.
3. What goes with a delegation goes too: its tags.
4. Signers have names where the targets file says whose key one is; `targets/releases` says nothing of that. A
   key that several share has the names of all: which of them signed cannot be told.
   What delegations say below does not count: any signer could give any key a name there.
5. Several ids or paths in one value are joined by commas, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope, signers
from notarypy.tuf.fields import TargetFiles
from notarypy.tuf.metadata import Root, Targets
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from notarypy.limits import Limits
    from notarypy.tuf.keys import KeyTable, PublicKey
    from notarypy.tuf.trusted import TrustedMetadata


@dataclass(frozen=True)
class Difference:
    """One thing that a role's file, of a version, says otherwise than the one before: `kind` of `name`.

    `keys` are canonical ids of those that validly signed that file. For what went with its delegation it is
    the file that had the delegation. `why` says what is wrong about it, if anything is.
    """

    kind: str
    role: str
    version: int
    name: str = ""
    before: str | None = None
    after: str | None = None
    keys: tuple[str, ...] = ()
    why: str = ""


Known = Mapping[str, tuple[bytes, Targets]]
"""The last files of targets and delegations that could be read."""


def of_root(before: Root | None, data: bytes, limits: Limits, *, first: bool = False) -> Iterator[Difference]:
    """Yield what a root changes; None before one that nothing is compared with, maybe the `first`."""
    file = Envelope.parse(data, roles.ROOT, limits)
    root = Root.from_signed(file.signed, limits)
    keys = _signed_by(file, root.keys, root.roles[roles.ROOT].keyids)
    if before is None:
        yield Difference(
            "created" if first else "published", roles.ROOT, root.version, "", None, _joined(root.pins), keys
        )
        return
    keys += _signed_by(file, before.keys, before.roles[roles.ROOT].keyids)
    keys = tuple(dict.fromkeys(keys))
    found = [each for name in roles.BASE_ROLES for each in _assigned(before, root, name)]
    for kind, name, old, new in found or [("renewed", "", None, None)]:
        yield Difference(kind, roles.ROOT, root.version, name, old, new, keys)


def _assigned(before: Root, root: Root, name: str) -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yield what a root changes of one base role (rule 2)."""
    old, new = (_ids(each.signers(name)) for each in (before, root))
    if set(old) != set(new):
        yield "key-rotated", name, _joined(old), _joined(new)
    elif set(before.roles[name].keyids) != set(root.roles[name].keyids):
        one, other = (_joined(each.roles[name].keyids) for each in (before, root))
        yield "certificate-renewed", name, one, other
    counts = [each.roles[name].threshold for each in (before, root)]
    if counts[0] != counts[1]:
        yield "threshold-changed", name, str(counts[0]), str(counts[1])


def of_targets(before: Known, after: TrustedMetadata) -> Iterator[Difference]:
    """Yield what the files of targets and delegations change."""
    for role, targets in after.targets.items():
        data, old = before.get(role, (b"", None))
        if data == after.files[role]:
            continue
        keys, said = _signers_of(after, role), False
        for kind, name, one, other in _file(old, targets):
            said = True
            yield Difference(kind, role, targets.version, name, one, other, keys)
        if not said:
            yield Difference("published" if old is None else "renewed", role, targets.version, keys=keys)
    yield from _gone(before, after)


def _gone(before: Known, after: TrustedMetadata) -> Iterator[Difference]:
    """Yield the tags that went with their delegations (rule 3)."""
    for role, (_, targets) in before.items():
        above = role
        while above not in after.targets and above not in after.failures and above:
            above = roles.parent(above)
        if above in (role, "") or above in after.failures:
            continue
        keys, version = _signers_of(after, above), after.targets[above].version
        for name, entry in targets.targets.items():
            yield Difference("tag-removed", role, version, name, entry.digest, None, keys)


def of_lists(before: TrustedMetadata, after: TrustedMetadata) -> Iterator[Difference]:
    """Yield which of snapshot and timestamp was signed again while nothing that they list changed.

    Of what is known without its snapshot nothing is said.
    """
    if before.snapshot.meta != after.snapshot.meta or roles.SNAPSHOT not in after.files:
        return
    same = before.files.get(roles.SNAPSHOT) == after.files[roles.SNAPSHOT]
    role = roles.TIMESTAMP if same else roles.SNAPSHOT
    version = after.timestamp.version if role == roles.TIMESTAMP else after.snapshot.version
    file = Envelope.parse(after.files[role], role, after.limits)
    keys = _signed_by(file, after.root.keys, after.root.roles[role].keyids)
    yield Difference("renewed", role, version, keys=keys)


def of_versions(before: TrustedMetadata, after: TrustedMetadata, known: Known) -> Iterator[Difference]:
    """Yield where a version passes over others, or is none above the one before."""
    pairs = [(roles.ROOT, before.root.version, after.root.version)]
    pairs.append((roles.SNAPSHOT, before.snapshot.version, after.snapshot.version))
    pairs += [
        (role, known[role][1].version, new.version) for role, new in after.targets.items() if role in known
    ]
    for role, old, new in pairs:
        if new > old + 1:
            passed = f"version {old + 1}" if new == old + 2 else f"versions {old + 1} to {new - 1}"
            why = f"{passed} of it was never shown" if new == old + 2 else f"{passed} of it were never shown"
            yield Difference("gap", role, new, "", str(old), str(new), why=why)
        elif new < old:
            why = f"version {new} came after version {old}"
            yield Difference("rollback", role, new, "", str(old), str(new), why=why)


def _file(old: Targets | None, new: Targets) -> Iterator[tuple[str, str, str | None, str | None]]:
    yield from _delegations(old, new)
    before, after = TargetFiles({}) if old is None else old.listed, new.listed
    for name in (name for name in before.otherwise(after) if name not in after):
        yield "tag-removed", name, before[name].digest, None
    for name in after.otherwise(before):
        was, entry = before.get(name), after[name]
        if was is None:
            yield "tag-added", name, None, entry.digest
        elif was != entry:
            kind = "tag-changed" if was.digest == entry.digest else "tag-moved"
            yield kind, name, was.digest, entry.digest


def _delegations(old: Targets | None, new: Targets) -> Iterator[tuple[str, str, str | None, str | None]]:
    known = {} if old is None else {entry.name: entry for entry in old.roles}
    listed = {entry.name: entry for entry in new.roles}
    for name in (name for name in known if name not in listed):
        yield "delegation-removed", name, _joined(_ids(_keys(old, name))), None
    for name, entry in listed.items():
        was, keys = known.get(name), _ids(_keys(new, name))
        if was is None:
            yield "delegation-added", name, None, _joined(keys)
            if entry.paths not in ((), ("",)):
                yield "paths-changed", name, None, _paths(entry.paths)
            if entry.threshold != 1:
                yield "threshold-changed", name, None, str(entry.threshold)
            continue
        held = _ids(_keys(old, name))
        for key in (key for key in held if key not in keys):
            yield "key-removed", name, key, None
        for key in (key for key in keys if key not in held):
            yield "key-added", name, None, key
        if set(was.paths) != set(entry.paths):
            yield "paths-changed", name, _paths(was.paths), _paths(entry.paths)
        if was.threshold != entry.threshold:
            yield "threshold-changed", name, str(was.threshold), str(entry.threshold)


def names_of(*states: TrustedMetadata) -> dict[str, tuple[str, ...]]:
    """Return all whose key a key is in any of these states, by canonical id (rule 4)."""
    found: dict[str, tuple[str, ...]] = {}
    for targets in (trusted.targets.get(roles.TARGETS) for trusted in states):
        for entry in targets.roles if targets else ():
            for key in _keys(targets, entry.name) if entry.name != roles.RELEASES else ():
                names = (*found.get(key.canonical_id, ()), roles.signer_name(entry.name))
                found[key.canonical_id] = tuple(dict.fromkeys(names))
    return found


def _signers_of(trusted: TrustedMetadata, role: str) -> tuple[str, ...]:
    """Return who validly signed a file of targets or of a delegation."""
    table: KeyTable
    if role == roles.TARGETS:
        table, keyids = trusted.root.keys, trusted.root.roles[role].keyids
    else:
        above = trusted.targets[roles.parent(role)]
        found = above.delegation(role)
        table, keyids = above.keys, found.keyids if found else ()
    return _signed_by(Envelope.parse(trusted.files[role], role, trusted.limits), table, keyids)


def _signed_by(file: Envelope, table: KeyTable, keyids: Iterable[str]) -> tuple[str, ...]:
    return _ids(table[keyid] for keyid in signers(file, table, keyids))


def _keys(targets: Targets | None, name: str) -> tuple[PublicKey, ...]:
    return () if targets is None else targets.signers(name)[0]


def _ids(keys: Iterable[PublicKey]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.canonical_id for key in keys))


def _joined(ids: Iterable[str]) -> str:
    return ", ".join(ids)


def _paths(paths: Iterable[str]) -> str:
    return ", ".join(f'"{path}"' for path in paths)
