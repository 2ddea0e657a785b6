"""`push` and `sign --push`: what reaches the registry, and what keeps it from being signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.transfer import progress, pushing
from notarypy.devserver import sample
from notarypy.devserver.tampering import BLOB, BLOB_UPLOAD
from notarypy.errors import (
    AuthenticationError,
    DigestMismatchError,
    InvalidNameError,
    KeyNotAuthorisedError,
    MetadataError,
    NetworkError,
    PassphraseWrongError,
    RepositoryMissingError,
    StorageError,
    UsageError,
    VerificationError,
)
from notarypy.images import manifests
from notarypy.images.layout import ARTIFACT
from notarypy.remote.http.messages import Response
from support import layouts
from support.author import GUN
from support.layouts import compact, entry
from support.people import REGISTRY_PATH, owned

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from notarypy.remote.http.messages import Request
    from support.people import World

REF = f"{GUN}:1"
MANIFESTS = r".*/manifests/.*"
TAG = r".*/manifests/1"
BIG = bytes(range(256)) * 8000


class Watcher:
    """A progress display that keeps everything."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, what: str, total: int) -> None:
        self.told += [what, total]

    def moved(self, count: int) -> None:
        self.told.append(count)

    def end(self) -> None:
        self.told.append("end")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BLOBS", 1)
    monkeypatch.setattr(pushing, "READINGS", 1)


@pytest.fixture
def client(world: World) -> Client:
    return world.person().client()


def serves(world: World, made: sample.Sample, tag: str = "1", path: str = REGISTRY_PATH) -> bool:
    """Tell whether the registry has an image, all of it."""
    images = world.fake.registry.images
    blobs = all(images.blob(path, layouts.digest(blob)) == blob for blob in made.blobs)
    below = [images.manifest(path, layouts.digest(data)) for data in made.manifests]
    top = images.manifest(path, images.tags(path).get(tag, ""))
    return blobs and None not in below and top is not None and top.data == made.top


def lines(world: World, *methods: str) -> list[str]:
    found = [line.split()[0] + " " + line.split("/")[-1][:14] for line in world.fake.lines()]
    return [line for line in found if line.split()[0] in methods]


def test_an_index_with_all_it_names(world: World, client: Client, tmp_path: Path) -> None:
    made = sample.make("text")
    done = client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert serves(world, made)
    assert (done.reference, done.digest, done.size) == (REF, made.digest, len(made.top))
    assert done.platforms == ("linux/amd64", "linux/arm64")
    assert (done.uploaded, done.mounted, done.present, done.foreign) == (3, 0, 0, ())
    assert done.sent == sum(len(blob) for blob in set(made.blobs))


def test_the_tag_comes_last_and_everything_is_read_back(world: World, client: Client, tmp_path: Path) -> None:
    made = sample.make("text")
    client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    ends = [line.rpartition("/")[2] for line in world.fake.lines() if "/manifests/" in line]
    first, second = (layouts.digest(data) for data in made.manifests)
    assert ends == [first, first, second, second, "1", "1"]
    kinds = [line.split("/")[-2] for line in world.fake.lines()]
    assert kinds.index("manifests") > max(at for at, kind in enumerate(kinds) if kind in {"blobs", "uploads"})


def test_a_second_push_sends_no_blob(world: World, client: Client, tmp_path: Path) -> None:
    source = f"oci:{layouts.layout(tmp_path / 'dir')}"
    client.images.push(source, REF)
    world.requests()
    done = client.images.push(source, f"{GUN}:2")
    assert (done.uploaded, done.present, done.sent) == (0, 3, 0)
    assert lines(world, "POST", "PATCH") == []


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_from_archives(world: World, client: Client, tmp_path: Path, kind: str) -> None:
    contents = (
        layouts.saved([b"one", BIG]) if kind == "docker-archive" else layouts.files(sample.make("t"), "1")
    )
    layouts.archive(tmp_path / "a.tar", contents)
    done = client.images.push(f"{kind}:{tmp_path}/a.tar", REF)
    assert world.fake.registry.images.tags(REGISTRY_PATH) == {"1": done.digest}
    assert client.images.push(f"{kind}:{tmp_path}/a.tar", f"{GUN}:2").digest == done.digest


def test_progress_is_told(client: Client, tmp_path: Path) -> None:
    watcher = Watcher()
    made = layouts.image(BIG, b"small")
    client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF, progress=watcher)
    what, total, *steps, end = watcher.told
    assert (what, total, end) == (f"pushing {REF}", len(BIG) + 7, "end")
    assert sum(step for step in steps if isinstance(step, int)) == total
    assert len(steps) > 5


