"""Rule 4 of the pipeline: what becomes of a publish whose answers do not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ConflictError,
    NetworkError,
    ServerError,
    UnknownOutcomeError,
    UnreachableError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from support.author import GUN
from support.people import copy_of, owned, released_tags
from support.publishing import Timer, publish

if TYPE_CHECKING:
    from support.people import Person, World

FAILED = Response(500, {}, b'{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{}}]}')


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world, "jeff")
    world.push("1")
    return owner


def _posts(world: World) -> int:
    return world.requests().count("POST")


def test_a_lost_answer_to_what_landed_is_a_success(world: World, owner: Person) -> None:
    world.attacker.lose_answers(times=1)
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert _posts(world) == 1
    assert released_tags(world) == {"1"}


def test_a_lost_upload_is_sent_again(world: World, owner: Person) -> None:
    _lose_uploads(world, 1)
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert _posts(world) == 2
    assert released_tags(world) == {"1"}


@pytest.mark.parametrize("lost", [3, 5])
def test_the_last_of_many_lost_answers_may_be_to_what_landed(world: World, owner: Person, lost: int) -> None:
    timer = Timer()
    _lose_uploads(world, lost - 1)
    world.attacker.lose_answers()
    [done] = publish(owner.client(), timer.patience(60.0))
    assert done.published
    assert _posts(world) == lost
    assert len(timer.pauses) == lost - 1
    assert released_tags(world) == {"1"}


def test_what_landed_is_a_success_when_the_time_is_over_too(world: World, owner: Person) -> None:
    timer = Timer()

    def late() -> None:
        timer.now = 100.0

    world.attacker.before_upload(late)
    world.attacker.lose_answers()
    assert publish(owner.client(), timer.patience(60.0))[0].published
    assert _posts(world) == 1


def test_uploads_that_are_lost_again_and_again_end_with_the_time(world: World, owner: Person) -> None:
    before, timer = owner.cache(), Timer()
    _lose_uploads(world, 99)
    with pytest.raises(NetworkError, match="the connection was lost") as caught:
        publish(owner.client(), timer.patience(6.0))
    tries = _posts(world)
    assert tries == len(timer.pauses) + 1 > 3
    assert caught.value.facts["unanswered"] == tries
    assert any("looking since then shows nothing of it" in line for line in caught.value.why)
    assert timer.pauses == sorted(timer.pauses)
    assert 6.0 < sum(timer.pauses) < 9.0
    assert owner.cache() == before


def test_without_patience_one_lost_upload_is_the_last(world: World, owner: Person) -> None:
    _lose_uploads(world, 99)
    with pytest.raises(NetworkError):
        owner.client(retry_for=0).sign([f"{GUN}:1"])
    assert _posts(world) == 1


def test_a_lost_answer_without_a_look_leaves_the_outcome_open(world: World, owner: Person) -> None:
    timer = Timer()
    world.attacker.lose_answers(times=1)
    world.attacker.before_upload(lambda: world.attacker.refuse_connections(method="GET"))
    with pytest.raises(UnknownOutcomeError, match="nobody can say") as caught:
        publish(owner.client(timeout=0.1), timer.patience(6.0))
    assert caught.value.exit_code == 8
    assert caught.value.facts["unanswered"] == 1
    assert sum(timer.pauses) > 6.0


def test_looking_goes_on_until_the_server_is_back(world: World, owner: Person) -> None:
    timer = Timer()
    world.attacker.lose_answers(times=1)
    world.attacker.before_upload(lambda: world.attacker.answer(Response(500), method="GET", times=3))
    assert publish(owner.client(), timer.patience(60.0))[0].published
    assert len(timer.pauses) == 3
    assert _posts(world) == 1


def test_an_upload_that_found_no_connection_was_certainly_not_sent(world: World, owner: Person) -> None:
    world.attacker.refuse_connections(method="POST")
    with pytest.raises(UnreachableError):
        owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 1


def test_a_server_error_is_looked_into(world: World, owner: Person) -> None:
    world.attacker.answer(Response(500), method="POST", times=1)
    assert owner.client().sign([f"{GUN}:1"])[0].published


@pytest.mark.parametrize("failures", [3, 5])
def test_a_race_that_a_database_loses_with_an_error_is_a_conflict(
    world: World, owner: Person, failures: int
) -> None:
    """PostgreSQL refuses a version that was taken in the same moment, and the server answers 500."""
    timer, other = Timer(), copy_of(world, owner)
    _lose_races(world, other, failures)
    assert publish(owner.client(), timer.patience(60.0))[0].published
    assert _posts(world) == 2 * failures + 1
    assert released_tags(world) == {"1", *(f"other{number}" for number in range(failures))}


def test_losing_such_races_until_the_deadline_is_a_conflict(world: World, owner: Person) -> None:
    timer, other = Timer(), copy_of(world, owner)
    _lose_races(world, other, 99)
    with pytest.raises(ConflictError, match="others keep publishing it") as caught:
        publish(owner.client(), timer.patience(3.0))
    assert caught.value.facts["tries"] == len(timer.pauses) + 1 > 3


def _lose_races(world: World, other: Person, times: int) -> None:
    """Let another publisher be quicker so many times, and the server fail over each lost race."""
    client, state = other.client(), {"round": 0, "inside": False}

    def overtake() -> None:
        if state["inside"] or state["round"] == times:
            return
        state["inside"], tag = True, f"other{state['round']}"
        world.push(tag)
        client.sign([f"{GUN}:{tag}"])
        state["inside"], state["round"] = False, state["round"] + 1

    world.attacker.before_upload(overtake, 1 << 30)
    world.attacker.change_answers(lambda answer: FAILED if b'"VERSION"' in answer.body else answer)


@pytest.mark.parametrize("status", [301, 404, 405, 418])
def test_an_answer_that_is_no_trouble_is_final(world: World, owner: Person, status: int) -> None:
    timer = Timer()
    world.attacker.answer(Response(status), method="POST")
    with pytest.raises(ServerError):
        publish(owner.client(), timer.patience(60.0))
    assert _posts(world) == 1
    assert timer.pauses == []


def test_a_server_that_asks_for_time_is_given_it(world: World, owner: Person) -> None:
    timer = Timer()
    world.attacker.answer(Response(503, {"retry-after": "7"}), method="POST", times=2)
    assert publish(owner.client(), timer.patience(60.0))[0].published
    assert timer.pauses == [7.0, 7.0]


def test_more_time_than_there_is_is_not_waited_for(world: World, owner: Person) -> None:
    timer = Timer()
    world.attacker.answer(Response(503, {"retry-after": "61"}), method="POST")
    with pytest.raises(ServerError, match="503"):
        publish(owner.client(), timer.patience(60.0))
    assert timer.pauses == []


def test_what_a_look_brings_is_verified_too(world: World, owner: Person) -> None:
    def tamper() -> None:
        data = world.attacker.current(GUN, "targets")
        world.attacker.publish(GUN, {"targets": data.replace(b"jeff", b"eve0")})
        raise NetworkError("the connection was lost")

    before, timer = owner.cache(), Timer()
    world.attacker.before_upload(tamper)
    with pytest.raises(VerificationError):
        publish(owner.client(), timer.patience(60.0))
    assert owner.cache() == before


def _lose_uploads(world: World, times: int) -> None:
    left = [times]

    def break_off() -> None:
        left[0] -= 1
        raise NetworkError("the connection was lost")

    world.attacker.before_upload(break_off, times)
