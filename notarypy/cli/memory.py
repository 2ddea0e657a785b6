"""Keeping what is in this process's memory from everybody else: it may be an unlocked key.

What it is: switches of the operating system, for the program alone. What it is not: for
the library; whoever embeds it decides about its own process.

Rules:

1. A crash writes no core dump, of this process or of a program that it starts.
2. On Linux no other process of the same user may look into this one either.
3. Where the system refuses, the program goes on: it is no worse off than before.
"""

from __future__ import annotations

import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Switch off core dumps, before there is a secret in memory (rules 1 to 3)."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _forbid_dumps()


def _forbid_dumps() -> None:
    """Tell the kernel that this process must not be dumped or traced (rule 2)."""
    # Some builds of Python lack ctypes, and some C libraries lack the function (rule 3).
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
