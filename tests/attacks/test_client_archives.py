"""Whoever carries an archive is nobody: what he changes in it is refused, as from a server."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import (
    MetadataError,
    NotarypyError,
    RepositoryMissingError,
    RollbackError,
    RootChangedError,
    TrustError,
    VerificationError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from support import layouts
from support.author import GUN, NOW, Author
from support.people import make_world
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.people import Person

REF = f"{GUN}:1"
INDEX = "notary/index.json"
FOLDER = f"notary/v2/{GUN}/_trust/tuf/"


def second(base: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(make_world(base, monkeypatch))
    stage.publish(JEFF)
    stage.know()
    return stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a repository at its second version, which somebody has seen."""
    return second(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of an archive of the same repository: it is signed the same every time."""
    base = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        return exported(second(base, patch), base / "honest.tar")


@pytest.fixture
def contents(honest: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of an honest archive."""
    return dict(honest)


def exported(stage: Stage, path: Path) -> dict[str, bytes]:
    stage.world.person("exporter").client().archives.export([GUN], path)
    with tarfile.open(path) as opened:
        streams = {member.name: opened.extractfile(member) for member in opened}
        return {name: stream.read() for name, stream in streams.items() if stream}


def packed(path: Path, contents: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    return layouts.archive(path, contents, links, style=tarfile.PAX_FORMAT)


def refused(
    stage: Stage, path: Path, kind: type[NotarypyError] = TrustError, limits: Limits = DEFAULT
) -> None:
    """Insist that an archive is refused, to be read and to be imported, and that all stays as it was.

    Whoever has seen the repository has the files that signed files name; so only a stranger takes these.
    """
    somebody = stage.world.person("a stranger")
    stage.world.requests()
    for call in (
        lambda: somebody.client(limits=limits).archives.import_repository(path, GUN),
        lambda: somebody.client(limits=limits, archive=path, offline=True).verify(REF),
        lambda: somebody.client(limits=limits, archive=path).inspect(GUN),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.exit_code in {3, 4, 5}
        assert not files(somebody)
    assert stage.world.requests() == []


def files(somebody: Person) -> dict[str, bytes]:
    paths = somebody.trust_dir.rglob("*.json") if somebody.trust_dir.exists() else ()
    return {str(path): path.read_bytes() for path in paths}


def in_folder(contents: Mapping[str, bytes], beginning: str) -> str:
    (found,) = [name for name in contents if name.startswith(FOLDER + beginning)]
    return found


def test_an_honest_one_is_taken(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(tmp_path / "t.tar", contents)
    assert stage.reader.client().archives.import_repository(path, GUN).changed is False
    assert stage.world.person("a stranger").client(archive=path, offline=True).verify(REF).tag == "1"


# -- what is signed


@pytest.mark.parametrize(
    "role", ["timestamp.json", "snapshot.", "targets.", f"{roles.RELEASES}.", f"{JEFF}."]
)
@pytest.mark.parametrize("change", ["changed", "another's", "left out", "empty", "no JSON"])
def test_files_that_are_changed(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, role: str, change: str
) -> None:
    name = in_folder(contents, role)
    if change == "left out":
        del contents[name]
    else:
        data = contents[name]
        contents[name] = {
            "changed": data.replace(b'"version":', b'"version":1', 1),
            "another's": contents[FOLDER + "root.json"],
            "empty": b"",
            "no JSON": b"[" * 1000,
        }[change]
    refused(stage, packed(tmp_path / "t.tar", contents))


def test_an_older_one_is_a_rollback(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    stage.publish(JEFF)
    stage.know()
    path = packed(tmp_path / "t.tar", contents)
    before = files(stage.reader)
    for call in (
        lambda: stage.reader.client().archives.import_repository(path, GUN),
        lambda: stage.reader.client(archive=path, offline=True).verify(REF),
    ):
        with pytest.raises(RollbackError):
            call()
    assert files(stage.reader) == before


def test_another_repository_of_the_same_name(stage: Stage, tmp_path: Path) -> None:
    known = files(stage.reader)
    thief = Author(GUN, NOW)
    thief.assign(roles.ROOT, [thief.root_key("thief")])
    thief.snapshot_version = thief.timestamp_version = 100
    stage.serve(thief.repository())
    path = packed(tmp_path / "t.tar", exported(stage, tmp_path / "stolen.tar"))
    for call in (
        lambda: stage.reader.client().archives.import_repository(path, GUN),
        lambda: stage.reader.client(archive=path, offline=True).verify(REF),
    ):
        with pytest.raises(RootChangedError) as caught:
            call()
        assert caught.value.advice is not None
        assert caught.value.advice.name == "forget-for-archive"
    assert files(stage.reader) == known


def test_a_repository_under_another_name(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    other = f"{GUN}/other"
    renamed = {name.replace(f"/{GUN}/", f"/{other}/"): data for name, data in contents.items()}
    renamed[INDEX] = contents[INDEX].replace(GUN.encode(), other.encode())
    path = packed(tmp_path / "t.tar", renamed)
    with pytest.raises(VerificationError):
        stage.reader.client(archive=path, offline=True).verify(f"{other}:1")
    refused(stage, path, RepositoryMissingError)


@pytest.mark.parametrize("name", ["root.json", "timestamp.json"])
def test_what_every_archive_has_is_not_missing(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    del contents[FOLDER + name]
    refused(stage, packed(tmp_path / "t.tar", contents), MetadataError)


# -- what is said of it


def said(contents: Mapping[str, bytes], **changed: Any) -> dict[str, bytes]:  # noqa: ANN401 - JSON
    return {**contents, INDEX: json.dumps({**json.loads(contents[INDEX]), **changed}).encode()}


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2}, {"version": None}, {"exported": "yesterday"}, {"exported": 5},
        {"exported": "9" * 5000}, {"repositories": None}, {"repositories": [5]},
        {"repositories": [{"repository": GUN}]},
        {"repositories": [{"repository": "../x", "server": "https://x", "ends": "2026-01-01T00:00:00Z"}]},
        {"repositories": [{"repository": GUN, "server": "https://x", "ends": None}]},
        {"repositories": [{"repository": GUN, "server": "https://x", "ends": "2026-01-01T00:00:00Z"}] * 2},
        *(
            {"repositories": [{"repository": GUN, "server": server, "ends": "2026-01-01T00:00:00Z"}]}
            for server in ("", "/tmp/x.tar", "https://a:b@x", "https://x\n, verified", "https://" + "x" * 600)
        ),
    ],
)  # fmt: skip
def test_a_list_that_is_none(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, changed: dict[str, Any]
) -> None:
    refused(stage, packed(tmp_path / "t.tar", said(contents, **changed)), MetadataError)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"[" * 100_000, b'{"version": 1', b"\xff" * 20])
def test_a_list_that_is_no_json(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, data: bytes
) -> None:
    refused(stage, packed(tmp_path / "t.tar", {**contents, INDEX: data}), MetadataError)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "2031-01-01T00:00:00Z"])
