"""A pure-Python client for Notary v1 / Docker Content Trust.

`Client` is the way in; every failure is a `NotarypyError`. Names load when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import (
        InitResult,
        Inspection,
        SignedTag,
        SignerAdded,
        SignerRemoved,
        SkippedImage,
        TrustedRoot,
        VerifiedImage,
    )
    from notarypy.errors import NotarypyError, OperationError, TrustError, UsageError

__version__ = "0.1.0"

__all__ = [
    "Client",
    "InitResult",
    "Inspection",
    "NotarypyError",
    "OperationError",
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

_RESULTS = {
    "InitResult",
    "Inspection",
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
    home = "client.api" if name == "Client" else "client.results" if name in _RESULTS else "errors"
    return getattr(import_module(f"{__name__}.{home}"), name)
