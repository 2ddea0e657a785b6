"""What counts on, and what does not: dates, policies, disks, other verifiers, and looks ahead of time."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.client.parameters import VerifyOptions
from notarypy.client.verdicts import VerifiedImage
from notarypy.devserver import notaryservice
from notarypy.errors import (
    ConfigurationError,
    ExpiredError,
    NetworkError,
    OutOfScopeError,
    RollbackError,
    RootChangedError,
    RootNotPinnedError,
    StorageError,
    TagUnsignedError,
    TooOldError,
)
from notarypy.limits import Limits
from notarypy.service import serving
from notarypy.service.servicesession import RememberingDirectory
from notarypy.service.verifier import ANY, Elapsed
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import envelope, roles
from notarypy.tuf.envelope import Signature
from support.author import GUN, NOW
from support.cosigner import Cosigner
from support.people import REGISTRY_PATH, publishing
from support.verifiers import SECONDS, Ticks, pin_of, pinned, until, verifier, write_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from notarypy.service.verifier import Verdict, Verifier
    from support.people import Person, World

OTHER_PIN = "0" * 64
ALONE = VerifyOptions(registry=False)


def _release(world: World, owner: Person) -> None:
    for tag in "12":
        world.push(tag)
    owner.client().sign([f"{GUN}:1"])


@pytest.fixture
def owner(world: World) -> Person:
    return publishing(world, _release)


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


def asked(verifier: Verifier, image: str = f"{GUN}:1", options: VerifyOptions = ANY) -> Verdict:
    return verifier.ask(image, options).result(SECONDS)


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


def test_newer_metadata_of_a_kept_look_has_its_own_dates(
    world: World, owner: Person, service: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's new timestamp ends before the image is judged: a refusal, and no endless looks."""
    assert asked(service).ok
    monkeypatch.setattr(notaryservice, "TIMESTAMP_LIFE", timedelta(seconds=0.5))
    owner.client().sign([f"{GUN}:2"])
    world.fake.notary.renews = False
    world.fake.before.append(lambda asked: world.clock.advance(timedelta(seconds="/manifests/" in asked.url)))
    before = service.numbers()["kept_metadata_bytes"]
    found = asked(service, f"{GUN}:2")
    assert isinstance(found.image, ExpiredError)
    assert service.looks == 1
    assert service.numbers()["kept_metadata_bytes"] > before
    assert isinstance(asked(service, f"{GUN}:3").image, ExpiredError)  # what was kept counts no longer
    assert service.looks == 2


def test_what_was_just_signed_is_not_refused_by_what_was_known(
    owner: Person, service: Verifier, ticks: Ticks
) -> None:
    """A refusal rests on a look of five seconds at most; names that nobody signed cost one look in these."""
    unsigned = [f"{GUN}:{number}" for number in range(10, 20)]
    assert not any(asked(service, image).ok for image in unsigned)
    assert service.looks == 1
    ticks.now += 4.9
    assert not any(asked(service, image).ok for image in unsigned)
    assert service.looks == 1
    owner.client().sign([f"{GUN}:2"])
    ticks.now += 0.1
    assert asked(service, f"{GUN}:2").ok
    assert service.looks == 2
    assert not any(asked(service, image).ok for image in unsigned)
    assert service.looks == 2
    ticks.now += 20
    assert asked(service, f"{GUN}:2").ok
    assert service.looks == 2
    futures = [service.ask(image) for image in unsigned]
    assert not any(future.result(SECONDS).ok for future in futures)
    assert service.looks == 3


