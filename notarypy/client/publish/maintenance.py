"""New keys and new dates for the roles of a repository: `key rotate` and `renew`.

What it is: what the two want to be true, also of a repository that has expired. What it is not: the keys of
signers (`delegations`), how it is published (`pipeline`), or a way to make trusted what cannot be verified.

Rules of rotation:

1. Root and targets keys are kept here, the timestamp key by the server, the snapshot key by either. Whoever
   rotates holds the root key; it is ready to sign before a key is made, here or by the server.
2. A new root is signed by the old root key and the new one, so that readers can follow. A targets key signs
   the targets file anew, in the same publish. Where the list of releases has the old targets key, since the
   last signer was removed, it gets the new one in its place.
3. A new private key is on the disk before anything is sent. It is removed again when certainly nothing was
   published, and kept in every other case.
4. The old private key stays here. Whoever lost trust in it removes it by `key remove`.
5. A key that the role has already is published no second time.
6. A root that has ended, or whose certificate has, may still be given another root key: it is read as for
   renewing.

Rules of renewing:

7. Only what is verified in all but its date is signed again; its content stays as it is. A file with any
   other fault is left alone.
8. What is due and can be signed here is renewed in one publish. A role that is named is renewed whatever its
   date.
9. A root certificate that made itself and is due is replaced by another one of the same key; the new root is
   signed under both. So is one that Go notary made on a YubiKey, whose own signature is no good. One that an
   authority made is not replaced: that takes the authority.
10. What is signed on is the newest there is, by rule 4 of `metadata.expired`.
11. What is due and cannot be renewed here is an error that names the keys it takes, after everything else was
    published. A key that is noted here and out of reach, as one on a token in a drawer, is not here.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from notarypy.client.metadata.dates import ended, statuses
from notarypy.client.metadata.expired import refresh_to_renew
from notarypy.client.metadata.refresh import refresh
from notarypy.client.publish.drafts import not_signed, unanswered
from notarypy.client.publish.pipeline import Publisher, publisher_for
from notarypy.client.publish.serverside import server_key
from notarypy.client.results import Renewed, RotatedKey
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConflictError,
    InvalidNameError,
    KeyAccessError,
    KeyNotAuthorisedError,
    NotarypyError,
    RefusedUpdateError,
    UsageError,
)
from notarypy.tuf import certificates, envelope, roles, serials
from notarypy.tuf.changes import AddDelegation, AssignKeys, Change, RemoveKeys, Resign, State, apply_all
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, meets, public_key_of
from notarypy.tuf.keys import certificates as certificates_of
from notarypy.tuf.vouching import signatures
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleStatus
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_UNPUBLISHED = (KeyAccessError, UsageError, AuthenticationError, RefusedUpdateError, ConflictError)


def _require_possible(role: str, key: str | None, *, server_managed: bool) -> None:
    """Raise UsageError for what no repository can have (rule 1)."""
    if role not in roles.BASE_ROLES:
        raise UsageError(
            f"{role} is no role whose key is rotated",
            why=f"these are: {', '.join(roles.BASE_ROLES)}",
            advice=Advice("rotate-signer"),
        )
    if server_managed and role in {roles.ROOT, roles.TARGETS}:
        advice = Advice("leave-out", option="--server-managed")
        raise UsageError(f"a server cannot keep the {role} key", advice=advice)
    if role == roles.TIMESTAMP and not server_managed:
        raise UsageError("the timestamp key is always the server's", advice=Advice("add-server-managed"))
    if server_managed and key is not None:
        advice = Advice("leave-out", option="--key")
        raise UsageError("a key that the server manages is made by the server", advice=advice)


def rotate(
    session: Session, repository: str, role: str, key: str | None, *, server_managed: bool
) -> RotatedKey:
    """Give a base role another key, the given one or a new one, here or at the server (rules 1 to 6)."""
    _require_possible(role, key, server_managed=server_managed)
    session.whole_repository(repository)
    read = refresh_to_renew if role == roles.ROOT else refresh
    publisher = replace(publisher_for(session, repository), read=read)
    known = publisher.repository
    before = State.of(publisher.read(known))
    _require_rotatable(before, role, publisher)
    if server_managed:
        new = server_key(known, role, known.notary().rotate_key(known.gun, role))
        done = publisher.publish(lambda state: _rotation(state, role, new))
    else:
        with _new_key(publisher, session.keys(), role, key) as new:
            publisher = replace(publisher, keys=session.keys().signing_keys())
            done = publisher.publish(lambda state: _rotation(state, role, new))
    old, now = (tuple(one.canonical_id for one in it.root.signers(role)) for it in (before, done.after))
    _LOG.debug("%s: the keys of %s were %s and are %s", known.gun, role, old, now)
    return RotatedKey(
        repository=known.gun,
        role=role,
        old=old,
        new=now,
        root_pins=done.after.root.pins,
        server_managed=server_managed,
        published=done.uploaded,
    )


def _rotation(state: State, role: str, new: PublicKey) -> Sequence[Change]:
    """Return the changes that replace a role's keys; those of targets in releases too (rule 2)."""
    changes: list[Change] = [AssignKeys(role, [new])]
    old = {key.canonical_id for key in state.keys_for(role)[0]} - {new.canonical_id}
    if role == roles.TARGETS and state.delegation(roles.RELEASES) is not None:
        listed = old.intersection(key.canonical_id for key in state.keys_for(roles.RELEASES)[0])
        if listed:
            added = AddDelegation(roles.RELEASES, [new], paths=())
            changes += [added, RemoveKeys(roles.RELEASES, frozenset(listed))]
            after = apply_all(state, changes)
            signed, threshold = signatures(after).get(roles.RELEASES), after.keys_for(roles.RELEASES)[1]
            changes += [] if signed is None or meets(signed, threshold) else [Resign(roles.RELEASES)]
    return changes


