"""TrustedMetadata, rules 11 to 13: delegations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ExpiredError,
    MetadataError,
    RollbackError,
    SignatureError,
    VerificationError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from support.author import NOW, Author
from support.repository import (
    assembled,
    changed,
    delegated,
    hidden,
    load,
    rewritten,
    tagged,
    top,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_rule_11_a_delegation_is_loaded_after_the_file_that_names_it() -> None:
    author = delegated("targets/a", "targets/b", "targets/a/c", "targets/b/d", "targets/a/e")
    files = author.repository()
    metadata = top(files)
    metadata.update_targets(files[roles.TARGETS])
    order = []
    while (role := metadata.pending()) is not None:
        order.append(role)
        metadata.update_delegation(role, files[role])
    assert order == ["targets/a", "targets/b", "targets/a/c", "targets/a/e", "targets/b/d"]


@pytest.mark.parametrize("role", ["targets/a/b", "targets/x", "targets/a", "root", "targets", ""])
def test_rule_11_in_another_order_is_the_callers_mistake(role: str) -> None:
    author = delegated("targets/a", "targets/a/b")
    files = hidden(author, "targets/a")
    metadata = top(files)
    metadata.update_targets(files[roles.TARGETS])
    with pytest.raises(RuntimeError):
        metadata.update_delegation(role, files.get(role, b""))


def test_rule_11_below_a_failed_delegation_nothing_is_asked_for() -> None:
    author = delegated("targets/a", "targets/a/b")
    metadata = top(author.repository())
    metadata.update_targets(author.file(roles.TARGETS))
    error = VerificationError("not looked at")
    metadata.skip_delegation("targets/a", error)
    assert metadata.failures == {"targets/a": error}
    assert metadata.pending() is None
    with pytest.raises(RuntimeError, match="targets/a/b is not delegated to, or not published"):
        metadata.update_delegation("targets/a/b", author.file("targets/a/b"))


def test_rule_11_a_delegation_that_is_not_published_is_not_taken() -> None:
    author = delegated("targets/a")
    files = hidden(author, "targets/a")
    metadata = top(files)
    metadata.update_targets(files[roles.TARGETS])
    with pytest.raises(RuntimeError, match="targets/a is not delegated to, or not published"):
        metadata.update_delegation("targets/a", author.file("targets/a"))


def test_rule_11_a_delegation_that_was_taken_back_is_not_taken_although_it_is_published() -> None:
    author = delegated("targets/a", "targets/b")
    files = author.files()
    author.targets[roles.TARGETS] = replace(
        author.targets[roles.TARGETS], roles=author.targets[roles.TARGETS].roles[1:]
    )
    files = assembled(author, targets__a=files["targets/a"])
    metadata = load(files)
    assert set(metadata.targets) == {roles.TARGETS, "targets/b"}
    with pytest.raises(RuntimeError, match="targets/a is not delegated to"):
        metadata.update_delegation("targets/a", files["targets/a"])


@pytest.mark.parametrize(("signers", "accepted"), [("ab", True), ("a", False), ("ax", False), ("aa", False)])
def test_rule_11_by_the_keys_and_threshold_of_that_file(signers: str, accepted: bool) -> None:
    author = tagged()
    held = {name: author.key(f"key {name}") for name in "abx"}
    author.delegate("targets/a", [held["a"], held["b"]], threshold=2)
    author.add("x", b"x", "targets/a")
    data = author.seal(author.targets["targets/a"].to_signed(), [held[name] for name in signers])
    metadata = load(assembled(author, targets__a=data))
    assert ("targets/a" in metadata.targets) is accepted
    assert ("targets/a" in metadata.failures) is not accepted
    assert accepted or isinstance(metadata.failures["targets/a"], SignatureError)


def test_rule_11_keys_of_the_root_or_of_another_delegation_are_strangers() -> None:
    author = delegated("targets/a", "targets/b")
    signed = author.targets["targets/a"].to_signed()
    for keys in (author.signers(roles.TARGETS), author.signers("targets/b"), author.signers(roles.ROOT)):
        metadata = load(assembled(author, targets__a=author.seal(signed, keys)))
        assert set(metadata.failures) == {"targets/a"}
        assert set(metadata.targets) == {"targets", "targets/b"}


@pytest.mark.parametrize("change", [lambda data: data + b"\n", lambda data: data[:-1], lambda _: b""])
def test_rule_11_with_the_length_and_hashes_of_the_snapshot(change: Callable[[bytes], bytes]) -> None:
    files = delegated("targets/a").repository()
    with pytest.raises(VerificationError) as caught:
        load({**files, "targets/a": change(files["targets/a"])})
    assert caught.value.facts["role"] == "targets/a"


def test_rule_11_a_delegation_that_the_snapshot_does_not_list_is_empty() -> None:
    author = delegated("targets/a", "targets/a/b")
    metadata = load(hidden(author, "targets/a"))
    assert set(metadata.targets) == {"targets"}
    assert metadata.failures == {}
    assert metadata.pending() is None


def test_rule_11_a_role_in_the_snapshot_that_nobody_delegates_to_is_not_loaded() -> None:
    author = delegated("targets/a")
    stray = {**author.files(), "targets/stray": author.file("targets/a")}
    files = assembled(author, snapshot=author.snapshot(stray))
    assert "targets/stray" not in load(files).files


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (lambda signed: changed(signed, "_type", "Snapshot"), MetadataError),
        (lambda signed: changed(signed, "version", 0), MetadataError),
        (lambda signed: changed(signed, "expires", "2026-11-23T13:00:00Z"), ExpiredError),
        (lambda signed: changed(signed, "expires", "2016-01-01T00:00:00Z"), ExpiredError),
        (lambda signed: changed(signed, "expires", None), MetadataError),
        (lambda signed: changed(signed, "targets", []), MetadataError),
        (lambda signed: changed(signed, "delegations.roles", [None]), MetadataError),
    ],
)
def test_rule_12_what_is_wrong_inside_one_file_is_that_roles_failure(
    edit: Callable[[dict[str, object]], dict[str, object]], kind: type[Exception]
) -> None:
    author = delegated("targets/a", "targets/a/c", "targets/b")
    files = assembled(author, targets__a=rewritten(author, "targets/a", edit))
    metadata = load(files)
    assert isinstance(metadata.failures["targets/a"], kind)
    assert metadata.failures["targets/a"].facts["role"] == "targets/a"
    assert set(metadata.targets) == {"targets", "targets/b"}
    assert "targets/a" not in metadata.files


@pytest.mark.parametrize("data", [b"junk", b"{}", b'{"signed":{},"signatures":[]}', b"[]"])
def test_rule_12_also_when_it_is_no_signed_file_at_all(data: bytes) -> None:
    author = delegated("targets/a", "targets/b")
    metadata = load(assembled(author, targets__a=data))
    assert isinstance(metadata.failures["targets/a"], MetadataError)
    assert metadata.failures["targets/a"].facts["version"] is None
    assert "targets/b" in metadata.targets


def test_rule_12_the_failure_remembers_the_version_so_that_a_publisher_can_start_over() -> None:
    author = delegated("targets/a")
    author.targets["targets/a"] = replace(author.targets["targets/a"], version=7, expires=NOW)
    assert load(author.repository()).failures["targets/a"].facts["version"] == 7


def test_rule_12_its_version_is_the_repositorys_failure() -> None:
    author = versions(delegated("targets/a"), 5)
    seen = author.repository()
    author.targets["targets/a"] = replace(author.targets["targets/a"], version=4)
    author.snapshot_version = author.timestamp_version = 6
    with pytest.raises(RollbackError):
        load(author.repository(), seen=seen)


def chain(levels: int) -> Author:
    author = tagged()
    role = roles.TARGETS
    for _ in range(levels):
        role += "/a"
        author.delegate(role, [author.key("every level")])
        author.add("x", b"x", role)
    return author


def test_rule_13_delegations_are_followed_16_levels_deep() -> None:
    assert (DEFAULT.delegation_levels, DEFAULT.delegations) == (16, 4096)
    metadata = load(chain(DEFAULT.delegation_levels + 3).repository())
    deepest = roles.TARGETS + "/a" * DEFAULT.delegation_levels
    assert len(metadata.targets) == DEFAULT.delegation_levels + 1
    assert deepest in metadata.targets
    assert set(metadata.failures) == {deepest + "/a"}


def test_rule_13_at_most_so_many_are_loaded_and_the_others_count_as_failed() -> None:
    author = tagged()
    for name in "abcdefg":
        author.delegate(f"targets/{name}", [author.key("all")])
        author.add("x", b"x", f"targets/{name}")
    metadata = load(author.repository(), limits=Limits(delegations=5))
    assert set(metadata.targets) == {"targets", *(f"targets/{name}" for name in "abcde")}
    assert set(metadata.failures) == {"targets/f", "targets/g"}
    assert metadata.failures["targets/f"].facts["role"] == "targets/f"
    assert metadata.pending() is None
