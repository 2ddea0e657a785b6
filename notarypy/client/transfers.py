"""What moving images returns, and how it says how far it is.

What it is: frozen values, as those of `results`, and the shape of a progress display.
What it is not: the moving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from notarypy.client.results import AppliedPolicy, SignedTag


class Progress(Protocol):
    """Told how far the blobs are; called from several threads, one at a time."""

    def begin(self, what: str, total: int) -> None:
        """Begin to move so many bytes."""
        ...

    def moved(self, count: int) -> None:
        """Note that many more bytes are done; less than nothing where something begins anew."""
        ...

    def end(self) -> None:
        """Note that all is over, well or not."""
        ...


@dataclass(frozen=True)
class PushedImage:
    """An image that is in a registry, read back.

    Attributes:
        repository: `registry/name`.
        tag: Its tag; None when it was pushed by digest alone.
        digest: Of its manifest or index: `sha256:` and 64 hex digits.
        size: Bytes of that.
        platforms: `os/architecture[/variant]` of an index; empty for a single image.
        uploaded: Blobs that were sent.
        mounted: Blobs that the registry took over from another repository.
        present: Blobs that were there.
        sent: Bytes of the blobs that were sent.
        foreign: Digests of layers that nobody may distribute, and that were not sent.
    """

    repository: str
    tag: str | None
    digest: str
    size: int
    platforms: tuple[str, ...]
    uploaded: int
    mounted: int
    present: int
    sent: int
    foreign: tuple[str, ...]

    @property
    def reference(self) -> str:
        """`repository:tag`, or `repository@digest` without a tag."""
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class PulledImage:
    """An image that was verified and is in an OCI layout.

    Attributes:
        repository: `registry/name`.
        tag: The tag that was asked for or found; None for a digest that nothing vouches for.
        digest: The verified digest.
        verified: False only where the trust policy says to skip the verification.
        destination: Where it is, as a SOURCE is written.
        stored: The digest that the layout names: the verified one, or the chosen platform's.
        platforms: What an index has for platforms and was fetched.
        left_out: Platforms of the index that were not fetched.
        fetched: Blobs that were fetched.
        reused: Blobs that were there.
        foreign: Digests of layers that nobody may distribute, and that are not there.
        policy: What the trust policy said; None if there is none.
    """

    repository: str
    tag: str | None
    digest: str
    verified: bool
    destination: str
    stored: str
    platforms: tuple[str, ...]
    left_out: tuple[str, ...]
    fetched: int
    reused: int
    foreign: tuple[str, ...]
    policy: AppliedPolicy | None

    @property
    def reference(self) -> str:
        """`repository@digest`."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class CopiedImage:
    """An image that is under a second name: what was verified, what was pushed, and what was signed."""

    source: str
    verified: bool
    pushed: PushedImage
    signed: SignedTag | None
