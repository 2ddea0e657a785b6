"""What the commands of `notary` share: errors, questions, what is cached, passphrases."""

from __future__ import annotations

import ast
import errno
import io
import re
import sys
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

import pytest

from notarypy import errors
from notarypy.cli import app
from notarypy.cli.cobra import HELP, Answer
from notarypy.cli.gonotary import commands, entry, goerrors, notaryshell
from notarypy.cli.gonotary.notaryshell import NotaryShell, table
from notarypy.cli.text import terminal
from notarypy.cli.text.advice import TEXTS
from notarypy.client.parameters import FirstUseWarning
from notarypy.devserver.calls import Login, notary_scope
from notarypy.devserver.core import NOTARY_HOST
from notarypy.errors import Advice, NotarypyError
from notarypy.keys.keyinfo import PassphraseRequest
from support.fakes import Clock, repeatable_random
from support.sources import FILES, PACKAGE, tree

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

# Modules that this program has no use for, and those beside them that it has.
_OF_OTHERS = (
    *("cli/", "cosign/", "devserver/", "images/", "kubernetes/", "service/", "testing/", "storage/images/"),
    *("client/archive", "client/backup/", "client/build/", "client/cosign/", "client/doctor/"),
    *("client/history/", "client/images", "client/migrat", "client/overview/", "client/parts"),
    *("client/transfer/", "client/verify/image", "client/publish/delegations", "client/publish/joining"),
    *("client/publish/maintenance", "client/publish/mending", "client/publish/removing"),
    *("client/publish/republish", "client/publish/revoking", "client/publish/signing"),
    *("remote/daemon", "remote/pushstream", "remote/registry/", "remote/service", "remote/verification"),
)
_OF_NOTARY = ("cli/gonotary/", "cli/cobra", "cli/goshell", "cli/userfiles")
_NOT_SHOWN = frozenset(
    {
        *("confirm-all", "confirm-deletion"),  # it asks, and confirms
        *("go-online", "mend-policy"),  # of `notarypy --offline notary` and `--policy` alone
        *(
            "load-exported",
            "make-directory-or-dir",
            "name-azure-registry",
        ),  # of key load, key generate, login
        *("log-in-to-aws", "write-public-half"),  # the options are those of other programs
    }
)
GUN, KEYID = "docker.io/alice/app", "ab" * 32


@pytest.fixture
def shell(home: Path) -> NotaryShell:
    return NotaryShell({"HOME": str(home)})


def lines(error: NotarypyError, shell: NotaryShell) -> list[str]:
    return goerrors.text_of(error, shell.again(), shell.native_options()).splitlines()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.RepositoryMissingError("none", gun=GUN, server="https://localhost:4443"),
            f"localhost:4443 does not have trust data for {GUN}",
        ),
        (errors.UnreachableError("localhost refused the connection"), "client is offline"),
        (errors.DeadlineError("too late"), "client is offline"),
        (errors.TlsError("unknown CA"), "client is offline"),
        (
            errors.TlsError("ca", reason="ca_file", path="/c", errno=errno.ENOENT),
            'unable to configure TLS: could not read CA certificate "/c": open /c: no such file or directory',
        ),
        (
            errors.TlsError("ca", reason="ca_file", path="/c", errno=errno.EISDIR),
            'unable to configure TLS: could not read CA certificate "/c": read /c: is a directory',
        ),
        (
            errors.TlsError("ca", reason="ca_file", path="/c", errno=None),
            'unable to configure TLS: failed to append certificates from PEM file: "/c"',
        ),
        (
            errors.TlsError("pair", reason="client_pair", path="/k", errno=errno.ENOENT),
            "unable to configure TLS: Could not load X509 key pair: open /k: no such file or directory",
        ),
        (
            errors.TlsError("pair", reason="other_key", path="/k", errno=None),
            (
                "unable to configure TLS: Could not load X509 key pair: "
                "tls: private key does not match public key"
            ),
        ),
        (
            errors.AuthenticationError("no", status=401),
            "you are not authorized to perform this operation: server returned 401.",
        ),
        (
            errors.AuthenticationError("no", status=403),
            "unable to reach trust server at this time: 403.",
        ),
        (errors.ServerError("no", status=503), "unable to reach trust server at this time: 503."),
        (errors.ConflictError("gave up"), "trust server rejected operation."),
        (
            errors.RootChangedError("another"),
            (
                "could not rotate trust to a new trusted root: "
                "failed to validate data with current trusted certificates"
            ),
        ),
        (
            errors.FirstUseError("nobody decided"),
            "could not validate the path to a trusted root: invalid trust pinning specified",
        ),
        (
            errors.PassphraseNeededError("there is none"),
            "maximum number of passphrase attempts exceeded",
        ),
        (
            errors.PassphraseWrongError("wrong", keyid=KEYID),
            f"could not find necessary signing keys, at least one of these keys must be available: {KEYID}",
        ),
        (errors.ConfigurationError("bad", config="/c.json"), "error opening config file: /c.json"),
    ],
)
def test_gos_text_comes_first_and_then_what_is_known(
    shell: NotaryShell, error: NotarypyError, text: str
) -> None:
    first, second, *_ = lines(error, shell)
    assert (first, second) == (f"* fatal: {text}", f"  why: {error.message}")


