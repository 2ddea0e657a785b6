"""Parts on the command line: two people, one after the other, each with a trust directory of their own."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.partfiles import _words
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.tuf.draftchanges import DraftChange
from support.people import manifest, prepared
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Outcome, Run

REPO = f"{REGISTRY_HOST}/admin/demo"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)


class Desk:
    """What people type, each in their own trust directory."""

    def __init__(self, run: Run, fake: Fake, home: Path) -> None:
        self.run, self.home, self.part = run, home, home / "app.part"
        self.digest = prepared(fake, home, __name__, lambda: self._team(fake))

    def _team(self, fake: Fake) -> str:
        """Have two people sign together; return the digest of a tag that nobody signed."""
        home = self.home
        keys: list[str | Path] = []
        for name in ("ann", "bob"):
            self.by(name, "key", "generate", name, "--dir", home).expect(0)
            keys += ["--key", home / f"{name}.pub"]
        self.by("owner", "delegate", "add", "team", REPO, *keys, "--threshold", "2").expect(0)
        return fake.registry.push("admin/demo", "1", manifest("1"), MEDIA_TYPE)

    def by(self, name: str, *argv: str | Path) -> Outcome:
        return self.run("-d", self.home / name, *argv)

    def make(self) -> Outcome:
        return self.by("ann", "sign", "--offline-part", self.part, f"{REPO}:1").expect(0)


@pytest.fixture
def desk(run: Run, fake: Fake, home: Path) -> Desk:
    return Desk(run, fake, home)


def test_each_command_says_what_comes_next(desk: Desk) -> None:
    alone = desk.by("ann", "sign", f"{REPO}:1").expect(6)
    assert "none of your keys may sign" in alone.err
    assert "--offline-part" in alone.err
    made = desk.make()
    assert f"    + tag 1: {desk.digest}, " in made.out
    assert "  1 of 2 signatures of targets/team: " in made.out
    assert made.out.endswith(
        f"next, where one of the other keys is: notarypy sign --offline-part {desk.part}\n"
    )
    half = desk.by("ann", "sign", "--join", desk.part).expect(6)
    assert f"notarypy sign --offline-part {desk.part}; then: notarypy sign --join {desk.part}" in half.err
    signed = desk.by("bob", "--yes", "sign", "--offline-part", desk.part).expect(0)
    assert f"    + tag 1: {desk.digest}, " in signed.out
    assert signed.out.endswith(f"next, to publish it: notarypy sign --join {desk.part}\n")
    published = desk.by("owner", "sign", "--join", desk.part).expect(0)
    assert published.out.endswith(f"published targets/releases, targets/team of {REPO}\n")
    assert desk.by("owner", "sign", "--join", desk.part).expect(0).out.endswith(f"{REPO} has it already\n")
    assert desk.by("owner", "verify", f"{REPO}:1").expect(0).out == f"{REPO}@{desk.digest}\n"


def test_nobody_signs_without_a_yes(desk: Desk) -> None:
    desk.make()
    before = desk.part.read_bytes()
    for option in ("--offline-part", "--join"):
        asked = desk.by("bob", "sign", option, desk.part).expect(2)
        assert "add --yes" in asked.err
    assert desk.part.read_bytes() == before
    assert desk.by("bob", "--yes", "sign", "--join", desk.part).expect(0)


def test_a_dry_run_of_what_goes_around_changes_nothing(desk: Desk) -> None:
    desk.make()
    before = desk.part.read_bytes()
    for name, option, code in [
        ("bob", "--offline-part", 0),
        ("bob", "--join", 0),
        ("ann", "--join", 6),
        ("owner", "--offline-part", 6),
    ]:
        tried = desk.by(name, "--yes", "sign", option, desk.part, "--dry-run").expect(code)
        assert f"    + tag 1: {desk.digest}, " in tried.out
        assert ("would" in tried.out) == (code == 0)
        document = desk.by(name, "--json", "sign", option, desk.part, "--dry-run").expect(code).document
        assert problems(document, SCHEMA) == []
    assert desk.part.read_bytes() == before
    desk.by("owner", "verify", f"{REPO}:1").expect(3)


@pytest.mark.parametrize("option", ["--offline-part", "--join"])
@pytest.mark.parametrize(
    "other",
    [
        ("--push", "oci:x"), ("--local",), ("--init",), ("--signer", "ann"), ("--discard-unverified",),
        ("--digest-file", "x"), ("--custom", "x"),
    ],
)  # fmt: skip
def test_an_option_for_images_is_not_dropped_in_silence(
    desk: Desk, option: str, other: tuple[str, ...]
) -> None:
    desk.make()
    before = desk.part.read_bytes()
    refused = desk.by("bob", "--yes", "sign", option, desk.part, *other).expect(2)
    assert f"leave {other[0]} out" in refused.err
    assert desk.part.read_bytes() == before
    desk.by("owner", "verify", f"{REPO}:1").expect(3)


@pytest.mark.parametrize("option", ["--offline-part", "--join"])
def test_a_document_has_what_nobody_agreed_to_yet(desk: Desk, option: str) -> None:
    desk.make()
    document = desk.by("bob", "--json", "sign", option, desk.part).expect(2).document
    [result] = document["results"]
    assert problems(document, SCHEMA) == []
    assert [one["kind"] for one in result["changes"]][-1] == "tag"
    assert {one["missing"] for one in result["required"]} == {1}
    refused = desk.by("owner", "--json", "sign", "--join", desk.part).expect(6).document
    assert refused["results"][0]["changes"] == result["changes"]


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_who_is_asked_sees_it_on_the_terminal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, json_too: tuple[str, ...]
) -> None:
    desk.make()
    screen: list[str] = []

    def agreed(question: str, *before: str) -> bool:
        screen.extend((*before, question))
        return True

    monkeypatch.setattr("notarypy.cli.text.terminal.present", lambda: True)
    monkeypatch.setattr("notarypy.cli.text.terminal.agreed", agreed)
    signed = desk.by("bob", *json_too, "sign", "--offline-part", desk.part).expect(0)
    assert any(line.startswith(f"    + tag 1: {desk.digest}") for line in screen)
    assert screen[-1].endswith("Sign it?")
    assert "+ tag" not in signed.out


def test_nothing_that_is_signed_is_cut_off_or_looks_like_more(desk: Desk) -> None:
    custom = desk.home / "custom.json"
    custom.write_text(json.dumps({"a": "x" * 20_000, "z": "the end"}))
    desk.by("ann", "sign", "--offline-part", desk.part, "--custom", custom, f"{REPO}:1").expect(0)
    shown = desk.by("bob", "sign", "--offline-part", desk.part).expect(2).out
    assert '"the end"' in shown
    assert "characters more" not in shown
    odd = DraftChange("targets/team", "tag", f"latest: sha256:{'a' * 64}", None, "sha256:b")
    assert _words(odd) == f'+ tag "latest: sha256:{"a" * 64}": sha256:b'
    assert _words(DraftChange("targets", "path", "targets/a", None, "all tags")).endswith(': "all tags"')
    assert _words(DraftChange("targets", "path", "targets/a", None, "")).endswith(": all tags")


def test_a_signature_that_came_meanwhile_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.by("carol", "key", "generate", "carol", "--dir", desk.home).expect(0)
    more = ("--key", desk.home / "carol.pub", "--threshold", "3")
    desk.by("owner", "delegate", "add", "team", REPO, *more).expect(0)
    desk.make()
    link = desk.home / "link.part"
    link.symlink_to(desk.part)
    desk.part.chmod(0o640)

    def agreed(*_: str) -> bool:
        desk.by("carol", "--yes", "sign", "--offline-part", link).expect(0)
        return True

    monkeypatch.setattr("notarypy.cli.text.terminal.present", lambda: True)
    monkeypatch.setattr("notarypy.cli.text.terminal.agreed", agreed)
    signed = desk.by("bob", "sign", "--offline-part", desk.part).expect(0)
    assert "3 of 3 signatures of targets/team" in signed.out
    assert link.is_symlink()
    assert stat.S_IMODE(desk.part.stat().st_mode) == 0o640
    desk.by("owner", "sign", "--join", desk.part).expect(0)


def test_another_part_that_came_meanwhile_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.make()
    other = desk.home / "other.part"
    desk.by("owner", "delegate", "add", "team", REPO, "--threshold", "1", "--offline-part", other).expect(0)
    monkeypatch.setattr("notarypy.cli.text.terminal.present", lambda: True)
    monkeypatch.setattr("notarypy.cli.text.terminal.agreed", lambda *_: other.replace(desk.part))
    desk.by("bob", "sign", "--offline-part", desk.part).expect(4)


def test_a_part_that_is_there_is_not_written_over(desk: Desk) -> None:
    desk.make()
    before = desk.part.read_bytes()
    again = desk.by("ann", "sign", "--offline-part", desk.part, f"{REPO}:1").expect(1)
    assert "exists" in again.err
    assert desk.part.read_bytes() == before


@pytest.mark.parametrize(
    "argv",
    [
        ["sign", "--join"],
        ["sign", "--join", "missing.part"],
        ["sign", "--offline-part", "missing.part"],
        ["sign", "--offline-part", "-"],
        ["sign", "--offline-part", "-", f"{REPO}:1"],
        ["sign", "--join", "--offline-part", "x", "y"],
        ["sign", "--offline-part", "x", "--dry-run", f"{REPO}:1"],
        ["sign", "--offline-part", "x", "--init", f"{REPO}:1"],
        ["sign", "--offline-part", "x", f"{REPO}:1", f"{REPO}2:1"],
        ["revoke", "--offline-part", "x", f"{REPO}:1", f"{REPO}2:1"],
        ["delegate", "remove", "--offline-part", "x", "--dry-run", "team", REPO],
        ["delegate", "add", "team", REPO],
        ["delegate", "add", "team", REPO, "--threshold", "0"],
    ],
)
@pytest.mark.usefixtures("fake", "home")
def test_what_makes_no_sense_is_a_usage_error(run: Run, argv: list[str]) -> None:
    assert run(*argv).expect(2).out == ""
    assert not Path("x").exists()


def test_documents_fit_the_schema(desk: Desk) -> None:
    steps: list[tuple[str | Path, ...]] = [
        ("ann", "sign", "--offline-part", desk.part, f"{REPO}:1"),
        ("bob", "sign", "--offline-part", desk.part),
        ("owner", "sign", "--join", desk.part),
        ("ann", "revoke", "--offline-part", desk.home / "gone.part", f"{REPO}:1"),
        (
            "owner",
            "delegate",
            "add",
            "team",
            REPO,
            "--threshold",
            "1",
            "--offline-part",
            desk.home / "x.part",
        ),
    ]
    for name, *argv in steps:
        document = desk.by(str(name), "--json", "--yes", *argv).expect(0).document
        assert problems(document, SCHEMA) == []
        assert document["results"][0]["repository"] == REPO


def test_hostile_names_are_shown_as_text(desk: Desk, fake: Fake) -> None:
    fake.registry.push("admin/demo", "1", manifest("1"), MEDIA_TYPE)
    desk.make()
    value = json.loads(desk.part.read_bytes())
    targets = value["files"]["targets/team"]["signed"]["targets"]
    targets["\u202e1\u2066"] = targets["1"]
    value["files"]["targets/team"]["signed"]["targets"] = dict(sorted(targets.items()))
    desk.part.write_text(json.dumps(value))
    shown = desk.by("bob", "sign", "--offline-part", desk.part).expect(2)
    assert "\u202e" not in shown.out
    assert "\\u202e1\\u2066" in shown.out
