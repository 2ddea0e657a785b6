"""What a repository's root must be: the option, the configuration and the trust policy, joined.

What it is: from pins as they were written to one policy for a root. What it is not: the
decision about a root (`tuf.pinning`), or the walk to earlier roots (`pin`).

Rules:

1. `--root` counts in place of the configured pins. The pins of the trust policy are
   added to either, and all of them must be met.
2. Where nothing is pinned, a root may be trusted on first use, unless the trust policy
   or `disable_tofu` forbids it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import MetadataError
from notarypy.tuf import authorities, pinning

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from notarypy.storage.pins import Pins
    from notarypy.storage.policyfile import Scope
    from notarypy.storage.settings import Settings
    from notarypy.tuf.pinning import RootPolicy


def root_policy(
    settings: Settings, gun: str, now: datetime, root: str | None, scope: Scope | None
) -> RootPolicy:
    """Return the policy that a repository's root must meet.

    Raises:
        InvalidNameError: `root` is no full key id.
        ConfigurationError: A file that is to be pinned cannot be read.
    """
    configured = settings.pins_for(gun.partition("/")[0], gun)
    wanted: list[RootPolicy] = []
    if root is not None:
        wanted.append(pinning.policy([root], "--root"))
    elif configured is not None:
        wanted.append(_pinned(configured, now))
    if scope is not None and scope.roots:
        wanted.append(_pinned(scope.roots, now))
    return pinning.every(wanted) if wanted else _unpinned(settings, scope)


def _unpinned(settings: Settings, scope: Scope | None) -> RootPolicy:
    if scope is not None and not scope.first_use:
        return pinning.Forbidden(f"{scope.source} allows no trust on first use")
    if not settings.first_use:
        return pinning.Forbidden("trust_pinning.disable_tofu turns trust on first use off")
    return pinning.FirstUse()


def _pinned(pins: Pins, now: datetime) -> RootPolicy:
    leaves = [_certificates(pins, path)[0] for path in pins.certificates]
    ca = () if pins.ca is None else _certificates(pins, pins.ca)
    return pinning.pinned(pins.ids, leaves, ca, now, pins.source)


def _certificates(pins: Pins, path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return authorities.load(pins.read(path))
    except MetadataError as error:
        raise pins.unusable(path, error.message) from error
