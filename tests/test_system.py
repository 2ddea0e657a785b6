"""What differs between operating systems, as far as one system can tell of another."""

from __future__ import annotations

import errno
import ntpath
import os
import re
import socket
import time
from pathlib import Path

import pytest

from notarypy import files, system
from notarypy.errors import ConfigurationError, InvalidNameError, StorageError, UnreachableError, UsageError
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import VariableSource
from notarypy.keys.signers import pkcs11uri
from notarypy.remote.daemon import find_daemon
from notarypy.service.listening import Listener, place
from notarypy.storage.images.locations import source
from notarypy.storage.settings import servers
from notarypy.storage.trustdir import TrustDirectory

PACKAGE = Path(system.__file__).parent


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)


def test_one_module_alone_asks_which_system_this_is() -> None:
    modules = r"(?:import|from) +(?:fcntl|msvcrt|resource|termios|tty|pwd|grp|winreg)\b"
    calls = r"\b(?:sys\.platform|os\.(?:name|uname|get(?:e|res)?[ug]id|getgroups))\b"
    calls += r"|\bplatform\.(?:system|uname|machine|platform|release|version|win32_\w+)\("
    asks = re.compile(rf"^\s*{modules}|['\"](?:win32|nt)['\"]|{calls}", re.MULTILINE)
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, text in sources.items() if asks.search(text)] == ["system.py"]


@pytest.mark.usefixtures("windows")
def test_folders_on_windows_have_no_colon() -> None:
    assert system.folder_name("registry.test:5000/app") == "registry.test_5000/app"
    assert system.named_by("registry.test_5000/app") == "registry.test:5000/app"
    assert system.named_by("my_registry_5000/a_1") == "my_registry:5000/a_1"
    for same in ("registry.test/app_5000", "my_registry/app", "_5000/app", "app"):
        assert system.named_by(same) == same
    found = servers.folders([Path("certs.d")], "registry.test:5000")
    assert found == [Path("certs.d/registry.test_5000"), Path("certs.d/registry.test5000")]


def test_on_windows_no_folder_is_for_all_users() -> None:
    assert system.machine_folders("docker") == (Path("/etc/docker"),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "WINDOWS", True)
        patch.setenv("PROGRAMDATA", r"C:\ProgramData")
        assert system.machine_folders("containers", "docker") == ()


@pytest.mark.parametrize("name", ["nul", "CON", "aux.1", "com1.json", "lpt\xb2", "prn .x", "app.", "app "])
def test_names_that_windows_takes_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    trust, path = TrustDirectory(tmp_path), tmp_path / name / "file"
    files.write_atomic(path, b"x")
    trust.repository(f"registry.test/{name}/app")
    monkeypatch.setattr(system, "WINDOWS", True)
    with pytest.raises(InvalidNameError, match="cannot be a repository name here") as caught:
        trust.repository(f"registry.test/{name}/app")
    assert f'"{name}"' in caught.value.why[0]
    for call in (
        lambda: files.write_atomic(path, b"y"),
        lambda: files.read_regular(path, 9),
        lambda: files.make_private_directory(path.parent),
        lambda: files.locked(path, 0).__enter__(),
    ):
        with pytest.raises(StorageError) as refused:
            call()
        assert f'"{name}"' in refused.value.why[0]
    assert path.read_bytes() == b"x"


def test_other_names_are_as_good_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    for name in ("nulls", "console.x", "com", "com10", ".app", r"..\a\.\b", "C:/a b/c.d", "a_con/b.nul"):
        assert system.name_problem(name) == ""


def test_elsewhere_folders_are_called_as_they_are() -> None:
    assert system.folder_name("registry.test:5000/app") == "registry.test:5000/app"
    assert system.named_by("registry.test_5000/app") == "registry.test_5000/app"
    assert servers.folders([Path("certs.d")], "registry.test:5000") == [Path("certs.d/registry.test:5000")]


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        (r"oci:C:\images\app", r"C:\images\app", None),
        (r"oci:C:\images\app:1.0", r"C:\images\app", "1.0"),
        ("oci-archive:d:/app.tar:app:1", "d:/app.tar", "app:1"),
        ("oci:layout:1", "layout", "1"),
        ("oci:c:1", "c", "1"),  # a directory of one letter is no drive
    ],
)
@pytest.mark.usefixtures("windows")
def test_a_drive_belongs_to_a_path(text: str, path: str, name: str | None) -> None:
    found = source(text)
    assert (str(found.path), found.name) == (path, name)
    assert str(found) == text


def test_elsewhere_there_are_no_drives() -> None:
    found = source("oci:C:1")
    assert (str(found.path), found.name) == ("C", "1")


@pytest.mark.usefixtures("windows")
def test_what_somebody_has_open_is_replaced_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"new")
    busy, replace, slept = [32, 5], os.replace, list[float]()

    def refusing(source: Path, target: Path) -> None:
        if busy:
            error = PermissionError(errno.EACCES, "in use")
            error.winerror = busy.pop()  # type: ignore[attr-defined]  # which Windows has
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(time, "sleep", slept.append)
    system.replace(one, other)
    assert (other.read_bytes(), len(slept)) == (b"new", 2)
    with pytest.raises(FileNotFoundError):  # that is no matter of patience
        system.replace(one, other)
    assert len(slept) == 2


def test_patience_has_an_end_and_elsewhere_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def refuse(source: Path, _: Path) -> None:
        tried.append(source)
        error = PermissionError(errno.EACCES, "in use")
        error.winerror = 32  # type: ignore[attr-defined]  # as above
        raise error

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        system.replace(tmp_path, tmp_path)
    assert len(tried) == 1
    moments = iter(range(1000))
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(moments)))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(PermissionError):
        system.replace(tmp_path, tmp_path)
    assert 1 < len(tried) < 10


def test_a_module_for_tokens_may_be_on_a_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        pkcs11uri.parse("pkcs11:object=a?module-path=C:/x.dll")
    monkeypatch.setattr(os.path, "isabs", ntpath.isabs)
    assert pkcs11uri.parse("pkcs11:object=a?module-path=C:%5Cx.dll").get("module-path") == r"C:\x.dll"


@pytest.mark.usefixtures("windows")
def test_variables_on_windows_are_in_capitals() -> None:
    found = VariableSource({"NOTARYPY_PASSPHRASE_79A8049": "x"}, lambda _: "NOTARYPY_PASSPHRASE_79a8049")
    assert found.get(PassphraseRequest("79a8049" + 57 * "0", "targets")) == "x"


def test_a_link_keeps_its_date_where_a_system_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"")
    link.symlink_to(file)
    system.set_date(link, 1000)
    assert (link.lstat().st_mtime, file.stat().st_mtime == 1000) == (1000, False)
    monkeypatch.setattr(os, "supports_follow_symlinks", set())
    system.set_date(file, 2000)
    assert file.stat().st_mtime == 2000


def test_without_unix_sockets_there_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(OSError, match="no unix sockets"):
        system.unix_socket()
    with pytest.raises(ConfigurationError) as caught:
        Listener(place(f"unix:{tmp_path}/socket"), tls=False)
    assert caught.value.why == ("this system has no unix sockets",)
    with pytest.raises(UnreachableError):
        find_daemon({}, tmp_path)
