"""Findings about one subject, as they come, whatever goes wrong while somebody looks.

What it is: how a look becomes findings. What it is not: a look.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from notarypy.client.findings import Examined, Finding
from notarypy.errors import Advice, NotarypyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.findings import Level

_LOG = logging.getLogger(__name__)


class Findings:
    """Findings about one subject, in their order; no line stands twice."""

    def __init__(self, subject: str) -> None:
        self.subject, self._found = subject, list[Finding]()

    def ok(self, area: str, text: str, **facts: object) -> None:
        """Note what is as it should be."""
        self._note(Finding("ok", area, text, facts=facts))

    def warning(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what may become a problem, or is one for some."""
        self._note(Finding("warning", area, text, fix, why))

    def bad(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what has to be mended."""
        self._note(Finding("bad", area, text, fix, why))

    def failure(self, area: str, error: NotarypyError, level: Level = "bad") -> None:
        """Note an error that others would meet."""
        facts = {"code": error.code}
        self._note(Finding(level, area, error.message, error.advice, error.why, error, facts))

    def _note(self, finding: Finding) -> None:
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
