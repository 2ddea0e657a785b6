"""Questions to verified metadata: who says what of a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notarypy.errors import ExpiredError, MetadataError, SignatureError, VerificationError
from notarypy.tuf import policy, roles
from notarypy.tuf.fields import TargetFile
from support.author import NOW, Author
from support.repository import assembled, changed, hidden, load, releases, rewritten, snapshot_of

RELEASES = roles.RELEASES


def docker(*signers: str) -> Author:
    """A repository as docker makes it: releases, and a role for each signer."""
    author = Author()
    keys = [author.key(f"signer {name}") for name in signers]
    author.delegate(RELEASES, keys)
    for name, key in zip(signers, keys, strict=True):
        author.delegate(f"targets/{name}", [key])
    return author


def digest(text: bytes) -> str:
    return TargetFile.of(text).sha256


def test_releases_wins_over_targets() -> None:
    author = docker("jeff")
    author.add("v1", b"from targets")
    author.add("v1", b"from releases", RELEASES)
    found = policy.released(load(author.repository()), "v1")
    assert found is not None
    assert (found[0], found[1].sha256) == (RELEASES, digest(b"from releases"))


@pytest.mark.parametrize("published", [True, False])
def test_targets_speaks_where_releases_does_not(published: bool) -> None:
    author = docker("jeff")
    author.add("v1", b"from targets")
    if published:
        author.add("other", b"x", RELEASES)
    metadata = load(author.repository())
    found = policy.released(metadata, "v1")
    assert found is not None
    assert found[0] == roles.TARGETS
    assert set(policy.released_names(metadata)) == ({"v1", "other"} if published else {"v1"})


@pytest.mark.parametrize("role", ["targets/jeff", "targets/releases/x"])
def test_no_other_role_releases(role: str) -> None:
    author = docker("jeff")
    author.add("other", b"x", RELEASES)
    if role not in author.targets:
        author.delegate(role, [author.key("x")])
    author.add("v1", b"one", role)
    metadata = load(author.repository())
    assert policy.released(metadata, "v1") is None
    assert set(policy.released_names(metadata)) == {"other"}
    assert [name for name, _ in policy.entries(metadata, "v1")] == [role]


def test_an_unknown_name_is_nobodys() -> None:
    metadata = load(docker("jeff").repository())
    assert policy.released(metadata, "v1") is None
    assert policy.entry(metadata, roles.TARGETS, "v1") is None
    assert policy.entry(metadata, "targets/nobody", "v1") is None
    assert list(policy.entries(metadata, "v1")) == []


def test_signers_list_the_same_length_and_sha256() -> None:
    author = docker("ann", "bob", "cid", "dan")
    author.add("v1", b"one", RELEASES)
    author.add("v1", b"one", "targets/ann")
    author.add("v1", b"two", "targets/bob")
    author.add("other", b"one", "targets/cid")
    content = author.add("v1", b"one", "targets/dan")
    longer = replace(content, length=4)
    author.targets["targets/dan"] = replace(author.targets["targets/dan"], targets={"v1": longer})
    author.add("v1", b"one")
    metadata = load(author.repository())
    found = policy.released(metadata, "v1")
    assert found is not None
    assert policy.signers(metadata, "v1", found[1]) == ("targets/ann",)


def test_signers_may_be_any_role_below() -> None:
    author = docker("ann")
    author.add("v1", b"one", RELEASES)
    for role in ("targets/ann/deep", "targets/releases/x"):
        author.targets.setdefault("targets/ann", replace(author.targets["targets"], roles=(), keys={}))
        author.delegate(role)
        author.add("v1", b"one", role)
    metadata = load(author.repository())
    assert set(policy.signers(metadata, "v1", TargetFile.of(b"one"))) == {
        "targets/ann/deep",
        "targets/releases/x",
    }


@pytest.mark.parametrize(
    ("outer", "inner", "name", "visible"),
    [
        (("",), ("",), "v1", True),
        (("",), ("v",), "v1", True),
        (("",), ("w",), "v1", False),
        (("",), (), "v1", False),
        ((), ("",), "v1", False),
        (("v",), ("v1",), "v1", True),
        (("v",), ("",), "v1", False),
        (("v",), ("v",), "w1", False),
        (("v1",), ("v",), "v1", False),
        (("a", "v"), ("b", "v1"), "v1", True),
        (("v",), ("v",), "", False),
    ],
)
def test_paths_narrow_at_each_level(
    outer: tuple[str, ...], inner: tuple[str, ...], name: str, visible: bool
) -> None:
    author = Author()
    author.delegate("targets/a", paths=outer)
    author.add("other", b"x", "targets/a")
    author.delegate("targets/a/b", paths=inner)
    author.add(name, b"one", "targets/a/b")
    metadata = load(author.repository())
    assert (policy.entry(metadata, "targets/a/b", name) is not None) is visible
    assert bool(list(policy.entries(metadata, name))) is visible


def test_the_top_role_speaks_for_all_names() -> None:
    metadata = load(docker("jeff").repository())
    assert metadata.paths[roles.TARGETS] == ("",)
    assert policy.entry(metadata, roles.TARGETS, "any") is None


def test_releases_outside_its_paths_leaves_the_name_to_targets() -> None:
    author = Author()
    author.delegate(RELEASES, paths=("rc-",))
    author.add("v1", b"from releases", RELEASES)
    author.add("v1", b"from targets")
    found = policy.released(load(author.repository()), "v1")
    assert found is not None
    assert found[0] == roles.TARGETS


@pytest.mark.parametrize("tags_in_targets", [True, False])
@pytest.mark.parametrize("signers", [1, 2, 3])
def test_releases_that_cannot_be_trusted_never_falls_back_to_targets(
    tags_in_targets: bool, signers: int
) -> None:
    author = docker("jeff")
    author.delegate(RELEASES, [author.key(f"signer {number}") for number in range(signers)])
    if tags_in_targets:
        author.add("v1", b"old")
    author.add("v1", b"new", RELEASES)
    author.targets[RELEASES] = replace(author.targets[RELEASES], expires=NOW)
    metadata = load(author.repository())
    with pytest.raises(ExpiredError):
        policy.released(metadata, "v1")
    with pytest.raises(ExpiredError):
        policy.released_names(metadata)


def test_releases_signed_by_strangers_is_an_error_too() -> None:
    author = docker("jeff")
    author.add("v1", b"new", RELEASES)
    author.key("stranger")
    forged = author.seal(author.targets[RELEASES].to_signed(), [author.key("stranger")])
    metadata = load(assembled(author, targets__releases=forged))
    with pytest.raises(SignatureError):
        policy.released(metadata, "v1")
    with pytest.raises(SignatureError):
        policy.released_names(metadata)


def test_releases_without_keys_lists_nothing_as_docker_leaves_it() -> None:
    author = docker("jeff")
    author.add("v1", b"old")
    author.add("v1", b"new", RELEASES)
    signed = author.file(RELEASES)

    def emptied(value: dict[str, object]) -> dict[str, object]:
        return changed(value, "delegations.roles.0.keyids", None)

    targets = rewritten(author, roles.TARGETS, emptied)
    metadata = load(assembled(author, targets=targets, targets__releases=signed))
    assert isinstance(metadata.failures[RELEASES], SignatureError)
    assert policy.released(metadata, "v1") == (roles.TARGETS, author.targets["targets"].targets["v1"])
    assert set(policy.released_names(metadata)) == {"v1"}


@pytest.mark.parametrize(("keys", "threshold", "raises"), [(1, 1, True), (1, 2, False), (2, 2, True)])
def test_fewer_keys_than_the_threshold_is_the_same_as_none(keys: int, threshold: int, raises: bool) -> None:
    author = Author()
    author.add("v1", b"old")
    author.delegate(RELEASES, [author.key(f"key {number}") for number in range(keys)], threshold=threshold)
    author.add("v1", b"new", RELEASES)
    forged = author.seal(author.targets[RELEASES].to_signed(), [author.key("stranger")])
    metadata = load(assembled(author, targets__releases=forged))
    if raises:
        with pytest.raises(SignatureError):
            policy.released(metadata, "v1")
    else:
        assert policy.released(metadata, "v1") is not None


def test_a_failed_signer_is_not_the_released_tags_concern() -> None:
    author = docker("jeff")
    author.add("v1", b"new", RELEASES)
    author.add("v1", b"new", "targets/jeff")
    author.targets["targets/jeff"] = replace(author.targets["targets/jeff"], expires=NOW)
    metadata = load(author.repository())
    found = policy.released(metadata, "v1")
    assert found is not None
    assert policy.signers(metadata, "v1", found[1]) == ()


def test_a_targets_entry_without_sha256_harms_only_who_asks_for_it() -> None:
    author = Author()
    author.add("v1", b"one")

    def with_odd(signed: dict[str, object]) -> dict[str, object]:
        sha512 = TargetFile.of(b"odd").to_json()["hashes"]["sha512"]
        return changed(signed, "targets.odd", {"length": 3, "hashes": {"sha512": sha512}})

    metadata = load(assembled(author, targets=rewritten(author, roles.TARGETS, with_odd)))
    found = releases(metadata)
    assert found["v1"][1].sha256 == digest(b"one")
    with pytest.raises(VerificationError, match="names no sha256"):
        _ = found["odd"][1].sha256
    assert policy.signers(metadata, "odd", found["odd"][1]) == ()


def test_an_unpublished_releases_lists_nothing() -> None:
    author = docker("jeff")
    author.add("v1", b"old")
    author.add("v1", b"new", RELEASES)
    found = policy.released(load(hidden(author, RELEASES)), "v1")
    assert found is not None
    assert found[0] == roles.TARGETS


def test_a_snapshot_without_targets_is_refused_not_empty() -> None:
    with pytest.raises(MetadataError):
        load(snapshot_of(Author(), lambda signed: changed(signed, "meta.targets", ...)))
