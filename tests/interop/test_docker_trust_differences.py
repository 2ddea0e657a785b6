"""Where `docker-trust` differs from docker on purpose: the rows of docs/docker-trust.md, both sides."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from docs import pages
from interop.harness.people import REPOSITORY_PASSPHRASE
from interop.harness.programs import openssl
from interop.harness.sides import LOCAL, PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.sides import Side, Sides

    Row = Callable[[Sides], None]

WRONG = {PASSPHRASE: "a wrong passphrase"}
ASKED = re.compile(r"^Enter passphrase for new (\S+) key with ID ([0-9a-f]{7}): ", re.MULTILINE)
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    """Take a function for the test of a row."""

    def note(test: Row) -> Row:
        ROWS[name] = test
        return test

    return note


def begin(sides: Sides) -> None:
    """Make jeff a signer of both repositories, and sign tag 1 of them."""
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")
    sides.agree("signer", "add", "--key", "{H}/jeff.crt", "jeff", "{R}")
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.agree("sign", "{R}:1")


def signers(side: Side) -> list[str]:
    run = side.run("inspect", "{R}").expect(0)
    return [signer["Name"] for signer in json.loads(run.stdout)[0]["Signers"]]


@row("sign-source")
def what_is_signed_comes_from_the_registry(sides: Sides) -> None:
    begin(sides)
    pushed = {}

    def change(side: Side) -> None:
        pushed[side.program] = side.publish(side.repository, "2", "pushed")[7:]
        side.person.build(side.repository.ref("2"), "only in the daemon")

    sides.each(change)
    theirs, ours = sides.run("sign", "{R}:2")
    assert (theirs.code, ours.code) == (0, 0)
    assert LOCAL.search(theirs.stderr)
    assert ours.stderr == ""
    assert list(sides.docker.signed("2")) != [pushed[sides.docker.program]]
    assert list(sides.ours.signed("2")) == [pushed[sides.ours.program]]


@row("sign-image-missing")
def an_image_that_only_the_daemon_has_is_not_pushed_unasked(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: side.person.build(side.repository.ref("2")))
    theirs, ours = sides.run("sign", "{R}:2")
    assert (theirs.code, ours.code) == (0, 1)
    assert "sign --local" in ours.stderr
    theirs, ours = sides.run("sign", "{R}:none")
    assert (theirs.code, ours.code) == (1, 1)
    assert "no such image" in theirs.stderr
    assert "has no none in" in ours.stderr


@row("sign-moved")
def a_moved_tag_is_signed_as_it_is_now(sides: Sides) -> None:
    begin(sides)
    old = {side.program: list(side.signed()) for side in (sides.docker, sides.ours)}
    new = {
        side.program: [side.publish(side.repository, "1", "moved")[7:]] for side in (sides.docker, sides.ours)
    }
    theirs, ours = sides.run("sign", "{R}:1")
    assert (theirs.code, ours.code) == (0, 0)
    assert list(sides.docker.signed()) == old[sides.docker.program]
    assert list(sides.ours.signed()) == new[sides.ours.program]
    assert "was sha256:" in ours.stderr


@row("sign-index")
def an_index_is_signed_as_the_index(sides: Sides) -> None:
    begin(sides)
    indexes = {side.program: side.repository.push_index("multi") for side in (sides.docker, sides.ours)}
    theirs, ours = sides.run("sign", "{R}:multi")
    assert (theirs.code, ours.code) == (1, 0)
    assert "no such image" in theirs.stderr
    assert list(sides.ours.signed("multi")) == [indexes[sides.ours.program].sha256]


@row("sign-locked")
def a_key_that_stays_locked_is_no_success(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: side.publish(side.repository, "1", "moved"))
    theirs, ours = sides.run("sign", "{R}:1", **WRONG)
    assert (theirs.code, ours.code) == (0, 1)
    assert "Successfully signed" in theirs.stdout
    assert "Successfully signed" not in ours.stdout
    assert 'cannot unlock key "' in ours.stderr
    sides.run("sign", "{R}:1")
    theirs, ours = sides.run("sign", "{R}:1", **WRONG)
    assert (theirs.code, ours.code) == (0, 0)
    assert "Successfully signed" in ours.stdout


@row("sign-output")
def what_was_not_done_is_not_printed(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: side.publish(side.repository, "2"))
    theirs, ours = sides.run("sign", "{R}:2", **WRONG)
    assert (theirs.code, ours.code) == (1, 1)
    assert "Signing and pushing trust metadata" in theirs.stdout
    assert ours.stdout == ""


@row("sign-progress")
def a_push_goes_without_a_word(sides: Sides) -> None:
    begin(sides)
    theirs, ours = sides.run("sign", "--local", "{R}:1")
    assert "The push refers to repository" in theirs.stdout
    assert "The push refers to repository" not in ours.stdout


@row("first-signer")
def without_a_login_nothing_is_made(sides: Sides) -> None:
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.each(lambda side: (side.person.docker_config / "config.json").unlink())
    theirs, ours = sides.run("sign", "{R}:1")
    assert (theirs.code, ours.code) == (1, 1)
    assert "invalid delegation role name" in theirs.stderr
    assert "a signer is named after the login" in ours.stderr
    assert list(sides.docker.person.trust_dir.glob("private/*.key"))
    assert not list(sides.ours.person.trust_dir.glob("private/*.key"))


@row("signer-remove")
def a_signer_is_really_removed(sides: Sides) -> None:
    begin(sides)
    sides.agree("key", "load", "{H}/jo.pem", "--name", "jo")
    sides.agree("signer", "add", "--key", "{H}/jo.crt", "jo", "{R}")
    theirs, ours = sides.run("signer", "remove", "jo", "{R}")
    assert (theirs.code, ours.code) == (0, 0)
    assert signers(sides.docker) == ["jo", "jeff"]
    assert signers(sides.ours) == ["jeff"]
    assert "Successfully removed jo from " in ours.stdout
    assert "Successfully" not in theirs.stdout
    assert sides.ours.run("signer", "remove", "jeff", "{R}").code == 1
    assert signers(sides.ours) == ["jeff"]
    assert sides.ours.run("signer", "remove", "-f", "jeff", "{R}").code == 0
    assert signers(sides.ours) == []


@row("no-answer")
def no_answer_is_no_success(sides: Sides) -> None:
    begin(sides)
    theirs, ours = sides.run("revoke", "{R}")
    assert (theirs.code, ours.code) == (0, 1)
    assert "add --yes" in ours.stderr
    assert sides.ours.signed()


@row("revoke-released")
def a_tag_that_stays_released_is_not_called_revoked(sides: Sides) -> None:
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.each(lambda side: side.person.docker_trusting("push", side.repository.ref("1")).expect(0))
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")
    sides.agree("signer", "add", "--key", "{H}/jeff.crt", "jeff", "{R}")
    sides.agree("sign", "{R}:1")

    def without_the_repository_key(side: Side) -> None:
        for key in side.person.trust_dir.glob("private/*.key"):
            if "role: targets" in key.read_text():
                key.unlink()

    sides.each(without_the_repository_key)
    theirs, ours = sides.run("revoke", "{R}:1")
    assert (theirs.code, ours.code) == (0, 1)
    assert "Successfully deleted signature" in theirs.stdout
    assert "still released" in ours.stderr
    assert list(sides.docker.signed().values()) == [["Repo Admin"]]


@row("stale")
def a_server_that_cannot_be_asked_is_an_error(sides: Sides) -> None:
    begin(sides)
    theirs, ours = sides.run("inspect", "{R}", DOCKER_CONTENT_TRUST_SERVER="https://localhost:1")
    assert (theirs.code, ours.code) == (0, 1)
    assert json.loads(theirs.stdout)[0]["Signers"]
    assert ours.stdout == "[]\n"


@row("tls")
def the_servers_certificate_counts(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: shutil.rmtree(side.person.docker_config / "tls"))
    theirs, ours = sides.run("inspect", "{R}")
    assert (theirs.code, ours.code) == (0, 1)
    assert "certificate" in ours.stderr


@row("plain-http")
def a_server_on_loopback_may_speak_http(sides: Sides) -> None:
    theirs, ours = sides.run("inspect", "{R}", DOCKER_CONTENT_TRUST_SERVER="http://localhost:1")
    assert (theirs.code, ours.code) == (1, 1)
    assert "valid https URL required" in theirs.stderr
    assert "cannot connect to localhost:1" in ours.stderr


@row("staged")
def what_go_notary_staged_stays(sides: Sides) -> None:
    begin(sides)

    def stage(side: Side) -> None:
        hashed = ("1", "--sha256", "0" * 64)
        side.person.notary("addhash", side.repository.name, "waiting", *hashed).expect(0)

    sides.each(stage)
    theirs, ours = sides.run("sign", "{R}:1")
    assert (theirs.code, ours.code) == (0, 0)
    left = [
        "waiting" in side.person.notary("status", side.repository.name).expect(0).stdout
        for side in (sides.docker, sides.ours)
    ]
    assert left == [False, True]


@row("no-passphrase")
def nobody_is_asked_where_nobody_is(sides: Sides) -> None:
    theirs, ours = sides.run("key", "generate", "kim", "--dir", "{H}", **{PASSPHRASE: ""})
    assert (theirs.code, ours.code) == (1, 1)
    assert theirs.stdout.count("Enter passphrase") == 12
    assert ours.stdout == "Generating key for kim...\n"
    assert f"fix: set {PASSPHRASE}\n" in ours.stderr


def ask_all(*also: str) -> dict[str, str]:
    """Return the environment in which passphrases are asked for."""
    return dict.fromkeys((PASSPHRASE, *also), "")


@row("passphrase-order")
def passphrases_are_asked_for_in_another_order(sides: Sides) -> None:
    sides.each(lambda side: side.publish(side.repository, "1"))
    nothing = ask_all("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE")
    theirs, ours = sides.run("sign", "{R}:1", text="a passphrase\n" * 6, **nothing)
    assert ours.code == 0
    assert [name for name, _ in ASKED.findall(theirs.stdout)][:2] == ["root", "repository"]
    assert [name for name, _ in ASKED.findall(ours.stdout)] == [
        "alice",
        "root",
        "repository",
    ]
    assert "You are about to create a new root" in theirs.stdout
    assert "You are about to create a new root" not in ours.stdout


@row("typed-after-variable")
def after_a_wrong_variable_somebody_is_asked(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: side.publish(side.repository, "2"))
    theirs, ours = sides.run("sign", "{R}:2", text=f"{REPOSITORY_PASSPHRASE}\n", **WRONG)
    assert (theirs.code, ours.code) == (1, 0)


@row("load-encrypted")
def a_key_of_an_encrypted_file_gets_a_new_passphrase(sides: Sides) -> None:
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")

    def export(side: Side) -> None:
        (key,) = side.person.trust_dir.glob("private/*.key")
        kept = [line for line in key.read_text().splitlines() if not line.startswith("path:")]
        (side.person.home / "kept.pem").write_text("\n".join([*kept, ""]))
        (side.person.home / "kept.pem").chmod(0o600)
        key.unlink()

    sides.each(export)
    typed = f"{REPOSITORY_PASSPHRASE}\n" + "another passphrase\n" * 2
    theirs, ours = sides.run("key", "load", "{H}/kept.pem", text=typed, **ask_all())
    assert (theirs.code, ours.code) == (0, 0), f"{theirs}\n{ours}"
    assert ASKED.findall(theirs.stdout) == []
    assert [name for name, _ in ASKED.findall(ours.stdout)] == ["jeff"]


@row("short-passphrase")
def a_passphrase_has_eight_characters(sides: Sides) -> None:
    theirs, ours = sides.run("key", "generate", "kim", "--dir", "{H}", **{PASSPHRASE: "short"})
    assert (theirs.code, ours.code) == (0, 1)
    assert "too short" in ours.stderr


@row("reserved-names")
def names_of_roles_are_no_names_of_signers(sides: Sides) -> None:
    for name in ("targets", "root", "releases"):
        theirs, ours = sides.run("key", "generate", name, "--dir", "{H}")
        assert (theirs.code, ours.code) == (0, 1)
    theirs, ours = sides.run("signer", "add", "--key", "{H}/jo.crt", "targets", "{R}")
    assert (theirs.code, ours.code) == (0, 1)
    assert "reserved" in ours.stderr


@row("loaded-twice")
def a_key_keeps_its_name(sides: Sides) -> None:
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")
    theirs, ours = sides.run("key", "load", "{H}/jeff.pem", "--name", "other")
    assert (theirs.code, ours.code) == (0, 1)
    assert "already, as jeff" in ours.stderr


@row("kinds-of-keys")
def more_kinds_of_key_files_are_read(sides: Sides) -> None:
    def encrypt(side: Side) -> None:
        home = side.person.home
        openssl(
            *("pkcs8", "-topk8", "-in", home / "jo.pem", "-out", home / "encrypted.pem"),
            *("-passout", "pass:a passphrase of its own"),
        )
        (home / "encrypted.pem").chmod(0o600)

    sides.each(encrypt)
    theirs, ours = sides.run("key", "load", "{H}/jeff.key", "--name", "jeff")
    assert (theirs.code, ours.code) == (1, 0)
    line = ("key", "load", "{H}/encrypted.pem", "--name", "jo")
    theirs, ours = sides.run(*line, text="a passphrase of its own\n")
    assert (theirs.code, ours.code) == (1, 0), f"{theirs}\n{ours}"


@row("weak-rsa")
def a_weak_rsa_key_is_refused(sides: Sides) -> None:
    def make(side: Side) -> None:
        openssl("genrsa", "-traditional", "-out", side.person.home / "weak.pem", "1024")
        (side.person.home / "weak.pem").chmod(0o600)

    sides.each(make)
    theirs, ours = sides.run("key", "load", "{H}/weak.pem", "--name", "weak")
    assert (theirs.code, ours.code) == (0, 1)
    assert "1024 bits" in ours.stderr


@row("broken-block")
def a_file_is_loaded_whole_or_not_at_all(sides: Sides) -> None:
    def spoil(side: Side) -> None:
        broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        with (side.person.home / "jo.pem").open("a") as stream:
            stream.write(broken)

    sides.each(spoil)
    theirs, ours = sides.run("key", "load", "{H}/jo.pem", "--name", "jo")
    assert (theirs.code, ours.code) == (0, 1)
    held = [bool(list(side.person.trust_dir.glob("private/*.key"))) for side in (sides.docker, sides.ours)]
    assert held == [True, False]


@row("copied-key")
def a_copied_key_is_really_loaded(sides: Sides) -> None:
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")

    def move(side: Side) -> None:
        (key,) = side.person.trust_dir.glob("private/*.key")
        key.rename(side.person.home / "copied.key")

    sides.each(move)
    sides.agree("key", "load", "{H}/copied.key")
    held = [bool(list(side.person.trust_dir.glob("private/*.key"))) for side in (sides.docker, sides.ours)]
    assert held == [False, True]


@row("reasons")
def what_is_known_beyond_dockers_text_is_said(sides: Sides) -> None:
    begin(sides)
    sides.each(lambda side: side.publish(side.repository, "2"))
    theirs, ours = sides.run("sign", "{R}:2", **WRONG)
    assert "could not find necessary signing keys" in theirs.stderr
    assert f"  why: tried {PASSPHRASE}" in ours.stderr
    theirs, ours = sides.run("sign", "UPPER:1")
    assert [run.stderr.startswith("invalid reference format: ") for run in (theirs, ours)] == [True, True]
    assert theirs.stderr != ours.stderr


@row("help")
def help_has_other_words(sides: Sides) -> None:
    for line in ("--help", "sign --help", "signer remove --help", "key load --help"):
        theirs, ours = sides.run(*line.split())
        assert (theirs.code, ours.code) == (0, 0)
        assert theirs.stdout != ours.stdout
        heads = [run.stdout.strip().splitlines()[0] for run in (theirs, ours)]
        assert heads[0] == heads[1]
        flags = [[word for word in run.stdout.split() if word.startswith("-")] for run in (theirs, ours)]
        assert flags[0] == flags[1]


def test_every_row_of_the_page_is_shown_here() -> None:
    listed = [pages.code(cells[0]) for cells in pages.table(pages.read("docs/docker-trust.md"), "row")]
    assert listed == list(ROWS)


@pytest.mark.parametrize("name", list(ROWS))
def test_the_two_differ_as_the_page_says(sides: Sides, name: str) -> None:
    ROWS[name](sides)


def test_the_last_signer_is_asked_about(sides: Sides) -> None:
    sides.agree("key", "generate", "kim", "--dir", "{H}")
    sides.agree("signer", "add", "--key", "{H}/kim.pub", "kim", "{R}")
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.agree("sign", "{R}:1")
    for text, codes, left in (("yes\n", (0, 1), ["kim"]), ("y\n", (0, 0), [])):
        theirs, ours = sides.run("signer", "remove", "kim", "{R}", text=text)
        assert (theirs.code, ours.code) == codes
        assert ours.stdout.partition("? [y/N]")[0][-40:] == theirs.stdout.partition("? [y/N]")[0][-40:]
        assert signers(sides.docker) == signers(sides.ours) == left


# -- the plugin ------------------------------------------------------------------------------------


def test_docker_runs_the_plugin(alice: Person, repository: Repository) -> None:
    alice.notarypy("install-plugin", "--name", "dct").expect(0)
    listed = json.loads(alice.docker("info", "--format", "{{json .ClientInfo.Plugins}}").stdout)
    assert [(plugin["Name"], plugin["Vendor"], plugin.get("Err")) for plugin in listed] == [
        ("dct", "notarypy", None)
    ]
    _, certificate = alice.new_key("jeff")
    alice.docker("dct", "signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    assert alice.docker("dct", "inspect", repository.name).stdout == alice.inspection(repository.name)
    moved = alice.docker_config.rename(alice.home / "moved")
    run = alice.docker("--config", moved, "-D", "dct", "inspect", repository.name, DOCKER_CONFIG="")
    assert json.loads(run.expect(0).stdout)[0]["Signers"]
    assert (
        alice.docker("--config", moved, "dct", "sign")
        .expect(1)
        .stderr.startswith("docker: 'docker dct sign' requires 1 argument\n")
    )
    assert (
        alice.docker("--config", moved, "help", "dct")
        .expect(0)
        .stdout.startswith("Usage:  docker dct COMMAND")
    )


def test_a_docker_with_trust_of_its_own_says_that_the_plugin_is_not_used(alice: Person) -> None:
    alice.notarypy("install-plugin").expect(0)
    assert 'plugin "trust" duplicates builtin command' in alice.docker("info").stderr
    theirs = alice.docker("trust", "--help").expect(0).stdout
    assert "Management Commands:\n  key         Manage keys for signing Docker images\n" in theirs
