"""The four kinds of metadata: what is read, what is refused, what is written."""

from __future__ import annotations

from typing import Any

import pytest

from notarypy.errors import MetadataError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical
from notarypy.tuf.fields import MetaFile, TargetFile
from notarypy.tuf.metadata import Delegation, Root, Snapshot, Targets, Timestamp
from support.author import Author, public_key
from support.repository import changed, signed

AUTHOR = Author()
AUTHOR.add("v1", b"one")
AUTHOR.delegate("targets/jeff", [public_key("jeff")], ("", "x"))
ROOT = signed(AUTHOR, "root")
TARGETS = signed(AUTHOR, "targets")
META = MetaFile.of(b"data").to_json()
SNAPSHOT: dict[str, Any] = {
    "_type": "Snapshot",
    "expires": "2036-11-20T06:28:53Z",
    "meta": {"root": META, "targets": META, "targets/jeff": META},
    "version": 3,
}
TIMESTAMP: dict[str, Any] = {**SNAPSHOT, "_type": "Timestamp", "meta": {"snapshot": META}}


@pytest.mark.parametrize("custom", [None, {"a": 1}])
def test_values_come_back_as_they_were_written(custom: object) -> None:
    targets = Targets.from_signed(TARGETS)
    assert targets.to_signed() == TARGETS
    assert Root.from_signed(ROOT).to_signed() == ROOT
    assert Snapshot.from_signed(SNAPSHOT).to_signed() == SNAPSHOT
    assert Timestamp.from_signed(TIMESTAMP).to_signed() == TIMESTAMP
    with_custom = changed(TARGETS, "targets", {"x": {**META, "custom": custom} if custom else META})
    assert Targets.from_signed(with_custom).to_signed() == with_custom


@pytest.mark.parametrize(
    "value",
    [
        changed(ROOT, "_type", "Targets"),
        changed(ROOT, "version", 0),
        changed(ROOT, "expires", "never"),
        changed(ROOT, "keys", []),
        changed(ROOT, "roles", None),
        changed(ROOT, "roles", []),
        changed(ROOT, "roles.snapshot", ...),
        changed(ROOT, "roles.timestamp", None),
        changed(ROOT, "roles.targets.threshold", 0),
        changed(ROOT, "roles.root.keyids", ["f" * 64]),
        changed(ROOT, "keys", None),
        changed(ROOT, "keys", {"f" * 64: public_key("x").to_json()}),
    ],
)
def test_roots_with_a_wrong_structure_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(MetadataError):
        Root.from_signed(value)


def test_a_role_of_the_root_without_keys_is_read_and_can_never_be_met() -> None:
    assert Root.from_signed(changed(ROOT, "roles.targets.keyids", None)).roles["targets"].keyids == ()


def test_unknown_members_extra_roles_and_extra_keys_of_a_root_are_read_past() -> None:
    extra = public_key("former")
    value = changed(changed(ROOT, "roles.mirrors", None), "spec_version", "1.0")
    value["keys"][extra.keyid] = extra.to_json()
    root = Root.from_signed(value)
    assert set(root.roles) == {"root", "targets", "snapshot", "timestamp"}
    assert root.keys[extra.keyid] == extra


@pytest.mark.parametrize("consistent", [None, 1, "x", ...])
def test_consistent_snapshot_does_not_matter(consistent: object) -> None:
    assert Root.from_signed(changed(ROOT, "consistent_snapshot", consistent)).to_signed() == ROOT


def test_what_a_root_says_of_other_roles_is_written_back() -> None:
    value = changed(ROOT, "roles.mirrors", {"keyids": ["a"], "threshold": 1})
    value["consistent_snapshot"] = True
    assert Root.from_signed(value).to_signed() == value


