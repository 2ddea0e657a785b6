"""Which keys an export has: those that are named, those of repositories, or all that are here.

What it is: the choice. What it is not: the form of an export (`keys.keystore`), or keys for other programs
(`keyfiles`).

Rules:

1. A key is a repository's if it was made for it, as its file says; of one that is shared nobody is told.
2. A key that is elsewhere stays there. Where nobody named it that is a warning, and so it is for a repository
   whose cached root has its key.
3. A key that lies here unencrypted is left out with a warning; where somebody named it, or there is no other,
   it is an error.
4. A repository of which no key is here is an error, and so is a trust directory without keys.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from notarypy.client.keys.keyfiles import keys_of
from notarypy.errors import Advice, KeyMissingError, NotarypyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.keys.manager import KeyManager
    from notarypy.keys.keyinfo import KeyInfo
    from notarypy.storage.trustdir import TrustDirectory


def export(
    manager: KeyManager,
    directory: TrustDirectory,
    keys: Sequence[str] | None,
    guns: Sequence[str] | None,
    warn: Callable[[str], None],
) -> bytes:
    """Return keys as PEM blocks, encrypted as they are here (rules 1 to 4)."""
    if keys and guns:
        raise TypeError("keys are named, or repositories, and not both")
    if keys is None or guns:
        every = manager.store.list()
        for warning in manager.store.warnings:
            warn(warning)
        chosen = [info for info in every if not guns or info.gun in guns]
        for info in {
            info.keyid: info for info in (*chosen, *_of_roots(manager, directory, guns or ()))
        }.values():
            if info.uri:
                warn(f"key {info.keyid} stays at {info.uri}, and is not in it")
        here = [info for info in chosen if info.uri is None]
        lacking = [gun for gun in guns or () if all(info.gun != gun for info in here)]
        if lacking or not here:
            where = ", ".join(lacking) or str(directory.path)
            raise KeyMissingError(f"there are no keys of {where} here", advice=Advice("list-keys"))
        closed = [info for info in here if info.encrypted]
        for info in here if closed else ():
            if not info.encrypted:
                warn(f"key {info.keyid} is not encrypted in {info.path}, and is not in it")
        keys = sorted({info.keyid for info in closed or here})
    return manager.export(keys)


def _of_roots(manager: KeyManager, directory: TrustDirectory, guns: Sequence[str]) -> list[KeyInfo]:
    """Return the keys that cached roots of repositories have (rule 2)."""
    found: list[KeyInfo] = []
    for gun in guns:
        with suppress(NotarypyError):  # nothing is known of it, or nobody can read it
            found += keys_of(manager, directory, gun)
    return found
