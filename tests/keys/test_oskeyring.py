from __future__ import annotations

import builtins
import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import KeyringLocked, PasswordSetError

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError, PassphraseNeededError
from notarypy.keys import oskeyring
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import standard_chain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYID = "f5a2a64" + "0" * 57
JEFF = PassphraseRequest(KEYID, "jeff")
ON = {"NOTARYPY_KEYRING": "1"}


class Vault(KeyringBackend):
    """A back end that tests declare to be an operating system's."""

    priority = 0.1

    def __init__(self, entry: str | None = None, error: Exception | None = None) -> None:
        self.entry, self.error = entry, error

    def get_password(self, service: str, username: str) -> str | None:
        if self.error:
            raise self.error
        return self.entry if (service, username) == ("notarypy", KEYID) else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(service, username, len(password))


class PlaintextKeyring(Vault):
    """One of those that write passwords into a file."""


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyringBackend], None]:
    """Return a function that makes a back end the one the library chooses."""
    trusted = f"{Vault.__module__}.{Vault.__qualname__}"
    monkeypatch.setattr(oskeyring, "BACKENDS", oskeyring.BACKENDS | {trusted})

    def choose(backend: KeyringBackend) -> None:
        monkeypatch.setattr(keyring, "get_keyring", lambda: backend)

    return choose


def candidates(request: PassphraseRequest = JEFF, **environ: str) -> list[tuple[str, str]]:
    return list(standard_chain({**ON, **environ}, None, None).candidates(request))


def test_the_entry_of_a_key(use: Callable[[KeyringBackend], None]) -> None:
    use(Vault("s3cret"))
    assert candidates() == [("the keyring", "s3cret")]
    assert candidates(PassphraseRequest("0" * 64, "jeff")) == []


def test_it_comes_after_the_files_and_before_the_prompt(
    use: Callable[[KeyringBackend], None], tmp_path: Path
) -> None:
    use(Vault("of the keyring"))
    (tmp_path / "file").write_text("of the file\n")
    environ = {**ON, "NOTARY_DELEGATION_PASSPHRASE_FILE": str(tmp_path / "file")}
    chain = standard_chain(environ, None, lambda _: "typed")
    found = chain.candidates(JEFF)
    assert [next(found)[1] for _ in range(3)] == ["of the file", "of the keyring", "typed"]
    assert chain.tried(JEFF)[-2:] == ["the keyring", "the prompt"]


def test_an_empty_entry_counts_as_none(use: Callable[[KeyringBackend], None]) -> None:
    use(Vault(""))
    assert candidates() == []


@pytest.mark.parametrize("environ", [{}, *({"NOTARYPY_KEYRING": word} for word in ("", "0", "no", "Off"))])
def test_nobody_asks_it_unless_it_is_turned_on(
    use: Callable[[KeyringBackend], None], environ: dict[str, str]
) -> None:
    use(Vault("s3cret"))
    chain = standard_chain(environ, None, None)
    assert list(chain.candidates(JEFF)) == []
    assert "the keyring" not in chain.tried(JEFF)


def test_a_doubtful_switch_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="NOTARYPY_KEYRING"):
        standard_chain({"NOTARYPY_KEYRING": "maybe"}, None, None)


def test_a_new_key_without_an_id_has_no_entry(use: Callable[[KeyringBackend], None]) -> None:
    use(PlaintextKeyring())
    new = PassphraseRequest("", "jeff", new=True)
    assert standard_chain({**ON, "NOTARY_DELEGATION_PASSPHRASE": "long enough"}, None, None).for_new(new)
    assert "the keyring" not in standard_chain(ON, None, None).tried(new)


@pytest.mark.parametrize("kind", [fail.Keyring, null.Keyring, PlaintextKeyring])
def test_no_other_back_end_is_taken(
    use: Callable[[KeyringBackend], None], kind: Callable[[], KeyringBackend]
) -> None:
    backend = kind()
    use(backend)
    with pytest.raises(ConfigurationError) as caught:
        candidates()
    assert f"{type(backend).__module__}.{type(backend).__qualname__}" in caught.value.why[0]


def test_of_several_only_the_trusted_are_asked(
    use: Callable[[KeyringBackend], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [PlaintextKeyring("planted"), Vault(), Vault("s3cret")]
    monkeypatch.setattr(chainer.ChainerBackend, "backends", parts)
    chain: Callable[[], KeyringBackend] = chainer.ChainerBackend
    use(chain())
    assert candidates() == [("the keyring", "s3cret")]
    monkeypatch.setattr(chainer.ChainerBackend, "backends", parts[:1])
    with pytest.raises(ConfigurationError, match="no keyring that can be used"):
        candidates()


@pytest.mark.parametrize("error", [KeyringLocked("s3cret"), RuntimeError("s3cret")])
def test_a_locked_keyring_is_told_without_its_words(
    use: Callable[[KeyringBackend], None], error: Exception
) -> None:
    use(Vault("s3cret", error))
    with pytest.raises(PassphraseNeededError) as caught:
        candidates()
    assert type(error).__name__ in caught.value.why[0]
    assert "s3cret" not in str(vars(caught.value))


def test_a_broken_configuration_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> KeyringBackend:
        raise ModuleNotFoundError("No module named 's3cret'")

    monkeypatch.setattr(keyring, "get_keyring", broken)
    with pytest.raises(ConfigurationError) as caught:
        candidates()
    assert "ModuleNotFoundError" in caught.value.why[0]


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - as the built-in one
        if name == "keyring":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError) as caught:
        candidates()
    assert "python3 -m pip install '.[keyring]'" in advice(caught.value)


@pytest.mark.parametrize("name", sorted(oskeyring.BACKENDS | {oskeyring._CHAINER}))  # noqa: SLF001 - its spelling
def test_the_trusted_names_are_those_of_the_library(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), KeyringBackend)


def test_what_the_library_chooses_by_itself_is_checked(tmp_path: Path) -> None:
    """Let the real library load a back end that somebody configured, in a process of its own."""
    (tmp_path / "planted.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class PlaintextKeyring(KeyringBackend):\n"
        "    priority = 9\n"
        "    def get_password(self, service, username): return 's3cret'\n"
        "    def set_password(self, service, username, password): pass\n"
    )
    program = (
        "from notarypy.keys.passphrases import standard_chain\n"
        "from notarypy.keys.keyinfo import PassphraseRequest\n"
        "chain = standard_chain({'NOTARYPY_KEYRING': '1'}, None, None)\n"
        "try: print(list(chain.candidates(PassphraseRequest('0' * 64, 'jeff'))))\n"
        "except Exception as error: print(error.code, error.why)\n"
    )
    environ = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    environ["PYTHON_KEYRING_BACKEND"] = "planted.PlaintextKeyring"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert "usage.config" in done.stdout
    assert "planted.PlaintextKeyring" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_the_library_is_loaded_only_when_it_is_asked() -> None:
    program = (
        "import sys\n"
        "from notarypy.keys.passphrases import standard_chain\n"
        "standard_chain({'NOTARYPY_KEYRING': '1'}, None, None)\n"
        "print('keyring' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
