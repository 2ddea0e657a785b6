from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import ConfigurationError
from notarypy.storage.settings.policyfile import Pins, by_gun
from notarypy.tuf import roles

if TYPE_CHECKING:
    from pathlib import Path

PIN, OTHER = "a" * 64, "b" * 64


def test_nothing_is_pinned_by_nothing(tmp_path: Path) -> None:
    assert not Pins(source="x")
    for pins in (Pins((PIN,)), Pins(certificates=(tmp_path,)), Pins(ca=tmp_path)):
        assert pins


def test_a_pinned_file_is_read_or_an_error(tmp_path: Path) -> None:
    pins = Pins(source="a test")
    (tmp_path / "real.pem").write_bytes(b"text")
    (tmp_path / "link.pem").symlink_to("real.pem")
    assert pins.read(tmp_path / "link.pem") == b"text"
    for missing in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(ConfigurationError, match="no root can be pinned") as caught:
            pins.read(missing)
        assert "it is named by a test" in caught.value.why


def test_an_id_goes_before_an_authority_and_the_longest_counts(tmp_path: Path) -> None:
    ids = {"r/a": (PIN,), "r/*": (OTHER,)}
    authorities = {"": tmp_path / "all", "r/": tmp_path / "r", "s/Te": tmp_path / "s"}

    def found(gun: str) -> Pins:
        pins = by_gun(gun, ids, authorities)
        assert pins is not None
        return pins

    assert found("r/a") == Pins((PIN,), source='trust_pinning.certs."r/a"')
    assert found("r/b").ids == (OTHER,)
    assert found("s/Team/x") == Pins(ca=tmp_path / "s", source='trust_pinning.ca."s/Te"')
    assert found("s/team/x").ca == tmp_path / "all"
    assert by_gun("s/a", ids, {"r": tmp_path}) is None


@pytest.mark.parametrize(
    "gun", ["r.test/team/app", "R.test/team/app", "r.test:443/team/app", "r.test:0443/team/app"]
)
@pytest.mark.parametrize(
    "key", ["r.test/team/app", "r.test/team/*", "r.test/*", "r.te*", "R.test:443/team/app"]
)
def test_no_spelling_of_a_registry_evades_a_pin(key: str, gun: str, tmp_path: Path) -> None:
    found = by_gun(gun, {key: (PIN,)}, {})
    assert found is not None
    assert found.ids == (PIN,)
    if not key.endswith("*"):
        authority = by_gun(gun, {}, {key: tmp_path})
        assert authority is not None
        assert authority.ca == tmp_path


def test_a_prefix_that_ends_in_a_port_counts() -> None:
    assert by_gun("r.test:443/a", {"r.test:4*": (PIN,)}, {}) is not None
    assert by_gun("r.test:5000/a", {"r.test:4*": (PIN,)}, {}) is None


@pytest.mark.parametrize("prefix", ["r.test:443", "R.test:0443", "index.docker.io", "[0::1]"])
def test_another_spelling_is_that_of_a_whole_registry(prefix: str) -> None:
    pins = {f"{prefix}*": (PIN,)}
    host = roles.comparable(prefix)
    assert by_gun(f"{host}/a", pins, {}) is not None
    for other in (f"{host}.example", f"{host}:5000", f"{host}x"):
        assert by_gun(f"{other}/a", pins, {}) is None


@pytest.mark.parametrize("host", ["registry-1.docker.io", "docker.io:443"])
def test_a_long_spelling_of_a_registry_is_no_longer_a_prefix(host: str, tmp_path: Path) -> None:
    gun = "docker.io/team/app"
    found = by_gun(gun, {f"{host}/*": (OTHER,), "docker.io/team/*": (PIN,)}, {})
    assert found is not None
    assert found.ids == (PIN,)
    authority = by_gun(gun, {}, {f"{host}/": tmp_path / "other", "docker.io/team/": tmp_path / "own"})
    assert authority is not None
    assert authority.ca == tmp_path / "own"


def test_of_several_spellings_the_one_that_was_written_counts() -> None:
    ids = {"R.test/a": (OTHER,), "r.test/a": (PIN,)}
    for gun, wanted in (("r.test/a", PIN), ("R.test/a", OTHER)):
        found = by_gun(gun, ids, {})
        assert found is not None
        assert found.ids == (wanted,)
