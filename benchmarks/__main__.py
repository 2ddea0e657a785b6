"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import builds, lab, tables
from benchmarks.machine import facts
from benchmarks.measuring import ROUND_TRIPS, Row, cells
from benchmarks.processes import ProgramFailedError
from benchmarks.signing import TAGS
from benchmarks.workloads import ROWS
from support import scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.lab import Lab
    from benchmarks.measuring import Workload

PAGE = builds.ROOT / "docs" / "performance.md"
SMOKE = argparse.Namespace(only=["verify-warm"], rtt=[0], runs=1)


def command_line() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    known = [row.name for row in ROWS]
    parser = scripts.Parser("scripts/bench", "How fast notarypy is beside the others.")
    parser.add_argument(
        "--only", type=scripts.words, default=[], metavar="ROW,...", help=f"of {', '.join(known)}"
    )
    parser.add_argument(
        "--rtt",
        type=scripts.wholes(0),
        default=list(ROUND_TRIPS),
        metavar="MS,...",
        help="round trips (default 0,20,50,100)",
    )
    parser.add_argument(
        "--runs", type=scripts.whole(1), default=5, help="turns of each contestant (default 5)"
    )
    parser.add_argument(
        "--patience",
        type=scripts.seconds,
        default=6,
        metavar="S",
        help="seconds after which a cell ends (default 6)",
    )
    parser.add_argument(
        "--against", type=_revision, metavar="REV", help="another commit that takes turns, too"
    )
    parser.add_argument(
        "--json", type=scripts.destination, metavar="FILE", help="write everything there, after each row"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown at the end")
    parser.add_argument(
        "--write-docs", action="store_true", help=f"put it into {PAGE.relative_to(builds.ROOT)}"
    )
    parser.add_argument("--smoke", action="store_true", help="one row, no distance, one turn: does it work?")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    return parser


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line()
    chosen = parser.parse_args(arguments, SMOKE if "--smoke" in arguments else None)
    if unknown := set(chosen.only) - {row.name for row in ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if not 0 < chosen.runs * len(chosen.rtt) < TAGS:
        parser.error(f"turns and distances are 1 to {TAGS - 1} together: each turn signs a tag of its own")
    return chosen


def _revision(text: str) -> str:
    try:
        return builds.known(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def measured(workload: Workload, running: Lab, report: tables.Report, chosen: argparse.Namespace) -> Row:
    """Measure one row, and print each cell as soon as it is there."""
    print(f"{workload.name}: {workload.title}", flush=True)
    begin = time.monotonic()
    contestants = workload.enter(running)
    ready = time.monotonic() - begin
    row = Row(workload, ())
    for cell in cells(workload, running, contestants, chosen.rtt, runs=chosen.runs, patience=chosen.patience):
        row = Row(workload, (*row.cells, cell))
        print(f"  {tables.line(report, row, cell)}", flush=True)
    print(f"  ({ready:.1f} s to make ready, {time.monotonic() - begin:.1f} in all)", flush=True)
    return row


def keep(report: tables.Report, chosen: argparse.Namespace) -> None:
    """Write what was measured up to now, if it is wanted."""
    if chosen.json:
        scripts.write(chosen.json, json.dumps(tables.document(report), indent=1) + "\n")


def run(chosen: argparse.Namespace) -> tuple[tables.Report, list[str]]:
    """Build the lab and measure what was chosen; return what came out and the rows that failed."""
    failed = []
    with scripts.folder("notarypy-bench-") as directory:
        every = [builds.current(directory / "build")]
        if chosen.against:
            every.append(builds.other(directory / "other", chosen.against))
        report = tables.Report(facts(every, chosen.runs), tuple(build.name for build in every), ())
        for fact, value in report.facts.items():
            print(f"{fact}: {value}")
        with lab.opened(directory, every) as running:
            for workload in ROWS:
                if chosen.only and workload.name not in chosen.only:
                    continue
                running.builds = tuple(every if chosen.only or not workload.costly else every[:1])
                try:
                    row = measured(workload, running, report, chosen)
                    if row.cells:
                        report = replace(report, rows=(*report.rows, row))
                        keep(report, chosen)
                except (ProgramFailedError, AssertionError) as error:
                    failed.append(workload.name)
                    print(f"  failed: {error}", flush=True)
    return report, failed


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; 1 if a row failed."""
    chosen = parsed(arguments)
    if chosen.list:
        for workload in ROWS:
            print(f"{workload.name:24} {workload.title}")
        return 0
    report, failed = run(chosen)
    keep(report, chosen)
    if chosen.markdown:
        print(tables.markdown(report))
    if chosen.write_docs:
        tables.write_between(PAGE, tables.markdown(report))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(scripts.run("scripts/bench", lambda: main(sys.argv[1:])))
