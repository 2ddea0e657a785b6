"""What a user requires of a signed image beyond valid metadata: who signed it, and how long ago.

What it is: requirements as values, and the judgment of one release by them. What it
is not: pins of roots (`pinning`), which are the anchor and no requirement; files
(`storage.settings.policyfile`); or a lookup of what is released (`lookup`).

Rules:

1. A signer vouches for a release when its own role lists the same content.
2. `every` names signers that all must vouch; of `some`, at least `threshold`; with
   `everyone`, each first-level signer of the repository, of whom there must be one.
3. Metadata does not say when it was signed. Its age is told from its expiry date and
   the lifetime that its signer gives such files, which the user states. One that
   runs longer than that lifetime allows is refused: its age cannot be told.
4. The age of signatures is that of the role's file. A signer whose file is too old
   does not vouch.
5. A prefix fits a repository as a whole or up to a slash; the longest one counts.
   Registries are compared whatever their spelling.

Asking verified metadata about names: what is released, by whom, from which role.

What it is: reading questions over a TrustedMetadata. What it is not: verification;
everything here is verified already.

Rules:

6. A delegation speaks only for names that begin with one of its paths, and with one
   of the paths of every role above it. The top role speaks for all names. What that
   leaves was worked out when the role was loaded: a lookup looks at one path alone.
7. A tag is released by `targets/releases`, or by `targets` when releases does not
   list it. Other roles sign; they do not release.
8. When releases itself cannot be trusted, nobody can say what it lists: asking for a
   released tag fails with the reason, it does not fall back to `targets`. Only when
   `targets` gives releases fewer keys than its threshold does it list nothing: that
   is how Docker leaves it after the last signer was removed.
9. A signer is any other role that lists the name with the same length and SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.errors import PolicyError, SignerMissingError, TooOldError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from notarypy.tuf.metadata import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata

ANY = "*"
SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Signers:
    """Who must vouch for a release (rule 2).

    Attributes:
        every: Roles that all must.
        some: Roles of which `threshold` must.
        threshold: How many of `some`.
        everyone: Whether each signer of the repository must.
    """

    every: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    threshold: int = 1
    everyone: bool = False


@dataclass(frozen=True)
class MaxAge:
    """How old files may be (rule 3).

    Attributes:
        timestamp: The most for the server's timestamp, or None.
        signatures: The most for the releasing role's file and those of signers, or None.
        timestamp_lifetime: How long the server lets timestamps run.
        signatures_lifetime: How long signers let their files run.
    """

    timestamp: timedelta | None = None
    signatures: timedelta | None = None
    timestamp_lifetime: timedelta = timedelta(days=14)
    signatures_lifetime: timedelta = timedelta(days=3 * 365)


@dataclass(frozen=True)
class Requirements:
    """Everything that is required of a release.

    Attributes:
        signers: Who must vouch for it.
        max_age: How old files may be.
        source: Where this is written, for people.
    """

    signers: Signers = field(default_factory=Signers)
    max_age: MaxAge = field(default_factory=MaxAge)
    source: str = ""


@dataclass(frozen=True)
class Release:
    """What is judged: a released tag, the role that releases it, and its content."""

    tag: str
    role: str
    content: TargetFile


def unmet(trusted: TrustedMetadata, release: Release, required: Requirements) -> list[PolicyError]:
    """Return what a release does not meet, the worst first; empty when it meets everything."""
    found: list[PolicyError | None] = [
        _missing(trusted, release, required),
        _missing_of_some(trusted, release, required),
        _old_timestamp(trusted, required),
        _old_release(trusted, release, required),
    ]
    return [error for error in found if error is not None]


def together(errors: Sequence[PolicyError]) -> PolicyError:
    """Return the first error, told with what the others say."""
    first, *others = errors
    first.why += tuple(line for other in others for line in (other.message, *other.why))
    first.why = tuple(dict.fromkeys(first.why))
    if others:
        first.facts["unmet"] = [error.code for error in errors]
    return first


def longest(prefixes: Iterable[str], repository: str) -> str | None:
    """Return the prefix that counts for a repository: the longest that fits, else `*`, else None (rule 5)."""
    known = set(prefixes)
    fitting = [prefix for prefix in known if prefix != ANY and _fits(prefix, repository)]
    # Of what was written, a spelling may be longer than a path is.
    return max(fitting, key=lambda one: len(roles.comparable(one)), default=ANY if ANY in known else None)


def same(prefix: str, other: str) -> bool:
    """Tell whether two prefixes fit the same repositories (rule 5)."""
    return roles.comparable(prefix) == roles.comparable(other)


def replaced(repository: str, prefix: str, other: str) -> str:
    """Return the repository with one prefix, in whatever spelling, replaced by another."""
    _, slash, path = prefix.partition("/")
    _, before, rest = repository.partition("/")
    return other + f"{before}{rest}"[len(slash + path) :]


def _fits(prefix: str, repository: str) -> bool:
    return f"{roles.comparable(repository)}/".startswith(f"{roles.comparable(prefix)}/")


def _missing(trusted: TrustedMetadata, release: Release, required: Requirements) -> SignerMissingError | None:
    signers = required.signers
    wanted = list(signers.every)
    if signers.everyone:
        delegated = [entry.name for entry in trusted.targets[roles.TARGETS].roles]
        wanted += [role for role in delegated if role != roles.RELEASES]
        if not wanted:
            return SignerMissingError(
                f"{trusted.gun} has no signers",
                why=("every signer is required, which needs at least one", *_source(required)),
            )
    vouching = _vouching(trusted, release, required)
    missing = [role for role in dict.fromkeys(wanted) if role not in vouching]
    return _signer_missing(trusted, release, required, missing) if missing else None


def _missing_of_some(
    trusted: TrustedMetadata, release: Release, required: Requirements
) -> SignerMissingError | None:
    signers = required.signers
    vouching = _vouching(trusted, release, required)
    missing = [role for role in signers.some if role not in vouching]
    if not signers.some or len(signers.some) - len(missing) >= signers.threshold:
        return None
    error = _signer_missing(trusted, release, required, missing)
    error.message = (
        f"{trusted.gun}:{release.tag} is signed by {len(signers.some) - len(missing)} of "
        f"{_names(signers.some)}; {signers.threshold} must have"
    )
    error.facts["threshold"] = signers.threshold
    return error


def _signer_missing(
    trusted: TrustedMetadata, release: Release, required: Requirements, missing: Sequence[str]
) -> SignerMissingError:
    signed = signers(trusted, release.tag, release.content)
    return SignerMissingError(
        f"{trusted.gun}:{release.tag} is not signed by {_names(missing)}",
        why=(*(_found(trusted, role, release, required) for role in missing), *_source(required)),
        signers=[roles.signer_name(role) for role in signed],
        missing=[roles.signer_name(role) for role in missing],
    )


def _vouching(trusted: TrustedMetadata, release: Release, required: Requirements) -> list[str]:
    """Return the signers who count (rules 1 and 4)."""
    signed = signers(trusted, release.tag, release.content)
    return [role for role in signed if not _too_old(trusted, role, required.max_age)]


def _found(trusted: TrustedMetadata, role: str, release: Release, required: Requirements) -> str:
    """Return what is known of a signer who does not vouch."""
    if role in trusted.failures:
        return f"{role}: {trusted.failures[role].message}"
    if trusted.targets[roles.TARGETS].delegation(role) is None and role not in trusted.targets:
        return f"{role} does not exist"
    content = entry(trusted, role, release.tag)
    if content is None:
        return f"{role} does not list this tag"
    old = _too_old(trusted, role, required.max_age) if content.same_content(release.content) else ""
    return old or f"{role} lists sha256:{content.sha256}"


def _old_timestamp(trusted: TrustedMetadata, required: Requirements) -> TooOldError | None:
    limit = required.max_age
    remaining = trusted.timestamp.expires - trusted.now
    found = _excess(roles.TIMESTAMP, remaining, limit.timestamp, limit.timestamp_lifetime)
    return _too_old_error(trusted, roles.TIMESTAMP, found, required) if found else None


def _old_release(trusted: TrustedMetadata, release: Release, required: Requirements) -> TooOldError | None:
    found = _too_old(trusted, release.role, required.max_age)
    return _too_old_error(trusted, release.role, found, required) if found else None


def _too_old_error(trusted: TrustedMetadata, role: str, found: str, required: Requirements) -> TooOldError:
    return TooOldError(
        f"{role} of {trusted.gun} is older than it may be", why=(found, *_source(required)), role=role
    )


def _too_old(trusted: TrustedMetadata, role: str, limit: MaxAge) -> str:
    remaining = trusted.targets[role].expires - trusted.now
    return _excess(role, remaining, limit.signatures, limit.signatures_lifetime)


def _excess(role: str, remaining: timedelta, limit: timedelta | None, lifetime: timedelta) -> str:
    """Say how a file exceeds its limit; empty when it does not (rule 3)."""
    if limit is None:
        return ""
    if remaining > lifetime + SKEW:
        return (
            f"the age of {role} cannot be told: it ends in {days(remaining)}, "
            f"and files of this kind were said to run for {days(lifetime)}"
        )
    age = max(lifetime - remaining, timedelta())
    return f"{role} was signed {days(age)} ago; it may be {days(limit)} old" if age > limit else ""


def days(span: timedelta) -> str:
    """Return a span of time as people say it."""
    whole, hours = span.days, span.seconds // 3600
    told = [f"{whole} day" if whole == 1 else f"{whole} days"] if whole else []
    return " ".join([*told, f"{hours} h"] if hours or not whole else told)


def _names(listed: Iterable[str]) -> str:
    return ", ".join(map(roles.signer_name, listed))


def _source(required: Requirements) -> tuple[str, ...]:
    return (f"required by {required.source}",) if required.source else ()


def entry(trusted: TrustedMetadata, role: str, name: str) -> TargetFile | None:
    """Return what one role says of a name, or None (rule 6)."""
    found = trusted.targets[role].targets.get(name) if role in trusted.targets else None
    return found if found is not None and roles.admits(trusted.paths[role], name) else None


def entries(trusted: TrustedMetadata, name: str) -> Iterator[tuple[str, TargetFile]]:
    """Yield every role that lists a name, with its entry, in loading order."""
    for role in trusted.targets:
        found = entry(trusted, role, name)
        if found is not None:
            yield role, found


def released(trusted: TrustedMetadata, name: str) -> tuple[str, TargetFile] | None:
    """Return the releasing role and its entry for a name, or None (rules 7 and 8).

    Raises:
        TrustError: `targets/releases` could not be trusted.
    """
    _require_releases(trusted)
    for role in (roles.RELEASES, roles.TARGETS):
        found = entry(trusted, role, name)
        if found is not None:
            return role, found
    return None


def released_names(trusted: TrustedMetadata) -> dict[str, tuple[str, TargetFile]]:
    """Return every released name with its role and entry (rules 7 and 8).

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


def signers(trusted: TrustedMetadata, name: str, content: TargetFile) -> tuple[str, ...]:
    """Return the roles besides targets and releases that list this very content (rule 9)."""
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
