"""What services that hold keys answer, as errors; and asking them in time, from several threads.

What it is: what backends over HTTPS share, whatever the library that they ask with. What it is not: any
service, and any request.

Rules:

1. Of what a service or its library says, errors show one short line, and nothing that could be a token.
2. A service that says "too often" or "not now" is asked once more, if the wait and the answer are within the
   time that the request may take.
3. Connections and tokens belong to one process: after a fork there are others.
4. Only what the network did is an error of the network. A file, a variable or an address here that a library
   cannot use is one of configuration, whatever the library calls it; of credentials their backends say so.
5. Libraries log warnings that hold whatever a service said. Where nobody handles a log, Python would write
   them to standard error: for these libraries somebody does, who drops them.
"""

from __future__ import annotations

import errno
import http.client
import logging
import os
import re
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

from notarypy.errors import (
    Advice,
    AuthenticationError,
    BackendMissingError,
    ConfigurationError,
    DeadlineError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
)
from notarypy.remote.http.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_NOBODY = logging.NullHandler()
_SHOWN, _SHORTEST = 240, 6
# What a token, an assertion or a password in a URL looks like; key ids of 32 or 64 hex digits do not. It is
# looked for where a word begins alone, or a long one would be looked at from each of its characters.
_SECRETS = re.compile(
    r"(?<=//)[^/\s@]+@|(?<![\w.~+-])(?![0-9a-fA-F]+(?![\w.~+-]))[\w.~+-]{40,}={0,2}|eyJ[\w.-]+"
)
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN$")
_NETWORK = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    socket.herror,
    ssl.SSLError,
    http.client.HTTPException,
)
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
# How the libraries' classes are called: after the network, or after an address that is none.
_BROKEN = re.compile(r"SSL|Timeout|Connection|ProxyError|Protocol|Resolution|IncompleteRead|ChunkedEncoding")
_ADDRESS = re.compile(r"URL|Schema|Location|InvalidHeader|Unicode")
_POOL = re.compile(r"ConnectionPool\(host='([\w.:-]+)'")
_CONNECTION = re.compile(r"Connection\(host='([\w.:-]+)', port=([0-9]+)")
_WAIT, _DAY = 1.0, 86400.0
_CASTAGNOLI = 0x82F63B78
_NOT_FOUND = 404
_REFUSALS: dict[int, tuple[type[AuthenticationError], str]] = {
    401: (AuthenticationError, "the service of the key at {place} does not accept the credentials"),
    403: (KeyPermissionError, "the service does not allow this with the key at {place}"),
}
_LATER: dict[int, tuple[type[NetworkError], str]] = {
    429: (ThrottledError, "the service of the key was asked too often"),
    **dict.fromkeys((408, 504), (DeadlineError, "the service of the key took too long")),
    **dict.fromkeys((500, 502, 503), (ServerError, "the service of the key cannot answer now")),
}