def test_progress_goes_back_when_an_upload_begins_anew(world: World, client: Client, tmp_path: Path) -> None:
    world.attacker.cut_uploads(1000)
    world.attacker.answer(Response(404), method="GET", path=BLOB_UPLOAD)
    watcher = Watcher()
    client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', layouts.image(BIG))}", REF, progress=watcher)
    assert sum(step for step in watcher.told[2:-1] if isinstance(step, int)) == len(BIG) + 2


def test_an_interrupted_push_goes_on_with_what_is_missing(
    world: World, client: Client, tmp_path: Path
) -> None:
    made = layouts.image(b"first", BIG)
    source = f"oci:{layouts.layout(tmp_path / 'dir', made)}"
    world.attacker.refuse_connections(method="PATCH", path=BLOB_UPLOAD)
    with pytest.raises(NetworkError):
        client.images.push(source, REF)
    assert world.fake.registry.images.tags(REGISTRY_PATH) == {}
    world.attacker.undo_hooks()
    done = client.images.push(source, REF)
    assert (done.uploaded, done.present) == (1, 2)
    assert serves(world, made)


def test_the_first_failure_stops_the_others(
    world: World, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "BLOBS", 3)
    made = layouts.image(*(bytes([number]) * 10 for number in range(50)))
    directory = layouts.layout(tmp_path / "dir", made)
    (directory / "blobs" / layouts.digest(made.blobs[3]).replace(":", "/")).write_bytes(b"x" * 10)
    with pytest.raises(DigestMismatchError):
        client.images.push(f"oci:{directory}", REF)
    assert len(lines(world, "POST")) < 50
    assert world.fake.registry.images.tags(REGISTRY_PATH) == {}


def test_a_source_that_is_not_what_it_says(world: World, client: Client, tmp_path: Path) -> None:
    directory = layouts.layout(tmp_path / "dir", layouts.image(BIG))
    blob = directory / "blobs" / layouts.digest(BIG).replace(":", "/")
    for wrong in (b"X" + BIG[1:], BIG[:-1], BIG + b"x"):
        blob.write_bytes(wrong)
        with pytest.raises(DigestMismatchError) as caught:
            client.images.push(f"oci:{directory}", REF)
        assert caught.value.exit_code == 4
    blob.unlink()
    with pytest.raises(StorageError):
        client.images.push(f"oci:{directory}", REF)
    assert world.fake.registry.images.blob(REGISTRY_PATH, layouts.digest(BIG)) is None
    assert world.fake.registry.images.tags(REGISTRY_PATH) == {}


def test_a_file_that_changes_while_it_is_sent(world: World, client: Client, tmp_path: Path) -> None:
    directory = layouts.layout(tmp_path / "dir", layouts.image(BIG))
    blob = directory / "blobs" / layouts.digest(BIG).replace(":", "/")

    def change(request: Request) -> None:
        if request.method == "POST" and blob.stat().st_size == len(BIG):
            blob.write_bytes(BIG[:-1] + b"X")

    world.fake.before.append(change)
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        client.images.push(f"oci:{directory}", REF)
    assert not any(line.startswith("PUT") and "manifests" in line for line in world.fake.lines())


def test_foreign_layers_are_named_and_left_out(world: World, tmp_path: Path) -> None:
    person = world.person()
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    foreign = entry(kind, b"windows", urls=["https://storage.test/windows"])
    top = compact(
        {
            "schemaVersion": 2, "mediaType": sample.MANIFEST,
            "config": entry(layouts.OCI_CONFIG, b"{}"), "layers": [foreign],
        }
    )  # fmt: skip
    made = sample.Sample((b"{}",), (), top, sample.MANIFEST)
    done = person.client().images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert done.foreign == (layouts.digest(b"windows"),)
    assert person.warnings == [
        f"the layer {layouts.digest(b'windows')} may not be distributed: it is not sent"
    ]
    assert {request.url.split("/")[2] for request in world.fake.requests} == {"registry.test"}


def test_artifacts_and_nested_indexes_go_as_they_are(world: World, client: Client, tmp_path: Path) -> None:
    image = layouts.image(b"layer")
    artifact = compact({"mediaType": ARTIFACT, "blobs": [entry("x/sbom", b"sbom")]})
    inner = compact(
        {"schemaVersion": 2, "mediaType": sample.INDEX, "manifests": [entry(sample.MANIFEST, image.top)]}
    )
    entries = [entry(sample.INDEX, inner), entry(ARTIFACT, artifact), entry("x/layer+zstd", b"cached")]
    top = compact({"schemaVersion": 2, "mediaType": sample.INDEX, "manifests": entries})
    made = sample.Sample((*image.blobs, b"sbom", b"cached"), (image.top, inner, artifact), top, sample.INDEX)
    client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert serves(world, made)
    pushed = world.fake.registry.images.manifest(REGISTRY_PATH, layouts.digest(artifact))
    assert pushed is not None
    assert pushed.media_type == ARTIFACT


