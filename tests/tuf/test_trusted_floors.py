"""TrustedMetadata, rules 8 and 9: nothing older than what was seen, nothing hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notarypy.errors import (
    RollbackError,
)
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from support.author import NOW, public_key
from support.repository import (
    DAY,
    changed,
    delegated,
    hidden,
    load,
    rewritten,
    tagged,
    versions,
)


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, "targets/a"])
def test_rule_8_no_version_is_below_the_one_seen_before(role: str) -> None:
    seen = versions(delegated("targets/a"), 5).repository()
    files = versions(delegated("targets/a"), 4).repository()
    with pytest.raises(RollbackError) as caught:
        load(files, seen={role: seen[role]})
    assert caught.value.facts == {"role": role, "offered": 4, "seen": 5}
    newer = versions(delegated("targets/a"), 6).repository()
    assert load(newer, seen={role: seen[role]}).files == newer
    assert load(seen, seen=seen).files == seen


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, "targets/a"])
def test_rule_8_the_same_version_means_the_same_content(role: str) -> None:
    seen = delegated("targets/a").repository()
    author = delegated("targets/a")
    author.now += timedelta(seconds=1)
    author.targets = {
        name: replace(file, expires=file.expires + DAY) for name, file in author.targets.items()
    }
    with pytest.raises(RollbackError, match=f"{role} changed without a new version"):
        load(author.repository(), seen={role: seen[role]})


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, "targets/a"])
@pytest.mark.parametrize("version", [1, 1000])
def test_rule_8_the_same_content_with_another_signature_is_no_rollback(role: str, version: int) -> None:
    author = versions(delegated("targets/a"), version)
    author.key("more")
    honest = author.repository()
    keys = [*author.signers(role), public_key("more")]
    seen = author.seal(Envelope.parse(honest[role], role).signed, keys)
    assert seen != honest[role]
    assert load(honest, seen={role: seen}).files[role] == honest[role]


@pytest.mark.parametrize("role", [roles.TARGETS, roles.SNAPSHOT, "targets/a"])
def test_rule_8_whatever_the_size_of_the_copy(role: str) -> None:
    big = versions(delegated("targets/a"), 5)
    for number in range(50):
        big.add(f"more-{number}", b"x" * number, role if role != roles.SNAPSHOT else roles.TARGETS)
    seen = {role: big.repository()[role]}
    files = versions(delegated("targets/a"), 4).repository()
    with pytest.raises(RollbackError):
        load(files, seen=seen)


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, "targets/a"])
def test_rule_8_whatever_the_date_of_the_copy(role: str) -> None:
    old = versions(delegated("targets/a"), 5)
    old.now = NOW - 4000 * DAY
    old.targets = {name: replace(file, expires=NOW - DAY) for name, file in old.targets.items()}
    with pytest.raises(RollbackError):
        load(versions(delegated("targets/a"), 4).repository(), seen={role: old.repository()[role]})


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
def test_rule_8_a_copy_that_only_replaced_keys_signed_is_forgotten(role: str) -> None:
    author = versions(tagged(), 2**31 - 1)
    huge = author.repository()
    author = versions(author, 1)
    author.next_root()
    author.assign(role, [author.key("replacement")])
    files = author.repository()
    assert load(files, seen={role: huge[role]}, anchor=huge[roles.ROOT]).files == files


def test_rule_8_a_delegations_copy_is_forgotten_when_its_keys_were_replaced() -> None:
    author = delegated("targets/a")
    author.targets["targets/a"] = replace(author.targets["targets/a"], version=2**31 - 1)
    huge = author.file("targets/a")
    author.targets["targets/a"] = replace(author.targets["targets/a"], version=1)
    with pytest.raises(RollbackError):
        load(author.repository(), seen={"targets/a": huge})
    author.bump()
    author.delegate("targets/a", [author.key("replacement")])
    assert load(author.repository(), seen={"targets/a": huge}).targets["targets/a"].version == 1


def test_rule_8_a_copy_by_a_key_that_has_another_role_now_is_forgotten() -> None:
    author = versions(tagged(), 2**31 - 1)
    huge = author.repository()
    (moved,) = author.root.signers(roles.TIMESTAMP)
    author = versions(author, 2)
    author.next_root()
    author.assign(roles.SNAPSHOT, [moved])
    author.assign(roles.TIMESTAMP, [author.key("replacement")])
    files = author.repository()
    seen = {roles.TIMESTAMP: huge[roles.TIMESTAMP]}
    assert load(files, seen=seen, anchor=huge[roles.ROOT]).timestamp.version == 2


def test_rule_8_one_remaining_key_keeps_the_floor() -> None:
    author = versions(tagged(), 5)
    both = [author.key("stays"), author.key("goes")]
    author.assign(roles.TARGETS, both)
    seen = author.file(roles.TARGETS)
    author = versions(author, 4)
    author.assign(roles.TARGETS, both[:1])
    with pytest.raises(RollbackError):
        load(author.repository(), seen={roles.TARGETS: seen})


@pytest.mark.parametrize("copy", [b"", b"junk", b"{}", b'{"signed":{"version":9},"signatures":[]}'])
@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS, "targets/a"])
def test_rule_8_a_damaged_copy_sets_no_floor(role: str, copy: bytes) -> None:
    files = delegated("targets/a").repository()
    assert load(files, seen={role: copy}).files == files


@pytest.mark.parametrize("version", [None, "9", [9]])
def test_rule_8_a_signed_copy_without_a_version_sets_no_floor(version: object) -> None:
    author = tagged()
    copy = rewritten(author, roles.TARGETS, lambda signed: changed(signed, "version", version))
    assert load(author.repository(), seen={roles.TARGETS: copy}).targets


def test_rule_8_a_copy_that_is_not_properly_signed_sets_no_floor() -> None:
    author = versions(tagged(), 9)
    author.key("stranger")
    forged = author.seal(author.targets[roles.TARGETS].to_signed(), [public_key("stranger")])
    files = versions(tagged(), 1).repository()
    assert load(files, seen={roles.TARGETS: forged}).files == files


def test_rule_9_a_listed_delegation_stays_listed_while_its_parent_is_the_same() -> None:
    author = delegated("targets/a", "targets/b")
    seen = author.repository()
    with pytest.raises(RollbackError, match=r"no longer lists targets/b") as caught:
        load(hidden(author, "targets/b"), seen=seen)
    assert caught.value.facts["role"] == "targets/b"


def test_rule_9_below_a_delegation_too() -> None:
    author = delegated("targets/a", "targets/a/b")
    seen = author.repository()
    with pytest.raises(RollbackError, match=r"no longer lists targets/a/b"):
        load(hidden(author, "targets/a/b"), seen=seen)


def test_rule_9_a_change_of_the_parent_hides_nothing() -> None:
    author = delegated("targets/a")
    seen = author.repository()
    author.bump()
    with pytest.raises(RollbackError, match=r"no longer lists targets/a"):
        load(hidden(author, "targets/a"), seen=seen)


def test_rule_9_what_was_never_seen_may_stay_unlisted() -> None:
    author = delegated("targets/a")
    seen = {role: data for role, data in hidden(author, "targets/a").items() if role != "targets/a"}
    again = hidden(author, "targets/a")
    assert load(again, seen=seen).targets.keys() == {"targets"}


def test_rule_9_a_copy_by_replaced_keys_says_nothing() -> None:
    author = delegated("targets/a")
    seen = author.repository()
    author.delegate("targets/a", [author.key("replacement")])
    author.bump()
    assert load(hidden(author, "targets/a"), seen=seen).targets.keys() == {"targets"}


@pytest.mark.parametrize("copy", [b"junk", b"{}"])
def test_rule_9_a_damaged_copy_says_nothing(copy: bytes) -> None:
    author = delegated("targets/a")
    seen = author.repository()
    files = hidden(author, "targets/a")
    assert load(files, seen={**seen, "targets/a": copy}).targets.keys() == {"targets"}
