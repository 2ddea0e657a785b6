"""The certificate that the service shows, read from files that change."""

from __future__ import annotations

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

from notarypy.errors import ConfigurationError
from notarypy.service.servingcertificate import ServingCertificate

LATER = 4_000_000_000


def write(folder: Path, name: str = "localhost") -> trustme.LeafCert:
    folder.mkdir(exist_ok=True)
    issued = trustme.CA().issue_cert(name)
    (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    return issued


class Ends:
    """Notes what was loaded."""

    def __init__(self) -> None:
        self.all: list[float | None] = []

    def __call__(self, end: float | None) -> None:
        self.all.append(end)


@pytest.fixture
def ends() -> Ends:
    return Ends()


def served(folder: Path, ends: Ends, **how: Path) -> ServingCertificate:
    return ServingCertificate(folder / "tls.crt", folder / "tls.key", **how, loaded=ends)


def test_nothing_happens_while_nothing_changes(tmp_path: Path, ends: Ends) -> None:
    write(tmp_path / "a")
    certificate = served(tmp_path / "a", ends)
    before = certificate.context
    certificate.look()
    assert certificate.context is before
    assert before.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(ends.all) == 1
    assert ends.all[0] is not None


def test_a_mounted_secret_is_swapped_by_its_link(tmp_path: Path, ends: Ends) -> None:
    for name in ("one", "two"):
        write(tmp_path / name)
        for file in (tmp_path / name).iterdir():  # as old as the other, and as long
            os.utime(file, (1, 1))
    data, mount = tmp_path / "..data", tmp_path / "mount"
    data.symlink_to("one")
    mount.mkdir()
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"../..data/{name}")
    certificate = served(mount, ends)
    before = certificate.context
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(data)
    certificate.look()
    assert certificate.context is not before
    assert len(ends.all) == 2


@pytest.mark.parametrize("damage", ["other key", "half", "gone", "no key", "directory", "no PEM"])
def test_a_pair_of_no_use_leaves_the_one_before(
    tmp_path: Path, ends: Ends, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a")
    certificate = served(tmp_path / "a", ends)
    before = certificate.context
    file = tmp_path / "a" / ("tls.key" if "key" in damage else "tls.crt")
    match damage:
        case "other key":
            file.write_bytes((write(tmp_path / "b").private_key_pem).bytes())
        case "half":
            file.write_bytes(file.read_bytes()[:100])
        case "no PEM":
            file.write_bytes(b"\0" * 1000)
        case _:
            file.unlink()
    if damage == "directory":
        file.mkdir()
    for _ in range(3):
        certificate.look()
    assert certificate.context is before
    assert ends.all[1:] == [None]
    assert caplog.text.count("cannot be used") == 1
    if damage == "directory":
        file.rmdir()
    write(tmp_path / "a")
    certificate.look()
    assert certificate.context is not before
    assert len(ends.all) == 3


def test_the_cas_of_clients_are_looked_at_too(tmp_path: Path, ends: Ends) -> None:
    write(tmp_path / "a")
    clients = tmp_path / "clients.pem"
    clients.write_bytes(trustme.CA().cert_pem.bytes())
    certificate = served(tmp_path / "a", ends, client_ca=clients)
    assert certificate.context.verify_mode is ssl.CERT_OPTIONAL
    before = certificate.context.get_ca_certs()
    clients.write_bytes(trustme.CA().cert_pem.bytes())
    os.utime(clients, (LATER, LATER))
    certificate.look()
    assert certificate.context.get_ca_certs() not in ([], before)
    clients.write_text("nothing")
    certificate.look()
    assert ends.all[2:] == [None]


def test_an_encrypted_key_is_refused_without_a_question(tmp_path: Path, ends: Ends) -> None:
    issued = write(tmp_path / "a")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    closed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    (tmp_path / "a" / "tls.key").write_bytes(closed)
    with pytest.raises(ConfigurationError) as caught:
        served(tmp_path / "a", ends)
    assert caught.value.why == ("the key is encrypted",)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "clients.pem"])
def test_what_is_not_there_is_said(tmp_path: Path, ends: Ends, name: str) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "clients.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (tmp_path / "a" / name).unlink()
    with pytest.raises(ConfigurationError, match=f"in {tmp_path}/a/{name}") as caught:
        served(tmp_path / "a", ends, client_ca=tmp_path / "a" / "clients.pem")
    assert "No such file" in " ".join(caught.value.why)
