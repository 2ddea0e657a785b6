"""The docker daemon of this machine, or podman in its place: where it listens, and two requests to it.

What it is: which socket docker would take, whether the daemon there has an image, and pushing it. What it is
not: a docker client; nothing is pulled, built or run.

Rules:

1. `DOCKER_HOST` says where it is; else the docker context that `DOCKER_CONTEXT` or `currentContext` in
   docker's config.json names, unless that is `default`; else the first of the usual sockets that is there.
2. What was said is never replaced by a guess: in another daemon an image of the same name is another image.
3. Only unix sockets will do. A daemon behind tcp or ssh is refused, and how to do without it is said.
4. The daemon gets the login for the registry that it pushes to, and no other. No log and no error has it,
   even if the daemon repeats it.
5. What the daemon says it pushed is only where to look: whoever signs asks the registry for that digest.
6. A push has a deadline, and a silent daemon is given up.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import logging
import re
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from notarypy import files, system
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    ImageMissingError,
    NetworkError,
    ResponseLimitError,
    ServerError,
    StorageError,
    UnreachableError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote import pushstream
from notarypy.remote.auth.credentials import HUB, HUB_SERVER, Credential, owner
from notarypy.remote.http import sockets
from notarypy.remote.http.failures import plain_text
from notarypy.remote.http.messages import Redaction, json_object
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notarypy.images.reference import Reference
    from notarypy.remote.pushstream import PushOutcome

DOCKER_SOCKET = "/var/run/docker.sock"
PODMAN_SOCKET = "/run/podman/podman.sock"
PUSH_SECONDS = 4 * 3600.0
STALL_SECONDS = 600.0
_SCHEME = "unix://"
_DENIED = re.compile(r"unauthorized|denied|authorization failed|no basic auth credentials", re.IGNORECASE)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DaemonAddress:
    """A daemon's socket, and who said that it is there, for error texts."""

    socket: str
    source: str


def find_daemon(environ: Mapping[str, str], docker_config: Path) -> DaemonAddress:
    """Return where the daemon listens, by the environment and the folder of docker's configuration."""
    if host := environ.get("DOCKER_HOST", "").strip():
        return _checked(host, "DOCKER_HOST")
    variable = environ.get("DOCKER_CONTEXT", "").strip()
    config = docker_config / "config.json"
    name = variable or _document(config).get("currentContext") or "default"
    if name != "default":
        return _of_context(name, docker_config, "DOCKER_CONTEXT" if variable else str(config))
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    own = [f"{runtime}/podman/podman.sock"] if Path(runtime).is_absolute() else []
    usual = [DOCKER_SOCKET, *own, PODMAN_SOCKET]
    for path in usual:
        if Path(path).exists():
            return DaemonAddress(path, "the usual place")
    raise UnreachableError(
        "there is no docker daemon here",
        why=f"DOCKER_HOST is not set, and there is none of: {', '.join(usual)}",
        advice=Advice("start-daemon"),
        reason="daemon",
        searched=usual,
    )


def _checked(host: str, source: str) -> DaemonAddress:
    """Read a daemon's address (rule 3)."""
    if host.startswith(f"{_SCHEME}/"):
        return DaemonAddress(host.removeprefix(_SCHEME), source)
    # The address itself may hold a login: only its scheme is shown.
    scheme = host.partition("://")[0] if "://" in host else "no scheme"
    raise ConfigurationError(
        f"cannot use the docker daemon that {source} names",
        why=f"only unix:///path/to/socket can be used here, and it has {scheme}",
        advice=Advice("push-yourself"),
        source=source,
    )


