"""What was looked at, whether it is well, and what to do about it: one line of a check-up or of a report.

What it is: a value that everything which looks at a repository or a machine returns. What it is not: a
judgement of whether an image may be used (`verify` raises), or its wording on a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from notarypy.errors import Advice, NotarypyError

Level = Literal["ok", "warning", "bad"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "bad")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, a `warning`, or `bad`, and the `text` that says what was seen.

    `area` is what it is about, in one word; `fix` is what to do, None where nothing has to be done. `why` are
    reasons, `error` is what a command would fail with, `facts` are the same as the text, for programs.
    """

    level: Level
    area: str
    text: str
    fix: Advice | None = None
    why: tuple[str, ...] = ()
    error: NotarypyError | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Examined:
    """What was found about one subject: `machine`, a server by its address, a registry, or a repository."""

    subject: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level."""
        return worst_level(self.findings)


def worst_level(found: Iterable[Finding]) -> Level:
    """Return the worst level of all, `ok` for none."""
    return max((one.level for one in found), key=LEVELS.index, default="ok")
