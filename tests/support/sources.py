"""The package's own modules as syntax trees, read once for all tests about the code.

What it is: one reading, for trees are slow to make. What it is not: a rule; those are in the tests.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import notarypy

PACKAGE = Path(notarypy.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """Return a module's tree, which nobody changes."""
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """Return the name of a module's file as people write it."""
    return path.relative_to(PACKAGE.parent).as_posix()
