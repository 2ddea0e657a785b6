"""Keys in Vault and OpenBao, before a fake server that answers as it likes; the real one is in interop."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import ssl
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    KeyChangedError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ResponseLimitError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.cosignsigner import CosignSigner
from notarypy.keys.signers.hashivault import HashivaultSigner
from notarypy.tuf import envelope
from notarypy.tuf.keys import public_key_of
from support.loopback import Drip, Server
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOKEN = "s.CJznhvtJMjV5Ug3vLVwZrGKh"
CHAIN = PassphraseChain([])
NOTHING: Mapping[str, object] = {}


def http(status: int, body: bytes, *more: bytes) -> bytes:
    head = [
        b"HTTP/1.1 %d X" % status,
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *more,
    ]
    return b"\r\n".join([*head, b"", body])


def errors(*texts: str) -> bytes:
    return json.dumps({"errors": texts}).encode()


class Vault:
    """A transit engine with one key; what is in `answers` is said first, in order."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.keys: list[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]
        self.keys = [ec.generate_private_key(ec.SECP256R1())]
        self.state: dict[str, object] = {"type": "ecdsa-p256"}
        self.answers: list[Any] = []
        self.running = True
        self.server = Server(self._answer, tls)
        self.environ = {
            "VAULT_ADDR": self.server.url().rstrip("/"),
            "VAULT_TOKEN": TOKEN,
            "HOME": "/nonexistent",
        }

    def close(self) -> None:
        if self.running:
            self.running = False
            self.server.close()

    def requests(self) -> list[str]:
        return [head.split(b" HTTP")[0].decode() for head in self.server.heads]

    def _answer(self, head: bytes, sock: socket.socket) -> object:
        if self.answers:
            answer = self.answers.pop(0)
            if callable(answer):
                return answer(head, sock)
            sock.sendall(answer)
            return True
        data = self.signature() if b"/sign/" in head else self.described()
        sock.sendall(http(200, json.dumps({"data": data}).encode()))
        return True

    def described(self) -> dict[str, object]:
        versions = {str(number): {"public_key": pem(key)} for number, key in enumerate(self.keys, 1)}
        return {"keys": versions, "latest_version": len(self.keys), **self.state}

    def signature(self) -> dict[str, object]:
        asked = json.loads(self.server.bodies[-1])
        assert (asked["prehashed"], asked["hash_algorithm"]) == (True, "sha2-256")
        key = self.keys[asked["key_version"] - 1]
        digest = base64.b64decode(asked["input"])
        if isinstance(key, rsa.RSAPrivateKey):
            assert asked["signature_algorithm"] == "pkcs1v15"
            raw = key.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))
        else:
            der = key.sign(digest, ec.ECDSA(Prehashed(SHA256())))
            raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return {"signature": f"vault:v{asked['key_version']}:{text}"}

    def context(self, *, known: bool = True, timeout: float = 30, **environ: str) -> SignerContext:
        public = public_key_of(self.keys[0]) if known else None
        request = PassphraseRequest("", "jeff")
        return SignerContext(request, CHAIN, {**self.environ, **environ}, timeout, public)

    def signer(self, uri: str = "hashivault://release?version=1", **options: Any) -> HashivaultSigner:  # noqa: ANN401 - passed on
        return HashivaultSigner.open(uri, self.context(**options))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def vault() -> Iterator[Vault]:
    running = Vault()
    yield running
    running.close()


def test_rsa_signs_as_pkcs1v15_for_cosign(vault: Vault) -> None:
    vault.keys, vault.state = [fresh_key(2048)], {"type": "rsa-2048"}
    signer = CosignSigner(vault.signer("hashivault://release", known=False), "there")
    assert signer.key.verify(signer.sign(b"message"), b"message")
    assert vault.requests() == ["GET /v1/transit/keys/release", "POST /v1/transit/sign/release"]


# -- URIs and what is asked


@pytest.mark.parametrize("key", ["k", "_", "release", "a.b-c_d", "K9"])
def test_rule_1_what_cosign_takes_is_a_uri(vault: Vault, key: str) -> None:
    signer = vault.signer(f"hashivault://{key}", known=False)
    assert signer.uri == f"hashivault://{key}?version=1"
    assert vault.requests() == [f"GET /v1/transit/keys/{key}"]


