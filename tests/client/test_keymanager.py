"""Root certificates that people hand in: what is published of them, and what is refused."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.errors import UsageError
from notarypy.tuf import canonical, roles
from support.author import GUN, private_key, root_key
from support.people import pem_of

if TYPE_CHECKING:
    from support.people import Person, World

CERTIFICATE = root_key("handed in", GUN).public


@pytest.fixture
def owner(world: World) -> Person:
    """Somebody with the private key of the certificate in a file."""
    (world.base / "root.pem").write_bytes(pem_of(private_key("handed in")))
    return world.person("owner")


def _init(owner: Person, certificate: bytes) -> None:
    owner.client().init(GUN, root_key=str(owner.world.base / "root.pem"), root_cert=certificate)


def _published(world: World) -> bytes:
    """Return all that the published root says of its root key, decoded."""
    signed = canonical.decode(world.attacker.current(GUN, roles.ROOT))["signed"]
    (keyid,) = signed["roles"]["root"]["keyids"]
    return base64.b64decode(signed["keys"][keyid]["keyval"]["public"])


def test_a_certificate_alone_is_published_as_it_is(world: World, owner: Person) -> None:
    _init(owner, CERTIFICATE)
    assert _published(world) == CERTIFICATE


@pytest.mark.parametrize("label", ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
@pytest.mark.parametrize("first", [True, False])
def test_a_file_with_a_private_key_is_never_published(
    world: World, owner: Person, label: str, *, first: bool
) -> None:
    secret = pem_of(private_key("handed in")).replace(b"PRIVATE KEY", label.encode())
    with pytest.raises(UsageError, match="holds a private key"):
        _init(owner, secret + CERTIFICATE if first else CERTIFICATE + secret)
    assert "POST" not in world.requests()
    assert owner.key_files() == set()


def test_nothing_but_certificates_is_published(world: World, owner: Person) -> None:
    around = b"user: jeff\npassword: hunter2\n"
    other = b"-----BEGIN SECRET-----\nc2VjcmV0\n-----END SECRET-----\n"
    _init(owner, around + CERTIFICATE + other)
    assert _published(world) == CERTIFICATE


def test_a_certificate_that_cannot_be_read_is_refused(world: World, owner: Person) -> None:
    der = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"))
    text = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
    for wrong in (b"", b"junk", text % base64.encodebytes(odd), text % base64.encodebytes(b"1234")):
        with pytest.raises(UsageError, match="cannot be read"):
            _init(owner, wrong)
    assert "POST" not in world.requests()
