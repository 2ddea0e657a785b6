"""One upload of a blob to a registry: sent until the registry took it.

What it is: the state of one upload through lost connections. What it is not: reading the blob
(`blobreader`), or patience (`blobs`), which tries again.

Rules:

1. After a loss the registry is asked how much it has, and gets the rest. Where it does not say, the upload
   begins anew.
2. A small blob is sent in the request that finishes it, one of moderate size in one request before that. A
   registry that refuses the latter (no PATCH, or none without a range), or says 404 to the first PATCH of an
   upload, gets every blob in the request that finishes it, which is what containerd and oras send.
3. A large blob goes in chunks, none smaller than the registry asks for. What it says of a chunk that it took
   is not believed: some repeat what they said of an earlier one. What it says when asked is.
4. A registry that refuses chunks, or cannot put them together, gets the blob in one request, and so do the
   next ones.
5. Any 2xx is a success: Pulp answers 204, others 200 or 202, where 201 is usual. What it is worth is found
   out by asking for the blob.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    AuthenticationError,
    DigestMismatchError,
    NetworkError,
    NotFoundError,
    ServerError,
)
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import RequestPolicy
from notarypy.remote.registry.registry import RegistryClient, RegistryQuirks, writing
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.remote.registry.blobreader import BlobPart, HashingReader

SLOWEST = 16 * 1024
"""Bytes per second: what is slower than this on the whole is given up."""
COMMIT = 4 * 1024 * 1024
"""Bytes per second that a registry puts away, in silence, when an upload is finished."""
SMALL = 1024 * 1024
CHUNK = 16 * 1024 * 1024
_OCTETS = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FIRST_LOSSES = 2  # some break the connection in place of refusing a chunk
# What a registry says that does not know an upload, or not this place in it.
_LOST_PLACE = frozenset({400, 404, 409, 416})
# What one says that wants no PATCH; a firewall in front of it says 403, and a framework 501.
_NO_PATCH = frozenset({400, 403, 405, 411, 415, 416, 501})
_LOG = logging.getLogger(__name__)


class _LostPlaceError(Exception):
    """The registry does not know where the upload was."""


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
        """Send what is missing; after a loss the registry is asked first (rule 1)."""
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
            if self.quirks.without_patch:
                self._place, self.confirmed = None, 0
            elif self._place is not None:
                self._look()
        if self._place is None:
            self._begin()
        self._unsure = False
        if reader.size <= SMALL or (self.quirks.without_patch and not self.confirmed):
            self._finish(b"".join(reader.part(0)) if reader.size <= SMALL else reader.part(0))
            return
        if self.confirmed == reader.size:
            reader.check()
        while self.confirmed < reader.size:
            self._patch()
        self._finish(b"")

    def _begin(self) -> None:
        answer = self.registry.change(self.path, Request("POST", "blobs/uploads/", body=b""))
        self._accepted(answer)
        self._place, self.confirmed = self.registry.onward(answer, self.path), 0
        least = answer.headers.get("oci-chunk-min-length", "").strip()
        self._chunk = max(CHUNK, int(least) if _LENGTH.fullmatch(least) else 0)

    @property
    def _in_chunks(self) -> bool:
        tried = self._first_losses >= _FIRST_LOSSES
        return self.reader.size > self._chunk and not tried and not self.quirks.whole

    def _patch(self) -> None:
        """Send the next chunk, or all that is left (rules 2 and 3)."""
        start, chunked = self.confirmed, self._in_chunks
        part = self.reader.part(start, start + self._chunk if chunked else None)
        place = {"Content-Range": f"{start}-{part.end - 1}"} if start or chunked else {}
        try:
            answer = self._sent(
                Request("PATCH", self._place or "", {**_OCTETS, **place}, part), len(part) / SLOWEST + 1
            )
        except _LostPlaceError:
            if not start and not self.quirks.without_patch:
                self._wants_no_patch(HTTPStatus.NOT_FOUND.value)
            raise
        except (NetworkError, AuthenticationError) as error:
            if not start and error.facts.get("status") in _NO_PATCH:
                self._wants_no_patch(error.facts["status"])
            self._first_losses += chunked and not start
            raise
        if answer.is_success:
            self._place = self.registry.onward(answer, self.path, self._place or "")
            self.confirmed = part.end
        elif chunked:
            if not self._goes_on(start):
                self._wants_it_whole(answer)
        elif not start and answer.status in _NO_PATCH:
            self._wants_no_patch(answer.status)
        else:
            self._accepted(answer)

    def _goes_on(self, start: int) -> bool:
        """Tell whether a chunk was refused because the registry is elsewhere, each time further on."""
        if not (start and self._look()) or self.confirmed == start or self.confirmed <= self._corrected:
            return False
        self._corrected = self.confirmed
        return True

    def _wants_it_whole(self, answer: Response) -> None:
        """Begin anew without chunks (rule 4)."""
        self.quirks.whole = True
        _LOG.debug("%s takes no chunks: it answered %d", self.registry.host, answer.status)
        raise _LostPlaceError(f"it answered {answer.status} to a chunk")

    def _wants_no_patch(self, status: object) -> None:
        """Begin anew, and send all of it in the request that finishes it (rule 2)."""
        self.quirks.without_patch = True
        _LOG.debug("%s takes no PATCH: it answered %s", self.registry.host, status)
        raise _LostPlaceError(f"it answered {status} to PATCH")

    def _finish(self, body: bytes | BlobPart) -> None:
        digest, place, host = self.reader.digest, self._place or "", self.registry.host
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        chunked = self._in_chunks and not body
        answer = self._sent(
            Request("PUT", url, _OCTETS, body), len(body) / SLOWEST + self.reader.size / COMMIT
        )
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
        self._accepted(answer)
        self.registry.check_taken(answer, digest)

    def _look(self) -> bool:
        """Find out how much of the upload the registry has; tell whether it said so (rule 1)."""
        try:
            answer = self._sent(Request("GET", self._place or ""))
        except _LostPlaceError:
            answer = Response(HTTPStatus.NOT_FOUND)
        if not answer.is_success:  # it may be one that does not say
            self._place, self.confirmed = None, 0
            return False
        self._place = self.registry.onward(answer, self.path, self._place or "")
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

    def _accepted(self, answer: Response) -> None:
        if answer.is_success:  # rule 5
            return
        if answer.status in _LOST_PLACE and self._place is not None:
            said = " ".join(map(str, failures.problems(answer)[:1]))
            raise _LostPlaceError(f"it answered {answer.status} {said}".strip())
        raise failures.of_status(self.registry.host, f"the uploads of {self.path}", answer)
