"""Content of any kind: which names the roles of a repository list, and whose word counts.

What it is: Go notary's view of a repository, where every role may list a name. What it is not: the verdict
about an image (`image`), for which two roles count, a registry, and a policy, of which only the roots count
here; or the check of a stream (`content`).

Rules:

1. The first role that lists a name says what it is. They are walked breadth first from `targets`, those below
   a role in the order in which it names them.
2. Where roles are named the walk begins at each of them in turn, and leaves out the others below it, which
   come in their own turn. One that does not exist lists nothing.
3. A role lists only what its paths admit (`tuf.policy`: 6).
4. Of a role that cannot be trusted nobody knows what it lists. It is left out of a list, with a warning. What
   is asked for by name is not taken from a role after it, if it may list that name: that is its error then.
   With fewer keys than its threshold it lists nothing: a name that is found nowhere else may be there.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from notarypy.client.metadata.lenientrefresh import refresh_or_cached
from notarypy.client.verify.content import ListedTarget
from notarypy.client.verify.inspection import looked_at
from notarypy.errors import Advice, TagUnsignedError, TrustError, VerificationError
from notarypy.tuf import policy, roles
from notarypy.tuf.fields import UnusableEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.client.session import Session
    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)


def listed(
    session: Session, text: str, asked: Sequence[str], root: str | None = None
) -> tuple[ListedTarget, ...]:
    """Return all that is listed, sorted by name (rules 1 to 4)."""
    trusted = _trusted(session, text, root)
    found: dict[str, ListedTarget] = {}
    for role in walk(trusted, asked):
        if role in trusted.failures:
            session.warn(f"{role} of {trusted.gun} is left out: {_reason(trusted.failures[role])}")
        for name in trusted.targets[role].targets if role in trusted.targets else ():
            entry = None if name in found else policy.entry(trusted, role, name)
            if isinstance(entry, UnusableEntry):
                session.warn(f'"{name}" in {role} of {trusted.gun} names no content: {entry.why}')
            elif entry is not None:
                found[name] = _target(trusted.gun, name, role, entry)
    return tuple(found[name] for name in sorted(found))


def lookup(
    session: Session, text: str, name: str, asked: Sequence[str], root: str | None = None
) -> ListedTarget:
    """Return what is listed under a name (rules 1 to 4)."""
    return find(_trusted(session, text, root), name, asked)


def find(trusted: TrustedMetadata, name: str, asked: Sequence[str] = ()) -> ListedTarget:
    """Return what verified metadata lists under a name; raise TagUnsignedError, or what rule 4 says."""
    unheard: list[str] = []
    for role in walk(trusted, asked):
        entry = policy.entry(trusted, role, name)
        if isinstance(entry, UnusableEntry):
            raise VerificationError(f'"{name}" in {role} of {trusted.gun} names no content', why=entry.why)
        if entry is not None:
            _LOG.debug("%s: %s is listed by %s", trusted.gun, name, role)
            return _target(trusted.gun, name, role, entry)
        if role in trusted.failures and _covers(trusted, role, name):
            if policy.may_list(trusted, role):
                raise trusted.failures[role]
            unheard.append(f"{role}, which may list it, does not count: {_reason(trusted.failures[role])}")
    raise TagUnsignedError(
        f'{trusted.gun} has no target "{name}"',
        why=(f"none of {', '.join(asked)} lists it" if asked else "no role that counts lists it", *unheard),
        advice=Advice("list-targets", gun=trusted.gun),
        gun=trusted.gun,
        name=name,
    )


def walk(trusted: TrustedMetadata, asked: Sequence[str] = ()) -> Iterator[str]:
    """Yield the roles in the order in which they count, those that cannot be trusted too (rules 1 and 2)."""
    starts = tuple(dict.fromkeys(asked)) or (roles.TARGETS,)
    for start in starts:
        queue = deque([_known(trusted, start)])
        while queue:
            if (role := queue.popleft()) not in trusted.targets:
                if role in trusted.failures:
                    yield role
                continue
            yield role
            below = (delegation.name for delegation in trusted.targets[role].roles)
            queue += [name for name in below if name not in starts]


def _known(trusted: TrustedMetadata, start: str) -> str:
    """Return a role, or the first above it that cannot be trusted, below which nothing is known."""
    parts = start.split("/")
    above = ("/".join(parts[:count]) for count in range(2, len(parts) + 1))
    return next((role for role in above if role in trusted.failures), start)


def _covers(trusted: TrustedMetadata, role: str, name: str) -> bool:
    """Tell whether a role that cannot be trusted would be heard about a name (rule 4)."""
    above = roles.parent(role)
    delegation = trusted.targets[above].delegation(role)
    paths = roles.narrowed(trusted.paths[above], delegation.paths) if delegation else ()
    return roles.covers(paths, name)


def _trusted(session: Session, text: str, root: str | None) -> TrustedMetadata:
    session.whole_repository(text)
    return refresh_or_cached(looked_at(session, text, root), allowed=session.cached_if_unreachable)


def _target(gun: str, name: str, role: str, entry: TargetFile) -> ListedTarget:
    sha256 = entry.sha256 if "sha256" in entry.hashes else None
    return ListedTarget(gun, name, role, entry.length, sha256, entry.sha512, entry.custom)


def _reason(error: TrustError) -> str:
    return "; ".join((error.message, *error.why))
