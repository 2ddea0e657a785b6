"""The runbooks, line by line in shells of the people they name, on the real servers."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs import pages
from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run

PAGES = Path(pages.ROOT, "docs", "runbooks")


@pytest.fixture
def own_server(workshop: Path, authority: services.Authority, unique: Callable[[], str]) -> Iterator[Server]:
    """Run a server that a test may wipe."""
    with contextlib.ExitStack() as running:
        yield Server(workshop / unique().replace("/", "-"), authority, running)


class Server:
    """A Notary server with memory, at one address; `endpoint` is where."""

    def __init__(self, directory: Path, authority: services.Authority, running: contextlib.ExitStack) -> None:
        self._directory, self._authority, self._running = directory, authority, running
        self._port = services.free_port()
        self.endpoint = self._start()

    def wipe(self) -> None:
        """Lose everything: trust data and keys."""
        self._running.close()
        self._start()

    def _start(self) -> services.Endpoint:
        return self._running.enter_context(
            services.notary_server(self._directory, self._authority, port=self._port)
        )


def blocks(page: str) -> list[pages.Block]:
    """Return what is to be typed on a page."""
    return pages.blocks(pages.read(f"docs/runbooks/{page}.md"), "sh")


def shell(person: Person, variables: Mapping[str, str], script: str) -> Run:
    """Run lines of a page in somebody's home."""
    path = f"{Path(programs.find('notarypy')).parent}:{programs.SEARCH_PATH}"
    known = {"SERVER": person.server.url, "CA": str(person.server.ca), **variables}
    passphrases = {
        f"NOTARY_{role}_PASSPHRASE": person.environment["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]
        for role in ("TARGETS", "SNAPSHOT", "DELEGATION")
    }
    env = {**person.environment, **passphrases, **known, "PATH": path}
    return programs.run(("sh", "-ec", f'cd "{person.home}"\n{script}'), env)


def join(owner: Person, somebody: Person, name: str, repository: Repository) -> None:
    """Make somebody a signer."""
    key, certificate = somebody.new_key(name)
    somebody.notarypy("key", "load", key, "--name", name).expect(0)
    owner.notarypy("signer", "add", "--key", certificate, name, repository.name).expect(0)
    shutil.copy(certificate, owner.home / f"{name}.pub")


def sign(person: Person, repository: Repository, *tags: str) -> None:
    for tag in tags:
        repository.push(tag)
    person.notarypy("sign", *map(repository.ref, tags)).expect(0)


def walk(
    page: str,
    people: Mapping[str, Person],
    variables: dict[str, str],
    before: Mapping[int, Callable[[], object]] | None = None,
) -> list[str]:
    """Do what a page says, each block by everybody that it names; return what was printed.

    Whoever the page names and is not among `people` is somebody else's case. `before` is done before the
    block of that number.
    """
    printed = []
    for number, block in enumerate(blocks(page)):
        (before or {}).get(number, lambda: None)()
        names = block.note.split()
        for name in names:
            if name in people:
                run = shell(people[name], variables, block.text)
                printed.append(run.expect(6 if "fails" in names else 0).text)
    return printed


def test_the_list_of_pages_is_whole() -> None:
    listed = {
        row[1].partition("](")[2].rstrip(")")
        for row in pages.table(pages.read("docs/runbooks/README.md"), "what has happened")
    }
    assert listed == {page.name for page in PAGES.glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_each_page_has_its_parts(page: Path) -> None:
    if page.stem != "README":
        headings = list(pages.sections(page.read_text()))
        for heading in ("What can happen", "How to see it", "What it cannot mend"):
            assert heading in headings
        assert any("See that it is over" in heading for heading in headings)


@pytest.mark.parametrize("has_signer", [True, False])
def test_a_stolen_key(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository, *, has_signer: bool
) -> None:
    thief, jeff = person("thief"), person("jeff")
    carol = alice if has_signer else person("carol")
    join(alice, carol, "carol", repository)
    join(alice, thief, "jeff", repository)
    good = repository.push("1")
    repository.push("2")
    thief.notarypy("sign", repository.ref("1")).expect(0)
    carol.notarypy("sign", repository.ref("2")).expect(0)
    for tag in ("2", "3"):
        repository.push(tag, "bad")
        thief.notarypy("sign", repository.ref(tag)).expect(0)
    [stolen] = thief.notarypy("--json", "key", "list").expect(0).document["results"]
    first, *others = blocks("stolen-key")
    assert [line.partition("=")[0] for line in first.text.splitlines()] == ["REPO", "KEY"]
    variables = {"REPO": repository.name, "KEY": stolen["keyid"], "DIGEST": f"sha256:{good.sha256}"}
    printed = ""
    for block in others:
        if block.note == "owner without" and has_signer:
            continue
        who = {"jeff": jeff, "reader": bob}.get(block.note, alice)
        printed += shell(who, variables, block.text).expect(0).stdout
        if (jeff.home / "jeff.pub").exists():
            shutil.copy(jeff.home / "jeff.pub", alice.home)
    for tag in ("1", "2", "3"):
        assert f"{tag} in targets/releases: sha256:" in printed
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)
    for tag in ("2", "3"):
        bob.notarypy("verify", repository.ref(tag)).expect(3)
    thief.notarypy("sign", repository.ref("3")).expect(6)
    assert stolen["keyid"] not in bob.notarypy("delegate", "list", repository.name).expect(0).stdout
    [seen] = json.loads(bob.inspection(repository.name))
    assert [(row["SignedTag"], row["Digest"]) for row in seen["SignedTags"]] == [("1", good.sha256)]
    before = json.loads((alice.home / "before.json").read_text())
    assert {row["tag"] for row in before["results"][0]["tags"]} == {"1", "2", "3"}


@pytest.mark.parametrize("has_file", [True, False])
def test_the_targets_key_was_lost(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository, *, has_file: bool
) -> None:
    join(alice, alice, "jeff", repository)
    sign(alice, repository, "1")
    repository.push("2")
    bob.notarypy("verify", repository.ref("1")).expect(0)
    keys = alice.notarypy("--json", "key", "list").expect(0).document["results"]
    [lost] = [key for key in keys if key["role"] == "targets"]
    if has_file:  # under a passphrase that nobody knows
        (file,) = (alice.trust_dir / "private").glob(f"{lost['keyid']}.key")
        new = {"NOTARYPY_NEW_PASSPHRASE": "nobody knows it"}
        alice.notarypy("key", "passwd", lost["keyid"], **new).expect(0)
        assert file.exists()
    else:
        alice.notarypy("key", "remove", "--yes", lost["keyid"]).expect(0)
    _, certificate = person("robert").new_key("bob")
    shutil.copy(certificate, alice.home / "bob.pub")
    people = {"owner": alice, "reader": bob, "new": person("new")}
    walk("targets-key-lost", people, {"REPO": repository.name})
    copied = (alice.home / "keys.pem").read_text()
    [new_key] = [
        key["keyid"] for key in alice.notarypy("--json", "key", "list").expect(0).document["results"]
        if key["role"] == "targets" and key["keyid"] != lost["keyid"]
    ]  # fmt: skip
    assert f"path: {new_key}" in copied
    if has_file:
        said = alice.notarypy("key", "remove", "targets").expect(2).text
        assert f"{new_key[:12]} (targets of {repository.name}, in use)" in said
        alice.notarypy("key", "remove", "--yes", lost["keyid"]).expect(0)
    assert lost["keyid"] not in bob.inspection(repository.name)


def test_the_root_key_was_lost(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    jeff, docker = person("jeff"), person("docker")
    join(alice, jeff, "jeff", repository)
    sign(jeff, repository, "1", "2")
    bob.notarypy("verify", repository.ref("1")).expect(0)
    docker.inspection(repository.name)
    [old] = alice.notarypy("--json", "trust", repository.name).expect(0).document["results"]
    alice.notarypy("key", "remove", "--yes", "--force", *old["trusted"]).expect(0)
    variables = {"REPO": repository.name, "PIN": old["trusted"][0], "NEWPIN": ""}
    made = [number for number, block in enumerate(blocks("root-key-lost")) if block.note == "jeff reader"]

    def tell() -> None:
        [new] = alice.notarypy("--json", "trust", repository.name).expect(0).document["results"]
        variables["NEWPIN"] = new["trusted"][0]
        shutil.copy(alice.home / "released.txt", jeff.home)
        bob.notarypy("verify", repository.ref("1")).expect(4)

    people = {"owner": alice, "jeff": jeff, "reader": bob, "docker": docker, "new": person("new")}
    walk("root-key-lost", people, variables, {made[0]: tell})
    assert variables["NEWPIN"] != variables["PIN"]
    [seen] = json.loads(docker.inspection(repository.name))
    assert {row["SignedTag"] for row in seen["SignedTags"]} == {"1", "2"}


def test_one_of_several_root_keys_was_lost(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    join(alice, alice, "jeff", repository)
    sign(alice, repository, "1")
    [seen] = alice.notarypy("--json", "trust", repository.name).expect(0).document["results"]
    [first] = seen["trusted"]
    second, _ = alice.new_key("second")
    both = ("--key", first, "--key", second, "--threshold", "1")
    alice.notarypy("key", "rotate", "--yes", *both, repository.name, "root").expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    bob.inspection(repository.name)
    alice.notarypy("key", "remove", "--yes", "--force", first).expect(0)
    walk("root-key-lost", {"several": alice}, {"REPO": repository.name, "PIN": first})
    for reader in (bob, person("new")):
        reader.notarypy("verify", repository.ref("1")).expect(0)
        assert repository.name in reader.inspection(repository.name)
    [now] = bob.notarypy("--json", "trust", repository.name).expect(0).document["results"]
    assert first not in now["trusted"]
    assert now["trusted"]


def test_the_server_was_wiped(
    own_server: Server, person: Callable[[str], Person], repository: Repository
) -> None:
    alice, jeff, bob, stranger = (person(name) for name in ("owner", "jeff", "reader", "stranger"))
    for somebody in (alice, jeff, bob, stranger):
        somebody.use(own_server.endpoint)
    join(alice, jeff, "jeff", repository)
    join(alice, alice, "carol", repository)
    sign(alice, repository, "1", "2")
    sign(jeff, repository, "3")
    alice.notarypy("key", "rotate", repository.name, "targets").expect(0)
    for reader in (bob, alice):
        reader.notarypy("verify", repository.ref("1")).expect(0)
        reader.inspection(repository.name)
    pins = alice.notarypy("--json", "trust", repository.name).document["results"][0]["trusted"]
    sign(jeff, repository, "4")
    own_server.wipe()
    new = person("new")
    new.use(own_server.endpoint)
    printed = walk(
        "server-wiped",
        {"owner": alice, "jeff": jeff, "reader": bob, "new": new},
        {"REPO": repository.name},
    )
    assert "trust.repo_vanished" in printed[0]
    assert "exit code 4" in printed[0]
    for reader in (bob, new):
        reader.notarypy("verify", *map(repository.ref, "1234")).expect(0)
    assert new.notarypy("--json", "trust", repository.name).document["results"][0]["offered"] == pins
    sign(alice, repository, "5")
    own_server.wipe()
    stranger.notarypy("init", repository.name).expect(0)
    alice.notarypy("republish", repository.name).expect(4)
    walk("server-wiped", {"stranger": stranger}, {"REPO": repository.name})
    alice.notarypy("republish", repository.name).expect(2)
    alice.notarypy("republish", "--yes", repository.name).expect(0)
    bob.notarypy("verify", *map(repository.ref, "12345")).expect(0)


def test_the_server_moved(
    own_server: Server,
    alice: Person,
    bob: Person,
    person: Callable[[str], Person],
    repository: Repository,
) -> None:
    jeff, new, old = person("jeff"), person("new"), alice.server
    join(alice, jeff, "jeff", repository)
    sign(jeff, repository, "1")
    repository.push("2")
    bob.notarypy("verify", repository.ref("1")).expect(0)
    bob.inspection(repository.name)
    there = own_server.endpoint
    variables = {"REPO": repository.name, "OLD": old.url, "NEW": there.url}
    variables |= {"HOST": there.host, "NEWCA": str(there.ca)}
    alice.notarypy("republish", "--yes", "--server", there.url, repository.name).expect(8)
    walk("server-moved", {"owner": alice, "jeff": jeff, "reader": bob, "new": new}, variables)
    bob.notarypy("verify", repository.ref("1")).expect(4)
    bob.use(own_server.endpoint)
    bob.notarypy("verify", repository.ref("2")).expect(0)


def test_a_new_laptop(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    laptop = person("laptop")
    join(alice, alice, "jeff", repository)
    sign(alice, repository, "1")
    alice.notarypy("init", f"{repository.name}/another").expect(0)
    alice.notarypy("key", "rotate", repository.name, "targets").expect(0)
    repository.push("2")

    def carry() -> None:
        for name in ("laptop.tar", "keys.pem"):
            if (alice.home / name).exists():
                shutil.copy(alice.home / name, laptop.home)

    people = {"old": alice, "laptop": laptop, "reader": bob}
    keys = alice.notarypy("--json", "key", "list").expect(0).document["results"]
    variables = {"REPO": repository.name, "KEYS": " ".join(key["keyid"][:12] for key in keys)}
    alice.notarypy("key", "remove", "--yes", *variables["KEYS"].split()).expect(6)
    assert alice.notarypy("--json", "key", "list").expect(0).document["results"] == keys
    walk("new-laptop", people, variables, dict.fromkeys(range(20), carry))
    walk("new-laptop", {"emptied": alice}, variables)
    assert alice.notarypy("--json", "key", "list").document["results"] == []
    assert "jeff" in laptop.inspection(repository.name)


def test_a_person_leaves(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    jeff = person("jeff")
    join(alice, jeff, "jeff", repository)
    sign(jeff, repository, "1")
    bob.notarypy("verify", repository.ref("1")).expect(0)
    people = {"owner": alice, "jeff": jeff, "reader": bob, "new": person("new")}
    walk("person-leaves", people, {"REPO": repository.name})
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(10)
