"""How far a migration is: its words, for people and programs, and one page of HTML.

What it is: `client.migrate.inventory` as text. What it is not: printing, or files.

Rules:

1. Whatever is from a repository is shown safe, as everywhere (`render`), and in HTML with its characters
   escaped: a tag or signer may be called anything.
2. The page is one file: no script, no font, no picture, and a policy in it that forbids to load any. It is
   read in light and dark, on paper, and without colours: each state has its word.
3. What came near a loss is said here, by its name; the loss itself says the client.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from notarypy.cli.text import render
from notarypy.cli.text.advice import advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from notarypy.client.migrate.inventory import ReportedRepository, ReportedTag
    from notarypy.client.verdicts import RoleEntry
    from notarypy.errors import NotarypyError

HEADER = ("TAG", "DIGEST", "SIZE", "PLATFORMS", "SIGNERS", "ENDS", "REGISTRY", "NEW SIGNATURE")
COMMAND = "migrate report"
_TAG = "tag digest size role signers expires platforms served found kept missing migrated"
INSTEAD = {
    "paths": "a key for each of these beginnings, and a rule for each in the policy that is enforced",
    "thresholds": "sign with several keys, one after the other, and require all of them in the policy",
    "signers": "a key for each signer, or the annotations of the signature, which are signed too",
    "expiry": "new keys at dates that are written down, and images named by digest (notarypy pin)",
    "rollback": "images named by digest (notarypy pin), and tags that the registry lets nobody move",
    "binding": "both forms of signatures (--format both), and images named by digest (notarypy pin)",
    "timestamp": "a key that nobody can copy: on a token, in a KMS or in Vault",
    "revoking": "delete the tag and its signatures at the registry, and block the digest where images run",
    "rotation": "write down now where the public key is configured; verify with both keys while one changes",
    "custom": "attestations (cosign attest) for what of it is still needed",
    "unreleased": "release what is wanted (notarypy sign), and leave or revoke the rest",
    "untrusted": "sign anew or remove them (notarypy status shows each) before the new signatures are made",
}
_SERVED = {"same": "as signed", "moved": "moved", "gone": "gone", "unknown": "unknown"}
_LABELS = {
    "tags": "released tags",
    "same": "served as signed",
    "moved": "moved",
    "gone": "gone",
    "unknown": "unknown",
    "signed": "signed the new way",
    "migrated": "done",
}


def served(tag: ReportedTag) -> str:
    """Say whether the registry serves what is signed."""
    if tag.served == "moved":
        what = (
            f"moved to {tag.found}" if tag.found != tag.digest else "moved: other content by the same digest"
        )
    else:
        what = _SERVED[tag.served]
    if tag.kept is not None:
        what += "; the signed image is there by digest" if tag.kept else "; the signed image is not there"
    return f"{what}: {tag.problem.message} [{tag.problem.code}]" if tag.problem is not None else what


def signed(tag: ReportedTag) -> str:
    """Say by which keys a tag is signed the new way, and in which forms."""
    forms: dict[str, list[str]] = {}
    for one in tag.signatures:
        forms.setdefault(one.key, []).append(one.form)
    named = [f"{key} ({', '.join(sorted(set(found)))})" for key, found in forms.items()]
    others = ", ".join(f"{one.count} {one.form}: {one.why}" for one in tag.others)
    named += [f"missing: {', '.join(tag.missing)}"] if tag.missing else []
    return "; ".join([*named, *([f"not counted ({others})"] if others else [])]) or (
        "unknown" if tag.served == "unknown" else "none"
    )


def row(tag: ReportedTag) -> tuple[str, ...]:
    """Return the row of a tag below `HEADER`."""
    size = "" if tag.size is None else str(tag.size)
    ends = "" if tag.expires is None else f"{tag.expires:%Y-%m-%d}"
    who = ", ".join(tag.signers) or f"({render.REPO_ADMIN})"
    return (tag.tag, tag.digest or "", size, _platforms(tag), who, ends, served(tag), signed(tag))


def summary(counts: dict[str, int]) -> str:
    """Return counts as a line."""
    always = ("tags", "migrated")
    shown = (name for name, count in counts.items() if count or name in always)
    return ", ".join(f"{_LABELS[name]}: {counts[name]}" for name in shown)


def state(found: ReportedRepository) -> str:
    """Say in short how far a repository is."""
    if found.error is not None and not found.tags:
        return f"no tags: {found.error.message} [{found.error.code}]"
    return summary(found.counts)


def together(found: Iterable[ReportedRepository]) -> dict[str, int]:
    """Return the counts of all repositories."""
    total = dict.fromkeys(_LABELS, 0)
    for one in found:
        total = {name: total[name] + count for name, count in one.counts.items()}
    return total


def lines(found: ReportedRepository) -> Iterator[str]:
    """Yield what is said of a repository besides its tags."""
    if found.losses:
        yield ""
        yield f"what new signatures of {found.repository} would not say:"
    for loss in found.losses:
        yield f"  {loss.name}: {loss.text}"
        yield from (f"    {detail}" for detail in loss.details)
        yield f"    instead: {INSTEAD[loss.name]}"
    yield ""


def repository_json(found: ReportedRepository) -> dict[str, Any]:
    """Return a repository for programs."""
    return {
        **render.fields(found, "repository time server signed_as root_pins counts"),
        "roles": [render.fields(entry, render.ROLE) for entry in found.roles],
        "tags": [_tag_json(tag) for tag in found.tags],
        "losses": [
            {**render.fields(loss, "name text details"), "instead": INSTEAD[loss.name]}
            for loss in found.losses
        ],
    }


def _tag_json(tag: ReportedTag) -> dict[str, Any]:
    return {
        **render.fields(tag, _TAG),
        "others": [render.fields(one, "form why count") for one in tag.others],
        "signatures": [render.fields(one, "form key reference") for one in tag.signatures],
        "problem": None if tag.problem is None else render.error_json(tag.problem, COMMAND),
    }


def _platforms(tag: ReportedTag) -> str:
    known = tag.served == "same" or tag.kept
    return ", ".join(tag.platforms) or ("one" if known else "unknown")


# -- one page of HTML

_ROLES = ("role", "version", "ends", "keys that must sign", "tags", "problem")
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
:root { --bad: #b3261e; --good: #176639; --dim: #5c5c66; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff9a90; --good: #7fd49b; --dim: #a9a9b4; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 84rem; padding: 1.5rem; }
h1 { margin: 0 0 .25rem; }
h2 { border-top: 2px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
h2, code, td, th, li, dd, p { overflow-wrap: anywhere; } thead th { overflow-wrap: normal; }
code { font-size: .85em; } .dim { color: var(--dim); }
td code { display: block; min-width: 14rem; } time { white-space: nowrap; }
.good, .bad { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
.sums { display: flex; flex-wrap: wrap; gap: .75rem; list-style: none; padding: 0; }
.sums li { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; }
.sums li { padding: .5rem 1rem; } .sums b { display: block; font-size: 1.6rem; line-height: 1.2; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: 2px solid; }
table { border-collapse: collapse; margin: .5rem 0 1rem; min-width: 100%; }
caption { font-weight: 600; padding: .5rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; }
th, td { min-width: 4.5rem; vertical-align: top; } tbody th { min-width: 9rem; } td.state { min-width: 9rem; }
.error { border-left: .3rem solid var(--bad); background: var(--soft); padding: .5rem 1rem; }
dt { font-weight: 600; margin-top: .8rem; } dd { margin: 0 0 0 1.2rem; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; } a { color: inherit; text-decoration: none; }
  .wide { overflow: visible; } table { font-size: 8pt; }
  th, td, tbody th, td code, td.state { padding: .15rem .3rem; min-width: 0; }
  thead { display: table-header-group; } tr, dt, .error { break-inside: avoid; }
}
"""
SCRIPTLESS = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Sequence[ReportedRepository], keys: Sequence[str]) -> Iterator[str]:
    """Yield a report as HTML, in parts (rules 1 and 2)."""
    total = together(found)
    done = total["tags"] > 0 and all(one.error is None for one in found)
    times = [one.time for one in found if one.time is not None]
    when = render.moment(max(times, default=None)) or "nothing was looked at"
    said = "Done: every released tag is" if done else "Not done: not every released tag is"
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{SCRIPTLESS}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Migration report</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n"
        f'<h1>Migration report</h1>\n<p class="dim">notarypy, {when}; '
        f"keys of new signatures: {', '.join(map(_code, keys)) or 'none was given'}</p>\n</header>\n<main>\n"
        f"<p>{_state(done, f'{said} served as signed, and signed the new way.')}</p>\n"
    )
    sums = "".join(f"<li><b>{total[name]}</b>{label}</li>" for name, label in _LABELS.items())
    yield f'<ul class="sums">{sums}</ul>\n'
    yield from _table("Repositories", ("repository", *_LABELS.values(), "state"), _overview(found))
    for number, one in enumerate(found):
        yield f'<section aria-labelledby="r{number}">\n<h2 id="r{number}">{_text(one.repository)}</h2>\n'
        yield from _repository(one)
        yield "</section>\n"
    yield "</main>\n</body>\n</html>\n"


