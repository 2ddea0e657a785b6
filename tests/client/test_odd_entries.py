"""Entries that cannot be used, or that say more than usual: keys that are none, tags with other hashes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.publish.pipeline import publisher_for
from notarypy.errors import DigestMismatchError, SignerMissingError, TagUnsignedError, VerificationError
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import AddDelegation
from notarypy.tuf.fields import TargetFile, key_table
from notarypy.tuf.metadata import Delegation
from support.author import GUN
from support.people import make_world, manifest, owned
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import World

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


@pytest.mark.parametrize("listed", [(JEFF, roles.RELEASES), (roles.RELEASES,)])
def test_every_hash_that_is_signed_is_compared(world: World, listed: tuple[str, ...]) -> None:
    stage = Stage(world)
    for role, wrong in ((role, role in listed) for role in (JEFF, roles.RELEASES)):
        file = stage.author.targets[role]
        good = file.targets["1"]
        hashes = {**good.hashes, "sha512": hashlib.sha512(b"other" if wrong else manifest("1")).digest()}
        content = replace(good, hashes={**hashes, "sha3": b"of what nobody knows"})
        stage.author.targets[role] = replace(file, targets={**file.targets, "1": content})
    stage.publish(JEFF, roles.RELEASES)
    client = stage.reader.client()
    with pytest.raises(DigestMismatchError, match="another content") as caught:
        client.verify(f"{GUN}:1")
    assert all("sha512:" in line for line in caught.value.why)
    # Without content nothing can be compared but what two roles say.
    signers = client.verify(f"{GUN}:1", registry=False).signers
    assert signers == (("jeff",) if JEFF in listed else ())


def test_a_signed_sha512_that_fits_is_right(world: World) -> None:
    stage = Stage(world)
    file = stage.author.targets[roles.RELEASES]
    stage.author.targets[roles.RELEASES] = replace(
        file, targets={**file.targets, "1": TargetFile.of(manifest("1"))}
    )
    stage.publish(roles.RELEASES)
    image = stage.reader.client().verify(f"{GUN}:1")
    assert image.sha512 == hashlib.sha512(manifest("1")).hexdigest()


EMPTY = {"keytype": "", "keyval": {"private": None, "public": None}}


def with_empty_signer(stage: Stage, *, alone: bool) -> None:
    """Do as docker does for an Ed25519 certificate: a signer whose key is none, which may release too."""
    (key,) = key_table({hashlib.sha256(canonical.encode(EMPTY)).hexdigest(): EMPTY}, "targets").values()
    above = stage.author.targets[roles.TARGETS]
    releases = above.delegation(roles.RELEASES)
    assert releases is not None
    mine = (key.keyid,) if alone else (*releases.keyids, key.keyid)
    kept = tuple(one for one in above.roles if one.name not in {roles.RELEASES, *([JEFF] if alone else [])})
    added = (Delegation("targets/ed", (key.keyid,), 1, ("",)), replace(releases, keyids=mine))
    stage.author.targets[roles.TARGETS] = replace(
        above, keys={**above.keys, key.keyid: key}, roles=(*kept, *added)
    )
    stage.publish(roles.TARGETS)


def test_a_key_that_is_none_spoils_its_own_role_only(world: World) -> None:
    stage = Stage(world)
    with_empty_signer(stage, alone=False)
    client = stage.reader.client()
    assert client.verify(f"{GUN}:1", signers=["jeff"]).signers == ("jeff",)
    problems = {entry.role: entry.problem for entry in client.inspect(GUN).roles if entry.problem}
    assert list(problems) == ["targets/ed"]
    assert "0 keys that can be used, 1 needed" in problems["targets/ed"]
    assert any("targets/ed of" in warning and "left out" in warning for warning in stage.reader.warnings)
    assert [one.role for one in client.status(GUN).roles if one.problem] == ["targets/ed"]
    assert [one.role for one in client.status(GUN).roles if not one.usable] == ["targets/ed"]
    for how in ({"signers": ["ed"]}, {"all_signers": True}):
        with pytest.raises(SignerMissingError) as caught:
            client.verify(f"{GUN}:1", **how)
        assert caught.value.why[0].startswith("targets/ed has 0 keys that can be used, 1 needed")
        assert f"notarypy signer remove ed {GUN}" in advice(caught.value)


def test_releases_with_no_key_but_such_ones_list_nothing(world: World) -> None:
    stage = Stage(world)
    stage.author.add("0", manifest("1"))
    with_empty_signer(stage, alone=True)
    client = stage.reader.client()
    assert client.verify(f"{GUN}:0", registry=False).role == roles.TARGETS
    with pytest.raises(TagUnsignedError):
        client.verify(f"{GUN}:1", registry=False)


def test_such_a_signer_is_taken_out_and_nothing_else_is_lost(world: World) -> None:
    alice = owned(world, "jeff")
    world.push("1")
    alice.client().sign([f"{GUN}:1"])
    (key,) = key_table({hashlib.sha256(canonical.encode(EMPTY)).hexdigest(): EMPTY}, "targets").values()
    publisher = publisher_for(alice.client()._session, GUN)  # noqa: SLF001 - no command adds such a key
    publisher.publish(
        lambda _: [AddDelegation(role, (key,), ("",)) for role in ("targets/ed", roles.RELEASES)]
    )
    entry = canonical.encode(EMPTY)
    assert entry in alice.cache()[roles.TARGETS]
    alice.client().sign([f"{GUN}:1"], custom=b'{"a":1}')
    assert entry in alice.cache()[roles.TARGETS]
    assert alice.client().remove_signer("ed", GUN).unreadable == ()
    assert entry not in alice.cache()[roles.TARGETS]
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("jeff",)
