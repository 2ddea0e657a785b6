"""A repository written by hand, on the fake's Notary server, and a reader who has seen it.

What it is: the scene of attacks on a client: whoever holds an `Author` can do what a
thief of keys can do. What it is not: a publisher; nothing is checked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.stores import StoredFile
from notarypy.errors import ExpiredError, MetadataError, VerificationError
from notarypy.tuf import canonical, roles
from support.author import GUN, NOW, Author
from support.people import informed, manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.errors import NotarypyError
    from support.people import World

JEFF = "targets/jeff"


class Stage:
    """A repository of jeff's, tag 1 of which is released.

    Attributes:
        world: Where it is served.
        author: Writes its files.
        reader: Somebody whose cache `know` fills.
    """

    def __init__(self, world: World) -> None:
        """Serve version 1 of everything."""
        self.world = world
        world.fake.notary.renews = False
        self.author = Author(GUN, NOW)
        self.reader = world.person("reader")
        for role in (JEFF, roles.RELEASES):
            self.author.delegate(role, [self.author.key("jeff")])
        self.release("1")
        self.serve(self.author.repository())

    def release(self, tag: str, content: str = "") -> None:
        """List a tag in jeff's file and in the releases; push its image."""
        self.world.push(tag, content)
        for role in (JEFF, roles.RELEASES):
            self.author.add(tag, manifest(content or tag), role)

    def publish(self, *changed: str) -> dict[str, bytes]:
        """Serve the next version: of these roles' files, and of snapshot and timestamp."""
        for role in changed:
            self.author.bump(role)
        self.author.snapshot_version += 1
        self.author.timestamp_version += 1
        files = self.author.repository()
        self.serve(files)
        return files

    def rotate_root(self, name: str, version: int | None = None) -> None:
        """Give the next root another root key; the files are not served yet."""
        self.author.next_root()
        self.author.assign(roles.ROOT, [self.author.root_key(name)])
        if version is not None:
            self.author.root = replace(self.author.root, version=version)

    def serve(self, files: Mapping[str, bytes]) -> None:
        """Put files on the server as the current ones; older versions stay there too."""
        store = self.world.fake.notary.store
        for role, data in files.items():
            version = _version(data)
            store.replace(GUN, role, StoredFile(version, data))
            store.forget_above(GUN, role, version)

    def served(self) -> dict[str, bytes]:
        """Return the server's current files."""
        store = self.world.fake.notary.store
        found = {role: store.current(GUN, role) for role in store.roles(GUN)}
        return {role: stored.data for role, stored in found.items() if stored}

    def know(self) -> None:
        """Let the reader read what is served now."""
        if not self.reader.trust_dir.exists():
            informed(self.reader)
            return
        self.reader.client().refresh(GUN)
        self.world.requests()
        self.reader.warnings.clear()

    def refused(self, error: type[NotarypyError], *kept: str) -> NotarypyError:
        """Check that the reader refuses what is served, and that the cache stays as it is.

        Args:
            error: The kind of error.
            kept: Roles whose cached file may change all the same: a newer root.
        """
        before = self.reader.cache()
        with pytest.raises(error) as caught:
            self.reader.client().verify(f"{GUN}:1", registry=False)
        assert caught.value.exit_code == {True: 5, False: 4}[isinstance(caught.value, ExpiredError)]
        after = self.reader.cache()
        assert {role for role in before | after if before.get(role) != after.get(role)} == set(kept)
        return caught.value


def _version(data: bytes) -> int:
    try:
        version = canonical.decode(data)["signed"]["version"]
    except (MetadataError, VerificationError, KeyError, TypeError):
        return 1
    return version if isinstance(version, int) else 1
