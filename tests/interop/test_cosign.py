"""What `migrate cosign` wrote, and who takes it: cosign, skopeo and npm's sigstore, in three registries.

And who refuses it: each of them, once a byte, the digest, the key or the name is another.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import images, people, programs
from interop.harness.images import Manifest, Repository
from interop.harness.verifiers import NO_MATCH, KeyPair, Verifiers
from notarypy.cosign import sigstorebundle as bundles
from notarypy.cosign import simplesigning as classic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.services import Endpoint

PLATFORMS = ("amd64", "arm64")


@dataclass(frozen=True)
class Migrated:
    """A repository whose tags, an image and an index, are signed the new way, and who looks at them."""

    repository: Repository
    others: Verifiers
    public: Path
    stranger: KeyPair
    tags: dict[str, Manifest]
    rules: tuple[Path, Path]

    def children(self) -> list[Manifest]:
        """Return the platforms' own manifests."""
        entries = json.loads(self.tags["index"].body)["manifests"]
        return [Manifest(entry["mediaType"], self.repository.manifest(entry["digest"])) for entry in entries]

    def signed(self) -> list[Manifest]:
        """Return whatever has signatures of its own."""
        return [*self.tags.values(), *self.children()]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, each_registry: Endpoint, notary: Endpoint) -> Migrated:
    home = tmp_path_factory.mktemp("migrated")
    repository, others = (
        images.repository(each_registry, f"migrated/{home.name}"),
        Verifiers(home / "others", each_registry),
    )
    tags = {"1": repository.push("1"), "index": repository.push_index("index")}
    owner = people.Person(home / "owner", notary)
    owner.trust("certs.d", each_registry)
    owner.own(repository.name)
    for tag in tags:
        owner.notarypy("sign", repository.ref(tag)).expect(0)
    key, _ = owner.new_key("cosign")
    public = home / "cosign.pub"
    programs.openssl("ec", "-in", key, "-pubout", "-out", public)
    owner.notarypy("migrate", "cosign", repository.name, "--key", key).expect(0)
    printed = (
        "--yes",
        "migrate",
        "policy",
        "--for",
        "containers",
        "--key",
        public,
        "-o",
        home / "containers",
    )
    owner.notarypy(*printed, repository.name).expect(0)
    rules = (home / "containers" / "policy.json", home / "containers" / "registries.d")
    return Migrated(repository, others, public, others.generate_key_pair("stranger"), tags, rules)


# -- who takes it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["1", "index"])
def test_cosign_takes_both_forms(migrated: Migrated, tag: str) -> None:
    for reference in (migrated.repository.ref(tag), migrated.repository.pinned(migrated.tags[tag])):
        (claim,) = migrated.others.verify(reference, migrated.public).expect(0).document
        assert claim["critical"]["identity"] == {"docker-reference": migrated.repository.ref(tag)}
        migrated.others.verify_bundle(reference, migrated.public).expect(0)


def test_cosign_finds_where_the_trust_came_from(migrated: Migrated) -> None:
    reference = migrated.repository.ref("1")
    gun = ("-a", f"io.notarypy.gun={migrated.repository.name}")
    (claim,) = migrated.others.verify(reference, migrated.public, *gun).expect(0).document
    assert claim["optional"]["io.notarypy.signers"] == "jeff"
    migrated.others.verify(reference, migrated.public, "-a", "io.notarypy.gun=another").expect(NO_MATCH)
    (bundle,) = migrated.others.bundles(migrated.repository, migrated.tags["1"])
    signed = migrated.others.npm(bundle, migrated.public, migrated.tags["1"].digest).expect(0).document
    assert signed["subject"][0]["annotations"].items() <= claim["optional"].items()


def test_cosign_takes_both_forms_of_each_platform(migrated: Migrated) -> None:
    for child in migrated.children():
        migrated.others.verify(migrated.repository.pinned(child), migrated.public).expect(0)
        migrated.others.verify_bundle(migrated.repository.pinned(child), migrated.public).expect(0)


def test_skopeo_takes_an_image_and_each_platform_of_an_index(migrated: Migrated) -> None:
    migrated.others.pull(migrated.repository.ref("1"), migrated.rules).expect(0)
    migrated.others.pull(migrated.repository.pinned(migrated.tags["1"]), migrated.rules).expect(0)
    for platform in PLATFORMS:
        for reference in (
            migrated.repository.ref("index"),
            migrated.repository.pinned(migrated.tags["index"]),
        ):
            migrated.others.pull(reference, migrated.rules, platform).expect(0)


def test_npm_takes_each_bundle(migrated: Migrated) -> None:
    for manifest in migrated.signed():
        (bundle,) = migrated.others.bundles(migrated.repository, manifest)
        statement = migrated.others.npm(bundle, migrated.public, manifest.digest).expect(0).document
        assert statement["predicateType"] == bundles.PREDICATE


# -- who refuses it --------------------------------------------------------------------------------


def test_nobody_takes_it_for_another_key(migrated: Migrated) -> None:
    others, stranger, reference = migrated.others, migrated.stranger.public, migrated.repository.ref("1")
    others.verify(reference, stranger).expect(NO_MATCH)
    assert others.verify_bundle(reference, stranger).code != 0
    refused = others.pull(reference, others.require(migrated.repository.name, stranger)).expect(1)
    assert "signature verification failed" in refused.stderr
    (bundle,) = others.bundles(migrated.repository, migrated.tags["1"])
    others.npm(bundle, stranger, migrated.tags["1"].digest).expect(1)


