from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.errors import (
    AlreadyExistsError,
    ConfigurationError,
    InvalidNameError,
    KeyAccessError,
    KeyMissingError,
    PassphraseWrongError,
    StorageError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.formats import pem
from support.author import GUN
from support.people import PASSPHRASE, copy_of, owned

if TYPE_CHECKING:
    from notarypy.keys.keyinfo import KeyInfo, PassphraseRequest
    from support.people import Person, World

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
BUNDLE = (KEYS / "export-bundle-five-keys.pem").read_bytes()


def _stored(person: Person) -> dict[str, bytes]:
    folder = person.trust_dir / "private"
    return {path.name: path.read_bytes() for path in folder.glob("*.key")} if folder.is_dir() else {}


def _keys(person: Person) -> list[KeyInfo]:
    return person.client().keys.list()


# -- import


def test_a_bundle_of_go_notary_is_taken_as_it_is(world: World) -> None:
    alice = world.person()
    imported = alice.client().keys.import_(BUNDLE)
    assert len(_stored(alice)) == len(imported) == 5
    for one in imported:
        assert one.key.encrypted
        assert not one.already
        assert b"path:" not in one.key.path.read_bytes()
    by_role = {one.key.role: one.key for one in imported}
    assert by_role["targets"].gun is not None
    assert by_role["root"].gun is None


def test_what_we_export_comes_back_to_the_byte(world: World) -> None:
    owner = owned(world, "jeff")
    ids = [key.keyid for key in _keys(owner)]
    exported = owner.client().keys.export(ids)
    heir = world.person("heir")
    assert [one.key.keyid for one in heir.client(passphrase="nothing useful").keys.import_(exported)] == ids
    assert _stored(heir) == _stored(owner)
    heir.client().add_signer("bob", GUN, [heir.key("bob")])


def test_keys_are_exported_by_repository(world: World) -> None:
    owner = owned(world, "jeff")
    keys, every = owner.client().keys, _keys(owner)
    own = [key.keyid for key in every if key.gun == GUN]
    assert 0 < len(own) < len(every)
    assert keys.export(guns=[GUN]) == keys.export(sorted(own))
    assert keys.export() == keys.export(sorted(key.keyid for key in every))
    with pytest.raises(KeyMissingError, match="there are no keys of other/one here"):
        keys.export(guns=[GUN, "other/one"])
    with pytest.raises(KeyMissingError, match=r"there are no keys of .* here"):
        world.person("nobody").client().keys.export()
    with pytest.raises(TypeError):
        keys.export(own, guns=[GUN])
    with pytest.raises(TypeError):
        keys.export(guns=GUN)
    assert owner.warnings == []


def test_a_second_import_leaves_what_is_there(world: World) -> None:
    alice = world.person()
    alice.client().keys.import_(BUNDLE)
    before = _stored(alice)
    assert all(one.already for one in alice.client().keys.import_(BUNDLE))
    assert _stored(alice) == before


def _without(header: bytes) -> bytes:
    return b"\n".join(line for line in BUNDLE.splitlines() if not line.startswith(header))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (BUNDLE + (KEYS / "plain-pkcs8-rsa.key").read_bytes(), "not encrypted"),
        (_without(b"path:"), "does not say which key"),
        (BUNDLE.replace(b"path: ", b"path: ../", 1), "does not say which key"),
        (_without(b"gun:"), "does not say of which repository"),
        (BUNDLE.replace(b"role: ", b"role: ../", 1), "is not a signer name"),
        (BUNDLE.replace(b"role: root", b"role: targets/../x", 1), "is not a role"),
        (BUNDLE.replace(b"role: root", b"role: releases", 1), "is reserved"),
        (BUNDLE.replace(b"gun: ", b"gun: ../", 1), "cannot be a repository name"),
        (BUNDLE.replace(b"gun: ", b"gun: " + b"a/" * 40_000, 1), "a key file has at most"),
        (
            BUNDLE + (KEYS / "openssl-pkcs8-default-prf-sha256-UNREADABLE-by-notary.key").read_bytes(),
            "cannot read this encryption",
        ),
    ],
)
def test_one_block_that_cannot_be_used_stops_all(world: World, data: bytes, why: str) -> None:
    alice = world.person()
    with pytest.raises(UnsupportedKeyError) as caught:
        alice.client().keys.import_(data)
    assert why in " ".join(caught.value.why)
    assert _stored(alice) == {}


