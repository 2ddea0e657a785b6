"""How Sphinx makes the site of the staged pages; `docs.site.building` calls it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.addnodes import index
from sphinx.util.inspect import stringify_signature

import notarypy

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "notarypy"
author = "the notarypy authors"
version = release = notarypy.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
source_suffix = {".md": "markdown"}

# Anchors as forges make them, so that links work here and there.
myst_heading_anchors = 6
# Sessions and excerpts of JSON with comments or dots are no whole programs.
suppress_warnings = ["misc.highlighting_failure"]

# Each page has the table of contents of all: methods in there would double the time of building.
toc_object_entries = False
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"notarypy {release}"
html_static_path = ["_static"]
html_css_files = ["notarypy.css"]
html_copy_source = False
html_show_sourcelink = False
html_domain_indices = False
html_show_copyright = False
html_use_index = False
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_permalinks_icon = "#"
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PART = re.compile(r'(?<=<span class="pre">)[^<\n]+')
_JOINT = re.compile(r"(?<=[\w)])[-._:/=,|(]+(?=[\w/.]{2})|(?<=[a-z]{3})(?=[A-Z][a-z]{2})")
_INNER = re.compile(r"(= ?)<(?:[^<>]|<[^<>]*>)*>")
_ENTRY = re.compile(r"(-{0,2}[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)+|--[a-z]+)(?=[ =(]|$)")


def _literal(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Make what stands in backticks code, with all its colons, for Sphinx's own markup."""
    lines[:] = [_CODE.sub(r"``\1``", line) for line in lines]


def _signature(
    _app: object,
    what: str,
    _name: str,
    found: object,
    _options: object,
    signature: str | None,
    returns: object,
) -> tuple[str | None, object]:
    """Return what a class is made of, as `inspect` knows it, without defaults that are objects."""
    if what == "class" and isinstance(found, type) and hasattr(found, "__shape__"):
        signature, returns = stringify_signature(inspect.signature(found), unqualified_typehints=True), None
    return signature and _INNER.sub(r"\1...", signature), returns


def _jointed(_app: object, _page: str, _template: str, context: dict[str, object], _tree: object) -> None:
    """Tell where code may break in a narrow place: behind its dots and dashes, not in its words."""
    if isinstance(body := context.get("body"), str):
        context["body"] = _PART.sub(lambda match: _JOINT.sub(r"\g<0><wbr>", match[0]), body)


def _entries(app: Sphinx, document: nodes.document) -> None:
    """Make what a row of a table or a point of a list is about an entry of the search."""
    if app.env.current_document.docname.startswith(("adr/", "changelog", "contributing", "releasing")):
        return
    for place in document.findall(lambda node: isinstance(node, nodes.row | nodes.list_item)):
        heads = place.children[:2] if isinstance(place, nodes.row) else place.children[:1]
        told = [code.astext() for head in heads for code in _leading(head)]
        words = [found[1] for found in map(_ENTRY.match, told) if found]
        if words:
            anchor = f"at-{nodes.make_id(words[0])}"
            anchor = anchor if anchor not in document.ids else f"{anchor}-{len(document.ids)}"
            place["ids"].append(anchor)
            document.ids[anchor] = place
            entries = [("single", word, anchor, "main", None) for word in words]
            heads[0].append(index(entries=entries))


def _leading(head: nodes.Element) -> list[nodes.literal]:
    """Return the code that a cell or a point begins with."""
    found = []
    for part in head[0].children if len(head) and isinstance(head[0], nodes.paragraph) else head.children:
        if isinstance(part, nodes.literal):
            found.append(part)
        elif part.astext().strip(" ,"):
            break
    return found


def setup(app: Sphinx) -> None:
    """Let docstrings be read as they are written here, and code be broken at its joints and found."""
    app.connect("html-page-context", _jointed)
    app.connect("doctree-read", _entries)
    app.connect("autodoc-process-docstring", _literal, priority=100)
    app.connect("autodoc-process-signature", _signature)
