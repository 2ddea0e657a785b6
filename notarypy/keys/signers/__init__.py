"""Who signs: the table of backends by URI scheme.

What it is not: what a signer is (`base`), the choice of a key (`client.keys`), or key files (`keyfile`).
A new backend is one module with a class derived from `base.ExternalSigner`, and one row of `SIGNERS`, or an
entry point of the group `notarypy.signers` in a package of its own; it is imported when the first key of its
scheme is used.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import Advice, BackendMissingError, NotarypyError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from notarypy.keys.signers.base import ExternalSigner
    from notarypy.tuf.keys import PublicKey

GROUP = "notarypy.signers"
"""The group of entry points that name backends of other packages, by scheme."""
_URI = re.compile(r"([a-z][a-z0-9+.-]+):.", re.ASCII | re.DOTALL | re.IGNORECASE)


SIGNERS: dict[str, str] = {
    "awskms": "notarypy.keys.signers.awskms:AwsKmsSigner",
    "azurekms": "notarypy.keys.signers.azurekms:AzureKmsSigner",
    "gcpkms": "notarypy.keys.signers.gcpkms:GcpKmsSigner",
    "hashivault": "notarypy.keys.signers.hashivault:HashivaultSigner",
    "pkcs11": "notarypy.keys.signers.pkcs11:Pkcs11Signer",
}
"""The backend of each URI scheme, as `module:class`."""


def is_uri(text: str) -> bool:
    """Tell whether a KEYREF is a key URI: letters and a colon, where no name, id or drive of Windows has one.

    What begins with a scheme that somebody has is one, whatever files there are; a file of another such name
    is a file.
    """
    found = _URI.match(text)
    return found is not None and (bool(_targets(found.group(1))) or not Path(text).exists())


def backend(uri: str) -> type[ExternalSigner]:
    """Return the backend of a URI.

    UsageError: it is none. BackendMissingError: nobody has its scheme, or it cannot be loaded.
    """
    if not is_uri(uri):
        raise UsageError(f"{uri} does not say where a key is", why="it is no URI", advice=Advice("give-uri"))
    scheme = uri.partition(":")[0].lower()
    targets = _targets(scheme)
    if not targets:
        known = ", ".join(sorted({*SIGNERS, *_entry_points().names})) or "none"
        raise BackendMissingError(
            f"nothing here signs with keys at {scheme}:",
            why=f"keys may be at: {known}",
            advice=Advice("install-backend"),
        )
    if len(targets) > 1:
        raise BackendMissingError(
            f"several packages lead to keys at {scheme}:",
            why=", ".join(targets),
            advice=Advice("remove-backend"),
        )
    return _loaded(scheme, targets[0])


def _loaded(scheme: str, target: object) -> type[ExternalSigner]:
    """Return a class by its name; raise BackendMissingError where a package has it not as it says."""
    from notarypy.keys.signers.base import ExternalSigner
    from notarypy.keys.signers.services import said

    if not isinstance(target, str):
        why = f'the table SIGNERS has "module:class" for a scheme, and not {said(repr(target))}'
        raise _unusable(scheme, why)
    module, _, name = target.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (NotarypyError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _unusable(scheme, f"{target}: {type(error).__name__}: {said(error)}") from error
    if not (isinstance(found, type) and issubclass(found, ExternalSigner)):
        raise _unusable(scheme, f"{target} is no class derived from ExternalSigner")
    return found


def _unusable(scheme: str, why: str) -> BackendMissingError:
    message, advice = f"what leads to keys at {scheme}: cannot be loaded", Advice("install-backend-anew")
    return BackendMissingError(message, why=why, advice=advice, scheme=scheme)


def from_der(public: PublicKey, der: bytes) -> tuple[str, bytes]:
    """Return what a signer returns for an ECDSA signature that a service gave as DER.

    Raises ValueError for what is none.
    """
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from notarypy.tuf.envelope import METHOD_FOR, ecdsa_raw

    key = load_der_public_key(public.public)
    return METHOD_FOR[public.keytype], ecdsa_raw(der, key.key_size)  # type: ignore[union-attr]  # an EC key


def _targets(scheme: str) -> list[str]:
    """Return the classes for a scheme: that of the table, or those of other packages."""
    rows = [target for name, target in SIGNERS.items() if name.lower() == scheme.lower()]
    if rows:
        return rows[:1]
    return sorted({point.value for point in _entry_points() if point.name.lower() == scheme.lower()})


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points  # who uses a scheme of the table does without

    return entry_points(group=GROUP)
