from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from notarypy.cli.text.advice import own_advice
from notarypy.errors import (
    InvalidNameError,
    KeyAccessError,
    PassphraseNeededError,
    PassphraseWrongError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pbes, pem, pkcs8
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.keys import public_key_of
from notarypy.tuf.signerkeys import load_public_pem
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.keys.formats.pem import KeyBlock
    from notarypy.keys.formats.pkcs8 import PrivateKey

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
OPENSSL = KEYS / "openssl"
DEE = "577afec209a70e65b2fb2c16d7c869c5a3b54ec26b12138244a8cded51e0d168"
BOB = "923c723997be4362062d11631bfea1703f0a0de66b0edc37c938b9a3036d0730"
SALT, IV = bytes(range(8)), bytes(range(16))


def only(path: Path) -> KeyBlock:
    (block,) = pem.split(path.read_bytes())
    return block


def opened(path: Path, passphrase: str | None) -> str:
    return public_key_of(pkcs8.decrypt(only(path), passphrase)).keyid


def sealed(
    key: PrivateKey, passphrase: str = "passphrase1", role: str = "jeff", gun: str | None = None
) -> bytes:
    return pkcs8.encrypt(key, passphrase, role, gun, salt=SALT, iv=IV, iterations=10)


@pytest.mark.parametrize(
    ("name", "passphrase", "keyid"),
    [
        ("ec-delegation-role-dee.key", "delegpass1", DEE),
        ("openssl-pkcs8-aes256-prf-sha1.key", "delegpass1", DEE),
        ("openssl-pkcs8-default-prf-sha256-UNREADABLE-by-notary.key", "delegpass1", DEE),
        ("sec1-ec-dek-info-aes256.key", "delegpass1", DEE),
        ("plain-sec1-ec.key", None, DEE),
        ("rsa-delegation-role-targets_releases.key", "delegpass1", BOB),
        ("plain-pkcs1-rsa.key", None, BOB),
        ("plain-pkcs8-rsa.key", None, BOB),
    ],
)
def test_every_form_of_a_key_opens_to_the_same_key(name: str, passphrase: str | None, keyid: str) -> None:
    assert opened(KEYS / name, passphrase) == keyid


@pytest.mark.parametrize("name", ["ed25519-legacy-pem.key", "ed25519-pkcs8-gnu-oid.key"])
def test_ed25519_in_the_forms_of_go(name: str) -> None:
    key = pkcs8.decrypt(only(KEYS / name), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert key.private_bytes_raw() == bytes(range(32))


@pytest.mark.parametrize(
    "path", sorted(OPENSSL.glob("v2-*.pem")) + sorted(OPENSSL.glob("v1-*.pem")), ids=lambda path: path.name
)
def test_openssl_pkcs8_with_every_hash_and_scheme(path: Path) -> None:
    assert opened(path, "secret12") == opened(OPENSSL / "ecp.pem", None)


@pytest.mark.parametrize(
    "name", ["v2c-aes-128-cbc", "v2c-aes-192-cbc", "v2c-des3", "scrypt", "dek-rsa-aes192", "dek-rsa-des3"]
)
def test_openssl_ciphers(name: str) -> None:
    assert opened(OPENSSL / f"{name}.pem", "secret12") == opened(OPENSSL / "rsa.pem", None)


@pytest.mark.parametrize("cipher", ["aes128", "aes192", "aes256", "des3"])
def test_openssl_traditional_encryption(cipher: str) -> None:
    assert opened(OPENSSL / f"dek-ec-{cipher}.pem", "secret12") == opened(OPENSSL / "ecp.pem", None)


def test_explicit_parameters_of_a_known_curve_are_that_curve() -> None:
    key = pkcs8.decrypt(only(OPENSSL / "explicit.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_the_headers_of_an_exported_bundle() -> None:
    blocks = pem.split((KEYS / "export-bundle-five-keys.pem").read_bytes())
    assert [(block.role, block.gun) for block in blocks] == [
        ("root", None),
        ("dee", None),
        ("targets/releases", None),
        ("snapshot", "localhost/app/two"),
        ("targets", "localhost/app/two"),
    ]
    assert [block.path for block in blocks][1:3] == [DEE, BOB]
    assert all(block.encrypted for block in blocks)


def test_a_key_between_other_blocks_and_text_is_found() -> None:
    certificate = (KEYS / "dee.crt").read_bytes()
    key = (KEYS / "plain-sec1-ec.key").read_bytes()
    windows = b"\xef\xbb\xbf" + (b"Bag Attributes\n" + certificate + key).replace(b"\n", b"\r\n")
    (block,) = pem.split(windows)
    assert public_key_of(pkcs8.decrypt(block, None)).keyid == DEE


def _pkcs12(length: bytes) -> bytes:
    """Return the beginning of a PKCS#12 file: a sequence of version 3 and a ContentInfo."""
    return b"\x30" + length + bytes.fromhex("02010330820a1606092a864886f70d010701")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ((KEYS / "dee.pub").read_bytes(), "it is a public key, PEM"),
        ((KEYS / "dee.crt").read_bytes(), "it is a certificate, PEM"),
        ((OPENSSL / "ec.der").read_bytes(), "it is a private key, DER"),
        (_pkcs12(b"\x20"), "it is PKCS#12"),
        (_pkcs12(b"\x81\x90"), "it is PKCS#12"),
        (_pkcs12(b"\x82\x0a\x30"), "it is PKCS#12"),
        (_pkcs12(b"\x80"), "it is PKCS#12"),
        ((OPENSSL / "openssh").read_bytes(), "Notary v1 keys are PKCS#8, SEC1 or PKCS#1"),
    ],
    ids=["public", "certificate", "der", "p12-short", "p12-long", "p12-longer", "p12-ber", "openssh"],
)
def test_what_holds_no_usable_key_is_refused_by_name_and_with_advice(data: bytes, why: str) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        pem.split(data)
    assert caught.value.why == (why,)
    assert own_advice(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key at all\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nrole: a\x1b[2Jb\n\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nrole: \xff\n\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
    ids=["empty", "text", "cut off", "other end", "nested", "control character", "not UTF-8"],
)
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedKeyError):
        pem.split(data)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (KEYS / "openssl-ed25519-rfc8410-UNREADABLE-by-notary.key", "this file holds an Ed25519 key"),
        (OPENSSL / "k1.pem", "Notary v1 cannot use this key"),
        (OPENSSL / "rsa1024.pem", "Notary v1 cannot use this key"),
        (OPENSSL / "v2c-camellia-256-cbc.pem", "this key's encryption cannot be read"),
    ],
    ids=["ed25519", "secp256k1", "rsa1024", "camellia"],
)
def test_keys_that_notary_cannot_use_are_refused(path: Path, text: str) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        pkcs8.decrypt(only(path), "secret12")
    assert caught.value.message == text
    assert own_advice(caught.value)


