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
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from notarypy.devserver.stores import (
    Holdings,
    ImageStore,
    MetadataStore,
    ServerKeys,
    StoredFile,
    StoredManifest,
    subject_of,
)

NOTARY_DATA, REGISTRY_DATA = "notary.sqlite", "registry.sqlite"
_NOTARY = """
CREATE TABLE IF NOT EXISTS files (gun, role, version INTEGER, data BLOB, PRIMARY KEY (gun, role, version));
CREATE TABLE IF NOT EXISTS hashes (gun, role, sha256, version INTEGER, PRIMARY KEY (gun, role, sha256));
CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, change TEXT);
CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, gun, role, seed BLOB);
"""
_REGISTRY = """
CREATE TABLE IF NOT EXISTS manifests (name, digest, media_type, data BLOB, PRIMARY KEY (name, digest));
CREATE TABLE IF NOT EXISTS subjects (name, digest, subject, PRIMARY KEY (name, digest));
CREATE INDEX IF NOT EXISTS referrers ON subjects (name, subject);
CREATE TABLE IF NOT EXISTS repositories (name PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tags (name, tag, digest, PRIMARY KEY (name, tag));
CREATE TABLE IF NOT EXISTS blobs (name, digest, PRIMARY KEY (name, digest));
CREATE TABLE IF NOT EXISTS contents (digest PRIMARY KEY, data BLOB);
"""


@contextmanager
def _opened(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """Give a database with its tables; it is closed again, also if the file turns out to be none."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    # The services' own locks keep threads apart.
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(schema)
        yield connection


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    if database.in_transaction:
        yield
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


class _SavedMetadata(MetadataStore):
    """A MetadataStore with every change on the disk (rules 1 and 2)."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._load()

    def update(self, gun: str, files: Mapping[str, StoredFile], now: datetime) -> None:
        with self._saving():
            super().update(gun, files, now)

    def replace(self, gun: str, role: str, file: StoredFile) -> None:
        with self._saving():
            super().replace(gun, role, file)
            put = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)"
            self._database.execute(put, (gun, role, file.version, file.data))
            put = "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)"
            self._database.execute(put, (gun, role, file.sha256, file.version))

    def forget_above(self, gun: str, role: str, version: int) -> None:
        with self._saving():
            super().forget_above(gun, role, version)
            delete = "DELETE FROM files WHERE gun = ? AND role = ? AND version > ?"
            self._database.execute(delete, (gun, role, version))

    def delete(self, gun: str, now: datetime) -> None:
        with self._saving():
            super().delete(gun, now)
            self._database.execute("DELETE FROM files WHERE gun = ?", (gun,))
            self._database.execute("DELETE FROM hashes WHERE gun = ?", (gun,))

    def _note(self, gun: str, category: str, now: datetime, timestamp: StoredFile | None) -> None:
        super()._note(gun, category, now, timestamp)
        self._database.execute("INSERT INTO changes (change) VALUES (?)", (json.dumps(self._changes[-1]),))

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with _transaction(self._database):
                yield
        except sqlite3.Error:
            self._load()
            raise

    def _load(self) -> None:
        super().__init__()
        select = self._database.execute
        for gun, role, version, data in select("SELECT gun, role, version, data FROM files"):
            self._files.setdefault(gun, {}).setdefault(role, {})[version] = StoredFile(version, data)
        for gun, role, sha256, version in select("SELECT gun, role, sha256, version FROM hashes"):
            self._hashes[gun, role, sha256] = version
        changes = select("SELECT change FROM changes ORDER BY number")
        self._changes = [json.loads(text) for (text,) in changes]


class _SavedKeys(ServerKeys):
    """ServerKeys that are on the disk before they are offered (rule 1)."""

    def __init__(self, database: sqlite3.Connection, random: Callable[[int], bytes]) -> None:
        super().__init__(random)
        self._database = database
        for gun, role, seed in database.execute("SELECT gun, role, seed FROM keys ORDER BY number"):
            super().add(gun, role, seed)

    def add(self, gun: str, role: str, seed: bytes) -> None:
        self._database.execute("INSERT INTO keys (gun, role, seed) VALUES (?, ?, ?)", (gun, role, seed))
        super().add(gun, role, seed)


