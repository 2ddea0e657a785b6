from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ConfigurationError,
    NetworkError,
    RefusedUpdateError,
    ServerError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
    UnreachableError,
)
from notarypy.remote.http.messages import Request, Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import root_pem

if TYPE_CHECKING:
    from support.people import World

OTHER_GUN = "registry.test/team/other"


def _losing_refusals(request: Request, response: Response) -> Response:
    """Lose the answer to an upload that was refused."""
    if request.method == "POST" and response.status == 400:
        raise NetworkError("the connection was lost")
    return response


# -- what goes wrong before, during and after the upload


def test_a_short_passphrase_makes_nothing(world: World) -> None:
    alice = world.person()
    with pytest.raises(ConfigurationError, match="too short"):
        alice.client(passphrase="short").init(GUN)
    assert alice.key_files() == set()


@pytest.mark.parametrize("path", [r".*/timestamp\.key", r".*/snapshot\.key"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(500), ServerError),
        (Response(403), AuthenticationError),
        (Response(200, {}, b"junk"), ServerError),
        (Response(200, {}, b'{"keytype":"ecdsa"}'), ServerError),
    ],
)
def test_a_server_without_a_usable_key_leaves_no_keys_here(
    world: World, path: str, answer: Response, error: type[Exception]
) -> None:
    alice = world.person()
    world.attacker.answer(answer, path=path)
    with pytest.raises(error):
        alice.client().init(GUN)
    assert alice.key_files() == set()
    assert alice.cache() == {}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((400, RefusedUpdateError), (403, AuthenticationError), (401, AuthenticationError)),
        *((404, ServerError), (405, ServerError), (302, ServerError)),
    ],
)
def test_a_definite_refusal_removes_the_new_keys(world: World, status: int, error: type[Exception]) -> None:
    alice = world.person()
    world.attacker.answer(Response(status), method="POST")
    with pytest.raises(error):
        alice.client().init(GUN, snapshot="local")
    assert alice.key_files() == set()
    assert alice.cache() == {}


def test_a_refusal_leaves_the_keys_that_were_here(world: World) -> None:
    alice = world.person()
    alice.client().init(OTHER_GUN)
    before = alice.key_files()
    world.attacker.answer(Response(400), method="POST")
    with pytest.raises(RefusedUpdateError):
        alice.client().init(GUN)
    assert alice.key_files() == before


def test_no_connection_for_the_upload_removes_the_new_keys(world: World) -> None:
    alice = world.person()
    world.attacker.refuse_connections(method="POST")
    with pytest.raises(UnreachableError):
        alice.client().init(GUN)
    assert alice.key_files() == set()


def test_an_unknown_outcome_keeps_the_new_keys(world: World) -> None:
    alice = world.person()
    world.attacker.lose_answers()
    world.attacker.before_upload(lambda: world.attacker.refuse_connections(method="GET"))
    with pytest.raises(UnknownOutcomeError, match="initialised"):
        alice.client(retry_for=0).init(GUN)
    assert len(alice.key_files()) == 2
    world.attacker.undo_hooks()
    result = alice.client().init(GUN)
    assert not result.created
    assert result.keys_here == (roles.ROOT, roles.TARGETS)
    assert len(alice.key_files()) == 2


def _lose_uploads(world: World, times: int) -> None:
    def break_off() -> None:
        raise NetworkError("the connection was lost")

    world.attacker.before_upload(break_off, times)


def test_a_lost_upload_keeps_the_new_keys_for_the_next_try(world: World) -> None:
    alice = world.person()
    _lose_uploads(world, 1)
    with pytest.raises(UnknownOutcomeError):
        alice.client(retry_for=0).init(GUN)
    kept = alice.key_files()
    assert len(kept) == 2
    assert alice.client().init(GUN).created
    assert alice.key_files() == kept


def test_a_lost_upload_is_sent_again_with_the_same_keys(world: World) -> None:
    alice = world.person()
    _lose_uploads(world, 2)
    assert alice.client().init(GUN).created
    assert len(alice.key_files()) == 2
    assert world.requests().count("POST") == 3


