"""Keys that sign as cosign does: cosign itself verifies what they sign, and reads and writes key files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from interop.harness import ministack, openbao
from interop.harness.softhsm import PIN, SoftHsm
from interop.harness.verifiers import PASSWORD, Verifiers
from notarypy.client.keys.manager import KeyManager
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from support import leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from interop.harness import services
    from interop.harness.ministack import Kms
    from interop.harness.openbao import OpenBao
    from interop.harness.people import Person

MESSAGE = b"what is signed\n"


@pytest.fixture(scope="module")
def vault(workshop: Path) -> Iterator[OpenBao]:
    with openbao.running(workshop / "openbao-for-cosign") as server:
        yield server


@pytest.fixture(scope="module")
def kms(workshop: Path) -> Iterator[Kms]:
    with ministack.running(workshop / "ministack-for-cosign") as server:
        yield server


@pytest.fixture
def verifiers(tmp_path: Path, registry: services.Endpoint) -> Verifiers:
    return Verifiers(tmp_path / "verifiers", registry)


@pytest.fixture
def name(unique: Callable[[], str]) -> str:
    """Return a name for keys that no other test has."""
    return unique().rpartition("/")[2]


def verified(
    verifiers: Verifiers, folder: Path, uri: str, environ: Mapping[str, str], pin: str = ""
) -> tuple[int, int]:
    """Sign with a key that is not noted; return what cosign says of the signature, and of another message."""
    chain = PassphraseChain([CallbackSource(lambda _: pin, pins=True)] if pin else [])
    manager = KeyManager(KeyStore(folder / "private", environ=environ), chain)
    signer = manager.cosign_signer(uri)
    public, signature = folder / "cosign.pub", folder / "signature"
    public.write_bytes(signer.key.pem)
    signature.write_bytes(base64.b64encode(signer.sign(MESSAGE)))
    assert manager.store.list() == []
    right, wrong = (blob(verifiers, folder, public, signature, text) for text in (MESSAGE, b"another"))
    return right, wrong


def blob(verifiers: Verifiers, folder: Path, public: Path, signature: Path, message: bytes) -> int:
    file = folder / "message"
    file.write_bytes(message)
    head = ("verify-blob", "--key", public, "--insecure-ignore-tlog=true", "--signature", signature)
    return verifiers.cosign(*head, file).code


@pytest.mark.parametrize("kind", ["EC:prime256v1", "EC:secp384r1", "rsa:2048"])
def test_a_key_on_a_token(
    monkeypatch: pytest.MonkeyPatch, verifiers: Verifiers, tmp_path: Path, kind: str
) -> None:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("release")
    monkeypatch.setenv("SOFTHSM2_CONF", hsm.environment["SOFTHSM2_CONF"])
    uri = hsm.make_key("release", "jeff", kind)
    assert verified(verifiers, tmp_path, uri, hsm.environment, PIN) == (0, 1)


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"])
def test_a_key_in_openbao(verifiers: Verifiers, tmp_path: Path, vault: OpenBao, name: str, kind: str) -> None:
    assert verified(verifiers, tmp_path, vault.make_key(name, kind), vault.environment()) == (0, 1)


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_a_key_in_kms(verifiers: Verifiers, tmp_path: Path, kms: Kms, spec: str) -> None:
    assert verified(verifiers, tmp_path, f"awskms:///{kms.make_key(spec)}", kms.environment) == (0, 1)


def test_a_pair_of_files_goes_both_ways(alice: Person, verifiers: Verifiers, tmp_path: Path) -> None:
    pair = verifiers.generate_key_pair("made-by-cosign")
    secrets = {"COSIGN_PASSWORD": PASSWORD}
    public = alice.notarypy("key", "export", "--cosign", "--public", pair.private, **secrets).expect(0)
    assert public.stdout == pair.public.read_text()
    runs = [public, alice.notarypy("key", "load", pair.private, "--name", "release", **secrets).expect(0)]
    written = tmp_path / "cosign.key"
    command = ("key", "export", "--cosign", "release", "-o", written)
    runs += [alice.notarypy("-vv", *command, COSIGN_PASSWORD=PASSWORD).expect(0)]
    signature, message = tmp_path / "signature", tmp_path / "message"
    message.write_bytes(MESSAGE)
    head = ("sign-blob", "--tlog-upload=false", "--yes", "--key", written, "--output-signature", signature)
    verifiers.cosign(*head, message).expect(0)
    assert blob(verifiers, tmp_path, pair.public, signature, MESSAGE) == 0
    assert blob(verifiers, tmp_path, pair.public, signature, b"another") == 1
    wrong = alice.notarypy("key", "load", written, COSIGN_PASSWORD="another of these")
    runs += [wrong.expect(6), alice.notarypy("key", "load", written).expect(6)]
    shown = "".join(run.stdout + run.stderr for run in runs)
    assert list(leaks.found_in(shown.encode(), [PASSWORD])) == []
