"""A repository whose past is written by hand on the fake's Notary server, feed and all.

What it is: the scene for those who read a past, and for a server that lies about it.
What it is not: a publisher; nothing is checked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from notarypy.devserver.stores import StoredFile
from notarypy.tuf import canonical, roles
from support.author import GUN, NOW, Author

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from notarypy import HistoryEvent
    from notarypy.devserver.stores import MetadataStore
    from support.people import World

HOUR = timedelta(hours=1)
JEFF = "targets/jeff"
Brief = tuple[str, int | None, str, str]


class Past:
    """A repository of jeff's that nobody has published yet.

    Attributes:
        author: Writes its files.
        store: What the server remembers.
        reader: Somebody who reads it.
    """

    def __init__(self, world: World) -> None:
        """Begin at `NOW`; each publish is an hour after the one before."""
        self._world = world
        world.fake.notary.renews = False
        self.author, self.reader = Author(GUN, NOW), world.person("reader")
        self.store: MetadataStore = world.fake.notary.store
        self.author.delegate(JEFF, [self.author.key("jeff")])
        self.author.add("1", b"1", JEFF)
        self._published = 0

    def publish(self, *changed: str, bumped: bool = True) -> dict[str, bytes]:
        """Publish these roles' files in their next version; the first time everything.

        Of the timestamp alone only that is renewed.
        """
        if self._published and bumped:
            for role in changed:
                if role in self.author.targets:
                    self.author.bump(role)
        self._published += 1
        self.author.timestamp_version = self._published
        self.author.snapshot_version += self._published > 1 and changed != (roles.TIMESTAMP,)
        files = self.author.repository()
        above = {roles.TIMESTAMP} if changed == (roles.TIMESTAMP,) else {roles.SNAPSHOT, roles.TIMESTAMP}
        new = {*changed, *above} if self._published > 1 else set(files)
        named = {role: data for role, data in files.items() if role in new}
        for role, data in named.items():
            self.store.replace(GUN, role, StoredFile(version_of(data), data))
        stored = StoredFile(self._published, files[roles.TIMESTAMP])
        self.store._note(GUN, "update", self._world.clock(), stored)  # noqa: SLF001 - as `update` does
        self._world.clock.advance(HOUR)
        return files

    def sign(self, *tags: str) -> None:
        """Have jeff sign tags, each in a publish of its own."""
        for tag in tags:
            self.author.add(tag, tag.encode(), JEFF)
            self.publish(JEFF)

    def rotate(self, name: str) -> None:
        """Publish the next root, with a root key of this name."""
        self.author.next_root()
        self.author.assign(roles.ROOT, [self.author.root_key(name)])
        self.publish(roles.ROOT)

    def read(self, **asked: Any) -> list[HistoryEvent]:  # noqa: ANN401 - as `Client.history` takes them
        """Return all events."""
        return list(self.reader.client().history(GUN, **asked))

    def feed(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Let the server show another feed than the true one."""
        true = self.store.changes

        def changes(gun: str | None, records: int, after: int) -> list[dict[str, Any]] | None:
            shown = [each for each in change(true(gun, 1000, 0) or []) if int(each["ID"]) > after]
            return shown[:records] or None

        self.store.changes = changes  # type: ignore[method-assign]


def version_of(data: bytes) -> int:
    """Return the version of a file."""
    version = canonical.decode(data)["signed"]["version"]
    assert isinstance(version, int)
    return version


def brief(events: Iterable[HistoryEvent]) -> list[Brief]:
    """Return role, version, kind and name of events."""
    return [(event.role, event.version, event.kind, event.name) for event in events]


def kinds(events: Iterable[HistoryEvent]) -> list[str]:
    """Return the kinds of events."""
    return [event.kind for event in events]