def _of_context(name: object, docker_config: Path, source: str) -> DaemonAddress:
    """Return where the daemon of a docker context listens; docker keeps contexts by their names' hashes."""
    shown = name if isinstance(name, str) else ""
    folder = docker_config / "contexts" / "meta" / hashlib.sha256(shown.encode()).hexdigest()
    endpoints = _document(folder / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(host, str) or not host:
        raise ConfigurationError(
            f'there is no docker context "{shown}"',
            why=f"{source} names it, and {folder / 'meta.json'} has no address of a daemon",
            advice=Advice("choose-context"),
            source=source,
        )
    return _checked(host, f'the docker context "{shown}"')


def _document(path: Path) -> dict[str, Any]:
    try:
        data = files.read_regular(path, DEFAULT.config_bytes, follow=True)
        document = json_object(data.removeprefix(b"\xef\xbb\xbf"))  # as PowerShell begins a file
    except FileNotFoundError:
        return {}
    except (StorageError, OSError) as error:
        raise ConfigurationError(f"cannot use {path}", why=str(error), path=str(path)) from None
    if document is None:
        raise ConfigurationError(f"cannot use {path}", why="it is not a JSON object", path=str(path))
    return document


class _SocketConnection(http.client.HTTPConnection):
    """A connection to a unix socket, under the deadline of `sockets`."""

    response_class = sockets.LimitedResponse

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        try:
            self.sock = system.unix_socket()
            self.sock.settimeout(min(sockets.remaining(), sockets.CONNECT_SECONDS))
            self.sock.connect(self._path)
        except OSError as error:
            raise sockets.NotConnectedError from error

    def send(self, data: Any) -> None:  # noqa: ANN401 - the base class takes more; only bytes come here
        sockets.send(self.sock, data)


class Daemon:
    """The daemon behind a socket; `timeout` is for small requests."""

    def __init__(
        self,
        address: DaemonAddress,
        *,
        timeout: float,
        user_agent: str = "notarypy",
        limits: Limits = DEFAULT,
    ) -> None:
        self._address, self._timeout, self._limits = address, timeout, limits
        self._name = f"the daemon at {address.socket}"
        self._headers = {"User-Agent": user_agent, "Connection": "close"}
        _LOG.debug("%s is used: %s names it", self._name, address.source)

    def has(self, image: Reference) -> bool:
        """Tell whether the daemon has an image under this name."""
        target = f"/images/{quote(_name(image), safe='/:')}/json"
        with self._asked("GET", target, {}, self._timeout) as answer:
            if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
                raise self._refused(answer, image, None)
            return answer.status == HTTPStatus.OK

    def push(self, image: Reference, credential: Credential | None = None) -> PushOutcome:
        """Push a tag, or `latest`, to its registry, and return what the daemon says it pushed.

        Raises:
            ImageMissingError: The daemon does not have it.
            AuthenticationError: The registry refused the daemon.
            NetworkError: It did not work, or the daemon did not say what it pushed.
        """
        if not self.has(image):
            raise self._missing(image)
        tag = image.tag or "latest"
        target = f"/images/{quote(image.repository, safe='/:')}/push?tag={tag}"
        headers = {"X-Registry-Auth": _header(image.registry, credential)}
        with self._asked("POST", target, headers, PUSH_SECONDS, STALL_SECONDS) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise self._missing(image)
            if answer.status != HTTPStatus.OK:
                raise self._refused(answer, image, credential)
            try:
                return pushstream.outcome(answer, tag, self._limits)
            except pushstream.PushError as error:
                raise _failed(image, _without(str(error), image, credential), credential) from None
            except pushstream.SilentError:
                raise ServerError(
                    f"{self._name} pushed {_name(image)}, and did not say what",
                    why="at the end of a push one digest and size are expected",
                    advice=Advice("push-yourself"),
                    socket=self._address.socket,
                ) from None

    @contextlib.contextmanager
    def _asked(
        self, method: str, target: str, headers: Mapping[str, str], seconds: float, stall: float | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, hand out the answer, and name what goes wrong meanwhile."""
        path = self._address.socket
        try:
            with (
                sockets.until(time.monotonic() + seconds, stall, self._limits.header_bytes),
                contextlib.closing(_SocketConnection(path)) as connection,
            ):
                connection.connect()
                connection.request(method, target, headers={**self._headers, **headers})
                answer = connection.getresponse()
                _LOG.info("%s %s at %s: %d", method, target, path, answer.status)
                yield answer
        except sockets.NotConnectedError as error:
            raise self._unreachable(error.__cause__ or error) from None
        except sockets.DeadlinePassedError:
            raise DeadlineError(f"{self._name} took too long", socket=path) from None
        except (sockets.HeaderFloodError, pushstream.TooMuchError):
            raise ResponseLimitError(f"{self._name} sent more than the limit", socket=path) from None
        except pushstream.NonsenseError as error:
            raise ServerError(f"{self._name} sent no progress records", why=str(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(getattr(error, "strerror", None) or type(error).__name__)
            raise NetworkError(f"the connection to {self._name} was lost", why=why, reason="lost") from None

    def _unreachable(self, cause: BaseException) -> UnreachableError:
        denied = isinstance(cause, PermissionError)
        return UnreachableError(
            f"cannot connect to {self._name}",
            why=(plain_text(cause), f"{self._address.source} names it"),
            advice=Advice("get-socket-right" if denied else "start-daemon"),
            reason="daemon",
            socket=self._address.socket,
        )

    def _missing(self, image: Reference) -> ImageMissingError:
        return ImageMissingError(
            f"{self._name} has no image {_name(image)}",
            why=f"{self._address.source} names that daemon",
            advice=Advice("tag-image", name=_name(image)),
            host=image.registry,
            path=image.path,
            reference=image.tag or "latest",
            socket=self._address.socket,
        )

    def _refused(
        self, answer: http.client.HTTPResponse, image: Reference, credential: Credential | None
    ) -> ServerError:
        """Return the error for a status that is no success; the daemon says why in a JSON object."""
        text = (json_object(answer.read(self._limits.daemon_line_bytes)) or {}).get("message")
        said = _without(text, image, credential) if isinstance(text, str) else ""
        return ServerError(
            f"{self._name} answered with status {answer.status}",
            why=(said,) if said else (),
            advice=Advice("push-yourself"),
            socket=self._address.socket,
            status=answer.status,
        )


def _failed(image: Reference, text: str, credential: Credential | None) -> NetworkError | AuthenticationError:
    if _DENIED.search(text) is None:
        return ServerError(
            f"the daemon could not push {_name(image)}",
            why=text,
            advice=Advice("push-yourself"),
            host=image.registry,
        )
    login = f"as {credential.user or 'the holder of a token'}" if credential else "without a login"
    return AuthenticationError(
        f"{image.registry} does not allow the daemon to push {_name(image)}",
        why=(text, f"it was asked {login}"),
        advice=Advice("docker-login", host=image.registry),
        host=image.registry,
        asked=f"repository:{image.path}:pull,push",
        granted=None,
        **owner(credential),
    )


def _without(text: str, image: Reference, credential: Credential | None) -> str:
    """Take a secret out of a text in whatever form it was sent (rule 4), and shorten it."""
    secrets = Redaction()
    if credential is not None:
        secrets.note(_header(image.registry, credential))
        secrets.note(credential.secret, credential.user)
    return secrets.without(text)[: DEFAULT.error_chars]


def _header(registry: str, credential: Credential | None) -> str:
    document: dict[str, str] = {}
    if credential is not None:
        document["serveraddress"] = HUB_SERVER if registry == HUB else registry
        document |= {
            "bearer": {"registrytoken": credential.secret},
            "identity": {"identitytoken": credential.secret},
            "password": {"username": credential.user, "password": credential.secret},
        }[credential.kind]
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def _name(image: Reference) -> str:
    return f"{image.repository}:{image.tag or 'latest'}"
