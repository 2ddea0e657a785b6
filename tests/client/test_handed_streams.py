"""Streams that a caller hands over: slow, short, without room for now, or with nothing for now."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pytest

from notarypy.client.verify import content
from notarypy.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = bytes(range(256)) * 4096  # more than any pipe has room for
LISTED = content.ListedTarget("g", "x", "targets", len(DATA), hashlib.sha256(DATA).hexdigest(), None)


class Nibbles(io.RawIOBase):
    """Takes little at a time."""

    def __init__(self, most: int = 5000) -> None:
        self.most, self.got = most, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self.got += bytes(data[: self.most])
        return min(len(data), self.most)


class Full(io.RawIOBase):
    """Has neither room nor content, and nothing to wait by."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def read(self, _size: int = -1) -> None:
        return None

    def write(self, _data: Any) -> None:  # noqa: ANN401 - any buffer
        return None


def taken(sink: BinaryIO, read: Callable[[], bytes], close: Callable[[], object]) -> bytes:
    """Verify into a stream whose reader begins once it is full; return what arrived."""
    got: list[bytes] = []

    def reader() -> None:
        started.wait()
        while piece := read():
            got.append(piece)

    started = threading.Event()
    thread = threading.Thread(target=reader)
    thread.start()
    threading.Timer(0.1, started.set).start()
    try:
        content.verify(LISTED, io.BytesIO(DATA), sink)
    finally:
        started.set()
        close()
        thread.join()
    return b"".join(got)


def test_a_stream_that_takes_little_gets_all() -> None:
    sink = Nibbles()
    content.verify(LISTED, io.BytesIO(DATA), cast("BinaryIO", sink))
    assert sink.got == DATA


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_wait_gets_all(buffering: int) -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    sink: Any = os.fdopen(into, "wb", buffering)
    assert taken(sink, lambda: os.read(out, 65536), sink.close) == DATA
    os.close(out)


@pytest.mark.parametrize("wait", [0, 60])
def test_a_socket_gets_all(wait: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(wait)
        sink: Any = one.makefile("wb", buffering=0)
        assert taken(sink, lambda: other.recv(65536), lambda: one.shutdown(socket.SHUT_WR)) == DATA


def test_one_of_our_own_descriptors_gets_all(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    link = tmp_path / "out"
    link.symlink_to(f"/dev/fd/{into}")

    got: list[bytes] = []
    thread = threading.Timer(0.1, lambda: got.extend(iter(lambda: os.read(out, 65536), b"")))
    thread.start()
    content.verify(LISTED, io.BytesIO(DATA), link)
    os.close(into)
    thread.join()
    os.close(out)
    assert b"".join(got) == DATA


def test_an_object_that_counts_nothing_has_taken_all() -> None:
    class Parts:
        def __init__(self) -> None:
            self.got = b""

        def write(self, data: Any) -> None:  # noqa: ANN401 - any buffer
            self.got += bytes(data)

    content.verify(LISTED, io.BytesIO(DATA), cast("BinaryIO", sink := Parts()))
    assert sink.got == DATA


@pytest.mark.parametrize("sink", [Full(), Nibbles(0), io.BufferedWriter(Full())])
def test_what_takes_nothing_is_an_error(sink: io.IOBase) -> None:
    with pytest.raises(StorageError, match="cannot write the content"):
        content.verify(LISTED, io.BytesIO(DATA), cast("BinaryIO", sink))


def test_what_has_nothing_for_now_has_not_ended() -> None:
    with pytest.raises(StorageError, match="cannot read x"):
        content.verify(LISTED, cast("BinaryIO", Full()), None)


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_whose_writer_is_late_is_read_to_its_end(buffering: int) -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)

    def writer() -> None:
        with os.fdopen(into, "wb") as stream:
            stream.write(DATA)

    thread = threading.Timer(0.1, writer)
    thread.start()
    sink = io.BytesIO()
    source: Any = os.fdopen(out, "rb", buffering)
    with source:
        content.verify(LISTED, source, sink)
    thread.join()
    assert sink.getvalue() == DATA


def test_what_a_stream_still_holds_is_brought_to_its_other_side() -> None:
    behind = Nibbles()
    with io.BufferedWriter(behind, 1 << 22) as sink:
        content.verify(LISTED, io.BytesIO(DATA), cast("BinaryIO", sink))
        assert behind.got == DATA
        content.flush(cast("BinaryIO", sink))
