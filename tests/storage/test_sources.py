from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.devserver import sample
from notarypy.errors import (
    DigestMismatchError,
    InvalidNameError,
    MetadataError,
    StorageError,
    UsageError,
    VerificationError,
)
from notarypy.storage.images import locations
from support import layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.images.layout import Descriptor
    from notarypy.storage.images.locations import OpenedImage

IMAGE = sample.make("an image", ["amd64"])
FULL_NAME = "io.containerd.image.name"
BASE, TOP = b"the base layer" * 100, b"the layer above"


def opened(text: str) -> OpenedImage:
    return locations.open_source(locations.source(text))


def content(found: OpenedImage, blob: Descriptor) -> bytes:
    return b"".join(found.content.chunks(blob, 0))


def check(found: OpenedImage) -> None:
    """Every blob of the image is where it is said to be."""
    for blob in found.tree.blobs:
        blob.check(content(found, blob))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:a/b", ("oci", "a/b", None)),
        ("oci:/a:1", ("oci", "/a", "1")),
        ("oci-archive:a.tar:v1.0", ("oci-archive", "a.tar", "v1.0")),
        ("docker-archive:a.tar", ("docker-archive", "a.tar", None)),
        ("docker-archive:a.tar:r.test:5000/a:1", ("docker-archive", "a.tar", "r.test:5000/a:1")),
    ],
)
def test_a_source_is_kind_path_and_name(text: str, expected: tuple[str, str, str | None]) -> None:
    place = locations.source(text)
    assert (place.kind, str(place.path), place.name) == expected
    assert str(place) == text


@pytest.mark.parametrize(
    "text", ["", "oci", "oci:", "a.tar", "dir:a", "docker://a", "oci:a:", "oci:a: b", "OCI:a"]
)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        locations.source(text)
    assert caught.value.exit_code == 2


def test_a_destination_is_a_layout() -> None:
    assert locations.destination("oci-archive:x.tar:1").path == Path("x.tar")
    with pytest.raises(InvalidNameError, match="is no DEST"):
        locations.destination("docker-archive:x.tar")


@pytest.mark.parametrize("made", [IMAGE, sample.make("an index"), layouts.image(b"", b"layer")])
def test_a_layout_in_a_directory_and_in_an_archive(tmp_path: Path, made: sample.Sample) -> None:
    layouts.layout(tmp_path / "dir", made)
    layouts.archive(tmp_path / "a.tar", layouts.files(made, "1", "2"))
    for text in (f"oci:{tmp_path}/dir", f"oci:{tmp_path}/dir:1", f"oci-archive:{tmp_path}/a.tar:2"):
        found = opened(text)
        assert found.tree.top.descriptor.digest == made.digest
        check(found)


def test_blobs_may_be_links_in_a_directory(tmp_path: Path) -> None:
    directory = layouts.layout(tmp_path / "dir", IMAGE)
    for blob in (directory / "blobs" / "sha256").iterdir():
        blob.rename(tmp_path / blob.name)
        blob.symlink_to(tmp_path / blob.name)
    check(opened(f"oci:{directory}"))


def test_blobs_are_no_links_in_an_archive_of_a_layout(tmp_path: Path) -> None:
    contents = layouts.files(IMAGE, "1")
    name = f"blobs/{IMAGE.digest.replace(':', '/')}"
    contents["elsewhere"] = contents.pop(name)
    layouts.archive(tmp_path / "a.tar", contents, {name: "../../elsewhere"})
    with pytest.raises(StorageError, match="does not hold all of the image"):
        opened(f"oci-archive:{tmp_path}/a.tar")


def test_it_must_be_clear_which_image_is_meant(tmp_path: Path) -> None:
    other = OTHER
    layouts.directory(tmp_path / "dir", indexed((IMAGE, "1", None), (other, "2", None)))
    assert opened(f"oci:{tmp_path}/dir:2").tree.top.descriptor.digest == other.digest
    with pytest.raises(UsageError, match="has not exactly one image") as caught:
        opened(f"oci:{tmp_path}/dir")
    assert caught.value.why == ("it has 2", f"@0 {IMAGE.digest} 1", f"@1 {other.digest} 2")
    assert "SOURCE:@NUMBER" in advice(caught.value)
    with pytest.raises(UsageError, match='has no image "3"'):
        opened(f"oci:{tmp_path}/dir:3")


OTHER = sample.make("another", ["amd64"])


