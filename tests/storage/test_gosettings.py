"""Settings as Go notary finds them: options, its file, its defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import ConfigurationError
from notarypy.storage.settings.gosettings import DEFAULT_SERVER, load_as_go

if TYPE_CHECKING:
    from notarypy.storage.settings.settings import Settings

GUN = "example.com/files"
PIN = "ab" * 32


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home; the working directory is another one."""
    found, work = tmp_path / "home", tmp_path / "work"
    found.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    return found


def write(path: Path, **values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def load(home: Path, **options: object) -> Settings:
    return load_as_go(options, {"HOME": str(home)}, home)


def server(settings: Settings) -> tuple[str, str]:
    return settings.server_for("example.com"), settings.server_source_for("example.com")


def test_without_anything_gos_defaults_count(home: Path) -> None:
    found = load(home)
    assert found.trust_dir == home / ".notary"
    assert server(found)[0] == DEFAULT_SERVER == "https://notary-server:4443"
    assert str(home / ".notary" / "config.json") in server(found)[1]
    assert found.first_use is True


def test_the_file_beats_the_defaults_and_options_beat_the_file(home: Path) -> None:
    remote = {"url": "https://file.test:1", "root_ca": "ca.crt"}
    write(home / ".notary" / "config.json", trust_dir="rel", remote_server=remote)
    found = load(home)
    assert found.trust_dir == Path.cwd() / "rel"
    assert server(found) == ("https://file.test:1", "server in the configuration file")
    tls = found.tls_for("file.test:1", kind="notary")
    assert tls.replace_ca == home / ".notary" / "ca.crt"
    found = load(home, server="https://option.test/", trust_dir="mine", tlscacert="own.crt")
    assert found.trust_dir == Path.cwd() / "mine"
    assert server(found) == ("https://option.test", "--server")
    assert found.tls_ca == Path.cwd() / "own.crt"


def test_the_ca_of_the_file_counts_for_the_server_of_an_option_too(home: Path) -> None:
    write(home / ".notary" / "config.json", remote_server={"url": "https://a.test", "root_ca": "ca.crt"})
    found = load(home, server="https://b.test")
    assert found.tls_for("b.test", kind="notary").replace_ca == home / ".notary" / "ca.crt"


def test_a_ca_without_a_server_counts_for_the_default_one(home: Path) -> None:
    write(home / ".notary" / "config.json", remote_server={"root_ca": "ca.crt"})
    found = load(home)
    assert server(found)[0] == DEFAULT_SERVER
    assert found.tls_for("notary-server:4443", kind="notary").replace_ca == home / ".notary" / "ca.crt"


@pytest.mark.parametrize(("text", "expected"), [("~", ""), ("~/x", "x")])
def test_the_home_is_meant_by_a_tilde_in_the_file_alone(home: Path, text: str, expected: str) -> None:
    config = write(home / "other.json", trust_dir=text)
    assert load(home, config=config).trust_dir == home / expected
    assert load(home, trust_dir=text).trust_dir == Path.cwd() / text


@pytest.mark.parametrize("option", ["config", "trust_dir", "server", "tlscacert", "tlscert", "tlskey"])
def test_an_empty_option_is_as_good_as_none(home: Path, option: str) -> None:
    write(home / ".notary" / "config.json", trust_dir="rel", remote_server={"url": "https://file.test"})
    found = load(home, **{option: ""})
    assert (found.trust_dir, server(found)[0]) == (Path.cwd() / "rel", "https://file.test")


def test_no_variable_of_dockers_counts(home: Path) -> None:
    environ = {
        "DOCKER_CONTENT_TRUST_SERVER": "https://docker.test",
        "DOCKER_CONFIG": str(home / "docker"),
        "NOTARY_TRUST_DIR": "/elsewhere",
    }
    found = load_as_go({}, environ, home)
    assert (found.trust_dir, server(found)[0]) == (home / ".notary", DEFAULT_SERVER)
    assert found.environ["DOCKER_CONFIG"] == str(home / "docker")


def test_values_of_null_and_empty_ones_are_left_out(home: Path) -> None:
    config = write(home / "c.json", trust_dir=None, remote_server={"url": ""}, trust_pinning=None)
    found = load(home, config=config)
    assert (found.trust_dir, server(found)[0]) == (home / ".notary", DEFAULT_SERVER)


def test_pins_count_and_first_use_can_be_forbidden(home: Path) -> None:
    pinning = {"certs": {GUN: [PIN]}, "disable_tofu": True}
    found = load(home, config=write(home / "c.json", trust_pinning=pinning), first_use=True)
    pins = found.pins_for("example.com", GUN)
    assert pins is not None
    assert pins.ids == (PIN,)
    assert found.first_use is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{bad",
        b"[]",
        b'{"trust_dir": 5}',
        b'{"trust_dir": "a", "trust_dir": "b"}',
        b'{"trust_dir": "a"} more',
        b'{"trust_pining": {}}',
        b'{"remote_server": {"skipTLSVerify": true}}',
        b'{"remote_server": {"tls_client_cert": "a.crt"}}',
        b'{"remote_server": {"url": "server:4443"}}',
        b'{"remote_server": {"url": "http://server:4443"}}',
        b'{"trust_pinning": {"certs": {"a": "b"}}}',
    ],
)
def test_a_file_that_cannot_be_used_stops_everything_and_is_named(home: Path, data: bytes) -> None:
    config = home / ".notary" / "config.json"
    config.parent.mkdir()
    config.write_bytes(data)
    with pytest.raises(ConfigurationError) as raised:
        load(home)
    assert raised.value.facts["config"] == str(config)
    assert str(config) in " ".join((raised.value.message, *raised.value.why))


def test_a_file_that_is_named_has_to_be_there(home: Path) -> None:
    for path in (home / "nosuch.json", home, home / "nosuch" / "c.json"):
        with pytest.raises(ConfigurationError) as raised:
            load(home, config=path)
        assert raised.value.facts["config"] == str(path)


def test_a_link_that_leads_nowhere_is_no_file_that_is_left_out(home: Path) -> None:
    config = home / ".notary" / "config.json"
    config.parent.mkdir()
    config.symlink_to(home / "nosuch")
    with pytest.raises(ConfigurationError):
        load(home)
