"""What a signer is, and keys whose private half stays where it is: on a token, in a KMS, in Vault.

What it is: the base of all backends, what they are given, and the check of what they return. What it is not:
any backend: each is a module of its own, named in the table `SIGNERS` or by an entry point.

Rules:

1. A URI that is kept names one very key, the version included, and holds no secret.
2. Who opens a key whose public half is known asks no service: signing is the first request.
3. Each signature is verified with the known public key before anybody uses it: a key that was changed or
   replaced behind its name signs nothing.
4. A PIN is taken from one source and tried once: three wrong ones lock a token.
5. Signers are used from several threads, and after a fork.
6. Signers that are handed in have the bare ECDSA or RSA keys that they named when they were handed in, each
   another one. What they raise is for whoever handed them in, but none ends the program: that is rule 9.
7. Errors tell whether it is the key (6), a permission (7) or the way to it (8), and hold no secret.
8. Who is going to change something asks before whether a key is ready to sign: a token that is in a drawer is
   missed before the change, not in the middle of it.
9. What a backend of another package raises and we do not know is no defect of ours, and says whose it is; so
   is what it returns and may not: nothing, another key than is known, a URI of another scheme. Nobody but who
   interrupts it ends the program.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from notarypy.errors import (
    Advice,
    KeyAccessError,
    KeyChangedError,
    NotarypyError,
    PassphraseNeededError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.formats import keyuri, urisecrets
from notarypy.keys.signers.services import said
from notarypy.tuf import envelope
from notarypy.tuf.keys import PublicKey
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.passphrases import PassphraseChain

_LOG = logging.getLogger(__name__)
_SEQUENCE = b"\x30"
_WAS_MADE = "the key is made, and is"
_MADE = {"ecdsa": "ecdsa on P-256", "rsa": "rsa of 3072 bits"}


class Signer(Protocol):
    """Whoever can sign with one key."""

    @property
    def public(self) -> PublicKey:
        """The bare public key; in which certificate it stands is the metadata's business."""

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature as metadata carries it, before base64.

        ECDSA is with SHA-256 on every curve, as r and s; RSA-PSS with SHA-256 and a salt of 32 bytes;
        Ed25519 over the message itself.
        """


@dataclass(frozen=True)
class SignerContext:
    """What a backend is given to open a key.

    Attributes:
        request: The key as passphrases are asked for: its id, role and repository, as far as known.
        passphrases: Where a PIN comes from.
        environ: The environment, in which services' addresses and credentials are.
        timeout: Seconds that one request to a service may take.
        public: The public half that is expected; None if it is to be read.
        cosign: Whether the key is to sign images as cosign does, and no metadata.
    """

    request: PassphraseRequest
    passphrases: PassphraseChain = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    timeout: float = 30.0
    public: PublicKey | None = None
    cosign: bool = False

    def pin(self, token: str) -> tuple[str, str]:
        """Return the name of a source and the PIN that it has for a token; one, and once (rule 4).

        Raises PassphraseNeededError if no source has one.
        """
        request = replace(self.request, token=token)
        for source, value in self.passphrases.candidates(request):
            _LOG.debug("the PIN of token %s comes from %s", token, source)
            return source, value
        raise PassphraseNeededError(
            f'there is no PIN for the token "{token}"',
            why=self.passphrases.absence(request),
            advice=self.passphrases.advice(request),
            tried=self.passphrases.tried(request),
            token=token,
        )


class ExternalSigner(ABC):
    """One key that is elsewhere; base of all backends.

    Attributes:
        asks_network: Whether a server is asked for what its keys do; `--offline` uses no such key.
        uri: Where the key is, as it is kept (rule 1).
        public: The bare public half.
    """

    asks_network: ClassVar[bool] = True

    def __init__(self, uri: str, public: PublicKey) -> None:
        """Take a key by the URI that is kept, and its public half."""
        self.uri, self.public = uri, public

    def __repr__(self) -> str:
        """Show where the key is."""
        return f"{type(self).__name__}({self.uri}, {self.public.keyid})"

    @classmethod
    @abstractmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Return a signer with the key that a URI names (rule 2).

        Raises UsageError for a URI that cannot be read, KeyAccessError and its kinds, AuthenticationError, or
        NetworkError.
        """

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """Make a key where a URI says, `ecdsa` on P-256 or `rsa` of 3072 bits; raise as `open`."""
        raise UnsupportedKeyError(
            f"no key can be made at {uri.partition(':')[0]}: from here",
            why=f"make it there: {_MADE.get(algorithm, algorithm)}",
            advice=Advice("add-key-uri"),
            token=context.request.token,
        )

    @abstractmethod
    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature; see `Signer`."""

    def prepare(self) -> None:  # noqa: B027 - to know nothing before one signs is fine
        """Make sure that the key could sign now, without signing; raise as `sign` (rule 8)."""

    def properties(self) -> Mapping[str, str]:
        """Ask the service what it says of the key: short names, and values for people."""
        return {}


class CheckedSigner:
    """A signer whose signatures count only when they verify (rule 3)."""

    def __init__(self, signer: Signer, public: PublicKey, place: str) -> None:
        """Take a signer and the public half that is known of its key; `place` names it in errors."""
        self.signer, self.public, self.place = signer, public, place

    def __repr__(self) -> str:
        """Show the signer behind it."""
        return f"CheckedSigner({self.signer!r})"

    def prepare(self) -> None:
        """Make sure that the key could sign now, where its place can tell (rule 8)."""
        ask: Callable[[], None] | None = getattr(self.signer, "prepare", None)
        if ask is not None:
            with own_errors(type(self.signer), self.place):
                ask()

    def properties(self) -> Mapping[str, str]:
        """Ask the place what it says of the key; nothing where it cannot be asked."""
        ask: Callable[[], object] | None = getattr(self.signer, "properties", None)
        with own_errors(type(self.signer), self.place):
            said_of_it = {} if ask is None else _texts(ask())
        if said_of_it is None:
            raise _failed(type(self.signer), self.place, "properties() returned no mapping of texts to texts")
        return said_of_it

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature; raise KeyChangedError for one that is not the key's."""
        _LOG.debug("%s signs with key %s, %s", type(self.signer).__name__, self.public.keyid, self.place)
        with own_errors(type(self.signer), self.place):
            signed = self.signer.sign(message)
        if problem := _problem(self.public, signed, message):
            raise changed(self.public, self.place, f"{_whose(type(self.signer))}{problem}")
        return signed


