"""Tokens: which one a URI means, its one session in this process, and logging in.

What it is: the way to what is on a token. What it is not: keys (`pkcs11`), modules, or what their errors
mean (`pkcs11modules`).

Rules:

1. A URI that fits two tokens names none: they are told apart by their serial numbers.
2. A process has one session for each token. Where it was lost, as a token was pulled and is plugged in again,
   it is opened anew, once.
3. A PIN is asked for when something cannot be done without. It is tried once; what was wrong is not tried
   again, and whoever had it (a client with its sources and its prompt, for all its keys and threads) is not
   asked for another PIN of that token: three wrong ones lock it. Another client may have the right one.
4. No error and no log has a PIN.
"""

from __future__ import annotations

import logging
import sys
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from notarypy.errors import Advice, KeyAccessError, KeyAmbiguousError, PinWrongError, TokenMissingError
from notarypy.keys.passphrases import PROMPT, read_lines
from notarypy.keys.signers.pkcs11modules import (
    EMPTY,
    LOCK,
    LOST,
    NO_PIN,
    SDK,
    WRONG_PIN,
    Module,
    failed,
    locked,
    module,
    of_token,
    said,
    waited,
)
from notarypy.keys.signers.pkcs11uri import Pkcs11Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from notarypy.keys.passphrases import PassphraseChain
    from notarypy.keys.signers.base import SignerContext

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_BEFORE = "it was refused before, and is not tried again"


class _Refused(NamedTuple):
    """A PIN that was wrong: of which token, as its hash, from which source, and of whom (rules 3 and 4)."""

    token: str
    value: int
    source: str
    chain: weakref.ref[PassphraseChain]


_refused: list[_Refused] = []


