"""Certificates that docker and Go notary cannot read are refused; bare keys are written anew.

Each certificate here was given to Go notary 0.7.0: it refused those that are refused here, and when one was
published all the same, `notary delegation list` failed, and `docker trust inspect` showed no signer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, x448, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from notarypy.cli.text.advice import advice
from notarypy.errors import UnsupportedKeyError
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import der
from notarypy.tuf.certificateparts import foreign_problem
from notarypy.tuf.keys import leaf_certificate
from notarypy.tuf.signerkeys import load_public_pem
from support.author import GUN, NOW, private_key
from support.otherkeys import compressed_spki, ec_key, integer, rsa_key, rsa_spki, spki, tlv, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = private_key("signer")
PSS, CURVE = bytes.fromhex("06092a864886f70d01010a"), bytes.fromhex("06082a8648ce3d030107")
ECDSA, ECDSA_384 = (tlv(0x30, tlv(6, bytes.fromhex(f"2a8648ce3d0403{last}"))) for last in ("02", "03"))
UTF8, IA5, OCTETS, UNIVERSAL, T61, NUMERIC, BMP = 0x0C, 0x16, 0x04, 0x1C, 0x14, 0x12, 0x1E
RSA_DER, MODULUS = spki(rsa_key()), rsa_key().public_key().public_numbers().n


def name(tag: int = UTF8, text: bytes = b"jeff") -> bytes:
    return tlv(0x30, tlv(0x31, tlv(0x30, bytes.fromhex("0603550403"), tlv(tag, text))))


def extension(last: int, value: bytes) -> bytes:
    return tlv(0x30, tlv(6, bytes([0x55, 0x1D, last])), tlv(4, value))


def alternative(tag: int, text: bytes) -> bytes:
    return extension(17, tlv(0x30, tlv(tag, text)))


def signed(
    key: bytes | None = None,
    subject: bytes | None = None,
    extensions: Sequence[bytes] = (),
    outer: bytes = ECDSA,
) -> bytes:
    """Return a certificate that is put together by hand, as PEM."""
    dates = tlv(0x30, tlv(0x17, b"261101000000Z"), tlv(0x17, b"281101000000Z"))
    who = subject or name()
    parts = [tlv(0xA0, integer(2)), integer(5), ECDSA, who, dates, who, key or spki(KEY)]
    parts += [tlv(0xA3, tlv(0x30, *extensions))] if extensions else []
    body = tlv(0x30, *parts)
    return wrapped(tlv(0x30, body, outer, tlv(3, b"\0", KEY.sign(body, ec.ECDSA(SHA256())))))


def as_pss(written: bytes) -> bytes:
    """Return an RSA key as RSA-PSS without parameters."""
    _, bits = der.elements(written)
    return tlv(0x30, tlv(0x30, PSS), bits)


UNREADABLE = {
    "pss": (signed(as_pss(RSA_DER)), "RSA-PSS"),
    "compressed": (signed(compressed_spki(KEY)), "compressed point"),
    "no parameters": (signed(rsa_spki(MODULUS, 65537, null=False)), "no parameters"),
    "two algorithms": (signed(outer=ECDSA_384), "two signature algorithms"),
    "octets": (signed(subject=name(OCTETS)), "malformed"),
    "universal": (signed(subject=name(UNIVERSAL, "jeff".encode("utf-32-be"))), "malformed"),
    "no UTF-8": (signed(subject=name(UTF8, b"j\xe9ff")), "malformed"),
    "no ASCII": (signed(subject=name(IA5, b"j\xe9ff")), "malformed"),
    "twice": (signed(extensions=[extension(19, tlv(0x30))] * 2), "malformed"),
    "constraints": (signed(extensions=[extension(19, tlv(4))]), "malformed"),
    "usage": (signed(extensions=[extension(15, tlv(4, b"\2"))]), "malformed"),
    "address": (signed(extensions=[alternative(0x87, b"12345")]), "malformed"),
    "host": (signed(extensions=[alternative(0x82, b"j\xe9ff")]), "malformed"),
    "bracket": (signed(extensions=[alternative(0x86, b"http://[::1")]), "no URI"),
    "scheme": (signed(extensions=[alternative(0x86, b"://x y")]), "no URI"),
}  # fmt: skip
READABLE = {
    "plain": signed(),
    "rsa": signed(RSA_DER),
    "t61": signed(subject=name(T61, b"j\xe9ff")),
    "bmp": signed(subject=name(BMP, "jeff".encode("utf-16-be"))),
    "numeric": signed(subject=name(NUMERIC, b"123")),
    "no name": signed(subject=tlv(0x30)),
    "uri": signed(extensions=[alternative(0x86, b"spiffe://example.org/ci%20bot?x=1#y")]),
    "urn": signed(extensions=[alternative(0x86, b"urn:uuid:0d9a")]),
    "unknown extension": signed(extensions=[extension(99, b"anything")]),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_go_cannot_read_is_refused_with_the_way_on(case: str) -> None:
    data, why = UNREADABLE[case]
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(data, NOW)
    assert caught.value.why[0].startswith("docker and Go notary cannot read it: ")
    assert why in caught.value.why[0]
    assert "openssl x509 -in FILE -pubkey -noout" in advice(caught.value)


@pytest.mark.parametrize("case", READABLE)
def test_what_go_reads_is_taken(case: str) -> None:
    assert load_public_pem(READABLE[case], NOW).keytype in {"ecdsa-x509", "rsa-x509"}


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (as_pss(RSA_DER), RSA_DER),
        (compressed_spki(KEY), spki(KEY)),
        (rsa_spki(MODULUS, 65537, null=False), RSA_DER),
    ],
    ids=["pss", "compressed", "no parameters"],
)
def test_a_bare_key_is_written_anew_as_go_reads_it(written: bytes, plain: bytes) -> None:
    assert load_public_pem(public(written), NOW).public == plain


def test_our_own_root_certificates_can_be_read() -> None:
    for key in (KEY, rsa_key()):
        assert foreign_problem(leaf_certificate(root_certificate(LocalSigner(key), GUN, NOW))) == ""


def test_a_certificate_that_begins_later_is_refused() -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(signed(), NOW - timedelta(days=365))
    assert caught.value.why == ("it is valid only from 2026-11-01",)


def _pem(public: object) -> bytes:
    assert hasattr(public, "public_bytes")
    data = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert isinstance(data, bytes)
    return data


def public(der: bytes) -> bytes:
    return wrapped(der).replace(b"CERTIFICATE", b"PUBLIC KEY")


def other(oid: str) -> bytes:
    """Return a key of any algorithm."""
    return public(tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex(oid))), tlv(3, b"\0", integer(7))))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_pem(ec_key(ec.SECP256K1).public_key()), "EC, secp256k1"),
        (_pem(ec_key(ec.BrainpoolP256R1).public_key()), "EC, brainpoolP256r1"),
        (
            public(spki(KEY).replace(CURVE, tlv(6, bytes.fromhex("2a811ccf5501822d")))),
            "EC, curve 1.2.156.10197.1.301",
        ),
        (_pem(rsa_key(1024).public_key()), "RSA, 1024 bits"),
        (_pem(dsa.generate_private_key(1024).public_key()), "DSA"),
        (_pem(x25519.X25519PrivateKey.generate().public_key()), "X25519"),
        (_pem(x448.X448PrivateKey.generate().public_key()), "X448"),
        (other("2a864886f70d010301"), "Diffie-Hellman"),
        (other("608648016503040312"), "ML-DSA-65"),
    ],
    ids=["koblitz", "brainpool", "sm2", "small", "dsa", "x25519", "x448", "dh", "ml-dsa"],
)
def test_a_key_of_another_kind_is_refused_by_its_name_and_without_warnings(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(data, NOW)
    assert caught.value.why == (f"its kind is {kind}",)
    assert "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem" in advice(caught.value)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_of_no_use_is_not_asked_for_its_public_half(form: PrivateFormat) -> None:
    fixes = []
    for curve in (ec.SECP256K1(), ec.SECP256R1()):
        pem = ec.generate_private_key(curve).private_bytes(Encoding.PEM, form, NoEncryption())
        with pytest.raises(UnsupportedKeyError) as caught:
            load_public_pem(pem, NOW)
        fixes.append(advice(caught.value))
    assert fixes[0].startswith("use an ECDSA key on P-224")
    assert fixes[1].startswith("give its public half")


def test_a_private_ed25519_key_is_of_no_use_to_a_signer() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UnsupportedKeyError, match="an Ed25519 key cannot be a signer's key"):
        load_public_pem(pem, NOW)
