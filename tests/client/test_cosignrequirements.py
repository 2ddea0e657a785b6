"""Cosign's signatures beside Notary's word, in its place, or where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import CosignedBy, VerifiedImage
from notarypy.cosign import signaturekeys
from notarypy.errors import (
    AuthenticationError,
    ConfigurationError,
    CosignMissingError,
    DigestMismatchError,
    ExpiredError,
    ImageMissingError,
    NetworkError,
    NotarypyError,
    RepositoryVanishedError,
    RootNotPinnedError,
    SignerMissingError,
    TagUnsignedError,
    TrustError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.remote.http.messages import Response
from notarypy.testing import FakeSigner
from support.author import GUN
from support.cosigner import Cosigner
from support.people import REGISTRY_PATH, Person, World, manifest, released

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tag 1 is signed with Notary."""
    return released(world, "jeff")


@pytest.fixture
def release(world: World) -> Cosigner:
    return Cosigner(world.fake, REGISTRY_PATH)


@pytest.fixture
def other(world: World) -> Cosigner:
    return Cosigner(world.fake, REGISTRY_PATH)


@pytest.fixture
def digest(owner: Person) -> str:
    """The digest of tag 1, which Notary vouches for."""
    return owner.client().verify(f"{GUN}:1").digest


def policy_of(person: Person, *lines: str, head: str = f'[scope."{GUN}"]', **keys: Cosigner) -> str:
    """Write a policy of one scope, and return its name; each key is the file that is named as it is."""
    for name, key in keys.items():
        (person.world.base / f"{name}.pub").write_bytes(key.pem)
    path = person.world.base / "policy.toml"
    path.write_text("\n".join((head, *lines)))
    return str(path)


def under(person: Person, *lines: str, head: str = f'[scope."{GUN}"]', **keys: Cosigner) -> Client:
    """Return a client that obeys such a policy."""
    return person.client(policy=policy_of(person, *lines, head=head, **keys))


BOTH = ("first_use = true", 'require = ["notary", "cosign"]', 'cosign.all = ["release.pub"]')
EITHER = ("first_use = true", 'require_any = ["notary", "cosign"]', 'cosign.all = ["release.pub"]')
ALONE = ('require = ["cosign"]', 'cosign.all = ["release.pub"]')


# -- both


def test_a_signature_is_required_beside_notarys(owner: Person, release: Cosigner, digest: str) -> None:
    with pytest.raises(CosignMissingError, match="app:1 is not signed by cosign with key ") as caught:
        owner.client().verify(f"{GUN}:1", also=[release.pem])
    assert (caught.value.exit_code, caught.value.facts["missing"]) == (10, [release.keyid])
    assert f"notarypy migrate cosign {GUN}:1 --key KEY" in advice(caught.value)
    release.sign(digest, f"{GUN}:1")
    image = owner.client().verify(f"{GUN}:1", also=[release.pem])
    assert image.cosign == (CosignedBy(release.keyid, "sig", f"{GUN}:1"),)
    assert (image.signers, image.role) == (("jeff",), "targets/releases")
    assert owner.warnings == []


@pytest.mark.parametrize("reference", [GUN, "", f"{GUN.upper().replace('/TEAM/APP', '/team/app')}:1"])
def test_names_that_cosign_itself_signs_count(
    owner: Person, release: Cosigner, digest: str, reference: str
) -> None:
    release.sign(digest, reference)
    found = owner.client().verify(f"{GUN}:1", also=[release.pem]).cosign[0]
    assert found.reference == (reference or None)


def test_a_bundle_counts_too_and_names_nothing(owner: Person, release: Cosigner, digest: str) -> None:
    release.bundle(digest)
    image = owner.client().verify(f"{GUN}:1", also=[release.pem])
    assert image.cosign == (CosignedBy(release.keyid, "bundle", None),)
    assert owner.warnings == []


