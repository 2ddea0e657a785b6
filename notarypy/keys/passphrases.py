"""Where a passphrase comes from: sources in a fixed order, and a prompt at the end.

What it is: the order, and the names under which sources appear in errors. What
it is not: decryption (`pem`, `keystore`), nor the terminal: whoever builds the
chain hands in a prompt, or None where nobody can be asked.

Rules:

1. The order is: the passphrase file; `NOTARYPY_PASSPHRASE_<NAME>`, then the same
   with the key id's first seven digits; docker's variable; notary's variable;
   each of these variables with `_FILE`, naming a file; the operating system's
   keyring, if the user turned that on (`oskeyring`); the prompt.
2. An empty value counts as none.
3. An existing key is tried with every source in turn, each distinct value once;
   the next source is not asked before the last one failed.
4. A new key takes the first source that has a value, and that value has 8
   characters or more. A second source never rescues a value that is too short:
   nobody would know which one the key has.
5. Only names of sources are shown, never values.
6. A passphrase that is to be changed and the one that replaces it come from different
   sources: else both would be the same, and nothing would change.

What is written where a passphrase is to be typed.

What it is: texts, and how often is asked. What it is not: the asking (`passphrase`), or a terminal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from notarypy.errors import Advice, ConfigurationError, PassphraseNeededError
from notarypy.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


PROMPT = "the prompt"
KEYRING_VARIABLE = "NOTARYPY_KEYRING"
NEW_VARIABLE = "NOTARYPY_NEW_PASSPHRASE"
_SHORT_ID = 7
_NOTARY_ROLES = {"root": "ROOT", "targets": "TARGETS", "snapshot": "SNAPSHOT"}
# A line of a file for several keys. What looks like base64's padding is a passphrase.
_NAMED_LINE = re.compile(r"([a-z0-9][a-z0-9_/-]*)=(?!=*$)(.+)")


@dataclass(frozen=True)
class PassphraseRequest:
    """The key that a passphrase is wanted for.

    Attributes:
        keyid: The canonical id, or empty when a new key is not made yet.
        role: What the key's file says: `root`, `targets`, `snapshot`, a signer's name, a delegation
            role; empty when it says nothing.
        gun: The repository, for a key that belongs to one.
        new: Whether the passphrase will be set on a new key.
    """

    keyid: str
    role: str
    gun: str | None = None
    new: bool = False

    @property
    def name(self) -> str:
        """The short name people use: `jeff` for `targets/jeff`."""
        return self.role.removeprefix("targets/")

    @property
    def label(self) -> str:
        """How messages name the key."""
        short = f" ({self.keyid[:_SHORT_ID]})" if self.keyid else ""
        where = f" of {self.gun}" if self.gun else ""
        return f'key "{self.name or "without a role"}"{short}{where}'


class PassphraseSource(Protocol):
    """One place where passphrases may be."""

    def name_for(self, request: PassphraseRequest) -> str | None:
        """Return the name that errors show; None when the source has nothing to do with such a key."""

    def get(self, request: PassphraseRequest) -> str | None:
        """Return the passphrase, or None."""


class CallbackSource:
    """A function of the program that uses the library."""

    def __init__(
        self, callback: Callable[[PassphraseRequest], str | None], name: str = "the callback"
    ) -> None:
        self._callback = callback
        self._name = name

    def name_for(self, request: PassphraseRequest) -> str | None:  # noqa: ARG002 - the same for every key
        """Return the name that was given."""
        return self._name

    def get(self, request: PassphraseRequest) -> str | None:
        """Ask the function."""
        return self._callback(request)


class FileSource:
    """A file that holds one passphrase, or lines `root=`, `targets=`, `snapshot=`, `NAME=`.

    Lines count as named only when all of them are.
    """

    def __init__(self, path: Path, name: str = "--passphrase-file") -> None:
        self._path = path
        self._name = name

    def name_for(self, request: PassphraseRequest) -> str | None:  # noqa: ARG002 - the same for every key
        """Return the name that was given."""
        return self._name

    def get(self, request: PassphraseRequest) -> str | None:
        """Read the file, once; raise ConfigurationError when it cannot be read."""
        lines = self._lines
        named = [_NAMED_LINE.fullmatch(line) for line in lines if line]
        if not named or not all(named):
            return lines[0] if lines else None
        values = {match.group(1): match.group(2) for match in named if match}
        return values.get(request.role) or values.get(request.name)

    @cached_property
    def _lines(self) -> list[str]:
        return _read_lines(self._path, self._name)


class VariableSource:
    """An environment variable, whose name may depend on the key."""

    def __init__(
        self,
        environ: Mapping[str, str],
        variable: Callable[[PassphraseRequest], str | None],
        *,
        of_file: bool = False,
    ) -> None:
        """Take the variable's name as a function; `of_file` reads the file that `<variable>_FILE` names."""
        self._environ = environ
        self._variable = variable
        self._of_file = of_file
        self._read: dict[str, str] = {}  # a pipe gives its content only once

    def name_for(self, request: PassphraseRequest) -> str | None:
        """Return the variable's name; None for keys it is not meant for."""
        variable = self._variable(request)
        return f"{variable}_FILE" if variable and self._of_file else variable

    def get(self, request: PassphraseRequest) -> str | None:
        """Return the variable's value, or the first line of the file it names."""
        from pathlib import Path

        name = self.name_for(request)
        value = self._environ.get(name) if name else None
        if not self._of_file or not value or not name:
            return value
        if value not in self._read:
            self._read[value] = _read_lines(Path(value), name)[0]
        return self._read[value]


