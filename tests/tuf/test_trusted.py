"""TrustedMetadata as a whole: what it holds, and in which order it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.metadata import FileMeta, RoleKeys, Targets
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW, Author
from support.repository import (
    LATER,
    assembled,
    delegated,
    finish,
    load,
    tagged,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = (roles.ROOT, roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS)


def test_an_honest_repository_is_trusted_as_received() -> None:
    author = delegated("targets/a", "targets/a/b", "targets/c")
    files = author.repository()
    metadata = load(files)
    assert metadata.files == files
    assert metadata.targets == author.targets
    assert metadata.failures == {}
    assert (metadata.root, metadata.gun, metadata.now) == (author.root, GUN, LATER)
    assert metadata.timestamp.snapshot == FileMeta.of(files[roles.SNAPSHOT])
    assert metadata.snapshot.meta[roles.ROOT] == FileMeta.of(files[roles.ROOT])


def test_nothing_is_trusted_at_first() -> None:
    metadata = TrustedMetadata(GUN, NOW)
    assert (metadata.files, metadata.targets, metadata.failures) == ({}, {}, {})
    for question in ("root", "timestamp", "snapshot"):
        with pytest.raises(RuntimeError, match=f"no {question} is trusted yet"):
            getattr(metadata, question)


def test_a_step_is_taken_once_and_in_its_turn() -> None:
    author = delegated("targets/a")
    files = author.repository()
    metadata = TrustedMetadata(GUN, LATER)
    steps: list[Callable[[], object]] = [
        lambda: metadata.first_root(files[roles.ROOT]),
        lambda: metadata.update_timestamp(files[roles.TIMESTAMP]),
        lambda: metadata.update_snapshot(files[roles.SNAPSHOT]),
        lambda: metadata.update_targets(files[roles.TARGETS]),
        lambda: metadata.update_delegation("targets/a", files["targets/a"]),
    ]
    for number, step in enumerate(steps):
        for later in steps[number + 1 :]:
            with pytest.raises(RuntimeError):
                later()
        step()
        for earlier in steps[: number + 1]:
            with pytest.raises(RuntimeError):
                earlier()
    assert metadata.files == files


def test_questions_before_their_time_are_the_callers_mistake() -> None:
    metadata = TrustedMetadata(GUN, LATER)
    files = tagged().repository()
    for question in (
        metadata.outdated_root,
        lambda: metadata.signs(files["root"]),
        lambda: metadata.update_root(files["root"]),
    ):
        with pytest.raises(RuntimeError):
            question()


def test_a_refused_delegation_is_not_offered_again() -> None:
    author = delegated("targets/a")
    files = assembled(author, targets__a=b"junk")
    metadata = load(files)
    assert metadata.pending() is None
    with pytest.raises(RuntimeError):
        metadata.update_delegation("targets/a", b"junk")


@pytest.mark.parametrize("role", BASE)
def test_a_refused_file_leaves_nothing_behind(role: str) -> None:
    files = tagged().repository()
    metadata = TrustedMetadata(GUN, LATER)
    steps: dict[str, Callable[[bytes], object]] = {
        roles.ROOT: metadata.first_root,
        roles.TIMESTAMP: metadata.update_timestamp,
        roles.SNAPSHOT: metadata.update_snapshot,
        roles.TARGETS: metadata.update_targets,
    }
    for name in BASE:
        if name == role:
            with pytest.raises(VerificationError):
                steps[name](files[name][:-5] + b"]} \n ")
            assert role not in metadata.files
            steps[name](files[name])
            return
        steps[name](files[name])


def test_an_empty_targets_file_is_a_trusted_one() -> None:
    metadata = load(Author().repository())
    assert metadata.targets[roles.TARGETS] == Targets(1, Author().expiry(roles.TARGETS))
    assert isinstance(metadata.root.roles[roles.TARGETS], RoleKeys)
    finish(metadata, {})
