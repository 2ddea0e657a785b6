"""Notary servers and registries: whether they are there and what, who we are to them, and their time.

What it is: one look at a server, however many repositories it has. What it is not: what it says of a
repository (`repositories`).

Rules:

1. A server that is not there, or is something else, is asked nothing more.
2. A server that asks who we are, and gets no login, may still let everybody read: that is a warning.
3. Its clock counts by an answer of its own, and not by one that a cache kept.
4. Requests are GET and HEAD. An identity token is traded by a form, as the protocol has it, at the token
   service alone; nothing else is sent. What passes is noted (`Watcher`).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from notarypy import jsontext, system
from notarypy.client.findings import quoted
from notarypy.errors import Advice, AuthenticationError, NotarypyError, NotFoundError, OperationError
from notarypy.images.reference import Reference
from notarypy.remote.auth import challenges
from notarypy.remote.http.urls import host_port
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.findings import Findings
    from notarypy.client.session import Session
    from notarypy.remote.http.messages import Request, Response
    from notarypy.remote.http.sockets import Peer
    from notarypy.remote.http.transport import Transport

_SOON = timedelta(days=30)
_SKEW_WARNING, _SKEW_BAD = timedelta(minutes=1), timedelta(minutes=10)
_NAMES = ("O", "CN")


def notary_server(found: Findings, session: Session, watcher: Watcher, gun: str, url: str) -> bool:
    """Look at the Notary server of a repository; tell whether it is worth asking more (rule 1)."""
    settings, registry_host = session.settings, gun.partition("/")[0]
    source = settings.server_source_for(registry_host)
    named = f"named by {source}" if source else "the registry's own address, for no setting names one"
    found.ok("server", f"{url} is {named}", source=source or None)
    client = session.connections.notary(url, registry_host, source)

    def ask() -> None:
        client.check_login()
        with suppress(NotFoundError):
            client.get(gun, roles.ROOT, fresh=True)  # a registry answers all else as a Notary server does

    there = _asked(found, "Notary server", url, ask, watcher)
    _address(found, session, "notary", url, there=there)
    if there:
        _clock(found, session, watcher, url)
    return there


def registry(found: Findings, session: Session, watcher: Watcher, reference: Reference) -> bool:
    """Look at a registry; tell whether it is worth asking more (rule 1)."""
    there = False
    with found.looking("registry"):
        client = session.connections.registry(reference)
        schemes = session.settings.schemes_for(reference.registry)
        there = _asked(found, "registry", f"{schemes[0]}://{client.host}", client.check_login, watcher)
        urls = [request.url for request, _ in watcher.passed if host_port(request.url) == client.host]
        scheme = urlsplit(urls[-1]).scheme if urls else schemes[-1]
        _address(found, session, "registry", f"{scheme}://{client.host}", there=there)
        if there:
            _clock(found, session, watcher, f"{scheme}://{client.host}")
    _login(found, session, reference)
    return there


def _asked(found: Findings, what: str, url: str, ask: Callable[[], None], watcher: Watcher) -> bool:
    area, host = ("server" if what == "Notary server" else "registry"), host_port(url)
    try:
        ask()
    except AuthenticationError as error:
        found.failure("logins", error, "bad" if error.facts.get("user") else "warning")
    except NotarypyError as error:
        found.failure(area, error)
        return False
    else:
        found.ok(area, f"a {what} answers at {host}")
    challenge = watcher.challenge(url)
    asks = f"it asks who we are, by {challenge}" if challenge else "it asks nobody who he is"
    found.ok(area, f"{host}: {asks}", challenge=challenge or None)
    return True


def _address(
    found: Findings, session: Session, kind: Literal["notary", "registry"], url: str, *, there: bool
) -> None:
    """Say who answers at an address, and until when its certificates are good."""
    area, host = ("server" if kind == "notary" else "registry"), host_port(url)
    try:
        peer = session.connections.peer(kind, url)
    except (NotarypyError, OSError, ValueError) as error:
        if there:  # or a request has said it already, and better
            found.warning(area, f"{host} could not be looked at: {type(error).__name__}")
        return
    if peer is None:
        return
    found.ok(area, f"{host} is {', '.join(peer.addresses)}", addresses=list(peer.addresses))
    if peer.chain:
        _chain(found, area, host, peer, session.now())
    client = session.settings.tls_for(host, kind=kind).client_cert
    if client is not None:
        _client_certificate(found, area, client, session.now())


def _chain(found: Findings, area: str, host: str, peer: Peer, now: datetime) -> None:
    from cryptography import x509  # what speaks of no server does without

    ends: list[tuple[datetime, str]] = []
    for der in filter(None, peer.chain):
        certificate = x509.load_der_x509_certificate(der)
        ends.append((certificate.not_valid_after_utc, certificate.subject.rfc4514_string() or host))
    if not ends:
        return
    when, whose = min(ends)
    text = (
        f"{host} speaks {peer.version}; its chain of {len(ends)} certificates is good until {when:%Y-%m-%d}"
    )
    if when - now < _SOON:
        found.warning(area, f"{text}, which is soon: {whose}", Advice("renew-server-certificate", host=host))
    else:
        found.ok(area, text, tls=peer.version, chain=[name for _, name in ends], ends=jsontext.moment(when))


def _client_certificate(found: Findings, area: str, path: Path, now: datetime) -> None:
    from cryptography import x509

    with found.looking(area):
        when = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        text = f"the client certificate {path} is good until {when:%Y-%m-%d}"
        if when < now:
            found.bad(
                area,
                f"the client certificate {path} ended on {when:%Y-%m-%d}",
                Advice("renew-client-certificate"),
            )
        elif when - now < _SOON:
            found.warning(area, f"{text}, which is soon", Advice("renew-client-certificate"))
        else:
            found.ok(area, text)


def _clock(found: Findings, session: Session, watcher: Watcher, url: str) -> None:
    """Compare this machine's clock with a server's (rule 3)."""
    said = watcher.date(url)
    if said is None:
        return
    apart = session.now() - said.astimezone(UTC)
    seconds = int(abs(apart).total_seconds())
    facts = {"seconds": int(apart.total_seconds())}
    if abs(apart) <= _SKEW_WARNING:
        found.ok("clock", f"this machine's clock and that of {host_port(url)} agree", **facts)
        return
    side = "ahead of" if apart > timedelta() else "behind"
    text = f"this machine's clock is {seconds} seconds {side} that of {host_port(url)}"
    note = found.bad if abs(apart) > _SKEW_BAD else found.warning
    note("clock", text, Advice("mend-clock"))


def _login(found: Findings, session: Session, reference: Reference) -> None:
    """Say which login is sent to a registry, and from where; what is wrong with its places is an error."""
    host = reference.registry
    with found.looking("logins"):
        credential = session.connections.credential(Reference(host, "", None, None))
        if credential is None:
            found.ok("logins", f"no login for {host} is known: requests are anonymous", user=None)
            return
        kinds = {"identity": "an identity token", "bearer": "a registry token"}
        who = f"user {credential.user}" if credential.kind == "password" else kinds[credential.kind]
        found.ok(
            "logins",
            f"{who} is sent to {host}, from {credential.source}",
            user=credential.user,
            source=credential.source,
        )
        path = Path(credential.source)
        if path.is_absolute() and path.exists():
            mode = system.permissions(path.stat())
            if mode & 0o077:
                found.bad(
                    "logins",
                    f"other users may read {path} (mode {mode:o}), which has passwords",
                    Advice("close-file", path=quoted(path)),
                )
            else:
                found.warning(
                    "logins", f"{path} has the login for {host} unencrypted", Advice("use-helper", host=host)
                )


_READING = frozenset({"GET", "HEAD"})
_FORM = "application/x-www-form-urlencoded"
_HITS = ("x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache")


class Passed(NamedTuple):
    """One request and its answer."""

    request: Request
    response: Response


class Watcher:
    """Everything that passed, in its order."""

    def __init__(self) -> None:
        self.passed: list[Passed] = []

    def around(self, inner: Transport) -> Transport:
        """Return a transport that is watched."""
        return _WatchedTransport(inner, self)

    def challenge(self, url: str) -> str:
        """Return what a server asked for when it wanted to know who we are, "" if it never did."""
        for request, response in self.passed:
            header = response.headers.get("www-authenticate", "")
            if _same_server(request.url, url) and header:
                for offered in challenges.parse(header):
                    realm = f" of {host_port(offered.get('realm'))}" if offered.scheme == "bearer" else ""
                    return f"{offered.scheme.capitalize()} authentication{realm}"
        return ""

    def granted(self, url: str, scope: str) -> str | None:
        """Return the actions that the last token says it grants on a scope's repository; None for no word."""
        for request, _ in reversed(self.passed):
            header = request.headers.get("Authorization", "")
            if _same_server(request.url, url) and header.startswith("Bearer "):
                said = challenges.granted(header, scope)
                if said is not None:
                    return said
        return None

    def date(self, url: str) -> datetime | None:
        """Return the time of a server by its last answer that no cache gave."""
        for request, response in reversed(self.passed):
            said = response.headers.get("date")
            if said and _same_server(request.url, url) and not cached(response):
                try:
                    return parsedate_to_datetime(said)
                except ValueError:
                    continue
        return None


class _WatchedTransport:
    def __init__(self, inner: Transport, watcher: Watcher) -> None:
        self._inner, self._watcher = inner, watcher

    def send(self, request: Request, deadline: float) -> Response:
        """Send what only asks (rule 4); see `Transport.send`."""
        form = request.headers.get("Content-Type") == _FORM and "_trust" not in urlsplit(request.url).path
        if request.method not in _READING and not form:
            raise OperationError("a look at servers changes nothing, and this request would")
        response = self._inner.send(request, deadline)
        self._watcher.passed.append(Passed(request, response))
        return response

    def close(self) -> None:
        """See `Transport.close`."""
        self._inner.close()


def cached(response: Response) -> str:
    """Return by which header an answer says that a cache gave it, "" if it does not."""
    age = response.headers.get("age", "").strip()
    if age.isdigit() and int(age) > 0:
        return f"Age: {age}"
    for name in _HITS:
        if "hit" in response.headers.get(name, "").lower():
            return f"{name}: {response.headers[name]}"
    numbers = response.headers.get("x-varnish", "").split()
    return f"x-varnish: {' '.join(numbers)}" if len(numbers) > 1 else ""


def _same_server(one: str, other: str) -> bool:
    return host_port(one) == host_port(other)
