"""Tags that only the removed signer signed: named, and kept or revoked as was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import InvalidNameError, KeyNotAuthorisedError, TagUnsignedError, UndecidedTagsError
from notarypy.tuf import roles
from support.author import GUN
from support.people import owned, publishing, released_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.results import PurgedKey, SignerRemoved
    from support.people import Person, World

    Removed = SignerRemoved | PurgedKey
    Remove = Callable[..., Removed]

JEFF, BOB = "targets/jeff", "targets/bob"


def _release(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    _sign(world, owner, "2")
    _sign(world, jeff, "1")


@pytest.fixture
def owner(world: World) -> Person:
    """The owner, who has bob's key too; jeff, whose key is elsewhere, signed tag 1 last."""
    return publishing(world, _release, "bob")


@pytest.fixture(params=["remove", "purge"])
def remove(request: pytest.FixtureRequest, world: World, owner: Person) -> Remove:
    """Both ways to take jeff's only key out."""
    [info] = world.person("jeff").client().keys.list()
    client = owner.client()
    if request.param == "purge":
        return lambda **how: client.keys.purge(info.keyid, GUN, **how)
    return lambda **how: client.remove_signer("jeff", GUN, **how)


def _sign(world: World, person: Person, tag: str, content: str = "") -> str:
    digest = world.push(tag, content)
    person.client().sign([f"{GUN}:{tag}"])
    return digest


def _named(done: Removed) -> set[tuple[str, str]]:
    return {(one.role, one.tag) for one in done.resting}


def test_nothing_is_done_until_somebody_says_what_becomes_of_them(
    world: World, owner: Person, remove: Remove
) -> None:
    digest = owner.client().verify(f"{GUN}:1").digest
    before = owner.cache()
    world.requests()
    with pytest.raises(UndecidedTagsError) as caught:
        remove()
    listed = [{"role": roles.RELEASES, "tag": "1", "digest": digest}]
    assert caught.value.facts == {"gun": GUN, "resting": listed}
    assert caught.value.why[0] == f"1 in targets/releases: {digest}"
    assert "POST" not in world.requests()
    assert owner.cache() == before


def test_they_are_kept_and_named(world: World, remove: Remove) -> None:
    done = remove(tags="keep")
    assert world.requests().count("POST") == 1
    assert (_named(done), done.revoked, done.published) == ({(roles.RELEASES, "1")}, False, True)
    assert (done.resigned, done.kept) == ((roles.RELEASES,), ("1", "2"))
    assert released_tags(world) == {"1", "2"}


def test_they_are_revoked_in_the_same_publish(world: World, remove: Remove) -> None:
    done = remove(tags="revoke")
    assert world.requests().count("POST") == 1
    assert (_named(done), done.revoked, done.kept) == ({(roles.RELEASES, "1")}, True, ("2",))
    assert released_tags(world) == {"2"}
    with pytest.raises(TagUnsignedError):
        world.person("reader").client().verify(f"{GUN}:1")
    assert world.person("reader").client().verify(f"{GUN}:2").signers == ("bob",)


@pytest.mark.parametrize("tags", [None, "keep", "revoke"])
def test_a_dry_run_names_them_and_changes_nothing(world: World, remove: Remove, tags: str | None) -> None:
    done = remove(tags=tags, dry_run=True)
    assert "POST" not in world.requests()
    revoked = None if tags is None else tags == "revoke"
    assert (_named(done), done.revoked, done.published) == ({(roles.RELEASES, "1")}, revoked, False)
    assert done.kept == (("1", "2") if tags == "keep" else ("2",))
    assert released_tags(world) == {"1", "2"}


def test_where_others_signed_the_same_nothing_is_asked(world: World, owner: Person, remove: Remove) -> None:
    owner.client().sign([f"{GUN}:1"])
    _sign(world, world.person("jeff"), "2")
    done = remove()
    assert (done.resting, done.published) == ((), True)
    assert released_tags(world) == {"1", "2"}


def test_another_content_of_the_same_tag_vouches_for_nothing(world: World, remove: Remove) -> None:
    _sign(world, world.person("jeff"), "2", "a bad one")
    assert _named(remove(dry_run=True)) == {(roles.RELEASES, "1"), (roles.RELEASES, "2")}
    remove(tags="revoke")
    assert released_tags(world) == set()


def test_whoever_signed_the_list_last_vouches_for_no_tag_in_it(
    world: World, owner: Person, remove: Remove
) -> None:
    _sign(world, owner, "3")
    done = remove(dry_run=True)
    assert (_named(done), done.resigned) == ({(roles.RELEASES, "1")}, ())
    remove(tags="revoke")
    assert released_tags(world) == {"2", "3"}


