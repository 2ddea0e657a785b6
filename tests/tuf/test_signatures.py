"""Signature methods: what verifies, and everything that must not."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.tuf.envelope import METHOD_FOR, ecdsa_raw, verify
from notarypy.tuf.keys import PublicKey
from support.author import NOW, private_key, public_key, root_key
from support.counting import calls
from support.otherkeys import (
    bare,
    certificate,
    chain,
    compressed_spki,
    ec_key,
    ecdsa,
    ed25519_key,
    pss,
    rsa_key,
    rsa_spki,
    wrapped,
)

MESSAGE = b'{"_type":"Targets"}'
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EDDSA = PublicKey("ed25519", ed25519_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
P521_ORDER = int(
    "6864797660130609714981900799081393217269435300143305409394463459185543183397655"
    "394245057746333217197532963996371363321113864768612440380340372808892707005449"
)
LENGTHS = {ec.SECP224R1: 56, ec.SECP256R1: 64, ec.SECP384R1: 96, ec.SECP521R1: 132}


@pytest.mark.parametrize(
    ("curve", "length"), LENGTHS.items(), ids=lambda value: getattr(value, "name", value)
)
def test_ecdsa_is_sha256_and_raw_r_and_s_on_every_curve(curve: type[ec.EllipticCurve], length: int) -> None:
    signature = ecdsa(ec_key(curve), MESSAGE)
    assert len(signature) == length
    assert verify(bare(ec_key(curve)), "ecdsa", signature, MESSAGE)
    assert not verify(bare(ec_key(curve)), "ecdsa", signature, MESSAGE + b" ")


@pytest.mark.parametrize("curve", LENGTHS, ids=lambda curve: curve.name)
def test_ecdsa_in_der_is_refused(curve: type[ec.EllipticCurve]) -> None:
    der = ec_key(curve).sign(MESSAGE, ec.ECDSA(SHA256()))
    assert not verify(bare(ec_key(curve)), "ecdsa", der, MESSAGE)


@pytest.mark.parametrize(("hash_", "valid"), [(SHA256(), True), (SHA384(), False), (SHA1(), False)])
def test_ecdsa_with_another_hash_is_refused(hash_: SHA256, valid: bool) -> None:
    der = ec_key(ec.SECP384R1).sign(MESSAGE, ec.ECDSA(hash_))
    assert verify(bare(ec_key(ec.SECP384R1)), "ecdsa", ecdsa_raw(der, 384), MESSAGE) is valid


def test_a_curve_that_notary_does_not_know_is_refused() -> None:
    key = ec_key(ec.SECP256K1)
    assert not verify(bare(key), "ecdsa", ecdsa(key, MESSAGE), MESSAGE)


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_ecdsa_of_another_length_is_refused(size: int) -> None:
    signature = (ecdsa(private_key("a"), MESSAGE) * 2)[:size]
    assert not verify(public_key("a"), "ecdsa", signature, MESSAGE)


def test_a_zero_before_the_signature_or_between_its_halves_does_not_help() -> None:
    signature = ecdsa(private_key("a"), MESSAGE)
    assert verify(public_key("a"), "ecdsa", signature, MESSAGE)
    assert not verify(public_key("a"), "ecdsa", b"\0" + signature, MESSAGE)
    assert not verify(public_key("a"), "ecdsa", signature[:32] + b"\0" + signature[32:], MESSAGE)
    assert not verify(public_key("a"), "ecdsa", signature[32:] + signature[:32], MESSAGE)


@pytest.mark.parametrize(
    "signature", [b"\0" * 64, b"\xff" * 64, b"\0" * 63 + b"\1", b"\0" * 31 + b"\1" + b"\0" * 32]
)
def test_numbers_out_of_range_are_invalid_and_no_crash(signature: bytes) -> None:
    assert not verify(public_key("a"), "ecdsa", signature, MESSAGE)


def test_r_and_s_beyond_the_order_of_the_curve_are_refused() -> None:
    raw = ecdsa(ec_key(ec.SECP521R1), MESSAGE)
    r, s = (int.from_bytes(half, "big") for half in (raw[:66], raw[66:]))
    for pair in ((r + P521_ORDER, s), (r, s + P521_ORDER)):
        beyond = b"".join(number.to_bytes(66, "big") for number in pair)
        assert not verify(bare(ec_key(ec.SECP521R1)), "ecdsa", beyond, MESSAGE)


def test_both_signs_of_s_are_accepted_as_in_go() -> None:
    r, s = decode_dss_signature(private_key("a").sign(MESSAGE, ec.ECDSA(SHA256())))
    for either in (s, P256_ORDER - s):
        assert verify(public_key("a"), "ecdsa", r.to_bytes(32, "big") + either.to_bytes(32, "big"), MESSAGE)


def test_short_numbers_are_padded_to_the_curve() -> None:
    signatures = (private_key("a").sign(b"%d" % count, ec.ECDSA(SHA256())) for count in range(2000))
    count, der = next(
        (count, der)
        for count, der in enumerate(signatures)
        if min(decode_dss_signature(der)).bit_length() <= 248
    )
    raw = ecdsa_raw(der, 256)
    assert len(raw) == 64
    assert verify(public_key("a"), "ecdsa", raw, b"%d" % count)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_pss_with_a_salt_of_32_verifies(bits: int) -> None:
    assert verify(bare(rsa_key(bits)), "rsapss", pss(rsa_key(bits), MESSAGE), MESSAGE)
    assert not verify(bare(rsa_key(bits)), "rsapss", pss(rsa_key(bits), MESSAGE), b"other")


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 222])
def test_rsa_pss_with_another_salt_is_refused(salt: int) -> None:
    assert not verify(bare(rsa_key()), "rsapss", pss(rsa_key(), MESSAGE, salt), MESSAGE)


@pytest.mark.parametrize(
    "scheme",
    [
        (padding.PSS(padding.MGF1(SHA1()), 32), SHA256()),
        (padding.PSS(padding.MGF1(SHA256()), 32), SHA384()),
        (padding.PSS(padding.MGF1(SHA384()), 32), SHA384()),
    ],
    ids=["mgf sha1", "sha384", "both sha384"],
)
def test_rsa_pss_with_other_hashes_is_refused(scheme: tuple[padding.PSS, SHA256]) -> None:
    assert not verify(bare(rsa_key()), "rsapss", rsa_key().sign(MESSAGE, *scheme), MESSAGE)


def test_rsa_pkcs1_is_accepted_under_its_own_name_only() -> None:
    signature = rsa_key().sign(MESSAGE, padding.PKCS1v15(), SHA256())
    assert verify(bare(rsa_key()), "rsapkcs1v15", signature, MESSAGE)
    assert not verify(bare(rsa_key()), "rsapss", signature, MESSAGE)
    assert not verify(bare(rsa_key()), "rsapkcs1v15", pss(rsa_key(), MESSAGE), MESSAGE)
    assert not verify(
        bare(rsa_key()), "rsapkcs1v15", rsa_key().sign(MESSAGE, padding.PKCS1v15(), SHA384()), MESSAGE
    )


@pytest.mark.parametrize(
    "change", [lambda sig: sig[:-1], lambda sig: sig + b"\0", lambda sig: b"\0" + sig, lambda _: b""]
)
def test_rsa_of_another_length_is_refused(change: object) -> None:
    assert callable(change)
    assert not verify(bare(rsa_key()), "rsapss", change(pss(rsa_key(), MESSAGE)), MESSAGE)


def test_rsa_of_1024_bits_is_refused() -> None:
    assert not verify(bare(rsa_key(1024)), "rsapss", pss(rsa_key(1024), MESSAGE), MESSAGE)


def test_an_rsa_key_with_exponent_1_lets_nobody_sign() -> None:
    modulus = rsa_key().public_key().public_numbers().n
    key = PublicKey("rsa", rsa_spki(modulus, 1))
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(MESSAGE).digest()
    forged = b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
    assert pow(int.from_bytes(forged, "big"), 1, modulus) == int.from_bytes(forged, "big")
    assert not verify(key, "rsapkcs1v15", forged, MESSAGE)


@pytest.mark.parametrize("exponent", [0, 2, 65536])
def test_rsa_keys_with_senseless_exponents_are_refused(exponent: int) -> None:
    key = PublicKey("rsa", rsa_spki(rsa_key().public_key().public_numbers().n, exponent))
    assert not verify(key, "rsapss", pss(rsa_key(), MESSAGE), MESSAGE)


@pytest.mark.parametrize(
    ("exponent", "refused"), [(2**31 - 1, False), (2**31 + 1, True), (2**2047 + 1, True)]
)
def test_rsa_keys_with_long_exponents_are_not_even_tried(exponent: int, refused: bool) -> None:
    """A check with a long exponent takes a hundred times as long; Go takes none of these keys."""
    key = PublicKey("rsa", rsa_spki(rsa_key().public_key().public_numbers().n, exponent))
    count = calls(lambda: verify(key, "rsapss", pss(rsa_key(), MESSAGE), MESSAGE))["check"]
    assert count == (0 if refused else 1)


def test_the_hand_made_rsa_encoding_is_the_right_one() -> None:
    numbers = rsa_key().public_key().public_numbers()
    assert rsa_spki(numbers.n, numbers.e) == bare(rsa_key()).public


def test_an_enormous_rsa_key_is_not_used() -> None:
    key = PublicKey("rsa", rsa_spki((1 << 8200) + 1, 65537))
    assert not verify(key, "rsapss", b"\0" * 1025, MESSAGE)


def test_ed25519_verifies_the_message_itself() -> None:
    signature = ed25519_key().sign(MESSAGE)
    assert verify(EDDSA, "eddsa", signature, MESSAGE)
    assert not verify(EDDSA, "eddsa", signature, MESSAGE + b" ")
    assert not verify(EDDSA, "eddsa", ed25519_key().sign(hashlib.sha256(MESSAGE).digest()), MESSAGE)
    assert not verify(EDDSA, "eddsa", signature[:-1], MESSAGE)
    assert not verify(EDDSA, "eddsa", signature + b"\0", MESSAGE)
    assert not verify(PublicKey("ed25519", EDDSA.public[:-1]), "eddsa", signature, MESSAGE)
    assert not verify(PublicKey("ed25519", EDDSA.public + b"\0"), "eddsa", signature, MESSAGE)


def good(keytype: str) -> tuple[PublicKey, bytes]:
    if keytype == "ed25519":
        return EDDSA, ed25519_key().sign(MESSAGE)
    if keytype == "ecdsa":
        return public_key("a"), ecdsa(private_key("a"), MESSAGE)
    if keytype == "ecdsa-x509":
        return root_key("a", "cn"), ecdsa(private_key("a"), MESSAGE)
    if keytype == "rsa":
        return bare(rsa_key()), pss(rsa_key(), MESSAGE)
    end = NOW + timedelta(days=9)
    one = certificate(rsa_key().public_key(), rsa_key(), ("cn",), NOW, end)
    return PublicKey("rsa-x509", chain(one)), pss(rsa_key(), MESSAGE)


@pytest.mark.parametrize("keytype", METHOD_FOR)
@pytest.mark.parametrize(
    "method", ["ecdsa", "rsapss", "rsapkcs1v15", "eddsa", "pycrypto-pkcs#1 pss", "", "none"]
)
def test_only_the_method_that_fits_the_key_verifies(keytype: str, method: str) -> None:
    key, signature = good(keytype)
    assert verify(key, method, signature, MESSAGE) is (method == METHOD_FOR[keytype])


@pytest.mark.parametrize("keytype", METHOD_FOR)
def test_method_names_are_read_without_case(keytype: str) -> None:
    key, signature = good(keytype)
    assert verify(key, METHOD_FOR[keytype].upper(), signature, MESSAGE)
    assert not verify(key, METHOD_FOR[keytype] + " ", signature, MESSAGE)


@pytest.mark.parametrize("keytype", METHOD_FOR)
@pytest.mark.parametrize("other", [*METHOD_FOR, "ECDSA", "dsa", "", "ecdsa-pem", "rsa-", "ed25519-x509"])
def test_a_key_under_another_type_is_of_no_use(keytype: str, other: str) -> None:
    key, signature = good(keytype)
    if other != keytype:
        assert not verify(PublicKey(other, key.public), METHOD_FOR.get(other, ""), signature, MESSAGE)
        assert not verify(PublicKey(other, key.public), METHOD_FOR[keytype], signature, MESSAGE)


@pytest.mark.parametrize(
    "public", [b"", b"\0" * 32, b"0" * 91, wrapped(b"x"), b"-----BEGIN CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("keytype", METHOD_FOR)
def test_unreadable_keys_verify_nothing(keytype: str, public: bytes) -> None:
    assert not verify(PublicKey(keytype, public), METHOD_FOR[keytype], b"\0" * 64, MESSAGE)


@pytest.mark.parametrize("position", [27, 60, 90])
def test_a_p256_point_off_the_curve_verifies_nothing(position: int) -> None:
    public = bytearray(public_key("a").public)
    public[position] ^= 1
    assert not verify(PublicKey("ecdsa", bytes(public)), "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)


@pytest.mark.parametrize("position", range(26))
def test_a_p256_point_behind_another_prefix_verifies_nothing(position: int) -> None:
    public = bytearray(public_key("a").public)
    public[position] ^= 1
    assert not verify(PublicKey("ecdsa", bytes(public)), "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)


@pytest.mark.parametrize("first", [0x00, 0x02, 0x03, 0x06, 0x07])
def test_a_p256_point_in_another_form_verifies_nothing(first: int) -> None:
    public = bytearray(public_key("a").public)
    assert public[26] == 4
    public[26] = first
    assert not verify(PublicKey("ecdsa", bytes(public)), "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)


def test_a_second_encoding_of_the_same_key_verifies_nothing() -> None:
    compressed = PublicKey("ecdsa", compressed_spki(private_key("a")))
    assert not verify(compressed, "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)
    numbers = rsa_key().public_key().public_numbers()
    without_null = PublicKey("rsa", rsa_spki(numbers.n, numbers.e, null=False))
    assert not verify(without_null, "rsapss", pss(rsa_key(), MESSAGE), MESSAGE)


def test_a_compressed_point_behind_the_usual_prefix_verifies_nothing() -> None:
    usual, compressed = public_key("a").public, compressed_spki(private_key("a"))
    odd = PublicKey("ecdsa", usual[:26] + compressed[-33:])
    assert not verify(odd, "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)
    assert verify(public_key("a"), "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)


def test_the_first_certificate_of_a_bundle_is_the_key() -> None:
    end = NOW + timedelta(days=9)
    leaf = certificate(private_key("leaf").public_key(), private_key("ca"), ("cn",), NOW, end)
    ca = certificate(private_key("ca").public_key(), private_key("ca"), ("ca",), NOW, end, ca=True)
    key = PublicKey("ecdsa-x509", chain(leaf, ca))
    assert key.canonical_id == public_key("leaf").keyid
    assert verify(key, "ecdsa", ecdsa(private_key("leaf"), MESSAGE), MESSAGE)
    assert not verify(key, "ecdsa", ecdsa(private_key("ca"), MESSAGE), MESSAGE)


def test_keys_that_notary_does_not_know_are_refused_in_certificates_too() -> None:
    end = NOW + timedelta(days=9)
    for key in (ec_key(ec.SECP256K1), rsa_key(1024)):
        one = certificate(key.public_key(), private_key("ca"), ("cn",), NOW, end)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            assert not verify(PublicKey("ecdsa-x509", chain(one)), "ecdsa", ecdsa(key, MESSAGE), MESSAGE)
        else:
            assert not verify(PublicKey("rsa-x509", chain(one)), "rsapss", pss(key, MESSAGE), MESSAGE)


def test_an_expired_certificate_still_verifies_outside_of_the_root_role() -> None:
    one = certificate(
        private_key("a").public_key(), private_key("a"), ("x",), NOW - timedelta(9), NOW - timedelta(8)
    )
    assert verify(PublicKey("ecdsa-x509", chain(one)), "ecdsa", ecdsa(private_key("a"), MESSAGE), MESSAGE)
