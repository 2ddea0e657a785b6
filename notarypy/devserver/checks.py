"""Checking an update: what a Notary server insists on before it stores anything.

What it is: the checks of the real server, in its order, with its error names; and after them those of strict
mode, for what the real server accepts although nobody can read the repository afterwards. What it is not:
storage.

Rules:

1. At first a file need only be JSON whose `signed` part has a version and a date of the right types;
   everything else is judged later. To Go null is of every type.
2. A root has the current version or the next (the first: 1 or 2), is signed by the previous root's threshold
   and by its own, with certificates for the GUN, in date.
3. Targets files are checked shallow ones first, against the posted or stored file above: listed there,
   signed, well formed, in date. Target names are not looked at. Go reads targets that `tuf.metadata` refuses:
   any version from 1 on, any length, hashes of any size.
4. A posted snapshot is signed, in date, and has the hashes of the root and of every targets file that was
   looked at.
5. Stored files may be out of date.

Strict mode, so that a writer's mistake is seen at once:

6. Every posted file is in storage form: a server that makes the snapshot, and every Go client, hashes its own
   re-writing of root, targets and snapshot. `rewritten` is that re-writing.
7. Targets exist after the update, and are signed by the keys of its root.
8. A posted snapshot lists exactly the newest files, all of them uploaded.
9. Versions, lengths and hashes of targets are those that clients other than Go's read too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from notarypy.devserver.calls import FormPart, Refused
from notarypy.devserver.stores import StoredFile
from notarypy.errors import MetadataError, NotarypyError, VerificationError
from notarypy.limits import EXTENDED
from notarypy.tuf import canonical, certificates, roles
from notarypy.tuf.envelope import Envelope, seal, valid_keys
from notarypy.tuf.fields import MAX_VERSION, MetaFile, TargetFile, UnusableEntry, mapping, parse_time
from notarypy.tuf.keys import PublicKey, decode_base64, meets
from notarypy.tuf.metadata import Root, Snapshot, Targets
from notarypy.values import dataclass, field, replace

BAD_ROOT, BAD_TARGETS, BAD_SNAPSHOT = "ErrBadRoot", "ErrBadTargets", "ErrBadSnapshot"
BAD_HIERARCHY, VALIDATION = "ErrBadHierarchy", "ErrValidation"
_NAMES = {roles.ROOT: BAD_ROOT, roles.SNAPSHOT: BAD_SNAPSHOT}
_KINDS: dict[str, type[Root | Snapshot]] = {roles.ROOT: Root, roles.SNAPSHOT: Snapshot}
_NO_PATH = "could not validate the path to a trusted root: "
_INT64 = 2**63
_OFFSET = len("+00:00")
_UTC = {"+00:00": "Z", "-00:00": "Z"}


def read_part(part: FormPart) -> tuple[str, StoredFile]:
    """Take a part of an update for a role and its file, which is not checked yet (rule 1)."""
    role = part.filename.removesuffix(".json")
    if not role:
        raise Refused(400, "NO_FILENAME", "No file/role name provided.")
    if role not in roles.BASE_ROLES and not roles.is_delegation(role):
        raise Refused(400, "INVALID_ROLE", "The role you are attempting to operate on is invalid.", role)
    try:
        return role, StoredFile(_version(part.data), part.data)
    except (ValueError, RecursionError, MetadataError):
        text = "JSON sent by the client could not be parsed by the server"
        raise Refused(400, "MALFORMED_JSON", text) from None


def _version(data: bytes) -> int:
    value, _ = json.JSONDecoder().raw_decode(data.decode().lstrip())
    signed = mapping(mapping(value, "the file").get("signed"), "its signed part")
    version, expires = signed.get("version"), signed.get("expires")
    if expires is not None:
        parse_time(expires, "")
    if version is None:
        return 0
    if type(version) is not int or not -_INT64 <= version < _INT64:
        raise MetadataError("the version is no number that Go can hold")
    return version


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


@dataclass
class Update:
    """One update on its way through the checks.

    Attributes:
        gun: The repository.
        now: The moment that dates are compared with.
        posted: The uploads by role.
        stored: Returns a role's current file.
        files: Root and targets files that were looked at, posted or stored.
        targets: The targets files among them as values.
        snapshot: The posted snapshot, if there is one.
        root: The root under which the repository will be; set by `check`.
    """

    gun: str
    now: datetime
    posted: Mapping[str, StoredFile]
    stored: Callable[[str], bytes | None]
    files: dict[str, Envelope] = field(default_factory=dict)
    targets: dict[str, Targets] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    root: Root = field(init=False)

    def check(self) -> None:
        """Raise Refused unless the real server would accept the posted files (rules 2 to 5)."""
        self._check_root()
        for role in sorted(self.posted_targets(), key=lambda name: (name.count("/"), name)):
            with blaming(BAD_TARGETS):
                self._load_ancestors(role)
                self.load(role, self.posted[role].data)
        if roles.SNAPSHOT in self.posted:
            with blaming(BAD_SNAPSHOT):
                signed = self._signed(roles.SNAPSHOT, self.posted[roles.SNAPSHOT].data).signed
                self.snapshot = Snapshot.from_signed(signed)
                _require_in_date(roles.SNAPSHOT, self.snapshot.expires, self.now)
                for role, listed in self.files.items():  # rule 4
                    _check_hashes(self.snapshot.meta.get(role), listed.raw, role)

    def posted_targets(self) -> list[str]:
        """Return the posted roles that are targets or delegations."""
        return [role for role in self.posted if role == roles.TARGETS or roles.is_delegation(role)]

    # -- rule 2

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

    def _load_root(self, posted: StoredFile, previous: Root | None) -> None:
        current = previous.version if previous else 1
        if posted.version not in (current, current + 1):
            versions = f"Current {current}, new {posted.version}"
            raise VerificationError(f"Root modifications must increment the version. {versions}")
        file = Envelope.parse(posted.data, roles.ROOT)
        root = Root.from_signed(file.signed)
        if not certificates.usable(root, self.gun, self.now):
            raise VerificationError(f"{_NO_PATH}unable to retrieve valid leaf certificates")
        if previous and not certificates.signed(previous, file, self.gun):
            why = "failed to validate data with current trusted certificates"
            raise VerificationError(f"could not rotate trust to a new trusted root: {why}")
        if not certificates.signed(root, file, self.gun, self.now):
            raise VerificationError(f"{_NO_PATH}failed to validate integrity of roots")
        _require_in_date(roles.ROOT, root.expires, self.now)
        self.root, self.files[roles.ROOT] = root, file

    # -- rule 3

    def _load_ancestors(self, role: str) -> None:
        parts = role.split("/")
        for ancestor in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            data = None if ancestor in self.targets else self.stored(ancestor)
            if data is not None:
                self.load(ancestor, data, may_be_expired=True)

    def load(self, role: str, data: bytes, *, may_be_expired: bool = False) -> None:
        """Check a targets file or a delegation's and keep it; raise VerificationError."""
        file = self._signed(role, data)
        value = _targets(file.signed, role)
        if not may_be_expired:
            _require_in_date(role, value.expires, self.now)
        self.files[role], self.targets[role] = file, value

    def _signed(self, role: str, data: bytes) -> Envelope:
        keys, keyids, threshold = self._assigned(role)
        file = Envelope.parse(data, role, EXTENDED)
        if not meets(valid_keys(file, keys, keyids), threshold):
            raise VerificationError(f"valid signatures did not meet threshold for {role}")
        return file

    def _assigned(self, role: str) -> tuple[Mapping[str, PublicKey], Sequence[str], int]:
        if role in roles.BASE_ROLES:
            assigned = self.root.roles[role]
            return self.root.keys, assigned.keyids, assigned.threshold
        above = self.targets.get(roles.parent(role))
        entry = above.delegation(role) if above else None
        if above is None or entry is None:
            raise VerificationError(f"tuf: invalid role {role}. delegation does not exist")
        return above.keys, entry.keyids, entry.threshold


