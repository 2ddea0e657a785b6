"""Which first root to trust, and which earlier roots a trusted root vouches for.

What it is: small policies that answer for one root, and put together; and who may have said what a
repository's keys were, long ago. What it is not: the chain from a trusted root to a newer one (`trusted`), or
the chain of a certificate to an authority (`authorities`). Nothing that an earlier root says is believed of
the present.

Rules:

1. An anchor names a root key by its TUF id or canonical id, 64 hex digits in full; by its certificate, byte
   for byte; or by an authority that its certificate chains to. Users call that a pin.
2. The anchored keys alone, of those with a certificate for the GUN, must meet the root's own threshold.
   Anchors of one policy add up: one key may be named by its id and another by an authority.
3. Without anchors the first root may be taken on first use, once, by whoever decides about it; from then on
   the trust directory holds it. Or first use is forbidden, and no other root is trusted, whether the trust
   directory holds it or not.
4. Policies are only ever added: `every` wants all of them met, each on its own.
5. Only keys that signed are compared with anchors, until enough of them fit: a stranger may list as many
   keys as he likes, and chains of certificates are slow to follow.
6. An earlier root leads to the later one as every newer root is led to: its keys and the later one's own
   signed the later one.
7. An earlier root meets its own threshold with certificates that are valid for the GUN, whatever their dates.
8. Of the keys that signed it as many as its threshold are root keys of the later one, or such that the later
   one still lists and no other role of it has: rotations keep those. Without this rule anybody could make an
   earlier root that names the genuine keys beside his own.
9. Whoever holds an old root key can forge what was before the rotation that took it out, and nothing after.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from notarypy.errors import Advice, NotarypyError, RootNotPinnedError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import certificates, roles, usual
from notarypy.tuf.envelope import Envelope, VerificationBudget, signers, valid_keys
from notarypy.tuf.keys import X509_TYPES, PublicKey, leaf_certificate, meets
from notarypy.tuf.metadata import Root
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from cryptography import x509

_LOG = logging.getLogger(__name__)


class RootPolicy(Protocol):
    """Decides whether a root may be an anchor of trust."""

    def accepts(self, root: Root, envelope: Envelope) -> bool:
        """Tell whether this root is acceptable; its root role lists only keys that are valid for the GUN."""
        ...

    def explain(self, root: Root) -> tuple[str, ...]:
        """Return what would be acceptable, and why this root is not, one line each."""
        ...


@dataclass(frozen=True)
class FirstUse:
    """Trust on first use (rule 3).

    Attributes:
        allowed: Whether somebody has allowed it beforehand; else it is still to be decided.
    """

    allowed: bool = False

    def accepts(self, root: Root, envelope: Envelope) -> bool:  # noqa: ARG002 - the policy looks at nothing
        """Accept any root."""
        return True

    def explain(self, root: Root) -> tuple[str, ...]:  # noqa: ARG002 - the policy looks at nothing
        """Return nothing: every root is acceptable."""
        return ()


@dataclass(frozen=True)
class Forbidden:
    """No root at all: there is no anchor, and first use is forbidden (rule 3).

    Attributes:
        reason: Who forbids it, for people.
    """

    reason: str

    def accepts(self, root: Root, envelope: Envelope) -> bool:  # noqa: ARG002 - the policy looks at nothing
        """Refuse any root."""
        return False

    def explain(self, root: Root) -> tuple[str, ...]:  # noqa: ARG002 - the policy looks at nothing
        """Return the reason."""
        return (f"no root of it is pinned, and {self.reason}",)


class Anchor(Protocol):
    """One way of saying which root keys are meant (rule 1)."""

    def mismatch(self, root: Root, keyid: str) -> str:
        """Say why a root key is not meant; empty when it is."""
        ...


@dataclass(frozen=True)
class KeyAnchor:
    """Root keys by their ids."""

    ids: frozenset[str]

    def mismatch(self, root: Root, keyid: str) -> str:
        """Say whether neither id of the key is among these."""
        return "" if self.ids & root_ids(root, keyid) else f"pinned ids: {', '.join(sorted(self.ids))}"


@dataclass(frozen=True)
class CertificateAnchor:
    """Root keys by the SHA-256 of their certificates."""

    fingerprints: frozenset[str]

    def mismatch(self, root: Root, keyid: str) -> str:
        """Say whether the key's leaf certificate is another one than these."""
        try:
            found = leaf_sha256(root.keys[keyid])
        except NotarypyError as error:
            return error.message
        if root.keys[keyid].keytype in X509_TYPES and found in self.fingerprints:
            return ""
        pinned = ", ".join(sorted(self.fingerprints))
        return f"pinned certificates: sha256 {pinned}; offered: {found}"


