"""`push` against registries that refuse: what it means, and what they have all the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.transfer import progress, pushing
from notarypy.devserver.tampering import BLOB_UPLOAD
from notarypy.errors import (
    AuthenticationError,
    ImageMissingError,
    NotarypyError,
    ServerError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from support import layouts
from support.author import GUN
from support.people import REGISTRY_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from notarypy.remote.http.messages import Request
    from support.people import World

REF = f"{GUN}:1"
TAG = r".*/manifests/1"
BIG = bytes(range(256)) * 8000
MADE = layouts.image(b"small", BIG)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BLOBS", 1)
    monkeypatch.setattr(pushing, "READINGS", 1)
    monkeypatch.setattr(Exchange, "pause", lambda _self, _attempt, _wished=0.0: None)


@pytest.fixture
def client(world: World) -> Client:
    return world.person().client()


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"oci:{layouts.layout(tmp_path / 'dir', MADE)}"


def refusal(status: int, code: str, message: str = "no") -> Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]} if code else {})
    return Response(status, {}, body.encode())


@pytest.mark.parametrize("code", ["NAME_UNKNOWN", "NOT_FOUND", ""])
def test_a_repository_that_no_push_makes(world: World, client: Client, source: str, code: str) -> None:
    world.attacker.answer(refusal(404, code), method="POST", path=r".*/blobs/uploads/")
    with pytest.raises(ImageMissingError, match="takes nothing for") as caught:
        client.images.push(source, REF)
    assert f"make the repository {REGISTRY_PATH} at" in advice(caught.value)
    assert (caught.value.code, caught.value.exit_code) == ("registry.not_found", 3)


@pytest.mark.parametrize(("method", "path"), [("PATCH", BLOB_UPLOAD), ("PUT", TAG)])
def test_what_is_too_large_for_a_proxy(
    world: World, client: Client, source: str, method: str, path: str
) -> None:
    world.attacker.answer(Response(413, {}, b"<html>"), method=method, path=path)
    with pytest.raises(ServerError, match="413") as caught:
        client.images.push(source, REF)
    assert "client_max_body_size" in advice(caught.value)
    assert str(caught.value.facts["host"]) in advice(caught.value)


# As Amazon ECR, Docker Hub, Harbor 1 and 2, Azure, Quay and Artifactory refuse to replace a tag.
KEPT = [
    (400, "TAG_INVALID", ServerError),
    (403, "DENIED", AuthenticationError),
    (412, "PRECONDITION", ServerError),
    (405, "UNSUPPORTED", ServerError),
    (409, "TAG_IMMUTABLE", ServerError),
    (409, "", ServerError),
]


@pytest.mark.parametrize(("status", "code", "error"), KEPT)
def test_a_tag_that_the_registry_keeps(
    world: World, client: Client, source: str, status: int, code: str, error: type[NotarypyError]
) -> None:
    other = world.push("1", "other")
    world.attacker.answer(refusal(status, code), method="PUT", path=TAG)
    with pytest.raises(error) as caught:
        client.images.push(source, REF)
    assert caught.value.why[-1] == f"it has 1 already, as {other}, and keeps it"
    assert "push it under another tag" in advice(caught.value)
    assert "that 1 is replaced" in advice(caught.value)


@pytest.mark.parametrize(("status", "code", "error"), KEPT)
def test_a_tag_that_is_this_image_already(
    world: World, client: Client, source: str, status: int, code: str, error: type[NotarypyError]
) -> None:
    client.images.push(source, REF)
    world.attacker.answer(refusal(status, code), method="PUT", path=TAG)
    done = client.images.push(source, REF)
    assert (done.digest, done.uploaded) == (MADE.digest, 0)
    assert error.exit_code in {7, 8}


@pytest.mark.parametrize("status", [400, 405, 409])
def test_a_manifest_that_is_refused(world: World, client: Client, source: str, status: int) -> None:
    world.attacker.answer(refusal(status, "QUARANTINED"), method="PUT", path=TAG)
    with pytest.raises(ServerError, match=str(status)) as caught:
        client.images.push(source, REF)
    assert caught.value.why == ("QUARANTINED: no",)
    assert "refuses the manifest" in advice(caught.value)


def with_urls(tmp_path: Path) -> str:
    """Make an image, one of whose two layers says where else it is."""
    urls = [{}, {"urls": ["https://example.com/"]}]
    kinds = zip((b"plain", b"layer"), urls, strict=True)
    layers = [
        {"mediaType": layouts.OCI_LAYER, "digest": layouts.digest(data), "size": 5, **more}
        for data, more in kinds
    ]
    return f"oci:{layouts.layout(tmp_path / 'urls', layouts.image(b'plain', b'layer', layers=layers))}"


def lacking(*details: object) -> Response:
    entries = [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "lacking", "detail": one} for one in details]
    return Response(500, {}, json.dumps({"errors": [{"code": "UNKNOWN", "detail": {}}, *entries]}).encode())


def test_a_registry_that_takes_no_layer_with_urls(world: World, client: Client, tmp_path: Path) -> None:
    """docker's registry says so, in this way, of a layer that it has."""
    world.attacker.answer(lacking(layouts.digest(b"layer")), method="PUT", path=TAG)
    with pytest.raises(ServerError, match="a layer of which names URLs") as caught:
        client.images.push(with_urls(tmp_path), REF)
    assert "validation.manifests.urls.allow" in advice(caught.value)


