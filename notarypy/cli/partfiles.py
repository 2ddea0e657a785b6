"""Parts in files: made by commands that publish, signed by one after the other, and joined.

What it is: `--offline-part FILE` and `sign --join FILE...`. What it is not: what is in such a file
(`tuf.parts`), or the words in which it is shown (`text.partlines`).

Rules:

1. A part is made in a new file: another one may have signatures of others. It is written in place of itself
   when signatures are added, all of it or nothing, with those that others added since it was shown. A link
   and the mode of the file stay.
2. It is shown before it is signed, and whoever looks at a terminal, or says `--yes`, agrees: on the terminal
   that is asked, whatever standard output is for. The bytes that were shown are those that are signed.
3. What lacks signatures is not published, and no passphrase is asked for where those here are not enough.
4. A dry run shows, and ends as the command would; it signs, writes, publishes and asks nothing.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notarypy import files
from notarypy.cli import references, userfiles
from notarypy.cli.text import partlines, render
from notarypy.errors import Advice, AlreadyExistsError, KeyNotAuthorisedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.cli.run import Run
    from notarypy.client.api import Client
    from notarypy.client.publish.joining import PartReview


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
        _wrote(run, file, review, partlines.lines(review))


def add(run: Run, path: str, root: Sequence[str] | None, *, dry_run: bool = False) -> None:
    """Add the signatures of the keys here to a part, or say who would sign (rules 1, 2 and 4)."""
    pin, file = references.required_root(run, root, None), _named(path)
    data = userfiles.read(path)
    known: dict[str, Any] = {}
    with run.client() as client, run.trying(path, data=known):
        review = client.parts.read([data], root=pin)
        known.update(partlines.as_json(review, path, published=False))
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
        _wrote(run, file, review, partlines.signatures(review))


def _named(path: str) -> Path:
    """Return the file of a part that is written."""
    if path == "-":
        message, why = "a part is written to a file", "- is standard input, or standard output"
        raise UsageError(message, why=why, advice=Advice("name-part-file"))
    return Path(path)


def _show(run: Run, review: PartReview, question: str, *, asking: bool) -> None:
    """Show a part, and go on only with a yes if keys here are to sign it (rule 2)."""
    lines = partlines.lines(review)
    if asking:
        run.confirm(question, f"what stands above is signed by {render.short_ids(review.here)}", *lines)
    else:
        run.report.lines(lines)


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
        known.update(partlines.as_json(review, None, published=False))
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
        data = partlines.as_json(review, None, published=done.published)
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
    data = partlines.as_json(review, str(file), published=False)
    wrote = f"wrote {file}; nothing was published"
    run.report.done(review.repository, data, *lines, wrote, *_next(file, review))


def _next(file: Path, review: PartReview) -> list[str]:
    if review.missing:
        return [f"next, where one of the other keys is: notarypy sign --offline-part {file}"]
    return [f"next, to publish it: notarypy sign --join {file}"]
