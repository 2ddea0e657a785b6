"""The service as an ASGI application: which request is answered by what, and how much is taken of it.

What it is: routes, limits, deadlines and ids of requests, the answers' form, a line of log and a count for
each. What it is not: a server (`httpserver`), or a judge of anything: an operation reads a body and begins
work on it, which finishes with an answer, and both are cheap; what takes long goes on in threads of others.

Rules:

1. `GET /healthz` says that the process answers, `/readyz` that it can be relied on, and not while it ends;
   `/metrics` is what was counted. They need no client certificate and do not count as requests under way.
2. Everything else is a POST of JSON that some operation answers. It is refused before its body is read when
   too many are under way (`capacity`), when what it says of itself does not fit, or when a client certificate
   is demanded and none was shown that counts: then its connection ends, for a new one may show another.
3. A body has a limit and a time. One that nobody wants, or that is somewhat too long, is read and dropped
   before the answer, for else its sender may not see that; only one that does not end has its connection
   closed under it.
4. A request has until its deadline: the time that the caller says it waits (`?timeout=10s`, as a Kubernetes
   API server sends), less a margin, and never more than that of the service. Then its operation finishes
   with what is known. What takes long to read or to answer is handed to a thread, one at a time for reading,
   so that the others are answered meanwhile.
5. An error is `{"error": {"code", "message"}}` with no word of the request in it but a path or a value that
   is short and plain. What nobody foresaw is 500, and its text goes nowhere.
6. A caller's `X-Request-Id` is taken if it is short and plain; otherwise one is made. Every answer has it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from notarypy.limits import DEFAULT, Limits
from notarypy.service import requestlog
from notarypy.service.capacity import USUAL_BYTES, RequestCapacity, Share, Turns, all_done
from notarypy.service.metrics import CONTENT_TYPE, Metrics
from notarypy.storage.settings import spans
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, MutableMapping
    from concurrent.futures import Future

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_LOG = logging.getLogger(__name__)
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_WHOLE_URL = re.compile(r"^https?://[^/]*")  # as a proxy is asked
_JSON = "application/json"
BODY_SECONDS = 10.0
_SEND_SECONDS = 10.0
_DROP_SECONDS = 2.0
_LEAST_MARGIN, _MARGIN = 0.5, 0.1
_BUSY_SECONDS, _TOO_MANY = "1", "too many requests are under way already"
_PATH_CHARS = 128  # of one that is none of ours, in the log
# More is handed to a thread (rule 4). Each image costs some 40 microseconds to begin, and half of that to
# answer; where there are many, many commas are, too.
_AT_ONCE_COMMAS, _AT_ONCE_IMAGES = 400, 100
# So much more than the limit is read and dropped, for the sake of the answer (rule 3).
_DROPPED_TIMES = 2


@dataclass(frozen=True)
class HttpAnswer:
    """An answer of an operation: its body, the HTTP status, and what the log says of it."""

    body: bytes
    status: int = 200
    facts: Mapping[str, object] = field(default_factory=dict)
    kind: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()


class Work(Protocol):
    """What was begun for a request: what it waits for."""

    @property
    def futures(self) -> Collection[Future[Any]]:
        """What is not known yet, as futures that never raise."""

    def finish(self) -> HttpAnswer:
        """Answer with what is known by now."""


Operation = Callable[[bytes], Work | HttpAnswer]
"""Reads a body, and begins what has to be found out; or answers at once, where there is nothing."""


class _Refused(Exception):  # noqa: N818 - an answer
    """A request that no operation sees."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.answer = error_answer(status, code, message, **headers)


