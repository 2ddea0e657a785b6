"""What a URL says of the server it leads to.

Pure: texts in, values out. A server is its origin: scheme, host and port.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from notarypy.errors import ConfigurationError


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL.

    Raises:
        ConfigurationError: It is not a plain http or https URL.
    """
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


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine by its very name."""
    if host == "localhost":
        return True
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
