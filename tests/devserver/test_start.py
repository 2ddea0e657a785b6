from __future__ import annotations

import json
import os
import ssl
import sys
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy import Client
from notarypy.cli.text.advice import advice
from notarypy.devserver import folder, sample
from notarypy.devserver.folder import Folder, exports
from notarypy.devserver.start import ServerOptions, running
from notarypy.errors import AuthenticationError, ConfigurationError, RepositoryMissingError, StorageError
from notarypy.keys import serverpair
from support.author import NOW
from support.served import Line, now

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.start import Authentication, Running

pytestmark = pytest.mark.slow

PASSPHRASE = {
    f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE": "a passphrase of tests" for kind in ("ROOT", "REPOSITORY")
}


def push(started: Running, tag: str, text: str) -> str:
    made = sample.make(text)
    for blob in made.blobs:
        started.fake.registry.put_blob("app", blob)
    return started.fake.registry.push("app", tag, made.top, made.media_type)


def client(started: Running, **more: str) -> Client:
    return Client.from_environment(
        {**started.environment, **PASSPHRASE, "HOME": str(started.directory), **more}
    )


def sign(started: Running) -> str:
    repository = f"{started.registry}/app"
    with client(started) as signer:
        _, public = signer.keys.generate("jeff")
        signer.init(repository, signer="jeff", keys=[public])
        return signer.sign([f"{repository}:1"])[0].digest


@pytest.mark.parametrize("authentication", ["none", "basic", "token"])
def test_the_printed_environment_is_all_that_a_client_needs(authentication: Authentication) -> None:
    options = ServerOptions(authentication=authentication)
    with running(None, options, clock=now) as started:
        pushed = push(started, "1", "one")
        assert sign(started) == pushed
        with client(started) as reader:
            assert reader.verify(f"{started.registry}/app:1").digest == pushed


@pytest.mark.parametrize("authentication", ["basic", "token"])
def test_who_has_no_login_gets_nothing(authentication: Authentication, tmp_path: Path) -> None:
    options = ServerOptions(authentication=authentication)
    with running(None, options, clock=now) as started:
        (started.docker_config / "config.json").unlink()
        with client(started, NOTARY_AUTH="") as stranger, pytest.raises(AuthenticationError):
            stranger.refresh(f"{started.registry}/app")
        assert not list(tmp_path.iterdir())


def test_a_folder_is_taken_up_again(tmp_path: Path) -> None:
    options = ServerOptions(authentication="token")
    with running(tmp_path / "data", options, clock=now) as first:
        pushed = push(first, "1", "one")
        assert sign(first) == pushed
        trusted = first.authority.read_bytes()
    with running(tmp_path / "data", options, clock=now) as second:
        assert second.environment == first.environment
        assert second.authority.read_bytes() == trusted
        with client(second) as reader:
            assert reader.verify(f"{second.registry}/app:1").digest == pushed


def test_two_do_not_disturb_each_other(tmp_path: Path) -> None:
    with (
        running(tmp_path / "one", ServerOptions(), clock=now) as one,
        running(tmp_path / "two", ServerOptions(), clock=now) as two,
        running(None, ServerOptions(), clock=now) as three,
    ):
        push(one, "1", "one")
        sign(one)
        for other in (two, three):
            with pytest.raises(RepositoryMissingError), client(other) as reader:
                reader.refresh(f"{one.registry}/app")


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with running(tmp_path, ServerOptions(), clock=now) as first:
        with (
            pytest.raises(StorageError, match="another devserver uses"),
            running(tmp_path, ServerOptions(), clock=now),
        ):
            pass
        with Line(first.registry, first.authority) as line:
            assert line.ask("GET", "/v2/")[0].status == 200


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with running(tmp_path / "one", ServerOptions(), clock=now) as first:
        port = int(first.registry.rpartition(":")[2])
        with (
            pytest.raises(ConfigurationError, match=f"port {port}"),
            running(tmp_path / "two", ServerOptions(port=port), clock=now),
        ):
            pass
    with running(tmp_path / "two", ServerOptions(port=port), clock=now) as second:
        assert second.notary == f"https://localhost:{port}"


def test_without_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "notarypy.devserver.https", raising=False)
    monkeypatch.setitem(sys.modules, "werkzeug.serving", None)
    with pytest.raises(ConfigurationError) as caught, running(None, ServerOptions(), clock=now):
        pass
    assert "python3 -m pip install '.[devserver]'" in advice(caught.value)


@pytest.mark.parametrize("host", ["", "b\u00fccher.test"])
def test_a_host_that_is_none(host: str) -> None:
    options = ServerOptions(host=host)
    with pytest.raises(ConfigurationError, match="is no host"), running(None, options, clock=now):
        pass


