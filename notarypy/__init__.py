"""A pure-Python client for Notary v1 / Docker Content Trust.

`Client` is the way in; every failure is a `NotarypyError`. Names load when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.keyresults import (
        ImportedKey,
        PurgedKey,
        Renewed,
        RepositoryStatus,
        RoleStatus,
        RotatedKey,
    )
    from notarypy.client.results import (
        InitResult,
        Inspection,
        RevokedTag,
        SignedTag,
        SignerAdded,
        SignerRemoved,
        SkippedImage,
        TrustedRoot,
        VerifiedImage,
    )
    from notarypy.client.transfers import CopiedImage, PulledImage, PushedImage
    from notarypy.errors import NotarypyError, OperationError, TrustError, UsageError
    from notarypy.limits import Limits

__version__ = "0.1.0"

__all__ = [
    "Client",
    "CopiedImage",
    "ImportedKey",
    "InitResult",
    "Inspection",
    "Limits",
    "NotarypyError",
    "OperationError",
    "PulledImage",
    "PurgedKey",
    "PushedImage",
    "Renewed",
    "RepositoryStatus",
    "RevokedTag",
    "RoleStatus",
    "RotatedKey",
    "SignedTag",
    "SignerAdded",
    "SignerRemoved",
    "SkippedImage",
    "TrustError",
    "TrustedRoot",
    "UsageError",
    "VerifiedImage",
    "__version__",
]

_KEY_RESULTS = {"ImportedKey", "PurgedKey", "Renewed", "RepositoryStatus", "RoleStatus", "RotatedKey"}
_TRANSFERS = {"CopiedImage", "PulledImage", "PushedImage"}
_RESULTS = {
    "InitResult",
    "Inspection",
    "RevokedTag",
    "SignedTag",
    "SignerAdded",
    "SignerRemoved",
    "SkippedImage",
    "TrustedRoot",
    "VerifiedImage",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = {"Client": "client.api", "Limits": "limits", **dict.fromkeys(_RESULTS, "client.results")}
    homes |= dict.fromkeys(_KEY_RESULTS, "client.keyresults")
    homes |= dict.fromkeys(_TRANSFERS, "client.transfers")
    return getattr(import_module(f"{__name__}.{homes.get(name, 'errors')}"), name)
