"""The usual certificate: its bytes say what `cryptography` reads, and nothing else is taken for one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import root_keys, usual_certificate
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import certificates, keyobjects, usual
from notarypy.tuf.keys import PublicKey
from support.author import private_key
from support.loaded import HEAVY, loaded_by

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = private_key("usual")
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
PEM = root_certificate(
    LocalSigner(KEY), "registry.test/app", BEGIN, lambda size: bytes(range(1, size + 1))
).public
DOCKERS = next(key.public for key in root_keys() if key.keytype == "ecdsa-x509")
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=90)


def as_der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def as_pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def test_ours_and_dockers_are_usual() -> None:
    assert as_pem(as_der(PEM)) == PEM
    for pem in (PEM, DOCKERS):
        assert usual.certificate(pem) is not None
        usual_certificate(pem)


@given(names, st.integers(0, 60_000), st.binary(min_size=16, max_size=16))
def test_whatever_we_make_is_usual_and_read_alike(name: str, days: int, serial: bytes) -> None:
    name = f"registry.test:5000/{name}_a-b/c.d"
    moment = BEGIN - timedelta(days=20_000) + timedelta(days=days)
    pem = root_certificate(LocalSigner(KEY), name, moment, lambda _: serial).public
    found = usual.certificate(pem)
    assert found is not None
    assert found.name == name
    usual_certificate(pem)


@pytest.mark.parametrize("pem", [PEM, DOCKERS], ids=["ours", "docker's"])
def test_no_changed_bit_is_read_as_anything_else(pem: bytes) -> None:
    der = as_der(pem)
    taken = 0
    for at in range(len(der)):
        for bit in range(8):
            changed = bytearray(der)
            changed[at] ^= 1 << bit
            if usual.certificate(as_pem(bytes(changed))) is not None:
                taken += 1
                usual_certificate(bytes(changed))
    assert taken > 100  # serial, dates, signature


@given(st.data())
def test_changed_certificates_are_judged_alike_both_ways(data: st.DataObject) -> None:
    der = bytearray(as_der(data.draw(st.sampled_from([PEM, DOCKERS]))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(der) - 1))
        size = data.draw(st.integers(0, 3))
        der[at : at + size] = data.draw(st.binary(max_size=3))
    pem = as_pem(bytes(der))
    usual_certificate(pem)
    key = PublicKey("ecdsa-x509", pem)
    moment = data.draw(st.sampled_from([None, BEGIN, BEGIN + timedelta(days=36_500)]))
    short = certificates.problem(key, "registry.test/app", moment), key.canonical_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual, "certificate", lambda _: None)
        again = PublicKey("ecdsa-x509", pem)
        assert (certificates.problem(again, "registry.test/app", moment), again.canonical_id) == short


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem + b"\n",
        lambda pem: pem[:-1],
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem + pem,
        lambda pem: b"\n" + pem,
        lambda pem: as_pem(as_der(pem) + b"\0"),
        lambda pem: as_pem(as_der(pem)[:-1]),
        lambda pem: pem[:0],
        lambda pem: as_pem(pem[:0]),
    ],
)
def test_what_differs_is_left_to_cryptography(change: Callable[[bytes], bytes]) -> None:
    assert usual.certificate(change(PEM)) is None


def test_a_usual_key_is_on_p256_in_full_and_on_the_curve() -> None:
    written = keyobjects.encoded(KEY)[1]
    assert usual.public_key("ecdsa", written) == KEY.public_key()
    off_the_curve = written[:-1] + bytes((written[-1] ^ 1,))
    assert usual.public_key("ecdsa", off_the_curve) is None
    assert usual.certificate(as_pem(as_der(PEM).replace(written, off_the_curve))) is None
    public = KEY.public_key()
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    other = ec.derive_private_key(5, ec.SECP384R1()).public_key()
    for wrong in (written[:-1], written + b"\0", compressed, b"", keyobjects.encoded(other)[1]):
        assert usual.public_key("ecdsa", wrong) is None
    assert usual.public_key("rsa", written) is None


def test_a_usual_root_is_judged_without_x509() -> None:
    lines, modules = loaded_by(
        "from notarypy.tuf import certificates, trustanchors, trusted;"
        "from notarypy.tuf.keys import PublicKey;"
        f"key = PublicKey('ecdsa-x509', {PEM!r}); key.canonical_id;"
        "print(repr(certificates.problem(key, 'registry.test/app', None)), certificates.expiry(key).year,"
        "len(trustanchors.leaf_sha256(key)))"
    )
    assert lines == ["'' 2036 64"]
    assert not HEAVY & modules
