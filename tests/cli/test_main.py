"""The outermost frame: every failure is one text or document and one exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

import notarypy
from notarypy import system
from notarypy.errors import ExpiredError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from notarypy.errors import Advice
    from support.commands import Run, StubClient

REF = "registry.test/app:1"


def program(
    *argv: str, home: Path, python: Sequence[str] = ("-m", "notarypy"), **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the program, or what else Python is told to run, in a process of its own."""
    words = [sys.executable, *python, *argv]
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # the options are subprocess's own
        words,
        text=True,
        check=False,
        timeout=60,
        **{"capture_output": True, "env": {"HOME": str(home)}, **options},
    )


def ending(
    code: str, home: Path, first: str = "", *, name: str = "notarypy", **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a program of this name in a process of its own, where `code` replaces what it does."""
    parts = (first, "from notarypy.cli import main", code, "main.main()")
    (home / name).write_text("\n".join(map(textwrap.dedent, parts)))
    return program("key", home=home, python=[str(home / name)], **options)


@pytest.mark.parametrize(
    "argv", [["--version"], ["verify", "--version"], ["--json", "--version"], ["version"], ["-q", "version"]]
)
def test_version(run: Run, argv: list[str]) -> None:
    assert run(*argv).expect(0).out == f"notarypy {notarypy.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ([], ["--help"]),
        (["help"], ["--help"]),
        (["--json", "help", "--help"], ["--help"]),
        (["help", "sign"], ["sign", "--help"]),
        (["-v", "help", "sign"], ["sign", "--help"]),
        (["help", "signer"], ["signer", "--help"]),
        (["help", "signer", "add"], ["signer", "add", "--help"]),
        (["help", "docker-trust", "sign"], ["docker-trust", "sign", "--help"]),
    ],
)
def test_help_is_there_for_whoever_asks_in_words(run: Run, argv: list[str], asked: list[str]) -> None:
    shown = run(*argv).expect(0)
    assert shown.out == run(*asked).expect(0).out
    assert shown.out.lower().startswith("usage:")
    assert shown.err == ""


@pytest.mark.parametrize("word", ["--version", "version"])
def test_version_is_answered_before_typer_is_imported(home: Path, word: str) -> None:
    code = f"import sys; from notarypy.cli.main import run; run(['{word}']); print(*sys.modules)"
    modules = program(home=home, python=["-c", code]).stdout.split()
    assert "notarypy.cli.main" in modules
    assert not {"typer", "dataclasses", "importlib.metadata", "notarypy.errors"} & set(modules)


def test_a_module_of_the_package_can_be_run(home: Path) -> None:
    assert program("--version", home=home).stdout == f"notarypy {notarypy.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message", "fix"),
    [
        (["-q"], "missing command", "see notarypy --help"),
        (["help", "verfy"], 'there is no command "verfy"', "did you mean: notarypy verify"),
        (
            ["signer"],
            "notarypy signer lacks a command",
            "one of add, remove, list; see notarypy signer --help",
        ),
        (["version", "extra"], '"extra" follows version', "leave extra out"),
        (["help", "sign", "extra"], '"extra" is no command', "leave extra out"),
        (["help", "key", "list", "extra"], '"extra" is no command', "leave extra out"),
        (["verfy", REF], 'there is no command "verfy"', "did you mean: notarypy verify"),
        (["nothing", REF], 'there is no command "nothing"', "see notarypy --help"),
        (["verify"], "no REF was given", "name at least one, or a file that lists them: --from-file FILE"),
        (
            ["verify", "--all-tags"],
            "no REPO was given",
            "name at least one, or a file that lists them: --from-file FILE",
        ),
        (["sign"], "no REF was given", "name at least one, or a file that lists them: --from-file FILE"),
        (["inspect"], "missing argument 'REF...'", "see notarypy inspect --help"),
        (
            ["completion"],
            "missing argument 'SHELL'. Choose from: bash, zsh, fish [",
            "see notarypy completion --help",
        ),
        (["revoke", "--all"], "missing argument 'REF...'", "see notarypy revoke --help"),
        (["signer", "add", "jeff"], "missing argument 'REPO...'", "see notarypy signer add --help"),
        (["init", "--snapshot", "both", "a"], "invalid value for '--snapshot'", "see notarypy init --help"),
        (["verify", REF, "NOT ONE"], '"NOT ONE" is not an image reference', "see notarypy verify --help"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(run: Run, argv: list[str], message: str, fix: str) -> None:
    outcome = run(*argv).expect(2)
    assert outcome.out == ""
    assert outcome.err.startswith(f"notarypy: error: {message}")
    assert outcome.err.endswith(f"  fix: {fix}\n")
    assert "why: \n" not in outcome.err


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["--json"], None),
        (["--json", "verfy"], None),
        (["verify", "--jason", "--json", REF], "verify"),
        (["delegate", "add", "--json"], "delegate add"),
        (["verify", "--json", "NOT ONE"], "verify"),
    ],
)
def test_a_usage_error_is_a_document_when_that_is_asked_for(
    run: Run, argv: list[str], command: str | None
) -> None:
    outcome = run(*argv).expect(2)
    assert outcome.err == ""
    document = outcome.document
    assert (document["command"], document["exit"], document["results"]) == (command, 2, [])
    assert document["error"]["exit"] == 2


def test_words_after_two_dashes_are_no_options(run: Run) -> None:
    outcome = run("verify", "--", "--json").expect(2)
    assert '"--json" is not an image reference' in outcome.err


def test_an_interruption_is_130(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = KeyboardInterrupt()
    assert run("verify", REF).expect(130).err == "notarypy: error: interrupted [interrupted]\n"
    document = run("--json", "verify", REF).expect(130).document
    assert (document["exit"], document["error"]["code"]) == (130, "interrupted")


INTERRUPTED = """
    import atexit, signal, sys
    def run(argv):
        atexit.register(print, "cleaned up", file=sys.stderr)
        from notarypy.cli.run import SignalInterrupts
        with SignalInterrupts():
            signal.raise_signal(signal.{})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main.run = run
    main._in = lambda module: run
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["notarypy", "notary", "docker-trust"])
def test_a_program_dies_of_what_ended_it_when_all_else_is_done(
    home: Path, name: str, number: signal.Signals
) -> None:
    code = INTERRUPTED.format(number.name) + (
        f"    main.main = main.{name.replace('-', '_')}" if name != "notarypy" else ""
    )
    done = ending(code, home, name=name)
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "cleaned up\n")
    line = ["bash", "-c", '"$@"; echo $?', "bash", sys.executable, str(home / name)]
    assert subprocess.run(line, stdout=-1, text=True, check=False, timeout=60).stdout == f"{128 + number}\n"


