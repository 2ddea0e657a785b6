"""Revoke tags: take them out of every role whose key is here.

What it is: what `revoke` wants to be true of one repository. What it is not: how it is published
(`pipeline`); and nothing is removed from the registry.

Rules:

1. A tag is removed from every role that lists it, `targets` and all delegations alike, and whose keys, up to
   the threshold, are here. `--signer N` narrows this to `targets/N`, which must list the tag, and
   `targets/releases`.
2. All tags of a repository are one publish, all or nothing. A tag that no role lists is an error, and so is
   one that only roles list whose keys are elsewhere.
3. `--all` means every tag that a role lists. None at all is fine; a released one that can be removed nowhere
   is an error.
4. Whoever still lists a tag afterwards is named. A tag that stays released, because one of `targets` and
   `targets/releases` still lists it, is warned of; so is a role that cannot be read, which may list anything.
5. `REPO:TAG@DIGEST` revokes the tag only while nothing but this digest is listed.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from notarypy.client.publish.pipeline import Published, Publisher, publisher_for
from notarypy.client.publish.signing import digests, no_signer, whose_keys
from notarypy.client.results import RevokedTag
from notarypy.client.workers import gathered
from notarypy.errors import Advice, DigestMismatchError, KeyNotAuthorisedError, TagUnsignedError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.changes import Change, RemoveTarget, State
from notarypy.tuf.plan import half_signable
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from notarypy.client.session import Session
    from notarypy.images.reference import Reference

    Tags = Mapping[str, str | None]

_LOG = logging.getLogger(__name__)


def _tags_of(references: Sequence[Reference]) -> dict[str, str | None]:
    """Return the tags to revoke, each with the digest it must have (rule 5), or None."""
    wanted: dict[str, str | None] = {}
    for reference in references:
        if reference.tag is None and reference.digest is not None:
            raise UsageError(
                f"{reference.repository}@{reference.digest} names no tag",
                why="what is revoked is a tag",
                advice=Advice("name-a-tag", gun=reference.repository),
            )
        tag = reference.tag or "latest"
        known = wanted.get(tag)
        if None not in {known, reference.digest} and known != reference.digest:
            raise UsageError(f"{reference.repository}:{tag} is named with two digests")
        wanted[tag] = known or reference.digest
    return wanted


def revoke_references(session: Session, texts: Sequence[str], signer: str | None) -> list[RevokedTag]:
    """Revoke what references name; all of them are read first, and all repositories are tried."""
    groups: dict[str, list[Reference]] = {}
    for text in texts:
        groups.setdefault(session.gun(text)[0], []).append(session.parse(text))
    wanted = {gun: _tags_of(group) for gun, group in groups.items()}
    calls = [partial(_revoke, session, gun, tags, signer) for gun, tags in wanted.items()]
    return list(chain.from_iterable(gathered(calls)))


def revoke_all(session: Session, repository: str, signer: str | None) -> list[RevokedTag]:
    """Remove every tag of a repository, or every tag of one signer (rule 3)."""
    session.whole_repository(repository)
    return _revoke(session, repository, None, signer)


def _revoke(session: Session, gun: str, wanted: Tags | None, signer: str | None) -> list[RevokedTag]:
    """Remove tags from every role whose key is here; return one result per tag, in order."""
    publisher = publisher_for(session, gun).only(signer)
    done = publisher.publish(_Revocation(publisher, signer, wanted).edit)
    results = [_result(done, tag) for tag in wanted or dict.fromkeys(_listed(done.before, signer))]
    for one in results:
        _LOG.debug("%s was taken out of %s, and stays in %s", one.reference, one.roles, one.still)
    _warn(publisher.repository.warn, results, done.after)
    return results


@dataclass
class _Revocation:
    """One publish. `tried` tells that an earlier try may have done it, though its answer was lost."""

    publisher: Publisher
    signer: str | None
    wanted: Tags | None
    tried: bool = False

    def edit(self, state: State) -> Sequence[Change]:
        available = self.publisher.available(state)
        if self.signer is not None and state.delegation(roles.signer_role(self.signer)) is None:
            raise no_signer(state, self.signer)
        changes: list[Change] = []
        for tag, digest in (self.wanted or dict.fromkeys(_listed(state, self.signer))).items():
            _check_digest(state, tag, digest)
            usable = self._usable(state, tag, available)
            if not usable and not self.tried:
                self._refuse(state, tag, available)
            changes += [RemoveTarget(role, tag) for role in usable]
        self.tried = True
        return changes

    def _usable(self, state: State, tag: str, available: Collection[str]) -> list[str]:
        """Return the roles to remove a tag from (rule 1)."""
        listing = list(digests(state, tag))
        if self.signer is not None:
            own = roles.signer_role(self.signer)
            listing = [role for role in (own, roles.RELEASES) if role in listing] if own in listing else []
        return [role for role in listing if state.signable(role, available)]

    def _refuse(self, state: State, tag: str, available: Collection[str]) -> None:
        """Raise what stands against revoking a tag (rules 2 and 3)."""
        listing = list(digests(state, tag))
        if self.wanted is None and set(listing).isdisjoint(roles.RELEASING):
            return
        if self.signer is not None:
            listing = [role for role in listing if role == roles.signer_role(self.signer)]
        if listing:
            raise _not_authorised(state, tag, listing, available)
        for error in state.failures.values():
            raise error
        raise _unsigned(state, tag, self.signer)


def _warn(warn: Callable[[str], None], results: Sequence[RevokedTag], after: State) -> None:
    """Name who still lists a tag (rule 4)."""
    for done in results:
        if done.still_released:
            where = ", ".join(role for role in done.still if role in roles.RELEASING)
            warn(f"{done.reference} is still released: {where} lists it, and its key was not used here")
        elif done.still:
            warn(f"{', '.join(done.still)} still lists {done.reference}")
    what = "still list what was revoked" if results else "list tags"
    for role, error in after.failures.items():
        warn(f"{role} of {after.gun} may {what}: {error.message}")


def _listed(state: State, signer: str | None) -> list[str]:
    only = None if signer is None else roles.signer_role(signer)
    files = [file for role, file in state.targets.items() if only in {None, role}]
    return sorted({tag for file in files for tag in file.targets})


def _check_digest(state: State, tag: str, digest: str | None) -> None:
    """Refuse a tag that has another digest than the one named (rule 5)."""
    others = {role: found for role, found in digests(state, tag).items() if found != digest}
    if digest is not None and others:
        raise DigestMismatchError(
            f"{state.gun}:{tag} is signed with another digest than the one named",
            why=tuple(f"{role} lists {found}" for role, found in others.items()),
            advice=Advice("leave-revoked-digest"),
            gun=state.gun,
            tag=tag,
        )


def _result(done: Published, tag: str) -> RevokedTag:
    before, after = digests(done.before, tag), digests(done.after, tag)
    removed = tuple(role for role in before if role not in after)
    released = next((before[role] for role in roles.RELEASING if role in before), None)
    return RevokedTag(
        repository=done.before.gun,
        tag=tag,
        digest=released or next((before[role] for role in removed), None),
        roles=removed,
        still=tuple(after),
        published=done.uploaded and bool(removed),
    )


def _not_authorised(
    state: State, tag: str, listing: Sequence[str], available: Collection[str]
) -> KeyNotAuthorisedError:
    accepted = {role: [key.canonical_id for key in state.keys_for(role)[0]] for role in listing}
    who, here = whose_keys(state, listing, available)
    half = half_signable(state, listing, available)
    return KeyNotAuthorisedError(
        f"none of your keys may revoke {state.gun}:{tag}{' alone' if half else ''}",
        why=(f"keys that may revoke it: {who}", here, *half),
        advice=Advice("sign-in-parts") if half else Advice("load-revoking-key"),
        gun=state.gun,
        tag=tag,
        accepted=accepted,
    )


def _unsigned(state: State, tag: str, signer: str | None) -> TagUnsignedError:
    if signer is None:
        message, advice = f"{state.gun}:{tag} is not signed", Advice("inspect-tags", gun=state.gun)
    else:
        message = f"{signer} has not signed {state.gun}:{tag}"
        advice = Advice("inspect-signer", gun=state.gun)
    why = "no role lists it" if signer is None else ""
    return TagUnsignedError(message, why=why, advice=advice, gun=state.gun, tag=tag)
