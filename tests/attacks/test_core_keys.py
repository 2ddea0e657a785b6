"""Attacks with keys: wrong ones, one counted twice, false ids, and certificates that prove nothing."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.errors import MetadataError, SignatureError, TrustError, VerificationError
from notarypy.tuf import canonical, roles
from notarypy.tuf.envelope import Signature, seal
from notarypy.tuf.fields import RoleKeys
from notarypy.tuf.keys import PublicKey
from support.author import GUN, NOW, Author, private_key, public_key, root_key, signature
from support.otherkeys import (
    bare,
    certificate,
    chain,
    compressed_spki,
    ec_key,
    ecdsa,
    pss,
    rsa_key,
    rsa_spki,
    wrapped,
)
from support.repository import assembled, changed, delegated, load, rewritten, signed, tagged, top

END = NOW.replace(year=2030)
RSA_CERTIFICATE = PublicKey(
    "rsa-x509", chain(certificate(rsa_key().public_key(), rsa_key(), ("x",), NOW, END))
)


def with_delegation(keys: list[PublicKey], threshold: int) -> tuple[Author, bytes]:
    """Return a repository that delegates to these keys, and the message they sign."""
    author = tagged()
    author.delegate("targets/a", keys, threshold=threshold)
    author.add("evil", b"evil", "targets/a")
    return author, canonical.encode(signed(author, "targets/a"))


def outcome(author: Author, signatures: list[Signature]) -> str:
    data = seal(signed(author, "targets/a"), signatures)
    metadata = load(assembled(author, targets__a=data))
    if "targets/a" in metadata.targets:
        return "trusted"
    assert isinstance(metadata.failures["targets/a"], SignatureError)
    return "refused"


def rsa_signature(key: PublicKey, message: bytes) -> Signature:
    return Signature(key.keyid, "rsapss", pss(rsa_key(), message))


def test_one_rsa_key_listed_bare_and_in_a_certificate_is_one_key() -> None:
    keys = [bare(rsa_key()), RSA_CERTIFICATE]
    for threshold, expected in ((1, "trusted"), (2, "refused")):
        author, message = with_delegation(keys, threshold)
        assert outcome(author, [rsa_signature(key, message) for key in keys]) == expected


def test_one_ecdsa_key_listed_bare_and_in_two_certificates_is_one_key() -> None:
    keys = [public_key("a"), root_key("a", "one"), root_key("a", "two")]
    author, message = with_delegation(keys, 2)
    assert outcome(author, [signature("a", key, message) for key in keys]) == "refused"


@pytest.mark.parametrize("encoding", ["compressed", "no null"])
def test_one_key_in_two_encodings_is_one_key(encoding: str) -> None:
    if encoding == "compressed":
        twin = PublicKey("ecdsa", compressed_spki(private_key("a")))
        author, message = with_delegation([public_key("a"), twin], 2)
        both = [signature("a", key, message) for key in (public_key("a"), twin)]
    else:
        numbers = rsa_key().public_key().public_numbers()
        twin = PublicKey("rsa", rsa_spki(numbers.n, numbers.e, null=False))
        author, message = with_delegation([bare(rsa_key()), twin], 2)
        both = [rsa_signature(key, message) for key in (bare(rsa_key()), twin)]
    assert both[0].keyid != both[1].keyid
    assert outcome(author, both) == "refused"


@pytest.mark.parametrize("count", [2, 64])
def test_repeated_signatures_are_one_signature(count: int) -> None:
    author, message = with_delegation([public_key("a"), public_key("b")], 2)
    assert outcome(author, [signature("a", public_key("a"), message)] * count) == "refused"


def test_a_high_and_a_low_s_are_one_signature() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    author, message = with_delegation([public_key("a"), public_key("b")], 2)
    one = signature("a", public_key("a"), message)
    other = (order - int.from_bytes(one.sig[32:], "big")).to_bytes(32, "big")
    assert outcome(author, [one, replace(one, sig=one.sig[:32] + other)]) == "refused"


def test_a_key_id_listed_twice_is_one_key() -> None:
    author = tagged()
    key = author.key("a")
    author.delegate("targets/a", [key, key], threshold=2)
    author.add("evil", b"evil", "targets/a")
    message = canonical.encode(signed(author, "targets/a"))
    assert outcome(author, [signature("a", key, message)] * 2) == "refused"


def test_a_valid_signature_under_somebody_elses_id_counts_for_nobody() -> None:
    author, message = with_delegation([public_key("a"), public_key("b")], 2)
    mine = signature("a", public_key("a"), message)
    assert outcome(author, [mine, replace(mine, keyid=public_key("b").keyid)]) == "refused"


def test_a_key_under_a_false_id_signs_nothing() -> None:
    author = tagged()
    honest = author.root.roles["targets"].keyids[0]
    evil = author.key("evil")

    def swapped(value: dict[str, Any]) -> dict[str, Any]:
        return changed(value, f"keys.{honest}", evil.to_json())

    root = author.seal(swapped(author.root.to_signed()), author.root.signers("root"))
    for signers in ([evil], author.signers("targets")):
        targets = author.seal(signed(author, "targets"), signers)
        with pytest.raises(SignatureError):
            load(assembled(author, root=root, targets=targets))


def test_keys_smuggled_into_the_table_without_a_role_sign_nothing() -> None:
    author = tagged()
    evil = author.key("evil")
    author.root = replace(author.root, keys={**author.root.keys, evil.keyid: evil})
    forged = author.seal(signed(author, "targets"), [evil])
    with pytest.raises(SignatureError):
        load(assembled(author, targets=forged))


@pytest.mark.parametrize("thief", ["timestamp", "snapshot", "root", "targets/a"])
def test_no_other_roles_key_signs_targets(thief: str) -> None:
    author = delegated("targets/a")
    forged = author.seal(signed(author, "targets"), author.signers(thief))
    with pytest.raises(SignatureError):
        load(assembled(author, targets=forged))


def test_a_delegates_key_does_not_sign_his_neighbours_or_his_childs_file() -> None:
    author = delegated("targets/a", "targets/b", "targets/a/c")
    for role in ("targets/b", "targets/a/c"):
        forged = author.seal(signed(author, role), author.signers("targets/a"))
        metadata = load(assembled(author, **{role.replace("/", "__"): forged}))
        assert isinstance(metadata.failures[role], SignatureError)


@pytest.mark.parametrize("method", ["rsapss", "eddsa", "rsapkcs1v15", "ECDSA ", "", "ecdsa-x509"])
def test_a_signature_does_not_choose_how_it_is_checked(method: str) -> None:
    author, message = with_delegation([public_key("a")], 1)
    assert outcome(author, [replace(signature("a", public_key("a"), message), method=method)]) == "refused"


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        (bare(rsa_key(1024)), lambda message: ("rsapss", pss(rsa_key(1024), message))),
        (bare(ec_key(ec.SECP256K1)), lambda message: ("ecdsa", ecdsa(ec_key(ec.SECP256K1), message))),
        (
            PublicKey("ECDSA", public_key("a").public),
            lambda message: ("ecdsa", ecdsa(private_key("a"), message)),
        ),
    ],
    ids=["rsa-1024", "secp256k1", "type in capitals"],
)
def test_weak_and_unknown_keys_never_count(key: PublicKey, sign: Any) -> None:  # noqa: ANN401 - a table of lambdas
    author, message = with_delegation([key], 1)
    method, raw = sign(message)
    assert outcome(author, [Signature(key.keyid, method, raw)]) == "refused"


def test_an_rsa_key_with_exponent_1_is_nobodys_delegate() -> None:
    modulus = rsa_key().public_key().public_numbers().n
    author, _ = with_delegation([PublicKey("rsa", rsa_spki(modulus, 1))], 1)
    keyid = author.targets["targets"].roles[0].keyids[0]
    for forged in (b"\0" * 255 + b"\1", b"\0" * 256, b"\xff" * 256):
        for method in ("rsapss", "rsapkcs1v15"):
            assert outcome(author, [Signature(keyid, method, forged)]) == "refused"


@pytest.mark.parametrize("threshold", [0, -1, None, "1", True])
def test_a_threshold_below_one_makes_the_file_malformed(threshold: object) -> None:
    author = delegated("targets/a")
    targets = rewritten(
        author, "targets", lambda value: changed(value, "delegations.roles.0.threshold", threshold)
    )
    with pytest.raises(MetadataError):
        load(assembled(author, targets=targets))


def test_a_threshold_beyond_the_number_of_keys_is_never_met() -> None:
    author = Author()
    author.root = replace(
        author.root,
        roles={**author.root.roles, "targets": RoleKeys(author.root.roles["targets"].keyids, 2)},
    )
    with pytest.raises(SignatureError) as caught:
        load(author.repository())
    assert caught.value.facts["threshold"] == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sig", ""),
        ("sig", "AAAA"),
        ("sig", base64.b64encode(b"\0" * 64).decode()),
        ("keyid", "f" * 64),
        ("keyid", ""),
        ("method", "none"),
    ],
)
def test_a_mangled_signature_is_no_signature(field: str, value: str) -> None:
    author = tagged()
    document = canonical.decode(author.file("targets"))
    document["signatures"][0][field] = value
    data = canonical.storage_form(canonical.encode(document["signed"]), document["signatures"])
    with pytest.raises(SignatureError):
        load(assembled(author, targets=data))


# -- root certificates


def root_with(key: PublicKey, names: dict[str, str]) -> Author:
    author = tagged()
    author.assign(roles.ROOT, [key])
    author._names.update(names)  # noqa: SLF001 - the author signs with a key that it did not make
    return author


@pytest.mark.parametrize(
    "common_name", ["registry.test/team/other", "registry.test", "*.test", "registry.test/team/ap", " " + GUN]
)
def test_a_certificate_for_another_name_founds_no_repository(common_name: str) -> None:
    author = tagged()
    author.assign(roles.ROOT, [author.root_key("r", common_name)])
    with pytest.raises(VerificationError, match="no usable certificate"):
        load(author.repository())


def test_an_authority_cannot_stand_in_for_its_leaf() -> None:
    ca = certificate(private_key("ca").public_key(), private_key("ca"), (GUN,), NOW, END, ca=True)
    leaf = certificate(private_key("leaf").public_key(), private_key("ca"), (GUN,), NOW, END)
    for parts in ((ca,), (ca, leaf)):
        key = PublicKey("ecdsa-x509", chain(*parts))
        with pytest.raises(VerificationError, match="no usable certificate"):
            load(root_with(key, {key.keyid: "ca"}).repository())
    key = PublicKey("ecdsa-x509", chain(leaf, ca))
    assert load(root_with(key, {key.keyid: "leaf"}).repository()).targets
    with pytest.raises(SignatureError):
        load(root_with(key, {key.keyid: "ca"}).repository())


def test_a_second_certificate_for_the_same_key_does_not_meet_a_threshold_of_two() -> None:
    author = tagged()
    twins = [author.root_key("r"), author.root_key("r", end=END)]
    author.assign(roles.ROOT, twins, 2)
    assert twins[0].keyid != twins[1].keyid
    with pytest.raises(SignatureError):
        load(author.repository())


def test_the_trusted_roots_threshold_is_not_met_by_one_key_in_two_certificates() -> None:
    author = tagged()
    author.assign(roles.ROOT, [author.root_key("one"), author.root_key("two")], 2)
    anchor = author.file("root")
    first = author.root.signers("root")
    author.next_root()
    author.assign(roles.ROOT, [author.root_key("evil")])
    forged = author.seal(author.root.to_signed(), [first[0], first[0], *author.root.signers("root")])
    with pytest.raises(TrustError):
        load(assembled(author, root=forged), anchor=anchor)


def test_a_key_that_says_certificate_and_holds_none_is_refused() -> None:
    for public in (b"", public_key("r").public, wrapped(b"\x30\x03\x02\x01\x01")):
        key = PublicKey("ecdsa-x509", public)
        with pytest.raises(VerificationError, match="no usable certificate"):
            load(root_with(key, {key.keyid: "r"}).repository())


def test_an_ecdsa_key_cannot_hide_in_an_rsa_x509_type() -> None:
    key = PublicKey("rsa-x509", root_key("r", GUN).public)
    with pytest.raises(SignatureError):
        load(root_with(key, {key.keyid: "r"}).repository())


def test_a_hostile_certificate_in_another_role_spoils_only_that_role() -> None:
    author = delegated("targets/b")
    author.delegate(
        "targets/a", [PublicKey("ecdsa-x509", b"junk"), PublicKey("rsa-x509", wrapped(b"\x30\x00"))]
    )
    author.add("x", b"x", "targets/a")
    data = author.seal(signed(author, "targets/a"), [author.key("anybody")])
    metadata = load(assembled(author, targets__a=data))
    assert set(metadata.failures) == {"targets/a"}
    assert "targets/b" in metadata.targets


def test_the_first_root_must_be_signed_by_what_it_lists() -> None:
    author = tagged()
    forged = author.seal(author.root.to_signed(), [author.key("stranger")])
    with pytest.raises(SignatureError):
        top(assembled(author, root=forged))
