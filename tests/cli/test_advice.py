"""Every advice that an error carries has its text, with the values that the text needs, and only there."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

from notarypy.cli.text.advice import TEXTS, advice, own_advice
from notarypy.client.build import arguments
from notarypy.client.build.builders import BUILDERS
from notarypy.client.metadata.missing import no_trust_data
from notarypy.errors import (
    Advice,
    AlreadyExistsError,
    ConfigurationError,
    ConflictError,
    DeadlineError,
    KeyDisabledError,
    KeyPermissionError,
    MetadataError,
    NotarypyError,
    PinLockedError,
    PinWrongError,
    RollbackError,
    ServerError,
    StorageError,
    UsageError,
    VerificationError,
)
from support.sources import FILES, PACKAGE, tree

if TYPE_CHECKING:
    from types import ModuleType

    from notarypy.client.metadata.repository import Repository


class Use(NamedTuple):
    place: str
    name: str
    values: list[str | None]


def _name(function: ast.expr) -> str:
    """Return the last part of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@cache
def calls() -> list[tuple[Path, ast.Call]]:
    return [
        (path, node)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and _name(node.func) == "Advice"
    ]


def names(node: ast.expr) -> list[str]:
    """Return the names that an argument may be: one, or one of two."""
    if isinstance(node, ast.IfExp):
        return names(node.body) + names(node.orelse)
    assert isinstance(node, ast.Constant), ast.unparse(node)
    return [str(node.value)]


def uses() -> list[Use]:
    found = []
    for path, call in calls():
        place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
        assert len(call.args) == 1, place
        values = sorted(str(keyword.arg) for keyword in call.keywords)
        found += [Use(place, name, list(values)) for name in names(call.args[0])]
    return found


def placeholders(text: str) -> list[str]:
    return sorted({name for _, name, _, _ in Formatter().parse(text) if name is not None})


def test_every_name_has_a_text() -> None:
    assert [use for use in uses() if use.name not in TEXTS] == []


def test_every_text_is_used() -> None:
    assert set(TEXTS) - {use.name for use in uses()} == set()


def test_the_values_are_those_that_the_text_needs() -> None:
    assert [use for use in uses() if use.values != placeholders(TEXTS[use.name])] == []


def test_equal_texts_share_a_name() -> None:
    assert [text for text, count in Counter(TEXTS.values()).items() if count > 1] == []


def test_only_the_command_line_knows_commands() -> None:
    below = [(path, call) for path, call in calls() if PACKAGE / "cli" not in path.parents]
    assert below
    constants = [node for _, call in below for node in ast.walk(call) if isinstance(node, ast.Constant)]
    assert [node.value for node in constants if "notarypy " in str(node.value)] == []


def test_nobody_is_sent_to_a_file_that_an_installation_does_not_have() -> None:
    for path in FILES:
        texts = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
        of_module = ast.get_docstring(tree(path), clean=False)
        sent = [node.value for node in texts if re.search(r"\bdocs/|\.md\b", str(node.value))]
        assert set(sent) <= {of_module}, path


@pytest.mark.parametrize("value", ["{0}", "{gun}", "{", "}", "%s", "\u202e"])
def test_a_value_goes_in_as_it_is(value: str) -> None:
    assert advice(NotarypyError("", advice=Advice("renew", gun=value))) == f"notarypy renew {value}"


@pytest.mark.parametrize("given", [Advice("of-another-package"), Advice("renew"), Advice("say", words="x")])
def test_what_has_no_text_counts_as_no_advice(given: Advice) -> None:
    assert advice(ConflictError("", advice=given)) == "try again, or allow more time with --retry-for"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("notarypy_single_file", "the single file has no extras; from a checkout of notarypy: pipx install"),
        ("pip", "uv tool install --force '.[yaml]'; an image needs one that is built with it"),
    ],
)
def test_an_extra_is_added_as_this_program_can_have_it(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, cast("ModuleType", None if name == "pip" else sys))
    text = runpy.run_path(str(PACKAGE / "cli" / "text" / "placeadvice.py"))["TEXTS"]["install-extra"]
    assert said in text.format(extra="yaml")
    assert "python3 -m pip" not in text


