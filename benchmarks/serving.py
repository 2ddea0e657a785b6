"""The service that is measured: started as a user starts it, asked by `load`, and what it holds.

What it verifies is a fleet: repositories with a root of their own each, which the policy pins, and with tags.
"""

from __future__ import annotations

import array
import contextlib
import json
import marshal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.processes import TIMEOUT, ProgramFailedError
from interop.harness import services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.builds import Build
    from benchmarks.lab import Lab
    from interop.harness.images import Repository
    from interop.harness.people import Person

LOAD = Path(load.__file__)
HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
CONNECTIONS = 8


@dataclass(frozen=True)
class Fleet:
    """Images that are verified, and the policy that says how."""

    repositories: tuple[Repository, ...]
    tags: tuple[str, ...]
    digest: str
    policy: Path

    @property
    def images(self) -> list[tuple[str, str]]:
        """Every GUN with each of its tags, neighbours in different repositories."""
        return [(repository.name, tag) for tag in self.tags for repository in self.repositories]

    @property
    def references(self) -> list[str]:
        """The same as a user names them."""
        return [f"{gun}:{tag}" for gun, tag in self.images]


def fleet(lab: Lab, folder: Path, repositories: int, tags: int) -> Fleet:
    """Publish one image in so many repositories, under so many tags of each."""
    names = tuple(f"v{number}" for number in range(tags))
    made, scopes, digest = [], [], ""
    for _ in range(repositories):
        repository = lab.repository("fleet", direct=True)
        manifest = lab.push(repository, *names)
        digest = f"sha256:{manifest.sha256}"
        root = lab.publish(repository.name, manifest, names)
        made.append(repository)
        scopes.append(f'[scope."{repository.name}"]\nroots.ids = ["{root}"]\n')
    policy = folder / "policy.toml"
    policy.write_text("".join(scopes), encoding="utf-8")
    return Fleet(tuple(made), names, digest, policy)


# -- the service -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What a process holds: resident memory in MiB, threads, open files."""

    memory: float
    threads: int
    files: int

    @staticmethod
    def by(pid: int) -> Held:
        """Ask the kernel."""
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        memory = int(fields["VmRSS"].split()[0]) / 1024
        return Held(memory, int(fields["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir())))


@dataclass(frozen=True)
class Served:
    """A service that runs: where it is asked, what tables call that, and its process."""

    name: str
    place: str
    authority: str
    process: services.Service

    def plan(
        self,
        requests: tuple[load.Request, ...],
        *,
        rate: float = 0.0,
        seconds: float = TIMEOUT,
        count: int = 0,
    ) -> load.Plan:
        """Return a load for it."""
        return load.Plan(self.place, self.authority, requests, CONNECTIONS, rate, seconds, count)

    def held(self) -> Held:
        """Return what it holds now."""
        return Held.by(self.process.pid)


@contextlib.contextmanager
def served(folder: Path, build: Build, person: Person, policy: Path) -> Iterator[tuple[Served, Served]]:
    """Run `notarypy serve`, and return it as it is reached: by a unix socket, and with TLS on loopback."""
    folder.mkdir()
    authority = services.Authority(folder / "ca")
    pair, port, path = authority.issue("service"), services.free_port(), folder / "service.sock"
    argv = [
        *(str(build.program), "serve", "--policy", str(policy)),
        *("--listen", f"unix:{path}", "--listen", f"127.0.0.1:{port}"),
        *("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)),
    ]
    ready = services.answers(port, "/readyz", authority.client_context())
    with services.Service(argv, folder / "serve.log", ready, person.environment) as process:
        yield (
            Served("unix socket", str(path), "", process),
            Served("TLS", f"localhost:{port}", str(authority.file), process),
        )


# -- requests --------------------------------------------------------------------------------------


def request(path: str, document: Mapping[str, object], says: str, times: int) -> load.Request:
    """Return a request with a JSON body, whose answer says something so many times."""
    body = json.dumps(document).encode()
    return load.Request(HEAD.format(path, len(body)).encode() + body, says.encode(), times)


def verify(references: Sequence[str], digest: str, *, registry: bool = False) -> load.Request:
    """Return the request that has images verified."""
    document = {"images": list(references), "registry": registry}
    return request("/verify", document, f'"{digest}"', len(references))


def admit(references: Sequence[str]) -> load.Request:
    """Return the request of an API server that is about to create a pod with these images."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(references)]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": "bench"},
        "spec": {"containers": containers},
    }
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "app",
            "namespace": "bench",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    }
    return request("/admit/mutate", review, '"allowed": true, "patchType": "JSONPatch"', 1)


# -- the load --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What came of a load.

    Attributes:
        rate: Answers a second.
        load: How much of one processor the load itself took.
        times: Seconds of each answer, the quickest first.
    """

    rate: float
    load: float
    times: Sequence[float]

    def quantile(self, part: float) -> float:
        """Return the seconds within which this part of all was answered."""
        return self.times[min(len(self.times) - 1, int(len(self.times) * part))]


def asked(plan: load.Plan) -> Answers:
    """Ask a service in another process.

    Raises:
        ProgramFailedError: it answered what it should not.
    """
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(LOAD)],
        input=load.packed(plan), capture_output=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    if run.returncode:
        raise ProgramFailedError(f"{plan.place}: {run.stderr.decode(errors='replace')[-4000:]}")
    answered = load.Answered(*marshal.loads(run.stdout))  # noqa: S302 - from our own child
    times = array.array("d", answered.times)
    return Answers(len(times) / answered.seconds, answered.cpu / answered.seconds, sorted(times))