def _overview(found: Sequence[ReportedRepository]) -> Iterator[Sequence[str]]:
    for number, one in enumerate(found):
        state = "done" if one.error is None else f"not done [{one.error.code}]"
        name = f'<a href="#r{number}">{_text(one.repository)}</a>'
        yield name, *map(str, one.counts.values()), _state(one.error is None, state)


def _repository(one: ReportedRepository) -> Iterator[str]:
    pins = ", ".join(one.root_pins)
    known = (("Notary server", one.server), ("signed as", one.signed_as), ("root pins", pins))
    said = [f"{label} {_code(value)}" for label, value in known if value]
    yield f"<p>{'; '.join([*said, state(one)])}</p>\n"
    if one.error is not None:
        yield from _error(one.error)
    yield from _table("Released tags", [name.lower() for name in HEADER], map(_tag_row, one.tags))
    yield from _table("Roles", _ROLES, map(_role_row, one.roles))
    if one.losses:
        yield "<h3>What new signatures would not say</h3>\n<dl>\n"
        for loss in one.losses:
            yield f"<dt>{loss.name}</dt><dd>{_text(loss.text)}{_list(loss.details)}"
            yield f'<p class="dim">Instead: {_text(INSTEAD[loss.name])}.</p></dd>\n'
        yield "</dl>\n"


