"""Where a passphrase comes from: sources in a fixed order, and a prompt at the end.

What it is: the order, the names under which sources appear in errors, and the words of the prompt. What it is
not: decryption (`signers.keyfile`), nor the terminal: whoever builds the chain gives it a prompt, or None
where nobody can be asked.

Rules:

1. The order is: the passphrase file; `NOTARYPY_PASSPHRASE_<NAME>`, then the same with the key id's first
   seven digits; cosign's variable, for cosign's key files alone; docker's variable; notary's variable; each
   of these variables with `_FILE`, naming a file; the operating system's keyring, if the user turned that on
   (`oskeyring`); the prompt. For the program `notary` notary's variable comes before all.
2. An empty value counts as none, but for a key file of cosign: it may have an empty one.
3. An existing key is tried with every source in turn, each distinct value once; the next source is not asked
   before the last one failed.
4. A new key takes the first source that has a value, and that value has 8 characters or more. A second source
   never rescues a value that is too short: nobody would know which one the key has. At the prompt see rule 8.
5. Only names of sources are shown and logged, never values.
6. A passphrase that is to be changed and the one that replaces it come from different sources: else both
   would be the same, and nothing would change.
7. A PIN locks its token after a few wrong tries. So the first value that is meant for this very key is the
   PIN, and no other is offered: not what docker's and notary's variables or a file without names hold for
   all keys, and nothing after the first. A function is asked only where whoever gave it said so: one that has
   one answer to everything would lock the token.
8. In `notary`, as in Go's, what was typed for a role is tried for its other keys before anybody is asked, and
   set on new ones: if it was typed twice, or opened a key that is known by its id, and has 8 characters. What
   opened nothing, or only a file of somebody else's, is remembered by nobody.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Protocol

from notarypy import system
from notarypy.errors import Advice, ConfigurationError, PassphraseNeededError
from notarypy.keys import oskeyring
from notarypy.keys.keyinfo import MIN_LENGTH, SHORT_ID, PassphraseRequest, Wording
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

_LOG = logging.getLogger(__name__)
PROMPT = "the prompt"
COSIGN_PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the variable's name
_NOTARY_ROLES = {"root", "targets", "snapshot"}
# A line of a file for several keys. What looks like base64's padding is a passphrase.
_NAMED_LINE = re.compile(r"([a-z0-9][a-z0-9_/-]*)=(?!=*$)(.+)")


class PassphraseSource(Protocol):
    """One place where passphrases may be."""

    def name_for(self, request: PassphraseRequest) -> str | None:
        """Return the name that errors show; None when the source has nothing to do with such a key."""

    def get(self, request: PassphraseRequest) -> str | None:
        """Return the passphrase, or None."""


@dataclass
class CallbackSource:
    """A function of the program that uses the library.

    Attributes:
        callback: Returns a passphrase, or None.
        name: What errors call it.
        pins: Whether it is asked for PINs too, which `token` of a request tells (rule 7).
    """

    callback: Callable[[PassphraseRequest], str | None]
    name: str = "the callback"
    pins: bool = False

    def name_for(self, request: PassphraseRequest) -> str | None:
        """See `PassphraseSource`."""
        return None if request.token and not self.pins else self.name

    def get(self, request: PassphraseRequest) -> str | None:
        """See `PassphraseSource`."""
        found: object = self.callback(request)
        if found is None or isinstance(found, str):
            return found
        if isinstance(found, Coroutine):
            found.close()  # or Python warns of one that nobody waits for
        raise TypeError(f"{self.name} returned {type(found).__name__}, and not a str or None")


class FileSource(CallbackSource):
    """A file, read once, with one passphrase, or with nothing but lines `root=`, `targets=`, `NAME=`."""

    def __init__(self, path: Path, name: str = "--passphrase-file") -> None:
        super().__init__(self._value, name, pins=True)
        self._path = path

    def _value(self, request: PassphraseRequest) -> str | None:
        named = [_NAMED_LINE.fullmatch(line) for line in self._lines if line]
        if not named or not all(named):
            return None if request.token else self._lines[0]  # rule 7
        values = {match[1]: match[2] for match in named if match}
        return values.get(request.role) or values.get(request.name)

    @cached_property
    def _lines(self) -> list[str]:
        return read_lines(self._path, self.name)


@dataclass
class VariableSource:
    """An environment variable, or the file that `<variable>_FILE` names; its name may depend on the key."""

    environ: Mapping[str, str] = field(repr=False)
    variable: Callable[[PassphraseRequest], str | None]
    of_file: bool = False
    _read: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def name_for(self, request: PassphraseRequest) -> str | None:
        """Return the variable's name; None for keys it is not meant for."""
        variable = self.variable(request)
        return f"{variable}_FILE" if variable and self.of_file else variable

    def get(self, request: PassphraseRequest) -> str | None:
        """Return the variable's value, or the first line of the file it names."""
        name = self.name_for(request)
        value = self.environ.get(system.variable(name or ""))
        if not self.of_file or not value or not name:
            return value
        if value not in self._read:
            self._read[value] = read_lines(Path(value), name)[0]
        return self._read[value]


