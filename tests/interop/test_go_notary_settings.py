"""Which files and which server `notary` works with: as Go's, from the same options and the same file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from notarypy.errors import ConfigurationError
from notarypy.storage.settings.gosettings import load_as_go

if TYPE_CHECKING:
    from interop.harness.services import Endpoint
    from notarypy.storage.settings.settings import Settings

GUN, REACHED = "example.com/files", "https://localhost:1"
_DIRECTORY = re.compile(r"Using the following trust directory: ([^\"]*)")
_SERVER = re.compile(r"could not reach (\S+): ")
_CA = re.compile(r'could not read CA certificate "([^"]*)"')
# What our names for Go's options are.
_OURS = {"-d": "trust_dir", "-s": "server", "-c": "config", "--tlscacert": "tlscacert"}
_FULL = {"trust_dir": "in-file", "remote_server": {"url": REACHED}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with an empty `conf`; the working directory is another folder."""
    for name in ("home/.notary", "home/conf", "work"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def gos(home: Path, options: dict[str, str], *command: str) -> programs.Run:
    """Run Go notary with some options; where its files are it says in its log."""
    words = [word for pair in options.items() for word in pair]
    return programs.run(["notary", "-D", *words, *(command or ("list", GUN))], {"HOME": str(home)})


def ours(home: Path, options: dict[str, str]) -> Settings:
    return load_as_go({_OURS[name]: value for name, value in options.items()}, {"HOME": str(home)}, home)


def write(path: Path, content: object) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("place", ["home/.notary/config.json", "home/conf/other.json", ""])
@pytest.mark.parametrize(
    "content",
    [
        _FULL,
        {"TRUST_DIR": "upper", "Remote_Server": {"URL": REACHED}},
        {"trust_dir": "~", "remote_server": {"url": REACHED}},
        {"trust_dir": "~/below", "remote_server": {"url": REACHED}},
        {"remote_server": {"url": ""}},
        {"trust_dir": None, "remote_server": None, "trust_pinning": None},
        {},
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"-d": "of-option"},
        {"-d": "~/literal"},
        {"-d": ""},
        {"-s": "https://localhost:2"},
        {"-s": "", "-c": ""},
    ],
)
def test_the_same_directory_and_the_same_server(
    home: Path, place: str, content: object, options: dict[str, str]
) -> None:
    if place:
        write(home.parent / place, content)
    if "other" in place:
        if "-c" in options:
            options = {name: value for name, value in options.items() if name != "-c"}
        options = {**options, "-c": str(home / "conf" / "other.json")}
    done, found = gos(home, options), ours(home, options)
    directory, server = _DIRECTORY.search(done.stderr), _SERVER.search(done.stderr)
    assert directory is not None, done
    assert server is not None, done
    assert Path(directory[1]).absolute() == found.trust_dir
    assert server[1] == found.server_for("example.com")


@pytest.mark.parametrize("options", [{}, {"--tlscacert": "here.crt"}])
@pytest.mark.parametrize("server", [REACHED, ""])
def test_the_same_file_of_cas(home: Path, options: dict[str, str], server: str) -> None:
    write(home / "conf" / "c.json", {"remote_server": {"url": server, "root_ca": "ca.crt"}})
    options = {**options, "-c": "../home/conf/c.json"}
    done, found = gos(home, options), ours(home, options)
    ca = _CA.search(done.stdout)
    assert ca is not None, done
    files = found.tls_for(found.server_for("example.com").partition("://")[2], kind="notary")
    assert files.replace_ca is not None
    assert files.replace_ca.resolve() == Path(ca[1]).resolve()


REFUSED_BY_BOTH = {
    "not there": None,
    "empty": "",
    "no JSON": "{bad",
    "a list": "[]",
    "more after it": "{} more",
}


@pytest.mark.parametrize("content", REFUSED_BY_BOTH.values(), ids=REFUSED_BY_BOTH)
def test_what_both_refuse(home: Path, content: str | None) -> None:
    path = home / "conf" / "c.json"
    if content is not None:
        write(path, content)
    options = {"-c": str(path)}
    assert "error opening config file" in gos(home, options, "status", GUN).stdout
    gos(home, options, "version").expect(0)
    with pytest.raises(ConfigurationError) as raised:
        ours(home, options)
    assert raised.value.facts["config"] == str(path)


# The rows of the page on settings: what Go takes and ours refuses, by name.
STRICTER = {
    "a key that looks like pins": {"trust_pins": "a"},
    "a key twice": '{"trust_dir": "a", "trust_dir": "b"}',
    "a value of another kind": {"trust_dir": 5},
    "TLS unverified": {"remote_server": {"url": REACHED, "skipTLSVerify": True}},
    "http": {"remote_server": {"url": "http://server.test:4443"}},
    "half a pair": {"remote_server": {"tls_client_cert": "a.crt"}},
}


@pytest.mark.parametrize("content", STRICTER.values(), ids=STRICTER)
def test_what_go_takes_and_is_refused_here(home: Path, content: object) -> None:
    write(home / "conf" / "c.json", content)
    options = {"-c": str(home / "conf" / "c.json")}
    gos(home, options, "status", GUN).expect(0)
    with pytest.raises(ConfigurationError):
        ours(home, options)


