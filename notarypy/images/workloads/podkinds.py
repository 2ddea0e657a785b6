"""Kinds of Kubernetes: in which of them a pod stands, where in it images are named, and which name none.

What it is: tables. What it is not: a reader of documents.

Rules:

1. A kind is known together with its API group, for others use the same names.
2. What is in neither table is not known, and may have images anywhere.
"""

from __future__ import annotations

_APPS = ("apps", "extensions")
_TEMPLATE = ("spec", "template", "spec")
_PODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Pod": (("",), ("spec",)),
    "PodTemplate": (("",), ("template", "spec")),
    "ReplicationController": (("",), _TEMPLATE),
    "Deployment": (_APPS, _TEMPLATE),
    "StatefulSet": (_APPS, _TEMPLATE),
    "DaemonSet": (_APPS, _TEMPLATE),
    "ReplicaSet": (_APPS, _TEMPLATE),
    "Job": (("batch",), _TEMPLATE),
    "CronJob": (("batch",), ("spec", "jobTemplate", *_TEMPLATE)),
}
POD_SPECS = {kind: path for kind, (_, path) in _PODS.items()}
"""The path to the specification of the pod in each kind that has one."""
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
IMAGES: tuple[tuple[str, ...], ...] = (
    *((name, "image") for name in CONTAINERS),
    ("volumes", "image", "reference"),
)
"""Each list of that specification whose elements name images, and the path in an element."""
# Objects of Kubernetes itself that name no image.
_WITHOUT = """
APIService Binding CSIDriver CSINode ClusterRole ClusterRoleBinding ConfigMap ControllerRevision
CustomResourceDefinition EndpointSlice Endpoints Event Eviction HorizontalPodAutoscaler Ingress IngressClass
Lease LimitRange MutatingWebhookConfiguration Namespace NetworkPolicy PersistentVolume PersistentVolumeClaim
PodDisruptionBudget PriorityClass ResourceQuota Role RoleBinding RuntimeClass Scale Secret Service
ServiceAccount StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
ValidatingWebhookConfiguration VolumeAttachment
"""
_WITHOUT_IMAGES = frozenset(_WITHOUT.split())
KNOWN = frozenset({*POD_SPECS, *_WITHOUT_IMAGES})
_NAMED_GROUPS = """
apps batch extensions autoscaling policy networking.k8s.io rbac.authorization.k8s.io storage.k8s.io
scheduling.k8s.io node.k8s.io coordination.k8s.io discovery.k8s.io events.k8s.io apiextensions.k8s.io
apiregistration.k8s.io admissionregistration.k8s.io
"""
GROUPS = frozenset(_NAMED_GROUPS.split())
"""The API groups of Kubernetes that have a name."""


def pod_spec(group: str, kind: str) -> tuple[str, ...] | None:
    """Return the path to the pod's specification in a kind; None where the kind has none (rule 1)."""
    groups, path = _PODS.get(kind, ((), None))
    return path if group in groups else None


def names_no_image(group: str, kind: str) -> bool:
    """Tell whether a kind is known to name no image (rule 1)."""
    return kind in _WITHOUT_IMAGES and (not group or group in GROUPS)