def test_a_lost_upload_that_arrives_late_is_found_to_be_ours(world: World) -> None:
    alice, late = world.person(), list[Request]()

    def delay(request: Request) -> Response | None:
        if request.method != "POST" or len(late) > 1:
            return None
        late.append(request)
        if len(late) == 1:
            raise NetworkError("the connection was lost")
        world.fake.send(late[0], float("inf"))  # before the second one, which is refused then
        return None

    world.fake.before.append(delay)
    assert alice.client().init(GUN).created
    assert len(alice.key_files()) == 2


def test_a_refusal_after_a_lost_upload_keeps_the_keys(world: World) -> None:
    alice = world.person()
    _lose_uploads(world, 1)
    world.attacker.answer(Response(400), method="POST")
    with pytest.raises(UnknownOutcomeError):
        alice.client(retry_for=1).init(GUN)
    assert len(alice.key_files()) == 2


def test_no_connection_after_a_lost_upload_keeps_the_keys(world: World) -> None:
    alice = world.person()
    _lose_uploads(world, 1)
    world.attacker.refuse_connections(method="POST")
    with pytest.raises(UnknownOutcomeError):
        alice.client(retry_for=1).init(GUN)
    assert len(alice.key_files()) == 2


def test_a_lost_answer_to_what_landed_is_a_success(world: World) -> None:
    alice = world.person()
    world.attacker.lose_answers()
    assert alice.client().init(GUN).created
    assert len(alice.key_files()) == 2


def test_a_dropped_upload_is_no_success_and_keeps_the_keys(world: World) -> None:
    alice = world.person()
    world.attacker.drop_uploads()
    with pytest.raises(UnconfirmedPublishError):
        alice.client().init(GUN)
    assert alice.cache() == {}
    assert len(alice.key_files()) == 2


def test_a_refused_upload_that_is_served_all_the_same_keeps_the_keys(world: World) -> None:
    """A proxy may answer 400 for a server that took the update."""
    alice = world.person()

    def refuse(request: Request, response: Response) -> Response:
        return Response(400, {}, b"{}") if request.method == "POST" else response

    world.fake.after.append(refuse)
    result = alice.client().init(GUN)
    assert result.created
    assert result.keys_here == (roles.ROOT, roles.TARGETS)
    assert len(alice.key_files()) == 2
    world.fake.after.clear()
    world.push("1")
    assert alice.client().sign([f"{GUN}:1"])[0].published


def test_a_refused_upload_that_nobody_can_look_for_keeps_the_keys(world: World) -> None:
    alice = world.person()
    world.attacker.before_upload(lambda: world.attacker.answer(Response(500), path=r".*/root\.json"))
    world.attacker.answer(Response(400), method="POST")
    with pytest.raises(UnknownOutcomeError, match="initialised"):
        alice.client(timeout=1, retry_for=0).init(GUN)
    assert len(alice.key_files()) == 2


# -- races


def test_the_loser_of_a_race_removes_its_keys_and_goes_on(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    world.attacker.before_upload(lambda: bob.client().init(GUN))
    result = alice.client().init(GUN)
    assert not result.created
    assert result.root_pins == bob.client().init(GUN).root_pins
    assert alice.key_files() == set()
    assert alice.cache() == bob.cache()


def test_the_loser_with_a_lost_answer_finds_out(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    world.attacker.before_upload(lambda: bob.client().init(GUN))
    world.fake.after.append(_losing_refusals)
    result = alice.client().init(GUN)
    assert not result.created
    assert alice.key_files() == set()


def test_the_loser_of_a_race_for_a_signer_adds_its_signer(world: World) -> None:
    alice = world.person("alice")
    alice.client().keys.load(root_pem(), name="root")
    bob = world.person("bob")
    shutil.copytree(alice.trust_dir, bob.trust_dir)
    jeff = world.person("jeff").key("jeff")
    world.attacker.before_upload(lambda: bob.client().init(GUN))
    with pytest.raises(Exception, match="the keys here cannot sign targets"):
        alice.client().add_signer("jeff", GUN, [jeff])


def test_a_lost_race_does_not_count_as_what_was_wanted(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    alice.client().keys.load(root_pem(), name="root")
    before = alice.key_files()
    world.attacker.before_upload(lambda: bob.client().init(GUN))
    [root] = before
    with pytest.raises(AlreadyExistsError):
        alice.client().init(GUN, root_key=root[:10])
    assert alice.key_files() == before
