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
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.keyfile import LocalSigner
from support import tokenkeys
from support.commands import written
from support.results import KEY, STORED, TARGETS_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient
    from support.tokenkeys import TokenKey

OF_FILE = "encrypted with the passphrase of --passphrase-file\n"
PEM = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"


def test_generating_writes_the_public_half(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.generate"] = (STORED, b"public")
    (home / "keys").mkdir()
    outcome = run("key", "generate", "jeff", "--dir", "keys", "--alg", "rsa").expect(0)
    assert outcome.out == f"generated key {KEY.keyid} (jeff); public key: keys/jeff.pub\n{OF_FILE}"
    assert (home / "keys" / "jeff.pub").read_bytes() == b"public"
    assert stub.calls == [("keys.generate", ("jeff",), {"algorithm": "rsa"})]


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


# -- keys that are elsewhere


@pytest.fixture
def token(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> type[TokenKey]:  # noqa: ARG001 - makes the client the real one
    backend = tokenkeys.provide(monkeypatch)
    backend.keys["token:one"] = LocalSigner(keyfile.generate())
    return backend


def test_adding_notes_where_a_key_is(run: Run, token: type[TokenKey], home: Path) -> None:
    keyid = token.keys["token:one"].public.keyid
    outcome = run("key", "add", "token:one", "--name", "jeff").expect(0)
    assert outcome.out == f"key {keyid} (jeff) stays where it is, and is at token:one\n"
    outcome = run("key", "add", "token:one", "--name", "jeff").expect(0)
    assert outcome.out == f"key {keyid} (jeff) was here already, and is at token:one\n"
    assert run("key", "list").expect(0).out.splitlines()[1].split() == ["jeff", keyid, "token:one"]
    assert [path.name for path in (home / ".docker/trust/private").iterdir()] == [f"{keyid}.ref"]
    assert token.signed == []
    (result,) = run("--json", "key", "list").expect(0).document["results"]
    assert (result["uri"], result["encrypted"]) == ("token:one", False)


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (["jeff.pub"], 2, "does not say where a key is"),
        (["token:one?pin-value=1234"], 2, "no PIN"),
        (["token:one", "--name", "Jeff"], 2, "Jeff"),
        (["clay:one"], 6, "keys at clay:"),
        (["token:none"], 6, "no key at token:none"),
    ],
)
def test_what_cannot_be_added(
    run: Run, token: type[TokenKey], home: Path, argv: list[str], code: int, text: str
) -> None:
    assert text in run("key", "add", *argv).expect(code).err
    assert not list(home.rglob("*.ref"))
    assert token.signed == []


def test_a_key_is_not_added_under_another_name(run: Run, token: type[TokenKey]) -> None:
    keyid = token.keys["token:one"].public.keyid
    run("key", "add", "token:one").expect(0)
    outcome = run("key", "add", "token:one", "--name", "jeff").expect(1)
    assert f"notarypy key rename {keyid[:12]} jeff" in outcome.err


def test_testing_says_what_a_service_says(run: Run, token: type[TokenKey]) -> None:
    keyid = token.keys["token:one"].public.keyid
    run("key", "add", "token:one", "--name", "jeff").expect(0)
    outcome = run("key", "test", "jeff").expect(0)
    assert outcome.out == f"key {keyid} (jeff) signs, and its signature is valid\n  state: enabled\n"
    assert token.signed == ["token:one"]
    token.keys["token:one"] = LocalSigner(keyfile.generate())
    outcome = run("key", "test", "jeff").expect(6)
    assert "[key.changed]" in outcome.err


def test_testing_a_key_file(run: Run, token: type[TokenKey]) -> None:
    run("key", "generate", "jo").expect(0)
    assert "(jo) signs, and its signature is valid\n" in run("key", "test", "jo").expect(0).out
    run("key", "test", "jeff").expect(6)
    assert token.signed == []


@pytest.fixture
def exporting(stub: StubClient) -> StubClient:
    infos = {"jeff": KEY, TARGETS_KEY.keyid[:7]: TARGETS_KEY}
    stub.answers["keys.find"] = lambda key: infos.get(key) or KeyMissingError("none")
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


@pytest.mark.usefixtures("exporting")
@pytest.mark.parametrize("name", ["none/x.pem", "file/x.pem"])
def test_exporting_makes_no_directory(run: Run, home: Path, name: str) -> None:
    (home / "file").write_text("")
    before = sorted(home.rglob("*"))
    outcome = run("key", "export", "jeff", "-o", name).expect(1)
    assert f"the directory {name.partition('/')[0]} does not exist" in outcome.err
    assert sorted(home.rglob("*")) == before
