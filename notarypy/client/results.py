"""What the use cases return: frozen values, with nothing to print and nothing to check.

What it is: the shapes a caller works with; a use case that returns one has succeeded. What it is not: JSON.
Those that `verify` needs are in `client.verdicts`.

`repository` is the GUN, `registry/name`; `digest` is `sha256:` and 64 hex digits, `size` the bytes of that
manifest or index; `platforms` are `os/architecture[/variant]` of an index, none for a single image; `foreign`
are digests of layers that nobody may distribute; `keys` are canonical ids, which name the files of keys;
`root_pins` are canonical ids of root keys, to be pinned in every repository with these keys, and earlier pins
lead to them; `root_keys` are the TUF ids of the same keys, which for a key with a certificate are others in
every repository; signers have short names; `server` is the URL of the Notary server; `policy` is None where
there is no trust policy; `published` is False when everything was true already; a role that is delegated to
and not published has no `version`, nor a date. Roles were `resigned` by the keys here so that their tags,
`kept`, stay readable; with force, some become `unreadable` until one of the signers in `needed` signs them
again. Tags that were `resting` on the removed keys alone are `revoked` in the same publish, or stay as they
are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.verdicts import AppliedPolicy, ByDigest, RoleEntry, RoleStatus
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.keys.keyinfo import KeyInfo
    from notarypy.tuf.vouching import RestingTag

_set = object.__setattr__  # the values are frozen


@dataclass(frozen=True)
class _Tagged:
    repository: str
    tag: str

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class LoggedIn:
    """A login that a registry took, and where it is stored: in a file, or `encrypted` by a helper program.

    `tried` is False where the registry asked nobody. `notary` is the Notary server that a setting names for
    the registry, if any, and `notary_refusal` why it is not known to take the login; None if it takes it.
    """

    registry: str
    user: str
    stored_in: str
    encrypted: bool
    tried: bool
    notary: str | None
    notary_refusal: str | None


@dataclass(frozen=True)
class LoggedOut:
    """A registry whose login was `erased` from a file or helper program, if there was one."""

    registry: str
    place: str
    erased: bool


@dataclass(frozen=True)
class InitResult:
    """A repository with trust data, `created` now or before; `keys_here` are base roles whose key is here.

    `root_uris` are where root keys are that are noted here and stay elsewhere; `root_threshold` of the root
    keys sign a root.
    """

    repository: str
    created: bool
    root_pins: tuple[str, ...]
    root_keys: tuple[str, ...]
    keys_here: tuple[str, ...]
    signers: tuple[str, ...]
    server: str
    root_uris: tuple[str, ...] = ()
    root_threshold: int = 1


@dataclass(frozen=True)
class SignedTag(_Tagged):
    """One tag after `sign`; a dry run is not `published`.

    `roles` list it now, as asked; `already` tells that they did before. `previous` is another digest that was
    signed before, if any; `also_old` are other roles that still list another one. `created` is the trust data
    that its repository got for it; the first tag of a repository has it.
    """

    digest: str
    size: int
    platforms: tuple[str, ...]
    roles: tuple[str, ...]
    previous: str | None
    published: bool
    already: bool
    also_old: tuple[str, ...]
    created: InitResult | None = None


@dataclass(frozen=True)
class CheckedKey:
    """A key that has just signed a challenge; `properties` is what its service says of it."""

    key: KeyInfo
    properties: Mapping[str, str]


@dataclass(frozen=True)
class RevokedTag(_Tagged):
    """One tag after `revoke`; `digest` is what was released before, or listed by one of `roles`, if any.

    `roles` list it no more, `still` are those that do: their keys are not here, or were not to be used.
    """

    digest: str | None
    roles: tuple[str, ...]
    still: tuple[str, ...]
    published: bool

    @property
    def still_released(self) -> bool:
        """Whether `verify`, docker and Go notary still take it as signed."""
        return not {"targets", "targets/releases"}.isdisjoint(self.still)


@dataclass(frozen=True)
class TagEntry:
    """A released tag: docker's row of `SignedTags`, with its digest in full."""

    __slots__ = ("digest", "signers", "tag")
    tag: str
    digest: str
    signers: tuple[str, ...]

    def __init__(self, tag: str, digest: str, signers: tuple[str, ...]) -> None:  # there are many
        _set(self, "tag", tag)
        _set(self, "digest", digest)
        _set(self, "signers", signers)