@pytest.mark.parametrize(
    "rest",
    [
        *(
            "",
            "//",
            "///k",
            "//-k",
            "//k-",
            "//.k",
            "//a/b",
            "//a%2fb",
            "//k?",
            "//k?version=",
            "//k?version=0",
        ),
        *(
            "//k?version=01",
            "//k?version=-1",
            "//k?version=1&version=2",
            "//k?mount=x",
            "//k#1",
            "//k\n",
            "//ké",
        ),
        *("//k?version=1234567890", "//h:8200/k", "//\u0661", "//k?version=\u0661"),
    ],
)
def test_rule_1_other_uris_are_refused_before_anything_is_asked(vault: Vault, rest: str) -> None:
    with pytest.raises(UsageError, match="names no key of Vault"):
        vault.signer(f"hashivault:{rest}")
    assert vault.requests() == []


def test_rule_1_the_newest_version_is_noted_and_stays(vault: Vault, tmp_path: Path) -> None:
    vault.keys.append(ec.generate_private_key(ec.SECP256R1()))
    noted = KeyStore(tmp_path, environ=vault.environ).refer("hashivault://release", "jeff", CHAIN)
    assert noted.uri == "hashivault://release?version=2"
    vault.keys.append(ec.generate_private_key(ec.SECP256R1()))
    signer = KeyStore(tmp_path, environ=vault.environ).unlock(noted.keyid, CHAIN)
    method, signature = signer.sign(b"message")
    assert envelope.verify(public_key_of(vault.keys[1]), method, signature, b"message")


def test_rule_1_a_known_key_is_found_among_the_versions(vault: Vault) -> None:
    vault.keys += [ec.generate_private_key(ec.SECP256R1()) for _ in range(10)]
    assert vault.signer("hashivault://release").uri == "hashivault://release?version=1"
    vault.keys[0] = ec.generate_private_key(ec.SECP256R1())
    known = vault.context()
    vault.keys[0] = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KeyMissingError, match="no version of the key release"):
        HashivaultSigner.open("hashivault://release", known)


def test_rule_2_signing_is_one_request_and_opening_none(vault: Vault) -> None:
    signer = vault.signer()
    assert vault.requests() == []
    for _ in range(3):
        signer.sign(b"message")
    assert vault.requests() == ["POST /v1/transit/sign/release"] * 3
    assert vault.server.connections == 1


def test_the_engine_is_where_the_environment_says(vault: Vault) -> None:
    more = {"TRANSIT_SECRET_ENGINE_PATH": "/team/keys/", "VAULT_NAMESPACE": "/ns/"}
    vault.signer(**more).sign(b"message")
    assert vault.requests() == ["POST /v1/team/keys/sign/release"]
    (head,) = vault.server.heads
    assert b"X-Vault-Namespace: ns\r\n" in head
    assert b"X-Vault-Request: true\r\n" in head


def test_what_is_shown_of_a_key(vault: Vault) -> None:
    vault.keys.append(ec.generate_private_key(ec.SECP256R1()))
    vault.state |= {"exportable": True, "min_decryption_version": 1, "deletion_allowed": True}
    assert vault.signer().properties() == {
        "server": vault.server.url("").removeprefix("http://"),
        "key": "transit/release",
        "type": "ecdsa-p256",
        "version": "1; the newest is 2",
        "oldest version that signs": "1",
        "exportable": "yes: the private half can be read with read on export/signing-key",
        "plaintext backup": "no",
        "deletion": "allowed: delete on keys destroys it for good",
    }


def test_who_may_sign_and_not_read_is_shown_where_the_key_is(vault: Vault) -> None:
    vault.answers = [http(403, errors("permission denied"))]
    shown = vault.signer().properties()
    assert (shown["key"], shown["version"]) == ("transit/release", "1")
    assert shown["settings"] == "not shown: the token has no read on transit/keys/release"


def test_whether_there_is_a_token_is_known_before_anything_is_asked(vault: Vault) -> None:
    vault.signer().prepare()
    with pytest.raises(AuthenticationError, match="no token"):
        vault.signer(VAULT_TOKEN="").prepare()
    assert vault.requests() == []


