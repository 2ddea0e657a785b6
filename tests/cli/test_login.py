"""`login` and `logout`: where the password comes from, and what is printed."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text import terminal
from support.results import LOGGED_IN, LOGGED_OUT

if TYPE_CHECKING:
    from support.commands import Run, StubClient

HOST = LOGGED_IN.registry


@pytest.fixture(autouse=True)
def typed(stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    stub.answers |= {"images.login": LOGGED_IN, "images.logout": LOGGED_OUT}
    source = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(source))
    return source


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_password_from_standard_input(run: Run, stub: StubClient, typed: io.BytesIO, end: bytes) -> None:
    typed.write(b" s3 cret" + end)
    typed.seek(0)
    outcome = run("login", HOST, "-u", "jo", "--password-stdin").expect(0)
    assert outcome.out == f"logged in to {HOST} as jo; stored in /config.json\n"
    assert stub.calls == [("images.login", (HOST, "jo", " s3 cret"), {})]


def test_a_notary_server_that_takes_it_is_named(run: Run, stub: StubClient, typed: io.BytesIO) -> None:
    typed.write(b"s3cret")
    typed.seek(0)
    stub.answers["images.login"] = replace(LOGGED_IN, notary="https://n.test", notary_refusal=None)
    out = run("login", HOST, "-u", "jo", "--password-stdin").expect(0).out
    assert out.endswith("\nthe Notary server https://n.test takes the login too\n")


def test_who_azure_knows_us_by(run: Run, stub: StubClient) -> None:
    stub.answers["images.azure_login"] = replace(LOGGED_IN, user="00000000")
    assert run("login", HOST, "--azure").expect(0).out.startswith(f"logged in to {HOST} as 00000000; stored")
    assert stub.calls == [("images.azure_login", (HOST,), {})]


@pytest.mark.parametrize("argv", [["-u", "jo"], ["--password-stdin"]])
def test_azure_needs_no_password(run: Run, stub: StubClient, argv: list[str]) -> None:
    assert "leave the other options out" in run("login", HOST, "--azure", *argv).expect(2).err
    assert stub.calls == []


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_empty_standard_input_is_no_password(
    run: Run, stub: StubClient, typed: io.BytesIO, end: bytes
) -> None:
    typed.write(end)
    typed.seek(0)
    assert (
        "standard input had no password" in run("login", HOST, "-u", "jo", "--password-stdin").expect(2).err
    )
    assert stub.calls == []


@pytest.mark.parametrize("argv", [[], ["-u", "jo"], ["--password-stdin"], ["-u", "jo", "-p", "x"]])
def test_nobody_is_asked_without_a_terminal(run: Run, stub: StubClient, argv: list[str]) -> None:
    assert "fix: " in run("login", HOST, *argv).expect(2).err
    assert stub.calls == []


@pytest.mark.parametrize("argv", [[], ["-u", "jo"]])
def test_a_person_is_asked(
    run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    questions: list[str] = []

    def answered(question: str) -> str:
        questions.append(question)
        return "s3cret" if question.startswith("Password") else "jo"

    monkeypatch.setattr(terminal, "present", lambda: True)
    monkeypatch.setattr(terminal, "answer", answered)
    monkeypatch.setattr(terminal, "secret", answered)
    run("login", HOST, *argv).expect(0)
    assert stub.calls == [("images.login", (HOST, "jo", "s3cret"), {})]
    assert questions == [*([] if argv else [f"User of {HOST}: "]), f"Password of jo at {HOST}: "]


@pytest.mark.parametrize(
    ("erased", "said"),
    [
        (True, f"erased the login for {HOST} from /config.json"),
        (False, f"/config.json has no login for {HOST}"),
    ],
)
def test_logging_out(run: Run, stub: StubClient, erased: bool, said: str) -> None:
    stub.answers["images.logout"] = replace(LOGGED_OUT, erased=erased)
    assert run("logout", HOST).expect(0).out == f"{said}\n"
