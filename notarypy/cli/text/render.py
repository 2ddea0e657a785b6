"""What people and programs read: error texts, tables, results, docker's formats, JSON documents.

What it is: values in, text out. What it is not: printing (`report`).

Rules:

1. Text from outside is shown with every character that is not printable escaped: no control sequence and no
   change of writing direction reaches a terminal.
2. docker's formats are docker's to the byte, except for what rules 1 and 3 change.
3. Names have no limit in metadata: of a line or cell more than 16 KiB are left out, and a table is not
   widened for cells of more than 256 characters.
4. At a terminal a table fits its width (`tables`). What is piped or written to a file has one line for each
   row, and all of it, whatever the terminal.
5. Nothing that is shown has a secret that somebody typed into a key URI.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any

from notarypy import jsontext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from notarypy.cli.text.colour import Painter
    from notarypy.client.keys.migrating import MigratedKeys
    from notarypy.client.results import InitResult, Inspection, PushedImage, SignedTag, TagEntry
    from notarypy.errors import NotarypyError
    from notarypy.keys.oldlayout import MigratedKey

REPO_ADMIN = "Repo Admin"
SHORT_ID = 12
# docker's tables: no column narrower than 10, with the three blanks between columns.
_NARROWEST = 7
_WIDEST = 256
_GAP = "   "
_ROWS = 256  # tags that are made into text at a time
_TAGS_END = "\n        "
MAX_LINE = 16 << 10
# What programs get of an image that was pushed, a repository that got its trust data, and a role.
PUSHED = "repository tag digest size platforms uploaded mounted present sent foreign"
FIRST_ROOT = "repository server root_pins root_keys certificates"
INITIALISED = "repository created root_pins root_keys root_threshold keys_here signers server"
ROLE = "role version expires keys threshold paths problem"
document, fields, moment = jsontext.document, jsontext.fields, jsontext.moment
# Go's encoder escapes these in strings, so that JSON may stand in HTML.
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"})


def safe(text: object) -> str:
    """Return text with everything unprintable escaped (rule 1), and not too much of it (rules 3 and 5)."""
    shown = _without_secret(str(text))
    left, shown = max(len(shown) - MAX_LINE, 0), shown[:MAX_LINE]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return f"{shown}... ({left} characters more)" if left else shown


def _fix(error: NotarypyError, command: str | None) -> str:
    """Return what to do about an error, from tables that a command without an error does not load."""
    from notarypy.cli.text.advice import advice

    return advice(error, command)


def error_text(error: NotarypyError, command: str | None = None, about: str = "") -> str:
    """Return an error for people: what, about which REF unless it says so itself, why, fix."""
    lines = [f"notarypy: error: {safe(error.message)} [{error.code}]"]
    lines += [f"  for: {safe(about)}"] if about not in " ".join((error.message, *error.why)) else []
    lines += [f"  why: {safe(line)}" for line in error.why]
    fixes = safe(_fix(error, command)).split("; only if ")  # what others do, and what its publisher does
    lines += [f"  fix: {'only if ' if at else ''}{fix}" for at, fix in enumerate(fixes) if fix]
    return "\n".join(lines)


def error_json(error: NotarypyError, command: str | None = None) -> dict[str, Any]:
    """Return an error for programs."""
    return jsontext.error(error, fix=_fix(error, command))


def ends(when: datetime | None, problem: str | None) -> str:
    """Return the cell that says when a role ends; a problem is said below the table."""
    return "(unusable)" if problem else moment(when) or "(not published)"


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    columns: int | None = None,
    painter: Painter | None = None,
) -> str:
    """Return an aligned table in docker's style; every cell is made safe.

    `columns` are those of the terminal that it is for, if it is for one (rule 4); `painter` has its colours.
    """
    lines = [list(header), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(_NARROWEST, length) for length in _lengths(lines)]
    if columns is None and painter is None:
        return _aligned(lines, widths)
    from notarypy.cli.text import tables  # which nobody but a person at the terminal needs

    return tables.shown(lines, columns, painter, widths)


def _aligned(lines: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    return "\n".join(_GAP.join(map(str.ljust, line, [*widths[:-1], 0])) for line in lines)


def _lengths(lines: Iterable[Sequence[str]]) -> list[int]:
    return [min(max(map(len, column)), _WIDEST) for column in zip(*lines, strict=True)]


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
        *root_lines(result.root_pins, result.root_threshold),
        f"keys here: {', '.join(result.keys_here) or 'none'}",
    ]
    lines += [f"signers: {', '.join(result.signers)}"] if result.signers else []
    if not result.created:
        return lines
    options = " ".join(f"--root {pin}" for pin in result.root_pins)
    if result.root_uris:
        lines.append(
            f"nothing replaces the root key if it is lost; it stays at {', '.join(result.root_uris)}"
        )
        lines.append("keep what is here elsewhere too: notarypy backup FILE")
    elif result.keys_here:
        what = "the root key" if "root" in result.keys_here else "its keys"
        lines.append(f"nothing replaces {what} if lost; keep a copy elsewhere: notarypy backup FILE")
    return [
        *lines,
        "a CI runner verifies with:",  # what makes another machine trust this root and no other
        f"  export DOCKER_CONTENT_TRUST_SERVER={result.server}",
        f"  notarypy verify {options} {result.repository}:TAG",
    ]


def root_lines(pins: Sequence[str], threshold: int) -> list[str]:
    """Return what is said of root keys, and how many of several sign."""
    several = [f"{threshold} of these {len(pins)} root keys sign a root"] if len(pins) > 1 else []
    return [f"root pin: {pin}" for pin in pins] + several


def docker_json(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Yield the document that `docker trust inspect` prints, in parts: one repository may have megabytes."""
    yield "["
    for number, each in enumerate(inspections):
        yield ",\n" if number else "\n"
        yield from (part.translate(_HTML) for part in _docker_object(each))
    yield "\n]" if inspections else "]"


