"""What `migrate notation` wrote, in two registries: notation's own library takes it, and oras finds it.

And refuses it, once a byte, the digest or the certificate is another.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from interop.harness import images, people
from interop.harness.services import Endpoint
from interop.harness.softhsm import PIN, SoftHsm
from interop.harness.verifiers import Verifiers
from notarypy.cosign import notationenvelope
from notarypy.images import layout, manifests
from notarypy.keys.signers.keyfile import LocalSigner
from support import served
from support import signingcertificates as made

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run
    from support.signingcertificates import Certificate

ARTIFACT = "application/vnd.cncf.notary.signature"
JWS = "application/jose+json"
KINDS = ("P-256", "RSA-2048", "whole chain")


@dataclass(frozen=True)
class Signed:
    """A repository with an image and an index, who owns it, and who looks at it."""

    repository: Repository
    owner: Person
    others: Verifiers
    tags: dict[str, Manifest]

    def migrate(self, kind: str, *more: str) -> Run:
        """Sign all for notation with a kind of key."""
        home, chain = self.owner.home, made.GOOD[kind]
        (home / "chain.pem").write_bytes(made.pem(*chain))
        (home / "chain.key").write_bytes(made.private(chain[0].name))
        words = ("migrate", "notation", self.repository.name, "--key", home / "chain.key")
        return self.owner.notarypy("--json", *words, "--cert", home / "chain.pem", *more)

    def envelopes(self, image: Manifest) -> list[bytes]:
        """Return the envelopes that oras finds of an image, the oldest first."""
        found = []
        for entry in self.others.referrers(self.repository, image):
            if entry["artifactType"] == ARTIFACT:
                manifest = json.loads(self.repository.manifest(entry["digest"]))
                assert manifest["subject"]["digest"] == image.digest
                assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
                (layer,) = manifest["layers"]
                assert layer["mediaType"] == JWS
                found.append(self.repository.blob(layer["digest"]))
                thumbprints = json.loads(manifest["annotations"]["io.cncf.notary.x509chain.thumbprint#S256"])
                assert thumbprints == [hashlib.sha256(one).hexdigest() for one in chain_in(found[-1])]
        return found

    def envelope(self, image: Manifest, kind: str) -> bytes:
        """Return the one envelope of an image by a kind of key."""
        ours = [one.public_bytes(Encoding.DER) for one in map(made.Certificate.made, made.GOOD[kind])]
        (found,) = (one for one in self.envelopes(image) if chain_in(one) == ours)
        return found


def chain_in(envelope: bytes) -> list[bytes]:
    return [base64.b64decode(one) for one in json.loads(envelope)["header"]["x5c"]]


def read(others: Verifiers, envelope: bytes, trusted: Certificate) -> Run:
    """Let notation's library read an envelope, trusting one certificate."""
    (others.home / "envelope.jws").write_bytes(envelope)
    (others.home / "trusted.crt").write_bytes(made.pem(trusted))
    return others.notation(others.home / "envelope.jws", others.home / "trusted.crt")


def released(home: Path, registry: Endpoint, notary: Endpoint) -> Signed:
    """Push an image and an index, and sign both in Notary."""
    repository = images.repository(registry, f"notation/{home.name}")
    tags = {"1": repository.push("1"), "index": repository.push_index("index")}
    owner = people.Person(home / "owner", notary)
    owner.trust("certs.d", registry)
    owner.own(repository.name)
    owner.notarypy("sign", *map(repository.ref, tags)).expect(0)
    return Signed(repository, owner, Verifiers(home / "others", registry), tags)


