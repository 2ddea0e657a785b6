"""Blobs of one repository of a registry: whether they are there, sending them, fetching them.

What it is: one blob at a time, of any size, in little memory. What it is not: images (`client.transfer`),
files, or threads; several threads may each move a blob.

Rules:

1. A blob that is there is not sent. What a HEAD cannot say, because it is refused, or says no length or
   another one, the beginning of a GET says. Where that has another size too, the blob is not there, and is
   sent: some answer everything with a page.
2. An upload (`uploads`) is done only when the registry says that it has the blob, by HEAD or by GET.
3. When a connection is lost, a download asks for what is missing, and an upload sends that.
4. Patience is for progress: after `TRIES` losses without any the error stands. A registry that asks to wait
   gets its time, up to `LONGEST_WAIT`.
5. A registry may send those who fetch a blob elsewhere (`urls`), and nobody else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Protocol

from notarypy.errors import (
    Advice,
    AuthenticationError,
    DigestMismatchError,
    NetworkError,
    NotFoundError,
    ResponseLimitError,
    ServerError,
)
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import RequestPolicy
from notarypy.remote.registry.blobreader import HashingReader, ReadFrom
from notarypy.remote.registry.registry import RegistryClient, writing
from notarypy.remote.registry.uploads import SLOWEST, BlobUpload
from notarypy.values import replace

TRIES = 5
LONGEST_WAIT = 60.0
# What a registry says that answers no HEAD, and storage behind one of a blob that it does not have.
_NO_HEAD = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_IMPLEMENTED})
_NO_SUCH_RANGE = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
_PROGRESS = 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,18}")
_LOG = logging.getLogger(__name__)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


class DownloadTarget(Protocol):
    """Where a download goes."""

    @property
    def position(self) -> int:
        """Bytes that are there already."""
        ...

    def restart(self) -> None:
        """Throw away what is there."""
        ...

    def write(self, data: bytes) -> object:
        """Take more."""
        ...


class Blobs:
    """The blobs of one repository; to `push` any, another right is asked for."""

    def __init__(self, registry: RegistryClient, path: str, *, push: bool = False) -> None:
        self._registry, self._path = registry, path
        self._scope = writing(path) if push else f"repository:{path}:pull"
        self._policy = RequestPolicy(redirects=registry.exchange.limits.redirects, allow_cross_origin=True)
        self._quirks = registry.quirks(path)

    def has(self, digest: str, size: int) -> bool:
        """Tell whether the blob is there (rule 1)."""
        try:
            answer = self._head(digest)
        except NotFoundError:
            return False
        except (AuthenticationError, ServerError) as error:
            if error.facts.get("status") not in _NO_HEAD:
                raise
            return self._serves(digest, size)
        stated = _length(answer.headers)
        if answer.status != HTTPStatus.OK or stated not in {None, size}:
            return self._serves(digest, size)
        return self._there(answer, digest)

    def _there(self, answer: Response, digest: str) -> bool:
        self._registry.check_taken(answer, digest)
        _LOG.debug("%s/%s has the blob %s", self._registry.host, self._path, digest)
        return True

    def _serves(self, digest: str, size: int) -> bool:
        """Tell what the beginning of a GET tells of a blob (rule 1)."""
        glance = _Glance()
        request = Request("GET", f"blobs/{digest}", {"Range": "bytes=0-0"}, sink=glance)
        try:
            answer = self._registry.ask(self._path, request, self._scope, self._policy)
        except _SeenError:
            answer = glance.seen
        except (NotFoundError, AuthenticationError):
            return False  # who may send it will
        if not answer.is_success and not (answer.status == _NO_SUCH_RANGE and size == 0):
            return False
        stated = _length_of_all(answer)
        if stated not in {None, size}:
            host = self._registry.host
            _LOG.debug("%s has %s bytes as %s, which has %d: it is not there", host, stated, digest, size)
            return False
        return self._there(answer, digest)

    def mount(self, digest: str, size: int, origin: str) -> bool:
        """Take the blob over from another repository of the registry, if that lets us."""
        scopes = (self._scope, f"repository:{origin}:pull")
        try:
            begin = Request("POST", f"blobs/uploads/?mount={digest}&from={origin}", body=b"")
            answer = self._registry.ask(self._path, begin, scopes)
        except (AuthenticationError, NotFoundError, ServerError):
            return False  # where mounting is not to be had, sending is
        if answer.status == HTTPStatus.CREATED:
            self._registry.check_taken(answer, digest)
            _LOG.debug("%s took the blob %s over from %s", self._registry.host, digest, origin)
            return self.has(digest, size)
        # An upload was begun instead: it is given up, and a registry that minds is no problem.
        with suppress(NetworkError, NotFoundError, AuthenticationError):
            place = self._registry.onward(answer, self._path)
            self._registry.exchange.send(Request("DELETE", place), self._scope)
        return False

    def upload(
        self,
        digest: str,
        size: int,
        content: ReadFrom,
        moved: Callable[[int], object],
        *,
        where: str = "",
        believe: bool = True,
    ) -> None:
        """Send a blob (rules 2 to 4).

        `moved` learns after each piece how far it is, and errors call the source `where`. To `believe` is to
        take the registry's word, after a loss, that it has the blob.

        Raises:
            DigestMismatchError: It is not what it was said to be, or the registry says so.
        """

        def done() -> bool:
            return believe and self.has(digest, size)

        with closing(HashingReader(digest, size, content, moved, where)) as reader:
            upload = BlobUpload(self._registry, self._path, reader, done, self._quirks)
            self._patiently(upload.attempt, lambda: upload.confirmed)
        for attempt in range(1, TRIES + 1):
            if self.has(digest, size) or self._serves(digest, size):
                return
            if attempt < TRIES:  # some take it before they have put it away
                self._registry.exchange.pause(attempt)
        raise self.lies(digest, size, "nothing of that size, after it took the upload")

    def download(self, digest: str, size: int, target: DownloadTarget) -> None:
        """Fetch a blob's bytes (rules 3 to 5); whoever gets them checks them, but for their number."""

        def attempt() -> None:
            if target.position < size or size == 0:
                self._fetch(digest, size, target)

        self._patiently(attempt, lambda: target.position)

    def _fetch(self, digest: str, size: int, target: DownloadTarget) -> None:
        start, sink = target.position, _DownloadSink(self, digest, size, target)
        headers = {"Range": f"bytes={start}-"} if start else {}
        policy = replace(self._policy, limit=size, attempts=1, allowance=size / SLOWEST + 1)
        try:
            request = Request("GET", f"blobs/{digest}", headers, sink=sink)
            answer = self._registry.ask(self._path, request, self._scope, policy)
        except ResponseLimitError:
            raise self.lies(digest, size, "more bytes") from None
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            target.restart()
            raise failures.lost(self._registry.host, ValueError("the rest of the blob cannot be had alone"))
        if not answer.is_success:
            raise failures.of_status(self._registry.host, f"blob {digest} of {self._path}", answer)
        if target.position != size:
            raise self.lies(digest, size, f"{target.position} bytes")

    def _head(self, digest: str) -> Response:
        """Ask for a blob; registries fail at one that somebody else is just finishing."""
        request = Request("HEAD", f"blobs/{digest}")
        for attempt in range(1, TRIES):
            try:
                return self._registry.ask(self._path, request, self._scope, self._policy)
            except ServerError as error:
                if error.facts.get("status") != HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
            self._registry.exchange.pause(attempt)
        return self._registry.ask(self._path, request, self._scope, self._policy)

    def _patiently(self, attempt: Callable[[], None], position: Callable[[], int]) -> None:
        """Try again while there is progress (rule 4)."""
        losses, reached = 0, position()
        while True:
            try:
                return attempt()
            except NetworkError as error:
                if position() >= reached + _PROGRESS:
                    losses, reached = 0, position()
                losses += 1
                asked = error.facts.get("retry_after")
                wait = float(asked) if isinstance(asked, int | float) else 0.0
                if losses >= TRIES or not _passing(error) or wait > LONGEST_WAIT:
                    raise
                _LOG.debug("a transfer goes on at byte %d, loss %d: %s", position(), losses, error.message)
                self._registry.exchange.pause(losses, wait)

    def lies(self, digest: str, size: int, found: str) -> DigestMismatchError:
        """Return the error for a registry that has something else under a digest."""
        host = self._registry.host
        return DigestMismatchError(
            f"{host} does not have the blob that it says it has",
            why=(f"wanted: {digest}, {size} bytes", f"it has: {found}"),
            advice=Advice("distrust-registry"),
            host=host,
            expected=digest,
        )


