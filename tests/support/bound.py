"""How servers are started that end with the process that starts them, whatever ends that.

On Linux the kernel signals them: nothing of a test run that was killed has to run for it. It does so when the
thread ends that started them, so that has to be one that stays.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def bound(argv: Sequence[str]) -> list[str]:
    """Return what starts a program that ends with this process; its process id is that of the program."""
    assert threading.current_thread() is threading.main_thread(), "a server would end with this thread"
    # A program in front: what is called between fork and exec does harm where there are threads.
    return [*(("setpriv", "--pdeathsig", "TERM", "--") if sys.platform == "linux" else ()), *argv]
