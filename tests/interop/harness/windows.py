"""What Python for Windows runs: commands of notarypy, one after the other, beside servers of their own.

What it is: a program, `windows.py CHECKOUT HOME`, that prints a line of JSON for each command. What it is
not: run by the Python of the tests, or judging anything; `tests/interop/test_windows.py` does.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import subprocess
import sys
import threading
import traceback
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FACES = {"notarypy.__main__", "notarypy.testing"}


def say(what: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"what": what, **facts}) + "\n")
    sys.stdout.flush()


def command(*words: str, given: bytes = b"") -> None:
    """Run a command, and say how it ended."""
    from notarypy.cli import main

    before = sys.stdin, sys.stdout, sys.stderr
    written = [io.BytesIO(), io.BytesIO()]
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), "utf-8")
    sys.stdout, sys.stderr = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in written)
    try:
        code = main.run(words)
    finally:
        streams = sys.stdout, sys.stderr  # or they would close what they write to
        sys.stdin, sys.stdout, sys.stderr = before
    out, err = (stream.getvalue().decode() for stream in written)
    say(" ".join(words), code=code, out=out, err=err)
    del streams


def imports() -> None:
    """Import every module; one that lacks a package of somebody else says so."""
    import notarypy

    for found in pkgutil.walk_packages(notarypy.__path__, "notarypy."):
        if found.name not in FACES:
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                say("lacking", name=error.name)
            except Exception:  # noqa: BLE001 - whatever it is, the test is to show it
                say("failure", module=found.name, error=traceback.format_exc())


def session(registry: str, home: Path) -> None:
    """Do what people do in the life of a repository."""
    app, tag = f"{registry}/app", f"{registry}/app:1"
    command("verify", tag)
    command("key", "generate", "jeff")
    command("init", app, "--signer", "jeff", "--key", "jeff.pub")
    command("sign", tag)
    command("verify", tag)
    command("status")
    command("report", app, "-o", "report.html")
    command("pull", tag, rf"oci:{home}\images\app:1")
    command("push", rf"oci:{home}\images\app:1", f"{registry}/other:1")
    command("pull", tag, rf"oci-archive:{home}\app.tar:1")
    command("push", rf"oci-archive:{home}\app.tar", f"{registry}/other:2")
    Path("Dockerfile").write_bytes(f"FROM {tag}\r\nRUN true\r\n".encode())
    command("pin", "--in-place", "Dockerfile")
    say("pinned", text=Path("Dockerfile").read_bytes().decode())
    command("backup", "keys.backup")
    command("backup", "--check", "keys.backup")
    command("export", tag, "-o", "trust.tar")
    command("verify", "--from", "trust.tar", tag)
    command("renew", app, "--within", "4000d")
    command("key", "list")
    command("login", registry, "-u", "someone", "--password-stdin", given=b"secret\r\n")
    command("doctor", app)
    command("verify", "--from-file", "-", given=f"{tag}\r\n{tag}\r\n".encode())
    command("sign", "--local", tag)
    command("serve", "--help")
    side_by_side(tag)
    more(registry, app, tag)
    serve(app, tag)
    command("forget", app, "--yes")


def more(registry: str, app: str, tag: str) -> None:
    """Do what people do less often, and with names that Windows has for something else."""
    command("history", app)
    command("copy", tag, f"{registry}/third:1", "--sign", "--init")
    command("key", "generate", "beta")
    command("delegate", "add", "beta", app, "--key", "beta.pub", "--path", "beta-")
    command("delegate", "list", app)
    command("delegate", "remove", "beta", app, "--yes")
    command("migrate", "report", app, "-o", "migration.html")
    command("docker-trust", "inspect", "--pretty", app)
    command("docker-trust", "signer", "add", "--key", "beta.pub", "beta", app)
    command("docker-trust", "signer", "remove", "--force", "beta", app)
    command("docker-trust", "sign", f"{registry}/third:1")
    command("docker-trust", "revoke", f"{registry}/third:1")
    command("install-plugin")
    command("completion", "bash")
    command("completion", "bash", "notarypy", "verify", f"{app}:")
    command("help")
    command("help", "exit-codes")
    command("key", "generate", "--help")
    command("verify", f"{registry}/nul:1")
    command("inspect", f"{registry}/team/aux.1")
    command("init", f"{registry}/con")
    command("key", "generate", "prn")
    command("report", app, "-o", "com1.html")
    command("key", "list")


def serve(app: str, tag: str) -> None:
    """Serve in a process of its own, over TCP, and ask it once."""
    Path("policy.toml").write_text(f'[scope."{app}"]\nroots.ids = ["{_pin(app)}"]\n', encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {sys.argv[1]!r}); from notarypy.cli.main import main; main()"
    words = ["serve", "--listen", "127.0.0.1:0", "--policy", "policy.toml"]
    argv = [sys.executable, "-c", program, *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(argv, **pipes) as process:
        url = (process.stdout.readline() if process.stdout else "").split()[-1]
        asked = urllib.request.Request(f"{url}/verify", json.dumps({"images": [tag]}).encode())
        asked.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            said = json.load(answer)
        process.kill()
    say("served", answer=said)
    command("serve", "--listen", "unix:socket", "--policy", "policy.toml")


def _pin(app: str) -> str:
    from notarypy import Client

    with Client.from_environment(first_use=True) as client:
        return client.offered_root(app).offered[0]


def side_by_side(reference: str) -> None:
    """Verify with clients of their own and one trust directory: files are replaced while others read them."""
    from notarypy import Client, NotarypyError

    errors: list[str] = []

    def verify() -> None:
        for _ in range(3):
            try:
                with Client.from_environment(first_use=True) as client:
                    client.verify(reference)
            except NotarypyError as error:
                errors.append("; ".join((repr(error), *error.why)))

    threads = [threading.Thread(target=verify) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    say("side by side", errors=errors)


def everything(home: Path) -> None:
    from notarypy.devserver import sample
    from notarypy.devserver.start import ServerOptions, running
    from notarypy.remote.http.transport import Exchange

    os.environ |= {"HOME": str(home), "NOTARYPY_FIRST_USE": "1"}
    os.environ["DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"] = "passphrase of the root"
    os.environ["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"] = "passphrase of others"
    os.chdir(home)
    imports()
    with running(None, ServerOptions(), clock=lambda: datetime.now(UTC)) as served:
        os.environ |= served.environment
        exchange = Exchange(served.fake, timeout=60)
        sample.push(exchange, "https://registry.test", "app", "1", sample.make("one"))
        session(served.registry, home)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    everything(Path(sys.argv[2]))
