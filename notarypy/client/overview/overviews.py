"""What an overview of a repository holds: frozen values, to be printed for whoever answers for it.

What it is: the results of `looking`. What it is not: a judgement of `verify`: a tag is here whether it may be
used or not, and what has ended is here too, with what is wrong with it in the findings.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from notarypy.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.client.findings import Finding
    from notarypy.client.history.events import HistoryEvent
    from notarypy.client.migrate.inventory import Served
    from notarypy.client.results import RepositoryStatus
    from notarypy.client.verdicts import RoleEntry
    from notarypy.errors import NotarypyError


class OverviewOptions(TypedDict, total=False):
    """What to look at, beside the present: what has ended is shown, not refused.

    What ends `within` a time, 90 days, is due; `root` is a pin that the repository must meet. `history` reads
    all old versions, which is wanted if nothing is said; `registry` compares each released tag with what the
    registry serves, which is not.
    """

    within: timedelta
    root: str | None
    history: bool
    registry: bool


@dataclass(frozen=True)
class ListedTag:
    """A tag with one content, and all that list it: the same tag is here again for another content.

    `digest` is None where what is signed names no SHA-256. `roles` list it within their paths; `signers` are
    those of them that do not release, by their short names. It is `released` if `verify` would take it by
    this name, and what that rests on `expires` at the earliest, but for a timestamp in date: the server signs
    that anew by itself. `served` is what the registry has, as in `ReportedTag`, and None if it was not asked.
    """

    tag: str
    digest: str | None
    size: int
    roles: tuple[str, ...]
    signers: tuple[str, ...]
    released: bool
    expires: datetime | None
    served: Served | None = None
    found: str | None = None
    problem: NotarypyError | None = None


@dataclass(frozen=True)
class Overview:
    """A repository at a moment: its roles with their dates, delegations, tags, what happened, and findings.

    `root_pins` are as in `results`. `tags` are in natural order. `events` are the last ones, oldest first,
    and there are so many `earlier` ones; None where nobody looked. `findings` begin with the worst.
    """

    repository: str
    time: datetime
    server: str
    root_pins: tuple[str, ...]
    status: RepositoryStatus
    delegations: tuple[RoleEntry, ...]
    tags: tuple[ListedTag, ...]
    events: tuple[HistoryEvent, ...]
    earlier: int | None
    findings: tuple[Finding, ...]

    @property
    def released(self) -> tuple[ListedTag, ...]:
        """The tags that are released."""
        return tuple(tag for tag in self.tags if tag.released)
