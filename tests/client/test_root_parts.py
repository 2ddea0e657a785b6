"""A root of three people's keys: made, changed and renewed by parts, and attacked."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli import partfiles
from notarypy.cli.text.advice import advice
from notarypy.errors import (
    KeyNotAuthorisedError,
    MetadataError,
    NothingThereError,
    OutdatedPartError,
    PartError,
    RepositoryMissingError,
    RootNotPinnedError,
    UsageError,
)
from notarypy.tuf import roles
from support.author import GUN
from support.people import prepared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.people import Person, World

NAMES = ("alice", "bob", "carol")


class Circle:
    """Three holders of root keys, of which two sign."""

    def __init__(self, world: World, *, published: bool = False) -> None:
        self.world = world
        self.alice, self.bob, self.carol = (world.person(name) for name in NAMES)
        self.files = {name: world.base / f"{name}.crt" for name in NAMES}
        prepared(world.fake, world.base, (__name__, published), self._published if published else self._begin)
        self.pins = ",".join(self.keyid(world.person(name)) for name in NAMES)

    def _begin(self) -> None:
        for name in NAMES:
            self.certificate(self.world.person(name))

    def _published(self) -> None:
        self._begin()
        assert self.publish(self.signed(self.bob, self.first()))

    def certificate(self, person: Person, name: str = "") -> Path:
        """Let somebody make a certificate; return its file."""
        path = self.world.base / f"{name or person.trust_dir.name}.crt"
        path.write_bytes(person.client().keys.certify(GUN)[1])
        return path

    def keyid(self, person: Person) -> str:
        """Return the id of somebody's root key."""
        [found] = (info.keyid for info in person.client().keys.list() if info.role == roles.ROOT)
        return found

    def first(self, threshold: int = 2) -> bytes:
        """Return the draft of the first root, by Alice."""
        client, certificates = self.alice.client(), [path.read_bytes() for path in self.files.values()]
        return client.parts.make(
            lambda: client.init(GUN, root_cert=certificates, root_threshold=threshold)
        ).document

    def rotation(self, person: Person, **how: Any) -> bytes:  # noqa: ANN401 - of any type
        """Return the draft of another root."""
        client = person.client()
        return client.parts.make(lambda: client.keys.rotate(GUN, roles.ROOT, **how)).document

    def signed(self, person: Person, *documents: bytes, pins: str | None = None) -> bytes:
        """Return parts with somebody's signature; with pins on a machine without a network."""
        client = person.client(offline=True, first_use=False) if pins else person.client()
        return client.parts.sign(client.parts.read(documents, root=pins)).document

    def publish(self, *documents: bytes, by: Person | None = None) -> bool:
        """Publish parts, by somebody who has no key."""
        client = (by or self.world.person("publisher")).client()
        return client.parts.publish(client.parts.read(documents)).published


@pytest.fixture
def circle(world: World) -> Circle:
    return Circle(world)


@pytest.fixture
def made(world: World) -> Circle:
    """The same, with a repository."""
    return Circle(world, published=True)


def root(circle: Circle) -> tuple[int, int, frozenset[str]]:
    """Return version, threshold and keys of the root that is published."""
    found = circle.world.person("reader").client().refresh(GUN).root
    keys = frozenset(key.canonical_id for key in found.signers(roles.ROOT))
    return found.version, found.roles[roles.ROOT].threshold, keys


