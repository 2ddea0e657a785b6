from __future__ import annotations

import base64

import pytest

from notarypy.errors import ConfigurationError
from notarypy.remote.auth.credentials import Credential, Keychain, NotaryAuth, host_key


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Known:
    """A source that knows some hosts, and notes what it is asked."""

    def __init__(self, name: str, **credentials: Credential) -> None:
        self.name = name
        self.credentials = credentials
        self.asked: list[tuple[str, str]] = []

    def get(self, host: str, path: str = "") -> Credential | None:
        self.asked.append((host, path))
        return self.credentials.get(host)


def test_secrets_stay_out_of_sight() -> None:
    credential = Credential("jo", "s3cret", "here")
    assert "s3cret" not in repr(credential)
    assert "s3cret" not in str(credential)


def test_notary_auth() -> None:
    for end in ("", "\n", "\r\n", " "):
        source = NotaryAuth({"NOTARY_AUTH": encoded(f"jo:a: b{end}") + "\n"})
        assert source.get("any.host") == Credential("jo", "a: b", "NOTARY_AUTH")


@pytest.mark.parametrize("environ", [{}, {"NOTARY_AUTH": ""}, {"NOTARY_AUTH": " "}])
def test_notary_auth_unset(environ: dict[str, str]) -> None:
    assert NotaryAuth(environ).get("any.host") is None


@pytest.mark.parametrize("value", ["jo:s3cret", encoded("s3cret"), encoded(":s3cret"), "/w=="])
def test_bad_notary_auth_is_named_but_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        NotaryAuth({"NOTARY_AUTH": value}).get("any.host")
    assert "NOTARY_AUTH" in caught.value.message
    assert "s3cret" not in f"{caught.value!r} {caught.value.why} {caught.value.facts}"


def test_a_servers_own_name_goes_before_its_other_names() -> None:
    first, second = Known("first", b=Credential("jo", "pw", "first")), Known("second")
    chain = Keychain([first, second])
    assert chain.places == ("first", "second")
    assert chain.find(["a", "b"], "ns/app") == Credential("jo", "pw", "first")
    assert first.asked == [("a", "ns/app"), ("b", "ns/app")]
    assert second.asked == [("a", "ns/app")]
    own = Known("second", a=Credential("own", "pw", "second"))
    assert Keychain([first, own]).find(["a", "b"]) == Credential("own", "pw", "second")
    assert Keychain([own, first]).find(["b"]) == Credential("jo", "pw", "first")
    assert Keychain().find(["a"]) is None


def test_a_registry_token_is_for_the_server_itself_alone() -> None:
    token = Credential("", "t0ken", "file", "bearer")
    login = Credential("jo", "pw", "other")
    chain = Keychain([Known("file", registry=token), Known("other", notary=login)])
    assert chain.find(["registry"]) == token
    assert chain.find(["notary", "registry"]) == login


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Registry.corp", "registry.corp"),
        ("registry.corp:443", "registry.corp"),
        ("http://registry.corp:5000/v2/", "registry.corp:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io:443", "docker.io"),
        ("[::1]:443", "[::1]"),
    ],
)
def test_a_host_has_one_key(name: str, key: str) -> None:
    assert host_key(name) == key
