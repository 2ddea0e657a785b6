"""Trust data is deleted at its server: by the rules of `client.publish.deleting`."""

from __future__ import annotations

import json

import pytest

from notarypy.errors import (
    AuthenticationError,
    ConfirmationNeededError,
    RepositoryMissingError,
    RepositoryVanishedError,
    StorageError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
)
from notarypy.remote.http.messages import Response
from notarypy.storage.changelist import Changelist
from support.author import GUN
from support.people import SERVER, Person, World, released

OTHER = f"{GUN}-two"
FEED = r".*/_trust/changefeed"


@pytest.fixture
def owner(world: World) -> Person:
    return released(world, "jeff")


def deletions(world: World) -> int:
    return world.requests().count("DELETE")


def test_it_is_gone_and_keys_and_cache_stay(world: World, owner: Person) -> None:
    keys, cache = owner.key_files(), owner.cache()
    done = owner.client().upkeep.delete(GUN, confirm=GUN)
    assert (done.repository, done.deleted, done.others, done.forgotten) == (GUN, True, (), False)
    assert (owner.key_files(), owner.cache()) == (keys, cache)
    with pytest.raises(RepositoryVanishedError):
        owner.client().verify(f"{GUN}:1")
    with pytest.raises(RepositoryMissingError):
        world.person("new").client().verify(f"{GUN}:1")


def test_what_is_cached_goes_if_that_is_wanted(owner: Person) -> None:
    keys = owner.key_files()
    assert owner.client().upkeep.delete(GUN, confirm=GUN, forget=True).forgotten
    assert (owner.key_files(), owner.cache()) == (keys, {})
    assert owner.client().init(GUN).created


@pytest.mark.parametrize("confirm", [None, "", "yes", GUN[:-1], f"{GUN}:1", GUN.upper()])
def test_rule_1_without_its_name_nothing_is_deleted(world: World, owner: Person, confirm: str | None) -> None:
    with pytest.raises(ConfirmationNeededError) as caught:
        owner.client().upkeep.delete(GUN, confirm=confirm, forget=True)
    assert caught.value.why == ("released tags that nobody could verify any more: 1", "1")
    assert deletions(world) == 0
    assert owner.cache()


def test_rule_1_also_of_what_cannot_be_read(world: World, owner: Person) -> None:
    world.attacker.replace(GUN, "timestamp", b"junk")
    with pytest.raises(ConfirmationNeededError, match="once more") as caught:
        owner.client().upkeep.delete(GUN)
    assert "could not be read" in caught.value.why[0]
    assert owner.client().upkeep.delete(GUN, confirm=GUN).deleted


def test_rule_2_a_server_that_would_take_others_takes_another_word(world: World, owner: Person) -> None:
    owner.client(gun=True).init(OTHER)
    with pytest.raises(ConfirmationNeededError) as caught:
        owner.client().upkeep.delete(GUN, confirm=GUN)
    assert caught.value.facts["others"] == [OTHER]
    assert deletions(world) == 0
    assert owner.client().upkeep.delete(GUN, confirm=f"{GUN}*").others == ()


def test_rule_2_what_went_with_it_is_said(world: World, owner: Person) -> None:
    owner.client(gun=True).init(OTHER)

    def deleted(answer: Response) -> Response:
        world.attacker.delete(OTHER)
        return answer

    world.attacker.change_answers(deleted, method="DELETE")
    assert owner.client().upkeep.delete(GUN, confirm=f"{GUN}*").others == (OTHER,)


def test_rule_2_others_that_were_deleted_do_not_matter(owner: Person) -> None:
    owner.client(gun=True).init(OTHER)
    owner.client(gun=True).upkeep.delete(OTHER, confirm=OTHER)
    assert owner.client().upkeep.delete(GUN, confirm=GUN).deleted


def test_rule_2_a_server_with_a_database_takes_one(world: World, owner: Person) -> None:
    owner.client(gun=True).init(OTHER)
    world.fake.notary.database = True
    assert owner.client(retry_for=0).upkeep.delete(GUN, confirm=GUN).others == ()
    assert world.fake.notary.store.roles(OTHER)


def feed(*records: dict[str, object]) -> bytes:
    return json.dumps({"count": len(records), "records": records}).encode()


