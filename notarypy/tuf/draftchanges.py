"""What drafted files change, in an order that people can read before they sign.

What it is: tags, delegations, keys, thresholds, paths and dates that come, move or go, file by file. What it
is not: words, or who did it; `before` and `after` are values as metadata has them.

Rules:

1. All of it is said: of two files that differ in nothing that is said here only the order, and entries that
   nobody can use, may be different.
2. `before` is None for what comes, `after` for what goes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.errors import NotarypyError
from notarypy.tuf import canonical, certificates, roles
from notarypy.tuf.fields import format_time
from notarypy.tuf.keys import X509_TYPES
from notarypy.tuf.metadata import Targets
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from notarypy.tuf.changes import State
    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.keys import KeyTable, PublicKey
    from notarypy.tuf.metadata import Delegation, Root

    Found = Iterator["DraftChange"]


@dataclass(frozen=True)
class DraftChange:
    """One thing that a draft of a role says otherwise than the file before it.

    Attributes:
        role: Whose file says it.
        kind: `version`, `expires`, `tag`, `entry` (what a tag's entry says beside its digest), `delegation`,
            `key`, `certificate` (of a root key: its id, and until when), `threshold`, `path` or `other`.
        name: Which one: a tag, or the role whose key, threshold or path it is.
        before: What it was: a number, date, digest, key id, path or JSON; None for nothing.
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


def _of_root(old: Root | None, new: Root) -> Found:
    role = roles.ROOT
    table = old.keys if old else {}
    yield from _header(role, old, new)
    for name in roles.BASE_ROLES:
        was, now = old.roles[name] if old else None, new.roles[name]
        listed = (_ids(table, was.keyids if was else ()), _ids(new.keys, now.keyids))
        yield from _certificates(name, listed, table, new.keys)
        yield from _keys(role, name, *(_canonical(ids) for ids in listed))
        yield from _differs(role, "threshold", name, str(was.threshold) if was else None, str(now.threshold))
    if old is not None:
        others = [_json({**one.others, "consistent_snapshot": one.consistent}) for one in (old, new)]
        yield from _differs(role, "other", "", *others)
    yield from _unused(role, table, new.keys, {one for role in new.roles.values() for one in role.keyids})


def _of_targets(role: str, old: Targets | None, new: Targets | None) -> Found:
    old, gone = old or Targets(0, _of(new).expires), new is None
    new = new or Targets(0, old.expires)
    if not gone:
        yield from _header(role, old if old.version else None, new)
    for name in dict.fromkeys(entry.name for entry in (*old.roles, *new.roles)):
        sides = ((old.keys, old.delegation(name)), (new.keys, new.delegation(name)))
        yield from _of_delegation(role, name, *sides)
    yield from _of_tags(role, old.targets, new.targets)
    yield from _unused(role, old.keys, new.keys, {one for entry in new.roles for one in entry.keyids})


def _of(file: Targets | None) -> Targets:
    if file is None:
        raise RuntimeError("a role without a file, before and after")
    return file


def _of_delegation(
    role: str, name: str, old: tuple[KeyTable, Delegation | None], new: tuple[KeyTable, Delegation | None]
) -> Found:
    entries = (old[1], new[1])
    yield from _differs(role, "delegation", name, *(entry.name if entry else None for entry in entries))
    yield from _keys(role, name, *(_ids(table, entry.keyids if entry else ()) for table, entry in (old, new)))
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
        was, now = map(_content, entries)
        yield from _differs(role, "tag", tag, was, now)
        yield from _differs(role, "entry", tag, *(_besides(one, whole=was == now) for one in entries))


def _content(entry: TargetFile | None) -> str | None:
    return None if entry is None else entry.digest or "no sha256"


def _besides(entry: TargetFile | None, *, whole: bool) -> str | None:
    """Return what an entry says beside its digest: where that stays, all of it."""
    if entry is None or (entry.custom is None and not whole):
        return None
    return _json(entry.to_json() if whole else {"custom": entry.custom})


def _header(role: str, old: Root | Targets | None, new: Root | Targets) -> Found:
    yield from _differs(role, "version", "", str(old.version) if old else None, str(new.version))
    ends = format_time(new.expires)
    yield from _differs(role, "expires", "", format_time(old.expires) if old else None, ends)


def _keys(role: str, name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Found:
    yield from (DraftChange(role, "key", name, old[one], None) for one in old if one not in new)
    yield from (DraftChange(role, "key", name, None, new[one]) for one in new if one not in old)


def _certificates(
    name: str, listed: tuple[Mapping[str, str], Mapping[str, str]], old: KeyTable, new: KeyTable
) -> Found:
    """Tell which certificate a key stands in, and until when, where it comes or becomes another one."""
    was, now = ({of: keyid for keyid, of in ids.items()} for ids in listed)
    for of, keyid in now.items():
        before = None if of not in was else _certificate(old[was[of]])
        after = _certificate(new[keyid])
        if after is not None:
            yield from _differs(roles.ROOT, "certificate", f"{name} key {of}", before, after)


def _certificate(key: PublicKey) -> str | None:
    if key.keytype not in X509_TYPES:
        return None
    until = "nobody can read until when"
    with suppress(NotarypyError, ValueError):
        until = f"until {format_time(certificates.expiry(key))}"
    return f"{key.keyid}, {until}"


def _canonical(ids: Mapping[str, str]) -> dict[str, str]:
    """Return keys by their canonical ids: the same one in another certificate has not come or gone."""
    return {canonical: canonical for canonical in ids.values()}


def _ids(table: KeyTable, keyids: Iterable[str]) -> dict[str, str]:
    return {keyid: table[keyid].canonical_id for keyid in keyids}


def _unused(role: str, old: KeyTable, new: KeyTable, used: set[str]) -> Found:
    for keyid in sorted(new.keys() - old.keys() - used):
        yield DraftChange(role, "other", "a key that no role has", None, keyid)


def _differs(role: str, kind: str, name: str, before: str | None, after: str | None) -> Found:
    if before != after:
        yield DraftChange(role, kind, name, before, after)


def _json(value: object) -> str:
    return canonical.encode(value).decode()
