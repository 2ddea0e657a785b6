"""Signers: who may sign a repository's tags.

What it is: what `delegate add` and `signer add` want to be true. What it is not: how it is published
(`pipeline`), or how signers and paths go (`removing`).

Rules:

1. A signer gets the role `targets/NAME`, and is added to `targets/releases`, where released tags are listed,
   unless asked otherwise.
2. A repository without trust data is initialised in the same publish.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.publish.initialise import Wanted, additions, initialise
from notarypy.client.publish.pipeline import publisher_for
from notarypy.client.results import SignerAdded
from notarypy.errors import Advice, AlreadyExistsError, InvalidNameError
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.session import Session
    from notarypy.tuf.changes import State

_LOG = logging.getLogger(__name__)
_PATTERN = re.compile(r"[*?\[\]]")


def add(
    session: Session,
    name: str,
    repository: str,
    keys: Sequence[bytes],
    *,
    paths: Sequence[str] = ("",),
    releases: bool = True,
) -> SignerAdded:
    """Let the holders of keys sign, and say so if that lets them do more than it may seem (rules 1 and 2)."""
    require_lists(keys=keys, paths=paths)
    role = roles.signer_role(name)
    for path in paths:
        _require_prefix(path)
    public = session.public_keys(keys)
    changes = additions(role, public, paths, releases=releases)
    if releases and "" not in paths:
        _warn_of_releases(session, name, "--no-releases keeps it out")
    publisher = publisher_for(session, repository)
    ids, gun = tuple(key.canonical_id for key in public), publisher.repository.gun
    _LOG.debug("%s: %s gets the keys %s", gun, role, ids)
    if publisher.repository.cache.load_root() is None:
        with suppress(AlreadyExistsError):
            created = initialise(publisher, session.keys(), Wanted(changes=changes))
            if created.created:
                return SignerAdded(gun, role, ids, created, published=True)
    done = publisher.publish(lambda _: changes)
    return SignerAdded(gun, role, ids, None, published=done.uploaded)


def paths_left(session: Session, state: State, role: str) -> tuple[str, ...]:
    """Return the paths that a signer has after some were taken, and say what may surprise."""
    left, name = state.paths(role), roles.signer_name(role)
    if not left:
        session.warn(f"{name} may sign no tag of {state.gun} any more; its keys are listed still")
    if "" in left or role == roles.RELEASES or state.delegation(roles.RELEASES) is None:
        return left
    own, releasing = ({key.canonical_id for key in state.keys_for(of)[0]} for of in (role, roles.RELEASES))
    if own & releasing:
        _warn_of_releases(session, name, "to keep it out, remove the signer and add it with --no-releases")
    return left


def _warn_of_releases(session: Session, name: str, way_out: str) -> None:
    """Say that the paths of a signer who releases tags are no wall."""
    session.warn(
        f"{name} is limited by those who look at signers only: its key is in targets/releases too, "
        f"whose paths cover every tag; {way_out}"
    )


def _require_prefix(path: str) -> None:
    """Refuse a pattern: as a prefix it would stand for no tag, and nobody could sign with it."""
    plain = path.rstrip("*?")
    if _PATTERN.search(path):
        advice = Advice("write-prefix", prefix=plain) if plain and not _PATTERN.search(plain) else None
        why = "a path is a prefix: it admits what begins with it, and no tag has one of * ? [ ] in it"
        raise InvalidNameError(f'"{path}" is a pattern, and no prefix of tags', why=why, advice=advice)
