"""buildx with a real BuildKit: what it is given, what it says that it made, and the policy that it obeys."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import daemon, programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run


@pytest.fixture(scope="module")
def buildkit(workshop: Path) -> Iterator[str]:
    """Run a docker daemon whose BuildKit knows source policies, and return what DOCKER_HOST has to say."""
    with daemon.running(workshop / "buildkit.log", newer=True) as host:
        yield host


class Builder:
    """Somebody with docker, its plugin buildx, and a folder to build in."""

    def __init__(self, person: Person, host: str) -> None:
        self.person = person
        person.environment["DOCKER_HOST"] = host
        plugins = person.docker_config / "cli-plugins"
        plugins.mkdir()
        (plugins / "docker-buildx").symlink_to(programs.buildx())
        self.context = person.home / "context"
        self.context.mkdir()
        (self.context / "file").write_text("mine")

    def write(self, *lines: str) -> Path:
        """Write the Dockerfile."""
        path = self.context / "Dockerfile"
        path.write_text("\n".join([*lines, ""]))
        return path

    def buildx(self, *arguments: str | Path, **environment: str) -> Run:
        """Run `docker buildx build` on the folder."""
        return self.person.docker("buildx", "build", *arguments, self.context, **environment)

    def layers(self, reference: str) -> list[str]:
        """Return the layers of an image that the daemon has."""
        run = self.person.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", reference)
        layers: list[str] = json.loads(run.expect(0).stdout)
        return layers


@pytest.fixture
def builder(alice: Person, buildkit: str) -> Builder:
    return Builder(alice, buildkit)


@pytest.fixture
def base(builder: Builder, repository: Repository) -> Repository:
    """Return a repository of which the tag 1 is signed, and 2 is not."""
    repository.push("1", "signed")
    repository.push("2", "unsigned")
    builder.person.own(repository.name)
    builder.person.notarypy("sign", repository.ref("1")).expect(0)
    return repository


def indexed(archive: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = read(archive, "index.json")["manifests"]
    return entries


def read(archive: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    with tarfile.open(archive) as opened:
        member = opened.extractfile(name)
        assert member is not None
        return json.load(member)


def test_what_buildx_built_is_signed(
    builder: Builder, base: Repository, bob: Person, new_repository: Callable[[], Repository]
) -> None:
    result = new_repository()
    builder.person.notarypy("init", result.name).expect(0)
    builder.write(
        f"FROM {base.ref('1')} AS Base", "FROM base", "COPY <<END /here", "text", "END", "COPY file /"
    )
    run = builder.person.notarypy(
        "build", "--builder", "buildx", "--sign", result.ref("1"), "--json", "--", builder.context
    )
    digest = run.expect(0).document["results"][-1]["digest"]
    assert bob.notarypy("verify", result.ref("1")).expect(0).stdout == f"{result.name}@{digest}\n"
    builder.write(f"FROM {base.ref('2')}")
    argv = ("build", "--builder", "buildx", "--", "-t", "never", builder.context)
    assert "is not signed" in builder.person.notarypy(*argv).expect(3).stderr
    assert builder.person.docker("image", "inspect", "never").code == 1


def test_lines_that_only_a_release_without_heredocs_takes_for_instructions(
    builder: Builder, base: Repository
) -> None:
    """Of the first file docker 20.10 would build the unsigned image, and the second one it does not build."""
    argv = ("build", "--builder", "buildx", "--", "-t", "heredocs", builder.context)
    builder.write(f"FROM {base.ref('1')}", "COPY <<CMD /here", f"FROM {base.ref('2')}", "CMD")
    assert "such as EOF" in builder.person.notarypy(*argv).expect(2).stderr
    builder.write(f"FROM {base.ref('1')}", "COPY <<EOF /here", f"FROM {base.ref('2')}", "EOF")
    builder.person.notarypy(*argv).expect(0)


def test_the_digest_of_a_metadata_file_is_the_one_that_was_pushed(
    builder: Builder, bob: Person, repository: Repository, tmp_path: Path
) -> None:
    builder.person.notarypy("init", repository.name).expect(0)
    builder.write("FROM scratch", "COPY file /")
    said = tmp_path / "metadata.json"
    builder.buildx("--push", "--metadata-file", said, "-t", repository.ref("1")).expect(0)
    builder.person.notarypy("sign", "--digest-file", said, repository.ref("1")).expect(0)
    digest = json.loads(said.read_text())["containerimage.digest"]
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.name}@{digest}\n"


def test_an_image_without_layers(builder: Builder, bob: Person, repository: Repository) -> None:
    """BuildKit writes null for their list."""
    builder.write("FROM scratch", "LABEL nothing=more")
    builder.buildx("--push", "-t", repository.ref("1")).expect(0)
    builder.person.notarypy("sign", "--init", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_with_two_names_of_one_tag(
    builder: Builder, repository: Repository, tmp_path: Path, kind: str
) -> None:
    builder.write("FROM scratch", "COPY file /")
    made = tmp_path / "made.tar"
    names = ("-t", "one.test/app:1", "-t", "two.test/app:1")
    builder.buildx("-o", f"type={kind},dest={made}", *names).expect(0)
    entries = indexed(made)
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries] == ["1", "1"]
    sources = [f"docker-archive:{made}", f"docker-archive:{made}:two.test/app:1", f"oci-archive:{made}:1"]
    for source in (*sources, f"oci-archive:{made}:one.test/app:1", f"oci-archive:{made}:@1"):
        run = builder.person.notarypy("push", source, repository.ref("1"), "--json").expect(0)
        assert run.document["results"][0]["digest"] == entries[0]["digest"]
        assert run.document["warnings"] == []


def test_two_images_with_one_tag_that_docker_saved(
    builder: Builder, repository: Repository, tmp_path: Path
) -> None:
    names = ["one.test/app:1", "two.test/app:1"]
    for name in names:
        builder.write("FROM scratch", "COPY file /", f"LABEL is={name}")
        builder.buildx("-t", name).expect(0)
    saved = tmp_path / "saved.tar"
    builder.person.docker("save", "-o", saved, *names).expect(0)
    digests = {entry["annotations"]["io.containerd.image.name"]: entry["digest"] for entry in indexed(saved)}
    assert len(set(digests.values())) == 2
    places = {f"@{place}": entry["RepoTags"][0] for place, entry in enumerate(read(saved, "manifest.json"))}
    for name in (*names, *places):
        argv = ("push", f"docker-archive:{saved}:{name}", repository.ref("1"), "--json")
        pushed = builder.person.notarypy(*argv).expect(0).document["results"][0]["digest"]
        assert pushed == digests[places.get(name, name)]
    unclear = builder.person.notarypy("push", f"docker-archive:{saved}", repository.ref("1")).expect(2)
    assert all(f"{place} {name}" in unclear.stderr for place, name in places.items())


def test_a_source_policy_lets_the_signed_digest_through_and_nothing_else(
    builder: Builder, base: Repository, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    path = builder.write(f"FROM {base.ref('1')}", "COPY file /")
    printed = builder.person.notarypy("pin", "--format", "buildkit-policy", path).expect(0)
    policy.write_text(printed.stdout)
    obeying = {"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(policy)}
    builder.buildx("-t", "signed", **obeying).expect(0)

    builder.write(f"FROM {base.ref('2')}", "COPY file /")
    assert "denied by policy" in builder.buildx("-t", "never", **obeying).expect(1).stderr

    base.push("1", "the tag has moved")
    builder.write(f"FROM {base.ref('1')}", "COPY file /")
    builder.buildx("-t", "free", "--pull", "--no-cache").expect(0)
    builder.buildx("-t", "bound", "--pull", "--no-cache", **obeying).expect(0)
    signed, free, bound = (builder.layers(name)[0] for name in ("signed", "free", "bound"))
    assert bound == signed != free
