"""Sockets under one deadline, and what it means when no connection comes about.

A socket's own timeout starts anew with every call, so a server that sends a byte now and then would never
meet it. Here each single send and receive gets only what is left of the whole request's time, and the bytes
of an answer's head are counted. Name look-up is the one step that only the system's resolver can bound.

A request that may take long for its size has a second limit, for each of these steps alone: a server that
falls silent is not waited for.

The deadline belongs to the thread that sends: nothing between `until` and the socket has to hand it on.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from notarypy.errors import Advice, NetworkError, TlsError, UnreachableError
from notarypy.limits import DEFAULT
from notarypy.remote.http import failures
from notarypy.remote.http.messages import NOTHING, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from _typeshed import WriteableBuffer

    from notarypy.remote.http.tls import TlsPlaces

CONNECT_SECONDS = 10.0
_RECORD = 16 * 1024
_BOUNDS: ContextVar[tuple[float, float, int]] = ContextVar(
    "bounds", default=(math.inf, math.inf, DEFAULT.header_bytes)
)
_ABOUT_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
# What servers say that miss a certificate, with TLS 1.2, and those in Go.
_OLD_REQUIRED = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE")
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_HOST = frozenset({62, 64})


class DeadlinePassedError(Exception):
    """The whole request took too long."""


class HeaderFloodError(Exception):
    """The head of the answer is longer than it may be."""


class NotConnectedError(Exception):
    """No connection was made; the reason is the cause."""


@contextmanager
def until(
    deadline: float, stall: float | None = None, header_bytes: int = DEFAULT.header_bytes
) -> Iterator[None]:
    """Hold all sockets of this thread to a deadline, each step to so many seconds, heads to so many bytes."""
    token = _BOUNDS.set((deadline, math.inf if stall is None else stall, header_bytes))
    try:
        yield
    finally:
        _BOUNDS.reset(token)


def remaining() -> float:
    """Return the seconds that are left for the next step; raise DeadlinePassedError if there are none."""
    deadline, stall, _ = _BOUNDS.get()
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlinePassedError
    return min(left, stall)


def connect(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers; a dead one costs only its share of the time."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        share = remaining() / (len(addresses) - index)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_SECONDS, share))
            sock.connect(address)
            sock.settimeout(remaining())
        except OSError as error:
            sock.close()
            failure = error
        except DeadlinePassedError:
            sock.close()
            raise
        else:
            return sock
    raise failure


class Peer(NamedTuple):
    """Who answers: the addresses of its name, the TLS version, and certificates, DER, its own first."""

    addresses: tuple[str, ...]
    version: str
    chain: tuple[bytes, ...]


def peer(host: str, port: int, context: ssl.SSLContext | None) -> Peer:
    """Connect, and say who answers; raise OSError. Of http there is no chain, and nothing is sent."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    with connect(host, port) as plain:
        if context is None:
            return Peer(addresses, "", ())
        with context.wrap_socket(plain, server_hostname=host.rstrip(".")) as secured:
            # The chain as it was verified is public from Python 3.13 on; without it the first one has to do.
            inner: Any = getattr(secured, "_sslobj", None)
            verified: list[Any] = getattr(inner, "get_verified_chain", list)()
            chain = [each if isinstance(each, bytes) else _der(each) for each in verified]
            own = secured.getpeercert(binary_form=True) or b""
            return Peer(addresses, secured.version() or "", tuple(chain or [own]))


def _der(certificate: Any) -> bytes:  # noqa: ANN401 - a type without a public name
    return ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


def is_quiet(sock: socket.socket | None) -> bool:
    """Tell whether a socket is open and the other side has sent nothing but what belongs to TLS itself."""
    if sock is None:
        return False
    try:
        sock.settimeout(0)
        sock.recv(1)
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        return False
    return False


def send(sock: socket.socket, data: bytes) -> None:
    """Send everything, one TLS record at a time, under the deadline.

    Raises:
        DeadlinePassedError: The other side does not take it in time.
        BrokenPipeError: The other side takes no more; its answer may be there all the same.
    """
    view = memoryview(data)
    for start in range(0, len(view), _RECORD):
        sock.settimeout(remaining())
        try:
            sock.sendall(view[start : start + _RECORD])
        except TimeoutError:
            raise DeadlinePassedError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise BrokenPipeError from error


