"""Registries of vendors: the logins and token servers that their documents and code describe, over our fake.

Each docstring says where it is described; nobody ran these against the vendors' own servers. Images and trust
data are those of a `Fake`. They serve calls of `clouds`, by their real names, or are a transport.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from notarypy.devserver.calls import Call as ServiceCall
from notarypy.remote.http.messages import Response
from support.clouds import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request

NOBODY = "00000000-0000-0000-0000-000000000000"
ENTRA_TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJhY3IifQ.ENTRAtoken0123456789"


@dataclass
class Account:
    """Who may log in, with what, and what he may do: pull, push, sign."""

    secret: str
    rights: frozenset[str] = frozenset({"pull", "push", "sign"})
    kind: str = "user"


@dataclass
class Vendor:
    """A registry with a token server, and a Notary server, under their hosts.

    Attributes:
        accounts: Who is known, by name.
        tokens: The access of each token that was issued.
        calls: What was asked for, in order.
    """

    fake: Fake
    registry: ClassVar[str] = "registry.example.com"
    notary: ClassVar[str] = "notary.example.com"
    realm: ClassVar[str] = "https://registry.example.com/token"
    service: ClassVar[str] = "registry.example.com"
    notary_service: ClassVar[str] = ""  # that of the registry
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def services(self) -> dict[str, Any]:
        """What answers for which host, as `Cloud` takes it."""
        hosts = {self.registry, self.notary, urlsplit(self.realm).netloc}
        return dict.fromkeys(hosts, self.answer)

    def send(self, request: Request, deadline: float) -> Response:
        """Answer as a transport."""
        assert deadline
        parts = urlsplit(request.url)
        assert parts.scheme == "https"
        assert parts.netloc in self.services, f"{parts.netloc} is nobody's"
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, parts.netloc, parts.path, parts.query, headers, body)
        answer = self.answer(call)
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        found = {name.lower(): value for name, value in answer.headers.items()}
        if request.sink is not None and 200 <= answer.status < 300:
            request.sink.begin(answer.status, found)(data)
            data = b""
        return Response(answer.status, found, data)

    def close(self) -> None:
        """Nothing is open."""

    def answer(self, call: Call) -> Answer:
        """Answer a call."""
        self.calls.append(call)
        if f"https://{call.host}{call.path}" == self.realm:
            return self.token(call)
        wanted = _scope_of(call)
        if not self.allows(call, wanted):
            return self.challenge(call, wanted)
        parts = {name: values[0] for name, values in parse_qs(call.query, keep_blank_values=True).items()}
        asked = ServiceCall(
            call.method, f"https://{call.host}", unquote(call.path), parts, call.headers, call.body
        )
        trust = "/_trust/" in call.path or (call.host == self.notary and call.host != self.registry)
        found = (self.fake.notary if trust else self.fake.registry).handle(asked)
        headers = {"content-length": str(len(found.body)), **found.headers}
        return Answer(found.status, b"" if call.method == "HEAD" else found.body, headers)

    def allows(self, call: Call, wanted: str) -> bool:
        """Tell whether what the call shows is enough for a scope; any token will do where there is none."""
        kind, _, shown = call.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or shown not in self.tokens:
            return False
        name, _, action = wanted.rpartition(":")
        return not wanted or {action, "*"} & self.tokens[shown].get(name, set()) != set()

    def challenge(self, call: Call, wanted: str) -> Answer:
        """Refuse, and say how to log in."""
        service = self.notary_service if "/_trust/" in call.path and self.notary_service else self.service
        offered = f'Bearer realm="{self.realm}",service="{service}"' + (
            f',scope="{wanted}"' if wanted else ""
        )
        return _error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": offered})

    def token(self, call: Call) -> Answer:
        """Give out a token; this is what vendors do in their own ways."""
        raise NotImplementedError

    def user(self, call: Call) -> str | None:
        """Return who a Basic login is, "" for nobody, None for a wrong one."""
        kind, _, shown = call.headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            return ""
        name, _, secret = base64.b64decode(shown).decode().partition(":")
        return name if name in self.accounts and self.accounts[name].secret == secret else None

    def issue(self, user: str, scopes: list[str], **claims: object) -> str:
        """Return a token for what a user may do of what is asked for."""
        access = {}
        for scope in scopes:
            name, _, actions = scope.rpartition(":")
            access[name] = self.granted(user, name, set(actions.split(",")))
        listed = [
            {"type": name.partition(":")[0], "name": name.partition(":")[2], "actions": sorted(actions)}
            for name, actions in access.items()
        ]
        token = _jwt({"aud": self.service, "sub": user, "access": listed, **claims})
        self.tokens[token] = access
        return token

    def granted(self, user: str, name: str, actions: set[str]) -> set[str]:
        """Return what a user may do with a name; nobody may do nothing."""
        del name
        return actions & self.accounts[user].rights if user in self.accounts else set()


@dataclass
class AzureRegistry(Vendor):
    """Azure Container Registry, by Azure/acr's `AAD-OAuth.md` and `Token-BasicAuth.md`, and its issues.

    Accounts are service principals, the admin user (kind `admin`) and tokens for repositories (`scoped`).
    How rights that are lacking are refused is not written down: `refusal` is one way of three, `basic` what
    Azure/acr#466 and #651 show, whatever was refused.
    """

    registry: ClassVar[str] = "contoso.azurecr.io"
    notary: ClassVar[str] = "contoso.azurecr.io"
    realm: ClassVar[str] = "https://contoso.azurecr.io/oauth2/token"
    service: ClassVar[str] = "contoso.azurecr.io"
    entra: dict[str, Account] = field(default_factory=lambda: {ENTRA_TOKEN: Account("", kind="entra")})
    refreshing: dict[str, Account] = field(default_factory=dict)
    refusal: str = "bearer"

    def answer(self, call: Call) -> Answer:
        """Answer a call; an exchange asks for no login."""
        if call.path == "/oauth2/exchange":
            self.calls.append(call)
            return self._exchange(call)
        return super().answer(call)

    def _exchange(self, call: Call) -> Answer:
        assert call.method == "POST"
        assert call.headers["content-type"] == "application/x-www-form-urlencoded"
        form = _form(call)
        who = self.entra.get(form.get("access_token", [""])[0])
        if form["grant_type"] != ["access_token"] or form["service"] != [self.service] or who is None:
            return self._unauthorized()
        return Answer(200, {"refresh_token": self.refresh_token(who)})

    def refresh_token(self, who: Account) -> str:
        """Return what `az acr login --expose-token` prints."""
        token = _jwt({"aud": self.service, "grant_type": "refresh_token", "version": "1.0"})
        self.refreshing[token] = who
        return token

    def token(self, call: Call) -> Answer:
        """Give out a token: for a refresh token or password by POST, for a password by GET."""
        form = parse_qs(call.query) if call.method == "GET" else _form(call)
        who = self.user(call)
        if call.method == "POST" and form.get("grant_type") == ["refresh_token"]:
            who = self._refreshing(form["refresh_token"][0])
        elif call.method == "POST":
            name, secret = form["username"][0], form["password"][0]
            shown = "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
            who = self.user(call._replace(headers={"authorization": shown}))
        if not who or form.get("service") != [self.service]:
            return self._unauthorized()
        scopes = [one for text in form.get("scope", []) for one in text.split(" ")]
        answer = {"access_token": self.issue(who, scopes, grant_type="access_token")}
        lacking = any(not access for access in self.tokens[answer["access_token"]].values())
        if self.refusal == "token" and lacking:
            return self._unauthorized()
        offline = form.get("offline_token") == ["true"] or form.get("access_type") == ["offline"]
        if offline and who in self.refreshing:
            answer["refresh_token"] = who
        return Answer(200, answer)

    def user(self, call: Call) -> str | None:
        """Return who a Basic login is; for the user of zeros the password itself says it."""
        kind, _, shown = call.headers.get("authorization", "").partition(" ")
        name, _, secret = base64.b64decode(shown).decode().partition(":") if kind == "Basic" else ("", "", "")
        return self._refreshing(secret) if name == NOBODY else super().user(call)

    def _refreshing(self, token: str) -> str | None:
        return token if token in self.refreshing else None

    def _account(self, who: str) -> Account:
        return self.refreshing.get(who) or self.accounts[who]

    def granted(self, user: str, name: str, actions: set[str]) -> set[str]:
        """Return what a user may do: trust data is under names with the registry's host."""
        account = self._account(user)
        if not name.startswith(f"repository:{self.registry}/"):
            return actions & account.rights
        if account.kind == "scoped":
            return set()
        allowed = {"pull"} & account.rights
        if "sign" in account.rights and account.kind != "admin":
            allowed.add("push")
        return actions & allowed

    def allows(self, call: Call, wanted: str) -> bool:
        """Take a password directly, too, but for tokens of repositories."""
        if call.headers.get("authorization", "").startswith("Basic "):
            who = self.user(call)
            if not who or self._account(who).kind == "scoped":
                return False
            name, _, action = wanted.rpartition(":")
            return not wanted or bool(self.granted(who, name, {action}))
        return super().allows(call, wanted)

    def challenge(self, call: Call, wanted: str) -> Answer:
        """Refuse; whoever had shown something is asked for a password, if that is the way of refusing."""
        shown = call.headers.get("authorization", "")
        if shown.startswith("Basic ") or (shown and self.refusal == "basic"):
            return self._unauthorized({"WWW-Authenticate": 'Basic realm="Azure Container Registry"'})
        return super().challenge(call, wanted)

    @staticmethod
    def _unauthorized(headers: Mapping[str, str] | None = None) -> Answer:
        said = "authentication required, visit https://aka.ms/acr/authorization for more information."
        return _error(401, "UNAUTHORIZED", said, headers or {})


