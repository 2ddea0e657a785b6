"""Keys as Go notary takes and makes them: `keys.take_over`, `keys.make` and `keys.make_files`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from notarypy.client.keys.manager import KeyManager
from notarypy.errors import (
    AlreadyExistsError,
    InvalidNameError,
    PassphraseWrongError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.formats import pem
from notarypy.keys.signers import keyfile
from notarypy.tuf.keys import public_key_of
from support.author import GUN
from support.people import PASSPHRASE, owned, pem_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from support.people import Person, World

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
BUNDLE = (KEYS / "export-bundle-five-keys.pem").read_bytes()


@pytest.fixture
def alice(world: World) -> Person:
    return world.person()


def _plain() -> tuple[bytes, str]:
    key = keyfile.generate()
    return pem_of(key), public_key_of(key).keyid


def _headed(data: bytes, **headers: str) -> bytes:
    (block,) = pem.split(data)
    return pem.text(block.label, headers, block.der)


# -- rules 1 and 2: what is stored, and as what


def test_exported_keys_stay_as_they_are_and_nobody_is_asked(alice: Person) -> None:
    taken = alice.client(passphrase="not theirs").keys.take_over(BUNDLE, role="ignored", gun="ignored")
    assert len(taken) == 5
    assert not any(key.already or key.passphrase_from for key in taken)
    for key in taken:
        (before,) = (block for block in pem.split(BUNDLE) if block.path == key.keyid)
        (after,) = pem.split(key.path.read_bytes())
        assert (after.der, after.role, after.gun, after.path) == (before.der, before.role, before.gun, None)


def test_a_key_that_is_not_encrypted_gets_the_passphrase_of_its_role(alice: Person) -> None:
    data, keyid = _plain()
    (key,) = alice.client().keys.take_over(data)
    assert (key.keyid, key.role, key.gun, key.encrypted) == (keyid, "delegation", None, True)
    assert key.passphrase_from
    assert alice.client().keys.test(keyid).key.keyid == keyid


@pytest.mark.parametrize(
    ("headers", "role", "stored"),
    [
        ({}, "targets/jeff", ("targets/jeff", None)),
        ({}, "root", ("root", None)),
        ({"role": "jo"}, "root", ("jo", None)),
        ({"role": "targets", "gun": "in/file"}, "root", ("targets", "in/file")),
        ({"role": "snapshot"}, None, ("snapshot", "given/gun")),
        ({"gun": "in/file"}, "targets", ("targets", "in/file")),
        ({"gun": "in/file"}, None, ("delegation", None)),
    ],
)
def test_a_file_says_what_a_key_is_for_and_else_the_caller(
    alice: Person, headers: dict[str, str], role: str | None, stored: tuple[str, str | None]
) -> None:
    data, keyid = _plain()
    alice.client().keys.take_over(_headed(data, **headers), role=role, gun="given/gun")
    info = alice.client().keys.find(keyid)
    assert (info.role, info.gun) == stored


def test_an_exported_key_that_says_no_role_gets_one(alice: Person) -> None:
    (block, *_) = pem.split(BUNDLE)
    bare = pem.text(block.label, {"path": block.path or ""}, block.der)
    (key,) = alice.client().keys.take_over(bare, role="targets", gun=GUN)
    assert (key.role, key.gun) == ("targets", GUN)
    assert pem.split(key.path.read_bytes())[0].der == block.der


def test_what_go_could_not_open_is_encrypted_anew(alice: Person) -> None:
    key = keyfile.generate()
    theirs = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
    )
    keyid = public_key_of(key).keyid
    for data in (theirs, _headed(theirs, path=keyid)):
        with pytest.raises(PassphraseWrongError):
            alice.client(passphrase="another one").keys.take_over(data)
    (taken,) = alice.client().keys.take_over(_headed(theirs, path=keyid), role="jeff")
    assert taken.keyid == keyid
    assert alice.client().keys.export([keyid])  # only what Go reads


# -- rules 3 and 4: all or nothing, and nothing twice


@pytest.mark.parametrize(
    ("second", "error"),
    [
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", UnsupportedKeyError),
        (_headed(_plain()[0], role="targets"), UsageError),
        (_headed(_plain()[0], role="a role"), InvalidNameError),
        (_headed(_plain()[0], role="targets", gun="../x"), InvalidNameError),
    ],
)
def test_one_that_cannot_be_used_stops_all(alice: Person, second: bytes, error: type[Exception]) -> None:
    for data in (BUNDLE + second, second + BUNDLE):
        with pytest.raises(error):
            alice.client().keys.take_over(data)
    assert alice.client().keys.list() == []


def test_what_fails_late_takes_back_what_was_stored(alice: Person) -> None:
    with pytest.raises(Exception, match="too short"):
        alice.client(passphrase="short").keys.take_over(BUNDLE + _plain()[0])
    assert alice.client().keys.list() == []


def test_what_holds_no_private_key_is_an_error(alice: Person) -> None:
    for data in (b"hello\n", b"", pem.public_pem(public_key_of(keyfile.generate()), "jeff")):
        with pytest.raises(UnsupportedKeyError):
            alice.client().keys.take_over(data)


def test_a_key_that_is_here_is_left_as_it_is(alice: Person) -> None:
    data, _ = _plain()
    (first,) = alice.client().keys.take_over(data, role="targets/jeff")
    before = first.path.read_bytes()
    for role in ("targets/jeff", "jeff"):
        (again,) = alice.client(passphrase="another passphrase").keys.take_over(data, role=role)
        assert again.already
    for role, gun in (("bob", None), ("root", None), ("targets", GUN)):
        with pytest.raises(AlreadyExistsError):
            alice.client().keys.take_over(data, role=role, gun=gun)
    assert first.path.read_bytes() == before


@pytest.mark.parametrize("closed", [True, False])
def test_a_key_that_a_file_has_for_two_roles_is_stored_for_neither(alice: Person, *, closed: bool) -> None:
    for one, other in (
        ({"role": "targets/a"}, {"role": "targets/b"}),
        ({"role": "targets", "gun": GUN}, {"role": "targets", "gun": "another/one"}),
    ):
        key = keyfile.generate()
        keyid = public_key_of(key).keyid
        data = keyfile.seal(key, "jeff", None, PASSPHRASE) if closed else pem_of(key)
        path = {"path": keyid} if closed else {}
        with pytest.raises(UsageError, match=f"key {keyid[:7]} is there twice"):
            alice.client().keys.take_over(_headed(data, **path, **one) + _headed(data, **path, **other))
        assert alice.client().keys.list() == []
    twice = _headed(data, **path, role="targets/a") + _headed(data, **path, role="a")
    assert [stored.already for stored in alice.client().keys.take_over(twice)] == [False, True]


@pytest.mark.parametrize("closed", [True, False])
def test_a_key_that_came_meanwhile_for_another_role_stops_all(
    alice: Person, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    key = keyfile.generate()
    keyid = public_key_of(key).keyid
    data = keyfile.seal(key, "jeff", None, PASSPHRASE) if closed else pem_of(key)
    headers = {"path": keyid, "role": "jeff"} if closed else {"role": "jeff"}
    new_keys = KeyManager.new_keys

    def another_first(manager: KeyManager, timeout: float) -> AbstractContextManager[Callable[[], None]]:
        manager.store.add(key, "bob", None, PASSPHRASE)
        return new_keys(manager, timeout)

    monkeypatch.setattr(KeyManager, "new_keys", another_first)
    with pytest.raises(AlreadyExistsError):
        alice.client().keys.take_over(_headed(_plain()[0], role="x") + _headed(data, **headers))
    assert [(info.keyid, info.role) for info in alice.client().keys.list()] == [(keyid, "bob")]


def test_the_targets_key_of_one_repository_is_not_that_of_another(world: World) -> None:
    owner = owned(world)
    (targets,) = (info for info in owner.client().keys.list() if info.role == "targets")
    exported = owner.client().keys.export([targets.keyid])
    (again,) = owner.client().keys.take_over(exported)
    assert again.already
    with pytest.raises(AlreadyExistsError):
        owner.client().keys.take_over(exported.replace(f"gun: {GUN}".encode(), b"gun: another/one"))


# -- rule 5: new keys


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "jeff", "targets/jeff", "targets/releases"])
def test_a_key_is_made_for_every_role(alice: Person, role: str) -> None:
    made = alice.client().keys.make(role)
    info = alice.client().keys.find(made.keyid)
    assert (info.role, info.gun, info.encrypted) == (role, None, True)
    private, public = alice.client().keys.make_files(role)
    assert alice.key_files() == {f"{made.keyid}.key"}
    (block,) = pem.split(private)
    assert (block.role, block.encrypted) == (role, True)
    (taken,) = alice.client().keys.take_over(private, gun=GUN)
    assert taken.role == role
    assert pem.blocks(public)[0].role == role


@pytest.mark.parametrize("role", ["", "bad role", "targets/", "Targets", "../x"])
def test_a_key_is_for_no_role_that_cannot_be(alice: Person, role: str) -> None:
    for make in (alice.client().keys.make, alice.client().keys.make_files):
        with pytest.raises(InvalidNameError):
            make(role)
    assert alice.key_files() == set()
