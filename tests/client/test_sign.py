from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.client.publish.signing import by_repository, signing_roles
from notarypy.errors import (
    ImageMissingError,
    InvalidNameError,
    KeyNotAuthorisedError,
    PassphraseWrongError,
    UsageError,
)
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import State
from support.author import GUN, public_key
from support.counting import TOO_MUCH, growth
from support.people import index, manifest, owned
from support.repository import delegated, load

if TYPE_CHECKING:
    from support.people import Person, World

OTHER_GUN = "registry.test/team/other"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def test_after_an_own_publish_signing_is_four_requests_and_the_manifest(world: World, owner: Person) -> None:
    world.push("1")
    [done] = owner.client().sign([f"{GUN}:1"])
    requests = world.requests()
    # The registry and the Notary server are asked side by side.
    assert sorted(requests[:2]) == ["GET /v2/team/app/manifests/1", "GET timestamp.json"]
    assert requests[2] == "POST"
    assert sorted(requests[3:]) == ["GET snapshot.json", "GET timestamp.json"]
    assert done.published
    assert done.roles == ("targets/jeff", roles.RELEASES)
    assert (done.previous, done.also_old, done.platforms) == (None, (), ())
    assert done.size == len(manifest("1"))


def test_after_somebody_elses_publish_what_changed_is_fetched_first(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1")
    bob.client().sign([f"{GUN}:1"])
    world.requests()
    owner.client().sign([f"{GUN}:1"])
    requests = world.requests()
    requests.remove("GET /v2/team/app/manifests/1")  # the registry is asked meanwhile
    assert requests[:2] == ["GET timestamp.json", "GET snapshot.HASH.json"]
    assert sorted(requests[2:4]) == ["GET targets/bob.HASH.json", "GET targets/releases.HASH.json"]
    assert requests[4] == "POST"
    assert sorted(requests[5:]) == ["GET snapshot.json", "GET timestamp.json"]


def test_many_tags_are_one_publish(world: World, owner: Person) -> None:
    tags = [f"v{number}" for number in range(30)]
    digests = [world.push(tag) for tag in tags]
    done = owner.client().sign([f"{GUN}:{tag}" for tag in tags])
    assert world.requests().count("POST") == 1
    assert [(one.tag, one.digest) for one in done] == list(zip(tags, digests, strict=True))
    assert all(one.published for one in done)
    reader = world.person("reader").client()
    trusted = reader.refresh(GUN)
    assert [reader.verify(f"{GUN}:{tag}", metadata=trusted).digest for tag in tags] == digests


def test_several_repositories_are_one_publish_each(world: World, owner: Person) -> None:
    owner.client().init(OTHER_GUN)
    world.push("1")
    world.push("1", path="team/other")
    world.requests()
    done = owner.client().sign([f"{GUN}:1", f"{OTHER_GUN}:1"])
    assert [one.reference for one in done] == [f"{GUN}:1", f"{OTHER_GUN}:1"]
    assert world.requests().count("POST") == 2


def test_what_is_signed_already_is_not_published(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    before = owner.cache()
    world.requests()
    [done] = owner.client(passphrase="not needed").sign([f"{GUN}:1"])
    assert not done.published
    assert done.previous is None
    assert world.requests() == ["GET /v2/team/app/manifests/1", "GET timestamp.json"]
    assert owner.cache() == before


def test_only_the_new_ones_of_several_tags_count_as_published(world: World, owner: Person) -> None:
    world.push("1")
    world.push("2")
    owner.client().sign([f"{GUN}:1"])
    assert [one.published for one in owner.client().sign([f"{GUN}:1", f"{GUN}:2"])] == [False, True]


def test_a_moved_tag_tells_what_it_was(world: World, owner: Person) -> None:
    old = world.push("1", "old")
    owner.client().sign([f"{GUN}:1"])
    new = world.push("1", "new")
    [done] = owner.client().sign([f"{GUN}:1"])
    assert (done.previous, done.digest, done.published) == (old, new, True)
    assert owner.client().verify(f"{GUN}:1").digest == new


def test_other_roles_that_keep_the_old_digest_are_named(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1", "old")
    owner.client().sign([f"{GUN}:1"])
    world.push("1", "new")
    [done] = bob.client().sign([f"{GUN}:1"])
    assert done.roles == (roles.RELEASES, "targets/bob")
    assert done.also_old == ("targets/jeff",)


def test_a_digest_chooses_the_content_whatever_the_tag_is_now(world: World, owner: Person) -> None:
    old = world.push("1", "old")
    world.push("1", "new")
    [done] = owner.client().sign([f"{GUN}:1@{old}"])
    assert done.digest == old
    assert "GET /v2/team/app/manifests/sha256:HASH" in world.requests()


def test_an_index_is_signed_as_the_index(world: World, owner: Person) -> None:
    digest = world.push_index("1", "linux/amd64", "linux/arm/v7")
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.platforms == ("linux/amd64", "linux/arm/v7")
    assert (done.digest, done.size) == (digest, len(index("linux/amd64", "linux/arm/v7")))


# -- which roles


def test_without_delegations_targets_are_signed(world: World) -> None:
    owner = owned(world)
    world.push("1")
    [done] = owner.client().sign([f"{GUN}:1"])
    assert done.roles == (roles.TARGETS,)
    assert owner.warnings == []


def test_all_signers_whose_key_is_here_sign(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    owner.client().add_signer("carol", GUN, [world.person("carol").key("carol")])
    world.push("1")
    [done] = owner.client().sign([f"{GUN}:1"])
    assert set(done.roles) == {"targets/jeff", "targets/bob", roles.RELEASES}


def test_signer_narrows_to_one_and_its_release(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    world.push("1")
    [done] = owner.client().sign([f"{GUN}:1"], signer="bob")
    assert set(done.roles) == {"targets/bob", roles.RELEASES}
    assert owner.client().verify(f"{GUN}:1").signers == ("bob",)


def test_signer_narrows_releases_to_a_file_only_that_signer_signed(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    world.push("1")
    owner.client().sign([f"{GUN}:1"], signer="bob")
    [signature] = canonical.decode(world.attacker.current(GUN, roles.RELEASES))["signatures"]
    delegation = owner.client().refresh(GUN).targets[roles.TARGETS].delegation("targets/bob")
    assert delegation is not None
    assert (signature["keyid"],) == delegation.keyids


def test_a_signer_that_does_not_exist_is_a_wrong_name(world: World, owner: Person) -> None:
    world.push("1")
    with pytest.raises(InvalidNameError, match="no signer"):
        owner.client().sign([f"{GUN}:1"], signer="nobody")


def test_a_signer_whose_key_is_elsewhere_cannot_sign_here(world: World, owner: Person) -> None:
    owner.client().add_signer("bob", GUN, [world.person("bob").key("bob")])
    world.push("1")
    world.requests()
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().sign([f"{GUN}:1"], signer="bob")
    assert any("bob: " in line for line in caught.value.why)
    assert "POST" not in world.requests()


def test_paths_keep_a_signer_to_its_tags(world: World) -> None:
    owner = owned(world)
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")], paths=["v1"])
    world.push("v1.0")
    world.push("v2.0")
    assert owner.client().sign([f"{GUN}:v1.0"])[0].roles == ("targets/jeff", roles.RELEASES)
    for signer in (None, "jeff"):
        with pytest.raises(KeyNotAuthorisedError):
            owner.client().sign([f"{GUN}:v2.0"], signer=signer)


def test_a_key_of_releases_alone_releases_what_it_likes(world: World) -> None:
    owner = owned(world)
    owner.client().add_signer(roles.RELEASES, GUN, [owner.key("jeff")])
    world.push("v2.0")
    assert owner.client().sign([f"{GUN}:v2.0"])[0].roles == (roles.RELEASES,)


@pytest.mark.usefixtures("owner")
def test_who_has_no_key_changes_nothing(world: World) -> None:
    world.push("1")
    stranger = world.person("stranger")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        stranger.client().sign([f"{GUN}:1"])
    assert caught.value.why[0].startswith("keys that may sign it: jeff: ")
    assert "here: none of these" in caught.value.why
    stranger.client().keys.generate("jo")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        stranger.client().sign([f"{GUN}:1"], signer="jeff")
    assert "here: none of these" in caught.value.why
    assert "POST" not in world.requests()


def test_a_wrong_passphrase_changes_nothing(world: World, owner: Person) -> None:
    world.push("1")
    before = owner.cache()
    with pytest.raises(PassphraseWrongError):
        owner.client(passphrase="another one").sign([f"{GUN}:1"])
    assert "POST" not in world.requests()
    assert owner.cache() == before


# -- what cannot be signed


def test_an_image_that_is_not_in_the_registry_stops_all_of_them(world: World, owner: Person) -> None:
    world.push("1")
    with pytest.raises(ImageMissingError):
        owner.client().sign([f"{GUN}:1", f"{GUN}:absent"])
    assert "POST" not in world.requests()


def test_a_digest_without_a_tag_is_no_name_for_a_signature(owner: Person) -> None:
    with pytest.raises(UsageError, match="names no tag"):
        owner.client().sign([f"{GUN}@sha256:{'0' * 64}"])


def test_references_are_all_read_before_anything_is_asked(world: World, owner: Person) -> None:
    with pytest.raises(InvalidNameError):
        owner.client().sign([f"{GUN}:1", "no good:::"])
    assert world.requests() == []


def test_one_tag_cannot_have_two_contents(world: World, owner: Person) -> None:
    old = world.push("1", "old")
    world.push("1", "new")
    with pytest.raises(UsageError, match="twice"):
        owner.client().sign([f"{GUN}:1@{old}", f"{GUN}:1"])
    assert "POST" not in world.requests()
    assert len(owner.client().sign([f"{GUN}:1", f"{GUN}:1"])) == 1


def test_literal_names_have_no_registry_to_sign_from(owner: Person) -> None:
    with pytest.raises(UsageError, match="registry"):
        owner.client(gun=True).sign([f"{GUN}:1"])


def test_references_are_grouped_in_their_order() -> None:
    groups = by_repository(["b.test/x:1", "a.test/x:1", "b.test/x:2"])
    assert groups == {"b.test/x": ["b.test/x:1", "b.test/x:2"], "a.test/x": ["a.test/x:1"]}


def test_whose_keys_sign_a_tag_is_found_in_one_look_at_each_signer() -> None:
    keys = [public_key(f"signer {number}") for number in range(20)]

    def signers(count: int) -> State:
        author = delegated()
        for number in range(count):
            author.delegate(f"targets/s{number}", [keys[number % 20]])
        return State.of(load(author.repository()))

    def written(state: State) -> tuple[str, ...]:
        return signing_roles(state, "v1", frozenset({keys[7].canonical_id}), None)

    assert written(signers(10)) == ("targets/s7",)
    assert growth(written, signers, 500) < TOO_MUCH
