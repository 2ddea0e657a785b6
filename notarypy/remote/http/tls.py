"""TLS contexts: the operating system's CA store, plus or instead of it named CA files, and nothing else.

SSL_CERT_FILE and SSL_CERT_DIR name the store as they do for Go programs. A CA file that cannot be read stops
everything: to go on without it would be to trust other issuers than the user chose.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import system
from notarypy.errors import Advice, TlsError
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

if TYPE_CHECKING:
    import ssl

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")
_GIVE_CA = Advice("give-ca")
_GIVE_CERTIFICATE = Advice("give-client-certificate")
_LOG = logging.getLogger(__name__)


ContextOf = Callable[[str], "ssl.SSLContext"]
"""Returns the TLS context of a host, named `host`, or `host:port` if it is not 443."""


@dataclass(frozen=True)
class TlsPlaces:
    """Where certificates were looked for, how to add one, and which client certificate was shown, or ""."""

    searched: tuple[str, ...] = ()
    advice: Advice | None = _GIVE_CA
    client_searched: tuple[str, ...] = ()
    client_advice: Advice | None = _GIVE_CERTIFICATE
    client_cert: str = ""


def context(
    *,
    replace_ca: Path | None = None,
    extra_ca: Sequence[Path] = (),
    client_cert: Path | None = None,
    client_key: Path | None = None,
    environ: Mapping[str, str],
) -> ssl.SSLContext:
    """Make the TLS context for one host; `replace_ca` takes the place of the system's store.

    A client certificate is a chain, and needs its unencrypted private key; both are PEM.

    Raises:
        TlsError: A file cannot be read or holds no certificate or key.
    """
    import ssl  # costs milliseconds, and commands without a network import this module too

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # A common name is no host name any more: Go does not look at it either.
    made.hostname_checks_common_name = False
    # A CA file may hold just the issuing intermediate: it was named, so it is trusted, as in Go.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    system = [] if replace_ca else _add_system_store(made, environ, ssl.get_default_verify_paths())
    files = [*([replace_ca] if replace_ca else ()), *extra_ca]
    for path in files:
        _add_file(made, path)
    if client_cert or client_key:
        _add_client_pair(made, client_cert, client_key)
    shown = ", ".join(map(str, (*system, *files)))
    _LOG.debug(
        "a TLS context: CAs from %s; client certificate: %s", shown or "nowhere", client_cert or "none"
    )
    return made


def _add_file(made: ssl.SSLContext, path: Path, source: str = "") -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not (path.is_file() or path.is_fifo()):
            number = errno.ENODEV if path.exists() else errno.ENOENT
            raise FileNotFoundError(number, os.strerror(number))
        made.load_verify_locations(cafile=path)
    except OSError as error:
        raise TlsError(
            f"cannot use the CA file {path}",
            why=tuple(filter(None, (_why(error, "it holds no certificate in PEM form"), source))),
            advice=Advice("give-ca-file"),
            path=str(path),
            reason="ca_file",
            errno=_errno(error),
        ) from None


def _add_client_pair(made: ssl.SSLContext, cert: Path | None, key: Path | None) -> None:
    if cert is None or key is None:
        raise TlsError(
            "a client certificate and its key must be given together",
            advice=Advice("give-certificate-and-key"),
        )
    try:
        # Without a password OpenSSL itself would ask for one on the terminal.
        made.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        otherwise = "they are not a PEM certificate and its unencrypted PEM key"
        other = getattr(error, "reason", "") in _OTHER_KEY
        raise TlsError(
            f"cannot use the client certificate {cert} with the key {key}",
            why="the certificate is of another key" if other else _why(error, otherwise),
            advice=Advice("give-client-pair"),
            path=str(key if os.access(cert, os.R_OK) and not os.access(key, os.R_OK) else cert),
            reason="other_key" if other else "client_pair",
            errno=_errno(error),
        ) from None


def _why(error: Exception, otherwise: str) -> str:
    if getattr(error, "errno", None) == errno.ENOENT:
        return "there is no such file"
    return ("" if hasattr(error, "library") else getattr(error, "strerror", None)) or otherwise


def _errno(error: Exception) -> int | None:
    """Return why the system refuses a file; None where it is what is in it."""
    return None if hasattr(error, "library") else getattr(error, "errno", None)


def _add_system_store(
    made: ssl.SSLContext, environ: Mapping[str, str], usual: ssl.DefaultVerifyPaths
) -> list[str]:
    """Add the system's store, return its places; OpenSSL alone would look into the real environment."""
    if system.WINDOWS:
        made.load_default_certs()
    hashed = {}
    directories = [usual.openssl_capath, *_DIRECTORIES]
    if named := environ.get("SSL_CERT_DIR"):
        directories = [directory for directory in named.split(os.pathsep) if directory]
    # Debian's OpenSSL names links to what Go programs name: one store by several names is one store.
    for directory in dict.fromkeys(map(os.path.realpath, directories)):
        try:
            names = sorted(os.listdir(directory))  # noqa: PTH208 - a Path for each name costs too much
        except OSError:
            continue
        links = sum(1 for name in names if _HASHED.fullmatch(name))
        if links:
            made.load_verify_locations(capath=directory)
            hashed[directory] = links
        elif named:
            # Without hash links, as Go does it; other files in it are passed over.
            for path in (Path(directory, name) for name in names):
                if path.is_file() and b"-----BEGIN CERTIFICATE-----" in _start(path):
                    _add_file(made, path)
    candidates = (name for name in (usual.openssl_cafile, *_BUNDLES) if Path(name).is_file())
    given = environ.get("SSL_CERT_FILE", "")
    bundle = given or next(candidates, None)
    if bundle is None or bundle == os.devnull or _repeats(Path(bundle), hashed):  # that is a way to say none
        return [*hashed]
    _add_file(made, Path(bundle), "SSL_CERT_FILE names it" if given else "")
    return [*hashed, bundle]


def _repeats(bundle: Path, hashed: Mapping[str, int]) -> bool:
    """Tell whether a bundle only repeats the hashed directory that it, or what it links to, lies in.

    Reading a bundle costs some 20 ms, a hashed directory next to nothing. A bundle that somebody appended a
    certificate to holds more of them than there are links.
    """
    links = hashed.get(os.path.dirname(os.path.realpath(bundle)))  # noqa: PTH120 -- realpath gives a text
    return links is not None and _start(bundle).count(b"-----BEGIN ") == links


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT.ca_bundle_bytes)
    except OSError:
        return b""
