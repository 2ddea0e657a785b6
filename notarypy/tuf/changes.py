"""Changes: what a publisher wants to be different, applied to metadata as values.

What it is: old state in, new state out, and which files became dirty. What it is not: signing or versions
(`plan`), which keys sign base roles (`rootchanges`), or permission (a key that is not here shows up when
signing).

Rules:

1. A change that is already true makes nothing dirty, so that nothing is published for it and a repeated
   change after a conflict does no harm.
2. A delegation is edited in the file of the role above it.
3. Keys and paths keep the order of addition; keys that no delegation uses are dropped from the key table.
4. A role whose current file could not be trusted is not written over: the change raises the reason. Only
   `Discard` starts it over, on purpose.
5. Target names lie inside the paths of the role that lists them.
6. A delegation that takes several signatures lists a key under one id, the first one: docker and Go notary
   count ids, and whoever has a bare key and a certificate of it would be two for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from notarypy.errors import Advice, InvalidNameError, TagUnsignedError, TrustError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from notarypy.tuf.keys import PublicKey, meets, require_reachable
from notarypy.tuf.metadata import Delegation, Root, Targets
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata


@dataclass(frozen=True)
class State:
    """The files of one repository as values, and which of them differ from what is published.

    Attributes:
        gun: The repository.
        root: The trusted root.
        targets: Targets and delegation files by role.
        failures: Roles whose published file cannot be trusted, and why.
        dirty: Roles whose file must be signed anew.
        published: The verified files as the server has them, by role.
        former: The published root, where `root` is another one: its keys sign the new one too.
        limits: What the published files were read with.
        partial: Whether others sign what is dirty later: then one key of a role is as good as all (`parts`).
        earlier: Root keys of versions before the former root, which sign a new one too where they are here.
    """

    gun: str
    root: Root
    targets: Mapping[str, Targets]
    failures: Mapping[str, TrustError] = field(default_factory=dict)
    dirty: frozenset[str] = frozenset()
    published: Mapping[str, bytes] = field(default_factory=dict)
    former: Root | None = None
    limits: Limits = DEFAULT
    partial: bool = False
    earlier: tuple[PublicKey, ...] = ()
    _signable: dict[tuple[str, frozenset[str]], bool] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, trusted: TrustedMetadata) -> State:
        """Return the state that verified metadata describes."""
        targets, failures, files = dict(trusted.targets), dict(trusted.failures), dict(trusted.files)
        return cls(trusted.gun, trusted.root, targets, failures, published=files, limits=trusted.limits)

    def delegation(self, role: str) -> Delegation | None:
        """Return the delegation of a role from the file above it, or None."""
        above = self.targets.get(roles.parent(role))
        return above.delegation(role) if above else None

    def paths(self, role: str) -> tuple[str, ...]:
        """Return the prefixes that a role may speak for, narrowed by every role above it."""
        if role == roles.TARGETS:
            return ("",)
        delegation = self.delegation(role)
        if delegation is None:
            return ()
        return roles.narrowed(self.paths(roles.parent(role)), delegation.paths)

    def keys_for(self, role: str) -> tuple[tuple[PublicKey, ...], int]:
        """Return the keys that sign a role, and how many of them are needed."""
        if role in self.root.roles:
            return self.root.signers(role), self.root.roles[role].threshold
        delegation = self.delegation(role)
        if delegation is None:
            advice = Advice("list-delegations", gun=self.gun)
            raise TagUnsignedError(f"{self.gun} has no role {role}", advice=advice)
        above = self.targets[roles.parent(role)]
        return tuple(above.keys[keyid] for keyid in delegation.keyids), delegation.threshold

    def signable(self, role: str, available: Collection[str]) -> bool:
        """Tell whether the keys at hand, by canonical id, reach a role's threshold; if partial, one does."""
        asked = role, frozenset(available)
        if asked not in self._signable:  # it is asked of every signer for every tag
            keys, threshold = self.keys_for(role)
            here = (key.canonical_id for key in keys if key.canonical_id in available)
            self._signable[asked] = meets(here, 1 if self.partial else threshold)
        return self._signable[asked]

    def with_file(self, role: str, targets: Targets) -> State:
        """Return the state with one file replaced and dirty; itself if nothing differs."""
        if self.targets.get(role) == targets:
            return self
        return replace(self, targets={**self.targets, role: targets}, dirty=self.dirty | {role})

    @property
    def blank(self) -> Targets:
        """The file of a role that was never published."""
        return Targets(version=0, expires=self.root.expires)

    def file(self, role: str) -> Targets:
        """Return a role's file; raise the reason why the published one cannot be trusted (rule 4)."""
        if role in self.failures:
            raise self.failures[role]
        return self.targets.get(role, self.blank)


