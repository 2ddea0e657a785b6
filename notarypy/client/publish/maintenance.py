"""New dates for the roles of a repository: `renew`.

What it is: what it wants to be true, also of a repository that has expired. What it is not: other keys
(`rotating`), how it is published (`pipeline`), or a way to make trusted what cannot be verified.

Rules:

1. Only what is verified in all but its date is signed again; its content stays as it is. A file with any
   other fault is left alone.
2. What is due and can be signed here is renewed in one publish. A role that is named without a time is
   renewed whatever its date. Nothing gets an end that is earlier: then this machine's clock is behind.
3. A root certificate that made itself and is due is replaced by another one of the same key; the new root is
   signed under both. So is one that Go notary made on a YubiKey, whose own signature is no good. One that an
   authority made is not replaced: that takes the authority; one of a key that is not here takes its holder.
   Those of a root that is named (rule 2) are due, if enough can be replaced here for it to end later; a root
   whose end does not move is warned of.
4. What is signed on is the newest there is, by rule 4 of `metadata.lenientrefresh`.
5. What is due and cannot be renewed here is an error that names the keys it takes, after everything else was
   published. A key that is noted here and out of reach, as one on a token in a drawer, is not here. In a part
   that is handed over (`joining`) all that is due is drafted, whoever has the keys.
6. A Notary server refuses every update of a repository whose root's certificate has ended, this one too.
   What is left then is to make its trust data anew, with the same root key.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from notarypy.client.metadata.dates import ended, root_end, statuses
from notarypy.client.metadata.lenientrefresh import refresh_to_renew
from notarypy.client.publish.pipeline import publisher_for
from notarypy.client.results import Renewed
from notarypy.errors import (
    Advice,
    InvalidNameError,
    KeyAccessError,
    KeyNotAuthorisedError,
    RefusedUpdateError,
    UsageError,
)
from notarypy.tuf import certificateparts, certificates, envelope, roles
from notarypy.tuf.changes import Change, Resign, State
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, public_key_of
from notarypy.tuf.keys import certificates as certificates_of
from notarypy.tuf.plan import ROOT_LIFETIME, TARGETS_LIFETIME
from notarypy.tuf.rootchanges import AssignKeys
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleStatus
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_OF_SERVER = frozenset({roles.SNAPSHOT, roles.TIMESTAMP})
_LAST, _SKEW = datetime.max.replace(tzinfo=UTC), timedelta(days=1)


def renew(
    session: Session, repository: str, within: timedelta, only: Sequence[str], *, named: bool
) -> Renewed:
    """Sign again, if the keys are here, what ends `within` a time (rules 1 to 5).

    `only` of these roles, if there are any; they may be `named` to be renewed whatever their dates.
    """
    named = named and bool(only)
    session.whole_repository(repository)
    publisher = replace(publisher_for(session, repository), read=refresh_to_renew)
    before = refresh_to_renew(publisher.repository)

    def wanted_with(available: Collection[str]) -> list[RoleStatus]:
        return _wanted(statuses(before, available, within), before.gun, only, named=named)

    able = [one for one in wanted_with(publisher.keys.available) if one.signable]
    able_here = (keyid for one in able if one.role != roles.SNAPSHOT for keyid in one.here)
    keys, absent = publisher.keys.in_reach(able_here)
    publisher, available = replace(publisher, keys=keys), keys.available
    wanted, limit = wanted_with(available), before.now + within
    root_keys: tuple[PublicKey, ...] = ()
    if any(one.role == roles.ROOT for one in wanted):
        last = _LAST if named and _movable(before, available) else limit
        root_keys = _recertified(session.keys(), before, available, last)
    by_others = publisher.handing_over is not None
    names = _possible(wanted, root_keys, before, by_others=by_others)
    _require_later([one for one in wanted if one.role in names], root_keys, before)
    changes = _changes(names, root_keys, before)
    _LOG.debug("%s: wanted anew: %s; possible here: %s", before.gun, [one.role for one in wanted], names)
    start = State.of(before)
    old = {name: _version(start, name) for name in names}

    def edit(state: State) -> Sequence[Change]:
        # What got a new version meanwhile got a new date with it: by us, the answer lost, or by others.
        fresh = {name for name in names if _version(state, name) != old[name]}
        fresh |= {roles.SNAPSHOT} if fresh else set()
        return [change for name, change in changes.items() if name not in fresh]

    try:
        after = publisher.publish(edit).trusted if changes else before
    except RefusedUpdateError as error:
        signers = [key for key in before.root.signers(roles.ROOT) if _certified(key, before)]
        over = all(ended(certificates.expiry(key), before.now) for key in signers)
        raise _too_late(error, before.gun) if over else error from None
    now = {status.role: status for status in statuses(after, available, within, keys.elsewhere)}
    renewed = tuple(now[name] for name in names if name in now)
    others = [now[one.role] for one in wanted if one.role in now and one.role not in names]
    left = [status for status in others if status.due or named]
    if roles.ROOT in names and root_end(after) == root_end(before):
        publisher.repository.warn(
            f"the end of the root of {before.gun} does not move: its certificate stays, and ends then"
        )
    left += [now[roles.ROOT]] if roles.ROOT in names and _kept(before, root_keys, limit) else []
    if left and not by_others:
        raise _left_over(before.gun, left, renewed, absent)
    return Renewed(before.gun, renewed, after.root.pins, published=bool(changes))


def _changes(names: Sequence[str], keys: Sequence[PublicKey], before: TrustedMetadata) -> dict[str, Change]:
    """Return what signs each of these roles again, a root under other certificates where there are some."""
    changes: dict[str, Change] = {name: Resign(name) for name in names}
    same = tuple(key.keyid for key in keys) == before.root.roles[roles.ROOT].keyids
    if roles.ROOT in changes and not same:
        changes[roles.ROOT] = AssignKeys(roles.ROOT, keys)
    return changes


def _too_late(error: RefusedUpdateError, gun: str) -> RefusedUpdateError:
    """Say why a Notary server takes no update any more (rule 6)."""
    found = error.saying(
        "a Notary server takes no update once the certificate of the root that it has is over"
    )
    found.advice = Advice("begin-anew", gun=gun)
    return found


def _wanted(found: Sequence[RoleStatus], gun: str, only: Sequence[str], *, named: bool) -> list[RoleStatus]:
    if not only:
        return [status for status in found if status.due]
    listed = [status for status in found if status.role in only]
    missing = sorted(set(only) - {status.role for status in listed})
    if missing or roles.TIMESTAMP in only:
        raise InvalidNameError(
            f"{gun} has no role {missing[0]}" if missing else "the timestamp is renewed by the server alone",
            advice=Advice("see-status", gun=gun),
        )
    return [status for status in listed if named or status.due]


def _version(state: State, name: str) -> int | None:
    """Return the version of a role's file; None for the snapshot, which is made anew with every update."""
    file = state.root if name == roles.ROOT else state.targets.get(name)
    return None if file is None else file.version


