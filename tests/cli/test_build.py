"""`build`: what the builder is started with, what stops it before, and what is signed afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST, digest_of
from support.commands import written
from support.people import manifest, prepared
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

BASE, APP = f"{REGISTRY_HOST}/base", f"{REGISTRY_HOST}/app"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
PUSH = f"push --digestfile D {'e' * 64} docker://APP"
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
  --iidfile) printf "%s" "{image}" > "$2" ;;
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
        image: What they say they have built.
    """

    programs: Path
    log: Path
    digest: str
    image: str = f"sha256:{'e' * 64}"

    def install(self, *names: str, status: int = 0, buildx: int = 0) -> None:
        """Put programs where they are found."""
        for name in names:
            path = self.programs / name
            known = {"log": self.log, "digest": self.digest, "image": self.image}
            path.write_text(SCRIPT.format(**known, status=status, buildx=buildx))
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
def digest(run: Run, fake: Fake, home: Path) -> str:
    """Return the digest of `base:1`, which is signed; `base:2` is not, and `app` has trust data."""

    def make() -> None:
        for tag in "12":
            fake.registry.push("base", tag, manifest(tag), OCI_MANIFEST)
        run("init", BASE, APP).expect(0)
        run("sign", f"{BASE}:1").expect(0)

    prepared(fake, home, __name__, make)
    return digest_of(manifest("1"))


@pytest.fixture
def builders(home: Path, fake: Fake, digest: str, monkeypatch: pytest.MonkeyPatch) -> Builders:
    assert digest  # is made before there is anything here
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


def test_docker_without_buildx_is_told_before_anything_is_built(
    run: Run, builders: Builders, digest: str
) -> None:
    assert digest
    builders.install("docker", buildx=1)
    dockerfile(f"FROM {BASE}:1")
    outcome = run("build", "--builder", "buildx", "context").expect(1)
    assert "docker has no buildx here" in outcome.err
    assert "docker-buildx" in outcome.err
    run("build", "--builder", "docker", "context").expect(0)
    assert [call[1] for call in builders.calls] == ["build"]


def test_what_an_older_buildkit_would_build_is_not_built(run: Run, builders: Builders, digest: str) -> None:
    """docker 20.10 takes the lines of a heredoc for instructions; one of them names an unsigned image."""
    assert digest
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1", "COPY <<CMD /file", f"FROM {BASE}:2", "CMD")
    outcome = run("build", "context").expect(2)
    assert "such as EOF" in outcome.err
    assert builders.calls == []
    dockerfile(f"FROM {BASE}:1", "COPY <<EOF /file", f"FROM {BASE}:2", "EOF")
    run("build", "context").expect(0)


def test_heredocs_are_for_buildkit(run: Run, builders: Builders, digest: str) -> None:
    assert digest
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:1", "COPY <<END /file", "text", "END")
    outcome = run("build", "--builder", "buildah", "context").expect(2)
    assert "notarypy pin --in-place FILE" in outcome.err
    assert builders.calls == []


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


@pytest.mark.usefixtures("digest")
def test_a_policy_that_is_named_counts(run: Run, home: Path, builders: Builders) -> None:
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1")
    (home / "policy.toml").write_text('[scope."elsewhere.test"]\nmode = "skip"\n')
    assert "policy.no_scope" in run("build", "--policy", home / "policy.toml", "context").expect(10).err
    assert builders.calls == []


