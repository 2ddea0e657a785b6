"""Chromium without a screen: what it shows of a page, complains of, asks for, and prints.

It is told what to do through two pipes, as its developer tools are. All that it asks a network for goes to a
proxy that answers nothing and notes who came.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CALM = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--remote-debugging-pipe",
)  # fmt: skip
HOME = programs.UNPACKED.parent / "browser" / "usr"
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias></fontconfig>"""

_WIDER = """[...document.querySelectorAll('h1, h2, h3, p, li, img, dt, table, pre, th, td, svg')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('{}'))
    .map(e => e.outerHTML.slice(0, 80))"""


def program() -> Path:
    """Return the browser that scripts/setup has brought."""
    found = HOME / "lib" / "chromium" / "chromium-headless-shell"
    if not found.exists():
        raise LookupError("chromium is not unpacked: run scripts/test, it brings what the tests need")
    return found


@dataclass
class Browser:
    """A browser with one tab.

    Attributes:
        complaints: What it wrote to its console, and errors of pages.
        requests: The addresses of all that pages asked for, their own included.
        visitors: What came to the proxy.
    """

    process: subprocess.Popen[bytes]
    commands: int
    answers: Any
    visitors: list[bytes]
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _number: int = 0
    _session: str = ""

    def call(self, method: str, **wanted: Any) -> Any:  # noqa: ANN401 - any command of the protocol
        """Give a command, and return its result; what happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": wanted}
        os.write(self.commands, json.dumps(message | self._tab()).encode() + b"\0")
        while (answer := self._answer()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path, *, query: str = "", width: int = 1280, scripts: bool = True) -> Self:
        """Show a page in a window of a width."""
        self.complaints.clear()
        self.requests.clear()
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.call("Page.navigate", url=page.as_uri() + (f"?{query}" if query else ""))
        while True:
            event = self._answer()
            self._note(event)
            if event.get("method") == "Page.loadEventFired":
                return self

    def value(self, expression: str) -> Any:  # noqa: ANN401 - any value of JSON
        """Return what an expression is on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wider(self, but_for: str) -> list[str]:
        """Return what is wider than the window, but for what is in places that are moved by themselves."""
        found: list[str] = self.value(_WIDER.format(but_for))
        whole = self.value("document.documentElement.scrollWidth > innerWidth")
        return found + ["the page"] * whole

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def begin(self) -> None:
        """Go to the tab, and note from now on."""
        (target,) = (one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _tab(self) -> dict[str, str]:
        return {"sessionId": self._session} if self._session else {}

    def _answer(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser has ended"
            data += byte
        found: dict[str, Any] = json.loads(data)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                self.complaints.append(about["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(about))
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Start a browser with its files in a folder, and end it."""
    environment = {"HOME": str(folder), "PATH": programs.SEARCH_PATH, "LANG": "C.UTF-8", **_libraries(folder)}
    with _proxy() as (port, visitors):
        argv = [str(program()), *_CALM, f"--proxy-server=127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>"]
        argv += [f"--user-data-dir={folder / 'profile'}", "about:blank"]
        theirs, commands = os.pipe()
        answers, ours = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{ours}', "bash", *argv]
        with (folder / "browser.log").open("wb") as log:
            process = subprocess.Popen(
                shell,
                env=environment,
                stdout=log,
                stderr=log,
                pass_fds=(theirs, ours),
                start_new_session=True,
            )
        os.close(theirs)
        os.close(ours)
        with open(answers, "rb", closefd=True) as reading:  # noqa: PTH123 - a descriptor, no path
            browser = Browser(process, commands, reading, visitors)
            try:
                browser.begin()
                yield browser
            finally:
                os.close(commands)  # which is how it is told to end
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _libraries(folder: Path) -> dict[str, str]:
    """Return where its libraries and the font are."""
    places = [place for inside in ("lib/*-linux-gnu*", "lib/*/pulseaudio") for place in HOME.glob(inside)]
    (folder / "fonts.conf").write_text(_FONTS.format(fonts=HOME / "share" / "fonts", cache=folder / "fonts"))
    libraries = os.pathsep.join(map(str, [*places, *HOME.parent.glob("lib/*-linux-gnu*")]))
    return {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(folder / "fonts.conf")}


@contextmanager
def _proxy() -> Iterator[tuple[int, list[bytes]]]:
    """Listen for whoever wants to go anywhere, note the first words, and hang up."""
    visitors: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    visitor, _ = listening.accept()
                except OSError:
                    return
                with visitor:
                    visitor.settimeout(5)
                    visitors.append(visitor.recv(200))

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], visitors
        listening.shutdown(socket.SHUT_RDWR)