def test_an_error_without_a_text_of_gos_has_ours(shell: NotaryShell) -> None:
    error = errors.StorageError("disk is full", why="really", advice=Advice("nothing-changed"))
    assert lines(error, shell) == ["* fatal: disk is full", "  why: really", "  fix: nothing was changed"]
    assert lines(errors.AuthenticationError("bad login"), shell)[0] == "* fatal: bad login"


def test_what_is_from_outside_is_safe_to_show(shell: NotaryShell) -> None:
    assert lines(errors.UsageError("a\x1b[31mb"), shell) == [r"* fatal: a\x1b[31mb"]


def test_keys_of_the_configuration_file_that_mean_nothing_are_named_once(home: Path, notary: Run) -> None:
    (home / "c.json").write_text('{"logging": {"level": "debug"}}')
    done = notary("-c", "c.json", "key", "list").expect(0)
    assert done.err == f"warning: logging in {home}/c.json is not known, and is left out\n"
    assert notary("-c", "c.json", "version").expect(0).err == ""


def test_a_warning_is_given_once(shell: NotaryShell, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("a", "b", "a"):
        shell.warn(text)
    assert capsys.readouterr().err == "warning: a\nwarning: b\n"


@pytest.fixture(params=["basic", "token"])
def guarded(fake: Fake, request: pytest.FixtureRequest) -> None:
    """Let the server want a login."""
    service = fake.services[NOTARY_HOST]
    fake.services[NOTARY_HOST] = Login(
        service,
        notary_scope,
        kind=request.param,
        users={"dev": "secret"},
        clock=Clock(),
        random=repeatable_random("login"),
    )


@pytest.mark.usefixtures("guarded")
def test_a_login_is_asked_for_on_standard_output_as_go_notary_does(
    notary: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert notary("list", GUN, typed="dev\nsecret\n").expect(3).out == "Enter username: Enter password: \n"
    done = notary("init", "-p", GUN, typed="dev\nsecret\n").expect(0)
    assert done.out.count("Enter username: Enter password: \n") == 1
    failed = notary("list", GUN).expect(7)
    assert failed.out == ""  # nobody can answer
    assert "NOTARY_AUTH" in failed.err.splitlines()[-1]
    assert notary("verify", GUN, "v1", typed="dev\nsecret\n").expect(7).out == ""
    assert "secret" not in notary("list", GUN, typed="dev\nsecret2\n").expect(7).err
    monkeypatch.setenv("NOTARY_AUTH", "ZGV2OnNlY3JldA==")
    assert notary("publish", GUN, typed="").expect(0).out.startswith("Pushing changes")


def test_what_tls_needs_is_named_before_any_server_is_asked(home: Path) -> None:
    shell = NotaryShell({"HOME": str(home)}, {"server": "https://localhost:1", "tlscacert": "nosuch"})
    with pytest.raises(errors.TlsError) as raised, shell.client() as client:
        client.targets.list(GUN)
    assert lines(raised.value, shell)[0] == (
        "* fatal: unable to configure TLS: "
        f'could not read CA certificate "{home}/nosuch": open {home}/nosuch: no such file or directory'
    )


# -- advice


@pytest.mark.parametrize("name", goerrors.FIXES)
def test_advice_of_this_program_is_about_what_notarypy_advises(name: str) -> None:
    known = {value for _, value, _, _ in Formatter().parse(TEXTS[name]) if value}
    wanted = {value for _, value, _, _ in Formatter().parse(goerrors.FIXES[name]) if value}
    assert wanted <= known | {"program"}


@pytest.mark.parametrize("text", [*goerrors.FIXES.values(), *goerrors._OF_EXIT_CODE.values()])  # noqa: SLF001
def test_advice_names_commands_and_flags_that_there_are(text: str) -> None:
    command = r"(?:key|delegation) [a-z]+|[a-z]+"
    given = r" (?:-{1,2}\w+|\{\w+\}|[A-Z]+|root|snapshot)(?!\w)"
    for line in re.findall(rf"\{{program\}} ((?:{command})(?:{given})*)", text):
        words = [re.sub(r"\{\w+\}", "1", word) for word in line.split()]
        assert not isinstance(commands.read(words, "notary"), Answer), line
    for name in re.findall(r"notarypy (?:--[a-z-]+ [A-Z]+ )?([a-z]+)", text):
        assert name in app.COMMANDS


def _shown() -> set[str]:
    """The names of all advice that this program may show: what modules that it has a use for can raise."""
    found = set[str]()
    for path in FILES:
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(_OF_OTHERS) or name.startswith(_OF_NOTARY):
            nodes = ast.walk(tree(path))
            found |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)} & TEXTS.keys()
    return found - _NOT_SHOWN


