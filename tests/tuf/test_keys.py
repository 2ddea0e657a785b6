"""Public keys: their two ids, reading them from metadata and from files."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy import signers
from notarypy.cli.text.advice import advice
from notarypy.errors import MetadataError, UnsupportedKeyError
from notarypy.tuf.envelope import verify
from notarypy.tuf.keyobjects import usable_rsa
from notarypy.tuf.keys import PublicKey, certificates, public_key_of
from notarypy.tuf.signerkeys import load_public_pem
from support.author import NOW, private_key, public_key, root_key
from support.counting import TOO_MUCH, growth
from support.otherkeys import (
    bare,
    certificate,
    chain,
    ec_key,
    ed25519_key,
    rsa_key,
    rsa_spki,
    spki,
    wrapped,
)
from support.repository import GO
from support.rsakeys import fresh_key

DEE = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpxeE0By4TEL0dEVnuMNZDO/0nhRoUAxnI+Fvo6d/II8TeRJGEem8SZrMsngJganp6e4CqkX"
    "p00E9pYnEWsa3fw=="
)
DEE_ID = "577afec209a70e65b2fb2c16d7c869c5a3b54ec26b12138244a8cded51e0d168"
DEE_CERTIFICATE_ID = "bd03df60f29e4a05e046ed6de8a92616585efe476b0c3d0b6b29bb6401e109ed"
BOB_ID = "923c723997be4362062d11631bfea1703f0a0de66b0edc37c938b9a3036d0730"
YEAR = timedelta(days=365)


def test_the_tuf_id_is_the_hash_of_the_canonical_key_object() -> None:
    key = PublicKey("ecdsa", base64.b64decode(DEE))
    text = '{"keytype":"ecdsa","keyval":{"private":null,"public":"' + DEE + '"}}'
    assert key.keyid == hashlib.sha256(text.encode()).hexdigest() == DEE_ID
    assert key.canonical_id == key.keyid
    assert key.bare is key


def test_a_certificate_has_its_own_tuf_id_and_the_canonical_id_of_its_key() -> None:
    key = load_public_pem((GO.parent / "keys" / "dee.crt").read_bytes(), NOW)
    assert (key.keytype, key.keyid, key.canonical_id) == ("ecdsa-x509", DEE_CERTIFICATE_ID, DEE_ID)
    assert key.bare == PublicKey("ecdsa", base64.b64decode(DEE))


def test_the_id_of_a_certificate_changes_with_its_line_wrapping_and_the_canonical_id_does_not() -> None:
    key = root_key("wrap", "gun")
    der = certificates(key)[0].public_bytes(Encoding.DER)
    other = PublicKey("ecdsa-x509", wrapped(der))
    assert other.keyid != key.keyid
    assert other.canonical_id == key.canonical_id


def test_extra_members_and_a_private_half_do_not_change_the_id() -> None:
    value = {"keytype": "ecdsa", "more": 1, "keyval": {"public": DEE, "private": "QQ==", "x": []}}
    key = PublicKey.from_json(value)
    assert key.keyid == DEE_ID
    assert key.to_json() == {"keytype": "ecdsa", "keyval": {"private": None, "public": DEE}}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "key",
        {},
        {"keytype": "ecdsa"},
        {"keytype": "ecdsa", "keyval": None},
        {"keytype": "ecdsa", "keyval": {"private": None}},
        {"keytype": "ecdsa", "keyval": {"public": None}},
        {"keytype": None, "keyval": {"public": "QQ=="}},
        {"keytype": 1, "keyval": {"public": "QQ=="}},
        {"keytype": "ecdsa", "keyval": {"public": ["QQ=="]}},
        {"keytype": "ecdsa", "keyval": {"public": "QQ"}},
        {"keytype": "ecdsa", "keyval": {"public": "QQ==\n"}},
        {"keytype": "ecdsa", "keyval": {"public": "Q Q=="}},
        {"keytype": "ecdsa", "keyval": {"public": "QQ==QQ=="}},
        {"keytype": "ecdsa", "keyval": {"public": "-_=="}},
        {"keytype": "ecdsa", "keyval": {"public": "\u00e9"}},
    ],
)
def test_what_is_no_key_object_is_refused(value: object) -> None:
    with pytest.raises(MetadataError):
        PublicKey.from_json(value)


def test_keys_of_unknown_types_are_kept_as_they_are() -> None:
    value = {"keytype": "sphincs", "keyval": {"private": None, "public": "QUJD"}}
    key = PublicKey.from_json(value)
    assert key.to_json() == value
    assert key.canonical_id == key.keyid


@pytest.mark.parametrize(
    "public",
    [
        b"",
        b"no certificate",
        wrapped(b"123"),
        chain(
            certificate(x25519.X25519PrivateKey.generate().public_key(), private_key("ca"), ("g",), NOW, NOW)
        ),
    ],
    ids=["empty", "junk", "der", "x25519"],
)
def test_a_certificate_that_cannot_be_read_goes_by_its_tuf_id(public: bytes) -> None:
    key = PublicKey("ecdsa-x509", public)
    assert key.canonical_id == key.keyid
    with pytest.raises((MetadataError, UnsupportedKeyError)):
        _ = key.bare


def mangled(old: str, new: str) -> PublicKey:
    der = certificates(root_key("mangled", "gun"))[0].public_bytes(Encoding.DER)
    assert bytes.fromhex(old) in der
    return PublicKey("ecdsa-x509", wrapped(der.replace(bytes.fromhex(old), bytes.fromhex(new))))


@pytest.mark.parametrize(
    ("old", "new"),
    [("06072a8648ce3d0201", "06072a8648ce3d0209"), ("06082a8648ce3d030107", "06082a8648ce3d030177")],
    ids=["algorithm", "curve"],
)
def test_a_certificate_of_an_unknown_kind_of_key_is_an_error_of_ours(old: str, new: str) -> None:
    key = mangled(old, new)
    assert key.canonical_id == key.keyid
    with pytest.raises(UnsupportedKeyError):
        _ = key.bare
    with pytest.raises(UnsupportedKeyError):
        load_public_pem(key.public, NOW)


def test_a_certificate_of_a_version_that_does_not_exist_cannot_be_read() -> None:
    key = mangled("a003020102", "a003020101")
    assert key.canonical_id == key.keyid
    assert not verify(key, "ecdsa", bytes(64), b"message")
    with pytest.raises(MetadataError):
        certificates(key)
    with pytest.raises(UnsupportedKeyError):
        load_public_pem(key.public, NOW)


def test_a_certificate_signed_by_an_unknown_algorithm_is_no_signers_key() -> None:
    key = mangled("06082a8648ce3d040302", "06082a8648ce3d040377")
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(key.public, NOW)
    assert caught.value.why == ("it is signed with an unknown algorithm",)


@pytest.mark.parametrize("curve", [ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_curves_that_notary_verifies_become_keys(curve: type[ec.EllipticCurve]) -> None:
    key = public_key_of(ec_key(curve))
    assert key == bare(ec_key(curve))
    assert public_key_of(ec_key(curve).public_key()) == key


@pytest.mark.parametrize(
    "key",
    [
        ec_key(ec.SECP256K1),
        ec_key(ec.BrainpoolP256R1),
        rsa_key(1024),
        dsa.generate_private_key(1024),
        x25519.X25519PrivateKey.generate(),
    ],
    ids=["secp256k1", "brainpool", "rsa-1024", "dsa", "x25519"],
)
def test_keys_that_notary_cannot_verify_are_refused_by_name(key: object) -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        public_key_of(key)
    assert caught.value.why


@pytest.mark.parametrize(("bits", "usable"), [(2047, False), (2048, True), (8192, True), (8193, False)])
def test_rsa_sizes_have_exact_limits(bits: int, usable: bool) -> None:
    public = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1).public_key()
    assert usable_rsa(public) is usable


def test_rsa_and_ed25519_become_keys() -> None:
    assert public_key_of(rsa_key()) == PublicKey("rsa", spki(rsa_key()))
    raw = ed25519_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert public_key_of(ed25519_key()) == PublicKey("ed25519", raw)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_public_key_files_of_docker_are_read_with_their_role_header() -> None:
    assert load_public_pem((GO / "docker-ecdsa-rsa" / "bob.pub").read_bytes(), NOW).keyid == BOB_ID
    assert load_public_pem((GO / "docker-ecdsa-rsa" / "jeff.pub").read_bytes(), NOW).keytype == "ecdsa"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data,
        lambda data: b"some text before\n" + data + b"and after\n",
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"KEY-----\n", b"KEY-----\nrole: jeff\nX-Y: z\n\n", 1),
        lambda data: data + pem(private_key("second")),
    ],
    ids=["plain", "surrounded", "crlf", "headers", "first of two"],
)
def test_a_public_key_file_may_look_like_this(change: object) -> None:
    data = pem(private_key("file"))
    assert callable(change)
    assert load_public_pem(change(data), NOW) == public_key("file")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "holds no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkw", "holds no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END CERTIFICATE-----\n", "holds no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n", "cannot be read"),
        (b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n", "holds no public key"),
        (b"-----BEGIN RSA PUBLIC KEY-----\nQUJD\n-----END RSA PUBLIC KEY-----\n", "holds no public key"),
        (pem(ec_key(ec.SECP256K1)), "cannot use this key"),
        (
            ed25519_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "Ed25519",
        ),
    ],
)  # fmt: skip
def test_other_files_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnsupportedKeyError, match=says):
        load_public_pem(data, NOW)


def test_a_private_key_file_is_answered_with_advice() -> None:
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n", NOW)
    assert "public half" in advice(caught.value)


@pytest.mark.parametrize(
    ("start", "piece", "size"),
    [(b"-----BEGIN PUBLIC KEY-----", b"\n", 20_000), (b"", b"-----BEGIN A-----\n", 2000)],
)
def test_a_hostile_public_key_file_is_refused_in_linear_time(start: bytes, piece: bytes, size: int) -> None:
    with pytest.raises(UnsupportedKeyError):
        load_public_pem(start + piece * size, NOW)
    assert (
        growth(lambda data: load_public_pem(data, NOW), lambda count: start + piece * count, size) < TOO_MUCH
    )


@pytest.mark.parametrize(
    ("moment", "usable"),
    [
        (NOW, True),
        (NOW + YEAR, True),
        (NOW + YEAR + timedelta(seconds=1), False),
        (NOW - timedelta(days=1), True),
        (NOW - timedelta(days=1, seconds=1), False),
    ],
)
def test_a_signers_certificate_is_in_date(moment: datetime, usable: bool) -> None:
    one = certificate(private_key("c").public_key(), private_key("c"), ("any",), NOW, NOW + YEAR)
    if usable:
        assert load_public_pem(chain(one), moment) == PublicKey("ecdsa-x509", chain(one))
    else:
        with pytest.raises(UnsupportedKeyError) as caught:
            load_public_pem(chain(one), moment)
        assert caught.value.why[0] in {"it expired on 2027-11-23", "it is valid only from 2026-11-23"}


def test_an_rsa_certificate_becomes_an_rsa_x509_key() -> None:
    one = certificate(rsa_key().public_key(), rsa_key(), ("any",), NOW, NOW + YEAR)
    key = load_public_pem(chain(one), NOW)
    assert key.keytype == "rsa-x509"
    assert key.canonical_id == PublicKey("rsa", spki(rsa_key())).keyid


def test_a_certificate_of_a_small_rsa_key_is_refused() -> None:
    one = certificate(rsa_key(1024).public_key(), private_key("ca"), ("any",), NOW, NOW + YEAR)
    with pytest.raises(UnsupportedKeyError, match="cannot use this key"):
        load_public_pem(chain(one), NOW)


def test_a_sha1_certificate_is_refused() -> None:
    der = certificate(rsa_key().public_key(), rsa_key(), ("a",), NOW, NOW + YEAR).public_bytes(Encoding.DER)
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    with pytest.raises(UnsupportedKeyError) as caught:
        load_public_pem(wrapped(der.replace(sha256, sha1)), NOW)
    assert caught.value.why == ("it is signed with SHA1",)


def test_a_certificate_of_an_unknown_version_is_refused() -> None:
    key = mangled("a003020102", "a003020142")
    with pytest.raises(UnsupportedKeyError, match="this certificate cannot be read"):
        load_public_pem(key.public, NOW)


def test_a_certificate_signed_with_ed25519_names_no_hash_and_is_fine() -> None:
    from cryptography import x509

    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, private_key("c").public_key(), 7, NOW, NOW + YEAR)
    text = chain(builder.sign(ed25519_key(), None))
    assert load_public_pem(text, NOW).canonical_id == public_key("c").keyid


def test_keys_know_nothing_of_time_zones() -> None:
    one = certificate(private_key("c").public_key(), private_key("c"), ("any",), NOW, NOW + YEAR)
    assert load_public_pem(chain(one), datetime(2027, 1, 1, tzinfo=UTC)).keytype == "ecdsa-x509"


@pytest.mark.parametrize("exponent", [1, 2, 65536])
def test_rsa_exponents_that_anybody_can_sign_with_make_no_key(exponent: int) -> None:
    der = rsa_spki(rsa_key().public_key().public_numbers().n, exponent)
    text = wrapped(der).replace(b"CERTIFICATE", b"PUBLIC KEY")
    with pytest.raises(UnsupportedKeyError):
        load_public_pem(text, NOW)


# -- for whoever writes a signer


@pytest.mark.parametrize(
    "key",
    [
        private_key("one"),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        fresh_key(2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_a_public_key_is_pem_and_back(key: ec.EllipticCurvePrivateKey) -> None:
    found = PublicKey.from_key(key)
    assert found == PublicKey.from_key(key.public_key()) == public_key_of(key)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert found.to_pem() == pem
    assert PublicKey.from_pem(pem) == found


def test_a_certificate_is_its_key() -> None:
    wrapped_key = root_key("one", "registry.test/app")
    assert PublicKey.from_pem(wrapped_key.public) == wrapped_key.bare
    assert PublicKey.from_pem(wrapped_key.to_pem()) == wrapped_key.bare


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        x25519.X25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        fresh_key(1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_what_is_no_key_for_notary_is_no_public_key(data: bytes) -> None:
    with pytest.raises(UnsupportedKeyError):
        PublicKey.from_pem(data)


@pytest.mark.parametrize("key", [PublicKey("sm2", b"x"), PublicKey("ed25519", b"x"), PublicKey("rsa", b"")])
def test_what_is_no_key_is_not_written(key: PublicKey) -> None:
    with pytest.raises(UnsupportedKeyError, match="cannot be written"):
        key.to_pem()


def test_a_signature_in_der_is_what_a_signer_returns() -> None:
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        public = PublicKey.from_key(key)
        method, signature = signers.from_der(public, key.sign(b"message", ec.ECDSA(SHA256())))
        assert verify(public, method, signature, b"message")
    with pytest.raises(ValueError, match=r"ASN\.1|asn1|parsing"):
        signers.from_der(public, b"no DER")
