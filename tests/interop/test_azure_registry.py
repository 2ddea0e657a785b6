"""A registry of Azure from the outside: what docker, skopeo and Azure's own library make of a login there.

Registry and Entra are fakes, for nobody can run the real ones here; docker and skopeo show that they are what
real clients expect, and the way there is TLS by their real names.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from docs import cisteps
from interop.harness import programs
from interop.harness.people import REPOSITORY_PASSPHRASE
from notarypy.images.manifests import OCI_MANIFEST
from support.azurecloud import SECRET, TOKEN, AzureCloud
from support.clouds import Cloud
from support.fakes import make_fake
from support.people import manifest
from support.registries import NOBODY, Account, AzureRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.people import Person

HOST = AzureRegistry.registry
REPOSITORY = f"{HOST}/team/app"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Cloud(tmp_path) as found:
        yield found
        assert found.strangers == []


@pytest.fixture
def acr(cloud: Cloud, alice: Person) -> AzureRegistry:
    fake = make_fake(lambda: datetime.now(UTC))
    fake.registry.push("team/app", "1", manifest("1"), OCI_MANIFEST)
    found = AzureRegistry(fake, entra={TOKEN: Account("", kind="entra")})
    cloud.services |= found.services
    alice.environment |= {**cloud.environment, "SSL_CERT_FILE": str(cloud.ca)}
    alice.environment["DOCKER_CONTENT_TRUST_SERVER"] = ""  # the registry itself is where trust data is
    return found


@pytest.fixture
def azure(acr: AzureRegistry, cloud: Cloud, tmp_path: Path) -> AzureCloud:
    assert acr.registry in cloud.services
    return AzureCloud(cloud, tmp_path, resource="https://containerregistry.azure.net")


def signed(person: Person) -> None:
    """Sign, and read that with notarypy and with docker."""
    person.notarypy("init", REPOSITORY).expect(0)
    person.notarypy("sign", f"{REPOSITORY}:1").expect(0)
    person.notarypy("verify", f"{REPOSITORY}:1").expect(0)
    assert '"SignedTag": "1"' in person.inspection(REPOSITORY)


def test_docker_logs_in_and_leaves_an_identity_token(acr: AzureRegistry, alice: Person) -> None:
    token = acr.refresh_token(Account(""))
    alice.docker("login", HOST, "-u", NOBODY, "-p", token).expect(0)
    kept = json.loads((alice.docker_config / "config.json").read_text())["auths"][HOST]
    assert kept == {"auth": base64.b64encode(f"{NOBODY}:".encode()).decode(), "identitytoken": token}
    signed(alice)


@pytest.mark.parametrize("identity", ["client_secret", "workload_identity"])
def test_a_login_by_entra(
    azure: AzureCloud, acr: AzureRegistry, alice: Person, cloud: Cloud, identity: str
) -> None:
    alice.environment |= getattr(azure, identity)()
    ran = alice.notarypy("-vv", "login", HOST, "--azure").expect(0)
    assert f"logged in to {HOST} as {NOBODY}" in ran.stdout
    assert [call.host for call in cloud.calls if TOKEN in call.body.decode()] == [HOST]
    kept = "".join([ran.text, *(data.decode(errors="replace") for data in alice.files().values())])
    assert TOKEN not in kept
    assert SECRET not in kept
    assert all(token not in ran.text for token in acr.refreshing)
    signed(alice)
    certificates = ["--authfile", str(alice.docker_config / "config.json")]
    read = ["skopeo", "inspect", "--raw", *certificates, f"docker://{REPOSITORY}:1"]
    assert programs.run(read, alice.environment).expect(0).stdout == manifest("1").decode()


def agent(folder: Path, token: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of a job of Azure DevOps, behind `Docker@2` with a workload identity."""
    config = folder / "DockerConfig_1"
    config.mkdir(parents=True)
    auth = base64.b64encode(f"{NOBODY}:{token}".encode()).decode()
    login = f'{{"auth": "{auth}", "email": "WorkloadIdentityFederation@AzureRM" }}'
    headers = '{"X-Meta-Source-Client":"VSTS"}'
    text = f'{{"auths": {{ "{HOST}": {login} }}, "HttpHeaders":{headers} }}'
    (config / "config.json").write_text(text)
    own = {"HOME": str(folder), "AGENT_TEMPDIRECTORY": str(folder), "PATH": programs.SEARCH_PATH}
    kept = ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
    return {**own, **{name: environment[name] for name in kept}, "DOCKER_CONFIG": str(config)}


def test_azure_devops_signs_and_verifies(acr: AzureRegistry, alice: Person, tmp_path: Path) -> None:
    alice.log_in(HOST, NOBODY, acr.refresh_token(Account("")))
    key, certificate = alice.new_key("ci")
    added = alice.notarypy("signer", "add", "--json", "--key", certificate, "ci", REPOSITORY).expect(0)
    token = acr.refresh_token(Account("", kind="entra"))
    environment = agent(tmp_path / "agent", token, alice.environment)
    given = {
        "refs": f"{REPOSITORY}:1", "signer": "ci",
        "root": added.document["results"][0]["created"]["root_pins"][0],
    }  # fmt: skip
    secrets = {"key": "$(signingKey.secureFilePath)", "passphrase": "$(signingPassphrase)"}
    variables = {"signingKey.secureFilePath": str(key), "signingPassphrase": REPOSITORY_PASSPHRASE}
    acr.calls.clear()
    for more in ({"mode": "sign", **secrets}, {"mode": "verify"}):
        step = cisteps.with_macros(cisteps.azure({**given, **more}), variables)
        ran = programs.run((*step.shell, "-c", step.script), {**environment, **step.env}).expect(0)
        assert f"isOutput=true]{REPOSITORY}@sha256:" in ran.stdout
        assert token not in ran.text
    assert {call.headers.get("x-meta-source-client") for call in acr.calls} == {None, "VSTS"}
    assert '"ci"' in alice.inspection(REPOSITORY)


def test_who_may_not_sign_is_told_which_role_is_lacking(
    azure: AzureCloud, acr: AzureRegistry, alice: Person
) -> None:
    acr.entra = {TOKEN: Account("", frozenset({"pull", "push"}), "entra")}
    acr.refusal = "basic"
    alice.environment |= azure.client_secret()
    alice.notarypy("login", HOST, "--azure").expect(0)
    said = alice.notarypy("init", REPOSITORY).expect(7).stderr
    assert "asked for push,pull; the token grants pull" in said
    assert "AcrImageSigner" in said


def test_without_an_identity_nothing_is_asked_of_the_registry(
    azure: AzureCloud, alice: Person, cloud: Cloud
) -> None:
    assert azure.keys == {}
    alice.environment |= {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    assert "az login" in alice.notarypy("login", HOST, "--azure").expect(7).stderr
    assert [call for call in cloud.calls if call.host == HOST] == []
    assert (
        "no registry of Azure" in alice.notarypy("login", "registry.example.com", "--azure").expect(2).stderr
    )
