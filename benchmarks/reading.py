"""Rows in which somebody reads: what they read was published by the benchmark, and they have no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contestants import cold, readers, warm
from benchmarks.lab import docker, go_notary, skopeo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.contestants import Commands
    from benchmarks.lab import Lab
    from benchmarks.measuring import Contestant
    from interop.harness.images import Repository

    Make = Callable[[Lab, str, Commands], Contestant]
    Enter = Callable[[Lab], list[Contestant]]

SIGNER = "targets/jeff"


def names(count: int) -> list[str]:
    """Return that many tags."""
    return [f"v{number}" for number in range(count)]


def published(lab: Lab, name: str, tags: Sequence[str], *roles: str) -> Repository:
    """Return a repository with an image under the first tag, and trust data for all of them."""
    repository = lab.repository(name)
    lab.publish(repository.name, lab.push(repository, tags[0]), tags, *roles)
    return repository


def lookup(make: Make, tags: int = 1) -> Enter:
    """One tag of a repository with so many, without the registry."""

    def enter(lab: Lab) -> list[Contestant]:
        repository = published(lab, "lookup", names(tags))
        theirs: dict[str, Commands] = {
            "notary lookup": lambda person: [go_notary(person, "lookup", repository.name, "v0")],
            "docker trust inspect": lambda person: [docker(person, "trust", "inspect", repository.ref("v0"))],
        }
        return readers(lab, make, ("verify", "--no-registry", repository.ref("v0")), theirs)

    return enter


def verify(make: Make) -> Enter:
    """One tag that a signer signed, and what it is in the registry."""

    def enter(lab: Lab) -> list[Contestant]:
        repository = published(lab, "verify", names(1), "targets/releases", SIGNER)
        theirs: dict[str, Commands] = {
            "notary lookup, skopeo inspect --raw": lambda person: [
                go_notary(person, "lookup", repository.name, "v0"),
                skopeo(person, repository, "v0"),
            ]
        }
        return readers(lab, make, ("verify", repository.ref("v0")), theirs)

    return enter


def repositories(lab: Lab) -> list[Contestant]:
    """Fifty repositories in one command, for the first time."""
    each = [published(lab, f"many{number}", names(1)) for number in range(50)]
    return readers(lab, cold, ("verify", *(repository.ref("v0") for repository in each)), {})


def tags(lab: Lab) -> list[Contestant]:
    """Two hundred tags of a repository in one command."""
    repository = lab.repository("tags")
    lab.publish(repository.name, lab.push(repository, *names(200)), names(200))
    return readers(lab, warm, ("verify", *map(repository.ref, names(200))), {})


def inspect(count: int) -> Enter:
    """All tags of a repository."""

    def enter(lab: Lab) -> list[Contestant]:
        repository = published(lab, "inspect", names(count))
        theirs: dict[str, Commands] = {
            "notary list": lambda person: [go_notary(person, "list", repository.name)]
        }
        return readers(lab, warm, ("inspect", repository.name), theirs)

    return enter


def startup(lab: Lab) -> list[Contestant]:
    """What a program does before it does anything."""
    theirs: dict[str, Commands] = {
        "notary version": lambda person: [go_notary(person, "version")],
        "docker --version": lambda person: [docker(person, "--version")],
    }
    return readers(lab, warm, ("--version",), theirs)
