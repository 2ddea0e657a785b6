from __future__ import annotations

import socket
import ssl

import pytest

from notarypy.errors import Advice, TlsError, UnreachableError
from notarypy.remote.http import failures, sockets
from notarypy.remote.http.tls import TlsPlaces


def tls_error(reason: str, verify_code: int = 0, verify_message: str = "") -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "x") if verify_code else ssl.SSLError(1, "x")
    error.reason = reason
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_code = verify_code
        error.verify_message = verify_message
    return error


@pytest.mark.parametrize(
    ("cause", "reason", "why"),
    [
        (tls_error("", 20), "unknown_ca", "its issuer is not in: the CA certificates in use"),
        (tls_error("", 9), "expired", "the certificate, or one above it, is not valid yet"),
        (
            tls_error("", 26, "unsuitable certificate purpose"),
            "certificate",
            "unsuitable certificate purpose",
        ),
        (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "handshake", "tlsv1 alert protocol version"),
        (tls_error(""), "handshake", "tls failed"),
    ],
)
def test_tls(cause: ssl.SSLError, reason: str, why: str) -> None:
    error = sockets.not_connected("h", cause, "", TlsPlaces())
    assert isinstance(error, TlsError)
    assert error.facts["reason"] == reason
    assert error.why == (why,)


PLACES = TlsPlaces(
    ("system", "folder"),
    Advice("test", text="copy it"),
    ("/tls/h (no X.cert)",),
    Advice("test", text="put them"),
)


def test_an_unknown_ca_lists_the_places_and_says_what_to_do() -> None:
    error = sockets.not_connected("h", tls_error("", 19), "", PLACES)
    assert error.why == ("its issuer is not in: system, folder",)
    assert error.advice == Advice("test", text="copy it")
    assert error.facts["searched"] == ["system", "folder"]


@pytest.mark.parametrize(
    "reason",
    [
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
    ],
)
def test_a_missing_client_certificate_lists_the_places(reason: str) -> None:
    error = sockets.not_connected("h", tls_error(reason), "", PLACES)
    assert error.facts["reason"] == "client_certificate"
    assert error.why == ("it wants a client certificate", "none is in: /tls/h (no X.cert)")
    assert error.advice == Advice("test", text="put them")


@pytest.mark.parametrize("reason", ["TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"])
def test_a_refused_client_certificate_is_named(reason: str) -> None:
    error = sockets.not_connected("h", tls_error(reason), "", TlsPlaces(client_cert="/x.cert"))
    assert error.facts["reason"] == "client_certificate"
    assert error.why[0] == "it does not accept the client certificate /x.cert"
    plain = sockets.not_connected("h", tls_error(reason), "", TlsPlaces())
    assert plain.facts["reason"] == ("handshake" if "UNKNOWN" in reason else "client_certificate")


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "name"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), "resolver"),
        (UnicodeError("label too long"), "name"),
        (TimeoutError(), "silent"),
        (ssl.SSLEOFError(8, "EOF"), "failed"),
        (OSError(113, "No route to host"), "failed"),
    ],
)
def test_unreachable(cause: Exception, reason: str) -> None:
    error = sockets.not_connected("h", cause, "proxy:1", TlsPlaces())
    assert isinstance(error, UnreachableError)
    assert error.facts == {"host": "h", "reason": reason, "proxy": "proxy:1"}
    assert "through the proxy proxy:1" in error.why[0]


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (None, "this request"),
        ("registry:catalog:*", "this request"),
        ("repository:h:1/a:pull", "reading h:1/a"),
        ("repository:h:1/a:*", "changing h:1/a"),
    ],
)
def test_purposes(scope: str | None, words: str) -> None:
    assert failures.purpose(scope) == words
