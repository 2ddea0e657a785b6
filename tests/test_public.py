"""The public surface: whole, typed, and the same for people, programs and type checkers."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import typing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import notarypy
from docs import pages
from notarypy import Client, PassphraseChain, PinOptions, Resolver, Settings, VerifyOptions, signers
from notarypy.client.imagesapi import Images
from notarypy.client.keysapi import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
# Classes that are called, and not only read.
CALLED = (Client, Keys, Images, Resolver, PassphraseChain)
PUBLIC: list[str] = vars(notarypy)["__all__"]


def namespace(module: ModuleType) -> dict[str, Any]:
    """Return what the names in a module's annotations mean, those for type checkers alone too."""
    found = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in node.body:
                found |= imported(inner) if isinstance(inner, ast.ImportFrom) else assigned(inner, found)
    return found


def imported(node: ast.ImportFrom) -> dict[str, Any]:
    """Return what an import statement binds."""
    home = importlib.import_module(node.module or "")
    found = {}
    for alias in node.names:
        value = getattr(home, alias.name, None)
        if value is None and hasattr(home, "__path__"):
            value = importlib.import_module(f"{home.__name__}.{alias.name}")
        found[alias.asname or alias.name] = value or namespace(home)[alias.name]
    return found


def assigned(node: ast.stmt, known: dict[str, Any]) -> dict[str, Any]:
    """Return what an alias of a type means."""
    assert isinstance(node, ast.Assign), ast.unparse(node)
    return {ast.unparse(node.targets[0]): eval(ast.unparse(node.value), dict(known))}


def hints(item: Any, module: str) -> dict[str, Any]:  # noqa: ANN401 - a function or a class
    known = namespace(sys.modules[module])
    return typing.get_type_hints(item, known, known)


def classes(hint: Any) -> Iterator[type]:  # noqa: ANN401 - whatever an annotation may be
    """Yield the package's classes in an annotation."""
    if isinstance(hint, type) and hint.__module__.startswith("notarypy"):
        yield hint
    for part in hint if isinstance(hint, list | tuple) else typing.get_args(hint):
        yield from classes(part)


def functions(cls: type) -> Iterator[Callable[..., Any]]:
    """Yield the public methods of a class, and how it is made."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            yield function


def named(cls: type) -> Iterator[type]:
    """Yield the package's classes in the fields and signatures of a class."""
    if dataclasses.is_dataclass(cls) or typing.is_typeddict(cls):
        fields = {name: hint for name, hint in hints(cls, cls.__module__).items() if not name.startswith("_")}
        yield from classes(list(fields.values()))
    if getattr(cls, "_is_protocol", False) or cls in CALLED:
        made_by_us = {Keys.__init__, Images.__init__, Resolver.__init__}
        for function in functions(cls):
            if function not in made_by_us:
                yield from classes(list(hints(function, cls.__module__).values()))


def reached() -> dict[str, type]:
    """Return every class that a caller of the library meets, by name."""
    found: dict[str, type] = {}
    waiting: list[type] = list(CALLED)
    while waiting:
        cls = waiting.pop()
        if cls not in found.values():
            assert cls.__name__ not in found, f"two classes are called {cls.__name__}"
            found[cls.__name__] = cls
            waiting += named(cls)
    return found


def test_every_type_that_a_caller_meets_is_public() -> None:
    met = reached()
    assert {"TagEntry", "Progress", "GlobalOptions", "Response", "Occurrence", "PolicyError"} <= set(met)
    assert set(met) <= set(PUBLIC)
    assert all(getattr(notarypy, name) is cls for name, cls in met.items())


def test_type_checkers_find_a_name_where_it_is_loaded_from() -> None:
    body = ast.parse(Path(notarypy.__file__).read_text(encoding="utf-8")).body
    guarded = next(node for node in body if isinstance(node, ast.If))
    known = {
        alias.asname: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: getattr(getattr(notarypy, name), "__module__", "") for name in PUBLIC}
    homes["signers"] = signers.__name__.rpartition(".")[0]  # a module, the only one
    assert known == homes


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Typo"):
        getattr(notarypy, "Typo")  # noqa: B009 - mypy would refuse it


