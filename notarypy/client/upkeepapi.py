"""What an owner does now and then, and trust archives: what `Client.upkeep` and `Client.archives` offer.

What it is: a door for each use case, as in `client.api`. What it is not: logic. To read an archive in place
of a Notary server make a client of it: `Client.from_environment(archive="trust.tar")`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.client.backup.contents import Backup
from notarypy.client.parameters import Progress, require_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.archive.trustdata import Exported, ImportedRepository
    from notarypy.client.backup.contents import BackupContents
    from notarypy.client.backup.making import CheckedBackup
    from notarypy.client.backup.restoring import Restored
    from notarypy.client.findings import Examined
    from notarypy.client.publish.deleting import DeletedRepository
    from notarypy.client.publish.republishing import Republished
    from notarypy.client.publish.republishplan import Agree
    from notarypy.client.session import Session
    from notarypy.errors import NotarypyError
    from notarypy.storage.images.trustarchive import TrustArchive


class Upkeep:
    """Repositories and trust directories over the years."""

    def __init__(self, session: Session) -> None:
        """Work with a client's session."""
        self._session = session

    def republish(self, repository: str, *, over: bool = False, agree: Agree | None = None) -> Republished:
        """Give the Notary server what is known here and it lost: it was wiped, or is an old backup's.

        What is sent was verified before, and is sent as it is; what has ended is signed again where its keys
        are. Where the server lost its keys too, a next root names its new ones, which takes the root key.
        What the server has and is not known here is lost only with `over`. For both, `agree` is asked.

        Raises:
            NothingThereError: Nothing of the repository is known here.
            RootChangedError: The server has another root, which nothing links to the one here.
            RollbackError: The server would lose something, or has another file of a version.
            ConfirmationNeededError: Nobody agrees.
            KeyNotAuthorisedError: The root key is needed and is not here.
            RefusedUpdateError: The server refuses what has ended, and whatever else it does not take.
        """
        from notarypy.client.publish.republishing import republish

        return republish(self._session, repository, agree, over=over)

    def delete(
        self, repository: str, *, confirm: str | None = None, forget: bool = False, staged: bool = False
    ) -> DeletedRepository:
        """Delete the trust data of a repository at its Notary server, for everybody.

        `confirm` is its name in full, once more; with a star behind it, where a server takes all that begins
        so. Keys stay; with `forget` what is cached here is dropped after that, as `Client.forget` does, and
        with `staged` also what is staged.

        Raises:
            ConfirmationNeededError: `confirm` does not say so; nothing was done, and it says what is there.
            UnconfirmedPublishError: The server still has it.
            UnknownOutcomeError: Whether it has could not be asked.
        """
        from notarypy.client.publish.deleting import delete

        return delete(self._session, repository, confirm, forget_too=forget, staged=staged)

    def forget(self, repository: str) -> bool:
        """Drop what is staged of a repository and then, as `Client.forget` does, what is cached.

        Tells whether there was anything. StorageError: what comes after is as it was.
        """
        from notarypy.client.publish.deleting import forget_with_staged

        return forget_with_staged(self._session, repository)

    def doctor(
        self, repositories: Sequence[str] = (), *, problems: Sequence[NotarypyError] = ()
    ) -> tuple[Examined, ...]:
        """Look for what is wrong: this machine first, then servers and repositories; changes nothing.

        Without names these are the repositories that are known here. `problems` are those of settings that
        were left out to have a client at all; they become findings.
        """
        from notarypy.client.doctor.examination import examine

        require_lists(repositories=repositories)
        return examine(self._session, repositories, problems)

    def backup(
        self, path: Path | str, *, failed: Callable[[str, NotarypyError], object] | None = None
    ) -> BackupContents:
        """Write keys, references, roots, metadata and settings into a new file, and read it back.

        Keys are in it as they are here, encrypted; no passphrase is asked for. What cannot be read is given
        to `failed`, and left out; without that it is raised, and nothing is written.

        Raises AlreadyExistsError: there is a file of this name. NothingThereError: there is nothing to back
        up.
        """
        from notarypy.client.backup.making import back_up

        return back_up(self._session, Path(path), failed or _raised)

    def read_backup(self, path: Path | str) -> BackupContents:
        """Return what is in a backup, every byte of which is as it was written (BackupUnusableError)."""
        with Backup(Path(path).absolute(), self._session.limits) as backup:
            return backup.contents

    def backed_up_key(self, path: Path | str, key: str) -> tuple[str, bytes]:
        """Return the id of a key in a backup, and its encrypted PEM block, in the form of `Keys.export`.

        `key` is a KEY. KeyMissingError: none in it is meant, or several; or it is elsewhere.
        """
        with Backup(Path(path).absolute(), self._session.limits) as backup:
            return backup.exported(key)

    def check_backup(self, path: Path | str) -> CheckedBackup:
        """Put a backup back into a temporary directory, and unlock each key there; say what fails.

        Keys that are elsewhere are not asked. BackupUnusableError: not one byte of it is used.
        """
        from notarypy.client.backup.making import check

        return check(self._session, Path(path))

    def restore(
        self,
        path: Path | str,
        *,
        dry_run: bool = False,
        keys_only: bool = False,
        settings: bool = True,
        sha256: str | None = None,
    ) -> Restored:
        """Put back what is in a backup and not here, all or nothing; nothing that is here is replaced.

        With `keys_only` no roots and no settings, without `settings` no configuration and no trust policy.
        `sha256` is what the file's SHA-256 must be.

        Raises BackupUnusableError: not one byte of it is used. AlreadyExistsError: another root or other
        settings are here.
        """
        from notarypy.client.backup.restoring import RestoreOptions, restore

        return restore(self._session, Path(path), RestoreOptions(dry_run, keys_only, settings, sha256))


