"""What the page on notation says of certificates, as notation's own library has it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from docs import pages
from interop.harness import people, programs
from interop.harness.verifiers import Verifiers
from notarypy.cosign.notationenvelope import SigningChain
from notarypy.errors import UsageError
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate

    from interop.harness.people import Person
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

PAYLOAD = {
    "targetArtifact": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{'0' * 64}",
        "size": 5,
    }
}


@pytest.fixture
def verifiers(tmp_path: Path, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path / "verifiers", registry)


@pytest.fixture
def key(tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    programs.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "release.pem")
    made = load_pem_private_key((tmp_path / "release.pem").read_bytes(), None)
    assert isinstance(made, ec.EllipticCurvePrivateKey)
    return made


def written(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read(
    verifiers: Verifiers, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: Certificate
) -> Run:
    """Let notation's library read an envelope that is signed with a key under a certificate."""
    scheme = "io.cncf.notary.signingScheme"
    head = {
        "alg": "ES256",
        "cty": "application/vnd.cncf.notary.payload.v1+json",
        "crit": [scheme],
        scheme: "notary.x509",
        "io.cncf.notary.signingTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    protected, payload = written(json.dumps(head).encode()), written(json.dumps(PAYLOAD).encode())
    r, s = utils.decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(SHA256())))
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    envelope = {
        "payload": payload,
        "protected": protected,
        "header": {"x5c": chain, "io.cncf.notary.signingAgent": "a test"},
        "signature": written(r.to_bytes(32, "big") + s.to_bytes(32, "big")),
    }
    (folder / "envelope").write_text(json.dumps(envelope))
    (folder / "trusted.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    return verifiers.notation(folder / "envelope", folder / "trusted.crt")


def test_the_certificate_of_the_page_is_one_for_notation(
    verifiers: Verifiers, tmp_path: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    page = pages.blocks(pages.read("docs/migrating/notation.md"), "sh")
    (line,) = (block.text for block in page if "openssl req" in block.text)
    programs.run(["sh", "-ec", f"cd {tmp_path}\n{line}"], {}).expect(0)
    certificate = load_pem_x509_certificate((tmp_path / "release.crt").read_bytes())
    read(verifiers, tmp_path, key, certificate).expect(0)
    assert SigningChain.load((tmp_path / "release.crt").read_bytes()).algorithm == "ES256"


def test_the_certificate_of_a_root_key_is_none(
    verifiers: Verifiers, tmp_path: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    made = root_certificate(LocalSigner(key), "registry.test/app", datetime.now(UTC))
    refused = read(verifiers, tmp_path, key, load_pem_x509_certificate(made.public)).expect(1)
    assert "key usage" in refused.stderr.lower()
    with pytest.raises(UsageError) as caught:
        SigningChain.load(made.public)
    assert "key_encipherment" in caught.value.why[0]


def test_openssl_reads_a_key_of_the_trust_directory_as_the_page_says(alice: Person, tmp_path: Path) -> None:
    page = pages.blocks(pages.read("docs/migrating/notation.md"), "sh")
    (line,) = (block.text for block in page if "key export" in block.text)
    alice.notarypy("key", "generate", "release", "--dir", tmp_path).expect(0)
    exported = alice.notarypy("key", "export", "release").expect(0).stdout
    (tmp_path / "exported").write_text(exported)
    command = line.replace("notarypy key export release", "cat exported")
    assert command != line
    programs.run(["sh", "-ec", f"cd {tmp_path}\n{command}"], {}).expect(0)
    assert b"ENCRYPTED" in (tmp_path / "release.pem").read_bytes()
    passphrase = people.REPOSITORY_PASSPHRASE
    programs.openssl("pkey", "-in", tmp_path / "release.pem", "-passin", f"pass:{passphrase}", "-noout")