@pytest.mark.parametrize(
    "details", [[layouts.digest(b"plain")], [layouts.digest(b"layer"), {"digest": layouts.digest(b"plain")}]]
)
def test_a_layer_with_urls_excuses_no_other(
    world: World, client: Client, tmp_path: Path, details: list[object]
) -> None:
    world.attacker.answer(lacking(*details), method="PUT", path=TAG)
    with pytest.raises(VerificationError, match="does not have what it says it has") as caught:
        client.images.push(with_urls(tmp_path), REF)
    assert "URLs" not in str(caught.value.why)


def test_a_registry_that_does_not_say_what_it_lacks_may_mean_either(
    world: World, client: Client, tmp_path: Path
) -> None:
    world.attacker.answer(lacking(None), method="PUT", path=TAG)
    with pytest.raises(VerificationError, match="does not have what it says it has") as caught:
        client.images.push(with_urls(tmp_path), REF)
    assert caught.value.why[-1] == "or it takes no layers that name URLs, as one of these does"


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404, "BLOB_UNKNOWN"),
        refusal(400, "BLOB_UNKNOWN"),
        refusal(404, "MANIFEST_UNKNOWN"),
        refusal(400, "MANIFEST_BLOB_UNKNOWN"),
        refusal(400, "MANIFEST_INVALID", "Failed to copy blob"),
    ],
)
def test_blobs_that_are_only_claimed_are_sent_once(
    world: World, client: Client, source: str, answer: Response
) -> None:
    """The registry says that it has the blobs, by HEAD, and misses them when it takes the manifest."""
    images = world.fake.registry.images
    for blob in MADE.blobs:
        world.fake.registry.put_blob(REGISTRY_PATH, blob)
    sent = {"uploads": 0}

    def miss(request: Request) -> Response | None:
        method, url = request.method, request.url
        sent["uploads"] += method == "PUT" and "/blobs/uploads/" in url
        return answer if method == "PUT" and "/manifests/" in url and sent["uploads"] < 3 else None

    world.fake.before.append(miss)
    done = client.images.push(source, REF)
    assert (done.uploaded, done.present, sent["uploads"]) == (3, 0, 3)
    assert images.tags(REGISTRY_PATH) == {"1": MADE.digest}


@pytest.mark.parametrize("code", ["BLOB_UNKNOWN", "MANIFEST_INVALID"])
def test_what_stays_refused_ends(world: World, client: Client, source: str, code: str) -> None:
    for blob in MADE.blobs:
        world.fake.registry.put_blob(REGISTRY_PATH, blob)
    world.attacker.answer(refusal(400, code), method="PUT", path=TAG)
    with pytest.raises((VerificationError, ServerError)):
        client.images.push(source, REF)
    puts = [line for line in world.fake.lines() if line.startswith("PUT") and "/manifests/" in line]
    assert len(puts) == (4 if code == "BLOB_UNKNOWN" else 2)


@pytest.mark.parametrize("kind", ["", "application/json", "application/octet-stream"])
def test_a_type_that_says_nothing_is_read_back(world: World, client: Client, source: str, kind: str) -> None:
    world.attacker.change_answers(
        lambda answer: Response(answer.status, {**answer.headers, "content-type": kind}, answer.body),
        method="GET",
        path=TAG,
    )
    assert client.images.push(source, REF).digest == MADE.digest
