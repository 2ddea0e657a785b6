from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.devserver import sample
from notarypy.errors import DigestMismatchError, MetadataError, UsageError, VerificationError
from notarypy.images import layout, manifests, tree
from notarypy.limits import DEFAULT, Limits
from support import layouts
from support.layouts import compact, entry

if TYPE_CHECKING:
    from notarypy.images.layout import Descriptor

INDEX, MANIFEST = manifests.OCI_INDEX, manifests.OCI_MANIFEST


class Contents:
    """Manifests by digest, counting how often each is read."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {layouts.digest(data): data for data in contents}
        self.asked: list[str] = []

    def read(self, descriptor: Descriptor) -> bytes:
        self.asked.append(descriptor.digest)
        return self.contents[descriptor.digest]


def index(*entries: dict[str, object]) -> bytes:
    return compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})


def test_an_index_with_everything_below_it() -> None:
    made = sample.make("text", ["amd64", "arm64"])
    found = tree.grow(layout.of(made.top, INDEX), Contents(made.top, *made.manifests).read)
    assert found.top.data == made.top
    assert [node.data for node in found.below] == list(made.manifests)
    assert found.platforms == ("linux/amd64", "linux/arm64")
    assert {blob.digest for blob in found.blobs} == {layouts.digest(blob) for blob in made.blobs}
    assert found.size == sum(blob.size for blob in found.blobs)


def test_what_is_named_twice_is_there_once() -> None:
    image = layouts.image(b"same", b"same")
    once = entry(MANIFEST, image.top)
    top = index(once, {**once, "platform": {"os": "linux", "architecture": "s390x"}})
    contents = Contents(top, image.top)
    found = tree.grow(layout.of(top, INDEX), contents.read)
    assert len(found.below) == 1
    assert len(found.blobs) == 2
    assert len(contents.asked) == len(set(contents.asked))


def test_children_come_before_what_names_them() -> None:
    image = layouts.image(b"layer")
    inner = index(entry(MANIFEST, image.top))
    outer = index(entry(INDEX, inner))
    found = tree.grow(layout.of(outer, INDEX), Contents(outer, inner, image.top).read)
    assert [node.data for node in found.below] == [image.top, inner]


def test_platforms_of_nested_indexes_count() -> None:
    arm, intel = layouts.image(b"arm").top, layouts.image(b"intel").top
    inner = index(entry(MANIFEST, arm, platform={"os": "linux", "architecture": "arm64"}))
    outer = index(
        entry(MANIFEST, intel, platform={"os": "linux", "architecture": "amd64"}), entry(INDEX, inner)
    )
    found = tree.grow(layout.of(outer, INDEX), Contents(outer, inner, arm, intel).read)
    assert found.platforms == ("linux/amd64", "linux/arm64")


def test_every_manifest_is_checked() -> None:
    image = layouts.image(b"layer")
    top = index(entry(MANIFEST, image.top))
    contents = Contents(top, image.top)
    contents.contents[layouts.digest(image.top)] = image.top + b" "
    with pytest.raises(DigestMismatchError):
        tree.grow(layout.of(top, INDEX), contents.read)
    wrong_size = index({**entry(MANIFEST, image.top), "size": 5})
    with pytest.raises(DigestMismatchError):
        tree.grow(layout.of(wrong_size, INDEX), Contents(wrong_size, image.top).read)


def test_a_child_is_of_the_kind_that_its_index_says() -> None:
    image = layouts.image(b"layer")
    top = index(entry(INDEX, image.top))
    with pytest.raises(VerificationError):
        tree.grow(layout.of(top, INDEX), Contents(top, image.top).read)


def test_the_top_is_something_that_can_be_signed() -> None:
    data = compact({"schemaVersion": 2, "mediaType": layout.ARTIFACT, "blobs": []})
    with pytest.raises(VerificationError, match="can be signed"):
        tree.grow(layout.of(data, layout.ARTIFACT), Contents(data).read)


def test_an_artifact_below_is_taken_as_it_is() -> None:
    data = compact({"mediaType": layout.ARTIFACT, "blobs": [entry("x/sbom", b"{}")]})
    top = index(entry(layout.ARTIFACT, data))
    found = tree.grow(layout.of(top, INDEX), Contents(top, data).read)
    assert found.below[0].data == data
    assert [blob.media_type for blob in found.blobs] == ["x/sbom"]


def test_nesting_has_an_end() -> None:
    data = layouts.image(b"layer").top
    kind, contents = MANIFEST, [data]
    for _ in range(DEFAULT.index_levels):
        data, kind = index(entry(kind, data)), INDEX
        contents.append(data)
    assert tree.grow(layout.of(data, kind), Contents(*contents).read)
    data = index(entry(kind, data))
    with pytest.raises(MetadataError, match="beyond the limits"):
        tree.grow(layout.of(data, kind), Contents(*contents, data).read)


def test_number_and_size_have_limits() -> None:
    made = sample.make("text", ["amd64", "arm64"])
    contents, top = Contents(made.top, *made.manifests), layout.of(made.top, INDEX)
    for limits in (
        Limits(image_manifests=1),
        Limits(image_blobs=2),
        Limits(image_manifests_bytes=len(made.top)),
    ):
        with pytest.raises(MetadataError, match="beyond the limits"):
            tree.grow(top, contents.read, limits)
    huge = index({**entry(MANIFEST, made.top), "size": DEFAULT.manifest_bytes + 1})
    with pytest.raises(MetadataError, match="beyond the limits"):
        tree.grow(layout.of(huge, INDEX), Contents(huge, made.top).read)


def test_the_same_content_is_named_in_one_way() -> None:
    image = layouts.image(b"layer")
    broken = layouts.compact(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": entry("x/y", b"layer"),
            "layers": [{**entry("x/y", b"layer"), "size": 6}],
        }
    )
    with pytest.raises(MetadataError, match="in two ways"):
        tree.grow(layout.of(broken, MANIFEST), Contents(broken).read)
    docker = {**entry(manifests.DOCKER_MANIFEST, image.top)}
    top = index(entry(MANIFEST, image.top), docker)
    with pytest.raises(MetadataError, match="in two ways"):
        tree.grow(layout.of(top, INDEX), Contents(top, image.top).read)


def test_manifests_below_an_index_are_listed_once_and_indexes_alone_are_read() -> None:
    image, attested = layouts.image(b"layer").top, layouts.image(b"attested").top
    attestation = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    level = index(*[entry(MANIFEST, image)] * 3, {**entry(MANIFEST, attested), **attestation})
    contents = Contents(level)
    for _ in range(DEFAULT.index_levels):
        level = index(*[entry(INDEX, level)] * 30, entry(MANIFEST, image))
        contents.contents[layouts.digest(level)] = level
    found = tree.listed(layout.of(level, INDEX), level, contents.read)
    assert [one.digest for one in found].count(layouts.digest(image)) == 1
    assert len(found) == DEFAULT.index_levels + 1
    assert len(contents.asked) == DEFAULT.index_levels
    above = index(entry(INDEX, level))
    contents.contents[layouts.digest(level)] = level
    with pytest.raises(MetadataError, match="beyond the limits"):
        tree.listed(layout.of(above, INDEX), above, contents.read)


def test_what_is_listed_below_an_index_is_limited_and_named_in_one_way() -> None:
    few = Limits(image_manifests=3)
    many = index(*(entry(MANIFEST, layouts.image(b"%d" % number).top) for number in range(3)))
    with pytest.raises(MetadataError, match="beyond the limits"):
        tree.listed(layout.of(many, INDEX), many, Contents().read, few)
    one = entry(MANIFEST, layouts.image(b"one").top)
    for other in ({**one, "size": 1}, {**one, "mediaType": INDEX}):
        both = index(one, other)
        with pytest.raises(MetadataError, match="in two ways"):
            tree.listed(layout.of(both, INDEX), both, Contents().read)


def test_foreign_layers_are_set_apart_unless_they_are_ours_elsewhere() -> None:
    foreign = entry(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"w", urls=["https://x.test"]
    )
    plain = entry(layouts.OCI_LAYER, b"w")
    for layers, expected in (([foreign], 1), ([foreign, plain], 0), ([plain, foreign], 0)):
        data = layouts.compact(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": entry("x/y", b"{}"), "layers": layers}
        )
        found = tree.grow(layout.of(data, MANIFEST), Contents(data).read)
        assert (len(found.foreign), len(found.blobs)) == (expected, 2 - expected)


def listed(*platforms: str) -> bytes:
    entries = []
    for platform in platforms:
        names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        entries.append(entry(MANIFEST, platform.encode(), platform=names))
    return index(*entries)


def test_one_platform_of_several() -> None:
    data = listed("linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7")
    top = layout.of(data, INDEX)
    assert tree.choose(top, data, "linux/arm64")[0].platform == "linux/arm64/v8"
    chosen, left_out = tree.choose(top, data, "linux/arm/v7")
    assert chosen.platform == "linux/arm/v7"
    assert left_out == ("linux/amd64", "linux/arm64/v8", "linux/arm/v6")
    # The same by other names, as docker has them.
    assert tree.choose(top, data, "linux/arm")[0].platform == "linux/arm/v7"
    assert tree.choose(top, data, "linux/armel")[0].platform == "linux/arm/v6"
    assert tree.choose(top, data, "linux/x86_64")[0].platform == "linux/amd64"
    two = listed("linux/amd64/v2", "linux/amd64/v3")
    with pytest.raises(UsageError, match="several entries for linux/amd64"):
        tree.choose(layout.of(two, INDEX), two, "linux/amd64")
    with pytest.raises(UsageError, match="nothing for linux/ar"):
        tree.choose(top, data, "linux/ar")


def test_a_single_image_has_no_platforms_to_choose_from() -> None:
    data = layouts.image(b"layer").top
    with pytest.raises(UsageError, match="nothing for linux/amd64"):
        tree.choose(layout.of(data, MANIFEST), data, "linux/amd64")