def test_all_advice_that_can_be_shown_has_words_and_flags_of_this_program() -> None:
    flags = {flag for one in commands.COMMANDS for flag in (*one.flags, *commands.GLOBALS, HELP)}
    known = {f"--{flag.name}" for flag in flags} | {f"-{flag.short}" for flag in flags}
    own = "|".join({one.words[0] for one in commands.COMMANDS if one.words})
    wrong = {}
    shown = _shown()
    for name in shown:
        text = goerrors.FIXES.get(name, TEXTS[name])
        rest = re.sub(r"\b(?:notarypy|aws|az|bao|cosign|gcloud|openssl|pkcs11-tool) [^;,()]*", "", text)
        rest = re.sub(
            r"\b(?:awk|base64|chmod|iconv|keytool|pipx|printf|puttygen|python3|ssh-keygen) [^;,()]*", "", rest
        )
        found = [one for one in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", rest) if one not in known]
        found += re.findall(rf"\bnotary (?:{own})\b", text)  # without the options of the line
        if found:
            wrong[name] = found
    assert wrong == {}
    assert {"pin-or-remove", "publish-staged", "sign-in-parts"} < shown


def test_advice_inside_of_advice_is_of_this_program_too(shell: NotaryShell) -> None:
    inner = Advice("name-notary", registry="a.test")
    error = errors.ServerError("no", advice=Advice("first-or", first=inner, other=Advice("list-keys")))
    assert lines(error, shell)[-1] == (
        "  fix: name the Notary server: -s URL, or url in remote_server of the configuration file; "
        "or, if this is it: see them with: notary key list"
    )
    odd = NotaryShell(shell.environ, {"trust_dir": "{x}"})
    assert "--trustDir '{x}' key list" in lines(error, odd)[-1]


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("root", "NOTARY_ROOT_PASSPHRASE"),
        ("targets", "NOTARY_TARGETS_PASSPHRASE"),
        ("snapshot", "NOTARY_SNAPSHOT_PASSPHRASE"),
        ("jeff", "NOTARY_DELEGATION_PASSPHRASE"),
    ],
)
def test_a_passphrase_is_asked_for_in_gos_variable(shell: NotaryShell, role: str, variable: str) -> None:
    settings = shell.settings()
    chain = notaryshell.passphrases(settings, shell)
    request = PassphraseRequest(KEYID, role, new=True)
    with pytest.raises(errors.PassphraseNeededError) as raised:
        chain.for_new(request)
    assert lines(raised.value, shell)[-1] == f"  fix: set {variable}"
    wrong = errors.PassphraseWrongError(
        "x", advice=Advice("set-root-passphrase", variable="Y"), keyid=KEYID, role=role
    )
    assert variable in lines(wrong, shell)[-1]
    assert chain.tried(request)[0] == variable


