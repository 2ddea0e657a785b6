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
from typing import TYPE_CHECKING, ClassVar, Self, TypeGuard, TypeVar

from notarypy.errors import MetadataError, VerificationError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.keys import KeyTable, decode_base64, listed_key
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject

MAX_VERSION = 2**31 - 1
_set = object.__setattr__  # the values are frozen
_HASH_SIZES = {"sha256": 32, "sha512": 64}
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
        hashes = {
            name: decode_base64(encoded, f"a hash of {what}")
            for name, encoded in mapping(entry.get("hashes"), f"hashes of {what}").items()
        }
        if (cls.needs_sha256 and "sha256" not in hashes) or any(
            len(hashes[name]) != size for name, size in _HASH_SIZES.items() if name in hashes
        ):
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
        if other is None or self.digest is None or len({self.sha512, other.sha512} - {None}) > 1:
            return False
        return (self.length, self.digest) == (other.length, other.digest)


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
    """Tell whether JSON has an integer here: neither true nor `5.0`."""
    return type(value) is int


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
