"""The part of Client that moves images: from files to a registry, to files, between registries.

What it is: the calls behind `push`, `pull`, `copy` and `sign --push`. What it is not:
usable alone; `api.Client` is the class to make.

Rules:

1. What leaves a registry was verified; the trust policy is obeyed as by `verify`.
2. What is signed is the digest that was pushed, and no other. Whether the keys here may
   sign it is looked at before anything is sent.
3. A digest never changes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from notarypy.client.authoring import Authoring
from notarypy.client.gate import Gate
from notarypy.errors import Advice, NotVerifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.admit import Demands
    from notarypy.client.push import Shipment
    from notarypy.client.results import SignedTag, SkippedImage, VerifiedImage
    from notarypy.client.transfers import CopiedImage, Progress, PulledImage, PushedImage
    from notarypy.images.reference import Reference
    from notarypy.images.tree import Tree


@dataclass(frozen=True)
class _Signing:
    """How what is moved is to be signed; see `Authoring.sign`."""

    signer: str | None = None
    custom: bytes | None = None
    discard_unverified: bool = False


class Transfer(Gate, Authoring):
    """What a Client can do with whole images."""

    def push(self, source: str, reference: str, *, progress: Progress | None = None) -> PushedImage:
        """Send an image from files to a registry, unsigned.

        Args:
            source: `oci:DIR[:TAG]`, `oci-archive:TAR[:TAG]` or `docker-archive:TAR[:REF]`.
            reference: What it is to be called; a digest in it must be that of the image.
            progress: Told how far it is.

        Raises:
            VerificationError: The source, or the registry, has something else than it says.
            NetworkError: The registry did not take it.
        """
        target, shipment = self._outgoing(source, reference)
        return self._push(shipment, target, progress)

    def sign_pushed(
        self,
        source: str,
        reference: str,
        *,
        signer: str | None = None,
        custom: bytes | None = None,
        init: bool = False,
        discard_unverified: bool = False,
        progress: Progress | None = None,
    ) -> tuple[PushedImage, SignedTag]:
        """Send an image from files to a registry, and sign exactly its digest.

        Args:
            source: See `push`.
            reference: `REPO[:TAG]`.
            signer: See `sign`, as the other arguments.
            custom: JSON to attach.
            init: Initialise a repository that has no trust data.
            discard_unverified: Start over files that cannot be verified.
            progress: Told how far it is.

        Raises:
            KeyNotAuthorisedError: No key here may sign it; nothing was sent.
        """
        target, shipment = self._outgoing(source, reference)
        options = _Signing(signer, custom, discard_unverified=discard_unverified)
        if init:
            self.init(target.repository)
        self._rehearse(shipment.tree, target, options)
        pushed = self._push(shipment, target, progress)
        return pushed, self._sign_exactly(pushed, target, options)

    def pull(
        self,
        reference: str,
        destination: str,
        *,
        platform: str | None = None,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> PulledImage:
        """Verify an image and bring it into an OCI layout.

        Args:
            reference: See `verify`, as `signers`, `all_signers` and `root`.
            destination: `oci:DIR[:TAG]` or `oci-archive:TAR[:TAG]`; the tag is the image's if not given.
            platform: Only this `os/architecture[/variant]` of an index.
            signers: Signers who must have signed this very digest.
            all_signers: Require every signer of the repository.
            root: A PIN that the repository's root must meet.
            progress: Told how far it is.

        Raises:
            TrustError: It is not signed or not trustworthy; nothing was written.
            DigestMismatchError: The registry serves something else; the layout does not name it.
        """
        from notarypy.client import pull
        from notarypy.client.admit import Demands
        from notarypy.client.crew import Tally
        from notarypy.client.fetch import RemoteImage
        from notarypy.client.transfers import PulledImage
        from notarypy.storage import sources

        place = sources.destination(destination)
        self._online("pull")
        pull.check(place)
        image = self._verified(reference, Demands(signers, all_signers, root))
        parsed = self._session.parse(reference)
        remote = RemoteImage(self._session.registry(parsed), parsed.path)
        tree, left_out = remote.tree(remote.top(image.digest, image.size), platform)
        self._tell_foreign(tree, "fetched")
        name = place.name or image.tag or image.digest
        counts = pull.pull(remote, tree, place, name, Tally(progress))
        return PulledImage(
            repository=image.repository,
            tag=image.tag,
            digest=image.digest,
            verified=_is_verified(image),
            destination=f"{place.kind}:{place.path}:{name}",
            stored=tree.top.descriptor.digest,
            platforms=(platform,) if platform else tree.platforms,
            left_out=left_out,
            fetched=len(counts.fetched),
            reused=len(counts.reused),
            foreign=tuple(blob.digest for blob in tree.foreign),
            policy=image.policy,
        )

    def copy(
        self,
        source: str,
        destination: str,
        *,
        sign: bool = False,
        signer: str | None = None,
        init: bool = False,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> CopiedImage:
        """Verify an image and copy it, all platforms, to another name, with the same digest.

        Args:
            source: See `verify`, as `signers`, `all_signers` and `root`.
            destination: `REPO[:TAG]`.
            sign: Sign the copy under its new name.
            signer: Sign only as this signer (and release).
            init: Initialise the new name's repository if it has no trust data.
            signers: Signers who must have signed this very digest.
            all_signers: Require every signer of the repository.
            root: A PIN that the repository's root must meet.
            progress: Told how far it is.
        """
        from notarypy.client.admit import Demands
        from notarypy.client.fetch import RemoteImage
        from notarypy.client.push import Shipment, check_digest
        from notarypy.client.sign import tagged
        from notarypy.client.transfers import CopiedImage

        target = tagged(destination)
        self._online("copy")
        image = self._verified(source, Demands(signers, all_signers, root))
        if sign and not _is_verified(image):
            raise NotVerifiedError(
                f"{image.reference} was not verified, so no copy of it is signed",
                why="the trust policy says to skip it",
                advice=Advice("copy-then-sign"),
            )
        parsed = self._session.parse(source)
        remote = RemoteImage(self._session.registry(parsed), parsed.path)
        tree, _ = remote.tree(remote.top(image.digest, image.size))
        check_digest(tree, target)
        origins = (parsed.path,) if parsed.api_host == target.api_host and parsed.path != target.path else ()
        options = _Signing(signer)
        if sign and init:
            self.init(target.repository)
        if sign:
            self._rehearse(tree, target, options)
        self._tell_foreign(tree, "copied")
        pushed = self._push(Shipment(tree, remote, lambda _: origins), target, progress)
        signed = self._sign_exactly(pushed, target, options) if sign else None
        return CopiedImage(image.reference, _is_verified(image), pushed, signed)

    def _outgoing(self, source: str, reference: str) -> tuple[Reference, Shipment]:
        """Open a source and say where it goes; nothing is sent yet."""
        from notarypy.client.push import Shipment, check_digest
        from notarypy.client.sign import tagged
        from notarypy.storage import sources

        place, target = sources.source(source), tagged(reference)
        self._online("push")
        opened = sources.open_source(place, self._session.limits)
        check_digest(opened.tree, target)
        for note in opened.notes:
            self._session.warn(note)
        self._tell_foreign(opened.tree, "sent")
        host, limits = target.registry, self._session.limits
        return target, Shipment(opened.tree, opened.content, lambda blob: blob.origins(host, limits))

    def _push(self, shipment: Shipment, target: Reference, progress: Progress | None) -> PushedImage:
        from notarypy.client.crew import Tally
        from notarypy.client.push import push

        if target.tag is None:
            target = target.with_tag("latest")
        return push(shipment, self._session.registry(target), target, Tally(progress))

    def _rehearse(self, tree: Tree, target: Reference, wanted: _Signing) -> None:
        """Look whether the keys here may sign an image, before anything is sent (rule 2)."""
        from notarypy.client.rehearse import rehearse
        from notarypy.client.sign import Options, custom_data
        from notarypy.images import manifests

        attached = None if wanted.custom is None else custom_data(wanted.custom)
        top = tree.top
        manifest = manifests.read(top.data, top.descriptor.media_type, self._session.limits)
        options = Options(wanted.signer, attached, wanted.discard_unverified)
        publisher = self._session.publisher(target.repository)
        rehearse(publisher, {target.tag or "latest": manifest}, options)

    def _sign_exactly(self, pushed: PushedImage, target: Reference, wanted: _Signing) -> SignedTag:
        """Sign the digest that was pushed, whatever the tag says by now (rule 2)."""
        text = f"{target.repository}:{pushed.tag}@{pushed.digest}"
        (signed,) = self.sign(
            [text],
            signer=wanted.signer,
            custom=wanted.custom,
            discard_unverified=wanted.discard_unverified,
        )
        return signed

    def _verified(self, reference: str, demands: Demands) -> VerifiedImage | SkippedImage:
        """Verify as `admit` does (rule 1)."""
        from notarypy.client.admit import admit

        return admit(self._session, reference, demands)

    def _online(self, what: str) -> None:
        """Raise UsageError where no registry may be asked."""
        from notarypy.errors import UsageError

        self._session.refuse_literal(what)
        if self._session.settings.offline:
            raise UsageError(f"{what} asks a registry", advice=Advice("leave-out", option="--offline"))

    def _tell_foreign(self, tree: Tree, done: str) -> None:
        for blob in tree.foreign:
            self._session.warn(f"the layer {blob.digest} may not be distributed: it is not {done}")


def _is_verified(image: VerifiedImage | SkippedImage) -> bool:
    from notarypy.client.results import SkippedImage

    return not isinstance(image, SkippedImage)