def test_another_kind_of_key_is_refused_by_its_kind() -> None:
    key = x25519.X25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UnsupportedKeyError) as caught:
        pkcs8.decrypt(pem.split(text)[0], None)
    assert "X25519" in caught.value.why[0]


def test_a_block_of_nothing_but_headers_is_damaged() -> None:
    text = b"-----BEGIN PRIVATE KEY-----\nrole: x\n-----END PRIVATE KEY-----\n"
    (block,) = pem.split(text)
    with pytest.raises(UnsupportedKeyError):
        pkcs8.decrypt(block, None)


def test_an_unknown_traditional_cipher_is_named() -> None:
    text = (KEYS / "sec1-ec-dek-info-aes256.key").read_bytes().replace(b"AES-256-CBC", b"CAST5-CBC")
    with pytest.raises(UnsupportedKeyError) as caught:
        pkcs8.decrypt(pem.split(text)[0], "delegpass1")
    assert caught.value.why == ("cipher CAST5-CBC is unknown",)


def test_an_encrypted_key_without_a_passphrase() -> None:
    for nothing in (None, ""):
        with pytest.raises(PassphraseNeededError):
            pkcs8.decrypt(only(KEYS / "ec-root.key"), nothing)


def encrypted_files() -> list[Path]:
    go = [*KEYS.glob("ec-*.key"), KEYS / "sec1-ec-dek-info-aes256.key", *KEYS.glob("rsa-delegation*.key")]
    return sorted([*go, *OPENSSL.glob("dek-*.pem"), *OPENSSL.glob("v1-*.pem"), OPENSSL / "scrypt.pem"])


