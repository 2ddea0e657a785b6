"""What is saved: the same as in memory, again after a restart, and nothing by halves."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver import sqlite
from notarypy.devserver.core import Fake
from notarypy.devserver.stores import ImageStore, OldVersionError, StoredFile, StoredManifest
from notarypy.devserver.tampering import Tampering
from support.author import GUN, NOW
from support.fakes import Clock, open_desk, read_repository, repeatable_random
from support.rows import accepted, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.uploads import Row


@contextmanager
def opened(directory: Path, seed: str = "fake") -> Iterator[Fake]:
    """Open what was saved in a directory."""
    random = repeatable_random(seed)
    with sqlite.saved(directory, random) as held:
        yield Fake(clock=Clock(), random=random, holdings=held)


def contents(fake: Fake) -> object:
    """Return everything that a Notary server remembers."""
    store = vars(fake.notary.store)
    return deepcopy((store["_files"], store["_hashes"], store["_changes"]))


@pytest.mark.parametrize("row", [*accepted.ROWS, *refused.ROWS], ids=lambda row: row.title)
def test_a_restart_changes_nothing(row: Row, tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        row.play(open_desk(fake))
        before = contents(fake)
    with opened(tmp_path, "another") as fake:
        assert contents(fake) == before


def test_keys_survive(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        desk = open_desk(fake)
        rotated = desk.key("snapshot", "POST")
        desk.publish()
        offered = desk.key("timestamp")
    with opened(tmp_path, "another") as fake:
        again = open_desk(fake)
        assert again.key("timestamp") == offered
        assert fake.notary.keys.available([rotated]) == [rotated]
        desk.author.bump()
        again.author = desk.author
        assert again.post(again.author.files("targets")).status == 200
        assert read_repository(fake).targets["targets"].version == 2


def test_tampering_and_deletion_are_saved(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        desk = open_desk(fake).publish()
        attacker = Tampering(fake)
        desk.author.bump()
        assert desk.post(desk.author.files("targets")).status == 200
        attacker.serve_version(GUN, "targets", 1)
        attacker.replace(GUN, "root", b"{}")
        before = contents(fake)
    with opened(tmp_path) as fake:
        assert contents(fake) == before
        fake.notary.store.delete(GUN, NOW)
        before = contents(fake)
    with opened(tmp_path) as fake:
        assert contents(fake) == before
        assert fake.notary.store.roles(GUN) == []
        assert [change["Category"] for change in fake.notary.store.changes(GUN, 0, 0) or ()] == [
            "update",
            "update",
            "deletion",
        ]


def test_what_cannot_be_written_did_not_happen(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        desk = open_desk(fake).publish()
        before = contents(fake)
        with closing(sqlite3.connect(tmp_path / "notary.sqlite")) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON changes BEGIN SELECT RAISE(FAIL, 'full'); END"
            )
        desk.author.bump()
        with pytest.raises(sqlite3.Error):
            desk.post(desk.author.files("targets"))
        assert contents(fake) == before
        read_repository(fake)
    with opened(tmp_path) as fake:
        assert contents(fake) == before


def test_a_key_that_cannot_be_written_is_not_offered(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        with closing(sqlite3.connect(tmp_path / "notary.sqlite")) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON keys BEGIN SELECT RAISE(FAIL, 'full'); END")
        for _ in range(2):
            with pytest.raises(sqlite3.Error):
                fake.notary.keys.offered(GUN, "timestamp")


def test_an_update_with_an_old_version_is_not_saved(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        store = fake.notary.store
        store.update(GUN, {"targets": StoredFile(2, b"two")}, NOW)
        with pytest.raises(OldVersionError):
            store.update(GUN, {"root": StoredFile(1, b"one"), "targets": StoredFile(2, b"two")}, NOW)
        assert store.current(GUN, "root") is None
    with opened(tmp_path) as fake:
        assert fake.notary.store.roles(GUN) == ["targets"]


def test_images_in_memory_and_on_the_disk_are_alike(tmp_path: Path) -> None:
    told = []
    with opened(tmp_path) as fake:
        for images in (ImageStore(), fake.registry.images):
            play(images)
            told.append(seen(images))
    with opened(tmp_path) as fake:
        told.append(seen(fake.registry.images))
    assert told[0] == told[1] == told[2]
    assert told[0]["tags"] == {"b": "d1"}


def play(images: ImageStore) -> None:
    images.put_manifest("app", "d1", StoredManifest("kind", b"1"), "a")
    images.put_manifest("app", "d1", StoredManifest("kind", b"1"), "b")
    images.put_manifest("app", "d2", StoredManifest("kind", b"2"), "c")
    images.put_manifest("app", "d3", StoredManifest("kind", b"3"), None)
    images.put_manifest("other", "d1", StoredManifest("kind", b"1"), "a")
    images.put_manifest("gone", "d1", StoredManifest("kind", b"1"), "a")
    images.delete_manifest("gone", "d1")
    images.delete_tag("app", "a")
    images.delete_manifest("app", "d2")
    for name in ("app", "other", "gone"):
        images.put_blob(name, "b1", b"blob")
    images.put_blob("app", "b2", b"another")
    images.delete_blob("gone", "b1")
    images.delete_blob("app", "b2")


def seen(images: ImageStore) -> dict[str, object]:
    return {
        "names": images.names(),
        "tags": images.tags("app"),
        "none": images.tags("nothing"),
        "manifests": [images.manifest("app", digest) for digest in ("d1", "d2", "d3")],
        "blobs": [images.blob(*where) for where in (("app", "b1"), ("gone", "b1"), ("app", "b2"))],
        "other": images.blob("other", "b1"),
    }


def test_a_blob_that_nobody_has_any_more_takes_no_space(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        play(fake.registry.images)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as database:
        assert database.execute("SELECT digest FROM contents").fetchall() == [("b1",)]


def test_the_files_are_private_and_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as fake:
        open_desk(fake).publish()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "notary.sqlite": 0o600,
        "registry.sqlite": 0o600,
    }


def test_a_file_that_is_no_database_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / sqlite.REGISTRY_DATA).write_bytes(b"this is no database" * 100)
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(path: Path, *, isolation_level: None, check_same_thread: bool) -> sqlite3.Connection:
        made.append(connect(path, isolation_level=isolation_level, check_same_thread=check_same_thread))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    with pytest.raises(sqlite3.DatabaseError), opened(tmp_path):
        pass
    assert len(made) == 2
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
