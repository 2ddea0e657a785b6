"""What the servers remember: files of repositories, the keys they are signed with, images.

What it is: memory, with the rules of the real server's storage. What it is not: checks of content, files on
the disk (`sqlite`), or safe: the keys are not encrypted, and tests may take them.

Rules:

1. An update is stored completely or not at all, and only if every version in it is above all stored versions
   of its role.
2. Every new timestamp, and every deletion, is a change with the next number.
3. A Notary server holds Ed25519 keys, made from given randomness: one timestamp and one snapshot
   key per repository are offered, and earlier ones stay usable.
4. Manifests, tags and blobs are each within their repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notarypy.errors import VerificationError
from notarypy.images import referrerlist
from notarypy.tuf import canonical, envelope
from notarypy.tuf.fields import format_time
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.roles import TIMESTAMP
from notarypy.values import dataclass

PAGE = 100
SEED = 32


class OldVersionError(Exception):
    """A version in an update is not above the stored ones (rule 1)."""


@dataclass(frozen=True)
class StoredFile:
    """One version of one file."""

    version: int
    data: bytes

    @property
    def sha256(self) -> str:
        """The hash of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


class MetadataStore:
    """Files by GUN, role and version, in memory."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, dict[int, StoredFile]]] = {}
        self._hashes: dict[tuple[str, str, str], int] = {}
        self._changes: list[canonical.JsonObject] = []

    def current(self, gun: str, role: str) -> StoredFile | None:
        """Return the file with the highest version."""
        versions = self._versions(gun, role)
        return versions[max(versions)] if versions else None

    def data(self, gun: str, role: str) -> bytes | None:
        """Return the bytes of the current file."""
        stored = self.current(gun, role)
        return stored.data if stored else None

    def numbered(self, gun: str, role: str, version: int) -> StoredFile | None:
        """Return one version of a file."""
        return self._versions(gun, role).get(version)

    def by_hash(self, gun: str, role: str, sha256: str) -> StoredFile | None:
        """Return the file that was stored with this SHA-256 (hex)."""
        version = self._hashes.get((gun, role, sha256))
        return None if version is None else self.numbered(gun, role, version)

    def update(self, gun: str, files: Mapping[str, StoredFile], now: datetime) -> None:
        """Store files by role (rules 1 and 2); raise OldVersionError."""
        for role, file in files.items():
            if any(version >= file.version for version in self._versions(gun, role)):
                raise OldVersionError(role)
        for role, file in files.items():
            self.replace(gun, role, file)
            if role == TIMESTAMP:
                self._note(gun, "update", now, file)

    def replace(self, gun: str, role: str, file: StoredFile) -> None:
        """Store a file as it is, also over one of the same version: the old hash then finds the new bytes."""
        self._files.setdefault(gun, {}).setdefault(role, {})[file.version] = file
        self._hashes[gun, role, file.sha256] = file.version

    def forget_above(self, gun: str, role: str, version: int) -> None:
        """Make an older version the current one; newer ones are found by hash no longer."""
        for number in [number for number in self._versions(gun, role) if number > version]:
            del self._files[gun][role][number]

    def delete(self, gun: str, now: datetime) -> None:
        """Forget a repository; nothing there is fine and no change."""
        if self._files.pop(gun, None) is None:
            return
        self._hashes = {key: version for key, version in self._hashes.items() if key[0] != gun}
        self._note(gun, "deletion", now, None)

    def roles(self, gun: str) -> list[str]:
        """Return the roles that have files."""
        return list(self._files.get(gun, {}))

    def changes(self, gun: str | None, records: int, after: int) -> list[canonical.JsonObject] | None:
        """Return a page of changes of one or all repositories, oldest first; None beyond the last one.

        At most so many `records`, 0 for the usual number, negative for those just before `after`: the number
        of the change to start behind, below 0 for the newest page.
        """
        backwards = records < 0 or after < 0
        if not backwards and after >= len(self._changes):
            return None
        window = self._changes[: after - 1 if after > 0 else None] if backwards else self._changes[after:]
        fitting = [change for change in window if gun in (None, change["GUN"])]
        size = abs(records) or PAGE
        return fitting[-size:] if backwards else fitting[:size]

    def _versions(self, gun: str, role: str) -> dict[int, StoredFile]:
        return self._files.get(gun, {}).get(role, {})

    def _note(self, gun: str, category: str, now: datetime, timestamp: StoredFile | None) -> None:
        version, sha256 = (timestamp.version, timestamp.sha256) if timestamp else (0, "")
        change = {"ID": str(len(self._changes) + 1), "CreatedAt": format_time(now), "GUN": gun}
        self._changes.append({**change, "Version": version, "SHA256": sha256, "Category": category})


class ServerKeys:
    """Keys by TUF id; the newest of each repository and role is what the server offers."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Take randomness from `random(number_of_bytes)`."""
        self._random = random
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._offered: dict[tuple[str, str], PublicKey] = {}

    def offered(self, gun: str, role: str) -> PublicKey:
        """Return the key to name in a root; the same one until `create` makes another."""
        return self._offered.get((gun, role)) or self.create(gun, role)

    def create(self, gun: str, role: str) -> PublicKey:
        """Make a new key and offer it from now on; earlier ones stay usable."""
        self.add(gun, role, self._random(SEED))
        return self._offered[gun, role]

    def add(self, gun: str, role: str, seed: bytes) -> None:
        """Have the key of a seed, and offer it from now on."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = public_key_of(private)
        self._keys[public.keyid] = private
        self._offered[gun, role] = public

    def available(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        """Return those of the keys that can sign here."""
        return [key for key in keys if key.keyid in self._keys]

    def seal(self, signed: canonical.JsonObject, keys: Iterable[PublicKey]) -> bytes:
        """Return a file signed with every one of the keys that is available."""
        message = canonical.encode(signed)
        signers = [(key.keyid, self._keys[key.keyid]) for key in self.available(keys)]
        signatures = [envelope.Signature(keyid, "eddsa", key.sign(message)) for keyid, key in signers]
        return envelope.seal(signed, signatures)


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it was pushed."""

    media_type: str
    data: bytes


