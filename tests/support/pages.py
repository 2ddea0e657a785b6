"""Pages of HTML as a parser reads them, and a name that wants to be more than text."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = "<script>alert('1')</script>\x1b[31m\u202e\"&amp;"


class Page(HTMLParser):
    """The elements of a page, its attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "wbr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)  # of drawings
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def nothing_is_loaded(page: Page) -> None:
    """Check that a page is whole, runs nothing and asks for nothing."""
    assert page.open == []
    assert not {"script", "img", "image", "link", "iframe", "object", "use", "base", "form"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name.startswith("on")} | (
        {"src", "style"} & dict(page.attributes).keys()
    )
    assert all(value and value.startswith("#") for name, value in page.attributes if "href" in name)