@pytest.mark.slow
def test_mypy_knows_names_and_options(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "from notarypy import Client, TagEntry\n"
        "from notarypy import Typo\n"
        "Client.from_environment(offlin=True)\n"
        "Client.from_environment(offline='x')\n"
        "Client.from_environment(timeout=1, offline=True, warn=print)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    found = re.findall(r"program.py:(\d): error: (.*)  \[", done.stdout)
    assert [int(line) for line, _ in found] == [2, 3, 4], done.stdout
    assert found[0][1] == 'Module "notarypy" has no attribute "Typo"'
    assert found[1][1].startswith('Unexpected keyword argument "offlin"')
    assert found[2][1].startswith('Argument "offline" to "from_environment"')


def groups() -> Iterator[tuple[str, type]]:
    """Yield the groups of calls of a client, and the client, by what their tables call them."""
    yield "client", Client
    for base in Client.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, cached_property) and not name.startswith("_"):
                yield f"client.{name}", hints(value.func, base.__module__)["return"]


@pytest.mark.parametrize(("group", "cls"), list(groups()), ids=str)
def test_every_call_has_its_row_on_the_page_of_the_library(group: str, cls: type) -> None:
    page = pages.read("docs/library.md")
    rows = [row for table in pages.tables(page) if table[0][0] == f"call of `{group}`" for row in table[1:]]
    listed = {match[1] for row in rows if (match := re.match(r"`(\w+)\(", row[0]))}
    prose = set(re.findall(rf"`(?:{group}|{group.removeprefix('client.')})\.(\w+)", page))
    public = {name for name, value in vars(cls).items() if inspect.isfunction(value) and name[0] != "_"}
    assert public <= listed | prose
    assert listed <= {name for name in dir(cls) if not name.startswith("_")}


# -- one text is no list

PEM: Any = b"pem"
LISTS: dict[str, Callable[[Client], object]] = {
    "__init__": lambda _: Client(signers="jeff"),  # type: ignore[arg-type]  # as is tried
    "from_environment": lambda _: Client.from_environment({}, signers="jeff"),  # type: ignore[arg-type]  # too
    "sign": lambda client: client.sign("r.test/a:1"),
    "revoke": lambda client: client.revoke("r.test/a:1"),
    "verify": lambda client: client.verify("r.test/a:1", signers="jeff"),
    "verify_unless_skipped": lambda client: client.verify_unless_skipped("r.test/a:1", signers="jeff"),
    "verify_each": lambda client: client.verify_each("r.test/a:1"),
    "init": lambda client: client.init("r.test/a", signer="jeff", keys=PEM),
    "add_signer": lambda client: client.add_signer("jeff", "r.test/a", PEM),
    "add_signer(paths)": lambda client: client.add_signer("jeff", "r.test/a", [b"pem"], paths="v"),
    "remove_signer": lambda client: client.remove_signer("jeff", "r.test/a", paths="v"),
    "rotate": lambda client: client.keys.rotate("r.test/a", "root", replaces="1234567"),
    "renew": lambda client: client.renew("r.test/a", only="root"),
    "export": lambda client: client.keys.export("jeff"),
    "remove": lambda client: client.keys.remove("jeff", others="1234567"),
    "pull": lambda client: client.images.pull("r.test/a:1", "oci:x", signers="jeff"),
    "copy": lambda client: client.images.copy("r.test/a:1", "r.test/b", signers="jeff"),
    "pin": lambda client: client.images.pin(b"FROM a", skip="a"),
    "plan_build": lambda client: client.images.plan_build("."),
    "plan_build(skip)": lambda client: client.images.plan_build(["."], skip="a"),
    "VerifyOptions": lambda _: VerifyOptions(signers="jeff"),
    "PinOptions": lambda _: PinOptions(skip="a"),
    "insecure_registry": lambda _: Client.from_environment({}, insecure_registry="r.test"),
}


@pytest.mark.parametrize("call", LISTS.values(), ids=LISTS)
def test_one_text_where_several_are_expected(tmp_path: Path, call: Callable[[Client], object]) -> None:
    client = Client(Settings(trust_dir=tmp_path / "trust", docker_config=tmp_path))
    with pytest.raises(TypeError, match=r"takes a list|is a sequence"):
        call(client)
    assert list(tmp_path.iterdir()) == []


def test_every_list_is_tried() -> None:
    takes = {
        function.__qualname__.partition(".")[2]
        for cls in (Client, Keys, Images)
        for function in functions(cls)
        if "Sequence" in str(inspect.signature(function))
    }
    assert takes <= {name.partition("(")[0] for name in LISTS}
