"""Pages of HTML: one file each, for people who have no terminal before them, and for paper.

What it is: text as HTML, and what every page is made of: its beginning and end, tables, states, errors,
drawings. What it is not: a page (`migrationpage` and others), or the words on it.

Rules:

1. Whatever is from outside is shown safe, as everywhere (`render`), with its characters escaped, and reads in
   its own direction: a tag or signer may be called anything. `text`, `code` and `label` do it; all else here
   takes HTML that is made already.
2. A page is one file: no script, no font, no picture that is elsewhere, and a policy in it that forbids to
   load any. What is drawn stands in the page, and has a name and a description for who cannot see it.
3. It is read in light and dark, on a telephone, on paper, and without colours: each state has its word, and a
   sign before it.
4. Tables are written row by row: there may be many.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from notarypy.cli.text import render
from notarypy.cli.text.advice import advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from notarypy.client.findings import Level
    from notarypy.errors import NotarypyError

SCRIPTLESS = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --dim: #5c5c66; --paper: #fff; --line: #d5d5dc; }
:root { --soft: #f5f5f8; --ok: #176639; --warning: #8a5300; --bad: #b3261e; --mark: #35558a; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --dim: #a9a9b4; --paper: #17171a; --line: #3c3c44; }
  :root { --soft: #222227; --ok: #7fd49b; --warning: #f0b860; --bad: #ff9a90; --mark: #9bb8ee; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; } h1 { margin: 0 0 .25rem; }
h2 { border-top: 2px solid var(--line); margin: 2.5rem 0 .75rem; padding-top: 1rem; }
h3 { margin: 1.75rem 0 .5rem; }
h1, h2, h3, li, dt, dd, p, .long { overflow-wrap: anywhere; }
td .long, th .long { display: inline-block; max-width: 100%; min-width: 14rem; }
code { font: .85em ui-monospace, monospace; } .dim { color: var(--dim); } a { color: var(--mark); }
td code { display: block; }
time { font-variant-numeric: tabular-nums; white-space: nowrap; }
.ok, .warning, .bad { font-weight: 600; }
.ok { color: var(--ok); } .warning { color: var(--warning); } .bad { color: var(--bad); }
.ok::before { content: "\\2713\\a0"; } .bad::before { content: "\\2717\\a0"; }
.warning::before { content: "!\\a0"; }
.sums { display: flex; flex-wrap: wrap; gap: .75rem; list-style: none; padding: 0; }
.sums li { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; }
.sums li { padding: .5rem 1rem; } .sums b { display: block; font-size: 1.6rem; line-height: 1.2; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: 2px solid; }
table { border-collapse: collapse; margin: .5rem 0 1rem; min-width: 100%; }
caption { font-weight: 600; padding: .5rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; }
th, td { vertical-align: top; } td.state { min-width: 8rem; }
td.state .long { display: inline; min-width: 0; }
.error { border-left: .3rem solid var(--bad); background: var(--soft); padding: .5rem 1rem; }
dt { font-weight: 600; margin-top: .8rem; } dd { margin: 0 0 0 1.2rem; }
figure { margin: .5rem 0 1rem; } figcaption { font-weight: 600; padding: .5rem 0; }
svg { display: block; max-width: 100%; overflow: hidden; }
svg text { fill: var(--ink); unicode-bidi: isolate; } svg .end { text-anchor: end; }
@media screen and (max-width: 40rem) {
  body { padding: 1rem; } h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; }
  table, caption, tbody, tr, th, td { display: block; } thead { display: none; }
  tbody tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  tbody th, tbody td { border: 0; min-width: 0; padding: .1rem 0; } tbody td:empty { display: none; }
  tbody td { display: grid; gap: 0 .75rem; grid-template-columns: 7rem minmax(0, 1fr); }
  tbody td > * { grid-column: 2; min-width: 0; } td .long, th .long { min-width: 0; }
  tbody td::before { color: var(--dim); content: attr(data-label); grid-row: 1 / span 99; }
}
@page { margin: 16mm 14mm; }
@page { @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; } }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; } a { color: inherit; text-decoration: none; }
  .wide { overflow: visible; } table { font-size: 8pt; } * { print-color-adjust: exact; }
  th, td { padding: .15rem .3rem; } td.state { min-width: 7em; } td .long, th .long { min-width: 11em; }
  thead { display: table-header-group; } tr, dt, .error, .sums li { break-inside: avoid; }
  h1, h2, h3, caption, figcaption, dt, thead, thead tr { break-after: avoid; }
  tbody tr:first-child { break-before: avoid; }
}
"""
_BREAKS, _LONG = re.compile("[ /-]"), 24
CLOSING = "</main>\n</body>\n</html>\n"


