"""Rotate keys: a new key for a base role, named in a new root.

What it is: what `key rotate` does. What it is not: the keys of signers, which
`delegate` replaces, or how it is published (`publish`).

Rules:

1. Root and targets keys are kept here, the timestamp key by the server, the snapshot
   key by either. Whoever rotates holds the root key.
2. A new root is signed by the old root key and the new one, so that readers can follow.
   A targets key signs the targets file anew, in the same publish.
3. A new private key is on the disk before anything is sent. It is removed again when
   certainly nothing was published, and kept in every other case.
4. The old private key stays here. Whoever lost trust in it removes it by `key remove`.
5. A key that the role has already is published no second time.
6. A root that has ended, or whose certificate has, may still be given another root key:
   it is read as `renew` reads it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from notarypy.client.metadata.expired import refresh_to_renew
from notarypy.client.metadata.refresh import refresh
from notarypy.client.publish.initialise import server_key
from notarypy.client.results import RotatedKey
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConflictError,
    KeyAccessError,
    KeyNotAuthorisedError,
    RefusedUpdateError,
    UsageError,
)
from notarypy.tuf import roles
from notarypy.tuf.changes import AssignKeys, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from notarypy.client.keys.manager import KeyManager
    from notarypy.client.publish.pipeline import Publisher
    from notarypy.tuf.keys import PublicKey

_SHORT = 7
_UNPUBLISHED = (KeyAccessError, UsageError, AuthenticationError, RefusedUpdateError, ConflictError)


@dataclass(frozen=True)
class Rotation:
    """What is asked for: a role's key, the given one or a new one, here or at the server."""

    role: str
    key: str | None = None
    server_managed: bool = False

    def check(self) -> None:
        """Raise UsageError for what no repository can have (rule 1)."""
        if self.role not in roles.BASE_ROLES:
            raise UsageError(
                f"{self.role} is no role whose key is rotated",
                why=f"these are: {', '.join(roles.BASE_ROLES)}",
                advice=Advice("rotate-signer"),
            )
        if self.server_managed and self.role in {roles.ROOT, roles.TARGETS}:
            raise UsageError(
                f"a server cannot keep the {self.role} key",
                advice=Advice("leave-out", option="--server-managed"),
            )
        if self.role == roles.TIMESTAMP and not self.server_managed:
            raise UsageError("the timestamp key is always the server's", advice=Advice("add-server-managed"))
        if self.server_managed and self.key is not None:
            raise UsageError(
                "a key that the server manages is made by the server",
                advice=Advice("leave-out", option="--key"),
            )


def rotate(publisher: Publisher, manager: KeyManager, rotation: Rotation) -> RotatedKey:
    """Give a base role another key (rules 1 to 6).

    Raises:
        UsageError: The role cannot have such a key.
        KeyNotAuthorisedError: The root key is not here.
    """
    rotation.check()
    repository, role = publisher.repository, rotation.role
    publisher = replace(publisher, read=refresh_to_renew if role == roles.ROOT else refresh)
    before = State.of(publisher.read(repository))
    _require_root(before, publisher.keys.available)
    _require_single(before, role)
    if rotation.server_managed:
        new = server_key(repository, role, repository.online().rotate_key(repository.gun, role))
        done = publisher.publish(lambda _: [AssignKeys(role, [new])])
    else:
        with _new_key(publisher, manager, rotation) as new:
            renewed = replace(publisher, keys=manager.signing_keys())
            done = renewed.publish(lambda _: [AssignKeys(role, [new])])
    return RotatedKey(
        repository=repository.gun,
        role=role,
        old=tuple(key.canonical_id for key in before.root.signers(role)),
        new=tuple(key.canonical_id for key in done.after.root.signers(role)),
        root_pins=done.after.root.roles[roles.ROOT].keyids,
        server_managed=rotation.server_managed,
        published=done.uploaded,
    )


@contextmanager
def _new_key(publisher: Publisher, manager: KeyManager, rotation: Rotation) -> Iterator[PublicKey]:
    """Make or take the key, and remove a new one after a failure that published nothing (rule 3)."""
    repository = publisher.repository
    with manager.new_keys(publisher.patience.seconds) as undo:
        try:
            if rotation.role == roles.ROOT:
                key = manager.next_root_key(repository.gun, rotation.key, repository.now)
            else:
                key = manager.role_key(rotation.role, repository.gun, rotation.key)
            yield key
        except _UNPUBLISHED as error:
            if "unanswered" in error.facts:
                error.why = (*error.why, "the new key is kept: what was not answered may still arrive")
            else:
                undo()
            raise


def _require_root(state: State, available: Collection[str]) -> None:
    if state.signable(roles.ROOT, available):
        return
    keys, threshold = state.keys_for(roles.ROOT)
    ids = [key.canonical_id for key in keys]
    raise KeyNotAuthorisedError(
        f"rotating a key of {state.gun} takes its root key, which is not here",
        why=f"{threshold} of these must be here: {', '.join(keyid[:_SHORT] for keyid in ids)}",
        advice=Advice("import-root-key"),
        role=roles.ROOT,
        accepted=ids,
        threshold=threshold,
    )


def _require_single(state: State, role: str) -> None:
    """Refuse a role whose threshold one key cannot meet."""
    threshold = state.keys_for(role)[1]
    if threshold > 1:
        raise UsageError(
            f"{role} of {state.gun} needs {threshold} signatures, and a rotation leaves it one key",
            advice=Advice("keep-threshold"),
        )
