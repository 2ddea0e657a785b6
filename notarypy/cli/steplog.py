"""The package's own log on standard error, for whoever asks for it.

What it is: what `-v` shows. What it is not: logs of other packages: they may hold anything, and are not
shown; or results and warnings, which are shown unasked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from notarypy.cli.text.render import safe

_STEPS = "notarypy: %(levelname)s: %(message)s"
_EVERYTHING = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"


@contextmanager
def shown(verbose: int) -> Iterator[None]:
    """Show the log: nothing for 0, what is done for 1; for 2 every decision, when it was made, and where."""
    if not verbose:
        yield
        return
    everything = verbose > 1
    handler = logging.StreamHandler()
    handler.setFormatter(_SafeFormatter(_EVERYTHING if everything else _STEPS, "%H:%M:%S"))
    logger = logging.getLogger("notarypy")
    logger.setLevel(logging.DEBUG if everything else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


class _SafeFormatter(logging.Formatter):
    """Formats lines without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        return safe(super().formatMessage(record))
