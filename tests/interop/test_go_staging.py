"""Staged changes beside Go notary: each of the two publishes what the other staged, with the same result."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from notarypy import Client, StagedContent
from notarypy.tuf import roles
from notarypy.tuf.changes import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from interop.harness.people import Person
    from notarypy.client.stagingapi import Staging
    from notarypy.tuf.trusted import TrustedMetadata

CUSTOM = b'{"b": {"d": [1, 2], "c": null}, "a": "\xc3\xa9"}'
SORTED = '{"a":"é","b":{"c":null,"d":[1,2]}}'  # the one order that Go can publish
CONTENT = b"hello"


class Tools(NamedTuple):
    """A person and a repository, and files that both tools are given."""

    person: Person
    gun: str
    folder: Path
    keys: dict[str, bytes]
    ids: dict[str, str]

    def client(self) -> Client:
        """Return a client of their trust directory."""
        return Client.from_environment(self.person.environment, gun=True)

    def file(self, name: str, data: bytes) -> Path:
        """Write a file for Go."""
        path = self.folder / name
        path.write_bytes(data)
        return path

    def go(self, *words: str | Path) -> None:
        """Let Go notary do what the words say of the repository, the second or third of them."""
        self.person.notary(*words).expect(0)


class Step(NamedTuple):
    """One change as Go notary and as we stage it."""

    go: Callable[[Tools], Sequence[str | Path]]
    ours: Callable[[Tools, Staging], None]


def content(data: bytes = CONTENT, custom: bytes | None = None) -> StagedContent:
    return StagedContent(len(data), hashlib.sha256(data).digest(), hashlib.sha512(data).digest(), custom)


def add(name: str, *listing: str, custom: bool = False) -> Step:
    """A file is added to some roles."""
    flags = [word for role in listing for word in ("-r", role)]

    def go(tools: Tools) -> Sequence[str | Path]:
        given = ("--custom", tools.file("custom.json", SORTED.encode())) if custom else ()
        return ("add", tools.gun, name, tools.file("content", CONTENT), *flags, *given)

    return Step(
        go,
        lambda tools, staging: staging.add_target(
            tools.gun, name, content(custom=CUSTOM if custom else None), roles=listing or ("targets",)
        ),
    )


def remove(name: str, *listing: str) -> Step:
    flags = [word for role in listing for word in ("-r", role)]
    return Step(
        lambda tools: ("remove", tools.gun, name, *flags),
        lambda tools, staging: staging.remove_target(tools.gun, name, roles=listing or ("targets",)),
    )


def by_hash(name: str) -> Step:
    digest = hashlib.sha256(CONTENT)
    return Step(
        lambda tools: ("addhash", tools.gun, name, "5", "--sha256", digest.hexdigest()),
        lambda tools, staging: staging.add_target(tools.gun, name, StagedContent(5, digest.digest())),
    )


def delegate(role: str, keys: Sequence[str], paths: Sequence[str]) -> Step:
    flags = ["--all-paths"] if list(paths) == [""] else ["--paths", ",".join(paths)] if paths else []
    return Step(
        lambda tools: (
            *("delegation", "add", tools.gun, role),
            *(tools.file(f"{key}.crt", tools.keys[key]) for key in keys),
            *flags,
        ),
        lambda tools, staging: staging.add_delegation(
            tools.gun, role, [tools.keys[key] for key in keys], list(paths)
        ),
    )


def take(role: str, *, keys: Sequence[str] = (), paths: Sequence[str] = (), everything: bool = False) -> Step:
    """Keys, paths or all paths go from a role."""
    flags = ["--all-paths"] if everything else ["--paths", ",".join(paths)] if paths else []

    def ours(tools: Tools, staging: Staging) -> None:
        if paths or everything:  # which Go stages first
            staging.remove_delegation_paths(tools.gun, role, paths, all_paths=everything)
        if keys:
            staging.remove_delegation_keys(tools.gun, role, [tools.ids[key] for key in keys])

    return Step(
        lambda tools: ("delegation", "remove", tools.gun, role, *(tools.ids[key] for key in keys), *flags),
        ours,
    )


def drop(role: str) -> Step:
    return Step(
        lambda tools: ("delegation", "remove", tools.gun, role, "-y"),
        lambda tools, staging: staging.remove_delegation(tools.gun, role),
    )


def purge(*keys: str) -> Step:
    flag = "--key"
    return Step(
        lambda tools: (
            *("delegation", "purge", tools.gun),
            *(word for key in keys for word in (flag, tools.ids[key])),
        ),
        lambda tools, staging: staging.purge_keys(tools.gun, [tools.ids[key] for key in keys]),
    )


def witness(*listing: str) -> Step:
    return Step(
        lambda tools: ("witness", tools.gun, *listing),
        lambda tools, staging: staging.witness(tools.gun, listing),
    )


A, DEEP, OTHER = "targets/a", "targets/a/deep", "targets/other"
PUBLISHES: list[list[Step]] = [
    [add("v1", custom=True), by_hash("h<1>&é"), delegate(A, ["one"], ["a/", "b/"])],
    [],
    [
        add("a/x", A), add("v2"), remove("h<1>&é"), delegate(DEEP, ["two", "three"], ["a/d"]),
        delegate(OTHER, ["two"], []), delegate(OTHER, [], ["o/", "p/"]), witness("targets"),
    ],
    [add("v1"), add("a/y", "targets", A), take(OTHER, paths=["p/", "none"]), delegate(A, ["two"], ["c/"])],
    [take(DEEP, keys=["three"]), witness(A), remove("nothing"), remove("a/x", A)],
    [purge("two"), witness(A)],
    [take(A, everything=True), delegate(A, [], ["z"]), drop(OTHER), drop("targets/nobody")],
    [delegate(OTHER, ["one"], [""]), add("o", OTHER), take(A, keys=["one"], paths=["z"])],
    [drop(A), add("last"), remove("last")],
]  # fmt: skip


def equipped(person: Person, gun: str, keys: dict[str, tuple[bytes, bytes]], ids: dict[str, str]) -> Tools:
    """Return tools with the private key `one` in the trust directory."""
    tools = Tools(person, gun, person.home, {name: pair[1] for name, pair in keys.items()}, ids)
    person.notary("key", "import", tools.file("one.key", keys["one"][0]), "-r", "delegation").expect(0)
    return tools


@pytest.fixture
def keys(alice: Person) -> dict[str, tuple[bytes, bytes]]:
    """Return private keys and certificates by name."""
    made = {name: alice.new_key(name) for name in ("one", "two", "three")}
    return {name: (key.read_bytes(), certificate.read_bytes()) for name, (key, certificate) in made.items()}


@pytest.fixture
def ids(keys: dict[str, tuple[bytes, bytes]]) -> dict[str, str]:
    """Return what people call these keys."""
    from notarypy import PublicKey

    return {name: PublicKey.from_pem(pair[1]).canonical_id for name, pair in keys.items()}


def stage(tools: Tools, steps: Sequence[Step], *, by_go: bool) -> list[bytes]:
    """Stage changes by one of the tools; return what the files say."""
    for step in steps:
        if by_go:
            tools.go(*step.go(tools))
        else:
            with tools.client() as client:
                step.ours(tools, client.staging)
    folder = tools.person.trust_dir / "tuf" / tools.gun / "changelist"
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []


def publish(tools: Tools, *, by_go: bool) -> None:
    if by_go:
        tools.go("publish", tools.gun)
    else:
        with tools.client() as client:
            client.staging.publish(tools.gun)


def seen(reader: Person, gun: str) -> dict[str, Any]:
    """Return what a reader gets, up to keys that were made, dates and signatures."""
    with Client.from_environment(reader.environment, gun=True) as client:
        trusted: TrustedMetadata = client.refresh(gun)
    state = State.of(trusted)
    files = {
        role: {
            "version": file.version,
            "targets": {name: entry.to_json() for name, entry in file.targets.items()},
            "delegations": [entry.to_json() for entry in file.roles],
            "keys": sorted(file.keys),
        }
        for role, file in state.targets.items()
    }
    assigned = {role: (len(one.keyids), one.threshold) for role, one in trusted.root.roles.items()}
    versions = trusted.root.version, trusted.snapshot.version
    return {**files, "failures": sorted(state.failures), "root": (assigned, *versions)}


def go_reads(reader: Person, gun: str) -> str:
    return reader.notary("list", gun).expect(0).stdout


def test_whoever_stages_and_whoever_publishes_the_result_is_the_same(
    person: Callable[[str], Person],
    unique: Callable[[], str],
    keys: dict[str, tuple[bytes, bytes]],
    ids: dict[str, str],
) -> None:
    reader = person("reader")
    pairs = [(stager, publisher) for stager in (True, False) for publisher in (True, False)]
    everybody = {
        pair: equipped(person(f"{pair[0]}-{pair[1]}"), f"localhost/{unique()}", keys, ids) for pair in pairs
    }
    for number, steps in enumerate(PUBLISHES):
        staged, results, lists = [], [], []
        for (go_stages, go_publishes), tools in everybody.items():
            staged.append(stage(tools, steps, by_go=go_stages))
            if steps or go_publishes is False:
                publish(tools, by_go=go_publishes)
            results.append(seen(reader, tools.gun))
            lists.append(go_reads(reader, tools.gun))
        assert staged == [staged[0]] * len(staged), number
        assert results == [results[0]] * len(results), number
        assert lists == [lists[0]] * len(lists), number
        assert bool(staged[0]) == bool(steps)
    assert roles.TARGETS in results[0]


def begin(tools: Tools, *, by_go: bool, snapshot: Literal["server", "local"] = "local") -> None:
    """Begin a repository here, with nothing published."""
    if by_go:
        tools.go("init", tools.gun)
    else:
        with tools.client() as client:
            client.staging.init(tools.gun, snapshot=snapshot)


def metadata(tools: Tools) -> dict[str, bytes]:
    folder = tools.person.trust_dir / "tuf" / tools.gun / "metadata"
    return {path.stem: path.read_bytes() for path in folder.rglob("*.json")}


def shape(data: bytes) -> dict[str, Any]:
    """Return what is signed, without keys and dates."""
    signed = json.loads(data)["signed"]
    assigned = {role: (len(one["keyids"]), one["threshold"]) for role, one in signed.pop("roles", {}).items()}
    left = {name: value for name, value in signed.items() if name not in {"keys", "expires", "meta"}}
    return {**left, "roles": assigned, "meta": sorted(signed.get("meta", {}))}


@pytest.mark.parametrize("go_begins", [True, False], ids=["go", "ours"])
def test_whoever_begins_a_repository_either_publishes_it(
    person: Callable[[str], Person],
    unique: Callable[[], str],
    keys: dict[str, tuple[bytes, bytes]],
    ids: dict[str, str],
    go_begins: bool,
) -> None:
    reader, results = person("reader"), []
    for go_publishes in (True, False):
        tools = equipped(person(f"{go_publishes}"), f"localhost/{unique()}", keys, ids)
        begin(tools, by_go=go_begins)
        made = metadata(tools)
        assert {role: shape(data)["version"] for role, data in made.items()} == {
            "root": 1,
            "targets": 1,
            "snapshot": 1,
        }
        stage(tools, [add("v1"), delegate(A, ["one"], [""]), add("v2", A)], by_go=not go_begins)
        publish(tools, by_go=go_publishes)
        results.append((seen(reader, tools.gun), {role: shape(data) for role, data in made.items()}))
        assert (reader.trust_dir / "tuf" / tools.gun / "metadata" / "root.json").read_bytes() == made["root"]
        assert {"v1", "v2"} <= set(go_reads(reader, tools.gun).split())
        # And the other one goes on in the same trust directory.
        stage(tools, [remove("v1"), witness(A)], by_go=go_publishes)
        publish(tools, by_go=not go_publishes)
        assert "v1" not in go_reads(reader, tools.gun).split()
    assert results[0] == results[1]


def test_what_is_begun_is_the_same_whoever_begins_it(
    person: Callable[[str], Person],
    unique: Callable[[], str],
    keys: dict[str, tuple[bytes, bytes]],
    ids: dict[str, str],
) -> None:
    made = []
    for by_go in (True, False):
        tools = equipped(person(f"{by_go}"), f"localhost/{unique()}", keys, ids)
        begin(tools, by_go=by_go)
        made.append({role: shape(data) for role, data in metadata(tools).items()})
        private = tools.person.trust_dir / "private"
        headers = [path.read_text().split("\n\n")[0].split("\n")[1:] for path in private.glob("*.key")]
        made[-1]["keys"] = {
            "headers": sorted(sorted(lines) for lines in headers if "delegation" not in str(lines))
        }
        made[-1]["keys"]["headers"] = [
            [line.replace(tools.gun, "GUN") for line in lines] for lines in made[-1]["keys"]["headers"]
        ]
    assert made[0] == made[1]


def test_go_publishes_what_we_began_with_the_snapshot_key_at_the_server(
    alice: Person,
    bob: Person,
    unique: Callable[[], str],
    keys: dict[str, tuple[bytes, bytes]],
    ids: dict[str, str],
) -> None:
    tools = equipped(alice, f"localhost/{unique()}", keys, ids)
    begin(tools, by_go=False, snapshot="server")
    stage(tools, [add("v1")], by_go=False)
    publish(tools, by_go=True)
    assert "v1" in go_reads(bob, tools.gun)
    assert seen(bob, tools.gun)["root"][1:] == (1, 1)


def test_a_witness_brings_back_what_go_took_the_signer_of(
    alice: Person,
    bob: Person,
    unique: Callable[[], str],
    keys: dict[str, tuple[bytes, bytes]],
    ids: dict[str, str],
) -> None:
    tools = equipped(alice, f"localhost/{unique()}", keys, ids)
    stage(tools, [delegate(A, ["one"], [""]), add("v1", A)], by_go=True)
    publish(tools, by_go=True)
    assert "v1" in go_reads(alice, tools.gun)
    stage(tools, [delegate(A, ["two"], []), take(A, keys=["one"])], by_go=True)
    publish(tools, by_go=True)
    assert "v1" not in go_reads(bob, tools.gun)
    alice.notary("key", "import", tools.file("two.key", keys["two"][0]), "-r", "delegation").expect(0)
    stage(tools, [witness(A)], by_go=True)
    publish(tools, by_go=False)
    assert "v1" in go_reads(bob, tools.gun)
