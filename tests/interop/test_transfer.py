"""Images on the move: what push, pull and copy bring along is what skopeo, docker and Go notary find."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from typing import TYPE_CHECKING

import pytest

from interop.harness import images, programs, services
from notarypy.devserver import sample
from support import layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.people import Person

BIG = bytes(range(256)) * 20_000
LARGE = bytes(range(256)) * 160_000  # more than two chunks
ROUNDS = 6
GIGABYTE = 1_100_000_000
LITTLE_MEMORY = 200_000  # kB
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


class Skopeo:
    """skopeo with a home of its own, for one registry."""

    def __init__(self, home: Path, registry: services.Endpoint) -> None:
        self._home, self._registry = home, registry

    def copy(self, source: str, destination: str) -> programs.Run:
        return self(
            "copy",
            "--all",
            "--quiet",
            *self._trust(source, "src"),
            *self._trust(destination, "dest"),
            source,
            destination,
        )

    def __call__(self, *arguments: str) -> programs.Run:
        environment = {"HOME": str(self._home), "REGISTRY_AUTH_FILE": str(self._home / "none.json")}
        return programs.run(["skopeo", "--insecure-policy", *arguments], environment)

    def blobs(self, reference: str, name: str) -> dict[str, bytes]:
        """Pull an image with all platforms and return every file of it by digest."""
        directory = self._home / name
        self.copy(f"docker://{reference}", f"dir:{directory}").expect(0)
        contents = [path.read_bytes() for path in directory.iterdir() if path.name != "version"]
        return {hashlib.sha256(data).hexdigest(): data for data in contents}

    def _trust(self, place: str, side: str) -> list[str]:
        if not place.startswith("docker://"):
            return []
        if self._registry.ca is None:
            return [f"--{side}-tls-verify=false"]
        return [f"--{side}-cert-dir", str(self._registry.ca.parent)]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "blobs" / "sha256").iterdir()}


def of(made: sample.Sample) -> dict[str, bytes]:
    """Return everything that makes an image, by digest."""
    contents = (*made.blobs, *made.manifests, made.top)
    return {hashlib.sha256(data).hexdigest(): data for data in contents}


@pytest.fixture
def skopeo(tmp_path: Path, registry: services.Endpoint) -> Skopeo:
    (tmp_path / "none.json").write_text("{}")
    return Skopeo(tmp_path, registry)


@pytest.mark.parametrize("platforms", [["amd64"], ["amd64", "arm64"]])
def test_what_is_pushed_is_what_skopeo_pulls(
    alice: Person, repository: images.Repository, skopeo: Skopeo, tmp_path: Path, platforms: list[str]
) -> None:
    made = sample.make("for push", platforms)
    source = f"oci:{layouts.layout(tmp_path / 'image', made)}"
    pushed = alice.notarypy("push", source, repository.ref("1"), "--json").expect(0).document["results"][0]
    assert (pushed["digest"], pushed["present"]) == (made.digest, 0)
    assert skopeo.blobs(repository.ref("1"), "back") == of(made)
    again = alice.notarypy("push", source, repository.ref("2"), "--json").expect(0).document["results"][0]
    assert (again["uploaded"], again["sent"]) == (0, 0)


def test_a_registry_that_takes_no_layer_with_urls(
    alice: Person, repository: images.Repository, tmp_path: Path
) -> None:
    layer = {"mediaType": layouts.OCI_LAYER, "digest": layouts.digest(b"layer"), "size": 5}
    made = layouts.image(b"layer", layers=[{**layer, "urls": ["https://example.com/layer"]}])
    source = f"oci:{layouts.layout(tmp_path / 'image', made)}"
    run = alice.notarypy("push", source, repository.ref("1")).expect(8)
    assert "a layer of which names URLs" in run.stderr
    assert "validation.manifests.urls.allow" in run.stderr


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_what_skopeo_wrote_is_pushed(
    alice: Person, repository: images.Repository, skopeo: Skopeo, tmp_path: Path, kind: str
) -> None:
    original = repository.push("1", media_type=images.OCI_MANIFEST)
    name = ":app:1" if kind == "docker-archive" else ":1"
    path = f"{kind}:{tmp_path}/made"
    skopeo.copy(f"docker://{repository.ref('1')}", f"{path}{name}").expect(0)
    run = alice.notarypy("push", path, repository.ref("2"), "--json").expect(0)
    back = skopeo.blobs(repository.ref("2"), "back")
    digest = run.document["results"][0]["digest"]
    assert digest.removeprefix("sha256:") in back
    first, second = (skopeo.blobs(repository.ref(tag), f"config {tag}") for tag in ("1", "2"))
    assert _config(first, original.digest) == _config(second, digest)
    if kind != "docker-archive":
        assert digest == original.digest


def _config(found: dict[str, bytes], digest: str) -> bytes:
    manifest = json.loads(found[digest.removeprefix("sha256:")])
    return found[manifest["config"]["digest"].removeprefix("sha256:")]


def test_what_docker_saved_is_pushed_and_runs_through_docker_again(
    alice: Person, repository: images.Repository, dockerd: str, tmp_path: Path
) -> None:
    alice.environment["DOCKER_HOST"] = dockerd
    repository.push("1", "for docker")
    alice.docker("pull", repository.ref("1")).expect(0)
    saved = tmp_path / "saved.tar"
    alice.docker("save", "-o", saved, repository.ref("1")).expect(0)
    run = alice.notarypy(
        "push", f"docker-archive:{saved}:{repository.ref('1')}", repository.ref("2"), "--json"
    )
    digest = run.expect(0).document["results"][0]["digest"]
    alice.docker("pull", f"{repository.name}@{digest}").expect(0)
    ids = [
        alice.docker("image", "inspect", "--format", "{{.Id}}", reference).expect(0).stdout
        for reference in (repository.ref("1"), f"{repository.name}@{digest}")
    ]
    assert ids[0] == ids[1]


def test_exactly_what_was_pushed_is_signed(
    alice: Person, bob: Person, repository: images.Repository, tmp_path: Path
) -> None:
    alice.own(repository.name)
    made = sample.make("to be signed")
    source = f"oci:{layouts.layout(tmp_path / 'image', made)}"
    assert (
        f"signed {repository.ref('1')} {made.digest}"
        in alice.notarypy("sign", "--push", source, repository.ref("1")).expect(0).stdout
    )
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert made.digest.removeprefix("sha256:") in bob.inspection(repository.ref("1"))


def test_who_may_not_sign_pushes_nothing(
    bob: Person, alice: Person, repository: images.Repository, tmp_path: Path
) -> None:
    alice.own(repository.name)
    source = f"oci:{layouts.layout(tmp_path / 'image')}"
    bob.notarypy("sign", "--push", source, repository.ref("1")).expect(6)
    bob.notarypy("verify", repository.ref("1")).expect(3)
    run = alice.notarypy("sign", repository.ref("1"), "--json").expect(3)
    assert run.document["results"][0]["error"]["code"] == "registry.not_found"


def test_an_interrupted_push_goes_on(
    alice: Person, repository: images.Repository, registry_front: Gateway, skopeo: Skopeo, tmp_path: Path
) -> None:
    made = layouts.image(b"first layer", BIG)
    source = f"oci:{layouts.layout(tmp_path / 'image', made)}"
    _trust_front(alice, registry_front)
    through = f"{registry_front.endpoint.host}/{repository.path}:1"
    registry_front.swallow = lambda method, _: method == "PATCH"
    failed = alice.notarypy("push", source, through, "--json").expect(8)
    assert failed.document["results"][0]["error"]["retryable"] is True
    registry_front.swallow = lambda _method, _path: False
    done = alice.notarypy("push", source, through, "--json").expect(0).document["results"][0]
    assert (done["uploaded"], done["present"]) == (1, 2)
    assert skopeo.blobs(repository.ref("1"), "back") == of(made)


def test_a_lost_connection_is_made_up_for(
    alice: Person, repository: images.Repository, registry_front: Gateway, skopeo: Skopeo, tmp_path: Path
) -> None:
    made = layouts.image(b"first layer", BIG)
    _trust_front(alice, registry_front)
    lost: list[str] = []

    def once(method: str, path: str) -> bool:
        if method not in lost and method in {"PATCH", "PUT", "POST"} and "/uploads/" in path:
            lost.append(method)
            return True
        return False

    registry_front.swallow = once
    through = f"{registry_front.endpoint.host}/{repository.path}:1"
    alice.notarypy("push", f"oci:{layouts.layout(tmp_path / 'image', made)}", through).expect(0)
    assert sorted(lost) == ["PATCH", "POST", "PUT"]
    assert skopeo.blobs(repository.ref("1"), "back") == of(made)


def test_a_large_layer_goes_on_after_the_last_chunk(
    alice: Person, repository: images.Repository, registry_front: Gateway, skopeo: Skopeo, tmp_path: Path
) -> None:
    made = layouts.image(LARGE)
    _trust_front(alice, registry_front)
    chunks: list[str] = []

    def second_once(method: str, path: str) -> bool:
        if method == "PATCH":
            chunks.append(path)
        return method == "PATCH" and len(chunks) == 2

    registry_front.swallow = second_once
    through = f"{registry_front.endpoint.host}/{repository.path}:1"
    alice.notarypy("push", f"oci:{layouts.layout(tmp_path / 'image', made)}", through).expect(0)
    ranges = [seen.headers["Content-Range"] for seen in registry_front.seen if seen.method == "PATCH"]
    ends = [0, 16 << 20, 32 << 20, len(LARGE)]
    first, second, third = (f"{start}-{end - 1}" for start, end in itertools.pairwise(ends))
    assert ranges == [first, second, second, third]
    assert skopeo.blobs(repository.ref("1"), "back") == of(made)


@pytest.mark.parametrize("kept", ["memory", "disk"])
def test_the_same_image_is_pushed_several_times_at_once(
    alice: Person,
    registry: services.Endpoint,
    disk_registry: services.Endpoint,
    unique: Callable[[], str],
    tmp_path: Path,
    kept: str,
) -> None:
    place = registry if kept == "memory" else disk_registry
    for number in range(ROUNDS):
        made = layouts.image(f"layer {number}".encode(), f"{number}".encode() + BIG, b"the same")
        source = f"oci:{layouts.layout(tmp_path / str(number), made)}"
        target = f"{place.host}/{unique()}-{number}:1"
        argv = [programs.find("notarypy"), "push", source, target, "--json"]
        running = [programs.start(argv, alice.environment) for _ in range(3)]
        for run in [programs.collect(process) for process in running]:
            assert run.expect(0).document["results"][0]["digest"] == made.digest


def _trust_front(someone: Person, front: Gateway) -> None:
    someone.trust("certs.d", front.endpoint)


def _signed(alice: Person, repository: images.Repository, tmp_path: Path, made: sample.Sample) -> None:
    """Sign an image under its name in the registry."""
    alice.own(repository.name)
    source = f"oci:{layouts.layout(tmp_path / 'image', made)}"
    alice.notarypy("sign", "--push", source, repository.ref("1")).expect(0)


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_what_is_pulled_is_what_skopeo_reads(
    alice: Person, bob: Person, repository: images.Repository, skopeo: Skopeo, tmp_path: Path, kind: str
) -> None:
    made = sample.make("for pull")
    _signed(alice, repository, tmp_path, made)
    out = f"{kind}:{tmp_path}/out"
    pulled = bob.notarypy("pull", repository.ref("1"), out).expect(0)
    assert pulled.stdout == f"{repository.name}@{made.digest}\n"
    skopeo.copy(f"{out}:1", f"oci:{tmp_path}/back:1").expect(0)
    assert files(tmp_path / "back") == of(made)
    one = bob.notarypy(
        "pull", "--platform", "linux/arm64", repository.ref("1"), f"oci:{tmp_path}/one"
    ).expect(0)
    assert "left out: linux/amd64" in one.stderr
    raw = skopeo("inspect", "--raw", f"oci:{tmp_path}/one:1").expect(0).stdout
    assert raw.encode() == made.manifests[1]


def test_skopeo_does_not_find_dockers_manifests_by_name_as_the_warning_says(
    alice: Person, bob: Person, repository: images.Repository, skopeo: Skopeo, tmp_path: Path
) -> None:
    made = repository.push("1", media_type=images.DOCKER_MANIFEST)
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    run = bob.notarypy("pull", repository.ref("1"), f"oci:{tmp_path}/out").expect(0)
    assert f"only as oci:{tmp_path}/out" in run.stderr
    assert skopeo("inspect", "--raw", f"oci:{tmp_path}/out:1").code != 0
    raw = skopeo("inspect", "--raw", f"oci:{tmp_path}/out").expect(0).stdout
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == made.digest
    again = bob.notarypy("push", f"oci:{tmp_path}/out:1", repository.ref("2"), "--json").expect(0)
    assert again.document["results"][0]["digest"] == made.digest


def test_a_registry_that_serves_something_else_fills_no_layout(
    alice: Person,
    bob: Person,
    repository: images.Repository,
    registry_front: Gateway,
    skopeo: Skopeo,
    tmp_path: Path,
) -> None:
    made = layouts.image(b"one layer", BIG)
    through = images.Repository(registry_front.endpoint, repository.path)
    _trust_front(alice, registry_front)
    _trust_front(bob, registry_front)
    _signed(alice, through, tmp_path, made)
    registry_front.rewrite = lambda path, body: (
        body[:-1] + b"X" if "/blobs/" in path and len(body) == len(BIG) else body
    )
    run = bob.notarypy("pull", through.ref("1"), f"oci:{tmp_path}/out").expect(4)
    assert "trust.digest_mismatch" in run.stderr
    bob.notarypy("pull", through.ref("1"), f"oci-archive:{tmp_path}/out.tar").expect(4)
    assert not (tmp_path / "out.tar").exists()
    assert skopeo.copy(f"oci:{tmp_path}/out:1", f"oci:{tmp_path}/back:1").code != 0
    registry_front.rewrite = lambda _path, body: body
    bob.notarypy("pull", through.ref("1"), f"oci:{tmp_path}/out").expect(0)
    assert files(tmp_path / "out") == of(made)


def test_a_signed_copy_is_one_that_all_clients_agree_on(
    alice: Person,
    bob: Person,
    repository: images.Repository,
    new_repository: Callable[[], images.Repository],
    skopeo: Skopeo,
    tmp_path: Path,
) -> None:
    made, target = sample.make("for copy"), new_repository()
    _signed(alice, repository, tmp_path, made)
    run = alice.notarypy("copy", "--sign", "--init", repository.ref("1"), target.ref("2"), "--json").expect(0)
    (done,) = run.document["results"]
    assert (done["digest"], done["signed"]["digest"]) == (made.digest, made.digest)
    assert (done["uploaded"], done["mounted"]) == (0, 3)
    assert bob.notarypy("verify", target.ref("2")).expect(0).stdout == f"{target.name}@{made.digest}\n"
    assert made.digest.removeprefix("sha256:") in bob.notary("lookup", target.name, "2").expect(0).stdout
    shown = json.loads(bob.inspection(target.ref("2")))
    assert [row["Digest"] for row in shown[0]["SignedTags"]] == [made.digest.removeprefix("sha256:")]
    assert skopeo.blobs(target.ref("2"), "back") == of(made)


def test_a_copy_between_registries(
    alice: Person,
    repository: images.Repository,
    registry_with_login: services.Endpoint,
    unique: Callable[[], str],
    tmp_path: Path,
) -> None:
    made = layouts.image(b"one layer", LARGE)
    _signed(alice, repository, tmp_path, made)
    alice.trust("certs.d", registry_with_login)
    alice.log_in(registry_with_login.host, services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    target = f"{registry_with_login.host}/{unique()}:1"
    done = alice.notarypy("copy", repository.ref("1"), target, "--json").expect(0).document["results"][0]
    assert (done["digest"], done["uploaded"], done["mounted"]) == (made.digest, 3, 0)
    bare = alice.notarypy("copy", repository.ref("1"), target, DOCKER_CONFIG=str(tmp_path / "empty"))
    assert bare.code != 0


@pytest.fixture(scope="module")
def disk_registry(workshop: Path) -> Iterator[services.Endpoint]:
    """Run a registry that keeps images on the disk."""
    directory = workshop / "registry-on-disk"
    with services.registry(directory, storage=directory / "data") as endpoint:
        yield endpoint


def test_large_images_cost_little_memory(
    alice: Person, disk_registry: services.Endpoint, unique: Callable[[], str], tmp_path: Path
) -> None:
    repository = images.Repository(disk_registry, unique())
    made = layouts.layout(tmp_path / "image", layouts.image(b"small"))
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as stream:
        stream.truncate(GIGABYTE)
    with sparse.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    sparse.rename(made / "blobs" / "sha256" / digest)
    _name_layer(made, digest)
    alice.own(repository.name)
    for words in (
        ("sign", "--push", f"oci:{made}", repository.ref("1")),
        ("pull", repository.ref("1"), f"oci:{tmp_path}/back"),
        ("copy", repository.ref("1"), f"{repository.name}-copied:1"),
    ):
        assert _memory(alice, *words) < LITTLE_MEMORY
    (pulled,) = [path for path in (tmp_path / "back" / "blobs" / "sha256").iterdir() if path.name == digest]
    assert pulled.stat().st_size == GIGABYTE


def _name_layer(directory: Path, digest: str) -> None:
    """Put a manifest with this one layer in the place of the one that the layout has."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": sample.MANIFEST,
        "config": layouts.entry(layouts.OCI_CONFIG, b"{}"),
        "layers": [{"mediaType": layouts.OCI_LAYER, "digest": f"sha256:{digest}", "size": GIGABYTE}],
    }
    layouts.layout(directory, sample.Sample((b"{}",), (), layouts.compact(manifest), sample.MANIFEST))


def _memory(someone: Person, *words: str) -> int:
    """Run notarypy to a good end; return the most memory that it had, in kB."""
    argv = [sys.executable, "-c", MEASURE, programs.find("notarypy"), *words]
    process = programs.start(argv, someone.environment)
    run = programs.collect(process, timeout=300).expect(0)
    return int(run.stderr.split()[-1])
