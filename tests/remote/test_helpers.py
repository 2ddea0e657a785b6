from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import AuthenticationError, ConfigurationError, NotarypyError
from notarypy.limits import DEFAULT
from notarypy.remote.auth.credentials import Credential, Helper
from support.helpers import knowing, write_helper

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "/home/jo/.docker/config.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bin"


def helper(folder: Path, name: str = "test", timeout: float = 10, **environ: str) -> Helper:
    return Helper(name, CONFIG, {"PATH": f"{folder}{os.pathsep}{os.defpath}", **environ}, timeout)


def scripted(folder: Path, script: str, timeout: float = 10) -> Helper:
    write_helper(folder, "test", script)
    return helper(folder, timeout=timeout)


def shown(error: NotarypyError) -> str:
    """Return everything that anybody could print of an error."""
    trace = "".join(traceback.format_exception(error))
    return f"{error!r} {error.why} {advice(error)} {error.facts} {trace}"


def test_an_answer(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    found = scripted(folder, knowing({"h:5000": ("jo", "a:b\n")}, log)).get("h:5000")
    assert found == Credential("jo", "a:b\n", f"docker-credential-test (named in {CONFIG})")
    assert log.read_text() == "get h:5000\n"


def test_an_identity_token(folder: Path) -> None:
    found = scripted(folder, knowing({"h": ("<token>", "t0ken")})).get("h")
    assert found is not None
    assert (found.secret, found.kind) == ("t0ken", "identity")


@pytest.mark.parametrize(
    "script",
    [
        "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1",
        "cat >/dev/null; echo 'Error: Credentials not found in native keychain.'; exit 2",
        """echo '{"ServerURL": "h", "Username": "", "Secret": ""}'""",
        "echo '{}'",
    ],
    ids=["the text", "the text in another", "empty members", "no members"],
)
def test_knowing_nothing(folder: Path, script: str) -> None:
    assert scripted(folder, script).get("h") is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo s3cret; echo s3cret >&2; exit 1", "it ended with status 1"),
        ("exit 255", "it ended with status 255"),
        ("echo s3cret; kill -9 $$", "it was killed by signal 9"),
        ("echo s3cret", "its answer is no JSON object"),
        ("true", "its answer is no JSON object"),
        ("printf '\\377'", "its answer is no JSON object"),
        ("""echo '["s3cret"]'""", "its answer is no JSON object"),
        ("""echo '{"Username": "jo", "Secret": "s3cret"} trailing'""", "its answer is no JSON object"),
        ("""echo '{"Username": "jo"}'""", "its answer lacks a user or a secret"),
        ("""echo '{"Secret": "s3cret"}'""", "its answer lacks a user or a secret"),
        ("""echo '{"Username": "jo", "Secret": ["s3cret"]}'""", "its answer lacks a user or a secret"),
        ("""echo '{"Username": 1, "Secret": "s3cret"}'""", "its answer lacks a user or a secret"),
        ("""echo 'credentials not found in native keychain'""", "its answer is no JSON object"),
        (
            f"head -c {DEFAULT.helper_answer_bytes + 1} /dev/zero | tr '\\0' ' '; echo '{{}}'",
            "its answer is no JSON object",
        ),
    ],
)
def test_failures_are_told_without_the_output(folder: Path, script: str, why: str) -> None:
    failing = scripted(folder, script)
    with pytest.raises(AuthenticationError) as caught:
        failing.get("h:5000")
    error = caught.value
    assert error.message == "the credential helper docker-credential-test gave no credentials for h:5000"
    assert error.why == (
        f"{why}; what it wrote may be secret and is not shown",
        f"{CONFIG} names it",
    )
    assert advice(error) == "see what it says to: echo h:5000 | docker-credential-test get"
    assert "s3cret" not in shown(error)


def test_one_that_does_not_answer(folder: Path) -> None:
    number, end = folder.parent / "number", folder.parent / "end"
    slow = f"""echo $$ >{number}; echo s3cret
for _ in $(seq 100); do sleep 0.1; done
touch {end}"""
    silent = scripted(folder, slow, timeout=0.3)
    with pytest.raises(AuthenticationError) as caught:
        silent.get("h")
    assert not end.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
    assert caught.value.why[0].startswith("it did not answer within 0.3 seconds;")
    assert "s3cret" not in shown(caught.value)


def test_a_missing_one(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(ConfigurationError) as caught:
        helper(folder, "absent").get("h")
    assert caught.value.message == "the credential helper docker-credential-absent is not here"
    assert caught.value.why == ("no directory of PATH has it", f"{CONFIG} names it")
    assert advice(caught.value) == f"install docker-credential-absent, or take it out of {CONFIG}"


@pytest.mark.parametrize("content", ["", "#!/nonexistent/interpreter\n"])
def test_one_that_cannot_be_started(folder: Path, content: str) -> None:
    write_helper(folder, "test", "").write_text(content)
    if not content:
        (folder / "docker-credential-test").chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        helper(folder).get("h")
    assert caught.value.why[-1] == f"{CONFIG} names it"


@pytest.mark.parametrize(
    "name", ["../evil", "/bin/evil", "a/b", "", ".", "-x", "a b", "a;b", "a\n", "a\0", "é"]
)
def test_no_name_smuggles_in_a_path(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_helper(tmp_path / "docker-credential-..", "evil", "touch ran")
    write_helper(folder, "a", "touch ran")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        helper(folder, name).get("h")
    assert CONFIG in caught.value.message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("places", ["", ".", "bin", ":", "bin:."])
def test_the_working_directory_is_not_searched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: str
) -> None:
    write_helper(folder, "test", "touch ran")
    write_helper(tmp_path, "test", "touch ran")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="is not here"):
        Helper("test", CONFIG, {"PATH": places}).get("h")
    assert not (tmp_path / "ran").exists()


def test_no_shell_sees_the_server(folder: Path, tmp_path: Path) -> None:
    server = f"$(touch {tmp_path}/ran);`touch {tmp_path}/ran`"
    log = tmp_path / "log"
    assert scripted(folder, knowing({}, log)).get(server) is None
    assert log.read_text() == f"get {server}\n"
    assert not (tmp_path / "ran").exists()


def test_it_inherits_the_environment_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "x")
    script = """echo "{\\"Username\\": \\"$GIVEN\\", \\"Secret\\": \\"-$OF_THIS_PROCESS\\"}" """
    write_helper(folder, "test", script)
    found = helper(folder, GIVEN="jo").get("h")
    assert found is not None
    assert (found.user, found.secret) == ("jo", "-")


def test_one_that_does_not_read_its_input(folder: Path) -> None:
    found = scripted(folder, """exec <&-; echo '{"Username": "jo", "Secret": "x"}'""").get("h" * 100_000)
    assert found is not None


def test_its_environment_stays_out_of_sight(folder: Path) -> None:
    assert "s3cret" not in repr(helper(folder, NOTARY_AUTH="s3cret"))
