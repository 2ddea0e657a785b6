"""A root key on a token that lies in a drawer: what works without it, and what says so before it begins."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

import pytest

from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    KeyNotAuthorisedError,
    PinWrongError,
    TokenMissingError,
    UnreachableError,
)
from notarypy.keys.signers import SIGNERS, keyfile
from notarypy.keys.signers.base import ExternalSigner, SignerContext
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.tuf import roles
from support.author import GUN
from support.people import REGISTRY_PATH, Person, prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.people import World

OTHER_GUN = "registry.test/team/other"
ROOT, NEXT, TARGETS = "drawer:root", "drawer:next", "drawer:targets"
KEYS = {uri: LocalSigner(keyfile.generate()) for uri in (ROOT, NEXT, TARGETS)}


class Drawer(ExternalSigner):
    """Keys on tokens, each of which is plugged in or not."""

    keys: ClassVar[dict[str, LocalSigner]] = {}
    plugged: ClassVar[set[str]] = set()
    signed: ClassVar[list[str]] = []
    failure: ClassVar[Callable[[str], Exception]]

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        signer = cls(uri, context.public or cls.keys[uri].public)
        if context.public is None:
            signer.prepare()
        return signer

    def prepare(self) -> None:
        if self.uri not in self.plugged:
            raise Drawer.failure(self.uri)

    def sign(self, message: bytes) -> tuple[str, bytes]:
        self.prepare()
        self.signed.append(self.uri)
        return self.keys[self.uri].sign(message)


def _missing(uri: str) -> Exception:
    return TokenMissingError(f"no token here has the key {uri}", advice=Advice("plug-in"))


@pytest.fixture(autouse=True)
def drawer(monkeypatch: pytest.MonkeyPatch) -> type[Drawer]:
    monkeypatch.setattr(Drawer, "keys", dict(KEYS))
    monkeypatch.setattr(Drawer, "plugged", set(KEYS))
    monkeypatch.setattr(Drawer, "signed", [])
    monkeypatch.setattr(Drawer, "failure", staticmethod(_missing), raising=False)
    monkeypatch.setitem(SIGNERS, "drawer", f"{__name__}:Drawer")
    return Drawer


def test_a_key_that_is_elsewhere_is_certified_where_it_is(world: World) -> None:
    alice = world.person("alice")
    keyid, certificate = alice.client().keys.certify(GUN, key=ROOT)
    assert Drawer.signed == [ROOT]
    assert [info.keyid for info in alice.client().keys.list()] == [keyid]
    made = alice.client().init(GUN, root_cert=[certificate], root_threshold=1)
    assert made.root_pins == (keyid,)


def _begin(owner: Person) -> None:
    owner.client().init(GUN, root_key=ROOT)
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])


@pytest.fixture
def owner(world: World) -> Person:
    """Return the owner of a repository, whose root key went into a drawer after the first publish."""
    owner = world.person("owner")

    def make() -> None:
        _begin(owner)
        world.push("1")

    prepared(world.fake, world.base, f"{__name__}: its root key is elsewhere", make)
    owner.warnings.clear()
    Drawer.plugged.clear()
    Drawer.signed.clear()
    return owner


def _files(person: Person) -> dict[str, bytes]:
    private = person.trust_dir / "private"
    return {path.name: path.read_bytes() for path in private.glob("*") if path.suffix in {".key", ".ref"}}


def _changes(world: World) -> list[str]:
    """Return the requests of which a Notary server remembers anything."""
    makes_keys = ("GET timestamp.key", "GET snapshot.key")
    return [line for line in world.requests() if line.startswith(("POST", "DELETE", *makes_keys))]


# -- daily work


def test_daily_work_runs_without_the_root_key(world: World, owner: Person) -> None:
    owner.client().sign([f"{GUN}:1"])
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    owner.client().revoke([f"{GUN}:2"])
    owner.client().add_signer("jo", GUN, [owner.key("jo")])
    owner.client().remove_signer("jo", GUN)
    owner.client().renew(GUN, only=["targets", "targets/jeff"])
    assert {info.uri for info in owner.client().keys.list()} == {None, ROOT}
    assert {status.role for status in owner.client().status(GUN).roles if status.elsewhere} == {"root"}
    assert world.person("reader").client().verify(f"{GUN}:1").role == roles.RELEASES


def test_the_root_key_comes_back_for_a_moment(world: World, owner: Person) -> None:
    owner.client().sign([f"{GUN}:1"])
    reader = world.person("reader")
    reader.client().verify(f"{GUN}:1")
    Drawer.plugged.add(ROOT)
    owner.client().keys.rotate(GUN, "targets")
    owner.client().keys.rotate(GUN, "timestamp", server_managed=True)
    owner.client().renew(GUN, only=["root"])
    Drawer.plugged.clear()
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    reader.client().verify(f"{GUN}:1")
    reader.client().verify(f"{GUN}:2")


def test_so_often_a_token_that_wants_to_be_touched_is_touched(world: World) -> None:
    owner = world.person("owner")

    def counted() -> list[str]:
        found, Drawer.signed[:] = sorted(Drawer.signed), []
        return found

    _begin(owner)
    Drawer.plugged.remove(TARGETS)  # nothing here needs it
    assert counted() == [ROOT] * 2
    owner.client().keys.rotate(GUN, "targets")
    assert counted() == [ROOT]
    owner.client().renew(GUN, only=["root"])
    assert counted() == [ROOT] * 3  # its new certificate, and the root under the old one and the new one
    world.clock.advance(timedelta(days=3640))
    owner.client().renew(GUN)
    assert counted() == [ROOT] * 3
    owner.client().keys.test("root")
    assert counted() == [ROOT]
    owner.client().keys.rotate(GUN, "root", key=NEXT)
    assert counted() == [NEXT] * 2 + [ROOT]


# -- what needs the root key


@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("root", {}),
        ("root", {"key": NEXT}),
        ("root", {"key": "root"}),
        ("targets", {}),
        ("snapshot", {}),
        ("snapshot", {"server_managed": True}),
        ("timestamp", {"server_managed": True}),
    ],
)
@pytest.mark.parametrize("error", [TokenMissingError, PinWrongError, UnreachableError])
def test_a_rotation_without_it_changes_nothing(
    world: World,
    owner: Person,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    options: dict[str, object],
    error: type[Exception],
) -> None:
    Drawer.plugged.add(NEXT)
    monkeypatch.setattr(Drawer, "failure", staticmethod(error))
    before = _files(owner)
    with pytest.raises(error):
        owner.client().keys.rotate(GUN, role, **options)  # type: ignore[arg-type]  # as parametrised
    assert _changes(world) == []
    assert _files(owner) == before


@pytest.mark.parametrize(("role", "key"), [("root", NEXT), ("targets", TARGETS)])
def test_a_rotation_without_the_new_key_changes_nothing(
    world: World, owner: Person, role: str, key: str
) -> None:
    Drawer.plugged.add(ROOT)
    before = _files(owner)
    with pytest.raises(TokenMissingError):
        owner.client().keys.rotate(GUN, role, key=key)
    assert _changes(world) == []
    assert _files(owner) == before


@pytest.mark.parametrize("certified", [False, True])
def test_another_repository_without_it_is_not_begun(world: World, owner: Person, *, certified: bool) -> None:
    certificate = None
    if certified:
        Drawer.plugged.add(ROOT)
        owner.client().init(OTHER_GUN, root_key=ROOT)
        key = owner.client().refresh(OTHER_GUN).root.signers(roles.ROOT)[0]
        certificate = key.public
        world.fake.notary.store.delete(OTHER_GUN, world.clock())
        owner.client().forget(OTHER_GUN)
        Drawer.plugged.clear()
        world.requests()
    before = _files(owner)
    for root_key in (ROOT, "root", None):
        with pytest.raises(TokenMissingError):
            owner.client().init(OTHER_GUN, root_key=root_key, root_cert=certificate)
    assert _changes(world) == []
    assert _files(owner) == before


def test_a_new_repository_without_its_targets_key_is_not_begun(world: World) -> None:
    alice = world.person()
    Drawer.plugged.remove(TARGETS)
    with pytest.raises(TokenMissingError):
        alice.client().init(GUN, root_key=ROOT, targets_key=TARGETS)
    assert _changes(world) == []
    assert _files(alice) == {}
    Drawer.plugged.add(TARGETS)
    noted = alice.client().keys.add(TARGETS, name="targets")
    Drawer.plugged.remove(TARGETS)
    with pytest.raises(TokenMissingError):
        alice.client().init(GUN, root_key=ROOT, targets_key=noted.keyid)
    assert _changes(world) == []
    assert set(_files(alice)) == {noted.path.name}
    Drawer.plugged.add(TARGETS)
    alice.client().init(GUN, root_key=ROOT, targets_key=TARGETS)


def test_a_signer_of_a_new_repository_is_not_added_without_it(world: World, owner: Person) -> None:
    key = owner.key("jo")
    before = _files(owner)
    with pytest.raises(TokenMissingError):
        owner.client().add_signer("jo", OTHER_GUN, [key])
    assert _changes(world) == []
    assert _files(owner) == before


def test_a_first_use_of_a_token_that_is_away_leaves_no_note(world: World) -> None:
    alice = world.person()
    Drawer.plugged.clear()
    with pytest.raises(TokenMissingError):
        alice.client().init(GUN, root_key=ROOT)
    assert _changes(world) == []
    assert _files(alice) == {}


def test_a_repository_that_has_another_root_leaves_no_note(world: World) -> None:
    world.person("owner").client().init(GUN)
    alice = world.person()
    with pytest.raises(AlreadyExistsError, match="of another kind"):
        alice.client().init(GUN, root_key=ROOT)
    assert _files(alice) == {}


# -- renewing


def test_what_is_due_is_renewed_and_the_root_left_over(world: World, owner: Person) -> None:
    owner.client().sign([f"{GUN}:1"])
    world.clock.advance(timedelta(days=3640))
    with pytest.raises(KeyNotAuthorisedError, match=f"root of {GUN} could not be renewed") as caught:
        owner.client().renew(GUN)
    assert caught.value.exit_code == 6
    assert caught.value.advice == Advice("plug-in")
    assert f"no token here has the key {ROOT}" in caught.value.why
    assert "renewed: targets, targets/jeff, targets/releases" in caught.value.why
    due = {status.role for status in owner.client().status(GUN).roles if status.due}
    assert due == {"root"}
    Drawer.plugged.add(ROOT)
    assert [status.role for status in owner.client().renew(GUN).renewed] == ["root"]


def test_a_root_that_is_named_and_away_is_left_over(world: World, owner: Person) -> None:
    with pytest.raises(KeyNotAuthorisedError, match="root of"):
        owner.client().renew(GUN, only=["root"])
    assert _changes(world) == []


def test_one_of_two_keys_of_a_role_is_enough(world: World, owner: Person) -> None:
    Drawer.plugged.add(TARGETS)
    noted = owner.client().keys.add(TARGETS, name="jeff")
    owner.client().add_signer("jeff", GUN, [owner.client().keys.public(noted.keyid)])
    Drawer.plugged.clear()
    world.requests()
    owner.client().renew(GUN, only=["targets/jeff"])


def test_a_wrong_pin_ends_it_all(world: World, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.client().sign([f"{GUN}:1"])
    world.clock.advance(timedelta(days=3640))
    world.requests()
    monkeypatch.setattr(Drawer, "failure", staticmethod(PinWrongError))
    with pytest.raises(PinWrongError):
        owner.client().renew(GUN)
    assert _changes(world) == []


# -- signing with a token


@pytest.mark.parametrize("signer", ["jo", None])
def test_what_is_pushed_first_is_not_pushed_without_the_key(
    world: World, owner: Person, signer: str | None
) -> None:
    owner.client().sign([f"{GUN}:1"])
    Drawer.plugged.add(TARGETS)
    noted = owner.client().keys.add(TARGETS, name="jo")
    owner.client().add_signer("jo", GUN, [owner.client().keys.public(noted.keyid)])
    Drawer.plugged.clear()
    world.requests()
    with pytest.raises(TokenMissingError):
        owner.client().images.copy(f"{GUN}:1", f"{GUN}:2", sign=True, signer=signer)
    assert "2" not in world.fake.registry.images.tags(REGISTRY_PATH)
