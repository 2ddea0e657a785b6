"""What counts on, and what does not: dates, policies, disks, other verifiers, and looks ahead of time."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.errors import (
    ConfigurationError,
    ExpiredError,
    NetworkError,
    OutOfScopeError,
    RollbackError,
    RootNotPinnedError,
    StorageError,
    TagUnsignedError,
)
from notarypy.tuf import roles
from support.author import GUN
from support.people import owned
from support.verifiers import SECONDS, Ticks, pin_of, pinned, until, verifier, write_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from notarypy.service.verifier import Verdict, Verifier
    from support.people import Person, World

OTHER_PIN = "0" * 64


@pytest.fixture
def owner(world: World) -> Person:
    owner = owned(world)
    for tag in "12":
        world.push(tag)
    owner.client().sign([f"{GUN}:1"])
    return owner


@pytest.fixture
def policy(world: World, owner: Person) -> Path:
    path = write_policy(world.base / "policy.toml", pinned(pin_of(owner)))
    world.requests()
    return path


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def service(world: World, policy: Path, ticks: Ticks) -> Iterator[Verifier]:
    with closing(verifier(world, policy, ticks=ticks)) as service:
        yield service


def asked(verifier: Verifier, image: str = f"{GUN}:1") -> Verdict:
    return verifier.ask(image).result(SECONDS)


def test_two_verifiers_agree_within_the_age(world: World, owner: Person, policy: Path, ticks: Ticks) -> None:
    with (
        closing(verifier(world, policy, ticks=ticks)) as one,
        closing(verifier(world, policy, ticks=ticks, name="other")) as two,
    ):
        assert isinstance(asked(one, f"{GUN}:2").image, TagUnsignedError)
        assert asked(one).ok
        ticks.now += 20
        owner.client().sign([f"{GUN}:2"])
        owner.client().revoke([f"{GUN}:1"])
        assert asked(two, f"{GUN}:2").ok  # it looks for the first time
        ticks.now += 29.9
        for service in (one, two):
            assert (asked(service).ok, asked(service, f"{GUN}:2").ok) == (False, True)


def test_a_date_ends_a_verdict_before_its_time(world: World, service: Verifier, ticks: Ticks) -> None:
    first = asked(service).image
    assert not isinstance(first, Exception)
    world.fake.notary.renews = False
    timestamp = world.person("owner").client().refresh(GUN).timestamp.expires
    world.clock.now = timestamp - timedelta(seconds=10)
    ticks.now += 31
    assert asked(service).ok
    world.clock.advance(timedelta(seconds=11))
    ticks.now += 11
    assert isinstance(asked(service).image, ExpiredError)


def test_a_verdict_that_ends_soon_is_looked_into_while_nobody_waits(
    world: World, service: Verifier, ticks: Ticks
) -> None:
    before = asked(service)
    ticks.now += 19.9
    assert asked(service) is before
    assert service.inquiries.ahead == 0
    ticks.now += 0.2
    assert service.ask(f"{GUN}:1").result(0) is before
    until(lambda: asked(service) is not before)
    assert (service.inquiries.ahead, service.looks) == (1, 2)
    ticks.now += 15
    world.requests()
    assert service.ask(f"{GUN}:1").result(0).ok
    assert world.requests() == []


def test_looks_ahead_leave_time_for_those_who_ask(owner: Person, service: Verifier, ticks: Ticks) -> None:
    owner.client().sign([f"{GUN}:2"])
    tags = [f"{GUN}:1", f"{GUN}:2"]
    before = [asked(service, tag) for tag in tags]
    ticks.now += 25
    service.inquiries.pause(0.5)
    assert [asked(service, tag) for tag in tags] == before
    assert service.inquiries.ahead == 0
    ticks.now += 2.1
    assert [asked(service, tag) for tag in tags] == before
    assert service.inquiries.ahead == 1
    until(lambda: asked(service, tags[0]) is not before[0])
    ticks.now += 1
    until(lambda: asked(service, tags[1]) is not before[1])
    assert service.inquiries.ahead == 2


def test_a_look_ahead_that_meets_no_server_ends_nothing(
    world: World, service: Verifier, ticks: Ticks
) -> None:
    before = asked(service)
    world.attacker.refuse_connections()
    ticks.now += 25
    assert asked(service) is before
    until(lambda: service.inquiries.refused == 1)
    assert asked(service) is before
    ticks.now += 5
    assert isinstance(asked(service).image, NetworkError)


def test_a_look_ahead_that_finds_something_wrong_counts_at_once(
    owner: Person, service: Verifier, ticks: Ticks
) -> None:
    before = asked(service)
    owner.client().revoke([f"{GUN}:1"])
    ticks.now += 25
    assert asked(service) is before
    until(lambda: not asked(service).ok)


def test_what_cannot_be_stored_stays_a_floor(
    world: World, owner: Person, service: Verifier, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server goes back to what it had before; nothing on this full disk would tell."""
    old = {role: world.attacker.current(GUN, role) for role in roles.BASE_ROLES}

    def full(path: Path, *_: object, **__: object) -> None:
        raise StorageError(f"cannot write {path}", why="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", full)
        owner.client().sign([f"{GUN}:2"])
        found = asked(service, f"{GUN}:2")
        assert found.ok
        assert any("the trust directory was not updated" in warning for warning in found.warnings)
        assert world.person("service").cache() == {}
        new = {role: world.attacker.current(GUN, role) for role in roles.BASE_ROLES}
        for role, data in old.items():
            world.attacker.replace(GUN, role, data)
        ticks.now += 31
        assert isinstance(asked(service).image, RollbackError)
        for role, data in new.items():
            world.attacker.replace(GUN, role, data)
        ticks.now += 31
        assert asked(service).ok
    ticks.now += 31
    assert asked(service).ok  # and now there is room
    assert world.person("service").cache()[roles.TIMESTAMP] == new[roles.TIMESTAMP]
    assert service.numbers()["unstored_bytes"] == 0