class KeyringSource:
    """The operating system's keyring, by canonical key id: a key that is not made yet has no entry."""

    def name_for(self, request: PassphraseRequest) -> str | None:
        """See `PassphraseSource`."""
        return oskeyring.NAME if request.keyid else None

    def get(self, request: PassphraseRequest) -> str | None:
        """See `PassphraseSource`; raises ConfigurationError or PassphraseNeededError."""
        return oskeyring.passphrase(request.keyid, request.label, role=request.role, gun=request.gun)


class PassphraseChain:
    """All sources in order, then the prompt."""

    def __init__(
        self,
        sources: Sequence[PassphraseSource],
        prompt: Callable[[str], str] | None = None,
        wording: Wording | None = None,
        advice: Advice | None = None,
    ) -> None:
        """Take the sources in their order, and how to ask a person.

        `prompt` shows a text, which may hold names from outside, and returns what was typed without echo.
        `wording` has the texts, and `advice` says how to supply a passphrase, where ours do not fit.
        """
        self._sources, self._prompt = tuple(sources), prompt
        self._wording, self._advice = wording or Wording(), advice
        self.remembers = self._wording.remembers
        self._typed_for = dict[str, str]()  # by role (rule 8)

    def candidates(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        """Yield source names and passphrases, lazily, while the caller goes on trying (rule 3)."""
        seen: set[str] = set()
        for name, value in self._supplied(request):
            if value not in seen:
                seen.add(value)
                yield name, value
        before = None if request.token else self._typed_for.get(request.role)
        for count in range(1 if request.token else self._wording.tries):
            asked = f"PIN of {request.label}: " if request.token else ""
            asked = asked or self._wording.existing(request, again=count > 0)
            typed = before if count == 0 and before else self._ask(asked, empty=request.cosign)
            if typed is None:
                return
            self._note(request, typed)
            yield PROMPT, typed
            self._note(request, "")  # it opened nothing: another is asked for

    def for_new(self, request: PassphraseRequest) -> str:
        """Return the passphrase for a new key; raise PassphraseNeededError, ConfigurationError (rule 4)."""
        return self.chosen(request)[1]

    def chosen(self, request: PassphraseRequest) -> tuple[str, str]:
        """Return a source's name and its value for a new key; raise as `for_new`."""
        name, value = next(self._supplied(request), (PROMPT, ""))
        if value and len(value) < MIN_LENGTH:
            why = f"{name} holds fewer than {MIN_LENGTH} characters"
            message, advice = f"the {_wanted(request)} is too short", Advice("choose-longer", source=name)
            raise ConfigurationError(message, why=why, advice=advice, source=name)
        _LOG.debug("the %s comes from %s", _wanted(request), name)
        before = self._typed_for.get(request.role, "")
        return name, value or (before if len(before) >= MIN_LENGTH else self._typed(request))

    def tried(self, request: PassphraseRequest) -> list[str]:
        """Return the names of all sources for this key, whether they hold a value or not."""
        names = [source.name_for(request) for source in self._sources] + [PROMPT if self._prompt else None]
        return list(dict.fromkeys(name for name in names if name))

    def _supplied(self, request: PassphraseRequest) -> Iterator[tuple[str, str]]:
        for source in self._sources:
            name = source.name_for(request)
            value = source.get(request) if name else None
            if name and (value or (request.cosign and value is not None)):
                yield name, value

    def _ask(self, text: str, *, empty: bool = False) -> str | None:
        """Prompt once; None if nobody answers any more. Blanks around it are not part of it, as in Go.

        An empty answer is one where `empty` says so, or the wording does.
        """
        with suppress(EOFError):
            value = self._prompt(text).strip() if self._prompt else None
            return None if not value and not empty and self._wording.empty_ends else value
        return None

    def _note(self, request: PassphraseRequest, typed: str) -> None:
        if self._wording.remembers and request.keyid and not request.token:  # rule 8
            self._typed_for[request.role] = typed

    def _typed(self, request: PassphraseRequest) -> str:
        words, problem = self._wording, ""
        for _ in range(words.choices):
            value = self._ask(problem + words.new(request))
            if value is None:
                break
            if len(value) < MIN_LENGTH:
                problem = words.too_short
            elif self._ask(words.repeat(request)) == value:
                self._note(request, value)
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
        left = [one.name for one in self._sources if isinstance(one, CallbackSource) and not one.pins]
        unasked = f"; {', '.join(left)} is not asked for PINs" if left and request.token else ""
        return f"looked at {looked}{unasked}" + ("" if self._prompt else "; there is no terminal to ask on")

    def advice(self, request: PassphraseRequest) -> Advice:
        """Say how to supply a passphrase for this key."""
        if request.token:
            return Advice("set-pin", variable=own_variable(request), name=request.name or "NAME")
        if request.cosign:
            return Advice("set-cosign-password")
        if self._advice is None and not request.keyid and not request.new:  # a file's, which others chose
            return Advice("give-file-passphrase", variable=own_variable(request))
        return self._advice or Advice("set-passphrase", variable=_docker_variable(request))


def standard_chain(
    environ: Mapping[str, str],
    passphrase_file: Path | None,
    prompt: Callable[[str], str] | None,
    wording: Wording | None = None,
    *,
    notarys_first: bool = False,
) -> PassphraseChain:
    """Return the chain of the command line (rule 1); `notarys_first` begins it with notary's variables."""
    notarys = VariableSource(environ, _notarys_variable)
    variables = (
        lambda request: own_variable(request) if request.name else None,
        lambda request: _own_variable(request.keyid[:SHORT_ID]),
        lambda request: COSIGN_PASSWORD if request.cosign else None,
        lambda request: None if request.token else _docker_variable(request),  # rule 7
        _notarys_variable,
    )
    sources: list[PassphraseSource] = [notarys] if notarys_first else []
    sources += [] if passphrase_file is None else [FileSource(passphrase_file)]
    for of_file in (False, True):
        sources += [VariableSource(environ, variable, of_file=of_file) for variable in variables]
    if oskeyring.wanted(environ):
        sources.append(KeyringSource())
    return PassphraseChain(sources, prompt, wording)


def new_passphrase_chain(
    environ: Mapping[str, str],
    passphrase_file: Path | None,
    prompt: Callable[[str], str] | None,
    wording: Wording | None = None,
) -> PassphraseChain:
    """Return the chain for changing a passphrase: it shares no source with `standard_chain` (rule 6).

    That of a key file of cosign may be in cosign's own variable, which opens no key of a trust directory.
    """
    file = [] if passphrase_file is None else [FileSource(passphrase_file, "--new-passphrase-file")]
    named = [
        VariableSource(environ, lambda _: "NOTARYPY_NEW_PASSPHRASE", of_file) for of_file in (False, True)
    ]
    cosign = VariableSource(environ, lambda request: COSIGN_PASSWORD if request.cosign else None)
    return PassphraseChain([*file, cosign, *named], prompt, wording, Advice("set-new-passphrase"))


def _wanted(request: PassphraseRequest) -> str:
    return f"passphrase for the new {request.label}" if request.new else f"new passphrase for {request.label}"


def _own_variable(name: str) -> str | None:
    return f"NOTARYPY_PASSPHRASE_{name}" if name else None


def own_variable(request: PassphraseRequest) -> str:
    """Return the variable with the passphrase of this key, by its name."""
    return _own_variable(re.sub(r"[^A-Z0-9]", "_", request.name.upper())) or _docker_variable(request)


def _docker_variable(request: PassphraseRequest) -> str:
    return f"DOCKER_CONTENT_TRUST_{'ROOT' if request.role == 'root' else 'REPOSITORY'}_PASSPHRASE"


def _notarys_variable(request: PassphraseRequest) -> str | None:
    return None if request.token else notarys_variable(request.role)  # rule 7


def notarys_variable(role: str) -> str:
    """Return notary's variable with the passphrase of keys of a role."""
    return f"NOTARY_{role.upper() if role in _NOTARY_ROLES else 'DELEGATION'}_PASSPHRASE"


def read_lines(path: Path, name: str) -> list[str]:
    """Read a file the user named, be it a link, a pipe or a descriptor; at least one line, maybe empty."""
    most = DEFAULT.passphrase_file_bytes
    reason = f"it is longer than {most} bytes"
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
        if len(data) <= most:
            return [line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n")]
    except UnicodeError:
        reason = "it is not UTF-8"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not usable"
    message, why = f"cannot read the passphrase file {path}", f"{reason} ({name})"
    raise ConfigurationError(message, why=why, path=str(path))
