"""Trust anchors: what a repository's root must be, and how an earlier pinned root leads to the present one.

What it is: the option, the configuration and the trust policy joined to one policy for a root; and the slow
path, taken only when the present root itself is not pinned. What it is not: the decision about a single
root (`tuf.trustanchors`).

Rules:

1. `--root`, one or several of a root of several keys, counts in place of the configured pins. The pins of the
   trust policy are added to either, and all of them must be met.
2. Where nothing is pinned, a root may be trusted on first use, by a decision (`firstuse`), unless the trust
   policy or `disable_tofu` forbids it.
3. What is walked is nobody's yet. At most 256 versions and 32 MiB are read, as many signatures are
   checked as for one root, and the first one that is no root at all ends the walk.
4. It is settled which root a repository must have where one is known here, a pin names one, or somebody has
   said beforehand that the first one is taken. Elsewhere somebody is asked or it is refused, and until then
   no registry hears of the repository.
5. Notary 0.1 kept the certificates of the roots that it trusted in files of their own. Where nothing is
   pinned, first use is allowed and no root is cached, those count as pins, and one that cannot be read is an
   error: the root was known here, and whoever answers now may be somebody else.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.verdicts import FirstRoot
from notarypy.client.weight import Weight
from notarypy.errors import (
    Advice,
    CacheDamagedError,
    MetadataError,
    RootNotPinnedError,
    StorageError,
    VerificationError,
)
from notarypy.limits import DEFAULT
from notarypy.storage.trustdir import TrustDirectory
from notarypy.storage.trustfolders import CERTIFICATES
from notarypy.tuf import certificates, roles, trustanchors
from notarypy.tuf.envelope import Envelope, signers
from notarypy.tuf.keys import meets
from notarypy.tuf.trustanchors import AuthorityAnchor, FirstUse, Forbidden, RootPolicy, parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from notarypy.client.metadata.repository import Repository
    from notarypy.storage.settings.policyfile import Pins, Scope
    from notarypy.storage.settings.settings import Settings
    from notarypy.tuf.metadata import Root
    from notarypy.tuf.trusted import TrustedMetadata

_LOG = logging.getLogger(__name__)


def first_pinned(
    repository: Repository, data: bytes, blank: Callable[[], TrustedMetadata], error: RootNotPinnedError
) -> TrustedMetadata:
    """Return metadata anchored in a pinned earlier root and walked up to the root in `data`.

    Of several policies each is met on its own, maybe by different roots of the chain. `blank` makes metadata
    in which nothing is trusted yet. `error` is what the present root was refused with; it is raised if no
    earlier version is pinned and leads there.
    """
    return [_anchored(repository, data, one, blank, error) for one in parts(repository.roots)][-1]


def require_pinned(repository: Repository, data: bytes, blank: Callable[[], TrustedMetadata]) -> None:
    """Raise RootNotPinnedError unless a root is pinned, or an earlier one that leads to it."""
    try:
        blank().first_root(data, repository.roots)
    except RootNotPinnedError as error:
        first_pinned(repository, data, blank, error)


def _anchored(
    repository: Repository,
    data: bytes,
    accept: RootPolicy,
    blank: Callable[[], TrustedMetadata],
    error: RootNotPinnedError,
) -> TrustedMetadata:
    start, limits = blank(), repository.limits
    with suppress(RootNotPinnedError):
        start.first_root(data, accept)
        return start
    present = Envelope.parse(data, roles.ROOT, limits).signed.get("version")
    if isinstance(accept, Forbidden) or repository.source is None or not isinstance(present, int):
        raise error
    if present > limits.root_versions:
        raise error
    trusted: TrustedMetadata | None = None
    start, walked, weight = blank(), 0, Weight(limits.beside_bytes)
    for version in range(1, present):
        link = repository.fetch_version(roles.ROOT, version)
        if link is None:
            continue
        walked += len(link)
        weight.add(len(link))
        if walked > limits.walked_bytes or start.root_checks.left < 0:
            raise error
        try:
            trusted = _advance(trusted or start, link, accept, anchored=trusted is not None)
        except MetadataError:
            raise error from None
    if trusted is None:
        raise error
    root = trusted.update_root(data)
    _LOG.debug("%s: a pinned earlier root leads to version %s", repository.gun, root.version)
    return trusted


def _advance(
    trusted: TrustedMetadata, link: bytes, accept: RootPolicy, *, anchored: bool
) -> TrustedMetadata | None:
    """Take one more root; before any is pinned, one that is not is passed over, and leaves nothing behind."""
    if anchored:
        trusted.update_root(link)
        return trusted
    try:
        trusted.first_root(link, accept)
    except MetadataError:
        raise
    except VerificationError:
        return None
    return trusted


def root_policy(
    settings: Settings,
    gun: str,
    now: datetime,
    root: str | None,
    scope: Scope | None,
    *,
    publishing: bool = False,
) -> RootPolicy:
    """Return the policy that a repository's root must meet, whether or not `root`, a pin, is given.

    Whoever is `publishing` takes the first one that is shown, where nothing is pinned (`firstuse`: 2).
    """
    configured = settings.pins_for(gun.partition("/")[0], gun)
    wanted: list[RootPolicy] = []
    if root is not None:
        wanted.append(trustanchors.policy(root.split(","), "--root"))
    elif configured is not None:
        wanted.append(_pinned(configured, now))
    if scope is not None and scope.roots:
        wanted.append(_pinned(scope.roots, now))
    if wanted:
        return trustanchors.every(wanted)
    if scope is not None and not scope.first_use:
        return trustanchors.Forbidden(f"{scope.source} allows no trust on first use")
    if settings.first_use is False:
        return trustanchors.Forbidden("trust_pinning.disable_tofu turns trust on first use off")
    if os.path.lexists(settings.trust_dir / CERTIFICATES):
        known = _known_certificates(settings.trust_dir, gun)
        if known is not None:
            return known
    return trustanchors.FirstUse(allowed=publishing or scope is not None or settings.first_use is True)


def _known_certificates(trust_dir: Path, gun: str) -> RootPolicy | None:
    """Return the policy of certificates of a repository's roots that are in the trust directory (rule 5)."""
    cache = TrustDirectory(trust_dir).repository(gun)
    paths = [] if cache.size(roles.ROOT) else cache.certificates()
    if not paths:
        return None
    leaves = [of_known_root(path)[0] for path in paths]
    _LOG.debug("%s: no root is cached, and %d certificates of Notary 0.1 are here", gun, len(leaves))
    return trustanchors.policy((), f"Notary 0.1, in {paths[0].parent}", leaves)


