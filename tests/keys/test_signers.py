"""The table of signers: a backend is one module and one row."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.errors import UnsupportedKeyError
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain, PassphraseRequest
from notarypy.keys.signers import SIGNERS, open_signer
from notarypy.tuf.keys import PublicKey, public_key_of

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = PassphraseChain([CallbackSource(lambda _: "passphrase1")])


class Token:
    """A signer whose private key nobody sees."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public

    def sign(self, message: bytes) -> tuple[str, bytes]:
        return "ecdsa", message


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


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(UnsupportedKeyError, match="keys at cloud:"):
        open_signer("cloud:key", PassphraseRequest("", "jeff"), CHAIN)


def test_another_backend_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    keyid = KeyStore(tmp_path).add(key, "jeff", None, "passphrase1").keyid
    asked: list[tuple[str, PassphraseRequest]] = []

    def opened(uri: str, request: PassphraseRequest, _: PassphraseChain) -> Token:
        asked.append((uri, request))
        return Token(public_key_of(key))

    backend = ModuleType("token_backend")
    vars(backend)["open_signer"] = opened
    monkeypatch.setitem(sys.modules, "token_backend", backend)
    monkeypatch.setitem(SIGNERS, "file", "token_backend")
    store = KeyStore(tmp_path)
    assert store.unlock(keyid, CHAIN).sign(b"message") == ("ecdsa", b"message")
    with pytest.raises(UnsupportedKeyError, match="stays where it is"):
        store.private_key(keyid, CHAIN)
    assert asked == [((tmp_path / f"{keyid}.key").as_uri(), PassphraseRequest(keyid, "jeff"))]
