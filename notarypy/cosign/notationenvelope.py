"""Envelopes of notation: JWS under a certificate, kept as referrers of an image.

What it is: the one form that is written here, and whether an envelope that is read is as good as that. What
it is not: certificates (`signingchain`), the signature itself, or a registry.

Rules, as the Notary Project's specifications of signatures and of JWS have them:

1. The payload is the image's descriptor, by type, digest and size, as `targetArtifact`.
2. The protected header has the algorithm of the chain's key, the type of the payload, the scheme
   `notary.x509`, which alone is critical, and the time in whole seconds.
3. What is signed is the text of both in base64url, with a dot between. ECDSA is r and s, one after the other;
   RSA is PSS with a salt as long as the hash. Both are what metadata is signed by, too.
4. The whole chain is in the unprotected header, and its thumbprints in an annotation of the manifest.
5. An envelope that is read is as good as ours if this very chain signed this very descriptor, in this form,
   and it does not end before the chain does. Its payload may say more of the image.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError, SignatureError
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import envelope as metadata
from notarypy.tuf.fields import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notarypy.cosign.signingchain import SigningChain
    from notarypy.images.layout import Descriptor

ARTIFACT_TYPE = "application/vnd.cncf.notary.signature"
MEDIA_TYPE = "application/jose+json"
_PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
_PREFIX = "io.cncf.notary."
_SCHEME, _TIME = f"{_PREFIX}signingScheme", f"{_PREFIX}signingTime"
_OTHER_TIMES = (f"{_PREFIX}expiry", f"{_PREFIX}authenticSigningTime")
_X509 = "notary.x509"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def message(subject: Descriptor, algorithm: str, now: datetime) -> bytes:
    """Return what is signed for an image (rules 1 to 3)."""
    head = {
        "alg": algorithm,
        "crit": [_SCHEME],
        "cty": _PAYLOAD_TYPE,
        _SCHEME: _X509,
        _TIME: _moment(now),
    }
    payload = {"targetArtifact": subject.to_json()}
    return b".".join(_written(manifests.encode(part)) for part in (head, payload))


def envelope(signed: bytes, signature: bytes, chain: SigningChain, agent: str) -> bytes:
    """Return the envelope of a message and its signature, by a program (rule 4)."""
    head, payload = signed.decode().split(".")
    return manifests.encode(
        {
            "payload": payload,
            "protected": head,
            "header": {
                "x5c": _x5c(chain),
                f"{_PREFIX}signingAgent": agent,
            },
            "signature": _written(signature).decode(),
        }
    )


def manifest(subject: Descriptor, content: bytes, chain: SigningChain, now: datetime) -> bytes:
    """Return the manifest that keeps an envelope as a referrer of an image (rule 4)."""
    thumbprints = [hashlib.sha256(one).hexdigest() for one in chain.certificates]
    annotations = {
        f"{_PREFIX}x509chain.thumbprint#S256": json.dumps(thumbprints, separators=(",", ":")),
        "org.opencontainers.image.created": _moment(now),
    }
    return referrerlist.referrer(subject, ARTIFACT_TYPE, layout.of(content, MEDIA_TYPE), annotations)


def layers(found: bytes, limits: Limits = DEFAULT) -> Sequence[Descriptor]:
    """Return the envelopes that a manifest keeps; MetadataError if it is no manifest."""
    return referrerlist.kept(found, MEDIA_TYPE, limits)


def verify(data: bytes, chain: SigningChain, subject: Descriptor, limits: Limits = DEFAULT) -> None:
    """Check that a chain signed an image (rule 5).

    Raises:
        MetadataError: It is no envelope of notation, is under another certificate, or about something else.
        SignatureError: The signature is not the key's.
    """
    document = manifests.decode(data, limits.cosign_bundle_bytes)
    unprotected = document.get("header")
    if not isinstance(unprotected, dict) or unprotected.get("x5c") != _x5c(chain):
        raise _not_ours("it is under another certificate")
    head, payload = _part(document, "protected", limits), _part(document, "payload", limits)
    if (
        head.get("alg") != chain.algorithm
        or head.get("cty") != _PAYLOAD_TYPE
        or head.get("crit") != [_SCHEME]
    ):
        raise _not_ours("its algorithm, the type of its payload, or what is critical in it is another")
    if head.get(_SCHEME) != _X509 or not _is_moment(head.get(_TIME)) or any(map(head.get, _OTHER_TIMES)):
        raise _not_ours("its scheme or its times are others")
    target = payload.get("targetArtifact")
    if not isinstance(target, dict) or {**target, **subject.to_json()} != target:
        raise _not_ours("it is about another image")
    signed = f"{document['protected']}.{document['payload']}".encode()
    method = metadata.METHOD_FOR[chain.public.keytype]
    if not metadata.verify(chain.public, method, _read(document.get("signature")), signed):
        raise SignatureError("the signature of an envelope is not the key's")


def _part(document: dict[str, Any], name: str, limits: Limits) -> dict[str, Any]:
    return manifests.decode(_read(document.get(name)), limits.cosign_bundle_bytes)


def _x5c(chain: SigningChain) -> list[str]:
    return [base64.b64encode(one).decode() for one in chain.certificates]


def _moment(when: datetime) -> str:
    return format_time(when.replace(microsecond=0))


def _is_moment(text: object) -> bool:
    return isinstance(text, str) and _MOMENT.fullmatch(text) is not None


def _written(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _read(text: object) -> bytes:
    """Decode base64url without padding, in its one form."""
    try:
        found = base64.urlsafe_b64decode(f"{text}==") if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if not found or _written(found).decode() != text:
        raise _not_ours("a part of it is not base64url")
    return found


def _not_ours(why: str) -> MetadataError:
    return MetadataError("this is no signature of notation by this certificate", why=why)