def opened(
    backend: type[ExternalSigner], uri: str, context: SignerContext, algorithm: str | None = None
) -> ExternalSigner:
    """Return a backend's signer at a URI; with an algorithm its key is made first (rule 9).

    Raises KeyChangedError where the key that is known is another one.
    """
    with own_errors(backend, uri):
        found = backend.generate(uri, context, algorithm) if algorithm else backend.open(uri, context)
        problem = _unfit(found, uri)
        known, public = context.public, None if problem else found.public
    if problem:
        raise _failed(backend, uri, f"{'generate' if algorithm else 'open'}() returned {problem}")
    if known is not None and public is not None and public != known:
        raise changed(known, uri, f"{_whose(backend)}it leads to key {public.keyid} now")
    return found


@contextmanager
def having_made(uri: str, *, made: bool = True) -> Iterator[None]:
    """Say in every error inside that a key was made before, and where: nobody else will tell."""
    try:
        yield
    except NotarypyError as error:
        if made and not any(line.startswith(_WAS_MADE) for line in error.why):
            error.why = (*error.why, f"{_WAS_MADE} {uri}")
        raise


@contextmanager
def own_errors(backend: type, uri: str) -> Iterator[None]:
    """Make a KeyAccessError of what a backend of another package raises unexpectedly (rule 9).

    The same of what would end the program, whoever raises it (rule 6).
    """
    try:
        yield
    except (NotarypyError, KeyboardInterrupt):
        raise
    except BaseException as error:
        ours = type(error).__module__.partition(".")[0] == "notarypy"
        if ours or (isinstance(error, Exception) and not _whose(backend)):
            raise
        raise _failed(backend, uri, f"{type(error).__name__}: {said(error)}") from error


def _whose(backend: type) -> str:
    """Return the name of a backend of another package, to begin a sentence with; nothing for any other."""
    if backend.__module__.partition(".")[0] == "notarypy" or not issubclass(backend, ExternalSigner):
        return ""
    return f"{backend.__module__}.{backend.__name__}: "


def _failed(backend: type, uri: str, why: str) -> KeyAccessError:
    what = f"the package that leads to {uri}" if issubclass(backend, ExternalSigner) else uri
    name = f"{backend.__module__}.{backend.__name__}"
    advice = Advice("ask-backend") if issubclass(backend, ExternalSigner) else None
    return KeyAccessError(f"{what} failed", why=f"{name}: {why}", advice=advice, uri=uri)


