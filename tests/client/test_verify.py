from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import (
    DigestMismatchError,
    ExpiredError,
    ImageMissingError,
    InvalidNameError,
    RootNotPinnedError,
    SignerMissingError,
    TagUnsignedError,
    UnreachableError,
)
from notarypy.limits import Limits
from notarypy.tuf import policy, roles
from support.author import GUN, private_key
from support.chains import authority, leaf, pem
from support.people import index, manifest, owned, pem_of, publishing

if TYPE_CHECKING:
    from support.people import Person, World

OTHER = "sha256:" + "1" * 64


def _release(world: World, owner: Person) -> None:
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tag 1 jeff and bob signed, and 2 jeff alone."""
    return publishing(world, _release, "jeff")


def test_a_warm_verify_is_one_request_to_each_server(world: World, owner: Person) -> None:
    image = owner.client().verify(f"{GUN}:1")
    assert sorted(world.requests()) == ["GET /v2/team/app/manifests/1", "GET timestamp.json"]
    assert image.signers == ("jeff", "bob")
    assert image.role == roles.RELEASES
    assert image.size == len(manifest("1"))
    assert image.reference == f"{GUN}@{image.digest}"
    assert owner.warnings == []


def test_without_the_registry_only_the_notary_server_is_asked(world: World, owner: Person) -> None:
    owner.client().verify(f"{GUN}:1", registry=False)
    assert world.requests() == ["GET timestamp.json"]


def test_the_date_is_the_earliest_of_what_was_relied_on(owner: Person) -> None:
    client = owner.client()
    assert client.verify(f"{GUN}:1").expires == client.refresh(GUN).timestamp.expires


def test_many_tags_share_one_refresh(world: World, owner: Person) -> None:
    client = owner.client()
    metadata = client.refresh(GUN)
    world.requests()
    for tag in ("1", "2"):
        client.verify(f"{GUN}:{tag}", metadata=metadata, registry=False)
    assert world.requests() == []


def test_metadata_of_another_repository_is_a_mistake_of_the_caller(owner: Person) -> None:
    client = owner.client()
    with pytest.raises(RuntimeError, match="another repository"):
        client.verify("registry.test/team/other:1", metadata=client.refresh(GUN))


def test_metadata_that_was_read_earlier_ends_like_any_other(world: World, owner: Person) -> None:
    client = owner.client()
    metadata = client.refresh(GUN)
    world.clock.advance(metadata.timestamp.expires - world.clock() - timedelta(seconds=1))
    assert client.verify(f"{GUN}:1", metadata=metadata).tag == "1"
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(ExpiredError, match="read earlier") as caught:
        client.verify(f"{GUN}:1", metadata=metadata)
    assert caught.value.facts["role"] == roles.TIMESTAMP


def test_metadata_that_was_read_earlier_ends_with_its_roots_certificate(world: World) -> None:
    owner, path = world.person(), world.base / "root.pem"
    path.write_bytes(pem_of(private_key("leaf")))
    end = world.clock() + timedelta(days=2)
    owner.client().init(GUN, root_key=str(path), root_cert=pem(leaf(end=end), authority()))
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    metadata = owner.client().refresh(GUN)
    assert metadata.timestamp.expires > end + timedelta(days=1)
    assert owner.client().verify(f"{GUN}:1", metadata=metadata).tag == "1"
    world.clock.advance(timedelta(days=2, seconds=1))
    with pytest.raises(ExpiredError, match="root certificate"):
        owner.client().refresh(GUN)
    with pytest.raises(ExpiredError, match="read earlier") as caught:
        owner.client().verify(f"{GUN}:1", metadata=metadata)
    assert caught.value.facts["role"] == roles.ROOT


def test_a_root_beside_metadata_is_not_overlooked(owner: Person) -> None:
    client = owner.client()
    with pytest.raises(RuntimeError, match="checked by refresh"):
        client.verify(f"{GUN}:1", metadata=client.refresh(GUN), root="a" * 64)


# -- rule 1: what is released


def test_an_unlisted_tag_is_not_signed_and_the_signed_ones_are_named(owner: Person) -> None:
    with pytest.raises(TagUnsignedError) as caught:
        owner.client().verify(f"{GUN}:3")
    assert "the repository's signed tags are: 1, 2" in caught.value.why
    assert advice(caught.value).startswith(f"take a signed tag (notarypy inspect {GUN}), or ask ")
    assert f"only if that is you, and this is your image: notarypy sign {GUN}:3" in advice(caught.value)


@pytest.mark.parametrize(("count", "shown"), [(0, "none"), (1, "a0"), (12, "a9 and 2 more")])
def test_of_many_signed_tags_the_first_are_named_and_the_others_counted(
    owner: Person, monkeypatch: pytest.MonkeyPatch, count: int, shown: str
) -> None:
    tags = [f"a{number}" for number in range(count)]
    monkeypatch.setattr(policy, "released_names", lambda _: tags)
    with pytest.raises(TagUnsignedError) as caught:
        owner.client().verify(f"{GUN}:3")
    assert caught.value.why[0].startswith("the repository's signed tags are: ")
    assert caught.value.why[0].endswith(shown)


def test_a_tag_of_a_signer_that_is_not_released_is_not_signed(world: World) -> None:
    owner = owned(world)
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")], releases=False)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    assert any("not released" in warning for warning in owner.warnings)
    with pytest.raises(TagUnsignedError) as caught:
        owner.client().verify(f"{GUN}:1")
    assert any("listed by jeff" in line for line in caught.value.why)


def test_targets_release_what_releases_does_not_list(world: World) -> None:
    owner = owned(world)
    digest = world.push("old")
    owner.client().sign([f"{GUN}:old"])
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    image = owner.client().verify(f"{GUN}:old")
    assert (image.role, image.digest, image.signers) == (roles.TARGETS, digest, ())


def test_releases_wins_over_targets_with_a_warning(world: World) -> None:
    owner = owned(world)
    old = world.push("1", "old")
    owner.client().sign([f"{GUN}:1"])
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    new = world.push("1", "new")
    owner.client().sign([f"{GUN}:1"])
    assert owner.client().verify(f"{GUN}:1").digest == new
    [warning] = owner.warnings
    assert old in warning
    assert new in warning


def test_releases_that_cannot_be_trusted_are_not_stepped_over(world: World, owner: Person) -> None:
    client = owner.client()
    world.clock.advance(timedelta(days=400))
    client.add_signer("eve", GUN, [owner.key("eve")])
    world.clock.advance(timedelta(days=3 * 365 - 400))
    with pytest.raises(ExpiredError) as caught:
        client.verify(f"{GUN}:1", registry=False)
    assert caught.value.facts["role"] == roles.RELEASES


# -- rule 2: digests


def test_a_bare_repository_means_latest_there_and_here(world: World, owner: Person) -> None:
    digest = world.push("latest", "good")
    owner.client().sign([GUN])
    assert owner.client().verify(GUN).digest == digest
    world.push("latest", "evil")
    with pytest.raises(DigestMismatchError):
        owner.client().verify(GUN)


def test_a_bare_digest_needs_some_released_tag(world: World, owner: Person) -> None:
    digest = world.push("1")
    world.requests()
    image = owner.client().verify(f"{GUN}@{digest}")
    assert (image.tag, image.digest) == ("1", digest)
    assert world.requests()[-1] == "GET /v2/team/app/manifests/sha256:HASH"
    with pytest.raises(TagUnsignedError):
        owner.client().verify(f"{GUN}@{OTHER}")


def test_a_signer_cannot_spoil_the_digest_of_another(world: World, owner: Person) -> None:
    """Whoever may release can give the digest a tag that comes first, without the others' signatures."""
    digest = world.push("0", "1")
    owner.client().sign([f"{GUN}:0"], signer="jeff")
    client = owner.client()
    assert client.verify(f"{GUN}@{digest}").tag == "0"
    assert client.verify(f"{GUN}@{digest}", signers=["jeff"]).tag == "0"
    assert client.verify(f"{GUN}@{digest}", signers=["bob"]).tag == "1"
    assert client.verify(f"{GUN}@{digest}", all_signers=True).signers == ("jeff", "bob")
    with pytest.raises(SignerMissingError, match="nobody"):
        client.verify(f"{GUN}@{digest}", signers=["nobody"])


