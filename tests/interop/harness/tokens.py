"""A small token server beside a Notary server: scoped, expiring tokens for known users."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from interop.harness import listener, services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER, SERVICE = "token server of the tests", "notary of the tests"
USERS = {"publisher": "publisher-password", "reader": "reader-password", "owner": "owner-password"}
IDENTITIES = {"publisher-identity-token": "publisher"}
RIGHTS = {"publisher": {"pull", "push"}, "reader": {"pull"}, "owner": {"pull", "push", "*"}}


@dataclass(frozen=True)
class Granted:
    """One token that was handed out: to whom, what was asked, what was granted."""

    user: str
    scope: str
    actions: frozenset[str]


@dataclass
class TokenServer:
    """Signs tokens with a certificate that the Notary server was told to trust."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    trusted: Path
    realm: str = ""
    lifetime: int = 60
    granted: list[Granted] = field(default_factory=list)

    @property
    def server_section(self) -> dict[str, Any]:
        """What the Notary server's configuration says about authentication."""
        options = {
            "realm": self.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.trusted),
        }
        return {"type": "token", "options": options}

    def issue(self, user: str, scope: str) -> str:
        """Return a token for what this user may do of what the scope asks for."""
        kind, name, actions = split_scope(scope)
        allowed = sorted(set(actions) & RIGHTS.get(user, set()))
        self.granted.append(Granted(user, scope, frozenset(allowed)))
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 1,
            "exp": now + self.lifetime,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": allowed}] if allowed else [],
        }
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        payload = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        return f"{payload}.{_encode(self.key.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def split_scope(scope: str) -> tuple[str, str, list[str]]:
    """Split `type:name:action,action`; the name itself may contain colons."""
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, actions.split(",")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _user_of(header: str | None) -> str | None:
    """Return who the Basic header names: "" for nobody, None for a wrong password."""
    if header is None:
        return ""
    user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return user if USERS.get(user) == password else None


def _handler(tokens: TokenServer) -> type[listener.Handler]:
    class TokenHandler(listener.Handler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            user = _user_of(self.headers.get("Authorization"))
            if user is None:
                self.reply(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}')
                return
            scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
            self._grant("token", user, scope)

        def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
            form = {name: values[0] for name, values in parse_qs(self.body().decode()).items()}
            user = IDENTITIES.get(form.get("refresh_token", ""))
            if user is None or (form.get("grant_type"), form.get("service")) != ("refresh_token", SERVICE):
                self.reply(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}')
                return
            self._grant("access_token", user, form["scope"])

        def _grant(self, member: str, user: str, scope: str) -> None:
            answer = {member: tokens.issue(user, scope), "expires_in": tokens.lifetime}
            self.reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    return TokenHandler


@contextlib.contextmanager
def token_server(directory: Path, authority: services.Authority) -> Iterator[TokenServer]:
    """Serve tokens over TLS at `/token`."""
    signing = services.Authority(directory, trustme.KeyType.RSA)
    pair = signing.issue("token-signer")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    tokens = TokenServer(
        key, x509.load_pem_x509_certificate(pair.certificate.read_bytes()), trusted=signing.file
    )
    with listener.listening(_handler(tokens), authority.server_context("token-server")) as server:
        tokens.realm = f"https://localhost:{server.server_port}/token"
        yield tokens
