"""Values of Connaisseur's Helm chart, version 3.

Rules:

1. The pattern with the most components counts, alone, as the longest prefix does.
2. Connaisseur puts a `*` before each pattern that has none, so `r.test/team/*` fits `evil.test/r.test/team/x`
   and `evilr.test/team/x` too. Such an image must have been signed for that all the same. Nothing but all the
   rest is let pass unverified: no other pattern could keep such names out.
3. A validator has all keys of a rule; `required` names those that all must have signed, and `threshold`
   counts them and the others together. One group with alternatives is all that fits into that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import (
    NamedKey,
    Rule,
    beginnings,
    key_names,
    object_name,
    sentences,
)
from notarypy.client.results import PolicyFiles
from notarypy.errors import Advice, UsageError
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.kubernetes.yamltext import Value

_STATIC: list[dict[str, Value]] = [
    {"name": "allow", "type": "static", "approve": True},
    {"name": "deny", "type": "static", "approve": False},
]
_NOTES = sentences("""
For Connaisseur 3: helm upgrade connaisseur connaisseur/connaisseur -n connaisseur --wait -f FILE. Lists
of the chart are replaced as a whole: with caching, Connaisseur's own redis image needs a pattern that
allows it, such as the chart's values.yaml has.

The name in a signature is not compared: what was signed under one name or tag passes under every name
that the same keys are required for.

Only classic signatures (the tag sha256-HEX.sig) are promised to be read.

No pattern is anchored at its beginning: the signatures that suffice for registry.test/x suffice for
evilregistry.test/x and evil.test/registry.test/x.
""")


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return the values."""
    validators: list[Value] = list(_STATIC)
    policy: list[Value] = []
    written = [rule for rule in rules if rule.verdict != "accept" or rule.prefix == roles.ANY]
    for number, rule in enumerate(written, start=1):
        how: dict[str, Value] = {"validator": {"accept": "allow", "refuse": "deny"}.get(rule.verdict, "")}
        if rule.verdict == "verify":
            name = object_name(number, rule)
            called = key_names(key for group in rule.enforced for key in group.keys)
            roots: list[Value] = [{"name": called[key], "key": key.pem} for key in called]
            validators.append({"name": name, "type": "cosign", "trustRoots": roots})
            how = {"validator": name, "with": _required(rule, called)}
        policy += [{"pattern": pattern, **how} for pattern in _patterns(rule)]
    said = (*_NOTES, *_own_notes(rules), *notes)
    values = yamltext.document({"application": {"validators": validators, "policy": policy}})
    return PolicyFiles("connaisseur", {"connaisseur.yaml": yamltext.comment(*said) + values}, said)


def _required(rule: Rule, called: dict[NamedKey, str]) -> dict[str, Value]:
    every = [group.keys[0] for group in rule.enforced if len(group.keys) == 1]
    counted = [group for group in rule.enforced if len(group.keys) > 1]
    if len(counted) > 1:
        message = f"Connaisseur cannot count two groups of keys for {rule.prefix}"
        why = tuple(", ".join(key.name for key in group.keys) for group in counted)
        raise UsageError(message, why=why, advice=Advice("other-kind"))
    threshold = len(every)
    if counted:
        threshold += max(counted[0].threshold - len(set(counted[0].keys) & set(every)), 0)
    wanted: dict[str, Value] = {"trustRoot": "*", "threshold": threshold, "verifyInTransparencyLog": False}
    return wanted | ({"required": [called[key] for key in every]} if every else {})


def _patterns(rule: Rule) -> list[str]:
    if rule.prefix == roles.ANY:
        return ["*:*"]
    if "[" in rule.prefix:
        message = f"Connaisseur has no pattern for {rule.prefix}"
        raise UsageError(message, why="brackets are other patterns in it", advice=Advice("other-kind"))
    return [f"{beginning}*" for beginning in beginnings(rule)]


def _own_notes(rules: Sequence[Rule]) -> list[str]:
    accepted = [rule.prefix for rule in rules if rule.verdict == "accept"]
    skipped = ", ".join(prefix for prefix in accepted if prefix != roles.ANY)
    counts = f"Nothing but * is let pass unverified: what counts around {skipped} counts there, too."
    return [counts] if skipped else []
