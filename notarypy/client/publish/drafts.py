"""Finished files of a publish: drafts signed by the keys at hand, and whether readers can read them.

What it is: from a draft to a finished file, the limits of its readers, and which errors were those of keys.
What it is not: what is signed (`tuf.plan`), or sending it (`pipeline`).

Rules:

1. A key that is elsewhere may fail as servers do, that of somebody else's signer by errors of any type, and a
   token that waits for a finger is given up by Ctrl-C. Whoever cleans up after a failure hears that it was a
   key, and that nothing was sent.
2. A client with limits of its own measures by those what it is about to publish, but one with the extended
   ones, which are there to make something smaller, by the usual ones: its readers have no others.
3. What stays beyond a limit, for it was beyond it before, is warned of.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.errors import NotarypyError
from notarypy.limits import DEFAULT, EXTENDED
from notarypy.tuf import canonical, plan
from notarypy.tuf.envelope import Signature
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.client.keys.availablekeys import SigningKeys
    from notarypy.client.metadata.repository import Repository
    from notarypy.tuf.plan import Draft

_LOG = logging.getLogger(__name__)
_SIGNING, _UNANSWERED = "signing", "unanswered"


def sign_draft(draft: Draft, keys: SigningKeys) -> bytes:
    """Return the finished file: the draft signed by each of its keys."""
    signatures = signatures_of(draft, keys)
    return canonical.storage_form(
        canonical.encode(draft.signed), [signature.to_json() for signature in signatures]
    )


def signatures_of(draft: Draft, keys: SigningKeys) -> tuple[Signature, ...]:
    """Return the signature of each of a draft's keys."""
    message = canonical.encode(draft.signed)
    version, ids = draft.signed.get("version"), [key.canonical_id for key in draft.keys]
    _LOG.debug("signing %s, version %s, with %s", draft.role, version, ids)
    signatures = []
    try:
        for key in draft.keys:
            method, raw = keys.unlock(key.canonical_id).sign(message)
            signatures.append(Signature(key.keyid, method, raw))
    except BaseException as error:
        vars(error)[_SIGNING] = draft.role
        raise
    return tuple(signatures)


def note_unanswered(error: BaseException, count: int) -> None:
    """Note on an error that so many uploads before it were sent and not answered."""
    facts = error.facts if isinstance(error, NotarypyError) else vars(error)
    facts[_UNANSWERED] = count


def unanswered(error: BaseException) -> bool:
    """Tell whether something was sent before an error that may still arrive."""
    return _UNANSWERED in (error.facts if isinstance(error, NotarypyError) else vars(error))


def not_signed(error: BaseException) -> bool:
    """Tell whether it was a key that failed (rule 1)."""
    return _SIGNING in vars(error)


def require_readable(
    repository: Repository, files: Mapping[str, bytes], published: Mapping[str, bytes] | None = None
) -> None:
    """Raise UnreadableUpdateError for files readers would refuse, and did not as `published` (rules 2, 3)."""
    limits = DEFAULT if repository.limits == EXTENDED else repository.limits
    ceiling = replace(repository, limits=limits).ceiling
    for error in plan.require_readable(repository.gun, files, ceiling, limits, published):
        why = "; ".join((error.message, *error.why))
        repository.warn(f"readers of {repository.gun} will still refuse something: {why}")
