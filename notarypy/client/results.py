"""What the use cases return: frozen values, with nothing to print and nothing to check.

What it is: the shapes a caller works with. What it is not: JSON; the command
line renders these.

A use case that returns has succeeded; everything else is an exception.

What the use cases about keys and dates return: frozen values, as in `results`.

What it is: the shapes for what was imported, rotated, purged or renewed, and for dates.
What it is not: logic.

What moving images returns, and how it says how far it is.

What it is: frozen values, as those of `results`, and the shape of a progress display.
What it is not: the moving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from notarypy.tuf.keys import meets

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.errors import PolicyError
    from notarypy.keys.keystore import KeyInfo


@dataclass(frozen=True)
class AppliedPolicy:
    """What the trust policy had to say.

    Attributes:
        scope: The prefix of the scope that counted.
        mode: `enforce`, `audit` or `skip`.
        unmet: What is not met; empty unless `mode` is `audit`.
    """

    scope: str
    mode: str
    unmet: tuple[PolicyError, ...] = ()


@dataclass(frozen=True)
class VerifiedImage:
    """An image whose tag or digest is signed, and which the registry serves as signed.

    Attributes:
        repository: `registry/name`: the GUN, or the mirror of it that was asked for.
        tag: The signed tag; for a bare digest the first released tag that has it.
        digest: `sha256:` and 64 hex digits.
        size: Bytes of the manifest.
        role: The releasing role, `targets/releases` or `targets`.
        signers: Short names of the other roles that list the same content, in walking order.
        expires: The earliest expiry date among the files that were relied on.
        signed_as: For a mirror the GUN, whose trust data vouches; else None.
        policy: What the trust policy said; None if there is none.
    """

    repository: str
    tag: str
    digest: str
    size: int
    role: str
    signers: tuple[str, ...]
    expires: datetime
    signed_as: str | None = None
    policy: AppliedPolicy | None = None

    @property
    def reference(self) -> str:
        """`repository@digest`, the form to pull by."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class SkippedImage:
    """An image that the trust policy says to take without verification. Nothing vouches for it.

    Attributes:
        repository: `registry/name`.
        tag: The tag that was asked for; None for a digest alone.
        digest: What the registry serves now, or the digest that was asked for.
        size: Bytes of the manifest; None if the registry was not asked.
        policy: What the trust policy said.
    """

    repository: str
    tag: str | None
    digest: str
    size: int | None
    policy: AppliedPolicy

    @property
    def reference(self) -> str:
        """`repository@digest`, the form to pull by."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class InitResult:
    """A repository that has trust data.

    Attributes:
        repository: The GUN.
        created: False when it had trust data already and nothing was changed.
        root_pins: TUF ids of the root keys, 64 hex digits each: what to pin.
        root_keys: Canonical ids of the root keys: the names of their files.
        keys_here: Base roles whose private key is in this trust directory.
        signers: Short names of the signers.
        server: URL of the Notary server.
    """

    repository: str
    created: bool
    root_pins: tuple[str, ...]
    root_keys: tuple[str, ...]
    keys_here: tuple[str, ...]
    signers: tuple[str, ...]
    server: str


@dataclass(frozen=True)
class SignedTag:
    """One tag after `sign`.

    Attributes:
        repository: The GUN.
        tag: The tag.
        digest: `sha256:` and 64 hex digits.
        size: Bytes of the manifest.
        platforms: `os/architecture[/variant]` of an index; empty for a single image.
        roles: The roles that list it now and were asked to.
        previous: The digest that was signed before, when it differs; else None.
        published: False when everything was signed already, or for a dry run.
        already: Whether all these roles listed this very digest before.
        also_old: Other roles that still list another digest for the tag.
    """

    repository: str
    tag: str
    digest: str
    size: int
    platforms: tuple[str, ...]
    roles: tuple[str, ...]
    previous: str | None
    published: bool
    already: bool
    also_old: tuple[str, ...]

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class RevokedTag:
    """One tag after `revoke`.

    Attributes:
        repository: The GUN.
        tag: The tag.
        digest: The digest that was released before, or that one of `roles` listed; None if it had none.
        roles: The roles that list it no more.
        still: The roles that still list it; their keys are not here, or were not to be used.
        published: False when nothing was left to do.
    """

    repository: str
    tag: str
    digest: str | None
    roles: tuple[str, ...]
    still: tuple[str, ...]
    published: bool

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"

    @property
    def still_released(self) -> bool:
        """Whether `verify`, docker and Go notary still take it as signed."""
        return not {"targets", "targets/releases"}.isdisjoint(self.still)


@dataclass(frozen=True)
class TagEntry:
    """A released tag: docker's row of `SignedTags`, with its digest in full, and signers by short names."""

    tag: str
    digest: str
    signers: tuple[str, ...]


