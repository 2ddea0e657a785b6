"""A line of a script, run by Go notary and by ours, and where the two differ.

What it is: both sides, what is compared after each line, and the files that lines are about. What it is not:
one side alone (`gosides`), and the script (`goscript`). Rules:

1. Go notary prints errors on stdout, and with some of them all its help. What it printed before counts.
2. Where a line does not say that the two differ, they must not; where it does, they must.
3. A line that ends badly must end with the same code of ours, and with any but 0 of Go notary's.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop.harness import gokeys
from interop.harness.goscript import ASKED, parsed
from interop.harness.gosides import Side, State, go_notary
from interop.harness.people import REPOSITORY_PASSPHRASE
from interop.harness.programs import openssl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.goscript import Line
    from interop.harness.gosides import Started
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

FATAL = "\n* fatal: "


@dataclass(frozen=True)
class Outcome:
    """What a line did on one side, as it is compared; `asked` is looked at only where a line says so."""

    run: Run
    said: dict[str, Any]
    asked: dict[str, Any]


def outcome(side: Side, line: Line, *, go: bool) -> Outcome:
    """Run a line on one side, and look at what it did."""
    words = tuple(side.filled(word) for word in line.words)
    before, run = side.last, side.run(line)
    now = side.last = side.look(words, before)
    about = [short for short, name in side.names.items() if name in words]
    printed, fatal = _go_error(run) if go else _our_error(run)
    said = {
        "stdout": side.plain(printed.rstrip("\n") if run.code else printed),
        "code": run.code != 0,
        "error": side.plain(fatal),
        "staged": {short: now.staged[short] for short in about},
        "metadata": {short: [_steps(before, now, short), now.metadata[short]] for short in about},
        "keys": [_beyond(now.keys, before.keys), _beyond(before.keys, now.keys)],
        "files": [
            {name: text for name, text in now.files.items() if before.files.get(name) != text},
            sorted(before.files.keys() - now.files.keys()),
        ],
    }
    asked = {
        "stderr": side.plain(run.stderr),
        "stream": "* fatal: " in run.stdout,
        "exit": run.code,
        "reasons": "\n  why: " in run.stderr or "\n  fix: " in run.stderr,
        "help": side.plain(run.stdout),
        "cached": side.cached(),
    }
    return Outcome(run, said, asked)


def _beyond(keys: dict[str, str], others: dict[str, str]) -> list[str]:
    """Return what keys are called that are not among the others, or are called so now."""
    return sorted(name for keyid, name in keys.items() if others.get(keyid) != name)


def _steps(before: State, now: State, short: str) -> dict[str, int]:
    """Return by how much versions of a repository went up, of what is there now."""
    known = before.versions.get(short, {})
    return {role: version - known.get(role, 0) for role, version in now.versions[short].items()}


def _go_error(run: Run) -> tuple[str, str]:
    """Return what Go notary printed but an error, and the error (rule 1)."""
    printed, fatal, text = run.stdout.partition(FATAL)
    if not fatal:
        printed, fatal, text = run.stdout.partition(FATAL[1:])
    if run.code and "Usage:\n" in printed:
        printed = printed.partition("Usage:\n")[0]
    return printed, text.rstrip("\n")


def _our_error(run: Run) -> tuple[str, str]:
    match = re.search(r"^\* fatal: (.*?)(?=\n  (?:why|fix): |\n*\Z)", run.stderr, re.MULTILINE | re.DOTALL)
    return run.stdout, match[1] if match else ""


@dataclass
class Pair:
    """Both sides, and what they do line by line."""

    go: Side
    ours: Side

    def run(self, line: Line) -> str:
        """Run a line of a script on both sides; return what is wrong with how they differ, if anything is."""
        if not line.is_command:
            self._prepare(line)
            return ""
        theirs, ours = outcome(self.go, line, go=True), outcome(self.ours, line, go=False)
        found = {respect for respect in theirs.said if theirs.said[respect] != ours.said[respect]}
        if "code" in found:
            found -= {"error"}  # as only one has an error
        asked = {name for name in line.respects & ASKED if theirs.asked[name] != ours.asked[name]}
        complaints = []
        if ours.run.code != line.code:
            complaints.append(f"ours ends with {ours.run.code}, not {line.code}")
        complaints += [
            f"they differ in {respect}:\n{_differences(theirs.said[respect], ours.said[respect])}"
            for respect in sorted(found - line.respects)
        ]
        complaints += [
            f"they do not differ in {respect}" for respect in sorted(line.respects - found - asked)
        ]
        if not complaints:
            return ""
        return "\n".join((f"line {line.number}: {line.source}", *complaints, str(theirs.run), str(ours.run)))

    def _prepare(self, line: Line) -> None:
        """Do what only one of them does, or what is done to both (`goscript`: 3)."""
        sides = {"go": [self.go], "ours": [self.ours]}.get(line.only, [self.go, self.ours])
        for side in sides:
            if line.words[0] == "!":
                _change(side.home, *map(side.filled, line.words[1:]))
                side.last = side.look((), side.last)
                continue
            words = [side.filled(word) for word in line.words]
            done = side.run(line, go_notary if line.only == "both" else None)
            assert done.code == line.code, done
            side.last = side.look(words, side.last)


def _differences(theirs: object, ours: object) -> str:
    before, after = (
        (value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)).splitlines()
        for value in (theirs, ours)
    )
    return "\n".join(difflib.unified_diff(before, after, "Go", "ours", n=1, lineterm=""))


def _change(home: Path, what: str, name: str, *rest: str) -> None:
    """Change a home as a script says."""
    if what == "write":
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(" ".join(rest) + "\n")
    elif what == "forget":  # the keys of a repository
        for path in (home / ".notary" / "private").glob("*.key"):
            if f"\ngun: {name}\n" in path.read_text():
                path.unlink()
    elif what == "copy":
        shutil.copy(home / name, home / rest[0])
    else:
        assert what == "remove", what
        (home / name).unlink()


def staged_by_go(side: Side, source: str) -> Run:
    """Let Go notary run a line on either side."""
    return side.run(parsed(source), go_notary)


@contextlib.contextmanager
def pair(folder: Path, server: Endpoint, name: str, run: Started) -> Iterator[Pair]:
    """Yield two people with the same files, whose repositories have names of one length.

    They are short, as tables shorten long ones.
    """
    name = hashlib.sha256(name.encode()).hexdigest()[:8]
    shared = folder / "shared"
    shared.mkdir(parents=True)
    furnish(shared)
    ids = gokeys.ids(shared)
    sides = []
    for short, program in (("g", go_notary), ("o", run)):
        home = folder / short
        shutil.copytree(shared, home)
        names = {upper: f"localhost/{name}{short}/{upper.lower()}" for upper in "RSTUXYZ"}
        names["L"] = f"localhost/{name}{short}/a-name-that-tables-shorten"
        side = Side(home, server, names, program, ids)
        (home / "config2.json").write_text((side.trust_dir / "config.json").read_text())
        side.last = side.look(names.values(), State())
        sides.append(side)
    try:
        yield Pair(*sides)
    finally:
        for side in sides:
            side.close()


def furnish(home: Path) -> None:
    """Write the files that lines of scripts are about."""
    texts = {"hello": "hello\n", "two": "two words\n", "empty": "", "custom.json": '{"a":1}'}
    texts |= {"bad.json": "not json", "loose.json": '{"b": 2, "a": "<x>"}\n', "broken.json": "{"}
    for name, text in texts.items():
        (home / name).write_text(text)
    for name in ("jo", "jeff", "pam", "rsa"):
        gokeys.make(home, name, rsa=name == "rsa")
    locked = ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1", "-passout", f"pass:{REPOSITORY_PASSPHRASE}")
    openssl("pkcs8", "-topk8", "-in", home / "pam.key", *locked, "-out", home / "locked.key")