@dataclass(frozen=True)
class Inspection:
    """Who signed what in one repository, which docker would print as `name`.

    `tags` are the released ones in natural order, their signers in walking order; `signers` are names with
    their keys, by name descending. `root_keys` are TUF ids, `repository_keys` canonical ids of targets keys.
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
    threshold: int = 1


@dataclass(frozen=True)
class SignerRemoved:
    """A signer after `remove_signer`; `role` is the delegation, `paths` what is left to it.

    `outside` is what it lists, and may speak for no more; `key` is the only one that went, if one was named.
    `revoked` is None where a dry run found `resting` tags and nobody decided: `kept` has none of them.
    """

    repository: str
    role: str
    resigned: tuple[str, ...]
    kept: tuple[str, ...]
    unreadable: tuple[str, ...]
    needed: tuple[str, ...]
    resting: tuple[RestingTag, ...]
    outside: tuple[RestingTag, ...]
    revoked: bool | None
    published: bool
    paths: tuple[str, ...]
    key: str | None = None


@dataclass(frozen=True)
class TrustedRoot:
    """The roots that `trust` compares, by TUF ids, and whether the offered one is trusted now."""

    repository: str
    trusted: tuple[str, ...]
    trusted_version: int | None
    offered: tuple[str, ...]
    offered_version: int
    accepted: bool


@dataclass(frozen=True)
class PurgedKey:
    """A key after `purge`, no more in `roles`, but yet in those `left`; those `removed` had no other key.

    `revoked` and `kept` are as in `SignerRemoved`.
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
    resting: tuple[RestingTag, ...]
    revoked: bool | None
    published: bool


@dataclass(frozen=True)
class ImportedKey:
    """A key after `import_keys`; `already` tells that it was here before, and is left as it was."""

    key: KeyInfo
    already: bool


@dataclass(frozen=True)
class RotatedKey:
    """A base role after `rotate_key`: canonical ids of its keys before and now, maybe kept by the server.

    `threshold` of the new ones sign it. `legacy` root keys of earlier versions signed the new root too.
    """

    repository: str
    role: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    root_pins: tuple[str, ...]
    server_managed: bool
    published: bool
    threshold: int = 1
    legacy: tuple[str, ...] = ()


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
    """A repository after `renew`: the roles that were signed again, as they are now."""

    repository: str
    renewed: tuple[RoleStatus, ...]
    root_pins: tuple[str, ...]
    published: bool


@dataclass(frozen=True)
class PushedImage:
    """An image that is in a registry, read back; `tag` is None when it was pushed by digest alone.

    Blobs were `uploaded`, of `sent` bytes in all, or `mounted` from another repository, or `present` before.
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
class PulledImage(ByDigest):
    """An image that is in an OCI layout, and not `verified` only if the trust policy says to skip that.

    `destination` is written as a SOURCE is, and names the digest `stored`: the verified one, or that of the
    chosen platform; platforms in `left_out` were not fetched, unlike `platforms`. Blobs were `fetched`, or
    `reused`. `tag` is None for a digest that nothing vouches for.
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


@dataclass(frozen=True)
class CopiedImage:
    """An image that is under a second name: what was verified, what was pushed, and what was signed."""

    source: str
    verified: bool
    pushed: PushedImage
    signed: SignedTag | None


@dataclass(frozen=True)
class PolicyFiles:
    """The policy of another program: texts by the names of files, and `notes` on what these cannot say."""

    kind: str
    files: Mapping[str, str]
    notes: tuple[str, ...]
