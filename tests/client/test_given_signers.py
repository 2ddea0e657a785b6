"""Signers that a program hands in: what they may do, and what becomes of it when they fail."""

from __future__ import annotations

import threading
from copy import copy
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy import Client, PublicKey
from notarypy.errors import (
    KeyAccessError,
    KeyChangedError,
    KeyMissingError,
    KeyNotAuthorisedError,
    ThrottledError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.signers import keyfile
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.testing import FakeSigner
from notarypy.tuf import roles
from support.author import GUN, NOW
from support.people import prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.people import Person, World

OTHERS = [f"registry.test/team/app{number}" for number in range(6)]


class OwnError(Exception):
    """An error that notarypy knows nothing of."""


ROOT, RELEASE = FakeSigner(), FakeSigner()


def like(signer: FakeSigner) -> FakeSigner:
    """Return a signer with the same key, of which nobody asked anything yet."""
    found = copy(signer)
    found.messages = []
    return found


@pytest.fixture
def root() -> FakeSigner:
    return like(ROOT)


@pytest.fixture
def release() -> FakeSigner:
    return like(RELEASE)


@pytest.fixture
def owner(world: World, root: FakeSigner, release: FakeSigner) -> Person:
    """Somebody with a repository whose root key and signer are handed in; tag 1 is there, and not signed."""
    owner = world.person()

    def make() -> None:
        client = owner.client(signers=[root, release])
        client.init(GUN, root_key=root.public.keyid[:12], signer="release", keys=[release.public.to_pem()])
        world.push("1")

    prepared(world.fake, world.base, f"{__name__}: its keys are handed in", make)
    root.messages.clear()
    release.messages.clear()
    return owner


def state(world: World, owner: Person) -> tuple[dict[str, bytes], set[str]]:
    """Return what a failure must leave as it was: the server's files but those it signs, and the keys."""
    store = world.fake.notary.store
    found = {role: store.current(GUN, role) for role in store.roles(GUN)}
    signed_here = found.keys() - {roles.SNAPSHOT, roles.TIMESTAMP}
    return {role: stored.data for role in signed_here if (stored := found[role])}, owner.key_files()


# -- what they may do


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_root_key_that_is_handed_in(world: World, algorithm: str) -> None:
    signer = FakeSigner("rsa" if algorithm == "rsa" else "ecdsa")
    owner = world.person()
    made = owner.client(signers=[signer]).init(GUN, root_key=signer.public.keyid[:7])
    assert made.root_pins == (signer.public.keyid,)
    assert made.keys_here == (roles.ROOT, roles.TARGETS)
    assert len(owner.key_files()) == 1  # that of targets
    assert world.person("reader").client(pins=made.root_pins).refresh(GUN).root.version == 1


def test_daily_work(owner: Person, root: FakeSigner, release: FakeSigner) -> None:
    client = owner.client(signers=[root, release])
    before = len(release.messages)
    (signed,) = client.sign([f"{GUN}:1"])
    assert signed.roles == ("targets/release", roles.RELEASES)
    assert len(release.messages) == before + 2
    assert client.verify(f"{GUN}:1", signers=["release"]).signers == ("release",)
    client.renew(GUN, only=["targets/release"])
    here = {entry.role: entry.here for entry in client.status(GUN).roles}
    assert here["targets/release"] == (release.public.keyid,)
    assert here[roles.ROOT] == (root.public.keyid,)
    client.revoke([f"{GUN}:1"])
    assert client.inspect(GUN).tags == ()


def test_many_tags_are_one_signature_for_each_role(world: World, owner: Person, release: FakeSigner) -> None:
    tags = [world.push(str(number)) and f"{GUN}:{number}" for number in range(2, 12)]
    owner.client(signers=[release]).sign(tags)
    assert len(release.messages) == 2


def test_several_repositories_side_by_side(world: World, owner: Person, release: FakeSigner) -> None:
    for gun in OTHERS:
        owner.client().init(gun, signer="release", keys=[release.public.to_pem()])
        world.push("1", path=gun.partition("/")[2])
    beside, at_once = threading.Condition(), set[int]()

    def meet() -> None:
        with beside:
            at_once.add(threading.get_ident())
            beside.notify_all()
            beside.wait_for(lambda: len(at_once) > 1, timeout=30)

    release.before = meet  # the first signature waits for another one, of another repository
    signed = owner.client(signers=[release]).sign([f"{gun}:1" for gun in OTHERS])
    assert [one.published for one in signed] == [True] * len(OTHERS)
    assert len(at_once) > 1
    assert len(release.messages) == 2 * len(OTHERS)


def test_several_threads_share_a_client(world: World, owner: Person, release: FakeSigner) -> None:
    tags = [world.push(str(number)) and f"{GUN}:{number}" for number in range(2, 6)]
    client, failed = owner.client(signers=[release]), list[BaseException]()

    def sign(tag: str) -> None:
        try:
            client.sign([tag])
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=sign, args=[tag]) for tag in tags]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(owner.client().inspect(GUN).tags) == len(tags)


