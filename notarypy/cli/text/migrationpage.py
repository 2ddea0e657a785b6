"""How far a migration is: its words, for people and programs, and one page of HTML.

What it is: `client.migrate.inventory` as text. What it is not: printing, or files.

Rules:

1. Whatever is from a repository is shown safe, as everywhere (`render`), and in HTML as `htmlpage` does it.
2. What came near a loss is said here, by its name; the loss itself says the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.cli.text import htmlpage, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from notarypy.client.migrate.inventory import ReportedRepository, ReportedTag
    from notarypy.client.verdicts import RoleEntry

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


def page(found: Sequence[ReportedRepository], keys: Sequence[str]) -> Iterator[str]:
    """Yield a report as HTML, in parts (rule 1)."""
    total = together(found)
    done = total["tags"] > 0 and all(one.error is None for one in found)
    times = [one.time for one in found if one.time is not None]
    when = render.moment(max(times, default=None)) or "nothing was looked at"
    said = "Done: every released tag is" if done else "Not done: not every released tag is"
    named = ", ".join(map(htmlpage.code, keys)) or "none was given"
    yield htmlpage.opening("Migration report", f"notarypy, {when}; keys of new signatures: {named}")
    yield f"<p>{_state(done, f'{said} served as signed, and signed the new way.')}</p>\n"
    yield htmlpage.sums((label, total[name]) for name, label in _LABELS.items())
    yield from htmlpage.table("Repositories", ("repository", *_LABELS.values(), "state"), _overview(found))
    for number, one in enumerate(found):
        yield f'<section aria-labelledby="r{number}">\n'
        yield f'<h2 id="r{number}">{htmlpage.text(one.repository)}</h2>\n'
        yield from _repository(one)
        yield "</section>\n"
    yield htmlpage.CLOSING


def _overview(found: Sequence[ReportedRepository]) -> Iterator[Sequence[str]]:
    for number, one in enumerate(found):
        state = "done" if one.error is None else f"not done [{one.error.code}]"
        name = f'<a href="#r{number}">{htmlpage.text(one.repository)}</a>'
        yield name, *map(str, one.counts.values()), _state(one.error is None, state)


def _repository(one: ReportedRepository) -> Iterator[str]:
    pins = ", ".join(one.root_pins)
    known = (("Notary server", one.server), ("signed as", one.signed_as), ("root pins", pins))
    said = [f"{label} {htmlpage.code(value)}" for label, value in known if value]
    yield f"<p>{'; '.join([*said, state(one)])}</p>\n"
    if one.error is not None:
        yield htmlpage.error(one.error, COMMAND)
    yield from htmlpage.table("Released tags", [name.lower() for name in HEADER], map(_tag_row, one.tags))
    yield from htmlpage.table("Roles", _ROLES, map(_role_row, one.roles))
    if one.losses:
        yield "<h3>What new signatures would not say</h3>\n<dl>\n"
        for loss in one.losses:
            yield f"<dt>{loss.name}</dt><dd>{htmlpage.text(loss.text)}{htmlpage.items(loss.details)}"
            yield f'<p class="dim">Instead: {htmlpage.text(INSTEAD[loss.name])}.</p></dd>\n'
        yield "</dl>\n"


def _tag_row(tag: ReportedTag) -> Sequence[str]:
    name, digest, size, platforms, who, ends, where, new = row(tag)
    states = (
        _state(tag.served == "same" and tag.problem is None, where),
        _state(bool(tag.signatures) and not tag.missing, new),
    )
    texts = map(htmlpage.text, (platforms, who))
    return (htmlpage.text(name), htmlpage.code(digest), size, *texts, f"<time>{ends}</time>", *states)


def _role_row(entry: RoleEntry) -> Sequence[str]:
    ends = render.ends(entry.expires, entry.problem)
    paths = ", ".join(f"{path}*" for path in entry.paths)
    cells = (entry.role, entry.version, ends, f"{entry.threshold} of {len(entry.keys)}", paths, entry.problem)
    return [htmlpage.text(cell) for cell in cells]


def _state(good: bool, text: str) -> str:  # noqa: FBT001 - what a state is, and its word
    return htmlpage.state("ok" if good else "bad", text)
