"""Private keys: what Go notary makes and writes ours takes and shows alike, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interop.harness.people import GO_PASSPHRASES, REPOSITORY_PASSPHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run


def ours(person: Person, *arguments: str | Path, text: str | None = None, **environment: str) -> Run:
    """Run our notary as Go's is run."""
    options = ["-s", person.server.url, "-d", str(person.trust_dir)]
    options += ["--tlscacert", str(person.server.ca)] if person.server.ca else []
    variables = {**GO_PASSPHRASES, **environment}
    return person.notarypy("notary", *options, *arguments, text=text, **variables)


def private_keys(person: Person) -> dict[str, bytes]:
    """Return the files of private keys."""
    return {path.name: path.read_bytes() for path in (person.trust_dir / "private").glob("*.key")}


def keys_of_all_kinds(alice: Person, gun: str) -> None:
    """Let Go notary make a repository, and both make and import keys."""
    alice.notary("init", gun, "-p").expect(0)
    first, second = alice.new_key("first")[0], alice.new_key("second")[0]
    alice.notary("key", "import", first, "-r", "targets/first").expect(0)
    ours(alice, "key", "import", second, "-r", "targets/second").expect(0)
    alice.notary("key", "generate", "-r", "jo").expect(0)
    ours(alice, "key", "generate", "ecdsa", "-r", "kim").expect(0)
    ours(alice, "key", "generate").expect(0)


def test_both_list_and_export_the_same_to_the_byte(
    alice: Person, bob: Person, repository: Repository
) -> None:
    gun = repository.name
    keys_of_all_kinds(alice, gun)
    assert ours(alice, "key", "list").expect(0).stdout == alice.notary("key", "list").expect(0).stdout
    ids = [name.removesuffix(".key") for name in private_keys(alice)]
    for words in ((), ("--gun", gun), ("--key", ids[0]), ("--key", f"{ids[2]},{ids[0]}", "--key", ids[1])):
        assert (
            ours(alice, "key", "export", *words).expect(0).stdout
            == alice.notary("key", "export", *words).expect(0).stdout
        )
    ours(alice, "key", "export", "-o", alice.home / "ours.pem").expect(0)
    alice.notary("key", "export", "-o", alice.home / "go.pem").expect(0)
    ours(bob, "key", "import", alice.home / "go.pem").expect(0)
    taken = private_keys(bob)
    for name in taken:
        (bob.trust_dir / "private" / name).unlink()
    bob.notary("key", "import", alice.home / "ours.pem").expect(0)
    assert taken == private_keys(bob) == private_keys(alice)


def test_our_pair_of_files_is_used_by_go(alice: Person, repository: Repository) -> None:
    """Go's key import takes no such file, not of its own either."""
    gun, base = repository.name, alice.home / "pair"
    assert ours(alice, "key", "generate", "-o", base).expect(0).stdout == ""
    alice.notary("init", gun, "--rootkey", f"{base}-key.pem", "-p").expect(0)
    ours(alice, "key", "generate", "-o", f"{base}2").expect(0)
    alice.notary("key", "rotate", gun, "root", "-k", f"{base}2-key.pem", text="yes\n").expect(0)
    alice.notary("delegation", "add", gun, "targets/jo", f"{base}.pem", "--all-paths", "-p").expect(0)
    ours(alice, "list", gun).expect(0)


def test_a_pair_of_files_of_go_is_used_by_ours(alice: Person, repository: Repository) -> None:
    gun, base = repository.name, alice.home / "pair"
    alice.notary("key", "generate", "-r", "targets/jo", "-o", base).expect(0)
    ours(alice, "key", "import", f"{base}-key.pem").expect(0)
    alice.notary("init", gun, "-p").expect(0)
    ours(alice, "delegation", "add", gun, "targets/jo", f"{base}.pem", "--all-paths", "-p").expect(0)
    alice.notary("addhash", gun, "1", "1", "--sha256", "0" * 64, "-r", "targets/jo", "-p").expect(0)
    assert "targets/jo" in ours(alice, "list", gun).expect(0).stdout


def test_go_opens_what_got_another_passphrase(alice: Person, repository: Repository) -> None:
    first = "a first passphrase"
    key, certificate = alice.new_key("jo")
    ours(alice, "key", "import", key, "-r", "targets/jo", NOTARY_DELEGATION_PASSPHRASE=first).expect(0)
    keyid = next(iter(private_keys(alice))).removesuffix(".key")
    changed = ours(
        *(alice, "key", "passwd", keyid),
        NOTARY_DELEGATION_PASSPHRASE=first,
        NOTARYPY_NEW_PASSPHRASE=REPOSITORY_PASSPHRASE,
    ).expect(0)
    assert changed.stdout == f"\nSuccessfully updated passphrase for key ID: {keyid}\n"
    gun = repository.name
    alice.notary("init", gun, "-p").expect(0)
    alice.notary("delegation", "add", gun, "targets/jo", certificate, "--all-paths").expect(0)
    alice.notary("addhash", gun, "1", "1", "--sha256", "0" * 64, "-r", "targets/jo", "-p").expect(0)


def test_a_rotation_of_ours_leaves_what_go_staged(alice: Person, bob: Person, repository: Repository) -> None:
    gun = repository.name
    alice.notary("init", gun, "-p").expect(0)
    alice.notary("addhash", gun, "1", "1", "--sha256", "0" * 64).expect(0)
    files = [alice.new_key(name)[0] for name in ("one", "two")]
    staged = alice.notary("status", gun).expect(0).stdout
    for words in (
        ("targets",),
        ("snapshot",),
        ("snapshot", "-r"),
        ("timestamp", "-r"),
        ("targets", "-k", files[0], "-k", files[1]),
    ):
        done = ours(alice, "key", "rotate", gun, *words).expect(0)
        assert done.stdout == f"Successfully rotated {words[0]} key for repository {gun}\n"
    ours(alice, "key", "rotate", gun, "root", "--legacy", "-1", text="yes\n").expect(0)
    assert alice.notary("status", gun).expect(0).stdout == staged
    alice.notary("publish", gun).expect(0)
    assert "0" * 64 in bob.notary("list", gun).expect(0).stdout


def test_what_was_begun_and_rotated_is_published_as_by_go(
    alice: Person, bob: Person, repository: Repository
) -> None:
    """The way of docker's documentation: init, snapshot to the server, publish."""
    for person, run, gun in (
        (alice, ours, repository.name),
        (bob, lambda who, *words: who.notary(*words), f"{repository.name}-b"),
    ):
        run(person, "init", gun).expect(0)
        run(person, "addhash", gun, "1", "1", "--sha256", "0" * 64).expect(0)
        done = run(person, "key", "rotate", gun, "snapshot", "-r").expect(0)
        assert done.stdout == f"Successfully rotated snapshot key for repository {gun}\n"
        run(person, "publish", gun).expect(0)
        for reader in (alice, bob):
            assert "0" * 64 in reader.notary("list", gun).expect(0).stdout
            assert "0" * 64 in ours(reader, "list", gun).expect(0).stdout
