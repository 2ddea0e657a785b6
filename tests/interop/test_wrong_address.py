"""What answers is no Notary server: the error says what it is, and which setting to correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint


@pytest.fixture
def known(alice: Person, repository: Repository) -> Repository:
    """Return a repository that alice knows, so that its loss would be an alarm."""
    alice.notarypy("init", repository.name).expect(0)
    return repository


@pytest.mark.parametrize("command", ["verify", "init", "inspect"])
def test_a_registry(alice: Person, known: Repository, registry_with_login: Endpoint, command: str) -> None:
    alice.trust("tls", registry_with_login)
    for name in (known.name, f"{known.name}/other"):
        run = alice.notarypy("--server", registry_with_login.url, command, name).expect(8)
        assert "[net.not_notary]" in run.stderr
        assert "a registry answered 404" in run.stderr
        assert f"--server names {registry_with_login.url}" in run.stderr


@pytest.mark.parametrize("path", ["/wrong", "/notary/prefix"])
def test_a_path_that_is_not_there(alice: Person, known: Repository, path: str) -> None:
    server = f"{alice.server.url}{path}"
    run = alice.notarypy("init", f"{known.name}/other", DOCKER_CONTENT_TRUST_SERVER=server).expect(8)
    assert "[net.not_notary]" in run.stderr
    assert f"DOCKER_CONTENT_TRUST_SERVER names {server}" in run.stderr


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/x", "/prefix/v2"])
def test_the_path_of_the_protocol(alice: Person, known: Repository, path: str) -> None:
    run = alice.notarypy("verify", known.ref("1"), "--server", f"{alice.server.url}{path}").expect(2)
    assert "has /v2 in its path" in run.stderr
    assert f"fix: write {alice.server.url}{path.partition('/v2')[0]}" in run.stderr
