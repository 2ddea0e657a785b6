from __future__ import annotations

import ssl
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from notarypy.keys import serverpair
from support.author import NOW
from support.handshakes import shake_hands

if TYPE_CHECKING:
    from pathlib import Path

LIFE = timedelta(days=10)
HOST = "notarypy.images.svc"


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


@pytest.mark.parametrize("days", [0, 9])
def test_openssl_takes_the_chain_as_strictly_as_it_can(tmp_path: Path, days: int) -> None:
    pair = serverpair.issue("somebody", [HOST, "127.0.0.1"], NOW, LIFE)
    for name, data in (("ca.pem", pair.authority), ("leaf.pem", pair.certificate)):
        (tmp_path / name).write_bytes(data)
    moment = str(int((NOW + timedelta(days=days)).timestamp()))
    argv = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-purpose", "sslserver"]
    argv += ["-verify_hostname", HOST, "-attime", moment, "-no-CApath", "-no-CAfile", "-no-CAstore"]
    done = subprocess.run(  # noqa: PLW1510 - below
        [*argv, "-CAfile", "ca.pem", "leaf.pem"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "leaf.pem: OK\n"), done.stderr


def test_it_counts_from_an_hour_ago_until_its_end_and_not_longer() -> None:
    pair = serverpair.issue("somebody", [HOST], NOW, LIFE)
    for pem in (pair.authority, pair.certificate):
        assert certificate(pem).not_valid_before_utc == NOW.replace(microsecond=0) - timedelta(hours=1)
        assert certificate(pem).not_valid_after_utc == pair.until == NOW.replace(microsecond=0) + LIFE


def test_two_authorities_can_be_trusted_side_by_side(tmp_path: Path) -> None:
    old, new = (serverpair.issue("somebody", [HOST], NOW, timedelta(days=36500)) for _ in range(2))
    assert certificate(old.authority).subject != certificate(new.authority).subject
    context = ssl.create_default_context(cadata=(old.authority + new.authority).decode())
    for pair in (old, new):
        shake_hands(context, pair.certificate, pair.key, HOST, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context, new.certificate, new.key, "other.test", tmp_path)
    context = ssl.create_default_context(cadata=old.authority.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, new.certificate, new.key, HOST, tmp_path)
