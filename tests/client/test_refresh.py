from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.cli.text.advice import advice
from notarypy.errors import (
    AuthenticationError,
    CacheDamagedError,
    ExpiredError,
    MetadataError,
    NetworkError,
    NotarypyError,
    NotNotaryError,
    RepositoryMissingError,
    RepositoryVanishedError,
    RollbackError,
    ServerError,
    StorageError,
    UnreachableError,
    VerificationError,
)
from notarypy.remote.http.messages import Response
from notarypy.storage.trustdir import RepositoryCache
from notarypy.tuf import roles
from support.author import GUN
from support.people import SERVER, informed, released

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.remote.http.messages import Request
    from support.people import Person, World

TIMESTAMP = "GET timestamp.json"
SNAPSHOT = "GET snapshot.HASH.json"


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tag 1 is signed by jeff."""
    return released(world, "jeff")


@pytest.fixture
def reader(world: World, owner: Person) -> Person:
    """Somebody who read the owner's repository."""
    assert owner.cache()
    return informed(world.person("reader"))


# -- how often the server is asked


def test_a_cold_refresh_asks_for_every_file_once(world: World, owner: Person) -> None:
    reader = world.person("reader")
    reader.client().refresh(GUN)
    requests = world.requests()
    assert requests[0] == "GET root.json"
    assert sorted(requests[1:4]) == ["GET snapshot.json", "GET targets.json", TIMESTAMP]
    assert sorted(requests[4:]) == ["GET targets/jeff.HASH.json", "GET targets/releases.HASH.json"]
    assert reader.cache() == owner.cache()


def test_a_warm_refresh_asks_for_the_timestamp(world: World, reader: Person) -> None:
    before = reader.cache()
    trusted = reader.client().refresh(GUN)
    assert world.requests() == [TIMESTAMP]
    assert reader.cache() == before
    assert set(trusted.files) == {*roles.BASE_ROLES, "targets/jeff", roles.RELEASES}


def test_after_an_own_publish_the_cache_is_warm(world: World, owner: Person) -> None:
    owner.client().refresh(GUN)
    assert world.requests() == [TIMESTAMP]


def test_after_another_publish_only_what_changed_is_fetched(
    world: World, owner: Person, reader: Person
) -> None:
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    world.requests()
    reader.client().refresh(GUN)
    assert sorted(world.requests()) == sorted(
        [TIMESTAMP, SNAPSHOT, "GET targets/jeff.HASH.json", "GET targets/releases.HASH.json"]
    )
    assert reader.cache() == owner.cache()


def test_a_timestamp_renewed_by_the_server_costs_nothing_more(world: World, reader: Person) -> None:
    world.clock.advance(timedelta(days=20))
    reader.client().refresh(GUN)
    assert world.requests() == [TIMESTAMP]


# -- no trust data


def test_nothing_here_and_nothing_there_is_no_trust_data(world: World) -> None:
    reader = world.person("reader")
    with pytest.raises(RepositoryMissingError) as caught:
        reader.client().refresh(GUN)
    fix = advice(caught.value)
    assert fix.startswith("ask its publisher whether it is signed, and name the Notary server that has it")
    assert fix.endswith(f"only if you publish it: notarypy init {GUN}")
    assert reader.cache() == {}


def test_a_known_repository_that_vanishes_is_an_alarm(world: World, reader: Person) -> None:
    before = reader.cache()
    world.attacker.delete(GUN)
    with pytest.raises(RepositoryVanishedError):
        reader.client().refresh(GUN)
    assert reader.cache() == before


