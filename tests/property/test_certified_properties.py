"""A signer's usual certificate: its key is what `cryptography` finds there, and all else is left to it."""

from __future__ import annotations

import base64
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import assume, given
from hypothesis import strategies as st

from fuzz.targets import usual_certificate
from notarypy.tuf import der, envelope, usual
from notarypy.tuf.keys import PublicKey
from support import otherkeys
from support.author import private_key

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures" / "keys"
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
EC_KEY = private_key("certified")
COUNTRY, UNIT = NameOID.COUNTRY_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
EXTENSIONS: list[x509.ExtensionType] = [
    x509.BasicConstraints(ca=True, path_length=None),
    x509.SubjectKeyIdentifier(b"\x01" * 20),
    x509.SubjectAlternativeName([x509.DNSName("signer.test"), x509.RFC822Name("a@signer.test")]),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"no DER"),
    x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.4294967295"), b""),
]
# A name has 64 bytes at the most, and a character up to four of them.
attributes = st.one_of(
    st.builds(x509.NameAttribute, st.just(NameOID.COMMON_NAME), st.text(min_size=1, max_size=16)),
    st.builds(x509.NameAttribute, st.just(UNIT), st.text(min_size=1, max_size=16)),
    st.builds(x509.NameAttribute, st.just(COUNTRY), st.sampled_from(["DE", "US"])),
    st.just(x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@signer.test")),
    st.just(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "test")),
)
distinguished = st.builds(x509.Name, st.lists(attributes, max_size=4))


def modulus(bits: int, seed: int = 1) -> int:
    """Return an odd number of this size."""
    return random.Random(seed).getrandbits(bits) | 1 | 1 << (bits - 1)


@cache
def rsa_public(bits: int) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(65537, modulus(bits)).public_key()


def public_keys() -> list[Any]:
    return [EC_KEY.public_key(), *(rsa_public(bits) for bits in (2048, 3072, 4096))]


def made(public: Any, key: Any = EC_KEY, **how: Any) -> bytes:  # noqa: ANN401 - any of the package's keys
    """Return a certificate in PEM."""
    subject = how.get("subject", x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jeff")]))
    end = how.get("end", BEGIN + timedelta(days=365))
    builder = x509.CertificateBuilder(how.get("issuer", subject), subject, public, 77, BEGIN, end)
    for number, extension in enumerate(how.get("extensions", EXTENSIONS[:1])):
        builder = builder.add_extension(extension, critical=number % 2 == 0)
    return builder.sign(key, how.get("algorithm", SHA256()), rsa_padding=how.get("padding")).public_bytes(
        Encoding.PEM
    )


@cache
def changeable(number: int) -> bytes:
    """Return a certificate of one of the keys, DER; each time the same, though signatures differ."""
    return as_der(made(public_keys()[number], extensions=EXTENSIONS))


def as_der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def as_pem(block: bytes) -> bytes:
    text = base64.b64encode(block)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def same_both_ways(pem: bytes) -> None:
    """Ids and usability of a key are the same with the short way and without it."""
    usual_certificate(pem)

    def judged() -> list[object]:
        envelope._usable.cache_clear()  # noqa: SLF001 - the other way is asked next
        found = [PublicKey(keytype, pem) for keytype in ("ecdsa-x509", "rsa-x509")]
        return [(key.canonical_id, envelope._usable(key)) for key in found]  # noqa: SLF001 - what verifies

    short = judged()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual, "certified", lambda _: None)
        patch.setattr(usual, "public_key", lambda *_: None)
        assert judged() == short
    envelope._usable.cache_clear()  # noqa: SLF001 - nothing stays


@pytest.mark.parametrize("name", ["bob", "dee"])
def test_a_certificate_that_openssl_made_years_ago_is_usual(name: str) -> None:
    pem = (FIXTURES / f"{name}.crt").read_bytes()
    assert usual.certified(pem) is not None
    same_both_ways(pem)


