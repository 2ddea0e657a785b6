"""Keys for tests: a signer and a service with keys, which fail when a test says so.

What it is: what `notarypy.testing` hands out. What it is not: a file, a token or a server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar, Literal, Self

from notarypy.errors import Advice, KeyMissingError, PinWrongError
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.base import ExternalSigner, SignerContext


class FakeSigner:
    """A signer with a key of its own, for `Client(signers=[...])`; it fails when a test says so.

    Attributes:
        public: The public half of its key.
        error: What signing raises, of whatever type; None for nothing.
        wrong: Whether it signs with another key than it says.
        delay: Seconds that each signature takes.
        before: Called before each signature: may wait for another thread, change something, or raise.
        messages: What was to be signed so far, whatever came of it.
    """

    def __init__(self, algorithm: Literal["ecdsa", "rsa"] = "ecdsa") -> None:
        """Make a key: `ecdsa` on P-256 or `rsa` of 3072 bits."""
        self._algorithm, self._key = algorithm, keyfile.LocalSigner(keyfile.generate(algorithm))
        self.public = self._key.public
        self.error: BaseException | None = None
        self.wrong, self.delay = False, 0.0
        self.before: Callable[[], object] = lambda: None
        self.messages: list[bytes] = []

    def __repr__(self) -> str:
        """Show which key it is."""
        return f"FakeSigner({self.public.keytype}, {self.public.keyid})"

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Sign as a `notarypy.Signer` does, or fail as it was told to."""
        return self._asked(message).sign(message)

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it, or fail as it was told to."""
        return self._asked(message).sign_pkcs1v15(message)

    def _asked(self, message: bytes) -> keyfile.LocalSigner:
        self.messages.append(message)
        self.before()
        time.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return self._other if self.wrong else self._key

    @cached_property
    def _other(self) -> keyfile.LocalSigner:
        return keyfile.LocalSigner(keyfile.generate(self._algorithm))


class FakeKms:
    """A service in this process that has keys, at URIs `fakekms:NAME`.

    Attributes:
        keys: The keys by name; each may be told to fail, and another in its place is a key that was changed.
        pin: The PIN that signing takes; none if empty.
        error: What every request raises; None for nothing.
        requests: Every request so far, as `open NAME`, `sign NAME`, `properties NAME` or `generate NAME`.
    """

    TOKEN = "fakekms"  # noqa: S105 - what a PIN is asked for
    running: ClassVar[list[FakeKms]] = []

    def __init__(self) -> None:
        """Begin without keys."""
        self.keys: dict[str, FakeSigner] = {}
        self.pin = ""
        self.error: BaseException | None = None
        self.requests: list[str] = []
        self._lock = threading.Lock()

    def make(self, name: str, algorithm: Literal["ecdsa", "rsa"] = "ecdsa") -> str:
        """Make a key; returns its URI."""
        self.keys[name] = FakeSigner(algorithm)
        return f"fakekms:{name}"

    def asked(self, what: str, name: str) -> FakeSigner:
        """Answer a request for a key; raise KeyMissingError where there is none."""
        with self._lock:
            self.requests.append(f"{what} {name}")
        if self.error is not None:
            raise self.error
        if name not in self.keys:
            why, advice = f"it has: {', '.join(self.keys) or 'none'}", Advice("say", text="make it first")
            raise KeyMissingError(f"fakekms has no key {name}", why=why, advice=advice)
        return self.keys[name]


class FakeKmsSigner(ExternalSigner):
    """A key of the service that runs in this process: the backend of `fakekms:`."""

    pin: Callable[[str], tuple[str, str]]

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """See `ExternalSigner`."""
        public = context.public or FakeKms.running[-1].asked("open", uri.partition(":")[2]).public
        made = cls(uri, public)
        made.pin = context.pin
        return made

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """See `ExternalSigner`."""
        name = uri.partition(":")[2]
        FakeKms.running[-1].make(name, "rsa" if algorithm == "rsa" else "ecdsa")
        public = FakeKms.running[-1].asked("generate", name).public
        return cls.open(uri, SignerContext(context.request, context.passphrases, {}, public=public))

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """See `ExternalSigner`."""
        return self._signing().sign(message)

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it."""
        return self._signing().sign_pkcs1v15(message)

    def _signing(self) -> FakeSigner:
        kms = FakeKms.running[-1]
        if kms.pin:
            source, given = self.pin(kms.TOKEN)
            if given != kms.pin:
                raise PinWrongError(
                    f'the token "{kms.TOKEN}" does not take the PIN', why=f"it is from {source}"
                )
        return kms.asked("sign", self._name)

    def properties(self) -> Mapping[str, str]:
        """See `ExternalSigner`."""
        key = FakeKms.running[-1].asked("properties", self._name)
        return {"type": key.public.keytype, "signatures": str(len(key.messages))}

    @property
    def _name(self) -> str:
        return self.uri.partition(":")[2]
