"""Every document of `--json` fits the schema in docs/, and the page about it names what there is."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.results import ImportedKey, PolicyFiles
from notarypy.client.workers import Outcome
from notarypy.errors import ConflictError, RepositoryMissingError, UnreachableError
from support.commands import written
from support.results import (
    ADDED,
    ADDED_KEY,
    BACKED_UP,
    CHECKED_KEY,
    COPIED,
    D1,
    D2,
    DELETED,
    EVENTS,
    EXAMINED,
    EXPORTED,
    IMPORTED,
    INITIALISED,
    INSPECTION,
    JEFF,
    KEY,
    LOGGED_IN,
    LOGGED_OUT,
    MIGRATED_KEYS,
    OFFERED,
    OTHER_PIN,
    OVERVIEW,
    PRESENT,
    PULLED,
    PURGED,
    PUSHED,
    RELEASES,
    REMOVED,
    RENEWED,
    REPO,
    REPORTED,
    REPUBLISHED,
    RESIGNED,
    RESIGNED_FOR_NOTATION,
    RESTORED,
    ROTATED,
    STATUS,
    STORED,
    TARGETS_KEY,
    image,
    revoked,
    signed,
)
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.errors import Advice
    from support.commands import Run, StubClient

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "schemas" / "notarypy.json").read_text())
PAGE = (DOCS / "json.md").read_text()

COMMANDS: dict[str, tuple[list[str], str, Any]] = {
    "init": (["init", REPO], "init", INITIALISED),
    "sign": (
        ["sign", REPO],
        "sign",
        [signed(previous=D2, platforms=("linux/amd64",), also_old=("targets/x",))],
    ),
    "verify": (["verify", REPO], "verify_unless_skipped", image()),
    "push": (["push", "oci:x", REPO], "images.push", PUSHED),
    "pull": (["pull", REPO, "oci:x"], "images.pull", PULLED),
    "copy": (["copy", "--sign", REPO, f"{REPO}:2"], "images.copy", COPIED),
    "export": (["export", REPO, "-o", "trust.tar"], "archives.export", EXPORTED),
    "import": (["import", "trust.tar", REPO], "archives.import_repository", IMPORTED),
    "backup": (["backup", "b.tar"], "upkeep.backup", BACKED_UP),
    "restore": (["restore", "b.tar"], "upkeep.restore", RESTORED),
    "revoke": (["revoke", REPO], "revoke", [revoked(), revoked(digest=None, still=("targets",))]),
    "inspect": (["inspect", REPO], "inspect", INSPECTION),
    "delegate add": (["delegate", "add", "--key", "k", "jeff", REPO], "add_signer", ADDED),
    "signer add": (
        ["signer", "add", "--key", "k", "jeff", REPO],
        "add_signer",
        replace(ADDED, created=INITIALISED),
    ),
    "delegate remove": (["delegate", "remove", "jeff", REPO], "remove_signer", REMOVED),
    "signer remove": (["signer", "remove", "jeff", REPO], "remove_signer", REMOVED),
    "delegate purge": (["delegate", "purge", "--key", KEY.keyid, REPO], "keys.purge", PURGED),
    "delegate list": (["delegate", "list", REPO], "delegations", (JEFF, RELEASES)),
    "signer list": (["signer", "list", REPO], "delegations", ()),
    "key generate": (["key", "generate", "jeff"], "keys.generate", (STORED, b"public")),
    "key load": (["key", "load", "k"], "keys.load", [STORED, PRESENT]),
    "key list": (["key", "list"], "keys.list", [KEY, TARGETS_KEY]),
    "key export": (["key", "export", "jeff"], "keys.find", KEY),
    "key import": (["key", "import", "k"], "keys.import_", [ImportedKey(KEY, already=False)]),
    "key add": (["key", "add", "token:one"], "keys.add", ADDED_KEY),
    "key test": (["key", "test", "jeff"], "keys.test", CHECKED_KEY),
    "key migrate": (["key", "migrate"], "keys.migrate", MIGRATED_KEYS),
    "key rename": (["key", "rename", "jeff", "bob"], "keys.rename", KEY),
    "key passwd": (["key", "passwd", "jeff"], "keys.change_passphrase", KEY),
    "key remove": (["key", "remove", "--yes", "jeff"], "keys.remove", KEY),
    "key certify": (["key", "certify", REPO, "-o", "jeff.pub"], "keys.certify", ("a" * 64, b"a certificate")),
    "key rotate": (["key", "rotate", REPO, "targets"], "keys.rotate", ROTATED),
    "status": (["status", REPO], "status", STATUS),
    "doctor": (["doctor", REPO], "upkeep.doctor", EXAMINED),
    "renew": (["renew", REPO], "renew", RENEWED),
    "history": (["history", REPO], "history", lambda *_, **__: (event for event in EVENTS)),
    "report": (["report", REPO], "overview", OVERVIEW),
    "login": (["login", "-u", "jo", "--password-stdin", "registry.test"], "images.login", LOGGED_IN),
    "logout": (["logout", "registry.test"], "images.logout", LOGGED_OUT),
    "migrate cosign": (
        ["migrate", "cosign", "--key", "k", f"{REPO}:1"],
        "migration.cosign",
        lambda *_, **__: (one for one in [(f"{REPO}:1", Outcome(RESIGNED))]),
    ),
    "migrate notation": (
        ["migrate", "notation", "--key", "k", "--cert", "k", f"{REPO}:1"],
        "migration.notation",
        lambda *_, **__: (one for one in [(f"{REPO}:1", Outcome(RESIGNED_FOR_NOTATION))]),
    ),
    "migrate report": (
        ["migrate", "report", "--key", "k", REPO],
        "migration.report",
        lambda *_, **__: (one for one in [Outcome(REPORTED)]),
    ),
    "migrate policy": (
        ["migrate", "policy", "--for", "containers", "--key", "k", "-o", "out", REPO],
        "migration.policy",
        PolicyFiles("containers", {"policy.json": "{}\n", "registries.d/notarypy.yaml": "# one\n"}, ("one",)),
    ),
    "trust": (["trust", REPO, "--root", OTHER_PIN], "trust", replace(OFFERED, accepted=True)),
    "forget": (["forget", "--yes", REPO], "forget", True),
    "delete": (["delete", "--remote", "--confirm", REPO, REPO], "upkeep.delete", DELETED),
    "republish": (["republish", REPO], "upkeep.republish", REPUBLISHED),
}


@pytest.fixture(autouse=True)
def key_file(home: Path, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    written(home / "k", "a key")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"s3cret")))
    stub.answers["keys.export"] = b"PEM"
    stub.answers["keys.find"] = KEY


@pytest.mark.parametrize("command", COMMANDS)
def test_a_success_fits_the_schema(run: Run, stub: StubClient, command: str) -> None:
    argv, method, answer = COMMANDS[command]
    stub.answers[method] = answer
    document = run("--json", *argv).expect(0).document
    assert document["command"] == command
    assert document["results"]
    assert problems(document, SCHEMA) == []
    assert not any(
        problems(result, SCHEMA["$defs"]["failed"], SCHEMA) == [] for result in document["results"]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_failure_fits_the_schema(
    run: Run, stub: StubClient, saying: Callable[[str], Advice], command: str
) -> None:
    argv, method, _ = COMMANDS[command]
    wait = saying("wait")
    stub.answers[method] = UnreachableError("gone", why=("a", "b"), advice=wait, host="n.test", tries=3)
    document = run("--json", *argv).expect(8).document
    assert problems(document, SCHEMA) == []
    error = (
        document["error"] if command in {"key list", "migrate report"} else document["results"][0]["error"]
    )
    assert error == {
        "code": "net.unreachable",
        "exit": 8,
        "message": "gone",
        "why": ["a", "b"],
        "facts": {"host": "n.test", "tries": 3},
        "fix": "wait",
        "retryable": True,
    }


@pytest.mark.parametrize(
    "argv", [[], ["nothing"], ["verify", "NOT ONE"], ["forget", REPO], ["trust", "--root", "1", REPO]]
)
def test_a_document_without_results_fits_the_schema(run: Run, argv: list[str]) -> None:
    document = run("--json", *argv).expect(2).document
    assert problems(document, SCHEMA) == []
    assert document["error"]["exit"] == 2


def test_an_unsettled_root_fits_the_schema(run: Run, stub: StubClient) -> None:
    stub.answers["offered_root"] = OFFERED
    document = run("--json", "trust", REPO).expect(2).document
    assert problems(document, SCHEMA) == []
    assert document["results"][0]["error"]["code"] == "usage.confirmation"


def test_an_interruption_keeps_what_was_done(run: Run, stub: StubClient) -> None:
    waiting: list[Any] = [[signed()], ConflictError("busy"), KeyboardInterrupt()]
    stub.answers["sign"] = lambda *_, **__: waiting.pop(0)
    document = run("--json", "sign", REPO, "b.test/b", "c.test/c", "d.test/d").expect(130).document
    assert problems(document, SCHEMA) == []
    assert [result["ok"] for result in document["results"]] == [True, False]
    assert document["error"]["code"] == "interrupted"


def test_an_exported_file_fits_the_schema(run: Run, stub: StubClient) -> None:
    stub.answers["keys.find"] = KEY
    document = run("--json", "key", "export", "jeff", "-o", "out").expect(0).document
    assert problems(document, SCHEMA) == []
    assert document["results"][0]["file"] == "out"


def test_the_schema_refuses_what_does_not_fit() -> None:
    good: dict[str, Any] = {
        "schema": 1,
        "command": "forget",
        "exit": 0,
        "results": [],
        "warnings": [],
        "first_use": [],
    }
    assert problems(good, SCHEMA) == []
    for change in (
        {"schema": 2},
        {"exit": "0"},
        {"exit": True},
        {"extra": 1},
        {"results": [{"ref": REPO, "ok": True}]},
        {"results": [{"ref": REPO, "ok": True, "forgotten": True, "extra": 1}]},
        {"results": [{"ref": REPO, "ok": False}]},
        {"command": "trust", "results": [{"ref": REPO, "ok": True, "forgotten": True}]},
        {"error": {"code": "usage"}},
    ):
        assert problems({**good, **change}, SCHEMA), change
    assert problems({}, SCHEMA)
    assert problems(D1.upper(), SCHEMA["$defs"]["digest"])


def test_the_page_shows_a_document_that_fits() -> None:
    example, request = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert problems(json.loads(example), SCHEMA) == []
    asked = json.loads((DOCS / "schemas" / "verify-request.json").read_text())
    assert problems(json.loads(request), asked) == []


def test_the_page_names_every_member(run: Run, stub: StubClient) -> None:
    rows = dict(re.findall(r"^\| (`[a-z`, ]+`) \| (.*) \|$", PAGE, re.MULTILINE))
    told = {command: row for commands, row in rows.items() for command in re.findall("`(.*?)`", commands)}
    assert told.keys() == COMMANDS.keys() | {"completion"}
    for command, (argv, method, answer) in COMMANDS.items():
        stub.answers[method] = answer
        (result, *_) = run("--json", *argv).expect(0).document["results"]
        Path("jeff.pub").unlink(missing_ok=True)
        members = set(re.findall("`(.*?)`", told[command])) - ({"file"} if command == "key export" else set())
        assert members == result.keys() - {"ref", "ok"}, command


def test_a_script_of_completion_fits_the_schema(run: Run) -> None:
    document = run("--json", "completion", "bash").expect(0).document
    assert problems(document, SCHEMA) == []
    assert document["results"][0].keys() == {"ref", "ok", "script"}


def test_a_failed_result_may_say_more_than_its_error(run: Run, stub: StubClient) -> None:
    stub.answers["inspect"] = RepositoryMissingError("nothing")
    (result,) = run("--json", "inspect", REPO).expect(3).document["results"]
    assert result.keys() == {"ref", "ok", "error"}
