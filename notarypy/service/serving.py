"""The service put together: from what it was told to the moment when it ends.

What it is: which parts there are, in which order they begin and end, and what is said of that in the log.
What it is not: any of the parts.

Rules:

1. Nothing listens before everything that can be wrong with what was given has been looked at: the trust
   policy and its pins, the trust directory, certificates. Threads that might make files begin when all
   sockets are there (`listening`: 3).
2. What was begun is ended in the reverse order, however it comes to an end: trust data that is to go with it,
   in a directory that nobody else may read, is removed, and so are Unix sockets.
3. That directory is on a file system in memory where there is one that can be used. The log says where it is.
   What a killed service has left is removed by the next one of the same account, for nobody holds its lock.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import __version__, files, system
from notarypy.errors import NotarypyError
from notarypy.limits import DEFAULT, Limits, within
from notarypy.remote.http import tls
from notarypy.service import httpserver, routes
from notarypy.service.asgi import App
from notarypy.service.listening import Listener, Place
from notarypy.service.metrics import Metrics
from notarypy.service.requestlog import Form, LogLines
from notarypy.service.servingcertificate import ServingCertificate
from notarypy.service.verifier import Verifier
from notarypy.service.webhook import Webhook
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from notarypy.storage.settings.settings import Settings

_LOG = logging.getLogger(__name__)
_PREFIX, _LOCK = "notarypy-serve-", "serve.lock"
_BEGINNING_SECONDS = 60.0
_GROUPS, _MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What the service was told.

    Attributes:
        places: Where to listen.
        mode: The mode of Unix sockets.
        pair: The files with the certificate and its key; None for no TLS.
        client_ca: The file with the CAs of clients, if these need a certificate.
        max_age: How old an answer may be, in seconds.
        deadline: How long one may take, in seconds.
        delay: For how long requests are answered after the service was told to end.
        max_requests: How many requests may be under way.
        require_digest: Whether validating refuses images without a digest.
        admission_only: Whether only the webhooks of a cluster are answered.
        memory: Whether trust data goes with the process.
        warn_only: Whether nothing is refused at admission, and warned of.
        level: From which level on the package's own log is shown.
        log_format: The form of the log.
    """

    places: tuple[Place, ...]
    mode: int = 0o600
    pair: tuple[Path, Path] | None = None
    client_ca: Path | None = None
    max_age: float = 30.0
    deadline: float = 8.0
    delay: float = 0.0
    max_requests: int = DEFAULT.service_requests
    require_digest: bool = False
    admission_only: bool = False
    warn_only: bool = False
    memory: bool = False
    level: int = logging.WARNING
    log_format: Form = "json"


def serve(
    settings: Settings,
    options: ServeOptions,
    *,
    asked: Callable[[], bool],
    started: Callable[[Sequence[str]], None],
    advice: Callable[[NotarypyError], str],
    limits: Limits | None = None,
) -> None:
    """Serve until `asked` says that the process is to end; `started` is given where it listens.

    `advice` says in words what to do about an error.
    """
    limits = limits or within(memory())
    with ExitStack() as stack:
        stack.enter_context(LogLines(sys.stderr, options.log_format, options.level))
        if options.memory:
            settings = replace(settings, trust_dir=stack.enter_context(_passing_directory()))
        if settings.tls_ca or settings.tls_cert:
            tls.context(
                replace_ca=settings.tls_ca,
                client_cert=settings.tls_cert,
                client_key=settings.tls_key,
                environ=settings.environ,
            )
        verifier = stack.enter_context(closing(Verifier(settings, max_age=options.max_age, limits=limits)))
        metrics = Metrics(__version__, [*routes.PATHS, *App.PAGES], verifier.numbers)
        certificate = None
        if options.pair is not None:
            certificate = ServingCertificate(*options.pair, options.client_ca, loaded=metrics.certificate)
        strictness = {"require_digest": options.require_digest, "warn_only": options.warn_only}
        webhook = Webhook(verifier, **strictness, advice=advice, limits=limits)
        app = App(
            routes.operations(verifier, webhook, metrics, limits, admission_only=options.admission_only),
            ready=verifier.ready,
            metrics=metrics,
            deadline=options.deadline,
            most=options.max_requests,
            lesser=routes.LESSER,
            client_certificates=options.client_ca is not None,
            limits=limits,
        )
        listeners = [
            stack.enter_context(closing(Listener(place, tls=certificate is not None, mode=options.mode)))
            for place in options.places
        ]
        verifier.watch()
        urls = [listener.url for listener in listeners]
        _say(settings, options, urls)
        httpserver.run(
            app,
            listeners,
            metrics=metrics,
            asked=asked,
            started=lambda: started(urls),
            certificate=certificate,
            delay=options.delay,
            limits=limits,
        )
        _LOG.info("ended")


def memory() -> int:
    """Return how many bytes of memory this process may take: as its control groups and the machine say."""
    found, known = [sys.maxsize], []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError):
        known = [line.split(":", 2) for line in _GROUPS.read_text().splitlines()]
    for _, controllers, path in known:
        if controllers and "memory" not in controllers.split(","):
            continue
        base, name = (
            (_MOUNTED / "memory", "memory.limit_in_bytes") if controllers else (_MOUNTED, "memory.max")
        )
        inner = Path(path).relative_to("/")
        for folder in (inner, *inner.parents):
            with suppress(OSError, ValueError):  # "max", or not to be seen from here
                found.append(int((base / folder / name).read_text()))
    return min(found)


def _say(settings: Settings, options: ServeOptions, urls: Sequence[str]) -> None:
    policy = settings.policy and settings.policy.path
    _LOG.info("serving on %s by the trust policy %s", ", ".join(urls), policy)
    if options.warn_only:
        _LOG.warning("nothing is refused at admission: what would be is warned of")
    if options.memory:
        kind = "memory" if _is_in_memory(settings.trust_dir) else "a temporary directory on a disk"
        said = "trust data is in %s, %s: what was seen is forgotten when the service ends"
        _LOG.warning(said, kind, settings.trust_dir)
    else:
        _LOG.info("trust data is in %s", settings.trust_dir)
    if any(not place.local for place in options.places) and options.pair is None:
        _LOG.warning("served without TLS where other machines can reach it")


@contextmanager
def _passing_directory() -> Iterator[Path]:
    """Make a directory that goes with the process, where the others have gone (rule 3)."""
    parent = Path(_in_memory() or tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, NotarypyError):
            found = left.lstat()
            mine = stat.S_ISDIR(found.st_mode) and system.user() in {None, found.st_uid}
            if mine and time.time() - found.st_mtime > _BEGINNING_SECONDS:
                with files.locked(left / _LOCK, 0):
                    shutil.rmtree(left, ignore_errors=True)
    made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent)
    with made as folder, files.locked(Path(folder, _LOCK), 0):
        yield Path(folder)


def _in_memory() -> str | None:
    """Return a directory in memory for what is to go with the process (rule 3); None for the usual place."""
    usual = tempfile.gettempdir()
    found = (each for each in (usual, "/dev/shm") if _is_in_memory(Path(each)))  # noqa: S108 - not a file there
    return next((each for each in found if os.access(each, os.W_OK | os.X_OK)), None)


def _is_in_memory(path: Path) -> bool:
    """Tell whether a directory is on a file system in memory, which Linux alone says."""
    try:
        device = path.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    return any(
        line.split()[2] == number and line.partition(" - ")[2].startswith(("tmpfs ", "ramfs "))
        for line in mounts
    )
