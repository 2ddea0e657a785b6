"""`init`: trust data for repositories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import AlreadyExistsError
from support.commands import written
from support.results import INITIALISED, PIN, REPO

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

NOTHING: dict[str, object] = {
    "root_key": None,
    "root_cert": None,
    "root_threshold": None,
    "targets_key": None,
    "snapshot": None,
    "signer": None,
    "keys": [],
}


def test_it_prints_the_pin_and_what_a_runner_needs(run: Run, stub: StubClient) -> None:
    stub.answers["init"] = INITIALISED
    outcome = run("init", REPO).expect(0)
    assert outcome.out == (
        f"initialised {REPO} on https://n.test\n"
        f"root pin: {PIN}\n"
        "keys here: root, targets\n"
        "signers: jeff\n"
        "nothing replaces the root key if lost; keep a copy elsewhere: notarypy backup FILE\n"
        "a CI runner verifies with:\n"
        "  export DOCKER_CONTENT_TRUST_SERVER=https://n.test\n"
        f"  notarypy verify --root {PIN} {REPO}:TAG\n"
    )
    assert outcome.err == ""
    assert stub.calls == [("init", (REPO,), NOTHING)]


def test_a_second_time_changes_nothing_and_says_so(run: Run, stub: StubClient) -> None:
    stub.answers["init"] = replace(INITIALISED, created=False, keys_here=(), signers=())
    assert run("init", REPO).expect(0).out == (
        f"{REPO} has trust data on https://n.test; nothing was changed\nroot pin: {PIN}\nkeys here: none\n"
    )


def test_options_reach_the_client(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["init"] = INITIALISED
    key, cert = written(home / "jeff.pub", "a key"), written(home / "root.crt", "a certificate")
    argv = ["--root-key", "./r.key", "--root-cert", cert, "--signer", "jeff", "--key", key, "--key", key]
    run("init", *argv, "--snapshot", "server", REPO).expect(0)
    assert stub.calls[0][2] == {
        "root_key": ["./r.key"],
        "root_cert": [b"a certificate"],
        "root_threshold": None,
        "targets_key": None,
        "snapshot": "server",
        "signer": "jeff",
        "keys": [b"a key", b"a key"],
    }


def test_a_local_snapshot_key_is_warned_of(run: Run, stub: StubClient) -> None:
    stub.answers["init"] = INITIALISED
    assert "signers elsewhere cannot publish" in run("init", "--snapshot", "local", REPO).expect(0).err


def test_the_other_repositories_go_on(run: Run, stub: StubClient) -> None:
    stub.answers["init"] = lambda repo, **_: AlreadyExistsError("other") if repo == REPO else INITIALISED
    document = run("init", "--json", REPO, "b.test/b").expect(1).document
    assert [result["ok"] for result in document["results"]] == [False, True]


@pytest.mark.parametrize(
    "argv",
    [
        [f"{REPO}:1"],
        [f"{REPO}@sha256:{'0' * 64}"],
        [REPO, "b/../c"],
        ["--signer", "jeff", REPO],
        ["--key", "k", REPO],
        ["--signer", "releases", "--key", "k", REPO],
        ["--root-cert", "missing", REPO],
        ["--gun", "a//b"],
        ["--gun", "/a"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run: Run, stub: StubClient, argv: list[str]) -> None:
    run("init", *argv).expect(2)
    assert stub.calls == []
