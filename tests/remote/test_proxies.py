from __future__ import annotations

import pytest

from notarypy.errors import ConfigurationError
from notarypy.remote.http.urls import proxy_address, proxy_for

PROXY = "http://proxy.corp:3128"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://a.corp", {}, None),
        ("https://a.corp", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.corp", {"https_proxy": PROXY}, PROXY),
        ("https://a.corp", {"HTTPS_PROXY": "", "https_proxy": PROXY}, PROXY),
        ("https://a.corp", {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        ("http://a.corp", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://a.corp", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
        ("https://a.corp", {"HTTPS_PROXY": "proxy.corp:3128"}, PROXY),
        ("https://localhost:1", {"HTTPS_PROXY": PROXY}, None),
        ("https://127.0.0.9", {"HTTPS_PROXY": PROXY}, None),
        ("https://[::1]:4443", {"HTTPS_PROXY": PROXY}, None),
    ],
)
def test_which_proxy(url: str, environ: dict[str, str], expected: str | None) -> None:
    assert proxy_for(url, environ) == expected


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("*", True),
        ("a.corp", True),
        ("A.CORP", True),
        ("corp", True),
        (".corp", True),
        ("*.corp", True),
        ("x, a.corp ,y", True),
        ("a.corp:443", True),
        ("a.corp:80", False),
        (".a.corp", False),
        ("orp", False),
        ("b.corp", False),
        ("", False),
        (",", False),
    ],
)
def test_no_proxy_names(pattern: str, excluded: bool) -> None:
    found = proxy_for("https://a.corp", {"HTTPS_PROXY": PROXY, "NO_PROXY": pattern})
    assert (found is None) == excluded


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("10.0.0.0/8", True),
        ("10.1.2.3", True),
        ("10.1.2.3:8443", True),
        ("10.1.2.3:1", False),
        ("11.0.0.0/8", False),
    ],
)
def test_no_proxy_addresses(pattern: str, excluded: bool) -> None:
    found = proxy_for("https://10.1.2.3:8443", {"HTTPS_PROXY": PROXY, "no_proxy": pattern})
    assert (found is None) == excluded


@pytest.mark.parametrize("value", ["socks5://u:s3cret@p:1", "http://", "ftp://p", "http://u:s3cret@p:port"])
def test_unusable_proxy_is_an_error_without_its_password(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        proxy_for("https://a.corp", {"HTTPS_PROXY": value})
    assert "s3cret" not in f"{caught.value} {caught.value.why} {caught.value.facts}"


def test_address_has_no_password() -> None:
    assert proxy_address("http://jo:s3cret@proxy.corp:3128") == "proxy.corp:3128"
