"""`notary key ...` in this process: Go notary's words on standard output, and what is done."""

from __future__ import annotations

import os
import re
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy.cli.gonotary import goerrors
from notarypy.cli.gonotary.notaryshell import NotaryShell
from notarypy.cli.gonotary.signingkeys import _end
from notarypy.cli.text import terminal
from notarypy.errors import PinWrongError
from notarypy.keys.formats import pem
from notarypy.keys.signers import keyfile
from notarypy.remote.http.messages import Response
from notarypy.tuf.keys import public_key_of
from support.people import prepared

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from notarypy.devserver.fakekeys import FakeKms
    from support.commands import Run

GUN = "docker.io/alice/app"
MADE = re.compile(r"Generated new ecdsa (.*) key with keyID: ([0-9a-f]{64})\n")
ROOT_QUESTION = (
    "Warning: you are about to rotate your root key.\n"
    "\n"
    "You must use your old key to sign this root rotation.\n"
    "Are you sure you want to proceed?  (yes/no)  "
)
INPUT = "Error reading input root key file: "


@pytest.fixture
def private(home: Path) -> Path:
    """Return the folder of keys."""
    return home / ".notary" / "private"


@pytest.fixture
def owned(run: Run, fake: Fake, home: Path) -> str:
    """Make a repository, whose root and targets keys are here."""
    prepared(fake, home, __name__, lambda: run("-d", home / ".notary", "--gun", "init", GUN).expect(0))
    return GUN


def key_file(home: Path, name: str, **headers: str) -> tuple[Path, str]:
    """Write a private key as openssl does, with headers; return its path and the id."""
    key = keyfile.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (block,) = pem.split(data)
    path = home / name
    path.write_bytes(pem.text(block.label, headers, block.der))
    return path, public_key_of(key).keyid


def made(notary: Run, *words: str) -> str:
    """Make a key; return its id."""
    match = MADE.fullmatch(notary("key", "generate", *words).expect(0).out)
    assert match is not None
    return match[2]


def of_role(private: Path, role: str) -> set[str]:
    """Return the ids of the keys here that are of a role."""
    return {path.stem for path in private.glob("*.key") if f"role: {role}\n" in path.read_text()}


# -- list


def test_no_keys(notary: Run) -> None:
    assert notary("key", "list").expect(0).out == "\nNo signing keys found.\n\n"


def test_keys_stand_in_the_order_and_the_columns_of_go(notary: Run, home: Path, private: Path) -> None:
    files = [
        key_file(home, "a.pem", role="targets", gun="b/b"),
        key_file(home, "b.pem", role="snapshot", gun="b/b"),
        key_file(home, "c.pem", role="targets", gun="a/a"),
        key_file(home, "d.pem", role="alice"),
        key_file(home, "e.pem", role="root"),
        key_file(home, "f.pem", role="targets/jeff"),
    ]
    notary("key", "import", *(path for path, _ in files)).expect(0)
    ids = [keyid for _, keyid in files]
    where = _end(str(private), 40)
    done = notary("key", "list").expect(0)
    assert done.out == (
        "\n"
        f"ROLE            GUN    KEY ID{' ' * 62}LOCATION\n"
        f"----            ---    ------{' ' * 62}--------\n"
        f"root                   {ids[4]}    {where}\n"
        f"alice                  {ids[3]}    {where}\n"
        f"targets/jeff           {ids[5]}    {where}\n"
        f"targets         a/a    {ids[2]}    {where}\n"
        f"snapshot        b/b    {ids[1]}    {where}\n"
        f"targets         b/b    {ids[0]}    {where}\n"
        "\n"
    )


def test_long_names_show_their_ends(notary: Run, home: Path) -> None:
    for length in (25, 26):
        path, _ = key_file(home, "a.pem", role="targets", gun="a/" + "b" * (length - 2))
        notary("key", "import", path).expect(0)
    rows = notary("key", "list").expect(0).out.splitlines()
    assert any(f"targets    a/{'b' * 23}    " in row for row in rows)
    assert any(f"targets    ...{'b' * 22}    " in row for row in rows)
    assert [_end("x" * length, 40) for length in (40, 41)] == ["x" * 40, f"...{'x' * 37}"]
    assert [_end("é" * length, 25) for length in (12, 13)] == ["é" * 12, f"...{'é' * 11}"]


