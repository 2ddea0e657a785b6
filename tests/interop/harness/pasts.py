"""A repository with a past that notarypy, Go notary and docker made together, and what it is to read like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person

Event = tuple[str, int | None, str, str]
ROTATED = ("root", "targets", "snapshot", "timestamp", "root")
LIVED: list[Event] = [
    ("root", 1, "created", ""),
    ("targets", 1, "delegation-added", "targets/jeff"),
    ("targets", 1, "delegation-added", "targets/releases"),
    ("targets/jeff", 1, "tag-added", "1"),
    ("targets/jeff", 1, "tag-added", "2"),
    ("targets/releases", 1, "tag-added", "1"),
    ("targets/releases", 1, "tag-added", "2"),
    ("targets/jeff", 2, "tag-moved", "1"),
    ("targets/releases", 2, "tag-moved", "1"),
    ("targets", 2, "key-added", "targets/releases"),
    ("targets", 2, "delegation-added", "targets/bob"),
    ("root", 2, "key-rotated", "root"),
    ("root", 3, "key-rotated", "targets"),
    ("targets", 3, "renewed", ""),
    ("root", 4, "key-rotated", "snapshot"),
    ("root", 5, "key-rotated", "timestamp"),
    ("root", 6, "key-rotated", "root"),
    ("targets/jeff", 3, "renewed", ""),
    ("targets/jeff", 4, "tag-removed", "2"),
    ("targets/releases", 3, "tag-removed", "2"),
    ("root", 7, "certificate-renewed", "root"),
    ("targets/jeff", 5, "tag-removed", "1"),
    ("targets", 4, "delegation-removed", "targets/bob"),
]


def live(alice: Person, bob: Person, repository: Repository) -> None:
    """Do all of it: alice owns the repository and signs as jeff."""
    name = repository.name
    alice.own(name)
    for tag in "12":
        repository.push(tag)
    alice.notarypy("sign", repository.ref("1"), repository.ref("2")).expect(0)
    again = repository.push("1", "another")
    alice.notary_add(name, "1", again, "targets/releases", "targets/jeff").expect(0)
    _, certificate = bob.new_key("bob")
    alice.docker("trust", "signer", "add", "--key", certificate, "bob", name).expect(0)
    for role in ROTATED:
        kept = ("-r",) if role in {"snapshot", "timestamp"} else ()
        alice.notary("key", "rotate", name, role, *kept, text="yes\n").expect(0)
    alice.notary("witness", name, "targets/jeff", "-p").expect(0)
    alice.docker("trust", "revoke", "-y", repository.ref("2")).expect(0)
    alice.notarypy("renew", "--role", "root", name).expect(0)
    alice.notary("remove", name, "1", "-r", "targets/jeff", "-p").expect(0)
    alice.notary("delegation", "remove", name, "targets/bob", "--yes", "-p").expect(0)


def read(person: Person, name: str, *options: str, code: int = 0) -> list[dict[str, Any]]:
    """Return the events that somebody reads of a repository."""
    told = person.notarypy("history", "--json", name, *options).expect(code).document
    events: list[dict[str, Any]] = told["results"][0]["events"]
    return events


def brief(events: list[dict[str, Any]]) -> list[Event]:
    """Return events as `LIVED` has them."""
    return [(event["role"], event["version"], event["kind"], event["name"]) for event in events]
