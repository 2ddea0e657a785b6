"""What happens around a verification service: each ordeal is a misfortune and its end.

Each takes the world, the service and a source of randomness, raises what was wrong, and leaves a world in
which everything is well again. None looks at a clock but to give up: what is late is late by many times.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from interop.harness import assaults, ordeal
from interop.harness.relay import Mood
from interop.harness.truth import Wrong

if TYPE_CHECKING:
    from interop.harness.ordeal import World
    from interop.harness.relay import Relay
    from interop.harness.serving import Serving

Ordeal = Callable[["World", "Serving", Random], None]
# What ends by itself, and what waits until the deadline of each request.
QUICK = (Mood.CUTS, Mood.SWELLS, Mood.BABBLES, Mood.FAILS, Mood.MISSES, Mood.FORGES)
SILENT = (Mood.HANGS, Mood.DRIPS)
WAYS = {ordeal.ROUTES[0]: "notary", ordeal.ROUTES[1]: "registry"}


def misbehaviour(world: World, server: Serving, random: Random) -> None:
    """Let each server misbehave in all ways at once, in another one for each repository."""
    moods = [*random.sample(QUICK, len(QUICK)), random.choice(SILENT)]
    victims = dict(zip(random.sample(world.good, len(world.good)), moods, strict=False))
    for path, name in WAYS.items():
        with contextlib.ExitStack() as stack:
            for image, mood in victims.items():
                stack.enter_context(world.dark(getattr(world, name), mood, image))
            time.sleep(ordeal.MAX_AGE + 0.1)
            _all_refused(world, server, victims, path)
            if name == "registry":  # which nobody needs for what is named by its digest
                _all_allowed(world, server, victims)
        world.recover(server)


def bulkhead(world: World, server: Serving, random: Random) -> None:
    """Let the Notary server say nothing of one repository: the others are allowed as ever."""
    victim, *others = random.sample(world.good, len(world.good))
    with world.dark(world.notary, random.choice(SILENT), victim):
        time.sleep(ordeal.MAX_AGE + 0.1)
        _refused(world, server, victim, ordeal.ROUTES[0])
        _all_allowed(world, server, others)
    world.recover(server)


def absence(world: World, server: Serving, random: Random) -> None:
    """Let a server be gone, and come back."""
    path = random.choice(ordeal.ROUTES)
    with world.dark(getattr(world, WAYS[path]), Mood.GONE):
        time.sleep(ordeal.MAX_AGE + 0.1)
        _all_refused(world, server, world.good, path)
        if WAYS[path] == "registry":
            _all_allowed(world, server, world.good)
    world.recover(server)


def _all_refused(world: World, server: Serving, images: Iterable[str], path: str) -> None:
    world.side_by_side(lambda image: _refused(world, server, image, path), images)


def _all_allowed(world: World, server: Serving, images: Iterable[str]) -> None:
    """Wait until all are allowed, which on a busy machine may take more than one try."""

    def allowed(image: str) -> None:
        complaint = f"{image} is refused because of what it does not need"
        ordeal.until(lambda: world.ask(server, [image], ordeal.ROUTES[0]).allowed, complaint)

    world.side_by_side(allowed, images)


def _refused(world: World, server: Serving, image: str, path: str) -> None:
    said = world.ask(server, [image], path)
    if said.allowed:
        raise Wrong(f"{image} is allowed at {path}")
    if image not in said.message or "[" not in said.message:
        raise Wrong(f"neither the image nor why: {said.message}")


def rewound(world: World, server: Serving, _: Random) -> None:
    """Publish, see that it is known, and show the state before again: it is refused."""
    repository = world.repository("good/app0")
    world.notary.freeze()
    world.recover(server)
    digest = world.publish(repository, "1", world.fresh())
    world.await_digest(server, world.moving, digest)
    with world.dark(world.notary, Mood.REWINDS, world.moving):
        time.sleep(ordeal.MAX_AGE + 0.1)
        _refused(world, server, world.moving, ordeal.ROUTES[0])
    world.recover(server)


def published(world: World, server: Serving, _: Random) -> None:
    """Publish, revoke, and publish again, while all ask for it."""
    repository = world.repository("good/app0")
    digest = world.publish(repository, "1", world.fresh())
    world.await_digest(server, world.moving, digest)
    world.revoke(repository, "1")
    world.await_refusal(server, world.moving)
    world.publish(repository, "1", world.fresh())
    world.recover(server)


def full_disk(world: World, server: Serving, random: Random) -> None:
    """Let nothing be written any more: the service goes on, and remembers what it saw in spite of that."""
    server.fill_disk()
    try:
        rewound(world, server, random)
        assaults.bodies(world, server, random)
    finally:
        server.fill_disk(full=False)
    world.recover(server)


def certificates(world: World, server: Serving, random: Random) -> None:
    """Change the certificate: for another, for one that is broken, ended, or of another key; and back."""
    shown = server.peer_certificate()
    other = world.authority.issue(f"other-{random.random()}")
    for certificate, key in (
        (b"no certificate", server.pair.key.read_bytes()),
        (other.certificate.read_bytes(), server.pair.key.read_bytes()),
        world.authority.ended("ended"),
        (b"", b""),
    ):
        server.pair.certificate.write_bytes(certificate)
        server.pair.key.write_bytes(key)
        time.sleep(1)
        if not server.ready():
            raise Wrong("a certificate that cannot be used ended what was there")
    shutil.copy(other.key, server.pair.key)
    shutil.copy(other.certificate, server.pair.certificate)
    ordeal.until(lambda: server.peer_certificate() != shown, "another certificate is never shown")
    world.recover(server)


def policies(world: World, server: Serving, _: Random) -> None:
    """Change the policy: for a stricter one, one that cannot be read, none at all; and back."""
    text = world.policy.read_text()
    world.write_policy(world.pin, 'signers.all = ["nobody"]\n')
    ordeal.until(
        lambda: not any(world.ask(server, [image]).allowed for image in world.good), "the policy never counts"
    )
    for broken in ("[scope", "", 'scope = "*"\n', text.replace("roots.ids", "root.ids")):
        world.policy.write_text(broken)
        time.sleep(1)
        _all_refused(world, server, world.good, ordeal.ROUTES[0])
    world.policy.unlink()
    time.sleep(1)
    _all_refused(world, server, world.good, ordeal.ROUTES[0])
    world.policy.write_text(text)
    world.recover(server)


def ended(world: World, server: Serving, random: Random, *, clients: int = 8) -> None:
    """End it under load: who asked has a whole answer, or none; and it comes back with what it knew."""
    with world.load(server, clients, Random(random.random()), 0.0):
        time.sleep(random.random())
        server.signal(signal.SIGTERM)
        if (code := server.wait()) != 0:
            raise Wrong(f"exit {code} after SIGTERM:\n" + "".join(server.log))
        server.start()
    world.recover(server)


def throttled(world: World, server: Serving, random: Random) -> None:
    """Let both servers change their mood, again and again, and look at nothing but what is allowed."""
    relays: tuple[Relay, ...] = (world.notary, world.registry)
    for _ in range(20):
        random.choice(relays).turn(random.choice([mood for mood in Mood if mood is not Mood.REWINDS]))
        time.sleep(0.3 * random.random())
        with contextlib.suppress(TimeoutError):
            world.ask(server, [random.choice([*world.good, *world.bad])], random.choice(ordeal.ROUTES))
    for each in relays:
        each.turn(Mood.HONEST)
    world.recover(server)


def replicas(world: World, servers: tuple[Serving, Serving], random: Random) -> None:
    """Publish, revoke and rotate while two services are asked that know nothing of each other."""
    repository, seeds = world.repository("good/app0"), (random.random(), random.random())
    with world.load(servers[0], 2, Random(seeds[0])), world.load(servers[1], 2, Random(seeds[1])):
        digest = world.publish(repository, "1", world.fresh())
        for server in servers:
            world.await_digest(server, world.moving, digest)
        world.revoke(repository, "1")
        for server in servers:
            world.await_refusal(server, world.moving)
        world.alice.notarypy("key", "rotate", repository.name, "targets").expect(0)
        digest = world.publish(repository, "1", world.fresh())
        for server in servers:
            world.await_digest(server, world.moving, digest)


ORDEALS: tuple[Ordeal, ...] = (
    assaults.bodies,
    assaults.crowds,
    assaults.large_bodies,
    assaults.stalled,
    assaults.throng,
    misbehaviour,
    bulkhead,
    absence,
    rewound,
    published,
    full_disk,
    certificates,
    policies,
    ended,
    throttled,
)