@pytest.mark.parametrize("data", [b"", b"junk", (KEYS / "bob.pub").read_bytes(), BUNDLE[:-40]])
def test_what_is_no_export_is_refused(world: World, data: bytes) -> None:
    alice = world.person()
    with pytest.raises(UnsupportedKeyError):
        alice.client().keys.import_(data)
    assert _stored(alice) == {}


def test_a_key_that_is_here_as_something_else_stops_all(world: World) -> None:
    alice = world.person()
    alice.client().keys.import_(BUNDLE)
    dee = next(key for key in _keys(alice) if key.role not in {"root", "targets", "snapshot"})
    before = _stored(alice)
    renamed = BUNDLE.replace(f"role: {dee.role}".encode(), b"role: mallory")
    with pytest.raises(AlreadyExistsError):
        alice.client().keys.import_(renamed)
    assert _stored(alice) == before


def test_a_key_that_a_file_has_for_two_roles_is_stored_for_neither(world: World) -> None:
    alice = world.person()
    with pytest.raises(UsageError, match="is there twice"):
        alice.client().keys.import_(BUNDLE + BUNDLE.replace(b"role: root", b"role: mallory"))
    assert _stored(alice) == {}
    taken = alice.client().keys.import_(BUNDLE + BUNDLE)
    assert [one.already for one in taken] == [False] * 5 + [True] * 5


@pytest.mark.parametrize("role", ["targets/dee", "targets/releases", "targets/a/b", "mallory"])
def test_delegation_roles_and_names_of_signers_are_roles(world: World, role: str) -> None:
    alice = world.person()
    imported = alice.client().keys.import_(BUNDLE.replace(b"role: root", f"role: {role}".encode(), 1))
    assert role in {one.key.role for one in imported}


def test_a_key_under_another_id_is_found_out_at_its_first_use(world: World) -> None:
    owner = owned(world, "jeff")
    (jeff,) = [key for key in _keys(owner) if key.role == "jeff"]
    exported = owner.client().keys.export([jeff.keyid]).replace(jeff.keyid.encode(), b"0" * 64)
    heir = world.person("heir")
    (imported,) = heir.client().keys.import_(exported)
    assert imported.key.keyid == "0" * 64
    with pytest.raises(KeyAccessError, match="holds another key"):
        heir.client().keys.change_passphrase("0" * 64, lambda _: "another passphrase")


def test_a_disk_that_fills_up_keeps_none_of_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = world.person()
    write, left = files.write_atomic, [1, 2]

    def failing(path: Path, data: bytes) -> None:
        if not left:
            raise StorageError("the disk is full")
        left.pop()
        write(path, data)

    monkeypatch.setattr(files, "write_atomic", failing)
    with pytest.raises(StorageError):
        alice.client().keys.import_(BUNDLE)
    assert _stored(alice) == {}


# -- passwd


def test_the_new_passphrase_counts_and_the_old_one_does_not(world: World) -> None:
    owner = owned(world, "jeff")
    asked: list[PassphraseRequest] = []

    def new(request: PassphraseRequest) -> str:
        asked.append(request)
        return "another passphrase"

    info = owner.client().keys.change_passphrase("jeff", new)
    assert [(request.keyid, request.role, request.new) for request in asked] == [(info.keyid, "jeff", False)]
    world.push("1")
    with pytest.raises(PassphraseWrongError):
        owner.client().sign([f"{GUN}:1"])
    owner.client(passphrase="another passphrase").sign([f"{GUN}:1"])


def test_a_targets_key_keeps_role_and_repository(world: World) -> None:
    owner = owned(world)
    info = owner.client().keys.change_passphrase("targets", "another passphrase")
    assert (info.role, info.gun) == ("targets", GUN)


