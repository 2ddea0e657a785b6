"""What people and programs read: error texts, tables, results, docker's formats, JSON documents.

What it is: values in, text out. What it is not: printing (`report`).

Rules:

1. Text from outside is shown with every character that is not printable escaped: no control sequence and no
   change of writing direction reaches a terminal.
2. docker's formats are docker's to the byte, except for what rules 1 and 3 change.
3. Names have no limit in metadata: of a line or cell more than 16 KiB are left out, and a table is not
   widened for cells of more than 256 characters.
4. At a terminal a table fits its width: cells are broken over several lines, and nothing of them is left out.
   What is piped or written to a file has one line for each row, whatever the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from notarypy.cli.text.advice import advice

if TYPE_CHECKING:
    from notarypy.client.results import InitResult, Inspection, PushedImage, SignedTag
    from notarypy.client.verdicts import AppliedPolicy
    from notarypy.errors import NotarypyError

REPO_ADMIN = "Repo Admin"
SHORT_ID = 12
# docker's tables: no column narrower than 10, with the three blanks between columns.
_NARROWEST = 7
_WIDEST = 256
# No column gets narrower than this; a terminal that is too small for that breaks lines itself.
_LEAST = 4
_GAP = "   "
MAX_LINE = 16 << 10
# What programs get of an image that was pushed, a repository that got its trust data, and a role.
PUSHED = "repository tag digest size platforms uploaded mounted present sent foreign"
FIRST_ROOT = "repository server root_pins root_keys certificates"
INITIALISED = "repository created root_pins root_keys keys_here signers server"
ROLE = "role version expires keys threshold paths problem"
# Go's encoder escapes these in strings, so that JSON may stand in HTML.
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"})


def safe(text: object) -> str:
    """Return text with everything unprintable escaped (rule 1), and not too much of it (rule 3)."""
    shown = str(text)
    left, shown = max(len(shown) - MAX_LINE, 0), shown[:MAX_LINE]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return f"{shown}... ({left} characters more)" if left else shown


def error_text(error: NotarypyError, command: str | None = None, about: str = "") -> str:
    """Return an error for people: what, about which REF unless it says so itself, why, fix."""
    fix = advice(error, command)
    lines = [f"notarypy: error: {safe(error.message)} [{error.code}]"]
    lines += [f"  for: {safe(about)}"] if about not in " ".join((error.message, *error.why)) else []
    lines += [f"  why: {safe(line)}" for line in error.why]
    lines += [f"  fix: {safe(fix)}"] if fix else []
    return "\n".join(lines)


def error_json(error: NotarypyError, command: str | None = None) -> dict[str, Any]:
    """Return an error for programs."""
    return {
        "code": error.code,
        "exit": error.exit_code,
        "message": error.message,
        "why": list(error.why),
        "facts": error.facts,
        "fix": advice(error, command),
        "retryable": error.retryable,
    }


def document(value: object, indent: int | None = None) -> str:
    """Return JSON in ASCII, so that no character can do harm; what JSON lacks becomes text."""

    def plain(value: object) -> object:
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    return json.dumps(value, indent=indent, default=plain).translate({0x7F: "\\u007f"})


def fields(value: object, names: str) -> dict[str, Any]:
    """Return some attributes of a result for programs, points in time as metadata writes them."""
    found = {name: getattr(value, name) for name in names.split()}
    return {name: moment(each) if isinstance(each, datetime) else each for name, each in found.items()}


def policy_json(applied: AppliedPolicy | None) -> dict[str, Any] | None:
    """Return what the trust policy said of an image, for programs."""
    if applied is None:
        return None
    return {**fields(applied, "scope mode"), "unmet": [error_json(each, "verify") for each in applied.unmet]}


def moment(when: datetime | None) -> str | None:
    """Return a point in time as metadata writes it, to the second."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ends(when: datetime | None, problem: str | None) -> str:
    """Return the cell that says when a role ends; a problem is told below the table."""
    return "(unusable)" if problem else moment(when) or "(not published)"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], columns: int | None = None) -> str:
    """Return an aligned table in docker's style; every cell is made safe.

    `columns` are those of the terminal that it is for, if it is for one (rule 4).
    """
    lines = [list(header), *([safe(cell) for cell in row] for row in rows)]
    longest = [min(max(map(len, column)), _WIDEST) for column in zip(*lines, strict=True)]
    if columns is not None:
        longest = _fitted(longest, columns - len(_GAP) * (len(longest) - 1))
        lines = [part for line in lines for part in _wrapped(line, longest)]
    least = 0 if columns is not None else _NARROWEST
    widths = [*(max(least, length) for length in longest[:-1]), 0]
    return "\n".join(_GAP.join(map(str.ljust, line, widths)) for line in lines)


def _fitted(longest: Sequence[int], room: int) -> list[int]:
    """Return widths that fit into so much room: the widest become narrower, as far as they have to."""
    for most in range(max(longest), _LEAST, -1):
        found = [min(length, most) for length in longest]
        if sum(found) <= room:
            return found
    return [min(length, _LEAST) for length in longest]


def _wrapped(line: Sequence[str], widths: Sequence[int]) -> Iterator[list[str]]:
    """Yield a line of a table as several: each cell is broken at blanks, or else where it has to be."""
    cells = [
        wrap(cell, max(width, 1), break_on_hyphens=False) for cell, width in zip(line, widths, strict=True)
    ]
    for parts in zip_longest(*cells, fillvalue=""):
        yield list(parts)


