"""Servers and signers that want more of a reader's time and memory than is due."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.metadata import repository
from notarypy.errors import (
    DeadlineError,
    MetadataLimitError,
    RootNotPinnedError,
    SignerMissingError,
    VerificationError,
)
from notarypy.limits import Limits
from notarypy.remote.http.messages import Response
from notarypy.storage.trustdir import RepositoryCache, TrustDirectory
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope, Signature, seal
from notarypy.tuf.fields import MetaFile
from notarypy.tuf.metadata import Snapshot
from support.author import GUN
from support.counting import work
from support.people import manifest
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from support.people import World

LINKS = r".*/\d+\.root\.json"


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


def _many_roots(stage: Stage, version: int = 256) -> None:
    stage.rotate_root("another", version)
    stage.publish()
    stage.world.requests()


# -- delegations


def test_a_delegation_that_is_too_long_is_that_signers_failure(stage: Stage) -> None:
    limits = Limits(delegation_bytes=len(stage.served()[roles.RELEASES]) + 1000)
    for number in range(100):
        stage.author.add(f"more-{number}", b"x", JEFF)
    stage.publish(JEFF)
    client = stage.reader.client(limits=limits)
    assert client.verify(f"{GUN}:1").signers == ()
    assert not any(JEFF in line for line in stage.world.requests())
    with pytest.raises(SignerMissingError, match="not signed by jeff"):
        client.verify(f"{GUN}:1", signers=["jeff"])
    assert "too long" in {entry.role: entry for entry in client.delegations(GUN)}[JEFF].problem


def test_releases_that_are_too_long_release_nothing(stage: Stage) -> None:
    limits = Limits(delegation_bytes=len(stage.served()[roles.RELEASES]) - 1)
    with pytest.raises(VerificationError, match="targets/releases is too long"):
        stage.reader.client(limits=limits).verify(f"{GUN}:1", registry=False)


def test_delegations_have_a_limit_together(stage: Stage) -> None:
    role = f"{JEFF}/below"
    stage.author.delegate(role, [stage.author.key("jeff")])
    together = sum(map(len, stage.author.files(JEFF, roles.RELEASES).values()))
    limits = Limits(all_delegations_bytes=together)
    stage.author.add("1", manifest("1"), role)
    stage.publish(JEFF)
    client = stage.reader.client(limits=limits)
    assert client.verify(f"{GUN}:1", registry=False).signers == ("jeff",)
    assert not any(role in line for line in stage.world.requests())
    assert "too long" in {entry.role: entry for entry in client.delegations(GUN)}[role].problem


def test_roles_that_are_only_named_are_not_looked_for_one_by_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.know()
    loaded: list[str] = []
    load = RepositoryCache.load

    def noted(cache: RepositoryCache, role: str) -> bytes | None:
        loaded.append(role)
        return load(cache, role)

    monkeypatch.setattr(RepositoryCache, "load", noted)
    for number in range(200):
        stage.author.delegate(f"{JEFF}/{number}", [stage.author.key("jeff")])
    stage.publish(JEFF)
    stage.reader.client().verify(f"{GUN}:1", registry=False)
    assert set(loaded) == {*roles.BASE_ROLES, JEFF, roles.RELEASES} - {roles.ROOT} | set(loaded) & {
        roles.ROOT
    }
    assert len(loaded) < 20


def test_of_long_cached_files_the_last_stays_in_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.know()
    cache = TrustDirectory(stage.reader.trust_dir).repository(GUN)
    known = repository.KnownFiles(cache, {})
    assert known.cached(JEFF) is known.cached(JEFF)
    monkeypatch.setattr(repository, "_KEPT", 10)
    known = repository.KnownFiles(cache, {})
    assert known.cached(JEFF) == known[JEFF] == stage.served()[JEFF]
    first = known.cached(JEFF)
    assert known.cached(JEFF) is first
    known.cached(roles.RELEASES)
    assert known.cached(JEFF) is not first
    assert list(known) == []


@pytest.mark.parametrize("length", [9 << 20, 63 << 20])
def test_a_root_that_is_announced_too_long_is_blamed_for_that(stage: Stage, length: int) -> None:
    stage.know()
    stage.rotate_root("next")
    files = stage.author.repository()
    author = stage.author
    author.snapshot_version += 1
    author.timestamp_version += 1
    meta = {role: MetaFile.of(data) for role, data in author.files().items()}
    meta[roles.ROOT] = replace(meta[roles.ROOT], length=length)
    snapshot = author.seal(
        Snapshot(author.snapshot_version, author.expiry(roles.SNAPSHOT), meta).to_signed(),
        author.signers(roles.SNAPSHOT),
    )
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: author.timestamp(snapshot)})
    stage.world.attacker.answer(Response(200, {}, b"x" * (8 << 20 | 1)), path=r".*/root\.[0-9a-f]{64}\.json")
    with pytest.raises(MetadataLimitError) as caught:
        stage.reader.client().verify(f"{GUN}:1", registry=False)
    assert caught.value.why == (f"it has {length} bytes; the limit is {8 << 20}",)
    assert "operator" not in advice(caught.value)


# -- walks to pinned roots


@pytest.mark.parametrize(
    "junk",
    [b"", b"{}", b"\xff", b'{"signed":{},"signatures":[{"keyid":"","method":"","sig":""}]}', b"[]" * 400_000],
)
def test_the_first_link_that_is_no_root_ends_the_walk(stage: Stage, junk: bytes) -> None:
    _many_roots(stage)
    stage.world.attacker.answer(Response(200, {}, junk), path=LINKS)
    with pytest.raises(RootNotPinnedError):
        stage.reader.client(pins=("0" * 64,)).refresh(GUN)
    assert stage.world.requests() == ["GET root.json", "GET 1.root.json"] * 2  # and past any cache
    assert stage.reader.cache() == {}


def test_a_link_that_is_another_repositorys_root_does_not_end_the_walk(stage: Stage) -> None:
    stage.rotate_root("second")
    stage.publish()
    pinned = stage.author.root.roles[roles.ROOT].keyids[0]
    stage.rotate_root("third")
    stage.publish()
    first = stage.author.root_key("foreign", "registry.test/another")
    root = replace(
        stage.author.root,
        version=1,
        keys={**stage.author.root.keys, first.keyid: first},
        roles={
            **stage.author.root.roles,
            roles.ROOT: replace(stage.author.root.roles[roles.ROOT], keyids=(first.keyid,)),
        },
    )
    foreign = stage.author.seal(root.to_signed(), [first])
    stage.world.attacker.answer(Response(200, {}, foreign), path=r".*/1\.root\.json")
    assert stage.reader.client(pins=(pinned,)).refresh(GUN).root.version == 3


def test_the_signatures_of_a_walk_are_bounded_together(stage: Stage) -> None:
    file = Envelope.parse(stage.served()[roles.ROOT], roles.ROOT)
    junk = [Signature(file.signatures[0].keyid, "ecdsa", bytes([7] * 63 + [n])) for n in range(7)]
    link = seal(file.signed, [*junk, *file.signatures])
    limits = Limits(signature_checks=32)
    _many_roots(stage)
    stage.world.attacker.answer(Response(200, {}, link), path=LINKS)
    with pytest.raises(RootNotPinnedError):
        stage.reader.client(limits=limits, pins=("0" * 64,)).refresh(GUN)
    assert len(stage.world.requests()) < 16


def test_the_links_of_a_walk_are_bounded_together(stage: Stage) -> None:
    link = stage.served()[roles.ROOT]
    limits = Limits(walked_bytes=3 * len(link))
    _many_roots(stage)
    stage.world.attacker.answer(Response(200, {}, link), path=LINKS)
    with pytest.raises(RootNotPinnedError):
        stage.reader.client(limits=limits, pins=("0" * 64,)).refresh(GUN)
    assert stage.world.requests()[-1] == "GET 4.root.json"


# -- time


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in place of the one that refreshes look at."""
    found = [1000.0]
    monkeypatch.setattr(repository, "clock", lambda: found[0])
    return found


