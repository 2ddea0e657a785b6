"""Overviews: what is signed by whom, and what whoever answers for a repository has to know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.findings import Finding, worst_level
from notarypy.client.history.events import HistoryEvent
from notarypy.client.metadata.dates import role_ends
from notarypy.client.overview.looking import listed_tags
from notarypy.client.overview.overviews import ListedTag, findings, judged_history
from notarypy.client.results import RepositoryStatus
from notarypy.client.verdicts import RoleStatus
from notarypy.errors import RepositoryMissingError, UsageError
from notarypy.values import replace
from support.author import GUN, NOW
from support.people import owned
from support.results import D1, D2, WHEN

if TYPE_CHECKING:
    from notarypy import Overview
    from notarypy.tuf.trusted import TrustedMetadata
    from support.people import Person, World

K1, K2, K3 = ("1" * 64, "2" * 64, "3" * 64)


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def said(found: Overview, level: str) -> list[str]:
    return [one.text for one in found.findings if one.level == level]


def advised(found: Overview) -> set[str]:
    return {one.fix.name for one in found.findings if one.fix is not None}


# -- what is there


def test_released_and_other_tags_are_told_apart(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")], releases=False)
    digests = {tag: world.push(tag) for tag in ("1", "2")}
    owner.client().sign([f"{GUN}:1"])
    bob.client().sign([f"{GUN}:1", f"{GUN}:2"])
    newer = world.push("1", "new")
    bob.client().sign([f"{GUN}:1"])
    found = owner.client().overview(GUN)
    assert [(one.tag, one.digest, one.signers, one.released) for one in found.tags] == [
        ("1", digests["1"], ("jeff",), True),
        ("1", newer, ("bob",), False),
        ("2", digests["2"], ("bob",), False),
    ]
    assert found.tags[0].roles == ("targets/jeff", "targets/releases")
    assert found.tags[0].expires == min(
        one.expires
        for one in found.status.roles
        if one.expires and one.role not in {"targets/bob", "timestamp"}
    )
    assert {"settle-tag", "release-tag"} <= advised(found)
    assert worst_level(found.findings) == "warning"
    assert [one.tag for one in found.released] == ["1"]


def test_what_is_well_is_said_too(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    found = owner.client().overview(GUN)
    assert "every signed tag is released, and somebody who may sign stands behind it" in said(found, "ok")
    assert "what happened last was signed by the keys of its time" in said(found, "ok")
    assert (found.repository, found.time, found.earlier) == (GUN, NOW, 0)
    assert found.root_pins == owner.client().refresh(GUN).root.pins


def test_what_has_ended_is_shown_and_bad(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    world.clock.advance(timedelta(days=365 * 4))
    found = owner.client().overview(GUN, history=False)
    assert any(text.startswith("targets/jeff ended on ") for text in said(found, "bad"))
    assert found.findings[0].level == "bad"
    assert {"renew", "mend-dates"} <= advised(found)
    assert any(
        text.startswith("tag 1 is released, and what that rests on has ended") for text in said(found, "bad")
    )
    assert not any("every signed tag is released" in text for text in said(found, "ok"))
    assert [one.tag for one in found.tags] == ["1"]


def test_a_timestamp_counts_for_the_end_of_a_tag_once_it_has_ended(owner: Person, world: World) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    trusted = owner.client().refresh(GUN)
    ends = role_ends(trusted)
    (tag,) = listed_tags(trusted)
    assert tag.expires == min(ends[role] for role in ("targets", "targets/jeff", "targets/releases"))
    trusted.now = ends["timestamp"]
    (tag,) = listed_tags(trusted)
    assert tag.expires == ends["timestamp"]


def test_a_root_is_a_warning_a_year_before_its_end(world: World, owner: Person) -> None:
    world.clock.advance(timedelta(days=3652 - 200))
    owner.client().renew(GUN)
    found = owner.client().overview(GUN, history=False)
    (text,) = [text for text in said(found, "warning") if text.startswith("root ends on ")]
    assert "renew-root-early" in advised(found)
    assert "no role has ended, and none that somebody has to renew ends soon" not in said(found, "ok")
    assert text.endswith((" in 199 days", " in 200 days", " in 198 days"))
    assert [one.role for one in owner.client().status(GUN).due] == []


def test_what_cannot_be_verified_of_the_past_says_what_to_do() -> None:
    event = HistoryEvent(None, "targets", 2, "unverified", verified=False, why="nobody signed it")
    (finding,) = judged_history(GUN, [event], None)
    assert (finding.level, finding.fix and finding.fix.name) == ("warning", "see-history")


def test_a_tag_of_a_signer_who_left_has_nobody_behind_it(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    world.push("1")
    bob.client().sign([f"{GUN}:1"])
    owner.client().remove_signer("bob", GUN, tags="keep", force=True)
    found = owner.client().overview(GUN)
    assert any(
        text.startswith("tag 1 is released, and no signer of today") for text in said(found, "warning")
    )
    assert "stand-behind" in advised(found)


def test_the_registry_is_asked_only_if_that_is_wanted(world: World, owner: Person) -> None:
    for tag in ("1", "2", "3"):
        world.push(tag)
    owner.client().sign([f"{GUN}:{tag}" for tag in ("1", "2", "3")])
    moved = world.push("2", "other")
    world.fake.registry.images.delete_tag(GUN.partition("/")[2], "3")
    world.requests()
    found = owner.client().overview(GUN, history=False)
    assert {one.served for one in found.tags} == {None}
    assert not [line for line in world.requests() if "/manifests/" in line]
    found = owner.client().overview(GUN, history=False, registry=True)
    assert [(one.served, one.found) for one in found.tags] == [
        ("same", found.tags[0].digest),
        ("moved", moved),
        ("gone", None),
    ]
    assert "tag 2 is served by the registry with other content than was signed" in said(found, "bad")
    assert {"report-moved", "report-gone"} <= advised(found)
    assert len([line for line in world.requests() if "/manifests/" in line]) == 3


def test_a_registry_that_is_gone_is_asked_once(world: World, owner: Person) -> None:
    for tag in ("1", "2", "3"):
        world.push(tag)
    owner.client().sign([f"{GUN}:{tag}" for tag in ("1", "2", "3")])
    found = owner.client(offline=True).overview(GUN, registry=True)
    assert {one.served for one in found.tags} == {"unknown"}
    assert "look-again" in advised(found)


def test_what_cannot_be_read_raises(world: World, owner: Person) -> None:
    with pytest.raises(RepositoryMissingError):
        owner.client().overview(f"{GUN}/other")
    with pytest.raises(UsageError):
        owner.client(gun=True).overview(GUN, registry=True)
    assert world.requests()


def test_of_a_long_history_the_end_is_kept(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notarypy.client.overview.looking._EVENTS", 2)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    found = owner.client().overview(GUN)
    everything = list(owner.client().history(GUN))
    assert found.events == tuple(everything[-2:])
    assert found.earlier == len(everything) - 2
    assert owner.client().overview(GUN, history=False).earlier is None


# -- what is wrong


@pytest.fixture
def trusted(owner: Person) -> TrustedMetadata:
    return owner.client().refresh(GUN)


def role(name: str, *keys: str, threshold: int = 1, **changes: Any) -> RoleStatus:  # noqa: ANN401 - any of its fields
    made = RoleStatus(name, 1, WHEN, keys or (name.ljust(64, "0"),), threshold, (), due=False, problem="")
    return replace(made, **changes)


def status(*others: RoleStatus) -> RepositoryStatus:
    """Return four base roles, three root keys of which two are needed, with some replaced or added."""
    base = {
        one.role: one
        for one in (
            role("root", K1, K2, K3, threshold=2),
            role("targets"),
            role("snapshot"),
            role("timestamp"),
        )
    }
    return RepositoryStatus(
        GUN, "https://n.test", tuple({**base, **{one.role: one for one in others}}.values())
    )


def judged(trusted: TrustedMetadata, *others: RoleStatus, tags: tuple[ListedTag, ...] = ()) -> list[Finding]:
    return findings(trusted, status(*others), tags, registry=False)


@pytest.mark.parametrize(
    ("others", "level", "words"),
    [
        ((), "ok", "2 of 3 root keys have to sign"),
        (
            (role("root", K1),),
            "warning",
            "there is one root key: if it is lost, signing goes on, and root and ",
        ),
        ((role("root", K1, K2),), "warning", "each of the 2 root keys is enough alone"),
        ((role("root", K1, K2, threshold=2),), "warning", "all 2 root keys are needed"),
        ((), "warning", "one key alone is enough to sign targets"),
        ((role("targets", K1, K2, threshold=2),), "ok", "no key alone is enough"),
        ((role("snapshot", here=(K1,)),), "warning", "the snapshot key is kept here"),
        ((role("targets", K1),), "warning", "a root key is a key of targets too"),
        (
            (role("targets/a", K3), role("targets/b", K3)),
            "warning",
            "key 333333333333 signs for targets/a, targets/b",
        ),
        ((role("targets/a", problem="no signature"),), "bad", "targets/a cannot be trusted: no signature"),
        ((role("targets", due=True),), "warning", "targets ends on "),
        ((role("targets", due=True, expires=NOW),), "bad", "targets ended on "),
    ],
)
def test_each_weakness_is_found(
    trusted: TrustedMetadata, others: tuple[RoleStatus, ...], level: str, words: str
) -> None:
    assert [one for one in judged(trusted, *others) if one.level == level and one.text.startswith(words)]


def test_thresholds_are_raised_by_the_command_of_their_role(trusted: TrustedMetadata) -> None:
    found = judged(trusted, role("targets/a", K1))
    fixes = {one.text: one.fix and one.fix.name for one in found if one.text.startswith("one key alone")}
    start = "one key alone is enough to sign"
    assert fixes == {f"{start} targets": "raise-targets-threshold", f"{start} targets/a": "raise-thresholds"}


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        (role("targets", due=True, here=("targets".ljust(64, "0"),)), "renew"),
        (role("targets", due=True), "sign-role-again"),
        (role("timestamp", due=True), "check-clock"),
        (role("targets/a", problem="no", usable=False), "replace-unusable"),
        (role("targets/a", problem="no"), "sign-anew-or-remove"),
    ],
)
def test_who_can_mend_it_is_said(trusted: TrustedMetadata, changed: RoleStatus, advice: str) -> None:
    found = judged(trusted, changed)
    assert advice in {one.fix.name for one in found if one.fix is not None and one.area in {"dates", "files"}}


def test_of_many_tags_the_first_are_named(trusted: TrustedMetadata) -> None:
    many = tuple(
        ListedTag(f"{n}", D1, 5, ("targets/jeff",), ("jeff",), released=False, expires=None)
        for n in range(50)
    )
    (found,) = [one for one in judged(trusted, tags=many) if "not released" in one.text]
    assert found.text.startswith("50 tags (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 40 more) are signed")


@pytest.mark.parametrize(
    ("tag", "named"), [("1.0-a_b", "1.0-a_b"), ("$(halt)", "TAG"), ("a b", "TAG"), ("-x", "TAG")]
)
def test_what_is_to_be_typed_has_no_odd_names(trusted: TrustedMetadata, tag: str, named: str) -> None:
    odd = ListedTag(tag, D1, 5, ("targets/jeff",), ("jeff",), released=False, expires=None)
    (fix,) = [one.fix for one in judged(trusted, tags=(odd,)) if one.fix and one.fix.name == "release-tag"]
    assert fix.values == {"reference": f"{GUN}:{named}"}


def test_a_tag_without_a_digest_is_a_finding(trusted: TrustedMetadata) -> None:
    odd = ListedTag("1", None, 5, ("targets/jeff",), ("jeff",), released=False, expires=None)
    well = ListedTag("2", D2, 5, ("targets",), (), released=True, expires=WHEN)
    texts = [one.text for one in judged(trusted, tags=(odd, well))]
    assert "tag 1 is listed without a SHA-256, so that nobody can use it" in texts


def test_paths_that_count_for_nothing_are_named(world: World, owner: Person) -> None:
    owner.client().add_signer("dev", GUN, [owner.key("dev")], paths=["dev-"])
    owner.client().add_signer(
        "targets/dev/night", GUN, [owner.key("night")], paths=["night-"], releases=False
    )
    found = owner.client().overview(GUN, history=False)
    text = "paths of targets/dev/night count for nothing, as targets/dev may not sign them: night-"
    assert text in said(found, "warning")
    assert world.requests()
