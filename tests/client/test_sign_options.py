from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    ConfigurationError,
    ExpiredError,
    KeyNotAuthorisedError,
    RepositoryMissingError,
    VerificationError,
)
from notarypy.tuf import roles
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from support.people import Person, World

OTHER_GUN = "registry.test/team/other"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


# -- options


def test_without_trust_data_the_fix_is_init(world: World) -> None:
    world.push("1")
    alice = world.person()
    with pytest.raises(RepositoryMissingError) as caught:
        alice.client().sign([f"{GUN}:1"])
    assert advice(caught.value).startswith(
        f"the first time: notarypy sign --init {GUN}:TAG, or notarypy init {GUN};"
    )
    assert alice.key_files() == set()


def test_init_makes_the_trust_data_first(world: World) -> None:
    world.push("1")
    alice = world.person()
    [done] = alice.client().sign([f"{GUN}:1"], init=True)
    assert done.published
    assert alice.client().sign([f"{GUN}:1"], init=True)[0].published is False


def test_a_dry_run_checks_and_publishes_nothing(world: World, owner: Person) -> None:
    old = world.push("1", "old")
    owner.client().sign([f"{GUN}:1"])
    world.push("1", "new")
    before = owner.cache()
    world.requests()
    [done] = owner.client().sign([f"{GUN}:1"], dry_run=True)
    assert (done.published, done.previous) == (False, old)
    assert "POST" not in world.requests()
    assert owner.cache() == before
    with pytest.raises(KeyNotAuthorisedError):
        world.person("stranger").client().sign([f"{GUN}:1"], dry_run=True)


def test_a_dry_run_with_init_makes_nothing(world: World) -> None:
    world.push("1")
    alice = world.person()
    assert alice.client().sign([f"{GUN}:1"], init=True, dry_run=True)[0].published is False
    assert alice.key_files() == set()


def test_custom_data_is_attached_and_kept(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"], custom=b'{"b": [1, null], "a": "\xc3\xa9"}')
    entry = owner.client().refresh(GUN).targets[roles.RELEASES].targets["1"]
    assert entry.custom == {"b": [1, None], "a": "é"}
    assert owner.client().sign([f"{GUN}:1"])[0].published is False
    assert owner.client().sign([f"{GUN}:1"], custom=b'{"c":1}')[0].published is True
    assert owner.client().refresh(GUN).targets["targets/jeff"].targets["1"].custom == {"c": 1}


@pytest.mark.parametrize(
    "custom",
    [
        b"",
        b"{",
        b"1.5",
        b"null",
        b'{"a":1,"a":2}',
        b'"<"',
        b'"&"',
        b'"\\u0001"',
        b'"\\u2028"',
        b"NaN",
        b'1,"x":2',
    ],
)
def test_custom_data_that_go_would_write_differently_is_refused(
    world: World, owner: Person, custom: bytes
) -> None:
    world.push("1")
    world.requests()
    with pytest.raises(ConfigurationError):
        owner.client().sign([f"{GUN}:1"], custom=custom)
    assert world.requests() == []


@pytest.mark.parametrize("custom", [b'{"a":1.5}', b'{"a":9007199254740993}'])
def test_a_number_that_programs_read_differently_is_called_that(owner: Person, custom: bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        owner.client().sign([f"{GUN}:1"], custom=custom)
    assert "custom data has a number that cannot be used" in caught.value.why
    assert not any("valid JSON" in line for line in caught.value.why)


def test_a_dry_run_in_a_new_repository_says_what_would_be_made(world: World) -> None:
    alice, digest = world.person("newcomer"), world.push("1")
    world.requests()
    [done] = alice.client().sign([f"{GUN}:1"], init=True, dry_run=True)
    assert (done.digest, done.roles, done.published, done.already) == (digest, ("targets",), False, False)
    assert any("would be initialised" in warning for warning in alice.warnings)
    assert "POST" not in world.requests()
    with pytest.raises(RepositoryMissingError):
        alice.client().sign([f"{GUN}:1"], dry_run=True)


def test_many_paths_are_not_all_named(world: World) -> None:
    alice = world.person("alice")
    alice.client().init(GUN)
    paths = [f"v{number}-" for number in range(300)]
    alice.client().add_signer("jeff", GUN, [alice.key("jeff")], paths=paths)
    world.push("x")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        alice.client().sign([f"{GUN}:x"])
    assert any(line.endswith("v9-, and 290 more") for line in caught.value.why)


def test_a_file_that_cannot_be_trusted_is_written_over_only_on_request(world: World, owner: Person) -> None:
    world.push("1")
    world.push("2")
    owner.client().sign([f"{GUN}:1"])
    jeff = world.attacker.current(GUN, "targets/jeff")
    world.attacker.publish(GUN, {"targets/jeff": jeff.replace(b'"1":{', b'"0":{')})
    before = world.fake.notary.store.current(GUN, "targets/jeff")
    with pytest.raises(VerificationError):
        owner.client().sign([f"{GUN}:2"])
    assert world.fake.notary.store.current(GUN, "targets/jeff") == before
    [done] = owner.client().sign([f"{GUN}:2"], discard_unverified=True)
    assert done.published
    trusted = world.person("reader").client().refresh(GUN)
    assert trusted.failures == {}
    assert set(trusted.targets["targets/jeff"].targets) == {"2"}
    assert set(trusted.targets[roles.RELEASES].targets) == {"1", "2"}


def test_an_expired_repository_is_not_signed(world: World, owner: Person) -> None:
    world.push("1")
    world.clock.advance(timedelta(days=3 * 365 + 1))
    with pytest.raises(ExpiredError):
        owner.client().sign([f"{GUN}:1"])
    assert "POST" not in world.requests()


def test_changes_staged_by_go_notary_are_counted_and_left_alone(world: World, owner: Person) -> None:
    staged = owner.trust_dir / "tuf" / GUN / "changelist" / "1_a.change"
    staged.parent.mkdir()
    staged.write_bytes(b"{}")
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    assert any(warning.startswith("1 change") for warning in owner.warnings)
    assert staged.read_bytes() == b"{}"
