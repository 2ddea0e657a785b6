"""Renew roles: sign again what has ended or soon will, with the keys here.

What it is: what `renew` wants to be true of one repository, also of one that has expired
already. What it is not: how it is published (`publish`), or a way to make trusted what
cannot be verified.

Rules:

1. Only what is verified in all but its date is signed again; its content stays as it
   is. A file with any other fault is left alone.
2. What is due and can be signed here is renewed in one publish. A role that is named is
   renewed whatever its date.
3. A root certificate that made itself and is due is replaced by another one of the same
   key; the new root is signed under both. One that an authority made is not replaced:
   that takes the authority.
4. What is signed on is the newest there is, by `outdated`'s rule 4.
5. What is due and cannot be renewed here is an error that names the keys it takes, after
   everything else was published.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import statuses
from notarypy.client.metadata.expired import refresh_to_renew
from notarypy.client.results import Renewed
from notarypy.errors import Advice, InvalidNameError, KeyNotAuthorisedError
from notarypy.keys import generate
from notarypy.tuf import certificates, roles
from notarypy.tuf.changes import AssignKeys, Change, Resign, State
from notarypy.tuf.keys import certificates as certificates_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.client.results import RoleStatus
    from notarypy.tuf.keys import PublicKey
    from notarypy.tuf.trusted import TrustedMetadata

_SHORT = 7


@dataclass(frozen=True)
class Window:
    """What to renew: whatever ends within this time, or only these roles."""

    within: timedelta
    roles: tuple[str, ...] = ()


def renew(publisher: Publisher, manager: KeyManager, window: Window) -> Renewed:
    """Sign again what is due and can be signed here (rules 1 to 5).

    Raises:
        InvalidNameError: There is no such role.
        KeyNotAuthorisedError: Something is due that the keys here cannot sign; the rest was renewed.
    """
    publisher = replace(publisher, read=refresh_to_renew)
    before = refresh_to_renew(publisher.repository)
    wanted = _wanted(statuses(before, publisher.keys.available, window.within), before.gun, window)
    root_keys = _root_keys(before, manager, window) if any(one.role == roles.ROOT for one in wanted) else ()
    names = _possible(wanted, root_keys, before)
    changes = {name: _change(name, before, root_keys) for name in names}

    def wish(state: State) -> Sequence[Change]:
        # What got a new version meanwhile got a new date with it: by us, the answer lost, or by others.
        fresh = {name for name in names if _version(state, name) != old[name]}
        fresh |= {roles.SNAPSHOT} if fresh else set()
        return [change for name, change in changes.items() if name not in fresh]

    start = State.of(before)
    old = {name: _version(start, name) for name in names}
    after = publisher.publish(wish).trusted if changes else before
    now = {status.role: status for status in statuses(after, publisher.keys.available, window.within)}
    renewed = tuple(now[name] for name in names if name in now)
    found = [now[status.role] for status in wanted if status.role in now]
    left = [status for status in found if status.role not in names and (status.due or window.roles)]
    left += [now[roles.ROOT]] if roles.ROOT in names and _kept(before, root_keys, window) else []
    if left:
        raise _left_over(before.gun, left, renewed)
    return Renewed(before.gun, renewed, after.root.roles[roles.ROOT].keyids, published=bool(changes))


def _wanted(found: Sequence[RoleStatus], gun: str, window: Window) -> list[RoleStatus]:
    if not window.roles:
        return [status for status in found if status.due]
    named = [status for status in found if status.role in window.roles]
    missing = sorted(set(window.roles) - {status.role for status in named})
    if missing or roles.TIMESTAMP in window.roles:
        raise InvalidNameError(
            f"{gun} has no role {missing[0]}" if missing else "the timestamp is renewed by the server alone",
            advice=Advice("see-status", gun=gun),
        )
    return named


def _version(state: State, name: str) -> int | None:
    """Return the version of a role's file; None for the snapshot, which is made anew with every update."""
    if name == roles.ROOT:
        return state.root.version
    file = state.targets.get(name)
    return None if file is None else file.version


