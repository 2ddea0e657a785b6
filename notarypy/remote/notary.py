"""The HTTP interface of a Notary server: bytes of metadata in and out.

Nothing here is verified, and no answer is remembered: who asks decides whether to believe it. Rules:

1. A server lets caches keep its answers for minutes. What is asked for `fresh` comes from the server itself:
   some caches obey the header of a request, others keep one answer for each query, which servers ignore.
2. "There is no trust data" is a Notary server's answer, and nobody else's. It has a code of its own; with
   another 404 the server is asked for what Notary servers alone have, the key that it offers for a role. Web
   pages and redirects are no answer of a Notary server either, and neither is what has no signatures, for
   who knows no trusted data of the repository yet. Whoever answers in a server's place could as well answer
   nothing: that this is no alarm takes nothing from anybody.
3. Go's server answers any path at all with that code, so an address with a path is always looked at.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from notarypy.errors import (
    Advice,
    AuthenticationError,
    InvalidNameError,
    NetworkError,
    NotFoundError,
    NotNotaryError,
    RefusedUpdateError,
    ServerError,
)
from notarypy.limits import DEFAULT
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response, is_json, json_object
from notarypy.remote.http.transport import Exchange, RequestPolicy
from notarypy.remote.http.urls import host_port

_REFUSALS = frozenset({400, 409, 413, 422})
_NOT_FOUND = "METADATA_NOT_FOUND"
_LOG = logging.getLogger(__name__)
READ, WRITE, ADMIN = "pull", "push,pull", "*"


class NotaryClient:
    """One Notary server, at `https://host[:port][/prefix]`.

    `source` is the setting that names it, for error texts; empty if it is only derived from an image's name.
    A `notice` says more about it than that. `registry` is whose trust data it keeps, its own name if "".
    """

    def __init__(
        self, exchange: Exchange, base_url: str, source: str = "", notice: str = "", registry: str = ""
    ) -> None:
        self._exchange, self.url = exchange, base_url.rstrip("/")
        self._source, self._notice = source, notice
        self.host = host_port(self.url)
        self._registry = registry or self.host
        self._is_known = False

    def connect(self) -> None:
        """Open a connection for a request to come; nothing is asked by it."""
        self._exchange.connect(self.url)

    def get(self, gun: str, role: str, limit: int | None = None, *, fresh: bool = False) -> bytes:
        """Return the current metadata of a role; raise NotFoundError if the server has none."""
        return self._read(gun, f"{role}.json", READ, limit, fresh=fresh)

    def get_by_hash(
        self, gun: str, role: str, sha256_hex: str, limit: int | None = None, *, fresh: bool = False
    ) -> bytes:
        """Return the metadata of a role that has this sha256, 64 lower-case hex digits."""
        return self._read(gun, f"{role}.{sha256_hex}.json", READ, limit, fresh=fresh)

    def get_version(
        self, gun: str, role: str, version: int, limit: int | None = None, *, fresh: bool = False
    ) -> bytes:
        """Return one version of a role's metadata."""
        return self._read(gun, f"{version}.{role}.json", READ, limit, fresh=fresh)

    def changes(self, gun: str, after: int, most: int) -> bytes:
        """Return a page of the server's feed of changes, as JSON: at most so many behind a change's number.

        Oldest first; no answer of it is signed. NotFoundError: this server keeps none.
        """
        return self._read(gun, "changefeed", READ, None, f"records={most}&change_id={after}", fresh=True)

    def get_key(self, gun: str, role: str) -> bytes:
        """Return the public key that the server offers for a role, as JSON.

        Before the first publish the answer may differ from call to call: ask once, and use what came.
        """
        return self._read(gun, f"{role}.key", WRITE, self._exchange.limits.public_key_bytes, fresh=True)

    def check_login(self) -> None:
        """Ask what any Notary server answers, so that it asks who we are; AuthenticationError: it says no.

        That it knows who we are and wants another right for this, that of an administrator, is a yes.
        """
        try:
            response = self._exchange.send(Request("GET", f"{self.url}/v2/"))
        except (AuthenticationError, NetworkError) as error:
            if error.facts.get("known"):
                return
            self._explain(error)
            raise
        except NotFoundError as error:
            raise self._no_notary(*(error.why or (error.message,))) from None
        if not is_json(response.body):
            raise self._no_notary(failures.web_page(response) or "its answer to /v2/ is no JSON")

    def check_may_publish(self, gun: str) -> None:
        """Ask for what needs the right to publish, and changes nothing where there is trust data already.

        What a server that does not judge by tokens refuses to a publish alone is not found out.
        """
        with suppress(NotFoundError, ServerError):
            self.get_key(gun, "timestamp")

    def rotate_key(self, gun: str, role: str) -> bytes:
        """Have the server make a new key for a role; it counts once a root that names it is published."""
        return self._change("POST", gun, ADMIN, f"{role}.key").body

    def update(self, gun: str, files: Mapping[str, bytes]) -> None:
        """Publish the exact bytes of roles, all or nothing; without any the server renews what is its own.

        Raises:
            RefusedUpdateError: The server refused it; its facts `code`, `name` and `text` say why
                (`code` is "VERSION" if somebody else was faster).
            UnreachableError, TlsError: Certainly nothing was published.
            NetworkError: The answer was lost: only a look at the server tells what happened.
        """
        _LOG.debug("%s gets an update of %s: %s", self.host, gun, ", ".join(files) or "no files")
        self._change("POST", gun, WRITE, files=files)

    def delete(self, gun: str) -> None:
        """Delete all trust data of a repository; nothing there is fine too."""
        self._change("DELETE", gun, ADMIN)

    def all_changes(self, after: int, most: int) -> bytes:
        """Return a page of the feed of all repositories' changes behind a number, oldest first, as JSON.

        It takes the right to see all of them. ServerError, NotFoundError: there is no such feed.
        """
        url = f"{self.url}/v2/_trust/changefeed?records={most}&change_id={after}"
        response = self._exchange.send(Request("GET", url), "registry:catalog:*")
        if response.status != HTTPStatus.OK:
            raise failures.of_status(self.host, "changes of all repositories", response)
        return response.body

    def _read(
        self, gun: str, name: str, actions: str, limit: int | None, query: str = "", *, fresh: bool
    ) -> bytes:
        headers = {}
        if fresh:
            query, headers = f"{query}&fresh={os.urandom(8).hex()}".lstrip("&"), {"Cache-Control": "no-cache"}
        url = f"{self._address(gun, name, '' if name == 'changefeed' else 'tuf/')}{query and '?'}{query}"
        try:
            request = Request("GET", url, headers)
            response = self._exchange.send(request, f"repository:{gun}:{actions}", RequestPolicy(limit))
        except (AuthenticationError, NetworkError) as error:
            self._explain(error)
            raise
        except NotFoundError as error:
            self._require_notary(gun, error)
            raise NotFoundError(
                f"{self.host} has no {name} for {gun}",
                why=error.why,
                gun=gun,
                server=self.url,
                server_code=error.facts.get("server_code"),
            ) from None
        refused = self._is_plain and response.status == HTTPStatus.BAD_REQUEST  # what TLS servers say to http
        if (page := failures.web_page(response)) and not refused:
            raise self._no_notary(page)
        if response.status != HTTPStatus.OK:
            failed = failures.of_status(self.host, f"{name} of {gun}", response)
            if refused:
                self._advise_tls(failed)
            raise failed
        self._is_known = True
        return response.body

    def _require_notary(self, gun: str, missing: NotFoundError) -> None:
        """Raise NotNotaryError for a 404 of something else than a Notary server (rules 2 and 3)."""
        says_so = missing.facts["server_code"] == _NOT_FOUND and not urlsplit(self.url).path
        if self._is_known or says_so:
            return
        _LOG.debug("%s: is a Notary server there? It is asked for a key that it would offer", self.url)
        try:
            request = Request("GET", self._address(gun, "timestamp.key"))
            response = self._exchange.send(request, f"repository:{gun}:{READ}")
            self._is_known = "keytype" in (json_object(response.body) or {})
        except AuthenticationError:
            self._is_known = True  # it guards what only Notary servers have
        except (NotFoundError, ServerError):
            self._is_known = False
        if not self._is_known:
            who = "a registry" if missing.facts["answered_by"] == "registry" else "it"
            raise self._no_notary(*(missing.why or (f"{who} answered 404",))) from None

    def _explain(self, error: AuthenticationError | NetworkError) -> None:
        """Add what the address is from; raise NotNotaryError for what no Notary server answers (rule 2)."""
        if isinstance(error, ServerError) and failures.is_anothers(error):
            raise self._no_notary(*error.why) from None
        error.why = (*error.why, self.origin())
        page = error.facts.get("answered_by") == "web page"
        speaks_http = isinstance(error, failures.CutAnswerError)
        lost = isinstance(error, failures.LostConnectionError | failures.NotHttpError)
        if self._is_plain and lost and not speaks_http:
            self._advise_tls(error)
        elif not self._source and (isinstance(error, NetworkError) or page):
            error.advice = self._address_advice(error.advice)

    def _no_notary(self, *why: str) -> NotNotaryError:
        return NotNotaryError(
            f"{self.url} is not the address of a Notary server",
            why=(*why, self.origin()),
            advice=self._address_advice(),
            server=self.url,
            source=self._source or None,
        )

    def require_metadata(self, data: bytes) -> None:
        """Raise NotNotaryError for what has neither a signed part nor signatures (rule 2)."""
        if b'"signed"' not in data and b'"signatures"' not in data:
            raise self._no_notary("what it sends as trust data has no signed part and no signatures")

    def _advise_tls(self, error: NetworkError | NotFoundError | AuthenticationError) -> None:
        """Say that a server that speaks TLS may be asked without."""
        source = self._source or "the address"
        error.advice = Advice("write-https", source=source, url=f"https{self.url.removeprefix('http')}")

    def _address_advice(self, other: Advice | None = None) -> Advice:
        """Return what to do about the address, and else the other: nobody may have named this one."""
        if not self._source:
            named = Advice("name-notary", registry=self._registry)
            return Advice("first-or", first=named, other=other) if other is not None else named
        return Advice("correct-notary", source=self._source)

    @property
    def _is_plain(self) -> bool:
        """Whether it is asked over http, by which a server that speaks TLS answers nothing of use."""
        return self.url.startswith("http:")

    def origin(self) -> str:
        """Return in words what the address is from."""
        if self._notice:
            return self._notice
        if self._source:
            return f"{self._source} names {self.url}"
        return "no setting names a Notary server, so the registry's own address was taken"

    def _change(
        self, method: str, gun: str, actions: str, name: str = "", files: Mapping[str, bytes] | None = None
    ) -> Response:
        headers, body = ({}, None) if files is None else multipart(files, os.urandom(24).hex())
        try:
            request = Request(method, self._address(gun, name), headers, body)
            response = self._exchange.send(request, f"repository:{gun}:{actions}")
        except NotFoundError as error:
            why = (error.message, *error.why)
            status = HTTPStatus.NOT_FOUND.value
            raise ServerError(f"{self.host} takes no updates there", why=why, status=status) from None
        except NetworkError as error:
            if error.facts.get("status") is None:
                error.why = (*error.why, self.origin())
            raise
        if response.status in _REFUSALS:
            raise self._refusal(gun, response)
        if response.status != HTTPStatus.OK:
            raise failures.of_status(self.host, f"update of {gun}", response)
        return response

    def _refusal(self, gun: str, response: Response) -> RefusedUpdateError:
        found = failures.problems(response)
        first, advice = found[0] if found else failures.Problem("", ""), None
        name, text = _detail(first.detail)
        why = list(map(str, found[:3]))
        if name or text:
            why.append(f"{name}: {text}".strip(": "))
        if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            why.append("the update is too big for it")
            advice = Advice("raise-body-limit", host=self.host)
        return RefusedUpdateError(
            f"{self.host} refused the update of {gun}",
            why=tuple(why),
            advice=advice,
            gun=gun,
            host=self.host,
            status=response.status,
            code=first.code,
            name=name,
            text=text or first.message,
        )

    def _address(self, gun: str, name: str, folder: str = "tuf/") -> str:
        path = quote(f"{gun}/_trust/{folder}{name}", safe="/:@!$&'()+,;=~")
        return f"{self.url}/v2/{path}"


def _detail(detail: object) -> tuple[str, str]:
    """Return name and text of an error's detail, which may be an object, a string or nothing."""
    name, text = (detail.get("Name"), detail.get("Error")) if isinstance(detail, dict) else ("", detail)
    if isinstance(text, dict):
        text = text.get("Msg")
    name, text = (part[: DEFAULT.error_chars] if isinstance(part, str) else "" for part in (name, text))
    return name, text


def multipart(files: Mapping[str, bytes], boundary: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an update: one part a role, its bytes untouched."""
    delimiter = f"--{boundary}".encode()
    parts: list[bytes] = []
    for role, data in files.items():
        if not role.isascii() or not role.isprintable() or '"' in role or "\\" in role:
            raise InvalidNameError("a role's name cannot be sent to a server", role=role)
        if delimiter in data:  # which chance does not bring about
            raise ServerError("metadata holds the boundary of the upload")
        parts += [delimiter, b'\r\nContent-Disposition: form-data; name="files"; filename="', role.encode()]
        parts += [b'"\r\nContent-Type: application/octet-stream\r\n\r\n', data, b"\r\n"]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return headers, b"".join((*parts, delimiter, b"--\r\n"))
