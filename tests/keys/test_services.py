"""What services that hold keys have in common: what is shown of them, waiting, and processes."""

from __future__ import annotations

import errno
import os

import pytest

from notarypy.errors import (
    Advice,
    ConfigurationError,
    DeadlineError,
    NetworkError,
    NotarypyError,
    ServerError,
    ThrottledError,
    TlsError,
    UnreachableError,
)
from notarypy.keys.signers import services
from support.counting import TOO_MUCH, growth

TOKEN = "ya29.a0AfH6SMBx0123456789abcdefghijklmnopqrstuvwxyz-_"
KEY_ID = "9e70eed386b7900fff97c1e67f831d083b9920989ae70dcbcb2ef7252e192609"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Quota\r\nexceeded\x1b[31m for\tthis", "Quota exceeded [31m for this"),
        (f"token {TOKEN} is old", "token ... is old"),
        ("eyJhbGciOiJub25lIn0.e30. is old", "... is old"),
        ("proxy http://me:secret@proxy:3128 failed", "proxy http://...proxy:3128 failed"),
        (f"there is no key {KEY_ID}", f"there is no key {KEY_ID}"),
        ("Trace ID: 11111111-2222-3333-4444-555555555555", "Trace ID: 11111111-2222-3333-4444-555555555555"),
        ("word " * 100, ("word " * 48)[:237] + "..."),
    ],
)
def test_what_is_shown_is_one_short_line_without_secrets(text: str, shown: str) -> None:
    assert services.said(text) == shown


@pytest.mark.parametrize("odd", ["a", "//", "a@", "eyJ", "a.", "~ "])
def test_a_long_text_takes_no_longer_for_what_is_in_it(odd: str) -> None:
    assert growth(services.said, lambda count: odd * count, 4000) < TOO_MUCH
    assert len(services.said(odd * 200_000)) <= 240


@pytest.mark.parametrize(
    ("header", "wait"),
    [(None, 1.0), ("7", 7.0), ("-1", 0.0), ("nan", 0.0), ("tomorrow", 86400.0), ("1e9", 86400.0)],
)
def test_a_wait_is_a_number_of_seconds(header: str | None, wait: float) -> None:
    error = services.refused("token:one", 429, "busy", Advice("enable-key"), header)
    assert isinstance(error, ThrottledError)
    assert error.facts["retry_after"] == wait


def test_what_may_not_be_waited_for_is_asked_once() -> None:
    asked: list[float] = []

    def busy(seconds: float) -> None:
        asked.append(seconds)
        raise ThrottledError("busy", retry_after=seconds)

    with pytest.raises(ThrottledError):
        services.in_time(busy, 5)
    assert asked == [5]


@pytest.mark.parametrize("error", [DeadlineError("slow", retry_after=0.0), ServerError("no number")])
def test_what_took_too_long_or_says_no_wait_is_not_asked_again(error: NetworkError) -> None:
    asked: list[float] = []

    def fail(seconds: float) -> None:
        asked.append(seconds)
        raise error

    with pytest.raises(NetworkError):
        services.in_time(fail, 5)
    assert len(asked) == 1


class _SSLError(Exception):
    """Named as in the libraries."""


class _ReadTimeoutError(Exception):
    """Named as in the libraries."""


class _InvalidURLError(ValueError):
    """Named as in the libraries."""


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (_SSLError("bad"), TlsError),
        (_ReadTimeoutError("slow"), DeadlineError),
        (ConnectionError("no way"), UnreachableError),
        (OSError(errno.ENETUNREACH, "no way"), UnreachableError),
        (_InvalidURLError("no address"), ConfigurationError),
        (FileNotFoundError(errno.ENOENT, "no file", "ca.pem"), ConfigurationError),
    ],
)
@pytest.mark.parametrize("way", ["cause", "argument", "reason", "inner_exception"])
def test_the_innermost_error_says_what_it_was(inner: Exception, kind: type[NotarypyError], way: str) -> None:
    outer = RuntimeError(inner if way == "argument" else "outer")
    if way == "cause":
        outer.__cause__ = inner
    elif way != "argument":
        setattr(outer, way, inner)
    found = services.unreached("Somebody", "token:one", outer)
    assert type(found) is kind
    assert found.why == (services.reason(inner),)


def test_a_fork_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = services.PerProcess(object)
    mine = made()
    assert made() is mine
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert made() is not mine
