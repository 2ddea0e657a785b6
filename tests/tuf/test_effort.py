"""What strangers and signers may make a reader do: checks, comparisons and memory are bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy import jsontext
from notarypy.errors import MetadataError, RootNotPinnedError, SignatureError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import (
    authorities,
    canonical,
    envelope,
    fields,
    policy,
    roles,
    trustanchors,
    trusted,
)
from notarypy.tuf.envelope import Envelope, Signature, VerificationBudget, valid_keys
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.metadata import Delegation, Targets
from support.author import GUN, NOW, Author, public_key, root_key, signature
from support.chains import authority, leaf, pem
from support.counting import calls, work
from support.repository import assembled, changed, delegated, load, rewritten, tagged, top, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.tuf.trusted import TrustedMetadata

SIGNED = {"_type": "Targets", "version": 1}
MESSAGE = canonical.encode(SIGNED)


def junk(key: PublicKey, count: int) -> list[Signature]:
    return [Signature(key.keyid, "ecdsa", number.to_bytes(64, "big")) for number in range(1, count + 1)]


def checked(file: Envelope, *keys: PublicKey) -> tuple[set[str], int]:
    """Return who signed, and how many signatures were checked for that."""
    found: list[frozenset[str]] = []
    table = {key.keyid: key for key in keys}
    count = calls(lambda: found.append(valid_keys(file, table, list(table))))["check"]
    return set(found[0]), count


def sealed(*entries: Signature) -> Envelope:
    return Envelope.parse(envelope.seal(SIGNED, entries), "targets")


# -- paths


def nested(count: int) -> TrustedMetadata:
    """One signer's two levels of delegations with many paths each; the lowest lists a tag of everybody's."""
    author = tagged()
    key = author.key("all")
    author.delegate("targets/a", [key])
    author.add("v1", b"one", "targets/a")
    author.delegate("targets/a/b", [key], tuple(f"p{number}" for number in range(count)))
    author.add("v1", b"one", "targets/a/b")
    author.delegate("targets/a/b/c", [key], tuple(f"q{number}" for number in range(count)))
    author.add("v1", b"one", "targets/a/b/c")
    return load(author.repository())


def test_narrowing_looks_at_each_path_a_few_times() -> None:
    above, below = (tuple(f"{name}{number}" for number in range(2000)) for name in "pq")
    assert work(lambda: roles.narrowed(above, below)) < 20 * 2000
    assert work(lambda: roles.narrowed(above, above)) < 20 * 2000


def test_a_lookup_does_not_look_at_every_path() -> None:
    result = nested(2000)
    content = TargetFile.of(b"one")
    assert work(lambda: policy.signers(result, "v1", content)) < 200
    assert work(lambda: policy.released(result, "v1")) < 200
    assert policy.signers(result, "v1", content) == ("targets/a",)


def test_a_delegation_has_a_limit_of_paths() -> None:
    author = delegated("targets/a", "targets/b")
    for count, failed in (
        (DEFAULT.delegation_paths, set[str]()),
        (DEFAULT.delegation_paths + 1, {"targets/a/c"}),
    ):
        author.delegate("targets/a/c", [author.key("c")], ("p",) * count)
        author.add("p", b"p", "targets/a/c")
        result = load(author.repository())
        assert set(result.failures) == failed
        assert "targets/b" in result.targets


def test_what_is_left_to_load_is_not_looked_for_from_the_beginning() -> None:
    author = delegated("targets/a")
    key = author.key("all")
    names = [f"targets/a/{number}" for number in range(1000)]
    author.targets["targets/a"] = replace(
        author.targets["targets/a"],
        roles=tuple(Delegation(name, (key.keyid,), 1, ()) for name in names),
        keys={key.keyid: key},
    )
    files = author.files()
    junk = dict.fromkeys(names[:100], b"junk")
    files = assembled(author, **{name.replace("/", "__"): data for name, data in {**files, **junk}.items()})
    result = top(files)
    result.update_targets(files[roles.TARGETS])
    result.update_delegation("targets/a", files["targets/a"])

    def all_of_it() -> None:
        while (role := result.pending()) is not None:
            result.skip_delegation(role, MetadataError("junk"))

    assert work(all_of_it) < 3000
    assert len(result.failures) == 100


# -- signatures


def test_a_key_that_signed_is_not_checked_again() -> None:
    key = public_key("a")
    good = signature("a", key, MESSAGE)
    assert checked(sealed(good, *junk(key, 20)), key) == ({key.keyid}, 1)
    assert checked(sealed(good, good, good), key) == ({key.keyid}, 1)


def test_junk_before_a_good_signature_does_no_harm_but_only_so_much_is_checked() -> None:
    key = public_key("a")
    good = signature("a", key, MESSAGE)
    assert checked(sealed(*junk(key, DEFAULT.tries_of_key - 1), good), key)[0] == {key.keyid}
    assert checked(sealed(*junk(key, 1) * 60, good), key) == ({key.keyid}, 2)
    assert checked(sealed(*junk(key, 63)), key) == (set(), DEFAULT.tries_of_key)
    other = public_key("b")
    both = sealed(*junk(key, 30), signature("b", other, MESSAGE))
    assert checked(both, key, other) == ({other.keyid}, DEFAULT.tries_of_key + 1)


def test_a_signature_of_one_file_is_checked_once() -> None:
    key = public_key("a")
    file = sealed(signature("a", key, MESSAGE))
    assert [checked(file, key)[1] for _ in range(3)] == [1, 0, 0]


def test_attempts_are_counted_over_several_files() -> None:
    key, left = public_key("a"), VerificationBudget(3, "the files")
    good = sealed(signature("a", key, MESSAGE))
    table = {key.keyid: key}
    assert valid_keys(good, table, table, left)
    assert left.left == 2
    with pytest.raises(SignatureError, match="the files carry too many signatures"):
        valid_keys(sealed(*junk(key, 5)), table, table, left)
    assert left.left < 0
    with pytest.raises(SignatureError):
        valid_keys(sealed(signature("a", key, MESSAGE)), table, table, left)


def with_junk(*names: str, count: int = 6) -> dict[str, bytes]:
    """Files of delegations with junk before their good signature."""
    author = delegated(*names)
    found = {}
    for name in names:
        (key,) = author.signers(name)
        file = Envelope.parse(author.file(name), name)
        found[name.replace("/", "__")] = envelope.seal(file.signed, [*junk(key, count), *file.signatures])
    return assembled(author, **found)


def test_rule_13_delegations_beyond_the_signatures_that_are_checked_count_as_failed() -> None:
    names = [f"targets/{name}" for name in "abcdef"]
    files = with_junk(*names)
    assert not load(files).failures
    result = load(files, limits=Limits(signature_checks=24))
    assert set(result.targets) == {"targets", *names[:3]}
    assert set(result.failures) == set(names[3:])
    assert "too many signatures" in str(result.failures["targets/d"])


def test_rule_13_the_signatures_of_copies_count_too() -> None:
    names = [f"targets/{name}" for name in "abcdef"]
    old = with_junk(*names)
    files = versions(delegated(*names), 1).repository()
    for name in names:  # another text of the same version and content
        files[name] += b"\n"
    author = delegated(*names)
    files = assembled(author, **{name.replace("/", "__"): files[name] for name in names})
    seen = {name: old[name] for name in names}
    assert not load(files, seen=seen).failures
    assert set(load(files, seen=seen, limits=Limits(signature_checks=18)).failures) == set(names[2:])


def test_roots_have_a_limit_of_signatures() -> None:
    author = Author()
    (key,) = author.root.signers(roles.ROOT)
    file = Envelope.parse(author.file(roles.ROOT), roles.ROOT)
    data = envelope.seal(file.signed, [*junk(key, 6), *file.signatures])
    assert top(assembled(author, root=data)).root.version == 1
    with pytest.raises(SignatureError, match=r"the roots of .* carry too many signatures"):
        top(assembled(author, root=data), limits=Limits(signature_checks=6))


def test_a_copy_of_an_older_file_is_not_verified() -> None:
    old = versions(delegated("targets/a"), 4).repository()
    new = versions(delegated("targets/a"), 5).repository()
    without, with_copies = calls(lambda: load(new)), calls(lambda: load(new, seen=old))
    assert with_copies["verify"] == without["verify"] > 0
    assert with_copies["canonical"] == without["canonical"] > 0


def test_one_valid_signature_of_a_copy_is_enough() -> None:
    author = versions(tagged(), 5)
    keys = [author.key(f"key {number}") for number in range(20)]
    author.assign(roles.TARGETS, keys)
    seen = {roles.TARGETS: author.file(roles.TARGETS) + b"\n"}
    files = author.repository()
    without, with_copy = calls(lambda: load(files)), calls(lambda: load(files, seen=seen))
    assert with_copy["encode_dss_signature"] - without["encode_dss_signature"] == 1


# -- pinned authorities

CA = ec.generate_private_key(ec.SECP256R1())


@lru_cache
def crowd(count: int) -> tuple[PublicKey, ...]:
    """Root keys whose bundles are all of one name, each of which has to be tried with each."""
    bundle = pem(*(authority("ca", key=ec.generate_private_key(ec.SECP256R1())) for _ in range(15)))
    return tuple(
        PublicKey("ecdsa-x509", pem(leaf(end=NOW + timedelta(days=2000 + number))) + bundle)
        for number in range(count)
    )


def chained(key: PublicKey, pinned: Sequence[bytes]) -> str:
    return authorities.problem(key, authorities.load(b"".join(pinned)), NOW)


def test_a_chain_is_followed_for_a_few_signatures_only() -> None:
    (key,) = crowd(1)
    strangers = [pem(authority("ca", key=ec.generate_private_key(ec.SECP256R1()))) for _ in range(40)]
    assert calls(lambda: chained(key, strangers))["verify_directly_issued_by"] == DEFAULT.authority_checks
    assert "more than 32 of its signatures" in chained(key, strangers)


def test_authorities_of_other_names_cost_no_check() -> None:
    others = [pem(authority(f"other {number}")) for number in range(100)]
    assert chained(PublicKey("ecdsa-x509", pem(leaf())), [*others, pem(authority())]) == ""


def test_only_keys_that_signed_are_compared_with_pins_and_each_once() -> None:
    author = Author()
    mine, others = author.root.signers(roles.ROOT), crowd(20)
    listed = [*others, *mine]
    author.root = replace(
        author.root,
        keys={**author.root.keys, **{key.keyid: key for key in others}},
        roles={**author.root.roles, roles.ROOT: fields.RoleKeys(tuple(k.keyid for k in listed), 1)},
    )
    data = author.seal(author.root.to_signed(), mine)
    policy = trustanchors.policy(
        (), authority=trustanchors.AuthorityAnchor(authorities.load(pem(authority("pinned"))), NOW)
    )

    def refused() -> None:
        with pytest.raises(RootNotPinnedError):
            trusted.TrustedMetadata(GUN, NOW).first_root(data, policy)

    once = 1 + DEFAULT.explained_keys
    assert calls(refused)["verify_directly_issued_by"] <= once * DEFAULT.authority_checks
    assert calls(refused)["verify_directly_issued_by"] == 0


def test_pins_are_compared_until_the_threshold_is_met() -> None:
    author = Author()
    keys = [author.root_key(f"root {number}") for number in range(30)]
    author.assign(roles.ROOT, keys, 2)
    policy = trustanchors.policy((), "a test", authorities.load(b"".join(k.public for k in keys)))
    data = author.file(roles.ROOT)
    count = calls(lambda: trusted.TrustedMetadata(GUN, NOW).first_root(data, policy))
    assert count["mismatch"] == 2


def test_the_certificates_of_roots_count_as_signatures() -> None:
    author = Author()
    author.assign(roles.ROOT, [author.bundled_key("leaf", pem(leaf(), *[authority("x")] * 9))])
    policy = trustanchors.policy(author.root.roles[roles.ROOT].keyids)
    assert top(author.repository(), policy=policy).root.version == 1
    with pytest.raises(SignatureError, match="too many signatures"):
        top(author.repository(), policy=policy, limits=Limits(signature_checks=8))


# -- memory


def test_a_long_text_is_ascii() -> None:
    limits = Limits(json_wide_bytes=100)
    for text in ("y" * 99, '\\"\\\\\\n\\u003c\\u007f' + "y" * 99):
        assert canonical.decode(b'{"a":"%s"}' % text.encode(), limits=limits)
    for character in ("\\u0080", "\\ud83d\\ude00", "\\u2028", "é", "\U0001f600"):
        assert canonical.decode(b'{"a":"%s"}' % character.encode(), limits=limits)
        with pytest.raises(MetadataError) as caught:
            canonical.decode(b'{"a":"%s"}' % (character + "y" * 99).encode(), limits=limits)
        assert "not all of it is ASCII" in str(caught.value.why)


def test_the_memory_of_a_text_is_estimated_from_its_length_its_characters_and_its_parts() -> None:
    short, long = b'{"a":"y"}', b'{"a":"%s"}' % (b"y" * 1000)
    assert canonical.memory(long) - canonical.memory(short) == 2 * 999
    assert canonical.memory("é".encode() + long) > 5 * 1000
    assert canonical.memory(b"\\u0100" + long) > 5 * 1000
    assert canonical.memory(b"[[],[]]") - canonical.memory(b"       ") == 7 * 80


def test_rule_13_delegations_that_do_not_fit_into_memory_count_as_failed() -> None:
    author = delegated("targets/a", "targets/b", "targets/c")
    author.add("big", b"x", "targets/b")
    author.targets["targets/b"] = replace(
        author.targets["targets/b"], targets={"big" * 10_000: TargetFile.of(b"x")}
    )
    result = load(author.repository(), limits=Limits(memory_bytes=60_000))
    assert set(result.failures) == {"targets/b"}
    assert "beyond a limit" in str(result.failures["targets/b"])
    assert {"targets/a", "targets/c"} <= set(result.targets)


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS])
def test_a_base_role_that_does_not_fit_into_memory_is_refused(role: str) -> None:
    files = tagged().repository()
    sizes = {name: canonical.memory(files[name]) for name in (roles.SNAPSHOT, roles.TARGETS)}
    limit = sizes[roles.SNAPSHOT] + (sizes[roles.TARGETS] if role == roles.TARGETS else 0)
    with pytest.raises(MetadataError, match="beyond a limit") as caught:
        load(files, limits=Limits(memory_bytes=limit - 1))
    assert caught.value.facts["role"] == role
    assert load(files, limits=Limits(memory_bytes=sum(sizes.values()))).targets


def test_a_copy_of_the_very_same_file_costs_no_check() -> None:
    files = delegated("targets/a").repository()
    assert calls(lambda: load(files, seen=files))["check"] == calls(lambda: load(files))["check"] > 0


def test_what_a_new_root_dropped_takes_no_memory() -> None:
    author = tagged()
    old = author.repository()
    author.next_root()
    new = author.repository()
    sizes = [canonical.memory(new[role]) for role in (roles.SNAPSHOT, roles.TARGETS)]
    found = load(old, limits=Limits(memory_bytes=sum(sizes)))
    found.update_root(new[roles.ROOT])
    found.update_timestamp(new[roles.TIMESTAMP])
    found.update_snapshot(new[roles.SNAPSHOT])
    assert found.update_targets(new[roles.TARGETS]).targets


def test_a_failed_delegation_takes_no_memory() -> None:
    author = delegated("targets/a", "targets/b")
    long = rewritten(author, "targets/a", lambda value: changed(value, "version", 0) | {"x": "y" * 20_000})
    author.targets["targets/b"] = replace(
        author.targets["targets/b"], targets={"z" * 10_000: TargetFile.of(b"x")}
    )
    result = load(assembled(author, targets__a=long), limits=Limits(memory_bytes=60_000))
    assert set(result.failures) == {"targets/a"}
    assert "no usable version" in str(result.failures["targets/a"])


def test_fifty_thousand_tags_of_several_signers_fit() -> None:
    entry = TargetFile(1, {"sha256": bytes(32)}).to_json()
    value = Targets(1, NOW, {}).to_signed() | {"targets": {f"v{n:06}": entry for n in range(50_000)}}
    data = envelope.seal(value, [Signature("0" * 64, "ecdsa", bytes(64))])
    assert 3 * canonical.memory(data) < DEFAULT.memory_bytes
    assert len(Targets.from_signed(Envelope.parse(data, "targets").signed).targets) == 50_000


def test_a_key_has_a_limit() -> None:
    for size, fits in ((DEFAULT.public_key_bytes - 5, True), (DEFAULT.public_key_bytes - 4, False)):
        value = PublicKey("ecdsa", bytes(size)).to_json()
        if fits:
            assert PublicKey.from_json(value).public == bytes(size)
        else:
            with pytest.raises(MetadataError, match="too large"):
                PublicKey.from_json(value)
    assert len(root_key("a", GUN).public) * 16 < DEFAULT.public_key_bytes


TAGS, SIGNERS, SAMPLE = 200_000, 2_000, 1_000


def of_docker(count: int, custom: object = None) -> Targets:
    """Return a file as docker writes it, with tags of 40 characters."""
    listed = {f"{number:040d}": TargetFile(1500, {"sha256": bytes(32)}, custom) for number in range(count)}
    return Targets(1, NOW, listed)


def of_signers(count: int) -> Targets:
    """Return a file with as many signers, each with a certificate, who all release."""
    listed = [PublicKey("ecdsa-x509", f"{number:0900d}".encode()) for number in range(count)]
    table = {key.keyid: key for key in listed}
    below = [Delegation(f"targets/signer-{key.keyid[:20]}", (key.keyid,), 1, ("",)) for key in listed]
    return Targets(1, NOW, keys=table, roles=(*below, Delegation(roles.RELEASES, tuple(table), 1, ("",))))


@pytest.mark.parametrize("custom", [None, {"by": "ci"}])
def test_the_limits_leave_room_for_200_000_tags(custom: object) -> None:
    data = canonical.encode(of_docker(SAMPLE, custom).to_signed())
    times = TAGS // SAMPLE
    assert len(data) * times < min(DEFAULT.delegation_bytes, DEFAULT.metadata_bytes)
    assert jsontext.parts(data) * times < DEFAULT.json_parts
    # Releases, and the role of the one who signed.
    assert len(data) * times * 2 < DEFAULT.all_delegations_bytes
    assert canonical.memory(data) * times * 2 < DEFAULT.memory_bytes


def test_the_limits_leave_room_for_2_000_signers() -> None:
    data = canonical.encode(of_signers(SAMPLE).to_signed())
    assert len(data) * SIGNERS // SAMPLE < DEFAULT.metadata_bytes / 8
    assert canonical.memory(data) * SIGNERS // SAMPLE < DEFAULT.memory_bytes / 8
    bounds = (DEFAULT.delegations_in_file, DEFAULT.delegations, DEFAULT.keys_of_role)
    assert all(most / 2 > SIGNERS for most in bounds)
    # Each file once, and a copy of it that was seen before.
    assert DEFAULT.signature_checks > SIGNERS * 2
