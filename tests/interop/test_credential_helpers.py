"""Logins from a helper program alone, or from podman's places: a Notary server that wants tokens, and a
registry that wants a password.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs, services, tokens
from interop.harness.images import Repository
from support.helpers import knowing, write_helper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.people import Person
    from interop.harness.services import Authority, Endpoint
    from interop.harness.tokens import TokenServer

PUBLISHER = ("publisher", tokens.USERS["publisher"])
PUSHER = (services.REGISTRY_USER, services.REGISTRY_PASSWORD)


class Vault:
    """A person's helper program, and what it was asked."""

    def __init__(self, person: Person) -> None:
        self.folder = person.home / "bin"
        self.log = person.home / "asked"
        self.folder.mkdir()
        person.environment["PATH"] = f"{self.folder}{os.pathsep}{programs.SEARCH_PATH}"

    def hold(self, **logins: tuple[str, str]) -> None:
        """Know these logins; underscores stand for colons."""
        known = {host.replace("_", ":"): login for host, login in logins.items()}
        write_helper(self.folder, "vault", knowing(known, self.log))

    def asked(self) -> list[str]:
        """Return what it was asked, and forget that."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return lines


def write_config(person: Person, document: object) -> Path:
    path = person.docker_config / "config.json"
    path.write_text(json.dumps(document))
    return path


def encoded(login: tuple[str, str]) -> str:
    return base64.b64encode(":".join(login).encode()).decode()


def under(host: str) -> str:
    """Return a host as a name for `Vault.hold`."""
    return host.replace(":", "_")


@pytest.fixture(autouse=True)
def _fresh_tokens(token_server: TokenServer) -> None:
    """Let tokens live as long as at first, whatever the test before wanted."""


@pytest.fixture
def signer(alice: Person, notary_with_tokens: Endpoint) -> Person:
    """Return a person whose only logins are a helper's."""
    alice.use(notary_with_tokens)
    write_config(alice, {"credsStore": "vault"})
    return alice


@pytest.fixture
def vault(signer: Person) -> Vault:
    return Vault(signer)


@pytest.fixture
def private(
    signer: Person, registry_with_login: Endpoint, authority: Authority, unique: Callable[[], str]
) -> Repository:
    """Return a repository on the registry that wants a password, with an image in it."""
    signer.trust("certs.d", registry_with_login)
    repository = Repository(registry_with_login, unique(), authority.client_context(), PUSHER)
    repository.push("1")
    return repository


def test_everything_with_logins_from_a_helper_alone(
    signer: Person, vault: Vault, private: Repository
) -> None:
    notary, registry = signer.server.host, private.registry.host
    vault.hold(**{under(notary): PUBLISHER, under(registry): PUSHER})
    signer.own(private.name)
    assert vault.asked() == [f"get {notary}"]
    signer.notarypy("sign", private.ref("1")).expect(0)
    assert sorted(vault.asked()) == sorted([f"get {notary}", f"get {registry}"])
    verified = signer.notarypy("-vvv", "verify", private.ref("1")).expect(0)
    assert sorted(vault.asked()) == sorted([f"get {notary}", f"get {registry}"])
    assert "eyJ" not in verified.text  # how tokens begin
    for _, secret in (PUBLISHER, PUSHER):
        assert secret not in verified.text
        kept = [path for path in signer.docker_config.rglob("*") if path.is_file()]
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []


def test_docker_and_notarypy_ask_the_same_helper(
    signer: Person, vault: Vault, repository: Repository, token_server: TokenServer
) -> None:
    host = repository.registry.host
    write_config(signer, {"credHelpers": {host: "vault"}})
    vault.hold(**{under(host): PUBLISHER})
    signer.own(repository.name)
    vault.asked()
    (document,) = json.loads(signer.inspection(repository.name))
    of_docker = set(vault.asked())
    assert signer.notarypy("inspect", repository.name).expect(0).document == [document]
    assert set(vault.asked()) == of_docker == {f"get {host}"}
    assert {granted.user for granted in token_server.granted} == {"publisher"}


