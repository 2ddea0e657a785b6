"""Spans of time as people write them: 5s, 2m, 1h, 10d, 4w, 3y.

What it is: the one grammar for options, configuration files and the trust policy. What it is not: how spans
are shown, or which of them make sense at a place.

Rules:

1. A span is a number, which may have a fraction, and a unit: s, m, h, d, w or y.
2. m is a minute; there are no months, and a year has 365 days.
3. Where seconds are usual a number alone is that many seconds; elsewhere it is no span.
4. A span longer than 2000 years is none: dates end before.
"""

from __future__ import annotations

import re
from datetime import timedelta

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdwy])", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_MOST = 2000 * _UNITS["y"]


def parse(text: str) -> timedelta | None:
    """Return the span that a text means, None if it is none (rules 1, 2 and 4)."""
    found = _SPAN.fullmatch(text)
    if found is None or float(found[1]) * (unit := _UNITS[found[2]]).total_seconds() > _MOST.total_seconds():
        return None
    return float(found[1]) * unit


def seconds(value: object) -> float | None:
    """Return how many seconds a number or a text means (rule 3), None if it means none."""
    if isinstance(value, str):
        if (span := parse(value)) is not None:
            return span.total_seconds()
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
