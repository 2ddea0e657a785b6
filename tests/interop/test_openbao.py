"""Keys in OpenBao, a real server: every role, and what happens to keys behind our back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import openbao, services
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.hashivault import HashivaultSigner
from notarypy.tuf import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.openbao import OpenBao
    from interop.harness.people import Person
    from interop.harness.programs import Run


@pytest.fixture(scope="module")
def vault(workshop: Path) -> Iterator[OpenBao]:
    with openbao.running(workshop / "openbao") as server:
        yield server


@pytest.fixture
def name(unique: Callable[[], str]) -> str:
    """Return a name for keys that no other test has."""
    return unique().rpartition("/")[2]


@pytest.fixture
def owner(alice: Person, vault: OpenBao) -> Person:
    alice.environment |= vault.environment()
    return alice


def public_half(vault: OpenBao, name: str, file: Path) -> Path:
    """Write the public half of a key as the server shows it."""
    file.write_text(vault.ask(f"transit/keys/{name}")["data"]["keys"]["1"]["public_key"])
    return file


def signatures(run: Run) -> int:
    """Count the signatures that a command with -v asked for."""
    return sum("POST" in line and "/v1/transit/sign/" in line for line in run.stderr.splitlines())


def refusal(run: Run, code: str, exit_code: int) -> dict[str, Any]:
    """Return the error of a command with --json."""
    error: dict[str, Any] = run.expect(exit_code).document["results"][0]["error"]
    assert error["code"] == code, run
    return error


def signed_by(owner: Person, vault: OpenBao, repository: Repository, name: str) -> None:
    """Give a repository a signer whose key is at the server, and a first signed tag."""
    owner.notarypy("key", "add", vault.make_key(name), "--name", "jeff").expect(0)
    owner.notarypy("signer", "add", "--key", f"hashivault://{name}", "jeff", repository.name).expect(0)
    repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "rsa-3072"])
def test_every_role_and_what_go_reads_of_it(
    owner: Person, bob: Person, vault: OpenBao, repository: Repository, name: str, kind: str
) -> None:
    root, targets = (vault.make_key(f"{name}-{role}", kind) for role in ("root", "targets"))
    owner.notarypy("init", "--root-key", root, "--targets-key", targets, repository.name).expect(0)
    signed_by(owner, vault, repository, name)
    image = repository.push("2")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    assert f"{image.sha256}" in bob.notary("list", repository.name).expect(0).stdout
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)
    assert '"jeff"' in bob.inspection(repository.ref("2"))
    owner.notarypy("renew", "--role", "root", "--role", "targets", repository.name).expect(0)
    bob.notary("list", repository.name).expect(0)
    assert not list((owner.trust_dir / "private").glob("*.key"))


def test_some_tags_are_one_signature_of_each_role(
    owner: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    for tag in "23456":
        repository.push(tag)
    run = owner.notarypy("-v", "sign", *map(repository.ref, "23456"))
    assert signatures(run.expect(0)) == 2  # targets/jeff and targets/releases


def test_the_least_rights(owner: Person, vault: OpenBao, repository: Repository, name: str) -> None:
    vault.allow(f"{name}-reads", **{f"keys__{name}": "read"})
    vault.allow(f"{name}-signs", **{f"sign__{name}": "update"})
    reader, signer = (vault.token(f"{name}-{right}") for right in ("reads", "signs"))
    uri = vault.make_key(name)
    denied = owner.notarypy("--json", "key", "add", uri, "--name", "jeff", VAULT_TOKEN=signer)
    error = refusal(denied, "auth.key_denied", 7)
    assert f"transit/keys/{name}" in error["message"]
    owner.notarypy("key", "add", uri, "--name", "jeff", VAULT_TOKEN=reader).expect(0)
    public = public_half(vault, name, owner.home / "jeff.pub")
    owner.notarypy("signer", "add", "--key", public, "jeff", repository.name).expect(0)
    repository.push("1")
    before = owner.files()
    denied = owner.notarypy("--json", "sign", repository.ref("1"), VAULT_TOKEN=reader)
    refusal(denied, "auth.key_denied", 7)
    assert owner.files() == before
    owner.notarypy("sign", repository.ref("1"), VAULT_TOKEN=signer).expect(0)
    assert "no read on" in owner.notarypy("key", "test", "jeff", VAULT_TOKEN=signer).expect(0).stdout
    shown = owner.notarypy("--json", "key", "test", "jeff").expect(0).document["results"][0]["properties"]
    assert (shown["key"], shown["type"], shown["exportable"]) == (f"transit/{name}", "ecdsa-p256", "no")


@pytest.mark.parametrize(("alg", "kind"), [("ecdsa", "ecdsa-p256"), ("rsa", "rsa-3072")])
def test_a_key_that_is_made_there(
    owner: Person, bob: Person, vault: OpenBao, repository: Repository, name: str, alg: str, kind: str
) -> None:
    vault.allow(name, **{f"keys__{name}": 'read", "update'})
    token, there = vault.token(name), ("--in", f"hashivault://{name}", "--alg", alg, "--dir", owner.home)
    owner.notarypy("key", "generate", "jeff", *there, VAULT_TOKEN=token).expect(0)
    assert vault.ask(f"transit/keys/{name}")["data"]["type"] == kind
    owner.notarypy("signer", "add", "--key", owner.home / "jeff.pub", "jeff", repository.name).expect(0)
    repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)
    before = owner.files()
    again = owner.notarypy("--json", "key", "generate", "jo", *there)
    refusal(again, "local.exists", 1)
    assert owner.files() == before


def test_the_identity_of_a_job_buys_a_token_that_signs(
    owner: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    vault.allow(name, **{f"sign__{name}": "update"})
    issuer = openbao.Issuer(vault, name)
    claims = {"repository": "example/app", "ref": "refs/heads/main"}
    issuer.allow(name, claims)
    repository.push("2")
    token = issuer.log_in(claims)
    owner.notarypy("sign", repository.ref("2"), VAULT_TOKEN=token).expect(0)
    with pytest.raises(AssertionError, match="error validating claims"):
        issuer.log_in({**claims, "ref": "refs/heads/other"})


def test_the_noted_version_signs_until_the_server_is_told_not_to(
    owner: Person, bob: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    vault.ask(f"transit/keys/{name}/rotate", {})
    repository.push("2")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)
    vault.ask(f"transit/keys/{name}/config", {"min_encryption_version": 2})
    repository.push("3")
    before = owner.files()
    refusal(owner.notarypy("--json", "sign", repository.ref("3")), "key.disabled", 6)
    vault.ask(f"transit/keys/{name}/config", {"min_encryption_version": 0, "min_decryption_version": 2})
    refusal(owner.notarypy("--json", "sign", repository.ref("3")), "key.disabled", 6)
    assert owner.files() == before
    run = owner.notarypy("--json", "key", "add", f"hashivault://{name}?version=1", "--name", "jo")
    fix = run.expect(6).document["results"][0]["error"]["fix"]
    assert f"bao write transit/keys/{name}/config min_decryption_version=1;" in fix
    owner.notarypy("key", "add", f"hashivault://{name}?version=9", "--name", "jo").expect(6)
    vault.ask(f"transit/keys/{name}/config", {"min_decryption_version": 1})
    owner.notarypy("sign", repository.ref("3")).expect(0)
    vault.ask(f"transit/keys/{name}/config", {"min_encryption_version": 2, "min_decryption_version": 2})
    vault.ask(f"transit/keys/{name}/trim", {"min_available_version": 2})
    refusal(owner.notarypy("--json", "key", "test", "jeff"), "key.disabled", 6)
    run = owner.notarypy("--json", "key", "add", f"hashivault://{name}?version=1", "--name", "jo")
    assert "trimmed" in refusal(run, "key.disabled", 6)["why"][0]


def test_a_key_that_went_and_one_that_came_in_its_place(
    owner: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    repository.push("2")
    before = owner.files()
    vault.ask(f"transit/keys/{name}/config", {"deletion_allowed": True})
    vault.ask(f"transit/keys/{name}/soft-delete", method="DELETE")
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.disabled", 6)
    vault.ask(f"transit/keys/{name}/soft-delete-restore", {})
    owner.notarypy("key", "test", "jeff").expect(0)
    vault.remove_key(name)
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.missing", 6)
    vault.make_key(name)
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.changed", 6)
    vault.remove_key(name)
    vault.make_key(name, "rsa-2048")
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.changed", 6)
    vault.remove_key(name)
    vault.make_key(name, "aes256-gcm96")
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.unsupported", 6)
    mount = {"TRANSIT_SECRET_ENGINE_PATH": "elsewhere"}
    refusal(owner.notarypy("--json", "sign", repository.ref("2"), **mount), "key.missing", 6)
    assert owner.files() == before


def test_tokens_that_end_servers_that_are_shut_and_servers_that_have_enough(
    owner: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    repository.push("2")
    before = owner.files()
    vault.allow(name, **{f"sign__{name}": "update"})
    token = vault.token(name)
    vault.ask("auth/token/revoke", {"token": token})
    sign = ("--json", "sign", repository.ref("2"))
    refusal(owner.notarypy(*sign, VAULT_TOKEN=token), "auth.key_denied", 7)
    refusal(owner.notarypy(*sign, VAULT_TOKEN=""), "auth.denied", 7)
    refusal(owner.notarypy(*sign, VAULT_CACERT=""), "net.tls", 8)
    refusal(owner.notarypy(*sign, VAULT_ADDR=""), "usage.config", 2)
    refusal(
        owner.notarypy(*sign, VAULT_ADDR=f"https://127.0.0.1:{services.free_port()}"), "net.unreachable", 8
    )
    quota = f"sys/quotas/rate-limit/{name}"
    vault.ask(quota, {"rate": 1, "interval": "60s", "path": f"transit/sign/{name}"})
    try:
        owner.notarypy("key", "test", "jeff").expect(0)
        refusal(owner.notarypy(*sign), "net.throttled", 8)
    finally:
        vault.ask(quota, method="DELETE")
    vault.ask("sys/seal", {}, method="PUT")
    try:
        error = refusal(owner.notarypy(*sign), "net.server", 8)
        assert "is sealed" in error["message"]
    finally:
        vault.ask("sys/unseal", {"key": vault.unseal_key})
    assert owner.files() == before
    for _ in range(100):  # a server that was unsealed takes its time
        if owner.notarypy(*sign).code == 0:
            return
        time.sleep(0.1)
    pytest.fail("it signs no more after it was unsealed")


def test_the_token_in_the_file_of_bao_login_and_in_no_output(
    owner: Person, vault: OpenBao, repository: Repository, name: str
) -> None:
    signed_by(owner, vault, repository, name)
    (owner.home / ".vault-token").write_text(openbao.ROOT_TOKEN)
    repository.push("2")
    own = {"VAULT_TOKEN": "", "VAULT_ADDR": "", "VAULT_CACERT": ""}
    bao = {"BAO_ADDR": vault.url, "BAO_CACERT": str(vault.ca)}
    run = owner.notarypy("-vv", "sign", repository.ref("2"), **own, **bao).expect(0)
    assert openbao.ROOT_TOKEN not in run.text
    files = [path for path in owner.home.rglob("*") if path.is_file() and path.name != ".vault-token"]
    assert not [path for path in files if openbao.ROOT_TOKEN.encode() in path.read_bytes()]


def test_one_signer_from_several_threads(vault: OpenBao, name: str) -> None:
    for kind in ("ecdsa-p521", "rsa-2048"):
        uri = vault.make_key(f"{name}-{kind}", kind)
        context = SignerContext(PassphraseRequest("", "jeff"), PassphraseChain([]), vault.environment())
        signer = HashivaultSigner.open(uri, context)
        messages = [str(number).encode() for number in range(200)]
        with ThreadPoolExecutor(16) as pool:
            signed = list(pool.map(signer.sign, messages))
        assert all(
            envelope.verify(signer.public, *made, message)
            for made, message in zip(signed, messages, strict=True)
        )
