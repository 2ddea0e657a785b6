"""What `docker-trust` asks a Client besides: who is logged in, what a daemon has, public halves of keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from notarypy.errors import ConfigurationError, KeyMissingError, PassphraseWrongError, UnsupportedKeyError
from support.author import GUN

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import World

HOST = GUN.partition("/")[0]


def client(home: Path, **variables: str) -> Client:
    return Client.from_environment({"HOME": str(home), **variables})


def configure(home: Path, document: object) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps(document))


def test_the_login_of_a_registry(tmp_path: Path) -> None:
    configure(tmp_path, {"auths": {HOST: {"username": "alice", "password": "secret"}}})
    with client(tmp_path) as mine:
        assert mine.login(f"{GUN}:1") == "alice"
        assert mine.login("other.test/app") is None


@pytest.mark.parametrize("entry", [{"registrytoken": "secret"}, {"identitytoken": "secret"}, {}])
def test_a_login_without_a_name(tmp_path: Path, entry: dict[str, str]) -> None:
    configure(tmp_path, {"auths": {HOST: entry}})
    assert client(tmp_path).login(GUN) is None


def test_docker_hub_has_a_login_of_an_old_name(tmp_path: Path) -> None:
    configure(
        tmp_path, {"auths": {"https://index.docker.io/v1/": {"username": "alice", "password": "secret"}}}
    )
    assert client(tmp_path).login("alpine") == "alice"


def test_logins_that_cannot_be_read_are_no_missing_logins(tmp_path: Path) -> None:
    configure(tmp_path, [])
    with pytest.raises(ConfigurationError):
        client(tmp_path).login(GUN)


def test_without_a_daemon_there_is_no_local_image(tmp_path: Path) -> None:
    assert client(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none.sock").images.has_local(f"{GUN}:1") is False


def test_the_public_half_of_a_key(world: World) -> None:
    person = world.person()
    public = person.key("jeff")
    assert person.client().keys.public("jeff") == public
    person.client().keys.check_public(public)
    with pytest.raises(PassphraseWrongError):
        person.client(passphrase="another one").keys.public("jeff")
    with pytest.raises(KeyMissingError):
        person.client().keys.public("bob")


def test_what_is_no_public_key(world: World) -> None:
    with pytest.raises(UnsupportedKeyError):
        world.person().client().keys.check_public(b"hello")
