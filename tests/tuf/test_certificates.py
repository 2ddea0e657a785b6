"""Root certificates: one test for each row of what Notary demands of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from notarypy.tuf import certificates
from notarypy.tuf.keys import PublicKey
from support.author import GUN, NOW, private_key, public_key, root_key
from support.otherkeys import certificate, chain, ec_key, rsa_key, wrapped

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = NOW + 3650 * DAY
CA = private_key("ca")
LATEST = datetime(9999, 12, 31, 23, tzinfo=UTC)


def leaf(
    *names: str, start: datetime = NOW, end: datetime = END, ca: bool | None = False, key: str = "root"
) -> PublicKey:
    one = certificate(private_key(key).public_key(), private_key(key), names, start, end, ca=ca)
    return PublicKey("ecdsa-x509", chain(one))


def bundle(*parts: str, ca_end: datetime = END) -> PublicKey:
    made = {
        "leaf": certificate(private_key("leaf").public_key(), CA, (GUN,), NOW, END),
        "leaf2": certificate(private_key("leaf2").public_key(), CA, (GUN,), NOW, END),
        "ca": certificate(CA.public_key(), CA, ("a CA",), NOW, ca_end, ca=True),
        "ca2": certificate(private_key("ca2").public_key(), CA, ("another CA",), NOW, END, ca=True),
    }
    return PublicKey("ecdsa-x509", chain(*(made[part] for part in parts)))


def mangled(old: str, new: str) -> PublicKey:
    text = bytes.fromhex(old), bytes.fromhex(new)
    from notarypy.tuf.keys import leaf_certificate

    der = leaf_certificate(root_key("root", GUN)).public_bytes(Encoding.DER)
    assert text[0] in der
    return PublicKey("ecdsa-x509", wrapped(der.replace(*text)))


@pytest.mark.parametrize("moment", [None, NOW, NOW + 3650 * DAY])
def test_a_certificate_as_clients_make_it_is_accepted(moment: datetime | None) -> None:
    assert certificates.problem(root_key("root", GUN), GUN, moment) == ""


@pytest.mark.parametrize(
    "key", [public_key("root"), PublicKey("ed25519", b"\0" * 32), PublicKey("x509", b"")]
)
def test_a_plain_root_key_is_refused(key: PublicKey) -> None:
    assert certificates.problem(key, GUN, NOW) == "a root key has no certificate"


def test_a_leaf_that_is_an_authority_is_refused() -> None:
    assert "not one leaf" in certificates.problem(leaf(GUN, ca=True), GUN, NOW)


def test_a_leaf_without_basic_constraints_is_no_authority() -> None:
    assert certificates.problem(leaf(GUN, ca=None), GUN, NOW) == ""


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        ((GUN,), True),
        (("*",), True),
        (("registry.test/*",), True),
        (("registry.test/te*",), True),
        (("registry.test/**",), True),
        ((GUN + "*",), True),
        ((), False),
        (("other",), False),
        ((GUN + "x",), False),
        ((GUN[:-1],), False),
        ((GUN.upper(),), False),
        ((GUN + " ",), False),
        (("registry.test/other*",), False),
        (("registry.test/teX*",), False),
        (("*" + GUN,), False),
        (("registry.test/*/app",), False),
        ((GUN, "other"), False),
        (("other", GUN), False),
        ((GUN, GUN), False),
    ],
)
def test_the_common_name_is_the_gun_or_a_prefix_of_it(names: tuple[str, ...], accepted: bool) -> None:
    reason = certificates.problem(leaf(*names), GUN, NOW)
    assert (reason == "") is accepted
    assert accepted or reason == f'a root certificate is for "{", ".join(names)}", not for "{GUN}"'


@pytest.mark.parametrize(
    ("moment", "accepted"),
    [
        (NOW - DAY, True),
        (NOW - DAY - timedelta(seconds=1), False),
        (NOW - 20 * HOUR, True),
        (NOW, True),
        (END, True),
        (END + timedelta(seconds=1), False),
        (END + 100 * DAY, False),
    ],
)
def test_it_is_valid_from_at_most_a_day_after_now_and_not_expired(moment: datetime, accepted: bool) -> None:
    assert (certificates.problem(leaf(GUN), GUN, moment) == "") is accepted
    assert certificates.problem(leaf(GUN), GUN, None) == ""


def test_the_reasons_name_the_dates() -> None:
    assert certificates.problem(leaf(GUN), GUN, END + DAY) == (
        "a root certificate cannot be used: it expired on 2036-11-20"
    )
    assert certificates.problem(leaf(GUN), GUN, NOW - 2 * DAY) == (
        "a root certificate is valid only from 2026-11-23"
    )


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1], ids=lambda curve: curve.name)
def test_other_curves_are_accepted(curve: type[ec.EllipticCurve]) -> None:
    one = certificate(ec_key(curve).public_key(), ec_key(curve), (GUN,), NOW, END)
    assert certificates.problem(PublicKey("ecdsa-x509", chain(one)), GUN, NOW) == ""


@pytest.mark.parametrize(("bits", "accepted"), [(1024, False), (2048, True), (3072, True)])
def test_rsa_has_2048_bits_or_more(bits: int, accepted: bool) -> None:
    one = certificate(rsa_key(bits).public_key(), CA, (GUN,), NOW, END)
    reason = certificates.problem(PublicKey("rsa-x509", chain(one)), GUN, NOW)
    assert (reason == "") is accepted
    assert accepted or "cannot use this key" in reason


@pytest.mark.parametrize("moment", [None, NOW])
def test_sha1_is_refused_whenever_it_was_signed(moment: datetime | None) -> None:
    der = certificate(rsa_key().public_key(), rsa_key(), (GUN,), NOW, END).public_bytes(Encoding.DER)
    sha256, sha1, md5 = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05", "04"))
    for oid, name in ((sha1, "SHA1"), (md5, "MD5")):
        key = PublicKey("rsa-x509", wrapped(der.replace(sha256, oid)))
        expected = f"a root certificate cannot be used: it is signed with {name}"
        assert certificates.problem(key, GUN, moment) == expected


@pytest.mark.parametrize(
    ("parts", "accepted"),
    [
        (["leaf", "ca"], True),
        (["leaf", "ca", "ca2"], True),
        (["ca", "leaf"], False),
        (["leaf", "leaf2"], False),
        (["leaf", "ca", "leaf2"], False),
        (["ca"], False),
        (["ca", "ca2"], False),
    ],
)
def test_a_bundle_is_one_leaf_followed_by_authorities(parts: list[str], accepted: bool) -> None:
    reason = certificates.problem(bundle(*parts), GUN, NOW)
    assert (reason == "") is accepted
    assert accepted or "not one leaf followed by" in reason


def test_an_expired_authority_in_the_bundle_is_refused_for_the_newest_root_only() -> None:
    key = bundle("leaf", "ca", ca_end=NOW + DAY)
    assert certificates.problem(key, GUN, NOW) == ""
    assert "an authority in a root certificate bundle is out of date" in certificates.problem(
        key, GUN, NOW + 2 * DAY
    )
    assert certificates.problem(key, GUN, None) == ""


@pytest.mark.parametrize(
    "key",
    [
        PublicKey("ecdsa-x509", b""),
        PublicKey("ecdsa-x509", b"junk"),
        PublicKey("ecdsa-x509", wrapped(b"123")),
        PublicKey(
            "ecdsa-x509",
            chain(certificate(x25519.X25519PrivateKey.generate().public_key(), CA, (GUN,), NOW, END)),
        ),
        mangled("06072a8648ce3d0201", "06072a8648ce3d0209"),
        mangled("06082a8648ce3d030107", "06082a8648ce3d030177"),
        mangled("06082a8648ce3d040302", "06082a8648ce3d040377"),
        mangled("0603551d0f", "0603551d13"),
        mangled("0603551d0f", "0603551d11"),
        mangled("a003020102", "a003020101"),
        mangled("a003020102", "a003020109"),
        mangled("0603550403", "06035504ff"),
        mangled("0603550403", "0603550480"),
    ],
    ids=[
        "empty", "junk", "der", "x25519", "unknown key", "unknown curve", "unknown signature",
        "two constraints", "unreadable names", "version 2", "version 10", "no end of a subject's oid",
        "odd subject",
    ],
)  # fmt: skip
def test_strange_certificates_are_a_reason_and_never_a_crash(key: PublicKey) -> None:
    reason = certificates.problem(key, GUN, NOW)
    assert reason.startswith("a root certificate cannot be used")


@pytest.mark.parametrize(
    ("moment", "reason"), [(None, "cannot be used"), (NOW, "valid only from 9999-12-31")]
)
def test_the_end_of_time_is_a_date_like_any_other(moment: datetime | None, reason: str) -> None:
    assert reason in certificates.problem(root_key("late", GUN, LATEST, LATEST), GUN, moment)


@pytest.mark.parametrize(("count", "accepted"), [(16, True), (17, False)])
def test_the_certificates_of_a_bundle_are_bounded(count: int, accepted: bool) -> None:
    reason = certificates.problem(bundle("leaf", *["ca"] * (count - 1)), GUN, NOW)
    assert (reason == "") is accepted
    assert accepted or "more than 16 certificates" in reason


def test_the_date_of_a_root_key_is_its_leafs() -> None:
    assert certificates.expiry(bundle("leaf", "ca", ca_end=END + DAY)) == END.replace(tzinfo=UTC)
