from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import ConfigurationError
from notarypy.storage.pins import Pins, by_gun

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
