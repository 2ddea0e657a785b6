"""Attacks on freshness: an attacker who answers in the server's place, with and without its keys.

The attacker holds the snapshot and timestamp keys where it says "server", as a
compromised Notary server does; nobody else's. Every attack ends in a refusal, and
the honest repository is still accepted afterwards with the same memory.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notarypy.errors import (
    ExpiredError,
    RollbackError,
    RootChangedError,
    SignatureError,
    VerificationError,
)
from notarypy.tuf import policy, roles
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW, Author
from support.repository import DAY, LATER, assembled, delegated, load, top


def step(author: Author, *changed: str) -> dict[str, bytes]:
    """Publish again, with new versions of some files."""
    for role in changed:
        author.bump(role)
    author.snapshot_version += 1
    author.timestamp_version += 1
    return author.repository()


def served(author: Author, **old: bytes) -> dict[str, bytes]:
    """What a server with its keys makes of old files: snapshot and timestamp are new and valid."""
    author.snapshot_version += 1
    author.timestamp_version += 1
    return assembled(author, **old)


def refused(
    attack: dict[str, bytes], honest: dict[str, bytes], seen: dict[str, bytes], error: type[Exception]
) -> None:
    before = dict(seen)
    with pytest.raises(error):
        load(attack, seen=seen, anchor=seen.get(roles.ROOT))
    assert seen == before
    assert load(honest, seen=seen, anchor=seen.get(roles.ROOT)).files.keys() == honest.keys()


def test_a_replayed_repository_is_refused() -> None:
    author = delegated("targets/a")
    old = author.repository()
    author.add("v2", b"two")
    new = step(author, "targets")
    refused(old, new, new, RollbackError)


def test_replaying_only_the_timestamp_is_refused() -> None:
    author = delegated()
    old = author.repository()
    new = step(author)
    refused({**new, "timestamp": old["timestamp"], "snapshot": old["snapshot"]}, new, new, RollbackError)


@pytest.mark.parametrize("role", ["targets", "targets/a", "targets/a/b"])
def test_a_server_cannot_go_back_to_an_older_and_smaller_file(role: str) -> None:
    author = delegated("targets/a", "targets/a/b")
    old = author.repository()[role]
    for number in range(20):
        author.add(f"{role}-{number}", b"more", role)
    new = step(author, role)
    assert len(new[role]) > len(old)
    refused(served(author, **{role.replace("/", "__"): old}), new, new, RollbackError)


@pytest.mark.parametrize("role", ["targets", "targets/a"])
def test_nor_to_an_older_and_bigger_one(role: str) -> None:
    author = delegated("targets/a")
    for number in range(20):
        author.add(f"{role}-{number}", b"more", role)
    old = author.repository()[role]
    author.targets[role] = replace(author.targets[role], targets={})
    new = step(author, role)
    assert len(new[role]) < len(old)
    refused(served(author, **{role.replace("/", "__"): old}), new, new, RollbackError)


def test_a_delegation_cannot_go_back_while_targets_is_unchanged() -> None:
    author = delegated("targets/a")
    old = author.file("targets/a")
    author.add("v9", b"nine", "targets/a")
    new = step(author, "targets/a")
    attack = served(author, targets__a=old)
    assert attack["targets"] == new["targets"]
    refused(attack, new, new, RollbackError)


def test_a_delegation_cannot_be_withheld_while_targets_is_unchanged() -> None:
    author = delegated("targets/a")
    new = step(author)
    author.snapshot_version += 1
    author.timestamp_version += 1
    without = {role: data for role, data in author.files().items() if role != "targets/a"}
    attack = assembled(author, snapshot=author.snapshot(without))
    refused(attack, new, new, RollbackError)


def test_with_the_timestamp_key_alone_an_older_snapshot_is_refused() -> None:
    author = delegated()
    for number in range(20):
        author.delegate(f"targets/d{number}")
        author.add("x", b"x", f"targets/d{number}")
    old = delegated().repository()
    new = step(author, "targets")
    author.timestamp_version += 1
    attack = {**new, **old, "timestamp": author.timestamp(old["snapshot"]), "root": new["root"]}
    assert len(old["snapshot"]) < len(new["snapshot"])
    refused(attack, new, new, RollbackError)


def test_two_answers_for_one_version_are_refused() -> None:
    author = delegated("targets/a")
    new = step(author)
    author.add("evil", b"evil", "targets/a")
    author.snapshot_version += 1
    author.timestamp_version += 1
    refused(author.repository(), new, new, RollbackError)


def test_freezing_works_only_until_the_timestamp_ends() -> None:
    frozen = delegated().repository()
    assert load(frozen, seen=frozen, now=NOW + 14 * DAY - timedelta(seconds=1)).targets
    with pytest.raises(ExpiredError) as caught:
        load(frozen, seen=frozen, now=NOW + 14 * DAY)
    assert caught.value.facts["role"] == "timestamp"


@pytest.mark.parametrize("role", ["snapshot", "targets", "root"])
def test_a_fresh_timestamp_does_not_revive_expired_files(role: str) -> None:
    author = delegated()
    if role == "root":
        author.root = replace(author.root, expires=NOW + DAY)
    old = author.repository()
    author.now = NOW + 4000 * DAY
    author.timestamp_version += 1
    attack = {**old, "timestamp": author.timestamp(old["snapshot"])}
    moment = NOW + 2 * DAY if role == "root" else NOW + (3 * 365 + 1) * DAY
    if role == "targets":
        attack = served(author, targets=old["targets"], root=old["root"])
    with pytest.raises(ExpiredError) as caught:
        load(attack, now=moment)
    assert caught.value.facts["role"] == role


def test_an_expired_root_is_not_used_for_ever_because_other_files_name_it() -> None:
    author = Author(now=NOW - 4000 * DAY)
    author.add("v1", b"one")
    root = author.file("root")
    author.now = NOW
    author.targets["targets"] = replace(author.targets["targets"], expires=NOW + DAY)
    with pytest.raises(ExpiredError) as caught:
        load(assembled(author, root=root))
    assert caught.value.facts["role"] == "root"


@pytest.mark.parametrize("role", ["snapshot", "targets", "targets/a"])
def test_files_of_different_moments_do_not_mix(role: str) -> None:
    author = delegated("targets/a")
    old = author.repository()
    author.add("v2", b"two")
    author.add("v2", b"two", "targets/a")
    new = step(author, "targets", "targets/a")
    for one, other in ((old, new), (new, old)):
        with pytest.raises(VerificationError) as caught:
            load({**one, role: other[role]})
        assert caught.value.facts["role"] == role


def test_files_of_different_repositories_do_not_mix() -> None:
    author = delegated()
    shared = Author("registry.test/other")
    shared.root = replace(
        shared.root,
        keys={**author.root.keys, **shared.root.keys},
        roles={**author.root.roles, "root": shared.root.roles["root"]},
    )
    with pytest.raises(VerificationError, match="no usable certificate"):
        top({**author.repository(), "root": shared.file("root")})


def test_fast_forwarded_versions_do_not_outlive_the_stolen_keys() -> None:
    author = delegated("targets/a")
    honest = step(author)
    author.snapshot_version = author.timestamp_version = 2**31 - 1
    stolen = author.repository()
    assert load(stolen, seen=honest).timestamp.version == 2**31 - 1
    author.snapshot_version = author.timestamp_version = 3
    stuck = author.repository()
    with pytest.raises(RollbackError):
        load(stuck, seen=stolen, anchor=stolen["root"])
    author.next_root()
    author.assign(roles.TIMESTAMP, [author.key("new timestamp")])
    author.assign(roles.SNAPSHOT, [author.key("new snapshot")])
    recovered = author.repository()
    assert load(recovered, seen=stolen, anchor=stolen["root"]).timestamp.version == 3


def test_after_the_recovery_the_stolen_keys_are_worthless() -> None:
    author = delegated()
    thief = author.repository()
    author.next_root()
    author.assign(roles.TIMESTAMP, [author.key("new timestamp")])
    recovered = author.repository()
    with pytest.raises(SignatureError):
        load({**thief, "root": recovered["root"]}, seen=recovered)


def test_a_replaced_targets_key_does_not_open_the_way_back() -> None:
    author = delegated()
    author.next_root()
    author.assign(roles.TARGETS, [author.key("new targets")])
    old = author.repository()
    author.add("v2", b"two")
    new = step(author, "targets")
    refused(served(author, targets=old["targets"]), new, new, RollbackError)


def test_a_reinitialised_repository_is_not_taken_for_the_old_one() -> None:
    mine = delegated().repository()
    other = Author()
    other.assign(roles.ROOT, [other.root_key("somebody else")])
    other.add("v1", b"evil")
    with pytest.raises(RootChangedError) as caught:
        load(other.repository(), seen=mine, anchor=mine["root"])
    assert "reset" in " ".join(caught.value.why)


@pytest.mark.parametrize("version", [2, 3, 1000, 2**31 - 1])
def test_nor_with_a_higher_root_version(version: int) -> None:
    mine = delegated().repository()
    other = Author()
    other.assign(roles.ROOT, [other.root_key("somebody else")])
    other.root = replace(other.root, version=version)
    with pytest.raises(RootChangedError):
        load(other.repository(), anchor=mine["root"])


def test_an_older_root_does_not_bring_revoked_keys_back() -> None:
    author = delegated()
    old = author.repository()
    author.next_root()
    author.assign(roles.TARGETS, [author.key("new targets")])
    new = author.repository()
    with pytest.raises(RollbackError):
        load(old, anchor=new["root"])
    attack = assembled(author, root=old["root"], targets=old["targets"])
    metadata = TrustedMetadata(GUN, LATER)
    metadata.first_root(new["root"])
    metadata.update_timestamp(attack["timestamp"])
    metadata.update_snapshot(attack["snapshot"])
    assert metadata.outdated_root() == MetaFile.of(old["root"])
    with pytest.raises(RuntimeError):
        metadata.update_targets(attack["targets"])
    with pytest.raises(RollbackError):
        metadata.update_root(old["root"])


def test_a_withheld_newer_root_is_noticed_through_the_snapshot() -> None:
    author = delegated()
    old_root = author.file("root")
    author.next_root()
    files = author.repository()
    metadata = top({**files, "root": old_root})
    assert metadata.outdated_root() == MetaFile.of(files["root"])


def test_the_cached_copies_are_no_source_of_trust() -> None:
    evil = Author()
    evil.assign(roles.TARGETS, [evil.key("evil")])
    evil.add("v1", b"evil")
    honest = delegated().repository()
    metadata = load(honest, seen={"targets": evil.file("targets"), "targets/a": evil.file("targets")})
    found = policy.released(metadata, "v1")
    assert found is not None
    assert found[1].sha256 == MetaFile.of(b"one").sha256
