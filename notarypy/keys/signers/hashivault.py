"""Keys in the transit secrets engine of HashiCorp Vault or OpenBao: hashivault://KEY, as cosign writes it.

What it is: one version of one key there. What it is not: the server and who asks it (`vaultserver`).

Rules:

1. A URI is `hashivault://KEY`, or `hashivault://KEY?version=N`. What is kept has the version: for a request
   that names none the server takes the newest one, and after `rotate` that is another key. Where the server
   is and where the engine is mounted, the environment says each time, as with cosign; a key of the same name
   elsewhere signs nothing, for its signatures do not verify.
2. Signing takes the right `update` on MOUNT/sign/KEY and one request. Reading the public half takes `read` on
   MOUNT/keys/KEY, and is done when a key is added; a test of a key shows more with it.
3. The server gets the SHA-256 of a message, 32 bytes: ECDSA keys would sign any length.
4. The name of a new key is free: the server answers a request to make a key that it has as if it had made it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    KeyAccessError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    ServerError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.signers.base import ExternalSigner, having_made
from notarypy.keys.signers.vaultserver import VaultRequest, VaultServer
from notarypy.tuf.envelope import METHOD_FOR
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.keys.signers.base import SignerContext
    from notarypy.keys.signers.vaultserver import VaultAnswer
    from notarypy.tuf.keys import PublicKey

_LOG = logging.getLogger(__name__)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_URI = re.compile(rf"hashivault://(\w(?:[\w.-]*\w)?)(?:\?version=({_VERSION.pattern}))?", re.ASCII)
_SIGNATURE = re.compile(r"vault:v([0-9]+):([A-Za-z0-9_-]+)", re.ASCII)
_TYPES = frozenset({"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096"})
_NEW = {"ecdsa": "ecdsa-p256", "rsa": "rsa-3072"}
_RISKS = {
    "exportable": ("exportable", "yes: the private half can be read with read on export/signing-key"),
    "allow_plaintext_backup": ("plaintext backup", "yes: the private half can be read with read on backup"),
    "deletion_allowed": ("deletion", "allowed: delete on keys destroys it for good"),
}
_OLDEST = ("min_decryption_version", "min_encryption_version")  # to be lowered in this order
_PSS = {"signature_algorithm": "pss", "salt_length": "hash"}  # else the salt is as long as it can be


class HashivaultSigner(ExternalSigner):
    """One version of a transit key."""

    def __init__(self, server: VaultServer, key: str, version: int, public: PublicKey) -> None:
        """Take a server, what names the key there, and its public half."""
        super().__init__(f"hashivault://{key}?version={version}", public)
        self._server, self._key, self._version = server, key, version

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Return a signer with the key that a URI names; see `ExternalSigner.open`."""
        key, version = _parsed(uri)
        server = VaultServer(context.environ, context.timeout)
        if version and context.public is not None:
            return cls(server, key, version, context.public)
        state = _KeyState(server, key)
        version = version or state.version_of(context.public)
        return cls(server, key, version, state.public(version))

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """Make a key: see `ExternalSigner.generate`; raise AlreadyExistsError if there is one (rule 4)."""
        key, version = _parsed(uri)
        if version:
            advice = Advice("leave-out", option=f"?version={version}")
            raise UsageError("a new key has no version yet", advice=advice)
        if algorithm not in _NEW:
            raise UnsupportedKeyError(
                f"cannot make keys of type {algorithm}",
                why="a key is ecdsa or rsa",
                advice=Advice("leave-key-type"),
            )
        server = VaultServer(context.environ, context.timeout)
        if server.ask(VaultRequest("GET", f"keys/{key}", "read")).status == HTTPStatus.OK:
            raise _exists(server, key)
        made = server.ask(VaultRequest("POST", f"keys/{key}", "update", {"type": _NEW[algorithm]}))
        if made.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(server, key, 1, made)
        _LOG.debug("made the key %s in %s/ at %s", key, server.mount, server.host)
        with having_made(uri):
            signer = cls.open(uri, context)
        if signer.public.keytype != algorithm:  # somebody was quicker
            raise _exists(server, key)
        return signer

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """See `ExternalSigner.sign` (rules 2 and 3)."""
        return METHOD_FOR[self.public.keytype], self._signature(message, _PSS)

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it; see `cosignsigner`."""
        return self._signature(message, {"signature_algorithm": "pkcs1v15"})

    def _signature(self, message: bytes, padding: Mapping[str, str]) -> bytes:
        asked = {
            "input": base64.b64encode(hashlib.sha256(message).digest()).decode(),
            "prehashed": True,
            "hash_algorithm": "sha2-256",
            "key_version": self._version,
            "marshaling_algorithm": "jws",
            **(padding if self.public.keytype == "rsa" else {}),
        }
        answer = self._server.ask(VaultRequest("POST", f"sign/{self._key}", "update", asked))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(self._server, self._key, self._version, answer)
        signature = answer.data.get("signature") if isinstance(answer.data, dict) else None
        found = _SIGNATURE.fullmatch(signature) if isinstance(signature, str) else None
        if found is None or found[1] != str(self._version):
            raise self._server.misunderstood("it has no signature by the version that was asked for")
        try:
            raw = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
        except binascii.Error:
            raise self._server.misunderstood("its signature is not base64") from None
        _LOG.debug("version %d of %s at %s signed", self._version, self._key, self._server.host)
        return raw

    def prepare(self) -> None:
        """Make sure that there is a token; whether it may sign only signing tells."""
        self._server.require_token()

    def properties(self) -> Mapping[str, str]:
        """See `ExternalSigner.properties`: without the right to read the key, where it is."""
        place = f"{self._server.mount}/{self._key}"
        shown = {"server": self._server.host, "key": place, "version": str(self._version)}
        try:
            return {**shown, **_KeyState(self._server, self._key).shown(self._version)}
        except KeyPermissionError as error:
            return {
                **shown,
                "settings": f"not shown: the token has no {error.facts['right']} on {error.facts['path']}",
            }


class _KeyState:
    """What the server says of a key: its type, versions and settings."""

    def __init__(self, server: VaultServer, key: str) -> None:
        self._server, self._key = server, key
        answer = server.ask(VaultRequest("GET", f"keys/{key}", "read"))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(server, key, 0, answer)
        self._data: Mapping[str, Any] = answer.data if isinstance(answer.data, dict) else {}
        self._type = self._data.get("type")
        if not isinstance(self._type, str):
            raise server.misunderstood("it does not say what kind of key this is")
        if self._type not in _TYPES:
            raise _no_signer(server, key, f"its type is {self._type[:40]}")
        keys = self._data.get("keys")
        self._keys: Mapping[str, object] = keys if isinstance(keys, dict) else {}

    def version_of(self, public: PublicKey | None) -> int:
        """Return the version with a public half; the newest where none is known."""
        versions = sorted((int(name) for name in self._keys if _VERSION.fullmatch(name)), reverse=True)
        for version in versions:
            if public is None or self.public(version) == public:
                return version
        if public is None:
            raise self._server.misunderstood("it lists no version of the key")
        raise KeyMissingError(
            f"no version of the key {self._key} at {self._server.host} is the key {public.keyid[:7]}",
            advice=Advice("add-changed-key"),
            keyid=public.keyid,
            host=self._server.host,
        )

    def public(self, version: int) -> PublicKey:
        """Return the public half of a version that signs; raise KeyDisabledError, KeyMissingError."""
        if self._data.get("soft_deleted"):
            raise _deleted(self._server, self._key, "it is soft-deleted")
        entry = self._keys.get(str(version))
        if entry is None or version < self._number("min_encryption_version"):
            raise self._gone(version)
        try:
            public = public_key_of(load_pem_public_key(entry["public_key"].encode()))  # type: ignore[index]
        except (TypeError, KeyError, AttributeError, ValueError, UnsupportedAlgorithm):
            raise self._server.misunderstood("it has no public key that can be read") from None
        if not str(self._type).startswith(f"{public.keytype}-"):
            raise self._server.misunderstood(f"it calls an {public.keytype} key {self._type}")
        return public

    def shown(self, version: int) -> Mapping[str, str]:
        """Return the type, versions and settings for people."""
        newest = self._number("latest_version")
        older = "" if version == newest else f"; the newest is {newest}"
        return {
            "type": str(self._type),
            "version": f"{version}{older}",
            "oldest version that signs": str(max(1, *map(self._number, _OLDEST))),
            **{name: risk if self._data.get(field) else "no" for field, (name, risk) in _RISKS.items()},
        }

    def _number(self, field: str) -> int:
        value = self._data.get(field)
        return value if isinstance(value, int) else 0

    def _gone(self, version: int) -> KeyDisabledError | KeyMissingError:
        newest = self._number("latest_version")
        place = f"the key {self._key} at {self._server.host}"
        if version > newest:
            message, why = f"{place} has no version {version}", f"its newest is {newest}"
            return KeyMissingError(message, why=why, host=self._server.host)
        if version < self._number("min_available_version"):
            advice = Advice("add-vault-version", key=self._key)
            return _old_version(self._server, self._key, version, "it was trimmed, and is gone", advice)
        above = [name for name in _OLDEST if self._number(name) > version]
        path, settings = f"{self._server.mount}/keys/{self._key}", (f"{name}={version}" for name in above)
        advice = Advice("allow-vault-version", path=path, settings=" ".join(settings))
        why = f"{' and '.join(above) or 'something'} is above it"
        return _old_version(self._server, self._key, version, why, advice)


def _parsed(uri: str) -> tuple[str, int]:
    """Return the key's name and its version, 0 if none is named; raise UsageError (rule 1)."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise UsageError(
            "this URI names no key of Vault or OpenBao",
            why="it is hashivault://KEY or hashivault://KEY?version=N, KEY of letters, digits, . _ and -",
            advice=Advice("write-vault-uri"),
        )
    return found[1], int(found[2] or 0)