def _docker_object(each: Inspection) -> Iterator[str]:
    yield f'    {{\n        "Name": {json.dumps(each.name)},\n        "SignedTags": ['
    for at in range(0, len(each.tags), _ROWS):
        rows = ",".join(map(_docker_row, each.tags[at : at + _ROWS]))
        yield f",{rows}" if at else rows
    keys = {
        "Signers": [_docker_keys(name, listed) for name, listed in each.signers],
        "AdministrativeKeys": [
            _docker_keys("Root", each.root_keys),
            _docker_keys("Repository", each.repository_keys),
        ],
    }
    below = json.dumps(keys, indent=4).removeprefix("{").replace("\n", "\n    ")
    yield f"{_TAGS_END if each.tags else ''}],{below}"


def _docker_row(row: TagEntry) -> str:
    """Return a row as `json.dumps` would indent it, which it does without its quick encoder."""
    signers = ",\n                    ".join(map(_quoted, row.signers or [REPO_ADMIN]))
    return (
        f'\n            {{\n                "SignedTag": {_quoted(row.tag)},'
        f'\n                "Digest": {_quoted(_hex(row.digest))},'
        f'\n                "Signers": [\n                    {signers}\n                ]\n            }}'
    )


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _docker_keys(name: str, keys: Sequence[str]) -> dict[str, Any]:
    listed = {"Keys": [{"ID": keyid} for keyid in keys]} if keys else {}
    return {"Name": name, **listed}


def docker_pretty(each: Inspection, columns: int | None = None, painter: Painter | None = None) -> str:
    """Return the text that `docker trust inspect --pretty` prints; its tables fit `columns`, if given."""
    from notarypy.images.reference import natural

    name = safe(each.name)
    parts = [f"\n{'Signatures' if each.tags else 'No signatures'} for {name}\n\n"]
    if each.tags:
        rows = []
        for row in each.tags:
            who = ", ".join(sorted({*row.signers} - {REPO_ADMIN})) or f"({REPO_ADMIN})"
            rows.append((row.tag, _hex(row.digest), who))
        parts.append(table(("SIGNED TAG", "DIGEST", "SIGNERS"), rows, columns, painter) + "\n")
    if each.signers:
        parts.append(f"\nList of signers and their keys for {name}\n\n")
        listed = sorted(each.signers, key=lambda signer: natural(signer[0]))
        signers = [(who, short_ids(keys)) for who, keys in listed]
        parts.append(table(("SIGNER", "KEYS"), signers, columns, painter) + "\n")
    parts.append(f"\nAdministrative keys for {name}\n\n")
    administrative = {
        role: [safe(key) for key in sorted(keys)]
        for role, keys in (("Repository Key", each.repository_keys), ("Root Key", each.root_keys))
    }
    return "".join([*parts, *_administrative(administrative, columns)])


def _administrative(keys: Mapping[str, Sequence[str]], columns: int | None) -> list[str]:
    """Return docker's lines of keys; at a terminal that one does not fit, each key has a line of its own."""
    lines = [f"  {role}:\t{', '.join(listed)}\n" for role, listed in keys.items()]
    if columns is None or all(len(line.rstrip().expandtabs()) <= columns for line in lines):
        return lines
    return [f"  {role}:\n" + "".join(f"    {key}\n" for key in listed) for role, listed in keys.items()]


def short_ids(keys: Iterable[str]) -> str:
    """Return key ids as docker abbreviates them."""
    return ", ".join(keyid[:SHORT_ID] for keyid in sorted(keys))


def old_key(key: MigratedKey) -> str:
    """Return what a key of an old layout is called."""
    role = roles.signer_name(key.role) or "no role"
    return f"key {key.keyid} ({role}{f' of {key.gun}' if key.gun else ''})"


def unused_old_files(found: MigratedKeys, trust_dir: Path | None = None) -> list[str]:
    """Return a line for each file in old folders that no key in use comes from.

    Of a trust directory where it is now, and only for files beside keys.
    """

    def now(path: Path) -> Path:
        if trust_dir is None or found.backup is None or not path.is_relative_to(trust_dir):
            return path
        return found.backup / path.relative_to(trust_dir)

    stays = "{} is at {} already, which stays; {} is another copy"
    lines = [stays.format(old_key(key), key.path, now(key.source)) for key in found.keys if key.already]
    misnamed = "{} has a key, but is not named after one: import it, if it is to be used"
    others = found.others
    if trust_dir is not None:
        others = tuple(path for path in others if path.is_relative_to(trust_dir / "private"))
    texts = dict.fromkeys(found.misnamed, misnamed)
    return [*lines, *(texts.get(path, "{} is no key").format(now(path)) for path in others)]


def may_have_uri(text: str) -> bool:
    """Tell whether a text may have a key URI with more than a name in it, without a pattern to compile."""
    return ":" in text and any(map(_begins_a_uri, text.split()))


def _begins_a_uri(word: str) -> bool:
    """Tell whether a word may have a scheme, and what separates attributes, options or a user from it."""
    inner = word.partition(":")[2].rstrip(";")
    return "=" in inner or "?" in inner or ";" in inner or ("//" in inner and "@" in inner)


def _without_secret(text: str) -> str:
    """Return a text without what could be a secret in a key URI."""
    if not may_have_uri(text):
        return text
    from notarypy.keys.formats import urisecrets  # few commands show any

    return urisecrets.shown(text)


def without_secrets(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value, without what could be a secret in its texts."""
    if isinstance(value, str):
        return _without_secret(value)
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    return {key: without_secrets(each) for key, each in value.items()} if isinstance(value, dict) else value
