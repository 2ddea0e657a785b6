"""Other keys for the base roles of a repository: `key rotate`.

What it is: what it wants to be true, also of a repository whose root has ended. What it is not: the keys of
signers (`delegations`), new dates (`maintenance`), or how it is published (`pipeline`).

Rules:

1. Root and targets keys are kept here, the timestamp key by the server, the snapshot key by either. Whoever
   rotates holds root keys, as many as it takes; they are ready to sign before a key is made, here or by
   the server, or is used. In `notary` alone one that is made here comes first: passphrases are asked for in
   Go's order.
2. A new root is signed by the old root keys and the new ones, each by their threshold, so that readers can
   follow. The targets keys sign the targets file anew, in the same publish. Where the list of releases has
   the old targets keys, since the last signer was removed, it gets the new ones in their place.
3. A new private key is on the disk before anything is sent. It is removed again when certainly nothing was
   published, and kept in every other case.
4. The old private key stays here. Whoever lost trust in it removes it by `key remove`.
5. Keys that the role has already, under the same threshold, are published no second time.
6. A root that has ended, or whose certificate has, may still be given other root keys: it is read as for
   renewing.
7. Root and targets may have several keys and a threshold. Private keys are here; those of others are given
   as what is public (`client.keys.rolekeys`). The keys that are given are all that the role has afterwards,
   unless it is said which of its keys they replace. Without any and with a threshold the keys stay.
8. Whatever is rotated, the new root may be signed by root keys of `legacy` earlier versions too, for readers
   that cannot be shown the versions in between. A part has no such signatures. Those sign that are here; of
   versions that get fewer signatures than their threshold is warned.
9. What a server calls an earlier root is one only if the root after it vouches for it (`tuf.trustanchors`),
   from the present one back: otherwise a server would choose which keys here sign. A version that the server
   does not have, or that nothing vouches for, is an error: whoever asks for its signatures relies on them.
10. A repository that was only begun here is published first, if that is wanted, once it is certain that its
   root key can sign; what is staged stays so. There are two versions of its root then, for readers to follow.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from notarypy.client.keys.rolekeys import KeysForRole, listed
from notarypy.client.metadata.lenientrefresh import refresh_to_renew
from notarypy.client.metadata.refresh import refresh
from notarypy.client.publish.drafts import not_signed, unanswered
from notarypy.client.publish.pipeline import Publisher, publisher_for
from notarypy.client.publish.serverside import server_key
from notarypy.client.results import RotatedKey
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConflictError,
    FileMissingError,
    KeyAccessError,
    KeyNotAuthorisedError,
    NotarypyError,
    RefusedUpdateError,
    UsageError,
)
from notarypy.tuf import certificates, roles
from notarypy.tuf.changes import AddDelegation, Change, RemoveKeys, Resign, State, apply_all
from notarypy.tuf.keys import SHORT_KEYID, PublicKey, meets, require_reachable
from notarypy.tuf.rootchanges import AssignKeys
from notarypy.tuf.trustanchors import earlier_root
from notarypy.tuf.vouching import signatures
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from notarypy.client.keys.availablekeys import SigningKeys
    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session
    from notarypy.tuf.metadata import Root
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_TAKES_ROOT = "rotating a key of {} takes its root key"
_OURS = frozenset({roles.ROOT, roles.TARGETS})
_UNPUBLISHED = (KeyAccessError, UsageError, AuthenticationError, RefusedUpdateError, ConflictError)


@dataclass(frozen=True)
class Rotation:
    """What a role is to have: these keys, KEYREFs, in the place of all it has or of those it `replaces`.

    Without keys one is made, or the server makes it, or with a `threshold` alone they stay (rule 7).
    """

    role: str
    keys: Sequence[str] = ()
    threshold: int | None = None
    replaces: Sequence[str] = ()
    server_managed: bool = False
    legacy: int = 0

    def require_possible(self) -> None:
        """Raise UsageError for what no repository can have (rule 1)."""
        role = self.role
        if role not in roles.BASE_ROLES:
            raise UsageError(
                f"{role} is no role whose key is rotated",
                why=f"these are: {', '.join(roles.BASE_ROLES)}",
                advice=Advice("rotate-signer"),
            )
        if self.server_managed and role in _OURS:
            advice = Advice("leave-out", option="--server-managed")
            raise UsageError(f"a server cannot keep the {role} key", advice=advice)
        if role == roles.TIMESTAMP and not self.server_managed:
            raise UsageError("the timestamp key is always the server's", advice=Advice("add-server-managed"))
        if self.server_managed and self.keys:
            advice = Advice("leave-out", option="--key")
            raise UsageError("a key that the server manages is made by the server", advice=advice)
        if role not in _OURS and (len(self.keys) > 1 or self.threshold is not None or self.replaces):
            why = "root and targets may have several keys"
            raise UsageError(f"{role} has one key, here or at the server", why=why)
        if self.legacy < 0:
            raise UsageError(
                f"there are no {self.legacy} earlier versions", advice=Advice("leave-out", option="--legacy")
            )

    def kept(self, present: Sequence[PublicKey]) -> list[PublicKey]:
        """Return those keys of the role that stay."""
        if self.replaces:
            gone = {self._replaced(selector, present) for selector in self.replaces}
            return [key for key in present if key.canonical_id not in gone]
        return [] if self.keys or self.threshold is None else list(present)

    def _replaced(self, selector: str, present: Sequence[PublicKey]) -> str:
        found = listed(selector, present)
        if found is None:
            ids = ", ".join(key.canonical_id[:SHORT_KEYID] for key in present)
            message = f'no {self.role} key has an id that begins with "{selector}"'
            why = (f"it takes at least {SHORT_KEYID} digits of the id", f"its keys: {ids}")
            raise UsageError(message, why=why, advice=Advice("write-more-digits"))
        keyid: str = found.canonical_id
        return keyid

    def require_enough(self, present: Sequence[PublicKey], threshold: int) -> None:
        """Raise UsageError where those that stay, or one that is made, cannot be enough (`tuf.keys`: 7)."""
        if not self.keys:
            wanted = threshold if self.threshold is None else self.threshold
            require_reachable(self.role, self.kept(present) or present[:1], wanted)


def rotate(session: Session, repository: str, wanted: Rotation, *, begun: bool = False) -> RotatedKey:
    """Give a base role other keys, given or new ones, here or at the server (rules 1 to 10)."""
    wanted.require_possible()
    session.whole_repository(repository)
    if not begun:
        return _rotated(session, repository, wanted)
    from notarypy.client.publish.stagedinit import published_first  # what few rotations need

    publisher = publisher_for(session, repository, staged=True)

    def check(state: State) -> None:
        wanted.require_enough(*state.keys_for(wanted.role))
        _prepare(_TAKES_ROOT.format(state.gun), _rotating_keys(state, publisher), publisher.keys)

    with published_first(publisher, check):
        return _rotated(session, repository, wanted)


def _rotated(session: Session, repository: str, wanted: Rotation) -> RotatedKey:
    role = wanted.role
    read = refresh_to_renew if role == roles.ROOT else refresh
    publisher = replace(publisher_for(session, repository), read=read)
    known = publisher.repository
    before = State.of(trusted := publisher.read(known))
    wanted.require_enough(*before.keys_for(role))
    ids, as_go = _rotating_keys(before, publisher), session.keys().passphrases.remembers
    if wanted.server_managed or not as_go:
        _prepare(_TAKES_ROOT.format(known.gun), ids, publisher.keys)
    earlier = _earlier(publisher, trusted, wanted)
    new: Sequence[PublicKey]
    if wanted.server_managed:
        new = [server_key(known, role, known.notary().rotate_key(known.gun, role))]
        done = publisher.publish(lambda state: _rotation(state, AssignKeys(role, new, None, earlier)))
    else:
        with _new_keys(publisher, session.keys(), wanted, before, ids if as_go else ()) as new:
            publisher = replace(publisher, keys=session.keys().signing_keys())
            assigned = AssignKeys(role, new, wanted.threshold, earlier)
            done = publisher.publish(lambda state: _rotation(state, assigned))
    old, now = (tuple(one.canonical_id for one in it.root.signers(role)) for it in (before, done.after))
    _LOG.debug("%s: the keys of %s were %s and are %s", known.gun, role, old, now)
    return RotatedKey(
        repository=known.gun,
        role=role,
        old=old,
        new=now,
        root_pins=done.after.root.pins,
        server_managed=wanted.server_managed,
        published=done.uploaded,
        threshold=done.after.root.roles[role].threshold,
        legacy=tuple(dict.fromkeys(key.canonical_id for key in earlier)) if done.uploaded else (),
    )


def certify(session: Session, repository: str, selector: str | None) -> tuple[str, bytes]:
    """Return the id of a root key, selected, the only one here or a new one, and a certificate of it."""
    session.whole_repository(repository)
    known, manager = session.repository(repository, publishing=True), session.keys()
    with manager.new_keys(session.settings.retry_for):
        key = manager.root_key(known.gun, selector, None, known.now)
    return key.canonical_id, key.public


def _earlier(publisher: Publisher, trusted: TrustedMetadata, wanted: Rotation) -> tuple[PublicKey, ...]:
    """Return the root keys of earlier versions that sign too (rule 8)."""
    if not wanted.legacy:
        return ()
    if publisher.handing_over is not None:
        message, advice = "a part is not signed by earlier root keys", Advice("leave-out", option="--legacy")
        raise UsageError(message, advice=advice)
    return _earlier_keys(publisher.repository, trusted, wanted.legacy, publisher.keys)


def _rotation(state: State, assigned: AssignKeys) -> Sequence[Change]:
    """Return the changes that replace a role's keys; those of targets in releases too (rule 2)."""
    role, new = assigned.role, assigned.keys
    changes: list[Change] = [assigned]
    old = {key.canonical_id for key in state.keys_for(role)[0]} - {key.canonical_id for key in new}
    if role == roles.TARGETS and state.delegation(roles.RELEASES) is not None:
        listed = old.intersection(key.canonical_id for key in state.keys_for(roles.RELEASES)[0])
        if listed:
            added = AddDelegation(roles.RELEASES, new, paths=())
            changes += [added, RemoveKeys(roles.RELEASES, frozenset(listed))]
            after = apply_all(state, changes)
            signed, needed = signatures(after).get(roles.RELEASES), after.keys_for(roles.RELEASES)[1]
            changes += [] if signed is None or meets(signed, needed) else [Resign(roles.RELEASES)]
    return changes


