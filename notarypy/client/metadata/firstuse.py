"""First use: who decides about the root of a repository that nothing is known of.

What it is: the decision where neither a pin nor the trust directory says which root is the right one, and
what was decided so far. What it is not: pins (`roots`), or a check of the root; it is verified by then, by
itself alone.

Rules:

1. Pins, and whoever forbids first use, go first: what they decide is no first use.
2. Whoever publishes takes the root that the server shows, as docker does, with a warning.
3. A reader takes it by a decision alone: of the settings, of the trust policy, or of a person who is shown
   the root. Without one nothing is trusted and nothing is stored: anybody could have answered.
   Where it could not be stored it is trusted this once, and that is said, also to whoever was asked.
4. Nobody is asked twice in one run about the same root, and nobody two things at once. Whoever is asked, or
   told, is so in the thread that used the client, in the order of what it asked for (`workers`).
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client import workers
from notarypy.client.parameters import FirstUseWarning
from notarypy.errors import Advice, FirstUseError
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.verdicts import FirstRoot

_LOG = logging.getLogger(__name__)


class FirstUses:
    """The first uses of one session."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        """Ask nobody; `confirm` may be set."""
        self.confirm: Callable[[FirstRoot], bool] | None = None
        self._warn = warn
        self._lock = threading.RLock()
        self._answers: dict[FirstRoot, bool] = {}
        self.taken: list[FirstRoot] = []
        self._noted: set[FirstRoot] = set()

    def publish(self, root: FirstRoot, *, allowed: bool) -> Callable[..., None]:
        """Let somebody who publishes take a root (rule 2); the returned function notes if it was stored."""
        _LOG.debug("%s: a publisher takes the first root; allowed: %s", root.repository, allowed)
        return partial(self._taken, root, asked=False)

    def read(self, root: FirstRoot, *, allowed: bool) -> Callable[..., None]:
        """Let a reader take a root, or raise FirstUseError (rules 3 and 4); else as `publish`."""
        asked = not allowed and self.confirm is not None
        _LOG.debug("%s: first use by a reader; allowed: %s, asked: %s", root.repository, allowed, asked)
        if not allowed:
            self._require_yes(root)
        return partial(self._taken, root, asked=asked)

    def _require_yes(self, root: FirstRoot) -> None:
        if self.confirm is None:
            message = f"nothing says which root {root.repository} must have"
            why = "no pin names one, none is known here, and there is nobody to ask"
            raise _refused(root, message, why)
        workers.await_turn()
        if not workers.ask(self._answer, root):
            raise _refused(root, f"the root of {root.repository} was not accepted", "the answer was not yes")

    def _answer(self, root: FirstRoot) -> bool:
        with self._lock:
            if root not in self._answers:
                self._answers[root] = self.confirm is not None and self.confirm(root)
            return self._answers[root]

    def _taken(self, root: FirstRoot, *, asked: bool, lasting: bool = True) -> None:
        once = root.lasting and not lasting  # as it could not be stored
        workers.say(partial(self._note, asked=asked and not once, once=once), replace(root, lasting=lasting))

    def _note(self, root: FirstRoot, *, asked: bool, once: bool) -> None:
        with self._lock:
            if root in self._noted:
                return
            self._noted.add(root)
            self.taken.append(root)
        if not asked:
            pins = " ".join(f"--root {keyid}" for keyid in root.root_pins)
            trusted = "is trusted from now on" if root.lasting else "was taken unseen"
            trusted = "is trusted this once, as it could not be stored" if once else trusted
            text = f"first use of {root.repository}: its root {trusted}; better pin it: {pins}"
            self._warn(FirstUseWarning(text, zip(root.root_pins, root.root_keys, strict=True)))


def _refused(root: FirstRoot, message: str, why: str) -> FirstUseError:
    pins = list(root.root_pins)
    shown = "root key {}, whose id is {} in this repository alone; certificate sha256 {}"
    return FirstUseError(
        message,
        why=(why, f"{root.source}:", *(shown.format(*key) for key in root.keys)),
        advice=Advice("pin-first-root", root=" --root ".join(pins)),
        gun=root.repository,
        server=root.server,
        root_pins=pins,
        root_keys=list(root.root_keys),
        certificates=list(root.certificates),
    )
