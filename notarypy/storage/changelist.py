"""The changelist of a repository: the files that stage changes for its next publish, in Go notary's folder.

What it is: change files in and out of `tuf/<gun>/changelist`, in a way that Go notary can do the same beside
it; and a note, beside it, of what a publish of them sends. What it is not: what a change means
(`tuf.stagedchanges`), publishing it (`client.publish.staged`), or whether it landed
(`client.publish.serverside`).

Rules:

1. Go takes every regular file of the folder for a change, in the order of their names, whatever these are.
   Nothing else is put there, not for a moment: what is not finished, the lock and the note of what was sent
   are where no repository has a folder, whatever it is called.
2. A name is 20 digits, the moment in nanoseconds, and a random part. A new one comes after all that are
   there, wherever the clock was set meanwhile.
3. Files are written as a whole; only those that are named are removed, so that what others stage meanwhile
   stays. Folders in it, and what is in them, are left alone.
4. Links are not followed. What is no change file is named for whoever looks, and stands in nobody's way.
5. Its numbers, sizes and the room that all of them take together have limits, for what is read and for what
   is added alike. Names alone have none: whoever drops all of it can.
6. The note names the change files that are published, and of each upload the version and SHA-256 of every
   file by its role.
7. The note is written as a whole, and read with a limit. What is no such file is an error.
"""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, MetadataError, StorageError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import canonical
from notarypy.tuf.fields import is_integer, strings
from notarypy.tuf.stagedchanges import Staged
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    Upload = Mapping[str, tuple[int, str]]

_SUFFIX = ".change"
_STAMP = re.compile(r"(\d{20})_", re.ASCII)
_LATEST = 2**63 - 2  # Go's nanoseconds are 64 bits, signed
_LOCK_SECONDS = 10.0
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class StagedFile:
    """A change file: its name, and the change."""

    name: str
    change: Staged


@dataclass(frozen=True)
class ReadChangelist:
    """What is in a changelist: changes in order, and names of other files with what is wrong (rule 4)."""

    changes: tuple[StagedFile, ...]
    unusable: dict[str, str]


