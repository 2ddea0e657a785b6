from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from notarypy.client.publish.pipeline import Patience
from notarypy.errors import (
    AuthenticationError,
    ConflictError,
    KeyNotAuthorisedError,
    RefusedUpdateError,
    UnreachableError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import copy_of, owned, released_tags
from support.publishing import Timer, publish

if TYPE_CHECKING:
    from notarypy.devserver.core import Before
    from notarypy.remote.http.messages import Request
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world, "jeff")
    world.push("1")
    return owner


def _posts(world: World) -> int:
    return world.requests().count("POST")


# -- the answer is no


def test_a_refusal_without_another_publisher_is_final(world: World, owner: Person) -> None:
    body = b'{"errors":[{"code":"INVALID_UPDATE","message":"no","detail":"because"}]}'
    world.attacker.answer(Response(400, {}, body), method="POST")
    before = owner.cache()
    with pytest.raises(RefusedUpdateError):
        owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 1
    assert owner.cache() == before


@pytest.mark.parametrize("status", [401, 403])
def test_a_reader_who_may_not_write_is_told_so(world: World, owner: Person, status: int) -> None:
    world.attacker.answer(Response(status), method="POST")
    with pytest.raises(AuthenticationError):
        owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 1


def test_a_conflict_is_applied_to_the_new_state(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    world.push("2")
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert released_tags(world) == {"1", "2"}


def test_a_conflict_with_the_same_wish_is_nothing_to_publish(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:1"]))
    [done] = owner.client().sign([f"{GUN}:1"])
    assert not done.published
    assert released_tags(world) == {"1"}


def test_a_retry_asks_for_no_passphrase_again(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    world.push("2")
    asked: list[str] = []
    client = owner.client()
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    unlock = client._session.keys().passphrases.candidates  # noqa: SLF001 - to count the questions

    def counting(request: object) -> object:
        asked.append(str(request))
        return unlock(request)  # type: ignore[arg-type]

    client._session.keys().passphrases.candidates = counting  # type: ignore[method-assign,assignment]  # noqa: SLF001 - as above
    client.sign([f"{GUN}:1"])
    assert len(asked) == 1


def test_permissions_are_checked_anew_after_a_conflict(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    owner.client().add_signer("bob", GUN, [jeff.key("bob")])
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    world.attacker.before_upload(lambda: owner.client().remove_signer("bob", GUN))
    with pytest.raises(KeyNotAuthorisedError):
        jeff.client().sign([f"{GUN}:1"])
    assert released_tags(world) == {"2"}


def test_losing_until_the_deadline_is_a_conflict(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    timer, tags = Timer(), iter(range(100))

    def overtake() -> None:
        tag = f"other{next(tags)}"
        world.push(tag)
        other.client().sign([f"{GUN}:{tag}"])

    world.attacker.before_upload(overtake, 200)
    # The other one's uploads would overtake themselves.
    world.fake.before[-1] = _only_outermost(world.fake.before[-1])
    with pytest.raises(ConflictError) as caught:
        publish(owner.client(), timer.patience(6.0))
    assert caught.value.exit_code == 9
    assert caught.value.facts["tries"] == len(timer.pauses) + 1
    assert timer.pauses == sorted(timer.pauses)
    assert max(timer.pauses) == 2.0
    assert 6.0 < sum(timer.pauses) < 9.0


def _only_outermost(hook: Before) -> Before:
    inside = [False]

    def guarded(request: Request) -> Response | None:
        if inside[0]:
            return None
        inside[0] = True
        try:
            return hook(request)
        finally:
            inside[0] = False

    return guarded


def test_without_patience_the_first_conflict_is_the_last(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    world.push("2")
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    ticks = iter(range(100))
    with pytest.raises(ConflictError):
        publish(owner.client(), Patience(0.0, lambda: float(next(ticks)), lambda _: None, lambda: 1.0))


def test_what_a_conflict_brings_is_verified_too(world: World, owner: Person) -> None:
    def tamper() -> None:
        data = world.attacker.current(GUN, roles.TARGETS)
        world.attacker.publish(GUN, {roles.TARGETS: data.replace(b"jeff", b"eve0")})

    before = owner.cache()
    world.attacker.before_upload(tamper)
    with pytest.raises((VerificationError, RefusedUpdateError)):
        owner.client().sign([f"{GUN}:1"])
    assert owner.cache() == before


# -- versions that were taken before (rule 6)


@pytest.mark.parametrize("database", [False, True])
def test_a_signer_who_comes_back_signs_above_the_versions_before(world: World, *, database: bool) -> None:
    alice = _with_a_signer_who_came_back(world, signed=6)
    world.fake.notary.database = database
    [done] = publish(alice.client(), Timer().patience(0.0), "last")
    assert done.published
    assert _posts(world) == 2
    assert alice.client().refresh(GUN).targets["targets/jeff"].version == 7


def test_versions_that_only_numbers_find_are_looked_for_in_a_few_steps(world: World) -> None:
    alice = _with_a_signer_who_came_back(world, signed=9)
    publish(alice.client(), Timer().patience(60.0), "last")
    asked = [line for line in world.requests() if re.match(r"GET [0-9]+\.targets/jeff", line)]
    assert len(asked) < 9


def test_a_refusal_is_not_hidden_behind_a_look_that_fails(world: World) -> None:
    alice = _with_a_signer_who_came_back(world, signed=1)
    world.attacker.answer(Response(500), path=r".*/[0-9]+\.targets/jeff\.json")
    with pytest.raises(RefusedUpdateError) as caught:
        publish(alice.client(timeout=0.1), Timer().patience(60.0), "last")
    assert caught.value.facts["code"] == "VERSION"


def test_a_server_that_says_no_to_every_version_is_left_in_the_end(world: World) -> None:
    alice = _with_a_signer_who_came_back(world, signed=1)
    posts: list[Request] = []

    def refuse(request: Request) -> Response | None:
        if request.method == "POST":
            posts.append(request)
            return Response(400, {}, b'{"errors":[{"code":"VERSION","message":"taken"}]}')
        version = re.search(r"/([0-9]+)\.targets/jeff\.json", request.url)
        return Response(200, {}, b"{}") if version and int(version[1]) <= len(posts) else None

    world.fake.before.append(refuse)
    timer = Timer()
    with pytest.raises(ConflictError):
        publish(alice.client(), timer.patience(6.0), "last")
    assert sum(timer.pauses) > 6.0


def test_a_refusal_is_named_when_nobody_can_look(world: World, owner: Person) -> None:
    def die(answer: Response) -> Response:
        world.attacker.refuse_connections(method="GET")
        return answer

    client = owner.client(timeout=0.1)
    client.refresh(GUN)
    world.attacker.answer(Response(400, {}, b'{"errors":[{"code":"DENIED_IT"}]}'), method="POST")
    world.attacker.change_answers(die, method="POST")
    with pytest.raises(UnreachableError) as caught:
        publish(client, Timer().patience(6.0))
    assert any("DENIED_IT" in line for line in caught.value.why)


def _with_a_signer_who_came_back(world: World, signed: int) -> Person:
    """Let a signer sign so many tags and be removed; the snapshot, made here, names none of them any more."""
    alice = world.person()
    client = alice.client()  # one, which unlocks its keys once
    client.init(GUN, snapshot="local")
    public = alice.key("jeff")
    client.add_signer("jeff", GUN, [public])
    for number in range(signed):
        world.push(str(number))
        client.sign([f"{GUN}:{number}"])
    client.remove_signer("jeff", GUN, force=True)
    client.add_signer("jeff", GUN, [public])
    world.push("last")
    world.requests()
    return alice
