"""The reference of the library: pages that have Sphinx print the docstrings of every public name.

What it is: pages in Markdown that name them, by group. What it is not: text about them, which stands in the
code.
"""

from __future__ import annotations

import inspect
import re

import notarypy

FOLDER = "reference"
_GROUPS = (
    ("client", "The client", r"client\.\w*api\."),
    ("settings", "Settings, limits, transport", r"storage\.settings|limits|remote"),
    ("options", "Options of calls", r"client\.parameters|\S+Options$"),
    ("errors", "Errors", r"errors"),
    ("keys", "Keys and passphrases", r"keys"),
    ("service", "The verifier of a service", r"service"),
    ("results", "Results", r""),
)
_OBJECT = """## {name}

```{{eval-rst}}
.. py:currentmodule:: notarypy
.. auto{kind}:: {name}
   :members:
{more}```
"""
_FRONT = """# Reference of the library

What `notarypy.__all__` names, as its docstrings say it. [The library](../library.md) shows how it is used.

| | |
|---|---|
{rows}
```{{toctree}}
:hidden:
{pages}
```
"""


def written() -> dict[str, str]:
    """Return the pages of the reference by their paths."""
    groups: dict[str, list[str]] = {title: [] for _, title, _ in _GROUPS}
    names = [(name, home) for home, some in notarypy._NAMES.items() for name in some.split()]  # noqa: SLF001 - tells homes
    for name, home in names:
        groups[next(title for _, title, homes in _GROUPS if re.match(homes, f"{home}.{name}"))].append(name)
    pages = {
        f"{FOLDER}/{page}.md": "\n".join([f"# {title}\n", *map(_object, sorted(groups[title]))])
        for page, title, _ in _GROUPS
    }
    return {**pages, f"{FOLDER}/index.md": _front(groups)}


def _front(groups: dict[str, list[str]]) -> str:
    """Return the page that leads to every name."""
    rows = ""
    for page, title, _ in _GROUPS:
        names = ", ".join(f"[{name}]({page}.md#{name.lower()})" for name in sorted(groups[title]))
        rows += f"| **[{title}]({page}.md)** | {names} |\n"
    return _FRONT.format(rows=rows, pages="\n".join(page for page, _, _ in _GROUPS))


def _object(name: str) -> str:
    """Return the section of a name."""
    found = getattr(notarypy, name)
    if inspect.ismodule(found):
        return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {found.__name__}\n```\n"
    kind = "exception" if issubclass(found, Exception) else "class"
    more = "   :inherited-members:\n" if name == "Client" else ""
    return _OBJECT.format(name=name, kind=kind, more=more)
