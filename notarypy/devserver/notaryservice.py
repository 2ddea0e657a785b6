"""The Notary server: its HTTP interface over storage, keys and checks, and the files it signs itself.

What it is: version 1 of the Notary server's interface, for tests and demonstrations. What it is not: for
production; its keys are unprotected and nobody is asked who they are.

Rules:

1. One update at a time: what it is checked against cannot change before it is stored.
2. An update is answered with 200 only when all of it is stored.
3. A timestamp past its date is made anew when somebody asks for it, as is a snapshot of the server's.
4. A snapshot keeps the entries of the one before, also those of delegations that nobody lists any longer, and
   gets new ones for the files at hand.
5. A snapshot's or timestamp's version is one above the previous file's, whoever signed that. It is made only
   when keys of this server meet the role's threshold.
"""

from __future__ import annotations

import json
import posixpath
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from notarypy.devserver import checks
from notarypy.devserver.calls import JSON_TYPE, Call, Refused, Routes, form_parts
from notarypy.devserver.checks import BAD_HIERARCHY, BAD_ROOT, VALIDATION, Update, invalid, rewritten
from notarypy.devserver.stores import MetadataStore, OldVersionError, ServerKeys, StoredFile
from notarypy.errors import MetadataError
from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.keys import PublicKey, meets
from notarypy.tuf.metadata import Root, Snapshot, Timestamp
from notarypy.values import dataclass

_TEXT = {"content-type": "text/plain; charset=utf-8"}
_NOT_FOUND = ("METADATA_NOT_FOUND", "You have requested metadata that does not exist.")
_NO_SNAPSHOT = (
    "no snapshot was included in update and server does not hold current snapshot key for repository"
)
_TUF = r"/v2/(?P<gun>[^*]+)/_trust/tuf/"
_ROLE = r"(?P<role>root|targets(?:/[^/\s]+)*|snapshot|timestamp)"
_SERVER_ROLE = r"(?P<role>snapshot|timestamp)\.key"
SNAPSHOT_LIFE = timedelta(days=3 * 365)
TIMESTAMP_LIFE = timedelta(days=14)


@dataclass(frozen=True)
class Maker:
    """Makes the server's files for one repository under one root, at one moment."""

    keys: ServerKeys
    root: Root
    now: datetime

    def can_sign(self, role: str) -> bool:
        """Return whether this server's keys meet a role's threshold (rule 5)."""
        found = self.keys.available(self.root.signers(role))
        return meets((key.canonical_id for key in found), self.root.roles[role].threshold)

    def seal(self, role: str, signed: canonical.JsonObject) -> bytes:
        """Sign anything as a role."""
        return self.keys.seal(signed, self.root.signers(role))

    def snapshot(self, previous: bytes | None, files: Mapping[str, bytes]) -> StoredFile:
        """Make the next snapshot, with entries for `files` by role (rules 4 and 5)."""
        old = Snapshot.from_signed(Envelope.parse(previous, roles.SNAPSHOT).signed) if previous else None
        meta = {**(old.meta if old else {}), **{role: MetaFile.of(data) for role, data in files.items()}}
        value = Snapshot(old.version + 1 if old else 1, self.now + SNAPSHOT_LIFE, meta)
        return StoredFile(value.version, self.seal(roles.SNAPSHOT, value.to_signed()))

    def timestamp(self, previous: bytes | None, snapshot: bytes) -> StoredFile:
        """Make the next timestamp, for this snapshot (rule 5)."""
        old = Timestamp.from_signed(Envelope.parse(previous, roles.TIMESTAMP).signed) if previous else None
        value = Timestamp(old.version + 1 if old else 1, self.now + TIMESTAMP_LIFE, MetaFile.of(snapshot))
        return StoredFile(value.version, self.seal(roles.TIMESTAMP, value.to_signed()))


