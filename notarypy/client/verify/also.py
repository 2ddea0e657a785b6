"""Cosign's signatures beside Notary's word, in its place, or where it has none.

What it is: which signatures count for an image, whether these are enough, and what is asked of whom. What it
is not: the reading of signatures (`client.cosign`), or Notary's verdict (`image`).

Rules:

1. A file of keys has one or more, and a signature by any of them counts for the file. The caller requires one
   for each file that he gives; the trust policy for each of `all`, and for `threshold` of `any`, of which no
   two may have one key.
2. A classic signature names an image, and counts for that: the repository, for a mirror the one that it
   mirrors; and the tag, where one was asked for and the name has one.
3. A bundle names nothing but the digest, and so does a classic signature without a name. It counts, unless
   all that its key has named for this digest are other images: then it was not signed as this one.
4. Of both, Notary is asked first, and cosign about the digest that it vouches for. `audit` softens what the
   policy requires of cosign as it does with signers: Notary vouches for the image all the same.
5. Of either, Notary's answer counts if it has one. Cosign is asked where Notary has none: it lists no such
   image, has expired, cannot be reached, or does not meet what the policy requires of it. What its trust data
   says to be otherwise stays refused (exit 4), and so does what is wrong on this machine.
6. Of cosign alone no Notary server is asked. The registry says which digest a tag has, and where no signature
   that counts names the tag, a warning says so: an older image that was signed would do as well.
7. Signatures of cosign are in the registry. Where that may not be asked, nothing is taken for their sake.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.cosign.reading import read_signatures
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import AppliedPolicy, CosignedBy, VerifiedImage
from notarypy.cosign.signaturekeys import VerificationKey, keys_in
from notarypy.errors import (
    Advice,
    AuthenticationError,
    CosignMissingError,
    DigestMismatchError,
    InvalidNameError,
    NetworkError,
    NotarypyError,
    RepositoryMissingError,
    TagUnsignedError,
    TrustError,
    UnsupportedKeyError,
    UsageError,
    VerificationError,
)
from notarypy.images import reference as references
from notarypy.images.reference import Reference
from notarypy.storage.settings.vouchers import Vouchers
from notarypy.tuf import policy, roles
from notarypy.tuf.keys import SHORT_KEYID
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from notarypy.client.cosign.reading import CosignSignature, Signatures
    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.session import Session
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.vouchers import CosignKeys

_LOG = logging.getLogger(__name__)
_SHOWN = 3


# What is required (rule 1)


@dataclass(frozen=True)
class KeyFile:
    """The keys of one file, of which any will do, and what the file is called."""

    name: str
    keys: tuple[VerificationKey, ...]


@dataclass(frozen=True)
class KeyRequirement:
    """So many files of which a key must have signed, and where this is written."""

    files: tuple[KeyFile, ...]
    threshold: int = 1
    source: str = ""

    def absent(self, counting: Sequence[CosignSignature]) -> list[KeyFile]:
        """Return the files of which no key has signed; none if enough have."""
        signed = {one.key for one in counting}
        absent = [file for file in self.files if signed.isdisjoint(file.keys)]
        return absent if len(self.files) - len(absent) < self.threshold else []


def _of_caller(pem: bytes) -> KeyRequirement:
    keys = keys_in(pem)
    return KeyRequirement((KeyFile(" or ".join(map(_short, keys)), keys),))


def _of_policy(required: CosignKeys) -> list[KeyRequirement]:
    every = [KeyRequirement((_file(required, path),), 1, required.source) for path in required.every]
    some, known = [], set[VerificationKey]()
    for path in required.some:
        some.append(_file(required, path))
        if not known.isdisjoint(some[-1].keys):
            raise required.unusable(path, "another file of any has the same key")
        known.update(some[-1].keys)
    return [*every, KeyRequirement(tuple(some), required.threshold, required.source)] if some else every


def _file(required: CosignKeys, path: Path) -> KeyFile:
    try:
        return KeyFile(path.name, keys_in(required.read(path)))
    except UnsupportedKeyError as error:
        raise required.unusable(path, error.message, *error.why) from error


# Which signatures count


def counted(found: Sequence[CosignSignature], asked: Reference) -> list[CosignSignature]:
    """Return the valid signatures of a digest that count for an image (rules 2 and 3)."""
    ours = [one for one in found if one.reference and _names(one.reference, asked)]
    elsewhere = {one.key for one in found if one.reference} - {one.key for one in ours}
    return ours + [one for one in found if not one.reference and one.key not in elsewhere]


def _names(text: str, asked: Reference) -> bool:
    try:
        named = references.parse(text)
    except InvalidNameError:
        return False
    same = roles.comparable(named.repository) == roles.comparable(asked.repository)
    tagged = asked.tag is None or named.tag in {None, asked.tag}
    return same and tagged and named.digest in {None, asked.digest}


def _has_tag(one: CosignSignature) -> bool:
    return bool(one.reference) and references.parse(one.reference).tag is not None


def missing(
    required: KeyRequirement, found: Signatures, counting: Sequence[CosignSignature], name: str
) -> CosignMissingError | None:
    """Return the error for an image that too few of the keys have signed, None if enough have."""
    if not (absent := required.absent(counting)):
        return None
    keys = [key for file in absent for key in file.keys]
    text = f"is not signed by cosign with {', '.join(file.name for file in absent)}"
    if (count := len(required.files)) > required.threshold:
        names = ", ".join(file.name for file in required.files)
        text = f"is signed by cosign with {count - len(absent)} of {names}; {required.threshold} must have"
    ours = [one for one in found.valid if one.key in keys and one.reference][:_SHOWN]
    why = [f"{_short(one.key)} has signed it as {one.reference}" for one in ours]
    why += [
        f"{each.count} of the form {each.form} do not count: {each.why}" for each in found.others[:_SHOWN]
    ]
    return CosignMissingError(
        f"{name} {text}",
        why=(
            *(why or ["the registry has no signature of cosign by which it could be"]),
            *([f"required by {required.source}"] if required.source else []),
        ),
        advice=Advice("sign-with-cosign", reference=name),
        missing=[key.public.canonical_id for key in keys],
        threshold=required.threshold,
    )


def _short(key: VerificationKey) -> str:
    return f"key {key.public.canonical_id[:SHORT_KEYID]}"


# What is asked of whom


@dataclass(frozen=True)
class CosignLook:
    """A look at cosign's signatures of an image, whose repository is `written` so."""

    session: Session
    asked: Reference
    written: str
    options: VerifyOptions
    scope: Scope | None

    def image(self, by_notary: Callable[[], VerifiedImage]) -> VerifiedImage:
        """Return the image if those vouch for it who have to; else an error of theirs (rules 4 to 7)."""
        options, vouchers = self.options, Vouchers() if self.scope is None else self.scope.vouchers
        # Keys that cannot be read are nobody's answer: that is known before any server is asked.
        by_caller = [_of_caller(pem) for pem in options.also]
        by_policy = [] if vouchers.cosign is None else _of_policy(vouchers.cosign)
        if not vouchers.notary and not options.needs_notary:
            return self._alone(by_caller + by_policy)
        if not vouchers.either:
            self._require_registry()
            return self._beside(by_notary(), by_caller, by_policy)
        try:
            image = by_notary()
        except (TrustError, NetworkError, AuthenticationError) as error:
            if options.needs_notary or isinstance(error, VerificationError):
                raise
            return self._after(error, by_caller + by_policy)
        return self._beside(image, by_caller, []) if by_caller else image

    def _require_registry(self) -> None:
        """Raise UsageError where the registry may not be asked (rule 7)."""
        session, options = self.session, self.options
        if session.literal or session.settings.offline or not options.registry:
            option = "--offline" if session.settings.offline else "--no-registry"
            advice = Advice("leave-out", option="--gun" if session.literal else option)
            message = f"nobody can say whether cosign signed {self.written}"
            raise UsageError(message, why="its signatures are in the registry", advice=advice)

    def _beside(
        self, image: VerifiedImage, by_caller: list[KeyRequirement], by_policy: list[KeyRequirement]
    ) -> VerifiedImage:
        """Return an image for which Notary vouches, with cosign's signatures (rule 4)."""
        self._require_registry()
        audits = self.scope is not None and self.scope.mode == "audit"
        required = (by_caller, by_policy) if audits else (by_caller + by_policy, [])
        signed, audited = self._signed(image.digest, *required, tagged=False)
        for error in audited:
            self.session.warn(Unverified.in_audit(error))
        applied = image.policy and replace(image.policy, unmet=(*image.policy.unmet, *audited))
        return replace(image, policy=applied, cosign=signed)

    def _alone(self, required: list[KeyRequirement]) -> VerifiedImage:
        """Return an image for which cosign's signatures vouch alone (rule 6)."""
        self._require_registry()
        asked, written, scope = self.asked, self.written, self.scope
        served = self.session.manifest(asked, asked.tag or asked.digest or "latest")
        if asked.digest not in {None, served.digest}:
            message = f"{written}:{asked.tag} is served with another digest than was asked for"
            why = (f"asked: {asked.digest}", f"served: {served.digest}")
            raise DigestMismatchError(message, why=why, asked=asked.digest, served=served.digest)
        signed, _ = self._signed(served.digest, required, [], tagged=True)
        image = VerifiedImage(written, self._tag, served.digest, served.size, None, (), None, cosign=signed)
        applied = None if scope is None else AppliedPolicy(scope.prefix, scope.mode)
        return replace(image, signed_as=None if self._gun == written else self._gun, policy=applied)

    def _after(self, error: NotarypyError, required: list[KeyRequirement]) -> VerifiedImage:
        """Return an image of which Notary says nothing but an error (rule 5)."""
        said = f"{error.message} [{error.code}]"
        try:
            image = self._alone(required)
        except CosignMissingError as absent:
            absent.why = (*absent.why, f"Notary does not vouch for it either: {said}")
            absent.facts["notary"] = error.code
            raise absent from error
        if not isinstance(error, TagUnsignedError | RepositoryMissingError):
            self.session.warn(f"cosign vouches for {image.reference}, and Notary does not: {said}")
        return image

    @property
    def _tag(self) -> str | None:
        return self.asked.tag or (None if self.asked.digest else "latest")

    @property
    def _gun(self) -> str:
        return self.written if self.scope is None else self.scope.gun(self.written)

    def _signed(
        self, digest: str, required: list[KeyRequirement], audited: list[KeyRequirement], *, tagged: bool
    ) -> tuple[tuple[CosignedBy, ...], list[CosignMissingError]]:
        """Return the signatures that count, and what is not met in `audit`; raise for what is required.

        With `tagged` one of them should name the tag that was asked for, or a warning says that none does.
        """
        registry, _, path = self._gun.partition("/")
        image, everything = Reference(registry, path, self._tag, digest), required + audited
        keys = dict.fromkeys(key for each in everything for file in each.files for key in file.keys)

        def enough(found: Sequence[CosignSignature]) -> bool:
            named = [one for one in counted(found, image) if _has_tag(one) or (one.reference and not tagged)]
            return not any(each.absent(named) for each in everything)

        found = read_signatures(
            self.session.registry(self.asked), self.asked.path, digest, tuple(keys), enough=enough
        )
        counting = counted(found.valid, image)
        name = f"{self.written}:{self._tag}" if self._tag else f"{self.written}@{digest}"
        _LOG.debug("%s: signatures of cosign that count: %s", name, counting)
        errors = [missing(each, found, counting, name) for each in everything]
        if unmet := [error for error in errors[: len(required)] if error is not None]:
            raise policy.together(unmet)
        if tagged and self._tag and not any(map(_has_tag, counting)):
            self.session.warn(
                f"{name} is {digest} by the registry's word alone: the signature names no tag, "
                "so an older image would be taken as well"
            )
        signed = (
            CosignedBy(one.key.public.canonical_id, one.form, one.reference or None) for one in counting
        )
        return tuple(signed), [error for error in errors[len(required) :] if error is not None]
