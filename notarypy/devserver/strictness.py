"""What the real server accepts although nobody can read the repository afterwards.

What it is: the checks that strict mode adds, each with a text that says why. What
it is not: needed by a reader; they exist so that a writer's mistake is seen at once.

Rules:

1. Every posted file is in storage form: a server that makes the snapshot, and every
   Go client, hashes its own re-writing of the file.
2. Targets exist after the update, and are signed by the keys of its root.
3. A posted snapshot lists exactly the newest files, all of them uploaded.
4. The first version of a targets file is 1, or 2 as Go's first publish has it.
5. Versions, lengths and hashes of targets are those that clients other than Go's read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.devserver.reading import rewritten
from notarypy.devserver.update import BAD_ROOT, BAD_SNAPSHOT, BAD_TARGETS, VALIDATION, blaming, invalid
from notarypy.errors import VerificationError
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.metadata import Targets

if TYPE_CHECKING:
    from notarypy.devserver.update import Update

FIRST_VERSIONS = (1, 2)
_NAMES = {roles.ROOT: BAD_ROOT, roles.SNAPSHOT: BAD_SNAPSHOT}


def check(update: Update) -> None:
    """Raise Refused for an update that passed the real server's checks and does harm."""
    for role in (*update.files, roles.SNAPSHOT):
        if role in update.posted:
            with blaming(_NAMES.get(role, BAD_TARGETS)):
                _check_form(role, update.posted[role].data)
    _check_targets(update)
    for role in update.posted_targets():
        if update.stored(role) is None and update.posted[role].version not in FIRST_VERSIONS:
            text = f"the first version of {role} is {update.posted[role].version}, not 1 or 2"
            raise invalid(BAD_TARGETS, text)
    with blaming(BAD_SNAPSHOT):
        _check_snapshot(update)


def _check_form(role: str, data: bytes) -> None:
    file = Envelope.parse(data, role)
    if role not in _NAMES:
        Targets.from_signed(file.signed, role)
    if rewritten(file, role) != data:
        raise VerificationError(
            f"{role} is not in storage form: hashes of it would not fit what Go programs make of it"
        )


def _check_targets(update: Update) -> None:
    if roles.TARGETS in update.targets:
        return
    data = update.stored(roles.TARGETS)
    if data is None:
        raise invalid(VALIDATION, "there are no targets: targets must be loaded first")
    with blaming(BAD_TARGETS):
        update.load(roles.TARGETS, data, may_be_expired=True)


def _check_snapshot(update: Update) -> None:
    for role, entry in (update.snapshot.meta if update.snapshot else {}).items():
        data = update.posted[role].data if role in update.posted else update.stored(role)
        if data is None or not entry.matches(data):
            raise VerificationError(f"snapshot lists a {role} that was never uploaded or is not the newest")
