"""Everything that goes wrong ends with its own exit code, a way out, and an untouched trust directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.services import Endpoint, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run


@pytest.fixture
def signed(alice: Person, bob: Person, repository: Repository) -> Repository:
    """Return a repository of alice's with tag 1 signed, which bob knows already."""
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    return repository


def refused(person: Person, code: int, *arguments: str | Path, **environment: str) -> Run:
    """Insist on an exit code, on the form of the error, and on a trust directory that stays as it was."""
    before = person.files()
    run = person.notarypy(*arguments, **environment).expect(code)
    assert person.files() == before
    assert "notarypy: error: " in run.stderr, run
    assert "\n  fix: " in run.stderr, run
    assert "Traceback" not in run.stderr, run
    return run


def test_a_wrong_passphrase_names_key_and_variable(alice: Person, signed: Repository) -> None:
    signed.push("2")
    run = refused(
        alice, 6, "sign", signed.ref("2"), DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="wrong-passphrase"
    )
    assert '"jeff"' in run.stderr
    assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in run.stderr
    assert "[key.passphrase_wrong]" in run.stderr
    assert "wrong-passphrase" not in run.text


def test_no_passphrase_and_no_terminal_is_no_reason_to_wait(alice: Person, signed: Repository) -> None:
    signed.push("2")
    without = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": ""}
    run = refused(alice, 6, "sign", signed.ref("2"), **without)
    assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in run.stderr
    process = alice.start_notarypy("sign", signed.ref("2"), text=True, **without)
    silent, process.stdin = process.stdin, None  # it stays open: whoever reads it waits until this test fails
    assert programs.collect(process).expect(6).stderr == run.stderr
    assert silent is not None
    silent.close()


def test_a_signer_without_any_key_here(bob: Person, signed: Repository) -> None:
    signed.push("2")
    refused(bob, 6, "sign", signed.ref("2"))


def test_an_unsigned_tag(bob: Person, signed: Repository) -> None:
    signed.push("2")
    refused(bob, 3, "verify", signed.ref("2"))


def test_no_trust_data_at_all(bob: Person, repository: Repository) -> None:
    repository.push("1")
    refused(bob, 3, "verify", repository.ref("1"))


def test_a_tag_that_is_not_in_the_registry(alice: Person, signed: Repository) -> None:
    refused(alice, 3, "sign", signed.ref("none"))


def test_a_server_that_nobody_answers_for(alice: Person, bob: Person, signed: Repository) -> None:
    nowhere = Endpoint(f"localhost:{free_port()}", alice.server.ca)
    for person in (alice, bob):
        person.use(nowhere)
    signed.push("2")
    refused(bob, 8, "verify", "--retry-for", "1", signed.ref("1"))
    refused(alice, 8, "sign", "--retry-for", "1", signed.ref("2"))


def test_a_registry_that_nobody_answers_for(bob: Person) -> None:
    refused(bob, 8, "sign", "--retry-for", "1", f"localhost:{free_port()}/a/b:1")


def test_a_server_with_a_certificate_of_an_unknown_ca(alice: Person, bob: Person, signed: Repository) -> None:
    for person in (alice, bob):
        (person.docker_config / "tls" / person.server.host / "ca.crt").unlink()
    signed.push("2")
    assert "[net.tls]" in refused(bob, 8, "verify", signed.ref("1")).stderr
    refused(alice, 8, "sign", signed.ref("2"))


def test_metadata_that_expired(bob: Person, signed: Repository) -> None:
    before = bob.files()
    run = bob.notarypy_later(20, "verify", signed.ref("1")).expect(5)
    assert bob.files() == before
    assert "expire" in run.stderr


def test_a_tampered_file(bob: Person, front: Gateway, signed: Repository) -> None:
    bob.use(front.endpoint)
    front.rewrite = lambda _path, body: body.replace(b'"version":', b'"version":1')
    refused(bob, 4, "verify", signed.ref("1"))


