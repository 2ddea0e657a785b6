"""Keys in Google Cloud KMS: `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/versions/N]`.

What it is: one request of Cloud KMS each for signing and for the public key, with the credentials that
Google's own library finds. What it is not: making keys, and finding credentials.

Rules:

1. The version of a URI may stand after `versions` or after `cryptoKeyVersions`, as cosign takes it. Without
   one the newest that is enabled is looked up, once; the URI that is kept has it.
2. Only algorithms that Notary verifies are taken: ECDSA on P-256 and RSA-PSS, both with SHA-256. For cosign
   it is RSA with PKCS #1 v1.5 in place of RSA-PSS: a key signs in one form alone, ever.
3. What was sent and what came back is compared as Google asks: checksums both ways, and the key's name.
4. Credentials are the application default credentials; no project is looked up for them. What cannot be used
   of the files, variables and programs that they come from is no credentials, and nothing of the network: the
   library raises for it whatever reading it raises.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any, Self

from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConfigurationError,
    KeyDisabledError,
    KeyPermissionError,
    NotarypyError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.signers import from_der, services
from notarypy.keys.signers.base import ExternalSigner
from notarypy.keys.signers.bounded import bounded
from notarypy.remote.http.messages import json_object
from notarypy.tuf.keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from notarypy.keys.signers.base import SignerContext

_NAME = "Google Cloud KMS"
_LOG = logging.getLogger(__name__)
_URI = re.compile(
    r"gcpkms://(projects/([^/]+)/locations/([^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+))"
    r"(?:/(?:cryptoKeyVersions|versions)/([^/]+))?"
)
_PART, _NUMBER = re.compile(r"[\w.:-]+", re.ASCII), re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_FORM = "gcpkms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/versions/NUMBER"
_HOST, _API = "cloudkms.googleapis.com", "https://cloudkms.googleapis.com/v1/"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_EC, _PSS, _PKCS1 = "EC_SIGN_P256_SHA256", "RSA_SIGN_PSS_", "RSA_SIGN_PKCS1_"
_RSA_SIZES = ("2048", "3072", "4096")
_WANTED = {_PSS: (Advice("make-gcp-key"), "Notary v1"), _PKCS1: (Advice("make-gcp-cosign-key"), "cosign")}
_OK, _BAD_REQUEST = 200, 400


class GcpKmsSigner(ExternalSigner):
    """One version of a key in Google Cloud KMS."""

    def __init__(self, uri: str, public: PublicKey, service: _Service) -> None:
        """Take a key by the URI that is kept, its public half, and the way to it."""
        super().__init__(uri, public)
        self._service = service

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """See `ExternalSigner`."""
        key, version = _parsed(uri)
        service = _Service(uri, context.timeout)
        version = version or _newest(service.get(f"{key}/cryptoKeyVersions?filter=state%3DENABLED"), uri)
        service.place = f"gcpkms://{key}/versions/{version}"
        service.name = f"{key}/cryptoKeyVersions/{version}"
        if context.cosign:
            return _ImageSigner(service.place, _public(service, _PKCS1), service)  # type: ignore[return-value]
        return cls(service.place, context.public or _public(service, _PSS), service)

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:  # noqa: ARG003 - none is made
        """See `ExternalSigner`."""
        message, advice = "no key is made in Google Cloud KMS from here", Advice("make-gcp-key")
        raise UnsupportedKeyError(message, advice=advice, uri=uri)

    def prepare(self) -> None:
        """See `ExternalSigner`; what can be known without asking the service is whether there is a token."""
        self._service.prepare()

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """See `ExternalSigner`."""
        signature = self.signature(message)
        if self.public.keytype == "rsa":
            return "rsapss", signature
        try:
            return from_der(self.public, signature)
        except ValueError:
            raise services.damaged(self._service.place, "the signature is none of ECDSA") from None

    def signature(self, message: bytes) -> bytes:
        """Return a signature in the one form that the key has, as the service gives it."""
        service, digest = self._service, hashlib.sha256(message).digest()
        body = {
            "digest": {"sha256": base64.b64encode(digest).decode()},
            "digestCrc32c": str(services.crc32c(digest)),
        }
        answer = service.ask("POST", f"{service.name}:asymmetricSign", body)
        if answer.get("verifiedDigestCrc32c") is not True:
            raise services.damaged(service.place, "it does not say that the digest arrived as it was sent")
        return service.checked(answer, "signature", "signatureCrc32c")

    def properties(self) -> Mapping[str, str]:
        """See `ExternalSigner`; who may not read the state of a key is told the rest."""
        service = self._service
        try:
            answer = service.get(service.name)
            state = str(answer.get("state"))
        except KeyPermissionError:
            answer = service.get(f"{service.name}/publicKey")
            state = "not shown without the right cloudkms.cryptoKeyVersions.get"
        return {
            "algorithm": services.said(answer.get("algorithm")),
            "protection": services.said(answer.get("protectionLevel")),
            "state": services.said(state),
            "version": service.name.rpartition("/")[2],
        }


class _ImageSigner(GcpKmsSigner):
    """One that signs images as cosign verifies, and with RSA no metadata (rule 2)."""

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """See `cosignsigner`."""
        return self.signature(message)


class _Service:
    """The way to one key: a session for each thread, and credentials that they share."""

    def __init__(self, place: str, timeout: float) -> None:
        self.place, self.name, self._timeout = place, "", timeout
        self._state = services.PerProcess(_State)

    def get(self, path: str) -> Mapping[str, Any]:
        """Return an answer that is an object; raise what the service or the way to it makes of it."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        """Send one request, and return the answer, an object."""
        ask = bounded(_NAME, lambda seconds: self._asked(method, path, body, seconds))
        return services.in_time(ask, self._timeout)

    def checked(self, answer: Mapping[str, Any], field: str, checksum: str) -> bytes:
        """Return bytes of an answer after comparing their checksum and the key's name (rule 3)."""
        value = str(answer.get(field, ""))
        try:
            data = value.encode() if field == "pem" else base64.b64decode(value, validate=True)
        except ValueError:
            data = b""
        if answer.get("name") != self.name:
            raise services.damaged(self.place, "it is about another key")
        if not data or str(answer.get(checksum)) != str(services.crc32c(data)):
            raise services.damaged(self.place, "it was changed on its way: the checksum is another one")
        return data

    def _asked(self, method: str, path: str, body: object, seconds: float) -> Mapping[str, Any]:
        data = None if body is None else json.dumps(body)
        session = self.session(seconds)
        _LOG.info("Google Cloud KMS: %s %s", method, path)
        try:
            response = session.request(
                method,
                _API + path,
                data=data,
                headers={"Content-Type": "application/json"} if data else None,
                timeout=seconds,
                allow_redirects=False,
            )
        except Exception as error:  # noqa: BLE001 - of two libraries: what they raise has no common base
            raise _failure(self.place, error) from None
        answer = json_object(response.content)
        if response.status_code != _OK:
            raise _refusal(self.place, response.status_code, answer, response.headers.get("Retry-After"))
        if answer is None:
            raise services.damaged(self.place, "it is no JSON object")
        return answer

    def prepare(self) -> None:
        """Make sure that there are credentials, and a token if one is to be had of them."""
        bounded(_NAME, self.session)(self._timeout)

    def session(self, seconds: float | None = None) -> Any:  # noqa: ANN401 - the library's classes have no types
        """Return this thread's session, after the credentials have been made fresh, one thread at a time."""
        state, seconds = self._state(), self._timeout if seconds is None else seconds
        services.require_for_requests(os.environ)
        try:
            from google.auth.transport.requests import AuthorizedSession, Request
        except ImportError:
            raise services.missing("gcp", "google-auth") from None
        except ValueError as error:  # of variables that it reads when it is loaded
            raise _unconfigured(self.place, error) from None
        try:
            with state.lock:
                if state.credentials is None:
                    state.credentials = _credentials()
                if not state.credentials.valid:
                    state.credentials.refresh(_fresh(Request(), seconds))
        except NotarypyError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise _without_token(self.place, error) from None
        if not hasattr(state.local, "session"):
            new: Any = AuthorizedSession
            state.local.session = new(state.credentials, max_refresh_attempts=1)
        return state.local.session


