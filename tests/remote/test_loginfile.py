"""Logins that are written: what the file keeps, what a helper program gets."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import AuthenticationError, ConfigurationError
from notarypy.remote.auth.dockerconfig import LoginFile
from support.helpers import write_helper

HUB = "https://index.docker.io/v1/"
JO = {"auth": "am86czNjcmV0"}


def file(folder: Path, document: object = None, *, podman: bool = False) -> LoginFile:
    path = folder / "docker" / "config.json"
    if document is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
    environ = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}"}
    return LoginFile(path, environ, podman=podman)


def written(folder: Path) -> object:
    return json.loads((folder / "docker" / "config.json").read_text())


@pytest.mark.parametrize("before", [None, "", " \n", "{}", '{"auths": null}'])
def test_a_first_login(tmp_path: Path, before: str | None) -> None:
    place = file(tmp_path, before).store("h:5000", "jo", "s3cret")
    path = tmp_path / "docker" / "config.json"
    assert place == str(path)
    assert written(tmp_path) == {"auths": {"h:5000": JO}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = file(tmp_path).get("h:5000")
    assert found is not None
    assert (found.user, found.secret) == ("jo", "s3cret")


def test_everything_else_stays_in_its_place(tmp_path: Path) -> None:
    others = {"b": {"auth": "x"}, "h/team": {"auth": "y"}, "h:5000": {"auth": "z"}}
    spelled = {"https://h": {"auth": "old"}, "h/v2/": {}, "H": {"identitytoken": "old"}}
    before = {"HttpHeaders": {"A": "b"}, "auths": others | spelled, "plugins": {"x": {}}}
    file(tmp_path, before).store("h", "jo", "s3cret")
    assert written(tmp_path) == {**before, "auths": others | {"h": JO}}
    assert file(tmp_path).erase("h")
    assert written(tmp_path) == {**before, "auths": others}
    assert not file(tmp_path).erase("h")


@pytest.mark.parametrize("podman", [False, True])
def test_docker_hub_has_a_name_of_its_own(tmp_path: Path, podman: bool) -> None:
    spelled = {"docker.io": {"auth": "old"}, HUB: {"auth": "old"}}
    file(tmp_path, {"auths": spelled}, podman=podman).store("docker.io", "jo", "s3cret")
    assert written(tmp_path) == {"auths": {"docker.io" if podman else HUB: JO}}
    assert file(tmp_path, podman=podman).erase("index.docker.io")


@pytest.mark.parametrize("bad", ["{", "[]", '{"auths": []}', '{"credsStore": 1}'])
def test_what_cannot_be_read_is_left_alone(tmp_path: Path, bad: str) -> None:
    for change in (lambda: file(tmp_path, bad).store("h", "jo", "s3cret"), lambda: file(tmp_path).erase("h")):
        with pytest.raises(ConfigurationError):
            change()
    assert (tmp_path / "docker" / "config.json").read_text() == bad


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").symlink_to(tmp_path / "dotfiles" / "docker.json")
    file(tmp_path).store("h", "jo", "s3cret")
    assert (tmp_path / "docker" / "config.json").is_symlink()
    assert json.loads((tmp_path / "dotfiles" / "docker.json").read_text()) == {"auths": {"h": JO}}


# Helper programs


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Write the helper `vault`, which keeps one login; return where it notes what it is asked."""
    kept, note = shlex.quote(str(tmp_path / "kept")), shlex.quote(str(tmp_path / "asked"))
    answer = '{"Username": "jo", "Secret": "s3cret"}'
    missing = "{ echo 'credentials not found in native keychain'; exit 1; }"
    write_helper(
        tmp_path / "bin",
        "vault",
        f"""text=$(cat); echo "$1 $text" >> {note}
        case $1 in
        store) printf %s "$text" > {kept};;
        get) [ -e {kept} ] && echo '{answer}' || {missing};;
        erase) rm {kept};;
        esac""",
    )
    return tmp_path / "asked"


@pytest.mark.parametrize("document", [{"credsStore": "vault"}, {"credHelpers": {"h": "vault"}}])
def test_a_helper_keeps_the_secret(tmp_path: Path, asked: Path, document: dict[str, object]) -> None:
    before = {**document, "auths": {"h": {"auth": "old"}}}
    assert file(tmp_path, before).store("h", "jo", "s3cret") == "docker-credential-vault"
    assert written(tmp_path) == {**document, "auths": {"h": {}}}
    assert json.loads((tmp_path / "kept").read_text()) == {
        "ServerURL": "h",
        "Username": "jo",
        "Secret": "s3cret",
    }
    assert file(tmp_path).erase("h")
    assert written(tmp_path) == {**document, "auths": {}}
    assert asked.read_text().splitlines()[1:] == ["get h", "erase h"]
    assert not (tmp_path / "kept").exists()
    assert not file(tmp_path).erase("h")


def test_a_host_without_a_helper_is_in_the_file(tmp_path: Path, asked: Path) -> None:
    document = {"credsStore": "vault", "credHelpers": {"h": ""}}
    assert file(tmp_path, document).store("h", "jo", "s3cret").endswith("config.json")
    assert not asked.exists()


def test_a_helper_that_fails(tmp_path: Path, asked: Path) -> None:
    before = {"credsStore": "vault", "auths": {"h": {}}}
    file(tmp_path, before).store("h", "jo", "s3cret")
    write_helper(
        tmp_path / "bin", "vault", '[ $1 = get ] && echo \'{"Username":"a","Secret":"b"}\' || exit 9'
    )
    for change, word in (
        (lambda: file(tmp_path).store("h", "jo", "s3cret"), "did not store"),
        (lambda: file(tmp_path).erase("h"), "did not erase"),
    ):
        with pytest.raises(
            AuthenticationError, match=f"docker-credential-vault {word} the login for h"
        ) as caught:
            change()
        assert "s3cret" not in f"{caught.value.message}{caught.value.why}{caught.value.facts}"
        assert "see whether docker-credential-vault is unlocked" in advice(caught.value)
    assert written(tmp_path) == before
    assert asked.exists()
