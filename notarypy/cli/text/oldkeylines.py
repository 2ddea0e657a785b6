"""What is said of files in old key folders that no key in use comes from.

What it is: lines for `key migrate`, and for `notary`, which moves old keys by itself. What it is not: moving
them, or what is said of keys that were moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.storage.trustfolders import CERTIFICATES
from notarypy.tuf import roles

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.keys.migrating import MigratedKeys
    from notarypy.keys.oldlayout import MigratedKey


def name(key: MigratedKey) -> str:
    """Return what a key is called."""
    role = roles.signer_name(key.role) or "no role"
    return f"key {key.keyid} ({role}{f' of {key.gun}' if key.gun else ''})"


def unused(found: MigratedKeys, trust_dir: Path | None = None) -> list[str]:
    """Return a line for each file that no key in use comes from; of a trust directory, where they are now.

    Then certificates, which have done their duty, are left out.
    """

    def now(path: Path) -> Path:
        if trust_dir is None or found.backup is None or not path.is_relative_to(trust_dir):
            return path
        return found.backup / path.relative_to(trust_dir)

    stays = "{} is at {} already, which stays; {} is another copy"
    lines = [stays.format(name(key), key.path, now(key.source)) for key in found.keys if key.already]
    misnamed = "{} has a key, but is not named after one: import it, if it is to be used"
    others = found.others
    if trust_dir is not None:
        others = tuple(path for path in others if not path.is_relative_to(trust_dir / CERTIFICATES))
    texts = dict.fromkeys(found.misnamed, misnamed)
    return [*lines, *(texts.get(path, "{} is no key").format(now(path)) for path in others)]
