"""What a caller may ask of a use case: frozen options that say how, and who is given the progress.

What it is: options that several calls share. What it is not: the options of the command line (`cli`), or
settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypedDict

from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from notarypy.errors import NotarypyError
    from notarypy.images.occurrences import Occurrence

WITHIN = timedelta(days=90)  # how far ahead of their end roles are renewed, unless told otherwise


def require_lists(**given: object) -> None:
    """Raise TypeError for what is no list.

    A single text would be one of its characters, and what can be gone through once is empty ever after: it
    would be required of the first image alone.
    """
    for name, value in given.items():
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
            raise TypeError(f"{name} takes a list, even of one, and no {type(value).__name__}")


class Unverified(str):
    """A warning that something was not verified: it is part of the result, and no option hides it."""

    __slots__ = ()

    @classmethod
    def in_audit(cls, error: NotarypyError) -> Self:
        """Return what is said where the trust policy lets pass what is not met."""
        return cls(f"audit: {error.message} [{error.code}]: {'; '.join(error.why)}")


class FirstUseWarning(Unverified):
    """The warning about a root that nobody has pinned; it says how, with the canonical ids of its keys.

    Attributes:
        keys: Of each of them the canonical id, and the one that it has in the root.
    """

    __slots__ = ("keys",)
    keys: tuple[tuple[str, str], ...]

    def __new__(cls, text: str, keys: Iterable[tuple[str, str]]) -> Self:
        """Return the warning."""
        made = super().__new__(cls, text)
        made.keys = tuple(keys)
        return made


class Progress(Protocol):
    """Given how far the blobs are; called from several threads, one at a time."""

    def begin(self, what: str, total: int) -> None:
        """Begin to move so many bytes."""

    def moved(self, count: int) -> None:
        """Note that many more bytes are done; less than nothing where something begins anew."""

    def end(self) -> None:
        """Note that all is over, well or not."""


class Required(TypedDict, total=False):
    """What a caller requires of an image, as named arguments; see `VerifyOptions`."""

    signers: Sequence[str]
    all_signers: bool
    root: str | None
    registry: bool
    also: Sequence[bytes]


@dataclass(frozen=True)
class VerifyOptions:
    """What the caller requires of an image, whatever the trust policy says.

    Attributes:
        signers: Names or roles of signers who must have signed this very digest.
        all_signers: Whether every signer of the repository must have.
        root: A pin that the repository's root must meet, or None.
        registry: Whether to compare with what the registry serves.
        also: Public keys of cosign, PEM: a signature by one of the keys in each must be there, too.
    """

    signers: Sequence[str] = ()
    all_signers: bool = False
    root: str | None = None
    registry: bool = True
    also: Sequence[bytes] = ()

    def __post_init__(self) -> None:
        """Check what mypy cannot."""
        require_lists(signers=self.signers, also=self.also)
        if not all(isinstance(pem, bytes) for pem in self.also):
            raise TypeError("also takes public keys, PEM, as bytes")

    @property
    def needs_notary(self) -> bool:
        """Whether anything is required that only Notary's metadata can tell."""
        return bool(self.signers or self.all_signers or self.root is not None)

    @property
    def needs_verification(self) -> bool:
        """Whether anything is required that only verification can tell."""
        return bool(self.needs_notary or self.also)


@dataclass(frozen=True)
class SignOptions:
    """How to sign.

    Attributes:
        signer: Sign only as this signer (and release); None for every role whose key is here.
        custom: JSON to attach to each tag.
        discard_unverified: Whether to start over files that cannot be verified.
        dry_run: Whether to check everything and publish nothing.
        root: Pins in place of the configured ones, for a root that is made, too.
    """

    signer: str | None = None
    custom: bytes | None = None
    discard_unverified: bool = False
    dry_run: bool = False
    root: str | None = None


@dataclass(frozen=True)
class RemovalOptions:
    """How to remove a signer or a key.

    Attributes:
        force: Whether tags may become unreadable until others sign them again.
        tags: What becomes of tags that rest on what is removed alone; None to raise UndecidedTagsError.
        dry_run: Whether to check everything and publish nothing; the tags are named all the same.
    """

    force: bool = False
    tags: Literal["keep", "revoke"] | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Check what mypy cannot."""
        if self.tags not in {None, "keep", "revoke"}:
            raise TypeError('tags are to "keep", to "revoke", or None')


@dataclass(frozen=True)
class PinOptions:
    """How to name images by their digests.

    Attributes:
        skip: REFs of images to leave alone; a repository covers all of its images.
        strict: Whether to leave nothing else alone.
        check: Whether to replace nothing; digests that stand there must be the signed ones.
        full: Whether to write names in full, with their registry.
        replaced: Tells whether a build context takes the place of an image.
    """

    skip: Sequence[str] = ()
    strict: bool = False
    check: bool = False
    full: bool = False
    replaced: Callable[[Occurrence], bool] = lambda _: False

    def __post_init__(self) -> None:
        """Check what mypy cannot."""
        require_lists(skip=self.skip)