class Change(Protocol):
    """One edit; `apply` returns the state in which it is true."""

    def apply(self, state: State) -> State:
        """Return the new state."""
        ...


@dataclass(frozen=True)
class AddTarget:
    """List `name` with this content in `role`'s file."""

    role: str
    name: str
    content: TargetFile

    def apply(self, state: State) -> State:
        """Add or replace the entry; same length, SHA-256 and custom data, or none given, is no change."""
        return _listed_anew(state, self.role, [self])

    def changes(self, present: TargetFile | None, paths: tuple[str, ...]) -> bool:
        """Tell whether this is another entry than the present one of its name (rule 1)."""
        self.check_name()
        if not roles.covers(paths, self.name):  # rule 5
            raise InvalidNameError(
                f'"{self.name}" is outside the paths of {self.role}', role=self.role, outside=self.name
            )
        same = present is not None and self.content.same_content(present)
        return not (same and self.content.custom in (None, present and present.custom))

    def check_name(self) -> None:
        """Raise InvalidNameError for a name that is not to be listed."""
        roles.check_target_name(self.name)


@dataclass(frozen=True)
class RemoveTarget:
    """List `name` no longer in `role`'s file."""

    role: str
    name: str

    content: ClassVar[None] = None

    def apply(self, state: State) -> State:
        """Drop the entry if it is there."""
        return _listed_anew(state, self.role, [self])

    def changes(self, present: TargetFile | None, paths: tuple[str, ...]) -> bool:  # noqa: ARG002 - as above
        """Tell whether there is an entry to drop (rule 1)."""
        return present is not None


@dataclass(frozen=True)
class AddDelegation:
    """Let `keys` sign names that begin with `paths`, as `role`."""

    role: str
    keys: Sequence[PublicKey]
    paths: Sequence[str] = ("",)
    threshold: int | None = None

    def apply(self, state: State) -> State:
        """Create the delegation, or add what it lacks (rules 2, 3, 6); no threshold leaves it, or is 1."""
        above = _above(state, self.role)
        old = above.delegation(self.role) or Delegation(self.role, (), 1, ())
        added = {key.keyid: key for key in self.keys}
        paths = tuple(dict.fromkeys((*old.paths, *self.paths)))
        takes = old.threshold if self.threshold is None else self.threshold
        listed, table = (*old.keyids, *added), {**above.keys, **added}
        once: dict[str, str] = {}
        for keyid in listed:
            once.setdefault(table[keyid].canonical_id if takes > 1 else keyid, keyid)
        keyids = tuple(once.values())
        if self.threshold is not None:
            require_reachable(self.role, (table[keyid] for keyid in keyids), takes)
        new = _listing(above, replace(old, keyids=keyids, paths=paths, threshold=takes))
        new = replace(new, keys=table)
        return state.with_file(roles.parent(self.role), _pruned(new) if {*listed} - {*keyids} else new)


@dataclass(frozen=True)
class RemoveDelegation:
    """Take a role out of the file above it."""

    role: str

    def apply(self, state: State) -> State:
        """Drop the delegation, its unused keys and its file (rule 3)."""
        above = _above(state, self.role)
        if above.delegation(self.role) is None:
            return state
        kept = tuple(entry for entry in above.roles if entry.name != self.role)
        new = state.with_file(roles.parent(self.role), _pruned(replace(above, roles=kept)))
        left = {
            name: file for name, file in new.targets.items() if not f"{name}/".startswith(f"{self.role}/")
        }
        return replace(new, targets=left, dirty=new.dirty.intersection(left))


