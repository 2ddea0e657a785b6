"""`push` against registries that are busy, slow, or know less than they say."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from notarypy.client.transfer import progress
from notarypy.errors import ServerError, VerificationError
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from support import layouts
from support.author import GUN
from support.people import REGISTRY_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from support.people import World

REF = f"{GUN}:1"
TAG = r".*/manifests/1"
UNKNOWN = Response(400, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}')
UNKNOWN_TOO = Response(400, {}, UNKNOWN.body.replace(b"[", b'[{"code":"DIGEST_INVALID","message":"no"},'))
BIG = bytes(range(256)) * 8000
MADE = layouts.image(b"small", BIG)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    told: list[int] = []
    monkeypatch.setattr(progress, "BLOBS", 1)
    monkeypatch.setattr(Exchange, "pause", lambda _self, attempt, _wished=0.0: told.append(attempt))
    return told


@pytest.fixture
def client(world: World) -> Client:
    return world.person().client()


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"oci:{layouts.layout(tmp_path / 'dir', MADE)}"


def complete(world: World) -> bool:
    """Tell whether the registry has everything."""
    images = world.fake.registry.images
    blobs = (images.blob(REGISTRY_PATH, layouts.digest(blob)) for blob in MADE.blobs)
    return tuple(blobs) == MADE.blobs and images.tags(REGISTRY_PATH) == {"1": MADE.digest}


@pytest.mark.parametrize("answer", [UNKNOWN, UNKNOWN_TOO, Response(500)])
def test_a_manifest_is_put_again(world: World, client: Client, source: str, answer: Response) -> None:
    world.attacker.answer(answer, method="PUT", path=TAG, times=2)
    done = client.images.push(source, REF)
    assert complete(world)
    assert done.uploaded == 3


def test_blobs_that_a_registry_only_says_it_has_are_sent(world: World, client: Client, source: str) -> None:
    _claim_blobs(world)
    _require_blobs(world)
    done = client.images.push(source, REF)
    assert complete(world)
    assert (done.uploaded, done.present, done.sent) == (3, 0, sum(map(len, MADE.blobs)))


def test_a_registry_that_never_has_the_blobs(world: World, client: Client, source: str) -> None:
    world.attacker.answer(UNKNOWN, method="PUT", path=TAG)
    with pytest.raises(VerificationError, match="does not have what it says it has") as caught:
        client.images.push(source, REF)
    assert caught.value.exit_code == 4
    assert caught.value.why[1:] == ("MANIFEST_BLOB_UNKNOWN: blob unknown",)
    assert len([line for line in world.fake.lines() if line.startswith("PUT") and "/manifests/" in line]) == 4


def test_another_refusal_is_final(world: World, client: Client, source: str) -> None:
    world.attacker.answer(Response(400), method="PUT", path=TAG)
    with pytest.raises(ServerError, match="400"):
        client.images.push(source, REF)
    assert len([line for line in world.fake.lines() if line.startswith("PUT") and "/manifests/" in line]) == 1


@pytest.mark.parametrize("status", [404, 500])
def test_what_cannot_be_read_back_at_once_is_asked_for_again(
    world: World, client: Client, source: str, waits: list[int], status: int
) -> None:
    world.attacker.answer(Response(status), method="GET", path=TAG, times=3)
    client.images.push(source, REF)
    assert complete(world)
    assert waits == [1, 2, 3]


def test_what_cannot_be_read_back_is_no_success(world: World, client: Client, source: str) -> None:
    world.attacker.answer(Response(404), method="GET", path=TAG)
    with pytest.raises(VerificationError, match="does not have it"):
        client.images.push(source, REF)
    world.fake.before.clear()
    world.attacker.answer(Response(500), method="GET", path=TAG)
    with pytest.raises(ServerError, match="500"):
        client.images.push(source, REF)


def test_digests_that_a_registry_does_not_know(client: Client, tmp_path: Path) -> None:
    digest = f"sha512:{hashlib.sha512(b'layer').hexdigest()}"
    layer = {"mediaType": layouts.OCI_LAYER, "digest": digest, "size": 5}
    made = layouts.image(b"layer", layers=[layer])
    directory = layouts.layout(tmp_path / "other", made)
    (directory / "blobs" / "sha512").mkdir()
    (directory / "blobs" / "sha512" / digest.partition(":")[2]).write_bytes(b"layer")
    with pytest.raises(ServerError, match="whose digest is not SHA-256"):
        client.images.push(f"oci:{directory}", REF)


def _claim_blobs(world: World) -> None:
    """Say of every blob that it is there."""
    sizes = {layouts.digest(blob): len(blob) for blob in MADE.blobs}
    world.fake.after.append(
        lambda request, answer: (
            Response(200, {"content-length": str(sizes[request.url.rpartition("/")[2]])})
            if request.method == "HEAD" and "/blobs/" in request.url
            else answer
        )
    )


def _require_blobs(world: World) -> None:
    """Refuse a manifest while a blob is missing, as real registries do."""
    images = world.fake.registry.images
    world.fake.before.append(
        lambda request: (
            UNKNOWN
            if request.method == "PUT"
            and "/manifests/" in request.url
            and any(images.blob(REGISTRY_PATH, layouts.digest(blob)) is None for blob in MADE.blobs)
            else None
        )
    )
