"""`notary version`: what this is, in the form of Go notary's answer.

What it is: two texts. What it is not: Go notary's version: what asks for that is told the truth.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from notarypy import __version__

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.cli.gonotary.notaryshell import NotaryShell


def version(shell: NotaryShell, _: CommandLine) -> None:
    """Print the version, a fact a line."""
    shell.write(f"notary\n Version:    {__version__}\n Git commit: \n Go version: {_of_go()}\n")


def in_short(shell: NotaryShell, _: CommandLine) -> None:
    """Print the version in one line."""
    shell.write(f"notary Version: {__version__}, Git commit: , Go version: {_of_go()}\n")


def _of_go() -> str:
    return f"none (notarypy, Python {platform.python_version()})"
