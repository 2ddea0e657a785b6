"""Modules that lead to tokens: which one a URI means, loading it once for the whole process, and its errors.

What it is: paths of shared libraries, the library that calls them, and the one table of what its errors mean.
What it is not: tokens and what is on them (`pkcs11tokens`).

Rules:

1. A module is code that runs in this process. Only an absolute path of a file that exists is loaded: one that
   the user named, or one of this name in the folders where systems have modules. A path that stands in a
   reference may be from whoever can write into the trust directory: it has to be one of the system's, or the
   one that the environment names. Whoever named it, nobody but root and the user may be able to change it.
2. Each is loaded once, by its real path: loading it by two names is an error, and so is starting it twice.
3. Modules are started as for one thread, so one thread calls them at a time: the one that holds `LOCK`. A
   fork waits for it. In a child no session of the parent is used, and each module begins anew.
4. A module may wait for a finger, or hang: nothing can interrupt it. What may take long is called in a thread
   that is left behind after some time, or when somebody presses Ctrl-C; then no module is used any more. So
   it is while it is loaded, which the library does without letting other threads run: it is loaded before.
5. The library's errors have no text: they are told apart by their classes.
6. A session that was lost is told apart from all else: it is opened anew.
"""

from __future__ import annotations

import atexit
import glob
import logging
import os
import stat
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from notarypy import system
from notarypy.errors import (
    Advice,
    BackendMissingError,
    DeadlineError,
    KeyAccessError,
    KeyMissingError,
    PinLockedError,
    TokenMissingError,
    UnsupportedKeyError,
)

SDK: Any
"""The library that calls modules; None where the extra is not installed, which `module` says."""
try:
    import pkcs11 as SDK  # noqa: N812 - it is used as a value
except ImportError:
    SDK = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from notarypy.keys.signers.pkcs11uri import Pkcs11Uri

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_LONGEST = 60.0
LOCK = threading.RLock()
"""Who calls a module holds it (rule 3)."""
VARIABLES = ("COSIGN_PKCS11_MODULE_PATH", "PKCS11_MODULE_PATH")
"""What names the module where a URI does not: cosign's variable, and that of OpenSSL's engine."""
_ENTRY = "C_GetFunctionList"  # what each module has
_USUAL = ("p11-kit-proxy", "opensc-pkcs11")
_FOLDERS = ("/usr/lib/*-linux-*", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
_BELOW = ("", "pkcs11", "softhsm")
_SYSTEM = ("/usr/", "/lib/", "/lib64/", "/opt/", "/nix/store/", "/gnu/store/", "/Library/", "/System/")
# Folders that groups share by design: Debian's `staff`, Homebrew's `admin`.
_SHARED = ("/usr/local", "/opt/homebrew")
_SUFFIXES = (".so", ".dylib", ".so.*")


class Module:
    """A module that is loaded.

    Attributes:
        path: Its file, as it was named.
        library: What calls it.
        sessions: What `pkcs11tokens` has open there, by token.
        forked: Whether it was loaded by a process that this one was forked from.
    """

    def __init__(self, path: str, library: Any) -> None:  # noqa: ANN401 - the class has no name but this
        self.path, self.library, self.forked = path, library, False
        self.sessions: dict[str, Any] = {}

    def restart(self) -> None:
        """Begin anew in a child (rule 3); what the parent had open stays the parent's."""
        with suppress(Exception):
            self.library.finalize()
        self.library.initialize()
        self.forked = False


_MODULES: dict[str, Module] = {}
_hanging: list[str] = []


def waited(what: str, call: Callable[[], _T]) -> _T:
    """Return what a module does when it is called; raise DeadlineError for one that does not end (rule 4).

    `what` names the module or token in the error.
    """
    outcome: list[Callable[[], _T]] = []

    def work() -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            outcome.append(partial(_raise, error))
        else:
            outcome.append(lambda: value)

    thread = threading.Thread(target=work, daemon=True)
    if not _hanging:
        thread.start()
        try:
            thread.join(_LONGEST)
        finally:
            _hanging.extend([what] if thread.is_alive() else [])
    if _hanging:
        message, why = f"{_hanging[0]} does not answer", f"it was waited for, {_LONGEST:.0f} seconds at most"
        raise DeadlineError(message, why=why, advice=Advice("touch-token"))
    return outcome[0]()


def _raise(error: Exception) -> NoReturn:
    raise error


def module(uri: Pkcs11Uri, environ: Mapping[str, str], *, noted: bool) -> Module:
    """Return the module that a URI means, loaded; the caller holds `LOCK`. Raises BackendMissingError.

    Of one that was `noted` the URI is from a reference (rule 1).
    """
    if SDK is None:
        message, why = "keys on tokens need python-pkcs11", "it is not installed, or cannot be loaded"
        raise BackendMissingError(message, why=why, advice=Advice("install-extra", extra="pkcs11"))
    path = _path(uri, environ, noted=noted)
    real = os.path.realpath(path)
    if noted and uri.get("module-path") is not None:
        _require_known(path, real, environ)
    found = _MODULES.get(real)
    if found is None:
        _require_own(path, real)
        library = _started(path, lambda: _loaded(real))
        _LOG.debug("loaded %s, %s of %s", path, library.library_description, library.manufacturer_id)
        found = _MODULES[real] = Module(path, library)
    elif found.forked:
        _started(path, found.restart)
    return found


def _loaded(path: str) -> Any:  # noqa: ANN401 - as in Module
    """Return what calls a module, which is loaded here first (rule 4); what fails, the library says."""
    if not system.WINDOWS:
        import ctypes  # for tokens alone

        loader, found = ctypes.CDLL(None), ctypes.c_void_p()
        loader.dlopen.restype = loader.dlsym.restype = ctypes.c_void_p
        handle = loader.dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_LOCAL)
        entry = loader.dlsym(ctypes.c_void_p(handle), _ENTRY.encode()) if handle else None
        if entry:
            ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(entry)(ctypes.byref(found))
    return SDK.lib(path)


