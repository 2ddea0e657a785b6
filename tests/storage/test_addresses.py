from __future__ import annotations

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError
from notarypy.storage.settings import servers


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://notary.corp", "https://notary.corp"),
        ("https://notary.corp/", "https://notary.corp"),
        ("https://notary.corp:443", "https://notary.corp"),
        ("https://notary.corp:443/", "https://notary.corp"),
        ("https://notary.corp:", "https://notary.corp"),
        ("HTTPS://Notary.Corp:4443", "https://notary.corp:4443"),
        ("https://notary.corp:04443", "https://notary.corp:4443"),
        ("https://notary.corp/prefix/", "https://notary.corp/prefix"),
        ("https://notary.corp/a/b", "https://notary.corp/a/b"),
        ("https://notary_server:4443", "https://notary_server:4443"),
        ("https://[2001:DB8::1]:4443", "https://[2001:db8::1]:4443"),
        ("http://localhost:4443", "http://localhost:4443"),
        ("http://localhost:80/", "http://localhost"),
        ("http://localhost:443/", "http://localhost:443"),
        ("http://127.0.0.1:4443", "http://127.0.0.1:4443"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:4443/x", "http://[::1]:4443/x"),
        ("http://LOCALHOST", "http://localhost"),
    ],
)
def test_one_form_for_every_way_to_write_an_address(text: str, url: str) -> None:
    assert servers.server_url(text, "--server") == url
    assert servers.server_url(url, "--server") == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("notary.corp", "does not begin"),
        ("notary.corp:4443", "does not begin"),
        ("//notary.corp", "does not begin"),
        ("ftp://notary.corp", "not an https"),
        ("file:///etc/passwd", "not an https"),
        ("http://notary.corp", "is not https"),
        ("http://10.0.0.1", "is not https"),
        ("http://localhost.evil.com", "is not https"),
        ("http://127.0.0.1.evil.com", "is not https"),
        ("http://127.1", "is not https"),
        ("http://0.0.0.0", "is not https"),
        ("http://[::2]", "is not https"),
        ("https://", "host name"),
        ("https:///path", "host name"),
        ("https://:4443", "host name"),
        ("https://a..b", "host name"),
        ("https://-a", "host name"),
        ("https://a%2fb", "host name"),
        ("https://[::1", "Invalid IPv6"),
        ("https://[fe80::1%25eth0]", ""),
        ("https://a:b", ""),
        ("https://a:99999", "out of range"),
        ("https://a:0", "not an https"),
        ("https://a/../b", ".."),
        ("https://a b", "spaces"),
        ("https://a\n.corp", "spaces"),
        ("\thttps://a", "spaces"),
        ("https://nötary.corp", "spaces"),
        ("https://a\\b", "spaces"),
    ],
)
def test_refuses_and_says_where_and_why(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DOCKER_CONTENT_TRUST_SERVER is not the address") as caught:
        servers.server_url(text, "DOCKER_CONTENT_TRUST_SERVER")
    assert why in caught.value.why[0]


@pytest.mark.parametrize(
    "text",
    ["https://me:s3cret@a", "https://s3cret@a", "me:s3cret@a", "https://a?token=s3cret", "https://a#s3cret"],
)
def test_a_secret_in_an_address_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        servers.server_url(text, "--server")
    error = caught.value
    assert "s3cret" not in repr((error, error.why, advice(error), error.facts, error.__cause__))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("notary.corp", "notary.corp:443"),
        ("Notary.corp:4443", "notary.corp:4443"),
        ("https://notary.corp/x", "notary.corp:443"),
        ("http://localhost", "localhost:80"),
        ("http://[::1]:5000/x", "[::1]:5000"),
        ("[::1]", "[::1]:443"),
    ],
)
def test_finds_host_and_port(text: str, found: str) -> None:
    assert servers.with_port(text) == found


@pytest.mark.parametrize(
    "text", ["localhost", "LocalHost:5000", "127.0.0.1", "127.3.2.1:80", "[::1]:5", "[::1]"]
)
def test_knows_this_machine(text: str) -> None:
    assert servers.is_loopback(text)


@pytest.mark.parametrize(
    "text",
    ["", "local", "localhost.corp", "127.evil", "127.0.0.256", "128.0.0.1", "[::2]:5", "[::", "0.0.0.0"],
)
def test_knows_other_machines(text: str) -> None:
    assert not servers.is_loopback(text)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("https://notary.corp?token=s3cret", "leave out ? or #, and what follows it"),
        ("https://notary.corp/#s3cret", "leave out ? or #, and what follows it"),
        (
            "https://jo:s3cret@notary.corp",
            "put credentials into NOTARY_AUTH, or log in: notarypy login REGISTRY",
        ),
    ],
)
def test_what_is_too_much_in_an_address_is_called_by_its_name(text: str, fix: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        servers.server_url(text, "--server")
    assert advice(caught.value) == fix
    assert "s3cret" not in f"{caught.value} {caught.value.why}"
