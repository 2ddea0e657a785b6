"""Which earlier roots a root vouches for: the rules of `trustanchors` from the sixth on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notarypy.errors import VerificationError
from notarypy.tuf import roles
from notarypy.tuf.fields import RoleKeys
from notarypy.tuf.trustanchors import earlier_root
from support.author import GUN, Author

LIAR = "liar"


def grown(*names: str) -> tuple[Author, list[bytes]]:
    """Return an author whose root key was replaced by each of these, and all roots, oldest first."""
    author = Author()
    made = [author.file(roles.ROOT)]
    for name in names:
        author.next_root()
        author.assign(roles.ROOT, [author.root_key(name)])
        made.append(author.file(roles.ROOT))
    return author, made


def refused(later: bytes, data: bytes) -> str:
    with pytest.raises(VerificationError) as caught:
        earlier_root(GUN, later, data)
    return "; ".join(caught.value.why)


def test_rotations_lead_back_to_the_first_root() -> None:
    _, (first, second, third) = grown("second", "third")
    assert earlier_root(GUN, third, second).version == 2
    assert earlier_root(GUN, second, first).version == 1


def test_rule_6_an_earlier_root_signed_the_later_one() -> None:
    _, (first, _, third) = grown("second", "third")
    assert refused(third, first) == "its keys did not sign version 3"


def test_rule_7_it_meets_its_own_threshold_for_this_repository() -> None:
    author, (first, second) = grown("second")
    assert "valid of 1 needed" in refused(second, first.replace(b'"sig":"', b'"sig":"AAAA'))
    with pytest.raises(VerificationError):
        earlier_root("registry.test/other", second, first)
    assert author.root.version == 2


@pytest.mark.parametrize("threshold", [1, 2])
def test_rule_8_the_later_one_knows_who_signed_it(threshold: int) -> None:
    author, (_, second) = grown("second")
    before = author._previous_root  # noqa: SLF001 - what was signed before
    assert before is not None
    liar = Author()
    own = [liar.root_key(f"{LIAR}{number}") for number in range(threshold)]
    keyids = (*before.roles[roles.ROOT].keyids, *(key.keyid for key in own))
    liar.root = replace(
        before,
        keys={**before.keys, **{key.keyid: key for key in own}},
        roles={**before.roles, roles.ROOT: RoleKeys(keyids, 1)},
    )
    forged = liar.seal(liar.root.to_signed(), own)
    assert refused(second, forged) == "version 2 does not know the keys that signed it"


def test_rule_8_a_key_of_another_role_is_no_root_key() -> None:
    author, (_, second) = grown("second")
    before = author._previous_root  # noqa: SLF001 - what was signed before
    assert before is not None
    targets = author.root_key(f"{GUN}/targets")  # the key of targets, in a certificate of its holder's own
    liar = replace(
        before,
        keys={**before.keys, targets.keyid: targets},
        roles={
            **before.roles,
            roles.ROOT: RoleKeys((*before.roles[roles.ROOT].keyids, targets.keyid), 1),
        },
    )
    forged = author.seal(liar.to_signed(), [targets])
    assert refused(second, forged) == "version 2 does not know the keys that signed it"


def test_a_later_version_is_no_earlier_root() -> None:
    _, (first, second) = grown("second")
    assert "no earlier one" in refused(first, second)
    assert "no earlier one" in refused(second, second)
