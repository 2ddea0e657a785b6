from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError
from notarypy.limits import DEFAULT
from notarypy.storage.settings import configfile
from notarypy.storage.settings.configfile import FileSettings, RegistrySettings

PIN = "0123456789abcdef" * 4
HOME = Path("/home/me")


def read(tmp_path: Path, content: object, name: str = "") -> FileSettings:
    path = tmp_path / (name or ("config.toml" if isinstance(content, str) else "config.json"))
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return configfile.read(path, HOME)


def refused(tmp_path: Path, content: object, name: str = "") -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, content, name)
    return " ".join((caught.value.message, *caught.value.why, advice(caught.value)))


# TOML


def test_reads_a_full_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"""
        trust_dir = "~/trust"
        timeout = 10
        retry_for = 2.5
        insecure_registries = ["reg.corp:5000"]
        [registry."Harbor.corp"]
        server = "https://notary.harbor.corp:4443/"
        ca = "ca.pem"
        root = ["{PIN.upper()}"]
        [registry."index.docker.io"]
        ca = "/etc/ca.pem"
        [registry."*"]
        root = ["{PIN}", "{PIN}"]
        """,
    )
    assert found == FileSettings(
        trust_dir=HOME / "trust",
        timeout=10.0,
        retry_for=2.5,
        insecure_registries=("reg.corp:5000",),
        registries={
            "harbor.corp": RegistrySettings("https://notary.harbor.corp:4443", tmp_path / "ca.pem", (PIN,)),
            "docker.io": RegistrySettings(ca=Path("/etc/ca.pem")),
            "*": RegistrySettings(root=(PIN, PIN)),
        },
    )


@pytest.mark.parametrize("content", ["", "# nothing", "[registry]"])
def test_an_empty_file_sets_nothing(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == FileSettings()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("trust-dir = 'x'", "no such key"),
        ("[registry.a]\nroots = []", "registry.a.roots"),
        ("[registry.a]\nroot = []", "names no root"),
        ("[registry.a]\nroot = ['abc']", "64 hex"),
        (f"[registry.a]\nroot = '{PIN}'", "list of texts"),
        (f"[registry.a]\nroot = ['{PIN}', 1]", "list of texts"),
        ("[registry.a]\nserver = 'http://a.corp'", "registry.a.server"),
        ("[registry.a]\nserver = ''", "empty"),
        ("[registry.a]\nserver = 1", "not a text"),
        ("[registry.a]\nca = ''", "empty"),
        ("[registry]\na = 1", "not a table"),
        ("registry = []", "not a table"),
        ("[registry.'https://a']", "host"),
        ("[registry.'a/b']", "host"),
        ("[registry.'docker.io']\n[registry.'index.docker.io']", "two tables"),
        ("timeout = 'x'", "number of seconds"),
        ("timeout = true", "number of seconds"),
        ("timeout = '5 s'", "number of seconds"),
        ("timeout = '5M'", "number of seconds"),
        ("timeout = '-5s'", "number of seconds"),
        ("timeout = 'nan'", "number of seconds"),
        ("timeout = -1", "too short"),
        ("timeout = nan", "number of seconds"),
        ("timeout = inf", "too long"),
        ("insecure_registries = 'a'", "list of texts"),
        ("a = ", "is not TOML"),
        ("a = 1\na = 2", "is not TOML"),
        ("a = " + "[" * 20_000, "is not TOML"),
    ],
)
def test_refuses_and_names_the_place(tmp_path: Path, content: str, part: str) -> None:
    text = refused(tmp_path, content)
    assert part in text
    assert str(tmp_path / "config.toml") in text


# Go notary's JSON


def test_reads_what_go_notary_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    found = read(
        tmp_path,
        {
            "Trust_Dir": "trust",
            "remote_server": {
                "URL": "https://notary.corp:443/",
                "root_ca": "root-ca.crt",
                "tls_client_cert": "~/c.pem",
                "tls_client_key": "/k.pem",
                "skipTLSVerify": False,
            },
            "trust_pinning": {
                "certs": {"reg.corp/A": [PIN], "reg.corp/*": [PIN]},
                "ca": {"reg.corp/Team": "pins/ca.pem", "": "/etc/ca.pem"},
                "disable_tofu": True,
            },
        },
    )
    assert found == FileSettings(
        trust_dir=Path("trust"),
        registries={"*": RegistrySettings("https://notary.corp", tmp_path / "root-ca.crt")},
        tls_cert=HOME / "c.pem",
        tls_key=Path("/k.pem"),
        gun_pins={"reg.corp/A": (PIN,), "reg.corp/a": (PIN,), "reg.corp/*": (PIN,)},
        gun_authorities={
            **dict.fromkeys(("reg.corp/Team", "reg.corp/team"), tmp_path / "pins" / "ca.pem"),
            "": Path("/etc/ca.pem"),
        },
        first_use=False,
    )


def test_a_pin_in_lower_case_counts_before_one_that_is_so_to_go_alone(tmp_path: Path) -> None:
    certs = {"reg.corp/a": ["1" * 64], "reg.corp/A": ["2" * 64]}
    found = read(tmp_path, {"trust_pinning": {"certs": certs}})
    assert found.gun_pins == {"reg.corp/a": ("1" * 64,), "reg.corp/A": ("2" * 64,)}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"remote_server": {}, "trust_pinning": {}},
        {"remote_server": {"url": "", "root_ca": "", "skipTLSVerify": ""}},
        {"remote_server": {"skipTLSVerify": "false"}, "trust_pinning": {"disable_tofu": "False", "ca": {}}},
        {"trust_dir": None},
    ],
)
def test_what_is_empty_or_off_sets_nothing(tmp_path: Path, content: object) -> None:
    assert read(tmp_path, content) == FileSettings()