def changed(document: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a part in which somebody changed something."""
    value = json.loads(document)
    change(value)
    return json.dumps(value).encode()


def _in_root(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda part: change(part["files"]["root"]["signed"])


def test_a_first_root_is_published_with_the_signatures_of_two(circle: Circle) -> None:
    first = circle.first()
    assert not any(line.startswith("POST") for line in circle.world.requests())
    with pytest.raises(KeyNotAuthorisedError) as caught:
        circle.publish(first)
    others = [circle.keyid(circle.bob), circle.keyid(circle.carol)]
    assert caught.value.facts["missing"] == {roles.ROOT: others}
    with pytest.raises(RepositoryMissingError):
        circle.world.person("reader").client().refresh(GUN)
    both = circle.signed(circle.carol, first, pins=circle.pins)
    assert circle.publish(both)
    assert root(circle) == (1, 2, frozenset(circle.pins.split(",")))
    assert not circle.publish(both)
    circle.alice.client().add_signer("jeff", GUN, [circle.alice.key("jeff")])


def test_what_is_shown_of_a_first_root_is_every_key_certificate_and_threshold(circle: Circle) -> None:
    client = circle.bob.client(offline=True)
    review = client.parts.read([circle.first()])
    shown = "\n".join(partfiles.lines(review))
    assert "built on nothing: it is the first root" in shown
    for keyid in circle.pins.split(","):
        assert f"+ key of root: {keyid}" in shown
        assert f"+ certificate of root key {keyid}: " in shown
    assert "+ threshold of root: 2" in shown
    assert review.here == (circle.keyid(circle.bob),)


def test_a_first_root_of_other_keys_than_the_pinned_ones_is_refused(circle: Circle) -> None:
    client = circle.bob.client(offline=True)
    with pytest.raises(RootNotPinnedError, match="another key"):
        client.parts.read([circle.first()], root=f"{circle.pins},{'a' * 64}")


@pytest.mark.parametrize("offline", [False, True])
def test_a_first_root_that_no_pin_of_the_settings_fits_is_refused(circle: Circle, offline: bool) -> None:
    first = circle.first()
    with pytest.raises(RootNotPinnedError):
        circle.bob.client(pins=("a" * 64,), offline=offline).parts.read([first])
    pinned = circle.bob.client(pins=tuple(circle.pins.split(",")), offline=offline)
    assert pinned.parts.read([first]).missing
    client = circle.alice.client(pins=("a" * 64,))
    with pytest.raises(RootNotPinnedError):
        client.parts.make(lambda: client.init(GUN))


def test_a_first_root_is_the_first_version(circle: Circle) -> None:
    with pytest.raises(PartError, match="not the next version"):
        circle.bob.client().parts.read([changed(circle.first(), _in_root(_jump))])


def test_a_first_root_where_there_is_another_is_refused(circle: Circle) -> None:
    first = circle.signed(circle.bob, circle.first())
    circle.world.person("owner").client().init(GUN)
    with pytest.raises(OutdatedPartError, match="has trust data"):
        circle.publish(first)
    client = circle.alice.client()
    with pytest.raises(NothingThereError):
        client.parts.make(lambda: client.init(GUN))


def test_a_first_root_with_its_snapshot_here_is_not_handed_over(circle: Circle) -> None:
    client, keys = circle.alice.client(), circle.alice.key_files()
    with pytest.raises(UsageError, match="snapshot"):
        client.parts.make(lambda: client.init(GUN, snapshot="local"))
    assert circle.alice.key_files() == keys


def test_one_root_key_of_three_is_replaced(made: Circle) -> None:
    dave = made.world.person("dave")
    new, gone = str(made.certificate(dave)), made.keyid(made.carol)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        made.alice.client().keys.rotate(GUN, roles.ROOT, key=new, replaces=[gone[:9]])
    assert "--offline-part" in advice(caught.value)
    draft = made.rotation(made.alice, key=new, replaces=[gone[:9]])
    pins = f"{made.keyid(made.alice)},{made.keyid(made.bob)}"
    assert made.publish(made.signed(made.bob, draft, pins=pins))
    version, threshold, keys = root(made)
    assert (version, threshold) == (2, 2)
    assert gone not in keys
    assert made.keyid(dave) in keys
    again = made.rotation(made.alice, threshold=1)
    with pytest.raises(KeyNotAuthorisedError):
        made.signed(made.carol, again)
    assert made.publish(made.signed(dave, again))
    assert root(made)[1] == 1


def test_the_keys_of_the_former_root_are_asked_too(made: Circle) -> None:
    dave, erin = (made.world.person(name) for name in ("dave", "erin"))
    new = [str(made.certificate(person)) for person in (dave, erin)]
    draft = made.rotation(dave, key=new)
    review = dave.client().parts.read([made.signed(erin, draft)])
    assert [(one.former, one.missing) for one in review.missing] == [(True, 2)]
    with pytest.raises(KeyNotAuthorisedError):
        made.publish(review.document)
    whole = made.signed(made.carol, made.signed(made.alice, review.document))
    assert made.publish(whole)
    assert root(made)[2] == {made.keyid(dave), made.keyid(erin)}


def test_copies_that_were_signed_side_by_side_make_another_threshold(made: Circle) -> None:
    draft = made.rotation(made.world.person("somebody"), threshold=3)
    copies = [made.signed(person, draft) for person in (made.alice, made.bob, made.carol)]
    with pytest.raises(KeyNotAuthorisedError):
        made.publish(*copies[:2])
    assert made.publish(*copies)
    assert root(made)[1] == 3


def test_a_lower_threshold_is_shown_in_capitals(made: Circle) -> None:
    review = made.bob.client().parts.read([made.rotation(made.alice, threshold=1)])
    assert "    ~ threshold of root: 2 -> 1 (LOWER: fewer keys will be enough)" in partfiles.lines(review)


def test_a_root_and_its_certificates_are_renewed(made: Circle) -> None:
    made.world.clock.now += timedelta(days=3600)
    for person in (made.alice, made.bob):
        due = {status.role for status in person.client().status(GUN).due}
        assert roles.ROOT in due
    with pytest.raises(KeyNotAuthorisedError) as caught:
        made.alice.client().renew(GUN)
    assert "--offline-part" in advice(caught.value)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        made.world.person("somebody without keys").client().renew(GUN, only=[roles.ROOT])
    assert "--offline-part" in advice(caught.value)
    client = made.alice.client()
    draft = client.parts.make(lambda: client.renew(GUN, only=[roles.ROOT])).document
    assert made.publish(made.signed(made.carol, draft))
    files = [
        str(made.certificate(person, f"new {person.trust_dir.name}")) for person in (made.bob, made.carol)
    ]
    draft = made.rotation(made.bob, key=[*files, made.keyid(made.alice)[:9]])
    review = made.carol.client().parts.read([draft])
    assert {one.kind for one in review.changes} == {"version", "certificate", "other"}
    assert [one.name for one in review.changes if one.kind == "other"] == 2 * ["a key that no role has"]
    assert made.publish(made.signed(made.carol, draft))
    made.alice.client().renew(GUN, only=[roles.TARGETS])
    made.world.clock.now += timedelta(days=51)
    made.world.person("new reader").client(first_use=False).refresh(GUN, root=made.pins)


def test_certificates_of_others_are_not_renewed_here(circle: Circle) -> None:
    alice = circle.alice.client()
    theirs = [circle.files["bob"].read_bytes()]
    alice.init(GUN, root_key="root", root_cert=theirs, root_threshold=1)
    circle.world.clock.now += timedelta(days=3600)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        circle.alice.client().renew(GUN)
    assert "certificates of keys that are not here" in "".join(caught.value.why)
    assert f"notarypy key certify {GUN}" in advice(caught.value)
    circle.alice.client().keys.rotate(
        GUN, roles.ROOT, key=[str(circle.certificate(person)) for person in (circle.alice, circle.bob)]
    )
    assert not circle.alice.client().status(GUN).due


def test_targets_gets_two_keys(made: Circle) -> None:
    public = made.world.base / "bob.pub"
    public.write_bytes(made.bob.key("bob"))
    [own] = made.alice.client().refresh(GUN).root.signers(roles.TARGETS)
    client, names = made.alice.client(), [own.canonical_id[:9], str(public)]
    draft = client.parts.make(lambda: client.keys.rotate(GUN, roles.TARGETS, key=names, threshold=2)).document
    with pytest.raises(KeyNotAuthorisedError):
        made.publish(draft)
    assert made.publish(made.signed(made.bob, draft))
    again = client.parts.make(lambda: client.add_signer("carol", GUN, [made.carol.key("carol")])).document
    assert made.publish(made.signed(made.bob, again))
    assert [entry.role for entry in made.carol.client().delegations(GUN)] == ["targets/carol", roles.RELEASES]


# -- attacks


def _above_keys(root: dict[str, Any]) -> None:
    root["roles"]["root"]["threshold"] = 4


def _no_keys_of_targets(root: dict[str, Any]) -> None:
    root["roles"]["targets"]["keyids"] = []


def _one_key_twice(root: dict[str, Any]) -> None:
    listed = root["roles"]["root"]["keyids"]
    root["roles"]["root"]["keyids"] = listed[:1] * 3


def _one_bare(root: dict[str, Any]) -> None:
    role = root["roles"]["targets"]["keyids"]
    root["roles"]["root"] = {"keyids": [root["roles"]["root"]["keyids"][0], *role], "threshold": 2}


def _jump(root: dict[str, Any]) -> None:
    root["version"] += 5


def _hidden(root: dict[str, Any]) -> None:
    root["roles"]["root"]["note"] = "of which nobody hears"


def _key_that_is_none(root: dict[str, Any]) -> None:
    root["keys"]["0" * 64] = {}


def _hidden_in_another_role(root: dict[str, Any]) -> None:
    root["roles"]["mirrors"] = {"keyids": None, "threshold": 1, "url": "a server drops it"}


def _id_twice(root: dict[str, Any]) -> None:
    root["roles"]["root"]["keyids"] *= 2


@pytest.mark.parametrize(
    "change",
    [
        _above_keys, _no_keys_of_targets, _one_key_twice, _one_bare, _jump, _hidden,
        _key_that_is_none, _hidden_in_another_role, _id_twice,
    ],
)  # fmt: skip
def test_a_draft_that_nobody_should_sign_is_refused_before_anybody_is_asked(
    made: Circle, change: Callable[[dict[str, Any]], None]
) -> None:
    draft = changed(made.rotation(made.alice, threshold=3), _in_root(change))
    with pytest.raises((UsageError, PartError, MetadataError)):
        made.bob.client().parts.read([draft])


def test_a_draft_that_was_changed_on_its_way_has_lost_its_signatures(made: Circle) -> None:
    def lower(root: dict[str, Any]) -> None:
        root["roles"]["root"]["threshold"] = 1

    draft = changed(made.rotation(made.alice, threshold=3), _in_root(lower))
    review = made.bob.client().parts.read([draft])
    assert [one.signed for one in review.required] == [(), ()]
    assert any(one.kind == "threshold" and one.after == "1" for one in review.changes)
    with pytest.raises(KeyNotAuthorisedError):
        made.publish(made.signed(made.bob, draft))


def test_a_signature_of_a_removed_key_counts_for_nothing(made: Circle) -> None:
    dave = made.world.person("dave")
    gone = made.keyid(made.carol)
    draft = made.rotation(made.alice, key=str(made.certificate(dave)), replaces=[gone[:9]])
    assert made.publish(made.signed(made.bob, draft))
    draft = made.rotation(made.alice, threshold=1)
    entry = {"keyid": gone, "method": "ecdsa", "sig": "AAAA"}
    forged = changed(draft, lambda part: part["files"]["root"]["signatures"].append(entry))
    with pytest.raises(KeyNotAuthorisedError):
        made.publish(forged)
    with pytest.raises(KeyNotAuthorisedError):
        made.signed(made.carol, draft)


def test_one_key_under_two_certificates_signs_once(made: Circle) -> None:
    again = made.certificate(made.alice, "again")
    draft = made.rotation(made.alice, key=[str(again)], replaces=[made.keyid(made.alice)[:9]])
    review = made.bob.client().parts.read([draft])
    assert [(one.former, len(one.signed), one.missing) for one in review.required] == [
        (True, 1, 1),
        (False, 1, 1),
    ]
    assert made.publish(made.signed(made.bob, draft))


def test_no_key_stands_twice_in_a_role_of_several(made: Circle) -> None:
    again = made.certificate(made.alice, "again")
    draft = made.rotation(made.alice, key=[str(again)], replaces=[made.keyid(made.alice)[:9]])

    def both(root: dict[str, Any]) -> None:
        old, new = (json.loads(draft)["base"]["root"], root)
        before = json.loads(old)["signed"]
        new["roles"]["root"]["keyids"] += before["roles"]["root"]["keyids"]

    with pytest.raises(UsageError, match="twice"):
        made.bob.client().parts.read([changed(draft, _in_root(both))])


def test_a_draft_on_an_older_root_is_refused(made: Circle) -> None:
    older = made.signed(made.bob, made.rotation(made.alice, threshold=3))
    assert made.publish(made.signed(made.carol, made.rotation(made.alice, threshold=1)))
    with pytest.raises(OutdatedPartError):
        made.publish(older)


def test_on_a_machine_without_a_network_the_root_below_is_the_pinned_one(made: Circle) -> None:
    draft = made.rotation(made.alice, threshold=1)
    client = made.bob.client(offline=True, first_use=False)
    with pytest.raises(RootNotPinnedError):
        client.parts.read([draft], root=made.keyid(made.bob))
    signed = made.signed(made.bob, draft, pins=made.pins)
    assert made.publish(signed)
