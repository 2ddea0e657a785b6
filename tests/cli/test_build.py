"""`build`: what the builder is started with, what stops it before, and what is signed afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST
from support.commands import written
from support.people import manifest
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

BASE, APP = f"{REGISTRY_HOST}/base", f"{REGISTRY_HOST}/app"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
# Notes what it is told and with which environment, keeps the file that it is to build, and says a digest.
SCRIPT = """#!/bin/sh
[ "$1 $2" = "buildx version" ] && exit {buildx}
{{ for word in "$0" "$@"; do echo "$word"; done; echo; }} >> {log}/argv
/usr/bin/env > {log}/environment
while [ $# -gt 0 ]; do
  case "$1" in
  --file | --dockerfile) /bin/cp "$2"* {log}; echo "$2" > {log}/where ;;
  --metadata-file) printf '{{"containerimage.digest": "%s"}}' "{digest}" > "$2" ;;
  --digestfile | --digest-file) printf "%s" "{digest}" > "$2" ;;
  esac
  shift
done
echo to standard output
exit {status}
"""


@dataclass
class Builders:
    """Programs that stand for builders.

    Attributes:
        log: Where they note what they are told.
        digest: What they say they have pushed.
    """

    programs: Path
    log: Path
    digest: str

    def install(self, *names: str, status: int = 0, buildx: int = 0) -> None:
        """Put programs where they are found."""
        for name in names:
            path = self.programs / name
            path.write_text(SCRIPT.format(log=self.log, digest=self.digest, status=status, buildx=buildx))
            path.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call."""
        file = self.log / "argv"
        text = file.read_text() if file.exists() else ""
        return [call.split("\n") for call in text.split("\n\n") if call]

    @property
    def dockerfile(self) -> str:
        """What was built."""
        return (self.log / "Dockerfile").read_text()


