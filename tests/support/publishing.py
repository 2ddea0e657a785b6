"""A publish with a time of its own: nobody waits, and every pause is on record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notarypy.client.parameters import SignOptions
from notarypy.client.publish.pipeline import Patience, publisher_for
from notarypy.client.publish.signing import sign
from notarypy.images.manifests import OCI_MANIFEST, Manifest, digest_of
from support.author import GUN
from support.people import manifest

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import SignedTag


@dataclass
class Timer:
    """A clock that pauses move, and nothing else."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, seconds: float) -> Patience:
        """Return a patience of so many seconds of this clock; each pause is as long as it can be."""
        return Patience(seconds, lambda: self.now, self.sleep, lambda: 1.0)


def publish(client: Client, patience: Patience, tag: str = "1") -> list[SignedTag]:
    """Sign a pushed tag as `Client.sign` does, with a patience of our own."""
    publisher = publisher_for(client._session, GUN)  # noqa: SLF001 - time is not a setting
    data = manifest(tag)
    image = Manifest(OCI_MANIFEST, digest_of(data), len(data))
    return sign(replace(publisher, patience=patience), lambda: {tag: image}, SignOptions())
