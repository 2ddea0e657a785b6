"""One HTTP request and its policy: deadline, retries, authentication, limits.

`Transport` is the port: it moves bytes and knows nothing of Notary. `Exchange` is the policy around any
transport, so that no implementation can forget it. Nothing here imports an HTTP library.

Rules:

1. One deadline covers a whole request: every attempt, the waits between them and the fetch of a token. Time
   spent waiting for other requests of ours (`throttle`) does not count: its clock stands still meanwhile.
2. Only GET and HEAD are repeated (`attempts`). Any other method is sent once, and once more only if the first
   answer was a 401, with which a server says that it did nothing, or by rule 9 if certainly nothing was sent.
3. One 401 is answered per request, by the authenticator, and one more if it sent a login itself: somebody may
   give another one. The next 401, and every 403, is an error.
4. Redirects are refused unless the caller allows some; then only to the same origin, or, if the caller allows
   that too, to https elsewhere. There goes nothing that is not meant for everybody: no token, no configured
   header. Who has left does not come back as somebody. What is not GET or HEAD is sent on by 307 and 308
   alone. A token service may send us elsewhere within its own origin.
5. A success body above the limit is an error. Error bodies are cut (`limits.error_bytes`).
6. Headers that the user configured go to the server itself, not to its token service, and over http only
   to this machine; they replace none of ours.
7. What takes long because it is large gets more time by its size; but while bytes flow, no single step, to
   send or to receive some of them, may take longer than a whole small request.
8. What is sent as a secret is noted, and every answer knows what must not be shown of it.
9. An attempt that was refused because too many requests of ours were under way (`throttle`: 2) is none of the
   few that there are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from urllib.parse import urlsplit

from notarypy.errors import (
    AuthenticationError,
    DeadlineError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    TlsError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http import attempts, failures
from notarypy.remote.http.attempts import ATTEMPTS, Deadline
from notarypy.remote.http.messages import Redaction, Request, Response
from notarypy.remote.http.throttle import Throttles
from notarypy.remote.http.urls import host_port, is_loopback, next_hop, origin, public_headers
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from notarypy.remote.http.throttle import Passage, Throttle

_REPEATABLE = frozenset({"GET", "HEAD"})
_SAME_METHOD = frozenset({307, 308})
_REFUSALS = frozenset({401, 403})
_NOT_FOR_CALLERS = frozenset({401, 403, 404, 408, 429})
_FINAL = (DeadlineError, ResponseLimitError, ServerError, TlsError)
_LOG = logging.getLogger(__name__)

Scope = str | tuple[str, ...] | None
"""What a token is wanted for: one scope, or several, of which the first names the repository worked on."""


def scopes_of(scope: Scope) -> tuple[str, ...]:
    """Return the single scopes."""
    return (scope,) if isinstance(scope, str) else scope or ()


def first_scope(scope: Scope) -> str | None:
    """Return the scope whose repository says which login counts."""
    return next(iter(scopes_of(scope)), None)


@dataclass(frozen=True)
class RequestPolicy:
    """Which answers will do, and how long to try.

    Attributes:
        limit: Most bytes of a success body; None for the usual limit.
        redirects: How many redirects to follow.
        allow_cross_origin: Whether they may lead to another origin (rule 4).
        attempts: How often a GET or HEAD is sent.
        allowance: Seconds that it may take beyond the timeout, for its size (rule 7).
    """

    limit: int | None = None
    redirects: int = 0
    allow_cross_origin: bool = False
    attempts: int = ATTEMPTS
    allowance: float = 0.0


USUAL = RequestPolicy()


class Transport(Protocol):
    """Sends one request and returns its answer, whatever the status."""

    def send(self, request: Request, deadline: float) -> Response:
        """Send, until `time.monotonic()` passes a deadline; follow, decode and repeat nothing.

        Raises:
            UnreachableError: No connection; certainly nothing was sent.
            TlsError: The server cannot be trusted; certainly nothing was accepted.
            DeadlineError, ResponseLimitError, ServerError: As their names say.
            NetworkError: The connection was lost before the answer was complete.
        """

    def close(self) -> None:
        """Close idle connections."""


@runtime_checkable
class Connecting(Protocol):
    """A transport that can open connections before there is a request for them."""

    def connect(self, url: str, deadline: float) -> None:
        """Have one connection idle for this URL's server; whatever goes wrong, the next request says."""


