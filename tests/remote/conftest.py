"""Transports and servers for the tests of the network layer."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from notarypy.errors import Advice
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.tls import TlsPlaces, context
from support.loopback import Serve, Server
from support.scripted import ScriptedTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def fake() -> ScriptedTransport:
    return ScriptedTransport()


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(
        answer: Callable[[bytes, socket.socket], object],
        cert: trustme.LeafCert | None = None,
        client_ca: trustme.CA | None = None,
    ) -> Server:
        tls = None
        if cert is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            cert.configure_cert(tls)
            if client_ca is not None:
                client_ca.configure_trust(tls)
                tls.verify_mode = ssl.CERT_REQUIRED
        servers.append(Server(answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("localhost")


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.crt"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def transport(ca_file: Path) -> Iterator[HttpTransport]:
    """Trust the test CA alone."""
    made = HttpTransport(
        lambda _: context(replace_ca=ca_file, environ={}),
        {},
        lambda host: TlsPlaces(("OS store", f"dir of {host}"), Advice("test", text="copy it there")),
    )
    yield made
    made.close()
