"""Addresses of servers, brought to one form, and the certificate files that count for a server.

What it is: text and paths. What it is not: it resolves no name, opens no certificate (`remote.http.tls` does)
and decides nothing about trust.

Rules:

1. https only; http just for a loopback address, and only where the user wrote it.
2. No user, password, query or fragment. An address that may hold a secret is not repeated in the error.
3. One form: lower-case host, no default port, no slash at the end. A path in front of `/v2/` is kept; with
   `/v2` itself a server would take what comes after it for the name of another repository.
4. In a folder named after a host, as docker has them, every `*.crt` is a CA that adds to the system's store,
   and `X.cert` with `X.key` is a client certificate.
5. A CA named by an option or a configuration file replaces the system's store and the folder's CAs.
6. A folder that exists but cannot be listed is an error: else the user's own CA would silently not count.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from notarypy import files, system
from notarypy.errors import Advice, ConfigurationError, TlsError
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Address, IPv6Address
    from pathlib import Path

HTTPS_PORT = 443
_DEFAULT_PORTS = {"https": HTTPS_PORT, "http": 80}
# Wider than DNS: names with an underscore work in container networks.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_SAFE = re.compile(r"[!-~]+")


def server_url(text: str, source: str) -> str:
    """Return an address in its one form; raise ConfigurationError, which says where it was written."""
    parts, port = _split(text, source)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if not _is_host(host):
        raise _unusable(source, f"{text} has no usable host name")
    if parts.scheme == "http" and not is_loopback(host):
        advice = Advice("write-instead", text=f"https://{parts.netloc}{parts.path}")
        raise _unusable(source, f"{text} is not https", advice)
    if ".." in parts.path.split("/"):
        raise _unusable(source, f"{text} has .. in its path")
    segments = parts.path.strip("/").split("/")
    if "v2" in {segments[0], segments[-1]}:
        advice = Advice(
            "write-instead", text=f"{parts.scheme}://{parts.netloc}{parts.path.partition('/v2')[0]}"
        )
        raise _unusable(source, f"{text} has /v2 in its path, which comes by itself", advice)
    shown_port = f":{port}" if port not in {None, _DEFAULT_PORTS[parts.scheme]} else ""
    return f"{parts.scheme}://{host}{shown_port}{parts.path.rstrip('/')}"


def with_port(text: str) -> str:
    """Return `host:port` of a URL or of `host[:port]`; the default is the port of its scheme, or 443."""
    scheme, separator, rest = text.partition("://")
    host, port = _host_and_port((rest if separator else text).partition("/")[0].lower())
    return f"{host}:{port or _DEFAULT_PORTS.get(scheme.lower(), HTTPS_PORT)}"


def is_loopback(text: str) -> bool:
    """Tell whether `host[:port]` is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    host = _host_and_port(text.lower())[0].strip("[]")
    if host == "localhost":
        return True
    if not host.startswith("127.") and ":" not in host:
        return False
    address = _address(host)
    return address is not None and address.is_loopback


def _host_and_port(authority: str) -> tuple[str, str]:
    """Split `host[:port]`; an IPv6 address is in brackets."""
    host, bracket, rest = authority.partition("]")
    if bracket:
        return f"{host}]", rest.removeprefix(":")
    host, _, port = authority.partition(":")
    return host, port


def _split(text: str, source: str) -> tuple[SplitResult, int | None]:
    if not text:
        raise _unusable(source, "it is empty")
    if "@" in text:
        raise _unusable(source, "it holds a user or a password (not shown)", Advice("give-credentials-apart"))
    if "?" in text or "#" in text:
        raise _unusable(source, "it holds a query or a fragment (not shown)", Advice("leave-query-out"))
    if _SAFE.fullmatch(text) is None or "\\" in text:
        raise _unusable(source, "it holds spaces or other characters that no address has")
    if "://" not in text:
        advice = Advice("write-instead", text=f"https://{text}")
        raise _unusable(source, f"{text} does not begin with https://", advice)
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
    address = _address(host[1:-1])
    return address is not None and ":" in host and "%" not in host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address  # 2 ms, and most hosts have names

    try:
        return ip_address(host)
    except ValueError:
        return None


def _unusable(source: str, why: str, advice: Advice | None = None) -> ConfigurationError:
    message = f"{source} is not the address of a Notary server"
    return ConfigurationError(message, why=why, advice=advice, source=source)


