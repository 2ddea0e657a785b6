"""Signatures of an image that keys made: which of them count for it, and whether these are enough.

What it is: what was read of a digest's signatures, as values, and the judgement of them. What it is not: the
reading (`client.cosign`), or whose keys are asked for (`client.verify.cosignrequirements`).

Rules:

1. A file of keys has one or more, and a signature by any of them counts for the file. So many files are
   required, of which no two have one key.
2. A classic signature names an image, and counts for that: the repository, for a mirror the one that it
   mirrors; and the tag, where one was asked for and the name has one.
3. A bundle has no place for a name. Where notarypy has signed one, the repository of the trust data is among
   its annotations, and it counts for that alone: one bundle stands for all tags of a digest.
4. What names no tag, or nothing but the digest as bundles of cosign do, counts, unless all that its key has
   named for this digest are other images: then it was not signed as this one. So a tag that moved to what is
   signed as another tag is noticed, and so is an image that came along from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.errors import Advice, CosignMissingError, InvalidNameError
from notarypy.images import reference as references
from notarypy.tuf import roles
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.images.reference import Reference

SignatureForm = Literal["bundle", "sig"]
FORMS: tuple[SignatureForm, ...] = ("bundle", "sig")
PREFIX = "io.notarypy."  # of annotations that notarypy signs
GUN = f"{PREFIX}gun"
_SHOWN = 3


@dataclass(frozen=True)
class CosignSignature:
    """A signature that one of the keys made over the digest.

    The reference is the name in a classic text, in a bundle the repository in its annotations, and "" where
    nothing is named. `content` is the digest of the text or bundle.
    """

    form: SignatureForm
    key: VerificationKey
    reference: str
    annotations: Mapping[str, str] = field(compare=False)
    content: str

    @property
    def names_tag(self) -> bool:
        """Whether the tag is signed as well; the reference must be one."""
        return bool(self.reference) and references.parse(self.reference).tag is not None


@dataclass(frozen=True)
class OtherSignatures:
    """So many entries that are no valid signature, of one form and for one reason."""

    form: SignatureForm
    why: str
    count: int


@dataclass(frozen=True)
class Signatures:
    """What was found of a digest's signatures: those that are valid, and why others are not."""

    digest: str
    valid: tuple[CosignSignature, ...] = ()
    others: tuple[OtherSignatures, ...] = ()


def counting(found: Sequence[CosignSignature], asked: Reference) -> list[CosignSignature]:
    """Return the valid signatures of a digest that count for an image (rules 2 to 4)."""
    fitting = [one for one in found if one.reference and _names(one.reference, asked)]
    classic = {one.key for one in found if one.reference and one.form == "sig"}
    ours = [one for one in fitting if one.form == "sig"]
    elsewhere = {one.key for one in found if one.reference} - {one.key for one in fitting}
    elsewhere |= classic - {one.key for one in ours}
    vague = [one for one in fitting if one.form == "bundle"] + [one for one in found if not one.reference]
    return ours + [one for one in vague if one.key not in elsewhere]


def _names(text: str, asked: Reference) -> bool:
    try:
        named = references.parse(text)
    except InvalidNameError:
        return False
    same = roles.comparable(named.repository) == roles.comparable(asked.repository)
    tagged = asked.tag is None or named.tag in {None, asked.tag}
    return same and tagged and named.digest in {None, asked.digest}


@dataclass(frozen=True)
class KeyFile:
    """The keys of one file, of which any will do, and what the file is called."""

    name: str
    keys: tuple[VerificationKey, ...]


@dataclass(frozen=True)
class KeyRequirement:
    """So many files of which a key must have signed, and where this is written (rule 1)."""

    files: tuple[KeyFile, ...]
    threshold: int = 1
    source: str = ""

    def absent(self, counting: Sequence[CosignSignature]) -> list[KeyFile]:
        """Return the files of which no key has signed; none if enough have."""
        signed = {one.key for one in counting}
        absent = [file for file in self.files if signed.isdisjoint(file.keys)]
        return absent if len(self.files) - len(absent) < self.threshold else []

    def unmet(
        self, found: Signatures, counting: Sequence[CosignSignature], name: str, advice: Advice
    ) -> CosignMissingError | None:
        """Return the error for an image that too few of the keys have signed, None if enough have."""
        if not (absent := self.absent(counting)):
            return None
        keys = [key for file in absent for key in file.keys]
        text = f"is not signed by cosign with {', '.join(file.name for file in absent)}"
        if (count := len(self.files)) > self.threshold:
            names = ", ".join(file.name for file in self.files)
            text = f"is signed by cosign with {count - len(absent)} of {names}; {self.threshold} must have"
        ours = [one for one in found.valid if one.key in keys and one.reference][:_SHOWN]
        why = [f"{one.key.short} has signed it as {one.reference}" for one in ours]
        others = found.others[:_SHOWN]
        why += [f"not counted, {each.count} of the form {each.form}: {each.why}" for each in others]
        theirs = sorted({one.key.short for one in found.valid if one.key not in keys})[:_SHOWN]
        why += [f"it is signed with {', '.join(theirs)}, which is another"] if theirs else []
        why = why or ["the registry has no signature of cosign by which it could be"]
        return CosignMissingError(
            f"{name} {text}",
            why=(*why, *([f"required by {self.source}"] if self.source else [])),
            advice=advice,
            missing=[key.public.canonical_id for key in keys],
            threshold=self.threshold,
        )
