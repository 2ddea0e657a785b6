"""Attacks by whoever may push to the registry, on readers who require cosign's signatures."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import CosignMissingError, NetworkError
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.remote.http.messages import Response
from support.author import GUN
from support.cosigner import Cosigner
from support.people import REGISTRY_PATH, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from support.people import Person, World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def release(world: World) -> Cosigner:
    """Whom the reader trusts."""
    return Cosigner(world.fake, REGISTRY_PATH)


@pytest.fixture
def attacker(world: World) -> Cosigner:
    """Who may push, and has a key that nobody trusts."""
    return Cosigner(world.fake, REGISTRY_PATH)


@pytest.fixture
def reader(world: World, release: Cosigner) -> Person:
    """Somebody who takes what cosign alone vouches for."""
    (world.base / "release.pub").write_bytes(release.pem)
    scope = f'[scope."{GUN}"]\nrequire = ["cosign"]\ncosign.all = ["release.pub"]\n'
    (world.base / "policy.toml").write_text(scope)
    return world.person("reader")


def client(reader: Person) -> Client:
    return reader.client(policy=str(reader.world.base / "policy.toml"))


def refused(reader: Person, reference: str = f"{GUN}:1") -> list[str]:
    """Return why an image is refused."""
    with pytest.raises(CosignMissingError) as caught:
        client(reader).verify(reference)
    return [caught.value.message, *caught.value.why]


def test_a_signature_of_the_attackers_own_counts_for_nothing(
    world: World, reader: Person, attacker: Cosigner
) -> None:
    digest = world.push("1", "evil")
    attacker.sign(digest, f"{GUN}:1")
    attacker.bundle(digest)
    assert "by none of the keys" in " ".join(refused(reader))


def test_a_good_signature_of_another_image_is_not_one_of_this(
    world: World, reader: Person, release: Cosigner
) -> None:
    good, evil = world.push("good"), world.push("1", "evil")
    text = release.text(f"{GUN}:1", good)
    release.sign(evil, f"{GUN}:1", text=text)
    release.bundle(good, listed=evil)
    assert "about another image" in " ".join(refused(reader))


def test_a_signed_text_with_another_digest_written_into_it(
    world: World, reader: Person, release: Cosigner
) -> None:
    good, evil = world.push("good"), world.push("1", "evil")
    release.sign(good, f"{GUN}:1")
    signature = release.signature_of(release.text(f"{GUN}:1", good))
    release.put_layer(evil, release.text(f"{GUN}:1", evil), signature)
    assert "by none of the keys" in " ".join(refused(reader))


@pytest.mark.parametrize(
    "name",
    [
        f"{GUN}:2",
        f"{GUN}s:1",
        f"{GUN}/more:1",
        "registry.test/team:1",
        "evil.test/team/app:1",
        "registry.test:5000/team/app:1",
        "team/app:1",
        f"{GUN}@sha256:{'1' * 64}",
        f"{GUN}:1 {GUN}:1",
        "\u202e" + GUN,
    ],
)
def test_a_signature_under_another_name_is_replayed(
    world: World, reader: Person, release: Cosigner, name: str
) -> None:
    digest = world.push("1")
    release.sign(digest, name)
    assert f"has signed it as {name}" in " ".join(refused(reader))


def test_an_older_image_that_was_signed_under_its_own_tag_is_put_at_another(
    world: World, reader: Person, release: Cosigner
) -> None:
    for tag in ("1", "2"):
        digest = world.push(tag)
        release.sign(digest, f"{GUN}:{tag}")
        release.bundle(digest)
    assert client(reader).verify(f"{GUN}:2").tag == "2"
    world.push("2", "1")
    assert f"has signed it as {GUN}:1" in " ".join(refused(reader, f"{GUN}:2"))


def test_signatures_of_one_repository_are_copied_into_another(
    world: World, reader: Person, release: Cosigner
) -> None:
    policy = world.base / "policy.toml"
    policy.write_text(policy.read_text().replace(GUN, "registry.test"))
    release.path = "team/other"
    digest = world.push("1", path="team/other")
    release.sign(digest, f"{GUN}:1")
    assert f"has signed it as {GUN}:1" in " ".join(refused(reader, "registry.test/team/other:1"))


@pytest.mark.parametrize("require", ["require", "require_any"])
@pytest.mark.parametrize("named", ["registry.test/dev/tool", "dev/tool", f"{GUN}s", f"{GUN}:2", " "])
def test_an_image_and_its_bundle_are_copied_from_another_repository(
    world: World, reader: Person, release: Cosigner, require: str, named: str
) -> None:
    policy = world.base / "policy.toml"
    either = policy.read_text().replace('require = ["cosign"]', 'require_any = ["notary", "cosign"]')
    policy.write_text(f"{either}first_use = true\n" if require == "require_any" else policy.read_text())
    digest = world.push("1", "tool")
    release.bundle(digest, gun=named)
    assert f"has signed it as {named}" in " ".join(refused(reader))
    release.bundle(digest, gun=GUN)
    assert client(reader).verify(f"{GUN}:1").cosign[0].reference == GUN


def test_an_attestation_is_no_signature(world: World, reader: Person, release: Cosigner) -> None:
    release.bundle(world.push("1"), predicate="https://slsa.dev/provenance/v1")
    assert "attestation" in " ".join(refused(reader))


def test_one_key_under_many_names_meets_no_threshold(
    world: World, reader: Person, release: Cosigner, attacker: Cosigner
) -> None:
    (world.base / "other.pub").write_bytes(attacker.pem)
    policy = world.base / "policy.toml"
    lines = 'cosign.any = ["release.pub", "other.pub"]\ncosign.threshold = 2'
    policy.write_text(policy.read_text().replace('cosign.all = ["release.pub"]', lines))
    digest = world.push("1")
    for name in (f"{GUN}:1", GUN, "", f"{GUN}:1@{digest}"):
        release.sign(digest, name)
    release.bundle(digest)
    assert refused(reader)[0].endswith("is not signed by cosign with other.pub")


def test_floods_hide_no_signature_that_is_newer_and_end(
    world: World, reader: Person, release: Cosigner, attacker: Cosigner
) -> None:
    digest = world.push("1")
    for number in range(150):
        attacker.sign(digest, f"{GUN}:{number}")
    world.requests()
    assert "not looked at" in " ".join(refused(reader))
    assert len(world.requests()) < 200
    release.sign(digest, f"{GUN}:1")
    assert client(reader).verify(f"{GUN}:1").cosign


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"layers": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_manifest_at_the_tag_is_no_signature(world: World, reader: Person, body: bytes) -> None:
    digest = world.push("1")
    world.attacker.answer(
        Response(200, {"content-type": OCI_MANIFEST}, body), path=r".*/manifests/sha256-.*\.sig"
    )
    assert digest not in refused(reader)[0]


def test_odd_layers_and_bundles_spoil_no_good_signature(
    world: World, reader: Person, release: Cosigner
) -> None:
    digest = world.push("1")
    for text in (b"", b"{}", b"[1]", b'{"critical": 1}', b"\xff" * 100):
        release.put_layer(digest, text, b"no signature")
    for content in (
        b"",
        b"{}",
        json.dumps({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}).encode(),
    ):
        release.refer(content, digest)
    release.put_layer(digest, release.text(f"{GUN}:1", digest), base64.b64decode("MAYCAQECAQE="))
    refused(reader)
    release.sign(digest, f"{GUN}:1")
    assert client(reader).verify(f"{GUN}:1").cosign


def test_a_registry_that_says_nothing_about_signatures_vouches_for_nothing(
    world: World, reader: Person, release: Cosigner
) -> None:
    digest = world.push("1")
    release.sign(digest, f"{GUN}:1")
    world.attacker.answer(Response(503, {}, b""), path=r".*\.sig")
    with pytest.raises(NetworkError):
        client(reader).verify(f"{GUN}:1")
    world.attacker.undo_hooks()
    world.attacker.answer(Response(404, {}, b""), path=r".*\.sig")
    refused(reader)
