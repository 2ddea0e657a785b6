"""The verification service of this machine: asked over its unix socket, and its answers checked.

What it is: where the service is, whether to believe it, and one request. What it is not: verification, the
form of answers (`serviceverdicts`), or what to do without a service (`cli.verify`). It imports nothing that
verifies: it is there to be quick, and `http.client` alone would load TLS.

Rules:

1. `NOTARYPY_SERVICE` is `unix:` and an absolute path, and what is there is a socket, if anything is. All else
   is a configuration error.
2. Before anything is sent it is settled who listens. The way there, as it is written and through every link,
   is the same before and after the connection; nobody could have changed a name on it but root, the user and
   one account more, and it is one of these that listens. Root's and the user's own services are no exception:
   by a name that a stranger gives one reaches another of theirs. No account at all is the number that a user
   namespace shows for all that it leaves out. Nobody else is believed, and none is asked in his place.
3. Where nobody listens, or hangs up before a word or is silent until the time is over, or says by status 503
   that he cannot now, there is no service: ServiceMissingError. Whatever else comes is an answer.
4. Images of which the service does not know in time are asked about again, as long as there is time.
5. An answer is the last word. So one that is not exactly what was asked for is an error, that of another
   status or cut short too: never read with goodwill, and never replaced by another verification.
6. Nothing is taken beyond the limits.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import system
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
    import socket
    from collections.abc import Mapping, Sequence

    from notarypy.remote.serviceverdicts import AskedImage

VARIABLE = "NOTARYPY_SERVICE"
_SCHEME = "unix:"
_PIECE = 64 << 10
_PAUSE_SECONDS = 0.5
_OK, _REFUSED, _BUSY = 200, 400, 503
_PATH_BYTES = 107
# Why another status comes, as far as it is known.
_WHY = {
    "403": "it demands a client certificate, which nobody can show at a socket",
    "404": "it is no verification service, or one that was started for admission alone",
    "500": "it failed; its log says where",
}
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"content-length:[ \t]*([0-9]{1,12})[ \t]*", re.IGNORECASE)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_STEPS = 200
_ALL_ACCOUNTS, _NOBODY = 2**32 - 1, 65534
_LOG = logging.getLogger(__name__)
# The folder in which a name stands, what is known of it, and of what has the name.
_Step = tuple[Path, os.stat_result, os.stat_result]


class ServiceMissingError(UnreachableError):
    """No service answers there (rule 3): whoever may do so verifies without one."""


def socket_path(environ: Mapping[str, str]) -> str:
    """Return where the service listens, nothing if no variable says so (rule 1)."""
    value = environ.get(VARIABLE, "")
    path = value.removeprefix(_SCHEME)
    if value and (path == value or not Path(path).is_absolute() or "\0" in path):
        raise _no_socket("it is not unix: and the whole path of a socket")
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise _no_socket(f"the path of a socket has at most {_PATH_BYTES} bytes")
    return path


def _no_socket(why: str) -> ConfigurationError:
    message, advice = f"{VARIABLE} names no service", Advice("write-service", variable=VARIABLE)
    return ConfigurationError(message, why=why, advice=advice, variable=VARIABLE)


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


def check(path: str, seconds: float, limits: Limits = DEFAULT) -> None:
    """Raise what `ask` would, as far as can be known without asking about an image."""
    head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: notarypy\r\n\r\n"
    answer = _answered(path, head.encode(), time.monotonic() + seconds, limits)
    _taken_apart(path, "GET /healthz", answer, limits)


def _exchanged(path: str, request: bytes, deadline: float, limits: Limits) -> bytes:
    """Send a request about images, and return the body of the answer."""
    head = (
        "POST /verify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: notarypy\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n"
    )
    answer = _answered(path, head.encode() + request, deadline, limits)
    return _taken_apart(path, "POST /verify", answer, limits)


def _answered(path: str, request: bytes, deadline: float, limits: Limits) -> bytearray:
    try:
        with system.unix_socket() as sock:
            sock.settimeout(_left(deadline))
            before = _way(path)
            if not stat.S_ISSOCK(before[-1][-1].st_mode if before else 0):
                raise _no_socket(f"{path} is no socket")
            sock.connect(path)
            _require_trusted(sock, path, before)
            refused = _sent(sock, request)
            answer = _received(sock, path, deadline, limits)
    except OSError as error:
        raise _missing(path, error.strerror or str(error)) from None
    if not answer:
        raise _missing(path, refused or "it hangs up without an answer")
    return answer


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


def _taken_apart(path: str, asked: str, answer: bytearray, limits: Limits) -> bytes:
    """Return the body of a whole answer (rule 3)."""
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if not end or status is None or len(head) > limits.header_bytes:
        raise _nonsense(path, "it does not answer as HTTP does")
    _LOG.info("%s at %s: %s", asked, path, said := status[1].decode())
    lengths = [found[1] for line in lines if (found := _LENGTH.fullmatch(line))]
    if int(said) == _BUSY:
        raise _missing(
            path, f"it answers with status {said}: it is busy, or about to end", Advice("ask-again")
        )
    if int(said) not in {_OK, _REFUSED}:
        raise _nonsense(path, f"its status is {said}", *filter(None, [_WHY.get(said)]))
    if len(lengths) != 1 or len(body) != int(lengths[0]):
        raise _nonsense(path, "its length is not what its head says")
    return body


def _way(path: str) -> list[_Step]:
    """Return the names on the way to a socket, links among them, each in its folder: as the kernel goes."""
    top = (Path("/"), Path("/").lstat())
    trail, steps, names = [top], list[_Step](), path.split("/")[::-1]
    while names:
        folder, state = trail[-1]
        if (name := names.pop()) == "..":
            trail = trail[:-1] or [top]
        elif name not in {"", "."}:
            here = folder / name
            found = here.lstat()
            steps.append((folder, state, found))
            if not stat.S_ISLNK(found.st_mode):
                trail.append((here, found))
                continue
            if len(steps) > _MOST_STEPS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.fspath(here.readlink())
            trail = [top] if target.startswith("/") else trail
            names += target.split("/")[::-1]
    return steps


def _require_trusted(sock: socket.socket, path: str, before: list[_Step]) -> None:
    """Raise StorageError unless the one who listens is to be believed (rule 2)."""
    listener, way = system.listening_user(sock), _way(path)
    same = [_identity(step[-1]) for step in way] == [_identity(step[-1]) for step in before]
    if not same or _identity(Path(path).stat()) != _identity(way[-1][-1]):
        why = "the way there is not what it was before the connection"
    elif not (why := doubt(way, listener)):
        return
    raise StorageError(
        f"{_name(path)} is not to be believed",
        why=(f"user {'?' if listener is None else listener} listens there", why),
        advice=Advice("move-service-socket"),
        socket=path,
        owner=listener,
    )


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_uid, found.st_mode


def doubt(way: list[_Step], listener: int | None) -> str:
    """Return why one who listens is not to be believed, nothing if he is (rule 2)."""
    several = _several()
    own = {0, system.user()} - several
    for folder, state, found in way:
        # In a folder as /tmp a name is its owner's, unless anybody can have mounted it there, or linked it.
        kept = state.st_mode & stat.S_ISVTX and found.st_uid in own
        made = found.st_dev == state.st_dev if stat.S_ISDIR(found.st_mode) else found.st_nlink == 1
        if state.st_mode & _OTHERS_WRITE and not (kept and made):
            return f"others can write to {folder}, and could have put there what is on the way"
    accounts = {way[0][1].st_uid, *(found.st_uid for _, _, found in way)}
    others = sorted((accounts if listener is None else {*accounts, listener}) - own)
    if several & set(others):
        return f"user {min(several)} stands for all accounts that this user namespace does not know"
    if len(others) > (listener is not None):
        return f"the way there is in the hands of others: user {', '.join(map(str, others))}"
    return ""


def _several() -> set[int]:
    """Return the user id that stands for several accounts, if one does: where a namespace leaves some out."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
        if sum(int(line.split()[2]) for line in lines) >= _ALL_ACCOUNTS:
            return set()
        return {int(Path("/proc/sys/kernel/overflowuid").read_text())}
    except OSError:
        return {_NOBODY}


def _name(path: str) -> str:
    return f"the verification service at {path}"


def _missing(path: str, why: str, advice: Advice | None = None) -> ServiceMissingError:
    message, advice = f"{_name(path)} does not answer", advice or Advice("start-service", variable=VARIABLE)
    return ServiceMissingError(message, why=why, advice=advice, reason="service", socket=path)


def _nonsense(path: str, *why: str) -> ServerError:
    advice = Advice("same-release")
    return ServerError(f"{_name(path)} sent no answer that counts", why=why, advice=advice, socket=path)
