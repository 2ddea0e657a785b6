"""`key import`, `key passwd`, `key remove` and `key rotate`."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal
from notarypy.client.results import ImportedKey
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import KeyAccessError, KeyMissingError, UnsupportedKeyError
from support.commands import written
from support.results import KEY, PIN, REPO, ROTATED, TARGETS_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run, StubClient

NEW = "NOTARYPY_NEW_PASSPHRASE"


# -- import


def test_every_key_of_a_bundle_is_told(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.import_"] = [ImportedKey(KEY, already=False), ImportedKey(TARGETS_KEY, already=True)]
    outcome = run("key", "import", written(home / "bundle.pem", "PEM")).expect(0)
    assert outcome.out == (
        f"imported key {KEY.keyid} (jeff)\nits passphrase is the one that it had\n"
        f"key {TARGETS_KEY.keyid} (targets) is here already; it was left as it is\n"
    )
    assert stub.calls == [("keys.import_", (b"PEM",), {})]
    assert stub.asking is False


def test_what_cannot_be_imported(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.import_"] = UnsupportedKeyError("junk")
    run("key", "import", written(home / "k.pem", "junk")).expect(6)
    run("key", "import", "missing").expect(2)


# -- passwd: with the real client, for the sources are what matters


@pytest.fixture
def jeff(run: Run, fake: Fake) -> Run:  # noqa: ARG001 - makes the client the real one
    run("key", "generate", "jeff").expect(0)
    return run


def _opens(run: Run, monkeypatch: pytest.MonkeyPatch, passphrase: str) -> bool:
    """Tell whether a passphrase opens jeff's key: it is changed back and forth with it."""
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", passphrase)
        patched.setenv(NEW, "for a moment")
        if run("key", "passwd", "jeff").code != 0:
            return False
        patched.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "for a moment")
        patched.setenv(NEW, passphrase)
        run("key", "passwd", "jeff").expect(0)
    return True


def test_the_new_passphrase_has_a_source_of_its_own(
    jeff: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    before = "repository passphrase"
    outcome = jeff("key", "passwd", "jeff").expect(6)
    assert NEW in outcome.err
    assert _opens(jeff, monkeypatch, before)
    monkeypatch.setenv(NEW, "second passphrase")
    assert "changed the passphrase of key" in jeff("key", "passwd", "jeff").expect(0).out
    monkeypatch.delenv(NEW)
    assert not _opens(jeff, monkeypatch, before)
    assert _opens(jeff, monkeypatch, "second passphrase")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "second passphrase")
    monkeypatch.setenv(f"{NEW}_FILE", written(home / "third", "third passphrase\n"))
    jeff("key", "passwd", "jeff").expect(0)
    assert _opens(jeff, monkeypatch, "third passphrase")


# -- export --cosign: with the real client too


def test_a_pair_of_files_is_written_for_cosign(
    jeff: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "passphrase of cosign")
    outcome = jeff("key", "export", "--cosign", "jeff", "-o", str(home / "cosign.key")).expect(0)
    assert stat.S_IMODE((home / "cosign.key").stat().st_mode) == 0o600
    public = jeff("key", "export", "--cosign", "--public", "jeff").expect(0).out
    assert jeff("key", "export", "--cosign", "--public", str(home / "cosign.key")).expect(0).out == public
    loaded = jeff("key", "load", str(home / "cosign.key"), "--name", "jeff").expect(0)
    assert "is here already" in loaded.out
    for shown in (outcome.out, outcome.err, loaded.out, (home / "cosign.key").read_text()):
        assert "passphrase of cosign" not in shown


