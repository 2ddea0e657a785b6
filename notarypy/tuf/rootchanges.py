"""Changes to the root: which keys sign a base role, and how many of them.

What it is: one more kind of change (`changes`). What it is not: who signs the new root (`plan`, rule 7).

Rules:

1. A root that names other keys keeps the certificates of all earlier root keys, as Go does; other keys that
   no role uses are dropped. `targets` is signed anew by its new keys.
2. The threshold stays as it is unless another one is asked for: keys that go leave no lower one behind.
3. Root keys of earlier versions sign the new root only where they are named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.tuf import roles
from notarypy.tuf.fields import RoleKeys
from notarypy.tuf.keys import PublicKey, require_reachable
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.tuf.changes import State


@dataclass(frozen=True)
class AssignKeys:
    """Let these keys, and no others, sign a base role, this many of them; None leaves it at as many.

    Root keys of `earlier` versions sign the new root too.
    """

    role: str
    keys: Sequence[PublicKey]
    threshold: int | None = None
    earlier: tuple[PublicKey, ...] = ()

    def apply(self, state: State) -> State:
        """Name the keys in a new root; earlier root certificates stay in its key table (rules 1 to 3)."""
        keyids = tuple(key.keyid for key in self.keys)
        old = state.root.roles[self.role]
        new = RoleKeys(keyids, old.threshold if self.threshold is None else self.threshold)
        require_reachable(self.role, self.keys, new.threshold)
        if old == new:
            return state
        assigned = {**state.root.roles, self.role: new}
        used = {keyid for entry in assigned.values() for keyid in entry.keyids}
        dropped = set(old.keyids) - used if self.role != roles.ROOT else set()
        kept = {keyid: key for keyid, key in state.root.keys.items() if keyid not in dropped}
        root = replace(state.root, roles=assigned, keys={**kept, **{key.keyid: key for key in self.keys}})
        signed = {roles.ROOT, self.role} & {roles.ROOT, roles.TARGETS}
        former, earlier = state.former or state.root, (*state.earlier, *self.earlier)
        return replace(state, root=root, former=former, earlier=earlier, dirty=state.dirty | signed)
