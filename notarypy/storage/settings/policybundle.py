"""A trust policy or a configuration, and the files that it names, to be taken to another place as they are.

What it is: paths and contents of what has to be there too, so that it means the same there. What it is not:
the meaning of any of these files.

Rules:

1. A file is taken as it is, its comments too. What it names must therefore be named relative to it, in its
   folder or below: other paths are refused, for at the other place they would name nothing, or something
   else.
2. Nothing of this machine's settings is part of it: they are not there at the other place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, StorageError
from notarypy.limits import DEFAULT
from notarypy.storage.settings import configfile, policyfile

if TYPE_CHECKING:
    from notarypy.storage.settings.configfile import FileSettings
    from notarypy.storage.settings.policyfile import TrustPolicy

# No home there that `~/` could mean.
_NO_HOME = Path("/nonexistent/home")


def of_policy(path: Path, there: PurePosixPath) -> dict[str, bytes]:
    """Return what is at `path` and what it names, by their paths in the folder of `there`, which comes first.

    Raises:
        ConfigurationError: It is no policy, a file is missing, or a path means nothing elsewhere (rule 1).
    """
    data = _read(path)
    policyfile.parse(data, path, _NO_HOME)  # what is wrong is said of the file that is here
    return _bundle(data, path, there, files_of_policy(policyfile.parse(data, Path(there), _NO_HOME)))


def of_config(path: Path, there: PurePosixPath) -> dict[str, bytes]:
    """Return a configuration file and what it names, as `of_policy` does."""
    data = _read(path)
    configfile.parse(data, path, _NO_HOME)
    return _bundle(data, path, there, files_of_config(configfile.parse(data, Path(there), _NO_HOME)))


def _bundle(data: bytes, path: Path, there: PurePosixPath, named: Iterable[Path]) -> dict[str, bytes]:
    found = {there.name: data}
    for each in named:
        name = _relative(each, there, path)
        if name == there.name != path.name:
            why = f"{path.name} is called {there.name} there"
            advice = Advice("name-otherwise")
            raise ConfigurationError(f"{path} cannot name {name}", why=why, advice=advice, path=str(path))
        if name != there.name:
            found[name] = _read(path.parent / name)
    return found


def _relative(named: Path, there: PurePosixPath, source: Path) -> str:
    """Return a path as the file names it (rule 1)."""
    folder = Path(there).parent
    parts = named.relative_to(folder).parts if named.is_relative_to(folder) else ()
    if not parts or any(part.startswith("..") for part in parts):
        why = f"it is named by {source}, and does not lie beside it or below"
        advice, message = Advice("name-relatively"), f"{named.name} cannot be taken elsewhere"
        raise ConfigurationError(message, why=why, advice=advice, path=str(source))
    return PurePosixPath(*parts).as_posix()


def _read(path: Path) -> bytes:
    try:
        return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
    except FileNotFoundError as error:
        raise _unreadable(path, "there is no such file") from error
    except StorageError as error:
        raise _unreadable(path, *error.why) from error


def _unreadable(path: Path, *why: str) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be read", why=why, advice=Advice("check-file"), path=str(path))


def files_of_policy(policy: TrustPolicy) -> Iterator[Path]:
    """Yield the files that a policy names."""
    for scope in policy.scopes.values():
        yield from scope.roots.paths
        yield from scope.require.cosign.paths if scope.require.cosign else ()


def files_of_config(settings: FileSettings) -> Iterator[Path]:
    """Yield the files that a configuration names; the key of a client certificate is one of them."""
    tables = (table.ca for table in settings.registries.values())
    pair = (settings.tls_cert, settings.tls_key)
    yield from filter(None, (*tables, *settings.gun_authorities.values(), *pair))