@dataclass(frozen=True)
class Copied:
    """The signatures of an image beside an image that is alike, or is not."""

    migrated: Migrated
    repository: Repository
    image: Manifest
    payload: bytes
    signature: str
    bundle: bytes

    def classic(self, payload: bytes | None = None, signature: str = "") -> None:
        """Put a classic signature beside the image, with another text or signature if told so."""
        layer = self.repository.put_blob(payload or self.payload, classic.MEDIA_TYPE)
        layer["annotations"] = {classic.SIGNATURE: signature or self.signature}
        config = self.repository.put_blob(b"{}", images.OCI_CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST, "config": config, "layers": [layer]}
        self.repository.put(classic.tag_of(self.image.digest), images.OCI_MANIFEST, manifest)

    def attach(self, content: bytes) -> None:
        """Let oras attach a bundle to the image."""
        self.migrated.others.attach(self.repository, self.image, content, bundles.MEDIA_TYPE)

    def verify(self) -> programs.Run:
        """Let cosign verify the classic form."""
        return self.migrated.others.verify(self.repository.ref("1"), self.migrated.public)

    def pull(self, **identity: str) -> programs.Run:
        """Let skopeo pull, under a policy with an identity, or with the one that counts if none is given."""
        others = self.migrated.others
        return others.pull(
            self.repository.ref("1"), others.require(self.repository.name, self.migrated.public, **identity)
        )

    def verify_bundle(self) -> programs.Run:
        """Let cosign verify the bundle."""
        return self.migrated.others.verify_bundle(self.repository.ref("1"), self.migrated.public)

    def npm(self, content: bytes) -> programs.Run:
        """Let npm's sigstore verify the bundle."""
        return self.migrated.others.npm(content, self.migrated.public, self.image.digest)


@pytest.fixture
def copied(migrated: Migrated, unique: Callable[[], str]) -> Copied:
    """Return a repository of another name with the same image."""
    return copy(migrated, unique(), "")


@pytest.fixture
def moved(migrated: Migrated, unique: Callable[[], str]) -> Copied:
    """Return a repository with another image."""
    return copy(migrated, unique(), "another")


def copy(migrated: Migrated, path: str, content: str) -> Copied:
    repository = images.repository(migrated.repository.registry, path)
    digest = migrated.tags["1"].digest
    (layer,) = json.loads(migrated.repository.manifest(classic.tag_of(digest)))["layers"]
    return Copied(
        migrated,
        repository,
        repository.push("1", content),
        migrated.repository.blob(layer["digest"]),
        layer["annotations"][classic.SIGNATURE],
        migrated.others.bundles(migrated.repository, migrated.tags["1"])[0],
    )


def test_a_copy_is_taken_but_not_under_its_own_name(copied: Copied) -> None:
    copied.classic()
    copied.verify().expect(0)  # cosign looks at the digest alone
    copied.pull(type="exactReference", dockerReference=copied.migrated.repository.ref("1")).expect(0)
    refused = copied.pull().expect(1).stderr
    assert "Signature for identity" in refused
    assert copied.migrated.repository.ref("1") in refused
    copied.attach(copied.bundle)
    copied.verify_bundle().expect(0)  # no name of an image is in it
    copied.npm(copied.bundle).expect(0)


def test_nobody_takes_it_for_another_digest(moved: Copied) -> None:
    moved.classic()
    moved.verify().expect(NO_MATCH)
    refused = moved.pull(type="exactReference", dockerReference=moved.migrated.repository.ref("1")).expect(1)
    assert f"Signature for digest {moved.migrated.tags['1'].digest} does not match" in refused.stderr
    moved.attach(moved.bundle)
    assert moved.verify_bundle().code != 0
    assert "not about" in moved.npm(moved.bundle).expect(1).stderr


def other_byte(text: str) -> str:
    """Change one byte of what base64 says."""
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def test_nobody_takes_a_text_or_signature_with_another_byte(copied: Copied) -> None:
    exact = {"type": "exactReference", "dockerReference": copied.migrated.repository.ref("1")}
    space = copied.payload.replace(b":null", b": null").replace(b':{"', b': {"')
    for payload, signature in ((space, copied.signature), (copied.payload, other_byte(copied.signature))):
        copied.classic(payload, signature)
        copied.verify().expect(NO_MATCH)
        assert "signature verification failed" in copied.pull(**exact).expect(1).stderr


def test_nobody_takes_a_bundle_with_another_byte(copied: Copied) -> None:
    envelope = json.loads(copied.bundle)["dsseEnvelope"]
    statement = base64.b64encode(base64.b64decode(envelope["payload"]) + b" ").decode()
    signature = other_byte(envelope["signatures"][0]["sig"])
    changes: tuple[dict[str, Any], ...] = ({"payload": statement}, {"signatures": [{"sig": signature}]})
    for change in changes:
        changed = json.dumps({**json.loads(copied.bundle), "dsseEnvelope": {**envelope, **change}}).encode()
        copied.attach(changed)
        assert copied.verify_bundle().code != 0
        assert "signature verification failed" in copied.npm(changed).expect(1).stderr
