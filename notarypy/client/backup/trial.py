"""It is tried whether a backup could be put back and used.

What it is: the use case behind `backup --check`. What it is not: a reason to trust what is in it.

Rules:

1. All of it is put back into a private temporary directory, as `restoring` does it; nothing else is written.
2. Each root is verified by its own keys, and each key is unlocked, with the passphrases of the user.
3. A key that is elsewhere is not asked: only where it is, is in the backup.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.client.backup.contents import Backup, BackupContents, trusting
from notarypy.client.backup.restoring import write
from notarypy.errors import NotarypyError
from notarypy.keys.keystore import KeyStore
from notarypy.storage.trustdir import TrustDirectory
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.client.session import Session


@dataclass(frozen=True)
class CheckedBackup:
    """A backup that was tried: what is in it, and what fails, by key id and repository."""

    contents: BackupContents
    failures: Mapping[str, NotarypyError]


def check(session: Session, path: Path) -> CheckedBackup:
    """Put a backup back into a temporary directory, and unlock each key there (rules 1 to 3)."""
    failures: dict[str, NotarypyError] = {}
    with Backup(path.absolute(), session.limits) as backup, tempfile.TemporaryDirectory() as folder:
        there, contents = TrustDirectory(Path(folder) / "trust", session.limits), backup.contents
        guns = [each.repository for each in contents.repositories]
        write(there, backup, contents.keys, guns, [])
        for gun in guns:
            try:
                trusting(gun, there.repository(gun).load_root() or b"", session.limits)
            except NotarypyError as error:
                failures[gun] = error
        store = KeyStore(there.private, environ=session.settings.environ, offline=True)
        for key in contents.keys:
            if key.uri is None:
                try:
                    store.unlock(key.keyid, session.keys().passphrases)
                except NotarypyError as error:
                    failures[key.keyid] = said = error.saying()
                    said.why = tuple(each for each in error.why if folder not in each)  # it is gone by then
                    said.facts = {name: each for name, each in error.facts.items() if folder not in str(each)}
    return CheckedBackup(contents, failures)
