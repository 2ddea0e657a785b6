"""Cloud KMS and where its tokens come from, as far as signing takes; see `clouds`."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from notarypy.keys.signers.services import crc32c
from support.clouds import Answer, Call, Cloud
from support.otherkeys import rsa_key

if TYPE_CHECKING:
    from pathlib import Path

RING = "projects/acme/locations/europe-west3/keyRings/notary"
TOKEN = "ya29.c0ASRK0GaYnotarypytoken0123456789abcdefghijklmnopqrstuvwxyzTOKEN"
OIDC_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJwaXBlbGluZSI6MX0.OIDCTOKEN"
REASONS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
REASONS |= {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def failure(status: int, message: str, reason: str = "", **headers: str) -> Answer:
    """Return an error as Google's services write it."""
    error = {"code": status, "message": message, "status": reason or REASONS[status]}
    return Answer(
        status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()}
    )


class GoogleCloud:
    """Keys, whose names end in the number of a version; who has which token; and where it came from."""

    def __init__(self, cloud: Cloud, directory: Path) -> None:
        self._cloud, self._directory = cloud, directory
        self.keys: dict[str, tuple[str, Any]] = {}
        self.states: dict[str, str] = {}
        self.denied: set[str] = set()
        hosts = {
            "cloudkms": self._kms,
            "oauth2": self._token,
            "sts": self._token,
            "iamcredentials": self._token,
        }
        cloud.services |= {f"{name}.googleapis.com": service for name, service in hosts.items()}
        cloud.services["run-actions.example"] = self._actions

    def make(self, key: str, algorithm: str = "EC_SIGN_P256_SHA256", version: int = 1) -> str:
        """Make a version of a key; return its URI."""
        self.keys[f"{RING}/cryptoKeys/{key}/cryptoKeyVersions/{version}"] = (algorithm, _made(algorithm, key))
        return f"gcpkms://{RING}/cryptoKeys/{key}/versions/{version}"

    def public(self, uri: str) -> bytes:
        """Return the public half of a key, as PEM."""
        return _pem(self.keys[uri.removeprefix("gcpkms://").replace("/versions/", "/cryptoKeyVersions/")][1])

    def service_account(self) -> dict[str, str]:
        """Return the environment of who has a service account's key."""
        key = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return self._credentials({
            "type": "service_account", "project_id": "acme", "private_key_id": "1", "private_key": key,
            "client_email": "ci@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
        })  # fmt: skip

    def workload_identity(self) -> dict[str, str]:
        """Return what google-github-actions/auth leaves for a job, whose own token stands for an account."""
        pool = "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/ci/providers/github"
        account = "projects/-/serviceAccounts/ci@acme.iam.gserviceaccount.com:generateAccessToken"
        return self._credentials({
            "type": "external_account", "audience": pool, "token_url": "https://sts.googleapis.com/v1/token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "service_account_impersonation_url": f"https://iamcredentials.googleapis.com/v1/{account}",
            "credential_source": {
                "url": "https://run-actions.example/token", "headers": {"Authorization": "Bearer job"},
                "format": {"type": "json", "subject_token_field_name": "value"},
            },
        })  # fmt: skip

    def _credentials(self, content: dict[str, Any]) -> dict[str, str]:
        path = self._directory / f"{content['type']}.json"
        path.write_text(json.dumps(content))
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "CLOUDSDK_CONFIG": str(self._directory)}

    @staticmethod
    def _actions(call: Call) -> Answer:
        assert call.headers["authorization"] == "Bearer job"
        return Answer(200, {"value": OIDC_TOKEN})

    def _token(self, call: Call) -> Answer:
        if call.host.startswith("iamcredentials"):
            assert call.headers["authorization"] == "Bearer federated"
            assert call.json["scope"] == ["https://www.googleapis.com/auth/cloudkms"]
            return Answer(200, {"accessToken": TOKEN, "expireTime": "2099-01-01T00:00:00Z"})
        (grant,) = parse_qs(call.body.decode())["grant_type"]
        if call.host.startswith("sts"):
            assert grant == "urn:ietf:params:oauth:grant-type:token-exchange"
            assert parse_qs(call.body.decode())["subject_token"] == [OIDC_TOKEN]
            kind = "urn:ietf:params:oauth:token-type:access_token"
            found = {"access_token": "federated", "issued_token_type": kind, "token_type": "Bearer"}
            return Answer(200, {**found, "expires_in": 3600})
        assert grant in {"urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token"}
        return Answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})

    def _kms(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return failure(401, "Request had invalid authentication credentials.")
        name, _, verb = call.path.removeprefix("/v1/").partition(":")
        name, suffix, _ = name.partition("/publicKey")
        right = {"asymmetricSign": "useToSign"}.get(verb) or ("viewPublicKey" if suffix else "get")
        if right in self.denied:
            permission = f"cloudkms.cryptoKeyVersions.{right}"
            return failure(
                403, f"Permission '{permission}' denied on resource '{name}' (or it may not exist)."
            )
        if name.endswith("/cryptoKeyVersions"):
            assert (call.method, call.query) == ("GET", "filter=state%3DENABLED")
            return Answer(200, {"cryptoKeyVersions": [
                {"name": one, "state": "ENABLED", "algorithm": self.keys[one][0]} for one in sorted(self.keys)
                if one.startswith(f"{name}/") and self.states.get(one, "ENABLED") == "ENABLED"
            ]})  # fmt: skip
        if name not in self.keys:
            return failure(404, f"{name.rpartition('/cryptoKeyVersions')[0]} not found.")
        state = self.states.get(name, "ENABLED")
        if state != "ENABLED" and right != "get":
            return failure(400, f"{name} is not enabled, current state is: {state}.", "FAILED_PRECONDITION")
        return self._known(call, name, right, state)

    def _known(self, call: Call, name: str, right: str, state: str) -> Answer:
        algorithm, key = self.keys[name]
        facts = {"name": name, "protectionLevel": "HSM"}
        if right == "get":
            return Answer(200, {**facts, "state": state, "algorithm": algorithm})
        if right == "viewPublicKey":
            assert call.method == "GET"
            pem = _pem(key)
            return Answer(
                200, {**facts, "pem": pem.decode(), "algorithm": algorithm, "pemCrc32c": str(crc32c(pem))}
            )
        assert call.method == "POST"
        assert call.headers["content-type"] == "application/json"
        assert set(call.json) == {"digest", "digestCrc32c"}
        assert isinstance(call.json["digestCrc32c"], str)
        digest = base64.b64decode(call.json["digest"]["sha256"], validate=True)
        if len(digest) != 32 or call.json["digestCrc32c"] != str(crc32c(digest)):
            return failure(400, "The checksum in field digest_crc32c did not match the data in field digest.")
        signature = _signed(algorithm, key, digest)
        return Answer(200, {
            **facts, "signature": base64.b64encode(signature).decode(),
            "signatureCrc32c": str(crc32c(signature)), "verifiedDigestCrc32c": True,
        })  # fmt: skip


def _pem(key: Any) -> bytes:  # noqa: ANN401 - any private key
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _made(algorithm: str, name: str) -> Any:  # noqa: ANN401 - any private key
    if algorithm.startswith("RSA"):
        bits = re.search(r"(?:PSS|PKCS1)_(\d+)_SHA256", algorithm)
        return rsa_key(int(bits[1]) if bits else 2048, name)  # what is refused need not be slow to make
    curves = {"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "SECP256K1": ec.SECP256K1()}
    found = next((curve for name, curve in curves.items() if name in algorithm), None)
    return ed25519.Ed25519PrivateKey.generate() if found is None else ec.generate_private_key(found)


def _signed(algorithm: str, key: Any, digest: bytes) -> bytes:  # noqa: ANN401 - any private key
    hashed = utils.Prehashed(SHA256())
    if algorithm.startswith("RSA_SIGN_PSS"):
        return bytes(key.sign(digest, padding.PSS(padding.MGF1(SHA256()), 32), hashed))
    if algorithm.startswith("RSA_SIGN_PKCS1"):
        return bytes(key.sign(digest, padding.PKCS1v15(), hashed))
    return bytes(key.sign(digest, ec.ECDSA(hashed)))
