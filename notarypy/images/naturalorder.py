"""Natural order: names with numbers in them as people sort them.

What it is: a key to sort tags, signers and roles by. What it is not: a rule of any format.
"""

from __future__ import annotations

import re
from functools import lru_cache

_DIGITS = re.compile("[0-9]+")
_SHORT = 4


def natural(name: str) -> str:
    """Return a sort key that puts 9 before 10, and all else in the order of characters.

    It is a text, for a hostile name may have more digits than an int takes, and more
    characters than there is memory for as many objects.
    """
    return _DIGITS.sub(_number, name)


def _number(match: re.Match[str]) -> str:
    written = match[0]
    return _sortable_number(written) if len(written) > _SHORT else _short_number(written)


def _sortable_number(written: str) -> str:
    """Put the length before the digits, and that of the zeros after them."""
    digits = written.lstrip("0")
    return f"0{_sortable(len(digits))}{digits}{_sortable(len(written))}"


_short_number = lru_cache(maxsize=4096)(_sortable_number)  # tags are made of the same few thousand


def _sortable(length: int) -> str:
    return chr(length >> 16) + chr(length & 0xFFFF)
