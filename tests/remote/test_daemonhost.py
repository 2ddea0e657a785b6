from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError, UnreachableError
from notarypy.remote import daemon
from notarypy.remote.daemon import find_daemon

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "DOCKER_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(daemon, "PODMAN_SOCKET", str(tmp_path / "podman.sock"))


def context(folder: Path, name: str, document: object) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps(document))


def endpoint(host: object) -> dict[str, object]:
    return {"Name": "x", "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}


def test_docker_host_says_it(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    place = find_daemon({"DOCKER_HOST": " unix:///run/user/1000/docker.sock "}, tmp_path)
    assert (place.socket, place.source) == ("/run/user/1000/docker.sock", "DOCKER_HOST")


@pytest.mark.parametrize(
    "host",
    [
        "tcp://user:s3cret@host:2375",
        "ssh://s3cret@host",
        "npipe:////./pipe/x",
        "s3cret",
        "unix://relative",
        "unix://",
    ],
)
def test_only_unix_sockets_will_do_and_no_login_is_shown(tmp_path: Path, host: str) -> None:
    (tmp_path / "docker.sock").touch()
    with pytest.raises(ConfigurationError) as caught:
        find_daemon({"DOCKER_HOST": host}, tmp_path)
    error = caught.value
    assert error.exit_code == 2
    assert "without --local" in advice(error)
    assert "s3cret" not in f"{error.message} {error.why} {advice(error)} {error.facts}"


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["docker.sock", "podman.sock", "run/podman/podman.sock"], "docker.sock"),
        (["podman.sock", "run/podman/podman.sock"], "run/podman/podman.sock"),
        (["podman.sock"], "podman.sock"),
    ],
)
def test_the_usual_places_in_their_order(tmp_path: Path, present: list[str], expected: str) -> None:
    (tmp_path / "run" / "podman").mkdir(parents=True)
    for name in present:
        (tmp_path / name).touch()
    place = find_daemon({"XDG_RUNTIME_DIR": str(tmp_path / "run"), "DOCKER_HOST": ""}, tmp_path / "config")
    assert place.socket == str(tmp_path / expected)


@pytest.mark.parametrize("runtime", ["", "relative"])
def test_nothing_anywhere_names_every_place_and_the_way_out(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        find_daemon({"XDG_RUNTIME_DIR": runtime}, tmp_path)
    error = caught.value
    assert error.exit_code == 8
    assert error.facts["searched"] == [str(tmp_path / "docker.sock"), str(tmp_path / "podman.sock")]
    assert str(tmp_path / "podman.sock") in error.why[0]
    assert "skopeo" in advice(error)


def test_a_context_names_the_socket(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    context(tmp_path, "rootless", endpoint("unix:///run/user/7/docker.sock"))
    context(tmp_path, "other", endpoint("unix:///other"))
    (tmp_path / "config.json").write_text('\ufeff{"currentContext": "rootless"}')
    assert find_daemon({}, tmp_path).socket == "/run/user/7/docker.sock"
    assert find_daemon({"DOCKER_CONTEXT": "other"}, tmp_path).socket == "/other"
    assert find_daemon({"DOCKER_CONTEXT": "default"}, tmp_path).socket == str(tmp_path / "docker.sock")
    assert (
        find_daemon({"DOCKER_HOST": "unix:///named", "DOCKER_CONTEXT": "other"}, tmp_path).socket == "/named"
    )


@pytest.mark.parametrize(
    "document",
    [{}, {"Endpoints": []}, {"Endpoints": {"docker": 1}}, endpoint(""), endpoint(5), endpoint("tcp://h")],
)
def test_a_context_that_names_no_socket_is_not_replaced_by_a_guess(tmp_path: Path, document: object) -> None:
    (tmp_path / "docker.sock").touch()
    context(tmp_path, "odd", document)
    with pytest.raises(ConfigurationError, match="odd"):
        find_daemon({"DOCKER_CONTEXT": "odd"}, tmp_path)


def test_an_unknown_context_names_who_wants_it(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    (tmp_path / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(ConfigurationError) as caught:
        find_daemon({}, tmp_path)
    assert "config.json" in caught.value.why[0]
    (tmp_path / "config.json").write_text('{"currentContext": ["gone"]}')
    with pytest.raises(ConfigurationError):
        find_daemon({}, tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", "\xff", "[" * 100_000])
def test_a_configuration_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "docker.sock").touch()
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="cannot use"):
        find_daemon({}, tmp_path)
    assert find_daemon({"DOCKER_HOST": "unix:///named"}, tmp_path).socket == "/named"
