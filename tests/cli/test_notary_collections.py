"""`notary init`, `publish`, `status`, `reset`, `delete`, `witness`: Go notary's words, to the byte.

The texts of standard output are what Go notary 0.7 printed for the same lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy.devserver.core import NOTARY_HOST
from notarypy.devserver.tampering import Tampering
from notarypy.limits import DEFAULT
from support.author import NOW, private_key, public_key, root_key
from support.commands import written

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request, Response
    from support.commands import Run

GUN = "collection.test/files"
PUSHED = f"Pushing changes to {GUN}\nSuccessfully published changes for repository {GUN}\n"
ALSO = f"Auto-publishing changes to {GUN}\nSuccessfully published changes for repository {GUN}\n"
DELETING = f"Deleting trust data for repository {GUN}\n"
NONE = f"No unpublished changes for {GUN}\n"
RESET = f"Successfully reset specified changes for repository {GUN}\n"
MARKED = "The following roles were successfully marked for witnessing on the next publish:\n"
CERT_FILE = "error reading certificate file: "
KEY_FILE = "Error reading input root key file: "


def folder(home: Path, name: str, gun: str = GUN) -> list[str]:
    """Return the names of the files of a repository's folder in the trust directory."""
    return sorted(path.name for path in (home / ".notary" / "tuf" / gun / name).glob("*.*"))


def version(fake: Fake, role: str, gun: str = GUN) -> int:
    """Return the version of a role that the server has."""
    file = fake.notary.store.current(gun, role)
    return 0 if file is None else file.version


# -- init and publish ------------------------------------------------------------------------------


def test_init_makes_keys_and_files_and_publishes_nothing(notary: Run, fake: Fake, home: Path) -> None:
    outcome = notary("init", GUN).expect(0)
    assert (outcome.out, outcome.err) == ("", "")
    assert folder(home, "metadata") == ["root.json", "snapshot.json", "targets.json"]
    assert len(list((home / ".notary/private").glob("*.key"))) == 3
    assert version(fake, "root") == 0
    assert notary("status", GUN).expect(0).out == NONE
    assert notary("publish", GUN).expect(0).out == PUSHED
    assert [version(fake, role) for role in ("root", "targets", "snapshot", "timestamp")] == [1, 2, 2, 1]


def test_what_is_begun_and_not_published_has_no_trust_data(notary: Run, home: Path) -> None:
    """As for Go; a server that had it once is another matter."""
    notary("init", GUN).expect(0)
    text = f"{NOTARY_HOST} does not have trust data for {GUN}\n  why: "
    for words, before in (
        (("list", GUN), ""),
        (("lookup", GUN, "v1"), ""),
        (("verify", GUN, "v1"), "error retrieving target by name:v1, error:"),
        (("delegation", "list", GUN), f"Error retrieving delegation roles for repository {GUN}: "),
    ):
        outcome = notary(*words).expect(3)
        assert outcome.out == ""
        assert outcome.err.startswith(f"* fatal: {before}{text}")
        assert f"fix: publish it: notary publish {GUN}" in outcome.err
    assert folder(home, "metadata") == ["root.json", "snapshot.json", "targets.json"]


def test_what_the_server_lost_is_an_alarm_and_can_be_sent_again(
    notary: Run, run: Run, fake: Fake, home: Path
) -> None:
    notary("init", GUN, "-p").expect(0)
    fake.notary.store.delete(GUN, NOW)
    notary("add", GUN, "v1", written(home / "file", b"x")).expect(0)
    for words in (("list", GUN), ("publish", GUN)):
        outcome = notary(*words).expect(4)
        assert "no longer has the trust data" in outcome.err
        assert f"--gun republish {GUN}" in outcome.err
    run("-d", home / ".notary", "--gun", "republish", GUN).expect(0)
    assert notary("publish", GUN).expect(0).out == PUSHED


def test_init_publishes_at_once_and_names_the_root_key_that_was_there(notary: Run, home: Path) -> None:
    assert notary("init", GUN, "-p").expect(0).out == ALSO
    root = next(
        path for path in (home / ".notary/private").glob("*.key") if b"role: root" in path.read_bytes()
    )
    outcome = notary("init", "collection.test/other").expect(0)
    assert outcome.out == f"Root key found, using: {root.stem}\n"


