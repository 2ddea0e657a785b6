from __future__ import annotations

import base64
import json
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.keys import serverpair
from notarypy.storage.settings.policyfile import PolicyFile
from support.author import private_key
from support.handshakes import shake_hands
from support.listening import listening
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.storage.settings.policyfile import TrustPolicy
    from support.commands import Outcome, Run

IMAGE = f"r.test/notarypy@sha256:{'0' * 64}"
PIN = "7d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e690"
POLICY = f"""# Ours.
[scope."r.test"]
roots.ids = ["{PIN}"]

[scope."r.test/team"]
roots.certificates = ["certs/team.pem", "./other.pem"]
roots.ca = "authority.pem"

[scope."r.test/moved"]
require = ["cosign"]
cosign.all = ["keys/release.pub"]
"""
NAMED = ("certs/team.pem", "other.pem", "authority.pem", "keys/release.pub")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture(autouse=True)
def policy(home: Path) -> Path:
    """Write the policy, and what it names."""
    key = private_key("release").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name in NAMED:
        path = home / "policy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = serverpair.issue(name, ["r.test"], datetime.now(UTC), timedelta(days=1))
        path.write_bytes(key if name.endswith(".pub") else made.authority)
    path = home / "policy" / "policy.toml"
    path.write_text(POLICY)
    return path


def printed(outcome: Outcome) -> dict[str, Any]:
    """Return the documents by kind and name."""
    read = list(yaml.load_all(outcome.out, Loader=yaml.CSafeLoader))
    return {f"{each['kind']} {each['metadata']['name']}": each for each in read}


def manifests(run: Run, *argv: str, code: int = 0) -> Outcome:
    return run("admission", "manifests", "--image", IMAGE, "--policy", "policy/policy.toml", *argv).expect(
        code
    )


def words(found: dict[str, Any]) -> list[str]:
    (container,) = found["Deployment notarypy"]["spec"]["template"]["spec"]["containers"]
    listed: list[str] = container["args"]
    return listed


def unpacked(found: dict[str, Any], volume: str, folder: Path) -> Path:
    """Lay out the files of a volume as a node does."""
    volumes = found["Deployment notarypy"]["spec"]["template"]["spec"]["volumes"]
    (source,) = [each["configMap"] for each in volumes if each["name"] == volume]
    data = found[f"ConfigMap {source['name']}"]["data"]
    for item in source["items"]:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data[item["key"]])
    return folder


def read(path: Path) -> TrustPolicy:
    found = PolicyFile(path, Path("/nonexistent"), named=True).read()
    assert found is not None
    return found


def test_the_printed_policy_means_what_the_given_one_does(run: Run, policy: Path, home: Path) -> None:
    found = printed(manifests(run, "--cert-manager", "issuer/corp"))
    there = unpacked(found, "policy", home / "there") / "policy.toml"
    assert there.read_text() == POLICY
    for name in NAMED:
        assert (there.parent / name).read_bytes() == (policy.parent / name).read_bytes()
    moved = repr(read(there).scopes).replace(str(there.parent), str(policy.parent))
    assert moved == repr(read(policy).scopes).replace("/./", "/")


def test_a_self_signed_certificate_is_what_the_api_server_trusts(run: Run, home: Path) -> None:
    outcome = manifests(run, "--self-signed", "--namespace", "images")
    assert "holds a private key" in outcome.err
    assert "THIS FILE HOLDS A PRIVATE KEY" in outcome.out
    found = printed(outcome)
    secret = found["Secret notarypy-tls"]["stringData"]
    for kind in ("Mutating", "Validating"):
        (hook,) = found[f"{kind}WebhookConfiguration notarypy-images"]["webhooks"]
        bundle = base64.b64decode(hook["clientConfig"]["caBundle"]).decode()
        assert bundle == secret["ca.crt"]
        pair = (secret["tls.crt"].encode(), secret["tls.key"].encode())
        shake_hands(ssl.create_default_context(cadata=bundle), *pair, "notarypy.images.svc", home)
        host = "notarypy.images.svc.cluster.local"
        shake_hands(ssl.create_default_context(cadata=bundle), *pair, host, home)
    end = x509.load_pem_x509_certificate(secret["tls.crt"].encode()).not_valid_after_utc
    assert f"Its certificate ends on {end:%Y-%m-%d}" in outcome.out


def test_the_next_certificate_is_trusted_beside_the_one_before(run: Run, home: Path) -> None:
    before = printed(manifests(run, "--self-signed"))["Secret notarypy-tls"]["stringData"]
    (home / "ca.crt").write_text(f"of last year:\n{before['ca.crt']}")
    found = printed(manifests(run, "--self-signed", "--ca-bundle", "ca.crt", "--valid", "30d"))
    after = found["Secret notarypy-tls"]["stringData"]
    (hook,) = found["ValidatingWebhookConfiguration notarypy"]["webhooks"]
    bundle = base64.b64decode(hook["clientConfig"]["caBundle"]).decode()
    for each in (before, after):
        pair = (each["tls.crt"].encode(), each["tls.key"].encode())
        shake_hands(ssl.create_default_context(cadata=bundle), *pair, "notarypy.notarypy.svc", home)