def test_each_key_that_is_named_must_have_signed(
    owner: Person, release: Cosigner, other: Cosigner, digest: str
) -> None:
    release.sign(digest, GUN)
    with pytest.raises(CosignMissingError) as caught:
        owner.client().verify(f"{GUN}:1", also=[release.pem, other.pem])
    assert caught.value.facts["missing"] == [other.keyid]
    other.bundle(digest)
    found = owner.client().verify(f"{GUN}:1", also=[release.pem, other.pem])
    assert {each.key for each in found.cosign} == {release.keyid, other.keyid}


def test_what_another_key_has_signed_is_said(
    owner: Person, release: Cosigner, other: Cosigner, digest: str
) -> None:
    release.sign(digest, f"{GUN}:1")
    release.put_layer(digest, b"text", b"")
    with pytest.raises(CosignMissingError) as caught:
        owner.client().verify(f"{GUN}:1", also=[release.pem, other.pem])
    assert caught.value.why == (
        "not counted, 1 of the form sig: it has no signature in base64",
        f"it is signed with key {release.keyid[:7]}, which is another",
    )


def test_who_has_to_sign_is_told_a_line_that_works(owner: Person, release: Cosigner, digest: str) -> None:
    for client in (owner.client(), under(owner, *ALONE, release=release)):
        with pytest.raises(CosignMissingError) as caught:
            client.verify(f"{GUN}@{digest}", also=[release.pem])
        assert f"--sign-container-identity {GUN}:TAG {GUN}@{digest}" in advice(caught.value)
    # What the registry serves at the tag is perhaps not what was pushed: its digest is not printed.
    with pytest.raises(CosignMissingError) as caught:
        under(owner, *ALONE, release=release).verify(f"{GUN}:1")
    assert f"--sign-container-identity {GUN}:1 {GUN}@DIGEST" in advice(caught.value)


@pytest.mark.parametrize("name", ["also", "signers"])
def test_what_can_be_gone_through_once_is_no_list(
    world: World, owner: Person, release: Cosigner, name: str
) -> None:
    world.requests()
    for given in ((one for one in ["bob"]), iter([release.pem]), {"release": release.pem}, map(str, [1])):
        with pytest.raises(TypeError, match="takes a list"):
            owner.client().verify_each([f"{GUN}:1", f"{GUN}:1"], **{name: given})  # type: ignore[arg-type]
    for given in (["text"], [world.base]):  # type: ignore[assignment]
        with pytest.raises(TypeError, match="as bytes"):
            owner.client().verify(f"{GUN}:1", also=given)  # type: ignore[arg-type]
    assert world.requests() == []


def test_of_several_keys_in_one_file_any_will_do(
    owner: Person, release: Cosigner, other: Cosigner, digest: str
) -> None:
    either = b"# the old one\n" + other.pem + b"# the new one\n" + release.pem
    with pytest.raises(CosignMissingError, match=r"key [0-9a-f]{7} or key [0-9a-f]{7}"):
        owner.client().verify(f"{GUN}:1", also=[either])
    release.sign(digest, GUN)
    assert owner.client().verify(f"{GUN}:1", also=[either]).cosign[0].key == release.keyid


def test_one_read_serves_all_keys(
    world: World, owner: Person, release: Cosigner, other: Cosigner, digest: str
) -> None:
    release.sign(digest, GUN)
    other.sign(digest, GUN)
    world.requests()
    owner.client().verify(f"{GUN}:1", also=[release.pem, other.pem])
    asked = [line for line in world.requests() if line.endswith(".sig")]
    assert len(asked) == 1


def test_a_digest_alone_may_be_signed_under_any_tag(owner: Person, release: Cosigner, digest: str) -> None:
    release.sign(digest, f"{GUN}:anything")
    assert owner.client().verify(f"{GUN}@{digest}", also=[release.pem]).cosign
    with pytest.raises(CosignMissingError):
        owner.client().verify(f"{GUN}:1@{digest}", also=[release.pem])


