"""pytest fixtures: a Notary server, a registry and a client, all in the test's own process.

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
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pytest

from notarypy.client.api import Client, utc_now
from notarypy.devserver import sample
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST, Fake
from notarypy.devserver.start import Running, ServerOptions, running
from notarypy.devserver.tampering import Tampering
from notarypy.remote.http.transport import Exchange
from notarypy.storage.settings.settings import load
from notarypy.values import dataclass

__all__ = [
    "PASSPHRASE",
    "NotaryServer",
    "Registry",
    "devserver",
    "notary_client",
    "notary_server",
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
def notary_client(notary_server: NotaryServer, trust_dir: Path, tmp_path: Path) -> Iterator[Client]:
    """Return a client of both servers, with `trust_dir` and a passphrase for every key.

    It trusts a root on first use: the server is the test's own.
    """
    settings = load({"server": notary_server.url, "trust_dir": str(trust_dir)}, {}, tmp_path)
    with Client(
        settings, first_use=True, passphrases=lambda _: PASSPHRASE, transport=notary_server.fake
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
