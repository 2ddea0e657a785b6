"""Spans of time as people write them: 5s, 2m, 1h, 10d, 4w, 3y.

What it is: the one grammar for options, configuration files and the trust policy. What it is not: how spans
are shown, or which of them make sense at a place.

Rules:

1. A span is a number, which may have a fraction, and a unit: s, m, h, d, w or y.
2. m is a minute; there are no months, and a year has 365 days.
3. Where seconds are usual a number alone is that many seconds; elsewhere it is no span.
4. A span longer than 2000 years is none: dates end before. `too_long` tells it from what is no span at all.
"""

from __future__ import annotations

import re
from datetime import timedelta

_NUMBER = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,9})?", re.ASCII)
_SPAN = re.compile(rf"({_NUMBER.pattern})([smhdwy])", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
MOST = "2000y"
_MANY = 1e30  # an integer may be more than a float can hold
_MOST = 2000 * _UNITS["y"]


def parse(text: str) -> timedelta | None:
    """Return the span that a text means, None if it is none (rules 1, 2 and 4)."""
    found = _SPAN.fullmatch(text)
    return None if found is None or too_long(text) else float(found[1]) * _UNITS[found[2]]


def too_long(text: str) -> bool:
    """Tell whether a text would be a span if it were not too long (rule 4)."""
    found = _SPAN.fullmatch(text)
    return found is not None and float(found[1]) * _UNITS[found[2]].total_seconds() > _MOST.total_seconds()


def seconds(value: object) -> float | None:
    """Return how many seconds a number or a text means (rule 3), None if it means none."""
    if isinstance(value, str):
        if (span := parse(value)) is not None:
            return span.total_seconds()
        return float(value) if _NUMBER.fullmatch(value) else None
    return (
        float(min(value, _MANY)) if isinstance(value, int | float) and not isinstance(value, bool) else None
    )