def test_other_lines_of_this_program_work_with_the_same_files(home: Path) -> None:
    shell = NotaryShell({"HOME": str(home)}, {"trust_dir": "a b"})
    error = errors.KeyAccessError("last", advice=Advice("export-key-first"))
    assert lines(error, shell)[-1] == (
        "  fix: export it first: notary --trustDir 'a b' key export --key ID -o FILE; "
        f"then: notarypy -s https://notary-server:4443 -d '{Path.cwd()}/a b' key remove --force ID"
    )


def test_a_path_with_backslashes_is_advised_as_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = NotaryShell({"HOME": str(home)}, {"trust_dir": r"C:\q\1"})
    error = errors.KeyAccessError("last", advice=Advice("keep-file", file="f"))
    assert rf"notarypy -s https://notary-server:4443 -d '{Path.cwd()}/C:\q\1' key" in lines(error, shell)[-1]
    shell.warn("staged: `notarypy notary publish a/b` publishes that")
    assert capsys.readouterr().err == (
        r"warning: staged: `notary --trustDir 'C:\q\1' publish a/b` publishes that" "\n"
    )


def test_a_warning_names_no_option_that_only_notarypy_has(
    shell: NotaryShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.warn(f"first use of x: better pin it: --root {KEYID} --root {KEYID}")
    place = "in trust_pinning.certs of the configuration file,"
    assert capsys.readouterr().err == f"warning: first use of x: better pin it: {place} {KEYID} {KEYID}\n"


def test_a_pin_to_be_written_is_the_one_that_go_notary_takes(
    shell: NotaryShell, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [(KEYID, "c" * 64), ("b" * 64, "d" * 64)]
    shell.warn(FirstUseWarning(f"better pin it: --root {KEYID} --root {'b' * 64}", keys))
    assert capsys.readouterr().err.endswith(f"configuration file, {'c' * 64} {'d' * 64}\n")


def test_commands_that_only_notarypy_has_look_at_the_same_place(home: Path) -> None:
    error = errors.ExpiredError("over", advice=Advice("renew", gun=GUN))
    shell = NotaryShell({"HOME": str(home)}, {"server": "https://a.test", "trust_dir": home / "my trust"})
    assert (
        lines(error, shell)[-1] == f"  fix: notarypy -s https://a.test -d '{home}/my trust' --gun renew {GUN}"
    )
    config = home / ".notary" / "config.json"
    config.parent.mkdir()
    config.write_text('{"remote_server": {"url": "https://b.test"}}')
    shell = NotaryShell({"HOME": str(home)})
    assert lines(error, shell)[-1] == f"  fix: notarypy -c {config} -d {config.parent} --gun renew {GUN}"


def test_advice_names_the_program_as_it_was_called(home: Path) -> None:
    shell = NotaryShell({"HOME": str(home)}, name="notarypy notary")
    error = errors.KeyMissingError("none", advice=Advice("list-keys"))
    assert lines(error, shell)[-1] == "  fix: see them with: notarypy notary key list"


def test_a_bad_configuration_can_be_replaced(notary: Run) -> None:
    done = notary("-c", "nosuch.json", "status", GUN).expect(2)
    assert done.out == ""
    assert done.err.startswith("* fatal: error opening config file: ")
    assert done.err.endswith("  fix: mend that file, or name another one: -c FILE\n")


# -- questions


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " yes \n"])
def test_a_yes(
    shell: NotaryShell, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    shell.agreed("Are you sure? (yes/no)  ")
    assert capsys.readouterr().out == "Are you sure? (yes/no)  "


@pytest.mark.parametrize(
    ("answer", "why"), [("", "there was no answer"), ("yess\n", "the answer was not yes")]
)
def test_anything_else_is_a_no_and_an_error(
    shell: NotaryShell, answer: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    with pytest.raises(errors.ConfirmationNeededError) as raised:
        shell.agreed("Are you sure? (yes/no)  ")
    assert raised.value.message == "Aborting action."
    assert raised.value.why == (f"{why}; nothing was changed",)
    assert raised.value.exit_code != 0


def test_passphrases_are_asked_for_at_the_terminal_in_gos_words(
    shell: NotaryShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, answers = (
        list[str](),
        iter(["short", "long enough", "other than it", "long enough", "long enough"]),
    )

    def secret(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "secret", secret)
    chain = notaryshell.passphrases(shell.settings(), shell)
    assert chain.for_new(PassphraseRequest(KEYID, "targets/jeff", new=True)) == "long enough"
    new, again = (
        f"{word} passphrase for new targets/jeff key with ID abababa: " for word in ("Enter", "Repeat")
    )
    assert asked == [new, new, again, new, again]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "too short" in printed.err
    assert "Passphrases do not match. Please retry.\n" in printed.err


def test_the_worth_of_a_root_key_is_said_once() -> None:
    wording = notaryshell.NotarysWording()
    request = PassphraseRequest(KEYID, "root", new=True)
    questions = [wording.new(request) for _ in range(3)]
    assert [("most valuable" in question) for question in questions] == [True, False, False]
    assert all(
        question.endswith("Enter passphrase for new root key with ID abababa: ") for question in questions
    )


# -- tables, and the outermost frame


def test_a_table_is_gos() -> None:
    rows = [["targets/jeff", '"" <all paths>', "ab", "1"], ["", "b\n", "cd", ""]]
    assert table(["ROLE", "PATHS", "KEY IDS", "THRESHOLD"], rows) == (
        "ROLE            PATHS             KEY IDS    THRESHOLD\n"
        "----            -----             -------    ---------\n"
        'targets/jeff    "" <all paths>    ab         1\n'
        "                b\\n               cd         \n"
    )
    assert table(["#", "A"], []) == "#    A\n-    -\n"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (
            FileNotFoundError(2, "No such file or directory", "x"),
            1,
            "* fatal: x: No such file or directory\n",
        ),
        (ZeroDivisionError(), 1, "* fatal: unexpected ZeroDivisionError"),
    ],
)
def test_nothing_leaves_as_a_traceback(
    shell: NotaryShell,
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("notarypy.cli.gonotary.entry.version", fail)
    assert entry.run(["version"], shell) == code
    printed = capsys.readouterr().err
    assert printed.startswith(text)
    assert "Traceback" not in printed
    assert bool(printed) == bool(text)


@pytest.mark.parametrize("program", ["notary", "notarypy notary"])
def test_a_warning_names_the_program_that_was_called(program: str) -> None:
    text = "1 change is staged, and left alone: `notarypy notary publish a/b` publishes that"
    assert goerrors.of_warning(text, program) == text.replace("notarypy notary", program)


def test_nothing_is_made_without_standard_output(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = NotaryShell({"HOME": str(home), "NOTARY_ROOT_PASSPHRASE": "root passphrase"})
    monkeypatch.setattr(sys, "stdout", None)
    assert entry.run(["key", "generate"], shell) == 1
    assert not [*home.rglob("*.key")]


def test_what_could_not_be_printed_is_on_standard_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    shell = NotaryShell({"HOME": str(home), "NOTARY_ROOT_PASSPHRASE": "root passphrase"})
    monkeypatch.setattr(sys, "stdout", Full())
    assert entry.run(["key", "generate"], shell) == 1
    (key,) = home.rglob("*.key")
    assert key.stem in capsys.readouterr().err
