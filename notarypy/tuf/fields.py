"""The parts that metadata files share, read strictly: dates, versions, hashes, keys.

What it is: one reader for each kind of field, each raising MetadataError that names the file. What it is
not: whole files; those are in `metadata`, whose rules 1 to 4 and 6 are kept here and cited by number.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard, TypeVar

from notarypy.errors import MetadataError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.canonical import MAX_INTEGER
from notarypy.tuf.keys import KeyTable, decode_base64, listed_key
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject

MAX_VERSION = 2**31 - 1
_set = object.__setattr__  # the values are frozen
_HASH_SIZES = {"sha256": 32, "sha512": 64}
_PLAIN_ENTRY = frozenset({"hashes", "length"})
# Bits that the last character has too many are zero.
_BASE64 = re.compile(
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?", re.ASCII
)
# Later versions of `fromisoformat` take hour 24.
_HOUR, _ZONE = r"(?:[01]\d|2[0-3])", r"(?:Z|[+-]\d\d:[0-5]\d)"
_TIME = re.compile(rf"\d{{4}}-\d\d-\d\dT{_HOUR}:\d\d:\d\d(?:\.\d+)?{_ZONE}", re.ASCII)


@dataclass(frozen=True)
class RoleKeys:
    """Who signs a role: TUF key ids in order, and how many of them are needed."""

    keyids: tuple[str, ...]
    threshold: int


@dataclass(frozen=True)
class FileEntry:
    """What metadata says of a file: its length in bytes and its raw hashes by name.

    `custom` is any JSON value that the signer attached, or None.
    """

    __slots__ = ("custom", "hashes", "length")
    length: int
    hashes: Mapping[str, bytes]
    custom: object
    needs_sha256: ClassVar[bool] = True

    def __init__(self, length: int, hashes: Mapping[str, bytes], custom: object = None) -> None:
        _set(self, "length", length)
        _set(self, "hashes", hashes)
        _set(self, "custom", custom)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Describe `data` with both hashes, as snapshot and timestamp entries do."""
        return cls(len(data), {name: hashlib.new(name, data).digest() for name in _HASH_SIZES})

    @classmethod
    def from_json(cls, value: object, what: str) -> Self:
        """Read an entry, which errors call `what` (rule 3)."""
        entry = mapping(value, what)
        length = entry.get("length")
        if not is_integer(length) or length < 0:
            raise MetadataError(f"{what} has no usable length")
        hashes, fits = {}, True
        for name, encoded in mapping(entry.get("hashes"), f"hashes of {what}").items():
            raw = hashes[name] = decode_base64(encoded, f"a hash of {what}")
            fits &= _HASH_SIZES.get(name, len(raw)) == len(raw)
        if not fits or (cls.needs_sha256 and "sha256" not in hashes):
            raise MetadataError(f"{what} has no sha256, or a hash of the wrong size")
        return cls(length, hashes, entry.get("custom"))

    def to_json(self) -> JsonObject:
        """Return the entry as metadata stores it."""
        value: JsonObject = {"hashes": {name: b64encode(raw).decode() for name, raw in self.hashes.items()}}
        value["length"] = self.length
        return value if self.custom is None else {"custom": self.custom, **value}

    @property
    def sha256(self) -> str:
        """The SHA-256 as 64 hex digits; raises VerificationError where the entry of a target has none."""
        if "sha256" not in self.hashes:
            why = f"it names: {', '.join(sorted(self.hashes)) or 'no hash'}"
            raise VerificationError("a signed entry names no sha256", why=why)
        return self.hashes["sha256"].hex()

    def check(self, data: bytes, what: str) -> None:
        """Raise VerificationError unless `data` has this length and every known hash, at least one."""
        if len(data) != self.length:
            why = f"{len(data)} bytes, {self.length} promised"
            raise VerificationError(f"{what} has the wrong length", why=why, role=what)
        known = [name for name in _HASH_SIZES if name in self.hashes]
        if not known:
            why = "no sha256 and no sha512 promised"
            raise VerificationError(f"{what} cannot be checked", why=why, role=what)
        for name in known:
            if hashlib.new(name, data).digest() != self.hashes[name]:
                why = f"{self.hashes[name].hex()} promised"
                raise VerificationError(f"{what} does not have the promised {name}", why=why, role=what)

    def matches(self, data: bytes) -> bool:
        """Tell whether `data` passes `check`."""
        try:
            self.check(data, "")
        except VerificationError:
            return False
        return True


