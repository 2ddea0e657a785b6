"""Pins of roots as files have them: ids, and the names of certificate files.

What it is: what was written, and reading the files it names. What it is not: deciding about a root
(`tuf.trustanchors`).

Rule: a file that cannot be read is an error when its pins are wanted. Leaving it out would trust other roots
than the user chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, StorageError
from notarypy.limits import DEFAULT
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Pins:
    """Pins for the roots of some repositories; one of them suffices for a root key.

    Attributes:
        ids: Full ids of root keys.
        certificates: PEM files, each with a root certificate.
        ca: A PEM file with authorities, or None.
        source: Where this is written, for people.
    """

    ids: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = ()
    ca: Path | None = None
    source: str = ""

    def __bool__(self) -> bool:
        """Tell whether anything is pinned."""
        return bool(self.ids or self.certificates or self.ca)

    def read(self, path: Path) -> bytes:
        """Return what one of the files holds; raise ConfigurationError."""
        try:
            return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
        except FileNotFoundError as error:
            raise self.unusable(path, "there is no such file") from error
        except StorageError as error:
            raise self.unusable(path, *error.why) from error

    def unusable(self, path: Path, *why: str) -> ConfigurationError:
        """Return the error for a file that holds no certificates, or cannot be read."""
        return ConfigurationError(
            f"no root can be pinned by {path}",
            why=(*why, f"it is named by {self.source}"),
            advice=Advice("name-certificates"),
            path=str(path),
        )


def by_gun(gun: str, ids: Mapping[str, tuple[str, ...]], authorities: Mapping[str, Path]) -> Pins | None:
    """Return the pins of Go notary's configuration: ids by GUN or beginning and `*`, files by beginning."""
    patterns = [key for key in ids if key.endswith("*") and _begins(gun, key[:-1])]
    exact = [key for key in ids if roles.comparable(key) == roles.comparable(gun)]
    exact.sort(key=lambda key: key != gun)
    for key in (*exact, *sorted(patterns, key=_length, reverse=True)):
        if ids.get(key):
            return Pins(ids[key], source=f'trust_pinning.certs."{key}"')
    prefixes = [prefix for prefix in authorities if _begins(gun, prefix)]
    if not prefixes:
        return None
    prefix = max(prefixes, key=_length)
    return Pins(ca=authorities[prefix], source=f'trust_pinning.ca."{prefix}"')


def _length(prefix: str) -> int:
    """Return how much a prefix says, whatever its spelling."""
    return len(roles.comparable(prefix))


def _begins(gun: str, prefix: str) -> bool:
    """Tell whether a repository begins so, in any spelling of its registry: a pin must not be evaded."""
    spelled = roles.comparable(prefix)
    if "/" not in prefix and spelled != prefix.lower():
        spelled += "/"  # only a whole registry has another spelling: its name ends here
    return gun.startswith(prefix) or f"{roles.comparable(gun)}/".startswith((prefix, spelled))
