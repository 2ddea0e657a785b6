"""Notary servers as they run in production: two of them over one database, MariaDB or PostgreSQL.

Such a server answers 500 where one with memory says 404, and PostgreSQL also when it loses a race.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import databases, images, pasts, people, programs, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PUBLISHERS = 8


@pytest.fixture(scope="module", params=databases.KINDS)
def servers(
    request: pytest.FixtureRequest, workshop: Path, authority: services.Authority
) -> Iterator[list[services.Endpoint]]:
    with databases.two_servers(request.param, workshop / request.param, authority) as running:
        yield running


@pytest.fixture
def notary(servers: list[services.Endpoint]) -> services.Endpoint:
    return servers[0]


@pytest.fixture
def reader(person: Callable[[str], people.Person], servers: list[services.Endpoint]) -> people.Person:
    """Return somebody who asks the other server."""
    reader = person("reader")
    reader.use(servers[1])
    return reader


def sign(person: people.Person, repository: images.Repository, *tags: str) -> None:
    for tag in tags:
        repository.push(tag)
    person.notarypy("sign", *map(repository.ref, tags)).expect(0)


@pytest.mark.parametrize("snapshot", ["server", "local"])
def test_the_whole_life_of_a_signer(
    alice: people.Person, reader: people.Person, repository: images.Repository, snapshot: str
) -> None:
    name = repository.name
    alice.notarypy("init", "--snapshot", snapshot, name).expect(0)
    certificate = alice.own(name, "jeff")
    alice.own(name, "carol")
    sign(alice, repository, "1")
    sign(alice, repository, "2", "3")
    alice.notarypy("signer", "remove", "jeff", name).expect(0)
    alice.notarypy("signer", "add", "--key", certificate, "jeff", name).expect(0)
    sign(alice, repository, "4")
    signers = (
        reader.notarypy("verify", "--json", repository.ref("4")).expect(0).document["results"][0]["signers"]
    )
    assert sorted(signers) == ["carol", "jeff"]
    alice.notarypy("delegate", "purge", "--key", key_of(alice, "jeff"), name).expect(0)
    sign(alice, repository, "5")
    reader.notarypy("verify", *map(repository.ref, "12345")).expect(0)
    listing = reader.notary("list", name, "-r", "targets/releases").expect(0).stdout
    assert [line.split()[0] for line in listing.splitlines()[2:] if line.strip()] == list("12345")


def test_the_past_of_a_repository(
    alice: people.Person, reader: people.Person, repository: images.Repository
) -> None:
    pasts.live(alice, reader, repository)
    assert pasts.brief(pasts.read(reader, repository.name)) == pasts.LIVED
    alice.notary("delete", repository.name, "--remote").expect(0)
    alarm = pasts.read(reader, repository.name, code=4)
    assert {event["kind"] for event in alarm} == {"gone", "deleted"}
    assert len(alarm) == len({event["version"] for event in alarm})
    reader.notarypy("forget", "--yes", repository.name).expect(0)
    reader.notarypy("init", repository.name).expect(0)
    events = pasts.read(reader, repository.name)
    assert events[: len(alarm)] == alarm
    assert pasts.brief(events[len(alarm) :]) == [("root", 1, "created", ""), ("targets", 1, "published", "")]


def key_of(person: people.Person, name: str) -> str:
    keys = person.notarypy("key", "list", "--json").expect(0).document["results"]
    return str(next(key["keyid"] for key in keys if key["role"] == name))


def test_a_snapshot_key_moves_to_the_server_and_back(
    alice: people.Person, reader: people.Person, repository: images.Repository
) -> None:
    alice.own(repository.name)
    sign(alice, repository, "1")
    alice.notarypy("key", "rotate", repository.name, "snapshot").expect(0)
    sign(alice, repository, "2")
    alice.notarypy("key", "rotate", repository.name, "snapshot", "--server-managed").expect(0)
    alice.notarypy("key", "rotate", repository.name, "timestamp", "--server-managed").expect(0)
    sign(alice, repository, "3")
    reader.notarypy("verify", *map(repository.ref, "123")).expect(0)


def test_eight_publishers_through_both_servers(
    alice: people.Person,
    person: Callable[[str], people.Person],
    servers: list[services.Endpoint],
    reader: people.Person,
    repository: images.Repository,
) -> None:
    alice.own(repository.name)
    tags = {f"tag-{number}": repository.push(f"tag-{number}") for number in range(PUBLISHERS)}
    running = []
    for number, tag in enumerate(tags):
        publisher = person(tag)
        publisher.use(servers[number % 2])
        alice.share_keys_with(publisher)
        running.append(publisher.start_notarypy("sign", repository.ref(tag)))
    for process in running:
        programs.collect(process, timeout=120).expect(0)
    for someone in (alice, reader):
        someone.notarypy("verify", *map(repository.ref, tags)).expect(0)
        listing = someone.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
        assert all(manifest.sha256 in listing for manifest in tags.values())


def test_first_publishers_at_once(
    person: Callable[[str], people.Person], servers: list[services.Endpoint], repository: images.Repository
) -> None:
    owners = [person(f"owner-{number}") for number in range(4)]
    for number, owner in enumerate(owners):
        owner.use(servers[number % 2])
    running = [owner.start_notarypy("init", "--json", repository.name) for owner in owners]
    done = [programs.collect(process).expect(0).document for process in running]
    assert [document["results"][0]["created"] for document in done].count(True) == 1
    assert len({tuple(document["results"][0]["root_pins"]) for document in done}) == 1


def test_what_nobody_published_is_missing_and_no_failure(
    reader: people.Person, repository: images.Repository
) -> None:
    repository.push("1")
    assert "trust.repo_missing" in reader.notarypy("verify", repository.ref("1")).expect(3).stderr


def test_one_repository_is_deleted_and_published_again(
    alice: people.Person, reader: people.Person, repository: images.Repository
) -> None:
    name = repository.name
    longer = images.Repository(repository.registry, f"{repository.path}-too")
    for each in (repository, longer):
        alice.own(each.name, f"jeff{len(each.name)}")
        sign(alice, each, "1")
    reader.notarypy("verify", repository.ref("1")).expect(0)
    done = alice.notarypy("delete", "--remote", "--json", "--confirm", name, name).expect(0).document
    assert done["results"][0]["others"] == []
    reader.notarypy("verify", longer.ref("1")).expect(0)
    reader.notarypy("verify", repository.ref("1")).expect(4)
    again = alice.notarypy("republish", "--json", name).expect(0).document["results"][0]
    assert again["root_version"] == 1  # the signer has its keys still
    reader.notarypy("verify", repository.ref("1")).expect(0)
    sign(alice, repository, "2")
    reader.notary("list", name, "-r", "targets/releases").expect(0)