def test_a_tampered_file_on_first_sight(
    person: Callable[[str], Person], front: Gateway, signed: Repository
) -> None:
    carol = person("carol")
    carol.use(front.endpoint)
    front.rewrite = lambda path, body: body.replace(b"hashes", b"hushes") if "releases" in path else body
    assert "[trust." in carol.notarypy("verify", signed.ref("1")).expect(4).stderr


def test_a_rolled_back_server(alice: Person, bob: Person, front: Gateway, signed: Repository) -> None:
    old: dict[str, bytes] = {}

    def remember(path: str, body: bytes) -> bytes:
        old[path.partition("?")[0]] = body
        return body

    bob.use(front.endpoint)
    front.rewrite = remember
    bob.notarypy("verify", signed.ref("1")).expect(0)
    front.rewrite = lambda _path, body: body
    signed.push("2")
    alice.notarypy("sign", signed.ref("2")).expect(0)
    bob.notarypy("verify", signed.ref("2")).expect(0)
    front.rewrite = lambda path, body: old.get(path.partition("?")[0], body)
    run = refused(bob, 4, "verify", signed.ref("2"))
    assert "[trust.rollback]" in run.stderr


def test_a_registry_that_serves_another_image(bob: Person, signed: Repository) -> None:
    good = bob.notarypy("verify", signed.ref("1")).expect(0).stdout.strip()
    evil = signed.push("1", "evil")
    run = refused(bob, 4, "verify", signed.ref("1"))
    assert evil.digest in run.stderr
    assert good.partition("@")[2] in run.stderr
    assert run.stdout == ""
    assert bob.notarypy("verify", "--no-registry", signed.ref("1")).expect(0).stdout == f"{good}\n"


def test_nothing_makes_a_new_root_after_the_server_lost_the_repository(
    alice: Person, bob: Person, person: Callable[[str], Person], signed: Repository
) -> None:
    _, certificate = alice.new_key("carol")
    alice.notarypy("verify", signed.ref("1")).expect(0)
    person("operator").notary("delete", signed.name, "--remote").expect(0)
    signed.push("2")
    for arguments in (
        ("init", signed.name),
        ("sign", signed.ref("2")),
        ("sign", "--init", signed.ref("2")),
        ("verify", signed.ref("1")),
        ("inspect", signed.name),
        ("signer", "add", "--key", certificate, "carol", signed.name),
        ("signer", "remove", "jeff", signed.name),
        ("signer", "list", signed.name),
        ("delegate", "list", signed.name),
    ):
        assert "[trust.repo_vanished]" in refused(alice, 4, *arguments).stderr
    refused(bob, 4, "verify", signed.ref("1"))
    assert "does not have trust data" in person("carol").notary("list", signed.name).expect(1).text


@pytest.mark.parametrize("gun", ["../../up", "a/../../up", "/absolute", "a//b", "a\\b", "a\x01b", ".."])
def test_a_name_that_would_leave_the_trust_directory(alice: Person, gun: str) -> None:
    everything = sorted(alice.home.rglob("*"))
    alice.notarypy("init", "--gun", gun).expect(2)
    alice.notarypy("verify", f"localhost:5000/{gun}:1").expect(2)
    assert sorted(alice.home.rglob("*")) == everything


def test_all_references_are_read_before_a_request(alice: Person, front: Gateway, signed: Repository) -> None:
    alice.use(front.endpoint)
    refused(alice, 2, "verify", signed.ref("1"), "NOT A REFERENCE")
    assert front.seen == []


def test_the_worst_code_wins_and_the_rest_is_tried(bob: Person, signed: Repository) -> None:
    signed.push("2")
    run = bob.notarypy("--json", "verify", signed.ref("2"), signed.ref("1")).expect(3)
    (first, second) = run.document["results"]
    assert (first["ok"], first["error"]["code"], first["error"]["exit"]) == (False, "trust.tag_unsigned", 3)
    assert second["ok"] is True


def test_verify_prints_nothing_on_stdout_unless_all_passed(bob: Person, signed: Repository) -> None:
    signed.push("2")
    assert refused(bob, 3, "verify", signed.ref("1"), signed.ref("2")).stdout == ""
