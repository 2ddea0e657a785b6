"""The way out of Notary: what `Client.migration` offers.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import VerifyOptions, require_lists
from notarypy.cosign.signatures import FORMS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from notarypy.client.migrate.inventory import ReportedRepository, ResignedTag
    from notarypy.client.parameters import Progress
    from notarypy.client.results import PolicyFiles
    from notarypy.client.session import Session
    from notarypy.client.workers import Outcome


class Migration:
    """From the verified state of Notary to signatures and policies of today."""

    def __init__(self, session: Session) -> None:
        """Migrate with a client's session."""
        self._session = session

    def policy(
        self,
        kind: str,
        repositories: Sequence[str] = (),
        *,
        keys: Sequence[bytes] = (),
        signer_keys: Mapping[str, Sequence[bytes]] | None = None,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
    ) -> PolicyFiles:
        """Return the policy of another program that requires of cosign's signatures what is required here.

        `keys` are public keys, PEM, one of which signs each release; `signer_keys` those of signers, by name;
        an empty list means those that the delegations have. Of the repositories the delegations are read;
        without any, each scope of the trust policy counts.
        `signers`, `all_signers` and `root` are those of `VerifyOptions`. UsageError: there is no key for a
        signer who is required.
        """
        from notarypy.client.migrate.equivalent import policy_files
        from notarypy.client.migrate.policies.rules import PolicyKeys

        require_lists(keys=keys, repositories=repositories)
        options = VerifyOptions(signers, all_signers, root)
        known = PolicyKeys.of(keys, signer_keys or {})
        return policy_files(self._session, kind, repositories, known, options)

    def cosign(
        self,
        references: Sequence[str],
        *,
        key: str,
        forms: Sequence[str] = FORMS,
        children: bool = True,
        dry_run: bool = False,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[str, Outcome[ResignedTag]], None, None]:
        """Verify tags, and sign their digests as cosign does; yield each with what became of it, in order.

        A reference without a tag stands for every released tag; a tag comes once. What is there and valid is
        left alone. `key` is a KEY, file or URI; `forms` are `bundle` and `sig`; `children` signs what an
        index lists, too; a `dry_run` signs and writes nothing. `signers`, `all_signers` and `root` are those
        of `VerifyOptions`; `progress` counts steps. What is raised is raised when the first is asked for.

        Raises:
            UsageError: A reference has a digest and no tag, or the key is a root key.
            KeyMissingError, KeyAccessError, UnsupportedKeyError: The key cannot be had, or cannot sign so.
        """
        from notarypy.client.migrate.resigning import ResignOptions, resign

        require_lists(references=references, forms=forms)
        how = ResignOptions(key, tuple(forms), children, dry_run)
        required = VerifyOptions(signers, all_signers, root)
        return resign(self._session, references, how, required, progress or self._session.progress)

    def notation(
        self,
        references: Sequence[str],
        *,
        key: str,
        certificates: bytes,
        dry_run: bool = False,
        signers: Sequence[str] = (),
        all_signers: bool = False,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[str, Outcome[ResignedTag]], None, None]:
        """Verify tags, and sign their digests as notation does, under certificates; else as `cosign`.

        `certificates` are PEM, the key's first and then those that issued it, to the root. Of an index the
        index alone is signed, as notation does it. What is raised is raised when the first is asked for.

        Raises:
            UsageError: A reference has a digest and no tag, or the certificates are none for notation, or
                not for this key.
            KeyMissingError, KeyAccessError, UnsupportedKeyError: The key cannot be had, or cannot sign so.
        """
        from notarypy.client.migrate.resigning import ResignOptions, resign

        require_lists(references=references)
        how = ResignOptions(key, children=False, dry_run=dry_run, certificates=certificates)
        required = VerifyOptions(signers, all_signers, root)
        return resign(self._session, references, how, required, progress or self._session.progress)

    def report(
        self,
        repositories: Sequence[str],
        *,
        keys: Mapping[str, bytes] | None = None,
        forms: Sequence[str] = FORMS,
        children: bool = True,
        root: str | None = None,
        progress: Progress | None = None,
    ) -> Generator[Outcome[ReportedRepository], None, None]:
        """Yield what repositories have and what is missing, in the order given; nothing is changed.

        `keys` are public keys of new signatures, PEM, by the names that the report calls them; without any
        nothing counts as signed the new way. `forms` and `children` are those of `cosign`, which would have
        nothing to write for a tag that is done; without forms any signature that `verify` counts will do.
        `root` is a pin to be met. What is wrong with a repository, one
        that cannot be read too, is its `error`; None if each released tag is served as signed, and signed the
        new way. `progress` is given how far it is, in place of the client's.
        """
        from notarypy.client.migrate.reporting import report

        require_lists(repositories=repositories, forms=forms)
        told = progress or self._session.progress
        return report(self._session, repositories, keys or {}, root, told, forms=forms, children=children)