def test_who_cannot_die_of_a_signal_or_is_not_to_ends_with_its_code(home: Path) -> None:
    blocked = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})"
    done = ending("def run(argv): raise KeyboardInterrupt\nmain.run = run", home, blocked)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    docker = {"HOME": str(home), "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": "docker"}
    done = ending(INTERRUPTED.format("SIGTERM"), home, env=docker)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "cleaned up\n")


def test_a_defect_is_one_line_without_its_text(run: Run, stub: StubClient) -> None:
    stub.answers["verify_unless_skipped"] = KeyError("a secret")
    outcome = run("verify", REF).expect(1)
    assert outcome.out == ""
    assert "unexpected KeyError" in outcome.err
    assert "-vv" in outcome.err
    assert "secret" not in outcome.err
    assert "Traceback" not in outcome.err


def test_a_defect_is_shown_in_full_on_demand_but_for_local_variables(run: Run, stub: StubClient) -> None:
    def verify(*_: object, **__: object) -> None:
        passphrase = "hidden " + "value"
        raise ValueError(f"broken\x1b[31m{len(passphrase)}")

    stub.answers["verify_unless_skipped"] = verify
    outcome = run("-vv", "verify", REF).expect(1)
    assert "Traceback" in outcome.err
    assert "broken\\x1b[31m" in outcome.err
    assert "hidden value" not in outcome.err


def test_a_failure_outside_of_any_ref_stands_on_top(run: Run) -> None:
    document = run("--json", "-c", "/nonexistent.toml", "verify", REF).expect(2).document
    assert document["error"]["code"] == "usage.config"
    assert document["results"] == []


NEEDING_A_HOME = ("key list", "key generate a", "status", "logout x.test", "backup keys", "install-plugin")


