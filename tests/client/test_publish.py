from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.client.publish import Patience, Publisher
from notarypy.client.sign import Options, sign
from notarypy.errors import (
    AuthenticationError,
    ConflictError,
    KeyNotAuthorisedError,
    NetworkError,
    NotarypyError,
    RefusedUpdateError,
    StorageError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
    UnreachableError,
    VerificationError,
)
from notarypy.images.manifests import OCI_MANIFEST, Manifest, digest_of
from notarypy.remote.transport import Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import manifest, owned

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import SignedTag
    from notarypy.devserver.core import Before
    from notarypy.remote.transport import Request
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world, "jeff")
    world.push("1")
    return owner


def _image(tag: str) -> Manifest:
    data = manifest(tag)
    return Manifest(OCI_MANIFEST, digest_of(data), len(data))


def _publish(client: Client, patience: Patience, tag: str = "1") -> list[SignedTag]:
    """Sign as `Client.sign` does, with a patience of our own."""
    publisher: Publisher = client._session.publisher(GUN)  # noqa: SLF001 - time is not a setting
    return sign(replace(publisher, patience=patience), {tag: _image(tag)}, Options())


def _posts(world: World) -> int:
    return world.requests().count("POST")


def _tags(world: World) -> set[str]:
    return set(world.person("reader").client().refresh(GUN).targets[roles.RELEASES].targets)


# -- the answer is 200


def test_an_upload_that_was_thrown_away_is_no_success(world: World, owner: Person) -> None:
    before = owner.cache()
    world.attacker.drop_uploads()
    with pytest.raises(UnconfirmedPublishError, match="does not serve it"):
        owner.client().sign([f"{GUN}:1"])
    assert owner.cache() == before
    world.attacker.undo_hooks()
    assert owner.client().sign([f"{GUN}:1"])[0].published


@pytest.mark.parametrize("role", ["targets/jeff", "targets/releases"])
def test_a_mangled_upload_is_no_success(world: World, owner: Person, role: str) -> None:
    before = owner.cache()
    world.attacker.mangle_uploads(lambda name, data: data.replace(b'"1":', b'"9":') if name == role else data)
    with pytest.raises(UnconfirmedPublishError) as caught:
        owner.client().sign([f"{GUN}:1"])
    assert any(role in line for line in caught.value.why)
    assert owner.cache().get(role) == before.get(role)


def test_an_upload_replaced_by_an_older_file_is_no_success(world: World, owner: Person) -> None:
    owner.client().sign([f"{GUN}:1"])
    old = {role: world.attacker.current(GUN, role) for role in ("targets/jeff", roles.RELEASES)}
    world.push("2")
    world.attacker.mangle_uploads(lambda name, _: old[name])
    with pytest.raises(UnconfirmedPublishError):
        owner.client().sign([f"{GUN}:2"])


def test_a_mangled_upload_with_an_own_snapshot_is_no_success(world: World) -> None:
    owner = world.person()
    owner.client().init(GUN, snapshot="local")
    world.push("1")
    before = owner.cache()
    world.attacker.mangle_uploads(lambda _, data: data.replace(b'"1":', b'"9":'))
    with pytest.raises(UnconfirmedPublishError):
        owner.client().sign([f"{GUN}:1"])
    assert owner.cache() == before


def test_a_publisher_right_behind_us_does_not_hide_our_success(world: World, owner: Person) -> None:
    world.push("2")
    overtaken: list[bool] = []

    def overtake(_: object, response: Response) -> Response:
        if not overtaken and response.status == 200 and world.fake.requests[-1].method == "POST":
            overtaken.append(True)
            owner.client().sign([f"{GUN}:2"])
        return response

    owner_two = _copy_of(world, owner)
    world.fake.after.append(overtake)
    [done] = owner_two.client().sign([f"{GUN}:1"])
    assert done.published
    assert overtaken
    assert _tags(world) == {"1", "2"}


def test_a_server_that_dies_after_the_upload_leaves_the_outcome_open(world: World, owner: Person) -> None:
    client = owner.client()
    client.refresh(GUN)

    def die(_: object, response: Response) -> Response:
        if world.fake.requests[-1].method == "POST":
            world.attacker.refuse_connections()
        return response

    world.fake.after.append(die)
    with pytest.raises(UnknownOutcomeError, match="reading it back failed") as caught:
        client.sign([f"{GUN}:1"])
    assert caught.value.retryable
    world.attacker.undo_hooks()
    assert not owner.client().sign([f"{GUN}:1"])[0].published
    assert _tags(world) == {"1"}


# -- there is no answer


def test_a_lost_answer_to_what_landed_is_a_success(world: World, owner: Person) -> None:
    world.attacker.lose_answers(times=1)
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert _posts(world) == 1
    assert _tags(world) == {"1"}


def test_a_lost_upload_is_sent_again(world: World, owner: Person) -> None:
    _lose_uploads(world, 1)
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert _posts(world) == 2
    assert _tags(world) == {"1"}


def test_uploads_that_are_lost_again_and_again_end_in_an_error(world: World, owner: Person) -> None:
    before = owner.cache()
    _lose_uploads(world, 99)
    with pytest.raises(NetworkError):
        owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 3
    assert owner.cache() == before


