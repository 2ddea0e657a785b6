"""Every error notarypy raises on purpose, each with one code name and one exit code.

What it is: facts for whoever shows an error. What it is not: a place for logic. Rules:

1. One class, one `code`, one `exit_code`: scripts branch on the code, people read the message.
2. No part of an error ever holds a secret.
3. A programmer's mistake (wrong call order, wrong type) is a RuntimeError or TypeError, never one of these.

The families; docs/errors.md lists every class with its code, and a test compares::

    NotarypyError              1
    +-- TrustError             4  the repository's data, or an attacker: trust.*
    |   +-- VerificationError  4  a check failed
    |   +-- PolicyError       10  what the user requires beyond that: policy.*
    +-- OperationError         1  this machine or the way to a server
    |   +-- KeyAccessError     6  key.*
    |   +-- NetworkError       8  net.*
    +-- UsageError             2  usage.*
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, init=False)
class Advice:
    """What to do next, by name, and the values that its text needs; the command line has the texts."""

    name: str
    values: dict[str, object]

    def __init__(self, name: str, /, **values: object) -> None:
        self.__dict__.update(name=name, values=values)


class NotarypyError(Exception):
    """Base of every error here; catch it to catch them all.

    Attributes:
        message: One line that says what happened.
        why: Facts behind it, one line each; may be empty.
        advice: What to do next, by name; None where there is none but the usual.
        facts: The same facts for programs: names to JSON values.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, why: str | tuple[str, ...] = (), advice: Advice | None = None, **facts: object
    ) -> None:
        super().__init__(message)
        self.message, self.advice, self.facts = message, advice, facts
        self.why: tuple[str, ...] = (why,) if isinstance(why, str) else why


class TrustError(NotarypyError):
    """The repository's data cannot be trusted, or does not vouch for what was asked."""

    code = "trust"
    exit_code = 4


class VerificationError(TrustError):
    """Metadata or content failed a check."""

    code = "trust.invalid"


class MetadataError(VerificationError):
    """Metadata is not well formed: JSON, structure, names, types or limits."""

    code = "trust.malformed"


class SignatureError(VerificationError):
    """Too few valid signatures for a role."""

    code = "trust.signature"


class RollbackError(VerificationError):
    """The server offers something older than what was already seen."""

    code = "trust.rollback"


class RootChangedError(VerificationError):
    """The server's root is not linked to the trusted one by a chain of signatures."""

    code = "trust.root_changed"


class RepositoryVanishedError(VerificationError):
    """The server no longer has trust data that this trust directory knows."""

    code = "trust.repo_vanished"


class RootNotPinnedError(VerificationError):
    """The repository's root is not one of the pinned ones, nor linked to one by a chain."""

    code = "trust.root_not_pinned"


class CacheDamagedError(VerificationError):
    """The cached root, the anchor of trust, cannot be read."""

    code = "trust.cache_damaged"


class DigestMismatchError(VerificationError):
    """Content differs from the digest that was signed or asked for."""

    code = "trust.digest_mismatch"


class UnconfirmedPublishError(VerificationError):
    """The server accepted an update but does not serve it."""

    code = "publish.unconfirmed"


class ExpiredError(TrustError):
    """Metadata is past its date, though its signatures are valid."""

    code = "trust.expired"
    exit_code = 5


class RepositoryMissingError(TrustError):
    """The server has no trust data for this repository."""

    code = "trust.repo_missing"
    exit_code = 3


class TagUnsignedError(TrustError):
    """The repository's trust data does not list this tag."""

    code = "trust.tag_unsigned"
    exit_code = 3


class PolicyError(TrustError):
    """Everything is signed and in date, and something that was required is not met."""

    code = "policy"
    exit_code = 10


class SignerMissingError(PolicyError):
    """A required signer has not signed this digest."""

    code = "policy.signer_missing"


class TooOldError(PolicyError):
    """Metadata is in date, and older than the trust policy allows."""

    code = "policy.too_old"


class OutOfScopeError(PolicyError):
    """There is a trust policy, and no scope of it fits the repository."""

    code = "policy.no_scope"


class NotVerifiedError(PolicyError):
    """The trust policy says to verify nothing here, and the caller wants a verified image."""

    code = "policy.skipped"


class OperationError(NotarypyError):
    """Something on this machine or on the way to a server went wrong."""

    code = "operation"


class KeyAccessError(OperationError):
    """A private key cannot be used."""

    code = "key"
    exit_code = 6


class KeyMissingError(KeyAccessError):
    """No such key here."""

    code = "key.missing"


class KeyNotAuthorisedError(KeyAccessError):
    """None of the keys here may sign what was asked."""

    code = "key.not_authorised"


class PassphraseNeededError(KeyAccessError):
    """The key is encrypted and nothing supplied a passphrase."""

    code = "key.passphrase_needed"


class PassphraseWrongError(KeyAccessError):
    """Every passphrase that was supplied failed."""

    code = "key.passphrase_wrong"


class UnsupportedKeyError(KeyAccessError):
    """A key of a kind, size or encoding that Notary v1 cannot use."""

    code = "key.unsupported"


class AuthenticationError(OperationError):
    """A server refused the credentials, or wants some that are not configured."""

    code = "auth.denied"
    exit_code = 7


class NetworkError(OperationError):
    """A server could not be asked, or did not answer properly."""

    code = "net"
    exit_code = 8
    retryable = True


class UnreachableError(NetworkError):
    """No connection to the server."""

    code = "net.unreachable"


class DeadlineError(NetworkError):
    """The server took longer than the whole request may take."""

    code = "net.timeout"


class TlsError(NetworkError):
    """The server's TLS certificate cannot be trusted, or TLS is misconfigured."""

    code = "net.tls"
    retryable = False


class ServerError(NetworkError):
    """The server answered with an error or with something unusable."""

    code = "net.server"


class ResponseLimitError(NetworkError):
    """The server sent more than the limit for this answer."""

    code = "net.limit"
    retryable = False


class UnknownOutcomeError(NetworkError):
    """An update was sent, its answer was lost, and looking was not possible either."""

    code = "publish.unknown"


class NotFoundError(OperationError):
    """The server does not have this object (HTTP 404)."""

    code = "net.not_found"
    exit_code = 3


class ImageMissingError(OperationError):
    """The registry, or a daemon that is to push, has no such repository, tag or digest."""

    code = "registry.not_found"
    exit_code = 3


class RefusedUpdateError(OperationError):
    """The Notary server refused an update for good."""

    code = "publish.refused"


class ConflictError(OperationError):
    """Other publishers kept winning until the deadline."""

    code = "publish.conflict"
    exit_code = 9
    retryable = True


class StorageError(OperationError):
    """The trust directory cannot be read or written."""

    code = "local.storage"


class BuilderError(OperationError):
    """The program that builds images is not here, or failed."""

    code = "build.failed"


class AlreadyExistsError(OperationError):
    """Something of this name exists and differs from what was asked."""

    code = "local.exists"


class UsageError(NotarypyError):
    """The request makes no sense as it was written."""

    code = "usage"
    exit_code = 2


class InvalidNameError(UsageError):
    """A reference, GUN, role, signer or target name breaks its grammar."""

    code = "usage.name"


class ConfigurationError(UsageError):
    """A configuration file, variable or option has an unusable value."""

    code = "usage.config"


class BuildFileError(UsageError):
    """A Dockerfile, compose file or manifest cannot be read, or does not say which images it means."""

    code = "usage.build_file"


class ConfirmationNeededError(UsageError):
    """A dangerous step needs a yes, and nobody can give it."""

    code = "usage.confirmation"
