"""How other programs decide about an image, from a policy that `migrate policy` wrote.

What it is: their rules of names and of keys, as their sources have them, on the files as they are parsed; CEL
and Rego are evaluated by real evaluators. What it is not: the programs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

if TYPE_CHECKING:
    from notarypy.client.results import PolicyFiles

    Reader = Callable[[PolicyFiles, str, frozenset[str]], bool]

_T = cel.Type
_VARIABLES = {"ref": _T.STRING, **dict.fromkeys(("images", "attestors", "object", "variables"), _T.DYN)}


def documents(made: PolicyFiles) -> list[Any]:
    """Return the YAML documents of a single file."""
    (text,) = made.files.values()
    return _parsed(text)


@cache
def _parsed(text: str) -> list[Any]:
    """Return the documents of a text, which nobody changes: many decisions are asked for of one policy."""
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def kyverno(made: PolicyFiles, image: str, signed: frozenset[str]) -> bool:
    """Tell whether Kyverno admits a Pod with this image, which these keys (PEM) have signed."""
    pod = {"spec": {"containers": [{"image": image}]}}
    return all(_passes(each["spec"], pod, image, signed) for each in documents(made) if _denies(each))


def _denies(policy: dict[str, Any]) -> bool:
    return bool(policy["spec"]["validationActions"] == ["Deny"])


@cache
def _compiled(expression: str) -> Any:  # noqa: ANN401 - whatever CEL makes of it
    overload = cel.Overload("verify", _T.INT, [_T.STRING, _T.List(_T.DYN)], is_member=False, impl=_signed)
    environment = cel.NewEnv(
        variables=_VARIABLES,
        extensions=[ext_optional.ExtOptional()],
        functions=[cel.FunctionDecl("verifyImageSignatures", [overload])],
    )
    return environment.compile(expression)


def _signed(_image: str, attestors: Sequence[bool]) -> int:
    return sum(attestors)


def _passes(spec: dict[str, Any], pod: dict[str, Any], image: str, signed: frozenset[str]) -> bool:
    def evaluated(expression: str, data: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever CEL makes of it
        return _compiled(expression).eval(data=data).plain_value()

    matching = spec.get("matchImageReferences", [{"expression": "true"}])
    matches = any(evaluated(each["expression"], {"ref": image}) is True for each in matching)
    given: dict[str, Any] = {
        "object": pod,
        "attestors": {
            each["name"]: each["cosign"]["key"]["data"] in signed for each in spec.get("attestors", ())
        },
        "images": {
            "containers": [image] if matches else [],
            "initContainers": [],
            "ephemeralContainers": [],
        },
    }
    given["variables"] = {
        each["name"]: evaluated(each["expression"], given) for each in spec.get("variables", ())
    }
    return all(evaluated(each["expression"], given) is True for each in spec["validations"])


def policy_controller(made: PolicyFiles, image: str, signed: frozenset[str]) -> bool:
    """Tell whether policy-controller admits it: every policy that fits, one authority of each."""
    name = re.sub(r"^docker\.io/", "index.docker.io/", image)
    *policies, rest = documents(made)
    fitting = [
        one["spec"] for one in policies if any(_globbed(each["glob"], name) for each in one["spec"]["images"])
    ]
    if not fitting:
        return bool(rest["data"]["no-match-policy"] == "allow")
    return all(
        any(_authority(each, signed) for each in one["authorities"])
        for one in fitting
        if one["mode"] == "enforce"
    )


def _globbed(glob: str, name: str) -> bool:
    assert re.fullmatch(r"[a-zA-Z0-9-_:/*.@]+", glob)
    return re.fullmatch(re.escape(glob).replace(r"\*\*", ".*"), name) is not None


def _authority(authority: dict[str, Any], signed: frozenset[str]) -> bool:
    if "static" in authority:
        return bool(authority["static"]["action"] == "pass")
    return authority["key"]["data"] in signed


def connaisseur(made: PolicyFiles, image: str, signed: frozenset[str]) -> bool:
    """Tell whether Connaisseur admits it: by the most specific pattern, none of which is anchored."""
    application = documents(made)[0]["application"]
    validators = {each["name"]: each for each in application["validators"]}
    fitting = [each for each in application["policy"] if _unanchored(each["pattern"], image)]
    if not fitting:
        return False
    rule = max(fitting, key=lambda each: _specificity(each["pattern"], image))
    validator = validators[rule["validator"]]
    if validator["type"] == "static":
        return bool(validator["approve"])
    valid = {root["name"] for root in validator["trustRoots"] if root["key"] in signed}
    return len(valid) >= rule["with"]["threshold"] and valid >= set(rule["with"].get("required", ()))


def _unanchored(pattern: str, image: str) -> bool:
    pattern = pattern if pattern.startswith("*") else f"*{pattern}"
    pattern = pattern if pattern.endswith("*") else f"{pattern}*"
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), image) is not None


def _specificity(pattern: str, image: str) -> tuple[int, list[int], list[int]]:
    parts, names = pattern.split("/"), image.split("/")
    common = [_shared(part, name) for part, name in zip(parts, names, strict=False)]
    return len(parts), common, list(map(len, parts))


def _shared(text: str, other: str) -> int:
    pairs = zip(text, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def ratify(made: PolicyFiles, image: str, signed: frozenset[str]) -> bool:
    """Tell whether Ratify admits it: one verifier, or all of them where a Rego policy says so."""
    resources = documents(made)
    keys = {
        each["metadata"]["name"]: each["spec"]["parameters"]["value"]
        for each in resources
        if each["kind"] == "KeyManagementProvider"
    }
    verifiers = [
        each["spec"]["parameters"]["trustPolicies"] for each in resources if each["kind"] == "Verifier"
    ]
    if resources[-1]["spec"]["type"] == "config-policy":
        verifiers = verifiers[:1]
    return bool(signed and verifiers) and all(_trusted(each, keys, image, signed) for each in verifiers)


def _trusted(
    policies: list[dict[str, Any]], keys: dict[str, str], image: str, signed: frozenset[str]
) -> bool:
    for globally in (False, True):
        for policy in policies:
            for scope in policy["scopes"]:
                assert re.fullmatch(r"[a-z0-9.:@/-]*\*?", scope)
                if (scope == "*") == globally and image.startswith(scope.removesuffix("*")):
                    return any(keys[each["provider"]] in signed for each in policy["keys"])
    return False


def containers(made: PolicyFiles, image: str, signed: frozenset[str]) -> bool:
    """Tell whether podman takes it: by the longest scope."""
    scopes = json.loads(made.files["policy.json"])["transports"]["docker"]
    repository = re.sub(r"(:[^:/]*)?(@.*)?$", "", image)
    parents = [repository[: at.start()] for at in re.finditer("/", repository)]
    (scope, *_) = [one for one in (repository, *reversed(parents), "") if one in scopes]
    return all(_required(each, signed) for each in scopes[scope])


def _required(requirement: dict[str, Any], signed: frozenset[str]) -> bool:
    if requirement["type"] != "sigstoreSigned":
        return bool(requirement["type"] == "insecureAcceptAnything")
    keys = requirement.get("keyDatas", [requirement.get("keyData")])
    return any(base64.b64decode(key).decode() in signed for key in keys)


READERS: dict[str, Reader] = {
    "containers": containers,
    "kyverno": kyverno,
    "policy-controller": policy_controller,
    "connaisseur": connaisseur,
    "ratify": ratify,
}