@pytest.mark.parametrize("other", ["2", "3"])
@pytest.mark.parametrize("options", [ANY, ALONE], ids=["compared", "alone"])
def test_what_was_signed_anew_counts_as_soon_as_it_was_seen(
    world: World, owner: Person, service: Verifier, other: str, options: VerifyOptions
) -> None:
    """Whichever question shows it the newer files; and no cache is blamed for what it kept itself."""
    before = asked(service, options=options).image
    digest = world.push("1", "other content")
    owner.client().sign([f"{GUN}:1", f"{GUN}:2"])
    shown = asked(service, f"{GUN}:{other}", options)
    assert shown.ok == (other == "2")
    assert not any("a cache between" in warning for warning in shown.warnings)
    after = asked(service, options=options).image
    assert isinstance(before, VerifiedImage)
    assert isinstance(after, VerifiedImage)
    assert before.digest != after.digest == digest
    assert isinstance(asked(service, f"{GUN}@{before.digest}", options).image, TagUnsignedError)


@pytest.mark.parametrize("kind", ["timestamp", "signatures"])
def test_an_age_of_the_policy_ends_a_verdict_before_its_time(
    world: World, owner: Person, ticks: Ticks, kind: str
) -> None:
    world.fake.notary.renews = False
    policy = write_policy(world.base / "aged.toml", pinned(pin_of(owner), GUN, f'max_age.{kind} = "12s"'))
    with closing(verifier(world, policy, ticks=ticks, max_age=3600)) as service:
        before = asked(service)
        world.clock.advance(timedelta(seconds=11))
        assert asked(service) is before
        assert before.ok
        world.clock.advance(timedelta(seconds=2))
        assert isinstance(asked(service).image, TooOldError)
        assert isinstance(asked(service).image, TooOldError)
        assert service.looks == 2


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


def test_one_look_that_finds_the_same_is_enough_for_all_images_that_rest_on_it_alone(
    owner: Person, service: Verifier, ticks: Ticks
) -> None:
    owner.client().sign([f"{GUN}:2"])
    first, second = (asked(service, f"{GUN}:{tag}", ALONE) for tag in "12")
    compared = asked(service, f"{GUN}:2")
    for looks in (2, 3, 4):
        ticks.now += 31
        assert asked(service, f"{GUN}:1", ALONE) is not first  # it waited for the look
        assert asked(service, f"{GUN}:2", ALONE) is second
        assert service.looks == looks
        assert asked(service, f"{GUN}:2") is not compared
    ticks.now += 29.9
    assert service.known(f"{GUN}:2", ALONE) is second
    ticks.now += 0.2
    assert service.known(f"{GUN}:2", ALONE) is None


def test_one_look_ahead_is_enough_for_all_images_that_rest_on_it_alone(
    owner: Person, service: Verifier, ticks: Ticks
) -> None:
    owner.client().sign([f"{GUN}:2"])
    first, second = (asked(service, f"{GUN}:{tag}", ALONE) for tag in "12")
    for looks in (1, 2, 3):
        ticks.now += 20.1
        before = service.known(f"{GUN}:1", ALONE)
        until(lambda before=before: asked(service, f"{GUN}:1", ALONE) is not before)  # type: ignore[misc]
        assert asked(service, f"{GUN}:2", ALONE) is second
        assert (service.inquiries.ahead, service.looks) == (looks, looks + 1)
    assert first.counts(ticks.now, NOW)


@pytest.mark.parametrize("change", ["another tag", "this tag", "no server", "date"])
def test_what_rests_on_what_a_new_look_did_not_find_counts_no_longer(
    world: World, owner: Person, service: Verifier, ticks: Ticks, change: str
) -> None:
    owner.client().sign([f"{GUN}:2"])
    assert asked(service, f"{GUN}:1", ALONE).ok
    second = asked(service, f"{GUN}:2", ALONE)
    ticks.now += 25
    if change == "another tag":
        owner.client().revoke([f"{GUN}:1"])
    elif change == "this tag":
        owner.client().revoke([f"{GUN}:2"])
    elif change == "no server":
        world.attacker.refuse_connections()
    else:
        world.fake.notary.renews = False
        world.clock.now = owner.client().refresh(GUN).timestamp.expires
    ticks.now += 6
    asked(service, f"{GUN}:1", ALONE)
    found = asked(service, f"{GUN}:2", ALONE)
    assert found is not second
    assert found.ok == (change == "another tag")


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
    until(lambda: service.inquiries.pool.busy + service.inquiries.pool.waiting == 0)
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


