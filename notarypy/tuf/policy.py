"""What is released, by whom, and whether that is enough for what the user requires.

What it is: questions to a TrustedMetadata, requirements as values, and the judgment of one release by them.
What it is not: verification, which is done before (`trusted`); which root to trust (`trustanchors`); or
files (`storage.settings.policyfile`).

Rules:

What is required
1. A signer vouches for a release when its own role lists the same content.
2. `every` names signers that all must vouch; of `some`, at least `threshold`; with `everyone`, each
   first-level signer of the repository, of whom there must be one.
3. Metadata does not say when it was signed. Its age follows from its expiry date and the lifetime that its
   signer gives such files, which the user states. One that runs longer than that lifetime allows is refused:
   its age is unknown.
4. The age of signatures is that of the role's file. A signer whose file is too old does not vouch.
5. Of the prefixes that requirements are given for the longest counts that fits (`roles`, rule 7).

What is released
6. A delegation speaks only for names that begin with one of its paths, and with one of the paths of every
   role above it. The top role speaks for all names. What that leaves was worked out when the role was
   loaded: a lookup looks at one path alone.
7. A tag is released by `targets/releases`, or by `targets` when releases does not list it. Other roles sign;
   they do not release.
8. When releases itself cannot be trusted, nobody can say what it lists: asking for a released tag fails with
   the reason, it does not fall back to `targets`. Only when `targets` gives releases fewer keys than its
   threshold does it list nothing: that is how Docker leaves it after the last signer was removed. A key
   without type or public part, which nobody can ever sign with, is none here; one of an unknown type is one.
9. A signer is any other role that lists the name with the same length and SHA-256.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from notarypy.errors import Advice, PolicyError, SignerMissingError, TagUnsignedError, TooOldError
from notarypy.tuf import roles
from notarypy.tuf.envelope import too_few_usable
from notarypy.tuf.keys import UnusableKey
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.tuf.fields import TargetFile
    from notarypy.tuf.trusted import TrustedMetadata

SKEW = timedelta(days=1)
_LOG = logging.getLogger(__name__)


# -- what is released


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
    """Return the releasing role and its entry for a name, or None (rule 7); raise what rule 8 says."""
    _require_releases(trusted)
    for role in roles.RELEASING:
        found = entry(trusted, role, name)
        if found is not None:
            return role, found
    return None


def released_names(trusted: TrustedMetadata) -> list[str]:
    """Return every released name, sorted (rule 7); raise what rule 8 says."""
    _require_releases(trusted)
    found = set[str]()
    for role in roles.RELEASING:
        if role in trusted.targets:
            paths = trusted.paths[role]
            found.update(name for name in trusted.targets[role].targets if roles.admits(paths, name))
    return sorted(found)


def _require_releases(trusted: TrustedMetadata) -> None:
    """Raise why releases cannot be trusted, if it may list anything (rule 8)."""
    if roles.RELEASES in trusted.failures and may_list(trusted, roles.RELEASES):
        raise trusted.failures[roles.RELEASES]


def may_list(trusted: TrustedMetadata, role: str) -> bool:
    """Tell whether a delegation has as many keys listed as its threshold; without them it lists nothing."""
    above = trusted.targets[roles.parent(role)]
    delegation = above.delegation(role)
    if delegation is None:
        return False
    keys = [keyid for keyid in delegation.keyids if not isinstance(above.keys[keyid], UnusableKey)]
    return len(keys) >= delegation.threshold


def signers(
    trusted: TrustedMetadata, name: str, content: TargetFile, among: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the roles besides targets and releases that list this very content (rule 9).

    Whoever asks for many names knows who lists each of them (`listing`): no others are looked at.
    """
    found = []
    for role in trusted.targets if among is None else among:
        listed = None if role in roles.RELEASING else entry(trusted, role, name)
        if listed is not None and listed.same_content(content):
            found.append(role)
    return tuple(found)


def listing(trusted: TrustedMetadata) -> Mapping[str, Sequence[str]]:
    """Return the roles besides targets and releases that list each name, in loading order."""
    found: dict[str, list[str]] = {}
    for role, file in trusted.targets.items():
        for name in () if role in roles.RELEASING else file.targets:
            found.setdefault(name, []).append(role)
    return found


