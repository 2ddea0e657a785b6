"""Whether a stream is what is listed, and what becomes of it (rules of `client.verify.content`)."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pytest

from notarypy import files
from notarypy.client.verify import content
from notarypy.client.verify.content import ListedTarget
from notarypy.errors import DigestMismatchError, StorageError, UsageError, VerificationError
from support.author import GUN
from support.people import manifest, owned

if TYPE_CHECKING:
    from support.people import World

DATA = b"content\n" * 300_000  # more than is kept in memory
OTHER = DATA[:-1] + b"!"


def target(data: bytes = DATA, **changed: Any) -> ListedTarget:  # noqa: ANN401 - fields of any type
    """Return what is listed of some content."""
    hashes = {kind: hashlib.new(kind, data).hexdigest() for kind in ("sha256", "sha512")}
    return ListedTarget(
        **{"repository": GUN, "name": "x", "role": "targets", "length": len(data), **hashes, **changed}
    )


class Source(io.BytesIO):
    """Notes how much was read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


class Sink(io.BytesIO):
    """Must not get anything before `source` was read to its end."""

    source: Source

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        assert self.source.taken == len(DATA)
        return super().write(data)


def test_what_is_listed_is_handed_on_once_it_is_verified() -> None:
    sink = Sink()
    sink.source = Source(DATA)
    content.verify(target(), sink.source, sink)
    assert sink.getvalue() == DATA


@pytest.mark.parametrize("data", [OTHER, DATA[:-1], DATA + b"!", b""])
def test_nothing_of_other_content_is_handed_on(data: bytes) -> None:
    sink = io.BytesIO()
    with pytest.raises(DigestMismatchError) as caught:
        content.verify(target(), io.BytesIO(data), sink)
    assert sink.getvalue() == b""
    facts = {"name": "x", "kind": "sha256", "expected": target().sha256}
    assert caught.value.facts == facts


def test_of_what_is_longer_one_byte_too_many_is_read() -> None:
    source = Source(DATA * 2)
    with pytest.raises(DigestMismatchError, match="this is not what") as caught:
        content.verify(target(), source, None)
    assert source.taken == len(DATA) + 1
    assert f"read: more than {len(DATA)} bytes" in caught.value.why


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_every_known_hash_counts_and_one_is_enough(kind: str) -> None:
    wrong: dict[str, Any] = {kind: "00" * 32}
    without_other: dict[str, Any] = {{"sha256": "sha512", "sha512": "sha256"}[kind]: None}
    with pytest.raises(DigestMismatchError) as caught:
        content.verify(target(**wrong), io.BytesIO(DATA), None)
    assert caught.value.facts["kind"] == kind
    content.verify(target(**without_other), io.BytesIO(DATA), None)
    with pytest.raises(VerificationError, match="cannot be checked"):
        content.verify(target(sha256=None, sha512=None), io.BytesIO(DATA), None)


def test_the_length_counts_where_the_hashes_fit() -> None:
    """Go notary lets that pass."""
    with pytest.raises(DigestMismatchError) as caught:
        content.verify(target(length=len(DATA) + 1), io.BytesIO(DATA), None)
    assert caught.value.facts["kind"] is None
    assert f"read: {len(DATA)} bytes" in caught.value.why


def test_nothing_is_content_too() -> None:
    sink = io.BytesIO()
    content.verify(target(b""), io.BytesIO(), sink)
    assert sink.getvalue() == b""
    with pytest.raises(DigestMismatchError):
        content.verify(target(b""), io.BytesIO(b"x"), sink)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    content.verify(target(), io.BytesIO(DATA), out)
    assert (out.read_bytes(), stat.S_IMODE(out.stat().st_mode)) == (DATA, 0o600)
    out.write_bytes(b"old")
    out.chmod(0o640)
    with pytest.raises(DigestMismatchError):
        content.verify(target(), io.BytesIO(OTHER), out)
    assert (out.read_bytes(), [*tmp_path.iterdir()]) == (b"old", [out])
    content.verify(target(), io.BytesIO(DATA), out)
    assert (out.read_bytes(), stat.S_IMODE(out.stat().st_mode)) == (DATA, 0o640)


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    content.verify(target(), io.BytesIO(DATA), link)
    assert link.is_symlink()
    assert real.read_bytes() == DATA


