from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import notarypy
from notarypy.cli.text.advice import advice
from notarypy.client.api import Client, utc_now
from notarypy.errors import (
    AlreadyExistsError,
    ConfigurationError,
    KeyMissingError,
    NetworkError,
    PassphraseNeededError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from notarypy.remote.http.messages import Response
from notarypy.storage.settings.settings import Settings
from notarypy.tuf import roles
from support.author import GUN
from support.people import PASSPHRASE, SERVER, owned

if TYPE_CHECKING:
    from pathlib import Path

    from support.people import World


# -- as a library


def test_a_program_needs_no_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_CONTENT_TRUST_SERVER", "DOCKER_CONFIG", "NOTARY_AUTH"):
        monkeypatch.setenv(name, "http://would.break.everything.test/%%")
    with notarypy.Client(
        server=SERVER,
        trust_dir=world.base / "trust",
        passphrases=lambda _: PASSPHRASE,
        transport=world.fake,
        clock=world.clock,
    ) as client:
        client.init(GUN)
        world.push("1")
        client.sign([f"{GUN}:1"])
        assert client.verify(f"{GUN}:1").tag == "1"
    assert client.refresh(GUN).gun == GUN


def test_an_environment_may_be_handed_in(world: World) -> None:
    environ = {
        "HOME": str(world.base),
        "DOCKER_CONTENT_TRUST_SERVER": SERVER,
        "DOCKER_CONFIG": str(world.base / "docker"),
    }
    client = Client.from_environment(environ)
    assert client.settings.server == SERVER
    assert client.settings.trust_dir == world.base / "docker" / "trust"
    assert Client.from_environment(environ, server="https://other.test").settings.server == (
        "https://other.test"
    )
    nonsense: dict[str, Any] = {"nonsense": 1}
    with pytest.raises(TypeError):
        Client.from_environment(environ, **nonsense)


def test_single_settings_may_be_replaced(world: World) -> None:
    settings = Settings(trust_dir=world.base / "a", docker_config=world.base)
    client = Client(settings, server=f"{SERVER}:443/", trust_dir=str(world.base / "b"))
    assert (client.settings.server, client.settings.trust_dir) == (SERVER, world.base / "b")
    assert Client(settings).settings is settings
    for given in (settings, None):
        with pytest.raises(ConfigurationError):
            Client(given, server="http://notary.test")


def test_a_chain_of_passphrases_may_be_handed_in(world: World) -> None:
    chain = PassphraseChain([CallbackSource(lambda _: PASSPHRASE)])
    client = Client(
        server=SERVER, trust_dir=world.base / "t", passphrases=chain, transport=world.fake, clock=world.clock
    )
    assert client.init(GUN).created


def test_nobody_is_asked_who_was_not_handed_in(world: World) -> None:
    client = Client(server=SERVER, trust_dir=world.base / "t", transport=world.fake, clock=world.clock)
    with pytest.raises(PassphraseNeededError):
        client.init(GUN)
    assert not list((world.base / "t").rglob("*.key"))


def test_the_default_clock_is_aware() -> None:
    assert utc_now().tzinfo is not None


def test_nothing_is_read_or_made_before_it_is_needed(tmp_path: Path) -> None:
    Client(server=SERVER, trust_dir=tmp_path / "absent").close()
    assert not (tmp_path / "absent").exists()


def test_several_servers_are_kept_apart(world: World) -> None:
    settings = Settings(trust_dir=world.base / "t", docker_config=world.base)
    client = Client(settings, transport=world.fake, clock=world.clock)
    with pytest.raises(NetworkError, match="registry"):
        client.refresh("registry.test:444/team/app")
    assert world.fake.requests[0].url.startswith("https://registry.test:444/v2/registry.test:444/")


# -- keys


def test_a_key_that_was_made_is_found_and_exported(world: World) -> None:
    alice = world.person()
    client = alice.client()
    info, public = client.keys.generate("jeff")
    assert b"role: jeff" in public
    [listed], find = client.keys.list(), client.keys.find
    assert find("jeff") == find("targets/jeff") == find(info.keyid[:7]) == listed
    assert listed.keyid == info.keyid
    exported = client.keys.export(["jeff"])
    [loaded] = world.person("other").client().keys.load(exported)
    assert (loaded.keyid, loaded.role) == (info.keyid, "jeff")


def test_a_selector_must_mean_one_key(world: World) -> None:
    alice = world.person()
    client = alice.client()
    first, _ = client.keys.generate("jeff")
    alice.warnings.clear()
    second, _ = client.keys.generate("jeff")
    [warning] = alice.warnings
    assert first.keyid[:12] in warning
    assert "called jeff too" in warning
    with pytest.raises(UsageError) as caught:
        client.keys.find("jeff")
    assert all(info.keyid[:12] in caught.value.why[0] for info in (first, second))
    for wrong in ("bob", first.keyid[:6], "0" * 7):
        with pytest.raises(KeyMissingError):
            client.keys.find(wrong)


def test_a_key_is_loaded_once_under_one_name(world: World) -> None:
    client = world.person().client()
    client.keys.generate("jeff")
    exported = client.keys.export(["jeff"])
    other = world.person("other").client()
    [first], [again] = (other.keys.load(exported, name="ci") for _ in range(2))
    assert (first.already, first.passphrase_from) == (False, "the callback")
    assert again == replace(first, already=True, passphrase_from=None)
    with pytest.raises(AlreadyExistsError, match="as ci") as caught:
        other.keys.load(exported, name="jeff")
    assert advice(caught.value) == f"give it this name: notarypy key rename {first.keyid[:12]} jeff"
    with pytest.raises(AlreadyExistsError, match="as ci") as caught:
        other.keys.load(exported, name="root")
    assert "notarypy key load COPY --name root" in advice(caught.value)


def test_what_is_no_private_key_is_refused(world: World) -> None:
    client = world.person().client()
    for junk in (b"", b"junk", client.keys.generate("jeff")[1]):
        with pytest.raises(UnsupportedKeyError):
            client.keys.load(junk)


def test_a_key_without_its_repository_is_refused(world: World) -> None:
    client = world.person().client()
    client.keys.generate("jeff")
    exported = client.keys.export(["jeff"])
    for role in (roles.TARGETS, roles.SNAPSHOT):
        with pytest.raises(UsageError, match="belongs to one repository"):
            world.person("other").client().keys.load(exported, name=role)


def test_key_files_that_cannot_be_read_are_said_aloud(world: World) -> None:
    alice = world.person()
    client = alice.client()
    info, _ = client.keys.generate("jeff")
    (alice.trust_dir / "private" / f"{'0' * 64}.key").write_bytes(b"junk")
    assert [key.keyid for key in client.keys.list()] == [info.keyid]
    assert any("0" * 64 in warning for warning in alice.warnings)


# -- several at once


def test_threads_share_one_client(world: World) -> None:
    owner = owned(world, "jeff")
    tags = [f"t{number}" for number in range(8)]
    digests = {tag: world.push(tag) for tag in tags}
    client = owner.client(retry_for=30)
    with ThreadPoolExecutor(len(tags)) as pool:
        done = list(pool.map(lambda tag: client.sign([f"{GUN}:{tag}"])[0], tags))
        assert all(one.published for one in done)
        found = list(pool.map(lambda tag: client.verify(f"{GUN}:{tag}").digest, tags))
    assert found == [digests[tag] for tag in tags]
    assert owner.cache() == _fresh(world)


def test_clients_of_one_directory_do_not_lose_tags(world: World) -> None:
    owner = owned(world, "jeff")
    tags = [f"t{number}" for number in range(6)]
    for tag in tags:
        world.push(tag)
    with ThreadPoolExecutor(len(tags)) as pool:
        list(pool.map(lambda tag: owner.client(retry_for=30).sign([f"{GUN}:{tag}"]), tags))
    assert set(owner.client().refresh(GUN).targets[roles.RELEASES].targets) == set(tags)
    assert owner.cache() == _fresh(world)


def test_publishers_with_their_own_directories_do_not_lose_tags(world: World) -> None:
    owner = owned(world, "jeff")
    tags = [f"t{number}" for number in range(4)]
    for tag in tags:
        world.push(tag)
        shutil.copytree(owner.trust_dir, world.base / tag)
    with ThreadPoolExecutor(len(tags)) as pool:
        list(pool.map(lambda tag: world.person(tag).client(retry_for=30).sign([f"{GUN}:{tag}"]), tags))
    assert set(owner.client().refresh(GUN).targets[roles.RELEASES].targets) == set(tags)


def test_first_readers_of_one_directory_do_not_disturb_each_other(world: World) -> None:
    owned(world, "jeff")
    reader = world.person("reader")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: reader.client().refresh(GUN).root.version, range(6)))
    assert found == [1] * 6
    assert reader.cache() == _fresh(world)


