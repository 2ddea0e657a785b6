from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    InvalidNameError,
    KeyNotAuthorisedError,
    NetworkError,
    NotarypyError,
    TagUnsignedError,
    UsageError,
)
from notarypy.tuf import canonical, roles
from support.author import GUN
from support.people import owned, publishing

if TYPE_CHECKING:
    from notarypy.tuf.metadata import Targets
    from support.people import Person, World


def _targets(world: World, role: str = roles.TARGETS) -> Targets:
    return world.person("somebody").client().refresh(GUN).targets[role]


def _signers(world: World) -> dict[str, tuple[str, ...]]:
    return {entry.role: entry.keys for entry in world.person("somebody").client().delegations(GUN)}


def _targets_key(owner: Person) -> str:
    return next(info.keyid for info in owner.client().keys.list() if info.role == "targets")


# -- adding


def test_a_signer_may_sign_and_release_after_one_publish(world: World) -> None:
    owner, jeff = owned(world), world.person("jeff")
    public = jeff.key("jeff")
    added = owner.client().add_signer("jeff", GUN, [public])
    requests = world.requests()
    assert requests[:2] == ["GET timestamp.json", "POST"]
    assert sorted(requests[2:]) == ["GET snapshot.json", "GET timestamp.json"]
    assert (added.role, added.created, added.published) == ("targets/jeff", None, True)
    assert _signers(world) == {"targets/jeff": added.keys, roles.RELEASES: added.keys}
    world.push("1")
    assert jeff.client().sign([f"{GUN}:1"])[0].published
    assert owner.client().verify(f"{GUN}:1").signers == ("jeff",)


def test_the_same_again_publishes_nothing(world: World) -> None:
    owner, jeff = owned(world), world.person("jeff").key("jeff")
    owner.client().add_signer("jeff", GUN, [jeff])
    world.requests()
    assert owner.client().add_signer("jeff", GUN, [jeff]).published is False
    assert world.requests() == ["GET timestamp.json"]


def test_a_repository_without_trust_data_is_made_in_the_same_publish(world: World) -> None:
    alice = world.person()
    added = alice.client().add_signer("jeff", GUN, [world.person("jeff").key("jeff")])
    assert added.created is not None
    assert added.created.created
    assert added.created.signers == ("jeff",)
    assert world.requests().count("POST") == 1


def test_an_owner_on_another_machine_adds_signers_too(world: World) -> None:
    owner = owned(world)
    laptop = world.person("laptop")
    shutil.copytree(owner.trust_dir / "private", laptop.trust_dir / "private")
    added = laptop.client().add_signer("jeff", GUN, [world.person("jeff").key("jeff")])
    assert (added.created, added.published) == (None, True)
    assert "targets/jeff" in _signers(world)


def test_who_has_no_targets_key_adds_nobody(world: World) -> None:
    owned(world)
    jeff = world.person("jeff")
    with pytest.raises(KeyNotAuthorisedError) as caught:
        jeff.client().add_signer("jeff", GUN, [jeff.key("jeff")])
    assert caught.value.facts["role"] == roles.TARGETS
    assert "POST" not in world.requests()


def test_keys_and_paths_are_added_to_a_signer_that_exists(world: World) -> None:
    owner = owned(world)
    owner.client().add_signer("jeff", GUN, [world.person("one").key("jeff")], paths=["v1"])
    owner.client().add_signer("jeff", GUN, [world.person("two").key("jeff")], paths=["v2"])
    delegation = _targets(world).delegation("targets/jeff")
    assert delegation is not None
    assert delegation.paths == ("v1", "v2")
    assert len(delegation.keyids) == 2


def test_a_signer_need_not_release(world: World) -> None:
    owner = owned(world)
    owner.client().add_signer("jeff", GUN, [owner.key("jeff")], releases=False)
    assert set(_signers(world)) == {"targets/jeff"}


def test_a_role_in_full_is_a_name_too(world: World) -> None:
    owner = owned(world, "jeff")
    owner.client().add_signer("targets/jeff/ci", GUN, [owner.key("ci")])
    assert _targets(world, "targets/jeff").delegation("targets/jeff/ci") is not None
    assert len(_signers(world)[roles.RELEASES]) == 1


@pytest.mark.parametrize("name", ["", "Jeff", "../x", "targets/", "a b", "releases", "x" * 300])
def test_names_that_are_no_signers_are_refused(world: World, name: str) -> None:
    owner = owned(world)
    with pytest.raises(UsageError):
        owner.client().add_signer(name, GUN, [owner.key("jeff")])
    assert world.requests() == []


def test_a_signer_without_keys_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="no public key"):
        owned(world).client().add_signer("jeff", GUN, [])


