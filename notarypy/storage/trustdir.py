"""The trust directory: cached metadata per repository, in the layout of docker and Go notary.

What it is: bytes of metadata in and out of `tuf/<gun>/metadata`, in a way that the Go tools can read and
write the same directory. What it is not: it verifies nothing and holds no keys (`keys.keystore`).

Rules:

1. A GUN or role is checked before a path is made of it. The directory itself may be reached through symbolic
   links; below it, links in place of directories are refused.
2. The cached root is the anchor of trust. If it exists but cannot be read, that is an error: going on as if
   there were none would trust whatever comes next.
3. Any other cached file may be lost: `load` says None, and `warnings` says why.
4. What can be stored can be loaded: a file over the limit of its role is never written, so that an oversized
   file cannot take the rollback floor away.
5. Files are written in the order root, snapshot, targets, delegations, timestamp, so that a crash between two
   leaves a cache that the next refresh can use. What a killed process had begun to write, the next one
   removes.
6. A staged changelist (`changelist`) is only counted here. GUNs nest (`a` and `a/metadata` may both
   exist): nothing is removed recursively.
7. Delegations below `targets/metadata` are never cached: their files would lie where the repository
   `<gun>/metadata/targets` has its own, the root among them.
8. A repository that nobody can look into is listed, and whoever looks at it gets the error: one that is not
   listed would look like one that was never known.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from notarypy import files, system
from notarypy.errors import (
    Advice,
    CacheDamagedError,
    InvalidNameError,
    MetadataError,
    NotarypyError,
    StorageError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.storage import trustfolders
from notarypy.tuf import canonical, roles

_LOG = logging.getLogger(__name__)
_OTHERS_MAY_WRITE = 0o022
CHANGELIST = "changelist"


class TrustDirectory:
    """A trust directory, which need not exist yet."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Take the directory's path; nothing is read or made."""
        # A relative path must not change its meaning when the process changes its directory.
        self.path, self.limits = path.absolute(), limits

    @property
    def private(self) -> Path:
        """Where the private keys are."""
        return self.path / "private"

    def repository(self, gun: str) -> RepositoryCache:
        """Return the cache of one repository; raise InvalidNameError for a GUN that is no safe path."""
        return RepositoryCache(self.path, gun, self.limits)

    def guns(self) -> list[str]:
        """Return the repositories of which something is cached, sorted (rule 8).

        Raises StorageError where nobody can tell which there are.
        """
        base = self.path / "tuf"
        files.refuse_links(base, self.path)
        found = []
        for directory in set(trustfolders.homes(base)):
            with suppress(InvalidNameError):  # a directory of something else
                found.append(roles.check_gun(system.named_by(directory.relative_to(base).as_posix())))
        return sorted(found)

    def check(self) -> list[str]:
        """Check who may change this directory, and return warnings; raise StorageError if another owns it.

        Root may use anybody's, with a warning: containers often run as root on a mounted volume.
        """
        files.require_home(self.path)
        if (user := system.user()) is None:
            return []
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot use {self.path}", why=str(error), path=str(self.path)) from error
        warnings = []
        if status.st_mode & _OTHERS_MAY_WRITE:
            warnings.append(f"other users may write to {self.path} (mode {status.st_mode & 0o777:o})")
        if status.st_uid not in {user, 0}:
            if user != 0:
                message = f"{self.path} belongs to another user"
                why, advice = "its owner decides which keys it trusts", Advice("choose-trust-dir")
                raise StorageError(message, why=why, advice=advice, path=str(self.path))
            warnings.append(f"{self.path} belongs to user {status.st_uid}")
        return warnings