@pytest.mark.parametrize("path", encrypted_files(), ids=lambda path: path.name)
def test_a_wrong_passphrase_is_a_wrong_passphrase(path: Path) -> None:
    for wrong in ("wrong", "Rootpass1", "\ud800", "\udcff", "x" * 300):
        with pytest.raises(PassphraseWrongError):
            pkcs8.decrypt(only(path), wrong)


def test_a_wrong_passphrase_that_happens_to_leave_good_padding() -> None:
    # One wrong passphrase in 256 does: among 2000, none may pass and none may look like a damaged file.
    data = sealed(ec.generate_private_key(ec.SECP256R1()))
    traditional = only(OPENSSL / "dek-ec-aes256.pem")
    for number in range(2000):
        for block in (pem.split(data)[0], traditional):
            with pytest.raises(PassphraseWrongError):
                pkcs8.decrypt(block, f"guess {number}")


GENERATORS: dict[str, Callable[[], PrivateKey]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: fresh_key(2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_kind_of_key_makes_the_round_trip(kind: str) -> None:
    key = GENERATORS[kind]()
    (block,) = pem.split(sealed(key))
    assert public_key_of(pkcs8.decrypt(block, "passphrase1")) == public_key_of(key)
    with pytest.raises(PassphraseWrongError):
        pkcs8.decrypt(block, "passphrase2")


def der_of(block: KeyBlock) -> bytes:
    lines = block.block.decode().splitlines()
    return base64.b64decode("".join(line for line in lines if ":" not in line and not line.startswith("-")))


def test_a_written_key_has_exactly_the_outer_form_of_go() -> None:
    go = only(KEYS / "ec-targets-with-gun.key")
    scheme = slice(3, 78)  # between the length of the whole and the encrypted part: PBES2 and its parameters
    salt, iv = der_of(go)[scheme].partition(b"\x04\x08")[2][:8], der_of(go)[scheme][-16:]
    key = pkcs8.decrypt(go, "targetspass1")
    text = pkcs8.encrypt(
        key, "targetspass1", "targets", "localhost/app/one", salt=salt, iv=iv, iterations=2048
    )
    (ours,) = pem.split(text)
    assert der_of(ours)[scheme] == der_of(go)[scheme]
    lines, theirs = text.splitlines(), go.block.splitlines()
    assert lines[:4] == theirs[:4]
    assert lines[-1] == theirs[-1]
    assert max(map(len, lines[4:-1])) == 64


def test_the_gun_is_written_only_for_roles_whose_keys_belong_to_one() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert pem.split(sealed(key, role="snapshot", gun="a/b"))[0].gun == "a/b"
    assert pem.split(sealed(key, role="root", gun="a/b"))[0].gun is None
    assert pem.split(sealed(key, role="jeff", gun="a/b"))[0].gun is None


@pytest.mark.parametrize("role", ["", "a\nb: c", "a\x00", " a", "a\u2028b"])
def test_a_role_that_would_break_the_file_is_refused(role: str) -> None:
    with pytest.raises(InvalidNameError):
        sealed(ec.generate_private_key(ec.SECP256R1()), role=role)


def test_a_key_is_never_written_without_a_passphrase() -> None:
    with pytest.raises(ValueError, match="without a passphrase"):
        sealed(ec.generate_private_key(ec.SECP256R1()), passphrase="")


def test_rounds_beyond_the_limit_are_refused_before_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def instant(name: str, passphrase: bytes, salt: bytes, rounds: int, size: int) -> bytes:
        calls.append(len(name) + len(passphrase) + len(salt) + rounds)
        return bytes(size)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", instant)
    most = DEFAULT.kdf_rounds
    for iterations, reads in ((most, 1), (most + 1, 0)):
        text = pkcs8.encrypt(KEY, "passphrase1", "jeff", None, salt=SALT, iv=IV, iterations=iterations)
        calls.clear()
        if reads:
            pkcs8.decrypt(pem.split(text)[0], "passphrase1")
        else:
            with pytest.raises(UnsupportedKeyError, match="encryption cannot be read") as caught:
                pkcs8.decrypt(pem.split(text)[0], "passphrase1")
            assert "limit" in caught.value.why[0]
        assert len(calls) == reads


def test_scrypt_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pbes, "DEFAULT", Limits(scrypt_memory_bytes=16 * 1024 * 1024 - 1))
    with pytest.raises(UnsupportedKeyError) as caught:
        pkcs8.decrypt(only(OPENSSL / "scrypt.pem"), "secret12")
    assert "scrypt" in caught.value.why[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("scrypt", "020101", "0201ff", "its scrypt parameters are out of range"),
        ("scrypt", "020101", "020111", "its scrypt parameters are out of range"),
        ("scrypt", "020108", "0201f8", "its scrypt parameters are out of range"),
        ("v2-SHA256", "2a864886f70d0209", "2a864886f70d027f", "its key derivation uses an unknown hash"),
        (
            "v2-SHA256",
            "2a864886f70d01050c",
            "2a864886f70d010563",
            "key derivation 1.2.840.113549.1.5.99 is unknown",
        ),
        (
            "v1-3des",
            "2a864886f70d010c0103",
            "2a864886f70d010c0163",
            "algorithm 1.2.840.113549.1.12.1.99 is unknown",
        ),
    ],
)
def test_unknown_and_impossible_parameters_are_named(name: str, old: str, new: str, why: str) -> None:
    der = der_of(only(OPENSSL / f"{name}.pem"))
    assert der.count(bytes.fromhex(old)) == 1
    body = base64.b64encode(der.replace(bytes.fromhex(old), bytes.fromhex(new))).decode()
    text = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"
    with pytest.raises(UnsupportedKeyError) as caught:
        pkcs8.decrypt(pem.split(text.encode())[0], "secret12")
    assert caught.value.why == (why,)


