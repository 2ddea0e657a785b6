"""The page for a stolen key, line by line in a shell, on the real servers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs import pages
from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run

VARIABLES, *BLOCKS = pages.blocks(pages.read("docs/stolen-key.md"), "sh")
WITHOUT = "owner without"


def shell(person: Person, variables: dict[str, str], script: str) -> Run:
    """Run lines of the page in somebody's home."""
    path = f"{Path(programs.find('notarypy')).parent}:{programs.SEARCH_PATH}"
    env = {**person.environment, **variables, "PATH": path}
    return programs.run(("sh", "-ec", f'cd "{person.home}"\n{script}'), env)


def join(owner: Person, somebody: Person, name: str, repository: Repository) -> None:
    """Make somebody a signer."""
    key, certificate = somebody.new_key(name)
    somebody.notarypy("key", "load", key, "--name", name).expect(0)
    owner.notarypy("signer", "add", "--key", certificate, name, repository.name).expect(0)


@pytest.mark.parametrize("has_signer", [True, False])
def test_the_page_leads_to_a_repository_without_the_thief(
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
    assert [line.partition("=")[0] for line in VARIABLES.text.splitlines()] == ["REPO", "KEY"]
    variables = {"REPO": repository.name, "KEY": stolen["keyid"], "DIGEST": f"sha256:{good.sha256}"}
    printed = ""
    for block in BLOCKS:
        if block.note == WITHOUT and has_signer:
            continue
        who = {"owner": alice, WITHOUT: alice, "jeff": jeff}[block.note]
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
