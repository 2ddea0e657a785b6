"""A world to put a verification service to the test in: servers behind relays, images, and clients that ask.

What it is: real servers with relays before them, repositories of every kind, a policy, services, and as many
clients as are wanted, whose every answer is held against the truth. What it is not: what happens to it
(`ordeals`, `assaults`). Rules:

1. People publish through the relays, which must be honest then; the truth is noted before and after.
2. Clients ask at random for one or several images, of both webhooks and /verify, as often as they can with
   a pause, and note the first answer that is wrong or far later than the deadline; `check` raises it.
3. After whatever happened, `recover` waits until each image that is signed is allowed again.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from interop.harness import images, people, relay, services, serving, truth
from interop.harness.serving import Reply
from interop.harness.truth import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from random import Random

ROUTES = ("/admit/mutate", "/admit/validate")
VERIFY = "/verify"
# The service's own deadline and largest age, short so that little is waited for.
DEADLINE, MAX_AGE = 2.0, 0.6
# How much later an answer may be on a machine where others work.
GRACE = 8.0
PATIENCE = 60.0


class World:
    """Everything that is there; made by `world`."""

    def __init__(
        self, directory: Path, authority: services.Authority, notary: relay.Relay, registry: relay.Relay
    ) -> None:
        self.directory, self.authority, self.notary, self.registry = directory, authority, notary, registry
        self.truth = truth.Truth(MAX_AGE)
        self.alice = people.Person(directory / "alice", notary.endpoint)
        self.mallory = people.Person(directory / "mallory", notary.endpoint)
        self.good: list[str] = []
        self.bad: list[str] = []
        self.moving = ""
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count()
        self.failures: list[BaseException] = []
        self.policy = directory / "policy.toml"

    # -- what there is

    def repository(self, path: str) -> images.Repository:
        """Return a repository, by the name that it has through the relay."""
        return images.repository(self.registry.endpoint, path)

    def fresh(self) -> str:
        """Return content that no image had before."""
        return f"content {next(self._numbers)}"

    def publish(self, repository: images.Repository, tag: str, content: str) -> str:
        """Push and sign other content at a tag (rule 1), and return its digest."""
        manifest, image = repository.push(tag, content), repository.ref(tag)
        self.truth.begins(image, manifest.digest, time.monotonic())
        self.alice.notarypy("sign", image).expect(0)
        self.truth.ended(image, time.monotonic(), but=manifest.digest)
        return manifest.digest

    def revoke(self, repository: images.Repository, tag: str) -> None:
        """Make a tag unsigned."""
        self.alice.notarypy("revoke", repository.ref(tag)).expect(0)
        self.truth.ended(repository.ref(tag), time.monotonic())

    def furnish(self, count: int) -> None:
        """Make repositories of every kind, and the policy for them."""
        good = [self.repository(f"good/app{number}") for number in range(count)]
        paths = ("strict/app", "good/nothing", "good/foreign")
        strict, nothing, foreign = map(self.repository, paths)
        begun = time.monotonic()
        for repository in good:
            self.truth.begins(repository.ref("1"), repository.push("1").digest, begun)
        for repository in (strict, nothing, foreign):
            repository.push("1")
        good[0].push("unsigned", "unsigned")
        self.good = [repository.ref("1") for repository in good]
        said = self.alice.notarypy("sign", "--init", *self.good, strict.ref("1")).expect(0).text
        self.mallory.notarypy("sign", "--init", foreign.ref("1")).expect(0)
        refused = (strict.ref("1"), nothing.ref("1"), foreign.ref("1"), good[0].ref("unsigned"))
        self.moving, self.bad = self.good[0], [*refused, "docker.io/library/elsewhere:1"]
        skipped = self.repository("skipped/app")
        skipped.push("1")
        self.truth.skipped.add(skipped.ref("1"))
        self.write_policy(said.partition("root pin: ")[2].split()[0])

    def write_policy(self, pin: str, more: str = "") -> None:
        """Write the policy: what is below `strict` lacks a signer that it requires."""
        host, server = self.registry.endpoint.host, self.notary.endpoint.url
        pinned = f'server = "{server}"\nroots.ids = ["{pin}"]\n'
        self.pin = pin
        self.policy.write_text(
            f'[scope."{host}/good"]\n{pinned}{more}'
            f'[scope."{host}/strict"]\n{pinned}signers.all = ["ci"]\n'
            f'[scope."{host}/skipped"]\nmode = "skip"\n'
        )

    def service(self, name: str, *options: str) -> serving.Serving:
        """Return a service of this world, with a trust directory of its own, which is not started."""
        someone = people.Person(self.directory / name, self.notary.endpoint)
        environment = {**someone.environment, "NOTARYPY_FIRST_USE": ""}
        del environment["DOCKER_CONTENT_TRUST_SERVER"]
        own = (
            *("--policy", str(self.policy), "--trust-dir", str(someone.trust_dir)),
            *("--max-age", f"{MAX_AGE}s", "--deadline", f"{DEADLINE}s", *options),
        )
        return serving.Serving(someone.home / "serve", self.authority, environment, own)

    # -- asking

    def ask(
        self, server: serving.Serving, asked: Sequence[str], path: str = ROUTES[0], **request: object
    ) -> truth.Judgement:
        """Ask once, over a connection of its own, and hold the answer against the truth."""
        with contextlib.closing(server.connection(DEADLINE + GRACE)) as connection:
            return self.ask_over(connection, asked, path, **request)

    def ask_over(
        self, connection: http.client.HTTPSConnection, asked: Sequence[str], path: str, **request: object
    ) -> truth.Judgement:
        """Ask over a connection."""
        document = {"images": asked} if path == VERIFY else truth.review(asked, **request)
        begun = time.monotonic()
        connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.read())
        then = truth.Asked(path, begun, time.monotonic())
        if path == VERIFY:
            return truth.judge_verdicts(self.truth, asked, reply, then)
        return truth.judge(self.truth, document, reply, then)

    def side_by_side(self, what: Callable[[str], None], asked: Iterable[str]) -> None:
        """Do something for several images at once, and raise what was wrong with the first."""
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(what, asked))

    def await_digest(self, server: serving.Serving, image: str, digest: str) -> None:
        """Wait until an image is allowed with this digest."""
        until(lambda: self.ask(server, [f"{image}@{digest}"]).allowed, f"{image} never becomes {digest}")

    def await_refusal(self, server: serving.Serving, image: str) -> None:
        """Wait until an image is not allowed any more."""
        until(lambda: not self.ask(server, [image]).allowed, f"{image} stays allowed")

    @contextlib.contextmanager
    def dark(self, which: relay.Relay, mood: relay.Mood, image: str = "") -> Iterator[None]:
        """Let a server misbehave: what was asked later than the largest age after that, is not allowed by it.

        With an image it does so for the repository of this one alone.
        """
        repository = image.partition("/")[2].partition(":")[0]
        which.turn(mood, repository)
        # No registry is asked about what is named by its digest in the end.
        self.truth.darkens(time.monotonic(), "" if which is self.notary else ROUTES[0], image)
        try:
            yield
        finally:
            self.truth.lightens(time.monotonic(), image)
            which.turn(relay.Mood.HONEST, repository)

    def recover(self, server: serving.Serving) -> None:
        """Wait until all that is signed is allowed, and see that the rest is refused (rule 3)."""

        def allowed(image: str) -> None:
            until(lambda: self.ask(server, [image]).allowed, f"{image} is signed, and is still refused")

        def refused(image: str) -> None:
            if self.ask(server, [image]).allowed:
                raise Wrong(f"{image} is allowed")

        self.side_by_side(allowed, self.good)
        self.side_by_side(refused, self.bad)

    @contextlib.contextmanager
    def load(
        self, server: serving.Serving, clients: int, random: Random, pause: float = 0.02
    ) -> Iterator[None]:
        """Ask at random, from several clients, until the block ends (rule 2)."""
        over = threading.Event()
        seeds = [random.random() for _ in range(clients)]
        threads = [
            threading.Thread(target=self._client, args=(server, over, type(random)(seed), pause), daemon=True)
            for seed in seeds
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(DEADLINE + 2 * GRACE)
            if any(thread.is_alive() for thread in threads):
                self.failures.append(Wrong("a client waits for an answer that does not come"))
        self.check()

    def check(self) -> None:
        """Raise the first failure that a client noted."""
        if self.failures:
            raise self.failures[0]

    def _client(self, server: serving.Serving, over: threading.Event, random: Random, pause: float) -> None:
        everything = [*self.good, *self.bad, *self.truth.skipped]
        connection = server.connection(DEADLINE + GRACE)
        while not over.wait(pause * random.random()):
            asked = random.sample(everything, random.choice((1, 1, 1, 2, 5)))
            try:
                said = self.ask_over(connection, asked, random.choice((*ROUTES, VERIFY)))
                self.counts["allowed" if said.allowed else "refused"] += 1
            except TimeoutError:
                self.failures.append(Wrong(f"no answer within the deadline for {asked}"))
                return
            except (OSError, http.client.HTTPException):
                self.counts["cut"] += 1  # the service ended, or has more connections than it takes
                connection.close()
                over.wait(0.1)
            except Exception as error:  # noqa: BLE001 - whatever it is, it fails the test that began the load
                self.failures.append(error)
                return
        connection.close()


@contextlib.contextmanager
def world(directory: Path, count: int = 8) -> Iterator[World]:
    """Run servers of its own with relays before them, and furnish them."""
    authority = services.Authority(directory / "ca")
    with (
        services.notary_server(directory / "notary", authority) as notary,
        services.registry(directory / "registry") as registry,
        relay.relay_to(notary, authority) as notary_relay,
        relay.relay_to(registry, authority) as registry_relay,
    ):
        made = World(directory, authority, notary_relay, registry_relay)
        made.furnish(count)
        yield made


def until(what: Callable[[], bool], complaint: str) -> None:
    """Wait until something is so, with more patience than anything takes."""
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            raise Wrong(complaint)
        time.sleep(0.1)
