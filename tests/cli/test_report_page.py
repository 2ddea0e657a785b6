"""`report`: what people, programs and browsers are given, and what it may write."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import drawings, findingadvice, htmlpage, overviewpage, overviewtext
from notarypy.client.findings import Finding
from notarypy.client.overview.overviews import ListedTag
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import Advice, RepositoryVanishedError
from notarypy.values import replace
from support.pages import HOSTILE, Page, nothing_is_loaded
from support.people import manifest
from support.results import BOB_STATUS, OVERVIEW, PIN, WHEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy import Overview, RoleEntry
    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

REPO = f"{REGISTRY_HOST}/app"
SHOWN = "<script>alert('1')</script>\\x1b[31m\\u202e\"&amp;"
WELL = replace(OVERVIEW, findings=OVERVIEW.findings[2:])


def page(*looked: overviewtext.Looked) -> Page:
    return Page("".join(overviewpage.page(looked, "90d")))


def shown(found: Overview) -> Page:
    return page(overviewtext.Looked("r.test/app", found))


# -- the command


def test_without_a_file_findings_are_shown(run: Run, stub: StubClient) -> None:
    stub.answers["overview"] = OVERVIEW
    done = run("report", REPO).expect(0)
    assert done.out.startswith(f"{REPO}: 1 bad, 1 warning\n")
    assert re.search(r"^bad +dates +root ended on 2027-01-02 +notarypy renew ", done.out, re.MULTILINE)


def test_a_page_is_written_and_never_over_another_unasked(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["overview"] = WELL
    assert run("report", REPO, "-o", "r.html").expect(0).out == f"{REPO}: ok\nwrote r.html\n"
    assert "Nothing is wrong with 1 repository." in Page((home / "r.html").read_text()).text
    (home / "r.html").write_text("mine")
    assert "r.html is there" in run("report", REPO, "-o", "r.html").expect(2).err
    assert (home / "r.html").read_text() == "mine"
    run("--yes", "report", REPO, "-o", "r.html").expect(0)
    assert (home / "r.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in home.iterdir() if "notarypy-" in path.name] == []


def test_to_standard_output_goes_the_page_alone(run: Run, stub: StubClient) -> None:
    stub.answers["overview"] = OVERVIEW
    found = Page(run("report", REPO, "-o", "-").expect(0).out)
    nothing_is_loaded(found)
    run("--json", "report", REPO, "-o", "-").expect(2)


def test_a_page_and_json_are_both_made(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["overview"] = OVERVIEW
    (result,) = run("--json", "report", REPO, "-o", "r.html").expect(0).document["results"]
    assert (result["state"], result["earlier"], len(result["tags"])) == ("bad", 7, 2)
    assert result["findings"][0]["fix"].startswith("notarypy renew ")
    assert (home / "r.html").exists()


def test_a_repository_that_fails_is_a_section_and_the_exit_code(run: Run, stub: StubClient) -> None:
    gone = RepositoryVanishedError("it vanished", why=HOSTILE, advice=Advice("say", text=HOSTILE))

    def looked_at(repo: str, **_: object) -> Overview:
        if repo != REPO:
            raise gone
        return WELL

    stub.answers["overview"] = looked_at
    run("report", REPO, "r.test/gone", "-o", "r.html").expect(4)
    found = Page(Path("r.html").read_text())
    assert "it vanished [trust.repo_vanished]" in found.text
    assert "1 of 2 repositories needs somebody now" in found.text
    assert found.tags.count("section") == 2
    assert "not read: it vanished" in found.text


def test_what_nobody_can_verify_is_not_shown_as_well() -> None:
    released = replace(OVERVIEW.tags[0], expires=WHEN - timedelta(days=1), roles=("targets/releases",))
    found = shown(replace(OVERVIEW, tags=(released,)))
    assert "released, and ended" in found.text
    assert "none of today" in found.text
    unread = page(overviewtext.Looked("r.test/app", None, RepositoryVanishedError("it vanished")))
    assert "nothing was looked at" not in unread.text
    assert overviewtext.Looked("r.test/app", None, RepositoryVanishedError("it vanished")).count("bad") == 1


@pytest.mark.parametrize(
    "words", [(), ("--all", REPO), (REPO, "--within", "soon"), (REPO, "-o", "no/r.html")]
)
def test_what_is_asked_is_checked_first(run: Run, stub: StubClient, words: tuple[str, ...]) -> None:
    assert run("report", *words).code in {1, 2}
    assert stub.calls == []


def test_what_is_wanted_is_passed_on(run: Run, stub: StubClient) -> None:
    stub.answers["overview"] = WELL
    run("report", REPO, "--registry", "--no-history", "--within", "30d", "--root", PIN).expect(0)
    (call,) = stub.calls
    assert call[2] == {"within": timedelta(days=30), "root": PIN, "history": False, "registry": True}


def test_a_real_repository_is_reported(run: Run, fake: Fake, home: Path) -> None:
    fake.registry.push("app", "1", manifest("1"), "application/vnd.oci.image.manifest.v1+json")
    run("sign", "--init", f"{REPO}:1").expect(0)
    done = run("report", "--all", "--registry", "-o", "r.html").expect(0)
    assert done.out.startswith(f"{REPO}: ")
    found = Page((home / "r.html").read_text())
    nothing_is_loaded(found)
    assert "released" in found.text
    assert "the registry serves every released tag as it was signed" in found.text
    assert "the repository was made" in found.text


def test_an_archive_is_reported_without_a_history(run: Run, fake: Fake, home: Path) -> None:
    fake.registry.push("app", "1", manifest("1"), "application/vnd.oci.image.manifest.v1+json")
    run("sign", "--init", f"{REPO}:1").expect(0)
    run("export", REPO, "-o", "trust.tar").expect(0)
    run("report", "--from", "trust.tar", "--all", "-o", "r.html").expect(0)
    found = Page((home / "r.html").read_text())
    assert "What happened before was not looked at." in found.text
    assert "released" in found.text


# -- the page


def hostile(change: Callable[[Overview], Overview]) -> Page:
    return shown(change(OVERVIEW))


def _tags(found: Overview) -> Overview:
    named = ListedTag(HOSTILE, None, 1, ("targets/" + HOSTILE,), (HOSTILE,), released=False, expires=None)
    return replace(found, tags=(named,))


def _roles(found: Overview) -> Overview:
    role = replace(BOB_STATUS, role=f"targets/{HOSTILE}", keys=(HOSTILE,), problem=HOSTILE, expires=WHEN)
    entry: RoleEntry = replace(found.delegations[0], role=role.role, paths=(HOSTILE,))
    status = replace(found.status, roles=(*found.status.roles[:4], role))
    return replace(found, status=status, delegations=(entry,))


def _findings(found: Overview) -> Overview:
    return replace(found, findings=(Finding("bad", HOSTILE, HOSTILE, Advice("say", text=HOSTILE)),))


def _names(found: Overview) -> Overview:
    return replace(found, repository=HOSTILE, server=HOSTILE, root_pins=(HOSTILE,))


def _events(found: Overview) -> Overview:
    odd = replace(found.events[0], name=HOSTILE, before=HOSTILE, signers=(HOSTILE,), role=HOSTILE)
    return replace(found, events=(odd, replace(found.events[1], why=HOSTILE)))


@pytest.mark.parametrize("change", [_tags, _roles, _findings, _names, _events])
def test_whatever_a_repository_calls_things_is_text(change: Callable[[Overview], Overview]) -> None:
    found = hostile(change)
    nothing_is_loaded(found)
    assert SHOWN in found.text
    assert "\u202e" not in found.text
    assert "\x1b" not in found.text


def test_all_parts_are_tables_with_captions_and_scopes_too() -> None:
    found = shown(OVERVIEW)
    nothing_is_loaded(found)
    captions = (
        "Repositories",
        "What needs somebody first",
        "Findings",
        "Roles",
        "Signed tags",
        "What happened",
    )
    assert all(caption in found.text for caption in captions)
    assert found.tags.count("caption") == found.tags.count("table") == 6
    assert found.tags.count("svg") - found.tags.count("title") < found.tags.count("desc") * 9
    assert {value for name, value in found.attributes if name == "scope"} == {"col", "row"}
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {
        part for name, value in found.attributes if name == "aria-labelledby" for part in str(value).split()
    }
    assert named <= set(ids)
    assert "There were 7 earlier events: notarypy history " in found.text


def test_what_was_not_looked_at_is_said() -> None:
    found = shown(replace(OVERVIEW, events=(), earlier=None, tags=()))
    assert "What happened before was not looked at." in found.text
    assert "No tag is signed." in found.text
    assert "registry" not in [value for name, value in found.attributes if name == "data-label"]


def test_of_very_many_tags_the_first_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overviewpage, "_TAGS_SHOWN", 3)
    many = tuple(replace(OVERVIEW.tags[0], tag=f"t{number}") for number in range(10))
    found = shown(replace(OVERVIEW, tags=many))
    assert "7 more tags are not on this page" in found.text
    assert "t3" not in found.text


def test_a_page_without_repositories_says_so() -> None:
    assert "nothing was looked at" in page().text


# -- drawings


def branches(*depths: int) -> list[drawings.Branch]:
    return [drawings.Branch(depth, f"r{n}", "1 of 1 key", "ok", "ends") for n, depth in enumerate(depths)]


def lines(text: str) -> list[tuple[str, ...]]:
    return re.findall(r'<line x1="(\d+)" y1="(\d+)" x2="(\d+)" y2="(\d+)"', text)


def test_each_role_hangs_from_the_one_above() -> None:
    text = "".join(drawings.tree("t", "roles", branches(0, 1, 2, 1)))
    # The last row of a level ends its line in the middle; one with others below it goes on.
    assert ("9", "72", "9", "144") in lines(text)
    assert ("9", "144", "9", "216") in lines(text)
    assert ("9", "216", "9", "252") in lines(text)
    assert ("35", "144", "35", "180") in lines(text)


def test_a_role_stands_at_once_below_the_one_above_it() -> None:
    names = ["targets/a-b", "targets/a10", "targets/a/x", "targets/a2", "targets/a"]
    entries = tuple(replace(OVERVIEW.delegations[0], role=name) for name in names)
    listed = tuple(replace(BOB_STATUS, role=name) for name in names)
    status = replace(OVERVIEW.status, roles=(*OVERVIEW.status.roles[:4], *listed))
    text = "".join(
        overviewpage.page(
            [overviewtext.Looked("r", replace(OVERVIEW, status=status, delegations=entries))], "90d"
        )
    )
    drawn = re.findall(r'class="name">(targets/[^<]*)<', text)
    assert drawn == ["targets/a", "targets/a/x", "targets/a-b", "targets/a2", "targets/a10"]


def test_a_long_name_is_cut_in_its_middle_on_a_telephone_and_its_end_is_said_there() -> None:
    names = [f"targets/{who}-with-a-long-name-of-a-robot-{who}" for who in ("anna", "annb")]
    nodes = [drawings.Branch(2, name, "1 of 1 key", "ok", "ends 2029-01-01") for name in names]
    text = "".join(drawings.tree("t", "roles", nodes))
    cut = re.findall(r'class="name cut">([^<]*)<', text)
    assert (len({*cut}), max(map(len, cut))) == (2, 23)
    assert re.findall(r'class="name whole">([^<]*)<', text) == names
    assert text.count(">ends 2029-01-01</text>") == 2
    assert ".aside { display: none" not in drawings.STYLE


def test_a_big_tree_comes_in_parts_and_has_an_end() -> None:
    parts = list(drawings.tree("t", "roles", branches(0, *[1] * 1000)))
    text = "".join(parts)
    assert text.count("<svg width") == 50
    assert "601 more roles are in the table below." in text
    found = Page(text)
    assert found.open == []


def test_a_very_deep_tree_stays_on_the_page() -> None:
    text = "".join(drawings.tree("t", "roles", branches(*range(100))))
    assert max(int(x) for x in re.findall(r'<rect x="(\d+)"', text)) <= 8 * 26


def test_what_has_ended_is_left_of_today_and_what_is_near_has_room() -> None:
    def ending(days: int) -> drawings.Lasting:
        return drawings.Lasting(f"d{days}", WHEN + timedelta(days=days), "ends", "ok")

    text = "".join(drawings.timeline("t", "ends", [ending(3650), ending(-5), ending(30)], WHEN))
    bars = [
        (float(x), float(width))
        for x, width in re.findall(r'<rect x="([\d.]+)%"[^>]* width="([\d.]+)%"', text)
    ]
    assert bars[0] == (0.0, 7.0)
    assert bars[1][0] == 7.0
    assert 7 < bars[1][1] < bars[2][1] == 93.0
    assert text.index(">d-5<") < text.index(">d30<") < text.index(">d3650<")
    assert not list(drawings.timeline("t", "ends", [], WHEN))


@pytest.mark.parametrize("name", findingadvice.OF_REPORTS)
def test_advice_is_a_sentence_without_an_end(name: str) -> None:
    text = findingadvice.OF_REPORTS[name]
    assert text[0].islower()
    assert not text.endswith(".")


def test_the_style_loads_nothing() -> None:
    text = htmlpage.opening("A page", "", drawings.STYLE)
    assert "url(" not in text
    assert "@import" not in text