def test_a_date_to_come_makes_nothing_last_longer(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, moment: str
) -> None:
    refused(stage, packed(tmp_path / "t.tar", said(contents, exported=moment)))


def test_a_date_that_is_later_than_it_was_makes_nothing_known_to_be_current(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path
) -> None:
    stage.world.clock.advance(timedelta(days=10))
    moment = stage.world.clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    path = packed(tmp_path / "t.tar", said(contents, exported=moment))
    stranger = stage.world.person("a stranger")
    stranger.client(offline=True).archives.import_repository(path, GUN)
    stranger.client(offline=True).verify(REF)
    assert "is of unknown age" in stranger.warnings[-1]
    stage.reader.client().archives.import_repository(path, GUN)
    stage.reader.client(offline=True).verify(REF)
    assert any("10 days ago" in each for each in stage.reader.warnings)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"])
def test_a_date_long_ago_is_only_said(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, moment: str
) -> None:
    path = packed(tmp_path / "t.tar", said(contents, exported=moment))
    assert stage.reader.client(archive=path, offline=True).verify(REF).tag == "1"
    assert stage.reader.client().archives.import_repository(path, GUN).repository == GUN
    assert stage.reader.client(offline=True).verify(REF).tag == "1"


# -- the archive itself


@pytest.mark.parametrize("name", ["../root.json", "/etc/passwd", "notary/../../x"])
def test_names_that_lead_elsewhere(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    refused(stage, packed(tmp_path / "t.tar", {**contents, name: b"x"}), MetadataError)


@pytest.mark.parametrize("target", ["1.root.json", "/etc/passwd", "../../../../../../../etc/passwd"])
def test_links_in_place_of_files(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, target: str
) -> None:
    name = in_folder(contents, "timestamp.json")
    del contents[name]
    refused(stage, packed(tmp_path / "t.tar", contents, {name: target}))


def test_files_that_are_there_twice(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(tmp_path / "t.tar", contents)
    name = FOLDER + "timestamp.json"
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as opened:
        member = tarfile.TarInfo(name)
        member.size = len(contents[name])
        opened.addfile(member, io.BytesIO(contents[name].upper()))
    refused(stage, path, MetadataError)


def test_a_bomb_is_not_unpacked(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(tmp_path / "t.tar", contents)
    (tmp_path / "t.tar.gz").write_bytes(gzip.compress(path.read_bytes()))
    refused(stage, tmp_path / "t.tar.gz", MetadataError)


def test_more_files_than_are_read(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(tmp_path / "t.tar", contents)
    refused(stage, path, MetadataError, Limits(archive_entries=5))


def test_a_list_that_is_too_long(stage: Stage, contents: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(tmp_path / "t.tar", contents)
    refused(stage, path, MetadataError, Limits(archive_index_bytes=100))


@pytest.mark.parametrize("role", ["timestamp.json", "root.json", "snapshot."])
def test_files_that_are_too_long(stage: Stage, contents: dict[str, bytes], tmp_path: Path, role: str) -> None:
    contents[in_folder(contents, role)] += b" " * (8 << 20)
    refused(stage, packed(tmp_path / "t.tar", contents))


@pytest.mark.parametrize("cut", [0, 100, 512, 1500, 5000])
def test_an_archive_that_is_cut_off(
    stage: Stage, contents: dict[str, bytes], tmp_path: Path, cut: int
) -> None:
    path = packed(tmp_path / "t.tar", contents)
    path.write_bytes(path.read_bytes()[:cut])
    refused(stage, path)
