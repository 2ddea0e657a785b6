"""From what went wrong on the network to this project's errors.

Pure: answers and exceptions in, errors out. Texts of servers lose the secrets that they repeat (`redaction`)
and are shortened here, and escaped where they are printed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    AuthenticationError,
    NetworkError,
    NotFoundError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.limits import DEFAULT
from notarypy.remote.http.redaction import NOTHING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from notarypy.remote.http.redaction import Redaction
    from notarypy.remote.http.transport import Response

_ABOUT_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
_OLD_REQUIRED = "SSLV3_ALERT_HANDSHAKE_FAILURE"  # what TLS 1.2 servers say when they miss a certificate
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
_EXPIRED = 10
_DIGITS = 10
_KNOWN_CODES = frozenset({"DIGEST_INVALID", "VERSION"})
_NOT_YET_VALID = 9
_WRONG_HOST = frozenset({62, 64})
_GIVE_CA = Advice("give-ca")
_GIVE_CERTIFICATE = Advice("give-client-certificate")


@dataclass(frozen=True)
class Problem:
    """One entry of the error document that Notary servers and registries send."""

    code: str
    message: str
    detail: object = None

    def __str__(self) -> str:
        """Return code and message on one line, shortened."""
        return ": ".join(part for part in (self.code, self.message) if part)[: DEFAULT.error_chars]


def problems(response: Response) -> tuple[Problem, ...]:
    """Read an error document, without the secrets in it; anything else counts as an empty one."""
    try:
        document = json.loads(response.body.decode())
    except (ValueError, RecursionError):
        return ()
    entries = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return ()
    looked_at = entries[: DEFAULT.error_entries]
    return tuple(_problem(entry, response.hidden) for entry in looked_at if isinstance(entry, dict))


def _problem(entry: Mapping[str, object], hidden: Redaction) -> Problem:
    code, message = (_text(entry.get(name)) for name in ("code", "message"))
    shown = code if code in _KNOWN_CODES else hidden.without(code)
    most = DEFAULT.error_chars
    return Problem(shown[:most], hidden.without(message)[:most], _harmless(entry.get("detail"), hidden))


def _text(value: object) -> str:
    """Return a string, whatever the server wrote there."""
    return value if isinstance(value, str) else ""


def _harmless(detail: object, hidden: Redaction, levels: int = 2) -> object:
    """Return the texts of a detail and of the objects in it, without secrets."""
    if isinstance(detail, str):
        return hidden.without(detail)
    if isinstance(detail, dict) and levels:
        return {name: _harmless(inner, hidden, levels - 1) for name, inner in detail.items()}
    return None


def retry_after(response: Response) -> float | None:
    """Return the seconds a server asks to wait; None if it names none or names a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def of_status(host: str, path: str, response: Response) -> NotFoundError | ServerError:
    """Return the error for an answer that is neither a success nor about credentials."""
    found = problems(response)
    why = tuple(str(problem) for problem in found[:3])
    code = found[0].code if found else ""
    if response.status == HTTPStatus.NOT_FOUND:
        return NotFoundError(f"{host} has no {path}", why=why, host=host, path=path, server_code=code)
    if (wait := retry_after(response)) is not None:
        why = (*why, f"it asks to wait {wait:.0f} seconds")
    if response.is_redirect:
        why = (*why, "redirects are not followed here")
    return ServerError(
        f"{host} answered with status {response.status}",
        why=why,
        host=host,
        path=path,
        status=response.status,
        server_code=code,
        retry_after=wait,
    )


def denied(
    host: str,
    scope: str | None,
    response: Response,
    why: Sequence[str] = (),
    advice: Advice | None = None,
    **facts: object,
) -> AuthenticationError:
    """Return the error for a 401 or 403."""
    said = tuple(str(problem) for problem in problems(response)[:1])
    lines = (*why, f"{host} answered {response.status}", *said)
    message = f"{host} does not allow {purpose(scope)}"
    known: dict[str, object] = {"asked": scope, "granted": None, "user": None, "source": None, **facts}
    return AuthenticationError(message, why=lines, advice=advice, host=host, status=response.status, **known)


def purpose(scope: str | None) -> str:
    """Say in words what a scope is for."""
    kind, _, rest = (scope or "").partition(":")
    name, _, actions = rest.rpartition(":")
    if kind != "repository" or not name:
        return "this request"
    return f"reading {name}" if actions == "pull" else f"changing {name}"