def test_what_cannot_be_revoked_here_is_not_called_revoked(world: World) -> None:
    owner, jeff, bob = owned(world), world.person("jeff"), world.person("bob")
    for name, person in (("jeff", jeff), ("bob", bob)):
        owner.client().add_signer(name, GUN, [person.key(name)])
    _sign(world, jeff, "1")
    _sign(world, bob, "2")
    world.requests()
    with pytest.raises(UndecidedTagsError):
        owner.client().remove_signer("jeff", GUN)
    with pytest.raises(KeyNotAuthorisedError, match=roles.RELEASES):
        owner.client().remove_signer("jeff", GUN, tags="revoke")
    assert "POST" not in world.requests()
    assert owner.client().remove_signer("jeff", GUN, tags="keep").published


def test_what_the_repository_key_lists_does_not_rest_on_a_signer(world: World) -> None:
    owner, jeff = owned(world), world.person("jeff")
    _sign(world, owner, "1")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    jeff.client().sign([f"{GUN}:1"])
    assert owner.client().remove_signer("jeff", GUN).resting == ()
    assert released_tags(world) == {"1"}


def test_what_the_repository_key_lists_besides_is_said(world: World) -> None:
    owner, jeff = owned(world), world.person("jeff")
    _sign(world, owner, "1")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    _sign(world, jeff, "1", "another")
    owner.client().remove_signer("jeff", GUN, tags="revoke")
    assert any("another digest in targets is released now" in text for text in owner.warnings)


def test_a_role_with_two_keys_that_only_the_removed_one_signed(world: World, owner: Person) -> None:
    [old] = world.person("jeff").client().keys.list()
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    with pytest.raises(UndecidedTagsError) as caught:
        owner.client().remove_signer("jeff", GUN, key=old.keyid)
    listed = caught.value.facts["resting"]
    assert isinstance(listed, list)
    assert [one["role"] for one in listed] == [JEFF, roles.RELEASES]
    done = owner.client().remove_signer("jeff", GUN, key=old.keyid, tags="revoke")
    assert (done.resigned, done.kept) == ((JEFF, roles.RELEASES), ("2",))
    trusted = world.person("reader").client().refresh(GUN)
    assert (set(trusted.targets[JEFF].targets), trusted.failures) == (set(), {})
    assert released_tags(world) == {"2"}


def test_a_role_with_two_keys_that_the_other_one_signed_too(world: World, owner: Person) -> None:
    [old] = world.person("jeff").client().keys.list()
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    owner.client().renew(GUN, only=[JEFF])
    assert owner.client().remove_signer("jeff", GUN, key=old.keyid).resting == ()


