"""The two webhook configurations: what the API server asks the service about, and what without an answer.

What it is: which requests are asked about, as documents. What it is not: the answers (`admissionanswer`).

Rules:

1. Without an answer nothing is let in (`failurePolicy: Fail`): who can make the service slow could switch it
   off otherwise. Where it only warns there is nothing to switch off, and nothing waits for it.
2. Namespaces are left out by the label that the API server itself gives each of them, its name. No label that
   somebody else may write leaves anything out: not of a namespace, and not of an object.
3. Only pods, and the ephemeral containers of pods, are changed: what others keep as they have written it
   (Argo, Flux) is looked at alone. What is looked at are all of them, again: hooks that come later may
   change images.
4. Kinds are named one by one. Whoever is asked about everything can stop everything.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from notarypy.kubernetes.installation import NAME, NEVER_GUARDED, CertManager

if TYPE_CHECKING:
    from notarypy.kubernetes.installation import Installation
    from notarypy.kubernetes.yamltext import Value

_SECONDS = 10
_OWN_NAME = "kubernetes.io/metadata.name"
_PODS = ("pods", "pods/ephemeralcontainers")
_WORKLOADS = {
    "": (*_PODS, "podtemplates", "replicationcontrollers"),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "batch": ("cronjobs", "jobs"),
}
_LABELS: dict[str, Value] = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "webhook"}


def documents(wanted: Installation) -> list[dict[str, Value]]:
    """Return the configuration that asks for changes, if they are wanted, and the one that asks for a yes."""
    mutating = _configuration(wanted, "Mutating", "mutate", {"": _PODS}, reinvocationPolicy="IfNeeded")
    validating = _configuration(wanted, "Validating", "validate", _WORKLOADS)
    return [mutating, validating] if wanted.mutate else [validating]


def _configuration(
    wanted: Installation, kind: str, verb: str, rules: dict[str, tuple[str, ...]], **more: Value
) -> dict[str, Value]:
    own = wanted.namespace
    metadata: dict[str, Value] = {"name": wanted.configuration, "labels": _LABELS}
    if isinstance(wanted.certificate, CertManager):
        metadata["annotations"] = {"cert-manager.io/inject-ca-from": f"{own}/{NAME}"}
    webhook: dict[str, Value] = {
        "name": f"{verb}.{NAME}.{own}.svc",
        "clientConfig": _client(wanted, f"/admit/{verb}"),
        "rules": [_rule(group, resources) for group, resources in rules.items()],
        "namespaceSelector": {"matchExpressions": [_guarded(wanted)]},
        "failurePolicy": "Ignore" if wanted.warn_only else "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": _SECONDS,
        "admissionReviewVersions": ["v1"],
        **more,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": metadata,
        "webhooks": [webhook],
    }


def _client(wanted: Installation, path: str) -> dict[str, Value]:
    service: Value = {"name": NAME, "namespace": wanted.namespace, "path": path, "port": 443}
    if not wanted.authorities:
        return {"service": service}
    return {"service": service, "caBundle": base64.b64encode(wanted.authorities.encode()).decode()}


def _rule(group: str, resources: tuple[str, ...]) -> dict[str, Value]:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
        "scope": "Namespaced",
    }


def _guarded(wanted: Installation) -> dict[str, Value]:
    """Return what a namespace must be for its objects to be asked about (rule 2)."""
    if wanted.only:
        return {"key": _OWN_NAME, "operator": "In", "values": list(dict.fromkeys(wanted.only))}
    names = dict.fromkeys((NEVER_GUARDED, wanted.namespace, *wanted.excluded))
    return {"key": _OWN_NAME, "operator": "NotIn", "values": list(names)}