class MetaFile(FileEntry):
    """An entry of snapshot or timestamp: a metadata file."""

    __slots__ = ()


class TargetFile(FileEntry):
    """An entry of targets: an image manifest. Go signs some without sha256; nobody can resolve such a tag."""

    __slots__ = ()
    needs_sha256 = False

    @property
    def digest(self) -> str | None:
        """`sha256:` and 64 hex digits; None where the entry names no sha256."""
        return f"sha256:{self.sha256}" if "sha256" in self.hashes else None

    @property
    def sha512(self) -> str | None:
        """The SHA-512 as 128 hex digits; None where the entry names none."""
        return self.hashes["sha512"].hex() if "sha512" in self.hashes else None

    def same_content(self, other: TargetFile | None) -> bool:
        """Tell whether two entries mean the same content: length, SHA-256, and SHA-512 if both have one."""
        if other is None or "sha256" not in self.hashes or self.length != other.length:
            return False
        ours, theirs = self.hashes.get("sha512"), other.hashes.get("sha512")
        if ours is not None and theirs is not None and ours != theirs:
            return False
        return self.hashes["sha256"] == other.hashes.get("sha256")


@dataclass(frozen=True)
class UnusableEntry(TargetFile, MetaFile):
    """An entry that names no content: kept for whoever writes, an error for whoever asks for it.

    Attributes:
        entry: The entry as it is.
        why: What is wrong with it.
    """

    __slots__ = ("entry", "why")
    entry: object
    why: str

    def __init__(
        self,
        length: int,
        hashes: Mapping[str, bytes],
        custom: object = None,
        entry: object = None,
        why: str = "",
    ) -> None:
        super().__init__(length, hashes, custom)
        _set(self, "entry", entry)
        _set(self, "why", why)

    def to_json(self) -> JsonObject:
        """Return the entry as it was, whatever it is."""
        return self.entry  # type: ignore[return-value]

    @property
    def sha256(self) -> str:
        """Raise VerificationError."""
        raise VerificationError("a signed entry names nothing that can be checked", why=self.why)


_Entry = TypeVar("_Entry", TargetFile, MetaFile)


def listed_file(kind: type[_Entry], value: object, what: str) -> _Entry | UnusableEntry:
    """Return an entry of a list of many, which errors call `what`; an UnusableEntry if it cannot be read."""
    try:
        return kind.from_json(value, what)
    except MetadataError as error:
        return UnusableEntry(0, {}, None, value, error.message)


class TargetFiles(Mapping[str, TargetFile]):
    """What a file lists, by name: an entry is read when it is asked for, as most of thousands never are.

    No check of the file is put off by that: an entry that cannot be read is an UnusableEntry, whenever it is
    read, and refuses nothing but itself (`metadata`, rule 8).
    """

    __slots__ = ("_listed", "_what")

    def __init__(self, listed: Mapping[str, object], what: str = "a target") -> None:
        """Take entries as JSON has them, or as values; errors call each of them `what`."""
        self._listed, self._what = listed, what

    def edited(self, changes: Mapping[str, TargetFile | None]) -> TargetFiles:
        """Return the entries with some replaced or added, and those removed that are None."""
        listed = {**self._listed, **changes}
        for name in [name for name, entry in changes.items() if entry is None]:
            del listed[name]
        return TargetFiles(listed, self._what)

    def otherwise(self, other: TargetFiles) -> list[str]:
        """Return the names that are not listed there, or are written otherwise."""
        there = other._listed
        return [name for name, entry in self._listed.items() if name not in there or there[name] != entry]

    def to_json(self) -> JsonObject:
        """Return the entries as metadata stores them."""
        return {name: self._written(entry) for name, entry in self._listed.items()}

    def _written(self, entry: object) -> object:
        # What would be read and written as it is need be neither; most entries are so.
        if type(entry) is dict and entry.keys() == _PLAIN_ENTRY and _is_plain(entry["hashes"]):
            return entry
        return self._read(entry).to_json()

    def _read(self, entry: object) -> TargetFile:
        return entry if isinstance(entry, TargetFile) else listed_file(TargetFile, entry, self._what)

    def __getitem__(self, name: str) -> TargetFile:
        """Return the entry of a name."""
        return self._read(self._listed[name])

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as in every mapping
        """Return the entry of a name, or the default: most names are not in most files."""
        return self[name] if name in self._listed else default

    def __contains__(self, name: object) -> bool:
        """Tell whether a name is listed."""
        return name in self._listed

    def __iter__(self) -> Iterator[str]:
        """Yield the names in order."""
        return iter(self._listed)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._listed)

    def __eq__(self, other: object) -> bool:
        """Compare names and entries; those that were taken over are the same."""
        if not isinstance(other, TargetFiles):
            return super().__eq__(other)
        ours, theirs = self._listed, other._listed
        if ours is theirs or len(ours) != len(theirs) or ours.keys() != theirs.keys():
            return ours is theirs
        return all(entry is theirs[name] or self[name] == other[name] for name, entry in ours.items())

    __hash__ = None  # type: ignore[assignment]


