"""Attacks that aim at the libraries below: the error is ours, and one signer harms no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.errors import MetadataError, VerificationError
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from notarypy.tuf.keys import PublicKey
from support.author import GUN, root_key
from support.otherkeys import wrapped
from support.people import make_world
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = [b"1e-99999999999999999", b"0e99999999999999999999999", b"0E" + b"9" * 5000, b"-1e" + b"9" * 400]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(make_world(tmp_path, monkeypatch))


def _version_2() -> PublicKey:
    """Return a root key in a certificate of X.509 version 2, which no library loads."""
    der = x509.load_pem_x509_certificate(root_key("x", GUN).public).public_bytes(Encoding.DER)
    return PublicKey(
        "ecdsa-x509", wrapped(der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101")))
    )


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:24].decode())
@pytest.mark.parametrize("role", [roles.ROOT, roles.TIMESTAMP])
def test_a_number_that_no_decimal_can_hold_is_refused(stage: Stage, role: str, number: bytes) -> None:
    stage.world.attacker.answer(Response(200, {}, b'{"signed":' + number + b"}"), path=rf".*/{role}\.json")
    stage.refused(MetadataError)


def test_a_first_root_with_an_impossible_certificate_is_refused(stage: Stage) -> None:
    evil = _version_2()
    root = json.loads(stage.served()[roles.ROOT])
    root["signed"]["keys"][evil.keyid] = evil.to_json()
    root["signed"]["roles"]["root"]["keyids"] = [evil.keyid]
    stage.world.attacker.answer(Response(200, {}, json.dumps(root).encode()), path=r".*/root\.json")
    stage.refused(VerificationError)
    with pytest.raises(VerificationError):
        stage.reader.client().offered_root(GUN)


def test_a_signer_who_lists_an_impossible_certificate_harms_nobody(stage: Stage) -> None:
    stage.author.delegate(f"{JEFF}/x", [_version_2()])
    stage.publish(JEFF)
    client = stage.reader.client()
    assert client.verify(f"{GUN}:1").signers == ("jeff",)
    assert ("jeff/x", (_version_2().keyid,)) in client.inspect(GUN).signers
    assert f"{JEFF}/x" in [entry.role for entry in client.delegations(GUN)]


def test_a_delegation_cannot_write_over_the_anchor_of_another_repository(stage: Stage) -> None:
    inner = f"{GUN}/metadata/targets"
    stage.world.person("victim").client(gun=True).init(inner)
    stage.reader.client(gun=True).refresh(inner)
    before = stage.reader.cache(inner)
    for role in ("targets/metadata", "targets/metadata/root", "targets/metadata/targets"):
        stage.author.delegate(role)
        stage.author.add("x", b"x", role)
    stage.publish(roles.TARGETS)
    found = stage.reader.client().refresh(GUN)
    assert "targets/metadata/root" in found.targets
    assert stage.reader.cache(inner) == before
    assert stage.reader.client(gun=True).refresh(inner).files == before
    assert stage.reader.client().refresh(GUN).files == found.files