class App:
    """The application; `ending` says that the service is about to end."""

    PAGES = ("/healthz", "/readyz", "/metrics")

    def __init__(
        self,
        operations: Mapping[str, Operation],
        *,
        ready: Callable[[], str],
        metrics: Metrics,
        deadline: float,
        most: int = DEFAULT.service_requests,
        lesser: Collection[str] = (),
        client_certificates: bool = False,
        limits: Limits = DEFAULT,
    ) -> None:
        """`ready` says why not, or nothing; `deadline` is in seconds; `lesser` paths leave room."""
        self._operations, self._ready, self._metrics = operations, ready, metrics
        self._deadline, self._limits = deadline, limits
        self._lesser, self._certificates = frozenset(lesser), client_certificates
        self._capacity = RequestCapacity(metrics, most, limits)
        self._turns = Turns()
        self.ending = False
        self._pages = dict(zip(self.PAGES, (self._health, self._readiness, self._numbers), strict=True))

    @property
    def longest(self) -> float:
        """The seconds that a request takes at the most, from its head to its answer."""
        return max(BODY_SECONDS, self._deadline) + _SEND_SECONDS

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        begun = time.monotonic()
        request = _Request(scope, receive, self._limits)
        request.share = Share(lesser=request.path in self._lesser)
        try:
            answer = await self._answered(request, begun)
            if (size := len(answer.body)) > USUAL_BYTES and not self._capacity.hold(request.share, size):
                answer = _busy("the answers are too long together").answer
            await self._send(request, answer, send)
        finally:
            self._capacity.end(request.share)
        seconds = time.monotonic() - begun
        self._metrics.answered(request.path, answer.status, seconds)
        quiet = request.path in self.PAGES and answer.status == 200  # noqa: PLR2004 - HTTP's own
        facts = {"id": request.id, "method": request.method, "path": request.path[:_PATH_CHARS]}
        facts |= {} if request.client is None else {"client": request.client}
        facts |= {"status": answer.status, "ms": round(seconds * 1000, 1), **answer.facts}
        requestlog.request(logging.DEBUG if quiet else logging.INFO, facts)

    async def _answered(self, request: _Request, begun: float) -> HttpAnswer:
        try:
            return await self._dispatch(request, begun)
        except _Refused as refused:
            await request.drop()
            return refused.answer
        except Exception:  # noqa: BLE001 - rule 5
            _LOG.exception("request %s failed", request.id)
            return error_answer(500, "service.defect", "the service failed; its log says where")

    async def _dispatch(self, request: _Request, begun: float) -> HttpAnswer:
        if request.ambiguous:
            raise _Refused(400, "http.malformed", "a request says its length once", connection="close")
        page, operation = self._pages.get(request.path), self._operations.get(request.path)
        if page is None and operation is None:
            raise _Refused(404, "http.not_found", "there is nothing at this path")
        allowed = ("GET", "HEAD") if page else ("POST",)
        if request.method not in allowed:
            message = f"this path takes {' and '.join(allowed)}"
            raise _Refused(405, "http.method", message, allow=", ".join(allowed))
        if page:
            return page()
        assert operation is not None  # noqa: S101 - one of both is there
        if self._certificates and not request.certified:
            raise _Refused(403, "http.no_certificate", "show a client certificate", connection="close")
        request.check()
        return await self._operate(operation, request, begun)

    async def _operate(self, operation: Operation, request: _Request, begun: float) -> HttpAnswer:
        """Let an operation answer within the deadline (rules 2 to 4)."""
        if not self._capacity.is_free(request.share):
            raise _busy(_TOO_MANY)
        deadline = begun + min(self._deadline, request.patience)
        work = await self._begin(operation, request, deadline)
        if isinstance(work, HttpAnswer):
            return work
        await all_done(work.futures, deadline - time.monotonic())
        if len(work.futures) > _AT_ONCE_IMAGES:
            return await asyncio.to_thread(work.finish)
        return work.finish()

    async def _begin(self, operation: Operation, request: _Request, deadline: float) -> Work | HttpAnswer:
        """Begin as soon as the body is there; nobody has it any more when that is done."""
        body = await self._read(request)
        if not self._capacity.begin(request.share):
            raise _busy(_TOO_MANY)
        if len(body) <= USUAL_BYTES and body.count(b",") <= _AT_ONCE_COMMAS:
            return operation(body)
        try:
            return await self._turns.take(partial(operation, body), deadline - time.monotonic())
        except TimeoutError:
            raise _busy("others that are long were not read in time") from None

    async def _read(self, request: _Request) -> bytes:
        """Return the body; it may have to give way to others while it comes."""
        capacity, ends = self._capacity, time.monotonic() + BODY_SECONDS
        try:
            async with asyncio.timeout(BODY_SECONDS) as limit:
                capacity.coming(request.share, limit)
                async for size in request.read():
                    if not capacity.hold(request.share, size):
                        raise _busy("the bodies of requests are too long together")
            return b"".join(request.pieces)
        except TimeoutError:
            if time.monotonic() < ends:
                raise _busy("the body was not there when others needed the room") from None
            message = f"the body was not there after {BODY_SECONDS:g} seconds"
            raise _Refused(408, "http.slow_body", message) from None
        finally:
            capacity.here(request.share)
            request.pieces.clear()

    async def _send(self, request: _Request, answer: HttpAnswer, send: Send) -> None:
        headers = [
            ("content-type", answer.kind),
            ("content-length", str(len(answer.body))),
            ("x-request-id", request.id),
            ("x-content-type-options", "nosniff"),
            *answer.headers,
        ]
        if self.ending or request.left:
            headers.append(("connection", "close"))
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
                await send({"type": "http.response.body", "body": answer.body})
        except TimeoutError:
            _LOG.info("request %s: the answer was not read", request.id)

    def _health(self) -> HttpAnswer:
        return _page("ok")

    def _readiness(self) -> HttpAnswer:
        why = "the service is about to end" if self.ending else self._ready()
        return _page(why or "ok", 503 if why else 200)

    def _numbers(self) -> HttpAnswer:
        return HttpAnswer(self._metrics.text(), kind=CONTENT_TYPE)


