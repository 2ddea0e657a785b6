"""The operating system's keyring as a place of passphrases.

What it is: one source of `passphrase`, over the library keyring, which is an extra.
What it is not: it stores nothing; people do that with `keyring set notarypy KEYID`.

Rules:

1. It is asked only when `NOTARYPY_KEYRING` turns it on: a search may open a window
   or unlock what its owner left locked.
2. Only what the operating systems bring counts. The library also takes back ends that
   keep passwords in plain files, and would choose one without a word.
3. An entry has the service `notarypy` and the key's full canonical id as its user.
   A key that is not made yet has no entry.
4. Once turned on, a keyring that cannot be used is an error, not an empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.errors import Advice, ConfigurationError, PassphraseNeededError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.keys.passphrases import PassphraseRequest

SERVICE = "notarypy"
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


def wanted(value: str, variable: str) -> bool:
    """Tell whether a variable's value turns the keyring on.

    Raises:
        ConfigurationError: It is neither a yes nor a no.
    """
    word = value.strip().lower()
    if word not in _ON | _OFF:
        raise ConfigurationError(
            f"{variable} is neither 1 nor 0", advice=Advice("set-or-unset", variable=variable)
        )
    return word in _ON


class KeyringSource:
    """Passphrases by canonical key id."""

    def name_for(self, request: PassphraseRequest) -> str | None:
        """Return the name for errors; None for a key that has no id yet."""
        return NAME if request.keyid else None

    def get(self, request: PassphraseRequest) -> str | None:
        """Return the entry of a key.

        Raises:
            ConfigurationError: There is no keyring that can be used.
            PassphraseNeededError: It is locked, or fails.
        """
        for backend in _backends():
            if found := _entry(backend, request):
                return found
        return None


def _entry(backend: Any, request: PassphraseRequest) -> str | None:  # noqa: ANN401 - of an optional library
    try:
        found = backend.get_password(SERVICE, request.keyid)
    except Exception as error:  # noqa: BLE001 - back ends let through whatever their bus or API raises
        raise PassphraseNeededError(
            f"{NAME} gave no passphrase for {request.label}",
            why=f"{_name(backend)} failed with {type(error).__name__}",
            advice=Advice("unlock-keyring"),
            keyid=request.keyid,
            role=request.role,
            gun=request.gun,
        ) from None
    return found if isinstance(found, str) else None


def _backends() -> list[Any]:
    """Return the back ends to ask, best first (rule 2)."""
    try:
        import keyring
    except ImportError:
        raise ConfigurationError(
            "NOTARYPY_KEYRING is set, but the keyring cannot be asked",
            why="the library keyring is not installed",
            advice=Advice("install-keyring"),
        ) from None
    try:
        found = list(_parts(keyring.get_keyring()))
    except Exception as error:  # noqa: BLE001 - it loads whatever its configuration names
        raise _unusable(f"the library keyring failed with {type(error).__name__}") from None
    usable = [backend for backend in found if _name(backend) in BACKENDS]
    if not usable:
        names = ", ".join(map(_name, found)) or "none"
        raise _unusable(f"the library keyring offers {names}, which is not an operating system's own")
    return usable


def _parts(backend: Any) -> Iterator[Any]:  # noqa: ANN401 - of an optional library
    """Yield what stands behind a back end that asks others, else the back end itself."""
    if _name(backend) == _CHAINER:
        yield from backend.backends
    else:
        yield backend


def _name(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        "there is no keyring that can be used",
        why=why,
        advice=Advice("use-keyring-elsewhere"),
    )
