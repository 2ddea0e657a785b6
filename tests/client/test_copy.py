"""`copy`: verified at the source, the same digest at the target, signed there if wished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.transfer.pulling import RemoteImage
from notarypy.devserver import sample
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.registryservice import RegistryService
from notarypy.devserver.stores import ImageStore
from notarypy.devserver.tampering import BLOB, BLOB_UPLOAD
from notarypy.errors import (
    DigestMismatchError,
    KeyNotAuthorisedError,
    NetworkError,
    NotVerifiedError,
    PassphraseWrongError,
    RepositoryMissingError,
    TagUnsignedError,
    UsageError,
)
from notarypy.images import layout
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import uploads
from notarypy.remote.registry.registry import RegistryClient
from support import layouts
from support.author import GUN
from support.fakes import repeatable_random
from support.people import REGISTRY_PATH, owned

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import Person, World

REF = f"{GUN}:1"
BIG = bytes(range(256)) * 8000
MADE = layouts.image(b"small", BIG)
ELSEWHERE = "mirror.test"


def signed(world: World, made: sample.Sample) -> Person:
    owner = owned(world, "alice")
    for blob in made.blobs:
        world.fake.registry.put_blob(REGISTRY_PATH, blob)
    for data in made.manifests:
        world.fake.registry.push(REGISTRY_PATH, "", data, sample.MANIFEST)
    world.fake.registry.push(REGISTRY_PATH, "1", made.top, made.media_type)
    owner.client().sign([REF])
    world.fake.requests.clear()
    return owner


@pytest.fixture
def mirror(world: World) -> RegistryService:
    """Return a second registry."""
    made = RegistryService(repeatable_random("mirror"), ImageStore())
    world.fake.services[ELSEWHERE] = made
    return made


def has(images: ImageStore, made: sample.Sample, path: str, tag: str) -> bool:
    blobs = all(images.blob(path, layouts.digest(blob)) == blob for blob in made.blobs)
    tops = images.manifest(path, images.tags(path)[tag])
    below = all(images.manifest(path, layouts.digest(data)) for data in made.manifests)
    return blobs and below and tops is not None and tops.data == made.top


@pytest.mark.parametrize("made", [MADE, sample.make("an index"), layouts.image(b"")])
def test_to_another_registry(world: World, mirror: RegistryService, made: sample.Sample) -> None:
    done = signed(world, made).client().images.copy(REF, f"{ELSEWHERE}/x/app:2")
    assert (done.pushed.digest, done.verified, done.signed) == (made.digest, True, None)
    assert done.source == f"{GUN}@{made.digest}"
    assert (done.pushed.uploaded, done.pushed.mounted) == (len(set(made.blobs)), 0)
    assert has(mirror.images, made, "x/app", "2")


def test_a_large_layer_is_fetched_once_and_goes_in_chunks(
    world: World, mirror: RegistryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "CHUNK", 500_000)
    signed(world, MADE).client().images.copy(REF, f"{ELSEWHERE}/x/app:2")
    assert has(mirror.images, MADE, "x/app", "2")
    asked = [line.split()[0] for line in world.fake.lines() if "/blobs/" in line]
    assert asked.count("PATCH") == -(-len(BIG) // 500_000)
    assert asked.count("GET") == len(MADE.blobs)


def test_within_a_registry_blobs_are_mounted(world: World) -> None:
    made = sample.make("an index")
    done = signed(world, made).client().images.copy(REF, "registry.test/other/app:2")
    assert (done.pushed.uploaded, done.pushed.mounted) == (0, 3)
    assert has(world.fake.registry.images, made, "other/app", "2")
    assert not any(line.startswith("GET") and "/blobs/" in line for line in world.fake.lines())


def test_within_a_registry_that_does_not_mount(world: World) -> None:
    owner = signed(world, MADE)
    world.fake.before.append(lambda request: Response(405) if "mount=" in request.url else None)
    done = owner.client().images.copy(REF, "registry.test/other/app:2")
    assert (done.pushed.uploaded, done.pushed.mounted) == (3, 0)
    assert has(world.fake.registry.images, MADE, "other/app", "2")


def test_a_second_tag_of_the_same_repository(world: World) -> None:
    done = signed(world, MADE).client().images.copy(REF, f"{GUN}:2")
    assert (done.pushed.uploaded, done.pushed.present) == (0, 3)
    assert world.fake.registry.images.tags(REGISTRY_PATH)["2"] == MADE.digest


def test_what_is_not_signed_is_not_copied(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    world.push("2")
    with pytest.raises(TagUnsignedError):
        owner.client().images.copy(f"{GUN}:2", f"{ELSEWHERE}/app:2")
    world.push("1", "evil")
    with pytest.raises(DigestMismatchError):
        owner.client().images.copy(REF, f"{ELSEWHERE}/app:2")
    assert mirror.images.names() == []


def test_a_copy_is_signed_under_its_new_name(world: World, mirror: RegistryService) -> None:
    owner, target = signed(world, MADE), f"{ELSEWHERE}/x/app:2"
    done = owner.client().images.copy(REF, target, sign=True, init=True)
    assert done.signed is not None
    assert (done.signed.digest, done.signed.repository) == (MADE.digest, f"{ELSEWHERE}/x/app")
    assert done.signed.created is not None
    assert done.signed.created.root_pins == owner.client().init(GUN).root_pins
    assert owner.client().verify(target).digest == MADE.digest
    assert has(mirror.images, MADE, "x/app", "2")
    again = owner.client().images.copy(REF, target, sign=True, init=True)
    assert again.signed is not None
    assert again.signed.created is None


def test_who_may_not_sign_the_copy_copies_nothing(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    with pytest.raises(RepositoryMissingError):
        owner.client().images.copy(REF, f"{ELSEWHERE}/app:2", sign=True)
    stranger = world.person("stranger")
    stranger.client().init(f"{ELSEWHERE}/app")
    with pytest.raises(KeyNotAuthorisedError):
        stranger.client().images.copy(REF, f"{GUN}:2", sign=True)
    assert mirror.images.names() == []
    assert "2" not in world.fake.registry.images.tags(REGISTRY_PATH)


def test_a_copy_that_could_not_be_signed_is_not_made(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    owner.client().init(f"{ELSEWHERE}/app")
    with pytest.raises(PassphraseWrongError):
        owner.client(passphrase="another one").images.copy(REF, f"{ELSEWHERE}/app:2", sign=True)
    assert mirror.images.names() == []


def test_losses_on_both_sides(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    world.attacker.cut_downloads(1_200_000, path=f".*/blobs/{layouts.digest(BIG)}")

    def cut(request: object) -> Response | None:
        if getattr(request, "method", "") == "PATCH" and not cuts:
            cuts.append(request)
            raise NetworkError("lost", reason="lost")
        return None

    cuts: list[object] = []
    world.fake.before.append(cut)
    owner.client().images.copy(REF, f"{ELSEWHERE}/app:2")
    assert cuts
    assert has(mirror.images, MADE, "app", "2")


def test_a_source_that_lies_about_a_blob(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    wrong = Response(200, {}, BIG[:-1] + b"X")
    world.attacker.answer(wrong, method="GET", path=f".*/blobs/{layouts.digest(BIG)}")
    with pytest.raises(DigestMismatchError):
        owner.client().images.copy(REF, f"{ELSEWHERE}/app:2")
    assert mirror.images.tags("app") == {}
    assert mirror.images.blob("app", layouts.digest(wrong.body)) is None


def test_a_target_that_is_gone(world: World, mirror: RegistryService) -> None:
    owner = signed(world, MADE)
    world.attacker.refuse_connections(path=BLOB_UPLOAD)
    with pytest.raises(NetworkError):
        owner.client().images.copy(REF, f"{ELSEWHERE}/app:2")
    assert mirror.images.tags("app") == {}


def test_names_are_read_first(world: World) -> None:
    owner = signed(world, MADE)
    with pytest.raises(UsageError, match="names no tag"):
        owner.client().images.copy(REF, f"{GUN}@{MADE.digest}")
    with pytest.raises(UsageError, match="asks a registry"):
        owner.client(offline=True).images.copy(REF, f"{GUN}:2")
    assert world.fake.requests == []
    with pytest.raises(DigestMismatchError, match="the image is not"):
        owner.client().images.copy(REF, f"{GUN}:2@sha256:{'0' * 64}")
    assert not any("/blobs/" in line for line in world.fake.lines())


@pytest.mark.parametrize("word", ["zz", "zz:1"])
def test_a_bare_word_is_no_place_for_a_copy(world: World, word: str) -> None:
    with pytest.raises(UsageError, match=f"means docker.io/library/{word}, ") as caught:
        world.person().client().images.copy(REF, word)
    assert f"notarypy pull {REF} oci:zz" in advice(caught.value)


@pytest.mark.parametrize(
    ("source", "destination", "wanted"),
    [
        (REF, "oci:dir", "notarypy pull {} oci:dir"),
        (REF, "oci-archive:a.tar:1", "notarypy pull {} oci-archive:a.tar:1"),
        ("docker-archive:/a.tar", REF, "notarypy push docker-archive:/a.tar {}"),
    ],
)
def test_places_in_files_are_for_pull_and_push(
    world: World, source: str, destination: str, wanted: str
) -> None:
    with pytest.raises(UsageError, match="is a place in files") as caught:
        world.person("reader").client().images.copy(source, destination)
    assert wanted.format(REF) in advice(caught.value)
    assert world.fake.requests == []


def remote(world: World) -> RemoteImage:
    exchange = Exchange(world.fake, timeout=5, sleep=lambda _: None)
    return RemoteImage(RegistryClient(exchange, REGISTRY_HOST), REGISTRY_PATH)


def test_a_stream_can_begin_anywhere_and_end_early(world: World) -> None:
    signed(world, MADE)
    blob = layout.of(BIG, "x/y")
    stream = remote(world).chunks(blob, 0)
    assert BIG.startswith(next(stream))
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert b"".join(remote(world).chunks(blob, 1_000_000)) == BIG[1_000_000:]


def test_a_stream_from_a_registry_without_ranges(world: World) -> None:
    signed(world, MADE)
    world.attacker.change_answers(lambda _: Response(200, {}, BIG), method="GET", path=BLOB)
    assert b"".join(remote(world).chunks(layout.of(BIG, "x/y"), 1_000_000)) == BIG[1_000_000:]


def test_a_stream_fails_as_the_download_does(world: World) -> None:
    signed(world, MADE)
    world.attacker.answer(Response(200, {}, BIG[:-1]), method="GET", path=BLOB)
    with pytest.raises(DigestMismatchError):
        b"".join(remote(world).chunks(layout.of(BIG, "x/y"), 0))


def test_what_was_not_verified_is_copied_and_never_signed(world: World, tmp_path: Path) -> None:
    owner = signed(world, MADE)
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."{REGISTRY_HOST}"]\nmode = "skip"\n')
    client = owner.client(policy=str(policy))
    with pytest.raises(NotVerifiedError, match="no copy of it is signed"):
        client.images.copy(REF, f"{GUN}:copied", sign=True)
    assert not any(line.startswith(("PUT", "POST", "PATCH")) for line in world.requests())
    assert not client.images.copy(REF, f"{GUN}:copied").verified
    assert client.images.copy(REF, f"{GUN}:again", sign=True, signers=["alice"]).signed is not None