def test_a_secret_that_is_there_takes_the_authorities_of_its_certificate(run: Run, home: Path) -> None:
    made = printed(manifests(run, "--self-signed"))["Secret notarypy-tls"]["stringData"]
    (home / "ca.crt").write_text(f"{made['tls.key']}{made['ca.crt']}")
    outcome = manifests(run, "--tls-secret", "corp-tls", "--ca-bundle", "ca.crt")
    found = printed(outcome)
    assert not any(name.startswith("Secret") for name in found)
    assert "PRIVATE KEY" not in outcome.out
    (hook,) = found["ValidatingWebhookConfiguration notarypy"]["webhooks"]
    assert base64.b64decode(hook["clientConfig"]["caBundle"]).decode() == made["ca.crt"]
    refused = manifests(run, "--tls-secret", "corp-tls", code=2)
    assert "--ca-bundle FILE" in refused.err


def test_global_options_are_those_of_the_service(run: Run, home: Path) -> None:
    certificate = printed(manifests(run, "--self-signed"))["Secret notarypy-tls"]["stringData"]["ca.crt"]
    for name in ("settings/authorities.pem", "notary.pem", "all.pem"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(certificate)
    (home / "settings" / "mine.toml").write_text('[registry."r.test"]\nca = "authorities.pem"\n')
    argv = ["--server", "https://notary.test", "--config", "settings/mine.toml", "--timeout", "5s"]
    argv += ["--tlscacert", "notary.pem", "--insecure-registry", "a.test", "--insecure-registry", "b.test"]
    found = printed(
        manifests(
            run, "--cert-manager", "self-signed", "--ca", "all.pem", "--tls-client-ca", "all.pem", *argv
        )
    )
    given = words(found)
    assert given[-10:] == [
        "--insecure-registry=a.test",
        "--insecure-registry=b.test",
        "--server=https://notary.test",
        "--timeout=5s",
        "--config",
        "/etc/notarypy/settings/config/config.toml",
        "--tlscacert",
        "/etc/notarypy/settings/notary-authorities.pem",
        "--tls-client-ca",
        "/etc/notarypy/settings/clients.pem",
    ]
    there = unpacked(found, "settings", home / "there")
    assert {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()} == {
        *("config/config.toml", "config/authorities.pem"),
        *("notary-authorities.pem", "clients.pem", "authorities.pem"),
    }
    (container,) = found["Deployment notarypy"]["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "SSL_CERT_FILE", "value": "/etc/notarypy/settings/authorities.pem"}]


@pytest.mark.parametrize(
    "named",
    ["../x.pem", "certs/../../x.pem", "/etc/notarypy/x.pem", "~/x.pem", "..x/x.pem", "~"],
)
def test_a_path_that_means_nothing_elsewhere_is_refused(run: Run, policy: Path, named: str) -> None:
    policy.write_text(f'[scope."r.test"]\nroots.certificates = ["{named}"]\n')
    refused = manifests(run, "--self-signed", code=2)
    assert "cannot be taken elsewhere" in refused.err
    assert "relative to it" in refused.err
    assert refused.out == ""


def test_a_policy_that_is_wrong_is_named_where_it_is(run: Run, policy: Path) -> None:
    policy.write_text('[scope."r.test"]\nroot = "a"\n')
    assert str(Path("policy/policy.toml")) in manifests(run, "--self-signed", code=2).err
    policy.unlink()
    assert "policy/policy.toml cannot be read" in manifests(run, "--self-signed", code=2).err


def test_a_policy_that_pins_nothing_is_refused_as_the_service_would(run: Run, policy: Path) -> None:
    policy.write_text('[scope."r.test"]\nfirst_use = true\n')
    refused = manifests(run, "--self-signed", code=2)
    assert 'scope "r.test" trusts on first use' in refused.err


def test_a_file_that_the_service_could_not_use_is_refused_here(run: Run, policy: Path) -> None:
    (policy.parent / "authority.pem").write_text("of somebody\n")
    assert "policy/authority.pem [usage.config]" in manifests(run, "--self-signed", code=2).err


def test_a_file_that_is_missing_is_named(run: Run, policy: Path) -> None:
    (policy.parent / "other.pem").unlink()
    assert "policy/other.pem cannot be read" in manifests(run, "--self-signed", code=2).err


def test_no_private_key_gets_into_a_config_map(run: Run, policy: Path) -> None:
    with (policy.parent / "other.pem").open("a") as stream:
        stream.write("-----BEGIN EC PRIVATE KEY-----\n")
    refused = manifests(run, "--self-signed", code=2)
    assert "other.pem holds a private key" in refused.err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--self-signed", "--tls-secret", "a"],
        ["--self-signed", "--cert-manager", "self-signed"],
        ["--self-signed", "--valid", "soon"],
        ["--self-signed", "--valid", "1s"],
        ["--self-signed", "--valid", "1000y"],
        ["--cert-manager", "self-signed", "--valid", "1y"],
        ["--self-signed", "--replicas", "0"],
        ["--self-signed", "--replicas", "2147483648"],
        ["--self-signed", "--trust-dir", "x"],
        ["--self-signed", "--only-namespace", "kube-system"],
        ["--self-signed", "--only-namespace", "a", "--exclude-namespace", "b"],
        ["--self-signed", "--namespace", "default"],
        ["--self-signed", "--ca-bundle", "policy/policy.toml"],
        ["--self-signed", "--ca", "missing.pem"],
        ["--cert-manager", "corp"],
        ["--cert-manager", "issuer/corp", "--ca-bundle", "policy/policy.toml"],
        ["--self-signed", "--server", "ftp://x"],
        ["--self-signed", "--first-use"],
        ["--self-signed", "--tlscert", "a", "--tlskey", "b"],
    ],
)
def test_what_makes_no_installation_is_refused_before_anything_is_printed(run: Run, argv: list[str]) -> None:
    assert manifests(run, *argv, code=2).out == ""