def test_a_root_that_another_process_stored_just_now_is_not_lost(
    reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, roots = RepositoryCache.load_root, [None]
    monkeypatch.setattr(RepositoryCache, "load_root", lambda cache: roots.pop() if roots else load(cache))
    reader.client().refresh(GUN)
    assert not [warning for warning in reader.warnings if "gone" in warning]


@pytest.mark.usefixtures("owner")
def test_a_server_with_a_root_and_no_timestamp_is_broken(world: World) -> None:
    world.attacker.answer(Response(404), path=r".*/timestamp\.json")
    reader = world.person("reader")
    with pytest.raises(VerificationError, match="no timestamp"):
        reader.client().refresh(GUN)
    assert reader.cache() == {}


def test_a_lost_root_file_is_first_use_again_but_said_aloud(reader: Person) -> None:
    reader.cached(roles.ROOT).unlink()
    reader.client().refresh(GUN)
    assert any("root is gone" in warning for warning in reader.warnings)
    assert reader.cached(roles.ROOT).exists()


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (403, AuthenticationError), (500, ServerError), (302, ServerError)],
)
@pytest.mark.parametrize("path", [r".*/timestamp\.json", r".*/snapshot\..*", r".*/targets\..*"])
def test_no_answer_is_never_stale_data(
    world: World, owner: Person, reader: Person, status: int, error: type[NotarypyError], path: str
) -> None:
    world.push("2")
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    before = reader.cache()
    world.attacker.answer(Response(status), path=path)
    with pytest.raises(error):
        reader.client().refresh(GUN)
    assert reader.cache() == before
    world.attacker.undo_hooks()
    reader.client().refresh(GUN)
    assert reader.cache() == owner.cache()


@pytest.mark.parametrize("role", ["snapshot", "targets", "targets/jeff"])
@pytest.mark.usefixtures("owner")
def test_a_file_that_the_server_announces_and_lacks_is_a_failure(world: World, role: str) -> None:
    world.attacker.answer(Response(404), path=rf".*/{role}(\.[0-9a-f]+)?\.json")
    reader = world.person("reader")
    with pytest.raises(VerificationError, match="does not have"):
        reader.client().refresh(GUN)
    assert reader.cache() == {}


def test_an_answer_over_the_limit_is_cut(world: World, reader: Person) -> None:
    world.attacker.answer(Response(200, {}, b" " * ((1 << 20) + 1)), path=r".*/timestamp\.json")
    with pytest.raises(NetworkError):
        reader.client().refresh(GUN)


# -- damaged caches


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "targets/jeff", "targets/releases"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "absent", "directory", "link"])
def test_a_damaged_cache_file_is_fetched_anew(owner: Person, reader: Person, role: str, damage: str) -> None:
    path = reader.cached(role)
    _damage(path, damage)
    trusted = reader.client().refresh(GUN)
    assert set(trusted.files) == set(owner.cache())
    if damage != "directory":
        assert path.read_bytes() == owner.cache()[role]
        assert not path.is_symlink()


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "directory", "link", "{}", "other"])
def test_a_damaged_root_stops_everything_and_says_what_to_do(
    world: World, owner: Person, reader: Person, damage: str
) -> None:
    path = reader.cached(roles.ROOT)
    if damage == "{}":
        path.write_bytes(b"{}")
    elif damage == "other":
        path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    else:
        _damage(path, damage)
    with pytest.raises(CacheDamagedError) as caught:
        reader.client().refresh(GUN)
    assert f"notarypy forget {GUN}" in advice(caught.value)
    assert set(world.requests()) <= {TIMESTAMP}  # it is asked for while the root is looked at
    with pytest.raises(CacheDamagedError):
        reader.client().sign([f"{GUN}:1"])
    if damage != "directory":
        assert reader.client().forget(GUN)
        reader.client().refresh(GUN)
        assert reader.cache() == owner.cache()


def test_a_cache_file_that_cannot_be_read_is_said_aloud(reader: Person) -> None:
    _damage(reader.cached(roles.TIMESTAMP), "link")
    reader.client().refresh(GUN)
    assert any("timestamp.json" in warning for warning in reader.warnings)


def _damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "directory":
        path.mkdir()
    elif how == "link":
        path.symlink_to("/etc/passwd")
    elif how != "absent":
        path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "garbage": b"\xff\0junk"}[how])


# -- directories that cannot be written