# -- keys that cannot be used


@pytest.mark.parametrize("kind", ["ed25519", "aes256-gcm96", "hmac", "managed_key", "x" * 1000])
def test_keys_of_other_types_are_refused_with_what_to_make(vault: Vault, kind: str) -> None:
    vault.state["type"] = kind
    with pytest.raises(UnsupportedKeyError, match="cannot sign for Notary") as caught:
        vault.signer(known=False)
    assert len(caught.value.why[0]) < 80
    assert "type=ecdsa-p256" in advice(caught.value)


def test_a_version_that_is_not_there_is_missing_or_too_old(vault: Vault) -> None:
    with pytest.raises(KeyMissingError, match="has no version 7"):
        vault.signer("hashivault://release?version=7", known=False)
    vault.state["min_encryption_version"] = 2
    vault.keys.append(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(KeyDisabledError, match="does not sign with version 1") as caught:
        vault.signer(known=False)
    assert "/config min_encryption_version=1;" in advice(caught.value)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"min_decryption_version": 2}, "/config min_decryption_version=1;"),
        (
            {"min_decryption_version": 2, "min_encryption_version": 2},
            "min_decryption_version=1 min_encryption_version=1;",
        ),
        (
            {"min_decryption_version": 2, "min_available_version": 2},
            "notarypy key add hashivault://release --name",
        ),
    ],
)
def test_what_holds_a_version_back_is_what_to_lower(vault: Vault, state: dict[str, int], says: str) -> None:
    vault.keys.append(ec.generate_private_key(ec.SECP256R1()))
    vault.state.update(state, keys={"2": {"public_key": pem(vault.keys[1])}}, latest_version=2)
    with pytest.raises(KeyDisabledError, match="does not sign with version 1") as caught:
        vault.signer(known=False)
    assert says in advice(caught.value)


def test_who_may_only_sign_is_told_where_to_look(vault: Vault) -> None:
    vault.answers = [http(500, errors("no such key version"))]
    with pytest.raises(KeyDisabledError) as caught:
        vault.signer().sign(b"message")
    assert "bao read transit/keys/release" in advice(caught.value)
    assert "min_decryption_version=1 min_encryption_version=1" in advice(caught.value)


def test_a_key_that_is_deleted_softly_is_not_added(vault: Vault) -> None:
    vault.state["soft_deleted"] = True
    with pytest.raises(KeyDisabledError, match="is deleted") as caught:
        vault.signer(known=False)
    assert "transit/keys/release/soft-delete-restore" in advice(caught.value)


def test_another_key_behind_the_name_signs_nothing(vault: Vault, tmp_path: Path) -> None:
    store = KeyStore(tmp_path, environ=vault.environ)
    noted = store.refer("hashivault://release", "jeff", CHAIN)
    vault.keys[0] = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KeyChangedError):
        store.unlock(noted.keyid, CHAIN).sign(b"message")


def test_rule_4_a_key_is_made_where_there_is_none(vault: Vault) -> None:
    vault.answers = [http(404, errors()), http(204, b"")]
    made = HashivaultSigner.generate("hashivault://release", vault.context(known=False), "ecdsa")
    assert made.uri == "hashivault://release?version=1"
    assert vault.requests() == [f"{method} /v1/transit/keys/release" for method in ("GET", "POST", "GET")]
    assert json.loads(vault.server.bodies[1]) == {"type": "ecdsa-p256"}


def test_a_key_that_is_made_and_may_not_be_read_is_named(vault: Vault) -> None:
    vault.answers = [http(404, errors()), http(204, b""), http(403, errors("permission denied"))]
    with pytest.raises(KeyPermissionError) as caught:
        HashivaultSigner.generate("hashivault://release", vault.context(known=False), "ecdsa")
    assert caught.value.why[-1] == "the key is made, and is hashivault://release"


