"""Publishing what is staged in processes that die, each just before another step.

Run as `python -m support.dyingstager HOME SERVER BEGUN`: what is staged in a trust directory of its own each
time is published by a process that dies, and then by one that lives. With BEGUN the repository is begun by
that, else it is there before. Prints a line of JSON for each step: what a process left that died before it,
and what the next one made of that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

# What publishing needs is loaded once, and not in each process.
from notarypy import Client, StagedContent
from notarypy.client.metadata import refresh
from notarypy.client.publish import staged
from notarypy.errors import RepositoryMissingError
from notarypy.keys.formats import pkcs8
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Root
from support.dying import die

_LOADED = refresh, staged
_TEAM = "targets/team"


def client(home: Path, server: str) -> Client:
    """Return a client of a home's trust directory."""
    environ = {"HOME": str(home), "DOCKER_CONFIG": str(home), "DOCKER_CONTENT_TRUST_SERVER": server}
    return Client.from_environment(
        environ, passphrases=lambda _: "a passphrase of tests", gun=True, first_use=True
    )


def stage(made: Client, gun: str) -> None:
    """Stage a change of each kind."""
    content = StagedContent(1, hashlib.sha256(b"x").digest())
    public = made.keys.generate("team")[1]
    made.staging.add_target(gun, "1", content)
    made.staging.add_delegation(gun, _TEAM, [public], [""])
    made.staging.add_target(gun, "2", content, roles=[_TEAM])
    made.staging.witness(gun, ["targets"])


def main(home: Path, server: str, *, begun: bool) -> None:
    """Let one process after the other die some steps later, until one lives to the end."""
    pkcs8.ROUNDS = 1000
    vars(os)["fsync"] = lambda _: None
    step = code = 1
    while code:
        there, gun = home.with_name(f"{home.name}-{step}"), f"localhost/{home.name}/{step}"
        shutil.copytree(home, there)
        if not begun:
            client(there, server).staging.publish(gun)
        stage(client(there, server), gun)
        code = die(lambda: client(there, server).staging.publish(gun), step)  # noqa: B023 - called at once
        killed = seen(there, server, gun)
        client(there, server).staging.publish(gun)
        line = {"died": bool(code), "killed": killed, "then": seen(there, server, gun)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        step += 3 if begun else 1  # all that others do too is looked at with the other ones


def seen(home: Path, server: str, gun: str) -> dict[str, object]:
    """Return what is staged, what a reader finds, and the keys that a root needs and that are not here.

    That goes for the root of the server and for the one that is here. A reader may find nothing at all; what
    it cannot read is an error of this program.
    """
    reader = home.with_name(f"{home.name}-reader")
    shutil.rmtree(reader, ignore_errors=True)
    shutil.copytree(home / "tls", reader / "tls")
    listed: dict[str, list[str]] = {}
    found: list[Root] = []
    try:
        trusted = client(reader, server).refresh(gun)
    except RepositoryMissingError:
        pass
    else:
        listed = {role: sorted(file.targets) for role, file in trusted.targets.items()}
        found.append(trusted.root)
    cached = home / "trust" / "tuf" / gun / "metadata" / "root.json"
    if cached.exists():
        found.append(Root.from_signed(Envelope.parse(cached.read_bytes(), roles.ROOT).signed))
    owned = [role for role in roles.BASE_ROLES if role != roles.TIMESTAMP]
    wanted = {key.canonical_id for root in found for role in owned for key in root.signers(role)}
    here = {path.stem for path in (home / "trust" / "private").glob("*.key")}
    left = len(client(home, server).staging.list(gun))
    return {"left": left, "listed": listed, "roots": len(found), "lost": sorted(wanted - here)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], begun=len(sys.argv) > 3)
