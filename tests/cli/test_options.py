"""Global options: anywhere before `--`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.cli.app import COMMANDS, RAW

if TYPE_CHECKING:
    from support.commands import Run, StubClient

OPTIONS = ["-s", "https://n.test", "--trust-dir", "t", "--tlscacert", "ca", "--insecure-registry", "a"]
NO_KEYS = "notarypy: warning: no keys in /trust\n"
GIVEN = {"server": "https://n.test", "trust_dir": "t", "tlscacert": "ca", "insecure_registry": ("a",)}


@pytest.fixture(autouse=True)
def no_delegations(stub: StubClient) -> None:
    stub.answers.update({"delegations": (), "keys.list": []})


@pytest.mark.parametrize(
    "argv",
    [
        [*OPTIONS, "delegate", "list", "r.test/a"],
        ["delegate", *OPTIONS, "list", "r.test/a"],
        ["delegate", "list", *OPTIONS, "r.test/a"],
        ["delegate", "list", "r.test/a", *OPTIONS],
        [*OPTIONS[:4], "delegate", *OPTIONS[4:6], "list", "r.test/a", *OPTIONS[6:]],
    ],
)
def test_they_stand_before_or_after_the_command(run: Run, stub: StubClient, argv: list[str]) -> None:
    run(*argv).expect(0)
    assert stub.options == GIVEN


def test_the_later_one_wins_and_lists_grow(run: Run, stub: StubClient) -> None:
    argv = ["-s", "https://one.test", "--insecure-registry", "a", "key", "list"]
    run(*argv, "-s", "https://two.test", "--insecure-registry", "b").expect(0)
    assert stub.options == {"server": "https://two.test", "insecure_registry": ("a", "b")}


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--timeout", "0.5"], "timeout", "0.5"),
        (["--retry-for", "2m"], "retry_for", "2m"),
        (["--offline"], "offline", True),
        (["--gun"], "gun", True),
        (["-c", ""], "config", ""),
        (["--passphrase-file=f"], "passphrase_file", "f"),
        (["--tlscert", "c"], "tlscert", "c"),
        (["--tlskey", "k"], "tlskey", "k"),
    ],
)
def test_the_client_is_told_what_was_given_and_nothing_else(
    run: Run, stub: StubClient, argv: list[str], name: str, value: object
) -> None:
    run("key", "list", *argv).expect(0)
    assert stub.options == {name: value}


def test_quiet_leaves_out_warnings(run: Run, stub: StubClient) -> None:
    def keys() -> list[object]:
        stub.warn("beware\x1b")
        return []

    stub.answers["keys.list"] = keys
    assert run("key", "list").expect(0).err == f"notarypy: warning: beware\\x1b\n{NO_KEYS}"
    assert run("key", "list", "-q").expect(0).err == ""
    assert run("key", "list", "--json").expect(0).document["warnings"][0] == "beware\x1b"


def test_reading_commands_ask_nobody_for_a_passphrase(run: Run, stub: StubClient) -> None:
    run("key", "list").expect(0)
    assert stub.asking is False


def test_verbose_shows_the_log(run: Run, stub: StubClient) -> None:
    import logging

    def keys() -> list[object]:
        logging.getLogger("notarypy.test").info("step\x1b")
        logging.getLogger("notarypy.test").debug("detail")
        return []

    stub.answers["keys.list"] = keys
    assert run("key", "list").expect(0).err == NO_KEYS
    assert run("-v", "key", "list").expect(0).err == f"notarypy: INFO: step\\x1b\n{NO_KEYS}"
    assert "detail" in run("-v", "key", "list", "-v").expect(0).err


def test_every_command_explains_itself_with_an_example(run: Run) -> None:
    groups: dict[str, tuple[str, ...]] = {
        "delegate": ("add", "remove", "list"),
        "signer": ("add", "remove", "list"),
        "key": ("generate", "load", "list", "export"),
        "migrate": ("report", "policy"),
        "admission": ("manifests", "review"),
    }
    for name in set(COMMANDS) - set(RAW):
        for inner in groups.get(name, ("",)):
            words = [name, inner] if inner else [name]
            text = run(*words, "--help").expect(0).out
            assert "\n  Example:\n    notarypy " in text
            assert f"notarypy {' '.join(words)}" in text
            assert "  --json " not in text
            assert "notarypy help options" in text


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["sign", "--signer", "", "r.test/a:1"], "--signer"),
        (["sign", "--signer", "jeff", "--signer", "", "r.test/a:1"], "--signer"),
        (["init", "--root-key", "", "r.test/a"], "--root-key"),
        (["verify", "--root", "", "r.test/a:1"], "--root"),
        (["revoke", "--signer", "", "r.test/a:1"], "--signer"),
        (["key", "generate", "--dir", "", "jeff"], "--dir"),
    ],
)
def test_an_empty_option_is_an_error(run: Run, stub: StubClient, argv: list[str], option: str) -> None:
    assert f"{option} is empty" in run(*argv).expect(2).err
    assert stub.calls == []
