"""Pins: which first root is acceptable."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import InvalidNameError, RootNotPinnedError
from notarypy.tuf import authorities, roles
from notarypy.tuf.keys import leaf_certificate
from notarypy.tuf.trustanchors import (
    Anchored,
    AuthorityAnchor,
    Every,
    FirstUse,
    Forbidden,
    KeyAnchor,
    certificate_sha256,
    every,
    parts,
    policy,
    root_ids,
)
from support.author import GUN, NOW, Author
from support.chains import authority, leaf, pem
from support.repository import LATER, top

if TYPE_CHECKING:
    from collections.abc import Iterable

    from notarypy.tuf.trustanchors import RootPolicy


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
    assert caught.value.facts["offered"] == canonical_ids(author)
    assert canonical_ids(author)[0] in caught.value.why[0]


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
        roles.check_pin(pin)
    with pytest.raises(InvalidNameError):
        policy(["0" * 64, pin])


def test_pins_are_kept_in_lower_case() -> None:
    assert policy(["AB" * 32]) == Anchored((KeyAnchor(frozenset({"ab" * 32})),))


# -- certificates and authorities


def issued(*bundle: bytes) -> Author:
    author = Author()
    author.assign(roles.ROOT, [author.bundled_key("leaf", b"".join(bundle or (pem(leaf()),)))])
    return author


def only(*, ids: Iterable[str] = (), certificate: bytes = b"", ca: bytes = b"") -> RootPolicy:
    certificates = authorities.load(certificate) if certificate else ()
    issued_by = AuthorityAnchor(authorities.load(ca), LATER) if ca else None
    return policy(ids, "a test", certificates, issued_by)


def refused(author: Author, chosen: RootPolicy) -> str:
    with pytest.raises(RootNotPinnedError) as caught:
        top(author.repository(), policy=chosen)
    return "\n".join(caught.value.why)


def test_a_root_is_pinned_by_its_certificate() -> None:
    author = Author()
    (key,) = author.root.signers(roles.ROOT)
    assert top(author.repository(), policy=only(certificate=key.public)).root.version == 1
    again = author.root_key(f"{GUN}/root", end=NOW + timedelta(days=100))
    assert (again.canonical_id, again.keyid == key.keyid) == (key.canonical_id, False)
    told = refused(author, only(certificate=again.public))
    assert certificate_sha256(leaf_certificate(again)) in told
    assert certificate_sha256(leaf_certificate(key)) in told
    assert "pinned by a test" in told


def test_a_root_is_pinned_by_the_authority_of_its_certificate() -> None:
    ca = only(ca=pem(authority("other"), authority()))
    assert top(issued().repository(), policy=ca).root.version == 1
    low = issued(pem(leaf("low"), authority("low", "ca")))
    assert top(low.repository(), policy=ca).root.version == 1
    assert "no pinned authority" in refused(issued(), only(ca=pem(authority("other"))))
    assert "no pinned authority" in refused(Author(), ca)


def test_an_authority_vouches_only_for_a_certificate_for_the_gun() -> None:
    author = issued()
    foreign = author.root_key("attacker")
    author.assign(roles.ROOT, [*author.root.signers(roles.ROOT), foreign], 2)
    assert "no pinned authority" in refused(author, only(ca=pem(authority())))


def test_pins_of_several_kinds_add_up_to_the_threshold() -> None:
    author = issued()
    other = author.root_key("another root")
    author.assign(roles.ROOT, [*author.root.signers(roles.ROOT), other], 2)
    ca, ids = pem(authority()), [other.keyid]
    assert top(author.repository(), policy=only(ca=ca, ids=ids)).root.version == 1
    assert top(author.repository(), policy=only(ca=ca, certificate=other.public)).root.version == 1
    refused(author, only(ids=ids))
    refused(author, only(ca=ca))


def test_no_pins_at_all_are_first_use() -> None:
    assert isinstance(only(), FirstUse)
    assert FirstUse().explain(Author().root) == ()


# -- putting policies together


def test_forbidden_first_use_accepts_nothing_and_says_why() -> None:
    assert "no root of it is pinned, and it is Sunday" in refused(Author(), Forbidden("it is Sunday"))


def test_every_policy_is_to_be_met() -> None:
    author = Author()
    good, bad = policy(ids(author), "here"), policy(["0" * 64], "there")
    assert every([]) == every([FirstUse()]) == FirstUse()
    assert every([FirstUse(), good]) == good
    assert parts(good) == (good,)
    both = every([good, bad])
    assert both == Every((good, bad))
    assert parts(both) == (good, bad)
    told = refused(author, both)
    assert "pinned by there" in told
    assert top(author.repository(), policy=every([good, good])).root.version == 1
