"""First use on the command line: refused with the pin to give, allowed by a decision, asked at a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.test_terminal import at_a_terminal
from notarypy.client.api import Client
from notarypy.devserver import sample
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.start import ServerOptions, running
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.remote.http.transport import Exchange
from support.people import manifest, prepared
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
REF = f"{REPO}:1"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())

READING = [
    ["verify", REF],
    ["inspect", REPO],
    ["status", REPO],
    ["delegate", "list", REPO],
    ["signer", "list", REPO],
]


@pytest.fixture
def root(run: Run, fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the root key of `app:1`, signed by somebody else; nothing allows its first use."""

    def make() -> str:
        fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST)
        document = run("--json", "-d", "owner", "init", REPO).expect(0).document
        run("-d", "owner", "sign", REF).expect(0)
        [key] = document["results"][0]["root_pins"]
        assert isinstance(key, str)
        return key

    found = prepared(fake, home, __name__, make)
    monkeypatch.delenv("NOTARYPY_FIRST_USE")
    return found


@pytest.mark.parametrize("words", READING)
def test_a_refusal_names_the_pin(run: Run, home: Path, root: str, words: list[str]) -> None:
    outcome = run(*words).expect(11)
    assert f"nothing says which root {REPO} must have [trust.first_use]" in outcome.err
    assert f"why: root key {root}, whose id is " in outcome.err
    assert f"then: --root {root}; or trust it unseen: --first-use" in outcome.err
    assert not (home / ".docker").exists()
    document = run("--json", "--yes", *words).expect(11).document
    assert problems(document, SCHEMA) == []
    assert document["first_use"] == []
    run(*words, "--root", root).expect(0)
    run(*words).expect(0)


@pytest.mark.parametrize("words", READING)
def test_an_option_allows_it_once(run: Run, root: str, words: list[str]) -> None:
    document = run("--json", "--first-use", *words).expect(0).document
    assert problems(document, SCHEMA) == []
    [taken] = document["first_use"]
    assert (taken["repository"], taken["root_pins"]) == (REPO, [root])
    assert [line for line in document["warnings"] if line.endswith(f"--root {root}")]
    assert run("--json", *words).expect(0).document["first_use"] == []


def test_a_pin_says_it_before_anything_is_signed(run: Run, root: str) -> None:
    assert "[trust.root_not_pinned]" in run("sign", "--root", "0" * 64, REF).expect(4).err
    assert "first use" in run("-d", "unpinned", "sign", REF).expect(0).err
    assert "first use" not in run("sign", "--root", root, REF).expect(0).err


@pytest.mark.parametrize("by_option", [True, False])
def test_the_first_root_must_be_the_pinned_one(
    run: Run, home: Path, fake: Fake, root: str, *, by_option: bool
) -> None:
    new, config = f"{REGISTRY_HOST}/new", home / "pin.toml"
    fake.registry.push("new", "1", manifest("1"), OCI_MANIFEST)
    config.write_text(f'[registry."{REGISTRY_HOST}"]\nroot = ["{"0" * 64}"]\n')
    pin = ["--root", "0" * 64] if by_option else []
    words = [*([] if by_option else ["-c", str(config)]), "sign", "--init", *pin, f"{new}:1"]
    for folder, why in (
        ("fresh", "a new root key would be made: none is here"),
        ("owner", "the root key here: "),
    ):
        said = run("-d", folder, *words).expect(4).err
        assert f"the pin of {new} does not allow the root that would be made" in said
        assert f"why: {why}" in said
        assert f"pinned by {'--root' if by_option else f'root in {config}'}" in said
        assert "offered" not in said
        assert (root in said) == (folder == "owner")
        assert "fix: load the root key that the pin names: notarypy key load FILE; or change the pin" in said
    assert not list((home / "fresh").rglob("*.key"))
    if by_option:
        done = run("-d", "owner", "sign", "--init", "--root", root, f"{new}:1").expect(0)
        assert root in done.out


def test_a_quiet_run_says_it_too(run: Run, root: str) -> None:
    assert f"--root {root}" in run("-q", "--first-use", "verify", REF).expect(0).err


def test_so_do_a_variable_and_the_configuration(
    run: Run, home: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "c.toml").write_text("first_use = true")
    assert f"--root {root}" in run("-d", "a", "-c", home / "c.toml", "verify", REF).expect(0).err
    monkeypatch.setenv("NOTARYPY_FIRST_USE", "1")
    assert f"--root {root}" in run("-d", "b", "verify", REF).expect(0).err


def test_files_with_images_are_told_of_the_policy(run: Run, home: Path, root: str) -> None:
    (home / "Dockerfile").write_text(f"FROM {REF}\n")
    outcome = run("pin", "Dockerfile").expect(11)
    assert f"""roots.ids = ['{root}'] below [scope."{REPO}"]""" in outcome.err
    (home / "p.toml").write_text(f"""[scope."{REPO}"]\nroots.ids = ['{root}']\n""")
    run("pin", "--policy", "p.toml", "Dockerfile").expect(0)


def test_publishing_and_docker_trust_keep_dockers_habit(
    run: Run, docker_trust: Run, fake: Fake, home: Path, root: str
) -> None:
    fake.registry.push("app", "2", manifest("2"), OCI_MANIFEST)
    (home / ".docker" / "trust").mkdir(parents=True)
    (home / "owner" / "private").rename(home / ".docker" / "trust" / "private")
    document = run("--json", "sign", f"{REPO}:2").expect(0).document
    assert [taken["root_pins"] for taken in document["first_use"]] == [[root]]
    run("verify", f"{REPO}:2").expect(0)
    run("forget", "--yes", REPO).expect(0)
    run("verify", f"{REPO}:2").expect(11)
    docker_trust("inspect", REPO).expect(0)


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"\n", 11), (b"yes!\n", 11), (b"\x04", 11)])
def test_at_a_terminal_the_root_is_shown(home: Path, typed: bytes, code: int) -> None:
    with running(None, ServerOptions(), clock=lambda: datetime.now(UTC)) as started:
        made = sample.make("1")
        exchange = Exchange(started.fake, timeout=10)
        sample.push(exchange, f"https://{REGISTRY_HOST}", "app", "1", made)
        repo = f"{started.registry}/app"
        environ = {"HOME": str(home), "XDG_CONFIG_HOME": str(started.directory), **started.environment}
        with Client.from_environment(
            {**environ, "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "a long one"},
            trust_dir=home / "owner",
            passphrases=lambda _: "a long passphrase",
        ) as owner:
            [key] = owner.init(repo).root_pins
            owner.sign([f"{repo}:1"])
        words = ["--trust-dir", str(home / "reader"), "--yes", "verify", f"{repo}:1"]
        done, out, screen = at_a_terminal(words, [("now on? [y/N] ", typed)], home, environ)
        assert done == code, screen
        assert f"{repo} is not known here, and no pin says which root it must have." in screen
        assert f"  root pin     {key}" in screen
        shown = screen.partition("answers with:")[2].partition("Trust this root")[0]
        assert max(map(len, shown.splitlines())) <= 80
        assert out.startswith(f"{repo}@sha256:") == (code == 0)
        assert (home / "reader" / "tuf").exists() == (code == 0)