def indexed(*entries: tuple[sample.Sample, str | None, str | None]) -> dict[str, bytes]:
    """Return the files of a layout of images with a name and a full name each, as containerd writes them."""
    found: dict[str, bytes] = {}
    listed = []
    for made, name, full in entries:
        notes = {layouts.NAME: name, FULL_NAME: full}
        kept = {key: value for key, value in notes.items() if value is not None}
        found |= layouts.files(made)
        listed.append(layouts.entry(made.media_type, made.top, annotations=kept))
    return found | {"index.json": layouts.compact({"schemaVersion": 2, "manifests": listed})}


def test_entries_without_names_have_a_place_and_a_digest(tmp_path: Path) -> None:
    layouts.directory(tmp_path / "dir", indexed((IMAGE, None, None), (OTHER, None, None)))
    for made, place in ((IMAGE, 0), (OTHER, 1)):
        for name in (f"@{place}", f"@{made.digest}", made.digest):
            assert opened(f"oci:{tmp_path}/dir:{name}").tree.top.descriptor.digest == made.digest
    for name in ("@2", "@01", f"@{layouts.digest(b'')}"):
        with pytest.raises(UsageError, match="has no image") as caught:
            opened(f"oci:{tmp_path}/dir:{name}")
        assert f"@1 {OTHER.digest}" in caught.value.why


@pytest.mark.parametrize("name", ["@", "@x", "@-1", "@0:1", "@sha256:00", "a b"])
def test_what_is_no_choice(name: str) -> None:
    with pytest.raises(InvalidNameError):
        locations.source(f"oci:dir:{name}")
    with pytest.raises(InvalidNameError):
        locations.destination("oci:dir:@0")


def test_an_image_without_layers_as_buildkit_writes_it(tmp_path: Path) -> None:
    made = layouts.image()
    made = replace(made, top=made.top.replace(b'"layers":[]', b'"layers":null'))
    layouts.layout(tmp_path / "dir", made)
    assert opened(f"oci:{tmp_path}/dir").tree.top.descriptor.digest == made.digest


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_two_images_with_one_tag(tmp_path: Path, kind: str) -> None:
    """containerd, and what is made with it, writes the tag alone where a layout has its names."""
    contents = indexed(
        (IMAGE, "latest", "docker.io/library/app:latest"), (OTHER, "latest", "r.test/db:latest")
    )
    layouts.archive(tmp_path / "a.tar", contents)
    for name, made in (("app", IMAGE), ("docker.io/library/app:latest", IMAGE), ("r.test/db:latest", OTHER)):
        assert opened(f"{kind}:{tmp_path}/a.tar:{name}").tree.top.descriptor.digest == made.digest
    for name in ("", ":latest", ":other/app"):
        with pytest.raises(UsageError) as caught:
            opened(f"{kind}:{tmp_path}/a.tar{name}")
        assert f"@0 {IMAGE.digest} latest docker.io/library/app:latest" in caught.value.why


def test_one_image_with_one_tag_in_two_repositories(tmp_path: Path) -> None:
    contents = indexed((IMAGE, "1", "docker.io/o/app:1"), (IMAGE, "1", "ghcr.io/o/app:1"))
    layouts.archive(tmp_path / "a.tar", contents)
    for text in ("oci-archive:{}", "oci-archive:{}:1", "docker-archive:{}", "docker-archive:{}:o/app:1"):
        assert opened(text.format(tmp_path / "a.tar")).tree.top.descriptor.digest == IMAGE.digest


def test_a_name_that_two_images_claim(tmp_path: Path) -> None:
    """One by the name of the layout, the other one by that of containerd."""
    layouts.archive(
        tmp_path / "a.tar", indexed((IMAGE, "app:1", None), (OTHER, "1", "docker.io/library/app:1"))
    )
    with pytest.raises(UsageError, match='several images "app:1"'):
        opened(f"oci-archive:{tmp_path}/a.tar:app:1")


