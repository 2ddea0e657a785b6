"""`key`: private keys and their files."""

from __future__ import annotations

import io
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import KeyMissingError, PassphraseNeededError, UnsupportedKeyError
from notarypy.keys.passphrases import PROMPT
from support.commands import written
from support.results import KEY, STORED, TARGETS_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

OF_FILE = "encrypted with the passphrase of --passphrase-file\n"
PEM = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"


def test_generating_writes_the_public_half(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.generate"] = (STORED, b"public")
    (home / "keys").mkdir()
    outcome = run("key", "generate", "jeff", "--dir", "keys", "--alg", "rsa").expect(0)
    assert outcome.out == f"generated key {KEY.keyid} (jeff); public key: keys/jeff.pub\n{OF_FILE}"
    assert (home / "keys" / "jeff.pub").read_bytes() == b"public"
    assert stub.calls == [("keys.generate", ("jeff",), {"algorithm": "rsa", "uri": None})]


def test_a_role_names_its_file_safely(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.generate"] = (STORED, b"public")
    run("key", "generate", "targets/team/ci").expect(0)
    assert (home / "team_ci.pub").exists()


@pytest.mark.parametrize("name", ["../up", "Jeff", "releases", ""])
def test_a_bad_name_makes_no_key(run: Run, stub: StubClient, name: str) -> None:
    run("key", "generate", name).expect(2)
    assert stub.calls == []


def test_a_public_key_that_exists_stays(run: Run, stub: StubClient, home: Path) -> None:
    written(home / "jeff.pub", "another")
    assert "[local.exists]" in run("key", "generate", "jeff").expect(1).err
    assert stub.calls == []


def test_a_link_that_leads_nowhere_is_in_the_way_too(run: Run, stub: StubClient, home: Path) -> None:
    (home / "jeff.pub").symlink_to("nowhere")
    run("key", "generate", "jeff").expect(1)
    assert stub.calls == []


def test_a_key_that_could_not_be_made_leaves_no_public_half(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.generate"] = PassphraseNeededError("there is no passphrase")
    run("key", "generate", "jeff").expect(6)
    assert not (home / "jeff.pub").exists()


def test_a_directory_that_is_missing(run: Run, stub: StubClient) -> None:
    assert "make the directory" in run("key", "generate", "jeff", "--dir", "none").expect(1).err
    assert stub.calls == []


def test_loading(run: Run, stub: StubClient, home: Path) -> None:
    typed = replace(STORED, role="bob", passphrase_from=PROMPT)
    present = replace(STORED, role="ci", already=True, passphrase_from=None)
    stub.answers["keys.load"] = [STORED, typed, present]
    outcome = run("key", "load", written(home / "k.pem", PEM), "--name", "jeff").expect(0)
    assert outcome.out == (
        f"loaded key {KEY.keyid} (jeff)\n{OF_FILE}"
        f"loaded key {KEY.keyid} (bob)\nencrypted with the passphrase that was typed\n"
        f"key {KEY.keyid} (ci) is here already; it was left as it is, and so was its passphrase\n"
    )
    assert stub.calls == [("keys.load", (PEM,), {"name": "jeff"})]


def test_loading_from_standard_input(run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.answers["keys.load"] = [STORED]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PEM)))
    run("key", "load", "-").expect(0)
    assert stub.calls == [("keys.load", (PEM,), {"name": None})]


def test_loading_what_is_no_key(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.load"] = UnsupportedKeyError("junk")
    run("key", "load", written(home / "k.pem", "junk")).expect(6)
    run("key", "load", "missing").expect(2)


def test_listing(run: Run, stub: StubClient) -> None:
    stub.answers["keys.list"] = [KEY, TARGETS_KEY]
    lines = run("key", "list").expect(0).out.splitlines()
    assert [line.split() for line in lines] == [
        ["ROLE", "GUN", "KEY", "ID", "LOCATION"],
        ["jeff", KEY.keyid, "/trust/private/f5.key"],
        ["targets", "registry.test/app", TARGETS_KEY.keyid, "/trust/private/cc.key"],
    ]
    stub.answers["keys.list"] = []
    outcome = run("key", "list").expect(0)
    assert (outcome.out, outcome.err) == ("", "notarypy: warning: no keys in /trust\n")


@pytest.fixture
def exporting(stub: StubClient) -> StubClient:
    infos = {"jeff": KEY, TARGETS_KEY.keyid[:7]: TARGETS_KEY}
    stub.answers["keys.find"] = lambda key, **_: infos.get(key) or KeyMissingError("none")
    stub.answers["keys.export"] = lambda keys: f"PEM of {keys[0][:3]}\n".encode()
    return stub


@pytest.mark.usefixtures("exporting")
def test_exporting_prints_the_keys(run: Run) -> None:
    assert run("key", "export", "jeff", "ccccccc").expect(0).out == "PEM of f5a\nPEM of ccc\n"
    results = run("--json", "key", "export", "jeff").expect(0).document["results"]
    assert [(result["ref"], result["pem"]) for result in results] == [("jeff", "PEM of f5a\n")]


@pytest.mark.usefixtures("exporting")
def test_exporting_is_all_or_nothing(run: Run, home: Path) -> None:
    assert run("key", "export", "jeff", "bob").expect(6).out == ""
    run("key", "export", "jeff", "bob", "-o", "out.pem").expect(6)
    assert not (home / "out.pem").exists()


@pytest.mark.usefixtures("exporting")
def test_exporting_to_a_file(run: Run, home: Path) -> None:
    assert run("key", "export", "jeff", "-o", "out.pem").expect(0).out == ""
    path = home / "out.pem"
    assert path.read_text() == "PEM of f5a\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("precious")
    run("key", "export", "jeff", "-o", "out.pem").expect(2)
    assert path.read_text() == "precious"
    run("key", "export", "jeff", "-o", "out.pem", "--yes").expect(0)
    assert path.read_text() == "PEM of f5a\n"


def test_all_keys_are_not_all_if_one_is_damaged(run: Run, home: Path) -> None:
    for name in ("jeff", "bob"):
        run("key", "generate", name).expect(0)
    private = home / ".docker" / "trust" / "private"
    one, other = sorted(private.iterdir())
    before = one.read_bytes()
    refused = run("key", "export", "--all", "-o", str(other), "--yes").expect(2)
    assert "is inside of the trust directory" in refused.err
    other.write_bytes(b"")
    outcome = run("-q", "key", "export", "--all", "-o", "all.pem").expect(6)
    assert other.name in outcome.err
    assert not (home / "all.pem").exists()
    assert (one.read_bytes(), other.read_bytes()) == (before, b"")


@pytest.mark.usefixtures("exporting")
@pytest.mark.parametrize("name", ["none/x.pem", "file/x.pem"])
def test_exporting_makes_no_directory(run: Run, home: Path, name: str) -> None:
    (home / "file").write_text("")
    before = sorted(home.rglob("*"))
    outcome = run("key", "export", "jeff", "-o", name).expect(1)
    assert f"the directory {name.partition('/')[0]} does not exist" in outcome.err
    assert sorted(home.rglob("*")) == before
