"""What an overview of a repository holds: values, and findings on what is wrong with it, or well.

What it is: verified metadata, dates and tags in, frozen values out. What it is not: a verdict of `verify`: a
tag is here whether it may be used or not, and what has ended is here too.

Rules:

1. Bad is what is refused by verifiers, or will hold content that nobody signed: what has ended, files that
   cannot be trusted, keys that cannot be used, tags that the registry serves otherwise.
2. A warning is what will be bad if nobody does anything, or is less than it seems: what ends within the
   window, one key that can do everything alone, tags that nobody who may sign stands behind, tags that roles
   disagree on or that are not released, paths that count for nothing.
3. What was looked at and is well is said too: who reads it wants to know that it was looked at.
4. Each kind comes once, with the roles or tags that it is about; of many the first few.
5. What is to be typed has no name in it that a shell could take for more than a name.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from notarypy.client.findings import Finding, findings_of_roles
from notarypy.client.metadata.dates import ended
from notarypy.errors import Advice, beginning
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from notarypy.client.findings import Level
    from notarypy.client.history.events import HistoryEvent
    from notarypy.client.migrate.inventory import Served
    from notarypy.client.results import RepositoryStatus
    from notarypy.client.verdicts import RoleEntry, RoleStatus
    from notarypy.errors import NotarypyError
    from notarypy.tuf.trusted import TrustedMetadata

_SHOWN = 10
_SHORT = 12
_TAG = re.compile(r"\w[\w.-]*", re.ASCII)


class OverviewOptions(TypedDict, total=False):
    """What to look at, beside the present: what has ended is shown, not refused.

    What ends `within` a time, 90 days, is due; `root` is a pin that the repository must meet. `history` reads
    all old versions, which is wanted if nothing is said; `registry` compares each released tag with what the
    registry serves, which is not.
    """

    within: timedelta
    root: str | None
    history: bool
    registry: bool


@dataclass(frozen=True)
class ListedTag:
    """A tag with one content, and all that list it: the same tag is here again for another content.

    `digest` is None where what is signed names no SHA-256. `roles` list it within their paths; `signers` are
    those of them that do not release, by their short names. It is `released` if `verify` would take it by
    this name, and what that rests on `expires` at the earliest, but for a timestamp in date: the server signs
    that anew by itself. `served` is what the registry has, as in `ReportedTag`, and None if it was not asked.
    """

    tag: str
    digest: str | None
    size: int
    roles: tuple[str, ...]
    signers: tuple[str, ...]
    released: bool
    expires: datetime | None
    served: Served | None = None
    found: str | None = None
    problem: NotarypyError | None = None


@dataclass(frozen=True)
class Overview:
    """A repository at a moment: its roles with their dates, delegations, tags, what happened, and findings.

    `root_pins` are as in `results`. `tags` are in natural order. `events` are the last ones, oldest first,
    and there are so many `earlier` ones; None where nobody looked. `findings` begin with the worst.
    """

    repository: str
    time: datetime
    server: str
    root_pins: tuple[str, ...]
    status: RepositoryStatus
    delegations: tuple[RoleEntry, ...]
    tags: tuple[ListedTag, ...]
    events: tuple[HistoryEvent, ...]
    earlier: int | None
    findings: tuple[Finding, ...]

    @property
    def released(self) -> tuple[ListedTag, ...]:
        """The tags that are released."""
        return tuple(tag for tag in self.tags if tag.released)


def findings(
    trusted: TrustedMetadata, status: RepositoryStatus, tags: Sequence[ListedTag], *, registry: bool
) -> list[Finding]:
    """Return what is to be said of the present (rules 1 to 3)."""
    return [
        *_roles(trusted, status),
        *_keys(status),
        *_paths(trusted),
        *_signing(trusted, tags),
        *(_registry(trusted.gun, tags) if registry else ()),
    ]


# -- dates and files


def _roles(trusted: TrustedMetadata, status: RepositoryStatus) -> Iterator[Finding]:
    found = [
        one for one in findings_of_roles(status.roles, status.repository, trusted.now) if one.level != "ok"
    ]
    yield from found
    areas = {one.area for one in found}
    if "files" not in areas:
        yield Finding("ok", "files", "every file is signed by the keys that its role has now")
    if "dates" not in areas:
        yield Finding("ok", "dates", "no role has ended, and none that somebody has to renew ends soon")


# -- keys


def _keys(status: RepositoryStatus) -> Iterator[Finding]:
    by_role = {one.role: one for one in status.roles}
    root, targets, snapshot = (by_role[role] for role in (roles.ROOT, roles.TARGETS, roles.SNAPSHOT))
    gun = status.repository
    yield _root_keys(root, gun)
    yield from _enough_alone(status)
    if snapshot.here:
        text = "the snapshot key is kept here: whoever publishes needs it, and the server cannot help"
        yield Finding("warning", "keys", text, Advice("server-snapshot", gun=gun))
    shared = [one.role for one in (targets, snapshot, by_role[roles.TIMESTAMP]) if {*one.keys} & {*root.keys}]
    if shared:
        text = f"a root key is a key of {_some(shared)} too, so that it cannot be kept apart"
        yield Finding("warning", "keys", text, Advice("separate-keys", gun=gun))
    yield from _shared_keys(status)


def _enough_alone(status: RepositoryStatus) -> Iterator[Finding]:
    alone = [one.role for one in status.roles if one.threshold == 1 and one.role not in _SERVED]
    signers = [role for role in alone if role != roles.TARGETS]
    if roles.TARGETS in alone:
        text = f"one key alone is enough to sign {roles.TARGETS}"
        yield Finding("warning", "keys", text, Advice("raise-targets-threshold", gun=status.repository))
    if signers:
        text = f"one key alone is enough to sign {_some(signers)}"
        yield Finding("warning", "keys", text, Advice("raise-thresholds", gun=status.repository))
    if not alone:
        yield Finding("ok", "keys", "no key alone is enough to sign anything that the server does not sign")


_SERVED = frozenset({roles.ROOT, roles.SNAPSHOT, roles.TIMESTAMP})
_LOST = "if {} is lost, signing goes on, and root and targets keys can never be changed any more"


def _root_keys(root: RoleStatus, gun: str) -> Finding:
    count, needed = len({*root.keys}), root.threshold
    if count == 1:
        text = f"there is one root key: {_LOST.format('it')}; who steals it can change everything"
        return Finding("warning", "keys", text, Advice("more-root-keys", gun=gun))
    if needed == 1:
        text = f"each of the {count} root keys is enough alone: who steals one can change everything"
        return Finding("warning", "keys", text, Advice("more-root-keys", gun=gun))
    if needed == count:
        text = f"all {count} root keys are needed: {_LOST.format('one')}"
        return Finding("warning", "keys", text, Advice("more-root-keys", gun=gun))
    return Finding("ok", "keys", f"{needed} of {count} root keys have to sign")


def _shared_keys(status: RepositoryStatus) -> Iterator[Finding]:
    """Yield the keys that more than one person's role has; releases has the keys of all who release."""
    holders: dict[str, list[str]] = {}
    for one in status.roles:
        for key in {*one.keys} if one.role not in {*roles.BASE_ROLES, roles.RELEASES} else ():
            holders.setdefault(key, []).append(one.role)
    for key, held in holders.items():
        if len(held) > 1:
            text = f"key {key[:_SHORT]} signs for {_some(held)}: who of them signed cannot be told"
            yield Finding("warning", "keys", text, Advice("key-for-each", gun=status.repository))


