"""Ctrl-C in the first moments of a program, while its modules are loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# Interrupts this process when it is about to load a module, as Ctrl-C does it.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who started it may ignore it
from notarypy.cli import main
start, module = sys.argv[2], sys.argv[1]
class Interrupting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting)
sys.argv = [start, *sys.argv[3:]]
sys.modules.pop(module, None)
getattr(main, start)()
"""
LOADED = """
import os, sys
before = set(sys.modules)
import notarypy.cli.main
found = set(sys.modules) - before - set(sys.builtin_module_names)
print(*sorted(found))
"""


def python(program: str, *argv: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of Python."""
    env = {"HOME": str(home), "PATH": os.defpath}
    line = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}", *argv]
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("start", "module"),
    [
        ("main", "notarypy.system"),
        ("main", "notarypy.cli.run"),
        ("main", "notarypy.cli.app"),
        ("main", "notarypy.cli.key"),
        ("main", "notarypy.keys.keystore"),
        ("notary", "notarypy.cli.gonotary.entry"),
        ("notary", "notarypy.cli.cobra"),
        ("notary", "notarypy.storage.settings.settings"),
        ("notary", "logging"),
        ("notary", "notarypy.cli.gonotary.signingkeys"),
        ("docker_trust", "notarypy.cli.dockertrust.program"),
        ("docker_trust", "notarypy.cli.dockertrust.grammar"),
    ],
)
def test_an_interrupt_while_modules_are_loaded_is_clean(start: str, module: str, tmp_path: Path) -> None:
    done = python(PROGRAM, module, start, "key", "list", home=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr in {"", "notarypy: error: interrupted [interrupted]\n"}


def test_next_to_nothing_is_loaded_before(tmp_path: Path) -> None:
    done = python(LOADED, home=tmp_path)
    assert done.stderr == ""
    assert {*done.stdout.split()} <= {"notarypy", "notarypy.cli", "notarypy.cli.main", "__future__"}