@pytest.fixture
def shared(tmp_path: Path) -> RememberingDirectory:
    """The volume of several replicas, as one of them sees it."""
    return RememberingDirectory(tmp_path / "volume", Limits())


FULL = StorageError("cannot write", why="No space left on device")


def numbered(**versions: int) -> dict[str, bytes]:
    """Return files that have these versions, and nothing else."""
    return {
        role: envelope.seal({"_type": role.title(), "version": version}, [Signature("0" * 64, "ecdsa", b"s")])
        for role, version in versions.items()
    }


OLD, OTHERS, NEWEST = (numbered(root=1, timestamp=n, snapshot=n, targets=n) for n in (5, 6, 7))


def test_what_is_remembered_never_replaces_what_another_one_stored(shared: RememberingDirectory) -> None:
    ours, theirs = (one.repository(GUN) for one in (shared, TrustDirectory(shared.path)))
    theirs.store(numbered(root=1, timestamp=4, snapshot=4, targets=4))
    ours.remember(OLD, FULL)
    assert ours.load(roles.TARGETS) == OLD[roles.TARGETS]
    theirs.store(OTHERS)
    assert {role: ours.load(role) for role in roles.BASE_ROLES} == OTHERS
    assert shared.remembered_bytes
    ours.confirm(NOW)
    assert {role: theirs.load(role) for role in roles.BASE_ROLES} == OTHERS
    assert shared.remembered_bytes == 0
    ours.remember(numbered(timestamp=8) | numbered(root=3), FULL)
    theirs.store(numbered(root=2, timestamp=7))
    ours.store({})
    assert (theirs.load_root(), theirs.load(roles.TIMESTAMP)) == (
        numbered(root=3)["root"],
        numbered(timestamp=8)["timestamp"],
    )


def test_a_newer_root_is_remembered_beside_newer_metadata_of_another(shared: RememberingDirectory) -> None:
    ours, theirs = (one.repository(GUN) for one in (shared, TrustDirectory(shared.path)))
    theirs.store(OLD)
    root = numbered(root=2)
    ours.remember(root, FULL)
    theirs.store(OTHERS)
    assert {role: ours.load(role) for role in roles.BASE_ROLES} == OTHERS | root
    theirs.store(third := numbered(root=3))
    assert ours.load_root() == third[roles.ROOT]


def test_an_older_look_that_ends_later_lowers_nothing(shared: RememberingDirectory) -> None:
    cache = shared.repository(GUN)
    cache.remember(NEWEST | numbered(root=2), FULL)
    cache.remember(OTHERS, FULL)
    expected = NEWEST | numbered(root=2)
    assert {role: cache.load(role) for role in roles.BASE_ROLES} == expected
    assert shared.remembered_bytes == sum(map(len, expected.values()))
    cache.drop([roles.TARGETS])
    assert roles.TARGETS not in cache.cached()


