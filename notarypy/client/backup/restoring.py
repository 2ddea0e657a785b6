"""A backup is put back.

What it is: the use case behind `restore`. What it is not: a way to replace anything.

Rules:

1. All is decided before anything is written. A key that is here stays as it is, maybe with another
   passphrase; so does a repository whose root here is that of the backup, or linked to it by its keys.
   Another root, one that nobody can read, and other settings, are a refusal of the whole.
2. Nothing here is written over. A key file that nobody can read is moved aside. Where a killed `restore` left
   a repository unfinished, no file gives way to one of a lower version, which was a floor.
3. What fails on the way takes back what was written. A trust directory that did not exist appears as a whole,
   after the settings; it is made beside its place under a name that nobody can have prepared. One that did
   exist gets file by file, each whole: after a crash the next `restore` goes on.
4. What settings name elsewhere is not put back, and what is written lies below the trust directory and the
   folder of the settings.
5. A configuration that names another trust directory than the one that keys are put into would hide them. On
   an empty machine that directory is the one.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.client.backup.contents import (
    Backup,
    BackupContents,
    read_note,
    root_of,
    trusting,
    version_of,
    write_note,
)
from notarypy.client.metadata.repository import LOCK_SECONDS
from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    BackupUnusableError,
    KeyAccessError,
    NotarypyError,
    StorageError,
    TrustError,
    UsageError,
)
from notarypy.keys.keypaths import key_paths
from notarypy.keys.keystore import KeyStore
from notarypy.limits import DEFAULT
from notarypy.storage.settings import configfile
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.backup.contents import BackedUpKey
    from notarypy.client.session import Session
    from notarypy.storage.trustdir import RepositoryCache

    Undo = list[Callable[[], object]]

_LOG = logging.getLogger(__name__)
_LOCK, _STAGE = ".notarypy-restore.lock", ".notarypy-restore-"


@dataclass(frozen=True)
class RestoreOptions:
    """What of a backup is put back, and whether at all.

    Attributes:
        dry_run: Only to decide, and to write nothing.
        keys_only: Only keys and references; no roots and no settings.
        settings: Whether the configuration and the trust policy too.
        sha256: What the SHA-256 of the file must be, None if nobody knows.
    """

    dry_run: bool = False
    keys_only: bool = False
    settings: bool = True
    sha256: str | None = None


@dataclass(frozen=True)
class Restored:
    """A backup that was put back, or would be.

    Attributes:
        contents: What is in it.
        trust_dir: Where keys and repositories are put.
        settings_dir: The folder of the settings.
        written: Ids of keys, repositories, and paths of settings that are put back.
        kept: Those that are here already, and what of them is here.
        dry_run: Whether nothing was written.
    """

    contents: BackupContents
    trust_dir: str
    settings_dir: str
    written: tuple[str, ...]
    kept: Mapping[str, str]
    dry_run: bool


def restore(session: Session, path: Path, options: RestoreOptions) -> Restored:
    """Put a backup back (rules 1 to 5); see `Client.upkeep`."""
    with Backup(path.absolute(), session.limits) as backup, ExitStack() as locks:
        if options.sha256 not in {None, backup.contents.sha256}:
            why = (f"its SHA-256 is {backup.contents.sha256}", f"it should be {options.sha256}")
            message = f"{path} is another file than the one that is meant"
            raise BackupUnusableError(message, why=why, advice=Advice("take-other-backup"))
        directory = _meant(session, backup, options)
        present = os.path.lexists(directory.path)
        if present and not options.dry_run:
            locks.enter_context(files.locked(directory.path / _LOCK, 0))
            locks.enter_context(session.keys().new_keys(session.settings.timeout))
        plan = _Plan(session, directory, backup, options)
        if plan.refused:
            message = "this backup is not put back beside what is here, and nothing was changed"
            raise AlreadyExistsError(message, why=tuple(plan.refused), advice=plan.advice, file=str(path))
        if not options.dry_run:
            plan.carry_out(present=present)
        return Restored(
            contents=backup.contents,
            trust_dir=str(directory.path),
            settings_dir="" if plan.folder is None else str(plan.folder),
            written=(*(key.keyid for key in plan.keys), *plan.repositories, *map(str, plan.settings)),
            kept=plan.kept,
            dry_run=options.dry_run,
        )


class _Plan:
    """What is to be written (rule 1).

    Attributes:
        keys: Keys that are not here.
        repositories: Repositories whose root is not here.
        settings: Files of settings that are not here, by path.
        kept: What is here already, and what is said of it.
        refused: Why nothing of it can be put back, and `advice` on that.
        folder: That of the settings; None where a program has none.
    """

    def __init__(
        self, session: Session, directory: TrustDirectory, backup: Backup, options: RestoreOptions
    ) -> None:
        self._session, self._backup, self._directory = session, backup, directory
        self.kept: dict[str, str] = {}
        self._aside: dict[Path, Path] = {}
        self.refused: list[str] = []
        self.advice: Advice | None = None
        policy = session.settings.policy
        self.folder = None if policy is None else policy.path.parent
        self.keys = [key for key in backup.contents.keys if self._wants_key(key)]
        self.repositories: list[str] = []
        self.settings: dict[Path, bytes] = {}
        if options.keys_only:
            return
        guns = [each.repository for each in backup.contents.repositories]
        self.repositories = [gun for gun in guns if self._wants_repository(gun)]
        if options.settings and self.folder is not None:
            self._require_same_trust_dir(self.folder)
            self.settings = dict(self._wanted_settings(self.folder))

    def carry_out(self, *, present: bool) -> None:
        """Write it all, or nothing (rule 3); the locks of a trust directory that is `present` are held."""
        undo: Undo = []
        try:
            for path, data in self.settings.items():
                files.make_private_directory(path.parent, below=self.folder)
                files.write_atomic(path, data, new=True)
                undo.append(path.unlink)
            if present:
                self._write(self._directory, undo)
            else:
                self._write_as_a_whole()
        except BaseException as error:
            for step in reversed(undo):
                with suppress(OSError, NotarypyError):  # what went wrong before is what matters
                    step()
            if isinstance(error, OSError):
                raise files.failure("restore into", self._directory.path, error) from error
            raise
        _LOG.debug("put %s back into %s", self._backup.contents.path, self._directory.path)

    def _write(self, directory: TrustDirectory, undo: Undo) -> None:
        for place, aside in self._aside.items():
            undo.append(partial(aside.replace, place))
            place.rename(aside)
        write(directory, self._backup, self.keys, self.repositories, undo)
        if read_note(directory.path) is None:
            write_note(directory.path, self._backup.contents.note)

    def _write_as_a_whole(self) -> None:
        """Make the trust directory beside its place, and move it there (rule 3)."""
        path = self._directory.path
        files.make_private_directory(path.parent)
        for left in path.parent.glob(f"{_STAGE}*"):
            self._session.warn(f"{left} is of a restore that is at work, or was killed: then remove it")
        stage = path.parent / f"{_STAGE}{os.urandom(8).hex()}"
        try:
            stage.mkdir(mode=0o700)
            self._write(TrustDirectory(stage, self._session.limits), [])
            files.move(stage, path)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise

    def _wants_key(self, key: BackedUpKey) -> bool:
        store = KeyStore(self._directory.private)
        place = key_paths(store.directory)[0].get(key.keyid)
        if place is None or (place.refers and key.uri is None):
            return True
        try:
            info = store.find(key.keyid)
            same = files.read_regular(place.path, DEFAULT.key_file_bytes) == self._backup.key(key)
        except (KeyAccessError, StorageError):
            self.kept[key.keyid] = "here, and nobody can read it"
            if place.path == (path := store.directory / key.file):
                aside = path.with_name(f"{path.name}.damaged-{self._session.now():%Y%m%dT%H%M%SZ}")
                self._aside[path] = aside
                self.kept[key.keyid] += f": kept as {aside.name}"
            return place.path.name == key.file
        if info is not None and (info.role, info.uri) != (key.role, key.uri):
            self.kept[key.keyid] = f"here as {info.role or 'a key without a name'}, and stays so"
        else:
            self.kept[key.keyid] = "here already" if same else "here already, maybe with another passphrase"
        return False

    def _wants_repository(self, gun: str) -> bool:
        cache, said = self._directory.repository(gun), self._backup.root(gun)
        try:
            here = cache.load_root()
            root = None if here is None else trusting(gun, here, self._session.limits).root
        except TrustError:
            advice = Advice("move-root-away", path=quote(str(cache.directory / "root.json")))
            self._refuse(f"the root of {gun} that is trusted here is damaged", advice)
            return False
        if here is None or root is None or (here == said and not _is_complete(cache)):
            return True
        if here == said:
            self.kept[gun] = "here already"
        elif _linked(self._session, gun, said, here):
            self.kept[gun] = f"here with version {root.version} of its root"
        else:
            pins = " ".join(root.pins)
            self._refuse(f"another root of {gun} is trusted here: {pins}", Advice("restore-keys-only"))
        return False

    def _require_same_trust_dir(self, folder: Path) -> None:
        """Refuse to hide what is put back (rule 5)."""
        try:
            named = _named_by(self._backup, self._session, folder)
        except UsageError as error:
            self._refuse("; ".join((error.message, *error.why)), Advice("restore-without-settings"))
            return
        if named not in {None, here := self._directory.path}:
            what = f"the configuration in it names the trust directory {named}, and not {here}"
            self._refuse(what, Advice("restore-into", folder=str(named)))

    def _wanted_settings(self, folder: Path) -> Iterator[tuple[Path, bytes]]:
        for place in self._backup.contents.settings:
            path, data = folder / place, self._backup.setting(place)
            if not os.path.lexists(path):
                yield path, data
            elif _content(path) == data:
                self.kept[str(path)] = "here already"
            else:
                self._refuse(f"another {path} is here", Advice("restore-without-settings"))

    def _refuse(self, why: str, advice: Advice) -> None:
        self.refused.append(why)
        self.advice = self.advice or advice


def _named_by(backup: Backup, session: Session, folder: Path) -> Path | None:
    """Return the trust directory that the configuration in a backup will name; raise UsageError."""
    config, settings = backup.contents.config, session.settings
    if config is None or settings.environ.get("DOCKER_CONFIG"):
        return None
    home = settings.policy.home if settings.policy else folder
    named = configfile.parse(backup.setting(config), folder / config, home).trust_dir
    return None if named is None else named.absolute()


def _meant(session: Session, backup: Backup, options: RestoreOptions) -> TrustDirectory:
    """Return where keys go: as settings say, or on an empty machine as those in the backup do (rule 5)."""
    settings, named = session.settings, None
    said = "trust_dir" in settings.options or options.keys_only or not options.settings
    if settings.policy is not None and not said and not os.path.lexists(settings.trust_dir):
        with suppress(UsageError):  # the plan refuses it
            named = _named_by(backup, session, settings.policy.path.parent)
    empty = named is not None and not os.path.lexists(named)
    return TrustDirectory(named, session.limits) if named and empty else session.directory()


def write(
    directory: TrustDirectory, backup: Backup, keys: Sequence[BackedUpKey], guns: Sequence[str], undo: Undo
) -> None:
    """Write repositories, then keys, none over another, and note how to take each back."""
    for gun in guns:
        cache = directory.repository(gun)
        with cache.lock(LOCK_SECONDS):
            root = cache.load_root()
            if root is not None and (root != backup.root(gun) or _is_complete(cache)):
                message = f"{gun} has become known here meanwhile, and nothing was changed"
                raise AlreadyExistsError(message, advice=Advice("run-again-later"))
            here = {role: data for role in cache.cached() if (data := cache.load(role)) is not None}
            new = {
                role: data for role, data in backup.metadata(gun).items()
                if role not in here or version_of(here[role]) < version_of(data)  # rule 2
            }  # fmt: skip
            undo += [partial(cache.store, here), partial(cache.drop, new)] if here else [cache.forget]
            cache.store(new)
            cache.confirm(None)  # no server has said that it is current
    for key in keys:
        path = directory.private / key.file
        files.write_atomic(path, backup.key(key), new=True)
        undo.append(path.unlink)


def _is_complete(cache: RepositoryCache) -> bool:
    """Tell whether a repository has the file that is written last; if not, somebody died on the way."""
    return roles.TIMESTAMP in cache.cached()


def _linked(session: Session, gun: str, one: bytes, other: bytes) -> bool:
    """Tell whether one of two roots is a newer one that the keys of the other signed."""
    older, newer = sorted((one, other), key=lambda data: root_of(data, session.limits).version)
    try:
        trusting(gun, older, session.limits).update_root(newer)
    except TrustError:
        return False
    return True


def _content(path: Path) -> bytes | None:
    try:
        return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
    except (FileNotFoundError, StorageError):
        return None