def changed(public: PublicKey, place: str, problem: str) -> KeyChangedError:
    """Return the error that what signs at a place is not the key that is known (rule 3)."""
    return KeyChangedError(
        f"{place} does not sign with key {public.keyid[:7]}",
        why=(problem, "nothing was published with it"),
        advice=Advice("add-changed-key"),
        keyid=public.keyid,
        uri=place,
    )


def _unfit(found: object, uri: str) -> str:
    """Say why what a backend returned for a URI is no signer that can be noted; empty for one that is."""
    if not isinstance(found, ExternalSigner):
        return f"no ExternalSigner: {said(repr(found))}"
    kept, public = getattr(found, "uri", None), getattr(found, "public", None)
    if not isinstance(kept, str) or not isinstance(public, PublicKey):
        return "a signer whose uri is no text, or whose public is no PublicKey"
    scheme = uri.partition(":")[0]
    if not keyuri.usual(kept).startswith(f"{scheme}:") or urisecrets.holds_secret(kept):
        return f"a signer whose uri is none of {scheme}: without a secret"
    return "" if kept == uri or kept.isprintable() else "a signer whose uri has unprintable characters"


def _texts(answer: object) -> Mapping[str, str] | None:
    """Return a mapping of texts to texts as one; None for anything else."""
    if not isinstance(answer, Mapping):
        return None
    found = dict(answer)
    return found if all(isinstance(one, str) for pair in found.items() for one in pair) else None


def _problem(public: PublicKey, signed: object, message: bytes) -> str:
    """Say why what a signer returned is no signature of its key; empty for one that is."""
    match signed:
        case (str(method), bytes(signature)):
            expected = envelope.METHOD_FOR[public.keytype]
            if method != expected:
                return f'it signs by "{method[:20]}", and the key by "{expected}"'
            if envelope.verify(public, method, signature, message):
                return ""
            der = method == "ecdsa" and signature[:1] == _SEQUENCE
            hint = "; it may be DER where r and s are wanted" if der else ""
            return f"its signature is not valid for the public key that is known here{hint}"
    return "what it returned is no method with a signature in bytes"


def given(signers: Sequence[Signer]) -> dict[str, Signer]:
    """Return signers that are handed in by the ids of their keys, each signature checked (rule 6).

    Raises UnsupportedKeyError for a key that cannot be used, UsageError for the same key twice, TypeError for
    what is no signer.
    """
    found: dict[str, Signer] = {}
    for signer in signers:
        public = _public_of(signer)
        require_usable(public)
        if public.keyid in found:
            message = f"two of the signers that were given have the same key, {public.keyid[:12]}"
            raise UsageError(message, advice=Advice("keep-one"), keyid=public.keyid)
        found[public.keyid] = CheckedSigner(signer, public, "the signer that was given")
    return found


def _public_of(signer: object) -> PublicKey:
    """Return the public half of a signer; raise TypeError for anything that is no `Signer`."""
    name = type(signer).__name__
    if isinstance(signer, str):
        raise TypeError(f"a signer is no text: the key of a URI is noted with client.keys.add({signer!r})")
    if isinstance(signer, type):
        raise TypeError(f"a signer is an object, and {signer.__name__} is a class")
    sign = getattr(signer, "sign", None)
    if not callable(sign) or not callable(getattr(signer, "prepare", sign)):
        raise TypeError(f"sign of a signer, and prepare if it is there, are methods, and not those of {name}")
    try:
        public = signer.public  # type: ignore[attr-defined]  # whether it has one is the question
    except AttributeError as error:
        raise TypeError(f"the public key of a signer is its attribute public, and {name} has none") from error
    if not isinstance(public, PublicKey):
        kind = type(public).__name__
        raise TypeError(f"the public key of a signer is a PublicKey, not {kind} as that of {name}")
    return public


def require_usable(public: PublicKey) -> None:
    """Raise UnsupportedKeyError for a key that docker and Go notary cannot use, or that is not bare."""
    if public.keytype in keyuri.KEYTYPES:
        return
    message, why = "docker and Go notary cannot use this key", f"it is of type {public.keytype}"
    if public.keytype.endswith("-x509"):
        message = "a signer has a bare public key, and this one is in a certificate"
    raise UnsupportedKeyError(message, why=why, advice=Advice("use-key-kind"))
