"""Bundles v0.3: cosign's newer form, kept as referrers of an image.

What it is: a signed statement about a digest, the bundle around it and the manifest that refers to the image,
made and read. What it is not: the signature itself (`signaturekeys`), logs, certificates, or a registry.

Rules:

1. The statement is an in-toto statement of cosign's own predicate, which is empty. Its one subject is the
   digest; no name of an image is in it. What whoever signed says beside it are the subject's annotations,
   which are signed with it: of several subjects each has its own.
2. What is signed is the DSSE encoding of type and statement. The envelope has one signature, without a
   `keyid`: some readers take a foreign one for an error. The key is named by its hint.
3. The manifest has the type of the bundle, the empty configuration and the image as its subject; two
   annotations say what is in it.
4. A bundle that is read may have more signatures and entries of logs, which count for nothing here: one
   signature by a key that is given suffices. One by a certificate is none of ours.
5. A statement that is read is about the digest if one of its subjects has it, of whatever predicate it may
   be: which predicates are signatures of images is asked with `is_signature`. Cosign 2.5 writes statements of
   version 0.1, which say the same in the same members.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.keys import decode_base64
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.images.layout import Descriptor

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ANNOTATIONS = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": PREDICATE}
_STATEMENT = "https://in-toto.io/Statement/v1"
_STATEMENTS = (_STATEMENT, "https://in-toto.io/Statement/v0.1")


@dataclass(frozen=True)
class Statement:
    """What is signed: of which predicate, and digests of images with the texts among their annotations."""

    predicate: str
    subjects: Mapping[str, Mapping[str, str]]

    @property
    def is_signature(self) -> bool:
        """Whether it says that the image is signed, and nothing else (rule 5)."""
        return self.predicate == PREDICATE


@dataclass(frozen=True)
class Bundle:
    """A bundle that is well formed: the message that is signed, signatures over it, the statement in it."""

    message: bytes
    signatures: tuple[bytes, ...]
    statement: Statement


def statement(digest: str, annotations: Mapping[str, str] | None = None) -> bytes:
    """Return the statement that an image is signed (rule 1)."""
    algorithm, _, digits = digest.partition(":")
    subject: dict[str, Any] = {"digest": {algorithm: digits}}
    if annotations:
        subject["annotations"] = dict(annotations)
    return manifests.encode(
        {"_type": _STATEMENT, "predicate": {}, "predicateType": PREDICATE, "subject": [subject]}
    )


def message(body: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the bytes that are signed for a statement (rule 2)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def bundle(body: bytes, signature: bytes, hint: str) -> bytes:
    """Return the bundle of a statement and the signature of the key with a hint (rule 2)."""
    return manifests.encode(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": _base64(body),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": _base64(signature)}],
            },
        }
    )


def manifest(subject: Descriptor, content: bytes) -> bytes:
    """Return the manifest that keeps a bundle as a referrer of an image (rule 3)."""
    return referrerlist.referrer(subject, MEDIA_TYPE, layout.of(content, MEDIA_TYPE), ANNOTATIONS)


def layers(found: bytes, limits: Limits = DEFAULT) -> Sequence[Descriptor]:
    """Return the bundles that a manifest keeps; MetadataError if it is no manifest."""
    return referrerlist.kept(found, MEDIA_TYPE, limits)


def read(data: bytes, limits: Limits = DEFAULT) -> Bundle:
    """Return what a bundle holds, unverified; raise MetadataError if it is none that a key signs (rule 4)."""
    document = manifests.decode(data, limits.cosign_bundle_bytes)
    material, envelope = document.get("verificationMaterial"), document.get("dsseEnvelope")
    if document.get("mediaType") != MEDIA_TYPE or not isinstance(envelope, dict):
        raise _no_bundle("it is not of version 0.3, or holds no envelope")
    if not isinstance(material, dict) or not isinstance(material.get("publicKey"), dict):
        raise _no_bundle("it is not signed by a key alone")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise _no_bundle("what it signs is no in-toto statement")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= limits.signatures:
        raise _no_bundle(f"it has no signatures, or more than {limits.signatures}")
    body = decode_base64(envelope.get("payload"), "the payload of a bundle")
    named = [entry.get("sig") if isinstance(entry, dict) else None for entry in signatures]
    made = tuple(decode_base64(text, "a signature of a bundle") for text in named)
    return Bundle(message(body), made, _statement(body, limits))


def _statement(body: bytes, limits: Limits) -> Statement:
    document = manifests.decode(body, limits.cosign_bundle_bytes)
    subjects, predicate = document.get("subject"), document.get("predicateType")
    if (
        document.get("_type") not in _STATEMENTS
        or not isinstance(predicate, str)
        or not isinstance(subjects, list)
    ):
        raise _no_bundle("its statement is none of in-toto's version 1 or 0.1")
    found: dict[str, Mapping[str, str]] = {}
    for subject in subjects:
        known = subject if isinstance(subject, dict) else {}
        hashes, notes = known.get("digest"), known.get("annotations")
        notes = notes if isinstance(notes, dict) else {}
        texts = {name: value for name, value in notes.items() if isinstance(value, str)}
        for name, digits in (hashes if isinstance(hashes, dict) else {}).items():
            if found.setdefault(f"{name}:{digits}", texts) != texts:
                raise _no_bundle("its statement says two things of one digest")
    return Statement(predicate, found)


def _no_bundle(why: str) -> MetadataError:
    return MetadataError("this is not a bundle that a key has signed", why=why)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
