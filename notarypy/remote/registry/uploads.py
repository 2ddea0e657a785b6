"""One upload of a blob to a registry: hashed as it is read, and sent until the registry took it.

What it is: a blob as a stream that can begin anywhere, and the state of one upload through lost connections.
What it is not: a file, or patience (`blobs`), which tries again.

Rules:

1. Every byte that is handed out has gone through the hash. To begin elsewhere than where it stopped, the
   bytes between the last mark and there are read and hashed again.
2. A stream that ends with the blob has been all of it: size and digest were right. A file that changes
   meanwhile, grows or shrinks makes it fail. The upload is finished only after that: until then the registry
   has no blob.
3. The source is read on, and not begun anew, by whoever goes on where the one before stopped.
4. After a loss the registry is asked how much it has, and gets the rest. Where it does not say, the upload
   begins anew.
5. A small blob is sent in the request that finishes it, one of moderate size in one request before that: this
   is what all registries take.
6. A large blob goes in chunks, none smaller than the registry asks for. What it says of a chunk that it took
   is not believed: some repeat what they said of an earlier one. What it says when asked is.
7. A registry that refuses chunks, or cannot put them together, gets the blob in one request, and so do the
   next ones.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from notarypy.errors import Advice, DigestMismatchError, NetworkError, NotFoundError, ServerError
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import RequestPolicy
from notarypy.remote.registry.registry import RegistryClient, writing

SLOWEST = 16 * 1024
"""Bytes per second: what is slower than this on the whole is given up."""
COMMIT = 4 * 1024 * 1024
"""Bytes per second that a registry puts away, in silence, when an upload is finished."""
SMALL = 1024 * 1024
CHUNK = 16 * 1024 * 1024
MARK_EVERY = 8 * 1024 * 1024
_OCTETS = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FIRST_LOSSES = 2  # some break the connection in place of refusing a chunk
# What a registry says that does not know an upload, or not this place in it.
_LOST_PLACE = frozenset({400, 404, 409, 416})
_LOG = logging.getLogger(__name__)


ReadFrom = Callable[[int], Iterator[bytes]]
"""Yields a source of bytes from some position on, as often as it is asked to; raises StorageError."""


@dataclass
class _Run:
    """The source, read up to some position."""

    pieces: Iterator[bytes]
    at: int
    hasher: Any
    rest: bytes = b""

    def next(self) -> bytes:
        piece, self.rest = self.rest or next(filter(None, self.pieces), b""), b""
        return piece


class HashingReader:
    """One blob; `moved` learns after each piece how far it is, and errors call the source `where`."""

    def __init__(
        self, digest: str, size: int, content: ReadFrom, moved: Callable[[int], object], where: str = ""
    ) -> None:
        self.digest, self.size = digest, size
        self._content, self._moved, self._where = content, moved, where
        self._marks: list[tuple[int, Any]] = [(0, hashlib.new(digest.partition(":")[0]))]
        self._run: _Run | None = None

    def part(self, start: int, end: int | None = None) -> BlobPart:
        """Return what lies between two positions; None for all that is left."""
        return BlobPart(self, start, self.size if end is None else min(end, self.size))

    def check(self) -> None:
        """Hash what was sent already and not hashed to its end; raises as `pieces` does."""
        for _ in self.pieces(self.size, self.size):
            continue

    def close(self) -> None:
        """Leave the source alone."""
        if self._run is not None and isinstance(self._run.pieces, Generator):
            self._run.pieces.close()
        self._run = None

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield it from one position to another; raise if it is not what it was said to be (rules 1 to 3)."""
        run = self._at(start)
        while run.at < end and (piece := self._hashed(run, end)):
            yield piece
            self._moved(run.at)
        if end == self.size or run.at < end:
            self._ended(run)

    def _at(self, start: int) -> _Run:
        """Return the source, read up to a position (rule 3)."""
        if self._run is None or self._run.at != start:
            self.close()
            at, hasher = next((at, mark.copy()) for at, mark in reversed(self._marks) if at <= start)
            self._run = _Run(self._content(at), at, hasher)
            while self._run.at < start and self._hashed(self._run, start):
                continue
        return self._run

    def _hashed(self, run: _Run, end: int) -> bytes:
        """Return the next piece before a position (rule 1); nothing at the end of the source."""
        try:
            piece = run.next()
        except BaseException:
            self.close()  # a source that failed is begun anew
            raise
        piece, run.rest = piece[: end - run.at], piece[end - run.at :]
        run.hasher.update(piece)
        run.at += len(piece)
        if run.at >= self._marks[-1][0] + MARK_EVERY:
            self._marks.append((run.at, run.hasher.copy()))
        return piece

    def _ended(self, run: _Run) -> None:
        """Check that this was the blob, and all there is (rule 2)."""
        found = run.at + len(run.next())
        actual = f"{run.hasher.name}:{run.hasher.hexdigest()}"
        self.close()
        if found != self.size or actual != self.digest:
            read = f"more than {self.size} bytes" if found > self.size else f"{found} bytes, {actual}"
            raise DigestMismatchError(
                "what is being sent is not what its manifest says",
                why=(
                    *([f"read from: {self._where}"] if self._where else []),
                    f"wanted: {self.digest}, {self.size} bytes",
                    f"read: {read}",
                ),
                advice=Advice("look-at-source"),
                expected=self.digest,
                actual=actual,
            )


