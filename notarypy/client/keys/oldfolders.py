"""Whether Notary before 0.4 left anything in a trust directory that is to be moved.

What it is: a look at names, for who would not load `migrating` where there is nothing to do. What it is not:
the rules of what moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import InvalidNameError, NotarypyError
from notarypy.keys.keypaths import old_files
from notarypy.storage.trustfolders import CERTIFICATE, certificate_files
from notarypy.tuf import roles

if TYPE_CHECKING:
    from notarypy.storage.trustdir import TrustDirectory


def any_old(directory: TrustDirectory) -> bool:
    """Tell whether there are keys in an old layout, or certificates that are of no use any more."""
    moving = (True for path, gun in certificate_files(directory.path) if _moves(directory, path.suffix, gun))
    return any(True for _ in old_files(directory.private)) or any(moving)


def _moves(directory: TrustDirectory, suffix: str, gun: str) -> bool:
    """Tell whether a file beside certificates moves (`migrating`: 2)."""
    try:
        return suffix != CERTIFICATE or roles.ROOT in directory.repository(gun).cached()
    except InvalidNameError:
        return True
    except NotarypyError:
        return False
