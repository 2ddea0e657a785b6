"""Whether a part is what it says, of the repository it names: asked before it is shown, signed or published.

What it is: a part compared with what the server has published, or with what is known and pinned here. What it
is not: the form of a part (`tuf.parts`), or its place in a state (`tuf.joinedparts`).

Rules:

1. A part names its repository by the very name that it has here.
2. Its base is what the server has published, as far as it matters (`tuf.joinedparts`: 2). The root in it is
   the present one, or an earlier one that this vouches for (`tuf.trustanchors`). A draft of a role without a
   file has the version after all that the server has had: another one could lock everybody out.
3. Without a server its root is a pinned or known one or follows from that, the files in the base are signed
   below it and none is older than what is known here; nobody can say whether it is the newest, and that is
   said. Of a role without a file the version is at most one that locks nobody out.
4. A first root has every key that a pin of the caller names, and meets all pins there are as if its keys had
   signed; there is no other root yet.
5. Nobody signs what has ended.
6. What is published already has the signatures that it was published with.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.metadata.lenientrefresh import refresh_to_renew
from notarypy.client.metadata.roots import first_root, require_pinned
from notarypy.client.publish.serverside import newest_version, version_of
from notarypy.errors import (
    Advice,
    OutdatedPartError,
    PartError,
    RepositoryMissingError,
    RollbackError,
    RootNotPinnedError,
    TrustError,
)
from notarypy.tuf import certificates, roles, trustanchors
from notarypy.tuf.changes import State
from notarypy.tuf.envelope import Envelope, Signature, VerificationBudget
from notarypy.tuf.joinedparts import Joined, require_verified
from notarypy.tuf.keys import PublicKey, meets
from notarypy.tuf.trustanchors import FirstUse, earlier_root, root_ids
from notarypy.tuf.trusted import TrustedMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.parts import Part

_UNASKED = 1024  # versions that a role may have had of which nobody here can ask the server


def genuine(repository: Repository, part: Part, pins: str | None, *, offline: bool) -> Part:
    """Return a part that may be shown (rules 1 to 6), else raise an error; `pins` are the caller's."""
    if repository.gun != part.gun:
        raise PartError("the part names no repository", why=f'"{part.gun}" would be {repository.gun}')
    if not part.base:
        part = _require_first(repository, part, pins, offline=offline)
    elif offline:
        _require_plausible(repository, part)
    else:
        part = _require_present(repository, part)
    require_verified(part)
    _require_in_date(part, repository)
    return part


def _completed(part: Part, published: Mapping[str, bytes]) -> Part:
    """Return a part with the signatures that published files of the same content have (rule 6)."""
    for role, file in part.files.items():
        if role in published:
            there = Envelope.parse(published[role], role, part.limits)
            if there.canonical == file.text:
                part = part.with_signatures(role, there.signatures)
    return part.counting()


def _require_present(repository: Repository, part: Part) -> Part:
    """Compare a part with what the server has published (rule 2)."""
    trusted = refresh_to_renew(repository)
    state = State.of(trusted)
    joined = Joined(part).apply(state)
    if part.base[roles.ROOT] != trusted.files[roles.ROOT]:
        _require_earlier_root(repository, part, trusted)
    if joined is not state:
        require_next(repository, part)
    return _completed(part, trusted.files)


def _require_earlier_root(repository: Repository, part: Part, trusted: TrustedMetadata) -> None:
    """Refuse a base whose root the published one does not vouch for, or that never was published."""
    gun, limits, base, later = repository.gun, repository.limits, part.base[roles.ROOT], trusted.root.version
    number = 0 if part.before is None else part.before.root.version
    try:
        if not later > number >= later - limits.root_versions:
            raise PartError(f"it is version {number}, and version {later} is published")
        data = trusted.files[roles.ROOT]
        for between in range(later - 1, number, -1):
            link = repository.fetch_version(roles.ROOT, between)
            if link is not None:
                earlier_root(gun, data, link, limits)
                data = link
        earlier_root(gun, data, base, limits)
        if repository.fetch_version(roles.ROOT, number) not in {None, base}:
            raise PartError(f"the server has another root of version {number}")
    except TrustError as error:
        raise PartError(
            f"the part builds on a root that is none of {gun}",
            why=(error.message, *error.why),
            advice=Advice("make-part-anew"),
        ) from error