def test_a_private_key_is_no_public_key(world: World) -> None:
    owner = owned(world)
    owner.key("jeff")
    with pytest.raises(NotarypyError):
        owner.client().add_signer("jeff", GUN, [owner.client().keys.export(["jeff"])])
    assert world.requests() == []


# -- removing


def _release(world: World, owner: Person) -> None:
    for name in ("jeff", "bob"):
        owner.client().add_signer(name, GUN, [world.person(name).key(name)])
    world.push("1")
    world.person("jeff").client().sign([f"{GUN}:1"])


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tag 1 jeff signed, from elsewhere; bob signed nothing yet."""
    return publishing(world, _release)


def test_removing_who_carries_the_releases_needs_another_key(world: World, owner: Person) -> None:
    before = owner.cache()
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().remove_signer("jeff", GUN)
    assert caught.value.exit_code == 6
    facts = caught.value.facts
    assert (facts["roles"], facts["tags"], facts["needed"]) == ([roles.RELEASES], ["1"], ["bob"])
    assert "POST" not in world.requests()
    assert before.keys() <= owner.cache().keys()
    assert owner.client().verify(f"{GUN}:1").signers == ("jeff",)


def test_another_key_here_signs_the_releases_again(world: World, owner: Person) -> None:
    owner.client().keys.load(world.person("bob").client().keys.export(["bob"]), name="bob")
    world.requests()
    removed = owner.client().remove_signer("jeff", GUN, tags="keep")
    assert (removed.resigned, removed.kept, removed.unreadable) == ((roles.RELEASES,), ("1",), ())
    assert world.requests().count("POST") == 1
    image = world.person("reader").client().verify(f"{GUN}:1")
    assert (image.role, image.signers) == (roles.RELEASES, ())
    assert set(_signers(world)) == {roles.RELEASES, "targets/bob"}


def test_force_removes_all_the_same_and_names_who_must_sign(world: World, owner: Person) -> None:
    removed = owner.client().remove_signer("jeff", GUN, force=True)
    assert (removed.unreadable, removed.needed) == ((roles.RELEASES,), ("bob",))
    with pytest.raises(NotarypyError):
        world.person("reader").client().verify(f"{GUN}:1")
    world.person("bob").client().sign([f"{GUN}:1"], discard_unverified=True)
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("bob",)


def test_a_signer_whose_signature_carries_nothing_just_goes(world: World, owner: Person) -> None:
    removed = owner.client().remove_signer("bob", GUN)
    assert (removed.resigned, removed.kept, removed.unreadable) == ((), (), ())
    assert set(_signers(world)) == {roles.RELEASES, "targets/jeff"}
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("jeff",)


def test_the_last_signer_takes_the_releases_along_only_with_force(world: World, owner: Person) -> None:
    owner.client().remove_signer("bob", GUN)
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().remove_signer("jeff", GUN)
    assert any("last signer" in line for line in caught.value.why)
    owner.client().remove_signer("jeff", GUN, force=True)
    with pytest.raises(TagUnsignedError):
        world.person("reader").client().verify(f"{GUN}:1")


def test_the_last_signer_can_be_replaced_or_the_tags_given_up(owner: Person) -> None:
    digest = owner.client().verify(f"{GUN}:1").digest
    owner.client().remove_signer("bob", GUN)
    for dry_run in (True, False):
        with pytest.raises(KeyNotAuthorisedError) as caught:
            owner.client().remove_signer("jeff", GUN, dry_run=dry_run)
        assert f"1 in targets/releases: {digest}" in caught.value.why
        assert f"notarypy delegate add NAME {GUN} --key PUB" in advice(caught.value)
        assert "--revoke-tags" in advice(caught.value)
        assert "have them sign" not in advice(caught.value)


@pytest.mark.parametrize("revoked_before", [False, True])
@pytest.mark.parametrize("way", ["remove", "purge"])
def test_the_last_signer_goes_with_the_last_tag(
    world: World, owner: Person, way: str, revoked_before: bool
) -> None:
    jeff, amy, reader = world.person("jeff"), world.person("amy"), world.person("reader").client()
    owner.client().remove_signer("bob", GUN)
    tags: Literal["revoke"] | None = "revoke"
    if revoked_before:
        jeff.client().revoke([f"{GUN}:1"])
        tags = None
    if way == "remove":
        owner.client().remove_signer("jeff", GUN, tags=tags)
    else:
        owner.client().keys.purge(jeff.client().keys.list()[0].keyid, GUN, tags=tags)
    assert _signers(world) == {roles.RELEASES: (_targets_key(owner),)}
    with pytest.raises(TagUnsignedError):
        reader.verify(f"{GUN}:1")
    owner.client().add_signer("amy", GUN, [amy.key("amy")])
    with pytest.raises(TagUnsignedError):
        reader.verify(f"{GUN}:1")
    amy.client().sign([f"{GUN}:1"])
    assert reader.verify(f"{GUN}:1").signers == ("amy",)


def test_revoked_tags_do_not_come_back_with_the_signer(world: World, owner: Person) -> None:
    [info] = world.person("jeff").client().keys.list()
    public = _public(world, info.keyid)
    owner.client().remove_signer("bob", GUN)
    owner.client().remove_signer("jeff", GUN, tags="revoke")
    owner.client().add_signer("jeff", GUN, [public])
    with pytest.raises(TagUnsignedError):
        world.person("reader").client().verify(f"{GUN}:1")
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    assert world.person("reader").client().verify(f"{GUN}:2").role == roles.RELEASES


def test_a_list_with_a_tag_that_somebody_else_vouches_for_stays(world: World, owner: Person) -> None:
    auditor = world.person("auditor")
    owner.client().remove_signer("bob", GUN)
    owner.client().add_signer("auditor", GUN, [auditor.key("auditor")], releases=False)
    auditor.client().sign([f"{GUN}:1"])
    with pytest.raises(KeyNotAuthorisedError):
        owner.client().remove_signer("jeff", GUN, tags="revoke")
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("jeff", "auditor")


@pytest.mark.parametrize("digits", [1, 6])
def test_a_key_is_not_taken_by_few_digits(world: World, owner: Person, digits: int) -> None:
    [info] = world.person("bob").client().keys.list()
    with pytest.raises(InvalidNameError) as caught:
        owner.client().remove_signer("bob", GUN, key=info.keyid[:digits])
    assert "at least 7 digits" in caught.value.why[0]
    assert owner.client().remove_signer("bob", GUN, key=info.keyid[:7], dry_run=True).key == info.keyid


def test_a_removal_that_is_not_ones_own_to_make_is_refused_for_that(owner: Person) -> None:
    owner.client().remove_signer("bob", GUN)
    held = owner.client().keys.list()
    owner.client().keys.remove(next(info.keyid for info in held if info.role == "targets"))
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign targets") as caught:
        owner.client().remove_signer("jeff", GUN)
    assert "needed" not in caught.value.facts


def test_one_key_of_two_may_go(world: World, owner: Person) -> None:
    second = world.person("second")
    owner.client().add_signer("bob", GUN, [second.key("bob")])
    [info] = second.client().keys.list()
    gone = info.keyid
    removed = owner.client().remove_signer("bob", GUN, key=gone[:9])
    assert removed.role == "targets/bob"
    assert gone not in _signers(world)["targets/bob"]
    assert gone not in _signers(world)[roles.RELEASES]
    assert len(_signers(world)["targets/bob"]) == 1
    for wrong in (gone, "0" * 64):
        with pytest.raises(InvalidNameError):
            owner.client().remove_signer("bob", GUN, key=wrong)


def test_a_key_that_another_signer_has_stays_in_releases(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    shared = jeff.client()
    [info] = shared.keys.list()
    public = _public(world, info.keyid)
    owner.client().add_signer("ci", GUN, [public])
    removed = owner.client().remove_signer("jeff", GUN)
    assert removed.unreadable == ()
    assert info.keyid in _signers(world)[roles.RELEASES]
    assert world.person("reader").client().verify(f"{GUN}:1").role == roles.RELEASES


def test_a_role_below_a_signer_leaves_the_releases_alone(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    [info] = jeff.client().keys.list()
    jeff.client().add_signer("targets/jeff/ci", GUN, [_public(world, info.keyid)])
    jeff.client().remove_signer("targets/jeff/ci", GUN)
    assert info.keyid in _signers(world)[roles.RELEASES]
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("jeff",)
    assert owner.client().delegations(GUN)


def test_releases_with_tags_goes_only_with_force(world: World, owner: Person) -> None:
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().remove_signer(roles.RELEASES, GUN)
    assert caught.value.facts["tags"] == ["1"]
    removed = owner.client().remove_signer(roles.RELEASES, GUN, force=True)
    assert removed.unreadable == (roles.RELEASES,)
    assert roles.RELEASES not in _signers(world)


def test_an_unknown_signer_is_a_wrong_name(world: World, owner: Person) -> None:
    with pytest.raises(InvalidNameError, match="no signer") as caught:
        owner.client().remove_signer("nobody", GUN)
    assert advice(caught.value) == f"see them with: notarypy signer list {GUN}"
    assert "POST" not in world.requests()


def test_a_removal_whose_answer_was_lost_is_still_done(world: World, owner: Person) -> None:
    owner.client().keys.load(world.person("bob").client().keys.export(["bob"]), name="bob")
    world.attacker.lose_answers(times=1)
    removed = owner.client().remove_signer("jeff", GUN, tags="keep")
    assert (removed.resigned, removed.kept) == ((roles.RELEASES,), ("1",))
    assert world.requests().count("POST") == 1


def test_a_removal_that_was_lost_on_the_way_is_done_again(world: World, owner: Person) -> None:
    def break_off() -> None:
        raise NetworkError("the connection was lost")

    world.attacker.before_upload(break_off)
    owner.client().remove_signer("bob", GUN)
    assert "targets/bob" not in _signers(world)


def test_a_removal_after_a_conflict_looks_at_the_new_releases(world: World, owner: Person) -> None:
    """Bob signs the releases while jeff's removal is on its way: now bob's signature would carry it."""
    owner.client().keys.load(world.person("bob").client().keys.export(["bob"]), name="bob")
    world.push("2")
    world.attacker.before_upload(lambda: world.person("bob").client().sign([f"{GUN}:2"]))
    owner.client().remove_signer("jeff", GUN, tags="keep")
    reader = world.person("reader").client()
    assert reader.verify(f"{GUN}:1").role == reader.verify(f"{GUN}:2").role == roles.RELEASES


def test_a_removed_signer_cannot_sign(world: World, owner: Person) -> None:
    owner.client().remove_signer("jeff", GUN, force=True)
    world.push("2")
    with pytest.raises(KeyNotAuthorisedError):
        world.person("jeff").client().sign([f"{GUN}:2"])


def test_a_signer_who_comes_back_signs_again(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    [info] = jeff.client().keys.list()
    public = _public(world, info.keyid)
    owner.client().remove_signer("jeff", GUN, force=True)
    owner.client().add_signer("jeff", GUN, [public])
    world.push("2")
    assert jeff.client().sign([f"{GUN}:2"])[0].published
    assert world.person("reader").client().verify(f"{GUN}:2").signers == ("jeff",)


def test_a_signer_who_comes_back_signs_again_where_the_snapshot_key_is_local(world: World) -> None:
    alice = world.person()
    alice.client().init(GUN, snapshot="local")
    public = alice.key("jeff")
    world.push("1")
    world.push("2")
    alice.client().add_signer("jeff", GUN, [public])
    alice.client().sign([f"{GUN}:1"])
    alice.client().remove_signer("jeff", GUN, force=True)
    alice.client().add_signer("jeff", GUN, [public])
    assert alice.client().sign([f"{GUN}:2"])[0].published
    assert alice.client().verify(f"{GUN}:2").signers == ("jeff",)


def test_all_delegations_are_listed_with_what_is_wrong_with_them(world: World, owner: Person) -> None:
    world.clock.advance(timedelta(days=400))
    owner.client().add_signer("carol", GUN, [owner.key("carol")])
    world.clock.advance(timedelta(days=3 * 365 - 400))
    entries = {entry.role: entry for entry in owner.client().delegations(GUN)}
    assert set(entries) == {roles.RELEASES, "targets/jeff", "targets/bob", "targets/carol"}
    assert "expired" in entries["targets/jeff"].problem
    assert (entries["targets/bob"].problem, entries["targets/bob"].version) == ("", None)


def _public(world: World, keyid: str) -> bytes:
    """Return the public half of a signer's key as PEM, from the repository."""
    import base64

    targets = canonical.decode(world.attacker.current(GUN, roles.TARGETS))["signed"]
    key = targets["delegations"]["keys"][keyid]["keyval"]["public"]
    der = base64.b64decode(key)
    body = base64.encodebytes(der)
    return b"-----BEGIN PUBLIC KEY-----\n" + body + b"-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("path", ["release-*", "v?", "[0-9]", "*"])
def test_a_pattern_is_no_prefix(world: World, path: str) -> None:
    owner = world.person()
    with pytest.raises(InvalidNameError) as caught:
        owner.client().add_signer("jeff", GUN, [owner.key("jeff")], paths=["v1", path])
    assert advice(caught.value).startswith(f"write --path {path[:-1]}") == (path in {"release-*", "v?"})
    assert "POST" not in world.requests()


def test_a_path_with_a_control_character_is_refused_before_anything_is_asked(world: World) -> None:
    owner = world.person()
    with pytest.raises(InvalidNameError):
        owner.client().add_signer("jeff", GUN, [owner.key("jeff")], paths=["a\nb"])
    assert world.requests() == []


def test_who_may_not_sign_a_tag_is_told_the_paths(world: World) -> None:
    owner, jeff = world.person(), world.person("jeff")
    owner.client().add_signer("jeff", GUN, [jeff.key("jeff")], paths=["v1", "v2"])
    world.push("3")
    for signer in (None, "jeff"):
        with pytest.raises(KeyNotAuthorisedError) as caught:
            jeff.client().sign([f"{GUN}:3"], signer=signer)
        assert "jeff may sign what begins with: v1, v2" in caught.value.why
