from __future__ import annotations

import gc
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import Limits, NotarypyError, UsageError
from notarypy.devserver.calls import Refused
from notarypy.devserver.stores import StoredFile
from notarypy.errors import (
    InvalidNameError,
    RepositoryMissingError,
    RepositoryVanishedError,
    RootChangedError,
    UnreachableError,
)
from notarypy.tuf import roles
from support.author import GUN, NOW, Author
from support.pasts import HOUR, JEFF, Brief, Past, brief, kinds
from support.people import owned

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy import HistoryEvent
    from support.people import Person, World

LATER = NOW + timedelta(days=20)
FIRST: list[Brief] = [
    ("root", 1, "created", ""),
    ("targets", 1, "delegation-added", JEFF),
    (JEFF, 1, "tag-added", "1"),
]


def asked(world: World) -> list[str]:
    """Return the requests for old files since the last call."""
    found = [line for line in world.fake.lines() if "changefeed" not in line and "fresh=" not in line]
    world.fake.requests.clear()
    return found


@pytest.fixture
def past(world: World) -> Past:
    """Jeff's tags 1, 2 and 3, each in a publish of its own."""
    past = Past(world)
    past.publish()
    past.sign("2", "3")
    return past


def signed(version: int) -> Brief:
    return (JEFF, version, "tag-added", str(version))


# -- what honest people did


@pytest.fixture
def owner(world: World) -> Person:
    """An owner who signs as jeff: tag 1, 20 days later tag 2, and then another tag 1."""
    owner = owned(world, "jeff")
    world.push("1")
    world.push("2")
    owner.client().sign([f"{GUN}:1"])
    world.clock.advance(LATER - NOW)
    owner.client().sign([f"{GUN}:2"])
    world.push("1", "new")
    owner.client().sign([f"{GUN}:1"])
    return owner


def test_all_that_was_published_is_told_oldest_first(owner: Person) -> None:
    events = list(owner.client().history(GUN))
    assert brief(events) == [
        ("root", 1, "created", ""),
        ("targets", 1, "published", ""),
        ("targets", 2, "delegation-added", JEFF),
        ("targets", 2, "delegation-added", "targets/releases"),
        (JEFF, 1, "tag-added", "1"),
        ("targets/releases", 1, "tag-added", "1"),
        ("timestamp", 4, "renewed", ""),
        (JEFF, 2, "tag-added", "2"),
        ("targets/releases", 2, "tag-added", "2"),
        (JEFF, 3, "tag-moved", "1"),
        ("targets/releases", 3, "tag-moved", "1"),
    ]
    assert all(event.verified for event in events)
    assert [event.time for event in events] == [NOW] * 6 + [LATER] * 5
    moved, released = events[-1], owner.client().inspect(f"{GUN}:1")
    assert (moved.before, moved.after) == (events[4].after, released.tags[0].digest)
    assert (moved.signers, moved.keys) == (("jeff",), released.signers[0][1])


def test_rotations_and_renewals_are_told_by_their_keys(owner: Person) -> None:
    client = owner.client()
    done = [client.keys.rotate(GUN, role) for role in ("targets", "root")]
    done.append(client.keys.rotate(GUN, "timestamp", server_managed=True))
    client.renew(GUN, only=["root", "targets"])
    events = list(client.history(GUN))[11:]
    assert brief(events) == [
        ("root", 2, "key-rotated", "targets"),
        ("targets", 3, "renewed", ""),
        ("root", 3, "key-rotated", "root"),
        ("root", 4, "key-rotated", "timestamp"),
        ("root", 5, "certificate-renewed", "root"),
        ("targets", 4, "renewed", ""),
    ]
    rotated = [event for event in events if event.kind == "key-rotated"]
    assert [(event.before, event.after) for event in rotated] == [(*one.old, *one.new) for one in done]
    assert set(rotated[1].keys) == {*done[1].old, *done[1].new}
    assert all(event.verified for event in events)


