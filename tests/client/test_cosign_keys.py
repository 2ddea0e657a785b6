"""Which key signs images as cosign does: by every word that means a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy.client.keys import keyfiles
from notarypy.client.keys.manager import KeyManager
from notarypy.cosign import signaturekeys
from notarypy.errors import (
    Advice,
    ConfigurationError,
    KeyMissingError,
    PassphraseNeededError,
    PinWrongError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.formats import cosignkey
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.base import given
from notarypy.testing import FakeSigner, fake_kms
from support.rsakeys import kept_key

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.keys.formats.pkcs8 import PrivateKey
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.signers.cosignsigner import CosignSigner
    from notarypy.testing import FakeKms

__all__ = ["fake_kms"]
PASSPHRASE = "passphrase of a test"
EC, RSA, ED = (
    ec.generate_private_key(ec.SECP256R1()),
    kept_key(2048),
    ed25519.Ed25519PrivateKey.generate(),
)


@pytest.fixture
def asked() -> list[PassphraseRequest]:
    """Every question for a passphrase."""
    return []


@pytest.fixture
def manager(tmp_path: Path, asked: list[PassphraseRequest]) -> KeyManager:
    def answer(request: PassphraseRequest) -> str:
        asked.append(request)
        return PASSPHRASE

    chain = PassphraseChain([CallbackSource(answer, pins=True)])
    return KeyManager(KeyStore(tmp_path / "private"), chain)


def signs(signer: CosignSigner) -> str:
    """Return the id of a key that signs."""
    assert signer.key.verify(signer.sign(b"message"), b"message")
    return signer.key.public.keyid


def pem_of(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("key", [EC, RSA], ids=["ecdsa", "rsa"])
def test_a_key_of_the_trust_directory_by_its_name_and_its_id(manager: KeyManager, key: PrivateKey) -> None:
    info = manager.store.add(key, "jeff", None, PASSPHRASE)
    manager = KeyManager(KeyStore(manager.store.directory), manager.passphrases)
    assert signs(manager.cosign_signer("jeff")) == signs(manager.cosign_signer(info.keyid[:7])) == info.keyid


@pytest.mark.parametrize("key", [EC, RSA, ED], ids=["ecdsa", "rsa", "ed25519"])
def test_a_file_is_opened_for_this_run_alone(manager: KeyManager, tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / "release.pem").write_bytes(pem_of(key))
    assert signs(manager.cosign_signer(str(tmp_path / "release.pem")))
    assert manager.store.list() == []


def test_a_file_with_a_passphrase_is_asked_for_by_its_name(
    manager: KeyManager, tmp_path: Path, asked: list[PassphraseRequest]
) -> None:
    (tmp_path / "release.pem").write_bytes(keyfile.seal(EC, "jeff", None, PASSPHRASE))
    signs(manager.cosign_signer(str(tmp_path / "release.pem")))
    assert [request.name for request in asked] == ["jeff"]


def test_ed25519_keys_stay_none_of_notary(manager: KeyManager) -> None:
    with pytest.raises(UnsupportedKeyError, match="Ed25519"):
        manager.load(pem_of(ED), "jeff")


def test_a_file_with_several_keys_names_none(manager: KeyManager, tmp_path: Path) -> None:
    (tmp_path / "keys.pem").write_bytes(pem_of(EC) + pem_of(RSA))
    with pytest.raises(UsageError, match="several keys"):
        manager.cosign_signer(str(tmp_path / "keys.pem"))


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_uri_that_is_not_noted_is_opened_and_not_noted(
    manager: KeyManager, fake_kms: FakeKms, algorithm: str
) -> None:
    uri = fake_kms.make("release", "rsa" if algorithm == "rsa" else "ecdsa")
    assert signs(manager.cosign_signer(uri)) == fake_kms.keys["release"].public.keyid
    assert fake_kms.requests == ["open release", "sign release"]
    assert manager.store.list() == []


@pytest.mark.parametrize("word", ["jeff", "fakekms:release", "FAKEKMS:release"])
def test_a_reference_by_its_name_and_its_uri_takes_one_request(
    manager: KeyManager, fake_kms: FakeKms, word: str
) -> None:
    noted = manager.refer(fake_kms.make("release"), "jeff")
    manager = KeyManager(KeyStore(manager.store.directory), manager.passphrases)
    fake_kms.requests.clear()
    assert signs(manager.cosign_signer(word)) == noted.keyid
    assert fake_kms.requests == ["sign release"]


def test_the_pin_of_a_uri_is_asked_for_as_cosigns(
    manager: KeyManager, fake_kms: FakeKms, asked: list[PassphraseRequest]
) -> None:
    uri, fake_kms.pin = fake_kms.make("release"), "1234"
    with pytest.raises(PinWrongError):
        manager.cosign_signer(uri).sign(b"message")
    assert [(request.name, request.token) for request in asked] == [("cosign", "fakekms")]


def test_a_signer_that_was_given_needs_no_file(tmp_path: Path) -> None:
    for fake in (FakeSigner(), FakeSigner("rsa")):
        manager = KeyManager(KeyStore(tmp_path, given([fake])), PassphraseChain([]))
        assert signs(manager.cosign_signer(fake.public.keyid[:7])) == fake.public.keyid


@pytest.mark.parametrize("role", ["root", "snapshot", "timestamp"])
def test_keys_that_sign_no_images_in_notary_sign_none_here(
    manager: KeyManager, tmp_path: Path, role: str
) -> None:
    info = manager.store.add(EC, role, None if role == "root" else "registry.test/app", PASSPHRASE)
    (tmp_path / "it.pem").write_bytes(keyfile.seal(EC, role, "registry.test/app", PASSPHRASE))
    for word in (role, info.keyid, str(tmp_path / "it.pem")):
        with pytest.raises(UsageError, match=f"is a {role} key, which signs no images"):
            manager.cosign_signer(word)


def test_a_root_key_signs_no_images_whatever_names_it(
    manager: KeyManager, tmp_path: Path, fake_kms: FakeKms, cosign_file: Path
) -> None:
    """Its file without headers, cosign's file of it, its URI, and another URI of the same key."""
    manager.store.add(EC, "root", None, PASSPHRASE)
    (tmp_path / "bare.pem").write_bytes(pem_of(EC))
    uri = fake_kms.make("release")
    there = manager.refer(uri, "root")
    fake_kms.keys["alias"] = fake_kms.keys["release"]
    for word in (str(tmp_path / "bare.pem"), str(cosign_file), uri, "fakekms:alias"):
        with pytest.raises(UsageError, match="is a root key, which signs no images"):
            manager.cosign_signer(word)
        with pytest.raises(UsageError, match="is a root key, which signs no images"):
            keyfiles.public_file(manager, word)
    store = KeyStore(manager.store.directory, given([fake_kms.keys["release"]]))
    with pytest.raises(UsageError, match="is a root key, which signs no images"):
        KeyManager(store, manager.passphrases).cosign_signer(there.keyid[:7])
    with pytest.raises(UsageError, match="is a root key, which signs no images"):
        keyfiles.public_file(manager, there.keyid)


