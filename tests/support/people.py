"""People who use one Notary server and one registry, each with a trust directory of their own.

What it is: a short way to say who does what in tests of the client. What it is not:
another fake; servers and misdeeds are the devserver's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy.client.api import Client
from notarypy.devserver.core import NOTARY_HOST
from notarypy.devserver.tampering import Tampering
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST
from notarypy.keys.signers import keyfile
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.settings.settings import load
from notarypy.tuf import roles
from support.author import GUN
from support.fakes import Clock, make_fake

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    import pytest

    from notarypy.devserver.core import Fake
    from notarypy.devserver.stores import ImageStore, MetadataStore, ServerKeys
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.keys.signers.base import Signer

T = TypeVar("T")

SERVER = f"https://{NOTARY_HOST}"
PASSPHRASE = "a passphrase of tests"
REGISTRY_PATH = GUN.partition("/")[2]
_HASH = re.compile(r"[0-9a-f]{64}")


class World:
    """One Notary server and one registry, a clock, and somebody who tampers with them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.clock = Clock()
        self.fake = make_fake(self.clock)
        self.attacker = Tampering(self.fake)
        self.fake.notary.renews = True

    def person(self, name: str = "alice") -> Person:
        """Return somebody with a trust directory; the same one for the same name."""
        return Person(self, name)

    def push(self, tag: str, content: str = "", path: str = REGISTRY_PATH) -> str:
        """Push an image whose digest depends on `content` (the tag if not given); return the digest."""
        return self.fake.registry.push(path, tag, manifest(content or tag), OCI_MANIFEST)

    def push_index(self, tag: str, *platforms: str) -> str:
        """Push an index with one manifest per `os/architecture[/variant]`; return the digest."""
        return self.fake.registry.push(REGISTRY_PATH, tag, index(*platforms), OCI_INDEX)

    def requests(self) -> list[str]:
        """Return every request since the last call: method and the last part, with HASH for hashes."""
        lines = [_HASH.sub("HASH", unquote(line)) for line in self.fake.lines()]
        self.fake.requests.clear()
        marker = "/_trust/tuf/"
        return [
            f"{line.partition(' ')[0]} {line.partition(marker)[2]}".strip() if marker in line else line
            for line in lines
        ]


class Person:
    """Somebody's trust directory, and what the program told them."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.trust_dir = world.base / name
        self.warnings: list[str] = []

    def client(
        self,
        *,
        pins: tuple[str, ...] = (),
        gun: bool = False,
        passphrase: str = PASSPHRASE,
        limits: Limits = DEFAULT,
        signers: Sequence[Signer] = (),
        cached: bool = False,
        **flags: object,
    ) -> Client:
        """Return a fresh client: nothing is unlocked and nothing remembered but files.

        Args:
            pins: Root PINs configured for `GUN`.
            gun: Take repository names as they stand.
            passphrase: What every question for a passphrase is answered with.
            limits: What the client takes at most.
            signers: Keys that are no files.
            cached: Look at what is cached where no server can be reached.
            flags: As the command line's options.
        """
        flags = {
            "server": SERVER,
            "trust_dir": str(self.trust_dir),
            "retry_for": 10,
            "first_use": True,
            **flags,
        }
        settings = load(flags, {}, self.world.base)
        if pins:
            settings = replace(settings, gun_pins={GUN: pins})

        def answer(_: PassphraseRequest) -> str:
            return passphrase

        return Client(
            settings,
            passphrases=answer,
            transport=self.world.fake,
            clock=self.world.clock,
            warn=self.warnings.append,
            literal_gun=gun,
            limits=limits,
            signers=signers,
            cached_if_unreachable=cached,
        )

    def cache(self, gun: str = GUN) -> dict[str, bytes]:
        """Return the cached files of a repository by role."""
        folder = self.trust_dir / "tuf" / gun / "metadata"
        return {
            path.relative_to(folder).with_suffix("").as_posix(): path.read_bytes()
            for path in folder.rglob("*.json")
        }

    def cached(self, role: str, gun: str = GUN) -> Path:
        """Return the path of a cached file."""
        return self.trust_dir / "tuf" / gun / "metadata" / f"{role}.json"

    def key_files(self) -> set[str]:
        """Return the names of the key files."""
        return {path.name for path in (self.trust_dir / "private").glob("*.key")}

    def key(self, name: str) -> bytes:
        """Make a signer's key here; return its public half."""
        return self.client().keys.generate(name)[1]


