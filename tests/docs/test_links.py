from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import pages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in pages.links(text):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(pages.ROOT), link
        assert target.exists(), link
        if fragment:
            assert fragment in pages.anchors(target.read_text(encoding="utf-8")), link


def test_the_list_of_decisions_is_complete() -> None:
    folder = pages.ROOT / "docs" / "adr"
    listed = pages.links((folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
