"""Start-up time is a feature: a command imports only what it uses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.app import COMMANDS
from notarypy.images.manifests import ACCEPT
from notarypy.tuf.fields import MetaFile
from support import budgets
from support.author import Author
from support.budgets import within
from support.cosigned import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

HEAVY, SIGNING, NETWORK = (budgets.NOT_LOADED[name] for name in ("anywhere", "to-read", "offline"))

MODULES = """
import json, sys
from notarypy.cli.main import run
code = run({argv!r})
print(json.dumps([code, sorted(sys.modules)]))
"""


def after(argv: list[str], home: Path) -> tuple[int, set[str]]:
    """Run a command line in a new process; return its exit code and the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES.format(argv=argv)],
        env={"HOME": str(home), "NOTARYPY_FIRST_USE": "1"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.fixture
def server() -> Iterator[int]:
    """Return the port of a Notary server and registry, both over http, that have `app:1`."""
    files: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        """Serves the files."""

        def do_GET(self) -> None:
            kind, body = files.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        files.update(published(listening.server_port))
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


def published(port: int) -> dict[str, tuple[str, bytes]]:
    """Return what the two servers have, by path: content type and body."""
    media_type = "application/vnd.oci.image.manifest.v1+json"
    assert media_type in ACCEPT
    part = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": 1}
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": part, "layers": [part]}
    body = json.dumps(manifest).encode()
    author = Author(f"localhost:{port}/app", datetime.now(UTC))
    author.add("1", body)
    found = {"/v2/app/manifests/1": (media_type, body)}
    for role, data in author.repository().items():
        for name in (role, f"{role}.{MetaFile.of(data).sha256}"):
            found[f"/v2/{author.gun}/_trust/tuf/{name}.json"] = ("application/json", data)
    return found


@pytest.mark.parametrize("argv", [[name, "--help"] for name in COMMANDS])
def test_help_loads_no_library_but_typer(home: Path, argv: list[str]) -> None:
    code, modules = after(argv, home)
    assert code == 0
    assert not within(HEAVY | NETWORK, modules)
    assert "notarypy.cli.key" not in modules or argv[0] == "key"


@pytest.mark.parametrize(("argv", "expected"), [(["key", "list"], 0), (["status"], 12)])
def test_what_asks_no_server_loads_nothing_that_speaks_to_one(
    home: Path, argv: list[str], expected: int
) -> None:
    code, modules = after(argv, home)
    assert code == expected
    assert not within(HEAVY | SIGNING - {"notarypy.keys"} | NETWORK | {"typer"}, modules)
    assert not within({"notarypy.remote", "notarypy.cli.bridge", "shutil", "getpass", "difflib"}, modules)


def test_verifying_loads_no_signing(home: Path, server: int) -> None:
    ref = f"localhost:{server}/app:1"
    argv = ["-s", f"http://localhost:{server}", "verify", ref]
    for _ in ("cold", "warm"):
        code, modules = after(argv, home)
        assert code == 0
        assert "notarypy.tuf.trusted" in modules
        assert "http.client" in modules
        assert not within(HEAVY | SIGNING | {"tomllib", "typer"}, modules)


def test_reading_what_cosign_signed_loads_no_private_keys(home: Path, server: int) -> None:
    (home / "cosign.pub").write_bytes(SigningKey().key.pem)
    argv = ["-s", f"http://localhost:{server}", "verify", f"localhost:{server}/app:1"]
    code, modules = after([*argv, "--also", f"cosign:{home / 'cosign.pub'}"], home)
    assert code == 10
    assert within({"notarypy.cosign"}, modules)
    assert not within(HEAVY | SIGNING - {"notarypy.cosign", "notarypy.client.cosign"} | {"typer"}, modules)


def test_verifying_by_a_policy_loads_no_signing(home: Path, server: int) -> None:
    path = home / ".config" / "notarypy" / "policy.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[scope."*"]\nfirst_use = true')
    code, modules = after(["-s", f"http://localhost:{server}", "verify", f"localhost:{server}/app:1"], home)
    assert code == 0
    assert "tomllib" in modules
    assert not within(HEAVY | SIGNING, modules)


def test_a_verify_that_fails_loads_no_more(home: Path, server: int) -> None:
    code, modules = after(["-s", f"http://localhost:{server}", "verify", f"localhost:{server}/app:2"], home)
    assert code == 3
    assert not within(HEAVY | SIGNING, modules)


def test_docker_trust_starts_without_typer(home: Path) -> None:
    script = (
        "import json, sys\n"
        "from notarypy.cli.dockertrust.program import start\n"
        "code = start(['docker-trust', 'sign'])\n"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(home)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    code, modules = json.loads(done.stdout)
    assert code == 1
    assert not within(HEAVY | NETWORK | {"typer"}, set(modules))


def test_notary_is_where_ctrl_c_ends_it_before_it_loads_what_takes_time(home: Path) -> None:
    script = "import json, sys, notarypy.cli.gonotary.entry; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(home)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    loaded = set(json.loads(done.stdout))
    late = {"commands", "goerrors", "notaryshell"}
    assert not {f"notarypy.cli.gonotary.{name}" for name in late} & loaded
    assert not [name for name in loaded if name.startswith(("notarypy.client", "notarypy.storage"))]