@dataclass(frozen=True)
class AuthorityAnchor:
    """Root keys by an authority that issued their certificates, at a moment."""

    certificates: tuple[x509.Certificate, ...]
    now: datetime

    def mismatch(self, root: Root, keyid: str) -> str:
        """Say why the key's certificate does not chain to one of these authorities."""
        from notarypy.tuf import authorities  # who pins no authority does without x509

        found = authorities.problem(root.keys[keyid], self.certificates, self.now)
        return found and f"not issued by the pinned authority: {found}"


@dataclass(frozen=True)
class Anchored:
    """Only roots signed by keys that anchors name (rules 1 and 2).

    Attributes:
        anchors: Of which a key must meet one.
        source: Where they are written, for people.
    """

    anchors: tuple[Anchor, ...]
    source: str = ""

    def accepts(self, root: Root, envelope: Envelope) -> bool:
        """Accept a root whose anchored keys meet its threshold (rules 2 and 5)."""
        assigned = root.roles[roles.ROOT]
        found: set[str] = set()
        for keyid in signers(envelope, root.keys, assigned.keyids):
            met = next((anchor for anchor in self.anchors if not anchor.mismatch(root, keyid)), None)
            if met is not None:
                source = self.source or "the caller"
                _LOG.debug("root key %s meets a %s of %s", keyid, type(met).__name__, source)
                found.add(root.keys[keyid].canonical_id)
            if meets(found, assigned.threshold):
                return True
        return False

    def explain(self, root: Root) -> tuple[str, ...]:
        """Return what each anchor says of the first root keys, and where the anchors are written."""
        keyids = root.roles[roles.ROOT].keyids[: DEFAULT.explained_keys]
        found = [anchor.mismatch(root, keyid) for keyid in keyids for anchor in self.anchors]
        lines = [line for line in dict.fromkeys(found) if line]
        return (*lines, *([f"pinned by {self.source}"] if self.source else []))


@dataclass(frozen=True)
class Every:
    """All of several policies (rule 4)."""

    policies: tuple[RootPolicy, ...]

    def accepts(self, root: Root, envelope: Envelope) -> bool:
        """Accept what all policies accept."""
        return all(policy.accepts(root, envelope) for policy in self.policies)

    def explain(self, root: Root) -> tuple[str, ...]:
        """Return what all policies say."""
        return tuple(line for policy in self.policies for line in policy.explain(root))


def require(policy: RootPolicy, gun: str, root: Root, usable: Sequence[str], envelope: Envelope) -> None:
    """Raise RootNotPinnedError for a first root that a policy refuses; `usable` keys alone count (rule 2)."""
    assigned = root.roles[roles.ROOT]
    narrowed = replace(root, roles={**root.roles, roles.ROOT: replace(assigned, keyids=tuple(usable))})
    if policy.accepts(narrowed, envelope):
        _LOG.debug("%s: root version %d meets %s", gun, root.version, type(policy).__name__)
        return
    raise RootNotPinnedError(
        f"the root of {gun} is not a pinned one",
        why=(f"offered: {', '.join(root.pins)} (version {root.version})", *policy.explain(narrowed)),
        advice=Advice("compare-pin"),
        role=roles.ROOT,
        offered=list(root.pins),
    )