@contextmanager
def _new_keys(
    publisher: Publisher, manager: KeyManager, wanted: Rotation, state: State, rotating: Sequence[str]
) -> Iterator[Sequence[PublicKey]]:
    """Make or take the keys, and remove new ones after a failure that published nothing (rules 1 and 3)."""
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            new = _keys(publisher.repository, manager, wanted, state.keys_for(wanted.role)[0])
            _prepare(_TAKES_ROOT.format(state.gun), rotating, publisher.keys)
        except BaseException:  # what a signer of somebody else's raises, too
            undo()
            raise
        try:
            yield new
        except BaseException as error:
            if unanswered(error):
                if isinstance(error, NotarypyError):
                    error.why = (*error.why, "the new key is kept: what was not answered may still arrive")
            elif isinstance(error, _UNPUBLISHED) or not_signed(error) or publisher.handing_over is not None:
                undo()
            raise


def _keys(
    repository: Repository, manager: KeyManager, wanted: Rotation, present: Sequence[PublicKey]
) -> list[PublicKey]:
    """Return the keys that a role is to have, those that stay first, in their order (rule 7)."""
    gun, role, now = repository.gun, wanted.role, repository.now
    kept = wanted.kept(present)
    if not wanted.keys and not kept:
        one = manager.next_root_key(gun, None, now) if role == roles.ROOT else manager.new_key(role, gun)
        return [one]
    known = present if len(wanted.keys) + len(kept) > 1 else ()  # alone, a root key gets a new certificate
    keys = KeysForRole(manager, gun, role, known, now)
    given = [keys.named(selector) for selector in wanted.keys]
    found = {key.canonical_id: key for key in (*kept, *given)}
    return list(found.values())


