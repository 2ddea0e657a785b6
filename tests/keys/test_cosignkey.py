"""Key files of cosign: those of cosign are read, ours read by it, and hostile ones cost nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from notarypy.errors import (
    BackendMissingError,
    NotarypyError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import cosignkey, pem, pkcs8, sealed
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import COSIGN_PASSWORD, new_passphrase_chain, standard_chain
from notarypy.keys.signers.keyfile import open_block
from notarypy.tuf.keys import PublicKey, public_key_of
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey

FIXTURES = Path(__file__).parents[2] / "fixtures" / "keys" / "cosign"
SALT, NONCE = b"\1" * cosignkey.SALT_BYTES, b"\2" * cosignkey.NONCE_BYTES
KEY = ec.generate_private_key(ec.SECP256R1())
REQUEST = PassphraseRequest("", "cosign", cosign=True)


def block_of(data: bytes) -> pem.KeyBlock:
    (block,) = pem.split(data, cosign=True)
    return block


def document_of(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(block_of(data).der)


WHOLE = block_of((FIXTURES / "with-passphrase.key").read_bytes()).der


def as_file(document: object, label: str = pem.COSIGN_LABELS[1]) -> pem.KeyBlock:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return block_of(pem.text(label, {}, raw))


@pytest.mark.parametrize(("name", "word"), [("with-passphrase", "a passphrase"), ("empty-passphrase", "")])
def test_what_cosign_wrote_is_the_key_of_its_public_half(name: str, word: str) -> None:
    block = block_of((FIXTURES / f"{name}.key").read_bytes())
    public = PublicKey.from_pem((FIXTURES / f"{name}.pub").read_bytes())
    assert block.encrypted
    assert public_key_of(sealed.opened(block, word)) == public
    with pytest.raises(PassphraseWrongError):
        sealed.opened(block, "another one")


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        ec.generate_private_key(ec.SECP384R1()),
        fresh_key(2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["p256", "p384", "rsa", "ed25519"],
)
def test_what_is_written_is_read_again(key: PrivateKey) -> None:
    written = cosignkey.encrypt(key, "pässword", salt=SALT, nonce=NONCE)
    assert written.startswith(b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n")
    again = cosignkey.decrypt(block_of(written), "pässword", ed25519=True)
    assert public_key_of(again) == public_key_of(key)


@pytest.mark.usefixtures("usual_rounds")
def test_the_rounds_are_those_that_every_release_of_cosign_reads() -> None:
    written = cosignkey.encrypt(KEY, "pässword", salt=SALT, nonce=NONCE)
    assert document_of(written)["kdf"]["params"] == {"N": 32768, "r": 8, "p": 1}
    assert public_key_of(cosignkey.decrypt(block_of(written), "pässword")) == public_key_of(KEY)


@pytest.mark.parametrize(
    "rounds", [32768, *(pytest.param(rounds, marks=pytest.mark.slow) for rounds in (65536, 131072))]
)
@pytest.mark.parametrize("label", pem.COSIGN_LABELS)
def test_the_rounds_and_labels_that_cosign_takes_are_read(
    monkeypatch: pytest.MonkeyPatch, rounds: int, label: str
) -> None:
    monkeypatch.setattr(cosignkey, "_ROUNDS", (rounds,))
    written = cosignkey.encrypt(KEY, "secret", salt=SALT, nonce=NONCE)
    monkeypatch.undo()
    found = cosignkey.decrypt(as_file(document_of(written), label), "secret")
    assert public_key_of(found) == public_key_of(KEY)


def test_ed25519_is_for_cosign_alone() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    block = block_of(cosignkey.encrypt(key, "secret", salt=SALT, nonce=NONCE))
    with pytest.raises(UnsupportedKeyError, match="Ed25519"):
        sealed.opened(block, "secret")
    assert public_key_of(sealed.opened(block, "secret", ed25519=True)) == public_key_of(key)


# -- hostile files: nothing is derived for them


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "scrypt", lambda *_, **__: pytest.fail("memory was taken"))


def changed(**params: object) -> Any:  # noqa: ANN401 - JSON
    document = document_of((FIXTURES / "with-passphrase.key").read_bytes())
    document["kdf"]["params"] |= params
    return document


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "params",
    [
        {"N": 1 << 30},
        {"N": 1 << 52},
        {"N": 0},
        {"N": -32768},
        {"N": 2},
        {"N": 65537},
        {"N": "65536"},
        {"N": None},
        {"N": 65536.0},
        {"p": True},
        {"N": [65536]},
        {"r": 1 << 20},
        {"r": 0},
        {"r": 16},
        {"p": 1 << 30},
        {"p": 0},
        {"p": 2},
        {"more": 1},
    ],
)
def test_rounds_of_somebody_elses_choice_take_no_memory(params: dict[str, object]) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        cosignkey.decrypt(as_file(changed(**params)), "a passphrase")
    assert caught.value.why == ("its scrypt parameters are none that cosign takes",)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 40_000,
        b'{"kdf":1}',
        b'{"kdf":{},"cipher":{}}',
        b'{"kdf":{"name":"scrypt"},"cipher":{"name":"nacl/secretbox"}}',
        b'{"N":' + b"9" * 40_000 + b"}",
        WHOLE[:-1] + b',"cipher":{}}',
        b'{"kdf":{},' + WHOLE[1:],
        b'{"more":NaN,' + WHOLE[1:],
        b'{"more":%d,' % (1 << 200) + WHOLE[1:],
        b"{" + b" " * 70_000 + b"}",
    ],
)
def test_what_is_no_key_file_is_damaged(raw: bytes) -> None:
    with pytest.raises(UnsupportedKeyError, match="key file of cosign"):
        cosignkey.decrypt(as_file(raw), "secret")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kdf", "name"), "pbkdf2"),
        (("cipher", "name"), "aes"),
        (("kdf", "salt"), ""),
        (("kdf", "salt"), base64.b64encode(b"s" * 1000).decode()),
        (("kdf", "salt"), "*"),
        (("kdf", "salt"), 7),
        (("cipher", "nonce"), base64.b64encode(b"n" * 12).decode()),
        (("cipher", "nonce"), None),
        (("ciphertext",), None),
        (("ciphertext",), "no base64"),
        (("kdf", "params"), []),
    ],
)
def test_parts_that_are_none_are_damaged(path: tuple[str, ...], value: object) -> None:
    document = changed()
    *way, last = path
    place = document
    for name in way:
        place = place[name]
    place[last] = value
    with pytest.raises(UnsupportedKeyError, match="key file of cosign"):
        cosignkey.decrypt(as_file(document), "a passphrase")


@pytest.mark.parametrize("box", [b"", b"x", b"x" * 16, b"x" * 200])
def test_a_box_that_stays_shut_is_a_wrong_passphrase(box: bytes) -> None:
    document = changed(N=1024)  # which tests read
    document["ciphertext"] = base64.b64encode(box).decode()
    with pytest.raises(PassphraseWrongError):
        cosignkey.decrypt(as_file(document), "a passphrase")


def test_what_is_in_a_box_has_to_be_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs8, "standard", lambda _: b"no key")
    block = block_of(cosignkey.encrypt(KEY, "secret", salt=SALT, nonce=NONCE))
    with pytest.raises(UnsupportedKeyError, match="damaged"):
        cosignkey.decrypt(block, "secret")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl.secret", None)
    with pytest.raises(BackendMissingError, match="PyNaCl") as caught:
        cosignkey.decrypt(block_of((FIXTURES / "with-passphrase.key").read_bytes()), "a passphrase")
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"extra": "cosign"}


# -- where such files are none, and their passphrases


def test_a_trust_directory_has_none_of_them() -> None:
    with pytest.raises(UnsupportedKeyError, match="cannot be read: ENCRYPTED SIGSTORE"):
        pem.split((FIXTURES / "with-passphrase.key").read_bytes())


def opened_with(environ: dict[str, str], word: str = "a passphrase", typed: str | None = None) -> str:
    """Return the key that a file of ours holds, or the error that says why it stays shut."""
    chain = standard_chain(environ, None, None if typed is None else lambda _: typed)
    written = cosignkey.encrypt(KEY, word, salt=SALT, nonce=NONCE)
    try:
        key = open_block(block_of(written), REQUEST, chain, "")
    except NotarypyError as error:
        return type(error).__name__
    return public_key_of(key).keyid


def test_the_passphrase_is_where_cosign_has_it() -> None:
    public = public_key_of(KEY).keyid
    assert opened_with({COSIGN_PASSWORD: "a passphrase"}) == public
    assert opened_with({"NOTARYPY_PASSPHRASE_COSIGN": "a passphrase", COSIGN_PASSWORD: "x"}) == public
    assert opened_with({}, typed="a passphrase") == public
    assert opened_with({COSIGN_PASSWORD: "another"}) == PassphraseWrongError.__name__
    assert opened_with({}) == PassphraseNeededError.__name__


def test_an_empty_passphrase_is_one_where_it_is_given() -> None:
    public = public_key_of(KEY).keyid
    assert opened_with({COSIGN_PASSWORD: ""}, "") == public
    assert opened_with({}, "", typed="") == public
    assert opened_with({}, "") == PassphraseNeededError.__name__


@pytest.mark.parametrize(("name", "word"), [("with-passphrase", "a passphrase"), ("empty-passphrase", "")])
def test_cosigns_own_files_open_with_its_variable(name: str, word: str) -> None:
    block = block_of((FIXTURES / f"{name}.key").read_bytes())
    opened = open_block(block, REQUEST, standard_chain({COSIGN_PASSWORD: word}, None, None), "")
    assert public_key_of(opened) == PublicKey.from_pem((FIXTURES / f"{name}.pub").read_bytes())


def test_cosigns_variable_opens_no_other_key() -> None:
    chain = standard_chain({COSIGN_PASSWORD: "a passphrase"}, None, None)
    assert list(chain.candidates(PassphraseRequest("", "cosign"))) == []
    assert COSIGN_PASSWORD not in chain.tried(PassphraseRequest("a" * 64, "jeff"))


def test_a_new_file_of_cosign_takes_its_variable_and_no_empty_one() -> None:
    new = PassphraseRequest("a" * 64, "jeff", new=True, cosign=True)
    assert new_passphrase_chain({COSIGN_PASSWORD: "long enough"}, None, None).for_new(new) == "long enough"
    for value in ("", "short"):
        with pytest.raises(NotarypyError):
            new_passphrase_chain({COSIGN_PASSWORD: value}, None, None).for_new(new)
    other = PassphraseRequest("a" * 64, "jeff", new=True)
    with pytest.raises(PassphraseNeededError):
        new_passphrase_chain({COSIGN_PASSWORD: "long enough"}, None, None).for_new(other)
