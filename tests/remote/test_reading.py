from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import DigestMismatchError
from notarypy.remote import reading
from notarypy.remote.reading import Reading

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
    monkeypatch.setattr(reading, "MARK_EVERY", 1000)
    return File()


def test_a_stream_can_be_sent_again(file: File) -> None:
    told: list[int] = []
    part = Reading(DIGEST, len(DATA), file, told.append).since(0)
    assert part.size == len(DATA)
    assert [b"".join(part) for _ in range(2)] == [DATA, DATA]
    assert told[-1] == len(DATA)


def test_a_later_beginning_reads_from_the_last_mark(file: File) -> None:
    whole = Reading(DIGEST, len(DATA), file, lambda _: None)
    stream = iter(whole.since(0))
    for _ in range(55):
        next(stream)
    assert b"".join(whole.since(4321)) == DATA[4321:]
    assert b"".join(whole.since(10)) == DATA[10:]
    assert file.begun == [0, 4000, 0]
    assert b"".join(whole.since(len(DATA))) == b""
    whole.check()


@pytest.mark.parametrize("changed", [b"x" + DATA[1:], DATA[:-1], DATA + b"x", b""])
def test_a_file_that_changes_is_caught(changed: bytes) -> None:
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        b"".join(Reading(DIGEST, len(DATA), File(changed), lambda _: None).since(0))


def test_nothing_beyond_the_size_is_handed_out() -> None:
    told: list[int] = []
    with pytest.raises(DigestMismatchError):
        Reading(DIGEST, len(DATA), File(DATA + DATA), told.append).whole()
    assert max(told) <= len(DATA)


def test_a_change_between_two_readings_is_caught(file: File) -> None:
    whole = Reading(DIGEST, len(DATA), file, lambda _: None)
    stream = iter(whole.since(0))
    for _ in range(30):
        next(stream)
    file.data = DATA[:-1] + b"X"
    with pytest.raises(DigestMismatchError):
        b"".join(whole.since(2500))
    with pytest.raises(DigestMismatchError):
        whole.check()


def test_a_small_blob_is_checked_before_it_is_sent() -> None:
    assert Reading(DIGEST, len(DATA), File(), lambda _: None).whole() == DATA
    with pytest.raises(DigestMismatchError):
        Reading(DIGEST, len(DATA), File(b"other"), lambda _: None).whole()


def test_other_algorithms() -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    assert Reading(digest, len(DATA), File(), lambda _: None).whole() == DATA
