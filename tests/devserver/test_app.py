from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver import https, sample
from notarypy.devserver.start import Running, ServerOptions, running
from notarypy.devserver.tampering import Tampering
from notarypy.images.manifests import digest_of
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.tls import context
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import uploads
from notarypy.remote.registry.blobs import Blobs
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import verify_repository
from support.rows import accepted, harmful, refused
from support.served import Line, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.uploads import Row

ROWS = (*accepted.ROWS, *refused.ROWS, *harmful.ROWS)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(None, ServerOptions(), clock=now) as started:
        yield started


@pytest.fixture
def line(server: Running) -> Iterator[Line]:
    with Line(server.notary.removeprefix("https://"), server.authority) as opened:
        yield opened


@pytest.fixture
def registry(server: Running) -> Iterator[Line]:
    with Line(server.registry, server.authority) as opened:
        yield opened


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_uploads_are_answered_as_in_process(row: Row, line: Line) -> None:
    answer = row.play(line.desk())
    assert (answer.status, answer.error["code"] if row.code else "") == (400 if row.code else 200, row.code)


def test_a_connection_stays_open(line: Line) -> None:
    line.ask("GET", "/v2/")
    used = line.connection.sock
    desk = line.desk().publish()
    assert json.loads(desk.get("root"))["signed"]["version"] == 1
    assert line.ask("HEAD", "/v2/")[0].status == 404
    assert line.connection.sock is used


def test_connection_close_is_honoured(line: Line) -> None:
    response, _ = line.ask("GET", "/v2/", Connection="close")
    assert response.status == 200
    assert line.connection.sock is None


def test_a_published_repository_verifies(line: Line) -> None:
    desk = line.desk().publish()
    assert verify_repository(desk.get, desk.gun, now()).targets["targets"].version == 1


def test_paths_arrive_as_they_were_sent(server: Running) -> None:
    with Line(server.notary.removeprefix("https://"), server.authority) as line:
        assert line.ask("GET", "//v2//")[0].status == 301
        assert line.ask("GET", f"{server.notary}/v2/")[0].status == 200
        assert line.ask("GET", "/v2/_trust/changefeed?records=x")[0].status == 400


def test_what_has_no_body_has_no_length(registry: Line) -> None:
    begun, _ = registry.ask("POST", "/v2/app/blobs/uploads/")
    where = begun.headers["Location"].partition(registry.connection.host)[2].partition("/")[2]
    cancelled, body = registry.ask("DELETE", f"/{where}")
    assert (cancelled.status, body, cancelled.headers["Content-Length"]) == (204, b"", None)
    assert registry.ask("GET", "/v2/")[0].status == 200


def test_a_head_has_the_length_that_a_get_would_have(registry: Line) -> None:
    data = os.urandom(1234)
    blob = f"/v2/app/blobs/{digest_of(data)}"
    registry.ask("POST", f"/v2/app/blobs/uploads/?digest={digest_of(data)}", data)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": sample.INDEX, "manifests": []}).encode()
    put, _ = registry.ask("PUT", "/v2/app/manifests/head", manifest, Content_Type=sample.INDEX)
    assert put.status == 201
    for path in (blob, "/v2/app/manifests/head", "/v2/app/manifests/missing"):
        got, whole = registry.ask("GET", path)
        head, body = registry.ask("HEAD", path)
        assert (head.status, body, head.headers["Content-Length"]) == (got.status, b"", str(len(whole)))


def test_an_upload_in_chunks_of_http(registry: Line) -> None:
    data = os.urandom(300_000)
    path = f"/v2/app/blobs/uploads/?digest={digest_of(data)}"
    pieces = (data[at : at + 1000] for at in range(0, len(data), 1000))
    registry.connection.request("POST", path, pieces, encode_chunked=True)
    assert registry.connection.getresponse().read() == b""
    assert registry.ask("GET", f"/v2/app/blobs/{digest_of(data)}")[1] == data


def test_a_layer_above_the_limit_of_a_request_goes_in_chunks(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "BODY_LIMIT", 300_000)
    monkeypatch.setattr(uploads, "CHUNK", 250_000)
    data = os.urandom(2_000_001)
    transport = HttpTransport(lambda _: context(replace_ca=server.authority, environ={}), environ={})
    registry = RegistryClient(Exchange(transport, timeout=5), server.registry)
    told: list[int] = []
    blobs = Blobs(registry, "large", push=True)
    blobs.upload(digest_of(data), len(data), lambda start: iter([data[start:]]), told.append)
    transport.close()
    assert told == [*range(250_000, len(data), 250_000), len(data)]
    with Line(server.registry, server.authority) as line:
        assert line.ask("GET", f"/v2/large/blobs/{digest_of(data)}")[1] == data


def test_the_clients_own_code_pushes_and_reads(server: Running) -> None:
    transport = HttpTransport(lambda _: context(replace_ca=server.authority, environ={}), environ={})
    exchange = Exchange(transport, timeout=5)
    made = sample.make("over HTTPS")
    pushed = sample.push(exchange, f"https://{server.registry}", "mine", "1", made)
    found = RegistryClient(exchange, server.registry).manifest("mine", "1")
    assert (found.digest, found.platforms) == (pushed, ("linux/amd64", "linux/arm64"))
    transport.close()


