"""Keys at acme's signing daemon: `acmesign:NAME`, where `ACMESIGN_SOCKET` says.

The daemon listens on a Unix socket and answers one line of JSON with another one. Everything about it is made
up; what notarypy wants of a backend is all here.
"""

from __future__ import annotations

import base64
import json
import socket
from typing import Any, Self

from notarypy import Advice, ExternalSigner, PublicKey, SignerContext, signers
from notarypy.errors import ConfigurationError, KeyMissingError, KeyPermissionError, UnreachableError

SOCKET = "ACMESIGN_SOCKET"


class AcmeSigner(ExternalSigner):
    """One key of the daemon."""

    def __init__(self, uri: str, public: PublicKey, context: SignerContext) -> None:
        """Take what every signer has, and how to ask the daemon."""
        super().__init__(uri, public)
        self._context = context

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Return a signer; the daemon is asked only where the public half is not known yet."""
        public = context.public
        if public is None:
            public = PublicKey.from_pem(_ask(context, "public", uri).encode())
        return cls(uri, public, context)

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return method and signature; the daemon hashes by SHA-256 and returns DER."""
        der = _ask(self._context, "sign", self.uri, base64.b64encode(message).decode())
        return signers.from_der(self.public, base64.b64decode(der))


def _ask(context: SignerContext, action: str, uri: str, data: str = "") -> str:
    """Send one request, and return the answer or raise what it means."""
    path = context.environ.get(SOCKET)
    if not path:
        raise ConfigurationError(
            f"the variable {SOCKET} does not say where acme's daemon listens",
            advice=Advice("say", text=f"set {SOCKET} to the path of its socket"),
        )
    question = {"action": action, "key": uri.partition(":")[2], "data": data}
    try:
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.settimeout(context.timeout)
            daemon.connect(path)
            daemon.sendall(json.dumps(question).encode() + b"\n")
            answer: dict[str, Any] = json.loads(daemon.makefile().readline())
    except OSError as error:
        raise UnreachableError(
            f"acme's signing daemon cannot be asked at {path}",
            why=str(error),
            advice=Advice("say", text=f"look whether it runs, and whether {SOCKET} is right"),
        ) from None
    if answer["error"] == "no such key":
        raise KeyMissingError(f"acme's daemon has no key for {uri}")
    if answer["error"]:
        raise KeyPermissionError(f"acme's daemon does not let you use {uri}", why=answer["error"])
    return str(answer["result"])