# -- generate


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ((), "root"),
        (("ecdsa",), "root"),
        (("ECDSA", "-r", "targets/jeff"), "targets/jeff"),
        (("-r", "jo"), "jo"),
        (("ecdsa", "--role=targets"), "targets"),
    ],
)
def test_a_key_is_made(notary: Run, private: Path, words: tuple[str, ...], role: str) -> None:
    done = notary("key", "generate", *words).expect(0)
    match = MADE.fullmatch(done.out)
    assert match is not None
    assert match[1] == role
    assert of_role(private, role) == {match[2]}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("rsa",), "Algorithm not allowed, possible values are: ECDSA"),
        (("-r", "bad role"), "bad role"),
        (("-r", ""), "is not a signer name"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(
    notary: Run, private: Path, words: tuple[str, ...], text: str
) -> None:
    done = notary("key", "generate", *words).expect(2)
    assert text in done.err
    assert done.out == ""
    assert not list(private.glob("*.key"))


def test_a_key_in_files_is_stored_nowhere_and_replaces_none(notary: Run, home: Path, private: Path) -> None:
    assert notary("key", "generate", "-r", "jo", "-o", "new").expect(0).out == ""
    written = {name: (home / name).read_bytes() for name in ("new-key.pem", "new.pem")}
    (block,) = pem.split(written["new-key.pem"])
    assert (block.role, block.encrypted, block.path) == ("jo", True, None)
    assert pem.blocks(written["new.pem"])[0].label == "PUBLIC KEY"
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in written} == {0o600}
    notary("key", "generate", "-o", "new").expect(1)
    (home / "new-key.pem").unlink()
    notary("key", "generate", "-o", "new").expect(1)
    assert not (home / "new-key.pem").exists()
    assert (home / "new.pem").read_bytes() == written["new.pem"]
    assert not list(private.glob("*.key"))


# -- import


def test_what_openssl_wrote_is_imported(notary: Run, home: Path, private: Path) -> None:
    path, keyid = key_file(home, "jo.key")
    assert notary("key", "import", path, "-r", "targets/jo").expect(0).out == ""
    assert of_role(private, "targets/jo") == {keyid}
    notary("key", "import", path, "-r", "targets/jo").expect(0)
    other, otherid = key_file(home, "other.key")
    notary("key", "import", path, other, "-r", "targets/jo").expect(0)
    assert of_role(private, "targets/jo") == {keyid, otherid}


def test_a_targets_key_takes_a_gun(notary: Run, home: Path, private: Path) -> None:
    path, keyid = key_file(home, "jo.key")
    done = notary("key", "import", path, "-r", "targets").expect(2)
    assert "--gun GUN" in done.err
    notary("key", "import", path, "-r", "targets", "-g", GUN).expect(0)
    assert f"gun: {GUN}\n" in (private / f"{keyid}.key").read_text()


