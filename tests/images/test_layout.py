from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from notarypy.errors import AlreadyExistsError, DigestMismatchError, MetadataError, VerificationError
from notarypy.images import layout
from notarypy.images.layout import Descriptor
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST
from support import layouts
from support.layouts import compact, entry

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


def manifest(*layers: dict[str, Any], **more: object) -> bytes:
    value = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry("x/config", b"{}"), **more}
    return compact({**value, "layers": list(layers)})


def index(*entries: dict[str, Any]) -> bytes:
    return compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})


def test_a_layout_with_texts_that_are_none_keeps_them() -> None:
    there = b'{"schemaVersion":2,"manifests":[],"x":"\\ud800","y":"\\u00e9"}'
    made = layout.with_entry(there, layout.of(b"", "x"), "a")
    assert (json.loads(made)["x"], json.loads(made)["y"]) == ("\ud800", "é")
    with pytest.raises(MetadataError):
        layout.with_entry(b'{"schemaVersion":2,"manifests":[],"x":1e999}', layout.of(b"", "x"), "a")


def test_a_manifest_names_its_configuration_and_layers() -> None:
    found = layout.links(manifest(entry(ZSTD, b"one")), OCI_MANIFEST)
    assert found.manifests == ()
    assert [(blob.media_type, blob.size) for blob in found.blobs] == [("x/config", 2), (ZSTD, 3)]


def test_a_subject_is_no_part_of_an_image() -> None:
    subject = manifest(subject=entry(OCI_MANIFEST, b"another"), artifactType="x/y")
    assert len(layout.links(subject, OCI_MANIFEST).blobs) == 1


def test_an_index_names_manifests_and_maybe_blobs() -> None:
    data = index(
        entry(OCI_MANIFEST, b"m", platform={"os": "linux", "architecture": "arm64", "variant": "v8"}),
        entry(layout.ARTIFACT, b"a"),
        entry(ZSTD, b"cached layer"),
    )
    found = layout.links(data, OCI_INDEX)
    assert [each.platform for each in found.manifests] == ["linux/arm64/v8", ""]
    assert [each.media_type for each in found.blobs] == [ZSTD]


def test_an_old_artifact_names_its_blobs() -> None:
    data = compact({"mediaType": layout.ARTIFACT, "blobs": [entry("x/sbom", b"{}")]})
    assert [each.media_type for each in layout.links(data, layout.ARTIFACT).blobs] == ["x/sbom"]
    for wrong in ({}, {"mediaType": OCI_MANIFEST}, {"mediaType": layout.ARTIFACT, "blobs": 1}):
        with pytest.raises(MetadataError):
            layout.links(compact(wrong), layout.ARTIFACT)


def test_what_is_said_to_be_something_else_is_refused() -> None:
    with pytest.raises(VerificationError):
        layout.links(manifest(), OCI_INDEX)
    with pytest.raises(MetadataError, match="not an image manifest"):
        layout.links(index(entry("application/vnd.docker.distribution.manifest.v1+json", b"")), OCI_INDEX)


@pytest.mark.parametrize("media_type", [FOREIGN, NONDISTRIBUTABLE])
def test_a_layer_that_nobody_may_distribute_is_foreign_if_it_says_where_it_is(media_type: str) -> None:
    listed = (entry(media_type, b"w", urls=["https://x.test/w"]), entry(media_type, b"v"))
    _, foreign, ours = layout.links(manifest(*listed), OCI_MANIFEST).blobs
    assert (foreign.is_foreign, foreign.urls) == (True, ("https://x.test/w",))
    assert not ours.is_foreign


def test_an_ordinary_layer_with_urls_is_ordinary() -> None:
    found = layout.links(manifest(entry(ZSTD, b"l", urls=["https://x.test/l"])), OCI_MANIFEST)
    assert not found.blobs[1].is_foreign


def test_data_must_be_the_content() -> None:
    good = base64.b64encode(b"{}").decode()
    assert layout.links(manifest(entry("x/y", b"{}", data=good)), OCI_MANIFEST).blobs
    other = base64.b64encode(b"[]").decode()
    with pytest.raises(DigestMismatchError):
        layout.links(manifest(entry("x/y", b"{}", data=other)), OCI_MANIFEST)
    for wrong in ("%%", 5, "e30"):
        with pytest.raises(MetadataError):
            layout.links(manifest(entry("x/y", b"{}", data=wrong)), OCI_MANIFEST)


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": "md5:1"},
        {"digest": "sha256:" + "A" * 64},
        {"size": -1},
        {"size": True},
        {"size": 1.0},
        {"mediaType": None},
        {"urls": "https://x.test"},
        {"urls": [1]},
        {"annotations": []},
        {"annotations": {"a": 1}},
    ],
)
def test_a_descriptor_is_read_strictly(wrong: dict[str, object]) -> None:
    with pytest.raises(MetadataError):
        layout.links(manifest({**entry("x/y", b""), **wrong}), OCI_MANIFEST)


