from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import ConfigurationError
from notarypy.remote.credentials import Credential, DockerConfig, Keychain, NotaryAuth

if TYPE_CHECKING:
    from pathlib import Path


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(path: Path, document: object) -> DockerConfig:
    file = path / "config.json"
    file.write_text(json.dumps(document))
    return DockerConfig(file)


def test_secrets_stay_out_of_sight() -> None:
    credential = Credential("jo", "s3cret", "here")
    assert "s3cret" not in repr(credential)
    assert "s3cret" not in str(credential)


def test_notary_auth() -> None:
    source = NotaryAuth({"NOTARY_AUTH": encoded("jo:a:b\n") + "\n"})
    assert source.get("any.host") == Credential("jo", "a:b\n", "NOTARY_AUTH")


@pytest.mark.parametrize("environ", [{}, {"NOTARY_AUTH": ""}, {"NOTARY_AUTH": " "}])
def test_notary_auth_unset(environ: dict[str, str]) -> None:
    assert NotaryAuth(environ).get("any.host") is None


@pytest.mark.parametrize("value", ["jo:s3cret", encoded("s3cret"), encoded(":s3cret"), "/w=="])
def test_bad_notary_auth_is_named_but_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        NotaryAuth({"NOTARY_AUTH": value}).get("any.host")
    assert "NOTARY_AUTH" in caught.value.message
    assert "s3cret" not in f"{caught.value!r} {caught.value.why} {caught.value.facts}"


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("registry.corp", "registry.corp"),
        ("registry.corp:5000", "registry.corp:5000"),
        ("https://registry.corp", "registry.corp"),
        ("https://Registry.corp:443/v2/", "registry.corp"),
        ("http://registry.corp:5000/", "registry.corp:5000"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_auths_by_every_spelling(tmp_path: Path, written: str, asked: str) -> None:
    source = config(
        tmp_path, {"auths": {"other": {"auth": encoded("x:y")}, written: {"auth": encoded("jo:pw")}}}
    )
    assert source.get(asked) == Credential("jo", "pw", str(tmp_path / "config.json"))


def test_no_other_host_is_served(tmp_path: Path) -> None:
    source = config(tmp_path, {"auths": {"registry.corp": {"auth": encoded("jo:pw")}}})
    for host in ("registry.corp:5000", "corp", "evil.registry.corp", "docker.io"):
        assert source.get(host) is None


def test_plain_members_and_identity_tokens(tmp_path: Path) -> None:
    source = config(
        tmp_path,
        {
            "auths": {
                "a": {"username": "jo", "password": "pw"},
                "b": {"auth": encoded("00000000:"), "identitytoken": "t0ken"},
                "c": {},
                "d": "nonsense",
            }
        },
    )
    assert source.get("a") == Credential("jo", "pw", source.name)
    assert source.get("b") == Credential("00000000", "t0ken", source.name, identity=True)
    assert source.get("c") is None
    assert source.get("d") is None


def test_a_linked_config_is_read(tmp_path: Path) -> None:
    config(tmp_path, {"auths": {"a": {"auth": encoded("jo:pw")}}})
    link = tmp_path / "link.json"
    link.symlink_to("config.json")
    found = DockerConfig(link).get("a")
    assert found is not None
    assert found.user == "jo"


def test_no_config_means_no_credentials(tmp_path: Path) -> None:
    assert DockerConfig(tmp_path / "none.json").get("a") is None
    assert config(tmp_path, {"auths": None}).get("a") is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"auths": [1]}', '{"auths": [', '{"auths": {"a": {"auth": "%"}}}', "\xff"]
)
def test_an_unusable_config_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        DockerConfig(tmp_path / "config.json").get("a")
    assert str(tmp_path) in caught.value.message


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        DockerConfig(tmp_path).get("a")


def test_sources_before_names(tmp_path: Path) -> None:
    docker = config(tmp_path, {"auths": {"b": {"auth": encoded("docker:pw")}}})
    chain = Keychain([NotaryAuth({"NOTARY_AUTH": encoded("variable:pw")}), docker])
    assert chain.places == ("NOTARY_AUTH", docker.name)
    found = chain.find(["a", "b"])
    assert found is not None
    assert found.user == "variable"
    found = Keychain([NotaryAuth({}), docker]).find(["a", "b"])
    assert found is not None
    assert found.user == "docker"
    assert Keychain().find(["a"]) is None
