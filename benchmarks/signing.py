"""Rows in which somebody signs: each contestant in repositories and with keys of their own.

All made their keys and their repositories with Go notary or docker, so that the key files are alike: of 2 048
rounds. A file that notarypy writes has 100 000, which costs about 45 ms for each such key that is used.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from benchmarks.contestants import cold, readers, ways
from benchmarks.lab import docker, go_notary
from benchmarks.measuring import Contestant
from benchmarks.reading import names
from interop.harness.programs import openssl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.contestants import Commands
    from benchmarks.lab import Lab
    from benchmarks.processes import Command
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

SIGNER = "jeff"
# That are there for a signer: more than a run has turns.
TAGS = 100


@dataclass(frozen=True)
class Task:
    """Tags to sign, which are in the registry, and who is to sign them."""

    person: Person
    images: dict[Repository, Manifest]
    tags: Sequence[str]

    @property
    def references(self) -> list[str]:
        """Every tag of every repository."""
        return [repository.ref(tag) for repository in self.images for tag in self.tags]

    def staged(self, *options: str) -> list[Command]:
        """Return the Go notary commands that take up every tag for the next publish."""
        return [
            go_notary(
                self.person,
                *("addhash", repository.name, tag, str(manifest.size), "--sha256", manifest.sha256),
                *options,
            )
            for repository, manifest in self.images.items()
            for tag in self.tags
        ]

    def published(self) -> list[Command]:
        """Return the Go notary commands that publish what was taken up."""
        return [go_notary(self.person, "publish", repository.name) for repository in self.images]


def begun(person: Person, repository: Repository) -> None:
    """Begin trust data whose snapshots the server signs, as docker and notarypy have it."""
    person.notary("init", repository.name, "-p").expect(0)
    person.notary("key", "rotate", repository.name, "snapshot", "-r").expect(0)


def with_signer(person: Person, repository: Repository) -> None:
    """Begin trust data with docker, and with a signer whose key the person has."""
    key, certificate = person.new_key(SIGNER)
    plain = key.with_suffix(".pem")
    openssl("ec", "-in", key, "-out", plain)
    plain.chmod(0o600)
    person.docker("trust", "key", "load", plain, "--name", SIGNER).expect(0)
    person.docker("trust", "signer", "add", "--key", certificate, SIGNER, repository.name).expect(0)


# -- tasks: one for each turn, and those that come first make ready what later ones find -------------


def again(lab: Lab, person: Person, repositories: int = 1) -> Iterator[Task]:
    """Yield tasks of one new tag in each repository."""
    each = [lab.repository("again") for _ in range(repositories)]
    for repository in each:
        begun(person, repository)
    for number in count():
        tag = f"v{number}"
        yield Task(person, {repository: lab.push(repository, tag) for repository in each}, [tag])


def twenty(lab: Lab, person: Person) -> Iterator[Task]:
    """Yield tasks of one new tag in each of twenty repositories."""
    return again(lab, person, 20)


def by_signer(lab: Lab, person: Person) -> Iterator[Task]:
    """Yield tasks of one new tag for a signer.

    docker signs without a daemon only what the owner's file names already: that is done first.
    """
    repository, tags = lab.repository("roles"), names(TAGS)
    with_signer(person, repository)
    manifest = lab.push(repository, *tags)
    named = Task(person, {repository: manifest}, tags)
    lab.run(*named.staged(), *named.published())
    for tag in tags:
        yield Task(person, {repository: manifest}, [tag])


def many(number: int) -> Callable[[Lab, Person], Iterator[Task]]:
    """Return what yields, for each turn, a first tag in a new repository, and then so many."""

    def tasks(lab: Lab, person: Person) -> Iterator[Task]:
        while True:
            repository = lab.repository("many")
            begun(person, repository)
            manifest = lab.push(repository, "first", *names(number))
            for tags in (["first"], names(number)):
                yield Task(person, {repository: manifest}, tags)

    return tasks


# -- rows ------------------------------------------------------------------------------------------


def sign(
    tasks: Callable[[Lab, Person], Iterator[Task]],
    peer: str,
    theirs: Callable[[Task], Sequence[Command]],
    *,
    anew: bool = False,
) -> Callable[[Lab], list[Contestant]]:
    """Return a row in which tasks are signed; a first one, of each turn if `anew`, is not measured."""

    def contestant(lab: Lab, name: str, commands: Callable[[Task], Sequence[Command]]) -> Contestant:
        given = tasks(lab, lab.person(name))

        def turn() -> Sequence[Command]:
            if anew:
                lab.run(*commands(next(given)))
            return commands(next(given))

        if not anew:
            lab.run(*commands(next(given)))
        return Contestant(name, turn)

    def mine(task: Task) -> tuple[Person, Sequence[str]]:
        return task.person, ("sign", *task.references)

    def enter(lab: Lab) -> list[Contestant]:
        return [contestant(lab, name, commands) for name, commands in ways(lab, mine, {peer: theirs}).items()]

    return enter


def each_published(task: Task) -> list[Command]:
    """Go notary, a publish for each tag."""
    return task.staged("-p")


def once_published(task: Task) -> list[Command]:
    """Go notary, which takes up all tags and then publishes once."""
    return [*task.staged(), *task.published()]


def docker_signed(task: Task) -> list[Command]:
    """`docker trust sign`, tag by tag."""
    return [docker(task.person, "trust", "sign", reference) for reference in task.references]


def init(lab: Lab) -> list[Contestant]:
    """New trust data, and new keys for it."""
    theirs: dict[str, Commands] = {
        "notary init -p": lambda person: [go_notary(person, "init", lab.repository("init").name, "-p")]
    }
    return readers(lab, cold, lambda: ("init", lab.repository("init").name), theirs)


def init_with_signer(lab: Lab) -> list[Contestant]:
    """New trust data with a signer, and new keys for it."""
    _, certificate = lab.person("certificate").new_key(SIGNER)
    words = ("signer", "add", "--key", str(certificate), SIGNER)
    theirs: dict[str, Commands] = {
        "docker trust signer add": lambda person: [
            docker(person, "trust", *words, lab.repository("init").name)
        ]
    }
    return readers(lab, cold, lambda: (*words, lab.repository("init").name), theirs)


def key_list(lab: Lab) -> list[Contestant]:
    """The keys that are there."""
    owner = lab.person("owner")
    begun(owner, lab.repository("keys"))

    def made(lab: Lab, name: str, commands: Commands) -> Contestant:
        person = lab.person(name)
        shutil.copytree(owner.trust_dir / "private", person.trust_dir / "private")
        return Contestant(name, lambda: commands(person))

    theirs: dict[str, Commands] = {"notary key list": lambda person: [go_notary(person, "key", "list")]}
    return readers(lab, made, ("key", "list"), theirs)
