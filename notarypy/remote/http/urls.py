"""What a URL says of the server it leads to, where a redirect may lead, and which proxy is in between.

Pure: texts and answers in, values out. A server is its origin: scheme, host and port. `transport` decides
whether redirects are followed at all, and counts them.

Rules:

1. A redirect leads to the same origin, or, where the caller allows that, to https elsewhere, or from http on
   this machine to http on this machine: registries keep blobs and manifests with others. Never from https to
   http: where a proxy that ends TLS has the server behind it say http of itself, https is meant.
2. Elsewhere go only headers that are no secret to anybody, and never another one that will be added later.
3. As in Go: HTTPS_PROXY for https, HTTP_PROXY for http (not in a CGI program), NO_PROXY with names,
   `.suffixes`, addresses, networks, ports and `*`; the machine itself is never asked through a proxy.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from notarypy.errors import ConfigurationError, ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.remote.http.messages import Response

_PUBLIC_HEADERS = frozenset({"accept", "accept-encoding", "range", "user-agent"})
_SAFE = "%/:?#[]@!$&'()+*,;=~"  # what stands in a URL as it is; the rest is escaped
_LOG = logging.getLogger(__name__)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL; raise ConfigurationError if it is no plain http or https URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("a server's URL cannot be understood") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("a server's URL must begin with https:// and a host name")
    if "@" in parts.netloc:
        raise ConfigurationError("a server's URL must not hold a user or a password", host=host)
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def host_port(url: str) -> str:
    """Return `host` or `host:port` of a URL, without the scheme's own port."""
    scheme, host, port = origin(url)
    shown = f"[{host}]" if ":" in host else host
    return shown if port == (443 if scheme == "https" else 80) else f"{shown}:{port}"


def target(url: str) -> str:
    """Return what the request line names: path and query."""
    parts = urlsplit(url)
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are no secret to anybody (rule 2)."""
    return {name: value for name, value in headers.items() if name.lower() in _PUBLIC_HEADERS}


def next_hop(url: str, response: Response, *, allow_cross_origin: bool) -> str:
    """Return where a redirect leads; raise ServerError if it must not be followed there (rule 1)."""
    target = ""
    try:
        target = _as_it_is_spoken(urljoin(url, response.headers.get("location", "")), url)
        old, new = origin(url), origin(target)
        on_this_machine = old[0] == "http" and is_loopback(old[1]) and is_loopback(new[1])
        followed = old == new or (allow_cross_origin and (new[0] == "https" or on_this_machine))
    except (ValueError, ConfigurationError):
        followed = False
    if not followed:
        _LOG.debug("a redirect of %s is refused", host_port(url))
        raise ServerError(
            f"{host_port(url)} redirects to another place",
            why="a redirect is followed only to the same scheme, host and port"
            + (", or to https" if allow_cross_origin else ""),
            host=host_port(url),
            status=response.status,
        )
    _LOG.debug("a redirect of %s to %s is followed", host_port(url), host_port(target))
    return target


def _as_it_is_spoken(target: str, url: str) -> str:
    """Return a target over https if it is said to be where we ask over https already, only over http."""
    asked, said = origin(url), origin(target)
    same_place = asked[1] == said[1] and said[2] in {80, asked[2]}
    if not (asked[0] == "https" and said[0] == "http" and same_place):
        return target
    return urlsplit(target)._replace(scheme="https", netloc=urlsplit(url).netloc).geturl()


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy URL for a request, or None for a direct connection (rule 3)."""
    scheme, host, port = origin(url)
    name = f"{scheme}_proxy"
    value = environ.get(name.upper()) or environ.get(name) or ""
    if not value or is_loopback(host) or (scheme == "http" and "REQUEST_METHOD" in environ):
        return None
    excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if any(_covers(pattern.strip().lower(), host.lower(), port) for pattern in excluded.split(",")):
        return None
    proxy = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(proxy)
        usable = proxy.startswith(("http://", "https://")) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The value may hold a password, so it is not shown.
        raise ConfigurationError(
            f"{name.upper()} does not name a usable proxy", why="it must be an http:// or https:// URL"
        )
    return proxy


def proxy_address(proxy: str) -> str:
    """Return `host:port` of a proxy URL, without its user and password."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _covers(pattern: str, host: str, port: int) -> bool:
    if pattern in ("", "*"):
        return pattern == "*"
    with suppress(ValueError):  # one of them may be a name
        if ip_address(host) in ip_network(pattern, strict=False):
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
