"""The recovery sheet: what is on it, and that its codes can be read back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import zxingcpp

from notarypy.cli.text import recoverysheet
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.keys.formats import pem
from notarypy.values import replace
from support.results import BACKED_UP, PIN, REPO

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

REAL = f"{REGISTRY_HOST}/team/app"
_DRAWN = re.compile(r'viewBox="0 0 (\d+) \1".*?<path class="qrline"[^>]* d="([^"]*)"', re.DOTALL)
_SCALE = 4


def codes(page: str) -> list[str]:
    """Return what the codes of a page say, read as a telephone reads them: as black and white dots."""
    found = []
    for size, path in _DRAWN.findall(page):
        width = int(size)
        dark, x, y = set[tuple[int, int]](), 0.0, 0.0
        for step, values in re.findall(r"([Mmh])([-\d. ]+)", path):
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", values)]
            if step == "h":
                dark |= {(int(x) + at, int(y)) for at in range(int(numbers[0]))}
                x += numbers[0]
            else:
                x, y = (numbers[0], numbers[1]) if step == "M" else (x + numbers[0], y + numbers[1])
        side = width * _SCALE
        places = [(row // _SCALE, column // _SCALE) for row in range(side) for column in range(side)]
        dots = bytes(0 if (column, row) in dark else 255 for row, column in places)
        (code,) = zxingcpp.read_barcodes(memoryview(dots).cast("B", shape=[side, side]))
        found.append(code.text)
    return found


def text_of(path: Path) -> str:
    """Return a page without the places where a browser may break a line."""
    return path.read_text().replace("<wbr>", "")


def test_the_page_says_what_it_takes(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["upkeep.backup"] = BACKED_UP
    assert (
        run("backup", "b.tar", "--sheet", "sheet.html")
        .expect(0)
        .out.endswith("kept apart from it: sheet.html\n")
    )
    page = text_of(home / "sheet.html")
    assert (home / "sheet.html").stat().st_mode & 0o777 == 0o600
    for each in BACKED_UP.keys:
        assert each.keyid in page
    assert "token:root" in page
    for text in (REPO, PIN, "https://n.test", "/etc/ca.pem", "other.toml", BACKED_UP.sha256):
        assert text in page
    assert "export DOCKER_CONTENT_TRUST_SERVER=https://n.test" in page
    assert "--config ~/.config/notarypy/other.toml" in page
    assert "tar -xf backup.tar notarypy-backup-1/elsewhere/etc/ca.pem" in page
    steps = re.findall("<code><bdi[^>]*>(notarypy .*?|sha256sum .*?)</bdi></code>", page)
    assert steps[:3] == [
        "sha256sum backup.tar",
        "notarypy restore --dry-run backup.tar",
        f"notarypy restore --sha256 {BACKED_UP.sha256} backup.tar",
    ]
    assert codes(page) == [BACKED_UP.sha256, PIN]


def test_it_is_one_file_that_asks_nobody(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["upkeep.backup"] = BACKED_UP
    run("backup", "b.tar", "--sheet", "sheet.html").expect(0)
    page = text_of(home / "sheet.html")
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<img|src=|url\(|@import|href=", page)


def test_hostile_names_are_text(run: Run, stub: StubClient, home: Path) -> None:
    name = "<script>alert(1)</script>\u202e&"
    hostile = replace(BACKED_UP, path=f"/{name}.tar", settings=(name,), left_out=(name,))
    stub.answers["upkeep.backup"] = hostile
    run("backup", "b.tar", "--sheet", "sheet.html").expect(0)
    page = text_of(home / "sheet.html")
    assert "<script" not in page
    assert "\u202e" not in page


def test_many_pins_are_no_codes(run: Run, stub: StubClient, home: Path) -> None:
    (one,) = BACKED_UP.repositories
    several = tuple(replace(one, root_pins=(str(number) * 64,)) for number in range(4))
    stub.answers["upkeep.backup"] = replace(BACKED_UP, repositories=several)
    run("backup", "b.tar", "--sheet", "sheet.html").expect(0)
    assert codes(text_of(home / "sheet.html")) == [BACKED_UP.sha256]


def test_without_segno_there_are_no_codes(
    run: Run, stub: StubClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoverysheet, "find_spec", lambda _: None)
    stub.answers["upkeep.backup"] = BACKED_UP
    assert "no QR codes" in run("backup", "b.tar", "--sheet", "sheet.html").expect(0).err
    page = text_of(home / "sheet.html")
    assert BACKED_UP.sha256 in page
    assert "<svg" not in page
    stub.answers["upkeep.backed_up_key"] = ("b" * 64, b"")
    assert "[sheet]" in run("backup", "b.tar", "--sheet", "a.html", "--sheet-key", "jeff").expect(6).err


def test_a_key_is_on_it_by_wish_alone_and_encrypted(
    run: Run, fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)
    assert fake is not None
    run("init", REAL).expect(0)
    run("backup", "b.tar", "--sheet", "without.html").expect(0)
    assert "PRIVATE KEY" not in text_of(home / "without.html")
    run("backup", "--check", "b.tar", "--sheet", "with.html", "--sheet-key", "root").expect(0)
    page = text_of(home / "with.html")
    (block,) = pem.split(codes(page)[-1].encode())
    assert block.encrypted
    assert (block.role, len(block.path or "")) == ("root", 64)
    assert all(line in page for line in codes(page)[-1].splitlines())
    (home / "scanned.pem").write_text(codes(page)[-1])
    run("key", "import", "--trust-dir", "new", "scanned.pem").expect(0)
    assert "passphrase of tests" not in page
    for word in ("nobody", "r"):
        run("backup", "--check", "b.tar", "--sheet", "other.html", "--sheet-key", word).expect(6)
    assert not (home / "other.html").exists()


def test_a_key_that_no_telephone_reads_is_not_on_it(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["upkeep.backup"] = BACKED_UP
    stub.answers["upkeep.backed_up_key"] = ("b" * 64, b"x" * 1201)
    assert "too long" in run("backup", "b.tar", "--sheet", "s.html", "--sheet-key", "jeff").expect(2).err
    assert not (home / "s.html").exists()


@pytest.mark.parametrize(
    ("words", "code"), [(("--sheet-key", "jeff"), 2), (("--sheet", "no/such/folder.html"), 1)]
)
@pytest.mark.usefixtures("stub")
def test_what_cannot_be_written_is_said_first(run: Run, words: tuple[str, ...], code: int) -> None:
    run("backup", "b.tar", *words).expect(code)


def test_a_page_is_overwritten_by_a_yes_alone(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["upkeep.backup"] = BACKED_UP
    (home / "sheet.html").write_text("other")
    run("backup", "b.tar", "--sheet", "sheet.html").expect(2)
    assert text_of(home / "sheet.html") == "other"
    run("backup", "--yes", "b.tar", "--sheet", "sheet.html").expect(0)
