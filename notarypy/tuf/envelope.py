"""Signed metadata files: taking them apart, checking their signatures, putting them together.

What it is: the outer layer that all four kinds of metadata share, and the exact methods of Notary's
signatures. What it is not: their content (`metadata`), the order in which they are trusted (`trusted`), or
private keys (`keys.signers`).

Rules:

Files
 1. Signatures cover the canonical form of `signed`, hashes the received bytes. Both are kept.
 2. A threshold counts distinct keys, not signatures and not key objects: one key listed bare and inside a
    certificate counts once. Go counts it twice.
 3. Unknown key ids and invalid signatures count for nothing and do no harm, and neither do entries of the
    list that are no signatures, and keys that cannot be used. Of one key id at most 8
    different signatures are checked, and none after a valid one.
 4. A threshold below 1 or above the number of distinct keys is never met.
 5. At most 64 signatures are looked at in one file, and each of them is checked once. Over several files a
    `VerificationBudget` bounds the checks: some keys are slow on purpose.

11. Who takes more than the usual limits reads nothing big for a stranger: of a file beyond them the
    signatures are checked over the text as it stands, before it is decoded, and as ever afterwards.

Signatures
 6. The key's type chooses the method; a signature's `method` must be one that fits the type. A signature
    never chooses how it is checked.
 7. ECDSA is SHA-256 on every curve, encoded as r and s, each as long as the curve; DER is refused.
 8. RSA-PSS is SHA-256 with a salt of exactly 32 bytes; PKCS#1 v1.5 is accepted, never produced. `keyobjects`
    says which RSA keys are.
 9. Anything unexpected, of any kind, is an invalid signature, never an exception.
10. A bare key has one encoding, the one Go writes: another (a compressed point, no NULL beside the RSA
    algorithm) would let one key stand in a role twice.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy.errors import MetadataError, NotarypyError, SignatureError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical, usual
from notarypy.tuf.fields import part_of
from notarypy.tuf.keys import (
    SHORT_KEYID,
    X509_TYPES,
    KeyTable,
    PublicKey,
    UnusableKey,
    decode_base64,
    meets,
    public_key_of,
)
from notarypy.values import dataclass, field

METHOD_FOR = {
    "ecdsa": "ecdsa",
    "rsa": "rsapss",
    "ed25519": "eddsa",
    "ecdsa-x509": "ecdsa",
    "rsa-x509": "rsapss",
}
# The salt of PSS is as long as SHA-256 (rule 8).
_PADDINGS = {"rsapss": padding.PSS(padding.MGF1(SHA256()), 32), "rsapkcs1v15": padding.PKCS1v15()}


@dataclass(frozen=True)
class Signature:
    """One signature: the TUF id of its key, the method, and the raw signature bytes."""

    keyid: str
    method: str
    sig: bytes

    def to_json(self) -> canonical.JsonObject:
        """Return the signature as a file stores it."""
        return {"keyid": self.keyid, "method": self.method, "sig": base64.b64encode(self.sig).decode()}


class VerificationBudget:
    """How many signatures of several files may still be checked (rule 5)."""

    def __init__(self, left: int, what: str) -> None:
        """Allow this many, for files that errors call by this name."""
        self.left = self._all = left
        self._what = what

    def take(self, count: int = 1) -> None:
        """Count some; raise SignatureError, now and from now on, when not so many are left."""
        self.left = max(self.left - count, -1)
        if self.left < 0:
            why = f"no more than {self._all} are checked"
            raise SignatureError(f"{self._what} carry too many signatures", why=why)


@dataclass(frozen=True)
class Envelope:
    """A metadata file that is well formed, and not verified yet.

    Attributes:
        raw: The bytes as received.
        signed: The decoded `signed` part.
        signatures: In file order.
        limits: What it was read with.
    """

    raw: bytes
    signed: canonical.JsonObject
    signatures: tuple[Signature, ...]
    limits: Limits = field(default=DEFAULT, repr=False, compare=False)
    _checked: dict[tuple[PublicKey, Signature], bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def canonical(self) -> bytes:
        """The bytes that the signatures cover (rule 1)."""
        return canonical.encode(self.signed)

    @property
    def version(self) -> int:
        """The version that the signed part says, verified or not; 0, below all that exist, for no number."""
        version = self.signed.get("version")
        return version if isinstance(version, int) else 0

    @classmethod
    def parse(cls, data: bytes, role: str, limits: Limits = DEFAULT) -> Envelope:
        """Take a file apart; raise MetadataError if it is not a signed file."""
        with part_of(role):
            outer, form = canonical.decode_file(data, role, limits)
            signed, listed = outer.get("signed"), outer.get("signatures")
            if not isinstance(signed, dict):
                raise MetadataError(f"{role} has no signed part")
            if not isinstance(listed, list) or not listed:
                raise MetadataError(f"{role} carries no signatures")
            if len(listed) > limits.signatures:  # rule 5
                raise canonical.too_many(role, "signatures", len(listed), limits.signatures)
            read = (_signature(entry) for entry in listed)
            found = cls(data, signed, tuple(entry for entry in read if entry is not None), limits)
            if form is not None:
                vars(found)["canonical"] = form  # as it was worked out already
            return found

    def signed_by(self, key: PublicKey, entry: Signature, budget: VerificationBudget | None) -> bool:
        """Tell whether one of the signatures is this key's (rule 5)."""
        if (key, entry) not in self._checked:
            if budget is not None:
                budget.take()
            self._checked[key, entry] = verify(key, entry.method, entry.sig, self.canonical)
        return self._checked[key, entry]


