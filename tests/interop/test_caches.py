"""A cache in front of the Notary server, which keeps what its answers allow: all get along behind it.

The cache answers with what is up to five minutes old: every step here comes within seconds of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person

OLD_DATA = "a cache between here and "


@pytest.fixture(scope="session")
def cached(
    workshop: Path, authority: services.Authority, notary: services.Endpoint
) -> Iterator[services.Endpoint]:
    with services.caching_proxy(workshop / "nginx", authority, notary) as endpoint:
        yield endpoint


@pytest.fixture
def behind(alice: Person, bob: Person, cached: services.Endpoint) -> None:
    """Put both behind the cache."""
    for person in (alice, bob):
        person.use(cached)


@pytest.mark.usefixtures("behind")
def test_a_life_behind_a_cache(alice: Person, bob: Person, repository: Repository) -> None:
    alice.own(repository.name)
    for tag in ("1", "2"):
        repository.push(tag)
        alice.notarypy("sign", repository.ref(tag)).expect(0)
        assert "signers" in bob.notarypy("verify", repository.ref(tag), "--json").expect(0).stdout
    alice.notarypy("key", "rotate", repository.name, "timestamp", "--server-managed").expect(0)
    alice.notarypy("key", "rotate", repository.name, "snapshot", "--server-managed").expect(0)
    alice.notarypy("sign", repository.ref("1"), repository.ref("2")).expect(0)
    bob.notarypy("verify", repository.ref("2")).expect(0)
    alice.notarypy("revoke", repository.ref("2")).expect(0)
    alice.notarypy("delegate", "add", "jo", repository.name, "--key", alice.new_key("jo")[1]).expect(0)
    bob.notarypy("inspect", repository.name).expect(0)
    bob.notarypy("verify", repository.ref("2")).expect(3)
    bob.notarypy("verify", repository.ref("1")).expect(0)


@pytest.mark.usefixtures("behind")
def test_who_reads_behind_a_cache_what_was_published_past_it(
    alice: Person, bob: Person, repository: Repository, notary: services.Endpoint
) -> None:
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    alice.use(notary)
    alice.notarypy("key", "rotate", repository.name, "root", "--yes").expect(0)
    alice.notarypy("key", "rotate", repository.name, "timestamp", "--server-managed").expect(0)
    repository.push("2")
    alice.notarypy("sign", repository.ref("2")).expect(0)
    assert OLD_DATA in bob.notarypy("verify", repository.ref("2")).expect(0).stderr
    assert OLD_DATA in bob.notarypy("verify", repository.ref("1")).expect(0).stderr
