"""An OCI image layout that is being written: blobs come one by one, the index comes last.

What it is: the directory of one layout, and a tar archive made of one. What it is not: a download;
`client.transfer.pulling` brings the bytes.

Rules:

1. A blob has its name only when all of it is there and its hash was right. Until then it is a file ending in
   `.part`, which the next run goes on with after hashing it.
2. What is there already counts only after it was hashed.
3. `index.json` is replaced as a whole, after everything that it names is on the disk. An archive gets its
   name when it is complete, and replaces nothing.
4. A directory that is something else than a layout is left alone. Links in place of directories or blobs in
   it are not followed.
5. One run works on a layout at a time.
6. What an archive is packed from lies in a directory that nobody else can write to: it was hashed before, and
   is not hashed again. The archive is written there too: what a run that was killed leaves, the next one
   overwrites.
7. After a failure an archive takes nothing more, and gets no name.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self, cast

from notarypy import system
from notarypy.errors import Advice, AlreadyExistsError, StorageError
from notarypy.files import failure, locked, read_regular, refuse_links, write_atomic
from notarypy.images import layout
from notarypy.images.layout import Descriptor, blob_name
from notarypy.limits import DEFAULT, Limits

_LOG = logging.getLogger(__name__)
_LOCK = ".notarypy.lock"
_UNNAMED = ".archive.tmp"
_MODE = 0o644
_PIECE = 1024 * 1024
_LOCK_SECONDS = 5.0


class LayoutWriter:
    """A layout in a directory."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Name the directory; `opened` makes it."""
        self.path, self._limits = path, limits

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Hold the layout for one run (rule 5); make the directory where there is none.

        Raises:
            AlreadyExistsError: There is something else (rule 4).
            StorageError: It cannot be written, or another run has it.
        """
        self.check()
        with _storage("make directory", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK, _LOCK_SECONDS):
            marker = self.path / layout.LAYOUT_FILE
            if marker.exists():
                layout.check_layout(read_regular(marker, self._limits.layout_marker_bytes))
            else:
                write_atomic(marker, layout.LAYOUT_TEXT, _MODE)
            yield self

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is there, every byte of it (rule 2)."""
        path = self._path(descriptor)
        if path.is_symlink() or not path.is_file() or path.stat().st_size != descriptor.size:
            return False
        with _opened(path, os.O_RDONLY) as stream:
            return _hash(stream, descriptor.digest).hexdigest() == descriptor.digest.partition(":")[2]

    def put(self, descriptor: Descriptor, data: bytes) -> None:
        """Write small content that was checked."""
        write_atomic(self._path(descriptor), data, _MODE)

    @contextmanager
    def blob_writer(self, descriptor: Descriptor) -> Iterator[BlobWriter]:
        """Open the place where a blob is written, going on with what an earlier run left (rule 1)."""
        path = self._path(descriptor)
        with _opened(path.with_name(f"{path.name}.part"), os.O_RDWR | os.O_CREAT) as stream:
            yield BlobWriter(path, stream, descriptor)

    def name(self, entry: Descriptor, name: str) -> None:
        """Let a name stand for an image that is there as a whole (rule 3)."""
        index = self.path / layout.INDEX_FILE
        old = read_regular(index, self._limits.manifest_bytes) if index.exists() else None
        write_atomic(index, layout.with_entry(old, entry, name, self._limits), _MODE)
        _LOG.debug("%s: %s is %s", self.path, name, entry.digest)

    def check(self) -> None:
        """Raise unless this is a layout, or nothing yet (rule 4)."""
        if not self.path.exists() or (self.path / layout.LAYOUT_FILE).is_file():
            return
        if self.path.is_dir() and all(entry.name == _LOCK for entry in self.path.iterdir()):
            return
        message = f"{self.path} is something else than an OCI image layout"
        why, advice = "nothing is put into other directories", Advice("choose-new-directory")
        raise AlreadyExistsError(message, why=why, advice=advice, path=str(self.path))

    def _path(self, descriptor: Descriptor) -> Path:
        path = self.path / blob_name(descriptor.digest)
        refuse_links(path.parent, self.path)
        with _storage("make directory", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path


class BlobWriter:
    """A blob that is being written; `position` bytes are there, and an earlier run left some if `resumed`."""

    def __init__(self, path: Path, stream: BinaryIO, descriptor: Descriptor) -> None:
        """Begin, or go on with what is in the file (rule 1)."""
        self._path, self._stream, self._descriptor = path, stream, descriptor
        self._part = path.with_name(f"{path.name}.part")
        with _storage("read", self._part):
            self._hash = _hash(stream, descriptor.digest)
            self.position = stream.tell()
        self.resumed = self.position > 0
        if self.position > descriptor.size:
            self.restart()

    def restart(self) -> None:
        """Throw away what is there."""
        with _storage("write", self._part):
            self._stream.seek(0)
            self._stream.truncate()
        self._hash = hashlib.new(self._hash.name)
        self.position, self.resumed = 0, False

    def write(self, data: bytes) -> None:
        """Take more."""
        with _storage("write", self._part):
            self._stream.write(data)
        self._hash.update(data)
        self.position += len(data)

    def finish(self) -> None:
        """Give the blob its name (rule 1); throw another one away and raise DigestMismatchError."""
        actual = f"{self._hash.name}:{self._hash.hexdigest()}"
        if self.position != self._descriptor.size or actual != self._descriptor.digest:
            error = layout.differs(self._descriptor, actual, self.position)
            self.restart()
            with suppress(OSError):
                self._part.unlink()
            raise error
        with _storage("write", self._part):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()  # what is open has no other name on Windows
            system.replace(self._part, self._path)
        _LOG.debug("%s is on the disk, %d bytes", actual, self.position)


class ArchiveWriter:
    """A tar archive that is being written; the same files of the same `moment` make the same archive.

    `entries` is how many headers a reader comes upon: a long name takes two.
    """

    def __init__(self, archive: tarfile.TarFile, target: Path) -> None:
        """Write into a tar file; `new_archive` makes it."""
        self._archive, self._target = archive, target
        self.entries, self.moment, self._failed = 0, 0.0, False

    def add(self, name: str, data: bytes) -> None:
        """Add a small file."""
        self._add(name, len(data), io.BytesIO(data))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file that lies somewhere (rule 6)."""
        with _opened(path, os.O_RDONLY) as content:
            self._add(name, os.fstat(content.fileno()).st_size, content)

    def _add(self, name: str, size: int, content: BinaryIO) -> None:
        member = tarfile.TarInfo(name)
        member.mode, member.size, member.mtime = _MODE, size, int(self.moment)
        self.entries += 1 if len(member.tobuf(tarfile.PAX_FORMAT)) == tarfile.BLOCKSIZE else 2
        self.check()
        self._failed = True
        with _storage("write", self._target):
            self._archive.addfile(member, content)
        self._failed = False

    def check(self) -> None:
        """Raise StorageError if something could not be written (rule 7)."""
        if self._failed:
            why = "writing it has failed before"
            raise StorageError(f"cannot write {self._target}", why=why, path=str(self._target))


@contextmanager
def new_archive(target: Path, private: Path) -> Iterator[ArchiveWriter]:
    """Open an archive to be written, which gets its name at the end (rule 3); raise AlreadyExistsError.

    Until then it lies in a `private` directory beside it (rule 6).
    """
    refuse_existing(target)
    temporary = private / _UNNAMED
    try:
        with _storage("write", target), _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
                writer = ArchiveWriter(archive, target)
                yield writer
                writer.check()
            stream.flush()
            os.fsync(stream.fileno())
        _name(temporary, target)
        _LOG.debug("%s is complete", target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def pack(source: LayoutWriter, blobs: Iterable[Descriptor], target: Path) -> None:
    """Make a tar archive of a layout, always the same; raise AlreadyExistsError (rule 3)."""
    names = sorted({blob_name(blob.digest) for blob in blobs})
    with new_archive(target, source.path) as archive:
        for name in (layout.LAYOUT_FILE, layout.INDEX_FILE, *names):
            archive.add_file(name, source.path / name)


def _name(temporary: Path, target: Path) -> None:
    """Give a finished file its name, and take no other file's place."""
    with _storage("write", target):
        try:
            os.link(temporary, target)
        except FileExistsError:
            refuse_existing(target)
            raise
        except OSError:  # some file systems have no second names for a file
            refuse_existing(target)
            system.replace(temporary, target)


def refuse_existing(target: Path) -> None:
    """Raise AlreadyExistsError if there is a file of this name."""
    with _storage("write", target):
        there = target.exists() or target.is_symlink()
    if there:
        message, advice = f"there is a file {target} already", Advice("choose-free-file")
        raise AlreadyExistsError(message, advice=advice, path=str(target))


def _hash(stream: BinaryIO, digest: str) -> hashlib._Hash:
    found = hashlib.new(digest.partition(":")[0])
    while piece := stream.read(_PIECE):
        found.update(piece)
    return found


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[BinaryIO]:
    """Open a file that is no link (rule 4)."""
    with _storage("open", path):
        descriptor = os.open(path, flags | system.NOFOLLOW | system.SAFE, _MODE)
    mode = "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb"
    # What is left in the buffer may fail to be written even when the file is closed.
    with _storage("use", path), open(descriptor, mode) as stream:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StorageError(f"cannot use {path}", why="it is not a regular file", path=str(path))
        yield cast("BinaryIO", stream)


@contextmanager
def _storage(action: str, path: Path) -> Iterator[None]:
    """Turn the system's errors into ours: on the way of a download they would look like the network's."""
    try:
        yield
    except OSError as error:
        raise failure(action, path, error) from error


def make_private(path: Path) -> None:
    """Make a directory of our own, or go on with that of an earlier run (rule 6); raise StorageError."""
    with _storage("make directory", path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    user = system.user()
    ours = user is None or (found.st_uid == user and not found.st_mode & 0o022)
    if not stat.S_ISDIR(found.st_mode) or not ours:
        why, advice = "it is not a directory that only you can write to", Advice("choose-safe-directory")
        raise StorageError(f"cannot use {path}", why=why, advice=advice, path=str(path))


def discard(path: Path) -> None:
    """Remove a layout of our own making."""
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise StorageError(f"cannot remove {path}", why=error.strerror or "", path=str(path)) from error