def test_new_keys_for_roles(world: World, owner: Person, root: FakeSigner, release: FakeSigner) -> None:
    targets, next_root = FakeSigner(), FakeSigner()
    client = owner.client(signers=[root, release, targets, next_root])
    assert client.keys.rotate(GUN, "targets", key=targets.public.keyid[:12]).new == (targets.public.keyid,)
    done = client.keys.rotate(GUN, "root", key=next_root.public.keyid[:12])
    assert done.root_pins == (next_root.public.keyid,)
    kept = owner.client(signers=[next_root, targets, release])
    kept.add_signer("jeff", GUN, [owner.key("jeff")])
    kept.remove_signer("jeff", GUN)
    kept.keys.rotate(GUN, "snapshot")
    world.push("2")
    kept.sign([f"{GUN}:2"])
    assert world.person("reader").client(pins=done.root_pins).verify(f"{GUN}:2").digest


def test_a_signer_is_used_before_the_file_of_its_key(world: World) -> None:
    owner, key = world.person(), keyfile.generate()
    signer = FakeSigner()
    client = owner.client(signers=[LocalSigner(key), signer], passphrase="another passphrase")
    owner.client().keys.load(keyfile.seal(key, "ci", None, "a passphrase of tests"), name="ci")
    client.init(GUN, signer="ci", keys=[PublicKey.from_key(key).to_pem()])
    world.push("1")
    assert client.sign([f"{GUN}:1"])[0].published  # nobody was asked for the passphrase of the file


def test_without_the_signer_the_key_is_not_here(world: World, owner: Person) -> None:
    with pytest.raises(KeyNotAuthorisedError):
        owner.client().sign([f"{GUN}:1"])
    assert "POST" not in world.requests()


def test_digits_that_fit_no_signer_or_two(owner: Person, root: FakeSigner) -> None:
    one, two = FakeSigner(), FakeSigner()
    vars(one.public)["keyid"], vars(two.public)["keyid"] = "a" * 64, "a" * 63 + "b"  # no real ones are alike
    client = owner.client(signers=[root, one, two])
    with pytest.raises(KeyMissingError) as missing:
        client.keys.rotate(GUN, "targets", key="0000000")
    assert f"{root.public.keyid[:12]} (given)" in str(missing.value.why)
    with pytest.raises(UsageError, match="fits several keys") as several:
        client.keys.rotate(GUN, "targets", key="aaaaaaa")
    assert root.public.keyid[:12] not in str(several.value.why)


# -- what is no signer


def test_what_cannot_sign_is_refused_at_once(world: World, root: FakeSigner) -> None:
    in_certificate, edwards, unknown = FakeSigner(), FakeSigner(), FakeSigner()
    in_certificate.public = root_certificate(root, GUN, NOW)
    edwards.public = PublicKey.from_key(Ed25519PrivateKey.generate())
    unknown.public = PublicKey("sm2", b"x")
    for signer, problem in (
        (in_certificate, "a bare public key"),
        (edwards, "cannot use this key"),
        (unknown, "cannot use this key"),
    ):
        with pytest.raises(UnsupportedKeyError, match=problem):
            world.person().client(signers=[signer])
    odd = FakeSigner()
    odd.public = "a PEM text"  # type: ignore[assignment]  # as somebody might
    with pytest.raises(TypeError, match="is a PublicKey, not str"):
        world.person().client(signers=[odd])
    assert not world.person().trust_dir.exists()


# -- signers that fail


def wrong_key(signer: FakeSigner) -> None:
    signer.wrong = True


def wrong_method(signer: FakeSigner) -> None:
    honest = signer.sign
    signer.sign = lambda message: ("eddsa", honest(message)[1])  # type: ignore[method-assign]


def der(signer: FakeSigner) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signer.sign = lambda message: ("ecdsa", key.sign(message, ec.ECDSA(SHA256())))  # type: ignore[method-assign]


def bytes_alone(signer: FakeSigner) -> None:
    honest = signer.sign
    signer.sign = lambda message: honest(message)[1]  # type: ignore[assignment, method-assign, return-value]


def nothing(signer: FakeSigner) -> None:
    signer.sign = lambda _: None  # type: ignore[assignment, method-assign, return-value]


def other_public(signer: FakeSigner) -> None:
    other = FakeSigner()
    signer.public, signer.sign = other.public, other.sign  # type: ignore[method-assign]


def own_error(signer: FakeSigner) -> None:
    signer.error = OwnError("the enclave is on fire")


def busy(signer: FakeSigner) -> None:
    signer.error = ThrottledError("the KMS is busy")


def interrupted(signer: FakeSigner) -> None:
    signer.error = KeyboardInterrupt()


LIES = [wrong_key, wrong_method, der, bytes_alone, nothing, other_public]
FAILURES: list[tuple[Callable[[FakeSigner], None], type[BaseException]]] = [
    *((change, KeyChangedError) for change in LIES),
    (own_error, OwnError),
    (busy, ThrottledError),
    (interrupted, KeyboardInterrupt),
]


