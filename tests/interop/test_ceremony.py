"""The page for a root of several people, line by line in a shell, on the real servers."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from docs import pages
from interop.harness import programs
from interop.harness.people import REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE
from notarypy.client.api import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run
    from notarypy.keys.keyinfo import PassphraseRequest

VARIABLES, *BLOCKS = pages.blocks(pages.read("docs/ceremony.md"), "sh")
NAMES = ("alice", "bob", "carol", "dave")
NOWHERE = "https://localhost:1"


def shell(person: Person, variables: dict[str, str], script: str, folder: Path) -> Run:
    """Run lines of the page in somebody's home, saying yes to what is asked."""
    path = f"{Path(programs.find('notarypy')).parent}:{programs.SEARCH_PATH}"
    env = {**person.environment, **variables, "PATH": path, "NOTARYPY_FIRST_USE": ""}
    script = script.replace("notarypy sign", "notarypy -y sign")
    return programs.run(("sh", "-ec", f'cd "{folder}"\n{script}'), {k: v for k, v in env.items() if v})


def clone(people: dict[str, Person], shared: Path) -> None:
    """Make a repository of git, and a clone of it in each home."""
    environment = {"HOME": str(shared.parent)}

    def git(*words: str | Path) -> None:
        programs.run(("git", *map(str, words)), environment).expect(0)

    git("init", "-q", "--bare", shared)
    for person in people.values():
        folder = person.home / "shared"
        git("clone", "-q", shared, folder)
        for name, value in (("user.name", "somebody"), ("user.email", "somebody@example.com")):
            git("-C", folder, "config", name, value)


def hand_round(people: dict[str, Person], giver: Person) -> None:
    """Give what somebody made to all others."""
    for person in people.values():
        for file in (*giver.home.glob("*.crt"), *giver.home.glob("*.part")):
            if person is not giver:
                shutil.copy(file, person.home)


def test_three_people_make_a_root_and_keep_it_going(
    person: Callable[[str], Person], repository: Repository, tmp_path: Path
) -> None:
    people = {name: person(name) for name in NAMES}
    repository.push("1")
    clone(people, tmp_path / "shared.git")
    assert VARIABLES.text.startswith("REPO=")
    variables = {"REPO": repository.name}
    for block in BLOCKS:
        if not block.note:
            for line in block.text.splitlines():
                name = line.removesuffix("=...")
                variables[name] = _root_key(people[name.lower()])
            continue
        name, *how = block.note.split()
        who = people[name]
        used = {**variables, "DOCKER_CONTENT_TRUST_SERVER": NOWHERE} if "offline" in how else variables
        folder = who.home / "shared" if "git" in how else who.home
        printed = shell(who, used, block.text, folder).expect(0).stdout
        if "--offline-part" in block.text:
            assert "notarypy sign --" in printed.splitlines()[-1] or "git" in how
        hand_round(people, who)
    _everybody_reads_it(people, repository, variables)


def _root_key(person: Person) -> str:
    listed = person.notarypy("--json", "key", "list").expect(0).document["results"]
    [found] = (key["keyid"] for key in listed if key["role"] == "root")
    return str(found)


def _everybody_reads_it(people: dict[str, Person], repository: Repository, variables: dict[str, str]) -> None:
    alice, bob, dave = people["alice"], people["bob"], people["dave"]
    roots = [word for name in ("ALICE", "BOB") for word in ("--root", variables[name])]
    bob.notarypy("verify", *roots, repository.ref("1"), NOTARYPY_FIRST_USE="").expect(0)
    carol = people["carol"].notarypy("--json", "status", repository.name).expect(0).document
    root = next(role for role in carol["results"][0]["roles"] if role["role"] == "root")
    assert (root["threshold"], len(root["keys"]), root["here"]) == (2, 3, [])
    row = json.loads(dave.inspection(repository.name))[0]
    assert [tag["SignedTag"] for tag in row["SignedTags"]] == ["1"]
    assert len(next(one for one in row["AdministrativeKeys"] if one["Name"] == "Root")["Keys"]) == 3
    again = repository.push("2")
    alice.notary_add(repository.name, "2", again, "targets/releases", "targets/release").expect(0)
    assert again.sha256 in dave.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    bob.notarypy("verify", *roots, repository.ref("2"), NOTARYPY_FIRST_USE="").expect(0)
    _go_changes_no_root(alice, repository)


def _go_changes_no_root(alice: Person, repository: Repository) -> None:
    files = alice.files()
    refused = alice.notary("key", "rotate", repository.name, "targets").expect(1)
    assert "not enough signing keys: found 1 of 2 needed keys" in refused.stdout
    [lost] = files.keys() - alice.files().keys()
    assert b"role: targets" in files[lost]
    alice.notarypy("verify", repository.ref("2")).expect(0)


def _client(person: Person, back: timedelta) -> Client:
    """Return somebody's client with a clock that is behind; servers and their certificates are of today."""

    def passphrase(request: PassphraseRequest) -> str:
        return ROOT_PASSPHRASE if request.role == "root" else REPOSITORY_PASSPHRASE

    def clock() -> datetime:
        return datetime.now(UTC) - back

    return Client.from_environment(person.environment, clock=clock, passphrases=passphrase)


def test_go_notary_publishes_nothing_while_a_root_of_several_people_is_due(
    alice: Person, bob: Person, repository: Repository
) -> None:
    back, gun = timedelta(days=3650 - 150), repository.name
    with ExitStack() as clients:
        then, bob_then, now, theirs = (
            clients.enter_context(_client(person, by))
            for person, by in ((alice, back), (bob, back), (alice, timedelta()), (bob, timedelta()))
        )
        certificates = [client.keys.certify(gun)[1] for client in (then, bob_then)]
        for client, publish in (
            (now, lambda: now.init(gun, root_cert=certificates, root_threshold=2)),
            (then, lambda: then.renew(gun, only=["root"])),
        ):
            part = theirs.parts.read([client.parts.make(publish).document])
            assert theirs.parts.publish(theirs.parts.sign(part)).published
    refused = alice.notary_add(gun, "1", repository.push("1")).expect(1)
    assert "root is nearing expiry" in refused.stderr
    assert "not enough signing keys: found 1 of 2 needed keys" in refused.stdout
    alice.notarypy("sign", repository.ref("1")).expect(0)
