"""What a staged change contains, for whoever looks before it is published.

What it is: its data as values that can be shown. What it is not: a check that it can be published
(`stagedchanges`): whatever is wrong is one of the values.
"""

from __future__ import annotations

from notarypy.errors import NotarypyError
from notarypy.tuf import canonical
from notarypy.tuf.fields import TargetFile, is_integer, strings
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.stagedchanges import CREATE, TARGET, Staged
from notarypy.values import dataclass


@dataclass(frozen=True)
class StagedDetails:
    """What a staged change contains; what it has nothing of is empty or None.

    Attributes:
        length: The size of a target.
        sha256: Its SHA-256 as hex digits.
        sha512: Its SHA-512 as hex digits.
        custom: Its custom data.
        threshold: How many signatures a new delegation takes.
        add_keys: Ids of keys that a delegation gets.
        remove_keys: Ids of keys that go.
        add_paths: Paths that it gets.
        remove_paths: Paths that go.
        clear_paths: Whether all paths go.
        problem: Why the change cannot be read.
    """

    length: int | None = None
    sha256: str = ""
    sha512: str = ""
    custom: object = None
    threshold: int | None = None
    add_keys: tuple[str, ...] = ()
    remove_keys: tuple[str, ...] = ()
    add_paths: tuple[str, ...] = ()
    remove_paths: tuple[str, ...] = ()
    clear_paths: bool = False
    problem: str = ""


def details(staged: Staged) -> StagedDetails:
    """Return what a change contains."""
    if staged.data is None:
        return StagedDetails()
    try:
        data = canonical.decode(staged.data, "the data of the change")
        if staged.type == TARGET:
            return _target(data) if staged.action == CREATE else StagedDetails()
        return _delegation(data)
    except NotarypyError as error:
        return StagedDetails(problem="; ".join((error.message, *error.why)))


def _target(data: canonical.JsonObject) -> StagedDetails:
    found = TargetFile.from_json(data, "the entry")
    hashes = {name: raw.hex() for name, raw in found.hashes.items()}
    return StagedDetails(
        length=found.length,
        sha256=hashes.get("sha256", ""),
        sha512=hashes.get("sha512", ""),
        custom=found.custom,
    )


def _delegation(data: canonical.JsonObject) -> StagedDetails:
    keys, threshold = data.get("add_keys") or [], data.get("threshold")
    lists = {name: strings(data.get(name), name) for name in ("remove_keys", "add_paths", "remove_paths")}
    return StagedDetails(
        threshold=threshold if is_integer(threshold) and threshold else None,
        add_keys=tuple(PublicKey.from_json(key).canonical_id for key in keys)
        if isinstance(keys, list)
        else (),
        remove_keys=tuple(lists["remove_keys"]),
        add_paths=tuple(lists["add_paths"]),
        remove_paths=tuple(lists["remove_paths"]),
        clear_paths=data.get("clear_paths") is True,
    )
