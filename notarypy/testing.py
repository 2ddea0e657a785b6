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
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client, utc_now
from notarypy.devserver import sample
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST, Fake
from notarypy.devserver.fakekeys import FakeKms, FakeKmsSigner, FakeSigner
from notarypy.devserver.start import Running, ServerOptions, running
from notarypy.devserver.tampering import Tampering
from notarypy.keys.passphrases import CallbackSource
from notarypy.keys.signers import SIGNERS
from notarypy.remote.http.transport import Exchange
from notarypy.storage.settings.settings import load
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.keys.signers.base import Signer

__all__ = [
    "PASSPHRASE",
    "Clock",
    "FakeKms",
    "FakeSigner",
    "NotaryServer",
    "Registry",
    "devserver",
    "fake_kms",
    "fake_signer",
    "notary_client",
    "notary_clock",
    "notary_server",
    "notary_signers",
    "registry",
    "trust_dir",
]

PASSPHRASE = "passphrase of tests"  # noqa: S105 - nothing of worth is behind it
_TIMEOUT = 60.0


class Clock:
    """The time of the servers and of `notary_client`, which a test may move; it goes on from there.

    Files that a server signs by itself, timestamps and snapshots, are renewed when they have ended; those of
    people end for good. Programs that `devserver` is for have clocks of their own.
    """

    def __init__(self) -> None:
        """Begin with the time that it is."""
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the moment, as the `clock` of a Client does."""
        return utc_now() + self._ahead

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the time forward, or back by what is negative."""
        self._ahead += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

    def set(self, moment: datetime) -> None:
        """Make it this time, of whatever zone; ValueError for one without."""
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone can be any of 24 hours")
        self._ahead = moment - utc_now()


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
            platforms: Architectures, with or without `linux/`; for several of them an index is pushed.
        """
        made = sample.make(text or f"{name}:{tag}", platforms)
        return sample.push(Exchange(self.fake, timeout=_TIMEOUT), f"https://{REGISTRY_HOST}", name, tag, made)

    def push_index(self, name: str, tag: str, images: Mapping[str, str]) -> str:
        """Put images that are in a repository into an index, and return its digest.

        Args:
            name: The repository, without the host.
            tag: The tag that names the index from now on.
            images: By platform, `[os/]architecture[/variant]`, a tag or digest; KeyError if there is none.
        """
        store = self.fake.registry.images
        found = {}
        for platform, image in images.items():
            manifest = store.manifest(name, store.tags(name).get(image, image))
            if manifest is None:
                raise KeyError(f"{self.host}/{name} has no {image}")
            found[platform] = (manifest.media_type, manifest.data)
        return self.fake.registry.push(name, tag, sample.index(found), sample.INDEX)

    def reference(self, name: str, tag: str = "latest") -> str:
        """Return how a client refers to a tag."""
        return f"{self.host}/{name}:{tag}"


@pytest.fixture
def fake_signer() -> FakeSigner:
    """Return a signer that fails on demand."""
    return FakeSigner()


@pytest.fixture
def fake_kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKms]:
    """Run a service with keys at `fakekms:NAME`, which fails on demand."""
    monkeypatch.setitem(SIGNERS, "fakekms", f"{FakeKmsSigner.__module__}:{FakeKmsSigner.__name__}")
    kms = FakeKms()
    FakeKms.running.append(kms)
    yield kms
    FakeKms.running.remove(kms)


@pytest.fixture
def notary_signers() -> Sequence[Signer]:
    """Return the signers of `notary_client`: none, unless a test's own fixture of this name does."""
    return ()


@pytest.fixture
def notary_clock() -> Clock:
    """Return the clock of the servers and of `notary_client`; it goes right until a test moves it."""
    return Clock()


@pytest.fixture
def notary_server(notary_clock: Clock) -> NotaryServer:
    """Return a Notary server that knows no repository yet."""
    return NotaryServer(Fake(clock=notary_clock, random=os.urandom))


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
    notary_server: NotaryServer,
    notary_clock: Clock,
    trust_dir: Path,
    tmp_path: Path,
    notary_signers: Sequence[Signer],
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
        clock=notary_clock,
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
