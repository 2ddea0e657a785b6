"""Signing by several people: edits become parts, signatures are added to them, and they are published.

What it is: what `--offline-part` and `sign --join` do. What it is not: the form of a part, or whose
signatures count (`tuf.parts`), or how it is sent (`pipeline`).

Rules:

1. While parts are made, what would be published is drafted by the same edit and signed by the keys here,
   maybe none; nothing is sent. One part is of one repository, and of one publish; the first one builds on
   nothing.
2. Before a part is shown it is verified (`partchecks`).
3. The bytes that are signed are those that were shown: a review holds them, and nothing is read again. Of a
   file that a key here has not signed before all is shown, for that is what it vouches for.
4. Where a role has signatures enough, no key is asked for another one.
5. A part is sent only with every threshold met, by the one pipeline: the files as they are, under a snapshot
   made anew. Where the repository has moved on it is refused, and never adapted.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.metadata.lenientrefresh import refresh_to_renew
from notarypy.client.publish.drafts import require_readable, signatures_of
from notarypy.client.publish.initialise import publish_first
from notarypy.client.publish.partchecks import genuine, require_next, require_pinned_first
from notarypy.client.publish.pipeline import STAND_IN, Edit, Published, Publisher, publisher_for
from notarypy.client.publish.serverside import newest_version
from notarypy.errors import (
    Advice,
    KeyNotAuthorisedError,
    NothingThereError,
    PartError,
    RefusedUpdateError,
    UsageError,
)
from notarypy.tuf import roles
from notarypy.tuf.changes import State, apply_all
from notarypy.tuf.draftchanges import DraftChange, draft_changes
from notarypy.tuf.envelope import Envelope, VerificationBudget, seal, valid_keys
from notarypy.tuf.joinedparts import Joined, merged
from notarypy.tuf.keys import SHORT_KEYID
from notarypy.tuf.parts import HalfSigned, NeededSignatures, Part
from notarypy.tuf.plan import Draft, plan
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartReview:
    """What several people sign of a repository, verified, with the signatures so far.

    `changes` are what it makes different, and, with the same before and after, what stays in a file that one
    of the keys here has not signed yet. `required` whose signatures it takes and which are there, `here`
    the keys in this trust directory that are among these. `fresh` tells whether a server said that it builds
    on what is published now.
    """

    repository: str
    changes: tuple[DraftChange, ...]
    required: tuple[NeededSignatures, ...]
    here: tuple[str, ...]
    fresh: bool
    part: Part

    @property
    def missing(self) -> tuple[NeededSignatures, ...]:
        """Those of the `required` that still lack signatures."""
        return self.part.missing

    @property
    def document(self) -> bytes:
        """The part's file."""
        return self.part.document()


@dataclass(frozen=True)
class PartPublished:
    """A part that has been published: these `roles` have new files.

    `root_pins` are the root keys, of which `root_threshold` sign a root.
    """

    repository: str
    roles: tuple[str, ...]
    changes: tuple[DraftChange, ...]
    root_pins: tuple[str, ...]
    root_threshold: int
    published: bool


def make(session: Session, publish: Callable[[], object]) -> PartReview:
    """Return as a part what a call would have published (rule 1)."""
    made: list[Part] = []
    if session.handing_over.get() is not None:
        raise RuntimeError("a part is being made already")
    before = session.handing_over.set(partial(_handed_over, made))
    try:
        publish()
    finally:
        session.handing_over.reset(before)
    if not made:
        raise NothingThereError("nothing would change, so there is nothing to sign")
    if len(made) > 1:
        raise UsageError("a part is of one repository", why=f"these are {len(made)}")
    return _review(session, made[0], fresh=True)


def _handed_over(made: list[Part], publisher: Publisher, edit: Edit, start: State | None) -> Published:
    """Take the place of publishing: draft and sign, and send nothing (rule 1)."""
    repository = publisher.repository
    if start is None:
        trusted = publisher.read(repository)
        before = replace(State.of(trusted), partial=True)
    else:
        trusted = TrustedMetadata(repository.gun, repository.now, limits=repository.limits)
        before = replace(start, partial=True)
    after = apply_all(before, edit(before))
    if start is None:
        after = _above_taken(publisher, trusted, after)
    if after.dirty - {roles.SNAPSHOT}:
        part = _drafted(publisher, trusted, before, after)
        part.require_sound()
        if not part.base:
            require_pinned_first(repository, part)
        tried = {role: seal(file.signed, [STAND_IN]) for role, file in part.files.items()}
        require_readable(repository, tried, trusted.files)
        made.append(part)
    return Published(before, after, uploaded=False, trusted=trusted)


def _above_taken(publisher: Publisher, trusted: TrustedMetadata, state: State) -> State:
    """Return the state with versions above those that delegations of the same names had (`pipeline`: 6)."""
    targets = dict(state.targets)
    for role in filter(roles.is_delegation, state.dirty - trusted.files.keys()):
        newest = newest_version(publisher.repository, role)
        targets[role] = replace(targets[role], version=max(newest, targets[role].version))
    return replace(state, targets=targets)


