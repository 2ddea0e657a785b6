"""The table of AdmissionReviews, asked of `serve` over HTTP and of `admission review`, with real servers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import images
from interop.harness.people import Person
from interop.harness.services import free_port
from support import admissions, admitting
from support.verifiers import write_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.services import Endpoint
    from support.admissions import Case

CASES = [case for case in admissions.cases() if not case.is_pure]
SOME = [case for case in CASES if case.name.startswith("pods: a ")]
PATHS = {
    mode: "/admit/mutate" if mode in admissions.MUTATING else "/admit/validate" for mode in admissions.MODES
}


class Cluster:
    """Signed images on real servers, their trust policy, and somebody who keeps services with it."""

    def __init__(self, home: Path, notary: Endpoint, registry: Endpoint) -> None:
        self.someone = Person(home / "someone", notary)
        self.someone.trust("certs.d", registry)
        self._registry, self._prefix = registry, f"admission-{uuid.uuid4().hex[:12]}"
        app = self._repository("app")
        one, two, other = app.push("1"), app.push("2"), app.push("unsigned")
        app.tag(one, "latest")
        for path in ("deep/er/app", "audited", "signers", "unknown"):
            assert self._repository(path).push("1") == one
        models = self._repository("models/small")
        models.tag(models.push("2"), "v1")
        skipped = self._repository("skipped/tool").push("1", "skipped")
        host = f"{registry.host}/{self._prefix}"
        digests = [each.digest for each in (one, two, other, skipped)]
        self.names = admissions.World(host, *digests)
        self._sign(host)
        self.policy = self._policy(home, host)

    def _repository(self, path: str) -> images.Repository:
        return images.repository(self._registry, f"{self._prefix}/{path}")

    def _sign(self, host: str) -> None:
        refs = [f"{host}/{path}:{tag}" for path, tags in admitting.SIGNED.items() for tag in tags]
        self.someone.notarypy("sign", "--init", *refs).expect(0)

    def _policy(self, home: Path, host: str) -> Path:
        shown = self.someone.notarypy("--json", "verify", f"{host}/app:1").expect(0).stdout
        pin = json.loads(shown)["results"][0]["evidence"]["root_pins"][0]
        self._silent = socket.create_server(("127.0.0.1", 0))  # nobody takes what comes
        gone, silent = (f"https://127.0.0.1:{port}" for port in (free_port(), self._silent.getsockname()[1]))
        return write_policy(home / "policy.toml", *admitting.scopes(host, pin, gone, silent))

    @contextlib.contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """Run a service, and return the path of its socket."""
        with tempfile.TemporaryDirectory(prefix="s-") as folder:
            path = f"{folder}/s"
            words = ("serve", "--listen", f"unix:{path}", "--policy", self.policy, "--memory")
            process = self.someone.start_notarypy(*words, "--deadline", "2s", *options)
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert line == f"listening on unix:{path}\n", process.communicate(timeout=30)
                yield path
            finally:
                process.terminate()
                process.communicate(timeout=30)

    def close(self) -> None:
        """End what is left."""
        self._silent.close()


class Asking(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)

    def ask(self, path: str, data: bytes) -> tuple[int, Any]:
        """Return the status and the document that answers a request."""
        self.request("POST", path, data, {"Content-Type": "application/json"})
        response = self.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, notary: Endpoint, registry: Endpoint
) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path_factory.mktemp("cluster"), notary, registry)) as made:
        yield made


@pytest.fixture(scope="module")
def services(cluster: Cluster) -> Iterator[dict[str, Asking]]:
    """Run three services, the second requires digests, the third warns; return a connection for each mode."""
    with (
        cluster.serving() as usual,
        cluster.serving("--require-digest") as strict,
        cluster.serving("--warn-only") as warn,
        contextlib.closing(Asking(usual)) as asking,
        contextlib.closing(Asking(strict)) as asking_strict,
        contextlib.closing(Asking(warn)) as asking_warn,
    ):
        yield {"mutate": asking, "validate": asking, "strict": asking_strict, "warn": asking_warn}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_over_http(cluster: Cluster, services: dict[str, Asking], case: Case) -> None:
    data = case.data(cluster.names)
    if case.unanswered:
        for mode in admissions.MODES:
            status, document = services[mode].ask(PATHS[mode], data)
            assert (status, document["error"]["code"]) == (400, "usage.admission_review")
        return
    for mode in case.modes:
        status, document = services[mode].ask(PATHS[mode], data)
        assert status == 200
        case.check(mode, document, cluster.names)


def test_what_was_patched_is_allowed_and_stays(cluster: Cluster, services: dict[str, Asking]) -> None:
    patched = 0
    for case in CASES:
        if "images" in case.raw.get("mutate", {}):
            _, first = services["mutate"].ask(PATHS["mutate"], case.data(cluster.names))
            again = json.dumps(case.patched(first, cluster.names)).encode()
            for mode in admissions.MODES:
                _, document = services[mode].ask(PATHS[mode], again)
                assert document["response"]["allowed"], case.name
                assert "patch" not in document["response"], case.name
            patched += 1
    assert patched


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_the_command_answers_the_same(cluster: Cluster, services: dict[str, Asking], case: Case) -> None:
    data = case.data(cluster.names)
    words = ("admission", "review", "--mutate", "--deadline", "2s", "--policy", cluster.policy, "-")
    ran = cluster.someone.notarypy(*words, text=data.decode())
    _, answered = services["mutate"].ask(PATHS["mutate"], data)
    said = json.loads(ran.stdout)
    assert (ran.code == 0) == said["response"]["allowed"] == answered["response"]["allowed"]
    if (
        "undecided" not in ran.stdout
    ):  # a service that was asked before may know by now what the silence means
        assert said == answered
