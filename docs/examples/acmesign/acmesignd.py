"""Stands for acme's signing daemon, to try the example with: `python3 acmesignd.py SOCKET NAME...`."""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import sys
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in sys.argv[2:]}


def answer(action: str, name: str, data: str) -> dict[str, str]:
    """Do what is asked with a key."""
    key = KEYS.get(name)
    if key is None:
        return {"error": "no such key"}
    if action == "public":
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {"error": "", "result": pem.decode()}
    if action == "sign":
        der = key.sign(base64.b64decode(data), ec.ECDSA(SHA256()))
        return {"error": "", "result": base64.b64encode(der).decode()}
    return {"error": f"nobody may {action}"}


class Handler(socketserver.StreamRequestHandler):
    """One request and its answer, a line each."""

    def handle(self) -> None:
        """Answer."""
        asked = json.loads(self.rfile.readline())
        found = answer(asked["action"], asked["key"], asked["data"])
        self.wfile.write(json.dumps(found).encode() + b"\n")


def clear(path: Path) -> None:
    """Remove the socket of a daemon that was killed: one that nobody answers at."""
    with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as daemon:
        try:
            daemon.connect(str(path))
        except ConnectionRefusedError:
            if path.is_socket():
                path.unlink()


if __name__ == "__main__":
    clear(Path(sys.argv[1]))
    with socketserver.ThreadingUnixStreamServer(sys.argv[1], Handler) as server:
        server.serve_forever()
