"""What a command costs, without a clock: instructions, memory, modules, connections, requests and rounds.

Run by `scripts/costs`.

Rules:

1. Instructions are counted by valgrind's cachegrind without its caches: the same count as callgrind's in half
   of the time. The hash seed is fixed and all byte code is there; two runs differ by less than a thousandth.
2. Memory is the peak that the kernel tells a parent about. The parent is small, for the peak of a program is
   never less than what its parent had.
3. Requests are counted by the gateways of `rounds`, in step with the program.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs, services, workloads
from support import scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interop.harness.rounds import Traffic
    from interop.harness.workloads import Command, Laboratory

VALGRIND = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
PARENT = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
# Started like a command, but always the same: libraries read, expressions compiled, JSON and hashes.
REFERENCE = """
import argparse, ast, dataclasses, email.message, hashlib, http.client, inspect, json, re, ssl, typing
data = [{"name": f"tag{number}", "size": number} for number in range(300)]
hashlib.sha256(json.dumps(json.loads(json.dumps(data, indent=1))).encode()).hexdigest()
re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?")
"""


@dataclass(frozen=True)
class Python:
    """The Python whose notarypy is measured."""

    executable: Path = Path(sys.executable)

    def started(self, command: Command, *options: str) -> list[str]:
        """Return the command line, as the script is run; options are Python's own."""
        script = command.script or self.executable.with_name("notarypy")
        return [str(self.executable), *options, str(script), *command.arguments]

    def compile(self) -> None:
        """Write the byte code of the package, which a first run would do otherwise (rule 1)."""
        program = "import compileall, notarypy; compileall.compile_dir(notarypy.__path__[0], quiet=1)"
        programs.run([str(self.executable), "-c", program], {}).expect(0)


def instructions(command: Command, python: Python) -> int:
    """Return how many instructions a command takes."""
    return _counted(python.started(command), command.person.environment)


def reference(python: Python, home: Path) -> int:
    """Return how many instructions the reference program takes: they tell how this Python was built."""
    return _counted([str(python.executable), "-c", REFERENCE], {"HOME": str(home), "PYTHONHASHSEED": "0"})


def _counted(argv: Sequence[str], environment: dict[str, str]) -> int:
    valgrind, more = programs.valgrind()
    process = programs.start([*valgrind, *VALGRIND, *argv], {**environment, **more})
    run = programs.collect(process, timeout=600).expect(0)
    (found,) = re.findall(r"I\s+refs:\s+([\d,]+)", run.stderr)
    return int(found.replace(",", ""))


@dataclass(frozen=True)
class Seen:
    """What was seen of one run: what passed, the peak of memory in MiB, the modules that were loaded.

    With each module come the microseconds that it took: a hint, no measure.
    """

    traffic: Traffic
    memory: float
    modules: dict[str, int]


def watch(lab: Laboratory, command: Command, python: Python) -> Seen:
    """Run a command in step with its servers."""
    argv = [sys.executable, "-I", "-S", "-c", PARENT, *python.started(command, "-X", "importtime")]
    with lab.conductor.in_step() as traffic:
        process = programs.start(argv, command.person.environment)
        lab.conductor.follow(process.pid)
        run = programs.collect(process).expect(0)
    found = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)$", run.stderr, re.MULTILINE)
    peak = int(run.stderr.split()[-1]) / 1024
    return Seen(traffic, peak, {name: int(spent) for spent, name in found})


def command_line() -> argparse.ArgumentParser:
    """Return what the script understands."""
    parser = scripts.Parser("scripts/costs", "What commands cost, without a clock.")
    parser.add_argument(
        "workloads", metavar="WORKLOAD", nargs="*", type=_workload, help=", ".join(workloads.WORKLOADS)
    )
    parser.add_argument(
        "--of",
        metavar="DIR",
        type=_checkout,
        default=Python(),
        help="measure this checkout's notarypy, in its .venv",
    )
    parser.add_argument(
        "--imports", metavar="N", type=scripts.whole(0), default=0, help="name the N slowest modules"
    )
    parser.add_argument("--no-instructions", action="store_true", help="leave out what takes long")
    return parser


def _workload(text: str) -> str:
    if text not in workloads.WORKLOADS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(workloads.WORKLOADS)}")
    return text


def _checkout(text: str) -> Python:
    python = Python(Path(text).absolute() / ".venv" / "bin" / "python")
    for program in (python.executable, python.executable.with_name("notarypy")):
        if not program.is_file():
            raise argparse.ArgumentTypeError(f"{text!r} has no {program}: scripts/setup makes it there")
    return python


def main(arguments: Sequence[str]) -> int:
    """Print what workloads cost, one a line."""
    options = command_line().parse_args(arguments)
    python: Python = options.of
    python.compile()
    with scripts.folder("notarypy-costs-") as directory, contextlib.ExitStack() as stack:
        authority = services.Authority(directory / "ca")
        notary = stack.enter_context(services.notary_server(directory / "notary", authority))
        registry = stack.enter_context(services.registry(directory / "registry"))
        lab = stack.enter_context(workloads.laboratory(directory, authority, notary, registry))
        _say(f"{'':28} M instr.    MiB  modules  rounds  connections/requests")
        if not options.no_instructions:
            _say(f"{'(reference)':28} {reference(python, directory) / 1e6:8.1f}")
        for workload in options.workloads or workloads.WORKLOADS:
            _report(lab, workload, python, options)
    return 0


def _report(lab: Laboratory, workload: str, python: Python, options: argparse.Namespace) -> None:
    prepare = workloads.WORKLOADS[workload]
    seen = watch(lab, prepare(lab), python)
    passed, loaded = seen.traffic, seen.modules
    for _ in range(4 if options.imports else 0):
        again = watch(lab, prepare(lab), python).modules
        loaded = {name: min(spent, again.get(name, spent)) for name, spent in loaded.items()}
    count = "" if options.no_instructions else f"{instructions(prepare(lab), python) / 1e6:.1f}"
    counts = f"{count:>8} {seen.memory:6.1f} {len(loaded):8} {len(passed.rounds):7}"
    asked = [f"{name} {passed.connections[name]}/{passed.requests[name]}" for name in sorted(passed.requests)]
    _say(f"{workload:28} {counts}  {', '.join(asked)}")
    for module in sorted(loaded, key=lambda name: -loaded[name])[: options.imports]:
        _say(f"{'':10} {loaded[module]:6} us {module}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(scripts.run("scripts/costs", lambda: main(sys.argv[1:])))
