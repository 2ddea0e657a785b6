"""What `--version` says."""

from __future__ import annotations


def text() -> str:
    """Return the program's name and version."""
    from notarypy import __version__

    return f"notarypy {__version__}"