def require_next(repository: Repository, part: Part) -> None:
    """Refuse drafts of roles without a file that are not next after all the server has had (rule 2)."""
    for role in filter(roles.is_delegation, part.files.keys() - part.base.keys()):
        version, newest = part.after.targets[role].version, newest_version(repository, role)
        if version != newest + 1:
            raise (OutdatedPartError if version <= newest else PartError)(
                f"{role} in the part is not the next version",
                why=f"version {version}; the newest one that the server has had is {newest or 'none'}",
                advice=Advice("make-part-anew"),
                gun=part.gun,
                role=role,
            )


class _Signed(Envelope):
    """A draft as if those keys had signed it whose ids are there."""

    def signed_by(self, key: PublicKey, entry: Signature, budget: VerificationBudget | None) -> bool:  # noqa: ARG002
        return True


def require_pinned_first(repository: Repository, part: Part) -> None:
    """Refuse a first root that would meet the pins of no setting if all its keys had signed (rule 4)."""
    root, gun = part.after.root, repository.gun
    usable = certificates.usable(root, gun, None)
    signatures = tuple(Signature(keyid, "", b"") for keyid in usable)
    draft = _Signed(b"", part.files[roles.ROOT].signed, signatures, part.limits)
    trustanchors.require(repository.roots, gun, root, usable, draft)


def _require_first(repository: Repository, part: Part, pins: str | None, *, offline: bool) -> Part:
    """Refuse a first root where there is another one, or whose keys are not the pinned ones (rule 4)."""
    root = part.after.root
    ids = frozenset[str]().union(*(root_ids(root, one) for one in root.roles[roles.ROOT].keyids))
    others = set(pins.split(",") if pins else ()) - ids
    if others:
        raise RootNotPinnedError(
            f"the first root of {part.gun} has another key", why=f"not of it: {', '.join(sorted(others))}"
        )
    require_pinned_first(repository, part)
    known, published = repository.cache.load_root(), dict[str, bytes]()
    if not offline:
        with suppress(RepositoryMissingError):
            published = refresh_to_renew(repository).files
            known = published[roles.ROOT]
    if known is not None and Envelope.parse(known, roles.ROOT).canonical != part.files[roles.ROOT].text:
        raise OutdatedPartError(
            f"{part.gun} has trust data already", why="the part is of a first root", gun=part.gun
        )
    return _completed(part, published)


def _require_in_date(part: Part, repository: Repository) -> None:
    """Refuse what has ended, or whose certificates have (rule 5)."""
    root = part.after.root
    if roles.ROOT in part.files:
        usable = certificates.usable(root, part.gun, repository.now)
        if not meets((root.keys[one].canonical_id for one in usable), root.roles[roles.ROOT].threshold):
            why = "too few of its keys have a certificate for the repository that is in date"
            raise PartError("the root in the part cannot be used", why=why, advice=Advice("make-part-anew"))
    for role in part.files:
        file = part.after.root if role == roles.ROOT else part.after.targets[role]
        if file.expires <= repository.now:
            why = f"it ended on {file.expires:%Y-%m-%d}"
            raise PartError(f"{role} in the part has ended", why=why, advice=Advice("make-part-anew"))


def _require_plausible(repository: Repository, part: Part) -> None:
    """Check what a part builds on without a server (rule 3)."""
    blank = partial(TrustedMetadata, repository.gun, repository.now, limits=repository.limits)
    known, cached, base = blank(), repository.cache.load_root(), part.base.get(roles.ROOT, b"")
    if cached is not None:
        known.first_root(cached)
        known.update_root(base)
        try:
            blank().first_root(cached, repository.roots)
        except RootNotPinnedError:
            require_pinned(repository, base, blank)
    else:
        root = known.first_root(base, repository.roots)
        if isinstance(repository.roots, FirstUse):
            repository.decide(first_root(repository, root, base), allowed=repository.roots.allowed)
    for role in {*part.base, *part.files} - {roles.ROOT}:
        seen, data = repository.cache.load(role), part.base.get(role)
        if seen is not None and seen != data:
            _require_newer(repository, role, seen, data)
        if data is None and part.after.targets[role].version > _UNASKED:
            why = f"version {part.after.targets[role].version}, and here nobody can say what came before"
            raise PartError(f"{role} in the part may be far ahead", why=why, role=role)


def _require_newer(repository: Repository, role: str, seen: bytes, data: bytes | None) -> None:
    was = version_of(repository, role, seen)
    now = 0 if data is None else version_of(repository, role, data)
    if not 0 < was < now:
        raise RollbackError(
            f"the part builds on an older {role} of {repository.gun} than the one known here",
            why=f"version {now or 'none'}; known here: {was}",
            advice=Advice("make-part-anew"),
            role=role,
        )
