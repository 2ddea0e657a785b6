"""`docker trust` with nothing but the environment that a devserver prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.people import GO_PASSPHRASES, REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE
from notarypy.devserver import sample
from support import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.programs import Run

    Shell = Callable[..., Run]


@pytest.fixture(scope="module", params=["none", "token"])
def server(workshop: Path, request: pytest.FixtureRequest) -> Iterator[served.Process]:
    with served.devserver(workshop / f"docker-{request.param}", "--auth", request.param) as process:
        yield process


@pytest.fixture
def shell(server: served.Process, tmp_path: Path) -> Shell:
    """Return a function that runs a command line in a shell that has sourced DIR/env."""
    environment = {
        "HOME": str(tmp_path),
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": ROOT_PASSPHRASE,
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": REPOSITORY_PASSPHRASE,
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        **GO_PASSPHRASES,
    }

    def run(*words: str) -> Run:
        line = f'. "{server.directory}/env" && cd "{tmp_path}" && exec "$@"'
        return programs.run(["sh", "-c", line, "sh", *words], environment)

    return run


def test_signers_tags_and_revocation(server: served.Process, shell: Shell, unique: Callable[[], str]) -> None:
    name = f"{server.registry}/{unique()}"
    shell("docker", "trust", "key", "generate", "bob").expect(0)
    shell("docker", "trust", "signer", "add", "--key", "bob.pub", "bob", name).expect(0)
    digest = "0" * 64
    go = ("notary", "-s", f"https://{server.notary}", "-d", f"{server.directory}/docker/trust")
    add = (
        "addhash",
        name,
        "1",
        "500",
        "--sha256",
        digest,
        "-r",
        "targets/releases",
        "-r",
        "targets/bob",
        "-p",
    )
    shell(*go, "--tlscacert", str(server.authority), *add).expect(0)
    (document,) = json.loads(shell("docker", "trust", "inspect", name).expect(0).stdout)
    assert document["SignedTags"] == [{"SignedTag": "1", "Digest": digest, "Signers": ["bob"]}]
    shell("docker", "trust", "revoke", f"{name}:1").expect(0)
    (document,) = json.loads(shell("docker", "trust", "inspect", name).expect(0).stdout)
    assert document["SignedTags"] == []
    assert [signer["Name"] for signer in document["Signers"]] == ["bob"]


def test_notarypy_signs_what_docker_shows(
    server: served.Process, shell: Shell, unique: Callable[[], str]
) -> None:
    path = unique()
    name, pushed = f"{server.registry}/{path}", server.push(path, "1", sample.make("for docker"))
    shell("notarypy", "key", "generate", "jeff").expect(0)
    shell("notarypy", "init", name, "--signer", "jeff", "--key", "jeff.pub").expect(0)
    shell("notarypy", "sign", f"{name}:1").expect(0)
    (document,) = json.loads(shell("docker", "trust", "inspect", name).expect(0).stdout)
    assert document["SignedTags"] == [
        {"SignedTag": "1", "Digest": pushed.removeprefix("sha256:"), "Signers": ["jeff"]}
    ]
