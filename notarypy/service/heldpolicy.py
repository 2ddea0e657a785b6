"""The trust policy of a service: which parts of it nobody may leave out.

What it is: whether a policy may be served. What it is not: the reading of the file
(`storage.settings.policyfile`), or a judge.

Rules:

1. There is a policy, and each scope that takes Notary's word for anything pins roots in the policy itself: a
   caller's pin counts beside these, and in place of what other files pin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, ConfigurationError

if TYPE_CHECKING:
    from notarypy.storage.settings.policyfile import TrustPolicy


def require_pins(policy: TrustPolicy | None) -> None:
    """Raise ConfigurationError unless there is a trust policy that pins what it trusts (rule 1)."""
    if policy is None:
        raise ConfigurationError("there is no trust policy", advice=Advice("give-service-policy"))
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
