"""Where the service listens: addresses and Unix sockets."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from notarypy.errors import ConfigurationError
from notarypy.service.listening import Listener, Place, place


@pytest.mark.parametrize(
    ("text", "found", "local"),
    [
        ("127.0.0.1:80", Place("127.0.0.1:80", "127.0.0.1", 80), True),
        ("127.9.9.9:0", Place("127.9.9.9:0", "127.9.9.9", 0), True),
        ("localhost:8080", Place("localhost:8080", "localhost", 8080), True),
        ("[::1]:8080", Place("[::1]:8080", "::1", 8080), True),
        ("[::]:8080", Place("[::]:8080", "::", 8080), False),
        ("0.0.0.0:1", Place("0.0.0.0:1", "0.0.0.0", 1), False),
        (":8443", Place(":8443", "", 8443), False),
        ("host.test:8443", Place("host.test:8443", "host.test", 8443), False),
        ("unix:/run/a", Place("unix:/run/a", path=Path("/run/a")), True),
    ],
)
def test_a_place_is_read(text: str, found: Place, local: bool) -> None:
    assert place(text) == found
    assert found.local is local


@pytest.mark.parametrize(
    "text", ["", "8080", "host", "host:", "host:x", "host:65536", "host:-1", "::1", "unix:", "a:٣"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place to listen at"):
        place(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_listener_says_where_it_is(text: str, tls: bool) -> None:
    listener = Listener(place(text), tls=tls)
    host, _, port = listener.url.rpartition(":")
    assert host == f"{'https' if tls else 'http'}://{text[:-2].replace('localhost', '127.0.0.1')}"
    socket.create_connection((place(text).host, int(port))).close()
    listener.close()


def test_no_address_is_every_address() -> None:
    listener = Listener(place(":0"), tls=True)
    port = listener.socket.getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port)).close()
    listener.close()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_unix_socket_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        listener = Listener(place(f"unix:{tmp_path}/a"), tls=True, mode=mode)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (listener.url, listener.tls) == (f"unix:{tmp_path}/a", False)
    listener.close()
    assert not (tmp_path / "a").exists()


def test_a_socket_has_its_mode_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    bind = socket.socket.bind

    def look(made: socket.socket, path: str) -> None:
        bind(made, path)
        modes.append(stat.S_IMODE(Path(path).stat().st_mode))

    monkeypatch.setattr(socket.socket, "bind", look)
    Listener(place(f"unix:{tmp_path}/a"), tls=False).close()
    assert modes == [0o600]


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "a"))
        dead.listen()
    listener = Listener(place(f"unix:{tmp_path}/a"), tls=False)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(tmp_path / "a"))
    listener.close()


def test_the_socket_of_a_live_process_is_not(tmp_path: Path) -> None:
    first = Listener(place(f"unix:{tmp_path}/a"), tls=False)
    with pytest.raises(ConfigurationError) as caught:
        Listener(place(f"unix:{tmp_path}/a"), tls=False)
    assert caught.value.why == ("another process listens there",)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(tmp_path / "a"))
    first.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    (tmp_path / "target").write_text("mine")
    path = tmp_path / "a"
    match kind:
        case "file":
            path.write_text("mine")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "target")
    with pytest.raises(ConfigurationError):
        Listener(place(f"unix:{path}"), tls=False)
    assert path.exists()
    assert (tmp_path / "target").read_text() == "mine"


def test_a_socket_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path) -> None:
    first = Listener(place(f"unix:{tmp_path}/a"), tls=False)
    (tmp_path / "a").rename(tmp_path / "b")
    second = Listener(place(f"unix:{tmp_path}/a"), tls=False)
    first.close()
    assert (tmp_path / "a").exists()
    second.close()
    assert not (tmp_path / "a").exists()
