"""What was looked at, whether it is well, and what to do about it: one line of a check-up or of a report.

What it is: a value that everything which looks at a repository or a machine returns, and how looks become
such values, whatever goes wrong. What it is not: a look, a judgement of whether an image may be used, as by
`verify`, or its wording on a page.

Rule:

1. No user and no password of an address is part of a finding, whatever it was noted from: people show them to
   others.
"""

from __future__ import annotations

import logging
import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from notarypy.errors import Advice, NotarypyError
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LOG = logging.getLogger(__name__)
_LOGIN = re.compile(r"(?<=://)\S*@(?!sha256:)")

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


class Findings:
    """Findings about one subject, in their order; no line stands twice."""

    def __init__(self, subject: str) -> None:
        self.subject, self._found = subject, list[Finding]()

    def ok(self, area: str, text: str, **facts: object) -> None:
        """Note what is as it should be."""
        self.note(Finding("ok", area, text, facts=facts))

    def warning(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what may become a problem, or is one for some."""
        self.note(Finding("warning", area, text, fix, why))

    def bad(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what has to be mended."""
        self.note(Finding("bad", area, text, fix, why))

    def failure(self, area: str, error: NotarypyError, level: Level = "bad") -> None:
        """Note an error that others would meet."""
        self.note(Finding(level, area, error.message, error.advice, error.why, error, {"code": error.code}))

    def note(self, finding: Finding) -> None:
        """Note a finding, without secrets (rule 1), once."""
        facts = {name: _bare(value) for name, value in finding.facts.items()}
        why = tuple(map(_bare, finding.why))
        finding = replace(finding, text=_bare(finding.text), why=why, facts=facts)
        if all((each.level, each.text) != (finding.level, finding.text) for each in self._found):
            self._found.append(finding)

    @contextmanager
    def looking(self, area: str) -> Iterator[None]:
        """Note whatever goes wrong inside, and go on: no trouble keeps others from being found."""
        try:
            yield
        except NotarypyError as error:
            self.failure(area, error)
        except (OSError, ValueError, RuntimeError) as error:
            _LOG.debug("%s could not be looked at: %s", area, type(error).__name__)
            reason = getattr(error, "strerror", None) or type(error).__name__
            place = getattr(error, "filename", None) or area
            self.bad(area, f"{place} cannot be looked at: {reason}", Advice("check-owner"))

    def examined(self) -> Examined:
        """Return what was found."""
        return Examined(self.subject, tuple(self._found))


def quoted(thing: object) -> str:
    """Return a name or path as a shell takes it for one word."""
    return shlex.quote(str(thing))


def _bare(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a text without the user and the password of an address in it (rule 1)."""
    return _LOGIN.sub("", value) if isinstance(value, str) else value
