"""TrustedMetadata, rules 1 to 5: the root."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from notarypy.errors import (
    ExpiredError,
    RollbackError,
    RootChangedError,
    SignatureError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW, Author, public_key
from support.repository import (
    DAY,
    LATER,
    assembled,
    changed,
    delegated,
    load,
    snapshot_of,
    tagged,
    top,
)


def anchored(author: Author) -> TrustedMetadata:
    """Trust the author's present root."""
    metadata = TrustedMetadata(author.gun, LATER)
    metadata.first_root(author.file(roles.ROOT))
    return metadata


def test_rule_1_the_first_root_meets_its_own_threshold() -> None:
    author = Author()
    one, two = author.root_key("one"), author.root_key("two")
    author.assign(roles.ROOT, [one, two], 2)
    for keys, good in (((one, two), True), ((one,), False), ((two,), False), ((public_key("x"),), False)):
        data = author.seal(author.root.to_signed(), keys) if good else _signed_by(author, keys)
        metadata = TrustedMetadata(GUN, LATER)
        if good:
            assert metadata.first_root(data) == author.root
        else:
            with pytest.raises(VerificationError):
                metadata.first_root(data)
            assert metadata.files == {}


def _signed_by(author: Author, keys: tuple[object, ...]) -> bytes:
    held = [key for key in author.root.signers(roles.ROOT) if key in keys]
    author.key("stranger")
    return author.seal(author.root.to_signed(), [*held, public_key("stranger")])


@pytest.mark.parametrize(
    ("common_name", "authority", "says"),
    [
        ("registry.test/other", False, 'is for "registry.test/other"'),
        (GUN, True, "not one leaf"),
    ],
)
def test_rule_1_only_certificates_valid_for_the_gun_count(
    common_name: str, authority: bool, says: str
) -> None:
    author = Author()
    author.assign(roles.ROOT, [author.root_key("r", common_name, authority=authority)])
    with pytest.raises(VerificationError, match="no usable certificate") as caught:
        anchored(author)
    assert says in caught.value.why[0]
    assert caught.value.facts["role"] == roles.ROOT


def test_rule_1_a_bare_root_key_does_not_count() -> None:
    author = Author()
    author.assign(roles.ROOT, [author.key("bare")])
    with pytest.raises(VerificationError, match="no usable certificate") as caught:
        anchored(author)
    assert caught.value.why == ("a root key has no certificate",)


@pytest.mark.parametrize(("threshold", "accepted"), [(1, True), (2, False)])
def test_rule_1_one_valid_certificate_is_enough_for_a_threshold_of_one(
    threshold: int, accepted: bool
) -> None:
    author = Author()
    wrong = author.root_key("wrong", "registry.test/other")
    author.assign(roles.ROOT, [wrong, author.root_key("right")], threshold)
    if accepted:
        assert anchored(author).root == author.root
    else:
        with pytest.raises(SignatureError):
            anchored(author)


def test_rule_1_a_root_of_another_repository_is_refused() -> None:
    with pytest.raises(VerificationError, match="no usable certificate") as caught:
        top(Author("registry.test/other").repository())
    assert caught.value.why == (f'a root certificate is for "registry.test/other", not for "{GUN}"',)


def test_whoever_asks_about_junk_is_told_that_it_was_to_be_a_root() -> None:
    metadata = anchored(Author())
    before = dict(metadata.files)
    for ask in (metadata.signs, metadata.update_root):
        with pytest.raises(VerificationError, match="root") as caught:
            ask(b"junk")
        assert caught.value.facts["role"] == "root"
    assert metadata.files == before


def rotated(author: Author, *names: str, threshold: int = 1) -> None:
    """Begin the next root, with new root keys."""
    author.next_root()
    author.assign(roles.ROOT, [author.root_key(name) for name in names], threshold)


def test_rule_2_a_newer_root_signed_by_old_and_new_keys_is_trusted() -> None:
    author = Author()
    metadata = anchored(author)
    rotated(author, "second")
    assert metadata.signs(author.file(roles.ROOT))
    assert metadata.update_root(author.file(roles.ROOT)).version == 2
    assert metadata.files == {roles.ROOT: author.file(roles.ROOT)}


@pytest.mark.parametrize("which", ["old", "new", "stranger"])
def test_rule_2_one_side_alone_is_refused(which: str) -> None:
    author = Author()
    metadata = anchored(author)
    old = author.root.signers(roles.ROOT)
    before = dict(metadata.files)
    rotated(author, "second")
    author.key("stranger")
    keys = {"old": old, "new": author.root.signers(roles.ROOT), "stranger": (public_key("stranger"),)}[which]
    data = author.seal(author.root.to_signed(), keys)
    with pytest.raises(SignatureError if which == "old" else RootChangedError):
        metadata.update_root(data)
    assert metadata.signs(data) is (which == "old")
    assert metadata.files == before


