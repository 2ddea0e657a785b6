"""What a registry remembers: manifests, tags and blobs, each within its repository.

What it is: memory. What it is not: checks of anything (`registry`), or files (`saving`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pushed:
    """A manifest as it was pushed."""

    media_type: str
    data: bytes


class Images:
    """Manifests and blobs by repository and digest, tags by repository."""

    def __init__(self) -> None:
        self._manifests: dict[tuple[str, str], Pushed] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}

    def names(self) -> list[str]:
        """Return the repositories that ever had a manifest, sorted."""
        return sorted(self._tags)

    def tags(self, name: str) -> dict[str, str]:
        """Return the digests of a repository by tag."""
        return dict(self._tags.get(name, {}))

    def manifest(self, name: str, digest: str) -> Pushed | None:
        """Return a manifest."""
        return self._manifests.get((name, digest))

    def put_manifest(self, name: str, digest: str, pushed: Pushed, tag: str | None) -> None:
        """Store a manifest, and let a tag name it."""
        self._manifests[name, digest] = pushed
        tags = self._tags.setdefault(name, {})
        if tag is not None:
            tags[tag] = digest

    def delete_manifest(self, name: str, digest: str) -> None:
        """Forget a manifest and the tags that name it."""
        self._manifests.pop((name, digest), None)
        self._tags[name] = {tag: named for tag, named in self.tags(name).items() if named != digest}

    def delete_tag(self, name: str, tag: str) -> None:
        """Forget a tag; its manifest stays."""
        del self._tags[name][tag]

    def blob(self, name: str, digest: str) -> bytes | None:
        """Return a blob."""
        return self._blobs.get((name, digest))

    def put_blob(self, name: str, digest: str, data: bytes) -> None:
        """Store a blob."""
        self._blobs[name, digest] = data

    def delete_blob(self, name: str, digest: str) -> None:
        """Forget a blob of this repository."""
        self._blobs.pop((name, digest), None)