def subject_of(manifest: StoredManifest) -> str:
    """Return the digest that a manifest refers to, "" if it refers to nothing that can be understood."""
    try:
        subject = referrerlist.subject_of(manifest.data)
    except VerificationError:
        return ""
    return subject.digest if subject else ""


class ImageStore:
    """Manifests and blobs by repository and digest, tags by repository, manifests by their subject."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[str, str], dict[str, None]] = {}
        self._manifests: dict[tuple[str, str], StoredManifest] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}

    def names(self) -> list[str]:
        """Return the repositories that ever had a manifest, sorted."""
        return sorted(self._tags)

    def tags(self, name: str) -> dict[str, str]:
        """Return the digests of a repository by tag."""
        return dict(self._tags.get(name, {}))

    def manifest(self, name: str, digest: str) -> StoredManifest | None:
        """Return a manifest."""
        return self._manifests.get((name, digest))

    def referrers(self, name: str, subject: str) -> list[str]:
        """Return the digests of the manifests that refer to another, which may not be there."""
        known = self._subjects.get((name, subject), {})
        return [digest for digest in known if (name, digest) in self._manifests]

    def put_manifest(self, name: str, digest: str, manifest: StoredManifest, tag: str | None) -> None:
        """Store a manifest, and let a tag name it."""
        self._manifests[name, digest] = manifest
        if subject := subject_of(manifest):
            self._subjects.setdefault((name, subject), {})[digest] = None
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


@dataclass(frozen=True)
class Holdings:
    """What the two services remember."""

    files: MetadataStore
    keys: ServerKeys
    images: ImageStore