def test_one_block_that_is_of_no_use_is_an_error_of_all(notary: Run, home: Path, private: Path) -> None:
    path, _ = key_file(home, "jo.key")
    for junk in (b"hello\n", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        (home / "junk").write_bytes(junk)
        done = notary("key", "import", home / "junk").expect(6)
        assert done.err.startswith("* fatal: failed to import all keys: invalid key pem block\n  why: ")
        assert f"the file is {home / 'junk'}" in done.err
    (home / "mixed").write_bytes(path.read_bytes() + junk)
    notary("key", "import", home / "mixed").expect(6)
    assert not list(private.glob("*.key"))
    done = notary("key", "import", home / "none").expect(2)
    assert done.err.startswith(f"* fatal: open {home / 'none'}: no such file or directory\n")


def test_where_a_key_is_stands_in_the_place_of_a_file(
    notary: Run, fake_kms: FakeKms, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTARYPY_PASSPHRASE_JO", "")
    uri = fake_kms.make("jo")
    notary("key", "import", uri, "-r", "jo").expect(0)
    (reference,) = private.glob("*.ref")
    row = notary("key", "list").expect(0).out.splitlines()[3]
    assert row == f"jo{' ' * 13}{reference.stem}    {uri}"
    done = notary("key", "export", "--key", reference.stem).expect(6)
    assert uri in done.err
    done = notary("key", "remove", reference.stem[:7], typed="yes\n").expect(0)
    it = f"{reference.stem} (role jo) from {private}, which notes that it is at {uri}"
    assert done.out.startswith(f"\nAre you sure you want to remove {it}?")
    assert done.out.endswith(f"\nDeleted {it}.\n\n")
    assert done.err == f"warning: the key itself stays at {uri}\n"
    assert not reference.exists()


def test_a_key_elsewhere_has_the_role_and_the_repository_that_are_given(
    notary: Run, fake_kms: FakeKms
) -> None:
    notary("key", "import", fake_kms.make("a"), "-r", "targets/jeff", "-g", "b/b").expect(0)
    uri = fake_kms.make("b")
    notary("key", "import", uri, "-r", "targets", "-g", "b/b").expect(0)
    assert "nothing was noted" in notary("key", "import", uri, "-r", "targets", "-g", "c/c").expect(1).err
    notary("key", "import", uri, "-r", "targets").expect(0)
    rows = [line.split()[:2] for line in notary("key", "list").expect(0).out.splitlines()[3:] if line]
    assert [row[0] for row in rows] == ["targets/jeff", "targets"]
    assert rows[1][1] == "b/b"


def test_a_pin_or_a_uri_that_cannot_be_used_is_no_file_and_no_passphrase(notary: Run, home: Path) -> None:
    done = notary("key", "import", "pkcs11:", "-r", "root")
    assert done.code
    assert "no such file" not in done.err
    shell = NotaryShell({"HOME": str(home)})
    wrong = PinWrongError("the token does not take the PIN from A", tried=["A"], token="tok")
    assert goerrors.text_of(wrong, shell.again(), shell.native_options()).startswith(
        "* fatal: the token does not take the PIN from A"
    )


# -- export


def test_keys_are_exported_as_they_are(notary: Run, home: Path, owned: str, private: Path) -> None:
    jo = made(notary, "-r", "jo")
    every = notary("key", "export").expect(0).out
    assert [block.path for block in pem.split(every.encode())] == sorted(
        p.stem for p in private.glob("*.key")
    )
    one = notary("key", "export", "--key", jo).expect(0).out
    assert one in every
    assert notary("key", "export", "--key", f"{jo[:9]},{jo}").expect(0).out == one
    (block,) = pem.split(notary("key", "export", "--gun", owned).expect(0).out.encode())
    assert (block.role, block.gun) == ("targets", owned)
    out = home / "out.pem"
    out.write_text("old")
    out.chmod(0o644)
    assert notary("key", "export", "-o", out).expect(0).out == ""
    assert out.read_text() == every
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    for path in private.glob("*.key"):
        path.unlink()
    notary("key", "import", out).expect(0)
    assert notary("key", "export").expect(0).out == every


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--key", "0" * 64), 6, f"No key with ID {'0' * 64} found"),
        (("--key", "jo"), 2, "invalid key ID provided: jo"),
        (("--gun", "not/here"), 6, "there are no keys of not/here here"),
        (("--gun", f"{GUN},not/here"), 6, "there are no keys of not/here here"),
        (("--gun", GUN, "--key", "0" * 64), 2, "Only the --gun or --key flag may be provided, not a mix"),
        (("-o", "no/where"), 1, "no/where"),
        (("-o", ".notary/private/x.pem"), 2, "inside of the trust directory"),
    ],
)
def test_what_cannot_be_exported_is_an_error(
    notary: Run, home: Path, owned: str, words: tuple[str, ...], code: int, text: str
) -> None:
    assert owned == GUN
    done = notary("key", "export", *words).expect(code)
    assert text in done.err
    assert done.out == ""
    assert not (home / "no").exists()


