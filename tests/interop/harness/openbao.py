"""An OpenBao server as a place of keys: in memory, over TLS, with tokens that may do little."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from interop.harness import services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROOT_TOKEN = "root-token-of-the-test"


@dataclass(frozen=True)
class OpenBao:
    """A server, its CA, and the key that unseals it."""

    url: str
    ca: Path
    unseal_key: str

    def environment(self, token: str = ROOT_TOKEN) -> dict[str, str]:
        """Return what tells a program where the server is and who asks it."""
        return {"VAULT_ADDR": self.url, "VAULT_CACERT": str(self.ca), "VAULT_TOKEN": token}

    def ask(self, path: str, document: object = None, *, method: str = "", token: str = ROOT_TOKEN) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return its answer; insist on success."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, {"X-Vault-Token": token})
        request.method = method or ("GET" if body is None else "POST")
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.method} {path}: {error.code} {error.read()!r}") from None

    def make_key(self, name: str, kind: str = "ecdsa-p256") -> str:
        """Make a key of a type and return its URI."""
        self.ask(f"transit/keys/{name}", {"type": kind})
        return f"hashivault://{name}"

    def remove_key(self, name: str) -> None:
        """Destroy a key."""
        self.ask(f"transit/keys/{name}/config", {"deletion_allowed": True})
        self.ask(f"transit/keys/{name}", method="DELETE")

    def allow(self, policy: str, **rights: str) -> None:
        """Write a policy: the keyword `sign__release="update"` is `update` on `transit/sign/release`."""
        lines = (
            f'path "transit/{path.replace("__", "/")}" {{ capabilities = ["{right}"] }}'
            for path, right in rights.items()
        )
        self.ask(f"sys/policies/acl/{policy}", {"policy": "\n".join(lines)})

    def token(self, policy: str) -> str:
        """Return a new token that may do what a policy says, and nothing else."""
        asked = {"policies": [policy], "no_default_policy": True}
        return str(self.ask("auth/token/create", asked)["auth"]["client_token"])


class Issuer:
    """What a CI system is for its jobs: it says of each who it is, and the server knows its public key."""

    URL, AUDIENCE = "https://issuer.example.com", "https://vault.example.com"

    def __init__(self, server: OpenBao, name: str) -> None:
        """Have the server take logins of this issuer's jobs at `auth/NAME`."""
        self._server, self._name = server, name
        self._key = rsa.generate_private_key(65537, 2048)
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        server.ask(f"sys/auth/{name}", {"type": "jwt"})
        config = {"jwt_validation_pubkeys": [public.decode()], "bound_issuer": self.URL}
        server.ask(f"auth/{name}/config", config)

    def allow(self, policy: str, claims: Mapping[str, str]) -> None:
        """Give jobs with these claims a token with a policy."""
        document = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [self.AUDIENCE],
            "bound_claims": dict(claims),
            "token_policies": [policy],
            "token_no_default_policy": True,
            "token_ttl": "10m",
        }
        self.write("ci", document)

    def write(self, role: str, document: object) -> None:
        """Write a role."""
        self._server.ask(f"auth/{self._name}/role/{role}", document)

    def identity(self, claims: Mapping[str, str], audience: str = AUDIENCE) -> str:
        """Return what says of a job that it has these claims, to whoever has this name."""
        now = int(time.time())
        identity = {
            "iss": self.URL,
            "aud": audience,
            "sub": "job",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        head = _base64(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
        signed = head + b"." + _base64(json.dumps(identity).encode())
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64(signature)).decode()

    def log_in(self, claims: Mapping[str, str]) -> str:
        """Return the token that a job with these claims gets."""
        asked = {"role": "ci", "jwt": self.identity(claims)}
        return str(self._server.ask(f"auth/{self._name}/login", asked, token="")["auth"]["client_token"])


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@contextlib.contextmanager
def running(directory: Path) -> Iterator[OpenBao]:
    """Run a server whose storage is its memory, with a transit engine."""
    port = services.free_port()
    directory /= str(port)  # each start has a log and a CA of its own
    directory.mkdir(parents=True)
    argv = [
        *("bao", "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={directory}"),
        *("-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"),
    ]
    log, ca = directory / "openbao.log", directory / "vault-ca.pem"

    def ready() -> bool:
        if not ca.exists() or "Unseal Key: " not in log.read_text():
            return False
        context = ssl.create_default_context(cafile=str(ca))
        return services.answers(port, "/v1/sys/health", context)()

    with services.Service(argv, log, ready, {"HOME": str(directory)}):
        unseal_key = re.findall(r"Unseal Key: (\S+)", log.read_text())[0]
        server = OpenBao(f"https://127.0.0.1:{port}", ca, unseal_key)
        server.ask("sys/mounts/transit", {"type": "transit"})
        yield server
