"""Keys in Google Cloud KMS and Azure Key Vault sign what Go notary and docker verify.

The services are fakes on loopback, for nobody can run the real ones here; the libraries that ask them are the
real ones, and so are Notary server and clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.azurecloud import SECRET, AzureCloud
from support.azurecloud import TOKEN as AZURE_TOKEN
from support.clouds import Cloud
from support.googlecloud import TOKEN as GOOGLE_TOKEN
from support.googlecloud import GoogleCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    (tmp_path / "cloud").mkdir()
    with Cloud(tmp_path / "cloud") as found:
        yield found
        assert found.strangers == []


@pytest.fixture
def google(cloud: Cloud, tmp_path: Path, alice: Person) -> GoogleCloud:
    found = GoogleCloud(cloud, tmp_path / "cloud")
    alice.environment |= {**cloud.environment, **found.workload_identity()}
    return found


@pytest.fixture
def azure(cloud: Cloud, tmp_path: Path, alice: Person) -> AzureCloud:
    found = AzureCloud(cloud, tmp_path / "cloud")
    alice.environment |= {**cloud.environment, **found.client_secret()}
    return found


def signer_of(person: Person, cloud: GoogleCloud | AzureCloud, uri: str, repository: Repository) -> None:
    """Note a key in a service, and make it that of the signer ci."""
    person.notarypy("key", "add", uri, "--name", "ci").expect(0)
    public = person.home / "ci.pub"
    public.write_bytes(cloud.public(uri))
    person.notarypy("signer", "add", "--key", public, "ci", repository.name).expect(0)


def shown_and_read(owner: Person, reader: Person, repository: Repository, root: str, image: Manifest) -> str:
    """Look at the list of keys, and at what Go notary and docker read; return what a test of the key says."""
    assert f"1 {image.sha256}" in " ".join(reader.notary("list", repository.name).expect(0).stdout.split())
    assert '"ci"' in reader.inspection(repository.name)
    assert root in owner.notarypy("key", "list").expect(0).stdout
    return owner.notarypy("key", "test", "ci").expect(0).text


def without_secrets(person: Person, said: list[str], *secrets: str) -> None:
    """Insist that no secret is in what was said, or in a file of a person's."""
    kept = b"".join(person.files().values()).decode(errors="replace")
    for text in (*said, kept):
        for secret in secrets:
            assert secret not in text


@pytest.mark.parametrize("algorithm", ["EC_SIGN_P256_SHA256", "RSA_SIGN_PSS_2048_SHA256"])
def test_root_and_signer_in_google_cloud_kms(
    google: GoogleCloud, cloud: Cloud, alice: Person, bob: Person, repository: Repository, algorithm: str
) -> None:
    image = repository.push("1")
    root = google.make("root", algorithm)
    alice.notarypy("key", "add", root.partition("/versions")[0], "--name", "root").expect(0)
    alice.notarypy("init", repository.name).expect(0)
    signer_of(alice, google, google.make("ci", algorithm), repository)
    cloud.lines()
    ran = alice.notarypy("-vv", "sign", repository.ref("1")).expect(0)
    signed = [line for line in cloud.lines() if "asymmetricSign" in line]
    assert len(signed) == 2  # targets/ci and targets/releases
    assert all("/cryptoKeys/ci/" in line for line in signed)
    said = shown_and_read(alice, bob, repository, root, image)
    assert algorithm in said
    without_secrets(alice, [ran.text, said], GOOGLE_TOKEN, "OIDCTOKEN")


@pytest.mark.parametrize("kind", ["EC", "RSA-HSM"])
def test_root_and_signer_in_azure_key_vault(
    azure: AzureCloud, cloud: Cloud, alice: Person, bob: Person, repository: Repository, kind: str
) -> None:
    image = repository.push("1")
    root = azure.make("root", kind)
    alice.notarypy("key", "add", root.rpartition("/")[0], "--name", "root").expect(0)
    alice.notarypy("init", repository.name).expect(0)
    signer_of(alice, azure, azure.make("ci", kind), repository)
    cloud.lines()
    ran = alice.notarypy("-vv", "sign", repository.ref("1")).expect(0)
    assert len([call for call in cloud.calls if call.path.endswith("/sign") and call.body]) == 2
    said = shown_and_read(alice, bob, repository, root, image)
    assert ("HSM" if kind == "RSA-HSM" else "software") in said
    without_secrets(alice, [ran.text, said], AZURE_TOKEN, SECRET)


def test_a_permission_that_is_lost_changes_nothing(
    google: GoogleCloud, alice: Person, repository: Repository
) -> None:
    repository.push("1")
    alice.notarypy("init", repository.name).expect(0)
    signer_of(alice, google, google.make("ci"), repository)
    before = alice.files()
    google.denied.add("useToSign")
    refused = alice.notarypy("sign", repository.ref("1")).expect(7)
    assert "cloudkms.cryptoKeyVersions.useToSign" in refused.stderr
    assert "roles/cloudkms.signer" in refused.stderr
    assert alice.files() == before
