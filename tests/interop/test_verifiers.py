"""Other people's signers, verifiers and registries understand each other, before they look at ours."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from interop.harness import images, programs, verifiers
from interop.harness.verifiers import NO_MATCH, NO_SIGNATURES, KeyPair, Verifiers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.services import Endpoint


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, each_registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("verifiers"), each_registry)


@pytest.fixture(scope="module")
def key(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("key")


@pytest.fixture(scope="module")
def stranger(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("stranger")


@pytest.fixture
def image(each_registry: Endpoint, unique: Callable[[], str]) -> images.Repository:
    return images.repository(each_registry, unique())


def test_skopeo_takes_what_cosign_signed(
    others: Verifiers, key: KeyPair, stranger: KeyPair, image: images.Repository
) -> None:
    made = image.push("1")
    assert others.verify(image.ref("1"), key.public).code == NO_SIGNATURES
    assert "no signature exists" in others.pull(image.ref("1"), others.require(image.name, key.public)).text
    others.sign(image.pinned(made), key.private).expect(0)
    others.verify(image.ref("1"), key.public).expect(0)
    others.verify(image.ref("1"), stranger.public).expect(NO_MATCH)
    exact = {"type": "matchRepository"}  # cosign signs the name without the tag
    others.pull(image.ref("1"), others.require(image.name, key.public, **exact)).expect(0)
    refused = others.pull(image.ref("1"), others.require(image.name, stranger.public, **exact))
    assert "signature verification failed" in refused.expect(1).text


def test_a_bundle_of_cosign_is_found_and_verified(
    others: Verifiers, key: KeyPair, stranger: KeyPair, image: images.Repository
) -> None:
    made, another = image.push("1"), image.push("2")
    others.attest(image.pinned(made), key.private).expect(0)
    others.verify_bundle(image.ref("1"), key.public).expect(0)
    assert others.verify_bundle(image.ref("1"), stranger.public).code != 0
    assert others.verify_bundle(image.ref("2"), key.public).code != 0
    (bundle,) = others.bundles(image, made)
    statement = others.npm(bundle, key.public, made.digest).expect(0).document
    assert statement["predicateType"] == verifiers.PREDICATE
    assert "key not found" in others.npm(bundle, stranger.public, made.digest).expect(1).stderr
    assert "not about" in others.npm(bundle, key.public, another.digest).expect(1).stderr
    changed = json.loads(bundle)
    changed["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    refused = others.npm(json.dumps(changed).encode(), key.public, made.digest)
    assert "signature verification failed" in refused.expect(1).stderr


def test_the_registries_differ_in_referrers(
    others: Verifiers, key: KeyPair, image: images.Repository, registry: Endpoint
) -> None:
    made = image.push("1")
    others.attest(image.pinned(made), key.private).expect(0)
    fallback = image.has(made.digest.replace(":", "-"))
    assert fallback == (image.registry == registry and registry.ca is None)
    assert len(others.referrers(image, made)) == 1


def test_notation_reads_an_envelope_that_is_signed_under_a_certificate(
    tmp_path: Path, others: Verifiers
) -> None:
    envelope, certificate = tmp_path / "signature.jws", tmp_path / "signer.crt"
    key = tmp_path / "signer.key"
    programs.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    uses = ("keyUsage=critical,digitalSignature", "extendedKeyUsage=codeSigning")
    extensions = ("basicConstraints=critical,CA:false", *uses)
    programs.openssl(
        *("req", "-new", "-x509", "-days", "30", "-key", key, "-subj", "/C=DE/ST=Berlin/O=Test/CN=signer"),
        *(part for extension in extensions for part in ("-addext", extension)),
        *("-out", certificate),
    )
    payload = {
        "targetArtifact": {"mediaType": images.OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 2}
    }
    document = notation_envelope(payload, key, certificate)
    envelope.write_text(json.dumps(document))
    read = others.notation(envelope, certificate).expect(0).document
    assert read["payload"] == payload
    document["signature"] = document["signature"][:-3] + "AAA"
    envelope.write_text(json.dumps(document))
    assert "signature is invalid" in others.notation(envelope, certificate).expect(1).stderr


def notation_envelope(payload: dict[str, Any], key: Path, certificate: Path) -> dict[str, Any]:
    """Sign a payload as notation's specification has it."""
    scheme = "io.cncf.notary.signingScheme"
    protected = {
        "alg": "ES256",
        "cty": "application/vnd.cncf.notary.payload.v1+json",
        "crit": [scheme],
        scheme: "notary.x509",
        "io.cncf.notary.signingTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    signed = f"{_url_safe(json.dumps(protected).encode())}.{_url_safe(json.dumps(payload).encode())}"
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    pair = utils.decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(SHA256())))
    leaf = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return {
        "protected": signed.partition(".")[0],
        "payload": signed.partition(".")[2],
        "header": {"x5c": [base64.b64encode(leaf).decode()]},
        "signature": _url_safe(b"".join(number.to_bytes(32) for number in pair)),
    }


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
