"""Databases for Notary servers: MariaDB and PostgreSQL, with the tables that notary-server asks for.

1. Data and socket are in a folder of their own under the system's temporary folder: sockets have short
   paths, and pytest's folders are long. No port is taken.
2. Neither database runs as root: root starts it in a user namespace, as somebody without rights there.
3. No client is needed: each server makes the tables itself while it starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Storage = dict[str, str]
"""The storage section of a Notary server."""

_MOMENTS = "created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, deleted_at TIMESTAMP NULL"
_TABLES = """
CREATE TABLE tuf_files (
  id {number} PRIMARY KEY, {moments}, gun VARCHAR(255) NOT NULL, role VARCHAR(255) NOT NULL,
  version INTEGER NOT NULL, data {bytes} NOT NULL, sha256 CHAR(64), UNIQUE (gun, role, version));

CREATE INDEX tuf_files_sha256 ON tuf_files (sha256);

CREATE TABLE changefeed (
  id {number} PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, gun VARCHAR(255) NOT NULL,
  version INTEGER NOT NULL, sha256 CHAR(64), category VARCHAR(20) NOT NULL);

CREATE INDEX changefeed_gun ON changefeed (gun);

"""
MARIADB_TABLES = _TABLES.format(number="INTEGER AUTO_INCREMENT", moments=_MOMENTS, bytes="LONGBLOB")
POSTGRES_TABLES = _TABLES.format(number="SERIAL", moments=_MOMENTS, bytes="BYTEA")


@contextlib.contextmanager
def mariadb(log: Path) -> Iterator[Storage]:
    """Run MariaDB, and yield what makes a Notary server use it.

    Raises:
        LookupError: mariadbd is not here.
        RuntimeError: It did not start; the log tells why.
    """
    server = Path(programs.find("mariadbd")).resolve()
    share = server.parents[1] / "share"
    with _folder() as folder:
        (folder / "data").mkdir()
        tables = MARIADB_TABLES.replace(";\n\n", ";\n").replace("\n  ", " ")  # one statement a line
        (folder / "tables.sql").write_text(f"CREATE DATABASE notary;\nUSE notary;\n{tables}")
        options = (
            *("--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 'socket'}"),
            *("--skip-networking", "--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0"),
            # Unpacked, it does not find these by itself; releases differ in where they are.
            *(f"--lc-messages-dir={file.parents[1]}" for file in share.glob("m*/english/errmsg.sys")),
            *(f"--character-sets-dir={file.parent}" for file in share.glob("m*/charsets/Index.xml")),
            f"--init-file={folder / 'tables.sql'}",
        )
        with _service([str(server), *options], log, lambda: _listens(folder / "socket")):
            yield {"backend": "mysql", "db_url": f"notary@unix({folder / 'socket'})/notary?parseTime=True"}


@contextlib.contextmanager
def postgresql(log: Path) -> Iterator[Storage]:
    """Run PostgreSQL, and yield what makes a Notary server use it.

    Raises:
        LookupError: postgres or initdb is not here.
        RuntimeError: It did not start; the log tells why.
    """
    server = _newest_postgresql()
    with _folder() as folder:
        data = folder / "data"
        made = ("-U", "notary", "-A", "trust", "--no-locale", "--encoding=UTF8", "--no-sync")
        _done([str(server / "initdb"), "-D", str(data), *made], log)
        _done([str(server / "postgres"), "--single", "-j", "-D", str(data), "postgres"], log, POSTGRES_TABLES)
        options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
        argv = [str(server / "postgres"), "-D", str(data), *options, "-c", "jit=off"]
        with _service(argv, log, lambda: "ready" in _text(data / "postmaster.pid")):
            yield {
                "backend": "postgres",
                "db_url": f"postgres://notary@/postgres?host={folder}&sslmode=disable",
            }


def _newest_postgresql() -> Path:
    """Return the folder of PostgreSQL's programs, which Debian puts on nobody's PATH."""
    roots = (programs.UNPACKED, Path("/usr"))
    found = [server.parent for root in roots for server in root.glob("lib/postgresql/*/bin/initdb")]
    if not found:
        raise LookupError("postgresql is not installed: run scripts/test, it brings what the tests need")
    return max(found, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="database-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _argv(argv: list[str]) -> list[str]:
    """Return what starts a program as somebody who is not root (rule 2)."""
    nobody = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    return [*nobody, *argv] if os.geteuid() == 0 else argv


def _service(argv: list[str], log: Path, ready: Callable[[], bool]) -> services.Service:
    return services.Service(_argv(argv), log, ready, {"LD_LIBRARY_PATH": programs.library_path()})


def _done(argv: list[str], log: Path, text: str = "") -> None:
    environment = {"PATH": programs.SEARCH_PATH, "LD_LIBRARY_PATH": programs.library_path()}
    with log.open("ab") as output:
        done = subprocess.run(
            _argv(argv), env=environment, input=text.encode(), stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed:\n{log.read_text()}")


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


KINDS = {"mariadb": mariadb, "postgresql": postgresql}


@contextlib.contextmanager
def two_servers(
    kind: str, directory: Path, authority: services.Authority
) -> Iterator[list[services.Endpoint]]:
    """Run a database of this kind, and two Notary servers over it that share a signer."""
    with contextlib.ExitStack() as running:
        signer = running.enter_context(services.notary_signer(directory, authority))
        storage = running.enter_context(KINDS[kind](directory / "database.log"))
        yield [
            running.enter_context(
                services.notary_server(directory / name, authority, trust_service=signer, storage=storage)
            )
            for name in ("first", "second")
        ]
