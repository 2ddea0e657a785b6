"""Keys in Azure Key Vault and Managed HSM: `azurekms://VAULT.vault.azure.net/KEY[/VERSION]`.

What it is: one request of Key Vault each for signing and for the public key, sent by Azure's own library
with the credentials that it finds. What it is not: making keys, finding
credentials, and what the library's errors mean (`azurecredential`).

Rules:

1. Without a version the present one is read, once; the URI that is kept has it.
2. Keys are EC on P-256, which sign with ES256, and RSA of 2048 to 4096 bits, which sign with PS256, and for
   cosign with RS256; in software or in an HSM. Each must be enabled, in date, and allowed to sign.
3. A vault's first answer says which tokens it wants. The library asks for one only if it is for the domain
   that the vault is in, and that check stays on: nobody else's vault gets a token for ours.
   A host that is in no cloud's domain of vaults is one only where AZURE_AUTHORITY_HOST names another cloud.
4. Where a vault's domain is that of another cloud, tokens come from that cloud, unless the environment says
   where from.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from notarypy.errors import Advice, NotarypyError, UnsupportedKeyError, UsageError
from notarypy.keys.signers import azurecredential, services
from notarypy.keys.signers.azurecredential import AzureCredential, within
from notarypy.keys.signers.base import ExternalSigner
from notarypy.keys.signers.bounded import bounded
from notarypy.tuf.keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.keyvault.keys import KeyClient, KeyVaultKey
    from azure.keyvault.keys.crypto import CryptographyClient

    from notarypy.keys.signers.base import SignerContext

    T = TypeVar("T")

_NAME = "Azure Key Vault"
_LOG = logging.getLogger(__name__)
_URI = re.compile(
    r"azurekms://([a-z0-9-]+(?:\.[a-z0-9-]+)+)/([a-z0-9-]+)(?:/([a-z0-9]*))?", re.ASCII | re.IGNORECASE
)
_FORM = "azurekms://VAULT.vault.azure.net/KEY/VERSION"
_CLOUDS = {
    "azure.net": None,  # where the library looks by itself
    "azure.cn": "login.chinacloudapi.cn",
    "usgovcloudapi.net": "login.microsoftonline.us",
}
_RSA_BITS = range(2048, 4097)


class AzureKmsSigner(ExternalSigner):
    """One version of a key in Azure Key Vault or Managed HSM."""

    def __init__(self, uri: str, public: PublicKey, vault: _Vault) -> None:
        """Take a key by the URI that is kept, its public half, and the way to it."""
        super().__init__(uri, public)
        self._vault = vault

    @classmethod
    def open(cls, uri: str, context: SignerContext) -> Self:
        """See `ExternalSigner`."""
        vault = _Vault(uri, context)
        if context.public is not None and vault.version:
            return cls(uri, context.public, vault)
        key = vault.read()
        vault.version = key.properties.version or ""
        if not vault.version.isalnum():
            raise services.damaged(vault.place, "it does not say which version of the key it is")
        vault.place = f"azurekms://{vault.host}/{vault.key}/{vault.version}"
        if problem := _unusable(key):
            raise services.disabled(vault.place, f"it is {problem}")
        return cls(vault.place, context.public or _public(vault.place, key), vault)

    @classmethod
    def generate(cls, uri: str, context: SignerContext, algorithm: str) -> Self:  # noqa: ARG003 - none is made
        """See `ExternalSigner`."""
        message, advice = "no key is made in Azure Key Vault from here", Advice("make-azure-key")
        raise UnsupportedKeyError(message, advice=advice, uri=uri)

    def prepare(self) -> None:
        """See `ExternalSigner`; which token is wanted the vault says when it is asked."""
        self._vault.clients()

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """See `ExternalSigner`; what Azure calls ES256 is r and s already."""
        method, algorithm = ("rsapss", "PS256") if self.public.keytype == "rsa" else ("ecdsa", "ES256")
        return method, self._vault.sign(self.public, algorithm, hashlib.sha256(message).digest())

    def sign_pkcs1v15(self, message: bytes) -> bytes:
        """Sign with an RSA key as cosign verifies it; see `cosignsigner`."""
        return self._vault.sign(self.public, "RS256", hashlib.sha256(message).digest())

    def properties(self) -> Mapping[str, str]:
        """See `ExternalSigner`."""
        key = self._vault.read()
        expires = key.properties.expires_on
        return {
            "algorithm": "PS256" if self.public.keytype == "rsa" else "ES256",
            "protection": "HSM" if str(key.key_type).upper().endswith("HSM") else "software",
            "state": _unusable(key) or "enabled",
            "version": self._vault.version,
            "expires": "never" if expires is None else expires.astimezone(UTC).isoformat(timespec="seconds"),
        }


class _Vault:
    """The way to one key: clients for each thread, and credentials that they share."""

    def __init__(self, uri: str, context: SignerContext) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            why, advice = f"its form is {_FORM}", Advice("write-azure-uri")
            raise UsageError("this URI names no key in Azure Key Vault", why=why, advice=advice)
        self.host, self.key, self.version = match[1].lower(), match[2], match[3] or ""
        self.place, self._timeout = uri, context.timeout
        authority = _authority(self.host, context.environ)
        self._state = services.PerProcess(lambda: _State(authority, context.timeout))

    def read(self) -> KeyVaultKey:
        """Return what the vault says of the key."""
        return self._asked(
            "get", lambda clients, seconds: clients.keys.get_key(self.key, self.version, **within(seconds))
        )

    def sign(self, public: PublicKey, algorithm: str, digest: bytes) -> bytes:
        """Return a signature over a digest."""
        key_id = f"https://{self.host}/keys/{self.key}/{self.version}"

        def ask(clients: _Clients, seconds: float) -> bytes:
            from azure.keyvault.keys.crypto import SignatureAlgorithm

            client = clients.signing(key_id, public)
            return client.sign(SignatureAlgorithm(algorithm), digest, **within(seconds)).signature or b""

        signature = self._asked("sign", ask)
        if not signature:
            raise services.damaged(self.place, "it has no signature")
        return signature

    def clients(self) -> _Clients:
        """Return this thread's clients; raise BackendMissingError if the libraries are not installed."""
        services.require_for_requests(os.environ)
        try:
            return self._state().clients(f"https://{self.host}", self.place)
        except ImportError:
            raise services.missing("azure", "azure-keyvault-keys or azure-identity") from None
        except Exception as error:  # noqa: BLE001 - who looks for credentials raises what reading them raises
            raise azurecredential.unconfigured(self.place, error) from None

    def _asked(self, what: str, ask: Callable[[_Clients, float], T]) -> T:
        def once(seconds: float) -> T:
            clients = self.clients()
            _LOG.info("Azure Key Vault: %s %s", what, self.place)
            try:
                return ask(clients, seconds)
            except NotarypyError:  # there is no token
                raise
            except Exception as error:  # noqa: BLE001 - the library lets through what its transport raises
                raise azurecredential.failure(self.place, error) from None

        return services.in_time(bounded(_NAME, once), self._timeout)


