"""What is set wrong on a machine is told as that, in each of its ways: not as the network, nor as a defect.

What is broken: the variables that the libraries of AWS, Google and Azure read, and the files that these name.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import traceback
from typing import TYPE_CHECKING

import pytest
from azure.keyvault.keys._shared import http_challenge_cache

from notarypy.errors import (
    AuthenticationError,
    ConfigurationError,
    KeyMissingError,
    NetworkError,
    NotarypyError,
)
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers import backend
from notarypy.keys.signers.base import SignerContext
from support.azurecloud import TENANT, VAULT, AzureCloud
from support.clouds import Cloud
from support.googlecloud import RING, GoogleCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "hunter2THESECRET"
ARN = "awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
GCP, AZURE = f"gcpkms://{RING}/cryptoKeys/release/versions/1", f"azurekms://{VAULT}/release/{'1' * 32}"
READ = ("AWS_", "AZURE_", "GOOGLE_", "GCE_", "CLOUDSDK_", "REQUESTS_", "CURL_", "IDENTITY_", "MSI_", "IMDS_")
JUNK = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"\xff\xfe\x00",
    b"{}",
    b"[a]\nb",
    b"-----BEGIN X-----\nAA",
]
PEM = b"-----BEGIN PRIVATE KEY-----\nTUlJQg==\n-----END PRIVATE KEY-----\n"
VALUES = ["", "banana", "/nonexistent/of/nobody", "http://", "http://[", "\u00e9", " ", "-1", "a b"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A machine on which nothing is set, in a network where nobody but a token server answers."""
    for name in list(os.environ):
        if name.startswith(READ) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    http_challenge_cache.clear()
    with Cloud(tmp_path) as found:
        GoogleCloud(found, tmp_path)
        AzureCloud(found, tmp_path).make("release")
        home = {
            "HOME": str(tmp_path / "home"),
            "PATH": str(tmp_path),
            "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        }
        for name, value in {**found.environment, **home, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            monkeypatch.setenv(name, value)
        yield found


def refused(uri: str, cloud: Cloud | None = None) -> NotarypyError:
    """Ask for a key, and return the error, which has to say what is wrong here.

    Where a cloud is given, what is set may be right by chance: then somebody was asked.
    """
    if cloud is not None:
        cloud.calls.clear()
        cloud.strangers.clear()
    context = SignerContext(PassphraseRequest("", "jeff"), PassphraseChain([]), os.environ, 60)
    with pytest.raises(NotarypyError) as caught:
        backend(uri).open(uri, context)
    told = "".join(traceback.format_exception(caught.value)) + str(vars(caught.value))
    asked = cloud is not None and (cloud.calls or cloud.strangers)
    here = isinstance(caught.value, AuthenticationError | ConfigurationError)
    assert here or (asked and isinstance(caught.value, NetworkError | KeyMissingError)), told
    assert caught.value.why or "there are no" in str(caught.value), told
    assert all(len(line) < 300 for line in caught.value.why)
    assert SECRET not in told
    return caught.value


def broken(directory: Path, content: bytes | None) -> str:
    """Return the name of a file with this content; of a directory, if there is none."""
    path = directory / "broken"
    path.mkdir() if content is None else path.write_bytes(content)
    return str(path)


FILES = [None, *JUNK, PEM]
GOOGLE_KINDS = {
    "authorized_user": ["client_id", "client_secret", "refresh_token"],
    "service_account": ["client_email", "token_uri", "private_key", "private_key_id", "project_id"],
    "external_account": ["audience", "subject_token_type", "token_url", "credential_source"],
    "external_account_authorized_user": [
        "audience",
        "refresh_token",
        "token_url",
        "client_id",
        "client_secret",
    ],
    "impersonated_service_account": ["service_account_impersonation_url", "source_credentials", "delegates"],
    "gdch_service_account": [
        "format_version",
        "private_key",
        "private_key_id",
        "name",
        "token_uri",
        "project",
    ],
    "something": ["else"],
}
WRONG: list[object] = [None, 7, [], {}, "", "banana", "http://", "http://[::1", "https://a b/",
         {"file": "/nonexistent"},
         {"executable": {"command": "false"}}, {"url": "x"},
         {"environment_id": "aws1"}, {"type": "authorized_user"}]  # fmt: skip


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("content", FILES)
def test_google_a_file_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", broken(tmp_path, content))
    refused(GCP)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("content", FILES[1:])
def test_google_a_login_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    (tmp_path / "application_default_credentials.json").write_bytes(content)
    refused(GCP)


@pytest.mark.parametrize("kind", GOOGLE_KINDS)
def test_google_a_file_with_wrong_members(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    chance, path = random.Random(kind), tmp_path / "credentials.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    for _ in range(60):
        members = {name: chance.choice(WRONG) for name in GOOGLE_KINDS[kind] if chance.random() < 0.9}
        path.write_text(json.dumps({"type": kind, **members, "private_key_password": SECRET}))
        refused(GCP, cloud)


AZURE_NAMES = ["AZURE_TOKEN_CREDENTIALS", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
               "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_AUTHORITY_HOST",
               "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USERNAME", "AZURE_PASSWORD",
               "AZURE_POD_IDENTITY_AUTHORITY_HOST",
               "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT",
               "MSI_ENDPOINT", "MSI_SECRET"]  # fmt: skip
KINDS = ["prod", "dev", "EnvironmentCredential", "WorkloadIdentityCredential", "AzureCliCredential",
         "InteractiveBrowserCredential", "VisualStudioCodeCredential", "banana"]  # fmt: skip


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("name", ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"])
def test_azure_a_file_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", "x")
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PASSWORD", SECRET)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    monkeypatch.setenv(name, broken(tmp_path, content))
    refused(AZURE)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("kind", KINDS)
def test_azure_variables_that_are_wrong(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    chance = random.Random(kind)
    for _ in range(25):
        with monkeypatch.context() as patch:
            for name in AZURE_NAMES:
                if chance.random() < 0.4:
                    patch.setenv(name, chance.choice(VALUES))
            patch.setenv("AZURE_TOKEN_CREDENTIALS", kind)
            patch.setenv("AZURE_CLIENT_SECRET", chance.choice([SECRET, ""]))
            refused(AZURE)


AWS_NAMES = ["AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
             "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_CA_BUNDLE", "AWS_REGION", "AWS_DEFAULT_REGION",
             "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE",
             "AWS_STS_REGIONAL_ENDPOINTS", "AWS_METADATA_SERVICE_TIMEOUT", "AWS_USE_FIPS_ENDPOINT",
             "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
             "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CREDENTIAL_EXPIRATION",
             "AWS_DEFAULTS_MODE"]  # fmt: skip
PROFILES = [
    "role_arn = arn:aws:iam::111122223333:role/x\nsource_profile = missing",
    "role_arn = arn:aws:iam::111122223333:role/x\nsource_profile = default",
    "role_arn = banana\ncredential_source = banana",
    "role_arn = arn:aws:iam::111122223333:role/x\ncredential_source = Environment",
    "role_arn = arn:aws:iam::111122223333:role/x\nweb_identity_token_file = /nonexistent",
    f"credential_process = sh -c 'echo {SECRET} >&2; exit 1'",
    "credential_process = /nonexistent/program",
    "credential_process = echo {",
    "credential_process = echo []",
    "credential_process = echo {}",
    "credential_process = '",
    'credential_process = echo {"Version":1}',
    "sso_session = missing\nsso_account_id = 1\nsso_role_name = x",
    "sso_start_url = banana\nsso_account_id = 1\nsso_role_name = x\nsso_region = eu-west-1",
    "login_session = banana",
    "ca_bundle = /nonexistent\naws_access_key_id = AKID\naws_secret_access_key = " + SECRET,
    "aws_access_key_id = AKID",
    "region = a b\naws_access_key_id = AKID\naws_secret_access_key = " + SECRET,
    "endpoint_url = banana\naws_access_key_id = AKID\naws_secret_access_key = " + SECRET,
    "max_attempts = banana\naws_access_key_id = AKID\naws_secret_access_key = " + SECRET,
    "parameter_validation = banana\nretry_mode = banana\naws_access_key_id = AKID\naws_secret_access_key = "
    + SECRET,
]


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize(
    "name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE"]
)
def test_aws_a_file_that_is_none(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None
) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/x")
    monkeypatch.setenv(name, broken(tmp_path, content))
    refused(ARN, cloud)


@pytest.mark.parametrize("profile", PROFILES)
def test_aws_a_profile_that_is_wrong(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    (tmp_path / "config").write_text(f"[default]\n{profile}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", os.defpath)
    refused(ARN, cloud)


def test_aws_variables_that_are_wrong(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random("aws")
    for _ in range(30):
        with monkeypatch.context() as patch:
            for name in AWS_NAMES:
                if chance.random() < 0.2:
                    patch.setenv(name, chance.choice(VALUES))
            refused(ARN, cloud)


@pytest.mark.usefixtures("cloud")
def test_aws_asks_nobody_for_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    role, serial = "arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:mfa/jeff"
    (tmp_path / "config").write_text(
        f"[profile a]\nrole_arn = {role}\nsource_profile = b\nmfa_serial = {serial}\n"
        f"[profile b]\naws_access_key_id = AKID\naws_secret_access_key = {SECRET}\n"
        f"[profile c]\nrole_arn = {role}\nsource_profile = a\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("it asked"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    for profile in ("a", "c"):
        monkeypatch.setenv("AWS_PROFILE", profile)
        error = refused(ARN)
        assert error.why == (serial,)
        assert error.advice is not None
        assert error.advice.name == "get-aws-session"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("content", [None, b"", b"banana"])
@pytest.mark.parametrize("uri", [ARN, GCP, AZURE])
def test_authorities_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, content: bytes | None
) -> None:
    name = str(tmp_path / "missing") if content is None else broken(tmp_path, content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", name)
    error = refused(uri)
    assert isinstance(error, ConfigurationError)
    assert "REQUESTS_CA_BUNDLE" in str(error)
    assert name in error.why[0]


@pytest.mark.parametrize("proxy", ["http://", "http://host:port", "http://[", "ftp://x", "socks5://x"])
@pytest.mark.parametrize("uri", [ARN, "awskms:///alias/x", GCP, AZURE])
def test_a_proxy_that_is_none(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, proxy: str
) -> None:
    for name, value in (
        GoogleCloud(cloud, tmp_path).service_account() | AzureCloud(cloud, tmp_path).client_secret()
    ).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    refused(uri)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "script",
    ["exit 1", f"echo {SECRET}; exit 1", "echo {", "echo []", "echo '{}'", "kill -9 $$", "echo 'x' >&2"],
)
def test_azure_a_command_line_that_gives_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program = tmp_path / "az"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    refused(AZURE)
