"""The demonstration: what signing and verifying look like, on servers of its own.

What it is: a story in steps, each a real command line in a process of its own. What it is not: a test; but it
knows how each command should end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.devserver import sample
from notarypy.devserver.tampering import Tampering
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.tls import context
from notarypy.remote.http.transport import Exchange
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.devserver.start import Running

NAME = "demo/app"
PASSPHRASES = {
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "demo-root-passphrase",
    "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "demo-repository-passphrase",
}
RELEASES = "targets/releases"
_UNSIGNED, _REFUSED = 3, 4
# What would lead the commands to other servers, keys or passphrases than those of the demonstration.
_FOREIGN = ("DOCKER_", "NOTARY", "SSL_CERT_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY")
_TIMEOUT = 60.0
_TIME = 10.0


@dataclass(frozen=True)
class Step:
    """One command that was run: what is going on, the command line, what it printed, and its exit code."""

    about: str
    command: str
    output: str
    code: int
    expected: int


class Demo:
    """The story, run against running servers."""

    def __init__(self, started: Running, home: Path, environ: Mapping[str, str]) -> None:
        """Use `home` for everything that a person would have in a home directory."""
        self._started = started
        self._home = home
        kept = {name: value for name, value in environ.items() if not name.upper().startswith(_FOREIGN)}
        self._environ = {**kept, **self.variables, "HOME": str(home)}
        self.repository = f"{started.registry}/{NAME}"
        self._image = f"{self.repository}:1"

    @property
    def variables(self) -> dict[str, str]:
        """What a shell has to export to go on where the story ends."""
        return {**self._started.environment, **PASSPHRASES}

    def story(self) -> Iterator[Step]:
        """Run the commands one after the other; whoever looks on stops at the first wrong exit code."""
        self._push("Hello, world.")
        yield self._run(
            "An image for two platforms is in the registry, unsigned. Alice makes a signing key.",
            *("key", "generate", "alice"),
        )
        yield self._run("She makes trust data for the repository.", "init", self.repository)
        yield self._run(
            "She lets her key sign tags.",
            *("delegate", "add", "alice", self.repository, "--key", "alice.pub"),
        )
        yield self._run("She signs the tag: what the registry serves now.", "sign", self._image)
        yield self._run("Anybody can verify it, and gets the digest to pull by.", "verify", self._image)
        yield self._run("Who signed what:", "inspect", "--pretty", self.repository)
        self._push("Hello, world, a little later.")
        yield self._run(
            "Somebody pushes another image to the tag. It is not what Alice signed.",
            *("verify", self._image),
            code=_REFUSED,
        )
        yield self._run("It was Alice herself: she signs the new one.", "sign", self._image)
        yield self._run("Now it is good again.", "verify", self._image)
        honest = self._forge()
        yield self._run(
            "Somebody takes over the Notary server, keys and all, and rewrites the list of signed tags.",
            *("verify", self._image),
            code=_REFUSED,
        )
        Tampering(self._started.fake).publish(self.repository, {RELEASES: honest})
        self._started.fake.notary.renews = True
        yield self._run("The owner puts the signed list back.", "verify", self._image)
        (self._home / "Dockerfile").write_text(f"FROM {self._image}\nCOPY program /\n")
        yield self._run(
            "Bob builds on this image. Pinned, his Dockerfile means the signed image and no other.",
            *("pin", "Dockerfile"),
        )
        yield self._run("Alice takes her signature back.", "revoke", self._image)
        yield self._run("On an unsigned image nothing is built.", "pin", "Dockerfile", code=_UNSIGNED)
        yield self._run("She signs it again.", "sign", self._image)

    def _push(self, text: str) -> None:
        tls = context(replace_ca=self._started.authority, environ={})
        with closing(HttpTransport(lambda _: tls, environ={})) as transport:
            exchange = Exchange(transport, timeout=_TIME)
            sample.push(exchange, f"https://{self._started.registry}", NAME, "1", sample.make(text))

    def _forge(self) -> bytes:
        attacker = Tampering(self._started.fake)
        honest = attacker.current(self.repository, RELEASES)
        document = json.loads(honest)
        forged = sample.make("Malicious.").top
        meta = document["signed"]["targets"]["1"]
        meta["length"] = len(forged)
        meta["hashes"]["sha256"] = base64.b64encode(hashlib.sha256(forged).digest()).decode()
        attacker.publish(self.repository, {RELEASES: json.dumps(document).encode()})
        return honest

    def _run(self, about: str, *words: str, code: int = 0) -> Step:
        done = subprocess.run(  # noqa: S603 - this program itself, with words from above
            [sys.executable, "-m", "notarypy", *words],
            cwd=self._home,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
        return Step(about, " ".join(("notarypy", *words)), done.stdout, done.returncode, code)