@dataclass(frozen=True)
class RemoveKeys:
    """Take keys, named by canonical id, out of one delegation."""

    role: str
    canonical_ids: frozenset[str]

    def apply(self, state: State) -> State:
        """Drop the keys; the delegation stays, even without any (rule 3)."""
        above = _above(state, self.role)
        if (old := above.delegation(self.role)) is None:
            return state
        dropped = self.canonical_ids
        kept = tuple(keyid for keyid in old.keyids if above.keys[keyid].canonical_id not in dropped)
        if kept == old.keyids:
            return state
        return state.with_file(roles.parent(self.role), _pruned(_listing(above, replace(old, keyids=kept))))


@dataclass(frozen=True)
class RemovePaths:
    """Take prefixes out of one delegation."""

    role: str
    paths: frozenset[str]

    def apply(self, state: State) -> State:
        """Drop the paths; the delegation stays, even without any, and its file as it is."""
        above = _above(state, self.role)
        old = above.delegation(self.role)
        if old is None:
            return state
        kept = tuple(path for path in old.paths if path not in self.paths)
        return state.with_file(roles.parent(self.role), _listing(above, replace(old, paths=kept)))


@dataclass(frozen=True)
class Resign:
    """Sign a role's file anew with its present keys, content unchanged (Notary: witness).

    The snapshot is signed anew by whoever keeps its key.
    """

    role: str

    def apply(self, state: State) -> State:
        """Mark the role dirty; a delegation that was never published gets an empty file."""
        if self.role in {roles.ROOT, roles.SNAPSHOT}:
            return replace(state, dirty=state.dirty | {self.role})
        targets = {**state.targets, self.role: state.file(self.role)}
        return replace(state, targets=targets, dirty=state.dirty | {self.role})


@dataclass(frozen=True)
class Discard:
    """Start over a role whose published file cannot be trusted (rule 4)."""

    role: str

    def apply(self, state: State) -> State:
        """Replace the distrusted file by an empty one of a higher version; a trusted one stays."""
        if self.role not in state.failures:
            return state
        version = state.failures[self.role].facts.get("version")
        blank = replace(state.blank, version=max(version, 0) if isinstance(version, int) else 0)
        failures = {role: error for role, error in state.failures.items() if role != self.role}
        return replace(state, failures=failures).with_file(self.role, blank)


def apply_all(state: State, changes: Iterable[Change]) -> State:
    """Apply changes in order; those of entries that follow each other are made at once, file by file."""
    together: dict[str, list[AddTarget | RemoveTarget]] = {}
    for change in (*changes, None):
        if isinstance(change, AddTarget | RemoveTarget):
            together.setdefault(change.role, []).append(change)
            continue
        for role, of_role in together.items():
            state = _listed_anew(state, role, of_role)
        together.clear()
        state = state if change is None else change.apply(state)
    return state


def _listed_anew(state: State, role: str, changes: Iterable[AddTarget | RemoveTarget]) -> State:
    """Return the state with what a role lists changed: a file of any size is copied once for all changes."""
    old, paths = state.file(role), state.paths(role)
    edits: dict[str, TargetFile | None] = {}
    for change in changes:
        present = edits[change.name] if change.name in edits else old.targets.get(change.name)
        if change.changes(present, paths):
            edits[change.name] = change.content
    return state.with_file(role, replace(old, targets=old.listed.edited(edits))) if edits else state


def _above(state: State, role: str) -> Targets:
    above = roles.parent(roles.check_role(role))
    if above != roles.TARGETS and state.delegation(above) is None:
        raise InvalidNameError(
            f"{role} has no role above it", why=f"{above} is not delegated to", role=role, unknown=above
        )
    return state.file(above)


def _listing(above: Targets, new: Delegation) -> Targets:
    """Return a file with a delegation in the place of the one of its name, or as its last."""
    return replace(
        above, roles=tuple({**{entry.name: entry for entry in above.roles}, new.name: new}.values())
    )


def _pruned(targets: Targets) -> Targets:
    used = {keyid for entry in targets.roles for keyid in entry.keyids}
    return replace(targets, keys={keyid: key for keyid, key in targets.keys.items() if keyid in used})
