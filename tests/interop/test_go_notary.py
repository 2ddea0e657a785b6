"""Go notary and notarypy take turns on the same repositories, in the same trust directory and in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person


def both_read(person: Person, repository: Repository, tag: str, manifest: Manifest) -> None:
    """Let both tools find the tag's digest; ours first, so that theirs has not refreshed the cache."""
    verified = person.notarypy("verify", repository.ref(tag)).expect(0)
    assert verified.stdout == f"{repository.pinned(manifest)}\n"
    assert manifest.sha256 in person.notary("lookup", repository.name, tag).expect(0).stdout


def test_turns_on_a_repository_that_go_made(alice: Person, bob: Person, repository: Repository) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    first, second, third = (repository.push(tag) for tag in "123")
    alice.notary_add(repository.name, "1", first).expect(0)
    alice.notarypy("sign", repository.ref("2")).expect(0)
    alice.notary_add(repository.name, "3", third).expect(0)
    for person in (alice, bob):
        for tag, manifest in (("1", first), ("2", second), ("3", third)):
            both_read(person, repository, tag, manifest)


def test_turns_on_a_repository_that_notarypy_made(alice: Person, bob: Person, repository: Repository) -> None:
    alice.notarypy("init", repository.name).expect(0)
    first, second, third = (repository.push(tag) for tag in "123")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    alice.notary_add(repository.name, "2", second).expect(0)
    alice.notarypy("sign", repository.ref("3")).expect(0)
    for person in (alice, bob):
        for tag, manifest in (("1", first), ("2", second), ("3", third)):
            both_read(person, repository, tag, manifest)


def test_go_removes_what_notarypy_signed(alice: Person, bob: Person, repository: Repository) -> None:
    repository.push("1")
    alice.notarypy("init", repository.name).expect(0)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    alice.notary("remove", repository.name, "1", "-p").expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(3)


def test_a_delegation_by_go_is_signed_by_notarypy(alice: Person, bob: Person, repository: Repository) -> None:
    image = repository.push("1")
    key, certificate = alice.new_key("jeff")
    alice.notary("init", repository.name, "-p").expect(0)
    for role in ("targets/releases", "targets/jeff"):
        alice.notary("delegation", "add", repository.name, role, certificate, "--all-paths", "-p").expect(0)
    listing = alice.notarypy("delegate", "list", repository.name).expect(0).stdout
    assert "targets/releases" in listing
    assert "targets/jeff" in listing

    alice.notarypy("key", "load", key, "--name", "jeff").expect(0)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    for role in ("targets/releases", "targets/jeff"):
        found = bob.notary("list", repository.name, "-r", role).expect(0).stdout
        assert image.sha256 in found
    both_read(bob, repository, "1", image)


def test_a_delegation_by_notarypy_is_signed_by_go(alice: Person, bob: Person, repository: Repository) -> None:
    image = repository.push("1")
    alice.own(repository.name, "jeff")
    assert "targets/jeff" in alice.notary("delegation", "list", repository.name).expect(0).stdout
    alice.notary_add(repository.name, "1", image, "targets/releases", "targets/jeff").expect(0)
    both_read(bob, repository, "1", image)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)


def test_a_delegation_limited_to_a_path_signs_only_there(alice: Person, repository: Repository) -> None:
    key, certificate = alice.new_key("team")
    alice.notarypy("key", "load", key, "--name", "team").expect(0)
    alice.notarypy("init", repository.name).expect(0)
    add = ("delegate", "add", "team", repository.name, "--key", certificate, "--path", "dev-")
    alice.notarypy(*add).expect(0)
    alice.own(repository.name, "jeff")
    ours = alice.notarypy("key", "list").expect(0).stdout
    theirs = alice.notary("key", "list").expect(0).stdout
    for key in alice.trust_dir.glob("private/*.key"):
        assert key.stem[:7] in ours
        assert key.stem[:7] in theirs


