"""Updates that every Notary server accepts, and that leave a readable repository."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from notarypy.tuf import roles
from notarypy.tuf.fields import TargetFile
from support.uploads import Row

if TYPE_CHECKING:
    from support.uploads import Answer, Desk


def first_publish(desk: Desk) -> Answer:
    return desk.post(desk.author.files())


def first_publish_with_root_2_and_targets_2(desk: Desk) -> Answer:
    desk.author.root = replace(desk.author.root, version=2)
    desk.author.bump()
    return desk.post(desk.author.files())


def first_targets_version_50(desk: Desk) -> Answer:
    desk.author.targets[roles.TARGETS] = replace(desk.author.targets[roles.TARGETS], version=50)
    return desk.post(desk.author.files())


def next_targets(desk: Desk) -> Answer:
    desk.publish().author.bump()
    return desk.post(desk.author.files(roles.TARGETS))


def targets_with_a_gap_in_versions(desk: Desk) -> Answer:
    desk.publish()
    desk.author.targets[roles.TARGETS] = replace(desk.author.targets[roles.TARGETS], version=9)
    return desk.post(desk.author.files(roles.TARGETS))


def nothing(desk: Desk) -> Answer:
    return desk.publish().post({})


def delegation_with_its_parent(desk: Desk) -> Answer:
    desk.publish().author.bump()
    desk.author.delegate("targets/releases")
    desk.author.add("1", b"one", "targets/releases")
    return desk.post(desk.author.files("targets/releases", "targets"))


def nested_delegation_below_stored_ones(desk: Desk) -> Answer:
    delegation_with_its_parent(desk)
    desk.author.bump("targets/releases")
    desk.author.delegate("targets/releases/deep")
    assert desk.post(desk.author.files("targets/releases")).status == 200
    desk.author.add("2", b"two", "targets/releases/deep")
    return desk.post(desk.author.files("targets/releases/deep"))


def tag_outside_the_delegations_paths(desk: Desk) -> Answer:
    desk.publish().author.bump()
    desk.author.delegate("targets/a", paths=("a/",))
    desk.author.add("b", b"two", "targets/a")
    return desk.post(desk.author.files("targets", "targets/a"))


def posted_timestamp_is_ignored(desk: Desk) -> Answer:
    desk.publish()
    return desk.post(
        {roles.TIMESTAMP: b'{"signed":{"_type":"Timestamp","expires":"2030-01-01T00:00:00Z","version":1}}'}
    )


def role_name_with_json_ending(desk: Desk) -> Answer:
    files = desk.author.files()
    return desk.post({f"{role}.json": data for role, data in files.items()})


def same_role_twice_takes_the_last(desk: Desk) -> Answer:
    bad = b'{"signed":{"_type":"Targets","expires":"2030-01-01T00:00:00Z","version":7},"signatures":[]}'
    return desk.post([(roles.TARGETS, bad), *desk.author.files().items()])


def own_snapshot(desk: Desk) -> Answer:
    return desk.own_snapshot().post_with_snapshot()


def root_key_rotated(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.assign(roles.ROOT, [desk.author.root_key("second root")])
    return desk.post(desk.author.files(roles.ROOT))


def root_key_rotated_thrice(desk: Desk) -> Answer:
    root_key_rotated(desk)
    desk.author.next_root()
    desk.author.assign(roles.ROOT, [desk.author.root_key("third root")])
    return desk.post(desk.author.files(roles.ROOT))


def targets_key_rotated_with_targets(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.assign(roles.TARGETS, [desk.author.key("second targets")])
    desk.author.bump()
    return desk.post(desk.author.files())


def timestamp_key_rotated(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.use_server_key(roles.TIMESTAMP, desk.key(roles.TIMESTAMP, "POST"))
    return desk.post(desk.author.files(roles.ROOT))


def snapshot_key_rotated_to_the_server(desk: Desk) -> Answer:
    own_snapshot(desk)
    desk.author.next_root()
    desk.author.use_server_key(roles.SNAPSHOT, desk.key(roles.SNAPSHOT, "POST"))
    return desk.post(desk.author.files(roles.ROOT))


def snapshot_key_rotated_from_the_server(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.own_snapshot()
    desk.author.snapshot_version = 2
    return desk.post_with_snapshot(roles.ROOT)


def delegation_removed_then_next_publish(desk: Desk) -> Answer:
    delegation_with_its_parent(desk)
    desk.author.bump()
    desk.author.targets[roles.TARGETS] = replace(desk.author.targets[roles.TARGETS], roles=(), keys={})
    return desk.post(desk.author.files(roles.TARGETS))


def delegation_key_swapped_without_its_file(desk: Desk) -> Answer:
    delegation_with_its_parent(desk)
    desk.author.bump()
    desk.author.delegate("targets/releases", [desk.author.key("other releases")])
    return desk.post(desk.author.files(roles.TARGETS))


def nanoseconds(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "expires": "2030-01-01T00:00:00.123456789Z"}
    sealed = desk.author.seal(signed, desk.author.signers(roles.TARGETS))
    return desk.post({**desk.author.files(), roles.TARGETS: sealed})


def date_with_offset(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "expires": "2030-01-01T00:00:00.5-05:00"}
    sealed = desk.author.seal(signed, desk.author.signers(roles.TARGETS))
    return desk.post({**desk.author.files(), roles.TARGETS: sealed})


def delegation_list_of_null(desk: Desk) -> Answer:
    signed = desk.author.targets[roles.TARGETS].to_signed()
    signed["delegations"]["roles"] = None
    sealed = desk.author.seal(signed, desk.author.signers(roles.TARGETS))
    return desk.post({**desk.author.files(), roles.TARGETS: sealed})


def delegation_without_keys(desk: Desk) -> Answer:
    desk.publish().author.bump()
    desk.author.delegate("targets/releases")
    value = desk.author.targets[roles.TARGETS]
    entry = replace(value.roles[0], keyids=())
    desk.author.targets[roles.TARGETS] = replace(value, roles=(entry,), keys={})
    return desk.post(desk.author.files(roles.TARGETS))


def custom_data(desk: Desk) -> Answer:
    value = desk.author.targets[roles.TARGETS]
    entry = replace(TargetFile.of(b"content"), custom={"a": 1, "b": ["é"]})
    desk.author.targets[roles.TARGETS] = replace(value, targets={"é<1>": entry})
    return desk.post(desk.author.files())


ROWS = tuple(
    Row(play)
    for play in (
        first_publish,
        first_publish_with_root_2_and_targets_2,
        first_targets_version_50,
        next_targets,
        targets_with_a_gap_in_versions,
        nothing,
        delegation_with_its_parent,
        nested_delegation_below_stored_ones,
        tag_outside_the_delegations_paths,
        posted_timestamp_is_ignored,
        role_name_with_json_ending,
        same_role_twice_takes_the_last,
        own_snapshot,
        root_key_rotated,
        root_key_rotated_thrice,
        targets_key_rotated_with_targets,
        timestamp_key_rotated,
        snapshot_key_rotated_to_the_server,
        snapshot_key_rotated_from_the_server,
        delegation_removed_then_next_publish,
        delegation_key_swapped_without_its_file,
        nanoseconds,
        date_with_offset,
        delegation_list_of_null,
        delegation_without_keys,
        custom_data,
    )
)