class RepositoryCache:
    """The cached metadata of one repository.

    Attributes:
        gun: The repository.
        directory: Where its metadata is, `<trust dir>/tuf/<gun>/metadata`.
        warnings: What could not be read, in words; grows with each `load`.
        lasting: Whether the trusted root stays here for the next run, as far as it could be written.
    """

    lasting = True

    def __init__(self, base: Path, gun: str, limits: Limits = DEFAULT) -> None:
        """Take the trust directory and the GUN; nothing is read or made."""
        self.gun = roles.check_gun(gun)
        if problem := system.name_problem(gun):
            raise InvalidNameError(f'"{gun}" cannot be a repository name here', why=problem, gun=gun)
        self._base, self._limits = base, limits
        self._home = base / "tuf" / system.folder_name(gun)
        self.directory = self._home / "metadata"
        self.warnings: list[str] = []

    def unwritten(self) -> UnwrittenCache:
        """Return the same to be looked at, and not to be written."""
        return UnwrittenCache(self._base, self.gun, self._limits)

    def afresh(self) -> RepositoryCache | None:
        """Return the same as if nothing were known, where another root may replace the cached one."""
        return None

    def load(self, role: str) -> bytes | None:
        """Return the cached bytes of a role, or None when there are none that can be read (rules 2 and 3)."""
        if role == roles.ROOT:
            return self.load_root()
        path = self._checked_path(role)
        try:
            return None if _in_another_cache(role) else files.read_regular(path, self._most(role))
        except FileNotFoundError:
            return None
        except StorageError as error:
            self.warnings.append("; ".join((error.message, *error.why)))
            return None

    def size(self, role: str) -> int:
        """Return how many bytes the cached file of a role has, 0 if there is none."""
        try:
            return self._path(role).lstat().st_size
        except OSError:
            return 0

    def load_root(self) -> bytes | None:
        """Return the cached root, or None when there is none; raise CacheDamagedError (rule 2)."""
        path = self._checked_path(roles.ROOT)
        try:
            data = files.read_regular(path, self._limits.root_bytes)
            canonical.decode(data, "the cached root", self._limits)
        except FileNotFoundError:
            return None
        except (StorageError, MetadataError) as error:
            raise self._damaged(error) from error
        return data

    def _damaged(self, error: NotarypyError) -> CacheDamagedError:
        path = self._path(roles.ROOT)
        return CacheDamagedError(
            f"the trusted root of {self.gun} cannot be read",
            why=(f"the file is {path}", error.message, *error.why),
            advice=error.advice or Advice("restore-or-forget", gun=self.gun),
            gun=self.gun,
            path=str(path),
        )

    def store(self, metadata: Mapping[str, bytes]) -> None:
        """Write the files of these roles, each as a whole (rules 4, 5 and 7); the caller holds `lock`.

        Raises StorageError: with nothing written if a file is over its limit, else with the files before
        the one that failed.
        """
        for role, data in metadata.items():
            most = self._most(roles.check_role(role))
            if len(data) > most:
                why = f"it has {len(data)} bytes, more than {most}"
                raise StorageError(f"cannot store {role} of {self.gun}", why=why)
        files.make_private_directory(self.directory, below=self._base)
        tidy: set[Path] = set()
        for role in sorted((role for role in metadata if not _in_another_cache(role)), key=_order):
            path = self._path(role)
            if path.parent not in tidy:
                files.make_private_directory(path.parent, below=self._base)
                _remove_left_behind(path.parent)
                tidy.add(path.parent)
            data = metadata[role]
            with suppress(FileNotFoundError, StorageError):
                if files.read_regular(path, len(data)) == data:
                    continue  # a write through to the disk costs milliseconds
            files.write_atomic(path, data)
            _LOG.debug("wrote %s of %s, %d bytes", role, self.gun, len(data))

    def remember(self, metadata: Mapping[str, bytes], error: StorageError) -> None:
        """Take files that were verified and cannot be stored; one run of a program has no use for them."""

    def confirm(self, moment: datetime | None) -> None:
        """Note when the server last called the cached timestamp its current one: the file's own date.

        None: nobody can tell, which is the beginning of all dates.
        """
        seconds = moment.timestamp() if moment else 0
        with suppress(OSError):  # what cannot be written keeps the older date, which promises less
            system.set_date(self._checked_path(roles.TIMESTAMP), seconds)

    def confirmed(self) -> datetime | None:
        """Return when the cached timestamp was last known to be current; None where nobody can tell."""
        try:
            status = self._checked_path(roles.TIMESTAMP).lstat()
            return datetime.fromtimestamp(status.st_mtime, UTC) if status.st_mtime else None
        except (OSError, OverflowError, ValueError):
            return None

    def lock(self, timeout: float, purpose: str = "cache") -> AbstractContextManager[None]:
        """Return a context that keeps others of the same purpose out; see `files.locked`."""
        files.make_private_directory(self._home, below=self._base)
        place = self._home / f".notarypy-{purpose}.lock"
        if self._home.name.lower() == CHANGELIST:  # another repository's: to Go, files there are its changes
            from hashlib import sha256  # its 4 MiB are a fifth of what listing keys takes

            digest = sha256(self.gun.encode()).hexdigest()
            place = self._base / "tuf" / f".notarypy-{purpose}-{digest}.lock"
        return files.locked(place, timeout)

    def drop(self, stale: Iterable[str]) -> None:
        """Remove the cached files of these roles; raise StorageError if one cannot be removed."""
        for role in stale:
            files.remove(self._checked_path(role))

    def forget(self) -> None:
        """Remove the cached metadata of this repository and nothing else; raise StorageError."""
        files.refuse_links(self.directory, self._base)
        paths = [self._path(role) for role in (roles.TIMESTAMP, roles.TARGETS, roles.SNAPSHOT)]
        folders = list(self._role_directories())
        for folder in folders:
            paths += folder.glob("*.json")
            _remove_left_behind(folder)
        _remove_left_behind(self.directory)
        for path in (*paths, self._path(roles.ROOT)):  # a half-forgotten repository still has its anchor
            files.remove(path)
        for folder in (*reversed(folders), self.directory):
            with suppress(OSError):  # something else is in it
                folder.rmdir()
        _LOG.debug("removed the cached metadata of %s", self.gun)

    def cached(self) -> list[str]:
        """Return the roles that have a cached file, readable or not.

        Raises CacheDamagedError where nobody can tell, as a root may be there (rule 2).
        """
        files.refuse_links(self.directory, self._base)
        try:
            folders = list(self._role_directories())
        except StorageError as error:
            raise self._damaged(error) from error
        found = [role for role in roles.BASE_ROLES if os.path.lexists(self._path(role))]
        for folder in folders:
            names = (path.relative_to(self.directory).with_suffix("") for path in folder.glob("*.json"))
            found += [name.as_posix() for name in names if roles.is_delegation(name.as_posix())]
        return sorted(role for role in found if not _in_another_cache(role))

    def certificates(self) -> list[Path]:
        """Return the certificates of roots that Notary 0.1 trusted here; raise StorageError."""
        return trustfolders.certificates(self._base, self.gun)

    def staged(self) -> int:
        """Return how many changes are staged here for a publish."""
        try:
            entries = list(os.scandir(self._home / CHANGELIST))
        except OSError:
            return 0
        return sum(entry.name.endswith(".change") and entry.is_file() for entry in entries)

    def _path(self, role: str) -> Path:
        return self.directory / f"{roles.check_role(role)}.json"

    def _checked_path(self, role: str) -> Path:
        path = self._path(role)
        files.refuse_links(path.parent, self._base)
        return path

    def _most(self, role: str) -> int:
        of_role = {roles.ROOT: self._limits.root_bytes, roles.TIMESTAMP: self._limits.timestamp_bytes}
        return of_role.get(role, self._limits.cached_bytes)

    def _role_directories(self) -> Iterator[Path]:
        top = self.directory / "targets"
        if os.path.islink(top):  # noqa: PTH114 - the other one raises where nobody may look
            return
        for directory in trustfolders.directories(top):
            inner = directory.relative_to(top).parts
            nested = [top.joinpath(*inner[: end + 1]) for end, name in enumerate(inner) if name == "metadata"]
            if not any(os.path.lexists(folder / "root.json") for folder in nested):
                yield directory