def test_rule_4_a_key_that_is_there_is_not_made(vault: Vault) -> None:
    with pytest.raises(AlreadyExistsError, match="there is a key release"):
        HashivaultSigner.generate("hashivault://release", vault.context(known=False), "ecdsa")
    with pytest.raises(UsageError, match="no version yet"):
        HashivaultSigner.generate("hashivault://release?version=1", vault.context(known=False), "ecdsa")
    with pytest.raises(UnsupportedKeyError, match="type ed25519"):
        HashivaultSigner.generate("hashivault://release", vault.context(known=False), "ed25519")
    assert len(vault.requests()) == 1


def test_rule_4_a_key_of_another_kind_that_somebody_made_meanwhile_is_not_taken(vault: Vault) -> None:
    vault.answers = [http(404, errors())]
    with pytest.raises(AlreadyExistsError, match="there is a key release"):
        HashivaultSigner.generate("hashivault://release", vault.context(known=False), "rsa")


# -- refusals


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (http(403, errors("1 error occurred:\n\t* permission denied\n")), KeyPermissionError, "update tra"),
        (http(401, b""), KeyPermissionError, "update transit/sign/release"),
        (http(404, errors('no handler for route "x". route entry not')), KeyMissingError, "no transit"),
        (http(404, errors()), KeyMissingError, "no key release in transit/"),
        (http(400, errors("signing key not found")), KeyMissingError, "no key release in transit/"),
        (http(400, errors("key type hmac does not support signing")), UnsupportedKeyError, "cannot sign"),
        (http(400, errors("hash algorithm is unknown")), ServerError, "status 400"),
        (http(500, errors("requested version for signing is less than")), KeyDisabledError, "version 1"),
        (http(500, errors("no such key version")), KeyDisabledError, "version 1"),
        (http(500, errors("refusing to use soft-deleted key")), KeyDisabledError, "is deleted"),
        (http(500, errors("internal error")), ServerError, "status 500"),
        (http(503, errors("Vault is sealed")), ServerError, "is sealed"),
        (http(503, b"<html>"), ServerError, "status 503"),
        (http(502, b""), ServerError, "status 502"),
        (http(472, b"{}"), ServerError, "status 472"),
        (http(473, b"{}"), ServerError, "status 473"),
        (http(405, errors("unsupported operation")), ServerError, "status 405"),
        (http(404, b"<html><title>Not here</title>"), ServerError, "cannot be used"),
        (http(200, b"<html>"), ServerError, "cannot be used"),
        (http(200, b"[]"), ServerError, "cannot be used"),
        (http(200, b"{}"), ServerError, "cannot be used"),
        (http(200, b'{"data": {"signature": 7}}'), ServerError, "cannot be used"),
        (http(200, b'{"data": {"signature": "vault:v2:AAAA"}}'), ServerError, "cannot be used"),
        (http(200, b'{"data": {"signature": "vault:v1:A"}}'), ServerError, "cannot be used"),
        (http(200, b'{"data": {"signature": "v1:AAAA"}}'), ServerError, "cannot be used"),
        (http(204, b""), ServerError, "cannot be used"),
        (http(200, b"[" * 100_000), ServerError, "cannot be used"),
        (b"SSH-2.0-OpenSSH\r\n", NetworkError, "not HTTP"),
        (lambda _, __: False, NetworkError, "was lost"),
    ],
)  # fmt: skip
def test_each_refusal_is_an_error_of_its_own(
    vault: Vault, answer: object, error: type[NotarypyError], says: str
) -> None:
    vault.answers = [answer]
    with pytest.raises(error, match=says) as caught:
        vault.signer().sign(b"message")
    assert advice(caught.value)
    assert len(vault.requests()) == 1


@pytest.mark.parametrize(
    "data",
    [
        *(
            {},
            {"type": 7},
            {"type": "ecdsa-p256"},
            {"keys": []},
            {"keys": {"1": 1795930322}},
            {"keys": {"a": {}}},
        ),
        *({"keys": {"1": {}}}, {"keys": {"1": {"public_key": 7}}}, {"keys": {"1": {"public_key": "no key"}}}),
    ],
)
def test_descriptions_that_say_nothing_are_no_keys(vault: Vault, data: dict[str, object]) -> None:
    whole = data and {"type": "ecdsa-p256", "latest_version": 1, **data}
    vault.answers = [http(200, json.dumps({"data": whole}).encode())]
    with pytest.raises(ServerError, match="cannot be used"):
        vault.signer("hashivault://release", known=False)


