"""The servers: notary-server, notary-signer and docker-registry, each in its own process with its own log."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import trustme

from interop.harness import programs
from support.bound import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

START_TIMEOUT = 15.0
NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
REGISTRY_USER, REGISTRY_PASSWORD = "pusher", "registry-password"
# bcrypt of REGISTRY_PASSWORD: the registry takes no other form.
REGISTRY_HTPASSWD = "pusher:$2b$04$15spv/8Jkc1mIg.LNk8sp.g.iZcgFwOxWss5/0C7AkhEfbH2Bj/KC\n"


def free_port() -> int:
    """Return a loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


@dataclass(frozen=True)
class Pair:
    """A certificate file and its key file."""

    certificate: Path
    key: Path


class Authority:
    """A throw-away certificate authority and the files that servers and clients want of it."""

    def __init__(self, directory: Path, key_type: trustme.KeyType = trustme.KeyType.ECDSA) -> None:
        self._ca = trustme.CA(key_type=key_type)
        self._key_type = key_type
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.file = directory / "ca.crt"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, name: str) -> Pair:
        """Issue a certificate for loopback servers and for clients alike."""
        leaf = self._ca.issue_cert("localhost", "127.0.0.1", common_name=name, key_type=self._key_type)
        pair = Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(str(pair.certificate))
        leaf.private_key_pem.write_to_path(str(pair.key))
        return pair

    def ended(self, name: str) -> tuple[bytes, bytes]:
        """Return a certificate for loopback servers that has ended, and its key."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        leaf = self._ca.issue_cert("localhost", common_name=name, not_after=yesterday)
        return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()

    def server_context(self, name: str) -> ssl.SSLContext:
        """Return TLS settings for a server written in Python."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = self.issue(name)
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return TLS settings that trust this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))


# How notary-server ends now and then where many ask at once: it notes checksums in a map without a lock.
_RACE = "fatal error: concurrent map writes"


class Service:
    """A server process.

    It is ready when the constructor returns, and stopped by its process id. It ends
    with this process (`bound`).
    """

    def __init__(
        self,
        argv: list[str],
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        *,
        patience: float = START_TIMEOUT,
    ) -> None:
        self.log, self._patience, self._ready = log, patience, ready
        self._command = bound([programs.find(argv[0]), *argv[1:]])
        self._environment = {"PATH": programs.SEARCH_PATH, **(env or {})}
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + self._patience
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self._process.args!r} did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def revive(self) -> None:
        """Start the process again, as a supervisor does, if it ended by a race of its own."""
        if self._process.poll() is not None and _RACE in self.log.read_text(errors="replace"):
            self._start()

    def stop(self) -> None:
        """Ask the process to end, insist after some seconds, and reap it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def answers(port: int, path: str, context: ssl.SSLContext | None) -> Callable[[], bool]:
    """Return a check that a server answers any HTTP at all on this port."""

    def check() -> bool:
        if context is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=context)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return False
        return True

    return check


def accepts(port: int) -> Callable[[], bool]:
    """Return a check that a server takes TCP connections on this port."""

    def check() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return check


def write_json(path: Path, document: Mapping[str, Any]) -> str:
    """Write a configuration file (JSON is YAML too) and return its path."""
    path.write_text(json.dumps(document, indent=1))
    return str(path)


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens and which CA vouches for it (None: plain http); maybe its process.

    Attributes:
        revive: Starts it again if it ended by a race of its own.
    """

    host: str
    ca: Path | None
    pid: int | None = None
    revive: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"{'http' if self.ca is None else 'https'}://{self.host}"


