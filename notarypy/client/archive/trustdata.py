"""What is verified of repositories goes into a trust archive, and out of one into the trust directory.

What it is: the use cases behind `export` and `import`. What it is not: the verification (`metadata.refresh`,
`verify.image`), the names in an archive (`trustarchive`), the fetching of images (`imagelayout`), or a way to
make anything last longer: it ends when its metadata ends.

Rules:

1. Each repository is refreshed at its server, past caches, and verified by its pins and the trust policy, as
   `verify` does; what it requires of cosign is for who verifies, as registries have these signatures. Exactly
   the verified bytes are written.
2. So that whoever reads the archive comes to the same answers, it holds what a refresh would ask the server
   for: also delegations that are not to be trusted, with the hashes that the snapshot states, and earlier
   versions of the root as far as each leads to the next, for those who pin or know one of these.
3. An image is what its signed digest names, with all platforms. It is fetched by that digest and not by its
   tag: what the registry serves under the tag now does not matter. The layout names it `REPO:TAG`.
4. What fails for a repository or an image is left out, and said. An archive without any repository is not
   made.
5. An archive is written as a whole or not at all, and replaces nothing. What cannot be written ends it.
6. It is not more than its readers take.
7. Who imports refreshes from an archive as from a server (`client.archived`), with all that is refused then.
   Pins, the trust policy and the decision on first use count as for whoever looks at a repository. What
   could not be stored is an error here.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import __version__
from notarypy.client.archive.imagelayout import ImageLayout, too_much
from notarypy.client.metadata.dates import role_ends
from notarypy.client.metadata.refresh import refresh
from notarypy.client.parameters import VerifyOptions
from notarypy.client.transfer.progress import StepCounter
from notarypy.client.verify.image import decide
from notarypy.client.verify.sharing import asks_notary, scope_of
from notarypy.client.workers import outcomes
from notarypy.errors import Advice, NotarypyError, NothingThereError, StorageError, TrustError, UsageError
from notarypy.storage.images import trustarchive
from notarypy.storage.images.layoutwriter import ArchiveWriter, new_archive
from notarypy.tuf import policy, roles
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.parameters import Progress
    from notarypy.client.session import Session
    from notarypy.client.verdicts import VerifiedImage
    from notarypy.images.reference import Reference

    Failed = Callable[[str, NotarypyError], object]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedRepository:
    """A repository that is in an archive, until its metadata `ends`, and its `images`, `REPO:TAG@DIGEST`."""

    repository: str
    server: str
    ends: datetime
    root_pins: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """An archive at a `path`, and when its repositories were looked at."""

    path: str
    exported: datetime
    repositories: tuple[ExportedRepository, ...]


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


@dataclass(frozen=True)
class ExportOptions:
    """What is exported of repositories: their `images` too; and a pin that each root must meet, or None."""

    images: bool = False
    root: str | None = None


@dataclass(frozen=True)
class _ToWrite:
    """What is to be written of a repository, and said of it in the end."""

    written: str
    said: ExportedRepository
    files: Mapping[str, bytes]
    images: tuple[VerifiedImage, ...]
    unmet: tuple[tuple[str, NotarypyError], ...]


def export(
    session: Session,
    texts: Sequence[str],
    path: Path | str,
    options: ExportOptions,
    *,
    failed: Failed,
    progress: Progress | None = None,
    steps: Progress | None = None,
) -> Exported:
    """Write an archive of repositories, or single images of them; see `Client.archives`."""
    if session.settings.offline or session.settings.archive is not None:
        option = "--offline" if session.settings.offline else "--from"
        raise UsageError("export asks the Notary servers", advice=Advice("leave-out", option=option))
    if options.images:
        session.require_registry("export with images")
    target, exported = Path(path).absolute(), session.now()
    wanted = _by_repository(session, texts)
    calls = [partial(_found, session, each, wanted[each], options) for each in wanted]
    images = ImageLayout(session, target, failed, progress)
    with images.opened() as folder, new_archive(target, folder) as archive:
        archive.moment = exported.timestamp()
        found: list[_ToWrite] = []
        with closing(outcomes(calls)) as done, StepCounter(steps, "reading repositories") as counter:
            counter.expect(len(calls))
            for written, outcome in zip(wanted, done, strict=True):
                counter.step()
                try:
                    one = outcome.get()
                except NotarypyError as error:
                    failed(written, error)
                else:
                    found.append(_written(archive, one, found))
        if not found:
            message = "nothing could be exported, so no archive was written"
            raise NothingThereError(message, advice=Advice("see-above"))
        said = {one.said.repository: one.said for one in found}.values()
        held = [trustarchive.ArchivedRepository(one.repository, one.server, one.ends) for one in said]
        archive.add(trustarchive.INDEX, trustarchive.index(exported, f"notarypy {__version__}", held))
        if options.images:
            found = [_with_images(images, one) for one in found]
            images.write(archive)
        if archive.entries > session.limits.archive_entries:  # rule 6
            raise too_much(f"{archive.entries} files, more than {session.limits.archive_entries}")
    return Exported(str(target), exported, tuple(one.said for one in found))


def _written(archive: ArchiveWriter, one: _ToWrite, before: Sequence[_ToWrite]) -> _ToWrite:
    """Write the files of a repository, unless it is there under another name, and let go of them."""
    gun = one.said.repository
    if all(gun != other.said.repository for other in before):
        for name, data in one.files.items():
            archive.add(trustarchive.member(gun, name), data)
    return replace(one, files={})


def _with_images(images: ImageLayout, one: _ToWrite) -> _ToWrite:
    """Fetch the images of a repository, and name those that do not come."""
    for ref, error in one.unmet:
        images.failed(ref, error)
    came = images.bring(one.written, one.images)
    return replace(
        one, said=replace(one.said, images=tuple(f"{i.repository}:{i.tag}@{i.digest}" for i in came))
    )


def _by_repository(session: Session, texts: Sequence[str]) -> dict[str, list[Reference]]:
    """Return what is wanted of each repository: some references, or none for all of it."""
    whole: set[str] = set()
    wanted: dict[str, list[Reference]] = {}
    for text in texts:
        gun, _ = session.gun(text, whole=True)
        parsed = None if session.literal else session.parse(text)
        if parsed is None or (parsed.tag is None and parsed.digest is None):
            whole.add(gun)
        wanted.setdefault(gun, []).extend([] if parsed is None else [parsed])
    return {gun: [] if gun in whole else wanted[gun] for gun in sorted(wanted)}


def _found(
    session: Session, written: str, references: Sequence[Reference], options: ExportOptions
) -> _ToWrite:
    """Verify a repository, and return what is to be written of it (rules 1 and 2)."""
    required = VerifyOptions(root=options.root)
    scope = scope_of(session, written, required)
    if not asks_notary(scope, VerifyOptions()):
        scope = None  # it says nothing of the root
    repository = session.repository(written, options.root, scope).past_caches()
    trusted = refresh(repository)
    images: dict[str, VerifiedImage] = {}
    unmet: list[tuple[str, NotarypyError]] = []
    for tag, asked in _asked(session, written, references, trusted) if options.images else ():
        try:
            image = decide(trusted, asked, required, scope, written=written, warn=session.warn)
            images.setdefault(f"{image.tag}@{image.digest}", image)
        except TrustError as error:
            unmet.append((f"{written}:{tag}", error))
    pins, server = trusted.root.pins, repository.server_url
    said = ExportedRepository(repository.gun, server, _end(trusted), pins, images=())
    files = dict(_files(repository, trusted))
    return _ToWrite(written, said, files, tuple(images.values()), tuple(unmet))


def _asked(
    session: Session, written: str, references: Sequence[Reference], trusted: TrustedMetadata
) -> Iterator[tuple[str, Reference]]:
    """Yield the references to images of a repository: those that are named, or one for each signed tag."""
    if references:
        yield from ((each.tag or each.digest or "latest", each) for each in references)
        return
    parsed = session.parse(written)
    for tag in policy.released_names(trusted):
        yield tag, replace(parsed, tag=tag, digest=None)


def _files(repository: Repository, trusted: TrustedMetadata) -> Iterator[tuple[str, bytes]]:
    """Yield what a server has of a repository, by its names (rule 2), and what names other files last."""
    root, timestamp = trusted.files[roles.ROOT], trusted.files[roles.TIMESTAMP]
    for version, data in (*_earlier_roots(repository, trusted), (trusted.root.version, root)):
        yield f"{version}.{roles.ROOT}.json", data
    for role, data in sorted({**trusted.files, **dict(_refused(repository, trusted))}.items()):
        if role != roles.TIMESTAMP:
            yield f"{role}.{hashlib.sha256(data).hexdigest()}.json", data
    yield f"{roles.ROOT}.json", root
    yield f"{roles.TIMESTAMP}.json", timestamp


def _refused(repository: Repository, trusted: TrustedMetadata) -> Iterator[tuple[str, bytes]]:
    """Yield the delegations that were looked at and are not to be trusted."""
    for role in trusted.failures:
        if role not in trusted.skipped:
            meta = trusted.snapshot.meta[role]
            data = repository.fetch_announced(role, meta)
            meta.check(data, role)
            yield role, data


def _earlier_roots(repository: Repository, trusted: TrustedMetadata) -> list[tuple[int, bytes]]:
    """Return the versions before the root, as far as each leads to the next."""
    limits, newer, version = repository.limits, trusted.files[roles.ROOT], trusted.root.version
    found, walked = list[tuple[int, bytes]](), 0
    for number in range(version - 1, max(0, version - 1 - limits.root_versions), -1):
        data = repository.fetch_version(roles.ROOT, number)
        if data is None:
            continue
        walked += len(data)
        older = TrustedMetadata(repository.gun, repository.now, limits=limits)
        try:
            leads = walked <= limits.walked_bytes and older.first_root(data).version == number
            older.update_root(newer)
        except TrustError:
            leads = False
        if not leads:
            _LOG.debug("%s: root version %d does not lead to the next one", repository.gun, number)
            break
        found.append((number, data))
        newer = data
    return found[::-1]


def _end(trusted: TrustedMetadata) -> datetime:
    """Return when the first of the files ends that all others are nothing without."""
    ends = role_ends(trusted)
    return min(ends[role] for role in roles.BASE_ROLES)


def import_repository(session: Session, path: Path, gun: str, root: str | None) -> ImportedRepository:
    """Verify a repository of an archive, and store it (rule 7); see `Client.archives`."""
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
    return ImportedRepository(
        repository=gun,
        exported=session.archive(path).exported,
        server=session.archive(path).repositories[gun].server,
        ends=_end(trusted),
        root_pins=trusted.root.pins,
        changed=before != timestamp,
    )
