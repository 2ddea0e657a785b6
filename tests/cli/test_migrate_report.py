"""`migrate report`: what people, programs and browsers are given, and exit codes for pipelines."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs import pages
from notarypy.cli.text import htmlpage, migrationpage
from notarypy.client import workers
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import DigestMismatchError, RepositoryVanishedError, UnreachableError
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.values import replace
from support.commands import written
from support.cosigned import CosignedImage, SigningKey
from support.pages import HOSTILE, Page
from support.people import manifest
from support.results import D2, REPORTED, REPORTED_TAG
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.migrate.inventory import ReportedRepository
    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

REPO = f"{REGISTRY_HOST}/app"
OURS = SigningKey()
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture
def signed(run: Run, fake: Fake, home: Path) -> CosignedImage:
    """Tag 1 of a repository, signed by its owner; `ours.pub` is the key of new signatures."""
    written(home / "ours.pub", OURS.key.pem)
    image = CosignedImage(fake, image=manifest("1"))
    run("sign", "--init", f"{REPO}:1").expect(0)
    return image


def scripted(stub: StubClient, *found: ReportedRepository) -> None:
    def report(*_: object, **__: object) -> Iterator[workers.Outcome[ReportedRepository]]:
        yield from map(workers.Outcome, found)

    stub.answers["migration.report"] = report


def test_a_repository_that_is_done_is_exit_0(run: Run, signed: CosignedImage) -> None:
    signed.bundle(OURS)
    done = run("migrate", "report", REPO, "--key", "ours.pub", "--format", "bundle").expect(0)
    assert f"{REPO}: released tags: 1, served as signed: 1, signed the new way: 1, done: 1\n" in done.out
    assert re.search(r"^1 .* as signed .* ours\.pub \(bundle\)$", done.out, re.MULTILINE)
    assert f"what new signatures of {REPO} would not say:\n" in done.out
    assert "    instead: " in done.out
    assert done.err == ""


@pytest.mark.usefixtures("signed")
def test_the_line_for_a_pipeline_looks_in_each_run(run: Run, home: Path) -> None:
    written(home / "release.pub", OURS.key.pem)
    text = pages.read("docs/migrating.md")
    [line] = [line for block in pages.blocks(text, "sh") for line in block.text.splitlines() if "||" in line]
    words = shlex.split(line.partition("||")[0])[1:]
    for _ in range(2):
        done = run(*words).expect(3)
        assert "[trust.not_migrated]" in done.err


@pytest.mark.usefixtures("signed")
def test_one_that_is_not_is_named_with_what_to_do(run: Run) -> None:
    done = run("migrate", "report", REPO, "--key", "ours.pub").expect(3)
    assert "1 of 1 released tags" in done.err
    assert "[trust.not_migrated]" in done.err
    assert "fix: " in done.err


def test_a_tag_that_moved_is_exit_4(run: Run, fake: Fake, signed: CosignedImage) -> None:
    signed.bundle(OURS)
    other = fake.registry.push("app", "1", manifest("other"), OCI_MANIFEST)
    done = run("migrate", "report", REPO, "--key", "ours.pub", "--format", "bundle").expect(4)
    assert f"moved to {other}; the signed image is there by digest" in done.out


@pytest.mark.usefixtures("signed")
def test_every_known_repository_is_one_run(run: Run, fake: Fake) -> None:
    fake.registry.push("two", "1", manifest("2"), OCI_MANIFEST)
    run("sign", "--init", f"{REGISTRY_HOST}/two:1").expect(0)
    run("init", "--gun", "coll").expect(0)
    done = run("migrate", "report", "--all", "--json").expect(3)
    assert [result["ref"] for result in done.document["results"]] == ["coll", REPO, f"{REGISTRY_HOST}/two"]
    assert done.document["results"][0]["error"]["exit"] == 12
    assert problems(done.document, SCHEMA) == []
    shown = run("migrate", "report", "--all", "-o", "r.html").expect(3).out
    assert shown == "in all: released tags: 2, served as signed: 2, done: 0\nwrote r.html\n"
    assert "coll was not looked at" in Path("r.html").read_text()


def test_nothing_to_look_at_is_exit_12(run: Run, fake: Fake) -> None:
    assert fake
    run("migrate", "report", "--all").expect(12)
    run("init", REPO).expect(0)
    assert f"no tag of {REPO} is released" in run("migrate", "report", REPO).expect(12).err


@pytest.mark.parametrize("words", [[], ["--all", REPO], [REPO, "-o", "r.pdf"], [REPO, "-o", "html"]])
def test_what_makes_no_sense_is_exit_2_before_anything_is_asked(
    run: Run, fake: Fake, words: list[str]
) -> None:
    run("migrate", "report", *words).expect(2)
    assert fake.requests == []


def test_a_folder_that_is_not_there_is_noticed_before_anything_is_asked(run: Run, fake: Fake) -> None:
    run("migrate", "report", REPO, "-o", "no/r.html").expect(1)
    assert fake.requests == []


def test_a_file_of_json_is_the_document(run: Run, signed: CosignedImage, home: Path) -> None:
    signed.classic(OURS, f"{REPO}:1")
    written(home / "r.json", "old")
    words = (REPO, "--key", "ours.pub", "-o", "r.json", "--format", "sig")
    assert "r.json is there" in run("migrate", "report", *words).expect(2).err
    assert (home / "r.json").read_text() == "old"
    run("--yes", "migrate", "report", *words).expect(0)
    found = json.loads((home / "r.json").read_text())
    assert problems(found, SCHEMA) == []
    assert (
        found
        == run("migrate", "report", REPO, "--key", "ours.pub", "--json", "--format", "sig").expect(0).document
    )
    (tag,) = found["results"][0]["tags"]
    assert tag["signatures"] == [{"form": "sig", "key": "ours.pub", "reference": f"{REPO}:1"}]


def test_keys_of_one_file_name_are_told_apart(run: Run, signed: CosignedImage, home: Path) -> None:
    signed.bundle(OURS)
    (home / "a").mkdir()
    written(home / "a" / "ours.pub", SigningKey().key.pem)
    done = run(
        "migrate", "report", REPO, "--key", "a/ours.pub", "--key", "./ours.pub", "--format", "bundle"
    ).expect(0)
    assert "./ours.pub (bundle)" in done.out


@pytest.mark.usefixtures("signed")
def test_a_file_that_is_no_public_key_is_named(run: Run, home: Path) -> None:
    written(home / "no.pub", "no key")
    assert "no.pub" in run("migrate", "report", REPO, "--key", "no.pub").expect(6).err


def test_hostile_names_stay_text_everywhere(run: Run, stub: StubClient) -> None:
    tag = replace(
        REPORTED_TAG,
        tag=HOSTILE,
        signers=(HOSTILE,),
        platforms=(HOSTILE,),
        signatures=(),
        problem=UnreachableError(HOSTILE, why=HOSTILE),
    )
    error = DigestMismatchError(HOSTILE, why=(HOSTILE,))
    losses = (replace(REPORTED.losses[0], text=HOSTILE, details=(HOSTILE,)),)
    roles = (replace(REPORTED.roles[0], paths=(HOSTILE,), problem=HOSTILE),)
    scripted(stub, replace(REPORTED, tags=(tag,), error=error, losses=losses, roles=roles, server=HOSTILE))
    run("migrate", "report", REPO, "-o", "r.html").expect(4)
    page = Page(Path("r.html").read_text())
    assert "script" not in page.tags
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    assert page.text.count("<script>") >= 8
    scripted(stub, replace(REPORTED, tags=(tag,), error=error, losses=losses))
    shown = run("migrate", "report", REPO).expect(4)
    assert "\x1b" not in shown.out + shown.err
    assert "\u202e" not in shown.out + shown.err


def test_the_page_needs_nothing_else_and_can_be_read_by_all(run: Run, stub: StubClient) -> None:
    gone = replace(REPORTED_TAG, tag="2", served="gone", kept=False, signatures=(), platforms=(), others=())
    moved = replace(gone, tag="3", served="moved", kept=True, found=D2)
    vanished = replace(
        REPORTED, repository="r.test/x", tags=(), roles=(), losses=(), server=None, root_pins=(),
        error=RepositoryVanishedError("it vanished", why="its root is trusted here"),
    )  # fmt: skip
    some = replace(REPORTED, tags=(REPORTED_TAG, gone, moved), error=DigestMismatchError("moved"))
    scripted(stub, some, vanished)
    run("migrate", "report", REPO, "r.test/x", "-o", "r.html").expect(4)
    text = Path("r.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not {"src", "onload", "onclick", "style"} & {name for name, _ in page.attributes}
    assert {value for name, value in page.attributes if name == "href"} == {"#r0", "#r1"}
    assert ("content", htmlpage.SCRIPTLESS) in page.attributes
    assert "url(" not in text
    assert ("lang", "en") in page.attributes
    assert page.tags.count("h1") == 1
    assert page.tags.count("caption") == page.tags.count("table") == 3
    assert {value for name, value in page.attributes if name == "scope"} == {"col", "row"}
    for state in (
        "as signed",
        "gone; the signed image is not there",
        f"moved to {D2}; the signed image is there",
    ):
        assert state in page.text
    assert "it vanished [trust.repo_vanished]" in page.text
    assert page.text.index("Not done: not every released tag") < page.text.index("Repositories")


def test_a_page_of_what_is_done_says_so(run: Run, stub: StubClient) -> None:
    scripted(stub, REPORTED)
    run("migrate", "report", REPO, "-o", "r.html").expect(0)
    assert "Done: every released tag is served as signed" in Page(Path("r.html").read_text()).text


def test_each_loss_has_something_instead() -> None:
    source = (Path(migrationpage.__file__).parents[2] / "client" / "migrate" / "losses.py").read_text()
    assert set(re.findall(r'Loss\(\s*"(\w+)"', source)) == migrationpage.INSTEAD.keys()