def test_an_export_names_the_key_and_storing_takes_the_name_off_again() -> None:
    (block,) = pem.split((KEYS / "ec-targets-with-gun.key").read_bytes())
    exported = pem.with_path(block, DEE)
    assert exported.splitlines()[1:4] == [
        b"gun: localhost/app/one",
        b"path: " + DEE.encode(),
        b"role: targets",
    ]
    assert pem.with_path(pem.split(exported)[0], None) == block.block


def test_an_export_keeps_the_headers_that_say_how_a_key_is_encrypted_first() -> None:
    exported = pem.with_path(only(KEYS / "sec1-ec-dek-info-aes256.key"), DEE)
    names = [line.partition(b":")[0] for line in exported.splitlines()[1:4]]
    assert names == [b"Proc-Type", b"DEK-Info", b"path"]
    assert public_key_of(pkcs8.decrypt(pem.split(exported)[0], "delegpass1")).keyid == DEE


def test_an_export_drops_headers_that_say_nothing() -> None:
    text = (KEYS / "ec-targets-with-gun.key").read_bytes()
    (block,) = pem.split(text.replace(b"gun: localhost/app/one", b"gun:"))
    assert pem.with_path(block, DEE).splitlines()[1:3] == [b"path: " + DEE.encode(), b"role: targets"]