@dataclass(frozen=True)
class BlobPart:
    """A part of a blob, as a `Stream`."""

    reader: HashingReader
    start: int
    end: int

    def __len__(self) -> int:
        """Return the bytes of it."""
        return self.end - self.start

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""
        return self.reader.pieces(self.start, self.end)


class _LostPlaceError(Exception):
    """The registry does not know where the upload was."""


@dataclass
class RegistryQuirks:
    """What uploads found out about a registry, for the next ones (rule 7)."""

    whole: bool = False


@dataclass
class BlobUpload:
    """One upload of a reader's blob; `done` tells whether the registry has it."""

    registry: RegistryClient
    path: str
    reader: HashingReader
    done: Callable[[], bool]
    quirks: RegistryQuirks
    confirmed: int = 0
    _place: str | None = None
    _chunk: int = 0
    _first_losses: int = 0
    _corrected: int = 0
    _unsure: bool = False

    def attempt(self) -> None:
        """Send what is missing; after a loss the registry is asked first (rule 4)."""
        try:
            self._attempt()
        except _LostPlaceError as error:
            self._place, self.confirmed = None, 0
            raise ServerError(
                f"{self.registry.host} broke off an upload", why=str(error), host=self.registry.host
            ) from None
        except NetworkError:
            self._unsure = True
            raise

    def _attempt(self) -> None:
        reader = self.reader
        if self._unsure:
            if self.done():
                return
            if self._place is not None:
                self._look()
        if self._place is None:
            self._begin()
        self._unsure = False
        if reader.size <= SMALL:
            self._finish(b"".join(reader.part(0)))
            return
        if self.confirmed == reader.size:
            reader.check()
        while self.confirmed < reader.size:
            self._patch()
        self._finish(b"")

    def _begin(self) -> None:
        answer = self.registry.ask(self.path, Request("POST", "blobs/uploads/", body=b""), writing(self.path))
        self._accepted(answer, HTTPStatus.ACCEPTED)
        self._place, self.confirmed = self.registry.onward(answer), 0
        least = answer.headers.get("oci-chunk-min-length", "").strip()
        self._chunk = max(CHUNK, int(least) if _LENGTH.fullmatch(least) else 0)

    @property
    def _in_chunks(self) -> bool:
        tried = self._first_losses >= _FIRST_LOSSES
        return self.reader.size > self._chunk and not tried and not self.quirks.whole

    def _patch(self) -> None:
        """Send the next chunk, or all that is left (rules 5 and 6)."""
        start, chunked = self.confirmed, self._in_chunks
        part = self.reader.part(start, start + self._chunk if chunked else None)
        place = {"Content-Range": f"{start}-{part.end - 1}"} if start or chunked else {}
        try:
            answer = self._sent(
                Request("PATCH", self._place or "", {**_OCTETS, **place}, part), len(part) / SLOWEST + 1
            )
        except NetworkError:
            self._first_losses += chunked and not start
            raise
        if answer.is_success:
            self._place, self.confirmed = self.registry.onward(answer), part.end
        elif not chunked:
            self._accepted(answer, HTTPStatus.ACCEPTED)
        elif not self._goes_on(start):
            self._wants_it_whole(answer)

    def _goes_on(self, start: int) -> bool:
        """Tell whether a chunk was refused because the registry is elsewhere, each time further on."""
        if not (start and self._look()) or self.confirmed == start or self.confirmed <= self._corrected:
            return False
        self._corrected = self.confirmed
        return True

    def _wants_it_whole(self, answer: Response) -> None:
        """Begin anew without chunks (rule 7)."""
        self.quirks.whole = True
        _LOG.debug("%s takes no chunks: it answered %d", self.registry.host, answer.status)
        raise _LostPlaceError(f"it answered {answer.status} to a chunk")

    def _finish(self, body: bytes) -> None:
        digest, place, host = self.reader.digest, self._place or "", self.registry.host
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        chunked = self._in_chunks
        answer = self._sent(Request("PUT", url, _OCTETS, body), self.reader.size / COMMIT)
        if chunked and not answer.is_success:
            self._wants_it_whole(answer)
        if not answer.is_success and not digest.startswith("sha256:"):
            raise ServerError(
                f"{host} does not take a blob whose digest is not SHA-256",
                why=(f"{digest}: it answered {answer.status}", "most registries know SHA-256 alone"),
                advice=Advice("make-anew-with-sha256"),
                host=host,
                status=answer.status,
            )
        said = {problem.code for problem in failures.problems(answer)}
        if answer.status == HTTPStatus.BAD_REQUEST and "DIGEST_INVALID" in said:
            raise DigestMismatchError(
                f"{host} received something else than was sent",
                why=f"sent: {digest}, {self.reader.size} bytes",
                advice=Advice("send-again"),
                host=host,
                expected=digest,
            )
        self._accepted(answer, HTTPStatus.CREATED)
        self.registry.check_taken(answer, digest)

    def _look(self) -> bool:
        """Find out how much of the upload the registry has; tell whether it said so (rule 4)."""
        try:
            answer = self._sent(Request("GET", self._place or ""))
        except _LostPlaceError:
            self._place, self.confirmed = None, 0
            return False
        self._accepted(answer, HTTPStatus.NO_CONTENT)
        self._place = self.registry.onward(answer)
        match = _RANGE.fullmatch(answer.headers.get("range", "").strip())
        last = int(match[1]) if match else 0
        self.confirmed = last + 1
        # "0-0" is what they say of one byte, and of nothing.
        if not 0 < last < self.reader.size:
            self._place, self.confirmed = None, 0
        _LOG.debug("an upload of %s goes on at byte %d", self.reader.digest, self.confirmed)
        return self._place is not None

    def _sent(self, request: Request, allowance: float = 0.0) -> Response:
        policy = RequestPolicy(allowance=allowance)
        try:
            return self.registry.exchange.send(request, writing(self.path), policy)
        except NotFoundError as error:
            raise _LostPlaceError(" ".join(error.why) or "it does not know it any more") from error

    def _accepted(self, answer: Response, wanted: HTTPStatus) -> None:
        if answer.status == wanted:
            return
        if answer.status in _LOST_PLACE and self._place is not None:
            said = " ".join(map(str, failures.problems(answer)[:1]))
            raise _LostPlaceError(f"it answered {answer.status} {said}".strip())
        raise failures.of_status(self.registry.host, f"the uploads of {self.path}", answer)