@dataclass(frozen=True)
class RoleEntry:
    """One role: version, expiry, canonical key ids, threshold, paths; `problem` if it cannot be trusted.

    `version` and `expires` are None for a role that is delegated to and not published.
    """

    role: str
    version: int | None
    expires: datetime | None
    keys: tuple[str, ...]
    threshold: int
    paths: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Inspection:
    """Who signed what in one repository.

    Attributes:
        name: The repository as docker would print it: the reference that was asked for, normalised.
        repository: The GUN.
        tags: Released tags in natural order, the signers of each in walking order, as docker has them.
        signers: Name and canonical key ids of every signer, by name descending.
        root_keys: TUF ids of the root keys.
        repository_keys: Canonical ids of the targets keys.
        roles: Every role.
        server: URL of the Notary server.
    """

    name: str
    repository: str
    tags: tuple[TagEntry, ...]
    signers: tuple[tuple[str, tuple[str, ...]], ...]
    root_keys: tuple[str, ...]
    repository_keys: tuple[str, ...]
    roles: tuple[RoleEntry, ...]
    server: str


@dataclass(frozen=True)
class SignerAdded:
    """A signer after `add_signer`: `created` tells whether the repository was initialised for it."""

    repository: str
    role: str
    keys: tuple[str, ...]
    created: InitResult | None
    published: bool


@dataclass(frozen=True)
class SignerRemoved:
    """A signer after `remove_signer`.

    Attributes:
        repository: The GUN.
        role: The delegation.
        resigned: Roles whose file the keys here signed anew, so that its tags stay readable.
        kept: Tags that stay released.
        unreadable: Roles that nobody can verify until one of `needed` signs them (only with force).
        needed: Short names of the signers who can sign those roles again.
    """

    repository: str
    role: str
    resigned: tuple[str, ...]
    kept: tuple[str, ...]
    unreadable: tuple[str, ...]
    needed: tuple[str, ...]


@dataclass(frozen=True)
class TrustedRoot:
    """The roots that `trust` compares, and the one trusted now.

    `trusted` and `offered` are TUF ids; `trusted` is empty on first use.
    """

    repository: str
    trusted: tuple[str, ...]
    trusted_version: int | None
    offered: tuple[str, ...]
    offered_version: int
    accepted: bool


@dataclass(frozen=True)
class PurgedKey:
    """A key after `purge_key`.

    Attributes:
        repository: The GUN.
        key: The canonical id of the key.
        roles: The delegations that have it no more.
        left: Delegations that still have it, for the keys here cannot edit them.
        removed: Those of `roles` that had no other key, and are gone.
        resigned: Roles whose file the keys here signed anew, so that its tags stay readable.
        kept: Tags that stay released.
        unreadable: Roles that nobody can verify until one of `needed` signs them (only with force).
        needed: Short names of the signers who are left.
    """

    repository: str
    key: str
    roles: tuple[str, ...]
    left: tuple[str, ...]
    removed: tuple[str, ...]
    resigned: tuple[str, ...]
    kept: tuple[str, ...]
    unreadable: tuple[str, ...]
    needed: tuple[str, ...]


@dataclass(frozen=True)
class ImportedKey:
    """A key after `import_keys`; `already` tells that it was here before, and is left as it was."""

    key: KeyInfo
    already: bool


@dataclass(frozen=True)
class RotatedKey:
    """A base role after `rotate_key`.

    Attributes:
        repository: The GUN.
        role: `root`, `targets`, `snapshot` or `timestamp`.
        old: Canonical ids of the keys it had before.
        new: Canonical ids of the keys it has now.
        root_pins: TUF ids of the root keys now: what to pin. Earlier pins lead to them.
        server_managed: Whether the server keeps the new key.
        published: False when it was the role's key already.
    """

    repository: str
    role: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    root_pins: tuple[str, ...]
    server_managed: bool
    published: bool


