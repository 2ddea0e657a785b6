"""Updates that every Notary server refuses, and how."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.tuf import roles
from support.author import Author, public_key
from support.rows.accepted import delegation_with_its_parent, next_targets, own_snapshot
from support.uploads import BAD_ROOT, BAD_SNAPSHOT, BAD_TARGETS, MULTIPART, UPDATE, VALIDATION, Row, multipart

if TYPE_CHECKING:
    from support.uploads import Answer, Desk


def identical_update_again(desk: Desk) -> Answer:
    return desk.publish().post(desk.author.files())


def same_root_again(desk: Desk) -> Answer:
    return desk.publish().post(desk.author.files(roles.ROOT))


def targets_version_not_higher(desk: Desk) -> Answer:
    next_targets(desk)
    desk.author.add("other", b"content")
    return desk.post(desk.author.files(roles.TARGETS))


def snapshot_version_not_higher(desk: Desk) -> Answer:
    own_snapshot(desk)
    desk.author.bump()
    return desk.post_with_snapshot(roles.TARGETS)


def targets_by_a_wrong_key(desk: Desk) -> Answer:
    desk.publish().author.bump()
    value = desk.author.targets[roles.TARGETS]
    return desk.post({roles.TARGETS: desk.author.seal(value.to_signed(), [desk.author.key("stranger")])})


def expired_targets(desk: Desk) -> Answer:
    desk.publish().author.bump()
    old = desk.author.targets[roles.TARGETS]
    desk.author.targets[roles.TARGETS] = replace(old, expires=desk.now - timedelta(days=1))
    return desk.post(desk.author.files(roles.TARGETS))


def targets_without_signatures(desk: Desk) -> Answer:
    desk.publish().author.bump()
    return desk.post({roles.TARGETS: desk.author.seal(desk.author.targets[roles.TARGETS].to_signed(), [])})


def targets_of_the_wrong_type(desk: Desk) -> Answer:
    desk.publish().author.bump()
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "_type": "targets"}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def targets_version_0(desk: Desk) -> Answer:
    desk.publish()
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "version": 0}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def delegation_by_a_wrong_key(desk: Desk) -> Answer:
    delegation_with_its_parent(desk)
    desk.author.bump("targets/releases")
    signed = desk.author.targets["targets/releases"].to_signed()
    return desk.post({"targets/releases": desk.author.seal(signed, [desk.author.key("stranger")])})


def delegation_that_its_parent_does_not_list(desk: Desk) -> Answer:
    desk.publish()
    signed = desk.author.targets[roles.TARGETS].to_signed()
    return desk.post({"targets/a": desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def delegation_below_one_that_does_not_exist(desk: Desk) -> Answer:
    desk.publish()
    signed = desk.author.targets[roles.TARGETS].to_signed()
    return desk.post({"targets/a/b": desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def delegation_entry_that_is_no_child(desk: Desk) -> Answer:
    desk.publish().author.bump()
    desk.author.targets["targets/a"] = desk.author.targets[roles.TARGETS]
    desk.author.delegate("targets/a/b")
    entry = desk.author.targets["targets/a"]
    signed = {**entry.to_signed(), "version": 2}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def snapshot_by_a_wrong_key(desk: Desk) -> Answer:
    own_snapshot(desk)
    desk.author.bump()
    files = desk.author.files()
    snapshot = Author(desk.gun, desk.now).snapshot(files)
    return desk.post({roles.TARGETS: files[roles.TARGETS], roles.SNAPSHOT: snapshot})


def expired_snapshot(desk: Desk) -> Answer:
    desk.own_snapshot().author.now -= timedelta(days=4 * 365)
    files = desk.author.files()
    return desk.post({**files, roles.SNAPSHOT: desk.author.snapshot(files)})


def snapshot_of_other_targets(desk: Desk) -> Answer:
    files = desk.own_snapshot().author.files()
    snapshot = desk.author.snapshot({**files, roles.TARGETS: b"other"})
    return desk.post({**files, roles.SNAPSHOT: snapshot})


def snapshot_of_another_root(desk: Desk) -> Answer:
    files = desk.own_snapshot().author.files()
    snapshot = desk.author.snapshot({**files, roles.ROOT: b"other"})
    return desk.post({**files, roles.SNAPSHOT: snapshot})


def snapshot_that_omits_a_posted_delegation(desk: Desk) -> Answer:
    desk.own_snapshot().author.delegate("targets/a")
    desk.author.add("1", b"one", "targets/a")
    files = desk.author.files()
    listed = {role: files[role] for role in (roles.ROOT, roles.TARGETS)}
    return desk.post({**files, roles.SNAPSHOT: desk.author.snapshot(listed)})


def snapshot_without_root(desk: Desk) -> Answer:
    files = desk.own_snapshot().author.files()
    snapshot = desk.author.snapshot({roles.TARGETS: files[roles.TARGETS]})
    return desk.post({**files, roles.SNAPSHOT: snapshot})


def snapshot_by_the_author_though_the_key_is_the_servers(desk: Desk) -> Answer:
    files = desk.author.files()
    return desk.post({**files, roles.SNAPSHOT: Author(desk.gun, desk.now).snapshot(files)})


def snapshot_missing(desk: Desk) -> Answer:
    return desk.own_snapshot().post(desk.author.files())


def root_version_skipped(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.root = replace(desk.author.root, version=3)
    return desk.post(desk.author.files(roles.ROOT))


def first_root_version_3(desk: Desk) -> Answer:
    desk.author.root = replace(desk.author.root, version=3)
    return desk.post(desk.author.files())


def root_by_the_new_key_only(desk: Desk) -> Answer:
    desk.publish().author.next_root()
    desk.author.assign(roles.ROOT, [desk.author.root_key("second root")])
    signers = desk.author.root.signers(roles.ROOT)
    return desk.post({roles.ROOT: desk.author.seal(desk.author.root.to_signed(), signers)})


def root_by_the_old_key_only(desk: Desk) -> Answer:
    desk.publish()
    old = desk.author.signers(roles.ROOT)
    desk.author.next_root()
    desk.author.assign(roles.ROOT, [desk.author.root_key("second root")])
    return desk.post({roles.ROOT: desk.author.seal(desk.author.root.to_signed(), old)})


def root_certificate_for_another_gun(desk: Desk) -> Answer:
    desk.author.assign(roles.ROOT, [desk.author.root_key("stranger", "some/where/else")])
    return desk.post(desk.author.files())


def root_certificate_expired(desk: Desk) -> Answer:
    end = desk.now - timedelta(days=1)
    key = desk.author.root_key("old", start=end - timedelta(days=9), end=end)
    desk.author.assign(roles.ROOT, [key])
    return desk.post(desk.author.files())


def root_key_without_certificate(desk: Desk) -> Answer:
    desk.author.assign(roles.ROOT, [desk.author.key("bare")])
    return desk.post(desk.author.files())


def expired_root(desk: Desk) -> Answer:
    desk.author.root = replace(desk.author.root, expires=desk.now - timedelta(days=1))
    return desk.post(desk.author.files())


def root_without_signatures(desk: Desk) -> Answer:
    return desk.post({**desk.author.files(), roles.ROOT: desk.author.seal(desk.author.root.to_signed(), [])})


def timestamp_key_unknown_to_the_server(desk: Desk) -> Answer:
    desk.author.assign(roles.TIMESTAMP, [public_key("nobody")])
    return desk.post(desk.author.files())


def targets_without_root(desk: Desk) -> Answer:
    return desk.post(desk.author.files(roles.TARGETS))


def nothing_on_a_new_gun(desk: Desk) -> Answer:
    return desk.post({})


def root_alone_on_a_new_gun(desk: Desk) -> Answer:
    return desk.post(desk.author.files(roles.ROOT))


def unknown_role(desk: Desk) -> Answer:
    return desk.post({"foo": desk.author.file(roles.TARGETS)})


def delegation_with_capitals(desk: Desk) -> Answer:
    return desk.post({"targets/Bad": desk.author.file(roles.TARGETS)})


def empty_file_name(desk: Desk) -> Answer:
    return desk.post({"": desk.author.file(roles.TARGETS)})


def no_file_name(desk: Desk) -> Answer:
    body = multipart({"x": desk.author.file(roles.TARGETS)}).replace(b'; filename="x"', b"")
    return desk.send("POST", "tuf/", MULTIPART, body)


def part_that_is_not_json(desk: Desk) -> Answer:
    return desk.post({roles.TARGETS: b"hello"})


def version_as_text(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "version": "1"}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def date_without_t(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "expires": "2030-01-01 00:00:00Z"}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def root_without_a_date(desk: Desk) -> Answer:
    signed = {**desk.author.root.to_signed(), "expires": None}
    sealed = desk.author.seal(signed, desk.author.signers(roles.ROOT))
    return desk.post({**desk.author.files(), roles.ROOT: sealed})


def root_with_nothing_signed(desk: Desk) -> Answer:
    files = desk.author.files()
    document = {**json.loads(files[roles.ROOT]), "signed": None}
    return desk.post({**files, roles.ROOT: json.dumps(document).encode()})


def targets_version_of_64_bits(desk: Desk) -> Answer:
    signed = {**desk.author.targets[roles.TARGETS].to_signed(), "version": 2**63}
    return desk.post({roles.TARGETS: desk.author.seal(signed, desk.author.signers(roles.TARGETS))})


def json_then_garbage(desk: Desk) -> Answer:
    files = desk.author.files()
    return desk.post({**files, roles.TARGETS: files[roles.TARGETS] + b"garbage"})


def body_that_is_not_multipart(desk: Desk) -> Answer:
    return desk.send("POST", "tuf/", "application/json", desk.author.file(roles.TARGETS))


ROWS = (
    Row(identical_update_again, "VERSION"),
    Row(same_root_again, "VERSION"),
    Row(targets_version_not_higher, "VERSION"),
    Row(snapshot_version_not_higher, "VERSION"),
    Row(targets_by_a_wrong_key, UPDATE, BAD_TARGETS, "valid signatures did not meet threshold for targets"),
    Row(expired_targets, UPDATE, BAD_TARGETS, "targets expired at "),
    Row(targets_without_signatures, UPDATE, BAD_TARGETS, "no signatures"),
    Row(targets_of_the_wrong_type, UPDATE, BAD_TARGETS),
    Row(targets_version_0, UPDATE, BAD_TARGETS),
    Row(delegation_by_a_wrong_key, UPDATE, BAD_TARGETS, "did not meet threshold for targets/releases"),
    Row(
        delegation_that_its_parent_does_not_list,
        UPDATE,
        BAD_TARGETS,
        "tuf: invalid role targets/a. delegation does not exist",
    ),
    Row(delegation_below_one_that_does_not_exist, UPDATE, BAD_TARGETS, "tuf: invalid role targets/a/b. "),
    Row(delegation_entry_that_is_no_child, UPDATE, BAD_TARGETS),
    Row(snapshot_by_a_wrong_key, UPDATE, BAD_SNAPSHOT, "did not meet threshold for snapshot"),
    Row(expired_snapshot, UPDATE, BAD_SNAPSHOT, "snapshot expired at "),
    Row(snapshot_of_other_targets, UPDATE, BAD_SNAPSHOT, "checksum for targets did not match"),
    Row(snapshot_of_another_root, UPDATE, BAD_SNAPSHOT, "checksum for root did not match"),
    Row(snapshot_that_omits_a_posted_delegation, UPDATE, BAD_SNAPSHOT, "were provided for targets/a"),
    Row(snapshot_without_root, UPDATE, BAD_SNAPSHOT),
    Row(snapshot_by_the_author_though_the_key_is_the_servers, UPDATE, BAD_SNAPSHOT),
    Row(snapshot_missing, UPDATE, "ErrBadHierarchy", "no snapshot was included in update"),
    Row(root_version_skipped, UPDATE, BAD_ROOT, "must increment the version. Current 1, new 3"),
    Row(first_root_version_3, UPDATE, BAD_ROOT, "must increment the version"),
    Row(root_by_the_new_key_only, UPDATE, BAD_ROOT, "could not rotate trust to a new trusted root"),
    Row(root_by_the_old_key_only, UPDATE, BAD_ROOT, "failed to validate integrity of roots"),
    Row(root_certificate_for_another_gun, UPDATE, BAD_ROOT, "unable to retrieve valid leaf certificates"),
    Row(root_certificate_expired, UPDATE, BAD_ROOT, "unable to retrieve valid leaf certificates"),
    Row(root_key_without_certificate, UPDATE, BAD_ROOT, "unable to retrieve valid leaf certificates"),
    Row(expired_root, UPDATE, BAD_ROOT, "root expired at "),
    Row(root_without_signatures, UPDATE, BAD_ROOT),
    Row(timestamp_key_unknown_to_the_server, UPDATE, BAD_ROOT, "timestamp keys exist on the server"),
    Row(targets_without_root, UPDATE, VALIDATION, "no pre-existing root and no root provided"),
    Row(nothing_on_a_new_gun, UPDATE, VALIDATION, "no pre-existing root and no root provided"),
    Row(root_alone_on_a_new_gun, UPDATE, VALIDATION, "targets must be loaded first"),
    Row(unknown_role, "INVALID_ROLE"),
    Row(delegation_with_capitals, "INVALID_ROLE"),
    Row(empty_file_name, "NO_FILENAME"),
    Row(no_file_name, "NO_FILENAME"),
    Row(part_that_is_not_json, "MALFORMED_JSON"),
    Row(version_as_text, "MALFORMED_JSON"),
    Row(date_without_t, "MALFORMED_JSON"),
    Row(root_without_a_date, UPDATE, BAD_ROOT),
    Row(root_with_nothing_signed, UPDATE, BAD_ROOT),
    Row(targets_version_of_64_bits, "MALFORMED_JSON"),
    Row(json_then_garbage, UPDATE, BAD_TARGETS),
    Row(body_that_is_not_multipart, "MALFORMED_UPLOAD"),
)
