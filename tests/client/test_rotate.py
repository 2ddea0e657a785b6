from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from notarypy.errors import (
    InvalidNameError,
    KeyNotAuthorisedError,
    NetworkError,
    PassphraseWrongError,
    RefusedUpdateError,
    UsageError,
    VerificationError,
)
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers import keyfile
from notarypy.remote.http.messages import Request, Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import PASSPHRASE, pem_of, released, root_pem

if TYPE_CHECKING:
    from notarypy.tuf.metadata import Root
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    return released(world, "jeff")


@pytest.fixture
def reader(world: World, owner: Person) -> Person:  # noqa: ARG001 - the tag is to be there
    """Somebody who trusted the repository before."""
    reader = world.person("long-time reader")
    reader.client().verify(f"{GUN}:1")
    reader.warnings.clear()
    world.requests()
    return reader


def _root(person: Person) -> Root:
    return person.client().refresh(GUN).root


def _key(root: Root, role: str) -> str:
    (key,) = root.signers(role)
    return key.canonical_id


def _still_works(world: World, owner: Person, reader: Person) -> None:
    """Read as one who knew the repository and as one who did not, then sign once more."""
    reader.client().verify(f"{GUN}:1")
    world.person("newcomer").client().verify(f"{GUN}:1")
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    reader.client().verify(f"{GUN}:2")


def test_a_new_targets_key_signs_what_the_old_one_signed(world: World, owner: Person, reader: Person) -> None:
    before = _root(owner)
    world.requests()
    done = owner.client().keys.rotate(GUN, "targets")
    assert world.requests().count("POST") == 1
    after = _root(owner)
    assert done.published
    assert (done.old, done.new) == ((_key(before, roles.TARGETS),), (_key(after, roles.TARGETS),))
    assert done.old != done.new
    assert done.root_pins == (_key(before, roles.ROOT),) == (_key(after, roles.ROOT),)
    assert {f"{keyid}.key" for keyid in (*done.old, *done.new)} <= owner.key_files()
    assert after.version == before.version + 1
    assert before.roles[roles.TARGETS].keyids[0] not in after.keys
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    _still_works(world, owner, reader)


def test_a_new_targets_key_takes_the_place_of_the_old_one_in_releases(owner: Person, reader: Person) -> None:
    """After the last signer the list of releases is the targets key's."""
    owner.client().remove_signer("jeff", GUN, tags="revoke")
    old = _key(_root(reader), roles.TARGETS)
    owner.client().keys.rotate(GUN, roles.TARGETS)
    [entry] = reader.client().delegations(GUN)
    assert (entry.role, entry.keys) == (roles.RELEASES, (_key(_root(reader), roles.TARGETS),))
    owner.client().keys.remove(old)
    owner.client().sign([f"{GUN}:1"])
    assert reader.client().verify(f"{GUN}:1").role == roles.RELEASES


def test_a_new_root_key_is_vouched_for_by_the_old_one(world: World, owner: Person, reader: Person) -> None:
    before = _root(owner)
    done = owner.client().keys.rotate(GUN, "root")
    after = _root(owner)
    assert done.root_pins == done.new != done.old
    assert set(before.roles[roles.ROOT].keyids) < set(after.keys)
    assert {f"{keyid}.key" for keyid in (*done.old, *done.new)} <= owner.key_files()
    _still_works(world, owner, reader)
    pinned = world.person("pinned before")
    pinned.client(pins=before.roles[roles.ROOT].keyids).verify(f"{GUN}:1")
    pinned.client(pins=after.roles[roles.ROOT].keyids).verify(f"{GUN}:1")


def test_the_old_root_key_alone_changes_nothing_any_more(world: World, owner: Person, reader: Person) -> None:
    done = owner.client().keys.rotate(GUN, "root")
    (owner.trust_dir / "private" / f"{done.new[0]}.key").unlink()
    with pytest.raises(KeyNotAuthorisedError):
        owner.client().keys.rotate(GUN, "targets")
    reader.client().verify(f"{GUN}:1")
    assert "POST" not in world.requests()[-4:]


def test_many_rotations_are_followed_in_one_go(world: World, owner: Person, reader: Person) -> None:
    for role in ("root", "targets", "root", "root"):
        owner.client().keys.rotate(GUN, role)
    assert _root(reader).version == 5
    _still_works(world, owner, reader)


