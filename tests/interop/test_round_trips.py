"""How often the servers are asked, and what a verifying process loads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.images import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.gateway import Gateway
    from interop.harness.people import Person

NOT_FOR_VERIFYING = (
    "rich",
    "pydantic",
    "securesystemslib.signer",
    "notarypy.client.publish.pipeline",
    "notarypy.client.publish.signing",
    "notarypy.keys.signers.keyfile",
    "notarypy.tuf.changes",
    "notarypy.tuf.plan",
)


@pytest.fixture
def watched(registry_front: Gateway, unique: Callable[[], str]) -> Repository:
    """Return a repository whose registry is seen through a gateway."""
    return Repository(registry_front.endpoint, unique())


@pytest.fixture
def owner(alice: Person, front: Gateway, watched: Repository) -> Person:
    alice.use(front.endpoint)
    alice.own(watched.name)
    watched.push("1")
    watched.push("2")
    alice.notarypy("sign", watched.ref("1")).expect(0)
    return alice


def test_a_warm_verify_is_one_request_to_each(
    owner: Person, front: Gateway, registry_front: Gateway, watched: Repository
) -> None:
    owner.notarypy("verify", watched.ref("1")).expect(0)
    front.forget()
    registry_front.forget()
    owner.notarypy("verify", watched.ref("1")).expect(0)
    assert front.requests("GET") == ["timestamp.json"]
    assert registry_front.requests("GET") == ["1"]
    assert len(front.seen) == len(registry_front.seen) == 1
    assert (front.connections, registry_front.connections) == (1, 1)


def test_a_verify_after_an_own_publish_is_warm(owner: Person, front: Gateway, watched: Repository) -> None:
    front.forget()
    owner.notarypy("verify", "--no-registry", watched.ref("1")).expect(0)
    assert front.requests("GET") == ["timestamp.json"]


def test_signing_looks_publishes_and_reads_back(owner: Person, front: Gateway, watched: Repository) -> None:
    front.forget()
    owner.notarypy("sign", watched.ref("2")).expect(0)
    gets = front.requests("GET")
    assert front.requests("POST") == [""]
    assert sorted(gets) == ["snapshot.json", "timestamp.json", "timestamp.json"]
    assert len(front.seen) == 4
    assert front.connections <= 2


def test_init_with_a_signer_asks_for_little(alice: Person, front: Gateway, watched: Repository) -> None:
    _, certificate = alice.new_key("jeff")
    alice.use(front.endpoint)
    alice.notarypy("init", watched.name, "--signer", "jeff", "--key", certificate).expect(0)
    assert front.requests("POST") == [""]
    assert len(front.seen) <= 6
    assert front.connections <= 3


def test_verifying_loads_only_what_it_needs(owner: Person, watched: Repository) -> None:
    script = str(Path(sys.executable).with_name("notarypy"))
    argv = [sys.executable, "-X", "importtime", script, "verify", watched.ref("1")]
    run = programs.run(argv, owner.environment).expect(0)
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "import time:" in line}
    assert "notarypy.tuf.trusted" in loaded
    assert not loaded & set(NOT_FOR_VERIFYING)