def test_many_tags_cannot_hide_the_one_that_others_signed(world: World, owner: Person) -> None:
    for tag in ("00", "01", "02"):
        digest = world.push(tag, "1")
    owner.client().sign([f"{GUN}:{tag}" for tag in ("00", "01", "02")], signer="jeff")
    client = owner.client(limits=Limits(judged_tags=2))
    assert client.verify(f"{GUN}@{digest}", signers=["bob"]).tag == "1"


def test_a_tag_with_a_digest_needs_both_to_agree(world: World, owner: Person) -> None:
    digest = world.push("1")
    assert owner.client().verify(f"{GUN}:1@{digest}").digest == digest
    with pytest.raises(DigestMismatchError) as caught:
        owner.client().verify(f"{GUN}:1@{OTHER}")
    assert caught.value.facts == {"signed": digest, "asked": OTHER}


# -- rule 3: required signers


def test_required_signers_must_list_the_same_content(owner: Person) -> None:
    client = owner.client()
    assert client.verify(f"{GUN}:1", signers=["jeff", "targets/bob"]).signers == ("jeff", "bob")
    assert client.verify(f"{GUN}:1", all_signers=True).signers == ("jeff", "bob")
    with pytest.raises(SignerMissingError) as caught:
        client.verify(f"{GUN}:2", signers=["bob"])
    assert caught.value.why == ("targets/bob does not list this tag",)
    assert caught.value.facts == {"signers": ["jeff"], "missing": ["bob"]}
    with pytest.raises(SignerMissingError):
        client.verify(f"{GUN}:2", all_signers=True)


