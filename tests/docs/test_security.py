from __future__ import annotations

import ast
import re
from dataclasses import fields
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import notarypy.limits
from docs import pages
from notarypy.limits import DEFAULT
from notarypy.tuf import trusted

PAGE = pages.read("docs/security.md")
SOURCE = Path(notarypy.limits.__file__)
RULES = pages.table(PAGE, "rule")
LIMITS, OTHERS = (
    {row[0]: row for row in table[1:]} for table in pages.tables(pages.sections(PAGE)["Limits"])
)
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "levels": 1, "characters": 1, "s": 1}
# Which constant each row of the other limits is; options come on top.
CONSTANTS = {
    "one request with all its attempts, a token included": "storage.settings.settings:Settings.timeout",
    "losses of a blob without progress": "remote.registry.blobs:TRIES",
    "a wait that a registry asks for while blobs move": "remote.registry.blobs:LONGEST_WAIT",
    "lengths and thresholds in metadata": "tuf.canonical:MAX_INTEGER",
    "versions": "tuf.fields:MAX_VERSION",
    "exponents of RSA keys": "tuf.keyobjects:MAX_RSA_EXPONENT",
    "a line or a cell that is shown": "cli.text.render:MAX_LINE",
    "the head of a request to the service, and its TLS handshake": "service.httpserver:HEAD_SECONDS",
    "silence on a connection to the service": "service.httpserver:IDLE_SECONDS",
    "an answer of the service": "service.serving:ServeOptions.deadline",
    "the body of a request to the service; an answer that is not read": "service.asgi:BODY_SECONDS",
    "a line of the service's log": "service.requestlog:LINE_CHARS",
    "a push by a docker daemon": "remote.daemon:PUSH_SECONDS",
}


def number(text: str) -> float:
    """Read `64 KiB`, `64 KiB - 1`, `2^31 - 1`, `256` or `16 levels` at the beginning of a cell."""
    if power := re.match(r"2\^(\d+)( - 1)?$", text):
        return float(2 ** int(power[1]) - bool(power[2]))
    match = re.match(r"(\d+)(?: (KiB|MiB|levels|characters|s)\b( - 1)?)?", text)
    assert match, text
    return float(int(match[1]) * UNITS.get(match[2], 1) - bool(match[3]))


def value(constant: str) -> float:
    """Return a constant by module and name."""
    module, _, name = constant.partition(":")
    found = import_module(f"notarypy.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return float(found)


def test_every_rule_has_its_row() -> None:
    real = re.findall(r"^ ?(\d+)\. ", trusted.__doc__ or "", re.MULTILINE)
    assert [row[0] for row in RULES] == real


@pytest.mark.parametrize("row", RULES, ids=lambda row: f"rule {row[0]}")
def test_the_unit_tests_of_a_rule_carry_its_number(row: list[str]) -> None:
    tests = pages.read(pages.code(row[2]))
    assert f"\ndef test_rule_{row[0]}_" in tests
    assert "`tests/attacks/" in row[3]


@pytest.mark.parametrize("title", ["Hardening", "Different from Go notary and docker"])
def test_every_line_names_its_tests(title: str) -> None:
    (found,) = pages.tables(pages.sections(PAGE)[title])
    for row in found[1:]:
        assert re.fullmatch(r"(?:`tests/[\w/]+/test_\w+\.py` ?|`tests/test_\w+\.py` ?)+", row[-1]), row


@pytest.mark.parametrize("what", CONSTANTS)
def test_other_limits_are_those_of_the_code(what: str) -> None:
    _, limit, place = OTHERS[what]
    assert number(limit) == value(CONSTANTS[what])
    assert pages.code(place) == CONSTANTS[what].partition(":")[0].replace(".", "/") + ".py"


def test_no_other_limit_is_left_unchecked() -> None:
    assert list(OTHERS) == list(CONSTANTS)


def documented() -> dict[str, str]:
    """Return the fields of `Limits` with the text below each, in order."""
    (found,) = (node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.ClassDef))
    texts = {}
    for member, text in pairwise(found.body):
        match member, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                texts[name] = words
    return texts


def test_the_table_of_limits_is_the_dataclass() -> None:
    assert list(documented()) == [field.name for field in fields(DEFAULT)]
    assert {row[0]: row[2] for row in LIMITS.values()} == {
        f"`{name}`": text for name, text in documented().items()
    }
    assert [pages.code(name) for name in LIMITS] == list(documented())


@pytest.mark.parametrize("name", [field.name for field in fields(DEFAULT)])
def test_limits_are_those_of_the_code(name: str) -> None:
    _, limit, _ = LIMITS[f"`{name}`"]
    assert number(limit) == getattr(DEFAULT, name)
