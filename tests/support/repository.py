"""Driving TrustedMetadata the way an honest client does, and remaking parts of a repository.

What it is: a few lines around `Author` that the tests of the trust core share. What
it is not: the client; nothing is fetched, walked or cached.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import policy, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import MetaFile, TargetFile
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW, Author

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from notarypy.tuf.canonical import JsonObject
    from notarypy.tuf.keys import PublicKey
    from notarypy.tuf.trustanchors import RootPolicy

GO = Path(__file__).parents[2] / "fixtures" / "go"
DAY = timedelta(days=1)
LATER = NOW + timedelta(hours=1)


def tree(name: str) -> dict[str, bytes]:
    """Return the current files of a folder written by Go, by role name."""
    folder = GO / name
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.json")}
    return {role: path.read_bytes() for role, path in found.items() if not role[0].isdigit()}


def top(
    files: Mapping[str, bytes],
    *,
    gun: str = GUN,
    now: datetime = LATER,
    seen: Mapping[str, bytes] | None = None,
    anchor: bytes | None = None,
    policy: RootPolicy | None = None,
    limits: Limits = DEFAULT,
) -> TrustedMetadata:
    """Verify root, timestamp and snapshot.

    Args:
        files: A whole repository by role name.
        gun: The repository.
        now: The moment.
        seen: Files trusted before.
        anchor: The root trusted before; None for the first use of the root in `files`.
        policy: Decides on a first use.
        limits: What is taken at most.
    """
    trusted = TrustedMetadata(gun, now, seen, limits)
    trusted.first_root(anchor or files[roles.ROOT], policy)
    if anchor is not None and anchor != files[roles.ROOT]:
        trusted.update_root(files[roles.ROOT])
    trusted.update_timestamp(files[roles.TIMESTAMP])
    trusted.update_snapshot(files[roles.SNAPSHOT])
    return trusted


def load(files: Mapping[str, bytes], **how: Any) -> TrustedMetadata:  # noqa: ANN401 - as `top` takes them
    """Verify a whole repository; takes what `top` takes."""
    trusted = top(files, **how)
    trusted.update_targets(files[roles.TARGETS])
    finish(trusted, files)
    return trusted


def finish(trusted: TrustedMetadata, files: Mapping[str, bytes]) -> None:
    """Load every delegation."""
    while (role := trusted.pending()) is not None:
        trusted.update_delegation(role, files[role])


def releases(trusted: TrustedMetadata) -> dict[str, tuple[str, TargetFile]]:
    """Return every released name with the role that releases it, and its entry."""
    found = {name: policy.released(trusted, name) for name in policy.released_names(trusted)}
    return {name: one for name, one in found.items() if one is not None}


def changed(value: JsonObject, path: str, new: object) -> JsonObject:
    """Return a copy of decoded metadata with one member, named by dots, replaced; `...` removes it."""
    result = copy.deepcopy(value)
    *way, last = path.split(".")
    place: Any = result
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    if new is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = new
    return result


def signed(author: Author, role: str) -> JsonObject:
    """Return the signed part that the author would write for root, targets or a delegation."""
    return (author.root if role == roles.ROOT else author.targets[role]).to_signed()


def rewritten(
    author: Author,
    role: str,
    edit: Callable[[JsonObject], JsonObject],
    keys: Iterable[PublicKey] | None = None,
) -> bytes:
    """Return a role's file, edited before it was signed (by the role's keys unless told otherwise)."""
    return author.seal(edit(signed(author, role)), author.signers(role) if keys is None else keys)


def assembled(author: Author, **replaced: bytes) -> dict[str, bytes]:
    """Return the author's repository with some files replaced; snapshot and timestamp vouch for them.

    Role names are given with `__` for `/`.
    """
    given = {role.replace("__", "/"): data for role, data in replaced.items()}
    files = {**author.files(), **given}
    listed = {role: data for role, data in files.items() if role not in {roles.SNAPSHOT, roles.TIMESTAMP}}
    files.setdefault(roles.SNAPSHOT, author.snapshot(listed))
    files.setdefault(roles.TIMESTAMP, author.timestamp(files[roles.SNAPSHOT]))
    return files


def snapshot_of(author: Author, edit: Callable[[JsonObject], JsonObject]) -> dict[str, bytes]:
    """Return the author's repository with an edited snapshot, properly signed and vouched for."""
    honest = Envelope.parse(author.snapshot(author.files()), roles.SNAPSHOT).signed
    snapshot = author.seal(edit(honest), author.signers(roles.SNAPSHOT))
    return assembled(author, snapshot=snapshot)


def timestamp_of(author: Author, edit: Callable[[JsonObject], JsonObject]) -> dict[str, bytes]:
    """Return the author's repository with an edited timestamp, properly signed."""
    files = author.repository()
    honest = Envelope.parse(files[roles.TIMESTAMP], roles.TIMESTAMP).signed
    return {**files, roles.TIMESTAMP: author.seal(edit(honest), author.signers(roles.TIMESTAMP))}


def meta(data: bytes) -> JsonObject:
    """Return a snapshot's entry for these bytes, decoded."""
    return MetaFile.of(data).to_json()


def tagged() -> Author:
    """Return a repository with one tag in `targets`."""
    author = Author()
    author.add("v1", b"one")
    return author


def delegated(*names: str) -> Author:
    """Return a repository with delegations that each list a tag of their own name."""
    author = tagged()
    for name in names:
        author.delegate(name)
        author.add(name, name.encode(), name)
    return author


def versions(author: Author, version: int) -> Author:
    """Return the author after giving every file but the root this version."""
    author.snapshot_version = author.timestamp_version = version
    author.targets = {role: replace(file, version=version) for role, file in author.targets.items()}
    return author


def hidden(author: Author, *names: str) -> dict[str, bytes]:
    """Return the author's files with a snapshot that does not list some roles."""
    files = author.files()
    author.snapshot_version += 1
    author.timestamp_version += 1
    listed = {role: data for role, data in files.items() if role not in names}
    return assembled(author, snapshot=author.snapshot(listed))