def test_a_targets_key_signs_images(manager: KeyManager) -> None:
    keyid = manager.store.add(EC, "targets", "registry.test/app", PASSPHRASE).keyid
    assert signs(manager.cosign_signer(keyid[:12])) == keyid


def test_what_is_not_here_is_missing(manager: KeyManager, tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError):
        manager.cosign_signer("jeff")
    with pytest.raises(UsageError, match="there is no file"):
        manager.cosign_signer(str(tmp_path / "none.pem"))


def test_a_secret_in_a_uri_is_refused(manager: KeyManager) -> None:
    with pytest.raises(UsageError) as caught:
        manager.cosign_signer("pkcs11:token=t;object=o?pin-value=987654")
    assert "987654" not in str([caught.value.message, caught.value.why, caught.value.facts])


def test_a_closed_key_without_a_passphrase_signs_nothing(manager: KeyManager) -> None:
    manager.store.add(EC, "jeff", None, PASSPHRASE)
    manager = KeyManager(KeyStore(manager.store.directory), PassphraseChain([]))
    with pytest.raises(PassphraseNeededError):
        manager.cosign_signer("jeff")


def test_offline_no_service_is_asked(tmp_path: Path, fake_kms: FakeKms) -> None:
    manager = KeyManager(KeyStore(tmp_path, offline=True), PassphraseChain([]))
    with pytest.raises(UsageError, match="asks a server"):
        manager.cosign_signer(fake_kms.make("release"))
    assert fake_kms.requests == []


