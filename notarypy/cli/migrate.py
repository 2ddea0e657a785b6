"""`notarypy migrate`: from Notary to the signatures and policies of today."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notarypy.cli import namedkeys, references, userfiles
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.resign import cosign, notation
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import migrationpage
from notarypy.client.migrate.inventory import ReportedRepository
from notarypy.cosign.signatures import FORMS
from notarypy.errors import Advice, StorageError, UsageError
from notarypy.keys.signers import is_uri

if TYPE_CHECKING:
    from notarypy.client.results import PolicyFiles

app = Commands("The way out of Notary: to the signatures of today.")

app.command("cosign")(cosign)
app.command("notation")(notation)

_FOLDER_MODE = 0o755
_FORMS = {"both": FORMS, "any": ()}
_SUFFIXES = (".json", ".html")
_Format = Annotated[
    Literal["both", "bundle", "sig", "any"],
    Option("--format", help="Which forms of signatures a tag must have; any: one that verify counts."),
]
_NoChildren = Annotated[bool, Option("--no-children", help="Of an index look at the index alone.")]


@app.command("report")
def report(
    context: Context,
    repos: Annotated[list[str] | None, Argument(metavar="[REPO...]", help="Repositories; or --all.")] = None,
    *,
    every: Annotated[bool, Option("--all", help="Every repository of the trust directory.")] = False,
    key: Annotated[
        list[str] | None,
        Option(metavar="PUB", help="The public key of new signatures, or its URI. Repeatable."),
    ] = None,
    form: _Format = "both",
    no_children: _NoChildren = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    output: Annotated[
        str | None, Option("--output", "-o", metavar="FILE", help="Write it here: FILE.json or FILE.html.")
    ] = None,
) -> None:
    """Report what is released, what is served, and what would be lost.

    Exit 0 only if every released tag is served as signed, and migrate cosign has nothing left to sign, by
    one of the keys that are given with --key.
    Otherwise the worst counts: 4 a tag moved, 10 the trust policy is not met, 5 something has ended, 3 a tag
    is gone or not signed the new way, 8 a server could not be asked.

    Example:
      notarypy migrate report registry.example.com/app
      notarypy migrate report --all --key cosign.pub -o report.html
    """
    run = begin(context)
    references.take_archive(run, archive)
    references.check_repositories(run, repos or ())
    if every == bool(repos):
        raise UsageError("name repositories, or give --all" if not repos else "--all names them already")
    pin, path = references.required_root(run, root, policy), _destination(run, output)
    found: dict[str, ReportedRepository] = {}
    with run.client(asking=False) as client:
        asked = references.known(run, client) if every else list(repos or ())
        pems = namedkeys.of_images(client.keys, key or ())
        keys = dict(zip(_names(key or ()), pems, strict=True))
        how: dict[str, Any] = {
            "progress": run.progress(steps=True),
            "forms": _FORMS.get(form, (form,)),
            "children": not no_children,
        }
        with closing(client.migration.report(asked, keys=keys, root=pin, **how)) as reports:
            for repo, outcome in zip(asked, reports, strict=True):
                with run.trying(repo):
                    found[repo] = outcome.get()
                    _note(run, repo, found[repo], path)
    if len(asked) > 1 or path is not None:
        unread = sum(not one.tags for one in found.values()) + len(asked) - len(found)
        left = f"; no tags of {unread} of {len(asked)} repositories" if unread else ""
        run.report.lines([f"in all: {migrationpage.summary(migrationpage.together(found.values()))}{left}"])
    if path is not None:
        text = _page(run, found, list(keys)) if path.suffix == ".html" else run.report.document()
        userfiles.write(path, text)
        run.report.lines([f"wrote {path}"])


def _page(run: Run, found: dict[str, ReportedRepository], keys: list[str]) -> str:
    """Return the page, with what was not looked at."""
    others = [result for result in run.report.results if result.ref not in found]
    unread = [ReportedRepository(result.ref, error=result.error) for result in others]
    return "".join(migrationpage.page([*unread, *found.values()], keys))


def _destination(run: Run, output: str | None) -> Path | None:
    """Return where the report goes; raise before anything is looked at if it cannot."""
    if output is None:
        return None
    if Path(output).suffix not in _SUFFIXES:
        message = f"{output} does not say in which form the report is to be"
        raise UsageError(message, advice=Advice("name-report-file"))
    return userfiles.destination(run, output)


def _names(words: list[str] | tuple[str, ...]) -> list[str]:
    """Return what keys are called in the report: their files' names, if these differ."""
    short = [word if is_uri(word) else Path(word).name for word in words]
    return list(words) if len(set(short)) < len(short) else short