def test_whom_the_removed_key_let_sign_vouches_for_nothing(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    [old] = jeff.client().keys.list()
    jeff.client().add_signer("targets/jeff/ci", GUN, [jeff.key("ci")])
    # What is listed below a signer counts as signed; whoever has jeff's key can make such a role.
    jeff.client().sign([f"{GUN}:1"], signer="jeff")
    assert _named(owner.client().remove_signer("jeff", GUN, dry_run=True)) == {(roles.RELEASES, "1")}
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")])
    owner.client().remove_signer("jeff", GUN, key=old.keyid, tags="revoke")
    assert any("targets/jeff/ci" in text and "stay" in text for text in owner.warnings)


def test_a_signature_that_carries_nothing_is_not_asked_about(world: World, owner: Person) -> None:
    owner.client().add_signer("carol", GUN, [world.person("carol").key("carol")])
    done = owner.client().remove_signer("carol", GUN)
    assert (done.resting, done.published) == ((), True)


def test_a_key_that_another_signer_has_too_is_not_removed_from_anything(world: World, owner: Person) -> None:
    owner.client().add_signer("ci", GUN, [world.person("jeff").client().keys.public("jeff")])
    assert owner.client().remove_signer("jeff", GUN).resting == ()


def test_what_was_removed_by_force_rests_on_nobody(world: World) -> None:
    owner, jeff = owned(world), world.person("jeff")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    _sign(world, jeff, "1")
    done = owner.client().remove_signer("jeff", GUN, force=True)
    assert (done.resting, done.unreadable) == ((), (roles.RELEASES,))


def test_a_lost_answer_is_looked_after(world: World, remove: Remove) -> None:
    world.attacker.lose_answers(times=1)
    done = remove(tags="revoke")
    assert (_named(done), done.published) == ({(roles.RELEASES, "1")}, True)
    assert released_tags(world) == {"2"}


def test_what_is_signed_meanwhile_is_revoked_too(world: World, remove: Remove) -> None:
    world.push("3")
    world.attacker.before_upload(lambda: world.person("jeff").client().sign([f"{GUN}:3"]))
    assert _named(remove(tags="revoke")) == {(roles.RELEASES, "1"), (roles.RELEASES, "3")}
    assert released_tags(world) == {"2"}


def test_a_decision_that_is_none_is_a_programmers_mistake(owner: Person) -> None:
    with pytest.raises(TypeError):
        owner.client().remove_signer("jeff", GUN, tags="drop")  # type: ignore[arg-type]


# -- paths


def _release_some(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")], paths=["", "v"])
    for tag in ("v1", "dev-1", "dev-2"):
        _sign(world, jeff, tag)
    owner.client().sign([f"{GUN}:dev-2"])


@pytest.fixture
def limited(world: World) -> Person:
    """The owner; jeff, whose key is elsewhere, may sign all tags, `v` among them, and signed some."""
    return publishing(world, _release_some, "bob")


def test_tags_outside_of_the_paths_that_are_left_are_named(world: World, limited: Person) -> None:
    with pytest.raises(UndecidedTagsError, match=r"dev-1 of .* rests on the removed paths alone"):
        limited.client().remove_signer("jeff", GUN, paths=[""])
    assert "POST" not in world.requests()
    done = limited.client().remove_signer("jeff", GUN, paths=[""], dry_run=True)
    assert "POST" not in world.requests()
    assert {(one.role, one.tag) for one in done.outside} == {(JEFF, "dev-1"), (JEFF, "dev-2")}
    assert (_named(done), done.paths, done.published) == ({(roles.RELEASES, "dev-1")}, ("v",), False)


def test_the_tags_of_removed_paths_are_kept(world: World, limited: Person) -> None:
    done = limited.client().remove_signer("jeff", GUN, paths=[""], tags="keep")
    assert world.requests().count("POST") == 1
    assert (done.resigned, done.kept, done.revoked, done.published) == ((), (), False, True)
    assert released_tags(world) == {"v1", "dev-1", "dev-2"}
    reader = world.person("reader").client()
    assert reader.verify(f"{GUN}:dev-1").signers == ()
    assert reader.verify(f"{GUN}:dev-2").signers == ("bob",)
    assert reader.verify(f"{GUN}:v1").signers == ("jeff",)


def test_the_tags_of_removed_paths_are_revoked(world: World, limited: Person) -> None:
    limited.client().remove_signer("jeff", GUN, paths=[""], tags="revoke")
    assert world.requests().count("POST") == 1
    assert released_tags(world) == {"v1", "dev-2"}


def test_a_signer_signs_only_within_the_paths_that_are_left(world: World, limited: Person) -> None:
    limited.client().remove_signer("jeff", GUN, paths=[""], tags="keep")
    jeff = world.person("jeff")
    assert _sign(world, jeff, "v2") == jeff.client().verify(f"{GUN}:v2").digest
    world.push("dev-3")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        jeff.client().sign([f"{GUN}:dev-3"], signer="jeff")
    assert "jeff may sign what begins with: v" in caught.value.why


def test_a_path_that_a_shorter_one_covers_goes_without_a_question(limited: Person) -> None:
    done = limited.client().remove_signer("jeff", GUN, paths=["v"])
    assert (done.outside, done.resting, done.paths, done.published) == ((), (), ("",), True)


def test_whoever_has_no_path_left_is_told(world: World, limited: Person) -> None:
    done = limited.client().remove_signer("jeff", GUN, paths=["", "v"], tags="keep")
    assert (done.paths, len(done.outside)) == ((), 3)
    assert any("jeff may sign no tag" in line for line in limited.warnings)
    assert any("its key is in targets/releases too" in line for line in limited.warnings)
    assert world.person("reader").client().verify(f"{GUN}:v1").signers == ()


def test_a_path_and_a_key_go_in_one_publish(world: World, limited: Person) -> None:
    limited.client().add_signer("jeff", GUN, [world.person("two").key("jeff")])
    [info] = world.person("jeff").client().keys.list()
    world.requests()
    done = limited.client().remove_signer(
        "jeff", GUN, key=info.keyid[:9], paths=["v"], tags="keep", force=True
    )
    assert (world.requests().count("POST"), done.paths, done.published) == (1, ("",), True)


@pytest.mark.parametrize("path", ["d", "v1", "V"])
def test_a_path_that_is_not_there_is_a_wrong_name(world: World, limited: Person, path: str) -> None:
    with pytest.raises(InvalidNameError, match=f'"{path}" is no path of {JEFF}') as caught:
        limited.client().remove_signer("jeff", GUN, paths=["", path])
    assert caught.value.why == ('its paths: "", all tags, "v"',)
    assert "POST" not in world.requests()
    with pytest.raises(TypeError, match="paths takes a list"):
        limited.client().remove_signer("jeff", GUN, paths=path)
