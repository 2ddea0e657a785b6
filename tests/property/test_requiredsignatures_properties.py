"""What holds for every scope of a trust policy: nothing that is written down is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import ConfigurationError
from notarypy.storage.settings.configsection import Section
from notarypy.storage.settings.policyfile import KEYS
from notarypy.storage.settings.requiredsignatures import RequiredSignatures, read

OF_NOTARY = {"server", "first_use", "roots", "signers", "max_age", "lifetime"}
WORLDS = ["notary", "cosign"]
odd = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
names = st.lists(st.sampled_from([*WORLDS, "notation", ""]), max_size=3) | odd
files = st.lists(st.sampled_from(["a.pub", "b.pub", "~/c.pub", ""]), max_size=3) | odd
counts = st.integers(-1, 4) | odd
tables = st.fixed_dictionaries({}, optional={"all": files, "any": files, "threshold": counts}) | odd
scopes = st.fixed_dictionaries(
    {},
    optional={
        "require": st.permutations(WORLDS) | names,
        "require_any": st.permutations(WORLDS) | names,
        "cosign": tables,
        "mode": st.sampled_from(["enforce", "audit"]),
        **dict.fromkeys(sorted(OF_NOTARY), st.just({})),
    },
)


def read_scope(scope: dict[str, Any]) -> RequiredSignatures | None:
    """Return what is required, None for a scope that is refused."""
    try:
        return read(Section(scope, "scope.", Path("/etc/policy.toml"), Path("/home/me")), "the policy")
    except ConfigurationError:
        return None


@given(scopes)
def test_what_is_read_requires_no_less_than_what_is_written(scope: dict[str, Any]) -> None:
    found = read_scope(scope)
    if found is None:
        return
    required, any_of = scope.get("require") or [], scope.get("require_any") or []
    assert found.notary or found.cosign
    assert found.notary == ("notary" in [*required, *any_of] or not (required or any_of))
    assert (found.cosign is not None) == ("cosign" in [*required, *any_of]) == ("cosign" in scope)
    assert found.either == bool(any_of)
    if found.cosign is not None:
        assert len(found.cosign.every) == len(scope["cosign"].get("all") or [])
        assert len(found.cosign.some) == len(scope["cosign"].get("any") or [])
        assert 1 <= found.cosign.threshold <= max(len(found.cosign.some), 1)
    if not found.notary:
        assert not OF_NOTARY & scope.keys()
        assert scope.get("mode") != "audit"


@given(st.permutations(WORLDS), st.sampled_from(["require", "require_any"]))
def test_the_order_of_names_means_nothing(named: list[str], key: str) -> None:
    scope = {key: named, "cosign": {"all": ["a.pub"]}}
    assert read_scope(scope) == read_scope({**scope, key: named[::-1]})
    assert read_scope(json.loads(json.dumps(scope))) is not None


def test_every_key_of_a_scope_is_about_one_of_both_or_about_neither() -> None:
    both = {"mode", "signed_as", "require", "require_any", "cosign"}
    assert set(KEYS) == OF_NOTARY | both
