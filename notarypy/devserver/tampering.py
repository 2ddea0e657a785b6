"""What an attacker, a broken server or a bad network does, done to a `Fake`.

What it is: the one place for it, so that attack tests read as what happened. What it is not: used by the
services themselves.

Rules:

1. Hooks apply to requests whose method and path match, as often as `times` says.
2. StoredFile files are changed without any check, and served as they are from then on. What the server signs
   is signed with its real keys: a thief of these keys can do no more than this.
3. What cannot be meant is a LookupError: a role that is none, a version or a repository that is not there, a
   signature for which the root names no key of this server.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from notarypy.devserver.calls import Call, form_parts
from notarypy.devserver.stores import StoredFile
from notarypy.errors import MetadataError, NetworkError, UnreachableError
from notarypy.remote.http.messages import Request, Response
from notarypy.tuf import canonical, roles
from notarypy.values import replace

if TYPE_CHECKING:
    from notarypy.devserver.core import After, Before, Fake

Change = Callable[[canonical.JsonObject], None]

UPLOAD = r".*/_trust/tuf/"
BLOB = r".*/blobs/sha256:[0-9a-f]{64}"
BLOB_UPLOAD = r".*/blobs/uploads/[0-9a-f]+"
ALWAYS = 1 << 30


def matcher(method: str, path: str, times: int) -> Callable[[Request], bool]:
    """Return what says so many times that a request is one of those meant (rule 1).

    `method` is "" for any, `path` a regular expression for the whole path.
    """
    pattern, seen = re.compile(path), itertools.count()

    def is_meant(request: Request) -> bool:
        if method not in ("", request.method) or pattern.fullmatch(_path(request)) is None:
            return False
        return next(seen) < times  # a count goes on in one step, whatever other threads do

    return is_meant


def _path(request: Request) -> str:
    return unquote(urlsplit(request.url).path)


class Tampering:
    """Misdeeds, done to one fake; what the server makes by itself stays as it was made."""

    def __init__(self, fake: Fake) -> None:
        """Work on `fake`; its Notary server stops renewing expired files, so that they can be served."""
        self._fake = fake
        self._notary = fake.notary
        self._notary.renews = False

    # -- the way to the server

    def _before(self, method: str, path: str, times: int, act: Before) -> None:
        meant = matcher(method, path, times)
        self._fake.before.append(lambda request: act(request) if meant(request) else None)

    def _after(self, method: str, path: str, times: int, act: After) -> None:
        meant = matcher(method, path, times)
        self._fake.after.append(lambda request, answer: act(request, answer) if meant(request) else answer)

    def answer(self, response: Response, *, method: str = "", path: str = ".*", times: int = ALWAYS) -> None:
        """Answer in the server's place; the server sees nothing of it."""
        self._before(method, path, times, lambda _: response)

    def drop_uploads(self, times: int = ALWAYS) -> None:
        """Answer updates with 200 and throw them away."""
        self.answer(Response(HTTPStatus.OK), method="POST", path=UPLOAD, times=times)

    def refuse_connections(self, *, method: str = "", path: str = ".*", times: int = ALWAYS) -> None:
        """Be unreachable: nothing was sent."""

        def refuse(request: Request) -> Response | None:
            raise UnreachableError("no connection", url=request.url)

        self._before(method, path, times, refuse)

    def lose_answers(self, *, method: str = "POST", path: str = UPLOAD, times: int = ALWAYS) -> None:
        """Break the connection after the server did what was asked."""

        def lose(request: Request, _answer: Response) -> Response:
            raise NetworkError("the connection was lost before the answer came", url=request.url)

        self._after(method, path, times, lose)

    def change_answers(
        self,
        change: Callable[[Response], Response],
        *,
        method: str = "",
        path: str = ".*",
        times: int = ALWAYS,
    ) -> None:
        """Let the server do what is asked, and say something else about it."""
        self._after(method, path, times, lambda _, answer: change(answer))

    def cut_uploads(self, after: int, *, path: str = BLOB_UPLOAD, times: int = 1) -> None:
        """Break the connection when so many bytes of a PATCH have arrived; the server keeps those."""

        def cut(request: Request) -> Response | None:
            call = Call.of(request)
            self._fake.registry.handle(replace(call, body=call.body[:after]))
            raise _lost(request)

        self._before("PATCH", path, times, cut)

    def cut_downloads(self, after: int, *, path: str = BLOB, times: int = 1) -> None:
        """Break the connection when so many bytes of a body have been received."""

        def cut(request: Request, answer: Response) -> Response:
            if request.sink is not None and answer.is_success:
                request.sink.begin(answer.status, answer.headers)(answer.body[:after])
            raise _lost(request)

        self._after("GET", path, times, cut)

    def before_upload(self, act: Callable[[], object], times: int = 1) -> None:
        """Do something when an update arrives, just before the server sees it; others publish that way."""

        def first(_request: Request) -> Response | None:
            act()
            return None

        self._before("POST", UPLOAD, times, first)

    def mangle_uploads(self, mangle: Callable[[str, bytes], bytes], times: int = ALWAYS) -> None:
        """Check and accept updates, then store `mangle(role, data)` for each posted file.

        Where the server holds the snapshot key, the repository is consistent afterwards.
        """
        meant = matcher("POST", UPLOAD, times)

        def hook(request: Request, response: Response) -> Response:
            if response.status == HTTPStatus.OK and meant(request):
                gun = _path(request)[len("/v2/") : -len("/_trust/tuf/")]
                parts = form_parts(request.headers["Content-Type"], Call.of(request).body)
                self._put(gun, {part.filename: mangle(part.filename, part.data) for part in parts})
                if self._notary.maker(gun).can_sign(roles.SNAPSHOT):
                    self.sign_snapshot(gun)
            return response

        self._fake.after.append(hook)

    def undo_hooks(self) -> None:
        """Take all hooks away."""
        self._fake.before.clear()
        self._fake.after.clear()

    # -- what lies on the server

    def current(self, gun: str, role: str) -> bytes:
        """Return the current file of a role."""
        data = self._notary.store.data(gun, role)
        if data is None:
            raise LookupError(f"{gun} has no {role}")
        return data

    def replace(self, gun: str, role: str, data: bytes) -> None:
        """Put other bytes in the place of a current file: by name, by version, and by its old hash."""
        _require_role(role)
        stored = self._notary.store.current(gun, role)
        self._notary.store.replace(gun, role, StoredFile(stored.version if stored else 1, data))

    def serve_version(self, gun: str, role: str, version: int) -> None:
        """Go back to an older version of a file; newer ones are gone."""
        if self._notary.store.numbered(gun, role, version) is None:
            raise LookupError(f"{gun} has no version {version} of {role}")
        self._notary.store.forget_above(gun, role, version)

    def delete(self, gun: str) -> None:
        """Lose a repository."""
        if not self._notary.store.roles(gun):
            raise LookupError(f"there is no {gun}")
        self._notary.store.delete(gun, self._notary.now())

    def publish(self, gun: str, files: Mapping[str, bytes]) -> None:
        """Store files by role without any check, and sign a snapshot and a timestamp that name them."""
        self._put(gun, files)
        self.sign_snapshot(gun)

    def sign_snapshot(self, gun: str, change: Change | None = None) -> None:
        """Sign the next snapshot of the current files, changed by `change`, and a timestamp for it."""
        files = {
            role: self.current(gun, role)
            for role in self._notary.store.roles(gun)
            if role not in (roles.SNAPSHOT, roles.TIMESTAMP)
        }
        made = self._notary.maker(gun).snapshot(self._notary.store.data(gun, roles.SNAPSHOT), files)
        self._put_changed(gun, roles.SNAPSHOT, made, change)
        self.sign_timestamp(gun)

    def sign_timestamp(self, gun: str, change: Change | None = None) -> None:
        """Sign the next timestamp, for the current snapshot, changed by `change`."""
        snapshot = self.current(gun, roles.SNAPSHOT)
        made = self._notary.maker(gun).timestamp(self._notary.store.data(gun, roles.TIMESTAMP), snapshot)
        self._put_changed(gun, roles.TIMESTAMP, made, change)

    def _put_changed(self, gun: str, role: str, made: StoredFile, change: Change | None) -> None:
        maker = self._notary.maker(gun)
        if not maker.can_sign(role):
            raise LookupError(f"the root of {gun} names no {role} key of this server")
        signed: canonical.JsonObject = canonical.decode(made.data)["signed"]
        if change:
            change(signed)
        self._put_newest(gun, role, StoredFile(signed["version"], maker.seal(role, signed)))

    def _put(self, gun: str, files: Mapping[str, bytes]) -> None:
        for role in files:
            _require_role(role)
        for role, data in files.items():
            version = _version(data, self._notary.store.current(gun, role))
            self._put_newest(gun, role, StoredFile(version, data))

    def _put_newest(self, gun: str, role: str, file: StoredFile) -> None:
        self._notary.store.replace(gun, role, file)
        self._notary.store.forget_above(gun, role, file.version)


def _lost(request: Request) -> NetworkError:
    return NetworkError("the connection was lost", url=request.url, reason="lost")


def _require_role(role: str) -> None:
    if role not in roles.BASE_ROLES and not roles.is_delegation(role):
        raise LookupError(f'there is no role "{role}"')


def _version(data: bytes, stored: StoredFile | None) -> int:
    try:
        version = canonical.decode(data)["signed"]["version"]
    except (MetadataError, KeyError, TypeError):
        version = None
    return version if isinstance(version, int) else stored.version if stored else 1