def test_the_snapshot_key_comes_here_and_goes_back(world: World, owner: Person, reader: Person) -> None:
    here = owner.client().keys.rotate(GUN, "snapshot")
    assert f"{here.new[0]}.key" in owner.key_files()
    _still_works(world, owner, reader)
    back = owner.client().keys.rotate(GUN, "snapshot", server_managed=True)
    assert back.old == here.new
    assert back.server_managed
    assert f"{back.new[0]}.key" not in owner.key_files()
    _still_works(world, owner, reader)


def test_the_server_makes_a_new_timestamp_key(world: World, owner: Person, reader: Person) -> None:
    before = _root(owner)
    done = owner.client().keys.rotate(GUN, "timestamp", server_managed=True)
    assert done.new != (_key(before, roles.TIMESTAMP),)
    assert "POST timestamp.key" in world.requests()
    _still_works(world, owner, reader)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_a_key_of_a_file_may_be_the_new_one(world: World, owner: Person, reader: Person, role: str) -> None:
    path = world.base / "next.pem"
    path.write_bytes(root_pem())
    done = owner.client().keys.rotate(GUN, role, key=str(path))
    assert owner.client().keys.find(done.new[0]).role == role
    _still_works(world, owner, reader)


def test_the_key_it_has_already_is_nothing_to_publish(world: World, owner: Person) -> None:
    current = _key(_root(owner), roles.TARGETS)
    world.requests()
    done = owner.client().keys.rotate(GUN, "targets", key=current)
    assert (done.published, done.old, done.new) == (False, (current,), (current,))
    assert "POST" not in world.requests()


def test_the_root_key_it_has_already_gets_a_new_certificate(
    world: World, owner: Person, reader: Person
) -> None:
    done = owner.client().keys.rotate(GUN, "root", key="root")
    assert done.old == done.new
    assert done.published
    _still_works(world, owner, reader)


# -- what is refused


@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("targets/jeff", {}),
        ("jeff", {}),
        ("root", {"server_managed": True}),
        ("targets", {"server_managed": True}),
        ("timestamp", {}),
        ("snapshot", {"server_managed": True, "key": "jeff"}),
        ("targets", {"key": "jeff"}),
    ],
)
def test_what_no_repository_can_have_is_refused(
    world: World, owner: Person, role: str, options: dict[str, object]
) -> None:
    keys = owner.key_files()
    with pytest.raises(UsageError):
        owner.client().keys.rotate(GUN, role, **options)  # type: ignore[arg-type]  # as parametrised
    assert "POST" not in world.requests()
    assert owner.key_files() == keys


def test_an_image_has_no_keys(owner: Person) -> None:
    with pytest.raises(InvalidNameError):
        owner.client().keys.rotate(f"{GUN}:1", "targets")


def test_without_the_root_key_nothing_is_made(world: World, owner: Person) -> None:
    root_id = owner.client().keys.find("root").keyid
    (owner.trust_dir / "private" / f"{root_id}.key").unlink()
    before = owner.key_files()
    for role, server in (("targets", False), ("timestamp", True)):
        with pytest.raises(KeyNotAuthorisedError) as caught:
            owner.client().keys.rotate(GUN, role, server_managed=server)
        assert caught.value.facts["accepted"] == [root_id]
    assert owner.key_files() == before
    assert not any(line.startswith("POST") for line in world.requests())


# -- what fails


def test_a_refusal_leaves_no_new_key(world: World, owner: Person) -> None:
    before, cache = owner.key_files(), owner.cache()
    body = b'{"errors":[{"code":"INVALID_UPDATE","message":"no","detail":"because"}]}'
    world.attacker.answer(Response(400, {}, body), method="POST")
    for role in ("root", "targets"):
        with pytest.raises(RefusedUpdateError):
            owner.client().keys.rotate(GUN, role)
    assert owner.key_files() == before
    assert owner.cache() == cache


def test_a_locked_root_key_leaves_no_new_key(owner: Person) -> None:
    before = owner.key_files()
    with pytest.raises(PassphraseWrongError):
        owner.client(passphrase="another passphrase").keys.rotate(GUN, "targets")
    assert owner.key_files() == before


