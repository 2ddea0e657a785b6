"""The moment until which a request may take.

What it is: a value that moves. What it is not: waiting, or what is sent (`transport`).
"""

from __future__ import annotations


class Deadline:
    """It moves while the request waits for others (`transport`, rule 1)."""

    __slots__ = ("asking", "at")

    def __init__(self, at: float) -> None:
        self.at = at
        self.asking: float | None = None  # since when it waits for a login, which a person may be asked for

    def extend(self, now: float) -> None:
        """Leave out the time that a login took to come."""
        self.at += 0.0 if self.asking is None else now - self.asking
        self.asking = None