def manifest(content: str) -> bytes:
    """Return an image manifest that differs with `content`."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": "sha256:" + "0" * 64,
                "size": 2,
            },
            "layers": [],
            "annotations": {"content": content},
        }
    ).encode()


def index(*platforms: str) -> bytes:
    """Return an image index with one manifest for each platform."""
    entries: list[dict[str, object]] = []
    for platform in platforms:
        data = manifest(platform)
        names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        entries.append(
            {
                "mediaType": OCI_MANIFEST,
                "digest": "sha256:" + f"{len(entries):064x}",
                "size": len(data),
                "platform": names,
            }
        )
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def push_index(world: World, tag: str, *more: dict[str, object]) -> tuple[str, list[str]]:
    """Push an index of two platforms and whatever else; return its digest and those of the platforms."""
    document = json.loads(index("linux/amd64", "linux/arm64/v8"))
    for entry, platform in zip(document["manifests"], ("linux/amd64", "linux/arm64/v8"), strict=True):
        data = manifest(platform)
        entry |= {"digest": world.fake.registry.push(REGISTRY_PATH, platform[6:11], data, OCI_MANIFEST)}
    platforms = [entry["digest"] for entry in document["manifests"]]
    document["manifests"] += more
    top = world.fake.registry.push(REGISTRY_PATH, tag, json.dumps(document).encode(), OCI_INDEX)
    return top, platforms


def make_world(base: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world of a quick disk and a quick network."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("notarypy.remote.http.attempts.backoff", lambda _: 0.001)
    return World(base)


class _Tree(NamedTuple):
    """What is in a directory, by its name there: modes of folders; mode, time and content of files."""

    folders: dict[str, int]
    files: dict[str, tuple[int, int, bytes]]


class _Made(NamedTuple):
    """What there is after something was done: what servers hold, what is in the directory, a value."""

    held: tuple[MetadataStore, ServerKeys, ImageStore]
    tree: _Tree
    value: Any


def _tree(base: Path) -> _Tree:
    found = {str(path.relative_to(base)): path for path in [base, *sorted(base.rglob("*"))]}
    assert not any(path.is_symlink() for path in found.values()), "links are not copied"
    modes = {place: path.stat().st_mode & 0o7777 for place, path in found.items()}
    folders = {place: modes[place] for place, path in found.items() if path.is_dir()}
    files = {
        place: (modes[place], path.stat().st_mtime_ns, path.read_bytes())
        for place, path in found.items()
        if path.is_file()
    }
    return _Tree(folders, files)


def _plant(tree: _Tree, base: Path) -> None:
    for place, mode in tree.folders.items():
        (base / place).mkdir(exist_ok=True)
        (base / place).chmod(mode)
    for place, (mode, changed, data) in tree.files.items():
        (base / place).write_bytes(data)
        (base / place).chmod(mode)
        os.utime(base / place, ns=(changed, changed))


_made: dict[Hashable, _Made] = {}


def prepared(fake: Fake, base: Path, name: Hashable, make: Callable[[], T]) -> T:
    """Have done with fresh servers, in a directory, what `make` does: copied, if it was done before.

    Returns a copy of what `make` returned; what is in it nobody changes.
    """
    assert not fake.requests, "the servers are to be fresh"
    assert not (base.exists() and any(base.iterdir())), "the directory is to be empty"
    notary, registry = fake.notary, fake.registry
    if name not in _made:
        value = make()
        _made[name] = _Made(deepcopy((notary.store, notary.keys, registry.images)), _tree(base), value)
    else:
        notary.store, notary.keys, registry.images = deepcopy(_made[name].held)
        _plant(_made[name].tree, base)
    fake.requests.clear()
    returned: T = copy(_made[name].value)
    return returned


_read: dict[Hashable, _Tree] = {}


def informed(reader: Person) -> Person:
    """Let somebody read `GUN` for the first time, with the usual settings: no pins, policies or other limits.

    It is copied, where the same was read at the same time.
    """
    world, store = reader.world, reader.world.fake.notary.store
    served = {role: stored.data for role in store.roles(GUN) if (stored := store.current(GUN, role))}
    seen = (world.clock(), tuple(served.items()))
    assert not reader.trust_dir.exists(), "nothing is to be known yet"
    if seen in _read:
        _plant(_read[seen], reader.trust_dir)
    else:
        reader.client().refresh(GUN)
        _read[seen] = _tree(reader.trust_dir)
    world.requests()
    reader.warnings.clear()
    return reader


def owned(world: World, *signers: str) -> Person:
    """Return the owner of an initialised `GUN`, who holds the keys of these signers too.

    It is made once, and copied into every fresh world after that, whatever is in its registry.
    """
    owner, images = world.person("owner"), world.fake.registry.images

    def make() -> None:
        owner.client().init(GUN)
        for name in signers:
            owner.client().add_signer(name, GUN, [owner.key(name)])

    prepared(world.fake, owner.trust_dir, signers, make)
    world.fake.registry.images = images
    owner.warnings.clear()
    return owner


def publishing(world: World, publish: Callable[[World, Person], object], *signers: str) -> Person:
    """Return the owner as `owned` does, after `publish`, which is copied with whatever is in the world."""
    name = (publish, *signers)
    prepared(world.fake, world.base, name, lambda: publish(world, owned(world, *signers)))
    return world.person("owner")


def _release(world: World, owner: Person) -> None:
    world.push("1")
    owner.client().sign([f"{GUN}:1"])


def released(world: World, *signers: str) -> Person:
    """Return the owner as `owned` does, after tag 1 was pushed and signed."""
    return publishing(world, _release, *signers)


def copy_of(world: World, person: Person) -> Person:
    """Return somebody with the same keys and another cache."""
    other = world.person(f"copy of {person.trust_dir.name}")
    shutil.copytree(person.trust_dir / "private", other.trust_dir / "private")
    return other


def released_tags(world: World) -> set[str]:
    """Return the tags in `targets/releases` as somebody reads them who has no key."""
    return set(world.person("reader").client().refresh(GUN).targets[roles.RELEASES].targets)


def root_pem() -> bytes:
    """Return a new key that may become a root key, as PEM without a passphrase."""
    return pem_of(keyfile.generate())


def pem_of(key: object) -> bytes:
    """Return an ECDSA key as PEM without a passphrase."""
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
