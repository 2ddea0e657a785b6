"""Whether those who will read a publish can read it: the reader's limits, before anything is sent.

What it is: finished files, read by `tuf.plan` under the limits of those who will. What it is not: the reading
of what is published already.

Rules:

1. A client with limits of its own measures by those, but one with the extended ones, which are there to make
   something smaller, by the usual ones.
2. What stays beyond a limit, for it was beyond it before, is warned of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.limits import DEFAULT, EXTENDED
from notarypy.tuf import plan
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.client.metadata.repository import Repository


def require_readable(
    repository: Repository, files: Mapping[str, bytes], published: Mapping[str, bytes] | None = None
) -> None:
    """Raise UnreadableUpdateError for files that readers would refuse, and did not refuse as `published`."""
    limits = DEFAULT if repository.limits == EXTENDED else repository.limits
    ceiling = replace(repository, limits=limits).ceiling
    for error in plan.require_readable(repository.gun, files, ceiling, limits, published):
        why = "; ".join((error.message, *error.why))
        repository.warn(f"readers of {repository.gun} will still refuse something: {why}")
