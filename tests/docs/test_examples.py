from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from docs import pages
from notarypy.storage import config, settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_examples_of_the_library_page_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = "".join(block.text for block in pages.blocks(pages.read("docs/library.md"), "python"))
    exec(compile(source, "docs/library.md", "exec"), {})
    assert capsys.readouterr().out.startswith("registry.test/app@sha256:")


def test_the_configuration_file_of_the_page_can_be_read(tmp_path: Path) -> None:
    (block,) = pages.blocks(pages.read("docs/configuration.md"), "toml")
    path = tmp_path / "config.toml"
    path.write_text(block.text, encoding="utf-8")
    read = config.read(path, tmp_path)
    assert read.registries["harbor.corp"].server == "https://notary.harbor.corp:4443"
    assert read.registries["harbor.corp"].ca == tmp_path / "harbor-ca.pem"
    assert (read.timeout, read.retry_for) == (settings.Settings.timeout, settings.Settings.retry_for)


def test_go_notarys_keys_are_those_of_the_page(tmp_path: Path) -> None:
    page = pages.read("docs/configuration.md")
    for key in ("remote_server.skipTLSVerify", "trust_pinning.ca", "trust_pinning.disable_tofu"):
        assert f"`{key}`" in page
    path = tmp_path / "config.json"
    path.write_text(
        '{"trust_pinning": {"disable_tofu": true}, "remote_server": {"url": "https://notary.corp"}}'
    )
    read = config.read(path, tmp_path)
    assert not read.first_use