def test_a_key_that_is_of_another_kind_than_it_says_is_refused(vault: Vault) -> None:
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    text = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    data = {"type": "ecdsa-p256", "latest_version": 1, "keys": {"1": {"public_key": text}}}
    vault.answers = [http(200, json.dumps({"data": data}).encode())]
    with pytest.raises(ServerError, match="cannot be used"):
        vault.signer("hashivault://release", known=False)


@pytest.mark.parametrize("status", [429, 503])
def test_rule_3_of_servers_what_is_put_off_is_asked_for_once_more(vault: Vault, status: int) -> None:
    busy = http(
        status, errors('request path "transit/sign/release": rate limit quota exceeded'), b"Retry-After: 0"
    )
    vault.answers = [busy]
    vault.signer().sign(b"message")
    assert len(vault.requests()) == 2
    vault.answers = [busy] * 9
    with pytest.raises(ServerError, match=r"asked too often|status 503"):
        vault.signer().sign(b"message")
    assert len(vault.requests()) == 4


def test_rule_3_of_servers_a_wait_beyond_the_deadline_is_not_waited_for(vault: Vault) -> None:
    vault.answers = [http(429, errors(), b"Retry-After: 3600")]
    with pytest.raises(ThrottledError):
        vault.signer().sign(b"message")
    assert len(vault.requests()) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_rule_1_of_servers_the_token_goes_nowhere_else(vault: Vault, status: int) -> None:
    other = Vault()
    there = other.server.url("/v1/transit/sign/release").encode()
    same = b"/v1/transit/sign/release"
    for place in (there, same):
        vault.answers = [http(status, b"", b"Location: " + place)]
        with pytest.raises(ServerError, match=f"status {status}") as caught:
            vault.signer().sign(b"message")
        assert "VAULT_ADDR name the active server" in advice(caught.value)
    other.server.close()
    assert other.server.heads == []
    assert len(vault.requests()) == 2


@pytest.mark.parametrize("status", [200, 403, 500])
def test_answers_without_an_end_are_not_read_to_it(vault: Vault, status: int) -> None:
    drip = Drip(b"HTTP/1.1 %d X\r\nContent-Length: 9999999999\r\n\r\n" % status, b" " * 65536, 1000)
    vault.answers = [drip]
    with pytest.raises((ResponseLimitError, KeyPermissionError, ServerError)):
        vault.signer().sign(b"message")
    vault.close()
    assert drip.sent < drip.count


def test_answers_that_trickle_meet_the_deadline(vault: Vault) -> None:
    drip = Drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 1000, 0.05)
    vault.answers = [drip]
    with pytest.raises(DeadlineError, match="took too long"):
        vault.signer(timeout=0.3).sign(b"message")
    vault.close()
    assert drip.sent < drip.count


def test_no_server_and_no_name(vault: Vault) -> None:
    vault.close()
    with pytest.raises(UnreachableError, match="cannot connect") as caught:
        vault.signer().sign(b"message")
    assert caught.value.why[-1] == "VAULT_ADDR names this server"


# -- the environment


