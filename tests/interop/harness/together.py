"""Two people who sign one role together: each with a machine, a home and a key of their own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person

TEAM = "targets/team"


class Team:
    """An owner, and Ann and Bob, both of whom sign as `team`; parts go from machine to machine as files."""

    def __init__(self, person: Callable[[str], Person], repository: Repository) -> None:
        self.owner, self.ann, self.bob = person("owner"), person("ann"), person("bob")
        self.repository = repository
        keys: list[str | Path] = []
        for member in (self.ann, self.bob):
            name = member.home.name
            key, certificate = member.new_key(name)
            member.notarypy("key", "load", key, "--name", name).expect(0)
            keys += ["--key", certificate]
        self.owner.notarypy("delegate", "add", "team", repository.name, *keys, "--threshold", "2").expect(0)

    def handed(self, part: Path, other: Person) -> Path:
        """Return where a file is on another's machine."""
        copy = other.home / part.name
        shutil.copy(part, copy)
        return copy

    def released(self, reader: Person, tag: str) -> bool:
        """Tell whether a tag is released in the eyes of somebody who has no key."""
        run = reader.notarypy("verify", self.repository.ref(tag))
        return {0: True, 3: False}[run.code]

    def versions(self, reader: Person) -> dict[str, int]:
        """Return the version of each role, as the server has it."""
        run = reader.notarypy("status", "--json", self.repository.name).expect(0)
        return {role["role"]: role["version"] for role in json.loads(run.stdout)["results"][0]["roles"]}
