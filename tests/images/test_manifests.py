from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from notarypy.errors import MetadataError, VerificationError
from notarypy.images import manifests
from notarypy.limits import DEFAULT

HEX = "0123456789abcdef" * 4


def descriptor(**more: object) -> dict[str, Any]:
    return {"mediaType": "application/octet-stream", "digest": f"sha256:{HEX}", "size": 7, **more}


def manifest(**more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "config": descriptor(), "layers": [descriptor()], **more}


def index(*platforms: object, **more: object) -> dict[str, Any]:
    entries = [descriptor(platform=platform) if platform else descriptor() for platform in platforms]
    return {"schemaVersion": 2, "manifests": entries, **more}


def encoded(document: object) -> bytes:
    return json.dumps(document, indent=3).encode()


@pytest.mark.parametrize("media_type", [manifests.OCI_MANIFEST, manifests.DOCKER_MANIFEST])
@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("said", ["{}", "{}; charset=utf-8", " {}"])
def test_reads_a_manifest(media_type: str, written: bool, said: str) -> None:
    data = encoded(manifest(mediaType=media_type) if written else manifest())
    found = manifests.served(data, said.format(media_type))
    assert found.media_type == media_type
    assert found.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert found.size == len(data)
    assert found.platforms == ()
    assert not found.is_index


@pytest.mark.parametrize("media_type", [manifests.OCI_INDEX, manifests.DOCKER_LIST])
def test_reads_an_index_and_its_platforms(media_type: str) -> None:
    amd64 = {"os": "linux", "architecture": "amd64"}
    arm = {"os": "linux", "architecture": "arm", "variant": "v7"}
    attestation = {"os": "unknown", "architecture": "unknown"}
    windows = [{"os": "windows", "architecture": "amd64", "os.version": version} for version in ("1", "2")]
    data = encoded(index(amd64, arm, attestation, *windows, None, {"os": "linux"}, mediaType=media_type))
    found = manifests.read(data, media_type)
    assert found.is_index
    assert found.platforms == ("linux/amd64", "linux/arm/v7", "windows/amd64")


def test_the_structure_decides_when_nothing_else_does() -> None:
    assert manifests.read(encoded(manifest()), None).media_type == manifests.OCI_MANIFEST
    assert manifests.read(encoded(index()), "").media_type == manifests.OCI_INDEX


def test_the_member_decides_without_a_content_type() -> None:
    data = encoded(manifest(mediaType=manifests.DOCKER_MANIFEST))
    assert manifests.read(data, None).media_type == manifests.DOCKER_MANIFEST


@pytest.mark.parametrize(
    "said",
    ["application/json", "binary/octet-stream", "text/plain; charset=utf-8", "text/html", "x", ""],
)
def test_a_header_that_is_no_kind_of_image_says_nothing(said: str) -> None:
    list_ = manifests.DOCKER_LIST
    assert manifests.served(encoded(index(mediaType=list_)), said).media_type == list_
    assert manifests.served(encoded(manifest()), said).media_type == manifests.OCI_MANIFEST
    with pytest.raises(MetadataError, match="not an image manifest"):
        manifests.served(encoded(manifest(mediaType=list_)), said)
    with pytest.raises(MetadataError, match="not an image manifest"):
        manifests.served(encoded({**manifest(), **index()}), said)


@pytest.mark.parametrize("said", [*manifests.ACCEPT, f"{manifests.SCHEMA_1}json", "text/html"])
def test_the_body_says_what_it_is_whatever_the_header_says(said: str) -> None:
    for made in (manifest(mediaType=manifests.OCI_MANIFEST), index(mediaType=manifests.OCI_INDEX)):
        assert manifests.served(encoded(made), said).media_type == made["mediaType"]


@pytest.mark.parametrize("written", [{}, {"mediaType": ""}])
def test_a_body_that_does_not_say_what_it_is_must_fit_the_header(written: dict[str, Any]) -> None:
    assert manifests.served(encoded(manifest(**written)), manifests.DOCKER_MANIFEST).media_type == (
        manifests.DOCKER_MANIFEST
    )
    for made, said in zip((manifest(**written), index(**written)), manifests.ACCEPT, strict=False):
        with pytest.raises(MetadataError, match="not an image manifest"):
            manifests.served(encoded(made), said)
    with pytest.raises(VerificationError, match="schema 1"):
        manifests.served(encoded(written), f"{manifests.SCHEMA_1}prettyjws")


@pytest.mark.parametrize("name", ["Manifests", "MEDIATYPE", "manifest\u017f", "fslayers"])
def test_a_member_that_go_takes_for_another_is_refused(name: str) -> None:
    with pytest.raises(MetadataError) as caught:
        manifests.served(encoded(manifest(mediaType=manifests.OCI_MANIFEST, **{name: []})), None)
    assert "some readers take it" in caught.value.why[0]


def test_a_list_may_be_null_as_go_writes_it() -> None:
    assert not manifests.read(encoded(manifest(layers=None)), None).is_index
    assert manifests.read(encoded(index() | {"manifests": None}), None).platforms == ()


