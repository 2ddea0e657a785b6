"""The example pipelines as tests read them: each step's script, and the environment that it gets.

A step of this project is the script of that step, with what the pipeline says to it.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import yaml

from docs import cisteps, pages
from docs.cisteps import Step, TextLoader

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = pages.ROOT / "docs" / "ci"
FILES = ("github-actions.yml", "gitlab-ci.yml", "Jenkinsfile", "tekton.yml", "azure-pipelines.yml")
# Those whose key is in a service, which takes the token of the job.
OIDC = ("oidc-aws.yml", "oidc-gcp.yml", "oidc-azure.yml", "oidc-vault.yml")
ACTION, COMPONENT = "notarypy/notarypy@COMMIT", "$CI_SERVER_FQDN/tools/notarypy/notarypy@COMMIT"
TEMPLATE = "azure/notarypy.yml@notarypy"


def documents(file: str) -> list[Any]:
    """Return the YAML documents of a file; keys such as `on` and `yes` stay texts."""
    return list(yaml.load_all((FOLDER / file).read_text(encoding="utf-8"), Loader=TextLoader))


def steps(file: str) -> list[Step]:
    """Return the scripts of a pipeline in their order."""
    if file == "Jenkinsfile":
        return list(_jenkins())
    made = {
        "gitlab-ci.yml": _gitlab,
        "tekton.yml": _tekton,
        "azure-pipelines.yml": _azure,
        **dict.fromkeys(("github-actions.yml", *OIDC), _github),
    }
    return [step for document in documents(file) for step in made[file](document)]


def _github(workflow: dict[str, Any]) -> Iterator[Step]:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            env = {**workflow["env"], **step.get("env", {})}
            if step.get("uses") == ACTION:
                ours = cisteps.github(step["with"])
                yield ours._replace(name=step["name"], env={**env, **ours.env})
            elif "run" in step:
                yield Step(step["name"], step["run"], env, ("bash", "-e"))


def _gitlab(pipeline: dict[str, Any]) -> Iterator[Step]:
    jobs, variables = dict(pipeline), pipeline["variables"]
    included = {}
    for include in pipeline["include"]:
        assert include["component"] == COMPONENT
        name, job = cisteps.gitlab_job(include["inputs"])
        included[name] = cisteps.gitlab(include["inputs"])
        jobs[name] = {**job, **jobs.get(name, {})}
    named = [name for name in jobs if name not in {"include", "stages", "variables"} and name[0] != "."]
    for name in sorted(
        named, key=lambda one: (pipeline["stages"].index(jobs[one]["stage"]), one != "verify")
    ):
        job = jobs[name]
        assert job["extends"] in pipeline
        env = {**variables, **job.get("variables", {})}
        if name in included:
            yield included[name]._replace(name=name, env={**env, **included[name].env})
        else:
            yield Step(name, "\n".join(job["script"]), env, ("bash", "-eo", "pipefail"))


def _azure(pipeline: dict[str, Any]) -> Iterator[Step]:
    for step in pipeline["steps"]:
        if "template" in step:
            assert step["template"] == TEMPLATE
            ours = cisteps.azure(step["parameters"])
            env = {**pipeline["variables"], **ours.env}
            yield ours._replace(name=step["parameters"]["name"], env=env)
        elif "bash" in step:
            env = {**pipeline["variables"], **step.get("env", {})}
            yield Step(step["displayName"], step["bash"], env, ("bash",))


def _tekton(pipeline: dict[str, Any]) -> Iterator[Step]:
    for task in pipeline["spec"]["tasks"]:
        if task["taskRef"]["name"] == "notarypy":
            bound = {one["name"]: f"/workspace/{one['workspace']}" for one in task["workspaces"]}
            assert {one["workspace"] for one in task["workspaces"]} <= {
                one["name"] for one in pipeline["spec"]["workspaces"]
            }
            bound |= {name: f"/tekton/results/{name}" for name in ("image", "images")}
            given = {one["name"]: one["value"] for one in task["params"]}
            yield cisteps.tekton(given, bound)._replace(name=task["name"])


def _jenkins() -> Iterator[Step]:
    text = (FOLDER / "Jenkinsfile").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}")
    env = dict(re.findall(r"^    ([A-Z_]+) = ['\"]([^'\"]*)['\"]", text, re.MULTILINE))
    stages = re.split(r"stage\('([^']*)'\)", text)
    for name, stage in zip(stages[1::2], stages[2::2], strict=True):
        for script in re.findall(r"sh '''\n(.*?)'''", stage, re.DOTALL):
            yield Step(name, textwrap.dedent(script), env, ("sh", "-xe"))
