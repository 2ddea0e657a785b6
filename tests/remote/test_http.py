from __future__ import annotations

import base64
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
import trustme

from notarypy.errors import (
    Advice,
    ConfigurationError,
    DeadlineError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.tls import TlsPlaces, context
from notarypy.remote.http.transport import Exchange
from support.loopback import PATIENCE, Deaf, Drip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.loopback import Serve


def reply(
    body: bytes = b"hello", status: str = "200 OK", *headers: str
) -> Callable[[bytes, socket.socket], None]:
    head = "".join(
        f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "")
    )

    def answer(_: bytes, sock: socket.socket) -> None:
        sock.sendall(head.encode("latin-1") + body)

    return answer


def raw(*parts: bytes, close: bool = True) -> Callable[[bytes, socket.socket], bool]:
    """Send parts, one after the other."""

    def answer(_: bytes, sock: socket.socket) -> bool:
        for part in parts:
            sock.sendall(part)
        return not close

    return answer


def in_turn(*answers: Callable[[bytes, socket.socket], object]) -> Callable[[bytes, socket.socket], object]:
    """Answer one request after the other, from the beginning again after the last."""
    rest = cycle(answers)

    def answer(head: bytes, sock: socket.socket) -> object:
        return next(rest)(head, sock)

    return answer


def get(transport: HttpTransport, url: str, seconds: float = 5, limit: int = 1000) -> Response:
    return transport.send(
        Request("GET", url, {"Accept-Encoding": "identity"}, None, limit), time.monotonic() + seconds
    )


