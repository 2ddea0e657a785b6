"""A pure-Python client for Notary v1 / Docker Content Trust.

`Client` is the way in; every failure is a `NotarypyError`. Names load when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what `typing` calls so, which takes longer to load than all of this

if TYPE_CHECKING:
    from notarypy.client.api import Client as Client
    from notarypy.client.archive.trustdata import Exported as Exported
    from notarypy.client.archive.trustdata import ExportedRepository as ExportedRepository
    from notarypy.client.archive.trustdata import ImportedRepository as ImportedRepository
    from notarypy.client.backup.contents import BackedUpKey as BackedUpKey
    from notarypy.client.backup.contents import BackedUpRepository as BackedUpRepository
    from notarypy.client.backup.contents import BackupContents as BackupContents
    from notarypy.client.backup.making import CheckedBackup as CheckedBackup
    from notarypy.client.backup.restoring import Restored as Restored
    from notarypy.client.build.builders import Builder as Builder
    from notarypy.client.build.builders import Built as Built
    from notarypy.client.build.builders import Plan as Plan
    from notarypy.client.build.inputs import FileVariables as FileVariables
    from notarypy.client.build.inputs import PinnedFile as PinnedFile
    from notarypy.client.build.inputs import PinnedImage as PinnedImage
    from notarypy.client.build.resolver import Resolver as Resolver
    from notarypy.client.findings import Examined as Examined
    from notarypy.client.findings import Finding as Finding
    from notarypy.client.history.events import HistoryEvent as HistoryEvent
    from notarypy.client.imagesapi import Images as Images
    from notarypy.client.keys.migrating import KnownRoot as KnownRoot
    from notarypy.client.keys.migrating import MigratedKeys as MigratedKeys
    from notarypy.client.keysapi import Keys as Keys
    from notarypy.client.migrate.inventory import Loss as Loss
    from notarypy.client.migrate.inventory import ReportedRepository as ReportedRepository
    from notarypy.client.migrate.inventory import ReportedSignature as ReportedSignature
    from notarypy.client.migrate.inventory import ReportedTag as ReportedTag
    from notarypy.client.migrate.inventory import ResignedTag as ResignedTag
    from notarypy.client.migrate.inventory import SignedManifest as SignedManifest
    from notarypy.client.migrationapi import Migration as Migration
    from notarypy.client.overview.overviews import ListedTag as ListedTag
    from notarypy.client.overview.overviews import Overview as Overview
    from notarypy.client.overview.overviews import OverviewOptions as OverviewOptions
    from notarypy.client.parameters import PinOptions as PinOptions
    from notarypy.client.parameters import Progress as Progress
    from notarypy.client.parameters import RemovalOptions as RemovalOptions
    from notarypy.client.parameters import Required as Required
    from notarypy.client.parameters import SignOptions as SignOptions
    from notarypy.client.parameters import VerifyOptions as VerifyOptions
    from notarypy.client.publish.deleting import DeletedRepository as DeletedRepository
    from notarypy.client.publish.joining import PartPublished as PartPublished
    from notarypy.client.publish.joining import PartReview as PartReview
    from notarypy.client.publish.republishing import Republished as Republished
    from notarypy.client.publish.republishplan import RepublishPlan as RepublishPlan
    from notarypy.client.publish.staged import DroppedChange as DroppedChange
    from notarypy.client.publish.staged import StagedChange as StagedChange
    from notarypy.client.publish.staged import StagedPublished as StagedPublished
    from notarypy.client.publish.stagedinit import StagedInit as StagedInit
    from notarypy.client.results import CheckedKey as CheckedKey
    from notarypy.client.results import CopiedImage as CopiedImage
    from notarypy.client.results import ImportedKey as ImportedKey
    from notarypy.client.results import InitResult as InitResult
    from notarypy.client.results import Inspection as Inspection
    from notarypy.client.results import LoggedIn as LoggedIn
    from notarypy.client.results import LoggedOut as LoggedOut
    from notarypy.client.results import PolicyFiles as PolicyFiles
    from notarypy.client.results import PulledImage as PulledImage
    from notarypy.client.results import PurgedKey as PurgedKey
    from notarypy.client.results import PushedImage as PushedImage
    from notarypy.client.results import Renewed as Renewed
    from notarypy.client.results import RepositoryStatus as RepositoryStatus
    from notarypy.client.results import RevokedTag as RevokedTag
    from notarypy.client.results import RotatedKey as RotatedKey
    from notarypy.client.results import SignedTag as SignedTag
    from notarypy.client.results import SignerAdded as SignerAdded
    from notarypy.client.results import SignerRemoved as SignerRemoved
    from notarypy.client.results import TagEntry as TagEntry
    from notarypy.client.results import TrustedRoot as TrustedRoot
    from notarypy.client.stagingapi import Parts as Parts
    from notarypy.client.stagingapi import StagedContent as StagedContent
    from notarypy.client.stagingapi import Staging as Staging
    from notarypy.client.targetsapi import ListedTargets as ListedTargets
    from notarypy.client.upkeepapi import Archives as Archives
    from notarypy.client.upkeepapi import Upkeep as Upkeep
    from notarypy.client.verdicts import AppliedPolicy as AppliedPolicy
    from notarypy.client.verdicts import CosignedBy as CosignedBy
    from notarypy.client.verdicts import Evidence as Evidence
    from notarypy.client.verdicts import FirstRoot as FirstRoot
    from notarypy.client.verdicts import ReleasedImage as ReleasedImage
    from notarypy.client.verdicts import RoleEntry as RoleEntry
    from notarypy.client.verdicts import RoleStatus as RoleStatus
    from notarypy.client.verdicts import RoleVersion as RoleVersion
    from notarypy.client.verdicts import SkippedImage as SkippedImage
    from notarypy.client.verdicts import VerifiedImage as VerifiedImage
    from notarypy.client.verify.content import ListedTarget as ListedTarget
    from notarypy.client.verify.sharing import MetadataCache as MetadataCache
    from notarypy.client.workers import Outcome as Outcome
    from notarypy.cosign.signatures import OtherSignatures as OtherSignatures
    from notarypy.errors import Advice as Advice
    from notarypy.errors import NotarypyError as NotarypyError
    from notarypy.errors import OperationError as OperationError
    from notarypy.errors import PolicyError as PolicyError
    from notarypy.errors import TrustError as TrustError
    from notarypy.errors import UsageError as UsageError
    from notarypy.images.dockerfile.variables import BuildOptions as BuildOptions
    from notarypy.images.manifests import Manifest as Manifest
    from notarypy.images.occurrences import Occurrence as Occurrence
    from notarypy.keys import signers as signers
    from notarypy.keys.keyinfo import KeyInfo as KeyInfo
    from notarypy.keys.keyinfo import PassphraseRequest as PassphraseRequest
    from notarypy.keys.keyinfo import StoredKey as StoredKey
    from notarypy.keys.keyinfo import Wording as Wording
    from notarypy.keys.oldlayout import MigratedKey as MigratedKey
    from notarypy.keys.passphrases import CallbackSource as CallbackSource
    from notarypy.keys.passphrases import PassphraseChain as PassphraseChain
    from notarypy.keys.passphrases import PassphraseSource as PassphraseSource
    from notarypy.keys.signers.base import ExternalSigner as ExternalSigner
    from notarypy.keys.signers.base import Signer as Signer
    from notarypy.keys.signers.base import SignerContext as SignerContext
    from notarypy.limits import Limits as Limits
    from notarypy.remote.http.messages import Redaction as Redaction
    from notarypy.remote.http.messages import Request as Request
    from notarypy.remote.http.messages import Response as Response
    from notarypy.remote.http.messages import Sink as Sink
    from notarypy.remote.http.messages import Stream as Stream
    from notarypy.remote.http.transport import Transport as Transport
    from notarypy.service.answercache import Unasked as Unasked
    from notarypy.service.answercache import Verdict as Verdict
    from notarypy.service.verifier import Verifier as Verifier
    from notarypy.storage.images.trustarchive import ArchivedRepository as ArchivedRepository
    from notarypy.storage.images.trustarchive import TrustArchive as TrustArchive
    from notarypy.storage.settings.configfile import RegistrySettings as RegistrySettings
    from notarypy.storage.settings.policyfile import PolicyFile as PolicyFile
    from notarypy.storage.settings.settings import GlobalOptions as GlobalOptions
    from notarypy.storage.settings.settings import Settings as Settings
    from notarypy.tuf.draftchanges import DraftChange as DraftChange
    from notarypy.tuf.keys import PublicKey as PublicKey
    from notarypy.tuf.parts import NeededSignatures as NeededSignatures
    from notarypy.tuf.parts import Part as Part
    from notarypy.tuf.stagedchanges import StagedDetails as StagedDetails
    from notarypy.tuf.trusted import TrustedMetadata as TrustedMetadata
    from notarypy.tuf.vouching import RestingTag as RestingTag

__version__ = "0.1.0"

_NAMES = {
    "client.api": "Client",
    "client.archive.trustdata": "Exported ExportedRepository ImportedRepository",
    "client.backup.contents": "BackedUpKey BackedUpRepository BackupContents",
    "client.backup.restoring": "Restored",
    "client.backup.making": "CheckedBackup",
    "client.build.builders": "Builder Built Plan",
    "client.build.inputs": "FileVariables PinnedFile PinnedImage",
    "client.build.resolver": "Resolver",
    "client.findings": "Examined Finding",
    "client.history.events": "HistoryEvent",
    "client.imagesapi": "Images",
    "client.keys.migrating": "KnownRoot MigratedKeys",
    "client.keysapi": "Keys",
    "client.migrationapi": "Migration",
    "client.migrate.inventory": (
        "Loss ReportedRepository ReportedSignature ReportedTag ResignedTag SignedManifest"
    ),
    "client.overview.overviews": "ListedTag Overview OverviewOptions",
    "client.parameters": "PinOptions Progress RemovalOptions Required SignOptions VerifyOptions",
    "client.publish.deleting": "DeletedRepository",
    "client.publish.joining": "PartPublished PartReview",
    "client.publish.republishing": "Republished",
    "client.publish.republishplan": "RepublishPlan",
    "client.publish.staged": "DroppedChange StagedChange StagedPublished",
    "client.publish.stagedinit": "StagedInit",
    "client.results": (
        "CheckedKey CopiedImage ImportedKey InitResult Inspection LoggedIn LoggedOut PolicyFiles "
        "PulledImage PurgedKey PushedImage Renewed RepositoryStatus RevokedTag "
        "RotatedKey SignedTag SignerAdded SignerRemoved TagEntry TrustedRoot"
    ),
    "client.stagingapi": "Parts StagedContent Staging",
    "client.targetsapi": "ListedTargets",
    "client.upkeepapi": "Archives Upkeep",
    "client.verdicts": (
        "AppliedPolicy CosignedBy Evidence "
        "FirstRoot ReleasedImage RoleEntry RoleStatus RoleVersion SkippedImage VerifiedImage"
    ),
    "client.verify.content": "ListedTarget",
    "client.verify.sharing": "MetadataCache",
    "client.workers": "Outcome",
    "cosign.signatures": "OtherSignatures",
    "errors": "Advice NotarypyError OperationError PolicyError TrustError UsageError",
    "images.dockerfile.variables": "BuildOptions",
    "images.manifests": "Manifest",
    "images.occurrences": "Occurrence",
    "keys": "signers",
    "keys.keyinfo": "KeyInfo StoredKey",
    "keys.oldlayout": "MigratedKey",
    "keys.passphrases": "CallbackSource PassphraseChain PassphraseRequest PassphraseSource Wording",
    "keys.signers.base": "ExternalSigner Signer SignerContext",
    "limits": "Limits",
    "remote.http.messages": "Redaction Request Response Sink Stream",
    "remote.http.transport": "Transport",
    "service.answercache": "Unasked Verdict",
    "service.verifier": "Verifier",
    "storage.images.trustarchive": "ArchivedRepository TrustArchive",
    "storage.settings.configfile": "RegistrySettings",
    "storage.settings.policyfile": "PolicyFile",
    "storage.settings.settings": "GlobalOptions Settings",
    "tuf.keys": "PublicKey",
    "tuf.stagedchanges": "StagedDetails",
    "tuf.draftchanges": "DraftChange",
    "tuf.parts": "NeededSignatures Part",
    "tuf.trusted": "TrustedMetadata",
    "tuf.vouching": "RestingTag",
}

if not TYPE_CHECKING:  # to type checkers a name that is not imported above is an error
    _HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}
    __all__ = list(_HOMES)

    def __getattr__(name: str) -> object:
        """Load a public name from its module (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # With a list of names, a name that is a module itself is loaded too.
        return getattr(__import__(f"{__name__}.{_HOMES[name]}", fromlist=[name]), name)
