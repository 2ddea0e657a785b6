"""Certificates that Notary 0.1 trusted are what the first root must have, and move once a root is cached."""

from __future__ import annotations

import base64
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from notarypy import files
from notarypy.client.keys.migrating import migrate
from notarypy.errors import CacheDamagedError, RootNotPinnedError, StorageError
from notarypy.keys.keypaths import LOCK
from notarypy.storage.trustdir import TrustDirectory
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from support.people import Person, World

NOW = datetime(2026, 11, 29, tzinfo=UTC)
FOLDER = "trusted_certificates"
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


class Certificate(NamedTuple):
    """A certificate of a root, as Notary 0.1 kept it."""

    name: str
    data: bytes


def certificate(owner: Person) -> Certificate:
    root = json.loads(owner.cache()["root"])["signed"]
    (keyid,) = root["roles"]["root"]["keyids"]
    return Certificate(f"{keyid}.crt", base64.b64decode(root["keys"][keyid]["keyval"]["public"]))


def knows(person: Person, *certificates: Certificate) -> Path:
    folder = person.trust_dir / FOLDER / GUN
    for each in certificates:
        files.write_atomic(folder / each.name, each.data)
    return folder


def another(world: World, owner: Person) -> Certificate:
    """Return the certificate of the root before the repository was made anew."""
    before = certificate(owner)
    world.attacker.delete(GUN)
    world.person("new owner").client().init(GUN)
    return before


def test_the_first_root_with_that_certificate_is_taken_unasked(world: World, owner: Person) -> None:
    reader = world.person("reader")
    knows(reader, certificate(owner))
    assert reader.client(first_use=None).refresh(GUN).root.version == 1
    assert reader.warnings == []


@pytest.mark.parametrize("first_use", [True, None])
def test_another_root_is_refused_and_nothing_is_kept(
    world: World, owner: Person, *, first_use: bool | None
) -> None:
    reader = world.person("reader")
    folder = knows(reader, another(world, owner))
    with pytest.raises(RootNotPinnedError) as caught:
        reader.client(first_use=first_use).refresh(GUN)
    assert any(str(folder) in line for line in caught.value.why)
    assert reader.cache() == {}


def test_whoever_publishes_does_not_take_another_root_either(world: World, owner: Person) -> None:
    reader = world.person("new owner")
    before = another(world, owner)
    reader.client().forget(GUN)
    knows(reader, before)
    with pytest.raises(RootNotPinnedError):
        reader.client().add_signer("ann", GUN, [reader.key("ann")])
    assert "targets/ann" not in {role.role for role in world.person("x").client().delegations(GUN)}


def test_a_root_that_an_old_one_leads_to_is_taken(world: World, owner: Person) -> None:
    before = certificate(owner)
    owner.client().keys.rotate(GUN, "root")
    reader = world.person("reader")
    knows(reader, before)
    assert reader.client(first_use=None).refresh(GUN).root.version > 1


def test_one_of_several_certificates_will_do(world: World, owner: Person) -> None:
    reader, now = world.person("reader"), certificate(owner)
    (other,) = (FIXTURES / "go" / "notary-0.1" / FOLDER).rglob("*.crt")
    knows(reader, now, Certificate(other.name, other.read_bytes()))
    assert reader.client(first_use=None).refresh(GUN).root.version == 1


def test_a_pin_that_is_named_counts_in_their_place(world: World, owner: Person) -> None:
    reader = world.person("reader")
    knows(reader, another(world, owner))
    [pin] = reader.client().offered_root(GUN).offered
    assert reader.client(pins=(pin,)).refresh(GUN).root.pins == (pin,)


def test_whoever_trusts_another_root_on_purpose_has_it(world: World, owner: Person) -> None:
    reader = world.person("reader")
    knows(reader, another(world, owner))
    [pin] = reader.client().offered_root(GUN).offered
    assert reader.client().trust(GUN, pin).accepted
    assert reader.client().refresh(GUN).root.pins == (pin,)


def test_forbidding_first_use_is_not_softened(world: World, owner: Person, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"trust_pinning": {"disable_tofu": true}}')
    reader = world.person("reader")
    knows(reader, certificate(owner))
    with pytest.raises(RootNotPinnedError):
        reader.client(config=str(config)).refresh(GUN)