def test_what_is_remembered_meanwhile_is_not_forgotten(
    shared: RememberingDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = shared.repository(GUN)
    cache.remember(OLD, FULL)
    write = files.write_atomic

    def slowly(path: Path, data: bytes) -> None:
        shared.repository(GUN).remember(NEWEST, FULL)
        write(path, data)

    monkeypatch.setattr(files, "write_atomic", slowly)
    cache.store({})
    monkeypatch.setattr(files, "write_atomic", write)
    assert {role: cache.load(role) for role in roles.BASE_ROLES} == NEWEST
    assert shared.repository(GUN).unwritten().load(roles.TARGETS) == NEWEST[roles.TARGETS]
    cache.confirm(NOW)
    (begins, ends) = [record.getMessage() for record in caplog.records]
    assert "a restart would forget what was seen" in begins
    assert "No space left on device" in begins
    assert "stored again" in ends


def test_a_pin_of_whoever_asks_makes_nothing_anybodys_anchor(world: World, owner: Person) -> None:
    """Where the policy asks for cosign alone it is the only one, and the server may lie to who gave it."""
    release = Cosigner(world.fake, REGISTRY_PATH)
    release.sign(world.push("1"), f"{GUN}:1")
    (world.base / "release.pub").write_bytes(release.pem)
    scope = f'{GUN}\nrequire = ["cosign"]\ncosign.all = ["release.pub"]'
    policy = write_policy(world.base / "policy.toml", scope)
    options = VerifyOptions(root=pin_of(owner))
    with closing(verifier(world, policy, max_age=0)) as service:
        assert service.ask(f"{GUN}:1", options).result(SECONDS).ok
        assert world.person("service").cache() == {}
    for pin, fits in ((pin_of(owner), True), (OTHER_PIN, False)):
        configuration = world.base / ".config" / "notarypy" / "config.toml"
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text(f'[registry."{GUN.partition("/")[0]}"]\nroot = ["{pin}"]\n')
        with closing(verifier(world, policy, max_age=0, name=pin)) as service:
            assert service.ask(f"{GUN}:1", options).result(SECONDS).ok == fits
            assert (roles.ROOT in world.person(pin).cache()) == fits


def test_what_is_known_grows_old_while_the_machine_sleeps(
    world: World, policy: Path, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own clock stands still, as in a virtual machine that is paused, and the one on the wall is set."""
    with closing(verifier(world, policy, ticks=Elapsed(world.clock, ticks))) as service:
        before = asked(service)
        world.clock.advance(timedelta(seconds=29))
        assert service.known(f"{GUN}:1") is before
        world.clock.advance(timedelta(seconds=-600))
        assert service.known(f"{GUN}:1") is before
        world.clock.advance(timedelta(seconds=2))
        assert service.known(f"{GUN}:1") is None
    monkeypatch.setattr(
        time, "clock_gettime", {getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 7.0}.get
    )
    assert Elapsed()() == 7.0


@pytest.mark.parametrize(
    ("groups", "files", "memory"),
    [
        ("0::/\n", {"memory.max": "1073741824\n"}, 1 << 30),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "2048"}, 2048),
        ("5:cpu:/\n4:memory,x:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "4096"}, 4096),
        ("4:memory:/not/seen\n", {"memory/memory.limit_in_bytes": "8192"}, 8192),
        ("0::/\n", {}, 1 << 40),
        (None, {}, 1 << 40),
    ],
)
def test_the_memory_is_that_of_the_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str | None, files: dict[str, str], memory: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    monkeypatch.setattr(serving, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(serving, "_MOUNTED", tmp_path)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 28, "SC_PAGE_SIZE": 4096}.get)
    assert serving.memory() == memory


def test_a_trust_directory_that_cannot_be_is_refused_at_once(world: World, policy: Path) -> None:
    (world.base / "service").write_text("")
    with pytest.raises(StorageError, match="cannot make directory"):
        verifier(world, policy)


def test_a_root_that_is_not_pinned_any_more_gives_way_to_one_that_is(
    world: World, policy: Path, ticks: Ticks, caplog: pytest.LogCaptureFixture
) -> None:
    """It was made anew, and the policy has the new pin: a replica that knew it agrees with new ones."""
    with closing(verifier(world, policy, ticks=ticks)) as service:
        assert asked(service).ok
        root = world.person("service").cached(roles.ROOT).read_bytes()
        world.attacker.delete(GUN)
        heir = world.person("heir")
        heir.client().sign([f"{GUN}:1"], init=True)
        ticks.now += 60
        assert isinstance(asked(service).image, RootChangedError)
        assert world.person("service").cached(roles.ROOT).read_bytes() == root
        write_policy(policy, pinned(pin_of(heir)))
        assert service.look_at_policy()
        assert asked(service).ok
        ticks.now += 60
        assert asked(service).ok
        assert world.person("service").cached(roles.ROOT).read_bytes() != root
        assert sum("not pinned any more" in record.getMessage() for record in caplog.records) == 1


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
