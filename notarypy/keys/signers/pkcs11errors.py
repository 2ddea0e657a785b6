"""What errors of the library that calls modules mean, in our words.

What it is: the one table of them. What it is not: where they are raised (`pkcs11tokens`).

Rules:

1. The library's errors have no text: they are told apart by their classes.
2. A session that was lost is told apart from all else: it is opened anew.
"""

from __future__ import annotations

from notarypy.errors import (
    Advice,
    BackendMissingError,
    KeyAccessError,
    KeyMissingError,
    PinLockedError,
    TokenMissingError,
    UnsupportedKeyError,
)

WRONG_PIN = frozenset({"PinIncorrect", "PinInvalid", "PinLenRange"})
NO_PIN = {
    "PinLocked": "it is locked, after too many wrong ones",
    "PinExpired": "it has expired, and has to be changed",
    "UserPinNotInitialized": "none was set for its user yet",
}
"""Why a token takes no PIN at all."""
EMPTY = frozenset({"TokenNotPresent", "TokenNotRecognised", "SlotIDInvalid"})
"""What a slot says that has no token."""
_PULLED = EMPTY | {"DeviceRemoved"}
LOST = _PULLED | {
    *("DeviceError", "SessionHandleInvalid", "SessionClosed"),
    *("ObjectHandleInvalid", "KeyHandleInvalid", "UserNotLoggedIn"),
}
"""What a session says that was lost (rule 2)."""
_UNABLE = {
    *("MechanismInvalid", "MechanismParamInvalid", "FunctionNotSupported"),
    *("KeyTypeInconsistent", "KeySizeRange"),
}
_NOT_PERMITTED = "0x68"  # CKR_KEY_FUNCTION_NOT_PERMITTED, which has no class


def of_token(error: Exception, label: str, serial: str) -> KeyAccessError:
    """Return what an error of a token means (rule 1)."""
    kind, named, facts = type(error).__name__, f'the token "{label}"', {"token": label, "serial": serial}
    if kind in _UNABLE or _NOT_PERMITTED in str(error):
        message, advice = f"{named} does not do with this key what Notary needs", Advice("use-token-key")
        return UnsupportedKeyError(message, why=said(error), advice=advice, **facts)
    if kind in _PULLED:
        advice = Advice("plug-token")
        return TokenMissingError(f"{named} was pulled out", why=said(error), advice=advice, **facts)
    if kind == "TokenWriteProtected":
        advice = Advice("use-token-key")
        return UnsupportedKeyError(f"{named} is write-protected", why=said(error), advice=advice, **facts)
    return failed(error, named, **facts)


def locked(label: str, kind: str = "PinLocked") -> PinLockedError:
    """Return the error of a token that takes no PIN."""
    message, advice = f'the token "{label}" takes no PIN', Advice("unlock-token")
    return PinLockedError(message, why=NO_PIN[kind], advice=advice, token=label)


def gone(described: str, label: str, some: bool) -> KeyMissingError:  # noqa: FBT001 - whether a half is left
    """Return the error of a key that was noted, whose private half is not on its token."""
    message = f'the private half of the {described} is gone from the token "{label}"'
    left = "its public half or certificate is still there" if some else "nothing of it is left there"
    return KeyMissingError(message, why=left, advice=Advice("bring-back-key"), token=label)


def failed(error: Exception, what: str, **facts: object) -> KeyAccessError:
    """Return what an error means that may come from a module as a whole."""
    advice = Advice("check-device")
    if type(error).__name__ == "DeviceError":
        return BackendMissingError(f"{what} cannot be talked to", why=said(error), advice=advice, **facts)
    return KeyAccessError(f"{what} failed", why=said(error), advice=advice, **facts)


def said(error: Exception) -> str:
    """Return what the library says."""
    return f"it says: {str(error) or type(error).__name__}"
