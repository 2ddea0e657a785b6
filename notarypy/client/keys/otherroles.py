"""Refusals to take a key for another role than the one that it is here for.

What it is: errors that say how to go on. What it is not: which key is taken (`manager`).

Rule:

1. A signer's daily key becomes no root by being named where a root key is wanted: to store it as one is a
   deed of its own.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from notarypy.errors import Advice, AlreadyExistsError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.keys import SHORT_KEYID

if TYPE_CHECKING:
    from notarypy.keys.keyinfo import KeyInfo


def both(info: KeyInfo, role: str) -> UsageError:
    """Return the refusal of one key for two roles of a repository that is being made."""
    message, advice = f"one key cannot be both {info.role} and {role}", Advice("give-other-key", role=role)
    why = f"{info.uri or info.path} is given for both"
    return UsageError(message, why=why, advice=advice, keyid=info.keyid)


def of_other_role(info: KeyInfo, role: str) -> UsageError:
    """Return the refusal to take a key for a role that it was not stored for (rule 1)."""
    message, why = f"{info.request.label} is no {role} key", f"it is here as {info.role}"
    return UsageError(message, why=why, advice=_as_other(info, role), keyid=info.keyid)


def other_name(present: KeyInfo, role: str, *more: str) -> AlreadyExistsError:
    """Return the refusal to store a key that is here under another role; a signer's key can be renamed."""
    what = f"key {present.keyid[:SHORT_KEYID]} is here already, as {present.role or 'a key without a role'}"
    renamed = not {role, present.role} & {*roles.BASE_ROLES, ""}
    rename = Advice("rename-stored-key", key=present.keyid[:12], name=role)
    return AlreadyExistsError(
        what,
        why=(f"it is at {present.uri}" if present.uri else f"the file is {present.path}", *more),
        advice=rename if renamed else _as_other(present, role) if role else None,
        keyid=present.keyid,
    )


def _as_other(info: KeyInfo, role: str) -> Advice:
    """Return how to store a key for another role; a file of a base role is not removed for it."""
    if info.uri:
        name = roles.signer_name(role)
        return Advice("note-as", key=info.keyid[:12], uri=quote(info.uri), name=name)
    if role == roles.ROOT and info.role not in roles.BASE_ROLES:
        return Advice("store-as", key=info.keyid[:12], name=role)
    return Advice("give-other-key", role=role)