def test_one_connection_for_many_requests(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    answers = [reply(), raw(chunked, close=False), reply(b"", "404 Not Found"), reply(b"x" * 9000, "401 No")]
    server = serve(in_turn(*answers), leaf)
    found = [get(transport, server.url(f"/{number}")) for number in range(40)]
    assert {response.status for response in found} == {200, 404, 401}
    assert {response.body for response in found if response.status == 200} == {b"hello"}
    assert server.connections == 1


def test_a_connection_opened_ahead_is_the_one_that_the_request_takes(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    server = serve(reply(), leaf)
    for _ in range(2):  # where one is idle nothing is opened
        transport.connect(server.url(), time.monotonic() + 5)
    assert get(transport, server.url()).body == b"hello"
    assert server.connections == 1


@pytest.mark.parametrize("late", [True, False])
def test_a_connection_ahead_that_fails_is_no_error_and_the_request_says_why(
    transport: HttpTransport, serve: Serve, *, late: bool
) -> None:
    server = serve(reply(), trustme.CA().issue_cert("localhost"))
    transport.connect(server.url(), time.monotonic() + (-1 if late else 5))
    with pytest.raises(TlsError):
        get(transport, server.url())


def test_connections_of_several_threads(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    server = serve(lambda head, sock: reply(head.split()[1])(head, sock), leaf)
    wrong: list[object] = []

    def work(name: int) -> None:
        wrong.extend(
            number
            for number in range(20)
            if get(transport, server.url(f"/{name}/{number}")).body != f"/{name}/{number}".encode()
        )

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(server.heads) == 120
    assert server.connections <= 6


def test_a_closed_idle_connection_is_replaced(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    server = serve(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), leaf)
    for _ in range(3):
        assert transport.send(Request("POST", server.url(), {}, b"x"), time.monotonic() + 5).body == b"hello"
        time.sleep(0.02)
    assert server.connections == 3


def test_what_is_sent_is_what_was_asked(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    server = serve(reply(b"", "200 OK", "X-One: a", "x-one: b", "WWW-Authenticate: Basic realm=x"), leaf)
    body = bytes(range(256)) * 300
    request = Request(
        "POST",
        server.url("/v2/a:b/c%20d?x=1"),
        {"User-Agent": "notarypy", "Accept-Encoding": "identity"},
        body,
    )
    found = transport.send(request, time.monotonic() + 5)
    assert found.headers["x-one"] == "a, b"
    assert found.headers["www-authenticate"] == "Basic realm=x"
    assert server.bodies == [body]
    lines = server.heads[0].decode().split("\r\n")
    assert lines[0] == "POST /v2/a:b/c%20d?x=1 HTTP/1.1"
    assert sorted(line.lower() for line in lines[1:] if line) == [
        "accept-encoding: identity",
        f"content-length: {len(body)}",
        f"host: localhost:{server.port}",
        "user-agent: notarypy",
    ]


def test_a_post_without_body_has_a_length(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply())
    transport.send(Request("POST", server.url()), time.monotonic() + 5)
    assert b"Content-Length: 0\r\n" in server.heads[0]


def test_the_context_stays_what_it_was(serve: Serve, leaf: trustme.LeafCert, ca_file: Path) -> None:
    made: dict[str, ssl.SSLContext] = {}

    def tls(host: str) -> ssl.SSLContext:
        assert host not in made
        return made.setdefault(host, context(replace_ca=ca_file, environ={}))

    transport = HttpTransport(tls, {})
    server = serve(reply(), leaf)
    for _ in range(2):
        get(transport, server.url())
    transport.close()
    (used,) = made.values()
    assert list(made) == [f"localhost:{server.port}"]
    assert used.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
    assert used.check_hostname
    assert used.verify_mode == ssl.CERT_REQUIRED


def test_nodelay_is_set(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[tuple[object, ...]] = []
    original = socket.socket.setsockopt

    def setsockopt(sock: socket.socket, *args: int) -> None:
        options.append(args)
        original(sock, *args)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)
    get(transport, serve(reply(), leaf).url())
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


def test_unknown_ca(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply(), trustme.CA().issue_cert("localhost"))
    with pytest.raises(TlsError, match="cannot trust the TLS certificate of localhost:") as caught:
        get(transport, server.url())
    error = caught.value
    assert error.facts["reason"] == "unknown_ca"
    assert error.facts["host"] == f"localhost:{server.port}"
    assert error.facts["searched"] == ["OS store", f"dir of localhost:{server.port}"]
    assert "OS store, dir of localhost" in error.why[0]
    assert error.advice == Advice("test", text="copy it there")
    assert server.heads == []


def test_expired_certificate(transport: HttpTransport, serve: Serve, ca: trustme.CA) -> None:
    now = datetime.now(UTC)
    cert = ca.issue_cert("localhost", not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))
    with pytest.raises(TlsError) as caught:
        get(transport, serve(reply(), cert).url())
    assert caught.value.facts["reason"] == "expired"


def test_certificate_for_another_host(transport: HttpTransport, serve: Serve, ca: trustme.CA) -> None:
    with pytest.raises(TlsError) as caught:
        get(transport, serve(reply(), ca.issue_cert("other.corp")).url())
    assert caught.value.facts["reason"] == "wrong_host"
    assert "localhost" in caught.value.why[0]


def test_addresses_are_checked_too(
    transport: HttpTransport, serve: Serve, ca: trustme.CA, leaf: trustme.LeafCert
) -> None:
    assert get(transport, serve(reply(), ca.issue_cert("127.0.0.1")).url(host="127.0.0.1")).body == b"hello"
    with pytest.raises(TlsError):
        get(transport, serve(reply(), leaf).url(host="127.0.0.1"))


def test_server_without_tls(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"220 mail.corp ESMTP\r\n")
                sock.recv(9999)

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(TlsError, match="cannot make a TLS connection") as caught:
            get(transport, f"https://localhost:{listener.getsockname()[1]}/")
        thread.join()
    assert caught.value.facts["reason"] == "not_tls"


def test_http_to_a_tls_server(transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert) -> None:
    server = serve(reply(), leaf)
    with pytest.raises(NetworkError):
        get(transport, server.url().replace("https:", "http:"))


def test_client_certificate(
    serve: Serve, ca: trustme.CA, leaf: trustme.LeafCert, ca_file: Path, tmp_path: Path
) -> None:
    server = serve(reply(), leaf, ca)
    cert, key = tmp_path / "x.cert", tmp_path / "x.key"
    pair = ca.issue_cert("client")
    pair.cert_chain_pems[0].write_to_path(cert)
    pair.private_key_pem.write_to_path(key)
    places = TlsPlaces(client_searched=("folder (no X.cert with X.key)",))
    without = HttpTransport(lambda _: context(replace_ca=ca_file, environ={}), {}, lambda _: places)
    with pytest.raises(TlsError) as caught:
        get(without, server.url())
    assert caught.value.facts["reason"] == "client_certificate"
    assert caught.value.why[1] == "none is in: folder (no X.cert with X.key)"
    made = context(replace_ca=ca_file, client_cert=cert, client_key=key, environ={})
    transport = HttpTransport(lambda _: made, {})
    assert get(transport, server.url()).body == b"hello"
    without.close()
    transport.close()


def test_no_such_name(transport: HttpTransport) -> None:
    with pytest.raises(UnreachableError) as caught:
        get(transport, "https://no-such-name.invalid/")
    assert caught.value.facts["reason"] in ("name", "resolver")


def test_refused_connection(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(UnreachableError, match=f"cannot connect to localhost:{port}") as caught:
        get(transport, f"https://localhost:{port}/")
    assert caught.value.facts["reason"] == "refused"


SLOW = 0.05
FOREVER = 200


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FOREVER, b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drip: x\r\n"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["body", "headers", "status line", "continues", "chunks"],
)
def test_a_drip_meets_the_deadline(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert, head: bytes, piece: bytes
) -> None:
    meets_the_deadline(transport, serve, leaf, Drip(head, piece, FOREVER, SLOW))


def test_silence_meets_the_deadline(transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    meets_the_deadline(transport, serve, leaf, Drip(b"", answer, 1, PATIENCE))


def meets_the_deadline(transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert, drip: Drip) -> None:
    """Insist that the client hangs up before everything is sent, over a connection that is there already."""
    server = serve(in_turn(reply(), drip), leaf)
    get(transport, server.url())
    with pytest.raises(DeadlineError, match="took too long") as caught:
        get(transport, server.url(), 0.25)
    assert caught.value.facts["host"] == f"localhost:{server.port}"
    assert server.is_left()
    assert (drip.sent < drip.count, server.connections) == (True, 1)


def test_a_silent_handshake_meets_the_deadline(transport: HttpTransport) -> None:
    server = Deaf()
    with pytest.raises(NetworkError):
        get(transport, f"https://localhost:{server.port}/", 0.2)
    assert server.outlasted()


def test_a_server_that_takes_nothing_meets_the_deadline(transport: HttpTransport) -> None:
    server = Deaf()
    request = Request("POST", f"http://localhost:{server.port}/", {}, b"x" * 30_000_000)
    with pytest.raises(DeadlineError):
        transport.send(request, time.monotonic() + 0.3)
    assert server.outlasted()


def test_a_deadline_in_the_past(transport: HttpTransport) -> None:
    with pytest.raises(DeadlineError):
        get(transport, "https://localhost:1/", -1)


def test_after_a_deadline_the_next_request_is_fine(
    transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert
) -> None:
    def answer(head: bytes, sock: socket.socket) -> None:
        time.sleep(0.3 if b"/slow" in head else 0)
        reply(head.split()[1])(head, sock)

    server = serve(answer, leaf)
    with pytest.raises(DeadlineError):
        get(transport, server.url("/slow"), 0.1)
    assert get(transport, server.url("/fast")).body == b"/fast"


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x" * 1001),
        raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 500] * 4),
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1f4\r\n" + b"x" * 500 + b"\r\n"] * 4
        ),
    ],
    ids=["stated", "until close", "chunked"],
)
def test_a_long_body_is_cut_while_it_comes(
    transport: HttpTransport,
    serve: Serve,
    leaf: trustme.LeafCert,
    answer: Callable[[bytes, socket.socket], object],
) -> None:
    with pytest.raises(ResponseLimitError, match="limit of 1000 bytes"):
        get(transport, serve(answer, leaf).url())


