"""Cosign's signatures beside Notary's word, in its place, or where it has none.

What it is: whose signatures are required of an image, and what is asked of whom. What it is not: which count
(`cosign.signatures`), their reading (`client.cosign`), or Notary's verdict (`image`).

Rules:

1. The caller requires a key of each file that he gives; the trust policy of each of `all`, and of `threshold`
   of `any`.
2. Of both, Notary is asked first, and cosign about the digest that it vouches for. `audit` softens what the
   policy requires of cosign as it does with signers: Notary vouches for the image all the same.
3. Of either, Notary's answer counts if it has one. Cosign is asked where Notary has none: it lists no such
   image, has expired, cannot be reached, or does not meet what the policy requires of it. What its trust data
   says to be otherwise stays refused (exit 4), and so does what is wrong on this machine. Whatever error that
   ends in says what Notary had to say, too; where cosign cannot be asked, Notary's stands.
4. Of cosign alone no Notary server is asked. The registry says which digest a tag has, and where no signature
   that counts names the tag, a warning says so: an older image that was signed would do as well, and where
   none names the repository either, any image that the key ever signed.
5. Signatures of cosign are in the registry. Where that may not be asked, nothing is taken for their sake.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.cosign.reading import read_signatures
from notarypy.client.parameters import Unverified
from notarypy.client.verdicts import AppliedPolicy, CosignedBy, VerifiedImage
from notarypy.cosign.signaturekeys import VerificationKey, keys_in
from notarypy.cosign.signatures import KeyFile, KeyRequirement, counting
from notarypy.errors import (
    Advice,
    CosignMissingError,
    DigestMismatchError,
    NetworkError,
    NotarypyError,
    RepositoryMissingError,
    TagUnsignedError,
    TrustError,
    UnsupportedKeyError,
    UsageError,
    VerificationError,
)
from notarypy.images.reference import Reference
from notarypy.storage.settings.requiredsignatures import RequiredSignatures
from notarypy.tuf import policy
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.session import Session
    from notarypy.cosign.signatures import CosignSignature
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.storage.settings.requiredsignatures import CosignKeys

_LOG = logging.getLogger(__name__)


def _of_caller(pem: bytes) -> KeyRequirement:
    keys = keys_in(pem)
    return KeyRequirement((KeyFile(" or ".join(key.short for key in keys), keys),))


def of_policy(required: CosignKeys) -> list[KeyRequirement]:
    """Return what the trust policy requires; raise ConfigurationError for files without keys (rule 1)."""
    every = [KeyRequirement((_file(required, path),), 1, required.source) for path in required.every]
    some, known = [], set[VerificationKey]()
    for path in required.some:
        some.append(_file(required, path))
        if not known.isdisjoint(some[-1].keys):
            raise required.unusable(path, "another file of any has the same key", advice=Advice("keep-one"))
        known.update(some[-1].keys)
    return [*every, KeyRequirement(tuple(some), required.threshold, required.source)] if some else every


def _file(required: CosignKeys, path: Path) -> KeyFile:
    try:
        return KeyFile(path.name, keys_in(required.read(path)))
    except UnsupportedKeyError as error:
        raise required.unusable(path, error.message, *error.why) from error


@dataclass(frozen=True)
class CosignVerification:
    """What cosign and Notary say of an image, whose repository is `written` so."""

    session: Session
    asked: Reference
    written: str
    options: VerifyOptions
    scope: Scope | None

    def image(self, by_notary: Callable[[], VerifiedImage]) -> VerifiedImage:
        """Return the image if those vouch for it who have to; else an error of theirs (rules 2 to 5)."""
        options, required = self.options, RequiredSignatures() if self.scope is None else self.scope.require
        # Keys that cannot be read are nobody's answer: that is known before any server is asked.
        by_caller = [_of_caller(pem) for pem in options.also]
        by_policy = [] if required.cosign is None else of_policy(required.cosign)
        if not required.notary and not options.needs_notary:
            return self._alone(by_caller + by_policy)
        if not required.either:
            self._require_registry()
            return self._beside(by_notary(), by_caller, by_policy)
        try:
            image = by_notary()
        except (TrustError, NetworkError) as error:
            if options.needs_notary or isinstance(error, VerificationError):
                raise
            return self._after(error, by_caller + by_policy)
        return self._beside(image, by_caller, []) if by_caller else image

    @property
    def _unasked(self) -> str:
        """The option for which the registry may not be asked, "" if it may."""
        session, options = self.session, self.options
        without = "" if options.registry else "--no-registry"
        return "--gun" if session.literal else "--offline" if session.settings.offline else without

    def _require_registry(self) -> None:
        """Raise UsageError where the registry may not be asked (rule 5)."""
        if option := self._unasked:
            advice = Advice("leave-out", option=option)
            message = f"nobody can say whether cosign signed {self.written}"
            raise UsageError(message, why="its signatures are in the registry", advice=advice)

    def _beside(
        self, image: VerifiedImage, by_caller: list[KeyRequirement], by_policy: list[KeyRequirement]
    ) -> VerifiedImage:
        """Return an image for which Notary vouches, with cosign's signatures (rule 2)."""
        self._require_registry()
        audits = self.scope is not None and self.scope.mode == "audit"
        required = (by_caller, by_policy) if audits else (by_caller + by_policy, [])
        signed, audited = self._signed(image.digest, *required, tagged=False)
        for error in audited:
            self.session.warn(Unverified.in_audit(error))
        applied = image.policy and replace(image.policy, unmet=(*image.policy.unmet, *audited))
        return replace(image, policy=applied, cosign=signed)

    def _alone(self, required: list[KeyRequirement]) -> VerifiedImage:
        """Return an image for which cosign's signatures vouch alone (rule 4)."""
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
        """Return an image of which Notary says nothing but an error (rule 3)."""
        if option := self._unasked:
            raise error.saying(f"whether cosign signed it cannot be asked with {option}") from error
        said = f"{error.message} [{error.code}]"
        try:
            image = self._alone(required)
        except NotarypyError as other:
            raise other.saying(f"Notary does not vouch for it either: {said}", notary=error.code) from error
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
            named = [one for one in counting(found, image) if one.names_tag or (one.reference and not tagged)]
            return not any(each.absent(named) for each in everything)

        found = read_signatures(
            self.session.registry(self.asked),
            self.asked.path,
            digest,
            tuple(keys),
            enough=enough,
            named=[f"{image.repository}:{image.tag}"],
        )
        ours = counting(found.valid, image)
        name = f"{self.written}:{self._tag}" if self._tag else f"{self.written}@{digest}"
        _LOG.debug("%s: signatures of cosign that count: %s", name, ours)
        to_do = self._to_sign(name, tagged=tagged)
        errors = [each.unmet(found, ours, name, to_do) for each in everything]
        if unmet := [error for error in errors[: len(required)] if error is not None]:
            raise policy.together(unmet)
        if tagged and self._tag and not any(one.names_tag for one in ours):
            self._warn_of_tag(f"{name} is {digest}", named=any(one.reference for one in ours))
        signed = (CosignedBy(one.key.public.canonical_id, one.form, one.reference or None) for one in ours)
        return tuple(signed), [error for error in errors[len(required) :] if error is not None]

    def _to_sign(self, name: str, *, tagged: bool) -> Advice:
        """Return how an image is signed: by Notary's word, or by cosign where that has no part in it."""
        if self._tag and not tagged:
            return Advice("sign-with-cosign", reference=name)
        pinned = f"{self.written}@{self.asked.digest or 'DIGEST'}"
        return Advice("sign-with-cosign-itself", identity=f"{self._gun}:{self._tag or 'TAG'}", pinned=pinned)

    def _warn_of_tag(self, what: str, *, named: bool) -> None:
        nothing = "tag" if named else "repository"
        taken = "any signed image of it" if named else "any image that the key signed"
        self.session.warn(
            f"{what} by the registry's word alone: the signature names no {nothing}, "
            f"so {taken} would be taken as well"
        )
