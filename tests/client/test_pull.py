"""`pull`: verified first, every byte checked, named last."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver import sample
from notarypy.devserver.tampering import BLOB
from notarypy.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    InvalidNameError,
    MetadataError,
    NetworkError,
    NotFoundError,
    ServerError,
    SignerMissingError,
    StorageError,
    TagUnsignedError,
    UsageError,
)
from notarypy.images.manifests import DOCKER_LIST, DOCKER_MANIFEST
from notarypy.limits import Limits
from notarypy.remote.http.messages import Response
from notarypy.storage.images.layoutreader import Directory, Layout
from notarypy.storage.images.locations import open_source, source
from support import layouts
from support.author import GUN
from support.people import REGISTRY_PATH, owned

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import Person, World

REF = f"{GUN}:1"
BIG = bytes(range(256)) * 8000


def signed(world: World, made: sample.Sample) -> Person:
    """Sign an image that the registry has; return somebody who knows nothing yet."""
    owner = owned(world, "alice")
    put(world, made)
    owner.client().sign([REF])
    world.fake.requests.clear()
    return world.person("reader")


def put(world: World, made: sample.Sample, path: str = REGISTRY_PATH) -> None:
    for blob in made.blobs:
        world.fake.registry.put_blob(path, blob)
    for data in made.manifests:
        world.fake.registry.push(path, "", data, sample.MANIFEST)
    world.fake.registry.push(path, "1", made.top, made.media_type)


def holds(text: str, made: sample.Sample) -> bool:
    """Tell whether a layout has an image, all of it and right."""
    found = open_source(source(text))
    for blob in found.tree.blobs:
        blob.check(b"".join(found.content.chunks(blob, 0)))
    return found.tree.top.data == made.top


def is_usable(directory: Path) -> bool:
    try:
        Layout(Directory(directory))
    except StorageError:
        return False
    return True


def blob_file(directory: Path, data: bytes) -> Path:
    return directory / "blobs" / layouts.digest(data).replace(":", "/")


@pytest.mark.parametrize(
    "made", [sample.make("one", ["amd64"]), sample.make("an index"), layouts.image(b"", BIG)]
)
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_an_image_with_all_it_names(world: World, tmp_path: Path, made: sample.Sample, kind: str) -> None:
    done = signed(world, made).client().images.pull(REF, f"{kind}:{tmp_path}/out")
    assert (done.digest, done.stored, done.verified, done.tag) == (made.digest, made.digest, True, "1")
    assert done.destination == f"{kind}:{tmp_path}/out:1"
    assert (done.fetched, done.reused, done.left_out) == (len(set(made.blobs)), 0, ())
    assert holds(f"{kind}:{tmp_path}/out:1", made)
    assert not [*tmp_path.glob(".out*")]


def test_everything_is_asked_for_by_digest(world: World, tmp_path: Path) -> None:
    made = sample.make("an index")
    signed(world, made).client().images.pull(REF, f"oci:{tmp_path}/out")
    asked = [line.rpartition("/")[2] for line in world.fake.lines() if "/_trust/" not in line]
    assert [name for name in asked if not name.startswith("sha256:")] == ["1"]
    assert len(asked) == len(set(asked)) == 1 + 3 + 3


def test_what_is_there_is_reused_after_a_look(world: World, tmp_path: Path) -> None:
    made = layouts.image(b"one", BIG)
    client = signed(world, made).client()
    client.images.pull(REF, f"oci:{tmp_path}/out")
    blob_file(tmp_path / "out", BIG).write_bytes(BIG[:-1] + b"X")
    done = client.images.pull(REF, f"oci:{tmp_path}/out:again")
    assert (done.fetched, done.reused) == (1, 2)
    assert holds(f"oci:{tmp_path}/out:again", made)
    assert holds(f"oci:{tmp_path}/out:1", made)


def test_one_platform_and_what_is_left_out(world: World, tmp_path: Path) -> None:
    made = sample.make("an index", ["amd64", "arm64", "riscv64"])
    done = signed(world, made).client().images.pull(REF, f"oci:{tmp_path}/out", platform="linux/arm64")
    assert done.digest == made.digest
    assert done.stored == layouts.digest(made.manifests[1])
    assert (done.platforms, done.left_out) == (("linux/arm64",), ("linux/amd64", "linux/riscv64"))
    found = open_source(source(f"oci:{tmp_path}/out"))
    assert found.tree.top.data == made.manifests[1]
    short = world.person("third").client().images.pull(REF, f"oci:{tmp_path}/short", platform="arm64")
    assert (short.stored, short.platforms) == (done.stored, done.platforms)
    with pytest.raises(UsageError, match="nothing for linux/mips"):
        world.person("reader").client().images.pull(REF, f"oci:{tmp_path}/other", platform="linux/mips")
    assert not (tmp_path / "other").exists()


def test_a_single_image_has_the_platform_of_its_configuration(world: World, tmp_path: Path) -> None:
    told = json.dumps({"os": "linux", "architecture": "arm64", "variant": "v8"}).encode()
    made = layouts.image(b"layer", config=told)
    reader = signed(world, made)
    done = reader.client().images.pull(REF, f"oci:{tmp_path}/out", platform="linux/arm64")
    assert (done.stored, done.left_out) == (made.digest, ())
    with pytest.raises(UsageError, match="nothing for linux/amd64") as caught:
        reader.client().images.pull(REF, f"oci:{tmp_path}/other", platform="linux/amd64")
    assert caught.value.why == ("it is a single image of linux/arm64/v8",)


@pytest.mark.parametrize("config", [b"{}", b"[", b'{"os": 1, "architecture": "arm64"}'])
def test_a_single_image_of_no_platform(world: World, tmp_path: Path, config: bytes) -> None:
    reader = signed(world, layouts.image(b"layer", config=config))
    with pytest.raises(UsageError) as caught:
        reader.client().images.pull(REF, f"oci:{tmp_path}/out", platform="linux/arm64")
    assert caught.value.why == ("it is a single image of no platform",)


def test_what_is_not_signed_is_not_fetched(world: World, tmp_path: Path) -> None:
    reader = signed(world, sample.make("text"))
    world.push("2")
    with pytest.raises(TagUnsignedError):
        reader.client().images.pull(f"{GUN}:2", f"oci:{tmp_path}/out")
    with pytest.raises(SignerMissingError):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out", signers=["bob"])
    assert not (tmp_path / "out").exists()
    assert not any("/blobs/" in line for line in world.fake.lines())


def test_another_image_under_the_tag_is_not_fetched(world: World, tmp_path: Path) -> None:
    reader = signed(world, sample.make("text"))
    world.push("1", "evil")
    with pytest.raises(DigestMismatchError):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: b"X" + data[1:], DigestMismatchError),
        (lambda data: data[:-1], DigestMismatchError),
        (lambda data: data + b"x", DigestMismatchError),
        (lambda _: b"", DigestMismatchError),
    ],
)
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_other_bytes_of_a_blob_make_no_image(
    world: World, tmp_path: Path, change: object, error: type[Exception], kind: str
) -> None:
    made = layouts.image(b"one", BIG)
    reader = signed(world, made)
    assert callable(change)
    path = f".*/blobs/{layouts.digest(BIG)}"
    world.attacker.change_answers(lambda _: Response(200, {}, change(BIG)), method="GET", path=path)
    with pytest.raises(error) as caught:
        reader.client().images.pull(REF, f"{kind}:{tmp_path}/out")
    assert getattr(caught.value, "exit_code", None) == 4
    assert not is_usable(tmp_path / "out")
    assert not [*tmp_path.glob("out.tar")]
    world.attacker.undo_hooks()
    reader.client().images.pull(REF, f"{kind}:{tmp_path}/out")
    assert holds(f"{kind}:{tmp_path}/out:1", made)


def test_other_bytes_of_a_child_make_no_image(world: World, tmp_path: Path) -> None:
    made = sample.make("text")
    reader = signed(world, made)
    path = f".*/manifests/{layouts.digest(made.manifests[1])}"
    evil = Response(200, {"content-type": sample.MANIFEST}, layouts.image(b"evil").top)
    world.attacker.answer(evil, method="GET", path=path)
    with pytest.raises(DigestMismatchError):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert not (tmp_path / "out").exists()


def test_a_signed_size_that_is_wrong(world: World, tmp_path: Path) -> None:
    made = sample.make("text", ["amd64"])
    reader = signed(world, made)
    longer = Response(200, {"content-type": sample.MANIFEST}, made.top + b" ")
    world.attacker.answer(longer, method="GET", path=".*/manifests/sha256.*")
    with pytest.raises(DigestMismatchError):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out")


def test_a_pull_that_was_broken_off_goes_on(world: World, tmp_path: Path) -> None:
    made = layouts.image(b"one", BIG)
    reader = signed(world, made)
    world.attacker.cut_downloads(1_500_000, path=f".*/blobs/{layouts.digest(BIG)}", times=1)
    world.attacker.refuse_connections(method="GET", path=f".*/blobs/{layouts.digest(BIG)}")
    hooks = world.fake.before.pop()

    def break_off(request: object) -> Response | None:
        ranged = "Range" in getattr(request, "headers", {})
        return hooks(request) if ranged else None  # type: ignore[arg-type]  # a request

    world.fake.before.append(break_off)
    with pytest.raises(NetworkError):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert not is_usable(tmp_path / "out")
    assert not blob_file(tmp_path / "out", BIG).exists()
    world.attacker.undo_hooks()
    world.fake.requests.clear()
    done = reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    ranges = [request.headers["Range"] for request in world.fake.requests if "Range" in request.headers]
    assert ranges == ["bytes=1500000-"]
    assert done.fetched + done.reused == 3
    assert holds(f"oci:{tmp_path}/out", made)


def test_a_damaged_remainder_is_not_the_registrys_fault(world: World, tmp_path: Path) -> None:
    made = layouts.image(BIG)
    reader = signed(world, made)
    part = blob_file(tmp_path / "out", BIG)
    part.parent.mkdir(parents=True)
    (tmp_path / "out" / "oci-layout").write_bytes(b'{"imageLayoutVersion": "1.0.0"}')
    part.with_name(f"{part.name}.part").write_bytes(b"damaged")
    reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert holds(f"oci:{tmp_path}/out", made)


def test_lost_connections_are_made_up_for(world: World, tmp_path: Path) -> None:
    made = layouts.image(BIG)
    reader = signed(world, made)
    world.attacker.cut_downloads(1_100_000, path=BLOB, times=1)
    reader.client().images.pull(REF, f"oci-archive:{tmp_path}/out.tar")
    assert holds(f"oci-archive:{tmp_path}/out.tar", made)


@pytest.mark.parametrize(("status", "error"), [(404, NotFoundError), (500, ServerError)])
def test_a_blob_that_is_not_there(world: World, tmp_path: Path, status: int, error: type[Exception]) -> None:
    reader = signed(world, layouts.image(BIG))
    world.attacker.answer(Response(status), method="GET", path=BLOB)
    with pytest.raises(error):
        reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert not is_usable(tmp_path / "out")


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, DOCKER_LIST])
def test_manifests_of_dockers_type_keep_it_and_that_is_said(
    world: World, tmp_path: Path, media_type: str
) -> None:
    plain = sample.make("text", ["amd64"] if media_type == DOCKER_MANIFEST else ["amd64", "arm64"])
    top = plain.top.replace(plain.media_type.encode(), media_type.encode())
    made = replace(plain, top=top, media_type=media_type)
    reader = signed(world, made)
    client = reader.client()
    client.images.pull(REF, f"oci:{tmp_path}/out")
    assert holds(f"oci:{tmp_path}/out:1", made)
    assert f"not find it by the name 1, only as oci:{tmp_path}/out" in reader.warnings[-1]
    client.images.pull(REF, f"oci:{tmp_path}/out:other")
    assert "by the name other" in reader.warnings[-1]


def test_images_side_by_side_in_one_layout(world: World, tmp_path: Path) -> None:
    made = layouts.image(b"shared", b"new")
    reader = signed(world, made)
    directory = layouts.layout(tmp_path / "out", layouts.image(b"shared", b"old"), "old")
    done = reader.client().images.pull(REF, f"oci:{directory}:new")
    assert (done.fetched, done.reused) == (1, 2)
    assert holds(f"oci:{directory}:new", made)
    assert holds(f"oci:{directory}:old", layouts.image(b"shared", b"old"))


def test_destinations_are_looked_at_first(world: World, tmp_path: Path) -> None:
    reader = signed(world, sample.make("text"))
    (tmp_path / "file").write_text("precious")
    for destination in (f"oci:{tmp_path}", f"oci-archive:{tmp_path}/file", f"oci:{tmp_path}/file"):
        with pytest.raises(AlreadyExistsError):
            reader.client().images.pull(REF, destination)
    with pytest.raises(InvalidNameError):
        reader.client().images.pull(REF, "docker-archive:x.tar")
    with pytest.raises(UsageError, match="asks a registry"):
        reader.client(offline=True).images.pull(REF, f"oci:{tmp_path}/new")
    assert world.fake.requests == []
    assert (tmp_path / "file").read_text() == "precious"


def test_by_digest(world: World, tmp_path: Path) -> None:
    made = sample.make("text")
    done = signed(world, made).client().images.pull(f"{GUN}@{made.digest}", f"oci:{tmp_path}/out")
    assert (done.tag, done.destination) == ("1", f"oci:{tmp_path}/out:1")


def test_the_trust_policy_is_obeyed(world: World, tmp_path: Path) -> None:
    made = sample.make("text")
    signed(world, made)
    policy = tmp_path / "policy.toml"
    policy.write_text('[scope."*"]\nmode = "skip"\n')
    reader = world.person("reader")
    done = reader.client(policy=str(policy)).images.pull(REF, f"oci:{tmp_path}/out")
    assert (done.verified, done.digest) == (False, made.digest)
    assert "NOT VERIFIED" in reader.warnings[0]
    policy.write_text('[scope."*"]\nfirst_use = true\nsigners.all = ["bob"]\n')
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(Exception, match="bob") as caught:
        reader.client(policy=str(policy)).images.pull(REF, f"oci:{tmp_path}/out")
    assert getattr(caught.value, "exit_code", None) in {2, 10}
    assert not (tmp_path / "out").exists()


def test_foreign_layers_are_not_fetched(world: World, tmp_path: Path) -> None:
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    foreign = layouts.entry(kind, b"windows", urls=["https://storage.test/windows"])
    top = layouts.compact(
        {
            "schemaVersion": 2, "mediaType": sample.MANIFEST,
            "config": layouts.entry(layouts.OCI_CONFIG, b"{}"), "layers": [foreign],
        }
    )  # fmt: skip
    reader = signed(world, sample.Sample((b"{}",), (), top, sample.MANIFEST))
    done = reader.client().images.pull(REF, f"oci:{tmp_path}/out")
    assert done.foreign == (layouts.digest(b"windows"),)
    assert "not fetched" in reader.warnings[-1]


def test_an_index_beyond_the_limits(world: World, tmp_path: Path) -> None:
    reader = signed(world, sample.make("text"))
    with pytest.raises(MetadataError, match="beyond the limits"):
        reader.client(limits=Limits(image_manifests=1)).images.pull(REF, f"oci:{tmp_path}/out")
    assert not (tmp_path / "out").exists()


def test_the_index_of_the_layout_is_plain(world: World, tmp_path: Path) -> None:
    made = sample.make("text")
    signed(world, made).client().images.pull(REF, f"oci:{tmp_path}/out")
    (entry,) = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"]
    assert entry == {
        "mediaType": sample.INDEX,
        "digest": made.digest,
        "size": len(made.top),
        "annotations": {"org.opencontainers.image.ref.name": "1"},
    }
