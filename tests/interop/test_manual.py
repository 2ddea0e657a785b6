"""Programs that show manuals find nothing to complain about, and show what is there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from support.sources import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pages, where `man` looks for them."""
    folder = tmp_path_factory.mktemp("share") / "man" / "man1"
    script = str(PACKAGE.parent / "scripts" / "manpages")
    subprocess.run([sys.executable, script, str(folder)], check=True, timeout=60)
    return folder


def shown(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": programs.SEARCH_PATH, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        list(map(str, words)), env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_is_wrong_with_a_page(manual: Path) -> None:
    files = sorted(manual.iterdir())
    assert len(files) > 50
    groff = shown("groff", "-ww", "-man", "-Tutf8", "-z", *files)
    assert (groff.stderr, groff.returncode) == ("", 0)
    lint = shown("mandoc", "-Tlint", "-W", "warning", *files)
    # Whoever builds a page again gets the same bytes, so it has no date.
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []


def test_apropos_finds_a_page(manual: Path) -> None:
    found = shown("lexgrog", *sorted(manual.iterdir()))
    assert found.returncode == 0
    assert '"notarypy-sign - sign tags with the digests that their registry serves"' in found.stdout


def test_man_finds_the_page_of_a_command(manual: Path) -> None:
    command = shown("man", "--warnings", "-M", manual.parent, "notarypy", "sign")
    assert "notarypy sign [OPTIONS] [REF... | FILE...]" in command.stdout
    page = shown("man", "--warnings", "-M", manual.parent, "notarypy-key-generate")
    assert (page.stderr, page.returncode) == ("", 0)
    assert "notarypy key generate [OPTIONS] NAME" in page.stdout
    assert "--alg ecdsa|rsa" in page.stdout
    assert max(map(len, page.stdout.splitlines())) <= 80