@dataclass(frozen=True)
class RoleStatus:
    """One role and its date.

    Attributes:
        role: The role.
        version: Version of its file; None for a delegation that is not published.
        expires: When it ends; for the root the end of its certificate, if that is earlier.
        keys: Canonical ids of its keys.
        threshold: How many of them sign.
        here: Those of `keys` whose private half is here.
        due: Whether it ends within the window and somebody has to do something about it.
        problem: Why its file cannot be trusted; empty if it can, dates aside.
    """

    role: str
    version: int | None
    expires: datetime | None
    keys: tuple[str, ...]
    threshold: int
    here: tuple[str, ...]
    due: bool
    problem: str

    @property
    def signable(self) -> bool:
        """Whether the keys here can sign it."""
        return meets(self.here, self.threshold)


@dataclass(frozen=True)
class RepositoryStatus:
    """The dates of a repository: every role of it, and those of them that are `due`."""

    repository: str
    server: str
    roles: tuple[RoleStatus, ...]

    @property
    def due(self) -> tuple[RoleStatus, ...]:
        """The roles that end within the window."""
        return tuple(status for status in self.roles if status.due)


@dataclass(frozen=True)
class Renewed:
    """A repository after `renew`.

    Attributes:
        repository: The GUN.
        renewed: The roles that were signed again, as they are now.
        root_pins: TUF ids of the root keys now: what to pin. Earlier pins lead to them.
        published: False when nothing was due.
    """

    repository: str
    renewed: tuple[RoleStatus, ...]
    root_pins: tuple[str, ...]
    published: bool


class Progress(Protocol):
    """Told how far the blobs are; called from several threads, one at a time."""

    def begin(self, what: str, total: int) -> None:
        """Begin to move so many bytes."""
        ...

    def moved(self, count: int) -> None:
        """Note that many more bytes are done; less than nothing where something begins anew."""
        ...

    def end(self) -> None:
        """Note that all is over, well or not."""
        ...


@dataclass(frozen=True)
class PushedImage:
    """An image that is in a registry, read back.

    Attributes:
        repository: `registry/name`.
        tag: Its tag; None when it was pushed by digest alone.
        digest: Of its manifest or index: `sha256:` and 64 hex digits.
        size: Bytes of that.
        platforms: `os/architecture[/variant]` of an index; empty for a single image.
        uploaded: Blobs that were sent.
        mounted: Blobs that the registry took over from another repository.
        present: Blobs that were there.
        sent: Bytes of the blobs that were sent.
        foreign: Digests of layers that nobody may distribute, and that were not sent.
    """

    repository: str
    tag: str | None
    digest: str
    size: int
    platforms: tuple[str, ...]
    uploaded: int
    mounted: int
    present: int
    sent: int
    foreign: tuple[str, ...]

    @property
    def reference(self) -> str:
        """`repository:tag`, or `repository@digest` without a tag."""
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class PulledImage:
    """An image that was verified and is in an OCI layout.

    Attributes:
        repository: `registry/name`.
        tag: The tag that was asked for or found; None for a digest that nothing vouches for.
        digest: The verified digest.
        verified: False only where the trust policy says to skip the verification.
        destination: Where it is, as a SOURCE is written.
        stored: The digest that the layout names: the verified one, or the chosen platform's.
        platforms: What an index has for platforms and was fetched.
        left_out: Platforms of the index that were not fetched.
        fetched: Blobs that were fetched.
        reused: Blobs that were there.
        foreign: Digests of layers that nobody may distribute, and that are not there.
        policy: What the trust policy said; None if there is none.
    """

    repository: str
    tag: str | None
    digest: str
    verified: bool
    destination: str
    stored: str
    platforms: tuple[str, ...]
    left_out: tuple[str, ...]
    fetched: int
    reused: int
    foreign: tuple[str, ...]
    policy: AppliedPolicy | None

    @property
    def reference(self) -> str:
        """`repository@digest`."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class CopiedImage:
    """An image that is under a second name: what was verified, what was pushed, and what was signed."""

    source: str
    verified: bool
    pushed: PushedImage
    signed: SignedTag | None
