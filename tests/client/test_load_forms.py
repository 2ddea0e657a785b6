"""`key load`: whatever form a key comes in, it is stored in the one that docker and Go notary read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from notarypy.client.api import Client
from notarypy.errors import PassphraseWrongError, UnsupportedKeyError
from notarypy.keys.formats import pem, pkcs8
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from notarypy.keys.keyinfo import PassphraseRequest

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEYS = FIXTURES / "keys"
UNUSABLE = {
    "k1.pem",  # secp256k1
    "rsa1024.pem",
    "openssh",
    "ec.der",
    "v2c-camellia-256-cbc.pem",
    "openssl-ed25519-rfc8410-UNREADABLE-by-notary.key",
}
FILES = [
    path
    for path in sorted(KEYS.rglob("*"))
    if path.is_file() and path.suffix not in {".md", ".pub", ".crt"} and path.name != "notary-generate-o.pem"
]
USABLE = [path for path in FILES if path.name not in UNUSABLE]
PASSPHRASES = {"root": "rootpass1", "targets": "targetspass1", "snapshot": "snappass1"}
NEW = "the new passphrase"


def _client(directory: Path, *, given: str | None = None) -> Client:
    def answer(request: PassphraseRequest) -> str:
        if request.new or request.keyid:
            return NEW
        return PASSPHRASES.get(request.role, "delegpass1") if given is None else given

    return Client(trust_dir=directory, passphrases=answer)


def _given(path: Path) -> str | None:
    """Return the passphrase of a file; None for what its role says."""
    if path.parent.name == "cosign":
        return "a passphrase" if path.name == "with-passphrase.key" else ""
    if path.parent.name == "openssl":
        return "secret12"
    return (
        "rootpass1"
        if path.parent.name == "root_keys"
        else "targetspass1"
        if "old-layout" in str(path)
        else None
    )


def _stored_well(client: Client, data: bytes, name: str | None = None) -> list[str]:
    """Load keys; insist that each is stored as Go reads it, and opens with the new passphrase alone."""
    loaded = client.keys.load(data, name=name)
    for info in loaded:
        (block,) = pem.split(info.path.read_bytes())
        pkcs8.require_portable(block)
        assert (block.role, block.path) == (info.role, None)
        assert info.path.name == f"{info.keyid}.key"
        pkcs8.decrypt(block, NEW)
        with pytest.raises(PassphraseWrongError):
            pkcs8.decrypt(block, "another passphrase")
    return [info.keyid for info in loaded]


@pytest.mark.parametrize("path", USABLE, ids=lambda path: str(path.relative_to(KEYS)))
def test_every_form_is_stored_as_go_reads_it(path: Path, tmp_path: Path) -> None:
    name = None if pem.split(path.read_bytes(), cosign=True)[0].role else "jeff"
    assert _stored_well(_client(tmp_path, given=_given(path)), path.read_bytes(), name)


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_what_notary_cannot_use_is_refused(name: str, tmp_path: Path) -> None:
    (path,) = (path for path in FILES if path.name == name)
    with pytest.raises(UnsupportedKeyError):
        _client(tmp_path, given="secret12").keys.load(path.read_bytes())
    assert not list(tmp_path.rglob("*.key"))


def test_a_bundle_is_loaded_key_by_key(tmp_path: Path) -> None:
    data = (KEYS / "export-bundle-five-keys.pem").read_bytes()
    assert len(set(_stored_well(_client(tmp_path), data))) == 5


@pytest.mark.parametrize("curve", [ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("passphrase", [None, b"secret12"])
def test_every_curve_in_every_form(
    tmp_path: Path, curve: type[ec.EllipticCurve], form: PrivateFormat, passphrase: bytes | None
) -> None:
    key = ec.generate_private_key(curve())
    sealing = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    data = key.private_bytes(Encoding.PEM, form, sealing)
    assert len(_stored_well(_client(tmp_path, given="secret12"), data, "jeff")) == 1


@pytest.mark.parametrize("bits", [2048, 4096])
def test_rsa_with_headers_and_text_around_it(tmp_path: Path, bits: int) -> None:
    key = fresh_key(bits)
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    lines = data.splitlines(keepends=True)
    wrapped = b"Bag Attributes\n" + lines[0] + b"role: jeff\n\n" + b"".join(lines[1:])
    assert len(_stored_well(_client(tmp_path), wrapped)) == 1