def test_what_a_signer_had_goes_with_the_signer(world: World, owner: Person) -> None:
    bob = world.person("bob")
    key = bob.key("bob")
    owner.client().add_signer("bob", GUN, [key], paths=["1"])
    bob.client().sign([f"{GUN}:1"])
    owner.client().remove_signer("bob", GUN, force=True, tags="keep")
    events = list(owner.client().history(GUN, role="bob"))
    assert brief(events) == [
        ("targets", 3, "delegation-added", "targets/bob"),
        ("targets", 3, "paths-changed", "targets/bob"),
        ("targets/bob", 1, "tag-added", "1"),
        ("targets", 4, "delegation-removed", "targets/bob"),
        ("targets/bob", 4, "tag-removed", "1"),
    ]
    assert (events[1].before, events[1].after) == (None, '"1"')
    assert [event.signers for event in events] == [(), (), ("bob",), (), ()]


def test_who_shares_a_key_may_have_signed(world: World) -> None:
    past = Past(world)
    past.author.delegate("targets/ann", [past.author.key("jeff")])
    past.publish()
    past.author.delegate("targets/bob", [past.author.key("jeff")])
    past.publish("targets", "targets/bob")
    past.sign("2")
    signed = {event.version: event.signers for event in past.read() if event.role == JEFF}
    assert signed == {1: ("jeff", "ann"), 2: ("jeff", "ann", "bob")}


def test_a_repository_that_ended_years_ago_has_a_past(world: World, past: Past) -> None:
    world.clock.advance(timedelta(days=4000))
    assert brief(past.read()) == [*FIRST, signed(2), signed(3)]


# -- what is asked for


def test_each_file_of_each_version_is_asked_for_once(world: World, owner: Person) -> None:
    asked(world)
    list(owner.client().history(GUN))
    requests = asked(world)
    assert max(Counter(requests).values()) == 1
    assert len(requests) <= number_of_files(world)


def number_of_files(world: World) -> int:
    return sum(len(numbers) for numbers in world.fake.notary.store._files[GUN].values())  # noqa: SLF001


def test_a_newcomer_asks_for_no_file_twice_either(world: World, past: Past) -> None:
    past.sign(*map(str, range(4, 40)))
    world.fake.requests.clear()
    past.read()
    found = [line for line in world.fake.lines() if "changefeed" not in line]
    assert len(found) <= number_of_files(world) + 1  # today's root has no number that is known beforehand


def test_a_role_and_a_time_take_fewer_requests(world: World, past: Past) -> None:
    past.sign(*map(str, range(4, 20)))
    past.read()
    asked(world)
    past.read()
    everything = len(asked(world))
    assert brief(past.read(role="targets")) == FIRST[1:2]
    assert not any("jeff" in line for line in asked(world))
    assert brief(past.read(role="root")) == FIRST[:1]
    assert not any("targets" in line for line in asked(world))
    assert brief(past.read(since=NOW + 17 * HOUR)) == [signed(18), signed(19)]
    assert len(asked(world)) < everything / 4
    assert brief(past.read(since=2 * HOUR + timedelta(minutes=1))) == [signed(18), signed(19)]
    assert brief(past.read(tag="7")) == [signed(7)]
    assert past.read(since=NOW + timedelta(days=99)) == []


