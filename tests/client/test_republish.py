"""What a Notary server lost is published again: by the rules of `client.publish.republishing`."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.publish import republishing
from notarypy.devserver.stores import MetadataStore, ServerKeys
from notarypy.errors import (
    Advice,
    ConfirmationNeededError,
    KeyNotAuthorisedError,
    NetworkError,
    NothingThereError,
    OperationError,
    RefusedUpdateError,
    RepositoryVanishedError,
    RollbackError,
    RootChangedError,
    UnknownOutcomeError,
    VerificationError,
)
from notarypy.limits import DEFAULT
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from notarypy.values import replace
from support.author import GUN
from support.people import copy_of, publishing, released_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.publish.republishplan import RepublishPlan
    from notarypy.remote.http.messages import Request
    from support.people import Person, World

ALL = ("root", "targets", "targets/jeff", "targets/releases")


def _release(world: World, owner: Person) -> None:
    for tag in ("1", "2"):
        world.push(tag)
        owner.client().sign([f"{GUN}:{tag}"])


@pytest.fixture
def owner(world: World) -> Person:
    """Return the owner of a repository with two signed tags."""
    return publishing(world, _release, "jeff")


@pytest.fixture
def reader(world: World, owner: Person) -> Person:  # noqa: ARG001 - there has to be something to read
    """Return somebody who has read it."""
    reader = world.person("one who has read it")
    reader.client().verify(f"{GUN}:1")
    return reader


def wipe(world: World, *, keys: bool = True) -> None:
    """Make the server a new one, with keys of its own or with those it had."""
    notary = world.fake.notary
    notary.store = MetadataStore()
    if keys:
        seed = iter(range(100, 200))
        notary.keys = ServerKeys(lambda count: bytes([next(seed)]) * count)


def yes(_: RepublishPlan) -> bool:
    """Agree to anything."""
    return True


def posts(world: World) -> int:
    return world.requests().count("POST")


def test_rule_1_where_nothing_is_lost_nothing_is_sent(world: World, owner: Person) -> None:
    done = owner.client().upkeep.republish(GUN, agree=yes)
    assert (done.published, done.roles, done.root_version) == (False, (), 1)
    assert posts(world) == 0


def test_a_wiped_server_has_everything_again_and_readers_notice_nothing(
    world: World, owner: Person, reader: Person
) -> None:
    pins = owner.client().offered_root(GUN).trusted
    before = owner.cache()
    wipe(world)
    with pytest.raises(RepositoryVanishedError):
        reader.client().verify(f"{GUN}:1")
    plans: list[RepublishPlan] = []
    done = owner.client().upkeep.republish(GUN, agree=lambda plan: not plans.append(plan))  # type: ignore[func-returns-value]
    assert (done.published, done.roles, done.root_version, done.behind) == (True, ALL, 2, 0)
    assert (done.renewed, done.lost, [(plan.lost, plan.server_keys) for plan in plans]) == (
        (),
        (),
        [((), done.server_keys)],
    )
    signers = owner.client().refresh(GUN).root
    assert done.server_keys == {
        role: signers.signers(role)[0].canonical_id for role in (roles.TIMESTAMP, roles.SNAPSHOT)
    }
    assert done.root_pins == pins
    assert done.known_of is not None
    for somebody in (reader, owner, world.person("new")):
        somebody.client(pins=pins).verify(f"{GUN}:2")
    assert {role: owner.cache()[role] for role in ALL[1:]} == {role: before[role] for role in ALL[1:]}
    world.push("3")
    owner.client().sign([f"{GUN}:3"])
    assert released_tags(world) == {"1", "2", "3"}


def test_rule_3_a_server_that_has_its_keys_gets_the_same_root(
    world: World, owner: Person, reader: Person
) -> None:
    root = owner.cache()["root"]
    wipe(world, keys=False)
    done = owner.client().upkeep.republish(GUN, agree=yes)
    assert (done.root_version, done.server_keys) == (1, {})
    assert world.attacker.current(GUN, roles.ROOT) == root
    reader.client().verify(f"{GUN}:1")


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("snapshot", ["server", "local"])
def test_rule_4_later_roots_come_one_after_the_other(
    world: World, owner: Person, reader: Person, snapshot: str, *, keys: bool
) -> None:
    for _ in range(2):
        owner.client().keys.rotate(GUN, roles.TARGETS)
    if snapshot == "local":
        owner.client().keys.rotate(GUN, roles.SNAPSHOT)
    known = owner.client().refresh(GUN)
    wipe(world, keys=keys)
    done = owner.client().upkeep.republish(GUN, agree=yes)
    assert done.root_version == known.root.version + keys
    trusted = reader.client().refresh(GUN)
    assert trusted.timestamp.version > known.timestamp.version
    assert trusted.snapshot.version > known.snapshot.version
    assert reader.client().verify(f"{GUN}:2").signers == ("jeff",)


def test_rule_4_readers_of_an_earlier_root_key_follow_where_that_key_is_here(
    world: World, owner: Person, reader: Person
) -> None:
    owner.client().keys.rotate(GUN, roles.ROOT)
    wipe(world)
    owner.client().upkeep.republish(GUN, agree=yes)
    reader.client().verify(f"{GUN}:1")


def test_rule_5_versions_are_counted_up_past_what_is_known(world: World, owner: Person) -> None:
    known = owner.client().refresh(GUN)
    wipe(world)
    owner.client().upkeep.republish(GUN, agree=yes)
    now = world.person("new").client().refresh(GUN)
    assert now.timestamp.version == known.timestamp.version + 1
    assert now.snapshot.version == known.snapshot.version + 1


def test_rule_5_not_without_an_end(
    world: World, owner: Person, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(republishing, "MOST_UPDATES", 1)
    wipe(world)
    assert owner.client().upkeep.republish(GUN, agree=yes).behind > 1
    reader.client().verify(f"{GUN}:1")


def test_a_server_from_an_old_backup_is_brought_up(world: World, owner: Person) -> None:
    notary = world.fake.notary
    backup = deepcopy(notary.store)
    world.push("3")
    owner.client().sign([f"{GUN}:3"])
    owner.client().keys.rotate(GUN, roles.TARGETS)
    reader = world.person()
    reader.client().verify(f"{GUN}:3")
    notary.store = backup
    with pytest.raises(VerificationError):
        reader.client().verify(f"{GUN}:3")
    done = owner.client().upkeep.republish(GUN, agree=yes)
    assert done.roles == ALL
    reader.client().verify(f"{GUN}:3")
    assert released_tags(world) == {"1", "2", "3"}


def test_what_another_publisher_knows_beyond_that_is_added_by_him(world: World, owner: Person) -> None:
    jeff = copy_of(world, owner)
    world.push("3")
    jeff.client().sign([f"{GUN}:3"])
    wipe(world)
    owner.client().upkeep.republish(GUN, agree=yes)
    with pytest.raises(RollbackError):
        jeff.client().sign([f"{GUN}:3"])
    done = jeff.client().upkeep.republish(GUN, agree=yes)
    assert done.roles == ("targets/jeff", "targets/releases")
    assert released_tags(world) == {"1", "2", "3"}
    owner.client().verify(f"{GUN}:3")


def test_rule_6_what_was_interrupted_goes_on(world: World, owner: Person, reader: Person) -> None:
    for _ in range(3):
        owner.client().keys.rotate(GUN, roles.TARGETS)
    wipe(world)
    for taken in (2, 0):
        seen = iter(range(100))

        def fails(request: Request, taken: int = taken, seen: object = seen) -> Response | None:
            if request.method == "POST" and next(seen) > taken:  # type: ignore[call-overload]
                raise NetworkError("the connection was lost")
            return None

        world.fake.before.append(fails)
        with pytest.raises(NetworkError):
            owner.client().upkeep.republish(GUN, agree=yes)
        world.fake.before.remove(fails)
    owner.client().upkeep.republish(GUN, agree=yes)
    reader.client().verify(f"{GUN}:1")


def test_nothing_here_is_nothing_to_publish(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    with pytest.raises(NothingThereError):
        other.client().upkeep.republish(GUN, agree=yes)


def test_a_strangers_root_is_refused(world: World, owner: Person) -> None:
    wipe(world)
    world.person("mallory").client().init(GUN)
    world.requests()
    with pytest.raises(RootChangedError):
        owner.client().upkeep.republish(GUN, agree=yes)
    assert posts(world) == 0


def test_without_the_root_key_nothing_is_sent_that_stays(world: World, owner: Person) -> None:
    root = next(key for key in owner.client().keys.list() if key.role == roles.ROOT)
    owner.client().keys.remove(root.keyid, force=True)
    wipe(world)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().upkeep.republish(GUN, agree=yes)
    assert caught.value.advice == Advice("republish-with-keys", gun=GUN)
    assert world.fake.notary.store.roles(GUN) == []


def test_what_is_not_all_here_cannot_be_published_again(world: World, owner: Person) -> None:
    owner.cached("snapshot").unlink()
    wipe(world)
    with pytest.raises(NothingThereError, match="not all"):
        owner.client().upkeep.republish(GUN)


@pytest.mark.parametrize("role", ["targets", "targets/releases"])
def test_rule_2_what_was_changed_here_is_not_sent(world: World, owner: Person, role: str) -> None:
    path = owner.cached(role)
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":1'))
    wipe(world)
    with pytest.raises((VerificationError, NothingThereError)):
        owner.client().upkeep.republish(GUN, agree=yes)
    assert world.fake.notary.store.roles(GUN) == []


def test_another_file_of_the_same_version_is_an_alarm(world: World, owner: Person) -> None:
    jeff = copy_of(world, owner)
    jeff.client().verify(f"{GUN}:1")
    backup = deepcopy(world.fake.notary.store)
    for somebody, tag in ((owner, "3"), (jeff, "4")):
        world.fake.notary.store = deepcopy(backup)
        world.push(tag)
        somebody.client().sign([f"{GUN}:{tag}"])
    with pytest.raises(RollbackError, match="another targets"):
        owner.client().upkeep.republish(GUN, agree=yes)
    jeff.client().sign([f"{GUN}:1"], custom=b"{}")
    owner.client().sign([f"{GUN}:3"])
    assert released_tags(world) == {"1", "2", "3", "4"}


def test_rule_2_what_has_ended_is_signed_again_where_its_keys_are(
    world: World, owner: Person, reader: Person
) -> None:
    wipe(world)
    world.clock.advance(timedelta(days=4 * 365))
    done = owner.client().upkeep.republish(GUN, agree=yes)
    assert (done.roles, done.renewed) == (ALL, ALL[1:])
    reader.client().verify(f"{GUN}:1")
    assert reader.client().refresh(GUN).targets[roles.TARGETS].version == 3


def test_what_has_ended_the_server_does_not_take(world: World, owner: Person) -> None:
    [key] = [key for key in owner.client().keys.list() if key.role == roles.TARGETS]
    owner.client().keys.remove(key.keyid, force=True)
    wipe(world)
    world.clock.advance(timedelta(days=4 * 365))
    with pytest.raises(RefusedUpdateError):
        owner.client().upkeep.republish(GUN, agree=yes)


@pytest.mark.parametrize("agree", [None, lambda _: False])
def test_rule_3_no_new_keys_of_the_server_without_a_word(
    world: World, owner: Person, agree: Callable[[RepublishPlan], bool] | None
) -> None:
    wipe(world)
    with pytest.raises(ConfirmationNeededError) as caught:
        owner.client().upkeep.republish(GUN, agree=agree)
    assert world.fake.notary.store.roles(GUN) == []
    assert ("a new root of" in "".join(caught.value.why)) == (agree is None)


def test_rule_4_not_more_roots_than_readers_follow(world: World, owner: Person) -> None:
    for _ in range(3):
        owner.client().keys.rotate(GUN, roles.TARGETS)
    wipe(world)
    client = owner.client(limits=replace(DEFAULT, root_versions=3))
    with pytest.raises(OperationError, match="takes 4 roots"):
        client.upkeep.republish(GUN, agree=yes)


def diverged(world: World, owner: Person, *, ahead: int = 1) -> Person:
    """Put back an old backup of the server, to which somebody signs; the owner knows other tags beyond it."""
    jeff = copy_of(world, owner)
    jeff.client().verify(f"{GUN}:1")
    backup = deepcopy(world.fake.notary.store)
    for number in range(2):
        world.push(f"3{number}")
        owner.client().sign([f"{GUN}:3{number}"])
        owner.client().keys.rotate(GUN, roles.TARGETS)
    world.fake.notary.store = backup
    for number in range(ahead):
        world.push(f"4{number}")
        jeff.client().sign([f"{GUN}:4{number}"])
    world.requests()
    return jeff


@pytest.mark.parametrize("snapshot", ["server", "local"])
def test_rule_7_what_others_signed_meanwhile_is_not_taken_in_silence(
    world: World, owner: Person, reader: Person, snapshot: str
) -> None:
    if snapshot == "local":
        owner.client().keys.rotate(GUN, roles.SNAPSHOT)
        reader.client().verify(f"{GUN}:1")
    diverged(world, owner)
    digest, tags = world.push("40"), {"1", "2", "40"}
    with pytest.raises(RollbackError, match="would lose it") as caught:
        owner.client().upkeep.republish(GUN, agree=yes)
    lost = [f"targets/{role}: tag 40: {digest}, and nothing here" for role in ("jeff", "releases")]
    assert caught.value.facts["lost"] == lost
    for agree in (None, lambda _: False):
        with pytest.raises(ConfirmationNeededError):
            owner.client().upkeep.republish(GUN, over=True, agree=agree)
    assert (posts(world), released_tags(world)) == (0, tags)
    done = owner.client().upkeep.republish(GUN, over=True, agree=yes)
    assert list(done.lost) == lost
    assert released_tags(world) == {"1", "2", "30", "31"}
    owner.client().sign([f"{GUN}:40"])
    reader.client().verify(f"{GUN}:40")


def test_rule_7_a_newer_file_is_an_alarm(world: World, owner: Person) -> None:
    diverged(world, owner, ahead=3)
    with pytest.raises(RollbackError, match="another targets"):
        owner.client().upkeep.republish(GUN, over=True, agree=yes)
    assert posts(world) == 0


def test_rule_7_a_signer_that_others_added_is_not_taken_in_silence(world: World, owner: Person) -> None:
    other, backup = copy_of(world, owner), deepcopy(world.fake.notary.store)
    for name in ("ann", "eve"):
        owner.client().add_signer(name, GUN, [owner.key(name)])
    world.fake.notary.store = backup
    other.client().add_signer("bob", GUN, [other.key("bob")])
    with pytest.raises(RollbackError, match="would lose it") as caught:
        owner.client().upkeep.republish(GUN, agree=yes)
    assert "'targets: delegation targets/bob: " in str(caught.value.facts["lost"])
    owner.client().upkeep.republish(GUN, over=True, agree=yes)
    assert "targets/bob" not in world.person("new").client().refresh(GUN).targets


@pytest.mark.parametrize("snapshot", ["server", "local"])
def test_what_the_server_has_beyond_what_is_sent_stays(world: World, owner: Person, snapshot: str) -> None:
    if snapshot == "local":
        owner.client().keys.rotate(GUN, roles.SNAPSHOT)
    owner.client().add_signer("ann", GUN, [owner.key("ann")], releases=False)
    other, backup = copy_of(world, owner), deepcopy(world.fake.notary.store)
    for content in (b"1", b"2"):
        owner.client().sign([f"{GUN}:1"], signer="ann", custom=content)
    world.fake.notary.store = backup
    world.push("7")
    other.client().sign([f"{GUN}:7"], signer="jeff")
    done = owner.client().upkeep.republish(GUN)
    assert (done.roles, done.lost) == (("targets/ann",), ())
    assert released_tags(world) == {"1", "2", "7"}
    assert "1" in world.person("new").client().refresh(GUN).targets["targets/ann"].targets


def test_rule_7_what_cannot_be_verified_counts_as_lost(world: World, owner: Person) -> None:
    backup = deepcopy(world.fake.notary.store)
    world.push("3")
    owner.client().sign([f"{GUN}:3"])
    world.fake.notary.store = backup
    other = world.attacker.current(GUN, roles.TARGETS)
    world.attacker.answer(Response(200, body=other), path=r".*timestamp\.json.*")
    with pytest.raises(RollbackError) as caught:
        owner.client().upkeep.republish(GUN, agree=yes)
    assert "what nobody can verify" in str(caught.value.facts["lost"])


def test_an_answer_that_is_lost_is_said(world: World, owner: Person) -> None:
    wipe(world)
    world.attacker.lose_answers(method="POST")
    with pytest.raises(UnknownOutcomeError):
        owner.client(retry_for=0).upkeep.republish(GUN, agree=yes)
