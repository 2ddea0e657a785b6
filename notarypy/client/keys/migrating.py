"""What Notary before 0.4 left in a trust directory: its key folders, and certificates of roots.

What it is: the use case behind `key migrate`. What it is not: moving key files (`keys.oldlayout`), or what
certificates of roots mean for whoever reads a repository (`client.metadata.roots`).

Rules:

1. Nobody who makes, moves, backs up or restores keys is at it meanwhile; a look alone waits for nobody.
2. A certificate of a root goes into the backup once the root itself is cached, as do files beside them that
   are none. Until then it stays: it is all that says which root the repository has.
3. What stays where it is, is said, each with its reason.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.metadata.roots import of_known_root
from notarypy.errors import InvalidNameError, NotarypyError
from notarypy.keys import oldlayout
from notarypy.keys.keypaths import LOCK
from notarypy.storage import trustfolders
from notarypy.tuf.keys import public_key_of
from notarypy.tuf.trustanchors import certificate_sha256
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from notarypy.keys.oldlayout import MigratedKey
    from notarypy.storage.trustdir import TrustDirectory

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownRoot:
    """A repository of which no root is cached, and the certificates that its root must have one of.

    Attributes:
        repository: The repository.
        root_pins: Canonical ids of the certificates' keys, as `--root` takes them.
        certificates: The SHA-256 of each.
        path: The folder of their files.
    """

    repository: str
    root_pins: tuple[str, ...]
    certificates: tuple[str, ...]
    path: Path


@dataclass(frozen=True)
class MigratedKeys:
    """What became of old folders.

    Attributes:
        keys: Keys that were in an old layout, each file for itself.
        others: What else went into the backup.
        misnamed: Those of `others` that hold a key under a name that is none of a key.
        backup: The folder with the old files; None if there were none, or with `dry_run`.
        known_roots: Roots that certificates say something of, which stay where they are.
        left: What stays where it is, and why.
        dry_run: Whether nothing was moved.
    """

    keys: tuple[MigratedKey, ...]
    others: tuple[Path, ...]
    misnamed: tuple[Path, ...]
    backup: Path | None
    known_roots: tuple[KnownRoot, ...]
    left: tuple[NotarypyError, ...]
    dry_run: bool


def migrate(
    directory: TrustDirectory, now: Callable[[], datetime], timeout: float, *, dry_run: bool
) -> MigratedKeys:
    """Move keys out of the folders of old releases; see `Client.keys`."""
    found = _Old(directory)
    if not found or dry_run:
        return found.result(None, dry_run=dry_run)
    with files.locked(directory.private / LOCK, timeout):
        found = _Old(directory)  # somebody may have moved them meanwhile
        return found.result(found.move(now()), dry_run=False)


class _Old:
    """All that old releases left."""

    def __init__(self, directory: TrustDirectory) -> None:
        self._directory, self.keys = directory, oldlayout.OldLayout(directory.private)
        self.left, self._moving, self._known = list(self.keys.left), list[Path](), list[KnownRoot]()
        kept: dict[str, list[Path]] = {}
        for path, gun in trustfolders.certificate_files(directory.path):
            if path.suffix == trustfolders.CERTIFICATE and self._counts(gun):
                kept.setdefault(gun, []).append(path)
            else:
                self._moving.append(path)
        for gun, paths in kept.items():
            try:
                self._known.append(_known(gun, paths))
            except NotarypyError as error:
                self.left.append(error)

    def __bool__(self) -> bool:
        return bool(self.keys or self._moving)

    def _counts(self, gun: str) -> bool:
        """Tell whether certificates of a repository are all that says which root it has (rule 2)."""
        try:
            return self._directory.repository(gun).load_root() is None
        except InvalidNameError:
            return False
        except NotarypyError:  # the cached root cannot be read
            return True

    def move(self, moment: datetime) -> Path | None:
        """Move it; return the backup, the one with keys if there are two."""
        of_keys = self.keys.move(moment)
        if not self._moving:
            return of_keys
        top = self._directory.path
        backup = of_keys if of_keys and of_keys.parent == top else oldlayout.new_backup(top, moment)
        with oldlayout.named_backup(of_keys or backup), oldlayout.named_backup(backup):
            self._move_into(backup, top)
        for folder in _emptied(self._moving, top):
            with suppress(OSError):
                folder.rmdir()
        return of_keys or backup

    def _move_into(self, backup: Path, top: Path) -> None:
        for path in self._moving:
            target = backup / path.relative_to(top)
            files.make_private_directory(target.parent, below=backup)
            files.move(path, target)
            _LOG.debug("moved %s to %s", path, target)

    def result(self, backup: Path | None, *, dry_run: bool) -> MigratedKeys:
        return MigratedKeys(
            keys=self.keys.keys,
            others=(*self.keys.others, *self._moving),
            misnamed=self.keys.misnamed,
            backup=backup,
            known_roots=tuple(self._known),
            left=tuple(self.left),
            dry_run=dry_run,
        )


def _emptied(paths: list[Path], top: Path) -> Iterator[Path]:
    """Yield the folders of files that were moved, the innermost first."""
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(top)} - {top}
    yield from sorted(folders, key=lambda folder: len(folder.parts), reverse=True)


def _known(gun: str, paths: list[Path]) -> KnownRoot:
    leaves = [of_known_root(path)[0] for path in paths]
    pins = dict.fromkeys(public_key_of(leaf).keyid for leaf in leaves)
    prints = dict.fromkeys(map(certificate_sha256, leaves))
    return KnownRoot(gun, tuple(pins), tuple(prints), paths[0].parent)