def test_init_leaves_what_is_there(notary: Run, fake: Fake, home: Path) -> None:
    notary("init", GUN).expect(0)
    before = {path: path.read_bytes() for path in (home / ".notary").rglob("*.*") if path.is_file()}
    for words in (("init", GUN), ("init", GUN, "-p")):
        outcome = notary(*words).expect(1)
        assert (outcome.out, outcome.err.splitlines()[0]) == ("", f"* fatal: {GUN} has trust data already")
    assert {path: path.read_bytes() for path in before} == before
    assert version(fake, "root") == 0


def test_init_takes_a_root_key_and_its_certificate(notary: Run, fake: Fake, home: Path) -> None:
    pem = private_key("owner").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key, cert = written(home / "key.pem", pem), written(home / "cert.pem", root_key("owner", GUN).public)
    outcome = notary("init", GUN, "--rootkey", key, "--rootcert", cert, "-p").expect(0)
    assert outcome.out == f"Root key found, using: {public_key('owner').canonical_id}\n{ALSO}"
    root = fake.notary.store.data(GUN, "root")
    assert root is not None
    assert root_key("owner", GUN).keyid.encode() in root


@pytest.mark.parametrize("name", ["rootkey", "fed", "abcdef1", "f" * 64, "root", "-"])
def test_a_root_key_is_a_file_whatever_its_name(notary: Run, home: Path, name: str) -> None:
    """Go takes any name; some look like a word for a key, or like its id."""
    written(
        home / name, private_key("owner").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    outcome = notary("init", GUN, f"--rootkey={name}").expect(0)
    assert outcome.out == f"Root key found, using: {public_key('owner').canonical_id}\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--rootkey", "nowhere"), f"{KEY_FILE}open nowhere: no such file or directory"),
        (("--rootkey", "./no.pem"), f"{KEY_FILE}open ./no.pem: no such file or directory"),
        (("--rootkey", "here.pem/"), f"{KEY_FILE}open here.pem/: not a directory"),
        (("--rootkey", "."), f"{KEY_FILE}read .: is a directory"),
        (
            ("--rootcert", "nowhere"),
            f"{CERT_FILE}open nowhere: no such file or directory",
        ),
        (("--rootcert", "."), f"{CERT_FILE}read .: is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_as_go_does(
    notary: Run, home: Path, words: tuple[str, ...], text: str
) -> None:
    written(home / "here.pem", b"")
    outcome = notary("init", GUN, *words).expect(2)
    assert (outcome.out, outcome.err.splitlines()[0]) == ("", f"* fatal: {text}")
    assert folder(home, "metadata") == []


def test_of_several_root_keys_one_is_named(notary: Run, home: Path) -> None:
    notary("init", GUN).expect(0)
    notary("key", "generate", "-r", "root").expect(0)
    other = "collection.test/other"
    for words in (("init", other), ("publish", other)):
        outcome = notary(*words).expect(2)
        assert outcome.err.startswith("* fatal: several root keys are here\n")
    assert folder(home, "metadata", other) == []
    for path in (home / ".notary/private").glob("*.key"):
        if b"role: root" in path.read_bytes():
            outcome = notary("init", f"{other}-{path.stem}", "--rootkey", path.stem).expect(0)
            assert outcome.out == f"Root key found, using: {path.stem}\n"


def test_publish_of_an_unknown_repository_makes_it(notary: Run, fake: Fake) -> None:
    assert notary("publish", GUN).expect(0).out == PUSHED
    assert version(fake, "root") == 1


# -- status and reset ------------------------------------------------------------------------------


def test_status_shows_what_is_staged_without_a_server(notary: Run, fake: Fake) -> None:
    notary("witness", GUN, "targets", "targets/releases").expect(0)
    notary("delegation", "remove", GUN, "targets/a", "-y").expect(0)
    Tampering(fake).refuse_connections()
    outcome = notary("status", GUN).expect(0)
    assert outcome.out == (
        f"Unpublished changes for {GUN}:\n"
        "\n"
        "#    ACTION    SCOPE               TYPE          PATH\n"
        "-    ------    -----               ----          ----\n"
        "0    update    targets             witness       \n"
        "1    update    targets/releases    witness       \n"
        "2    delete    targets/a           delegation    \n"
    )
    assert outcome.err == ""


