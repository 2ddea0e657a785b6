"""The public keys that a policy of another program names: whose they are, and how they are counted.

What it is: keys in PEM, those of delegations and those that the trust policy names in; keys with names out.
What it is not: what is required of whom (`equivalent`).

Rules:

1. A text has one key or more, of which any will do.
2. A signer's keys are those that are given, or else those that a repository's delegation has for him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import NamedKey, counted
from notarypy.client.verify.cosignrequirements import of_policy
from notarypy.cosign import signaturekeys
from notarypy.tuf import roles
from notarypy.tuf.keys import UnusableKey
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from notarypy.client.migrate.policies.rules import Group
    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.storage.settings.requiredsignatures import CosignKeys
    from notarypy.tuf.trusted import TrustedMetadata


@dataclass(frozen=True)
class PolicyKeys:
    """The public keys of the new signatures: of releases, and of signers by their roles.

    A signer without any signs with those that he has in Notary (rule 2).
    """

    release: tuple[NamedKey, ...]
    signers: Mapping[str, tuple[NamedKey, ...]]

    @classmethod
    def of(cls, keys: Sequence[bytes], signer_keys: Mapping[str, Sequence[bytes]]) -> PolicyKeys:
        """Read public keys, PEM; raise UnsupportedKeyError (rule 1)."""
        return cls(_read("release", keys), {
            roles.signer_role(name): _read(name, pems) for name, pems in signer_keys.items()
        })  # fmt: skip


def delegated(role: str, trusted: TrustedMetadata | None) -> tuple[NamedKey, ...]:
    """Return the keys that a signer has in Notary, of those that can ever sign."""
    above = None if trusted is None else trusted.targets.get(roles.parent(role))
    listed = () if above is None else above.signers(role)[0]
    keys = [signaturekeys.of(key) for key in listed if not isinstance(key, UnusableKey)]
    return _named(roles.signer_name(role), keys)


def of_cosign(required: CosignKeys) -> list[Group]:
    """Return what the trust policy requires of cosign: any key of each file, and so many of some files."""
    return [
        group
        for each in of_policy(required)
        for group in counted([_named(file.name, file.keys) for file in each.files], each.threshold)
    ]


def _read(name: str, pems: Iterable[bytes]) -> tuple[NamedKey, ...]:
    return _named(name, [key for pem in pems for key in signaturekeys.keys_in(pem)])


def _named(name: str, keys: Iterable[VerificationKey]) -> tuple[NamedKey, ...]:
    return tuple(
        NamedKey(name if number == 1 else f"{name}-{number}", key.pem.decode())
        for number, key in enumerate(dict.fromkeys(keys), start=1)
    )