def test_where_containerd_says_a_blob_is_it_is_mounted(world: World, client: Client, tmp_path: Path) -> None:
    world.fake.registry.put_blob("base", BIG)
    noted = {"containerd.io/distribution.source.registry.test": "nothing,base"}
    top = compact(
        {
            "schemaVersion": 2, "mediaType": sample.MANIFEST, "config": entry(layouts.OCI_CONFIG, b"{}"),
            "layers": [entry(layouts.OCI_LAYER, BIG, annotations=noted)],
        }
    )  # fmt: skip
    made = sample.Sample((b"{}", BIG), (), top, sample.MANIFEST)
    done = client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert (done.uploaded, done.mounted) == (1, 1)
    assert lines(world, "PATCH") == []
    assert serves(world, made)


def test_names_and_sources_are_read_first(world: World, client: Client, tmp_path: Path) -> None:
    layouts.layout(tmp_path / "dir")
    for source, ref, error in (
        ("dir:x", REF, InvalidNameError),
        (f"oci:{tmp_path}/none", REF, StorageError),
        (f"oci:{tmp_path}/dir", "NOT A NAME", InvalidNameError),
        (f"oci:{tmp_path}/dir", f"{GUN}@sha256:{'0' * 64}", UsageError),
        (f"oci:{tmp_path}/dir", f"{REF}@sha256:{'0' * 64}", DigestMismatchError),
        (f"oci:{tmp_path}/dir:9", REF, UsageError),
    ):
        with pytest.raises(error):
            client.images.push(source, ref)
    with pytest.raises(UsageError, match="asks a registry"):
        world.person().client(offline=True).images.push(f"oci:{tmp_path}/dir", REF)
    with pytest.raises(UsageError, match="content from a registry"):
        world.person().client(gun=True).images.push(f"oci:{tmp_path}/dir", REF)
    assert world.fake.requests == []


def test_a_digest_in_the_reference_must_be_right(world: World, client: Client, tmp_path: Path) -> None:
    made = sample.make("text")
    done = client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", f"{REF}@{made.digest}")
    assert done.tag == "1"
    assert serves(world, made)


# -- a registry that lies


def other(answer: Response, **headers: str) -> Response:
    return Response(
        answer.status, {**answer.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}, answer.body
    )


LIES: dict[str, tuple[dict[str, Any], Any, type[Exception]]] = {
    "the digest of a manifest it took": (
        {"method": "PUT", "path": MANIFESTS},
        lambda answer: other(answer, docker_content_digest=f"sha256:{'0' * 64}"),
        DigestMismatchError,
    ),
    "the digest of the tag": (
        {"method": "GET", "path": TAG},
        lambda answer: other(answer, docker_content_digest=f"sha256:{'0' * 64}"),
        DigestMismatchError,
    ),
    "the bytes of the tag": (
        {"method": "GET", "path": TAG},
        lambda answer: Response(200, {"content-type": answer.headers["content-type"]}, answer.body + b"\n"),
        DigestMismatchError,
    ),
    "another manifest under the tag": (
        {"method": "GET", "path": TAG},
        lambda _: Response(200, {"content-type": sample.MANIFEST}, layouts.image(b"evil").top),
        DigestMismatchError,
    ),
    "that it has the tag": ({"method": "GET", "path": TAG}, lambda _: Response(404), VerificationError),
    "the size of a blob": (
        {"path": BLOB},
        lambda answer: (
            other(answer, content_length="77", content_range="bytes 0-0/77") if answer.is_success else answer
        ),
        DigestMismatchError,
    ),
    "that it took a blob": (
        {"method": "PUT", "path": BLOB_UPLOAD},
        lambda answer: other(answer, docker_content_digest=f"sha256:{'0' * 64}"),
        DigestMismatchError,
    ),
}


