"""Logins that are written down: into docker's config.json or podman's auth.json, or by a helper program.

What it is: the writing half of `dockerconfig`, for one file. What it is not: a check of what is written
(`client.logins` has one), or a safe: without a helper a password is encoded, and not encrypted.

Rules:

1. Everything in the file that is not this login stays as it is, and a file that cannot be read is left alone.
2. Where the file names a helper program for a host, the helper keeps the secret, and the file gets the empty
   entry that docker leaves.
3. A login takes the place of all keys that are for its whole host, however they are written. Keys with a path
   are other logins.
4. The file is replaced in one step, with mode 0600. A link stays one: what it leads to is replaced.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.remote.auth.credentials import HUB, HUB_SERVER, Helper, host_key
from notarypy.remote.auth.dockerconfig import DockerConfig, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class LoginFile(DockerConfig):
    """One file of logins, for writing; make a new one for each change."""

    def store(self, host: str, user: str, secret: str) -> str:
        """Store a login; return the file, or the helper program, that has it now (rules 2 and 3)."""
        helper, key = self.helper_for(host), self._key(host)
        entry = {}
        if helper is not None:
            helper.store(key, user, secret)
        else:
            entry = {"auth": b64encode(f"{user}:{secret}".encode()).decode()}
        self._write({**self._others(host), key: entry})
        return self.name if helper is None else helper.program

    def erase(self, host: str) -> bool:
        """Erase the login for a host; tell whether there was one."""
        helper, key = self.helper_for(host), self._key(host)
        kept = helper is not None and helper.get(key) is not None
        if helper is not None and kept:
            helper.erase(key)
        others = self._others(host)
        listed = others != self._table("auths")
        if listed:
            self._write(others)
        return kept or listed

    def helper_for(self, host: str) -> Helper | None:
        """Return the helper program that keeps logins for a host; None if the file does."""
        name = self._helper(host)
        return Helper(name, self.name, self._environ, self._timeout) if name else None

    def _key(self, host: str) -> str:
        """Return what docker, or podman, calls a host."""
        if host_key(host) != HUB:
            return host
        return HUB if self._podman else HUB_SERVER

    def _others(self, host: str) -> dict[str, object]:
        return {key: entry for key, entry in self._table("auths").items() if place_of(key) != host_key(host)}

    def _write(self, auths: Mapping[str, object]) -> None:
        document = {**self._document, "auths": auths}
        text = json.dumps(document, indent="\t", ensure_ascii=False)
        target = Path(os.path.realpath(self._path))
        files.make_private_directory(target.parent)
        files.write_atomic(target, text.encode(errors="surrogatepass"))
