"""TrustedMetadata, rules 6, 7 and 10: signatures, hashes and dates of the other files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    ExpiredError,
    MetadataError,
    SignatureError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW, Author, public_key
from support.repository import (
    DAY,
    LATER,
    assembled,
    changed,
    load,
    snapshot_of,
    tagged,
    timestamp_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
@pytest.mark.parametrize(
    ("signers", "accepted"), [("ab", True), ("a", False), ("ax", False), ("aa", False), ("xy", False)]
)
def test_rule_6_each_file_meets_the_threshold_of_its_role(role: str, signers: str, accepted: bool) -> None:
    author = tagged()
    held = {name: author.key(f"key {name}") for name in "abxy"}
    author.assign(role, [held["a"], held["b"]], 2)
    honest = author.repository()
    if role == roles.TIMESTAMP:
        data = _resealed(author, honest[role], [held[name] for name in signers])
        files = {**honest, role: data}
    else:
        data = _resealed(author, honest[role], [held[name] for name in signers])
        files = assembled(author, **{role: data})
    if accepted:
        assert load(files).files[role] == data
    else:
        with pytest.raises(SignatureError) as caught:
            load(files)
        assert caught.value.facts["role"] == role


def _resealed(author: Author, data: bytes, keys: list[object]) -> bytes:
    known = {key.keyid: key for key in author.root.keys.values()}
    extra = {key.keyid: key for key in (public_key("key x"), public_key("key y"))}
    chosen = [{**known, **extra}[key.keyid] for key in keys]  # type: ignore[attr-defined]
    return author.seal(Envelope.parse(data, "x").signed, chosen)


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
def test_rule_6_the_last_root_decides_which_keys(role: str) -> None:
    author = tagged()
    old = author.repository()
    author.next_root()
    author.assign(role, [author.key("replacement")])
    new_root = author.file(roles.ROOT)
    metadata = TrustedMetadata(GUN, LATER)
    metadata.first_root(old[roles.ROOT])
    metadata.update_root(new_root)
    files = dict(author.repository())
    files[role] = old[role]
    if role == roles.TARGETS:
        files = assembled(author, targets=old[role])
    elif role == roles.SNAPSHOT:
        files = assembled(author, snapshot=old[role])
    steps = (
        (roles.TIMESTAMP, metadata.update_timestamp),
        (roles.SNAPSHOT, metadata.update_snapshot),
        (roles.TARGETS, metadata.update_targets),
    )
    for name, step in steps:
        if name == role:
            with pytest.raises(SignatureError):
                step(files[name])
            break
        step(files[name])
    assert role not in metadata.files


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b" ",
        lambda data: data[:-1],
        lambda data: data.replace(b'"version":1', b'"version":2'),
    ],
)
def test_rule_7_files_are_byte_for_byte_what_the_file_above_states(
    role: str, change: Callable[[bytes], bytes]
) -> None:
    files = tagged().repository()
    with pytest.raises(VerificationError) as caught:
        load({**files, role: change(files[role])})
    assert caught.value.facts["role"] == role


@pytest.mark.parametrize("stated", [-1, 0, 1, 10**9])
def test_rule_7_the_length_must_fit_even_when_the_hashes_do(stated: int) -> None:
    author = tagged()
    for files in (
        snapshot_of(author, lambda signed: changed(signed, "meta.targets.length", stated)),
        timestamp_of(author, lambda signed: changed(signed, "meta.snapshot.length", stated)),
    ):
        with pytest.raises(MetadataError if stated < 0 else VerificationError):
            load(files)


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_rule_7_every_stated_hash_must_fit(name: str) -> None:
    author = tagged()
    wrong = MetaFile.of(b"other").to_json()["hashes"][name]
    for files in (
        snapshot_of(author, lambda signed: changed(signed, f"meta.targets.hashes.{name}", wrong)),
        timestamp_of(author, lambda signed: changed(signed, f"meta.snapshot.hashes.{name}", wrong)),
    ):
        with pytest.raises(VerificationError, match=f"promised {name}"):
            load(files)


def test_rule_7_sha256_alone_is_enough_and_sha512_alone_is_not() -> None:
    author = tagged()
    assert load(
        snapshot_of(author, lambda signed: changed(signed, "meta.targets.hashes.sha512", ...))
    ).targets
    assert load(
        timestamp_of(author, lambda signed: changed(signed, "meta.snapshot.hashes.sha512", ...))
    ).targets
    with pytest.raises(MetadataError):
        load(timestamp_of(author, lambda signed: changed(signed, "meta.snapshot.hashes.sha256", ...)))


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
@pytest.mark.parametrize(("left", "accepted"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
def test_rule_10_timestamp_snapshot_and_targets_are_in_date(
    role: str, left: timedelta, accepted: bool
) -> None:
    author = tagged()
    files = author.repository()
    ends = {
        roles.TIMESTAMP: author.expiry(roles.TIMESTAMP),
        roles.SNAPSHOT: author.expiry(roles.SNAPSHOT),
        roles.TARGETS: author.targets[roles.TARGETS].expires,
    }
    if role != roles.TIMESTAMP:
        files = timestamp_of(author, lambda signed: changed(signed, "expires", "2036-01-01T00:00:00Z"))
    if role == roles.TARGETS:
        author.targets[role] = replace(author.targets[role], expires=NOW + DAY)
        ends[role] = NOW + DAY
        files = author.repository()
    moment = ends[role] - left
    if accepted:
        assert load(files, now=moment).targets
    else:
        with pytest.raises(ExpiredError) as caught:
            load(files, now=moment)
        assert caught.value.facts == {"role": role, "expires": ends[role].isoformat()}
        lazy = caught.value.why == ("the server did not renew its timestamp",)
        assert lazy or caught.value.why == ("its signatures are valid",)
        assert lazy == (role == roles.TIMESTAMP)


def test_rule_10_the_message_tells_a_lazy_server_from_an_old_file() -> None:
    files = tagged().repository()
    with pytest.raises(ExpiredError) as caught:
        load(files, now=NOW + 15 * DAY)
    assert caught.value.why == ("the server did not renew its timestamp",)
    assert "2026-12-07 12:00Z" in caught.value.message


def test_rule_10_an_expired_timestamp_ends_everything_before_the_snapshot_is_read() -> None:
    metadata = TrustedMetadata(GUN, NOW + 15 * DAY)
    files = tagged().repository()
    metadata.first_root(files[roles.ROOT])
    metadata.update_timestamp(files[roles.TIMESTAMP])
    with pytest.raises(ExpiredError):
        metadata.update_snapshot(b"anything")
