"""`notarypy migrate`: from Notary to the signatures and policies of today."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import namedkeys, references, userfiles
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.migrationreport import report
from notarypy.cli.resign import cosign, notation
from notarypy.cli.run import Context, Run, begin
from notarypy.errors import Advice, StorageError, UsageError

if TYPE_CHECKING:
    from notarypy.client.results import PolicyFiles

app = Commands("The way out of Notary: to the signatures of today.")

app.command("cosign")(cosign)
app.command("notation")(notation)
app.command("report")(report)

_FOLDER_MODE = 0o755


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
