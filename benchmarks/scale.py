"""How cost grows: `scripts/bench scale`.

What it is: the same commands in small and in large cases, and beside Go notary where that does the same: tags
of a repository, signers of a repository, repositories in one process. What it is not: distance; everything is
on loopback, and rows of `workloads` have round trips.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import builds, lab
from benchmarks.lab import go_notary, ours
from benchmarks.processes import ProgramFailedError
from benchmarks.reading import names
from notarypy.tuf import roles
from notarypy.tuf.fields import TargetFile
from support import scripts, served
from support.author import private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.lab import Lab
    from benchmarks.processes import Command
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

TURNS = 2
TAGS, SIGNERS, REPOSITORIES = (1_000, 10_000, 50_000), (10, 100, 400), (10, 100, 1_000)
LARGEST = {"tags": 200_000, "signers": 1_000, "repositories": 10_000}
PATIENCE = 600


@dataclass(frozen=True)
class Point:
    """What one command cost in a repository of some size: the least of its turns."""

    work: str
    size: int
    who: str
    wall: float
    cpu: float
    peak: float
    requests: int
    sent: int


class Scene:
    """A place of work: the lab, and what comes out."""

    def __init__(self, place: Lab, turns: int) -> None:
        """Measure each command so many times."""
        self.lab, self.turns = place, turns
        self.build = place.builds[0]

    def point(self, work: str, size: int, who: str, turn: Callable[[int], Sequence[Command]]) -> Point | None:
        """Measure a command; None if it fails, which is said."""
        try:
            seen = [self.lab.measure(turn(number)) for number in range(self.turns)]
        except ProgramFailedError as error:
            print(f"  {work}, {size}, {who}: {str(error)[-600:]}", flush=True)
            return None
        best = min(seen, key=lambda one: one.cost.cpu)
        wall, cpu = min(one.cost.wall for one in seen), best.cost.cpu
        peak = max(one.cost.peak for one in seen)
        # What a client sends and receives: connections of Go end after each request.
        traffic = best.notary
        found = Point(work, size, who, wall, cpu, peak, traffic.requests, traffic.sent + traffic.received)
        print(
            f"  {work:28} {size:7} {who:9} {wall:7.2f} s  CPU {cpu:6.2f} s  {peak:5.0f} MiB  "
            f"{found.requests:6} requests  {found.sent / 1e6:6.1f} MB",
            flush=True,
        )
        return found

    def publish(self, repository: Repository, manifest: Manifest, tags: Sequence[str], *listed: str) -> None:
        """Publish trust data, however long the server takes."""
        direct = self.lab.notary.direct
        assert direct.ca is not None
        with served.Line(direct.host, direct.ca) as line:
            line.connection.timeout = PATIENCE
            desk = line.desk(repository.name)
            for role in listed:
                desk.author.delegate(role)
            target = TargetFile(manifest.size, {"sha256": bytes.fromhex(manifest.sha256)})
            for role in listed or (roles.TARGETS,):
                desk.author.fill(role, dict.fromkeys(tags, target))
            desk.publish()

    def publish_key(self, person: Person, repository: Repository) -> Path:
        """Give a person the key of a repository's targets, as a file."""
        key = private_key(f"{repository.name}/{roles.TARGETS}")
        file = person.home / "targets.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.chmod(0o600)
        return file


def of_tags(scene: Scene, size: int) -> Iterator[Point | None]:
    """One repository, whose targets file lists so many tags."""
    place, new = scene.lab, [f"new{number}" for number in range(scene.turns)]
    repository = place.repository("tags")
    manifest = place.push(repository, "v0", *new)
    scene.publish(repository, manifest, names(size))
    gun = repository.name
    mine, theirs = place.person("tags"), place.person("tags-go")
    ask = ("verify", "--no-registry", repository.ref("v0"))
    yield scene.point(
        "verify, cold", size, "notarypy", lambda _: [ours(place.person("x"), scene.build, *ask)]
    )
    yield scene.point(
        "verify, cold", size, "Go", lambda _: [go_notary(place.person("x"), "lookup", gun, "v0")]
    )
    place.run(ours(mine, scene.build, *ask), go_notary(theirs, "lookup", gun, "v0"))
    yield scene.point("verify, warm", size, "notarypy", lambda _: [ours(mine, scene.build, *ask)])
    yield scene.point("verify, warm", size, "Go", lambda _: [go_notary(theirs, "lookup", gun, "v0")])
    yield scene.point("inspect, warm", size, "notarypy", lambda _: [ours(mine, scene.build, "inspect", gun)])
    yield scene.point("inspect, warm", size, "Go", lambda _: [go_notary(theirs, "list", gun)])
    place.run(
        ours(mine, scene.build, "key", "load", str(scene.publish_key(mine, repository))),
        go_notary(
            theirs, "key", "import", str(scene.publish_key(theirs, repository)), "-r", "targets", "-g", gun
        ),
    )
    # The first turn changes the repository; each publishes a tag of its own.
    yield scene.point(
        "sign", size, "notarypy", lambda turn: [ours(mine, scene.build, "sign", repository.ref(new[turn]))]
    )
    stage = ("--sha256", manifest.sha256, "-p")
    yield scene.point(
        *("sign", size, "Go"),
        lambda turn: [go_notary(theirs, "addhash", gun, f"go{turn}", str(manifest.size), *stage)],
    )


