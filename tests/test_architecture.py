"""The shape of the code: small modules, short functions, a sentence for everything public."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "notarypy"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_MODULE, MAX_FUNCTION = 350, 60
# The surface of the library is one page: it has a method, and no logic, for each thing that the client does.
LONGER = {"notarypy/client/api.py": 400, "notarypy/errors.py": 380}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGER.get(name_of(path), MAX_MODULE)
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(tree(path))
        if isinstance(node, FUNCTIONS) and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_everything_public_has_a_docstring(path: Path) -> None:
    silent = [
        f"{node.name} (line {node.lineno})" for node in public(tree(path)) if not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_with_code_postpone_annotations(path: Path) -> None:
    body = [node for node in tree(path).body if not isinstance(node, ast.Expr)]
    first = body[0] if body else None
    assert first is None or (isinstance(first, ast.ImportFrom) and first.module == "__future__")


@pytest.mark.parametrize("path", sorted((PACKAGE / "tuf").glob("*.py")), ids=name_of)
def test_the_trust_core_is_pure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(ast.parse(text))
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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_regular_expression_is_possessive(path: Path) -> None:
    """Early releases of Python 3.11, such as Debian 12's 3.11.2, match nested ones wrongly."""
    assert [text for text in texts(path) if possessive(text)] == []
