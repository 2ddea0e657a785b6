"""What drafted files change, in an order that people can read before they sign.

What it is: tags, delegations, keys, thresholds, paths and dates that come, move or go, file by file. What it
is not: words, or who did it; `before` and `after` are values as metadata has them.

Rules:

1. All of it is said: two files of which the same is said differ at most in the order of a role's keys and
   paths, and in how often a path is listed, or in the old one a key. Keys that no role has are said, too, and
   the order of delegations: Go notary takes a tag from the first one that lists it.
2. `before` is None for what comes, `after` for what goes.
3. A delegation that a draft adds or changes has no keys (it is left to nobody), or enough for its threshold,
   as all roles of a root have; of root keys those count that have a certificate for the repository. Where it
   takes several signatures, what is changed lists no key under two ids. None lists an id more often than the
   file before it. A tag that comes or changes has a SHA-256 and a length.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.errors import NotarypyError, PartError
from notarypy.tuf import canonical, certificates, roles
from notarypy.tuf.fields import format_time
from notarypy.tuf.keys import X509_TYPES, UnusableKey, require_enough, require_reachable, require_single
from notarypy.tuf.metadata import Root, Targets
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from notarypy.tuf.changes import State
    from notarypy.tuf.fields import RoleKeys, TargetFile
    from notarypy.tuf.keys import KeyTable, PublicKey
    from notarypy.tuf.metadata import Delegation

    Found = Iterator["DraftChange"]
    _Listed = tuple[KeyTable, Iterable[str]]

_BARE = "bare"


@dataclass(frozen=True)
class DraftChange:
    """One thing that a draft of a role says otherwise than the file before it.

    Attributes:
        role: Whose file says it.
        kind: `version`, `expires`, `tag`, `entry` (what a tag's entry says beside that), `delegation`,
            `order` (of delegations), `key`, `certificate` (in which a key stands, and until when),
            `threshold`, `path` or `other`.
        name: Which one: a tag, or the role whose key, threshold or path it is.
        before: What it was: a number, date, digest and length, key id, path, names or JSON; None for nothing.
        after: What it is, the same.
    """

    role: str
    kind: str
    name: str
    before: str | None
    after: str | None


def draft_changes(before: State | None, after: State, changed: Iterable[str]) -> tuple[DraftChange, ...]:
    """Return what the files of these roles change, root first, then from the top to the bottom."""
    found: list[DraftChange] = []
    for role in sorted(changed, key=lambda role: (role != roles.ROOT, role.count("/"), role)):
        if role == roles.ROOT:
            found += _of_root(before.root if before else None, after.root)
        else:
            found += _of_targets(role, before.targets.get(role) if before else None, after.targets.get(role))
    return tuple(found)


def require_usable(gun: str, role: str, old: Root | Targets | None, new: Root | Targets) -> None:
    """Raise UsageError or PartError for a file that nobody could use as it says (rule 3)."""
    if isinstance(new, Targets):
        _require_usable_targets(role, old if isinstance(old, Targets) else Targets(0, new.expires), new)
        return
    known = old.roles if isinstance(old, Root) else {}
    for name, assigned in new.roles.items():
        keys = new.signers(name)
        able = [key for key in keys if name != roles.ROOT or not certificates.problem(key, gun, None)]
        require_reachable(name, able, assigned.threshold)
        if known.get(name) != assigned:
            require_single(name, keys, assigned.threshold)
        _check_ids(role, name, known.get(name), assigned)


def _require_usable_targets(role: str, old: Targets, new: Targets) -> None:
    for entry in new.roles:
        if old.delegation(entry.name) != entry or old.signers(entry.name) != new.signers(entry.name):
            require_enough(entry.name, *new.signers(entry.name))
            require_single(entry.name, *new.signers(entry.name))
        _check_ids(role, entry.name, old.delegation(entry.name), entry)
    for name in new.listed.otherwise(old.listed):
        if new.targets[name].digest is None:
            raise PartError(f"{role} in the part has a tag without content that can be checked", why=name)


def _check_ids(role: str, name: str, old: RoleKeys | Delegation | None, new: RoleKeys | Delegation) -> None:
    before = Counter(old.keyids if old else ())
    if twice := [one for one, count in Counter(new.keyids).items() if count > max(before[one], 1)]:
        raise PartError(f"{role} in the part lists a key of {name} twice", why=", ".join(twice), role=role)


def _of_root(old: Root | None, new: Root) -> Found:
    role, table = roles.ROOT, old.keys if old else {}
    yield from _header(role, old, new)
    for name in roles.BASE_ROLES:
        was, now = old.roles[name] if old else None, new.roles[name]
        yield from _keys(role, name, (table, was.keyids if was else ()), (new.keys, now.keyids))
        yield from _differs(role, "threshold", name, str(was.threshold) if was else None, str(now.threshold))
    yield from _differs(role, "other", "", _others(old), _others(new))
    yield from _unused(
        role, _idle(table, old.roles.values() if old else ()), _idle(new.keys, new.roles.values())
    )


def _of_targets(role: str, old: Targets | None, new: Targets | None) -> Found:
    old, gone = old or Targets(0, _of(new).expires), new is None
    new = new or Targets(0, old.expires)
    if not gone:
        yield from _header(role, old if old.version else None, new)
    was, now = (dict.fromkeys(entry.name for entry in file.roles) for file in (old, new))
    for name in dict.fromkeys((*was, *now)):
        sides = ((old.keys, old.delegation(name)), (new.keys, new.delegation(name)))
        yield from _of_delegation(role, name, *sides)
    if [*now] != [*(one for one in was if one in now), *(one for one in now if one not in was)]:
        yield DraftChange(role, "order", "delegations", ", ".join(was), ", ".join(now))
    yield from _of_tags(role, old.targets, new.targets)
    yield from _unused(role, _idle(old.keys, old.roles), _idle(new.keys, new.roles))


def _of(file: Targets | None) -> Targets:
    if file is None:
        raise RuntimeError("a role without a file, before and after")
    return file


def _of_delegation(
    role: str, name: str, old: tuple[KeyTable, Delegation | None], new: tuple[KeyTable, Delegation | None]
) -> Found:
    entries = (old[1], new[1])
    yield from _differs(role, "delegation", name, *(entry.name if entry else None for entry in entries))
    yield from _keys(role, name, *((table, entry.keyids if entry else ()) for table, entry in (old, new)))
    yield from _differs(
        role, "threshold", name, *(str(entry.threshold) if entry else None for entry in entries)
    )
    was, now = (dict.fromkeys(entry.paths if entry else ()) for entry in entries)
    yield from (DraftChange(role, "path", name, one, None) for one in was if one not in now)
    yield from (DraftChange(role, "path", name, None, one) for one in now if one not in was)


def _of_tags(role: str, old: Mapping[str, TargetFile], new: Mapping[str, TargetFile]) -> Found:
    if old is new:
        return
    for tag in sorted({*old, *new}):
        entries = (old.get(tag), new.get(tag))
        yield from _differs(role, "tag", tag, *map(_content, entries))
        yield from _differs(role, "entry", tag, *map(_besides, entries))


def _content(entry: TargetFile | None) -> str | None:
    if entry is None:
        return None
    return f"{entry.digest}, {entry.length} bytes" if entry.digest else "no sha256"


def _besides(entry: TargetFile | None) -> str | None:
    """Return what an entry says beside its digest and length; all of one that has no digest."""
    if entry is None or entry.digest is None:
        return None if entry is None else _json(entry.to_json())
    value = entry.to_json()
    hashes = {name: text for name, text in value["hashes"].items() if name != "sha256"}
    more = {
        **({"hashes": hashes} if hashes else {}),
        **{name: value[name] for name in value if name == "custom"},
    }
    return _json(more) if more else None


def _header(role: str, old: Root | Targets | None, new: Root | Targets) -> Found:
    yield from _differs(role, "version", "", str(old.version) if old else None, str(new.version))
    ends = format_time(new.expires)
    yield from _differs(role, "expires", "", format_time(old.expires) if old else None, ends)


def _keys(role: str, name: str, old: _Listed, new: _Listed) -> Found:
    """Tell which keys come and go, by canonical id, and in which certificates those stand that are there."""
    was, now = _forms(*old), _forms(*new)
    yield from (DraftChange(role, "key", name, one, None) for one in was if one not in now)
    yield from (DraftChange(role, "key", name, None, one) for one in now if one not in was)
    for one in now:
        yield from _differs(role, "certificate", f"{name} key {one}", was.get(one), now[one])


def _forms(table: KeyTable, keyids: Iterable[str]) -> dict[str, str | None]:
    """Return keys by canonical id, with the forms that they are listed in; None for a bare one alone."""
    found: dict[str, set[str]] = {}
    for keyid in keyids:
        found.setdefault(table[keyid].canonical_id, set()).add(_form(table[keyid]))
    return {one: None if forms == {_BARE} else "; ".join(sorted(forms)) for one, forms in found.items()}


def _form(key: PublicKey) -> str:
    if key.keytype not in X509_TYPES:
        return _BARE if key.keyid == key.canonical_id else key.keyid
    until = "nobody can read until when"
    with suppress(NotarypyError, ValueError):
        until = f"until {format_time(certificates.expiry(key))}"
    return f"{key.keyid}, {until}"


def _idle(table: KeyTable, listed: Iterable[RoleKeys | Delegation]) -> set[str]:
    """Return the ids of keys that no role has; of one that nobody can use one that says what it is."""
    used = {keyid for one in listed for keyid in one.keyids}
    idle = [key for keyid, key in table.items() if keyid not in used]
    return {key.canonical_id if isinstance(key, UnusableKey) else key.keyid for key in idle}


def _unused(role: str, old: set[str], new: set[str]) -> Found:
    what = "a key that no role has"
    yield from (DraftChange(role, "other", what, one, None) for one in sorted(old - new))
    yield from (DraftChange(role, "other", what, None, one) for one in sorted(new - old))


def _others(root: Root | None) -> str:
    """Return what a root says that Notary has no use for; of none yet what is usual."""
    others, consistent = (root.others, root.consistent) if root else ({}, False)
    return _json({"consistent_snapshot": consistent, "roles": dict(others)})


def _differs(role: str, kind: str, name: str, before: str | None, after: str | None) -> Found:
    if before != after:
        yield DraftChange(role, kind, name, before, after)


def _json(value: object) -> str:
    return canonical.encode(value).decode()