def pushed_line(done: PushedImage) -> str:
    """Return what is said of an image that was pushed."""
    blobs = [(done.uploaded, "sent"), (done.mounted, "mounted"), (done.present, "already there")]
    counts = ", ".join(f"{count} {what}" for count, what in blobs if count) or "none"
    return f"pushed {done.reference} {done.digest}{_platforms(done)}; blobs: {counts}"


def signed_lines(done: SignedTag, *, dry_run: bool = False) -> list[str]:
    """Return what is said of a tag that was signed, or would be."""
    what = f"{done.reference} {done.digest}{_platforms(done)}"
    made = initialised_lines(done.created) if done.created is not None else []
    if done.already:
        return [*made, f"already signed {what}"]
    lines = [*made, f"would be signed {what} in {', '.join(done.roles)}" if dry_run else f"signed {what}"]
    if done.previous:
        verb, then = ("is", ", would be") if dry_run else ("was", " now")
        lines.append(f"{done.reference} {verb} {done.previous}{then} {done.digest}")
    return lines


def signed_json(done: SignedTag, *, dry_run: bool = False) -> dict[str, Any]:
    """Return the same for programs."""
    known = fields(done, "repository tag digest size platforms roles previous published already")
    created = done.created and fields(done.created, INITIALISED)
    return {**known, "dry_run": dry_run, "also_old": done.also_old, "created": created}


def _platforms(done: PushedImage | SignedTag) -> str:
    return f" (index: {', '.join(done.platforms)})" if done.platforms else ""


def initialised_lines(result: InitResult) -> list[str]:
    """Return what is said of a repository that got its trust data, or was found to have some."""
    lines = [
        f"initialised {result.repository} on {result.server}"
        if result.created
        else f"{result.repository} has trust data on {result.server}; nothing was changed",
        *(f"root pin: {pin}" for pin in result.root_pins),
        f"keys here: {', '.join(result.keys_here) or 'none'}",
    ]
    lines += [f"signers: {', '.join(result.signers)}"] if result.signers else []
    if not result.created:
        return lines
    options = " ".join(f"--root {pin}" for pin in result.root_pins[:1])
    if "root" in result.keys_here:
        what = f"notarypy key export {result.root_pins[0][:SHORT_ID]} -o root.pem"
        lines.append(f"nothing replaces the root key; keep a copy elsewhere: {what}")
    return [
        *lines,
        "a CI runner verifies with:",  # what makes another machine trust this root and no other
        f"  export DOCKER_CONTENT_TRUST_SERVER={result.server}",
        f"  notarypy verify {options} {result.repository}:TAG",
    ]


def docker_json(inspections: Sequence[Inspection]) -> str:
    """Return the document that `docker trust inspect` prints."""
    value = [_docker_object(each) for each in inspections]
    return json.dumps(value, indent=4).translate(_HTML) if value else "[]"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _docker_object(each: Inspection) -> dict[str, Any]:
    return {
        "Name": each.name,
        "SignedTags": [
            {"SignedTag": row.tag, "Digest": _hex(row.digest), "Signers": list(row.signers) or [REPO_ADMIN]}
            for row in each.tags
        ],
        "Signers": [_docker_keys(name, keys) for name, keys in each.signers],
        "AdministrativeKeys": [
            _docker_keys("Root", each.root_keys),
            _docker_keys("Repository", each.repository_keys),
        ],
    }


def _docker_keys(name: str, keys: Sequence[str]) -> dict[str, Any]:
    listed = {"Keys": [{"ID": keyid} for keyid in keys]} if keys else {}
    return {"Name": name, **listed}


def docker_pretty(each: Inspection, columns: int | None = None) -> str:
    """Return the text that `docker trust inspect --pretty` prints; its tables fit `columns`, if given."""
    from notarypy.client.verify.inspection import natural

    name = safe(each.name)
    parts = [f"\n{'Signatures' if each.tags else 'No signatures'} for {name}\n\n"]
    if each.tags:
        rows = []
        for row in each.tags:
            who = ", ".join(sorted({*row.signers} - {REPO_ADMIN})) or f"({REPO_ADMIN})"
            rows.append((row.tag, _hex(row.digest), who))
        parts.append(table(("SIGNED TAG", "DIGEST", "SIGNERS"), rows, columns) + "\n")
    if each.signers:
        parts.append(f"\nList of signers and their keys for {name}\n\n")
        listed = sorted(each.signers, key=lambda signer: natural(signer[0]))
        signers = [(who, short_ids(keys)) for who, keys in listed]
        parts.append(table(("SIGNER", "KEYS"), signers, columns) + "\n")
    parts.append(f"\nAdministrative keys for {name}\n\n")
    parts += [
        f"  {role}:\t{safe(', '.join(sorted(keys)))}\n"
        for role, keys in (("Repository Key", each.repository_keys), ("Root Key", each.root_keys))
    ]
    return "".join(parts)


def short_ids(keys: Iterable[str]) -> str:
    """Return key ids as docker abbreviates them."""
    return ", ".join(keyid[:SHORT_ID] for keyid in sorted(keys))
