from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from notarypy.limits import DEFAULT
from notarypy.tuf import differences, roles
from notarypy.tuf.fields import TargetFile
from support.author import Author
from support.repository import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.tuf.trusted import TrustedMetadata

JEFF, BELOW = "targets/jeff", "targets/jeff/below"
Said = list[tuple[str, str, str, str | None, str | None]]


def repository() -> Author:
    author = Author()
    author.delegate(JEFF, [author.key("jeff")])
    author.add("1", b"1", JEFF)
    author.add("1", b"1")
    return author


def known(trusted: TrustedMetadata) -> differences.Known:
    return {role: (trusted.files[role], targets) for role, targets in trusted.targets.items()}


def said(change: Callable[[Author], object], *bumped: str, author: Author | None = None) -> Said:
    """Return what is different after a change, which makes these roles' next versions."""
    author = author or repository()
    before = load(author.repository())
    change(author)
    for role in bumped:
        author.bump(role)
    after = load(author.repository())
    found = list(differences.of_targets(known(before), after))
    assert all(each.keys for each in found)
    return [(each.kind, each.role, each.name, each.before, each.after) for each in found]


def ident(author: Author, name: str) -> str:
    return author.key(name).canonical_id


def test_rule_1_each_new_file_says_something() -> None:
    assert said(lambda _: None, roles.TARGETS, JEFF) == [
        ("renewed", roles.TARGETS, "", None, None),
        ("renewed", JEFF, "", None, None),
    ]
    assert said(lambda _: None) == []
    empty = repository()
    empty.delegate("targets/bob", [empty.key("bob")])
    published = said(lambda author: author.fill("targets/bob", {}), author=empty)
    assert published == [("published", "targets/bob", "", None, None)]


def test_an_entry_that_stays_and_says_something_else_is_no_move() -> None:
    def attach(author: Author) -> None:
        entry = author.targets[JEFF].targets["1"]
        author.fill(JEFF, {"1": TargetFile(entry.length, entry.hashes, {"note": 1})})

    ((kind, role, name, before, after),) = said(attach, JEFF)
    assert (kind, role, name) == ("tag-changed", JEFF, "1")
    assert before == after is not None


def test_an_entry_without_sha256_has_no_digest() -> None:
    found = said(lambda author: author.fill(JEFF, {"1": TargetFile(1, {"sha512": b"x" * 64})}), JEFF)
    assert [(kind, after) for kind, _, _, _, after in found] == [("tag-moved", None)]


def test_keys_paths_and_thresholds_of_a_delegation() -> None:
    author = repository()

    def change(author: Author) -> None:
        author.delegate(JEFF, [author.key("jeff"), author.key("second")], ("a", "b"), 2)

    found = [each for each in said(change, roles.TARGETS, author=author) if each[1] == roles.TARGETS]
    assert [(kind, name, before, after) for kind, _, name, before, after in found] == [
        ("key-added", JEFF, None, ident(author, "second")),
        ("paths-changed", JEFF, '""', '"a", "b"'),
        ("threshold-changed", JEFF, "1", "2"),
    ]


def test_rule_3_what_was_below_a_delegation_goes_with_it() -> None:
    author = repository()
    author.delegate(BELOW, [author.key("below")])
    author.add("2", b"2", BELOW)

    def remove(author: Author) -> None:
        author.targets[roles.TARGETS] = replace(author.targets[roles.TARGETS], roles=())
        del author.targets[JEFF], author.targets[BELOW]

    found = said(remove, roles.TARGETS, author=author)
    assert [each[:3] for each in found] == [
        ("delegation-removed", roles.TARGETS, JEFF),
        ("tag-removed", JEFF, "1"),
        ("tag-removed", BELOW, "2"),
    ]


def test_rule_4_a_name_is_whose_delegation_has_the_key() -> None:
    author = repository()
    author.delegate(roles.RELEASES, [author.key("jeff"), author.key("other")])
    assert differences.names_of(load(author.repository())) == {ident(author, "jeff"): ("jeff",)}
    author.delegate(
        f"{JEFF}/carol", [author.key(f"{author.gun}/targets"), author.key("other")]
    )  # whose are they?
    author.add("2", b"2", f"{JEFF}/carol")
    assert differences.names_of(load(author.repository())) == {ident(author, "jeff"): ("jeff",)}


def test_rule_2_a_root_key_with_another_certificate_is_no_rotation() -> None:
    author = Author()
    before = author.root
    author.next_root()
    author.assign(roles.ROOT, [author.root_key(f"{author.gun}/root", end=author.expiry(roles.TARGETS))])
    (found,) = differences.of_root(before, author.file(roles.ROOT), DEFAULT)
    assert (found.kind, found.name) == ("certificate-renewed", roles.ROOT)
    assert found.before != found.after
    author.next_root()
    (found,) = differences.of_root(author._previous_root, author.file(roles.ROOT), DEFAULT)  # noqa: SLF001
    assert (found.kind, found.name) == ("renewed", "")
