"""A TLS handshake in memory: whether a client takes a server's certificate."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def shake_hands(context: ssl.SSLContext, certificate: bytes, key: bytes, host: str, folder: Path) -> None:
    """Raise what the client's side raises, a strict one; the server has this certificate and key."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    path = folder / "server.pem"
    path.write_bytes(certificate + key)
    path.chmod(0o600)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname=host)
    server = serving.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        waiting = [side for side in waiting if not _done(side)]


def _done(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
