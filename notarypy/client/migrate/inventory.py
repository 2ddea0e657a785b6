"""What a repository has on the day of its migration, and what became of it: frozen values to be printed.

What it is: the results of `reporting` and `resigning`. What it is not: the judgement of `verify`: a tag is
here whether it may be used or not, with what is wrong with it.

A tag is `served` as `same`, which is what was signed; `moved`, which is something else, `found`; `gone`; or
`unknown`, and then `problem` says why nobody could be asked, or what came. Of a tag that moved or is gone
`kept` tells whether the registry has the signed image still, by its digest. A `problem` of a tag that is
served is what the trust policy requires and it lacks. `signatures` are new ones by keys that were given;
`others` say of those that do not count how many there are, and why; `missing` are those that are wanted
beside them: a form, or a form of what an index lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.client.cosign.writing import SignatureState
    from notarypy.client.verdicts import RoleEntry
    from notarypy.cosign.signatures import OtherSignatures
    from notarypy.errors import NotarypyError

Served = Literal["same", "moved", "gone", "unknown"]


@dataclass(frozen=True)
class ReportedSignature:
    """A signature of the new kind that is valid for a tag: its form, `bundle` or `sig`, and whose key.

    `reference` is the name that is signed, None if only the digest is.
    """

    form: str
    key: str
    reference: str | None = None


@dataclass(frozen=True)
class ReportedTag:
    """A released tag; `digest` and `size` are the signed ones, None where what is signed is no image.

    `role` releases it, `signers` list the same content, and what that rests on `expires` at the earliest.
    `platforms` are those of an index that the registry has.
    """

    repository: str
    tag: str
    digest: str | None
    size: int | None
    role: str
    signers: tuple[str, ...]
    expires: datetime | None
    platforms: tuple[str, ...] = ()
    served: Served = "unknown"
    found: str | None = None
    kept: bool | None = None
    signatures: tuple[ReportedSignature, ...] = ()
    others: tuple[OtherSignatures, ...] = ()
    problem: NotarypyError | None = None
    missing: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"

    @property
    def migrated(self) -> bool:
        """Whether it is served as signed, lacks nothing, and keys that were given signed it the new way."""
        signed = bool(self.signatures) and not self.missing
        return self.served == "same" and self.problem is None and signed


@dataclass(frozen=True)
class Loss:
    """What Notary says of a repository and new signatures would not: its name, and how it is here."""

    name: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportedRepository:
    """A repository: its roles, released tags in natural order, and what would be lost.

    `error` is the worst of what keeps it from being done; the repository itself may be what cannot be read.
    A mirror is `signed_as` its GUN; `root_pins` are as in `results`. `time` is when it was looked at.
    """

    repository: str
    time: datetime | None = None
    server: str | None = None
    signed_as: str | None = None
    root_pins: tuple[str, ...] = ()
    roles: tuple[RoleEntry, ...] = ()
    tags: tuple[ReportedTag, ...] = ()
    losses: tuple[Loss, ...] = ()
    error: NotarypyError | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many tags there are, are served in each way, lack something, and are done."""
        served = [tag.served for tag in self.tags]
        return {
            "tags": len(served),
            **{way: served.count(way) for way in ("same", "moved", "gone", "unknown")},
            "signed": sum(bool(tag.signatures) for tag in self.tags),
            "migrated": sum(tag.migrated for tag in self.tags),
        }


@dataclass(frozen=True)
class SignedManifest:
    """A manifest or index of a tag, and what became of its signatures in each form.

    They are `written` now, were `there` before, or are `missing` in a dry run; None for a form that was not
    wanted: cosign's two, or notation's. What is for no platform has none.
    """

    digest: str
    platform: str
    sig: SignatureState | None
    bundle: SignatureState | None
    notation: SignatureState | None = None


@dataclass(frozen=True)
class ResignedTag:
    """A tag that is signed as cosign does, or notation, by the key with this canonical id.

    A mirror is `signed_as` its GUN. Of the `manifests` the first is that of the tag itself.
    """

    repository: str
    tag: str
    digest: str
    key: str
    role: str
    signers: tuple[str, ...]
    signed_as: str | None
    manifests: tuple[SignedManifest, ...]

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"

    @property
    def name(self) -> str:
        """`signed_as:tag`, which is what cosign's signatures name."""
        return f"{self.signed_as or self.repository}:{self.tag}"

    @property
    def states(self) -> frozenset[SignatureState]:
        """What became of the signatures, all together."""
        found = (state for one in self.manifests for state in (one.sig, one.bundle, one.notation))
        return frozenset(state for state in found if state is not None)
