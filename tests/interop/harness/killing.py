"""Ours is killed while it publishes or rotates a key, and what that may have left is looked at.

What it is: kills at every step that changes the disk, around every request, and at random moments; and what
must hold afterwards. What it is not: the programs (`forking`) and the server (`gateway`). Rules:

1. SIGKILL comes before the so many-th step on the disk, before or after the server has dealt with the so
   many-th request, or after a random time; as late as the command lives, which is how a loop ends.
2. Afterwards both tools list the same, and all that was surely published; both see the same keys; either of
   them publishes; and then nothing is staged.
3. The private key of every key that the server's root has for root and targets, and for the snapshot unless
   the server has it, is in the trust directory, and nobody else may read it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from interop.harness import gokeys, gosides
from interop.harness.people import APART
from support.served import Line as Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from interop.harness.forking import Forker
    from interop.harness.gateway import Gateway
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

KILLED = -signal.SIGKILL
# As long as no command takes: one that outlives this many steps never ends.
ENDLESS = 1000
# Of the steps on the disk some are passed over at random: there are dozens, and each costs a look at all.
STRIDE = 6
LONGEST = 0.4


class Hunt:
    """A repository, a trust directory, and ours, which is killed."""

    def __init__(self, home: Path, server: Endpoint, front: Gateway, forker: Forker, random: Random) -> None:
        self.home, self.front, self.forker, self.random = home, front, forker, random
        self.trust_dir = home / ".notary"
        self.trust_dir.mkdir(parents=True)
        assert server.ca is not None
        self._server = Connection(server.host, server.ca)
        remote = {"url": front.endpoint.url, "root_ca": str(server.ca)}
        (self.trust_dir / "config.json").write_text(json.dumps({"remote_server": remote}))
        (home / "direct.json").write_text(json.dumps({"remote_server": {**remote, "url": server.url}}))
        (home / "hello").write_text("hello\n")
        self.environment = {"HOME": str(home), **APART}
        self.published: set[str] = set()
        self._names = (f"v{number}" for number in itertools.count())
        self.kills = 0
        for name in ("jo", "jeff"):
            gokeys.make(home, name)

    def close(self) -> None:
        """Leave the server."""
        self._server.connection.close()

    # -- running

    def go(self, *words: str, reads: str = "") -> Run:
        """Run Go notary, straight to the server."""
        argv = ["-c", "direct.json", *words]
        return gosides.go_notary(argv, self.environment, self.home, reads.encode()).expect(0)

    def ours(self, *words: str, reads: str = "") -> Run:
        """Run ours, straight to the server."""
        argv = ["notary", "-c", "direct.json", *words]
        return self.forker.run(argv, self.environment, folder=self.home, data=reads.encode()).expect(0)

    def killed(self, words: tuple[str, ...], reads: str, way: str, when: float) -> bool:
        """Run ours and kill it in one of the ways (rule 1); return whether it died."""
        dies = int(when) if way == "step" else 0
        trap = _Trap(self.front, way, int(when))
        argv = ["notary", *words]
        pid = self.forker.start(argv, self.environment, folder=self.home, data=reads.encode(), dies=dies)
        trap.arm(pid)
        timer = threading.Timer(when, trap.kill) if way == "moment" else None
        if timer:
            timer.start()
        code, out, err = self.forker.wait()
        if timer:
            timer.cancel()
            timer.join()
        trap.disarm()
        assert code in {0, KILLED}, f"{words}, {way} {when}: {code}\n{out.decode()}\n{err.decode()}"
        self.kills += code == KILLED
        return code == KILLED

    def loop(self, way: str) -> Iterator[float]:
        """Yield when to kill, later and later, or at random moments on and on."""
        number = 0
        while number < ENDLESS:
            number += self.random.randint(1, STRIDE) if way == "step" else 1
            yield self.random.random() * LONGEST if way == "moment" else number

    # -- what is there

    def name(self) -> str:
        """Return a name for a target that none had before."""
        return next(self._names)

    def root(self, repository: str) -> dict[str, Any]:
        """Return the root that the server has."""
        answer, body = self._server.ask("GET", f"/v2/{repository}/_trust/tuf/root.json")
        assert answer.status == 200, body
        root: dict[str, Any] = json.loads(body)["signed"]
        return root

    def needed(self, repository: str) -> set[str]:
        """Return the ids of the private keys that the server's root needs here (rule 3)."""
        root, found = self.root(repository), set[str]()
        for role in ("root", "targets", "snapshot"):
            for keyid in root["roles"][role]["keyids"]:
                key = root["keys"][keyid]
                if key["keytype"] == "ecdsa-x509":
                    found.add(gokeys.canonical_id(base64.b64decode(key["keyval"]["public"])))
                elif key["keytype"] == "ecdsa":  # the server's own are Ed25519
                    found.add(keyid)
        return found

    def check(self, repository: str) -> None:
        """Insist on what must hold after a kill (rules 2 and 3)."""
        private = {path.stem: path for path in (self.trust_dir / "private").glob("*.key")}
        assert self.needed(repository) <= private.keys()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (self.trust_dir / "private").iterdir()}
        assert modes <= {0o600}
        lists = [run("list", repository).stdout for run in (self.go, self.ours)]
        assert lists[0] == lists[1]
        shown = {line.split()[0] for line in lists[0].splitlines()[2:] if line.strip()}
        assert self.published <= shown, self.published - shown
        keys = [run("key", "list").stdout for run in (self.go, self.ours)]
        assert keys[0] == keys[1]
        publisher, name = self.random.choice((self.go, self.ours)), self.name()
        publisher("add", repository, name, "hello", "-p")
        self.published = shown | {name}
        for run in (self.go, self.ours):
            assert run("status", repository).stdout.startswith("No unpublished changes")


class _Trap:
    """Kills a process around a request that passes a gateway."""

    def __init__(self, front: Gateway, way: str, number: int) -> None:
        self._front, self._way, self._number = front, way, number
        self._process, self._count = -1, 0
        self._known = threading.Event()
        front.swallow, front.rewrite = self._before, self._after

    def arm(self, pid: int) -> None:
        """Say which process it is for."""
        with suppress(ProcessLookupError):  # it has ended already
            self._process = os.pidfd_open(pid)
        self._known.set()

    def kill(self) -> None:
        """Kill it, and nothing that has its number later."""
        if self._process >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def disarm(self) -> None:
        """Let everything pass."""
        if self._process >= 0:
            os.close(self._process)
        self._front.swallow, self._front.rewrite = (lambda _method, _path: False), (lambda _path, body: body)

    def _before(self, _method: str, _path: str) -> bool:
        self._count += 1
        return self._way == "before" and self._springs()

    def _after(self, _path: str, body: bytes) -> bytes:
        if self._way == "after":
            self._springs()
        return body

    def _springs(self) -> bool:
        if self._count != self._number:
            return False
        self._known.wait(5)
        self.kill()
        return True
