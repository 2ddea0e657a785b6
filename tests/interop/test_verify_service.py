"""`verify` by a real `serve` on a socket of this machine, over the real servers."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.images import Repository
    from interop.harness.people import Person


@contextlib.contextmanager
def serving(person: Person, policy: Path, *options: str, mode: str = "0600") -> Iterator[str]:
    """Run a service of somebody's, and return what NOTARYPY_SERVICE says of it."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        where = f"unix:{folder}/s"
        words = ("serve", "--listen", where, "--policy", policy, "--memory", "--socket-mode", mode)
        process = person.start_notarypy(*words, *options)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == f"listening on {where}\n", process.communicate(timeout=30)
            yield where
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture
def policy(alice: Person, bob: Person, repository: Repository) -> Path:
    """Alice signs `1`, and `2` which is moved afterwards; Bob obeys a policy, and so does his service."""
    alice.own(repository.name)
    for tag in ("1", "2"):
        repository.push(tag)
        alice.notarypy("sign", repository.ref(tag)).expect(0)
    repository.push("2", "moved")
    (result,) = json.loads(alice.notarypy("--json", "inspect", repository.name).expect(0).stdout)["results"]
    path = bob.home / ".config" / "notarypy" / "policy.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[scope."{repository.name}"]\nroots.ids = {json.dumps(result["root_keys"])}\n')
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
