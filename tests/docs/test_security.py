from __future__ import annotations

import re
from importlib import import_module

import pytest

from docs import pages
from notarypy.tuf import trusted

PAGE = pages.read("docs/security.md")
RULES = pages.table(PAGE, "rule")
LIMITS = {row[0]: row for row in next(pages.tables(pages.sections(PAGE)["Limits"]))[1:]}
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "levels": 1, "s": 1}
# Which constant each row of the limits is; lengths that are signed and options come on top.
CONSTANTS = {
    "one request with all its attempts, a token included": "storage.settings:Settings.timeout",
    "headers of an answer": "remote.wire:HEADER_LIMIT",
    "an error's body": "remote.transport:ERROR_LIMIT",
    "a timestamp": "client.repository:MAX_TIMESTAMP",
    "a root": "client.repository:MAX_ROOT",
    "snapshot and targets": "client.repository:MAX_FILE",
    "a delegation": "client.repository:MAX_DELEGATION",
    "all delegations, by the lengths that are signed": "client.repository:MAX_DELEGATIONS",
    "memory for snapshot, targets and delegations, as estimated": "tuf.trusted:MAX_HELD",
    "root versions walked": "client.refresh:MAX_CHAIN",
    "a token reply": "remote.token:TOKEN_LIMIT",
    "a Dockerfile, compose file or manifest": "images.mentions:LIMIT",
    "an image manifest": "images.manifests:LIMIT",
    "manifests of an image": "images.tree:MANIFESTS",
    "blobs of an image": "images.tree:BLOBS",
    "bytes of an image's manifests": "images.tree:BYTES",
    "depth of indexes": "images.tree:DEPTH",
    "entries of an archive": "storage.archives:MEMBERS",
    "a long header of an archive": "storage.archives:HEADER_LIMIT",
    "losses of a blob without progress": "remote.blobs:TRIES",
    "a wait that a registry asks for while blobs move": "remote.blobs:LONGEST_WAIT",
    "nesting of metadata": "tuf.canonical:MAX_DEPTH",
    "brackets and commas of metadata": "tuf.canonical:MAX_PARTS",
    "metadata that is not all ASCII": "tuf.canonical:MAX_WIDE",
    "numbers in metadata": "tuf.canonical:MAX_INTEGER",
    "versions": "tuf.fields:MAX_VERSION",
    "signatures of a file": "tuf.envelope:MAX_SIGNATURES",
    "different signatures by one key id that are checked in a file": "tuf.envelope:MAX_TRIES",
    "signatures of delegations that are checked, and of roots": "tuf.trusted:MAX_CHECKS",
    "keys of a role": "tuf.fields:MAX_KEYS",
    "a key with its certificates": "tuf.keys:MAX_KEY",
    "certificates of a key": "tuf.keys:MAX_CERTIFICATES",
    "exponents of RSA keys": "tuf.keys:MAX_RSA_EXPONENT",
    "signatures checked on the way to a pinned authority": "tuf.authorities:MAX_CHECKS",
    "paths of a delegation": "tuf.metadata:MAX_PATHS",
    "delegations loaded": "tuf.trusted:MAX_DELEGATIONS",
    "depth of delegations": "tuf.trusted:MAX_DEPTH",
    "tags with one digest that are judged": "client.verify:MAX_JUDGED",
    "a line or a cell that is shown": "cli.render:MAX_LINE",
    "a key file": "keys.keystore:MAX_FILE",
    "rounds of key derivation": "keys.pbes:MAX_ITERATIONS",
    "docker's configuration": "remote.dockerconfig:CONFIG_LIMIT",
    "a credential helper's answer": "remote.helpers:OUTPUT_LIMIT",
    "a record of a docker daemon": "remote.daemonstream:LINE_LIMIT",
    "all records of a push": "remote.daemonstream:STREAM_LIMIT",
    "a push by a docker daemon": "remote.daemon:PUSH_SECONDS",
}


def number(text: str) -> float:
    """Read `64 KiB`, `2^31 - 1`, `256` or `16 levels` at the beginning of a cell."""
    if power := re.match(r"2\^(\d+)( - 1)?$", text):
        return float(2 ** int(power[1]) - bool(power[2]))
    match = re.match(r"(\d+)(?: (KiB|MiB|levels|s))?\b", text)
    assert match, text
    return float(int(match[1]) * UNITS.get(match[2], 1))


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
def test_limits_are_those_of_the_code(what: str) -> None:
    _, limit, place = LIMITS[what]
    assert number(limit) == value(CONSTANTS[what])
    assert pages.code(place) == CONSTANTS[what].partition(":")[0].replace(".", "/") + ".py"


def test_no_limit_is_left_unchecked() -> None:
    assert list(LIMITS) == list(CONSTANTS)
