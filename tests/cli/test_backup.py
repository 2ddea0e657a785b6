"""`notarypy backup` and `notarypy restore`, with scripted answers and with the real client."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.client.backup.making import CheckedBackup
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import KeyAccessError, PassphraseWrongError, SignatureError
from notarypy.values import replace
from support.results import BACKED_UP, PIN, REPO, RESTORED
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/notarypy.json").read_text())
REAL = f"{REGISTRY_HOST}/team/app"


# -- what is said


def test_a_backup_says_what_is_in_it_and_what_is_not(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.backup"] = BACKED_UP
    outcome = run("backup", "b 1.tar").expect(0)
    assert outcome.out == (
        "wrote b 1.tar: 2 keys, 1 key elsewhere, 1 repository, 1 file of settings\n"
        f"  SHA-256: {'0' * 64}\n"
        "  made 2027-01-02T03:04:05Z of /trust\n"
        f"  key {'b' * 64} (jeff)\n"
        f"  key {'c' * 64} (targets of {REPO})\n"
        f"  key {'d' * 64} (root) stays at token:root: the backup only says so\n"
        f"  {REPO}, root pin: {PIN}\n"
        "  settings: other.toml\n"
        "  /etc/ca.pem, which settings name: it is not put back\n"
        "  left out: /client.key: it is a private key for TLS\n"
        "try it, with the passphrases: notarypy backup --check 'b 1.tar'\n"
    )


def test_what_is_left_out_is_a_failure(run: Run, stub: StubClient) -> None:
    def backup(_: str, failed: object) -> object:
        assert callable(failed)
        failed("b" * 64, KeyAccessError("nobody can read it"))
        return BACKED_UP

    stub.answers["upkeep.backup"] = backup
    outcome = run("backup", "b.tar").expect(6)
    assert outcome.out.startswith("wrote b.tar: ")
    assert "nobody can read it" in outcome.err
    document = run("--json", "backup", "b.tar").expect(6).document
    assert [result["ok"] for result in document["results"]] == [False, True]


def test_a_trial_says_of_each_key_whether_it_opens(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.check_backup"] = CheckedBackup(BACKED_UP, {})
    outcome = run("backup", "--check", "b.tar").expect(0)
    assert outcome.out.splitlines()[3:] == [
        f"key {'b' * 64} (jeff) opens",
        f"key {'c' * 64} (targets of {REPO}) opens",
        f"key {'d' * 64} (root) is not in it, and was not asked: it is at token:root",
        f"{REPO}: version 1 of its root is good",
    ]
    failures = {"b" * 64: PassphraseWrongError("not this one"), REPO: SignatureError("not signed")}
    stub.answers["upkeep.check_backup"] = CheckedBackup(BACKED_UP, failures)
    document = run("--json", "backup", "--check", "b.tar").expect(4).document
    found = {result["ref"]: result.get("unlocked", result["ok"]) for result in document["results"]}
    assert found == {"b.tar": True, "b" * 64: False, "c" * 64: True, "d" * 64: False, REPO: False}
    assert problems(document, SCHEMA) == []


def test_restoring_says_what_came_back_and_what_is_to_be_done(run: Run, stub: StubClient) -> None:
    stub.answers["upkeep.restore"] = RESTORED
    outcome = run("restore", "b.tar").expect(0)
    assert outcome.out == (
        "/backup.tar, into /trust:\n"
        f"  SHA-256: {'0' * 64}\n"
        "  made 2027-01-02T03:04:05Z of /trust\n"
        f"  put back: key {'b' * 64} (jeff)\n"
        f"  put back: that key {'d' * 64} (root) is at token:root\n"
        f"  put back: {REPO}\n"
        f"  key {'c' * 64} (targets of {REPO}): here already\n"
        "  /settings/other.toml: here already\n"
        "  not put back, and named by the settings: /etc/ca.pem; "
        "to have it here: tar -xf /backup.tar notarypy-backup-1/elsewhere/etc/ca.pem\n"
        "  name its server: export DOCKER_CONTENT_TRUST_SERVER=https://n.test\n"
        "  name the configuration: --config /settings/other.toml\n"
    )
    (repository,) = BACKED_UP.repositories
    odd = replace(BACKED_UP, repositories=(replace(repository, server="https://x;touch y"),))
    stub.answers["upkeep.restore"] = replace(RESTORED, contents=odd)
    assert "SERVER='https://x;touch y'\n" in run("restore", "b.tar").expect(0).out
    stub.answers["upkeep.restore"] = replace(RESTORED, dry_run=True, written=())
    assert run("restore", "--dry-run", "b.tar").expect(0).out.endswith("all of it is here already\n")
    _, _, named = stub.calls[-1]
    assert named == {"dry_run": True, "keys_only": False, "settings": True, "sha256": None}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backup", "-"), "a backup is no pipe"),
        (("restore", "-"), "a backup is no pipe"),
        (("backup", "b.tar", "--sheet", "x/../b.tar"), "the page would replace the backup"),
        (("--yes", "backup", "--check", "b.tar", "--sheet", "./b.tar"), "the page would replace the backup"),
        (("backup", "b.tar", "--sheet", "-"), '"-" names no file here'),
        (("backup", "new/"), "new/ names a directory"),
        (("status", "-o", "-"), "a table is not written"),
        (("key", "export", "--all", "-o", "-"), '"-" names no file here'),
        (("history", REPO, "--html", "-"), '"-" names no file here'),
        (("backup", ""), "FILE is empty"),
        (("restore", "--sha256", "12", "b.tar"), "--sha256 is no SHA-256"),
        (("restore", "--sha256", "x" * 64, "b.tar"), "--sha256 is no SHA-256"),
        (("key", "export"), "name keys, or say --all"),
        (("key", "export", "--all", "jeff"), "name keys, or say --all"),
        (("key", "export", "--all", "--repo", REPO), "name keys, or say --all"),
        (("key", "export", "--all", "--cosign"), "one key"),
        (("key", "export", "--repo", "A B"), "A B"),
    ],
)
@pytest.mark.usefixtures("stub")
def test_what_makes_no_sense_is_said_before_anything_is_done(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    assert message in run(*words).expect(2).err


WRITING = {
    "backup": ("backup", "b.tar", "--sheet"),
    "key export": ("key", "export", "--all", "-o"),
    "history": ("history", REPO, "--html"),
    "report": ("report", REPO, "-o"),
    "status": ("status", REPO, "--format", "prometheus", "-o"),
    "migrate report": ("migrate", "report", REPO, "-o"),
}


@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
@pytest.mark.usefixtures("stub")
def test_only_files_are_written_over(run: Run, home: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(home / "pipe.json")
    (home / "link.json").symlink_to(home / "other")
    for name in ("pipe.json", "link.json"):
        before = (home / name).lstat().st_ino
        assert "no regular file" in run("--yes", *words, name).expect(1).err
        assert (home / name).lstat().st_ino == before


# -- with the real client


@pytest.fixture
def owned(run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the file of a backup of a repository that was made here."""
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)
    assert fake is not None
    run("init", REAL).expect(0)
    run("key", "generate", "jeff").expect(0)
    run("backup", "b.tar").expect(0)
    return "b.tar"


