"""A trust archive: trust data of repositories in one tar file, maybe with an OCI image layout beside it.

What it is: where such an archive has the answers that a Notary server gave, and the list of what is in it.
What it is not: a reason to trust anything. An archive is anybody's, as a server is; who reads it verifies
(`client.metadata.refresh`).

Rules:

1. Below `notary/` are the very bytes that a server gave, under the names that it has for them:
   `v2/GUN/_trust/tuf/ROLE.json`, `VERSION.root.json` and `ROLE.SHA256.json`. A web server could serve them.
2. `notary/index.json` says which repositories are in it, when they were exported and from where. Nothing is
   taken on its word but what makes an answer older: the rest is only repeated, as the word of the archive.
3. It is read as it lies (`archives`), and is not compressed: what it takes to look something up stays small.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, InvalidNameError, MetadataError
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.images.archives import Archive
from notarypy.tuf import canonical, roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

INDEX = "notary/index.json"
_VERSION = 1
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_ADDRESS = re.compile(
    r"https?://[!-?A-~]{1,500}"
)  # without a user; it is shown, and signed as where trust is from


@dataclass(frozen=True)
class ArchivedRepository:
    """A repository in an archive: which server gave its files, and when the first of those ends, it says."""

    gun: str
    server: str
    ends: datetime


def member(gun: str, name: str) -> str:
    """Return what an archive calls a file of a repository (rule 1)."""
    return f"notary/v2/{gun}/_trust/tuf/{name}"


def index(exported: datetime, program: str, repositories: Iterable[ArchivedRepository]) -> bytes:
    """Return the list of what is in an archive (rule 2)."""
    listed = [
        {"repository": each.gun, "server": each.server, "ends": each.ends.strftime(_MOMENT)}
        for each in repositories
    ]
    document = {
        "version": _VERSION,
        "exported": exported.strftime(_MOMENT),
        "program": program,
        "repositories": listed,
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


class TrustArchive:
    """An archive to read from; safe to use from several threads.

    Attributes:
        path: Where it is.
        exported: When it was made, as it says.
        repositories: What it says is in it, by GUN.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Read its headers and its list; raise StorageError, or MetadataError for no such archive."""
        self.path = path
        self._files = Archive(path, limits, compressed=False)
        try:
            data = self._files.read(INDEX, limits.archive_index_bytes)
        except FileNotFoundError:
            raise self._unusable(f"there is no {INDEX} in it") from None
        document = canonical.decode(data, f"{INDEX} in {path}", limits)
        if document.get("version") != _VERSION:
            raise self._unusable(f"its version is not {_VERSION}: another notarypy made it")
        self.exported = self._moment(document.get("exported"))
        listed = document.get("repositories")
        if not isinstance(listed, list):
            raise self._unusable("it does not list repositories")
        found = [self._repository(entry) for entry in listed]
        self.repositories = {each.gun: each for each in found}
        if len(self.repositories) < len(found):
            raise self._unusable("it lists a repository twice")

    def __str__(self) -> str:
        """Return what messages call it."""
        return str(self.path)

    def read(self, gun: str, name: str, limit: int) -> bytes:
        """Return a file of a repository; raise FileNotFoundError, or MetadataError if it is too long."""
        return self._files.read(member(gun, name), limit)

    def _repository(self, entry: object) -> ArchivedRepository:
        if not isinstance(entry, dict) or not all(
            isinstance(entry.get(name), str) for name in ("repository", "server")
        ):
            raise self._unusable("its list of repositories is malformed")
        if _ADDRESS.fullmatch(entry["server"]) is None:
            raise self._unusable("the address of a server in it is none")
        try:
            gun = roles.check_gun(entry["repository"])
        except InvalidNameError as error:
            raise self._unusable(error.message) from None
        return ArchivedRepository(gun, entry["server"], self._moment(entry.get("ends")))

    def _moment(self, value: Any) -> datetime:  # noqa: ANN401 - of any type that JSON has
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise self._unusable("a date in it is none") from None

    def _unusable(self, why: str) -> MetadataError:
        message, advice = f"{self.path} is no trust archive", Advice("export-archive")
        return MetadataError(message, why=why, advice=advice, path=str(self.path))
