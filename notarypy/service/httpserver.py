"""HTTP over sockets: the only module that uses uvicorn, which is an extra.

What it is: uvicorn's server and its protocol over h11, with bounds that these do not have. What it is not:
what is answered (`asgi`), or where (`listening`).

Rules:

1. A connection has `HEAD_SECONDS` for the head of a request, however it comes, and for the TLS handshake
   before that. Between two requests it may be silent for `IDLE_SECONDS`, longer than the API server keeps
   one: whoever closes first must not be this side, or a request gets lost in between.
2. How many connections there are, and which gives way to a new one, is as `capacity` has it.
3. Whatever is not read or not shut down by the other side is cut off after a time.
4. `asked` is looked at ten times a second. When it says that the process is to end, requests are answered
   for `delay` seconds more, then nobody is let in any more, and what is under way is answered.
5. A head has a limit. No answer names the server's library.
6. A request is certified when nothing has to be shown, as over a Unix socket, or what was shown counts still.
   When other CAs of clients count, silent connections from before end, so that clients show what they have.
7. Signals, logging and the environment are none of uvicorn's: it is given all it has to know.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from notarypy.limits import DEFAULT, Limits
from notarypy.service.capacity import ConnectionCapacity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.service.asgi import App
    from notarypy.service.listening import Listener
    from notarypy.service.metrics import Metrics
    from notarypy.service.servingcertificate import ClientCertificate, ServingCertificate

_LOG = logging.getLogger(__name__)
HEAD_SECONDS = 10.0
IDLE_SECONDS = 120
_SHUTDOWN_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_NO_ROOM_SECONDS = 0.2
_SOME = 16
# So long Python lets a thread go on while others want their turn. The one that answers wants it after every
# read and write, and images are judged meanwhile: with the usual 5 ms a request waited so long several times.
_TURN_SECONDS = 0.0002
_MALFORMED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 83\r\n"
    b"connection: close\r\n\r\n"
    b'{"error": {"code": "http.malformed", "message": "this is no request of HTTP/1.1"}}\n'
)


def run(
    app: App,
    listeners: Sequence[Listener],
    *,
    metrics: Metrics,
    asked: Callable[[], bool],
    started: Callable[[], None],
    certificate: ServingCertificate | None = None,
    delay: float = 0.0,
    limits: Limits = DEFAULT,
) -> None:
    """Serve until `asked` says that the process is to end (rule 4); `started` is called when it answers."""
    server = _Server(
        app, listeners, certificate, ConnectionCapacity(metrics, limits.service_connections), limits
    )
    server.asked, server.delay = asked, delay
    sys.setswitchinterval(_TURN_SECONDS)
    with asyncio.Runner() as runner:
        runner.run(server.serve_until_asked(started))


class _Server(uvicorn.Server):
    """uvicorn's server, over listeners of our own and without its signals."""

    asked: Callable[[], bool]
    delay: float

    def __init__(
        self,
        app: App,
        listeners: Sequence[Listener],
        certificate: ServingCertificate | None,
        waiting: ConnectionCapacity,
        limits: Limits,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                loop="asyncio",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                workers=1,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=int(app.longest) + 1,
                h11_max_incomplete_event_size=limits.request_head_bytes,
            )
        )
        self._app, self._listeners, self._certificate, self.waiting = app, listeners, certificate, waiting
        self.longest = app.longest + _SHUTDOWN_SECONDS
        self._end: float | None = None

    async def serve_until_asked(self, started: Callable[[], None]) -> None:
        """Serve, and look after the certificate's files meanwhile."""
        looking = asyncio.create_task(self._look()) if self._certificate else None
        self._started = started
        try:
            await self.serve()
        finally:
            if looking is not None:
                looking.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to accept connections at all listeners."""
        await self.lifespan.startup()
        self.servers = [
            _Acceptor(self, listener, self._certificate if listener.tls else None)  # type: ignore[misc]
            for listener in self._listeners
        ]
        self.started = True
        self._started()

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to let nobody in any more (rule 4)."""
        await super().on_tick(counter)
        if self._end is None and self.asked():
            self._app.ending, self._end = True, time.monotonic() + self.delay
            _LOG.warning("told to end: not ready any more, and no connections after %g seconds", self.delay)
        return self._end is not None and time.monotonic() >= self._end

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever called (rule 7)."""
        yield

    async def _look(self) -> None:
        assert self._certificate is not None  # noqa: S101 - the task is made only then
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self._certificate.look)
            for connection in tuple(self.waiting.silent):
                connection.leave()


class _Acceptor:
    """Takes connections from one listener, as uvicorn's servers do, but so many and with time limits."""

    def __init__(self, server: _Server, listener: Listener, certificate: ServingCertificate | None) -> None:
        self._server, self._listener, self._certificate = server, listener, certificate
        self._handshakes: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Let nobody in any more."""
        self._task.cancel()
        for task in self._handshakes:
            task.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait for what `close` began."""
        await asyncio.gather(self._task, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        loop, waiting = asyncio.get_running_loop(), self._server.waiting
        while True:
            try:
                taken, _ = await loop.sock_accept(self._listener.socket)
            except OSError as error:  # of file descriptors, mostly; or the client has gone
                _LOG.error("cannot take a connection: %s", error.strerror)
                waiting.make_room(_SOME)
                await asyncio.sleep(_NO_ROOM_SECONDS)
                continue
            if waiting.room():
                self._begin(loop, taken)
            else:
                waiting.metrics.closed("room")
                taken.close()

    def _begin(self, loop: asyncio.AbstractEventLoop, taken: socket.socket) -> None:
        server = self._server
        made = _Connection(config=server.config, server_state=server.server_state, app_state={}, _loop=loop)
        made.waiting, made.longest = server.waiting, server.longest
        made.certificate = self._certificate
        made.handshake = task = loop.create_task(self._handshake(loop, taken, made))
        made.waiting.opened(made)
        self._handshakes.add(task)
        task.add_done_callback(partial(self._begun, taken, made))

    async def _handshake(
        self, loop: asyncio.AbstractEventLoop, taken: socket.socket, made: _Connection
    ) -> None:
        if taken.family in {socket.AF_INET, socket.AF_INET6}:
            # asyncio does so only where the protocol's number is given; else an answer waits for 40 ms.
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls: dict[str, Any] = {}
        if self._certificate is not None:
            tls = {"ssl": self._certificate.context, "ssl_handshake_timeout": HEAD_SECONDS}
            tls["ssl_shutdown_timeout"] = _SHUTDOWN_SECONDS
        try:
            await loop.connect_accepted_socket(lambda: made, taken, **tls)
        except OSError as error:  # of TLS and time limits, too
            # Who shows a certificate that does not count is cut off in the middle, and is told nothing.
            if why := getattr(error, "verify_message", ""):
                _LOG.warning("a client's certificate is refused: %s", why)

    def _begun(self, taken: socket.socket, made: _Connection, task: asyncio.Task[None]) -> None:
        self._handshakes.discard(task)
        if made.transport is None:
            taken.close()
            made.waiting.gone(made)
            made.waiting.metrics.closed("handshake")


class _Connection(H11Protocol):
    """A connection, with a limit on how long it may be in each of its states (rules 1 and 3)."""

    waiting: ConnectionCapacity
    handshake: asyncio.Task[None]
    longest: float
    certificate: ServingCertificate | None
    _client: ClientCertificate | None = None
    _timer: asyncio.TimerHandle | None = None
    _state = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        if self.certificate is not None:
            self._client = self.certificate.client(transport.get_extra_info("ssl_object"))
        self._enter("head", HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._enter("lost", None)
        self.waiting.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that was begun has its time, and so has a request (rules 1 and 3)."""
        self.app_state = {"certified": self._client is None or self._client.counts()}
        most = self.config.h11_max_incomplete_event_size or len(data)
        while data and not self.transport.is_closing():
            # A head that comes whole is not measured, however long it is: so it comes in small pieces.
            piece = max(most // 16, 1) if self._answered() else most
            super().data_received(data[:piece])
            data = data[piece:]
        if self.transport.is_closing():
            self._enter("closing", _SHUTDOWN_SECONDS)
        elif not self._answered():
            self._enter("body" if self.cycle.more_body else "request", self.longest)
        elif self._state == "idle":
            self._enter("head", HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the other side to read the answer (rules 1 and 3)."""
        if self.transport.is_closing():
            self._enter("closing", _SHUTDOWN_SECONDS)
        else:
            self._enter("idle", IDLE_SECONDS + _SHUTDOWN_SECONDS)
        super().on_response_complete()
        if not self._answered():  # the next request was there already
            self._enter("body" if self.cycle.more_body else "request", self.longest)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's
        """Refuse what is no HTTP, in the form of all errors, and end the connection."""
        self.waiting.metrics.closed("malformed")
        if self._answered() or not self.cycle.response_started:
            self.transport.write(_MALFORMED)
        self.transport.close()

    def leave(self) -> None:
        """End the connection if it is silent, and what its client showed counts no more (rule 6)."""
        if self._state == "idle" and self._client is not None and self._client.outdated:
            self.waiting.metrics.closed("certificate")
            self._enter("closing", _SHUTDOWN_SECONDS)
            self.transport.close()

    def cut_off(self) -> None:
        """End the connection, whatever it is at."""
        if self.transport is None:
            self.handshake.cancel()
        else:
            self.transport.abort()

    def _answered(self) -> bool:
        """Tell whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _enter(self, state: str, seconds: float | None) -> None:
        """Be in another state, for so many seconds at the most."""
        if state == self._state:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._state, self._timer = state, None
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._expire)
        if state == "request":
            self.waiting.keep(self)
        elif state in {"head", "idle", "body", "closing"}:
            self.waiting.may_go(self)

    def _expire(self) -> None:
        self.waiting.metrics.closed(self._state)
        self.transport.abort()
