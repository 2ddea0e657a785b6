"""Keys in AWS KMS, by the addresses that cosign takes: `awskms://[ENDPOINT]/[ID|ALIAS|ARN]`.

What it is: one backend over botocore, the part of AWS's own library that asks services. What it is not:
the SDK's clients (`awsclients`), and what its errors mean (`awserrors`). securesystemslib's AWSSigner is not
used: to load it is to load the SDKs of all clouds that are installed, and it leaves to the SDK how long a
request takes.

Rules:

1. The URI that is kept has the ARN that KMS gave: an alias may lead to another key tomorrow.
2. KMS gets the digest of a message, and signs it with ECDSA and SHA-256, or RSA-PSS with a salt of 32 bytes:
   on other curves it uses other hashes, which Notary does not. For cosign RSA is PKCS #1 v1.5.
3. A signature is one request. One that was throttled, or failed in KMS, is asked for again, while less time
   has passed than a request may take; the SDK's own repetitions know no such bound.
4. What the SDK logs has credentials in it, and is not shown: nothing here turns its loggers on.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from random import uniform
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_der_public_key

from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    KeyDisabledError,
    KeyMissingError,
    KeyPermissionError,
    NotarypyError,
    ServerError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.signers import awserrors, from_der
from notarypy.keys.signers.awsclients import CLIENTS
from notarypy.keys.signers.base import ExternalSigner, having_made
from notarypy.keys.signers.bounded import bounded
from notarypy.tuf.envelope import METHOD_FOR
from notarypy.tuf.keys import public_key_of
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from notarypy.keys.signers.base import SignerContext
    from notarypy.tuf.keys import PublicKey

_LOG = logging.getLogger(__name__)
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
_ID = r"(?:mrk-)?[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}"
_ALIAS = r"alias/[A-Za-z0-9/_-]+"
_ARN = rf"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{{12}}:(?:key/{_ID}|({_ALIAS}))"
_URI = re.compile(rf"awskms://({_HOST})?/({_ID}|({_ALIAS})|{_ARN})?")
_ANY_ARN = re.compile(_ARN)
_ALGORITHMS = {"ecdsa": "ECDSA_SHA_256", "rsa": "RSASSA_PSS_SHA_256"}
_SPECS = {"ECC_NIST_P256": "ecdsa", "RSA_2048": "rsa", "RSA_3072": "rsa", "RSA_4096": "rsa"}
_MADE = {"ecdsa": "ECC_NIST_P256", "rsa": "RSA_3072"}
_OTHER_KIND = Advice("make-aws-key")
_CREDENTIALS = "what gives AWS credentials here"
_PAUSES = (0.2, 0.8)  # seconds before another attempt, and at most twice that
_DETAILS = {
    "KeySpec": "key spec",
    "KeyUsage": "usage",
    "KeyState": "state",
    "Origin": "origin",
    "KeyManager": "managed by",
    "CustomKeyStoreId": "custom key store",
    "DeletionDate": "will be deleted",
}


@dataclass(frozen=True)
class KeyAddress:
    """What a URI says; what it does not say is empty."""

    endpoint: str
    key: str
    region: str
    alias: str

    @classmethod
    def read(cls, uri: str) -> KeyAddress:
        """Read a URI; raise UsageError."""
        found = _URI.fullmatch(uri)
        if found is None:
            why = "it has to be awskms://[ENDPOINT]/KEY with an id, alias/NAME or an ARN for KEY"
            raise UsageError("this is no address of a key in AWS KMS", why=why, advice=Advice("give-uri"))
        endpoint, key, alias, region, named = (part or "" for part in found.groups())
        return cls(endpoint, key, region, alias or named)

    def shown(self, region: str) -> str:
        """Return the key as errors name it: an id and an alias are those of a region."""
        return self.key if self.region else f"{self.key} in {region}".strip()


class AwsKmsSigner(ExternalSigner):
    """One key in AWS KMS."""

    def __init__(self, uri: str, public: PublicKey, service: _Service) -> None:
        """Take a key whose public half is known."""
        super().__init__(uri, public)
        self._service = service

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """Return a signer with the key that a URI names; its public half is read if it is not known."""
        address = KeyAddress.read(uri)
        if not address.key:
            raise UsageError("this address names no key", why=uri, advice=Advice("give-uri"))
        service = _Service(address, context)
        if context.public is not None:
            return cls(uri, context.public, service)
        arn, public = _public(service.ask("GetPublicKey", KeyId=address.key), address.key)
        kept = f"awskms://{address.endpoint}/{arn}"  # rule 1
        return cls(kept, public, _Service(KeyAddress.read(kept), context))

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:
        """Make a key, with the alias if the URI names one, which must be free; raise as `open`."""
        address = KeyAddress.read(uri)
        if (address.key and not address.alias) or address.alias.startswith("alias/aws/"):
            why = "AWS chooses ids, and has the aliases below alias/aws/ for its own keys"
            raise UsageError("no key can be made there", why=why, advice=Advice("name-aws-alias"))
        if algorithm not in _MADE:
            raise UnsupportedKeyError(f"no {algorithm} key can be made in AWS KMS", advice=_OTHER_KIND)
        service = _Service(address, context)
        if address.alias:
            _require_free(service, address)
        role = context.request.role
        description = f"Notary signing key of {role}" if role else "Notary signing key"
        wanted = {"KeySpec": _MADE[algorithm], "KeyUsage": "SIGN_VERIFY", "Description": description}
        with awserrors.usable("CreateKey"):
            arn: str = service.ask("CreateKey", **wanted)["KeyMetadata"]["Arn"]
        made = f"awskms://{address.endpoint}/{arn}"
        with having_made(made):
            if address.alias:
                service.ask("CreateAlias", AliasName=address.alias, TargetKeyId=arn)
            return cls.open(made, context)

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the method's name and the signature (rule 2)."""
        signature = self._signature(message, _ALGORITHMS[self.public.keytype])
        if self.public.keytype == "ecdsa":
            with awserrors.usable("Sign"):
                return from_der(self.public, signature)
        return METHOD_FOR[self.public.keytype], signature

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it; see `cosignsigner`."""
        return self._signature(message, "RSASSA_PKCS1_V1_5_SHA_256")

    def _signature(self, message: bytes, algorithm: str) -> bytes:
        found = self._service.ask(
            "Sign",
            KeyId=self._service.address.key,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=algorithm,
        )
        with awserrors.usable("Sign"):
            signature: bytes = found["Signature"]
        return signature

    def prepare(self) -> None:
        """Make sure that the library, a region and credentials are here; see `ExternalSigner`."""
        self._service.client()

    def properties(self) -> Mapping[str, str]:
        """Ask KMS what it says of the key, if whoever asks may know."""
        try:
            found = self._service.ask("DescribeKey", KeyId=self._service.address.key)
        except KeyPermissionError:
            return {"details": "kms:DescribeKey is not allowed, which signing does not need"}
        with awserrors.usable("DescribeKey"):
            return dict(_details(found["KeyMetadata"]))


def _details(described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, label in _DETAILS.items():
        if described.get(name):
            yield label, str(described[name])
    if described.get("MultiRegion"):
        kind = described.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType", "")
        yield "multi-region", kind or "yes"


def _require_free(service: _Service, address: KeyAddress) -> None:
    """Raise AlreadyExistsError for an alias that leads to a key, of whatever kind and state."""
    try:
        service.ask("GetPublicKey", KeyId=address.key)
    except KeyMissingError:
        return
    except (KeyDisabledError, UnsupportedKeyError):
        pass
    why, advice = "it leads to a key already; nothing was made", Advice("name-aws-alias")
    raise AlreadyExistsError(f"there is {address.alias} in AWS KMS", why=why, advice=advice)


def _public(found: Mapping[str, Any], key: str) -> tuple[str, PublicKey]:
    """Return ARN and public half; raise UnsupportedKeyError for a key that does not sign as in rule 2."""
    with awserrors.usable("GetPublicKey"):
        arn, spec, usage = found["KeyId"], found["KeySpec"], found["KeyUsage"]
        if usage != "SIGN_VERIFY" or spec not in _SPECS:
            why = f"its key spec is {spec}, its usage {usage}"
            message = f"AWS KMS key {key} cannot sign as Notary does"
            raise UnsupportedKeyError(message, why=why, advice=_OTHER_KIND)
        public = public_key_of(load_der_public_key(found["PublicKey"]))
        if public.keytype != _SPECS[spec] or not _ANY_ARN.fullmatch(arn):
            raise ValueError
    return arn, public


class _Service:
    """AWS KMS as one key needs it: where it is, and how long a request may take."""

    def __init__(self, address: KeyAddress, context: SignerContext) -> None:
        self.address, self._environ, self._timeout = address, context.environ, context.timeout

    def ask(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Return what KMS answers; raise one of our errors (rule 3)."""
        client, fetch = self._ready()
        end = time.monotonic() + self._timeout
        call, key = getattr(client, _method(operation)), self.address.shown(client.meta.region_name)
        place = f"AWS KMS at {urlsplit(client.meta.endpoint_url).netloc}"
        for pause in (*_PAUSES, None):
            _LOG.info("AWS KMS: %s %s", operation, key)
            try:
                bounded(_CREDENTIALS, lambda _: fetch())(end - time.monotonic())
                found = bounded(place, lambda _: call(**parameters))(end - time.monotonic())
            except NotarypyError:
                raise
            except Exception as error:  # noqa: BLE001 - the SDK raises ValueError and others, too
                wait = 0 if pause is None else uniform(pause, 2 * pause)  # noqa: S311 - it spreads requests
                if wait == 0 or time.monotonic() + wait > end or not awserrors.passing(error, operation):
                    problem = awserrors.explained(error, operation, key)
                    problem.why += (f"it is {place}",) if type(problem) is ServerError else ()
                    raise problem from None
            else:
                return found  # type: ignore[no-any-return]  # what the SDK returns has no types
            _LOG.debug("AWS KMS: %s failed for now, and is tried again", operation)
            time.sleep(wait)
        raise AssertionError  # the last pause is None

    def client(self) -> Any:  # noqa: ANN401 - it has no types
        """Return the SDK's client, with credentials as far as they are found without asking a service."""
        return self._ready()[0]

    def _ready(self) -> tuple[Any, Callable[[], None]]:
        address, environ, timeout = self.address, self._environ, self._timeout
        try:
            return bounded(
                _CREDENTIALS, lambda _: CLIENTS().get(address.endpoint, address.region, environ, timeout)
            )(timeout)
        except NotarypyError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK raises ValueError and others, too
            raise awserrors.unconfigured(error) from None


def _method(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
