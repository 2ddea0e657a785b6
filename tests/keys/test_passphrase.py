from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError, PassphraseNeededError
from notarypy.keys.keyinfo import PassphraseRequest, Wording
from notarypy.keys.passphrases import PROMPT, CallbackSource, FileSource, PassphraseChain, standard_chain
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYID = "f5a2a64" + "0" * 57
JEFF = PassphraseRequest(KEYID, "jeff")
ROOT = PassphraseRequest("1" * 64, "root")
TARGETS = PassphraseRequest("2" * 64, "targets", "localhost/a")


def typist(*answers: str) -> tuple[Callable[[str], str], list[str]]:
    """Return a prompt that types these answers, and the texts it was shown."""
    left, shown = iter(answers), list[str]()

    def prompt(text: str) -> str:
        shown.append(text)
        return next(left)

    return prompt, shown


def test_the_order_of_all_sources(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the file\n")
    names = [
        "NOTARYPY_PASSPHRASE_JEFF",
        "NOTARYPY_PASSPHRASE_f5a2a64",
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        "NOTARY_DELEGATION_PASSPHRASE",
    ]
    environ: dict[str, str] = {}
    for number, name in enumerate(names):
        (tmp_path / name).write_text(f"value {number} of a file\nsecond line\n")
        environ |= {name: f"value {number}", f"{name}_FILE": str(tmp_path / name)}
    prompt, _ = typist("typed")
    chain = standard_chain(environ, tmp_path / "file", prompt)
    got = list(itertools.islice(chain.candidates(JEFF), 10))
    assert got == [
        ("--passphrase-file", "from the file"),
        *[(name, f"value {number}") for number, name in enumerate(names)],
        *[(f"{name}_FILE", f"value {number} of a file") for number, name in enumerate(names)],
        ("the prompt", "typed"),
    ]
    assert chain.tried(JEFF) == [name for name, _ in got]


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "root",
            ["NOTARYPY_PASSPHRASE_ROOT", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "NOTARY_ROOT_PASSPHRASE"],
        ),
        (
            "targets",
            [
                "NOTARYPY_PASSPHRASE_TARGETS",
                "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
                "NOTARY_TARGETS_PASSPHRASE",
            ],
        ),
        (
            "snapshot",
            [
                "NOTARYPY_PASSPHRASE_SNAPSHOT",
                "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
                "NOTARY_SNAPSHOT_PASSPHRASE",
            ],
        ),
        (
            "targets/ci-bot",
            [
                "NOTARYPY_PASSPHRASE_CI_BOT",
                "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
                "NOTARY_DELEGATION_PASSPHRASE",
            ],
        ),
        ("", ["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE"]),
    ],
)
def test_each_role_has_its_variables(role: str, names: list[str]) -> None:
    tried = standard_chain({}, None, None).tried(PassphraseRequest("", role))
    assert tried == [*names, *(f"{name}_FILE" for name in names)]


def test_an_empty_value_counts_as_none_and_a_repeated_value_is_tried_once() -> None:
    environ = {
        "NOTARYPY_PASSPHRASE_JEFF": "",
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "same",
        "NOTARY_DELEGATION_PASSPHRASE": "same",
        "NOTARY_DELEGATION_PASSPHRASE_FILE": "",
    }
    assert list(standard_chain(environ, None, None).candidates(JEFF)) == [
        ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "same")
    ]


def test_the_next_source_is_not_asked_before_the_last_one_failed() -> None:
    asked: list[str] = []

    def ask(name: str) -> CallbackSource:
        def answer(_: PassphraseRequest) -> str:
            asked.append(name)
            return name

        return CallbackSource(answer, name)

    candidates = PassphraseChain([ask("a"), ask("b")]).candidates(JEFF)
    assert next(candidates) == ("a", "a")
    assert asked == ["a"]


def test_a_function_that_returns_something_else_is_told_so() -> None:
    async def wait(_: PassphraseRequest) -> str:
        return "a"

    for function, what in ((lambda _: b"a", "bytes"), (wait, "coroutine")):
        with pytest.raises(TypeError, match=f"the callback returned {what}, and not a str"):
            CallbackSource(function).get(JEFF)  # type: ignore[arg-type]  # which is the point


