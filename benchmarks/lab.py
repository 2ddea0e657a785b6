"""Servers behind a distance, with everything that workloads need of them.

The servers are those of the interoperability tests: Debian's notary-server and docker-registry over TLS,
which keep everything in memory. Clients reach them through a relay only; what is made ready outside of the
measured part goes to the servers directly.
"""

from __future__ import annotations

import contextlib
import ssl
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.processes import Command, Cost, Launcher
from benchmarks.relay import Door, Relay
from interop.harness import services
from interop.harness.images import Manifest, Repository
from interop.harness.people import GO_PASSPHRASES, Person
from notarypy.tuf.fields import TargetFile
from support import served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.builds import Build

SETTLED = 3.0
PAUSE = 0.01


@dataclass(frozen=True)
class Seen:
    """What one server saw of a turn."""

    connections: int
    requests: int
    sent: int
    received: int


@dataclass(frozen=True)
class Measured:
    """One turn: its cost, and what Notary and the registry saw of it."""

    cost: Cost
    notary: Seen
    registry: Seen


class Requests:
    """Counts requests in a server's log from where it has been read up to."""

    def __init__(self, log: Path, mark: bytes) -> None:
        """Count lines that contain `mark`: one for each request."""
        self._log, self._mark, self._offset = log, mark, 0

    def new(self) -> int:
        """Return how many there are since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return sum(self._mark in line for line in whole.splitlines())


@dataclass(frozen=True)
class Server:
    """A server, the relay's door to it, and what counts its requests."""

    direct: services.Endpoint
    door: Door
    requests: Requests

    @property
    def endpoint(self) -> services.Endpoint:
        """The server as clients reach it."""
        return services.Endpoint(f"localhost:{self.door.port}", self.direct.ca)

    def forget(self) -> None:
        """Start counting anew."""
        self.requests.new()
        self.door.traffic.forget()

    def seen(self) -> Seen:
        """Return what was seen since `forget`."""
        traffic = self.door.traffic
        return Seen(traffic.connections, self.requests.new(), traffic.sent, traffic.received)


class Lab:
    """Two servers behind a relay, builds of notarypy, and people.

    Attributes:
        builds: This checkout's build first.
    """

    def __init__(
        self,
        directory: Path,
        relay: Relay,
        launcher: Launcher,
        servers: tuple[Server, Server],
        builds: Sequence[Build],
    ) -> None:
        """Use `opened`."""
        self._directory, self._relay, self._launcher = directory, relay, launcher
        self.notary, self.registry = servers
        self.builds = tuple(builds)

    # -- people and repositories

    def person(self, name: str, *, direct: bool = False) -> Person:
        """Return somebody with an empty home who knows both servers, behind the relay or not."""
        home = self._directory / "homes" / f"{name}-{uuid.uuid4().hex[:8]}"
        someone = Person(home, self.notary.direct if direct else self.notary.endpoint)
        someone.trust("certs.d", self.registry.direct if direct else self.registry.endpoint)
        return someone

    def repository(self, name: str, *, direct: bool = False) -> Repository:
        """Return a repository that nobody has used, as clients reach it."""
        registry = self.registry.direct if direct else self.registry.endpoint
        return Repository(registry, f"bench/{name}-{uuid.uuid4().hex[:8]}")

    def push(self, repository: Repository, *tags: str) -> Manifest:
        """Put one image under these tags, directly."""
        assert self.registry.direct.ca is not None
        with served.Line(self.registry.direct.host, self.registry.direct.ca) as line:
            tls = ssl.create_default_context(cafile=str(self.registry.direct.ca))
            manifest = Repository(self.registry.direct, repository.path, tls).push(tags[0])
            for tag in tags[1:]:
                line.ask(
                    "PUT",
                    f"/v2/{repository.path}/manifests/{tag}",
                    manifest.body,
                    Content_Type=manifest.media_type,
                )
        return manifest

    def publish(self, gun: str, manifest: Manifest, tags: Sequence[str], *roles: str) -> str:
        """Publish trust data in which these tags are this image, in these roles (none: targets), directly.

        The keys are the benchmark's own; a role is delegated before it is used. Returns the root key's id.
        """
        assert self.notary.direct.ca is not None
        with served.Line(self.notary.direct.host, self.notary.direct.ca) as line:
            desk = line.desk(gun)
            for role in roles:
                desk.author.delegate(role)
            target = TargetFile(manifest.size, {"sha256": bytes.fromhex(manifest.sha256)})
            for role in roles or ("targets",):
                desk.author.fill(role, dict.fromkeys(tags, target))
            desk.publish()
            return desk.author.root.roles["root"].keyids[0]

    def run(self, *commands: Command) -> None:
        """Run commands that only make something ready."""
        for command in commands:
            self._launcher.run(command)

    # -- measuring

    def travel(self, round_trip: float) -> None:
        """Put the servers this many seconds away."""
        self.settle()
        self._relay.round_trip = round_trip

    def settle(self) -> None:
        """Wait until all connections have ended: what comes next is not theirs."""
        end = time.monotonic() + SETTLED
        while self._relay.connected and time.monotonic() < end:
            time.sleep(PAUSE)
        time.sleep(PAUSE)  # the servers write their logs after they have answered

    def measure(self, commands: Sequence[Command]) -> Measured:
        """Run commands one after the other, and return what that took and what the servers saw."""
        self.settle()
        for server in (self.notary, self.registry):
            server.forget()
        cost = Cost.of_all([self._launcher.run(command) for command in commands])
        self.settle()
        return Measured(cost, self.notary.seen(), self.registry.seen())


