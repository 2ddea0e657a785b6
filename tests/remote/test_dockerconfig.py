from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError
from notarypy.remote.auth import dockerconfig
from notarypy.remote.auth.credentials import Credential, Keychain
from notarypy.remote.auth.dockerconfig import DockerAuthConfig, DockerConfig
from support.helpers import knowing, write_helper

HUB = "https://index.docker.io/v1/"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def login(user: str) -> dict[str, str]:
    return {"auth": encoded(f"{user}:pw")}


def config(folder: Path, document: object, *, podman: bool = False) -> DockerConfig:
    file = folder / "config.json"
    file.write_text(json.dumps(document))
    return DockerConfig(file, {"PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}"}, podman=podman)


def user(source: DockerConfig, host: str, path: str = "") -> str | None:
    found = source.get(host, path)
    return None if found is None else found.user


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write the helpers `one` and `two`; return where they write down what they are asked."""
    log = tmp_path / "log"
    log.touch()
    for name in ("one", "two"):
        known = {"h:5000": (f"of {name}", "s3cret"), HUB: ("hub", "s3cret"), "docker.io": ("pod", "s3cret")}
        write_helper(tmp_path / "bin", name, knowing(known, log))
    return log


# Entries


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("registry.corp", "registry.corp"),
        ("registry.corp:5000", "registry.corp:5000"),
        ("https://registry.corp", "registry.corp"),
        ("https://Registry.corp:443/v2/", "registry.corp"),
        ("http://registry.corp:5000/", "registry.corp:5000"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry.corp/v1/", "registry.corp"),
        ("https://registry.corp/team", "registry.corp"),
        ("registry.corp/team", "registry.corp"),
    ],
)
def test_auths_by_every_spelling(tmp_path: Path, written: str, asked: str) -> None:
    source = config(tmp_path, {"auths": {"other": login("x"), written: login("jo")}})
    assert source.get(asked) == Credential("jo", "pw", str(tmp_path / "config.json"))


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_a_file_with_nothing_in_it_has_no_logins(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    source = DockerConfig(tmp_path / "config.json")
    assert source.get("h") is None
    assert source.registry_headers() == {}


def test_no_other_host_is_served(tmp_path: Path) -> None:
    source = config(tmp_path, {"auths": {"registry.corp": login("jo")}})
    for host in ("registry.corp:5000", "corp", "evil.registry.corp", "registry.corp.evil", "docker.io"):
        assert source.get(host) is None


def test_plain_members_and_tokens(tmp_path: Path) -> None:
    auths = {
        "a": {"username": "jo", "password": "pw"},
        "b": {"auth": encoded("00000000:"), "identitytoken": "t0ken"},
        "c": {},
        "d": None,
        "e": {"registrytoken": "b3arer", "auth": encoded("jo:pw")},
        "f": {"username": "jo"},
        "g": {"auth": "", "password": None, "new": 5},
    }
    source = config(tmp_path, {"auths": auths})
    assert source.get("a") == Credential("jo", "pw", source.name)
    assert source.get("b") == Credential("00000000", "t0ken", source.name, "identity")
    assert source.get("e") == Credential("", "b3arer", source.name, "bearer")
    for host in "cdfg":
        assert source.get(host) is None


def test_the_plainest_key_wins_and_an_empty_entry_hides_nothing(tmp_path: Path) -> None:
    auths = {
        "https://a/v2/": login("url"),
        "a": login("plain"),
        "b": {"email": "jo@corp"},
        "https://b": login("url"),
        "docker.io": login("other"),
        HUB: login("hub"),
    }
    source = config(tmp_path, {"auths": auths})
    assert [user(source, host) for host in ("a", "b", "docker.io")] == ["plain", "url", "other"]
    assert user(
        config(tmp_path, {"auths": {"index.docker.io": login("x"), HUB: login("hub")}}), "docker.io"
    ) == ("hub")


NAMESPACES = {
    "quay.io": login("host"),
    "quay.io/team": login("team"),
    "quay.io/team/app": login("app"),
    "docker.io/library": login("library"),
}


@pytest.mark.parametrize("podman", [False, True])
@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("quay.io", "team/app", "app"),
        ("quay.io", "team/app/deep", "app"),
        ("quay.io", "team/other", "team"),
        ("quay.io", "team", "team"),
        ("quay.io", "teammate/app", "host"),
        ("quay.io", "", "host"),
        ("docker.io", "library/alpine", "library"),
        ("registry-1.docker.io", "library/alpine", "library"),
    ],
)
def test_the_most_specific_key_counts(
    tmp_path: Path, host: str, path: str, expected: str, *, podman: bool
) -> None:
    assert user(config(tmp_path, {"auths": NAMESPACES}, podman=podman), host, path) == expected


def test_a_key_with_a_namespace_alone(tmp_path: Path) -> None:
    document = {"auths": {"quay.io/team": login("team")}}
    assert user(config(tmp_path, document), "quay.io", "other/app") == "team"
    assert user(config(tmp_path, document, podman=True), "quay.io", "other/app") is None
    assert user(config(tmp_path, document), "quay.io:5000", "team/app") is None


# Helpers


@pytest.mark.parametrize(
    ("document", "expected", "asked"),
    [
        ({"credsStore": "one"}, "of one", ["get h:5000"]),
        ({"credHelpers": {"h:5000": "two"}}, "of two", ["get h:5000"]),
        ({"credHelpers": {"h:5000": "two"}, "credsStore": "one"}, "of two", ["get h:5000"]),
        ({"credHelpers": {"other": "two"}, "credsStore": "one"}, "of one", ["get h:5000"]),
        ({"credHelpers": {"https://H:5000/": "two"}}, "of two", ["get h:5000"]),
        ({"credHelpers": {"other": "two"}}, "file", []),
        ({"credHelpers": {"h:5000": ""}, "credsStore": "one"}, "file", []),
        ({"credHelpers": None, "credsStore": ""}, "file", []),
    ],
)
def test_which_helper_is_asked(
    tmp_path: Path, log: Path, document: dict[str, object], expected: str, asked: list[str]
) -> None:
    source = config(tmp_path, {"auths": {"h:5000": login("file")}, **document})
    assert user(source, "h:5000") == expected
    assert log.read_text().splitlines() == asked


def test_what_a_helper_does_not_know_may_be_in_the_file(tmp_path: Path, log: Path) -> None:
    source = config(tmp_path, {"credsStore": "one", "auths": {"g": login("file"), "h:5000": {}}})
    assert user(source, "g") == "file"
    assert user(source, "unknown") is None
    assert log.read_text().splitlines() == ["get g", "get unknown"]


@pytest.mark.parametrize(("podman", "server", "expected"), [(False, HUB, "hub"), (True, "docker.io", "pod")])
def test_docker_hub_has_its_own_name(
    tmp_path: Path, log: Path, server: str, expected: str, *, podman: bool
) -> None:
    key = "credHelpers" if podman else "credsStore"
    source = config(tmp_path, {key: {"docker.io": "one"} if podman else "one"}, podman=podman)
    found = Keychain([source]).find(["notary.docker.io", "index.docker.io", "docker.io"])
    assert found is not None
    assert found.user == expected
    assert user(source, "registry-1.docker.io") == expected
    assert log.read_text().splitlines() == [f"get {server}"]


def test_a_helper_is_asked_again_after_a_minute(tmp_path: Path, log: Path) -> None:
    now = [1000.0]
    (tmp_path / "config.json").write_text('{"credsStore": "one"}')
    environ = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}"}
    source = DockerConfig(tmp_path / "config.json", environ, monotonic=lambda: now[0])
    for seconds, count in ((0, 1), (59, 1), (2, 2)):
        now[0] += seconds
        assert user(source, "h:5000") == "of one"
        assert len(log.read_text().splitlines()) == count


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"credsStore": ["one"]}, '"credsStore" is not text'),
        ({"credsStore": 0}, '"credsStore" is not text'),
        ({"credHelpers": {"h": 1}}, '"h" in "credHelpers" is not text'),
        ({"credHelpers": {"other": []}}, '"other" in "credHelpers" is not text'),
        ({"credHelpers": ["one"]}, '"credHelpers" is not an object'),
        ({"credHelpers": []}, '"credHelpers" is not an object'),
        ({"auths": [1]}, '"auths" is not an object'),
        ({"auths": []}, '"auths" is not an object'),
        ({"auths": ""}, '"auths" is not an object'),
        ({"auths": {"h": "s3cret"}}, '"h" in "auths" is not an object'),
        ({"auths": {"other": []}}, '"other" in "auths" is not an object'),
        ({"auths": {"h": {"auth": ["s3cret"]}}}, '"auth" of "h" in "auths" is not text'),
        ({"auths": {"h": {"username": 5}}}, '"username" of "h" in "auths" is not text'),
    ],
)
def test_a_member_of_the_wrong_type_is_named(tmp_path: Path, document: object, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(tmp_path, document).get("h")
    assert str(tmp_path) in caught.value.message
    assert caught.value.why == (why,)
    assert advice(caught.value) == f"mend {tmp_path / 'config.json'}"


def test_unknown_members_and_empty_objects_are_none(tmp_path: Path) -> None:
    for document in (
        {"auths": {}, "credHelpers": {}, "credsStore": ""},
        {"auths": {"h": {}}, "plugins": [], "new": 1},
        {"auths": {"h": None}, "credHelpers": None, "credsStore": None},
        {"auths": {"h": {"new": ["x"], "email": 1}}, "credHelpers": {"other": None}},
    ):
        assert config(tmp_path, document).get("h") is None


def test_a_bad_helper_name_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(tmp_path, {"credsStore": "../../tmp/evil"}).get("h")
    assert str(tmp_path / "config.json") in caught.value.message


# The file itself


def test_what_runs_programs_is_loaded_only_for_a_helper(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"a": login("jo")}}))
    program = (
        "import sys; from pathlib import Path; from notarypy.remote.auth.dockerconfig import DockerConfig\n"
        "print(DockerConfig(Path(sys.argv[1])).get('a').user)\n"
        "print({'subprocess'} & set(sys.modules))\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "config.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "jo\nset()\n"


def test_nothing_is_read_before_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("broken")
    source = DockerConfig(tmp_path / "config.json")
    assert source.name == str(tmp_path / "config.json")
    with pytest.raises(ConfigurationError):
        source.get("a")


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("\ufeff" + json.dumps({"auths": {"a": login("jo")}}))
    assert user(DockerConfig(path), "a") == "jo"


def test_a_linked_config_is_read(tmp_path: Path) -> None:
    config(tmp_path, {"auths": {"a": login("jo")}})
    link = tmp_path / "link.json"
    link.symlink_to("config.json")
    assert user(DockerConfig(link), "a") == "jo"


def test_no_config_means_no_credentials(tmp_path: Path) -> None:
    assert DockerConfig(tmp_path / "none.json").get("a") is None
    assert config(tmp_path, {"auths": None}).get("a") is None


@pytest.mark.parametrize(
    "text",
    ["[]", '{"auths": [1]}', '{"auths": [', '{"auths": {"a": {"auth": "%"}}}', "\xff", "[" * 100_000],
)
def test_an_unusable_config_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        DockerConfig(tmp_path / "config.json").get("a")
    assert str(tmp_path) in caught.value.message


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        DockerConfig(tmp_path).get("a")


# Headers


def test_only_headers_meant_for_registries(tmp_path: Path) -> None:
    headers = {"X-Meta-Team": "a b", "x-meta-empty": "", "Authorization": "s3cret", "X-For-Daemon": "s3cret"}
    source = config(tmp_path, {"HttpHeaders": headers})
    assert source.registry_headers() == {"X-Meta-Team": "a b", "x-meta-empty": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Meta-A", "s3cret\r\nAuthorization: evil"),
        ("X-Meta-A", "s3cret\n"),
        ("X-Meta-A", " s3cret"),
        ("X-Meta-A", "s3crét"),
        ("X-Meta-A", ["s3cret"]),
        ("X-Meta-A:", "s3cret"),
        ("X-Meta-A\r\nHost", "s3cret"),
    ],
)
def test_headers_that_would_be_something_else(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(tmp_path, {"HttpHeaders": {name: value}}).registry_headers()
    assert '"HttpHeaders"' in caught.value.why[0]
    assert "s3cret" not in f"{caught.value.why} {caught.value.facts}"


@pytest.mark.parametrize("document", [[], {"HttpHeaders": ["x"]}, {"HttpHeaders": None}, {}])
def test_no_headers(tmp_path: Path, document: object) -> None:
    assert config(tmp_path, document).registry_headers() == {}


# Places


def places(environ: dict[str, str]) -> list[str]:
    docker = DockerConfig(Path("/docker/config.json"))
    return [source.name for source in dockerconfig.credential_sources(docker, environ, timeout=1)]


def test_the_places_in_their_order() -> None:
    home = {"HOME": "/home/jo"}
    runtime = f"/run/containers/{os.getuid()}/auth.json" if sys.platform == "linux" else None
    own = ["/home/jo/.config/containers/auth.json"]
    assert places(home) == ["/docker/config.json", *([runtime] if runtime else []), *own]
    everything = {"DOCKER_AUTH_CONFIG": "{}", "XDG_RUNTIME_DIR": "/run/user/7", "XDG_CONFIG_HOME": "/cfg"}
    assert places(home | everything) == [
        "DOCKER_AUTH_CONFIG",
        "/docker/config.json",
        "/run/user/7/containers/auth.json",
        "/cfg/containers/auth.json",
    ]
    assert places(home | {"XDG_CONFIG_HOME": "relative"})[-1:] == own
    named = places(home | everything | {"REGISTRY_AUTH_FILE": "/ci/auth.json"})
    assert named == ["/ci/auth.json", "DOCKER_AUTH_CONFIG", "/docker/config.json"]
    assert places(home | {"DOCKER_AUTH_CONFIG": " "})[0] == "/docker/config.json"


def test_each_place_counts_before_the_next(tmp_path: Path) -> None:
    environ = {
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {"a": login("variable")}}),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    docker = config(tmp_path, {"auths": {"a": login("docker"), "b": login("docker")}})
    auths = {host: login("podman") for host in "abc"} | {"d/team": login("podman")}
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "auth.json").write_text(json.dumps({"auths": auths}))
    chain = Keychain(dockerconfig.credential_sources(docker, environ, timeout=1))
    (tmp_path / "named").write_text(json.dumps({"auths": {"a": login("named")}}))
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "named")
    first = Keychain(dockerconfig.credential_sources(docker, environ, timeout=1))
    assert [found and found.user for found in map(first.find, (["a"], ["b"], ["c"]))] == [
        "named",
        "docker",
        None,
    ]
    found = {host: chain.find([host]) for host in "abcd"}
    assert {host: credential and credential.user for host, credential in found.items()} == {
        "a": "variable",
        "b": "docker",
        "c": "podman",
        "d": None,
    }
    assert found["a"] == Credential("variable", "pw", "DOCKER_AUTH_CONFIG")


@pytest.fixture
def closed() -> Iterator[Path]:
    """Yield a folder with logins that this process may not enter, in one that it may."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "closed")
        (folder / "containers").mkdir(parents=True)
        (folder / "containers" / "auth.json").write_text(json.dumps({"auths": {"a": login("root")}}))
        folder.chmod(0)
        Path(name).chmod(0o755)
        if not user:
            os.seteuid(4711)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="there everybody may enter folders")
