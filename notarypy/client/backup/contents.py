"""What is in a backup, as values: keys, repositories and settings, each with the file that has it.

What it is: the manifest, written and read strictly, and the note of the last backup in a trust directory,
which docker and Go notary do not look at and which proves nothing. What it is not: what belongs into a
backup (`making`), or what is done with it (`restoring`).

Rules:

1. A backup is understood as a whole: a file in it that its manifest does not know, or the other way round, is
   a reason to refuse it.
2. A key is what its file says, and not what the manifest says: `private/ID.key` is encrypted, and the public
   half in `private/ID.ref` has that id. Which key an encrypted file holds shows when it is opened.
3. Settings lie in one folder, or below: their paths are relative to it. Of files elsewhere they are
   absolute.
"""

from __future__ import annotations

import json
import posixpath
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from notarypy import __version__, files, jsontext
from notarypy.client.keys.selectors import begins
from notarypy.errors import (
    Advice,
    BackupUnusableError,
    KeyMissingError,
    MetadataError,
    NotarypyError,
    StorageError,
)
from notarypy.keys.formats import keyuri, pem
from notarypy.keys.keypaths import KEY, KEYID, REFERENCE
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.backupfile import BackupFile, unusable
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Root
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ADDRESS = re.compile(r"https?://[!-~]+")
PRIVATE, SETTINGS, ELSEWHERE = "private", "settings", "elsewhere"


@dataclass(frozen=True)
class BackedUpKey:
    """A key in a backup: encrypted as it was, or only where it is, its `uri`."""

    keyid: str
    role: str
    gun: str | None
    uri: str | None

    @property
    def file(self) -> str:
        """The name of its file in a trust directory."""
        return f"{self.keyid}{KEY if self.uri is None else REFERENCE}"


@dataclass(frozen=True)
class BackedUpRepository:
    """A repository in a backup: the root that it trusts, and what is cached of it.

    Its Notary server is `named_by` a setting, an option or a variable; it may be derived, or unknown.
    """

    repository: str
    server: str | None
    named_by: str
    root_pins: tuple[str, ...]
    root_version: int
    roles: tuple[str, ...]


@dataclass(frozen=True)
class BackupContents:
    """A backup that was read and checked, byte by byte.

    Attributes:
        path: The file.
        sha256: Its SHA-256: whoever noted it knows that nobody wrote another file.
        size: Its bytes.
        made: When it was made, as it says.
        program: What made it.
        trust_dir: The trust directory that it is of.
        keys: The keys, and references to those that are elsewhere.
        repositories: Their roots, and all that was cached of them.
        config: The path of the configuration among the settings, None if there was none.
        policy: That of the trust policy, likewise.
        settings: All files of settings, by their paths in one folder.
        elsewhere: Files that settings name outside of that folder, which are not put back.
        left_out: What was left out on purpose, in words.
    """

    path: str
    sha256: str
    size: int
    made: datetime
    program: str
    trust_dir: str
    keys: tuple[BackedUpKey, ...]
    repositories: tuple[BackedUpRepository, ...]
    config: str | None
    policy: str | None
    settings: tuple[str, ...]
    elsewhere: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def servers_to_name(self) -> tuple[str, ...]:
        """Notary servers that an option or a variable named, which are not part of any settings."""
        named = (each for each in self.repositories if each.named_by.startswith(("-", "DOCKER_")))
        return tuple(sorted({each.server for each in named if each.server is not None}))

    @property
    def note(self) -> LastBackup:
        """What is noted of it in the trust directory that it is of."""
        keys = tuple(key.keyid for key in self.keys)
        guns = tuple(each.repository for each in self.repositories)
        return LastBackup(self.made, self.path, self.sha256, keys, guns)


