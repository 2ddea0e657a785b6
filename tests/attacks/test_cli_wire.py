"""Endless and slow answers to the real program, over real sockets: cut in time, and without eating memory."""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.main import run
from support.wire import Wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from support.wire import Answer

pytestmark = pytest.mark.slow

OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
BLOCK = b'{"signed":' + b"[" * 0xFFF0


def flood(head: bytes, pieces: Iterable[bytes], pause: float = 0) -> Answer:
    """Send a head and then pieces until the other side hangs up."""

    def answer(sock: socket.socket) -> bool:
        sock.sendall(head)
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause)
        return False

    return answer


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NOTARYPY_FIRST_USE", "1")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Wire(tmp_path)
    yield made
    made.server.close()


ENDLESS = {
    "a body without length": flood(OK + b"\r\n", repeat(BLOCK)),
    "a body in chunks": flood(OK + b"Transfer-Encoding: chunked\r\n\r\n", repeat(CHUNK)),
    "a length beyond all limits": flood(OK + b"Content-Length: 99999999999999\r\n\r\n", repeat(BLOCK)),
}
SLOW = {
    "nothing": flood(b"", repeat(b""), 0.05),
    "a head": flood(OK, repeat(b"X-Slow: 1\r\n"), 0.05),
    "a body": flood(OK + b"Content-Length: 1000\r\n\r\n", repeat(b"{"), 0.05),
}


@pytest.mark.parametrize("attack", ENDLESS.values(), ids=ENDLESS)
def test_endless_answers_are_cut(wire: Wire, attack: Answer) -> None:
    assert run(wire.argv) == 0
    wire.attacks["timestamp"] = attack
    wire.refused(8, "net.limit")
    wire.attacks.clear()
    assert run(wire.argv) == 0


@pytest.mark.parametrize("file", ["root.json", "manifests/1"])
def test_endless_roots_and_manifests_are_cut(wire: Wire, file: str) -> None:
    if file != "root.json":  # which is asked for only on first use
        assert run(wire.argv) == 0
    wire.attacks[file] = ENDLESS["a body in chunks"]
    wire.refused(8, "net.limit")
    wire.attacks.clear()
    assert run(wire.argv) == 0


@pytest.mark.parametrize("attack", SLOW.values(), ids=SLOW)
def test_slow_answers_end_with_the_deadline(wire: Wire, attack: Answer) -> None:
    assert run(wire.argv) == 0
    wire.attacks["timestamp"] = attack
    wire.refused(8, "net.timeout", timeout="0.5")
    wire.attacks.clear()
    assert run(wire.argv) == 0


@pytest.mark.parametrize(
    ("head", "pieces", "code"),
    [
        (OK, repeat(b"X-Flood: " + b"x" * 1000 + b"\r\n"), "net.limit"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n", [b"\x1f\x8b"], "net.server"),
        (b"HTTP/1.1 302 Found\r\nLocation: /v2/again\r\nContent-Length: 0\r\n\r\n", [], "net.not_notary"),
        (b"HTTP/1.1 500 No\r\n\r\n", repeat(BLOCK), "net.server"),
        (b"HTTP/1.1 503 No\r\nRetry-After: 9999\r\nContent-Length: 0\r\n\r\n", [], "net.server"),
    ],
    ids=["head", "compressed", "redirect", "error", "retry"],
)
def test_strange_answers_are_no_answers(wire: Wire, head: bytes, pieces: Iterable[bytes], code: str) -> None:
    assert run(wire.argv) == 0
    wire.attacks["timestamp"] = flood(head, pieces)
    wire.refused(8, code)
    wire.attacks.clear()
    assert run(wire.argv) == 0


@pytest.mark.parametrize(
    ("reply", "code", "timeout"),
    [("a body in chunks", "net.limit", "10"), ("a body", "net.timeout", "0.5")],
)
def test_token_services_are_cut_too(wire: Wire, reply: str, code: str, timeout: str) -> None:
    assert run(wire.argv) == 0
    realm = f'Bearer realm="{wire.server.url("/token")}",service="s"'.encode()
    challenge = b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + realm + b"\r\nContent-Length: 0\r\n\r\n"
    wire.attacks["timestamp"] = flood(challenge, [])
    wire.attacks["/token"] = {**ENDLESS, **SLOW}[reply]
    wire.refused(8, code, timeout)
    wire.attacks.clear()
    assert run(wire.argv) == 0
