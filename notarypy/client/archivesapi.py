"""Trust archives: what `Client.archives` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic. To read an archive in place
of a Notary server make a client of it: `Client.from_environment(archive="trust.tar")`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.client.parameters import Progress, require_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.archive.trustdata import Exported, ImportedRepository
    from notarypy.client.session import Session
    from notarypy.errors import NotarypyError
    from notarypy.storage.images.trustarchive import TrustArchive


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

        def raised(_: str, error: NotarypyError) -> None:
            raise error

        require_lists(references=references)
        options, progress = ExportOptions(images, root), progress or self._session.progress
        failed = failed or raised
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
