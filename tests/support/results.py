"""Results of use cases, as the client returns them, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notarypy.client.archive.trustdata import Exported, ExportedRepository, ImportedRepository
from notarypy.client.backup.contents import BackedUpKey, BackedUpRepository, BackupContents
from notarypy.client.backup.restoring import Restored
from notarypy.client.findings import Examined, Finding
from notarypy.client.history.events import HistoryEvent
from notarypy.client.keys.migrating import KnownRoot, MigratedKeys
from notarypy.client.migrate.inventory import (
    Loss,
    ReportedRepository,
    ReportedSignature,
    ReportedTag,
    ResignedTag,
    SignedManifest,
)
from notarypy.client.overview.overviews import ListedTag, Overview
from notarypy.client.publish.deleting import DeletedRepository
from notarypy.client.publish.republishing import Republished
from notarypy.client.results import (
    CheckedKey,
    CopiedImage,
    InitResult,
    Inspection,
    LoggedIn,
    LoggedOut,
    PulledImage,
    PurgedKey,
    PushedImage,
    Renewed,
    RepositoryStatus,
    RevokedTag,
    RotatedKey,
    SignedTag,
    SignerAdded,
    SignerRemoved,
    TagEntry,
    TrustedRoot,
)
from notarypy.client.verdicts import (
    AppliedPolicy,
    Evidence,
    RoleEntry,
    RoleStatus,
    RoleVersion,
    VerifiedImage,
)
from notarypy.cosign.signatures import OtherSignatures
from notarypy.errors import Advice
from notarypy.keys.keyinfo import KeyInfo, StoredKey
from notarypy.keys.oldlayout import MigratedKey

REPO = "registry.test/app"
D1, D2 = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
PIN, OTHER_PIN = "a" * 64, "b" * 64
WHEN = datetime(2027, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

KEY = KeyInfo("f5a2a64" + "0" * 57, "jeff", None, Path("/trust/private/f5.key"), encrypted=True)
STORED = StoredKey(**vars(KEY), already=False, passphrase_from="--passphrase-file")
PRESENT = StoredKey(**vars(KEY), already=True, passphrase_from=None)
URI = "token:one"
ADDED_KEY = StoredKey(KEY.keyid, "jeff", None, Path("/trust/private/f5.ref"), encrypted=False, uri=URI)
CHECKED_KEY = CheckedKey(ADDED_KEY, {"state": "enabled"})
TARGETS_KEY = KeyInfo("c" * 64, "targets", REPO, Path("/trust/private/cc.key"), encrypted=False)
INITIALISED = InitResult(REPO, True, (PIN,), (OTHER_PIN,), ("root", "targets"), ("jeff",), "https://n.test")  # noqa: FBT003 - as it is declared
LOGGED_IN = LoggedIn(
    "registry.test", "jo", "/config.json", encrypted=False, tried=True, notary=None, notary_refusal=None
)
LOGGED_OUT = LoggedOut("registry.test", "/config.json", erased=True)
JEFF = RoleEntry("targets/jeff", 3, WHEN, (KEY.keyid,), 1, ("",), "")
RELEASES = RoleEntry("targets/releases", None, None, (KEY.keyid,), 1, ("v", "w"), "")
INSPECTION = Inspection(
    name=f"{REPO}:1",
    repository=REPO,
    tags=(
        TagEntry("1", D1, ("jeff", "bob")),
        TagEntry("2", f"sha256:{'d' * 64}", ("Repo Admin",)),
    ),
    signers=(("jeff", (KEY.keyid,)), ("bob9", ("e" * 64,)), ("bob10", ("f" * 64, "0" * 64))),
    root_keys=(PIN,),
    repository_keys=(TARGETS_KEY.keyid,),
    roles=(RoleEntry("targets", 2, WHEN, (TARGETS_KEY.keyid,), 1, (), ""), JEFF, RELEASES),
    server="https://n.test",
)
REPORTED_TAG = ReportedTag(
    REPO,
    "1",
    D1,
    528,
    "targets/releases",
    ("jeff", "bob"),
    WHEN,
    ("linux/amd64", "linux/arm64/v8"),
    "same",
    signatures=(
        ReportedSignature("bundle", "cosign.pub"),
        ReportedSignature("sig", "cosign.pub", f"{REPO}:1"),
    ),
    others=(OtherSignatures("sig", "it is by none of the keys", 2),),
)
REPORTED = ReportedRepository(
    REPO,
    WHEN,
    "https://n.test",
    None,
    (PIN,),
    (JEFF, RELEASES),
    (REPORTED_TAG,),
    (Loss("paths", "Keys that may sign some tags alone.", ("targets/releases: v, w",)),),
)
ADDED = SignerAdded(REPO, "targets/jeff", (KEY.keyid,), None, published=True)
REMOVED = SignerRemoved(
    REPO,
    "targets/jeff",
    ("targets/releases",),
    ("1", "2"),
    (),
    ("bob",),
    (),
    (),
    revoked=False,
    published=True,
    paths=(),
)
PURGED = PurgedKey(
    REPO,
    KEY.keyid,
    ("targets/jeff", "targets/releases"),
    ("targets/bob/ci",),
    ("targets/jeff",),
    ("targets/releases",),
    ("1", "2"),
    (),
    ("bob",),
    (),
    revoked=False,
    published=True,
)
ROTATED = RotatedKey(REPO, "root", (KEY.keyid,), (OTHER_PIN,), (PIN,), server_managed=False, published=True)
ROOT_STATUS = RoleStatus("root", 1, WHEN, (OTHER_PIN,), 1, (OTHER_PIN,), due=True, problem="", days_left=60)
BOB_STATUS = RoleStatus("targets/bob", None, None, (PIN,), 1, (), due=False, problem="")
BASE_STATUSES = tuple(
    RoleStatus(role, 2, WHEN, (PIN,), 1, (), due=False, problem="")
    for role in ("targets", "snapshot", "timestamp")
)
STATUS = RepositoryStatus(REPO, "https://n.test", (ROOT_STATUS, BOB_STATUS))
OVERVIEW = Overview(
    repository=REPO,
    time=WHEN,
    server="https://n.test",
    root_pins=(PIN,),
    status=RepositoryStatus(REPO, "https://n.test", (ROOT_STATUS, *BASE_STATUSES, BOB_STATUS)),
    delegations=(RoleEntry("targets/bob", None, None, (PIN,), 1, ("", "dev-"), ""),),
    tags=(
        ListedTag("1", D1, 528, ("targets",), (), released=True, expires=WHEN, served="moved", found=D2),
        ListedTag("2", None, 5, ("targets/bob",), ("bob",), released=False, expires=None),
    ),
    events=(
        HistoryEvent(WHEN, "targets", 2, "tag-moved", "1", D2, D1, (), (PIN,)),
        HistoryEvent(None, "", 3, "gone", verified=False, why="it is not there"),
    ),
    earlier=7,
    findings=(
        Finding("bad", "dates", "root ended on 2027-01-02", Advice("renew", gun=REPO)),
        Finding("warning", "tags", "1 is moved", Advice("report-moved", reference=f"{REPO}:1")),
        Finding("ok", "keys", "2 of 3 root keys have to sign"),
    ),
)
RENEWED = Renewed(REPO, (ROOT_STATUS,), (PIN,), published=True)
DELETED = DeletedRepository(REPO, "https://n.test", deleted=True, others=(f"{REPO}-two",), forgotten=True)
REPUBLISHED = Republished(
    REPO,
    "https://n.test",
    published=True,
    roles=("root", "targets"),
    renewed=("targets",),
    root_version=2,
    root_pins=(PIN,),
    server_keys={"timestamp": PIN},
    known_of=WHEN,
    lost=("targets/jeff: tag 4: sha256:44, and nothing here",),
    behind=3,
)
EXAMINED = (
    Examined(
        "machine", (Finding("warning", "files", "open", Advice("close-file", path="k"), ("mode 644",)),)
    ),
    Examined(REPO, (Finding("ok", "roles", "root ends later", facts={"role": "root"}),)),
)
OFFERED = TrustedRoot(REPO, (PIN,), 1, (OTHER_PIN,), 2, accepted=False)


def image(tag: str = "1", digest: str = D1, repository: str = REPO) -> VerifiedImage:
    """Return a verified image."""
    relied = (RoleVersion("root", 3, WHEN),)
    evidence = Evidence(
        WHEN,
        "https://n.test",
        offline=False,
        compared=True,
        root_pins=(PIN,),
        root_keys=(OTHER_PIN,),
        roles=relied,
    )
    return VerifiedImage(repository, tag, digest, 528, "targets/releases", ("jeff",), WHEN, evidence=evidence)


def signed(tag: str = "1", **changes: object) -> SignedTag:
    """Return a tag that was just signed."""
    values = {
        "repository": REPO,
        "tag": tag,
        "digest": D1,
        "size": 528,
        "platforms": (),
        "roles": ("targets/jeff", "targets/releases"),
        "previous": None,
        "published": True,
        "already": False,
        "also_old": (),
    }
    return SignedTag(**{**values, **changes})  # type: ignore[arg-type]  # named as the fields are


PUSHED = PushedImage(
    REPO, "1", D1, 528, ("linux/amd64",), uploaded=2, mounted=1, present=3, sent=1000, foreign=(D2,)
)
RESIGNED = ResignedTag(
    repository=REPO,
    tag="1",
    digest=D1,
    key=KEY.keyid,
    role="targets/releases",
    signers=("jeff",),
    signed_as=None,
    manifests=(
        SignedManifest(D1, "", "written", "there"),
        SignedManifest(D2, "linux/arm64", "written", None),
    ),
)
RESIGNED_FOR_NOTATION = replace(RESIGNED, manifests=(SignedManifest(D1, "", None, None, "written"),))
PULLED = PulledImage(
    repository=REPO,
    tag="1",
    digest=D1,
    verified=True,
    destination="oci:x:1",
    stored=D2,
    platforms=("linux/amd64",),
    left_out=("linux/arm64",),
    fetched=2,
    reused=1,
    foreign=(),
    policy=AppliedPolicy("*", "audit"),
)
COPIED = CopiedImage(f"{REPO}@{D1}", True, PUSHED, signed())  # noqa: FBT003 - as it is declared


def revoked(tag: str = "1", **changes: object) -> RevokedTag:
    """Return a tag that was just revoked."""
    values = {
        "repository": REPO,
        "tag": tag,
        "digest": D1,
        "roles": ("targets/jeff", "targets/releases"),
        "still": (),
        "published": True,
    }
    return RevokedTag(**{**values, **changes})  # type: ignore[arg-type]  # named as the fields are


EXPORTED = Exported(
    "/trust.tar", WHEN, (ExportedRepository(REPO, "https://n.test", WHEN, (PIN,), (f"{REPO}:1@{D1}",)),)
)
BACKED_UP = BackupContents(
    path="/backup.tar",
    sha256="0" * 64,
    size=4096,
    made=WHEN,
    program="notarypy 0.1.0",
    trust_dir="/trust",
    keys=(
        BackedUpKey("b" * 64, "jeff", None, None),
        BackedUpKey("c" * 64, "targets", REPO, None),
        BackedUpKey("d" * 64, "root", None, "token:root"),
    ),
    repositories=(BackedUpRepository(REPO, "https://n.test", "--server", (PIN,), 1, ("root", "targets")),),
    config="other.toml",
    policy=None,
    settings=("other.toml",),
    elsewhere=("/etc/ca.pem",),
    left_out=("/client.key: it is a private key for TLS",),
)
RESTORED = Restored(
    contents=BACKED_UP,
    trust_dir="/trust",
    settings_dir="/settings",
    written=("b" * 64, "d" * 64, REPO),
    kept={"c" * 64: "here already", "/settings/other.toml": "here already"},
    dry_run=False,
)
IMPORTED = ImportedRepository(REPO, WHEN, "https://n.test", WHEN, (PIN,), changed=True)


def moved(**changes: Any) -> HistoryEvent:  # noqa: ANN401 - as the fields are
    """Return the event of a tag that moved."""
    event = HistoryEvent(
        WHEN, "targets/jeff", 2, "tag-moved", "1", D1, D2, signers=("jeff",), keys=(KEY.keyid,)
    )
    return replace(event, **changes)


EVENTS = (
    HistoryEvent(WHEN, "root", 1, "created", after=PIN, keys=(PIN,)),
    moved(),
    HistoryEvent(None, "timestamp", None, "unverified", verified=False, why="it is not signed"),
)
MIGRATED_KEYS = MigratedKeys(
    keys=(MigratedKey(PIN, "targets", REPO, Path("old"), Path("new"), already=False),),
    others=(Path("readme"), Path("a.key")),
    misnamed=(Path("a.key"),),
    backup=Path("backup"),
    known_roots=(KnownRoot(REPO, (PIN,), (OTHER_PIN,), Path("certificates")),),
    left=(),
    dry_run=False,
)
