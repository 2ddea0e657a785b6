"""Two people on two machines sign one role, which takes the signatures of both."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from notarypy.client import workers
from notarypy.errors import (
    FirstUseError,
    KeyNotAuthorisedError,
    MetadataError,
    NotarypyError,
    NothingThereError,
    OutdatedPartError,
    PartError,
    RollbackError,
    RootNotPinnedError,
    UsageError,
)
from notarypy.tuf import roles
from notarypy.tuf.plan import LAST_VERSION
from support.author import GUN, NOW
from support.fakes import read_repository
from support.otherkeys import certificate, chain
from support.people import owned, publishing, released_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.people import Person, World

TEAM = "targets/team"
BOTH = [roles.RELEASES, TEAM]
YEAR = timedelta(days=365)
ISSUER = ec.derive_private_key(7, ec.SECP256R1())


def _ann_key(world: World) -> Path:
    return world.base / "ann.pem"


def _share(world: World, owner: Person) -> None:
    ann = world.person("ann").key("ann")
    _ann_key(world).write_bytes(ann)
    owner.client().add_signer("team", GUN, [ann, world.person("bob").key("bob")], threshold=2)
    world.push("1")


class Scene:
    """An owner, and Ann and Bob, who are the signer `team` together."""

    def __init__(self, world: World) -> None:
        self.world, self.owner = world, publishing(world, _share)
        self.ann, self.bob = world.person("ann"), world.person("bob")
        self.ann_key = _ann_key(world).read_bytes()

    def part(self, person: Person | None = None, tag: str = "1", signer: str | None = None) -> bytes:
        """Return what somebody makes to sign a tag."""
        client = (person or self.ann).client()
        return client.parts.make(lambda: client.sign([f"{GUN}:{tag}"], signer=signer)).document

    def signed(self, person: Person, *documents: bytes) -> bytes:
        """Return parts with somebody's signatures."""
        client = person.client()
        return client.parts.sign(client.parts.read(documents)).document

    def publish(self, *documents: bytes, by: Person | None = None) -> bool:
        """Publish parts as they are; tell whether that changed anything."""
        client = (by or self.owner).client()
        return client.parts.publish(client.parts.read(documents)).published

    def uploads(self) -> int:
        """Return how many updates were sent since the last call."""
        return sum(line.startswith("POST") for line in self.world.requests())


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def changed(document: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a part in which somebody changed something."""
    value = json.loads(document)
    change(value)
    return json.dumps(value).encode()


def test_one_signature_is_never_published_and_two_are(scene: Scene) -> None:
    scene.uploads()
    with pytest.raises(KeyNotAuthorisedError):
        scene.ann.client().sign([f"{GUN}:1"])
    half = scene.part()
    with pytest.raises(KeyNotAuthorisedError) as caught:
        scene.publish(half)
    missing = caught.value.facts["missing"]
    assert isinstance(missing, dict)
    assert sorted(missing) == sorted(BOTH)
    assert scene.uploads() == 0
    whole = scene.signed(scene.bob, half)
    assert scene.uploads() == 0
    assert scene.publish(whole, by=scene.bob)
    assert released_tags(scene.world) == {"1"}
    verified = scene.world.person("reader").client().verify(f"{GUN}:1")
    assert verified.signers == ("team",)


def test_who_published_already_hears_that_there_is_nothing_to_do(scene: Scene) -> None:
    whole = scene.signed(scene.bob, scene.part())
    assert scene.publish(whole)
    scene.uploads()
    assert not scene.publish(whole)
    assert scene.uploads() == 0


def test_signatures_that_were_made_side_by_side_are_joined(scene: Scene) -> None:
    proposal = scene.part(scene.owner, signer="team")
    review = scene.owner.client().parts.read([proposal])
    assert [(one.role, one.signed) for one in review.required] == [(role, ()) for role in BOTH]
    by_ann, by_bob = scene.signed(scene.ann, proposal), scene.signed(scene.bob, proposal)
    assert scene.publish(by_ann, by_bob, by_ann)
    assert released_tags(scene.world) == {"1"}


def test_what_is_shown_is_all_that_changes(scene: Scene) -> None:
    scene.publish(scene.signed(scene.bob, scene.part()))
    scene.world.push("1", "moved")
    client = scene.ann.client()
    review = client.parts.make(lambda: client.sign([f"{GUN}:1"]))
    shown = [(one.role, one.kind, one.name) for one in review.changes if one.role == TEAM]
    assert shown == [(TEAM, "version", ""), (TEAM, "tag", "1")]
    (version,) = (one for one in review.changes if (one.role, one.kind) == (TEAM, "version"))
    assert (version.before, version.after) == ("1", "2")


def test_what_others_do_while_a_part_is_made_is_published(scene: Scene) -> None:
    client, seen = scene.owner.client(), list[bool]()
    zoe, max_ = scene.bob.key("zoe"), scene.bob.key("max")

    def both() -> None:
        other = threading.Thread(target=lambda: seen.append(client.add_signer("zoe", GUN, [zoe]).published))
        other.start()
        other.join()
        workers.run_all([lambda: client.add_signer("max", GUN, [max_]), lambda: None])

    review = client.parts.make(both)
    assert seen == [True]
    assert [one.name for one in review.changes if one.kind == "delegation"] == ["targets/max"]
    assert {"targets/zoe"} == {*listed_ids(scene)} - {*BOTH}


def test_nothing_to_sign_is_said(scene: Scene) -> None:
    scene.publish(scene.signed(scene.bob, scene.part()))
    with pytest.raises(NothingThereError):
        scene.part()


def test_other_publishes_leave_a_part_good(scene: Scene) -> None:
    half = scene.part()
    scene.owner.client().add_signer("carol", GUN, [scene.world.person("carol").key("carol")], releases=False)
    assert scene.publish(scene.signed(scene.bob, half))


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.ROOT])
def test_other_keys_of_the_repository_leave_a_part_good(scene: Scene, role: str) -> None:
    half, keys = scene.part(), scene.owner.client().keys
    for _ in range(2):
        keys.rotate(GUN, role)
    whole = scene.signed(scene.bob, half)
    client = scene.owner.client()
    done = client.parts.publish(client.parts.read([whole]))
    assert (done.published, done.root_pins) == (True, client.refresh(GUN).root.pins)


def test_a_root_that_was_never_published_is_no_base(scene: Scene) -> None:
    forged = changed(scene.part(), another_root)
    scene.owner.client().keys.rotate(GUN, roles.ROOT)
    with pytest.raises(PartError, match="none of"):
        scene.bob.client().parts.read([forged])


def test_a_version_that_was_taken_meanwhile_is_said_and_sent_once(scene: Scene) -> None:
    carol, pair = scene.world.person("carol"), [scene.ann.key("ann2"), scene.bob.key("bob2")]

    def add(keys: list[bytes]) -> None:
        scene.owner.client().add_signer("pair", GUN, keys, threshold=len(keys), releases=False)

    add(pair)
    part = scene.signed(scene.bob, scene.part(signer="pair"))
    review = scene.owner.client().parts.read([part])
    scene.owner.client().remove_signer("pair", GUN, force=True)
    add([carol.key("carol")])
    carol.client().sign([f"{GUN}:1"], signer="pair")
    scene.owner.client().remove_signer("pair", GUN, force=True)
    add(pair)
    scene.uploads()
    for act in (lambda: scene.owner.client().parts.publish(review), lambda: scene.publish(part)):
        with pytest.raises(OutdatedPartError, match="not the next version"):
            act()
    assert scene.uploads() == 1


def test_a_part_on_an_older_state_is_refused(scene: Scene) -> None:
    scene.world.push("2")
    first, second = scene.part(), scene.part(tag="2")
    scene.publish(scene.signed(scene.bob, first))
    for act in (scene.publish, lambda part: scene.signed(scene.bob, part)):
        with pytest.raises(OutdatedPartError) as caught:
            act(second)
        assert caught.value.facts["roles"] == sorted(BOTH)


def test_a_part_of_keys_that_are_gone_is_refused(scene: Scene) -> None:
    whole = scene.signed(scene.bob, scene.part())
    keyid = scene.bob.client().keys.list()[0].keyid
    scene.owner.client().add_signer("team", GUN, [scene.world.person("carol").key("carol")], threshold=2)
    scene.owner.client().remove_signer("team", GUN, key=keyid)
    with pytest.raises(OutdatedPartError):
        scene.publish(whole)


def test_a_signer_who_comes_back_goes_on_above_the_versions_before(scene: Scene) -> None:
    scene.publish(scene.signed(scene.bob, scene.part()))
    keys = [person.client().keys.public(person.trust_dir.name) for person in (scene.ann, scene.bob)]
    scene.owner.client().remove_signer("team", GUN, force=True, tags="revoke")
    client = scene.owner.client()  # whose key keeps the empty list of releases meanwhile
    back = client.parts.make(lambda: client.add_signer("team", GUN, keys, threshold=2)).document
    assert scene.publish(scene.signed(scene.ann, back))
    scene.world.push("2")
    part = scene.part(tag="2")
    assert json.loads(part)["files"][TEAM]["signed"]["version"] == 2
    assert scene.publish(scene.signed(scene.bob, part))
    assert released_tags(scene.world) == {"2"}


# -- thresholds


def test_releases_take_as_many_signatures_as_the_signer(scene: Scene) -> None:
    entries = {entry.role: entry.threshold for entry in scene.owner.client().delegations(GUN)}
    assert entries == {TEAM: 2, roles.RELEASES: 2}


def test_no_threshold_is_above_the_keys(scene: Scene) -> None:
    scene.uploads()
    for name, keys in (("team", []), ("new", [scene.ann.key("other")])):
        with pytest.raises(UsageError):
            scene.owner.client().add_signer(name, GUN, keys, threshold=3)
    assert scene.uploads() == 0


def test_the_same_key_twice_is_one_key(scene: Scene) -> None:
    key = scene.ann.key("twice")
    with pytest.raises(UsageError):
        scene.owner.client().add_signer("new", GUN, [key, key], threshold=2)


def test_no_signer_takes_two_where_others_release_alone(world: World) -> None:
    owner = owned(world, "jeff")
    keys = [world.person(name).key(name) for name in ("ann", "bob")]
    with pytest.raises(UsageError) as caught:
        owner.client().add_signer("team", GUN, keys, threshold=2)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "raise-releases"
    added = owner.client().add_signer("team", GUN, keys, threshold=2, releases=False)
    assert (added.published, added.threshold) == (True, 2)


def test_a_threshold_that_rises_takes_the_signatures_at_once(scene: Scene) -> None:
    scene.owner.client().add_signer("team", GUN, [], threshold=1)
    scene.ann.client().sign([f"{GUN}:1"])
    with pytest.raises(KeyNotAuthorisedError) as caught:
        scene.owner.client().add_signer("team", GUN, [], threshold=2)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "sign-in-parts"
    client = scene.owner.client()
    part = client.parts.make(lambda: client.add_signer("team", GUN, [], threshold=2)).document
    assert scene.publish(scene.signed(scene.bob, scene.signed(scene.ann, part)))
    assert {entry.threshold for entry in scene.owner.client().delegations(GUN)} == {2}
    assert released_tags(scene.world) == {"1"}


def test_those_who_stay_sign_again_in_parts(scene: Scene) -> None:
    """A key of several goes: neither force nor lost tags, for the others can sign."""
    scene.publish(scene.signed(scene.bob, scene.part()))
    carol = scene.world.person("carol")
    scene.owner.client().add_signer("team", GUN, [carol.key("carol")])
    scene.owner.client().add_signer("zoe", GUN, [carol.key("zoe")], releases=False)
    ann = scene.ann.client().keys.list()[0].keyid
    client = scene.owner.client()
    removals: list[Callable[[], object]] = [
        lambda: client.remove_signer("team", GUN, key=ann, tags="keep"),
        lambda: client.keys.purge(ann, GUN, tags="keep"),
    ]
    for remove in removals:
        with pytest.raises(KeyNotAuthorisedError) as caught:
            remove()
        assert caught.value.facts["needed"] == ["team"]
        assert caught.value.advice is not None
        assert caught.value.advice.name == "sign-in-parts"
    part = client.parts.make(removals[1]).document
    assert scene.publish(scene.signed(carol, scene.signed(scene.bob, part)))
    assert released_tags(scene.world) == {"1"}


def certified(public: bytes) -> bytes:
    """Return a certificate of a public key."""
    return chain(certificate(load_pem_public_key(public), ISSUER, ("ann",), NOW - YEAR, NOW + YEAR))  # type: ignore[arg-type]


def listed_ids(scene: Scene) -> dict[str, tuple[str, ...]]:
    """Return the ids under which roles list keys, as docker and Go notary count them."""
    listed = read_repository(scene.world.fake).targets[roles.TARGETS].roles
    return {entry.name: entry.keyids for entry in listed}


@pytest.mark.parametrize("name", ["team", "ann", roles.RELEASES])
def test_nobody_is_two_people_with_a_certificate_of_their_key(scene: Scene, name: str) -> None:
    before = listed_ids(scene)
    done = scene.owner.client().add_signer(name, GUN, [certified(scene.ann_key)])
    after = listed_ids(scene)
    assert {role: after[role] for role in before} == before
    assert done.published == (name == "ann")
    assert "it is not listed twice" in scene.owner.warnings[-1]
    scene.part(scene.ann)


def test_a_key_that_is_given_twice_counts_once(scene: Scene) -> None:
    keys = [scene.bob.key("new"), scene.ann_key, certified(scene.ann_key)]
    done = scene.owner.client().add_signer("three", GUN, keys, threshold=2, releases=False)
    assert len(listed_ids(scene)["targets/three"]) == len(done.keys) == 2
    with pytest.raises(UsageError):
        scene.owner.client().add_signer("three", GUN, [], threshold=3)


def test_a_threshold_that_rises_leaves_one_id_of_each_key(scene: Scene) -> None:
    scene.owner.client().add_signer("team", GUN, [], threshold=1)
    before = listed_ids(scene)
    scene.owner.client().add_signer("team", GUN, [certified(scene.ann_key)])
    assert [len(ids) for ids in listed_ids(scene).values()] == [3, 3]
    for role in before:
        scene.owner.client().add_signer(role, GUN, [], threshold=2)
    assert listed_ids(scene) == before


def test_no_key_goes_that_the_threshold_takes(scene: Scene) -> None:
    keyid = scene.bob.client().keys.list()[0].keyid
    for remove in (
        lambda: scene.owner.client().remove_signer("team", GUN, key=keyid),
        lambda: scene.owner.client().keys.purge(keyid, GUN),
    ):
        with pytest.raises(UsageError) as caught:
            remove()
        assert caught.value.advice is not None
        assert caught.value.advice.name == "add-key-before"
        assert caught.value.advice.values == {"name": "team", "gun": GUN}
    scene.owner.client().add_signer("team", GUN, [], threshold=1)
    assert scene.owner.client().remove_signer("team", GUN, key=keyid).published


# -- what strangers put into a part


def other_content(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["targets"]["1"]["length"] = 7


def a_member_more(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["note"] = "nobody sees it"


def a_version_far_ahead(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["version"] = LAST_VERSION


def a_version_beyond(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["version"] = LAST_VERSION + 1


def a_timestamp(part: dict[str, Any]) -> None:
    part["files"]["timestamp"] = part["files"][TEAM]


def no_root(part: dict[str, Any]) -> None:
    del part["base"]["root"]


def another_root(part: dict[str, Any]) -> None:
    part["base"]["root"] = part["base"]["root"].replace("2036", "2037")


def another_targets(part: dict[str, Any]) -> None:
    part["base"]["targets"] = part["base"]["targets"].replace('threshold\\":2', 'threshold\\":1')
    part["base"]["targets"] = part["base"]["targets"].replace('"threshold":2', '"threshold":1')


def another_repository(part: dict[str, Any]) -> None:
    part["gun"] = "registry.test/team/other"


def a_tag_of_it(part: dict[str, Any]) -> None:
    part["gun"] += ":1"


def a_role_of_nobody(part: dict[str, Any]) -> None:
    part["files"]["targets/nobody"] = part["files"][TEAM]


def deep(part: dict[str, Any]) -> None:
    value: list[Any] = []
    for _ in range(70):
        value = [value]
    part["files"][TEAM]["signed"]["targets"]["1"]["custom"] = value


def a_name_with_control_characters(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["targets"]["a\nb"] = part["files"][TEAM]["signed"]["targets"]["1"]


def many_signatures(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signatures"] *= 65


def a_key_that_is_none(part: dict[str, Any]) -> None:
    part["files"][TEAM]["signed"]["delegations"]["keys"]["0" * 64] = None


def a_key_with_more(part: dict[str, Any]) -> None:
    entry = {"keytype": "new", "keyval": {"private": None, "public": "QQ=="}, "note": "a server drops it"}
    part["files"][TEAM]["signed"]["delegations"]["keys"]["0" * 64] = entry


def another_form(part: dict[str, Any]) -> None:
    part["part"] = 2


def nothing(part: dict[str, Any]) -> None:
    part["files"] = {}


HOSTILE = [
    a_member_more, a_version_far_ahead, a_version_beyond, a_timestamp, no_root, another_root,
    another_targets, a_tag_of_it,
    another_repository, a_role_of_nobody, deep, a_name_with_control_characters, many_signatures,
    another_form, nothing, a_key_that_is_none, a_key_with_more,
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
@pytest.mark.parametrize("offline", [False, True])
def test_nobody_is_shown_or_signs_what_is_not_right(
    scene: Scene, change: Callable[[dict[str, Any]], object], offline: bool
) -> None:
    part = changed(scene.part(), change)
    scene.bob.client().refresh(GUN)
    with pytest.raises(NotarypyError) as caught:
        scene.bob.client(offline=offline).parts.read([part])
    assert caught.value.exit_code in {2, 3, 4, 9, 11}


def test_other_content_under_the_same_signatures_has_none(scene: Scene) -> None:
    part = changed(scene.part(), other_content)
    client = scene.bob.client()
    review = client.parts.read([part])
    assert {one.role: one.signed for one in review.required}[TEAM] == ()
    with pytest.raises(PartError):
        client.parts.read([scene.part(), part])
    with pytest.raises(KeyNotAuthorisedError):
        client.parts.publish(client.parts.sign(review))


def test_a_signature_of_somebody_else_counts_for_nothing(scene: Scene) -> None:
    half = scene.part()
    mallory = scene.world.person("mallory")
    mallory.key("mallory")
    client = mallory.client()
    with pytest.raises(KeyNotAuthorisedError):
        client.parts.sign(client.parts.read([half]))

    def borrowed(part: dict[str, Any]) -> None:
        (mine,) = part["files"][TEAM]["signatures"]
        part["files"][TEAM]["signatures"].append({**mine, "keyid": "0" * 64})

    review = client.parts.read([changed(half, borrowed)])
    assert len(review.part.files[TEAM].signatures) == 1
    with pytest.raises(KeyNotAuthorisedError):
        client.parts.publish(review)


def test_the_same_signature_twice_is_one(scene: Scene) -> None:
    def doubled(part: dict[str, Any]) -> None:
        for file in part["files"].values():
            file["signatures"] *= 2

    with pytest.raises(KeyNotAuthorisedError):
        scene.publish(changed(scene.part(), doubled))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"part":1,"part":1}', b"\xff", b"{" * 300, b"null"])
def test_what_is_no_part_is_refused(scene: Scene, data: bytes) -> None:
    with pytest.raises(MetadataError):
        scene.bob.client().parts.read([data])


# -- without a network


def test_a_machine_that_knows_the_root_signs_without_a_network(scene: Scene) -> None:
    half = scene.part()
    scene.bob.client().refresh(GUN)
    scene.world.requests()
    client = scene.bob.client(offline=True)
    review = client.parts.read([half])
    whole = client.parts.sign(review)
    assert (review.fresh, whole.missing, scene.world.requests()) == (False, (), [])
    assert scene.publish(whole.document)


def test_a_machine_that_knows_nothing_takes_a_pin(scene: Scene) -> None:
    half = scene.part()
    pin = scene.owner.client().refresh(GUN).root.pins[0]
    nobody = scene.bob.client(offline=True, first_use=False)
    with pytest.raises(FirstUseError) as caught:
        nobody.parts.read([half])
    assert any("the file that is to be signed has" in line for line in caught.value.why)
    with pytest.raises(RootNotPinnedError):
        nobody.parts.read([half], root="0" * 64)
    assert not nobody.parts.sign(nobody.parts.read([half], root=pin)).missing


def test_a_pin_counts_on_a_machine_that_knows_the_root(scene: Scene) -> None:
    half = scene.part()
    pin = scene.bob.client().refresh(GUN).root.pins[0]
    client = scene.bob.client(offline=True)
    with pytest.raises(RootNotPinnedError):
        client.parts.read([half], root="0" * 64)
    with pytest.raises(RootNotPinnedError):
        scene.bob.client().parts.read([half], root="0" * 64)
    assert client.parts.read([half], root=pin).missing


def test_a_machine_that_knows_newer_files_signs_nothing_older(scene: Scene) -> None:
    half = scene.part()
    scene.publish(scene.signed(scene.bob, scene.part()))
    scene.world.push("2")
    scene.publish(scene.signed(scene.bob, scene.part(tag="2")))
    scene.bob.client().refresh(GUN)
    with pytest.raises(RollbackError):
        scene.bob.client(offline=True).parts.read([half])


# -- what is signed, and by whom for the first time


@pytest.mark.parametrize(
    "entry",
    [
        {"length": -5, "hashes": {"sha256": "A" * 43 + "="}},
        {"length": "5", "hashes": {"sha256": "A" * 43 + "="}},
        {"length": 5, "hashes": {"md5": "AAAA"}},
        {"length": 5, "hashes": {"sha256": "AAAA"}},
        "text",
        None,
    ],
)
def test_a_tag_without_content_is_refused(scene: Scene, entry: object) -> None:
    def put(part: dict[str, Any]) -> None:
        part["files"][TEAM]["signed"]["targets"]["2"] = entry

    with pytest.raises((PartError, MetadataError)):
        scene.bob.client().parts.read([changed(scene.part(), put)])


def test_a_number_in_another_form_is_the_number_that_is_signed(scene: Scene) -> None:
    def put(part: dict[str, Any]) -> None:
        entry = part["files"][TEAM]["signed"]["targets"]["1"]
        entry["length"] = float(entry["length"])

    half = scene.part()
    client = scene.bob.client()
    other = client.parts.read([changed(half, put)])
    assert (other.changes, other.document) == (client.parts.read([half]).changes, half)


def test_whoever_signs_a_list_first_is_shown_what_stays_in_it(scene: Scene) -> None:
    scene.publish(scene.signed(scene.bob, scene.part()))
    carol = scene.world.person("carol")
    scene.owner.client().add_signer("team", GUN, [carol.key("carol")], threshold=2)
    scene.world.push("2")
    half = scene.part(tag="2")

    def tags(person: Person) -> list[tuple[str, bool]]:
        found = person.client().parts.read([half]).changes
        return [(one.name, one.before == one.after) for one in found if (one.role, one.kind) == (TEAM, "tag")]

    assert (tags(scene.bob), tags(carol)) == ([("2", False)], [("2", False), ("1", True)])


def test_who_joins_a_copy_of_what_others_published_hears_that_it_is_there(scene: Scene) -> None:
    half = scene.part()
    assert scene.publish(scene.signed(scene.bob, half))
    assert not scene.publish(half)


@pytest.mark.parametrize("form", [True, 1.0])
def test_a_form_is_a_whole_number(scene: Scene, form: object) -> None:
    with pytest.raises(MetadataError):
        scene.bob.client().parts.read([changed(scene.part(), lambda part: part.update(part=form))])