class Token:
    """A token with its session; whoever has one holds `LOCK`.

    Attributes:
        module: What leads to it.
        info: What the library says of it.
        session: The session.
        logged_in: Whether private keys can be used.
    """

    def __init__(self, module: Module, info: Any) -> None:  # noqa: ANN401 - the library's class, or a test's
        self.module, self.info = module, info
        self.session, self.logged_in = info.open(), False
        self._pin: tuple[str, str] | None = None
        _LOG.debug("opened %s, serial %s, in %s", self.name, self.serial, module.path)

    def __repr__(self) -> str:
        """Show which one (rule 4)."""
        return f"Token({self.key})"

    @property
    def serial(self) -> str:
        """The serial number as text."""
        return _serial(self.info)

    @property
    def name(self) -> str:
        """How messages name it."""
        return f'token "{self.info.label}"'

    @property
    def key(self) -> str:
        """What it is known by in this process."""
        return ";".join(key_of(self.info))

    @property
    def uses(self) -> int:
        """What a key that signs is made for: tpm2-pkcs11 makes none on a curve that is for signing alone."""
        flags, described = SDK.MechanismFlag, self.module.library.library_description
        more = flags.ENCRYPT | flags.DECRYPT if described == "TPM2.0 Cryptoki" else 0
        return int(flags.SIGN | flags.VERIFY | more)

    def find(self, **attributes: object) -> list[Any]:
        """Return the objects with these attributes, in capital letters as the library has them."""
        wanted = {SDK.Attribute[name]: value for name, value in attributes.items() if value is not None}
        with _said_once():
            return waited(f"the {self.name}", lambda: list(self.session.get_objects(wanted)))

    def login(self, uri: Pkcs11Uri, context: SignerContext) -> bool:
        """Log in, unless that was done (rule 3); tell whether it was done now.

        Raises PassphraseNeededError, PinWrongError, PinLockedError, ConfigurationError.
        """
        flags = SDK.TokenFlag
        if self.logged_in or not self.info.flags & flags.LOGIN_REQUIRED:
            return False
        pin = None
        if not self.info.flags & flags.PROTECTED_AUTHENTICATION_PATH:
            pin = self._asked(uri, context)
        with self.checking(pin, context):
            try:
                given = SDK.PROTECTED_AUTH if pin is None else pin[1]
                session = waited(f"the {self.name}", lambda: self.info.open(user_pin=given))
            except SDK.UserAlreadyLoggedIn:  # by another part of this process; the PIN was not looked at
                session = self.info.open()
        before, self.session, self.logged_in, self._pin = self.session, session, True, pin
        with suppress(SDK.PKCS11Error):
            before.close()
        _LOG.debug("logged in to %s with the PIN from %s", self.name, pin[0] if pin else "its own keys")
        return True

    def again(self, uri: Pkcs11Uri, context: SignerContext) -> tuple[str, str]:
        """Return the source and the PIN for a key that wants it with each signature."""
        self._pin = self._pin or self._asked(uri, context)
        return self._pin

    def forget_pin(self) -> None:
        """Keep the PIN no longer: no key wants it again."""
        self._pin = None

    def close(self) -> None:
        """Give up the session."""
        self.module.sessions.pop(self.key, None)
        with suppress(SDK.PKCS11Error):
            self.session.close()

    def _asked(self, uri: Pkcs11Uri, context: SignerContext) -> tuple[str, str]:
        """Return a PIN and its source; what was wrong before is not tried (rule 3)."""
        wrong = [known for known in _refused if known.token == self.key]
        for known in wrong:
            if known.chain() is context.passphrases or known.source == PROMPT:
                raise self._wrong(known.source, _BEFORE)
        path = uri.get("pin-source")
        source, value = f"pin-source {path}", read_lines(Path(path), "pin-source")[0] if path else ""
        if not value:
            source, value = context.pin(self.info.label or self.serial)
        if any("\ud800" <= one <= "\udfff" for one in value):  # an encoder's error would repeat it
            raise self._wrong(source, "it is no text, and was not tried")
        if any(known.value == hash(value) for known in wrong):
            raise self._wrong(source, _BEFORE)
        return source, value

    @contextmanager
    def checking(self, pin: tuple[str, str] | None, context: SignerContext) -> Iterator[None]:
        """Say what is wrong with a PIN that is used in it (rule 3)."""
        try:
            yield
        except SDK.PKCS11Error as error:
            kind = type(error).__name__
            if kind in WRONG_PIN and pin is not None:
                source, value = pin
                _refused.append(_Refused(self.key, hash(value), source, weakref.ref(context.passphrases)))
                raise self._wrong(pin[0]) from None
            if kind in NO_PIN:
                raise locked(self.info.label, kind) from None
            raise

    def _wrong(self, source: str, how: str = "it was tried once") -> KeyAccessError:
        why = [how]
        with suppress(SDK.PKCS11Error):
            flags, known = self.info.slot.get_token().flags, SDK.TokenFlag
            if flags & known.USER_PIN_LOCKED:
                return locked(self.info.label)
            if flags & known.USER_PIN_FINAL_TRY:
                why.append("one more wrong PIN locks the token")
            elif flags & known.USER_PIN_COUNT_LOW:
                why.append("the token counts wrong PINs, and locks after a few")
        return PinWrongError(
            f"the {self.name} does not take the PIN from {source}",
            why=tuple(why),
            advice=Advice("check-pin"),
            tried=[source],
            token=self.info.label,
            serial=self.serial,
        )


def using(uri: Pkcs11Uri, context: SignerContext, work: Callable[[Token], _T], *, again: bool = True) -> _T:
    """Do something with the token that a URI means (rules 1 and 2); `again` once if its session was lost.

    Raises BackendMissingError, TokenMissingError, KeyAmbiguousError, KeyAccessError, and what `work` raises.
    """
    with LOCK:
        while True:
            held = module(uri, context.environ, noted=context.public is not None)
            token: Token | None = None
            try:
                token = _opened(uri, held)
                return work(token)
            except SDK.PKCS11Error as error:
                kind = type(error).__name__
                if token is None:
                    raise failed(error, f"the module {held.path}", path=held.path) from None
                token.close()
                if not again or kind not in LOST:
                    raise of_token(error, token.info.label, token.serial) from None
                _LOG.debug("the session with the %s was lost: %s", token.name, kind)
            again = False


def _opened(uri: Pkcs11Uri, held: Module) -> Token:
    """Return the token with its session (rule 2)."""
    if uri.get("serial"):  # who knows it need not look at what else is plugged in
        for token in held.sessions.values():
            if isinstance(token, Token) and _fits(uri, token.info, held):
                return token
    named = f"the module {held.path}"
    info = waited(named, lambda: _only(uri, held))
    known = held.sessions.get(";".join(key_of(info)))
    if not isinstance(known, Token):
        known = waited(named, lambda: Token(held, info))
        held.sessions[known.key] = known
    return known


