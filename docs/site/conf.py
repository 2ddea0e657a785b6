"""How Sphinx makes the site of the staged pages; `docs.site.building` calls it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

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
html_permalinks_icon = "#"
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def _literal(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Make what stands in backticks code, with all its colons, for Sphinx's own markup."""
    lines[:] = [_CODE.sub(r"``\1``", line) for line in lines]


def _fields(
    _app: object,
    what: str,
    _name: str,
    found: object,
    _options: object,
    _signature: str | None,
    _returns: object,
) -> tuple[str | None, str | None] | None:
    """Return what a class is made of: value classes tell it nobody but `inspect`."""
    if what != "class" or not isinstance(found, type) or not hasattr(found, "__shape__"):
        return None
    return stringify_signature(inspect.signature(found), unqualified_typehints=True), None


def setup(app: Sphinx) -> None:
    """Let docstrings be read as they are written here."""
    app.connect("autodoc-process-docstring", _literal, priority=100)
    app.connect("autodoc-process-signature", _fields)
