"""Whether an image could be signed, found out before it is sent.

What it is: the signing without its last step. What it is not: a promise; others may
publish meanwhile.

Rules:

1. What signing would raise is raised here: no trust data, no key that may sign, a
   passphrase that is missing or wrong.
2. Nothing is told twice: what there is to warn of is told when it is signed.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from notarypy.client.publish import Published, Publisher
from notarypy.client.sign import Options, sign
from notarypy.tuf.plan import plan

if TYPE_CHECKING:
    from notarypy.client.publish import Wish
    from notarypy.images.manifests import Manifest


class _Unlocking(Publisher):
    """A publisher whose rehearsal unlocks the keys that it would sign with."""

    def rehearse(self, wish: Wish) -> Published:
        """See `Publisher.rehearse`."""
        done = super().rehearse(wish)
        for draft in plan(done.after, self.repository.now, self.held(done.after)):
            for key in draft.keys:
                self.keys.unlock(key.canonical_id)
        return done


def rehearse(publisher: Publisher, tag: str, manifest: Manifest, options: Options) -> None:
    """Raise what signing a tag would raise (rule 1).

    Raises:
        RepositoryMissingError: There is nothing to sign in.
        KeyAccessError: No key here may sign it, or one that has to cannot be unlocked.
    """
    quiet = replace(publisher, repository=replace(publisher.repository, warn=lambda _: None))
    unlocking = _Unlocking(**{field.name: getattr(quiet, field.name) for field in fields(quiet)})
    sign(unlocking, {tag: manifest}, replace(options, dry_run=True))
