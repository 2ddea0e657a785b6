"""The part of Client that says whether an image may be used.

What it is: the calls behind `verify`. What it is not: usable alone; `api.Client` is the
class to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import Advice, NotVerifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.admit import Shelf
    from notarypy.client.results import SkippedImage, VerifiedImage
    from notarypy.client.session import Session
    from notarypy.tuf.trusted import TrustedMetadata


class Gate:
    """What a Client can do with images that others signed. All of it obeys the trust policy."""

    _session: Session

    def refresh(self, repository: str, *, root: str | None = None) -> TrustedMetadata:
        """Return a repository's current metadata, fully verified, as `verify` reads it.

        Args:
            repository: The repository, or a reference in it.
            root: A PIN that its root must meet.

        Raises:
            TrustError: There is none, or it cannot be verified, or the trust policy has no scope for it.
        """
        from notarypy.client.admit import Demands, metadata, scope_of

        scope = scope_of(self._session, repository, Demands(root=root))
        return metadata(self._session, repository, None if scope and scope.mode == "skip" else scope, root)

    def verify(
        self,
        reference: str,
        *,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        registry: bool = True,
        metadata: TrustedMetadata | None = None,
    ) -> VerifiedImage:
        """Verify that an image is signed, and that the registry serves it as signed.

        Args:
            reference: `REPO[:TAG][@DIGEST]`.
            signers: Signers who must have signed this very digest.
            all_signers: Require every signer of the repository.
            root: A PIN that the repository's root must meet.
            registry: Compare with what the registry serves.
            metadata: Metadata of this repository from `refresh`, to verify many tags of it at once
                while none of it has ended; a `root` is then what `refresh` is told.

        Raises:
            TagUnsignedError: It is not signed.
            VerificationError: Something does not match.
            PolicyError: A required signer has not signed it, or the trust policy is not met.
            NotVerifiedError: The trust policy says to skip it: `admit` would.
        """
        from notarypy.client.admit import Demands, admit
        from notarypy.client.results import SkippedImage

        if metadata is not None and root is not None:
            raise RuntimeError("a root is checked by refresh, not beside metadata that it returned")
        demands = Demands(signers, all_signers, root, registry)
        image = admit(self._session, reference, demands, metadata)
        if isinstance(image, SkippedImage):
            raise NotVerifiedError(
                f"{image.reference} was not verified",
                why=f'the scope "{image.policy.scope}" of the trust policy says skip',
                advice=Advice("require-or-admit"),
            )
        return image

    def admit(
        self,
        reference: str,
        *,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        registry: bool = True,
        shelf: Shelf | None = None,
    ) -> VerifiedImage | SkippedImage:
        """Verify an image unless the trust policy says to skip it; see `verify`.

        Args:
            reference: `REPO[:TAG][@DIGEST]`.
            signers: Signers who must have signed this very digest.
            all_signers: Require every signer of the repository.
            root: A PIN that the repository's root must meet.
            registry: Compare with what the registry serves.
            shelf: Keeps metadata for the next images of the same repository, with the same `root`.
        """
        from notarypy.client.admit import Demands, admit

        return admit(self._session, reference, Demands(signers, all_signers, root, registry), shelf=shelf)
