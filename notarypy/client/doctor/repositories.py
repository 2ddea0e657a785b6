"""One repository: its root and pins, when its roles end, what we may do there, and what is in between.

What it is: the look at a repository whose server answers. What it is not: a verification of images; nothing
is stored, and no root is trusted from now on.

Rules:

1. Everything is read past caches and verified, as by `status`. Then it is read as a reader would: what comes
   that is older, or came from a cache as it says, was kept in between.
2. What we may publish is asked by what changes nothing where there is trust data; where there is none, not at
   all.
3. Who has none of the keys of a repository need not be able to publish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from notarypy.client.doctor import endpoints
from notarypy.client.findings import findings_of_roles
from notarypy.client.metadata.dates import statuses
from notarypy.client.metadata.lenientrefresh import refresh_outdated
from notarypy.client.parameters import WITHIN
from notarypy.errors import (
    Advice,
    AuthenticationError,
    FirstUseError,
    NetworkError,
    NotarypyError,
    NotFoundError,
    OutOfScopeError,
    RepositoryMissingError,
)
from notarypy.remote.http.messages import Request
from notarypy.remote.registry.registry import writing
from notarypy.tuf import certificates, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import X509_TYPES
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection

    from notarypy.client.doctor.endpoints import Watcher
    from notarypy.client.findings import Findings
    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleStatus
    from notarypy.images.reference import Reference
    from notarypy.remote.notary import NotaryClient
    from notarypy.tuf.trusted import TrustedMetadata

_SHORT = 12


class KeysHere(NamedTuple):
    """The canonical ids of the private keys here, and of those that are only noted here."""

    available: Collection[str]
    elsewhere: Collection[str]


def repository(
    found: Findings, session: Session, watcher: Watcher, text: str, here: KeysHere, *, clock_wrong: bool
) -> frozenset[str] | None:
    """Look at a repository, and return the keys of all of its roles; None if they are not known.

    By a clock that is wrong nobody is told to renew: the clock is what has to be mended.
    """
    gun, _ = session.gun(text, whole=True)
    _pins(found, session, gun)
    try:
        looked_at = session.repository(text, None, session.scope_of_roots(gun))
        looked_at = replace(looked_at, cache=looked_at.cache.unwritten(), fresh=True)
        trusted = refresh_outdated(looked_at)
    except (FirstUseError, RepositoryMissingError) as error:
        found.failure("roles", error, "warning")
        return None
    except NotarypyError as error:
        area = "logins" if isinstance(error, AuthenticationError) else "roles"
        found.failure("server" if isinstance(error, NetworkError) else area, error)
        return None
    found.ok("server", f"{gun} can be read", gun=gun)
    found_roles = statuses(trusted, here.available, WITHIN, lambda keyid: keyid in here.elsewhere)
    for one in findings_of_roles(found_roles, gun, trusted.now):
        fix = Advice("mend-clock") if clock_wrong and one.area == "dates" and one.fix else one.fix
        found.note(replace(one, area="roles", fix=fix))
    _root(found, gun, found_roles[0])
    _certificates(found, trusted)
    if looked_at.server is not None:
        with found.looking("server"):
            _publishing(found, looked_at.server, watcher, gun, any(status.here for status in found_roles))
        with found.looking("cache"):
            _between(found, looked_at.server, watcher, gun)
    return frozenset(keyid for status in found_roles for keyid in status.keys)


def _pins(found: Findings, session: Session, gun: str) -> None:
    """Say what pins the root of a repository, whether that fits, and what is decided where nothing does."""
    settings, pins = session.settings, []
    with found.looking("pins"):
        pins += [each for each in [settings.pins_for(gun.partition("/")[0], gun)] if each]
    try:
        scope = session.scope(gun)
        pins += [scope.roots] if scope is not None and scope.roots else []
        if scope is not None:
            found.ok("policy", f"{scope.source} counts for {gun}: {scope.mode}", scope=scope.prefix)
    except OutOfScopeError as error:
        found.failure("policy", error)
    except NotarypyError:
        scope = None  # said of the policy itself
    for each in pins:
        for path in each.paths:
            with found.looking("pins"):
                each.read(path)
    ids = [set(each.ids) for each in pins if each.ids]
    if len(ids) > 1 and not set.intersection(*ids):
        sources = " and ".join(each.source for each in pins)
        found.bad("pins", f"the pins of {gun} contradict each other: {sources}", Advice("correct-pins"))
    elif pins:
        sources = ", ".join(each.source for each in pins)
        found.ok("pins", f"the root of {gun} is pinned by {sources}", pins=sorted(set().union(*ids)))
    elif roles.ROOT in session.trust_dir.repository(gun).unwritten().cached():
        found.ok("pins", f"the root of {gun} is known here, and pinned nowhere: another machine needs a pin")
    elif settings.first_use:
        found.warning(
            "pins",
            f"nothing pins the root of {gun}: the first one that is shown is trusted, whosever",
            Advice("pin-root", host=gun.partition("/")[0]),
        )


def _root(found: Findings, gun: str, status: RoleStatus) -> None:
    if not status.here:
        found.ok("keys", f"the root key of {gun} is not here: what needs it is done where it is")
    elif set(status.elsewhere) >= set(status.here):
        found.ok("keys", f"the root key of {gun} is noted here, and stays where it is")
    else:
        found.ok(
            "keys", f"the root key of {gun} is in a file here: nothing replaces it, so keep a copy elsewhere"
        )


def _certificates(found: Findings, trusted: TrustedMetadata) -> None:
    """Name certificates of signers that end soon: Go's clients refuse them then."""
    for above, file in trusted.targets.items():
        for delegation in file.roles:
            for keyid in delegation.keyids:
                key = trusted.targets[above].keys[keyid]
                if key.keytype not in X509_TYPES:
                    continue
                when = certificates.expiry(key)
                if when - trusted.now < WITHIN:
                    name = roles.signer_name(delegation.name)
                    word = "ended" if when <= trusted.now else "ends"
                    text = (
                        f"the certificate of {delegation.name}, {keyid[:_SHORT]}, {word} on {when:%Y-%m-%d}"
                    )
                    found.warning("roles", text, Advice("replace-signer-key", name=name, gun=trusted.gun))


