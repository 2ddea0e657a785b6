"""The docker daemon of this machine, or podman in its place: does it have an image, and push it.

What it is: two requests over a unix socket. What it is not: a docker client; nothing is pulled, built or run.

Rules:

1. The daemon gets the login for the registry that it pushes to, and no other. No log and no error has it,
   even if the daemon repeats it.
2. What the daemon says it pushed is only where to look: whoever signs asks the registry for that digest.
3. A push has a deadline, and a silent daemon is given up.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
import re
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from notarypy.errors import (
    Advice,
    AuthenticationError,
    DeadlineError,
    ImageMissingError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    UnreachableError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.daemon import pushstream as progress
from notarypy.remote.http import sockets
from notarypy.remote.http.messages import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notarypy.images.reference import Reference
    from notarypy.remote.auth.credentials import Credential
    from notarypy.remote.daemon.address import DaemonAddress
    from notarypy.remote.daemon.pushstream import PushOutcome

PUSH_SECONDS = 4 * 3600.0
STALL_SECONDS = 600.0
_DENIED = re.compile(r"unauthorized|denied|authorization failed|no basic auth credentials", re.IGNORECASE)
_HUB_SERVER = "https://index.docker.io/v1/"
_LOG = logging.getLogger(__name__)


class _Connection(http.client.HTTPConnection):
    """A connection to a unix socket, under the deadline of `wire`."""

    response_class = sockets.LimitedResponse

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(min(sockets.remaining(), sockets.CONNECT_SECONDS))
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise sockets.NotConnectedError from error

    def send(self, data: Any) -> None:  # noqa: ANN401 - the base class takes more; only bytes come here
        """Send everything."""
        sockets.send(self.sock, data)


class Daemon:
    """The daemon behind a socket.

    Args:
        place: Where it listens.
        timeout: Seconds that a small request may take.
        user_agent: What to call ourselves.
    """

    def __init__(
        self, place: DaemonAddress, *, timeout: float, user_agent: str = "notarypy", limits: Limits = DEFAULT
    ) -> None:
        self._place, self._limits = place, limits
        self._timeout = timeout
        self._headers = {"User-Agent": user_agent, "Connection": "close"}

    def has(self, image: Reference) -> bool:
        """Tell whether the daemon has an image under this name.

        Raises:
            NetworkError: It cannot be asked.
        """
        name = f"{image.repository}:{image.tag or 'latest'}"
        with self._asked("GET", f"/images/{_path(name)}/json", {}, self._timeout) as answer:
            if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
                raise self._refused(answer, image, None)
            return answer.status == HTTPStatus.OK

    def push(self, image: Reference, credential: Credential | None = None) -> PushOutcome:
        """Push a tag to its registry, and return what the daemon says it pushed.

        Args:
            image: The tag; `latest` if it has none.
            credential: The login for that registry; None to go without.

        Raises:
            ImageMissingError: The daemon does not have it.
            AuthenticationError: The registry refused the daemon.
            NetworkError: It did not work, or the daemon did not say what it pushed.
        """
        if not self.has(image):
            raise _missing(image, self._place)
        tag = image.tag or "latest"
        target = f"/images/{_path(image.repository)}/push?tag={tag}"
        headers = {"X-Registry-Auth": _header(image.registry, credential)}
        with self._asked("POST", target, headers, PUSH_SECONDS, STALL_SECONDS) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise _missing(image, self._place)
            if answer.status != HTTPStatus.OK:
                raise self._refused(answer, image, credential)
            try:
                return progress.outcome(answer, tag, self._limits)
            except progress.PushError as error:
                raise _failed(image, _without(str(error), image, credential), credential) from None
            except progress.SilentError:
                raise self._silent(image, tag) from None

    @property
    def _name(self) -> str:
        return f"the daemon at {self._place.socket}"

    def _silent(self, image: Reference, tag: str) -> ServerError:
        return ServerError(
            f"{self._name} pushed {image.repository}:{tag}, and did not say what",
            why="at the end of a push one digest and size are expected",
            advice=Advice("push-yourself"),
            socket=self._place.socket,
        )

    @contextlib.contextmanager
    def _asked(
        self, method: str, target: str, headers: Mapping[str, str], seconds: float, stall: float | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, hand out the answer, and name what goes wrong meanwhile."""
        try:
            with (
                sockets.until(time.monotonic() + seconds, stall, self._limits.header_bytes),
                contextlib.closing(_Connection(self._place.socket)) as connection,
            ):
                connection.connect()
                connection.request(method, target, headers={**self._headers, **headers})
                answer = connection.getresponse()
                _LOG.debug("%s %s at %s: %d", method, target, self._place.socket, answer.status)
                yield answer
        except sockets.NotConnectedError as error:
            raise self._unreachable(error.__cause__) from None
        except sockets.DeadlinePassedError:
            raise DeadlineError(f"{self._name} took too long", socket=self._place.socket) from None
        except (sockets.HeaderFloodError, progress.TooMuchError):
            raise ResponseLimitError(
                f"{self._name} sent more than the limit", socket=self._place.socket
            ) from None
        except progress.NonsenseError as error:
            raise ServerError(f"{self._name} sent no progress records", why=str(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NetworkError(
                f"the connection to {self._name} was lost", why=str(reason), reason="lost"
            ) from None

    def _unreachable(self, cause: object) -> UnreachableError:
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        denied = isinstance(cause, PermissionError)
        advice = Advice("get-socket-right" if denied else "start-daemon")
        return UnreachableError(
            f"cannot connect to {self._name}",
            why=(str(reason), f"{self._place.source} names it"),
            advice=advice,
            reason="daemon",
            socket=self._place.socket,
        )

    def _refused(
        self, answer: http.client.HTTPResponse, image: Reference, credential: Credential | None
    ) -> ServerError:
        """Return the error for a status that is no success; the daemon says why in a JSON object."""
        try:
            document = json.loads(answer.read(self._limits.daemon_line_bytes).decode())
        except (ValueError, RecursionError):
            document = None
        text = document.get("message") if isinstance(document, dict) else None
        said = _without(text, image, credential) if isinstance(text, str) else ""
        return ServerError(
            f"{self._name} answered with status {answer.status}",
            why=(said,) if said else (),
            advice=Advice("push-yourself"),
            socket=self._place.socket,
            status=answer.status,
        )


def _missing(image: Reference, place: DaemonAddress) -> ImageMissingError:
    """Return the error for an image that the daemon does not have."""
    name = f"{image.repository}:{image.tag or 'latest'}"
    return ImageMissingError(
        f"the daemon at {place.socket} has no image {name}",
        why=f"{place.source} names that daemon",
        advice=Advice("tag-image", name=name),
        host=image.registry,
        path=image.path,
        reference=image.tag or "latest",
        socket=place.socket,
    )


def _failed(image: Reference, text: str, credential: Credential | None) -> NetworkError | AuthenticationError:
    """Return the error for a push that the registry, or the way there, did not allow."""
    name = f"{image.repository}:{image.tag or 'latest'}"
    if _DENIED.search(text) is None:
        return ServerError(
            f"the daemon could not push {name}", why=text, advice=Advice("push-yourself"), host=image.registry
        )
    login = f"as {credential.user or 'the holder of a token'}" if credential else "without a login"
    return AuthenticationError(
        f"{image.registry} does not allow the daemon to push {name}",
        why=(text, f"it was asked {login}"),
        advice=Advice("docker-login", host=image.registry),
        host=image.registry,
        asked=f"repository:{image.path}:pull,push",
        granted=None,
        user=credential.user if credential else None,
        source=credential.source if credential else None,
    )


def _without(text: str, image: Reference, credential: Credential | None) -> str:
    """Take a secret out of a text in whatever form it was sent (rule 1), and shorten it."""
    secrets = Redaction()
    if credential is not None:
        secrets.note(_header(image.registry, credential))
        secrets.note(credential.secret, credential.user)
    return secrets.without(text)[: DEFAULT.error_chars]


def _header(registry: str, credential: Credential | None) -> str:
    """Return X-Registry-Auth: a login as JSON, in base64."""
    document: dict[str, str] = {}
    if credential is not None:
        document["serveraddress"] = _HUB_SERVER if registry == "docker.io" else registry
        match credential.kind:
            case "bearer":
                document["registrytoken"] = credential.secret
            case "identity":
                document["identitytoken"] = credential.secret
            case _:
                document |= {"username": credential.user, "password": credential.secret}
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def _path(name: str) -> str:
    return quote(name, safe="/:")
