"""What an installation of the service in a cluster is to be like: the values that its documents are made of.

What it is: names and numbers, checked. What it is not: the documents (`deployment`, `webhookconfigurations`).

Rules:

1. A name is one that the API server takes, for what is refused there is found out too late: half of the
   documents are applied by then.
2. The service's own namespace is left alone by its webhooks, or it could never start again. So it is none in
   which anything else runs: not `default`, and none of the cluster's own.
3. What is in the files goes into a ConfigMap, where everybody may read: no private key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from notarypy.errors import Advice, UsageError
from notarypy.images import reference
from notarypy.values import dataclass, field

NAME = "notarypy"
NEVER_GUARDED = "kube-system"
POLICY_FILE = PurePosixPath("/etc/notarypy/policy/policy.toml")
SETTINGS_DIR = PurePosixPath("/etc/notarypy/settings")

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_LONGEST_SUBDOMAIN = 253
_MOST_IN_CONFIG_MAP = 1_000_000
_MOST_AUTHORITIES = 250_000
_ISSUERS = {"issuer": "Issuer", "clusterissuer": "ClusterIssuer"}
SELF_SIGNED = "self-signed"


@dataclass(frozen=True)
class GivenPair:
    """A certificate with its private key, both PEM; it counts until then. It goes into a Secret."""

    certificate: str
    key: str
    until: datetime


@dataclass(frozen=True)
class SecretThere:
    """A Secret with `tls.crt` and `tls.key` that is in the namespace already, or is brought by others."""

    name: str


@dataclass(frozen=True)
class CertManager:
    """An issuer of cert-manager, by kind and name; without a name one is made that signs itself."""

    kind: Literal["Issuer", "ClusterIssuer"] = "Issuer"
    name: str = ""


Certificate: TypeAlias = GivenPair | SecretThere | CertManager


@dataclass(frozen=True)
class Installation:
    """All that the documents depend on.

    Attributes:
        image: The service's image, as the cluster is to pull it.
        certificate: Where the service's certificate is from.
        authorities: PEM of the CAs that the API server is to trust for it; empty where cert-manager says it.
        policy: The trust policy and what it names, by their paths in the folder of `POLICY_FILE`.
        settings: Other files that the service reads when it starts, by their paths below `SETTINGS_DIR`.
        options: Further words for `notarypy serve`.
        environment: Variables of the service.
        namespace: Where the service runs.
        replicas: How many of it.
        mutate: Whether images are replaced by their signed digests, or only looked at.
        warn_only: Whether nothing is refused, and warned of.
        docker_config: A Secret with logins at registries, of type `kubernetes.io/dockerconfigjson`, or empty.
        volume_claim: A PersistentVolumeClaim for trust data, or empty.
        excluded: Namespaces that are not guarded, beside `kube-system` and the service's own.
        only: Namespaces that are guarded, and no others are; empty for all.
    """

    image: str
    certificate: Certificate
    policy: Mapping[str, bytes]
    authorities: str = ""
    settings: Mapping[str, bytes] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    namespace: str = NAME
    replicas: int = 2
    mutate: bool = True
    warn_only: bool = False
    docker_config: str = ""
    volume_claim: str = ""
    excluded: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise UsageError for what the API server would refuse, or should (rules 1 to 3)."""
        reference.parse(self.image)
        _check_own(self.namespace)
        for namespace in (*self.excluded, *self.only):
            _check(namespace, "a namespace", _LABEL)
        for namespace in {NEVER_GUARDED, self.namespace, *self.excluded}.intersection(self.only):
            advice = Advice("leave-out", option=f"--only-namespace {namespace}")
            raise UsageError(f"{namespace} is never guarded", advice=advice)
        certificate = self.certificate
        secret = certificate.name if isinstance(certificate, SecretThere) else ""
        for name, what in (
            (secret, "a Secret"),
            (self.docker_config, "a Secret"),
            (self.volume_claim, "a PersistentVolumeClaim"),
        ):
            if name:
                _check(name, what, _SUBDOMAIN)
        _check_files(self.policy)
        _check_files(self.settings)
        if len(self.authorities) > _MOST_AUTHORITIES:
            why = f"they have more than {_MOST_AUTHORITIES} bytes, and are wanted for one certificate"
            raise UsageError("the CAs are too big", why=why, advice=Advice("use-smaller-files"))

    @property
    def configuration(self) -> str:
        """The name of the webhook configurations, which belong to no namespace."""
        return NAME if self.namespace == NAME else f"{NAME}-{self.namespace}"

    @property
    def hosts(self) -> tuple[str, str]:
        """The names that the service's certificate is for; the API server asks for the first."""
        return service_hosts(self.namespace)


def service_hosts(namespace: str) -> tuple[str, str]:
    """Return the names of the service in its cluster; raise UsageError for what is no namespace for it."""
    _check_own(namespace)
    host = f"{NAME}.{namespace}.svc"
    return host, f"{host}.cluster.local"


def issuer(text: str) -> CertManager:
    """Read an issuer: `issuer/NAME`, `clusterissuer/NAME`, or `self-signed`; raise UsageError."""
    if text == SELF_SIGNED:
        return CertManager()
    kind, slash, name = text.partition("/")
    if not slash or kind not in _ISSUERS:
        raise UsageError(f'"{text}" is no issuer of cert-manager', advice=Advice("write-issuer"))
    _check(name, "an issuer", _SUBDOMAIN)
    return CertManager("Issuer" if kind == "issuer" else "ClusterIssuer", name)


def _check(name: str, what: str, pattern: re.Pattern[str]) -> None:
    if pattern.fullmatch(name) is None or len(name) > _LONGEST_SUBDOMAIN:
        raise UsageError(f'"{name}" is no name of {what}', advice=Advice("write-dns-name"))


def _check_own(namespace: str) -> None:
    """Refuse a namespace that the service must not have for itself (rule 2)."""
    _check(namespace, "a namespace", _LABEL)
    if namespace == "default" or namespace.startswith("kube-"):
        why = "its own namespace is the one that it does not guard, and others run things here"
        advice = Advice("choose-own-namespace")
        raise UsageError(f"the service cannot be in {namespace}", why=why, advice=advice)


def _check_files(files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        if b"PRIVATE KEY-----" in data:
            why = "it would go into a ConfigMap, which many may read"
            raise UsageError(f"{path} holds a private key", why=why, advice=Advice("give-public-half-alone"))
    if sum(map(len, files.values())) > _MOST_IN_CONFIG_MAP:
        why = f"{len(files)} files have more than {_MOST_IN_CONFIG_MAP} bytes, and a ConfigMap has 1 MiB"
        message = "the policy and the files that it names are too big"
        raise UsageError(message, why=why, advice=Advice("use-smaller-files"))
