"""The shape of the package: no circle of files, few imports inside functions, one name for one file.

The layers and rooms themselves are contracts in `pyproject.toml`, which `scripts/check` enforces; sizes of
modules and functions are in `test_architecture.py`.
"""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from notarypy.keys.signers import SIGNERS
from support import sources
from support.sources import FILES, PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

# Every room may have a front page, and those are called the same.
SHARED_NAMES = {"__init__.py", "api.py"}
# What a first-time reader would have to learn that neither TUF nor OCI says.
DIALECT = {
    "admit", "crew", "custody", "demands", "gate", "hushed", "keeper", "mention", "rehearse", "shelf",
    "tally", "tell", "told", "wish",
}  # fmt: skip
# The top of the checkout, all of which goes into the sdist.
TOP = {
    ".dockerignore", ".github", ".gitignore", ".pre-commit-hooks.yaml", "CHANGELOG.md", "CONTRIBUTING.md",
    "Containerfile", "LICENSE", "README.md", "RELEASING.md", "SECURITY.md", "action.yml", "azure",
    "benchmarks", "docs", "findings", "fixtures", "hatch_build.py", "notarypy", "pyproject.toml", "resources",
    "scripts", "tekton", "templates", "tests", "vars",
}  # fmt: skip


def module(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def tree_of(name: str) -> ast.Module:
    """Return the tree of the file with a dotted name."""
    return sources.tree(MODULES[name])


def trees() -> list[ast.Module]:
    """Return the tree of every file."""
    return [sources.tree(path) for path in FILES]


def imported(name: str) -> set[str]:
    """Return the files that a file imports anywhere, for types too."""
    found = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return (found & MODULES.keys()) - {name, "notarypy"}


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function of a file."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def inner_imports(tree: ast.Module) -> int:
    """Count the import statements that run when a function is called."""
    inside = {id(node) for function in functions(tree) for node in ast.walk(function)}
    return sum(
        isinstance(node, ast.Import | ast.ImportFrom) and id(node) in inside for node in ast.walk(tree)
    )


def test_no_file_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter({name: imported(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_two_files_have_one_name() -> None:
    names = Counter(path.name for path in FILES if path.name not in SHARED_NAMES)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name for tree in trees() for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )  # fmt: skip
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_versions_of_a_text_stand_side_by_side() -> None:
    root = PACKAGE.parent
    texts = [*FILES, *root.glob("*.*"), *root.glob("docs/**/*.md"), *root.glob("tests/**/*.py")]
    assert [
        path for path in texts if path.is_file() and "\n<<<<<<< " in path.read_text(errors="replace")
    ] == []


@pytest.mark.skipif(not (PACKAGE.parent / ".git").exists(), reason="nothing says what is committed")
def test_the_top_of_the_checkout_holds_what_is_named() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PACKAGE.parent, capture_output=True, check=True)
    names = {name.partition("/")[0] for name in listed.stdout.decode().split("\0") if name}
    assert names - {".ci"} == TOP


def test_the_package_stays_small() -> None:
    # Bounds are raised with a feature that needs the room, never for a second way to do the same: logging in
    # and out, whole repositories verified, first use decided, keys renamed, compressed archives, files told
    # apart that are no keys, entries that cannot be used, limits with a way out, a last signer who leaves.
    # And: archives whose list is compared with their layout; calls side by side; a quick way to a command;
    # servers with little room, two ways to a server; keys that are elsewhere, a file for each backend,
    # and what is set wrong for them told apart from a network that fails; what may be a secret is not shown.
    # And: the way out: signatures as cosign makes them, read and written in registries; policies of others,
    # reports, and trust data in one file; notation's signatures, and the rules of its certificates.
    # And: a service that verifies for others, and what Kubernetes asks of it and has applied; who asks it;
    # and what it withstands: hosts that hang, directories that fail, clocks that stand, callers without end.
    # And: an owner's year, shared by several people: what is set and wrong, keys and roots kept in one file,
    # what happened and when, a page for whoever answers for it, half-signed roles that go from hand to hand.
    # And: what a person meets at the prompt, on the system at hand, and the logins of registries as they are.
    # And: Go notary's words, content that is no image, changes staged in Go's format, its oldest key folders,
    # and what its users bring along: odd names, half settings, lost answers, files behind descriptors,
    # streams that do not wait.
    assert len(FILES) <= 387
    assert sum(len(path.read_text().splitlines()) for path in FILES) <= 75_950
    # What only some commands need is imported by these alone: starting is most of what a command costs.
    # What waits for a stream that does not, needs what most never need.
    # A backend imports what its service takes when it is opened; a look for secrets in a URI takes patterns.
    assert sum(inner_imports(tree) for tree in trees()) < 272


def test_no_module_but_the_table_names_a_backend() -> None:
    room = "notarypy.keys.signers"
    common = {
        room,
        *(f"{room}.{name}" for name in ("base", "cosignsigner", "keyfile", "rootcertificate", "services")),
        *(f"{room}.{name}" for name in ("azurecredential",)),  # of registries, too
    }
    backends = {row.partition(":")[0] for row in SIGNERS.values()}
    beside = {name for name in MODULES if name.startswith(f"{room}.")} - common  # what backends stand on, too
    assert backends <= beside
    assert {name for name in MODULES.keys() - beside if imported(name) & beside} == set()
    others = MODULES.keys() - beside - {room}
    constants = {
        node.value for name in others for node in ast.walk(tree_of(name)) if isinstance(node, ast.Constant)
    }
    assert constants & {*SIGNERS, *(f"{scheme}:" for scheme in SIGNERS), *backends} == set()


def test_names_are_the_words_of_the_field() -> None:
    names = {
        f"{name}: {node.name}" for name in MODULES for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and DIALECT & set(node.name.lower().strip("_").split("_"))
    }  # fmt: skip
    assert names == set()