# -- what roles may say


def _paths(trusted: TrustedMetadata) -> Iterator[Finding]:
    found = False
    for above, file in trusted.targets.items():
        for one in file.roles:
            allowed = roles.narrowed(trusted.paths[above], one.paths)
            lost = [path for path in one.paths if path not in allowed]
            advice = Advice("mend-paths", role=one.name, gun=trusted.gun)
            if not one.paths:
                found = True
                yield Finding("warning", "signers", f"{one.name} may sign no tag: it has no paths", advice)
            elif lost:
                found = True
                text = f"paths of {one.name} count for nothing, as {above} may not sign them: {_some(lost)}"
                yield Finding("warning", "signers", text, advice)
    for role, file in trusted.targets.items():
        outside = [name for name in file.targets if not roles.admits(trusted.paths[role], name)]
        if outside:
            found = True
            text = f"{role} lists tags outside of its paths, which count for nothing: {_some(outside)}"
            yield Finding("warning", "signers", text, Advice("mend-paths", role=role, gun=trusted.gun))
    if not found:
        yield Finding("ok", "signers", "every role has paths that count, and lists tags within them")


# -- tags


def _signing(trusted: TrustedMetadata, tags: Sequence[ListedTag]) -> Iterator[Finding]:
    gun = trusted.gun
    over = [one for one in tags if ended(one.expires, trusted.now)]
    yield from _tags(
        over,
        "released, and what that rests on has ended: nobody can verify it",
        lambda _: Advice("mend-dates"),
        "bad",
    )
    released = {one.tag: one for one in tags if one.released}

    def unsigned(one: ListedTag) -> bool:
        return one.released and not one.signers and roles.TARGETS not in one.roles

    def other(one: ListedTag) -> bool:
        return not one.released and one.tag in released

    def waiting(one: ListedTag) -> bool:
        return one.tag not in released and one.digest is not None

    yield from _tags(
        filter(unsigned, tags),
        "released, and no signer of today lists what was released: who signed it left, or nobody did",
        lambda one: Advice("stand-behind", reference=_reference(gun, one)),
    )
    yield from _tags(
        filter(other, tags),
        "signed with another digest than the released one",
        lambda one: Advice("settle-tag", reference=_reference(gun, one)),
    )
    yield from _tags(
        filter(waiting, tags),
        "signed and not released, so that verifiers do not take it",
        lambda one: Advice("release-tag", reference=_reference(gun, one)),
    )
    yield from _tags(
        (one for one in tags if one.digest is None),
        "listed without a SHA-256, so that nobody can use it",
        lambda one: Advice("stand-behind", reference=_reference(gun, one)),
    )
    if not tags:
        yield Finding("ok", "tags", "no tag is signed")
    elif not over and all(one.released and not unsigned(one) for one in tags):
        yield Finding(
            "ok", "tags", "every signed tag is released, and somebody who may sign stands behind it"
        )