def test_a_body_of_exactly_the_limit(transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert) -> None:
    assert len(get(transport, serve(reply(b"x" * 1000), leaf).url()).body) == 1000


def test_an_endless_body_costs_no_memory(transport: HttpTransport, serve: Serve) -> None:
    sent = 0

    def answer(_: bytes, sock: socket.socket) -> bool:
        nonlocal sent
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent += sock.send(b"x" * 65536)

    server = serve(answer)
    with pytest.raises(ResponseLimitError):
        get(transport, server.url(), limit=100_000)
    assert sent < 30_000_000


def test_an_error_body_is_cut_not_refused(transport: HttpTransport, serve: Serve) -> None:
    found = get(transport, serve(reply(b"e" * 200_000, "500 Oh")).url(), limit=10)
    assert found.status == 500
    assert found.body == b"e" * 65536


@pytest.mark.parametrize(
    "head",
    [b"X: " + b"x" * 60_000 + b"\r\n" + b"Y: " + b"y" * 60_000 + b"\r\n", b"Z: " + b"z" * 1000 + b"\r\n"],
    ids=["two long lines", "many lines"],
)
def test_header_limit(transport: HttpTransport, serve: Serve, head: bytes) -> None:
    with pytest.raises(ResponseLimitError, match="of headers"):
        get(transport, serve(raw(b"HTTP/1.1 200 OK\r\n", head * 99, b"\r\n")).url())