# -- what is required


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
    """What is required of a release: who vouches, how old files may be, and where this is written."""

    signers: Signers = field(default_factory=Signers)
    max_age: MaxAge = field(default_factory=MaxAge)
    source: str = ""


@dataclass(frozen=True)
class Release:
    """What is judged: a released tag, the role that releases it, and its content."""

    tag: str
    role: str
    content: TargetFile


def with_digest(trusted: TrustedMetadata, digest: str) -> list[Release]:
    """Return the releases with a digest, at least one; before others of their kind those of another kind."""
    listed = ((tag, released(trusted, tag)) for tag in released_names(trusted))
    found = [Release(tag, *one) for tag, one in listed if one is not None and one[1].digest == digest]
    if not found:
        message, why = f"{trusted.gun}@{digest} is not signed", "no released tag has this digest"
        raise TagUnsignedError(message, why=why, advice=Advice("look-for-digest", gun=trusted.gun))
    first_level = [role for role in trusted.targets if roles.parent(role) == roles.TARGETS]
    before: Counter[object] = Counter()
    ranks = {}
    for one in found:
        listed_by = {role: entry(trusted, role, one.tag) for role in first_level}
        listing = [role for role, each in listed_by.items() if each and each.same_content(one.content)]
        kind = (one.role, one.content.length, *listing)
        ranks[one.tag] = before[kind]
        before[kind] += 1
    return sorted(found, key=lambda one: ranks[one.tag])[: trusted.limits.judged_tags]


def unmet(trusted: TrustedMetadata, release: Release, required: Requirements) -> list[PolicyError]:
    """Return what a release does not meet, the worst first; empty when it meets everything."""
    judgment = _Judgment(trusted, release, required)
    missing = (judgment.missing(), judgment.missing_of_some())
    errors: list[PolicyError] = [error for error in missing if error is not None]
    errors += judgment.too_old_files()
    says, whose = "; ".join(error.message for error in errors) or "met", required.source or "of the caller"
    _LOG.debug("%s:%s: requirements %s: %s", trusted.gun, release.tag, whose, says)
    return errors


def together(errors: Sequence[PolicyError]) -> PolicyError:
    """Return the first error, with what the others say."""
    first, *others = errors
    first.why += tuple(line for other in others for line in (other.message, *other.why))
    first.why = tuple(dict.fromkeys(first.why))
    if others:
        first.facts["unmet"] = [error.code for error in errors]
    return first