@pytest.mark.parametrize(
    ("name", "told", "pushed"),
    [
        ("buildx", ["docker buildx build --file F --metadata-file D --tag APP --push context"], 1),
        ("buildah", ["buildah build --file F --iidfile D --tag APP context", f"buildah {PUSH}"], 2),
        ("podman", ["podman build --file F --iidfile D --tag APP context", f"podman {PUSH}"], 2),
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
            if option in {"--file", "--metadata-file", "--digestfile", "--iidfile"}:
                words[place + 1] = {"--file": "F"}.get(option, "D")
        assert " ".join(words).replace(f"{APP}:1", "APP") == wanted


def test_kaniko(
    run: Run, home: Path, builders: Builders, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from notarypy.client.build import builders as known

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
    assert builders.dockerfile == f"FROM {BASE}:1@{digest} AS s0\n"


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


def test_other_builders_get_a_file_that_can_be_read_in_one_way(
    run: Run, builders: Builders, digest: str
) -> None:
    builders.install("buildah")
    dockerfile(
        "# check=skip=all",
        "# syntax=docker/dockerfile:1",
        "ARG T=1",
        f"FROM {BASE}:$T AS Tools",
        "RUN echo \\",
        "# no instruction",
        "  FROM somewhere",
        "FROM tools",
        "COPY --from=TOOLS a b",
        "COPY --from=0 a b",
        f"RUN --mount=type=bind,target=/x,From=Tools --mount=from={BASE}:1 true",
    )
    run("build", "--builder", "buildah", "--", "--target", "tools", "context").expect(0)
    assert builders.dockerfile.splitlines() == [
        "ARG T=1",
        f"FROM {BASE}:1@{digest} AS s0",
        "RUN echo   FROM somewhere",
        "FROM s0 AS s1",
        "COPY --from=s0 a b",
        "COPY --from=s0 a b",
        f"RUN --mount=type=bind,target=/x,from=s0 --mount=from={BASE}:1@{digest} true",
    ]
    assert builders.calls[0][-3:] == ["--target", "s0", "context"]
    run("build", "--builder", "buildah", "--", "--target=1", "context").expect(0)
    assert builders.calls[1][-2:] == ["--target=s1", "context"]
    assert "no stage" in run("build", "--builder", "buildah", "--", "--target=x", "context").expect(2).err


@pytest.mark.parametrize(
    "lines",
    [
        ["RUN <<EOF", f"FROM {BASE}:2", "EOF"],
        ["RUN <<EOF", "FR\\", f"OM {BASE}:2", "EOF"],
        ["RUN echo $((1<<2))"],
        ["CMD echo \\\\", f"FROM {BASE}:1 AS tools"],
        [f"ONBUILD COPY --from={BASE}:1 a b"],
        ["COPY --from=scratch a b"],
        ["ARG X=/x", "RUN --mount=type=bind,target=$X true"],
    ],
)
@pytest.mark.usefixtures("digest")
def test_what_cannot_be_written_so_is_for_buildkit_alone(
    run: Run, builders: Builders, lines: list[str]
) -> None:
    builders.install("docker", "buildah", "podman")
    dockerfile(f"FROM {BASE}:1", *lines)
    for name in ("buildah", "podman"):
        refused = run("build", "--builder", name, "context").expect(2)
        assert "builders other than BuildKit may take other images here" in refused.err
        assert "--builder buildx" in refused.err
    assert builders.calls == []
    run("build", "--builder", "buildx", "context").expect(0)
    assert "AS s0" not in builders.dockerfile


@pytest.mark.usefixtures("digest")
def test_a_context_with_the_name_of_a_stage_is_for_buildkit_alone(run: Run, builders: Builders) -> None:
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:1 AS tools", "FROM scratch", "COPY --from=tools a b")
    for name in ("Tools", "0"):
        argv = ["--", "--build-context", f"{name}=./x", "context"]
        assert "is a stage and a build context" in run("build", "--builder", "buildah", *argv).expect(2).err
    assert builders.calls == []


@pytest.mark.usefixtures("digest")
def test_the_push_gets_what_tells_the_store_and_the_registry(run: Run, builders: Builders) -> None:
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:1")
    told = ["--root", "/r", "--storage-driver=vfs", "--tls-verify=false", "--cert-dir", "c"]
    argv = ["--builder", "buildah", "--sign", f"{APP}:1", "--", "--layers", *told, "-q", "context"]
    run("build", *argv).expect(0)
    pushed = builders.calls[1]
    assert pushed[1:7] == ["push", *told[:-1]]
    assert pushed[-2:] == ["e" * 64, f"docker://{APP}:1"]


@pytest.mark.parametrize("image", ["", "latest", "sha256:1"])
@pytest.mark.usefixtures("digest")
def test_without_an_image_that_was_built_nothing_is_pushed(run: Run, builders: Builders, image: str) -> None:
    """A builder can do well and build nothing, as with --help: an older image has the tag then."""
    builders.image = image
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:1")
    argv = ["--builder", "buildah", "--sign", f"{APP}:1", "--", "--help", "context"]
    assert "does not say which image it has built" in run("build", *argv).expect(1).err
    assert len(builders.calls) == 1
    run("verify", f"{APP}:1").expect(3)


@pytest.mark.parametrize(
    "platforms",
    [["--platform", "linux/amd64,linux/arm64"], ["--platform=a/b", "--platform=c/d"], ["--all-platforms"]],
)
@pytest.mark.usefixtures("digest")
def test_one_image_is_signed_or_none(run: Run, builders: Builders, platforms: list[str]) -> None:
    builders.install("podman")
    dockerfile(f"FROM {BASE}:1")
    argv = ["--builder", "podman", "--sign", f"{APP}:1", "--", *platforms, "context"]
    assert "makes several images of several platforms" in run("build", *argv).expect(2).err
    assert builders.calls == []


@pytest.mark.usefixtures("digest")
def test_a_configuration_without_logins_has_none(
    run: Run, home: Path, builders: Builders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buildah fails if DOCKER_CONFIG names a directory without a file; docker takes it for empty."""
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:1")
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "empty"))
    run("build", "--builder", "buildah", "context").expect(0)
    assert "REGISTRY_AUTH_FILE=" in (builders.log / "environment").read_text()
    written(home / "empty" / "config.json", "{}")
    run("build", "--builder", "buildah", "context").expect(0)
    assert "REGISTRY_AUTH_FILE=" not in (builders.log / "environment").read_text()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
@pytest.mark.usefixtures("digest")
def test_being_told_to_end_ends_all_of_the_builder_and_leaves_nothing(
    run: Run, builders: Builders, name: str
) -> None:
    builders.install("docker")
    path, fifo = builders.programs / "docker", builders.log / "fifo"
    os.mkfifo(fifo)
    alive = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    waiting = f"{{ echo begun; exec /bin/sleep 300; }} > {fifo} & kill -{name} $PPID; wait; echo"
    path.write_text(path.read_text().replace("echo to standard", waiting))
    dockerfile(f"FROM {BASE}:1")
    try:
        run("build", "--builder", "buildx", "context").expect(128 + signal.Signals[f"SIG{name}"])
        for wanted in ((b"begun\n", b""), (b"",)):  # at last nobody holds the other end any more
            select.select([alive], [], [], 10)  # what was killed may take a moment to be gone
            assert os.read(alive, 10) in wanted
    finally:
        os.close(alive)
    assert not Path((builders.log / "where").read_text().strip()).parent.exists()


@pytest.mark.usefixtures("digest")
def test_being_told_to_end_while_the_builder_starts_ends_it_too(
    run: Run, builders: Builders, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.install("docker")
    path, real, started = builders.programs / "docker", subprocess.Popen, []
    path.write_text(path.read_text().replace("echo to standard", "exec /bin/sleep 300; echo"))

    def popen(command: list[str], **how: Any) -> Any:  # noqa: ANN401 - of text or bytes, as asked for
        process = real(command, **how)
        if "context" in command:
            started.append(process)
            signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", popen)
    dockerfile(f"FROM {BASE}:1")
    run("build", "--builder", "buildx", "context").expect(128 + signal.SIGTERM)
    assert [process.poll() for process in started] == [-signal.SIGTERM]


@pytest.mark.usefixtures("digest")
def test_a_context_takes_the_place_of_no_other_digest(run: Run, builders: Builders) -> None:
    """BuildKit looks for a context by the whole name, and takes the image if there is none."""
    builders.install("docker")
    dockerfile(f"FROM {BASE}:latest@sha256:{'0' * 64}")
    run("build", "--", "--build-context", f"{BASE}=./base", "context").expect(3)
    assert not builders.calls


@pytest.mark.usefixtures("digest")
def test_contexts_of_buildah_have_the_very_name_that_is_written(run: Run, builders: Builders) -> None:
    builders.install("buildah")
    dockerfile("FROM scratch", f"COPY --from={BASE}:latest a b")
    argv = ["build", "--builder", "buildah", "--", "--build-context"]
    run(*argv, f"{BASE}=./base", "context").expect(3)
    run(*argv, f"{BASE}:latest=./base", "context").expect(0)
    assert builders.dockerfile == f"FROM scratch AS s0\nCOPY --from={BASE}:latest a b\n"


@pytest.mark.usefixtures("digest")
def test_a_base_for_buildah_is_replaced_by_an_image_alone(run: Run, builders: Builders) -> None:
    builders.install("buildah")
    dockerfile(f"FROM {BASE}:2")
    argv = ["build", "--builder", "buildah", "--", "--build-context"]
    run(*argv, f"{BASE}:2=./base", "context").expect(3)
    run(*argv, f"{BASE}:2=docker-image://{BASE}:1", "context").expect(0)
    assert builders.dockerfile == f"FROM {BASE}:2 AS s0\n"


@pytest.mark.usefixtures("digest")
def test_no_context_takes_the_place_of_what_reads_the_file(run: Run, builders: Builders) -> None:
    builders.install("docker")
    dockerfile("# syntax=tools", f"FROM {BASE}:1")
    run("build", "--strict", "--", "--build-context", "tools=./tools", "context").expect(3)
    assert not builders.calls


@pytest.mark.usefixtures("digest")
def test_several_platforms_in_several_options_are_none(run: Run, builders: Builders) -> None:
    """A name that is a stage for one of them would be an image for the other."""
    builders.install("docker")
    dockerfile(f"FROM {BASE}:1 AS tools-arm64", "FROM tools-$TARGETARCH")
    argv = ["--platform", "linux/amd64", "--platform", "linux/arm64", "context"]
    assert "TARGETARCH has no value" in run("build", "--", *argv).expect(2).err
    run("build", "--", *argv[2:]).expect(0)


def test_nothing_that_is_an_image_is_left_to_variables(run: Run, builders: Builders, digest: str) -> None:
    builders.install("docker")
    dockerfile(f"ARG BASE={BASE}:1@{digest}", "FROM $BASE")
    run("build", "context").expect(0)
    assert builders.dockerfile == f"ARG BASE={BASE}:1@{digest}\nFROM {BASE}:1@{digest}\n"


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
