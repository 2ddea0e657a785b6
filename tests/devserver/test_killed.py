"""Processes: what SIGKILL leaves, and what Ctrl-C leaves."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support.fakes import verify_repository
from support.served import Line, devserver, now

if TYPE_CHECKING:
    from pathlib import Path

    from support.served import Process
    from support.uploads import Desk

pytestmark = pytest.mark.slow

PUBLISHERS, EACH = 4, 50


class Publisher:
    """Publishes one repository again and again, and remembers what was acknowledged."""

    def __init__(self, number: int) -> None:
        self.gun = f"localhost/app{number}"
        self.desk: Desk | None = None
        self.acknowledged = 0

    def work(self, server: Process, count: itertools.count[int], enough: threading.Event) -> None:
        """Publish until everything is done, or the server is gone."""
        with Line(server.notary, server.authority) as line:
            try:
                while self.acknowledged < EACH:
                    self._publish(line)
                    if next(count) == PUBLISHERS * EACH // 2:
                        enough.set()
            except (OSError, http.client.HTTPException):
                return

    def _publish(self, line: Line) -> None:
        if self.desk is None:
            desk = line.desk(self.gun)
            assert desk.post(desk.author.files()).status == 200
            self.desk = desk
        else:
            self.desk.use(line.send)
            self.desk.author.bump()
            assert self.desk.post(self.desk.author.files("targets")).status == 200
        self.acknowledged += 1

    def resume(self, line: Line) -> int:
        """Look at what the server has now, take it up, and return its version."""
        assert self.desk is not None
        self.desk.use(line.send)
        served = verify_repository(self.desk.get, self.gun, now())
        version = served.targets["targets"].version
        self.desk.author.targets["targets"] = served.targets["targets"]
        return version


def run(publishers: list[Publisher], server: Process, *, kill: bool) -> None:
    enough, count = threading.Event(), itertools.count(1)
    threads = [threading.Thread(target=each.work, args=(server, count, enough)) for each in publishers]
    for thread in threads:
        thread.start()
    if kill:
        assert enough.wait(60)
        server.process.kill()
    for thread in threads:
        thread.join()


def test_sigkill_loses_no_acknowledged_publish(tmp_path: Path) -> None:
    publishers = [Publisher(number) for number in range(PUBLISHERS)]
    with devserver(tmp_path / "data") as server:
        run(publishers, server, kill=True)
        ports = server.notary, server.registry
    assert PUBLISHERS * EACH // 2 <= sum(each.acknowledged for each in publishers) < PUBLISHERS * EACH
    with devserver(tmp_path / "data") as server:
        assert (server.notary, server.registry) == ports
        with server.line() as line:
            for each in publishers:
                version = each.resume(line)
                # The very last one may have been stored and its answer killed.
                assert version - each.acknowledged in (0, 1)
                each.acknowledged = version
        run(publishers, server, kill=False)
        with server.line() as line:
            assert [each.resume(line) for each in publishers] == [EACH] * PUBLISHERS
        assert server.stop() == (0, server_warning())


def server_warning() -> str:
    return "notarypy: warning: these servers are for development: their keys are not protected\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_end_in_order_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    data, temporary = tmp_path / "data", tmp_path / "temporary"
    temporary.mkdir()
    with devserver(data, TMPDIR=str(temporary)) as server:
        with server.line() as idle:
            idle.ask("GET", "/v2/")
            assert server.stop(number) == (0, server_warning())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(server.notary.partition(":")[2])), 1)
    assert not list(temporary.iterdir())
    kept = {"ca.crt", "env", "docker", "lock", "server.pem", "ports.json"}
    assert {path.name for path in data.iterdir()} == kept | {"notary.sqlite", "registry.sqlite"}


def test_what_is_printed_is_what_a_shell_has_to_know(tmp_path: Path) -> None:
    with devserver(tmp_path / "a b") as server:
        exported = (tmp_path / "a b" / "env").read_text()
        assert exported == (
            f"export DOCKER_CONTENT_TRUST_SERVER=https://{server.notary}\n"
            f"export DOCKER_CONFIG='{tmp_path}/a b/docker'\n"
        )
        assert exported in server.head
        assert f"# In other shells: . '{tmp_path}/a b/env'\n" in server.head


def test_ctrl_c_ends_the_demonstration_and_all_that_it_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "notarypy", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("$ notarypy init"):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "interrupted [interrupted]" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
