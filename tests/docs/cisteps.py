"""The steps for CI systems as tests use them: what each system makes of a step and of its inputs.

What it is: the systems' own rules for their expressions, as far as the steps use them. What it is not: a
check of what the steps do; their scripts are run in tests/interop.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from docs import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SYSTEMS = ("github", "gitlab", "azure", "tekton", "jenkins")
FILES = {
    "github": "action.yml",
    "gitlab": "templates/notarypy.yml",
    "azure": "azure/notarypy.yml",
    "tekton": "tekton/notarypy.yaml",
    "jenkins": "vars/notarypy.groovy",
}
HARNESS = pages.ROOT / "tests" / "interop" / "harness" / "foreign" / "jenkins.groovy"


class Step(NamedTuple):
    """One script of a pipeline.

    Attributes:
        name: What the file calls it.
        script: The text for a shell.
        env: The variables that the file sets, as it writes them.
        shell: The shell that runs it, with its options.
        ours: Whether it is the script of a step of this project.
    """

    name: str
    script: str
    env: dict[str, str]
    shell: tuple[str, ...]
    ours: bool = False


class TextLoader(yaml.CSafeLoader):
    """YAML 1.2 takes only true and false for truth values, 1.1 takes words for them."""


TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":bool") or first in "tfTF"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def documents(system: str) -> list[Any]:
    """Return the YAML documents of a step."""
    return list(yaml.load_all(pages.read(FILES[system]), Loader=TextLoader))


def replaced(node: Any, pattern: str, value: Callable[[str], str]) -> Any:  # noqa: ANN401 - any YAML
    """Return a node in which what the pattern finds in texts is the value of its first group."""
    if isinstance(node, dict):
        return {replaced(key, pattern, value): replaced(one, pattern, value) for key, one in node.items()}
    if isinstance(node, list):
        return [replaced(one, pattern, value) for one in node]
    return re.sub(pattern, lambda found: value(found[1]), node) if isinstance(node, str) else node


def github(given: Mapping[str, str]) -> Step:
    """Return the step of the composite action; only its environment has expressions."""
    (action,) = documents("github")
    inputs = {name: one.get("default", "") for name, one in action["inputs"].items()}
    assert given.keys() <= inputs.keys()
    (step,) = action["runs"]["steps"]
    assert "${{" not in step["run"]
    env = replaced(step["env"], r"\$\{\{ inputs\.([\w-]+) \}\}", lambda name: {**inputs, **given}[name])
    assert step["shell"] == "bash"
    env["GITHUB_ACTION_PATH"] = str(pages.ROOT)
    return Step(step["name"], step["run"], env, ("bash", "-eo", "pipefail"), ours=True)


def gitlab_job(given: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the name of the component's job, and the job."""
    spec, jobs = documents("gitlab")
    inputs = {name: one.get("default") for name, one in spec["spec"]["inputs"].items()}
    assert given.keys() <= inputs.keys()
    assert given["mode"] in spec["spec"]["inputs"]["mode"]["options"]
    ((name, job),) = replaced(
        jobs, r"\$\[\[ inputs\.([\w-]+) \]\]", lambda name: {**inputs, **given}[name]
    ).items()
    return name, job


def gitlab(given: Mapping[str, str]) -> Step:
    """Return the job of the component; its variables may name others."""
    name, job = gitlab_job(given)
    env = job["variables"]
    return Step(
        name, "\n".join([*job["before_script"], *job["script"]]), env, ("bash", "-eo", "pipefail"), ours=True
    )


def azure_step(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the template's step, its expressions replaced."""
    (template,) = documents("azure")
    parameters = {one["name"]: one.get("default") for one in template["parameters"]}
    assert given.keys() <= parameters.keys()
    (step,) = replaced(
        template["steps"], r"\$\{\{ parameters\.(\w+) \}\}", lambda name: {**parameters, **given}[name]
    )
    assert isinstance(step, dict)
    return step


def azure(given: Mapping[str, str]) -> Step:
    """Return the template's step; it may name variables."""
    step = azure_step(given)
    return Step(step["displayName"], step["bash"], step["env"], ("bash",), ours=True)


def with_variables(step: Step, variables: Mapping[str, str]) -> Step:
    """Return a step of GitLab, whose variables are replaced, by nothing if unknown."""
    pattern = r"\$\{?([A-Za-z_]\w*)\}?"
    return step._replace(env=replaced(step.env, pattern, lambda name: variables.get(name, "")))


def with_macros(step: Step, variables: Mapping[str, str]) -> Step:
    """Return a step of Azure's, whose known variables are replaced, in scripts too."""

    def value(name: str) -> str:
        return variables.get(name, f"$({name})")

    pattern = r"\$\(([\w.]+)\)"
    return step._replace(env=replaced(step.env, pattern, value), script=replaced(step.script, pattern, value))


def tekton(given: Mapping[str, str], paths: Mapping[str, Path | str]) -> Step:
    """Return the Task's step, with paths of results and of those workspaces that are bound."""
    (task,) = documents("tekton")
    spec = task["spec"]
    parameters = {one["name"]: one.get("default") for one in spec["params"]}
    assert given.keys() <= parameters.keys()
    known = {f"params.{name}": given.get(name, default) for name, default in parameters.items()}
    known |= {f"workspaces.{one['name']}.path": str(paths.get(one["name"], "")) for one in spec["workspaces"]}
    known |= {f"results.{one['name']}.path": str(paths[one["name"]]) for one in spec["results"]}
    (step,) = replaced(spec["steps"], r"\$\(([\w-]+\.[\w.-]+)\)", lambda name: known[name])
    env: dict[str, str] = {}
    for one in step["env"]:  # and then Kubernetes replaces what stands above
        env[one["name"]] = replaced(one["value"], r"\$\((\w+)\)", lambda name: env.get(name, f"$({name})"))
    assert step["script"].startswith("#!/bin/sh\n")
    return Step(step["name"], step["script"], env, ("sh",), ours=True)


def groovy(given: Mapping[str, object], credentials: Mapping[str, object], java: Path, jar: Path) -> Step:
    """Return a call of the library's step in the Groovy that Jenkins has; JENKINSFILE has more of them."""
    env = {"GIVEN": json.dumps(given), "CREDENTIALS": json.dumps(credentials), "LIBRARY": str(pages.ROOT)}
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Xshare:auto"
    options += " --add-opens java.base/java.lang=ALL-UNNAMED"
    script = f'exec "{java}" {options} -cp "{jar}" groovy.ui.GroovyMain "{HARNESS}"'
    return Step("notarypy", script, env, ("sh",), ours=True)
