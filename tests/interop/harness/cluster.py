"""A Kubernetes API server and its etcd on loopback: what is asked of it is admitted, refused and stored.

1. Nothing else runs: no controllers, no scheduler, no nodes. Pods are stored and never start; a Deployment
   is stored and makes no pods; what is deleted and has finalizers stays until somebody removes them.
2. There is one user, who may do everything, by a client certificate. `Cluster.ask` is a plain request;
   `Cluster.kubectl` is the command that people type.
3. Namespaces have labels, so that webhooks of different tests do not meet.
4. `scripts/setup` builds release 1.20: ephemeral containers are a kind of their own there, and cron jobs are
   of a version that no other release has alone. Whoever puts a newer kube-apiserver in its place tests with
   that; tests are written for both.
5. It shows webhooks a certificate of its own CA, which they may ask for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interop.harness import programs, services

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from interop.harness.programs import Run

# scripts/setup builds the API server here, and unpacks kubectl and etcd beside it.
HERE = programs.UNPACKED.parent / "kubernetes"
JSON, MERGE, APPLY = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"
# The paths of the kinds that are used, without the version: what is not here is of no interest to an image.
GROUPS = {
    "pods": "api/v1",
    "podtemplates": "api/v1",
    "replicationcontrollers": "api/v1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "daemonsets": "apis/apps/v1",
    "jobs": "apis/batch/v1",
    "cronjobs": "apis/batch/v1",
    "configmaps": "api/v1",
}
# The first releases that have cron jobs in v1, and ephemeral containers without being told to.
_CRONJOBS, _EPHEMERAL = (1, 21), (1, 23)
# It makes a database ready, and is slow where others have the processors.
_PATIENCE = 90.0


@dataclass(frozen=True)
class Answer:
    """What the API server said: its status, document and warnings."""

    status: int
    document: Any
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """Why it refused, "" if it did not."""
        return str(self.document.get("message", "")) if self.status >= 400 else ""

    def expect(self, *statuses: int) -> Answer:
        """Return this answer if it has one of these, else fail with everything it said."""
        said = json.dumps(self.document, indent=1)
        assert self.status in statuses, f"expected {statuses}, got {self.status}\n{said}"
        return self


@dataclass
class Cluster:
    """A running API server, and its one user."""

    port: int
    authority: services.Authority
    user: services.Pair
    kubeconfig: Path
    release: tuple[int, int]
    _context: ssl.SSLContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._context = self.authority.client_context()
        self._context.load_cert_chain(self.user.certificate, self.user.key)

    @property
    def has_cronjobs(self) -> bool:
        """Whether cron jobs are of the version v1, and disruption budgets too."""
        return self.release >= _CRONJOBS

    def ask(self, method: str, path: str, document: object = None, content_type: str = JSON) -> Answer:
        """Send a request and return the answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self._context)
        body = None if document is None else json.dumps(document)
        with contextlib.closing(connection):
            connection.request(method, f"/{path}", body, {"Content-Type": content_type} if body else {})
            response = connection.getresponse()
            text = response.read()
            warnings = tuple(value for name, value in response.getheaders() if name.lower() == "warning")
        document = json.loads(text) if text.startswith(b"{") else {"message": text.decode()}
        return Answer(response.status, document, warnings)

    def is_ready(self) -> bool:
        """Return whether it says that it is ready."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "readyz").status == 200
        return False

    def apply(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Make an object, or change it into this, as `kubectl apply --server-side` does."""
        query = f"?fieldManager=tests&force=true{'&dryRun=All' if dry_run else ''}"
        return self.ask("PATCH", path_of(document) + query, document, APPLY)

    def namespace(self, **labels: str) -> Namespace:
        """Make a namespace."""
        name = f"ns-{uuid.uuid4().hex[:12]}"
        metadata = {"name": name, "labels": {"name": name, **labels}}
        self.ask("POST", "api/v1/namespaces", {"metadata": metadata}).expect(201)
        return Namespace(self, name)

    def kubectl(self, *arguments: str | Path, text: str | None = None) -> Run:
        """Run kubectl as the user who may do everything."""
        home = self.kubeconfig.parent
        argv = [_program("kubectl"), "--kubeconfig", str(self.kubeconfig), *map(str, arguments)]
        return programs.run(argv, {"HOME": str(home)}, text=text)