def _fresh(request: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Return what asks for tokens in that time; what buys one goes over https, or stays on this machine."""

    def ask(
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> Any:  # noqa: ANN401 - as the library's protocol
        given = body or "authorization" in map(str.lower, headers or {})
        if given and (host := services.in_the_clear(url)) is not None:
            why = f"the credentials name http://{host}: http is for this machine alone"
            message, advice = "Google's tokens are to be asked for without TLS", Advice("log-in-gcp")
            raise ConfigurationError(message, why=services.said(why), advice=advice)
        return request(url, method, body, headers, **{**more, "timeout": seconds})

    return ask


class _State:
    """What one process has: credentials, and what each thread has of its own."""

    def __init__(self) -> None:
        self.lock, self.local = threading.Lock(), threading.local()
        self.credentials: Any = None


def _parsed(uri: str) -> tuple[str, str]:
    """Return a key's resource name and its version, which may be empty (rule 1)."""
    match = _URI.fullmatch(uri)
    parts = match.groups()[1:5] if match else ()
    version = (match[6] or "") if match else ""
    if match is None or not all(map(_PART.fullmatch, parts)) or (version and not _NUMBER.fullmatch(version)):
        why, advice = f"its form is {_FORM}", Advice("write-gcp-uri")
        raise UsageError("this URI names no key in Google Cloud KMS", why=why, advice=advice)
    return match[1], version


def _newest(answer: Mapping[str, Any], uri: str) -> str:
    """Return the highest number of the versions that are listed as enabled, if all of them are."""
    if answer.get("nextPageToken"):
        why = f"which is the newest is not known; name one: {_FORM}"
        raise UsageError(f"the key at {uri} has more versions than are listed", why=why)
    listed = answer.get("cryptoKeyVersions") or []
    numbers = [str(one.get("name", "")).rpartition("/")[2] for one in listed if isinstance(one, dict)]
    usable = [int(number) for number in numbers if _NUMBER.fullmatch(number)]
    if not usable:
        message, advice = f"no version of the key at {uri} is enabled", Advice("enable-key")
        raise KeyDisabledError(message, advice=advice, uri=uri)
    return str(max(usable))


def _public(service: _Service, rsa: str) -> PublicKey:
    """Read the public half of a key; raise UnsupportedKeyError for one of another algorithm (rule 2)."""
    answer = service.get(f"{service.name}/publicKey")
    algorithm = services.said(answer.get("algorithm"))
    if algorithm not in {_EC, *(f"{rsa}{size}_SHA256" for size in _RSA_SIZES)}:
        advice, reader = _WANTED[rsa]
        raise services.unsupported(service.place, f"its algorithm is {algorithm}", advice, reader)
    return PublicKey.from_pem(service.checked(answer, "pem", "pemCrc32c"))


def _credentials() -> Any:  # noqa: ANN401 - the library's types differ with what it found
    """Return the application default credentials with the scope of Cloud KMS (rule 4).

    Who asks for the scope at once has the project looked up, which is a request and a permission more.
    """
    import google.auth
    import google.auth.credentials

    services.quiet("google")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises people who log in themselves to use a key file
        found, _ = google.auth.default()
    scoped: Any = google.auth.credentials.with_scopes_if_required
    return scoped(found, [_SCOPE])


def _failure(place: str, error: Exception) -> NotarypyError:
    """Return the error for what the libraries raise before there is an answer."""
    from google.auth import exceptions

    if isinstance(error, exceptions.GoogleAuthError):  # a token was refused, and no other is to be had
        return _without_token(place, error)
    return services.unreached("Google Cloud KMS", place, error, _HOST)


def _without_token(place: str, error: Exception) -> NotarypyError:
    """Return the error that there are no credentials, or no token for them (rule 4)."""
    from google.auth import exceptions

    if services.is_network(error):
        return services.unreached("Google Cloud", place, error)
    if isinstance(error, exceptions.GoogleAuthError) and not isinstance(error, exceptions.TransportError):
        none = isinstance(error, exceptions.DefaultCredentialsError)
        message = "there are no credentials for Google Cloud"
        message = message if none else "Google gives no token for the credentials that are here"
        why, advice = services.said(error), Advice("log-in-gcp")
        return AuthenticationError(message, why=why, advice=advice, uri=place)
    return _unconfigured(place, error)


def _unconfigured(place: str, error: Exception) -> AuthenticationError:
    message, why = "the credentials for Google Cloud that are set here cannot be used", services.reason(error)
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    source = (services.said(f"GOOGLE_APPLICATION_CREDENTIALS names {named}"),) if named else ()
    return AuthenticationError(message, why=(why, *source), advice=Advice("correct-credentials"), uri=place)


def _refusal(
    place: str, status: int, answer: Mapping[str, Any] | None, retry_after: str | None
) -> NotarypyError:
    """Return the error for an answer that is none."""
    found = (answer or {}).get("error")
    found = found if isinstance(found, dict) else {}
    why = services.said(found.get("message", ""))
    if found.get("status") == "FAILED_PRECONDITION":
        return services.disabled(place, why)
    if status == _BAD_REQUEST:
        return services.unsupported(place, why, Advice("make-gcp-key"))
    return services.refused(place, status, why, Advice("allow-gcp-key"), retry_after)
