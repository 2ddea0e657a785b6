"""Addresses of servers: checked, brought to one form, and told apart as loopback or not.

What it is: text in, text out. What it is not: it resolves no name.

Rules:

1. https only; http just for a loopback address, and only where the user wrote it.
2. No user, password, query or fragment. A refused address that may hold a secret
   is not repeated in the error.
3. One form: lower-case host, no default port, no slash at the end. A path in
   front of `/v2/` is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.errors import Advice, ConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

HTTPS_PORT = 443
_DEFAULT_PORTS = {"https": HTTPS_PORT, "http": 80}
# Wider than DNS: names with an underscore work in container networks.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_SAFE = re.compile(r"[!-~]+")


def server_url(text: str, source: str) -> str:
    """Return the address of a Notary server in its one form.

    Args:
        text: What the user wrote.
        source: Where: an option, a variable, or a place in a file.

    Raises:
        ConfigurationError: It breaks a rule.
    """
    parts, port = _split(text, source)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if not _is_host(host):
        raise _unusable(source, f"{text} has no usable host name")
    if parts.scheme == "http" and not is_loopback(host):
        raise _unusable(
            source,
            f"{text} is not https",
            Advice("write-instead", text=f"https://{parts.netloc}{parts.path}"),
        )
    if ".." in parts.path.split("/"):
        raise _unusable(source, f"{text} has .. in its path")
    shown_port = f":{port}" if port not in {None, _DEFAULT_PORTS[parts.scheme]} else ""
    return f"{parts.scheme}://{host}{shown_port}{parts.path.rstrip('/')}"


def host_port(text: str) -> str:
    """Return `host:port` of a URL or of `host[:port]`; the default is the port of its scheme, or 443."""
    scheme, separator, rest = text.partition("://")
    authority = (rest if separator else text).partition("/")[0].lower()
    host, port = _host_and_port(authority)
    return f"{host}:{port or _DEFAULT_PORTS.get(scheme.lower(), HTTPS_PORT)}"


def is_loopback(text: str) -> bool:
    """Tell whether `host[:port]` is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    host = _host_and_port(text.lower())[0].strip("[]")
    if host == "localhost":
        return True
    if not host.startswith("127.") and ":" not in host:
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_and_port(authority: str) -> tuple[str, str]:
    """Split `host[:port]`; an IPv6 address is in brackets."""
    host, bracket, rest = authority.partition("]")
    if bracket:
        return f"{host}]", rest.removeprefix(":")
    host, _, port = authority.partition(":")
    return host, port


def _split(text: str, source: str) -> tuple[SplitResult, int | None]:
    """Take an address apart after refusing what must not be in one."""
    from urllib.parse import urlsplit

    if not text:
        raise _unusable(source, "it is empty")
    if "@" in text or "?" in text or "#" in text:
        advice = Advice("give-credentials-apart")
        raise _unusable(source, "it holds a user, password, query or fragment (not shown)", advice)
    if _SAFE.fullmatch(text) is None or "\\" in text:
        raise _unusable(source, "it holds spaces or other characters that no address has")
    if "://" not in text:
        raise _unusable(
            source, f"{text} does not begin with https://", Advice("write-instead", text=f"https://{text}")
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _unusable(source, f"{text}: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or port == 0:
        raise _unusable(source, f"{text} is not an https address")
    return parts, port


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return _HOST.fullmatch(host) is not None and ".." not in host
    import ipaddress

    try:
        return ipaddress.IPv6Address(host[1:-1]).scope_id is None
    except ValueError:
        return False


def _unusable(source: str, why: str, advice: Advice | None = None) -> ConfigurationError:
    message = f"{source} is not the address of a Notary server"
    return ConfigurationError(message, why=why, advice=advice, source=source)
