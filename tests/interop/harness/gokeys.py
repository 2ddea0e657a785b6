"""Keys and certificates that openssl makes, and the ids that Notary has for them.

What it is: files that two people can both have, so that ids in their outputs are the same. What it is not:
keys in a trust directory.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interop.harness.programs import openssl

Public = ec.EllipticCurvePublicKey


def make(folder: Path, name: str, *, rsa: bool = False) -> None:
    """Make NAME.key, NAME.pub and NAME.crt in a folder."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    if rsa:
        openssl("genrsa", "-out", key, "2048")
    else:
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    key.chmod(0o600)
    openssl("pkey", "-in", key, "-pubout", "-out", folder / f"{name}.pub")
    days = ("-days", "365", "-subj", f"/CN={name}")
    openssl("req", "-new", "-x509", "-sha256", *days, "-key", key, "-out", certificate)


def ids(folder: Path) -> set[str]:
    """Return the ids of all keys and certificates in a folder."""
    found = set()
    for path in folder.glob("*.crt"):
        found |= {certificate_id(path.read_bytes()), canonical_id(path.read_bytes())}
    return found


def canonical_id(certificate: bytes) -> str:
    """Return the id of a certificate's key, which the file of its private key has for a name."""
    public = x509.load_pem_x509_certificate(certificate).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    kind = "ecdsa" if isinstance(public, Public) else "rsa"
    return _id(kind, public.public_bytes(serialization.Encoding.DER, form))


def certificate_id(certificate: bytes) -> str:
    """Return the id that a certificate has in metadata."""
    public = x509.load_pem_x509_certificate(certificate).public_key()
    return _id("ecdsa-x509" if isinstance(public, Public) else "rsa-x509", certificate)


def _id(keytype: str, public: bytes) -> str:
    document = {"keytype": keytype, "keyval": {"private": None, "public": base64.b64encode(public).decode()}}
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()
