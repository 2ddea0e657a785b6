"""The table of signers, and keys that are elsewhere: a backend is one class and one row."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy import files
from notarypy.errors import (
    BackendMissingError,
    KeyAccessError,
    KeyChangedError,
    PassphraseNeededError,
    StorageError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.formats import keyuri
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain, standard_chain
from notarypy.keys.signers import SIGNERS, backend, is_uri, keyfile
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.tuf import envelope
from support import budgets

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.testing import FakeKms

CHAIN = PassphraseChain([CallbackSource(lambda _: "passphrase1")])


def test_a_path_with_any_characters_makes_the_round_trip(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "a b%20#?é\udce9" / "private")
    keyid = store.add(ec.generate_private_key(ec.SECP256R1()), "jeff", None, "passphrase1").keyid
    assert KeyStore(store.directory).unlock(keyid, CHAIN).public.keyid == keyid


def test_the_log_names_sources_and_no_passphrase(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keyid = KeyStore(tmp_path).add(ec.generate_private_key(ec.SECP256R1()), "jeff", None, "passphrase1").keyid
    wrong = CallbackSource(lambda _: "passphrase2", "the first source")
    right = CallbackSource(lambda _: "passphrase1", "the second source")
    KeyStore(tmp_path).unlock(keyid, PassphraseChain([wrong, right]))
    assert "is not opened by the passphrase from the first source" in caplog.text
    assert "unlocked with the passphrase from the second source" in caplog.text
    assert "passphrase1" not in caplog.text
    assert "passphrase2" not in caplog.text


@pytest.fixture(autouse=True)
def kms(fake_kms: FakeKms) -> FakeKms:
    return fake_kms


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(BackendMissingError, match="keys at cloud:"):
        backend("cloud:key")


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_key_elsewhere_is_one_row_and_signs_by_its_reference(
    tmp_path: Path, kms: FakeKms, algorithm: str
) -> None:
    noted = KeyStore(tmp_path).refer("fakekms:one", "jeff", CHAIN, algorithm)
    assert (noted.role, noted.uri, noted.encrypted, noted.already) == ("jeff", "fakekms:one", False, False)
    store = KeyStore(tmp_path)
    assert store.available() == {noted.keyid}
    assert [info.uri for info in store.list()] == ["fakekms:one"]
    assert kms.requests == ["generate one"]  # none of that asked the service
    signer = store.unlock(noted.keyid, CHAIN)
    method, signature = signer.sign(b"message")
    assert envelope.verify(kms.keys["one"].public, method, signature, b"message")
    assert kms.requests[1:] == ["sign one"]
    assert store.refer("fakekms:one", "jeff", CHAIN).already
    with pytest.raises(UnsupportedKeyError, match="stays where it is"):
        store.private_key(noted.keyid, CHAIN)
    with pytest.raises(UnsupportedKeyError, match="stays where it is"):
        store.export(noted.keyid)


@pytest.mark.parametrize(
    "text", ["jeff", "jeff.pub", "./a:b", "C:\\keys\\jeff.pem", "c:x", ":x", "fakekms:", ""]
)
def test_what_is_no_uri_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="does not say where a key is"):
        backend(text)


def test_a_key_that_was_noted_is_where_it_was_noted_last(tmp_path: Path, kms: FakeKms) -> None:
    store = KeyStore(tmp_path)
    noted = store.refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    kms.keys["two"] = kms.keys.pop("one")
    moved = store.refer("fakekms:two", "jeff", CHAIN)
    assert (moved.keyid, moved.uri, moved.already) == (noted.keyid, "fakekms:two", True)
    assert KeyStore(tmp_path).unlock(noted.keyid, CHAIN).sign(b"message")
    kms.keys["three"] = kms.keys["two"]
    assert store.refer("fakekms:three", "jo", CHAIN).uri == "fakekms:two"  # not as another signer's


def test_a_key_that_was_changed_signs_nothing(tmp_path: Path, kms: FakeKms) -> None:
    noted = KeyStore(tmp_path).refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    kms.make("one")
    signer = KeyStore(tmp_path).unlock(noted.keyid, CHAIN)
    with pytest.raises(KeyChangedError, match="does not sign with key"):
        signer.sign(b"message")


def test_a_reference_is_renamed_and_removed(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    noted = store.refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    assert store.rename(noted.keyid, "jo").role == "jo"
    assert KeyStore(tmp_path).unlock(noted.keyid, CHAIN).public.keyid == noted.keyid
    store.remove(noted.keyid)
    assert store.available() == set()


def test_the_file_of_a_key_wins_over_its_reference(tmp_path: Path) -> None:
    store, key = KeyStore(tmp_path), keyfile.generate()
    keyid = store.add(key, "jo", None, "passphrase1").keyid
    reference = keyuri.KeyReference("fakekms:one", "jeff", LocalSigner(key).public)
    files.write_atomic(tmp_path / f"{keyid}.ref", keyuri.write(reference))
    assert [(info.role, info.uri) for info in KeyStore(tmp_path).list()] == [("jo", None)]


def test_a_public_half_is_read_once_and_only_looked_at(tmp_path: Path, kms: FakeKms) -> None:
    store, uri = KeyStore(tmp_path), kms.make("one")
    assert store.look(uri, "jeff", CHAIN).public == kms.keys["one"].public
    assert store.look(uri, "jeff", CHAIN).uri == uri
    assert kms.requests == ["open one"]
    assert store.available() == set()


def test_a_pin_is_asked_for_the_role_that_the_key_is_for(tmp_path: Path, kms: FakeKms) -> None:
    uri, asked = kms.make("one"), list[str]()
    kms.pin = "1234"

    def pin(request: PassphraseRequest) -> str:
        asked.append(request.role)
        return "1234"

    store, chain = KeyStore(tmp_path), PassphraseChain([CallbackSource(pin, pins=True)])
    store.look(uri, "signer", chain)
    store.unlock(store.refer(uri, "root", chain).keyid, chain).sign(b"message")
    assert asked == ["root"]


def test_no_key_is_made_that_could_not_be_noted(
    tmp_path: Path, kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private").touch()
    with pytest.raises(StorageError, match="cannot make directory"):
        KeyStore(tmp_path / "private").refer("fakekms:one", "jeff", CHAIN, "ecdsa")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="cannot write to") as caught:
        KeyStore(tmp_path / "other").refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    assert "is made" not in str(caught.value.why)
    assert kms.requests == []
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("part", ["notarypy.files.write_atomic", "notarypy.keys.signers.base.require_usable"])
def test_a_key_that_is_made_and_cannot_be_noted_is_not_lost(
    tmp_path: Path, kms: FakeKms, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fails(*_: object) -> None:
        raise StorageError("it does not work")

    store = KeyStore(tmp_path / "private")
    monkeypatch.setattr(part, fails)
    with pytest.raises(StorageError) as caught:
        store.refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    assert caught.value.why == ("the key is made, and is fakekms:one",)
    with pytest.raises(StorageError) as caught:
        store.refer("fakekms:one", "jeff", CHAIN)
    assert caught.value.why == ()
    assert kms.requests[0] == "generate one"


def test_a_file_may_be_called_like_a_uri_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("team:jeff.pub", "fakekms:one"):
        assert is_uri(name)
        (tmp_path / name).touch()
    assert not is_uri("team:jeff.pub")
    assert is_uri("fakekms:one")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data.replace(b"uri: fakekms:one\n", b""), "does not say where a key is"),
        (lambda data: data.replace(b"fakekms:one", b"pkcs11:token=t?pin-value=s3cr3t"), "holds a secret"),
        (lambda data: data.replace(b"fakekms:one", b"vault://me:secret@host/key"), "holds a secret"),
        (
            lambda data: data.replace(b"fakekms:one", b"pkcs11:token=t?pin%2Dvalue=s3cr3t"),
            "holds a secret",
        ),
        (lambda data: data.replace(b"PUBLIC KEY", b"CERTIFICATE"), "does not say where a key is"),
        (lambda data: data + data, "does not say where a key is"),
        (lambda data: data.replace(b"keytype: ecdsa", b"keytype: rsa"), "holds another key"),
        (lambda data: data.replace(b"keytype: ecdsa", b"keytype: x"), "names a key that nobody can use"),
        (lambda data: data[:40], "cut off"),
    ],
)
def test_a_reference_that_was_tampered_with_is_an_error(tmp_path: Path, change: object, problem: str) -> None:
    noted = KeyStore(tmp_path).refer("fakekms:one", "jeff", CHAIN, "ecdsa")
    assert callable(change)
    noted.path.write_bytes(change(noted.path.read_bytes()))
    store = KeyStore(tmp_path)
    with pytest.raises(KeyAccessError, match=problem) as caught:
        store.unlock(noted.keyid, CHAIN)
    assert b"s3cr3t" not in str(vars(caught.value)).encode()
    assert store.list() == []
    assert len(store.warnings) == 1


@pytest.mark.parametrize("uri", ["fakekms:one?pin-value=s3cr3t", "fakekms://me:secret@host/one"])
def test_a_secret_in_a_uri_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UsageError, match="no PIN") as caught:
        KeyStore(tmp_path).refer(uri, "jeff", CHAIN)
    assert "s3cr3t" not in str(vars(caught.value))
    assert "secret" not in str(vars(caught.value))


def test_a_pin_comes_from_one_source_that_means_this_key(tmp_path: Path) -> None:
    environ = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "passphrase", "NOTARYPY_PASSPHRASE_JEFF": "1234"}
    (tmp_path / "one").write_text("passphrase\n")
    (tmp_path / "named").write_text("jeff=4321\n")
    asked: list[str] = []

    def pin(file: str, environ: dict[str, str]) -> str:
        def prompt(text: str) -> str:
            asked.append(text)
            return "typed"

        chain = standard_chain(environ, tmp_path / file, prompt)
        return SignerContext(PassphraseRequest("a" * 64, "jeff"), chain, {}).pin("release")[1]

    assert pin("one", environ) == "1234"
    assert pin("named", environ) == "4321"
    assert asked == []
    assert pin("one", {}) == "typed"
    assert asked == ['PIN of token "release": ']


def test_no_pin_is_an_error_that_says_where_to_put_it() -> None:
    chain = standard_chain({}, None, None)
    context = SignerContext(PassphraseRequest("a" * 64, "jeff"), chain, {})
    with pytest.raises(PassphraseNeededError, match='PIN for the token "release"') as caught:
        context.pin("release")
    assert "NOTARYPY_PASSPHRASE_JEFF" in caught.value.why[0]


@pytest.mark.slow
@pytest.mark.parametrize("words", ["version", "key list -d .", "status --help", "verify --help"])
def test_commands_that_use_no_key_load_nothing_of_backends(tmp_path: Path, words: str) -> None:
    for scheme in SIGNERS:
        public = LocalSigner(keyfile.generate()).public
        reference = keyuri.KeyReference(f"{scheme}://x", "jeff", public)
        files.write_atomic(tmp_path / "private" / f"{public.keyid}.ref", keyuri.write(reference))
    code = (
        "import atexit, sys; from notarypy.cli.main import main; "
        "atexit.register(lambda: sys.stderr.write('\\n'.join(sys.modules))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        env={"HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(f"{scheme}:" in done.stdout for scheme in SIGNERS) == words.startswith("key list")
    loaded = set(done.stderr.splitlines())
    assert "notarypy.cli.main" in loaded
    assert budgets.within(budgets.NOT_LOADED["anywhere"] | budgets.NOT_LOADED["tokens"], loaded) == set()