def test_other_members_and_numbers_do_not_matter() -> None:
    data = encoded(manifest(annotations={"a": "b"}, other=1.5, subject=None))
    assert manifests.read(data, manifests.OCI_MANIFEST).size == len(data)


@pytest.mark.parametrize(
    ("document", "said", "part"),
    [
        (manifest(mediaType=manifests.OCI_MANIFEST), manifests.DOCKER_MANIFEST, "two things"),
        (manifest(mediaType=manifests.OCI_MANIFEST), manifests.OCI_INDEX, "two things"),
        (index(mediaType=manifests.OCI_INDEX), manifests.OCI_MANIFEST, "two things"),
        (manifest(mediaType=manifests.OCI_MANIFEST), "text/html", "two things"),
        (manifest(), "text/html", "not a kind of image"),
        (manifest(mediaType="application/x"), None, "not a kind of image"),
        (manifest(mediaType="application/x"), "application/x", "not a kind of image"),
        ({"schemaVersion": 1, "fsLayers": []}, None, "schema 1"),
        ({}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (manifest(fsLayers=[]), manifests.DOCKER_MANIFEST, "schema 1"),
    ],
)
def test_refuses_other_and_contradictory_types(document: object, said: str | None, part: str) -> None:
    with pytest.raises(VerificationError, match=part):
        manifests.read(encoded(document), said)


@pytest.mark.parametrize(
    ("document", "said", "why"),
    [
        ([], None, "not a JSON object"),
        (manifest(manifests=[]), manifests.OCI_MANIFEST, "members of an index"),
        (index(layers=[]), manifests.OCI_INDEX, "members of a manifest"),
        (index(config=descriptor()), None, "members of a manifest"),
        (manifest(), manifests.OCI_INDEX, "members of a manifest"),
        ({"schemaVersion": 2}, manifests.OCI_INDEX, "list of manifests"),
        ({"schemaVersion": 2}, manifests.OCI_MANIFEST, "config is not a descriptor"),
        (manifest(schemaVersion=1), None, "schemaVersion"),
        (manifest(schemaVersion=2.0), None, "schemaVersion"),
        (manifest(schemaVersion=True), None, "schemaVersion"),
        (manifest(schemaVersion="2"), None, "schemaVersion"),
        (manifest(mediaType=7), None, "mediaType"),
        (manifest(mediaType=None), None, "mediaType"),
        (manifest(layers={}), None, "list of layers"),
        (manifest(manifests=None), manifests.OCI_MANIFEST, "members of an index"),
        (index(layers=None), None, "members of a manifest"),
        ({**manifest(layers=None), "manifests": None}, None, "members of"),
        (manifest(layers=["x"]), None, "layers is not a descriptor"),
        (manifest(layers=[descriptor(size=-1)]), None, "size in layers"),
        (manifest(layers=[descriptor(size=1.5)]), None, "size in layers"),
        (manifest(layers=[descriptor(size=True)]), None, "size in layers"),
        (manifest(config=descriptor(digest="sha256:1")), None, "digest in config"),
        (manifest(config=descriptor(digest=f"sha256:{HEX}\n")), None, "digest in config"),
        (manifest(config=descriptor(digest=None)), None, "digest in config"),
        (manifest(config=descriptor(mediaType=None)), None, "mediaType in config"),
        (index("x"), None, "platform is not an object"),
        (index({"os": 1, "architecture": "amd64"}), None, "member of platform"),
    ],
)
def test_refuses_what_does_not_fit(document: object, said: str | None, why: str) -> None:
    with pytest.raises(MetadataError) as caught:
        manifests.read(encoded(document), said)
    assert why in caught.value.why[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "strict JSON"),
        (b"{", "strict JSON"),
        (b"\xff{}", "strict JSON"),
        (b"\xef\xbb\xbf{}", "strict JSON"),
        ('{"schemaVersion": 2}'.encode("utf-16"), "strict JSON"),
        (b'{"schemaVersion": 2, "schemaVersion": 2}', "twice"),
        (b'{"schemaVersion": 2, "config": {"size": 1, "size": 2}}', "twice"),
        (b'{"schemaVersion": NaN}', "NaN"),
        (b'{"schemaVersion": ' + b"9" * 5000 + b"}", "strict JSON"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested"),
        (b" " * (DEFAULT.manifest_bytes + 1), "more than"),
    ],
)
def test_refuses_what_is_not_strict_json(data: bytes, why: str) -> None:
    with pytest.raises(MetadataError) as caught:
        manifests.read(data, manifests.OCI_MANIFEST)
    assert why in caught.value.why[0]


def test_the_accepted_types_are_the_four_that_can_be_read() -> None:
    assert len(set(manifests.ACCEPT)) == 4
    for media_type in manifests.ACCEPT:
        listing = media_type in {manifests.OCI_INDEX, manifests.DOCKER_LIST}
        assert manifests.read(encoded(index() if listing else manifest()), media_type).is_index == listing