def _registry(gun: str, tags: Sequence[ListedTag]) -> Iterator[Finding]:
    released = [one for one in tags if one.released]
    moved = (one for one in released if one.served == "moved")
    yield from _tags(
        moved,
        "served by the registry with other content than was signed",
        lambda one: Advice("report-moved", reference=_reference(gun, one)),
        "bad",
    )
    yield from _tags(
        (one for one in released if one.served == "gone"),
        "gone from the registry",
        lambda one: Advice("report-gone", reference=_reference(gun, one)),
    )
    unknown = [one for one in released if one.served == "unknown"]
    if unknown:
        why = unknown[0].problem.message if unknown[0].problem else "no answer"
        text = f"what the registry serves is not known of {_named(unknown)}: {why}"
        yield Finding("warning", "registry", text, Advice("look-again"))
    if all(one.served == "same" for one in released):
        yield Finding("ok", "registry", "the registry serves every released tag as it was signed")


def judged_history(
    gun: str, events: Collection[HistoryEvent], error: NotarypyError | None
) -> Iterator[Finding]:
    """Yield what is odd about what happened (rule 2)."""
    if error is not None:
        text = f"what happened is not known to its end: {error.message}"
        yield Finding("warning", "history", text, Advice("look-again"))
    odd = [event for event in events if not event.verified]
    if odd:
        whys = _some(list(dict.fromkeys(event.why for event in odd if event.why)))
        text = f"{len(odd)} of the last {len(events)} events cannot be verified: {whys}"
        yield Finding("warning", "history", text, Advice("see-history", gun=gun))
    elif events and error is None:
        yield Finding("ok", "history", "what happened last was signed by the keys of its time")


def _tags(
    found: Iterable[ListedTag], what: str, advice: Callable[[ListedTag], Advice], level: Level = "warning"
) -> Iterator[Finding]:
    """Yield one finding about tags, if there are any, with what to do about the first."""
    some = list(found)
    if some:
        text = f"{_named(some)} {'is' if len(some) == 1 else 'are'} {what}"
        yield Finding(level, "tags", text, advice(some[0]))


def _reference(gun: str, one: ListedTag) -> str:
    """Return what a command names a tag as (rule 5)."""
    return f"{gun}:{one.tag if _TAG.fullmatch(one.tag) else 'TAG'}"


def _named(tags: Sequence[ListedTag]) -> str:
    names = list(dict.fromkeys(one.tag for one in tags))
    return f"tag {names[0]}" if len(names) == 1 else f"{len(names)} tags ({_some(names)})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(beginning(names, _SHOWN))
