"""Archives that were changed on the way, at the command line: exit codes, texts, and no file that changes."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.author import GUN
from support.stage import JEFF

if TYPE_CHECKING:
    from pathlib import Path

    from support.victim import Victim

REF = f"{GUN}:1"


@pytest.fixture
def tar(victim: Victim, tmp_path: Path) -> Path:
    """Return an archive of what the victim knows."""
    victim.knows()
    victim.run("export", GUN, "-o", str(tmp_path / "trust.tar")).expect(0)
    return tmp_path / "trust.tar"


def change(path: Path, beginning: str, old: bytes, new: bytes) -> None:
    """Change a file of a repository in an archive."""
    with tarfile.open(path) as opened:
        streams = {member.name: opened.extractfile(member) for member in opened}
        contents = {name: stream.read() for name, stream in streams.items() if stream}
    (name,) = [each for each in contents if each.rpartition("/tuf/")[2].startswith(beginning)]
    assert old in contents[name]
    contents[name] = contents[name].replace(old, new)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as made:
        for each, data in contents.items():
            member = tarfile.TarInfo(each)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))


def both(tar: Path) -> tuple[tuple[str, ...], ...]:
    return ("verify", "--offline", "--from", str(tar), REF), ("import", str(tar), GUN)


def test_a_changed_timestamp(victim: Victim, tar: Path) -> None:
    change(tar, "timestamp.json", b'"version":1', b'"version":9')
    for argv in both(tar):
        victim.refuses(4, "trust.signature", "trust.tar was exported on", argv=argv)


def test_an_older_archive(victim: Victim, tar: Path) -> None:
    victim.stage.publish(JEFF)
    victim.knows()
    for argv in both(tar):
        victim.refuses(4, "trust.rollback", "fix: take a newer archive", argv=argv)


def test_an_archive_that_is_over(victim: Victim, tar: Path) -> None:
    victim.stage.world.clock.advance(timedelta(days=20))
    for argv in both(tar):
        victim.refuses(5, "trust.expired", "export it anew", argv=argv)


def test_an_archive_of_something_else(victim: Victim, tar: Path) -> None:
    tar.write_bytes(b"#!/bin/sh\n" * 100)
    for argv in both(tar):
        victim.refuses(4, "trust.malformed", "is not a usable archive", argv=argv)


def test_names_in_an_archive_are_shown_escaped(victim: Victim, tar: Path) -> None:
    change(tar, "notary/index.json", GUN.encode(), b"other.test/\\u001b[2Japp")
    run = victim.run(*both(tar)[0])
    assert run.code in {3, 4}
    assert "\x1b" not in run.err