def of_known_root(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a file of a root that was trusted; raise CacheDamagedError (rule 5)."""
    from notarypy.tuf import authorities  # few have such a file

    try:
        return authorities.load(files.read_regular(path, DEFAULT.key_file_bytes))
    except (FileNotFoundError, StorageError, MetadataError) as error:
        why = str(error.strerror) if isinstance(error, FileNotFoundError) else error.message
        message = f"the certificate of a root that was trusted cannot be read: {path}"
        raise CacheDamagedError(message, why=why, advice=Advice("pin-or-remove"), path=str(path)) from error


def is_settled(repository: Repository) -> bool:
    """Tell whether nobody will be asked, and nothing refused, for want of a word about the root (rule 4)."""
    if repository.cache.size(roles.ROOT):
        return True
    return all(
        one.allowed if isinstance(one, FirstUse) else not isinstance(one, Forbidden)
        for one in parts(repository.roots)
    )


def walk(repository: Repository, trusted: TrustedMetadata, offered: int, weight: Weight) -> None:
    """Trust the versions of the root before an offered one, as far as the server has them."""
    first = trusted.root.version + 1
    if offered - first > repository.limits.root_versions:
        raise VerificationError(
            f"the root of {repository.gun} is too many versions ahead",
            why=f"trusted: {first - 1}, offered: {offered}",
        )
    for version in range(first, offered):
        link = repository.fetch_version(roles.ROOT, version)
        if link is None:
            return
        weight.add(len(link))
        trusted.update_root(link)


def first_root(repository: Repository, root: Root, data: bytes) -> FirstRoot:
    """Return what is known of a root that nothing vouches for: as many keys that signed it as it takes."""
    assigned, gun = root.roles[roles.ROOT], repository.gun
    keys: dict[str, tuple[str, str]] = {}
    envelope = Envelope.parse(data, roles.ROOT, repository.limits)
    for keyid in signers(envelope, root.keys, certificates.usable(root, gun, None)):
        key = root.keys[keyid]
        keys[key.canonical_id] = (keyid, trustanchors.leaf_sha256(key))
        if meets(keys, assigned.threshold):
            break
    ids, leaves = zip(*keys.values(), strict=True)
    asked = repository.server is not None or repository.archive is not None
    source, lasting = repository.server_url if asked else "", repository.cache.lasting
    return FirstRoot(gun, source, tuple(keys), ids, leaves, lasting=lasting)


def _pinned(pins: Pins, now: datetime) -> RootPolicy:
    leaves = [_certificates(pins, path)[0] for path in pins.certificates]
    authority = None if pins.ca is None else AuthorityAnchor(_certificates(pins, pins.ca), now)
    return trustanchors.policy(pins.ids, pins.source, leaves, authority)


def _certificates(pins: Pins, path: Path) -> tuple[x509.Certificate, ...]:
    from notarypy.tuf import authorities  # who pins no certificate does without x509

    try:
        return authorities.load(pins.read(path))
    except MetadataError as error:
        raise pins.unusable(path, error.message) from error