# -- files of cosign


@pytest.fixture
def cosign_file(tmp_path: Path) -> Path:
    file = tmp_path / "release.key"
    file.write_bytes(cosignkey.encrypt(EC, PASSPHRASE, salt=b"s" * 32, nonce=b"n" * 24))
    return file


def test_a_key_file_of_cosign_signs_and_has_a_public_half(
    manager: KeyManager, cosign_file: Path, asked: list[PassphraseRequest]
) -> None:
    signer = manager.cosign_signer(str(cosign_file))
    assert signs(signer)
    assert [(request.name, request.cosign) for request in asked] == [("release", True)]
    assert keyfiles.public_file(manager, str(cosign_file)) == signer.key.pem


def test_a_key_file_of_cosign_becomes_a_key_of_notary(manager: KeyManager, cosign_file: Path) -> None:
    (stored,) = manager.load(cosign_file.read_bytes(), "jeff")
    assert signs(manager.cosign_signer("jeff")) == stored.keyid
    assert manager.export(["jeff"]).startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_an_import_takes_no_key_file_of_cosign(manager: KeyManager, cosign_file: Path) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        keyfiles.import_keys(manager, cosign_file.read_bytes())
    assert caught.value.advice == Advice("store-key")
    assert manager.store.list() == []


@pytest.mark.parametrize("key", [EC, RSA, ED], ids=["ecdsa", "rsa", "ed25519"])
def test_a_key_is_written_for_cosign(manager: KeyManager, tmp_path: Path, key: PrivateKey) -> None:
    info = manager.store.add(key, "jeff", None, PASSPHRASE)
    wanted: list[PassphraseRequest] = []

    def new(request: PassphraseRequest) -> str:
        wanted.append(request)
        return PASSPHRASE

    written = keyfiles.private_file(manager, "jeff", new)
    assert [(request.keyid, request.new, request.cosign) for request in wanted] == [(info.keyid, True, True)]
    (tmp_path / "cosign.key").write_bytes(written)
    assert signs(manager.cosign_signer(str(tmp_path / "cosign.key"))) == info.keyid
    with pytest.raises(ConfigurationError, match="too short"):
        keyfiles.private_file(manager, "jeff", lambda _: "short")


def test_what_is_not_written_for_cosign(manager: KeyManager, fake_kms: FakeKms) -> None:
    manager.refer(fake_kms.make("release"), "jeff")
    with pytest.raises(UnsupportedKeyError, match="stays where it is"):
        keyfiles.private_file(manager, "jeff", lambda _: PASSPHRASE)
    manager.store.add(EC, "root", None, PASSPHRASE)
    with pytest.raises(UsageError, match="is a root key, which signs no images"):
        keyfiles.private_file(manager, "root", lambda _: PASSPHRASE)


def test_a_public_half_has_no_headers_wherever_the_key_is(manager: KeyManager, fake_kms: FakeKms) -> None:
    noted = manager.refer(fake_kms.make("release"), "jeff")
    fake_kms.requests.clear()
    public = keyfiles.public_file(manager, "jeff")
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----\nM")
    assert signaturekeys.load(public).public.keyid == noted.keyid
    assert fake_kms.requests == []
    assert keyfiles.public_file(manager, fake_kms.make("other")) != public
    assert fake_kms.requests == ["open other"]
