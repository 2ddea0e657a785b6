"""Changes to files that cannot be trusted: refused, or started over on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notarypy.errors import ExpiredError, MetadataError, TrustError
from notarypy.tuf.changes import (
    AddDelegation,
    AddTarget,
    Change,
    Discard,
    RemoveDelegation,
    RemoveKeys,
    RemoveTarget,
    Resign,
    State,
)
from notarypy.tuf.fields import TargetFile
from support.author import NOW, Author, public_key
from support.repository import delegated, load

ONE = TargetFile.of(b"one")
BOB = public_key("bob")


def published(author: Author) -> State:
    return State.of(load(author.repository()))


def expired(role: str, version: object = 7) -> State:
    """Return a state in which one role's published file could not be trusted."""
    author = delegated("targets/a", "targets/a/b")
    author.targets[role] = replace(author.targets[role], expires=NOW)
    metadata = load(author.repository())
    metadata.failures[role].facts["version"] = version
    return State.of(metadata)


@pytest.mark.parametrize(
    "change",
    [
        AddTarget("targets/a", "v1", ONE),
        RemoveTarget("targets/a", "v1"),
        AddDelegation("targets/a/x", [BOB]),
        RemoveDelegation("targets/a/b"),
        RemoveKeys("targets/a/b", frozenset({"x"})),
        Resign("targets/a"),
    ],
    ids=repr,
)
def test_rule_4_a_distrusted_file_is_not_written_over(change: Change) -> None:
    with pytest.raises(ExpiredError):
        change.apply(expired("targets/a"))


def test_rule_4_the_file_above_can_still_be_written() -> None:
    state = expired("targets/a")
    assert RemoveKeys("targets/a", frozenset(state.delegation("targets/a").keyids)).apply(state).dirty  # type: ignore[union-attr]
    assert AddDelegation("targets/a", [BOB]).apply(state).dirty == {"targets"}


@pytest.mark.parametrize(
    ("version", "start"), [(7, 7), (0, 0), (-3, 0), (None, 0), ("9", 0), (2**31 - 1, 2**31 - 1)]
)
def test_rule_4_discard_starts_over_above_the_published_version(version: object, start: int) -> None:
    new = Discard("targets/a").apply(expired("targets/a", version))
    assert new.targets["targets/a"].version == start
    assert new.targets["targets/a"].targets == {}
    assert new.dirty == {"targets/a"}
    assert new.failures == {}
    assert AddTarget("targets/a", "v1", ONE).apply(new).targets["targets/a"].targets == {"v1": ONE}


def test_a_failure_keeps_its_own_error() -> None:
    state = expired("targets/a")
    with pytest.raises(TrustError) as caught:
        state.file("targets/a")
    assert caught.value is state.failures["targets/a"]
    state.file("targets")
    assert not isinstance(caught.value, MetadataError)
    assert caught.value.facts["role"] == "targets/a"