def asked(world: World, owner: Person, answer: str) -> tuple[Client, list[str]]:
    """Return a client of the owner with a prompt that gets one answer always, and the questions."""
    questions = list[str]()

    def typed(text: str) -> str:
        questions.append(text)
        return answer

    settings, chain = owner.client().settings, PassphraseChain([], typed)
    client = Client(settings, passphrases=chain, transport=world.fake, clock=world.clock)
    return client, questions


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_the_root_key_is_opened_before_a_new_key_is_made(world: World, owner: Person, role: str) -> None:
    client, questions = asked(world, owner, PASSPHRASE)
    client.keys.rotate(GUN, role)
    of_root = [text for text in questions if text.startswith('Passphrase for key "root"')]
    assert of_root == questions[:1]
    assert any(text.startswith("New passphrase for") for text in questions)


def test_a_root_key_that_stays_locked_costs_no_new_passphrase(world: World, owner: Person) -> None:
    client, questions = asked(world, owner, "not the one")
    with pytest.raises(PassphraseWrongError):
        client.keys.rotate(GUN, "targets")
    assert not any(text.startswith("New passphrase for") for text in questions)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_a_lost_answer_is_looked_after(world: World, owner: Person, reader: Person, role: str) -> None:
    world.attacker.lose_answers(times=1)
    done = owner.client().keys.rotate(GUN, role)
    assert done.published
    assert done.new == (_key(_root(owner), role),)
    _still_works(world, owner, reader)


def test_a_new_key_stays_when_nobody_knows_what_happened(world: World, owner: Person) -> None:
    before = owner.key_files()
    world.attacker.lose_answers()
    world.attacker.before_upload(lambda: world.attacker.refuse_connections(method="GET"))
    with pytest.raises(NetworkError):
        owner.client(retry_for=1).keys.rotate(GUN, "root")
    assert len(owner.key_files() - before) == 1
    world.attacker.undo_hooks()
    (new,) = owner.key_files() - before
    assert f"{_key(_root(owner), roles.ROOT)}.key" == new


def test_a_new_key_stays_while_an_update_may_still_arrive(world: World, owner: Person) -> None:
    before, late = owner.key_files(), list[Request]()

    def hold(request: Request) -> Response | None:
        if request.method != "POST":
            return None
        if late:
            return Response(400, {}, b'{"errors":[{"code":"INVALID_UPDATE","message":"no"}]}')
        late.append(request)
        raise NetworkError("the connection was lost before the answer came", url=request.url)

    world.fake.before.append(hold)
    with pytest.raises(RefusedUpdateError) as caught:
        owner.client().keys.rotate(GUN, "root")
    assert any("the new key is kept" in line for line in caught.value.why)
    (new,) = owner.key_files() - before
    world.attacker.undo_hooks()
    world.fake.answer(late[0])
    assert f"{_key(_root(owner), roles.ROOT)}.key" == new
    owner.client().keys.rotate(GUN, "targets")


def test_an_update_that_is_not_served_is_no_success(world: World, owner: Person) -> None:
    before = owner.key_files()
    world.attacker.drop_uploads()
    with pytest.raises(VerificationError):
        owner.client().keys.rotate(GUN, "targets")
    assert len(owner.key_files() - before) == 1


def test_a_race_with_a_signer_is_won_on_the_second_try(world: World, owner: Person, reader: Person) -> None:
    other = world.person("another machine")
    (other.trust_dir / "private").mkdir(mode=0o700, parents=True)
    for path in (owner.trust_dir / "private").glob("*.key"):
        (other.trust_dir / "private" / path.name).write_bytes(path.read_bytes())
    world.push("2")
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    assert owner.client().keys.rotate(GUN, "root").published
    reader.client().verify(f"{GUN}:2")
    _still_works(world, owner, reader)


def test_a_file_with_several_keys_is_refused(world: World, owner: Person) -> None:
    path = world.base / "two.pem"
    path.write_bytes(pem_of(keyfile.generate()) + pem_of(keyfile.generate()))
    before = owner.key_files()
    with pytest.raises(UsageError, match="several keys"):
        owner.client().keys.rotate(GUN, "root", key=str(path))
    assert owner.key_files() == before
