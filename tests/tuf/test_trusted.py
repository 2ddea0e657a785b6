"""TrustedMetadata as a whole: what it holds, and in which order it is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    TrustError,
    VerificationError,
)
from notarypy.tuf import roles
from notarypy.tuf.fields import MetaFile, RoleKeys
from notarypy.tuf.metadata import Targets
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
    assert metadata.timestamp.snapshot == MetaFile.of(files[roles.SNAPSHOT])
    assert metadata.snapshot.meta[roles.ROOT] == MetaFile.of(files[roles.ROOT])


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


def _cut(data: bytes) -> bytes:
    return data[:-2]


def _forged(data: bytes) -> bytes:
    at = data.index(b'"sig":"') + len(b'"sig":"')
    return data[:at] + (b"B" if data[at : at + 1] == b"A" else b"A") + data[at + 1 :]


def _senseless(data: bytes) -> bytes:
    author = tagged()
    signed = json.loads(data)["signed"] | {"meta": 1, "roles": 1, "targets": 1}
    return author.seal(signed, [*author.signers(roles.ROOT), *author.root.keys.values()])


@pytest.mark.parametrize("spoil", [_cut, _forged, _senseless])
@pytest.mark.parametrize("role", [*BASE, "targets/a"])
def test_every_refusal_names_the_role(role: str, spoil: Callable[[bytes], bytes]) -> None:
    author = delegated("targets/a")
    files = author.repository()
    if role == "targets/a" and spoil is _senseless:
        value = author.targets[role].to_signed() | {"targets": 1}
        data = author.seal(value, author.signers(role))
    else:
        data = spoil(files[role])
    if role == roles.TIMESTAMP:
        files[role] = data
    else:
        files = assembled(author, **{role.replace("/", "__"): data})
    try:
        error: TrustError = load(files).failures["targets/a"]
    except TrustError as caught:
        error = caught
    assert error.facts["role"] == role
    assert role in error.message


def test_each_step_returns_what_it_trusts() -> None:
    files = tagged().repository()
    metadata = TrustedMetadata(GUN, LATER)
    assert metadata.first_root(files[roles.ROOT]) is metadata.root
    assert metadata.update_timestamp(files[roles.TIMESTAMP]) is metadata.timestamp
    assert metadata.update_snapshot(files[roles.SNAPSHOT]) is metadata.snapshot
    assert metadata.update_targets(files[roles.TARGETS]) is metadata.targets[roles.TARGETS]


def test_an_empty_targets_file_is_a_trusted_one() -> None:
    metadata = load(Author().repository())
    assert metadata.targets[roles.TARGETS] == Targets(1, Author().expiry(roles.TARGETS))
    assert isinstance(metadata.root.roles[roles.TARGETS], RoleKeys)
    finish(metadata, {})
