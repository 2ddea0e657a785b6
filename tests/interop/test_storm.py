"""A storm: 16 publishers of one repository, of whom the kernel kills some at any moment.

Eight share a trust directory, eight have one each. Whoever was killed begins again with the tag that he was
about. Whatever is said to be signed is signed, and whatever is said not to be is not. Afterwards every trust
directory works as before.

A seed is printed with each failure; INTEROP_STORM_SEED repeats it as far as the machine does. A longer
storm, with so many tags for each, is INTEROP_STORM_TAGS.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import databases, programs, publisher, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

SHARING, ALONE = 8, 8
TAGS = int(os.environ.get("INTEROP_STORM_TAGS", "10"))
SEED = int(os.environ.get("INTEROP_STORM_SEED") or random.SystemRandom().randrange(10**6))
KILLS = 2  # of each publisher, at most
UNKNOWN = "publish.unknown"
UNENDED = {"nothing", "begin"}


@pytest.fixture(params=["memory", *databases.KINDS])
def servers(
    request: pytest.FixtureRequest, workshop: Path, authority: services.Authority
) -> Iterator[list[services.Endpoint]]:
    """Run one server with memory, or two over one database."""
    directory = workshop / f"storm-{request.param}"
    running = (
        one_server(directory, authority)
        if request.param == "memory"
        else databases.two_servers(request.param, directory, authority)
    )
    with running as found:
        yield found


@contextlib.contextmanager
def one_server(directory: Path, authority: services.Authority) -> Iterator[list[services.Endpoint]]:
    with services.notary_server(directory, authority) as server:
        yield [server]


@pytest.fixture
def notary(servers: list[services.Endpoint]) -> services.Endpoint:
    return servers[0]


class Publisher(threading.Thread):
    """One publisher and whoever starts it again after it was killed; `said` has the last word on each tag."""

    def __init__(self, person: Person, references: list[str], dice: random.Random) -> None:
        super().__init__()
        self.person, self.left, self.said = person, references, dict.fromkeys(references, "nothing")
        self._lives: list[float | None] = [dice.uniform(0.3, 6) for _ in range(dice.randrange(KILLS + 1))]
        self.deaths = 0
        self.doubtful: set[str] = set()  # what an earlier life was about may have arrived
        self.start()

    def run(self) -> None:
        """Publish until every tag was ended."""
        for life in (*self._lives, None):
            self._live(life)
            self.doubtful |= {reference for reference in self.left if self.said[reference] == "begin"}
            self.left = [reference for reference in self.left if self.said[reference] in UNENDED]

    def _live(self, life: float | None) -> None:
        argv = [sys.executable, publisher.__file__, *self.left]
        with programs.start(argv, self.person.environment) as process:
            try:
                process.wait(life)
            except subprocess.TimeoutExpired:
                process.kill()
                self.deaths += 1
            text, errors = process.communicate()
        assert not errors, errors
        self.said.update({line.split()[1]: line.split()[0] for line in text.splitlines()})


def published(reader: Person, repository: Repository) -> dict[str, str]:
    """Return the released tags and their digests as Go notary lists them; insist that notarypy agrees."""
    listing = reader.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    rows = [line.split() for line in listing.splitlines()[2:] if line.strip()]
    seen = {row[0]: row[1] for row in rows}
    [found] = reader.notarypy("inspect", "--json", repository.name).expect(0).document["results"]
    assert {tag["tag"]: tag["digest"].removeprefix("sha256:") for tag in found["tags"]} == seen
    return seen


def is_sound(person: Person, repository: Repository, tag: str) -> None:
    """Insist that a trust directory works, and that nobody left it locked."""
    person.notarypy("verify", "--offline", "--no-registry", repository.ref(tag)).expect(0)
    person.notarypy("sign", "--retry-for", "0", repository.ref(tag)).expect(0)
    person.notarypy("key", "test", "jeff").expect(0)
    rubbish = [path.name for path in person.trust_dir.rglob("*.tmp")]
    assert rubbish == [], "what a killed process has left stays for ever"


def test_nothing_is_lost_and_nothing_is_said_that_is_not_so(
    alice: Person,
    bob: Person,
    person: Callable[[str], Person],
    servers: list[services.Endpoint],
    repository: Repository,
) -> None:
    sys.stdout.write(f"INTEROP_STORM_SEED={SEED}\n")  # shown with a failure
    dice = random.Random(SEED)
    alice.own(repository.name)
    people = [alice] * SHARING
    for number in range(ALONE):
        people.append(person(f"publisher-{number}"))
        people[-1].use(servers[number % len(servers)])
        alice.share_keys_with(people[-1])
    tags: dict[str, Manifest] = {}
    for number in range(len(people)):
        tags |= {f"{number}-{count}": repository.push(f"{number}-{count}") for count in range(TAGS)}
    references = [repository.ref(tag) for tag in tags]
    storm = [
        Publisher(one, references[number * TAGS : (number + 1) * TAGS], random.Random(dice.random()))
        for number, one in enumerate(people)
    ]
    for each in storm:
        each.join(300)
    for server in servers:
        server.revive()
    said = {reference: word for each in storm for reference, word in each.said.items()}
    assert len(said) == len(references)
    listed = published(bob, repository)
    counts = {word: list(said.values()).count(word) for word in set(said.values())}
    deaths = sum(each.deaths for each in storm)
    sys.stdout.write(f"{counts}, killed {deaths} times, listed {len(listed)}\n")
    assert UNENDED.isdisjoint(counts)
    assert deaths
    assert counts["signed"] >= len(tags) // 2
    doubtful = {reference for each in storm for reference in each.doubtful}
    for tag, manifest in tags.items():
        word = said[repository.ref(tag)]
        if word == "signed":
            assert listed.get(tag) == manifest.sha256, f"{tag} was said to be signed"
        elif word == UNKNOWN or repository.ref(tag) in doubtful:
            assert listed.get(tag, manifest.sha256) == manifest.sha256
        else:
            assert tag not in listed, f"{tag} was said to be unsigned: {word}"
    left = [repository.ref(tag) for tag in tags if tag not in listed]
    if left:
        alice.notarypy("sign", *left).expect(0)
    assert published(bob, repository) == {tag: manifest.sha256 for tag, manifest in tags.items()}
    for owner in {id(one): one for one in people}.values():
        owner.notarypy("verify", references[0]).expect(0)
        is_sound(owner, repository, next(iter(tags)))
    last = repository.push("last")
    alice.notarypy("sign", repository.ref("last")).expect(0)
    assert published(bob, repository)["last"] == last.sha256
