"""The site of these pages, as far as it can be judged without building it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

import notarypy
from docs import pages
from docs.site import checking, contents, reference, staging

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = sorted((contents.DOCS / "pictures").glob("*"))
SVG = "{http://www.w3.org/2000/svg}"


def test_every_page_is_in_the_table_of_contents_once() -> None:
    # A new page: an entry in docs/index.md, or in a page's own folder and linked from that page.
    assert contents.strays() == []
    assert [page for page, count in Counter(contents.listed()).items() if count > 1] == []


def test_the_readme_leads_to_the_front_page_and_the_choice() -> None:
    linked = {contents.meant("README.md", link) for link in contents.links(contents.read("README.md"))}
    assert {contents.FRONT, "docs/choosing.md"} <= linked


def test_every_page_leads_on() -> None:
    ends = [
        page for page in contents.pages() if "adr/" not in page and not [*contents.links(contents.read(page))]
    ]
    assert ends == []


def test_the_page_for_whoever_decides_is_short() -> None:
    text = re.sub(r"\]\([^)]*\)|[|-]+(?= |$)", " ", contents.read("docs/choosing.md"), flags=re.MULTILINE)
    assert len(text.split()) < 500


def test_no_two_pages_have_one_place() -> None:
    # Some file systems do not tell capitals from small letters.
    places = Counter(staging.place(page).lower() for page in contents.pages())
    assert [place for place, count in places.items() if count > 1] == []


@pytest.mark.parametrize(
    ("page", "written", "on_the_site"),
    [
        ("docs/cli.md", "[a](keys.md#b)", "[a](keys.md#b)"),
        ("docs/cli.md", "[a](#b)", "[a](#b)"),
        ("docs/cli.md", "[keys.md](keys.md#b)", "[Where keys are](keys.md#b)"),
        ("docs/cli.md", "[a](../SECURITY.md)", "[a](reporting.md)"),
        ("docs/cli.md", "[a](adr/README.md)", "[a](adr/index.md)"),
        ("docs/cli.md", "![a](pictures/roles.svg)", "![a](pictures/roles.svg)"),
        ("docs/cli.md", "[a](schemas/notarypy.json)", "[a](schemas/notarypy.json)"),
        ("docs/keys/own.md", "[`a`](../cli.md#b)", "[`a`](../cli.md#b)"),
        ("docs/keys/own.md", "[a](../examples/acmesign)", "a (`docs/examples/acmesign`)"),
        ("docs/runbooks/README.md", "[a](../../README.md#install)", "[a](../overview.md#install)"),
        ("CONTRIBUTING.md", "[a](docs/cli.md)", "[a](cli.md)"),
        ("CONTRIBUTING.md", "[a](findings/README.md)", "a (`findings/README.md`)"),
        ("CHANGELOG.md", "[a](https://semver.org/)", "[a](https://semver.org/)"),
        ("docs/cli.md", "`[a](b.md)`", "`[a](b.md)`"),
        ("docs/cli.md", "```sh\n[a](b.md)\n```", "```sh\n[a](b.md)\n```"),
    ],
)
def test_links_fit_the_site(page: str, written: str, on_the_site: str) -> None:
    assert staging.fitted(page, written) == on_the_site


def test_the_front_page_has_the_parts_as_tables() -> None:
    text = staging.staged(contents.FRONT)
    for part, entries in contents.parts().items():
        assert f":caption: {part}\n" in text
        assert entries
    assert "\nTutorial </tutorial>\n" in text
    assert "\n/keys/pkcs11\n" in staging.staged("docs/keys.md")
    assert "\n/reference/index\n" in staging.staged("docs/library.md")


def test_the_reference_has_every_public_name_once() -> None:
    headings = [
        line for text in reference.written().values() for line in text.splitlines() if line[:3] == "## "
    ]
    public = notarypy._NAMES.values()  # noqa: SLF001 - to type checkers there is no `__all__`
    assert sorted(headings) == sorted(f"## {name}" for names in public for name in names.split())


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="b.html">', ""),
        ('<a href="b.html#here">', ""),
        ('<a href="inner/">', ""),
        ('<a href="https://semver.org/">', ""),
        ('<img src="data:image/png;base64,AA">', ""),
        ('<a href="c.html">', "a.html: leads nowhere: c.html"),
        ('<a href="../b.html">', "a.html: leads nowhere: ../b.html"),
        ('<a href="b.html#there">', "a.html: no such anchor: b.html#there"),
        ('<a href="#there">', "a.html: no such anchor: #there"),
        ('<a href="https://example.com/">', "a.html: links to another host: https://example.com/"),
        ('<img src="c.svg">', "a.html: leads nowhere: c.svg"),
        (
            '<script src="https://semver.org/x.js">',
            "a.html: loads from another host: https://semver.org/x.js",
        ),
        ('<script src="//semver.org/x.js">', "a.html: loads from another host: //semver.org/x.js"),
        ('<p style="background: url(http://a.test/x)">', "a.html: loads from another host: http://a.test/x"),
    ],
)
def test_what_does_not_hold_is_found(tmp_path: Path, body: str, fault: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<p id="here">')
    (tmp_path / "inner" / "index.html").write_text("")
    assert checking.faults(tmp_path) == [fault] * bool(fault)


def test_styles_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@import 'https://fonts.test/a.css'; p { background: url(x.svg) }")
    assert checking.faults(tmp_path) == ["a.css: loads from another host: https://fonts.test/a.css"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_for_everybody(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    root = ET.fromstring(text)
    named = root.attrib["aria-labelledby"].split()
    assert (root.attrib["role"], len(named)) == ("img", 2)
    for kind, name in zip(("title", "desc"), named, strict=True):
        (found,) = [node for node in root if node.tag == SVG + kind]
        assert found.attrib["id"] == name
        assert found.text
    assert "@media (prefers-color-scheme: dark)" in text
    assert min(map(int, re.findall(r"(?:font: |font-size: )(\d+)px", text))) >= 13
    assert int(root.attrib["width"]) <= 560  # in the 360 pixels of a phone letters have nine at least
    assert [
        node.tag for node in root.iter() if node.tag in {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"}
    ] == []
    assert re.findall(r"(?:href=|url\()(?![\"']?#)", text) == []


def test_every_picture_is_shown_and_described() -> None:
    shown = {}
    for page in contents.pages():
        for alternative, target in re.findall(
            r"!\[([^\]]*)\]\(([^)]+\.svg)\)", pages.prose(contents.read(page))
        ):
            shown[contents.meant(page, target)] = alternative
    assert set(shown) == {f"docs/pictures/{picture.name}" for picture in PICTURES}
    assert all(shown.values())
