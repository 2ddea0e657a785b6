"""What the words mean that people use for keys.

What it is: whether a word means a key, and the file that one names. What it is not: which keys there are, and
which one is taken (`manager`).

Rule:

1. A KEY is a signer's name, or at least 7 hex digits of a canonical id. What has a slash or a dot is a file,
   unless it is a URI.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import UsageError
from notarypy.files import read_regular
from notarypy.keys.formats import keyuri
from notarypy.keys.signers import is_uri
from notarypy.limits import DEFAULT
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.keys.keyinfo import KeyInfo

_ID = re.compile(r"[0-9a-f]{7,64}", re.ASCII)


def is_path(selector: str) -> bool:
    """Tell whether a KEYREF is the name of a file (rule 1)."""
    return not is_uri(selector) and ("/" in selector or "." in selector)


def named_file(path: str) -> bytes:
    """Return what is in a file that a person named; raise UsageError if there is none."""
    try:
        return read_regular(Path(path).expanduser(), DEFAULT.named_file_bytes, follow=True)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None


def fits(info: KeyInfo, selector: str) -> bool:
    """Tell whether a KEY, or the URI of a key that is noted, means a key (rule 1)."""
    named = roles.signer_name(info.role) == roles.signer_name(selector)
    return named or keyuri.usual(selector) == info.uri or begins(info.keyid, selector)


def begins(keyid: str, selector: str) -> bool:
    """Tell whether a KEY is the first digits of an id (rule 1)."""
    return _ID.fullmatch(selector) is not None and keyid.startswith(selector)
