"""Entries that Go signs and nobody can resolve: a tag whose only hash is a sha512."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import TagUnsignedError, VerificationError
from notarypy.tuf import roles
from notarypy.tuf.fields import TargetFile
from support.author import GUN
from support.people import make_world
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path

ODD = TargetFile(3, {"sha512": hashlib.sha512(b"abc").digest()})


@pytest.fixture(params=[roles.TARGETS, roles.RELEASES, JEFF])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A repository with such an entry, before the good ones, in one role."""
    stage = Stage(make_world(tmp_path, monkeypatch))
    file = stage.author.targets[request.param]
    odd = {"0": ODD, "1": ODD} if request.param == roles.TARGETS else {"0": ODD}
    stage.author.targets[request.param] = replace(file, targets={**file.targets, **odd})
    stage.publish(request.param)
    return stage


def test_the_other_tags_are_inspected(stage: Stage) -> None:
    for reference in (GUN, f"{GUN}:1"):
        (entry,) = stage.reader.client().inspect(reference).tags
        assert (entry.tag, entry.signers) == ("1", ("jeff",))
    assert stage.reader.client().inspect(f"{GUN}:0").tags == ()
    assert [entry.role for entry in stage.reader.client().delegations(GUN)] == [JEFF, roles.RELEASES]


def test_the_other_tags_are_verified_by_tag_and_by_digest(stage: Stage) -> None:
    client = stage.reader.client()
    image = client.verify(f"{GUN}:1")
    assert client.verify(f"{GUN}@{image.digest}").tag == "1"
    assert client.verify(f"{GUN}:1@{image.digest}").signers == ("jeff",)
    with pytest.raises(TagUnsignedError):
        client.verify(f"{GUN}@sha256:{'0' * 64}")


def test_the_odd_tag_itself_is_not_verified(stage: Stage) -> None:
    for reference in (f"{GUN}:0", f"{GUN}:0@sha256:{'0' * 64}"):
        with pytest.raises((VerificationError, TagUnsignedError)):
            stage.reader.client().verify(reference, registry=False)