def test_there_and_back(run: Run, owned: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in (home / ".docker/trust/private").glob("*.key")}
    run("backup", "--check", owned).expect(0)
    run("backup", owned).expect(1)
    (home / "new").mkdir()
    monkeypatch.setenv("HOME", str(home / "new"))
    run("restore", "--sha256", "0" * 64, owned).expect(4)
    document = run("--json", "restore", "--dry-run", owned).expect(0).document
    assert not any((home / "new").iterdir())
    digest = document["results"][0]["sha256"]
    run("restore", "--sha256", f"sha256:{digest.upper()}", owned).expect(0)
    private = home / "new/.docker/trust/private"
    assert {path.name: path.read_bytes() for path in private.glob("*.key")} == before


def test_what_the_page_lacks_is_said_after_the_backup(run: Run, owned: str, fake_kms: object) -> None:
    assert owned
    fake_kms.make("release")  # type: ignore[attr-defined] # the fixture's own
    run("key", "add", "fakekms:release", "--name", "release").expect(0)
    for number, (key, said) in enumerate(
        [("rot", "means no key in this backup"), ("release", "it stays at fakekms:release")]
    ):
        outcome = run("backup", f"{number}.tar", "--sheet", "s.html", "--sheet-key", key).expect(6)
        assert outcome.out.startswith(f"wrote {number}.tar: ")
        assert said in outcome.err


@pytest.mark.usefixtures("owned")
def test_nothing_is_written_among_keys(run: Run, home: Path) -> None:
    private = home / ".docker/trust/private"
    before = {path: path.read_bytes() for path in private.iterdir()}
    for path in (*before, private / "new"):
        for words in (("key", "export", "--all", "-o"), ("backup", "x.tar", "--sheet"), ("backup",)):
            assert run("--yes", *words, str(path)).code
            (home / "x.tar").unlink(missing_ok=True)
    assert {path: path.read_bytes() for path in private.iterdir()} == before


def test_one_bit_is_enough(run: Run, owned: str, home: Path) -> None:
    path = home / owned
    data = path.read_bytes()
    at = data.index(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") + 100
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for words in (("restore",), ("backup", "--check")):
        outcome = run(*words, "--json", owned).expect(4)
        (result,) = outcome.document["results"]
        assert result["error"]["code"] == "trust.backup"
        assert "private/" in json.dumps(result["error"]["why"])
    assert "fix: take another copy of it" in run("restore", owned).expect(4).err


def test_all_keys_are_exported_at_once_or_those_of_a_repository(run: Run, owned: str, home: Path) -> None:
    assert owned
    run("key", "export", "--all", "-o", "all.pem").expect(0)
    assert (home / "all.pem").read_bytes().count(b"BEGIN ENCRYPTED PRIVATE KEY") == 3
    outcome = run("key", "export", "--repo", REAL).expect(0)
    assert "role: jeff" not in outcome.out
    assert outcome.out.count("BEGIN ENCRYPTED PRIVATE KEY") == 2
    run("key", "export", "--repo", f"{REAL}/other").expect(6)
    run("key", "export", "--trust-dir", "empty", "--all").expect(12)


def test_keys_elsewhere_are_left_out_of_all_keys_and_said(
    run: Run, owned: str, fake_kms: object, home: Path
) -> None:
    assert owned
    fake_kms.make("release")  # type: ignore[attr-defined] # the fixture's own
    run("key", "add", "fakekms:release", "--name", "release").expect(0)
    outcome = run("key", "export", "--all", "-o", "all.pem").expect(0)
    assert "stays at fakekms:release" in outcome.err
    assert (home / "all.pem").read_bytes().count(b"BEGIN") == 3
    run("key", "export", "--all", "--public", "-o", "all.pub").expect(0)
    assert (home / "all.pub").read_bytes().count(b"BEGIN PUBLIC KEY") == 4