class _SavedImages(ImageStore):
    """Images on the disk, read from there each time; equal blobs of several repositories are there once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        super().__init__()
        self._database = database
        self._note_subjects()

    def _note_subjects(self) -> None:
        """Note what manifests refer to that an earlier version stored."""
        select = "SELECT name, digest FROM manifests EXCEPT SELECT name, digest FROM subjects"
        with _transaction(self._database):
            for name, digest in self._database.execute(select).fetchall():
                self._note_subject(name, digest, self.manifest(name, digest))

    def _note_subject(self, name: str, digest: str, manifest: StoredManifest | None) -> None:
        put, subject = "INSERT OR REPLACE INTO subjects VALUES (?, ?, ?)", manifest and subject_of(manifest)
        self._database.execute(put, (name, digest, subject))

    def referrers(self, name: str, subject: str) -> list[str]:
        select = "SELECT digest FROM subjects WHERE name = ? AND subject = ? ORDER BY rowid"
        found = [digest for (digest,) in self._database.execute(select, (name, subject))]
        return [digest for digest in found if self.manifest(name, digest)]

    def names(self) -> list[str]:
        return sorted(name for (name,) in self._database.execute("SELECT name FROM repositories"))

    def tags(self, name: str) -> dict[str, str]:
        return dict(self._database.execute("SELECT tag, digest FROM tags WHERE name = ?", (name,)))

    def manifest(self, name: str, digest: str) -> StoredManifest | None:
        select = "SELECT media_type, data FROM manifests WHERE name = ? AND digest = ?"
        found = self._database.execute(select, (name, digest)).fetchone()
        return StoredManifest(*found) if found else None

    def put_manifest(self, name: str, digest: str, manifest: StoredManifest, tag: str | None) -> None:
        with _transaction(self._database):
            self._database.execute("INSERT OR IGNORE INTO repositories VALUES (?)", (name,))
            put = "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)"
            self._database.execute(put, (name, digest, manifest.media_type, manifest.data))
            self._note_subject(name, digest, manifest)
            if tag is not None:
                self._database.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", (name, tag, digest))

    def delete_manifest(self, name: str, digest: str) -> None:
        with _transaction(self._database):
            self._database.execute("DELETE FROM manifests WHERE name = ? AND digest = ?", (name, digest))
            self._database.execute("DELETE FROM subjects WHERE name = ? AND digest = ?", (name, digest))
            self._database.execute("DELETE FROM tags WHERE name = ? AND digest = ?", (name, digest))

    def delete_tag(self, name: str, tag: str) -> None:
        self._database.execute("DELETE FROM tags WHERE name = ? AND tag = ?", (name, tag))

    def blob(self, name: str, digest: str) -> bytes | None:
        select = "SELECT data FROM contents JOIN blobs USING (digest) WHERE name = ? AND digest = ?"
        found = self._database.execute(select, (name, digest)).fetchone()
        return found[0] if found else None

    def put_blob(self, name: str, digest: str, data: bytes) -> None:
        with _transaction(self._database):
            self._database.execute("INSERT OR IGNORE INTO contents VALUES (?, ?)", (digest, data))
            self._database.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (name, digest))

    def delete_blob(self, name: str, digest: str) -> None:
        with _transaction(self._database):
            self._database.execute("DELETE FROM blobs WHERE name = ? AND digest = ?", (name, digest))
            unused = "DELETE FROM contents WHERE digest = ? AND digest NOT IN (SELECT digest FROM blobs)"
            self._database.execute(unused, (digest,))


@contextmanager
def saved(directory: Path, random: Callable[[int], bytes]) -> Iterator[Holdings]:
    """Open or make both files in a directory; new keys come from `random(number_of_bytes)`."""
    with (
        _opened(directory / NOTARY_DATA, _NOTARY) as notary,
        _opened(directory / REGISTRY_DATA, _REGISTRY) as registry,
    ):
        yield Holdings(_SavedMetadata(notary), _SavedKeys(notary, random), _SavedImages(registry))
