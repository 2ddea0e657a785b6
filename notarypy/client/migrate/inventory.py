"""What a repository has on the day of its migration: frozen values, with nothing to print.

What it is: the result of `reporting`. What it is not: the judgement of `verify`: a tag is here whether it may
be used or not, with what is wrong with it.

A tag is `served` as `same`, which is what was signed; `moved`, which is something else, `found`; `gone`; or
`unknown`, and then `problem` says why nobody could be asked, or what came. Of a tag that moved or is gone
`kept` tells whether the registry has the signed image still, by its digest. A `problem` of a tag that is
served is what the trust policy requires and it lacks. `signatures` are new ones by keys that were given;
`others` say of those that do not count how many there are, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

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

    @property
    def reference(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"

    @property
    def migrated(self) -> bool:
        """Whether it is served as signed, lacks nothing, and a key that was given signed it the new way."""
        return self.served == "same" and self.problem is None and bool(self.signatures)


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