def _publishing(found: Findings, server: NotaryClient, watcher: Watcher, gun: str, owner: bool) -> None:  # noqa: FBT001 - a fact
    """Say whether we may publish (rules 2 and 3), and what the token grants."""
    scope = f"repository:{gun}:push,pull"
    try:
        server.check_may_publish(gun)
    except AuthenticationError as error:
        if owner:
            found.failure("logins", error)
        else:
            found.ok("logins", f"{gun} may be read, and not published", actions="pull")
        return
    said = watcher.granted(server.url, scope)
    grants = f"; the token grants {said}" if said else ""
    found.ok("logins", f"{gun} may be published{grants}", actions=said or None)


def _between(found: Findings, server: NotaryClient, watcher: Watcher, gun: str) -> None:
    """Compare what a reader gets with what the server has (rule 1)."""
    reader = Envelope.parse(server.get(gun, roles.TIMESTAMP), roles.TIMESTAMP).version
    header = endpoints.cached(watcher.passed[-1].response)
    current = Envelope.parse(server.get(gun, roles.TIMESTAMP, fresh=True), roles.TIMESTAMP).version
    advice = Advice("leave-out-of-cache", host=server.host)
    if reader < current:
        what = f"timestamp {reader} of {gun}, and the server has {current}"
        text = f"a cache between here and {server.host} answers with {what}"
        found.warning("cache", text, advice)
    elif header:
        found.warning("cache", f"a cache between here and {server.host} keeps its answers ({header})", advice)
    else:
        found.ok("cache", f"no cache between here and {server.host} was noticed", timestamp=current)


def pushing(found: Findings, session: Session, watcher: Watcher, reference: Reference) -> None:
    """Say what we may do with a repository of a registry."""
    path, client = reference.path, session.connections.registry(reference)
    scope = writing(path)
    try:
        client.ask(path, Request("GET", "tags/list?n=1"), scope)
        found.ok("registry", f"{client.host} has {path}")
    except NotFoundError:
        found.ok("registry", f"{client.host} has nothing of {path} yet")
    except AuthenticationError as error:
        found.failure("logins", error, "warning")
        return
    said = watcher.granted(f"https://{client.host}", scope[0] if isinstance(scope, tuple) else scope)
    if said is not None:
        found.ok("logins", f"{client.host}: the token for {path} grants {said or 'nothing'}", actions=said)