def test_content_is_checked_by_digest_and_size() -> None:
    wanted = layout.of(b"content", "x/y")
    assert wanted.check(b"content") == b"content"
    with pytest.raises(DigestMismatchError) as caught:
        wanted.check(b"other")
    assert caught.value.facts["expected"] == wanted.digest
    with pytest.raises(DigestMismatchError):
        Descriptor("x/y", wanted.digest, 8).check(b"content")


def test_other_algorithms_are_checked_too() -> None:
    digest = layout.digest_like("sha512:", b"content")
    assert Descriptor("x/y", digest, 7).check(b"content")
    with pytest.raises(DigestMismatchError):
        Descriptor("x/y", digest, 7).check(b"conteNt")


def test_the_index_of_a_layout() -> None:
    listed = entry(OCI_MANIFEST, b"m", annotations={layout.NAME: "1"})
    (found,) = layout.read_index(compact({"schemaVersion": 2, "manifests": [listed]}))
    assert (found.name, found.size) == ("1", 1)
    for wrong in (b"", b"[]", b"{}", compact({"schemaVersion": 2}), compact({"manifests": []})):
        with pytest.raises(MetadataError, match="not an OCI image layout"):
            layout.read_index(wrong)
    assert layout.read_index(compact({"schemaVersion": 2, "manifests": [listed, listed]})) == (found, found)
    assert layout.read_index(compact({"schemaVersion": 2, "manifests": None})) == ()


def test_a_name_of_several_images_is_not_given_to_another_one() -> None:
    listed = [entry(OCI_MANIFEST, data, annotations={layout.NAME: "1"}) for data in (b"m", b"n", b"m")]
    old = compact({"schemaVersion": 2, "manifests": listed})
    new = layout.of(b"o", OCI_MANIFEST)
    with pytest.raises(AlreadyExistsError, match="the name cannot be given"):
        layout.with_entry(old, new, "1")
    assert len(layout.read_index(layout.with_entry(old, new, "2"))) == 4
    same = compact({"schemaVersion": 2, "manifests": [listed[0], listed[2]]})
    assert [each.digest for each in layout.read_index(layout.with_entry(same, new, "1"))] == [new.digest]
    assert (
        len(layout.read_index(layout.with_entry(compact({"schemaVersion": 2, "manifests": None}), new, "1")))
        == 1
    )


def test_the_version_of_a_layout() -> None:
    layout.check_layout(layout.LAYOUT_TEXT)
    layout.check_layout(b'{"imageLayoutVersion": "1.1.0"}')
    for wrong in (b"", b"{}", b"[]", b'{"imageLayoutVersion": 1}', b'{"imageLayoutVersion": "2.0.0"}'):
        with pytest.raises(MetadataError, match="not an OCI image layout"):
            layout.check_layout(wrong)


def test_a_new_entry_keeps_the_others_as_they_are() -> None:
    other = entry(OCI_MANIFEST, b"m", annotations={layout.NAME: "old", "x": "y"}, unknown=[1])
    old = compact({"schemaVersion": 2, "manifests": [other], "annotations": {"a": "b"}})
    new = json.loads(layout.with_entry(old, layout.of(b"n", OCI_MANIFEST), "new"))
    assert new["manifests"][0] == other
    assert new["annotations"] == {"a": "b"}
    assert new["manifests"][1] == entry(OCI_MANIFEST, b"n", annotations={layout.NAME: "new"})
    again = json.loads(layout.with_entry(compact(new), layout.of(b"o", OCI_MANIFEST), "old"))
    assert [each["digest"] for each in again["manifests"]] == [layouts.digest(b"n"), layouts.digest(b"o")]
    with pytest.raises(MetadataError):
        layout.with_entry(b"{}", layout.of(b"o", OCI_MANIFEST), "old")


def test_where_containerd_says_a_blob_is_from() -> None:
    noted = {"containerd.io/distribution.source.r.test": "a/b,c"}
    found = Descriptor("x/y", layouts.digest(b""), 0, annotations=noted)
    assert found.origins("r.test") == ("a/b", "c")
    assert found.origins("other.test") == ()


@pytest.mark.parametrize(
    ("noted", "origins"),
    [
        ("a&digest=sha256:1,b", ("b",)),
        ("a:pull repository:b,../c,/d,A,e__f", ("e__f",)),
        (",".join(["a"] * 100_000), ("a",) * 4),
        ("a" * 300, ()),
    ],
)
def test_where_anybody_says_a_blob_is_from(noted: str, origins: tuple[str, ...]) -> None:
    noted_at = {"containerd.io/distribution.source.r.test": noted}
    assert Descriptor("x/y", layouts.digest(b""), 0, annotations=noted_at).origins("r.test") == origins
