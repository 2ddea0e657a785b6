"""Keys whose private half nobody sees, in this process: a backend as small as one can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from notarypy.errors import KeyMissingError
from notarypy.keys.signers import SIGNERS, keyfile
from notarypy.keys.signers.base import ExternalSigner, SignerContext
from notarypy.keys.signers.keyfile import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


class TokenKey(ExternalSigner):
    """A key at `token:NAME`; `opened` has the URIs and expected ids of all that were opened."""

    keys: ClassVar[dict[str, LocalSigner]] = {}
    opened: ClassVar[list[tuple[str, str | None]]] = []
    signed: ClassVar[list[str]] = []

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Open a key that was made before."""
        cls.opened.append((uri, context.public.keyid if context.public else None))
        if uri not in cls.keys:
            raise KeyMissingError(f"there is no key at {uri}")
        return cls(uri, context.public or cls.keys[uri].public)

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """Make a key."""
        cls.keys[uri] = LocalSigner(keyfile.generate(algorithm))
        return cls.open(uri, context)

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Sign with the key that is there now."""
        self.signed.append(self.uri)
        return self.keys[self.uri].sign(message)

    def properties(self) -> Mapping[str, str]:
        """Say what a service would."""
        return {"state": "enabled"}


def provide(patch: pytest.MonkeyPatch) -> type[TokenKey]:
    """Make it the backend of `token:` for one test, without any key."""
    patch.setattr(TokenKey, "keys", {})
    patch.setattr(TokenKey, "opened", [])
    patch.setattr(TokenKey, "signed", [])
    patch.setitem(SIGNERS, "token", f"{__name__}:{TokenKey.__name__}")
    return TokenKey
