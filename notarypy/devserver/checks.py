"""Checking an update: what a Notary server insists on before it stores anything.

What it is: the checks of the real server, in its order, with its error names.
What it is not: the additional ones of strict mode (`strictness`), or storage.

Rules:

1. A root has the current version or the next (the first: 1 or 2), is signed by the
   previous root's threshold and by its own, with certificates for the GUN, in date.
2. Targets files are checked shallow ones first, against the posted or stored file
   above: listed there, signed, well formed, in date. Target names are not looked at.
3. A posted snapshot is signed, in date, and has the hashes of the root and of every
   targets file that was looked at.
4. Stored files may be out of date.

What the real server accepts although nobody can read the repository afterwards.

What it is: the checks that strict mode adds, each with a text that says why. What
it is not: needed by a reader; they exist so that a writer's mistake is seen at once.

Rules:

5. Every posted file is in storage form: a server that makes the snapshot, and every
   Go client, hashes its own re-writing of the file.
6. Targets exist after the update, and are signed by the keys of its root.
7. A posted snapshot lists exactly the newest files, all of them uploaded.
8. The first version of a targets file is 1, or 2 as Go's first publish has it.
9. Versions, lengths and hashes of targets are those that clients other than Go's read too.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from notarypy.devserver import upload
from notarypy.devserver.calls import Refused
from notarypy.devserver.upload import rewritten
from notarypy.errors import MetadataError, NotarypyError, VerificationError
from notarypy.tuf import certificates, roles
from notarypy.tuf.envelope import Envelope, valid_keys
from notarypy.tuf.keys import meets
from notarypy.tuf.metadata import MetaFile, Root, Snapshot, Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from notarypy.devserver.upload import Upload
    from notarypy.tuf.keys import PublicKey

BAD_ROOT, BAD_TARGETS, BAD_SNAPSHOT = "ErrBadRoot", "ErrBadTargets", "ErrBadSnapshot"
BAD_HIERARCHY, VALIDATION = "ErrBadHierarchy", "ErrValidation"
_NO_PATH = "could not validate the path to a trusted root: "


def invalid(name: str, text: str, **more: str) -> Refused:
    """Return the refusal of an update that was understood and is wrong."""
    detail = {"Name": name, "Error": {**more, "Msg": text}}
    return Refused(400, "INVALID_UPDATE", "Update sent by the client is invalid.", detail)


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Turn a failed check into a refusal that names the kind of file at fault."""
    try:
        yield
    except NotarypyError as error:
        raise invalid(name, ": ".join((error.message, *error.why))) from None


class Update:
    """One update on its way through the checks.

    Attributes:
        posted: The uploads by role.
        root: The root under which the repository will be; set by `check`.
        files: Root and targets files that were looked at, posted or stored.
        targets: The targets files among them as values.
        snapshot: The posted snapshot, if there is one.
    """

    root: Root

    def __init__(
        self, gun: str, now: datetime, posted: Mapping[str, Upload], stored: Callable[[str], bytes | None]
    ) -> None:
        """Prepare to check.

        Args:
            gun: The repository.
            now: The moment that dates are compared with.
            posted: The uploads by role.
            stored: Returns a role's current file.
        """
        self.gun = gun
        self.now = now
        self.posted = posted
        self.stored = stored
        self.files: dict[str, Envelope] = {}
        self.targets: dict[str, Targets] = {}
        self.snapshot: Snapshot | None = None

    def check(self) -> None:
        """Raise Refused unless the real server would accept the posted files (rules 1 to 4)."""
        self._check_root()
        for role in sorted(self.posted_targets(), key=lambda name: (name.count("/"), name)):
            with blaming(BAD_TARGETS):
                self._load_ancestors(role)
                self.load(role, self.posted[role].data)
        if roles.SNAPSHOT in self.posted:
            with blaming(BAD_SNAPSHOT):
                self._check_snapshot(self.posted[roles.SNAPSHOT].data)

    def posted_targets(self) -> list[str]:
        """Return the posted roles that are targets or delegations."""
        return [role for role in self.posted if role == roles.TARGETS or roles.is_delegation(role)]

    # -- rule 1

    def _check_root(self) -> None:
        data, posted = self.stored(roles.ROOT), self.posted.get(roles.ROOT)
        previous = Envelope.parse(data, roles.ROOT) if data else None
        if posted:
            with blaming(BAD_ROOT):
                self._load_root(posted, Root.from_signed(previous.signed) if previous else None)
        elif previous:
            self.root, self.files[roles.ROOT] = Root.from_signed(previous.signed), previous
        else:
            raise invalid(VALIDATION, "no pre-existing root and no root provided in update.")

    def _load_root(self, posted: Upload, previous: Root | None) -> None:
        current = previous.version if previous else 1
        if posted.version not in (current, current + 1):
            raise VerificationError(
                f"Root modifications must increment the version. Current {current}, new {posted.version}"
            )
        file = Envelope.parse(posted.data, roles.ROOT)
        root = Root.from_signed(file.signed)
        self._check_root_signatures(file, root, previous)
        in_date(roles.ROOT, root.expires, self.now)
        self.root, self.files[roles.ROOT] = root, file

    def _check_root_signatures(self, file: Envelope, root: Root, previous: Root | None) -> None:
        certified = _certified(root, self.gun, self.now)
        if not certified:
            raise VerificationError(f"{_NO_PATH}unable to retrieve valid leaf certificates")
        if previous and not _met(file, previous, _certified(previous, self.gun, None)):
            raise VerificationError(
                "could not rotate trust to a new trusted root: "
                "failed to validate data with current trusted certificates"
            )
        if not _met(file, root, certified):
            raise VerificationError(f"{_NO_PATH}failed to validate integrity of roots")

    # -- rule 2

    def _load_ancestors(self, role: str) -> None:
        parts = role.split("/")
        for ancestor in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            data = None if ancestor in self.targets else self.stored(ancestor)
            if data is not None:
                self.load(ancestor, data, may_be_expired=True)

    def load(self, role: str, data: bytes, *, may_be_expired: bool = False) -> None:
        """Check a targets file or a delegation's and keep it; raise VerificationError."""
        keys, keyids, threshold = self._assigned(role)
        file = Envelope.parse(data, role)
        require_signatures(file, keys, keyids, threshold, role)
        value = upload.targets(file.signed, role)
        if not may_be_expired:
            in_date(role, value.expires, self.now)
        self.files[role], self.targets[role] = file, value

    def _assigned(self, role: str) -> tuple[Mapping[str, PublicKey], Sequence[str], int]:
        if role == roles.TARGETS:
            assigned = self.root.roles[role]
            return self.root.keys, assigned.keyids, assigned.threshold
        above = self.targets.get(roles.parent(role))
        entry = above.delegation(role) if above else None
        if above is None or entry is None:
            raise VerificationError(f"tuf: invalid role {role}. delegation does not exist")
        return above.keys, entry.keyids, entry.threshold

    # -- rule 3

    def _check_snapshot(self, data: bytes) -> None:
        assigned = self.root.roles[roles.SNAPSHOT]
        file = Envelope.parse(data, roles.SNAPSHOT)
        require_signatures(file, self.root.keys, assigned.keyids, assigned.threshold, roles.SNAPSHOT)
        snapshot = Snapshot.from_signed(file.signed)
        in_date(roles.SNAPSHOT, snapshot.expires, self.now)
        for role, listed in self.files.items():
            _check_hashes(snapshot.meta.get(role), listed.raw, role)
        self.snapshot = snapshot