def test_a_lost_answer_without_a_look_leaves_the_outcome_open(world: World, owner: Person) -> None:
    world.attacker.lose_answers(times=1)
    world.attacker.before_upload(lambda: world.attacker.refuse_connections(method="GET"))
    with pytest.raises(UnknownOutcomeError, match="nobody can say") as caught:
        owner.client().sign([f"{GUN}:1"])
    assert caught.value.exit_code == 8


def test_an_upload_that_found_no_connection_was_certainly_not_sent(world: World, owner: Person) -> None:
    world.attacker.refuse_connections(method="POST")
    with pytest.raises(UnreachableError):
        owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 1


def test_a_server_error_is_looked_into(world: World, owner: Person) -> None:
    world.attacker.answer(Response(500), method="POST", times=1)
    assert owner.client().sign([f"{GUN}:1"])[0].published


def _lose_uploads(world: World, times: int) -> None:
    left = [times]

    def break_off() -> None:
        left[0] -= 1
        raise NetworkError("the connection was lost")

    world.attacker.before_upload(break_off, times)


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
    other = _copy_of(world, owner)
    world.push("2")
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.published
    assert _tags(world) == {"1", "2"}


def test_a_conflict_with_the_same_wish_is_nothing_to_publish(world: World, owner: Person) -> None:
    other = _copy_of(world, owner)
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:1"]))
    [done] = owner.client().sign([f"{GUN}:1"])
    assert not done.published
    assert _tags(world) == {"1"}


def test_a_retry_asks_for_no_passphrase_again(world: World, owner: Person) -> None:
    other = _copy_of(world, owner)
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
    assert _tags(world) == {"2"}


def test_losing_until_the_deadline_is_a_conflict(world: World, owner: Person) -> None:
    other = _copy_of(world, owner)
    time, pauses, tags = [0.0], [], iter(range(100))

    def overtake() -> None:
        tag = f"other{next(tags)}"
        world.push(tag)
        other.client().sign([f"{GUN}:{tag}"])

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time[0] += seconds

    world.attacker.before_upload(overtake, 200)
    # The other one's uploads would overtake themselves.
    world.fake.before[-1] = _only_outermost(world.fake.before[-1])
    patience = Patience(6.0, lambda: time[0], sleep, lambda: 1.0)
    with pytest.raises(ConflictError) as caught:
        _publish(owner.client(), patience)
    assert caught.value.exit_code == 9
    assert caught.value.facts["tries"] == len(pauses) + 1
    assert pauses == sorted(pauses)
    assert max(pauses) == 2.0
    assert 6.0 < sum(pauses) < 9.0


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
    other = _copy_of(world, owner)
    world.push("2")
    world.attacker.before_upload(lambda: other.client().sign([f"{GUN}:2"]))
    ticks = iter(range(100))
    with pytest.raises(ConflictError):
        _publish(owner.client(), Patience(0.0, lambda: float(next(ticks)), lambda _: None, lambda: 1.0))


def test_what_a_conflict_brings_is_verified_too(world: World, owner: Person) -> None:
    def tamper() -> None:
        data = world.attacker.current(GUN, roles.TARGETS)
        world.attacker.publish(GUN, {roles.TARGETS: data.replace(b"jeff", b"eve0")})

    before = owner.cache()
    world.attacker.before_upload(tamper)
    with pytest.raises((VerificationError, RefusedUpdateError)):
        owner.client().sign([f"{GUN}:1"])
    assert owner.cache() == before


# -- on this machine


def test_a_directory_without_room_for_a_lock_still_publishes(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, *_: object) -> None:
        raise StorageError(f"cannot lock {path}")

    monkeypatch.setattr("notarypy.files.locked", refuse)
    assert owner.client().sign([f"{GUN}:1"])[0].published
    assert any("without waiting" in warning for warning in owner.warnings)
    assert _tags(world) == {"1"}


def test_an_own_snapshot_goes_along_and_lists_everything(world: World) -> None:
    owner = world.person()
    owner.client().init(GUN, snapshot="local")
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    world.push("1")
    world.requests()
    owner.client().sign([f"{GUN}:1"])
    assert _posts(world) == 1
    meta = owner.client().refresh(GUN).snapshot.meta
    assert set(meta) == {roles.ROOT, roles.TARGETS, roles.RELEASES, "targets/jeff"}
    assert owner.client().refresh(GUN).snapshot.version == 3


def test_a_delegate_cannot_publish_over_a_snapshot_kept_elsewhere(world: World) -> None:
    owner, bob = world.person(), world.person("bob")
    owner.client().init(GUN, snapshot="local")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1")
    with pytest.raises(RefusedUpdateError) as caught:
        bob.client().sign([f"{GUN}:1"])
    assert any("snapshot" in line for line in caught.value.why)


def test_every_error_of_a_publish_is_ours(world: World, owner: Person) -> None:
    for status in (200, 204, 301, 404, 409, 413, 418, 429, 503):
        world.attacker.answer(Response(status, {}, b"\xff<html>"), method="POST")
        with pytest.raises(NotarypyError):
            owner.client(retry_for=0).sign([f"{GUN}:1"])
        world.attacker.undo_hooks()
    assert roles.RELEASES not in world.person("reader").client().refresh(GUN).targets


def _copy_of(world: World, person: Person) -> Person:
    """Return somebody with the same keys and another cache."""
    import shutil

    other = world.person(f"copy of {person.trust_dir.name}")
    shutil.copytree(person.trust_dir / "private", other.trust_dir / "private")
    return other
