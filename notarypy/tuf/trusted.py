"""TrustedMetadata: bytes go in; they are verified and kept, or an error comes out.

What it is: the state machine root -> timestamp -> snapshot -> targets ->
delegations, for one GUN and one moment. What it is not: a client; it opens no
file and no connection, and does not know where bytes come from.

Rules (tests cite the numbers):

Root
 1. The first root meets its own threshold with root certificates valid for the GUN.
 2. A newer root meets the threshold of the trusted root's keys and its own. It may
    skip versions when the trusted keys signed it; otherwise the chain is walked.
 3. A root is never replaced by an older one, nor by another of the same version.
 4. Earlier links of a chain may be expired; the last root and its certificates may not.
 5. The last root is byte for byte the one that the snapshot names.

Timestamp, snapshot, targets
 6. Each file meets the threshold of its role in the last root.
 7. Snapshot and targets have the length and every hash that the file above states.
 8. No version is below that of the copy seen before, whatever that copy's size or
    date, as long as one of the role's present keys signed it; the same version
    means the same content. A copy that only replaced keys signed is forgotten, so
    that a huge version number left by a thief does not lock readers out.
 9. A delegation whose file was seen before, signed by one of its present keys, is still
    listed by the snapshot: nobody hides what was released.
10. Timestamp, snapshot and targets are in date.

Delegations
11. A delegation is loaded only after the file that names it, by that file's keys and
    threshold, with the length and hashes of the snapshot. A delegation that the
    snapshot does not list is empty.
12. What is wrong inside one delegation's file (signatures, structure, date) is
    that role's failure: it and everything below count as failed, and the others
    load. What is wrong with its hash or version is the repository's failure.
13. At most 1024 delegations are loaded, at most 16 levels deep, and at most 4096 of
    their signatures are checked; those beyond count as failed, so that a delegate
    cannot make the rest unreadable. Roots together may need 4096 checks, not more.
    So does a delegation count as failed that does not fit into 128 MiB of memory with
    the snapshot, targets, and what was loaded before.

Calling methods in another order is a RuntimeError: the caller's mistake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from notarypy.errors import Advice, ExpiredError, RollbackError, TrustError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, certificates, envelope, refusals, roles
from notarypy.tuf.envelope import Envelope, VerificationBudget
from notarypy.tuf.floors import Floors, rollback
from notarypy.tuf.keys import meets
from notarypy.tuf.metadata import MetaFile, Root, Snapshot, Targets, Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.tuf.trustanchors import RootPolicy


class TrustedMetadata:
    """Everything verified so far of one repository.

    Attributes:
        gun: The repository.
        now: The moment that dates are compared with.
        files: The verified bytes by role name, as received.
        targets: The verified targets file and delegations by role name.
        failures: Delegations that could not be trusted, and why (rule 12).
        paths: The shortest prefixes of the names that each role in `targets` may speak for.
        root_checks: How many signatures of roots may still be checked.
        limits: What is taken at most (rule 13 has the usual values).
    """

    def __init__(
        self, gun: str, now: datetime, seen: Mapping[str, bytes] | None = None, limits: Limits = DEFAULT
    ) -> None:
        """Start with nothing trusted.

        Args:
            gun: The repository.
            now: An aware datetime.
            seen: Copies of files trusted before, by role; they only set floors (rules 8, 9).
            limits: What to take at most.
        """
        self.gun = gun
        self.now = now
        self.limits = limits
        self.files: dict[str, bytes] = {}
        self.targets: dict[str, Targets] = {}
        self.failures: dict[str, TrustError] = {}
        self.paths: dict[str, tuple[str, ...]] = {}
        self.root_checks = VerificationBudget(limits.signature_checks, f"the roots of {gun}")
        self._checks = VerificationBudget(limits.signature_checks, f"the delegations of {gun}")
        self._held: dict[str, int] = {}
        self._queue: list[str] = []
        self._passed = 0
        self._floors = Floors({} if seen is None else seen, limits)
        self._root: Root | None = None
        self._timestamp: Timestamp | None = None
        self._snapshot: Snapshot | None = None

    @property
    def root(self) -> Root:
        """The newest trusted root."""
        if self._root is None:
            raise RuntimeError("no root is trusted yet")
        return self._root

    @property
    def timestamp(self) -> Timestamp:
        """The trusted timestamp."""
        if self._timestamp is None:
            raise RuntimeError("no timestamp is trusted yet")
        return self._timestamp

    @property
    def snapshot(self) -> Snapshot:
        """The trusted snapshot."""
        if self._snapshot is None:
            raise RuntimeError("no snapshot is trusted yet")
        return self._snapshot

    def first_root(self, data: bytes, policy: RootPolicy | None = None) -> Root:
        """Trust a root that nothing links to an earlier one (rule 1).

        Args:
            data: root.json, from the trust directory or, on first use, from the server.
            policy: Decides on first use; None for a root that was trusted before.

        Raises:
            VerificationError: It is not a valid root of this GUN.
            RootNotPinnedError: The policy refuses it.
        """
        if self._root is not None:
            raise RuntimeError("a root is trusted already")
        file = self._parse(data, roles.ROOT)
        root = Root.from_signed(file.signed, self.limits)
        self._require_own_threshold(root, file)
        if policy is not None:
            narrowed = self._narrowed(root)
            # A chain to a pinned authority is made of signatures too.
            self.root_checks.take(
                sum(key.public.count(b"-----BEGIN") for key in narrowed.signers(roles.ROOT))
            )
            if not policy.accepts(narrowed, file):
                raise refusals.not_pinned(self.gun, root, policy.explain(narrowed))
        return self._take_root(root, data)

    def signs(self, data: bytes) -> bool:
        """Tell whether the trusted root's keys signed this root: then no link between is needed (rule 2)."""
        file = self._parse(data, roles.ROOT)
        return self._met(self.root, file)

    def update_root(self, data: bytes) -> Root:
        """Trust a newer root by the chain of signatures (rules 2 and 3).

        What was verified with the old root is dropped: it is to be verified again.

        Raises:
            RootChangedError: The trusted root's keys did not sign it.
            RollbackError: It is older than the trusted one.
        """
        file = self._parse(data, roles.ROOT)
        root = Root.from_signed(file.signed, self.limits)
        if root.version < self.root.version:
            raise rollback(roles.ROOT, root.version, self.root.version)
        if not self._met(self.root, file):
            raise refusals.root_changed(self.gun, self.root, root)
        if root.version == self.root.version and file.canonical != self._canonical(roles.ROOT):
            raise refusals.root_changed(self.gun, self.root, root)
        self._require_own_threshold(root, file)
        self._timestamp = self._snapshot = None
        self.targets.clear()
        self.failures.clear()
        self.files.clear()
        self.paths.clear()
        self._held.clear()
        return self._take_root(root, data)

    def outdated_root(self) -> MetaFile | None:
        """Return what the snapshot says of the root if it is another one than ours (rule 5)."""
        named = self.snapshot.meta[roles.ROOT]
        return None if named.matches(self.files[roles.ROOT]) else named

    def update_timestamp(self, data: bytes) -> Timestamp:
        """Trust a timestamp (rules 6 and 8)."""
        _first_time(self._timestamp is None, roles.TIMESTAMP)
        file = self._parse(data, roles.TIMESTAMP)
        self._require_base(file, roles.TIMESTAMP)
        timestamp = Timestamp.from_signed(file.signed)
        self._require_floor(file, roles.TIMESTAMP)
        self._timestamp, self.files[roles.TIMESTAMP] = timestamp, data
        return timestamp

    def update_snapshot(self, data: bytes) -> Snapshot:
        """Trust the snapshot that the timestamp names (rules 6 to 8, and 10 for the timestamp)."""
        _first_time(self._snapshot is None, roles.SNAPSHOT)
        self._require_date(roles.TIMESTAMP, self.timestamp.expires)
        self.timestamp.snapshot.check(data, roles.SNAPSHOT)
        self._hold(roles.SNAPSHOT, data)
        file = self._parse(data, roles.SNAPSHOT)
        self._require_base(file, roles.SNAPSHOT)
        snapshot = Snapshot.from_signed(file.signed)
        self._require_floor(file, roles.SNAPSHOT)
        self._snapshot, self.files[roles.SNAPSHOT] = snapshot, data
        return snapshot

    def update_targets(self, data: bytes) -> Targets:
        """Trust the targets file that the snapshot names (rules 4 to 10)."""
        _first_time(not self.targets, roles.TARGETS)
        if self.outdated_root() is not None:
            raise RuntimeError("the root is not the one that the snapshot names")
        self._require_final_root()
        self._require_date(roles.SNAPSHOT, self.snapshot.expires)
        self.snapshot.meta[roles.TARGETS].check(data, roles.TARGETS)
        self._hold(roles.TARGETS, data)
        file = self._parse(data, roles.TARGETS)
        self._require_base(file, roles.TARGETS)
        targets = Targets.from_signed(file.signed, limits=self.limits)
        self._require_floor(file, roles.TARGETS)
        self._require_date(roles.TARGETS, targets.expires)
        self._floors.require_listed(targets, self.snapshot, self._checks)
        self._queue, self._passed = [], 0
        self._take_targets(roles.TARGETS, targets, data, ("",))
        return targets

    def pending(self) -> str | None:
        """Return the next delegation to load, breadth first; None when all are (rules 11, 13)."""
        most, levels = self.limits.delegations, self.limits.delegation_levels
        while self._passed < len(self._queue):
            role = self._queue[self._passed]
            if role not in self.targets and role not in self.failures:
                if self._passed < most and role.count("/") <= levels:
                    return role
                self.failures[role] = refusals.beyond(self.gun, role)
            self._passed += 1
        return None

    def skip_delegation(self, role: str, error: TrustError) -> None:
        """Record why a delegation's file is not even looked at (rule 12)."""
        self.failures[role] = error

    def update_delegation(self, role: str, data: bytes) -> None:
        """Trust a delegation's file, or record why not in `failures` (rules 11 and 12)."""
        _first_time(role not in self.targets and role not in self.failures, role)
        above = self.targets.get(roles.parent(role))
        delegation = above.delegation(role) if above else None
        if above is None or delegation is None or role not in self.snapshot.meta:
            raise RuntimeError(f"{role} is not delegated to, or not published")
        self.snapshot.meta[role].check(data, role)
        file = None
        try:
            self._hold(role, data)
            file = self._parse(data, role)
            keyids, checks = delegation.keyids, self._checks
            envelope.require_threshold(file, above.keys, keyids, delegation.threshold, role, budget=checks)
            targets = Targets.from_signed(file.signed, role, self.limits)
            self._require_date(role, targets.expires)
            self._floors.require_version(file, role, above.keys, keyids, checks)
            self._floors.require_listed(targets, self.snapshot, checks)
        except RollbackError:
            raise
        except TrustError as error:
            self._held.pop(role, None)
            error.facts["version"] = file.signed.get("version") if file else None
            self.failures[role] = error
            return
        paths = roles.narrowed(self.paths[roles.parent(role)], delegation.paths)
        self._take_targets(role, targets, data, roles.shortest(paths))

    def _parse(self, data: bytes, role: str) -> Envelope:
        return Envelope.parse(data, role, self.limits)

    def _hold(self, role: str, data: bytes) -> None:
        """Count what a file takes in memory; raise MetadataError for one that is too much (rule 13)."""
        size = canonical.memory(data)
        if sum(self._held.values()) + size > self.limits.memory_bytes:
            raise refusals.too_much(self.gun, role, self.limits.memory_bytes)
        self._held[role] = size

    def _take_targets(self, role: str, targets: Targets, data: bytes, paths: tuple[str, ...]) -> None:
        self.targets[role], self.files[role], self.paths[role] = targets, data, paths
        below = (delegation.name for delegation in targets.roles)
        self._queue += [name for name in below if name in self.snapshot.meta]

    def _take_root(self, root: Root, data: bytes) -> Root:
        self._root, self.files[roles.ROOT] = root, data
        return root

    def _canonical(self, role: str) -> bytes:
        return self._parse(self.files[role], role).canonical

    def _met(self, root: Root, file: Envelope) -> bool:
        usable = self._usable_root_keys(root, None)
        found = envelope.valid_keys(file, root.keys, usable, self.root_checks)
        return meets(found, root.roles[roles.ROOT].threshold)

    def _usable_root_keys(self, root: Root, now: datetime | None) -> list[str]:
        keyids = root.roles[roles.ROOT].keyids
        return [keyid for keyid in keyids if not certificates.problem(root.keys[keyid], self.gun, now)]

    def _narrowed(self, root: Root) -> Root:
        """Return the root with only those root keys that may vouch for this GUN."""
        usable = replace(root.roles[roles.ROOT], keyids=tuple(self._usable_root_keys(root, None)))
        return replace(root, roles={**root.roles, roles.ROOT: usable})

    def _require_own_threshold(self, root: Root, file: Envelope) -> None:
        usable = self._usable_root_keys(root, None)
        if not usable:
            reasons = {certificates.problem(key, self.gun, None) for key in root.signers(roles.ROOT)}
            raise VerificationError(
                f"the root of {self.gun} has no usable certificate",
                why=tuple(sorted(reasons)),
                role=roles.ROOT,
            )
        threshold = root.roles[roles.ROOT].threshold
        envelope.require_threshold(file, root.keys, usable, threshold, roles.ROOT, budget=self.root_checks)

    def _require_final_root(self) -> None:
        self._require_date(roles.ROOT, self.root.expires)
        file = self._parse(self.files[roles.ROOT], roles.ROOT)
        usable = self._usable_root_keys(self.root, self.now)
        signed = envelope.valid_keys(file, self.root.keys, usable)
        if not meets(signed, self.root.roles[roles.ROOT].threshold):
            reasons = {certificates.problem(key, self.gun, self.now) for key in self.root.signers(roles.ROOT)}
            raise ExpiredError(
                f"the root certificate of {self.gun} is out of date",
                why=tuple(sorted(reasons - {""})),
                advice=Advice("renew-root-certificate", gun=self.gun),
                role=roles.ROOT,
            )

    def _require_base(self, file: Envelope, role: str) -> None:
        assigned = self.root.roles[role]
        envelope.require_threshold(file, self.root.keys, assigned.keyids, assigned.threshold, role)

    def _require_date(self, role: str, expires: datetime) -> None:
        if expires <= self.now:
            raise refusals.expired(self.gun, role, expires)

    def _require_floor(self, file: Envelope, role: str) -> None:
        self._floors.require_version(file, role, self.root.keys, self.root.roles[role].keyids)


def _first_time(untouched: bool, role: str) -> None:  # noqa: FBT001 - reads as the sentence it is
    if not untouched:
        raise RuntimeError(f"{role} is trusted already, or was refused")
