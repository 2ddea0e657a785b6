"""Earlier roots that a trusted root vouches for, one after the other back to the first.

What it is: who may have said what a repository's keys were, long ago. What it is not: the way forward
(`trusted`); nothing that is believed here is believed of the present.

Rules:

1. An earlier root leads to the later one as every newer root is led to: its keys and the later one's own
   signed the later one.
2. It meets its own threshold with certificates that are valid for the GUN, whatever their dates.
3. Of the keys that signed it as many as its threshold are root keys of the later one, or such that the later
   one still lists and no other role of it has: rotations keep those. Without this rule anybody could make an
   earlier root that names the genuine keys beside his own.
4. Whoever holds an old root key can forge what was before the rotation that took it out, and nothing after.
"""

from __future__ import annotations

from notarypy.errors import VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import certificates, roles
from notarypy.tuf.envelope import Envelope, VerificationBudget, valid_keys
from notarypy.tuf.keys import meets
from notarypy.tuf.metadata import Root


def earlier_root(gun: str, later: bytes, data: bytes, limits: Limits = DEFAULT) -> Root:
    """Return an earlier root if the later one, which is trusted, vouches for it; else VerificationError."""
    budget = VerificationBudget(limits.signature_checks, f"the roots of {gun}")
    after, before = (Envelope.parse(each, roles.ROOT, limits) for each in (later, data))
    trusted, root = Root.from_signed(after.signed, limits), Root.from_signed(before.signed, limits)
    if root.version >= trusted.version:
        raise _refused(gun, root, f"it is no earlier one than version {trusted.version}")
    if not certificates.signed(root, after, gun, budget=budget):  # rule 1
        raise _refused(gun, root, f"its keys did not sign version {trusted.version}")
    usable = certificates.require_own_threshold(root, before, gun, budget=budget)  # rule 2
    known = _root_keys(trusted)
    vouched = {keyid: key for keyid, key in root.keys.items() if key.canonical_id in known}
    if not meets(valid_keys(before, vouched, usable, budget), root.roles[roles.ROOT].threshold):  # rule 3
        raise _refused(gun, root, f"version {trusted.version} does not know the keys that signed it")
    return root


def _root_keys(root: Root) -> set[str]:
    """Return the canonical ids of keys that are root keys, or were (rule 3)."""
    named = {name: {key.canonical_id for key in root.signers(name)} for name in roles.BASE_ROLES}
    others = {keyid for name, ids in named.items() if name != roles.ROOT for keyid in ids}
    return named[roles.ROOT] | ({key.canonical_id for key in root.keys.values()} - others)


def _refused(gun: str, root: Root, why: str) -> VerificationError:
    text = f"version {root.version} of the root of {gun} cannot be relied on"
    return VerificationError(text, why=why, role=roles.ROOT)
