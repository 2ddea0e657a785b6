"""Which proxy a request goes through, from an environment that is handed in.

As in Go: HTTPS_PROXY for https, HTTP_PROXY for http (not in a CGI program), NO_PROXY with names, `.suffixes`,
addresses, networks, ports and `*`; the machine itself is never asked through a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from notarypy.errors import ConfigurationError
from notarypy.remote.urls import is_loopback, origin

if TYPE_CHECKING:
    from collections.abc import Mapping


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy URL for a request, or None for a direct connection.

    Raises:
        ConfigurationError: The proxy variable does not hold an http or https URL.
    """
    scheme, host, port = origin(url)
    name = f"{scheme}_proxy"
    value = environ.get(name.upper()) or environ.get(name) or ""
    if not value or is_loopback(host) or (scheme == "http" and "REQUEST_METHOD" in environ):
        return None
    if _excluded(host, port, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return None
    proxy = value if "://" in value else f"http://{value}"
    if not proxy.startswith(("http://", "https://")) or not _host(proxy):
        # The value may hold a password, so it is not shown.
        raise ConfigurationError(
            f"{name.upper()} does not name a usable proxy", why="it must be an http:// or https:// URL"
        )
    return proxy


def address(proxy: str) -> str:
    """Return `host:port` of a proxy URL, without its user and password."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _host(proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        usable = parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if usable else ""


def _excluded(host: str, port: int, patterns: str) -> bool:
    """Tell whether one of the comma-separated patterns covers a host."""
    return any(_covers(pattern.strip().lower(), host.lower(), port) for pattern in patterns.split(","))


def _covers(pattern: str, host: str, port: int) -> bool:
    if pattern in ("", "*"):
        return pattern == "*"
    if _in_network(pattern, host):
        return True
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        pattern = name.strip("[]")
    pattern = pattern.removeprefix("*")
    if pattern.startswith("."):
        return host.endswith(pattern)
    return host == pattern or host.endswith(f".{pattern}")


def _in_network(pattern: str, host: str) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(pattern, strict=False)
    except ValueError:
        return False
