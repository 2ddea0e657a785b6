"""A pure-Python client for Notary v1 / Docker Content Trust.

`Client` is the way in; every failure is a `NotarypyError`. Names load when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.client.api import Client as Client
    from notarypy.client.bases import Resolver as Resolver
    from notarypy.client.builders import Builder as Builder
    from notarypy.client.builders import Built as Built
    from notarypy.client.builders import Plan as Plan
    from notarypy.client.buildfile import FileVariables as FileVariables
    from notarypy.client.buildfile import PinnedFile as PinnedFile
    from notarypy.client.buildfile import PinnedImage as PinnedImage
    from notarypy.client.keyresults import ImportedKey as ImportedKey
    from notarypy.client.keyresults import PurgedKey as PurgedKey
    from notarypy.client.keyresults import Renewed as Renewed
    from notarypy.client.keyresults import RepositoryStatus as RepositoryStatus
    from notarypy.client.keyresults import RoleStatus as RoleStatus
    from notarypy.client.keyresults import RotatedKey as RotatedKey
    from notarypy.client.keys.api import Keys as Keys
    from notarypy.client.parameters import PinOptions as PinOptions
    from notarypy.client.parameters import SignOptions as SignOptions
    from notarypy.client.parameters import VerifyOptions as VerifyOptions
    from notarypy.client.results import AppliedPolicy as AppliedPolicy
    from notarypy.client.results import InitResult as InitResult
    from notarypy.client.results import Inspection as Inspection
    from notarypy.client.results import RevokedTag as RevokedTag
    from notarypy.client.results import RoleEntry as RoleEntry
    from notarypy.client.results import SignedTag as SignedTag
    from notarypy.client.results import SignerAdded as SignerAdded
    from notarypy.client.results import SignerRemoved as SignerRemoved
    from notarypy.client.results import SkippedImage as SkippedImage
    from notarypy.client.results import TagEntry as TagEntry
    from notarypy.client.results import TrustedRoot as TrustedRoot
    from notarypy.client.results import VerifiedImage as VerifiedImage
    from notarypy.client.transfer.api import Images as Images
    from notarypy.client.transfers import CopiedImage as CopiedImage
    from notarypy.client.transfers import Progress as Progress
    from notarypy.client.transfers import PulledImage as PulledImage
    from notarypy.client.transfers import PushedImage as PushedImage
    from notarypy.client.verification import MetadataCache as MetadataCache
    from notarypy.errors import Advice as Advice
    from notarypy.errors import NotarypyError as NotarypyError
    from notarypy.errors import OperationError as OperationError
    from notarypy.errors import PolicyError as PolicyError
    from notarypy.errors import TrustError as TrustError
    from notarypy.errors import UsageError as UsageError
    from notarypy.images.dockerargs import BuildOptions as BuildOptions
    from notarypy.images.manifests import Manifest as Manifest
    from notarypy.images.mentions import Mention as Mention
    from notarypy.keys.keystore import KeyInfo as KeyInfo
    from notarypy.keys.passphrase import PassphraseChain as PassphraseChain
    from notarypy.keys.passphrase import PassphraseRequest as PassphraseRequest
    from notarypy.keys.passphrase import PassphraseSource as PassphraseSource
    from notarypy.keys.prompts import Wording as Wording
    from notarypy.keys.signer import Signer as Signer
    from notarypy.limits import Limits as Limits
    from notarypy.remote.redaction import Redaction as Redaction
    from notarypy.remote.streams import Sink as Sink
    from notarypy.remote.streams import Stream as Stream
    from notarypy.remote.transport import Request as Request
    from notarypy.remote.transport import Response as Response
    from notarypy.remote.transport import Transport as Transport
    from notarypy.storage.config import RegistrySettings as RegistrySettings
    from notarypy.storage.policyfile import PolicyFile as PolicyFile
    from notarypy.storage.settings import GlobalOptions as GlobalOptions
    from notarypy.storage.settings import Settings as Settings
    from notarypy.tuf.trusted import TrustedMetadata as TrustedMetadata

__version__ = "0.1.0"

_NAMES = {
    "client.api": "Client",
    "client.bases": "Resolver",
    "client.builders": "Builder Built Plan",
    "client.buildfile": "FileVariables PinnedFile PinnedImage",
    "client.keyresults": "ImportedKey PurgedKey Renewed RepositoryStatus RoleStatus RotatedKey",
    "client.keys.api": "Keys",
    "client.parameters": "PinOptions SignOptions VerifyOptions",
    "client.results": (
        "AppliedPolicy InitResult Inspection RevokedTag RoleEntry SignedTag SignerAdded "
        "SignerRemoved SkippedImage TagEntry TrustedRoot VerifiedImage"
    ),
    "client.transfer.api": "Images",
    "client.transfers": "CopiedImage Progress PulledImage PushedImage",
    "client.verification": "MetadataCache",
    "errors": "Advice NotarypyError OperationError PolicyError TrustError UsageError",
    "images.dockerargs": "BuildOptions",
    "images.manifests": "Manifest",
    "images.mentions": "Mention",
    "keys.keystore": "KeyInfo",
    "keys.passphrase": "PassphraseChain PassphraseRequest PassphraseSource",
    "keys.prompts": "Wording",
    "keys.signer": "Signer",
    "limits": "Limits",
    "remote.redaction": "Redaction",
    "remote.streams": "Sink Stream",
    "remote.transport": "Request Response Transport",
    "storage.config": "RegistrySettings",
    "storage.policyfile": "PolicyFile",
    "storage.settings": "GlobalOptions Settings",
    "tuf.trusted": "TrustedMetadata",
}

if not TYPE_CHECKING:  # to type checkers a name that is not imported above is an error
    _HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}
    __all__ = list(_HOMES)

    def __getattr__(name: str) -> object:
        """Load a public name from its module (PEP 562)."""
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
