"""Pins from the option, the configuration and the trust policy, held against real chains of roots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from notarypy.errors import ConfigurationError, RootNotPinnedError
from notarypy.tuf import roles
from support.author import GUN
from support.chains import authority, leaf, pem
from support.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from support.people import World

WRONG = "0" * 64


@pytest.fixture
def stage(world: World) -> Stage:
    """A repository that the reader has not read yet."""
    return Stage(world)


def pin(stage: Stage) -> str:
    return stage.author.root.roles[roles.ROOT].keyids[0]


def policed(stage: Stage, *lines: str, **how: object) -> Client:
    path = stage.world.base / "policy.toml"
    path.write_text("\n".join(('[scope."registry.test"]', *lines)))
    return stage.reader.client(policy=str(path), **how)  # type: ignore[arg-type]  # named as client names them


def configured(stage: Stage, pinning: object, **flags: object) -> Client:
    folder = stage.world.base / "conf"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"trust_pinning": pinning}))
    return stage.reader.client(config=str(folder / "config.json"), **flags)  # type: ignore[arg-type]  # as there


def issued(stage: Stage, *bundle: bytes) -> None:
    """Let the root's certificate be one that an authority issued."""
    stage.author.assign(roles.ROOT, [stage.author.bundled_key("leaf", b"".join(bundle))])
    stage.serve(stage.author.repository())


def written(stage: Stage, name: str, data: bytes) -> Path:
    path = stage.world.base / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def verify(client: Client, root: str | None = None) -> str | None:
    return client.verify(f"{GUN}:1", registry=False, root=root).tag


def refused(client: Client, root: str | None = None) -> str:
    with pytest.raises(RootNotPinnedError) as caught:
        verify(client, root)
    assert caught.value.exit_code == 4
    return " | ".join(caught.value.why)


# -- ids, cold and warm


@pytest.mark.parametrize("known", [True, False])
def test_the_policys_pins_count_with_and_without_a_cache(stage: Stage, *, known: bool) -> None:
    if known:
        stage.know()
    assert verify(policed(stage, f"roots.ids = ['{WRONG}', '{pin(stage)}']")) == "1"
    assert "policy.toml" in refused(policed(stage, f"roots.ids = ['{WRONG}']"))


@pytest.mark.parametrize("known", [True, False])
def test_without_a_pin_first_use_has_to_be_allowed(stage: Stage, *, known: bool) -> None:
    if known:
        stage.know()
    before = stage.reader.cache()
    assert "allows no trust on first use" in refused(policed(stage))
    assert stage.reader.cache() == before
    assert verify(policed(stage), pin(stage)) == "1"
    assert verify(policed(stage, pins=(pin(stage),))) == "1"
    assert verify(policed(stage, "first_use = true")) == "1"


def test_offline_a_pin_is_held_against_the_cache_alone(stage: Stage) -> None:
    stage.rotate_root("second")
    stage.publish()
    stage.know()
    assert verify(policed(stage, f"roots.ids = ['{pin(stage)}']", offline=True)) == "1"
    refused(policed(stage, f"roots.ids = ['{WRONG}']", offline=True))
    assert stage.world.requests() == []


def test_an_allowed_first_use_is_said_aloud(stage: Stage) -> None:
    verify(policed(stage, "first_use = true"))
    assert any("first use" in line for line in stage.reader.warnings)


def test_an_unpinned_root_costs_no_walk(stage: Stage) -> None:
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
    stage.world.requests()
    refused(policed(stage))
    assert set(stage.world.requests()) == {"GET root.json"}


# -- pins are added


def test_the_option_adds_to_the_policy(stage: Stage) -> None:
    client = policed(stage, f"roots.ids = ['{pin(stage)}']")
    assert verify(client, pin(stage)) == "1"
    assert "--root" in refused(client, WRONG)
    assert "policy.toml" in refused(policed(stage, f"roots.ids = ['{WRONG}']"), pin(stage))


def test_the_configuration_adds_to_the_policy_and_gives_way_to_the_option(stage: Stage) -> None:
    line = f"roots.ids = ['{pin(stage)}']"
    assert "trust_pinning" in refused(policed(stage, line, pins=(WRONG,)))
    assert verify(policed(stage, line, pins=(WRONG,)), pin(stage)) == "1"


@pytest.mark.parametrize("known", [True, False])
def test_each_pin_may_be_met_by_another_root_of_the_chain(stage: Stage, *, known: bool) -> None:
    pins = [pin(stage)]
    for name in ("second", "third"):
        stage.rotate_root(name)
        stage.publish()
        pins.append(pin(stage))
    if known:
        stage.know()
    for one in pins:
        for other in pins:
            assert verify(policed(stage, f"roots.ids = ['{one}']"), other) == "1"
            if not known:
                stage.reader.client().forget(GUN)
    refused(policed(stage, f"roots.ids = ['{pins[0]}']"), WRONG)
    refused(policed(stage, f"roots.ids = ['{WRONG}']"), pins[0])


# -- certificates