def test_one_digest_as_two_kinds_of_thing(tmp_path: Path) -> None:
    contents = indexed((IMAGE, "1", None), (IMAGE, "1", None))
    index = json.loads(contents["index.json"])
    index["manifests"][1]["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    layouts.archive(tmp_path / "a.tar", contents | {"index.json": layouts.compact(index)})
    with pytest.raises(UsageError, match="several images"):
        opened(f"oci-archive:{tmp_path}/a.tar:1")


def test_what_is_no_layout(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for text in (f"oci:{tmp_path}", f"oci:{tmp_path}/none", f"oci-archive:{tmp_path}/file"):
        with pytest.raises(StorageError, match="is not an OCI image layout"):
            opened(text)
    contents = layouts.files(IMAGE, "1") | {"oci-layout": b'{"imageLayoutVersion": "2.0"}'}
    with pytest.raises(MetadataError, match="dir cannot be used"):
        opened(f"oci:{layouts.directory(tmp_path / 'dir', contents)}")


def test_manifests_are_checked_when_a_source_is_opened(tmp_path: Path) -> None:
    made = sample.make("an index")
    directory = layouts.layout(tmp_path / "dir", made)
    child = directory / "blobs" / layouts.digest(made.manifests[1]).replace(":", "/")
    child.write_bytes(made.manifests[1] + b"\n")
    with pytest.raises(DigestMismatchError, match="dir cannot be used") as caught:
        opened(f"oci:{directory}")
    assert f"read last: {child}" in caught.value.why
    assert "make it anew" in advice(caught.value)
    child.unlink()
    with pytest.raises(StorageError, match="does not hold all of the image"):
        opened(f"oci:{directory}")


# -- docker archives


def docker(
    path: Path, contents: dict[str, bytes], links: dict[str, str] | None = None, name: str = ""
) -> OpenedImage:
    layouts.archive(path / "saved.tar", contents, links)
    return opened(f"docker-archive:{path}/saved.tar{name and ':'}{name}")


def test_what_docker_saved(tmp_path: Path) -> None:
    found = docker(tmp_path, layouts.saved([BASE, TOP]))
    config, *layers = found.tree.blobs
    assert [(layer.media_type, layer.digest) for layer in layers] == [
        (layouts.OCI_LAYER, layouts.digest(BASE)),
        (layouts.OCI_LAYER, layouts.digest(TOP)),
    ]
    assert config.media_type == layouts.OCI_CONFIG
    check(found)
    again = docker(tmp_path, layouts.saved([BASE, TOP]))
    assert again.tree.top == found.tree.top


def test_layers_are_those_of_the_configuration(tmp_path: Path) -> None:
    contents = layouts.saved([BASE, TOP])
    first, second = (name for name in contents if name.endswith("/layer.tar"))
    contents[first], contents[second] = contents[second], contents[first]
    with pytest.raises(DigestMismatchError) as caught:
        opened(f"docker-archive:{layouts.archive(tmp_path / 'a.tar', contents)}")
    assert "a.tar" in caught.value.message
    assert any(first in line for line in caught.value.why)


def test_a_manifest_that_says_two_things_is_named(tmp_path: Path) -> None:
    made = layouts.image(b"layer")
    contents = layouts.files(made, "1")
    contents["index.json"] = contents["index.json"].replace(
        sample.MANIFEST.encode(), b"application/vnd.docker.distribution.manifest.v2+json"
    )
    with pytest.raises(VerificationError) as caught:
        opened(f"oci:{layouts.directory(tmp_path / 'dir', contents)}")
    assert str(tmp_path / "dir") in caught.value.message
    assert "registry" not in " ".join((caught.value.message, *caught.value.why, advice(caught.value)))


def test_a_layer_that_is_there_twice_is_a_link(tmp_path: Path) -> None:
    contents = layouts.saved([BASE, BASE])
    names = json.loads(contents["manifest.json"])[0]["Layers"]
    del contents[names[1]]
    found = docker(tmp_path, contents, {names[1]: f"../{names[0]}"})
    assert len(found.tree.blobs) == 2
    check(found)


def test_a_compressed_layer_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is named: a small archive cannot make for endless work."""
    contents = layouts.saved([BASE] * 50)
    names = json.loads(contents["manifest.json"])[0]["Layers"]
    first, *others = dict.fromkeys(names)
    looks, begin = [], zlib.decompressobj

    def counted(wbits: int) -> object:
        looks.append(wbits)
        return begin(wbits)

    monkeypatch.setattr("zlib.decompressobj", counted)
    kept = {name: data for name, data in contents.items() if name not in others}
    found = docker(tmp_path, kept | {first: gzip.compress(BASE)}, dict.fromkeys(others, f"../{first}"))
    assert (len(looks), len(found.tree.blobs)) == (1, 2)


def test_compressed_layers_stay_compressed(tmp_path: Path) -> None:
    contents = layouts.saved([BASE, TOP])
    names = json.loads(contents["manifest.json"])[0]["Layers"]
    packed = gzip.compress(BASE[:50], mtime=0) + gzip.compress(BASE[50:], mtime=0)
    found = docker(tmp_path, contents | {names[0]: packed})
    assert found.tree.blobs[1].media_type == f"{layouts.OCI_LAYER}+gzip"
    assert found.tree.blobs[1].digest == layouts.digest(packed)
    check(found)
    for wrong in (gzip.compress(b"other"), packed[:-9], gzip.compress(BASE) + b"rest"):
        with pytest.raises((DigestMismatchError, MetadataError)):
            docker(tmp_path, contents | {names[0]: wrong})
    with pytest.raises(MetadataError) as caught:
        docker(tmp_path, contents | {names[0]: b"\x28\xb5\x2f\xfdzstd"})
    assert "compressed with zstd" in caught.value.why[0]


def test_an_image_by_its_name(tmp_path: Path) -> None:
    one, other = layouts.saved([BASE], ["app:1", "r.test/x:2"]), layouts.saved([TOP], ["app:2"])
    listed = [json.loads(each["manifest.json"])[0] for each in (one, other)]
    listed[1]["Layers"] = ["second/layer.tar"]
    contents = {**one, **{name: data for name, data in other.items() if name.endswith(".json")}}
    contents |= {"second/layer.tar": TOP, "manifest.json": layouts.compact(listed)}
    for name in ("app:1", "docker.io/library/app:1", "r.test/x:2"):
        assert docker(tmp_path, contents, name=name).tree.blobs[1].digest == layouts.digest(BASE)
    assert docker(tmp_path, contents, name="app:2").tree.blobs[1].digest == layouts.digest(TOP)
    with pytest.raises(UsageError, match="not exactly one image") as caught:
        docker(tmp_path, contents)
    assert caught.value.why == ("it has 2", "@0 app:1 r.test/x:2", "@1 app:2")
    assert docker(tmp_path, contents, name="@1").tree.blobs[1].digest == layouts.digest(TOP)
    with pytest.raises(UsageError, match='no image "app"'):
        docker(tmp_path, contents, name="app")


def broken(what: str) -> dict[str, bytes]:
    """Return an archive in which one thing is wrong."""
    contents = layouts.saved([BASE, TOP])
    (entry,) = json.loads(contents["manifest.json"])
    if what == "list":
        return {"manifest.json": b"{}"}
    if what == "no list":
        return {}
    if what == "no config":
        del contents[entry["Config"]]
    if what == "other config":
        contents[entry["Config"]] = b'{"rootfs": {"diff_ids": []}}'
    if what == "no layer":
        del contents[entry["Layers"][0]]
    if what == "fewer layers":
        entry["Layers"].pop()
    if what == "layers":
        entry["Layers"] = [1, 2]
    if what == "digests":
        data = b'{"rootfs": {"diff_ids": ["md5:1", "md5:2"]}}'
        entry["Config"] = f"{layouts.digest(data).removeprefix('sha256:')}.json"
        contents[entry["Config"]] = data
    return contents | {"manifest.json": layouts.compact([entry])}


@pytest.mark.parametrize(
    "what", ["list", "no list", "no config", "no layer", "fewer layers", "layers", "digests"]
)
def test_archives_that_lack_something(tmp_path: Path, what: str) -> None:
    with pytest.raises(MetadataError, match="is not a usable archive"):
        docker(tmp_path, broken(what))


def test_a_configuration_has_the_digest_of_its_name(tmp_path: Path) -> None:
    with pytest.raises(DigestMismatchError):
        docker(tmp_path, broken("other config"))


def newer(*left_out: bytes, names: Sequence[str] = ("app:1",), base: bytes = BASE) -> dict[str, bytes]:
    """Return what docker saves now: a layout, and the older list beside it."""
    config = layouts.compact({"os": "linux", "rootfs": {"diff_ids": [layouts.digest(base)]}})
    made = layouts.image(base, config=config)
    full: list[tuple[sample.Sample, str | None, str | None]]
    full = [(made, name.partition(":")[2], f"docker.io/library/{name}") for name in names]
    contents = indexed(*full or [(made, None, None)])
    inner = [f"blobs/{layouts.digest(data).replace(':', '/')}" for data in (config, base)]
    listed = {"Config": inner[0], "RepoTags": list(names) or None, "Layers": inner[1:]}
    absent = {f"blobs/{layouts.digest(data).replace(':', '/')}" for data in left_out}
    contents["manifest.json"] = layouts.compact([listed])
    return {name: data for name, data in contents.items() if name not in absent}


def both(one: dict[str, bytes], other: dict[str, bytes]) -> dict[str, bytes]:
    """Return what docker saves of two images."""
    lists = [json.loads(each["manifest.json"]) for each in (one, other)]
    index, more = (json.loads(each["index.json"]) for each in (one, other))
    index["manifests"] += more["manifests"]
    merged = {"index.json": layouts.compact(index), "manifest.json": layouts.compact(lists[0] + lists[1])}
    return {**one, **other, **merged}


def top_of(contents: dict[str, bytes]) -> str:
    digest: str = json.loads(contents["index.json"])["manifests"][0]["digest"]
    return digest


def test_a_docker_archive_with_a_layout_is_that_layout(tmp_path: Path) -> None:
    for name in ("", "app:1", "@0", f"@{top_of(newer())}"):
        found = docker(tmp_path, newer(), name=name)
        assert (found.tree.top.descriptor.digest, found.notes) == (top_of(newer()), ())
        check(found)


@pytest.mark.parametrize("name", ["", "app:1", "@0"])
def test_where_the_layout_lacks_something_the_list_counts(tmp_path: Path, name: str) -> None:
    contents = newer()
    del contents[f"blobs/{top_of(contents).replace(':', '/')}"]
    found = docker(tmp_path, contents, name=name)
    assert "is not complete" in found.notes[0]
    check(found)


def test_a_layout_that_names_nothing(tmp_path: Path) -> None:
    """docker 25.0 wrote null for what was saved by digest; and null is how Go writes a list without items."""
    contents = newer(names=()) | {"index.json": b'{"schemaVersion":2,"manifests":null}'}
    found = docker(tmp_path, contents)
    assert "does not have the image" in found.notes[0]
    check(found)
    bare = layouts.saved([])
    (entry,) = json.loads(bare["manifest.json"])
    config = b'{"os": "linux", "rootfs": {"type": "layers", "diff_ids": null}}'
    entry |= {"Config": "config.json", "Layers": None, "RepoTags": None}
    contents = {"config.json": config, "manifest.json": layouts.compact([entry])}
    assert [blob.digest for blob in docker(tmp_path, contents).tree.blobs] == [layouts.digest(config)]
    with pytest.raises(UsageError, match="has not exactly one image"):
        docker(tmp_path, {"manifest.json": b"null"})


def test_two_images_that_docker_saved(tmp_path: Path) -> None:
    one, other = newer(names=("app:1", "r:1")), newer(names=("db:1",), base=TOP)
    for name, made in (("app:1", one), ("r:1", one), ("db:1", other), ("@0", one), ("@1", other)):
        found = docker(tmp_path, both(one, other), name=name)
        assert (found.tree.top.descriptor.digest, found.notes) == (top_of(made), ())
        check(found)
    for name in ("", "none:1", "@2"):
        with pytest.raises(UsageError) as caught:
            docker(tmp_path, both(one, other), name=name)
        assert caught.value.why == ("it has 2", "@0 app:1 r:1", "@1 db:1")


def test_images_without_names_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    one, other = newer(names=()), newer(names=(), base=TOP)
    with pytest.raises(UsageError) as caught:
        docker(tmp_path, both(one, other))
    ids = [json.loads(each["manifest.json"])[0]["Config"].rpartition("/")[2] for each in (one, other)]
    assert caught.value.why[1:] == tuple(f"@{n} image id sha256:{each}" for n, each in enumerate(ids))


def test_an_image_without_a_name_beside_one_that_has_some(tmp_path: Path) -> None:
    """docker leaves it out of the layout; the list has it."""
    one, other = newer(), newer(names=(), base=TOP)
    contents = both(one, other) | {"index.json": one["index.json"]}
    found = docker(tmp_path, contents, name="@1")
    assert (found.tree.blobs[1].digest, len(found.notes)) == (layouts.digest(TOP), 1)
    assert docker(tmp_path, contents, name="@0").tree.top.descriptor.digest == top_of(one)
    with pytest.raises(UsageError, match="not exactly one image"):
        docker(tmp_path, contents)
    alone = contents | {"manifest.json": other["manifest.json"]}
    with pytest.raises(VerificationError, match="two things"):
        docker(tmp_path, alone)


@pytest.mark.parametrize("name", ["", "app:1", "@0"])
def test_a_layout_and_a_list_that_name_different_images(tmp_path: Path, name: str) -> None:
    """docker loads the one or the other, by its store: neither is pushed as if it were clear."""
    one, other = newer(), newer(base=TOP)
    with pytest.raises(VerificationError, match="says two things of") as caught:
        docker(tmp_path, {**one, **other, "index.json": one["index.json"]}, name=name)
    assert top_of(one) in caught.value.why[0]
    for name_ in (top_of(one), f"@{top_of(one)}"):
        found = docker(tmp_path, {**one, **other, "index.json": one["index.json"]}, name=name_)
        assert found.tree.top.descriptor.digest == top_of(one)


def test_a_name_that_only_one_of_them_has(tmp_path: Path) -> None:
    one, other = newer(), newer(names=("db:1",), base=TOP)
    contents = {**one, **other, "index.json": one["index.json"]}
    assert docker(tmp_path, contents, name="app:1").tree.top.descriptor.digest == top_of(one)
    found = docker(tmp_path, contents, name="db:1")
    assert found.tree.blobs[1].digest == layouts.digest(TOP)
    assert [note.partition(" does not have ")[2] for note in found.notes] == [
        "db:1: the image is taken from its manifest.json"
    ]


@pytest.mark.parametrize("name", ["", ":1", ":docker.io/library/app:1", ":@0"])
def test_an_oci_archive_whose_list_names_another_image(tmp_path: Path, name: str) -> None:
    """docker would load the one, and podman the other."""
    one, other = newer(), newer(base=TOP)
    archive = layouts.archive(tmp_path / "a.tar", {**one, **other, "index.json": one["index.json"]})
    with pytest.raises(VerificationError, match="says two things of") as caught:
        opened(f"oci-archive:{archive}{name}")
    assert top_of(one) in caught.value.why[0]
    found = opened(f"oci-archive:{archive}:@{top_of(one)}")
    assert found.tree.top.descriptor.digest == top_of(one)
    whole = layouts.archive(tmp_path / "b.tar", both(one, newer(names=("db:1",), base=TOP)))
    assert opened(f"oci-archive:{whole}:@0").tree.top.descriptor.digest == top_of(one)


def test_a_platform_in_the_list_and_an_index_in_the_layout(tmp_path: Path) -> None:
    made = sample.make("an index")
    configs = [json.loads(data)["config"]["digest"] for data in made.manifests]
    contents = indexed((made, "1", "docker.io/library/app:1"))
    for config in configs:
        name = f"blobs/{config.replace(':', '/')}"
        listed = [{"Config": name, "RepoTags": ["app:1"], "Layers": ["not looked at"]}]
        found = docker(tmp_path, contents | {"manifest.json": layouts.compact(listed)})
        assert found.tree.top.descriptor.digest == made.digest
    other = layouts.saved([BASE])
    with pytest.raises(VerificationError, match="two things"):
        docker(tmp_path, contents | other)


REAL = Path(__file__).parents[2] / "fixtures" / "archives"
EXPECTED = json.loads((REAL / "expected.json").read_text())
IDS = EXPECTED.pop("ids")


@pytest.mark.parametrize("file", EXPECTED)
def test_what_real_programs_wrote(file: str) -> None:
    """An image's id is the digest of its configuration, whichever program wrote it down."""
    named = EXPECTED[file]
    for name, image in named.items():
        found = opened(f"docker-archive:{REAL}/{file}:{name}")
        assert (found.tree.blobs[0].digest, found.notes) == (IDS[image], ())
        check(found)
        if not file.startswith("podman"):
            same = opened(f"oci-archive:{REAL}/{file}:{name}")
            assert same.tree.top == found.tree.top
    if len(set(named.values())) > 1:
        with pytest.raises(UsageError, match="not exactly one image"):
            opened(f"docker-archive:{REAL}/{file}")
    else:
        assert opened(f"docker-archive:{REAL}/{file}").tree.blobs[0].digest == IDS[image]


def test_the_same_image_twice_in_the_list(tmp_path: Path) -> None:
    contents = layouts.saved([BASE])
    listed = json.loads(contents["manifest.json"])
    contents["manifest.json"] = layouts.compact([*listed, {**listed[0], "RepoTags": ["other:1"]}])
    for name in ("", "app:1", "other:1"):
        check(docker(tmp_path, contents, name=name))