Fetch = Callable[[Request], Response]
"""Sends a request to a token service, under the deadline of the request that needs the token."""


class Authenticator(Protocol):
    """Knows how to answer the challenges of one server."""

    def authorize(self, url: str, scope: Scope, fetch: Fetch) -> str | None:
        """Return the Authorization header to send at once, or None to go without."""

    def answer(self, url: str, scope: Scope, response: Response, fetch: Fetch, used: str | None) -> str:
        """Return the Authorization header that answers a 401; `used` is the one that was refused."""

    def is_login(self, scope: Scope, used: str) -> bool:
        """Tell whether a header is a login of ours, and not a token that was fetched with one."""

    def refused(self, url: str, scope: Scope, response: Response, used: str | None) -> AuthenticationError:
        """Return the error for a 401 or 403 that cannot be answered."""


class Exchange:
    """Requests to one server under the rules above; safe to use from several threads.

    `timeout` is for one request in all, `configured` gives the headers that the user wants the server to get.
    Several exchanges may share a transport, `secrets` and `throttles`. An authenticator is made when the
    server first refuses a request; without one every 401 is an error. `check` raises where no request is
    wanted any more.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: float,
        authenticator: Callable[[], Authenticator] | None = None,
        user_agent: str = "notarypy",
        configured: Callable[[], Mapping[str, str]] | None = None,
        secrets: Redaction | None = None,
        throttles: Throttles | None = None,
        check: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits = DEFAULT,
    ) -> None:
        self.limits, self._transport, self._timeout = limits, transport, timeout
        self._headers = {"Accept-Encoding": "identity", "User-Agent": user_agent}
        self._configured, self._secrets = configured, secrets or Redaction()
        self._throttles, self._check = throttles or Throttles(), check
        self._sleep, self._monotonic = sleep, monotonic
        self._make_authenticator, self._lock = authenticator, threading.Lock()
        self._authenticator: Authenticator | None = None

    def send(self, request: Request, scope: Scope = None, policy: RequestPolicy = USUAL) -> Response:
        """Send a request and return a 2xx answer, or a 4xx that only the caller can judge (400, 409, 413...).

        Limit, stall and secrets of the request are set here; the scope is what to ask a token for.

        Raises:
            AuthenticationError: 401 that could not be answered, or 403.
            NotFoundError: 404.
            ServerError: Redirect, 408, 429 or 5xx, after the retries.
            NetworkError: See `Transport.send`.
        """
        deadline = Deadline(self._monotonic() + self._timeout + policy.allowance)
        headers = {**self._for_server(request.url), **self._headers, **request.headers}
        stall = self._timeout if _flows(request) and policy.allowance else None
        limit = self.limits.answer_bytes if policy.limit is None else policy.limit
        request = replace(request, headers=headers, limit=limit, stall=stall)

        def at_home(request: Request) -> Response:
            return self._authenticated(request, scope, deadline, policy.attempts)

        return _judged(*self._followed(request, policy, at_home, deadline))

    def connect(self, url: str) -> None:
        """Open a connection for a request to come, where the transport can and there is room for a request.

        It is no error if that fails.
        """
        throttle = self._throttles.to(origin(url))
        if not isinstance(self._transport, Connecting) or not throttle.has_room():
            return
        passage = throttle.passage(flows=False)
        throttle.enter(passage, self._check)
        try:
            self._transport.connect(url, self._monotonic() + self._timeout)
        finally:
            throttle.leave(passage, good=False)

    def _followed(
        self, request: Request, policy: RequestPolicy, at_home: Fetch, deadline: Deadline
    ) -> tuple[Request, Response]:
        """Send, and follow redirects (rule 4); return the last request and its answer."""
        start, same_origin, seen = origin(request.url), True, {request.url}
        for hop in range(policy.redirects + 1):
            response = at_home(request) if same_origin else self._send(request, deadline, policy.attempts)
            changing = request.method not in _REPEATABLE and response.status not in _SAME_METHOD
            if not response.is_redirect or changing or not policy.redirects:
                break
            target = next_hop(request.url, response, allow_cross_origin=policy.allow_cross_origin)
            if target in seen or hop == policy.redirects:
                raise failures.endless(host_port(request.url), response, hop + 1, loop=target in seen)
            seen.add(target)
            same_origin = same_origin and origin(target) == start
            headers = request.headers if same_origin else public_headers(request.headers)
            request = replace(request, url=target, headers=headers)
        return request, response

    def pause(self, attempt: int, at_least: float = 0.0) -> None:
        """Wait as before another attempt, the longer the more there were, and as long as a server asked."""
        self._sleep(max(attempts.backoff(attempt), at_least))

    def _for_server(self, url: str) -> Mapping[str, str]:
        """Return the configured headers, where they may be sent (rule 6)."""
        scheme, host, _ = origin(url)
        if self._configured is None or (scheme != "https" and not is_loopback(host)):
            return {}
        headers = self._configured()
        for value in headers.values():
            self._secrets.note(value)
        return headers

    def _authenticated(self, request: Request, scope: Scope, deadline: Deadline, attempts: int) -> Response:
        """Send with what is known, answer 401, refuse the next (rule 3)."""

        def fetch(wanted: Request, /) -> Response:
            wanted = replace(wanted, headers={**self._headers, **wanted.headers})
            policy = RequestPolicy(redirects=self.limits.redirects)
            deadline.extend(self._monotonic())
            answer = self._followed(
                wanted, policy, lambda asked: self._send(asked, deadline, ATTEMPTS), deadline
            )[1]
            deadline.asking = self._monotonic()
            return answer

        known = self._authenticator
        used = known.authorize(request.url, scope, fetch) if known is not None else None
        response = self._send(_carrying(request, used), deadline, attempts)
        if response.status not in _REFUSALS:
            return response
        if self._make_authenticator is None:
            raise failures.denied(host_port(request.url), first_scope(scope), response)
        with self._lock:  # two threads that are refused at once share one, and its tokens
            known = self._authenticator = self._authenticator or self._make_authenticator()
        again = response.status == HTTPStatus.UNAUTHORIZED
        while again:
            deadline.asking = self._monotonic()
            used = known.answer(request.url, scope, response, fetch, used)
            deadline.extend(self._monotonic())
            response = self._send(_carrying(request, used), deadline, attempts)
            again = response.status == HTTPStatus.UNAUTHORIZED and known.is_login(scope, used)
        if response.status in _REFUSALS:
            raise known.refused(request.url, scope, response, used)
        return response

    def _send(self, request: Request, deadline: Deadline, most: int) -> Response:
        """Send once, or several times what may be repeated, until an answer is worth returning."""
        repeatable = request.method in _REPEATABLE
        last, attempt = most if repeatable else 1, 1
        self._secrets.note_request(request.headers, request.body)
        request = replace(request, secrets=self._secrets)
        throttle = self._throttles.to(origin(request.url))
        passage = throttle.passage(flows=_flows(request))
        while True:
            sent = attempts.noted(request)
            outcome = self._passed(throttle, passage, sent, deadline)
            crowded = attempts.may_be_refusal(outcome, sent, repeatable) and throttle.may_be_crowded(passage)
            pause = attempts.pause(outcome, attempt, deadline.at - self._monotonic(), patient=crowded)
            if pause is None or (attempt >= last and not crowded):
                break
            _LOG.debug("%s again in %.1f s: %s", host_port(request.url), pause, attempts.reason(outcome))
            with throttle.closed(attempts.is_too_many(outcome)):
                self._sleep(pause)
            if not (crowded and throttle.is_crowded(passage)):
                attempt += 1
            if attempt > last:
                break
        if isinstance(outcome, NetworkError):
            outcome.facts["attempts"] = min(attempt, last)
            raise outcome
        return outcome

    def _passed(
        self, throttle: Throttle, passage: Passage, request: Request, deadline: Deadline
    ) -> Response | NetworkError:
        """Send once, when the throttle lets it; return the answer, or an error that may pass (rule 8)."""
        self._check()
        began, good = self._monotonic(), False
        throttle.enter(passage, self._check)
        try:
            deadline.at += self._monotonic() - began
            response = replace(self._transport.send(request, deadline.at), secrets=self._secrets)
            good = not attempts.passes(response)
        except _FINAL:
            raise
        except NetworkError as error:
            return error
        else:
            return response
        finally:
            throttle.leave(passage, good=good)


def _flows(request: Request) -> bool:
    return request.sink is not None or not isinstance(request.body, bytes | None)


def _carrying(request: Request, authorization: str | None) -> Request:
    if authorization is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": authorization})


def _judged(request: Request, response: Response) -> Response:
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
    path = response.secrets.without(urlsplit(request.url).path)
    raise failures.of_status(host, path, response)
