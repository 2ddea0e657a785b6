"""Which folders are in a trust directory: of repositories, of roles, and of certificates of old releases.

What it is: names of folders; what nobody can look into is told or raised, never left out. What it is not: a
reader of what is in them (`trustdir`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from notarypy import files, system

CERTIFICATES, CERTIFICATE = "trusted_certificates", ".crt"


def directories(top: Path) -> Iterator[Path]:
    """Yield a directory and all below it; raise StorageError if one cannot be read."""
    for name, inner, _ in os.walk(top, onerror=_refuse, followlinks=False):
        inner.sort()
        yield Path(name)


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise files.failure("read", Path(error.filename), error) from error


def homes(base: Path) -> Iterator[Path]:
    """Yield the folders of repositories, also those that nobody can look into; more than once, maybe.

    Raises StorageError where that may be any number of them.
    """
    shut: list[Path] = []

    def unread(error: OSError) -> None:
        path = Path(error.filename)
        if len(path.relative_to(base).parts) <= 1:  # a registry's: it may have any number of repositories
            _refuse(error)
        elif not isinstance(error, FileNotFoundError):
            shut.append(path)

    for name, inner, names in os.walk(base, onerror=unread, followlinks=False):
        folder = Path(name)
        held = "root.json" in inner or any(each.endswith(".json") for each in names)
        if folder.name == "metadata" and held:
            yield folder.parent
        elif "metadata" in names:
            yield folder
        shut += [folder / each for each in inner if os.path.islink(folder / each)]  # noqa: PTH114 - no error
    for path in shut:
        above = [each.parent for each in (path, *path.parents) if each.name == "metadata" and each != base]
        yield above[0] if above and above[0].is_relative_to(base) else path


def certificates(top: Path, gun: str) -> list[Path]:
    """Return the certificates of a repository's roots that Notary 0.1 trusted; raise StorageError.

    They lie in a folder of their own in the trust directory, named after the repository.
    """
    folder = top / CERTIFICATES / system.folder_name(gun)
    files.refuse_links(folder, top)
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == CERTIFICATE)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise files.failure("read", folder, error) from error


def certificate_files(top: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file among those certificates, whatever it is, and the repository of its folder."""
    base = top / CERTIFICATES
    files.refuse_links(base, top)
    for name, inner, names in os.walk(base, onerror=_refuse, followlinks=False):
        inner.sort()
        folder = Path(name)
        linked = [each for each in inner if (folder / each).is_symlink()]
        gun = "" if folder == base else system.named_by(folder.relative_to(base).as_posix())
        yield from ((folder / each, gun) for each in sorted([*names, *linked]))