def test_a_certificate_is_pinned_from_a_file(stage: Stage) -> None:
    (key,) = stage.author.root.signers(roles.ROOT)
    written(stage, "root.pem", key.public)
    written(stage, "other.pem", stage.author.root_key("other").public)
    assert verify(policed(stage, "roots.certificates = ['other.pem', 'root.pem']")) == "1"
    assert "pinned certificates" in refused(policed(stage, "roots.certificates = ['other.pem']"))


@pytest.mark.parametrize("key", ["certificates = ['pins.pem']", "ca = 'pins.pem'"])
def test_a_file_that_holds_no_certificate_fails_closed(stage: Stage, key: str) -> None:
    stage.world.requests()
    for data in (None, b"", b"junk"):
        if data is not None:
            written(stage, "pins.pem", data)
        with pytest.raises(ConfigurationError, match="no root can be pinned") as caught:
            verify(policed(stage, f"roots.{key}"))
        assert 'it is named by scope "registry.test"' in caught.value.why[-1]
    assert stage.world.requests() == []


# -- authorities


@pytest.mark.parametrize("known", [True, False])
def test_an_authority_is_pinned_by_the_policy(stage: Stage, *, known: bool) -> None:
    issued(stage, pem(leaf("low", uses=[Use.CODE_SIGNING]), authority("low", "ca")))
    if known:
        stage.know()
    written(stage, "ca.pem", pem(authority("other"), authority()))
    assert verify(policed(stage, "roots.ca = 'ca.pem'")) == "1"
    written(stage, "ca.pem", pem(authority("other")))
    assert "not issued by the pinned authority" in refused(policed(stage, "roots.ca = 'ca.pem'"))


def test_a_certificate_as_notary_makes_it_may_be_its_own_authority(stage: Stage) -> None:
    (key,) = stage.author.root.signers(roles.ROOT)
    written(stage, "ca.pem", key.public)
    assert verify(policed(stage, "roots.ca = 'ca.pem'")) == "1"


def test_go_notarys_authorities_are_relative_to_the_file(stage: Stage) -> None:
    issued(stage, pem(leaf(uses=[Use.CODE_SIGNING])))
    written(stage, "conf/ca.pem", pem(authority()))
    written(stage, "conf/other.pem", pem(authority("other")))
    assert verify(configured(stage, {"ca": {"": "ca.pem"}})) == "1"
    assert verify(configured(stage, {"ca": {"": "other.pem", "registry.test/te": "ca.pem"}})) == "1"
    assert "trust_pinning.ca" in refused(configured(stage, {"ca": {"": "ca.pem", GUN: "other.pem"}}))
    with pytest.raises(ConfigurationError):
        verify(configured(stage, {"ca": {"registry.test": "none.pem"}}))
    assert verify(configured(stage, {"ca": {"elsewhere": "none.pem"}})) == "1"


def test_go_notarys_ids_go_before_its_authorities(stage: Stage) -> None:
    issued(stage, pem(leaf()))
    written(stage, "conf/ca.pem", pem(authority()))
    ca = {"registry.test": "ca.pem"}
    assert (
        verify(configured(stage, {"ca": {"": "none.pem"}, "certs": {"registry.test/*": [pin(stage)]}})) == "1"
    )
    assert "pinned ids" in refused(configured(stage, {"ca": ca, "certs": {GUN: [WRONG]}}))
    assert verify(configured(stage, {"ca": ca, "disable_tofu": True})) == "1"


@pytest.mark.parametrize("known", [True, False])
def test_go_notarys_disable_tofu_refuses_what_is_not_pinned(stage: Stage, *, known: bool) -> None:
    if known:
        stage.know()
    pins = {"registry.test/other": [WRONG]}
    assert "disable_tofu" in refused(configured(stage, {"certs": pins, "disable_tofu": True}))
    assert verify(configured(stage, {"certs": pins, "disable_tofu": True}), pin(stage)) == "1"


def test_the_policy_cannot_allow_a_first_use_that_the_configuration_forbids(stage: Stage) -> None:
    verify(policed(stage, "first_use = true"))
    policy = str(stage.world.base / "policy.toml")
    assert "disable_tofu" in refused(configured(stage, {"disable_tofu": True}, policy=policy))
    policed(stage, f"roots.ids = ['{pin(stage)}']")
    assert verify(configured(stage, {"disable_tofu": True}, policy=policy)) == "1"


def test_what_is_forbidden_can_still_be_looked_at_and_accepted(stage: Stage) -> None:
    client = configured(stage, {"disable_tofu": True})
    assert client.offered_root(GUN).offered == stage.author.root.pins
    assert client.trust(GUN, pin(stage)).accepted
    assert client.forget(GUN)


def test_a_pinned_authority_vouches_for_an_earlier_root_of_the_chain(stage: Stage) -> None:
    issued(stage, pem(leaf()))
    stage.rotate_root("self-signed")
    stage.publish()
    written(stage, "ca.pem", pem(authority()))
    assert verify(policed(stage, "roots.ca = 'ca.pem'")) == "1"