class _DownloadSink:
    """Takes the answer to a download, whole or the rest of it."""

    def __init__(self, blobs: Blobs, digest: str, size: int, target: DownloadTarget) -> None:
        self._blobs, self._digest, self._size, self._target = blobs, digest, size, target

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        at, stated = 0, _length(headers)
        if status == HTTPStatus.PARTIAL_CONTENT:
            match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
            at = int(match[1]) if match else -1
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or at not in (0, self._target.position):
            raise ServerError("a download was answered with something else", status=status)
        if stated is not None and at + stated != self._size:
            raise self._blobs.lies(self._digest, self._size, f"{at + stated} bytes")
        if at != self._target.position:
            self._target.restart()
        return self._take

    def _take(self, data: bytes) -> object:
        if self._target.position + len(data) > self._size:
            raise self._blobs.lies(self._digest, self._size, "more bytes")
        return self._target.write(data)


class _SeenError(Exception):
    """No more of an answer is needed."""


class _Glance:
    """Takes the head of an answer, and none of its body."""

    seen = Response(HTTPStatus.NOT_FOUND)

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
        self.seen = Response(status, headers)
        raise _SeenError


def _length_of_all(answer: Response) -> int | None:
    """Return the size of a blob by an answer that has all or a part of it."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        return _length(answer.headers)
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    return int(match[3]) if match and match[3] != "*" else None


def _length(headers: Mapping[str, str]) -> int | None:
    stated = headers.get("content-length", "")
    return int(stated) if _LENGTH.fullmatch(stated) else None


def _passing(error: NetworkError) -> bool:
    """Tell whether another attempt might help: for lost connections, and servers with a bad moment."""
    status = error.facts.get("status")
    return error.retryable and (
        not isinstance(status, int)
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    )