def _possible(
    wanted: Sequence[RoleStatus], root_keys: Sequence[PublicKey], trusted: TrustedMetadata, *, by_others: bool
) -> list[str]:
    """Return the roles that can be signed anew, here or in a part that is signed `by_others` too."""
    signed = {status.role for status in wanted if status.signable}
    signed |= {status.role for status in wanted if by_others and status.role not in _OF_SERVER}
    able = [status.role for status in wanted if status.role in signed and not status.problem]
    if roles.ROOT in able and ended(_certificates_end(root_keys, trusted), trusted.now):
        able.remove(roles.ROOT)
    over = any(status.role == roles.ROOT and ended(status.expires, trusted.now) for status in wanted)
    return [] if over and roles.ROOT not in able else able


def _certificates_end(root_keys: Sequence[PublicKey], trusted: TrustedMetadata) -> datetime:
    """Return until when enough of these keys have certificates."""
    ends = sorted((certificates.expiry(key) for key in root_keys if _certified(key, trusted)), reverse=True)
    return ends[trusted.root.roles[roles.ROOT].threshold - 1]


def _kept(trusted: TrustedMetadata, root_keys: Sequence[PublicKey], limit: datetime) -> bool:
    old = trusted.root.roles[roles.ROOT].keyids
    certified = [key for key in root_keys if _certified(key, trusted)]
    return any(key.keyid in old and ended(certificates.expiry(key), limit) for key in certified)


def _certified(key: PublicKey, trusted: TrustedMetadata) -> bool:
    """Tell whether a key that the root lists can be a root key; one that cannot does no harm."""
    return not certificates.problem(key, trusted.gun, None)


def _recertified(
    manager: KeyManager, trusted: TrustedMetadata, available: Collection[str], limit: datetime
) -> tuple[PublicKey, ...]:
    """Return the root keys with certificates that last, where these can be made here (rule 3)."""
    return tuple(
        manager.certified_anew(key.canonical_id, trusted.gun, trusted.now)
        if _replaceable(key, trusted, available) and ended(certificates.expiry(key), limit)
        else key
        for key in trusted.root.signers(roles.ROOT)
    )


