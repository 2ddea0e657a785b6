"""`pin` against the fake servers: what is written and printed, and what stops it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST, digest_of
from support.commands import written
from support.people import manifest, prepared
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

BASE, TOOLS = f"{REGISTRY_HOST}/base", f"{REGISTRY_HOST}/tools"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture
def digest(run: Run, fake: Fake, home: Path) -> str:
    """Return the digest of `base:1`, which is signed; `base:2` and all of `tools` are not."""

    def make() -> None:
        for tag in "12":
            fake.registry.push("base", tag, manifest(tag), OCI_MANIFEST)
        run("init", BASE).expect(0)
        run("sign", f"{BASE}:1").expect(0)

    prepared(fake, home, __name__, make)
    return digest_of(manifest("1"))


def dockerfile(home: Path, *lines: str, name: str = "Dockerfile") -> str:
    written(home / name, "\n".join([*lines, ""]))
    return name


def test_the_result_goes_to_standard_output_and_the_file_stays(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, "# a base", f"FROM {BASE}:1 AS x", "RUN true", "FROM x")
    outcome = run("pin", path).expect(0)
    assert outcome.out == f"# a base\nFROM {BASE}:1@{digest} AS x\nRUN true\nFROM x\n"
    assert outcome.err == ""
    assert "@" not in (home / path).read_text()


def test_a_name_without_a_tag_follows_latest(run: Run, home: Path, fake: Fake, digest: str) -> None:
    fake.registry.push("base", "latest", manifest("1"), OCI_MANIFEST)
    run("sign", f"{BASE}:latest").expect(0)
    assert run("pin", dockerfile(home, f"FROM {BASE}")).expect(0).out == f"FROM {BASE}:latest@{digest}\n"


@pytest.mark.usefixtures("digest")
def test_an_unsigned_base_is_3_with_its_line_and_nothing_is_printed(run: Run, home: Path) -> None:
    path = dockerfile(home, f"FROM {BASE}:1", f"COPY --from={BASE}:2 a b", f"COPY --from={TOOLS} a b")
    outcome = run("pin", path).expect(3)
    assert outcome.out == ""
    assert f"notarypy: error: Dockerfile:2: {BASE}:2 is not signed [trust.tag_unsigned]" in outcome.err
    assert f"notarypy: error: Dockerfile:3: {TOOLS} has no trust data" in outcome.err


def test_in_place_writes_all_files_or_none(run: Run, home: Path, digest: str) -> None:
    one, two = dockerfile(home, f"FROM {BASE}:1"), dockerfile(home, f"FROM {BASE}:2", name="Two")
    run("pin", "--in-place", one, two).expect(3)
    assert "@" not in (home / one).read_text()
    dockerfile(home, f"FROM {BASE}:1", name="Two")
    (home / "Two").chmod(0o640)
    (home / "link").symlink_to("Two")
    outcome = run("pin", "--in-place", one, "link").expect(0)
    assert outcome.out == f"{one}:1: FROM {BASE}:1@{digest}\nlink:1: FROM {BASE}:1@{digest}\n"
    assert (home / one).read_text() == (home / "Two").read_text() == f"FROM {BASE}:1@{digest}\n"
    assert (home / "Two").stat().st_mode & 0o777 == 0o640
    assert (home / "link").is_symlink()


def test_what_is_pinned_already_stays_to_the_byte(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, f"FROM {BASE}:1@{digest}", f"COPY --from={BASE}@{digest} a b")
    before = (home / path).stat()
    run("pin", "--in-place", path).expect(0)
    assert (home / path).stat().st_ino == before.st_ino
    assert run("pin", "--diff", path).expect(0).out == ""
    run("pin", "--check", path).expect(0)


def test_a_tag_that_was_signed_anew_is_pinned_anew(run: Run, home: Path, fake: Fake, digest: str) -> None:
    path = dockerfile(home, f"FROM {BASE}:1@{digest}")
    new = fake.registry.push("base", "1", manifest("new"), OCI_MANIFEST)
    run("sign", f"{BASE}:1").expect(0)
    assert "is signed with another digest" in run("pin", "--check", path).expect(4).err
    told = run("pin", "--in-place", path).expect(0)
    assert told.out == f"Dockerfile:1: FROM {BASE}:1@{new} was {digest}\n"
    run("pin", "--check", path).expect(0)


@pytest.mark.usefixtures("digest")
def test_a_digest_that_nobody_signed_is_3(run: Run, home: Path) -> None:
    path = dockerfile(home, f"FROM {BASE}@sha256:{'0' * 64}")
    run("pin", "--check", path).expect(3)
    run("pin", path).expect(3)


def test_check_writes_nothing_and_tells_what_is_not_pinned(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, f"FROM {BASE}:1")
    outcome = run("pin", "--check", path).expect(0)
    assert outcome.out == f"Dockerfile:1: FROM {BASE}:1@{digest}\n"
    assert f"Dockerfile:1: {BASE}:1 is signed, and not pinned" in outcome.err
    assert "@" not in (home / path).read_text()


@pytest.mark.usefixtures("digest")
def test_a_strict_check_requires_digests(run: Run, home: Path) -> None:
    path = dockerfile(home, f"FROM {BASE}:1")
    error = run("pin", "--check", "--strict", path).expect(10).err
    assert "is signed, and not pinned [policy.unpinned]" in error
    assert "notarypy pin --in-place Dockerfile" in error
    run("pin", "--in-place", path).expect(0)
    run("pin", "--check", "--strict", path).expect(0)


def test_a_digest_that_variables_give_does_not_stand_there(run: Run, home: Path, digest: str) -> None:
    pinned = f"{BASE}:1@{digest}"
    compose = written(home / "c.yaml", f"services: {{a: {{image: '${{IMG:-{pinned}}}'}}}}\n")
    for path in (compose, dockerfile(home, f"ARG B={pinned}", "FROM $B")):
        assert "only while its variables say so" in run("pin", "--check", path).expect(0).err
        assert "[policy.unpinned]" in run("pin", "--check", "--strict", path).expect(10).err


def test_one_file_does_not_hide_another_from_a_strict_check(run: Run, home: Path, digest: str) -> None:
    text = f"{{kind: Pod, apiVersion: v1, spec: {{containers: [{{image: '{BASE}:1@{digest}'}}]}}}}\n"
    good = written(home / "good.yaml", text)
    for other in ("# nothing\n", "services: {a: {ports: []}}\n", "services: {a: {image: !reset x:1}}\n"):
        bare = written(home / "bare.yaml", other)
        assert "bare.yaml" in run("pin", "--check", good, bare).expect(0).err
        assert "[operation.nothing]" in run("pin", "--check", "--strict", good, bare).expect(12).err


def test_what_a_file_has_wrong_is_to_be_mended_there(run: Run, home: Path) -> None:
    template = "services: {a: {image: '{{ .Values.image }}'}}\n"
    assert "fix: render it first" in run("pin", written(home / "c.yaml", template)).expect(2).err
    written(home / "c.yaml", "services: {a: {image: 'a b'}}\n")
    assert "fix: mend what stands at c.yaml:1" in run("pin", "c.yaml").expect(2).err


@pytest.mark.usefixtures("digest")
def test_a_check_that_looked_at_nothing_is_12(run: Run, home: Path) -> None:
    odd = written(home / "odd.yaml", "apiVersion: a.example/v1\nkind: App\nspec: {base: x}\n")
    empty = written(home / "empty.yaml", "# nothing yet\n")
    run("pin", "--check", "--format", "k8s", empty).expect(12)
    built = written(home / "built.yaml", "services: {a: {build: .}}\n")
    for path in (odd, empty, built, dockerfile(home, "# syntax=docker/dockerfile:1", "FROM scratch")):
        assert "not one image was verified [operation.nothing]" in run("pin", "--check", path).expect(12).err
        run("pin", path).expect(0)
    written(
        home / "k.yaml", f"{{kind: Pod, apiVersion: v1, spec: {{containers: [{{image: '{BASE}:1'}}]}}}}\n"
    )
    run("pin", "--check", "k.yaml", odd, empty).expect(0)
    run("pin", "--check", "--skip", f"{BASE}:1", "k.yaml").expect(0)
    run("pin", "--check", dockerfile(home, "FROM scratch")).expect(0)


def test_a_manifest_is_larger_than_a_dockerfile_may_be(run: Run, home: Path, digest: str) -> None:
    words = "kind: ConfigMap\napiVersion: v1\ndata:\n  text: |\n" + "    a line of words\n" * 100_000
    pod = f"apiVersion: v1\nkind: Pod\nspec: {{containers: [{{image: '{BASE}:1'}}]}}\n"
    path = written(home / "k.yaml", f"{words}---\n{pod}")
    assert f"{BASE}:1@{digest}" in run("pin", path).expect(0).out
    assert "too big" in run("pin", "--format", "dockerfile", path).expect(2).err


def test_the_difference(run: Run, home: Path, digest: str) -> None:
    outcome = run("pin", "--diff", dockerfile(home, f"FROM {BASE}:1", "RUN true")).expect(0)
    assert outcome.out.splitlines() == [
        "--- a/Dockerfile",
        "+++ b/Dockerfile",
        "@@ -1,2 +1,2 @@",
        f"-FROM {BASE}:1",
        f"+FROM {BASE}:1@{digest}",
        " RUN true",
    ]


def test_what_is_skipped_is_said_out_loud(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, f"FROM {BASE}:1", f"COPY --from={TOOLS}:1 a b")
    outcome = run("pin", "--skip", TOOLS, "--skip", "alpine", path).expect(0)
    assert outcome.out == f"FROM {BASE}:1@{digest}\nCOPY --from={TOOLS}:1 a b\n"
    assert f"Dockerfile:2: {TOOLS}:1 is NOT VERIFIED: --skip {TOOLS}" in outcome.err
    assert "nothing names alpine, which was to be skipped" in outcome.err
    assert f"{TOOLS}:1 is NOT VERIFIED" in run("pin", "-q", "--skip", TOOLS, path).expect(0).err


def test_the_trust_policy_counts(run: Run, home: Path, digest: str) -> None:
    policy = home / ".config" / "notarypy" / "policy.toml"
    policy.parent.mkdir(parents=True)
    policy.write_text(f'[scope."{BASE}"]\nfirst_use = true\n[scope."{TOOLS}"]\nmode = "skip"\n')
    path = dockerfile(home, f"FROM {BASE}:1", f"COPY --from={TOOLS}:1 a b")
    outcome = run("pin", path).expect(0)
    assert outcome.out == f"FROM {BASE}:1@{digest}\nCOPY --from={TOOLS}:1 a b\n"
    assert "is NOT VERIFIED: " in outcome.err
    dockerfile(home, f"FROM {REGISTRY_HOST}/other:1")
    assert "policy.no_scope" in run("pin", path).expect(10).err
    (home / "other.toml").write_text('[scope."*"]\nfirst_use = true\n')
    dockerfile(home, f"FROM {TOOLS}:1")
    run("pin", "--policy", policy, path).expect(0)
    assert f"error: the trust policy {home / 'none.toml'} cannot be read" in (
        run("pin", "--policy", home / "none.toml", path).expect(2).err
    )
    assert "repo_missing" in run("pin", "--policy", home / "other.toml", path).expect(3).err


@pytest.mark.usefixtures("digest")
def test_a_frontend_is_named_and_left_alone_unless_strict(run: Run, home: Path) -> None:
    path = dockerfile(home, f"# syntax={TOOLS}:1", "FROM scratch")
    outcome = run("pin", path).expect(0)
    assert outcome.out == f"# syntax={TOOLS}:1\nFROM scratch\n"
    assert f"Dockerfile:1: {TOOLS}:1 is NOT VERIFIED" in outcome.err
    run("pin", "--strict", path).expect(3)


def test_with_strict_a_signed_frontend_is_pinned(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, f"# syntax={BASE}:1", "FROM scratch")
    assert run("pin", "--strict", path).expect(0).out == f"# syntax={BASE}:1@{digest}\nFROM scratch\n"


def test_variables_are_replaced_and_told(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(home, "ARG TAG=2", f"FROM {BASE}:$TAG")
    outcome = run("pin", "--build-arg", "TAG=1", path).expect(0)
    assert outcome.out == f"ARG TAG=2\nFROM {BASE}:1@{digest}\n"
    assert "whatever its variables say" in outcome.err
    run("pin", path).expect(3)


@pytest.mark.usefixtures("digest")
def test_images_that_only_older_builders_see_are_told(run: Run, home: Path) -> None:
    path = dockerfile(home, f"FROM {BASE}:1", "RUN <<EOF", f"FROM {BASE}:2", "EOF")
    told = run("pin", path).expect(0).err
    assert "Dockerfile:2: builders other than BuildKit may take other images here" in told


def test_one_look_at_each_repository(run: Run, home: Path, fake: Fake, digest: str) -> None:
    path = dockerfile(home, *[f"FROM {BASE}:1"] * 5, f"FROM {BASE}@{digest}")
    fake.requests.clear()
    run("pin", path).expect(0)
    asked = [line for line in fake.lines() if "timestamp" in line]
    assert len(asked) == 1


def test_a_source_policy(run: Run, home: Path, digest: str) -> None:
    path = dockerfile(
        home, "# syntax=docker/dockerfile:1", f"FROM {BASE}:1", f"COPY --from={BASE}@{digest} / /"
    )
    policy = json.loads(run("pin", "--format", "buildkit-policy", path).expect(0).out)
    full = f"docker-image://{BASE}:1@{digest}"
    assert policy == {
        "version": 1,
        "rules": [
            {"action": "DENY", "selector": {"identifier": "^docker-image://", "match_type": "REGEX"}},
            {
                "action": "CONVERT",
                "selector": {"identifier": f"docker-image://{BASE}:1", "match_type": "WILDCARD"},
                "updates": {"identifier": full},
            },
            {"action": "ALLOW", "selector": {"identifier": full, "match_type": "EXACT"}},
            {
                "action": "ALLOW",
                "selector": {"identifier": f"docker-image://{BASE}@{digest}", "match_type": "EXACT"},
            },
            {
                "action": "ALLOW",
                "selector": {
                    "identifier": r"^docker-image://docker\.io/docker/dockerfile:1(@sha256:[0-9a-f]{64})?$",
                    "match_type": "REGEX",
                },
            },
        ],
    }


def test_compose_and_manifests(run: Run, home: Path, digest: str) -> None:
    compose = written(
        home / "compose.yaml",
        f"services:  # two\n  a: {{image: '{BASE}:${{TAG:-1}}'}}\r\n  b:\n    build: ./b\n    image: mine\n",
    )
    pod = written(
        home / "pod.yml", f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {BASE}:1 # x\n"
    )
    outcome = run("pin", "--in-place", compose, pod).expect(0)
    assert f"'{BASE}:1@{digest}'}}\r\n  b:\n    build: ./b\n    image: mine\n" in (
        (home / "compose.yaml").read_bytes().decode()
    )
    assert (home / "pod.yml").read_text().endswith(f"  - image: {BASE}:1@{digest} # x\n")
    assert "b is built: the images to pin are in ./b/Dockerfile" in outcome.err
    run("pin", "--check", compose, pod).expect(0)


def test_what_is_not_known_is_told_and_refused_when_nothing_is_left_alone(
    run: Run, home: Path, digest: str
) -> None:
    text = f"apiVersion: v1\nkind: Pod\nspec: {{containers: [{{image: '{BASE}:1@{digest}'}}]}}\n---\n"
    path = written(home / "k.yaml", f"{text}apiVersion: a.example/v1\nkind: App\nspec: {{base: x}}\n")
    for options in ((), ("--check",)):
        told = run("pin", *options, path).expect(0).err
        assert 'k.yaml:5: the kind "App" of a.example is not known' in told
        run("pin", "--strict", *options, path).expect(2)
    written(home / "c.yaml", "services: {}\nmodels: {a: {model: b}}\n")
    run("pin", "c.yaml").expect(0)
    run("pin", "--strict", "c.yaml").expect(2)


def test_json_is_a_manifest_too(run: Run, home: Path, digest: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": f"{BASE}:1"}]}}
    path = written(home / "pod.JSON", json.dumps(pod, indent=2))
    found = json.loads(run("pin", path).expect(0).out)
    assert found["spec"]["containers"] == [{"image": f"{BASE}:1@{digest}"}]


@pytest.mark.usefixtures("digest")
def test_a_pipe_is_for_standard_input(run: Run, home: Path) -> None:
    os.mkfifo(home / "pipe")
    assert "pipe is no regular file" in run("pin", "pipe").expect(2).err


def test_bytes_that_are_no_text_stay(run: Run, home: Path, digest: str) -> None:
    path = written(home / "Dockerfile", b"# caf\xe9\nFROM %s:1\r\n" % BASE.encode())
    run("pin", "--in-place", path).expect(0)
    assert Path(path).read_bytes() == b"# caf\xe9\nFROM %s:1@%s\r\n" % (BASE.encode(), digest.encode())


def test_standard_input(run: Run, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"FROM {BASE}:1".encode())))
    assert run("pin", "-").expect(0).out == f"FROM {BASE}:1@{digest}"


@pytest.mark.parametrize(
    "argv",
    [
        ["a", "b"],
        ["--check", "--in-place", "a"],
        ["--format", "toml", "a"],
        ["--format", "buildkit-policy", "--in-place", "a"],
        ["--in-place", "-"],
        ["--in-place", "a", "a"],
        ["--build-arg", "X", "a"],
        ["--skip", "UPPER", "a"],
        ["missing"],
        ["--target", "x", "a"],
        ["--gun", "a"],
    ],
)
def test_what_makes_no_sense_is_2_before_anything_is_asked(
    run: Run, home: Path, fake: Fake, argv: list[str]
) -> None:
    for name in ("a", "b"):
        dockerfile(home, f"FROM {BASE}:1", name=name)
    run("pin", *argv).expect(2)
    assert fake.lines() == []


def test_a_file_that_cannot_be_written_puts_the_others_back(
    run: Run, home: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert digest
    one, two = dockerfile(home, f"FROM {BASE}:1"), dockerfile(home, f"FROM {BASE}:1", name="Two")
    replace = os.replace

    def refuse(source: str, target: str) -> None:
        if Path(target).name == "Two":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    run("pin", "--in-place", one, two).expect(1)
    assert (home / one).read_text() == (home / two).read_text() == f"FROM {BASE}:1\n"


@pytest.mark.parametrize("options", [[], ["--in-place"], ["--check"]])
def test_documents_fit_the_schema(run: Run, home: Path, digest: str, options: list[str]) -> None:
    path = dockerfile(home, f"FROM {BASE}:1", f"COPY --from={TOOLS} a b")
    good = run("--json", "pin", *options, "--skip", TOOLS, path).expect(0).document
    assert problems(good, SCHEMA) == []
    first, second, file = good["results"]
    assert (first["ref"], first["pinned"], first["digest"]) == (f"{BASE}:1", f"{BASE}:1@{digest}", digest)
    assert (second["pinned"], second["left"]) == (None, f"--skip {TOOLS}")
    assert file["ref"] == path
    assert (file["text"] is None) == bool(options)
    dockerfile(home, f"FROM {BASE}:2")
    failed = run("--json", "pin", *options, path).expect(3).document
    assert problems(failed, SCHEMA) == []
    assert failed["results"][0]["error"]["facts"]["line"] == 1