def every(policies: Iterable[RootPolicy]) -> RootPolicy:
    """Return the policy that wants all of these met; of none, trust on first use."""
    asking = [policy for policy in policies if not isinstance(policy, FirstUse)]
    if len(asking) == 1:
        return asking[0]
    return Every(tuple(asking)) if asking else FirstUse()


def parts(policy: RootPolicy) -> tuple[RootPolicy, ...]:
    """Return the policies that are to be met, each on its own: maybe by different roots of one chain."""
    return policy.policies if isinstance(policy, Every) else (policy,)


def policy(
    ids: Iterable[str],
    source: str = "",
    certificates: Iterable[x509.Certificate] = (),
    authority: AuthorityAnchor | None = None,
) -> RootPolicy:
    """Return the policy for anchors of all kinds; none at all means trust on first use (rules 1 and 3).

    Args:
        ids: Full key ids; another one raises InvalidNameError.
        source: Where this is written, for people.
        certificates: Of root keys.
        authority: What is to have issued the certificates of root keys.
    """
    checked = frozenset(roles.check_pin(pin) for pin in ids)
    prints = frozenset(map(certificate_sha256, certificates))
    anchors: list[Anchor] = [KeyAnchor(checked)] if checked else []
    anchors += [CertificateAnchor(prints)] if prints else []
    anchors += [authority] if authority is not None else []
    return Anchored(tuple(anchors), source) if anchors else FirstUse()


def root_ids(root: Root, keyid: str) -> frozenset[str]:
    """Return both ids of a root key: the TUF id and the canonical id."""
    return frozenset({keyid, root.keys[keyid].canonical_id})


def leaf_sha256(key: PublicKey) -> str:
    """Return the fingerprint of a key's leaf certificate; raise MetadataError if that is unreadable."""
    found = usual.certificate(key.public)
    if found is not None:
        return hashlib.sha256(found.der).hexdigest()
    return certificate_sha256(leaf_certificate(key))


def certificate_sha256(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, 64 hex digits."""
    from cryptography.hazmat.primitives.serialization import Encoding  # who pins no certificate does without

    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def earlier_root(gun: str, later: bytes, data: bytes, limits: Limits = DEFAULT) -> Root:
    """Return an earlier root if the later one, which is trusted, vouches for it; else VerificationError."""
    budget = VerificationBudget(limits.signature_checks, f"the roots of {gun}")
    after, before = (Envelope.parse(each, roles.ROOT, limits) for each in (later, data))
    trusted, root = Root.from_signed(after.signed, limits), Root.from_signed(before.signed, limits)
    if root.version >= trusted.version:
        raise _refused(gun, root, f"it is no earlier one than version {trusted.version}")
    if not certificates.signed(root, after, gun, budget=budget):  # rule 6
        raise _refused(gun, root, f"its keys did not sign version {trusted.version}")
    usable = certificates.require_own_threshold(root, before, gun, budget=budget)  # rule 7
    known = _root_keys(trusted)
    vouched = {keyid: key for keyid, key in root.keys.items() if key.canonical_id in known}
    if not meets(valid_keys(before, vouched, usable, budget), root.roles[roles.ROOT].threshold):  # rule 8
        raise _refused(gun, root, f"version {trusted.version} does not know the keys that signed it")
    return root


def _root_keys(root: Root) -> set[str]:
    """Return the canonical ids of keys that are root keys, or were (rule 8)."""
    named = {name: {key.canonical_id for key in root.signers(name)} for name in roles.BASE_ROLES}
    others = {keyid for name, ids in named.items() if name != roles.ROOT for keyid in ids}
    return named[roles.ROOT] | ({key.canonical_id for key in root.keys.values()} - others)


def _refused(gun: str, root: Root, why: str) -> VerificationError:
    text = f"version {root.version} of the root of {gun} cannot be relied on"
    return VerificationError(text, why=why, role=roles.ROOT)
