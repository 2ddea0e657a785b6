"""A person with keys who makes valid, or precisely broken, repositories.

What it is: metadata written by hand from keys that are the same in every run, so
that tests of the trust core and of the devserver do not depend on the client.
What it is not: a client; it checks nothing and publishes whatever it is told.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notarypy.tuf import canonical, envelope, roles
from notarypy.tuf.fields import MetaFile, RoleKeys, TargetFile
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.tuf.metadata import Delegation, Root, Snapshot, Targets, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from notarypy.tuf.canonical import JsonObject

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GUN = "registry.test/team/app"
YEARS = {roles.ROOT: 10, roles.TARGETS: 3, roles.SNAPSHOT: 3}
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_KEY_USAGE = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@lru_cache(maxsize=256)
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key that belongs to a name, the same in every run."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())


@lru_cache(maxsize=256)
def public_key(name: str) -> PublicKey:
    """Return the bare public key that belongs to a name."""
    return public_key_of(private_key(name))


@lru_cache(maxsize=256)
def root_key(
    name: str,
    common_name: str,
    start: datetime = NOW,
    end: datetime = NOW + timedelta(days=3650),
    *,
    authority: bool = False,
) -> PublicKey:
    """Return a name's public key in a self-signed root certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usage = [bit in {"digital_signature", "key_encipherment"} for bit in _KEY_USAGE]
    certificate = (
        x509.CertificateBuilder(subject, subject, private_key(name).public_key(), 1, start, end)
        .add_extension(x509.KeyUsage(*usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(private_key(name), SHA256(), ecdsa_deterministic=True)
    )
    return PublicKey("ecdsa-x509", certificate.public_bytes(Encoding.PEM))


@lru_cache(maxsize=4096)
def signature(name: str, key: PublicKey, message: bytes) -> envelope.Signature:
    """Sign with a name's private key, under the id of one of its public keys; the same each time."""
    der = private_key(name).sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return envelope.Signature(key.keyid, "ecdsa", envelope.ecdsa_raw(der, 256))


class Author:
    """One repository in the making: change the public attributes, then take `files` or `file`.

    Every role's first key belongs to the name `<gun>/<role>`; timestamp and snapshot
    keys are the author's own until `use_server_key` hands a role to a server.

    Attributes:
        root: The root as it will be signed.
        targets: The targets file and the delegations' files, by role.
        snapshot_version: Version of the snapshot that `files` makes.
        timestamp_version: Version of the timestamp that `files` makes.
    """

    def __init__(self, gun: str = GUN, now: datetime = NOW) -> None:
        """Make version 1 of a repository without targets, dated `now`."""
        self.gun = gun
        self.now = now
        self.snapshot_version = self.timestamp_version = 1
        self._names: dict[str, str] = {}
        self._previous_root: Root | None = None
        keys = {role: self.key(f"{gun}/{role}") for role in roles.BASE_ROLES[1:]}
        keys[roles.ROOT] = self.root_key(f"{gun}/root")
        self.root = Root(
            1,
            self.expiry(roles.ROOT),
            {key.keyid: key for key in keys.values()},
            {role: RoleKeys((key.keyid,), 1) for role, key in keys.items()},
        )
        self.targets: dict[str, Targets] = {roles.TARGETS: Targets(1, self.expiry(roles.TARGETS))}

    # -- keys

    def key(self, name: str) -> PublicKey:
        """Return a name's bare key and remember that this author holds it."""
        return self._own(name, public_key(name))

    def root_key(
        self,
        name: str,
        common_name: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        authority: bool = False,
    ) -> PublicKey:
        """Return a name's key in a root certificate and remember that this author holds it."""
        start = start or self.now
        end = end or start + timedelta(days=3650)
        return self._own(name, root_key(name, common_name or self.gun, start, end, authority=authority))

    def bundled_key(self, name: str, bundle: bytes) -> PublicKey:
        """Return a name's key in issued certificates and remember that this author holds it."""
        return self._own(name, PublicKey("ecdsa-x509", bundle))

    def _own(self, name: str, key: PublicKey) -> PublicKey:
        self._names[key.keyid] = name
        return key

    def use_server_key(self, role: str, key: PublicKey) -> None:
        """Let a server sign a role: its key replaces the author's in the root."""
        self.assign(role, [key])

    def assign(self, role: str, keys: Sequence[PublicKey], threshold: int = 1) -> None:
        """Assign keys to a base role; keys that no role uses leave the root, root certificates stay."""
        assigned = {**self.root.roles, role: RoleKeys(tuple(key.keyid for key in keys), threshold)}
        used = {keyid for entry in assigned.values() for keyid in entry.keyids}
        used |= set(self.root.roles[roles.ROOT].keyids)
        known = {**self.root.keys, **{key.keyid: key for key in keys}}
        self.root = replace(
            self.root, roles=assigned, keys={keyid: key for keyid, key in known.items() if keyid in used}
        )

    # -- changes

    def next_root(self) -> None:
        """Begin the next version of the root: it will be signed by this version's root keys too."""
        self._previous_root = self.root
        self.root = replace(self.root, version=self.root.version + 1)

    def bump(self, role: str = roles.TARGETS) -> None:
        """Give a targets file its next version."""
        self.targets[role] = replace(self.targets[role], version=self.targets[role].version + 1)

    def add(self, tag: str, content: bytes, role: str = roles.TARGETS) -> TargetFile:
        """List a tag in a role's file, which is begun when there is none."""
        meta = TargetFile(len(content), {"sha256": hashlib.sha256(content).digest()})
        self.fill(role, {tag: meta})
        return meta

    def fill(self, role: str, targets: Mapping[str, TargetFile]) -> None:
        """List many tags in a role's file, which is begun when there is none."""
        old = self.targets.get(role) or Targets(1, self.expiry(roles.TARGETS))
        self.targets[role] = replace(old, targets={**old.targets, **targets})

    def delegate(
        self,
        role: str,
        keys: Sequence[PublicKey] = (),
        paths: tuple[str, ...] = ("",),
        threshold: int = 1,
    ) -> None:
        """List a delegation in the file above it; without keys it gets the one named after the role."""
        keys = keys or [self.key(f"{self.gun}/{role}")]
        above = self.targets[roles.parent(role)]
        entry = Delegation(role, tuple(key.keyid for key in keys), threshold, paths)
        self.targets[roles.parent(role)] = replace(
            above,
            roles=(*(other for other in above.roles if other.name != role), entry),
            keys={**above.keys, **{key.keyid: key for key in keys}},
        )

    # -- files

    def expiry(self, role: str) -> datetime:
        """Return the usual date for a role's file."""
        if role == roles.TIMESTAMP:
            return self.now + timedelta(days=14)
        return self.now + timedelta(days=365 * YEARS.get(role, 3))

    def signers(self, role: str) -> list[PublicKey]:
        """Return the keys that should sign a role now; for a new root also the previous root's."""
        if role in self.root.roles:
            keys = list(self.root.signers(role))
            if role == roles.ROOT and self._previous_root:
                keys += [key for key in self._previous_root.signers(role) if key not in keys]
            return keys
        above = self.targets[roles.parent(role)]
        entry = above.delegation(role)
        return [above.keys[keyid] for keyid in entry.keyids] if entry else []

    def seal(self, signed: JsonObject, keys: Iterable[PublicKey]) -> bytes:
        """Sign any content with those of the keys that this author holds."""
        message = canonical.encode(signed)
        held = [key for key in keys if key.keyid in self._names]
        return envelope.seal(signed, [signature(self._names[key.keyid], key, message) for key in held])

    def file(self, role: str) -> bytes:
        """Return root.json, targets.json or a delegation's file, signed."""
        value = self.root if role == roles.ROOT else self.targets[role]
        return self.seal(value.to_signed(), self.signers(role))

    def files(self, *listed: str) -> dict[str, bytes]:
        """Return these roles' files (default: root and all targets files)."""
        return {role: self.file(role) for role in listed or (roles.ROOT, *self.targets)}

    def snapshot(self, files: Mapping[str, bytes]) -> bytes:
        """Return a snapshot of these files, signed with the author's key."""
        meta = {role: MetaFile.of(data) for role, data in files.items()}
        value = Snapshot(self.snapshot_version, self.expiry(roles.SNAPSHOT), meta)
        return self.seal(value.to_signed(), self.signers(roles.SNAPSHOT))

    def timestamp(self, snapshot: bytes) -> bytes:
        """Return a timestamp for this snapshot, signed with the author's key."""
        value = Timestamp(self.timestamp_version, self.expiry(roles.TIMESTAMP), MetaFile.of(snapshot))
        return self.seal(value.to_signed(), self.signers(roles.TIMESTAMP))

    def repository(self) -> dict[str, bytes]:
        """Return all files of a repository that needs no server: snapshot and timestamp too."""
        files = self.files()
        files[roles.SNAPSHOT] = self.snapshot(files)
        files[roles.TIMESTAMP] = self.timestamp(files[roles.SNAPSHOT])
        return files
