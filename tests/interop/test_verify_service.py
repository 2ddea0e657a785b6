"""`verify` by a real `serve` on a socket of this machine, over the real servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from interop.harness.localservice import pinning, serving

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def policy(alice: Person, bob: Person, repository: Repository) -> Path:
    """Alice signs `1`, and `2` which is moved afterwards; Bob obeys a policy, and so does his service."""
    alice.own(repository.name)
    for tag in ("1", "2"):
        repository.push(tag)
        alice.notarypy("sign", repository.ref(tag)).expect(0)
    repository.push("2", "moved")
    path = bob.home / ".config" / "notarypy" / "policy.toml"
    path.parent.mkdir(parents=True)
    path.write_text(pinning(alice, repository.name))
    return path


def untimed(document: str) -> str:
    return re.sub(r'"time": "[^"]*"', '"time": ""', document)


def test_everything_is_as_it_is_without_the_service(
    bob: Person, repository: Repository, policy: Path
) -> None:
    refs = [repository.ref(tag) for tag in ("1", "2", "3")]
    several, required = [*refs, f"{repository.name}x:1"], ["--signer", "jo", "--root", "a" * 64, refs[0]]
    with serving(bob, policy) as service:
        for words in ([refs[0]], several, ["--json", *several], ["--no-registry", *refs[:2]], required):
            alone = bob.notarypy("verify", *words)
            asked = bob.notarypy("verify", "--service-only", *words, NOTARYPY_SERVICE=service)
            assert asked.code == alone.code
            assert untimed(asked.stdout) == untimed(alone.stdout)
            assert asked.stderr == alone.stderr
        told = bob.notarypy("-v", "verify", refs[0], NOTARYPY_SERVICE=service).expect(0).stderr
        assert "POST /verify at " in told
        assert "timestamp" not in told
