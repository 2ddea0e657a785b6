"""Updates that the real server accepts although not everybody can read the repository afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.tuf import roles
from support.rows.accepted import own_snapshot
from support.uploads import BAD_ROOT, BAD_SNAPSHOT, BAD_TARGETS, UPDATE, VALIDATION, Row

if TYPE_CHECKING:
    from support.uploads import Answer, Desk

SHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def snapshot_naming_bytes_never_uploaded(desk: Desk) -> Answer:
    own_snapshot(desk)
    desk.author.snapshot_version = 2
    files = {**desk.author.files(), roles.TARGETS: b"never uploaded"}
    return desk.post({roles.SNAPSHOT: desk.author.snapshot(files)})


def snapshot_naming_a_delegation_never_uploaded(desk: Desk) -> Answer:
    files = desk.own_snapshot().author.files()
    snapshot = desk.author.snapshot({**files, "targets/a": b"never uploaded"})
    return desk.post({**files, roles.SNAPSHOT: snapshot})


def first_publish_without_targets(desk: Desk) -> Answer:
    files = desk.own_snapshot().author.files()
    return desk.post({roles.ROOT: files[roles.ROOT], roles.SNAPSHOT: desk.author.snapshot(files)})


def targets_key_rotated_without_targets(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.assign(roles.TARGETS, [desk.author.key("second targets")])
    return desk.post(desk.author.files(roles.ROOT))


def post_targets(desk: Desk, **members: object) -> Answer:
    desk.publish()
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "version": 2, **members}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def targets_version_of_32_bits(desk: Desk) -> Answer:
    return post_targets(desk, version=2**31)


def target_with_a_hash_of_3_bytes(desk: Desk) -> Answer:
    return post_targets(desk, targets={"1": {"hashes": {"sha256": "AAAA"}, "length": 3}})


def target_of_a_negative_length(desk: Desk) -> Answer:
    return post_targets(desk, targets={"1": {"hashes": {"sha256": SHA256}, "length": -1}})


def trailing_newline(desk: Desk) -> Answer:
    files = desk.author.files()
    return desk.post({**files, roles.TARGETS: files[roles.TARGETS] + b"\n"})


def indented(desk: Desk) -> Answer:
    files = desk.author.files()
    text = json.dumps(json.loads(files[roles.TARGETS]), indent=1).encode()
    return desk.post({**files, roles.TARGETS: text})


def unknown_member(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "x-new": 1}
    sealed = desk.author.seal(signed, desk.author.signers(roles.TARGETS))
    return desk.post({**desk.author.files(), roles.TARGETS: sealed})


def unescaped_less_than(desk: Desk) -> Answer:
    desk.author.add("a<b", b"content")
    files = desk.author.files()
    return desk.post({**files, roles.TARGETS: files[roles.TARGETS].replace(rb"\u003c", b"<")})


def date_with_zeros_at_the_end(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "expires": "2030-01-01T00:00:00.500Z"}
    sealed = desk.author.seal(signed, desk.author.signers(roles.TARGETS))
    return desk.post({**desk.author.files(), roles.TARGETS: sealed})


def root_not_in_storage_form(desk: Desk) -> Answer:
    files = desk.author.files()
    return desk.post({**files, roles.ROOT: files[roles.ROOT] + b"\n"})


# Whoever reads afterwards gets an error; of the first everybody but Go.
DEADLY = (
    Row(targets_version_of_32_bits, UPDATE, BAD_TARGETS, "no usable version", strict=True),
    Row(snapshot_naming_bytes_never_uploaded, UPDATE, BAD_SNAPSHOT, "never uploaded", strict=True),
    Row(first_publish_without_targets, UPDATE, VALIDATION, "targets must be loaded first", strict=True),
    Row(targets_key_rotated_without_targets, UPDATE, BAD_TARGETS, "did not meet threshold", strict=True),
    Row(trailing_newline, UPDATE, BAD_TARGETS, "storage form", strict=True),
    Row(indented, UPDATE, BAD_TARGETS, "storage form", strict=True),
    Row(unknown_member, UPDATE, BAD_TARGETS, "storage form", strict=True),
    Row(unescaped_less_than, UPDATE, BAD_TARGETS, "storage form", strict=True),
    Row(date_with_zeros_at_the_end, UPDATE, BAD_TARGETS, "storage form", strict=True),
    Row(root_not_in_storage_form, UPDATE, BAD_ROOT, "storage form", strict=True),
)
ROWS = (
    *DEADLY,
    Row(target_with_a_hash_of_3_bytes, UPDATE, BAD_TARGETS, "hash of the wrong size", strict=True),
    Row(target_of_a_negative_length, UPDATE, BAD_TARGETS, "no usable length", strict=True),
    Row(snapshot_naming_a_delegation_never_uploaded, UPDATE, BAD_SNAPSHOT, "never uploaded", strict=True),
)