ALIVE = {
    "ID": "1",
    "CreatedAt": "2026-01-01T00:00:00Z",
    "GUN": GUN,
    "Version": 1,
    "SHA256": "",
    "Category": "update",
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        *[(FEED, Response(status)) for status in (401, 403, 404, 400, 500)],
        *[(r".*no-such-delegation.*", Response(status)) for status in (400, 429, 501, 502, 503, 504)],
        *[(FEED, Response(200, body=body)) for body in (b"<html>", b"", b"{}", b'{"records": null}')],
        (FEED, Response(200, body=feed())),
        (FEED, Response(200, body=feed({**ALIVE, "GUN": OTHER}))),
        (FEED, Response(200, body=feed(ALIVE, ALIVE))),
        (FEED, Response(200, body=feed({**ALIVE, "Version": "1"}))),
    ],
)
def test_rule_2_who_does_not_say_may_take_anything(
    world: World, owner: Person, path: str, answer: Response
) -> None:
    owner.client(gun=True).init(OTHER)
    world.attacker.answer(answer, path=path)
    with pytest.raises(ConfirmationNeededError) as caught:
        owner.client(retry_for=0).upkeep.delete(GUN, confirm=GUN)
    assert caught.value.facts["others"] is None
    assert deletions(world) == 0
    assert owner.client(retry_for=0).upkeep.delete(GUN, confirm=f"{GUN}*").deleted


def test_rule_3_where_there_is_nothing_nothing_is_sent(world: World, owner: Person) -> None:
    world.attacker.delete(GUN)
    for confirm in (GUN, None):
        assert not owner.client().upkeep.delete(GUN, confirm=confirm).deleted
    assert deletions(world) == 0
    with pytest.raises(ConfirmationNeededError):
        owner.client().upkeep.delete(GUN, forget=True)
    assert owner.cache()


def test_rule_4_what_is_still_there_is_said(world: World, owner: Person) -> None:
    world.attacker.answer(Response(200), method="DELETE")
    with pytest.raises(UnconfirmedPublishError, match="still has it"):
        owner.client().upkeep.delete(GUN, confirm=GUN, forget=True)
    assert owner.cache()


def test_rule_4_whether_it_is_there_may_be_unknown(world: World, owner: Person) -> None:
    def deleted(answer: Response) -> Response:
        world.attacker.refuse_connections(method="GET")
        return answer

    world.attacker.change_answers(deleted, method="DELETE")
    with pytest.raises(UnknownOutcomeError):
        owner.client().upkeep.delete(GUN, confirm=GUN)


def test_who_may_not_gets_to_know_it(world: World, owner: Person) -> None:
    world.attacker.answer(Response(403), method="DELETE")
    with pytest.raises(AuthenticationError):
        owner.client().upkeep.delete(GUN, confirm=GUN)


@pytest.mark.parametrize("remote", [False, True])
def test_rule_5_what_is_staged_goes_if_that_is_wanted(owner: Person, *, remote: bool) -> None:
    client = owner.client(gun=True)
    client.staging.witness(GUN, ["targets/jeff"])
    assert client.forget(GUN)  # what is staged stays
    assert len(client.staging.list(GUN)) == 1
    if remote:
        done = client.upkeep.delete(GUN, confirm=GUN, staged=True)
        assert (done.deleted, done.forgotten) == (True, True)
    else:
        assert client.upkeep.forget(GUN)
        assert not client.upkeep.forget(GUN)
    assert client.staging.list(GUN) == []


@pytest.mark.parametrize("remote", [False, True])
def test_rule_5_where_it_fails_the_root_stays_and_what_went_is_said(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> None:
    client, cache = owner.client(gun=True), owner.cache()
    client.staging.witness(GUN, ["targets/jeff"])

    def fail(*_: object) -> None:
        raise StorageError("cannot remove it")

    monkeypatch.setattr(Changelist, "remove", fail)
    with pytest.raises(StorageError) as raised:
        client.upkeep.delete(GUN, confirm=GUN, staged=True) if remote else client.upkeep.forget(GUN)
    assert owner.cache() == cache
    assert deletions(world) == int(remote)
    said = [f"at {SERVER} it is deleted: {GUN}"] if remote else []
    assert list(raised.value.why) == said


def test_rule_5_nothing_goes_where_the_server_refuses(world: World, owner: Person) -> None:
    world.attacker.answer(Response(403), method="DELETE")
    client, cache = owner.client(gun=True), owner.cache()
    client.staging.witness(GUN, ["targets/jeff"])
    with pytest.raises(AuthenticationError):
        client.upkeep.delete(GUN, confirm=GUN, forget=True, staged=True)
    assert (len(client.staging.list(GUN)), owner.cache()) == (1, cache)
