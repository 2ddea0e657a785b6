"""Who signed what: docker's view of a repository, and ours; and how long it lasts.

What it is: verified metadata rearranged for people. What it is not: verification.

Rules:

1. As docker does, a row stands for each distinct digest of a tag in `targets` and `targets/releases`; its
   signers are the other roles that list the same content, or "Repo Admin" when there are none.
2. Tags sort naturally (1, 9, 10), a tag's signers in walking order, the list of signers by name descending.
3. What cannot be trusted of a delegation is left out, and said.
4. Keys of signers and of the repository go by canonical id, root keys by TUF id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import role_entries, statuses
from notarypy.client.metadata.lenientrefresh import refresh_or_cached, refresh_outdated
from notarypy.client.metadata.refresh import refresh
from notarypy.client.parameters import VerifyOptions
from notarypy.client.results import Inspection, RepositoryStatus, TagEntry
from notarypy.client.verify.sharing import MetadataCache, scope_of
from notarypy.errors import Advice, UsageError
from notarypy.images.reference import natural
from notarypy.tuf import policy, roles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleEntry
    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata

REPO_ADMIN = "Repo Admin"


def inspect_reference(session: Session, reference: str, root: str | None = None) -> Inspection:
    """Return everything about the repository that a reference is in; its tag narrows the tags."""
    repository = looked_at(session, reference, root)
    trusted = refresh(repository)
    tag = None if session.literal else session.parse(reference).tag
    found = inspect(trusted, reference, tag, repository.server_url)
    for entry in found.roles:
        if entry.problem:
            repository.warn(f"{entry.role} of {repository.gun} is left out: {entry.problem}")
    return found


def signed_tags(session: Session, text: str, root: str | None, cache: MetadataCache) -> list[str]:
    """Return every released tag of a repository, as `verify` with the same `root` and cache sees it."""
    scope = scope_of(session, text, VerifyOptions(root=root))
    if scope is not None and scope.mode == "skip":
        scope = None
    if scope is not None and not scope.require.notary and root is None:
        raise UsageError(
            f"nobody says which tags of {text} are signed",
            why=f"{scope.source} requires nothing of Notary, whose trust data alone has a list of them",
            advice=Advice("name-tags"),
        )
    repository = session.repository(text, root, scope)
    trusted = cache.get(repository.gun, "" if scope is None else scope.prefix, lambda: refresh(repository))
    return policy.released_names(trusted)


def delegations(session: Session, repository: str, root: str | None = None) -> tuple[RoleEntry, ...]:
    """Return every delegation of a repository."""
    known = looked_at(session, repository, root)
    entries = role_entries(refresh_or_cached(known, allowed=session.cached_if_unreachable))
    return tuple(entry for entry in entries if entry.role not in roles.BASE_ROLES)


def looked_at(session: Session, text: str, root: str | None) -> Repository:
    """Return a repository that is only looked at, past caches; a `root` is a pin that it must meet."""
    scope = session.scope_of_roots(session.gun(text, whole=True)[0])
    return session.repository(text, root, scope).past_caches()


def status(session: Session, repository: str, within: timedelta, root: str | None = None) -> RepositoryStatus:
    """Return when each role of a repository ends, in date or not, and whose keys are here."""
    session.whole_repository(repository)
    known = looked_at(session, repository, root)
    keys = session.keys().signing_keys()
    archived, trusted = known.archive is not None, refresh_outdated(known)
    found = statuses(trusted, keys.available, within, keys.elsewhere, archived=archived)
    return RepositoryStatus(known.gun, known.server_url, tuple(found))


def inspect(trusted: TrustedMetadata, name: str, tag: str | None, server: str) -> Inspection:
    """Return everything about a repository; `tag` narrows the signed tags to one."""
    entries = tuple(role_entries(trusted))
    others = [entry for entry in entries if entry.role not in {*roles.BASE_ROLES, roles.RELEASES}]
    signers = [(roles.signer_name(entry.role), entry.keys) for entry in others]
    return Inspection(
        name=name,
        repository=trusted.gun,
        tags=tuple(_tags(trusted, tag)),
        signers=tuple(sorted(signers, reverse=True)),
        root_keys=trusted.root.roles[roles.ROOT].keyids,
        repository_keys=tuple(key.canonical_id for key in trusted.root.signers(roles.TARGETS)),
        roles=entries,
        server=server,
    )


def _tags(trusted: TrustedMetadata, tag: str | None) -> Iterator[TagEntry]:
    files = [trusted.targets[role].targets for role in roles.RELEASING if role in trusted.targets]
    names = {name for file in files for name in (file if tag is None else {tag} & file.keys())}
    listing = policy.listing(trusted) if tag is None else {}
    shown: dict[tuple[str, ...], tuple[str, ...]] = {(): (REPO_ADMIN,)}
    for name in sorted(names, key=natural):
        among = listing.get(name, ()) if tag is None else None
        for content in _contents(trusted, name):
            signers = policy.signers(trusted, name, content, among)
            if signers not in shown:
                shown[signers] = tuple(map(roles.signer_name, signers))
            yield TagEntry(name, f"sha256:{content.sha256}", shown[signers])


def _contents(trusted: TrustedMetadata, name: str) -> list[TargetFile]:
    """Return the distinct digests that releases, then targets, lists for a tag (rule 1)."""
    found: dict[bytes, TargetFile] = {}
    for role in roles.RELEASING:
        content = policy.entry(trusted, role, name)
        if content is not None and "sha256" in content.hashes:
            found.setdefault(content.hashes["sha256"], content)
    return list(found.values())