def _started(path: str, start: Callable[[], Any]) -> Any:  # noqa: ANN401 - as in Module
    try:
        return waited(f"the module {path}", start)
    except SDK.PKCS11Error as error:
        why = str(error).split(": ", 2)[-1] or "it finds no configuration, or nothing to talk to"
        if _ENTRY in why:
            why = "it is a library for something else"
        message, advice = f"the module {path} cannot be used", Advice("check-module")
        raise BackendMissingError(message, why=why, advice=advice, path=path) from None


def _path(uri: Pkcs11Uri, environ: Mapping[str, str], *, noted: bool) -> str:
    path, name = uri.get("module-path"), uri.get("module-name")
    if path is not None and name is not None and os.path.isdir(path):  # noqa: PTH112 - as URIs have it
        return _first([path], [name])
    if path is not None:
        return _existing(path, "module-path", noted=noted)
    if name is not None:
        return _first(list(_folders()), [name])
    for variable in VARIABLES:
        if value := environ.get(variable):
            return _existing(value, variable)
    return _first(list(_folders()), _USUAL)


def _existing(path: str, source: str, *, noted: bool = False) -> str:
    """Return a path that may be loaded (rule 1)."""
    absolute = os.path.isabs(path)  # noqa: PTH117 - a path as the URI has it
    if absolute and os.path.isfile(path):  # noqa: PTH113
        return path
    why = f"{source} is {path}, " + ("and that is no file here" if absolute else "which is not absolute")
    advice = Advice("name-moved-module" if noted else "name-module")
    raise BackendMissingError("there is no such module for tokens", why=why, advice=advice, path=path)


def _require_known(path: str, real: str, environ: Mapping[str, str]) -> None:
    """Raise BackendMissingError for a module that neither the system nor the environment names (rule 1)."""
    named = {os.path.realpath(environ[variable]) for variable in VARIABLES if environ.get(variable)}
    if not real.startswith(_SYSTEM) and real not in named:
        why = "its path is from a reference, and is not one where systems have modules"
        message, advice = f"the module {path} is not loaded", Advice("allow-module", path=path)
        raise BackendMissingError(message, why=why, advice=advice, path=path)


def _require_own(path: str, real: str) -> None:
    """Raise BackendMissingError for a module that others than root and the user can change (rule 1)."""
    if (own := system.effective_user()) is None:
        return
    for place in (real, *map(str, Path(real).parents)):
        try:
            problem = _others_write(os.stat(place), place, *own)  # noqa: PTH116 - strings are all that is needed
        except OSError as error:
            problem = error.strerror or "it cannot be looked at"
        if problem:
            message, advice = f"the module {path} is not loaded", Advice("guard-module")
            raise BackendMissingError(message, why=f"{place}: {problem}", advice=advice, path=path)


def _others_write(found: os.stat_result, place: str, user: int, group: int) -> str:
    """Say who else can write to a file or folder; empty if nobody can."""
    mode = found.st_mode
    if found.st_uid not in {0, user}:
        return "it belongs to somebody else"
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:  # each there writes what is theirs
        return ""
    if mode & stat.S_IWOTH:
        return "everybody can write to it"
    own = found.st_gid == 0 or (found.st_gid == user == group)  # a group of its own, as users have
    return (
        "a group can write to it" if mode & stat.S_IWGRP and not own and not place.startswith(_SHARED) else ""
    )


def _folders() -> Iterator[str]:
    for pattern in _FOLDERS:
        for folder in sorted(glob.glob(pattern)):  # noqa: PTH207 - strings are all that is needed
            yield from (os.path.join(folder, below) for below in _BELOW)  # noqa: PTH118


def _first(folders: list[str], names: Sequence[str]) -> str:
    for name in names:
        for folder in folders:
            for prefix in ("", "lib"):
                stem = os.path.join(glob.escape(folder), prefix + name)  # noqa: PTH118
                for suffix in _SUFFIXES:
                    for path in sorted(glob.glob(stem + suffix)):  # noqa: PTH207
                        return path
    why = f"looked for {' and '.join(names)} in {', '.join(filter(os.path.isdir, folders))}"
    if names is _USUAL:
        why = f"the URI names no module, {' and '.join(VARIABLES)} are not set; {why}"
    raise BackendMissingError("there is no module for tokens", why=why, advice=Advice("name-module"))


def _forked() -> None:
    for found in _MODULES.values():
        found.sessions.clear()
        found.forked = True
    LOCK.release()


def _end() -> None:
    """Close what is open, as a token with little room needs it; in the process that opened it alone."""
    if not _hanging and LOCK.acquire(blocking=False):
        for found in _MODULES.values():
            if not found.forked:
                found.sessions.clear()
                with suppress(Exception):
                    found.library.finalize()
        _MODULES.clear()
        LOCK.release()


system.at_fork(LOCK.acquire, LOCK.release, _forked)
atexit.register(_end)


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
"""What a session says that was lost (rule 6)."""
_UNABLE = {
    *("MechanismInvalid", "MechanismParamInvalid", "FunctionNotSupported"),
    *("KeyTypeInconsistent", "KeySizeRange"),
}
_NOT_PERMITTED = "0x68"  # CKR_KEY_FUNCTION_NOT_PERMITTED, which has no class


def of_token(error: Exception, label: str, serial: str) -> KeyAccessError:
    """Return what an error of a token means (rule 5)."""
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
