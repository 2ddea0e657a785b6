"""The recipes: every command line in them can be read, and the pipelines are what they claim to be."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from docs import ci, pages
from notarypy.cli import bridge
from notarypy.cli.run import Run
from notarypy.keys.signers import SIGNERS
from notarypy.storage.settings import configfile

if TYPE_CHECKING:
    from pathlib import Path

PAGES = (
    "docs/recipes.md",
    "docs/moving-from-docker-trust.md",
    "docs/ceremony.md",
    "docs/runbooks/stolen-key.md",
    "docs/keys/azure.md",
    "docs/keys/gcp.md",
    "docs/keys/oidc.md",
    "docs/keys/vault.md",
    "docs/registries/README.md",
    "docs/registries/acr.md",
    "docs/registries/artifactory.md",
    "docs/registries/gitlab.md",
    "docs/registries/harbor.md",
    "docs/registries/msr.md",
    "docs/registries/quay.md",
)


def command_lines() -> list[str]:
    """Return every command line of notarypy in the pages and pipelines."""
    code = [
        line
        for file in (*ci.FILES, *ci.OIDC)
        for step in ci.steps(file)
        if not step.ours
        for line in step.script.splitlines()
    ]
    for page in map(pages.read, PAGES):
        code += [line for block in pages.blocks(page, "sh") for line in block.text.splitlines()]
        code += pages.spans(page)
    return sorted({found for line in code if (found := _command_line(line))})


def _command_line(line: str) -> str:
    """Return what follows `notarypy` on a line; of a substitution only what is inside."""
    before, name, after = line.partition("  #")[0].partition("notarypy ")
    if not name or re.search(r"[\w./-]$", before):
        return ""
    return after.rpartition(")")[0] if before.endswith("$(") else after.strip()


def parse(words: list[str]) -> list[str]:
    """Read a command line as the program does, without running it; return the command."""
    command, path = bridge._program(), []  # noqa: SLF001 - the program without its end
    context = command.make_context("notarypy", words, obj=(Run(), []))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]  # noqa: SLF001 - as the group itself goes on
        name, command, words = command.resolve_command(context, rest)
        path.append(name)
        context = command.make_context(name, words, parent=context)
    return path


def test_there_are_command_lines_to_check() -> None:
    found = command_lines()
    assert len(found) > 30
    assert "verify REPO:1" in found
    assert '-c notarypy.toml key add "$SIGNER" --name ci' in found


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_can_be_read(line: str) -> None:
    assert parse(shlex.split(line))


@pytest.mark.parametrize("line", ["sign --no-such-option REPO", "key rotate REPO", "inspect", "nothing"])
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|there is no"):
        parse(shlex.split(line))


@pytest.mark.parametrize("file", ci.FILES)
def test_a_pipeline_signs_and_verifies_as_one_signer(file: str) -> None:
    if file == "Jenkinsfile":
        found = re.findall(r"mode: '(\w+)'.*?signer: '(\w+)'", (ci.FOLDER / file).read_text(), re.DOTALL)
    else:
        found = [(step.env["IN_MODE"], step.env["IN_SIGNER"]) for step in ci.steps(file) if step.ours]
    assert found == [("sign", "ci"), ("verify", "ci")]


@pytest.mark.parametrize("file", ci.OIDC)
def test_a_pipeline_with_a_key_in_a_service_stores_no_secret(file: str) -> None:
    first, last = [step.env for step in ci.steps(file) if step.ours]
    if file == "oidc-vault.yml":  # whose login is a line of its own
        text = "\n".join(step.script for step in ci.steps(file) if not step.ours)
        assert 'key add "$SIGNER" --name ci' in text
        assert "sign --signer ci" in text
        assert first["IN_MODE"] == "install"
    else:
        assert (first["IN_MODE"], first["IN_SIGNER"], first["IN_KEY"]) == ("sign", "ci", "${{ env.SIGNER }}")
    assert first["IN_EXTRAS"] == file.removeprefix("oidc-").removesuffix(".yml")
    assert (last["IN_MODE"], last["IN_SIGNER"]) == ("verify", "ci")
    assert "secrets." not in (ci.FOLDER / file).read_text(encoding="utf-8")
    (workflow,) = ci.documents(file)
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert [name for name, job in jobs.items() if job["permissions"].get("id-token") == "write"] == ["sign"]
    assert jobs["sign"]["environment"] == "release"
    assert workflow["env"]["SIGNER"].partition(":")[0] in SIGNERS


def test_no_token_is_an_argument_and_no_failure_is_passed_over() -> None:
    (script,) = [step.script for step in ci.steps("oidc-vault.yml") if step.name == "Sign what was built"]
    assert script.startswith("set -o pipefail\n")
    argument = r"-H |--header|--arg |curl[^|]*\$(VAULT_TOKEN|identity|ACTIONS_ID_TOKEN_REQUEST_TOKEN)"
    assert not re.search(argument, script)
    assert script.count("jq -er") == script.count("curl -sSf --proto =https") == 2


def test_a_token_is_for_one_repository_and_one_environment() -> None:
    page = pages.read("docs/keys/oidc.md")
    trust = json.loads(pages.blocks(page, "json")[0].text)["Statement"][0]["Condition"]
    assert (
        trust["StringEquals"]["token.actions.githubusercontent.com:sub"]
        == "repo:team/app:environment:release"
    )
    rights = json.loads(pages.blocks(page, "json")[1].text)["Statement"]
    assert [right["Action"] for right in rights] == ["kms:Sign", "kms:GetPublicKey"]
    signing = json.loads(pages.blocks(pages.read("docs/keys/aws.md"), "json")[0].text)["Statement"][0]
    assert rights[0]["Condition"] == signing["Condition"]
    for right in rights:
        assert ci.documents("oidc-aws.yml")[0]["env"]["SIGNER"].endswith(right["Resource"])


@pytest.mark.parametrize("file", [*ci.FILES, *ci.OIDC])
def test_a_pipeline_has_no_secret_and_names_no_package_registry(file: str) -> None:
    text = (ci.FOLDER / file).read_text(encoding="utf-8")
    assert not re.search(r"PRIVATE KEY|--index-url|--extra-index", text)
    for step in ci.steps(file):
        secrets = {name: value for name, value in step.env.items() if re.search("PASS|KEY|AUTH", name)}
        assert all(re.match(r"\$|/|$", value) for value in secrets.values()), secrets


@pytest.mark.parametrize("file", [file for file in (*ci.FILES, *ci.OIDC) if file.endswith(".yml")])
def test_a_pipeline_is_yaml_without_surprises(file: str) -> None:
    def texts(node: Any) -> list[object]:  # noqa: ANN401 - any YAML
        if isinstance(node, dict):
            return [*node, *(leaf for value in node.values() for leaf in texts(value))]
        return [leaf for value in node for leaf in texts(value)] if isinstance(node, list) else [node]

    leaves = [leaf for document in ci.documents(file) for leaf in texts(document)]
    assert leaves
    assert all(isinstance(leaf, str) or leaf is True for leaf in leaves), leaves


def test_the_configuration_file_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes((ci.FOLDER / "notarypy.toml").read_bytes())
    (registry,) = configfile.read(tmp_path / "config.toml", tmp_path).registries.values()
    assert registry.server == "https://notary.example.com"
    assert len(registry.root) == 1


def test_every_example_is_on_the_page() -> None:
    linked = {link for link in pages.links(pages.read("docs/recipes.md")) if link.startswith("ci/")}
    assert linked == {f"ci/{path.name}" for path in ci.FOLDER.iterdir()}
