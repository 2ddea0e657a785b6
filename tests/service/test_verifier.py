"""Kept verification: who is asked when, and which answer counts for whom."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from notarypy.client.parameters import Unverified, VerifyOptions
from notarypy.client.verdicts import SkippedImage, VerifiedImage
from notarypy.errors import (
    ConfigurationError,
    NetworkError,
    NotVerifiedError,
    OutOfScopeError,
    TagUnsignedError,
    UnreachableError,
    UsageError,
)
from notarypy.service.verifier import Unasked, Verdict
from support.author import GUN
from support.people import owned
from support.verifiers import SECONDS, Ticks, pin_of, pinned, verifier, write_policy

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.remote.http.messages import Request, Response
    from notarypy.service.verifier import Verifier
    from support.people import Person, World

HOST = GUN.partition("/")[0]


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world)
    for tag in "123":
        world.push(tag)
    owner.client().sign([f"{GUN}:{tag}" for tag in "123"])
    world.requests()
    return owner


@pytest.fixture
def policy(world: World, owner: Person) -> Path:
    path = write_policy(world.base / "policy.toml", pinned(pin_of(owner)), f'{HOST}/free\nmode = "skip"')
    world.requests()
    return path


def asked(verifier: Verifier, image: str, options: VerifyOptions | None = None) -> Verdict:
    return verifier.ask(image, options or VerifyOptions()).result(SECONDS)


def test_a_signed_image_is_verified_once_and_then_known(world: World, policy: Path) -> None:
    with closing(verifier(world, policy)) as service:
        first = asked(service, f"{GUN}:1")
        assert isinstance(first.image, VerifiedImage)
        assert (first.ok, first.image.tag) == (True, "1")
        assert world.requests() != []
        second = service.ask(f"{GUN}:1")
        assert second.done()
        assert second.result() is first
        assert world.requests() == []
        assert (service.questions, service.answered, service.looks) == (2, 1, 1)


def test_tags_of_one_repository_share_a_look(world: World, policy: Path) -> None:
    with closing(verifier(world, policy)) as service:
        futures = [service.ask(f"{GUN}:{tag}") for tag in "123" * 10]
        assert all(future.result(SECONDS).ok for future in futures)
        assert service.looks == 1
        assert [line for line in world.requests() if "timestamp" in line] == ["GET timestamp.json"]


def test_an_answer_counts_for_the_time_it_may_and_no_longer(
    world: World, owner: Person, policy: Path
) -> None:
    ticks = Ticks()
    with closing(verifier(world, policy, ticks=ticks)) as service:
        assert asked(service, f"{GUN}:1").ok
        owner.client().revoke([f"{GUN}:1"])
        ticks.now += 29.9
        assert asked(service, f"{GUN}:1").ok
        ticks.now += 0.1
        refused = asked(service, f"{GUN}:1")
        assert isinstance(refused.image, TagUnsignedError)
        ticks.now += 4.9
        assert asked(service, f"{GUN}:1") is refused
        ticks.now += 0.1
        assert asked(service, f"{GUN}:1") is not refused


def test_without_an_age_every_question_is_looked_into(world: World, policy: Path) -> None:
    ticks = Ticks()
    with closing(verifier(world, policy, ticks=ticks, max_age=0)) as service:
        for number in range(3):
            assert asked(service, f"{GUN}:1").ok
            assert service.looks == number + 1
            ticks.now += 0.001


def test_without_an_age_a_look_that_is_under_way_does_not_count(world: World, policy: Path) -> None:
    ticks, begun, go_on = Ticks(), threading.Event(), threading.Event()

    def slow(request: Request) -> Response | None:
        if "timestamp" in request.url:
            begun.set()
            assert go_on.wait(SECONDS)
        return None

    with closing(verifier(world, policy, ticks=ticks, max_age=0)) as service:
        world.fake.before.append(slow)
        first = service.ask(f"{GUN}:1")
        assert begun.wait(SECONDS)
        ticks.now += 1
        later = [service.ask(f"{GUN}:1"), service.ask(f"{GUN}:1"), service.ask(f"{GUN}:2")]
        go_on.set()
        assert all(future.result(SECONDS).ok for future in (first, *later))
        assert later[0].result() is later[1].result()
        assert first.result() is not later[0].result()
        assert service.looks in {2, 3}


def test_a_server_that_is_gone_refuses_and_is_asked_again_soon(world: World, policy: Path) -> None:
    ticks = Ticks()

    def gone(_: Request) -> Response | None:
        raise UnreachableError("gone")

    with closing(verifier(world, policy, ticks=ticks)) as service:
        assert asked(service, f"{GUN}:1").ok
        world.fake.before.append(gone)
        ticks.now += 30
        refused = asked(service, f"{GUN}:1")
        assert isinstance(refused.image, NetworkError)
        asked_once = len(world.requests())
        assert asked(service, f"{GUN}:1") is refused
        assert isinstance(asked(service, f"{GUN}:2").image, NetworkError)
        assert len(world.requests()) == 0 < asked_once
        world.fake.before.clear()
        ticks.now += 5.001
        assert asked(service, f"{GUN}:1").ok


def test_what_the_policy_skips_is_asked_of_nobody(world: World, policy: Path) -> None:
    digest = world.push("1", path="free")
    with closing(verifier(world, policy)) as service:
        passed = service.ask(f"{HOST}/free:1")
        assert passed.done()
        assert isinstance(passed.result().image, Unasked)
        assert isinstance(passed.result().warnings[0], Unverified)
        by_digest = service.ask(f"{HOST}/free@{digest}").result(0)
        assert isinstance(by_digest.image, SkippedImage)
        assert world.requests() == []
        resolved = service.ask(f"{HOST}/free:1", resolve=True).result(SECONDS)
        assert isinstance(resolved.image, SkippedImage)
        assert resolved.image.digest == digest
        required = service.ask(f"{HOST}/free:1", VerifyOptions(signers=["alice"])).result(0)
        assert isinstance(required.image, NotVerifiedError)


def test_what_no_scope_names_is_refused_at_once(world: World, policy: Path) -> None:
    with closing(verifier(world, policy)) as service:
        refused = service.ask("other.test/app:1").result(0)
        assert isinstance(refused.image, OutOfScopeError)
        assert not service.ask("not an image").result(0).ok
        assert world.requests() == []


def test_every_scope_has_to_pin_its_roots(world: World, policy: Path) -> None:
    write_policy(policy, f"{HOST}/a\nfirst_use = true", f"{HOST}/b", f'{HOST}/c\nmode = "skip"')
    with pytest.raises(ConfigurationError) as caught:
        verifier(world, policy)
    assert caught.value.why == (
        f'scope "{HOST}/a" trusts on first use',
        f'scope "{HOST}/b" pins no root',
    )


def test_a_verifier_that_may_ask_no_server_is_none(world: World, policy: Path) -> None:
    with pytest.raises(UsageError, match="a service asks servers"):
        verifier(world, policy, offline=True)


def test_nothing_is_left_when_it_is_closed(world: World, policy: Path) -> None:
    service = verifier(world, policy)
    assert asked(service, f"{GUN}:1").ok
    service.close()
    assert service.ready() != ""
    assert not asked(service, f"{GUN}:3").ok
    assert [thread.name for thread in threading.enumerate() if "verifier" in thread.name] == []
