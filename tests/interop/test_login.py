"""Logins that notarypy stores are those of docker and skopeo, in files and in helper programs."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs, services, tokens
from interop.harness.images import Repository
from support.helpers import write_helper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.people import Person
    from interop.harness.services import Authority, Endpoint

USER, PASSWORD = services.REGISTRY_USER, services.REGISTRY_PASSWORD


@pytest.fixture
def private(
    alice: Person, registry_with_login: Endpoint, authority: Authority, unique: Callable[[], str]
) -> Repository:
    """Return a repository on the registry that wants a password, with an image in it."""
    alice.trust("certs.d", registry_with_login)
    repository = Repository(registry_with_login, unique(), authority.client_context(), (USER, PASSWORD))
    repository.push("1")
    return repository


def log_in(person: Person, host: str, password: str = PASSWORD) -> programs.Run:
    return person.notarypy("login", host, "-u", USER, "--password-stdin", text=f"{password}\n")


def seen(person: Person, repository: Repository) -> list[int]:
    """Return the exit codes of docker and of skopeo, when they read the image."""
    certificates = person.docker_config / "certs.d" / repository.registry.host
    inspect = ["skopeo", "inspect", "--cert-dir", str(certificates), f"docker://{repository.ref('1')}"]
    return [
        person.docker("manifest", "inspect", repository.ref("1")).code,
        programs.run(inspect, {**person.environment, "XDG_RUNTIME_DIR": str(person.home)}).code,
    ]


def vault(person: Person) -> Path:
    """Give a person a helper program that keeps one login; return where."""
    kept = person.home / "kept"
    where, missing = shlex.quote(str(kept)), "{ echo 'credentials not found in native keychain'; exit 1; }"
    script = f"""case $1 in
    store) cat > {where};;
    get) [ -e {where} ] && cat {where} || {missing};;
    erase) rm -f {where};;
    esac"""
    write_helper(person.home / "bin", "vault", script)
    person.environment["PATH"] = f"{person.home / 'bin'}{os.pathsep}{programs.SEARCH_PATH}"
    return kept


def test_a_login_in_dockers_file(alice: Person, private: Repository) -> None:
    assert 0 not in seen(alice, private)
    log_in(alice, private.registry.host).expect(0)
    assert seen(alice, private) == [0, 0]
    alice.notarypy("init", private.name).expect(0)
    alice.notarypy("sign", private.ref("1")).expect(0)
    alice.notarypy("logout", private.registry.host).expect(0)
    assert 0 not in seen(alice, private)
    alice.notarypy("verify", private.ref("1")).expect(7)


def test_a_wrong_password_is_not_stored(alice: Person, private: Repository) -> None:
    run = log_in(alice, private.registry.host, "wrong-password").expect(7)
    assert "wrong-password" not in run.text
    assert not (alice.docker_config / "config.json").exists()


def test_a_login_in_a_helper_program(alice: Person, private: Repository) -> None:
    kept, config = vault(alice), alice.docker_config / "config.json"
    config.write_text('{"credsStore": "vault"}')
    log_in(alice, private.registry.host).expect(0)
    assert json.loads(config.read_text())["auths"] == {private.registry.host: {}}
    assert json.loads(kept.read_text())["Username"] == USER
    assert seen(alice, private)[0] == 0
    alice.notarypy("logout", private.registry.host).expect(0)
    assert not kept.exists()


def test_dockers_own_login_is_erased(alice: Person, private: Repository) -> None:
    login = ("login", private.registry.host, "-u", USER, "-p", PASSWORD)
    alice.docker(*login).expect(0)
    alice.notarypy("logout", private.registry.host).expect(0)
    assert json.loads((alice.docker_config / "config.json").read_text())["auths"] == {}
    kept = vault(alice)
    (alice.docker_config / "config.json").write_text('{"credsStore": "vault"}')
    alice.docker(*login).expect(0)
    alice.notarypy("logout", private.registry.host).expect(0)
    assert not kept.exists()


def test_the_file_of_the_variable(alice: Person, private: Repository) -> None:
    alice.environment["REGISTRY_AUTH_FILE"] = str(alice.home / "ci" / "auth.json")
    log_in(alice, private.registry.host).expect(0)
    assert seen(alice, private)[1] == 0
    assert not (alice.docker_config / "config.json").exists()


def test_a_notary_server_with_logins_of_its_own(
    alice: Person, private: Repository, notary_with_tokens: Endpoint
) -> None:
    alice.use(notary_with_tokens)
    host = private.registry.host
    assert "does not take this login, it may have others" in log_in(alice, host).expect(0).stderr
    user, password = next(iter(tokens.USERS.items()))
    own = alice.notarypy("login", notary_with_tokens.host, "-u", user, "--password-stdin", text=password)
    assert notary_with_tokens.url in own.expect(0).stdout
    alice.notarypy("init", private.name).expect(0)
