"""Real shells at a terminal: keys are pressed, and the line that somebody would see is looked at.

What it is: bash, zsh and fish without anybody's settings, with a home and a PATH of the test. What it is not:
a terminal that draws: what a shell shows is text with control characters.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from docs import pages
from interop.harness import programs

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 30
_CLEAR, _DUMP = "\x15", "\x07"
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?>]*[a-zA-Z]|[()][A-Z0-9]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>])|\r|\x0f")
# Ctrl-G writes the line to a file; what a shell asks its terminal, or shows in passing, is switched off.
_SETTINGS = {
    "bash": """
PS1='ready> '
bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; bind 'set page-completions off'
bind 'set completion-query-items 0'; bind 'set enable-bracketed-paste off'
bind -x '"\\C-g": printf %s "$READLINE_LINE" >"$LINE"; printf "<shown>"'
""",
    "zsh": """
PS1='ready> '; unsetopt BEEP PROMPT_CR PROMPT_SP ZLE_BRACKETED_PASTE 2>/dev/null; LISTMAX=0
setopt AUTO_LIST NO_LIST_AMBIGUOUS
# fpath
autoload -U compinit && compinit -u -D
dump() { printf %s "$BUFFER" >"$LINE"; printf "<shown>" >/dev/tty; }
zle -N dump; bindkey -e; bindkey '^G' dump
""",
    "fish": """
function fish_prompt; printf 'ready> '; end
function fish_greeting; end
set -g fish_autosuggestion_enabled 0
bind \\cg 'commandline >$LINE; printf "<shown>"'
bind \\cu 'commandline ""'
""",
}
_FILES = {"bash": ".bashrc", "zsh": ".zshrc", "fish": "settings"}
_START = {
    "bash": ["bash", "-i"],
    "zsh": ["zsh", "-i"],
    "fish": ["fish", "--private", "-C", "source settings"],
}


class Shell:
    """A shell of this name, with its completion as docs/installing.md says that it is had."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self._line = home / "line"
        self.environment = {
            "HOME": str(home),
            "PATH": programs.SEARCH_PATH,
            "TERM": "xterm",
            "LINE": str(self._line),
            "ZDOTDIR": str(home),
            "LC_ALL": "C.UTF-8",
        }
        self._seen = ""

    def __enter__(self) -> Self:
        rows = pages.table(pages.read("docs/installing.md"), "shell")
        command, *lines = next(pages.spans(row[1]) for row in rows if row[0] == self.name)
        text = _SETTINGS[self.name].replace("# fpath", "\n".join(each for each in lines if "=" in each))
        (self.home / _FILES[self.name]).write_text(text)
        programs.run([self.name, "-c", command], self.environment).expect(0)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 150, 0, 0))
        self._process = subprocess.Popen(
            _START[self.name],
            cwd=self.home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
        )
        os.close(theirs)
        self.until("ready> ")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        self._process.kill()
        self._process.wait(timeout=_PATIENCE)

    def typed(self, keys: str) -> tuple[str, str]:
        """Press keys on an empty line; return the line, and what was shown meanwhile."""
        self._line.unlink(missing_ok=True)
        self.press(_CLEAR + keys + _DUMP)
        shown = self.until("<shown>")
        return self._line.read_text().removesuffix("\n"), shown

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def until(self, text: str) -> str:
        """Return what is shown up to some text."""
        while text not in _CONTROL.sub("", self._seen):
            ready, _, _ = select.select([self._ours], [], [], _PATIENCE)
            assert ready, f"{self.name} shows no {text!r}: {self._seen!r}"
            shown = b""
            with suppress(OSError):
                shown = os.read(self._ours, 65536)
            assert shown, f"{self.name} ended: {self._seen!r}"
            self._seen += shown.decode(errors="replace")
        shown_text, _, rest = _CONTROL.sub("", self._seen).partition(text)
        self._seen = rest
        return shown_text
