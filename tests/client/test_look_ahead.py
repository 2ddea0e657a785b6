"""The images of files are verified side by side, and everything is said where each of them stands."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from notarypy.client.parameters import PinOptions
from notarypy.errors import TagUnsignedError
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from notarypy.remote.http.messages import Request, Response
    from support.people import Person, World

OTHER = f"{GUN}-other"


@pytest.fixture
def reader(world: World) -> Person:
    """Somebody who knows nothing yet of two repositories with a signed tag each."""
    owner = owned(world)
    for gun in (GUN, OTHER):
        world.push("1", path=gun.partition("/")[2])
        owner.client().sign([f"{gun}:1"], init=True)
    world.requests()
    return world.person("reader")


def together(world: World, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the first requests for trust data wait for each other."""
    send, barrier = world.fake.send, threading.Barrier(count, timeout=10)

    def waiting(request: Request, deadline: float) -> Response:
        if request.url.endswith("/root.json"):
            barrier.wait()
        return send(request, deadline)

    monkeypatch.setattr(world.fake, "send", waiting)


def test_the_images_of_a_file(reader: Person, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    together(world, monkeypatch, 2)
    found = reader.client().images.pin(f"FROM {GUN}:1\nFROM {OTHER}:1\nFROM {GUN}:1\n".encode())
    assert [image.verified is not None for image in found.images] == [True] * 3
    assert [text.split()[3] for text in reader.warnings] == [f"{GUN}:", f"{OTHER}:"]
    assert sum(line == "GET timestamp.json" for line in world.requests()) == 2


def test_the_images_of_several_files(reader: Person, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    together(world, monkeypatch, 2)
    given = [
        (f"FROM {OTHER}:1\n".encode(), "a"),
        (b"FROM scratch FROM\n", "bad"),
        (f"FROM {GUN}:1\n".encode(), "b"),
    ]
    resolver = reader.client().images.resolver(PinOptions())
    resolver.look_ahead(given, "dockerfile")
    assert reader.warnings == []
    world.requests()
    assert resolver.file(*given[0], "dockerfile").images[0].verified is not None
    assert [text.split()[3] for text in reader.warnings] == [f"{OTHER}:"]
    assert resolver.file(*given[2], "dockerfile").images[0].verified is not None
    assert world.requests() == []


def test_what_is_left_alone_is_not_asked_for(reader: Person, world: World) -> None:
    lines = [f"# syntax={GUN}:1", f"FROM {OTHER}:1", f"FROM {OTHER}:2", "FROM Bad/UPPER"]
    lines.append(f"ONBUILD COPY --from={GUN}:1 / /")
    resolver = reader.client().images.resolver(PinOptions(skip=[f"{OTHER}:1"]))
    found = resolver.file("\n".join(lines).encode(), "Dockerfile")
    errors = {image.written: type(image.error) for image in found.images}
    assert errors[f"{OTHER}:2"] is TagUnsignedError
    assert not [line for line in world.requests() if GUN + "/" in line]
