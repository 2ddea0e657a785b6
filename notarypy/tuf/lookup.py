"""Asking verified metadata about names: what is released, by whom, from which role.

What it is: reading questions over a TrustedMetadata. What it is not: verification;
everything here is verified already.

Rules:

1. A delegation speaks only for names that begin with one of its paths, and with one
   of the paths of every role above it. The top role speaks for all names. What that
   leaves was worked out when the role was loaded: a lookup looks at one path alone.
2. A tag is released by `targets/releases`, or by `targets` when releases does not
   list it. Other roles sign; they do not release.
3. When releases itself cannot be trusted, nobody can say what it lists: asking for a
   released tag fails with the reason, it does not fall back to `targets`. Only when
   `targets` gives releases fewer keys than its threshold does it list nothing: that
   is how Docker leaves it after the last signer was removed.
4. A signer is any other role that lists the name with the same length and SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.tuf.metadata import FileMeta
    from notarypy.tuf.trusted import TrustedMetadata


def entry(trusted: TrustedMetadata, role: str, name: str) -> FileMeta | None:
    """Return what one role says of a name, or None (rule 1)."""
    found = trusted.targets[role].targets.get(name) if role in trusted.targets else None
    return found if found is not None and roles.admits(trusted.paths[role], name) else None


def entries(trusted: TrustedMetadata, name: str) -> Iterator[tuple[str, FileMeta]]:
    """Yield every role that lists a name, with its entry, in loading order."""
    for role in trusted.targets:
        found = entry(trusted, role, name)
        if found is not None:
            yield role, found


def released(trusted: TrustedMetadata, name: str) -> tuple[str, FileMeta] | None:
    """Return the releasing role and its entry for a name, or None (rules 2 and 3).

    Raises:
        TrustError: `targets/releases` could not be trusted.
    """
    _require_releases(trusted)
    for role in (roles.RELEASES, roles.TARGETS):
        found = entry(trusted, role, name)
        if found is not None:
            return role, found
    return None


def released_names(trusted: TrustedMetadata) -> dict[str, tuple[str, FileMeta]]:
    """Return every released name with its role and entry (rules 2 and 3).

    Raises:
        TrustError: `targets/releases` could not be trusted.
    """
    _require_releases(trusted)
    names = {
        name
        for role in (roles.RELEASES, roles.TARGETS)
        if role in trusted.targets
        for name in trusted.targets[role].targets
    }
    found = {name: released(trusted, name) for name in sorted(names)}
    return {name: item for name, item in found.items() if item is not None}


def signers(trusted: TrustedMetadata, name: str, content: FileMeta) -> tuple[str, ...]:
    """Return the roles besides targets and releases that list this very content (rule 4)."""
    return tuple(
        role
        for role, found in entries(trusted, name)
        if role not in {roles.TARGETS, roles.RELEASES} and found.same_content(content)
    )


def _require_releases(trusted: TrustedMetadata) -> None:
    if roles.RELEASES in trusted.failures and _has_keys(trusted, roles.RELEASES):
        raise trusted.failures[roles.RELEASES]


def _has_keys(trusted: TrustedMetadata, role: str) -> bool:
    delegation = trusted.targets[roles.parent(role)].delegation(role)
    return delegation is not None and len(delegation.keyids) >= delegation.threshold