def test_all_requests_of_a_refresh_have_one_deadline(stage: Stage, seconds: list[float]) -> None:
    """A server that answers each request just in time does not make hundreds of them last for hours."""
    _many_roots(stage)
    stage.world.fake.before.append(lambda _: seconds.__setitem__(0, seconds[0] + 9))
    stage.world.attacker.answer(Response(404), path=LINKS)
    with pytest.raises(DeadlineError, match="took too long") as caught:
        stage.reader.client(pins=("0" * 64,), timeout=10).refresh(GUN)
    assert caught.value.why == ("gave up after 50 seconds in all",)
    assert len(stage.world.requests()) == 6
    assert stage.reader.cache() == {}


def test_each_refresh_has_its_own_deadline(stage: Stage, seconds: list[float]) -> None:
    client = stage.reader.client(timeout=10)
    for _ in range(3):
        assert client.refresh(GUN).gun == GUN
        seconds[0] += 1000


def test_signers_cost_what_there_are_of_them_and_not_each_for_each(stage: Stage) -> None:
    def verified(count: int) -> int:
        for number in range(count):
            stage.author.delegate(f"targets/signer{number}", [stage.author.key("jeff")])
            stage.author.fill(f"targets/signer{number}", {})
        stage.publish(roles.TARGETS)
        stage.know()
        client = stage.reader.client()
        return work(lambda: client.verify(f"{GUN}:1", registry=False))

    few, many = verified(25), verified(200)
    assert many < 10 * few