def test_the_same_passphrase_again_is_told_and_changes_nothing(world: World) -> None:
    owner = owned(world, "jeff")
    before = _stored(owner)
    with pytest.raises(ConfigurationError, match="has this passphrase already"):
        owner.client().keys.change_passphrase("jeff", PASSPHRASE)
    with pytest.raises(ConfigurationError, match="too short"):
        owner.client().keys.change_passphrase("jeff", "short")
    assert _stored(owner) == before


def test_a_wrong_old_passphrase_asks_for_no_new_one(world: World) -> None:
    owner = owned(world, "jeff")
    before = _stored(owner)

    def new(_: PassphraseRequest) -> str:
        raise AssertionError("it was asked")

    with pytest.raises(PassphraseWrongError):
        owner.client(passphrase="wrong passphrase").keys.change_passphrase("jeff", new)
    with pytest.raises(KeyMissingError):
        owner.client().keys.change_passphrase("nobody", new)
    [keyid, *_] = [info.keyid for info in owner.client().keys.list()]
    with pytest.raises(KeyMissingError) as caught:
        owner.client().keys.change_passphrase(keyid[:6], new)
    assert caught.value.why[0] == "of an id it takes at least 7 digits"
    assert _stored(owner) == before


def test_a_plain_key_gets_its_first_passphrase(world: World) -> None:
    alice = world.person()
    keyid = alice.client().keys.load((KEYS / "plain-sec1-ec.key").read_bytes(), name="dee")[0].keyid
    path = alice.trust_dir / "private" / f"{keyid}.key"
    path.write_bytes((KEYS / "plain-sec1-ec.key").read_bytes())
    assert not alice.client().keys.find(keyid[:7]).encrypted
    assert alice.client().keys.change_passphrase(keyid, "first passphrase").encrypted


