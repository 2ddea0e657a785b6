"""The grammar of names."""

from __future__ import annotations

import pytest

from notarypy.errors import InvalidNameError
from notarypy.tuf import roles


@pytest.mark.parametrize(
    "gun",
    [
        "docker.io/library/alpine", "localhost:5000/a/b", "A/B", "a b", "\u00e9/x", "x:5000/a", "a",
        "a.b", "...",
        "a/.../b", ".hidden", "a/..b", "a/b..", "a+b@c,d;e=f&g$h!i'j(k)", "x" * 255,
        "x" * 255 + "/" + "y" * 255,
        "\u00e9" * 127, "a/_trust/tuf/b", "con", "a|b",
    ],
)  # fmt: skip
def test_names_of_repositories_that_are_safe(gun: str) -> None:
    assert roles.check_gun(gun) == gun


@pytest.mark.parametrize(
    "gun",
    [
        "", "/", "/abs", "a/", "a//b", ".", "..", "../x", "a/..", "a/../b", "a/./b", "./a", "../../esc",
        "a\\b", "..\\x",
        "a?b", "a#b", "a%2fb", "a*b", "a\0b", "a\nb", "a\rb", "\x1b[31m", "a\x7fb", "a\x9bb", "a\x80b",
        "\ud800",
        "x" * 256, "a/" + "\u00e9" * 128, "C:\\x",
    ],
)  # fmt: skip
def test_names_that_would_leave_the_trust_directory_or_the_route_are_refused(gun: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        roles.check_gun(gun)
    assert caught.value.why
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("role", "valid"),
    [
        ("targets/a", True), ("targets/a/b", True), ("targets/releases", True), ("targets/-", True),
        ("targets/_", True), ("targets/0", True), ("targets/a-b_c9", True), ("targets/targets", True),
        ("targets/" + "a" * 247, True), ("targets/" + "a" * 248, False), ("targets", False), ("targets/",
        False),
        ("targets//a", False), ("targets/a/", False), ("targets/A", False), ("targets/a.b", False),
        ("targets/.", False), ("targets/..", False), ("targets/a/../b", False), ("targets/*", False),
        ("targets/a b", False), ("/targets/a", False), ("Targets/a", False), ("root/a", False), ("a", False),
        ("", False), ("targets/\u00e9", False), ("targets/a\n", False), ("targets/\u0661", False),
        ("targets/a\0", False), ("xtargets/a", False), ("targets/a?", False),
    ],
)  # fmt: skip
def test_delegation_names(role: str, valid: bool) -> None:
    assert roles.is_delegation(role) is valid
    if valid:
        assert roles.check_role(role) == role
    elif role not in roles.BASE_ROLES:
        with pytest.raises(InvalidNameError):
            roles.check_role(role)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_base_roles_are_roles_and_no_delegations(role: str) -> None:
    assert roles.check_role(role) == role
    assert not roles.is_delegation(role)
    for wrong in (role.upper(), role.title(), f" {role}", f"{role}\n", f"{role}.json"):
        with pytest.raises(InvalidNameError):
            roles.check_role(wrong)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("jeff", "targets/jeff"), ("0", "targets/0"), ("a-b_c", "targets/a-b_c"),
        ("targets/root", "targets/root"),
        ("targets/jeff", "targets/jeff"), ("targets/releases", "targets/releases"), ("targets/a/b",
        "targets/a/b"),
        ("a" * 247, "targets/" + "a" * 247),
    ],
)  # fmt: skip
def test_signers_stand_for_delegations(name: str, role: str) -> None:
    assert roles.signer_role(name) == role
    assert roles.signer_name(role) == name.removeprefix("targets/")


@pytest.mark.parametrize(
    "name",
    ["", "releases", "root", "targets", "snapshot", "timestamp",
     "Jeff", "-a", "_a", "a.b", "a/b", "a b", "\u00e9", "a\n", "..", "targets/", "targets/A",
     "targets/..", "targets/*", "a" * 248],
)  # fmt: skip
def test_other_signer_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        roles.signer_role(name)


@pytest.mark.parametrize(
    "name", ["v1", "latest", "\u00e9", "a b", "<&>", "\u2028", "a/b", "..", "\U0001f600"]
)
def test_target_names_that_can_be_written(name: str) -> None:
    assert roles.check_target_name(name) == name


ODD = ["", "a\x7f"]
UNWRITABLE = ["a\nb", "\x00", "\x1b[2J", "a\t"]


@pytest.mark.parametrize("name", [*ODD, *UNWRITABLE, "\ud83d"])
def test_target_names_that_are_not_listed_anew(name: str) -> None:
    with pytest.raises(InvalidNameError):
        roles.check_target_name(name)