@pytest.mark.parametrize(
    "value",
    [
        changed(TARGETS, "_type", "targets"),
        changed(TARGETS, "_type", "Snapshot"),
        changed(TARGETS, "targets", []),
        changed(TARGETS, "delegations", []),
        changed(TARGETS, "delegations.roles", {}),
        changed(TARGETS, "delegations.roles", [None]),
        changed(TARGETS, "delegations.roles", ["targets/jeff"]),
        changed(TARGETS, "delegations.roles.0.name", None),
        changed(TARGETS, "delegations.roles.0.name", "jeff"),
        changed(TARGETS, "delegations.roles.0.name", "targets"),
        changed(TARGETS, "delegations.roles.0.name", "targets/"),
        changed(TARGETS, "delegations.roles.0.name", "targets/jeff/deep"),
        changed(TARGETS, "delegations.roles.0.name", "targets/*"),
        changed(TARGETS, "delegations.roles.0.name", "targets/../root"),
        changed(TARGETS, "delegations.roles.0.name", "targets/Jeff"),
        changed(TARGETS, "delegations.roles.0.name", "targets/je.ff"),
        changed(TARGETS, "delegations.roles.0.name", "root"),
        changed(TARGETS, "delegations.roles.0.name", "targets/" + "a" * 248),
        changed(TARGETS, "delegations.roles.0.paths", "x"),
        changed(TARGETS, "delegations.roles.0.paths", [1]),
        changed(TARGETS, "delegations.roles.0.paths", [None]),
        changed(TARGETS, "delegations.roles.0.threshold", 0),
        changed(TARGETS, "delegations.roles.0.keyids", ["f" * 64]),
        changed(TARGETS, "delegations.keys", None),
    ],
)
def test_targets_with_a_wrong_structure_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(MetadataError):
        Targets.from_signed(value)


@pytest.mark.parametrize(
    "value",
    [
        changed(TARGETS, "delegations", None),
        changed(TARGETS, "delegations", ...),
        changed(TARGETS, "delegations", {}),
        changed(TARGETS, "delegations", {"keys": None, "roles": None}),
        changed(TARGETS, "targets", None),
        changed(TARGETS, "targets", ...),
    ],
)
def test_null_and_absent_read_as_empty(value: dict[str, Any]) -> None:
    targets = Targets.from_signed(value)
    assert not targets.roles or not targets.targets


@pytest.mark.parametrize(("keyids", "paths"), [(None, None), (..., ...), ([], [])])
def test_a_delegation_without_keys_and_paths_is_kept(keyids: object, paths: object) -> None:
    value = changed(
        changed(TARGETS, "delegations.roles.0.keyids", keyids), "delegations.roles.0.paths", paths
    )
    targets = Targets.from_signed(value)
    assert targets.roles == (Delegation("targets/jeff", (), 1, ()),)
    assert targets.to_signed()["delegations"]["roles"] == [
        {"keyids": None, "name": "targets/jeff", "threshold": 1}
    ]


def test_delegations_in_a_delegations_file_are_its_direct_children() -> None:
    value = changed(TARGETS, "delegations.roles.0.name", "targets/jeff/deep")
    assert Targets.from_signed(value, "targets/jeff").roles[0].name == "targets/jeff/deep"
    with pytest.raises(MetadataError):
        Targets.from_signed(value, "targets/je")
    with pytest.raises(MetadataError):
        Targets.from_signed(TARGETS, "targets/jeff")


@pytest.mark.parametrize("count", [DEFAULT.delegations_in_file, DEFAULT.delegations_in_file + 1])
def test_delegations_of_one_file_are_bounded(count: int) -> None:
    listed = [{"name": f"targets/d{number}", "keyids": [], "threshold": 1} for number in range(count)]
    value = changed(TARGETS, "delegations.roles", listed)
    if count <= DEFAULT.delegations_in_file:
        assert len(Targets.from_signed(value).roles) == count
    else:
        with pytest.raises(MetadataError, match="beyond a limit"):
            Targets.from_signed(value)


@pytest.mark.parametrize(
    "entry", [None, [], {}, {"length": -1}, {"length": 3, "hashes": {"sha256": "QQ=="}}, {"hashes": 7}]
)
def test_a_target_that_cannot_be_used_spoils_no_other_and_is_written_back(entry: object) -> None:
    value = changed(TARGETS, "targets.odd", entry)
    read = Targets.from_signed(value)
    assert read.to_signed() == value
    assert read.targets["v1"].digest is not None
    odd = read.targets["odd"]
    assert (odd.digest, odd.same_content(odd), odd.matches(b"")) == (None, False, False)
    with pytest.raises(VerificationError, match="nothing that can be checked"):
        _ = odd.sha256


