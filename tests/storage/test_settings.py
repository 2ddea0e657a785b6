from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import Advice, ConfigurationError, InvalidNameError
from notarypy.storage.settings import settings
from notarypy.storage.settings.policyfile import Pins, PolicyFile
from notarypy.storage.settings.settings import RegistrySettings, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable

    Loader = Callable[..., Settings]

PIN, OTHER, THIRD = "a" * 64, "b" * 64, "c" * 64
A, B = "https://a.corp", "https://b.corp"


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    """Load settings in a home of their own: options by keyword, then environment and file."""

    def do(environ: dict[str, str] | None = None, file: str | None = None, **flags: object) -> Settings:
        if file is not None:
            path = tmp_path / ".config" / "notarypy" / "config.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)
        return load(flags, environ or {}, tmp_path, system_certs=(tmp_path / "certs.d",))

    return do


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


# directories


def test_defaults_are_those_of_docker(loaded: Loader, tmp_path: Path) -> None:
    found = loaded()
    assert found.trust_dir == tmp_path / ".docker" / "trust"
    assert found.docker_config == tmp_path / ".docker"
    assert (found.timeout, found.retry_for, found.offline) == (60.0, 60.0, False)
    assert (found.server, found.passphrase_file, found.insecure_registries) == (None, None, frozenset())
    assert list(tmp_path.iterdir()) == []


def test_the_trust_directory_is_option_then_environment_then_file(loaded: Loader, tmp_path: Path) -> None:
    file, environ = 'trust_dir = "/file"', {"DOCKER_CONFIG": "/docker"}
    assert loaded(file=file).trust_dir == Path("/file")
    assert loaded(environ, file).trust_dir == Path("/docker/trust")
    assert loaded(environ, file, trust_dir="/option").trust_dir == Path("/option")
    assert loaded({"DOCKER_CONFIG": ""}, "").trust_dir == tmp_path / ".docker" / "trust"