def test_a_directory_that_cannot_be_written_still_reads(
    world: World, owner: Person, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lock_out(monkeypatch)
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    before = reader.cache()
    assert "2" in reader.client().refresh(GUN).targets[roles.RELEASES].targets
    assert reader.cache() == before
    assert any("not updated" in warning for warning in reader.warnings)


@pytest.mark.usefixtures("owner")
def test_a_refusal_is_not_hidden_by_a_directory_that_cannot_be_written(
    world: World, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lock_out(monkeypatch)
    world.fake.notary.renews = False
    world.clock.advance(timedelta(days=20))
    with pytest.raises(ExpiredError):
        reader.client().refresh(GUN)


def _lock_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise StorageError(f"cannot write {path}")

    for name in ("write_atomic", "locked", "make_private_directory"):
        monkeypatch.setattr(files, name, refuse)


# -- offline


def test_offline_reads_the_cache_and_asks_nobody(world: World, reader: Person) -> None:
    trusted = reader.client(offline=True).refresh(GUN)
    assert "1" in trusted.targets[roles.RELEASES].targets
    assert world.requests() == []


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(), "Z; what changed"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=3, hours=5), "3 days ago"),
    ],
)
def test_offline_says_how_old_the_cache_is(
    world: World, reader: Person, passed: timedelta, told: str
) -> None:
    world.clock.advance(passed)
    reader.client(offline=True).refresh(GUN)
    [warning] = reader.warnings
    assert warning.startswith(f"offline: the trust data of {GUN} is as of ")
    assert told in warning


def test_the_age_counts_from_the_last_look_at_the_server(world: World, reader: Person) -> None:
    world.clock.advance(timedelta(days=3))
    before = reader.cache()
    reader.client().refresh(GUN)
    assert reader.cache() == before
    reader.warnings.clear()
    world.clock.advance(timedelta(days=2))
    reader.client(offline=True).refresh(GUN)
    assert "2 days ago" in reader.warnings[0]


def test_a_clock_set_back_makes_no_negative_age(world: World, reader: Person) -> None:
    world.clock.advance(timedelta(seconds=-30))
    reader.client(offline=True).refresh(GUN)
    assert "unknown age" not in reader.warnings[0]