@contextmanager
def _new_key(publisher: Publisher, manager: KeyManager, role: str, key: str | None) -> Iterator[PublicKey]:
    """Make or take the key, and remove a new one after a failure that published nothing (rule 3)."""
    repository = publisher.repository
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            if role == roles.ROOT:
                new = manager.next_root_key(repository.gun, key, repository.now)
            else:
                new = manager.role_key(role, repository.gun, key)
        except BaseException:  # what a signer of somebody else's raises, too
            undo()
            raise
        try:
            yield new
        except BaseException as error:
            if unanswered(error):
                if isinstance(error, NotarypyError):
                    error.why = (*error.why, "the new key is kept: what was not answered may still arrive")
            elif isinstance(error, _UNPUBLISHED) or not_signed(error):
                undo()
            raise


def _require_rotatable(state: State, role: str, publisher: Publisher) -> None:
    """Refuse without a root key that is ready to sign, and where one key cannot meet the threshold."""
    if not state.signable(roles.ROOT, publisher.keys.available):
        keys, threshold = state.keys_for(roles.ROOT)
        ids = [key.canonical_id for key in keys]
        raise KeyNotAuthorisedError(
            f"rotating a key of {state.gun} takes its root key, which is not here",
            why=f"{threshold} of these must be here: {', '.join(keyid[:SHORT_KEYID] for keyid in ids)}",
            advice=Advice("import-root-key"),
            role=roles.ROOT,
            accepted=ids,
            threshold=threshold,
        )
    threshold = state.keys_for(role)[1]
    if threshold > 1:
        raise UsageError(
            f"{role} of {state.gun} needs {threshold} signatures, and a rotation leaves it one key",
            advice=Advice("keep-threshold"),
        )
    here = [key.canonical_id for key in state.keys_for(roles.ROOT)[0]]
    try:
        publisher.keys.prepare(keyid for keyid in here if keyid in publisher.keys.available)
    except NotarypyError as error:
        error.why = (*error.why, f"rotating a key of {state.gun} takes its root key; nothing was changed")
        raise


def renew(session: Session, repository: str, within: timedelta, only: Sequence[str]) -> Renewed:
    """Sign again, if the keys are here, what ends `within` a time, or `only` these roles (rules 7 to 11)."""
    session.whole_repository(repository)
    publisher = replace(publisher_for(session, repository), read=refresh_to_renew)
    before, manager = refresh_to_renew(publisher.repository), session.keys()
    wanted = _wanted(statuses(before, publisher.keys.available, within), before.gun, only)
    able = [one for one in wanted if one.signable and one.role != roles.SNAPSHOT]
    keys, absent = publisher.keys.in_reach(keyid for one in able for keyid in one.here)
    publisher, available = replace(publisher, keys=keys), keys.available
    wanted = _wanted(statuses(before, available, within), before.gun, only)
    root_keys: tuple[PublicKey, ...] = ()
    limit = before.now + within
    if any(one.role == roles.ROOT for one in wanted):
        signers = before.root.signers(roles.ROOT)
        anew = partial(manager.certified_anew, gun=before.gun, now=before.now)
        root_keys = tuple(_recertified(key, before, available, limit, anew) for key in signers)
    names = _possible(wanted, root_keys, before)
    changes: dict[str, Change] = {name: Resign(name) for name in names}
    same = tuple(key.keyid for key in root_keys) == before.root.roles[roles.ROOT].keyids
    if roles.ROOT in changes and not same:
        changes[roles.ROOT] = AssignKeys(roles.ROOT, root_keys)
    _LOG.debug("%s: wanted anew: %s; possible here: %s", before.gun, [one.role for one in wanted], names)
    start = State.of(before)
    old = {name: _version(start, name) for name in names}

    def edit(state: State) -> Sequence[Change]:
        # What got a new version meanwhile got a new date with it: by us, the answer lost, or by others.
        fresh = {name for name in names if _version(state, name) != old[name]}
        fresh |= {roles.SNAPSHOT} if fresh else set()
        return [change for name, change in changes.items() if name not in fresh]

    after = publisher.publish(edit).trusted if changes else before
    now = {status.role: status for status in statuses(after, available, within, keys.elsewhere)}
    renewed = tuple(now[name] for name in names if name in now)
    others = [now[one.role] for one in wanted if one.role in now and one.role not in names]
    left = [status for status in others if status.due or only]
    left += [now[roles.ROOT]] if roles.ROOT in names and _kept(before, root_keys, limit) else []
    if left:
        raise _left_over(before.gun, left, renewed, absent)
    return Renewed(before.gun, renewed, after.root.pins, published=bool(changes))


