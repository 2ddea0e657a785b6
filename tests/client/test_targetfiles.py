"""Which names a repository lists, and whose word counts (rules of `client.verify.targetfiles`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.verify.targetfiles import find
from notarypy.errors import InvalidNameError, TagUnsignedError, TrustError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.fields import TargetFile
from support.author import GUN, NOW
from support.stage import Stage

if TYPE_CHECKING:
    from support.people import World

A, B, DEEP_A, DEEP_B = "targets/a", "targets/b", "targets/a/deep", "targets/b/deep"


@pytest.fixture
def scene(world: World) -> Stage:
    """A repository in which several roles list the same names, each with other content."""
    scene = Stage(world)
    author = scene.author
    for role in (B, A, DEEP_B):
        author.delegate(role)
        author.fill(role, {})
    author.delegate(DEEP_A, paths=("n",))
    for name, listing in {
        "all": (roles.TARGETS, A, B),
        "both": (A, B),
        "deep": (DEEP_B, A),
        "ndeep": (DEEP_A, DEEP_B),
        "other": (DEEP_A,),
    }.items():
        for role in listing:
            author.add(name, f"{name} of {role}".encode(), role)
    scene.publish(roles.TARGETS, A, B, DEEP_A, DEEP_B)
    return scene


def roles_of(scene: Stage, *asked: str) -> dict[str, str]:
    """Return whose word counts for each name, and check that a lookup says the same."""
    client = scene.reader.client()
    listed, trusted = client.targets.list(GUN, roles=asked), client.refresh(GUN)
    assert [one.name for one in listed] == sorted(one.name for one in listed)
    assert [find(trusted, one.name, asked) for one in listed] == [*listed]
    return {one.name: one.role for one in listed if one.name != "1"}


def test_the_walk_is_breadth_first(scene: Stage) -> None:
    assert roles_of(scene) == {"all": roles.TARGETS, "both": B, "deep": A, "ndeep": DEEP_B}
    assert scene.reader.client().targets.lookup(GUN, "both").role == B


def test_named_roles_count_in_their_order(scene: Stage) -> None:
    """Each walk leaves out the other named roles, and what is below them: Go notary's order (rule 2)."""
    for asked, *counts in (
        ([A], A, A, DEEP_A),
        ([B], B, DEEP_B, DEEP_B),
        ([A, B], A, A, DEEP_A),
        ([roles.TARGETS, B], A, A, DEEP_A),
        ([roles.TARGETS, A, B], A, A, DEEP_A),
        ([B, roles.TARGETS], B, DEEP_B, DEEP_B),
        ([DEEP_A, B], B, DEEP_B, DEEP_A),
        ([roles.TARGETS, roles.TARGETS], B, A, DEEP_B),
        (["targets/none", A, "snapshot"], A, A, DEEP_A),
    ):
        found = roles_of(scene, *asked)
        assert [found["both"], found["deep"], found["ndeep"]] == counts, asked


def test_what_paths_do_not_admit_is_not_listed(scene: Stage) -> None:
    with pytest.raises(TagUnsignedError) as caught:
        scene.reader.client().targets.lookup(GUN, "other")
    assert caught.value.facts == {"gun": GUN, "name": "other"}


def test_roles_that_do_not_exist_list_nothing(scene: Stage) -> None:
    targets = scene.reader.client().targets
    for asked in ("nope", "snapshot", "root", "targets/none", " targets/a", "targets/none/below"):
        assert targets.list(GUN, roles=[asked]) == ()
    with pytest.raises(TagUnsignedError, match="no target"):
        targets.lookup(GUN, "all", roles=["nope", "root"])


def test_an_entry_is_whole(scene: Stage) -> None:
    entry = TargetFile(7, {"sha512": b"5" * 64, "md5": b"1"}, {"b": 1})
    scene.author.fill(roles.TARGETS, {"odd": entry})
    scene.publish(roles.TARGETS)
    found = scene.reader.client().targets.lookup(GUN, "odd")
    assert (found.repository, found.name, found.role, found.length) == (GUN, "odd", roles.TARGETS, 7)
    assert (found.sha256, found.sha512, found.custom) == (None, b"5".hex() * 64, {"b": 1})


