"""One upload of a blob to a registry, until the registry took it, through lost connections.

What it is: the state of one upload. What it is not: patience (`blobs`), which tries again.

Rules:

1. What was hashed is what is sent (`reading`). The upload is finished only after all of it was right: until
   then the registry has no blob.
2. After a loss the registry is asked how much it has, and gets the rest. Where it does not say, the upload
   begins anew.
3. A small blob is sent in the request that finishes it, one of moderate size in one request before that: this
   is what all registries take.
4. A large blob goes in chunks, none smaller than the registry asks for. What it says of a chunk that it took
   is not believed: some repeat what they said of an earlier one. What it says when asked is.
5. A registry that refuses chunks, or cannot put them together, gets the blob in one request, and so do the
   next ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, DigestMismatchError, NetworkError, NotFoundError, ServerError
from notarypy.remote.http import failures
from notarypy.remote.registry.registry import Registry, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.remote.http.transport import Response
    from notarypy.remote.registry.hashing import Reading

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


class _LostPlaceError(Exception):
    """The registry does not know where the upload was."""


@dataclass
class Manners:
    """What uploads found out about a registry, for the next ones (rule 5)."""

    whole: bool = False


class Upload:
    """One upload.

    Args:
        registry: Where it goes.
        path: The repository.
        reading: The blob.
        done: Tells whether the registry has the blob.
        manners: How the registry wants it.
    """

    def __init__(
        self, registry: Registry, path: str, reading: Reading, done: Callable[[], bool], manners: Manners
    ) -> None:
        self._registry, self._path, self._reading, self._done = registry, path, reading, done
        self._manners = manners
        self._place: str | None = None
        self._chunk = CHUNK
        self._first_losses = 0
        self._corrected = 0
        self._unsure = False
        self.confirmed = 0

    def attempt(self) -> None:
        """Send what is missing; after a loss the registry is asked first (rule 2)."""
        try:
            self._attempt()
        except _LostPlaceError as error:
            self._place, self.confirmed = None, 0
            raise ServerError(
                f"{self._registry.host} broke off an upload", why=str(error), host=self._registry.host
            ) from None
        except NetworkError:
            self._unsure = True
            raise

    def _attempt(self) -> None:
        reading = self._reading
        if self._unsure and self._done():
            return
        if self._unsure and self._place is not None:
            self._look()
        if self._place is None:
            self._begin()
        self._unsure = False
        if reading.size <= SMALL:
            self._finish(reading.whole())
            return
        if self.confirmed == reading.size:
            reading.check()
        while self.confirmed < reading.size:
            self._patch()
        self._finish(b"")

    @property
    def _in_chunks(self) -> bool:
        tried = self._first_losses >= _FIRST_LOSSES
        return self._reading.size > self._chunk and not tried and not self._manners.whole

    def _begin(self) -> None:
        answer = self._sent("POST", None, b"")
        self._place, self.confirmed = self._onward(answer, HTTPStatus.ACCEPTED), 0
        least = answer.headers.get("oci-chunk-min-length", "").strip()
        self._chunk = max(CHUNK, int(least) if _LENGTH.fullmatch(least) else 0)

    def _patch(self) -> None:
        """Send the next chunk, or all that is left (rules 3 and 4)."""
        start, chunked = self.confirmed, self._in_chunks
        part = self._reading.part(start, start + self._chunk if chunked else None)
        headers = dict(_OCTETS)
        if start or chunked:
            headers["Content-Range"] = f"{part.start}-{part.end - 1}"
        try:
            answer = self._sent("PATCH", self._place, part, headers, part.size / SLOWEST + 1)
        except NetworkError:
            self._first_losses += chunked and not start
            raise
        if answer.is_success:
            self._place, self.confirmed = self._registry.onward(answer), part.end
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
        """Begin anew without chunks (rule 5)."""
        self._manners.whole = True
        raise _LostPlaceError(f"it answered {answer.status} to a chunk")

    def _finish(self, body: bytes) -> None:
        digest, place = self._reading.digest, self._place or ""
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        chunked = self._in_chunks
        answer = self._sent("PUT", url, body, _OCTETS, self._reading.size / COMMIT)
        if chunked and not answer.is_success:
            self._wants_it_whole(answer)
        if not answer.is_success and not digest.startswith("sha256:"):
            raise self._unknown_algorithm(answer)
        if answer.status == HTTPStatus.BAD_REQUEST and _says_digest(answer):
            raise DigestMismatchError(
                f"{self._registry.host} received something else than was sent",
                why=f"sent: {digest}, {self._reading.size} bytes",
                advice=Advice("send-again"),
                host=self._registry.host,
                expected=digest,
            )
        self._accepted(answer, HTTPStatus.CREATED)
        self._registry.check_taken(answer, digest)

    def _unknown_algorithm(self, answer: Response) -> ServerError:
        digest, host = self._reading.digest, self._registry.host
        return ServerError(
            f"{host} does not take a blob whose digest is not SHA-256",
            why=(f"{digest}: it answered {answer.status}", "most registries know SHA-256 alone"),
            advice=Advice("make-anew-with-sha256"),
            host=host,
            status=answer.status,
        )

    def _look(self) -> bool:
        """Find out how much of the upload the registry has; tell whether it said so (rule 2)."""
        try:
            answer = self._sent("GET", self._place, None)
        except _LostPlaceError:
            self._place, self.confirmed = None, 0
            return False
        self._place = self._onward(answer, HTTPStatus.NO_CONTENT)
        match = _RANGE.fullmatch(answer.headers.get("range", "").strip())
        last = int(match[1]) if match else 0
        self.confirmed = last + 1
        # "0-0" is what they say of one byte, and of nothing.
        if not 0 < last < self._reading.size:
            self._place, self.confirmed = None, 0
        return self._place is not None

    def _sent(
        self,
        method: str,
        url: str | None,
        body: Any,  # noqa: ANN401 - of `request`
        headers: Mapping[str, str] | None = None,
        allowance: float = 0.0,
    ) -> Response:
        scope = writing(self._path)
        if url is None:
            return self._registry.ask(method, self._path, "blobs/uploads/", scope=scope, body=body)
        try:
            return self._registry.exchange.request(
                method, url, scope=scope, headers=headers, body=body, allowance=allowance
            )
        except NotFoundError as error:
            raise _LostPlaceError(" ".join(error.why) or "it does not know it any more") from error

    def _onward(self, answer: Response, wanted: HTTPStatus) -> str:
        self._accepted(answer, wanted)
        return self._registry.onward(answer)

    def _accepted(self, answer: Response, wanted: HTTPStatus) -> None:
        if answer.status == wanted:
            return
        if answer.status in _LOST_PLACE and self._place is not None:
            said = " ".join(map(str, failures.problems(answer)[:1]))
            raise _LostPlaceError(f"it answered {answer.status} {said}".strip())
        raise failures.of_status(self._registry.host, f"the uploads of {self._path}", answer)


def _says_digest(answer: Response) -> bool:
    return any(problem.code == "DIGEST_INVALID" for problem in failures.problems(answer))