def test_rule_2_the_threshold_of_the_trusted_root_counts_not_the_new_ones() -> None:
    author = Author()
    old = [author.root_key("one"), author.root_key("two")]
    author.assign(roles.ROOT, old, 2)
    metadata = anchored(author)
    rotated(author, "second")
    new = author.root.signers(roles.ROOT)
    for keys in ((old[0], *new), (old[1], *new)):
        data = author.seal(author.root.to_signed(), keys)
        assert not metadata.signs(data)
        with pytest.raises(RootChangedError):
            metadata.update_root(data)
    assert metadata.update_root(author.seal(author.root.to_signed(), [*old, *new])).version == 2


def test_rule_2_a_version_may_be_skipped_only_if_the_trusted_keys_signed() -> None:
    author = Author()
    metadata = anchored(author)
    first = author.root.signers(roles.ROOT)
    rotated(author, "second")
    rotated(author, "third")
    direct = author.seal(author.root.to_signed(), [*first, *author.signers(roles.ROOT)])
    assert not metadata.signs(author.file(roles.ROOT))
    with pytest.raises(RootChangedError):
        metadata.update_root(author.file(roles.ROOT))
    assert metadata.signs(direct)
    assert metadata.update_root(direct).version == 3


def test_rule_2_the_chain_is_walked_link_by_link() -> None:
    author = Author()
    metadata = anchored(author)
    for number in range(2, 9):
        rotated(author, f"root {number}")
        assert metadata.update_root(author.file(roles.ROOT)).version == number


def test_rule_2_a_new_root_forgets_what_the_old_one_vouched_for() -> None:
    author = delegated("targets/a")
    author.targets["targets/a"] = replace(author.targets["targets/a"], expires=NOW)
    metadata = load(author.repository())
    assert metadata.failures
    author.next_root()
    metadata.update_root(author.file(roles.ROOT))
    assert metadata.targets == {}
    assert metadata.failures == {}
    assert metadata.paths == {}
    assert set(metadata.files) == {roles.ROOT}
    with pytest.raises(RuntimeError):
        _ = metadata.snapshot
    with pytest.raises(RuntimeError):
        _ = metadata.timestamp


def test_rule_2_the_new_root_needs_certificates_for_the_gun_too() -> None:
    author = Author()
    metadata = anchored(author)
    author.next_root()
    author.assign(roles.ROOT, [author.root_key("second", "registry.test/other")])
    with pytest.raises(VerificationError, match="no usable certificate"):
        metadata.update_root(author.file(roles.ROOT))


def test_rule_3_a_root_is_never_replaced_by_an_older_one() -> None:
    author = Author()
    first = author.file(roles.ROOT)
    author.next_root()
    metadata = anchored(author)
    before = dict(metadata.files)
    with pytest.raises(RollbackError) as caught:
        metadata.update_root(first)
    assert caught.value.facts == {"role": "root", "offered": 1, "seen": 2}
    assert metadata.files == before


@pytest.mark.parametrize("version", [1, 1000])
@pytest.mark.parametrize("later", [DAY, -DAY])
def test_rule_3_nor_by_another_one_of_the_same_version(version: int, later: timedelta) -> None:
    author = Author()
    author.root = replace(author.root, version=version)
    metadata = anchored(author)
    before = dict(metadata.files)
    author.root = replace(author.root, expires=author.root.expires + later)
    with pytest.raises(RootChangedError):
        metadata.update_root(author.file(roles.ROOT))
    assert metadata.files == before


def test_rule_3_the_same_root_with_one_more_signature_is_the_same_root() -> None:
    author = Author()
    metadata = anchored(author)
    author.key("more")
    again = author.seal(author.root.to_signed(), [public_key("more"), *author.root.signers(roles.ROOT)])
    assert metadata.update_root(again).version == 1
    assert metadata.files == {roles.ROOT: again}


def test_rule_4_earlier_links_may_be_expired_in_date_and_certificate() -> None:
    author = Author(now=NOW - 4000 * DAY)
    metadata = anchored(author)
    author.now = NOW
    rotated(author, "second")
    author.root = replace(author.root, expires=NOW + 3000 * DAY)
    author.targets[roles.TARGETS] = replace(author.targets[roles.TARGETS], expires=NOW + DAY)
    files = author.repository()
    metadata.update_root(files[roles.ROOT])
    metadata.update_timestamp(files[roles.TIMESTAMP])
    metadata.update_snapshot(files[roles.SNAPSHOT])
    assert metadata.update_targets(files[roles.TARGETS]).version == 1


