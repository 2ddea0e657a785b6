"""Push an image from the docker daemon of this machine, and say what the registry has then.

What it is: what `sign --local` does before it signs. What it is not: signing (`sign`); and no image is
built or tagged.

Rules:

1. The daemon pushes, with the login for that registry that docker would send. The tag in the registry is
   replaced, as with any push.
2. What may be signed is read back from the registry by the digest that the daemon named: a manifest with
   that digest and that size, or nothing. The tag is not asked for: somebody else may have pushed meanwhile.
3. A reference with a digest is refused: what is pushed has the digest that it has.
4. An image that the daemon does not have is not looked for anywhere else.
5. What cannot be signed is not pushed: whether the keys here can sign the tags, whatever is pushed, is
   found out first (`rehearse`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.publish.preview import rehearse
from notarypy.errors import Advice, DigestMismatchError, NetworkError, UsageError
from notarypy.images.manifests import OCI_MANIFEST, Manifest

if TYPE_CHECKING:
    from collections.abc import Collection

    from notarypy.client.parameters import SignOptions
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.client.session import Session
    from notarypy.images.reference import Reference

_LOG = logging.getLogger(__name__)


def check(session: Session, reference: Reference) -> Reference:
    """Return a reference that can be pushed; raise UsageError for any other."""
    session.refuse_literal("pushing")
    if session.settings.offline:
        raise UsageError(f"{reference} is to be pushed", why="--offline allows no request")
    if reference.digest is not None:
        raise UsageError(
            f'"{reference}" names a digest, and what the daemon pushes has its own',
            advice=Advice("write-instead", text=f"{reference.repository}:{reference.tag or 'TAG'}"),
        )
    return reference


def check_signable(publisher: Publisher, tags: Collection[str], options: SignOptions) -> None:
    """Raise what signing tags would raise, whatever is pushed (rule 5).

    Raises:
        RepositoryMissingError: There is nothing to sign in.
        KeyAccessError: No key here may sign one of the tags, or one that has to cannot be unlocked.
        AuthenticationError: The Notary server would not let us publish.
    """
    unknown = Manifest(OCI_MANIFEST, f"sha256:{'0' * 64}", 1)
    rehearse(publisher, dict.fromkeys(tags, unknown), options)


def has(session: Session, reference: Reference) -> bool:
    """Tell whether the daemon has an image; False where there is no daemon."""
    try:
        return session.connections.daemon().has(reference)
    except NetworkError:
        return False


def push(session: Session, reference: Reference) -> Manifest:
    """Push a tag and return the manifest or index that the registry has then.

    Raises:
        UsageError: The reference names a digest, or nothing may be sent.
        ImageMissingError: The daemon does not have it, or the registry has nothing of that digest.
        DigestMismatchError: What the registry has is not what the daemon says it pushed.
    """
    image = check(session, reference)
    name = f"{image.repository}:{image.tag or 'latest'}"
    _LOG.info("the daemon pushes %s", name)
    pushed = session.connections.daemon().push(image, session.connections.credential(image))
    if pushed.partial:
        session.tell(f"the daemon has only a part of the index {name}: it pushed one platform's manifest")
    manifest = session.manifest(image, pushed.digest)
    if (manifest.digest, manifest.size) != (pushed.digest, pushed.size):
        raise DigestMismatchError(
            f"{image.registry} has something else than the daemon says it pushed as {name}",
            why=(
                f"pushed: {pushed.digest}, {pushed.size} bytes",
                f"there: {manifest.digest}, {manifest.size} bytes",
            ),
            expected=pushed.digest,
            actual=manifest.digest,
        )
    return manifest
