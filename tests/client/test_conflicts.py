from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.client.parameters import SignOptions
from notarypy.client.publish.pipeline import Patience, Publisher, publisher_for
from notarypy.client.publish.signing import sign
from notarypy.errors import (
    AuthenticationError,
    ConflictError,
    KeyNotAuthorisedError,
    RefusedUpdateError,
    VerificationError,
)
from notarypy.images.manifests import OCI_MANIFEST, Manifest, digest_of
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support.author import GUN
from support.people import copy_of, manifest, owned, released_tags

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import SignedTag
    from notarypy.devserver.core import Before
    from notarypy.remote.http.messages import Request
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
    publisher: Publisher = publisher_for(client._session, GUN)  # noqa: SLF001 - time is not a setting
    return sign(replace(publisher, patience=patience), {tag: _image(tag)}, SignOptions())


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
    other = copy_of(world, owner)
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