def test_one_root_key_for_repositories_made_at_once(world: World) -> None:
    alice = world.person()
    client = alice.client(retry_for=30)
    guns = [f"{GUN}{number}" for number in range(4)]
    with ThreadPoolExecutor(len(guns)) as pool:
        made = list(pool.map(client.init, guns))
    assert len({result.root_pins for result in made}) == 1
    assert len(alice.key_files()) == 1 + len(guns)


def test_a_refused_init_takes_away_only_its_own_keys(world: World) -> None:
    """While the first init waits for its refusal, another thread makes a signer's key."""
    alice = world.person()
    client = alice.client()
    made: list[str] = []

    def elsewhere() -> None:
        thread = threading.Thread(target=lambda: made.append(client.keys.generate("jeff")[0].keyid))
        thread.start()
        thread.join()

    world.attacker.before_upload(elsewhere)
    world.attacker.answer(Response(400), method="POST")
    with pytest.raises(Exception, match="refused"):
        client.init(GUN)
    assert alice.key_files() == {f"{made[0]}.key"}


def _fresh(world: World) -> dict[str, bytes]:
    """Return what somebody who never read before gets."""
    reader = world.person("fresh")
    reader.client().refresh(GUN)
    return reader.cache()


def test_a_clock_without_a_time_zone_is_an_error_that_says_so(tmp_path: Path) -> None:
    client = Client(trust_dir=tmp_path, clock=lambda: utc_now().replace(tzinfo=None))
    with pytest.raises(TypeError, match="with a time zone"):
        client.verify("registry.test/app:1")