def run_openssl(*arguments: str | Path, text: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=text, capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("algorithm", "subject"),
    [
        (("EC", "ec_paramgen_curve:P-256"), "/CN=jeff"),
        (("RSA", "rsa_keygen_bits:2048"), "/C=DE/O=Some Company, Ltd./CN=jeff/emailAddress=jeff@test"),
        (("RSA", "rsa_keygen_bits:4096"), "/DC=test/OU=Grüße & more/CN=*"),
        (("EC", "ec_paramgen_curve:P-256"), "/"),
    ],
)
def test_whatever_openssl_makes_in_the_documented_ways_is_usual(
    tmp_path: Path, algorithm: tuple[str, str], subject: str
) -> None:
    key, request, alone = (tmp_path / name for name in ("key", "request", "alone"))
    run_openssl("genpkey", "-algorithm", algorithm[0], "-pkeyopt", algorithm[1], "-out", key)
    named = ("-utf8", "-subj", subject, "-key", key)
    run_openssl("req", "-new", "-x509", "-sha256", "-days", "365", *named, "-out", alone)
    run_openssl("req", "-new", "-sha256", *named, "-out", request)
    bare = run_openssl("x509", "-req", "-days", "9999", "-in", request, "-signkey", key)
    issuer = tmp_path / "ca.key"
    issuer.write_bytes(EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    authority = tmp_path / "ca"
    run_openssl("req", "-x509", "-key", issuer, "-subj", "/O=Authority/CN=CA", "-out", authority)
    extras = tmp_path / "extras"
    extras.write_text("keyUsage=critical,digitalSignature\nsubjectAltName=DNS:a.test\n")
    signed = ("-CA", authority, "-CAkey", issuer, "-set_serial", "99", "-extfile", extras, "-sha256")
    issued = run_openssl("x509", "-req", "-in", request, *signed)
    for pem in (alone.read_bytes(), bare, issued):
        assert usual.certified(pem) is not None, pem.decode()
        same_both_ways(pem)


@given(st.data())
def test_names_extensions_and_keys_are_read_alike(data: st.DataObject) -> None:
    pem = made(
        data.draw(st.sampled_from(public_keys())),
        subject=data.draw(distinguished),
        issuer=data.draw(distinguished),
        extensions=data.draw(st.lists(st.sampled_from(EXTENSIONS), min_size=1, unique=True)),
        end=BEGIN + timedelta(days=data.draw(st.integers(0, 30_000))),
    )
    assert usual.certified(pem) is not None
    same_both_ways(pem)


@pytest.mark.parametrize("number", range(4))
def test_no_changed_bit_is_read_as_anything_else(number: int) -> None:
    block = changeable(number)
    key = usual.certified(as_pem(block))
    taken = 0
    for at in range(len(block)):
        if number == 0 or at % 3 == 0:
            for bit in range(8):
                changed = bytearray(block)
                changed[at] ^= 1 << bit
                if usual.certified(as_pem(bytes(changed))) is not None:
                    taken += 1
                    usual_certificate(bytes(changed))
    assert key is not None
    assert taken > 100  # serial, dates, texts, signature, modulus


@given(st.data())
def test_changed_certificates_are_judged_alike_both_ways(data: st.DataObject) -> None:
    block = bytearray(changeable(data.draw(st.integers(0, 1))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(block) - 1))
        size = data.draw(st.integers(0, 3))
        block[at : at + size] = data.draw(st.binary(max_size=3))
    same_both_ways(as_pem(bytes(block)))


def leaves(block: bytes, depth: int = 0) -> list[tuple[int, bytes]]:
    """Return elements of DER and their depth, those of constructed ones after them."""
    inner = block if block[0] == der.SEQUENCE else der.element(der.SEQUENCE, der.content(block))
    found = []
    for part in der.elements(inner):
        found.append((depth, part))
        if part[0] & 0x20:
            found.extend(leaves(part, depth + 1))
    return found


def rebuilt(block: bytes, target: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Write DER anew with one element changed, and every length as it then is."""
    if block == target:
        return change(block)
    if not block[0] & 0x20:
        return block
    inner = der.elements(der.element(der.SEQUENCE, der.content(block)))
    return der.element(block[0], b"".join(rebuilt(part, target, change) for part in inner))


@given(st.data())
def test_well_formed_der_with_a_part_more_or_less_is_judged_alike(data: st.DataObject) -> None:
    block = changeable(data.draw(st.integers(0, 1)))
    _, target = data.draw(st.sampled_from(leaves(block)))
    tag = data.draw(st.sampled_from([target[0], *range(1, 32), 0x30, 0x31, 0xA0, 0xA3]))
    changes: list[Callable[[bytes], bytes]] = [
        lambda _: b"",
        lambda part: part + part,
        lambda part: der.element(tag, der.content(part)),
        lambda _: der.element(tag, b""),
        lambda part: der.element(part[0], data.draw(st.binary(max_size=6))),
        lambda part: der.element(part[0], der.content(part) + b"\0"),
        lambda part: part + der.element(tag, b"\0"),
    ]
    changed = rebuilt(block, target, data.draw(st.sampled_from(changes)))
    assume(changed != block)
    same_both_ways(as_pem(changed))


@pytest.mark.parametrize(
    ("bits", "exponent"), [(2048, 3), (2048, 65539), (2056, 65537), (1024, 65537), (8192, 65537)]
)
def test_another_rsa_key_is_left_to_cryptography(bits: int, exponent: int) -> None:
    written = otherkeys.rsa_spki(modulus(bits), exponent)
    assert usual.public_key("rsa", written) is None
    other = rsa.RSAPublicNumbers(exponent, modulus(bits)).public_key()
    same_both_ways(made(other))


def test_a_usual_rsa_key_is_plain_odd_and_of_a_usual_size() -> None:
    for bits in (2048, 3072, 4096):
        written = otherkeys.rsa_spki(modulus(bits), 65537)
        assert usual.public_key("rsa", written) == rsa_public(bits)
        assert usual.public_key("ecdsa", written) is None
        for wrong in (
            otherkeys.rsa_spki(modulus(bits) - 1, 65537),
            otherkeys.rsa_spki(modulus(bits - 8), 65537),
            otherkeys.rsa_spki(modulus(bits - 1), 65537),
            otherkeys.rsa_spki(modulus(bits), 65537, null=False),
            written[:-1],
            written + b"\0",
            b"\0" + written[1:],
        ):
            assert usual.public_key("rsa", wrong) is None


def test_what_else_differs_is_left_to_cryptography() -> None:
    signer, other = otherkeys.rsa_key(), otherkeys.ec_key(ec.SECP384R1)
    twice = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(UNIT, "b")]
            )
        ]
    )
    pss = padding.PSS(padding.MGF1(SHA256()), 32)
    odd = [
        made(other.public_key()),
        made(EC_KEY.public_key(), algorithm=SHA384()),
        made(EC_KEY.public_key(), signer, padding=pss),
        made(EC_KEY.public_key(), subject=twice),
        made(EC_KEY.public_key(), extensions=[]),
    ]
    assert usual.certified(made(EC_KEY.public_key(), signer)) is not None
    pem = made(EC_KEY.public_key())
    odd += [pem + pem, pem + b"\n", b"\n" + pem, pem.replace(b"\n", b"\r\n"), pem[:-1], b"", as_pem(b"")]
    for one in odd:
        assert usual.certified(one) is None
        same_both_ways(one)


def test_a_signers_key_is_found_without_x509() -> None:
    certificates = [made(public) for public in public_keys()]
    program = (
        "import sys; from notarypy.tuf import envelope; from notarypy.tuf.keys import PublicKey\n"
        f"for keytype, pem in zip(['ecdsa-x509'] + ['rsa-x509'] * 3, {certificates!r}, strict=True):\n"
        "    print(repr(envelope.key_problem(PublicKey(keytype, pem))))\n"
        "print(sorted(m for m in sys.modules if m in {'cryptography.x509', 'cryptography.hazmat.asn1',"
        "'cryptography.hazmat.primitives.serialization'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["''", "''", "''", "''", "[]", ""]
