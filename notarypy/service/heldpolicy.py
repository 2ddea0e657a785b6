"""The trust policy of a service, held as it was read, with all the files that it names.

What it is: whether a policy may be served, and whether it has changed. What it is not: the reading of
the file (`storage.settings.policyfile`), or a judge.

Rules:

1. There is a policy, and each scope that takes Notary's word for anything pins roots in the policy itself. A
   caller's pin counts beside these, and beside what other files pin (`ownsession`: 7).
2. Certificates, authorities and keys of cosign that it names are read with it, and must be usable then. What
   becomes of these files afterwards changes nothing until all of it reads well again.
3. It has changed when any of its files holds something else. Dates do not matter: a volume may swap them all
   at once, and a file be written twice in one moment.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from notarypy.client.metadata.roots import root_policy
from notarypy.errors import Advice, ConfigurationError, NotarypyError
from notarypy.storage.settings.policyfile import PolicyFile, TrustPolicy
from notarypy.tuf import roles
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.requiredsignatures import NamedFiles
    from notarypy.storage.settings.settings import Settings


@dataclass(frozen=True)
class HeldPolicy(PolicyFile):
    """A policy file as it was read; in settings it stands in the file's place.

    Attributes:
        policy: What was read, with the contents of the files that it names.
        digest: Of all that was read.
    """

    policy: TrustPolicy
    digest: bytes

    def read(self) -> TrustPolicy:
        """Return the policy as it was read."""
        return self.policy

    def is_current(self) -> bool:
        """Tell whether all files hold what they held (rule 3)."""
        try:
            return _digest(self.data(), self.policy) == self.digest
        except NotarypyError:
            return False


def hold(settings: Settings, now: datetime) -> HeldPolicy:
    """Read the trust policy that settings name; raise ConfigurationError for one that cannot be served."""
    file = settings.policy
    data = None if file is None else file.data()
    if file is None or data is None:
        raise _missing()
    policy = file.parse(data)
    require_pins(policy)
    held = replace(policy, scopes={prefix: _held(scope) for prefix, scope in policy.scopes.items()})
    for scope in held.scopes.values():
        _require_usable(settings, scope, now)
    return HeldPolicy(file.path, file.home, file.named, held, _digest(data, held, held=True))


def require_pins(policy: TrustPolicy | None) -> None:
    """Raise ConfigurationError unless there is a trust policy that pins what it trusts (rule 1)."""
    if policy is None:
        raise _missing()
    if found := unpinned(policy):
        raise ConfigurationError(
            f"the trust policy {policy.path} does not pin every root",
            why=tuple(f'scope "{prefix}" {reason}' for prefix, reason in found.items()),
            advice=Advice("pin-in-policy"),
            path=str(policy.path),
        )


def unpinned(policy: TrustPolicy) -> dict[str, str]:
    """Return the scopes that need Notary's word and pin no root in the policy itself, and what is wrong."""
    found = {}
    for prefix, scope in policy.scopes.items():
        if scope.mode != "skip" and scope.require.notary and not scope.roots:
            found[prefix] = "trusts on first use" if scope.first_use else "pins no root"
    return found


def _missing() -> ConfigurationError:
    return ConfigurationError("there is no trust policy", advice=Advice("give-service-policy"))


def _named(scope: Scope) -> Iterator[NamedFiles]:
    yield scope.roots
    if scope.require.cosign is not None:
        yield scope.require.cosign


def _held(scope: Scope) -> Scope:
    """Return a scope with the contents of its files (rule 2)."""
    roots = replace(scope.roots, held={path: scope.roots.read(path) for path in scope.roots.paths})
    keys = scope.require.cosign
    if keys is not None:
        keys = replace(keys, held={path: keys.read(path) for path in keys.paths})
    return replace(scope, roots=roots, require=replace(scope.require, cosign=keys))


def _require_usable(settings: Settings, scope: Scope, now: datetime) -> None:
    """Raise ConfigurationError unless pins and keys can be read from the files of a scope."""
    if scope.roots:
        root_policy(settings, scope.prefix.rstrip(roles.ANY), now, None, scope)
    if scope.require.cosign is not None:
        from notarypy.client.verify.cosignrequirements import of_policy  # what reads its keys

        of_policy(scope.require.cosign)


def _digest(data: bytes | None, policy: TrustPolicy, *, held: bool = False) -> bytes:
    """Return what tells apart what all files hold; raise for one that cannot be read unless it is `held`."""
    found = hashlib.sha256(repr(data).encode())
    for scope in policy.scopes.values():
        for named in _named(scope):
            for path in named.paths:
                content = named.held[path] if held else named.read_now(path)
                found.update(hashlib.sha256(content).digest())
    return found.digest()