@contextlib.contextmanager
def notary_server(
    directory: Path,
    authority: Authority,
    *,
    trust_service: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
    storage: Mapping[str, str] | None = None,
    port: int = 0,
) -> Iterator[Endpoint]:
    """Run notary-server with TLS; its keys are its own unless a trust service is named, and what it stores
    is in memory unless a storage is.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    pair = authority.issue(f"notary-server-{port}")
    config: dict[str, Any] = {
        "server": {
            "http_addr": f"127.0.0.1:{port}",
            "tls_cert_file": str(pair.certificate),
            "tls_key_file": str(pair.key),
        },
        "trust_service": trust_service or {"type": "local"},
        "logging": {"level": "info"},
        "storage": storage or {"backend": "memory"},
    }
    if auth is not None:
        config["auth"] = auth
    argv = ["notary-server", "-config", write_json(directory / "notary-server.json", config)]
    ready = answers(port, "/_notary_server/health", authority.client_context())
    with Service(argv, directory / "notary-server.log", ready) as process:
        yield Endpoint(f"localhost:{port}", authority.file, process.pid, process.revive)


@contextlib.contextmanager
def proxy(
    directory: Path, authority: Authority, upstream: Endpoint, *, http: str = "", location: str = ""
) -> Iterator[Endpoint]:
    """Run nginx in front of a server: it ends TLS, and does what the directives for it say."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    pair = authority.issue(f"proxy-{port}")
    folders = [f"{kind}_temp_path {directory}/temp;" for kind in NGINX_FOLDERS]
    config = directory / "nginx.conf"
    config.write_text(
        f"""daemon off; master_process off; pid {directory}/nginx.pid;
        events {{}}
        http {{
            access_log off; {" ".join(folders)}
            {http}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};
                location / {{ proxy_pass {upstream.url}; {location} }}
            }}
        }}"""
    )
    argv = ["nginx", "-e", "stderr", "-p", str(directory), "-c", str(config)]
    ready = answers(port, "/", authority.client_context())
    with Service(argv, directory / "nginx.log", ready):
        yield Endpoint(f"localhost:{port}", authority.file)


@contextlib.contextmanager
def caching_proxy(directory: Path, authority: Authority, upstream: Endpoint) -> Iterator[Endpoint]:
    """Run nginx in front of a server, with a cache that does what the server's answers allow."""
    http = f"""client_max_body_size 0; proxy_cache_path {directory}/cache keys_zone=notary:1m;
        add_header X-Cache-Status $upstream_cache_status;"""
    with proxy(directory, authority, upstream, http=http, location="proxy_cache notary;") as endpoint:
        yield endpoint


@contextlib.contextmanager
def notary_signer(directory: Path, authority: Authority) -> Iterator[dict[str, Any]]:
    """Run notary-signer with mutual TLS and yield the trust_service section that makes a server use it."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    own, client = authority.issue("notary-signer"), authority.issue("notary-signer-client")
    config = {
        "server": {
            "grpc_addr": f"127.0.0.1:{port}",
            "tls_cert_file": str(own.certificate),
            "tls_key_file": str(own.key),
            "client_ca_file": str(authority.file),
        },
        "logging": {"level": "info"},
        "storage": {"backend": "memory"},
    }
    argv = ["notary-signer", "-config", write_json(directory / "notary-signer.json", config)]
    with Service(argv, directory / "notary-signer.log", accepts(port)):
        yield {
            "type": "remote",
            "hostname": "localhost",
            "port": str(port),
            "key_algorithm": "ecdsa",
            "tls_ca_file": str(authority.file),
            "tls_client_cert": str(client.certificate),
            "tls_client_key": str(client.key),
        }


@contextlib.contextmanager
def registry(
    directory: Path,
    *,
    authority: Authority | None = None,
    basic_auth: bool = False,
    storage: Path | None = None,
    in_memory: bool = False,
) -> Iterator[Endpoint]:
    """Run docker-registry: plain http unless an authority is given, with Basic authentication if asked.

    It keeps images in the directory `storage`, or in one of its own; `in_memory` large ones are slower, and
    no disk counts.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port, images = free_port(), storage or directory / "images"
    http_section: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "only-for-tests"}
    if authority is not None:
        pair = authority.issue(f"registry-{port}")
        http_section["tls"] = {"certificate": str(pair.certificate), "key": str(pair.key)}
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"inmemory": {}} if in_memory else {"filesystem": {"rootdirectory": str(images)}},
        "http": http_section,
    }
    if basic_auth:
        htpasswd = directory / "htpasswd"
        htpasswd.write_text(REGISTRY_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test registry", "path": str(htpasswd)}}
    argv = ["docker-registry", "serve", write_json(directory / "registry.json", config)]
    ready = answers(port, "/v2/", None if authority is None else authority.client_context())
    with Service(argv, directory / "registry.log", ready):
        yield Endpoint(f"localhost:{port}", None if authority is None else authority.file)
