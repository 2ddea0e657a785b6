from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.devserver.core import NOTARY_HOST, Fake
from notarypy.errors import RefusedUpdateError
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.notary import NotaryClient
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.metadata import Timestamp
from support.author import GUN, NOW, Author
from support.fakes import NO_DEADLINE, Clock, make_fake, open_desk, read_repository

if TYPE_CHECKING:
    from support.uploads import Desk

PREFIX = f"/v2/{GUN}/_trust/tuf/"


def ask(fake: Fake, path: str, method: str = "GET") -> Response:
    return fake.send(Request(method, f"https://{NOTARY_HOST}{path}"), NO_DEADLINE)


def document(response: Response) -> dict[str, Any]:
    value = json.loads(response.body)
    assert isinstance(value, dict)
    return value


def version_of(data: bytes) -> int:
    version = Envelope.parse(data, "file").signed["version"]
    assert isinstance(version, int)
    return version


def next_targets(desk: Desk, tag: str = "1") -> None:
    desk.author.bump()
    desk.author.add(tag, tag.encode())
    assert desk.post(desk.author.files(roles.TARGETS)).status == 200


@pytest.mark.parametrize("path", ["/v2/", "/_notary_server/health"])
def test_server_is_there(path: str) -> None:
    answer = ask(make_fake(), path)
    assert (answer.status, answer.body) == (200, b"{}")


def test_metadata_is_served_by_name_hash_and_version() -> None:
    fake = make_fake()
    desk = open_desk(fake).publish()
    first = desk.get("targets")
    next_targets(desk)
    assert desk.get("targets") == desk.author.file(roles.TARGETS) != first
    assert desk.get("1.targets") == desk.get("01.targets") == first
    assert desk.get(f"targets.{hashlib.sha256(first).hexdigest()}") == first


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", f"{PREFIX}9.root.json", {}),
        ("GET", f"{PREFIX}targets/x.json", {}),
        ("GET", f"{PREFIX}root.{'0' * 64}.json", {}),
        ("GET", "/v2/nobody/_trust/tuf/timestamp.json", {}),
        ("GET", f"{PREFIX}other.json", None),
        ("GET", f"{PREFIX}targets.key", None),
        ("GET", PREFIX, None),
        ("POST", "/v2/", None),
        ("GET", "/", None),
    ],
)
def test_what_is_not_there_is_404(method: str, path: str, detail: object) -> None:
    fake = make_fake()
    open_desk(fake).publish()
    answer = ask(fake, path, method)
    assert answer.status == 404
    [error] = document(answer)["errors"]
    assert error["code"] == "METADATA_NOT_FOUND"
    assert error.get("detail") == detail


def test_head_is_404_without_a_body() -> None:
    answer = ask(make_fake(), "/v2/", "HEAD")
    assert (answer.status, answer.body) == (404, b"")


def test_other_methods_are_405() -> None:
    assert ask(make_fake(), "/v2/", "OPTIONS").status == 405


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("//v2/", "/v2/"),
        ("/v2/a//b/_trust/tuf/root.json", "/v2/a/b/_trust/tuf/root.json"),
        ("/v2/a/../b/_trust/tuf/", "/v2/b/_trust/tuf/"),
    ],
)
def test_odd_paths_are_redirected(path: str, target: str) -> None:
    answer = ask(make_fake(), path)
    assert (answer.status, answer.headers["location"]) == (301, target)


def test_key_stays_the_same_until_it_is_published_and_after() -> None:
    desk = open_desk(make_fake())
    key = desk.key(roles.TIMESTAMP)
    assert desk.key(roles.TIMESTAMP) == key
    desk.publish()
    assert desk.key(roles.TIMESTAMP) == key
    assert key.keytype == "ed25519"
    assert desk.key(roles.SNAPSHOT) != key


def test_new_key_counts_once_a_root_names_it() -> None:
    fake = make_fake()
    desk = open_desk(fake).publish()
    old, new = desk.key(roles.TIMESTAMP), desk.key(roles.TIMESTAMP, "POST")
    assert desk.key(roles.TIMESTAMP) == old != new
    desk.author.next_root()
    desk.author.use_server_key(roles.TIMESTAMP, new)
    assert desk.post(desk.author.files(roles.ROOT)).status == 200
    assert desk.key(roles.TIMESTAMP) == new
    assert read_repository(fake).root.signers(roles.TIMESTAMP) == (new,)


def test_two_repositories_have_different_keys() -> None:
    fake = make_fake()
    assert open_desk(fake, "a/b").key(roles.TIMESTAMP) != open_desk(fake, "a/c").key(roles.TIMESTAMP)


def test_every_update_makes_a_snapshot_and_a_timestamp() -> None:
    fake = make_fake()
    desk = open_desk(fake).publish()
    assert [version_of(desk.get(role)) for role in (roles.SNAPSHOT, roles.TIMESTAMP)] == [1, 1]
    assert desk.post({}).status == 200
    assert [version_of(desk.get(role)) for role in (roles.SNAPSHOT, roles.TIMESTAMP)] == [2, 2]
    assert read_repository(fake).timestamp.expires == NOW + timedelta(days=14)


def test_snapshot_keeps_removed_delegations() -> None:
    fake = make_fake()
    desk = open_desk(fake)
    desk.author.delegate("targets/a")
    desk.author.add("1", b"one", "targets/a")
    desk.publish()
    desk.author.bump()
    desk.author.targets[roles.TARGETS] = replace(desk.author.targets[roles.TARGETS], roles=(), keys={})
    assert desk.post(desk.author.files(roles.TARGETS)).status == 200
    assert set(read_repository(fake).snapshot.meta) == {"root", "targets", "targets/a"}