def _possible(
    wanted: Sequence[RoleStatus], root_keys: Sequence[PublicKey], trusted: TrustedMetadata
) -> list[str]:
    """Return the roles to sign again: none under a root that has ended and cannot be renewed."""
    able = [status.role for status in wanted if status.signable and not status.problem]
    ends = [certificates.expiry(key) for key in root_keys if _certified(key, trusted)]
    if roles.ROOT in able and max(ends) <= trusted.now:
        able.remove(roles.ROOT)
    over = any(status.role == roles.ROOT and _over(status, trusted) for status in wanted)
    return [] if over and roles.ROOT not in able else able


def _over(status: RoleStatus, trusted: TrustedMetadata) -> bool:
    return status.expires is not None and status.expires <= trusted.now


def _change(name: str, trusted: TrustedMetadata, root_keys: Sequence[PublicKey]) -> Change:
    same = tuple(key.keyid for key in root_keys) == trusted.root.roles[roles.ROOT].keyids
    return Resign(name) if name != roles.ROOT or same else AssignKeys(name, root_keys)


def _root_keys(trusted: TrustedMetadata, manager: KeyManager, window: Window) -> tuple[PublicKey, ...]:
    limit = trusted.now + window.within
    return tuple(_recertified(key, trusted, manager, limit) for key in trusted.root.signers(roles.ROOT))


def _kept(trusted: TrustedMetadata, root_keys: Sequence[PublicKey], window: Window) -> bool:
    """Tell whether a certificate that soon ends could not be replaced."""
    old, limit = trusted.root.roles[roles.ROOT].keyids, trusted.now + window.within
    certified = [key for key in root_keys if _certified(key, trusted)]
    return any(key.keyid in old and certificates.expiry(key) <= limit for key in certified)


def _certified(key: PublicKey, trusted: TrustedMetadata) -> bool:
    """Tell whether a key that the root lists can be a root key; one that cannot does no harm."""
    return not certificates.problem(key, trusted.gun, None)


def _recertified(key: PublicKey, trusted: TrustedMetadata, manager: KeyManager, limit: datetime) -> PublicKey:
    """Return a root key with a certificate that lasts, if that can be made here (rule 3)."""
    if (
        not _certified(key, trusted)
        or certificates.expiry(key) > limit
        or key.canonical_id not in manager.store.available()
        or not _made_itself(key)
    ):
        return key
    private = manager.store.private_key(key.canonical_id, manager.passphrases)
    return generate.root_certificate(private, trusted.gun, trusted.now)


def _made_itself(key: PublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature

    [leaf, *_] = certificates_of(key)
    try:
        leaf.verify_directly_issued_by(leaf)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _left_over(gun: str, left: Sequence[RoleStatus], renewed: Sequence[RoleStatus]) -> KeyNotAuthorisedError:
    done = [status.role for status in renewed]
    return KeyNotAuthorisedError(
        f"{', '.join(status.role for status in left)} of {gun} could not be renewed here",
        why=(*(_needs(status) for status in left), *([f"renewed: {', '.join(done)}"] if done else [])),
        advice=_way_out(gun, left),
        renewed=done,
        left={status.role: list(status.keys) for status in left},
        gun=gun,
    )


def _needs(status: RoleStatus) -> str:
    if status.problem:
        return f"{status.role}: {status.problem}"
    if status.role == roles.ROOT and status.signable:
        return f"root: its certificate, which an authority made, ends on {status.expires:%Y-%m-%d}"
    if status.role in {roles.SNAPSHOT, roles.TIMESTAMP} and not status.signable:
        return f"{status.role}: it is renewed by the server, while the root has not ended"
    ids = ", ".join(keyid[:_SHORT] for keyid in status.keys) or "none: the role has no keys"
    ends = f"ends on {status.expires:%Y-%m-%d}; " if status.expires else ""
    return f"{status.role}: {ends}{status.threshold} of these keys must be here: {ids}"


def _way_out(gun: str, left: Sequence[RoleStatus]) -> Advice:
    if any(status.role == roles.ROOT and status.signable for status in left):
        return Advice("rotate-root", gun=gun)
    return Advice("import-these-keys")