@pytest.mark.parametrize(
    "asked_for",
    [{"role": "no role"}, {"role": "targets/a b"}, {"since": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
def test_what_cannot_be_meant_is_refused_before_any_request(
    world: World, past: Past, asked_for: dict[str, Any]
) -> None:
    asked(world)
    with pytest.raises((InvalidNameError, TypeError)):
        past.reader.client().history(GUN, **asked_for)
    assert not world.fake.requests


def test_a_single_image_and_an_archive_have_no_past(past: Past, world: World) -> None:
    with pytest.raises(UsageError):
        past.reader.client().history(f"{GUN}:1")
    (world.base / "x.tar").write_bytes(b"")
    with pytest.raises(UsageError):
        past.reader.client(archive=str(world.base / "x.tar")).history(GUN)
    with pytest.raises(UnreachableError):
        list(past.reader.client(offline=True).history(GUN))


class Steps:
    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def begin(self, what: str, total: int) -> None:
        self.said.append((what, total))

    def moved(self, number: int) -> None:
        self.said.append(("moved", number))

    def end(self) -> None:
        self.said.append(("end", 0))


def test_progress_counts_versions(past: Past) -> None:
    steps = Steps()
    past.read(progress=steps)
    assert steps.said == [(f"history of {GUN}", 3), *[("moved", 1)] * 3, ("end", 0)]
    since = Steps()
    past.read(progress=since, since=NOW + 2 * HOUR)
    assert since.said == [(f"history of {GUN}", 2), *[("moved", 1)] * 2, ("end", 0)]
    some = Steps()
    events = past.reader.client().history(GUN, progress=some)
    next(events)
    events.close()
    assert some.said[-1] == ("end", 0)


def peak(world: World, past: Past, versions: int) -> int:
    """Return how many objects there are at most while so many versions are read, beyond those before."""
    past.sign(*(str(number % 20) for number in range(versions - past.author.snapshot_version)))
    events = world.person(f"reader of {versions}").client().history(GUN)
    gc.collect()  # what earlier tests left
    before = sys.getallocatedblocks()
    found = list[int]()
    for _ in events:
        found.append(sys.getallocatedblocks() - before)
        world.fake.requests.clear()
    assert len(found) >= versions
    return max(found)


@pytest.mark.slow
def test_a_long_past_takes_no_more_memory(world: World, past: Past) -> None:
    usual = gc.get_threshold()
    gc.set_threshold(700)  # what is garbage counts for nothing
    less = peak(world, past, 200)
    more = peak(world, past, 1000)
    gc.set_threshold(*usual)
    assert more < less + 800 * 10  # one version alone has hundreds


# -- a server that forgets, hides, or lies


def tamper(past: Past, role: str, version: int, data: bytes) -> None:
    """Let the server give other bytes by this number, and by the hash of the true ones too."""
    true = past.store.numbered(GUN, role, version)
    assert true is not None
    past.store.replace(GUN, role, StoredFile(version, data))
    past.store._hashes[GUN, role, true.sha256] = version  # noqa: SLF001


def true(past: Past, role: str, version: int) -> bytes:
    found = past.store.numbered(GUN, role, version)
    assert found is not None
    return found.data


GAP: list[Brief] = [("snapshot", 3, "gap", ""), (JEFF, 3, "gap", ""), (JEFF, 3, "tag-added", "2"), signed(3)]


def test_a_version_that_is_gone_is_told_and_so_is_the_gap(past: Past) -> None:
    for role in (roles.TIMESTAMP, JEFF):
        del past.store._files[GUN][role][2]  # noqa: SLF001
    events = past.read()
    assert brief(events) == [*FIRST, ("timestamp", 2, "gone", ""), *GAP]
    assert [event.verified for event in events] == [True] * 3 + [False] * 3 + [True] * 2
    assert events[4].why == "version 2 of it was never shown"
    assert events[3].time == NOW + HOUR


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TIMESTAMP])
def test_forged_content_is_never_told_as_true(past: Past, role: str) -> None:
    for each in (role, JEFF):
        data = true(past, each, 2)
        tamper(past, each, 2, data.replace(b'"sig":"', b'"sig":"AAAA'))
    events = past.read()
    assert brief(events)[3] == ("timestamp", 2, "unverified", "")
    assert brief([event for event in events if event.verified]) == [*FIRST, *GAP[2:]]


def test_a_delegation_that_does_not_hold_is_told_and_compared_with_the_last_that_did(past: Past) -> None:
    tamper(past, JEFF, 2, b"{}")
    events = past.read()
    assert (JEFF, None, "unverified", "") in brief(events)
    assert brief([event for event in events if event.verified]) == [*FIRST, *GAP[2:]]


def by_number(past: Past, role: str, data: bytes) -> None:
    """Let the server give this for each number of a role's file, and the true ones by hash."""
    store, kind = past.store, type(past.store)

    def numbered(gun: str, asked_for: str, version: int) -> StoredFile | None:
        found = kind.numbered(store, gun, asked_for, version)
        return StoredFile(version, data) if found is not None and asked_for == role else found

    def by_hash(gun: str, asked_for: str, sha256: str) -> StoredFile | None:
        version = store._hashes.get((gun, asked_for, sha256))  # noqa: SLF001
        return None if version is None else kind.numbered(store, gun, asked_for, version)

    store.numbered, store.by_hash = numbered, by_hash  # type: ignore[assignment,method-assign]


def of_a_liar(role: str) -> bytes:
    liar = Author("registry.test/liar", NOW)
    liar.delegate(JEFF)
    liar.add("7", b"lie", JEFF)
    return liar.repository()[role]


@pytest.mark.parametrize("role", [JEFF, roles.SNAPSHOT])
@pytest.mark.parametrize(
    "lie", [lambda _: b"{}", lambda _: b"x" * (1 << 20), of_a_liar], ids=["none", "long", "forged"]
)
def test_what_another_file_has_by_number_is_looked_at_by_hash(
    past: Past, role: str, lie: Callable[[str], bytes]
) -> None:
    past.sign(*map(str, range(4, 9)))
    past.rotate("another")
    past.sign("9")
    true_events = past.read()
    by_number(past, role, lie(role))
    assert past.read() == true_events


def test_what_the_feed_leaves_out_is_told_without_a_time(past: Past) -> None:
    past.feed(lambda records: [records[0], records[2]])
    events = past.read()
    assert brief(events) == [*FIRST, ("timestamp", 2, "unlisted", ""), signed(2), signed(3)]
    assert [event.time for event in events][3:] == [None, None, NOW + 2 * HOUR]
    assert events[4].verified
    past.feed(lambda records: records[:1])
    assert brief(past.read(since=NOW + HOUR)) == [
        *[("timestamp", 2, "unlisted", ""), signed(2)],
        *[("timestamp", 3, "unlisted", ""), signed(3)],
    ]


def test_a_server_without_a_feed_still_has_a_past(past: Past) -> None:
    def changes(*_: object) -> list[dict[str, Any]]:
        raise Refused(404, "METADATA_NOT_FOUND", "You have requested metadata that does not exist.")

    past.store.changes = changes  # type: ignore[assignment,method-assign]
    events = past.read()
    assert brief(events) == [("", None, "feed", ""), *FIRST, signed(2), signed(3)]
    assert events[0].why == "this server has none"
    assert {event.time for event in events} == {None}


def test_a_feed_in_another_order_is_told_and_changes_nothing_else(past: Past) -> None:
    def swapped(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second, third = records
        return [first, {**third, "ID": second["ID"]}, {**second, "ID": third["ID"]}]

    past.feed(swapped)
    events = past.read()
    assert brief(events) == [
        *FIRST,
        *[("timestamp", 2, "unlisted", ""), signed(2), signed(3)],
        ("timestamp", 2, "unverified", ""),
    ]
    assert "after version 3" in events[-1].why


def test_a_feed_that_names_other_files_is_told(past: Past) -> None:
    past.feed(lambda records: [{**each, "SHA256": "0" * 64} for each in records])
    events = past.read()
    assert kinds(events).count("unverified") == 3
    assert brief([event for event in events if event.verified]) == [*FIRST, signed(2), signed(3)]
    past.feed(lambda records: [{**each, "Version": each["Version"] + 7} for each in records])
    assert {event.why for event in past.read() if event.kind == "unverified"} == {
        "it was published while this was read, or never: the newest one was 3"
    }


def test_a_feed_that_begins_beyond_the_end_hides_nothing(past: Past) -> None:
    past.feed(lambda records: [{**records[0], "Version": 1 << 30}, *records[1:]])
    events = past.read(since=NOW - HOUR)
    assert brief(event for event in events if event.verified)[-1] == signed(3)
    assert brief(events)[0] == ("timestamp", 1 << 30, "unverified", "")


def test_a_deletion_that_never_was_hides_nothing(past: Past) -> None:
    lie = {"Version": 0, "SHA256": "", "Category": "deletion", "ID": "9"}
    past.feed(lambda records: [*records, {**records[0], **lie}])
    events = past.read()
    assert kinds(events)[:4] == ["gone", "gone", "gone", "deleted"]
    assert brief(event for event in events if event.verified) == [*FIRST, signed(2), signed(3)]


def test_a_version_that_is_dated_back_is_not_left_out(past: Past) -> None:
    past.feed(lambda records: [*records[:2], {**records[2], "CreatedAt": "2020-01-01T00:00:00Z"}])
    for asked_for in ({}, {"since": NOW + HOUR}):
        events = past.read(**asked_for)
        assert brief(events)[-2:] == [("timestamp", 3, "unverified", ""), signed(3)]
        assert events[-2].why == "the feed dates it before older ones"
        assert {event.time for event in events[-2:]} == {None}


def test_records_of_another_spelling_are_another_repository(past: Past) -> None:
    past.feed(lambda records: [*records, {**records[0], "ID": "9", "GUN": GUN.upper(), "Version": 0}])
    assert brief(past.read()) == [*FIRST, signed(2), signed(3)]


@pytest.mark.parametrize(
    "change",
    [
        {"ID": "3"},
        {"ID": "2"},
        {"ID": "-9"},
        {"ID": "9" * 19},
        {"ID": "9" * 9999},
        {"ID": "\u0669"},
        {"ID": 9},
        {"Version": -1},
        {"Version": 1 << 31},
        {"Version": 1.5},
        {"Version": True},
        {"CreatedAt": "soon"},
        {"CreatedAt": None},
        {"SHA256": 5},
    ],
    ids=str,
)
def test_a_feed_that_is_none_is_read_no_further(past: Past, change: dict[str, Any]) -> None:
    true_feed = past.store.changes

    def changes(gun: str | None, records: int, after: int) -> list[dict[str, Any]] | None:
        found = true_feed(gun, records, after) or []
        return [*found, {**(true_feed(gun, 1, 2) or [])[0], **change}]

    past.store.changes = changes  # type: ignore[method-assign]
    events = past.read()
    assert brief(events)[0] == ("", None, "feed", "")
    assert brief(event for event in events if event.verified) == [*FIRST, signed(2), signed(3)]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"records":5}', b'{"records":[5]}', b"<html>", b"\xff"]
)
def test_an_answer_that_is_no_feed_is_read_no_further(
    past: Past, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notarypy.remote.notary.NotaryClient.changes", lambda *_: body)
    events = past.read()
    assert brief(events) == [("", None, "feed", ""), *FIRST, signed(2), signed(3)]


def test_a_feed_without_end_is_left(past: Past) -> None:
    numbers = count(1)

    def changes(_gun: str | None, records: int, _after: int) -> list[dict[str, Any]]:
        one = {"CreatedAt": "2026-11-23T12:00:00Z", "GUN": "other", "Version": 1, "SHA256": ""}
        return [{"ID": str(next(numbers)), **one} for _ in range(records)]

    past.store.changes = changes  # type: ignore[assignment,method-assign]
    client = past.reader.client(limits=Limits(changes=2000))
    events = list(client.history(GUN))
    assert events[0].why == "it has more than 2000 records"
    assert brief(events[1:]) == [*FIRST, signed(2), signed(3)]


def test_a_feed_of_short_pages_without_end_is_left(past: Past) -> None:
    numbers = count(1)

    def changes(*_: object) -> list[dict[str, Any]]:
        one = {"CreatedAt": "2026-11-23T12:00:00Z", "GUN": "other", "Version": 1, "SHA256": ""}
        return [{"ID": str(next(numbers)), **one}]

    past.store.changes = changes  # type: ignore[assignment,method-assign]
    events = list(past.reader.client(limits=Limits(changes=2000)).history(GUN))
    assert events[0].why == "its pages are short, and have no end"
    assert next(numbers) < 300


def test_a_feed_that_fails_is_told(past: Past) -> None:
    def changes(*_: object) -> list[dict[str, Any]]:
        raise Refused(500, "UNKNOWN", "An unknown error occurred.")

    past.store.changes = changes  # type: ignore[assignment,method-assign]
    events = past.read()
    assert brief(events) == [("", None, "feed", ""), *FIRST, signed(2), signed(3)]
    assert events[0].why == "the server failed to give it"


def test_a_feed_is_read_page_by_page(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notarypy.client.metadata.feed._PAGE", 2)
    past.sign("4", "5", "6")
    assert brief(past.read()) == [*FIRST, *map(signed, range(2, 7))]


def test_a_version_beyond_all_others_does_not_make_us_count_up_to_it(world: World, past: Past) -> None:
    past.author.timestamp_version = 2**31 - 1
    files = past.author.repository()
    past.store.replace(GUN, roles.TIMESTAMP, StoredFile(2**31 - 1, files[roles.TIMESTAMP]))
    asked(world)
    events = past.read()
    assert len(asked(world)) < 200
    assert kinds(events).count("gone") < 150
    assert [event.why.partition(" to ")[2] for event in events if event.kind == "gap"] == [
        "2147483646 of the timestamp are not there"
    ]


def test_an_older_file_that_is_shown_again_is_told(past: Past) -> None:
    older = past.author.targets[JEFF]
    past.sign("4")
    past.author.targets[JEFF] = older
    past.publish(JEFF, bumped=False)
    assert brief(past.read())[6:] == [(JEFF, 3, "rollback", ""), (JEFF, 3, "tag-removed", "4")]


# -- roots


def test_each_version_is_judged_by_the_root_of_its_time(past: Past) -> None:
    past.rotate("second")
    past.rotate("third")
    past.sign("4")
    assert brief(past.read()) == [
        *[*FIRST, signed(2), signed(3)],
        *[("root", 2, "key-rotated", "root"), ("root", 3, "key-rotated", "root")],
        signed(4),
    ]


def test_a_root_that_no_later_one_vouches_for_vouches_for_nothing(past: Past) -> None:
    past.rotate("second")
    genuine = past.author.root
    liar = Author(GUN, NOW)
    liar.root = replace(
        genuine,
        version=1,
        keys={**genuine.keys, **liar.root.keys, (own := liar.root_key("liar")).keyid: own},
        roles={
            **genuine.roles,
            roles.ROOT: replace(
                genuine.roles[roles.ROOT],
                keyids=(own.keyid, *past.author._previous_root.roles["root"].keyids),  # type: ignore[union-attr]  # noqa: SLF001
            ),
        },
    )
    tamper(past, roles.ROOT, 1, liar.file(roles.ROOT))
    events = past.read()
    assert kinds(events)[:3] == ["unverified"] * 3
    assert "no root that can be relied on is the one it names" in events[0].why
    assert next(event.kind for event in events if event.verified) == "published"


def test_a_root_that_is_gone_leaves_a_gap(past: Past) -> None:
    past.author.next_root()
    past.publish(roles.ROOT)
    past.author.next_root()
    past.publish(roles.ROOT)
    del past.store._files[GUN][roles.ROOT][2]  # noqa: SLF001
    events = past.read()
    assert brief(events)[5:] == [
        ("timestamp", 4, "unverified", ""),
        ("root", 3, "renewed", ""),
        ("root", 3, "gap", ""),
        ("snapshot", 5, "gap", ""),
    ]


# -- deletions


def test_a_repository_that_was_deleted_has_its_feed_before_the_error(world: World, past: Past) -> None:
    client = past.reader.client()
    past.read()
    past.store.delete(GUN, world.clock())
    seen: list[HistoryEvent] = []
    with pytest.raises(RepositoryVanishedError):
        seen.extend(client.history(GUN))
    assert brief(seen) == [
        *(("timestamp", number, "gone", "") for number in (1, 2, 3)),
        ("", None, "deleted", ""),
    ]
    assert not any(event.verified for event in seen)
    assert seen[-1].time == NOW + 3 * HOUR
    with pytest.raises(RepositoryMissingError):
        list(world.person("another").client().history(GUN))
    with pytest.raises(RepositoryMissingError):
        list(world.person("another").client().history("registry.test/never"))


def test_a_repository_that_was_made_anew_has_both_lives(world: World, past: Past) -> None:
    past.read()
    past.store.delete(GUN, world.clock())
    anew = Past(world)
    anew.author.assign(roles.ROOT, [anew.author.root_key("another")])
    anew.publish()
    anew.reader = world.person("newcomer")
    events = anew.read()
    assert kinds(events) == ["gone", "gone", "gone", "deleted", "created", "delegation-added", "tag-added"]
    seen: list[str] = []
    with pytest.raises(RootChangedError):
        seen.extend(event.kind for event in past.reader.client().history(GUN))
    assert seen == ["gone", "gone", "gone", "deleted", "unverified"]


def test_a_server_that_fails_fails_the_reading(past: Past) -> None:
    def changes(*_: object) -> list[dict[str, Any]]:
        raise Refused(503, "UNAVAILABLE", "later")

    past.store.changes = changes  # type: ignore[assignment,method-assign]
    with pytest.raises(NotarypyError) as caught:
        past.read()
    assert caught.value.exit_code == 8
