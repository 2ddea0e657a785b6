"""ClusterImagePolicies of sigstore's policy-controller.

Rules:

1. All policies that fit an image must pass, and one authority of each: an alternative of a group is a policy.
2. So a wider rule counts beside a narrower one; what is refused around a narrower rule is refused there too.
3. Its names are those of its library: Docker Hub is `index.docker.io`, and every image has a tag or a digest.
   `**` fits everything.
4. What no policy fits is decided by its ConfigMap.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import (
    Rule,
    alternatives,
    beginnings,
    key_names,
    object_name,
    sentences,
)
from notarypy.client.results import PolicyFiles
from notarypy.errors import Advice, UsageError
from notarypy.images.reference import DOCKER_HUB
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.kubernetes.yamltext import Value

_GLOB = re.compile(r"[a-zA-Z0-9_:/*.@-]+")
_NOTES = sentences("""
Only namespaces with the label policy.sigstore.dev/include=true are looked at.

The name in a signature is not compared: what was signed under one name or tag passes under every name
that the same keys are required for.

Classic signatures (the tag sha256-HEX.sig) are read, and no bundles.

The ConfigMap says what becomes of images that no policy fits, in the whole cluster.
""")


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return one file with the policies, and the ConfigMap for the rest."""
    documents = [
        document for number, rule in enumerate(rules, start=1) for document in _policies(number, rule)
    ]
    rest = next(rule for rule in rules if rule.prefix == roles.ANY)
    otherwise = {"accept": "allow", "refuse": "deny", "verify": "deny"}[rest.verdict]
    documents.append({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config-policy-controller", "namespace": "cosign-system"},
        "data": {"no-match-policy": otherwise},
    })  # fmt: skip
    said = (*_NOTES, *_own_notes(rules), *notes)
    return PolicyFiles(
        "policy-controller",
        {"policy-controller.yaml": yamltext.comment(*said) + yamltext.documents(documents)},
        said,
    )


def _policies(number: int, rule: Rule) -> Iterator[dict[str, Value]]:
    name = object_name(number, rule)
    if rule.verdict == "accept" and rule.prefix != roles.ANY:
        yield _policy(name, rule, [{"static": {"action": "pass"}}])
    elif rule.verdict == "refuse" and rule.prefix != roles.ANY:
        yield _policy(
            name, rule, [{"static": {"action": "fail", "message": f"no rule is for {rule.prefix}"}}]
        )
    for groups, mode in ((rule.enforced, "enforce"), (rule.audited, "warn")):
        for part, keys in enumerate(alternatives(groups), start=1):
            authorities: list[Value] = [
                {"name": called, "key": {"data": key.pem, "hashAlgorithm": "sha256"}}
                for key, called in key_names(keys).items()
            ]
            yield _policy(f"{name}-{mode}-{part}", rule, authorities, mode)


def _policy(name: str, rule: Rule, authorities: Sequence[Value], mode: str = "enforce") -> dict[str, Value]:
    spec: dict[str, Value] = {
        "images": [{"glob": glob} for glob in _globs(rule)],
        "authorities": authorities,
        "mode": mode,
    }
    kind = "ClusterImagePolicy"
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _globs(rule: Rule) -> list[str]:
    if rule.prefix == roles.ANY:
        return ["**"]
    if rule.registry == DOCKER_HUB:
        rule = replace(rule, prefix=f"index.{rule.prefix}")
    globs = [f"{beginning}**" for beginning in beginnings(rule)]
    if not all(map(_GLOB.fullmatch, globs)):
        message = f"policy-controller has no pattern for {rule.prefix}"
        raise UsageError(message, why="it takes letters, digits and - _ : / . @", advice=Advice("other-kind"))
    return globs


def _own_notes(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in rules:
        inner = ", ".join(other.prefix for other in rules if rule.contains(other))
        if inner and rule.verdict != "accept" and rule.prefix != roles.ANY:
            yield f"What {rule.prefix} requires is required within it too, of: {inner}."
        if inner and rule.verdict == "verify" and rule.prefix == roles.ANY:
            yield f"What * requires is required of everything, also of: {inner}."