@pytest.mark.parametrize(
    "answer",
    [
        raw(b"GARBAGE\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"),
        raw(b"\x15\x03\x01\x00\x02\x02\x16\r\n"),
    ],
    ids=["status line", "too many headers", "TLS alert"],
)
def test_what_is_not_http(
    transport: HttpTransport, serve: Serve, answer: Callable[[bytes, socket.socket], object]
) -> None:
    with pytest.raises(ServerError, match="not HTTP"):
        get(transport, serve(answer).url())


@pytest.mark.parametrize(
    "answer",
    [
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"),
        raw(b""),
        raw(b"HTTP/1.1 20"),
    ],
    ids=["length", "chunk", "nothing", "status line"],
)
def test_a_connection_that_ends_early(
    transport: HttpTransport,
    serve: Serve,
    leaf: trustme.LeafCert,
    answer: Callable[[bytes, socket.socket], object],
) -> None:
    with pytest.raises(NetworkError) as caught:
        get(transport, serve(answer, leaf).url())
    assert not isinstance(caught.value, UnreachableError)


def test_encoded_bodies_are_refused(transport: HttpTransport, serve: Serve) -> None:
    with pytest.raises(ServerError, match="encoded"):
        get(transport, serve(reply(b"x", "200 OK", "Content-Encoding: gzip")).url())
    assert get(transport, serve(reply(b"x", "200 OK", "Content-Encoding: identity")).url()).body == b"x"


def test_redirects_are_not_followed(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply(b"", "302 Found", "Location: /elsewhere"))
    assert get(transport, server.url()).headers["location"] == "/elsewhere"
    assert len(server.heads) == 1


def test_cookies_are_not_kept(transport: HttpTransport, serve: Serve) -> None:
    server = serve(reply(b"", "200 OK", "Set-Cookie: a=b"))
    get(transport, server.url())
    get(transport, server.url())
    assert b"cookie" not in server.heads[1].lower()


def test_the_real_environment_counts_for_nothing(
    transport: HttpTransport,
    serve: Serve,
    leaf: trustme.LeafCert,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login jo password s3cret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(other))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = serve(reply(), leaf)
    request = Request("GET", server.url(), {"Authorization": "Bearer mine"})
    assert transport.send(request, time.monotonic() + 5).body == b"hello"
    assert b"Authorization: Bearer mine\r\n" in server.heads[0]
    # And the other way round: what would trust this server for requests does not make us trust it.
    stranger = trustme.CA()
    stranger.cert_pem.write_to_path(other)
    with pytest.raises(TlsError):
        get(transport, serve(reply(), stranger.issue_cert("localhost")).url())


