"""`scripts/make-fixtures` still makes what lies in `fixtures/go`, up to keys and dates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interop.harness import fixtures

CHECKED_IN = Path(__file__).parents[2] / "fixtures" / "go"
SERVED = sorted(path.parent.name for path in CHECKED_IN.glob("*/server"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fixtures") / "go"
    fixtures.make(directory)
    return directory


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def signed(directory: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / "server" / name).read_bytes())["signed"]
    return document


@pytest.mark.parametrize("name", SERVED)
def test_the_same_files_are_served(made: Path, name: str) -> None:
    assert files(made / name / "server") == files(CHECKED_IN / name / "server")


@pytest.mark.parametrize("name", SERVED)
def test_the_same_targets_are_signed(made: Path, name: str) -> None:
    for path in files(CHECKED_IN / name / "server"):
        ours, theirs = signed(made / name, path), signed(CHECKED_IN / name, path)
        assert sorted(ours) == sorted(theirs)
        assert list(ours.get("targets") or {}) == list(theirs.get("targets") or {})


def test_the_same_kinds_of_changes_are_staged(made: Path) -> None:
    def kinds(directory: Path) -> set[tuple[str, str]]:
        documents = [json.loads(path.read_bytes()) for path in directory.glob("*.change")]
        return {(document["action"], document["type"]) for document in documents}

    assert kinds(made / "changelist") == kinds(CHECKED_IN / "changelist")
