"""Both forms of cosign's signatures: made, read, and refused when anything differs."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from notarypy.cosign import signaturekeys, sigstorebundle, simplesigning
from notarypy.errors import MetadataError, UnsupportedKeyError, VerificationError
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import Limits
from notarypy.tuf.envelope import ecdsa_raw
from notarypy.tuf.keys import PublicKey
from support.rsakeys import fresh_key

DIGEST = "sha256:" + "ab" * 32
CLAIM = simplesigning.Claim("registry.example.com/app:1", DIGEST)
IMAGE = layout.Descriptor(manifests.OCI_MANIFEST, DIGEST, 521)
KEY = ec.generate_private_key(ec.SECP256R1())
OURS = signaturekeys.of(PublicKey.from_key(KEY))


def signed(message: bytes) -> bytes:
    return KEY.sign(message, ec.ECDSA(SHA256()))


def test_what_others_wrote_is_written_again_or_refused() -> None:
    first = simplesigning.with_layers(None, {b"text": b"signature"})[1]
    there = first.replace(b'{"schemaVersion"', b'{"x":"\\ud800","y":"\\u00e9","schemaVersion"')
    made = json.loads(simplesigning.with_layers(there, {b"more": b"signature"})[1])
    assert (made["x"], made["y"], len(made["layers"])) == ("\ud800", "é", 2)
    with pytest.raises(MetadataError):
        simplesigning.with_layers(there.replace(b'"\\ud800"', b"1e999"), {b"more": b"signature"})


def test_a_text_is_the_same_for_the_same_claim() -> None:
    text = simplesigning.payload(CLAIM)
    assert text == (
        b'{"critical":{"identity":{"docker-reference":"registry.example.com/app:1"},'
        b'"image":{"docker-manifest-digest":"' + DIGEST.encode() + b'"},'
        b'"type":"cosign container image signature"},"optional":null}'
    )
    assert simplesigning.read(text) == CLAIM


def test_annotations_are_signed_with_the_text() -> None:
    noted = simplesigning.Claim(CLAIM.reference, DIGEST, {"io.notarypy.gun": "registry.example.com/app"})
    read = simplesigning.read(simplesigning.payload(noted))
    assert dict(read.annotations) == {"io.notarypy.gun": "registry.example.com/app"}


@pytest.mark.parametrize(
    "document",
    [
        {"critical": {}, "optional": None},
        {"critical": None, "optional": None},
        {"optional": None},
        {**json.loads(simplesigning.payload(CLAIM)), "more": 1},
        {**json.loads(simplesigning.payload(CLAIM)), "optional": []},
        {
            "critical": {
                **json.loads(simplesigning.payload(CLAIM))["critical"],
                "type": "atomic container signature",
            }
        },
        {"critical": {**json.loads(simplesigning.payload(CLAIM))["critical"], "image": {"x": 1}}},
        {
            "critical": {
                **json.loads(simplesigning.payload(CLAIM))["critical"],
                "identity": {"docker-reference": 5},
            }
        },
    ],
)
def test_a_text_that_is_none_is_refused(document: object) -> None:
    with pytest.raises(MetadataError):
        simplesigning.read(json.dumps(document).encode())


def test_layers_of_others_stay_as_they_are() -> None:
    theirs = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2},
        "layers": [
            {
                "mediaType": simplesigning.MEDIA_TYPE,
                "digest": DIGEST,
                "size": 7,
                "annotations": {simplesigning.SIGNATURE: "AAAA", "dev.sigstore.cosign/certificate": "x"},
            }
        ],
        "annotations": {"kept": "yes"},
    }
    text = simplesigning.payload(CLAIM)
    config, manifest = simplesigning.with_layers(json.dumps(theirs).encode(), {text: signed(text)})
    document = json.loads(manifest)
    assert document["layers"][0] == theirs["layers"][0]  # type: ignore[index]
    assert document["annotations"] == {"kept": "yes"}
    assert document["config"]["digest"] == manifests.digest_of(config)
    assert json.loads(config)["rootfs"]["diff_ids"] == [DIGEST, manifests.digest_of(text)]
    *_, ours = simplesigning.layers(manifest)
    assert OURS.verify(ours.signature, text)
    assert ours.payload.digest == manifests.digest_of(text)


def test_a_first_signature_makes_a_manifest_of_one_layer() -> None:
    text = simplesigning.payload(CLAIM)
    _, manifest = simplesigning.with_layers(None, {text: signed(text)})
    assert len(simplesigning.layers(manifest)) == 1
    assert simplesigning.tag_of(DIGEST) == f"sha256-{'ab' * 32}.sig"


def test_an_index_at_the_tag_of_signatures_is_left_alone() -> None:
    index = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": []}).encode()
    with pytest.raises(VerificationError, match="index"):
        simplesigning.with_layers(index, {b"text": b"signature"})


def test_layers_that_are_no_signatures_are_passed_over() -> None:
    text = simplesigning.payload(CLAIM)
    _, manifest = simplesigning.with_layers(None, {text: signed(text)})
    document = json.loads(manifest)
    plain = {"mediaType": "text/plain", "digest": DIGEST, "size": 1}
    unsigned = {**document["layers"][0], "annotations": {}}
    broken = {**document["layers"][0], "annotations": {simplesigning.SIGNATURE: "?"}}
    document["layers"] = [plain, unsigned, broken, *document["layers"]]
    found = simplesigning.layers(json.dumps(document).encode())
    assert [bool(layer.signature) for layer in found] == [False, False, True]
    wrapped = {**document["layers"][-1]}
    written = wrapped["annotations"][simplesigning.SIGNATURE]
    wrapped["annotations"] = {simplesigning.SIGNATURE: f"{written[:64]}\r\n{written[64:]}\n"}
    document["layers"] = [plain, wrapped]
    (layer,) = simplesigning.layers(json.dumps(document).encode())
    assert OURS.verify(layer.signature, text)


def test_a_bundle_is_read_as_it_was_made() -> None:
    body = sigstorebundle.statement(DIGEST, {"io.notarypy.role": "targets/releases"})
    content = sigstorebundle.bundle(body, signed(sigstorebundle.message(body)), OURS.hint)
    found = sigstorebundle.read(content)
    assert found.statement.subjects.keys() == {DIGEST}
    assert found.statement.is_signature
    assert found.statement.subjects[DIGEST] == {"io.notarypy.role": "targets/releases"}
    assert OURS.verify(found.signatures[0], found.message)
    assert "keyid" not in json.loads(content)["dsseEnvelope"]["signatures"][0]


def test_a_statement_of_cosign_2_5_is_read() -> None:
    document = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": sigstorebundle.PREDICATE,
        "subject": [{"name": "registry.example.com/app", "digest": {"sha256": "ab" * 32}}],
        "predicate": {},
    }
    found = sigstorebundle.read(sigstorebundle.bundle(json.dumps(document).encode(), b"x", OURS.hint))
    assert found.statement.subjects.keys() == {DIGEST}
    assert found.statement.is_signature


def test_each_subject_says_something_of_its_own_digest() -> None:
    other = "sha256:" + "ac" * 32
    ours, theirs = (json.loads(sigstorebundle.statement(each, {"said": each})) for each in (DIGEST, other))

    def read(*subjects: object) -> sigstorebundle.Statement:
        body = json.dumps({**ours, "subject": subjects}).encode()
        return sigstorebundle.read(sigstorebundle.bundle(body, b"x", OURS.hint)).statement

    (first,), (second,) = ours["subject"], theirs["subject"]
    assert read(first, second, first).subjects == {DIGEST: {"said": DIGEST}, other: {"said": other}}
    with pytest.raises(MetadataError) as caught:
        read(first, {**first, "annotations": {}})
    assert "two things of one digest" in caught.value.why[0]


def test_a_bundle_with_another_byte_does_not_verify() -> None:
    body = sigstorebundle.statement(DIGEST)
    signature = signed(sigstorebundle.message(body))
    other = sigstorebundle.statement("sha256:" + "ac" * 32)
    found = sigstorebundle.read(sigstorebundle.bundle(other, signature, OURS.hint))
    assert not OURS.verify(found.signatures[0], found.message)


def test_more_signatures_than_readers_take_are_not_put_together() -> None:
    made = simplesigning.with_layers(None, {b"1": b"signature"})[1]
    few = Limits(manifest_bytes=len(made) + 10)
    assert simplesigning.with_layers(None, {b"1": b"signature"}, few)[1] == made
    with pytest.raises(MetadataError, match="more than the tag for signatures takes"):
        simplesigning.with_layers(made, {b"2": b"signature"}, few)


def test_the_manifest_of_a_bundle_refers_to_the_image() -> None:
    content = sigstorebundle.bundle(sigstorebundle.statement(DIGEST), b"x", OURS.hint)
    manifest = sigstorebundle.manifest(IMAGE, content)
    document = json.loads(manifest)
    assert document["artifactType"] == sigstorebundle.MEDIA_TYPE
    assert document["subject"] == IMAGE.to_json()
    assert document["config"]["digest"] == manifests.digest_of(referrerlist.EMPTY)
    assert [layer.digest for layer in sigstorebundle.layers(manifest)] == [manifests.digest_of(content)]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.2"),
        ("dsseEnvelope", None),
        ("dsseEnvelope", {"payload": "", "payloadType": "text/plain", "signatures": [{"sig": ""}]}),
        ("dsseEnvelope", {"payload": "", "payloadType": sigstorebundle.PAYLOAD_TYPE, "signatures": []}),
        (
            "dsseEnvelope",
            {"payload": "e30=", "payloadType": sigstorebundle.PAYLOAD_TYPE, "signatures": [{"sig": ""}]},
        ),
        (
            "dsseEnvelope",
            {"payload": "e30=", "payloadType": sigstorebundle.PAYLOAD_TYPE, "signatures": [None]},
        ),
        ("verificationMaterial", {"certificate": {"rawBytes": ""}}),
        ("verificationMaterial", None),
    ],
)
def test_a_bundle_that_is_none_of_a_key_is_refused(member: str, value: object) -> None:
    document = json.loads(sigstorebundle.bundle(sigstorebundle.statement(DIGEST), b"x", OURS.hint))
    with pytest.raises(MetadataError):
        sigstorebundle.read(json.dumps({**document, member: value}).encode())


def test_each_kind_of_key_verifies_in_cosigns_form() -> None:
    text = b"text"
    rsa_key, edwards = fresh_key(2048), ed25519.Ed25519PrivateKey.generate()
    assert OURS.verify(signed(text), text)
    assert not OURS.verify(signed(text), b"other")
    assert not OURS.verify(ecdsa_raw(signed(text), 256), text)
    assert OURS.verify(signaturekeys.der_of(ecdsa_raw(signed(text), 256)), text)
    rsa_ours = signaturekeys.of(PublicKey.from_key(rsa_key))
    assert rsa_ours.verify(rsa_key.sign(text, PKCS1v15(), SHA256()), text)
    edwards_ours = signaturekeys.of(PublicKey.from_key(edwards))
    assert edwards_ours.verify(edwards.sign(text), text)
    assert len({OURS.hint, rsa_ours.hint, edwards_ours.hint}) == 3
    assert all(len(base64.b64decode(key.hint)) == 32 for key in (OURS, rsa_ours, edwards_ours))
    assert signaturekeys.signer_of([rsa_ours, OURS], signed(text), text) == OURS
    assert signaturekeys.signer_of([rsa_ours], signed(text), text) is None


def test_a_key_is_read_as_cosign_writes_it() -> None:
    assert signaturekeys.load(OURS.pem) == OURS
    with pytest.raises(UnsupportedKeyError):
        signaturekeys.load(b"-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(UnsupportedKeyError):
        signaturekeys.load(b"nothing")


def test_a_private_key_beside_its_public_half_is_said_to_be_one() -> None:
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (private, OURS.pem + private):
        with pytest.raises(UnsupportedKeyError) as caught:
            signaturekeys.keys_in(data)
        assert caught.value.why[0] == "it is a private key, PEM"
        assert "hand it to nobody" in caught.value.why[1]
    with pytest.raises(UnsupportedKeyError) as caught:
        signaturekeys.keys_in(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert caught.value.why == ("it is a public key, DER",)
    small = fresh_key(1024).public_key()
    with pytest.raises(UnsupportedKeyError, match="cosign's signatures are not verified") as caught:
        signaturekeys.keys_in(small.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert caught.value.why == ("its kind is RSA, 1024 bits",)