def _is_plain(hashes: object) -> bool:
    """Tell whether hashes are base64 in its one written form."""
    if type(hashes) is not dict:
        return False
    return all(isinstance(encoded, str) and _BASE64.fullmatch(encoded) for encoded in hashes.values())


@contextmanager
def part_of(role: str) -> Iterator[None]:
    """Let every MetadataError inside name the role whose file is read."""
    try:
        yield
    except MetadataError as error:
        error.facts.setdefault("role", role)
        raise


def parse_time(text: object, what: str) -> datetime:
    """Read an RFC 3339 date as an aware UTC datetime, to the microsecond (rule 2)."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text).astimezone(UTC)
    raise MetadataError(f"{what} has no usable expiry date", role=what)


def format_time(moment: datetime) -> str:
    """Write a datetime as Go does: UTC, `Z`, and no zeros at the end of the fraction."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"


def header(signed: JsonObject, kind: str, role: str) -> tuple[int, datetime]:
    """Check `_type` and return version and expiry of a signed part (rules 1 and 2)."""
    if signed.get("_type") != kind:
        why = f"_type is {signed.get('_type')!r}"[:80]
        raise MetadataError(f"{role} is not of type {kind}", why=why, role=role)
    version = signed.get("version")
    if not is_integer(version) or not 1 <= version <= MAX_VERSION:
        raise MetadataError(f"{role} has no usable version", role=role)
    return version, parse_time(signed.get("expires"), role)


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether JSON has an integer here that all programs read alike: neither true nor `5.0`."""
    return type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER


def mapping(value: object, what: str) -> JsonObject:
    """Return a JSON object; null and absent read as empty (rule 6)."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MetadataError(f"{what} is not an object")
    return value


def strings(value: object, what: str) -> tuple[str, ...]:
    """Return a list of strings; null and absent read as empty (rule 6)."""
    listed = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise MetadataError(f"{what} is not a list of strings")
    return tuple(listed)


def key_table(value: object, role: str, limits: Limits = DEFAULT) -> KeyTable:
    """Return a key table; what is no key in it is an UnusableKey (rule 4)."""
    listed = mapping(value, f"keys of {role}")
    return {keyid: listed_key(keyid, entry, limits) for keyid, entry in listed.items()}


def role_keys(value: object, keys: KeyTable, role: str) -> RoleKeys:
    """Return the keys and threshold assigned to a role, all of them in the key table (rule 4)."""
    if not isinstance(value, dict):
        raise MetadataError(f"{role} has no keys assigned", role=role)
    keyids, threshold = strings(value.get("keyids"), f"key ids of {role}"), value.get("threshold")
    if not is_integer(threshold) or threshold < 1:
        raise MetadataError(f"{role} has no usable threshold", role=role)
    # The same key twice is no error: Go publishes that, and a threshold counts it once.
    if any(keyid not in keys for keyid in keyids):
        raise MetadataError(f"{role} lists a key that is not in the key table", role=role)
    return RoleKeys(keyids, threshold)
