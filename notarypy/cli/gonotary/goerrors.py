"""Errors as this program prints them: with Go notary's text, why, and what to do.

What it is: from an error to lines. What it is not: what to do, in words (`fixes`).

Rules:

1. An error is `* fatal:` with Go notary's text where it has one, lines `why:` with what is known beyond it,
   and a line `fix:`.
2. Whoever raises an error in this program gives it Go notary's text; here are the texts for errors that are
   raised below the command line. The first row that fits, and has a text, counts. Some commands say more
   before it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from notarypy import errors
from notarypy.cli.gonotary import fixes
from notarypy.cli.report import origin
from notarypy.cli.text.render import safe

if TYPE_CHECKING:
    from notarypy.cli.gonotary.notaryshell import NotaryShell
    from notarypy.errors import NotarypyError

_UNPINNED = "could not validate the path to a trusted root: invalid trust pinning specified"
_CHANGED = (
    "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates"
)
_BEFORE = "before"
_LOCKED = "could not find necessary signing keys, at least one of these keys must be available"


def text_of(error: NotarypyError, shell: NotaryShell) -> str:
    """Return an error's text (rule 1)."""
    known = _gos_words(error)
    why = (error.message, *error.why) if known and known != error.message else error.why
    lines = [f"* fatal: {safe(known or error.message)}", *(f"  why: {safe(line)}" for line in why)]
    fix = safe(fixes.text(error, shell.again(), shell.native_options()))
    return "\n".join([*lines, f"  fix: {fix}"] if fix else lines)


@contextmanager
def after(before: str, *kinds: type[NotarypyError]) -> Iterator[None]:
    """Put what a command says before them in front of the words of such errors (rule 2)."""
    try:
        yield
    except kinds as error:
        error.facts[_BEFORE] = before
        raise


def final(error: Exception, shell: NotaryShell) -> tuple[str, int]:
    """Return the text and the exit code of an error that ends the program."""
    if isinstance(error, errors.NotarypyError):
        return text_of(error, shell), error.exit_code
    if isinstance(error, OSError):
        said = ": ".join(filter(None, (str(error.filename or ""), error.strerror or str(error))))
        unsaid = f"\n  not printed: {shell.unsaid.strip()}" if shell.unsaid.strip() else ""
        return f"* fatal: {said}{unsaid}", 1
    said = f"unexpected {type(error).__name__}{origin(error)}\n  why: this is a defect of notarypy"
    return f"* fatal: {said}", 1


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
