"""The service in a cluster: the documents of what runs there.

What it is: the namespace and what is in it. What it is not: what the API server asks the service about
(`webhookconfigurations`), or a chart: whoever wants it otherwise changes the documents.

Rules:

1. The service may do nothing in its cluster: no account's token, no privilege, no root, nothing to write to
   but its own trust data and a temporary directory. The namespace insists on it.
2. Replicas are on different nodes where that is possible; one is taken away at a time, after the next one is
   ready, and ends after those who still ask it have noticed.
3. Every pod may ask it, and learns whether an image would be let in, nothing more. There is no NetworkPolicy.
   The API server comes from addresses that no document knows, and so would the Notary servers and registries
   that are asked: a policy that is wrong stops the cluster.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from notarypy.kubernetes import webhookconfigurations
from notarypy.kubernetes.installation import (
    NAME,
    POLICY_FILE,
    SETTINGS_DIR,
    CertManager,
    GivenPair,
    SecretThere,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.kubernetes.installation import Installation
    from notarypy.kubernetes.yamltext import Value

    Document = dict[str, Value]

PORT = 8443
USER = 65532
TRUST_DIR, TLS_DIR, DOCKER_DIR, TEMPORARY_DIR = (
    "/var/lib/notarypy", "/etc/notarypy/tls", "/etc/notarypy/docker", "/tmp"  # noqa: S108 - a volume of its own
)  # fmt: skip
_TLS_SECRET, _AUTHORITY = "notarypy-tls", "notarypy-ca"
_POLICY, _SETTINGS = "policy", "settings"
_SHUTDOWN_DELAY, _GRACE = 10, 40
_SELECTED: Document = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "server"}
_CERT_MANAGER = "cert-manager.io/v1"
_READABLE_BY_GROUP = 0o440
_NOT_IN_KEYS, _LONG_KEY = re.compile(r"[^-._a-zA-Z0-9]"), 200  # of 253, with room for a number
# `kubectl apply` keeps a copy of each document in an annotation, which is no longer than 262 144 bytes.
_MOST_APPLIED = 250_000


def documents(wanted: Installation) -> list[Document]:
    """Return everything, in the order in which it is applied; raise UsageError for values that cannot be."""
    wanted.check()
    return [
        _namespace(wanted),
        _object(wanted, "v1", "ServiceAccount", automountServiceAccountToken=False),
        *_config_maps(wanted),
        *_certificate(wanted),
        _object(wanted, "apps/v1", "Deployment", spec=_deployment(wanted)),
        _object(wanted, "v1", "Service", spec=_service()),
        _object(
            wanted, "policy/v1", "PodDisruptionBudget",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": _SELECTED}},
        ),
        *webhookconfigurations.documents(wanted),
    ]  # fmt: skip


def apply(made: list[Document]) -> str:
    """Return the command that applies documents: where one is large, the one that keeps no copy beside it.

    It would stop at what people have patched since, which the usual one takes back.
    """
    large = any(len(json.dumps(each)) > _MOST_APPLIED for each in made)
    return f"kubectl apply{' --server-side --force-conflicts' if large else ''}"


def arguments(wanted: Installation) -> list[str]:
    """Return the words of the service's command line."""
    return [
        *("serve", "--admission-only", "--listen", f":{PORT}", "--policy", str(POLICY_FILE)),
        *("--tls-cert", f"{TLS_DIR}/tls.crt", "--tls-key", f"{TLS_DIR}/tls.key"),
        # A directory of its own making, whoever the volume belongs to.
        *("--trust-dir", f"{TRUST_DIR}/trust", "--shutdown-delay", f"{_SHUTDOWN_DELAY}s"),
        *(["--require-digest"] if wanted.mutate else []),
        *(["--warn-only"] if wanted.warn_only else []),
        *wanted.options,
    ]


