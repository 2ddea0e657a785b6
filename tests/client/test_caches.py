"""A cache between the clients and the Notary server, which answers with what is minutes old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from notarypy.errors import RollbackError, RootChangedError, TagUnsignedError
from support.author import GUN
from support.people import World, owned

if TYPE_CHECKING:
    from notarypy.remote.http.messages import Request, Response

OLD_DATA = "a cache between here and https://"


def by_address(request: Request) -> str | None:
    """As nginx and varnish do: one answer for each address, the query is part of it."""
    return request.url


def by_path(request: Request) -> str | None:
    """As squid does: whoever asks for a fresh answer gets one."""
    return None if "no-cache" in request.headers.get("Cache-Control", "") else urlsplit(request.url).path


def stubborn(request: Request) -> str | None:
    """As one that is set up to heed neither header nor query."""
    return urlsplit(request.url).path


@dataclass
class Cache:
    """Keeps what was answered to a GET, as long as `on`; `key` says what counts as the same request."""

    key: Callable[[Request], str | None]
    on: bool = True
    kept: dict[str, Response] = field(default_factory=dict)
    hits: int = 0

    def before(self, request: Request) -> Response | None:
        key = self.key(request) if self.on and request.method == "GET" else None
        found = None if key is None else self.kept.get(key)
        self.hits += found is not None
        return found

    def after(self, request: Request, response: Response) -> Response:
        key = self.key(request) if self.on and request.method == "GET" else None
        if key is not None and response.is_success and "/_trust/" in request.url:
            self.kept.setdefault(key, response)
        return response


def cached(world: World, key: Callable[[Request], str | None]) -> Cache:
    """Put a cache in front of the servers."""
    cache = Cache(key)
    world.fake.before.append(cache.before)
    world.fake.after.append(cache.after)
    return cache


@pytest.fixture(params=[by_address, by_path])
def key(request: pytest.FixtureRequest) -> Callable[[Request], str | None]:
    found: Callable[[Request], str | None] = request.param
    return found


def test_publishers_do_not_meet_it(world: World, key: Callable[[Request], str | None]) -> None:
    owner, reader = owned(world), world.person("reader")
    cached(world, key)
    for tag in ("1", "2", "3"):
        world.push(tag)
        assert owner.client().sign([f"{GUN}:{tag}"])[0].published
        assert reader.client().verify(f"{GUN}:{tag}").tag == tag
    assert owner.warnings == []
    assert [warning.partition("notary")[0] for warning in reader.warnings[1:]] == [OLD_DATA] * 2


def test_who_looks_at_a_repository_does_not_meet_it(
    world: World, key: Callable[[Request], str | None]
) -> None:
    owner, reader = owned(world), world.person("reader")
    cached(world, key)
    reader.client().refresh(GUN)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    assert [entry.tag for entry in reader.client().inspect(GUN).tags] == ["1"]
    assert not any(OLD_DATA in warning for warning in reader.warnings)


def test_new_keys_behind_it_are_no_attack(world: World, key: Callable[[Request], str | None]) -> None:
    owner = owned(world)
    readers = [world.person(name) for name in ("ahead", "behind")]
    cache = cached(world, key)
    for reader in readers:
        reader.client().refresh(GUN)
    cache.on = False
    owner.client().keys.rotate(GUN, "timestamp", server_managed=True)
    owner.client().keys.rotate(GUN, "snapshot", server_managed=True)
    readers[0].client().refresh(GUN)
    cache.on = True
    for reader in readers:
        assert reader.client().refresh(GUN).root.version == (3 if reader is readers[0] else 1)
    assert OLD_DATA in readers[0].warnings[-1]
    assert readers[0].client().refresh(GUN).timestamp.version == owner.client().refresh(GUN).timestamp.version


def test_a_reader_profits_from_it(world: World) -> None:
    owned(world)
    cache = cached(world, by_address)
    for name in ("first", "second"):
        world.requests()
        cache.hits = 0
        world.person(name).client().refresh(GUN)
    assert cache.hits == len(world.requests()) > 0


def test_one_look_past_it_is_enough(world: World) -> None:
    owned(world)
    reader = world.person("reader")
    reader.client().refresh(GUN)
    world.requests()
    with pytest.raises(TagUnsignedError):
        reader.client().verify(f"{GUN}:none", registry=False)
    assert world.requests() == ["GET timestamp.json"] * 2
    assert not any(OLD_DATA in warning for warning in reader.warnings)


def test_what_is_old_past_caches_too_is_refused(world: World) -> None:
    owner, reader = owned(world), world.person("reader")
    cache = cached(world, stubborn)
    world.person("early").client().refresh(GUN)
    cache.on = False
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    reader.client().refresh(GUN)
    cache.on = True
    with pytest.raises(RollbackError):
        reader.client().refresh(GUN)


def test_an_old_root_json_does_not_hide_the_next_version(world: World) -> None:
    owner, reader = owned(world), world.person("reader")
    reader.client().refresh(GUN)
    owner.client().keys.rotate(GUN, "timestamp", server_managed=True)
    world.requests()
    assert reader.client().refresh(GUN).root.version == 2
    asked = [line for line in world.requests() if "root" in line]
    assert asked == ["GET 2.root.json", "GET root.json"]


def test_a_next_version_that_nobody_signed_proves_nothing(world: World) -> None:
    owner, reader, other = owned(world), world.person("reader"), world.person("other")
    reader.client().refresh(GUN)
    owner.client().keys.rotate(GUN, "timestamp", server_managed=True)
    other.client().init("registry.test/other")
    foreign = other.cache("registry.test/other")["root"]
    world.attacker.replace(GUN, "root", foreign)
    with pytest.raises(RootChangedError):
        reader.client().refresh(GUN)
