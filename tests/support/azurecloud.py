"""Azure Key Vault and where its tokens come from, as far as signing takes; see `clouds`."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.tuf.envelope import ecdsa_raw
from support.clouds import Answer, Call, Cloud
from support.otherkeys import rsa_key

if TYPE_CHECKING:
    from pathlib import Path

VAULT, LOGIN, TENANT = (
    "acme.vault.azure.net",
    "login.microsoftonline.com",
    "11111111-2222-3333-4444-555555555555",
)
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdCJ9.AZURETOKENsignature0123456789abcdefgh"
SECRET = "abc8Q~THESECRETofTHEapplication0123456789"
VERSIONS = [f"{number:032x}" for number in (1, 2, 3)]
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "P-256K": ec.SECP256K1()}


def failure(status: int, code: str, message: str, inner: str = "", **headers: str) -> Answer:
    """Return an error as Key Vault writes it."""
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return Answer(
        status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()}
    )


class AzureCloud:
    """A vault with keys, whose versions are in their order, and where its tokens come from."""

    def __init__(
        self, cloud: Cloud, directory: Path, vault: str = VAULT, login: str = LOGIN, resource: str = ""
    ) -> None:
        self._directory, self.vault, self.login = directory, vault, login
        self.resource = resource or f"https://{vault.partition('.')[2]}"
        self.keys: dict[str, dict[str, dict[str, Any]]] = {}
        self.denied: set[str] = set()
        cloud.services |= {vault: self._vault, login: self._token}

    def make(
        self,
        name: str,
        kind: str = "EC",
        curve: str = "P-256",
        bits: int = 2048,
        **attributes: Any,  # noqa: ANN401 - any JSON
    ) -> str:
        """Make a new version of a key; return its URI."""
        versions = self.keys.setdefault(name, {})
        version = VERSIONS[len(versions)]
        key: Any = rsa_key(bits, name) if kind.startswith("RSA") else ec.generate_private_key(CURVES[curve])
        operations = attributes.pop("key_ops", ["sign", "verify"])
        versions[version] = {"kty": kind, "crv": curve, "key": key, "ops": operations,
                             "attributes": {"enabled": True, **attributes}}  # fmt: skip
        return f"azurekms://{self.vault}/{name}/{version}"

    def public(self, uri: str) -> bytes:
        """Return the public half of a key, as PEM."""
        name, version = uri.split("/")[-2:]
        key = self.keys[name][version]["key"].public_key()
        return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def client_secret(self) -> dict[str, str]:
        """Return the environment of who has the secret of an application."""
        return {**self._application(), "AZURE_CLIENT_SECRET": SECRET}

    def workload_identity(self) -> dict[str, str]:
        """Return the environment of a pipeline whose own token stands for an application."""
        path = self._directory / "azure-oidc-token"
        path.write_text("eyJhbGciOiJSUzI1NiJ9.eyJwaXBlbGluZSI6MX0.OIDCTOKEN")
        return {**self._application(), "AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": str(path)}

    @staticmethod
    def _application() -> dict[str, str]:
        return {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "66666666-7777-8888-9999-000000000000"}

    def _token(self, call: Call) -> Answer:
        base = f"https://{self.login}/{TENANT}"
        if call.path == "/common/discovery/instance":
            found = {"preferred_network": self.login, "preferred_cache": self.login, "aliases": [self.login]}
            openid = f"{base}/v2.0/.well-known/openid-configuration"
            return Answer(200, {"tenant_discovery_endpoint": openid, "metadata": [found]})
        if call.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return Answer(200, {
                "issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            })  # fmt: skip
        assert call.path == f"/{TENANT}/oauth2/v2.0/token"
        form = {name: value for name, (value,) in parse_qs(call.body.decode()).items()}
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == f"{self.resource}/.default"
        if form.get("client_secret") != SECRET and not form.get("client_assertion", "").endswith(
            ".OIDCTOKEN"
        ):
            said = "AADSTS50027: JWT token is invalid or malformed."
            return Answer(400, {"error": "invalid_request", "error_description": said})
        return Answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN})

    def _vault(self, call: Call) -> Answer:
        assert call.query.startswith("api-version=")
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer authorization="https://{self.login}/{TENANT}", resource="{self.resource}"'
            refusal = failure(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            return refusal._replace(headers={"WWW-Authenticate": challenge})
        _, collection, name, version = [*call.path.split("/"), ""][:4]
        assert collection == "keys"
        right = "sign" if call.path.endswith("/sign") else "get"
        if right in self.denied:
            action = f"Microsoft.KeyVault/vaults/keys/{'sign/action' if right == 'sign' else 'read'}"
            message = f"Caller is not authorized to perform action on resource. Action: '{action}'"
            return failure(403, "Forbidden", message, "ForbiddenByRbac")
        versions = self.keys.get(name, {})
        version = version or next(reversed(versions), "")
        if version not in versions:
            message = f"A key with (name/id) {name}/{version} was not found in this key vault."
            return failure(404, "KeyNotFound", message)
        return self._known(call, right, f"https://{self.vault}/keys/{name}/{version}", versions[version])

    def _known(self, call: Call, right: str, kid: str, found: dict[str, Any]) -> Answer:
        if right == "get":
            assert call.method == "GET"
            jwk = {"kid": kid, "kty": found["kty"], "key_ops": found["ops"], **_jwk(found)}
            return Answer(200, {"key": jwk, "attributes": found["attributes"]})
        assert call.method == "POST"
        if not found["attributes"]["enabled"]:
            message = "Operation sign is not allowed on a disabled key."
            return failure(403, "Forbidden", message, "KeyDisabled")
        if found["attributes"].get("exp", time.time() + 1) < time.time():
            return failure(403, "Forbidden", "Operation sign is not allowed on an expired key.", "KeyExpired")
        if "sign" not in found["ops"]:
            message = "Operation sign is not permitted on this key."
            return failure(403, "Forbidden", message, "KeyOperationForbidden")
        assert set(call.json) == {"alg", "value"}
        value = call.json["value"]
        digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        known = {"PS256", "RS256"} if found["kty"].startswith("RSA") else {"ES256"}
        if len(digest) != 32 or call.json["alg"] not in known:
            return failure(400, "BadParameter", "Property has invalid value")
        return Answer(200, {"kid": kid, "value": _text(_signed(found["key"], call.json["alg"], digest))})


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(number: int) -> str:
    return _text(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _jwk(found: dict[str, Any]) -> dict[str, str]:
    numbers = found["key"].public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return {"n": _number(numbers.n), "e": _number(numbers.e)}
    size = (found["key"].key_size + 7) // 8
    x, y = (_text(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
    return {"crv": found["crv"], "x": x, "y": y}


def _signed(key: Any, algorithm: str, digest: bytes) -> bytes:  # noqa: ANN401 - any private key
    hashed = utils.Prehashed(SHA256())
    if algorithm == "RS256":
        return bytes(key.sign(digest, padding.PKCS1v15(), hashed))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, padding.PSS(padding.MGF1(SHA256()), 32), hashed)
    return ecdsa_raw(key.sign(digest, ec.ECDSA(hashed)), key.key_size)