def test_what_notary_refuses_cosign_is_not_asked_about(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    release.sign(digest, GUN)
    client = owner.client()
    client.revoke([f"{GUN}:1"])
    world.requests()
    with pytest.raises(TagUnsignedError):
        client.verify(f"{GUN}:1", also=[release.pem])
    assert not [line for line in world.requests() if ".sig" in line]


def test_the_policy_requires_both(owner: Person, release: Cosigner, digest: str) -> None:
    client = under(owner, *BOTH, release=release)
    with pytest.raises(CosignMissingError, match=r"with release\.pub") as caught:
        client.verify(f"{GUN}:1")
    assert caught.value.why[-1].startswith(f'required by scope "{GUN}" in ')
    release.sign(digest, GUN)
    image = client.verify(f"{GUN}:1")
    assert (image.role, len(image.cosign)) == ("targets/releases", 1)


def test_audit_says_it_and_goes_on_as_notary_vouches(owner: Person, release: Cosigner) -> None:
    image = under(owner, *BOTH, 'mode = "audit"', release=release).verify(f"{GUN}:1")
    assert image.policy is not None
    assert [error.code for error in image.policy.unmet] == ["policy.cosign_missing"]
    (warning,) = [each for each in owner.warnings if isinstance(each, Unverified)]
    assert warning.startswith("audit: ")


def test_what_the_caller_requires_audit_does_not_soften(
    owner: Person, release: Cosigner, other: Cosigner
) -> None:
    with pytest.raises(CosignMissingError) as caught:
        under(owner, *BOTH, 'mode = "audit"', release=release).verify(f"{GUN}:1", also=[other.pem])
    assert caught.value.facts["missing"] == [other.keyid]


def test_a_key_that_is_required_sets_a_skip_aside(owner: Person, release: Cosigner, digest: str) -> None:
    client = under(owner, 'mode = "skip"')
    with pytest.raises(CosignMissingError):
        client.verify_unless_skipped(f"{GUN}:1", also=[release.pem])
    release.sign(digest, GUN)
    assert isinstance(client.verify_unless_skipped(f"{GUN}:1", also=[release.pem]), VerifiedImage)


def test_a_threshold_of_keys(owner: Person, release: Cosigner, other: Cosigner, digest: str) -> None:
    third = Cosigner(owner.world.fake, REGISTRY_PATH)
    lines = ("first_use = true", 'require = ["notary", "cosign"]', "cosign.threshold = 2")
    files = 'cosign.any = ["a.pub", "b.pub", "c.pub"]'
    client = under(owner, *lines, files, a=release, b=other, c=third)
    release.sign(digest, GUN)
    release.bundle(digest)
    with pytest.raises(CosignMissingError, match=r"with 1 of a\.pub, b\.pub, c\.pub; 2 must have"):
        client.verify(f"{GUN}:1")
    third.bundle(digest)
    assert len(client.verify(f"{GUN}:1").cosign) == 3


def test_one_key_in_two_files_counts_once_and_so_is_an_error(owner: Person, release: Cosigner) -> None:
    lines = ("first_use = true", 'require = ["notary", "cosign"]', 'cosign.any = ["a.pub", "b.pub"]')
    with pytest.raises(ConfigurationError, match=r"b\.pub") as caught:
        under(owner, *lines, "cosign.threshold = 2", a=release, b=release).verify(f"{GUN}:1")
    assert "another file of any has the same key" in caught.value.why


# -- cosign alone


def test_of_cosign_alone_no_notary_server_is_asked(world: World, release: Cosigner, digest: str) -> None:
    release.sign(digest, f"{GUN}:1")
    world.requests()
    reader = world.person("reader")
    image = under(reader, *ALONE, release=release).verify(f"{GUN}:1")
    assert not [line for line in world.requests() if "json" in line]
    assert (image.reference, image.tag, image.role, image.signers) == (f"{GUN}@{digest}", "1", None, ())
    assert (image.expires, image.evidence, image.size) == (None, None, len(manifest("1")))
    assert reader.warnings == []
    assert not (reader.trust_dir / "tuf").exists()


def test_where_no_signature_names_the_repository_it_is_said(
    owner: Person, release: Cosigner, digest: str
) -> None:
    release.bundle(digest)
    client = under(owner, *ALONE, release=release)
    client.verify(f"{GUN}:1")
    assert "names no repository, so any image that the key signed would be taken" in owner.warnings[0]
    release.bundle(digest, gun=GUN)
    client.verify(f"{GUN}:1")
    assert "names no tag, so any signed image of it would be taken" in owner.warnings[1]


def test_where_no_signature_names_the_tag_it_is_said(owner: Person, release: Cosigner, digest: str) -> None:
    release.sign(digest, GUN)
    release.bundle(digest)
    client = under(owner, *ALONE, release=release)
    assert client.verify(f"{GUN}:1").digest == digest
    (warning,) = owner.warnings
    assert warning.startswith(f"{GUN}:1 is {digest} by the registry's word alone")
    client.verify(f"{GUN}@{digest}")
    assert len(owner.warnings) == 1
    release.sign(digest, f"{GUN}:1")
    client.verify(f"{GUN}:1")
    assert len(owner.warnings) == 1


def test_latest_is_asked_for_where_nothing_is(world: World, owner: Person, release: Cosigner) -> None:
    digest = world.push("latest")
    release.sign(digest, f"{GUN}:latest")
    assert under(owner, *ALONE, release=release).verify(GUN).tag == "latest"


def test_a_digest_alone_has_no_tag(owner: Person, release: Cosigner, digest: str) -> None:
    release.bundle(digest)
    image = under(owner, *ALONE, release=release).verify(f"{GUN}@{digest}")
    assert (image.tag, image.digest) == (None, digest)


def test_a_moved_tag_is_noticed_where_the_signature_names_it(
    world: World, owner: Person, release: Cosigner
) -> None:
    older = world.push("0")
    release.sign(older, f"{GUN}:0")
    release.bundle(older)
    world.push("1", "0")
    with pytest.raises(CosignMissingError) as caught:
        under(owner, *ALONE, release=release).verify(f"{GUN}:1")
    assert f"has signed it as {GUN}:0" in " ".join(caught.value.why)


def test_a_digest_that_was_asked_for_is_the_tags(owner: Person, release: Cosigner, digest: str) -> None:
    release.sign(digest, GUN)
    client = under(owner, *ALONE, release=release)
    assert client.verify(f"{GUN}:1@{digest}").digest == digest
    with pytest.raises(DigestMismatchError):
        client.verify(f"{GUN}:1@sha256:{'1' * 64}")
    with pytest.raises(ImageMissingError):
        client.verify(f"{GUN}:none")


def test_nothing_is_accepted_that_nothing_vouches_for(owner: Person, release: Cosigner) -> None:
    with pytest.raises(CosignMissingError, match=r"not signed by cosign with release\.pub"):
        under(owner, *ALONE, release=release).verify_unless_skipped(f"{GUN}:1")


def test_many_images_ask_no_notary_server_either(world: World, owner: Person, release: Cosigner) -> None:
    for tag in ("1", "2"):
        release.sign(world.push(tag), f"{GUN}:{tag}")
    world.requests()
    found = under(owner, *ALONE, release=release).verify_each([f"{GUN}:1", f"{GUN}:2"])
    assert [each.get().tag for each in found] == ["1", "2"]
    assert not [line for line in world.requests() if "json" in line]


def test_nobody_lists_signed_tags_without_notary(owner: Person, release: Cosigner) -> None:
    with pytest.raises(UsageError, match="nobody says which tags"):
        under(owner, *ALONE, release=release).images.signed_tags(GUN)


def test_a_signer_that_is_required_is_notarys(owner: Person, release: Cosigner, digest: str) -> None:
    release.sign(digest, GUN)
    client = under(owner, *ALONE, release=release)
    with pytest.raises(RootNotPinnedError):  # nothing in the scope says which root it must have
        client.verify(f"{GUN}:1", signers=["jeff"])
    pin = owner.client().refresh(GUN).root.pins[0]
    image = client.verify(f"{GUN}:1", signers=["jeff"], root=pin)
    assert (image.signers, len(image.cosign)) == (("jeff",), 1)
    with pytest.raises(SignerMissingError):
        client.verify(f"{GUN}:1", signers=["bob"], root=pin)


def test_a_mirror_is_signed_as_what_it_mirrors(world: World, owner: Person) -> None:
    digest = world.push("1", path="hub/app")
    there = Cosigner(world.fake, "hub/app")
    mirror = "registry.test/hub/app"
    lines = ('require = ["cosign"]', 'cosign.all = ["there.pub"]', f'signed_as = "{GUN}"')
    client = under(owner, *lines, head=f'[scope."{mirror}"]', there=there)
    there.sign(digest, f"{mirror}:1")
    with pytest.raises(CosignMissingError):
        client.verify(f"{mirror}:1")
    there.sign(digest, f"{GUN}:1")
    image = client.verify(f"{mirror}:1")
    assert (image.reference, image.signed_as) == (f"{mirror}@{digest}", GUN)


# -- either


def test_either_takes_notarys_word_and_asks_no_further(
    world: World, owner: Person, release: Cosigner
) -> None:
    world.requests()
    image = under(owner, *EITHER, release=release).verify(f"{GUN}:1")
    assert (image.role, image.cosign) == ("targets/releases", ())
    assert not [line for line in world.requests() if ".sig" in line]


def test_either_takes_cosigns_where_a_tag_is_in_the_new_world_alone(
    world: World, owner: Person, release: Cosigner
) -> None:
    digest = world.push("2")
    client = under(owner, *EITHER, release=release)
    with pytest.raises(CosignMissingError) as caught:
        client.verify(f"{GUN}:2")
    assert caught.value.facts["notary"] == "trust.tag_unsigned"
    assert "[trust.tag_unsigned]" in caught.value.why[-1]
    release.sign(digest, f"{GUN}:2")
    assert client.verify(f"{GUN}:2").role is None
    assert owner.warnings == []


def test_either_takes_cosigns_of_a_repository_without_trust_data(world: World, release: Cosigner) -> None:
    release.sign(world.push("1"), f"{GUN}:1")
    assert under(world.person("reader"), *EITHER, release=release).verify(f"{GUN}:1").cosign


def test_either_goes_on_when_trust_data_has_ended_and_says_so(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    release.sign(digest, f"{GUN}:1")
    world.fake.notary.renews = False
    client = under(owner, *EITHER, release=release)
    world.clock.advance(owner.client().refresh(GUN).snapshot.expires - world.clock())
    with pytest.raises(ExpiredError):
        owner.client().verify(f"{GUN}:1")
    assert client.verify(f"{GUN}:1").cosign
    assert [each for each in owner.warnings if "[trust.expired]" in each and "cosign vouches for" in each]


def test_either_goes_on_without_the_notary_server(owner: Person, release: Cosigner, digest: str) -> None:
    release.sign(digest, f"{GUN}:1")
    client = under(owner, *EITHER, "server = 'https://gone.test'", release=release)
    assert client.verify(f"{GUN}:1").cosign
    assert [each for each in owner.warnings if "and Notary does not" in each]


def test_either_does_not_pass_over_a_login_that_is_missing(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    release.sign(digest, f"{GUN}:1")
    client = under(owner, *EITHER, release=release)
    world.attacker.answer(Response(401, {}, b""), path=r".*/_trust/.*")
    with pytest.raises(AuthenticationError):
        client.verify(f"{GUN}:1")


def test_either_goes_on_where_a_signer_of_notary_is_missing(
    owner: Person, release: Cosigner, digest: str
) -> None:
    client = under(owner, *EITHER, 'signers.all = ["bob"]', release=release)
    with pytest.raises(CosignMissingError) as caught:
        client.verify(f"{GUN}:1")
    assert caught.value.facts["notary"] == "policy.signer_missing"
    release.sign(digest, GUN)
    assert client.verify(f"{GUN}:1").cosign


def test_either_never_takes_what_notarys_trust_data_denies(
    world: World, owner: Person, release: Cosigner
) -> None:
    moved = world.push("1", "moved")
    release.sign(moved, f"{GUN}:1")
    client = under(owner, *EITHER, release=release)
    with pytest.raises(DigestMismatchError):
        client.verify(f"{GUN}:1")
    owner.client().revoke([f"{GUN}:1"])
    assert client.verify(f"{GUN}:1").digest == moved
    world.attacker.delete(GUN)
    with pytest.raises(RepositoryVanishedError):
        client.verify(f"{GUN}:1")


def test_either_does_not_replace_what_the_caller_requires_of_notary(
    owner: Person, release: Cosigner, digest: str
) -> None:
    release.sign(digest, GUN)
    with pytest.raises(SignerMissingError):
        under(owner, *EITHER, release=release).verify(f"{GUN}:1", signers=["bob"])


def test_either_and_a_key_of_the_caller(
    owner: Person, release: Cosigner, other: Cosigner, digest: str
) -> None:
    client = under(owner, *EITHER, release=release)
    with pytest.raises(CosignMissingError):
        client.verify(f"{GUN}:1", also=[other.pem])
    other.sign(digest, GUN)
    image = client.verify(f"{GUN}:1", also=[other.pem])
    assert (image.role, image.cosign[0].key) == ("targets/releases", other.keyid)


# -- no registry


@pytest.mark.parametrize("lines", [BOTH, ALONE])
@pytest.mark.parametrize(
    ("flags", "required", "option"),
    [
        ({"offline": True}, {}, "--offline"),
        ({"gun": True}, {}, "--gun"),
        ({}, {"registry": False}, "--no-registry"),
    ],
)
def test_where_no_registry_is_asked_nothing_is_accepted(
    world: World,
    owner: Person,
    release: Cosigner,
    digest: str,
    lines: tuple[str, ...],
    flags: dict[str, bool],
    required: dict[str, bool],
    option: str,
) -> None:
    release.sign(digest, f"{GUN}:1")
    under(owner, *lines, release=release)
    world.requests()
    client = owner.client(policy=str(world.base / "policy.toml"), **flags)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="whether cosign signed") as caught:
        client.verify(f"{GUN}:1", **required)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert option in advice(caught.value)
    assert world.requests() == []


def test_either_is_met_by_a_full_cache_and_by_nothing_else(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    release.sign(world.push("2"), f"{GUN}:2")
    under(owner, *EITHER, release=release)
    client = owner.client(policy=str(world.base / "policy.toml"), offline=True)
    assert client.verify(f"{GUN}:1").digest == digest
    for _ in range(2):
        with pytest.raises(TagUnsignedError) as caught:
            client.verify(f"{GUN}:2")
        assert caught.value.why.count("whether cosign signed it cannot be asked with --offline") == 1


def test_either_says_what_notary_said_whatever_cosign_ends_in(
    world: World, owner: Person, release: Cosigner
) -> None:
    world.push("2")
    client = under(owner, *EITHER, release=release)
    world.attacker.answer(Response(503, {}, b""), path=r".*\.sig")
    for _ in range(2):
        with pytest.raises(NetworkError) as caught:
            client.verify(f"{GUN}:2")
        assert [each for each in caught.value.why if "[trust.tag_unsigned]" in each] == [caught.value.why[-1]]
        assert caught.value.facts["notary"] == "trust.tag_unsigned"
    with pytest.raises(ImageMissingError) as gone:
        client.verify(f"{GUN}:3")
    assert "[trust.tag_unsigned]" in gone.value.why[-1]


def test_each_of_many_tags_of_one_digest_is_found_at_once(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    for number in range(150):  # more than are looked at
        release.sign(digest, f"{GUN}:v{number}")
    client = under(owner, *ALONE, release=release)
    for tag in ("v0", "v75", "v149"):
        world.push(tag, "1")
        world.requests()
        assert client.verify(f"{GUN}:{tag}").cosign[0].reference == f"{GUN}:{tag}"
        assert len(world.requests()) < 8
    assert owner.warnings == []


# -- keys


def test_what_is_no_public_key_is_refused_before_any_server_is_asked(world: World, owner: Person) -> None:
    world.requests()
    for data in (b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(UnsupportedKeyError):
            owner.client().verify(f"{GUN}:1", also=[data])
    assert world.requests() == []
    with pytest.raises(TypeError, match="takes a list"):
        owner.client().verify(f"{GUN}:1", also=b"-----BEGIN")  # type: ignore[arg-type]


def test_a_file_of_the_policy_that_has_no_key_is_an_error_of_configuration(
    owner: Person, release: Cosigner, tmp_path: Path
) -> None:
    client = under(owner, *ALONE, release=release)
    path = tmp_path / "release.pub"
    for data in (None, b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(ConfigurationError, match=r"release\.pub"):
            client.verify(f"{GUN}:1")


# -- everything that obeys the policy


def test_pull_copy_and_pin_obey_it(world: World, owner: Person, release: Cosigner, digest: str) -> None:
    client, pulled = under(owner, *BOTH, release=release), world.base / "layout"
    with pytest.raises(CosignMissingError):
        client.images.pull(f"{GUN}:1", f"oci:{pulled}")
    with pytest.raises(CosignMissingError):
        client.images.copy(f"{GUN}:1", "registry.test/copy:1")
    with pytest.raises(CosignMissingError):
        client.images.pin(f"FROM {GUN}:1\n".encode()).data  # noqa: B018 - it raises
    assert not pulled.exists()
    release.sign(digest, f"{GUN}:1")
    assert client.images.pin(f"FROM {GUN}:1\n".encode()).data == f"FROM {GUN}:1@{digest}\n".encode()


@pytest.mark.parametrize("name", ["pull", "copy"])
def test_pull_and_copy_take_keys(world: World, owner: Person, release: Cosigner, name: str) -> None:
    target = {"pull": f"oci:{world.base / 'layout'}", "copy": "registry.test/copy:1"}[name]
    with pytest.raises(CosignMissingError):
        getattr(owner.client().images, name)(f"{GUN}:1", target, also=[release.pem])


def test_every_error_of_it_is_one_of_trust(owner: Person, release: Cosigner) -> None:
    with pytest.raises(TrustError) as caught:
        owner.client().verify(f"{GUN}:1", also=[release.pem])
    assert isinstance(caught.value, NotarypyError)


# -- what is signed anew: Notary's word alone


@pytest.mark.parametrize("lines", [BOTH, EITHER])
def test_what_is_to_be_signed_needs_notarys_word_and_no_signature_of_cosign_yet(
    owner: Person, release: Cosigner, digest: str, lines: tuple[str, ...]
) -> None:
    policy = policy_of(owner, *lines, release=release)
    signer = FakeSigner()
    client = owner.client(policy=policy, signers=[signer])
    ((_, done),) = client.migration.cosign([f"{GUN}:1"], key=signer.public.canonical_id)
    assert done.get().digest == digest
    ours = signaturekeys.of(signer.public).pem
    assert owner.client().verify(f"{GUN}:1", also=[ours]).cosign[0].reference == f"{GUN}:1"


def test_cosigns_word_is_not_laundered_into_notarys(
    world: World, owner: Person, release: Cosigner, digest: str
) -> None:
    new = world.push("2")
    for tag, signed in (("1", digest), ("2", new)):
        release.sign(signed, f"{GUN}:{tag}")
    signer = FakeSigner()
    for lines, code in ((EITHER, "trust.tag_unsigned"), (ALONE, "policy.skipped")):
        policy = policy_of(owner, *lines, release=release)
        client = owner.client(policy=policy, signers=[signer])
        assert client.verify(f"{GUN}:2").digest == new
        ((_, done),) = client.migration.cosign([f"{GUN}:2"], key=signer.public.canonical_id)
        with pytest.raises(NotarypyError) as caught:
            done.get()
        assert caught.value.code == code
    assert signer.messages == []