def break_role(scene: Stage, role: str) -> None:
    """Let a role's file end; the reader knows the root."""
    scene.author.targets[role] = replace(scene.author.targets[role], expires=NOW - timedelta(days=1))
    scene.publish(role)
    scene.know()


def test_what_a_broken_role_may_list_is_not_taken_from_the_next(scene: Stage) -> None:
    """What an earlier role says of a name is not known then; of other names others speak on (rule 4)."""
    break_role(scene, B)
    targets = scene.reader.client().targets
    assert targets.lookup(GUN, "all").role == roles.TARGETS
    for name in ("both", "deep", "never"):
        with pytest.raises(TrustError) as caught:
            targets.lookup(GUN, name)
        assert not isinstance(caught.value, TagUnsignedError)
        assert "targets/b" in caught.value.message
    assert targets.lookup(GUN, "both", roles=[A]).role == A
    with pytest.raises(TrustError, match="targets/b"):
        targets.lookup(GUN, "ndeep", roles=[DEEP_B])


def test_a_list_goes_on_without_a_broken_role_and_says_so(scene: Stage) -> None:
    break_role(scene, B)
    listed = {one.name: one.role for one in scene.reader.client().targets.list(GUN)}
    assert listed == {"1": "targets/jeff", "all": roles.TARGETS, "both": A, "deep": A, "ndeep": DEEP_A}
    assert len(scene.reader.warnings) == 1
    assert f"targets/b of {GUN} is left out" in scene.reader.warnings[0]


def test_names_that_a_broken_role_may_not_list_are_found(scene: Stage) -> None:
    scene.author.delegate("targets/first", paths=("x",))
    file = scene.author.targets[roles.TARGETS]
    scene.author.targets[roles.TARGETS] = replace(file, roles=(file.roles[-1], *file.roles[:-1]))
    scene.author.add("x1", b"x1", "targets/first")
    scene.publish(roles.TARGETS, "targets/first")
    break_role(scene, "targets/first")
    targets = scene.reader.client().targets
    assert targets.lookup(GUN, "both").role == B
    with pytest.raises(TrustError, match="targets/first"):
        targets.lookup(GUN, "x1")


def test_a_role_that_lost_its_keys_lists_nothing_and_that_is_said(scene: Stage) -> None:
    file = scene.author.targets[roles.TARGETS]
    scene.author.targets[roles.TARGETS] = replace(
        file, roles=tuple(replace(one, keyids=()) if one.name == B else one for one in file.roles)
    )
    scene.publish(roles.TARGETS)
    scene.know()
    assert B in scene.reader.client().refresh(GUN).failures
    targets = scene.reader.client().targets
    assert targets.lookup(GUN, "both").role == A
    assert [one.role for one in targets.list(GUN) if one.name == "both"] == [A]
    (warning,) = scene.reader.warnings
    assert f"targets/b of {GUN} is left out" in warning
    with pytest.raises(TagUnsignedError) as caught:
        targets.lookup(GUN, "nowhere")
    why, unheard = caught.value.why
    assert why == "no role that counts lists it"
    assert unheard.startswith("targets/b, which may list it, does not count: ")


def test_a_name_that_names_nothing_is_an_error_and_no_row(scene: Stage) -> None:
    scene.author.fill(roles.TARGETS, {"odd": TargetFile(1, {"sha256": b"short"})})
    scene.publish(roles.TARGETS)
    targets = scene.reader.client().targets
    assert "odd" not in {one.name for one in targets.list(GUN)}
    assert any("names no content" in warning for warning in scene.reader.warnings)
    with pytest.raises(VerificationError, match="names no content"):
        targets.lookup(GUN, "odd")


def test_a_repository_is_named_and_no_image(scene: Stage) -> None:
    with pytest.raises(InvalidNameError):
        scene.reader.client().targets.list(f"{GUN}:1")
    with pytest.raises(TypeError, match="roles takes a list"):
        scene.reader.client().targets.list(GUN, roles="targets")
