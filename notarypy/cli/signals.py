"""Being told to end: Ctrl-C, a closed terminal, `kill`.

What it is: for commands that clean up, whatever tells them to end and however often: those
that wait for it (`Ending`), and those that are interrupted at their work (`Interrupting`).
What it is not: for commands that may stop anywhere; these take the KeyboardInterrupt.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ending:
    """Notes, while it is entered, that a signal asked the process to end; nothing is interrupted."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals, except those that are ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether the process is to end."""
        return self._asked.is_set()

    def wait(self) -> None:
        """Return when the process is to end."""
        while not self._asked.wait(3600):  # without a limit no signal gets through on Windows
            continue

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()


class Interrupting(Ending):
    """Takes every such signal for Ctrl-C, once: what cleans up then is left in peace."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            super()._note(number, frame)
            raise KeyboardInterrupt