def _replaceable(key: PublicKey, trusted: TrustedMetadata, available: Collection[str]) -> bool:
    return _certified(key, trusted) and key.canonical_id in available and _made_itself(key)


def _movable(trusted: TrustedMetadata, available: Collection[str]) -> bool:
    """Tell whether the root ends later once all certificates are replaced that can be here (rule 3)."""
    keys = [key for key in trusted.root.signers(roles.ROOT) if _certified(key, trusted)]
    stay = [key for key in keys if not _replaceable(key, trusted, available)]
    ending = [key for key in stay if certificates.expiry(key) <= root_end(trusted)]
    return len(keys) - len(ending) >= trusted.root.roles[roles.ROOT].threshold


def _require_later(
    chosen: Sequence[RoleStatus], root_keys: Sequence[PublicKey], trusted: TrustedMetadata
) -> None:
    """Raise UsageError if what is renewed would end earlier than it does (rule 2)."""
    for status in chosen:
        end = trusted.now + (ROOT_LIFETIME if status.role == roles.ROOT else TARGETS_LIFETIME)
        if status.role == roles.ROOT:
            end = min(end, _certificates_end(root_keys, trusted))
        if status.expires is not None and status.expires > end + _SKEW:
            raise UsageError(
                f"{status.role} of {trusted.gun} ends on {status.expires:%Y-%m-%d}, a new one would earlier",
                why=f"this machine's clock says {trusted.now:%Y-%m-%d}, and it would end on {end:%Y-%m-%d}",
                advice=Advice("set-clock"),
                role=status.role,
            )


def _made_itself(key: PublicKey) -> bool:
    [leaf, *_] = certificates_of(key)
    try:
        certificateparts.require_issued(leaf, leaf)
    except (ValueError, TypeError, InvalidSignature):
        return leaf.issuer == leaf.subject and _made_on_yubikey(key)
    return True


def _made_on_yubikey(key: PublicKey) -> bool:
    """Tell whether Go notary made it on a YubiKey: its signature is r and s, of a hash that was hashed."""
    [leaf, *_] = certificates_of(key)
    hashed = sha256(leaf.tbs_certificate_bytes).digest()
    return envelope.verify(public_key_of(leaf), "ecdsa", leaf.signature, hashed)


def _left_over(
    gun: str, left: Sequence[RoleStatus], renewed: Sequence[RoleStatus], absent: Mapping[str, KeyAccessError]
) -> KeyNotAuthorisedError:
    done = [status.role for status in renewed]
    missing = [error for keyid, error in absent.items() if any(keyid in status.keys for status in left)]
    return KeyNotAuthorisedError(
        f"{', '.join(status.role for status in left)} of {gun} could not be renewed here",
        why=(
            *(_needs(status) for status in left),
            *(error.message for error in missing),
            *([f"renewed: {', '.join(done)}"] if done else []),
        ),
        advice=_advice(gun, left, missing),
        renewed=done,
        left={status.role: list(status.keys) for status in left},
        gun=gun,
    )


def _advice(gun: str, left: Sequence[RoleStatus], missing: Sequence[KeyAccessError]) -> Advice:
    if all(status.role in _OF_SERVER and not status.signable for status in left):
        return Advice("timestamp-renewed")
    if any(map(_of_others, left)):
        return Advice("certify-anew", gun=gun)
    if any(status.role == roles.ROOT and status.signable for status in left):
        return Advice("rotate-root", gun=gun)
    several = any(status.threshold > 1 and not status.signable for status in left)
    usual = Advice("sign-in-parts" if several else "import-these-keys")
    return next((error.advice for error in missing if error.advice), usual)


def _of_others(status: RoleStatus) -> bool:
    """Tell whether what is left of a root that can be signed here are certificates of other people's keys."""
    return status.role == roles.ROOT and status.signable and not set(status.keys) <= set(status.here)


def _needs(status: RoleStatus) -> str:
    if status.problem:
        return f"{status.role}: {status.problem}"
    if _of_others(status):
        return f"root: certificates of keys that are not here end from {status.expires:%Y-%m-%d} on"
    if status.role == roles.ROOT and status.signable:
        return f"root: its certificate, which an authority made, ends on {status.expires:%Y-%m-%d}"
    if status.role in _OF_SERVER and not status.signable:
        return f"{status.role}: it is renewed by the server, while the root has not ended"
    ids = ", ".join(keyid[:SHORT_KEYID] for keyid in status.keys) or "none: the role has no keys"
    word = "ended" if (status.days_left or 0) < 0 else "ends"
    ends = f"{word} on {status.expires:%Y-%m-%d}; " if status.expires else ""
    return f"{status.role}: {ends}{status.threshold} of these keys must be here: {ids}"
