"""Whether an image could be signed, found out before it is sent.

What it is: the signing without its last step. What it is not: a promise; others may
publish meanwhile.

Rules:

1. What signing would raise is raised here: no trust data, no key that may sign, a
   passphrase that is missing or wrong, a login that may read and not publish.
2. Nothing is told twice: what there is to warn of is told when it is signed.
3. Where there is nothing to sign, no key is unlocked and no right asked for.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from notarypy.client.publish.pipeline import Published, Publisher, keeps_snapshot
from notarypy.client.publish.signing import sign
from notarypy.images.manifests import OCI_MANIFEST, Manifest
from notarypy.tuf import roles
from notarypy.tuf.plan import plan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from notarypy.client.parameters import SignOptions
    from notarypy.client.publish.pipeline import Wish
    from notarypy.tuf.changes import State


class _Unlocking(Publisher):
    """A publisher whose rehearsal unlocks the keys it would sign with, and asks for the right to publish."""

    def rehearse(self, wish: Wish) -> Published:
        """See `Publisher.rehearse`."""
        done = super().rehearse(wish)
        if done.after.dirty:
            self._unlock(done.after)
            self.repository.online().check_may_publish(self.repository.gun)
        return done

    def _unlock(self, after: State) -> None:
        drafts = plan(after, self.repository.now, self.available(after))
        keys = [key for draft in drafts for key in draft.keys]
        if keeps_snapshot(after.root, self.keys.available):
            keys += [
                key for key in after.root.signers(roles.SNAPSHOT) if key.canonical_id in self.keys.available
            ]
        for key in keys:
            self.keys.unlock(key.canonical_id)


def rehearse(publisher: Publisher, contents: Mapping[str, Manifest], options: SignOptions) -> None:
    """Raise what signing tags would raise (rule 1).

    Raises:
        RepositoryMissingError: There is nothing to sign in.
        KeyAccessError: No key here may sign one of them, or one that has to cannot be unlocked.
        AuthenticationError: The Notary server would not let us publish.
    """
    quiet = replace(publisher, repository=replace(publisher.repository, warn=lambda _: None))
    unlocking = _Unlocking(**{field.name: getattr(quiet, field.name) for field in fields(quiet)})
    sign(unlocking, contents, replace(options, dry_run=True))


def check_signable(publisher: Publisher, tags: Collection[str], options: SignOptions) -> None:
    """Raise what signing tags would raise, whatever they will name (rule 1)."""
    unknown = Manifest(OCI_MANIFEST, f"sha256:{'0' * 64}", 1)
    rehearse(publisher, dict.fromkeys(tags, unknown), options)