def _refused(
    server: VaultServer, key: str, version: int, answer: VaultAnswer
) -> KeyAccessError | ServerError:
    """Return the error for an answer 400, 404 or 500 about a key, or about a version of it."""
    facts: dict[str, Any] = {"host": server.host, "key": key, "status": answer.status}
    place, said = f"{server.mount}/ at {server.host}", answer.said
    if answer.status == HTTPStatus.NOT_FOUND and said:
        message, advice = f"there is no transit secrets engine in {place}", Advice("name-vault-mount")
        return KeyMissingError(message, why=said, advice=advice, **facts)
    if answer.status == HTTPStatus.NOT_FOUND or "not found" in said:
        message, advice = f"there is no key {key} in {place}", Advice("name-vault-mount")
        return KeyMissingError(message, why=said or (), advice=advice, **facts)
    if answer.status == HTTPStatus.BAD_REQUEST and "not support" in said:
        return _no_signer(server, key, said)
    if "soft-deleted" in said:
        return _deleted(server, key, said)
    if "version" in said:
        advice = Advice("look-at-vault-version", key=key, path=f"{server.mount}/keys/{key}", version=version)
        return _old_version(server, key, version, said, advice)
    return ServerError(f"{server.host} answered with status {answer.status}", why=said, **facts)


def _old_version(server: VaultServer, key: str, version: int, why: str, advice: Advice) -> KeyDisabledError:
    return KeyDisabledError(
        f"{server.host} does not sign with version {version} of the key {key}",
        why=why,
        advice=advice,
        host=server.host,
        key=key,
        version=version,
    )


def _deleted(server: VaultServer, key: str, why: str) -> KeyDisabledError:
    message, advice = (
        f"the key {key} at {server.host} is deleted",
        Advice("restore-vault-key", path=f"{server.mount}/keys/{key}"),
    )
    return KeyDisabledError(message, why=why, advice=advice, host=server.host, key=key)


def _exists(server: VaultServer, key: str) -> AlreadyExistsError:
    message, advice = (
        f"there is a key {key} in {server.mount}/ at {server.host}",
        Advice("add-vault-key", key=key),
    )
    return AlreadyExistsError(message, advice=advice, host=server.host, key=key)


def _no_signer(server: VaultServer, key: str, why: str) -> UnsupportedKeyError:
    message, advice = f"the key {key} at {server.host} cannot sign for Notary", Advice("make-vault-key")
    return UnsupportedKeyError(message, why=why, advice=advice, host=server.host, key=key)
