"""`notarypy serve`: one long-running verifier that others ask, over HTTP."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from notarypy.cli import references
from notarypy.cli.declared import Option
from notarypy.cli.run import Context, SecondSignalInterrupts, begin
from notarypy.errors import Advice, ConfigurationError, UsageError
from notarypy.limits import DEFAULT
from notarypy.service import listening
from notarypy.storage.settings import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.cli.run import Run
    from notarypy.service.listening import Place
    from notarypy.service.serving import ServeOptions

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_LEFT_OUT = ("offline", "first_use", "gun")
_OWNER = 0o600  # without these nobody could use a socket
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)


Listen = Annotated[list[str], Option("--listen", metavar="PLACE", help="ADDR:PORT or unix:PATH. Repeatable.")]
Memory = Annotated[bool, Option("--memory", help="Keep trust data in memory, not in files.")]
AdmissionOnly = Annotated[
    bool, Option("--admission-only", help="Answer webhooks alone: there is no /verify.")
]
MaxAge = Annotated[str, Option(metavar="TIME", help="How old an answer may be; 0: each is looked for anew.")]
Deadline = Annotated[str, Option(metavar="TIME", help="The most that an answer may take.")]
RequireDigest = Annotated[
    bool, Option("--require-digest", help="/admit/validate refuses images without digest.")
]
WarnOnly = Annotated[bool, Option("--warn-only", help="/admit/* refuse nothing, and warn instead.")]
TlsCert = Annotated[
    str | None,
    Option(metavar="FILE", help="Serve TLS with this certificate; renewed in place, it is read anew."),
]
TlsKey = Annotated[str | None, Option(metavar="FILE", help="The certificate's private key.")]
TlsClientCa = Annotated[
    str | None, Option(metavar="FILE", help="Verify only for clients with a certificate of these CAs.")
]
PlainHttp = Annotated[bool, Option("--plain-http", help="No TLS, even where other machines reach it.")]
SocketMode = Annotated[str | None, Option(metavar="MODE", help="Who may use a Unix socket; usually 0600.")]
MaxRequests = Annotated[
    int, Option(metavar="N", min=1, max=10_000, help="Requests at a time; others get 503.")
]
ShutdownDelay = Annotated[str, Option(metavar="TIME", help="When told to end, go on so long, not ready.")]
LogFormat = Annotated[Literal["text", "json"], Option(help="The lines on standard error.")]


def serve(
    context: Context,
    *,
    listen: Listen,
    policy: references.Policy = None,
    memory: Memory = False,
    max_age: MaxAge = "30s",
    deadline: Deadline = "8s",
    require_digest: RequireDigest = False,
    admission_only: AdmissionOnly = False,
    warn_only: WarnOnly = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    plain_http: PlainHttp = False,
    socket_mode: SocketMode = None,
    max_requests: MaxRequests = DEFAULT.service_requests,
    shutdown_delay: ShutdownDelay = "0s",
    log_format: LogFormat = "json",
) -> None:
    """Verify images for others, over HTTP.

    POST /verify, and the webhooks of a Kubernetes cluster below /admit. Every root has to be pinned by the
    trust policy. Prints where it listens when it answers; /healthz, /readyz and /metrics say how it is. Ends
    when it is told to, after the requests that are under way.

    Example:
      notarypy serve --listen unix:/run/notarypy/notarypy.sock
      notarypy serve --listen :8443 --tls-cert tls.crt --tls-key tls.key --memory
    """
    try:
        from notarypy.service.serving import ServeOptions
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    run = begin(context)
    run.refuse_options(*_LEFT_OUT)
    options = ServeOptions(
        places=_places(listen, tls=tls_cert is not None, plain_http=plain_http),
        mode=_mode(socket_mode, listen),
        pair=_pair(tls_cert, tls_key, tls_client_ca),
        client_ca=None if tls_client_ca is None else Path(tls_client_ca),
        max_age=_seconds("--max-age", max_age, "0s", "1d"),
        deadline=_seconds("--deadline", deadline, "0.1s", "25s"),
        delay=_seconds("--shutdown-delay", shutdown_delay, "0s", "10m"),
        max_requests=max_requests,
        require_digest=require_digest,
        admission_only=admission_only,
        warn_only=warn_only,
        memory=memory,
        level=_LEVELS[min(run.options.verbose, len(_LEVELS) - 1)],
        log_format=log_format,
    )
    if memory and run.options.for_client.get("trust_dir") is not None:
        raise UsageError("--memory and --trust-dir exclude each other", advice=Advice("keep-one"))
    references.take_policy(run, policy)
    _serve(run, options)


def _missing(error: ModuleNotFoundError) -> ConfigurationError:
    advice = Advice("install-extra", extra="serve")
    return ConfigurationError(f"the service needs {error.name}", advice=advice)


def _serve(run: Run, options: ServeOptions) -> None:
    from notarypy.cli.text import serveradvice
    from notarypy.cli.text.advice import own_advice
    from notarypy.service import serving

    def started(urls: Sequence[str]) -> None:
        for url in urls:
            run.report.done(url, {"url": url}, f"listening on {url}")
        with suppress(OSError, AttributeError):
            sys.stdout.flush()

    advice = serveradvice.at_admission(own_advice)
    with run.client(asking=False, own_log=True) as client, SecondSignalInterrupts() as ending:
        serving.serve(client.settings, options, asked=lambda: ending.asked, started=started, advice=advice)


def _places(texts: Sequence[str], *, tls: bool, plain_http: bool) -> tuple[Place, ...]:
    """Read where to listen; refuse what others could read and change on its way."""
    places = tuple(map(listening.place, texts))
    if tls and not any(place.path is None for place in places):
        why = "a Unix socket has no TLS"
        raise UsageError(
            "--tls-cert is for an ADDR:PORT", why=why, advice=Advice("leave-out", option="--tls-cert")
        )
    for place in places:
        if not (place.local or tls or plain_http):
            why = "an answer that somebody can change on its way is no verification"
            raise UsageError(f"{place.text} would be served without TLS", why=why, advice=Advice("serve-tls"))
    return places


def _mode(text: str | None, places: Sequence[str]) -> int:
    if text is None:
        return _OWNER
    if not any(place.startswith("unix:") for place in places):
        advice = Advice("leave-out", option="--socket-mode")
        raise UsageError("--socket-mode is for a Unix socket", advice=advice)
    if _MODE.fullmatch(text) is None or not int(text, 8) & _OWNER == _OWNER:
        raise UsageError(f"--socket-mode {text!r} is no mode", advice=Advice("give-socket-mode"))
    return int(text, 8)


def _pair(certificate: str | None, key: str | None, client_ca: str | None) -> tuple[Path, Path] | None:
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key go together", advice=Advice("give-both"))
    if certificate is None or key is None:
        if client_ca is not None:
            why = "without TLS nobody shows a certificate"
            raise UsageError("--tls-client-ca needs --tls-cert", why=why, advice=Advice("serve-tls"))
        return None
    return Path(certificate), Path(key)


def _seconds(option: str, text: str, least: str, most: str) -> float:
    found, bounds = spans.seconds(text), [spans.seconds(each) or 0.0 for each in (least, most)]
    if found is None or not bounds[0] <= found <= bounds[1]:
        why = f"it is a TIME from {least} to {most}"
        raise UsageError(f"{option} cannot be {text!r}", why=why, advice=Advice("give-time-within"))
    return found
