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

from collections.abc import Collection, Sequence
from typing import ClassVar, Self

from notarypy.values import dataclass

WORST_FIRST = (4, 10, 11, 5, 3, 6, 7, 9, 8, 2, 12, 1)
"""Exit codes: of several failures the first of these counts."""


def worst(codes: Collection[int]) -> int:
    """Return the exit code that counts of several failures, 0 for none."""
    return next((code for code in WORST_FIRST if code in codes), 0)


def beginning(lines: Sequence[str], most: int) -> tuple[str, ...]:
    """Return so many of many lines as people read, and how many more there are."""
    return (*lines[:most], f"and {len(lines) - most} more") if len(lines) > most else tuple(lines)


@dataclass(frozen=True)
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

    def __init_subclass__(
        cls, *, code: str | None = None, exit_code: int | None = None, retryable: bool | None = None
    ) -> None:
        """Give a class its code, and what differs from its base."""
        cls.code, cls.exit_code = code or cls.code, exit_code or cls.exit_code
        cls.retryable = cls.retryable if retryable is None else retryable

    def __init__(
        self, message: str, *, why: str | tuple[str, ...] = (), advice: Advice | None = None, **facts: object
    ) -> None:
        super().__init__(message)
        self.message, self.advice, self.facts = message, advice, facts
        self.why: tuple[str, ...] = tuple(filter(None, (why,) if isinstance(why, str) else why))

    def saying(self, *why: str, **facts: object) -> Self:
        """Return one like this that says more; this one may be raised for others, too."""
        more = type(self).__new__(type(self), *self.args)
        vars(more).update(vars(self), why=(*self.why, *why), facts={**self.facts, **facts})
        return more


class TrustError(NotarypyError, code="trust", exit_code=4):
    """The repository's data cannot be trusted, or does not vouch for what was asked."""


class VerificationError(TrustError, code="trust.invalid"):
    """Metadata or content failed a check."""


class MetadataError(VerificationError, code="trust.malformed"):
    """Metadata is not well formed: JSON, structure, names, types or limits."""


class MetadataLimitError(MetadataError, code="trust.limit"):
    """Metadata has more of something than readers take, though it may be well signed."""

    def __init__(self, message: str, *, why: str | tuple[str, ...] = (), **facts: object) -> None:
        super().__init__(message, why=why, advice=Advice("over-limits"), **facts)


class SignatureError(VerificationError, code="trust.signature"):
    """Too few valid signatures for a role."""


class FileMissingError(VerificationError, code="trust.file_missing"):
    """The server announces a file that it does not have."""


class RollbackError(VerificationError, code="trust.rollback"):
    """The server offers something older than what was already seen."""


class RootChangedError(VerificationError, code="trust.root_changed"):
    """The server's root is not linked to the trusted one by a chain of signatures."""


class RepositoryVanishedError(VerificationError, code="trust.repo_vanished"):
    """The server no longer has trust data that this trust directory knows."""


class RootNotPinnedError(VerificationError, code="trust.root_not_pinned"):
    """The repository's root is not one of the pinned ones, nor linked to one by a chain."""


class FirstUseError(TrustError, code="trust.first_use", exit_code=11):
    """Nothing says which root a repository must have, and nobody has decided to trust the one shown."""


class CacheDamagedError(VerificationError, code="trust.cache_damaged"):
    """The cached root, the anchor of trust, cannot be read."""


class BackupUnusableError(VerificationError, code="trust.backup"):
    """A backup is not what was written once: damaged, cut off, of a newer form, or no backup at all."""


class DigestMismatchError(VerificationError, code="trust.digest_mismatch"):
    """Content differs from the digest that was signed or asked for."""


class PartError(VerificationError, code="trust.part"):
    """What several people are to sign does not hang together, or is not what they were shown."""


class UnconfirmedPublishError(VerificationError, code="publish.unconfirmed"):
    """The server accepted an update but does not serve it, or not so that its readers find it."""


class ExpiredError(TrustError, code="trust.expired", exit_code=5):
    """Metadata is past its date, though its signatures are valid."""


class RepositoryMissingError(TrustError, code="trust.repo_missing", exit_code=3):
    """The server has no trust data for this repository."""


class RepositoryUnpublishedError(TrustError, code="trust.repo_unpublished", exit_code=3):
    """The server has no trust data for this repository, which was begun here and maybe never published."""


class TagUnsignedError(TrustError, code="trust.tag_unsigned", exit_code=3):
    """The repository's trust data does not list this tag."""


class NotMigratedError(TrustError, code="trust.not_migrated", exit_code=3):
    """A released tag is served as signed, and not signed the new way by a key that was given."""


class PolicyError(TrustError, code="policy", exit_code=10):
    """Everything is signed and in date, and something that was required is not met."""


class SignerMissingError(PolicyError, code="policy.signer_missing"):
    """A required signer has not signed this digest."""


class CosignMissingError(PolicyError, code="policy.cosign_missing"):
    """Too few of the keys that are required have signed this image with cosign."""


class UnpinnedError(PolicyError, code="policy.unpinned"):
    """An image is signed, and a file names it without its digest where that is required."""


class TooOldError(PolicyError, code="policy.too_old"):
    """Metadata is in date, and older than the trust policy allows."""


class OutOfScopeError(PolicyError, code="policy.no_scope"):
    """There is a trust policy, and no scope of it fits the repository."""


class NotVerifiedError(PolicyError, code="policy.skipped"):
    """The trust policy says to verify nothing here, and the caller wants a verified image."""


class OperationError(NotarypyError, code="operation"):
    """Something on this machine or on the way to a server went wrong."""