def _require_in_date(role: str, expires: datetime, now: datetime) -> None:
    if expires < now:
        moment = time.strftime("%a %b %d %H:%M:%S UTC %Y", expires.utctimetuple())
        raise VerificationError(f"{role} expired at {moment}")


def _check_hashes(entry: MetaFile | None, data: bytes, role: str) -> None:
    if entry is None:
        raise MetadataError(f"no checksums for supported algorithms were provided for {role}")
    for name, wanted in MetaFile.of(data).hashes.items():
        if entry.hashes.get(name, wanted) != wanted:
            found = entry.hashes[name].hex()
            raise VerificationError(f"{name} checksum for {role} did not match: expected {found}")


def check_strictly(update: Update) -> None:
    """Raise Refused for an update that passed the real server's checks and does harm (rules 6 to 9)."""
    for role in (*update.files, roles.SNAPSHOT):
        if role in update.posted:
            with blaming(_NAMES.get(role, BAD_TARGETS)):
                file = Envelope.parse(update.posted[role].data, role, EXTENDED)
                if role not in _NAMES:
                    _require_usable(Targets.from_signed(file.signed, role, EXTENDED), role)
                if rewritten(file, role) != file.raw:
                    why = "hashes of it would not fit what Go programs make of it"
                    raise VerificationError(f"{role} is not in storage form: {why}")
    _check_targets_exist(update)
    with blaming(BAD_SNAPSHOT):
        for role, entry in (update.snapshot.meta if update.snapshot else {}).items():
            data = update.posted[role].data if role in update.posted else update.stored(role)
            if data is None or not entry.matches(data):
                text = f"snapshot lists a {role} that was never uploaded or is not the newest"
                raise VerificationError(text)


