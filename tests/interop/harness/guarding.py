"""A namespace of a cluster that `notarypy serve` guards, as `admission manifests` prints it.

1. The webhook configurations and the certificate are those that are printed, with a selector of this one
   namespace, and for a release older than they are made for with its version of cron jobs. The Service that
   they name leads to a process on loopback: it is of the type ExternalName.
2. Everything the service knows of is a person's: settings, CAs, trust directory.
3. A guard stands when the API server asks for changes and for a yes: both take a moment to be noticed.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from interop.harness import cluster, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from interop.harness.cluster import Answer, Namespace
    from interop.harness.people import Person

# Whose pods the service is itself: nobody pulls it here.
IMAGE = f"registry.example.com/notarypy@sha256:{'0' * 64}"
# What no policy here has a scope for.
STRANGE = "elsewhere.example.com/app:1"
WOULD_BE = re.compile(r'299 - "would be refused: ')
_PATIENCE = 60.0


def pod(name: str, *images: str, **spec: object) -> dict[str, Any]:
    """Return a pod with these images."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


def workload(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a kind (its plural) whose pods have this specification."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    job = {"template": {**template, "spec": {**spec, "restartPolicy": "Never"}}}
    shapes: dict[str, dict[str, Any]] = {
        "pods": {"spec": spec},
        "podtemplates": {"template": template},
        "replicationcontrollers": {"spec": {"selector": labels, "template": template}},
        "jobs": {"spec": job},
        "cronjobs": {"spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": job}}},
    }
    usual: dict[str, Any] = {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    if kind == "statefulsets":
        usual["spec"]["serviceName"] = "web"
    return {"metadata": {"name": "web"}, **shapes.get(kind, usual)}


def printed(person: Person, policy: Path, *options: str) -> list[dict[str, Any]]:
    """Return the documents that `notarypy admission manifests` prints."""
    argv: list[str | Path] = ["admission", "manifests", "--image", IMAGE, "--policy", policy, *options]
    text = person.notarypy(*argv).expect(0).stdout
    return [found for found in yaml.safe_load_all(text) if found]


@dataclass
class Guard:
    """A guarded namespace, and the process that guards it.

    `port` is where it listens, `address` where the API server looks for it, if somebody is between, and
    `timeout` how many seconds that waits.
    """

    namespace: Namespace
    directory: Path
    person: Person
    policy: Path
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=services.free_port)
    address: int = 0
    timeout: int = 10
    process: services.Service | None = None

    @property
    def pair(self) -> services.Pair:
        """The files of its certificate."""
        return services.Pair(self.directory / "tls.crt", self.directory / "tls.key")

    def install(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Take the certificate that is printed, and register the webhooks (rule 1)."""
        own = _of_kind(documents, "Namespace")
        leads = {"type": "ExternalName", "externalName": "localhost"}
        metadata = {"name": "notarypy", "namespace": own["metadata"]["name"]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": leads}
        self.directory.mkdir(parents=True, exist_ok=True)
        self.take(documents)
        self.register([own, service, *(each for each in documents if each.get("webhooks"))])

    def take(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write the certificate that is printed, and its key, where the service reads them."""
        secret = _of_kind(documents, "Secret")["stringData"]
        self.pair.key.write_text(secret["tls.key"])
        self.pair.certificate.write_text(secret["tls.crt"])
        (self.directory / "ca.crt").write_text(secret["ca.crt"])

    @property
    def shown(self) -> str:
        """The certificate that it shows."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def register(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Apply what the webhooks need: a namespace, the service in it, and their configurations."""
        for document in documents:
            for webhook in document.get("webhooks", ()):
                webhook["timeoutSeconds"] = self.timeout
                webhook["clientConfig"]["service"]["port"] = self.address or self.port
                for rule in webhook["rules"]:
                    if "cronjobs" in rule["resources"] and not self.namespace.cluster.has_cronjobs:
                        rule["apiVersions"].append("v1beta1")
                webhook["namespaceSelector"] = {"matchLabels": {"name": self.namespace.name}}
            self.namespace.cluster.apply(document).expect(200, 201)

    def remove(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Take the webhooks away again."""
        for document in documents:
            if document.get("webhooks"):
                self.namespace.cluster.ask("DELETE", cluster.path_of(document)).expect(200)

    def start(self) -> None:
        """Start the service, and wait until it is ready."""
        argv = [
            *("notarypy", "serve", "--listen", f"127.0.0.1:{self.port}", "--policy", str(self.policy)),
            *("--tls-cert", str(self.pair.certificate), "--tls-key", str(self.pair.key), *self.options),
        ]
        known = {name: value for name, value in self.person.environment.items() if value}
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # whoever it is: it was started here
        ready = services.answers(self.port, "/readyz", context)
        log = self.directory / f"serve-{self.port}.log"
        self.process = services.Service(argv, log, ready, {**known, **self.environment})

    def stop(self) -> None:
        """Stop the service; the webhooks stay."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def stands(self) -> None:
        """Wait until the API server asks (rule 3)."""
        spec = {"containers": [{"name": "app", "image": STRANGE}]}
        end = time.monotonic() + _PATIENCE
        for kind in ("pods", "deployments"):
            while not self._is_asked(kind, spec):
                assert time.monotonic() < end, "the API server does not ask the webhooks"
                time.sleep(0.05)

    def _is_asked(self, kind: str, spec: dict[str, Any]) -> bool:
        answer = self.namespace.create(kind, workload(kind, spec), dry_run=True)
        return "denied the request" in answer.message or any(map(WOULD_BE.match, answer.warnings))

    def asks(self, name: str, *images: str, **spec: object) -> Answer:
        """Ask for a pod with these images."""
        return self.namespace.create("pods", pod(name, *images, **spec))


def _of_kind(documents: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    [found] = [each for each in documents if each["kind"] == kind]
    return found


@contextlib.contextmanager
def guarding(guard: Guard, *options: str) -> Iterator[Guard]:
    """Let a guard stand until the block ends; `options` are those of what is printed."""
    own = ("--namespace", f"for-{guard.namespace.name}", "--self-signed")
    documents = printed(guard.person, guard.policy, *own, *options)
    guard.install(documents)
    try:
        guard.start()
        guard.stands()
        yield guard
    finally:
        guard.remove(documents)
        guard.stop()