class _Request:
    """What is known of a request, and its body as far as it was read."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, limits: Limits) -> None:
        self.method, self.path = str(scope["method"]), _WHOLE_URL.sub("", str(scope["path"]))
        self.client: str | None = (scope.get("client") or [None])[0]
        self.certified = bool(scope.get("state", {}).get("certified"))
        self._query, self._receive, self._limits = scope["query_string"], receive, limits
        self._headers = {name: value.decode("latin-1").strip() for name, value in scope["headers"]}
        self.pieces: list[bytes] = []
        given = self._headers.get(b"x-request-id", "")
        plain = len(given) <= limits.request_id_chars and _PLAIN_ID.fullmatch(given)
        self.id = given if plain else secrets.token_hex(8)
        said = {b"content-length", b"transfer-encoding"} & self._headers.keys()
        # Of what says both, somebody on its way may see another request.
        self.left, self.ambiguous = bool(said), len(said) > 1
        self.share = Share(lesser=False)
        self._begun = False

    @property
    def patience(self) -> float:
        """The seconds after which an answer is of no use to the caller (rule 4)."""
        found = re.search(rb"(?:^|&)timeout=([0-9.]{1,9}(?:m?s|m))(?:&|$)", self._query)
        text = "" if found is None else found[1].decode()
        said = float(text[:-2]) / 1000 if text.endswith("ms") and text[:-2].isdigit() else spans.seconds(text)
        return float("inf") if not said else said - max(_LEAST_MARGIN, said * _MARGIN)

    def check(self) -> None:
        """Refuse what says of itself that it does not fit (rule 2)."""
        kind, _, _ = self._headers.get(b"content-type", "").partition(";")
        if kind.strip().lower() != _JSON:
            raise _Refused(415, "http.not_json", f"the body's type has to be {_JSON}")
        if self._headers.get(b"content-encoding", "identity").lower() != "identity":
            raise _Refused(415, "http.encoded", "the body has to come as it is, not compressed")
        if not self.left:
            raise _Refused(411, "http.no_length", "the request has no body")
        length, most = self._headers.get(b"content-length", ""), self._limits.request_bytes
        waits = b"expect" in self._headers
        if length.isdigit() and (int(length) > most if waits else int(length) > most * (1 + _DROPPED_TIMES)):
            self._begun = True  # as much as this is not even dropped
            raise self._too_long()

    async def read(self) -> AsyncIterator[int]:
        """Read the body, and yield the size of each piece; what is too long is not kept (rule 3)."""
        size, most, self._begun = 0, self._limits.request_bytes, True
        while self.left:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "http.gone", "the connection ended before the body did")
            piece = message.get("body", b"")
            size += len(piece)
            self.left = bool(message.get("more_body"))
            if size <= most:
                self.pieces.append(piece)
                yield len(piece)
                continue
            self.pieces.clear()
            if size > most * (1 + _DROPPED_TIMES):
                break
        if size > most:
            raise self._too_long()

    async def drop(self) -> None:
        """Read what is left of the body (rule 3), unless its sender waits to be asked for it."""
        self.pieces.clear()
        if b"expect" in self._headers or self._begun:
            return
        with suppress(TimeoutError, _Refused):
            async with asyncio.timeout(_DROP_SECONDS):
                async for _ in self.read():
                    self.pieces.clear()

    def _too_long(self) -> _Refused:
        return _Refused(413, "http.too_long", f"the body is longer than {self._limits.request_bytes} bytes")


def _busy(message: str) -> _Refused:
    return _Refused(503, "http.busy", message, retry_after=_BUSY_SECONDS)


def error_answer(status: int, code: str, message: str, **headers: str) -> HttpAnswer:
    """Return the answer that says what is wrong (rule 5)."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpAnswer(body + b"\n", status, {"error": code, "message": message}, headers=named)


def _page(text: str, status: int = 200) -> HttpAnswer:
    return HttpAnswer(f"{text}\n".encode(), status, kind="text/plain; charset=utf-8")
