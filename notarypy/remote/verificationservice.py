"""The verification service of this machine: asked over its unix socket, and its answers checked.

What it is: where the service is, whether to believe it, and one request. What it is not: verification, the
form of answers (`serviceverdicts`), or what to do without a service (`cli.verify`). It imports nothing that
verifies: it is there to be quick, and `http.client` alone would load TLS.

Rules:

1. `NOTARYPY_SERVICE` is `unix:` and an absolute path. Anything else is a configuration error.
2. Before anything is sent it is settled who listens: root, the user himself, or whoever alone, but for these,
   could have put the socket there. Nobody else is believed, and none is asked in his place.
3. A service from which no whole answer comes, in time, and one that says it is busy or is something else, is
   none: ServiceMissingError. Status 200 and 400 are answers.
4. Images of which the service does not know in time are asked about again, as long as there is time.
5. An answer is the last word. So one that is not exactly what was asked for is an error: never read with
   goodwill, and never replaced by another verification.
6. Nothing is taken beyond the limits.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import (
    Advice,
    ConfigurationError,
    ResponseLimitError,
    ServerError,
    StorageError,
    UnreachableError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote import serviceverdicts
from notarypy.remote.serviceverdicts import ServiceVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.remote.serviceverdicts import AskedImage

VARIABLE = "NOTARYPY_SERVICE"
_SCHEME = "unix:"
_PIECE = 64 << 10
_PAUSE_SECONDS = 0.5
_OK, _REFUSED = 200, 400
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"content-length:[ \t]*([0-9]{1,12})[ \t]*", re.IGNORECASE)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CREDENTIALS = struct.Struct("3i")
_LOG = logging.getLogger(__name__)


class ServiceMissingError(UnreachableError):
    """No service answers there (rule 3): whoever may do so verifies without one."""


def socket_path(environ: Mapping[str, str]) -> str:
    """Return where the service listens, nothing if no variable says so (rule 1)."""
    value = environ.get(VARIABLE, "")
    path = value.removeprefix(_SCHEME)
    if value and (path == value or not Path(path).is_absolute() or "\0" in path):
        raise ConfigurationError(
            f"{VARIABLE} names no service",
            why="it is a unix socket by its whole path, as in unix:/run/notarypy/notarypy.sock",
            advice=Advice("set-or-unset", variable=VARIABLE),
            variable=VARIABLE,
        )
    return path


def ask(
    path: str,
    images: Sequence[AskedImage],
    required: Mapping[str, object],
    seconds: float,
    limits: Limits = DEFAULT,
) -> list[ServiceVerdict]:
    """Return what the service says of images within so many seconds, in their order (rule 4).

    `required` are the other members of a request.

    Raises:
        ServiceMissingError: There is none, as far as can be told (rule 3).
        StorageError: The socket may be anybody's (rule 2).
        ServiceVerdictError: The service refuses the whole request.
        ServerError, ResponseLimitError: What came is no answer (rules 5 and 6).
    """
    deadline, found = time.monotonic() + seconds, dict[int, ServiceVerdict]()
    left = list(range(len(images)))
    while left:
        some = [images[number] for number in left]
        request = json.dumps({"images": [each.text for each in some], **required}).encode()
        try:
            body = _exchanged(path, request, deadline, limits)
        except ServiceMissingError:
            if found:  # it has been there: what it did not know in time stays unknown
                break
            raise
        try:
            verdicts = serviceverdicts.read(body, some, verified=bool(required.keys() - {"registry"}))
        except ValueError as error:
            raise _nonsense(path, str(error)) from None
        found.update(zip(left, verdicts, strict=True))
        if left := [number for number in left if found[number].undecided]:
            time.sleep(min(_PAUSE_SECONDS, max(0.0, deadline - time.monotonic())))
    return [found[number] for number in range(len(images))]


def _exchanged(path: str, request: bytes, deadline: float, limits: Limits) -> bytes:
    """Send a request, and return the body of the answer."""
    head = (
        "POST /verify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: notarypy\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n"
    )
    if not hasattr(socket, "AF_UNIX"):
        raise _missing(path, "this system has no unix sockets")
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_left(deadline))
            sock.connect(path)
            _require_trusted(sock, path)
            refused = _sent(sock, head.encode() + request)
            answer = _received(sock, path, deadline, limits)
    except OSError as error:
        raise _missing(path, error.strerror or str(error)) from None
    if not answer and refused:
        raise _missing(path, refused)
    return _taken_apart(path, answer, limits)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left


def _sent(sock: socket.socket, data: bytes) -> str:
    """Send all of it, and return why not: an answer may have come before the end."""
    try:
        sock.sendall(data)
    except TimeoutError:
        raise
    except OSError as error:
        return str(error.strerror)
    return ""


def _received(sock: socket.socket, path: str, deadline: float, limits: Limits) -> bytearray:
    """Return all that comes, as far as it is within the limits (rule 6)."""
    most, found = limits.header_bytes + limits.service_answer_bytes, bytearray()
    while True:
        sock.settimeout(_left(deadline))
        try:
            piece = sock.recv(_PIECE)
        except ConnectionResetError:
            if not found:
                raise
            return found
        if not piece:
            return found
        found += piece
        if len(found) > most:
            raise ResponseLimitError(f"{_name(path)} sent more than the limit", limit=most, socket=path)


def _taken_apart(path: str, answer: bytearray, limits: Limits) -> bytes:
    """Return the body of a whole answer (rule 3)."""
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if not end or status is None or len(head) > limits.header_bytes:
        raise _missing(path, "it does not answer as HTTP does")
    _LOG.info("POST /verify at %s: %s", path, status[1].decode())
    code, lengths = int(status[1]), [found[1] for line in lines if (found := _LENGTH.fullmatch(line))]
    if code not in {_OK, _REFUSED}:
        raise _missing(path, f"it answers with status {code}")
    if len(lengths) != 1 or len(body) > int(lengths[0]):
        raise _nonsense(path, "its length is not what its head says")
    if len(body) < int(lengths[0]):
        raise _missing(path, "the connection was lost before the answer was complete")
    return body


def _listener(sock: socket.socket, path: str) -> int:
    """Return as which user the process runs that listens; elsewhere than on Linux whose the socket is."""
    if not hasattr(socket, "SO_PEERCRED"):
        return Path(path).stat().st_uid
    known = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    owner: int = _CREDENTIALS.unpack(known)[1]
    return owner


def _require_trusted(sock: socket.socket, path: str) -> None:
    """Raise StorageError unless the one who listens is to be believed (rule 2)."""
    user, owner = os.getuid(), _listener(sock, path)
    if owner in {0, user} or _only_theirs(path, {0, user, owner}):
        return
    raise StorageError(
        f"{_name(path)} is not to be believed",
        why=f"user {owner} listens there, and it is in a folder to which others can write",
        advice=Advice("move-service-socket"),
        socket=path,
        owner=owner,
    )


def _only_theirs(path: str, users: set[int]) -> bool:
    """Tell whether nobody else could have put a socket there: others can write to no folder above it."""
    try:
        found = [folder.stat() for folder in Path(path).resolve().parents]
    except OSError:
        return False
    return all(each.st_uid in users and not each.st_mode & _OTHERS_WRITE for each in found)


def _name(path: str) -> str:
    return f"the verification service at {path}"


def _missing(path: str, why: str) -> ServiceMissingError:
    message, advice = f"{_name(path)} does not answer", Advice("start-service", variable=VARIABLE)
    return ServiceMissingError(message, why=why, advice=advice, reason="service", socket=path)


def _nonsense(path: str, why: str) -> ServerError:
    advice = Advice("same-release")
    return ServerError(f"{_name(path)} sent no answer that counts", why=why, advice=advice, socket=path)