def _tag_row(tag: ReportedTag) -> Sequence[str]:
    name, digest, size, platforms, who, ends, where, new = row(tag)
    states = (
        _state(tag.served == "same" and tag.problem is None, where),
        _state(bool(tag.signatures) and not tag.missing, new),
    )
    return (_text(name), _code(digest), size, _text(platforms), _text(who), f"<time>{ends}</time>", *states)


def _role_row(entry: RoleEntry) -> Sequence[str]:
    ends = render.ends(entry.expires, entry.problem)
    paths = ", ".join(f"{path}*" for path in entry.paths)
    cells = (entry.role, entry.version, ends, f"{entry.threshold} of {len(entry.keys)}", paths, entry.problem)
    return [_text(cell) for cell in cells]


def _error(error: NotarypyError) -> Iterator[str]:
    fix, said = advice(error, COMMAND), f"{error.message} [{error.code}]"
    yield f'<div class="error"><p>{_state(good=False, text=said)}</p>'
    yield _list(error.why)
    yield f"<p>What to do: {_text(fix)}</p></div>\n" if fix else "</div>\n"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table of cells that are HTML, of which the first names its row; nothing without rows."""
    begun = False
    for first, *cells in rows:
        if not begun:
            shown = "".join(f'<th scope="col">{head}</th>' for head in heads)
            yield f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table>'
            yield f"<caption>{caption}</caption><thead><tr>{shown}</tr></thead><tbody>\n"
            begun = True
        yield f'<tr><th scope="row">{first}</th>{"".join(map(_cell, cells))}</tr>\n'
    if begun:
        yield "</tbody></table></div>\n"


def _cell(html: str) -> str:
    return f'<td class="state">{html}</td>' if html.startswith("<span") else f"<td>{html}</td>"


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _state(good: bool, text: str) -> str:  # noqa: FBT001 - what a state is, and its word
    return f'<span class="{"good" if good else "bad"}">{_text(text)}</span>'


def _code(text: object) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: object) -> str:
    """Return text as HTML that reads in its own direction (rule 1)."""
    return f"<bdi>{escape(render.safe('' if text is None else text))}</bdi>"