class PassphraseChain:
    """All sources in order, then the prompt."""

    def __init__(
        self,
        sources: Sequence[PassphraseSource],
        prompt: Callable[[str], str] | None = None,
        wording: Wording | None = None,
    ) -> None:
        """Take the sources and a prompt.

        Args:
            sources: In the order in which they are asked.
            prompt: Shows a text, returns what was typed without echo; None where nobody can be asked.
                The text may hold names from outside.
            wording: The texts to show; None for our own.
        """
        self._sources = tuple(sources)
        self._prompt = prompt
        self._wording = wording or Wording()

    def candidates(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        """Yield source names and passphrases, lazily, while the caller goes on trying (rule 3)."""
        seen: set[str] = set()
        for name, value in self._supplied(request):
            if value not in seen:
                seen.add(value)
                yield name, value
        yield from self._typed(request)

    def for_new(self, request: PassphraseRequest) -> str:
        """Return the passphrase for a new key (rule 4).

        Raises:
            PassphraseNeededError: No source has one.
            ConfigurationError: The first one is too short.
        """
        for name, value in self._supplied(request):
            if len(value) < MIN_LENGTH:
                raise ConfigurationError(
                    f"the {_wanted(request)} is too short",
                    why=f"{name} holds fewer than {MIN_LENGTH} characters",
                    advice=Advice("choose-longer", source=name),
                    source=name,
                )
            return value
        return self._chosen(request)

    def tried(self, request: PassphraseRequest) -> list[str]:
        """Return the names of all sources for this key, whether they hold a value or not."""
        names = [source.name_for(request) for source in self._sources]
        return [*dict.fromkeys(name for name in names if name), *([PROMPT] if self._prompt else [])]

    def _supplied(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        for source in self._sources:
            name = source.name_for(request)
            value = source.get(request) if name else None
            if name and value:
                yield name, value

    def _ask(self, text: str) -> str | None:
        """Prompt once; None if nobody answers any more. Blanks around it are not part of it, as in Go."""
        try:
            value = self._prompt(text).strip() if self._prompt else None
        except EOFError:
            return None
        return None if not value and self._wording.empty_ends else value

    def _typed(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        for count in range(self._wording.tries):
            value = self._ask(self._wording.existing(request, again=count > 0))
            if value is None:
                return
            yield PROMPT, value

    def _chosen(self, request: PassphraseRequest) -> str:
        words, problem = self._wording, ""
        for _ in range(words.choices):
            value = self._ask(problem + words.new(request))
            if value is None:
                break
            if len(value) < MIN_LENGTH:
                problem = words.too_short
            elif self._ask(words.repeat(request)) == value:
                return value
            else:
                problem = words.different
        raise PassphraseNeededError(
            f"there is no {_wanted(request)}",
            why=self.absence(request),
            advice=self.advice(request),
            tried=self.tried(request),
        )

    def absence(self, request: PassphraseRequest) -> str:
        """Say where a passphrase was looked for in vain."""
        looked = ", ".join(self.tried(request)) or "no source"
        return f"looked at {looked}" + ("" if self._prompt else "; there is no terminal to ask on")

    def advice(self, request: PassphraseRequest) -> Advice:
        """Say how to supply a passphrase for this key."""
        return Advice("set-passphrase", variable=_docker_variable(request))


def standard_chain(
    environ: Mapping[str, str],
    passphrase_file: Path | None,
    prompt: Callable[[str], str] | None,
    wording: Wording | None = None,
) -> PassphraseChain:
    """Return the chain of the command line (rule 1)."""
    variables = (_own_variable, _own_id_variable, _docker_variable, _notary_variable)
    sources: list[PassphraseSource] = [] if passphrase_file is None else [FileSource(passphrase_file)]
    for of_file in (False, True):
        sources += [VariableSource(environ, variable, of_file=of_file) for variable in variables]
    if environ.get(KEYRING_VARIABLE):
        from notarypy.keys.oskeyring import KeyringSource, wanted

        sources += [KeyringSource()] if wanted(environ[KEYRING_VARIABLE], KEYRING_VARIABLE) else []
    return PassphraseChain(sources, prompt, wording)


class _NewPassphraseChain(PassphraseChain):
    """The chain for a passphrase that takes the place of another."""

    def advice(self, request: PassphraseRequest) -> Advice:  # noqa: ARG002 - the same for every key
        """Say how to supply a new passphrase."""
        return Advice("set-new-passphrase")


def new_passphrase_chain(
    environ: Mapping[str, str], passphrase_file: Path | None, prompt: Callable[[str], str] | None
) -> PassphraseChain:
    """Return the chain for changing a passphrase: it shares no source with `standard_chain` (rule 6)."""
    sources: list[PassphraseSource] = []
    if passphrase_file is not None:
        sources.append(FileSource(passphrase_file, "--new-passphrase-file"))
    sources += [VariableSource(environ, lambda _: NEW_VARIABLE, of_file=of_file) for of_file in (False, True)]
    return _NewPassphraseChain(sources, prompt)


def _wanted(request: PassphraseRequest) -> str:
    return f"passphrase for the new {request.label}" if request.new else f"new passphrase for {request.label}"


def _own_variable(request: PassphraseRequest) -> str | None:
    name = re.sub(r"[^A-Z0-9]", "_", request.name.upper())
    return f"NOTARYPY_PASSPHRASE_{name}" if name else None


def _own_id_variable(request: PassphraseRequest) -> str | None:
    return f"NOTARYPY_PASSPHRASE_{request.keyid[:_SHORT_ID]}" if request.keyid else None


def _docker_variable(request: PassphraseRequest) -> str:
    kind = "ROOT" if request.role == "root" else "REPOSITORY"
    return f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE"


def _notary_variable(request: PassphraseRequest) -> str:
    return f"NOTARY_{_NOTARY_ROLES.get(request.role, 'DELEGATION')}_PASSPHRASE"


def _read_lines(path: Path, name: str) -> list[str]:
    """Read a file the user named, be it a link, a pipe or a descriptor; at least one line, maybe empty."""
    most = DEFAULT.passphrase_file_bytes
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
        text = data.decode("utf-8-sig") if len(data) <= most else None
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeError) else getattr(error, "strerror", None)
        raise _unreadable(path, name, reason or "its name is not usable") from None
    if text is None:
        raise _unreadable(path, name, f"it is longer than {most} bytes")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _unreadable(path: Path, name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot read the passphrase file {path}", why=f"{reason} ({name})", path=str(path)
    )


MIN_LENGTH = 8


class Wording:
    """The words of notarypy itself; a subclass has those of another program.

    Attributes:
        tries: How often is asked for the passphrase of a key.
        choices: How often for one that is to be chosen.
        empty_ends: Whether an empty answer is an answer, and ends it; the end of input always does.
        too_short: What precedes the question after a passphrase that was too short.
        different: The same after two that were not the same.
    """

    tries = 3
    choices = 3
    empty_ends = True
    too_short = "That was too short. "
    different = "These were not the same. "

    def existing(self, request: PassphraseRequest, *, again: bool) -> str:
        """Return the question for the passphrase of a key."""
        wrong = "That was wrong. " if again else ""
        return f"{wrong}Passphrase for {request.label}: "

    def new(self, request: PassphraseRequest) -> str:
        """Return the question for a new passphrase."""
        return f"New passphrase for {request.label}, {MIN_LENGTH} characters or more: "

    def repeat(self, request: PassphraseRequest) -> str:  # noqa: ARG002 - others name the key
        """Return the question for the same again."""
        return "The same again: "
