"""Whose signatures images in a scope of the trust policy need: Notary's, cosign's, both or either.

What it is: `require`, `require_any` and the table `cosign` of a scope, read. What it is not: a judge of
images (`client.verify`), or of keys and signatures (`cosign`).

Rules:

1. Without a word of it Notary is required. `require` names all that are; `require_any` names both, of which
   one will do.
2. Keys of cosign stand where cosign is named, and nowhere else: a key that nothing asks for protects nobody.
3. Where nothing of Notary is required, what is said of Notary alone is an error beside it, and so is `audit`:
   nothing would vouch for what it lets pass.
4. A file of keys that cannot be read is an error when its keys are wanted, as one of pins is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, StorageError
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.storage.settings.configsection import Section

KEYS = ("require", "require_any", "cosign")
_T = TypeVar("_T")
_NOTARY, _COSIGN = "notary", "cosign"
_OF_NOTARY = ("server", "first_use", "roots", "signers", "max_age", "lifetime")


class NamedFiles:
    """Files that the user's settings name: read when they are wanted."""

    source: str
    held: Mapping[Path, bytes]
    _useless: ClassVar[str]
    _advice: ClassVar[Advice]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        raise NotImplementedError

    def read(self, path: Path) -> bytes:
        """Return what one of the files holds, or held; raise ConfigurationError (rule 4)."""
        return self.held[path] if path in self.held else self.read_now(path)

    def read_now(self, path: Path) -> bytes:
        """Return what one of the files holds now; raise ConfigurationError."""
        try:
            return files.read_regular(path, DEFAULT.named_file_bytes, follow=True)
        except FileNotFoundError as error:
            raise self.unusable(path, "there is no such file") from error
        except StorageError as error:
            raise self.unusable(path, *error.why) from error

    def unusable(self, path: Path, *why: str, advice: Advice | None = None) -> ConfigurationError:
        """Return the error for a file that holds nothing of what it should, or cannot be read."""
        why = (*why, f"it is named by {self.source}")
        message, to_do = f"{self._useless} {path}", advice or self._advice
        return ConfigurationError(message, why=why, advice=to_do, path=str(path))


@dataclass(frozen=True)
class CosignKeys(NamedFiles):
    """Files of cosign's public keys: of each in `every` a key must have signed, of `threshold` of `some`.

    `held` is what was read of them before they are wanted.
    """

    every: tuple[Path, ...] = ()
    some: tuple[Path, ...] = ()
    threshold: int = 1
    source: str = ""
    held: Mapping[Path, bytes] = field(default_factory=dict, repr=False, compare=False)
    _useless, _advice = "no signature of cosign can be verified by", Advice("give-cosign-key")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (*self.every, *self.some)


@dataclass(frozen=True)
class RequiredSignatures:
    """Whether images need Notary's signatures, by which keys they need cosign's, and if `either` will do."""

    notary: bool = True
    cosign: CosignKeys | None = None
    either: bool = False


def read(table: Section, source: str) -> RequiredSignatures:
    """Return what is required, as a scope says it; raise ConfigurationError (rules 1 to 3)."""
    every, some = _named(table, "require"), _named(table, "require_any")
    if every and some:
        raise table.problem("require_any", "require stands beside it", Advice("keep-one"))
    if len(some) == 1:
        raise table.problem("require_any", "it names one alone", Advice("require-all"))
    named, keys = every or some or (_NOTARY,), _keys(table.section("cosign"), source)
    if _COSIGN not in named:
        if "cosign" in table.names():
            raise table.problem("cosign", "nothing requires cosign", Advice("require-cosign"))
        return RequiredSignatures()
    if not (keys.every or keys.some):
        raise table.problem("cosign", "cosign is required, and no key is named", Advice("name-cosign-keys"))
    for key in () if _NOTARY in named else set(_OF_NOTARY) & set(table.names()):
        raise table.problem(key, "nothing of Notary is required here", Advice("require-notary", key=key))
    if _NOTARY not in named and table.value("mode") == "audit":
        raise table.problem("mode", "audit would let images pass for which nothing vouches")
    return RequiredSignatures(_NOTARY in named, keys, bool(some))


def _named(table: Section, key: str) -> tuple[str, ...]:
    names = _once(table, key, table.texts(key))
    for name in set(names) - {_NOTARY, _COSIGN}:
        raise table.problem(key, f'"{name}" is none', Advice("name-required-signatures"))
    return names


def _keys(table: Section, source: str) -> CosignKeys:
    table.require_known("all", "any", "threshold")
    every, some = (_once(table, key, table.paths(key)) for key in ("all", "any"))
    for key in ("all", "any"):
        if any(text == "keyless" or "://" in text for text in table.texts(key)):
            raise table.problem(key, "only files with public keys count", Advice("export-public-key"))
    if set(every) & set(some):
        raise table.problem("any", "a file of all stands in it, too")
    return CosignKeys(every, some, table.threshold("threshold", len(some)), source)


def _once(table: Section, key: str, found: tuple[_T, ...]) -> tuple[_T, ...]:
    """Return what a list names, if it names anything, and nothing twice."""
    if key in table.names() and not found:
        raise table.problem(key, "it names nothing")
    if len(set(found)) != len(found):
        raise table.problem(key, "it names one twice")
    return found