def test_a_body_above_the_limit_is_refused(registry: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "BODY_LIMIT", 10)
    response, body = registry.ask("POST", "/v2/app/blobs/uploads/", b"x" * 11)
    assert (response.status, json.loads(body)["errors"][0]["code"]) == (413, "SIZE_INVALID")
    assert registry.connection.sock is None


def raw(server: Running, data: bytes) -> bytes:
    """Send bytes to the registry, and return all that comes back until it closes the connection."""
    host, _, port = server.registry.rpartition(":")
    trusting = ssl.create_default_context(cafile=str(server.authority))
    with (
        socket.create_connection((host, int(port)), 5) as plain,
        trusting.wrap_socket(plain, server_hostname=host) as sock,
    ):
        sock.sendall(data)
        received = b""
        while more := sock.recv(65536):
            received += more
        return received


def test_half_an_upload_is_none() -> None:
    part = os.urandom(10)
    head = f"POST /v2/half/blobs/uploads/?digest={digest_of(part)} HTTP/1.1\r\nHost: x\r\n".encode()
    with running(None, ServerOptions(), clock=now) as started:
        host, _, port = started.registry.rpartition(":")
        trusting = ssl.create_default_context(cafile=str(started.authority))
        for rest in (b"Content-Length: 20\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\na\r\n"):
            with (
                socket.create_connection((host, int(port)), 5) as plain,
                trusting.wrap_socket(plain, server_hostname=host) as sock,
            ):
                sock.sendall(head + rest + part)
        answer = raw(started, head + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert started.fake.registry.images.blob("half", digest_of(part)) is None


def test_nonsense_is_answered_or_dropped(server: Running) -> None:
    assert b" 400 " in raw(server, b"nonsense with too many words in it\r\n\r\n")
    host, _, port = server.registry.rpartition(":")
    with socket.create_connection((host, int(port)), 5) as plain:
        plain.sendall(b"GET /v2/ HTTP/1.1\r\n\r\n")
        assert b"200" not in plain.recv(1000)


def test_who_says_nothing_holds_up_nobody(server: Running, registry: Line) -> None:
    host, _, port = server.registry.rpartition(":")
    with socket.create_connection((host, int(port)), 5), socket.create_connection((host, int(port)), 5):
        assert registry.ask("GET", "/v2/")[0].status == 200


def test_tampering_shows_on_the_network(server: Running, line: Line, registry: Line) -> None:
    attacker = Tampering(server.fake)
    attacker.answer(Response(418), path="/v2/teapot")
    attacker.refuse_connections(path="/v2/gone")
    try:
        assert line.ask("GET", "/v2/teapot")[0].status == 418
        with pytest.raises(http.client.RemoteDisconnected):
            registry.ask("GET", "/v2/gone")
    finally:
        attacker.undo_hooks()
        server.fake.notary.renews = True


def test_a_defect_is_a_500_and_the_connection_lives(
    server: Running, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Request) -> Response | None:
        raise ZeroDivisionError("on purpose")

    server.fake.before.append(broken)
    try:
        response, body = line.ask("GET", "/v2/")
    finally:
        server.fake.before.clear()
    assert (response.status, json.loads(body)["errors"][0]["code"]) == (500, "UNKNOWN")
    assert "ZeroDivisionError" in caplog.text
    assert line.ask("GET", "/v2/")[0].status == 200


def test_publishers_at_once(line: Line, server: Running) -> None:
    desks = [line.desk() for _ in range(6)]
    statuses: list[int] = []

    def publish(number: int) -> None:
        with Line(server.notary.removeprefix("https://"), server.authority) as own:
            own_desk = own.desk(desks[number].gun)
            own_desk.publish()
            for _ in range(5):
                own_desk.author.bump()
                statuses.append(own_desk.post(own_desk.author.files("targets")).status)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30
    for desk in desks:
        assert verify_repository(desk.get, desk.gun, now()).targets["targets"].version == 6


def test_nothing_is_left_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    with running(None, ServerOptions(), clock=now) as started:
        directory = started.directory
        with Line(started.registry, started.authority) as idle, Line(started.registry, started.authority):
            idle.ask("GET", "/v2/")
            assert set(threading.enumerate()) - before
            assert directory.exists()
            started.fake.close()
    assert set(threading.enumerate()) <= before
    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(started.registry.rpartition(":")[2])), 1)


def test_half_open_connections_end_without_a_word(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack, running(None, ServerOptions(), clock=now) as started:
        host, _, port = started.registry.rpartition(":")
        for text in (b"", b"\x16\x03\x01", b"GET /v2/ HTTP/1.1\r\n\r\n"):
            plain = stack.enter_context(socket.create_connection((host, int(port)), 5))
            plain.sendall(text)
        with Line(started.registry, started.authority) as line:
            line.ask("GET", "/v2/")
    assert "werkzeug" not in {record.name for record in caplog.records}
    assert capfd.readouterr().err == ""


def test_what_werkzeug_has_to_say_goes_to_our_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    https.Server.log(object.__new__(https.Server), "error", "Cannot fetch %s", "SSL peer certificate info")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        (https.__name__, "Cannot fetch SSL peer certificate info")
    ]


def test_an_open_connection_does_not_keep_it_from_closing() -> None:
    before = set(threading.enumerate())
    with running(None, ServerOptions(), clock=now) as started:
        idle = Line(started.registry, started.authority)
        idle.ask("GET", "/v2/")
    assert set(threading.enumerate()) <= before
    with idle, pytest.raises((ConnectionError, http.client.HTTPException)):
        idle.ask("GET", "/v2/")
