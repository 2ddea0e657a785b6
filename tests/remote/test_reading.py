from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import DigestMismatchError, StorageError
from notarypy.remote.registry import blobreader
from notarypy.remote.registry.blobreader import HashingReader

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = bytes(range(256)) * 40
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


class File:
    """Content that can change, and remembers where reading began."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.begun: list[int] = []

    def __call__(self, start: int) -> Iterator[bytes]:
        self.begun.append(start)
        for at in range(start, len(self.data), 100):
            yield self.data[at : at + 100]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.setattr(blobreader, "MARK_EVERY", 1000)
    return File()


def test_a_stream_can_be_sent_again(file: File) -> None:
    told: list[int] = []
    part = HashingReader(DIGEST, len(DATA), file, told.append).part(0)
    assert len(part) == len(DATA)
    assert [b"".join(part) for _ in range(2)] == [DATA, DATA]
    assert told[-1] == len(DATA)


def test_a_later_beginning_reads_from_the_last_mark(file: File) -> None:
    whole = HashingReader(DIGEST, len(DATA), file, lambda _: None)
    stream = iter(whole.part(0))
    for _ in range(55):
        next(stream)
    assert b"".join(whole.part(4321)) == DATA[4321:]
    assert b"".join(whole.part(10)) == DATA[10:]
    assert file.begun == [0, 4000, 0]
    assert b"".join(whole.part(len(DATA))) == b""
    whole.check()


@pytest.mark.parametrize("changed", [b"x" + DATA[1:], DATA[:-1], DATA + b"x", b""])
def test_a_file_that_changes_is_caught(changed: bytes) -> None:
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        b"".join(HashingReader(DIGEST, len(DATA), File(changed), lambda _: None).part(0))


def test_nothing_beyond_the_size_is_handed_out() -> None:
    told: list[int] = []
    with pytest.raises(DigestMismatchError):
        b"".join(HashingReader(DIGEST, len(DATA), File(DATA + DATA), told.append).part(0))
    assert max(told) <= len(DATA)


def test_a_change_between_two_readings_is_caught(file: File) -> None:
    whole = HashingReader(DIGEST, len(DATA), file, lambda _: None)
    stream = iter(whole.part(0))
    for _ in range(30):
        next(stream)
    file.data = DATA[:-1] + b"X"
    with pytest.raises(DigestMismatchError):
        b"".join(whole.part(2500))
    with pytest.raises(DigestMismatchError):
        whole.check()


def test_parts_one_after_the_other_read_the_source_once(file: File) -> None:
    told: list[int] = []
    whole = HashingReader(DIGEST, len(DATA), file, told.append)
    ends = [*range(0, len(DATA), 1234), len(DATA)]
    parts = [b"".join(whole.part(start, end)) for start, end in pairwise(ends)]
    assert [len(part) for part in parts] == [end - start for start, end in pairwise(ends)]
    assert b"".join(parts) == DATA
    assert (file.begun, told[-1]) == ([0], len(DATA))
    assert b"".join(whole.part(1234, 2468)) == DATA[1234:2468]
    assert file.begun == [0, 1000]


def test_a_part_that_is_not_there_any_more_is_caught(file: File) -> None:
    whole = HashingReader(DIGEST, len(DATA), file, lambda _: None)
    assert b"".join(whole.part(0, 1000)) == DATA[:1000]
    file.data = DATA[:1500]
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        b"".join(whole.part(1000, 2000))


def test_a_source_that_fails_is_begun_anew(file: File) -> None:
    def broken(start: int) -> Iterator[bytes]:
        for number, piece in enumerate(file(start)):
            if number == 5 and len(file.begun) == 1:
                raise StorageError("the disk broke")
            yield piece

    whole = HashingReader(DIGEST, len(DATA), broken, lambda _: None)
    with pytest.raises(StorageError):
        b"".join(whole.part(0))
    assert b"".join(whole.part(500)) == DATA[500:]


def test_errors_name_the_source() -> None:
    whole = HashingReader(DIGEST, len(DATA), File(b"other"), lambda _: None, "the file /made/up")
    with pytest.raises(DigestMismatchError) as caught:
        b"".join(whole.part(0))
    assert caught.value.why[0] == "read from: the file /made/up"


def test_a_small_blob_is_checked_before_it_is_sent() -> None:
    assert b"".join(HashingReader(DIGEST, len(DATA), File(), lambda _: None).part(0)) == DATA
    with pytest.raises(DigestMismatchError):
        b"".join(HashingReader(DIGEST, len(DATA), File(b"other"), lambda _: None).part(0))


def test_other_algorithms() -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    assert b"".join(HashingReader(digest, len(DATA), File(), lambda _: None).part(0)) == DATA