@dataclass(frozen=True)
class _Judgment:
    """One release and what is required of it."""

    trusted: TrustedMetadata
    release: Release
    required: Requirements

    @cached_property
    def signed(self) -> tuple[str, ...]:
        """Who signed this content."""
        return signers(self.trusted, self.release.tag, self.release.content)

    @cached_property
    def vouching(self) -> list[str]:
        """The signers who count (rules 1 and 4)."""
        return [role for role in self.signed if not self.too_old(role)]

    @property
    def source(self) -> tuple[str, ...]:
        """Where the requirements are written, as a line of an error."""
        return (f"required by {self.required.source}",) if self.required.source else ()

    def missing(self) -> SignerMissingError | None:
        """Return the error for those of `every` and `everyone` who do not vouch (rule 2)."""
        wanted = list(self.required.signers.every)
        if self.required.signers.everyone:
            delegated = self.trusted.targets[roles.TARGETS].roles
            wanted += [entry.name for entry in delegated if entry.name != roles.RELEASES]
            if not wanted:
                why = ("every signer is required, which needs at least one", *self.source)
                return SignerMissingError(f"{self.trusted.gun} has no signers", why=why)
        absent = [role for role in dict.fromkeys(wanted) if role not in self.vouching]
        return self._signer_missing(f"is not signed by {_names(absent)}", absent) if absent else None

    def missing_of_some(self) -> SignerMissingError | None:
        """Return the error for too few of `some` (rule 2)."""
        some, threshold = self.required.signers.some, self.required.signers.threshold
        absent = [role for role in some if role not in self.vouching]
        present = len(some) - len(absent)
        if not some or present >= threshold:
            return None
        text = f"is signed by {present} of {_names(some)}; {threshold} must have"
        error = self._signer_missing(text, absent)
        error.facts["threshold"] = threshold
        return error

    def _signer_missing(self, text: str, absent: Sequence[str]) -> SignerMissingError:
        return SignerMissingError(
            f"{self.trusted.gun}:{self.release.tag} {text}",
            why=(*map(self._known_of, absent), *self.source),
            advice=self._how_to_have_it(absent),
            signers=list(map(roles.signer_name, self.signed)),
            missing=list(map(roles.signer_name, absent)),
        )

    def _how_to_have_it(self, absent: Sequence[str]) -> Advice:
        gun, above = self.trusted.gun, self.trusted.targets[roles.TARGETS]
        if unusable := [role for role in absent if too_few_usable(*above.signers(role))]:
            return Advice("replace-unusable", gun=gun, name=roles.signer_name(unusable[0]))
        if all(above.delegation(role) is None and role not in self.trusted.targets for role in absent):
            return Advice("see-signers", gun=gun)
        return Advice("have-it-signed", gun=gun, tag=self.release.tag)

    def _known_of(self, role: str) -> str:
        trusted = self.trusted
        if role in trusted.failures:
            return f"{role}: {trusted.failures[role].message}"
        if trusted.targets[roles.TARGETS].delegation(role) is None and role not in trusted.targets:
            return f"{role} does not exist"
        content = entry(trusted, role, self.release.tag)
        if content is None:
            few = "; ".join(too_few_usable(*trusted.targets[roles.TARGETS].signers(role)))
            return f"{role} has {few}" if few else f"{role} does not list this tag"
        old = self.too_old(role) if content.same_content(self.release.content) else ""
        return old or f"{role} lists {content.digest or 'nothing that can be checked'}"

    def too_old_files(self) -> Iterator[TooOldError]:
        """Yield the errors for a timestamp and a releasing role's file that are too old (rules 3 and 4)."""
        limit, expires = self.required.max_age, self.trusted.timestamp.expires
        old = self._excess(roles.TIMESTAMP, expires, limit.timestamp, limit.timestamp_lifetime)
        for role, reason in ((roles.TIMESTAMP, old), (self.release.role, self.too_old(self.release.role))):
            if reason:
                text = f"{role} of {self.trusted.gun} is older than it may be"
                advice = Advice("renew-role", role=role, gun=self.trusted.gun)
                if role == roles.TIMESTAMP:
                    advice = Advice("timestamp-renewed")
                yield TooOldError(text, why=(reason, *self.source), advice=advice, role=role)

    def too_old(self, role: str) -> str:
        """Say how a role's file exceeds the age of signatures; empty when it does not (rule 4)."""
        limit, expires = self.required.max_age, self.trusted.targets[role].expires
        return self._excess(role, expires, limit.signatures, limit.signatures_lifetime)

    def _excess(self, role: str, expires: datetime, limit: timedelta | None, lifetime: timedelta) -> str:
        """Say how a file exceeds its limit; empty when it does not (rule 3)."""
        if limit is None:
            return ""
        remaining = expires - self.trusted.now
        if remaining > lifetime + SKEW:
            return (
                f"the age of {role} cannot be told: it ends in {days(remaining)}, "
                f"and files of this kind were said to run for {days(lifetime)}"
            )
        age = max(lifetime - remaining, timedelta())
        return f"{role} was signed {days(age)} ago; it may be {days(limit)} old" if age > limit else ""


def days(span: timedelta) -> str:
    """Return a span of time as people say it."""
    whole, hours, minutes = span.days, span.seconds // 3600, span.seconds // 60 % 60
    if not whole and not hours:
        return f"{minutes} min" if minutes else f"{span.seconds} s"
    parts = [f"{whole} day" if whole == 1 else f"{whole} days"] if whole else []
    return " ".join([*parts, f"{hours} h"] if hours else parts)


def _names(listed: Iterable[str]) -> str:
    return ", ".join(map(roles.signer_name, listed))