def _drafted(publisher: Publisher, trusted: TrustedMetadata, before: State, after: State) -> Part:
    drafts = plan(after, publisher.repository.now, publisher.available(after))
    here = publisher.keys.available
    files = {}
    for draft in drafts:
        keys = tuple(key for key in draft.keys if key.canonical_id in here)
        files[draft.role] = HalfSigned(
            draft.signed, signatures_of(Draft(draft.role, draft.signed, keys), publisher.keys)
        )
    above = {role for drafted in files for role in _line(drafted)}
    gone = {role for role in before.targets if role not in after.targets}
    wanted = {roles.ROOT, roles.TARGETS} | above | gone
    base = {role: data for role, data in trusted.files.items() if role in wanted}
    return Part(publisher.repository.gun, base, files, publisher.repository.limits)


def _line(role: str) -> list[str]:
    """Return a role and those above it."""
    return [role, *_line(roles.parent(role))] if roles.is_delegation(role) else [role]


def review(session: Session, documents: Sequence[bytes], root: str | None = None) -> PartReview:
    """Read parts that belong together, verified and merged, for whoever is to sign or publish (rule 2)."""
    if not documents:
        raise UsageError("no part was given")
    budget = VerificationBudget(session.limits.signature_checks, "these parts")
    part = merged([Part.parse(data, session.limits, budget) for data in documents])
    repository = session.repository(part.gun, root).past_caches()
    part = genuine(repository, part, root, offline=session.settings.offline)
    return _review(session, part, fresh=not session.settings.offline)


def _review(session: Session, part: Part, *, fresh: bool) -> PartReview:
    here = frozenset(session.keys().signing_keys().available)
    asked = {keyid for one in part.required for keyid in (*one.signed, *one.could)}
    found = draft_changes(part.before, part.after, {*part.files, *part.gone})
    found += tuple(one for role in part.files for one in _kept(part, role, here, found))
    return PartReview(part.gun, found, part.required, tuple(sorted(asked & here)), fresh, part)


def _kept(part: Part, role: str, here: frozenset[str], found: Sequence[DraftChange]) -> Iterator[DraftChange]:
    """Yield what stays in a file that a key here would sign for the first time (rule 3)."""
    asked = {keyid for one in part.required if one.role == role for keyid in one.could} & here
    if role not in part.base or not asked:
        return
    table = {key.keyid: key for key in part.keys(role).values()}
    file = Envelope.parse(part.base[role], role, part.limits)
    if asked <= valid_keys(file, table, table, part.budget):
        return
    shown = {(one.role, one.kind, one.name, one.after) for one in found}
    for one in draft_changes(None, part.after, [role]):
        if (role, one.kind, one.name, one.after) not in shown:
            yield replace(one, before=one.after)


def sign(session: Session, reviewed: PartReview) -> PartReview:
    """Add the signatures of the keys here that are still wanted (rules 3 and 4).

    KeyNotAuthorisedError: none of them is asked to sign this, or all have signed.
    """
    part, keys = reviewed.part, session.keys().signing_keys()
    added: list[str] = []
    for role, wanted in part.still_wanted(keys.available).items():
        draft = Draft(role, part.files[role].signed, wanted)
        part = part.with_signatures(role, signatures_of(draft, keys))
        added += [key.canonical_id for key in wanted]
    if not added:
        raise unsigned(part, "no key here has anything to sign")
    _LOG.debug("%s: a part got signatures of %s", part.gun, added)
    part = part.counting()
    if not {*added} <= {keyid for one in part.required for keyid in one.signed}:
        raise PartError("a signature that was made here does not verify", gun=part.gun)
    return _review(session, part, fresh=reviewed.fresh)


def publish(session: Session, reviewed: PartReview) -> PartPublished:
    """Publish a part whose thresholds are met (rule 5); else KeyNotAuthorisedError."""
    part = reviewed.part
    if part.missing:
        raise unsigned(part, "it is not signed by enough")
    publisher = publisher_for(session, part.gun)
    if part.base:
        publisher = replace(publisher, read=refresh_to_renew, finished=part.sealed(), handing_over=None)
        try:
            done = publisher.publish(lambda _: [Joined(part)])
        except RefusedUpdateError:
            require_next(publisher.repository, part)  # somebody may have taken the version meanwhile
            raise
        published, root = done.uploaded, done.trusted.root
    else:
        published, root = publish_first(publisher, part.sealed()), part.after.root
    changed = (tuple(part.files), reviewed.changes, root.pins, root.roles[roles.ROOT].threshold)
    return PartPublished(part.gun, *changed, published=published)


def unsigned(part: Part, what: str) -> KeyNotAuthorisedError:
    """Return the error that says whose signatures are missing."""
    left = part.missing or part.required
    names = ", ".join(dict.fromkeys(one.role for one in left))
    return KeyNotAuthorisedError(
        f"{names} of {part.gun}: {what}",
        why=tuple(map(words, left)),
        advice=Advice("add-signatures" if part.missing else "join-part", file="FILE"),
        gun=part.gun,
        missing={one.role: list(one.could) for one in part.missing},
    )


def words(one: NeededSignatures) -> str:
    """Say what is there of the signatures that a role takes."""
    signed, could = (", ".join(keyid[:SHORT_KEYID] for keyid in ids) for ids in (one.signed, one.could))
    whose = f"{one.role}, by the keys it had" if one.former else one.role
    left = f"; could sign: {could or 'nobody else'}" if one.missing else ""
    return f"{whose}: {len(one.signed)} of {one.threshold}, signed by {signed or 'nobody'}{left}"