@pytest.mark.parametrize(
    ("text", "request_", "passphrase"),
    [
        ("one for all\n", ROOT, "one for all"),
        ("one for all\r\nsecond line\r\n", JEFF, "one for all"),
        ("root=r\ntargets=t\n\njeff=j=j\n", ROOT, "r"),
        ("root=r\ntargets=t\n\njeff=j=j\n", TARGETS, "t"),
        ("root=r\ntargets=t\n\njeff=j=j\n", JEFF, "j=j"),
        ("root=r\ntargets=t\n", JEFF, None),
        ("targets/jeff=full\n", PassphraseRequest("", "targets/jeff"), "full"),
        ("jeff=short\n", PassphraseRequest("", "targets/jeff"), "short"),
        ("abcdefgh==\n", ROOT, "abcdefgh=="),
        ("A=b\n", ROOT, "A=b"),
        ("root=r\nno name\n", ROOT, "root=r"),
        ("", ROOT, None),
        ("\nsecond\n", ROOT, None),
        (" blanks \n", ROOT, " blanks "),
        ("\ufeffafter a mark\r\n", ROOT, "after a mark"),
    ],
)
def test_a_passphrase_file(
    tmp_path: Path, text: str, request_: PassphraseRequest, passphrase: str | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    chain = standard_chain({}, path, None)
    assert next(chain.candidates(request_), (None, None))[1] == passphrase


def test_a_pipe_is_read_once_for_all_keys() -> None:
    from pathlib import Path

    reader, writer = os.pipe()
    os.write(writer, b"piped\n")
    os.close(writer)
    pipe = Path(f"/dev/fd/{reader}")
    environ = {"NOTARY_ROOT_PASSPHRASE_FILE": str(pipe)}
    try:
        for chain in (standard_chain({}, pipe, None), standard_chain(environ, None, None)):
            first = [next(chain.candidates(ROOT)) for _ in range(2)]
            assert first[0] == first[1]
            os.close(reader)
            reader, writer = os.pipe()
            os.write(writer, b"piped\n")
            os.close(writer)
    finally:
        os.close(reader)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000], ids=["not UTF-8", "too long"])
def test_an_unusable_passphrase_file_is_named_and_never_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        FileSource(path).get(ROOT)
    assert str(path) in caught.value.message
    assert "--passphrase-file" in caught.value.why[0]
    assert "xxxx" not in str(vars(caught.value))


def test_a_missing_passphrase_file_is_an_error_not_an_absent_source(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for chain in (
        standard_chain({}, tmp_path / "missing", None),
        standard_chain({"NOTARY_ROOT_PASSPHRASE_FILE": missing}, None, None),
        standard_chain({"NOTARY_ROOT_PASSPHRASE_FILE": "a\0b"}, None, None),
    ):
        with pytest.raises(ConfigurationError, match="cannot read the passphrase file"):
            next(chain.candidates(ROOT))


def test_the_prompt_asks_three_times_and_says_why() -> None:
    prompt, shown = typist("one", " two ", "three")
    assert [value for _, value in PassphraseChain([], prompt).candidates(TARGETS)] == ["one", "two", "three"]
    assert shown[0] == 'Passphrase for key "targets" (2222222) of localhost/a: '
    assert shown[1].startswith("That was wrong.")


def test_an_empty_answer_or_the_end_of_input_ends_the_prompting() -> None:
    def end(_: str) -> str:
        raise EOFError

    prompt, _ = typist("")
    assert list(PassphraseChain([], prompt).candidates(JEFF)) == []
    assert list(PassphraseChain([], end).candidates(JEFF)) == []


def test_a_new_key_takes_the_first_value() -> None:
    environ = {
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "docker's value",
        "NOTARY_DELEGATION_PASSPHRASE": "other",
    }
    chain = standard_chain(environ, None, None)
    assert chain.for_new(JEFF) == "docker's value"
    assert chain.chosen(JEFF) == ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "docker's value")


def test_a_value_too_short_for_a_new_key_is_an_error_that_names_its_source() -> None:
    environ = {
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "s3cret7",
        "NOTARY_DELEGATION_PASSPHRASE": "long enough",
    }
    with pytest.raises(ConfigurationError) as caught:
        standard_chain(environ, None, None).for_new(JEFF)
    assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in caught.value.why[0]
    assert "s3cret7" not in str(vars(caught.value))


