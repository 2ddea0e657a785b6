"""`notary delegation add`, `list`, `remove`, `purge`: Go notary's words, to the byte.

The texts of standard output are what Go notary 0.7 printed for the same lines.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.devserver.core import NOTARY_HOST
from notarypy.devserver.tampering import Tampering
from support.author import private_key, public_key, root_key
from support.commands import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from notarypy.devserver.fakekeys import FakeKms
    from support.commands import Run

GUN = "collection.test/files"
STAGED = f'to repository "{GUN}" staged for next publish.\n\n'
ALSO = f"Auto-publishing changes to {GUN}\nSuccessfully published changes for repository {GUN}\n"
QUESTION = "\nAre you sure you want to remove all data for this delegation? (yes/no)\n"
ADD, REMOVE, PURGE, LIST = (("delegation", word, GUN) for word in ("add", "remove", "purge", "list"))
JEFF, JO = public_key("jeff").canonical_id, public_key("jo").canonical_id
UNPARSED = "unable to parse valid public key certificate from PEM file"
TOO_FEW = "must specify the Global Unique Name and the role of the delegation along with "


@pytest.fixture(autouse=True)
def keys(home: Path) -> None:
    """Write public keys of jeff and jo, and a certificate of jo."""
    for name in ("jeff", "jo"):
        form = PublicFormat.SubjectPublicKeyInfo
        written(home / f"{name}.pub", private_key(name).public_key().public_bytes(Encoding.PEM, form))
    written(home / "jo.crt", root_key("jo", "jo").public)


def staged(home: Path) -> list[tuple[str, str, Any]]:
    """Return action, role and decoded data of all that is staged."""
    folder = home / ".notary" / "tuf" / GUN / "changelist"
    found = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.change"))]
    assert {(one["type"], one["path"]) for one in found} <= {("delegation", "")}
    return [(one["action"], one["role"], one["data"] and json.loads(b64decode(one["data"]))) for one in found]


def added(*names: str) -> dict[str, Any]:
    """Return the data of a change that adds keys."""
    found = [public_key(name).to_json() for name in names]
    return {"threshold": 1, "add_keys": found}


# -- add -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said", "data"),
    [
        (["jeff.pub"], f"with keys [{JEFF}], ", [added("jeff")]),
        (["jo.crt", "jeff.pub"], f"with keys [{JO} {JEFF}], ", None),
        (
            ["jeff.pub", "--paths", "x,y", "--paths", "b"],
            f"with keys [{JEFF}], with paths [b\nx\ny], ",
            [added("jeff"), {"add_paths": ["x", "y", "b"]}],
        ),
        (["--paths", "x"], "with paths [x], ", [{"add_paths": ["x"]}]),
        (["--all-paths"], 'with paths ["" <all paths>], ', [{"add_paths": [""]}]),
        (["--paths", "x,y", "--all-paths"], 'with paths ["" <all paths>], ', [{"add_paths": [""]}]),
        (["--paths", "x,"], 'with paths ["" <all paths>], ', [{"add_paths": [""]}]),
        (["jeff.pub", "--paths", ""], f"with keys [{JEFF}], with paths [], ", [added("jeff")]),
    ],
)
def test_add_stages_keys_and_paths(
    notary: Run, home: Path, words: list[str], said: str, data: Sequence[object] | None
) -> None:
    outcome = notary(*ADD, "targets/a", *words).expect(0)
    assert outcome.out == f"\nAddition of delegation role targets/a {said}{STAGED}"
    assert outcome.err == ""
    if data is not None:
        assert staged(home) == [("create", "targets/a", one) for one in data]


def test_a_certificate_is_staged_as_it_is(notary: Run, home: Path) -> None:
    notary(*ADD, "targets/a", "jo.crt").expect(0)
    ((_, _, data),) = staged(home)
    (key,) = data["add_keys"]
    assert key["keytype"] == "ecdsa-x509"
    assert b64decode(key["keyval"]["public"]) == (home / "jo.crt").read_bytes()


def test_no_key_and_no_path_stages_nothing_and_says_so(notary: Run, home: Path) -> None:
    outcome = notary(*ADD, "targets/a", "--paths", "").expect(0)
    assert outcome.out == f"\nAddition of delegation role targets/a with paths [], {STAGED}"
    assert outcome.err == "warning: no key and no path was given: nothing is staged\n"
    assert staged(home) == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["targets/a"], 2, f"{TOO_FEW}the public key certificate paths and/or a list of paths to add"),
        ([], 2, f"{TOO_FEW}the public key certificate paths and/or a list of paths to add"),
        (["targets/a", "."], 2, "unable to read public key from file: ."),
        (["targets/a", "no"], 2, "file for public key does not exist: no"),
        (["targets/a", "jeff.pub", ""], 2, "file for public key does not exist: "),
        (["bad", "no"], 2, "file for public key does not exist: no"),
        (
            ["bad", "jeff.pub"],
            2,
            "failed to create delegation: tuf: invalid role bad. invalid delegation role name",
        ),
        (
            ["targets/A", "--paths", "x"],
            2,
            "failed to create delegation: tuf: invalid role targets/A. invalid delegation role name",
        ),
        (
            ["targets/*", "--all-paths"],
            2,
            "failed to create delegation: tuf: invalid role targets/*. invalid delegation role name",
        ),
        (
            ["targets/a", "jeff.pub", "junk"],
            6,
            f"{UNPARSED} junk: no valid public key found",
        ),
    ],
)
def test_add_refuses(notary: Run, home: Path, words: list[str], code: int, text: str) -> None:
    (home / "junk").write_text("junk")
    outcome = notary(*ADD, *words, "-p").expect(code)
    assert (outcome.out, outcome.err.splitlines()[0]) == ("", f"* fatal: {text}")
    assert staged(home) == []


def test_a_key_that_is_elsewhere_is_added_by_its_uri(notary: Run, home: Path, fake_kms: FakeKms) -> None:
    uri = fake_kms.make("jeff")
    outcome = notary(*ADD, "targets/a", uri, "--all-paths").expect(0)
    assert outcome.out.startswith("\nAddition of delegation role targets/a with keys [")
    assert [one[2] for one in staged(home)][1] == {"add_paths": [""]}
    assert list((home / ".notary").rglob("*.key")) == []


# -- list ------------------------------------------------------------------------------------------


def test_a_repository_without_delegations(notary: Run) -> None:
    notary("init", GUN, "-p").expect(0)
    assert notary(*LIST).expect(0).out == "\n\nNo delegations present in this repository.\n\n\n"


def test_list_shows_paths_and_keys_below_each_other(notary: Run) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/zz", "jeff.pub", "--all-paths").expect(0)
    notary(*ADD, "targets/b", "jo.crt", "--paths", "z,x,y").expect(0)
    notary(*ADD, "targets/b-x", "jo.pub", "jeff.pub").expect(0)
    assert notary(*ADD, "targets/b-x", "--paths", "q é", "-p").expect(0).out.endswith(ALSO)
    outcome = notary(*LIST).expect(0)
    blank = " " * 64
    assert outcome.out == (
        "\n"
        f"ROLE           PATHS             KEY IDS{blank[7:]}    THRESHOLD\n"
        f"----           -----             -------{blank[7:]}    ---------\n"
        f"targets/b      x                 {JO}    1\n"
        f"               y                 {blank}    \n"
        f"               z                 {blank}    \n"
        f"targets/b-x    q é               {JO}    1\n"
        f"                                 {JEFF}    \n"
        f'targets/zz     "" <all paths>    {JEFF}    1\n'
        "\n"
    )
    assert outcome.err == ""


def test_a_role_without_keys_or_paths_has_a_line_and_a_warning(notary: Run) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/b", "jo.pub", "-p").expect(0)
    notary(*PURGE, "--key", JO, "-p").expect(0)
    outcome = notary(*LIST).expect(0)
    assert outcome.out == (
        "\n"
        "ROLE         PATHS    KEY IDS    THRESHOLD\n"
        "----         -----    -------    ---------\n"
        "targets/b                        1\n"
        "\n"
    )
    assert outcome.err.startswith("warning: targets/b cannot be used: ")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ["add", GUN, "x", "jeff.pub", "-r", "targets/no"],
            2,
            "tuf: invalid role targets/no. delegation does not exist",
        ),
        (["add", GUN, "x", "jeff.pub", "-r", "targets/a"], 2, "Could not add all targets"),
        ([*ADD, "targets/b/c", "jeff.pub"], 2, "tuf: invalid role targets/b. delegation does not exist"),
        (
            [*ADD, "targets/a/b", "jeff.pub"],
            6,
            f"could not find necessary signing keys, at least one of these keys must be available: {JEFF}",
        ),
    ],
)
def test_what_cannot_be_published_is_said_as_by_go(
    notary: Run, words: list[str], code: int, text: str
) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/a", "jeff.pub", "--paths", "only/", "-p").expect(0)
    outcome = notary(*words, "-p").expect(code)
    assert outcome.err.splitlines()[0] == f"* fatal: {text}"
    assert "reset" in outcome.err or code == 6


def test_list_of_what_there_is_not(notary: Run) -> None:
    outcome = notary(*LIST).expect(3)
    assert outcome.out == ""
    before = f"* fatal: Error retrieving delegation roles for repository {GUN}: "
    assert outcome.err.startswith(f"{before}{NOTARY_HOST} does not have trust data for {GUN}\n")


def test_list_goes_on_with_what_is_cached_and_says_so(notary: Run, fake: Fake) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/b", "jo.pub", "-p").expect(0)
    before = notary(*LIST).expect(0).out
    Tampering(fake).refuse_connections()
    outcome = notary(*LIST).expect(0)
    assert outcome.out == before
    assert "cached here" in outcome.err


# -- remove ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said", "data"),
    [
        ([JEFF], f"with keys [{JEFF}], ", [{"remove_keys": [JEFF]}]),
        ([JEFF, JO, "-y"], f"with keys [{JEFF} {JO}], ", [{"remove_keys": [JEFF, JO]}]),
        (
            [JEFF, "--paths", "y,x"],
            f"with keys [{JEFF}], with paths [x\ny], ",
            [{"remove_paths": ["y", "x"]}, {"remove_keys": [JEFF]}],
        ),
        (["--paths", "x,"], 'with paths ["" <all paths>\nx], ', [{"remove_paths": ["x", ""]}]),
        (["--all-paths"], "with all paths, ", [{"clear_paths": True}]),
        (
            [JEFF, "--all-paths", "--paths", "x"],
            f"with keys [{JEFF}], with all paths, ",
            [{"clear_paths": True}, {"remove_keys": [JEFF]}],
        ),
    ],
)
def test_remove_stages_keys_and_paths(
    notary: Run, home: Path, words: list[str], said: str, data: Sequence[object]
) -> None:
    outcome = notary(*REMOVE, "targets/a", *words).expect(0)
    assert outcome.out == f"\nRemoval of delegation role targets/a {said}{STAGED}"
    assert outcome.err == ""
    assert staged(home) == [("update", "targets/a", one) for one in data]


def test_remove_of_no_key_and_no_path_stages_nothing_and_says_so(notary: Run, home: Path) -> None:
    outcome = notary(*REMOVE, "targets/a", "--paths", "").expect(0)
    assert outcome.out == f"\nRemoval of delegation role targets/a with paths [], {STAGED}"
    assert outcome.err == "warning: no key and no path was given: nothing is staged\n"
    assert staged(home) == []


@pytest.mark.parametrize("typed", ["yes\n", "y", "Y\n", " YES \n"])
def test_remove_of_a_role_asks(notary: Run, home: Path, typed: str) -> None:
    outcome = notary(*REMOVE, "targets/a", typed=typed).expect(0)
    forced = f"Forced removal (including all keys and paths) of delegation role targets/a {STAGED}"
    assert outcome.out == f"{QUESTION}\n{forced}"
    assert staged(home) == [("delete", "targets/a", None)]


@pytest.mark.parametrize("typed", [None, "", "\n", "no\n", "yesss\n"])
def test_remove_without_a_yes_does_nothing(notary: Run, home: Path, typed: str | None) -> None:
    outcome = notary(*REMOVE, "targets/a", "-p", typed=typed).expect(2)
    assert outcome.out == QUESTION
    assert outcome.err.startswith("* fatal: Aborting action.\n")
    assert outcome.err.endswith("  fix: add --yes if this is what you want\n")
    assert staged(home) == []


def test_remove_with_the_yes_of_a_flag(notary: Run, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/a", "jeff.pub", "-p").expect(0)
    outcome = notary(*REMOVE, "targets/a", "-yp").expect(0)
    forced = f"Forced removal (including all keys and paths) of delegation role targets/a {STAGED}"
    assert outcome.out == f"{QUESTION}Confirmed `yes` from flag\n\n{forced}{ALSO}"
    assert notary(*LIST).expect(0).out == "\n\nNo delegations present in this repository.\n\n\n"
    assert staged(home) == []


@pytest.mark.parametrize("role", ["bad", "targets", "targets/*", "targets/A"])
def test_remove_takes_roles_that_are_delegations(notary: Run, home: Path, role: str) -> None:
    for words in (["-y"], [JEFF], ["--all-paths"]):
        outcome = notary(*REMOVE, role, *words).expect(2)
        assert (outcome.out, outcome.err.splitlines()[0]) == ("", f"* fatal: invalid delegation name {role}")
    assert staged(home) == []


def test_an_id_that_is_not_whole_means_no_key_and_that_is_said(notary: Run, home: Path) -> None:
    for line in ((*REMOVE, "targets/a", JEFF[:7]), (*PURGE, "--key", JEFF[:7])):
        outcome = notary(*line).expect(0)
        assert outcome.err == f"warning: {JEFF[:7]} is no whole id of a key, and means none\n"
    assert [data for _, _, data in staged(home)] == [{"remove_keys": [JEFF[:7]]}] * 2


def test_what_is_to_go_and_is_not_there_is_said_when_it_is_published(notary: Run) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/a", "jeff.pub", "--paths", "x", "-p").expect(0)
    outcome = notary(*REMOVE, "targets/a", JO, "--paths", "x,y", "-p").expect(0)
    assert outcome.err == f'warning: targets/a has no path "y"\nwarning: targets/a has no key "{JO}"\n'
    outcome = notary(*PURGE, "--key", JO, "-p").expect(0)
    assert outcome.err == f'warning: no delegation has the key "{JO}"\n'


# -- purge -----------------------------------------------------------------------------------------


def test_purge_takes_keys_out_of_every_role(notary: Run, home: Path) -> None:
    notary("init", GUN, "-p").expect(0)
    notary(*ADD, "targets/a", "jeff.pub", "jo.pub").expect(0)
    notary(*ADD, "targets/b", "jeff.pub", "jo.crt", "-p").expect(0)
    outcome = notary(*PURGE, "--key", JO).expect(0)
    removal = f"Removal of the following keys from all delegations in {GUN} staged for next publish:\n"
    assert (outcome.out, outcome.err) == (f"{removal}\t- {JO}\n", "")
    assert staged(home) == [("update", "targets/*", {"remove_keys": [JO]})]
    unknown = "0" * 64
    outcome = notary(*PURGE, "--key", f"{unknown},{JO}", "--key", JO, "-p").expect(0)
    assert outcome.out == f"{removal}\t- {unknown}\n\t- {JO}\n\t- {JO}\n{ALSO}"
    listed = notary(*LIST).expect(0).out
    assert (JO in listed, listed.count(JEFF)) == (False, 2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "Please provide at least one key ID to be removed using the --key flag"),
        (["--key", ""], "Please provide at least one key ID to be removed using the --key flag"),
        (["more", "--key", JO], "Please provide a single Global Unique Name as an argument to remove"),
    ],
)
def test_purge_refuses(notary: Run, home: Path, words: list[str], text: str) -> None:
    outcome = notary(*PURGE, *words).expect(2)
    assert (outcome.out, outcome.err.splitlines()[0]) == ("", f"* fatal: {text}")
    assert staged(home) == []
