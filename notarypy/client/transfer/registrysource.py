"""Images as they are in a registry: their trees, and their blobs as a stream.

What it is: content for `push` and `pull` that a registry has. What it is not: a decision
which image is the right one: digests come from `verification`.

Rules:

1. Everything is asked for by digest.
2. A blob is streamed through a few pieces in memory, and through no file. It arrives in a
   thread of its own, which ends with whoever reads.
"""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import TYPE_CHECKING

from notarypy.errors import DigestMismatchError
from notarypy.images import manifests
from notarypy.images.layout import ARTIFACT, Descriptor
from notarypy.images.tree import Tree, check_single, choose, config_of, grow
from notarypy.remote.registry.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from notarypy.remote.registry.registry import Registry

_PIECES = 16
_POLL_SECONDS = 0.1


def warn_of_foreign(tree: Tree, warn: Callable[[str], None], done: str) -> None:
    """Say which layers of an image are not moved; `done` is what is not done with them."""
    for blob in tree.foreign:
        warn(f"the layer {blob.digest} may not be distributed: it is not {done}")


class RemoteImage:
    """One repository of a registry: content for `images.tree` and `client.transfer.pushing`."""

    def __init__(self, registry: Registry, path: str) -> None:
        """Read from a repository."""
        self.registry, self.path = registry, path
        self.limits = registry.exchange.limits
        self.blobs = Blobs(registry, path)
        self._known: dict[str, bytes] = {}

    def top(self, digest: str, size: int | None) -> Descriptor:
        """Return what the registry has for a digest.

        Raises:
            DigestMismatchError: Something of another size than was signed.
        """
        answer = self.registry.document(self.path, digest)
        found = manifests.read(answer.body, answer.headers.get("content-type"), self.limits)
        if size not in {None, found.size}:
            raise DigestMismatchError(
                f"{self.registry.host} has {digest} with another size than the signed one",
                why=f"signed: {size} bytes; served: {found.size} bytes",
                host=self.registry.host,
                expected=digest,
            )
        self._known[digest] = answer.body
        return Descriptor(found.media_type, digest, found.size)

    def tree(self, top: Descriptor, platform: str | None = None) -> tuple[Tree, tuple[str, ...]]:
        """Return an image, or what an index has for one platform and the platforms that are left out.

        Raises:
            UsageError: There is nothing for this platform.
        """
        if platform is None:
            return grow(top, self.manifest, self.limits), ()
        data = top.check(self.manifest(top))
        config = config_of(top, data, self.limits)
        if config is not None:
            check_single(config.check(b"".join(self.chunks(config, 0))), platform, self.limits)
            return grow(top, self.manifest, self.limits), ()
        chosen, left_out = choose(top, data, platform, self.limits)
        return grow(chosen, self.manifest, self.limits), left_out

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest by digest, asked for once."""
        if descriptor.digest in self._known:
            return self._known[descriptor.digest]
        accept = (descriptor.media_type,) if descriptor.media_type == ARTIFACT else manifests.ACCEPT
        return self.registry.document(self.path, descriptor.digest, accept).body

    def chunks(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        """Yield a blob from a position on (rule 2)."""
        pipe = _Pipe(start)

        def fill() -> None:
            try:
                self.blobs.download(descriptor.digest, descriptor.size, pipe)
                pipe.put(None)
            except _GoneError:
                return
            except BaseException as error:  # noqa: BLE001 - raised again where the pieces are read
                pipe.fail(error)

        threading.Thread(target=fill, daemon=True).start()
        try:
            yield from pipe.pieces()
        finally:
            pipe.gone.set()

    def where(self, descriptor: Descriptor) -> str:
        """Return what errors call the place of a blob."""
        return f"{self.registry.host}/{self.path}@{descriptor.digest}"


class _GoneError(Exception):
    """Nobody reads any more."""


class _Pipe:
    """Where a download goes on one side, and from where it is read on the other."""

    def __init__(self, start: int) -> None:
        self.position = self._handed = start
        self.gone = threading.Event()
        self._queue: Queue[bytes | BaseException | None] = Queue(_PIECES)

    def restart(self) -> None:
        """Begin anew: what was handed over already is not handed over again."""
        self.position = 0

    def write(self, data: bytes) -> None:
        """Hand over."""
        fresh = data[max(self._handed - self.position, 0) :]
        self.position += len(data)
        if fresh:
            self._handed += len(fresh)
            self.put(fresh)

    def put(self, item: bytes | BaseException | None) -> None:
        """Wait for room; raise when nobody reads any more."""
        while not self.gone.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue
            return
        raise _GoneError

    def fail(self, error: BaseException) -> None:
        """Hand over an error, if anybody is there to take it."""
        try:
            self.put(error)
        except _GoneError:
            return

    def pieces(self) -> Iterator[bytes]:
        """Yield what is handed over; raise what went wrong on the other side."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