def test_what_is_needed_to_write_for_cosign(jeff: Run, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    outcome = jeff("key", "export", "--cosign", "jeff").expect(6)
    assert "COSIGN_PASSWORD" in outcome.err
    monkeypatch.setenv("COSIGN_PASSWORD", "short")
    assert "COSIGN_PASSWORD holds fewer" in jeff("key", "export", "--cosign", "jeff").expect(2).err
    new = written(home / "new", "passphrase of a file\n")
    jeff("key", "export", "--cosign", "jeff", "--new-passphrase-file", new).expect(0)
    jeff("key", "export", "jeff", "--new-passphrase-file", new).expect(2)
    jeff("key", "export", "--cosign", "--public", "jeff", "--new-passphrase-file", new).expect(2)
    jeff("key", "export", "--cosign", "jeff", "other").expect(2)


def test_the_option_beats_the_variable(jeff: Run, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv(NEW, "of the variable")
    path = written(home / "new", "of the file\nand nothing else\n")
    jeff("key", "passwd", "jeff", "--new-passphrase-file", path).expect(0)
    assert _opens(jeff, monkeypatch, "of the file")


def test_one_source_for_both_changes_nothing_and_says_so(jeff: Run, home: Path) -> None:
    path = written(home / "both", "repository passphrase\n")
    outcome = jeff("key", "passwd", "jeff", "--passphrase-file", path, "--new-passphrase-file", path).expect(
        2
    )
    assert "has this passphrase already" in outcome.err
    jeff("key", "passwd", "jeff", "--new-passphrase-file", written(home / "short", "short\n")).expect(2)
    jeff("key", "passwd", "jeff", "--new-passphrase-file", "missing").expect(2)


def test_at_a_terminal_the_new_passphrase_is_asked_for_twice(
    jeff: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = ["typed passphrase", "mistyped", "typed passphrase", "typed passphrase"]

    def secret(question: str) -> str:
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "secret", secret)
    jeff("key", "passwd", "jeff").expect(0)
    assert answers == []
    assert asked[0].startswith('New passphrase for key "jeff"')
    assert asked[1] == "The same again: "
    assert _opens(jeff, monkeypatch, "typed passphrase")


# -- remove


@pytest.fixture
def removing(stub: StubClient) -> StubClient:
    infos = {"jeff": KEY, "ccccccc": TARGETS_KEY}
    stub.answers["keys.find"] = lambda key, **_: infos.get(key) or KeyMissingError("none")
    stub.answers["keys.remove"] = lambda keyid, **_: next(
        info for info in infos.values() if info.keyid == keyid
    )
    return stub


def _deleted(stub: StubClient) -> list[object]:
    """Return the ids of the keys that were deleted, and not only looked at."""
    return [
        given[0] for name, given, options in stub.calls
        if name == "keys.remove" and not options.get("dry_run")
    ]  # fmt: skip


def test_removing_wants_a_yes(run: Run, removing: StubClient) -> None:
    outcome = run("key", "remove", "jeff", "ccccccc").expect(2)
    assert f"these keys are deleted for good: jeff ({KEY.keyid[:7]}), targets (ccccccc)" in outcome.err
    assert _deleted(removing) == []
    assert (
        run("key", "remove", "--yes", "jeff", "--force").expect(0).out == f"removed key {KEY.keyid} (jeff)\n"
    )
    assert removing.calls[-1] == ("keys.remove", (KEY.keyid,), {"force": True})


@pytest.mark.parametrize("keys", [("nobody", "jeff"), ("jeff", "nobody")])
def test_a_key_that_is_not_here_keeps_the_others(
    run: Run, removing: StubClient, keys: tuple[str, ...]
) -> None:
    outcome = run("--json", "key", "remove", "-y", *keys).expect(6)
    assert [(item["ref"], item["ok"]) for item in outcome.document["results"]] == [("nobody", False)]
    assert {call[0] for call in removing.calls} == {"keys.find"}


@pytest.mark.parametrize("keys", [("ccccccc", "jeff"), ("jeff", "ccccccc")])
def test_a_key_that_has_to_stay_keeps_the_others(
    run: Run, removing: StubClient, keys: tuple[str, ...]
) -> None:
    removing.answers["keys.remove"] = lambda keyid, **_: (
        KeyAccessError("the last copy") if keyid == TARGETS_KEY.keyid else KEY
    )
    outcome = run("--json", "key", "remove", "-y", *keys).expect(6)
    assert [(item["ref"], item["ok"]) for item in outcome.document["results"]] == [("ccccccc", False)]
    assert _deleted(removing) == []


def test_a_key_that_is_named_twice_is_removed_once(run: Run, removing: StubClient) -> None:
    outcome = run("key", "remove", "-y", "jeff", "jeff").expect(0)
    assert outcome.out == f"removed key {KEY.keyid} (jeff)\n"
    assert _deleted(removing) == [KEY.keyid]
    run("key", "remove", "-y", "nobody").expect(6)
    removing.answers["keys.remove"] = KeyAccessError("the last one")
    run("key", "remove", "-y", "jeff").expect(6)


# -- rotate


def test_a_rotation_names_both_keys(run: Run, stub: StubClient) -> None:
    stub.answers["keys.rotate"] = replace(ROTATED, role="targets")
    outcome = run("key", "rotate", REPO, "targets", "--key", "next.pem").expect(0)
    assert outcome.out == f"rotated targets of {REPO}: {KEY.keyid[:12]} is replaced by {'b' * 12}\n"
    options = {"key": ["next.pem"], "threshold": None, "replaces": (), "server_managed": False, "legacy": 0}
    assert stub.calls == [("keys.rotate", (REPO, "targets"), options)]
    stub.answers["keys.rotate"] = replace(ROTATED, role="targets", published=False)
    assert "nothing was published" in run("key", "rotate", REPO, "targets").expect(0).out


def test_the_root_key_wants_a_yes_and_prints_the_pin(run: Run, stub: StubClient) -> None:
    stub.answers["keys.rotate"] = ROTATED
    run("key", "rotate", REPO, "root").expect(2)
    assert stub.calls == []
    assert f"root pin: {PIN}\n" in run("key", "rotate", "-y", REPO, "root").expect(0).out


def test_earlier_root_keys_sign_a_new_root_too(run: Run, stub: StubClient) -> None:
    stub.answers["keys.rotate"] = replace(ROTATED, role="targets", legacy=("c" * 64, "d" * 64))
    outcome = run("key", "rotate", REPO, "targets", "--legacy", "2").expect(0)
    assert outcome.out.endswith(f"signed by earlier root keys too: {'c' * 12}, {'d' * 12}\n")
    assert stub.calls[0][2]["legacy"] == 2
    run("key", "rotate", REPO, "targets", "--legacy", "-1").expect(2)


@pytest.mark.parametrize("managed", [True, False])
def test_a_snapshot_key_that_comes_here_is_warned_of(run: Run, stub: StubClient, *, managed: bool) -> None:
    stub.answers["keys.rotate"] = replace(ROTATED, role="snapshot", server_managed=managed)
    options = ["--server-managed"] if managed else []
    outcome = run("key", "rotate", REPO, "snapshot", *options).expect(0)
    assert ("signers elsewhere cannot publish" in outcome.err) == (not managed)
    assert stub.calls[0][2]["server_managed"] is managed


def test_a_role_that_cannot_be_rotated_reaches_no_server(run: Run, fake: Fake) -> None:
    for argv in (["jeff"], ["root", "--server-managed", "--yes"], ["timestamp"]):
        run("key", "rotate", f"{REGISTRY_HOST}/app", *argv).expect(2)
    run("key", "rotate", f"{REGISTRY_HOST}/app:1", "targets").expect(2)
    assert fake.requests == []


def test_several_keys_and_a_threshold_reach_the_client(run: Run, stub: StubClient) -> None:
    stub.answers["keys.rotate"] = replace(
        ROTATED, new=("b" * 64, "c" * 64), root_pins=(PIN, PIN), threshold=2
    )
    argv = ["--key", "root", "--key", "bob.crt", "--threshold", "2", "--replace", "1234567"]
    outcome = run("key", "rotate", "-y", REPO, "root", *argv).expect(0)
    assert "2 of these 2 root keys sign a root\n" in outcome.out
    options = {"key": ["root", "bob.crt"], "threshold": 2, "replaces": ["1234567"], "server_managed": False}
    options |= {"legacy": 0}
    assert stub.calls == [("keys.rotate", (REPO, "root"), options)]
    for wanted, said in {
        ("--threshold", "3"): f"3 keys sign the root of {REPO}",
        (): f"root keys of {REPO} are replaced: all that there are, by a key that is made now",
        (
            "--key",
            "bob.crt",
            "--replace",
            "1234567",
        ): f"root keys of {REPO} are replaced: 1234567, by bob.crt",
    }.items():
        assert said in run("key", "rotate", REPO, "root", *wanted).expect(2).err


def test_a_certificate_is_a_new_file(run: Run, stub: StubClient, home: Path) -> None:
    stub.answers["keys.certify"] = (PIN, b"a certificate")
    path = home / "alice.crt"
    assert f"of root key {PIN} for {REPO}" in run("key", "certify", REPO, "-o", str(path)).expect(0).out
    assert path.read_bytes() == b"a certificate"
    assert "use -o" in run("key", "certify", REPO, "-o", str(path)).expect(1).err