class UnwrittenCache(RepositoryCache):
    """What is cached of a repository, for whoever looks at it and leaves it as it is."""

    lasting = False

    def store(self, metadata: Mapping[str, bytes]) -> None:
        """Write nothing."""

    def remember(self, metadata: Mapping[str, bytes], error: StorageError) -> None:
        """Take nothing."""

    def confirm(self, moment: datetime | None) -> None:
        """Write nothing."""

    def drop(self, stale: Iterable[str]) -> None:
        """Remove nothing."""

    def lock(self, timeout: float, purpose: str = "cache") -> AbstractContextManager[None]:  # noqa: ARG002 - as above
        """Lock nothing: nothing is written."""
        return nullcontext()


def _in_another_cache(role: str) -> bool:
    """Tell whether a role's file would lie in the cache of another repository (rule 7)."""
    return "metadata" in roles.parent(role).split("/")


def _order(role: str) -> tuple[int, str]:
    """Sort key of rule 5; roles that it does not name are delegations."""
    named = (roles.ROOT, roles.SNAPSHOT, roles.TARGETS, "", roles.TIMESTAMP)
    return named.index(role if role in named else ""), role


def _remove_left_behind(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote; the caller holds their lock."""
    for path in folder.glob(files.UNFINISHED):
        files.remove(path)