@dataclass(frozen=True)
class Namespace:
    """A namespace of its own for each test."""

    cluster: Cluster
    name: str

    def path(self, kind: str, name: str = "", *, dry_run: bool = False) -> str:
        """Return the path of a kind (its plural), or of one object of it, subresource and all."""
        group = GROUPS[kind] + ("beta1" if kind == "cronjobs" and not self.cluster.has_cronjobs else "")
        prefix = f"{group}/namespaces/{self.name}/{kind}"
        return f"{prefix}{'/' if name else ''}{name}{'?dryRun=All' if dry_run else ''}"

    def create(self, kind: str, document: object, *, dry_run: bool = False) -> Answer:
        """Create an object."""
        return self.cluster.ask("POST", self.path(kind, dry_run=dry_run), document)

    def get(self, kind: str, name: str) -> Answer:
        """Return an object."""
        return self.cluster.ask("GET", self.path(kind, name))

    def patch(self, kind: str, name: str, document: object, *, dry_run: bool = False) -> Answer:
        """Change what the document has, as `kubectl patch --type merge` does."""
        return self.cluster.ask("PATCH", self.path(kind, name, dry_run=dry_run), document, MERGE)

    def put(self, kind: str, name: str, document: object) -> Answer:
        """Put an object in the place of another."""
        return self.cluster.ask("PUT", self.path(kind, name), document)

    def delete(self, kind: str, name: str) -> Answer:
        """Delete an object at once."""
        return self.cluster.ask("DELETE", self.path(kind, name), {"gracePeriodSeconds": 0})

    def kubectl(self, *arguments: str | Path, text: str | None = None) -> Run:
        """Run kubectl in this namespace."""
        return self.cluster.kubectl("--namespace", self.name, *arguments, text=text)


def path_of(document: Mapping[str, Any]) -> str:
    """Return the path of an object, by its kind and names."""
    group, metadata = document["apiVersion"], document["metadata"]
    prefix = f"apis/{group}" if "/" in group else f"api/{group}"
    place = f"namespaces/{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{prefix}/{place}{document['kind'].lower()}s/{metadata['name']}"


def _kubeconfig(path: Path, port: int, authority: services.Authority, user: services.Pair) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority.file)}
    person = {"client-certificate": str(user.certificate), "client-key": str(user.key)}
    document: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "admin", "user": person}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        "current-context": "here",
    }
    services.write_json(path, document)
    return path


def _shown_to_webhooks(directory: Path, pair: services.Pair) -> str:
    """Return the configuration by which an API server shows webhooks a certificate (rule 5)."""
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    users = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]}
    there, version = services.write_json(directory / "webhooks.json", users), "apiserver.config.k8s.io/v1"
    shown = {"apiVersion": version, "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": there}
    plugins = [
        {"name": f"{kind}AdmissionWebhook", "configuration": shown} for kind in ("Mutating", "Validating")
    ]
    document = {"apiVersion": version, "kind": "AdmissionConfiguration", "plugins": plugins}
    return services.write_json(directory / "admission.json", document)


@contextlib.contextmanager
def _etcd(directory: Path) -> Iterator[str]:
    """Run etcd, whose files are in this folder, and yield its address."""
    port, peers = services.free_port(), services.free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    argv = [
        *(_program("etcd"), "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"default={peer}"),
    ]
    with services.Service(argv, directory / "etcd.log", services.answers(port, "/health", None)):
        yield client


def _program(name: str) -> str:
    """Return the path of a program."""
    path = HERE / "bin" / name
    if not path.exists():
        raise LookupError(f"{name} is not installed: run scripts/test, it brings what the tests need")
    return str(path)


def _release(program: str) -> tuple[int, int]:
    """Return the release of an API server."""
    said = programs.run([program, "--version"], {}).expect(0).stdout
    major, minor = said.removeprefix("Kubernetes v").split(".")[:2]
    return int(major), int(minor)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Cluster]:
    """Run an API server, with a CA of its own.

    Raises:
        LookupError: the programs are not here.
        RuntimeError: one did not start; the log tells why.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority, port = services.Authority(directory / "ca"), services.free_port()
    own, user, tokens = (authority.issue(name) for name in ("kube-apiserver", "admin", "tokens"))
    release = _release(_program("kube-apiserver"))
    options = {
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "tls-cert-file": str(own.certificate),
        "tls-private-key-file": str(own.key),
        "cert-dir": str(directory),
        "client-ca-file": str(authority.file),
        "authorization-mode": "AlwaysAllow",
        "service-account-key-file": str(tokens.key),
        "service-account-signing-key-file": str(tokens.key),
        "service-account-issuer": "https://127.0.0.1",
        "service-cluster-ip-range": "10.0.0.0/24",
        "disable-admission-plugins": "ServiceAccount",
        "admission-control-config-file": _shown_to_webhooks(directory, authority.issue("webhooks")),
        **({"feature-gates": "EphemeralContainers=true"} if release < _EPHEMERAL else {}),
    }
    kubeconfig = _kubeconfig(directory / "kubeconfig", port, authority, user)
    cluster = Cluster(port, authority, user, kubeconfig, release)
    with _etcd(directory) as etcd:
        given = [f"--{name}={value}" for name, value in {**options, "etcd-servers": etcd}.items()]
        argv, log = [_program("kube-apiserver"), *given], directory / "kube-apiserver.log"
        with services.Service(argv, log, cluster.is_ready, patience=_PATIENCE):
            yield cluster