def test_an_identity_token_of_a_helper_is_traded(
    signer: Person, vault: Vault, repository: Repository, token_server: TokenServer
) -> None:
    (identity,) = tokens.IDENTITIES
    vault.hold(**{under(repository.registry.host): ("<token>", identity)})
    repository.push("1")
    signer.own(repository.name)
    run = signer.notarypy("-vvv", "sign", repository.ref("1")).expect(0)
    assert {granted.user for granted in token_server.granted} == {"publisher"}
    assert identity not in run.text


def test_a_publish_that_outlives_its_tokens_gets_new_ones(
    signer: Person, vault: Vault, repository: Repository, token_server: TokenServer
) -> None:
    vault.hold(**{under(signer.server.host): PUBLISHER})
    repository.push("1")
    signer.own(repository.name)
    token_server.granted.clear()
    token_server.lifetime = 9  # less than the time before their end when tokens are renewed
    signer.notarypy("sign", repository.ref("1")).expect(0)
    scopes = [granted.scope for granted in token_server.granted]
    assert len(scopes) > len(set(scopes))
    assert len(vault.asked()) <= 2


def test_an_unknown_login_stays_anonymous_and_is_told(
    signer: Person, vault: Vault, repository: Repository
) -> None:
    vault.hold()
    run = signer.notarypy("inspect", repository.name).expect(7)
    assert "[auth.denied]" in run.stderr
    assert str(signer.docker_config / "config.json") in run.stderr


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo helper-s3cret; echo helper-s3cret >&2; exit 1", "it ended with status 1"),
        ("echo helper-s3cret", "its answer is no JSON object"),
        ("echo helper-s3cret; exec sleep 60", "it did not answer within 1 seconds"),
    ],
    ids=["fails", "garbled", "silent"],
)
def test_a_helper_that_does_not_answer_properly(
    signer: Person, vault: Vault, repository: Repository, script: str, why: str
) -> None:
    write_helper(vault.folder, "vault", script)
    for options in ([], ["-vvv"], ["--json"]):
        run = signer.notarypy("--timeout", "1", *options, "inspect", repository.name).expect(7)
        assert why in run.text
        assert "docker-credential-vault" in run.text
        assert str(signer.docker_config / "config.json") in run.text
        assert "helper-s3cret" not in run.text


@pytest.mark.parametrize("name", ["absent", "../bin/docker-credential-vault"])
def test_a_helper_that_cannot_be_run(signer: Person, vault: Vault, repository: Repository, name: str) -> None:
    vault.hold(**{under(signer.server.host): PUBLISHER})
    path = write_config(signer, {"credsStore": name})
    run = signer.notarypy("inspect", repository.name).expect(2)
    assert "[usage.config]" in run.stderr
    assert str(path) in run.stderr
    assert vault.asked() == []


def test_a_helper_is_not_asked_where_nobody_wants_to_know(
    alice: Person, notary: Endpoint, repository: Repository
) -> None:
    alice.use(notary)
    write_config(alice, {"credsStore": "absent"})
    repository.push("1")
    alice.own(repository.name)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    alice.notarypy("verify", repository.ref("1")).expect(0)


def test_a_variable_and_podmans_file_with_a_namespace(signer: Person, private: Repository) -> None:
    namespace = private.name.rpartition("/")[0]
    write_config(signer, {})
    wrong = encoded((services.REGISTRY_USER, "wrong"))
    auths = {private.registry.host: {"auth": wrong}, namespace: {"auth": encoded(PUSHER)}}
    auth_file = signer.home / "auth.json"
    auth_file.write_text(json.dumps({"auths": auths}))
    variable = json.dumps({"auths": {signer.server.host: {"auth": encoded(PUBLISHER)}}})
    signer.environment |= {"REGISTRY_AUTH_FILE": str(auth_file), "DOCKER_AUTH_CONFIG": variable}
    signer.own(private.name)
    signer.notarypy("sign", private.ref("1")).expect(0)
    run = signer.notarypy("verify", private.ref("1"), DOCKER_AUTH_CONFIG="").expect(7)
    assert PUSHER[1] not in run.text
    assert str(auth_file) in run.stderr