class Archives:
    """Trust data of repositories in one file, for where there is no network, or no server any more."""

    def __init__(self, session: Session) -> None:
        """Write and read archives with a client's session."""
        self._session = session

    def export(
        self,
        references: Sequence[str],
        path: Path | str,
        *,
        images: bool = False,
        root: str | None = None,
        failed: Callable[[str, NotarypyError], object] | None = None,
        progress: Progress | None = None,
        steps: Progress | None = None,
    ) -> Exported:
        """Refresh and verify repositories, and write what is verified into a new archive.

        With `images` their signed images are in it too, as an OCI layout: all of a `REPO`, or the one of a
        `REPO:TAG`. `root` is a pin that all must meet. What fails for a repository or an image is given to
        `failed`, and left out; without that it is raised, and nothing was written. `steps` is given how many
        repositories are read, `progress` how much of the images is there.

        Raises AlreadyExistsError: there is a file of this name. NothingThereError: all has failed.
        """
        from notarypy.client.archive.trustdata import ExportOptions, export

        require_lists(references=references)
        options, progress = ExportOptions(images, root), progress or self._session.progress
        failed = failed or _raised
        return export(self._session, references, path, options, failed=failed, progress=progress, steps=steps)

    def open(self, path: Path | str) -> TrustArchive:
        """Return an archive: which repositories it says it has, and when it was made.

        Raises MetadataError: it is no trust archive.
        """
        return self._session.archive(Path(path).absolute())

    def import_repository(
        self, path: Path | str, repository: str, *, root: str | None = None
    ) -> ImportedRepository:
        """Verify a repository of an archive as if its server answered, and store it in the trust directory.

        `root` is a pin that it must meet. TrustError: it cannot be verified, is out of date (ExpiredError),
        or older than what is here (RollbackError); nothing was stored.
        """
        from notarypy.client.archive.trustdata import import_repository

        return import_repository(self._session, Path(path).absolute(), repository, root)


def _raised(_: str, error: NotarypyError) -> None:
    raise error
