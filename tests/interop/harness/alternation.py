"""Go notary and ours in turn on one repository and one trust directory: random steps that must succeed.

What it is: a player that picks steps which are valid, lets one of the two take it, and knows what both
must list then. What it is not: the comparison of outputs line by line (`gosides`). Rules:

1. Every step is valid: names within paths, keys at hand, no name of a delegation twice, and no key removed
   that alone had signed what a role holds. Thus each must end with 0, whoever takes it.
2. What is staged is known as if it were published; publishing, by either of the two, makes it so.
3. After every step both list the same targets, and those that are known; whoever lists first is random, as
   the second meets what the first has cached.
4. Lists go through the roles as Go notary does: targets, then its delegations in their order, then theirs.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interop.harness import gokeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from interop.harness.programs import Run

    Takes = Callable[[tuple[str, ...], bytes | None], Run]

TARGETS = "targets"
NAMES = ("a/1", "a/2", "b/1", "c", "a name")
PATHS = ("", "a/", "b/", "c")
KEYS = ("jo", "jeff", "rsa")
TOOLS = ("go", "ours")


@dataclass
class Role:
    """A role of targets: what it holds, and of a delegation its keys and paths."""

    name: str
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    holds: dict[str, str] = field(default_factory=dict)
    signed: set[str] = field(default_factory=set)

    def takes(self, name: str) -> bool:
        """Whether a target of this name is within the paths."""
        return self.name == TARGETS or any(name.startswith(path) for path in self.paths)


Roles = dict[str, Role]


def listed(roles: Roles) -> dict[str, tuple[str, str]]:
    """Return file and role by the names of targets, as lists show them (rule 4)."""
    found = dict[str, tuple[str, str]]()
    for role in sorted(roles.values(), key=lambda role: role.name.count("/")):
        for name, file in role.holds.items():
            if role.takes(name):
                found.setdefault(name, (file, role.name))
    return found


class Player:
    """Takes random steps (rule 1)."""

    def __init__(self, random: Random, repository: str, home: Path, tools: Mapping[str, Takes]) -> None:
        self.random, self.repository, self.home, self._tools = random, repository, home, tools
        self.published: Roles = {TARGETS: Role(TARGETS)}
        self.staged: list[Callable[[Roles], None]] = []
        self.history: list[str] = []
        self._count = 0
        for name in KEYS:
            gokeys.make(home, name, rsa=name == "rsa")
        self.digests = {}
        for number in range(4):
            content = f"{number}\n".encode() * (number + 1)
            (home / f"file-{number}").write_bytes(content)
            self.digests[f"file-{number}"] = (hashlib.sha256(content).hexdigest(), len(content))

    # -- running

    def let(self, tool: str, *words: str, reads: str | None = None) -> Run:
        """Let one of the two run a line, which must succeed."""
        data = None if reads is None else f"{reads}\n".encode()
        self.history.append(f"{tool}: {' '.join(words)}")
        run = self._tools[tool](words, data)
        assert run.code == 0, f"{self.story}\n{run}"
        return run

    @property
    def story(self) -> str:
        """What happened so far."""
        return "\n".join(self.history)

    def begin(self) -> None:
        """Make the repository, and bring keys that sign for delegations."""
        self.let(self.random.choice(TOOLS), "init", self.repository, *self.random.choice(((), ("-p",))))
        for name in KEYS:
            self.let(self.random.choice(TOOLS), "key", "import", f"{name}.key", "-r", name)
        self.let(self.random.choice(TOOLS), "publish", self.repository)

    def step(self) -> None:
        """Take a step, with either of the two."""
        steps = {
            self.add: 6, self.remove: 3, self.publish: 4, self.add_delegation: 4, self.add_nested: 1,
            self.change_paths: 2, self.add_key: 2, self.remove_key: 1, self.remove_delegation: 1,
            self.witness: 2, self.reset: 1, self.rotate: 3, self.forget: 1,
        }  # fmt: skip
        while not self.random.choices(list(steps), list(steps.values()))[0](self.random.choice(TOOLS)):
            pass

    def check(self) -> None:
        """Insist that both list what is known (rule 3), and stage the same."""
        known = {name: (*self.digests[file], role) for name, (file, role) in listed(self.published).items()}
        tools = self.random.sample(TOOLS, 2)
        runs = [self.let(tool, "list", self.repository) for tool in tools]
        assert runs[0].stdout == runs[1].stdout, f"{self.story}\n{runs[0]}\n{runs[1]}"
        assert _rows(runs[0].stdout) == known, f"{self.story}\n{runs[0]}\nnot {known}"
        what = self.random.choice((("status",), ("delegation", "list"), ("list", *self._some_roles())))
        words = (
            *what[: 1 + (what[0] == "delegation")],
            self.repository,
            *what[1 + (what[0] == "delegation") :],
        )
        runs = [self.let(tool, *words) for tool in tools]
        assert runs[0].stdout == runs[1].stdout, f"{self.story}\n{runs[0]}\n{runs[1]}"

    def _some_roles(self) -> tuple[str, ...]:
        names = list(self.published)
        return ("-r", ",".join(self.random.sample(names, self.random.randint(1, len(names)))))

    # -- what is known

    @property
    def ahead(self) -> Roles:
        """What is published once all that is staged is."""
        roles = copy.deepcopy(self.published)
        for change in self.staged:
            change(roles)
        return roles

    def _stage(self, tool: str, *words: str, change: Callable[[Roles], None]) -> bool:
        """Stage a change, and maybe publish at once (rule 2)."""
        at_once = self.random.random() < 0.3
        self.let(tool, *words, *(("-p",) if at_once else ()))
        self.staged.append(change)
        if at_once:
            self._all_published()
        return True

    def _all_published(self) -> None:
        self.published, self.staged = self.ahead, []

    def _role(self, *, delegation: bool = False, content: bool = False) -> Role | None:
        found = [
            role for role in self.ahead.values()
            if not (delegation and role.name == TARGETS) and not (content and not role.holds)
        ]  # fmt: skip
        return self.random.choice(found) if found else None

    # -- steps: each returns whether it could be taken

    def add(self, tool: str) -> bool:
        """Add a target to one role or several."""
        name, file = self.random.choice(NAMES), self.random.choice(list(self.digests))
        roles = [role.name for role in self.ahead.values() if role.takes(name)]
        chosen = self.random.sample(roles, min(len(roles), self.random.choice((1, 1, 2))))
        options = ("-r", ",".join(chosen)) if chosen != [TARGETS] else ()
        digest, size = self.digests[file]
        what = self.random.choice((("add", file), ("addhash", str(size), "--sha256", digest)))

        def change(after: Roles) -> None:
            for role in chosen:
                if after[role].holds.get(name) != file:
                    after[role].signed = set(after[role].keys)
                after[role].holds[name] = file

        return self._stage(tool, what[0], self.repository, name, *what[1:], *options, change=change)

    def remove(self, tool: str) -> bool:
        """Remove a target that is there, or one that is not."""
        role = self._role(content=True)
        if role is None:
            return False
        name = self.random.choice([*role.holds, "nothing"])
        options = () if role.name == TARGETS else ("-r", role.name)

        def change(after: Roles) -> None:
            if after[role.name].holds.pop(name, None):
                after[role.name].signed = set(after[role.name].keys)

        return self._stage(tool, "remove", self.repository, name, *options, change=change)

    def publish(self, tool: str) -> bool:
        """Publish what both have staged."""
        self.let(tool, "publish", self.repository)
        self._all_published()
        return True

    def add_delegation(self, tool: str) -> bool:
        """Add a role below targets."""
        self._count += 1
        return self._delegate(tool, f"targets/role{self._count}", list(PATHS))

    def add_nested(self, tool: str) -> bool:
        """Add a role below another, which has its paths or some of them."""
        above = self._role(delegation=True)
        if above is None or above.name.count("/") > 1 or not above.paths:
            return False
        self._count += 1
        return self._delegate(tool, f"{above.name}/role{self._count}", above.paths)

    def _delegate(self, tool: str, name: str, choice: list[str]) -> bool:
        keys = self.random.sample(KEYS, self.random.choice((1, 1, 2)))
        paths = self.random.sample(choice, self.random.randint(1, min(2, len(choice))))
        files = [f"{key}.{self.random.choice(('crt', 'pub'))}" for key in keys]

        def change(after: Roles) -> None:
            after[name] = Role(name, list(keys), list(paths))
            above = after[name.rpartition("/")[0]]
            above.signed = set(above.keys)

        options = _paths(paths)
        return self._stage(tool, "delegation", "add", self.repository, name, *files, *options, change=change)

    def change_paths(self, tool: str) -> bool:
        """Add a path to a delegation, or remove one that no role below needs."""
        role = self._role(delegation=True)
        if role is None or "/" in role.name.removeprefix("targets/"):
            return False
        below = any(name.startswith(f"{role.name}/") for name in self.ahead)
        adds = below or len(role.paths) < 2 or self.random.random() < 0.5
        path = self.random.choice(list(PATHS) if adds else role.paths)

        def change(after: Roles) -> None:
            paths = after[role.name].paths
            if adds and path not in paths:
                paths.append(path)
            if not adds:
                paths.remove(path)

        if not adds and path == "":
            return False  # which --all-paths would not mean
        what = "add" if adds else "remove"
        return self._stage(
            tool, "delegation", what, self.repository, role.name, *_paths([path]), change=change
        )

    def add_key(self, tool: str) -> bool:
        """Give a delegation another key."""
        role = self._role(delegation=True)
        missing = [] if role is None else [key for key in KEYS if key not in role.keys]
        if role is None or not missing:
            return False
        key = self.random.choice(missing)

        def change(after: Roles) -> None:
            after[role.name].keys.append(key)

        return self._stage(tool, "delegation", "add", self.repository, role.name, f"{key}.crt", change=change)

    def remove_key(self, tool: str) -> bool:
        """Take a key from a delegation, or from all, that another has signed with."""
        role = self._role(delegation=True)
        if role is None:
            return False
        able = [
            key for key in role.keys
            if len(role.keys) > 1 and (not role.signed or role.signed - {key})
        ]  # fmt: skip
        if not able:
            return False
        key = self.random.choice(able)
        keyid = gokeys.canonical_id((self.home / f"{key}.crt").read_bytes())

        def change(after: Roles) -> None:
            after[role.name].keys.remove(key)
            after[role.name].signed.discard(key)

        return self._stage(tool, "delegation", "remove", self.repository, role.name, keyid, change=change)

    def remove_delegation(self, tool: str) -> bool:
        """Remove a role that has none below."""
        role = self._role(delegation=True)
        if role is None or any(name.startswith(f"{role.name}/") for name in self.ahead):
            return False

        def change(after: Roles) -> None:
            del after[role.name]

        return self._stage(tool, "delegation", "remove", self.repository, role.name, "-y", change=change)

    def witness(self, tool: str) -> bool:
        """Have a role signed again that is published."""
        role = self._role()
        if role is None or role.name not in self.published or not (role.signed or role.name == TARGETS):
            return False

        def change(after: Roles) -> None:
            after[role.name].signed = set(after[role.name].keys)

        return self._stage(tool, "witness", self.repository, role.name, change=change)

    def reset(self, tool: str) -> bool:
        """Drop all that is staged: a part of it would leave the rest without what it is about."""
        if not self.staged:
            return False
        self.let(tool, "reset", self.repository, "--all")
        self.staged = []
        return True

    def rotate(self, tool: str) -> bool:
        """Rotate a key of the repository, whatever is staged."""
        role, *options = self.random.choice(
            (("targets",), ("snapshot",), ("snapshot", "-r"), ("timestamp", "-r"), ("root",))
        )
        reads = "yes" if role == "root" else None
        self.let(tool, "key", "rotate", self.repository, role, *options, reads=reads)
        return True

    def forget(self, tool: str) -> bool:
        """Delete what is cached and staged here."""
        self.let(tool, "delete", self.repository)
        self.staged = []
        return True


def _paths(paths: list[str]) -> tuple[str, ...]:
    named = [path for path in paths if path]
    return (*(("--paths", ",".join(named)) if named else ()), *(("--all-paths",) if "" in paths else ()))


def _rows(table: str) -> dict[str, tuple[str, int, str]]:
    """Return digest, size and role by the name of a target."""
    lines = table.splitlines()
    if not lines or not lines[0].startswith("NAME"):
        return {}
    columns = [lines[0].index(head) for head in ("DIGEST", "SIZE", "ROLE")]
    found = {}
    for line in filter(None, lines[2:]):
        digest, size, role = (line[column:].split()[0] for column in columns)
        found[line[: columns[0]].rstrip()] = (digest, int(size), role)
    return found