@pytest.mark.parametrize(("change", "error"), FAILURES)
def test_nothing_is_published_without_a_signature(
    world: World,
    owner: Person,
    release: FakeSigner,
    change: Callable[[FakeSigner], None],
    error: type[BaseException],
) -> None:
    client = owner.client(signers=[release])
    client.status(GUN)
    before = state(world, owner)
    change(release)
    with pytest.raises(error):
        client.sign([f"{GUN}:1"])
    assert "POST" not in world.requests()
    assert state(world, owner) == before


@pytest.mark.parametrize(("change", "error"), FAILURES)
def test_no_repository_is_made_without_its_root_key(
    world: World, change: Callable[[FakeSigner], None], error: type[BaseException]
) -> None:
    owner, root = world.person(), FakeSigner()
    keyid, client = root.public.keyid, owner.client(signers=[root])
    change(root)
    with pytest.raises(error):
        client.init(GUN, root_key=keyid)
    assert "POST" not in world.requests()
    assert owner.key_files() == set()  # the targets key was made, and for nothing


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
@pytest.mark.parametrize(("change", "error"), FAILURES)
def test_no_key_is_made_for_a_rotation_that_is_not_signed(
    world: World,
    owner: Person,
    root: FakeSigner,
    role: str,
    change: Callable[[FakeSigner], None],
    error: type[BaseException],
) -> None:
    client = owner.client(signers=[root])
    client.status(GUN)
    before = state(world, owner)
    change(root)
    with pytest.raises(error):
        client.keys.rotate(GUN, role)
    assert "POST" not in world.requests()
    assert state(world, owner) == before


def test_one_of_several_repositories_fails(world: World, owner: Person, release: FakeSigner) -> None:
    other, gun = FakeSigner(), OTHERS[0]
    owner.client().init(gun, signer="release", keys=[other.public.to_pem()])
    world.push("1", path=gun.partition("/")[2])
    other.error = OwnError("the enclave is on fire")
    with pytest.raises(OwnError):
        owner.client(signers=[release, other]).sign([f"{gun}:1", f"{GUN}:1"])
    assert world.person("reader").client().verify(f"{GUN}:1").digest  # the other one was published


def test_what_a_signer_does_wrong_is_said(owner: Person, release: FakeSigner) -> None:
    client = owner.client(signers=[release])
    for change, problem in (
        (der, "it may be DER where r and s are wanted"),
        (wrong_method, 'it signs by "eddsa", and the key by "ecdsa"'),
        (nothing, "is no method with a signature in bytes"),
    ):
        change(release)
        with pytest.raises(KeyChangedError) as caught:
            client.sign([f"{GUN}:1"])
        assert problem in caught.value.why[0]


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), BaseException("so")])
def test_no_signer_ends_the_program(
    world: World, owner: Person, release: FakeSigner, error: BaseException
) -> None:
    release.error = error
    with pytest.raises(KeyAccessError, match="the signer that was given failed") as caught:
        owner.client(signers=[release]).sign([f"{GUN}:1"])
    assert caught.value.why[0].startswith(f"{FakeSigner.__module__}.FakeSigner: {type(error).__name__}")
    assert caught.value.exit_code == 6
    assert "POST" not in world.requests()


def test_who_interrupts_a_signer_is_heard(world: World, owner: Person, release: FakeSigner) -> None:
    release.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        owner.client(signers=[release]).sign([f"{GUN}:1"])
    assert "POST" not in world.requests()


def test_what_is_no_signer_is_refused_when_the_client_is_made() -> None:
    class Mute:
        public = FakeSigner().public

    class Nameless:
        def sign(self, message: bytes) -> tuple[str, bytes]:
            raise NotImplementedError

    class Unprepared(FakeSigner):
        prepare = True

    for odd, problem in (
        ("pkcs11:token=t;object=o", r"noted with client\.keys\.add\('pkcs11:token=t;object=o'\)"),
        (object(), "not those of object"),
        (FakeSigner, "FakeSigner is a class"),
        (Mute(), "not those of Mute"),
        (Unprepared(), "not those of Unprepared"),
        (Nameless(), "Nameless has none"),
        (None, "not those of NoneType"),
    ):
        with pytest.raises(TypeError, match=problem):
            Client(signers=[odd])  # type: ignore[list-item]  # as somebody might


def test_one_key_is_given_once() -> None:
    key = keyfile.generate()
    with pytest.raises(UsageError, match="have the same key") as caught:
        Client(signers=[LocalSigner(key), FakeSigner(), LocalSigner(key)])
    assert caught.value.exit_code == 2


def test_a_given_key_is_found_as_that(owner: Person, release: FakeSigner) -> None:
    client = owner.client(signers=[release])
    digits = release.public.keyid[:12]
    assert PublicKey.from_pem(client.keys.public(digits, name="ci")) == release.public
    for ask in (
        client.keys.find,
        client.keys.test,
        client.keys.remove,
        lambda key: client.keys.export([key]),
    ):
        with pytest.raises(KeyMissingError, match="was given to this client") as caught:
            ask(digits)
        assert caught.value.facts["keyid"] == release.public.keyid
        assert "keys here" not in str(caught.value.why)
