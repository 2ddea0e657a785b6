"""Staged changes beside other publishers, lost answers, and files that are no longer trusted."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from notarypy import StagedContent, system
from notarypy.errors import (
    AuthenticationError,
    KeyNotAuthorisedError,
    NetworkError,
    SignatureError,
    StorageError,
)
from notarypy.remote.http.messages import Response
from notarypy.storage.changelist import Changelist
from notarypy.tuf import roles
from notarypy.tuf.changes import State
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import PublicKey
from support.author import GUN
from support.people import copy_of, owned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from notarypy.client.stagingapi import Staging
    from support.people import Person, World

TEAM = "targets/team"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff", "bob")


def staging(person: Person) -> Staging:
    return person.client(gun=True).staging


def content(text: str) -> StagedContent:
    return StagedContent(len(text), hashlib.sha256(text.encode()).digest())


def files(person: Person) -> list[str]:
    return [one.file for one in staging(person).list(GUN)]


def notes(person: Person) -> list[Path]:
    """Return the notes of what was sent."""
    return list((person.trust_dir / "tuf").glob(".notarypy-*.sent"))


def read(world: World, name: str = "reader") -> State:
    """Return the repository as somebody reads it who has no key."""
    return State.of(world.person(name).client().refresh(GUN))


def listed(world: World, role: str = roles.TARGETS) -> set[str]:
    return set(read(world).targets[role].targets)


def keyid(public: bytes) -> str:
    return PublicKey.from_pem(public).canonical_id


def with_team(owner: Person, *keys: bytes) -> None:
    """Publish a role of these keys that lists `a`."""
    staging(owner).add_delegation(GUN, TEAM, keys, [""])
    staging(owner).add_target(GUN, "a", content("a"), roles=[TEAM])
    staging(owner).publish(GUN)


# -- others publish, too


def test_who_loses_a_race_tries_again_on_what_is_there_then(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    staging(owner).add_target(GUN, "ours", content("x"))
    staging(other).add_target(GUN, "theirs", content("y"))
    world.attacker.before_upload(lambda: staging(other).publish(GUN))
    done = staging(owner).publish(GUN)
    assert done.uploaded == ("targets",)
    assert listed(world) == {"ours", "theirs"}
    assert files(owner) == []


def test_what_is_staged_meanwhile_stays(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    world.attacker.before_upload(lambda: staging(owner).add_target(GUN, "2", content("x")))
    done = staging(owner).publish(GUN)
    assert [one.path for one in done.published] == ["1"]
    assert [one.path for one in staging(owner).list(GUN)] == ["2"]
    assert listed(world) == {"1"}


def test_two_who_publish_one_changelist_publish_it_once(world: World, owner: Person) -> None:
    staging(owner).witness(GUN, ["targets"])
    version = read(world).targets["targets"].version
    second: list[int] = []

    def publish_too() -> None:
        def run() -> None:
            second.append(len(staging(owner).publish(GUN).published))

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)

    threads: list[threading.Thread] = []
    world.attacker.before_upload(publish_too)
    assert len(staging(owner).publish(GUN).published) == 1
    threads[0].join(20)
    assert second == [0]
    assert read(world).targets["targets"].version == version + 1


def test_nothing_is_dropped_while_it_is_published(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    quick = owner.client(gun=True, retry_for=0).staging
    refused = []

    def reset() -> None:
        with pytest.raises(StorageError) as caught:
            quick.reset(GUN, [0])
        refused.append(caught.value)

    world.attacker.before_upload(reset)
    staging(owner).publish(GUN)
    assert len(refused) == 1
    assert listed(world) == {"1"}


def test_a_lost_answer_to_what_landed_is_a_success(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    staging(owner).remove_target(GUN, "none")
    world.attacker.lose_answers(times=1)
    world.requests()
    done = staging(owner).publish(GUN)
    assert world.requests().count("POST") == 1
    assert (len(done.published), files(owner), listed(world)) == (2, [], {"1"})


def test_a_lost_answer_to_the_first_publish_is_a_success(world: World) -> None:
    person = world.person("somebody")
    staging(person).add_target(GUN, "1", content("x"))
    world.attacker.lose_answers(times=1)
    done = staging(person).publish(GUN)
    assert (done.created, files(person), listed(world)) == (True, [], {"1"})


# -- changes that may not be made twice


def stage_anew(person: Person) -> None:
    """Stage changes that undo what others do, whenever they are made."""
    ann = person.key("ann")
    staging(person).add_delegation(GUN, TEAM, [ann], [""])
    staging(person).remove_delegation(GUN, TEAM)
    staging(person).add_delegation(GUN, TEAM, [ann], [""])
    staging(person).add_target(GUN, "ours", content("x"), roles=[TEAM])
    staging(person).witness(GUN, ["targets"])


def sign_as_team(other: Person) -> None:
    staging(other).add_target(GUN, "theirs", content("y"), roles=[TEAM])
    staging(other).publish(GUN)


def publish_killed(owner: Person, monkeypatch: pytest.MonkeyPatch, survives: int = 0) -> None:
    """Publish, and die when so many of the change files have gone."""
    real, left = Changelist.remove, iter(range(survives + 1))

    def remove(found: Changelist, names: Sequence[str]) -> None:
        for name, _ in zip(names, left, strict=False):
            real(found, [name])
        raise KeyboardInterrupt

    next(left)
    with monkeypatch.context() as patched:
        patched.setattr(Changelist, "remove", remove)
        with pytest.raises(KeyboardInterrupt):
            staging(owner).publish(GUN)


@pytest.mark.parametrize("survives", [0, 2])
def test_who_was_killed_after_the_upload_publishes_nothing_twice(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    stage_anew(owner)
    publish_killed(owner, monkeypatch, survives)
    assert len(files(owner)) == 7 - survives
    sign_as_team(copy_of(world, owner))
    version = read(world).targets["targets"].version
    staging(owner).add_target(GUN, "later", content("z"))
    owner.warnings.clear()
    done = staging(owner).publish(GUN)
    assert [one.path for one in done.published] == ["later"]
    [warning] = owner.warnings
    assert warning.startswith(f"{7 - survives} of the changes that were staged are published already: ")
    assert (listed(world, TEAM), listed(world), files(owner)) == ({"ours", "theirs"}, {"later"}, [])
    assert read(world).targets["targets"].version == version + 1
    assert notes(owner) == []


def test_a_role_that_others_removed_since_is_not_made_again(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_team(owner, owner.key("ann"))
    staging(owner).add_target(GUN, "ours", content("x"), roles=[TEAM])
    publish_killed(owner, monkeypatch)
    other = copy_of(world, owner)
    staging(other).remove_delegation(GUN, TEAM)
    staging(other).publish(GUN)
    staging(owner).publish(GUN)
    assert (files(owner), read(world).delegation(TEAM)) == ([], None)


def test_the_first_publish_is_not_made_twice_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = world.person("somebody")
    stage_anew(person)
    publish_killed(person, monkeypatch)
    sign_as_team(copy_of(world, person))
    assert staging(person).publish(GUN).published == ()
    assert (listed(world, TEAM), files(person)) == ({"ours", "theirs"}, [])


def test_what_did_not_arrive_is_published_by_the_next_try(world: World, owner: Person) -> None:
    stage_anew(owner)
    world.attacker.answer(Response(403, {}, b""), method="POST")
    with pytest.raises(AuthenticationError):
        staging(owner).publish(GUN)
    world.attacker.undo_hooks()
    assert len(notes(owner)) == 1
    other = copy_of(world, owner)
    staging(other).witness(GUN, ["targets"])
    staging(other).publish(GUN)  # the version is taken, by another file
    assert len(staging(owner).publish(GUN).published) == 7
    assert (listed(world, TEAM), files(owner), notes(owner)) == ({"ours"}, [], [])


def test_what_the_server_has_and_does_not_serve_has_not_landed(world: World, owner: Person) -> None:
    """What was staged is not thrown away for a version that is there by its number alone."""
    served = {role: world.attacker.current(GUN, role) for role in ("targets", "snapshot", "timestamp")}
    staging(owner).add_target(GUN, "1", content("x"))

    def killed(_: Response) -> Response:
        raise KeyboardInterrupt

    world.attacker.change_answers(killed, method="POST", times=1)
    with pytest.raises(KeyboardInterrupt):
        staging(owner).publish(GUN)
    number, taken = read(world, "early").targets["targets"].version, world.attacker.current(GUN, "targets")
    for role, data in served.items():
        world.attacker.serve_version(GUN, role, Envelope.parse(data, role).version)
    world.attacker.answer(Response(200, {}, taken), method="GET", path=rf".*/{number}\.targets\.json")
    done = staging(owner).publish(GUN)
    assert (len(done.published), done.uploaded, listed(world)) == (1, ("targets",), {"1"})


def test_a_note_that_cannot_be_read_is_said(owner: Person) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    note = Changelist(GUN, owner.trust_dir / "tuf" / GUN, owner.trust_dir).sent.path
    note.write_bytes(b"junk")
    assert len(staging(owner).publish(GUN).published) == 1
    assert [warning for warning in owner.warnings if str(note) in warning]
    assert notes(owner) == []


def test_a_note_goes_with_what_is_dropped(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    world.attacker.answer(Response(403, {}, b""), method="POST")
    with pytest.raises(AuthenticationError):
        staging(owner).publish(GUN)
    staging(owner).reset(GUN)
    assert notes(owner) == []


def test_after_a_lost_answer_nothing_is_made_twice(world: World, owner: Person) -> None:
    stage_anew(owner)
    other = copy_of(world, owner)

    def overtaken(_: Response) -> Response:
        sign_as_team(other)
        raise NetworkError("the connection was lost before the answer came")

    world.attacker.change_answers(overtaken, method="POST", times=1)
    done = staging(owner).publish(GUN)
    assert (len(done.published), done.uploaded) == (7, ("targets", TEAM))
    assert (listed(world, TEAM), files(owner)) == ({"ours", "theirs"}, [])


def test_where_files_cannot_be_removed_it_is_said_that_they_are_published(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned(owner, publish=False)

    def fails(path: Path) -> None:
        if path.suffix == ".change":
            raise PermissionError(13, "no")

    owner.warnings.clear()
    with monkeypatch.context() as patched:
        patched.setattr(system, "remove", fails)
        with pytest.raises(StorageError) as caught:
            staging(owner).publish(GUN)
    assert caught.value.why[-1].startswith(f"what was staged of {GUN} is published; ")
    assert any("too few of its keys" in warning for warning in owner.warnings)
    version = read(world).targets["targets"].version
    assert staging(owner).publish(GUN).published == ()
    assert (files(owner), read(world).targets["targets"].version) == ([], version)


# -- keys


def test_only_the_keys_that_are_needed_must_be_here(world: World, owner: Person) -> None:
    with_team(owner, owner.key("ann"))
    signer = world.person("signer")
    staging(signer).add_target(GUN, "b", content("b"), roles=[TEAM])
    staging(signer).witness(GUN, [TEAM])
    with pytest.raises(KeyNotAuthorisedError) as caught:
        staging(signer).publish(GUN)
    assert caught.value.facts["staged"] == [0, 1]
    assert "it signs what is staged as 0, 1" in caught.value.why


def test_a_key_goes_from_every_role_that_can_be_signed(world: World, owner: Person) -> None:
    ann, ben = owner.key("ann"), owner.key("ben")
    with_team(owner, ann, ben)
    staging(owner).add_delegation(GUN, "targets/ann", [ann], [""])
    staging(owner).publish(GUN)
    staging(owner).purge_keys(GUN, [keyid(ann)])
    owner.warnings.clear()
    staging(owner).publish(GUN)
    state = read(world)
    assert [key.canonical_id for key in state.keys_for(TEAM)[0]] == [keyid(ben)]
    assert state.keys_for("targets/ann")[0] == ()
    assert [warning for warning in owner.warnings if "keys left" in warning] == [
        "targets/ann has 0 keys left and takes 1 signatures: nobody can use it until keys are added"
    ]


# -- files that are signed by nobody who may


def abandoned(owner: Person, *, publish: bool = True) -> None:
    """Take the key out that alone signed a role's file, and put another one in."""
    ann, ben = owner.key("ann"), owner.key("ben")
    with_team(owner, ann)
    staging(owner).add_delegation(GUN, TEAM, [ben])
    staging(owner).remove_delegation_keys(GUN, TEAM, [keyid(ann)])
    owner.warnings.clear()
    if publish:
        staging(owner).publish(GUN)