@pytest.mark.parametrize("entry", [None, {}, {"length": 3, "hashes": {}}])
def test_a_delegation_that_the_snapshot_lists_badly_is_written_back_too(entry: object) -> None:
    value = changed(SNAPSHOT, "meta.targets/jeff", entry)
    read = Snapshot.from_signed(value)
    assert read.to_signed() == value
    assert read.unusable("targets/jeff")
    assert not read.unusable("targets")


def test_of_two_delegations_with_one_name_the_first_counts() -> None:
    (listed,) = TARGETS["delegations"]["roles"]
    value = changed(TARGETS, "delegations.roles", [listed, {**listed, "paths": ["second"], "keyids": None}])
    assert Targets.from_signed(value).roles == Targets.from_signed(TARGETS).roles


@pytest.mark.parametrize("what", ["keys", "paths"])
def test_a_delegation_with_too_many_keys_or_paths_says_how_many(what: str) -> None:
    limits = Limits(keys_of_role=2, delegation_paths=2)
    (listed,) = TARGETS["delegations"]["roles"]
    changes = {"keys": {"keyids": listed["keyids"] * 3}, "paths": {"paths": ["a", "b", "c"]}}
    value = changed(TARGETS, "delegations.roles", [{**listed, **changes[what]}])
    (read,) = Targets.from_signed(value, limits=limits).roles
    assert read.excess == f"targets/jeff has 3 {what}; the limit is 2"
    assert not Targets.from_signed(value).roles[0].excess
    assert Targets.from_signed(value, limits=limits).to_signed() == value


@pytest.mark.parametrize(
    "value",
    [
        changed(SNAPSHOT, "_type", "Timestamp"),
        changed(SNAPSHOT, "meta", None),
        changed(SNAPSHOT, "meta", []),
        changed(SNAPSHOT, "meta.root", ...),
        changed(SNAPSHOT, "meta.targets", ...),
        changed(SNAPSHOT, "meta.targets", None),
        changed(SNAPSHOT, "meta.root.length", -1),
        changed(SNAPSHOT, "meta.root.hashes.sha256", ...),
        changed(SNAPSHOT, "meta.root.hashes", None),
    ],
)
def test_snapshots_with_a_wrong_structure_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(MetadataError):
        Snapshot.from_signed(value)


@pytest.mark.parametrize(
    "value",
    [
        changed(TIMESTAMP, "_type", "Snapshot"),
        changed(TIMESTAMP, "meta", {}),
        changed(TIMESTAMP, "meta", {"snapshot.json": META}),
        changed(TIMESTAMP, "meta.snapshot", None),
        changed(TIMESTAMP, "meta.snapshot.length", -1),
        changed(TIMESTAMP, "meta.snapshot.length", "4"),
        changed(TIMESTAMP, "meta.snapshot.hashes.sha512", "QQ=="),
    ],
)
def test_timestamps_with_a_wrong_structure_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(MetadataError):
        Timestamp.from_signed(value)


def test_member_names_are_case_sensitive() -> None:
    value = {**TIMESTAMP, "Version": 99, "META": {}}
    assert Timestamp.from_signed(value).version == 3
    with pytest.raises(MetadataError):
        Timestamp.from_signed(changed({**TIMESTAMP, "Version": 1}, "version", ...))


def test_what_is_written_is_canonical_in_every_order() -> None:
    keys = {public_key(name).keyid: public_key(name) for name in ("b", "a")}
    listed = (Delegation("targets/b", tuple(keys), 1, ("z", "a")), Delegation("targets/a", (), 1, ()))
    one = Targets(1, AUTHOR.now, {"b": TargetFile.of(b"b"), "a": TargetFile.of(b"a")}, keys, listed)
    text = canonical.encode(one.to_signed())
    assert Targets.from_signed(canonical.decode(text)) == one
    assert text.index(b'"z","a"') > 0