def test_a_usual_place_that_cannot_be_entered_has_no_login(closed: Path) -> None:
    environ = {"HOME": str(closed), "XDG_RUNTIME_DIR": str(closed)}
    text = json.dumps({"auths": {"b": login("later")}})
    for path in (closed / "config.json", closed / "containers" / "auth.json"):
        assert user(DockerConfig(path, usual=True), "a") is None
        with pytest.raises(ConfigurationError, match="cannot use"):
            DockerConfig(path).get("a")
    docker = DockerConfig(closed / "config.json", environ, usual=True)
    last = DockerAuthConfig({"DOCKER_AUTH_CONFIG": text})
    chain = Keychain([*dockerconfig.credential_sources(docker, environ, timeout=1), last])
    assert chain.find(["b"]) == Credential("later", "pw", "DOCKER_AUTH_CONFIG")
    named = environ | {"REGISTRY_AUTH_FILE": str(closed / "auth.json")}
    with pytest.raises(ConfigurationError, match="cannot use"):
        Keychain(dockerconfig.credential_sources(docker, named, timeout=1)).find(["b"])


@pytest.mark.skipif(sys.platform == "win32", reason="there everybody may read files")
def test_a_usual_file_that_cannot_be_read_is_an_error(closed: Path) -> None:
    path = closed / "containers" / "auth.json"
    os.seteuid(os.getuid())
    closed.chmod(0o755)
    path.chmod(0)
    if not os.getuid():
        os.seteuid(4711)
    with pytest.raises(ConfigurationError, match="cannot use"):
        DockerConfig(path, usual=True).get("a")


def test_helpers_of_the_variable(tmp_path: Path, log: Path) -> None:
    environ = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}"}
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"credHelpers": {"h:5000": "one"}})
    assert user(DockerAuthConfig(environ), "h:5000") == "of one"
    assert log.read_text() == "get h:5000\n"


@pytest.mark.parametrize("value", ["s3cret", "[]", '{"auths": {"a": {"auth": "s3cret"}}}', "\udcff"])
def test_a_bad_variable_is_named_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DockerAuthConfig({"DOCKER_AUTH_CONFIG": value}).get("a")
    error = caught.value
    assert "DOCKER_AUTH_CONFIG" in error.message
    assert "s3cret" not in f"{error.message} {error.why} {error.facts}"
