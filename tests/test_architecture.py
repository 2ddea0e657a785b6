"""The shape of the code: small modules, short functions, a sentence for everything public."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from support.sources import FILES as MODULES
from support.sources import PACKAGE, name_of, tree

if TYPE_CHECKING:
    from pathlib import Path

MAX_MODULE, MAX_FUNCTION = 350, 60
# The surface of the library is one page: it has a method, and no logic, for each thing that the client does.
LONGER = {"notarypy/client/api.py": 400, "notarypy/errors.py": 380}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def texts(path: Path) -> list[str]:
    """Return every constant text of a module as a source would have it; what f-strings insert becomes `x`."""
    found = []
    for node in ast.walk(tree(path)):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        values = [part.value if isinstance(part, ast.Constant) else "x" for part in parts]
        if isinstance(node, ast.JoinedStr | ast.Constant):
            decoded = (v.decode("latin-1") if isinstance(v, bytes) else v for v in values)
            found.append("".join(value for value in decoded if isinstance(value, str)))
    return found


def possessive(text: str) -> bool:
    """Tell whether a text, read as a regular expression, has a possessive quantifier or an atomic group."""
    outlined = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", text, flags=re.DOTALL)
    return re.search(r"[*+?}]\+|\(\?>", outlined) is not None


def public(node: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Return public functions, classes and their public methods, however deep in classes."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)) and not child.name.startswith("_"):
            found.append(child)
            if isinstance(child, ast.ClassDef):
                found += public(child)
    return found


def test_there_are_modules() -> None:
    assert PACKAGE / "tuf" / "trusted.py" in MODULES


def test_modules_are_small_and_say_what_they_are() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name_of(p): n for p, n in lines.items() if n > LONGER.get(name_of(p), MAX_MODULE)} == {}
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree(path))] == []


def test_functions_are_short() -> None:
    assert [
        f"{name_of(path)}: {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, FUNCTIONS) and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    ] == []


def test_everything_public_has_a_docstring() -> None:
    assert [
        f"{name_of(path)}: {node.name} (line {node.lineno})"
        for path in MODULES
        for node in public(tree(path))
        if not ast.get_docstring(node)
    ] == []


def test_modules_with_code_postpone_annotations() -> None:
    first = {
        name_of(path): next((node for node in tree(path).body if not isinstance(node, ast.Expr)), None)
        for path in MODULES
    }
    assert [
        name
        for name, node in first.items()
        if node is not None and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "tuf").glob("*.py")), ids=name_of)
def test_the_trust_core_is_pure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
    }
    impure = {
        "os",
        "io",
        "socket",
        "pathlib",
        "random",
        "secrets",
        "time",
        "subprocess",
        "tempfile",
        "threading",
    }
    assert imported & impure == set()
    assert re.findall(r"(?<!\w)(?:open|print|input)\(|\.(?:now|today)\(|utcnow", text) == []


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (r"a*+", True),
        (r"a++b", True),
        (r"(?:[^-]*+(?:-(?!-)[^-]*+)*+)", True),
        (r"a{1,2}+", True),
        (r"(?>a|b)", True),
        (r"a+b*\++", False),
        (r"[*+]+", False),
        (r"[^\]*+]+", False),
    ],
)
def test_possessive_expressions_are_recognised(expression: str, wanted: bool) -> None:
    assert possessive(expression) is wanted


def test_no_regular_expression_is_possessive() -> None:
    """Early releases of Python 3.11, such as Debian 12's 3.11.2, match nested ones wrongly."""
    found = [(name_of(path), text) for path in MODULES for text in texts(path) if possessive(text)]
    assert found == []
