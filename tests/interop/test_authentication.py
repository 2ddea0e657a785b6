"""A Notary server that wants tokens, and a registry that wants a password."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import pasts, programs, services, tokens
from interop.harness.images import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.people import Person
    from interop.harness.services import Authority, Endpoint
    from interop.harness.tokens import TokenServer


def notary_auth(user: str, password: str = "") -> str:
    """Return the value of NOTARY_AUTH for a user."""
    return base64.b64encode(f"{user}:{password or tokens.USERS[user]}".encode()).decode()


@pytest.fixture
def publisher(alice: Person, notary_with_tokens: Endpoint, repository: Repository) -> Person:
    alice.use(notary_with_tokens)
    alice.log_in(repository.registry.host, "publisher", tokens.USERS["publisher"])
    return alice


@pytest.fixture
def reader(bob: Person, notary_with_tokens: Endpoint) -> Person:
    bob.use(notary_with_tokens)
    bob.environment["NOTARY_AUTH"] = notary_auth("reader")
    return bob


def asked(token_server: TokenServer, repository: Repository) -> set[str]:
    """Return the actions that tokens for this repository were asked for, and forget them."""
    scopes = [tokens.split_scope(granted.scope) for granted in token_server.granted]
    token_server.granted.clear()
    return {action for _, name, actions in scopes if name == repository.name for action in actions}


def test_tokens_are_asked_for_what_is_needed_and_no_more(
    publisher: Person, reader: Person, token_server: TokenServer, repository: Repository
) -> None:
    image = repository.push("1")
    publisher.own(repository.name)
    publisher.notarypy("sign", repository.ref("1")).expect(0)
    assert asked(token_server, repository) == {"pull", "push"}
    verified = reader.notarypy("verify", repository.ref("1")).expect(0)
    assert verified.stdout == f"{repository.pinned(image)}\n"
    assert asked(token_server, repository) == {"pull"}
    assert pasts.read(reader, repository.name)[-1]["kind"] == "tag-added"
    assert asked(token_server, repository) == {"pull"}


def test_docker_and_notarypy_read_with_the_same_login(
    publisher: Person, token_server: TokenServer, repository: Repository
) -> None:
    publisher.own(repository.name)
    (document,) = json.loads(publisher.inspection(repository.name))
    assert publisher.notarypy("inspect", repository.name).expect(0).document == [document]
    assert {granted.user for granted in token_server.granted} == {"publisher"}


def test_go_asks_for_a_login_always_and_notary_where_there_is_none(
    publisher: Person, bob: Person, notary_with_tokens: Endpoint, repository: Repository
) -> None:
    bob.use(notary_with_tokens)
    publisher.own(repository.name)
    publisher.share_keys_with(bob)
    typed = f"publisher\n{tokens.USERS['publisher']}\n"
    words = ("add", repository.name, "1", publisher.home / "jeff.crt", "-p")
    ours = ("notary", "-s", notary_with_tokens.url, "--tlscacert", str(notary_with_tokens.ca), "-d")
    said = publisher.notary(*words, text=typed).expect(0)
    assert "Enter username: " in said.stdout  # although docker has a login
    said = publisher.notarypy(*ours, publisher.trust_dir, *words, text="").expect(0)
    assert "Enter username: " not in said.text
    said = bob.notarypy(*ours, bob.trust_dir, *words, text=typed).expect(0)
    assert said.text.count("Enter username: ") == 1
    assert tokens.USERS["publisher"] not in said.text


@pytest.mark.parametrize(
    "made",
    [
        'echo "$LOGIN" | base64',
        'printf "%s\\r\\n" "$LOGIN" | base64 -w 0',
        'printf %s "$LOGIN" | base64 -w 10',
        'printf "%s:  %s" "${LOGIN%%:*}" "${LOGIN#*:}" | base64',
    ],
)
def test_a_login_as_shells_encode_it(publisher: Person, repository: Repository, made: str) -> None:
    login = f"publisher:{tokens.USERS['publisher']}"
    encoded = programs.run(["sh", "-c", made], {"LOGIN": login}).expect(0).stdout.rstrip("\n")
    server = ("-s", publisher.server.url, "--tlscacert", str(publisher.server.ca), "-d", publisher.trust_dir)
    words = ("add", repository.name, "1", publisher.home / "jeff.crt", "-p")
    publisher.own(repository.name)
    publisher.environment["NOTARY_AUTH"] = encoded
    publisher.notary(*words, text="").expect(0)
    publisher.notarypy("notary", *server, *words, text="").expect(0)


def test_a_reader_may_not_publish(
    publisher: Person, reader: Person, token_server: TokenServer, repository: Repository
) -> None:
    publisher.own(repository.name)
    publisher.share_keys_with(reader)
    repository.push("1")
    reader.notarypy("inspect", repository.name).expect(0)
    before = reader.files()
    run = reader.notarypy("sign", repository.ref("1")).expect(7)
    assert reader.files() == before
    assert "reader" in run.stderr
    assert tokens.USERS["reader"] not in run.text
    assert "push" in asked(token_server, repository)


def test_who_may_publish_may_not_delete(
    publisher: Person, token_server: TokenServer, repository: Repository
) -> None:
    publisher.own(repository.name)
    token_server.granted.clear()
    deletion = ("delete", "--remote", "--forget", "--confirm", f"{repository.name}*", repository.name)
    assert "[auth.denied]" in publisher.notarypy(*deletion).expect(7).stderr
    assert "*" in asked(token_server, repository)
    publisher.notarypy("delegate", "list", "--offline", repository.name).expect(0)
    publisher.notarypy(*deletion, NOTARY_AUTH=notary_auth("owner")).expect(0)
    publisher.notarypy("delegate", "list", repository.name).expect(3)


@pytest.mark.parametrize(
    "credentials", ["", notary_auth("publisher", "wrong-password")], ids=["none", "wrong"]
)
def test_a_refused_login(publisher: Person, reader: Person, repository: Repository, credentials: str) -> None:
    publisher.own(repository.name)
    repository.push("1")
    publisher.notarypy("sign", repository.ref("1")).expect(0)
    run = reader.notarypy("verify", repository.ref("1"), NOTARY_AUTH=credentials).expect(7)
    assert "[auth.denied]" in run.stderr
    assert "\n  fix: " in run.stderr
    assert "wrong-password" not in run.text
    assert reader.files() == {}


def test_a_refused_login_makes_no_keys(publisher: Person, repository: Repository) -> None:
    publisher.notarypy("init", repository.name, NOTARY_AUTH=notary_auth("reader")).expect(7)
    assert publisher.files() == {}


def test_a_token_that_the_server_calls_expired(
    publisher: Person, token_server: TokenServer, repository: Repository
) -> None:
    token_server.lifetime = -120
    publisher.notarypy("init", repository.name).expect(7)


@pytest.fixture
def private(registry_with_login: Endpoint, authority: Authority, unique: Callable[[], str]) -> Repository:
    """Return a repository on the registry that wants a password, with an image in it."""
    login = (services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    repository = Repository(registry_with_login, unique(), authority.client_context(), login)
    repository.push("1")
    return repository


def test_a_registry_with_a_password(
    alice: Person, bob: Person, authority: Authority, private: Repository
) -> None:
    for person in (alice, bob):
        person.environment["SSL_CERT_FILE"] = str(authority.file)
        person.log_in(private.registry.host, services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    alice.own(private.name)
    alice.notarypy("sign", private.ref("1")).expect(0)
    bob.notarypy("verify", private.ref("1")).expect(0)


def test_new_signatures_go_to_a_registry_with_a_password(
    alice: Person, bob: Person, authority: Authority, private: Repository
) -> None:
    for person in (alice, bob):
        person.environment["SSL_CERT_FILE"] = str(authority.file)
    alice.log_in(private.registry.host, services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    alice.own(private.name)
    alice.notarypy("sign", private.ref("1")).expect(0)
    key, _ = alice.new_key("release")
    words = ("migrate", "cosign", private.name, "--key", key)
    bob.notarypy(*words).expect(7)
    alice.notarypy(*words).expect(0)
    assert alice.notarypy(*words).expect(0).stdout.startswith("already signed ")


def test_a_registry_that_refuses_the_password(
    alice: Person, authority: Authority, private: Repository
) -> None:
    alice.environment["SSL_CERT_FILE"] = str(authority.file)
    alice.own(private.name)
    alice.notarypy("sign", private.ref("1")).expect(7)
    alice.log_in(private.registry.host, services.REGISTRY_USER, "wrong-password")
    run = alice.notarypy("sign", private.ref("1")).expect(7)
    assert "wrong-password" not in run.text


def test_a_registry_with_a_certificate_of_an_unknown_ca(alice: Person, private: Repository) -> None:
    alice.own(private.name)
    assert "[net.tls]" in alice.notarypy("sign", private.ref("1")).expect(8).stderr


def test_what_is_asked_for_at_the_same_time_logs_in_once(
    publisher: Person, reader: Person, token_server: TokenServer, repository: Repository
) -> None:
    repository.push("1")
    publisher.own(repository.name)
    token_server.granted.clear()
    signed = publisher.notarypy("-v", "sign", repository.ref("1")).expect(0)
    assert (signed.stderr.count(": 401,"), len(token_server.granted)) == (1, 2)  # to read, and to publish
    token_server.granted.clear()
    cold = reader.notarypy("-v", "verify", "--no-registry", repository.ref("1")).expect(0)
    assert (cold.stderr.count(": 401,"), len(token_server.granted)) == (1, 1)
    assert cold.stderr.count("/_trust/tuf/") == 1 + 6