def test_the_policy_counts_anew_when_its_file_changes(owner: Person, policy: Path, service: Verifier) -> None:
    assert asked(service).ok
    assert not service.look_at_policy()
    write_policy(policy, pinned(OTHER_PIN))
    assert service.look_at_policy()
    assert isinstance(asked(service).image, RootNotPinnedError)
    write_policy(policy, pinned(pin_of(owner), "other.test"))
    assert service.look_at_policy()
    assert isinstance(asked(service).image, OutOfScopeError)
    assert service.policies == 3


@pytest.mark.parametrize("text", ["[scope", '[scope."other.test"]\nfirst_use = true\n', None])
def test_a_policy_that_cannot_be_served_leaves_the_old_one(
    policy: Path, service: Verifier, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert asked(service).ok
    good = policy.read_text()
    if text is None:
        policy.unlink()
    else:
        policy.write_text(text)
    assert not service.look_at_policy()
    assert not service.look_at_policy()
    assert len([record for record in caplog.records if "counts on" in record.getMessage()]) == 1
    assert str(policy) in service.complaint
    assert asked(service).ok
    assert service.ready() == ""
    policy.write_text(good)
    assert not service.look_at_policy()
    assert service.complaint == ""


def test_files_that_the_policy_names_are_held_with_it(world: World, owner: Person, policy: Path) -> None:
    root = owner.client().refresh(GUN).root
    certificate = root.keys[root.roles[roles.ROOT].keyids[0]].public
    pem = world.base / "root.pem"
    with pytest.raises(ConfigurationError, match="no root can be pinned by"):
        verifier(world, write_policy(policy, f'{GUN}\nroots.certificates = ["root.pem"]'))
    pem.write_bytes(certificate)
    with closing(verifier(world, policy, max_age=0)) as service:
        assert asked(service).ok
        pem.write_bytes(b"no certificate")
        assert not service.look_at_policy()
        assert "root.pem" in service.complaint
        assert asked(service).ok
        pem.write_bytes(certificate + b"\n")
        assert service.look_at_policy()
        assert asked(service).ok


def test_files_are_looked_at_in_a_thread_that_ends(service: Verifier) -> None:
    service.watch()
    names = {thread.name for thread in threading.enumerate()}
    assert "notarypy-verifier-policy" in names
    service.close()
    assert "notarypy-verifier-policy" not in {thread.name for thread in threading.enumerate()}
