from __future__ import annotations

import re
import ssl
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
import trustme

from docs import pages
from notarypy import Client, PassphraseRequest
from notarypy.errors import OutOfScopeError, PassphraseNeededError
from notarypy.storage.settings import configfile, policyfile, settings

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "".join(block.text for block in pages.blocks(pages.read("docs/library.md"), "python"))


def test_the_examples_of_the_library_page_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    exec(compile(LIBRARY, "docs/library.md", "exec"), {})
    assert capsys.readouterr().out.startswith("registry.test/app@sha256:")


def test_the_passphrases_of_the_library_page_are_those_of_vault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    asked: list[tuple[str, str | None]] = []

    class Vault(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["X-Vault-Token"]))
            self.send_response(307 if "/moved" in self.path else 200)
            self.send_header("Location", "/v1/secret/data/elsewhere")
            self.end_headers()
            self.wfile.write(b'{"data": {"data": {"jeff": "battery staple"}, "metadata": {"version": 1}}}')

        def log_message(self, *_: object) -> None:
            pass

    page = pages.read("docs/library.md")
    blocks = [block.text for block in pages.blocks(page, "python") if "class VaultPassphrases" in block.text]
    names: dict[str, Any] = {"Client": Client, "PassphraseRequest": PassphraseRequest}
    exec(compile(blocks[0], "docs/library.md", "exec"), names)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with HTTPServer(("127.0.0.1", 0), Vault) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"https://127.0.0.1:{server.server_port}"
        environ = {"HOME": str(tmp_path), "VAULT_ADDR": address, "VAULT_TOKEN": "t"}
        with names["from_vault"](environ) as client:
            key, _ = client.keys.generate("jeff")
            client.keys.test(key.keyid)
            with pytest.raises(PassphraseNeededError):
                client.keys.generate("joe")
            moved = names["VaultPassphrases"](address, "t", "secret/data/moved")
            with pytest.raises(HTTPError):
                moved(PassphraseRequest(key.keyid, "jeff"))
        server.shutdown()
    assert set(asked) == {(f"/v1/secret/data/{name}", "t") for name in ("notary", "moved")}
    with pytest.raises(ValueError, match="over https"):
        names["from_vault"](environ | {"VAULT_ADDR": address.replace("https", "http")})


@pytest.mark.slow
def test_the_examples_of_the_library_page_are_typed(tmp_path: Path) -> None:
    path = tmp_path / "library.py"
    path.write_text(LIBRARY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(path)],
        cwd=pages.ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_configuration_file_of_the_page_can_be_read(tmp_path: Path) -> None:
    (block,) = pages.blocks(pages.read("docs/configuration.md"), "toml")
    path = tmp_path / "config.toml"
    path.write_text(block.text, encoding="utf-8")
    read = configfile.read(path, tmp_path)
    assert read.registries["harbor.corp"].server == "https://notary.harbor.corp:4443"
    assert read.registries["harbor.corp"].ca == tmp_path / "harbor-ca.pem"
    assert (read.timeout, read.retry_for) == (settings.Settings.timeout, settings.Settings.retry_for)


def test_the_policy_of_the_page_can_be_read_and_shows_every_key(tmp_path: Path) -> None:
    page = pages.read("docs/policy.md")
    (example,) = pages.blocks(page, "toml")
    path = tmp_path / "policy.toml"
    path.write_text(example.text, encoding="utf-8")
    read = policyfile.PolicyFile(path, tmp_path, named=True).read()
    assert read is not None
    assert [scope.mode for scope in read.scopes.values()] == [
        *("enforce", "audit", "enforce"),
        *("enforce", "enforce", "skip"),
    ]
    moved = read.scope_for("registry.example.com/moved/app").require
    assert (moved.notary, moved.cosign and len(moved.cosign.some)) == (False, 2)
    team = read.scope_for("registry.example.com/team/app")
    assert (team.requirements.signers.threshold, team.roots.ca) == (2, tmp_path / "corp-ca.pem")
    assert read.scope_for("mirror.example.com/hub/library/x").gun("mirror.example.com/hub/library/x") == (
        "docker.io/library/x"
    )
    with pytest.raises(OutOfScopeError):
        read.scope_for("registry.example.com/teams")
    grammar = pages.blocks(page, "text")[0].text
    assert set(re.findall(r"^([a-z_]+) ", grammar, re.MULTILINE)) == {"file", *policyfile.KEYS}


def test_go_notarys_keys_are_those_of_the_page(tmp_path: Path) -> None:
    page = pages.read("docs/configuration.md")
    for key in ("remote_server.skipTLSVerify", "trust_pinning.ca", "trust_pinning.disable_tofu"):
        assert f"`{key}`" in page
    path = tmp_path / "config.json"
    path.write_text(
        '{"trust_pinning": {"disable_tofu": true}, "remote_server": {"url": "https://notary.corp"}}'
    )
    read = configfile.read(path, tmp_path)
    assert not read.first_use
