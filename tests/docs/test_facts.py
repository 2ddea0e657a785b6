from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import benchmarks.__main__
from benchmarks import scale
from docs import pages, programs
from interop.harness import costs
from notarypy.cli.app import COMMANDS
from notarypy.cli.gonotary import commands as gonotary
from notarypy.tuf import trusted
from support.scriptmodules import loaded

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = pages.ROOT / "notarypy"
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
ROOMS = tuple(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
# Named because they are not read, or as an example of a pattern.
NOT_OURS = {"SOFTHSM2_CONF", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NOTARYPY_PASSPHRASE_CI_BOT"}
# Those of Google's and Azure's libraries.
NOT_OURS |= {"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"}
NOT_OURS |= {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN"}
NOT_OURS |= {"AZURE_FEDERATED_TOKEN_FILE", "AZURE_TOKEN_CREDENTIALS"}
# Of GitLab's jobs, and settings of Quay.
NOT_OURS |= {"CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD", "CI_JOB_TOKEN", "FEATURE_SIGNING"}
# Build arguments of the image, what pip reads on machines of CI systems, and folders there.
NOT_OURS |= {"PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "WORKSPACE_TMP", "CI_PROJECT_DIR"}
# What pipelines call their secrets, and what jobs get from the component for GitLab.
NOT_OURS |= {"SIGNING_KEY", "SIGNING_PASSPHRASE", "NOTARYPY_IMAGE", "NOTARYPY_IMAGES"}
# What the single file reads before notarypy runs.
NOT_OURS |= {"XDG_CACHE_HOME"}
# What names the folder of tpm2-pkcs11, the way to its TPM, and how much its libraries say.
NOT_OURS |= {"TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI", "TSS2_LOG"}
# The passphrase variables of a root key and of a signer called jeff.
NOT_OURS |= {"NOTARYPY_PASSPHRASE_ROOT", "NOTARYPY_PASSPHRASE_JEFF_FILE"}
PER_USER = {"notarypy/config.toml", "notarypy/policy.toml"}


def command_lines(text: str) -> list[list[str]]:
    """Return the words after `notarypy` in all code of a page."""
    fenced = [block.text for kind in ("console", "sh", "text") for block in pages.blocks(text, kind)]
    code = [*pages.spans(text), *"".join(fenced).splitlines()]
    found = [match for piece in code for match in re.findall(r"\bnotarypy ([^|;)`]+)", piece)]
    return [words.split() for words in found]


def is_there(room: str) -> bool:
    """Tell whether the package has this room or module."""
    return (PACKAGE / room).exists() or (PACKAGE / f"{room}.py").exists()


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_only_commands_that_exist_are_mentioned(page: Path) -> None:
    for words in command_lines(page.read_text(encoding="utf-8")):
        named = [word for word in words if re.fullmatch(r"[a-z]+(-[a-z]+)?", word)]
        if words[0].startswith("-") or words[0] in {"COMMAND", "help", "version"} or not named:
            continue
        assert named[0] in COMMANDS, words
        assert named[0] in programs.commands() or " ".join(named[:2]) in programs.commands(), words


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_only_files_that_exist_are_mentioned(page: Path) -> None:
    for span in pages.spans(page.read_text(encoding="utf-8")):
        path = span.split(" ", 1)[0].rstrip("/")
        if re.match(r"(notarypy|tests|scripts|docs|fixtures|\.ci)/\w", path) and path not in PER_USER:
            assert (pages.ROOT / path).exists(), span
        elif re.match(rf"({'|'.join(ROOMS)})/\w+\.py$", path):
            assert (PACKAGE / path).exists(), span


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_only_variables_that_are_read_are_mentioned(page: Path) -> None:
    for span in pages.spans(page.read_text(encoding="utf-8")):
        match = re.match(r"\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+_?)", span)
        if match and match[1] not in NOT_OURS:
            assert match[1].removesuffix("_FILE") in SOURCE, span


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_only_options_that_exist_are_mentioned(page: Path) -> None:
    known = {option for command in ("", *programs.commands()) for option in programs.options(command)}
    for script in (benchmarks.__main__, scale, costs, loaded("single-file")):
        known |= set(script.command_line()._option_string_actions)  # noqa: SLF001 - nothing else tells them
    flags = [*gonotary.GLOBALS, *(flag for command in gonotary.COMMANDS for flag in command.flags)]
    known |= {f"--{flag.name}" for flag in flags}
    known |= {
        "--metadata-file",
        "--raw",
        "--push",
        "--unit",
        "--pdb",
        "--strict",
        "--dest-cert-dir",
        "--src-cert-dir",
        "--cert-dir",
        "--cacert",
        "--host",
        "--context",
        "--sha256",
        "--all-paths",
        "--paths",
        "--from",
        "--mount",
        "--creds",
        "--tool",
        "--callgrind-out-file",
    }  # of Dockerfiles, buildx, buildah, scripts/test, pytest, skopeo, podman, curl, docker, notary, valgrind
    known |= {
        "--clear-lockout",
        "--insecure-ignore-tlog",
        "--type",
        "--volume",
        "--server-side",
        "--force-conflicts",
        "--ignore-not-found",
        "--admission-control-config-file",
    }  # of tpm2-tools, cosign, kubectl, buildah, API servers
    known |= {
        "--recursive",
        "--sign-container-identity",
        "--tlog-upload",
    }  # of cosign, and of its third release:
    known |= {"--new-bundle-format", "--use-signing-config"}
    known |= {"--registry", "--expose-token", "--with-notary"}  # of az acr, and of Harbor's installer
    for span in pages.spans(page.read_text(encoding="utf-8")):
        assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", span)) <= known, span


def test_the_rules_of_verification_are_listed_by_their_numbers() -> None:
    real = re.findall(r"^ ?(\d+)\. ", trusted.__doc__ or "", re.MULTILINE)
    assert [row[0] for row in pages.table(pages.read("docs/trust.md"), "rule")] == real


def test_every_module_has_a_place_in_the_architecture() -> None:
    shown = {}
    for room, modules in pages.table(pages.read("docs/architecture.md"), "room"):
        folder = PACKAGE if pages.code(room) == "notarypy/" else PACKAGE / pages.code(room)
        shown[folder] = set(re.findall(r"`([a-z0-9]+)`", modules))
    real = {
        folder: {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
        for folder in shown
    }
    assert shown == real
    assert set(shown) == {path.parent for path in PACKAGE.rglob("__init__.py")}


def test_the_layers_are_those_of_the_contract() -> None:
    contract = re.search(r"^layers = \[\n(.*?)^\]", pages.read("pyproject.toml"), re.DOTALL | re.MULTILINE)
    drawing = pages.blocks(pages.read("docs/architecture.md"), "text")[0].text
    assert contract is not None
    enforced = [re.findall(r"\w+", line) for line in contract[1].splitlines()]
    drawn = [re.findall(r"\w+", re.split(r"\s{2,}", line)[0]) for line in drawing.splitlines()]
    exists = [[room for room in layer if is_there(room)] for layer in enforced]
    assert drawn == exists


def test_the_end_of_each_notary_is_the_same_everywhere() -> None:
    tables = [pages.read(f"docs/{name}.md") for name in ("choosing", "leaving-notary")]
    ends, same = (re.findall(r"\| (20\d\d-\d\d-\d\d) \|", text) for text in tables)
    assert len(ends) == 3
    assert ends == same
    assert [day for day in ends if day not in pages.read("docs/pictures/until.svg")] == []
