"""The service's log: a line for each request, and what the package itself logs, on standard error.

What it is: one handler for loggers of `logging`, which writes lines of JSON or of text in a thread of its
own. What it is not: a choice of what is logged; who decides something logs it.

Rules:

1. No line has a header, a body or a secret: a request's line has what `asgi` names, and nothing else of it.
2. A line is one line, whatever is in it, and not longer than `LINE_CHARS`.
3. Whoever logs never waits for whoever reads: where nobody reads the lines, `_KEPT` of them are kept, those
   that come after are dropped, and how many is said as soon as there is room.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

Form = Literal["text", "json"]
REQUESTS = logging.getLogger("notarypy.service.requests")
_SERVICE = logging.getLogger("notarypy.service")

LINE_CHARS = 16_384
_CUT_CHARS = (1000, 64)
_KEPT = 10_000
_JOIN_SECONDS = 2.0
_TOGETHER_SECONDS = 0.02
# What other libraries say is of interest when something broke, and may quote what somebody sent otherwise.
_OTHERS = ("uvicorn.error", "asyncio")


def request(level: int, facts: Mapping[str, object]) -> None:
    """Log an answered request."""
    if REQUESTS.isEnabledFor(level):
        REQUESTS.log(level, "request", extra={"facts": facts})


class LogLines(logging.Handler):
    """Writes lines to a stream in the background, while it is entered (rule 3)."""

    def __init__(self, stream: TextIO, form: Form, level: int = logging.WARNING) -> None:
        """`level` is that of the package's own log; the service's is INFO, or that."""
        super().__init__()
        self._stream, self._own = stream, level
        self._line = _as_json if form == "json" else _as_text
        self._lines: queue.Queue[str | None] = queue.Queue(_KEPT)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> Self:
        """Take over the loggers."""
        for name, level in self._levels().items():
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.addHandler(self)
            logger.propagate = False
        _SERVICE.setLevel(min(self._own, logging.INFO))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the loggers back, and write what is left."""
        for name in self._levels():
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.setLevel(logging.NOTSET)
            logger.propagate = True
        _SERVICE.setLevel(logging.NOTSET)
        with suppress(queue.Full):
            self._lines.put(None, timeout=_JOIN_SECONDS)
        self._thread.join(_JOIN_SECONDS)

    def _levels(self) -> dict[str, int]:
        return {"notarypy": self._own, **dict.fromkeys(_OTHERS, logging.ERROR)}

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line to the thread that writes."""
        try:
            self._lines.put_nowait(self._line(_facts(record)))
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            # Lines that come together are written together: each time that this thread wakes up, it takes the
            # interpreter away from one that answers.
            time.sleep(_TOGETHER_SECONDS)
            lines = [line]
            with suppress(queue.Empty):
                while (line := self._lines.get_nowait()) is not None:
                    lines.append(line)
            self._put_out(lines)
            if line is None:
                return

    def _put_out(self, lines: list[str]) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            facts = {"time": _moment(time.time()), "level": "WARNING", "message": "log lines were dropped"}
            lines.insert(0, self._line({**facts, "dropped": dropped}))
        with suppress(OSError, ValueError):  # there is nobody left to say it to
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = {"time": _moment(record.created), "level": record.levelname}
    if (own := getattr(record, "facts", None)) is not None:
        return {**facts, **own}
    facts |= {"logger": record.name, "message": record.getMessage()}
    if record.exc_info and record.exc_info[1] is not None:
        facts["error"] = _origin(record.exc_info[1])
    return facts


def _origin(error: BaseException) -> str:
    """Return the class of an error and where it was raised: its text may quote anything."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def _moment(seconds: float) -> str:
    whole = int(seconds)
    shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{shown}.{int((seconds - whole) * 1000):03d}Z"


def _as_json(facts: Mapping[str, object]) -> str:
    line = json.dumps(facts, separators=(",", ":"), default=str)
    for most in _CUT_CHARS:  # what is left has to be JSON still
        if len(line) > LINE_CHARS:
            cut = {name: value[:most] if isinstance(value, str) else value for name, value in facts.items()}
            kept = {name: value for name, value in cut.items() if not isinstance(value, dict | list)}
            line = json.dumps({**kept, "cut": True}, separators=(",", ":"), default=str)
    return line


def _as_text(facts: Mapping[str, object]) -> str:
    rest = dict(facts)
    words = [str(rest.pop("time")), str(rest.pop("level"))]
    words += [str(rest.pop(name)) for name in ("logger", "method", "path", "message") if name in rest]
    words += [f"{name}={_value(value)}" for name, value in rest.items()]
    line = " ".join(words)[:LINE_CHARS]
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)[:LINE_CHARS]


def _value(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, default=str)
        if isinstance(value, dict | list)
        else str(value)
    )