def test_packages_have_words_of_their_own() -> None:
    assert advice(ConflictError("", advice=Advice("say", text="ask {acme}"))) == "ask {acme}"


def test_without_advice_the_kind_of_error_says_what_is_usual() -> None:
    assert advice(ConflictError("")) == "try again, or allow more time with --retry-for"
    assert advice(UsageError(""), "key list") == "see notarypy key list --help"
    assert advice(UsageError("")) == "see notarypy --help"
    assert own_advice(UsageError("")) == ""


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ServerError("", host="r.corp", status=503), "ask the operator of r.corp"),
        (ServerError("", host="r.corp", status=405), "about that answer"),
        (ServerError("", host="r.corp"), "check the address"),
        (ServerError("", status=500), "check the address"),
        (DeadlineError(""), "--timeout"),
        (StorageError("cannot read x"), "may read and write it"),
        (AlreadyExistsError(""), "use what is there"),
        (RollbackError(""), "old backup"),
        (MetadataError(""), "whoever made it"),
        (ConfigurationError(""), "correct that value"),
        (PinWrongError(""), "be sure of the PIN"),
        (PinLockedError(""), "unlock the PIN"),
        (KeyPermissionError(""), "the right to sign with it"),
        (KeyDisabledError(""), "whoever keeps the key"),
        (VerificationError(""), "owner of the repository"),
    ],
)
def test_what_is_usual_fits_the_kind(error: NotarypyError, part: str) -> None:
    assert part in advice(error)
    assert "-vv" not in advice(error)


@pytest.mark.parametrize(
    ("name", "file", "fix"),
    [
        (
            "take-public-half",
            "my keys/k 1.key",
            "pkey -inform PEM -in 'my keys/k 1.key' -pubout -out NAME.pub",
        ),
        ("take-public-half", "-k.key", "pkey -inform PEM -in ./-k.key -pubout -out NAME.pub"),
        ("take-public-half", "-", "pkey -inform PEM -in KEY -pubout -out NAME.pub"),
        ("convert-keystore", "a.jks", "-srckeystore a.jks -destkeystore KEY.p12"),
        ("store-key", "$x", "notarypy key load '$x'"),
        ("give-file-passphrase", "a.key", "or use --passphrase-file FILE"),
    ],
)
def test_a_fix_names_the_file_that_it_is_about(name: str, file: str, fix: str) -> None:
    given = Advice("give-pem")
    given.__dict__.update(name=name, values={"form": "PEM", "variable": "X"})
    assert fix in advice(NotarypyError("", advice=given, file=file))


def test_nobody_is_told_to_vouch_for_dockers_own_images() -> None:
    for gun, is_told in (("docker.io/library/7", False), ("docker.io/me/app", True)):
        repository = cast("Repository", SimpleNamespace(gun=gun, server_url="https://notary.test"))
        assert ("notarypy init" in advice(no_trust_data(repository))) == is_told


@pytest.mark.parametrize(
    "name", ["sign-tag", "sign-a-tag", "pull-signed", "have-it-signed", "init", "init-hub"]
)
def test_who_uses_an_image_is_spoken_to_first_and_never_told_to_sign_it(name: str) -> None:
    before = re.split(r"notarypy (?:sign|init)\b", TEXTS[name])[0]
    assert before.startswith(("take ", "see ", "use ", "ask "))
    assert re.search("only if|ask whoever is missing|to vouch", before)


def test_a_folder_without_a_dockerfile_is_told_all_of_its_names(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no Containerfile or Dockerfile in"):
        vars(arguments)["_file"](None, tmp_path, BUILDERS["buildah"])