@pytest.mark.parametrize(
    ("environ", "error", "says"),
    [
        ({"VAULT_ADDR": ""}, ConfigurationError, "where the Vault server is"),
        ({"VAULT_ADDR": "vault.example.com"}, ConfigurationError, "https://"),
        (
            {"VAULT_ADDR": "http://vault.example.com:8200"},
            ConfigurationError,
            "VAULT_ADDR must begin with https",
        ),
        ({"VAULT_ADDR": "unix:///run/vault"}, ConfigurationError, "https://"),
        ({"VAULT_ADDR": "https://me:secret@vault"}, ConfigurationError, "user or a password"),
        ({"VAULT_ADDR": "https://vault/?a=b"}, ConfigurationError, "not the address"),
        ({"VAULT_SKIP_VERIFY": "true"}, ConfigurationError, "VAULT_SKIP_VERIFY is set"),
        ({"VAULT_SKIP_VERIFY": "1"}, ConfigurationError, "VAULT_SKIP_VERIFY is set"),
        ({"VAULT_TOKEN": ""}, AuthenticationError, "there is no token"),
        ({"VAULT_NAMESPACE": "x\r\ny: z"}, ConfigurationError, "VAULT_NAMESPACE names no namespace"),
        ({"TRANSIT_SECRET_ENGINE_PATH": "../sys"}, ConfigurationError, "PATH does not name an"),
        ({"TRANSIT_SECRET_ENGINE_PATH": "a/./b"}, ConfigurationError, "PATH does not name an"),
        ({"TRANSIT_SECRET_ENGINE_PATH": "a//b"}, ConfigurationError, "PATH does not name an"),
        ({"VAULT_TOKEN": "two words"}, ConfigurationError, "VAULT_TOKEN holds no token"),
        (
            {"VAULT_TOKEN": "s.x\r\nX-Vault-Namespace: other"},
            ConfigurationError,
            "VAULT_TOKEN holds no token",
        ),
    ],
)
def test_an_environment_that_will_not_do(
    vault: Vault, environ: dict[str, str], error: type[NotarypyError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        vault.signer(**environ).sign(b"message")
    assert advice(caught.value)
    assert "secret" not in str(vars(caught.value))
    assert vault.requests() == []


def test_a_certificate_may_be_looked_at_again(vault: Vault) -> None:
    vault.signer(VAULT_SKIP_VERIFY="false").sign(b"message")


def test_rule_1_of_environments_a_token_of_the_other_family_is_none(vault: Vault, tmp_path: Path) -> None:
    bao = {"VAULT_ADDR": "", "VAULT_TOKEN": "s.vault", "BAO_ADDR": vault.environ["VAULT_ADDR"]}
    with pytest.raises(AuthenticationError, match="no token") as caught:
        vault.signer(**bao).sign(b"message")
    assert "BAO_TOKEN is not set" in caught.value.why[0]
    vault.signer(**bao, BAO_TOKEN="s.bao", BAO_NAMESPACE="ns").sign(b"message")
    assert b"X-Vault-Token: s.bao\r\n" in vault.server.heads[-1]
    (tmp_path / ".vault-token").write_text("s.file\n")
    signer = vault.signer(**bao, HOME=str(tmp_path))
    signer.sign(b"message")
    assert b"X-Vault-Token: s.file\r\n" in vault.server.heads[-1]
    (tmp_path / ".vault-token").write_text("s.renewed\n")
    signer.sign(b"message")
    assert b"X-Vault-Token: s.renewed\r\n" in vault.server.heads[-1]
    with pytest.raises(ConfigurationError, match="BAO_ADDR"):
        vault.signer(VAULT_ADDR="", BAO_ADDR="http://bao.example.com")


def test_rule_2_of_environments_certificates_count(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    folder = tmp_path / "authorities"
    folder.mkdir()
    vault = Vault(tls)
    try:
        with pytest.raises(TlsError, match="cannot trust") as caught:
            vault.signer().sign(b"message")
        assert "VAULT_CACERT=FILE" in advice(caught.value)
        assert vault.requests() == []
        with pytest.raises(ConfigurationError, match="without certificates"):
            vault.signer(VAULT_CAPATH=str(folder)).sign(b"message")
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        vault.signer(VAULT_CACERT=str(folder / "ca.pem")).sign(b"message")
        vault.signer(VAULT_CAPATH=str(folder)).sign(b"message")
        with pytest.raises(TlsError, match="cannot use the CA file") as caught:
            vault.signer(VAULT_CACERT=str(tmp_path / "none")).sign(b"message")
        assert caught.value.why == ("there is no such file", f"VAULT_CACERT is {tmp_path / 'none'}")
    finally:
        vault.close()


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ("VAULT_CACERT", "it is a folder"),
        ("VAULT_CLIENT_CERT", "they are not a PEM certificate"),
        ("VAULT_CLIENT_KEY", "they are not a PEM certificate"),
        ("VAULT_CAPATH", "it holds no certificate"),
    ],
)
def test_a_file_of_no_use_is_told_with_its_variable(tmp_path: Path, variable: str, why: str) -> None:
    (tmp_path / "file").write_text("nothing")
    pair = {"VAULT_CLIENT_CERT": str(tmp_path / "file"), "VAULT_CLIENT_KEY": str(tmp_path / "file")}
    environ = {"VAULT_ADDR": "https://localhost:1", "VAULT_TOKEN": TOKEN}
    environ |= pair if "CLIENT" in variable else {variable: str(tmp_path)}
    known = public_key_of(ec.generate_private_key(ec.SECP256R1()))
    context = SignerContext(PassphraseRequest("", "jeff"), CHAIN, environ, 5, known)
    with pytest.raises(TlsError) as caught:
        HashivaultSigner.open("hashivault://release?version=1", context).sign(b"message")
    assert caught.value.why[0].startswith(why)
    assert f"{variable} is {environ[variable]}" in caught.value.why


@pytest.mark.parametrize("variable", ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"])
def test_a_proxy_that_is_none_is_told_with_its_variable(vault: Vault, variable: str) -> None:
    more = {"VAULT_ADDR": "https://vault.example.com:8200", variable: "socks5://me:secret@proxy:1080"}
    with pytest.raises(ConfigurationError, match=f"^{variable} does not name a usable proxy") as caught:
        vault.signer(**more).sign(b"message")
    assert "secret" not in str(vars(caught.value))


def test_http_to_a_server_that_wants_tls_says_so(vault: Vault) -> None:
    vault.answers = [http(400, b"Client sent an HTTP request to an HTTPS server.\n")]
    with pytest.raises(ServerError) as caught:
        vault.signer().sign(b"message")
    assert caught.value.why == ("it speaks TLS there",)
    assert "VAULT_ADDR=https://" in advice(caught.value)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "VAULT_HTTP_PROXY", "VAULT_PROXY_ADDR"])
