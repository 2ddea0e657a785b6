"""Errors and warnings as the program `notary` prints them: with Go notary's text, why, and what to do.

What it is: from an error to lines, and the advice of notarypy for whoever has this program's commands and
options. What it is not: other advice: what is not here is said as ever (`cli.text.advice`).

Rules:

1. An error is `* fatal:` with Go notary's text where it has one, lines `why:` with what is known beyond it,
   and a line `fix:`.
2. Whoever raises an error in this program gives it Go notary's text; here are the texts for errors that are
   raised below the command line. The first row that fits, and has a text, counts. Some commands say more
   before it.
3. What this program can do is said with its commands and options. `{program}` is its name on this line, with
   the options of the line: without them it would work with other files.
4. A command that only notarypy has is named with the options that make it work on the same server, files and
   literal names; without them it would look elsewhere.
5. A passphrase is asked for in Go notary's variable.
6. An error that brings no advice has what helps with its kind.
7. A pin that a person is to write down is the id that a key has in the root itself: Go notary, which reads
   the same file, takes no other.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from notarypy import errors
from notarypy.cli.text import publishadvice
from notarypy.cli.text.advice import own_advice
from notarypy.cli.text.render import safe
from notarypy.client.parameters import FirstUseWarning
from notarypy.keys.passphrases import notarys_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.errors import Advice, NotarypyError

_UNPINNED = "could not validate the path to a trusted root: invalid trust pinning specified"
_CHANGED = (
    "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates"
)
_BEFORE = "before"
_LOCKED = "could not find necessary signing keys, at least one of these keys must be available"


def text_of(error: NotarypyError, program: str, options: str) -> str:
    """Return an error's text (rule 1); `options` are those that notarypy's own commands take (rule 4)."""
    known = _gos_words(error)
    why = (error.message, *error.why) if known and known != error.message else error.why
    lines = [f"* fatal: {safe(known or error.message)}", *(f"  why: {safe(line)}" for line in why)]
    fix = safe(_fix(error, program, options))
    return "\n".join([*lines, f"  fix: {fix}"] if fix else lines)


@contextmanager
def after(before: str, *kinds: type[NotarypyError]) -> Iterator[None]:
    """Put what a command says before them in front of the words of such errors (rule 2)."""
    try:
        yield
    except kinds as error:
        error.facts[_BEFORE] = before
        raise


def _gos_words(error: NotarypyError) -> str:
    """Return what Go notary says of an error; nothing where that says nothing (rule 2)."""
    if before := error.facts.get(_BEFORE):
        return f"{before}{_known_words(error) or error.message}"
    return _known_words(error)


def _known_words(error: NotarypyError) -> str:
    found = (words(error.facts) for kind, words in _WORDS if isinstance(error, kind))
    return next(filter(None, found), "")


def _unknown(facts: dict[str, Any]) -> str:
    server = str(facts.get("server", "")).partition("://")[2]
    return f"{server} does not have trust data for {facts.get('gun')}"


def _answered(facts: dict[str, Any]) -> str:
    status = facts.get("status")
    if status == HTTPStatus.UNAUTHORIZED:
        return f"you are not authorized to perform this operation: server returned {status}."
    return f"unable to reach trust server at this time: {status}." if isinstance(status, int) else ""


def _tls(facts: dict[str, Any]) -> str:
    """Return what is said of a file that TLS needs, or else of a connection."""
    reason, path, number = facts.get("reason"), facts.get("path"), facts.get("errno")
    step = "read" if number == errno.EISDIR else "open"
    refused = f"{step} {path}: {os.strerror(number).lower()}" if isinstance(number, int) else ""
    if reason == "ca_file":
        content = f'failed to append certificates from PEM file: "{path}"'
        said = f'could not read CA certificate "{path}": {refused}' if refused else content
    elif reason in {"client_pair", "other_key"}:
        content = "private key does not match public key" if reason == "other_key" else "it is no such pair"
        said = f"Could not load X509 key pair: {refused or f'tls: {content}'}"
    else:
        return "client is offline"
    return f"unable to configure TLS: {said}"


def _locked(facts: dict[str, Any]) -> str:
    known = facts.get("keyid")
    if "token" in facts:  # a PIN is tried once, and Go notary knows of none
        return ""
    return f"{_LOCKED}: {known}" if known else "maximum number of passphrase attempts exceeded"


def _not_here(facts: dict[str, Any]) -> str:
    accepted = facts.get("accepted")
    return f"{_LOCKED}: {', '.join(accepted)}" if isinstance(accepted, list) and accepted else ""


def _refused_change(facts: dict[str, Any]) -> str:
    """Return what is said of a change that cannot be published."""
    if unknown := facts.get("unknown"):
        return f"tuf: invalid role {unknown}. delegation does not exist"
    if keyless := facts.get("keyless"):
        return f"tuf: invalid role {keyless}."
    return "Could not add all targets" if "outside" in facts else ""


def _config(facts: dict[str, Any]) -> str:
    return f"error opening config file: {facts['config']}" if "config" in facts else ""


_WORDS: tuple[tuple[type[errors.NotarypyError], Callable[[dict[str, Any]], str]], ...] = (
    (errors.RepositoryMissingError, _unknown),
    (errors.RepositoryUnpublishedError, _unknown),
    (errors.UnreachableError, lambda _: "client is offline"),
    (errors.DeadlineError, lambda _: "client is offline"),
    (errors.TlsError, _tls),
    (errors.AuthenticationError, _answered),
    (errors.ServerError, _answered),
    (errors.RefusedUpdateError, lambda _: "trust server rejected operation."),
    (errors.ConflictError, lambda _: "trust server rejected operation."),
    (errors.RootChangedError, lambda _: _CHANGED),
    (errors.FirstUseError, lambda _: _UNPINNED),
    (errors.PassphraseNeededError, _locked),
    (errors.PassphraseWrongError, _locked),
    (errors.KeyNotAuthorisedError, _not_here),
    (errors.InvalidNameError, _refused_change),
    (errors.ConfigurationError, _config),
)


FIXES: Mapping[str, str] = {
    **{name: text.replace("notary ", "{program} ") for name, text in publishadvice.STAGED.items()},
    # -- servers and settings
    "choose-trust-dir": "name a directory of your own with -d",
    "give-time": "try again; or give it more time: notarypy --timeout TIME notary",
    "init": (
        "see whether the name is right, and name the Notary server that has it: -s URL; only if you publish "
        "it: {program} init -p {gun}"
    ),
    "init-first": "the first time: {program} init -p {gun}; if it is elsewhere, name the server: -s URL",
    "init-hub": "name the server that has it: -s URL; to make it on one of yours: {program} init -p {gun}",
    "log-in-azure-registry": "log in: notarypy login {host} --azure, or notarypy login {host}",
    "log-in": "set NOTARY_AUTH to USER:PASSWORD in base64; or log in: notarypy login {host}",
    "name-notary": "name the Notary server: -s URL, or url in remote_server of the configuration file",
    "name-server": "name one with -s",
    "set-home": "name a directory of your own: export HOME=/home/NAME; or -d DIR",
    "sign-together": "publish all of it at once, or give it more time: notarypy --retry-for TIME notary",
    # -- trust
    "forget": (
        "name the right server: -s URL; else ask its operator; to publish it again from what is known here: "
        "notarypy republish {gun}; to take it for a new one: {program} delete {gun}"
    ),
    "pin-first-root": (
        "compare the root with the owner, then pin it: trust_pinning.certs in the configuration file"
    ),
    "restore-or-forget": (
        "restore it from a backup; or compare the root with its owner, then {program} delete {gun}"
    ),
    "pin-or-remove": "restore it; or put its owner's pin into trust_pinning.certs, and remove the file",
    "inspect-tags": "see what there is: {program} list {gun}",
    "list-delegations": "{program} delegation list {gun}",
    "list-targets": "see which there are: {program} list {gun}",
    "lower-threshold": "let more keys sign for it: {program} delegation add GUN ROLE CERT",
    "over-limits": "have it made smaller: notarypy revoke or delegate remove with --over-limits",
    # -- keys
    "add-server-managed": "add --server-managed: the server makes it and keeps it",
    "choose-root-key": "choose one: {program} init --rootkey FILE GUN",
    "encrypt-elsewhere": "move it out of the trust directory, then: {program} key import NEW-PLACE",
    "export-key-first": (
        "export it first: {program} key export --key ID -o FILE; then: notarypy key remove --force ID"
    ),
    "give-exported": "import private keys that are PEM, or what {program} key export wrote",
    "hand-over-snapshot": (
        "let its owner publish; or hand it over, where the root key is: "
        "{program} key rotate {gun} snapshot -r"
    ),
    "import-role-keys": "run this where they are, or take them over: {program} key import FILE",
    "import-root-key": "run this where it is, or take it over: {program} key import FILE -r root",
    "import-these-keys": "run this where these keys are, or take them over: {program} key import FILE",
    "list-keys": "see them with: {program} key list",
    "load-base-key": "ask an owner to do it, or take over one of these keys: {program} key import FILE",
    "load-pinned-root": "import the key that the pin names: {program} key import FILE -r root; or change it",
    "load-role-key": (
        "take over one of these keys: {program} key import FILE; or ask an owner to let yours sign: "
        "{program} delegation add {gun} ROLE CERT"
    ),
    "load-key": "import it with: {program} key import FILE",
    "note-uri": "note where it is: {program} key import URI -r ROLE",
    "rotate-signer": (
        "a key of a delegation: {program} delegation add GUN ROLE CERT, "
        "then {program} delegation remove GUN ROLE ID"
    ),
    "sign-in-parts": "run this where enough of them are, or take them over: {program} key import FILE",
    "store-key": "import it: {program} key import FILE -r ROLE",
    # -- passphrases
    "choose-other-passphrase": "set NOTARYPY_NEW_PASSPHRASE to another one",
    "give-file-passphrase": "give the passphrase that the file has: set {variable}",
    "set-delegation-passphrase": "give the passphrase of this key in {variable}",
    "set-new-passphrase": "set NOTARYPY_NEW_PASSPHRASE, or run it at a terminal",
    "set-passphrase": "set {variable}",
    "set-pin": "set {variable}, or name a file with pin-source in the URI",
    "set-root-passphrase": "give the passphrase of this root key in {variable}, not another key's",
    "set-snapshot-passphrase": "give in {variable} the passphrase this snapshot key was made with",
    "set-targets-passphrase": "give in {variable} the passphrase this targets key was made with",
    "type-its-passphrase": "type the passphrase that this key was made with, or set {variable}",
}
_CONFIG = "mend that file, or name another one: -c FILE"
_OF_EXIT_CODE = {
    1: "run it again with -D to see what it did before",
    3: "look at the name, and at the server that is asked",
    4: "do not use it, and tell the owner of the repository",
    5: "ask the owner of the repository to sign it again",
    6: "see the keys that are here: {program} key list",
    7: "check NOTARY_AUTH, or docker's login for this server",
    8: "check the address of the server, -s URL, and the network, then try again",
    9: "try again",
}
_PASSPHRASES = frozenset(name for name in FIXES if name.endswith("-passphrase"))
_ROOTS = re.compile(r"--root [0-9a-f]{64}(?: --root [0-9a-f]{64})*")
_PIN = "in trust_pinning.certs of the configuration file,"
_NO_GUN = re.compile(r" --gun(?= (?:key|login) )")  # these are not about a repository
_PROGRAM, _NATIVE = re.compile(r"\bnotarypy notary(?= [a-z])"), re.compile(r"\bnotarypy (?=[a-z])(?!notary )")


def of_warning(text: str, program: str) -> str:
    """Return a warning in the words of this program, which has no option for pins (rule 7)."""
    keys = text.keys if isinstance(text, FirstUseWarning) else ()
    text = _PROGRAM.sub(lambda _: program, text)
    for canonical, keyid in keys:
        text = text.replace(canonical, keyid)
    return _ROOTS.sub(lambda found: f"{_PIN} {found[0].replace('--root ', '')}", text)


def _fix(error: NotarypyError, program: str, options: str) -> str:
    """Return what to do about an error (rules 3 to 6)."""
    given = error.advice
    if given is not None and given.name in _PASSPHRASES:
        found = FIXES[given.name].format_map({**given.values, "variable": _variable(error, given)})
    else:
        config = _CONFIG if "config" in error.facts else ""
        usual = _OF_EXIT_CODE.get(error.exit_code, "").format(program=program)
        found = own_advice(error, _texts(program)) or config or usual
    found = _NATIVE.sub(lambda _: f"notarypy {options} " if options else "notarypy ", found)
    return _PROGRAM.sub(lambda _: program, _NO_GUN.sub("", found))


def _texts(program: str) -> dict[str, str]:
    """Return the texts of advice that this program has, also for advice inside of other advice."""
    literally = program.replace("{", "{{").replace("}", "}}")
    return {name: text.replace("{program}", literally) for name, text in FIXES.items()}


def _variable(error: NotarypyError, given: Advice) -> object:
    """Return Go notary's variable for the passphrase that an error is about (rule 5)."""
    role, tried = error.facts.get("role"), error.facts.get("tried")
    if isinstance(role, str) and role:
        return notarys_variable(role)
    names = tried if isinstance(tried, list | tuple) else ()
    gos = (name for name in names if isinstance(name, str) and name.startswith("NOTARY_"))
    return next(gos, None) or given.values.get("variable")
