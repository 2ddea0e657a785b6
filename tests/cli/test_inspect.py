"""`inspect`: docker's formats, and ours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from notarypy.cli.text import render
from notarypy.client.results import TagEntry
from notarypy.client.verify.inspection import inspect
from notarypy.errors import RepositoryMissingError
from notarypy.images.reference import natural
from notarypy.tuf import roles
from support.counting import work
from support.repository import GO, LATER, delegated, load, tree
from support.results import D1, INSPECTION, KEY, PIN, REPO, TARGETS_KEY

if TYPE_CHECKING:
    from notarypy.client.results import Inspection
    from notarypy.tuf.trusted import TrustedMetadata
    from support.commands import Run, StubClient

GUN = "localhost:15000/hp/demo"
# As docker 28.2 prints it for the repository in fixtures/go/docker-ecdsa-rsa.
PRETTY = """
Signatures for localhost:15000/hp/demo

SIGNED TAG   DIGEST                                                             SIGNERS
1            07dfe36902c0f0e805a65b21109938e9fb3ef6fdeacb68d274646461bd8fbafd   bob, jeff
2            5dabdbf056c4f97f3f1b353b70d1c6070cfdf26ae14caf8ef96a070a4c27e9cc   bob, jeff

List of signers and their keys for localhost:15000/hp/demo

SIGNER    KEYS
bob       923c723997be
jeff      bb10b54c9e42

Administrative keys for localhost:15000/hp/demo

  Repository Key:\t7726006a40c27df7e44222a05dc38669b4c308da0beb79ec8c79da160c089d4a
  Root Key:\t0a977067058d30a3774c264222642d864b926fec8aa1ad2282d42c732a139ce9