def test_a_signer_with_another_digest_has_not_signed_this_one(world: World, owner: Person) -> None:
    new = world.push("1", "new")
    owner.client().sign([f"{GUN}:1"], signer="jeff")
    client = owner.client()
    assert client.verify(f"{GUN}:1", signers=["jeff"]).digest == new
    with pytest.raises(SignerMissingError, match="bob") as caught:
        client.verify(f"{GUN}:1", signers=["bob"])
    assert caught.value.why[0].startswith("targets/bob lists sha256:")


def test_a_signer_that_does_not_exist_is_missing(owner: Person) -> None:
    with pytest.raises(SignerMissingError) as caught:
        owner.client().verify(f"{GUN}:1", signers=["nobody"])
    assert caught.value.why == ("targets/nobody does not exist",)


def test_a_signer_that_cannot_be_trusted_is_missing_and_says_why(world: World, owner: Person) -> None:
    jeff = world.attacker.current(GUN, "targets/jeff")
    world.attacker.publish(GUN, {"targets/bob": jeff.replace(b'"version":', b'"version":7')})
    with pytest.raises(SignerMissingError) as caught:
        owner.client().verify(f"{GUN}:1", signers=["bob"])
    assert caught.value.why[0].startswith("targets/bob: ")


def test_all_signers_of_a_repository_without_signers_is_a_failure(world: World) -> None:
    owner = owned(world)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    with pytest.raises(SignerMissingError, match="no signers"):
        owner.client().verify(f"{GUN}:1", all_signers=True)


# -- rule 4: the registry


def test_a_tag_that_moved_in_the_registry_is_named_with_both_digests(world: World, owner: Person) -> None:
    signed = owner.client().verify(f"{GUN}:1").digest
    served = world.push("1", "moved")
    with pytest.raises(DigestMismatchError) as caught:
        owner.client().verify(f"{GUN}:1")
    assert caught.value.facts == {"signed": signed, "served": served}
    assert owner.client().verify(f"{GUN}:1", registry=False).digest == signed


def test_an_index_is_compared_as_the_index(world: World, owner: Person) -> None:
    digest = world.push_index("multi", "linux/amd64", "linux/arm64/v8")
    owner.client().sign([f"{GUN}:multi"])
    image = owner.client().verify(f"{GUN}:multi")
    assert (image.digest, image.size) == (digest, len(index("linux/amd64", "linux/arm64/v8")))