@pytest.mark.parametrize("value", [True, "true", "TRUE", "1", 1, "yes", [], {}])
def test_unverified_tls_is_refused(tmp_path: Path, value: object) -> None:
    text = refused(tmp_path, {"remote_server": {"skipTLSVerify": value}})
    assert "always verified" in text
    assert "root_ca" in text


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"trust_pining": {}}, "no such key"),
        ({"remote_server": {"trustpinning": {}}}, "remote_server.trustpinning"),
        ({"disable_tofu": True}, "no such key"),
        ({"trust_pinning": {"cert": {}}}, "trust_pinning.cert"),
        ({"remote_server": []}, "not a table"),
        ({"remote_server": {"url": "http://notary.corp"}}, "is not https"),
        ({"remote_server": {"url": "u", "URL": "u"}}, "differ only in case"),
        ({"trust_pinning": {"ca": {"reg.corp/": ""}}}, "empty"),
        ({"trust_pinning": {"ca": {"reg.corp/": None}}}, "names no file"),
        ({"trust_pinning": {"ca": {"reg.corp/": ["ca.pem"]}}}, "not a text"),
        ({"trust_pinning": {"ca": "ca.pem"}}, "not a table"),
        ({"trust_pinning": {"certs": {"reg.corp/a": PIN}}}, "list of texts"),
        ({"trust_pinning": {"certs": {"reg.corp/a": []}}}, "names no root"),
        ({"trust_pinning": {"certs": {"reg.corp/a": ["abc"]}}}, "64 hex"),
        ([], "not a JSON object"),
    ],
)
def test_refuses_what_it_cannot_do(tmp_path: Path, content: object, part: str) -> None:
    text = refused(tmp_path, content)
    assert part in text
    assert str(tmp_path / "config.json") in text


def test_other_keys_of_gos_file_are_left_out_and_named(tmp_path: Path) -> None:
    content = {
        "logging": {"level": "debug"},
        "_comment": "x",
        "remote_server": {"rootca": "x", "root_ca": "y"},
    }
    found = read(tmp_path, content)
    place = f"in {tmp_path / 'config.json'}"
    assert found.unread == (f"logging {place}", f"_comment {place}", f"remote_server.rootca {place}")
    assert found.registries["*"].ca == tmp_path / "y"


@pytest.mark.parametrize("content", ["", "{", '{"a":1,"a":1}', "[" * 100_000])
def test_refuses_what_is_not_strict_json(tmp_path: Path, content: str) -> None:
    assert "is not JSON" in refused(tmp_path, content, "config.json")


# Go notary's keys in TOML


def test_toml_with_a_table_of_gos_is_gos_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    content = f"""
    trust_dir = "trust"
    other = 1
    [remote_server]
    url = "https://notary.corp"
    root_ca = "ca.pem"
    [trust_pinning.certs]
    "reg.corp/a" = ["{PIN}"]
    """
    found = read(tmp_path, content)
    assert found.trust_dir == Path("trust")
    assert found.registries == {"*": RegistrySettings("https://notary.corp", tmp_path / "ca.pem")}
    assert found.gun_pins == {"reg.corp/a": (PIN,)}
    assert found.unread == (f"other in {tmp_path / 'config.toml'}",)
    assert read(tmp_path, "[Trust_Pinning]\ndisable_tofu = true").first_use is False
    assert "no such key" in refused(tmp_path, "[trust_pining]\n")


@pytest.mark.parametrize("name", ["c.yaml", "c.yml"])
def test_yaml_is_refused_as_what_it_is_unless_it_is_json(tmp_path: Path, name: str) -> None:
    text = refused(tmp_path, "trust_dir: /t", name)
    assert "is YAML" in text
    assert "JSON" in text
    assert read(tmp_path, '{"trust_dir": "/t"}', name).trust_dir == Path("/t")


# files


def test_the_first_character_tells_the_format_where_the_name_does_not(tmp_path: Path) -> None:
    assert read(tmp_path, ' {"trust_dir": "/t"}', "conf").trust_dir == Path("/t")
    assert read(tmp_path, 'trust_dir = "/t"', "conf").trust_dir == Path("/t")


@pytest.mark.parametrize("name", ["config.toml", "config.json", "conf"])
def test_a_byte_order_mark_means_nothing(tmp_path: Path, name: str) -> None:
    text = 'trust_dir = "/t"' if name == "config.toml" else '{"trust_dir": "/t"}'
    assert read(tmp_path, f"\ufeff{text}", name).trust_dir == Path("/t")


def test_a_mounted_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("timeout = 1")
    (tmp_path / "config.toml").symlink_to("real")
    assert configfile.read(tmp_path / "config.toml", HOME).timeout == 1.0


def test_a_missing_file_is_told_apart_from_an_unusable_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        configfile.read(tmp_path / "config.toml", HOME)
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "directory.toml").mkdir()
    (tmp_path / "huge.toml").write_bytes(b" " * (DEFAULT.config_bytes + 1))
    (tmp_path / "latin.toml").write_bytes(b"a = '\xff'")
    for name in ("fifo", "directory", "huge", "latin"):
        with pytest.raises(ConfigurationError, match=name):
            configfile.read(tmp_path / f"{name}.toml", HOME)
