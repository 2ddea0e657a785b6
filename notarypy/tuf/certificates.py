"""Certificates that stand for keys: when they vouch for a repository, their names, and who can read them.

What it is: the x509 rules Notary adds to TUF's root role, the names in certificates, and what docker and Go
notary cannot read. What it is not: making certificates (`keys.signers.keyfile`), those that signers bring
(`signerkeys`), or chains to a certificate authority (`authorities`).

Rules:

1. A root key is an x509 key. Its bundle begins with the leaf: exactly one certificate that is no authority;
   every other one is an authority and in date.
2. The leaf's common name is the GUN, or ends with `*` and what stands before is a prefix of the GUN.
3. The leaf is not signed with SHA-1, has an RSA key of 2048 bits or more, or EC.
4. It is in date: valid from at most one day after now, and not expired. Only the newest root needs this;
   earlier links of a chain may be out of date.
5. X.509 limits a common name to 64 bytes; Notary does not, and names of repositories are often longer.
   `Certificate.subject` and `issuer` warn of each such name, and what silences warnings does so for all
   threads: both are therefore read from their bytes.
6. A common name that is not text of one of the usual kinds, or badly encoded, is a ValueError.
7. What is published must be read by docker and Go notary too: one certificate that they cannot read hides
   every signer of the repository from them. They want the key as its kind is usually written (a curve by its
   name, a point in full, RSA as plain RSA), the same algorithm inside and outside of what is signed, names
   and extensions that are well-formed, and none twice. Nobody is kept from reading what is published already.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from notarypy.errors import Advice, ExpiredError, NotarypyError, VerificationError
from notarypy.tuf import der, roles
from notarypy.tuf.envelope import Envelope, VerificationBudget, require_threshold, valid_keys
from notarypy.tuf.keyobjects import certificate_problem
from notarypy.tuf.keys import X509_TYPES, PublicKey, certificates, meets, public_key_of

if TYPE_CHECKING:
    from notarypy.tuf.metadata import Root

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
STRANGE_EXTENSION = (x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
FUTURE = timedelta(days=1)
# By tag: UTF8String, PrintableString, T61String, IA5String, BMPString.
_ENCODINGS = {b"\x0c": "utf-8", b"\x13": "ascii", b"\x14": "utf-8", b"\x16": "ascii", b"\x1e": "utf-16-be"}
# T61String is any bytes to Go, and there is NumericString.
_ENCODINGS_OF_GO = {b"\x14": "latin-1", b"\x12": "ascii"}
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
# Go refuses a certificate for a URI that it cannot take apart; this takes none that Go does not.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?://[A-Za-z0-9.@:_~-]*(?=[/?#]|$))?(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
)


def usable(root: Root, gun: str, now: datetime | None) -> list[str]:
    """Return the ids of those root keys that can vouch for `gun` at a moment, or at any (None)."""
    keyids = root.roles[roles.ROOT].keyids
    return [keyid for keyid in keyids if not problem(root.keys[keyid], gun, now)]


def _problems(root: Root, gun: str, now: datetime | None) -> tuple[str, ...]:
    return tuple(sorted({problem(key, gun, now) for key in root.signers(roles.ROOT)} - {""}))


def signed(
    root: Root,
    file: Envelope,
    gun: str,
    now: datetime | None = None,
    budget: VerificationBudget | None = None,
) -> bool:
    """Tell whether enough keys of a root that can vouch for `gun` at a moment, or at any, signed a file."""
    found = valid_keys(file, root.keys, usable(root, gun, now), budget)
    return meets(found, root.roles[roles.ROOT].threshold)


def require_own_threshold(root: Root, file: Envelope, gun: str, budget: VerificationBudget) -> list[str]:
    """Return the ids of the keys that can vouch for `gun`, whatever their dates; they must have signed."""
    keyids = usable(root, gun, None)
    if not keyids:
        why = _problems(root, gun, None)
        raise VerificationError(f"the root of {gun} has no usable certificate", why=why, role=roles.ROOT)
    threshold = root.roles[roles.ROOT].threshold
    require_threshold(file, root.keys, keyids, threshold, roles.ROOT, budget=budget)
    return keyids


def require_in_date(root: Root, file: Envelope, gun: str, now: datetime) -> None:
    """Raise ExpiredError unless enough keys signed whose certificates are in date (rule 4)."""
    if not signed(root, file, gun, now):
        raise ExpiredError(
            f"the root certificate of {gun} is out of date",
            why=_problems(root, gun, now),
            advice=Advice("renew-root-certificate", gun=gun),
            role=roles.ROOT,
        )


def problem(key: PublicKey, gun: str, now: datetime | None) -> str:
    """Say why a key cannot be a root key of `gun`; empty when it can. No moment leaves dates out (rule 4)."""
    if key.keytype not in X509_TYPES:
        return "a root key has no certificate"
    try:
        leaf, *others = certificates(key)
        public_key_of(leaf)
        return _bundle_problem(leaf, others, now) or _name_problem(leaf, gun) or _leaf_problem(leaf, now)
    except (NotarypyError, ValueError, TypeError, OverflowError, *STRANGE_EXTENSION) as error:
        return f"a root certificate cannot be used: {error}"


def expiry(key: PublicKey) -> datetime:
    """Return when a root key's certificate ends."""
    return certificates(key)[0].not_valid_after_utc


