"""What a registry answers for an image: a manifest, or an index of manifests per platform.

What it is: deciding which of the two some bytes are, and their digest. What it is not: it fetches nothing,
and it reads no configuration or layer.

Rules:

1. The digest is the SHA-256 of the bytes as received, whatever a header says.
2. Bytes that are a manifest to one reader and an index to another would let one signature stand for two
   images. So the structure must fit the type, members of both kinds are refused, and where an image is named
   by a descriptor, which a digest covers too, its type and `mediaType` must agree.
3. An OCI document may leave `mediaType` out; then what it was served as decides, if that is a kind of image,
   and else its structure. Such bytes served as the other kind are refused: readers that go by the header
   alone would see an image that nobody signed.
4. Where the body says `mediaType`, the header of an answer counts for nothing. The digest covers the
   body, and proxies, caches and file servers say `text/html`, `application/json` or another kind of manifest
   of whatever they pass on. A header makes no second image of a body that says what it is.
5. Schema 1 is refused: its digest is not that of its bytes.
6. Members differ from the known ones by more than case: Go reads `Manifests` as `manifests`.
7. A list that is null is an empty one, as for every reader in Go: so BuildKit writes the layers of an image
   that has none, and docker 25.0 an index of images without names. It does not make a manifest of an index.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NoReturn

from notarypy.errors import Advice, MetadataError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, field

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

ACCEPT = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)

INDEXES = (OCI_INDEX, DOCKER_LIST)
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_SCHEMA_VERSION = 2
_MEMBERS = ("schemaVersion", "mediaType", "manifests", "config", "layers", "fsLayers")
_BY_CASE = {member.casefold(): member for member in _MEMBERS}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class Manifest:
    """An image manifest or index: one of the types in `ACCEPT`, digest and number of its bytes.

    The platforms are `os/architecture[/variant]` of an index, in its order; a manifest has none. `sha512` are
    the hexadecimal digits of that hash of its bytes, empty where those were not at hand.
    """

    media_type: str
    digest: str
    size: int
    platforms: tuple[str, ...] = ()
    sha512: str = field(default="", compare=False)

    @property
    def is_index(self) -> bool:
        """Whether this lists manifests per platform."""
        return self.media_type in INDEXES


def read(data: bytes, named: str | None = None, limits: Limits = DEFAULT) -> Manifest:
    """Decide what some bytes are that a descriptor may have named to be of a type.

    MetadataError: not JSON, or the structure does not fit. VerificationError: of a type that cannot be
    signed, or said to be two types.
    """
    document = decode(data, limits.manifest_bytes)
    return _read(data, document, _agreed(document, named or ""))


def served(data: bytes, content_type: str | None, limits: Limits = DEFAULT) -> Manifest:
    """Decide what a registry's answer is: by its body, and by its content type where that says nothing.

    Raises as `read` (rules 3 and 4).
    """
    document = decode(data, limits.manifest_bytes)
    said = (content_type or "").partition(";")[0].strip().lower()
    is_needed = not document.get("mediaType") and (said in ACCEPT or said.startswith(SCHEMA_1))
    return _read(data, document, _agreed(document, said if is_needed else ""))


def _read(data: bytes, document: dict[str, Any], media_type: str) -> Manifest:
    platforms = _check_structure(document, is_index=media_type in INDEXES)
    return Manifest(media_type, digest_of(data), len(data), platforms, hashlib.sha512(data).hexdigest())


def digest_of(data: bytes) -> str:
    """Return the digest under which a registry keeps these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def malformed(why: str) -> NoReturn:
    """Raise MetadataError."""
    raise MetadataError("this is not an image manifest", why=why)


def decode(data: bytes, most: int = DEFAULT.manifest_bytes) -> dict[str, Any]:
    """Read one JSON object of so many bytes at most strictly."""
    if len(data) > most:
        malformed(f"it has {len(data)} bytes, more than {most}")
    try:
        document = json.loads(data.decode(), object_pairs_hook=_members, parse_constant=_malformed_number)
    except RecursionError:
        malformed("it is nested too deeply")
    except ValueError as error:
        malformed(f"not strict JSON: {error}")
    if not isinstance(document, dict):
        malformed("it is not a JSON object")
    return document


