from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notarypy.errors import InvalidNameError, UnsupportedKeyError
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf.keys import PublicKey, leaf_certificate, public_key_of
from support.rsakeys import fresh_key

GUN = "docker.io/library/alpine"


def certificate(public: PublicKey) -> x509.Certificate:
    return leaf_certificate(public)


def test_new_keys() -> None:
    ecdsa = keyfile.generate()
    assert isinstance(ecdsa, ec.EllipticCurvePrivateKey)
    assert ecdsa.curve.name == "secp256r1"
    rsa_key = keyfile.generate("rsa")
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert rsa_key.key_size == 3072
    with pytest.raises(UnsupportedKeyError):
        keyfile.generate("dsa")


def test_a_root_certificate_is_the_one_go_makes(now: datetime) -> None:
    key = keyfile.generate()
    public = root_certificate(LocalSigner(key), GUN, now, random=lambda size: b"\x01" * size)
    found = certificate(public)
    assert public.keytype == "ecdsa-x509"
    assert public.canonical_id == public_key_of(key).keyid != public.keyid
    assert public.public.endswith(b"-----END CERTIFICATE-----\n")
    assert found.version == x509.Version.v3
    assert found.subject == found.issuer == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, GUN)])
    assert found.serial_number == int("01" * 16, 16)
    assert found.not_valid_before_utc == now
    assert found.not_valid_after_utc == now + timedelta(days=3650)
    found.verify_directly_issued_by(found)
    assert [(extension.value, extension.critical) for extension in found.extensions] == [
        (
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=True,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            True,
        ),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
    ]


def test_an_rsa_root(now: datetime) -> None:
    public = root_certificate(LocalSigner(fresh_key(2048)), GUN, now)
    found = certificate(public)
    assert public.keytype == "rsa-x509"
    assert found.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSA_WITH_SHA256


def test_each_certificate_of_one_key_has_a_tuf_id_of_its_own(now: datetime) -> None:
    key = keyfile.generate()
    first, second = (root_certificate(LocalSigner(key), gun, now) for gun in ("a/b", "a/c"))
    assert first.keyid != second.keyid
    assert first.canonical_id == second.canonical_id


def test_a_gun_longer_than_x509_likes(now: datetime) -> None:
    gun = "harbor.example.com/" + "a" * 200
    public = root_certificate(LocalSigner(keyfile.generate()), gun, now)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        (name,) = certificate(public).subject
    assert name.value == gun


def test_the_time_is_the_callers_in_whole_seconds_of_utc() -> None:
    there = datetime(2026, 11, 23, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    found = certificate(root_certificate(LocalSigner(keyfile.generate()), GUN, there))
    assert found.not_valid_before_utc == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_what_cannot_be_a_root(now: datetime) -> None:
    with pytest.raises(UnsupportedKeyError):
        root_certificate(LocalSigner(ed25519.Ed25519PrivateKey.generate()), GUN, now)
    with pytest.raises(InvalidNameError):
        root_certificate(LocalSigner(keyfile.generate()), "a/../b", now)