def lost(host: str, cause: BaseException) -> NetworkError:
    """Return the error for a connection that broke after it was made."""
    return NetworkError(
        f"the connection to {host} was lost before its answer was complete",
        why=_reason(cause),
        host=host,
        reason="lost",
    )


@dataclass(frozen=True)
class TlsPlaces:
    """Where certificates for a server were looked for, and how to add one.

    Attributes:
        searched: The places of CAs.
        advice: How to add a CA.
        client_searched: The places of the client certificate.
        client_advice: How to add a client certificate.
        client_cert: The client certificate that was shown, or "".
    """

    searched: tuple[str, ...] = ()
    advice: Advice | None = _GIVE_CA
    client_searched: tuple[str, ...] = ()
    client_advice: Advice | None = _GIVE_CERTIFICATE
    client_cert: str = ""


def not_connected(
    host: str, cause: BaseException, via: str, places: TlsPlaces, hidden: Redaction = NOTHING
) -> NetworkError:
    """Return the error for a connection that could not be made.

    Args:
        host: The server, as `host` or `host:port`.
        cause: What the socket or TLS layer raised.
        via: The proxy in between, or "".
        places: Where certificates were looked for.
        hidden: What a proxy was told.
    """
    import ssl

    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return tls(host, cause, places)
    reason, text = _unreachable(cause)
    text = hidden.without(text)
    why = (f"{text} (through the proxy {via})" if via else text,)
    return UnreachableError(f"cannot connect to {host}", why=why, host=host, reason=reason, proxy=via or None)


def _unreachable(cause: BaseException) -> tuple[str, str]:
    """Return a word for programs and a sentence for people."""
    import socket

    if isinstance(cause, socket.gaierror | UnicodeError):
        temporary = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return (
            ("resolver", "the name service does not answer") if temporary else ("name", "no such host name")
        )
    if isinstance(cause, ConnectionRefusedError):
        return "refused", "the connection was refused"
    if isinstance(cause, TimeoutError):
        return "silent", "there was no answer in time"
    return "failed", _reason(cause)


def tls(host: str, cause: ssl.SSLError, places: TlsPlaces) -> TlsError:
    """Return the error for a failed TLS handshake."""
    reason, why, advice = _tls_reason(host, cause, places)
    message = f"cannot make a TLS connection to {host}"
    if reason in ("unknown_ca", "expired", "wrong_host", "certificate"):
        message = f"cannot trust the TLS certificate of {host}"
    facts = {"host": host, "reason": reason, "searched": list(places.searched)}
    return TlsError(message, why=why, advice=advice, **facts)


def _tls_reason(
    host: str, cause: ssl.SSLError, places: TlsPlaces
) -> tuple[str, tuple[str, ...], Advice | None]:
    """Return a word for programs, the why and the advice."""
    code = getattr(cause, "verify_code", 0)
    said = getattr(cause, "verify_message", "")
    if code in _UNKNOWN_CA:
        searched = ", ".join(places.searched) or "the CA certificates in use"
        return "unknown_ca", (f"its issuer is not in: {searched}",), places.advice
    if code in (_EXPIRED, _NOT_YET_VALID):
        word = "has expired" if code == _EXPIRED else "is not valid yet"
        why = f"the certificate, or one above it, {word}"
        return "expired", (why,), Advice("renew-certificate")
    if code in _WRONG_HOST:
        return "wrong_host", (said,), Advice("use-certified-name")
    if code:
        return "certificate", (said,), None
    return _handshake_reason(host, cause.reason or "TLS failed", places)


def _handshake_reason(host: str, text: str, places: TlsPlaces) -> tuple[str, tuple[str, ...], Advice | None]:
    if text in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return "not_tls", (f"{host} does not speak TLS there",), None
    shown = text.lower().replace("_", " ")
    if places.client_cert and "ALERT" in text and any(word in text for word in _ABOUT_CERTIFICATES):
        why = (f"it does not accept the client certificate {places.client_cert}", shown)
        return "client_certificate", why, Advice("use-accepted-certificate")
    if "CERTIFICATE_REQUIRED" in text or (text == _OLD_REQUIRED and not places.client_cert):
        searched = ", ".join(places.client_searched)
        looked = (f"none is in: {searched}",) if searched else ()
        return "client_certificate", ("it wants a client certificate", *looked), places.client_advice
    return "handshake", (shown,), None


def _reason(cause: BaseException) -> str:
    """Return the plain text of a low-level error."""
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return str(text)[: DEFAULT.error_chars]