@pytest.mark.parametrize("data", [b"", b"junk", b"x" * 70_000])
def test_what_cannot_be_read_is_no_reason_to_trust_anybody(world: World, owner: Person, data: bytes) -> None:
    reader = world.person("reader")
    knows(reader, Certificate(certificate(owner).name, data))
    with pytest.raises(CacheDamagedError):
        reader.client().refresh(GUN)
    assert reader.cache() == {}


def test_links_are_not_followed(world: World, owner: Person) -> None:
    reader = world.person("reader")
    knows(owner, certificate(owner))
    reader.trust_dir.mkdir()
    (reader.trust_dir / FOLDER).symlink_to(owner.trust_dir / FOLDER)
    with pytest.raises(StorageError):
        reader.client().refresh(GUN)


def test_forgetting_a_repository_forgets_them(world: World, owner: Person) -> None:
    reader = world.person("reader")
    folder = knows(reader, another(world, owner))
    (folder / "nested").mkdir()
    files.write_atomic(folder / "nested" / f"{'a' * 64}.crt", b"of another repository")
    assert reader.client().forget(GUN) is True
    assert [path.name for path in folder.iterdir()] == ["nested"]
    assert reader.client().forget(GUN) is False
    assert reader.client().refresh(GUN).root.version == 1


def test_certificates_move_once_the_root_is_cached(world: World, owner: Person) -> None:
    reader, made = world.person("reader"), certificate(owner)
    folder = knows(reader, made)
    found = reader.client().keys.migrate()
    (known,) = found.known_roots
    assert (known.repository, known.path, found.backup, found.others) == (GUN, folder, None, ())
    assert reader.client(pins=known.root_pins).refresh(GUN).root.version == 1
    found = reader.client().keys.migrate()
    assert found.known_roots == ()
    assert found.others == (folder / made.name,)
    assert found.backup is not None
    assert (found.backup / FOLDER / GUN / made.name).read_bytes() == made.data
    assert not (reader.trust_dir / FOLDER).exists()


def test_a_look_alone_moves_nothing(tmp_path: Path, world: World) -> None:
    person = world.person("old")
    shutil.copytree(FIXTURES / "go" / "notary-0.1", person.trust_dir)
    before = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    assert person.client().keys.any_old()
    found = person.client().keys.migrate(dry_run=True)
    assert {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")} == before
    assert (len(found.keys), len(found.others), found.backup, found.dry_run) == (3, 1, None, True)
    made = person.client().keys.migrate()
    assert (made.keys, made.others) == (found.keys, found.others)
    assert made.backup is not None
    assert made.backup.parent == person.trust_dir
    again = person.client().keys.migrate()
    assert (again.keys, again.others, again.backup) == ((), (), None)
    assert not person.client().keys.any_old()


def test_there_is_something_old_as_long_as_something_would_move(world: World, owner: Person) -> None:
    reader, made = world.person("reader"), certificate(owner)
    assert not reader.client().keys.any_old()
    folder = knows(reader, made)
    keys = reader.client().keys
    assert not keys.any_old()  # it is all that says which root the repository has
    assert keys.migrate().backup is None
    files.write_atomic(folder / "note.txt", b"")
    assert keys.any_old()
    assert keys.migrate().backup is not None
    assert not keys.any_old()
    reader.client(pins=(made.name.removesuffix(".crt"),)).refresh(GUN)
    assert keys.any_old()
    assert keys.migrate().backup is not None
    assert not keys.any_old()


def test_keys_move_in_the_lock_of_whoever_makes_keys(world: World) -> None:
    person = world.person("old")
    shutil.copytree(FIXTURES / "go" / "notary-0.3", person.trust_dir)
    with files.locked(person.trust_dir / "private" / ".notarypy-init.lock", 0), pytest.raises(StorageError):
        person.client(timeout="1").keys.migrate()
    assert len(person.client().keys.migrate().keys) == 4


def test_whoever_moves_certificates_waits_for_whoever_moves_keys(world: World, owner: Person) -> None:
    reader, made = world.person("reader"), certificate(owner)
    reader.client(first_use=True).refresh(GUN)
    folder, directory = knows(reader, made), TrustDirectory(reader.trust_dir)
    with files.locked(directory.private / LOCK, 0), pytest.raises(StorageError):
        migrate(directory, lambda: NOW, 0, dry_run=False)
    assert (folder / made.name).exists()
