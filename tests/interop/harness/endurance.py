"""A verification service under load for half an hour, with one misfortune after the other: `scripts/endure`.

Rules:

1. What happens is drawn by a seed, which is printed first: the same seed draws the same.
2. It ends with exit 1 at the first answer that allows what it must not, has no reason or does not come; at
   a service that does not recover; and at the first leak.
3. A leak is: more threads than the service ever keeps for later, open files that do not come back to what
   they were before, or more memory than a service ever needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from interop.harness import ordeal, ordeals
from interop.harness.truth import Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interop.harness.ordeal import World
    from interop.harness.ordeals import Ordeal
    from interop.harness.serving import Serving, Usage

# The service keeps the threads that it once needed, 32 at the most, and those of its event loop.
MOST_THREADS, SPARE_FILES = 48, 32
# KiB: half of what the manifests for a cluster give it. It begins with 50 MiB, and had 140 after everything.
MOST_MEMORY = 256 << 10


def say(text: str) -> None:
    """Print at once what somebody waits for."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def settles(server: Serving, before: Usage) -> None:
    """Wait until a service has no more threads and files than it keeps (rule 3)."""

    def settled() -> bool:
        now = server.usage()
        return now.threads <= MOST_THREADS and now.files <= before.files + SPARE_FILES

    ordeal.until(settled, f"threads or files are left: before {before}, now {server.usage()}")


class Campaign:
    """Ordeals at random against one service."""

    def __init__(self, world: World, server: Serving, random: Random, clients: int) -> None:
        self._world, self._server, self._random, self._clients = world, server, random, clients
        self._before = server.usage()

    def run(self, chosen: Sequence[Ordeal], seconds: float) -> None:
        """Let one thing happen after the other, each once first, and go on until the time is over."""
        end = time.monotonic() + seconds
        first = self._random.sample(chosen, len(chosen))
        while time.monotonic() < end or first:
            self.happen(first.pop() if first else self._random.choice(chosen))

    def happen(self, what: Ordeal) -> None:
        """Let one thing happen, and see that all is well again."""
        pid, begun = self._server.pid, time.monotonic()
        with self._world.load(self._server, self._clients, Random(self._random.random())):
            what(self._world, self._server, self._random)
        self._world.recover(self._server)
        if self._server.pid != pid:  # another process: what it has is measured anew
            self._before = self._server.usage()
        settles(self._server, self._before)
        now = self._server.usage()
        took, counts = time.monotonic() - begun, dict(self._world.counts)
        say(f"{what.__name__:16} {took:6.1f} s  {now}  {counts}")
        if now.memory > MOST_MEMORY:
            raise Wrong(f"it has {now.memory} KiB of memory")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/endure", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long (30)")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32), help="as printed")
    parser.add_argument("--clients", type=int, default=4, help="how many ask all the time (4)")
    parser.add_argument("--list", action="store_true", help="what can happen")
    parser.add_argument("ordeal", nargs="*", help="these alone, in place of all")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run as the command line says, and return the exit code."""
    options, named = arguments(words), {each.__name__: each for each in ordeals.ORDEALS}
    if options.list:
        say("\n".join(f"{name:16} {each.__doc__}" for name, each in named.items()))
        return 0
    say(f"seed {options.seed}")
    chosen = [named[name] for name in options.ordeal] or list(named.values())
    with (
        tempfile.TemporaryDirectory(prefix="endure-") as directory,
        ordeal.world(Path(directory)) as world,
        world.service("first") as server,
    ):
        world.recover(server)
        try:
            Campaign(world, server, Random(options.seed), options.clients).run(chosen, 60 * options.minutes)
        except (Wrong, TimeoutError) as error:
            said = "".join([*server.log][-20:])
            say(f"WRONG: {error}\nseed {options.seed}; the service said last:\n{said}")
            return 1
    say("nothing was wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
