"""Hostile input for a verification service, sent to it as whoever reaches its port can.

Each takes the world, the service and a source of randomness, and raises what was wrong; the tables are in
`hostile`. None looks at a clock but to give up: what is late is late by many times.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from interop.harness import hostile, ordeal, truth
from interop.harness.relay import Mood
from interop.harness.truth import Wrong

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from random import Random

    from interop.harness.ordeal import World
    from interop.harness.serving import Serving

MEBIBYTE = 1 << 20
STALLED, THRONG, NOWHERE = 10, 150, 200


def bodies(world: World, server: Serving, random: Random) -> None:
    """Send bodies that are no requests, and requests for what is no image."""
    good, path = random.choice(world.good), random.choice(ordeal.ROUTES)
    for name, body in hostile.bodies(good):
        refused(server, path, body, name)
    for image in hostile.names(good):
        document = truth.review([good])
        document["request"]["object"]["spec"]["containers"].append({"name": "x", "image": image})
        refused(server, path, json.dumps(document).encode(), f"image {str(image)[:80]!r}")


def refused(server: Serving, path: str, body: bytes, name: str) -> None:
    """Send a body that must be refused with a reason."""
    try:
        truth.judge_refusal(server.ask("POST", path, body))
    except (Wrong, ValueError, KeyError, TypeError) as error:
        raise Wrong(f"{name}: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        if not server.ready():
            raise Wrong(f"{name}: the service is gone") from error


def crowds(world: World, server: Serving, random: Random) -> None:
    """Send Pods with a thousand containers: of one image, and of as many that are not signed."""
    good, unsigned = random.choice(world.good), world.repository("good/app0")
    _expect(world, server, [good] * hostile.MANY, allowed=True)
    _expect(world, server, [unsigned.ref(f"no{n}") for n in range(hostile.MANY)], allowed=False)
    nowhere = [world.repository(f"good/none{random.random()}").ref("1") for _ in range(NOWHERE)]
    _expect(world, server, [good, *nowhere], allowed=False)


def _expect(world: World, server: Serving, asked: Sequence[str], *, allowed: bool) -> None:
    said = world.ask(server, asked)
    if said.allowed is not allowed:
        raise Wrong(f"{len(asked)} containers of {asked[0]} ...: {said}")


def large_bodies(world: World, server: Serving, random: Random) -> None:
    """Send more than anybody needs, all at once and in pieces without an end."""
    document = truth.review([random.choice(world.good)])
    document["request"]["object"]["metadata"]["annotations"] = {"a": "x" * (64 * MEBIBYTE)}
    refused(server, ordeal.ROUTES[0], json.dumps(document).encode(), "64 MiB")
    head = b"POST /admit/mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with contextlib.suppress(OSError), server.socket() as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(256):
            connection.sendall(b"100000\r\n" + b" " * MEBIBYTE + b"\r\n")
        raise Wrong("the service took 256 MiB of one request")


def wire(world: World, server: Serving, random: Random) -> None:
    """Send bytes that are no HTTP, or hardly."""
    sent = dict(hostile.wire(random.choice(world.good)))

    def speak(name: str) -> None:
        reply = _speak(server, sent[name])
        status = reply.split(b" ", 2)[1] if reply.startswith(b"HTTP/1.1 ") else b""
        if b'"allowed":true' in reply.replace(b" ", b"") or (status and not b"400" <= status <= b"599"):
            raise Wrong(f"{name}: {reply[:300]!r}")
        if status == b"500":
            raise Wrong(f"{name}: the service is at a loss: {reply[:300]!r}")

    world.side_by_side(speak, sent)


def _speak(server: Serving, sent: bytes) -> bytes:
    """Send bytes, and return what comes back until the other side ends the connection, or waits for more."""
    received = b""
    with contextlib.suppress(OSError), server.socket() as connection:
        connection.settimeout(ordeal.DEADLINE + ordeal.GRACE)
        connection.sendall(sent)
        while piece := connection.recv(65536):
            received += piece
            if http_is_whole(received):
                break
    return received


def http_is_whole(received: bytes) -> bool:
    """Return whether an answer with a length is complete."""
    head, separator, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(separator and lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def stalled(world: World, server: Serving, random: Random) -> None:
    """Begin connections and never go on, and say what is no HTTP: others are served, and all that ends."""
    before = server.usage().files
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(_begin(server, plain, wrapped))
            for _, plain, wrapped in random.sample(hostile.STALLED, len(hostile.STALLED))
            for _ in range(STALLED)
        ]
        for image in world.good:
            said = world.ask(server, [image])
            if not said.allowed:
                raise Wrong(f"{len(opened)} connections that stall, and {image} is refused: {said.message}")
        wire(world, server, random)
        ordeal.until(
            lambda: server.usage().files <= before + STALLED, "connections that stall are never ended"
        )
        random.shuffle(opened)


def _begin(server: Serving, plain: bytes, wrapped: bytes | None) -> socket.socket:
    connection = server.socket(wrapped=wrapped is not None)
    connection.sendall(plain if wrapped is None else wrapped)
    return connection


def throng(world: World, server: Serving, random: Random) -> None:
    """Ask more at once than is answered at once, while the Notary server says nothing."""
    world.notary.turn(Mood.HANGS)
    try:
        with ThreadPoolExecutor(THRONG) as threads:
            asked = [[world.repository(f"good/none{random.random()}").ref("1")] for _ in range(THRONG)]
            for said in threads.map(lambda images: _or_cut(world, server, images), asked):
                if said is not None and said.allowed:
                    raise Wrong(f"allowed what nobody signed: {said}")
        if server.ask("GET", "/healthz").status != 200:
            raise Wrong("the service says that it is not alive")
    finally:
        world.notary.turn(Mood.HONEST)


def _or_cut(world: World, server: Serving, images: Sequence[str]) -> truth.Judgement | None:
    try:
        return world.ask(server, images)
    except TimeoutError as error:
        raise Wrong("no answer within the deadline") from error
    except (OSError, http.client.HTTPException):
        return None
