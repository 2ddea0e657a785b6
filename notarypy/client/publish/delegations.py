"""Signers: who may sign a repository's tags.

What it is: what `delegate add` and `signer add` want to be true. What it is not: how it is published
(`pipeline`), or how signers and paths go (`removing`).

Rules:

1. A signer gets the role `targets/NAME`, and is added to `targets/releases`, where released tags are listed,
   unless asked otherwise.
2. A repository without trust data is initialised in the same publish.
3. Where a signer takes several signatures, `targets/releases` takes as many, or fewer of them could release
   tags alone. One in which others release, too, is not changed unasked: whoever adds such a signer says
   first what it takes.
4. A file that has fewer signatures than its role takes from now on is signed again in the same publish.
5. A key that a role which takes several signatures lists already is not listed under another id
   (`tuf.changes`: 6), and that is said.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.publish.initialise import Wanted, additions, initialise
from notarypy.client.publish.pipeline import publisher_for
from notarypy.client.publish.signing import no_signer
from notarypy.client.results import SignerAdded
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.changes import AddDelegation, Change, Resign, State, apply_all
from notarypy.tuf.keys import SHORT_KEYID, meets
from notarypy.tuf.vouching import signatures
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_PATTERN = re.compile(r"[*?\[\]]")


def add(
    session: Session,
    name: str,
    repository: str,
    keys: Sequence[bytes],
    *,
    paths: Sequence[str] = ("",),
    releases: bool = True,
    threshold: int | None = None,
) -> SignerAdded:
    """Let the holders of keys sign, and say so if that lets them do more than it may seem (rules 1 to 4).

    Without `keys` a signer that is there gets another threshold.
    """
    require_lists(keys=keys, paths=paths)
    role = roles.signer_role(name)
    for path in paths:
        _require_prefix(path)
    public = session.public_keys(keys) if keys or threshold is None else []
    changes = additions(role, public, paths if public else (), threshold, releases=releases)
    if public and releases and "" not in paths:
        _warn_of_releases(session, name, "--no-releases keeps it out")
    publisher = publisher_for(session, repository)
    ids, gun = tuple(dict.fromkeys(key.canonical_id for key in public)), publisher.repository.gun
    _LOG.debug("%s: %s gets the keys %s", gun, role, ids)
    if public and publisher.handing_over is None and publisher.repository.cache.load_root() is None:
        with suppress(AlreadyExistsError):
            created = initialise(publisher, session.keys(), Wanted(changes=changes))
            if created.created:
                return SignerAdded(gun, role, ids, created, published=True)
    done = publisher.publish(lambda state: _fitting(state, changes))
    takes = done.after.keys_for(role)[1]
    _say_what_is_listed(session, done.after, changes)
    return SignerAdded(gun, role, ids, None, published=done.uploaded, threshold=takes)


def _fitting(state: State, changes: Sequence[AddDelegation]) -> Sequence[Change]:
    """Return the changes as they fit what is there (rules 3 and 4); the first one is the signer's."""
    signer, *releasing = changes
    if signer.threshold is not None:
        if not signer.keys and state.delegation(signer.role) is None:
            raise no_signer(state, roles.signer_name(signer.role))
        if releasing and state.delegation(roles.RELEASES) is not None:
            releasing = _of_releases(state, signer)
        elif not signer.keys:
            releasing = []
    fitting = [signer, *releasing]
    after = apply_all(state, fitting)
    if all(after.keys_for(change.role)[1] == 1 for change in fitting):
        return fitting
    signed = signatures(after)
    few = [role for role in (signer.role, roles.RELEASES) if role in signed]
    return [*fitting, *(Resign(role) for role in few if not meets(signed[role], after.keys_for(role)[1]))]


def _say_what_is_listed(session: Session, after: State, changes: Sequence[AddDelegation]) -> None:
    """Say which of the keys that were given are listed under another id (rule 5)."""
    for change in changes:
        if after.delegation(change.role) is not None:
            listed = {key.keyid for key in after.keys_for(change.role)[0]}
            if again := [key.canonical_id[:SHORT_KEYID] for key in change.keys if key.keyid not in listed]:
                session.warn(
                    f"{change.role} of {after.gun} has {', '.join(again)} already, bare or in a certificate: "
                    "it is not listed twice, for docker would take one signature for two"
                )


def _of_releases(state: State, signer: AddDelegation) -> list[AddDelegation]:
    """Return what becomes of releases that are there (rule 3)."""
    threshold = signer.threshold or 1
    own = {key.canonical_id for key in apply_all(state, [signer]).keys_for(signer.role)[0]}
    keys, takes = state.keys_for(roles.RELEASES)
    owners = {key.canonical_id for key in state.keys_for(roles.TARGETS)[0]}  # who may change all of it
    listed = {key.canonical_id for key in keys} - owners
    if not signer.keys and not own & listed:
        return []
    if listed <= own:
        return [replace(signer, role=roles.RELEASES, paths=("",))]
    if takes < threshold:
        raise _released_by_fewer(state, signer.role, threshold)
    return [AddDelegation(roles.RELEASES, signer.keys)]


def _released_by_fewer(state: State, role: str, threshold: int) -> UsageError:
    takes, name = state.keys_for(roles.RELEASES)[1], roles.signer_name(role)
    return UsageError(
        f"{name} is to take {threshold} signatures, and {roles.RELEASES} of {state.gun} takes {takes}",
        why="each of its keys could release tags alone, and others release there, too",
        advice=Advice("raise-releases", gun=state.gun, threshold=threshold),
    )


def paths_left(session: Session, state: State, role: str) -> tuple[str, ...]:
    """Return the paths that a signer has after some were taken, and say what may surprise."""
    left, name = state.paths(role), roles.signer_name(role)
    if not left:
        session.warn(f"{name} may sign no tag of {state.gun} any more; its keys are listed still")
    if "" in left or role == roles.RELEASES or state.delegation(roles.RELEASES) is None:
        return left
    own, releasing = ({key.canonical_id for key in state.keys_for(of)[0]} for of in (role, roles.RELEASES))
    if own & releasing:
        _warn_of_releases(session, name, "to keep it out, remove the signer and add it with --no-releases")
    return left


def _warn_of_releases(session: Session, name: str, way_out: str) -> None:
    """Say that the paths of a signer who releases tags are no wall."""
    session.warn(
        f"{name} is limited by those who look at signers only: its key is in targets/releases too, "
        f"whose paths cover every tag; {way_out}"
    )


def _require_prefix(path: str) -> None:
    """Refuse a pattern: as a prefix it would stand for no tag, and nobody could sign with it."""
    roles.check_path(path)
    plain = path.rstrip("*?")
    if _PATTERN.search(path):
        advice = Advice("write-prefix", prefix=plain) if plain and not _PATTERN.search(plain) else None
        why = "a path is a prefix: it admits what begins with it, and no tag has one of * ? [ ] in it"
        raise InvalidNameError(f'"{path}" is a pattern, and no prefix of tags', why=why, advice=advice)
