"""`notarypy verify`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.cli import references, render
from notarypy.errors import NotarypyError
from notarypy.tuf import roles
from notarypy.tuf.pinning import check_pin

if TYPE_CHECKING:
    from notarypy.cli.references import Name
    from notarypy.cli.session import Session
    from notarypy.client.api import Client
    from notarypy.client.results import VerifiedImage
    from notarypy.tuf.trusted import TrustedMetadata


def verify(
    context: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Images, or digests of them.")],
    *,
    signer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This signer must have signed it. May be repeated."),
    ] = None,
    all_signers: Annotated[
        bool, typer.Option("--all-signers", help="Every signer of the repository must have signed it.")
    ] = False,
    root: Annotated[
        str | None,
        typer.Option(metavar="PIN", help="The repository's root must be this one, or descend from it."),
    ] = None,
    no_registry: Annotated[
        bool, typer.Option("--no-registry", help="Do not compare with what the registry serves.")
    ] = False,
) -> None:
    """Verify that images are signed and served as signed.

    Prints REPO@sha256:DIGEST for each REF, and only if all are good.

    Example:
      notarypy verify registry.example.com/app:1
      skopeo copy docker://$(notarypy verify registry.example.com/app:1) dir:app
    """
    session: Session = context.obj
    session.begin(context, hold=True)
    names = references.read(refs, literal=session.options.gun)
    for required in signer or ():
        roles.signer_role(required)
    asked: dict[str, Any] = {"signers": signer or (), "all_signers": all_signers, "registry": not no_registry}
    pin = None if root is None else check_pin(root)
    with session.client(asking=False) as client:
        shelf = Shelf(client, names, pin)
        for name in names:
            with session.trying(name.text):
                image = client.verify(name.text, **asked, root=pin, metadata=shelf.metadata(name))
                session.report.done(name.text, _result(image), image.reference)


class Shelf:
    """Metadata of the repositories that several REFs are in: each is refreshed once, or fails once."""

    def __init__(self, client: Client, names: list[Name], pin: str | None) -> None:
        self._client, self._pin = client, pin
        self._uses = Counter(name.repository for name in names)
        self._found: dict[str, TrustedMetadata | NotarypyError] = {}

    def metadata(self, name: Name) -> TrustedMetadata | None:
        """Return what several REFs share, None for a REF that is alone in its repository."""
        if self._uses[name.repository] == 1:
            return None
        if name.repository not in self._found:
            try:
                self._found[name.repository] = self._client.refresh(name.text, root=self._pin)
            except NotarypyError as error:
                self._found[name.repository] = error
        found = self._found[name.repository]
        if isinstance(found, NotarypyError):
            raise found
        return found


def _result(image: VerifiedImage) -> dict[str, Any]:
    return {
        "image": image.reference,
        "repository": image.repository,
        "tag": image.tag,
        "digest": image.digest,
        "size": image.size,
        "role": image.role,
        "signers": list(image.signers),
        "expires": render.moment(image.expires),
    }
