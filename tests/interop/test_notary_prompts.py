"""Passphrases that are typed: the same questions as from Go's notary, as often, at a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from interop.harness import programs
from notarypy.keys.signers import keyfile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from interop.harness.services import Endpoint

GOOD, OTHER = "long enough 1", "long enough 2"
GENERATE = ("key", "generate", "-r")
_PATIENCE, _UNTIL_ECHO_IS_OFF = 60, 0.05
_LAST_WORD = re.compile(rb": $|\(yes/no\)\s*$")


def typed(argv: Sequence[str], home: Path, answers: Sequence[str]) -> tuple[int, list[str]]:
    """Run a program at a terminal, type an answer to each question; return its code and what was shown.

    Ids of keys are left out of that.
    """
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [programs.find(argv[0]), *argv[1:]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"HOME": str(home), "PATH": programs.SEARCH_PATH, "TERM": "dumb"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    shown, left, asked = b"", list(answers), 0
    while select.select([terminal], [], [], _PATIENCE)[0]:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # it has ended
            break
        shown += read
        if left and len(shown) > asked and _LAST_WORD.search(shown):
            time.sleep(_UNTIL_ECHO_IS_OFF)
            os.write(terminal, left.pop(0).encode() + b"\n")
            asked = len(shown)
    code = process.wait(timeout=_PATIENCE)
    os.close(terminal)
    text = re.sub(r"[0-9a-f]{64}|[0-9a-f]{7}(?=:|\b)", "ID", shown.decode().replace("\r\n", "\n"))
    return code, text.splitlines()


@pytest.mark.parametrize(
    "answers",
    [
        [GOOD, GOOD],
        ["short", "", GOOD, OTHER, GOOD, GOOD],
        [f"  {GOOD} ", GOOD],
    ],
)
@pytest.mark.parametrize("role", ["targets/jeff", "snapshot"])
def test_a_new_passphrase_is_asked_for_as_by_go(tmp_path: Path, role: str, answers: list[str]) -> None:
    gos, ours = tmp_path / "gos", tmp_path / "ours"
    gos.mkdir()
    ours.mkdir()
    expected = typed(["notary", *GENERATE, role], gos, answers)
    assert expected[0] == 0, expected
    found = typed(["notarypy", "notary", *GENERATE, role], ours, answers)
    assert found == expected
    for home in (gos, ours):  # and what was typed is it, for both
        [key] = (home / ".notary" / "private").iterdir()
        word = answers[-1].strip()
        code, shown = typed(["notary", "key", "passwd", key.stem], home, [word, OTHER, OTHER])
        assert code == 0, shown


ROOT, TARGETS, SNAPSHOT = "the root key 1", "the targets key 1", "the snapshot key 1"
NEW_ROOT, NEW_TARGETS, NEW_SNAPSHOT = "the root key 2", "the targets key 2", "the snapshot key 2"
DIALOGUES: list[tuple[str, list[str]]] = [
    ("init {gun}", [ROOT, ROOT, TARGETS, TARGETS, SNAPSHOT, SNAPSHOT]),
    ("add {gun} v1 {file}", []),
    ("publish {gun}", [TARGETS, SNAPSHOT]),
    ("remove {gun} v1 -p", ["not this one", TARGETS, SNAPSHOT]),
    ("key rotate {gun} root", ["yes", NEW_ROOT, NEW_ROOT, ROOT, SNAPSHOT]),
    ("key rotate {gun} targets", [NEW_TARGETS, NEW_TARGETS, NEW_ROOT, SNAPSHOT]),
    ("key rotate {gun} snapshot", [NEW_SNAPSHOT, NEW_SNAPSHOT, NEW_ROOT]),
    ("key rotate {gun} timestamp -r", [NEW_ROOT, NEW_SNAPSHOT]),
    ("key rotate {gun} root", ["yes", NEW_ROOT, NEW_ROOT, NEW_SNAPSHOT]),  # the old one has the same
    ("key rotate {gun} snapshot -r", [NEW_ROOT]),
    ("add {gun} v2 {file} -p", [NEW_TARGETS]),
]
_OF_DIALOGUE = re.compile(r"(?:Enter|Repeat) passphrase|Passphrase|Success|yes/no")


def test_whole_dialogues_are_as_with_go(tmp_path: Path, notary: Endpoint) -> None:
    said = []
    for program, name in ((["notary"], "gos"), (["notarypy", "notary"], "own")):
        home = tmp_path / name
        (home / ".notary").mkdir(parents=True, mode=0o700)
        (home / "file").write_text("hello\n")
        remote = {"url": notary.url, "root_ca": str(notary.ca)}
        (home / ".notary" / "config.json").write_text(json.dumps({"remote_server": remote}))
        for line, answers in DIALOGUES:
            words = line.format(gun=f"example.com/{tmp_path.name}/{name}", file=home / "file").split()
            code, shown = typed([*program, *words], home, answers)
            said.append((line, code, [text for text in shown if _OF_DIALOGUE.search(text)]))
    half = len(DIALOGUES)
    assert [(line, code) for line, code, _ in said[:half]] == [(line, 0) for line, _ in DIALOGUES]
    alike = [(line, code, [text.replace("/own", "/gos") for text in texts]) for line, code, texts in said]
    assert alike[half:] == alike[:half]


def test_a_root_key_has_a_warning_in_our_words_and_the_same_questions(tmp_path: Path) -> None:
    found = typed(["notarypy", "notary", "key", "generate"], tmp_path, [GOOD, GOOD])
    assert found[0] == 0
    questions = [line for line in found[1] if "assphrase for" in line]
    assert questions == [
        "Enter passphrase for new root key with ID ID: ",
        "Repeat passphrase for new root key with ID ID: ",
    ]


def test_a_wrong_passphrase_is_asked_for_as_often_as_by_go(tmp_path: Path) -> None:
    for home in (tmp_path / "gos", tmp_path / "ours"):
        home.mkdir()
        assert typed(["notary", *GENERATE, "jeff"], home, [GOOD, GOOD])[0] == 0
    counts = []
    for program, name in ((["notary"], "gos"), (["notarypy", "notary"], "ours")):
        [key] = (tmp_path / name / ".notary" / "private").iterdir()
        code, shown = typed([*program, "key", "passwd", key.stem], tmp_path / name, ["wrong word"] * 9)
        assert code != 0
        counts.append([line for line in shown if "passphrase" in line or "Passphrase" in line][:8])
    assert counts[0][:7] == counts[1][:7]
    assert sum(line.startswith("Enter passphrase for jeff key") for line in counts[1]) == 4
    fix = "  fix: type the passphrase that this key was made with, or set NOTARY_DELEGATION_PASSPHRASE"
    assert shown[-1] == fix


def test_a_key_of_somebody_else_is_stored_under_a_passphrase_of_ones_own(tmp_path: Path) -> None:
    encrypted = BestAvailableEncryption(b"abc")
    data = keyfile.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted)
    (tmp_path / "theirs.pem").write_bytes(data)
    words = ["notarypy", "notary", "key", "import", str(tmp_path / "theirs.pem"), "-r", "jeff"]
    code, shown = typed(words, tmp_path, ["abc", "abc", GOOD, GOOD])
    assert code == 0, shown
    assert [line.partition(". ")[0] for line in shown if "assphrase" in line] == [
        "Enter passphrase for jeff key: ",
        "Enter passphrase for new jeff key with ID ID: ",
        "Passphrase is too short",
        "Enter passphrase for new jeff key with ID ID: ",
        "Repeat passphrase for new jeff key with ID ID: ",
    ]
    [key] = (tmp_path / ".notary" / "private").glob("*.key")
    code, shown = typed(["notary", "key", "passwd", key.stem], tmp_path, [GOOD, OTHER, OTHER])
    assert code == 0, shown


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    done = programs.run(
        ["notarypy", "notary", *GENERATE, "jeff"], environment, text=f"{GOOD}\n{GOOD}\n"
    ).expect(6)
    assert done.stdout == ""
    assert done.stderr.splitlines()[0].endswith("maximum number of passphrase attempts exceeded")
    assert done.stderr.splitlines()[-1] == "  fix: set NOTARY_DELEGATION_PASSPHRASE"