class Changelist:
    """The change files of one repository."""

    def __init__(self, gun: str, home: Path, base: Path, limits: Limits = DEFAULT) -> None:
        """Take a repository's folder in a trust directory, which is `base`; nothing is read or made."""
        self.gun, self.directory = gun, home / "changelist"
        self._base, self._beside, self._limits = base, base / "tuf", limits
        digest = sha256(gun.encode()).hexdigest()
        self.sent = SentNote(self._beside / f".notarypy-changelist-{digest}.sent", limits)

    def exists(self) -> bool:
        """Tell whether there is a folder of it, or anything else of that name."""
        return os.path.lexists(self.directory)

    def read(self) -> ReadChangelist:
        """Return all changes; raise StorageError where nobody can tell which there are (rules 4 and 5)."""
        found, unusable, room = [], {}, 0
        names = self.names()
        if len(names) > self._limits.staged_changes:
            why = f"it has {len(names)} files; the limit is {self._limits.staged_changes}"
            raise self._full(why, unreadable=True)
        for name in names:
            path = self.directory / name
            try:
                text = files.read_regular(path, self._limits.staged_change_bytes)
                found.append(StagedFile(name, Staged.parse(text, self._limits)))
            except FileNotFoundError:
                continue  # somebody published or reset it meanwhile
            except (StorageError, MetadataError) as error:
                unusable[name] = "; ".join((error.message, *error.why))
                continue
            room += len(text)
            if room > self._limits.staged_bytes:
                why = f"its files have more than {self._limits.staged_bytes} bytes"
                raise self._full(why, unreadable=True)
        return ReadChangelist(tuple(found), unusable)

    def add(self, changes: Sequence[Staged], now: datetime) -> list[str]:
        """Stage changes after all that are there; return the names of their files (rules 1 to 3)."""
        texts = [change.document() for change in changes]
        for text in texts:
            if len(text) > self._limits.staged_change_bytes:
                why = f"it would have {len(text)} bytes; the limit is {self._limits.staged_change_bytes}"
                raise StorageError("this change is too large to be staged", why=why)
        files.make_private_directory(self.directory, below=self._base)
        with self._writing():
            return self._written(texts, (now - _EPOCH) // _MICROSECOND * 1000)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep others from writing to any changelist; what killed processes left beside these goes."""
        with files.locked(self._beside / ".notarypy-changelist.lock", _LOCK_SECONDS):
            for path in self._beside.glob(files.UNFINISHED):
                with suppress(StorageError):
                    files.remove(path)
            yield

    def _written(self, texts: Sequence[bytes], moment: int) -> list[str]:
        names = self.names()
        if len(names) + len(texts) > self._limits.staged_changes:
            raise self._full(f"it has {len(names)}; the limit is {self._limits.staged_changes}")
        room = self._room(names) + sum(map(len, texts))
        if room > self._limits.staged_bytes:
            raise self._full(f"it would have {room} bytes; the limit is {self._limits.staged_bytes}")
        stamps = [int(match[1]) for name in names if (match := _STAMP.match(name))]
        latest, written = max((one for one in stamps if one < _LATEST), default=0), []
        for text in texts:
            latest = max(moment, latest + 1)
            name = f"{latest:020}_{uuid.uuid4()}{_SUFFIX}"
            files.write_atomic(self.directory / name, text, by=self._beside)
            written.append(name)
        return written

    def remove(self, names: Iterable[str]) -> None:
        """Remove these files, as far as they are there; raise StorageError if one cannot be (rule 3)."""
        files.refuse_links(self.directory, self._base)
        for name in names:
            files.remove(self.directory / name)

    def note(self, names: Sequence[str], uploads: Sequence[Upload]) -> None:
        """Note what is about to be sent for these files; raise StorageError (rule 6)."""
        with self._writing():
            self.sent.write(names, uploads)

    def names(self) -> list[str]:
        """Return the names of all that is no folder, in order, however many (rule 5)."""
        files.refuse_links(self.directory, self._base)
        try:
            with os.scandir(self.directory) as entries:
                names = [one.name for one in entries if not one.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.failure("read", self.directory, error) from error
        return sorted(names)

    def _room(self, names: Iterable[str]) -> int:
        """Return how many bytes files have that `read` takes in."""
        room = 0
        for name in names:
            with suppress(OSError):  # it was published or reset meanwhile
                status = (self.directory / name).lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= self._limits.staged_change_bytes:
                    room += status.st_size
        return room

    def _full(self, why: str, *, unreadable: bool = False) -> StorageError:
        advice = Advice("drop-staged" if unreadable else "publish-staged", gun=self.gun)
        return StorageError(f"too much is staged of {self.gun}", why=why, advice=advice)


class SentNote:
    """The note of one repository."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Take its path; nothing is read or made."""
        self.path, self._limits = path, limits

    def exists(self) -> bool:
        """Tell whether there is one."""
        return self.path.exists()

    def write(self, names: Sequence[str], uploads: Sequence[Upload]) -> None:
        """Note change files, and uploads of what they make; the last is about to be sent (rule 6)."""
        noted = [os.fsencode(name).decode("latin-1") for name in names]  # a name may be any bytes
        text = json.dumps({"changes": noted, "uploads": [dict(one) for one in uploads]})
        files.write_atomic(self.path, text.encode())

    def read(self) -> tuple[Sequence[str], list[Upload]]:
        """Return what is noted, which may be nothing; raise StorageError or MetadataError (rule 7)."""
        try:
            text = files.read_regular(self.path, self._limits.staged_bytes)
        except FileNotFoundError:
            return [], []
        what = "the note of what was sent"
        found = canonical.decode(text, what, self._limits)
        uploads = found.get("uploads")
        if not isinstance(uploads, list):
            raise MetadataError(f"{what} has no uploads")
        names = [
            os.fsdecode(name.encode("latin-1", "replace")) for name in strings(found.get("changes"), what)
        ]
        return names, [_upload(one, what) for one in uploads]

    def remove(self) -> None:
        """Remove it; raise StorageError."""
        files.remove(self.path)


def _upload(value: object, what: str) -> Upload:
    """Return an upload as it was written (rule 6)."""
    if not isinstance(value, dict):
        raise MetadataError(f"{what} has something in the place of an upload")
    found = {}
    for role, file in value.items():
        version, digest = file if isinstance(file, list) and len(file) == 2 else (None, None)  # noqa: PLR2004
        if not is_integer(version) or not isinstance(digest, str):
            raise MetadataError(f"{what} has no version and hash of {role}")
        found[role] = version, digest
    return found
