"""What errors of AWS's SDK mean, in our words.

What it is: exceptions in, errors out. What it is not: the requests (`awskms`).

Rules:

1. Of what AWS says, nothing is passed on but names of operations, errors, hosts, profiles and principals, and
   a key's state, each by its own form: its texts may have requests in them, with tokens. Of what the SDK says
   about this machine's files and variables, one short line is, without anything that looks like a credential;
   of programs that it ran, nothing is.
2. HTTP 403 is a permission that is missing, whatever the error is called, unless it is about credentials.
3. Exceptions are known by the names of their classes: nothing of the SDK is imported for that.
"""

from __future__ import annotations

import json
import re
import ssl
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm

from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.signers import services

if TYPE_CHECKING:
    from collections.abc import Iterator

_GIVE, _RENEW = Advice("give-aws-credentials"), Advice("log-in-to-aws")
_CORRECT = Advice("correct-credentials")
_MAKE, _LOOK, _REGION = Advice("make-aws-key"), Advice("look-for-aws-key"), Advice("set-aws-region")

# By the name that the service gives: our class, what is so of the key, and what to do.
_KEY: dict[str, tuple[type[NotarypyError], str, Advice | None]] = {
    "NotFoundException": (KeyMissingError, "is not there", _LOOK),
    "DisabledException": (KeyDisabledError, "is disabled", Advice("enable-aws-key")),
    "KMSInvalidStateException": (KeyDisabledError, "is not to be used", Advice("describe-aws-key")),
    "InvalidKeyUsageException": (UnsupportedKeyError, "is not for such signatures", _MAKE),
    "UnsupportedOperationException": (UnsupportedKeyError, "is not for signatures", _MAKE),
    "InvalidArnException": (UsageError, "has no ARN of a key", _LOOK),
    "AlreadyExistsException": (AlreadyExistsError, "is there already", Advice("name-aws-alias")),
    "LimitExceededException": (ThrottledError, "would be more than the account may have", None),
    "KeyUnavailableException": (ServerError, "is not available just now", None),
    "DependencyTimeoutException": (ServerError, "could not be reached by AWS KMS in time", None),
    "CustomKeyStoreInvalidStateException": (ServerError, "is in a key store that is not connected", None),
    "CloudHsmClusterInvalidConfigurationException": (ServerError, "is in an unusable key store", None),
}
_THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_REFUSED = frozenset(
    {
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CLOCK = re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE)
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[\w+=,.@/-]{1,200}", re.ASCII)
_STATE = re.compile(r"\bis (disabled|unavailable|creating|updating|pending [a-z ]{1,40})", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9.]{1,80}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9/+=]{40,}")
_PROMPTED = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:[\w+=,.@/-]{1,200}", re.ASCII)