def test_a_new_passphrase_is_typed_twice() -> None:
    prompt, shown = typist("short", "long enough", "something else", "long enough", "long enough")
    assert PassphraseChain([], prompt).chosen(JEFF) == (PROMPT, "long enough")
    assert shown[0] == 'New passphrase for key "jeff" (f5a2a64), 8 characters or more: '
    assert shown[1].startswith("That was too short.")
    assert shown[3].startswith("These were not the same.")


class Remembering(Wording):
    """As of `notary`."""

    remembers = True


OF_FILE, NEW = PassphraseRequest("", "jeff"), PassphraseRequest("3" * 64, "jeff", new=True)


def test_what_opened_a_key_is_tried_for_others_of_its_role_and_set_on_new_ones() -> None:
    prompt, shown = typist("the root key 1", "wrong one", "long enough")
    chain = PassphraseChain([], prompt, Remembering())
    assert next(chain.candidates(ROOT)) == (PROMPT, "the root key 1")
    answers = chain.candidates(JEFF)
    assert [next(answers)[1], next(answers)[1]] == ["wrong one", "long enough"]
    assert next(chain.candidates(replace(JEFF, keyid="4" * 64))) == (PROMPT, "long enough")
    assert chain.for_new(NEW) == "long enough"
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("request_", "answers", "tries"),
    [
        pytest.param(OF_FILE, ["of somebody else"], 1, id="it opened a file of somebody else's"),
        pytest.param(JEFF, ["abc"], 1, id="it is too short, though it opened a key"),
        pytest.param(JEFF, ["wrong one 1", "wrong one 2", "wrong one 3"], 4, id="it opened nothing"),
    ],
)
def test_what_was_typed_for_something_else_is_not_set_on_a_new_key(
    request_: PassphraseRequest, answers: list[str], tries: int
) -> None:
    prompt, shown = typist(*answers, "long enough", "long enough")
    chain = PassphraseChain([], prompt, Remembering())
    tried = [value for _, value in itertools.islice(chain.candidates(request_), tries)]
    assert tried == answers
    assert chain.for_new(NEW) == "long enough"
    assert len(shown) == len(answers) + 2


def test_a_new_passphrase_is_remembered_for_its_role_alone() -> None:
    prompt, shown = typist("long enough", "long enough", "the root key 1")
    chain = PassphraseChain([], prompt, Remembering())
    assert chain.for_new(NEW) == "long enough"
    assert next(chain.candidates(JEFF)) == (PROMPT, "long enough")
    assert next(chain.candidates(ROOT)) == (PROMPT, "the root key 1")
    assert len(shown) == 3


def test_without_a_passphrase_and_a_terminal_the_error_lists_what_was_looked_at() -> None:
    with pytest.raises(PassphraseNeededError) as caught:
        standard_chain({}, None, None).for_new(ROOT)
    assert "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE, NOTARY_ROOT_PASSPHRASE" in caught.value.why[0]
    assert "no terminal" in caught.value.why[0]
    assert "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE" in advice(caught.value)


def test_a_file_with_a_passphrase_of_its_own_is_opened_by_the_variable_of_its_name() -> None:
    chain = standard_chain({}, None, None)
    said = advice(PassphraseNeededError("locked", advice=chain.advice(PassphraseRequest("", "ci-bot"))))
    assert "NOTARYPY_PASSPHRASE_CI_BOT" in said
    assert "--passphrase-file FILE" in said
    assert "NOTARYPY" not in advice(PassphraseNeededError("locked", advice=chain.advice(JEFF)))


def test_giving_up_at_the_prompt_for_a_new_key() -> None:
    prompt, _ = typist("long enough", "something else", "1", "2")
    with pytest.raises(PassphraseNeededError) as caught:
        PassphraseChain([], prompt).for_new(JEFF)
    assert "no terminal" not in caught.value.why[0]


def test_no_repr_shows_a_value(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("s3cret value\n")
    source = FileSource(path)
    source.get(ROOT)
    chain = standard_chain({"NOTARY_ROOT_PASSPHRASE": "s3cret value"}, path, None)
    assert "s3cret" not in repr(source) + repr(chain) + repr(chain.candidates(ROOT))