def test_an_image_that_left_the_registry_is_missing(world: World, owner: Person) -> None:
    world.attacker.undo_hooks()
    del world.fake.services[REGISTRY_HOST]
    with pytest.raises(UnreachableError):
        owner.client().verify(f"{GUN}:1")
    world.fake.services[REGISTRY_HOST] = type(world.fake.registry)(lambda size: b"\0" * size)
    with pytest.raises(ImageMissingError):
        owner.client().verify(f"{GUN}:1")


def test_offline_the_registry_is_not_asked(world: World, owner: Person) -> None:
    assert owner.client(offline=True).verify(f"{GUN}:1").tag == "1"
    assert world.requests() == []


# -- pins


def test_a_pin_is_held_against_a_cached_root_too(owner: Person) -> None:
    [pin] = owner.client().offered_root(GUN).offered
    [canonical] = [key.canonical_id for key in owner.client().refresh(GUN).root.signers(roles.ROOT)]
    for good in (pin, canonical, pin.upper()):
        assert owner.client().verify(f"{GUN}:1", root=good).tag == "1"
    before = owner.cache()
    with pytest.raises(RootNotPinnedError) as caught:
        owner.client().verify(f"{GUN}:1", root="0" * 64)
    assert caught.value.facts["offered"] == [pin]
    assert owner.cache() == before
    with pytest.raises(InvalidNameError):
        owner.client().verify(f"{GUN}:1", root=pin[:12])


def test_an_empty_pin_is_a_mistake_and_not_no_pin(owner: Person) -> None:
    """A variable that should have had a value must not turn a pinned verification into one on first use."""
    client = owner.client()
    for use in (
        lambda: client.verify(f"{GUN}:1", root=""),
        lambda: client.verify_unless_skipped(f"{GUN}:1", root=""),
        lambda: client.refresh(GUN, root=""),
        lambda: client.trust(GUN, ""),
    ):
        with pytest.raises(InvalidNameError, match="not a root pin"):
            use()


def test_an_empty_pin_does_not_skip_what_a_policy_skips(world: World, owner: Person) -> None:
    path = world.base / "skip.toml"
    path.write_text('[scope."registry.test"]\nmode = "skip"\n')
    with pytest.raises(InvalidNameError, match="not a root pin"):
        owner.client(policy=str(path)).verify_unless_skipped(f"{GUN}:1", root="")


@pytest.mark.usefixtures("owner")
def test_an_unpinned_root_is_not_even_cached(world: World) -> None:
    reader = world.person("reader")
    with pytest.raises(RootNotPinnedError):
        reader.client(pins=("0" * 64,)).verify(f"{GUN}:1")
    assert reader.cache() == {}


def test_a_pinned_first_use_needs_no_warning(world: World, owner: Person) -> None:
    pins = owner.client().offered_root(GUN).offered
    reader = world.person("reader")
    reader.client(pins=pins).verify(f"{GUN}:1")
    assert reader.warnings == []


# -- names


def test_with_literal_names_no_registry_is_asked(world: World) -> None:
    owner = world.person()
    for gun in ("collection", "localhost:5000/Upper_Case"):
        owner.client(gun=True).init(gun)
        with pytest.raises(TagUnsignedError):
            owner.client(gun=True).verify(f"{gun}:name")
    assert not any("/manifests/" in line for line in world.requests())


@pytest.mark.parametrize("name", ["../../x", "/abs/x", "a/../b", "a\\b", "a\0b", "a//b"])
def test_names_that_would_leave_the_directory_are_refused_before_anything_happens(
    world: World, name: str
) -> None:
    owner = world.person()
    for literal in (True, False):
        client = owner.client(gun=literal)
        for use in (client.refresh, client.init, client.forget, client.verify, client.offered_root):
            with pytest.raises(InvalidNameError):
                use(name)
    assert world.requests() == []
    assert not owner.trust_dir.exists()
