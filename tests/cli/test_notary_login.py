"""User and password of a Notary server, which `notary` asks for where somebody can answer."""

from __future__ import annotations

import io
import json
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.gonotary.notaryshell import NotaryShell
from notarypy.cli.text import terminal
from notarypy.devserver.calls import Login, notary_scope
from notarypy.devserver.core import NOTARY_HOST
from notarypy.values import replace
from support.fakes import Clock, repeatable_random

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from support.commands import Run

GUN, CONTENT = "docker.io/alice/app", b"content"
ASKED = "Enter username: Enter password: \n"
LOGIN = "dev\nsecret\n"


@pytest.fixture(autouse=True)
def guarded(fake: Fake) -> None:
    """Let nobody in without a login."""
    fake.services[NOTARY_HOST] = Login(
        fake.services[NOTARY_HOST],
        notary_scope,
        kind="token",
        users={"dev": "secret"},
        clock=Clock(),
        random=repeatable_random(),
    )


@pytest.fixture
def owned(notary: Run, home: Path) -> None:
    """Publish a target."""
    (home / "file").write_bytes(CONTENT)
    notary("init", GUN, "-p", typed=LOGIN).expect(0)
    notary("add", GUN, "v1", "file", "-p", typed=LOGIN).expect(0)


def test_it_is_asked_for_once_on_standard_output(notary: Run) -> None:
    done = notary("init", GUN, "-p", typed=LOGIN).expect(0)
    assert done.out.startswith(ASKED)
    assert "secret" not in done.out + done.err


def test_a_question_before_it_leaves_it_what_follows(notary: Run, owned: None) -> None:  # noqa: ARG001
    done = notary("key", "rotate", GUN, "root", typed=f"yes\n{LOGIN}").expect(0)
    assert f"(yes/no)  {ASKED}Successfully rotated root key" in done.out
    done = notary("delete", "--remote", GUN, typed=LOGIN).expect(0)
    assert ASKED in done.out


@pytest.mark.parametrize("typed", [None, "", "\n", "dev\n", "dev\nwrong\n"])
def test_without_a_right_answer_it_is_an_error(notary: Run, typed: str | None) -> None:
    done = notary("list", GUN, typed=typed).expect(7)
    assert done.out in {"", "Enter username: \n", ASKED}
    assert (typed is None) == (not done.out)
    if typed != "dev\nwrong\n":
        assert "NOTARY_AUTH" in done.err.splitlines()[-1]


def test_a_login_that_is_known_is_not_asked_for(
    notary: Run,
    monkeypatch: pytest.MonkeyPatch,
    owned: None,  # noqa: ARG001
) -> None:
    monkeypatch.setenv("NOTARY_AUTH", b64encode(b"dev:secret").decode())
    assert not notary("list", GUN, typed="").expect(0).out.startswith("Enter")


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({"credsStore": "no-such-helper"}, True),
        ({"credHelpers": {NOTARY_HOST: "no-such-helper"}}, True),
        ("no JSON", True),
        ({"auths": {NOTARY_HOST: {"auth": "no base64"}}}, True),
        ({"auths": {NOTARY_HOST: {"auth": b64encode(b"dev:changed since").decode()}}}, False),
        ({"auths": {NOTARY_HOST: {"auth": b64encode(b"dev:x").decode(), "identitytoken": "old"}}}, False),
    ],
)
def test_dockers_login_that_is_of_no_use_is_none(
    notary: Run,
    home: Path,
    owned: None,  # noqa: ARG001
    config: object,
    *,
    warned: bool,
) -> None:
    (home / ".docker").mkdir()
    file = home / ".docker" / "config.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    done = notary("add", GUN, "v2", "file", "-p", typed=LOGIN).expect(0)
    assert done.out.count(ASKED) == 1
    assert done.err.count(f"no login is taken from {file}: ") == warned
    assert done.err.count("warning: ") == warned
    notary("remove", GUN, "v2", "-p", typed="").expect(7)


@pytest.mark.parametrize(
    "entry", [{"auth": b64encode(b"dev:old").decode()}, {"identitytoken": "old"}, {"registrytoken": "old"}]
)
def test_a_server_that_wants_a_password_may_refuse_one_too(
    notary: Run,
    home: Path,
    fake: Fake,
    owned: None,  # noqa: ARG001
    entry: dict[str, str],
) -> None:
    service = fake.services[NOTARY_HOST]
    assert isinstance(service, Login)
    fake.services[NOTARY_HOST] = replace(service, kind="basic")
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {NOTARY_HOST: entry}}))
    done = notary("add", GUN, "v2", "file", "-p", typed=LOGIN).expect(0)
    assert (done.out.count(ASKED), done.err) == (1, "")
    assert notary("list", GUN, typed="dev\nwrong\ndev\nsecret\n").expect(7).out == ASKED


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG"])
def test_a_place_of_logins_that_was_named_is_no_extra(
    notary: Run,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    owned: None,  # noqa: ARG001
    variable: str,
) -> None:
    (home / "config.json").write_text("no JSON")
    values = {"DOCKER_AUTH_CONFIG": "no JSON", "DOCKER_CONFIG": str(home)}
    monkeypatch.setenv(variable, values.get(variable, str(home / "config.json")))
    done = notary("list", GUN, typed=LOGIN).expect(2)
    assert (done.out, "it is not JSON" in done.err) == ("", True)


def test_content_is_no_login_and_a_question_is_no_content(
    notary: Run,
    home: Path,
    owned: None,  # noqa: ARG001
) -> None:
    done = notary("verify", GUN, "v1", typed=LOGIN).expect(7)
    assert (done.out, "NOTARY_AUTH" in done.err) == ("", True)
    done = notary("verify", GUN, "v1", "-i", "file", typed=LOGIN).expect(0)
    assert (done.out, done.err) == (CONTENT.decode(), ASKED)
    done = notary("verify", GUN, "v1", "-i", "file", "-o", "copy", typed=LOGIN).expect(0)
    assert (done.out, (home / "copy").read_bytes()) == (ASKED, CONTENT)


def test_at_a_terminal_the_password_is_typed_unseen(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Typed(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Typed("dev\nnot the password\n"))
    monkeypatch.setattr(terminal, "unseen", lambda stream: f"secret to {stream is sys.stdout}")
    assert NotaryShell({"HOME": str(home)}).login() == ("dev", "secret to True")
    assert capsys.readouterr().out == "Enter username: Enter password: "
