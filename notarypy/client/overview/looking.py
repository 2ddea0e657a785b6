"""An overview of a repository: its verified metadata rearranged for whoever answers for it.

What it is: one refresh, and what it says of roles and tags; if that is wanted, what the registry serves. What
it is not: what is wrong with it (`overviews`), or a verification that anybody may rely on.

Rules:

1. Trust data is read once, past caches. What is past its date is shown all the same, as `status` does.
2. A tag stands for each content that roles list within their paths. Which of them is released is asked as
   `verify` asks; where nobody can say what is released, nothing is.
3. Of what happened the last events are kept, and the others counted: however long a history is. One that
   cannot be read to its end is a finding, with what could be read.
4. With the registry each released tag is asked for once. One that cannot be reached, or lets nobody read, is
   not asked again.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from notarypy.client.findings import LEVELS
from notarypy.client.history.events import PastFilter
from notarypy.client.history.events import history as history_of
from notarypy.client.metadata.dates import role_ends, role_entries, statuses
from notarypy.client.metadata.lenientrefresh import refresh_outdated
from notarypy.client.overview.overviews import ListedTag, Overview, findings, judged_history
from notarypy.client.parameters import WITHIN
from notarypy.client.results import RepositoryStatus
from notarypy.client.workers import gathered
from notarypy.errors import (
    AuthenticationError,
    DeadlineError,
    ImageMissingError,
    NotarypyError,
    NothingThereError,
    TlsError,
    TrustError,
    UnreachableError,
)
from notarypy.images.reference import natural
from notarypy.tuf import policy, roles
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime, timedelta

    from notarypy.client.history.events import HistoryEvent
    from notarypy.client.session import Session
    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)
_EVENTS = 200


def overview(
    session: Session,
    text: str,
    *,
    within: timedelta = WITHIN,
    root: str | None = None,
    history: bool = True,
    registry: bool = False,
) -> Overview:
    """Return everything about a repository (rules 1 and 2); `registry` compares with what that serves."""
    session.whole_repository(text)
    if registry:
        session.refuse_literal("a comparison with the registry")
    scope = session.scope_of_roots(session.gun(text, whole=True)[0])
    known = session.repository(text, root, scope).past_caches()
    trusted = refresh_outdated(known)
    keys = session.keys().signing_keys()
    dates = RepositoryStatus(
        known.gun, known.server_url, tuple(statuses(trusted, keys.available, within, keys.elsewhere))
    )
    tags = list(listed_tags(trusted))
    if registry:
        tags = _compared(session, text, tags)
    delegations = tuple(entry for entry in role_entries(trusted) if entry.role not in roles.BASE_ROLES)
    _LOG.debug("%s: %s roles and %s tags are in its overview", known.gun, len(dates.roles), len(tags))
    happened = _happened(session, text, root) if history else _History()
    found = findings(trusted, dates, tags, registry=registry)
    found += judged_history(known.gun, happened.events, happened.error)
    return Overview(
        repository=known.gun,
        time=trusted.now,
        server=known.server_url,
        root_pins=trusted.root.pins,
        status=dates,
        delegations=delegations,
        tags=tuple(tags),
        events=tuple(happened.events),
        earlier=happened.earlier,
        findings=tuple(sorted(found, key=lambda one: -LEVELS.index(one.level))),
    )


def listed_tags(trusted: TrustedMetadata) -> Iterator[ListedTag]:
    """Yield what roles list, by tag and content, in natural order (rule 2)."""
    found: dict[str, list[tuple[TargetFile, list[str]]]] = {}
    for role, file in trusted.targets.items():
        for name, content in file.targets.items():
            if roles.admits(trusted.paths[role], name):
                _add(found.setdefault(name, []), role, content)
    released, ends = _released(trusted), role_ends(trusted)
    if ends[roles.TIMESTAMP] > trusted.now:  # a server that goes on signs another before it ends
        del ends[roles.TIMESTAMP]
    for name in sorted(found, key=natural):
        for content, listing in found[name]:
            yield _listed(name, content, listing, released.get(name) in listing, ends)


def _add(contents: list[tuple[TargetFile, list[str]]], role: str, content: TargetFile) -> None:
    for known, listing in contents:
        if known.same_content(content) or known == content:
            listing.append(role)
            return
    contents.append((content, [role]))


def _released(trusted: TrustedMetadata) -> dict[str, str]:
    """Return the role that releases each name, none where nobody can say."""
    try:
        policy.released_names(trusted)
    except TrustError as error:
        _LOG.debug("%s: nothing is released: %s", trusted.gun, error.code)
        return {}
    found: dict[str, str] = {}
    for role in roles.RELEASING:
        for name in trusted.targets[role].targets if role in trusted.targets else ():
            if roles.admits(trusted.paths[role], name):
                found.setdefault(name, role)
    return found


def _listed(
    name: str,
    content: TargetFile,
    listing: Sequence[str],
    released: bool,  # noqa: FBT001 - a field of the value
    ends: dict[str, datetime],
) -> ListedTag:
    signers = tuple(roles.signer_name(role) for role in listing if role not in roles.RELEASING)
    released = released and content.digest is not None
    expires = min(ends[role] for role in {*roles.BASE_ROLES, *listing} & ends.keys()) if released else None
    return ListedTag(name, content.digest, content.length, tuple(listing), signers, released, expires)


# -- what happened


class _History(NamedTuple):
    """The last events, how many there were before them, and why there may have been more."""

    events: Collection[HistoryEvent] = ()
    earlier: int | None = None
    error: NotarypyError | None = None


def _happened(session: Session, text: str, root: str | None) -> _History:
    """Return the last events of a repository (rule 3)."""
    if session.settings.archive is not None:
        return _History()
    last: deque[HistoryEvent] = deque(maxlen=_EVENTS)
    count, error = 0, None
    try:
        for event in history_of(session, text, PastFilter(), root):
            last.append(event)
            count += 1
    except NotarypyError as caught:
        _LOG.debug("the history of %s is not whole: %s", text, caught.code)
        error = caught
    return _History(last, count - len(last), error)


# -- the registry


def _compared(session: Session, text: str, tags: Sequence[ListedTag]) -> list[ListedTag]:
    """Return tags with what the registry serves of those that are released (rule 4)."""
    silent: list[NotarypyError] = []
    return gathered([partial(_as_served, session, text, tag, silent) for tag in tags])


def _as_served(session: Session, text: str, tag: ListedTag, silent: list[NotarypyError]) -> ListedTag:
    if not tag.released:
        return tag
    try:
        if silent:
            raise silent[0]
        if session.settings.offline:
            raise NothingThereError("no registry is asked without a network (--offline)")
        found = session.manifest(session.parse(f"{text}:{tag.tag}"), tag.tag)
    except ImageMissingError:
        return replace(tag, served="gone")
    except NotarypyError as error:
        if isinstance(error, UnreachableError | TlsError | DeadlineError | AuthenticationError):
            silent.append(error)
        return replace(tag, served="unknown", problem=error)
    if (found.digest, found.size) == (tag.digest, tag.size):
        return replace(tag, served="same", found=found.digest)
    return replace(tag, served="moved", found=found.digest)
