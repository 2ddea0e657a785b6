"""Common names of every length and kind of text, without a warning to anybody."""

from __future__ import annotations

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from notarypy.keys.signers import keyfile
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import authorities, certificates
from notarypy.tuf.certificateparts import common_names, issuer_names
from notarypy.tuf.keys import PublicKey, leaf_certificate
from support.author import GUN, NOW, private_key, root_key
from support.otherkeys import wrapped

LONG = "registry.test/" + "a" * 200


def retagged(text: str, tag: bytes, new: bytes = b"") -> x509.Certificate:
    """Return a certificate whose common name is of another kind of text, and maybe other bytes."""
    der = leaf_certificate(root_key("root", text)).public_bytes(Encoding.DER)
    old = b"\x0c" + bytes([len(text.encode())]) + text.encode()
    assert der.count(old) == 2  # subject and issuer
    return leaf_certificate(
        PublicKey("ecdsa-x509", wrapped(der.replace(old, tag + old[1:2] + (new or old[2:]))))
    )


def test_a_common_name_may_be_longer_than_64_bytes() -> None:
    key = root_certificate(LocalSigner(keyfile.generate()), LONG, NOW)
    assert common_names(leaf_certificate(key)) == [LONG]
    assert certificates.problem(key, LONG, NOW) == ""
    assert LONG in certificates.problem(key, GUN, NOW)


def test_only_common_names_count() -> None:
    start, end = NOW, NOW + timedelta(days=1)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, GUN),
            x509.NameAttribute(NameOID.COMMON_NAME, "one"),
            x509.NameAttribute(NameOID.COMMON_NAME, "two"),
            x509.NameAttribute(NameOID.SURNAME, GUN),
        ]
    )
    public = private_key("root").public_key()
    made = x509.CertificateBuilder(subject, subject, public, 1, start, end).sign(
        private_key("root"), SHA256()
    )
    assert common_names(made) == ["one", "two"]


@pytest.mark.parametrize("tag", [b"\x0c", b"\x13", b"\x14", b"\x16"])
def test_every_usual_kind_of_text_is_read(tag: bytes) -> None:
    assert common_names(retagged(GUN, tag)) == [GUN]


def test_text_of_two_bytes_a_character_is_read() -> None:
    assert common_names(retagged("\0a\0b", b"\x1e")) == ["ab"]


@pytest.mark.parametrize(
    ("tag", "data"),
    [(b"\x04", b"abcd"), (b"\x02", b"abcd"), (b"\x0c", b"\xff\xff\xff\xff")],
)
def test_what_is_no_text_is_a_reason_and_never_a_crash(tag: bytes, data: bytes) -> None:
    strange = retagged("name", tag, data)
    with pytest.raises(ValueError, match=r"not a text|decode"):
        common_names(strange)
    pem = strange.public_bytes(Encoding.PEM)
    reason = certificates.problem(PublicKey("ecdsa-x509", pem), GUN, NOW)
    assert reason.startswith("a root certificate cannot be used")


def test_a_chain_of_long_names_warns_nobody() -> None:
    """Warnings are errors in tests."""
    start, end = NOW, NOW + timedelta(days=9)
    with pytest.warns(UserWarning, match="length"):
        long, ca = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)])
            for name in (LONG, "c" * 100)
        )
    root, own = private_key("ca"), private_key("root")
    builder = x509.CertificateBuilder(ca, ca, root.public_key(), 1, start, end)
    pinned = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        root, SHA256()
    )
    for issuer, key, found in (
        (ca, root, ""),
        (long, own, f'no pinned authority issued it; its issuer is "CN={LONG}"'),
        (ca, own, f'no pinned authority issued it; its issuer is "CN={"c" * 100}"'),
    ):
        made = x509.CertificateBuilder(issuer, long, own.public_key(), 1, start, end).sign(key, SHA256())
        pem = made.public_bytes(Encoding.PEM)
        again = leaf_certificate(PublicKey("ecdsa-x509", pem))
        assert authorities.problem(PublicKey("ecdsa-x509", pem), authorities.load(_pem(pinned)), NOW) == found
        assert issuer_names(again) == [LONG if issuer is long else "c" * 100]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def test_the_warnings_of_other_threads_are_theirs() -> None:
    """Whoever silences warnings silences them for everybody, and two at a time for good."""
    key = root_certificate(LocalSigner(keyfile.generate()), LONG, NOW)
    filters, shown = list(warnings.filters), warnings.showwarning
    start = threading.Barrier(4)

    def judge(_: int) -> str:
        start.wait(10)
        found = [certificates.problem(key, LONG, NOW) for _ in range(20)]
        assert list(warnings.filters) == filters
        return "".join(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(judge, range(4))) == [""] * 4
    finally:
        sys.setswitchinterval(interval)
    assert (list(warnings.filters), warnings.showwarning) == (filters, shown)
