"""The example pipelines as tests read them: each step's script, and the environment that it gets."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = pages.ROOT / "docs" / "ci"
FILES = ("github-actions.yml", "gitlab-ci.yml", "Jenkinsfile", "tekton.yml")
# Those whose key is in a service, which takes the token of the job.
OIDC = ("oidc-aws.yml", "oidc-gcp.yml", "oidc-azure.yml", "oidc-vault.yml")


class Step(NamedTuple):
    """One script of a pipeline.

    Attributes:
        name: What the file calls it.
        script: The text for a shell.
        env: The variables that the file sets, as it writes them.
        shell: The shell that runs it, with its options.
    """

    name: str
    script: str
    env: dict[str, str]
    shell: tuple[str, ...]


def documents(file: str) -> list[Any]:
    """Return the YAML documents of a file; keys such as `on` and `yes` stay texts."""
    return list(yaml.load_all((FOLDER / file).read_text(encoding="utf-8"), Loader=TextLoader))


class TextLoader(yaml.SafeLoader):
    """YAML 1.2 takes only true and false for truth values, 1.1 takes words for them."""


TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":bool") or first in "tfTF"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def steps(file: str) -> list[Step]:
    """Return the scripts of a pipeline in their order."""
    if file == "Jenkinsfile":
        return list(_jenkins())
    made = {
        "gitlab-ci.yml": _gitlab,
        "tekton.yml": _tekton,
        **dict.fromkeys(("github-actions.yml", *OIDC), _github),
    }
    return [step for document in documents(file) for step in made[file](document)]


def _github(workflow: dict[str, Any]) -> Iterator[Step]:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            if "run" in step:
                env = {**workflow["env"], **step.get("env", {})}
                yield Step(step["name"], step["run"], env, ("bash", "-e"))


def _gitlab(pipeline: dict[str, Any]) -> Iterator[Step]:
    for name, job in pipeline.items():
        if name in {"stages", "variables"} or name.startswith("."):
            continue
        lines, parent = job["script"], pipeline[job["extends"]]
        assert job["stage"] in pipeline["stages"], name
        env = {**pipeline["variables"], **job.get("variables", {})}
        yield Step(
            name, "\n".join([*parent.get("before_script", []), *lines]), env, ("bash", "-eo", "pipefail")
        )


def _tekton(task: dict[str, Any]) -> Iterator[Step]:
    for step in task["spec"]["steps"]:
        env = {entry["name"]: entry.get("value", "") for entry in step["env"]}
        known = {parameter["name"] for parameter in task["spec"]["params"]}
        assert set(re.findall(r"\$\(params\.([\w-]+)\)", str(env))) == known
        assert {mount["name"] for mount in step["volumeMounts"]} <= {
            one["name"] for one in task["spec"]["volumes"]
        }
        yield Step(step["name"], step["script"], env, ("bash",))


def _jenkins() -> Iterator[Step]:
    text = (FOLDER / "Jenkinsfile").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}")
    env = dict(re.findall(r"^    ([A-Z_]+) = ['\"]([^'\"]*)['\"]", text, re.MULTILINE))
    stages = re.split(r"stage\('([^']*)'\)", text)
    for name, stage in zip(stages[1::2], stages[2::2], strict=True):
        scripts = re.findall(r"sh '''\n(.*?)'''", stage, re.DOTALL)
        assert len(scripts) == 1, name
        yield Step(name, textwrap.dedent(scripts[0]), env, ("sh", "-xe"))
