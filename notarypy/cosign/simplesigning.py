"""Cosign's classic signatures: a signed text for each name of an image, kept as layers of another image.

What it is: the text, and the manifest at the tag `sha256-HEX.sig`, made and read. What it is not: the
signature itself (`signaturekeys`), or a registry.

Rules:

1. The text names the image as `HOST/REPO:TAG` and by its digest. Readers of containers' policies compare
   the name: without the tag they refuse it. Two tags on one digest are two layers.
2. It is compact, sorted, and without a time: what is signed twice is the same text. `optional` is null, or
   has the annotations of whoever signed, which are signed with it.
3. A layer is the text; its annotation has the signature. Layers of others stay as they are, in their order,
   with all they say of themselves, and so does the rest of their manifest.
4. The configuration lists all layers, as that of an image does; readers do not look at it.
5. A text that is read may have any other member in `optional`, and none elsewhere: cosign refuses it as well.
6. An annotation of a layer repeats the name, so that of many the right one is read first. It is not signed,
   and counts for nothing else.
7. A layer of another type is no signature. One whose signature is no base64 has an empty one, which no key
   made, and spoils none of the others. Line ends count for nothing: that is how `base64` writes it.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING, Any

from notarypy.cosign.signatures import PREFIX
from notarypy.errors import MetadataError, VerificationError
from notarypy.images import layout, manifests
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.keys import decode_base64
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.images.layout import Descriptor

MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
_REFERENCE = f"{PREFIX}reference"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_KIND = "cosign container image signature"
_EPOCH = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Claim:
    """What a text says: the name of an image, its digest, and the texts among the annotations."""

    reference: str
    digest: str
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class SignatureLayer:
    """A layer that is a signature: where its text is, the signature over it, and a name (rule 6)."""

    payload: Descriptor
    signature: bytes
    reference: str = ""


def tag_of(digest: str) -> str:
    """Return the tag at which the signatures of a digest are."""
    return f"{digest.replace(':', '-')}.sig"


def payload(claim: Claim) -> bytes:
    """Return the text that is signed (rules 1 and 2)."""
    critical = {
        "identity": {"docker-reference": claim.reference},
        "image": {"docker-manifest-digest": claim.digest},
        "type": _KIND,
    }
    optional = dict(sorted(claim.annotations.items())) or None
    return manifests.encode({"critical": critical, "optional": optional})


def read(data: bytes, limits: Limits = DEFAULT) -> Claim:
    """Return what a text says; raise MetadataError if it is none (rule 5)."""
    try:
        document = manifests.decode(data, limits.cosign_payload_bytes)
    except MetadataError as error:
        raise _no_text(*error.why) from None
    critical, optional = document.get("critical"), document.get("optional")
    if document.keys() - {"critical", "optional"} or not isinstance(critical, dict):
        raise _no_text("its members are not critical and optional")
    identity, image = critical.get("identity"), critical.get("image")
    if critical.keys() != {"identity", "image", "type"} or critical["type"] != _KIND:
        raise _no_text("critical is not that of a signature")
    reference = _only(identity, "docker-reference")
    digest = _only(image, "docker-manifest-digest")
    if optional is not None and not isinstance(optional, dict):
        raise _no_text("optional is no object")
    texts = {name: value for name, value in (optional or {}).items() if isinstance(value, str)}
    return Claim(reference, digest, texts)


def _only(value: object, member: str) -> str:
    text = value.get(member) if isinstance(value, dict) and value.keys() == {member} else None
    if not isinstance(text, str):
        raise _no_text(f"{member} is no text, or not alone")
    return text


def _no_text(*why: str) -> MetadataError:
    return MetadataError("this is not the text of a cosign signature", why=why)


def layers(manifest: bytes, limits: Limits = DEFAULT) -> Sequence[SignatureLayer]:
    """Return the signatures in a manifest, the newest last (rules 6 and 7); MetadataError if it is none."""
    known = manifests.read(manifest, None, limits)
    if known.is_index:
        raise MetadataError("it is an index, and no manifest of signatures")
    found = layout.links(manifest, known.media_type, limits)
    read_ones = map(_signature_layer, found.blobs[1:])
    return tuple(layer for layer in read_ones if layer is not None)


def _signature_layer(layer: Descriptor) -> SignatureLayer | None:
    if layer.media_type != MEDIA_TYPE:
        return None
    try:
        signature = decode_base64("".join(layer.annotations.get(SIGNATURE, "").split()), "a signature")
    except MetadataError:
        signature = b""
    return SignatureLayer(layer, signature, layer.annotations.get(_REFERENCE, ""))


def with_layers(
    manifest: bytes | None, signed: Mapping[bytes, bytes], limits: Limits = DEFAULT
) -> tuple[bytes, bytes]:
    """Return configuration and manifest with more texts and their signatures (rules 3 and 4).

    `manifest` is what is at the tag, None if nothing is. MetadataError: it is none, or it would be longer
    than a manifest may be. VerificationError: it is of a type that is none of images, or an index.
    """
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST}
    if manifest is not None:
        if manifests.read(manifest, limits=limits).is_index:
            message, why = "the tag for signatures holds an index", "signatures are layers of one manifest"
            raise VerificationError(message, why=why)
        document = json.loads(manifest)
    document["layers"] = [*(document.get("layers") or ()), *starmap(_layer, signed.items())]
    config = _config([layer["digest"] for layer in document["layers"]])
    document["config"] = layout.of(config, _config_type(document)).to_json()
    made = manifests.encode(document)
    if len(made) > limits.manifest_bytes:
        why = f"its manifest would have {len(made)} bytes, more than {limits.manifest_bytes}"
        raise MetadataError("one more signature is more than the tag for signatures takes", why=why)
    return config, made


def _layer(text: bytes, signature: bytes) -> dict[str, Any]:
    annotations = {SIGNATURE: base64.b64encode(signature).decode()}
    with suppress(MetadataError):  # what is no text names nothing
        annotations[_REFERENCE] = read(text).reference
    return {**layout.of(text, MEDIA_TYPE).to_json(), "annotations": annotations}


def _config_type(document: Mapping[str, Any]) -> str:
    """Return the type that a configuration has already, as docker's manifests want docker's."""
    known = document.get("config", {}).get("mediaType")
    return known if isinstance(known, str) else _CONFIG_TYPE


def _config(digests: Sequence[str]) -> bytes:
    return manifests.encode(
        {
            "architecture": "",
            "config": {},
            "created": _EPOCH,
            "history": [{"created": _EPOCH}] * len(digests),
            "os": "",
            "rootfs": {"diff_ids": digests, "type": "layers"},
        }
    )
