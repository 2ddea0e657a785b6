"""Pinned authorities: which chains of certificates lead to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from notarypy.errors import MetadataError
from notarypy.tuf import authorities
from notarypy.tuf.keys import PublicKey
from support.author import GUN, NOW, public_key, root_key
from support.chains import Made, authority, leaf, pem
from support.otherkeys import wrapped

DAY = timedelta(days=1)


def problem(pinned: list[Made], *bundle: Made, days: int = 1) -> str:
    key = PublicKey("ecdsa-x509", pem(*bundle))
    return authorities.problem(key, authorities.load(pem(*pinned)), NOW + days * DAY)


# -- rule 1


def test_a_certificate_that_a_pinned_authority_issued_is_accepted() -> None:
    assert problem([authority()], leaf()) == ""
    assert problem([authority("other"), authority()], leaf()) == ""


def test_the_bundle_leads_to_the_pinned_authority() -> None:
    chain = [leaf("low"), authority("low", "middle"), authority("middle", "ca")]
    assert problem([authority()], *chain) == ""
    assert problem([authority()], chain[0], chain[2], chain[1]) == ""
    assert problem([authority("middle", "ca")], *chain) == ""
    assert problem([authority()], *chain, authority()) == ""
    assert "no pinned authority" in problem([authority()], chain[0], chain[1])
    assert "no pinned authority" in problem([authority()], chain[0], chain[2])


def test_what_stands_in_the_bundle_is_not_thereby_pinned() -> None:
    found = problem([authority("other")], leaf(), authority())
    assert found == 'no pinned authority issued it; its issuer is "CN=ca"'


def test_a_name_alone_is_no_authority() -> None:
    impostor = Made("ca", "ca", key=ec.generate_private_key(ec.SECP256R1()))
    assert "no pinned authority" in problem([impostor], leaf())


def test_authorities_that_vouch_for_each_other_end_the_search() -> None:
    chain = [leaf("one"), authority("one", "two"), authority("two", "one")]
    assert "no pinned authority" in problem([authority()], *chain)


def test_a_pinned_leaf_needs_no_authority() -> None:
    assert problem([leaf()], leaf()) == ""
    own = root_key("root", GUN)
    assert authorities.problem(own, authorities.load(own.public), NOW) == ""
    assert "no pinned authority" in authorities.problem(own, authorities.load(pem(authority())), NOW)


# -- rule 2


@pytest.mark.parametrize("late", [{"end": NOW + DAY}, {"start": NOW + 5 * DAY}])
def test_every_certificate_is_in_date(late: dict[str, Any]) -> None:
    middle = authority("low", "ca")
    assert problem([authority()], leaf("low"), middle, days=2) == ""
    assert "is valid from" in problem([authority()], leaf("low", **late), middle, days=2)
    assert "is valid from" in problem([authority()], leaf("low"), authority("low", "ca", **late), days=2)
    assert "is valid from" in problem([authority(**late)], leaf("low"), middle, days=2)
    assert "is valid from" in problem([leaf(**late)], leaf(**late), days=2)


def test_the_first_and_the_last_moment_are_in_date() -> None:
    brief = leaf(start=NOW + DAY, end=NOW + 2 * DAY)
    assert [problem([authority()], brief, days=day) == "" for day in range(4)] == [False, True, True, False]


def test_weak_signatures_count_only_above_the_pinned_one() -> None:
    old = authority(sha1=True)
    assert problem([old], leaf()) == ""
    assert "SHA1" in problem([authority()], leaf(sha1=True))
    assert "SHA1" in problem([authority()], leaf("low"), authority("low", "ca", sha1=True))


def test_an_authority_of_the_bundle_has_a_key_that_notary_could_verify_with() -> None:
    odd = authority("low", "ca", key=ec.generate_private_key(ec.SECP192R1()))
    assert problem([authority()], leaf("low"), odd) != ""


# -- rule 3


@pytest.mark.parametrize(
    "flaw", [{"ca": False}, {"ca": None, "cert_sign": None}, {"cert_sign": False}, {"ca": None}]
)
def test_an_issuer_may_issue(flaw: dict[str, Any]) -> None:
    assert problem([authority(**flaw)], leaf()) == '"CN=ca" may not issue certificates'
    middle = authority("low", "ca", **flaw)
    assert problem([authority()], leaf("low"), middle) == '"CN=low" may not issue certificates'


def test_an_authority_need_not_limit_its_key() -> None:
    assert problem([authority(cert_sign=None)], leaf()) == ""


def test_the_length_of_a_path_is_limited() -> None:
    chain = [leaf("low"), authority("low", "ca", depth=0)]
    assert problem([authority(depth=0)], leaf()) == ""
    assert problem([authority(depth=1)], *chain) == ""
    assert "allows no chain" in problem([authority(depth=0)], *chain)
    longer = [leaf("lower"), authority("lower", "low"), authority("low", "ca", depth=0)]
    assert "allows no chain" in problem([authority()], *longer)


# -- rules 4 and 5


@pytest.mark.parametrize(
    ("uses", "accepted"),
    [
        ([Use.CODE_SIGNING], True),
        ([Use.SERVER_AUTH], True),
        ([Use.ANY_EXTENDED_KEY_USAGE], True),
        ([Use.CLIENT_AUTH, Use.CODE_SIGNING], True),
        ([Use.CLIENT_AUTH], False),
        ([Use.EMAIL_PROTECTION, Use.OCSP_SIGNING], False),
    ],
)
def test_what_a_certificate_is_for(uses: list[object], accepted: bool) -> None:
    assert (problem([authority()], leaf(uses=uses)) == "") is accepted
    assert (problem([authority()], leaf("low"), authority("low", "ca", uses=uses)) == "") is accepted
    assert (problem([authority(uses=uses)], leaf()) == "") is accepted


def test_a_critical_extension_that_nobody_knows_is_refused() -> None:
    assert "not understood" in problem([authority()], leaf(odd=True))
    assert "not understood" in problem([authority()], leaf("low"), authority("low", "ca", odd=True))
    assert "not understood" in problem([authority(odd=True)], leaf())


# -- input


def test_keys_without_a_readable_certificate_do_not_chain() -> None:
    pinned = authorities.load(pem(authority()))
    assert authorities.problem(public_key("x"), pinned, NOW) == "it has no certificate"
    assert "cannot be used" in authorities.problem(PublicKey("ecdsa-x509", b"junk"), pinned, NOW)


@pytest.mark.parametrize("data", [b"", b"junk", wrapped(b"junk")])
def test_a_file_without_certificates_pins_nothing(data: bytes) -> None:
    with pytest.raises(MetadataError, match="no certificate"):
        authorities.load(data)
