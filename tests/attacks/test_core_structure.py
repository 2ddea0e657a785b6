"""Attacks with structure: types, names, paths, nulls, duplicates, numbers, depth and number.

The attacker here holds the very keys that sign the file, unless it says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import MetadataError, SignatureError, VerificationError
from notarypy.limits import DEFAULT
from notarypy.tuf import policy, roles
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.metadata import Delegation
from support.author import Author
from support.repository import (
    assembled,
    changed,
    delegated,
    load,
    rewritten,
    signed,
    snapshot_of,
    tagged,
    timestamp_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EVIL = TargetFile.of(b"evil").to_json()
SHA256_OF_TWO = {"sha256": hashlib.sha256(b"two").digest()}


def one_key_for_all() -> Author:
    """A repository whose four roles and one delegation share a key: only types keep the files apart."""
    author = Author()
    key = author.root_key("shared")
    for role in roles.BASE_ROLES:
        author.assign(role, [key])
    author.add("v1", b"one")
    author.delegate("targets/a", [key])
    author.add("v1", b"one", "targets/a")
    return author


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("other", ["root", "timestamp", "snapshot", "targets"])
def test_a_file_of_another_type_is_refused_even_with_the_right_key(role: str, other: str) -> None:
    author = one_key_for_all()
    files = author.repository()
    if role == "timestamp":
        attack = {**files, role: files[other]}
    elif role == "snapshot":
        attack = {**files, role: files[other], "timestamp": author.timestamp(files[other])}
    else:
        attack = assembled(author, **{role: files[other]})
    if role == other:
        assert load(attack).targets
    else:
        with pytest.raises(MetadataError, match=f"{role} is not of type"):
            load(attack)


@pytest.mark.parametrize("other", ["root", "snapshot", "timestamp"])
def test_a_delegations_file_is_of_the_type_targets(other: str) -> None:
    author = one_key_for_all()
    attack = assembled(author, targets__a=author.repository()[other])
    assert isinstance(load(attack).failures["targets/a"], MetadataError)


@pytest.mark.parametrize(
    "kind", ["targets", "TARGETS", "Targets ", "Root", "Snapshot", None, ["Targets"], True]
)
def test_types_are_exact(kind: object) -> None:
    author = tagged()
    data = rewritten(author, "targets", lambda value: changed(value, "_type", kind))
    with pytest.raises(MetadataError):
        load(assembled(author, targets=data))


def doubled(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"targets":{', b'"targets":{"evil":' + json.dumps(EVIL).encode() + b'},"targets":{'),
        (b'"version":1}', b'"version":9,"version":1}'),
        (b'{"signed":', b'{"signed":{"_type":"Targets"},"signed":'),
        (b'"signatures":[', b'"signatures":[],"signatures":['),
        (b'"targets":{"v1":{', b'"targets":{"v1":{"length":4,'),
        (b'"version":1}', b'"v\\u0065rsion":9,"version":1}'),
    ],
)
def test_duplicate_members_are_refused_although_the_signature_fits_the_last(old: bytes, new: bytes) -> None:
    author = tagged()
    data = doubled(author.file("targets"), old, new)
    with pytest.raises(MetadataError, match="not valid JSON") as caught:
        load(assembled(author, targets=data))
    assert caught.value.why == ("an object has the same member twice",)


@pytest.mark.parametrize(
    "edit",
    [
        lambda value: changed(value, "delegations.roles", [None]),
        lambda value: changed(value, "delegations.roles.0.name", None),
        lambda value: changed(value, "delegations.roles.0.paths", [None]),
        lambda value: changed(value, "delegations.roles.0.keyids", [None]),
        lambda value: changed(value, "delegations.keys", None),
        lambda value: changed(value, "expires", None),
        lambda value: changed(value, "version", None),
    ],
)
def test_nulls_are_refused_and_crash_nobody(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    author = delegated("targets/a")
    with pytest.raises(MetadataError):
        load(assembled(author, targets=rewritten(author, "targets", edit)))
    with pytest.raises(MetadataError):
        load(snapshot_of(author, lambda value: changed(value, "meta.targets", None)))
    with pytest.raises(MetadataError):
        load(timestamp_of(author, lambda value: changed(value, "meta", None)))


@pytest.mark.parametrize("version", [2**31, 2**53 - 1, 0, -1, -(2**31), True])
def test_versions_that_lock_readers_out_are_refused(version: int) -> None:
    author = tagged()
    with pytest.raises(MetadataError):
        load(
            assembled(author, targets=rewritten(author, "targets", lambda v: changed(v, "version", version)))
        )
    with pytest.raises(MetadataError):
        load(timestamp_of(author, lambda value: changed(value, "version", version)))
    with pytest.raises(MetadataError):
        load(snapshot_of(author, lambda value: changed(value, "version", version)))


@pytest.mark.parametrize("number", [b"9007199254740993", b"1e30", b"1.5", b"-9007199254740993", b"9" * 1000])
def test_numbers_that_share_a_signature_in_go_are_refused(number: bytes) -> None:
    author = tagged()
    data = doubled(author.file("targets"), b'"length":3', b'"length":' + number)
    with pytest.raises(MetadataError):
        load(assembled(author, targets=data))


@pytest.mark.parametrize("length", [-1, -(2**53) + 1, 2**53 + 2])
def test_an_impossible_length_lifts_no_limit(length: int) -> None:
    author = tagged()
    with pytest.raises(MetadataError, match="no usable length"):
        load(timestamp_of(author, lambda value: changed(value, "meta.snapshot.length", length)))
    with pytest.raises(MetadataError, match="no usable length"):
        load(snapshot_of(author, lambda value: changed(value, "meta.targets.length", length)))
    data = rewritten(author, "targets", lambda value: changed(value, "targets.v1.length", length))
    listed = policy.released(load(assembled(author, targets=data)), "v1")
    assert listed is not None
    with pytest.raises(VerificationError, match="nothing that can be checked"):
        _ = listed[1].sha256


@pytest.mark.parametrize("entry", [None, {}, {"length": 3, "hashes": {"sha256": None}}, {"length": None}])
def test_a_tag_whose_entry_is_spoilt_is_not_looked_for_in_another_role(entry: object) -> None:
    author = tagged()
    author.delegate(roles.RELEASES)
    author.add("v1", b"one", roles.RELEASES)
    author.add("v2", b"two", roles.RELEASES)
    data = rewritten(author, roles.RELEASES, lambda value: changed(value, "targets.v1", entry))
    result = load(assembled(author, targets__releases=data))
    found = policy.released(result, "v1")
    assert found is not None
    assert (found[0], found[1].digest) == (roles.RELEASES, None)
    assert policy.released(result, "v2") == (roles.RELEASES, TargetFile(3, dict(SHA256_OF_TWO)))


def delegating(author: Author, role: str, listed: list[dict[str, Any]]) -> bytes:
    return rewritten(author, role, lambda value: changed(value, "delegations.roles", listed))


@pytest.mark.parametrize(
    "name",
    [
        "targets", "targets/a", "targets/b", "targets/a/b/c", "targets/a/../b", "targets/a/",
        "targets/a/.",
        "root", "targets/a//b", "../../x", "/targets/a/b", "targets/a/B", "targets/a/\u0430", "targets/a/b ",
        "",
    ],
)  # fmt: skip
def test_a_delegate_cannot_delegate_upwards_sideways_or_in_circles(name: str) -> None:
    author = delegated("targets/a", "targets/b")
    listed = [{"name": name, "keyids": [], "threshold": 1, "paths": [""]}]
    result = load(assembled(author, targets__a=delegating(author, "targets/a", listed)))
    assert isinstance(result.failures["targets/a"], MetadataError)
    assert set(result.targets) == {"targets", "targets/b"}


def test_of_the_same_delegation_twice_the_first_counts() -> None:
    author = delegated("targets/a")
    entry = author.targets["targets"].roles[0].to_json()
    other = {**entry, "paths": ["x"], "keyids": []}
    once = load(author.repository())
    twice = load(assembled(author, targets=delegating(author, "targets", [entry, other])))
    assert twice.paths == once.paths
    assert load(assembled(author, targets=delegating(author, "targets", [other, entry]))).failures


def test_names_outside_of_a_delegates_paths_do_not_exist() -> None:
    author = tagged()
    author.delegate("targets/a", paths=("rc-", "dev/"))
    for name in ("latest", "", "rc", "RC-1", "xrc-1", "./rc-1", "dev", "rc-1", "dev/x"):
        author.add(name, b"evil", "targets/a")
    result = load(author.repository())
    seen = {name for name in result.targets["targets/a"].targets if policy.entry(result, "targets/a", name)}
    assert seen == {"rc-1", "dev/x"}


def test_a_child_has_no_path_that_its_parent_has_not() -> None:
    author = tagged()
    author.delegate("targets/a", paths=("rc-",))
    author.add("rc-1", b"one", "targets/a")
    author.delegate("targets/a/b", paths=("", "r", "rc-1", "latest"))
    for name in ("latest", "rc-1", "rc-2", "r"):
        author.add(name, b"evil", "targets/a/b")
    result = load(author.repository())
    assert result.paths["targets/a/b"] == ("rc-1",)
    seen = {
        name for name in result.targets["targets/a/b"].targets if policy.entry(result, "targets/a/b", name)
    }
    assert seen == {"rc-1"}


def test_releases_below_another_signer_is_not_the_releases() -> None:
    author = delegated("targets/a")
    author.delegate("targets/a/releases")
    author.add("latest", b"evil", "targets/a/releases")
    assert policy.released(load(author.repository()), "latest") is None


def test_an_empty_name_is_listed_by_nobody_with_other_paths() -> None:
    author = tagged()
    author.delegate(roles.RELEASES, paths=("v",))
    author.add("", b"evil", roles.RELEASES)
    assert policy.released(load(author.repository()), "") is None
    assert "" not in policy.released_names(load(author.repository()))


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "\u202e", "\x00", "../../x", "con"])
def test_hostile_target_names_are_data(name: str) -> None:
    author = tagged()
    value = changed(signed(author, "targets"), "targets", {name: EVIL})
    data = author.seal(value, author.signers("targets")) if name.isprintable() else readable(author, value)
    assert set(load(assembled(author, targets=data)).targets["targets"].targets) == {name}


def readable(author: Author, value: dict[str, Any]) -> bytes:
    """Sign a value whose storage form would be no JSON, and escape it as other programs do."""
    from notarypy.tuf import canonical
    from support.author import signature

    (key,) = author.signers("targets")
    entry = signature(f"{author.gun}/targets", key, canonical.encode(value)).to_json()
    return json.dumps({"signed": value, "signatures": [entry]}).encode()


def test_very_deep_delegations_end_at_the_limit_and_spoil_nothing_else() -> None:
    author = delegated("targets/z")
    key = author.key("every level")
    role = "targets"
    for _ in range(60):
        role += "/a"
        author.delegate(role, [key])
        author.add("x", b"x", role)
    result = load(author.repository())
    assert max(name.count("/") for name in result.targets) == DEFAULT.delegation_levels
    assert "targets/z" in result.targets
    assert len(result.failures) == 1


def flooded() -> tuple[Author, list[str]]:
    """A delegate who publishes as many roles below his own as one file may list."""
    author = delegated("targets/a", "targets/b")
    key = author.key("all")
    names = [f"targets/a/{number}" for number in range(DEFAULT.delegations_in_file)]
    above = author.targets["targets/a"]
    author.targets["targets/a"] = replace(
        above, roles=tuple(Delegation(name, (key.keyid,), 1, ("",)) for name in names), keys={key.keyid: key}
    )
    return author, names


def test_a_flood_of_delegations_below_one_role_does_not_drown_the_others() -> None:
    author, names = flooded()
    empty = author.seal(signed(Author(), "targets"), [author.key("all")])
    files = assembled(author, **{name.replace("/", "__"): empty for name in names})
    result = load(files)
    assert {"targets", "targets/a", "targets/b"} <= set(result.targets)
    assert len(result.targets) == DEFAULT.delegations + 1
    assert set(result.failures) == set(names[-2:])


def test_a_list_of_too_many_delegations_is_that_roles_failure() -> None:
    author, names = flooded()
    more = [{"name": f"{name}x", "keyids": [], "threshold": 1} for name in [*names, "targets/a/y"]]
    result = load(assembled(author, targets__a=delegating(author, "targets/a", more)))
    assert isinstance(result.failures["targets/a"], MetadataError)
    assert "targets/b" in result.targets


def test_a_file_deep_in_json_is_refused_before_it_is_read() -> None:
    author = tagged()
    deep = b'{"signed":' + b"[" * 200_000 + b"]" * 200_000 + b',"signatures":[{}]}'
    with pytest.raises(MetadataError, match="nested too deeply"):
        load(assembled(author, targets=deep))


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"\xff\xfe", b'{"signed":', b"\x1f\x8b\x08\x00", b"<html>"]
)
@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_junk_is_malformed(role: str, data: bytes) -> None:
    author = tagged()
    files = author.repository()
    if role == "snapshot":
        attack = {**files, role: data, "timestamp": author.timestamp(data)}
    elif role == "timestamp":
        attack = {**files, role: data}
    else:
        attack = assembled(author, **{role: data})
    with pytest.raises(MetadataError):
        load(attack)


def test_unsigned_members_beside_the_signed_part_mean_nothing() -> None:
    author = tagged()
    data = author.file("targets")
    attack = data[:-1] + b',"targets":{"evil":' + json.dumps(EVIL).encode() + b"}}"
    assert set(load(assembled(author, targets=attack)).targets["targets"].targets) == {"v1"}


def test_unknown_signed_members_are_covered_and_mean_nothing() -> None:
    author = tagged()
    data = rewritten(author, "targets", lambda value: {**value, "Targets": {"evil": EVIL}, "Version": 99})
    result = load(assembled(author, targets=data)).targets["targets"]
    assert (set(result.targets), result.version) == ({"v1"}, 1)
    with pytest.raises(SignatureError):
        load(assembled(author, targets=data.replace(b'"Version":99', b'"Version":98')))


def test_a_snapshot_that_lists_the_same_bytes_for_another_role_changes_no_type() -> None:
    author = delegated("targets/a")
    files = author.files()
    with pytest.raises(VerificationError):
        load(assembled(author, targets=files["targets/a"]))