# By the name of the SDK's class: our class, what happened, and what to do.
_HERE: dict[str, tuple[type[NotarypyError], str, Advice | None]] = {
    "PartialCredentialsError": (AuthenticationError, "the AWS credentials are not complete", _GIVE),
    "CredentialRetrievalError": (AuthenticationError, "the AWS credentials cannot be fetched", _GIVE),
    "MetadataRetrievalError": (AuthenticationError, "the AWS credentials cannot be fetched", _GIVE),
    "RefreshWithMFAUnsupportedError": (AuthenticationError, "the AWS credentials have expired", _GIVE),
    "NoAuthTokenError": (AuthenticationError, "nobody is logged in to AWS", _RENEW),
    "TokenRetrievalError": (AuthenticationError, "the login to AWS has expired", _RENEW),
    "SSOError": (AuthenticationError, "the login to AWS has expired", _RENEW),
    "LoginError": (AuthenticationError, "the login to AWS has expired", _RENEW),
    "InvalidConfigError": (ConfigurationError, "AWS's configuration cannot be used", _CORRECT),
    "ProxyConnectionError": (UnreachableError, "there is no way to AWS through the proxy", None),
    "ProfileNotFound": (ConfigurationError, "there is no such AWS profile", Advice("name-aws-profile")),
    "ConfigParseError": (ConfigurationError, "AWS's configuration cannot be read", None),
    "ConfigNotFound": (ConfigurationError, "AWS's configuration is not there", None),
    "NoRegionError": (ConfigurationError, "nothing says in which AWS region the key is", _REGION),
    "InvalidRegionError": (ConfigurationError, "this cannot be an AWS region", _REGION),
    "SSLError": (TlsError, "there is no TLS with AWS KMS that can be trusted", Advice("look-at-aws-ca")),
    "ConnectTimeoutError": (DeadlineError, "AWS could not be reached in time", None),
    "ReadTimeoutError": (DeadlineError, "AWS did not answer in time", None),
    "ConnectionError": (UnreachableError, "AWS cannot be reached", None),
    "HTTPClientError": (NetworkError, "the connection to AWS broke", None),
    "ResponseParserError": (ServerError, "AWS KMS answers with something unusable", None),
    "DataNotFoundError": (ConfigurationError, "the library botocore is not complete", None),
}
# What the SDK's exceptions have of their own, and how it is told.
_FACTS = {
    "endpoint_url": "it is at {}",
    "proxy_url": "the way there is the proxy {}",
    "profile": 'its name is "{}"',
    "region_name": "it is {}",
    "path": "it is {}",
    "provider": "they come from: {}",
    "cred_var": "there is no {}",
}


@contextmanager
def usable(operation: str) -> Iterator[None]:
    """Take what is read inside from an answer; raise ServerError for one that is not as it has to be."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UnsupportedAlgorithm):
        message, why = "AWS KMS answers with something unusable", f"it was asked for {operation}"
        raise ServerError(message, why=why) from None


def passing(error: Exception, operation: str) -> bool:
    """Tell whether the same request may succeed a moment later, and does no harm if it was done already."""
    repeatable = not operation.startswith("Create")
    if (answer := _answer(error)) is None:
        return repeatable and _is(error, "ConnectionClosedError")
    code, status, _ = answer
    return _throttled(code, status) or (repeatable and status >= HTTPStatus.INTERNAL_SERVER_ERROR)


def explained(error: Exception, operation: str, key: str) -> NotarypyError:
    """Return our error for one of the SDK's (rule 1)."""
    answer = _answer(error)
    if answer is None:
        why = f"{operation} ended with {type(error).__name__}"
        return _known(error) or ServerError("AWS KMS answers with something unusable", why=why)
    code, status, text = answer
    asked: str = getattr(error, "operation_name", operation)
    why = f"{asked} was answered with {code}, HTTP {status}"
    if _throttled(code, status):
        return ThrottledError("AWS KMS was asked too often", why=why, operation=operation)
    if code in _EXPIRED or code in _REFUSED or asked != operation:
        return _credentials(code, text, why)
    if status == HTTPStatus.FORBIDDEN or code.startswith("AccessDenied"):
        return _denied(operation, key, (why, *_who(text)))
    if code in _KEY:
        kind, what, advice = _KEY[code]
        state = _STATE.search(text) if code == "KMSInvalidStateException" else None
        said = f"it is {state[1].lower()}" if state else why
        return kind(f"AWS KMS key {key} {what}", why=said, advice=advice, key=key)
    return ServerError("AWS KMS answers with an error", why=why)


