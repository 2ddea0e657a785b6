"""Somebody at the command line who is attacked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.victim import Victim

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Victim:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Victim(tmp_path, monkeypatch, capsys)