def _bundle_problem(leaf: x509.Certificate, others: list[x509.Certificate], now: datetime | None) -> str:
    """Check rule 1."""
    if _is_authority(leaf) or not all(_is_authority(other) for other in others):
        return "a root certificate bundle is not one leaf followed by its authorities"
    if now is not None and any(certificate_problem(other, now) for other in others):
        return "an authority in a root certificate bundle is out of date"
    return ""


def _is_authority(certificate: x509.Certificate) -> bool:
    basic = extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return what an extension of this kind holds, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name_problem(leaf: x509.Certificate, gun: str) -> str:
    """Check rule 2."""
    names = common_names(leaf)
    if len(names) == 1:
        (name,) = names
        if name == gun or (name.endswith("*") and gun.startswith(name.rstrip("*"))):
            return ""
    return f'a root certificate is for "{", ".join(names)}", not for "{gun}"'


def _leaf_problem(leaf: x509.Certificate, now: datetime | None) -> str:
    """Check rules 3 and 4."""
    moment = now or leaf.not_valid_before_utc
    reason = certificate_problem(leaf, moment)
    if reason:
        return f"a root certificate cannot be used: {reason}"
    if leaf.not_valid_before_utc > moment + FUTURE:
        return f"a root certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d}"
    return ""


# -- names, rules 5 and 6


@asn1.sequence
class _Attribute:
    kind: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Body:
    """The part of a certificate that is signed."""

    version: Annotated[int | None, asn1.Explicit(0)]
    serial: asn1.TLV
    algorithm: asn1.TLV
    issuer: list[asn1.SetOf[_Attribute]]
    validity: asn1.TLV
    subject: list[asn1.SetOf[_Attribute]]
    key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[asn1.TLV] | None, asn1.Explicit(3)]


def common_names(certificate: x509.Certificate) -> list[str]:
    """Return every common name of the subject, in order; raise ValueError for one that cannot be read."""
    return _texts(asn1.decode_der(_Body, certificate.tbs_certificate_bytes).subject)


def issuer_names(certificate: x509.Certificate) -> list[str]:
    """Return every common name of the issuer, in order; raise ValueError for one that cannot be read."""
    return _texts(asn1.decode_der(_Body, certificate.tbs_certificate_bytes).issuer)


def _texts(name: list[asn1.SetOf[_Attribute]]) -> list[str]:
    attributes = [attribute for part in name for attribute in part.as_list()]
    return [_text(attribute.value) for attribute in attributes if attribute.kind == NameOID.COMMON_NAME]


def _text(value: asn1.TLV) -> str:
    """Decode a string of one of the usual kinds (rule 6)."""
    encoding = _ENCODINGS.get(value.tag_bytes)
    if encoding is None:
        raise ValueError("its common name is not a text")
    return bytes(value.data).decode(encoding)


# -- certificates that others cannot read, rule 7


def foreign_problem(certificate: x509.Certificate) -> str:
    """Say why docker and Go notary cannot read a certificate; empty when they can (rule 7)."""
    try:
        body = asn1.decode_der(_Body, certificate.tbs_certificate_bytes)
        _, outer, _ = der.elements(certificate.public_bytes(Encoding.DER))
        for part in [*body.issuer, *body.subject]:
            for attribute in part.as_list():
                _foreign_text(attribute.value)
        reason = _key_form_problem(asn1.encode_der(body.key), certificate) or _extension_problem(certificate)
    except (ValueError, *STRANGE_EXTENSION):
        return "one of its names or extensions is malformed"
    return reason or ("" if outer == asn1.encode_der(body.algorithm) else "it names two signature algorithms")


def _foreign_text(value: asn1.TLV) -> None:
    encoding = {**_ENCODINGS, **_ENCODINGS_OF_GO}.get(value.tag_bytes)
    if encoding is None:
        raise ValueError("a name is not a text")
    bytes(value.data).decode(encoding)


def _key_form_problem(written: bytes, certificate: x509.Certificate) -> str:
    public = certificate.public_key()
    if written == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        return ""
    algorithm, *_ = der.elements(written)
    if algorithm.startswith(_RSA_PSS, 2):
        return "its key is RSA-PSS, and not plain RSA"
    return "its key is in an unusual form: the curve spelled out, a compressed point, or no parameters"


def _extension_problem(certificate: x509.Certificate) -> str:
    names = extension(certificate, x509.SubjectAlternativeName)  # this reads every extension
    links = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    odd = [link for link in links if _URI.fullmatch(link) is None]
    return f"one of its names is no URI: {odd[0]}" if odd else ""
