"""One upload of a blob to a registry, until the registry took it, through lost connections.

What it is: the state of one upload. What it is not: patience (`blobs`), which tries again.

Rules:

1. What was hashed is what is sent (`reading`). The upload is finished only after all of it was right: until
   then the registry has no blob.
2. After a loss the registry is asked how much it has, and gets the rest. Where it does not say, the upload
   begins anew.
3. A small blob is sent in the request that finishes it, any other in one request before that: this is what
   all registries take.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from notarypy.errors import DigestMismatchError, NetworkError, NotFoundError, ServerError
from notarypy.remote import failures
from notarypy.remote.registry import Registry, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.remote.reading import Reading
    from notarypy.remote.transport import Response

SLOWEST = 16 * 1024
"""Bytes per second: what is slower than this on the whole is given up."""
COMMIT = 4 * 1024 * 1024
"""Bytes per second that a registry puts away, in silence, when an upload is finished."""
SMALL = 1024 * 1024
_OCTETS = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
# What a registry says that does not know an upload, or not this place in it.
_LOST_PLACE = frozenset({400, 404, 409, 416})


class _LostPlaceError(Exception):
    """The registry does not know where the upload was."""


class Upload:
    """One upload.

    Args:
        registry: Where it goes.
        path: The repository.
        reading: The blob.
        done: Tells whether the registry has the blob.
    """

    def __init__(self, registry: Registry, path: str, reading: Reading, done: Callable[[], bool]) -> None:
        self._registry, self._path, self._reading, self._done = registry, path, reading, done
        self._place: str | None = None
        self._unsure = False
        self.confirmed = 0

    def attempt(self) -> None:
        """Send what is missing; after a loss the registry is asked first (rule 3)."""
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
            self._place, self.confirmed = self._onward(self._sent("POST", None, b""), HTTPStatus.ACCEPTED), 0
        self._unsure = False
        if reading.size <= SMALL:
            self._finish(reading.whole())
            return
        if self.confirmed < reading.size:
            self._patch()
        else:
            reading.check()
        self._finish(b"")

    def _patch(self) -> None:
        part = self._reading.since(self.confirmed)
        headers = dict(_OCTETS)
        if self.confirmed:
            headers["Content-Range"] = f"{self.confirmed}-{self._reading.size - 1}"
        answer = self._sent("PATCH", self._place, part, headers, part.size / SLOWEST + 1)
        self._place = self._onward(answer, HTTPStatus.ACCEPTED)
        self.confirmed = self._reading.size

    def _finish(self, body: bytes) -> None:
        digest, place = self._reading.digest, self._place or ""
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        answer = self._sent("PUT", url, body, _OCTETS, self._reading.size / COMMIT)
        if answer.status == HTTPStatus.BAD_REQUEST and _says_digest(answer):
            raise DigestMismatchError(
                f"{self._registry.host} received something else than was sent",
                why=f"sent: {digest}, {self._reading.size} bytes",
                fix="try again; if it stays so, something on the way changes what is sent",
                host=self._registry.host,
                expected=digest,
            )
        self._accepted(answer, HTTPStatus.CREATED)
        self._registry.check_taken(answer, digest)

    def _look(self) -> None:
        """Find out how much of the upload the registry has."""
        try:
            answer = self._sent("GET", self._place, None)
        except _LostPlaceError:
            self._place, self.confirmed = None, 0
            return
        self._place = self._onward(answer, HTTPStatus.NO_CONTENT)
        match = _RANGE.fullmatch(answer.headers.get("range", "").strip())
        last = int(match[1]) if match else 0
        self.confirmed = last + 1
        # "0-0" is what they say of one byte, and of nothing.
        if not 0 < last < self._reading.size:
            self._place, self.confirmed = None, 0

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
