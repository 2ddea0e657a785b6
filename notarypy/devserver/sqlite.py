"""What the servers remember, in two SQLite files.

What it is: the three stores of `stores`, written through to the disk. What it is not: protected; the keys are
there as they are.

Rules:

1. A change is on the disk, whole, before anybody hears that it happened.
2. What cannot be written did not happen: memory goes back to what the disk holds.
3. One process at a time; whoever opens the files has made sure of it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from notarypy.devserver.stores import (
    Holdings,
    ImageStore,
    MetadataStore,
    ServerKeys,
    StoredFile,
    StoredManifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

NOTARY_DATA, REGISTRY_DATA = "notary.sqlite", "registry.sqlite"
_NOTARY = """
CREATE TABLE IF NOT EXISTS files (gun, role, version INTEGER, data BLOB, PRIMARY KEY (gun, role, version));
CREATE TABLE IF NOT EXISTS hashes (gun, role, sha256, version INTEGER, PRIMARY KEY (gun, role, sha256));
CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, change TEXT);
CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, gun, role, seed BLOB);
"""
_REGISTRY = """
CREATE TABLE IF NOT EXISTS manifests (name, digest, media_type, data BLOB, PRIMARY KEY (name, digest));
CREATE TABLE IF NOT EXISTS repositories (name PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tags (name, tag, digest, PRIMARY KEY (name, tag));
CREATE TABLE IF NOT EXISTS blobs (name, digest, PRIMARY KEY (name, digest));
CREATE TABLE IF NOT EXISTS contents (digest PRIMARY KEY, data BLOB);
"""


class Database:
    """One SQLite file."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or make it, readable for its owner alone."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        # The services' own locks keep threads apart.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all changes inside together; an inner transaction is part of the outer one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def change(self, statement: str, *values: object) -> None:
        """Run a statement that changes something."""
        self._connection.execute(statement, values)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Return the rows that a statement selects."""
        return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file; the auxiliary files beside it go away."""
        self._connection.close()


class SavedMetadata(MetadataStore):
    """A MetadataStore with every change on the disk (rules 1 and 2)."""

    def __init__(self, database: Database) -> None:
        """Take up what the database holds."""
        self._database = database
        self._load()

    def update(self, gun: str, files: Mapping[str, StoredFile], now: datetime) -> None:
        """Store files by role; raise OldVersionError."""
        with self._saving():
            super().update(gun, files, now)

    def replace(self, gun: str, role: str, file: StoredFile) -> None:
        """Store a file as it is."""
        with self._saving():
            super().replace(gun, role, file)
            put = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)"
            self._database.change(put, gun, role, file.version, file.data)
            put = "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)"
            self._database.change(put, gun, role, file.sha256, file.version)

    def forget_above(self, gun: str, role: str, version: int) -> None:
        """Make an older version the current one."""
        with self._saving():
            super().forget_above(gun, role, version)
            delete = "DELETE FROM files WHERE gun = ? AND role = ? AND version > ?"
            self._database.change(delete, gun, role, version)

    def delete(self, gun: str, now: datetime) -> None:
        """Forget a repository."""
        with self._saving():
            super().delete(gun, now)
            self._database.change("DELETE FROM files WHERE gun = ?", gun)
            self._database.change("DELETE FROM hashes WHERE gun = ?", gun)

    def _note(self, gun: str, category: str, now: datetime, timestamp: StoredFile | None) -> None:
        super()._note(gun, category, now, timestamp)
        self._database.change("INSERT INTO changes (change) VALUES (?)", json.dumps(self._changes[-1]))

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with self._database.transaction():
                yield
        except sqlite3.Error:
            self._load()
            raise

    def _load(self) -> None:
        super().__init__()
        rows = self._database.rows
        for gun, role, version, data in rows("SELECT gun, role, version, data FROM files"):
            self._files.setdefault(gun, {}).setdefault(role, {})[version] = StoredFile(version, data)
        for gun, role, sha256, version in rows("SELECT gun, role, sha256, version FROM hashes"):
            self._hashes[gun, role, sha256] = version
        self._changes = [json.loads(text) for (text,) in rows("SELECT change FROM changes ORDER BY number")]


