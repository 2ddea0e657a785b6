"""A real client of registries pushes to the devserver's and pulls from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from notarypy.devserver import sample
from notarypy.images.manifests import digest_of
from support import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.programs import Run


class Skopeo:
    """skopeo with a home of its own, which trusts one devserver."""

    def __init__(self, server: served.Process, home: Path) -> None:
        self.server = server
        self.home = home

    def __call__(self, *arguments: str) -> Run:
        environment = {"HOME": str(self.home), "DOCKER_CONFIG": str(self.server.directory / "docker")}
        environment["REGISTRY_AUTH_FILE"] = f"{environment['DOCKER_CONFIG']}/config.json"
        return programs.run(["skopeo", "--insecure-policy", *arguments], environment)

    def copy(self, source: str, destination: str) -> None:
        """Copy with all platforms."""
        certificates = self.server.directory / "docker" / "certs.d" / self.server.registry
        for_both = ("--src-cert-dir", str(certificates), "--dest-cert-dir", str(certificates))
        self("copy", "--all", *for_both, source, destination).expect(0)

    def image(self, path: str) -> str:
        """Return how skopeo refers to a repository."""
        return f"docker://{self.server.registry}/{path}"


@pytest.fixture(scope="module", params=["none", "basic", "token"])
def server(workshop: Path, request: pytest.FixtureRequest) -> Iterator[served.Process]:
    with served.devserver(workshop / f"devserver-{request.param}", "--auth", request.param) as process:
        if request.param == "none":
            (process.directory / "docker" / "config.json").write_text("{}")
        yield process


@pytest.fixture
def skopeo(server: served.Process, tmp_path: Path) -> Skopeo:
    return Skopeo(server, tmp_path)


def layout(directory: Path, made: sample.Sample) -> None:
    """Write an image as an OCI layout, tagged 1."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (*made.blobs, *made.manifests, made.top):
        (blobs / digest_of(data).removeprefix("sha256:")).write_bytes(data)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = {"mediaType": made.media_type, "digest": made.digest, "size": len(made.top)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "blobs" / "sha256").iterdir()}


@pytest.mark.parametrize("platforms", [["amd64"], ["amd64", "arm64"]])
def test_what_is_pushed_comes_back(skopeo: Skopeo, tmp_path: Path, platforms: list[str]) -> None:
    path = f"skopeo/{len(platforms)}"
    layout(tmp_path / "image", sample.make("for skopeo", platforms))
    skopeo.copy(f"oci:{tmp_path}/image:1", f"{skopeo.image(path)}:1")
    skopeo.copy(f"{skopeo.image(path)}:1", f"oci:{tmp_path}/back:1")
    assert files(tmp_path / "back") == files(tmp_path / "image")


def test_blobs_that_are_there_already_keep_their_size(skopeo: Skopeo, tmp_path: Path) -> None:
    layout(tmp_path / "image", sample.make("for skopeo again", ["amd64"]))
    archive = f"docker-archive:{tmp_path}/image.tar"
    skopeo("copy", f"oci:{tmp_path}/image:1", f"{archive}:app:1").expect(0)
    certificates = str(skopeo.server.directory / "docker" / "certs.d" / skopeo.server.registry)
    pushed = []
    for tag in ("1", "2"):  # the second time skopeo asks the registry for the size of what is there
        image = f"{skopeo.image('again')}:{tag}"
        skopeo("copy", "--dest-cert-dir", certificates, archive, image).expect(0)
        pushed.append(skopeo("inspect", "--raw", "--cert-dir", certificates, image).expect(0).document)
    assert pushed[0] == pushed[1]


def test_a_copy_within_the_registry_a_list_and_a_deletion(skopeo: Skopeo, tmp_path: Path) -> None:
    made = sample.make("for skopeo too")
    layout(tmp_path / "image", made)
    skopeo.copy(f"oci:{tmp_path}/image:1", f"{skopeo.image('first')}:1")
    skopeo.copy(f"{skopeo.image('first')}:1", f"{skopeo.image('second/one')}:2")
    skopeo.copy(f"{skopeo.image('first')}:1", f"{skopeo.image('second/one')}:3")
    certificates = str(skopeo.server.directory / "docker" / "certs.d" / skopeo.server.registry)
    listed = skopeo("list-tags", "--cert-dir", certificates, skopeo.image("second/one")).expect(0)
    assert listed.document["Tags"] == ["2", "3"]
    digest = skopeo("inspect", "--cert-dir", certificates, f"{skopeo.image('second/one')}:2").expect(0)
    assert digest.document["Digest"] == made.digest
    skopeo("delete", "--cert-dir", certificates, f"{skopeo.image('second/one')}:2").expect(0)
    gone = skopeo("inspect", "--cert-dir", certificates, f"{skopeo.image('second/one')}:2")
    assert gone.code != 0
