from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.devserver.calls import form_parts
from notarypy.errors import (
    KeyNotAuthorisedError,
    NotarypyError,
    StorageError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
)
from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical, roles
from support.author import GUN
from support.people import copy_of, owned, released_tags
from support.scripted import body_of

if TYPE_CHECKING:
    from notarypy.remote.http.messages import Request
    from support.people import Person, World


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world, "jeff")
    world.push("1")
    return owner


def _posts(world: World) -> int:
    return world.requests().count("POST")


# -- the answer is 200


def test_an_upload_that_was_thrown_away_is_no_success(world: World, owner: Person) -> None:
    before = owner.cache()
    world.attacker.drop_uploads()
    with pytest.raises(UnconfirmedPublishError, match="does not serve it"):
        owner.client().sign([f"{GUN}:1"])
    assert owner.cache() == before
    world.attacker.undo_hooks()
    assert owner.client().sign([f"{GUN}:1"])[0].published


def test_an_upload_that_is_served_by_its_version_alone_is_no_success(world: World, owner: Person) -> None:
    """Readers follow the snapshot, which still names the old files."""
    hidden: dict[str, bytes] = {}

    def take(request: Request) -> Response | None:
        name = request.url.rpartition("/_trust/tuf/")[2]
        if request.method == "POST" and not name:
            for part in form_parts(request.headers["Content-Type"], body_of(request)):
                version = canonical.decode(part.data)["signed"]["version"]
                hidden[f"{version}.{part.filename}.json"] = part.data
            return Response(200)
        return Response(200, {}, hidden[name]) if name in hidden else None

    world.fake.before.append(take)
    with pytest.raises(UnconfirmedPublishError):
        owner.client().sign([f"{GUN}:1"])
    assert sorted(hidden) == ["1.targets/jeff.json", "1.targets/releases.json"]


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

    owner_two = copy_of(world, owner)
    world.fake.after.append(overtake)
    [done] = owner_two.client().sign([f"{GUN}:1"])
    assert done.published
    assert overtaken
    assert released_tags(world) == {"1", "2"}


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
    assert released_tags(world) == {"1"}


# -- on this machine


def test_a_directory_without_room_for_a_lock_still_publishes(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, *_: object) -> None:
        raise StorageError(f"cannot lock {path}")

    monkeypatch.setattr("notarypy.files.locked", refuse)
    assert owner.client().sign([f"{GUN}:1"])[0].published
    assert any("without waiting" in warning for warning in owner.warnings)
    assert released_tags(world) == {"1"}


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
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign the snapshot") as caught:
        bob.client().sign([f"{GUN}:1"])
    assert caught.value.facts["role"] == roles.SNAPSHOT
    assert advice(caught.value).endswith(f"notarypy key rotate {GUN} snapshot --server-managed")


def test_every_error_of_a_publish_is_ours(world: World, owner: Person) -> None:
    for status in (200, 204, 301, 404, 409, 413, 418, 429, 503):
        world.attacker.answer(Response(status, {}, b"\xff<html>"), method="POST")
        with pytest.raises(NotarypyError):
            owner.client(retry_for=0).sign([f"{GUN}:1"])
        world.attacker.undo_hooks()
    assert roles.RELEASES not in world.person("reader").client().refresh(GUN).targets
