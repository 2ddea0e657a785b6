"""Images, and the registries they are in: what `Client.images` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import PinOptions, Progress, SignOptions, VerifyOptions, require_lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.client.build.builders import Built, Plan
    from notarypy.client.build.inputs import FileKind, PinnedFile
    from notarypy.client.build.resolver import Resolver
    from notarypy.client.results import CopiedImage, LoggedIn, LoggedOut, PulledImage, PushedImage, SignedTag
    from notarypy.client.session import Session
    from notarypy.client.verify.sharing import MetadataCache
    from notarypy.images.manifests import Manifest


class Images:
    """Whole images. SOURCE is `oci:DIR[:TAG]`, `oci-archive:TAR[:TAG]` or `docker-archive:TAR[:REF]`.

    In place of the last part may be `@N`, the image in that place, or `@sha256:...`, the one of that digest.

    `progress` is given how far a call is, in place of the client's. What `signers`, `all_signers`, `root` and
    `also` require of an image is that of `VerifyOptions`; `skip`, `strict` and `check` those of `PinOptions`.
    """

    def __init__(self, session: Session) -> None:
        """Move images with a client's session."""
        self._session = session

    def push(self, source: str, reference: str, *, progress: Progress | None = None) -> PushedImage:
        """Send an image from a SOURCE to a registry, unsigned; a digest in `reference` must be the image's.

        Raises VerificationError: the source, or the registry, has something else than it says.
        """
        from notarypy.client.transfer.pushing import push_source

        return push_source(self._session, source, reference, progress)

    def push_and_sign(
        self,
        source: str,
        reference: str,
        *,
        signer: str | None = None,
        custom: bytes | None = None,
        init: bool = False,
        discard_unverified: bool = False,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> tuple[PushedImage, SignedTag]:
        """Send an image from a SOURCE to a registry, and sign exactly its digest; see `Client.sign`.

        Raises KeyNotAuthorisedError: no key here may sign it; nothing was sent.
        """
        from notarypy.client.transfer.copying import push_and_sign

        signing = SignOptions(signer, custom, discard_unverified, root=root)
        return push_and_sign(self._session, source, reference, signing, init=init, progress=progress)

    def pull(
        self,
        reference: str,
        destination: str,
        *,
        platform: str | None = None,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        also: Sequence[bytes] = (),
        progress: Progress | None = None,
    ) -> PulledImage:
        """Verify an image, as `Client.verify_unless_skipped` does, and bring it into an OCI layout.

        `destination` is `oci:DIR[:TAG]` or `oci-archive:TAR[:TAG]`, with the image's tag if none is given,
        and `platform` the only `os/architecture[/variant]` of an index to bring. TrustError: the image is not
        signed or not trustworthy; nothing was written. DigestMismatchError: the registry serves something
        else; the layout does not name it.
        """
        from notarypy.client.transfer.pulling import pull_image

        options = VerifyOptions(signers, all_signers, root, also=also)
        return pull_image(
            self._session, reference, destination, options, platform=platform, progress=progress
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
        also: Sequence[bytes] = (),
        progress: Progress | None = None,
    ) -> CopiedImage:
        """Verify an image and copy it, all platforms, to `REPO[:TAG]`, with the same digest.

        `sign` signs the copy under its new name, as one `signer` or as all whose keys are here; `init` then
        initialises a repository that has no trust data.
        """
        from notarypy.client.transfer.copying import copy

        options = VerifyOptions(signers, all_signers, root, also=also)
        signing = SignOptions(signer) if sign else None
        return copy(self._session, source, destination, options, signing, init=init, progress=progress)

    def signed_tags(
        self, repository: str, *, root: str | None = None, cache: MetadataCache | None = None
    ) -> list[str]:
        """Return every signed tag of a repository, each of which `Client.verify_unless_skipped` can verify.

        That call takes the same `root`, a pin, and the same `cache`, so that the repository is read once.
        """
        from notarypy.client.verify.inspection import signed_tags
        from notarypy.client.verify.sharing import MetadataCache

        return signed_tags(self._session, repository, root, cache or MetadataCache())

    def has_local(self, reference: str) -> bool:
        """Tell whether the docker daemon of this machine has an image; False where there is no daemon."""
        from notarypy.client.transfer import pushing

        return pushing.has_local(self._session, self._session.parse(reference))

    def push_local(self, reference: str) -> Manifest:
        """Push a tag from the docker daemon of this machine, and return what the registry has then.

        Raises ImageMissingError: the daemon does not have it. NetworkError: there is no daemon, or it could
        not push. DigestMismatchError: the registry has something else than the daemon says it pushed.
        """
        from notarypy.client.transfer import pushing

        return pushing.push_local(self._session, self._session.parse(reference))

    def pin(
        self,
        data: bytes,
        *,
        source: str = "Dockerfile",
        kind: FileKind | None = None,
        build_args: Mapping[str, str] | None = None,
        platform: str | None = None,
        target: str | None = None,
        environment: Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        strict: bool = False,
        check: bool = False,
    ) -> PinnedFile:
        """Verify every image that a file names, and name it by its signed digest.

        `data` is a Dockerfile, a compose file or a Kubernetes manifest, and `kind` says which; None to decide
        by `source`, its name, and content. Build arguments, `platform` and `target`, the stage that is built,
        are those of a Dockerfile; `environment` are the variables of a compose file, and nothing else is
        looked at.

        Raises BuildFileError: the file cannot be read, or does not say which images it means. What fails for
        a single image is raised by `data` of the result.
        """
        from notarypy.client.build.inputs import FileVariables

        resolver = self.resolver(PinOptions(skip, strict, check))
        variables = FileVariables.of(build_args, platform, target, environment)
        found = resolver.file(data, source, kind, variables)
        resolver.warn_of_unused()
        return found

    def resolver(self, options: PinOptions | None = None) -> Resolver:
        """Return what pins several files, with one look at each repository."""
        from notarypy.client.build.resolver import resolver

        return resolver(self._session, options or PinOptions())

    def plan_build(
        self,
        arguments: Sequence[str],
        *,
        builder: str | None = None,
        file: str | None = None,
        sign: str | None = None,
        skip: Sequence[str] = (),
        strict: bool = False,
    ) -> Plan:
        """Read a builder's arguments, and verify and pin the images that the build takes.

        `arguments` come after `docker buildx build` or its like, the context last. `builder` is `buildx`,
        `docker`, `buildah`, `podman` or `kaniko`; None for the first that is here. `file` is the Dockerfile
        if not the usual one in the context. `sign` is a `REPO[:TAG]` to push to and to sign.

        Raises UsageError: the arguments do not say which images the build takes. BuilderError: there is no
        builder.
        """
        from notarypy.client.build.arguments import plan_build

        require_lists(arguments=arguments)
        options = PinOptions(skip, strict, full=True)
        return plan_build(self._session, arguments, options, name=builder, file=file, sign=sign)

    def build(self, plan: Plan) -> Built:
        """Run the builder with every image pinned; sign what it pushed, if that is the plan.

        An image that is not signed, or a result that could not be, is an error before anything is started.
        BuilderError: the builder failed.
        """
        from notarypy.client.build.builders import build

        return build(self._session, plan)

    def login(self, registry: str, user: str, password: str) -> LoggedIn:
        """Log in to a registry, and to the Notary server that is named for it; store what the registry takes.

        It is stored as docker stores it, or in the file of REGISTRY_AUTH_FILE. AuthenticationError: the
        registry refuses it, or the helper program does not keep it; nothing was stored.
        """
        from notarypy.client.logins import login

        return login(self._session, registry, user, password)

    def azure_login(self, registry: str) -> LoggedIn:
        """Log in to a registry of Azure by a token of Azure (extra `azure`), and store that as `login` does.

        Whoever `DefaultAzureCredential` of `azure-identity` finds is who logs in: a workload identity, a
        service principal, a managed identity, `az login`. It is good for about three hours.
        """
        from notarypy.client.logins import azure_login

        return azure_login(self._session, registry)

    def logout(self, registry: str) -> LoggedOut:
        """Erase the login for a registry where `login` stores one."""
        from notarypy.client.logins import logout

        return logout(self._session, registry)
