"""What is applied in a cluster, against the published schemas of several releases of Kubernetes."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from notarypy.errors import InvalidNameError, UsageError
from notarypy.kubernetes import deployment, yamltext
from notarypy.kubernetes.installation import (
    CertManager,
    GivenPair,
    Installation,
    SecretThere,
    issuer,
    service_hosts,
)
from notarypy.values import replace

RELEASES = ("1.25", "1.28", "1.31", "1.34", "1.37")
POLICY = {"policy.toml": b'[scope."r.test"]\nmode = "skip"\n', "certs/a.pem": b"PEM\n", "a b": b"\xff"}
WORKLOADS = """
pods podtemplates replicationcontrollers deployments statefulsets daemonsets replicasets jobs cronjobs
"""
IMAGE = f"r.test/notarypy@sha256:{'0' * 64}"
PLAIN = Installation(IMAGE, SecretThere("pair"), POLICY, authorities="CAs\n")
PAIR = GivenPair("certificate\n", "key\n", datetime(2030, 1, 1, tzinfo=UTC))
KINDS = {
    "plain": PLAIN,
    "checking": replace(PLAIN, mutate=False, replicas=1, excluded=("one", "two")),
    "one namespace": replace(PLAIN, only=("team",)),
    "warning": replace(PLAIN, warn_only=True),
    "full": replace(
        PLAIN,
        certificate=PAIR,
        namespace="images",
        settings={"config.toml": b"timeout = 5\n"},
        options=("--config", "/x"),
        environment={"A": "$(B)"},
        docker_config="logins",
        volume_claim="trust",
    ),
    "cert-manager": replace(PLAIN, certificate=CertManager(), authorities=""),
    "issuer": replace(PLAIN, certificate=CertManager("ClusterIssuer", "corp"), authorities=""),
}
# The fields of cert-manager.io/v1 that are used, as its custom resource definitions have them.
ISSUER_REF = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "group": {"const": "cert-manager.io"},
        "kind": {"enum": ["Issuer", "ClusterIssuer"]},
        "name": {"type": "string"},
    },
}
CERT_MANAGER = {
    "Issuer": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "selfSigned": {"type": "object", "maxProperties": 0},
            "ca": {
                "type": "object",
                "required": ["secretName"],
                "additionalProperties": False,
                "properties": {"secretName": {"type": "string"}},
            },
        },
        "minProperties": 1,
        "maxProperties": 1,
    },
    "Certificate": {
        "type": "object",
        "required": ["issuerRef", "secretName"],
        "additionalProperties": False,
        "properties": {
            "secretName": {"type": "string"},
            "issuerRef": ISSUER_REF,
            "commonName": {"type": "string", "maxLength": 64},
            "dnsNames": {"type": "array", "items": {"type": "string"}},
            "duration": {"type": "string", "pattern": "^[0-9]+h$"},
            "isCA": {"type": "boolean"},
            "usages": {"type": "array", "items": {"enum": ["digital signature", "server auth"]}},
            "privateKey": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "algorithm": {"enum": ["RSA", "ECDSA", "Ed25519"]},
                    "size": {"type": "integer"},
                    "rotationPolicy": {"enum": ["Never", "Always"]},
                },
            },
        },
    },
}


def documents(wanted: Installation) -> list[Any]:
    """Return the documents as a parser of YAML reads what is printed."""
    made = deployment.documents(wanted)
    read = list(yaml.load_all(yamltext.documents(made), Loader=yaml.CSafeLoader))
    assert read == json.loads(json.dumps(made))
    return read


def one(wanted: Installation, kind: str, name: str = "") -> Any:  # noqa: ANN401 - a document
    (found,) = [
        each for each in documents(wanted) if each["kind"] == kind and name in {"", each["metadata"]["name"]}
    ]
    return found


def pod(wanted: Installation) -> Any:  # noqa: ANN401 - part of a document
    return one(wanted, "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "release", [*(pytest.param(each, marks=pytest.mark.slow) for each in RELEASES[:-1]), RELEASES[-1]]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_document_fits_the_published_schemas(kind: str, release: str) -> None:
    for document in documents(KINDS[kind]):
        if document["apiVersion"] == "cert-manager.io/v1":
            jsonschema.validate(document["spec"], CERT_MANAGER[document["kind"]])
        else:
            kubernetes_validate.validate(document, release, strict=True)


def test_the_schemas_would_notice() -> None:
    wrong = one(PLAIN, "Deployment")
    wrong["spec"]["template"]["spec"]["runsAsNonRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[0], strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_webhooks_ask_their_own_service_and_let_nothing_in_without_an_answer(kind: str) -> None:
    wanted = KINDS[kind]
    service = one(wanted, "Service")
    (port,) = service["spec"]["ports"]
    asked = [each for each in documents(wanted) if each["kind"].endswith("WebhookConfiguration")]
    for configuration in asked:
        (hook,) = configuration["webhooks"]
        verb = hook["name"].partition(".")[0]
        assert hook["clientConfig"]["service"] == {
            "name": service["metadata"]["name"],
            "namespace": service["metadata"]["namespace"],
            "path": f"/admit/{verb}",
            "port": port["port"],
        }
        assert hook["name"].partition(".")[2] == service_hosts(wanted.namespace)[0]
        assert hook["failurePolicy"] == ("Ignore" if wanted.warn_only else "Fail")
        assert hook["sideEffects"] == "None"
        assert "objectSelector" not in hook
    assert ["Mutating" in each["kind"] for each in asked] == ([True, False] if wanted.mutate else [False])
    assert ("--require-digest" in deployment.arguments(wanted)) is wanted.mutate
    assert "--admission-only" in deployment.arguments(wanted)
    assert ("--warn-only" in deployment.arguments(wanted)) is wanted.warn_only


def test_every_workload_is_looked_at_and_pods_alone_are_changed() -> None:
    looked_at = [
        resource
        for rule in one(PLAIN, "ValidatingWebhookConfiguration")["webhooks"][0]["rules"]
        for resource in rule["resources"]
    ]
    assert set(looked_at) == {"pods/ephemeralcontainers", *WORKLOADS.split()}
    (rule,) = one(PLAIN, "MutatingWebhookConfiguration")["webhooks"][0]["rules"]
    assert rule["resources"] == ["pods", "pods/ephemeralcontainers"]
    assert rule["operations"] == ["CREATE", "UPDATE"]


def test_namespaces_are_left_out_by_the_name_that_the_api_server_gives_them() -> None:
    wanted = replace(PLAIN, namespace="images", excluded=("one", "images", "one"))
    (hook,) = one(wanted, "ValidatingWebhookConfiguration")["webhooks"]
    assert hook["namespaceSelector"] == {
        "matchExpressions": [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system", "images", "one"],
            }
        ]
    }


def test_a_careful_start_is_with_named_namespaces_alone() -> None:
    for kind in ("Mutating", "Validating"):
        (hook,) = one(KINDS["one namespace"], f"{kind}WebhookConfiguration")["webhooks"]
        (selected,) = hook["namespaceSelector"]["matchExpressions"]
        assert (selected["operator"], selected["values"]) == ("In", ["team"])


def test_all_but_the_webhooks_can_be_applied_first() -> None:
    for document in documents(KINDS["full"]):
        component = document["metadata"]["labels"]["app.kubernetes.io/component"]
        assert component == ("webhook" if "Webhook" in document["kind"] else "server")


def test_the_pod_may_do_nothing_and_writes_to_volumes_of_its_own_alone() -> None:
    found = pod(KINDS["full"])
    (container,) = found["containers"]
    assert found["automountServiceAccountToken"] is False
    assert one(PLAIN, "ServiceAccount")["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["runAsUser"] > 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {each["name"] for each in container["volumeMounts"] if not each.get("readOnly")}
    volumes = {each["name"]: each for each in found["volumes"]}
    assert writable == {"trust", "tmp"}
    assert volumes.keys() == {each["name"] for each in container["volumeMounts"]}
    assert volumes["trust"]["persistentVolumeClaim"] == {"claimName": "trust"}
    assert "emptyDir" in {each["name"]: each for each in pod(PLAIN)["volumes"]}["trust"]


def test_the_memory_it_gets_is_what_the_page_says() -> None:
    (container,) = pod(PLAIN)["containers"]
    page = (Path(__file__).parents[2] / "docs" / "kubernetes" / "manifests.md").read_text()
    most, asked = re.findall(r"Limits\*\* are (\d+) GiB.* requests (\d+) MiB", page)[0]
    found = {kind: each["memory"] for kind, each in container["resources"].items()}
    assert found == {"limits": f"{most}Gi", "requests": f"{asked}Mi"}


def test_it_ends_after_those_who_still_ask_it_have_noticed() -> None:
    words = deployment.arguments(PLAIN)
    delay = int(words[words.index("--shutdown-delay") + 1].removesuffix("s"))
    hook = one(PLAIN, "ValidatingWebhookConfiguration")["webhooks"][0]
    assert pod(PLAIN)["terminationGracePeriodSeconds"] > delay + hook["timeoutSeconds"]


def test_files_stand_in_the_pod_as_they_do_beside_the_policy() -> None:
    (volume,) = [each for each in pod(PLAIN)["volumes"] if each["name"] == "policy"]
    contents = one(PLAIN, "ConfigMap", volume["configMap"]["name"])
    texts = {key: text.encode() for key, text in contents["data"].items()}
    others = {key: base64.b64decode(text) for key, text in contents["binaryData"].items()}
    there = {item["path"]: (texts | others)[item["key"]] for item in volume["configMap"]["items"]}
    assert there == POLICY
    words = deployment.arguments(PLAIN)
    (mount,) = [each for each in pod(PLAIN)["containers"][0]["volumeMounts"] if each["name"] == "policy"]
    assert words[words.index("--policy") + 1] == f"{mount['mountPath']}/policy.toml"


def test_two_paths_never_become_one_key() -> None:
    long = f"{'l' * 250}.pem"
    names = ("a/b", "a_b", "a b", "a_b_1", "a_b_2", f"{long}/a", f"{long}/b")
    wanted = replace(PLAIN, policy={name: name.encode() for name in names})
    (volume,) = [each for each in pod(wanted)["volumes"] if each["name"] == "policy"]
    data = one(wanted, "ConfigMap")["data"]
    assert {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]} == {
        name: name for name in names
    }
    assert max(map(len, data)) <= 253


def test_what_is_read_at_the_start_alone_makes_other_pods() -> None:
    def annotations(wanted: Installation) -> Any:  # noqa: ANN401 - part of a document
        return one(wanted, "Deployment")["spec"]["template"]["metadata"].get("annotations")

    full = KINDS["full"]
    assert annotations(PLAIN) is None
    assert annotations(full) == annotations(replace(full, policy={"policy.toml": b""}))
    assert annotations(full) != annotations(replace(full, settings={"config.toml": b""}))


def test_a_cluster_replaces_no_variable() -> None:
    (container,) = pod(KINDS["full"])["containers"]
    assert container["env"] == [
        {"name": "DOCKER_CONFIG", "value": "/etc/notarypy/docker"},
        {"name": "A", "value": "$$(B)"},
    ]


def test_a_printed_pair_is_what_the_pod_is_given() -> None:
    secret = one(KINDS["full"], "Secret")
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["stringData"] == {"tls.crt": "certificate\n", "tls.key": "key\n", "ca.crt": "CAs\n"}
    (volume,) = [each for each in pod(KINDS["full"])["volumes"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]


@pytest.mark.parametrize("kind", ["cert-manager", "issuer"])
def test_cert_manager_says_whom_to_trust(kind: str) -> None:
    wanted = KINDS[kind]
    certificate = one(wanted, "Certificate", "notarypy")
    assert certificate["spec"]["dnsNames"] == list(service_hosts("notarypy"))
    for each in documents(wanted):
        if "Webhook" in each["kind"]:
            assert each["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "notarypy/notarypy"}
            assert "caBundle" not in each["webhooks"][0]["clientConfig"]
    assert [each["kind"] for each in documents(wanted)].count("Issuer") == (
        2 if kind == "cert-manager" else 0
    )
    (volume,) = [each for each in pod(wanted)["volumes"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]


def test_issuers_are_read() -> None:
    assert issuer("issuer/a.b") == CertManager("Issuer", "a.b")
    assert issuer("clusterissuer/a") == CertManager("ClusterIssuer", "a")
    assert issuer("self-signed") == CertManager()
    for text in ("", "a", "issuer/", "issuer/A", "ClusterIssuer/a", "issuer/a/b"):
        with pytest.raises(UsageError):
            issuer(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": "default"},
        {"namespace": "kube-system"},
        {"namespace": "Images"},
        {"namespace": "a.b"},
        {"namespace": "a" * 64},
        {"namespace": "-a"},
        {"namespace": "a\n"},
        {"excluded": ("a b",)},
        {"only": ("a", "notarypy")},
        {"authorities": "x" * 250_001},
        {"docker_config": "A"},
        {"volume_claim": "a_b"},
        {"certificate": SecretThere("a/b")},
        {"policy": {"policy.toml": b"-----BEGIN EC PRIVATE KEY-----"}},
        {"settings": {"x": b"-----BEGIN ENCRYPTED PRIVATE KEY-----"}},
        {"policy": {"policy.toml": b" " * 1_000_001}},
    ],
)
def test_what_the_api_server_would_refuse_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        deployment.documents(replace(PLAIN, **wrong))


def test_an_image_is_a_reference() -> None:
    with pytest.raises(InvalidNameError):
        deployment.documents(replace(PLAIN, image="r.test/Not An Image"))
