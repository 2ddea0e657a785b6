"""The metadata that images are judged by, read once for all that share it.

What it is: which repository and scope an image's metadata is of, and what several images have together. What
it is not: the verdict (`image`), or the refresh.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from notarypy.client.metadata.refresh import refresh
from notarypy.client.parameters import VerifyOptions
from notarypy.errors import NotarypyError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata


class Look:
    """A look at a repository, as one scope reads it: what was `found`, and if its server was `asked` anew."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.Lock(), False
        self.found: TrustedMetadata | NotarypyError | None = None


class MetadataCache:
    """Metadata that several references share: each repository is refreshed once, or fails once.

    Several threads may use it: who comes while a repository is refreshed waits for that.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._looks: dict[tuple[str, str], Look] = {}

    def look(self, gun: str, scope: str) -> Look:
        """Return the look at a repository that counts, maybe one that is still to be taken."""
        return self._looks.setdefault((gun, scope), Look())

    def get(self, gun: str, scope: str, fetch: Callable[[], TrustedMetadata]) -> TrustedMetadata:
        """Return the metadata of a repository as one scope reads it; raise what its refresh raised."""
        look = self.look(gun, scope)
        with look.lock:
            if look.found is None:
                try:
                    look.found = fetch()
                except NotarypyError as error:
                    look.found = error
            found = look.found
        if isinstance(found, NotarypyError):
            raise found
        return found

    def knows(self, gun: str, scope: str) -> bool:
        """Tell whether a repository was refreshed, as one scope reads it."""
        return self.look(gun, scope).found is not None

    def renew(
        self, gun: str, scope: str, repository: Repository, known: TrustedMetadata
    ) -> TrustedMetadata | None:
        """Return what the server itself has that is newer than what is known; None for nothing."""
        look = self.look(gun, scope)
        with look.lock:
            if look.asked:
                found = look.found
                return None if found is known or isinstance(found, NotarypyError) else found
            look.asked = True
            if not repository.has_other(known.files[roles.TIMESTAMP]):
                return None
            self.warn(repository)
            found = look.found = refresh(repository)
            return found

    def warn(self, repository: Repository) -> None:
        """Warn that what was just read is older than what the server has."""
        repository.warn_of_a_cache()


def scope_of(session: Session, text: str, options: VerifyOptions) -> Scope | None:
    """Return the scope that counts for a reference; None without a policy, or set aside (`image`: 7)."""
    scope = session.scope(session.gun(text)[0])
    skipped = scope is not None and scope.mode == "skip"
    return None if skipped and options.needs_verification else scope


def asks_notary(scope: Scope | None, options: VerifyOptions) -> bool:
    """Tell whether Notary has a say in an image: not where it is skipped, or cosign alone is required."""
    return scope is None or (scope.mode != "skip" and (scope.require.notary or options.needs_notary))


def current_metadata(session: Session, text: str, root: str | None) -> TrustedMetadata:
    """Return a repository's metadata as `verify` reads it; a `root` is a pin that it must meet."""
    scope = scope_of(session, text, VerifyOptions(root=root))
    if scope is not None and scope.mode == "skip":
        scope = None
    return refresh(session.repository(text, root, scope, whole=False))


def read_ahead(session: Session, text: str, options: VerifyOptions, cache: MetadataCache) -> None:
    """Have the metadata in the cache by which `verify_unless_skipped` will judge an image."""
    scope, (gun, _) = scope_of(session, text, options), session.gun(text)
    if asks_notary(scope, options):
        gun, prefix = (gun, "") if scope is None else (scope.gun(gun), scope.prefix)
        cache.get(gun, prefix, lambda: refresh(session.repository(text, options.root, scope, whole=False)))