def test_a_file_that_would_take_the_policys_place_is_refused(run: Run, policy: Path) -> None:
    policy.with_name("my.policy").write_text(f'[scope."r.test"]\nroots.ca = "{policy.name}"\n')
    refused = manifests(run, "--self-signed", "--policy", "policy/my.policy", code=2)
    assert "my.policy cannot name policy.toml" in refused.err


def test_what_is_said_fits_what_is_printed(run: Run, home: Path) -> None:
    both = "mutatingwebhookconfiguration,validatingwebhookconfiguration notarypy-second"
    argv = ("--cert-manager", "self-signed", "--namespace", "second")
    unchanged = " ".join(manifests(run, *argv).out.replace("\n#", "").split())
    assert both in unchanged
    assert "delete --ignore-not-found mutatingwebhookconfiguration notarypy-second" not in unchanged
    assert "--server-side" not in unchanged
    made = serverpair.issue("many", ["r.test"], datetime.now(UTC), timedelta(days=1)).authority
    (home / "many.pem").write_bytes(made * 450)
    outcome = manifests(run, *argv, "--check-only", "--ca", "many.pem")
    checking = " ".join(outcome.out.replace("\n#", "").split())
    assert "delete --ignore-not-found mutatingwebhookconfiguration notarypy-second" in checking
    assert checking.count("kubectl apply --server-side --force-conflicts") == 2
    careful = manifests(run, *argv, "--only-namespace", "a", "--only-namespace", "b").out
    assert "Guarded are these namespaces alone: a, b" in careful


def test_an_image_without_a_digest_is_warned_of(run: Run) -> None:
    argv = ("--policy", "policy/policy.toml", "--cert-manager", "self-signed")
    outcome = run("admission", "manifests", "--image", "r.test/notarypy:1", *argv).expect(0)
    assert "r.test/notarypy:1 has no digest" in outcome.err
    assert manifests(run, *argv[2:]).err == ""


def test_the_json_document_has_the_same_objects(run: Run) -> None:
    argv = ("--cert-manager", "issuer/corp", "--check-only")
    document = manifests(run, "--json", *argv).document
    assert problems(document, SCHEMA) == []
    (result,) = document["results"]
    assert result["ref"] == IMAGE
    assert result["documents"] == list(yaml.safe_load_all(manifests(run, *argv).out))


@pytest.mark.slow
def test_the_service_starts_with_the_very_words_of_the_deployment(run: Run, home: Path) -> None:
    found = printed(manifests(run, "--self-signed", "--server", "https://notary.test", "--timeout", "5s"))
    secret = found["Secret notarypy-tls"]["stringData"]
    folders = {
        "/etc/notarypy/policy": unpacked(found, "policy", home / "there"),
        "/etc/notarypy/tls": home / "tls",
        "/var/lib/notarypy": home / "trust",
    }
    for name in ("tls", "trust"):
        (home / name).mkdir()
    for name, text in secret.items():
        (home / "tls" / name).write_text(text)
    replaced = [":8443", "10s"]
    argv = words(found)
    assert all(argv.count(word) == 1 for word in replaced)
    argv = ["127.0.0.1:0" if word == ":8443" else "0s" if word == "10s" else word for word in argv]
    for path, folder in folders.items():
        argv = [word.replace(path, str(folder)) for word in argv]
    with listening([sys.executable, "-m", "notarypy", *argv], {"HOME": str(home)}) as service:
        for path in ("/healthz", "/readyz"):
            answer = service.page(path, "notarypy.notarypy.svc", secret["ca.crt"])
            assert answer == "HTTP/1.1 200 OK"
