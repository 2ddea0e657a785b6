"""`migrate report` against real servers: what moved, is gone or has ended, and who could sign what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def owner(alice: Person, repository: Repository) -> Person:
    """The owner of tag 1, which jeff signed, and of an index that carol signed too: she may sign `dev-`."""
    alice.own(repository.name)
    alice.notarypy("key", "generate", "carol", "--dir", alice.home).expect(0)
    limited = ("delegate", "add", "--key", alice.home / "carol.pub", "--path", "dev-", "carol")
    alice.notarypy(*limited, repository.name).expect(0)
    repository.push("1")
    repository.push_index("dev-1")
    alice.notarypy("sign", repository.ref("1"), repository.ref("dev-1")).expect(0)
    return alice


def report(person: Person, code: int, *words: str) -> dict[str, Any]:
    document = person.notarypy("migrate", "report", "--json", *words).expect(code).document
    (result,) = document["results"]
    assert document["exit"] == code
    found: dict[str, Any] = result
    return found


def tag(found: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = (row for row in found["tags"] if row["tag"] == name)
    assert isinstance(row, dict)
    return row


def test_from_the_first_report_to_exit_0(owner: Person, repository: Repository) -> None:
    found = report(owner, 3, repository.name)
    assert found["error"]["code"] == "trust.not_migrated"
    assert tag(found, "1")["signers"] == ["jeff"]
    assert sorted(tag(found, "dev-1")["signers"]) == ["carol", "jeff"]
    assert tag(found, "dev-1")["platforms"]
    losses = {loss["name"]: loss["details"] for loss in found["losses"]}
    assert losses["paths"] == ["targets/carol: only tags that begin with dev-"]
    owner.notarypy("key", "generate", "release", "--dir", owner.home).expect(0)
    public = str(owner.home / "release.pub")
    owner.notarypy("migrate", "cosign", repository.name, "--key", "release").expect(0)
    found = report(owner, 0, repository.name, "--key", public)
    assert {one["form"] for one in tag(found, "1")["signatures"]} == {"bundle", "sig"}
    assert {one["key"] for one in tag(found, "dev-1")["signatures"]} == {"release.pub"}
    assert report(owner, 3, repository.name)["tags"][0]["others"]
    page = owner.home / "report.html"
    owner.notarypy("migrate", "report", "--all", "--key", public, "-o", page).expect(0)
    assert repository.name in page.read_text().replace("<wbr>", "")


def test_what_moved_and_what_is_gone(owner: Person, repository: Repository) -> None:
    old, other = repository.push("2"), repository.push("3")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    owner.notary_add(repository.name, "never", other, "targets/releases").expect(0)
    new = repository.push("2", "other")
    found = report(owner, 4, repository.name)
    moved, gone = tag(found, "2"), tag(found, "never")
    assert (moved["digest"], moved["served"], moved["found"], moved["kept"]) == (
        old.digest, "moved", new.digest, True,
    )  # fmt: skip
    assert (gone["digest"], gone["served"], gone["kept"]) == (other.digest, "gone", True)
    assert tag(found, "1")["served"] == "same"


def test_a_delegation_that_has_ended(alice: Person, bob: Person, repository: Repository) -> None:
    long_ago, soon = -1090, 8  # files of signers run for three years, those of the server for two weeks
    repository.push("1")
    for person, name, more in ((alice, "jeff", ()), (bob, "bob", ("--no-releases",))):
        person.notarypy("key", "generate", name, "--dir", person.home).expect(0)
        words = ("delegate", "add", "--key", str(person.home / f"{name}.pub"), *more, name, repository.name)
        alice.notarypy_later(long_ago, *words).expect(0)
    for person in (alice, bob):
        person.notarypy_later(long_ago, "sign", repository.ref("1")).expect(0)
    for role in ("targets", "targets/jeff", "targets/releases"):
        alice.notarypy("renew", "--role", role, repository.name).expect(0)
    run = alice.notarypy_later(soon, "migrate", "report", "--json", repository.name).expect(3)
    (found,) = run.document["results"]
    (role,) = (role for role in found["roles"] if role["role"] == "targets/bob")
    assert "expire" in role["problem"]
    assert tag(found, "1")["signers"] == ["jeff"]
    assert "untrusted" in {loss["name"] for loss in found["losses"]}


def test_a_repository_that_has_ended_is_shown_and_refused(owner: Person, repository: Repository) -> None:
    run = owner.notarypy_later(30, "migrate", "report", repository.name).expect(5)
    assert "[trust.expired]" in run.stderr
    assert "dev-1" in run.stdout
