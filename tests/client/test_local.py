"""`push_local` and `sign(local=True)`: a daemon pushes, and exactly what it pushed is signed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from notarypy.errors import (
    AuthenticationError,
    DigestMismatchError,
    ImageMissingError,
    InvalidNameError,
    KeyNotAuthorisedError,
    PassphraseNeededError,
    PassphraseWrongError,
    RepositoryMissingError,
    ServerError,
    UnreachableError,
    UsageError,
)
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.remote import daemon as daemon_module
from notarypy.remote.http.messages import Response
from support.author import GUN
from support.dockerd import Record, aux, fake_daemon
from support.people import PASSPHRASE, REGISTRY_PATH, manifest, owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from notarypy.keys.keyinfo import PassphraseRequest
    from support.dockerd import FakeDaemon
    from support.people import Person, World


@pytest.fixture
def daemon(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """Return the daemon of this machine; what it pushes is `built`, with the tag as content."""
    with fake_daemon() as running:
        monkeypatch.setattr(daemon_module, "DOCKER_SOCKET", str(running.path))
        running.on_push = lambda name, tag: pushing(world, name, tag)
        yield running


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def pushing(world: World, name: str, tag: str) -> list[Record]:
    """Push as a daemon does, and return what it says."""
    assert name == GUN
    digest = world.push(tag, f"built {tag}")
    return [aux(tag, digest, len(manifest(f"built {tag}")))]


def test_what_was_pushed_is_signed(world: World, owner: Person, daemon: FakeDaemon) -> None:
    [done] = owner.client().sign([f"{GUN}:1"], local=True)
    assert done.published
    assert done.size == len(manifest("built 1"))
    assert owner.client().verify(f"{GUN}:1").digest == done.digest == world.push("2", "built 1")
    assert len(daemon.requests) == 2


def test_it_is_what_push_local_returns(owner: Person, daemon: FakeDaemon, world: World) -> None:
    found = owner.client().images.push_local(GUN)
    assert (found.digest, found.media_type) == (world.push("x", "built latest"), OCI_MANIFEST)
    assert daemon.requests[1].endswith("/push?tag=latest")


def test_somebody_who_pushes_at_the_same_time_is_not_signed(
    world: World, owner: Person, daemon: FakeDaemon
) -> None:
    def raced(name: str, tag: str) -> list[Record]:
        records = pushing(world, name, tag)
        world.push(tag, "somebody else's")
        return records

    daemon.on_push = raced
    [done] = owner.client().sign([f"{GUN}:1"], local=True)
    assert done.digest == world.push("x", "built 1")
    with pytest.raises(DigestMismatchError):
        world.person("reader").client().verify(f"{GUN}:1")


@pytest.mark.parametrize(
    ("digest", "extra", "error"),
    [("built", 1, DigestMismatchError), ("nothing", 0, ImageMissingError)],
    ids=["another size", "a digest that is not there"],
)
def test_a_daemon_that_says_something_else_than_the_registry(
    world: World, owner: Person, daemon: FakeDaemon, digest: str, extra: int, error: type[Exception]
) -> None:
    def lying(_: str, tag: str) -> list[Record]:
        there = world.push(tag, "built")
        shown = there if digest == "built" else f"sha256:{'0' * 64}"
        return [aux(tag, shown, len(manifest("built")) + extra)]

    daemon.on_push = lying
    before = owner.cache()
    with pytest.raises(error):
        owner.client().sign([f"{GUN}:1"], local=True)
    assert owner.cache() == before


def test_one_failed_push_signs_nothing(world: World, owner: Person, daemon: FakeDaemon) -> None:
    daemon.on_push = lambda name, tag: [{"error": "broken"}] if tag == "2" else pushing(world, name, tag)
    with pytest.raises(ServerError, match="could not push"):
        owner.client().sign([f"{GUN}:1", f"{GUN}:2"], local=True)
    assert owner.client().inspect(GUN).tags == ()


def test_a_part_of_an_index_is_warned_of(world: World, owner: Person, daemon: FakeDaemon) -> None:
    note: Record = {"aux": {"manifestPushedInsteadOfIndex": True}}
    daemon.on_push = lambda name, tag: [note, *pushing(world, name, tag)]
    owner.client().sign([f"{GUN}:1"], local=True)
    assert any("only a part of the index" in warning for warning in owner.warnings)


@pytest.mark.parametrize(
    ("references", "flags", "options"),
    [
        ([f"{GUN}:1", f"{GUN}:2@sha256:{'1' * 64}"], {}, {}),
        ([f"{GUN}:1"], {}, {"dry_run": True}),
        ([f"{GUN}:1"], {"offline": True}, {}),
        ([f"{GUN}:1"], {"gun": True}, {}),
    ],
    ids=["digest", "dry run", "offline", "literal"],
)
def test_what_cannot_be_pushed_is_refused_before_anything_is(
    owner: Person, daemon: FakeDaemon, references: list[str], flags: dict[str, bool], options: dict[str, bool]
) -> None:
    with pytest.raises(UsageError):
        owner.client(**flags).sign(references, local=True, **options)  # type: ignore[arg-type]  # of any name
    assert daemon.requests == []


def test_a_repository_without_trust_data_is_noticed_before_the_push(world: World, daemon: FakeDaemon) -> None:
    alice = world.person("alice")
    with pytest.raises(RepositoryMissingError):
        alice.client().sign([f"{GUN}:1"], local=True)
    assert daemon.requests == []
    daemon.images = set()
    with pytest.raises(ImageMissingError):
        alice.client().sign([f"{GUN}:1"], local=True, init=True)
    [pin] = alice.client().init(GUN).root_pins
    assert alice.warnings[-1] == f"{GUN} was initialised before this failed; its root pin: {pin}"
    assert alice.client().inspect(GUN).tags == ()
    daemon.images = None
    [done] = alice.client().sign([f"{GUN}:1"], local=True, init=True)
    assert done.published


def test_what_the_keys_here_may_not_sign_is_not_pushed(
    world: World, owner: Person, daemon: FakeDaemon
) -> None:
    stranger = world.person("stranger")
    with pytest.raises(KeyNotAuthorisedError):
        stranger.client().sign([f"{GUN}:1"], local=True)
    with pytest.raises(InvalidNameError, match="no signer"):
        owner.client().sign([f"{GUN}:1"], local=True, signer="nobody")
    assert daemon.requests == []


def test_nothing_is_said_twice(world: World, owner: Person, daemon: FakeDaemon) -> None:
    world.clock.now += timedelta(days=3 * 365 - 100)
    owner.client().sign([f"{GUN}:1"], local=True)
    assert len(daemon.requests) == 2
    assert any("expires" in warning for warning in owner.warnings)
    assert sorted(owner.warnings) == sorted(set(owner.warnings))


def test_without_a_daemon(world: World, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_SOCKET", "PODMAN_SOCKET"):
        monkeypatch.setattr(daemon_module, name, str(world.base / "none"))
    world.fake.registry.push(REGISTRY_PATH, "1", manifest("1"), OCI_MANIFEST)
    with pytest.raises(UnreachableError, match="no docker daemon"):
        owner.client().sign([f"{GUN}:1"], local=True)


def asking(person: Person, answer: Callable[[PassphraseRequest], str | None]) -> Client:
    """Return a client of a person who answers questions for passphrases so."""
    world = person.world
    return Client(person.client().settings, passphrases=answer, transport=world.fake, clock=world.clock)


@pytest.mark.parametrize("passphrase", ["another one", None], ids=["wrong", "missing"])
@pytest.mark.parametrize("known", [True, False], ids=["signed before", "new tag"])
def test_what_stays_locked_is_not_pushed(
    owner: Person, daemon: FakeDaemon, passphrase: str | None, known: bool
) -> None:
    if known:
        owner.client().sign([f"{GUN}:1"], local=True)
    before = list(daemon.requests)
    with pytest.raises(PassphraseWrongError if passphrase else PassphraseNeededError):
        asking(owner, lambda _: passphrase).sign([f"{GUN}:1"], local=True)
    assert daemon.requests == before


def test_a_locked_snapshot_key_is_noticed_before_the_push(world: World, daemon: FakeDaemon) -> None:
    owner = world.person("owner")
    owner.client().init(GUN, snapshot="local")
    with pytest.raises(PassphraseNeededError, match="snapshot"):
        asking(owner, lambda wanted: None if wanted.role == "snapshot" else PASSPHRASE).sign(
            [f"{GUN}:1"], local=True
        )
    assert daemon.requests == []


def test_a_login_that_may_only_read_is_noticed_before_the_push(
    world: World, owner: Person, daemon: FakeDaemon
) -> None:
    refusal = Response(403, {}, b'{"errors": [{"code": "DENIED", "message": "read only"}]}')
    world.fake.before.append(lambda request: refusal if "/_trust/tuf/timestamp.key" in request.url else None)
    with pytest.raises(AuthenticationError, match="does not allow changing"):
        owner.client().sign([f"{GUN}:1"], local=True)
    assert daemon.requests == []


def test_a_server_that_has_no_such_question_is_published_to(
    world: World, owner: Person, daemon: FakeDaemon
) -> None:
    world.fake.before.append(
        lambda request: Response(404, {}, b"") if "/timestamp.key" in request.url else None
    )
    [done] = owner.client().sign([f"{GUN}:1"], local=True)
    assert done.published
    assert daemon.requests