def of_signers(scene: Scene, size: int) -> Iterator[Point | None]:
    """One repository with so many signers, who signed the same ten tags."""
    place, repository = scene.lab, scene.lab.repository("signers")
    who = [f"targets/signer{number}" for number in range(size)]
    scene.publish(repository, place.push(repository, "v0"), names(10), roles.RELEASES, *who)
    mine, ask = place.person("signers"), ("verify", "--no-registry", repository.ref("v0"))
    yield scene.point(
        "verify, cold", size, "notarypy", lambda _: [ours(place.person("x"), scene.build, *ask)]
    )
    place.run(ours(mine, scene.build, *ask))
    yield scene.point("verify, warm", size, "notarypy", lambda _: [ours(mine, scene.build, *ask)])
    shown = ("inspect", repository.name)
    yield scene.point("inspect, warm", size, "notarypy", lambda _: [ours(mine, scene.build, *shown)])
    theirs = place.person("signers-go")
    place.run(go_notary(theirs, "lookup", repository.name, "v0"))
    yield scene.point(
        "verify, warm", size, "Go", lambda _: [go_notary(theirs, "lookup", repository.name, "v0")]
    )


def of_repositories(scene: Scene, size: int) -> Iterator[Point | None]:
    """So many repositories of one tag, verified by one process."""
    place, first = scene.lab, scene.lab.repository("many")
    manifest = place.push(first, "v0")
    made = [first, *(place.repository("many") for _ in range(size - 1))]
    for repository in made:
        scene.publish(repository, manifest, ["v0"])
    mine = place.person("many")
    listed = mine.home / "images.txt"
    listed.write_text("".join(f"{repository.ref('v0')}\n" for repository in made))
    ask = ("verify", "--no-registry", "--from-file", str(listed))
    yield scene.point(
        "verify, cold", size, "notarypy", lambda _: [ours(place.person("x"), scene.build, *ask)]
    )
    place.run(ours(mine, scene.build, *ask))
    yield scene.point("verify, warm", size, "notarypy", lambda _: [ours(mine, scene.build, *ask)])


KINDS = {
    "tags": (of_tags, TAGS),
    "signers": (of_signers, SIGNERS),
    "repositories": (of_repositories, REPOSITORIES),
}


def table(kind: str, points: Sequence[Point]) -> str:
    """Return what was measured as Markdown: ours, with ratios to the smallest case and to Go notary."""
    rows = [
        f"| work | {kind} | to {points[0].size} {kind} | to Go | CPU s | MiB (Go) | requests (Go) | MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for point in (point for point in points if point.who == "notarypy"):
        least = next(one for one in points if (one.work, one.who) == (point.work, point.who))
        go = next(
            (one for one in points if (one.work, one.size, one.who) == (point.work, point.size, "Go")), None
        )
        rows.append(
            f"| {point.work} | {point.size} | {point.wall / least.wall:.1f} | "
            f"{f'{point.wall / go.wall:.2f}' if go else ''} | {point.cpu:.2f} | "
            f"{point.peak:.0f}{f' ({go.peak:.0f})' if go else ''} | "
            f"{point.requests}{f' ({go.requests})' if go else ''} | {point.sent / 1e6:.1f} |"
        )
    return "\n".join(rows)


def _kind(text: str) -> str:
    if text not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(KINDS)}")
    return text


def command_line() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = scripts.Parser("scripts/bench scale", "How cost grows, beside Go notary.")
    parser.add_argument(
        "kinds", nargs="*", type=_kind, metavar="KIND", help=f"of {', '.join(KINDS)}; all without"
    )
    parser.add_argument("--largest", action="store_true", help="the largest cases too, which take long")
    parser.add_argument(
        "--sizes", type=scripts.wholes(1), metavar="N,...", help="other sizes than the usual ones"
    )
    parser.add_argument(
        "--turns", type=scripts.whole(1), default=TURNS, help=f"of each command (default {TURNS})"
    )
    parser.add_argument(
        "--json", type=scripts.destination, metavar="FILE", help="write everything there, after each size"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line names, and print tables."""
    chosen = command_line().parse_args(arguments)
    found: dict[str, list[Point]] = {}
    with scripts.folder("notarypy-bench-") as folder:
        build = builds.current(folder / "build")
        for kind in chosen.kinds or KINDS:
            enter, sizes = KINDS[kind]
            found[kind] = []
            for size in chosen.sizes or (*sizes, *([LARGEST[kind]] if chosen.largest else [])):
                begin = time.monotonic()
                # Servers keep everything in memory: each case has its own.
                with lab.opened(folder / f"{kind}-{size}", [build]) as place:
                    found[kind] += [point for point in enter(Scene(place, chosen.turns), size) if point]
                print(f"  ({kind}, {size}: {time.monotonic() - begin:.0f} s)", flush=True)
                if chosen.json:
                    kept = {kind: [asdict(one) for one in each] for kind, each in found.items()}
                    scripts.write(chosen.json, json.dumps(kept) + "\n")
    for kind, points in found.items():
        if points:
            print(f"\n{table(kind, points)}")
    return 0


if __name__ == "__main__":
    sys.exit(scripts.run("scripts/bench scale", lambda: main(sys.argv[1:])))
