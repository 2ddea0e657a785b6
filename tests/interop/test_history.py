"""What notarypy, Go notary and docker did to a repository is told as it was, on each kind of server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interop.harness import pasts
from notarypy import Client
from notarypy.client.history import past
from notarypy.client.metadata import feed
from notarypy.storage.settings.settings import load

if TYPE_CHECKING:
    import pytest

    from interop.harness.images import Repository
    from interop.harness.people import Person


def test_a_past_of_three_programs(alice: Person, bob: Person, repository: Repository) -> None:
    pasts.live(alice, bob, repository)
    events = pasts.read(bob, repository.name)
    assert pasts.brief(events) == pasts.LIVED
    assert all(event["verified"] and event["time"] and event["keys"] for event in events)
    assert {tuple(event["signers"]) for event in events if event["role"] == "targets/jeff"} == {("jeff",)}
    of_bob = pasts.read(bob, repository.name, "--role", "bob")
    assert pasts.brief(of_bob) == [event for event in pasts.LIVED if event[3] == "targets/bob"]
    last = events[-1]["time"]  # in seconds: what happened in the same one may be in it, or before it
    late = [event for event in events if event["time"] >= last and event["name"] == "1"]
    assert all(event in late for event in pasts.read(bob, repository.name, "--since", last, "--tag", "1"))


def test_a_feed_goes_on_page_by_page(
    alice: Person, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.own(repository.name)
    for tag in "1234567":
        repository.push(tag)
        alice.notarypy("sign", repository.ref(tag)).expect(0)
    monkeypatch.setattr(feed, "_PAGE", 3)
    settings = load({}, alice.environment, alice.home)
    with Client(settings) as client:
        events = list(client.history(repository.name, role="jeff"))
        every = list(client.history(repository.name))
        for name in ("_FEW", "_BEGIN", "_MANY"):
            monkeypatch.setattr(past, name, 1)
        assert list(client.history(repository.name)) == every  # where every version is looked at
    assert [event.name for event in events if event.kind == "tag-added"] == list("1234567")
    assert all(event.verified and event.time for event in events)


def test_a_repository_that_was_deleted_and_made_anew(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.own(repository.name)
    alice.notary("delete", repository.name, "--remote").expect(0)
    gone = pasts.read(bob, repository.name, code=3)
    assert pasts.brief(gone) == [("timestamp", 1, "gone", ""), ("", None, "deleted", "")]
    bob.own(repository.name)
    events = pasts.read(bob, repository.name)
    assert events[:2] == gone
    assert pasts.brief(events[2:]) == pasts.LIVED[:3]
    assert [event["verified"] for event in events] == [False, False, True, True, True]
