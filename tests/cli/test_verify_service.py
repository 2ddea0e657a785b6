"""`verify` by a service: the same in every word as without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.api import Client
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.service.verifier import Verifier
from notarypy.service.verifyrequest import PendingRequest
from support.author import NOW
from support.commands import written
from support.cosigner import Cosigner
from support.people import manifest
from support.schema import problems
from support.service import fake_service, whole

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from notarypy.devserver.core import Fake
    from support.commands import Outcome, Run
    from support.service import FakeService

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
ANSWER, REQUEST, COMMAND = (
    json.loads((SCHEMAS / f"{name}.json").read_text())
    for name in ("verify-answer", "verify-request", "notarypy")
)
REPO, AUDITED, OTHER = (f"{REGISTRY_HOST}/{name}" for name in ("app", "audited", "other"))
GONE, SKIPPED, BESIDE = (f"{REGISTRY_HOST}/{name}" for name in ("gone", "skipped", "beside"))


@pytest.fixture
def lab(run: Run, fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Publish images of every kind, and write a policy that everybody obeys here."""
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)
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