def ours(person: Person, build: Build, *words: str) -> Command:
    """Return a notarypy command."""
    return Command((str(build.program), *words), person.environment)


def go_notary(person: Person, *words: str) -> Command:
    """Return a Go notary command."""
    head = ("notary", "-s", person.server.url, "-d", str(person.trust_dir))
    authority = ("--tlscacert", str(person.server.ca))
    return Command((*head, *authority, *words), {**person.environment, **GO_PASSPHRASES})


def docker(person: Person, *words: str) -> Command:
    """Return a docker command, without a daemon."""
    return Command(("docker", *words), person.environment)


def skopeo(person: Person, repository: Repository, tag: str) -> Command:
    """Return the skopeo command that asks a registry for a tag's manifest, and for nothing else."""
    certificates = person.docker_config / "certs.d" / repository.registry.host
    words = ("--raw", "--cert-dir", str(certificates), f"docker://{repository.ref(tag)}")
    environment: Mapping[str, str] = {**person.environment, "TMPDIR": str(person.home)}
    return Command(("skopeo", "inspect", *words), environment)


@contextlib.contextmanager
def opened(directory: Path, builds: Sequence[Build]) -> Iterator[Lab]:
    """Start everything in an empty directory, and end it."""
    authority = services.Authority(directory / "ca")
    with contextlib.ExitStack() as stack:
        notary = stack.enter_context(services.notary_server(directory / "notary", authority))
        kept = services.registry(directory / "registry", authority=authority, in_memory=True)
        registry = stack.enter_context(kept)
        relay = Relay()
        servers = (
            _server(relay, notary, directory / "notary" / "notary-server.log", b"response completed"),
            _server(relay, registry, directory / "registry" / "registry.log", b'HTTP/1.1"'),
        )
        launcher = stack.enter_context(Launcher(directory / "output"))
        stack.enter_context(relay)
        yield Lab(directory, relay, launcher, servers, builds)


def _server(relay: Relay, endpoint: services.Endpoint, log: Path, mark: bytes) -> Server:
    return Server(endpoint, relay.door(int(endpoint.host.rpartition(":")[2])), Requests(log, mark))
