"""The certificate that the service shows, and its renewal while it runs.

What it is: files in, TLS contexts out; the files are looked at again and again, for cert-manager and the
like replace them. What it is not: trust in any server that is asked (`remote.http.tls`).

Rules:

1. TLS 1.2 is the least, and HTTP/1.1 the one protocol.
2. A new pair is tried in a context of its own. When it cannot be used, or has ended and the one before has
   not, the one before goes on; that is said in the log, once for each state of the files, and counted.
3. Files are looked at by `stat`, links followed: Kubernetes swaps the link to the directory of a mounted
   secret.
4. With a CA for clients, a certificate that a client shows has to chain to it. Whether one has to be shown
   is decided by path: probes have none (`asgi`). It counts until its end, and as long as the file with the
   CAs holds what it held, however long its connection goes on.
5. An encrypted key is refused: nobody is there to type a passphrase.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from typing import TYPE_CHECKING

from cryptography.x509 import load_pem_x509_certificates

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, NotarypyError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)


class _Context(ssl.SSLContext):
    """A context that knows the CAs of clients by which it judges."""

    authorities = b""


class ClientCertificate:
    """What the client of one connection has shown, if anything; it may cease to count (rule 4)."""

    def __init__(self, serving: ServingCertificate, tls: ssl.SSLObject) -> None:
        self._serving, self._context = serving, tls.context
        shown = tls.getpeercert()
        self._until = ssl.cert_time_to_seconds(str(shown["notAfter"])) if shown else 0.0

    @property
    def outdated(self) -> bool:
        """Whether other CAs count by now."""
        return getattr(self._context, "authorities", None) != self._serving.context.authorities

    def counts(self) -> bool:
        """Tell whether a certificate was shown that counts now."""
        return time.time() < self._until and not self.outdated


class ServingCertificate:
    """A certificate with its key, and the CAs of clients; `context` has what counts now."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        *,
        loaded: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """Read the files, or raise ConfigurationError; `loaded` is given their end, None for no use."""
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._loaded, self._ends = loaded, 0.0
        self._seen = self._states()
        self.context = self._read()

    def client(self, tls: ssl.SSLObject) -> ClientCertificate:
        """Return what a client has shown in a handshake."""
        return ClientCertificate(self, tls)

    def look(self) -> None:
        """Look whether the files have changed, and take them if they can be used (rules 2 and 3)."""
        states = self._states()
        if states == self._seen:
            return
        self._seen = states
        try:
            self.context = self._read()
        except NotarypyError as error:
            self._loaded(None)
            why = "; ".join((error.message, *error.why))
            _LOG.error(
                "the certificate files have changed and cannot be used, the ones before go on: %s", why
            )
        else:
            _LOG.warning("the certificate files have changed and are used from now on")

    def _states(self) -> tuple[object, ...]:
        return tuple(_state(path) for path in (self._certificate, self._key, self._client_ca) if path)

    def _read(self) -> _Context:
        end = _end(self._certificate)
        _data(self._key, "there is no key to serve with")
        context = _Context(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, _no_passphrase)
            if self._client_ca is not None:
                context.authorities = _data(self._client_ca, "there are no CAs of clients")
                context.load_verify_locations(cadata=context.authorities.decode("ascii", "ignore"))
                context.verify_mode = ssl.CERT_OPTIONAL  # rule 4
        except (OSError, ValueError) as error:
            raise self._unusable(error) from None
        if end < (now := time.time()) < self._ends:
            raise self._unusable(ValueError("the certificate has ended, and the one before has not"))
        if end < now:
            _LOG.warning("the certificate in %s has ended", self._certificate)
        self._ends = end
        self._loaded(end)
        return context

    def _unusable(self, error: Exception) -> ConfigurationError:
        why = str(error) if isinstance(error, ValueError) else getattr(error, "reason", None) or str(error)
        named = [self._certificate, self._key, *([self._client_ca] if self._client_ca else [])]
        shown = ", ".join(map(str, named))
        advice = Advice("check-tls-pair")
        return ConfigurationError(f"TLS cannot be served with {shown}", why=why, advice=advice)


def _end(path: Path) -> float:
    """Return when the first certificate of a file ends, in seconds of the epoch."""
    none = "there is no certificate to serve"
    try:
        first = load_pem_x509_certificates(_data(path, none))[0]
    except ValueError as error:
        raise _nothing(path, none, error) from None
    return first.not_valid_after_utc.timestamp()


def _data(path: Path, none: str) -> bytes:
    try:
        return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
    except (NotarypyError, OSError) as error:
        raise _nothing(path, none, error) from None


def _nothing(path: Path, none: str, error: Exception) -> ConfigurationError:
    why = getattr(error, "strerror", None) or str(error)
    return ConfigurationError(f"{none} in {path}", why=why, advice=Advice("check-tls-pair"))


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted")


def _state(path: Path) -> object:
    """Return what is different when a file is another one, or was written anew."""
    try:
        found = os.stat(path)  # noqa: PTH116 - the same, without a Path's detour
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