@dataclass(frozen=True)
class TlsFiles:
    """The certificate files for one server.

    Attributes:
        replace_ca: The only CAs to trust; None means the system's store and `extra_ca`.
        extra_ca: Further CA files.
        client_cert: Client certificate, or None.
        client_key: Its private key, or None.
        searched: The places that were looked at for CAs, in words, for error messages.
        advice: How to add a CA.
        client_searched: The places of the client certificate, in words.
        client_advice: How to add a client certificate.
    """

    replace_ca: Path | None = None
    extra_ca: tuple[Path, ...] = ()
    client_cert: Path | None = None
    client_key: Path | None = None
    searched: tuple[str, ...] = ()
    advice: Advice | None = None
    client_searched: tuple[str, ...] = ()
    client_advice: Advice | None = None


def folders(bases: Sequence[Path], host_port: str) -> list[Path]:
    """Return the folders that may hold a host's certificates; on port 443 the port may be left out."""
    name = with_port(host_port)
    host, _, port = name.rpartition(":")
    names = [host, name] if port == str(HTTPS_PORT) else [name]
    return [base / folder for base in bases for name in names for folder in system.host_folders(name)]


def find(
    bases: Sequence[Path],
    host_port: str,
    replace_ca: Path | None,
    pair: tuple[Path, Path] | None,
    *,
    environ: Mapping[str, str] = MappingProxyType({}),
    options: bool = False,
) -> TlsFiles:
    """Collect the files for a server; raise TlsError or ConfigurationError for an unusable folder.

    The user named `replace_ca` and the client certificate and key of `pair`; `environ` may name the system's
    store; `options` tells for messages whether options can name files for this server.
    """
    extra: list[Path] = []
    stores = [f"{name}={environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)]
    places = ["the CA certificates of this system" + (f" ({', '.join(stores)})" if stores else "")]
    own = [folder for folder in folders(bases, host_port) if not files.lacks_home(folder)]
    named = pair is not None
    for folder in own:
        found = _files(folder)
        ca = [path for path in found if path.suffix == ".crt"]
        extra += ca
        places.append(f"{folder} ({f'{len(ca)} *.crt' if ca else 'no *.crt'})")
        pair = pair or _pair(found)
    advice, client_advice = Advice("name-ca"), Advice("name-client-pair")  # there is no home for a folder
    if own:
        advice = Advice("copy-ca-or-name-it" if options else "copy-ca", file=own[-1] / "ca.crt")
        client_advice = Advice("put-client-pair-or-name-it" if options else "put-client-pair", folder=own[-1])
    if replace_ca is not None:
        extra, places = [], [f"{replace_ca}, in place of the CA certificates of this system"]
        advice = Advice("check-ca-file", file=replace_ca)
    cert, key = pair or (None, None)
    shown = [(folder, cert.name if cert and cert.parent == folder else None) for folder in own]
    return TlsFiles(
        replace_ca,
        tuple(extra),
        cert,
        key,
        tuple(places),
        advice,
        (f"{cert}",)
        if named
        else tuple(f"{folder} ({name or 'no X.cert with X.key'})" for folder, name in shown),
        client_advice,
    )


def client_pair(
    named: tuple[Path | None, Path | None], configured: tuple[Path | None, Path | None], config: Path | None
) -> tuple[Path | None, Path | None]:
    """Return a client certificate and its key, each as named or else as configured.

    Raises ConfigurationError for half of a pair.
    """
    cert, key = named[0] or configured[0], named[1] or configured[1]
    if (cert is None) == (key is None):
        return cert, key
    if named != (None, None):
        raise ConfigurationError("--tlscert and --tlskey go together", advice=Advice("give-both"))
    place = f"remote_server.{'tls_client_cert' if key is None else 'tls_client_key'}"
    why, facts = "tls_client_cert and tls_client_key go together", {"path": str(config), "key": place}
    raise ConfigurationError(
        f"{place} in {config} cannot be used", why=why, advice=Advice("give-both"), **facts
    )


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        why, advice = error.strerror or str(error), Advice("give-readable-folder", folder=folder)
        message = f"cannot look for certificates in {folder}"
        raise TlsError(message, why=why, advice=advice, path=str(folder)) from error


def _pair(found: Sequence[Path]) -> tuple[Path, Path] | None:
    for path in found:
        if path.suffix not in {".cert", ".key"}:
            continue
        other = path.with_suffix(".key" if path.suffix == ".cert" else ".cert")
        if other not in found:
            message, why = f"{path} has no counterpart", f"there is no {other.name} beside it"
            advice = Advice("put-counterpart", missing=other.name, present=path.name)
            raise ConfigurationError(message, why=why, advice=advice, path=str(path))
        return path.with_suffix(".cert"), path.with_suffix(".key")
    return None