class KeyAccessError(OperationError, code="key", exit_code=6):
    """A private key cannot be used."""


class KeyMissingError(KeyAccessError, code="key.missing"):
    """No such key here."""


class KeyNotAuthorisedError(KeyAccessError, code="key.not_authorised"):
    """None of the keys here may sign what was asked."""


class PassphraseNeededError(KeyAccessError, code="key.passphrase_needed"):
    """The key is encrypted and nothing supplied a passphrase."""


class PassphraseWrongError(KeyAccessError, code="key.passphrase_wrong"):
    """Every passphrase that was supplied failed."""


class UnsupportedKeyError(KeyAccessError, code="key.unsupported"):
    """A key of a kind, size or encoding that Notary v1 cannot use."""


class PinWrongError(PassphraseWrongError, code="key.pin_wrong"):
    """A token does not take the PIN; it was tried once."""


class PinLockedError(KeyAccessError, code="key.pin_locked"):
    """A token takes no PIN: it is locked, has expired, or was never set."""


class TokenMissingError(KeyMissingError, code="key.token_missing"):
    """No token that is plugged in is the one that is meant."""


class KeyAmbiguousError(KeyAccessError, code="key.ambiguous"):
    """Several tokens, or several keys of one, are what is meant."""


class KeyDisabledError(KeyAccessError, code="key.disabled"):
    """A service has the key, and does not let it sign: it is disabled, destroyed, or for something else."""


class KeyChangedError(KeyAccessError, code="key.changed"):
    """What is at the place of a key signs with another one."""


class BackendMissingError(KeyAccessError, code="key.backend_missing"):
    """A program or library that leads to the key is not installed, or cannot be loaded."""


class AuthenticationError(OperationError, code="auth.denied", exit_code=7):
    """A server refused the credentials, or wants some that are not configured."""


class KeyPermissionError(AuthenticationError, code="auth.key_denied"):
    """A service does not let whoever asks use or read the key."""


class NetworkError(OperationError, code="net", exit_code=8, retryable=True):
    """A server could not be asked, or did not answer properly."""


class UnreachableError(NetworkError, code="net.unreachable"):
    """No connection to the server."""


class DeadlineError(NetworkError, code="net.timeout"):
    """The server took longer than the whole request may take."""


class UndecidedError(NetworkError, code="service.undecided"):
    """The verification service did not know in time whether an image is good."""


class TlsError(NetworkError, code="net.tls", retryable=False):
    """The server's TLS certificate cannot be trusted, or TLS is misconfigured."""


class ServerError(NetworkError, code="net.server"):
    """The server answered with an error or with something unusable."""


class ThrottledError(ServerError, code="net.throttled"):
    """A service was asked too often, and the wait that it asks for is too long."""


class NotNotaryError(ServerError, code="net.not_notary", retryable=False):
    """What answers at the address is no Notary server."""


class NotRegistryError(ServerError, code="net.not_registry", retryable=False):
    """What answers at the address is no registry."""


class ResponseLimitError(NetworkError, code="net.limit", retryable=False):
    """The server sent more than the limit for this answer."""


class BusyError(NetworkError, code="service.busy"):
    """A verification service cannot take this question now: too many wait, or it is ending."""


class UnknownOutcomeError(NetworkError, code="publish.unknown"):
    """An update was sent, its answer was lost, and looking was not possible either."""


class NotFoundError(OperationError, code="net.not_found", exit_code=3):
    """The server does not have this object (HTTP 404)."""


class ImageMissingError(OperationError, code="registry.not_found", exit_code=3):
    """The registry, or a daemon that is to push, has no such repository, tag or digest."""


class RefusedUpdateError(OperationError, code="publish.refused"):
    """The Notary server refused an update for good."""


class ConflictError(OperationError, code="publish.conflict", exit_code=9, retryable=True):
    """Other publishers kept winning until the deadline."""


class OutdatedPartError(ConflictError, code="publish.outdated", retryable=False):
    """What several people signed builds on files that are not the published ones any more."""


class StorageError(OperationError, code="local.storage"):
    """The trust directory cannot be read or written."""


class BuilderError(OperationError, code="build.failed"):
    """The program that builds images is not here, or failed."""


class NothingThereError(OperationError, code="operation.nothing", exit_code=12):
    """All that there is was meant, and there is nothing, or not all of it was looked at."""


class AlreadyExistsError(OperationError, code="local.exists"):
    """Something of this name exists and differs from what was asked."""


class UsageError(NotarypyError, code="usage", exit_code=2):
    """The request makes no sense as it was written."""


class UnreadableUpdateError(UsageError, code="publish.unreadable"):
    """What was to be published is beyond the limits of readers: nobody could read the repository any more."""


class InvalidNameError(UsageError, code="usage.name"):
    """A reference, GUN, role, signer or target name breaks its grammar."""


class ConfigurationError(UsageError, code="usage.config"):
    """A configuration file, variable or option has an unusable value."""


class BuildFileError(UsageError, code="usage.build_file"):
    """A Dockerfile, compose file or manifest cannot be read, or does not say which images it means."""


class AdmissionReviewError(UsageError, code="usage.admission_review"):
    """What came is no AdmissionReview, or one about which nobody here can say which images it has."""


class ConfirmationNeededError(UsageError, code="usage.confirmation"):
    """A dangerous step needs a yes, and nobody can give it."""


class UndecidedTagsError(ConfirmationNeededError, code="usage.undecided_tags"):
    """Tags rest on the keys that are removed alone, and nobody said whether to keep or to revoke them."""