def test_a_disk_that_fails_leaves_the_old_passphrase(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = owned(world, "jeff")
    before = _stored(owner)

    def failing(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_atomic", failing)
        with pytest.raises(StorageError):
            owner.client().keys.change_passphrase("jeff", "another passphrase")
    assert _stored(owner) == before


def test_what_else_is_in_a_file_is_never_lost_by_writing_it_anew(world: World) -> None:
    owner = owned(world, "jeff")
    info = owner.client().keys.find("jeff")
    info.path.write_bytes(info.path.read_bytes() + (KEYS / "plain-pkcs8-rsa.key").read_bytes())
    before = _stored(owner)
    with pytest.raises(KeyAccessError, match="holds several keys"):
        owner.client().keys.rename("jeff", "joe")
    with pytest.raises(KeyAccessError, match="holds several keys"):
        owner.client().keys.change_passphrase("jeff", "another passphrase")
    assert _stored(owner) == before


@pytest.mark.parametrize("name", ["targets/root", "targets/targets", "root", "releases", "targets/"])
def test_a_reserved_name_is_refused_in_whatever_form(world: World, name: str) -> None:
    owner = owned(world, "jeff")
    with pytest.raises(InvalidNameError):
        owner.client().keys.rename("jeff", name)
    with pytest.raises(InvalidNameError):
        owner.client().keys.generate(name)


def test_a_full_role_is_stored_as_its_short_name(world: World) -> None:
    alice = world.person()
    made, _ = alice.client().keys.generate("targets/dee")
    assert made.role == "dee"
    assert alice.client().keys.rename("dee", "targets/joe").role == "joe"


def test_damaged_keys_are_listed_for_whoever_wants_all(world: World) -> None:
    owner = owned(world, "jeff")
    info = owner.client().keys.find("jeff")
    owner.client().refresh(GUN)
    info.path.write_bytes(b"")
    assert info.keyid not in {key.keyid for key in owner.client().keys.list()}
    assert info.keyid in {key.keyid for key in owner.client().keys.list(damaged=True)}
    assert info.keyid in {key.keyid for key in owner.client().keys.of_repository(GUN)}


# -- remove


def test_a_signers_key_goes(world: World) -> None:
    owner = owned(world, "jeff")
    info = owner.client().keys.remove("jeff")
    assert (info.role, info.path.exists()) == ("jeff", False)
    with pytest.raises(KeyMissingError):
        owner.client().keys.remove("jeff")


def test_the_last_root_key_stays_unless_forced(world: World) -> None:
    owner = owned(world)
    with pytest.raises(KeyAccessError) as caught:
        owner.client().keys.remove("root")
    assert caught.value.facts["repositories"] == [GUN]
    assert "root" in {key.role for key in _keys(owner)}
    owner.client().keys.remove("root", force=True)
    assert "root" not in {key.role for key in _keys(owner)}


def test_a_root_key_that_was_rotated_away_is_not_needed(world: World) -> None:
    owner = owned(world)
    done = owner.client().keys.rotate(GUN, "root")
    with pytest.raises(UsageError):
        owner.client().keys.remove("root")
    with pytest.raises(KeyAccessError):
        owner.client().keys.remove(done.new[0])
    owner.client().keys.remove(done.old[0])


def test_keys_that_go_together_are_looked_at_together(world: World) -> None:
    owner = owned(world)
    first = owner.client().keys.remove("root", force=True, dry_run=True)
    second = owner.client().keys.rotate(GUN, "root", key=[first.keyid, _another_root(owner)], threshold=1)
    owner.client().keys.remove(first.keyid, dry_run=True)
    for keyid in second.new:
        with pytest.raises(KeyAccessError, match="needed"):
            owner.client().keys.remove(keyid, dry_run=True, others=second.new)
    assert {*second.new} <= {key.keyid for key in _keys(owner)}


def _another_root(owner: Person) -> str:
    return owner.client().keys.make("root").keyid


@pytest.mark.parametrize("role", ["root", "targets"])
def test_of_several_keys_of_a_role_is_said_which_one_the_root_has(world: World, role: str) -> None:
    owner = owned(world)
    done = owner.client().keys.rotate(GUN, role)
    with pytest.raises(UsageError, match="fits several keys") as caught:
        owner.client().keys.export([role])
    [new] = [info for info in _keys(owner) if info.keyid in done.new]
    [old] = [info for info in _keys(owner) if info.keyid in done.old]
    words = {
        "root": (f"(root, in use by {GUN})", "(root, in no root that is cached here)"),
        "targets": (f"(targets of {GUN}, in use)", f"(targets of {GUN}, in no root that is cached here)"),
    }[role]
    for info, said in zip((new, old), words, strict=True):
        assert f"{info.keyid[:12]} {said}" in str(caught.value.why)
    assert owner.client().keys.export([new.keyid[:12]])


def test_a_root_key_is_chosen_by_what_has_it(world: World) -> None:
    owner = owned(world)
    _another_root(owner)
    with pytest.raises(UsageError, match="several root keys are here") as caught:
        owner.client().init(f"{GUN}2")
    assert f"(root, in use by {GUN})" in str(caught.value.why)
    assert "(root, in no root that is cached here)" in str(caught.value.why)


def test_a_root_key_of_no_repository_here_goes(world: World) -> None:
    other = copy_of(world, owned(world))
    assert other.client().keys.remove("root").role == "root"


def test_a_root_that_cannot_be_read_may_need_it(world: World) -> None:
    owner = owned(world, "jeff")
    owner.cached("root").write_bytes(b"junk")
    with pytest.raises(KeyAccessError) as caught:
        owner.client().keys.remove("root")
    assert "cannot be read" in " ".join(caught.value.why)
    owner.client().keys.remove("jeff")


def test_a_signers_key_gets_another_name_and_stays_what_it_is(world: World) -> None:
    alice = world.person()
    before, _ = alice.client().keys.generate("jeff")
    sealed = pem.split(before.path.read_bytes())[0].der
    after = alice.client().keys.rename("jeff", "bob")
    assert (after.keyid, after.role, after.path) == (before.keyid, "bob", before.path)
    [block] = pem.split(after.path.read_bytes())
    assert (block.role, block.der) == ("bob", sealed)
    assert alice.client().keys.public("bob")
    alice.client().init(GUN)
    with pytest.raises(KeyAccessError):
        alice.client().keys.rename("root", "carol")
    with pytest.raises(InvalidNameError):
        alice.client().keys.rename("bob", "Not A Name")
