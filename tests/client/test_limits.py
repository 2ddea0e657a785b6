"""Servers and signers that want more of a reader's time and memory than is due."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from notarypy.client import pin, refresh, repository
from notarypy.errors import DeadlineError, RootNotPinnedError, SignerMissingError, VerificationError
from notarypy.remote.transport import Response
from notarypy.tuf import roles
from support.author import GUN
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


def test_a_delegation_that_is_too_long_is_that_signers_failure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "MAX_DELEGATION", len(stage.served()[roles.RELEASES]) + 1000)
    for number in range(100):
        stage.author.add(f"more-{number}", b"x", JEFF)
    stage.publish(JEFF)
    client = stage.reader.client()
    assert client.verify(f"{GUN}:1").signers == ()
    assert not any(JEFF in line for line in stage.world.requests())
    with pytest.raises(SignerMissingError, match="not signed by jeff"):
        client.verify(f"{GUN}:1", signers=["jeff"])
    assert "too long" in {entry.role: entry for entry in client.delegations(GUN)}[JEFF].problem


def test_releases_that_are_too_long_release_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "MAX_DELEGATION", len(stage.served()[roles.RELEASES]) - 1)
    with pytest.raises(VerificationError, match="targets/releases is too long"):
        stage.reader.client().verify(f"{GUN}:1", registry=False)


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
    assert stage.world.requests() == ["GET root.json", "GET 1.root.json"]
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


def test_the_links_of_a_walk_are_bounded_together(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    link = stage.served()[roles.ROOT]
    monkeypatch.setattr(pin, "MAX_WALKED", 3 * len(link))
    _many_roots(stage)
    stage.world.attacker.answer(Response(200, {}, link), path=LINKS)
    with pytest.raises(RootNotPinnedError):
        stage.reader.client(pins=("0" * 64,)).refresh(GUN)
    assert stage.world.requests()[-1] == "GET 4.root.json"


# -- time


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in place of the one that refreshes look at."""
    found = [1000.0]
    monkeypatch.setattr(repository, "time", SimpleNamespace(monotonic=lambda: found[0]))
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
