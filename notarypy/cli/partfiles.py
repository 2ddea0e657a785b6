"""Parts in files: made by commands that publish, signed by one after the other, and joined.

What it is: `--offline-part FILE` and `sign --join FILE...`, and the words in which a part is shown. What it
is not: what is in such a file (`tuf.parts`).

Rules:

1. A part is made in a new file: another one may have signatures of others. It is written in place of itself
   when signatures are added, all of it or nothing, with those that others added since it was shown. A link
   and the mode of the file stay.
2. It is shown before it is signed, and whoever looks at a terminal, or says `--yes`, agrees: on the terminal
   that is asked, whatever standard output is for. The bytes that were shown are those that are signed.
3. What lacks signatures is not published, and no passphrase is asked for where those here are not enough.
4. A dry run shows, and ends as the command would; it signs, writes, publishes and asks nothing.
5. All that a signature would be for is shown, one line for each thing; what is too long for a line goes on in
   the next one, and nothing is left out.
6. `+` is what comes, `-` what goes, `~` what becomes something else, `=` what stays.
7. A name or path that could be taken for more than a name is quoted, as in JSON.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy import files
from notarypy.cli import references, userfiles
from notarypy.cli.text import render
from notarypy.errors import Advice, AlreadyExistsError, KeyNotAuthorisedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from notarypy.cli.run import Run
    from notarypy.client.api import Client
    from notarypy.client.publish.joining import PartReview
    from notarypy.tuf.draftchanges import DraftChange
    from notarypy.tuf.parts import NeededSignatures


def make(
    run: Run,
    client: Client,
    repos: Sequence[str],
    path: str,
    publish: Callable[[], object],
    *,
    dry_run: bool = False,
) -> None:
    """Write what a call would publish as a part (rule 1)."""
    if dry_run:
        message, advice = "--dry-run writes nothing, and --offline-part a file", Advice("leave-out-one")
        raise UsageError(message, advice=advice)
    if len(repos) != 1:
        raise UsageError("--offline-part goes with one repository", why=f"{len(repos)} were given")
    file = _named(path)
    if file.exists():
        raise AlreadyExistsError(
            f"{path} exists", why="it may have signatures of others", advice=Advice("other-part-file")
        )
    userfiles.require_directory(file)
    with run.trying(repos[0]):
        review = client.parts.make(publish)
        files.write_atomic(file, review.document, userfiles.PUBLIC_MODE, new=True)
        _wrote(run, file, review, lines(review))


def add(run: Run, path: str, root: Sequence[str] | None, *, dry_run: bool = False) -> None:
    """Add the signatures of the keys here to a part, or say who would sign (rules 1, 2 and 4)."""
    pin, file = references.required_root(run, root, None), _named(path)
    data = userfiles.read(path)
    known: dict[str, Any] = {}
    with run.client() as client, run.trying(path, data=known):
        review = client.parts.read([data], root=pin)
        known.update(as_json(review, path, published=False))
        wanted = any(one.missing and {*one.could} & {*review.here} for one in review.required)
        _show(run, review, "Sign it?", asking=wanted and not dry_run)
        if wanted and dry_run:
            signers = render.short_ids(review.here)
            run.report.done(review.repository, known, f"would be signed by {signers}; nothing was written")
            return
        review = _signed(client, review, path)
        while (now := userfiles.read(path)) != data:  # others signed it meanwhile
            data, review = now, client.parts.read([now, review.document], root=pin)
        target = file.resolve()
        files.write_atomic(target, review.document, stat.S_IMODE(target.stat().st_mode))
        _wrote(run, file, review, signatures(review))


def _named(path: str) -> Path:
    """Return the file of a part that is written."""
    if path == "-":
        message, why = "a part is written to a file", "- is standard input, or standard output"
        raise UsageError(message, why=why, advice=Advice("name-part-file"))
    return Path(path)


def _show(run: Run, review: PartReview, question: str, *, asking: bool) -> None:
    """Show a part, and go on only with a yes if keys here are to sign it (rule 2)."""
    shown = lines(review)
    if asking:
        run.confirm(question, f"what stands above is signed by {render.short_ids(review.here)}", *shown)
    else:
        run.report.lines(shown)


def _signed(client: Client, review: PartReview, path: str) -> PartReview:
    try:
        return client.parts.sign(review)
    except KeyNotAuthorisedError as error:
        error.advice = Advice("add-signatures" if review.missing else "join-part", file=path)
        raise


def join(run: Run, paths: Sequence[str], root: Sequence[str] | None, *, dry_run: bool = False) -> None:
    """Publish parts that belong together, signed here too where that is enough, or say so (rules 3 and 4)."""
    pin = references.required_root(run, root, None)
    if not paths:
        raise UsageError("no FILE was given", why="--join joins parts in files")
    documents = [userfiles.read(path) for path in paths]
    known: dict[str, Any] = {}
    with run.client() as client, run.trying(*paths, data=known):
        review = client.parts.read(documents, root=pin)
        known.update(as_json(review, None, published=False))
        here = {*review.here}
        few = any(one.missing > len({*one.could} & here) for one in review.missing)
        _show(run, review, "Sign and publish it?", asking=bool(review.missing) and not few and not dry_run)
        if few:
            _refuse(client, review, paths[0])
        if dry_run:
            would = f"would publish {', '.join(sorted(review.part.files))} of {review.repository}"
            run.report.done(review.repository, known, would)
            return
        if review.missing:
            review = client.parts.sign(review)
        done = client.parts.publish(review)
        data = as_json(review, None, published=done.published)
        line = f"published {', '.join(done.roles)} of {done.repository}"
        lines = [line if done.published else f"{done.repository} has it already"]
        if "root" in done.roles:
            lines += render.root_lines(done.root_pins, done.root_threshold)
        run.report.done(done.repository, data, *lines)


def _refuse(client: Client, review: PartReview, path: str) -> None:
    try:
        client.parts.publish(review)
    except KeyNotAuthorisedError as error:
        error.advice = Advice("add-signatures", file=path)
        raise


def _wrote(run: Run, file: Path, review: PartReview, lines: list[str]) -> None:
    data = as_json(review, str(file), published=False)
    wrote = f"wrote {file}; nothing was published"
    run.report.done(review.repository, data, *lines, wrote, *_next(file, review))


def _next(file: Path, review: PartReview) -> list[str]:
    if review.missing:
        return [f"next, where one of the other keys is: notarypy sign --offline-part {file}"]
    return [f"next, to publish it: notarypy sign --join {file}"]


_CHANGE, _REQUIRED = "role kind name before after", "role threshold signed could missing former"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+(?<!:)")
_WIDEST = 4000  # well below what is cut (`render.safe`)


def as_json(review: PartReview, file: str | None, *, published: bool) -> dict[str, Any]:
    """Return a part as documents have it, in a file or published."""
    return {
        "repository": review.repository,
        "file": file,
        "published": published,
        "compared_with_server": review.fresh,
        "changes": [render.fields(one, _CHANGE) for one in review.changes],
        "required": [render.fields(one, _REQUIRED) for one in review.required],
        "here": list(review.here),
    }


def lines(review: PartReview) -> list[str]:
    """Return a part in words (rules 5 and 6)."""
    base = "what is published now"
    if not review.part.base:
        base = "nothing: it is the first root of this repository"
    elif not review.fresh:
        base = "what the file says is published; nobody was asked whether it still is"
    return [f"to be signed for {review.repository}, built on {base}:", *_changes(review), *signatures(review)]


def _changes(review: PartReview) -> Iterator[str]:
    role = None
    for change in review.changes:
        if change.role != role:
            role = change.role
            yield f"  {role}"
        words = _words(change)
        yield from (f"    {words[at : at + _WIDEST]}" for at in range(0, len(words), _WIDEST))


def _words(change: DraftChange) -> str:
    what, before, after = change.kind, change.before, change.after
    name = change.name if what in {"certificate", "other"} else _quoted(change.name)  # those are words
    sign = "+" if before is None else "-" if after is None else "=" if before == after else "~"
    value = f"{before} -> {after}" if sign == "~" else (after if before is None else before)
    if what in {"version", "expires"}:
        return f"{sign} {what} {value}"
    if what == "delegation":
        return f"{sign} delegation {name}"
    if what in {"key", "certificate", "threshold", "path"}:
        if what == "path":
            value = _quoted(value) if value else "all tags"
        return f"{sign} {what} of {name}: {value}{_lowered(change)}"
    if what == "entry":
        return f"{sign} said of tag {name}: {value}"
    return f"{sign} {what} {name}: {value}"


def _quoted(name: str) -> str:
    """Return a name that is nothing but one (rule 7)."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _lowered(change: DraftChange) -> str:
    """Say that fewer keys than before will be enough: nobody is to overlook that."""
    if change.kind != "threshold" or change.before is None or change.after is None:
        return ""
    return " (LOWER: fewer keys will be enough)" if int(change.after) < int(change.before) else ""


def signatures(review: PartReview) -> list[str]:
    """Return one line for each threshold: who has signed, and who could."""
    return [_signatures(one, review.here) for one in review.required]


def _signatures(one: NeededSignatures, here: tuple[str, ...]) -> str:
    whose = f"{one.role}, by the keys before" if one.former else one.role
    line = (
        f"  {len(one.signed)} of {one.threshold} signatures of {whose}: {_keys(one.signed, here) or 'nobody'}"
    )
    return f"{line}; could sign: {_keys(one.could, here) or 'nobody else'}" if one.missing else line


def _keys(keyids: tuple[str, ...], here: tuple[str, ...]) -> str:
    return ", ".join(
        f"{keyid[: render.SHORT_ID]} (here)" if keyid in here else keyid[: render.SHORT_ID]
        for keyid in keyids
    )
