"""What the programs share that stand in for Go's: output, answers from standard input, words for passphrases.

What it is: the common part of the surroundings of one run. What it is not: a program's own words, options or
errors, which its package has.

Rules:

1. Everything from outside is made safe to show.
2. Passphrases are asked for in the words, and as often, as by the programs of Go: scripts wait for these.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

from notarypy.cli.text.render import safe
from notarypy.keys.keyinfo import SHORT_ID, PassphraseRequest, Wording
from notarypy.limits import DEFAULT

# A pipe, a file or a socket may hold answers; a device that is no terminal does not.
_GIVEN = frozenset({stat.S_IFIFO, stat.S_IFREG, stat.S_IFSOCK})


class GoShell:
    """Standard output and standard error of one run, and answers."""

    def out(self, text: str = "") -> None:
        """Print a line on standard output."""
        self.write(f"{safe(text)}\n")

    def write(self, text: str, *, flush: bool = False) -> None:
        """Print text that is safe as it stands on standard output."""
        if sys.stdout is None:
            raise OSError("standard output is closed")
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()

    def err(self, text: str) -> None:
        """Print lines on standard error."""
        if sys.stderr is not None:
            sys.stderr.write("".join(f"{safe(line)}\n" for line in text.split("\n")))

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.err(f"warning: {text}")

    def failed(self, text: str) -> None:
        """Print what failed, after results where both go to one place, as far as either can be printed."""
        with suppress(OSError):
            self.write("", flush=True)
        with suppress(OSError):
            self.err(text)

    def line(self) -> str:
        """Return a line of standard input with its end; nothing where there is none."""
        return "" if sys.stdin is None else sys.stdin.readline(DEFAULT.reply_chars)

    def is_given(self) -> bool:
        """Tell whether standard input is a pipe or a file that may hold answers."""
        if sys.stdin is None:
            return False
        try:
            return stat.S_IFMT(os.fstat(sys.stdin.fileno()).st_mode) in _GIVEN
        except (OSError, ValueError):
            return False


class GoWording(Wording):
    """See `Wording`."""

    tries = 4
    choices = 12
    empty_ends = False
    too_short = (
        "Passphrase is too short. "
        "Please use a password manager to generate and store a good random passphrase.\n"
    )
    different = "Passphrases do not match. Please retry.\n"
    of_file = "encrypted key"

    def existing(self, request: PassphraseRequest, *, again: bool) -> str:
        """Return the question for the passphrase of a key."""
        wrong = "Passphrase incorrect. Please retry.\n" if again else ""
        return f"{wrong}Enter passphrase for {self._key(request)}: "

    def new(self, request: PassphraseRequest) -> str:
        """Return the question for a new passphrase."""
        return f"Enter passphrase for new {self._key(request)}: "

    def repeat(self, request: PassphraseRequest) -> str:
        """Return the question for the same again."""
        return f"Repeat passphrase for new {self._key(request)}: "

    def role(self, request: PassphraseRequest) -> str:
        """Return what the program calls the role of a key."""
        return request.role

    def _key(self, request: PassphraseRequest) -> str:
        """Name a key; one in a file is known by nothing yet."""
        if not request.keyid:
            return self.of_file.format(request.role)
        return f"{self.role(request)} key with ID {request.keyid[:SHORT_ID]}"