@dataclass
class Harbor(Vendor):
    """Harbor before 2.9, by its own `core/service/token` and its configuration of Notary.

    A token for Notary is for a name that begins with Harbor's own; `*` is for who may pull, push and delete.
    """

    registry: ClassVar[str] = "harbor.example.com"
    notary: ClassVar[str] = "harbor.example.com:4443"
    realm: ClassVar[str] = "https://harbor.example.com/service/token"
    service: ClassVar[str] = "harbor-registry"
    notary_service: ClassVar[str] = "harbor-notary"

    def token(self, call: Call) -> Answer:
        """Give out a token by GET, for one of two services."""
        if call.method != "GET":
            return Answer(405, b"")
        asked = parse_qs(call.query)
        service = asked.get("service", [""])[0]
        if service not in (self.service, self.notary_service):
            return Answer(400, f"Unable to handle service: {service}".encode())
        scopes = [one for text in asked.get("scope", []) for one in text.split(" ")]
        who = self.user(call)
        if who is None or (not who and not scopes):
            return Answer(401, b"")
        named = [scope.partition(":")[2].rpartition(":")[0] for scope in scopes]
        if service == self.notary_service and not all(one.startswith(f"{self.registry}/") for one in named):
            return Answer(500, b"")
        return Answer(200, {"token": self.issue(who, scopes), "expires_in": 1800, "issued_at": "now"})

    def granted(self, user: str, name: str, actions: set[str]) -> set[str]:
        """Return all that a user may do, whatever was asked for."""
        del name, actions
        rights = self.accounts[user].rights & {"pull", "push", "delete"} if user else frozenset()
        return {*rights, "*"} if len(rights) == 3 else set(rights)