def test_a_pipe_gets_what_is_verified_and_stays(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    with pytest.raises(DigestMismatchError):
        content.verify(target(), io.BytesIO(OTHER), pipe)
    content.verify(target(), io.BytesIO(DATA), pipe)
    reader.join()
    assert got == [DATA]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_written_is_found_out_before_anything_is_read(tmp_path: Path) -> None:
    source = Source(DATA)
    with pytest.raises(StorageError, match="cannot write"):
        content.verify(target(), source, tmp_path / "none" / "out")
    assert source.taken == 0
    with pytest.raises(StorageError, match="cannot write") as caught:
        content.verify(target(), source, tmp_path)
    assert (caught.value.why, source.taken) == (("it is a directory",), 0)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "name-new-file"
    assert not [*tmp_path.iterdir()]


def test_errors_of_the_system_are_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def write(self, _data: Any) -> int:  # noqa: ANN401 - any buffer
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="cannot read x"):
        content.verify(target(), Broken(), tmp_path / "out")
    with pytest.raises(StorageError, match="cannot read a file"):
        content.describe(Broken(), "a file", 0)
    monkeypatch.setattr(files, "unnamed", Broken)
    with pytest.raises(StorageError, match="cannot keep") as caught:
        content.verify(target(), io.BytesIO(DATA), io.BytesIO())
    assert caught.value.advice is not None
    assert caught.value.advice.name == "room-to-keep"


def test_a_description_is_what_is_signed() -> None:
    found = content.describe(io.BytesIO(DATA), "", 0)
    assert found.length == len(DATA)
    assert {kind: raw.hex() for kind, raw in found.hashes.items()} == target().hashes


def test_what_nobody_could_verify_is_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_INTEGER", 10)
    with pytest.raises(UsageError, match="too long"):
        content.describe(io.BytesIO(DATA), "it", 0)


class Typed(io.RawIOBase):
    """Content that is typed: a line, and one Ctrl-D, after which nobody types more."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = [*lines, b""]

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:  # noqa: ANN401 - a buffer
        line = self.lines.pop(0)
        room[: len(line)] = line
        return len(line)


def test_typed_content_ends_once() -> None:
    for source in (Typed(b"one\n", b"two\n"), io.BufferedReader(Typed(b"one\n", b"two\n"))):
        assert content.describe(cast("BinaryIO", source), "", 0).length == 8


def test_progress_is_given_all_that_is_read() -> None:
    class Counted:
        def __init__(self) -> None:
            self.said: list[object] = []

        def begin(self, what: str, total: int) -> None:
            self.said += [what, total, 0]

        def moved(self, count: int) -> None:
            self.said[2] += count  # type: ignore[operator]

        def end(self) -> None:
            self.said.append("end")

    counted, described = Counted(), Counted()
    content.verify(target(), io.BytesIO(DATA), None, counted)
    content.describe(io.BytesIO(DATA), "it", 7, described)
    assert counted.said == ["x", len(DATA), len(DATA), "end"]
    assert described.said == ["it", 7, len(DATA), "end"]


def test_by_the_client(world: World, tmp_path: Path) -> None:
    owner, out = owned(world), tmp_path / "out"
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    targets = owner.client().targets
    with pytest.raises(DigestMismatchError):
        targets.verify(GUN, "1", io.BytesIO(b"x"), out)
    assert not out.exists()
    found = targets.verify(GUN, "1", io.BytesIO(manifest("1")), out)
    assert out.read_bytes() == manifest("1")
    assert found == targets.lookup(GUN, "1")
    described = targets.describe(io.BytesIO(manifest("1")))
    assert (described.length, described.sha256) == (found.length, found.sha256)


LARGE = """
import io, resource, sys, hashlib
from notarypy.client.verify import content
SIZE = int(sys.argv[1])
class Zeros(io.RawIOBase):
    left = SIZE
    def read(self, size=-1):
        size = min(size, self.left); self.left -= size
        return bytes(size)
class Nowhere(io.RawIOBase):
    count = 0
    def write(self, data):
        self.count += len(data); return len(data)
known = content.describe(Zeros(), "", SIZE)
listed = content.ListedTarget("g", "n", "targets", SIZE, known.sha256, known.sha512)
sink = Nowhere()
content.verify(listed, Zeros(), sink)
assert sink.count == SIZE
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(size: int) -> int:
    """Return the most memory, in KiB, that a process takes to describe, verify and hand on so much."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(size)], capture_output=True, check=True, text=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_content() -> None:
    small, large = peak(8 << 20), peak(256 << 20)
    assert large < small + 4096
