"""Pins: which first root is acceptable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notarypy.errors import InvalidNameError, RootNotPinnedError
from notarypy.tuf import roles
from notarypy.tuf.pinning import FirstUse, PinnedKeys, check_pin, policy, root_ids
from support.author import GUN, NOW, Author
from support.repository import top


def two_roots(threshold: int) -> Author:
    author = Author()
    author.assign(roles.ROOT, [author.root_key("root one"), author.root_key("root two")], threshold)
    return author


def ids(author: Author) -> list[str]:
    return [key.keyid for key in author.root.signers(roles.ROOT)]


def canonical_ids(author: Author) -> list[str]:
    return [key.canonical_id for key in author.root.signers(roles.ROOT)]


def test_without_pins_the_first_root_is_trusted() -> None:
    assert isinstance(policy([]), FirstUse)
    assert top(Author().repository(), policy=FirstUse()).root.version == 1


def test_the_tuf_id_and_the_canonical_id_are_both_pins() -> None:
    author = Author()
    (tuf,), (canonical,) = ids(author), canonical_ids(author)
    assert tuf != canonical
    assert root_ids(author.root, tuf) == {tuf, canonical}
    for pin in (tuf, canonical, tuf.upper()):
        assert top(author.repository(), policy=policy([pin])).root.version == 1
        assert top(author.repository(), policy=policy(["0" * 64, pin])).root.version == 1


def test_another_root_than_the_pinned_one_is_refused_with_its_id() -> None:
    author = Author()
    with pytest.raises(RootNotPinnedError) as caught:
        top(author.repository(), policy=policy(["0" * 64]))
    assert caught.value.facts["offered"] == ids(author)
    assert ids(author)[0] in caught.value.why[0]


@pytest.mark.parametrize(
    ("threshold", "pinned", "accepted"),
    [(1, [0], True), (1, [1], True), (1, [0, 1], True), (2, [0], False), (2, [1], False), (2, [0, 1], True)],
)
def test_the_pinned_keys_alone_meet_the_threshold(threshold: int, pinned: list[int], accepted: bool) -> None:
    author = two_roots(threshold)
    chosen = policy([ids(author)[number] for number in pinned])
    if accepted:
        assert top(author.repository(), policy=chosen).root.version == 1
    else:
        with pytest.raises(RootNotPinnedError):
            top(author.repository(), policy=chosen)


def test_a_pinned_key_that_is_listed_and_did_not_sign_does_not_help() -> None:
    author = two_roots(1)
    pin = ids(author)[0]
    only_two = author.seal(author.root.to_signed(), author.root.signers(roles.ROOT)[1:])
    with pytest.raises(RootNotPinnedError):
        top({**author.repository(), roles.ROOT: only_two}, policy=policy([pin]))


def test_a_pinned_key_of_another_role_does_not_help() -> None:
    author = Author()
    pin = author.root.roles[roles.TARGETS].keyids[0]
    with pytest.raises(RootNotPinnedError):
        top(author.repository(), policy=policy([pin]))


def test_a_pinned_key_counts_only_with_a_certificate_for_the_gun() -> None:
    author = Author()
    foreign = author.root_key("pinned", common_name="registry.test/other")
    author.assign(roles.ROOT, [foreign, author.root_key("attacker")])
    assert top(author.repository(), policy=policy([author.root_key("attacker").keyid])).root.version == 1
    for pin in (foreign.keyid, foreign.canonical_id):
        with pytest.raises(RootNotPinnedError):
            top(author.repository(), policy=policy([pin]))


def test_an_old_certificate_of_the_pinned_key_is_no_obstacle_to_the_pin_itself() -> None:
    author = Author(now=NOW - timedelta(days=4000))
    assert top(author.repository(), policy=policy(ids(author)), now=NOW - timedelta(days=3999)).gun == GUN


@pytest.mark.parametrize(
    "pin", ["", "abc", "0" * 63, "0" * 65, "g" * 64, " " + "0" * 64, "0" * 64 + "\n", "sha256:" + "0" * 64]
)
def test_short_and_malformed_pins_are_refused(pin: str) -> None:
    with pytest.raises(InvalidNameError):
        check_pin(pin)
    with pytest.raises(InvalidNameError):
        policy(["0" * 64, pin])


def test_pins_are_kept_in_lower_case() -> None:
    assert policy(["AB" * 32]) == PinnedKeys(frozenset({"ab" * 32}))