@dataclass
class WithoutNotary(Vendor):
    """A registry whose vendor has no Notary server: there may be one of somebody else, for anybody."""

    def allows(self, call: Call, wanted: str) -> bool:
        """Ask nobody for trust data."""
        return call.host == self.notary or super().allows(call, wanted)


@dataclass
class GitLab(WithoutNotary):
    """GitLab, by its own `jwt_controller.rb` and `container_registry_authentication_service.rb`."""

    registry: ClassVar[str] = "registry.example.com"
    realm: ClassVar[str] = "https://gitlab.example.com/jwt/auth"
    service: ClassVar[str] = "container_registry"

    def token(self, call: Call) -> Answer:
        """Give out a token by GET, which does not say how long it is good."""
        asked = parse_qs(call.query)
        if call.method != "GET" or asked.get("service") != [self.service]:
            return Answer(
                404, b"<!DOCTYPE html><html><title>404</title></html>", {"Content-Type": "text/html"}
            )
        who, scopes = self.user(call), asked.get("scope", [])
        if who is None or (not who and not scopes):
            return _error(403, "DENIED", "access forbidden", {})
        return Answer(200, {"token": self.issue(who, scopes)})


@dataclass
class Quay(WithoutNotary):
    """Quay, by its own `endpoints/v2/v2auth.py`: a scope that it cannot read is an error."""

    registry: ClassVar[str] = "quay.io"
    realm: ClassVar[str] = "https://quay.io/v2/auth"
    service: ClassVar[str] = "quay.io"
    scope: ClassVar[str] = (
        r"repository:((?:quay\.io/)?(?:[.a-zA-Z0-9_-]+/)*[.a-zA-Z0-9_-]+):(push|pull|\*)(,(push|pull|\*))*"
    )

    def token(self, call: Call) -> Answer:
        """Give out a token by GET, for scopes of one form."""
        asked, who = parse_qs(call.query), self.user(call)
        if call.method != "GET":
            return Answer(405, b"")
        if who is None:
            return _error(401, "UNAUTHORIZED", "Could not find robot with specified username", {})
        scopes = asked.get("scope", [])
        if not who and not scopes:
            return _error(401, "UNAUTHORIZED", "access to the requested resource is not authorized", {})
        if not all(re.fullmatch(self.scope, scope) for scope in scopes):
            return _error(400, "NAME_INVALID", f"Unable to decode repository and actions: {scopes}", {})
        return Answer(200, {"token": self.issue(who, scopes)})