def require_signatures(
    file: Envelope, keys: Mapping[str, PublicKey], keyids: Sequence[str], threshold: int, role: str
) -> None:
    """Raise VerificationError unless a threshold of keys signed."""
    if not meets(valid_keys(file, keys, keyids), threshold):
        raise VerificationError(f"valid signatures did not meet threshold for {role}")


def in_date(role: str, expires: datetime, now: datetime) -> None:
    """Raise VerificationError for a file past its date."""
    if expires < now:
        moment = time.strftime("%a %b %d %H:%M:%S UTC %Y", expires.utctimetuple())
        raise VerificationError(f"{role} expired at {moment}")


def _certified(root: Root, gun: str, now: datetime | None) -> list[str]:
    assigned = root.roles[roles.ROOT].keyids
    return [keyid for keyid in assigned if not certificates.problem(root.keys[keyid], gun, now)]


def _met(file: Envelope, root: Root, keyids: list[str]) -> bool:
    return meets(valid_keys(file, root.keys, keyids), root.roles[roles.ROOT].threshold)


def _check_hashes(entry: MetaFile | None, data: bytes, role: str) -> None:
    if entry is None:
        raise MetadataError(f"no checksums for supported algorithms were provided for {role}")
    for name, wanted in MetaFile.of(data).hashes.items():
        if entry.hashes.get(name, wanted) != wanted:
            raise VerificationError(
                f"{name} checksum for {role} did not match: expected {entry.hashes[name].hex()}"
            )


FIRST_VERSIONS = (1, 2)
_NAMES = {roles.ROOT: BAD_ROOT, roles.SNAPSHOT: BAD_SNAPSHOT}


def check(update: Update) -> None:
    """Raise Refused for an update that passed the real server's checks and does harm."""
    for role in (*update.files, roles.SNAPSHOT):
        if role in update.posted:
            with blaming(_NAMES.get(role, BAD_TARGETS)):
                _check_form(role, update.posted[role].data)
    _check_targets(update)
    for role in update.posted_targets():
        if update.stored(role) is None and update.posted[role].version not in FIRST_VERSIONS:
            text = f"the first version of {role} is {update.posted[role].version}, not 1 or 2"
            raise invalid(BAD_TARGETS, text)
    with blaming(BAD_SNAPSHOT):
        _check_snapshot(update)


def _check_form(role: str, data: bytes) -> None:
    file = Envelope.parse(data, role)
    if role not in _NAMES:
        Targets.from_signed(file.signed, role)
    if rewritten(file, role) != data:
        raise VerificationError(
            f"{role} is not in storage form: hashes of it would not fit what Go programs make of it"
        )


def _check_targets(update: Update) -> None:
    if roles.TARGETS in update.targets:
        return
    data = update.stored(roles.TARGETS)
    if data is None:
        raise invalid(VALIDATION, "there are no targets: targets must be loaded first")
    with blaming(BAD_TARGETS):
        update.load(roles.TARGETS, data, may_be_expired=True)


def _check_snapshot(update: Update) -> None:
    for role, entry in (update.snapshot.meta if update.snapshot else {}).items():
        data = update.posted[role].data if role in update.posted else update.stored(role)
        if data is None or not entry.matches(data):
            raise VerificationError(f"snapshot lists a {role} that was never uploaded or is not the newest")
