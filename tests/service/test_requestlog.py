"""The service's log: lines, whatever is in them, and nobody who waits for their reader."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from notarypy.service import requestlog
from notarypy.service.requestlog import LogLines

if TYPE_CHECKING:
    from notarypy.service.requestlog import Form

OURS = logging.getLogger("notarypy.tuf.trusted")
PATIENCE = 10


def written(form: Form, *records: tuple[int, str], level: int = logging.WARNING) -> list[str]:
    stream = io.StringIO()
    with LogLines(stream, form, level):
        for number, text in records:
            OURS.log(number, "%s", text)
    return stream.getvalue().splitlines()


def test_a_line_of_json() -> None:
    stream = io.StringIO()
    with LogLines(stream, "json"):
        requestlog.request(logging.INFO, {"id": "a", "path": "/x\n", "images": [{"image": "b"}]})
        requestlog.request(logging.DEBUG, {"id": "never"})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "INFO", "id": "a", "path": "/x\n", "images": [{"image": "b"}]}


def test_a_line_of_text_is_one_line() -> None:
    stream = io.StringIO()
    with LogLines(stream, "text"):
        facts = {"method": "GET", "path": "/\x1b[1m\nx", "status": 404, "ms": 1.5, "codes": ["a"]}
        requestlog.request(logging.INFO, facts)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(' INFO GET /\\x1b[1m\\nx status=404 ms=1.5 codes=["a"]')


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_the_package_logs_goes_the_same_way(form: Form) -> None:
    records = [(logging.DEBUG, "one"), (logging.INFO, "two"), (logging.WARNING, "three\nfour\u2028five")]
    assert len(written(form, *records)) == 1
    assert len(written(form, *records, level=logging.INFO)) == 2
    (line,) = written(form, *records)
    assert "notarypy.tuf.trusted" in line
    assert all(line.isprintable() for line in written(form, *records, level=logging.DEBUG))
    assert not OURS.isEnabledFor(logging.INFO)
    assert not logging.getLogger("notarypy").handlers


def test_a_long_line_is_cut() -> None:
    (line,) = written("text", (logging.ERROR, "x" * 100_000))
    assert len(line) == requestlog.LINE_CHARS
    for text, kept in (("x" * 100_000, 1000), ("\U0001f600" * 100_000, 1000)):
        (line,) = written("json", (logging.ERROR, text))
        assert json.loads(line)["message"] == text[:kept]
        assert len(line) <= requestlog.LINE_CHARS
    stream = io.StringIO()
    with LogLines(stream, "json"):
        words = dict.fromkeys("abcdefghijk", "\U0001f600" * 256)
        requestlog.request(logging.INFO, {"id": "a", "images": [{"image": "\0" * 256}] * 16, **words})
    assert len(stream.getvalue()) <= requestlog.LINE_CHARS
    assert json.loads(stream.getvalue())["id"] == "a"


def test_an_error_is_its_class_and_its_place_and_no_text() -> None:
    stream = io.StringIO()
    with LogLines(stream, "json"):
        try:
            int("hunter2")
        except ValueError:
            OURS.exception("it failed")
    found = json.loads(stream.getvalue())
    assert found["error"].startswith("ValueError at ")
    assert "hunter2" not in stream.getvalue()


def test_other_libraries_are_heard_when_something_broke() -> None:
    stream = io.StringIO()
    with LogLines(stream, "text"):
        for name in ("uvicorn.error", "asyncio"):
            logging.getLogger(name).warning("never")
            logging.getLogger(name).error("broken")
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "ERROR uvicorn.error broken",
        "ERROR asyncio broken",
    ]


class Stuck(io.StringIO):
    """A stream that takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.go_on.wait(PATIENCE)
        return super().write(text)


def test_nobody_waits_for_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestlog, "_KEPT", 3)
    stream = Stuck()
    with LogLines(stream, "text"):
        OURS.error("first")
        assert stream.entered.wait(PATIENCE)
        for number in range(10):
            OURS.error("line %s", number)
        stream.go_on.set()
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ERROR notarypy.tuf.trusted first",
        "WARNING log lines were dropped dropped=7",
        *(f"ERROR notarypy.tuf.trusted line {number}" for number in range(3)),
    ]


def test_a_reader_that_went_away_is_no_reason_to_stop() -> None:
    stream = io.StringIO()
    stream.close()
    with LogLines(stream, "text"):
        OURS.error("never")
