"""Attacks by a registry, and by whoever stands between it and the reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import DigestMismatchError, NetworkError, NotarypyError, VerificationError
from notarypy.images.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from notarypy.remote.http.messages import Response
from support.author import GUN
from support.people import index, make_world, manifest, released

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import Person, World

MANIFESTS = r".*/manifests/.*"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def owner(world: World) -> Person:
    return released(world)


def _serve(world: World, body: bytes, media_type: str = OCI_MANIFEST, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    world.attacker.answer(Response(200, {"content-type": media_type, **named}, body), path=MANIFESTS)


def _unsaid(body: bytes) -> bytes:
    """Return a manifest that does not say what it is."""
    return json.dumps({name: each for name, each in json.loads(body).items() if name != "mediaType"}).encode()


def test_other_bytes_are_another_image_whatever_the_header_says(world: World, owner: Person) -> None:
    signed = owner.client().verify(f"{GUN}:1").digest
    _serve(world, manifest("evil"), docker_content_digest=signed)
    with pytest.raises(DigestMismatchError):
        owner.client().verify(f"{GUN}:1")
    with pytest.raises(DigestMismatchError):
        owner.client().sign([f"{GUN}:1"])
    world.attacker.undo_hooks()
    assert owner.client().verify(f"{GUN}:1").digest == signed


def test_a_digest_is_asked_for_and_must_come(world: World, owner: Person) -> None:
    signed = owner.client().verify(f"{GUN}:1").digest
    _serve(world, manifest("evil"))
    for reference in (f"{GUN}@{signed}", f"{GUN}:1@{signed}"):
        with pytest.raises(DigestMismatchError):
            owner.client().verify(reference)
    with pytest.raises(DigestMismatchError):
        owner.client().sign([f"{GUN}:2@{signed}"])


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (_unsaid(manifest("1")), OCI_INDEX),
        (_unsaid(manifest("1")), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (_unsaid(index("linux/amd64")), OCI_MANIFEST),
        (manifest("1").replace(b'"layers"', b'"Manifests": [], "layers"'), OCI_MANIFEST),
        (manifest("1").replace(b'"layers"', b'"manifests": [], "layers"'), OCI_MANIFEST),
        (b"{}", OCI_MANIFEST),
        (b"", OCI_MANIFEST),
        (b"\xff", OCI_MANIFEST),
    ],
)
def test_what_is_two_things_at_once_is_neither_verified_nor_signed(
    world: World, owner: Person, body: bytes, media_type: str
) -> None:
    _serve(world, body, media_type)
    with pytest.raises(VerificationError):
        owner.client().verify(f"{GUN}:1")
    with pytest.raises(VerificationError):
        owner.client().sign([f"{GUN}:1"])
    assert "POST" not in world.requests()


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST, "text/html"])
def test_what_says_itself_what_it_is_is_signed_as_that(world: World, owner: Person, media_type: str) -> None:
    """The digest covers the body, which is a manifest and nothing else whatever the registry calls it."""
    _serve(world, manifest("1"), media_type)
    (signed,) = owner.client().sign([f"{GUN}:3"])
    assert (signed.digest, signed.platforms) == (digest_of(manifest("1")), ())


def test_an_endless_manifest_is_cut(world: World, owner: Person) -> None:
    _serve(world, b" " * (4 << 20) + b"{}")
    with pytest.raises(NetworkError):
        owner.client().verify(f"{GUN}:1")


@pytest.mark.parametrize("status", [204, 301, 307, 401, 403, 404, 429, 500, 503])
def test_a_registry_without_an_answer_is_no_verification(world: World, owner: Person, status: int) -> None:
    world.attacker.answer(Response(status, {"location": "https://evil.test/"}), path=MANIFESTS)
    with pytest.raises(NotarypyError):
        owner.client().verify(f"{GUN}:1")
    with pytest.raises(NotarypyError):
        owner.client().sign([f"{GUN}:1"])
    assert "POST" not in world.requests()
    assert not any("evil.test" in request.url for request in world.fake.requests)
