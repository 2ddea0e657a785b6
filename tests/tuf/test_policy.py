"""What is required of a release, and which scope counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import PolicyError, SignerMissingError, TooOldError
from notarypy.tuf import policy, roles
from notarypy.tuf.policy import MaxAge, Release, Requirements, Signers
from support.author import GUN, NOW, Author
from support.repository import DAY, LATER, load

if TYPE_CHECKING:
    from datetime import datetime

A, B, C = "targets/a", "targets/b", "targets/c"


def repository(*signing: str, others: tuple[str, ...] = ()) -> Author:
    """Return a repository whose tag 1 is released, and signed by some of its signers."""
    author = Author()
    for role in (roles.RELEASES, *signing, *others):
        author.delegate(role)
        author.add("1" if role not in others else "2", b"content", role)
    return author


def unmet(author: Author, required: Requirements, now: datetime = LATER) -> list[PolicyError]:
    trusted = load(author.repository(), now=now)
    found = policy.released(trusted, "1")
    assert found is not None
    return policy.unmet(trusted, Release("1", *found), required)


def missing(author: Author, signers: Signers) -> list[str]:
    errors = unmet(author, Requirements(signers))
    assert all(isinstance(error, SignerMissingError) for error in errors)
    return [error.message for error in errors]


# -- rules 1 and 2


def test_nothing_required_is_met() -> None:
    assert unmet(repository(), Requirements()) == []


def test_all_of_the_named_must_sign() -> None:
    author = repository(A, B, others=(C,))
    assert missing(author, Signers(every=(A, B))) == []
    assert missing(author, Signers(every=(A, C, "targets/x"))) == [f"{GUN}:1 is not signed by c, x"]
    (error,) = unmet(author, Requirements(Signers(every=(A, C, "targets/x")), source="a test"))
    assert error.why == (
        "targets/c does not list this tag",
        "targets/x does not exist",
        "required by a test",
    )
    assert error.facts == {"signers": ["a", "b"], "missing": ["c", "x"]}
    assert (error.code, error.exit_code) == ("policy.signer_missing", 10)


@pytest.mark.parametrize(
    ("signing", "threshold", "met"),
    [((A,), 1, True), ((B, C), 2, True), ((A, B, C), 2, True), ((A,), 2, False), ((), 1, False)],
)
def test_some_of_the_named_must_sign(signing: tuple[str, ...], threshold: int, met: bool) -> None:
    others = tuple(role for role in (A, B, C) if role not in signing)
    told = missing(repository(*signing, others=others), Signers(some=(A, B, C), threshold=threshold))
    wanted = f"{GUN}:1 is signed by {len(signing)} of a, b, c; {threshold} must have"
    assert told == ([] if met else [wanted])


def test_a_signer_who_signed_something_else_does_not_count() -> None:
    author = repository(A, B)
    author.add("1", b"other content", B)
    (error,) = unmet(author, Requirements(Signers(some=(A, B), threshold=2)))
    assert error.why[0].startswith("targets/b lists sha256:")
    assert error.facts["threshold"] == 2
    assert missing(author, Signers(every=(B,)))


def test_everyone_is_every_first_level_signer_but_releases() -> None:
    assert missing(repository(A, B), Signers(everyone=True)) == []
    assert missing(repository(A, others=(B,)), Signers(everyone=True)) == [f"{GUN}:1 is not signed by b"]
    nested = repository(A)
    nested.delegate("targets/a/deep")
    nested.add("2", b"content", "targets/a/deep")
    (error,) = unmet(nested, Requirements(Signers(every=("targets/a/deep",))))
    assert error.why == ("targets/a/deep does not list this tag",)
    assert missing(nested, Signers(everyone=True)) == []


def test_everyone_needs_somebody() -> None:
    assert missing(repository(), Signers(everyone=True)) == [f"{GUN} has no signers"]


def test_requirements_are_told_together() -> None:
    required = Requirements(
        Signers(every=(A,), some=(B, C), threshold=1), MaxAge(timestamp=DAY, signatures=DAY), "a test"
    )
    errors = unmet(repository(), required, NOW + 2 * DAY)
    assert [type(error) for error in errors] == [SignerMissingError] * 2 + [TooOldError] * 2
    error = policy.together(errors)
    assert error is errors[0]
    assert error.facts["unmet"] == ["policy.signer_missing"] * 2 + ["policy.too_old"] * 2
    assert error.why.count("required by a test") == 1
    assert f"targets/releases of {GUN} is older than it may be" in error.why
    (alone,) = unmet(repository(), Requirements(Signers(every=(A,))))
    assert "unmet" not in policy.together([alone]).facts


# -- rules 3 and 4


@pytest.mark.parametrize(("days", "met"), [(0, True), (3, True), (4, False), (13, False)])
def test_a_timestamp_has_an_age(days: int, met: bool) -> None:
    errors = unmet(repository(), Requirements(max_age=MaxAge(timestamp=3 * DAY)), NOW + days * DAY)
    assert (errors == []) is met
    for error in errors:
        assert (error.code, error.facts["role"]) == ("policy.too_old", "timestamp")
        assert error.why == (f"timestamp was signed {days} days ago; it may be 3 days old",)


def test_an_age_counts_to_the_second() -> None:
    limit = Requirements(max_age=MaxAge(timestamp=DAY))
    assert unmet(repository(), limit, NOW + DAY) == []
    assert unmet(repository(), limit, NOW + DAY + timedelta(seconds=1))


def test_an_age_needs_the_lifetime_that_files_really_have() -> None:
    week = MaxAge(timestamp=3 * DAY, timestamp_lifetime=7 * DAY)
    (error,) = unmet(repository(), Requirements(max_age=week))
    assert "cannot be told" in error.why[0]
    assert "13 days 23 h" in error.why[0]
    month = MaxAge(timestamp=17 * DAY, timestamp_lifetime=30 * DAY)
    assert unmet(repository(), Requirements(max_age=month)) == []
    assert unmet(repository(), Requirements(max_age=month), NOW + 2 * DAY)


def test_clocks_may_differ_by_a_day() -> None:
    limit = Requirements(max_age=MaxAge(timestamp=DAY, timestamp_lifetime=13 * DAY))
    assert unmet(repository(), limit, NOW) == []
    assert unmet(repository(), replace(limit, max_age=replace(limit.max_age, timestamp_lifetime=12 * DAY)))


def test_the_releasing_file_has_an_age() -> None:
    limit = Requirements(max_age=MaxAge(signatures=DAY))
    assert unmet(repository(), limit) == []
    (error,) = unmet(repository(), limit, NOW + 2 * DAY)
    assert error.facts["role"] == roles.RELEASES


def test_a_signer_whose_file_is_too_old_does_not_vouch() -> None:
    author = repository(A, B)
    author.targets[B] = replace(author.targets[B], expires=author.targets[B].expires - 10 * DAY)
    required = Requirements(Signers(every=(A,), some=(A, B), threshold=2), MaxAge(signatures=5 * DAY))
    (error,) = unmet(author, required)
    assert error.message == f"{GUN}:1 is signed by 1 of a, b; 2 must have"
    assert error.why == ("targets/b was signed 10 days 1 h ago; it may be 5 days old",)


def test_spans_are_told_as_people_say_them() -> None:
    spans = (timedelta(), timedelta(hours=5), DAY, DAY + timedelta(hours=1, minutes=59))
    assert [policy.days(span) for span in spans] == ["0 s", "5 h", "1 day", "1 day 1 h"]
    shorter = (timedelta(seconds=1), timedelta(seconds=90), timedelta(minutes=59))
    assert [policy.days(span) for span in shorter] == ["1 s", "1 min", "59 min"]


# -- rule 5


@pytest.mark.parametrize(
    ("repo", "counts"),
    [
        ("r.test/a", "r.test/a"),
        ("r.test/a/b", "r.test/a"),
        ("r.test/ab", "r.test"),
        ("r.test/a-b", "r.test"),
        ("R.TEST/a", "r.test/a"),
        ("r.test/A", "r.test"),
        ("r.test", "r.test"),
        ("r.test.evil/a", "*"),
        ("r.test:5000/a", "*"),
        ("x/r.test/a", "*"),
    ],
)
def test_the_longest_prefix_that_ends_at_a_slash_counts(repo: str, counts: str) -> None:
    assert roles.longest_prefix(["*", "r.test", "r.test/a"], repo) == counts


def test_without_a_rest_there_may_be_no_scope() -> None:
    assert roles.longest_prefix(["r.test"], "s.test/a") is None
    assert roles.longest_prefix([], "s.test/a") is None
    assert roles.longest_prefix(["*"], "s.test/a") == "*"


def test_prefixes_are_the_same_whatever_the_case_of_the_registry() -> None:
    assert roles.same_prefix("R.test/a", "r.test/a")
    assert not roles.same_prefix("r.test/A", "r.test/a")


@pytest.mark.parametrize("host", ["registry-1.docker.io", "docker.io:443", "DOCKER.IO"])
def test_a_long_spelling_of_a_registry_is_no_longer_a_prefix(host: str) -> None:
    for repository in ("docker.io/a/app", "index.docker.io/a/app"):
        assert roles.longest_prefix([host, "docker.io/a"], repository) == "docker.io/a"
        assert roles.longest_prefix(["docker.io", f"{host}/a"], repository) == f"{host}/a"


def test_a_prefix_is_replaced() -> None:
    assert roles.replaced_prefix("m.test/a/b", "m.test/a", "docker.io/library") == "docker.io/library/b"
    assert roles.replaced_prefix("m.test/a", "m.test/a", "docker.io/library/x") == "docker.io/library/x"
    assert roles.replaced_prefix("m.test/a", "m.test", "docker.io") == "docker.io/a"


@pytest.mark.parametrize("repository", ["r.test:443/team/app", "R.TEST/team/app", "r.test:0443/team/app"])
def test_no_spelling_of_a_registry_leaves_its_scope(repository: str) -> None:
    assert roles.longest_prefix(["*", "r.test/team"], repository) == "r.test/team"
    assert roles.replaced_prefix(repository, "r.test/team", "mirrored.test") == "mirrored.test/app"
    assert roles.replaced_prefix(repository, "r.test", "mirrored.test/x") == "mirrored.test/x/team/app"