def _object(wanted: Installation, version: str, kind: str, name: str = NAME, **more: Value) -> Document:
    metadata: Document = {"name": name, "namespace": wanted.namespace, "labels": _SELECTED}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _namespace(wanted: Installation) -> Document:
    insists = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    metadata: Document = {"name": wanted.namespace, "labels": {**_SELECTED, **insists}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _keys(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the keys of a ConfigMap for paths, which may have folders: each another one."""
    found: dict[str, str] = {}
    for path in files:
        key = plain = _NOT_IN_KEYS.sub("_", path)[:_LONG_KEY]
        while key in found.values():
            key = f"{plain}_{len(found)}"
        found[path] = key
    return found


def _config_maps(wanted: Installation) -> list[Document]:
    """Return the policy, which is read anew when it changes, and apart from it what is read at the start."""
    maps = {_POLICY: wanted.policy, _SETTINGS: wanted.settings}
    return [
        _object(wanted, "v1", "ConfigMap", f"{NAME}-{name}", **_data(files))
        for name, files in maps.items()
        if files
    ]


def _data(files: Mapping[str, bytes]) -> Document:
    """Return the contents of a ConfigMap: texts as they are."""
    texts: dict[str, Value] = {}
    others: dict[str, Value] = {}
    for path, key in _keys(files).items():
        try:
            texts[key] = files[path].decode()
        except UnicodeDecodeError:
            others[key] = base64.b64encode(files[path]).decode()
    return {"data": texts, **({"binaryData": others} if others else {})}


def _certificate(wanted: Installation) -> list[Document]:
    given = wanted.certificate
    if isinstance(given, SecretThere):
        return []
    if isinstance(given, GivenPair):
        texts: Document = {"tls.crt": given.certificate, "tls.key": given.key, "ca.crt": wanted.authorities}
        return [_object(wanted, "v1", "Secret", _TLS_SECRET, type="kubernetes.io/tls", stringData=texts)]
    return _of_cert_manager(wanted, given)


def _of_cert_manager(wanted: Installation, issuer: CertManager) -> list[Document]:
    """Return the Certificate, and where nobody is named who issues it a CA of its own."""
    own: list[Document] = []
    if not issuer.name:
        bootstrap = f"{_AUTHORITY}-bootstrap"
        authority: Document = {
            "isCA": True,
            "commonName": f"{NAME} {wanted.namespace} CA",
            "secretName": _AUTHORITY,
            "duration": "87600h",
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": bootstrap},
        }
        own = [
            _object(wanted, _CERT_MANAGER, "Issuer", bootstrap, spec={"selfSigned": {}}),
            _object(wanted, _CERT_MANAGER, "Certificate", _AUTHORITY, spec=authority),
            _object(wanted, _CERT_MANAGER, "Issuer", _AUTHORITY, spec={"ca": {"secretName": _AUTHORITY}}),
        ]
    spec: Document = {
        "secretName": _TLS_SECRET,
        "dnsNames": wanted.hosts,
        "usages": ["digital signature", "server auth"],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind, "name": issuer.name or _AUTHORITY},
    }
    return [*own, _object(wanted, _CERT_MANAGER, "Certificate", spec=spec)]


def _service() -> Document:
    port: Document = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}
    return {"type": "ClusterIP", "selector": _SELECTED, "ports": [port]}


def _deployment(wanted: Installation) -> Document:
    metadata: Document = {"labels": _SELECTED}
    if wanted.settings:  # another one means other pods
        read = hashlib.sha256(repr(sorted(wanted.settings.items())).encode())
        metadata["annotations"] = {f"{NAME}/{_SETTINGS}-sha256": read.hexdigest()}
    return {
        "replicas": wanted.replicas,
        "selector": {"matchLabels": _SELECTED},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": metadata, "spec": _pod(wanted)},
    }


def _pod(wanted: Installation) -> Document:
    apart: list[Value] = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _SELECTED},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    pull: Document = {"imagePullSecrets": [{"name": wanted.docker_config}]} if wanted.docker_config else {}
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": apart,
        **pull,
        "containers": [_container(wanted)],
        "volumes": _volumes(wanted),
    }


def _container(wanted: Installation) -> Document:
    variables = {**({"DOCKER_CONFIG": DOCKER_DIR} if wanted.docker_config else {}), **wanted.environment}
    shown: list[Value] = [{"name": name, "value": _literal(text)} for name, text in variables.items()]
    return {
        "name": NAME,
        "image": wanted.image,
        "args": [_literal(word) for word in arguments(wanted)],
        **({"env": shown} if shown else {}),
        "ports": [{"name": "https", "containerPort": PORT, "protocol": "TCP"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "2", "memory": "1Gi"},
        },
        "startupProbe": _probe("/healthz", 2, 30),
        "livenessProbe": _probe("/healthz", 10, 3),
        "readinessProbe": _probe("/readyz", 5, 2),
        "volumeMounts": [
            _mount(_POLICY, str(POLICY_FILE.parent)),
            *([_mount(_SETTINGS, str(SETTINGS_DIR))] if wanted.settings else []),
            _mount("tls", TLS_DIR),
            *([_mount("docker", DOCKER_DIR)] if wanted.docker_config else []),
            {"name": "trust", "mountPath": TRUST_DIR},
            {"name": "tmp", "mountPath": TEMPORARY_DIR},
        ],
    }


def _literal(text: str) -> str:
    """Return a text in which a cluster replaces no variable."""
    return text.replace("$", "$$")


def _mount(name: str, path: str) -> Document:
    return {"name": name, "mountPath": path, "readOnly": True}


def _probe(path: str, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "https", "scheme": "HTTPS"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _mapped(name: str, files: Mapping[str, bytes]) -> Document:
    keys: list[Value] = [{"key": key, "path": path} for path, key in _keys(files).items()]
    return {"name": name, "configMap": {"name": f"{NAME}-{name}", "items": keys}}


def _volumes(wanted: Installation) -> list[Value]:
    given = wanted.certificate
    secret: Document = {
        "secretName": given.name if isinstance(given, SecretThere) else _TLS_SECRET,
        "defaultMode": _READABLE_BY_GROUP,
    }
    logins: Document = {
        "secretName": wanted.docker_config,
        "defaultMode": _READABLE_BY_GROUP,
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    }
    docker: list[Value] = [{"name": "docker", "secret": logins}] if wanted.docker_config else []
    trust: Document = {"emptyDir": {"sizeLimit": "1Gi"}}
    if wanted.volume_claim:
        trust = {"persistentVolumeClaim": {"claimName": wanted.volume_claim}}
    return [
        _mapped(_POLICY, wanted.policy),
        *([_mapped(_SETTINGS, wanted.settings)] if wanted.settings else []),
        {"name": "tls", "secret": secret},
        *docker,
        {"name": "trust", **trust},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
