"""Notation's envelopes, and the chains that they are under."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.cosign import notationenvelope as notation
from notarypy.cosign.notationenvelope import SigningChain
from notarypy.errors import MetadataError, SignatureError, UnsupportedKeyError, UsageError, VerificationError
from notarypy.images import layout, manifests
from notarypy.keys.signers.keyfile import LocalSigner
from support import signingcertificates as made

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.signingcertificates import Certificate

SUBJECT = layout.of(b"an image", manifests.OCI_MANIFEST)
NOW = made.START + timedelta(hours=1)
SCHEME, TIME = "io.cncf.notary.signingScheme", "io.cncf.notary.signingTime"


def chain_of(name: str = "P-256") -> SigningChain:
    return SigningChain.load(made.pem(*made.GOOD[name]))


def signed(message: bytes, name: str = "P-256") -> bytes:
    return LocalSigner(made.KEYS[made.GOOD[name][0].name]).sign(message)[1]


def envelope(name: str = "P-256") -> bytes:
    chain = chain_of(name)
    message = notation.message(SUBJECT, chain.algorithm, NOW)
    return notation.envelope(message, signed(message, name), chain, "a test")


def part(text: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(base64.urlsafe_b64decode(text + "=="))


def written(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


# -- chains ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", made.GOOD)
def test_a_good_chain(name: str) -> None:
    chain = chain_of(name)
    assert len(chain.certificates) == len(made.GOOD[name])
    assert chain.algorithm == ("PS256" if name == "RSA-2048" else "ES256")
    chain.require_valid(NOW)


@pytest.mark.parametrize(
    ("chain", "says"), [*made.BAD.values(), *made.STRICTER.values(), *made.NEWER.values()]
)
def test_what_notation_would_not_take(chain: tuple[Certificate, ...], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        SigningChain.load(made.pem(*chain))
    assert says in " ".join(caught.value.why)


@pytest.mark.parametrize("name", ["P-384", "P-521", "RSA-3072"])
def test_keys_that_would_sign_with_another_hash(name: str) -> None:
    with pytest.raises(UnsupportedKeyError, match="cannot sign for notation"):
        SigningChain.load(made.pem(made.Certificate(name, name)))


@pytest.mark.parametrize(
    "data", [b"", b"nothing", made.private("P-256"), made.pem(made.LEAF).replace(b"MII", b"AAA")], ids=count()
)
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(UsageError, match="under this certificate"):
        SigningChain.load(data)


@pytest.mark.parametrize("serial", [b"\x00", b"\x87"], ids=["zero", "below"])
def test_serial_numbers_are_above_zero(serial: bytes) -> None:
    der = made.LEAF.made().public_bytes(Encoding.DER).replace(b"\x02\x01\x07", b"\x02\x01" + serial, 1)
    pem = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % base64.encodebytes(der)
    with pytest.raises(UsageError) as caught:
        SigningChain.load(pem)
    assert "its serial number is not above zero" in caught.value.why[0]


def test_a_chain_is_valid_while_all_of_it_is() -> None:
    late = replace(made.ROOT, start=made.START + timedelta(days=2))
    early = replace(made.MIDDLE, end=made.START + timedelta(days=3))
    chain = SigningChain.load(made.pem(made.ISSUED, early, late))
    for days, valid in ((1.9, False), (2, True), (3, True), (3.1, False)):
        if valid:
            chain.require_valid(made.START + timedelta(days=days))
        else:
            with pytest.raises(UsageError, match="under this certificate"):
                chain.require_valid(made.START + timedelta(days=days))


# -- envelopes -------------------------------------------------------------------------------------


def test_an_envelope_has_the_members_of_the_specification() -> None:
    document = json.loads(envelope("whole chain"))
    assert set(document) == {"payload", "protected", "header", "signature"}
    assert part(document["payload"]) == {"targetArtifact": SUBJECT.to_json()}
    assert part(document["protected"]) == {
        "alg": "ES256",
        "crit": [SCHEME],
        "cty": "application/vnd.cncf.notary.payload.v1+json",
        SCHEME: "notary.x509",
        TIME: f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
    }
    certificates = [base64.b64encode(one).decode() for one in chain_of("whole chain").certificates]
    assert document["header"] == {"x5c": certificates, "io.cncf.notary.signingAgent": "a test"}
    assert len(base64.urlsafe_b64decode(document["signature"] + "==")) == 64
    assert "=" not in document["payload"] + document["protected"] + document["signature"]


def test_rsa_is_pss_with_a_salt_as_long_as_the_hash() -> None:
    document = json.loads(envelope("RSA-2048"))
    assert part(document["protected"])["alg"] == "PS256"
    signature = base64.urlsafe_b64decode(document["signature"] + "==")
    message = f"{document['protected']}.{document['payload']}".encode()
    public: Any = made.KEYS["RSA-2048"].public_key()
    public.verify(signature, message, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def test_the_manifest_has_the_type_the_subject_and_the_thumbprints() -> None:
    chain, content = chain_of("whole chain"), envelope("whole chain")
    data = notation.manifest(SUBJECT, content, chain, NOW)
    document = json.loads(data)
    assert document["artifactType"] == "application/vnd.cncf.notary.signature"
    assert document["config"] == layout.of(b"{}", "application/vnd.oci.empty.v1+json").to_json()
    assert document["layers"] == [layout.of(content, "application/jose+json").to_json()]
    assert document["subject"] == SUBJECT.to_json()
    thumbprints = json.loads(document["annotations"]["io.cncf.notary.x509chain.thumbprint#S256"])
    assert thumbprints == [hashlib.sha256(one).hexdigest() for one in chain.certificates]
    assert [layer.digest for layer in notation.layers(data)] == [manifests.digest_of(content)]


@pytest.mark.parametrize("name", made.GOOD)
def test_what_is_written_is_read(name: str) -> None:
    notation.verify(envelope(name), chain_of(name), SUBJECT)


def resigned(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> bytes:
    """Return an envelope whose header or payload was changed before it was signed."""
    document = json.loads(envelope())
    head, payload = part(document["protected"]), part(document["payload"])
    change(head, payload)
    document["protected"], document["payload"] = written(head), written(payload)
    signature = signed(f"{document['protected']}.{document['payload']}".encode())
    document["signature"] = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda head, _: head.update(alg="ES384"),
        lambda head, _: head.update(alg="none"),
        lambda head, _: head.update(cty="text/plain"),
        lambda head, _: head.update(crit=[]),
        lambda head, _: head.update(crit=[SCHEME, "io.example.unknown"]),
        lambda head, _: head.pop("crit"),
        lambda head, _: head.update({SCHEME: "notary.x509.signingAuthority"}),
        lambda head, _: head.pop(TIME),
        lambda head, _: head.update({TIME: "yesterday"}),
        lambda head, _: head.update({TIME: 1}),
        lambda head, _: head.update({"io.cncf.notary.expiry": "2020-01-01T00:00:00Z"}),
        lambda head, _: head.update({"io.cncf.notary.authenticSigningTime": "2020-01-01T00:00:00Z"}),
        lambda _, payload: payload.clear(),
        lambda _, payload: payload.update(targetArtifact=[]),
        lambda _, payload: payload["targetArtifact"].update(digest="sha256:" + "0" * 64),
        lambda _, payload: payload["targetArtifact"].update(size=1),
        lambda _, payload: payload["targetArtifact"].update(mediaType=manifests.OCI_INDEX),
        lambda _, payload: payload["targetArtifact"].pop("size"),
    ],
)
def test_what_the_key_signed_otherwise_is_not_as_good(
    change: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    with pytest.raises(MetadataError):
        notation.verify(resigned(change), chain_of(), SUBJECT)


@pytest.mark.parametrize(
    "change",
    [
        lambda head, _: head.update({TIME: "2026-11-29T10:00:00.5+01:00"}),
        lambda head, _: head.update({"io.example.note": "nothing that is critical"}),
        lambda _, payload: payload["targetArtifact"].update(annotations={"build": "1"}),
    ],
)
def test_what_notation_signs_beside_it_may_stay(
    change: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    notation.verify(resigned(change), chain_of(), SUBJECT)


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(envelope()), **members}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        changed(header=None),
        changed(header={"x5c": []}),
        changed(header=json.loads(envelope("whole chain"))["header"]),
        changed(payload=None),
        changed(payload="e30"),
        changed(payload="\xe9"),
        changed(protected="e30="),
        changed(protected=written([])),
        changed(signature=""),
        changed(signature="AAAA"),
        changed(signature=json.loads(envelope())["signature"] + "="),
        changed(signature=json.loads(envelope("RSA-2048"))["signature"]),
    ],
    ids=count(),
)
def test_rubbish_is_no_signature(data: bytes) -> None:
    with pytest.raises(VerificationError):
        notation.verify(data, chain_of(), SUBJECT)


@pytest.mark.parametrize("bit", [1, 128])
@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_another_bit_is_another_signature(place: int, bit: int) -> None:
    signature = bytearray(base64.urlsafe_b64decode(json.loads(envelope())["signature"] + "=="))
    signature[place] ^= bit
    text = base64.urlsafe_b64encode(bytes(signature)).rstrip(b"=").decode()
    with pytest.raises(SignatureError):
        notation.verify(changed(signature=text), chain_of(), SUBJECT)
