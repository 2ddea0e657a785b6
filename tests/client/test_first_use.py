"""First use: nobody who reads trusts whoever answers first, but by a decision."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.api import Client
from notarypy.client.metadata.firstuse import FirstUses
from notarypy.client.parameters import FirstUseWarning, PinOptions
from notarypy.client.verdicts import FirstRoot
from notarypy.errors import ConfigurationError, ExpiredError, FirstUseError, RootNotPinnedError, StorageError
from notarypy.files import write_atomic
from support.author import GUN
from support.counting import work
from support.people import SERVER, copy_of, released

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.people import Person, World

REF = f"{GUN}:1"
FREE, PINNED = "first_use = true", "roots.ids = ['{}']"


def verify(client: Client) -> object:
    return client.verify(REF)


READING: dict[str, Callable[[Client], object]] = {
    "verify": verify,
    "refresh": lambda client: client.refresh(GUN),
    "inspect": lambda client: client.inspect(GUN),
    "delegations": lambda client: client.delegations(GUN),
    "status": lambda client: client.status(GUN),
    "pull": lambda client: client.images.pull(REF, f"oci:{client.settings.trust_dir}-image"),
    "copy": lambda client: client.images.copy(REF, "registry.test/other:1"),
}
LOOKING = [READING[name] for name in ("inspect", "delegations", "status")]
# What takes no more than metadata, and succeeds.
TRUSTING = [READING[name] for name in ("verify", "refresh")] + LOOKING


@pytest.fixture(autouse=True)
def owner(world: World) -> Person:
    """The owner of a repository with one signed tag."""
    return released(world, "jeff")


@pytest.fixture
def reader(world: World) -> Person:
    return world.person("reader")


def careful(person: Person, **how: Any) -> Client:  # noqa: ANN401 - as Person.client names them
    return person.client(**{"first_use": False, **how})


def asking(person: Person, answer: bool, shown: list[FirstRoot]) -> Client:
    def confirm(root: FirstRoot) -> bool:
        shown.append(root)
        return answer

    return Client(
        careful(person).settings,
        confirm_root=confirm,
        transport=person.world.fake,
        clock=person.world.clock,
        warn=person.warnings.append,
    )


def refused(client: Client, use: Callable[[Client], object] = verify) -> FirstUseError:
    with pytest.raises(FirstUseError) as caught:
        use(client)
    assert (caught.value.code, caught.value.exit_code) == ("trust.first_use", 11)
    return caught.value


def policed(person: Person, line: str, scope: str = GUN, **how: Any) -> Client:  # noqa: ANN401 - as Person.client names them
    path = person.world.base / "policy.toml"
    path.write_text(f'[scope."{scope}"]\n{line}\n')
    return careful(person, policy=str(path), **how)


def root_key(owner: Person) -> str:
    [info] = [info for info in owner.client().keys.list() if info.role == "root"]
    return info.keyid


@pytest.mark.parametrize("use", READING.values(), ids=READING)
def test_a_reader_is_refused_and_keeps_nothing(
    world: World, reader: Person, use: Callable[[Client], object]
) -> None:
    refused(careful(reader), use)
    assert reader.cache() == {}
    assert not (reader.trust_dir / "tuf").exists()
    assert [line for line in world.requests() if "manifests" not in line] == ["GET root.json"]
    assert reader.warnings == []


def test_the_refusal_shows_the_pin_that_fits(owner: Person, reader: Person) -> None:
    error, root = refused(careful(reader)), root_key(owner)
    [pin] = owner.client().inspect(GUN).root_keys
    assert error.facts["root_keys"] == [pin]
    assert error.facts["root_pins"] == [root]
    assert any(
        line.startswith(f"root key {root}, whose id is {pin} in this repository alone; ")
        for line in error.why
    )
    assert f"{SERVER} answers with:" in error.why
    assert error.advice is not None
    assert error.advice.values == {"root": root}
    for use in (lambda client: client.verify(REF, root=root), *TRUSTING):
        use(careful(reader))
    assert careful(reader).first_uses == []


@pytest.mark.parametrize("use", LOOKING)
def test_whoever_only_looks_may_name_a_pin(owner: Person, reader: Person, use: Callable[..., object]) -> None:
    def pinned(client: Client, root: str) -> None:
        client.inspect(GUN, root=root)
        client.status(GUN, root=root)
        client.delegations(GUN, root=root)

    with pytest.raises(RootNotPinnedError):
        pinned(careful(reader), "0" * 64)
    pinned(careful(reader), root_key(owner))
    use(careful(reader))


def test_images_that_files_name_are_refused_as_well(owner: Person, reader: Person) -> None:
    data = f"FROM {REF}\n".encode()
    [image] = careful(reader).images.resolver(PinOptions()).file(data, "Dockerfile").images
    assert isinstance(image.error, FirstUseError)
    pinned = careful(reader, pins=(root_key(owner),))
    assert pinned.images.resolver(PinOptions()).file(data, "Dockerfile").images[0].error is None


def test_a_decision_is_told_once_and_lasts(owner: Person, reader: Person) -> None:
    client = careful(reader, first_use=True)
    client.verify(REF)
    [taken] = client.first_uses
    assert (taken.repository, taken.server, taken.root_pins) == (GUN, SERVER, (root_key(owner),))
    [warning] = reader.warnings
    assert warning.startswith(f"first use of {GUN}")
    assert f"--root {root_key(owner)}" in warning
    assert isinstance(warning, FirstUseWarning)
    assert warning.keys == ((root_key(owner), taken.root_keys[0]),)
    again = careful(reader)
    again.verify(REF)
    assert (again.first_uses, len(reader.warnings)) == ([], 1)


@pytest.mark.usefixtures("owner")
def test_a_root_that_cannot_be_stored_is_trusted_this_once(
    reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("notarypy.files.write_atomic", refuse)
        for client in (careful(reader, first_use=True), asking(reader, answer=True, shown=[])):
            client.verify(REF)
            assert [taken.lasting for taken in client.first_uses] == [False]
            stored, first = reader.warnings
            assert "not updated" in stored
            assert "its root is trusted this once, as it could not be stored; better pin it: --root" in first
            reader.warnings.clear()
    with pytest.raises(FirstUseError):
        careful(reader).verify(REF)


@pytest.mark.usefixtures("owner")
def test_a_root_that_another_process_has_stored_meanwhile_is_not_ours(
    reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come_second(path: Path, _: bytes) -> None:
        write_atomic(path, b"{}")
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("notarypy.files.write_atomic", come_second)
        client = careful(reader, first_use=True)
        client.verify(REF)
    assert [taken.lasting for taken in client.first_uses] == [False]
    assert "its root is trusted this once" in reader.warnings[1]


@pytest.mark.usefixtures("owner")
def test_a_root_that_is_stored_alone_lasts(reader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    written = iter([write_atomic])

    def fill_the_disk(path: Path, data: bytes) -> None:
        if (write := next(written, None)) is None:
            raise StorageError("the disk is full")
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr("notarypy.files.write_atomic", fill_the_disk)
        client = careful(reader, first_use=True)
        client.verify(REF)
    assert [taken.lasting for taken in client.first_uses] == [True]
    stored, first = reader.warnings
    assert "not updated: the disk is full" in stored
    assert "its root is trusted from now on" in first
    assert [*reader.cache()] == ["root"]
    assert careful(reader).verify(REF).tag == "1"


def test_a_person_is_shown_the_root_and_asked_once(reader: Person, owner: Person) -> None:
    shown: list[FirstRoot] = []
    client = asking(reader, answer=False, shown=shown)
    for use in READING.values():
        assert "the answer was not yes" in refused(client, use).why
    assert reader.cache() == {}
    assert [root.root_pins for root in shown] == [(root_key(owner),)]
    client = asking(reader, answer=True, shown=shown)
    for use in (verify, *LOOKING):
        use(client)
    assert (len(shown), client.first_uses, reader.warnings) == (2, [shown[1]], [])
    assert "root" in reader.cache()


def test_somebody_may_take_his_time(world: World, reader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0.0]
    monkeypatch.setattr("notarypy.client.metadata.repository.clock", lambda: moments[0])

    def compare(_: FirstRoot) -> bool:
        moments[0] += 100_000
        return True

    client = Client(careful(reader).settings, confirm_root=compare, transport=world.fake, clock=world.clock)
    assert client.verify(REF).tag == "1"


def test_what_cannot_be_verified_is_not_trusted_by_a_yes(world: World, reader: Person) -> None:
    world.fake.notary.renews = False
    world.clock.advance(timedelta(days=400))
    client = asking(reader, answer=True, shown=[])
    with pytest.raises(ExpiredError):
        client.verify(REF)
    assert (client.first_uses, reader.cache()) == ([], {})


def test_publishers_keep_dockers_habits(world: World, owner: Person) -> None:
    other = copy_of(world, owner)
    world.push("2")
    client = careful(other)
    client.sign([f"{GUN}:2"])
    assert [root.repository for root in client.first_uses] == [GUN]
    assert any(warning.startswith("first use") for warning in other.warnings)
    for use in TRUSTING:
        use(careful(other))


@pytest.mark.parametrize("use", TRUSTING)
def test_the_trust_policy_decides_first(
    reader: Person, owner: Person, use: Callable[[Client], object]
) -> None:
    with pytest.raises(RootNotPinnedError):
        use(policed(reader, PINNED.format("0" * 64), first_use=True))
    use(policed(reader, PINNED.format(root_key(owner))))


@pytest.mark.parametrize("use", TRUSTING)
def test_the_trust_policy_can_allow_it(reader: Person, use: Callable[[Client], object]) -> None:
    client = policed(reader, FREE)
    use(client)
    assert len(client.first_uses) == 1


@pytest.mark.parametrize("use", LOOKING)
def test_whoever_only_looks_takes_nothing_else_from_the_policy(
    reader: Person, use: Callable[[Client], object]
) -> None:
    for line, scope in (("signers.all = ['bob']", GUN), (FREE, "registry.test/other")):
        refused(policed(reader, line, scope=scope), use)
    mirror = f"signed_as = 'registry.test/another'\n{PINNED.format('0' * 64)}"
    refused(policed(reader, mirror), use)
    use(policed(reader, f"server = 'https://nowhere.test'\n{FREE}"))


@pytest.mark.parametrize("use", LOOKING)
def test_the_usual_policy_counts_for_what_is_not_known_yet(
    world: World, reader: Person, owner: Person, use: Callable[[Client], object]
) -> None:
    usual = world.base / ".config" / "notarypy" / "policy.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text("nonsense")
    with pytest.raises(ConfigurationError):
        use(careful(reader))
    usual.write_text(f'[scope."{GUN}"]\n{PINNED.format(root_key(owner))}\n')
    use(careful(reader))
    usual.write_text("nonsense")
    use(careful(reader))


def test_what_a_file_forbids_nothing_allows(world: World, reader: Person) -> None:
    path = world.base / "notary.json"
    path.write_text(json.dumps({"trust_pinning": {"disable_tofu": True}}))
    client = careful(reader, config=str(path), first_use=True)
    with pytest.raises(RootNotPinnedError):
        client.verify(REF)
    allowed = Client(client.settings, first_use=True, transport=world.fake, clock=world.clock)
    with pytest.raises(RootNotPinnedError):
        allowed.verify(REF)


def test_a_parameter_of_the_library_allows_it(world: World, reader: Person) -> None:
    settings = careful(reader).settings
    refused(Client(settings, transport=world.fake, clock=world.clock))
    client = Client(settings, first_use=True, transport=world.fake, clock=world.clock)
    assert client.verify(REF).tag == "1"
    bare = Client(server=SERVER, trust_dir=world.base / "t", transport=world.fake, clock=world.clock)
    refused(bare)


def test_a_first_use_is_not_compared_with_all_before_it() -> None:
    def roots(count: int) -> list[FirstRoot]:
        return [FirstRoot(f"r.test/{number}", "https://n.test", (), (), ()) for number in range(count)]

    def taken(found: list[FirstRoot]) -> list[FirstRoot]:
        uses = FirstUses(lambda _: None)
        for root in (*found, *found):
            uses.publish(root, allowed=True)()
        return uses.taken

    assert taken(roots(3)) == roots(3)
    few, many = (work(lambda count=count: taken(roots(count))) for count in (100, 1000))  # type: ignore[misc]
    assert many < 12 * few
