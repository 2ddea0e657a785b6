"""Go notary and ours side by side: two people who do the same in repositories of the same server.

What it is: a side, and what is looked at after each line. What it is not: the comparison (`gopair`), and the
script (`goscript`). Rules:

1. Names of repositories and homes are as long on both sides, as tables are as wide as what is in them. In
   outputs they are taken out, and so are ids of keys that only one side has; ids of keys that both read from
   the same files stay.
2. Metadata are compared as served, whole but for keys, signatures, times and versions: keys are called by
   their roles, signatures by their keys, times are days from now, and of versions the steps are compared.
3. Staged changes are compared byte for byte, but for the names of their files, which must have Go's form.
4. Of the private keys and the files of the home but locks, what a line added and removed is compared.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interop.harness import gokeys, programs
from interop.harness.people import APART
from support.served import Line as Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from interop.harness.goscript import Line
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

    Started = Callable[[list[str], dict[str, str], Path, bytes | None], Run]

CHANGE = re.compile(r"\d{20}_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.change")
ID = re.compile(r"\b[0-9a-f]{64}\b")
BODY = re.compile(r"(?:^[A-Za-z0-9+/=]{1,64}\n)+(?=-----END)", re.MULTILINE)
BLOCK = re.compile(r"-----BEGIN .*?-----END [^\n]*\n", re.DOTALL)
PLACE = re.compile(r"\{([a-z]+):([^}]+)\}")
SHA = hashlib.sha256(b"hello\n").hexdigest()
FIXED = {"sha": SHA, "SHA": SHA.upper(), "none": "0" * 64}
# Go notary names them in either order.
UNORDERED = ("by sha512, sha256 hash", "by sha256, sha512 hash")
# The width from which tables shorten where a key is.
PLACE_WIDTH = 40
MISMATCH = re.compile(r"sha(?:256|512) checksum for (.*) did not match: expected [0-9a-f]+")
TOP = ("root", "targets", "snapshot", "timestamp")

Document = dict[str, Any]


def go_notary(argv: list[str], env: dict[str, str], folder: Path, data: bytes | None) -> Run:
    """Run Go notary."""
    program = programs.find("notary")
    known = {"PATH": programs.SEARCH_PATH, **env}
    done = subprocess.run(
        [program, *argv],
        env=known,
        cwd=folder,
        input=data or b"",
        capture_output=True,
        check=False,
        timeout=60,
    )
    out, err = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
    return programs.Run((program, *argv), done.returncode, out, err)


@dataclass
class State:
    """What is there at a moment, by what it is, with everything that differs by nature taken out."""

    staged: dict[str, list[str]] = field(default_factory=dict)
    metadata: dict[str, Document] = field(default_factory=dict)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


class Side:
    """One of the two: a home, a program, and names of repositories."""

    def __init__(
        self, home: Path, server: Endpoint, names: dict[str, str], run: Started, shared: set[str]
    ) -> None:
        self.home, self.names, self._run, self._shared = home, names, run, shared
        self.trust_dir = home / ".notary"
        self.trust_dir.mkdir(parents=True, mode=0o700)
        remote = {"url": server.url, "root_ca": str(server.ca)}
        (self.trust_dir / "config.json").write_text(json.dumps({"remote_server": remote}))
        assert server.ca is not None
        self._server = Connection(server.host, server.ca)
        self.environment = {"HOME": str(home), **APART}
        self.ids: dict[str, str] = {}  # every key that was seen here: its role and repository
        self.last = State()

    def close(self) -> None:
        """Leave the server."""
        self._server.connection.close()

    # -- running

    def run(self, line: Line, program: Started | None = None) -> Run:
        """Run a line, with another program than this side's if one is given."""
        merged = {**self.environment, **line.environment}
        env = {name: self.filled(value) for name, value in merged.items() if value}
        data = None if line.reads is None else f"{line.reads}\n".encode()
        if line.reads and line.reads.startswith("@"):
            data = (self.home / line.reads[1:]).read_bytes()
        run = program or self._run
        return run([self.filled(word) for word in line.words], env, self.home, data)

    def filled(self, word: str) -> str:
        """Return a word with names put in.

        `{R}` is a repository, `{H}` the home, `{key:ROLE}` and `{key:ROLE R}` are ids of keys here,
        `{root:R}` that of the root key of a repository, `{id:NAME}` and `{short:NAME}` those of files.
        """
        for short, name in self.names.items():
            word = word.replace(f"{{{short}}}", name)
        for short, value in {"H": str(self.home), **FIXED}.items():
            word = word.replace(f"{{{short}}}", value)
        return PLACE.sub(lambda found: self._looked_up(*found.groups()), word)

    def _looked_up(self, what: str, name: str) -> str:
        if what in {"id", "short"}:
            keyid = gokeys.canonical_id((self.home / f"{name}.crt").read_bytes())
            return keyid if what == "id" else keyid[:7]
        if what == "root":
            return self._root(self.names[name])
        assert what == "key", what
        found = [keyid for keyid, role, gun in self.private() if name in {role, f"{role} {gun.strip('{}')}"}]
        assert len(found) == 1, f"{len(found)} keys are {name}"
        return found[0]

    def _root(self, repository: str) -> str:
        """Return the id of the root key of a repository, as its file is called."""
        root = self.served(repository, "root")
        assert root is not None
        (keyid,) = root["signed"]["roles"]["root"]["keyids"]
        return gokeys.canonical_id(base64.b64decode(root["signed"]["keys"][keyid]["keyval"]["public"]))

    def private(self) -> list[tuple[str, str, str]]:
        """Return id, role and repository of every private key here."""
        found = []
        for path in sorted((self.trust_dir / "private").glob("*.key")):
            text = path.read_text()
            role, gun = (re.search(rf"^{name}: (.*)$", text, re.MULTILINE) for name in ("role", "gun"))
            found.append((path.stem, role[1] if role else "", self.plain(gun[1]) if gun else ""))
        return found

    # -- looking

    def plain(self, text: str) -> str:
        """Return a text with what differs by nature taken out (rule 1)."""
        for short, name in self.names.items():
            text = text.replace(name, f"{{{short}}}")
        place = f"...{str(self.trust_dir / 'private')[-(PLACE_WIDTH - 3) :]}"
        text = text.replace(place, "{place}").replace(str(self.home), "{H}").replace(*UNORDERED)
        text = MISMATCH.sub(r"a checksum for \1 did not match", text)
        shared = self._shared
        text = ID.sub(
            lambda id_: f"{{{self.ids.get(id_[0], id_[0])}}}" if id_[0] not in shared else id_[0], text
        )
        blocks = sorted(BODY.sub("{BODY}\n", block) for block in BLOCK.findall(text))
        return BLOCK.sub(lambda _: blocks.pop(0), text)

    def look(self, words: Iterable[str], before: State) -> State:
        """Return what is there now; repositories that no word is about are as before."""
        state = State(dict(before.staged), dict(before.metadata), dict(before.versions))
        private = self.private()
        self.ids |= {keyid: f"{role} {gun}" for keyid, role, gun in private}
        about = {short for short, name in self.names.items() if name in set(words)}
        for short in about:
            self._read(short, state)
            state.staged[short] = self.staged(self.names[short])
        state.keys = {keyid: f"{self.called(keyid)} {role} {gun}" for keyid, role, gun in private}
        state.files = {
            self.plain(
                str(path.relative_to(self.home))
            ): f"{stat.filemode(path.stat().st_mode)} {self.plain(_text(path))}"
            for path in sorted(self.home.rglob("*"))
            if path.is_file() and not path.is_relative_to(self.trust_dir) and not path.name.endswith(".lock")
        }
        return state

    def called(self, keyid: str) -> str:
        """Return what a key is called: its id if both have it, and else what it is for."""
        return keyid if keyid in self._shared else self.ids.get(keyid, "unknown")

    def staged(self, repository: str) -> list[str]:
        """Return what is staged (rule 3)."""
        folder = self.trust_dir / "tuf" / repository / "changelist"
        found = []
        for path in sorted(folder.glob("*.change")):
            assert CHANGE.fullmatch(path.name), path
            text, document = path.read_text(), json.loads(path.read_text())
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            if document["data"] is not None:
                decoded = self.plain(base64.b64decode(document["data"]).decode())
                text = text.replace(document["data"], decoded)
            found.append(text)
        return found

    def cached(self) -> list[str]:
        """Return the names of all files of trust data here."""
        found = (self.trust_dir / "tuf").rglob("*.json")
        return sorted(self.plain(str(path.relative_to(self.trust_dir))) for path in found)

    def served(self, repository: str, role: str) -> Document | None:
        """Return a file of metadata as the server has it."""
        answer, body = self._server.ask("GET", f"/v2/{repository}/_trust/tuf/{role}.json")
        found: Document | None = json.loads(body) if answer.status == 200 else None
        return found

    def _read(self, short: str, state: State) -> None:
        """Note the metadata of a repository (rule 2)."""
        repository = self.names[short]
        files, queue = dict[str, Document](), list(TOP)
        while queue:
            role = queue.pop(0)
            document = self.served(repository, role)
            if document is None:
                continue
            files[role] = document
            below = document["signed"].get("delegations", {}).get("roles") or ()
            queue += [delegation["name"] for delegation in below]
        if root := files.get("root"):
            for keyid in root["signed"]["keys"]:
                self.ids.setdefault(keyid, f"old {{{short}}}")
            for role, keys in root["signed"]["roles"].items():
                self.ids |= dict.fromkeys(keys["keyids"], f"{role} {{{short}}}")
        state.metadata[short] = {role: self._called(document) for role, document in files.items()}
        state.versions[short] = {role: document["signed"]["version"] for role, document in files.items()}

    def _called(self, document: Document) -> Document:
        signed = document["signed"]
        ends = datetime.fromisoformat(signed["expires"])
        found = {
            **{name: value for name, value in signed.items() if name not in {"version", "expires"}},
            "days": round((ends - datetime.now(UTC)).total_seconds() / 86400),
            "signatures": sorted(
                f"{self.called(one['keyid'])} {one['method']}" for one in document["signatures"]
            ),
        }
        if "meta" in signed:
            found["meta"] = sorted(signed["meta"])
        if "keys" in signed:
            found["keys"] = self._keys(signed["keys"])
            found["roles"] = {name: self._role(role) for name, role in signed["roles"].items()}
        if "delegations" in signed:
            known = signed["delegations"]
            roles = [{**self._role(role), "name": role["name"]} for role in known["roles"] or ()]
            found["delegations"] = {"keys": self._keys(known["keys"]), "roles": roles}
        return found

    def _role(self, role: Document) -> Document:
        return {**role, "keyids": sorted(self.called(keyid) for keyid in role["keyids"] or ())}

    def _keys(self, keys: Document) -> list[str]:
        return sorted(f"{self.called(keyid)} {key['keytype']}" for keyid, key in keys.items())


def _text(path: Path) -> str:
    """Return what is in a file, but not what is compared as served."""
    if "metadata" in path.parts:
        return ""
    return path.read_bytes().decode(errors="backslashreplace")
