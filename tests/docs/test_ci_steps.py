"""The steps for CI systems as files: one text, inputs that the page has, no value inside of a script."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from docs import cisteps, pages
from docs.cisteps import TextLoader

PAGE = "docs/ci.md"
NAMES = [row[0] for row in pages.table(pages.read(PAGE), "input")]
INPUTS = {name for cell in NAMES for name in re.findall(r"`([\w-]+)`", cell)}


def kebab(names: set[str]) -> set[str]:
    """Return names as GitHub writes them."""
    return {re.sub(r"([A-Z])", lambda found: f"-{found[1].lower()}", name) for name in names}


def inputs(system: str) -> set[str]:
    """Return the inputs of a step."""
    if system == "jenkins":
        text = pages.read(cisteps.FILES[system])
        return kebab(
            {*re.findall(r"[ \[](\w+): 'IN_\w+'[,\n]", text), *re.findall(r"entry\.key == '(\w+)'", text)}
        )
    document = cisteps.documents(system)[0]
    if system == "github":
        return {*document["inputs"]}
    if system == "gitlab":
        return {*document["spec"]["inputs"]}
    listed = document["spec"]["params"] if system == "tekton" else document["parameters"]
    return kebab({one["name"] for one in listed})


def test_all_steps_have_one_text() -> None:
    script = [sys.executable, str(pages.ROOT / "scripts" / "copy-step"), "--check"]
    subprocess.run(script, check=True, capture_output=True)


def test_no_system_reads_a_name_of_its_own_in_the_text() -> None:
    text = pages.read("resources/notarypy/step.sh")
    for own in ("$(", "${{", "$[", "$$", "{{"):
        assert own not in text.replace("\\$\\(", ""), own


@pytest.mark.parametrize(
    ("system", "lacking", "own"),
    [
        ("github", set(), {"extras"}),
        ("gitlab", {"passphrase"}, {"job", "stage", "image"}),
        ("azure", set(), {"name"}),
        ("tekton", {"passphrase", "passphrase-file"}, {"image"}),  # which are in a workspace
        ("jenkins", set(), {"key-uri"}),
    ],
)
def test_a_step_has_the_inputs_of_the_page(system: str, lacking: set[str], own: set[str]) -> None:
    assert inputs(system) == (INPUTS | {"mode"}) - lacking | own


@pytest.mark.parametrize("system", ["github", "gitlab", "azure", "tekton"])
def test_no_value_is_inside_of_a_script(system: str) -> None:
    document = cisteps.documents(system)[-1]
    if system == "github":
        ((script, written),) = [(step["run"], step["env"]) for step in document["runs"]["steps"]]
    elif system == "gitlab":
        (job,) = document.values()
        script, written = "\n".join([*job["before_script"], *job["script"]]), job["variables"]
    else:
        (step,) = document["steps"] if system == "azure" else document["spec"]["steps"]
        script, written = step["bash" if system == "azure" else "script"], step["env"]
    assert not re.search(r"\$\{\{|\$\[\[|\$\((params|workspaces|results)", script)
    assert "IN_REFS" in str(written)


def test_no_variable_with_a_secret_stands_above_a_value_of_somebody() -> None:
    step = cisteps.documents("tekton")[0]["spec"]["steps"][0]
    assert all(set(one) == {"name", "value"} for one in step["env"])


@pytest.mark.parametrize("block", pages.blocks(pages.read(PAGE), "yaml"))
def test_what_the_page_shows_names_inputs_that_are_there(block: pages.Block) -> None:
    (document,) = yaml.load_all(block.text, Loader=TextLoader)
    if isinstance(document, list):
        cisteps.github(document[0]["with"])
    elif "include" in document:
        cisteps.gitlab_job(document["include"][0]["inputs"])
    elif "steps" in document:
        cisteps.azure_step(document["steps"][1]["parameters"])
    elif "spec" in document:
        spec, given = cisteps.documents("tekton")[0]["spec"], document["spec"]
        assert {one["name"] for one in given["params"]} <= {one["name"] for one in spec["params"]}
        assert {one["name"] for one in given["workspaces"]} <= {one["name"] for one in spec["workspaces"]}
    else:
        hooks = {hook["id"] for hook in yaml.safe_load(pages.read(".pre-commit-hooks.yaml"))}
        assert {hook["id"] for hook in document["repos"][0]["hooks"]} == hooks


def test_actions_of_others_are_named_by_their_commits() -> None:
    files = [path for path in (pages.ROOT / "docs").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    told = "\n".join(path.read_text() for path in files)
    named = [line for line in re.findall(r"uses: (\S+@.*)", told) if not line.startswith("notarypy/")]
    assert len(named) > 10
    assert [line for line in named if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
