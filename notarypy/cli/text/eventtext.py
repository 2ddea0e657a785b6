"""What happened to a repository, in words: one line for each event, in tables and on pages.

What it is: the sentences, and the rows that they stand in. What it is not: which events there are
(`client.history`), or how a table or a page is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.cli.text import htmlpage, render
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from notarypy.client.history.events import HistoryEvent
    from notarypy.errors import NotarypyError

HEADER = ("TIME", "ROLE", "VERSION", "SIGNED BY", "WHAT", "DIGEST")
_HEADS = ("Time", "Role", "Version", "Signed by", "What")
FIELDS = "time role version kind name before after signers keys verified why"
_MANY = 3
_WORDS = {
    "created": "the repository was made, with root {after}",
    "published": "published for the first time",
    "renewed": "signed again, nothing changed",
    "tag-added": "tag {name} came",
    "tag-moved": "tag {name} moved",
    "tag-changed": "tag {name} stayed, and what is said of it changed",
    "tag-removed": "tag {name} went",
    "delegation-added": "{name} came, with key {after}",
    "delegation-removed": "{name} went, it had key {before}",
    "key-added": "{name} got key {after}",
    "key-removed": "{name} lost key {before}",
    "key-rotated": "the key of {name} was replaced: {before} by {after}",
    "certificate-renewed": "the certificate of the {name} key was replaced: {before} by {after}",
    "paths-changed": "{name} may sign {after}, before: {before}",
    "threshold-changed": "{name} needs {after} signatures, before: {before}",
    "deleted": "the repository was deleted",
    "gone": "something was published, and is gone: {why}",
    "gap": "{why}",
    "rollback": "it went back: {why}",
    "unlisted": "{why}",
    "unverified": "NOT VERIFIED: {why}",
    "feed": "times are not known: of the server's feed of changes, {why}",
}


def sentence(event: HistoryEvent) -> str:
    """Return what happened, in one line; of tags without their digests (`digests`)."""
    of_keys = event.kind.startswith(("key-", "delegation-", "certificate-")) or event.kind == "created"
    before, after = (_ids(text) if of_keys else text for text in (event.before, event.after))
    is_whole = event.kind.startswith("tag-") or event.name == roles.RELEASES
    name = event.name if is_whole else roles.signer_name(event.name)
    values = {"name": name, "before": before or "nothing", "after": after or "nothing", "why": event.why}
    return _WORDS.get(event.kind, event.kind).format_map(values)


def row(event: HistoryEvent) -> tuple[str, ...]:
    """Return the cells of a table, as `HEADER` names them."""
    version = "" if event.version is None else str(event.version)
    when = render.moment(event.time) or ""
    return (when, event.role, version, signed_by(event), sentence(event), digests(event))


def digests(event: HistoryEvent) -> str:
    """Return what a tag is, and what it was if that is another digest; nothing for other events."""
    if not event.kind.startswith("tag-"):
        return ""
    was = "" if event.before in {None, event.after} else f"was {event.before}"
    return ", ".join(filter(None, (event.after, was)))


def signed_by(event: HistoryEvent) -> str:
    """Return who signed: names where they are known, else the keys; of a shared key all who have it."""
    one_of = f"{len(event.keys)} of " if 0 < len(event.keys) < len(event.signers) else ""
    return one_of + ", ".join(event.signers) or _ids(", ".join(event.keys)) or ""


def event_json(event: HistoryEvent) -> dict[str, Any]:
    """Return an event for programs."""
    return render.fields(event, FIELDS)


def html_rows(events: Iterable[HistoryEvent]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a page's table, as HTML, a tag's digests below what happened to it."""
    for event in events:
        said = sentence(event)
        what = htmlpage.text(said) if event.verified else htmlpage.state("warning", said)
        cells = (event.role, "" if event.version is None else event.version, signed_by(event))
        shown = htmlpage.code(digests(event)) if digests(event) else ""
        yield (htmlpage.moment(event.time, "unknown"), *map(htmlpage.text, cells), f"{what}{shown}")


def page(repository: str, events: list[HistoryEvent], error: NotarypyError | None = None) -> Iterator[str]:
    """Yield a page with all events of a repository, and what went wrong at the end."""
    said = "Who signed what, and when. Times are what the server says: nobody signed them."
    yield htmlpage.opening(f"History of {repository}", said)
    odd = sum(not event.verified for event in events)
    tags = sum(event.kind.startswith("tag-") for event in events)
    yield htmlpage.sums((("events", len(events)), ("of tags", tags), ("not verified", odd)))
    if error is not None:
        yield htmlpage.error(error)
    yield from htmlpage.table("Events, oldest first", _HEADS, html_rows(events))
    yield htmlpage.CLOSING


def _ids(text: str | None) -> str | None:
    """Return ids in short, and of many only the first."""
    if text is None:
        return None
    short = [one[: render.SHORT_ID] for one in text.split(", ")]
    more = f" and {len(short) - _MANY} more" if len(short) > _MANY else ""
    return ", ".join(short[:_MANY]) + more
