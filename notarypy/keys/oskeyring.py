"""The operating system's keyring as a place of passphrases.

What it is: one source of `passphrases`, over the library keyring, which is an extra. What it is not: it
stores nothing; people do that with `keyring set notarypy KEYID`.

Rules:

1. It is asked only when `NOTARYPY_KEYRING` turns it on: a search may open a window or unlock what its owner
   left locked.
2. Only what the operating systems bring counts. The library also takes back ends that keep passwords in plain
   files, and would choose one without a word.
3. An entry has the service `notarypy` and the key's full canonical id as its user.
4. Once turned on, a keyring that cannot be used is an error, not an empty one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from notarypy.errors import Advice, ConfigurationError, PassphraseNeededError

_LOG = logging.getLogger(__name__)
SERVICE = "notarypy"
_VARIABLE = "NOTARYPY_KEYRING"
NAME = "the keyring"
BACKENDS = frozenset(
    {
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.Windows.WinVaultKeyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.kwallet.DBusKeyringKWallet4",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.macOS.Keyring",
    }
)
_CHAINER = "keyring.backends.chainer.ChainerBackend"
_ON, _OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


def wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether `NOTARYPY_KEYRING` turns the keyring on; raise ConfigurationError for another word."""
    word = environ.get(_VARIABLE, "").strip().lower()
    if word not in _ON | _OFF:
        advice = Advice("set-or-unset", variable=_VARIABLE)
        raise ConfigurationError(f"{_VARIABLE} is neither 1 nor 0", advice=advice)
    return word in _ON


def passphrase(keyid: str, label: str, **facts: str | None) -> str | None:
    """Return the entry of a key, or None; `label` and `facts` are for errors (rule 4).

    Raises ConfigurationError if no keyring can be used, PassphraseNeededError if it is locked, or fails.
    """
    for backend in _backends():
        try:
            found = backend.get_password(SERVICE, keyid)
        except Exception as error:  # noqa: BLE001 - back ends let through whatever their bus or API raises
            raise PassphraseNeededError(
                f"{NAME} gave no passphrase for {label}",
                why=f"{_name(backend)} failed with {type(error).__name__}",
                advice=Advice("unlock-keyring"),
                keyid=keyid,
                **facts,
            ) from None
        _LOG.debug("%s %s for key %s", _name(backend), "has an entry" if found else "has no entry", keyid)
        if isinstance(found, str) and found:
            return found
    return None


def require_usable() -> None:
    """Raise ConfigurationError if no keyring can be used; none is asked."""
    _backends()


def _backends() -> list[Any]:
    """Return the back ends to ask, best first (rule 2)."""
    try:
        import keyring
    except ImportError:
        raise ConfigurationError(
            f"{_VARIABLE} is set, but the keyring cannot be asked",
            why="the library keyring is not installed",
            advice=Advice("install-keyring"),
        ) from None
    try:
        chosen: Any = keyring.get_keyring()
        found = list(chosen.backends) if _name(chosen) == _CHAINER else [chosen]
    except Exception as error:  # noqa: BLE001 - it loads whatever its configuration names
        raise _unusable(f"the library keyring failed with {type(error).__name__}") from None
    usable = [backend for backend in found if _name(backend) in BACKENDS]
    if not usable:
        names = ", ".join(map(_name, found)) or "none"
        raise _unusable(f"the library keyring offers {names}, which is not an operating system's own")
    return usable


def _name(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _unusable(why: str) -> ConfigurationError:
    advice = Advice("use-keyring-elsewhere")
    return ConfigurationError("there is no keyring that can be used", why=why, advice=advice)
