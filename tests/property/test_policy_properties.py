"""Other programs decide about generated images as the rules say that their policies were written from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from notarypy.client.migrate.equivalent import KINDS
from notarypy.client.migrate.policies.rules import Group, NamedKey, Rule
from notarypy.errors import UsageError
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles
from support.policyreaders import READERS

if TYPE_CHECKING:
    from notarypy.kubernetes.yamltext import Value

PEM = "-----BEGIN PUBLIC KEY-----\n{}AAAA==\n-----END PUBLIC KEY-----\n"
KEYS = [NamedKey(name, PEM.format(name)) for name in ("release", "ci", "alice", "bob")]
PREFIXES = (
    "registry.test", "registry.test/team", "registry.test/team/sub", "registry.test:5000",
    "docker.io", "docker.io/library", "localhost:5000",
)  # fmt: skip
IMAGES = (
    "registry.test/x:1", "registry.test/team:1", "registry.test/team/x:1", "registry.test/teams:1",
    f"registry.test/team/sub/x@sha256:{'0' * 64}", "registry.test:5000/team/x:1", "localhost:5000/x:1",
    "docker.io/library/x:1", "docker.io/team/x:1", "evil.test/localhost:5000/x:1", "evil.test/x:1",
    "evil.test/registry.test/team/x:1",
)  # fmt: skip

groups = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).flatmap(
    lambda keys: st.integers(1, len(keys)).map(lambda count: Group(tuple(keys), count))
)
verified = st.lists(groups, min_size=1, max_size=2).map(tuple)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    prefixes = draw(st.lists(st.sampled_from(PREFIXES), max_size=4, unique=True))
    found = []
    for prefix in (*prefixes, roles.ANY):
        verdict = draw(st.sampled_from(("verify", "accept", "refuse")))
        if verdict == "verify":
            found.append(Rule(prefix, "verify", draw(verified)))
        else:
            found.append(Rule(prefix, "accept" if verdict == "accept" else "refuse"))
    return found


def allowed(given_rules: list[Rule], image: str, signed: frozenset[str]) -> bool:
    repository = image.partition("@")[0].rpartition(":")[0] if "@" not in image else image.partition("@")[0]
    prefix = roles.longest_prefix([rule.prefix for rule in given_rules], repository)
    (rule,) = [rule for rule in given_rules if rule.prefix == prefix]
    if rule.verdict != "verify":
        return rule.verdict == "accept"
    return all(sum(key.pem in signed for key in group.keys) >= group.threshold for group in rule.enforced)


signatures = st.frozensets(st.sampled_from([key.pem for key in KEYS]))


@pytest.mark.parametrize("kind", READERS)
@given(given_rules=rules(), image=st.sampled_from(IMAGES), signed=signatures)
def test_a_program_admits_what_the_rules_allow_and_nothing_else(
    kind: str, given_rules: list[Rule], image: str, signed: frozenset[str]
) -> None:
    try:
        made = KINDS[kind](given_rules, ())
    except UsageError:  # it cannot say that
        assert kind in {"connaisseur", "ratify", "policy-controller"}
        return
    admitted, wanted = READERS[kind](made, image, signed), allowed(given_rules, image, signed)
    if kind in {"containers", "kyverno"}:
        assert admitted == wanted
    # Connaisseur anchors no pattern: what is verified may be in another registry, too.
    elsewhere = kind == "connaisseur" and image.startswith("evil.test/") and signed
    assert wanted or not admitted or elsewhere


short = st.text(max_size=80)  # as keys, of which YAML takes 1024 characters at the most
values: st.SearchStrategy[Value] = st.recursive(
    st.text() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(short, values, min_size=1, max_size=3))
def test_yaml_is_read_back_as_it_was_meant(value: dict[str, Value]) -> None:
    assert yaml.safe_load(yamltext.document(value)) == value
    assert yaml.safe_load(yamltext.comment(json.dumps(value), *map(str, value))) is None
