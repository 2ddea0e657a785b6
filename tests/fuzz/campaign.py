"""`scripts/fuzz`: throw bytes at the targets for a while, each in a process of its own.

What it is: atheris where it is installed, and otherwise random changes without its
guidance. What it is not: part of the test suite, which throws a few bytes at each target.

Rules:

1. Every target gets the same, bounded time. What is found is written to a folder, and
   a file from there can be run again alone.
2. An input that takes longer than ten seconds, or more than 2 GB, is a finding too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.targets import Target

_SLOW = 10
_MEGABYTES = 2048
_LONGEST = 1 << 16
_INTERESTING = (
    b"",
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e999",
    b'"',
    b"9" * 400,
    b"[" * 99,
)


def main(argv: Sequence[str]) -> int:
    """Run the targets that are named, or all, and return how many of them failed."""
    options = _options(argv)
    if options.file:
        _load(options.targets[0]).run(options.file.read_bytes())
        return 0
    if options.inside:
        return _inside(options.targets[0], options)
    if not guided():
        print(  # noqa: T201 - this talks to a person
            "fuzz: atheris is not installed: random changes without its guidance find less", file=sys.stderr
        )
    return min(sum(_in_a_process(name, options) for name in options.targets), 1)


def guided() -> bool:
    """Tell whether atheris is there."""
    return importlib.util.find_spec("atheris") is not None


def mutations(seeds: Sequence[bytes], numbers: random.Random) -> Iterator[bytes]:
    """Yield the seeds, and then changed ones without end."""
    yield from seeds
    while True:
        data = bytearray(numbers.choice(seeds))
        for _ in range(numbers.choice((1, 1, 1, 2, 4, 8))):
            start = numbers.randint(0, len(data))
            end = min(len(data), start + numbers.choice((0, 0, 1, 1, 4, 64)))
            data[start:end] = _piece(seeds, numbers)
        yield bytes(data[:_LONGEST])


def _piece(seeds: Sequence[bytes], numbers: random.Random) -> bytes:
    """Return a few bytes to put in: random, of note, or out of a seed."""
    kind = numbers.randrange(3)
    if kind == 0:
        return numbers.randbytes(numbers.choice((1, 1, 2, 8)))
    if kind == 1:
        return numbers.choice(_INTERESTING)
    seed = numbers.choice(seeds)
    start = numbers.randint(0, len(seed))
    return seed[start : start + numbers.choice((1, 8, 64, 512))]


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Throw bytes at what reads bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument(
        "--findings", type=Path, default=Path(".fuzz"), help="where findings are written (.fuzz)"
    )
    parser.add_argument("--file", type=Path, help="run one target on this file, and nothing else")
    parser.add_argument("--list", action="store_true", help="list the targets")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    from fuzz.targets import TARGETS

    unknown = set(options.targets) - set(TARGETS)
    if unknown or (options.file and len(options.targets) != 1):
        parser.error(f"unknown target: {', '.join(unknown)}" if unknown else "--file needs one target")
    if options.list:
        print(*TARGETS, sep="\n")  # noqa: T201 - this talks to a person
        parser.exit()
    options.targets = options.targets or list(TARGETS)
    return options


def _load(name: str) -> Target:
    from fuzz.targets import TARGETS, limit_work

    limit_work()
    return TARGETS[name]


def _in_a_process(name: str, options: argparse.Namespace) -> bool:
    """Run a target in a process that may die; tell whether it failed."""
    folder = options.findings / name
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fuzz: {name} for {options.seconds} seconds", flush=True)  # noqa: T201 - this talks to a person
    command = [sys.executable, "-m", "fuzz.campaign", "--inside", "--seconds", str(options.seconds)]
    failed = subprocess.run([*command, "--findings", str(folder), name], check=False).returncode != 0
    if failed:
        print(f"fuzz: {name} FAILED; the input is in {folder}/")  # noqa: T201 - the same
    return failed


def _inside(name: str, options: argparse.Namespace) -> int:
    return _with_atheris(name, options) if guided() else _without(name, options)


def _with_atheris(name: str, options: argparse.Namespace) -> int:
    """Let atheris choose the bytes; it ends the process by itself."""
    import tempfile

    atheris: Any = importlib.import_module("atheris")
    for module in [module for module in sys.modules if module.startswith(("notarypy", "fuzz.targets"))]:
        del sys.modules[module]  # they are imported again, with its probes
    with atheris.instrument_imports(include=["notarypy"]):
        target = _load(name)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-timeout={_SLOW}", f"-rss_limit_mb={_MEGABYTES}", f"-max_len={_LONGEST}"]
        limits += [
            f"-max_total_time={options.seconds}",
            f"-artifact_prefix={options.findings}/",
            "-verbosity=0",
        ]
        atheris.Setup([name, *limits, corpus], target.run)
        atheris.Fuzz()
    return 0


def _without(name: str, options: argparse.Namespace) -> int:
    """Change seeds at random (rule 1)."""
    target = _load(name)
    end = time.monotonic() + options.seconds
    for data in mutations(target.seeds(), random.Random()):
        started = time.monotonic()
        try:
            target.run(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            traceback.print_exc()
            return _found(options.findings, data)
        if time.monotonic() - started > _SLOW:
            return _found(options.findings, data)
        if time.monotonic() > end:
            break
    return 0


def _found(folder: Path, data: bytes) -> int:
    import hashlib

    (folder / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
