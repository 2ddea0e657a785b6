"""Verifiers, keys, Store and Policy of Ratify 1.

Rules:

1. A trust policy of its cosign verifier takes any of its keys. Requirements that must all be met are
   verifiers of their own, of which each has a trust policy for every rule; a Rego policy wants all of them.
2. Scopes end in `*`, and none may be in another one. Only `*` alone may stand beside others.
3. What no scope fits fails: there is no way to accept it here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import Rule, alternatives, beginnings, object_name, sentences
from notarypy.client.results import PolicyFiles
from notarypy.errors import Advice, UsageError
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.kubernetes.yamltext import Value

_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
_API = "config.ratify.deislabs.io/v1beta1"
_SCOPE = re.compile(r"[a-z0-9.:@/-]*\*?")
_ALL_OF_THEM = """package ratify.policy

default valid := false

signatures := [report | report := input.verifierReports[_]; report.artifactType == "%s"]

valid {
  count(signatures) > 0
  not failed
}

failed {
  signatures[_].verifierReports[_].isSuccess == false
}

failed {
  count(signatures[_].verifierReports) != %d
}
"""
_NOTES = sentences("""
For Ratify 1 with Gatekeeper, whose constraint says which namespaces and kinds are asked about; Ratify 2
is configured by Executors.

The name in a signature is not compared: what was signed under one name or tag passes under every name
that the same keys are required for.

Only classic signatures (the tag sha256-HEX.sig) are read. Of several in one tag (two tags of one digest,
two signers) Ratify 1.4 lets the last decide: where it is by a key that is not required, the image is
refused.

The Store and the Policy replace those that Ratify's chart made; a private registry takes the Store's
authProvider.
""")


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return one file with all resources."""
    verified = [rule for rule in rules if rule.verdict == "verify"]
    for rule in verified:
        inner = [
            other.prefix
            for other in rules
            if rule.contains(other) and (rule.prefix != roles.ANY or other.verdict == "refuse")
        ]
        if inner:
            message = f"Ratify cannot have {inner[0]} within {rule.prefix}"
            raise UsageError(message, why="its scopes must not overlap", advice=Advice("other-kind"))
    keys = list(dict.fromkeys(key for rule in verified for group in rule.enforced for key in group.keys))
    called = {key: f"notarypy-key{number}" for number, key in enumerate(keys, start=1)}
    wanted = [alternatives(rule.enforced) for rule in verified]
    verifiers = max(map(len, wanted), default=0)
    documents = []
    for key, name in called.items():
        inline: dict[str, Value] = {"contentType": "key", "value": key.pem}
        provider: dict[str, Value] = {"type": "inline", "parameters": inline}
        documents.append(_resource("KeyManagementProvider", name, provider))
    for number in range(verifiers):
        parts = [each[min(number, len(each) - 1)] for each in wanted]
        policies = [
            _trust_policy(place, rule, [called[key] for key in part])
            for place, (rule, part) in enumerate(zip(verified, parts, strict=True), start=1)
        ]
        spec: dict[str, Value] = {
            "name": "cosign", "artifactTypes": _ARTIFACT, "parameters": {"trustPolicies": policies},
        }  # fmt: skip
        documents.append(_resource("Verifier", f"notarypy-cosign-{number + 1}", spec))
    store: dict[str, Value] = {"name": "oras", "version": "1.0.0", "parameters": {"cosignEnabled": True}}
    documents += [
        _resource("Store", "store-oras", store),
        _resource("Policy", "ratify-policy", _policy(verifiers)),
    ]
    said = (*_NOTES, *_own_notes(rules), *notes)
    return PolicyFiles(
        "ratify", {"ratify.yaml": yamltext.comment(*said) + yamltext.documents(documents)}, said
    )


def _resource(kind: str, name: str, spec: dict[str, Value]) -> dict[str, Value]:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _trust_policy(number: int, rule: Rule, providers: Sequence[str]) -> dict[str, Value]:
    keys: list[Value] = [{"provider": name} for name in providers]
    return {
        "name": object_name(number, rule), "version": "1.0.0", "scopes": _scopes(rule),
        "keys": keys, "tLogVerify": False,
    }  # fmt: skip


def _scopes(rule: Rule) -> list[str]:
    if rule.prefix == roles.ANY:
        return ["*"]
    scopes = [f"{beginning}*" for beginning in beginnings(rule)]
    if not all(map(_SCOPE.fullmatch, scopes)):
        message = f"Ratify has no scope for {rule.prefix}"
        raise UsageError(message, why="it takes a-z, 0-9 and - : / . @", advice=Advice("other-kind"))
    return scopes


def _policy(verifiers: int) -> dict[str, Value]:
    if verifiers > 1:
        text = _ALL_OF_THEM % (_ARTIFACT, verifiers)
        return {"type": "rego-policy", "parameters": {"passthroughEnabled": False, "policy": text}}
    return {
        "type": "config-policy",
        "parameters": {"artifactVerificationPolicies": {_ARTIFACT: "all", "default": "all"}},
    }


def _own_notes(rules: Sequence[Rule]) -> list[str]:
    accepted = ", ".join(rule.prefix for rule in rules if rule.verdict == "accept")
    refused = (
        f"Images that are to pass unverified are refused here: leave them out of the constraint ({accepted})."
    )
    return [refused] if accepted else []
