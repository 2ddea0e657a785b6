"""Which tags rest on what is removed alone: nothing in the published files shows that others signed them.

What it is: the state before and after keys or paths were removed, those tags out. What it is not: what
becomes of them (`client.publish.removing`), or who signed a tag in the eyes of a reader (`policy`).

Rules:

1. The files at hand are all that counts. Who signed earlier versions of them nobody can say for sure: a
   server need not keep those.
2. A file rests on removed keys when no key that its role keeps has signed it. One that did is enough,
   whatever the threshold: its holder signed this very content.
3. Another role vouches for a tag when its file stays and lists the same content within its paths, and neither
   that file nor one above it rests on removed keys: who delegates could have made the role.
4. `targets/releases` vouches for nothing: whoever adds a tag to it signs what is there already.
5. A tag for which nobody vouches rests on removed keys in each file that does so itself; and in
   `targets/releases`, whoever signed that last, if a role listed this content that rests on removed keys, or
   is gone, and no key that signed it may sign anything any more.
6. What a role lists outside of the paths that are left to it counts as what a role lists that is gone, and
   whoever may sign something else does not change that: it was taken from this role on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope, valid_keys
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notarypy.tuf.changes import State
    from notarypy.tuf.fields import TargetFile

    Content = tuple[str, int, str | None]


@dataclass(frozen=True)
class RestingTag:
    """A tag that a role lists, and that rests on what is removed; no `digest` where it names no sha256."""

    role: str
    tag: str
    digest: str | None

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.tag} in {self.role}: {self.digest or 'no sha256'}"


def signatures(state: State) -> dict[str, frozenset[str]]:
    """Return for each published delegation the canonical ids of its keys here that signed its file."""
    found = {}
    for role in state.targets.keys() & state.published.keys() - {*roles.BASE_ROLES}:
        table = {key.keyid: key for key in state.keys_for(role)[0]}
        found[role] = valid_keys(Envelope.parse(state.published[role], role, state.limits), table, table)
    return found


def resting(before: State, after: State, signed: Mapping[str, frozenset[str]]) -> tuple[RestingTag, ...]:
    """Return the tags that rest on what is removed alone, by name; `signed` is that of `signatures`."""
    # Files that keep their keys are trusted, so they have signatures of these.
    bare = {role for role, keys in signed.items() if not keys}
    doubtful = {role for role in after.targets if any(f"{role}/".startswith(f"{above}/") for above in bare)}
    gone = _gone(before, after)
    independent = after.targets.keys() - doubtful - {roles.RELEASES}
    vouched = {content for role in independent for content in _contents(after, role)}
    suspect = {content for role in (gone | doubtful) - {roles.RELEASES} for content in _listed(before, role)}
    suspect |= {
        _content(tag, entry) for role, tag, entry in _outside(before, after) if role != roles.RELEASES
    }
    found = []
    for role in bare | ({roles.RELEASES} & after.targets.keys()):
        for tag, entry in after.targets[role].targets.items():
            content = _content(tag, entry)
            if (content not in vouched or entry.digest is None) and (role in bare or content in suspect):
                found.append(RestingTag(role, tag, entry.digest))
    return tuple(sorted(found, key=lambda one: (one.tag, one.role)))


def outside(before: State, after: State) -> tuple[RestingTag, ...]:
    """Return the tags that roles list, and may speak for no more, by name (rule 6)."""
    found = [RestingTag(role, tag, entry.digest) for role, tag, entry in _outside(before, after)]
    return tuple(sorted(found, key=lambda one: (one.tag, one.role)))


def _outside(before: State, after: State) -> Iterator[tuple[str, str, TargetFile]]:
    for role in before.targets.keys() & after.targets.keys():
        if before.paths(role) == after.paths(role):
            continue
        old, new = roles.shortest(before.paths(role)), roles.shortest(after.paths(role))
        for tag, entry in before.targets[role].targets.items():
            if roles.admits(old, tag) and not roles.admits(new, tag):
                yield role, tag, entry


def _gone(before: State, after: State) -> set[str]:
    """Return the roles that went with all keys that signed them, or that such a role delegated to."""
    delegations = [entry.name for file in after.targets.values() for entry in file.roles]
    present = {key.canonical_id for role in delegations for key in after.keys_for(role)[0]}
    signed, found = signatures(before), set[str]()
    for role in sorted(before.targets.keys() - after.targets.keys(), key=lambda role: role.count("/")):
        if roles.parent(role) in found or not present & signed.get(role, frozenset()):
            found.add(role)
    return found


def _contents(state: State, role: str) -> Iterator[Content]:
    """Return what a role says of names that it may speak for (rule 3)."""
    paths = roles.shortest(state.paths(role))
    return (content for content in _listed(state, role) if roles.admits(paths, content[0]))


def _listed(state: State, role: str) -> Iterator[Content]:
    return (_content(tag, entry) for tag, entry in state.targets[role].targets.items())


def _content(tag: str, entry: TargetFile) -> Content:
    return tag, entry.length, entry.digest
