"""What status found, for programs that watch: metrics as Prometheus reads them, and XML as JUnit's.

What it is: text out of results and errors. What it is not: the look itself, or a file.

Rules:

1. Whatever was asked for is in the text. A repository that could not be read is `up` 0 and a test with an
   error: to leave it out would look like all is well.
2. A repository is there once: a series that is there twice makes all of Prometheus' text unreadable.
3. Names of metrics, of their labels and of tests are promised (docs/monitoring.md).
4. Names and words are made safe, as everywhere (`render`), and then escaped as the form wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr  # writes alone: nothing is parsed

from notarypy.cli.text import render
from notarypy.cli.text.advice import advice
from notarypy.client.results import RepositoryStatus
from notarypy.errors import ExpiredError, NotarypyError, VerificationError

if TYPE_CHECKING:
    from notarypy.client.verdicts import RoleStatus

Looks = Mapping[str, RepositoryStatus | NotarypyError]
"""Repositories by name: what was found, or why nothing was (rule 2)."""

_Labels = Mapping[str, str]
_UP = "Whether the trust data could be read and verified (1), dates aside, or not (0)."
_FAILURE = "Why a repository that is not up could not be read: 1 for that error code."
_OF_ROLES: tuple[tuple[str, str, Callable[[RoleStatus], int | None]], ...] = (
    (
        "expiry_timestamp_seconds",
        "When the role ends: its file, or for the root its certificate, if that is earlier.",
        lambda role: None if role.expires is None else int(role.expires.timestamp()),
    ),
    (
        "due",
        "Whether it ends within the time that was asked for, and somebody has to do something about it.",
        lambda role: int(role.due),
    ),
    ("valid", "Whether the role can be trusted, dates aside.", lambda role: int(not role.problem)),
    ("signable", "Whether enough of its keys are where this was written.", lambda role: int(role.signable)),
    ("version", "The version of its file.", lambda role: role.version),
    ("keys", "How many keys may sign it.", lambda role: len(role.keys)),
    ("threshold", "How many of its keys have to sign it.", lambda role: role.threshold),
)


def prometheus(looks: Looks) -> str:
    """Return all that was found in Prometheus' text form."""
    read = [found for found in looks.values() if isinstance(found, RepositoryStatus)]
    roles = [
        ({"repository": found.repository, "role": role.role}, role) for found in read for role in found.roles
    ]
    failures = [(name, found) for name, found in looks.items() if isinstance(found, NotarypyError)]
    ups = [({"repository": name}, int(isinstance(found, RepositoryStatus))) for name, found in looks.items()]
    codes = [({"repository": name, "code": error.code}, 1) for name, error in failures]
    families = [_family("repository_up", _UP, ups), _family("repository_failure", _FAILURE, codes)]
    for name, about, value in _OF_ROLES:
        samples = [(labels, number) for labels, role in roles if (number := value(role)) is not None]
        families.append(_family(f"role_{name}", about, samples))
    return "".join(f"{line}\n" for family in families for line in family)


def _family(name: str, about: str, samples: Iterable[tuple[_Labels, int]]) -> Iterator[str]:
    for number, (labels, value) in enumerate(samples):
        if number == 0:
            yield f"# HELP notarypy_{name} {about}"
            yield f"# TYPE notarypy_{name} gauge"
        yield f"notarypy_{name}{{{','.join(map(_label, labels.items()))}}} {value}"


def _label(label: tuple[str, str]) -> str:
    name, value = label
    quoted = render.safe(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{quoted}"'


def junit(looks: Looks, within: str, fix: Callable[[RepositoryStatus], str], command: str | None) -> str:
    """Return a test suite for each repository, and in it a test for each of its roles."""
    suites = [_suite(name, list(_tests(found, within, fix, command))) for name, found in looks.items()]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<testsuites name="notarypy status">',
            *suites,
            "</testsuites>",
            "",
        ]
    )


_Test = tuple[str, str]  # a role, and what its test says, which is empty if all is well


def _tests(
    found: RepositoryStatus | NotarypyError,
    within: str,
    fix: Callable[[RepositoryStatus], str],
    command: str | None,
) -> Iterator[_Test]:
    if isinstance(found, NotarypyError):
        yield "trust data", _said("error", found.code, found.message, *found.why, advice(found, command))
        return
    for role in found.roles:
        if role.problem:
            yield role.role, _said("failure", VerificationError.code, role.problem, fix(found))
        elif role.due:
            when = f"{render.moment(role.expires)}, which is within {within} or over"
            yield role.role, _said("failure", ExpiredError.code, f"it ends on {when}", fix(found))
        else:
            yield role.role, ""


def _said(element: str, code: str, message: str, *more: str) -> str:
    body = "\n".join(escape(render.safe(line)) for line in more if line)
    return f"<{element} type={_quoted(code)} message={_quoted(message)}>{body}</{element}>"


def _suite(name: str, tests: list[_Test]) -> str:
    errors, failures = (
        sum(said.startswith(f"<{kind} ") for _, said in tests) for kind in ("error", "failure")
    )
    counts = f'tests="{len(tests)}" errors="{errors}" failures="{failures}" skipped="0"'
    cases = [
        f"    <testcase classname={_quoted(name)} name={_quoted(role)}>{said}</testcase>"
        for role, said in tests
    ]
    return "\n".join([f"  <testsuite name={_quoted(name)} {counts}>", *cases, "  </testsuite>"])


def _quoted(text: str) -> str:
    return quoteattr(render.safe(text))