def _signature(value: object) -> Signature | None:
    """Return an entry that can be one; None for another, which is an invalid signature (rule 3)."""
    entry = value if isinstance(value, dict) else {}
    keyid, method = entry.get("keyid"), entry.get("method")
    try:
        signature = decode_base64(entry.get("sig"), "a signature")
    except MetadataError:
        return None
    return Signature(keyid, method, signature) if isinstance(keyid, str) and isinstance(method, str) else None


def seal(signed: canonical.JsonObject, signatures: Sequence[Signature]) -> bytes:
    """Return the file to upload: storage form, byte for byte what Go would write."""
    return canonical.storage_form(canonical.encode(signed), [entry.to_json() for entry in signatures])


def signers(
    envelope: Envelope, keys: KeyTable, keyids: Iterable[str], budget: VerificationBudget | None = None
) -> Iterator[str]:
    """Yield the TUF ids of those listed keys that validly signed, each once (rule 3)."""
    allowed, most = frozenset(keyids), envelope.limits.tries_of_key
    done, tried = set[str](), Counter[str]()
    for entry in dict.fromkeys(envelope.signatures):
        keyid = entry.keyid
        if keyid not in keys or keyid not in allowed or keyid in done or tried[keyid] >= most:
            continue
        if isinstance(keys[keyid], UnusableKey):
            continue
        tried[keyid] += 1
        if envelope.signed_by(keys[keyid], entry, budget):
            done.add(keyid)
            yield keyid


def valid_keys(
    envelope: Envelope, keys: KeyTable, keyids: Iterable[str], budget: VerificationBudget | None = None
) -> frozenset[str]:
    """Return the canonical ids of the listed keys that validly signed (rules 2 and 3)."""
    return frozenset(keys[keyid].canonical_id for keyid in signers(envelope, keys, keyids, budget))


class _SignedText(Envelope):
    """A file whose signed part is not decoded: `raw` is its canonical form."""

    @property
    def canonical(self) -> bytes:
        return self.raw


def require_signed_text(
    data: bytes,
    keys: KeyTable,
    keyids: Sequence[str],
    threshold: int,
    role: str,
    *,
    limits: Limits,
    budget: VerificationBudget | None = None,
) -> None:
    """Check the signatures of a file beyond the usual limits before it is decoded (rule 11)."""
    if canonical.within(data, DEFAULT) or not canonical.within(data, limits):
        return
    found = canonical.signed_text(data)
    if found is None:
        why = "a file beyond the limits is read in storage form only"
        raise MetadataError(f"{role} is not in storage form", why=why, role=role)
    text, rest = found
    listed = Envelope.parse(b'{"signed":{}' + rest, role)
    file = _SignedText(text, {}, listed.signatures, listed.limits)
    require_threshold(file, keys, keyids, threshold, role, budget=budget)


