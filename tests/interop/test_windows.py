"""Commands of notarypy with Python for Windows, on Wine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from interop.harness.once import Once

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CHECKOUT = Path(__file__).parents[2]
WINDOWS = Path(sys.prefix, "servers", "windows")
PROGRAM = Path(__file__).parent / "harness" / "windows.py"
# Commands that end otherwise, and how: without trust data, without a docker daemon, and what Windows lacks.
ENDINGS = {"verify localhost:PORT/app:1": [3, 0], "sign --local localhost:PORT/app:1": [8]}
ENDINGS |= {"install-plugin": [2], "serve --listen unix:socket --policy policy.toml": [2]}
ENDINGS |= {"migrate report localhost:PORT/app -o migration.html": [3]}
OF_DEVICES = {"verify localhost:PORT/nul:1": [2], "inspect localhost:PORT/team/aux.1": [2]}
OF_DEVICES |= {
    "init localhost:PORT/con": [2],
    "key generate prn": [1],
    "report localhost:PORT/app -o com1.html": [1],
}
ENDINGS |= OF_DEVICES
# Packages of extras, which the image does not have.
EXTRAS = {"azure", "botocore", "google", "keyring", "nacl", "pkcs11", "segno", "yaml"}


def drive(path: Path) -> str:
    """Return what Wine calls a path."""
    return "Z:" + str(path).replace("/", "\\")


def run(place: Path) -> None:
    (place / "home").mkdir()
    environment = {"PATH": os.defpath, "HOME": str(place), "WINEPREFIX": str(place / "wine")}
    environment |= {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "PYTHONUTF8": "1"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    wine, python = str(WINDOWS / "usr/lib/wine/wine64"), str(WINDOWS / "cp313" / "python.exe")
    words = [drive(PROGRAM), drive(CHECKOUT), drive(place / "home")]
    pipes: dict[str, Any] = {"input": b"", "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    own = place / "wine" / "drive_c" / "windows" / "system32"
    own.mkdir(parents=True)
    shutil.copy(WINDOWS / "usr" / "x86_64-w64-mingw32" / "lib" / "zlib1.dll", own)
    for argv in ([wine, "wineboot", "-i"], [wine, python, *words]):
        done = subprocess.run(argv, env=environment, check=False, timeout=300, **pipes)
    text = done.stdout.decode()
    assert done.returncode == 0, text
    (place / "said").write_text(text)


@pytest.fixture(scope="module")
def said(once: Once) -> list[dict[str, Any]]:
    text = (once.made("windows", run) / "said").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def one(said: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    return next(each for each in reversed(said) if each["what"].startswith(beginning))


def test_every_module_can_be_imported(said: list[dict[str, Any]]) -> None:
    assert [each for each in said if each["what"] == "failure"] == []
    assert {each["name"].partition(".")[0] for each in said if each["what"] == "lacking"} <= EXTRAS


def test_commands_do_what_they_do_elsewhere(said: list[dict[str, Any]]) -> None:
    ended: dict[str, list[int]] = {}
    for each in said:
        if "code" in each:
            words = re.sub(r"localhost:[0-9]+", "localhost:PORT", each["what"])
            ended.setdefault(words, []).append(each["code"])
            assert "defect" not in each["err"], each
    assert len(ended) > 40
    unlike = {words: codes for words, codes in ended.items() if codes != ENDINGS.get(words, [0] * len(codes))}
    assert unlike == {}, said


def test_what_windows_has_for_something_else_is_said(said: list[dict[str, Any]]) -> None:
    for words in OF_DEVICES:
        found = next(
            each for each in said if re.sub(r"localhost:[0-9]+", "localhost:PORT", each["what"]) == words
        )
        assert "is the name of a device in Windows" in found["err"]
    assert "prn" not in one(said, "key list")["out"]
    assert "no unix sockets" in one(said, "serve --listen unix:socket")["err"]


def test_a_service_answers_over_tcp(said: list[dict[str, Any]]) -> None:
    (result,) = one(said, "served")["answer"]["results"]
    assert result["ok"] is True


def test_lines_end_as_elsewhere(said: list[dict[str, Any]]) -> None:
    assert all("\r" not in each["out"] for each in said if "code" in each)
    assert one(said, "pinned")["text"].endswith("\r\nRUN true\r\n")  # but for those of a person's own file


def test_files_are_called_as_windows_allows(said: list[dict[str, Any]]) -> None:
    listed = one(said, "status")["out"].splitlines()[0]
    assert listed.startswith("localhost:")
    assert listed.endswith("/app")
    assert "chmod" not in one(said, "doctor")["out"]


def test_several_may_use_one_trust_directory(said: list[dict[str, Any]]) -> None:
    assert one(said, "side by side")["errors"] == []