def test_a_file_that_lost_its_signer_is_said(world: World, owner: Person) -> None:
    abandoned(owner)
    assert any(f"{TEAM} is signed by too few of its keys now" in warning for warning in owner.warnings)
    assert TEAM in read(world).failures


def test_a_witness_signs_it_again_and_its_content_stays(world: World, owner: Person) -> None:
    abandoned(owner)
    staging(owner).witness(GUN, [TEAM])
    assert staging(owner).publish(GUN).uploaded == (TEAM,)
    assert listed(world, TEAM) == {"a"}


def test_a_file_that_was_never_verified_here_is_not_signed(world: World, owner: Person) -> None:
    """Whoever has the server could put in its place what it likes."""
    abandoned(owner)
    other = copy_of(world, owner)
    staging(other).witness(GUN, [TEAM])
    world.requests()
    with pytest.raises(SignatureError) as caught:
        staging(other).publish(GUN)
    assert "POST" not in world.requests()
    assert caught.value.facts["staged"] == 0
    assert len(files(other)) == 1


def test_another_file_than_the_one_that_was_verified_here_is_not_signed(world: World, owner: Person) -> None:
    abandoned(owner)
    path = owner.cached(TEAM)
    path.write_bytes(path.read_bytes() + b" ")
    staging(owner).witness(GUN, [TEAM])
    world.requests()
    with pytest.raises(SignatureError):
        staging(owner).publish(GUN)
    assert "POST" not in world.requests()


def test_an_older_file_than_the_one_that_is_there_is_not_signed(owner: Person) -> None:
    ann, ben = owner.key("ann"), owner.key("ben")
    with_team(owner, ann)
    before = owner.cached(TEAM).read_bytes()
    staging(owner).add_target(GUN, "b", content("b"), roles=[TEAM])
    staging(owner).publish(GUN)
    staging(owner).add_delegation(GUN, TEAM, [ben])
    staging(owner).remove_delegation_keys(GUN, TEAM, [keyid(ann)])
    staging(owner).publish(GUN)
    owner.cached(TEAM).write_bytes(before)
    staging(owner).witness(GUN, [TEAM])
    with pytest.raises(SignatureError):
        staging(owner).publish(GUN)