def _rotating_keys(state: State, publisher: Publisher) -> Sequence[str]:
    """Return the ids of the root keys that sign, of which enough are here; none where others sign a part."""
    if publisher.handing_over is not None:
        return ()
    keys, threshold = state.keys_for(roles.ROOT)
    ids = [key.canonical_id for key in keys]
    if not state.signable(roles.ROOT, publisher.keys.available):
        some = set(ids).intersection(publisher.keys.available)
        advice = Advice("sign-in-parts") if some else Advice("import-root-key")
        raise KeyNotAuthorisedError(
            f"rotating a key of {state.gun} takes its root key, which is not here",
            why=f"{threshold} of these must be here: {', '.join(keyid[:SHORT_KEYID] for keyid in ids)}",
            advice=advice,
            role=roles.ROOT,
            accepted=ids,
            threshold=threshold,
        )
    return [keyid for keyid in ids if keyid in publisher.keys.available]


def _earlier_keys(
    repository: Repository, trusted: TrustedMetadata, versions: int, keys: SigningKeys
) -> tuple[PublicKey, ...]:
    """Return those root keys of so many versions before the present one that are here (rule 8)."""
    found: dict[str, PublicKey] = {}
    for root in _earlier_roots(repository, trusted, versions):
        listed = [root.keys[keyid] for keyid in certificates.usable(root, repository.gun, None)]
        here = {key.keyid: key for key in listed if key.canonical_id in keys.available}
        if not meets((key.canonical_id for key in here.values()), root.roles[roles.ROOT].threshold):
            lacking = ", ".join(dict.fromkeys(key.canonical_id[:SHORT_KEYID] for key in listed))
            repository.warn(
                f"whoever trusts only version {root.version} of the root of {repository.gun} still needs the "
                f"versions after it: its keys are not here ({lacking})"
            )
        found.update(here)
    _LOG.debug("%s: earlier root keys that sign: %s", repository.gun, list(found))
    earlier = dict.fromkeys(key.canonical_id for key in found.values())
    _prepare(f"it is a root key of an earlier version of {repository.gun}", earlier, keys)
    return tuple(found.values())


def _earlier_roots(repository: Repository, trusted: TrustedMetadata, versions: int) -> Iterator[Root]:
    """Yield the roots of so many versions before the present one, the newest first (rule 9)."""
    later, present = trusted.files[roles.ROOT], trusted.root.version
    versions = min(versions, present - 1)
    if versions > (most := repository.limits.root_versions):
        raise UsageError(f"at most {most} earlier versions of a root are looked at", why=f"not {versions}")
    for version in range(present - 1, present - versions - 1, -1):
        data = repository.fetch_version(roles.ROOT, version)
        if data is None:
            raise FileMissingError(
                f"the server does not have version {version} of the root of {repository.gun}",
                why=f"its keys are to sign too; the oldest version that it has is {version + 1}",
                role=roles.ROOT,
            )
        yield earlier_root(repository.gun, later, data, repository.limits)
        later = data


def _prepare(what: str, keyids: Iterable[str], keys: SigningKeys) -> None:
    """Make sure that they could sign now (rule 1); `what` they are for."""
    try:
        keys.prepare(keyids)
    except NotarypyError as error:
        error.why = (*error.why, f"{what}; nothing was changed")
        raise