def test_relative_paths_are_fixed_at_once(loaded: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    found = loaded({"DOCKER_CONFIG": "d"}, trust_dir="t", tlscacert="ca", passphrase_file="p")
    paths = (found.docker_config, found.trust_dir, found.tls_ca, found.passphrase_file)
    assert paths == tuple(Path("/tmp") / name for name in ("d", "t", "ca", "p"))


def test_the_default_file_moves_with_the_environment(loaded: Loader, tmp_path: Path) -> None:
    path = put(tmp_path / "xdg" / "notarypy" / "config.toml")
    path.write_text("timeout = 7")
    assert loaded({"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).timeout == 7.0
    assert loaded({"XDG_CONFIG_HOME": "relative"}, "timeout = 8").timeout == 8.0


def test_a_named_file_replaces_the_default_one(loaded: Loader, tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('{"remote_server": {"url": "https://a.corp"}}')
    found = loaded(None, "timeout = 7", config=tmp_path / "my.json")
    assert (found.timeout, found.server_for("docker.io")) == (60.0, A)
    with pytest.raises(ConfigurationError, match="--config names no file"):
        loaded(config=tmp_path / "none.toml")


def test_an_unusable_default_file_is_not_ignored(loaded: Loader, tmp_path: Path) -> None:
    (tmp_path / ".config" / "notarypy" / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigurationError):
        loaded()


# options


@pytest.mark.parametrize("name", ["server", "trust_dir", "config", "tlscacert", "passphrase_file", "policy"])
def test_an_empty_option_is_a_mistake(loaded: Loader, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--{name.replace('_', '-')} is empty"):
        loaded(**{name: ""})


def test_an_unknown_option_is_a_programmers_mistake(loaded: Loader) -> None:
    with pytest.raises(TypeError, match="tls_ca"):
        loaded(tls_ca="x")
    with pytest.raises(TypeError, match="sequence"):
        loaded(insecure_registry="a.corp")
    assert loaded(server=None, timeout=None) == loaded()


def test_times_come_from_option_or_file(loaded: Loader) -> None:
    file = "timeout = 7\nretry_for = 0"
    assert (loaded(file=file).timeout, loaded(file=file).retry_for) == (7.0, 0.0)
    found = loaded(file=file, timeout=1, retry_for=2.5)
    assert (found.timeout, found.retry_for) == (1.0, 2.5)
    found = loaded(file=file, timeout="0.5", retry_for="2m")
    assert (found.timeout, found.retry_for) == (0.5, 120.0)
    found = loaded(file='timeout = "90s"\nretry_for = "1h"')
    assert (found.timeout, found.retry_for) == (90.0, 3600.0)
    for bad in (0, -1, float("nan"), float("inf"), "10 s", "inf", "0s", True):
        with pytest.raises(ConfigurationError, match="--timeout cannot be used"):
            loaded(timeout=bad)
    for bad in (0, -1, float("nan"), float("inf"), "10 s", "0s", True):
        with pytest.raises(ConfigurationError, match=r"timeout in .*config\.toml cannot be used"):
            loaded(file=f"timeout = {bad!r}" if isinstance(bad, str) else f"timeout = {bad}".lower())


def test_a_time_that_is_too_long_is_told_with_the_limit(loaded: Loader) -> None:
    for bad in ("1y", "9999999y", 10**400):
        with pytest.raises(ConfigurationError) as caught:
            loaded(retry_for=bad)
        assert "too long" in caught.value.why[0]
        assert caught.value.advice == Advice("write-shorter-span", most="1000000 seconds")
    with pytest.raises(ConfigurationError) as caught:
        loaded(file="timeout = true")
    assert caught.value.why == ("true is not a number of seconds, and no span of time",)


def test_the_environment_is_kept_but_not_shown(loaded: Loader) -> None:
    found = loaded({"NOTARY_AUTH": "s3cret"})
    assert found.environ["NOTARY_AUTH"] == "s3cret"
    assert "s3cret" not in repr(found)


# servers


def test_the_server_is_option_then_environment_then_file_then_registry(loaded: Loader) -> None:
    file = f'[registry."harbor.corp"]\nserver = "{A}"\n[registry."x.corp"]\nroot = ["{PIN}"]'
    environ = {"DOCKER_CONTENT_TRUST_SERVER": "https://env.corp:443/"}
    assert loaded().server_for("harbor.corp") == "https://harbor.corp"
    assert loaded(file=file).server_for("harbor.corp") == A
    assert loaded(file=file).server_for("Harbor.corp") == A
    assert loaded(file=file).server_for("x.corp") == "https://x.corp"
    assert loaded(environ, file).server_for("harbor.corp") == "https://env.corp"
    assert loaded(environ, file, server=B).server_for("harbor.corp") == B
    assert loaded({"DOCKER_CONTENT_TRUST_SERVER": ""}, file).server_for("harbor.corp") == A


def test_the_rest_of_the_registries_have_a_table_too(loaded: Loader) -> None:
    found = loaded(file=f'[registry."*"]\nserver = "{A}"\n[registry."b.corp"]\nserver = "{B}"\n[registry.c]')
    assert [found.server_for(host) for host in ("b.corp", "c", "docker.io")] == [B, A, A]


def test_a_table_counts_for_every_spelling_and_first_for_its_own(loaded: Loader) -> None:
    pins = {"r.corp:443": "a" * 64, "r.corp": "b" * 64}
    found = loaded(file="".join(f'[registry."{host}"]\nroot = ["{pin}"]\n' for host, pin in pins.items()))
    for host, pin in {**pins, "R.corp": "b" * 64, "r.corp:0443": "a" * 64}.items():
        counts = found.pins_for(host, f"{host}/app")
        assert counts is not None
        assert counts.ids == (pin,)


@pytest.mark.parametrize(
    ("registry", "server"),
    [
        ("docker.io", settings.DOCKER_HUB_SERVER),
        ("harbor.corp:8443", "https://harbor.corp:8443"),
        ("harbor.corp:443", "https://harbor.corp"),
        ("localhost:5000", "https://localhost:5000"),
        ("[::1]:5000", "https://[::1]:5000"),
    ],
)
def test_the_default_server_is_the_registrys_host(loaded: Loader, registry: str, server: str) -> None:
    assert loaded().server_for(registry) == server


def test_a_server_must_be_https_or_loopback(loaded: Loader) -> None:
    assert loaded(server="http://localhost:4443").server_for("x") == "http://localhost:4443"
    with pytest.raises(ConfigurationError, match="--server"):
        loaded(server="http://notary.corp")
    with pytest.raises(ConfigurationError, match="DOCKER_CONTENT_TRUST_SERVER"):
        loaded({"DOCKER_CONTENT_TRUST_SERVER": "http://notary.corp"})


@pytest.mark.parametrize("host", ["", "not a host", "a/b"])
def test_without_a_registry_a_server_must_be_named(loaded: Loader, host: str) -> None:
    with pytest.raises(ConfigurationError, match="no Notary server is known") as caught:
        loaded().server_for(host)
    assert "--server" in advice(caught.value)
    assert loaded(server=A).server_for(host) == A


# pins


def pinned(settings: Settings, host: str, gun: str = "") -> tuple[str, ...]:
    """Return the ids that are configured for a repository."""
    found = settings.pins_for(host, gun)
    return found.ids if found else ()


def test_the_most_specific_pin_counts(loaded: Loader) -> None:
    found = loaded(file=f'[registry."*"]\nroot = ["{PIN}"]\n[registry."b.corp"]\nroot = ["{OTHER}"]')
    assert pinned(found, "x.corp") == (PIN,)
    assert pinned(found, "b.corp", "b.corp/app") == (OTHER,)
    assert loaded(file="").pins_for("x.corp") is None


def test_pins_by_gun_match_as_a_whole_or_by_their_beginning() -> None:
    pins = {"r/a": (PIN,), "r/*": (OTHER,), "r/b*": (THIRD,)}
    found = Settings(Path("/t"), Path("/d"), gun_pins=pins)
    assert [pinned(found, "r", gun) for gun in ("r/a", "r/x", "r/bc", "s/a")] == [
        (PIN,),
        (OTHER,),
        (THIRD,),
        (),
    ]


def test_go_notarys_pins_go_before_those_of_a_registry() -> None:
    tables = {"r": RegistrySettings(root=(PIN,))}
    found = Settings(
        Path("/t"),
        Path("/d"),
        registries=tables,
        gun_pins={"r/a": (OTHER,)},
        gun_authorities={"r/b": Path("/ca")},
    )
    assert pinned(found, "r", "r/a") == (OTHER,)
    assert found.pins_for("r", "r/b/c") == Pins(ca=Path("/ca"), source='trust_pinning.ca."r/b"')
    assert pinned(found, "r", "r/c") == (PIN,)


# trust policy


def test_the_policy_is_at_its_usual_place_unless_one_is_named(loaded: Loader, tmp_path: Path) -> None:
    usual = tmp_path / ".config" / "notarypy" / "policy.toml"
    assert loaded().policy == PolicyFile(usual, tmp_path, named=False)
    assert loaded(policy="/p.toml").policy == PolicyFile(Path("/p.toml"), tmp_path, named=True)
    moved = loaded({"XDG_CONFIG_HOME": "/xdg"}).policy
    assert moved == PolicyFile(Path("/xdg/notarypy/policy.toml"), tmp_path, named=False)
    assert Settings(Path("/t"), Path("/d")).policy is None


# TLS


def test_notary_and_registry_have_folders_of_their_own(loaded: Loader, tmp_path: Path) -> None:
    notary = put(tmp_path / ".docker" / "tls" / "h:5000" / "a.crt")
    places = [
        tmp_path / "certs.d",
        tmp_path / ".config" / "containers" / "certs.d",
        tmp_path / ".config" / "docker" / "certs.d",
        tmp_path / ".docker" / "certs.d",
    ]
    registry = tuple(put(place / "h:5000" / "a.crt") for place in places)
    assert loaded().tls_for("h:5000", kind="notary").extra_ca == (notary,)
    assert loaded().tls_for("h:5000", kind="registry").extra_ca == registry


def test_options_count_for_notary_servers_only(loaded: Loader, tmp_path: Path) -> None:
    ca, cert, key = (put(tmp_path / name) for name in ("ca", "cert", "key"))
    found = loaded(tlscacert=ca, tlscert=str(cert), tlskey=key)
    notary, registry = found.tls_for("h", kind="notary"), found.tls_for("h", kind="registry")
    assert (notary.replace_ca, notary.client_cert, notary.client_key) == (ca, cert, key)
    assert (registry.replace_ca, registry.client_cert, registry.client_key) == (None, None, None)


def test_half_a_client_pair_is_refused(loaded: Loader) -> None:
    for name in ("tlscert", "tlskey"):
        with pytest.raises(ConfigurationError, match="go together"):
            loaded(**{name: "x"})


def test_a_client_pair_may_come_from_the_file(loaded: Loader, tmp_path: Path) -> None:
    path = put(tmp_path / "go.json")
    path.write_text('{"remote_server": {"tls_client_cert": "c", "tls_client_key": "k"}}')
    found = loaded(config=path).tls_for("h", kind="notary")
    assert (found.client_cert, found.client_key) == (tmp_path / "c", tmp_path / "k")
    found = loaded(config=path, tlscert="/c", tlskey="/k").tls_for("h", kind="notary")
    assert (found.client_cert, found.client_key) == (Path("/c"), Path("/k"))


def test_one_of_a_client_pair_may_be_an_option_and_the_other_in_the_file(
    loaded: Loader, tmp_path: Path
) -> None:
    path = put(tmp_path / "go.json")
    path.write_text('{"remote_server": {"tls_client_cert": "c", "tls_client_key": "k"}}')
    found = loaded(config=path, tlscert="/c").tls_for("h", kind="notary")
    assert (found.client_cert, found.client_key) == (Path("/c"), tmp_path / "k")
    for mine, its, option in (("cert", "key", "tlskey"), ("key", "cert", "tlscert")):
        path.write_text(f'{{"remote_server": {{"tls_client_{mine}": "x"}}}}')
        files = loaded(config=path, **{option: "/o"}).tls_for("h", kind="notary")
        assert {f"{one}" for one in (files.client_cert, files.client_key)} == {f"{tmp_path / 'x'}", "/o"}
        assert getattr(files, f"client_{its}") == Path("/o")
        with pytest.raises(ConfigurationError, match=f"tls_client_{mine} in {path}") as caught:
            loaded(config=path)
        assert "go together" in caught.value.why[0]


def ca_for(found: Settings, host_port: str) -> Path | None:
    return found.tls_for(host_port, kind="notary").replace_ca


def test_a_configured_ca_replaces_the_store_for_its_own_server(loaded: Loader) -> None:
    found = loaded(
        file=f"""
        [registry."a.corp"]
        server = "{A}:4443"
        ca = "/a.pem"
        [registry."b.corp"]
        ca = "/b.pem"
        [registry."c.corp"]
        server = "https://c.corp"
        [registry."*"]
        ca = "/rest.pem"
        """
    )
    assert ca_for(found, "a.corp:4443") == Path("/a.pem")
    assert ca_for(found, "b.corp:443") == ca_for(found, "b.corp") == Path("/b.pem")
    assert ca_for(found, "c.corp:443") is None
    assert ca_for(found, "d.corp:443") == ca_for(found, "a.corp:443") == Path("/rest.pem")


def test_the_ca_of_the_one_server_does_not_count_for_another(loaded: Loader, tmp_path: Path) -> None:
    path = put(tmp_path / "go.json")
    path.write_text(f'{{"remote_server": {{"url": "{A}:4443", "root_ca": "/ca"}}}}')
    assert ca_for(loaded(config=path), "a.corp:4443") == Path("/ca")
    assert ca_for(loaded(config=path), "a.corp:443") is None
    # As in Go: the option changes the server, not its CA.
    assert ca_for(loaded(config=path, server=B), "b.corp:443") == Path("/ca")
    assert ca_for(loaded(config=path, tlscacert="/option"), "a.corp:4443") == Path("/option")


# registries


def test_only_a_loopback_registry_is_asked_over_http_first(loaded: Loader, tmp_path: Path) -> None:
    found = loaded(insecure_registry=["plain.corp:5000", "LOCALHOST:6000"])
    hosts = ("reg.corp", "reg.corp:80", "localhost:5000", "[::1]:5000", "127.0.0.1", "localhost:443")
    assert [found.schemes_for(host)[0] for host in hosts] == [
        "https",
        "https",
        "http",
        "http",
        "https",
        "https",
    ]
    assert found.schemes_for("reg.corp:5000") == ("https",)
    assert found.schemes_for("plain.corp:5000") == ("https", "http")
    assert found.schemes_for("Plain.corp:5000") == ("https", "http")
    put(tmp_path / "certs.d" / "localhost:5000" / "ca.crt")
    put(tmp_path / "certs.d" / "localhost:6000" / "ca.crt")
    assert found.schemes_for("localhost:5000") == ("https",)
    assert found.schemes_for("localhost:6000") == ("http", "https")


def test_insecure_registries_add_up_and_are_checked(loaded: Loader) -> None:
    file = 'insecure_registries = ["a.corp", "index.docker.io"]'
    found = loaded(None, file, insecure_registry=("b.corp:5000",))
    assert found.insecure_registries == {"a.corp", "docker.io", "b.corp:5000"}
    with pytest.raises(InvalidNameError, match="not a registry"):
        loaded(insecure_registry=["http://a.corp"])


@pytest.mark.parametrize(
    ("environ", "file", "flags", "found"),
    [
        ({}, "", {}, None),
        ({}, "", {"first_use": False}, None),
        ({}, "", {"first_use": True}, True),
        ({"NOTARYPY_FIRST_USE": "1"}, "", {}, True),
        ({"NOTARYPY_FIRST_USE": "Yes"}, "first_use = false", {}, True),
        ({"NOTARYPY_FIRST_USE": "0"}, "", {}, None),
        ({"NOTARYPY_FIRST_USE": "0"}, "first_use = true", {}, True),
        ({"NOTARYPY_FIRST_USE": ""}, "first_use = false", {}, None),
    ],
)
def test_first_use_is_allowed_by_whoever_says_so(
    loaded: Loader, environ: dict[str, str], file: str, flags: dict[str, object], found: bool | None
) -> None:
    assert loaded(environ, file, **flags).first_use is found


@pytest.mark.parametrize("disabled", [True, "true", "1"])
def test_first_use_is_forbidden_by_a_file_whatever_allows_it(
    loaded: Loader, tmp_path: Path, disabled: object
) -> None:
    path = put(tmp_path / "notary.json")
    path.write_text(json.dumps({"trust_pinning": {"disable_tofu": disabled}}))
    allowed: dict[str, object] = {"first_use": True, "config": path}
    assert loaded({"NOTARYPY_FIRST_USE": "1"}, **allowed).first_use is False


def test_another_word_about_first_use_is_an_error(loaded: Loader) -> None:
    with pytest.raises(ConfigurationError, match="NOTARYPY_FIRST_USE is neither 1 nor 0"):
        loaded({"NOTARYPY_FIRST_USE": "perhaps"})
    with pytest.raises(ConfigurationError) as caught:
        loaded({}, "first_use = 'yes'")
    assert caught.value.why == ("it is neither true nor false",)


def test_settings_can_be_built_by_hand() -> None:
    found = Settings(Path("/t"), Path("/d"), registries={"*": RegistrySettings(server=A)})
    assert found.server_for("x") == A
    assert found.tls_for("x", kind="notary").searched[1:] == (
        "/d/tls/x (no *.crt)",
        "/d/tls/x:443 (no *.crt)",
    )


@pytest.mark.parametrize(
    ("flags", "environ", "source"),
    [
        ({"server": "https://n.example.com"}, {}, "--server"),
        ({}, {"DOCKER_CONTENT_TRUST_SERVER": "https://n.example.com"}, "DOCKER_CONTENT_TRUST_SERVER"),
        ({}, {}, "no setting"),
    ],
)
def test_the_log_says_by_what_a_server_is_named(
    flags: dict[str, str],
    environ: dict[str, str],
    source: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    settings.load(flags, environ, tmp_path).server_for("registry.example.com")
    assert f"(named by {source})" in caplog.text