def test_posted_snapshot_is_served_as_it_came() -> None:
    desk = open_desk(make_fake()).own_snapshot()
    assert desk.post_with_snapshot().status == 200
    assert desk.get(roles.SNAPSHOT) == desk.author.snapshot(desk.author.files())


def test_expired_timestamp_is_renewed_when_asked_for() -> None:
    clock = Clock()
    fake = make_fake(clock)
    desk = open_desk(fake).publish()
    clock.advance(timedelta(days=15))
    assert version_of(desk.get(roles.TIMESTAMP)) == 2
    assert version_of(desk.get(roles.SNAPSHOT)) == 1
    assert read_repository(fake, now=clock.now).timestamp.version == 2


def test_expired_snapshot_is_renewed_with_its_timestamp() -> None:
    clock = Clock()
    desk = open_desk(make_fake(clock)).publish()
    clock.advance(timedelta(days=3 * 365 + 1))
    timestamp, snapshot = desk.get(roles.TIMESTAMP), desk.get(roles.SNAPSHOT)
    assert (version_of(timestamp), version_of(snapshot)) == (2, 2)
    assert Timestamp.from_signed(Envelope.parse(timestamp, "").signed).snapshot.matches(snapshot)


def test_a_clients_expired_snapshot_is_not_renewed() -> None:
    clock = Clock()
    desk = open_desk(make_fake(clock)).own_snapshot()
    assert desk.post_with_snapshot().status == 200
    clock.advance(timedelta(days=3 * 365 + 1))
    assert version_of(desk.get(roles.SNAPSHOT)) == 1


def test_nothing_is_renewed_under_an_expired_root() -> None:
    clock = Clock()
    desk = open_desk(make_fake(clock)).publish()
    clock.advance(timedelta(days=11 * 365))
    answer = desk.send("GET", "tuf/timestamp.json")
    assert (answer.status, answer.error["code"]) == (500, "UNKNOWN")


def test_delete_forgets_the_repository_alone() -> None:
    fake = make_fake()
    desk, other = open_desk(fake).publish(), open_desk(fake, f"{GUN}bar").publish()
    for _ in range(2):
        assert desk.send("DELETE", "tuf/").status == 200
    assert desk.send("GET", "tuf/root.json").status == 404
    assert other.get("root")
    assert open_desk(fake).publish().get("root")


def changes(fake: Fake, query: str, gun: str = "") -> list[str] | None:
    answer = document(ask(fake, f"/v2/{gun and gun + '/'}_trust/changefeed?{query}"))
    found = answer["records"]
    assert answer["count"] == len(found or ())
    return found if found is None else [record["ID"] for record in found]


def test_changefeed_pages() -> None:
    fake = make_fake()
    desk, other = open_desk(fake, "a/b").publish(), open_desk(fake, "a/c").publish()
    next_targets(desk)
    other.send("DELETE", "tuf/")
    assert changes(fake, "records=0") == ["1", "2", "3", "4"]
    assert changes(fake, "records=2") == ["1", "2"]
    assert changes(fake, "records=2&change_id=1") == ["2", "3"]
    assert changes(fake, "records=2&change_id=-1") == ["3", "4"]
    assert changes(fake, "records=-2&change_id=4") == ["2", "3"]
    assert changes(fake, "records=5&change_id=4") is None
    assert changes(fake, "records=5", "a/b") == ["1", "3"]
    assert changes(fake, "records=5", "a/x") == []


def test_changefeed_records() -> None:
    fake = make_fake()
    desk = open_desk(fake, "a/b").publish()
    digest = hashlib.sha256(desk.get(roles.TIMESTAMP)).hexdigest()
    desk.send("DELETE", "tuf/")
    common = {"CreatedAt": "2026-11-23T12:00:00Z", "GUN": "a/b"}
    assert document(ask(fake, "/v2/_trust/changefeed?records=9"))["records"] == [
        {"ID": "1", **common, "Version": 1, "SHA256": digest, "Category": "update"},
        {"ID": "2", **common, "Version": 0, "SHA256": "", "Category": "deletion"},
    ]


@pytest.mark.parametrize("query", ["", "records=x", "records=1&change_id=z"])
def test_changefeed_needs_numbers(query: str) -> None:
    answer = ask(make_fake(), f"/v2/_trust/changefeed?{query}")
    assert answer.status == 400
    assert document(answer)["errors"][0]["code"] == "INVALID_PARAMETERS"


def test_one_of_many_equal_updates_wins() -> None:
    fake = make_fake()
    desk = open_desk(fake).publish()
    authors = [open_desk(fake).author for _ in range(8)]
    for number, author in enumerate(authors):
        author.bump()
        author.add(f"tag{number}", b"content")

    def post(author: Author) -> int:
        return desk.post(author.files(roles.TARGETS)).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(post, authors))
    assert sorted(statuses) == [200] + [400] * 7
    assert read_repository(fake).timestamp.version == 2


def test_the_clients_own_code_talks_to_it() -> None:
    fake = make_fake()
    server = NotaryClient(Exchange(fake, timeout=5), f"https://{NOTARY_HOST}")
    author = Author()
    for role in (roles.TIMESTAMP, roles.SNAPSHOT):
        author.use_server_key(role, PublicKey.from_json(json.loads(server.get_key(GUN, role))))
    author.delegate("targets/releases")
    author.add("1", b"one", "targets/releases")
    server.update(GUN, author.files())
    assert server.get(GUN, "targets/releases") == author.file("targets/releases")
    with pytest.raises(RefusedUpdateError) as refused:
        server.update(GUN, author.files())
    assert refused.value.facts["code"] == "VERSION"
    server.update(GUN, {})
    assert read_repository(fake).snapshot.version == 2