def _only(uri: Pkcs11Uri, held: Module) -> Any:  # noqa: ANN401 - as in Token
    infos, problem = plugged(held)
    fitting = [info for info in infos if _fits(uri, info, held)]
    if len(fitting) == 1:
        return fitting[0]
    label = uri.get("token")
    named = f'token "{label}"' if label is not None else "such token"
    if fitting:
        message = f"there are {len(fitting)} tokens that fit" + (f': "{label}"' if label else "")
        advice = Advice("name-serial")
        raise KeyAmbiguousError(message, why=tuple(map(_described, fitting)), advice=advice, token=label)
    if problem is not None:
        raise failed(problem, f"a token of {held.path}", path=held.path)
    why = tuple(f"there is {_described(info)}" for info in infos) or f"{held.path} sees none"
    message = f"there is no {named} here"
    raise TokenMissingError(message, why=why, advice=Advice("plug-token"), token=label)


def plugged(held: Module) -> tuple[list[Any], Exception | None]:
    """Return the tokens that are plugged in, and what one said that cannot be read."""
    found, problem = [], None
    for slot in held.library.get_slots():
        try:
            info = slot.get_token()
        except SDK.PKCS11Error as error:
            if type(error).__name__ not in EMPTY:
                problem = error
                _LOG.debug("slot %s of %s: %s", slot.slot_id, held.path, said(error))
            continue
        if info.label or info.flags & SDK.TokenFlag.TOKEN_INITIALIZED:
            found.append(info)
    return found, problem


def _fits(uri: Pkcs11Uri, info: Any, held: Module) -> bool:  # noqa: ANN401 - as in Token
    library = held.library
    versions = ".".join(map(str, library.library_version)), str(library.library_version[0])
    actual: dict[str, tuple[str, ...]] = {
        "token": (info.label,),
        "serial": (_serial(info),),
        "manufacturer": (info.manufacturer_id,),
        "model": (info.model,),
        "slot-id": (str(info.slot.slot_id),),
        "slot-description": (info.slot.slot_description,),
        "slot-manufacturer": (info.slot.manufacturer_id,),
        "library-manufacturer": (library.manufacturer_id,),
        "library-description": (library.library_description,),
        "library-version": versions,
    }
    wanted = {name: value.rstrip() for name, value in uri.values.items() if name in actual}
    return all(value in actual[name] for name, value in wanted.items())


@contextmanager
def _said_once() -> Iterator[None]:
    """Keep a search that fails from saying so a second time, on stderr, when the library takes it down."""
    hooks = sys.excepthook, sys.unraisablehook

    def unraisable(found: Any) -> None:  # noqa: ANN401 - its type has no name at run time
        if not issubclass(found.exc_type, SDK.PKCS11Error):
            hooks[1](found)

    def uncaught(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, SDK.PKCS11Error):
            hooks[0](kind, value, trace)

    sys.excepthook, sys.unraisablehook = uncaught, unraisable
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = hooks


def key_of(info: Any) -> tuple[str, str, str]:  # noqa: ANN401 - as in Token
    """Return label, serial number and slot of a token."""
    return info.label, _serial(info), str(info.slot.slot_id)


def _serial(info: Any) -> str:  # noqa: ANN401 - as in Token
    """Return a serial number as text; the library has bytes, as they are padded."""
    written: bytes = info.serial
    return written.rstrip(b" \0").decode("utf-8", "replace")


def _described(info: Any) -> str:  # noqa: ANN401 - as in Token
    maker = f"{info.model} of {info.manufacturer_id}"
    return f'token "{info.label}", serial {_serial(info)}, {maker}'


def kept_uri(token: Token, named: Pkcs11Uri) -> str:
    """Return the URI that names this very key; slots change, so it has none unless nothing else tells."""
    values = {
        "token": token.info.label,
        "serial": token.serial,
        "object": named.label or "",
        "module-path": token.module.path,
        "pin-source": named.get("pin-source") or "",
    }
    same = [info for info in plugged(token.module)[0] if key_of(info)[:2] == key_of(token.info)[:2]]
    if len(same) > 1 or not values["serial"]:
        values["slot-id"] = str(token.info.slot.slot_id)
    return str(Pkcs11Uri({name: value for name, value in values.items() if value}, named.id))
