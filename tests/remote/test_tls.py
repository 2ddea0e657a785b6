from __future__ import annotations

import errno
import os
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from notarypy.cli.text.advice import advice
from notarypy.errors import TlsError
from notarypy.remote.http.tls import context


def loaded(made: ssl.SSLContext) -> int:
    return made.cert_store_stats()["x509"]


def directory(path: Path, *files: tuple[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files:
        (path / name).write_bytes(data)
    return path


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """An environment whose CA store is one certificate of nobody."""
    (tmp_path / "nobody.pem").write_bytes(trustme.CA().cert_pem.bytes())
    return {"SSL_CERT_FILE": str(tmp_path / "nobody.pem"), "SSL_CERT_DIR": str(tmp_path / "none")}


def test_a_named_ca_replaces_the_system_store(ca_file: Path, empty: dict[str, str]) -> None:
    made = context(replace_ca=ca_file, environ=empty)
    assert loaded(made) == 1
    assert made.check_hostname
    assert not made.hostname_checks_common_name
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2


def test_extra_cas_add_to_the_system_store(ca_file: Path, empty: dict[str, str]) -> None:
    assert loaded(context(environ=empty)) == 1
    assert loaded(context(extra_ca=[ca_file], environ=empty)) == 2


def test_the_system_store_is_used_by_default() -> None:
    made = context(environ={})
    # A hashed directory is read only when a certificate is looked up, so it does not count here.
    capaths = [path for path in ("/etc/ssl/certs", "/etc/pki/tls/certs") if Path(path).is_dir()]
    assert loaded(made) > 0 or capaths


def test_the_real_environment_is_not_read(
    monkeypatch: pytest.MonkeyPatch, empty: dict[str, str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert loaded(context(environ=empty)) == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"]
)
def test_an_unusable_ca_file_stops_everything(
    tmp_path: Path, empty: dict[str, str], content: bytes | None
) -> None:
    path = tmp_path / "bad.crt"
    if content is not None:
        path.write_bytes(content)
    named = {**empty, "SSL_CERT_FILE": str(path)}
    for replace, extra, environ in ((path, [], empty), (None, [path], empty), (None, [], named)):
        with pytest.raises(TlsError) as caught:
            context(replace_ca=replace, extra_ca=extra, environ=environ)
        assert str(path) in caught.value.message
        assert caught.value.why[0]


def test_a_store_may_be_named_to_be_empty_and_its_variable_is_named(
    tmp_path: Path, empty: dict[str, str], ca_file: Path
) -> None:
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "ca.pem").write_bytes(ca_file.read_bytes())
    nothing = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": str(tmp_path / "named")}
    assert len(context(environ=nothing).get_ca_certs()) == 1
    with pytest.raises(TlsError, match="cannot use the CA file") as caught:
        context(environ={**empty, "SSL_CERT_FILE": "/dev/zero"})
    assert caught.value.why == (os.strerror(errno.ENODEV), "SSL_CERT_FILE names it")


def test_a_hashed_directory_is_preferred_to_the_bundle_in_it(tmp_path: Path) -> None:
    one, two = trustme.CA().cert_pem.bytes(), trustme.CA().cert_pem.bytes()
    certs = directory(tmp_path / "certs", ("0123abcd.0", one), ("0123abce.0", two), ("all.crt", one + two))
    environ = {"SSL_CERT_DIR": str(certs), "SSL_CERT_FILE": str(certs / "all.crt")}
    assert loaded(context(environ=environ)) == 0
    (certs / "all.crt").write_bytes(one + two + trustme.CA().cert_pem.bytes())
    assert loaded(context(environ=environ)) == 3


def test_a_bundle_is_found_in_its_hashed_directory_by_its_links_too(tmp_path: Path) -> None:
    one = trustme.CA().cert_pem.bytes()
    certs = directory(tmp_path / "certs", ("0123abcd.0", one), ("all.crt", one))
    openssl = directory(tmp_path / "openssl")
    (openssl / "certs").symlink_to(certs)
    (openssl / "cert.pem").symlink_to(certs / "all.crt")
    for folder in (certs, openssl / "certs"):
        environ = {"SSL_CERT_DIR": str(folder), "SSL_CERT_FILE": str(openssl / "cert.pem")}
        assert loaded(context(environ=environ)) == 0
    (certs / "all.crt").write_bytes(one + trustme.CA().cert_pem.bytes())
    assert loaded(context(environ=environ)) == 2


def test_a_plain_directory_is_loaded_when_named(tmp_path: Path, empty: dict[str, str]) -> None:
    pem = trustme.CA().cert_pem.bytes()
    certs = directory(tmp_path / "certs", ("corp.pem", pem), ("notes.txt", b"hello"))
    environ = {**empty, "SSL_CERT_DIR": f"{tmp_path / 'none'}{os.pathsep}{certs}"}
    assert loaded(context(environ=environ)) == 2


def test_client_pair(tmp_path: Path, ca_file: Path, leaf: trustme.LeafCert) -> None:
    cert, key = tmp_path / "x.cert", tmp_path / "x.key"
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    assert context(replace_ca=ca_file, client_cert=cert, client_key=key, environ={})
    for wrong_cert, wrong_key in ((cert, None), (None, key), (key, cert)):
        with pytest.raises(TlsError, match="client certificate"):
            context(replace_ca=ca_file, client_cert=wrong_cert, client_key=wrong_key, environ={})
    with pytest.raises(TlsError) as caught:
        context(replace_ca=ca_file, client_cert=tmp_path / "none", client_key=key, environ={})
    assert caught.value.why == ("there is no such file",)
    assert "unencrypted PEM key" in advice(caught.value)


def test_a_certificate_of_another_key_is_said_to_be_that(
    tmp_path: Path, ca_file: Path, leaf: trustme.LeafCert
) -> None:
    cert, key = tmp_path / "x.cert", tmp_path / "x.key"
    leaf.cert_chain_pems[0].write_to_path(cert)
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(key)
    with pytest.raises(TlsError) as caught:
        context(replace_ca=ca_file, client_cert=cert, client_key=key, environ={})
    assert caught.value.why == ("the certificate is of another key",)
    assert (caught.value.facts["reason"], caught.value.facts["errno"]) == ("other_key", None)


def test_an_encrypted_client_key_is_refused_without_asking(
    tmp_path: Path, ca_file: Path, leaf: trustme.LeafCert
) -> None:
    cert, key = tmp_path / "x.cert", tmp_path / "x.key"
    leaf.cert_chain_pems[0].write_to_path(cert)
    secret = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")))
    with pytest.raises(TlsError) as caught:
        context(replace_ca=ca_file, client_cert=cert, client_key=key, environ={})
    assert "unencrypted" in caught.value.why[0]