class _State:
    """What one process has: credentials, and what each thread has of its own."""

    def __init__(self, authority: str | None, timeout: float) -> None:
        self._authority, self._timeout = authority, timeout
        self._lock, self._local = threading.Lock(), threading.local()
        self._credential: Any = None

    def clients(self, url: str, place: str) -> _Clients:
        """Return this thread's clients of the vault at a URL; a key's URI names it in errors."""
        if not hasattr(self._local, "clients"):
            with self._lock:
                if self._credential is None:
                    self._credential = AzureCredential(self._authority, self._timeout, place)
            self._local.clients = _Clients(url, self._credential)
        return self._local.clients  # type: ignore[no-any-return]  # what is local has no types


class _Clients:
    """Azure's clients of one vault."""

    def __init__(self, url: str, credential: Any) -> None:  # noqa: ANN401 - as Azure's protocol
        from azure.keyvault.keys import KeyClient

        self._credential = credential
        self._signing: CryptographyClient | None = None
        # No redirect leads elsewhere, and rule 3 holds.
        self._options: dict[str, Any] = {"permit_redirects": False, "verify_challenge_resource": True}
        self.keys: KeyClient = KeyClient(url, self._credential, **self._options)

    def signing(self, key_id: str, public: PublicKey) -> CryptographyClient:
        """Return a client that signs, and is told the public half of the key.

        Given the name alone it would read the key first, which is a request and a permission more.
        """
        from azure.keyvault.keys import KeyVaultKey
        from azure.keyvault.keys.crypto import CryptographyClient

        if self._signing is None:
            self._signing = CryptographyClient(
                KeyVaultKey(key_id, _jwk(public)), self._credential, **self._options
            )
        return self._signing


def _authority(host: str, environ: Mapping[str, str]) -> str | None:
    """Return where a vault's tokens come from (rule 4); raise UsageError for a host that is none (rule 3)."""
    if named := environ.get("AZURE_AUTHORITY_HOST"):
        return named
    for domain, authority in _CLOUDS.items():
        if host.endswith((f".vault.{domain}", f".managedhsm.{domain}")):
            return authority
    why, advice = "its host is in no cloud's domain of vaults", Advice("write-azure-uri")
    raise UsageError(f"{host} is no vault of Azure", why=why, advice=advice)


def _unusable(key: KeyVaultKey) -> str:
    """Return why a key does not sign now, or nothing."""
    found, now = key.properties, datetime.now(UTC)
    if not found.enabled:
        return "disabled"
    if found.expires_on is not None and found.expires_on <= now:
        return f"expired since {found.expires_on:%Y-%m-%d}"
    if found.not_before is not None and found.not_before > now:
        return f"not valid before {found.not_before:%Y-%m-%d}"
    operations = [str(getattr(one, "value", one)) for one in key.key_operations]
    return "" if "sign" in operations else f"not for signing, but for: {', '.join(operations) or 'nothing'}"


def _jwk(public: PublicKey) -> dict[str, Any]:
    """Return a public half as the library takes it."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    numbers: Any = load_der_public_key(public.public).public_numbers()  # type: ignore[union-attr]  # it signs
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return {"kty": "RSA", "n": _bytes(numbers.n), "e": _bytes(numbers.e)}
    return {"kty": "EC", "crv": "P-256", "x": _bytes(numbers.x), "y": _bytes(numbers.y)}


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _public(place: str, key: KeyVaultKey) -> PublicKey:
    """Return the public half of a key; raise UnsupportedKeyError for one that Notary cannot use (rule 2)."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    numbers: Any = key.key  # the library declares none of the members of a JSON web key
    kind = str(getattr(key.key_type, "value", key.key_type)).removesuffix("-HSM")
    kind = kind if kind == "RSA" else str(getattr(numbers.crv, "value", numbers.crv) or kind)
    try:
        if kind == "P-256":
            x, y = (int.from_bytes(number, "big") for number in (numbers.x, numbers.y))
            return PublicKey.from_key(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        if kind == "RSA":
            n, e = (int.from_bytes(number, "big") for number in (numbers.n, numbers.e))
            kind = f"RSA of {n.bit_length()} bits"
            if n.bit_length() in _RSA_BITS:
                return PublicKey.from_key(rsa.RSAPublicNumbers(e, n).public_key())
    except (TypeError, ValueError):
        raise services.damaged(place, "its public key is none") from None
    raise services.unsupported(place, f"its kind is {kind}", Advice("make-azure-key"))