def test_a_key_that_a_repository_has_elsewhere_is_not_in_its_export_and_said(
    notary: Run, owned: str, fake_kms: FakeKms
) -> None:
    uri = fake_kms.make("targets")
    notary("key", "rotate", owned, "targets", "-k", uri).expect(0)
    notary("key", "rotate", owned, "snapshot").expect(0)
    for words in (("--gun", owned), ()):
        done = notary("key", "export", *words).expect(0)
        assert f"stays at {uri}, and is not in it" in done.err
        assert pem.split(done.out.encode())


def test_keys_are_exported_into_a_pipe_too(notary: Run, home: Path) -> None:
    made(notary)
    every = notary("key", "export").expect(0).out
    os.mkfifo(home / "pipe")
    taken: list[str] = []
    reader = threading.Thread(daemon=True, target=lambda: taken.append((home / "pipe").read_text()))
    reader.start()
    notary("key", "export", "-o", "pipe").expect(0)
    reader.join(60)
    assert taken == [every]
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)
    notary("key", "export", "-o", "/dev/null").expect(0)
    (home / "link").symlink_to(home / "elsewhere")
    notary("key", "export", "-o", "link").expect(1)


@pytest.mark.parametrize(
    "words", [("key", "rotate", GUN, "targets", "-k"), ("init", "collection.test/new", "--rootkey")]
)
def test_a_key_may_come_from_a_pipe(notary: Run, home: Path, owned: str, words: tuple[str, ...]) -> None:
    assert owned == GUN
    path, keyid = key_file(home, "a.pem")
    os.mkfifo(home / "pipe")
    writer = threading.Thread(daemon=True, target=lambda: (home / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    notary(*words, "pipe").expect(0)
    writer.join(60)
    assert keyid in notary("key", "list").expect(0).out


def test_a_trust_directory_that_is_a_file_has_no_keys_and_is_no_empty_one(notary: Run, home: Path) -> None:
    (home / "file").write_text("")
    (home / "nowhere").symlink_to(home / "nosuch")
    for name in ("file", "nowhere"):
        done = notary("-d", name, "key", "list").expect(1)
        assert (done.out, f"{home}/{name} cannot be used" in done.err) == ("", True)
        assert "with -d" in done.err


def test_the_halves_of_a_key_are_called_what_they_are(notary: Run, home: Path) -> None:
    done = notary("key", "generate", "-o", "no/pair").expect(1)
    assert "the private key to no/pair-key.pem" in done.err
    assert "--" not in done.err
    for name, half in (("pair-key.pem", "private"), ("pair.pem", "public")):
        (home / name).write_text("")
        done = notary("key", "generate", "-o", "pair").expect(1)
        assert f"the {half} half of another key" in done.err
        assert "--" not in done.err
        (home / name).unlink()


def test_what_is_not_imported_is_named(notary: Run, home: Path) -> None:
    path, keyid = key_file(home, "a.pem", role="targets")
    done = notary("key", "import", path).expect(2)
    assert f"the file is {path}" in done.err
    assert "nothing of it was imported" in done.err
    exported = pem.text("ENCRYPTED PRIVATE KEY", {"role": "targets", "path": keyid}, b"x")
    path.write_bytes(exported)
    assert f"it is {keyid[:7]}" in notary("key", "import", path).expect(2).err


def test_without_keys_nothing_is_exported(notary: Run, home: Path) -> None:
    notary("key", "export", "-o", "out.pem").expect(6)
    assert not (home / "out.pem").exists()


# -- passwd


def test_a_passphrase_is_changed(notary: Run, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTARY_DELEGATION_PASSPHRASE", "an old passphrase")
    keyid = made(notary, "-r", "jo")
    before = (private / f"{keyid}.key").read_bytes()
    done = notary("key", "passwd", keyid).expect(6)
    assert "NOTARYPY_NEW_PASSPHRASE" in done.err
    assert (private / f"{keyid}.key").read_bytes() == before
    monkeypatch.setenv("NOTARYPY_NEW_PASSPHRASE", "another passphrase")
    done = notary("key", "passwd", keyid[:7]).expect(0)
    assert done.out == f"\nSuccessfully updated passphrase for key ID: {keyid}\n"
    notary("key", "passwd", keyid).expect(6)
    monkeypatch.setenv("NOTARY_DELEGATION_PASSPHRASE", "another passphrase")
    monkeypatch.setenv("NOTARYPY_NEW_PASSPHRASE", "a third passphrase")
    notary("key", "passwd", keyid).expect(0)


def test_a_new_passphrase_is_asked_for_in_the_words_of_go(
    notary: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyid = made(notary, "-r", "jo")
    answers, asked = (
        iter(["short", "a new passphrase", "another one", *["a new passphrase"] * 2]),
        list[str](),
    )

    def secret(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "secret", secret)
    done = notary("key", "passwd", keyid).expect(0)
    key = f"new jo key with ID {keyid[:7]}: "
    assert asked == [
        f"{word} passphrase for {key}" for word in ("Enter", "Enter", "Repeat", "Enter", "Repeat")
    ]
    assert "Passphrase is too short." in done.err
    assert "Passphrases do not match. Please retry." in done.err
    assert done.out == f"\nSuccessfully updated passphrase for key ID: {keyid}\n"


@pytest.mark.parametrize("command", ["passwd", "remove"])
def test_a_key_is_named_by_its_id(notary: Run, command: str) -> None:
    keyid = made(notary, "-r", "jo")
    for word in ("short", keyid[:6], "jo", f"{keyid}0", keyid.upper()):
        done = notary("key", command, word).expect(2)
        assert done.err.startswith(f"* fatal: invalid key ID provided: {word}\n")
    text = {
        "passwd": "could not retrieve local key for key ID provided: {}",
        "remove": "No key with ID {} found",
    }[command]
    done = notary("key", command, "0" * 64).expect(6)
    assert done.err.startswith(f"* fatal: {text.format('0' * 64)}\n")
    assert "fix: see them with: notary key list" in done.err
    assert done.out == ""


def test_a_key_that_is_not_encrypted_is_left_out_of_an_export(notary: Run, home: Path, private: Path) -> None:
    keyid = made(notary, "-r", "jo")
    path, open_ = key_file(home, "a.pem", role="root")
    path.rename(private / f"{open_}.key")
    done = notary("key", "export").expect(0)
    assert (keyid in done.out, open_ in done.out, open_ in done.err) == (True, False, True)
    done = notary("key", "export", "--key", open_).expect(6)
    assert str(private) not in done.err.splitlines()[-1]


# -- remove


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "YES\n", " Yes \n"])
def test_a_key_is_removed(notary: Run, private: Path, answer: str) -> None:
    keyid = made(notary, "-r", "jo")
    done = notary("key", "remove", keyid, typed=answer).expect(0)
    it = f"{keyid} (role jo) from {private}"
    asked = f"\nAre you sure you want to remove {it}?  (yes/no)  \n"
    assert done.out == f"{asked}Deleted {it}.\n\n"
    assert not list(private.glob("*.key"))


@pytest.mark.parametrize("answer", [None, "", "no\n", "\n", "yess\n"])
def test_a_key_stays_unless_the_answer_is_yes(notary: Run, private: Path, answer: str | None) -> None:
    keyid = made(notary, "-r", "jo")
    done = notary("key", "remove", keyid, typed=answer).expect(2)
    assert done.err.startswith("* fatal: Aborting action.\n")
    assert (private / f"{keyid}.key").exists()


def test_the_last_root_key_of_a_repository_stays(notary: Run, owned: str, private: Path) -> None:
    (root,) = of_role(private, "root")
    done = notary("key", "remove", root, typed="yes\n").expect(6)
    assert owned in done.err
    assert "Deleted" not in done.out
    assert (private / f"{root}.key").exists()


# -- rotate


@pytest.mark.parametrize("words", [("targets",), ("snapshot",), ("snapshot", "-r"), ("timestamp", "-r")])
def test_a_key_is_rotated(
    notary: Run, run: Run, home: Path, owned: str, private: Path, words: tuple[str, ...]
) -> None:
    before = {path.name for path in private.glob("*.key")}
    done = notary("key", "rotate", owned, *words).expect(0)
    assert done.out == f"Successfully rotated {words[0]} key for repository {owned}\n"
    after = {path.name for path in private.glob("*.key")}
    assert len(before - after) == (1 if "targets" in words else 0)
    assert len(after - before) == (0 if "-r" in words else 1)
    run("-d", home / ".notary", "--gun", "status", owned).expect(0)


def test_what_a_rotation_replaced_goes_once_the_server_has_the_other(
    notary: Run, fake: Fake, owned: str, private: Path
) -> None:
    for _ in range(2):
        notary("key", "rotate", owned, "targets").expect(0)
        notary("key", "rotate", owned, "snapshot").expect(0)
        assert [len(of_role(private, role)) for role in ("targets", "snapshot")] == [1, 1]
    before = of_role(private, "targets")
    refused = Response(400, {}, b'{"errors":[{"code":"INVALID_UPDATE","message":"no"}]}')
    fake.before.append(lambda request: refused if request.method == "POST" else None)
    notary("key", "rotate", owned, "targets").expect(1)
    assert of_role(private, "targets") == before
    fake.before.clear()
    notary("key", "rotate", owned, "snapshot", "-r").expect(0)
    assert of_role(private, "snapshot") == set()
    assert notary("key", "export", "--gun", owned).expect(0).out.count("BEGIN") == 1


def test_what_a_rotation_replaced_stays_where_something_else_needs_it(
    notary: Run, home: Path, owned: str, private: Path
) -> None:
    (shared,) = of_role(private, "targets")
    notary("init", "-p", "collection.test/other").expect(0)
    notary("key", "rotate", "collection.test/other", "targets", "-k", private / f"{shared}.key").expect(0)
    notary("key", "rotate", owned, "targets").expect(0)
    assert shared in of_role(private, "targets")
    (last,) = {path.stem for path in private.glob("*.key") if f"gun: {owned}\n" in path.read_text()} - {
        shared
    }
    other = home / ".notary" / "tuf" / "collection.test" / "other" / "metadata" / "root.json"
    other.write_text("damaged")
    done = notary("key", "rotate", owned, "targets").expect(0)
    assert (
        "the targets key that was replaced stays here: the trusted root of collection.test/other" in done.err
    )
    assert last in of_role(private, "targets")


def test_a_root_key_is_rotated_after_a_yes(notary: Run, owned: str, private: Path) -> None:
    before = of_role(private, "root")
    for answer in (None, "no\n"):
        done = notary("key", "rotate", owned, "root", typed=answer).expect(2)
        assert (done.out, of_role(private, "root")) == (f"{ROOT_QUESTION}\n", before)
    done = notary("key", "rotate", owned, "root", typed="yes\n").expect(0)
    assert done.out == f"{ROOT_QUESTION}Successfully rotated root key for repository {owned}\n"
    assert before < of_role(private, "root")


def test_nothing_is_asked_where_the_root_key_is_not_here(notary: Run, owned: str, private: Path) -> None:
    (root,) = of_role(private, "root")
    (private / f"{root}.key").unlink()
    done = notary("key", "rotate", owned, "root", typed="yes\n").expect(6)
    assert (done.out, "root key, which is not here" in done.err) == ("", True)


@pytest.mark.parametrize(("legacy", "count"), [("0", 2), ("1", 3), ("2", 4), ("-1", 4), ("9999999", 4)])
def test_earlier_root_keys_sign_too(
    notary: Run, run: Run, home: Path, owned: str, legacy: str, count: int
) -> None:
    for _ in range(2):
        notary("key", "rotate", owned, "root", typed="y\n").expect(0)
    notary("key", "rotate", owned, "root", "--legacy", legacy, typed="y\n").expect(0)
    run("-d", home / ".notary", "--gun", "status", owned).expect(0)
    root = (home / ".notary" / "tuf" / owned / "metadata" / "root.json").read_text()
    assert root.count('"sig":') == count


def test_keys_of_files_become_those_of_a_role(notary: Run, home: Path, owned: str, private: Path) -> None:
    (home / "folder").mkdir()
    files = [key_file(home / "folder", name) for name in ("one", "two.pem")]
    words = [word for path, _ in files for word in ("-k", path)]
    notary("key", "rotate", owned, "targets", *words).expect(0)
    assert {keyid for _, keyid in files} == of_role(private, "targets")
    again = notary("key", "rotate", owned, "targets", *words).expect(0)
    assert "nothing was published" in again.err
    assert {keyid for _, keyid in files} == of_role(private, "targets")
    path, keyid = key_file(home, "bare")  # neither a slash nor a dot
    notary("key", "rotate", owned, "root", "-k", path.name, typed="y\n").expect(0)
    assert keyid in of_role(private, "root")
    notary("key", "rotate", owned, "root", "-k", keyid[:12], typed="y\n").expect(0)


def test_a_key_elsewhere_becomes_that_of_a_role(notary: Run, fake_kms: FakeKms, owned: str) -> None:
    uri = fake_kms.make("targets")
    notary("key", "rotate", owned, "targets", "-k", uri).expect(0)
    (row,) = [row for row in notary("key", "list").expect(0).out.splitlines() if uri in row]
    assert row.split()[:2] == ["targets", owned]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("targets/jo",), 2, "notary does not currently permit rotating the targets/jo key"),
        (("bad",), 2, "notary does not currently permit rotating the bad key"),
        (("timestamp",), 2, "notary does not permit the client managing the timestamp key"),
        (("targets", "-r"), 2, "notary does not permit the server managing the targets key"),
        (("root", "-r"), 2, "notary does not permit the server managing the root key"),
        (("targets", "-k", "."), 2, f"{INPUT}read .: is a directory"),
        (("targets", "-k", "none"), 2, f"{INPUT}open none: no such file or directory"),
        (("root", "-k", "none"), 2, f"{INPUT}open none: no such file or directory"),
    ],
)
def test_what_cannot_be_rotated_is_said_before_anything_is_asked(
    notary: Run, owned: str, private: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    before = {path.name for path in private.iterdir()}
    done = notary("key", "rotate", owned, *words, typed="yes\n").expect(code)
    assert done.err.startswith(f"* fatal: {text}\n")
    assert done.out == ""
    assert {path.name for path in private.iterdir()} == before


def test_a_repository_that_is_not_there_is_not_made(notary: Run, private: Path) -> None:
    done = notary("key", "rotate", "never/made", "snapshot").expect(3)
    assert "does not have trust data for never/made" in done.err
    assert not list(private.glob("*.key"))


@pytest.mark.parametrize("words", [("snapshot", "-r"), ("snapshot",), ("targets",), ("root",)])
def test_a_repository_that_was_only_begun_is_published_first(
    notary: Run, run: Run, home: Path, words: tuple[str, ...]
) -> None:
    notary("init", GUN).expect(0)
    notary("addhash", GUN, "1", "1", "--sha256", "0" * 64).expect(0)
    staged = notary("status", GUN).expect(0).out
    done = notary("key", "rotate", GUN, *words, typed="yes\n").expect(0)
    assert f"{GUN} had not been published" in done.err
    assert notary("status", GUN).expect(0).out == staged
    assert notary("list", GUN).expect(0).out == "\nNo targets present in this repository.\n\n"
    notary("publish", GUN).expect(0)
    assert "0" * 64 in notary("list", GUN).expect(0).out
    run("-d", home / ".notary", "--gun", "status", GUN).expect(0)
    again = notary("key", "rotate", GUN, *words, typed="yes\n").expect(0)
    assert "had not been published" not in again.err