@pytest.fixture(scope="module", params=["registry", "devserver"])
def signed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, notary: Endpoint
) -> Signed:
    server: Endpoint | served.Process = request.getfixturevalue(request.param)
    if isinstance(server, served.Process):
        server = Endpoint(server.registry, server.authority)
    done = released(tmp_path_factory.mktemp("notation"), server, notary)
    repository, tags = done.repository, done.tags
    for kind in KINDS:
        written = done.migrate(kind).expect(0).document["results"]
        assert [(one["ref"], one["manifests"]) for one in written] == [
            (repository.ref(tag), [{"digest": image.digest, "platform": "", "notation": "written"}])
            for tag, image in tags.items()
        ]
    return done


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", ["1", "index"])
def test_notations_library_takes_it(signed: Signed, tag: str, kind: str) -> None:
    image, trusted = signed.tags[tag], made.GOOD[kind][-1]
    found = read(signed.others, signed.envelope(image, kind), trusted).expect(0).document
    target = {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    assert found["payload"] == {"targetArtifact": target}
    assert found["signingAgent"].startswith("notarypy/")
    assert found["contentType"] == "application/vnd.cncf.notary.payload.v1+json"
    assert found["signingScheme"] == "notary.x509"


@pytest.mark.parametrize("kind", KINDS)
def test_notations_library_refuses_what_was_changed(signed: Signed, kind: str) -> None:
    envelope, trusted = json.loads(signed.envelope(signed.tags["1"], kind)), made.GOOD[kind][-1]
    other = json.loads(signed.envelope(signed.tags["index"], kind))
    stranger = json.loads(signed.envelope(signed.tags["1"], "P-256" if kind == "RSA-2048" else "RSA-2048"))
    for change in (
        {"signature": ("B" if envelope["signature"][0] == "A" else "A") + envelope["signature"][1:]},
        {"payload": other["payload"]},
        {"protected": stranger["protected"]},
        {"header": stranger["header"]},
    ):
        read(signed.others, json.dumps({**envelope, **change}).encode(), trusted).expect(1)
    read(signed.others, json.dumps(envelope).encode(), made.Certificate("another", "another")).expect(1)


def test_a_second_run_signs_nothing(signed: Signed) -> None:
    before = {tag: signed.envelopes(image) for tag, image in signed.tags.items()}
    assert {tag: len(found) for tag, found in before.items()} == {"1": len(KINDS), "index": len(KINDS)}
    for kind in KINDS:
        for one in signed.migrate(kind).expect(0).document["results"]:
            assert [each["notation"] for each in one["manifests"]] == ["there"]
    assert {tag: signed.envelopes(image) for tag, image in signed.tags.items()} == before


def test_cosigns_signatures_stand_beside_it(signed: Signed) -> None:
    key, _ = signed.owner.new_key("cosign")
    image = signed.tags["1"]
    before = signed.envelopes(image)
    signed.owner.notarypy("migrate", "cosign", signed.repository.ref("1"), "--key", key).expect(0)
    assert signed.envelopes(image) == before
    assert len(signed.others.bundles(signed.repository, image)) == 1


def test_a_registry_that_lists_other_types_is_none_for_notation(
    tmp_path: Path, referrers_registry: Endpoint, notary: Endpoint
) -> None:
    here = released(tmp_path, referrers_registry, notary)
    for _ in range(2):
        refused = here.migrate("P-256").expect(4)
        assert "notation does not find its signatures" in refused.stdout
        for image in here.tags.values():
            assert len(here.others.referrers(here.repository, image)) == 1
            words = ("discover", "--format", "json", "--artifact-type", ARTIFACT)
            found = here.others.oras(*words, here.repository.pinned(image)).expect(0).document
            assert not found["manifests"]


@pytest.fixture
def others(tmp_path: Path, registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path / "others", registry)


def under(chain: tuple[Certificate, ...]) -> bytes:
    """Return an envelope under any chain, signed by its first key."""
    certificates = tuple(one.made().public_bytes(Encoding.DER) for one in chain)
    stand_in: Any = type("Chain", (), {"certificates": certificates})
    subject = layout.of(b"an image", manifests.OCI_MANIFEST)
    algorithm = "PS256" if chain[0].name in {"RSA-2048", "middle"} else "ES256"
    message = notationenvelope.message(subject, algorithm, made.START + timedelta(hours=1))
    signature = LocalSigner(made.KEYS[chain[0].name]).sign(message)[1]
    return notationenvelope.envelope(message, signature, stand_in, "a test")


@pytest.mark.parametrize("name", [*made.GOOD, *made.STRICTER])
def test_chains_that_notations_library_takes(others: Verifiers, name: str) -> None:
    chain = made.GOOD.get(name) or made.STRICTER[name][0]
    read(others, under(chain), chain[-1]).expect(0)


@pytest.mark.parametrize("name", made.BAD)
def test_chains_that_notations_library_refuses_as_we_do(others: Verifiers, name: str) -> None:
    chain, _ = made.BAD[name]
    assert "certificate" in read(others, under(chain), chain[-1]).expect(1).stderr


@pytest.mark.parametrize("name", ["P-384", "P-521", "RSA-3072"])
def test_notations_library_wants_larger_hashes_of_larger_keys(others: Verifiers, name: str) -> None:
    leaf = made.Certificate(name, name)
    read(others, under((leaf,)), leaf).expect(1)


@pytest.mark.parametrize(("kind", "name"), [("EC:prime256v1", "P-256"), ("rsa:2048", "RSA-2048")])
def test_a_key_on_a_token(
    alice: Person, repository: Repository, registry: Endpoint, tmp_path: Path, kind: str, name: str
) -> None:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("release")
    uri = hsm.make_key("release", "notation", kind)
    alice.environment |= hsm.environment
    alice.environment["NOTARYPY_PASSPHRASE_NOTATION"] = PIN
    image = repository.push("1")
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    public = (
        alice.notarypy("key", "export", "--cosign", "--public", uri, NOTARYPY_PASSPHRASE_COSIGN=PIN)
        .expect(0)
        .stdout
    )
    leaf = made.Certificate(name, "middle", public=public.encode())
    (tmp_path / "chain.pem").write_bytes(made.pem(leaf, made.MIDDLE, made.ROOT))
    words = ("migrate", "notation", repository.ref("1"), "--key", uri, "--cert", tmp_path / "chain.pem")
    alice.notarypy(*words).expect(0)
    here = Signed(repository, alice, Verifiers(tmp_path / "others", registry), {"1": image})
    (envelope,) = here.envelopes(image)
    read(here.others, envelope, made.ROOT).expect(0)
