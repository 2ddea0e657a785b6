"""`notarypy migrate cosign` and `migrate notation`: released tags signed as these do."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.client.workers import UnfinishedError
from notarypy.cosign.signatures import FORMS
from notarypy.errors import Advice, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from notarypy.client.migrate.inventory import ResignedTag
    from notarypy.client.migrationapi import Migration
    from notarypy.client.workers import Outcome

    _Sign = Callable[[Migration], Callable[..., Generator[tuple[str, Outcome[ResignedTag]], None, None]]]

# By whether it is a dry run, and whether anything was missing.
_WHAT = {
    False: {True: "signed", False: "already signed"},
    True: {True: "would be signed", False: "already signed"},
}
_FAILED = "not signed"
_DONE = "repository tag digest name key role signers signed_as"
_COSIGN, _NOTATION = "digest platform sig bundle", "digest platform notation"


_Names = Annotated[
    list[str] | None,
    Argument(metavar="[REPO[:TAG]...]", help="Tags; of a repository alone every signed one."),
]
_Key = Annotated[
    str, Option(metavar="KEY", help="Signs with it: a name, id, file or URI; cosign's files too.")
]
_All = Annotated[bool, Option("--all", help="Every repository of the trust directory.")]
_DryRun = Annotated[bool, Option("--dry-run", help="Say what is missing; sign and write nothing.")]
_Format = Annotated[Literal["both", "bundle", "sig"], Option("--format", help="Which form of signature.")]
_NoChildren = Annotated[
    bool, Option("--no-children", help="Of an index sign the index alone, which podman does not look at.")
]


def cosign(
    context: Context,
    refs: _Names = None,
    *,
    key: _Key,
    every: _All = False,
    from_file: references.FromFile = None,
    form: _Format = "both",
    no_children: _NoChildren = False,
    dry_run: _DryRun = False,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
) -> None:
    """Verify tags, and sign their digests as cosign does.

    What is not signed, not served as signed, expired, or lacks what is required, is not signed anew either.
    Signatures that are there are left alone, and everything is read back.

    Example:
      notarypy migrate cosign registry.example.com/app --key cosign.key
      notarypy migrate cosign --all --key awskms:///alias/release --dry-run
    """
    run = begin(context)
    references.take_archive(run, archive)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers)
    how: dict[str, Any] = {
        "key": key,
        "forms": FORMS if form == "both" else (form,),
        "children": not no_children,
        **required,
    }
    texts = _texts(run, refs, from_file, every=every)
    _resign(run, texts, lambda migration: partial(migration.cosign, **how), dry_run=dry_run)


def notation(
    context: Context,
    refs: _Names = None,
    *,
    key: Annotated[
        str, Option(metavar="KEY", help="Signs with it: a name, id, file or URI; P-256 or RSA 2048.")
    ],
    cert: Annotated[
        str, Option(metavar="CHAIN.pem", help="Its certificate for code signing, and those above it.")
    ],
    every: _All = False,
    from_file: references.FromFile = None,
    dry_run: _DryRun = False,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
) -> None:
    """Verify tags, and sign their digests as notation does.

    What is not signed, not served as signed, expired, or lacks what is required, is not signed anew either.
    Signatures that are there are left alone, and everything is read back. Of an index the index is signed.

    Example:
      notarypy migrate notation REPO --key release --cert release.crt
    """
    run = begin(context)
    references.take_archive(run, archive)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers)
    texts, chain = _texts(run, refs, from_file, every=every), userfiles.read(cert)
    how: dict[str, Any] = {"key": key, "certificates": chain, **required}
    _resign(run, texts, lambda migration: partial(migration.notation, **how), dry_run=dry_run, form=_NOTATION)


def _texts(run: Run, refs: list[str] | None, from_file: str | None, *, every: bool) -> list[str] | None:
    """Return the names that are given, None for all that are known."""
    texts = references.with_file(run, list(refs or ()), from_file)
    if every and texts:
        raise UsageError("--all names them already", advice=Advice("leave-out-one"))
    if not every:
        references.read(run, texts)
    return None if every else texts


def _resign(run: Run, names: list[str] | None, sign: _Sign, *, dry_run: bool, form: str = _COSIGN) -> None:
    """Sign, and report each tag and how many there were; None stands for every repository that is known."""
    with run.client() as client:
        texts = references.known(run, client) if names is None else names
        progress, counted = run.progress(steps=True), Counter[str]()
        with run.trying(*texts):
            done = sign(client.migration)(texts, dry_run=dry_run, progress=progress)
            with closing(done) as outcomes:
                for text, outcome in outcomes:
                    counted[_shown(run, texts, text, outcome, dry_run=dry_run, form=form)] += 1
    if counted.total() > 1:
        parts = [f"{counted[what]} {what}" for what in (*_WHAT[dry_run].values(), _FAILED) if counted[what]]
        run.report.text(f"{counted.total()} tags: {', '.join(parts)}\n")


def _shown(
    run: Run, texts: list[str], text: str, outcome: Outcome[ResignedTag], *, dry_run: bool, form: str
) -> str:
    """Report what became of a tag; return how that is counted."""
    if isinstance(outcome.error, UnfinishedError):
        return _FAILED
    if text not in texts:  # it is one of several
        run.asked_for = max(run.asked_for, 2)
    with run.trying(text):
        done = outcome.get()
        what = _WHAT[dry_run][done.states != {"there"}]
        platforms = ", ".join(one.platform for one in done.manifests if one.platform)
        listed = f" (index: {platforms})" if platforms else ""
        run.report.done(
            text,
            partial(_json, done, form, dry_run=dry_run),
            f"{what} {done.reference} {done.digest}{listed}",
        )
        return what
    return _FAILED


def _json(done: ResignedTag, form: str, *, dry_run: bool) -> dict[str, Any]:
    manifests = [render.fields(one, form) for one in done.manifests]
    return {**render.fields(done, _DONE), "manifests": manifests, "dry_run": dry_run}
