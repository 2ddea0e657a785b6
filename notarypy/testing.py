"""pytest fixtures: servers, a client, and keys that fail on demand, all in the test's own process.

What it is: for people who test their release tooling with notarypy; one line in `conftest.py` makes the
fixtures known::

    pytest_plugins = ["notarypy.testing"]

What it is not: imported by anything else here; only this module knows pytest.

Rules:

1. Every test begins with empty servers and an empty trust directory.
2. Nothing opens a socket but `devserver`, for tools that run as programs.
3. Nothing of the person who runs the tests is read: no environment, no home directory.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self

import pytest

from notarypy.client.api import Client, utc_now
from notarypy.devserver import sample
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST, Fake
from notarypy.devserver.start import Running, ServerOptions, running
from notarypy.devserver.tampering import Tampering
from notarypy.errors import Advice, KeyMissingError, PinWrongError
from notarypy.keys.passphrases import CallbackSource
from notarypy.keys.signers import SIGNERS, keyfile
from notarypy.keys.signers.base import ExternalSigner, Signer, SignerContext
from notarypy.remote.http.transport import Exchange
from notarypy.storage.settings.settings import load
from notarypy.values import dataclass

__all__ = [
    "PASSPHRASE",
    "FakeKms",
    "FakeSigner",
    "NotaryServer",
    "Registry",
    "devserver",
    "fake_kms",
    "fake_signer",
    "notary_client",
    "notary_server",
    "notary_signers",
    "registry",
    "trust_dir",
]

PASSPHRASE = "passphrase of tests"  # noqa: S105 - nothing of worth is behind it
_TIMEOUT = 60.0


@dataclass(frozen=True)
class NotaryServer:
    """A Notary server in this process.

    Attributes:
        fake: Answers for it and for the registry; the `transport` of a Client.
        url: What to configure as its address.
    """

    fake: Fake
    url: str = f"https://{NOTARY_HOST}"

    @cached_property
    def tampering(self) -> Tampering:
        """What an attacker or a broken network does; once asked for, expired files are served as they are."""
        return Tampering(self.fake)

    @property
    def requests(self) -> list[str]:
        """Every request so far, as `METHOD /path`; the registry's too."""
        return self.fake.lines()


@dataclass(frozen=True)
class Registry:
    """A registry in this process.

    Attributes:
        fake: Answers for it.
        host: Its name, with which references begin.
    """

    fake: Fake
    host: str = REGISTRY_HOST

    def push(
        self, name: str, tag: str = "latest", text: str = "", platforms: Sequence[str] = sample.PLATFORMS
    ) -> str:
        """Push a small image and return the digest of what the tag names.

        Args:
            name: The repository, without the host.
            tag: The tag.
            text: Another text makes another digest; without one every tag has its own.
            platforms: Architectures; for several of them an index is pushed.
        """
        made = sample.make(text or f"{name}:{tag}", platforms)
        exchange = Exchange(self.fake, timeout=_TIMEOUT)
        return sample.push(exchange, f"https://{REGISTRY_HOST}", name, tag, made)

    def reference(self, name: str, tag: str = "latest") -> str:
        """Return how a client refers to a tag."""
        return f"{self.host}/{name}:{tag}"


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


@pytest.fixture
def fake_signer() -> FakeSigner:
    """Return a signer that fails on demand."""
    return FakeSigner()


@pytest.fixture
def fake_kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKms]:
    """Run a service with keys at `fakekms:NAME`, which fails on demand."""
    monkeypatch.setitem(SIGNERS, "fakekms", f"{__name__}:{FakeKmsSigner.__name__}")
    kms = FakeKms()
    FakeKms.running.append(kms)
    yield kms
    FakeKms.running.remove(kms)


@pytest.fixture
def notary_signers() -> Sequence[Signer]:
    """Return the signers of `notary_client`: none, unless a test's own fixture of this name does."""
    return ()


@pytest.fixture
def notary_server() -> NotaryServer:
    """Return a Notary server that knows no repository yet."""
    return NotaryServer(Fake(clock=utc_now, random=os.urandom))


@pytest.fixture
def registry(notary_server: NotaryServer) -> Registry:
    """Return a registry without images."""
    return Registry(notary_server.fake)


@pytest.fixture
def trust_dir(tmp_path: Path) -> Path:
    """Return the path of a trust directory that does not exist yet."""
    return tmp_path / "trust"


@pytest.fixture
def notary_client(
    notary_server: NotaryServer, trust_dir: Path, tmp_path: Path, notary_signers: Sequence[Signer]
) -> Iterator[Client]:
    """Return a client of both servers, with `trust_dir` and `notary_signers`.

    `PASSPHRASE` is the passphrase of every key and the PIN of every token.
    It trusts a root on first use: the server is the test's own.
    """
    settings = load({"server": notary_server.url, "trust_dir": str(trust_dir)}, {}, tmp_path)
    with Client(
        settings,
        first_use=True,
        passphrases=CallbackSource(lambda _: PASSPHRASE, pins=True),
        signers=notary_signers,
        transport=notary_server.fake,
    ) as made:
        yield made


@pytest.fixture
def devserver(notary_server: NotaryServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Serve both over HTTPS on loopback, and point the environment at them.

    For tools that run `notarypy`, `notary`, `docker trust` or `skopeo`, or that make their
    own client from the environment; needs the extra `devserver`.
    """
    with running(None, ServerOptions(), clock=utc_now, fake=notary_server.fake) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NOTARYPY_FIRST_USE", "1")
        for kind in ("ROOT", "REPOSITORY"):
            monkeypatch.setenv(f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE", PASSPHRASE)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(started.directory))
        yield started
