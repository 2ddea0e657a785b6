"""A server's feed of changes: what it says it published, and when.

What it is: pages of records, read strictly. What it is not: signed; a server can leave out, add, reorder and
date as it likes. What a record names is therefore looked at, and what the files name that no record does.

Rules:

1. Numbers of records rise. A feed that repeats or goes back, whose records are none, or that has no end is
   not read on; `problem` says why, and what it said before that counts.
2. It is gone through more than once: only its end tells what was deleted with the repository. Of a feed that
   is longer than a page nothing is kept.
3. Records of another spelling of the repository's name are another repository's: a database that compares
   names without case mixes them.
4. A server without a feed is one with a problem, and no error; whoever is not let in gets one.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError, NotFoundError, ResponseLimitError, ServerError
from notarypy.remote.http.messages import json_object
from notarypy.tuf.fields import MAX_VERSION, is_integer, parse_time
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository

_LOG = logging.getLogger(__name__)
_PAGE, _SHORT = 500, 100
_DIGITS = 18
_NONE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


class OddFeedError(Exception):
    """What a server sends is no feed (rule 1)."""


@dataclass(frozen=True)
class FeedRecord:
    """One record: a timestamp that was published, or with version 0 the deletion of the repository."""

    gun: str
    number: int
    time: datetime
    version: int
    sha256: str


class Feed:
    """The feed of one repository.

    `problem` says why it was not read to its end, and `deleted` has the number of the last deletion, 0 for
    none; both are known once `survey` was called.
    """

    def __init__(self, repository: Repository) -> None:
        """Ask nothing yet."""
        self._repository = repository
        self.problem, self.deleted = "", 0
        self._kept: list[FeedRecord] | None = None

    def survey(self) -> None:
        """Read it once, to know where the present files begin (rule 2)."""
        kept = []
        for number, change in enumerate(self.changes()):
            if number <= _PAGE:
                kept.append(change)
            if not change.version:
                self.deleted = change.number
        self._kept = kept if len(kept) <= _PAGE else None

    def changes(self) -> Iterator[FeedRecord]:
        """Yield all records, oldest first, until the end or a problem."""
        try:
            yield from self._read() if self._kept is None else self._kept
        except OddFeedError as error:
            self.problem = str(error)
            _LOG.debug("%s: the feed of changes is not read on: %s", self._repository.gun, error)

    def _read(self) -> Iterator[FeedRecord]:
        for change in read_feed(self._page, self._repository.limits.changes):
            if change.gun == self._repository.gun:
                yield change

    def _page(self, after: int, most: int) -> bytes:
        repository = self._repository
        repository.online()
        try:
            return repository.notary().changes(repository.gun, after, most)
        except NotFoundError:
            raise OddFeedError("this server has none") from None
        except ResponseLimitError as error:
            raise OddFeedError(error.message) from None
        except ServerError as error:
            status = error.facts.get("status")
            if status in _NONE:
                raise OddFeedError("this server has none") from None
            if status == HTTPStatus.INTERNAL_SERVER_ERROR:
                raise OddFeedError("the server failed to give it") from None
            raise


def read_feed(page: Callable[[int, int], bytes], most: int) -> Iterator[FeedRecord]:
    """Yield the records that are on pages, each with so many behind a number (rule 1)."""
    after = total = pages = 0
    while records := records_of(page(after, _PAGE)):
        if (pages := pages + 1) > most // _PAGE + _SHORT:
            raise OddFeedError("its pages are short, and have no end")
        for record in records:
            change = read_record(record)
            if change.number <= after:
                raise OddFeedError(f"its record {change.number} comes after record {after}")
            after = change.number
            yield change
        total += len(records)
        if total > most:
            raise OddFeedError(f"it has more than {most} records")


def records_of(data: bytes) -> list[Any]:
    """Return the records of a page, whatever they are (rule 1); none behind the last one."""
    records = (json_object(data) or {}).get("records", 0)
    if records is None:
        return []
    if not isinstance(records, list) or len(records) > _PAGE:
        raise OddFeedError("it is no list of records, or a longer one than was asked for")
    return records


def read_record(record: object) -> FeedRecord:
    """Read a record strictly (rule 1)."""
    match record:
        case {
            "GUN": str(gun),
            "ID": str(number),
            "CreatedAt": str(time),
            "Version": version,
            "SHA256": str(sha256),
        }:
            usable = number.isascii() and number.isdigit() and len(number) <= _DIGITS
            if usable and is_integer(version) and 0 <= version <= MAX_VERSION:
                try:
                    return FeedRecord(gun, int(number), parse_time(time, "a record"), version, sha256)
                except MetadataError:
                    pass
    raise OddFeedError("one of its records is none that a Notary server writes")
