"""A world of its own for each test of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.people import World, make_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)