def test_the_way_through_a_proxy(vault: Vault, variable: str) -> None:
    vault.answers = [http(502, b"")]
    more = {"VAULT_ADDR": "https://vault.example.com:8200", variable: vault.server.url("")}
    with pytest.raises(NetworkError):
        vault.signer(**more).sign(b"message")
    assert vault.requests() == ["CONNECT vault.example.com:8200"]
    assert TOKEN.encode() not in vault.server.heads[0]


# -- secrets, threads, processes


@pytest.mark.parametrize("status", [200, 307, 400, 403, 404, 429, 500, 503])
def test_rule_2_of_servers_a_token_that_the_server_repeats_is_not_shown(
    vault: Vault, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault.answers = [
        http(status, errors(f"bad token {TOKEN}"), f"Location: https://h/{TOKEN}".encode(), b"Retry-After: 0")
    ] * 3
    with pytest.raises(NotarypyError) as caught:
        vault.signer().sign(b"message")
    assert TOKEN.encode() in vault.server.heads[0]
    shown = "".join(traceback.format_exception(caught.value)) + str(vars(caught.value)) + caplog.text
    assert TOKEN not in shown


def test_signers_are_used_from_several_threads(vault: Vault) -> None:
    signer, public = vault.signer(), public_key_of(vault.keys[0])
    messages = [str(number).encode() for number in range(48)]
    with ThreadPoolExecutor(16) as pool:
        signed = list(pool.map(signer.sign, messages))
    assert all(
        envelope.verify(public, *made, message) for made, message in zip(signed, messages, strict=True)
    )
    assert vault.server.connections <= 16


def test_a_signer_that_nobody_has_any_more_closes_its_connections(vault: Vault) -> None:
    signer = vault.signer()
    signer.sign(b"message")
    gc.disable()  # not when the next circle of garbage is looked for, but at once
    try:
        del signer
        assert vault.server.is_left()
    finally:
        gc.enable()


def test_rule_4_of_servers_a_process_does_not_use_its_parents_connections(vault: Vault) -> None:
    signer = vault.signer()
    signer.sign(b"message")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fake server has threads, and the child does without them
        child = os.fork()
    if child == 0:  # no assertion reaches pytest from here
        try:
            signer.sign(b"message")
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is to hear of it
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    signer.sign(b"message")
    assert vault.server.connections == 2
    assert len(vault.requests()) == 3
