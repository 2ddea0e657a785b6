"""What there is to know of repositories on one page of HTML, for whoever answers for them.

What it is: `overviewtext` with pictures. What it is not: printing, or files.

Rules:

1. Whatever is from a repository is shown safe, as everywhere (`render`), and in HTML as `htmlpage` does it.
2. What is bad stands first: of all repositories, and of each. A repository that could not be read has its
   place, with the reason.
3. Of very many tags the first are on the page, and it is said how many are not. Programs get all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from notarypy.cli.text import drawings, eventtext, htmlpage, overviewtext, render
from notarypy.client.findings import LEVELS
from notarypy.images.reference import natural
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from notarypy.client.findings import Finding, Level
    from notarypy.client.overview.overviews import ListedTag, Overview
    from notarypy.client.verdicts import RoleStatus

_TAGS_SHOWN = 5000
_FIRST_SHOWN = 100
_SERVED = {"same": "as signed", "moved": "moved", "gone": "gone", "unknown": "unknown", None: "not asked"}
_SERVED_LEVELS: dict[str | None, Level] = {
    "same": "ok",
    "moved": "bad",
    "gone": "warning",
    "unknown": "warning",
}
_ROLES = ("role", "version", "ends", "state", "must sign", "keys", "here", "may sign")
_TAGS = ("tag", "digest", "bytes", "signers", "listed by", "state", "ends, unless renewed")
_EVENTS = ("time", "role", "version", "signed by", "what")
_SHORT = 12


# -- one page of HTML


def page(looked: Sequence[overviewtext.Looked], within: str) -> Iterator[str]:
    """Yield the page, in parts (rules 1 and 2)."""
    when = max((one.found.time for one in looked if one.found is not None), default=datetime.now(UTC))
    shown = htmlpage.moment(when if looked else None, "nothing was looked at")
    yield htmlpage.opening("Trust data report", f"notarypy, {shown}", drawings.STYLE + _STYLE)
    yield f"<p>{htmlpage.state(_worst(looked), _verdict(looked))}</p>\n"
    yield htmlpage.sums(_sums(looked, within))
    yield from htmlpage.table(
        "Repositories",
        ("repository", "state", "released tags", "signers", "root keys", "ends next"),
        map(_summary_row, range(len(looked)), looked),
    )
    yield from htmlpage.table(
        "What needs somebody first", ("repository", "about", "what", "what to do"), _first(looked)
    )
    for number, one in enumerate(looked):
        yield f'<section aria-labelledby="r{number}">\n<h2 id="r{number}">{htmlpage.text(one.name)}</h2>\n'
        if one.error is not None:
            yield htmlpage.error(one.error, overviewtext.COMMAND)
        if one.found is not None:
            yield from _repository(f"r{number}", one.found)
        yield "</section>\n"
    yield f'<footer><p class="dim">{_LEGEND}</p></footer>\n'
    yield htmlpage.CLOSING


_STYLE = """
footer { border-top: 1px solid var(--line); margin-top: 3rem; }
@media print { section + section { break-before: page; } }
"""
_LEGEND = (
    "Times are UTC. The server signs the timestamp anew before it ends: among what is to renew, and for the "
    "end of a tag, it counts only when it has ended. What has ended is refused by everybody who verifies. A "
    "key goes by the first digits of its id. Of what was released only a signature says that it is right, "
    "and not this page."
)


def _worst(looked: Iterable[overviewtext.Looked]) -> Level:
    return max((one.level for one in looked), key=LEVELS.index, default="ok")


def _verdict(looked: Sequence[overviewtext.Looked]) -> str:
    bad = sum(one.level == "bad" for one in looked)
    warned = sum(one.level == "warning" for one in looked)
    many = f"{len(looked)} repositories" if len(looked) != 1 else "1 repository"
    if bad:
        return f"{bad} of {many} {'needs' if bad == 1 else 'need'} somebody now."
    if warned:
        return f"Nothing is bad. {warned} of {many} {'has' if warned == 1 else 'have'} warnings."
    return f"Nothing is wrong with {many}."


def _sums(looked: Sequence[overviewtext.Looked], within: str) -> Iterator[tuple[str, object]]:
    found = [one.found for one in looked if one.found is not None]
    yield "repositories", len(looked)
    if len(found) < len(looked):
        yield "not read", len(looked) - len(found)
    yield "bad findings", sum(one.count("bad") for one in looked)
    yield "warnings", sum(one.count("warning") for one in looked)
    yield "released tags", sum(len(one.released) for one in found)
    yield f"roles to renew within {within}", sum(len(one.status.due) for one in found)


def _summary_row(number: int, one: overviewtext.Looked) -> Sequence[str]:
    name = f'<a href="#r{number}">{htmlpage.text(one.name)}</a>'
    if one.found is None:
        return (
            name,
            htmlpage.state("bad", f"not read [{one.error.code if one.error else ''}]"),
            "",
            "",
            "",
            "",
        )
    found = one.found
    root = found.status.roles[0]
    signers = sum(entry.role != roles.RELEASES for entry in found.delegations)
    next_one = _next(found)
    ends = "" if next_one is None else f"{htmlpage.day(next_one.expires)} {htmlpage.text(next_one.role)}"
    counted = (str(len(found.released)), str(signers), overviewtext.needed(root))
    return name, htmlpage.state(one.level, overviewtext.state(one)), *counted, ends


def _next(found: Overview) -> RoleStatus | None:
    """Return the role that ends first of those that the server does not renew by itself."""
    dated = [one for one in found.status.roles if one.expires is not None and one.role != roles.TIMESTAMP]
    return min(dated, key=lambda one: (one.expires is None, one.expires), default=None)


def _first(looked: Sequence[overviewtext.Looked]) -> Iterator[Sequence[str]]:
    """Yield what is bad, of all repositories, up to so many."""
    rows = (
        (f'<a href="#r{number}">{htmlpage.text(one.name)}</a>', finding)
        for number, one in enumerate(looked)
        for finding in one.findings
        if finding.level == "bad"
    )
    for _, (name, finding) in zip(range(_FIRST_SHOWN), rows, strict=False):
        area, what, fix = overviewtext.finding_row(finding)[1:]
        yield name, htmlpage.text(area), htmlpage.state("bad", what), htmlpage.text(fix)


def _repository(ident: str, found: Overview) -> Iterator[str]:
    pins, noun = ", ".join(map(htmlpage.code, found.root_pins)), _plural("root pin", found.root_pins)
    yield f"<p>Notary server {htmlpage.code(found.server)}; {noun} {pins}</p>\n"
    heads = ("state", "about", "what", "what to do")
    yield from htmlpage.table("Findings", heads, map(_finding_cells, found.findings))
    yield from drawings.tree(f"{ident}-tree", "Who may sign what", list(_nodes(found)))
    yield from htmlpage.table("Roles", _ROLES, _role_rows(found))
    yield from drawings.timeline(f"{ident}-time", "What ends when", list(_spans_of(found)), found.time)
    yield from _tags(found)
    yield from _events(found)


def _plural(noun: str, things: Sequence[object]) -> str:
    return noun if len(things) == 1 else f"{noun}s"


def _finding_cells(one: Finding) -> Sequence[str]:
    word, area, what, fix = overviewtext.finding_row(one)
    return htmlpage.state(one.level, word), htmlpage.text(area), htmlpage.text(what), htmlpage.text(fix)


# -- roles


def _nodes(found: Overview) -> Iterator[drawings.Branch]:
    """Yield the roles, each below the one that says whose keys sign it."""
    paths = {entry.role: entry.paths for entry in found.delegations}
    by_role = {one.role: one for one in found.status.roles}
    below = sorted((entry.role for entry in found.delegations), key=_place)
    order = [roles.ROOT, roles.TARGETS, *below, roles.SNAPSHOT, roles.TIMESTAMP]
    for role in order:
        one = by_role[role]
        depth = 0 if role == roles.ROOT else 1 + role.count("/")
        said = f"{overviewtext.needed(one)} {'key' if len(one.keys) == 1 else 'keys'}"
        said += f"; {overviewtext.may_sign(role, paths.get(role, ()))}"
        yield drawings.Branch(
            depth, role, said, overviewtext.level_of(one, found.time), overviewtext.ends(one, found.time)
        )


def _place(role: str) -> list[str]:
    """Return a sort key that has every role at once below the one above it."""
    return [natural(part) for part in role.split("/")]


def _role_rows(found: Overview) -> Iterator[Sequence[str]]:
    paths = {entry.role: entry.paths for entry in found.delegations}
    for one in found.status.roles:
        here = ("noted" if one.elsewhere else "yes") if one.signable else "no"
        keys = "".join(htmlpage.code(key[:_SHORT]) for key in one.keys)
        said = overviewtext.may_sign(one.role, paths.get(one.role, ()), most=None)
        yield (
            htmlpage.text(one.role),
            "" if one.version is None else str(one.version),
            htmlpage.day(one.expires),
            htmlpage.state(overviewtext.level_of(one, found.time), overviewtext.state_of(one, found.time)),
            overviewtext.needed(one),
            keys,
            here,
            htmlpage.text(said),
        )


def _spans_of(found: Overview) -> Iterator[drawings.Lasting]:
    for one in found.status.roles:
        if one.expires is not None:
            level, when = overviewtext.level_of(one, found.time), overviewtext.ends(one, found.time)
            yield drawings.Lasting(one.role, one.expires, when, level)


# -- tags


def _tags(found: Overview) -> Iterator[str]:
    shown, more = found.tags[:_TAGS_SHOWN], len(found.tags) - _TAGS_SHOWN
    asked = any(tag.served is not None for tag in shown)
    heads = (*_TAGS, "registry") if asked else _TAGS
    yield from htmlpage.table(
        "Signed tags", heads, (_tag_cells(tag, found.time, registry=asked) for tag in shown)
    )
    if more > 0:
        yield f'<p class="dim">{more} more tags are not on this page; notarypy report --json has them.</p>\n'
    if not found.tags:
        yield "<p>No tag is signed.</p>\n"


def _tag_cells(tag: ListedTag, now: datetime, *, registry: bool) -> Sequence[str]:
    state = htmlpage.state("ok", "released") if tag.released else htmlpage.state("warning", "not released")
    if tag.expires is not None and tag.expires <= now:
        state = htmlpage.state("bad", "released, and ended")
    who = ", ".join(tag.signers) or (
        f"({render.REPO_ADMIN})" if roles.TARGETS in tag.roles else "none of today"
    )
    texts = map(htmlpage.text, (who, ", ".join(map(roles.signer_name, tag.roles))))
    served = [_served(tag)] if registry else []
    digest = htmlpage.code(tag.digest) if tag.digest else htmlpage.text("none")
    return htmlpage.text(tag.tag), digest, str(tag.size), *texts, state, htmlpage.day(tag.expires), *served


def _served(tag: ListedTag) -> str:
    if tag.served is None:
        return htmlpage.text(_SERVED[None])
    what = f"moved to {tag.found}" if tag.served == "moved" else _SERVED[tag.served]
    return htmlpage.state(_SERVED_LEVELS[tag.served], what)


# -- what happened


def _events(found: Overview) -> Iterator[str]:
    if found.earlier is None:
        yield '<p class="dim">What happened before was not looked at.</p>\n'
        return
    yield from htmlpage.table(
        "What happened, the last first", _EVENTS, eventtext.html_rows(found.events[::-1])
    )
    if found.earlier:
        what = _plural("earlier event", range(found.earlier))
        command = htmlpage.text(f"notarypy history {found.repository}")
        yield f'<p class="dim">There were {found.earlier} {what}: {command}</p>\n'