def test_status_shows_what_changes_contain_where_it_is_asked_for(notary: Run) -> None:
    for name, size in (("v1", "3"), ("empty", "0")):
        notary("addhash", GUN, name, size, "--sha256", "ab" * 32).expect(0)
    notary("delegation", "add", GUN, "targets/a", "--paths", "p").expect(0)
    plain, shown = notary("status", GUN).expect(0), notary("-v", "status", GUN).expect(0)
    assert plain.out == shown.out
    assert "sha256" not in plain.out + plain.err
    digest = "ab" * 32
    assert [line for line in shown.err.splitlines() if line[:1].isdigit()] == [
        f'0: {{"length": 3, "sha256": "{digest}"}}',
        f'1: {{"length": 0, "sha256": "{digest}"}}',
        '2: {"add_paths": ["p"]}',
    ]


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        (["-n", "1"], ["0", "2", "3"]),
        (["-n", "2,0"], ["1", "3"]),
        (["-n", "0", "--number=1,1"], ["2", "3"]),
        (["--all"], []),
        (["--all", "-n", "0"], []),
    ],
)
def test_reset_drops_changes_by_number(notary: Run, flags: list[str], left: list[str]) -> None:
    notary("witness", GUN, *(f"targets/x{number}" for number in range(4))).expect(0)
    assert notary("reset", GUN, *flags).expect(0).out == RESET
    shown = notary("status", GUN).expect(0).out.splitlines()[4:]
    assert [line.split()[2] for line in shown] == [f"targets/x{number}" for number in left]


def test_reset_of_nothing_is_fine_where_all_is_meant(notary: Run) -> None:
    assert notary("reset", GUN, "--all").expect(0).out == RESET


def test_reset_says_which_number_there_is_not(notary: Run) -> None:
    notary("witness", GUN, "targets").expect(0)
    for given, wrong in (("0,1", 1), ("-1", -1)):
        outcome = notary("reset", GUN, "-n", given).expect(2)
        assert outcome.out == ""
        assert outcome.err.startswith(f"* fatal: there is no staged change {wrong}\n")
    assert notary("status", GUN).expect(0).out != NONE


def test_reset_wants_to_know_what(notary: Run) -> None:
    outcome = notary("reset", GUN).expect(2)
    assert outcome.err == (
        "* fatal: Must specify changes to reset with -n or the --all flag\n  fix: see notary reset --help\n"
    )


# -- witness ---------------------------------------------------------------------------------------


def test_witness_signs_again_and_leaves_out_roles_that_there_are_not(notary: Run, fake: Fake) -> None:
    notary("init", GUN, "-p").expect(0)
    outcome = notary("witness", GUN, "targets", "targets/none", "-p").expect(0)
    assert outcome.out == f"{MARKED}\t- targets\n\t- targets/none\n{ALSO}"
    left_out = f"change 1 (witness of targets/none) is left out: {GUN} has no role targets/none"
    assert outcome.err == f"warning: {left_out}\n"
    assert version(fake, "targets") == 3
    assert notary("status", GUN).expect(0).out == NONE


def test_what_can_never_be_published_is_named_with_its_number(notary: Run, fake: Fake) -> None:
    notary("init", GUN, "-p").expect(0)
    notary("witness", GUN, "targets").expect(0)
    outcome = notary("delegation", "add", GUN, "targets/b", "--paths", "x", "-p")
    assert outcome.code != 0
    assert outcome.out.endswith(f"Auto-publishing changes to {GUN}\n")
    assert "reset" in outcome.err
    assert "-n 1" in outcome.err
    assert version(fake, "targets") == 2  # nothing of it was published
    notary("reset", GUN, "-n", "1").expect(0)
    notary("publish", GUN).expect(0)
    assert version(fake, "targets") == 3


# -- delete ----------------------------------------------------------------------------------------