@pytest.mark.parametrize("words", [*NEEDING_A_HOME, "install-plugin --uninstall", f"--offline verify {REF}"])
def test_nobody_needs_a_home_but_who_has_files_there(
    run: Run, words: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(system, "known_home", str)
    said = run(*words.split()).expect(2).err
    assert "there is no home directory [usage.config]\n  why: HOME is not set" in said
    assert "export HOME=" in said
    run("doctor", "--offline")
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    assert "home directory" not in run(*words.split()).err


def test_what_the_home_would_hold_is_not_asked_for_where_all_is_named(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(system, "known_home", str)
    named = ["--trust-dir", home / "trust"]
    run(*named, "key", "generate", "alice", "--dir", home).expect(0)
    assert "alice" in run(*named, "key", "list").expect(0).out
    (home / "config.toml").write_text('trust_dir = "~/trust"\n')
    assert "there is no home directory" in run("-c", home / "config.toml", "key", "list").expect(2).err


def test_errors_show_control_characters_escaped(
    run: Run, stub: StubClient, saying: Callable[[str], Advice]
) -> None:
    reversing = saying("\u202egnp.exe")
    stub.answers["verify_unless_skipped"] = ExpiredError(
        "old\x1b]0;x\x07", why="next\nline", advice=reversing
    )
    assert run("verify", REF).expect(5).err == (
        "notarypy: error: old\\x1b]0;x\\x07 [trust.expired]\n  why: next\\nline\n  fix: \\u202egnp.exe\n"
    )


def test_a_reader_that_goes_away_is_no_traceback(home: Path) -> None:
    head = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    head.wait()
    assert head.stdin is not None
    with head.stdin:
        done = program("--json", "verify", "X", home=home, capture_output=False, stdout=head.stdin, stderr=-1)
    assert (done.returncode, done.stderr) == (2, "")
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        done = program("verify", "--help", home=home, capture_output=False, stdout=gone.stdin, stderr=-1)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_disk_is_an_error(home: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = program("verify", "--help", home=home, capture_output=False, stdout=full, stderr=-1)
    assert done.returncode == 1
    assert "cannot write to standard output" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_version_that_cannot_be_written_is_an_error(home: Path, unbuffered: str) -> None:
    environment = {"HOME": str(home), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = program("--version", home=home, capture_output=False, stdout=full, stderr=-1, env=environment)
    assert done.returncode == 1
    assert "cannot write to standard output: No space left" in done.stderr
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        done = program(
            "version", home=home, capture_output=False, stdout=gone.stdin, stderr=-1, env=environment
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_an_encoding_that_lacks_a_character_is_no_traceback(home: Path) -> None:
    code = "from notarypy.cli.main import main; import sys; sys.argv = ['notarypy', 'verify', 'ä']; main()"
    words = [sys.executable, "-c", code]
    environment = {"HOME": str(home), "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert '"\\xe4" is not an image reference' in done.stderr


@pytest.mark.parametrize("argv", [["version", "-h"], ["help", "version"], ["help", "help"]])
def test_help_for_the_words_that_are_no_commands_is_short(run: Run, argv: list[str]) -> None:
    outcome = run(*argv).expect(0)
    assert "notarypy version prints the version" in outcome.out
    assert len(outcome.out.splitlines()) == 2


KEPT = """
    import atexit, threading
    def waited():
        threading.Event().wait(0.2)
        print("thread")
    class Part:
        def __del__(self):
            print("taken down")
    part = Part()
    def run(argv):
        threading.Thread(target=waited).start()
        atexit.register(print, "registered")
        print("done")
        return 7
    main.run = run
"""


def test_what_was_promised_is_kept_and_no_module_is_taken_down(home: Path) -> None:
    done = ending(KEPT, home)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.split("\n") == ["done", "thread", "registered", ""]


def test_a_process_that_is_not_ours_alone_ends_as_python_ends_it(home: Path) -> None:
    done = ending(KEPT, home, "import atexit; atexit.register(print, 'before')")
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.split("\n") == ["done", "thread", "registered", "before", "taken down", ""]


def test_a_program_that_calls_main_goes_on_and_ends_as_it_likes(home: Path) -> None:
    code = """
        import sys
        sys.argv = ["notarypy", "version"]
        unflushed = open("written", "w")
        unflushed.write("text")
        try:
            main.main()
        except SystemExit as error:
            assert error.code == 0
        sys.exit(7)
    """
    done = ending(code, home, name="release.py", cwd=home)
    assert (done.returncode, done.stderr) == (7, "")
    assert (home / "written").read_text() == "text"


def test_what_is_written_at_the_very_end_arrives_or_is_no_traceback(home: Path) -> None:
    code = "import atexit; main.run = lambda argv: atexit.register(print, 'late') and 3"
    assert ending(code, home).stdout == "late\n"
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = ending(code, home, capture_output=False, stdout=full, stderr=-1)
    assert (done.returncode, done.stderr) == (3, "")


def test_an_interruption_while_nobody_reads_the_output_is_130(home: Path) -> None:
    code = "from notarypy.cli import main; main.run = lambda argv: print(end='x' * 900_000) or 0; main.main()"
    words = [sys.executable, "-u", "-c", f"print('begun'); {code}", "key"]
    with subprocess.Popen(words, env={"HOME": str(home)}, stdout=-1, stderr=-1) as waiting:
        assert waiting.stdout is not None
        assert waiting.stderr is not None
        assert waiting.stdout.read(6) == b"begun\n"
        assert waiting.stdout.read(1) == b"x"
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 130
        assert waiting.stderr.read() == b""


def test_garbage_in_circles_does_not_grow_without_bound(home: Path) -> None:
    code = """
        import gc
        def run(argv):
            most = 0
            for _ in range(400_000):
                circle = []
                circle.append(circle)
            print(gc.get_count()[0] < 150_000, gc.isenabled())
            return 0
        main.run = run
    """
    assert ending(code, home).stdout == "True True\n"
