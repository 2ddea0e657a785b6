"""Staged changes: listed, made, dropped, and published all at once.

What it is: Go notary's changelist as one edit of the `pipeline`. What it is not: the files
(`storage.changelist`), or what each change means (`tuf.applystaged`).

Rules:

1. To stage, list and drop asks no server and needs no key. A change that nobody could ever publish is not
   staged: a name, a role or custom data that cannot be signed.
2. What is published is what was there when it began; exactly these files are removed, after it has succeeded.
   To publish them twice would undo what others signed in between, so what is sent is noted before. Who finds
   such a note looks whether the server has it: then only the files go, which says so.
3. Two that publish one changelist wait for each other.
4. A repository that was only begun here is published with them, and one that nobody knows is begun
   (`stagedinit`).
5. In a part for others to sign the files stay: it may never be published.
6. Numbers are those of the list, from 0, as Go shows them; files that are no changes have none, and go only
   when all go. All can go whatever they are: nothing of them is read then.
7. An error of a key says which changes need it.
8. A file that its role's keys no longer sign is said: readers lose what it lists until it is signed again.
9. Such a file is witnessed, its content kept, only if this trust directory has verified the very same one
   before: whoever has the server could put any other in its place, to be signed by us. Go signs whatever is
   there.
10. While there is a file that is no change, nothing is published, as with Go: it may be half of one.
11. Keys and paths of a new delegation are two changes, as Go stages them, the keys first: whoever is killed
    between the two has staged a role that may list nothing.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from notarypy.client.publish import stagedinit
from notarypy.client.publish.initialise import Wanted
from notarypy.client.publish.pipeline import publisher_for
from notarypy.client.publish.serverside import landed, upload_of
from notarypy.errors import Advice, KeyAccessError, MetadataError, StorageError, UsageError
from notarypy.files import AT_WORK
from notarypy.storage.changelist import Changelist
from notarypy.tuf import roles
from notarypy.tuf.applystaged import Applied, Reached, apply_staged
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import meets
from notarypy.tuf.metadata import Targets
from notarypy.tuf.stagedchanges import DELEGATION, WITNESS, Staged, StagedDetails, details
from notarypy.tuf.vouching import signatures
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.publish.pipeline import Published, Publisher
    from notarypy.client.publish.stagedinit import StagedInit
    from notarypy.client.session import Session
    from notarypy.storage.changelist import StagedFile
    from notarypy.tuf.changes import Change, State

_LOG = logging.getLogger(__name__)
_SHOWN, _NOTED = 20, 20
_UNSEEN = "whoever did it could not see it to the end"


@dataclass(frozen=True)
class StagedChange:
    """A staged change by its number; `file` is its file in the changelist, `details` what it contains."""

    number: int
    action: str
    role: str
    type: str
    path: str
    file: str
    details: StagedDetails


@dataclass(frozen=True)
class DroppedChange:
    """A change that was not published, since it changes nothing that exists, and why."""

    change: StagedChange
    why: str


@dataclass(frozen=True)
class StagedPublished:
    """What became of staged changes: those that are `published`, and those that were `dropped`.

    `uploaded` are root, targets and delegations as far as they have new files; none where all was true
    already. `created` tells that the repository had no trust data at its server before, `begun` what was made
    for one that nobody knew. `root_pins` are its root keys.
    """

    repository: str
    published: tuple[StagedChange, ...]
    dropped: tuple[DroppedChange, ...]
    uploaded: tuple[str, ...]
    created: bool
    begun: StagedInit | None
    root_pins: tuple[str, ...]


def changelist(session: Session, text: str) -> Changelist:
    """Return the changelist of the repository that a text names."""
    session.whole_repository(text)
    gun, _ = session.gun(text, whole=True)
    directory = session.directory()
    return Changelist(gun, directory.repository(gun).directory.parent, directory.path, session.limits)


def listed(session: Session, text: str) -> list[StagedChange]:
    """Return the staged changes by number; warn of files that are none (rule 6)."""
    return _numbered(_read(session, text))


def stage(session: Session, text: str, changes: Sequence[Staged]) -> None:
    """Stage changes for the next publish."""
    names = changelist(session, text).add(changes, session.now())
    _LOG.debug("%s: staged %s", text, dict(zip(names, (one.words for one in changes), strict=True)))


def reset(session: Session, text: str, numbers: Sequence[int] | None) -> int:
    """Drop changes by number, None: all files; return how many. A wrong number: UsageError, and none goes."""
    found = changelist(session, text)
    if not found.names() and not found.sent.exists():  # and nothing is made for a lock
        _by_number(found, numbers or ())
        return 0
    cache = session.directory().repository(session.gun(text, whole=True)[0])
    with cache.lock(session.settings.retry_for, "staged"):
        chosen = set(found.names() if numbers is None else _by_number(found, numbers))
        found.remove(chosen)
        if numbers is None:
            found.sent.remove()
    return len(chosen)


def _by_number(found: Changelist, numbers: Sequence[int]) -> list[str]:
    names = [one.name for one in found.read().changes]
    for number in numbers:
        if not 0 <= number < len(names):
            why = f"there are {len(names)}, counted from 0" if names else "nothing is staged"
            raise UsageError(f"there is no staged change {number}", why=why)
    return [names[number] for number in numbers]


def publish(session: Session, text: str) -> StagedPublished:
    """Publish all that is staged, and the repository itself where it is only here (rules 2 to 8)."""
    session.whole_repository(text)
    publisher = publisher_for(session, text, staged=True)
    repository, begun = publisher.repository, None
    found = changelist(session, text)
    with _alone(repository, found, publisher.patience.seconds):
        _settle(publisher, found)
        edit = _StagedEdit(publisher, _all_of(found), found)
        created = publisher.handing_over is None and stagedinit.is_unpublished(repository)
        if created and roles.ROOT not in repository.cache.cached():
            begun = stagedinit.begin(session, publisher, Wanted(snapshot="local"))
            edit.use(publisher_for(session, text, staged=True))
        if created and begun is None and repository.gun not in session.begun:
            stagedinit.warn_of_first(repository)
        done = edit.publish(first=created)
        session.begun.discard(repository.gun)
        for note in (*edit.applied.notes, *_unsigned(done.before, done.after)):
            session.warn(note)
        if publisher.handing_over is None:
            _remove(found, [one.name for one in edit.files])
    return _result(edit, done, begun, created=created)


@contextmanager
def _alone(repository: Repository, found: Changelist, seconds: float) -> Iterator[None]:
    """Keep others out; where no lock can be made that is no harm if nothing is here to be published."""
    with ExitStack() as held:
        try:
            held.enter_context(repository.cache.lock(seconds, "staged"))
        except StorageError as error:
            if error.message == AT_WORK or found.names() or stagedinit.is_unpublished(repository):
                raise
        yield


def _settle(publisher: Publisher, found: Changelist) -> None:
    """Remove the files of changes that were published by somebody who could not do it any more (rule 2)."""
    repository = publisher.repository
    try:
        noted, uploads = found.sent.read()
    except (StorageError, MetadataError) as error:
        repository.warn(f"{found.sent.path} is passed over: {error.message}")
        return
    left = sorted({*noted} & {*found.names()}) if uploads else []
    if left and not stagedinit.is_unpublished(repository):
        trusted = publisher.read(repository)
        if any(landed(repository, trusted, upload) for upload in uploads):
            repository.warn(f"{len(left)} of the changes that were staged are published already: {_UNSEEN}")
            _remove(found, left)
            return
    found.sent.remove()


def _remove(found: Changelist, names: Sequence[str]) -> None:
    try:
        found.remove(names)
        found.sent.remove()
    except StorageError as error:
        why = f"what was staged of {found.gun} is published; the next publish removes the files that are left"
        raise error.saying(why) from error


class _StagedEdit:
    """An edit that makes what is staged true, and notes what is sent for it."""

    def __init__(self, publisher: Publisher, files: Sequence[StagedFile], found: Changelist) -> None:
        self.files, self.found = files, found
        self.uploads: list[Mapping[str, tuple[int, str]]] = []
        self.use(publisher)
        self.changes = [(number, file.change) for number, file in enumerate(files)]
        self.applied: Applied

    def __call__(self, state: State) -> Sequence[Change]:
        witnessed = {change.role for _, change in self.changes if change.type == WITNESS}
        for role in witnessed & state.failures.keys():
            state = _verified_before(self.publisher.repository, state, role)
        self.applied = apply_staged(state, self.changes, self._signable)
        return [Reached(self.applied.state)]

    def use(self, publisher: Publisher) -> None:
        """Publish with this one."""
        self.publisher = replace(publisher, sending=self._note)

    def _note(self, sent: Mapping[str, bytes]) -> None:
        """Note what is sent, beside what was sent before and may still arrive (rule 2)."""
        self.uploads = [*self.uploads, upload_of(self.publisher.repository, sent)][-_NOTED:]
        if self.files:
            self.found.note([one.name for one in self.files], self.uploads)

    def _signable(self, state: State, role: str) -> bool:
        by_others = self.publisher.handing_over is not None
        return by_others or state.signable(role, self.publisher.available(state))

    def publish(self, *, first: bool) -> Published:
        """Publish it, the repository too if that is only here; an error of a key names changes (rule 7)."""
        try:
            done = stagedinit.publish_first(self.publisher, self) if first else None
            return done or self.publisher.publish(self)
        except KeyAccessError as error:
            wanted = error.facts.get("role")
            needed = [number for number, change in self.changes if _signed_by(change) == wanted]
            if not needed:
                raise
            shown = ", ".join(map(str, needed[:_SHOWN])) + (", ..." if needed[_SHOWN:] else "")
            raise error.saying(f"it signs what is staged as {shown}", staged=needed) from None


def _verified_before(repository: Repository, state: State, role: str) -> State:
    """Return the state with a distrusted file that was trusted here before, if that is so (rule 9)."""
    data, version = repository.cache.load(role), state.failures[role].facts.get("version")
    if data is None or not isinstance(version, int):
        return state
    file = Envelope.parse(data, role, state.limits)
    if file.version != version or repository.fetch_version(role, version) != data:
        return state
    targets = Targets.from_signed(file.signed, role, state.limits)
    _LOG.debug("%s: version %d of %s is the one that was verified here", state.gun, version, role)
    failures = {name: error for name, error in state.failures.items() if name != role}
    return replace(state, targets={**state.targets, role: targets}, failures=failures)


def _signed_by(change: Staged) -> str:
    """Return the role whose keys sign the file that a change is made in."""
    if change.type != DELEGATION:
        return change.role
    return roles.parent(change.role)


def _unsigned(before: State, after: State) -> list[str]:
    """Say which files nobody can verify any more, since their keys went (rule 8)."""
    both = [role for role in after.targets if roles.is_delegation(role) and before.delegation(role)]
    changed = {role for role in both if before.keys_for(role) != after.keys_for(role)} - after.dirty
    signed = signatures(after) if changed else {}  # which looks at every file
    few = [one for one in sorted(changed & signed.keys()) if not meets(signed[one], after.keys_for(one)[1])]
    return [f"{one} is signed by too few of its keys now: readers lose it until it is again" for one in few]


def _all_of(found: Changelist) -> Sequence[StagedFile]:
    """Return all that is staged; raise UsageError if a file is no change that can be read (rule 10)."""
    read = found.read()
    for name, problem in read.unusable.items():
        path = found.directory / name
        why = (problem, "it may be one that was to be published, so nothing is")
        advice = Advice("drop-unreadable", gun=found.gun)
        raise UsageError(f"{path} is no staged change", why=why, advice=advice, path=str(path))
    return read.changes


def _read(session: Session, text: str) -> Sequence[StagedFile]:
    found = changelist(session, text)
    read = found.read()
    for name, problem in read.unusable.items():
        session.warn_once(f"{found.directory / name} is no staged change, and is left out: {problem}")
    return read.changes


def _numbered(files: Sequence[StagedFile]) -> list[StagedChange]:
    return [
        StagedChange(number, found.action, found.role, found.type, found.path, one.name, details(found))
        for number, one in enumerate(files)
        for found in [one.change]
    ]


def _result(
    edit: _StagedEdit, done: Published, begun: StagedInit | None, *, created: bool
) -> StagedPublished:
    numbered, dropped = _numbered(edit.files), edit.applied.dropped
    uploaded = done.after.dirty | ({roles.ROOT} if created else set())
    return StagedPublished(
        repository=edit.publisher.repository.gun,
        published=tuple(one for one in numbered if one.number not in dropped),
        dropped=tuple(DroppedChange(one, dropped[one.number]) for one in numbered if one.number in dropped),
        uploaded=tuple(sorted(uploaded)) if done.uploaded else (),
        created=created,
        begun=begun,
        root_pins=done.after.root.pins,
    )