def manifest(made: datetime, trust_dir: Path, repositories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a manifest says of a backup; the rest is for settings to say."""
    return {
        "made": jsontext.moment(made),
        "program": f"notarypy {__version__}",
        "trust_dir": str(trust_dir),
        "repositories": list(repositories),
    }


class Backup:
    """A backup that is open; to be closed.

    Attributes:
        contents: What is in it.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Read and understand it; raise BackupUnusableError or StorageError."""
        self._file, self._limits = BackupFile(path, limits), limits
        try:
            self._metadata: dict[str, dict[str, str]] = {}
            self.contents = self._contents()
        except BackupUnusableError:
            self.close()
            raise
        except (KeyError, TypeError, ValueError, AttributeError, NotarypyError) as error:
            self.close()
            why = getattr(error, "message", "") or "its manifest is not one that is understood"
            raise unusable(path, why) from error

    def __enter__(self) -> Self:
        """Return the backup itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def key(self, key: BackedUpKey) -> bytes:
        """Return the file of a key."""
        return self._file.read(f"{PRIVATE}/{key.file}")

    def exported(self, selector: str) -> tuple[str, bytes]:
        """Return the id of the one key that KEY means, and its PEM block with that id."""
        all_keys = self.contents.keys
        found = [
            key for key in all_keys if selector == roles.signer_name(key.role) or begins(key.keyid, selector)
        ]
        if len(found) != 1:
            listed = ", ".join(f"{key.keyid[:12]} ({key.role})" for key in all_keys) or "none"
            message = f'"{selector}" means {"several keys" if found else "no key"} in this backup'
            advice = Advice("write-more-digits" if found else "name-backed-up-key")
            raise KeyMissingError(message, why=f"keys in it: {listed}", advice=advice)
        if found[0].uri is not None:
            message, why = f'"{selector}" is not in this backup', f"it stays at {found[0].uri}"
            raise KeyMissingError(message, why=why, advice=Advice("name-backed-up-key"))
        return found[0].keyid, pem.with_path(pem.split(self.key(found[0]))[0], found[0].keyid)

    def metadata(self, repository: str) -> dict[str, bytes]:
        """Return the files of a repository, by role."""
        return {role: self._file.read(name) for role, name in self._metadata[repository].items()}

    def root(self, repository: str) -> bytes:
        """Return the root of a repository."""
        return self._file.read(self._metadata[repository][roles.ROOT])

    def setting(self, place: str) -> bytes:
        """Return a file of settings."""
        return self._file.read(f"{SETTINGS}/{place}")

    def elsewhere(self, path: str) -> bytes:
        """Return a file that settings name by a path outside of their folder."""
        return self._file.read(member(path))

    def _contents(self) -> BackupContents:
        said, names = self._file.manifest, self._file.names
        repositories = tuple(self._repository(each) for each in said["repositories"])
        keys = tuple(self._key(name) for name in sorted(names) if name.startswith(f"{PRIVATE}/"))
        settings, elsewhere = said["settings"], said["elsewhere"]
        known = {name for files in self._metadata.values() for name in files.values()}
        known |= {f"{PRIVATE}/{key.file}" for key in keys} | {f"{SETTINGS}/{place}" for place in settings}
        known |= {member(path) for path in elsewhere}
        if strange := sorted(known ^ names):
            raise unusable(self._file.path, f"{strange[0]}: its manifest and its files do not fit")
        texts = [said["program"], said["trust_dir"], *settings, *elsewhere, *said["left_out"]]
        absolute = all(path.startswith("/") and posixpath.normpath(path) == path for path in elsewhere)
        named = [place for place in (said["config"], said["policy"]) if place is not None]
        if not (absolute and all(isinstance(text, str) for text in texts) and set(named) <= set(settings)):
            raise ValueError
        made = datetime.fromisoformat(said["made"])
        if made.tzinfo is None:
            raise ValueError
        return BackupContents(
            path=str(self._file.path),
            sha256=self._file.sha256,
            size=self._file.size,
            made=made,
            program=said["program"],
            trust_dir=said["trust_dir"],
            keys=keys,
            repositories=repositories,
            config=said["config"],
            policy=said["policy"],
            settings=tuple(settings),
            elsewhere=tuple(elsewhere),
            left_out=tuple(said["left_out"]),
        )

    def _repository(self, said: Mapping[str, Any]) -> BackedUpRepository:
        gun, server, files = roles.check_gun(said["repository"]), said["server"], said["metadata"]
        if gun in self._metadata or not (server is None or _ADDRESS.fullmatch(server)):
            raise ValueError
        self._metadata[gun] = {roles.check_role(role): str(name) for role, name in files.items()}
        root = root_of(self.root(gun), self._limits)
        return BackedUpRepository(gun, server, str(said["named_by"]), root.pins, root.version, tuple(files))

    def _key(self, name: str) -> BackedUpKey:
        """Return what the file of a key says (rule 2)."""
        path, data = PurePosixPath(name), self._file.read(name)
        known = path.suffix in {KEY, REFERENCE} and KEYID.fullmatch(path.stem) is not None
        if not known or path.parent.name != PRIVATE:
            raise unusable(self._file.path, f"{name}: it is no key")
        if path.suffix == REFERENCE:
            found = keyuri.read(data)
            if found.public.keyid != path.stem:
                raise unusable(self._file.path, f"{name}: it is of another key")
            return BackedUpKey(path.stem, found.role, None, found.uri)
        blocks = pem.split(data)
        if len(data) > DEFAULT.key_file_bytes or not all(block.encrypted for block in blocks):
            raise unusable(self._file.path, f"{name}: it is not encrypted, or too long")
        return BackedUpKey(path.stem, blocks[0].role or "", blocks[0].gun, None)


def root_of(data: bytes, limits: Limits) -> Root:
    """Return a root as it is written, whoever signed it; raise MetadataError."""
    return Root.from_signed(Envelope.parse(data, roles.ROOT, limits).signed, limits)


def version_of(data: bytes) -> int:
    """Return the version that a file of metadata says it has; 0 of what nobody can read."""
    with suppress(MetadataError):
        return Envelope.parse(data, roles.ROOT).version
    return 0


def trusting(gun: str, root: bytes, limits: Limits) -> TrustedMetadata:
    """Return what trusts a root that its own keys signed, whenever that was; raise TrustError for another."""
    trusted = TrustedMetadata(gun, datetime.now(UTC), limits=limits)
    trusted.first_root(root)
    return trusted


def member(path: str) -> str:
    """Return what a backup calls a file that settings name by an absolute path."""
    return f"{ELSEWHERE}/{path.lstrip('/')}"


# -- the note of the last backup

NOTE, _LEVELS = ".notarypy-backup.json", 4


@dataclass(frozen=True)
class LastBackup:
    """The last backup of a trust directory.

    Attributes:
        made: When.
        path: Where it was written to; it may have been moved since.
        sha256: Of the file.
        keys: The ids of the keys, and of those that are elsewhere, that were in it.
        repositories: The repositories that were in it.
    """

    made: datetime
    path: str
    sha256: str
    keys: tuple[str, ...]
    repositories: tuple[str, ...]


def read_note(trust_dir: Path) -> LastBackup | None:
    """Return what is noted of the last backup; None if nothing is, or nothing that can be read."""
    try:
        data = files.read_regular(trust_dir / NOTE, DEFAULT.archive_index_bytes)
        found = jsontext.read(data, _LEVELS, DEFAULT.json_parts)
        made, lists = datetime.fromisoformat(found["made"]), (found["keys"], found["repositories"])
        texts = [found["path"], found["sha256"], *lists[0], *lists[1]]
        if made.tzinfo is None or not all(isinstance(text, str) for text in texts):
            return None
        return LastBackup(made, found["path"], found["sha256"], tuple(lists[0]), tuple(lists[1]))
    except (FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
        return None


def write_note(trust_dir: Path, last: LastBackup) -> None:
    """Note a backup; raise StorageError."""
    value = {
        "made": jsontext.moment(last.made),
        "path": last.path,
        "sha256": last.sha256,
        "keys": list(last.keys),
        "repositories": list(last.repositories),
    }
    files.write_atomic(trust_dir / NOTE, f"{json.dumps(value, indent=1)}\n".encode())