def _answer(error: Exception) -> tuple[str, int, str] | None:
    """Return what a service called its error, the HTTP status, and its text; None if none has answered."""
    response: Any = getattr(error, "response", None)
    if not _is(error, "ClientError") or not isinstance(response, dict):
        return None
    said = response.get("Error", {})
    code, status = str(said.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return (code if _NAME.fullmatch(code) else "an error"), int(status), str(said.get("Message", ""))


def _throttled(code: str, status: int) -> bool:
    return code in _THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS


def _denied(operation: str, key: str, why: tuple[str, ...]) -> KeyPermissionError:
    right = f"kms:{operation}"
    what = key if key.startswith("in ") else f"with {key}"
    advice = Advice("allow-aws-key", right=right)
    return KeyPermissionError(f"AWS does not allow {right} {what}", why=why, advice=advice, right=right)


def _credentials(code: str, text: str, why: str) -> AuthenticationError:
    """Return the error of credentials that AWS does not take, or does not give."""
    if _CLOCK.search(text):
        message, advice = "AWS refuses the time of this machine", Advice("set-clock")
    elif code in _EXPIRED:
        message, advice = "the AWS credentials have expired", _RENEW
    elif code in _REFUSED:
        message, advice = "AWS refuses the credentials", _GIVE
    else:
        message, advice = "AWS gives no credentials", _GIVE
    return AuthenticationError(message, why=(why, *_who(text)), advice=advice)


def _who(text: str) -> tuple[str, ...]:
    found = _PRINCIPAL.search(text)
    return (f"it was asked by {found[0]}",) if found else ()


def anonymous() -> AuthenticationError:
    """Return the error that there are no credentials."""
    return AuthenticationError("there are no AWS credentials", advice=_GIVE)


def unconfigured(error: Exception) -> NotarypyError:
    """Return our error for one that the SDK has before it asks anybody."""
    return _known(error) or ConfigurationError(
        "AWS's configuration cannot be used", why=_here(error), advice=_CORRECT
    )


def of_credentials(error: Exception) -> NotarypyError | None:
    """Return our error for credentials that cannot be had here; None where somebody else failed."""
    if isinstance(error, NotarypyError):
        return error
    if _answer(error) is not None or _is(error, "HTTPClientError") or _is(error, "ConnectionError"):
        return None
    message = "the AWS credentials that are set here cannot be used"
    return _known(error) or AuthenticationError(message, why=_here(error), advice=_CORRECT)


def no_code(prompt: str) -> str:
    """Refuse to ask anybody for a code of MFA, which is what the SDK would do at a terminal."""
    message, advice = (
        "the AWS profile wants a code of MFA, and nobody is asked for one",
        Advice("get-aws-session"),
    )
    raise AuthenticationError(message, why=tuple(_PROMPTED.findall(prompt)), advice=advice)


def _here(error: Exception) -> str:
    """Return what the SDK says about files and variables of this machine (rule 1)."""
    if isinstance(error, json.JSONDecodeError):
        return f"a file that has to be JSON is none: {error.msg}, line {error.lineno}"
    return _said(services.reason(error))


def _said(text: str) -> str:
    """Return what the SDK says, without anything that looks like a credential (rule 1)."""
    return services.said(_CREDENTIAL.sub("...", text))


def _known(error: Exception) -> NotarypyError | None:
    name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _HERE), None)
    if name is None:
        return None
    kind, message, advice = _HERE[name]
    inner = getattr(error, "kwargs", {}).get("error")
    if name == "HTTPClientError" and isinstance(inner, Exception) and not services.is_network(inner):
        return ConfigurationError("AWS cannot be asked with what is set here", why=_here(inner))
    return kind(message, why=tuple(_facts(error)), advice=advice)


def _facts(error: Exception) -> Iterator[str]:
    """Yield what an exception of the SDK says, as far as its form is known (rule 1)."""
    said: dict[str, object] = getattr(error, "kwargs", {})
    if _is(error, "InvalidConfigError") or _is(error, "SSOError"):
        yield _said(str(error))
    for name, form in _FACTS.items():
        value = str(said.get(name) or "")
        value = urlsplit(value).netloc.rpartition("@")[2] if name.endswith("url") else value
        if value or (name in said and name == "profile"):
            yield services.said(form.format(value))
    inner = said.get("error")
    causes = [cause for cause in getattr(inner, "args", ()) if isinstance(cause, ssl.SSLError)]
    for cause in causes:
        yield getattr(cause, "verify_message", "") or cause.reason or "it speaks no TLS"
    if isinstance(inner, Exception) and not causes:
        yield _said(services.reason(inner))


def _is(error: Exception, name: str) -> bool:
    return any(kind.__name__ == name for kind in type(error).__mro__)
