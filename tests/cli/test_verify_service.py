"""`verify` by a service: the same in every word as without one."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli import byservice
from notarypy.cli.declared import GLOBAL_OPTIONS
from notarypy.client.api import Client
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.limits import Limits
from notarypy.service.verifier import Verifier
from notarypy.service.verifyrequest import PendingRequest
from support.author import NOW
from support.commands import written
from support.cosigner import Cosigner
from support.people import manifest, prepared
from support.results import D1, PIN, image
from support.schema import problems
from support.service import fake_service, whole

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from notarypy.devserver.core import Fake
    from support.commands import Outcome, Run, StubClient
    from support.service import FakeService

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
ANSWER, REQUEST, COMMAND = (
    json.loads((SCHEMAS / f"{name}.json").read_text())
    for name in ("verify-answer", "verify-request", "notarypy")
)
REPO, AUDITED, OTHER = (f"{REGISTRY_HOST}/{name}" for name in ("app", "audited", "other"))
GONE, SKIPPED, BESIDE = (f"{REGISTRY_HOST}/{name}" for name in ("gone", "skipped", "beside"))


@pytest.fixture
def lab(run: Run, fake: Fake, home: Path) -> dict[str, Any]:
    """Publish images of every kind, and write a policy that everybody obeys here."""
    found = prepared(fake, home, __name__, lambda: _lab(run, fake, home))
    found["key"] = copy(found["key"])  # others have it, too, with servers of their own
    found["key"].registry = fake.registry
    return found


def _lab(run: Run, fake: Fake, home: Path) -> dict[str, Any]:
    run("key", "generate", "jeff").expect(0)
    found: dict[str, Any] = {"key": Cosigner(fake, "app")}
    (home / "cosign.pub").write_bytes(found["key"].pem)
    pins = {}
    for repo in (REPO, AUDITED, OTHER):
        name = repo.partition("/")[2]
        digests = [fake.registry.push(name, tag, manifest(f"{name}{tag}"), OCI_MANIFEST) for tag in "123"]
        fake.registry.push(name, "latest", manifest("new"), OCI_MANIFEST)
        run("signer", "add", "--key", "jeff.pub", "jeff", repo).expect(0)
        run("sign", f"{repo}:1", f"{repo}:2", f"{repo}:latest").expect(0)
        fake.registry.push(name, "2", manifest("moved"), OCI_MANIFEST)
        (result,) = run("inspect", "--json", repo).expect(0).document["results"]
        pins[repo] = result["root_keys"]
        found[name] = digests
    fake.registry.push("skipped", "1", manifest("skipped"), OCI_MANIFEST)
    found["key"].sign(found["app"][0], f"{REPO}:1")
    policy = home / ".config" / "notarypy" / "policy.toml"
    policy.parent.mkdir(parents=True)
    policy.write_text(
        f'[scope."{REPO}"]\nroots.ids = {pins[REPO]}\nsigners.all = ["jeff"]\n'
        f'[scope."{AUDITED}"]\nroots.ids = {pins[AUDITED]}\nmode = "audit"\nsigners.all = ["bob", "eve"]\n'
        f'[scope."{OTHER}"]\nroots.ids = ["{"0" * 64}"]\n'
        f'[scope."{GONE}"]\nroots.ids = ["{"0" * 64}"]\n'
        f'[scope."{SKIPPED}"]\nmode = "skip"\n'
    )
    found["pin"] = pins[REPO][0]
    return found


@pytest.fixture
def service(lab: dict[str, Any], fake: Fake) -> Iterator[FakeService]:  # noqa: ARG001 - published before
    """Run a service over a real verifier that has the settings of this home."""
    settings = Client.from_environment(trust_dir=Path("service-trust").absolute()).settings
    verifier = Verifier(settings, transport=fake, now=lambda: NOW)
    with fake_service() as made:

        def answer(body: bytes, _: socket.socket) -> bytes:
            pending = PendingRequest(verifier, body)
            for future in pending.futures:
                future.result(30)
            return whole(400 if pending.refused else 200, pending.answer())

        made.answer = answer
        yield made
    verifier.close()


CASES = [
    (0, [f"{REPO}:1"]),
    (0, [REPO]),
    (0, [f"{REPO}@DIGEST"]),
    (0, [f"{REPO}:1@DIGEST"]),
    (4, [f"{REPO}:1@sha256:{'0' * 64}"]),
    (3, [f"{REPO}@sha256:{'0' * 64}"]),
    (4, [f"{REPO}:2"]),
    (3, [f"{REPO}:3"]),
    (3, [f"{REPO}:none"]),
    (0, [f"{REPO}:1", f"{REPO}:1", REPO]),
    (4, [f"{REPO}:1", f"{REPO}:2", f"{REPO}:3", f"{OTHER}:1", f"{GONE}:1", f"{BESIDE}:1", f"{AUDITED}:1"]),
    (0, [f"{AUDITED}:1"]),
    (4, [f"{AUDITED}:1", f"{AUDITED}:2", f"{AUDITED}:latest"]),
    (4, [f"{OTHER}:1", f"{OTHER}:2"]),
    (3, [f"{GONE}:1"]),
    (10, [f"{BESIDE}:1"]),
    (0, [f"{SKIPPED}:1"]),
    (3, [SKIPPED]),
    (0, [f"{SKIPPED}@DIGEST"]),
    (2, ["--no-registry", f"{SKIPPED}:1"]),
    (0, ["--no-registry", f"{REPO}:1"]),
    (0, ["--no-registry", f"{REPO}:2"]),
    (0, ["--signer", "jeff", f"{REPO}:1"]),
    (10, ["--signer", "bob", "--signer", "targets/eve", f"{REPO}:1", f"{AUDITED}:1"]),
    (0, ["--all-signers", f"{REPO}:1"]),
    (0, ["--root", "PIN", f"{REPO}:1"]),
    (4, ["--root", "f" * 64, f"{REPO}:1"]),
    (0, ["--also", "cosign:cosign.pub", f"{REPO}:1"]),
    (10, ["--also", "cosign:cosign.pub", f"{REPO}:latest"]),
    (2, ["--also", "cosign:cosign.pub", "--no-registry", f"{REPO}:1"]),
    (3, ["--from-file", "refs.txt"]),
    (3, ["--from-file", "refs.txt", f"{REPO}:1"]),
    (12, ["--from-file", "none.txt"]),
    (2, ["UPPER"]),
    (2, ["--root", "short", f"{REPO}:1"]),
    (6, ["--also", "cosign:refs.txt", f"{REPO}:1"]),
    (2, []),
]


def both(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch, *argv: str) -> Outcome:
    """Run a command without the service and with it, insist on the same, and return it."""
    before = len(service.requests)
    alone = run(*argv)
    assert len(service.requests) == before
    with monkeypatch.context() as patch:
        patch.setenv("NOTARYPY_SERVICE", service.variable)
        together, only = run(*argv), run(*argv, "--service-only")
    assert (together.code, together.out, together.err) == (alone.code, alone.out, alone.err)
    assert (only.code, only.out, only.err) == (alone.code, alone.out, alone.err)
    return alone


@pytest.mark.parametrize("how", [[], ["--quiet"], ["--json"]], ids=["text", "quiet", "json"])
def test_rule_3_all_is_as_it_is_without_a_service(
    run: Run, service: FakeService, lab: dict[str, Any], how: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(Path("refs.txt"), f"{REPO}:1\n{REPO}:3\n{AUDITED}:1\n")
    written(Path("none.txt"), "# none\n")
    for code, case in CASES:
        words = [word.replace("DIGEST", lab["app"][0]).replace("PIN", lab["pin"]) for word in case]
        outcome = both(run, service, monkeypatch, *how, "verify", *words).expect(code)
        if "--json" in how:
            assert problems(outcome.document, COMMAND) == []
    for request in service.requests:
        assert problems(request, REQUEST) == []


@pytest.mark.usefixtures("lab")
def test_what_the_service_skips_it_does_not_verify_for_anybody(
    run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTARYPY_SERVICE", service.variable)
    outcome = run("verify", "--signer", "jeff", f"{SKIPPED}:1").expect(10)
    assert f"{SKIPPED} cannot be verified [policy.skipped]" in outcome.err
    assert "NOT VERIFIED" in run("verify", "--quiet", f"{SKIPPED}:1").expect(0).err


def test_a_time_that_is_none_is_a_mistake_either_way(
    run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("soon", "-1"):
        assert both(run, service, monkeypatch, "verify", "--timeout", value, f"{REPO}:1").code == 2
    both(run, service, monkeypatch, "verify", "--timeout", "2m", f"{REPO}:1").expect(0)


@pytest.mark.parametrize("option", ["--timeout", "--retry-for", "--server", "--trust-dir", "--policy"])
def test_an_option_without_its_value_is_a_mistake_either_way(
    run: Run, silent: FakeService, option: str
) -> None:
    assert f"{option} is empty" in run("verify", option, "", f"{REPO}:1").expect(2).err
    run("verify", "--service-only", option, "", f"{REPO}:1").expect(2)
    assert silent.requests == []


# When the service is not asked, or does not answer


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """Name a service that answers as the test says."""
    with fake_service() as made:
        monkeypatch.setenv("NOTARYPY_SERVICE", made.variable)
        yield made


def good(repo: str = REPO, tag: str = "1", **members: object) -> dict[str, Any]:
    known = {
        "ref": f"{repo}:{tag}",
        "ok": True,
        "image": f"{repo}@{D1}",
        "repository": repo,
        "tag": tag,
        "digest": D1,
        "size": 1,
        "verified": True,
        "role": "targets",
        "signers": [],
        "expires": None,
        "signed_as": None,
        "cosign": [],
        "policy": None,
        "evidence": None,
        "warnings": [],
    }
    return {**known, **members}


def document(*results: dict[str, Any]) -> dict[str, Any]:
    head = {"schema": 1, "command": "verify", "exit": 0, "results": list(results)}
    return {**head, "warnings": [], "first_use": []}


def test_nobody_but_the_service_is_asked(run: Run, stub: StubClient, silent: FakeService) -> None:
    silent.says(document(good()))
    outcome = run("verify", f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err, stub.calls) == (f"{REPO}@{D1}\n", "", [])
    assert "INFO: POST /verify at" in run("-v", "verify", f"{REPO}:1").expect(0).err


def test_every_requirement_goes_along(run: Run, silent: FakeService) -> None:
    silent.says(document(good()))
    required = ["--signer", "jeff", "--signer", "targets/bob", "--all-signers", "--root", PIN.upper()]
    run("verify", f"{REPO}:1", *required, "--no-registry", "--timeout", "20s", "-y").expect(0)
    assert silent.requests == [
        {
            "images": [f"{REPO}:1"],
            "signers": ["jeff", "targets/bob"],
            "all_signers": True,
            "root": PIN,
            "registry": False,
        }
    ]


def test_rule_2_where_no_service_answers_the_program_verifies(
    run: Run, stub: StubClient, silent: FakeService
) -> None:
    stub.answers["verify_unless_skipped"] = image()
    silent.says({}, 503)
    assert run("verify", f"{REPO}:1").expect(0).err == ""
    assert len(stub.calls) == 1
    said = run("-v", "verify", f"{REPO}:1").expect(0).err
    assert "it answers with status 503: it is busy, or about to end; this program verifies by itself" in said
    outcome = run("verify", "--service-only", f"{REPO}:1", f"{REPO}:2").expect(8)
    assert outcome.err.count("does not answer [net.unreachable]") == 1
    assert "fix: ask again" in outcome.err
    assert (outcome.out, len(stub.calls)) == ("", 2)
    results = run("--json", "verify", "--service-only", f"{REPO}:1", f"{REPO}:2").document["results"]
    assert [(each["ref"], each["error"]["code"]) for each in results] == [
        (f"{REPO}:1", "net.unreachable"),
        (f"{REPO}:2", "net.unreachable"),
    ]


def test_rule_2_without_a_socket_too(run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.answers["verify_unless_skipped"] = image()
    monkeypatch.setenv("NOTARYPY_SERVICE", "unix:/nonexistent/s")
    run("verify", f"{REPO}:1").expect(0)
    assert "No such file" in run("verify", "--service-only", f"{REPO}:1").expect(8).err
    assert len(stub.calls) == 1


@pytest.mark.parametrize("answer", [b"{}", b"no", json.dumps({"schema": 1}).encode()])
def test_rule_2_an_answer_of_no_use_is_final(
    run: Run, stub: StubClient, silent: FakeService, answer: bytes
) -> None:
    silent.says(answer)
    assert "no answer that counts [net.server]" in run("verify", f"{REPO}:1").expect(8).err
    assert stub.calls == []


def test_rule_2_a_refusal_is_final(run: Run, stub: StubClient, silent: FakeService) -> None:
    error = {"code": "trust.new_kind", "exit": 4, "message": "no", "why": [], "facts": {}}
    error |= {"advice": {"name": "of-a-newer-release", "values": {}}, "retryable": False}
    bad = {"ref": f"{REPO}:1", "ok": False, "error": error, "warnings": []}
    silent.says({**document(bad), "exit": 4})
    fix = "do not use it, and tell the owner of the repository"  # as for others of this exit code
    said = f"notarypy: error: no [trust.new_kind]\n  fix: {fix}\n"
    assert run("verify", f"{REPO}:1").expect(4).err == said
    silent.says({**document(), "exit": 4, "error": error}, 400)
    assert run("verify", f"{REPO}:1").expect(4).err == said
    assert stub.calls == []


def test_a_socket_of_somebody_else_is_no_reason_to_go_on(
    run: Run, stub: StubClient, silent: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent.says(document(good()))
    silent.path.parent.chmod(0o777)
    monkeypatch.setattr("notarypy.system.listening_user", lambda *_: 4712)
    outcome = run("verify", f"{REPO}:1").expect(1)
    assert "is not to be believed [local.storage]\n  why: user 4712 listens there" in outcome.err
    assert (stub.calls, silent.requests) == ([], [])


HERE = [
    ["--policy", "p.toml"],
    ["--from", "trust.tar"],
    ["--all-tags"],
    ["--server", "https://n.test"],
    ["--trust-dir", "d"],
    ["--config", "c.toml"],
    ["--tlscacert", "ca.pem"],
    ["--tlscert", "c.pem"],
    ["--tlskey", "k.pem"],
    ["--insecure-registry", "r.test"],
    ["--offline"],
    ["--first-use"],
    ["--gun"],
]


@pytest.mark.parametrize("option", HERE, ids=lambda option: option[0])
def test_rule_1_what_is_for_this_machine_is_done_here(
    run: Run, stub: StubClient, silent: FakeService, option: list[str]
) -> None:
    stub.answers["verify_unless_skipped"], stub.answers["images.signed_tags"] = image(), ["1"]
    ref = REPO if option == ["--all-tags"] else f"{REPO}:1"
    run("verify", *option, ref).expect(0)
    said = run("-v", "verify", *option, ref).expect(0).err
    assert f"is not asked: it has nothing to do with {option[0]}" in said
    calls = len(stub.calls)
    outcome = run("verify", *option, "--service-only", ref).expect(2)
    assert f"{option[0]} is not possible with --service-only" in outcome.err
    assert (len(stub.calls), silent.requests) == (calls, [])


def test_rule_1_somebody_decided_about_every_global_option() -> None:
    harmless = {"json", "quiet", "verbose", "color", "yes", "timeout", "retry_for", "passphrase_file"}
    own = {option[0].removeprefix("--").replace("-", "_") for option in HERE} - {"policy", "from", "all_tags"}
    assert {each.name for each in GLOBAL_OPTIONS} == harmless | own


def test_what_is_no_service_is_a_mistake(run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTARYPY_SERVICE", "https://service.test")
    assert "NOTARYPY_SERVICE names no service [usage.config]" in run("verify", REPO).expect(2).err
    monkeypatch.delenv("NOTARYPY_SERVICE")
    outcome = run("verify", "--service-only", REPO).expect(2)
    assert "--service-only needs a service" in outcome.err
    assert stub.calls == []


def test_rule_2_many_images_are_several_requests_and_the_rest_is_done_here(
    run: Run, stub: StubClient, silent: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byservice, "DEFAULT", Limits(service_images=2))
    stub.answers["verify_unless_skipped"] = image()
    refs = [f"{REPO}:{tag}" for tag in "12345"]

    def answer(body: bytes, _: socket.socket) -> bytes:
        asked = json.loads(body)["images"]
        found = document(*(good(tag=ref[-1]) for ref in asked))
        return whole(503 if f"{REPO}:3" in asked else 200, json.dumps(found).encode())

    silent.answer = answer
    assert run("verify", *refs).expect(0).out == f"{REPO}@{D1}\n" * 5
    assert [call[1] for call in stub.calls] == [(ref,) for ref in refs[2:]]
    assert [request["images"] for request in silent.requests] == [refs[:2], refs[2:4]]
    outcome = run("--json", "verify", "--service-only", *refs).expect(8)
    assert [result["ok"] for result in outcome.document["results"]] == [True, True, False, False, True]