def test_keys_that_there_are_not_are_left_out(home: Path) -> None:
    write(home / "conf" / "c.json", {**_FULL, "_comment": "a", "logging": {"level": "debug"}})
    options = {"-c": str(home / "conf" / "c.json")}
    done, found = gos(home, options), ours(home, options)
    server = _SERVER.search(done.stderr)
    assert server is not None
    assert server[1] == found.server_for("example.com")
    assert [place.partition(" ")[0] for place in found.unread] == ["_comment", "logging"]


def test_the_same_keys_in_toml(home: Path) -> None:
    write(home / "conf" / "c.toml", f'trust_dir = "in-file"\n[remote_server]\nurl = "{REACHED}"\n')
    options = {"-c": str(home / "conf" / "c.toml")}
    done, found = gos(home, options), ours(home, options)
    directory, server = _DIRECTORY.search(done.stderr), _SERVER.search(done.stderr)
    assert directory is not None
    assert server is not None
    assert (Path(directory[1]).absolute(), server[1]) == (found.trust_dir, found.server_for("example.com"))


def test_half_a_pair_of_the_file_and_the_other_half_as_an_option(home: Path) -> None:
    pair = {"tls_client_cert": "a.crt", "tls_client_key": "nosuch.key"}
    write(home / "conf" / "c.json", {"remote_server": {"url": REACHED, **pair}})
    options = {"-c": str(home / "conf" / "c.json")}
    done = gos(home, {**options, "--tlscert": __file__})
    files = load_as_go({"config": options["-c"], "tlscert": __file__}, {"HOME": str(home)}, home)
    assert files.tls_key is not None
    assert f"open {files.tls_key}: no such file" in done.stdout
    assert files.tls_cert == Path(__file__)


def test_what_go_refuses_and_is_taken_here(home: Path) -> None:
    for name, before in (("noext", b""), ("c.conf", b""), ("bom.json", b"\xef\xbb\xbf")):
        path = home / "conf" / name
        path.write_bytes(before + json.dumps(_FULL).encode())
        assert "error opening config file" in gos(home, {"-c": str(path)}).stdout
        assert ours(home, {"-c": str(path)}).trust_dir == Path.cwd() / "in-file"


@pytest.mark.parametrize("what", ["no folder", "no file"])
def test_a_folder_of_dockers_that_cannot_be_used_stops_nothing(
    home: Path, notary: Endpoint, what: str
) -> None:
    folder = home / ".docker" / "tls" / notary.host
    folder.parent.mkdir(parents=True)
    if what == "no folder":
        folder.write_text(what)
    else:
        folder.mkdir()
        (folder / "ca.crt").symlink_to("nowhere")
    store, words = {"HOME": str(home), "SSL_CERT_FILE": str(notary.ca)}, ["-s", notary.url, "list", GUN]
    for program in (["notary"], ["notarypy", "notary"]):
        for argv, env in ((words, store), (["--tlscacert", str(notary.ca), *words], {"HOME": str(home)})):
            said = programs.run([*program, *argv], env)
            assert "does not have trust data for" in said.text, said
            warned = said.text.count("warning: docker's certificates are left out: ")
            assert warned == (len(program) == 2 and env is store)
    programs.run(["notarypy", "--server", notary.url, "delegate", "list", GUN], store).expect(8)


def test_a_working_directory_that_is_gone_is_not_needed(home: Path) -> None:
    write(home / ".notary" / "config.json", {"trust_dir": str(home / "keys")})
    Path.cwd().rmdir()
    expected = gos(home, {}, "key", "list").stdout
    listed = programs.run(["notarypy", "notary", "key", "list"], {"HOME": str(home)}).expect(0)
    assert listed.stdout == expected


def test_an_empty_name_of_the_directory_is_not_the_working_directory(home: Path) -> None:
    write(home / ".notary" / "config.json", {"trust_dir": ""})
    directory = _DIRECTORY.search(gos(home, {}).stderr)
    assert directory is not None
    assert directory[1] == ""
    assert ours(home, {}).trust_dir == home / ".notary"


def test_without_a_home_keys_are_not_in_the_working_directory(home: Path) -> None:
    done = programs.run(["notary", "-D", "status", GUN], {})
    directory = _DIRECTORY.search(done.stderr)
    assert directory is not None
    assert directory[1] == ".notary"
    assert load_as_go({}, {}, home).trust_dir == home / ".notary"


def test_the_program_itself_says_what_is_wrong_with_the_file(home: Path) -> None:
    write(home / ".notary" / "config.json", "{bad")
    environment = {"HOME": str(home)}
    done = programs.run(["notarypy", "notary", "status", GUN], environment).expect(2)
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first == f"* fatal: error opening config file: {home}/.notary/config.json"
    assert any(line.startswith("  why: ") for line in rest)
    programs.run(["notarypy", "notary", "version"], environment).expect(0)