@pytest.mark.parametrize("name", [*ODD, *UNWRITABLE])
def test_names_and_paths_that_are_there_may_go_and_those_that_go_publishes_too(name: str) -> None:
    assert roles.check_old_name(name) == roles.check_old_path(name) == name
    for check in (roles.check_listed_name, roles.check_listed_path):
        if name in ODD:
            assert check(name) == name
        else:
            with pytest.raises(InvalidNameError) as caught:
                check(name)
            assert "U+00" in caught.value.why[0]


def test_a_path_is_for_all_or_has_no_control_characters() -> None:
    assert roles.check_path("") == ""
    for path in ("a\x7f", *UNWRITABLE):
        with pytest.raises(InvalidNameError):
            roles.check_path(path)


def test_what_is_no_utf_8_is_nowhere() -> None:
    checks = (
        roles.check_listed_name, roles.check_old_name, roles.check_path, roles.check_listed_path,
        roles.check_old_path,
    )  # fmt: skip
    for check in checks:
        with pytest.raises(InvalidNameError) as caught:
            check("\udcff")
        assert caught.value.why == ("it is not written in UTF-8",)


@pytest.mark.parametrize(
    ("role", "above"),
    [("targets", ""), ("targets/a", "targets"), ("targets/a/b", "targets/a"), ("root", ""), ("", "")],
)
def test_the_role_above(role: str, above: str) -> None:
    assert roles.parent(role) == above


@pytest.mark.parametrize(
    ("paths", "name", "covered"),
    [
        (("",), "any", True), (("",), "", True), ((), "any", False), ((), "", False), (("ok",), "okay", True),
        (("ok",), "ok", True), (("ok",), "o", False), (("ok",), "xok", False), (("a", "b"), "bc", True),
        (("a*",), "ab", False), (("a*",), "a*b", True), (("A",), "a", False), (("ok",), "", False),
    ],
)  # fmt: skip
def test_paths_are_plain_prefixes(paths: tuple[str, ...], name: str, covered: bool) -> None:
    assert roles.covers(paths, name) is covered


@pytest.mark.parametrize(
    ("allowed", "paths", "left"),
    [
        (("",), ("", "a"), ("", "a")),
        (("a/",), ("a/b", "b", "", "a"), ("a/b",)),
        ((), ("", "a"), ()),
        (("a", "b"), ("bc", "ab", "c"), ("bc", "ab")),
        (("a",), (), ()),
    ],
)
def test_paths_narrow_from_level_to_level(
    allowed: tuple[str, ...], paths: tuple[str, ...], left: tuple[str, ...]
) -> None:
    assert roles.narrowed(allowed, paths) == left


def test_of_paths_that_begin_with_each_other_the_shortest_is_enough() -> None:
    assert roles.shortest(("b", "ab", "a", "abc", "b", "c/d")) == ("a", "b", "c/d")
    assert roles.shortest(("x", "")) == ("",)
    assert roles.shortest(()) == ()


@pytest.mark.parametrize(
    ("text", "gun", "target"),
    [
        ("a/b:v1", "a/b", "v1"), ("a/b", "a/b", None), ("a", "a", None),
        ("localhost:5000/a", "localhost:5000/a", None),
        ("localhost:5000/a:v1", "localhost:5000/a", "v1"), ("a:b:c", "a:b", "c"), (":v1", ":v1", None),
    ],
)  # fmt: skip
def test_a_literal_collection_is_cut_at_its_last_colon(text: str, gun: str, target: str | None) -> None:
    assert roles.split_collection(text) == (gun, target)


@pytest.mark.parametrize("text", ["", "../x:v1", "a//b", "a/b/:v1", "a\\b:v1", "a/b:", "a:"])
def test_a_literal_collection_has_a_safe_name(text: str) -> None:
    with pytest.raises(InvalidNameError):
        roles.split_collection(text)


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("Registry.Test/Team/app", "registry.test/Team/app"),
        ("r.test:443/a", "r.test/a"), ("r.test:0443/a", "r.test/a"), ("r.test:05000/a", "r.test:5000/a"),
        ("INDEX.docker.io/library/a", "docker.io/library/a"), ("registry-1.docker.io:443/a", "docker.io/a"),
        ("[0::1]:5000/a", "[::1]:5000/a"), ("[::1]:443/a", "[::1]/a"), ("[FE80:0::1]", "[fe80::1]"),
    ],
)  # fmt: skip
def test_a_registry_has_one_spelling_to_compare(name: str, same_as: str) -> None:
    assert roles.comparable(name) == roles.comparable(same_as) == same_as


@pytest.mark.parametrize(
    "name",
    [
        "r.test:5000/a", "r.test", "localhost:80/a", "a:b/c", "::1/a", "[x]:1/a", "r.test:/a", "a/B:443",
        "443/a", "::443/a", "a:b:0443/c", "[0::1/a", "0::1]/a", "[abc/a", "abc]/a",
        "r.test:\u0663/a", "r.test:\u00b2/a", "doc\u212aer.io/a",
    ],
)  # fmt: skip
def test_other_names_stay_as_they_are(name: str) -> None:
    assert roles.comparable(name) == name