def _note(run: Run, repo: str, found: ReportedRepository, path: Path | None) -> None:
    wanted = run.options.json or (path is not None and path.suffix == ".json")
    if path is None:
        run.report.lines([f"{found.repository}: {migrationpage.state(found)}"])
        if found.tags:
            run.report.table(migrationpage.HEADER, map(migrationpage.row, found.tags))
        run.report.lines(migrationpage.lines(found))
    data = migrationpage.repository_json(found) if wanted else {}
    if found.error is not None:
        run.report.failed([repo], found.error, data, repo if run.asked_for > 1 else "")
    else:
        run.report.done(repo, data)


@app.command("policy")
def policy(
    context: Context,
    repos: Annotated[
        list[str] | None,
        Argument(metavar="[REPO...]", help="Repositories; none: the scopes of the trust policy."),
    ] = None,
    *,
    kind: Annotated[
        str,
        Option(
            "--for",
            metavar="KIND",
            help="Whose policy: containers, kyverno, policy-controller, connaisseur, ratify, rego.",
        ),
    ],
    key: Annotated[
        list[str] | None,
        Option(metavar="PUB", help="The public key of releases, or URI; of several one. Repeatable."),
    ] = None,
    signer_key: Annotated[
        list[str] | None,
        Option(
            "--signer-key",
            metavar="NAME[=PUB]",
            help="That of a signer; without PUB those that he has in Notary. Repeatable.",
        ),
    ] = None,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    output: Annotated[
        str | None,
        Option("--output", "-o", metavar="PATH", help="A folder to write into; for one file, a file."),
    ] = None,
) -> None:
    """Write the policy of another program, for cosign's signatures.

    It asks of them what is asked of Notary's here.
    It comes from the trust policy, and for each REPO from its delegations. What the other program cannot
    say stands in comments, and on standard error where its files take none.

    Example:
      notarypy migrate policy --for containers --key cosign.pub -o /etc/containers
      notarypy migrate policy --for kyverno --signer-key ci=ci.pub -o out REPO
    """
    run = begin(context)
    references.check_repositories(run, repos or ())
    run.asked_for = 1
    if run.options.gun:
        raise UsageError("such a policy is for images", advice=Advice("leave-out", option="--gun"))
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers)
    named = _signer_keys(signer_key or ())
    with run.client(asking=False) as client, run.trying(kind):
        keys = namedkeys.of_images(client.keys, key or ())
        of_signers = {name: namedkeys.of_images(client.keys, words) for name, words in named.items()}
        made = client.migration.policy(kind, repos or (), keys=keys, signer_keys=of_signers, **required)
        _deliver(run, made, output)


def _signer_keys(texts: list[str] | tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, word = text.partition("=")
        if not name or bool(equals) != bool(word):
            advice = Advice("name-value", option="--signer-key")
            raise UsageError(f'--signer-key "{text}" gives no key', advice=advice)
        found.setdefault(name, []).extend([word] if word else [])
    return found


def _deliver(run: Run, made: PolicyFiles, output: str | None) -> None:
    """Write or print the files, and report them."""
    if output is None and len(made.files) > 1 and not run.options.json:
        message = f"{made.kind} takes {len(made.files)} files: {', '.join(made.files)}"
        raise UsageError(message, advice=Advice("give-policy-folder"))
    paths = dict.fromkeys(made.files, None) if output is None else _paths(made, output)
    if any(not name.endswith((".yaml", ".rego")) for name in made.files):
        for note in made.notes:
            run.report.warn(note)
    _write(run, {path: made.files[name] for name, path in paths.items() if path is not None})
    listed = [
        {"name": name, "path": None if path is None else str(path), "text": made.files[name]}
        for name, path in paths.items()
    ]
    data: dict[str, Any] = {"files": listed, "notes": made.notes}
    run.report.done(made.kind, data, *(f"wrote {path}" for path in paths.values() if path is not None))
    if output is None:
        run.report.text("".join(made.files.values()))


def _paths(made: PolicyFiles, output: str) -> dict[str, Path]:
    folder = len(made.files) > 1 or output.endswith("/") or Path(output).is_dir()
    return {name: Path(output) / name if folder else Path(output) for name in made.files}


def _write(run: Run, texts: dict[Path, str]) -> None:
    """Write files that whoever runs the other program can read; what is there is replaced only with a yes."""
    present = [path for path in texts if os.path.lexists(path)]
    for path in present:
        userfiles.require_directory(path)
    if present:
        run.confirm("Overwrite?", f"{', '.join(map(str, present))} is there")
    for path, text in texts.items():
        try:
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            why, advice = error.strerror or "", Advice("choose-writable")
            raise StorageError(f"cannot make {path.parent}", why=why, advice=advice) from None
        userfiles.write(path, text)