@pytest.fixture
def digest(run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the digest of `base:1`, which is signed; `base:2` is not, and `app` has trust data."""
    monkeypatch.setattr("notarypy.keys.pem.ROUNDS", 1000)
    found = fake.registry.push("base", "1", manifest("1"), OCI_MANIFEST)
    fake.registry.push("base", "2", manifest("2"), OCI_MANIFEST)
    run("init", BASE, APP).expect(0)
    run("sign", f"{BASE}:1").expect(0)
    return found


@pytest.fixture
def builders(home: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Builders:
    for name in ("bin", "log", "context"):
        (home / name).mkdir()
    monkeypatch.setenv("PATH", f"relative:{home / 'bin'}")
    return Builders(home / "bin", home / "log", fake.registry.push("app", "1", manifest("app"), OCI_MANIFEST))


def dockerfile(*lines: str, name: str = "context/Dockerfile") -> str:
    return written(Path(name), "\n".join([*lines, ""]))


def test_the_builder_gets_a_pinned_copy(run: Run, home: Path, builders: Builders, digest: str) -> None:
    builders.install("docker")
    dockerfile("ARG TAG", f"FROM {BASE}:$TAG AS x", "RUN true")
    dockerfile("secret", name="context/Dockerfile.dockerignore")
    outcome = run("build", "--", "--build-arg", "TAG=1", "-t", "mine", "context").expect(0)
    (call,) = builders.calls
    where = (builders.log / "where").read_text().strip()
    assert call == [
        str(home / "bin" / "docker"), "buildx", "build", "--file", where,
        "--build-arg", "TAG=1", "-t", "mine", "context",
    ]  # fmt: skip
    assert builders.dockerfile == f"ARG TAG\nFROM {BASE}:1@{digest} AS x\nRUN true\n"
    assert (builders.log / "Dockerfile.dockerignore").read_text() == "secret\n"
    assert not Path(where).is_relative_to(home / "context")
    assert not Path(where).exists()
    assert "@" not in Path("context/Dockerfile").read_text()
    assert outcome.out == f"context/Dockerfile:2: FROM {BASE}:1@{digest}\n".replace(
        "context", f"{home}/context"
    )


def test_nothing_secret_reaches_the_builder(
    run: Run, builders: Builders, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert digest
    builders.install("docker")
    for name in ("NOTARYPY_PASSPHRASE_JEFF", "NOTARY_ROOT_PASSPHRASE", "NOTARY_AUTH"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("KEPT", "kept")
    dockerfile(f"FROM {BASE}:1")
    run("build", "context").expect(0)
    environment = (builders.log / "environment").read_text()
    assert "KEPT=kept" in environment
    assert "hidden" not in environment
    assert "passphrase" not in environment.lower()
    assert "DOCKER_CONTENT_TRUST" not in environment


@pytest.mark.usefixtures("digest")
def test_an_unsigned_base_stops_it_before_the_builder_starts(run: Run, builders: Builders) -> None:
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1", f"FROM {BASE}:2")
    outcome = run("build", "context").expect(3)
    assert f"context/Dockerfile:2: {BASE}:2 is not signed" in outcome.err
    assert outcome.out == ""
    assert builders.calls == []


@pytest.mark.parametrize(
    ("name", "told", "pushed"),
    [
        ("buildx", ["docker buildx build --file F --metadata-file D --tag APP --push context"], 1),
        ("buildah", ["buildah build --file F --tag APP context", "buildah push --digestfile D APP"], 2),
        ("podman", ["podman build --file F --tag APP context", "podman push --digestfile D APP"], 2),
    ],
)
def test_what_was_built_is_pushed_and_signed(
    run: Run, builders: Builders, digest: str, *, name: str, told: list[str], pushed: int
) -> None:
    assert digest
    builders.install("docker", "buildah", "podman")
    dockerfile(f"FROM {BASE}:1")
    outcome = run("build", "--builder", name, "--sign", f"{APP}:1", "context").expect(0)
    assert outcome.out.splitlines()[-1] == f"signed {APP}:1 {builders.digest}"
    assert run("verify", f"{APP}:1").expect(0).out == f"{APP}@{builders.digest}\n"
    assert len(builders.calls) == pushed
    for call, wanted in zip(builders.calls, told, strict=True):
        words = [Path(call[0]).name, *call[1:]]
        for place, option in enumerate(words):
            if option in {"--file", "--metadata-file", "--digestfile"}:
                words[place + 1] = {"--file": "F"}.get(option, "D")
        assert " ".join(words).replace(f"{APP}:1", "APP") == wanted


def test_kaniko(
    run: Run, home: Path, builders: Builders, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from notarypy.client import builders as known

    builders.install("executor")
    kaniko = replace(known.BUILDERS["kaniko"], command=(str(home / "bin" / "executor"),))
    monkeypatch.setitem(known.BUILDERS, "kaniko", kaniko)
    dockerfile(f"FROM {BASE}:1")
    argv = ["--builder", "kaniko", "--sign", f"{APP}:1", "--", "--context", "dir://context"]
    run("build", *argv).expect(0)
    (call,) = builders.calls
    assert call[1] == "--dockerfile"
    assert call[3] == "--digest-file"
    assert call[5:] == ["--destination", f"{APP}:1", "--context", "dir://context"]
    assert builders.dockerfile == f"FROM {BASE}:1@{digest}\n"


@pytest.mark.usefixtures("digest")
def test_the_first_builder_that_is_here_is_taken(run: Run, builders: Builders) -> None:
    dockerfile(f"FROM {BASE}:1")
    assert "there is no builder here [build.failed]" in run("build", "context").expect(1).err
    builders.install("docker", "podman", buildx=1)
    run("build", "context").expect(0)
    assert [Path(call[0]).name for call in builders.calls] == ["podman"]
    assert "buildah is not here" in run("build", "--builder", "buildah", "context").expect(1).err


@pytest.mark.usefixtures("digest")
def test_a_builder_that_fails_is_1_and_named(run: Run, builders: Builders) -> None:
    builders.install("docker", status=7)
    dockerfile(f"FROM {BASE}:1")
    outcome = run("build", "--sign", f"{APP}:1", "context").expect(1)
    assert "docker buildx failed [build.failed]\n  why: it ended with status 7" in outcome.err
    run("verify", f"{APP}:1").expect(3)


@pytest.mark.usefixtures("digest")
def test_what_could_not_be_signed_is_not_built(run: Run, home: Path, builders: Builders) -> None:
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1")
    run("build", "--sign", f"{REGISTRY_HOST}/new:1", "context").expect(3)
    for key in (home / ".docker" / "trust" / "private").glob("*.key"):
        key.unlink()
    run("build", "--sign", f"{APP}:1", "context").expect(6)
    assert builders.calls == []


@pytest.mark.usefixtures("digest")
def test_a_signature_that_fails_after_the_push_tells_what_was_pushed(run: Run, builders: Builders) -> None:
    builders.digest = f"sha256:{'1' * 64}"
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1")
    outcome = run("build", "--sign", f"{APP}:1", "context").expect(3)
    assert f"{APP}:1 was pushed with {builders.digest}, and is not signed" in outcome.err


@pytest.mark.usefixtures("digest")
def test_a_builder_that_tells_no_digest_is_1(run: Run, builders: Builders) -> None:
    builders.digest = "latest"
    builders.install("docker", "buildah")
    dockerfile(f"FROM {BASE}:1")
    for name in ("buildx", "buildah"):
        outcome = run("build", "--builder", name, "--sign", f"{APP}:1", "context").expect(1)
        assert "does not say which digest it has pushed" in outcome.err


def test_images_as_build_contexts_are_pinned(run: Run, builders: Builders, digest: str) -> None:
    builders.install("docker")
    dockerfile("FROM scratch")
    context = f"tools=docker-image://{BASE}:1"
    run("build", "--", "--build-context", context, "--build-context=src=./src", "context").expect(0)
    assert f"{context}@{digest}" in builders.calls[0]
    run("build", "--", "--build-context", f"tools=docker-image://{BASE}:2", "context").expect(3)
    run("build", "--", "--build-context", f"tools=docker://{BASE}:2", "context").expect(3)
    assert len(builders.calls) == 1


def test_a_context_takes_the_place_of_an_image_of_its_name_and_tag(
    run: Run, builders: Builders, digest: str
) -> None:
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1", f"FROM {BASE}", "COPY --from=src a b")
    argv = ["--", "--build-context", f"{BASE}=./base", "--build-context=src=src", "context"]
    told = run("build", *argv).expect(0).err
    assert f"context/Dockerfile:2: {BASE} is NOT VERIFIED: a build context takes its place" in told
    assert "src is NOT VERIFIED" in told
    assert builders.dockerfile == f"FROM {BASE}:1@{digest}\nFROM {BASE}\nCOPY --from=src a b\n"
    run("build", "--", "--build-context", "src=a", "--build-context", "src=b", "context").expect(2)


def test_heredocs_that_would_name_images_need_a_builder_that_knows_them(
    run: Run, builders: Builders, digest: str
) -> None:
    assert digest
    builders.install("docker", "buildah")
    dockerfile(f"FROM {BASE}:1", "RUN <<EOF", f"FROM {BASE}:2", "EOF")
    refused = run("build", "--builder", "buildah", "context").expect(2)
    assert "context/Dockerfile:2: buildah may take images from this heredoc" in refused.err
    run("build", "--builder", "buildx", "context").expect(0)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--builder", "make", "context"],
        ["--", "-f", "other", "context"],
        ["--", "--file=other", "context"],
        ["--", "-qf", "other", "context"],
        ["--", "-tname", "context"],
        ["--", "--from", "alpine", "context"],
        ["--", "--build-arg-file=x", "context"],
        ["--", "--build-arg", "BUILDKIT_SYNTAX=evil:1", "context"],
        ["--", "https://example.com/repo.git"],
        ["--", "-"],
        ["--", "context", "-t", "mine"],
        ["--file", "missing", "context"],
        ["--file", "bad.in", "context"],
        ["--sign", f"{APP}@sha256:{'0' * 64}", "context"],
        ["--sign", APP, "--", "--metadata-file", "x", "context"],
        ["--builder", "docker", "--sign", APP, "context"],
        ["--builder", "buildah", "--sign", APP, "--", "--manifest", "x", "context"],
        ["--gun", "context"],
    ],
)
def test_what_makes_no_sense_is_2_before_the_builder_starts(
    run: Run, builders: Builders, argv: list[str]
) -> None:
    builders.install("docker", "buildah")
    dockerfile("FROM scratch")
    dockerfile("FROM scratch", name="bad.in")
    run("build", *argv).expect(2)
    assert builders.calls == []


def test_documents_fit_the_schema(run: Run, builders: Builders, digest: str) -> None:
    builders.install("docker")
    dockerfile("# syntax=docker/dockerfile:1", f"FROM {BASE}:1")
    good = run("--json", "build", "--sign", f"{APP}:1", "context").expect(0).document
    assert problems(good, SCHEMA) == []
    frontend, base, built = good["results"]
    assert frontend["left"] is not None
    assert base["digest"] == digest
    assert (built["ref"], built["builder"], built["digest"]) == (f"{APP}:1", "buildx", builders.digest)
    assert built["signed"]["tag"] == "1"
    dockerfile(f"FROM {BASE}:2")
    assert problems(run("--json", "build", "context").expect(3).document, SCHEMA) == []