def tunnel(target: int, status: bytes = b"200 OK") -> Callable[[bytes, socket.socket], bool]:
    """Answer CONNECT like a proxy that knows every name as this machine."""

    def answer(_: bytes, sock: socket.socket) -> bool:
        sock.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            return False
        with socket.create_connection(("127.0.0.1", target)) as beyond:
            back = threading.Thread(target=pump, args=(beyond, sock), daemon=True)
            back.start()
            pump(sock, beyond)
            back.join(2)
        return False

    return answer


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_https_through_a_proxy(serve: Serve, ca: trustme.CA, ca_file: Path) -> None:
    server = serve(reply(), ca.issue_cert("notary.corp"))
    proxy = serve(tunnel(server.port))
    environ = {"HTTPS_PROXY": f"http://jo:s3cret@127.0.0.1:{proxy.port}"}
    transport = HttpTransport(lambda _: context(replace_ca=ca_file, environ={}), environ)
    for _ in range(2):
        assert get(transport, "https://notary.corp/x").body == b"hello"
    transport.close()
    assert proxy.connections == 1
    assert proxy.heads[0].startswith(b"CONNECT notary.corp:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"jo:s3cret") in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.heads[0]
    assert b"Host: notary.corp\r\n" in server.heads[0]


def test_https_through_a_tls_proxy(serve: Serve, ca: trustme.CA, ca_file: Path) -> None:
    server = serve(reply(), ca.issue_cert("notary.corp"))
    proxy = serve(tunnel(server.port), ca.issue_cert("localhost"))
    asked: list[str] = []

    def tls(host: str) -> ssl.SSLContext:
        asked.append(host)
        return context(replace_ca=ca_file, environ={})

    transport = HttpTransport(tls, {"HTTPS_PROXY": f"https://localhost:{proxy.port}"})
    assert get(transport, "https://notary.corp/x").body == b"hello"
    transport.close()
    assert sorted(asked) == [f"localhost:{proxy.port}", "notary.corp"]


def test_http_through_a_proxy(serve: Serve) -> None:
    proxy = serve(reply())
    transport = HttpTransport(lambda _: context(environ={}), {"HTTP_PROXY": f"127.0.0.1:{proxy.port}"})
    assert get(transport, "http://registry.corp/v2/").body == b"hello"
    transport.close()
    assert proxy.heads[0].startswith(b"GET http://registry.corp/v2/ HTTP/1.1\r\n")


def test_a_proxy_that_refuses(serve: Serve, ca_file: Path) -> None:
    proxy = serve(tunnel(1, b"407 Proxy Authentication Required"))
    environ = {"HTTPS_PROXY": f"http://jo:s3cret@127.0.0.1:{proxy.port}"}
    transport = HttpTransport(lambda _: context(replace_ca=ca_file, environ={}), environ)
    with pytest.raises(UnreachableError) as caught:
        get(transport, "https://notary.corp/")
    transport.close()
    assert f"127.0.0.1:{proxy.port}" in caught.value.why[0]
    assert "407" in caught.value.why[0]
    assert "s3cret" not in f"{caught.value} {caught.value.why} {caught.value.facts}"


def test_an_unusable_proxy_variable(ca_file: Path) -> None:
    transport = HttpTransport(
        lambda _: context(replace_ca=ca_file, environ={}), {"HTTPS_PROXY": "socks5://x"}
    )
    with pytest.raises(ConfigurationError):
        get(transport, "https://notary.corp/")
    transport.close()


def test_the_log_holds_no_query(
    transport: HttpTransport, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(reply())
    with caplog.at_level(logging.DEBUG, logger="notarypy"):
        get(transport, server.url("/token?account=jo"))
    (record,) = [record for record in caplog.records if record.name.startswith("notarypy")]
    assert record.getMessage() == f"GET {server.url('/token')}: 200, 5 bytes"


def test_exchange_over_the_wire(transport: HttpTransport, serve: Serve, leaf: trustme.LeafCert) -> None:
    answers = [reply(b"", "503 Later", "Retry-After: 0"), reply(b"done")]
    server = serve(in_turn(*answers), leaf)
    assert Exchange(transport, timeout=5).send(Request("GET", server.url())).body == b"done"
    assert server.connections == 1


def test_requests_is_loaded_for_proxies_alone() -> None:
    program = (
        "import sys; from notarypy.remote.http.adapter import HttpTransport as T;"
        "T(None, {}).connect('http://127.0.0.1:9', 0);"
        "print('requests' in sys.modules, 'idna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