@pytest.mark.parametrize("host", ["nosuch.invalid", "192.0.2.1", "localhost:5000", "a..b"])
def test_a_host_that_is_elsewhere(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught, running(None, ServerOptions(host=host), clock=now):
        pass
    assert "--host" in advice(caught.value)


def test_one_port_for_both_servers() -> None:
    options = ServerOptions(port=5000, registry_port=5000)
    with pytest.raises(ConfigurationError, match="two servers"), running(None, options, clock=now):
        pass


def test_a_port_that_the_other_server_had_last_time(tmp_path: Path) -> None:
    with running(tmp_path, ServerOptions(), clock=now) as first:
        port = int(first.registry.rpartition(":")[2])
    with running(tmp_path, ServerOptions(port=port), clock=now) as second:
        assert second.notary == f"https://localhost:{port}"
        assert second.registry != first.registry


def test_the_other_loopback_address() -> None:
    with (
        running(None, ServerOptions(host="::1"), clock=now) as started,
        Line(started.registry, started.authority) as line,
    ):
        assert started.registry.startswith("[::1]:")
        assert line.ask("GET", "/v2/")[0].status == 200


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    for name in ("env", "server.pem", "ca.crt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(StorageError, match="is no devserver's folder") as caught:
        Folder(tmp_path)
    assert "--dir" in advice(caught.value)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("env", "server.pem", "ca.crt"), "mine"
    )


def test_a_folder_with_dockers_configuration_or_earlier_data_is_ours(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "lock").touch()
    Folder(tmp_path)
    (tmp_path / "notary.sqlite").touch()
    (tmp_path / "env").touch()
    Folder(tmp_path)


@pytest.mark.parametrize("name", ["lock", "registry.sqlite"])
def test_a_folder_that_cannot_be_used_is_not_called_busy(tmp_path: Path, name: str) -> None:
    (tmp_path / "notary.sqlite").touch()
    (tmp_path / name).mkdir()
    with pytest.raises(StorageError) as caught, running(tmp_path, ServerOptions(), clock=now):
        pass
    assert "another devserver" not in caught.value.message
    assert "directory" in caught.value.why[0]


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"caf\xe9")
    with running(directory, ServerOptions(), clock=now) as started:
        assert os.fsencode(str(started.docker_config)) in started.environment_file.read_bytes()


def test_where_it_listens() -> None:
    assert not ServerOptions().public
    assert (ServerOptions().name, ServerOptions().address) == ("localhost", "127.0.0.1")
    assert ServerOptions(host="0.0.0.0").public
    assert ServerOptions(host="0.0.0.0").address == "0.0.0.0"
    assert ServerOptions(host="0.0.0.0").name not in ("", "0.0.0.0")
    assert ServerOptions(host="devbox.test").public
    assert ServerOptions(host="devbox.test").name == "devbox.test"
    assert not ServerOptions(host="LOCALHOST").public
    assert ServerOptions(host="LOCALHOST").name == "localhost"
    assert not ServerOptions(host="127.0.0.2").public
    assert ServerOptions(host="127.0.0.2").address == ServerOptions(host="127.0.0.2").name == "127.0.0.2"
    assert ServerOptions(host="::1").address == ServerOptions(host="::1").name == "::1"


def test_the_password_is_kept_beside_other_logins(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    path = place.docker / "config.json"
    path.parent.mkdir()
    path.write_text('{"auths": {"other": {"auth": "x"}}, "credHelpers": {}}')
    place.log_in(["localhost:1"], "secret")
    document = json.loads(path.read_text())
    assert document["auths"]["other"] == {"auth": "x"}
    assert document["auths"]["localhost:1"]["auth"] == "ZGV2OnNlY3JldA=="
    assert "credHelpers" in document
    path.write_text("[]")
    with pytest.raises(StorageError):
        place.log_in(["localhost:1"], "secret")


def test_damaged_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notary.sqlite").write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(StorageError, match="cannot use the data"),
        running(tmp_path, ServerOptions(), clock=now),
    ):
        pass


def test_exports_are_quoted() -> None:
    assert exports({"A": "b c", "D": "e"}) == ["export A='b c'", "export D=e"]


def test_a_certificate_serves_its_names_for_a_year() -> None:
    issued = serverpair.issue("somebody", ["localhost", "127.0.0.1"], NOW, folder.LIFE)
    assert folder.serves(issued.certificate, ["localhost"], NOW)
    assert folder.serves(issued.certificate, ["127.0.0.1"], NOW + timedelta(days=330))
    assert not folder.serves(issued.certificate, ["localhost"], NOW + timedelta(days=340))
    assert not folder.serves(issued.certificate, ["localhost"], NOW - timedelta(days=1))
    assert not folder.serves(issued.certificate, ["devbox.test", "localhost"], NOW)
    assert not folder.serves(b"", ["localhost"], NOW)
    assert NOW.tzinfo is UTC


def test_another_name_gets_a_new_certificate(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    seen = []
    for names in (["localhost"], ["localhost"], ["localhost", "devbox.test"]):
        place.certify(names, NOW, lambda size: b"\1" * size)
        seen.append(place.authority.read_bytes())
    assert seen[0] == seen[1] != seen[2]
    assert place.server.stat().st_mode & 0o777 == 0o600
    context = ssl.create_default_context(cafile=str(place.authority))
    assert "notarypy devserver: throw-away CA " in str(context.get_ca_certs()[0]["subject"])
