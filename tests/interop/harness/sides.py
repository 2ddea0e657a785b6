"""`docker trust` and `docker-trust` side by side: two people who do the same in two repositories.

Rules:

1. Outputs are compared with names, homes and key ids taken out, and without what a daemon says while
   it pushes: `docker-trust` pushes only with `--local`, and without a word.
2. Exit codes are compared as they are.
3. `docker-trust` has the words of docker 28. Of an earlier docker the words that changed are put into those,
   errors are compared without case, and of a usage error only what is wrong: how it goes on to help changed
   as a whole.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run

PASSPHRASE = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"
# What the daemon says while it pushes, and what goes with it.
PROGRESS = re.compile(r"^(The push refers to repository .*|[0-9a-f]{12}: .*)\n", re.MULTILINE)
LOCAL = re.compile(r"^Signing and pushing trust data for local image .*\n", re.MULTILINE)
REASONS = re.compile(r"^  (why|fix): .*\n", re.MULTILINE)
LATER_WORDS = {
    "please use a different": "use a different",
    "Please confirm you would": "Confirm you would",
    "No such image": "no such image",
}
HELP = re.compile(
    r"^(usage:|see 'docker|run 'docker|docker: unknown command).*", re.MULTILINE | re.DOTALL | re.IGNORECASE
)
COUNT = re.compile(
    r"""^(?:docker: )?["'](docker [^"']*)["'] requires (?:exactly )?([a-z0-9 ]*)\.?""", re.MULTILINE
)
IDS = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b|(?<=with ID )[0-9a-f]{7}\b")


def in_later_words(text: str) -> str:
    """Return what docker said in the words of docker 28 (rule 3)."""
    for earlier, later in LATER_WORDS.items():
        text = text.replace(earlier, later)
    return text


def what_is_wrong(text: str) -> str:
    """Return a usage error without what leads on to help (rule 3)."""
    return COUNT.sub(r"\1 requires \2", HELP.sub("", text)).strip()


@dataclass
class Side:
    """One of the two: a person, the program they use, and their repositories."""

    person: Person
    program: tuple[str, ...]
    repository: Repository
    other: Repository

    def run(self, *words: str, text: str | None = None, **environment: str) -> Run:
        """Run a line; {R} and {S} are the repositories, {H} is the person's home, {N} the Notary server."""
        known = {**self.person.environment, **environment}
        environ = {name: value for name, value in known.items() if value}
        filled = [word.format(**self.names) for word in words]
        done = programs.run([*self.program, *filled], environ, text=text)
        if not self.is_older:
            return done
        return replace(done, stdout=in_later_words(done.stdout), stderr=in_later_words(done.stderr))

    @property
    def is_older(self) -> bool:
        """Whether it is a docker with other words (rule 3)."""
        return self.program[-1] == "trust" and programs.docker_release(self.program[0]) < 28

    @property
    def names(self) -> dict[str, str]:
        """What stands for what."""
        return {
            "R": self.repository.name,
            "S": self.other.name,
            "H": str(self.person.home),
            "N": self.person.server.host,
        }

    def plain(self, text: str) -> str:
        """Return an output with what differs by nature taken out."""
        for short, name in self.names.items():
            text = text.replace(name, f"{{{short}}}")
        return IDS.sub("{ID}", text)

    def publish(self, repository: Repository, tag: str, content: str = "") -> str:
        """Put an image under a tag into the daemon and into the registry; return its digest."""
        name = repository.ref(tag)
        self.person.build(name, content)
        pushed = self.person.docker("push", name).expect(0).stdout
        return pushed.partition("digest: ")[2].split()[0]

    def signed(self, tag: str = "1") -> dict[str, list[str]]:
        """Return digest and signers of a tag, as docker sees it from another home."""
        found = json.loads(self.person.docker("trust", "inspect", self.repository.ref(tag)).expect(0).stdout)
        return {row["Digest"]: row["Signers"] for row in found[0]["SignedTags"]}


@dataclass
class Sides:
    """Both sides."""

    docker: Side
    ours: Side

    def each(self, act: Callable[[Side], object]) -> None:
        """Let both do something."""
        for side in (self.docker, self.ours):
            act(side)

    def run(self, *words: str, text: str | None = None, **environment: str) -> tuple[Run, Run]:
        """Run a line on both sides."""
        return (
            self.docker.run(*words, text=text, **environment),
            self.ours.run(*words, text=text, **environment),
        )

    def agree(
        self, *words: str, code: int = 0, stderr: str = "same", text: str | None = None, **environment: str
    ) -> Run:
        """Run a line on both sides and compare; `stderr` is "same", or "reasons" if ours may say more."""
        theirs, ours = self.run(*words, text=text, **environment)
        both = f"{theirs}\n{ours}"
        assert (theirs.code, ours.code) == (code, code), both
        pushed = self.docker.plain(PROGRESS.sub("", theirs.stdout))
        assert self.ours.plain(ours.stdout) == pushed, both
        told, said = (
            LOCAL.sub("", side.plain(run.stderr)) for side, run in ((self.docker, theirs), (self.ours, ours))
        )
        if stderr == "reasons":
            told = re.sub(r'^time=".*\n', "", told, flags=re.MULTILINE)
            said = REASONS.sub("", said)
        if self.docker.is_older:
            told, said = told.lower(), said.lower()
        if self.docker.is_older and HELP.search(told):
            told, said = what_is_wrong(told), what_is_wrong(said)
        assert said == told, both
        return ours
