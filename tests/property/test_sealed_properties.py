"""The usual key file: opened by the short way or by the long one, it is the same key or the same refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import NotarypyError, PassphraseWrongError, UnsupportedKeyError
from notarypy.keys.formats import pbes, pem, pkcs8, sealed
from notarypy.keys.signers.keyfile import generate
from notarypy.limits import Limits
from notarypy.tuf import keyobjects
from notarypy.tuf.keys import public_key_of
from support.author import private_key
from support.loaded import HEAVY, loaded_by

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures" / "go" / "notary-init-only" / "private"
KEY = private_key("sealed")
SALT, IV = b"\x81" * pkcs8.SALT_BYTES, b"\2" * pkcs8.IV_BYTES


def file(key: pkcs8.PrivateKey = KEY, rounds: int = 10) -> bytes:
    return pkcs8.encrypt(key, "pässword", "targets", "registry.test/app", salt=SALT, iv=IV, iterations=rounds)


def seal(plain: bytes) -> pem.KeyBlock:
    der = pbes.encrypt(plain, "pässword".encode(), salt=SALT, iv=IV, iterations=10)
    return pem.split(pem.text(pem.SEALED, {}, der))[0]


OURS = file()
PLAIN = pbes.decrypt(pem.split(OURS)[0].der, "pässword".encode())


def outcome(read: Callable[[pem.KeyBlock, str], pkcs8.PrivateKey], block: pem.KeyBlock, word: str) -> object:
    try:
        return keyobjects.encoded(read(block, word))
    except NotarypyError as error:
        return type(error), error.message, error.why, error.advice


def alike(block: pem.KeyBlock, word: str = "pässword") -> object:
    found = outcome(sealed.opened, block, word)
    assert found == outcome(pkcs8.decrypt, block, word)
    return found


def no_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("decrypt", "load"):
        monkeypatch.setattr(pkcs8, name, lambda *_: pytest.fail("the long way"))


def test_ours_and_gos_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    (gos,) = [path for path in FIXTURES.glob("*.key") if b"role: targets" in path.read_bytes()]
    expected = pkcs8.decrypt(pem.split(gos.read_bytes())[0], "targetspass1")
    no_long_way(monkeypatch)
    assert public_key_of(sealed.opened(pem.split(OURS)[0], "pässword")) == public_key_of(KEY)
    found = sealed.opened(pem.split(gos.read_bytes())[0], "targetspass1")
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    assert isinstance(expected, ec.EllipticCurvePrivateKey)
    assert found.private_numbers() == expected.private_numbers()


@given(st.integers(1, 40_000), st.binary(min_size=8, max_size=8))
def test_any_key_and_any_number_of_rounds_opens_alike(number: int, salt: bytes) -> None:
    key = ec.derive_private_key(number, ec.SECP256R1())
    text = pkcs8.encrypt(key, "x" * 9, "jeff", None, salt=salt, iv=IV, iterations=number % 300 + 1)
    assert alike(pem.split(text)[0], "x" * 9) == keyobjects.encoded(key)


@given(st.data())
def test_changed_files_are_opened_or_refused_alike(data: st.DataObject) -> None:
    der = bytearray(pem.split(OURS)[0].der)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, min(len(der) - 1, 100)))
        der[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with pytest.MonkeyPatch.context() as patch:
        for module in (pbes, sealed):
            patch.setattr(module, "DEFAULT", Limits(kdf_rounds=100_000))
        alike(pem.split(pem.text(pem.SEALED, {}, bytes(der)))[0])


@given(st.data())
def test_changed_keys_are_read_or_refused_alike(data: st.DataObject) -> None:
    plain = bytearray(PLAIN)
    at = data.draw(st.integers(0, len(plain) - 1))
    plain[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    alike(seal(bytes(plain)))


@pytest.mark.parametrize("number", [0, 1, ec.SECP256R1().key_size, (1 << 256) - 1])
def test_a_number_that_is_out_of_range_or_of_another_point_is_judged_alike(number: int) -> None:
    at = PLAIN.index(bytes.fromhex("0201010420")) + 5
    alike(seal(PLAIN[:at] + number.to_bytes(32, "big") + PLAIN[at + 32 :]))


def test_other_keys_and_wrong_passphrases_are_judged_alike() -> None:
    assert alike(pem.split(file(generate("rsa")))[0])
    assert alike(pem.split(file(ec.derive_private_key(5, ec.SECP384R1())))[0])
    for word in ("wrong", "x", "\udcff", "\ud800"):
        found = alike(pem.split(OURS)[0], word)
        assert isinstance(found, tuple)
        assert found[0] is PassphraseWrongError


def test_more_rounds_than_the_limit_are_refused_before_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pbes, sealed):
        monkeypatch.setattr(module, "DEFAULT", Limits(kdf_rounds=9))
    monkeypatch.setattr("hashlib.pbkdf2_hmac", lambda *_: pytest.fail("work was done"))
    with pytest.raises(UnsupportedKeyError, match="encryption"):
        sealed.opened(pem.split(OURS)[0], "pässword")


def test_signing_with_a_usual_key_loads_no_x509(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(file())
    lines, modules = loaded_by(
        "from notarypy.keys.formats import pem, sealed;"
        "from notarypy.keys.signers.keyfile import LocalSigner;"
        "block = pem.split(open(sys.argv[1], 'rb').read())[0];"
        "LocalSigner(sealed.opened(block, sys.argv[2])).sign(b'')",
        str(path),
        "pässword",
    )
    assert lines == []
    assert not HEAVY & modules
