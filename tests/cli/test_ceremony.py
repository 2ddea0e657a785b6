"""A root of two people on the command line, each with a trust directory of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Outcome, Run

REPO = f"{REGISTRY_HOST}/admin/root"


class Table:
    """What Alice and Bob type."""

    def __init__(self, run: Run, home: Path) -> None:
        self.run, self.home, self.part = run, home, home / "root.part"
        for name in ("alice", "bob"):
            self.by(name, "key", "certify", REPO, "-o", self.crt(name)).expect(0)

    def crt(self, name: str) -> Path:
        return self.home / f"{name}.crt"

    def by(self, name: str, *argv: str | Path) -> Outcome:
        return self.run("-d", self.home / name, *argv)

    def init(self) -> Outcome:
        certificates = ("--root-cert", self.crt("alice"), "--root-cert", self.crt("bob"))
        words: list[str | Path] = [*certificates, "--root-threshold", "2"]
        return self.by("alice", "init", *words, "--offline-part", self.part, REPO)


@pytest.fixture
def table(run: Run, fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)
    fake.requests.clear()
    return Table(run, home)


def test_each_command_says_what_comes_next(table: Table, fake: Fake) -> None:
    assert fake.requests == []
    made = table.init().expect(0)
    assert "built on nothing: it is the first root of this repository" in made.out
    sign = f"notarypy sign --offline-part {table.part}"
    assert made.out.endswith(f"next, where one of the other keys is: {sign}\n")
    assert "exists" in table.init().expect(1).err
    refused = table.by("alice", "sign", "--join", table.part).expect(6)
    assert f"notarypy sign --offline-part {table.part}" in refused.err
    signed = table.by("bob", "sign", "-y", "--offline", "--offline-part", table.part).expect(0)
    assert signed.out.endswith(f"next, to publish it: notarypy sign --join {table.part}\n")
    again = table.by("bob", "sign", "-y", "--offline-part", table.part).expect(6)
    assert f"nothing is missing; publish it: notarypy sign --join {table.part}" in again.err
    done = table.by("bob", "sign", "--join", table.part).expect(0)
    assert "published root, targets of" in done.out
    assert done.out.endswith("2 of these 2 root keys sign a root\n")
    assert "has it already" in table.by("bob", "sign", "--join", table.part).expect(0).out


def test_a_rotation_and_a_renewal_go_from_hand_to_hand(table: Table) -> None:
    table.init().expect(0)
    table.by("bob", "sign", "-y", "--join", table.part).expect(0)
    assert "1 of 2" in table.by("alice", "status", REPO).expect(0).out
    assert "--offline-part FILE" in table.by("alice", "key", "rotate", "-y", REPO, "targets").expect(6).err
    lower, dates = table.home / "lower.part", table.home / "dates.part"
    made = table.by("alice", "key", "rotate", REPO, "root", "--threshold", "1", "--offline-part", lower)
    assert "    ~ threshold of root: 2 -> 1 (LOWER: fewer keys will be enough)\n" in made.expect(0).out
    table.by("bob", "sign", "-y", "--join", lower).expect(0)
    table.by("alice", "renew", "--role", "root", "--offline-part", dates, REPO).expect(0)
    assert "published root of" in table.by("nobody", "sign", "--join", dates).expect(0).out