class SavedKeys(ServerKeys):
    """ServerKeys that are on the disk before they are offered (rule 1)."""

    def __init__(self, database: Database, random: Callable[[int], bytes]) -> None:
        """Take up what the database holds; new keys come from `random(number_of_bytes)`."""
        super().__init__(random)
        self._database = database
        for gun, role, seed in database.rows("SELECT gun, role, seed FROM keys ORDER BY number"):
            super().add(gun, role, seed)

    def add(self, gun: str, role: str, seed: bytes) -> None:
        """Save and have the key of a seed, and offer it from now on."""
        self._database.change("INSERT INTO keys (gun, role, seed) VALUES (?, ?, ?)", gun, role, seed)
        super().add(gun, role, seed)


class SavedImages(ImageStore):
    """Images on the disk, read from there each time; equal blobs of several repositories are there once."""

    def __init__(self, database: Database) -> None:
        """Serve what the database holds."""
        super().__init__()
        self._database = database

    def names(self) -> list[str]:
        """Return the repositories that ever had a manifest, sorted."""
        return sorted(name for (name,) in self._database.rows("SELECT name FROM repositories"))

    def tags(self, name: str) -> dict[str, str]:
        """Return the digests of a repository by tag."""
        return dict(self._database.rows("SELECT tag, digest FROM tags WHERE name = ?", name))

    def manifest(self, name: str, digest: str) -> StoredManifest | None:
        """Return a manifest."""
        select = "SELECT media_type, data FROM manifests WHERE name = ? AND digest = ?"
        found = self._database.rows(select, name, digest)
        return StoredManifest(*found[0]) if found else None

    def put_manifest(self, name: str, digest: str, manifest: StoredManifest, tag: str | None) -> None:
        """Store a manifest, and let a tag name it."""
        with self._database.transaction():
            self._database.change("INSERT OR IGNORE INTO repositories VALUES (?)", name)
            put = "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)"
            self._database.change(put, name, digest, manifest.media_type, manifest.data)
            if tag is not None:
                self._database.change("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", name, tag, digest)

    def delete_manifest(self, name: str, digest: str) -> None:
        """Forget a manifest and the tags that name it."""
        with self._database.transaction():
            self._database.change("DELETE FROM manifests WHERE name = ? AND digest = ?", name, digest)
            self._database.change("DELETE FROM tags WHERE name = ? AND digest = ?", name, digest)

    def delete_tag(self, name: str, tag: str) -> None:
        """Forget a tag; its manifest stays."""
        self._database.change("DELETE FROM tags WHERE name = ? AND tag = ?", name, tag)

    def blob(self, name: str, digest: str) -> bytes | None:
        """Return a blob."""
        select = "SELECT data FROM contents JOIN blobs USING (digest) WHERE name = ? AND digest = ?"
        found = self._database.rows(select, name, digest)
        return found[0][0] if found else None

    def put_blob(self, name: str, digest: str, data: bytes) -> None:
        """Store a blob."""
        with self._database.transaction():
            self._database.change("INSERT OR IGNORE INTO contents VALUES (?, ?)", digest, data)
            self._database.change("INSERT OR IGNORE INTO blobs VALUES (?, ?)", name, digest)

    def delete_blob(self, name: str, digest: str) -> None:
        """Forget a blob of this repository."""
        with self._database.transaction():
            self._database.change("DELETE FROM blobs WHERE name = ? AND digest = ?", name, digest)
            unused = "DELETE FROM contents WHERE digest = ? AND digest NOT IN (SELECT digest FROM blobs)"
            self._database.change(unused, digest)


@contextmanager
def saved(directory: Path, random: Callable[[int], bytes]) -> Iterator[Holdings]:
    """Open or make both files in a directory; new keys come from `random(number_of_bytes)`."""
    with (
        closing(Database(directory / NOTARY_DATA, _NOTARY)) as notary,
        closing(Database(directory / REGISTRY_DATA, _REGISTRY)) as registry,
    ):
        yield Holdings(SavedMetadata(notary), SavedKeys(notary, random), SavedImages(registry))
