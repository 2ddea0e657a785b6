"""What refers to an image: manifests with a `subject`, and lists of them as OCI 1.1 has them.

What it is: JSON in, descriptors and lists out. What it is not: it asks no registry, and a list proves
nothing: whoever may push may refer to any image.

Rules:

1. A list is an index. An entry of it that is no descriptor is passed over: others wrote it, and theirs is not
   ours to judge. A list with more entries than the limit is read up to there, and says that it goes on.
2. Where a registry keeps no lists, whoever pushes keeps one at a tag made of the subject's digest. What
   others put there stays as it is, to the last member, in its order.
3. That tag may lead to the subject itself: GitLab's registry takes it for the digest, and `cosign copy` puts
   images there. Then nothing is listed. Anything else that is no index is somebody's: it is no list, and none
   is put in its place.
4. An entry has the manifest's `artifactType`, or the type of its configuration, and all its annotations.
5. What keeps some content beside an image is a manifest with a type of its own, the empty configuration, the
   content as its one layer and the image as its subject.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.errors import MetadataError, VerificationError
from notarypy.images import layout, manifests
from notarypy.limits import DEFAULT, Limits
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.images.layout import Descriptor

EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_ALGORITHM_CHARS, _DIGITS = 32, 64


@dataclass(frozen=True)
class ReferrerList:
    """What a list names.

    There are `others` entries that are no descriptors; `more` says that the limits let in no more.
    """

    entries: tuple[Descriptor, ...] = ()
    more: bool = False
    others: int = 0

    def has(self, digest: str) -> bool:
        """Tell whether a manifest is listed."""
        return any(entry.digest == digest for entry in self.entries)

    def __add__(self, page: ReferrerList) -> ReferrerList:
        """Return this with the next page of the same list."""
        return ReferrerList((*self.entries, *page.entries), self.more or page.more, self.others + page.others)


def tag_of(digest: str) -> str:
    """Return the tag at which a list of what refers to a manifest is kept (rule 2)."""
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm[:_ALGORITHM_CHARS]}-{digits[:_DIGITS]}"


def read_list(data: bytes, limits: Limits = DEFAULT, before: int = 0) -> ReferrerList:
    """Read a list, of which so many entries were read before (rule 1); raise MetadataError if it is none."""
    listed = _listed(manifests.decode(data, limits.manifest_bytes))
    room = max(limits.referrers - before, 0)
    entries, others = [], 0
    for value in listed[:room]:
        try:
            entries.append(layout.descriptor(value, "manifests"))
        except VerificationError:
            others += 1
    return ReferrerList(tuple(entries), len(listed) > room, others)


def is_subject(data: bytes, subject: str) -> bool:
    """Tell whether what a tag leads to is the subject itself (rule 3)."""
    return layout.digest_like(subject, data) == subject


def at_tag(data: bytes, subject: str, limits: Limits = DEFAULT) -> ReferrerList:
    """Read what the tag of a subject leads to (rule 3); raise MetadataError if it is no list."""
    return ReferrerList() if is_subject(data, subject) else read_list(data, limits)


def with_entry(data: bytes | None, subject: str, entry: Descriptor, limits: Limits = DEFAULT) -> bytes:
    """Return the list at the tag of a subject with one more entry, or as it is if that is there (rule 2).

    `data` is what the tag leads to, None if there is no such tag. MetadataError: that is no list, or the list
    would be longer than a manifest may be.
    """
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": []}
    if data is not None and not is_subject(data, subject):
        document = manifests.decode(data, limits.manifest_bytes)
        found = _listed(document)
        same = [old for old in found if isinstance(old, dict) and old.get("digest") == entry.digest]
        if any(old.get("artifactType") == entry.artifact_type for old in same):
            return data
        document["manifests"] = [old for old in found if old not in same]
    document["manifests"] = [*document["manifests"], entry_json(entry)]
    made = manifests.encode(document)
    if len(made) > limits.manifest_bytes:
        raise MetadataError(
            "one more entry makes the list of referrers too long",
            why=f"it would have {len(made)} bytes, more than {limits.manifest_bytes}",
        )
    return made


def subject_of(data: bytes, limits: Limits = DEFAULT) -> Descriptor | None:
    """Return what a manifest refers to, None if that is nothing; VerificationError: what it says is none."""
    value = manifests.decode(data, limits.manifest_bytes).get("subject")
    return None if value is None else layout.descriptor(value, "subject")


def referrer(
    subject: Descriptor, artifact_type: str, content: Descriptor, annotations: Mapping[str, str]
) -> bytes:
    """Return the manifest that keeps some content beside an image (rule 5)."""
    return manifests.encode(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": layout.of(EMPTY, EMPTY_TYPE).to_json(),
            "layers": [content.to_json()],
            "subject": subject.to_json(),
            "annotations": dict(annotations),
        }
    )


def kept(found: bytes, media_type: str, limits: Limits = DEFAULT) -> Sequence[Descriptor]:
    """Return the layers of a type that a manifest keeps; MetadataError if it is no manifest."""
    links = layout.links(found, manifests.read(found, None, limits).media_type, limits)
    return tuple(layer for layer in links.blobs[1:] if layer.media_type == media_type)


def entry_of(data: bytes, media_type: str, limits: Limits = DEFAULT) -> Descriptor:
    """Return the entry of a manifest in the list of what refers to its subject (rule 4)."""
    document = manifests.decode(data, limits.manifest_bytes)
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "")
    annotations = document.get("annotations")
    texts = annotations if isinstance(annotations, dict) else {}
    return replace(
        layout.of(data, media_type),
        artifact_type=kind if isinstance(kind, str) else "",
        annotations={name: text for name, text in texts.items() if isinstance(text, str)},
    )


def entry_json(entry: Descriptor) -> dict[str, Any]:
    """Return an entry as a list has it."""
    more = {"artifactType": entry.artifact_type, "annotations": dict(entry.annotations)}
    return {**entry.to_json(), **{name: value for name, value in more.items() if value}}


def _listed(document: dict[str, Any]) -> list[Any]:
    """Return the entries of an index (rule 1)."""
    listed = manifests.listed(document, "manifests")
    if document.get("schemaVersion") != 2 or listed is None:  # noqa: PLR2004 - the one there is
        raise MetadataError("this is not a list of referrers", why="it is no index")
    if document.get("mediaType", manifests.OCI_INDEX) != manifests.OCI_INDEX:
        raise MetadataError("this is not a list of referrers", why="it says to be of another type")
    return listed