"""


def by_docker(tag: str | None = None) -> Inspection:
    trusted = load(tree("docker-ecdsa-rsa/server"), gun=GUN, now=LATER)
    return inspect(trusted, GUN if tag is None else f"{GUN}:{tag}", tag, "https://n.test")


def test_the_json_is_dockers_to_the_byte() -> None:
    golden = (GO / "docker-ecdsa-rsa" / "inspect.json").read_text()
    assert "".join(render.docker_json([by_docker()])) == golden.rstrip("\n")


def test_the_text_is_dockers_to_the_byte() -> None:
    assert render.docker_pretty(by_docker()) == PRETTY


def test_keys_of_one_kind_stand_as_those_of_the_other_at_a_terminal() -> None:
    below = [f"  {role} Key:" for role in ("Repository", "Root")]
    for columns, whole in ((82, False), (100, True)):
        lines = render.docker_pretty(by_docker(), columns).splitlines()
        assert [line in lines for line in below] == [not whole] * 2


def test_an_unsigned_tag_reads_as_in_docker() -> None:
    head = "\nNo signatures for localhost:15000/hp/demo:9\n\n\nList of signers and their keys for "
    assert render.docker_pretty(by_docker("9")).startswith(head)
    assert '        "SignedTags": [],\n' in "".join(render.docker_json([by_docker("9")]))


def test_json_is_the_default(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = INSPECTION
    (first, second) = run("inspect", f"{REPO}:1", REPO).expect(0).document
    assert first == second
    assert first["Name"] == f"{REPO}:1"
    assert first["SignedTags"][0] == {"SignedTag": "1", "Digest": D1[7:], "Signers": ["jeff", "bob"]}
    assert first["SignedTags"][1]["Signers"] == ["Repo Admin"]
    assert first["Signers"][0] == {"Name": "jeff", "Keys": [{"ID": KEY.keyid}]}
    assert first["AdministrativeKeys"] == [
        {"Name": "Root", "Keys": [{"ID": PIN}]},
        {"Name": "Repository", "Keys": [{"ID": TARGETS_KEY.keyid}]},
    ]


def test_what_cannot_be_found_is_an_empty_list(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = RepositoryMissingError("nothing")
    outcome = run("inspect", REPO).expect(3)
    assert outcome.out == "[]\n"
    assert "[trust.repo_missing]" in outcome.err


def test_those_that_are_found_are_shown(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = lambda text, **_: (
        RepositoryMissingError("nothing") if text == REPO else INSPECTION
    )
    assert len(run("inspect", REPO, "b.test/b", "c.test/c").expect(3).document) == 2
    parts = run("inspect", "--pretty", REPO, "b.test/b", "c.test/c").expect(3).out
    assert parts.count("Administrative keys") == 2
    assert "\n\n\n\nSignatures for" in parts


def test_people_see_signers_naturally_sorted_and_admins_in_brackets(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = INSPECTION
    lines = run("inspect", "--pretty", REPO).expect(0).out.splitlines()
    first = lines.index("SIGNER    KEYS") + 1
    assert [line.split()[0] for line in lines[first : first + 3]] == ["bob9", "bob10", "jeff"]
    assert f"bob10     {'0' * 12}, {'f' * 12}" in lines
    assert any(line.endswith("   bob, jeff") for line in lines)
    assert any(line.endswith("   (Repo Admin)") for line in lines)


def test_names_from_outside_cannot_write_to_the_terminal(run: Run, stub: StubClient) -> None:
    evil = replace(INSPECTION.tags[0], tag="\x1b[2J\u202e<&>\x7f\x9b")
    stub.answers["inspect"] = replace(INSPECTION, tags=(evil,))
    assert "\\x1b[2J\\u202e<&>\\x7f\\x9b" in run("inspect", "--pretty", REPO).expect(0).out
    outcome = run("inspect", REPO).expect(0)
    assert outcome.out.isascii()
    assert outcome.out.replace("\n", "").isprintable()
    assert "\\u003c\\u0026\\u003e\\u007f\\u009b" in outcome.out
    assert outcome.document[0]["SignedTags"][0]["SignedTag"] == evil.tag


def test_ours_has_roles_versions_and_expiry_dates(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = INSPECTION
    (result,) = run("inspect", "--json", REPO).expect(0).document["results"]
    assert result["tags"][0] == {"tag": "1", "digest": D1, "signers": ["jeff", "bob"]}
    assert result["tags"][1]["signers"] == []
    assert result["roles"][1] == {
        "role": "targets/jeff",
        "version": 3,
        "expires": "2027-01-02T03:04:05Z",
        "keys": [KEY.keyid],
        "threshold": 1,
        "paths": [""],
        "problem": "",
    }
    assert result["roles"][2]["expires"] is None
    assert result["server"] == "https://n.test"


def test_natural_order() -> None:
    names = ["b", "a10b", "a10", "ab", "a9", "a-b", "a01", "a1", "a"]
    assert sorted(names, key=natural) == ["a", "a-b", "a1", "a01", "a9", "a10", "a10b", "ab", "b"]


def test_the_rows_of_many_tags_are_as_the_indenting_encoder_has_them() -> None:
    names = ['"', "\\", "é\u2028<&>\x7f", *(f"v{number}" for number in range(600))]
    rows = [TagEntry(name, D1, ("jeff", 'bo"b') if number % 2 else ()) for number, name in enumerate(names)]
    text = "".join(render.docker_json([replace(INSPECTION, tags=tuple(rows)), INSPECTION]))
    again = json.dumps(json.loads(text), indent=4)
    for character in "<>&\x7f":
        again = again.replace(character, f"\\u{ord(character):04x}")
    assert text == again
    assert [row["SignedTag"] for row in json.loads(text)[0]["SignedTags"]] == names


def test_looking_at_many_tags_is_no_look_at_every_signer_for_each() -> None:
    def signed(count: int) -> TrustedMetadata:
        """Return a repository of so many tags and signers, who signed one tag each."""
        author = delegated(roles.RELEASES, *(f"targets/s{number}" for number in range(count)))
        for number in range(count):
            author.add(f"v{number}", b"one", roles.RELEASES)
            author.add(f"v{number}", b"one", f"targets/s{number}")
        return load(author.repository())

    few, many = (
        work(lambda trusted=trusted: inspect(trusted, GUN, None, ""))  # type: ignore[misc]
        for trusted in (signed(10), signed(80))
    )
    assert many < 10 * few
