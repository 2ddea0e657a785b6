"""Targets of any kind: Go notary and ours list, look up and verify the same, whoever added them."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from interop.harness.people import GO_PASSPHRASES

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run

A, B, DEEP_A, DEEP_B = "targets/a", "targets/b", "targets/a/deep", "targets/b/deep"
# What is listed where; each role has content of its own.
LISTED = {
    "all": ("targets", A, B),
    "both": (A, B),
    "deep": (DEEP_B, A),
    "ndeep": (DEEP_A, DEEP_B),
    "é 1": (B,),
}
ASKED = (
    *("", "targets", A, B, DEEP_B, "targets/none", "snapshot"),
    *(f"{A},{B}", f"targets,{B}", f"targets,{A},{B}", f"{B},targets", f"{DEEP_A},{B}", f"targets/none,{A}"),
)


def ours(person: Person, *arguments: str | Path) -> Run:
    """Run our notary as Go's is run."""
    options = ["-s", person.server.url, "-d", str(person.trust_dir)]
    options += ["--tlscacert", str(person.server.ca)] if person.server.ca else []
    return person.notarypy("notary", *options, *arguments, **GO_PASSPHRASES)


def publish(alice: Person, gun: str) -> None:
    """Let Go notary publish several roles that list the same names."""
    alice.notary("init", gun, "-p").expect(0)
    key, certificate = alice.new_key("all")
    alice.notary("key", "import", key, "-r", "delegation").expect(0)
    for role, *paths in (
        (B, "--all-paths"),
        (A, "--all-paths"),
        (DEEP_B, "--all-paths"),
        (DEEP_A, "--paths", "n"),
    ):
        alice.notary("delegation", "add", gun, role, certificate, *paths, "-p").expect(0)
    for name, roles in LISTED.items():
        for role in roles:
            sha256 = hashlib.sha256(f"{name} of {role}".encode()).hexdigest()
            options = ("--sha256", sha256, "-r", role)
            alice.notary("addhash", gun, name, str(len(role)), *options).expect(0)
    alice.notary("publish", gun).expect(0)


def test_both_list_the_same_in_the_same_order(alice: Person, repository: Repository) -> None:
    gun = repository.name
    publish(alice, gun)
    for asked in ASKED:
        options = ("-r", asked) if asked else ()
        theirs = alice.notary("list", gun, *options).expect(0)
        assert ours(alice, "list", gun, *options).expect(0).stdout == theirs.stdout, asked
    for name in LISTED:
        theirs = alice.notary("lookup", gun, name).expect(0)
        assert ours(alice, "lookup", gun, name).expect(0).stdout == theirs.stdout
    theirs, mine = alice.notary("lookup", gun, "none"), ours(alice, "lookup", gun, "none")
    assert theirs.code == 1
    assert mine.code == 3
    assert theirs.stdout.strip() == mine.stderr.splitlines()[0]


def test_each_verifies_what_the_other_added(alice: Person, repository: Repository) -> None:
    gun = repository.name
    first, second, out = alice.home / "first", alice.home / "second", alice.home / "out"
    first.write_bytes(os.urandom(3 << 20))
    second.write_bytes(os.urandom(1000))
    theirs = alice.notary("add", gun, "first", first, "-p").expect(0)
    mine = ours(alice, "add", gun, "second", second, "-p").expect(0)
    assert mine.stdout == theirs.stdout.replace('"first"', '"second"')
    for run in (alice.notary, lambda *arguments: ours(alice, *arguments)):
        for path in (first, second):
            assert run("verify", gun, path.name, "-i", path, "-o", out).expect(0).stdout == ""
            assert out.read_bytes() == path.read_bytes()
        assert run("verify", gun, "first", "-i", second, "-o", out).code != 0
        assert out.read_bytes() == second.read_bytes()


def test_numbers_in_custom_data_that_go_publishes_are_read_kept_and_taken_away(
    alice: Person, bob: Person, repository: Repository
) -> None:
    gun, custom, content = repository.name, alice.home / "custom.json", alice.home / "content"
    content.write_text("content")
    alice.notary("init", gun, "-p").expect(0)
    for name, number in (("a", 2**60), ("b", -17 * 10**17), ("bad", 2**60 + 1)):
        custom.write_text(f'{{"built":{number}}}')
        alice.notary("add", gun, name, content, "--custom", custom, "-p").expect(int(name == "bad"))
        alice.notary("reset", gun, "--all").expect(0)
    alice.notary("addhash", gun, "huge", str(2**53 + 2), "--sha256", "0" * 64, "-p").expect(0)
    assert '"huge"' in (listed := ours(bob, "list", gun).expect(0)).stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()[2:]] == ["a", "b"]
    custom.write_text(f'{{"built":{2**61}}}')
    ours(alice, "add", gun, "c", content, "--custom", custom).expect(0)
    custom.write_text(f'{{"built":{2**61 + 1}}}')
    assert "cannot be used" in ours(alice, "add", gun, "d", content, "--custom", custom).expect(2).stderr
    for name in ("b", "huge"):
        ours(alice, "remove", gun, name).expect(0)
    ours(alice, "publish", gun).expect(0)
    assert ours(bob, "list", gun).expect(0).stdout == bob.notary("list", gun).expect(0).stdout
    targets = json.loads((bob.trust_dir / "tuf" / gun / "metadata" / "targets.json").read_text())["signed"]
    assert {name: entry["custom"]["built"] for name, entry in targets["targets"].items()} == {
        "a": 2**60,
        "c": 2**61,
    }