def encode(document: object) -> bytes:
    """Write JSON in few bytes; raise MetadataError for a number that JSON has not.

    What was decoded may hold texts that are none in UTF-8: then everything beyond ASCII is escaped.
    """
    try:
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        malformed("a number in it is beyond what JSON can say")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        malformed("a JSON object has the same member twice")
    return members


def _malformed_number(text: str) -> NoReturn:
    malformed(f"{text} is not a JSON number")


def _agreed(document: dict[str, Any], said: str) -> str:
    """Return the one type that what is said of a document, and what it says itself, allow (rules 2 to 5)."""
    written = document.get("mediaType", "")
    if not isinstance(written, str):
        malformed("mediaType is not a text")
    if any(text.startswith(SCHEMA_1) for text in (said, written)) or "fsLayers" in document:
        message, advice = "the image has the old manifest format, schema 1", Advice("push-with-current-tool")
        reason = "its digest does not cover the bytes that a registry serves"
        raise VerificationError(message, why=reason, advice=advice)
    if type(document.get("schemaVersion")) is not int or document["schemaVersion"] != _SCHEMA_VERSION:
        malformed("schemaVersion is not 2")
    if said and written and said != written:
        why = (f"it is named as {said}", f"it calls itself {written}")
        raise VerificationError("a manifest is said to be two things", why=why)
    media_type = said or written or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    if media_type not in ACCEPT:
        message = f"{media_type} is not a kind of image that can be signed"
        kinds = "image manifests and indexes of OCI and of docker (version 2) can be"
        raise VerificationError(message, why=kinds, media_type=media_type)
    return media_type


def _check_structure(document: dict[str, Any], *, is_index: bool) -> tuple[str, ...]:
    """Check a manifest or index (rule 2), and return the platforms of an index."""
    for name in document:
        if _BY_CASE.get(name.casefold(), name) != name:
            malformed(f"{name} is not {_BY_CASE[name.casefold()]}, and some readers take it for that")
    one, other, member = ("a manifest", "an index", "layers")
    if is_index:
        one, other, member = other, one, "manifests"
    if not ({"config", "layers"} if is_index else {"manifests"}).isdisjoint(document):
        malformed(f"{one} must not have the members of {other}")
    if not is_index:
        check_descriptor(document.get("config"), "config")
    entries = listed(document, member)
    if entries is None:
        malformed(f"{one} needs a list of {member}")
    for entry in entries:
        check_descriptor(entry, member)
    return tuple(dict.fromkeys(filter(None, map(platform_of, entries)))) if is_index else ()


def listed(document: dict[str, Any], member: str) -> list[Any] | None:
    """Return the list that a member is, None if it is none (rule 7)."""
    found = document.get(member)
    if found is None and member in document:
        return []
    return found if isinstance(found, list) else None


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of an algorithm that is known."""
    return _DIGEST.fullmatch(text) is not None


def check_descriptor(value: object, where: str) -> None:
    """Check that a value names some content: type, digest and size."""
    if not isinstance(value, dict):
        malformed(f"{where} is not a descriptor")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str):
        malformed(f"mediaType in {where} is not a text")
    if not isinstance(digest, str) or not is_digest(digest):
        malformed(f"digest in {where} is not a digest")
    if type(size) is not int or size < 0:
        malformed(f"size in {where} is not a number of bytes")


def platform_of(entry: dict[str, Any]) -> str:
    """Return the platform of an index entry, or nothing for attestations and the like."""
    platform = entry.get("platform")
    if platform is None:
        return ""
    if not isinstance(platform, dict):
        malformed("platform is not an object")
    parts = [platform.get("os"), platform.get("architecture"), platform.get("variant")]
    if any(part is not None and not isinstance(part, str) for part in parts):
        malformed("a member of platform is not a text")
    # Builders put attestations beside images, as manifests for a platform that is none.
    if not parts[0] or not parts[1] or parts[:2] == ["unknown", "unknown"]:
        return ""
    return "/".join(filter(None, parts))