def _wanted(found: Sequence[RoleStatus], gun: str, only: Sequence[str]) -> list[RoleStatus]:
    if not only:
        return [status for status in found if status.due]
    named = [status for status in found if status.role in only]
    missing = sorted(set(only) - {status.role for status in named})
    if missing or roles.TIMESTAMP in only:
        raise InvalidNameError(
            f"{gun} has no role {missing[0]}" if missing else "the timestamp is renewed by the server alone",
            advice=Advice("see-status", gun=gun),
        )
    return named


def _version(state: State, name: str) -> int | None:
    """Return the version of a role's file; None for the snapshot, which is made anew with every update."""
    file = state.root if name == roles.ROOT else state.targets.get(name)
    return None if file is None else file.version


def _possible(
    wanted: Sequence[RoleStatus], root_keys: Sequence[PublicKey], trusted: TrustedMetadata
) -> list[str]:
    able = [status.role for status in wanted if status.signable and not status.problem]
    ends = [certificates.expiry(key) for key in root_keys if _certified(key, trusted)]
    if roles.ROOT in able and ended(max(ends), trusted.now):
        able.remove(roles.ROOT)
    over = any(status.role == roles.ROOT and ended(status.expires, trusted.now) for status in wanted)
    return [] if over and roles.ROOT not in able else able


def _kept(trusted: TrustedMetadata, root_keys: Sequence[PublicKey], limit: datetime) -> bool:
    old = trusted.root.roles[roles.ROOT].keyids
    certified = [key for key in root_keys if _certified(key, trusted)]
    return any(key.keyid in old and ended(certificates.expiry(key), limit) for key in certified)


def _certified(key: PublicKey, trusted: TrustedMetadata) -> bool:
    """Tell whether a key that the root lists can be a root key; one that cannot does no harm."""
    return not certificates.problem(key, trusted.gun, None)


def _recertified(
    key: PublicKey,
    trusted: TrustedMetadata,
    available: Collection[str],
    limit: datetime,
    anew: Callable[[str], PublicKey],
) -> PublicKey:
    """Return a root key with a certificate that lasts, if that can be made here (rule 9)."""
    if (
        not _certified(key, trusted)
        or not ended(certificates.expiry(key), limit)
        or key.canonical_id not in available
        or not _made_itself(key)
    ):
        return key
    return anew(key.canonical_id)


def _made_itself(key: PublicKey) -> bool:
    [leaf, *_] = certificates_of(key)
    try:
        serials.require_issued(leaf, leaf)
    except (ValueError, TypeError, InvalidSignature):
        return leaf.issuer == leaf.subject and _made_on_yubikey(key)
    return True


def _made_on_yubikey(key: PublicKey) -> bool:
    """Tell whether Go notary made it on a YubiKey: its signature is r and s, of a hash that was hashed."""
    [leaf, *_] = certificates_of(key)
    hashed = sha256(leaf.tbs_certificate_bytes).digest()
    return envelope.verify(public_key_of(leaf), "ecdsa", leaf.signature, hashed)


def _left_over(
    gun: str,
    left: Sequence[RoleStatus],
    renewed: Sequence[RoleStatus],
    absent: Mapping[str, KeyAccessError],
) -> KeyNotAuthorisedError:
    done = [status.role for status in renewed]
    missing = [error for keyid, error in absent.items() if any(keyid in status.keys for status in left)]
    advice = next((error.advice for error in missing if error.advice), Advice("import-these-keys"))
    certificate = any(status.role == roles.ROOT and status.signable for status in left)
    return KeyNotAuthorisedError(
        f"{', '.join(status.role for status in left)} of {gun} could not be renewed here",
        why=(
            *(_needs(status) for status in left),
            *(error.message for error in missing),
            *([f"renewed: {', '.join(done)}"] if done else []),
        ),
        advice=Advice("rotate-root", gun=gun) if certificate else advice,
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
    ids = ", ".join(keyid[:SHORT_KEYID] for keyid in status.keys) or "none: the role has no keys"
    ends = f"ends on {status.expires:%Y-%m-%d}; " if status.expires else ""
    return f"{status.role}: {ends}{status.threshold} of these keys must be here: {ids}"