def test_paths_that_one_removes_are_gone_for_the_other(
    alice: Person, bob: Person, repository: Repository
) -> None:
    name, image = repository.name, repository.push("dev-1")
    alice.own(name, "jeff")
    alice.notarypy("sign", repository.ref("dev-1")).expect(0)
    alice.notary("delegation", "add", name, "targets/jeff", "--paths", "rel-,v", "-p").expect(0)
    alice.notarypy("delegate", "remove", "jeff", name, "--path", "").expect(2)
    removed = alice.notarypy("delegate", "remove", "jeff", name, "--path", "", "--path", "v", "--keep-tags")
    assert "dev-1 in targets/jeff" in removed.expect(0).stdout
    [row] = [
        line
        for line in bob.notary("delegation", "list", name).expect(0).stdout.splitlines()
        if "/jeff" in line
    ]
    assert row.split()[1] == "rel-"
    assert bob.notary("list", name, "-r", "targets/jeff").expect(0).stdout.count("dev-1") == 0
    both_read(bob, repository, "dev-1", image)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("dev-1")).expect(10)

    alice.notary("delegation", "remove", name, "targets/jeff", "--paths", "rel-", "-p").expect(0)
    listed = bob.notarypy("--json", "delegate", "list", name).expect(0).document
    assert [one["paths"] for one in listed["results"][0]["roles"] if one["role"] == "targets/jeff"] == [[]]
    alice.notarypy(
        "delegate", "add", "jeff", name, "--key", alice.home / "jeff.crt", "--path", "dev-"
    ).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("dev-1")).expect(0)


def test_an_exported_key_is_imported_by_go(alice: Person, bob: Person) -> None:
    key, _ = alice.new_key("jeff")
    alice.notarypy("key", "load", key, "--name", "jeff").expect(0)
    exported = bob.home / "jeff.pem"
    alice.notarypy("key", "export", "jeff", "-o", exported).expect(0)
    bob.notary("key", "import", exported).expect(0)
    assert sorted(path.name for path in bob.trust_dir.glob("private/*")) == sorted(
        path.name for path in alice.trust_dir.glob("private/*")
    )


@pytest.mark.parametrize(
    "rotation", [("targets",), ("snapshot", "-r"), ("timestamp", "-r"), ("root",)], ids=lambda each: each[0]
)
def test_a_key_that_go_rotated_is_followed(
    alice: Person, bob: Person, repository: Repository, rotation: tuple[str, ...]
) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    first, second = repository.push("1"), repository.push("2")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    both_read(bob, repository, "1", first)
    for _ in range(2):
        alice.notary("key", "rotate", repository.name, *rotation, text="yes\n").expect(0)
    both_read(bob, repository, "1", first)
    alice.notarypy("sign", repository.ref("2")).expect(0)
    both_read(bob, repository, "2", second)


def test_a_staged_changelist_is_left_alone_and_mentioned(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.notarypy("init", repository.name).expect(0)
    staged, signed = repository.push("staged"), repository.push("signed")
    alice.notary("addhash", repository.name, "staged", str(staged.size), "--sha256", staged.sha256).expect(0)
    run = alice.notarypy("sign", repository.ref("signed")).expect(0)
    assert "staged" in run.stderr.lower()
    both_read(bob, repository, "signed", signed)
    bob.notarypy("verify", repository.ref("staged")).expect(3)
    alice.notary("publish", repository.name).expect(0)
    both_read(bob, repository, "staged", staged)


def test_the_root_key_of_a_first_use_is_the_one_that_go_lists(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    alice.notary_add(repository.name, "1", repository.push("1")).expect(0)
    root = next(line.split()[1] for line in alice.notary("key", "list").stdout.splitlines() if "root" in line)
    image = repository.ref("1")
    outcome = bob.notarypy("verify", image, NOTARYPY_FIRST_USE="").expect(11)
    assert f"root key {root}, whose id is " in outcome.stderr
    assert bob.files() == {}
    bob.notarypy("verify", "--root", root, image, NOTARYPY_FIRST_USE="").expect(0)
    bob.notarypy("status", "--check", repository.name, NOTARYPY_FIRST_USE="").expect(0)
