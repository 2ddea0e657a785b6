"""What verified metadata says of an image and of a role: frozen values, in the words of `results`.

What it is: those results that `verify` needs. What it is not: a decision (`client.verify`). They stand apart
from the others because to make those classes costs 6 % of what `verify` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.jsontext import fields, moment
from notarypy.tuf.keys import meets
from notarypy.tuf.roles import ROOT
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from notarypy.errors import NotarypyError, PolicyError

    _Written = Callable[[NotarypyError], dict[str, Any]]


_ROOT_DAYS = 365


@dataclass(frozen=True)
class AppliedPolicy:
    """What the trust policy had to say: the scope that counted, its mode, and for `audit` what is not met."""

    scope: str
    mode: str
    unmet: tuple[PolicyError, ...] = ()


class ByDigest:
    """An image that goes by its digest."""

    repository: str
    digest: str

    @property
    def reference(self) -> str:
        """`repository@digest`, the form to pull by."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class RoleVersion:
    """One file that was relied on: which version of it, and when that ends."""

    role: str
    version: int
    expires: datetime


@dataclass(frozen=True)
class Evidence:
    """What a verification rests on, for whoever asks later.

    `time` is when it was done, with metadata of `server`, or of the cache alone if `offline`. `compared`
    tells that the registry was asked, and serves what is signed. `root_pins` and `root_keys` are those of the
    root (`results`); `roles` the base roles, the one that releases, and those of signers. Of a trust archive
    `exported` is when it was made, and `server` where that was, both as it says.
    """

    time: datetime
    server: str
    offline: bool
    compared: bool
    root_pins: tuple[str, ...]
    root_keys: tuple[str, ...]
    roles: tuple[RoleVersion, ...]
    exported: datetime | None = None


@dataclass(frozen=True)
class CosignedBy:
    """A signature by cosign that counts: by which `key`, its canonical id, and in which form.

    `form` is `sig` or `bundle`; `reference` is the name that is signed, None if only the digest is:
    bundles that notarypy made name the repository.
    """

    key: str
    form: str
    reference: str | None


@dataclass(frozen=True)
class VerifiedImage(ByDigest):
    """An image whose tag or digest is signed, and which the registry serves as signed.

    A mirror is `signed_as` its GUN. For a bare digest `tag` is the first released one. `role` releases it;
    `signers` list the same content, in walking order. What was relied on `expires` then at the earliest, and
    is in `evidence`. `sha512` is signed beside the digest, where that is so. `cosign` are the signatures that
    were asked for; where they alone vouch for the image, nothing of it `expires`, no `role` releases it,
    there is no `evidence`, and a bare digest has no `tag`.
    """

    repository: str
    tag: str | None
    digest: str
    size: int
    role: str | None
    signers: tuple[str, ...]
    expires: datetime | None
    signed_as: str | None = None
    policy: AppliedPolicy | None = None
    evidence: Evidence | None = None
    sha512: str | None = None
    cosign: tuple[CosignedBy, ...] = ()


@dataclass(frozen=True)
class ReleasedImage(VerifiedImage):
    """An image for which Notary vouches: a role releases it under a tag, and what was relied on ends."""

    tag: str
    role: str
    expires: datetime


@dataclass(frozen=True)
class SkippedImage(ByDigest):
    """An image that the trust policy says to take unverified; nothing vouches for it.

    `tag` is None for a digest alone; `size` is None if no registry was asked, which serves this `digest` now.
    """

    repository: str
    tag: str | None
    digest: str
    size: int | None
    policy: AppliedPolicy


@dataclass(frozen=True)
class RoleEntry:
    """One role with the prefixes it may sign for, and the `problem` if its file cannot be trusted.

    It is `usable` unless too few of its keys can ever sign.
    """

    role: str
    version: int | None
    expires: datetime | None
    keys: tuple[str, ...]
    threshold: int
    paths: tuple[str, ...]
    problem: str
    usable: bool = True


@dataclass(frozen=True)
class FirstRoot:
    """A root that nothing vouches for but itself, as a server shows it of a repository that is not known yet.

    Of keys that signed it, as many as it takes, `root_pins` are the canonical ids, each good for a pin in all
    repositories of that key, `root_keys` the ids in this repository alone, and `certificates` the SHA-256 of
    the certificates. It is not `lasting` where nothing is stored: an archive that is only looked at, or a
    trust directory that could not be written. No `server` has shown it where a file of several people has it,
    on a machine without a network.
    """

    repository: str
    server: str
    root_pins: tuple[str, ...]
    root_keys: tuple[str, ...]
    certificates: tuple[str, ...]
    lasting: bool = True

    @property
    def source(self) -> str:
        """Who shows it, in words."""
        return f"{self.server} answers with" if self.server else "the file that is to be signed has"

    @property
    def keys(self) -> tuple[tuple[str, str, str], ...]:
        """Each key by its canonical id, its id here, and its certificate."""
        return tuple(zip(self.root_pins, self.root_keys, self.certificates, strict=True))


@dataclass(frozen=True)
class RoleStatus:
    """One role and its date: for a root the end of its certificate, if that is earlier.

    `threshold` of `keys` sign; those in `here` are private keys here, of which those in `elsewhere` are only
    noted here, and not in a file. What is `due` ends within the window, and somebody has to do something
    about it. `problem` says why a file cannot be trusted, dates aside; it is `usable` unless too few of its
    keys can ever sign. `days_left` are whole days until it ends, below zero when it has ended.
    """

    role: str
    version: int | None
    expires: datetime | None
    keys: tuple[str, ...]
    threshold: int
    here: tuple[str, ...]
    due: bool
    problem: str
    usable: bool = True
    elsewhere: tuple[str, ...] = ()
    days_left: int | None = None

    @property
    def signable(self) -> bool:
        """Whether the keys here can sign it."""
        return meets(self.here, self.threshold)

    @property
    def ends_soon(self) -> bool:
        """Whether people are warned of it: it is due, or a root with less than a year left.

        docker and Go notary follow to another root only while the one that they know is in date, and a Notary
        server takes one only then.
        """
        left = self.days_left
        return self.due or (self.role == ROOT and left is not None and left < _ROOT_DAYS)


def image_json(image: VerifiedImage | SkippedImage, written: _Written) -> dict[str, Any]:
    """Return the members that stand beside `ref` and `ok`; errors are `written`."""
    verified = None if isinstance(image, SkippedImage) else image
    return {
        "image": image.reference,
        **fields(image, "repository tag digest size"),
        "verified": verified is not None,
        "role": verified and verified.role,
        "signers": verified.signers if verified else (),
        "expires": verified and moment(verified.expires),
        "signed_as": verified and verified.signed_as,
        "cosign": [fields(each, "key form reference") for each in verified.cosign] if verified else (),
        "policy": policy_json(image.policy, written),
        "evidence": verified and verified.evidence and _evidence_json(verified.evidence),
    }


def policy_json(applied: AppliedPolicy | None, written: _Written) -> dict[str, Any] | None:
    """Return what the trust policy said of an image; errors are `written`."""
    unmet = [written(each) for each in applied.unmet] if applied else []
    return {**fields(applied, "scope mode"), "unmet": unmet} if applied else None


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    known = fields(evidence, "time server offline exported compared root_pins root_keys")
    return {**known, "roles": [fields(each, "role version expires") for each in evidence.roles]}
