"""ImageValidatingPolicies of Kyverno, and a ValidatingPolicy for what no rule is for.

Rules:

1. Names are compared by regular expressions in CEL (`rules`). The patterns of ClusterPolicies, which are
   on their way out, take a dot for any character: they could skip `registryXtest` for `registry.test`.
2. A policy is about the images of one rule alone: expressions keep out those of narrower ones.
3. A group is met when as many of its attestors verify. Kyverno remembers only images for which all did.
4. What is only audited is a policy of its own, with the action Audit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import Group, Rule, expression, object_name, sentences
from notarypy.client.results import PolicyFiles
from notarypy.images.reference import DOCKER_HUB
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.kubernetes.yamltext import Value

_API = "policies.kyverno.io/v1"
_IMAGES = "images.containers + images.initContainers + images.ephemeralContainers"
_ALL = (
    "(object.spec.containers + object.spec.?initContainers.orValue([]) + "
    "object.spec.?ephemeralContainers.orValue([])).map(c, c.image)"
)
_NOTES = sentences("""
For Kyverno 1.17 and later; earlier ones read apiVersion policies.kyverno.io/v1beta1 or v1alpha1.

Kyverno looks at the digest alone, never at the name in a signature: what was signed under one name or
tag passes under every name that the same keys are required for.

Where an image has a bundle, Kyverno looks at its bundles and not at the classic signatures.

Containers that are added to a running Pod (kubectl debug) reach the API as pods/ephemeralcontainers,
which these policies are not asked about; they are, where resources names that too.

A private registry takes spec.credentials.
""")


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return one file with a policy for each rule, and one for the rest."""
    documents: list[dict[str, Value]] = []
    for number, rule in enumerate(rules, start=1):
        narrower = [other for other in rules if rule.contains(other)]
        if rule.verdict == "verify":
            name = object_name(number, rule)
            documents.append(_verifying(name, "Deny", rule, rule.enforced, narrower))
            if rule.audited:
                documents.append(_verifying(f"{name}-audit", "Audit", rule, rule.audited, narrower))
        elif rule.verdict == "refuse":
            documents.append(_refusing(object_name(number, rule), rule, rules, narrower))
    said = (*_NOTES, *notes)
    return PolicyFiles(
        "kyverno", {"kyverno.yaml": yamltext.comment(*said) + yamltext.documents(documents)}, said
    )


def _policy(kind: str, name: str, action: str, spec: dict[str, Value]) -> dict[str, Value]:
    where: dict[str, Value] = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["pods"],
    }
    common: dict[str, Value] = {
        "validationActions": [action],
        "failurePolicy": "Fail" if action == "Deny" else "Ignore",
        "matchConstraints": {"resourceRules": [where]},
    }
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": {**common, **spec}}


def _fits(variable: str, rule: Rule) -> str:
    if rule.prefix == roles.ANY:
        return "true"
    fits = f"{variable}.matches({json.dumps(expression(rule))})"
    # The one word that is a registry, of all that an expression takes for namespaces of Docker Hub.
    return f"({fits} && !{variable}.startsWith('localhost/'))" if rule.prefix == DOCKER_HUB else fits


def _counts(variable: str, rule: Rule, narrower: Sequence[Rule]) -> str:
    """Return the expression that a rule counts for an image (rule 2)."""
    return " && ".join([_fits(variable, rule), *(f"!{_fits(variable, other)}" for other in narrower)])


def _verifying(
    name: str, action: str, rule: Rule, groups: Sequence[Group], narrower: Sequence[Rule]
) -> dict[str, Value]:
    keys = list(dict.fromkeys(key for group in groups for key in group.keys))
    called = {key: f"key{number}" for number, key in enumerate(keys, start=1)}
    attestors: list[Value] = [
        {"name": called[key], "cosign": {"key": {"data": key.pem}, "ctlog": {
            "insecureIgnoreTlog": True, "insecureIgnoreSCT": True,
        }}}
        for key in keys
    ]  # fmt: skip
    validations: list[Value] = []
    for group in groups:
        listed = ", ".join(f"attestors.{called[key]}" for key in group.keys)
        verified = f"verifyImageSignatures(image, [{listed}]) >= {group.threshold}"
        names = ", ".join(key.name for key in group.keys)
        message = f"{group.threshold} of these must have signed every image of {rule.prefix}: {names}"
        validations.append({"expression": f"({_IMAGES}).all(image, {verified})", "message": message})
    spec: dict[str, Value] = {
        "webhookConfiguration": {"timeoutSeconds": 30},
        "matchImageReferences": [{"expression": _counts("ref", rule, narrower)}],
        "attestors": attestors,
        "validations": validations,
    }
    return _policy("ImageValidatingPolicy", name, action, spec)


def _refusing(name: str, rule: Rule, rules: Sequence[Rule], narrower: Sequence[Rule]) -> dict[str, Value]:
    refused = f"({_counts('image', rule, narrower)})"
    spec: dict[str, Value] = {
        "variables": [{"name": "images", "expression": _ALL}],
        "validations": [
            {
                "expression": f"variables.images.all(image, !{refused})",
                "message": "no rule is for one of these images; rules are for: "
                + (", ".join(other.prefix for other in rules if other.verdict != "refuse") or "none"),
            }
        ],
    }
    return _policy("ValidatingPolicy", name, "Deny", spec)