def test_a_cache_that_could_not_be_written_gets_no_younger(
    world: World, owner: Person, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    world.clock.advance(timedelta(days=9))
    with monkeypatch.context() as full:
        _lock_out(full)
        reader.client().refresh(GUN)
    reader.warnings.clear()
    reader.client(offline=True).refresh(GUN)
    assert "9 days ago" in reader.warnings[0]


def test_a_date_ahead_is_told(world: World, reader: Person) -> None:
    ahead = (world.clock() + timedelta(days=400)).timestamp()
    os.utime(reader.cached(roles.TIMESTAMP), (ahead, ahead))
    reader.client(offline=True).refresh(GUN)
    assert "still to come" in reader.warnings[0]


def test_a_date_that_is_none_is_no_obstacle(reader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RepositoryCache, "confirmed", lambda _: None)
    reader.client(offline=True).refresh(GUN)
    assert "of unknown age" in reader.warnings[0]


# -- others refresh the same cache


@pytest.mark.parametrize("marker", ["timestamp.json", "/snapshot.", "releases.", "jeff."])
def test_whoever_is_overtaken_by_another_process_begins_again(
    world: World, owner: Person, reader: Person, marker: str
) -> None:
    world.push("2")
    world.push("3")
    owner.client().sign([f"{GUN}:2"])
    overtaken: list[str] = []

    def overtake(request: Request, response: Response) -> Response:
        if marker in request.url and not overtaken:
            overtaken.append(request.url)
            owner.client().sign([f"{GUN}:3"])
            reader.client().refresh(GUN)
        return response

    world.fake.after.append(overtake)
    assert reader.client().verify(f"{GUN}:2", registry=False).tag == "2"
    assert overtaken


def test_a_replay_is_refused_though_the_cache_was_touched(
    world: World, owner: Person, reader: Person
) -> None:
    world.push("2")
    old = owner.cache()[roles.TIMESTAMP]
    owner.client().sign([f"{GUN}:2"])
    reader.client().refresh(GUN)
    world.attacker.replace(GUN, roles.TIMESTAMP, old)
    world.requests()
    with pytest.raises(RollbackError):
        reader.client().refresh(GUN)
    assert world.requests().count("GET timestamp.json") == 2  # the second one past any cache


@pytest.mark.parametrize("times", [7, 8])
def test_whoever_is_overtaken_time_and_again_gives_up(
    world: World, owner: Person, reader: Person, times: int
) -> None:
    tags = [str(number) for number in range(2, 2 + times)]
    for tag in tags:
        world.push(tag)
    others_turn = [True]

    def overtake(request: Request, response: Response) -> Response:
        if "timestamp.json" in request.url and others_turn[0] and tags:
            others_turn[0] = False
            owner.client().sign([f"{GUN}:{tags.pop()}"])
            reader.client().refresh(GUN)
            others_turn[0] = True
        return response

    world.fake.after.append(overtake)
    if times == 7:
        assert reader.client().refresh(GUN).targets
    else:
        with pytest.raises(RollbackError):
            reader.client().refresh(GUN)
    assert tags == []


def test_offline_ends_with_the_date_of_the_timestamp(world: World, reader: Person) -> None:
    world.clock.advance(timedelta(days=15))
    with pytest.raises(ExpiredError):
        reader.client(offline=True).refresh(GUN)


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "targets/jeff"])
def test_offline_does_not_do_with_a_part(world: World, reader: Person, role: str) -> None:
    reader.cached(role).unlink()
    with pytest.raises(UnreachableError):
        reader.client(offline=True).refresh(GUN)
    assert world.requests() == []


def test_offline_a_forged_timestamp_is_refused_for_what_it_is(reader: Person) -> None:
    path = reader.cached(roles.TIMESTAMP)
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":1'))
    with pytest.raises(VerificationError):
        reader.client(offline=True).refresh(GUN)


# -- warnings


def test_first_use_is_said_aloud_with_the_pin(world: World, owner: Person) -> None:
    reader = world.person("reader")
    reader.client().refresh(GUN)
    [pin] = owner.client().init(GUN).root_pins
    assert any(pin in warning and "first use" in warning for warning in reader.warnings)
    reader.warnings.clear()
    reader.client().refresh(GUN)
    assert reader.warnings == []


def test_what_expires_within_180_days_is_said_early(world: World, reader: Person) -> None:
    world.clock.advance(timedelta(days=3 * 365 - 180))
    reader.client().refresh(GUN)
    assert reader.warnings == []
    world.clock.advance(timedelta(seconds=1))
    reader.client().refresh(GUN)
    said = {warning.partition(" ")[0] for warning in reader.warnings}
    assert said == {"snapshot", "targets", "targets/jeff", "targets/releases"}


@pytest.mark.parametrize("data", [b"{}", b'{"message": "hello"}', b"pong"])
def test_who_sends_no_signed_file_is_no_notary_server_to_a_stranger(world: World, data: bytes) -> None:
    stranger = world.person("stranger")
    world.attacker.answer(Response(200, {}, data), method="GET")
    for act in (lambda: stranger.client().inspect(GUN), lambda: stranger.client().init(GUN)):
        with pytest.raises(NotNotaryError, match="not the address of a Notary server"):
            act()
    assert stranger.key_files() == set()


def test_who_sends_no_signed_file_is_an_alarm_where_the_repository_is_known(
    world: World, owner: Person
) -> None:
    world.attacker.answer(Response(200, {}, b"{}"), method="GET", path=r".*/timestamp\.json")
    with pytest.raises(MetadataError, match="timestamp has no signed part") as caught:
        owner.client().inspect(GUN)
    assert "server" in caught.value.why[-1]
    assert SERVER in caught.value.why[-1]