def test_an_export_never_loses_how_a_key_is_encrypted() -> None:
    text = (KEYS / "sec1-ec-dek-info-aes256.key").read_bytes()
    start = text.index(b"DEK-Info:")
    silent = text[:start] + b"DEK-Info:" + text[text.index(b"\n", start) :]
    with pytest.raises(UnsupportedKeyError, match="damaged"):
        pem.with_path(pem.split(silent)[0], DEE)


def test_the_public_file_is_what_goes_to_the_repositorys_owner(now: datetime) -> None:
    key = pkcs8.decrypt(only(KEYS / "plain-sec1-ec.key"), None)
    text = pem.public_pem(public_key_of(key), "dee")
    assert load_public_pem(text, now).keyid == DEE
    assert b"role: dee\n\n" in text


def test_nothing_shows_a_plain_key() -> None:
    block = only(KEYS / "plain-sec1-ec.key")
    body = block.block.splitlines()[1].decode()
    assert body not in repr(block)
    assert body not in repr(pem.blocks(block.block))


READABLE = [path.read_bytes() for path in encrypted_files()[:4]] + [
    (KEYS / name).read_bytes()
    for name in (
        "plain-sec1-ec.key",
        "plain-pkcs8-rsa.key",
        "ed25519-pkcs8-gnu-oid.key",
        "ed25519-legacy-pem.key",
    )
]


def read_all(data: bytes, passphrase: str | None) -> None:
    """Read as far as it goes; anything but our own errors fails the test."""
    try:
        for block in pem.split(data):
            pkcs8.decrypt(block, passphrase)
    except KeyAccessError:
        pass


@given(st.binary(max_size=400), st.text(max_size=8))
def test_arbitrary_bytes_raise_only_our_errors(data: bytes, passphrase: str) -> None:
    read_all(data, passphrase)


LABELS = st.sampled_from(["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "ED25519 PRIVATE KEY"])
HEADERS = st.sampled_from(
    ["", "role: x\n\n", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", "DEK-Info:\n\n"]
)


@given(LABELS, HEADERS, st.binary(max_size=120))
def test_arbitrary_bytes_in_a_block_raise_only_our_errors(label: str, headers: str, body: bytes) -> None:
    text = f"-----BEGIN {label}-----\n{headers}{base64.b64encode(body).decode()}\n-----END {label}-----\n"
    read_all(text.encode(), "delegpass1")


@settings(deadline=None)  # the byte may be in the number of rounds
@given(st.sampled_from(READABLE), st.data())
def test_one_changed_byte_raises_only_our_errors(data: bytes, draw: st.DataObject) -> None:
    position = draw.draw(st.integers(0, len(data) - 1))
    byte = draw.draw(st.integers(0, 255))
    read_all(data[:position] + bytes([byte]) + data[position + 1 :], "delegpass1")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() and text == text.strip()))
def test_every_printable_role_makes_the_round_trip(role: str) -> None:
    (block,) = pem.split(sealed(KEY, role=role))
    assert block.role == role


@given(st.text(min_size=1, max_size=40))
def test_every_passphrase_makes_the_round_trip(passphrase: str) -> None:
    (block,) = pem.split(sealed(KEY, passphrase=passphrase))
    assert public_key_of(pkcs8.decrypt(block, passphrase)) == public_key_of(KEY)


def test_a_passphrase_that_is_not_utf8_in_the_environment_is_taken_as_its_bytes() -> None:
    passphrase = os.fsdecode(b"p\xe4ssphrase")
    (block,) = pem.split(sealed(KEY, passphrase=passphrase))
    assert public_key_of(pkcs8.decrypt(block, passphrase)) == public_key_of(KEY)


KEY = GENERATORS["P-256"]()