def said(text: object) -> str:
    """Return what somebody else says, short, on one line and without what could be a secret (rule 1)."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    line = _SECRETS.sub("...", line)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def missing(extra: str, library: str) -> BackendMissingError:
    """Return the error that a library is not installed which an extra of the package brings."""
    return BackendMissingError(
        f"the library {library} is not installed, which leads to this key",
        advice=Advice("install-extra", extra=extra),
        library=library,
    )


def refused(
    place: str, status: int, why: str, advice: Advice, retry_after: str | None = None
) -> NotarypyError:
    """Return the error for the status of an answer, where the service gives no better reason.

    `place` is the key's URI, `advice` what to do about a missing login or permission.
    """
    why = said(why)
    if status in _REFUSALS:
        refusal, message = _REFUSALS[status]
        return refusal(message.format(place=place), why=why, advice=advice, uri=place)
    if status == _NOT_FOUND:
        return KeyMissingError(f"there is no key at {place}", why=why, uri=place)
    if status in _LATER:
        failure, message = _LATER[status]
        return failure(message, why=why, uri=place, retry_after=min(_seconds(retry_after), _DAY))
    return ServerError(f"the service of the key answered with status {status}", why=why, uri=place)


def disabled(place: str, why: object) -> KeyDisabledError:
    """Return the error for a key that is there and does not sign."""
    message, advice = f"the key at {place} does not sign", Advice("enable-key")
    return KeyDisabledError(message, why=said(why), advice=advice, uri=place)


def unsupported(place: str, why: object, advice: Advice, reader: str = "Notary v1") -> UnsupportedKeyError:
    """Return the error for a key that does not sign as a reader wants; `advice` says which one to make."""
    message = f"{reader} cannot use the key at {place}"
    return UnsupportedKeyError(message, why=said(why), advice=advice, uri=place)


def damaged(place: str, what: str) -> ServerError:
    """Return the error for an answer that is not the one to the question."""
    return ServerError("the answer of the key's service cannot be used", why=what, uri=place)


def unreached(service: str, place: str, error: BaseException, host: str = "") -> NotarypyError:
    """Return the error for a request without an answer, from whatever the library raised (rule 4).

    `service` is whose machines were asked, `place` the key's URI, `host` which machine, if that is known.
    """
    found = list(_causes(error))
    names = " ".join(type(one).__name__ for one in found)
    why = (*where(" ".join(map(str, found)), host), reason(error))
    if not is_network(error):
        return ConfigurationError(f"{service} cannot be asked with what is set here", why=why, uri=place)
    if "SSL" in names:
        return TlsError(f"the certificate of {service} cannot be trusted", why=why, uri=place)
    if "Timeout" in names:
        return DeadlineError(f"{service} took too long", why=why, uri=place)
    return UnreachableError(f"{service} cannot be reached", why=why, uri=place)


def is_network(error: BaseException) -> bool:
    """Tell whether it is the network that failed, and not what is set on this machine (rule 4)."""
    found = list(_causes(error))
    if any(_ADDRESS.search(type(one).__name__) for one in found):
        return False
    return any(
        isinstance(one, _NETWORK)
        or _BROKEN.search(type(one).__name__)
        or (isinstance(one, OSError) and one.errno in _NO_WAY)
        for one in found
    )


def reason(error: BaseException) -> str:
    """Return what an error says at its innermost, where that is for people."""
    *_, last = _causes(error)
    text = said(last)
    if isinstance(last, OSError) and last.filename and last.strerror:
        return said(f"{last.strerror}: {last.filename}")
    if isinstance(last, KeyError):
        return f"there is no {text} where it is expected"
    if isinstance(last, LookupError | TypeError | AttributeError):
        return "something there is not of the form that is expected"
    return text or type(last).__name__


def where(text: str, host: str = "") -> Iterator[str]:
    """Yield the host that was asked and the proxy, as far as a text of urllib3 tells them."""
    pools, connections = _POOL.findall(text), _CONNECTION.findall(text)
    if host := host or next(iter(pools), ""):
        yield said(f"it is at {host}")
    if connections and "proxy" in text:
        yield said(f"the way there is the proxy {':'.join(connections[0])}")


def require_authorities(environ: Mapping[str, str], *names: str) -> None:
    """Raise ConfigurationError if the first variable that is set names no certificates of authorities."""
    name = next((name for name in names if environ.get(name)), None)
    if name is None:
        return
    path = Path(environ[name])
    try:
        if not path.is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as error:  # a TLS error is an OSError
        text = getattr(error, "strerror", None) or "it has no certificate"
        text = "it has no certificate" if isinstance(error, ssl.SSLError) else text
        message = f"{name} names no file with certificates"
        raise ConfigurationError(message, why=f"{path}: {text}", advice=Advice("name-authorities")) from None


def require_proxy(environ: Mapping[str, str], *, socks: bool) -> None:
    """Raise ConfigurationError if the variable with the proxy for https names none that can be used."""
    name = next((name for name in ("https_proxy", "HTTPS_PROXY") if environ.get(name)), None)
    if name is None:
        return
    value = environ[name]
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        known = parts.scheme in {"http", "https"} or (socks and parts.scheme.startswith("socks"))
        whole = known and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        message, advice = f"{name} names no proxy", Advice("name-proxy")
        raise ConfigurationError(message, why="it is no address of one that can be used", advice=advice)


def require_for_requests(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError for what the library requests would read, and could not use."""
    require_authorities(environ, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    require_proxy(environ, socks=True)


def in_the_clear(url: str) -> str | None:
    """Return the host that a URL leads to without TLS, if it is another machine; else None."""
    host = urlsplit(url).hostname or ""
    return None if url.lower().startswith("https://") or is_loopback(host) else host


def hidden(text: str, environ: Mapping[str, str]) -> str:
    """Return a text without the values of variables that hold secrets (rule 1)."""
    for name, value in environ.items():
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name):
            text = text.replace(value, "...")
    return said(text)


def in_time(ask: Callable[[float], T], seconds: float) -> T:
    """Return what `ask` returns, which is given the seconds that it may take (rule 2)."""
    start = time.monotonic()
    try:
        return ask(seconds)
    except NetworkError as error:
        wait = error.facts.get("retry_after")
        left = start + seconds - time.monotonic()
        if not isinstance(wait, float) or wait >= left or isinstance(error, DeadlineError):
            raise
    _LOG.debug("the service asks for %s seconds of patience; then it is asked once more", wait)
    time.sleep(wait)
    return ask(left - wait)


def quiet(*libraries: str) -> None:
    """Leave the logs of libraries to whoever listens to them (rule 5)."""
    for name in libraries:
        logging.getLogger(name).addHandler(_NOBODY)


class PerProcess(Generic[T]):
    """What a process makes when it needs it, and a fork of it makes for itself (rule 3)."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._made = make, dict[int, T]()

    def __call__(self) -> T:
        """Return what this process has."""
        pid = os.getpid()
        found = self._made.get(pid)
        return self._made.setdefault(pid, self._make()) if found is None else found


def _seconds(retry_after: str | None) -> float:
    """Return the wait that a header asks for; a date counts as too long."""
    try:
        return max(0.0, float(retry_after or _WAIT))  # in this order, what is no number counts as none
    except ValueError:
        return _DAY


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of, the innermost last."""
    seen: set[int] = set()
    found: object = error
    while isinstance(found, BaseException) and id(found) not in seen:
        seen.add(id(found))
        yield found
        named = getattr(found, "reason", None) or getattr(found, "inner_exception", None)
        inner = named or (found.args[0] if found.args else None)
        found = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__


def crc32c(data: bytes) -> int:
    """Return the checksum that Google's services compare: CRC-32 with Castagnoli's polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _CASTAGNOLI if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF
