"""One HTTP request and its policy: deadline, retries, authentication, limits.

`Transport` is the port: it moves bytes and knows nothing of Notary. `Exchange` is the policy around any
transport, so that no implementation can forget it. Nothing here imports an HTTP library.

Rules:

1. One deadline covers a whole request: every attempt, the waits between them and the fetch of a token.
2. Only GET and HEAD are repeated. Any other method is sent once, and once more only if the first answer was
   a 401, with which a server says that it did nothing.
3. One 401 is answered per request, by the authenticator. The next 401, and every 403, is an error.
4. Redirects are refused unless the caller allows some; then only to the same origin.
5. A success body above the limit is an error. Error bodies are cut at `ERROR_LIMIT`.
6. Headers that the user configured go to the server itself, not to its token service, and over http only
   to this machine; they replace none of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from notarypy.errors import (
    AuthenticationError,
    ConfigurationError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    UnreachableError,
)
from notarypy.remote import failures

MIB = 1024 * 1024
ERROR_LIMIT = 64 * 1024
ATTEMPTS = 4
RETRY_AFTER_LIMIT = 5.0
_REPEATABLE = frozenset({"GET", "HEAD"})
_PASSING = frozenset({429, 502, 503, 504})
_NOT_FOR_CALLERS = frozenset({401, 403, 404, 408, 429})


@dataclass(frozen=True)
class Request:
    """One HTTP request; `limit` bounds the body of a successful answer, in bytes."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    limit: int = MIB


@dataclass(frozen=True)
class Response:
    """One HTTP answer; header names are in lower case, repeated headers joined by a comma."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_success(self) -> bool:
        """Tell whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_redirect(self) -> bool:
        """Tell whether the status is 3xx."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST


class Transport(Protocol):
    """Sends one request and returns its answer, whatever the status."""

    def send(self, request: Request, deadline: float) -> Response:
        """Send without following redirects, decoding or repeating anything.

        Args:
            request: What to send.
            deadline: When to give up, as `time.monotonic()` counts.

        Raises:
            UnreachableError: No connection; certainly nothing was sent.
            TlsError: The server cannot be trusted; certainly nothing was accepted.
            DeadlineError, ResponseLimitError, ServerError: As their names say.
            NetworkError: The connection was lost before the answer was complete.
        """

    def close(self) -> None:
        """Close idle connections."""


Fetch = Callable[[Request], Response]


class Authenticator(Protocol):
    """Knows how to answer the challenges of one server."""

    def authorize(self, url: str, scope: str | None, fetch: Fetch) -> str | None:
        """Return the Authorization header to send at once, or None to go without."""

    def answer(self, url: str, scope: str | None, response: Response, fetch: Fetch, used: str | None) -> str:
        """Return the Authorization header that answers a 401; `used` is the one that was refused."""

    def refused(
        self, url: str, scope: str | None, response: Response, used: str | None
    ) -> AuthenticationError:
        """Return the error for a 401 or 403 that cannot be answered."""


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


class Exchange:
    """Requests to one server under the rules above; safe to use from several threads.

    Args:
        transport: Moves the bytes; several exchanges may share one.
        timeout: Seconds that one request may take in all.
        authenticator: Answers challenges; None makes every 401 an error.
        user_agent: What to call ourselves.
        configured: Gives the headers that the user configured for this server.
        sleep: Waits between attempts.
        monotonic: The clock of deadlines.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: float,
        authenticator: Authenticator | None = None,
        user_agent: str = "notarypy",
        configured: Callable[[], Mapping[str, str]] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._authenticator = authenticator
        self._headers = {"Accept-Encoding": "identity", "User-Agent": user_agent}
        self._configured = configured
        self._sleep = sleep
        self._monotonic = monotonic

    def request(
        self,
        method: str,
        url: str,
        *,
        scope: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = MIB,
        redirects: int = 0,
        attempts: int = ATTEMPTS,
    ) -> Response:
        """Send a request and return a 2xx answer, or a 4xx that only the caller can judge (400, 409, 413...).

        Args:
            method: HTTP method.
            url: Absolute URL.
            scope: Scope to ask a token for, such as `repository:NAME:pull`.
            headers: More headers.
            body: Request body.
            limit: Most bytes of a success body.
            redirects: How many redirects within the same origin to follow.
            attempts: How often a GET or HEAD is tried.

        Raises:
            AuthenticationError: 401 that could not be answered, or 403.
            NotFoundError: 404.
            ServerError: Redirect, 408, 429 or 5xx, after the retries.
            NetworkError: See `Transport.send`.
        """
        deadline = self._monotonic() + self._timeout
        own = {**self._for_server(url), **self._headers, **(headers or {})}
        request = Request(method, url, own, body, limit)
        for hop in range(redirects + 1):
            response = self._authenticated(request, scope, deadline, attempts)
            if not response.is_redirect or hop == redirects:
                break
            request = replace(request, url=_next_hop(request.url, response))
        return _judged(request, response)

    def _for_server(self, url: str) -> Mapping[str, str]:
        """Return the configured headers, where they may be sent (rule 6)."""
        scheme, host, _ = origin(url)
        if self._configured is None or (scheme != "https" and not is_loopback(host)):
            return {}
        return self._configured()

    def _authenticated(self, request: Request, scope: str | None, deadline: float, attempts: int) -> Response:
        """Send with what is known, answer one 401, refuse the next."""
        origin(request.url)

        def fetch(wanted: Request) -> Response:
            headers = {**self._headers, **wanted.headers}
            return self._send(replace(wanted, headers=headers), deadline, ATTEMPTS)

        if self._authenticator is None:
            response = self._send(request, deadline, attempts)
            if response.status in (401, 403):
                raise failures.denied(host_port(request.url), scope, response)
            return response
        used = self._authenticator.authorize(request.url, scope, fetch)
        response = self._send(_carrying(request, used), deadline, attempts)
        if response.status == HTTPStatus.UNAUTHORIZED:
            used = self._authenticator.answer(request.url, scope, response, fetch, used)
            response = self._send(_carrying(request, used), deadline, attempts)
        if response.status in (401, 403):
            raise self._authenticator.refused(request.url, scope, response, used)
        return response

    def _send(self, request: Request, deadline: float, attempts: int) -> Response:
        """Send once, or several times what may be repeated, until an answer is worth returning."""
        last = attempts if request.method in _REPEATABLE else 1
        for attempt in range(1, last + 1):
            outcome = self._attempt(request, deadline)
            pause = _pause(outcome, attempt)
            if attempt == last or pause is None or self._monotonic() + pause >= deadline:
                break
            self._sleep(pause)
        if isinstance(outcome, NetworkError):
            outcome.facts["attempts"] = attempt
            raise outcome
        return outcome

    def _attempt(self, request: Request, deadline: float) -> Response | NetworkError:
        """Send once; an error that another attempt might cure is returned."""
        try:
            return self._transport.send(request, deadline)
        except UnreachableError as error:
            return error
        except NetworkError as error:
            # The sub-classes say something final: a deadline, a limit, TLS, nonsense.
            if type(error) is NetworkError:
                return error
            raise


def _carrying(request: Request, authorization: str | None) -> Request:
    """Return the request with this Authorization header."""
    if authorization is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": authorization})


def _pause(outcome: Response | NetworkError, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt; None if there is no point in one."""
    if isinstance(outcome, NetworkError):
        return None if outcome.facts.get("reason") == "name" else _backoff(attempt)
    if outcome.status not in _PASSING:
        return None
    wished = failures.retry_after(outcome)
    if wished is None:
        return _backoff(attempt)
    return wished if wished <= RETRY_AFTER_LIMIT else None


def _backoff(attempt: int) -> float:
    """Return 0.2, 0.4, 0.8 seconds, each spread by half so that clients do not march in step."""
    from random import SystemRandom

    return float(0.1 * 2**attempt * SystemRandom().uniform(0.75, 1.25))


def _next_hop(url: str, response: Response) -> str:
    """Return where a redirect leads, if that is the same origin."""
    target = ""
    try:
        target = urljoin(url, response.headers.get("location", ""))
        same = origin(target) == origin(url)
    except (ValueError, ConfigurationError):
        same = False
    if not same:
        raise ServerError(
            f"{host_port(url)} redirects to another place",
            why="a redirect is followed only to the same scheme, host and port",
            host=host_port(url),
            status=response.status,
        )
    return target


def _judged(request: Request, response: Response) -> Response:
    """Return an answer that the caller can use; raise for every other one."""
    host = host_port(request.url)
    if response.is_success:
        if len(response.body) > request.limit:
            raise ResponseLimitError(
                f"{host} sent more than the limit of {request.limit} bytes", host=host, limit=request.limit
            )
        return response
    client_error = HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if client_error and response.status not in _NOT_FOR_CALLERS:
        return response
    raise failures.of_status(host, urlsplit(request.url).path, response)