@pytest.mark.parametrize("kind", ["text/html", manifests.DOCKER_MANIFEST, manifests.DOCKER_LIST])
def test_what_a_registry_calls_a_manifest_does_not_matter(world: World, tmp_path: Path, kind: str) -> None:
    owner = owned(world, "alice")
    world.attacker.change_answers(
        lambda answer: other(answer, content_type=kind), method="GET", path=MANIFESTS
    )
    pushed, _ = owner.client().images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir')}", REF)
    assert owner.client().images.pull(REF, f"oci:{tmp_path / 'out'}").digest == pushed.digest
    assert owner.client().sign([REF])[0].digest == pushed.digest


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_caught_and_nothing_is_signed(world: World, tmp_path: Path, lie: str) -> None:
    owner = owned(world, "alice")
    which, change, error = LIES[lie]
    world.attacker.change_answers(change, **which)
    with pytest.raises(error) as caught:
        owner.client().images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir')}", REF)
    assert getattr(caught.value, "exit_code", None) == 4
    world.attacker.undo_hooks()
    assert owner.client().inspect(GUN).tags == ()


# -- sign --push


def test_exactly_the_pushed_digest_is_signed(world: World, tmp_path: Path) -> None:
    owner, made = owned(world, "alice"), sample.make("text")
    pushed, signed = owner.client().images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert (pushed.digest, signed.digest, signed.size) == (made.digest, made.digest, len(made.top))
    assert (signed.published, signed.platforms) == (True, ("linux/amd64", "linux/arm64"))
    assert owner.client().verify(REF).digest == made.digest


def test_somebody_who_moves_the_tag_meanwhile_gets_nothing_signed(world: World, tmp_path: Path) -> None:
    owner, made = owned(world, "alice"), sample.make("text")
    asked: list[Request] = []

    def move(request: Request, answer: Response) -> Response:
        if request.method == "GET" and request.url.endswith("/manifests/1") and not asked:
            asked.append(request)
            world.push("1", "evil")
        return answer

    world.fake.after.append(move)
    _, signed = owner.client().images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
    assert signed.digest == made.digest
    with pytest.raises(DigestMismatchError):
        owner.client().verify(REF)


def test_who_may_not_sign_sends_nothing(world: World, tmp_path: Path) -> None:
    owned(world, "alice")
    stranger = world.person("stranger")
    source = f"oci:{layouts.layout(tmp_path / 'dir')}"
    with pytest.raises(KeyNotAuthorisedError):
        stranger.client().images.push_and_sign(source, REF)
    with pytest.raises(RepositoryMissingError):
        stranger.client().images.push_and_sign(source, "registry.test/new/app:1")
    assert not any("/blobs/" in line for line in world.fake.lines())
    assert world.fake.registry.images.tags(REGISTRY_PATH) == {}


def test_a_key_that_cannot_be_unlocked_stops_it_before_anything_is_sent(world: World, tmp_path: Path) -> None:
    owner = owned(world, "alice")
    with pytest.raises(PassphraseWrongError):
        owner.client(passphrase="another one").images.push_and_sign(
            f"oci:{layouts.layout(tmp_path / 'dir')}", REF
        )
    assert not any("/blobs/" in line for line in world.fake.lines())


def test_a_login_that_may_only_read_stops_it_before_anything_is_sent(world: World, tmp_path: Path) -> None:
    owner = owned(world, "alice")
    world.fake.before.append(
        lambda request: Response(403, {}, b"") if "/timestamp.key" in request.url else None
    )
    with pytest.raises(AuthenticationError):
        owner.client().images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir')}", REF)
    assert not any("/blobs/" in line for line in world.fake.lines())


def test_a_first_image_with_its_first_trust_data(client: Client, tmp_path: Path) -> None:
    pushed, signed = client.images.push_and_sign(f"oci:{layouts.layout(tmp_path / 'dir')}", REF, init=True)
    assert signed.roles == ("targets",)
    assert client.verify(REF).digest == pushed.digest


def test_signing_takes_the_same_options(world: World, tmp_path: Path) -> None:
    owner = owned(world, "alice", "bob")
    _, signed = owner.client().images.push_and_sign(
        f"oci:{layouts.layout(tmp_path / 'dir')}", REF, signer="bob", custom=b'{"a":1}'
    )
    assert set(signed.roles) == {"targets/bob", "targets/releases"}
    listed = owner.client().refresh(GUN).targets["targets/bob"].targets["1"]
    assert listed.custom == {"a": 1}


def test_an_image_of_a_kind_that_cannot_be_signed_is_not_pushed(client: Client, tmp_path: Path) -> None:
    top = compact({"schemaVersion": 2, "mediaType": "x/y", "manifests": []})
    made = sample.Sample((), (), top, "x/y")
    with pytest.raises((VerificationError, MetadataError)):
        client.images.push(f"oci:{layouts.layout(tmp_path / 'dir', made)}", REF)