@dataclass
class Artifactory(WithoutNotary):
    """Artifactory, by JFrog's "docker login" and issues of containerd: a token that is nothing but a text."""

    registry: ClassVar[str] = "acme.jfrog.io"
    realm: ClassVar[str] = "https://acme.jfrog.io/artifactory/api/docker/docker/v2/token"
    service: ClassVar[str] = "acme.jfrog.io"

    def token(self, call: Call) -> Answer:
        """Give out a token by GET to who is known."""
        who = self.user(call)
        if call.method != "GET" or not who:
            return _error(401, "UNAUTHORIZED", "Bad credentials", {})
        token = f"AKCp5{secrets.token_hex(20)}"
        self.tokens[token] = self.tokens.pop(self.issue(who, parse_qs(call.query).get("scope", [])))
        return Answer(200, {"token": token, "expires_in": 3600})


@dataclass
class Msr(Vendor):
    """Mirantis Secure Registry, by containerd's pull request 5288: POST is an error of the server."""

    registry: ClassVar[str] = "msr.example.com"
    notary: ClassVar[str] = "msr.example.com"
    realm: ClassVar[str] = "https://msr.example.com/auth/token"
    service: ClassVar[str] = "msr.example.com"

    def token(self, call: Call) -> Answer:
        """Give out a token by GET."""
        if call.method != "GET":
            said = "please contact an administrator to resolve this issue"
            return Answer(500, {"details": "internal error", "message": said, "request_id": "6b05d3a1"})
        who = self.user(call)
        if who is None:
            return _error(401, "UNAUTHORIZED", "unauthorized", {})
        return Answer(200, {"token": self.issue(who, parse_qs(call.query).get("scope", []))})


def _scope_of(call: Call) -> str:
    """Return what a call needs: reading or writing a repository; "" for what anybody may who logged in."""
    path = unquote(call.path)
    name = next(
        (
            path.removeprefix("/v2/").partition(f"/{part}/")[0]
            for part in ("_trust", "manifests", "blobs", "tags", "referrers")
            if f"/{part}/" in path
        ),
        "",
    )
    writes = call.method not in ("GET", "HEAD")
    # A server's key is asked for by who is going to publish.
    writes = writes or path.endswith(("/timestamp.key", "/snapshot.key"))
    deletes = call.method == "DELETE" and "/_trust/" in path
    return f"repository:{name}:{'*' if deletes else 'push' if writes else 'pull'}" if name else ""


def _form(call: Call) -> dict[str, list[str]]:
    return parse_qs(call.body.decode())


def _error(status: int, code: str, message: str, headers: Mapping[str, str]) -> Answer:
    return Answer(status, {"errors": [{"code": code, "message": message, "detail": None}]}, headers)


def _jwt(claims: Mapping[str, object]) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {**claims, "jti": secrets.token_hex(8)})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, secrets.token_urlsafe(32)])