class NotaryService:
    """A Notary server without a network: `store` has what was published, `keys` sign what it makes.

    `strict` refuses what the real server accepts to everybody's harm; `renews` says whether rule 3 holds: a
    test that wants an expired file served turns it off. With `database` a role's file is refused that the
    snapshot does not list, as by a server that keeps its files in a database.
    """

    def __init__(
        self, clock: Callable[[], datetime], store: MetadataStore, keys: ServerKeys, *, strict: bool = True
    ) -> None:
        """Serve what `store` and `keys` hold, with the time from `clock()`."""
        self.keys, self.store, self.now = keys, store, clock
        self.strict, self.renews, self.database = strict, True, False
        self._lock = threading.RLock()
        self._routes = Routes(
            ("GET", "/v2/", lambda _: Response(200, _TEXT, b"{}")),
            ("GET", "/_notary_server/health", lambda _: Response(200, {"content-type": JSON_TYPE}, b"{}")),
            ("GET", r"/v2/(?:(?P<gun>[^*]+)/)?_trust/changefeed", self._changefeed),
            ("POST", _TUF, self._update),
            ("DELETE", _TUF, self._delete),
            ("GET", rf"{_TUF}{_ROLE}\.(?P<sha256>[a-f0-9]{{64}})\.json", self._by_hash),
            ("GET", rf"{_TUF}(?P<version>[0-9]+)\.{_ROLE}\.json", self._by_version),
            ("GET", rf"{_TUF}{_ROLE}\.json", self._current),
            ("GET", f"{_TUF}{_SERVER_ROLE}", self._key),
            ("POST", f"{_TUF}{_SERVER_ROLE}", lambda _, **role: _key_document(self.keys.create(**role))),
        )

    def handle(self, call: Call) -> Response:
        """Return the answer to a call."""
        clean = "/" + posixpath.normpath("/" + call.path).lstrip("/")
        if call.path.endswith("/") and clean != "/":
            clean += "/"
        if clean != call.path:  # the real server's router redirects too
            return Response(301, {"location": clean})
        if call.method not in {"GET", "POST", "PUT", "HEAD", "DELETE"}:
            return Response(405)
        try:
            with self._lock:
                answer = self._routes.answer(call)
            return answer or Refused(404, *_NOT_FOUND).response
        except Refused as refused:
            return refused.response
        except MetadataError as error:
            # Only tampering brings unreadable files into the store.
            return Refused(500, "UNKNOWN", "unknown error", error.message).response

    def maker(self, gun: str) -> Maker:
        """Return what signs as this server under a repository's current root; LookupError without one."""
        root = self._current_root(gun)
        if root is None:
            raise LookupError(f"{gun} has no root")
        return Maker(self.keys, root, self.now())

    # -- reading

    def _current(self, _call: Call, gun: str, role: str) -> Response:
        if self.renews and role in (roles.SNAPSHOT, roles.TIMESTAMP):
            self._renew(gun)
        snapshot = (
            self.store.data(gun, roles.SNAPSHOT) if self.database and roles.is_delegation(role) else None
        )
        if snapshot and role not in Snapshot.from_signed(Envelope.parse(snapshot, role).signed).meta:
            raise Refused(500, "UNKNOWN", "unknown error")
        return _file(self.store.current(gun, role))

    def _by_hash(self, _call: Call, gun: str, role: str, sha256: str) -> Response:
        return _file(self.store.by_hash(gun, role, sha256))

    def _by_version(self, _call: Call, gun: str, role: str, version: str) -> Response:
        return _file(self.store.numbered(gun, role, int(version)))

    def _key(self, _call: Call, gun: str, role: str) -> Response:
        root = self._current_root(gun)
        named = self.keys.available(root.signers(role)) if root else []
        return _key_document((named or [self.keys.offered(gun, role)])[0])

    def _changefeed(self, call: Call, gun: str | None) -> Response:
        records, after = call.query.get("records", ""), call.query.get("change_id") or "0"
        try:
            page = self.store.changes(gun, int(records), int(after))
        except ValueError:
            text = "The parameters provided are not valid."
            detail = f"records and change_id are numbers, not {records!r} and {after!r}"
            raise Refused(400, "INVALID_PARAMETERS", text, detail) from None
        body = json.dumps({"count": len(page or ()), "records": page}, separators=(",", ":"))
        return Response(200, _TEXT, body.encode())

    # -- changing

    def _delete(self, _call: Call, gun: str) -> Response:
        self.store.delete(gun, self.now())
        return Response(200)

    def _update(self, call: Call, gun: str) -> Response:
        try:
            parts = form_parts(call.headers.get("content-type", ""), call.body)
        except ValueError:
            raise Refused(400, "MALFORMED_UPLOAD", "The body of your request is malformed.") from None
        posted = dict(map(checks.read_part, parts))  # of a role that is there twice the last one
        update = Update(gun, self.now(), posted, partial(self.store.data, gun))
        update.check()
        if self.strict:
            checks.check_strictly(update)
        files = {role: file for role, file in update.posted.items() if role != roles.TIMESTAMP}
        maker = Maker(self.keys, update.root, update.now)
        if roles.SNAPSHOT not in files:
            files[roles.SNAPSHOT] = self._make_snapshot(update, maker)
        if not maker.can_sign(roles.TIMESTAMP):
            raise invalid(BAD_ROOT, "no  timestamp keys exist on the server")
        snapshot = rewritten(Envelope.parse(files[roles.SNAPSHOT].data, roles.SNAPSHOT), roles.SNAPSHOT)
        files[roles.TIMESTAMP] = maker.timestamp(self.store.data(gun, roles.TIMESTAMP), snapshot)
        try:
            self.store.update(gun, files, update.now)
        except OldVersionError:
            raise Refused(400, "VERSION", "A newer version of metadata is already available.", {}) from None
        return Response(200)

    def _make_snapshot(self, update: Update, maker: Maker) -> StoredFile:
        previous = self.store.data(update.gun, roles.SNAPSHOT)
        if previous is None and roles.TARGETS not in update.targets:
            raise invalid(VALIDATION, "targets must be loaded first")
        if not maker.can_sign(roles.SNAPSHOT):
            raise invalid(BAD_HIERARCHY, _NO_SNAPSHOT, Missing=roles.SNAPSHOT)
        return maker.snapshot(previous, {role: rewritten(file, role) for role, file in update.files.items()})

    def _renew(self, gun: str) -> None:
        """Make a timestamp, and a snapshot of the server's, anew when they are past their date (rule 3)."""
        stamped, snapshot = self.store.current(gun, roles.TIMESTAMP), self.store.current(gun, roles.SNAPSHOT)
        root = self._current_root(gun)
        if stamped is None or snapshot is None or root is None:
            return
        now = self.now()
        maker = Maker(self.keys, root, now)
        files: dict[str, StoredFile] = {}
        if _expired(snapshot, Snapshot, now) and maker.can_sign(roles.SNAPSHOT):
            files[roles.SNAPSHOT] = snapshot = maker.snapshot(snapshot.data, {})
        if (files or _expired(stamped, Timestamp, now)) and maker.can_sign(roles.TIMESTAMP):
            if root.expires < now:
                raise Refused(500, "UNKNOWN", "unknown error", "the root is past its date")
            files[roles.TIMESTAMP] = maker.timestamp(stamped.data, snapshot.data)
            self.store.update(gun, files, now)

    def _current_root(self, gun: str) -> Root | None:
        data = self.store.data(gun, roles.ROOT)
        return Root.from_signed(Envelope.parse(data, roles.ROOT).signed) if data else None


def _expired(stored: StoredFile, kind: type[Snapshot | Timestamp], now: datetime) -> bool:
    return kind.from_signed(Envelope.parse(stored.data, kind.__name__).signed).expires < now


def _file(stored: StoredFile | None) -> Response:
    if stored is None:
        raise Refused(404, *_NOT_FOUND, {})
    return Response(200, _TEXT, stored.data)


def _key_document(key: PublicKey) -> Response:
    return Response(200, _TEXT, json.dumps(key.to_json(), separators=(",", ":")).encode())
