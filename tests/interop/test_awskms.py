"""Keys in AWS KMS, as ministack plays it: every role, and what happens to keys behind our back."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from interop.harness import ministack, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.ministack import Kms
    from interop.harness.people import Person
    from interop.harness.programs import Run


@pytest.fixture(scope="module")
def kms(workshop: Path) -> Iterator[Kms]:
    with ministack.running(workshop / "ministack") as server:
        yield server


@pytest.fixture
def name(unique: Callable[[], str]) -> str:
    """Return a name for keys that no other test has."""
    return unique().rpartition("/")[2]


@pytest.fixture
def owner(alice: Person, kms: Kms) -> Person:
    alice.environment |= kms.environment
    return alice


def asked(run: Run) -> list[str]:
    """Return the requests to KMS that a command with -v says it made."""
    lines = (line.partition("AWS KMS: ")[2] for line in run.stderr.splitlines())
    return [line.partition(" ")[0] for line in lines if line]


def refusal(run: Run, code: str, exit_code: int) -> dict[str, Any]:
    """Return the error of a command with --json."""
    error: dict[str, Any] = run.expect(exit_code).document["results"][0]["error"]
    assert error["code"] == code, run
    return error


def signed_by(owner: Person, repository: Repository, uri: str) -> None:
    """Give a repository a signer whose key is in KMS, and a first signed tag."""
    owner.notarypy("key", "add", uri, "--name", "jeff").expect(0)
    owner.notarypy("signer", "add", "--key", uri, "jeff", repository.name).expect(0)
    repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_3072"])
def test_every_role_and_what_go_reads_of_it(
    owner: Person, bob: Person, kms: Kms, repository: Repository, name: str, spec: str
) -> None:
    root = kms.name(f"{name}-root", kms.make_key(spec))
    targets = f"awskms:///{kms.make_key(spec)}"
    owner.notarypy("init", "--root-key", root, repository.name).expect(0)
    owner.notarypy("key", "rotate", repository.name, "targets", "--key", targets).expect(0)
    for first in (owner.trust_dir / "private").glob("*.key"):
        first.unlink()  # nothing is signed with a key that is here
    signed_by(owner, repository, f"awskms:///{kms.make_key(spec)}")
    image = repository.push("2")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    assert f"{image.sha256}" in bob.notary("list", repository.name).expect(0).stdout
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)
    assert '"jeff"' in bob.inspection(repository.ref("2"))
    owner.notarypy("renew", "--role", "root", "--role", "targets", repository.name).expect(0)
    bob.notary("list", repository.name).expect(0)


def test_some_tags_are_one_request_of_each_role(owner: Person, kms: Kms, repository: Repository) -> None:
    signed_by(owner, repository, f"awskms:///{kms.make_key()}")
    for tag in "23456":
        repository.push(tag)
    run = owner.notarypy("-v", "sign", *map(repository.ref, "23456")).expect(0)
    assert asked(run) == ["Sign", "Sign"]  # targets/jeff and targets/releases
    assert asked(owner.notarypy("-v", "key", "list").expect(0)) == []


def test_the_least_rights(owner: Person, kms: Kms, repository: Repository, name: str) -> None:
    arn = kms.make_key()
    reader = kms.user(f"{name}-adds", "kms:GetPublicKey", resource=arn)
    signer = kms.user(f"{name}-signs", "kms:Sign", resource=arn)
    add = ("--json", "key", "add", f"awskms:///{arn}", "--name", "jeff")
    error = refusal(owner.notarypy(*add, **signer), "auth.key_denied", 7)
    assert error["message"] == f"AWS does not allow kms:GetPublicKey with {arn}"
    assert any(f"user/{name}-signs" in why for why in error["why"])
    owner.notarypy(*add, **reader).expect(0)
    owner.notarypy("signer", "add", "--key", f"awskms:///{arn}", "jeff", repository.name, **reader).expect(0)
    repository.push("1")
    before = owner.files()
    error = refusal(owner.notarypy("--json", "sign", repository.ref("1"), **reader), "auth.key_denied", 7)
    assert error["message"] == f"AWS does not allow kms:Sign with {arn}"
    assert owner.files() == before
    owner.notarypy("sign", repository.ref("1"), **signer).expect(0)
    shown = owner.notarypy("--json", "key", "test", "jeff", **signer).expect(0).document["results"][0]
    assert "kms:DescribeKey is not allowed" in shown["properties"]["details"]
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": ""}
    refusal(owner.notarypy("--json", "key", "test", "jeff", **{**signer, **wrong}), "auth.denied", 7)
    unknown = {"AWS_ACCESS_KEY_ID": "AKIDUNKNOWN", **wrong}
    refusal(owner.notarypy("--json", "key", "test", "jeff", **unknown), "auth.denied", 7)


def test_a_job_signs_with_the_identity_that_it_has(owner: Person, kms: Kms, name: str) -> None:
    arn, issuer, subject = kms.make_key(), f"{name}.example.com", "repo:team/app:environment:release"
    owner.notarypy("key", "add", f"awskms:///{arn}", "--name", "jeff").expect(0)
    role = kms.role(name, issuer, subject, ["kms:Sign"], arn)
    file = owner.home / "identity"
    nobody = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "")
    job = {**nobody, "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(file)}
    file.write_text(identity(issuer, subject))
    run = owner.notarypy("-vv", "key", "test", "jeff", **job).expect(0)
    assert asked(run)[0] == "Sign"
    assert file.read_text() not in run.text
    file.write_text(identity(issuer, "repo:team/app:pull_request"))
    error = refusal(owner.notarypy("--json", "key", "test", "jeff", **job), "auth.denied", 7)
    assert error["message"] == "AWS gives no credentials"
    assert "AssumeRoleWithWebIdentity was answered with AccessDenied" in error["why"][0]


def identity(issuer: str, subject: str) -> str:
    """Return what an issuer gives to a job; ministack does not look at its signature."""
    claims = {"iss": f"https://{issuer}", "aud": "sts.amazonaws.com", "sub": subject, "exp": 4102444800}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    return ".".join(
        [
            *(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts),
            "c2ln",
        ]
    )


def test_the_key_signs_that_an_alias_led_to(
    owner: Person, bob: Person, kms: Kms, repository: Repository, name: str
) -> None:
    signed_by(owner, repository, kms.name(name, kms.make_key()))
    kms.client.update_alias(AliasName=f"alias/{name}", TargetKeyId=kms.make_key())
    repository.push("2")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("2")).expect(0)


def test_a_key_that_is_disabled_and_one_that_will_be_deleted(
    owner: Person, kms: Kms, repository: Repository
) -> None:
    arn = kms.make_key()
    signed_by(owner, repository, f"awskms:///{arn}")
    repository.push("2")
    before = owner.files()
    kms.client.disable_key(KeyId=arn)
    refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.disabled", 6)
    kms.client.enable_key(KeyId=arn)
    kms.client.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    error = refusal(owner.notarypy("--json", "sign", repository.ref("2")), "key.disabled", 6)
    assert error["why"] == ["it is pending deletion"]
    refusal(
        owner.notarypy("--json", "sign", repository.ref("2"), AWS_ENDPOINT_URL=nobody()), "net.unreachable", 8
    )
    refusal(owner.notarypy("--json", "sign", repository.ref("2"), AWS_ACCESS_KEY_ID=""), "auth.denied", 7)
    refusal(owner.notarypy("--json", "sign", repository.ref("2"), AWS_PROFILE="missing"), "usage.config", 2)
    assert owner.files() == before
    kms.client.cancel_key_deletion(KeyId=arn)
    kms.client.enable_key(KeyId=arn)
    owner.notarypy("sign", repository.ref("2")).expect(0)


def nobody() -> str:
    return f"http://127.0.0.1:{services.free_port()}"


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("ECC_NIST_P384", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ],
)
def test_keys_that_cannot_sign_as_notary_does(owner: Person, kms: Kms, spec: str, usage: str) -> None:
    run = owner.notarypy("--json", "key", "add", f"awskms:///{kms.make_key(spec, usage)}", "--name", "jeff")
    error = refusal(run, "key.unsupported", 6)
    assert "notarypy key generate NAME --in awskms:///alias/NAME" in error["fix"]


def test_a_key_that_is_not_there_and_one_without_its_material(owner: Person, kms: Kms, name: str) -> None:
    add = ("--json", "key", "add", "--name", "jeff")
    refusal(owner.notarypy(*add, f"awskms:///alias/{name}"), "key.missing", 6)
    empty = kms.make_key(Origin="EXTERNAL")
    error = refusal(owner.notarypy(*add, f"awskms:///{empty}"), "key.disabled", 6)
    assert error["why"] == ["it is pending import"]


def test_a_key_is_made_there_and_no_second_one_of_its_name(
    owner: Person, bob: Person, kms: Kms, repository: Repository, name: str
) -> None:
    generate = ("key", "generate", "--dir", owner.home, "--in", f"awskms:///alias/{name}")
    owner.notarypy(*generate, "jeff").expect(0)
    owner.notarypy("signer", "add", "--key", f"awskms:///alias/{name}", "jeff", repository.name).expect(0)
    repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)
    before = len(kms.client.list_keys()["Keys"])
    refusal(owner.notarypy("--json", *generate, "jo"), "local.exists", 1)
    assert len(kms.client.list_keys()["Keys"]) == before


def test_who_makes_keys_needs_what_the_page_says(owner: Person, kms: Kms, name: str) -> None:
    policies = [block.text for block in pages.blocks(pages.read("docs/keys/aws.md"), "json")]
    (policy,) = (text for text in policies if "kms:CreateKey" in text)
    statements = json.loads(policy.replace("111122223333", ministack.ACCOUNT))["Statement"]
    for statement in statements:
        statement.pop("Condition", None)  # none of kms:... is met here
        if statement["Action"] == "kms:CreateAlias":
            statement["Resource"] = "*"  # alias and key are not looked at for it
    maker = kms.user_by(f"{name}-makes", statements)
    generate = ("key", "generate", "--dir", owner.home, "--in", f"awskms:///alias/{name}")
    owner.notarypy(*generate, "jeff", **maker).expect(0)
    refusal(owner.notarypy("--json", *generate, "jo", **maker), "local.exists", 1)
    refusal(owner.notarypy("--json", "key", "test", "jeff", **maker), "auth.key_denied", 7)


def test_what_kms_says_of_a_multi_region_key(owner: Person, kms: Kms) -> None:
    arn = kms.make_key(MultiRegion=True)
    assert "key/mrk-" in arn
    owner.notarypy("key", "add", f"awskms:///{arn}", "--name", "jeff").expect(0)
    shown = owner.notarypy("--json", "key", "test", "jeff").expect(0).document["results"][0]["properties"]
    assert (shown["key spec"], shown["state"], shown["multi-region"]) == (
        "ECC_NIST_P256",
        "Enabled",
        "PRIMARY",
    )


def test_no_secret_is_in_any_output_or_file(
    owner: Person, kms: Kms, repository: Repository, name: str
) -> None:
    uri = kms.name(name, kms.make_key())
    runs = [owner.notarypy("-vv", "key", "add", uri, "--name", "jeff").expect(0)]
    signed_by(owner, repository, uri)
    repository.push("2")
    runs += [
        owner.notarypy("-vv", "sign", repository.ref("2")).expect(0),
        owner.notarypy("-vv", "key", "test", "jeff").expect(0),
        owner.notarypy("-vv", "key", "add", f"awskms:///alias/{name}-missing", "--name", "jo").expect(6),
        owner.notarypy("-vv", "key", "test", "jeff", AWS_ENDPOINT_URL=nobody()).expect(8),
    ]
    shown = "".join(run.text for run in runs).encode()
    written = b"".join(path.read_bytes() for path in owner.home.rglob("*") if path.is_file())
    for secret in (ministack.SECRET_KEY, ministack.SESSION_TOKEN, "AWS4-HMAC"):
        assert secret.encode() not in shown + written
    assert b"botocore" not in shown
