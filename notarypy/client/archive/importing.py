"""Take trust data out of an archive into the trust directory, where no server can be asked.

What it is: the use case behind `import`. What it is not: another way to trust something; an archive is
refreshed from as a server is (`client.archived`), with all that a refresh refuses.

Rules:

1. Pins, the trust policy, and the decision on first use count as for whoever looks at a repository.
2. What is in the trust directory is never replaced by something older, nor its root by one that no chain
   leads to.
3. Whoever imports wants it stored: what could not be is an error here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import file_ends, root_end
from notarypy.client.metadata.refresh import refresh
from notarypy.errors import Advice, StorageError, UsageError
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from notarypy.client.session import Session


@dataclass(frozen=True)
class ImportedRepository:
    """A repository from an archive that is in the trust directory, until its metadata `ends`.

    The archive says when it was `exported`, and from which `server`. It is `changed` if it was not here like
    that.
    """

    repository: str
    exported: datetime
    server: str
    ends: datetime
    root_pins: tuple[str, ...]
    changed: bool


def import_repository(session: Session, path: Path, gun: str, root: str | None) -> ImportedRepository:
    """Verify a repository of an archive, and store it; see `Client.archives`."""
    if session.gun(gun, whole=True)[0] != gun:
        message, advice = f'"{gun}" is no image\'s name', Advice("import-literally", gun=gun)
        raise UsageError(message, advice=advice)
    repository = session.repository(gun, root, session.scope_of_roots(gun), archive=path)
    cache = repository.cache
    before = cache.load(roles.TIMESTAMP)
    trusted = refresh(repository)
    timestamp, after = trusted.files[roles.TIMESTAMP], cache.load(roles.TIMESTAMP)
    if after != timestamp and after in {None, before}:
        why = f"it is in {cache.directory}"
        raise StorageError(f"{gun} was not stored", why=why, path=str(cache.directory))
    ends = {**file_ends(trusted), roles.ROOT: root_end(trusted)}
    return ImportedRepository(
        repository=gun,
        exported=session.archive(path).exported,
        server=session.archive(path).repositories[gun].server,
        ends=min(ends[role] for role in roles.BASE_ROLES),
        root_pins=trusted.root.pins,
        changed=before != timestamp,
    )