def _require_usable(value: Targets, role: str) -> None:
    for entry in value.targets.values():
        if isinstance(entry, UnusableEntry):
            raise MetadataError(entry.why, role=role)


def _check_targets_exist(update: Update) -> None:
    if roles.TARGETS in update.targets:
        return
    data = update.stored(roles.TARGETS)
    if data is None:
        raise invalid(VALIDATION, "there are no targets: targets must be loaded first")
    with blaming(BAD_TARGETS):
        update.load(roles.TARGETS, data, may_be_expired=True)


def _targets(signed: canonical.JsonObject, role: str) -> Targets:
    """Read the signed part of a targets file as Go does (rule 3); raise MetadataError."""
    version = signed.get("version")
    beyond = version if isinstance(version, int) and version > MAX_VERSION else None
    plain = {**signed, "targets": {}, "version": MAX_VERSION if beyond else version}
    value = Targets.from_signed(plain, role, EXTENDED)
    listed = mapping(signed.get("targets"), f"targets of {role}")
    entries = {name: _entry(entry, f"a target of {role}") for name, entry in listed.items()}
    return replace(value, version=beyond or value.version, targets=entries)


def _entry(value: object, what: str) -> TargetFile:
    entry = mapping(value, what)
    length = entry.get("length", 0)
    if type(length) is not int:
        raise MetadataError(f"{what} has no usable length")
    hashes = mapping(entry.get("hashes"), f"hashes of {what}")
    decoded = {name: decode_base64(text, f"a hash of {what}") for name, text in hashes.items()}
    return TargetFile(length, decoded, entry.get("custom"))


def rewritten(file: Envelope, role: str) -> bytes:
    """Return the bytes that a Go program makes of a file it has read (rule 6); MetadataError if it cannot."""
    kind = _KINDS.get(role)
    signed = (kind.from_signed(file.signed) if kind else _targets(file.signed, role)).to_signed()
    signed["expires"] = _date(file.signed["expires"])
    if role == roles.ROOT:
        signed["consistent_snapshot"] = file.signed.get("consistent_snapshot", False)
    elif "delegations" in signed and (file.signed.get("delegations") or {}).get("roles") is None:
        signed["delegations"]["roles"] = None
    return seal(signed, file.signatures)


def _date(text: str) -> str:
    zone = "Z" if text.endswith("Z") else text[-_OFFSET:]
    moment = text.removesuffix(zone)
    if "." in moment:
        moment = moment.rstrip("0").rstrip(".")
    return moment + _UTC.get(zone, zone)
