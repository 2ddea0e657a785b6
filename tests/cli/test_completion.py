"""What shells are told that may end a line: from declarations and the trust directory, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cli.test_json import SCHEMA
from notarypy.cli import app, declared, pin, proposals
from notarypy.cli.completion import unquoted
from notarypy.cli.declared import Commands
from notarypy.cli.dockertrust import grammar, program
from notarypy.cli.gonotary import commands
from notarypy.cli.text import shellscripts
from notarypy.client.build.builders import BUILDERS
from notarypy.client.migrate import equivalent
from notarypy.images import platforms
from support.known import add_key, add_repository, key_of
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from notarypy.cli.declared import Parameter
    from support.commands import Run

APP, OTHER = "registry.test/team/app", "registry.test/team/other"
JEFF, TARGETS, ANN = "ab" * 32, "cd" * 32, key_of("ann").canonical_id
# What people write themselves: a shell knows nothing of it.
OWN_WORDS = {
    "DATE", "HEX", "IMAGE", "ISSUER", "MODE", "N", "NAME=VALUE", "PORT", "PREFIX", "ROOT-PIN", "STAGE",
    "TIME", "URL", "USER", "WORD",
}  # fmt: skip


@pytest.fixture
def trust_dir(home: Path) -> Path:
    """Return a trust directory with two repositories and two keys."""
    found = home / ".docker" / "trust"
    add_repository(found, APP, ["1.0", "1.1", "v2"], ["ann"])
    add_repository(found, OTHER, ["9"])
    add_repository(found, "docker.io/library/alpine", ["3.20"])
    add_key(found, JEFF, "jeff")
    add_key(found, TARGETS, "targets", APP)
    return found


def proposed(run: Run, *words: str, shell: str = "zsh") -> tuple[str, list[str]]:
    """Return the first line of an answer, and the words in it."""
    done = run("completion", shell, "--", *words).expect(0)
    assert not done.err
    first, *lines = done.out.splitlines()
    return first.rstrip(" "), [line.partition("\t")[0] for line in lines]


def words(run: Run, *line: str) -> list[str]:
    kind, found = proposed(run, "notarypy", *line)
    assert kind.split()[0] == "words"
    return found


def test_commands_and_those_of_a_noun(run: Run) -> None:
    assert set(words(run, "")) == {*app.COMMANDS, "help"}
    assert set(words(run, "si")) == {"sign", "signer"}
    assert words(run, "-q", "--server", "sign", "veri") == ["verify"]
    assert words(run, "signer", "") == ["add", "remove", "list"]
    assert words(run, "help", "signer", "a") == ["add"]
    assert words(run, "help", "exi") == ["exit-codes"]
    assert words(run, "nothing", "") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["verify", "--no-"], ["--no-registry"]),
        (["verify", "--no-registry", "--no-"], []),
        (["verify", "--signer", "ann", "--sign"], ["--signer"]),
        (["--js"], ["--json"]),
        (["--vers"], ["--version"]),
        (["sign", "--vers"], []),
        (["verify", "-v", "--verb"], ["--verbose"]),
        (["verify", "--he"], ["--help"]),
        (["verify", "--", "--no-"], []),
        (["key", "--trust"], ["--trust-dir"]),
        (["login", "-u"], ["-u"]),
        (["key", "generate", "--alg", ""], ["ecdsa", "rsa"]),
        (["key", "generate", "--alg=r"], ["--alg=rsa"]),
        (["key", "generate", "--nothing=r"], []),
        (["pin", "--format", "comp"], ["compose"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_options_and_their_words(run: Run, line: list[str], expected: list[str]) -> None:
    assert words(run, *line) == expected


@pytest.mark.usefixtures("trust_dir")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["verify", "reg"], [APP, OTHER]),
        (["verify", f"{APP}"], [APP, f"{APP}:1.0", f"{APP}:1.1", f"{APP}:v2"]),
        (["verify", f"{APP}:1"], [f"{APP}:1.0", f"{APP}:1.1"]),
        (["verify", f"{APP}:1.0", f"{APP}:1"], [f"{APP}:1.1"]),
        (["verify", "alp"], ["alpine", "alpine:3.20"]),
        (["verify", "docker.io/l"], ["docker.io/library/alpine", "docker.io/library/alpine:3.20"]),
        (["status", APP[:-1]], [APP]),
        (["status", APP, "reg"], [OTHER]),
        (["history", APP, ""], []),
        (["export", APP[:-1]], [APP, f"{APP}:1.0", f"{APP}:1.1", f"{APP}:v2"]),
        (["sign", "--signer", ""], ["jeff", "ann"]),
        (["sign", "--signer=a"], ["--signer=ann"]),
        (["signer", "remove", "j"], ["jeff"]),
        (["signer", "remove", "ann", "registry.test/team/a"], [APP]),
        (["key", "passwd", ""], ["jeff", JEFF[:12], TARGETS[:12]]),
        (["key", "passwd", JEFF[:13]], [JEFF]),
        (["key", "rotate", APP, "t"], ["targets", "timestamp"]),
        (["history", APP, "--role", "targets/"], ["targets/ann", "targets/releases"]),
        (["history", OTHER, "--role", "targets/"], ["targets/releases"]),
        (["history", APP, "--tag", "1"], ["1.0", "1.1"]),
        (["history", "--tag", ""], ["3.20", "1.0", "1.1", "v2", "9"]),
        (["history", "alpine", "--tag", ""], ["3.20"]),
        (["delegate", "remove", "--key", ""], [ANN[:12]]),
        (["delegate", "purge", APP, "--key", ANN[:13]], [ANN]),
        (["delegate", "purge", OTHER, "--key", ""], []),
        (["logout", ""], ["docker.io", "registry.test"]),
        (["docker-trust", "sign", "reg"], [APP, OTHER]),
    ],
)
def test_names_of_the_trust_directory(run: Run, line: list[str], expected: list[str]) -> None:
    assert words(run, *line) == expected


@pytest.mark.usefixtures("trust_dir")
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (["pin", ""], "files"),
        (["key", "generate", "--dir", ""], "folders"),
        (["pin", "--policy=x"], "files --policy="),
        (["push", "oci"], "open"),
        (["key", "add", "aws"], "open"),
        (["key", "generate", "--in", ""], "open"),
        (["push", "oci:x"], "files oci:"),
        (["verify", "--also=cosign:x"], "files --also=cosign:"),
        (["init", "--root-key", ""], "files"),
        (["build", "--", "."], "files"),
        (["docker-trust", "signer", "add", "--key", ""], "files"),
        (["docker-trust", "key", "load", ""], "files"),
        (["docker-trust", "key", "generate", "--dir", ""], "folders"),
    ],
)
def test_where_files_may_stand(run: Run, line: list[str], kind: str) -> None:
    assert proposed(run, "notarypy", *line)[0] == kind


def test_the_folder_of_keys_that_the_line_names_counts(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_repository(home / "there", APP, [])
    add_repository(home / "docker" / "trust", OTHER, [])
    assert words(run, "status", "") == []
    assert words(run, "--trust-dir=~/there", "status", "") == [APP]
    assert words(run, "status", "-d", str(home / "there"), "") == [APP]
    assert words(run, f"-qd{home / 'there'}", "status", "") == [APP]
    (home / "settings.toml").write_text(f'trust_dir = "{home / "there"}"')
    assert words(run, "-c", "~/settings.toml", "status", "") == [APP]
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    assert words(run, "status", "") == [OTHER]


def test_docker_trust_is_completed_by_its_own_table(run: Run) -> None:
    inner = [command.words[0] for command in grammar.COMMANDS if len(command.words) == 1]
    assert proposed(run, "docker-trust", "") == ("words", inner)
    assert proposed(run, "/somewhere/docker-trust", "key", "g") == ("words", ["generate"])
    assert proposed(run, "docker-trust", "sign", "--l") == ("words", ["--local"])
    assert proposed(run, "docker-trust", "sign", "a:1", "") == ("words", [])
    assert proposed(run, "docker-trust", "nothing", "") == ("words", [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("words", [command.words[0] for command in commands.COMMANDS if len(command.words) == 1])),
        ("key ex", ("words", ["export"])),
        ("-s x -v delegation p", ("words", ["purge"])),
        ("help deleg", ("words", ["delegation"])),
        ("help key p", ("words", ["passwd"])),
        ("nothing ", ("words", [])),
        ("list r", ("words", [APP])),
        (f"list {APP} ", ("words", [])),
        (f"lookup {APP} 1", ("words", ["1.0", "1.1"])),
        (f"witness {APP} targets/", ("words", ["targets/ann", "targets/releases"])),
        (f"witness {APP} root targets/a", ("words", ["targets/ann"])),
        (f"add {APP} x ", ("files", [])),
        (f"verify {APP} x -i ", ("files", [])),
        ("-d ", ("folders", [])),
        ("--trustDir ", ("folders", [])),
        ("key import a.pem ", ("files", [])),
        ("key rotate r", ("words", [APP])),
        (f"key rotate {APP} tim", ("words", ["timestamp"])),
        ("key remove ab", ("words", [JEFF[:12]])),
        (f"key remove {JEFF[:13]}", ("words", [JEFF])),
        ("key export --key ab", ("words", [JEFF[:12]])),
        ("key export --gun r", ("words", [APP])),
        (f"list {APP} -r targets/r", ("words", ["targets/releases"])),
        (f"list {APP} --ro", ("words", ["--roles"])),
        (f"list {APP} --roles targets --ro", ("words", [])),
        ("status -- --", ("words", [])),
        ("status --trust", ("words", ["--trustDir"])),
        ("completion z", ("words", ["zsh"])),
    ],
)
def test_notary_is_completed_by_its_own_table_and_trust_directory(
    run: Run, home: Path, line: str, expected: tuple[str, list[str]]
) -> None:
    add_repository(home / ".notary", APP, ["1.0", "1.1", "v2"], ["ann"])
    add_repository(home / ".docker" / "trust", OTHER, ["9"])
    add_key(home / ".notary", JEFF, "jeff")
    *before, typed = line.split(" ")
    assert proposed(run, "notary", *before, typed) == expected
    assert proposed(run, "notarypy", "notary", *before, typed) == expected


def test_notary_completes_names_of_the_directory_on_the_line(run: Run, home: Path) -> None:
    add_repository(home / "there", APP, [])
    assert proposed(run, "notary", "-d", str(home / "there"), "list", "") == ("words", [APP])
    config = home / "c.json"
    config.write_text(f'{{"trust_dir": "{home / "there"}"}}')
    assert proposed(run, "notary", "list", "-c", str(config), "") == ("words", [APP])
    config.write_text("nonsense")
    assert proposed(run, "notary", "list", "-c", str(config), "") == ("words", [])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_notary_prints_the_scripts_of_shells(notary: Run, shell: str) -> None:
    script = notary("completion", shell).expect(0).out
    assert script == shellscripts.SCRIPTS[shell]
    shorter = notary("completion", shell, "--no-descriptions").expect(0).out
    assert (shorter == script) == (shell == "bash")


@pytest.mark.usefixtures("trust_dir")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["revo"], "revoke\tTake the signatures of an image away\n:4\n"),
        (["signer", "add", "--key", ""], ":0\n"),
        (["signer", "add", "--key", "x.pub", "j"], "jeff\tits key is here\n:4\n"),
        (["signer", "add", "--key", "x.pub", "jeff", f"{OTHER[:-1]}"], f"{OTHER}\n:4\n"),
        ([], None),
    ],
)
def test_docker_asks_its_plugin(
    line: list[str], expected: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.start(["/plugins/docker-dct", "__complete", "dct", *line]) == 0
    out = capsys.readouterr().out
    assert out == expected if expected is not None else out.startswith("key\t")


BROKEN = {
    "the settings": lambda home: (
        (home / ".config" / "notarypy").mkdir(parents=True)
        or (home / ".config" / "notarypy" / "config.toml").write_text("nonsense")
    ),
    "the trust directory": lambda home: (
        (home / ".docker").mkdir() or (home / ".docker" / "trust").write_text("")
    ),
    "a link": lambda home: (
        (home / ".docker" / "trust").mkdir(parents=True)
        or (home / ".docker" / "trust" / "tuf").symlink_to("/")
    ),
    "a root that is a folder": lambda home: (
        home / ".docker" / "trust" / "tuf" / "a" / "metadata" / "root.json"
    ).mkdir(parents=True),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("line", [["verify", "a"], ["signer", "remove", ""], ["key", "passwd", ""]])
def test_what_is_broken_proposes_nothing_and_says_nothing(
    run: Run, home: Path, broken: str, line: list[str]
) -> None:
    BROKEN[broken](home)
    assert set(words(run, *line)) <= {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"signed": 1}',
        '{"signed": {"targets": [], "delegations": {"roles": 7}}}',
        '{"signed": {"targets": 5, "delegations": {"roles": [{"name": 5}, 8]}}}',
        "[" * 100_000,
    ],
)
def test_cached_files_may_hold_anything(run: Run, home: Path, text: str) -> None:
    folder = add_repository(home / ".docker" / "trust", APP, [])
    for name in ("targets.json", "targets/releases.json"):
        (folder / name).write_text(text)
    assert words(run, "verify", "r") == [APP]
    assert words(run, "signer", "remove", "") == []


def test_names_that_cannot_be_shown_are_not_proposed(run: Run, home: Path) -> None:
    trust_dir = home / ".docker" / "trust"
    add_repository(trust_dir, APP, ["good", "a\tb", "a\nfiles", "\x1b[31m", "\u202egnp.1"], ["x"])
    add_key(trust_dir, JEFF, "a\x1bb")
    assert words(run, "verify", f"{APP}:") == [f"{APP}:good"]
    done = run("completion", "fish", "--", "notarypy", "key", "passwd", "")
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a", "a"), ("'a b'", "a b"), ("'a", "a"), ('"a', "a"), (r"a\ b", "a b"), ("$HOME", "$HOME"),
        ("$(id)", "$(id)"), ("", ""), ("#x", "#x"),
    ],
)  # fmt: skip
def test_quotes_of_a_line_are_taken_off(typed: str, meant: str) -> None:
    assert unquoted(typed) == meant


def test_as_a_document(run: Run) -> None:
    (script,) = run("--json", "completion", "bash").expect(0).document["results"]
    assert script["script"] == run("completion", "bash").expect(0).out
    document = run("--json", "completion", "fish", "--", "notarypy", "veri").expect(0).document
    assert problems(document, SCHEMA) == []
    (answer,) = document["results"]
    assert answer["proposals"] == [
        {"text": "verify", "about": "Verify that a registry serves the very digest that was signed."}
    ]


def parameters() -> Iterator[Parameter]:
    for name in app.COMMANDS:
        found = app.find(name)
        for function in found.by_name.values() if isinstance(found, Commands) else [found]:
            assert function is not None
            yield from declared.arguments(function)
            yield from declared.options(function)
    yield from declared.GLOBAL_OPTIONS


def test_every_place_has_names_or_is_known_to_have_none(trust_dir: Path) -> None:
    known = proposals.Known({"trust_dir": trust_dir}, os.environ)
    for parameter in parameters():
        shown = str(parameter.record.how.get("metavar")).strip("[]").partition(" | ")[0].removesuffix("...")
        found = proposals.values(parameter, "", known)
        free = (
            shown in OWN_WORDS or parameter.kind in {int, bool} or (shown == "NAME" and not found.fitting(""))
        )
        assert free or found.kind != "words" or found.fitting(""), f"proposals.py has nothing for {shown}"


def test_the_words_that_are_proposed_are_those_that_are_taken() -> None:
    proposed = dict(proposals._WORDS)  # noqa: SLF001 - the table
    assert {*proposed.pop("--builder")} == {*BUILDERS}
    assert {*proposed.pop("--for")} == {*equivalent.KINDS}
    assert {*proposed.pop("FORMAT")} == {*pin._FORMATS}  # noqa: SLF001 - the table
    known = proposals._PLATFORMS  # noqa: SLF001 - the table
    assert proposed == {"OS/ARCH": known, "PLATFORM": known}
    for word in known:
        assert platforms.parts(word)
        assert platforms.normal(word) == word
