"""What would be lost: what Notary says of a repository and a signature by a key does not.

What it is: verified metadata as sentences about this very repository. What it is not: advice (`cli.text`), or
a reason to stay.

Rules:

1. A loss is named only where there is something to lose: who has no limits on paths loses none.
2. It says what there is, with names, numbers and dates; of long lists the beginning, and how many more.
3. A signature by a key says: whoever has the key signed this digest; in its classic form, also under which
   name. It has no date, no version, no threshold, and no place among others.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import role_ends, role_entries
from notarypy.client.migrate.inventory import Loss
from notarypy.errors import beginning
from notarypy.tuf import policy, roles
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notarypy.client.migrate.inventory import ReportedTag
    from notarypy.client.verdicts import RoleEntry
    from notarypy.tuf.trusted import TrustedMetadata

_SHOWN = 10
_RELEASING = (roles.TARGETS, roles.RELEASES)


def losses(trusted: TrustedMetadata, tags: Sequence[ReportedTag], server: str) -> tuple[Loss, ...]:
    """Return what would be lost of a repository with these released tags."""
    entries = list(role_entries(trusted))
    found = (
        _paths(entries),
        _thresholds(entries),
        _signers(tags),
        _expiry(trusted),
        _rollback(trusted),
        _binding(tags),
        _timestamp(trusted, server),
        _revoking(tags),
        _rotation(trusted),
        _custom(trusted, tags),
        _unreleased(trusted, tags),
        _untrusted(trusted),
    )
    return tuple(replace(loss, details=beginning(loss.details, _SHOWN)) for loss in found if loss is not None)


def _paths(entries: Iterable[RoleEntry]) -> Loss | None:
    limited = [entry for entry in entries if entry.paths and "" not in entry.paths]
    details = [f"{entry.role}: only tags that begin with {_listed(entry.paths)}" for entry in limited]
    text = "Keys that may sign some tags alone: the key of a new signature may sign every tag."
    return Loss("paths", text, tuple(details)) if details else None


def _thresholds(entries: Iterable[RoleEntry]) -> Loss | None:
    details = [
        f"{entry.role}: {entry.threshold} of {len(entry.keys)} keys have to sign"
        for entry in entries
        if entry.threshold > 1
    ]
    text = "Signatures by several keys together: one key alone makes a new signature."
    return Loss("thresholds", text, tuple(details)) if details else None


def _signers(tags: Iterable[ReportedTag]) -> Loss | None:
    who = Counter(tag.signers for tag in tags)
    named = [(count, signers) for signers, count in who.most_common() if signers]
    details = [f"{_several(count, 'tag')} signed by {_listed(signers)}" for count, signers in named]
    text = "Who signed: a new signature is by the key that made it, and names these in its annotations alone."
    return Loss("signers", text, tuple(details)) if details else None


def _expiry(trusted: TrustedMetadata) -> Loss:
    ends = role_ends(trusted)
    first = min(ends, key=lambda role: ends[role])
    by_date = sorted(ends, key=lambda role: ends[role])
    text = (
        f"The end: if nobody does anything, nothing here verifies after {ends[first]:%Y-%m-%d} ({first}), so "
        "that a registry or mirror that stands still is noticed. A new signature has no date, and no end."
    )
    return Loss("expiry", text, tuple(f"{role} ends on {ends[role]:%Y-%m-%d}" for role in by_date))


def _rollback(trusted: TrustedMetadata) -> Loss:
    versions = {roles.SNAPSHOT: trusted.snapshot.version, roles.TIMESTAMP: trusted.timestamp.version}
    versions |= {role: file.version for role, file in trusted.targets.items() if role in _RELEASING}
    seen = ", ".join(f"{role} {version}" for role, version in versions.items())
    text = (
        f"Refusing what is older: who has seen these versions ({seen}) takes no earlier ones. A new "
        "signature has no version: whoever may write to the registry can put back whatever was signed before."
    )
    return Loss("rollback", text)


def _binding(tags: Sequence[ReportedTag]) -> Loss | None:
    if not tags:
        return None
    names: dict[str, list[str]] = {}
    for tag in tags:
        names.setdefault(tag.digest or "", []).append(tag.tag)
    shared = [(digest, held) for digest, held in names.items() if digest and len(held) > 1]
    digests = len(names.keys() - {""})
    text = (
        f"Which image a tag means: {_several(len(tags), 'tag')} on {_several(digests, 'digest')}. A bundle "
        "names the digest alone, and is as good under any other tag or repository that serves it. The "
        "classic form names the tag, which podman and skopeo compare, and cosign does not."
    )
    return Loss("binding", text, tuple(f"{_listed(held)}: {digest}" for digest, held in shared))


def _timestamp(trusted: TrustedMetadata, server: str) -> Loss:
    keys = [key.canonical_id for key in trusted.root.signers(roles.TIMESTAMP)]
    text = (
        f"A second party that says what is current: {server} signs the timestamp with a key of its own "
        f"({', '.join(keyid[:12] for keyid in keys)}, until {trusted.timestamp.expires:%Y-%m-%d}). Of new "
        "signatures nobody says that: whoever has the one key has everything."
    )
    return Loss("timestamp", text)


def _revoking(tags: Sequence[ReportedTag]) -> Loss | None:
    signers = sorted({name for tag in tags for name in tag.signers})
    if not tags:
        return None
    removable = f", or takes out a signer ({_listed(signers)})" if signers else ""
    text = (
        f"Taking back: one publish makes any of {_several(len(tags), 'tag')} unsigned{removable}, for "
        "all who read this repository. A new signature can only be deleted, and who has a copy keeps it."
    )
    return Loss("revoking", text)


def _rotation(trusted: TrustedMetadata) -> Loss:
    pins = ", ".join(pin[:12] for pin in trusted.root.pins)
    text = (
        f"Another key in place of a lost one: the root (version {trusted.root.version}, pins {pins}) says "
        "which keys count, and readers follow it. A new key is told to every place that verifies with it."
    )
    return Loss("rotation", text)


def _custom(trusted: TrustedMetadata, tags: Iterable[ReportedTag]) -> Loss | None:
    having = []
    for tag in tags:
        entry = policy.entry(trusted, tag.role, tag.tag)
        if entry is not None and entry.custom is not None:
            having.append(tag.tag)
    text = "Data that is signed beside the digest (sign --custom): new signatures do not carry it."
    return Loss("custom", text, tuple(having)) if having else None


def _unreleased(trusted: TrustedMetadata, tags: Iterable[ReportedTag]) -> Loss | None:
    known = {tag.tag for tag in tags}
    listing = policy.listing(trusted)
    left = sorted(listing.keys() - known)
    details = [f"{name}: {_listed(map(roles.signer_name, listing[name]))}" for name in left]
    text = "Tags that signers list and nobody has released: they stay behind, with whoever listed them."
    return Loss("unreleased", text, tuple(details)) if details else None


def _untrusted(trusted: TrustedMetadata) -> Loss | None:
    details = [f"{role}: {error.message}" for role, error in trusted.failures.items()]
    text = "Files that cannot be trusted today: who signed by them is not counted here."
    return Loss("untrusted", text, tuple(details)) if details else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(beginning(list(names), _SHOWN))


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
