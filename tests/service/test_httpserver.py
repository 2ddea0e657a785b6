"""The server over real sockets: what clients may do, and how long."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import trustme

from notarypy.limits import Limits
from notarypy.service import httpserver
from notarypy.service.asgi import App, HttpAnswer
from notarypy.service.listening import Listener, place
from notarypy.service.metrics import Metrics
from notarypy.service.servingcertificate import ServingCertificate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from notarypy.service import asgi

# Whoever has not ended a connection by then has no time limit: no bound for any test.
PATIENCE = 20
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"


class Served:
    """A server in a thread, until it is left."""

    def __init__(self, listener: Listener, certificate: ServingCertificate | None = None) -> None:
        self.operation: asgi.Operation = lambda _: HttpAnswer(b"{}")
        self.metrics = Metrics("1", ["/verify", *App.PAGES])
        self.listener, self.certificate = listener, certificate
        self.limits = Limits(service_connections=4, request_head_bytes=1000)
        self.delay = 0.0
        self.asked, self._started = threading.Event(), threading.Event()
        self.app = App(
            {"/verify": self._operate},
            ready=str,
            metrics=self.metrics,
            deadline=5.0,
            limits=self.limits,
        )
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def _operate(self, body: bytes) -> asgi.Work | HttpAnswer:
        return self.operation(body)

    def _run(self) -> None:
        httpserver.run(
            self.app,
            [self.listener],
            metrics=self.metrics,
            asked=self.asked.is_set,
            started=self._started.set,
            certificate=self.certificate,
            delay=self.delay,
            limits=self.limits,
        )

    def connect(self) -> socket.socket:
        address = self.listener.socket.getsockname()[:2]
        return socket.create_connection(address, PATIENCE)

    def number(self, name: str) -> float:
        """Return a count."""
        for line in self.metrics.text().decode().splitlines():
            if line.startswith(f"notarypy_{name} "):
                return float(line.split()[-1])
        return 0.0

    def closed(self, reason: str) -> float:
        return self.number(f'connections_closed_total{{reason="{reason}"}}')


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener(place("127.0.0.1:0"), tls=False)
    yield made
    made.close()


@pytest.fixture
def served(listener: Listener) -> Served:
    return Served(listener)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waits short."""
    monkeypatch.setattr(httpserver, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(httpserver, "_SHUTDOWN_SECONDS", 0.2)


def answer(connection: socket.socket) -> bytes:
    """Read one answer, whose length is said."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(1000)):
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(1000)
    return head + b"\r\n\r\n" + body


def ended(connection: socket.socket) -> bool:
    """Tell whether the other side ends the connection, at last."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_requests_follow_each_other_on_one_connection(served: Served) -> None:
    with served, served.connect() as connection:
        for request in (GET, POST + b"{}", GET):
            connection.sendall(request)
            assert answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        assert served.number("connections") == 1


def test_requests_may_come_at_once(served: Served) -> None:
    with served, served.connect() as connection:
        connection.sendall(GET + POST + b"{}" + GET)
        data = b""
        while data.count(b"HTTP/1.1 200 OK") < 3 or not data.endswith(b"ok\n"):
            data += connection.recv(1000)
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_an_answer_is_sent_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    made = httpserver._Connection.connection_made  # noqa: SLF001 - the socket is seen nowhere else

    def look(connection: httpserver._Connection, transport: asyncio.Transport) -> None:
        made(connection, transport)
        used = transport.get_extra_info("socket")
        found.append(used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(httpserver._Connection, "connection_made", look)  # noqa: SLF001
    with served, served.connect() as connection:
        connection.sendall(GET)
        assert answer(connection)
    assert found == [1]


def test_answers_do_not_name_the_library(served: Served) -> None:
    with served, served.connect() as connection:
        connection.sendall(GET)
        names = [line.split(b":")[0] for line in answer(connection).split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
        assert sorted(names) == [
            b"content-length",
            b"content-type",
            b"date",
            b"x-content-type-options",
            b"x-request-id",
        ]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("begin", [b"", b"G", GET[:-2], GET + b"G", GET + GET[:-2]], ids=repr)
def test_a_head_has_its_time(served: Served, begin: bytes) -> None:
    with served, served.connect() as connection:
        if begin.startswith(GET):
            connection.sendall(GET)
            assert answer(connection)
            begin = begin[len(GET) :]
        connection.sendall(begin)
        assert ended(connection)
        assert served.closed("head") == 1


@pytest.mark.usefixtures("hasty")
def test_a_head_that_comes_drop_by_drop_has_the_same_time(served: Served) -> None:
    with served, served.connect() as connection:
        connection.settimeout(0.05)
        connection.sendall(GET[:-2])
        with suppress(ConnectionError):
            for _ in range(1000):
                with suppress(TimeoutError):
                    if not connection.recv(1000):
                        break
                connection.sendall(b"a: b\r\n"[:1] if _ % 2 else b"c")
        assert served.closed("head") == 1


def test_a_silent_connection_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpserver, "IDLE_SECONDS", 0)
    with served, served.connect() as connection:
        connection.sendall(GET)
        assert answer(connection)
        assert ended(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 1080 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=lambda sent: repr(sent[:20]),
)
def test_what_is_no_request(served: Served, sent: bytes) -> None:
    with served, served.connect() as connection:
        connection.sendall(sent)
        assert b'"code": "http.malformed"' in answer(connection)
        assert ended(connection)


def test_an_upgrade_is_no_request_for_anything_else(served: Served) -> None:
    with served, served.connect() as connection:
        head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        connection.sendall(head)
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_who_asks_first_is_told_to_go_on(served: Served) -> None:
    with served, served.connect() as connection:
        connection.sendall(POST[:-2] + b"expect: 100-continue\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_a_new_connection_takes_the_place_of_the_most_silent_one(served: Served) -> None:
    with served, ExitStack() as stack:
        silent = [stack.enter_context(served.connect()) for _ in range(4)]
        while served.number("connections") < 4:
            continue
        silent[0].sendall(GET)  # and so it is the last that was heard of
        assert answer(silent[0])
        new = stack.enter_context(served.connect())
        new.sendall(GET)
        assert answer(new)
        assert ended(silent[1])
        silent[0].sendall(GET)
        assert answer(silent[0])
        assert served.closed("room") == 1
        assert served.number("connections") == 4


class Waiting:
    """A request's work that is done when a test says so."""

    def __init__(self) -> None:
        self.futures: list[Future[None]] = [Future()]
        self.began = threading.Semaphore(0)

    def __call__(self, _: bytes) -> Waiting:
        self.began.release()
        return self

    def finish(self) -> HttpAnswer:
        return HttpAnswer(b'{"whole":true}')


def test_nobody_is_turned_out_while_a_request_is_under_way(served: Served) -> None:
    served.operation = waiting = Waiting()
    with served, ExitStack() as stack:
        busy = [stack.enter_context(served.connect()) for _ in range(4)]
        for connection in busy:
            connection.sendall(POST + b"{}")
            assert waiting.began.acquire(timeout=PATIENCE)
        assert ended(stack.enter_context(served.connect()))
        waiting.futures[0].set_result(None)
        assert all(answer(connection).startswith(b"HTTP/1.1 200") for connection in busy)


def test_those_whose_body_does_not_come_are_turned_out(served: Served) -> None:
    with served, ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(4)]
        for connection in slow:
            connection.sendall(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        new = stack.enter_context(served.connect())
        new.sendall(POST + b"{}")
        assert answer(new).startswith(b"HTTP/1.1 200")
        assert ended(slow[0])
        slow[1].sendall(b"{}")
        assert answer(slow[1]).startswith(b"HTTP/1.1 200")
        assert served.closed("room") == 1


def test_where_the_system_has_no_room_silent_connections_make_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpserver, "_NO_ROOM_SECONDS", 0.01)
    accept, failures = socket.socket.accept, list[int]()

    def limited(listening: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise OSError(failures.pop(), "too many open files")
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", limited)
    with served, ExitStack() as stack:
        silent = [stack.enter_context(served.connect()) for _ in range(2)]
        while served.number("connections") < 2:
            continue
        failures += [errno.EMFILE] * 3
        connection = stack.enter_context(served.connect())
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200")
        assert all(map(ended, silent))


# -- the end


def test_what_is_under_way_is_answered_before_the_end(served: Served) -> None:
    served.operation = waiting = Waiting()
    with served, served.connect() as connection, served.connect() as silent:
        connection.sendall(POST + b"{}")
        assert waiting.began.acquire(timeout=PATIENCE)
        served.asked.set()
        assert ended(silent)
        waiting.futures[0].set_result(None)
        found = answer(connection)
        assert found.endswith(b'{"whole":true}')
        assert b"connection: close" in found


def test_the_end_does_not_wait_for_what_never_comes(served: Served) -> None:
    served.operation = waiting = Waiting()
    request = POST.replace(b"/verify", b"/verify?timeout=700ms") + b"{}"
    with served, served.connect() as connection:
        connection.sendall(request)
        assert waiting.began.acquire(timeout=PATIENCE)
        served.asked.set()
        assert answer(connection).endswith(b'{"whole":true}')  # with what is known at the deadline


def test_before_the_end_it_is_not_ready_for_a_while(served: Served) -> None:
    served.delay = 1.0
    ready = GET.replace(b"healthz", b"readyz")
    with served:
        served.asked.set()
        while True:
            with served.connect() as connection:
                connection.sendall(ready)
                if answer(connection).startswith(b"HTTP/1.1 503"):
                    break
        with served.connect() as connection:
            connection.sendall(POST + b"{}")
            assert answer(connection).startswith(b"HTTP/1.1 200")
            assert ended(connection)
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system says of it
        served.connect()


# -- TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pair(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    write(authority, files, "localhost")
    return files


def write(authority: trustme.CA, files: tuple[Path, Path], name: str, until: datetime | None = None) -> None:
    issued = authority.issue_cert(name, not_after=until)
    files[0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files[1].write_bytes(issued.private_key_pem.bytes())


@pytest.fixture
def secure(listener: Listener, pair: tuple[Path, Path]) -> Served:
    listener.tls = True
    made = Served(listener)
    made.certificate = ServingCertificate(*pair, loaded=made.metrics.certificate)
    return made


def client(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def wrapped(served: Served, context: ssl.SSLContext, name: str = "localhost") -> ssl.SSLSocket:
    return context.wrap_socket(served.connect(), server_hostname=name)


def test_tls_is_served_and_nothing_old(secure: Served, authority: trustme.CA) -> None:
    with secure:
        with wrapped(secure, client(authority)) as connection:
            connection.sendall(GET)
            assert answer(connection).startswith(b"HTTP/1.1 200")
        old = client(authority)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):  # noqa: PT011 - whatever OpenSSL says of it
            wrapped(secure, old)
        with secure.connect() as plain:
            plain.sendall(GET)
            assert b"HTTP/1.1 200" not in answer(plain)
    assert secure.number("certificate_end_timestamp_seconds") > 0


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=repr)
def test_a_handshake_has_its_time(secure: Served, sent: bytes) -> None:
    with secure, secure.connect() as connection:
        connection.sendall(sent)
        assert ended(connection)
    assert secure.closed("handshake") == 1
    assert secure.number("connections") == 0


def test_handshakes_do_not_keep_others_out(secure: Served, authority: trustme.CA) -> None:
    with secure, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(secure.connect())
        connection = stack.enter_context(wrapped(secure, client(authority)))
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200")
        assert secure.number("connections") <= 4


def test_the_log_says_of_whom_a_certificate_is_refused(
    listener: Listener,
    pair: tuple[Path, Path],
    authority: trustme.CA,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener.tls = True
    secure = Served(listener)
    known = tmp_path / "clients.pem"
    authority.cert_pem.write_to_path(str(known))
    secure.certificate = ServingCertificate(*pair, client_ca=known, loaded=secure.metrics.certificate)
    context = client(authority)
    trustme.CA().issue_cert("somebody").configure_cert(context)
    with secure, wrapped(secure, context) as connection, suppress(OSError):
        connection.sendall(GET)
        answer(connection)
    assert "a client's certificate is refused" in caplog.text


def test_handshakes_that_go_on_do_not_stop_the_end(secure: Served) -> None:
    with secure, secure.connect() as connection:
        secure.asked.set()
        assert ended(connection)


def test_a_new_certificate_is_served_by_and_by(
    secure: Served, authority: trustme.CA, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpserver, "_LOOK_SECONDS", 0.02)
    with secure, wrapped(secure, client(authority)) as before:
        pair[0].write_bytes(b"half of it")
        while not secure.number('certificate_loads_total{result="failed"}'):
            with wrapped(secure, client(authority)) as connection:  # the one before goes on
                connection.sendall(GET)
                assert answer(connection).startswith(b"HTTP/1.1 200")
        write(authority, pair, "other.test")
        while True:
            with suppress(ssl.SSLError), wrapped(secure, client(authority), "other.test") as connection:
                break
        before.sendall(GET)  # what was open stays open
        assert answer(before).startswith(b"HTTP/1.1 200")


def test_client_certificates_are_looked_at(
    secure: Served, authority: trustme.CA, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "clients.pem").write_bytes(authority.cert_pem.bytes())
    secure.certificate = ServingCertificate(*pair, tmp_path / "clients.pem")
    vars(secure.app)["_certificates"] = True
    mine, foreign = client(authority), client(authority)
    authority.issue_cert("client.test").configure_cert(mine)
    trustme.CA().issue_cert("client.test").configure_cert(foreign)
    with secure:
        for context, status in ((mine, b"200"), (client(authority), b"403")):
            with wrapped(secure, context) as connection:
                connection.sendall(GET)
                assert answer(connection).startswith(b"HTTP/1.1 200")
                connection.sendall(POST + b"{}")
                assert answer(connection).startswith(b"HTTP/1.1 " + status)
        with suppress(OSError), wrapped(secure, foreign) as connection:
            connection.sendall(POST + b"{}")
            assert answer(connection) == b""


def test_what_a_client_showed_counts_while_its_ca_does(
    secure: Served,
    authority: trustme.CA,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpserver, "_LOOK_SECONDS", 0.02)
    clients = tmp_path / "clients.pem"
    clients.write_bytes(authority.cert_pem.bytes())
    secure.certificate = ServingCertificate(*pair, clients)
    vars(secure.app)["_certificates"] = True
    mine = client(authority)
    authority.issue_cert("client.test").configure_cert(mine)
    with secure, wrapped(secure, mine) as silent, wrapped(secure, mine) as busy:
        for connection in (silent, busy):
            connection.sendall(POST + b"{}")
            assert answer(connection).startswith(b"HTTP/1.1 200")
        write(authority, pair, "localhost")  # which changes nothing for clients
        busy.sendall(POST[:9])
        clients.write_bytes(trustme.CA().cert_pem.bytes())
        assert ended(silent)
        busy.sendall(POST[9:] + b"{}")
        found = answer(busy)
        assert found.startswith(b"HTTP/1.1 403")
        assert b"connection: close" in found
        assert ended(busy)
        assert secure.closed("certificate") == 1


def test_what_a_client_showed_counts_until_its_end(
    secure: Served,
    authority: trustme.CA,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "clients.pem").write_bytes(authority.cert_pem.bytes())
    secure.certificate = ServingCertificate(*pair, tmp_path / "clients.pem")
    vars(secure.app)["_certificates"] = True
    mine = client(authority)
    authority.issue_cert("client.test").configure_cert(mine)
    with secure, wrapped(secure, mine) as connection:
        connection.sendall(POST + b"{}")
        assert answer(connection).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr("notarypy.service.servingcertificate.time.time", lambda: 1e11)
        connection.sendall(POST + b"{}")
        assert answer(connection).startswith(b"HTTP/1.1 403")


def test_nothing_has_to_be_shown_over_a_unix_socket(
    pair: tuple[Path, Path], authority: trustme.CA, tmp_path: Path
) -> None:
    (tmp_path / "clients.pem").write_bytes(authority.cert_pem.bytes())
    with closing(Listener(place(f"unix:{tmp_path}/s"), tls=True)) as listener:
        served = Served(listener, ServingCertificate(*pair, tmp_path / "clients.pem"))
        vars(served.app)["_certificates"] = True
        with served, socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{tmp_path}/s")
            connection.sendall(POST + b"{}")
            assert answer(connection).startswith(b"HTTP/1.1 200")


def test_a_certificate_that_has_ended_is_said(
    pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notarypy.service.servingcertificate.time.time", lambda: 1e11)
    ServingCertificate(*pair)
    assert "has ended" in caplog.text


def test_a_certificate_that_has_ended_does_not_replace_one_that_has_not(
    authority: trustme.CA, pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    certificate = ServingCertificate(*pair)
    before = certificate.context
    write(authority, pair, "localhost", datetime.now(UTC) - timedelta(days=1))
    certificate.look()
    assert certificate.context is before
    assert "the certificate has ended, and the one before has not" in caplog.text
    write(authority, pair, "localhost")
    certificate.look()
    assert certificate.context is not before