def test_delete_takes_what_is_known_and_staged_here(notary: Run, fake: Fake, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    notary("witness", GUN, "targets").expect(0)
    (home / ".notary/tuf" / GUN / "changelist" / "junk.change").write_text("no change\n")
    outcome = notary("delete", GUN).expect(0)
    assert outcome.out == f"{DELETING}Successfully deleted local trust data for repository {GUN}\n"
    assert (folder(home, "metadata"), folder(home, "changelist")) == ([], [])
    assert len(list((home / ".notary/private").glob("*.key"))) == 3
    assert version(fake, "root") == 1


def test_delete_of_nothing_says_so_and_makes_nothing(notary: Run, home: Path) -> None:
    outcome = notary("delete", GUN).expect(0)
    assert outcome.out == f"{DELETING}Successfully deleted local trust data for repository {GUN}\n"
    assert outcome.err == f"warning: there was nothing of {GUN} here\n"
    assert not (home / ".notary" / "tuf").exists()


def test_delete_that_fails_leaves_the_root_that_is_trusted(notary: Run, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    staged, before = home / ".notary/tuf" / GUN / "changelist", folder(home, "metadata")
    staged.write_text("no folder")
    outcome = notary("delete", GUN).expect(1)
    assert outcome.err.startswith(f"* fatal: cannot use {staged}\n")
    assert folder(home, "metadata") == before != []


def test_delete_takes_more_than_can_be_read(notary: Run, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    staged = home / ".notary/tuf" / GUN / "changelist"
    notary("witness", GUN, "targets").expect(0)
    [large] = staged.iterdir()
    large.write_bytes(large.read_bytes().ljust(DEFAULT.staged_change_bytes))
    for number in range(16):
        (staged / f"{number}.change").hardlink_to(large)
    assert notary("status", GUN).expect(1).err.startswith(f"* fatal: too much is staged of {GUN}\n")
    notary("delete", GUN).expect(0)
    assert (folder(home, "metadata"), folder(home, "changelist")) == ([], [])


def test_delete_at_the_server_too(notary: Run, fake: Fake, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    notary("witness", GUN, "targets").expect(0)
    deleted = f"{DELETING}Successfully deleted local and remote trust data for repository {GUN}\n"
    outcome = notary("delete", GUN, "--remote").expect(0)
    assert (outcome.out, outcome.err) == (deleted, "")
    assert version(fake, "root") == 0
    assert (folder(home, "metadata"), folder(home, "changelist")) == ([], [])
    outcome = notary("delete", GUN, "--remote").expect(0)
    assert outcome.out == deleted
    assert outcome.err == (
        f"warning: https://{NOTARY_HOST} had no trust data of {GUN}\n"
        f"warning: there was nothing of {GUN} here\n"
    )


def test_what_is_here_stays_where_the_server_cannot_delete(notary: Run, fake: Fake, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    notary("witness", GUN, "targets").expect(0)
    before = folder(home, "metadata")
    Tampering(fake).refuse_connections()
    outcome = notary("delete", GUN, "--remote").expect(8)
    assert outcome.out == DELETING
    assert folder(home, "metadata") == before != []
    assert notary("status", GUN).expect(0).out != NONE


def test_a_server_that_deletes_others_too_takes_a_yes(notary: Run, fake: Fake) -> None:
    other = f"{GUN}-more"
    for gun in (GUN, other):
        notary("init", gun, "-p").expect(0)
    question = "\nAre you sure you want to delete all of these? (yes/no)\n"
    outcome = notary("delete", GUN, "--remote", typed="no\n").expect(2)
    assert outcome.out == f"{DELETING}{question}"
    assert other in outcome.err
    assert version(fake, "root") == version(fake, "root", other) == 1

    def deleted(request: Request, answer: Response) -> Response:
        if request.method == "DELETE":
            fake.notary.store.delete(other, NOW)
        return answer

    fake.after.append(deleted)
    outcome = notary("delete", GUN, "--remote", typed="yes\n").expect(0)
    assert outcome.err.endswith(f"warning: https://{NOTARY_HOST} has deleted {other}, too\n")
    assert version(fake, "root", other) == 0


@pytest.mark.parametrize("command", ["init", "publish", "status", "reset", "delete", "witness"])
def test_a_repository_that_would_be_outside_of_the_trust_directory_is_none(
    notary: Run, home: Path, command: str
) -> None:
    words = {"reset": ["--all"], "witness": ["targets"]}.get(command, [])
    outcome = notary(command, "../outside", *words)
    assert outcome.code == 2
    assert outcome.err.startswith("* fatal: ")
    assert not (home / ".notary" / "outside").exists()