def opening(title: str, said: str, style: str = "") -> str:
    """Return the beginning of a page, up to its content; `said` is HTML below the title, `style` its own."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{SCRIPTLESS}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_shown(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<header>\n"
        f'<h1>{text(title)}</h1>\n<p class="dim">{said}</p>\n</header>\n<main>\n'
    )


def text(value: object) -> str:
    """Return text as HTML (rule 1), which is broken behind slashes, and elsewhere only if it has to be."""
    if not (shown := _shown(value)):
        return ""
    kind = ' class="long"' if any(len(part) > _LONG for part in _BREAKS.split(shown)) else ""
    return f"<bdi{kind}>{shown.replace('/', '/<wbr>') if len(shown) > _LONG else shown}</bdi>"


def code(value: object) -> str:
    """Return an id, name or command as HTML."""
    return f"<code>{text(value)}</code>"


def moment(when: datetime | None, otherwise: str = "") -> str:
    """Return a moment as HTML, or what is said where there is none."""
    shown = render.moment(when)
    return text(otherwise) if shown is None else f'<time datetime="{shown}">{shown}</time>'


def day(when: datetime | None) -> str:
    """Return the day of a moment as HTML, nothing where there is none."""
    return "" if when is None else f'<time datetime="{render.moment(when)}">{when:%Y-%m-%d}</time>'


def state(level: Level, value: object) -> str:
    """Return a state as HTML: its level, as in `client.findings`, and its words (rule 3)."""
    return f'<span class="{level}">{text(value)}</span>'


def items(lines: Iterable[object]) -> str:
    """Return texts as a list, nothing for none."""
    shown = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{shown}</ul>" if shown else ""


def sums(counts: Iterable[tuple[str, object]]) -> str:
    """Return what is counted, each by its label, as figures that are seen first."""
    shown = "".join(f"<li><b>{_shown(count)}</b>{_shown(label)}</li>" for label, count in counts)
    return f'<ul class="sums">{shown}</ul>\n'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table of cells that are HTML, the first of which names its row; nothing without rows."""
    begun, name, labels = False, _shown(caption), [*map(_shown, heads[1:])]
    for first, *cells in rows:
        if not begun:
            shown = "".join(f'<th scope="col">{head}</th>' for head in (_shown(heads[0]), *labels))
            yield f'<div class="wide" role="region" aria-label="{name}" tabindex="0"><table>'
            yield f"<caption>{name}</caption><thead><tr>{shown}</tr></thead><tbody>\n"
            begun = True
        yield f'<tr><th scope="row">{first}</th>{"".join(map(_cell, labels, cells))}</tr>\n'
    if begun:
        yield "</tbody></table></div>\n"


def error(found: NotarypyError, command: str | None = None) -> str:
    """Return an error: what, why, and what to do."""
    fix = advice(found, command)
    todo = f"<p>What to do: {text(fix)}</p>" if fix else ""
    what = state("bad", f"{found.message} [{found.code}]")
    return f'<div class="error"><p>{what}</p>{items(found.why)}{todo}</div>\n'


def drawing(ident: str, name: str, description: str, height: int, shapes: Iterable[str]) -> Iterator[str]:
    """Yield shapes as a drawing of the page's width and so many pixels of height (rule 2).

    `ident` is an id that the page has once. Shapes place themselves by pixels from the left, or by parts of
    the width: a drawing is not scaled, so that what is written in it stays as large as the text around it.
    """
    yield f'<svg width="100%" height="{height}" role="img" aria-labelledby="{ident}-n {ident}-d">'
    yield f'<title id="{ident}-n">{_shown(name)}</title><desc id="{ident}-d">{_shown(description)}</desc>'
    yield from shapes
    yield "</svg>\n"


def label(value: object, x: object, y: object, kind: str = "") -> str:
    """Return text in a drawing, which begins at `x`, `y`, or with `end` in its class `kind` ends there."""
    return f'<text x="{x}" y="{y}" class="{kind}">{_shown(value)}</text>'


def _cell(head: str, html: str) -> str:
    kind = ' class="state"' if html.startswith("<span") else ""
    return f'<td{kind} data-label="{head}">{html}</td>'


def _shown(value: object) -> str:
    return escape(render.safe("" if value is None else value))