@pytest.mark.parametrize(("expires", "accepted"), [(LATER, False), (LATER + timedelta(microseconds=1), True)])
def test_rule_4_the_last_root_is_in_date(expires: datetime, accepted: bool) -> None:
    author = tagged()
    author.root = replace(author.root, expires=expires)
    if accepted:
        assert load(author.repository()).root.expires == expires
    else:
        with pytest.raises(ExpiredError) as caught:
            load(author.repository())
        assert caught.value.facts == {"role": "root", "expires": expires.isoformat()}


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (NOW - 9 * DAY, NOW, "expired on 2026-11-23"),
        (NOW + 2 * DAY, NOW + 9 * DAY, "valid only from 2026-11-25"),
    ],
)
def test_rule_4_the_certificates_of_the_last_root_are_in_date(
    start: datetime, end: datetime, says: str
) -> None:
    author = tagged()
    author.assign(roles.ROOT, [author.root_key("r", start=start, end=end)])
    metadata = top(author.repository())
    with pytest.raises(ExpiredError) as caught:
        metadata.update_targets(author.file(roles.TARGETS))
    assert says in caught.value.why[0]
    assert metadata.targets == {}


@pytest.mark.parametrize(("threshold", "accepted"), [(1, True), (2, False)])
def test_rule_4_as_many_certificates_in_date_as_the_threshold_asks(threshold: int, accepted: bool) -> None:
    author = tagged()
    expired = author.root_key("old", start=NOW - 9 * DAY, end=NOW)
    author.assign(roles.ROOT, [expired, author.root_key("new")], threshold)
    if accepted:
        assert load(author.repository()).root == author.root
    else:
        with pytest.raises(ExpiredError):
            load(author.repository())


def test_more_signatures_than_the_threshold_asks_for_do_no_harm() -> None:
    author = tagged()
    author.assign(roles.ROOT, [author.root_key("one"), author.root_key("two"), author.root_key("three")])
    metadata = anchored(author)
    assert metadata.signs(author.file(roles.ROOT))
    author.next_root()
    assert metadata.update_root(author.file(roles.ROOT)).version == 2
    assert load(author.repository()).root == author.root


def test_rule_4_a_certificate_in_date_counts_only_if_its_key_signed() -> None:
    author = tagged()
    expired = author.root_key("old", start=NOW - 9 * DAY, end=NOW)
    author.assign(roles.ROOT, [expired, author.root_key("new")])
    root = author.seal(author.root.to_signed(), [expired])
    with pytest.raises(ExpiredError):
        load(assembled(author, root=root))


def test_rule_5_the_root_is_byte_for_byte_the_one_that_the_snapshot_names() -> None:
    author = tagged()
    old = author.repository()
    author.next_root()
    files = {**author.repository(), roles.ROOT: old[roles.ROOT]}
    metadata = top(files)
    assert metadata.outdated_root() == MetaFile.of(author.file(roles.ROOT))
    with pytest.raises(RuntimeError, match="not the one that the snapshot names"):
        metadata.update_targets(files[roles.TARGETS])


def test_rule_5_also_when_only_a_signature_differs() -> None:
    author = tagged()
    files = author.repository()
    author.key("more")
    other = author.seal(author.root.to_signed(), [*author.root.signers(roles.ROOT), public_key("more")])
    assert top(files).outdated_root() is None
    assert top({**files, roles.ROOT: other}).outdated_root() == MetaFile.of(files[roles.ROOT])


def test_rule_5_every_stated_hash_and_the_length_must_fit() -> None:
    author = tagged()
    for path, value in (
        ("meta.root.length", 1),
        ("meta.root.hashes.sha256", MetaFile.of(b"").to_json()["hashes"]["sha256"]),
        ("meta.root.hashes.sha512", MetaFile.of(b"").to_json()["hashes"]["sha512"]),
    ):
        files = snapshot_of(author, lambda signed, at=path, to=value: changed(signed, at, to))  # type: ignore[misc]
        assert top(files).outdated_root() is not None


def test_the_root_role_keys_are_not_taken_from_the_offered_root() -> None:
    author = Author()
    metadata = anchored(author)
    stranger = Author()
    stranger.assign(roles.ROOT, [stranger.root_key("stranger")])
    stranger.root = replace(stranger.root, version=2)
    with pytest.raises(RootChangedError) as caught:
        metadata.update_root(stranger.file(roles.ROOT))
    assert caught.value.facts == {
        "trusted": list(author.root.pins),
        "offered": list(stranger.root.pins),
    }