def require_threshold(
    envelope: Envelope,
    keys: KeyTable,
    keyids: Sequence[str],
    threshold: int,
    role: str,
    *,
    budget: VerificationBudget | None = None,
) -> None:
    """Raise SignatureError unless `threshold` distinct keys of `keyids` signed (rules 2 to 4)."""
    found = valid_keys(envelope, keys, keyids, budget)
    if meets(found, threshold):
        return
    accepted = ", ".join(
        (keys[keyid].canonical_id if keyid in keys else keyid)[:SHORT_KEYID] for keyid in keyids
    )
    raise SignatureError(
        f"{role} is not signed by enough of its keys",
        why=f"{len(found)} valid of {threshold} needed; accepted keys: {accepted or 'none'}",
        role=role,
        threshold=threshold,
        valid=sorted(found),
        accepted=list(keyids),
    )


# -- signatures, rules 6 to 10


def verify(key: PublicKey, method: str, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` is one by `key` over `message` (rules 6 to 10)."""
    public = _usable(key)
    try:
        return public is not None and check(public, method.lower(), signature, message)
    except InvalidSignature:
        return False


def check(public: object, method: str, signature: bytes, message: bytes) -> bool:
    """Raise InvalidSignature for a wrong signature; return False for a method that does not fit (rule 6)."""
    if isinstance(public, ec.EllipticCurvePublicKey) and method == "ecdsa":
        public.verify(_ecdsa_der(signature, public.curve.key_size), message, ec.ECDSA(SHA256()))
    elif isinstance(public, rsa.RSAPublicKey) and method in _PADDINGS:
        public.verify(signature, message, _PADDINGS[method], SHA256())
    elif isinstance(public, Ed25519PublicKey) and method == "eddsa":
        public.verify(signature, message)
    else:
        return False
    return True


def ecdsa_raw(der: bytes, curve_bits: int) -> bytes:
    """Turn a DER ECDSA signature into r and s, each padded to the curve's length (rule 7)."""
    size = (curve_bits + 7) // 8
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _ecdsa_der(raw: bytes, curve_bits: int) -> bytes:
    """Turn r and s into a DER signature; raise InvalidSignature for another length (rule 7)."""
    size = (curve_bits + 7) // 8
    if len(raw) != 2 * size:
        raise InvalidSignature
    return utils.encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))


def key_problem(key: PublicKey) -> str:
    """Say why no signature by a key can be valid; empty for one that can be used."""
    if isinstance(key, UnusableKey):
        return key.why
    return "" if _usable(key) is not None else "it is of no kind that Notary v1 verifies with"


def too_few_usable(keys: Sequence[PublicKey], threshold: int) -> list[str]:
    """Say which keys of a role cannot be used, if too few are left without them; else nothing."""
    reasons = {key.canonical_id: key_problem(key) for key in keys}
    unusable = {keyid: reason for keyid, reason in reasons.items() if reason}
    if not unusable or meets(reasons.keys() - unusable.keys(), threshold):
        return []
    few = f"{len(reasons) - len(unusable)} keys that can be used, {threshold} needed"
    return [
        few,
        *(f"key {keyid[:SHORT_KEYID]} cannot be used: {reason}" for keyid, reason in unusable.items()),
    ]


@lru_cache(maxsize=512)
def _usable(key: PublicKey) -> object:
    """Return the object that checks a key's signatures; None for a key that cannot be used (rule 9)."""
    try:
        bare = key.bare
        if bare.keytype != X509_TYPES.get(key.keytype, key.keytype):  # rule 6
            return None
        if bare.keytype == "ed25519":
            return Ed25519PublicKey.from_public_bytes(bare.public)
        if (known := usual.public_key(bare.keytype, bare.public)) is not None:
            return known
        from cryptography.hazmat.primitives.serialization import load_der_public_key  # takes milliseconds

        public = load_der_public_key(bare.public)
        return public if public_key_of(public) == bare else None  # rules 6, 8 and 10
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, NotarypyError):
        return None
