"""Attacks by whoever can write into the trust directory: links, pipes, foreign and damaged files."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from notarypy.tuf import roles
from support.author import GUN, Author
from support.stage import JEFF
from support.victim import REF

if TYPE_CHECKING:
    from pathlib import Path

    from support.victim import Victim

pytestmark = pytest.mark.slow

FILES = [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, roles.RELEASES, JEFF]


def _path(victim: Victim, role: str) -> Path:
    return victim.stage.reader.cached(role)


@pytest.mark.parametrize("role", FILES)
@pytest.mark.parametrize("kind", ["pipe", "link", "junk", "huge", "directory"])
def test_a_strange_cache_file_is_fetched_anew(victim: Victim, role: str, kind: str) -> None:
    honest = victim.knows()
    path = _path(victim, role)
    path.unlink()
    elsewhere = victim.stage.world.base / "elsewhere"
    elsewhere.write_bytes(b"precious")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "junk":
        path.write_bytes(b"\0\xff" * 100)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)  # a hole: it takes no room on the disk
    else:
        path.mkdir()
    told = victim.run("verify", REF)
    assert elsewhere.read_bytes() == b"precious"
    if kind == "directory":
        path.rmdir()
        told = victim.run("verify", REF)
    told.expect(0)
    assert victim.files() == honest


@pytest.mark.parametrize("kind", ["pipe", "link", "junk", "empty"])
def test_a_damaged_root_is_never_replaced_by_another(victim: Victim, kind: str) -> None:
    victim.knows()
    path = _path(victim, roles.ROOT)
    honest = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (victim.stage.world.base / "root.json").write_bytes(honest)
        path.symlink_to(victim.stage.world.base / "root.json")
    else:
        path.write_bytes(b"junk" if kind == "junk" else b"")
    facts = victim.refuses(4, "trust.cache_damaged", "root of", "notarypy forget")
    assert facts["gun"] == GUN
    path.unlink()
    path.write_bytes(honest)
    victim.recovers()


def test_a_planted_root_gets_no_honest_data(victim: Victim) -> None:
    victim.knows()
    honest = _path(victim, roles.ROOT).read_bytes()
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    _path(victim, roles.ROOT).write_bytes(mallory.file(roles.ROOT))
    victim.refuses(4, "trust.root_changed", "another root than the one you trust")
    _path(victim, roles.ROOT).write_bytes(honest)
    victim.recovers()


@pytest.mark.parametrize("part", ["tuf", "tuf/registry.test", f"tuf/{GUN}", f"tuf/{GUN}/metadata"])
def test_a_link_in_place_of_a_directory_is_refused(victim: Victim, part: str) -> None:
    victim.knows()
    folder, elsewhere = victim.trust_dir / part, victim.stage.world.base / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*.json")}
    told = victim.run("verify", REF).expect(1)
    assert (told.out, "[local.storage]" in told.err, "symbolic link" in told.err) == ("", True, True)
    assert {path: path.read_bytes() for path in elsewhere.rglob("*.json")} == before
    folder.unlink()
    elsewhere.rename(folder)
    victim.recovers()


@pytest.mark.parametrize("kind", ["pipe", "link", "other key"])
def test_a_strange_key_file_is_not_used(victim: Victim, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("NOTARYPY_PASSPHRASE_BOB", "a passphrase")
    victim.run("key", "generate", "bob", "--dir", str(victim.stage.world.base)).expect(0)
    (path,) = (victim.trust_dir / "private").iterdir()
    elsewhere = victim.stage.world.base / "bob.key"
    shutil.move(path, elsewhere)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(elsewhere)
    else:
        path = path.with_name("0" * 64 + ".key")
        shutil.copy(elsewhere, path)
    victim.run("key", "list").expect(0)
    told = victim.run("sign", "--init", "--signer", "bob", REF)
    assert told.code not in (0, 8), told
    assert "a passphrase" not in told.out + told.err
    path.unlink()
    victim.knows()