class _DeadlineReader(io.RawIOBase):
    """The receiving side of a socket: deadline on every read, and a count while the head is read."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self.head: int | None = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self.head is not None and self.head > _BOUNDS.get()[2]:
            raise HeaderFloodError
        self._sock.settimeout(remaining())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            raise DeadlinePassedError from None
        if self.head is not None:
            self.head += count or 0
        return count

    def close(self) -> None:
        """Give the socket back to its connection."""
        self._raw.close()
        super().close()


class LimitedResponse(http.client.HTTPResponse):
    """The standard library's HTTP answer, read under deadline and header limit."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **options)
        self._reader = _DeadlineReader(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        self._reader.head = None  # what follows has its own limit
        lengths = ",".join(self.headers.get_all("content-length", ())).split(",")
        if len({length.strip() for length in lengths}) > 1:
            raise http.client.HTTPException("two lengths")

    def read(self, amt: int | None = None) -> bytes:
        """Read some of the body; raise IncompleteRead if the connection ends before it."""
        part = super().read(amt)
        if not part and amt and self.length:
            raise http.client.IncompleteRead(b"", self.length)
        return part


class DeadlineConnection(http.client.HTTPConnection):
    """A connection whose every step keeps the deadline; subclasses say how it is made."""

    response_class = LimitedResponse

    def send(self, data: Any) -> None:  # noqa: ANN401 - the base class takes more; only bytes come here
        """Send all of it, over a connection that is made if there is none."""
        if self.sock is None:
            self.connect()
        send(self.sock, data)


class RawAnswer(NamedTuple):
    """An answer whose body is still to be read; header names in lower case, repeated ones joined."""

    status: int
    headers: Mapping[str, str]
    read: Callable[[int], bytes]


def answer_of(answer: http.client.HTTPResponse) -> RawAnswer:
    """Return an answer of the standard library."""
    named = {name.lower(): ", ".join(answer.headers.get_all(name, ())) for name in answer.headers}
    return RawAnswer(answer.status, named, answer.read)


def is_tls_failure(cause: BaseException) -> bool:
    """Tell whether TLS itself failed, and not the connection below it."""
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def not_connected(
    host: str, cause: BaseException, via: str, places: TlsPlaces, secrets: Redaction = NOTHING
) -> NetworkError:
    """Return the error for a connection that could not be made, maybe via a proxy that got secrets."""
    if is_tls_failure(cause):
        return tls_failed(host, cause, places)
    kind, reason, text = _unreachable(cause)
    text = secrets.without(text)
    why = (f"{text} (through the proxy {via})" if via else text,)
    return kind(f"cannot connect to {host}", why=why, host=host, reason=reason, proxy=via or None)


def _unreachable(cause: BaseException) -> tuple[type[UnreachableError], str, str]:
    """Return the class, a word for programs and a sentence for people."""
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return failures.NameServiceError, "resolver", "the name service does not answer"
    if isinstance(cause, socket.gaierror | UnicodeError):
        return failures.UnknownHostError, "name", "no such host name"
    if isinstance(cause, ConnectionRefusedError):
        return UnreachableError, "refused", "the connection was refused"
    if isinstance(cause, TimeoutError):
        return UnreachableError, "silent", "there was no answer in time"
    return UnreachableError, "failed", failures.plain_text(cause)


def tls_failed(host: str, cause: BaseException, places: TlsPlaces) -> TlsError:
    """Return the error for a failed TLS handshake."""
    reason, why, advice = _tls_reason(host, cause, places)
    message = f"cannot make a TLS connection to {host}"
    if reason in ("unknown_ca", "expired", "wrong_host", "certificate"):
        message = f"cannot trust the TLS certificate of {host}"
    kind = failures.NotTlsError if reason in ("not_tls", "handshake") else TlsError
    return kind(message, why=why, advice=advice, host=host, reason=reason, searched=list(places.searched))


def _tls_reason(
    host: str, cause: BaseException, places: TlsPlaces
) -> tuple[str, tuple[str, ...], Advice | None]:
    """Return a word for programs, the why and the advice."""
    code = getattr(cause, "verify_code", 0)
    said = getattr(cause, "verify_message", "")
    if code in _UNKNOWN_CA:
        searched = ", ".join(places.searched) or "the CA certificates in use"
        return "unknown_ca", (f"its issuer is not in: {searched}",), places.advice
    if code in (_EXPIRED, _NOT_YET_VALID):
        word = "has expired" if code == _EXPIRED else "is not valid yet"
        return "expired", (f"the certificate, or one above it, {word}",), Advice("renew-certificate")
    if code in _WRONG_HOST:
        return "wrong_host", (said,), Advice("use-certified-name")
    if code:
        return "certificate", (said,), None
    return _handshake_reason(host, getattr(cause, "reason", "") or "TLS failed", places)


def _handshake_reason(host: str, text: str, places: TlsPlaces) -> tuple[str, tuple[str, ...], Advice | None]:
    if text in _NO_TLS:
        return "not_tls", (f"{host} does not speak TLS there",), None
    shown = text.lower().replace("_", " ")
    if places.client_cert and "ALERT" in text and any(word in text for word in _ABOUT_CERTIFICATES):
        why = (f"it does not accept the client certificate {places.client_cert}", shown)
        return "client_certificate", why, Advice("use-accepted-certificate")
    if "CERTIFICATE_REQUIRED" in text or (text in _OLD_REQUIRED and not places.client_cert):
        searched = ", ".join(places.client_searched)
        looked = (f"none is in: {searched}",) if searched else ()
        return "client_certificate", ("it wants a client certificate", *looked), places.client_advice
    return "handshake", (shown,), None
